/* SPDX-License-Identifier: MIT */
/* Name resolution that can be left behind. See resolve.h.
 *
 * getaddrinfo() honours what the machine's owner set up (hosts, NSS, search list) but blocks and
 * cannot be cancelled. It runs in a detached thread; thread and asker share a job with two
 * references, and the last to let go frees it. The thread touches nothing but the job: the asker,
 * its allocator and its error may be gone by then, so the job's memory is the C library's.
 * `done` (release, acquire) publishes the answer; the pipe only wakes. Its reading end lives as
 * long as the job, so writing raises no SIGPIPE; other signals are blocked in the thread, as a
 * library's thread must not run the program's handlers. */
#include "net/resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"

struct ph__resolve {
	atomic_int  refs;
	atomic_bool done;
	int      wake[2];
	int      family;
	int      rc, sys;
	struct addrinfo *list;
	uint64_t began_us, ended_us;
	char     host[260];
};

static void
unref(struct ph__resolve *r)
{
	if (atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (r->list != NULL)
		freeaddrinfo(r->list);
	close(r->wake[0]);
	close(r->wake[1]);
	ph__free(&ph__libc_memory, r);
}

static void *
look_up(void *arg)
{
	struct ph__resolve *r = arg;
	struct addrinfo want = { .ai_family = r->family, .ai_socktype = SOCK_STREAM };
	ssize_t n;

	r->rc = getaddrinfo(r->host, NULL, &want, &r->list);
	r->sys = r->rc == EAI_SYSTEM ? errno : 0;
	if (r->rc != 0)
		r->list = NULL;
	r->ended_us = ph__now_us();
	atomic_store_explicit(&r->done, true, memory_order_release);
	do
		n = write(r->wake[1], "", 1);
	while (n < 0 && errno == EINTR);
	unref(r);
	return NULL;
}

/* 0 or an errno. The new thread inherits the mask that blocks everything. */
static int
run_detached(struct ph__resolve *r)
{
	pthread_attr_t attr;
	pthread_t thread;
	sigset_t all, old;
	int rc;

	if ((rc = pthread_attr_init(&attr)) != 0)
		return rc;
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&thread, &attr, look_up, r);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	return rc;
}

enum ph_code
ph__resolve_start(struct ph__resolve **ret, const char *host, int family, struct ph_error *err)
{
	struct ph__resolve *r = ph__alloc0(&ph__libc_memory, sizeof *r);
	int rc;

	if (r == NULL)
		return ph__fail_nomem(err, PH_STAGE_RESOLVE);
	snprintf(r->host, sizeof r->host, "%s", host);
	r->family = family;
	atomic_init(&r->refs, 2);
	atomic_init(&r->done, false);
	r->began_us = ph__now_us();
	if (pipe2(r->wake, O_CLOEXEC | O_NONBLOCK) != 0) {
		rc = errno;
		ph__free(&ph__libc_memory, r);
		return ph__fail_errno(err, PH_ESYSTEM, PH_STAGE_RESOLVE, PH_CAUSE_SYSTEM, rc,
		                      "cannot make a pipe for the name look-up");
	}
	if ((rc = run_detached(r)) != 0) {
		atomic_store(&r->refs, 1);
		unref(r);
		return ph__fail_errno(err, PH_ESYSTEM, PH_STAGE_RESOLVE, PH_CAUSE_SYSTEM, rc,
		                      "cannot start a thread for the name look-up");
	}
	*ret = r;
	return PH_OK;
}

int
ph__resolve_fd(const struct ph__resolve *r)
{
	return r->wake[0];
}

bool
ph__resolve_ready(struct ph__resolve *r)
{
	return atomic_load_explicit(&r->done, memory_order_acquire);
}

int
ph__resolve_answer(const struct ph__resolve *r, int *sys, const struct addrinfo **list)
{
	*sys = r->sys;
	*list = r->list;
	return r->rc;
}

uint64_t
ph__resolve_us(const struct ph__resolve *r)
{
	return r->ended_us - r->began_us;
}

void
ph__resolve_drop(struct ph__resolve **r)
{
	if (*r != NULL)
		unref(*r);
	*r = NULL;
}
