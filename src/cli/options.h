/* SPDX-License-Identifier: MIT */
#ifndef PH_CLI_OPTIONS_H
#define PH_CLI_OPTIONS_H
/* A command's options as one table: it drives getopt_long(), the text of --help, the environment
 * and the messages about wrong values, so that these can never tell different stories. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <posthaste/error.h>

enum ph__option_kind {
	PH__OPTION_HEADING = 0, /* no option: `help` is a heading of the list */
	PH__OPTION_FLAG,        /* bool */
	PH__OPTION_COUNT,       /* unsigned: how often it was given */
	PH__OPTION_TEXT,        /* const char * */
	PH__OPTION_LIST,        /* struct ph__option_list: each time one more */
	PH__OPTION_DURATION,    /* uint64_t, milliseconds: 30, 30s, 2m, 1h, 500ms */
	PH__OPTION_NUMBER,      /* struct ph__option_number */
	PH__OPTION_SIGNED,      /* int, from -max to max */
	PH__OPTION_CHOICE       /* int: the number that belongs to one of `choices` */
};

struct ph__option_list {
	const char **items;
	size_t       count;
};

struct ph__option_number {
	bool     given;
	uint64_t value;
};

struct ph__option_choice {
	const char *name; /* NULL ends the table */
	int         value;
};

struct ph__option {
	enum ph__option_kind kind;
	const char *name;     /* "connect-timeout" */
	const char *letters;  /* its short forms, "fr"; NULL: none */
	const char *argument; /* how --help calls the value; NULL with FLAG and COUNT */
	const char *help;     /* a phrase or two; wrapped by us */
	size_t      at;       /* offsetof() the variable in the command's struct */
	const struct ph__option_choice *choices;
	uint64_t    max;      /* of a NUMBER, a SIGNED */
	unsigned    group;    /* not 0: no two options of one group may be given */
	const char *const *silences; /* options that do not count when the environment says them, and the
	                         command line this one; NULL ends the list */
	bool        no_environment; /* only the command line may set it */
	bool        may_be_empty;   /* of a TEXT: '' is a value, and not a variable that was not set */
};

/* What another program calls it: "passwordeval"; with a dash at its end, what begins so. */
struct ph__option_foreign {
	const char *name; /* NULL ends the table */
	const char *hint;
};

struct ph__options {
	const char *command;  /* "send" */
	const char *synopsis; /* "[OPTION]... [RECIPIENT]..." */
	const char *about;    /* what the command does; above the list */
	const char *more;     /* below the list; NULL: nothing */
	const struct ph__option *rows;
	size_t      count;
	bool        environment; /* POSTHASTE_CONNECT_TIMEOUT stands for --connect-timeout */
	const struct ph__option_foreign *foreign; /* NULL: nobody comes from elsewhere */
};

/* Reads environment and command line into the zeroed struct at `into`; the command line wins. Texts
 * are borrowed from there. argv[0] is the command's name; *ret_operands is the index of the first
 * operand (options and operands may come in any order). --help sets *ret_help. PH_EUSAGE: all was
 * read to its end nevertheless and the first fault is told, so that --json can be honoured. */
enum ph_code ph__options_read(const struct ph__options *def, int argc, char **argv, void *into,
                              int *ret_operands, bool *ret_help, struct ph_error *err);
/* The name of the next environment variable, from *row on, that is set and that only the command
 * line may say; *row is then that of its option. NULL: no more. */
const char *ph__options_next_barred(const struct ph__options *def, size_t *row, char *buf,
                                    size_t size);
/* Frees the lists. */
void ph__options_done(const struct ph__options *def, void *into);

void ph__options_help(const struct ph__options *def, FILE *to);

#endif
