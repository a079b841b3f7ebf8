/* SPDX-License-Identifier: MIT */
#ifndef PH_CLI_COMMANDS_H
#define PH_CLI_COMMANDS_H
/* The subcommands. argv[0] is the name; each returns the exit status and answers --help. */

int ph__cmd_send(int argc, char **argv);
int ph__cmd_probe(int argc, char **argv);
int ph__cmd_sink(int argc, char **argv);

#endif
