/* SPDX-License-Identifier: MIT */
/* Files and standard input. See input.h. */
#include "cli/input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/error.h"
#include "cli/spool.h"

#define READ_SIZE 16384

static bool
is_stdin(const char *path)
{
	return path == NULL || strcmp(path, "-") == 0;
}

const char *
ph__input_name(const char *path)
{
	return is_stdin(path) ? "standard input" : path;
}

enum ph_code
ph__input_unreadable(const char *path, int sys, struct ph_error *err)
{
	return ph__fail_errno(err, PH_ENOINPUT, PH_STAGE_PREPARE, PH_CAUSE_SYSTEM, sys,
	                      "cannot read %s", ph__input_name(path));
}

enum ph_code
ph__input_open(const char *path, const char *noun, int *ret_fd, bool *ret_owned,
               struct stat *ret_st, struct ph_error *err)
{
	bool own = !is_stdin(path);
	int fd = own ? open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY) : STDIN_FILENO;
	int sys = fd < 0 || fstat(fd, ret_st) != 0 ? errno : S_ISDIR(ret_st->st_mode) ? EISDIR : 0;

	if (sys != 0) {
		if (own && fd >= 0)
			close(fd);
		return ph__input_unreadable(path, sys, err);
	}
	if (isatty(fd))
		fprintf(stderr, "Write the %s; end it with Ctrl-D on a line of its own.\n", noun);
	*ret_fd = fd;
	*ret_owned = own;
	return PH_OK;
}

enum ph_code
ph__input_read(const char *path, struct ph__buf *text, struct ph_error *err)
{
	struct stat st;
	bool owned;
	ssize_t n = 1;
	int fd, sys = 0;
	enum ph_code rc = ph__input_open(path, "text", &fd, &owned, &st, err);

	if (rc != PH_OK)
		return rc;
	while (ph__buf_reserve(text, READ_SIZE)) {
		n = ph__read_some(fd, text->p + text->len, READ_SIZE); /* @UNSAFE: reserve() made room */
		if (n <= 0)
			break;
		text->len += (size_t)n;
	}
	sys = errno;
	if (owned)
		close(fd);
	if (n < 0)
		return ph__input_unreadable(path, sys, err);
	if (text->state == PH__BUF_NOMEM)
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	if (ph__buf_ok(text))
		return PH_OK;
	return ph__fail(err, PH_EINPUT, PH_STAGE_PREPARE, PH_CAUSE_LIMIT, "%s: the text is over 256 MiB",
	                ph__input_name(path));
}
