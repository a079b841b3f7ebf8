/* SPDX-License-Identifier: MIT */
#ifndef PH_CLI_LINE_EDITOR_H
#define PH_CLI_LINE_EDITOR_H
/* The module "edit": a prompt with line editing and history, by libedit (whose licence is BSD's; that of
 * GNU readline would not do), loaded when first needed or linked in (base/module.h). The octets come
 * through the caller, who may have other things to wait for than the keyboard. */
#include <stdio.h>
#include <posthaste/error.h>

struct ph__line_editor; /* the module's */

struct ph__edit_module {
	const char *build_id;
	/* For the terminal that `fd` reads and `out` writes. next() waits for an octet: 0 to 255, or -1 to
	 * give the line up. NULL: it cannot be had. */
	struct ph__line_editor *(*open)(int fd, FILE *out, int (*next)(void *user), void *user);
	/* A line without its end, valid until the next call; NULL: next() gave up, or the input ended (^D
	 * on an empty line). The terminal is as it was before. */
	const char *(*read)(struct ph__line_editor *e, const char *prompt, size_t *len);
	/* Adds a line to the history, which is in memory only. */
	void (*remember)(struct ph__line_editor *e, const char *line);
	void (*close)(struct ph__line_editor *e); /* NULL is fine */
};

/* The table as the module exports it. Others ask for it with ph__edit_module(). */
PH_API extern const struct ph__edit_module ph__module_edit;

/* The module, loaded on first use; NULL and *err (PH_ECONFIG, with what to install) when it cannot be. */
const struct ph__edit_module *ph__edit_module(struct ph_error *err);

#endif
