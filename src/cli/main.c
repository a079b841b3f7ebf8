/* SPDX-License-Identifier: MIT */
/* The command: finds the subcommand and runs it. Results go to standard output, problems to
 * standard error; the exit status is sysexits' (posthaste(1)). */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <posthaste/error.h>
#include <posthaste/version.h>
#include "base/error.h"
#include "cli/commands.h"
#include "cli/nearest.h"
#include "cli/problem.h"

static int cmd_help(int argc, char **argv);
static int cmd_version(int argc, char **argv);

static const struct command {
	const char *name, *arguments, *help;
	int (*run)(int argc, char **argv);
} commands[] = {
	{ "send", "--server URL ... [RECIPIENT]...", "send one message", ph__cmd_send },
	{ "probe", "--server URL|HOST [OPTION]...", "speak to a server a command at a time", ph__cmd_probe },
	{ "sink", "[OPTION]...", "receive mail on this computer, for tests", ph__cmd_sink },
	{ "help", "[COMMAND]", "tell about a command", cmd_help },
	{ "version", "", "tell the version (--version does too)", cmd_version },
};
#define COMMANDS (sizeof commands / sizeof commands[0])

static void
print_overview(FILE *to)
{
	fprintf(to, "posthaste sends mail and says what became of it.\n\n"
	            "Usage: posthaste COMMAND [ARGUMENT]...\n\n");
	for (size_t i = 0; i < COMMANDS; i++) {
		const struct command *c = &commands[i];
		int at = fprintf(to, "  %s %s", c->name, c->arguments);

		fprintf(to, "%*s%s\n", at < 42 ? 42 - at : 2, "", c->help);
	}
	fprintf(to, "\nposthaste help COMMAND lists its options; man posthaste tells the rest.\n");
}

static const struct command *
find(const char *name)
{
	for (size_t i = 0; i < COMMANDS; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static int
unknown(const char *name)
{
	struct ph_error err = PH_ERROR_INIT;
	struct ph__nearest near = { 0 };
	char best[200];

	for (size_t i = 0; i < COMMANDS; i++)
		ph__nearest_offer(&near, name, commands[i].name);
	ph__nearest_text(&near, "", best, sizeof best);
	ph__fail(&err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT, "%s: there is no such command",
	         name);
	if (near.count != 0)
		ph__hint(&err, "did you mean %s?", best);
	else
		ph__hint(&err, "posthaste help lists the commands");
	ph__problem_print(stderr, &err);
	return ph_code_exit_status(PH_EUSAGE);
}

static int
cmd_help(int argc, char **argv)
{
	const struct command *c;

	if (argc < 2 || argv[1][0] == '-') {
		print_overview(stdout);
		return ph__output_status();
	}
	if ((c = find(argv[1])) == NULL)
		return unknown(argv[1]);
	if (c->run == cmd_help || c->run == cmd_version) {
		printf("Usage: posthaste %s %s\n%s\n", c->name, c->arguments, c->help);
		return ph__output_status();
	}
	return c->run(2, (char *[]){ argv[1], (char *)"--help", NULL });
}

static int
cmd_version(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	printf("posthaste %s\n", ph_version());
	return ph__output_status();
}

/* A caller may have closed a standard stream. The next descriptor opened would take its number, and
 * a message for standard error would go to the mail server. */
static bool
fill_standard_streams(void)
{
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		/* standard input for writing only: who reads it must fail, not find an empty message */
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF &&
		    open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDWR) != fd)
			return false;
	return true;
}

int
main(int argc, char **argv)
{
	const struct command *c;

	if (!fill_standard_streams())
		return ph_code_exit_status(PH_ESYSTEM);
	signal(SIGPIPE, SIG_IGN); /* a reader that left our output must not end a delivery half way */
	if (argc < 2) {
		print_overview(stderr);
		return ph_code_exit_status(PH_EUSAGE);
	}
	if (strcmp(argv[1], "--version") == 0)
		return cmd_version(0, NULL);
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return cmd_help(1, argv);
	if ((c = find(argv[1])) == NULL)
		return unknown(argv[1]);
	return c->run(argc - 1, argv + 1);
}
