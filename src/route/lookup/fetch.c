/* SPDX-License-Identifier: MIT */
/* MTA-STS policies over HTTPS, by libcurl. See fetch.h.
 *
 * One thread drives a curl_multi: made with the first fetch, ended by ph__fetch_free(). A fetch is in
 * one of three lists, all behind the mutex: it waits, it runs (then only the thread touches its libcurl
 * handle), or it is done. The event descriptor is readable exactly while the last is not empty. The
 * thread never holds the mutex while libcurl works, and libcurl never blocks: it has no name to resolve,
 * and its sockets are non-blocking. All signals are blocked in the thread, SIGPIPE among them.
 *
 * curl_global_init() is thread-safe by itself in a libcurl that says so (7.84 and later, where it has
 * atomics); no other is used. It counts its calls: each is paired with a curl_global_cleanup().
 *
 * What the RFC demands (§3.3), and what else is refused: certificates by PKIX with a DNS-ID of the very
 * host (a common name is none), TLS 1.2 or better, no redirects, status 200 and text/plain only, no
 * cache, no proxy or credentials from wherever, a body and headers of 64 KiB, all of it within a minute.
 * A policy that was cut off is none.
 *
 * A child process has neither the thread nor, for certain, a free mutex: there a fetch is neither begun
 * nor forgotten, and what libcurl has is left to the child's end.
 *
 * Time runs from a fetch's start, not from its asking: 64 domains whose hosts never answer must not make
 * a 65th domain's policy fail, which would be a downgrade. */
#include "route/lookup/fetch.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/bounds.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/escape.h"
#include "route/domain.h"

/* "mta-sts." and 253 octets, though DNS has room for 253 in all: the caller's look-up says no first */
#define HOST_SIZE 272

struct job {
	struct ph__fetched result; /* first: it is what the caller has */
	struct job *next;
	const struct ph__fetch *f;
	bool    forgotten;         /* while it runs; behind the mutex */
	CURL   *curl;
	struct curl_slist *resolve;
	struct ph__buf body;
	size_t  header_octets;
	bool    too_large;
	bool    chunked;           /* by the last header block */
	bool    ended;             /* TLS's own end has come */
	char    host[HOST_SIZE];
	char    error[CURL_ERROR_SIZE];
	char    why[PH__QUOTE_SIZE];
};

struct list {
	struct job *first, **end;
};

struct ph__fetch {
	pthread_mutex_t lock;
	struct list waiting, running, done; /* behind the mutex; so is: */
	bool      stopping;
	size_t    running_count;            /* of the thread */
	bool      started;
	pthread_t thread;
	pid_t     pid;                      /* the thread's process */
	CURLM    *multi;
	int       event;
	char     *ca_file, *ca_dir;
	uint16_t  port;
	long      timeout_ms;
};

/* ---- lists */

static void
list_init(struct list *l)
{
	*l = (struct list){ .end = &l->first };
}

static void
push(struct list *l, struct job *j)
{
	j->next = NULL;
	*l->end = j;
	l->end = &j->next;
}

static void
cut_out(struct list *l, struct job **at)
{
	struct job *j = *at;

	if ((*at = j->next) == NULL)
		l->end = at;
}

static struct job *
pop(struct list *l)
{
	struct job *j = l->first;

	if (j != NULL)
		cut_out(l, &l->first);
	return j;
}

static void
take(struct list *l, struct job *j)
{
	struct job **at = &l->first;

	while (*at != j)
		at = &(*at)->next;
	cut_out(l, at);
}

static void
free_job(struct job *j)
{
	curl_easy_cleanup(j->curl); /* NULL is fine */
	curl_slist_free_all(j->resolve);
	ph__buf_done(&j->body);
	ph__free(&ph__libc_memory, j);
}

static void
free_all(struct list *l)
{
	for (struct job *j; (j = pop(l)) != NULL;)
		free_job(j);
}

/* ---- one fetch, in the thread */

static size_t
on_header(char *text, size_t size, size_t count, void *user)
{
	struct job *j = user;
	struct ph_str value = { text, size * count }, name = ph__str_line(&value);

	value = name;
	name = ph__str_cut(&value, ':');
	if (ph__str_begins(name, "HTTP/"))
		j->chunked = false;
	else if (ph__str_is(name, "transfer-encoding"))
		j->chunked = ph__str_is(ph__str_trim(value), "chunked");
	j->header_octets += size * count;
	return j->header_octets <= PH__FETCH_HEADER_MAX ? size * count : 0;
}

static size_t
on_body(char *text, size_t size, size_t count, void *user)
{
	struct job *j = user;
	long status = 0;

	curl_easy_getinfo(j->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status != 200)
		return 0; /* nobody wants that body: not one octet of it is kept */
	if (ph__buf_add(&j->body, text, size * count))
		return size * count;
	j->too_large = j->body.state == PH__BUF_FULL;
	return 0;
}

/* Addresses are given: should libcurl ever want to look a name up, it fails. */
static int
on_resolver(void *state, void *unused, void *user)
{
	(void)state;
	(void)unused;
	(void)user;
	return 1;
}

static void
on_tls(const SSL *ssl, int where, int value)
{
	struct job *j = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

	if (where == SSL_CB_READ_ALERT && (value & 0xff) == SSL_AD_CLOSE_NOTIFY)
		j->ended = true;
}

/* OpenSSL itself checks the name as RFC 6125 has it; libcurl would take a common name as well. The
 * system's certificates are those that OpenSSL knows, its environment variables included: the same that
 * SMTP servers are verified against. */
static CURLcode
on_ssl_ctx(CURL *curl, void *ssl_ctx, void *user)
{
	SSL_CTX *ctx = ssl_ctx;
	X509_VERIFY_PARAM *param = SSL_CTX_get0_param(ctx);
	struct job *j = user;

	(void)curl;
	if (SSL_CTX_set_app_data(ctx, j) != 1)
		return CURLE_OUT_OF_MEMORY;
	SSL_CTX_set_info_callback(ctx, on_tls);
	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
	                                       X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	if (X509_VERIFY_PARAM_set1_host(param, j->host, 0) != 1)
		return CURLE_OUT_OF_MEMORY;
	if (j->f->ca_file == NULL && j->f->ca_dir == NULL &&
	    SSL_CTX_set_default_verify_paths(ctx) != 1)
		return CURLE_OUT_OF_MEMORY;
	return CURLE_OK;
}

struct option_long { CURLoption name; long value; };

static CURLcode
set_options(struct job *j)
{
	static const struct option_long longs[] = {
		{ CURLOPT_NOSIGNAL, 1 }, { CURLOPT_FOLLOWLOCATION, 0 }, { CURLOPT_HTTP09_ALLOWED, 0 },
		{ CURLOPT_SSL_VERIFYPEER, 1 }, { CURLOPT_SSL_VERIFYHOST, 2 },
		{ CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2 }, { CURLOPT_SSL_SESSIONID_CACHE, 0 },
		{ CURLOPT_CA_CACHE_TIMEOUT, 0 }, { CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_2TLS },
		{ CURLOPT_NETRC, CURL_NETRC_IGNORED }, { CURLOPT_FRESH_CONNECT, 1 },
		{ CURLOPT_FORBID_REUSE, 1 }, { CURLOPT_MAXFILESIZE, PH__POLICY_MAX },
	};
	const struct { CURLoption name; const void *value; } pointers[] = {
		{ CURLOPT_PROTOCOLS_STR, "https" }, { CURLOPT_PROXY, "" }, { CURLOPT_RESOLVE, j->resolve },
		{ CURLOPT_CAINFO, j->f->ca_file }, { CURLOPT_CAPATH, j->f->ca_dir },
		{ CURLOPT_ERRORBUFFER, j->error }, { CURLOPT_PRIVATE, j }, { CURLOPT_HEADERDATA, j },
		{ CURLOPT_WRITEDATA, j }, { CURLOPT_SSL_CTX_DATA, j },
	};
	char url[HOST_SIZE + 64];
	CURLcode rc = CURLE_OK;

	snprintf(url, sizeof url, "https://%s:%u/.well-known/mta-sts.txt", j->host, j->f->port);
	for (size_t i = 0; rc == CURLE_OK && i < sizeof longs / sizeof *longs; i++)
		rc = curl_easy_setopt(j->curl, longs[i].name, longs[i].value);
	for (size_t i = 0; rc == CURLE_OK && i < sizeof pointers / sizeof *pointers; i++)
		rc = curl_easy_setopt(j->curl, pointers[i].name, pointers[i].value);
	if (rc != CURLE_OK ||
	    (rc = curl_easy_setopt(j->curl, CURLOPT_URL, url)) != CURLE_OK ||
	    (rc = curl_easy_setopt(j->curl, CURLOPT_TIMEOUT_MS, j->f->timeout_ms)) != CURLE_OK ||
	    (rc = curl_easy_setopt(j->curl, CURLOPT_HEADERFUNCTION, on_header)) != CURLE_OK ||
	    (rc = curl_easy_setopt(j->curl, CURLOPT_WRITEFUNCTION, on_body)) != CURLE_OK ||
	    (rc = curl_easy_setopt(j->curl, CURLOPT_RESOLVER_START_FUNCTION, on_resolver)) != CURLE_OK)
		return rc;
	return curl_easy_setopt(j->curl, CURLOPT_SSL_CTX_FUNCTION, on_ssl_ctx);
}

static void
fail(struct job *j, enum ph__sts_failure failure, const char *fmt, ...) PH_PRINTF(3, 4);

static void
fail(struct job *j, enum ph__sts_failure failure, const char *fmt, ...)
{
	char text[PH__QUOTE_SIZE];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	j->result.failure = failure;
	j->result.why = ph__quote(j->why, ph__str(text));
}

/* §3.2: parameters do not matter. */
static bool
is_plain_text(struct ph_str type)
{
	return ph__str_is(ph__str_trim(ph__str_cut(&type, ';')), "text/plain");
}

static void
judge_failure(struct job *j, CURLcode rc, long status)
{
	const char *text = j->error[0] != '\0' ? j->error : curl_easy_strerror(rc);

	if (rc == CURLE_PEER_FAILED_VERIFICATION)
		fail(j, PH__STS_WEBPKI_INVALID, "%s: %s", j->host, text);
	else if (j->header_octets > PH__FETCH_HEADER_MAX)
		fail(j, PH__STS_FETCH_ERROR, "%s: the headers are larger than 64 KiB", j->host);
	else if (status != 0 && status != 200)
		fail(j, PH__STS_FETCH_ERROR, "%s: HTTP status %ld%s", j->host, status,
		     status / 100 == 3 ? ", and a policy may not be redirected" : "");
	else if (j->too_large || rc == CURLE_FILESIZE_EXCEEDED)
		fail(j, PH__STS_FETCH_ERROR, "%s: the policy is larger than 64 KiB", j->host);
	else
		fail(j, PH__STS_FETCH_ERROR, "%s: %s", j->host, text);
}

/* HTTP says where the body ends, or TLS does. libcurl is content with an end of TCP (seen: 7.88), which
 * anybody on the way can make. */
static bool
is_whole(const struct job *j)
{
	curl_off_t length = -1;
	long version = 0;

	curl_easy_getinfo(j->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
	curl_easy_getinfo(j->curl, CURLINFO_HTTP_VERSION, &version);
	return length >= 0 || j->chunked || version >= CURL_HTTP_VERSION_2_0 || j->ended;
}

static void
judge(struct job *j, CURLcode rc)
{
	long status = 0;
	const char *type = NULL;

	curl_easy_getinfo(j->curl, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(j->curl, CURLINFO_CONTENT_TYPE, &type);
	if (rc != CURLE_OK || status != 200)
		judge_failure(j, rc, status);
	else if (j->body.len == 0) /* headers that were cut off look so, too */
		fail(j, PH__STS_FETCH_ERROR, "%s: the response is empty", j->host);
	else if (!is_whole(j))
		fail(j, PH__STS_FETCH_ERROR, "%s: the connection was cut off within the policy", j->host);
	else if (type == NULL)
		fail(j, PH__STS_FETCH_ERROR, "%s: the policy has no content type", j->host);
	else if (!is_plain_text(ph__str(type)))
		fail(j, PH__STS_FETCH_ERROR, "%s: the policy is not text/plain but %.60s", j->host, type);
	else
		j->result.body = ph__buf_str(&j->body);
}

/* ---- the thread */

/* Hands a job that has run to the owner; its handle is the thread's no more. */
static void
finish(struct ph__fetch *f, struct job *j, CURLcode rc)
{
	bool forgotten;

	judge(j, rc);
	curl_multi_remove_handle(f->multi, j->curl);
	curl_easy_cleanup(j->curl);
	j->curl = NULL;
	f->running_count--;
	pthread_mutex_lock(&f->lock);
	take(&f->running, j);
	forgotten = j->forgotten;
	if (!forgotten) {
		push(&f->done, j);
		eventfd_write(f->event, 1);
	}
	pthread_mutex_unlock(&f->lock);
	if (forgotten)
		free_job(j);
}

static void
start(struct ph__fetch *f, struct job *j)
{
	CURLcode rc = CURLE_OUT_OF_MEMORY;

	f->running_count++;
	if ((j->curl = curl_easy_init()) != NULL && (rc = set_options(j)) == CURLE_OK &&
	    curl_multi_add_handle(f->multi, j->curl) != CURLM_OK)
		rc = CURLE_OUT_OF_MEMORY;
	if (rc != CURLE_OK)
		finish(f, j, rc);
}

/* The next that waits and may run; NULL: none. */
static struct job *
next_waiting(struct ph__fetch *f)
{
	struct job *j = NULL;

	pthread_mutex_lock(&f->lock);
	if (!f->stopping && f->running_count < PH__FETCHES && (j = pop(&f->waiting)) != NULL)
		push(&f->running, j);
	pthread_mutex_unlock(&f->lock);
	return j;
}

/* One that runs for nobody; NULL: none. */
static struct job *
next_forgotten(struct ph__fetch *f)
{
	struct job *j;

	pthread_mutex_lock(&f->lock);
	for (j = f->running.first; j != NULL && !j->forgotten;)
		j = j->next;
	pthread_mutex_unlock(&f->lock);
	return j;
}

static bool
is_stopping(struct ph__fetch *f)
{
	bool yes;

	pthread_mutex_lock(&f->lock);
	yes = f->stopping;
	pthread_mutex_unlock(&f->lock);
	return yes;
}

static void *
run(void *arg)
{
	struct ph__fetch *f = arg;

	while (!is_stopping(f)) {
		int n;
		CURLMsg *m;

		curl_multi_perform(f->multi, &n);
		while ((m = curl_multi_info_read(f->multi, &n)) != NULL) {
			struct job *j = NULL;

			if (m->msg != CURLMSG_DONE)
				continue;
			curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &j);
			finish(f, j, m->data.result);
		}
		for (struct job *j; (j = next_forgotten(f)) != NULL;)
			finish(f, j, CURLE_ABORTED_BY_CALLBACK);
		/* last, as places have become free; what is new makes the poll end at once */
		for (struct job *j; (j = next_waiting(f)) != NULL;)
			start(f, j);
		curl_multi_poll(f->multi, NULL, 0, PH__MS_POLICY, NULL);
	}
	return NULL;
}

static bool
is_fit(const curl_version_info_data *v)
{
	return (v->features & CURL_VERSION_THREADSAFE) != 0 && v->ssl_version != NULL &&
	       strncmp(v->ssl_version, "OpenSSL/", 8) == 0;
}

/* 0 or an errno. The new thread inherits the mask that blocks everything. */
static int
create_thread(struct ph__fetch *f)
{
	sigset_t all, old;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&f->thread, NULL, run, f);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rc;
}

/* With the mutex held. */
static enum ph_code
start_thread(struct ph__fetch *f, struct ph_error *err)
{
	int rc;

	if (f->started)
		return PH_OK;
	if (!is_fit(curl_version_info(CURLVERSION_NOW)))
		return ph__fail(err, PH_ECONFIG, PH_STAGE_ROUTE, PH_CAUSE_MODULE,
		                "this libcurl (%s) cannot fetch MTA-STS policies: it is not built with "
		                "OpenSSL, or not for threads", curl_version());
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return ph__fail_nomem(err, PH_STAGE_ROUTE);
	if ((f->multi = curl_multi_init()) == NULL) {
		curl_global_cleanup();
		return ph__fail_nomem(err, PH_STAGE_ROUTE);
	}
	if ((rc = create_thread(f)) != 0) {
		curl_multi_cleanup(f->multi);
		curl_global_cleanup();
		return ph__fail_errno(err, PH_ESYSTEM, PH_STAGE_ROUTE, PH_CAUSE_SYSTEM, rc,
		                      "cannot start a thread for MTA-STS policies");
	}
	f->started = true;
	return PH_OK;
}

/* ---- the owner */

enum ph_code
ph__fetch_new(struct ph__fetch **ret, const struct ph__fetch_opts *opts, struct ph_error *err)
{
	struct ph__fetch *f = ph__alloc0(&ph__libc_memory, sizeof *f);
	int sys;

	*ret = NULL;
	if (f == NULL)
		return ph__fail_nomem(err, PH_STAGE_ROUTE);
	f->pid = getpid();
	pthread_mutex_init(&f->lock, NULL);
	list_init(&f->waiting);
	list_init(&f->running);
	list_init(&f->done);
	f->port = opts->port != 0 ? opts->port : 443;
	f->timeout_ms = (long)(opts->timeout_ms != 0 ? opts->timeout_ms : PH__MS_POLICY);
	f->ca_file = opts->ca_file != NULL ? ph__strdup(&ph__libc_memory, opts->ca_file) : NULL;
	f->ca_dir = opts->ca_dir != NULL ? ph__strdup(&ph__libc_memory, opts->ca_dir) : NULL;
	f->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	sys = errno;
	if (f->event < 0) {
		ph__fetch_free(&f);
		return ph__fail_errno(err, PH_ESYSTEM, PH_STAGE_ROUTE, PH_CAUSE_SYSTEM, sys,
		                      "cannot make a descriptor for MTA-STS policies");
	}
	if ((f->ca_file == NULL) != (opts->ca_file == NULL) ||
	    (f->ca_dir == NULL) != (opts->ca_dir == NULL)) {
		ph__fetch_free(&f);
		return ph__fail_nomem(err, PH_STAGE_ROUTE);
	}
	*ret = f;
	return PH_OK;
}

/* "+HOST:PORT:ADDRESS,[ADDRESS]": a name that libcurl is given, and may forget (+). */
static enum ph_code
add_addresses(struct job *j, const char *const *addresses, size_t count, struct ph_error *err)
{
	struct ph__buf text;
	struct in6_addr any;

	ph__buf_init(&text, &ph__libc_memory, sizeof j->host + PH__FETCH_ADDRESSES * 64);
	ph__buf_addf(&text, "+%s:%u:", j->host, j->f->port);
	for (size_t i = 0; i < count && i < PH__FETCH_ADDRESSES; i++) {
		bool v6 = inet_pton(AF_INET6, addresses[i], &any) == 1;

		if (!v6 && inet_pton(AF_INET, addresses[i], &any) != 1) {
			ph__buf_done(&text);
			return ph__fail(err, PH_EINPUT, PH_STAGE_ROUTE, PH_CAUSE_ARGUMENT,
			                "%s is no address of %s", addresses[i], j->host);
		}
		ph__buf_addf(&text, v6 ? "%s[%s]" : "%s%s", i != 0 ? "," : "", addresses[i]);
	}
	if (ph__buf_ok(&text))
		j->resolve = curl_slist_append(NULL, ph__buf_cstr(&text));
	ph__buf_done(&text);
	return j->resolve != NULL ? PH_OK : ph__fail_nomem(err, PH_STAGE_ROUTE);
}

static enum ph_code
enqueue(struct ph__fetch *f, struct job *j, struct ph_error *err)
{
	enum ph_code rc;

	pthread_mutex_lock(&f->lock);
	if ((rc = start_thread(f, err)) == PH_OK)
		push(&f->waiting, j);
	pthread_mutex_unlock(&f->lock);
	if (rc == PH_OK)
		curl_multi_wakeup(f->multi);
	return rc;
}

enum ph_code
ph__fetch_begin(struct ph__fetch *f, const char *domain, const char *const *addresses, size_t count,
                void *user, struct ph_error *err)
{
	struct job *j;
	enum ph_code rc;

	if (f->pid != getpid())
		return ph__fail(err, PH_EUSAGE, PH_STAGE_ROUTE, PH_CAUSE_STATE,
		                "policies are not fetched in a child process");
	if (!ph__name_is_host(ph__str(domain)) || count == 0) /* it becomes part of a URL */
		return ph__fail(err, PH_EINPUT, PH_STAGE_ROUTE, PH_CAUSE_ARGUMENT,
		                "no policy can be fetched for %s: %s", domain,
		                count == 0 ? "its host has no address" : "this is no domain");
	if ((j = ph__alloc0(&ph__libc_memory, sizeof *j)) == NULL)
		return ph__fail_nomem(err, PH_STAGE_ROUTE);
	j->f = f;
	j->result.user = user;
	ph__buf_init(&j->body, &ph__libc_memory, PH__POLICY_MAX);
	snprintf(j->host, sizeof j->host, "mta-sts.%s", domain);
	if ((rc = add_addresses(j, addresses, count, err)) < 0 || (rc = enqueue(f, j, err)) < 0)
		free_job(j);
	return rc;
}

int
ph__fetch_fd(const struct ph__fetch *f)
{
	return f->event;
}

struct ph__fetched *
ph__fetch_next(struct ph__fetch *f)
{
	struct job *j;
	eventfd_t count;

	if (f->pid != getpid())
		return NULL;
	pthread_mutex_lock(&f->lock);
	j = pop(&f->done);
	if (f->done.first == NULL)
		eventfd_read(f->event, &count);
	pthread_mutex_unlock(&f->lock);
	return j != NULL ? &j->result : NULL;
}

void
ph__fetched_free(struct ph__fetched **r)
{
	if (*r != NULL)
		free_job((struct job *)*r);
	*r = NULL;
}

static void
forget_all(struct list *l, const void *user)
{
	for (struct job **at = &l->first; *at != NULL;) {
		struct job *j = *at;

		if (j->result.user != user) {
			at = &j->next;
			continue;
		}
		cut_out(l, at);
		free_job(j);
	}
}

void
ph__fetch_forget(struct ph__fetch *f, const void *user)
{
	eventfd_t count;
	bool wake = false;

	if (f->pid != getpid())
		return;
	pthread_mutex_lock(&f->lock);
	forget_all(&f->waiting, user);
	forget_all(&f->done, user);
	if (f->done.first == NULL)
		eventfd_read(f->event, &count);
	for (struct job *j = f->running.first; j != NULL; j = j->next)
		if (j->result.user == user)
			wake = j->forgotten = true;
	pthread_mutex_unlock(&f->lock);
	if (wake)
		curl_multi_wakeup(f->multi);
}

void
ph__fetch_free(struct ph__fetch **fetch)
{
	struct ph__fetch *f = *fetch;

	if (f == NULL)
		return;
	*fetch = NULL;
	if (f->pid != getpid()) {
		close(f->event);
		return;
	}
	if (f->started) {
		pthread_mutex_lock(&f->lock);
		f->stopping = true;
		pthread_mutex_unlock(&f->lock);
		curl_multi_wakeup(f->multi);
		pthread_join(f->thread, NULL);
		for (struct job *j = f->running.first; j != NULL; j = j->next)
			curl_multi_remove_handle(f->multi, j->curl);
	}
	free_all(&f->waiting);
	free_all(&f->running);
	free_all(&f->done);
	if (f->started) {
		curl_multi_cleanup(f->multi);
		curl_global_cleanup();
	}
	if (f->event >= 0)
		close(f->event);
	pthread_mutex_destroy(&f->lock);
	ph__free(&ph__libc_memory, f->ca_file);
	ph__free(&ph__libc_memory, f->ca_dir);
	ph__free(&ph__libc_memory, f);
}
