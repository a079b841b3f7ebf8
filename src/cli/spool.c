/* SPDX-License-Identifier: MIT */
/* See spool.h. The file has no name from the first moment on, so nobody else can open it and nothing
 * is left behind, whatever ends this process. */
#include "cli/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/error.h"

#define PIECE 65536

ssize_t
ph__read_some(int fd, void *buf, size_t n)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t got;

	while ((got = read(fd, buf, n)) < 0 && (errno == EINTR || errno == EAGAIN))
		if (errno == EAGAIN)
			poll(&p, 1, -1);
	return got;
}

/* Not every file system has files without a name: there it has one for an instant. */
static int
open_unnamed(const char *dir)
{
	char name[4096];
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600);

	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
		return fd;
	if (snprintf(name, sizeof name, "%s/posthaste-XXXXXX", dir) >= (int)sizeof name) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if ((fd = mkostemp(name, O_CLOEXEC)) >= 0)
		unlink(name);
	return fd;
}

static bool
write_all(int fd, const char *p, size_t n)
{
	while (n != 0) {
		ssize_t done = write(fd, p, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return false;
		p += done;
		n -= (size_t)done;
	}
	return true;
}

static enum ph_code
no_room(const char *dir, struct ph_error *err)
{
	ph__fail_errno(err, PH_ESYSTEM, PH_STAGE_PREPARE, PH_CAUSE_SYSTEM, errno,
	               "the message cannot be kept in %s until every server has it", dir);
	ph__hint(err, "set TMPDIR to a folder with room for it, or give the message as a file");
	return PH_ESYSTEM;
}

enum ph_code
ph__spool(int *ret_fd, struct ph_str head, int from, const char *path, struct ph_error *err)
{
	const char *dir = getenv("TMPDIR");
	char piece[PIECE];
	ssize_t n = 0;
	int fd;

	if (dir == NULL || *dir == '\0')
		dir = "/var/tmp";
	if ((fd = open_unnamed(dir)) < 0)
		return no_room(dir, err);
	if (!write_all(fd, head.ptr, head.len))
		goto full;
	while ((n = ph__read_some(from, piece, sizeof piece)) > 0)
		if (!write_all(fd, piece, (size_t)n))
			goto full;
	if (n == 0) {
		*ret_fd = fd;
		return PH_OK;
	}
	ph__fail_errno(err, PH_ENOINPUT, PH_STAGE_PREPARE, PH_CAUSE_SYSTEM, errno, "cannot read %s", path);
	close(fd);
	return PH_ENOINPUT;
full:
	no_room(dir, err);
	close(fd);
	return PH_ESYSTEM;
}
