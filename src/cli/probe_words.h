/* SPDX-License-Identifier: MIT */
#ifndef PH_CLI_PROBE_WORDS_H
#define PH_CLI_PROBE_WORDS_H
/* From a swaks user's command line to the options of the table: `-s`, `-tls` and `--au ann` become
 * `--server=`, `--lax-tls=starttls`, `--user=ann`.
 *
 * One dash or two: both are taken for every word. A value may be left out where swaks lets it be; it is
 * then none (-a), or asked for. Passwords never become an option: they are copied and wiped from the
 * command line they came on. */
#include <posthaste/error.h>
#include "base/buf.h"
#include "base/mem.h"

struct ph__options;

struct ph__words {
	/* set by the caller */
	const struct ph__options *def; /* whose options are known beside swaks' */
	/* Asks for a value that was left out; NULL: nobody can be asked. PH_ECONFIG: no terminal. */
	enum ph_code (*ask)(const char *question, struct ph__buf *into, struct ph_error *err);

	struct ph__arena arena;        /* what argv points at */
	char **argv;
	int    argc;
	bool   password_given;         /* -ap VALUE: it is in `password` */
	bool   password_wanted;        /* -ap alone */
	bool   proxy_header_bad;       /* that is what was wrong: swaks' exit status 35 */
	/* of swaks' options that belong together */
	const char *proxy_version, *proxy_from, *proxy_from_port, *proxy_to, *proxy_to_port;
};

/* Fills ->argc and ->argv, NULL-terminated; argv[0] stays. `password`: an initialised buffer that wipes
 * itself. PH_EUSAGE; ph__words_done() in any case. */
enum ph_code ph__words_translate(struct ph__words *w, int argc, char **argv, struct ph__buf *password,
                                 struct ph_error *err);
void ph__words_done(struct ph__words *w);

#endif
