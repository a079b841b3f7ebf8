/* SPDX-License-Identifier: MIT */
/* A Maildir: written under tmp/, renamed into new/ when whole, so that a reader never sees a part.
 * The octets are those that came, CRLF and all; no header field is added. Nothing is synced to
 * disk: this is a test's capture, not a mail store. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "sink/private.h"

#define PENDING (64 * 1024)

enum ph_code
ph__sink_store_open(struct ph__sink_store *s, const char *dir, struct ph_error *err)
{
	static const char *const parts[] = { "tmp", "new", "cur" };

	*s = (struct ph__sink_store){ .dir = dir, .fd = -1 };
	if (dir == NULL)
		return PH_OK;
	if ((mkdir(dir, 0700) < 0 && errno != EEXIST) ||
	    (s->fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		return ph__fail_errno(err, PH_ECONFIG, PH_STAGE_PREPARE, PH_CAUSE_SYSTEM, errno,
		                      "cannot use the Maildir %s", dir);
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
		if (mkdirat(s->fd, parts[i], 0700) < 0 && errno != EEXIST)
			return ph__fail_errno(err, PH_ECONFIG, PH_STAGE_PREPARE, PH_CAUSE_SYSTEM,
			                      errno, "cannot make %s in the Maildir %s", parts[i],
			                      dir);
	return PH_OK;
}

void
ph__sink_store_close(struct ph__sink_store *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

static void
path_of(const struct ph__sink_file *f, const char *part, char *to, size_t size)
{
	snprintf(to, size, "%s/%s", part, f->name);
}

void
ph__sink_file_begin(struct ph__sink_store *s, struct ph__sink_file *f)
{
	struct timespec now;
	char path[128];

	if (s->dir == NULL)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	snprintf(f->name, sizeof f->name, "%lld.M%06ldP%ldQ%u.posthaste", (long long)now.tv_sec,
	         now.tv_nsec / 1000, (long)getpid(), ++s->count);
	path_of(f, "tmp", path, sizeof path);
	f->fd = openat(s->fd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	f->error = f->fd < 0 ? errno : 0;
	ph__buf_reset(&f->pending);
}

static void
write_out(struct ph__sink_file *f, struct ph_str octets)
{
	if (f->fd >= 0 && f->error == 0 && !ph__sink_write_all(f->fd, octets.ptr, octets.len))
		f->error = errno;
}

/* A stuffed dot cuts the octets into small pieces: they are joined again here. */
void
ph__sink_file_add(struct ph__sink_file *f, struct ph_str octets)
{
	if (f->fd < 0 || f->error != 0)
		return;
	if (octets.len < PENDING - f->pending.len &&
	    ph__buf_add(&f->pending, octets.ptr, octets.len))
		return;
	write_out(f, ph__buf_str(&f->pending));
	ph__buf_reset(&f->pending);
	if (octets.len >= PENDING || !ph__buf_add(&f->pending, octets.ptr, octets.len))
		write_out(f, octets);
}

bool
ph__sink_file_end(struct ph__sink_store *s, struct ph__sink_file *f)
{
	char tmp[128], final[128];

	if (s->dir == NULL)
		return true;
	write_out(f, ph__buf_str(&f->pending));
	if (f->fd >= 0 && close(f->fd) < 0 && f->error == 0)
		f->error = errno;
	path_of(f, "tmp", tmp, sizeof tmp);
	path_of(f, "new", final, sizeof final);
	if (f->fd >= 0 && f->error == 0 && renameat(s->fd, tmp, s->fd, final) < 0)
		f->error = errno;
	if (f->fd >= 0 && f->error != 0)
		unlinkat(s->fd, tmp, 0);
	f->fd = -1;
	return f->error == 0;
}

void
ph__sink_file_drop(struct ph__sink_store *s, struct ph__sink_file *f)
{
	char tmp[128];

	if (f->fd < 0)
		return;
	close(f->fd);
	f->fd = -1;
	path_of(f, "tmp", tmp, sizeof tmp);
	unlinkat(s->fd, tmp, 0);
}
