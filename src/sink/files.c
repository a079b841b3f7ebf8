/* SPDX-License-Identifier: MIT */
/* Small files, read and written whole. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "sink/private.h"

enum ph_code
ph__sink_read_file(const char *path, struct ph__buf *into, struct ph_error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char block[4096];
	ssize_t n = -1;

	while (fd >= 0 && ((n = read(fd, block, sizeof block)) > 0 || (n < 0 && errno == EINTR)))
		if (n > 0 && !ph__buf_add(into, block, (size_t)n))
			break;
	ph__wipe(block, sizeof block);
	if (n < 0)
		ph__fail_errno(err, PH_ENOINPUT, PH_STAGE_PREPARE, PH_CAUSE_SYSTEM, errno,
		               "cannot read %s", path);
	if (fd >= 0)
		close(fd);
	if (n > 0 && into->state == PH__BUF_NOMEM)
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	if (n > 0)
		return ph__fail(err, PH_ENOINPUT, PH_STAGE_PREPARE, PH_CAUSE_LIMIT,
		                "%s is larger than %zu octets", path, into->max);
	return n < 0 ? PH_ENOINPUT : PH_OK;
}

bool
ph__sink_write_all(int fd, const void *p, size_t n)
{
	const char *at = p;

	while (n != 0) {
		ssize_t k = write(fd, at, n);

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return false;
		at += k;
		n -= (size_t)k;
	}
	return true;
}

enum ph_code
ph__sink_write_file(const char *path, struct ph_str text, struct ph_error *err)
{
	char tmp[4096];
	int n = snprintf(tmp, sizeof tmp, "%s.%ld", path, (long)getpid()), fd = -1;
	bool ok;

	if (n < 0 || (size_t)n >= sizeof tmp) {
		errno = ENAMETOOLONG;
		ok = false;
	} else {
		fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
		ok = fd >= 0 && ph__sink_write_all(fd, text.ptr, text.len) &&
		     rename(tmp, path) == 0;
	}
	if (!ok)
		ph__fail_errno(err, PH_ECONFIG, PH_STAGE_PREPARE, PH_CAUSE_SYSTEM, errno,
		               "cannot write %s", path);
	if (fd >= 0)
		close(fd);
	if (!ok && fd >= 0)
		unlink(tmp);
	return ok ? PH_OK : PH_ECONFIG;
}
