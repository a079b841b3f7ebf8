/* SPDX-License-Identifier: MIT */
/* Asking libunbound, and handing its answers on in time. See resolver.h.
 *
 * libunbound works in a thread of its own, with which it talks over pipes: validating signatures
 * does not hold up whoever moves mail, and one loop can ask for many domains at the same time. Measured
 * beside its other forms, this is the fastest with many questions under way; a plain ub_resolve() sets up
 * a worker for each question.
 *
 * Threads: a resolver belongs to one thread, and so do its askers. An engine with several has one that
 * asks for all of them; libunbound's own functions lock.
 *
 * When DNSSEC is not to be had. A forwarder that takes signatures out of its answers makes everything
 * bogus to a validator, and no mail could be sent. So the first bogus answer starts a probe, while
 * it and those like it wait:
 *
 *   1. The trust anchor's own DNSKEY records, validated. Secure: DNSSEC works, the answer is what it
 *      says, and nothing changes that any more for the life of this resolver. So does any secure answer
 *      before: no probe then.
 *   2. If that is bogus: the same question without validation. An answer without a single signature
 *      (RRSIG) means that these servers do no DNSSEC: all questions, those that wait first, go to a
 *      context without trust anchors from now on, everything is insecure, and unvalidated() says why.
 *   3. Signatures are there, and wrong: an attack, a wrong anchor, or a clock that is off. No answer,
 *      SERVFAIL, REFUSED: who can suppress answers must not be able to switch validation off. In both
 *      cases all stays bogus, and the answers say what may be the reason; the next one probes again.
 *
 * Somebody on the path who takes the signatures out of all answers, from the first on, looks like such a
 * forwarder: without DNSSEC there is no telling. Whoever cannot have that asks for DANE, or asks
 * "recursive", where step 2 never happens. */
#include "route/lookup/resolver.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "route/lookup/servers.h"

enum probe {
	NOT_PROBED,  /* or without a result */
	VALIDATING,  /* step 1 is under way */
	LOOKING,     /* step 2 */
	FOUND_WORKING, FOUND_UNSIGNED, FOUND_WRONG, FOUND_NOTHING, /* answered; settle() acts upon it */
	PROVED,      /* DNSSEC works */
	WITHOUT      /* it is done without */
};

struct ph__resolver {
	const struct ph_allocator *mem;
	struct ph__dns_setup setup;
	struct ub_ctx *ub;              /* who is asked */
	struct ub_ctx *bare;            /* of step 2: without trust anchors */
	bool begun, bare_begun;         /* their threads have */
	pid_t pid;                      /* the threads' process */
	uint64_t timeout_ms;
	enum probe probe;
	int probe_id;
	uint64_t probe_due;
	struct ph__ask *first, *last;   /* open, the first due in front */
	struct ph__ask *cursor;         /* of a walk over them that may lose elements */
	struct ph_str *data;            /* an answer's, lent while it is handed on */
	size_t data_cap;
	char why_off[256];              /* of WITHOUT, and where there is no anchor */
	char why_wrong[512];            /* of FOUND_WRONG */
	bool heard;                     /* something else than SERVFAIL, which libunbound says of silence, too */
	char why_silent[256];           /* of SERVFAIL before that */
};

/* ---- the list ---- */

static void
insert(struct ph__resolver *r, struct ph__ask *a)
{
	struct ph__ask *after = r->last;

	while (after != NULL && after->due > a->due)
		after = after->prev;
	a->prev = after;
	a->next = after != NULL ? after->next : r->first;
	*(a->prev != NULL ? &a->prev->next : &r->first) = a;
	*(a->next != NULL ? &a->next->prev : &r->last) = a;
}

static void
unlink_ask(struct ph__ask *a)
{
	struct ph__resolver *r = a->resolver;

	if (r->cursor == a)
		r->cursor = a->next;
	*(a->prev != NULL ? &a->prev->next : &r->first) = a->next;
	*(a->next != NULL ? &a->next->prev : &r->last) = a->prev;
	a->prev = a->next = NULL;
	a->resolver = NULL;
}

/* ---- answers ---- */

/* The last question of an asker may free it. */
static void
answer(struct ph__ask *a, const struct ph__dns_answer *what)
{
	unlink_ask(a);
	a->answered(a, what);
}

static void
fail(struct ph__ask *a, enum ph__dns_status status, const char *why)
{
	answer(a, &(struct ph__dns_answer){ .status = status, .why = why });
}

static const char *
silent_text(struct ph__resolver *r)
{
	char names[160];

	ph__dns_setup_name(names, sizeof names, &r->setup);
	snprintf(r->why_silent, sizeof r->why_silent, "no DNS server answers (asked: %s), or none can find "
	         "out (SERVFAIL)", r->setup.count != 0 ? names : "the name servers of the Internet");
	return r->why_silent;
}

static const char *
rcode_text(int rcode)
{
	switch (rcode) {
	case 1: return "the DNS server calls the question malformed (FORMERR)";
	case 2: return "the DNS server cannot find out (SERVFAIL)";
	case 4: return "the DNS server does not know such questions (NOTIMP)";
	case 5: return "the DNS server refuses to answer (REFUSED)";
	default: return "the DNS server answers with an error";
	}
}

/* The records, as pieces of the result. False: out of memory. */
static bool
lend_data(struct ph__resolver *r, struct ph__dns_answer *to, const struct ub_result *from)
{
	size_t n = 0;

	while (from->data != NULL && from->data[n] != NULL)
		n++;
	if (n > r->data_cap) {
		struct ph_str *more = ph__alloc_array(r->mem, n, sizeof *more);

		if (more == NULL)
			return false;
		ph__free(r->mem, r->data);
		r->data = more;
		r->data_cap = n;
	}
	for (size_t i = 0; i < n; i++)
		r->data[i] = (struct ph_str){ from->data[i],
		                              from->len[i] > 0 ? (size_t)from->len[i] : 0 };
	to->data = r->data;
	to->count = n;
	return true;
}

static enum ph__dns_status
status_of(const struct ub_result *res)
{
	if (res->bogus || (res->rcode != 0 && !res->nxdomain))
		return PH__DNS_FAILED;
	if (res->nxdomain)
		return PH__DNS_NXDOMAIN;
	return res->havedata ? PH__DNS_FOUND : PH__DNS_NODATA;
}

static void
hand_on(struct ph__ask *a, struct ub_result *res)
{
	struct ph__resolver *r = a->resolver;
	struct ph__dns_answer to = { .status = status_of(res), .trust = res->bogus ?
	                             PH__DNS_BOGUS : res->secure ? PH__DNS_SECURE : PH__DNS_INSECURE };

	a->held = NULL;
	if (to.status == PH__DNS_FAILED)
		to.why = !res->bogus ? res->rcode == 2 && !r->heard ? silent_text(r) : rcode_text(res->rcode)
		       : *r->why_wrong != '\0' ?
		         r->why_wrong : res->why_bogus;
	else if (res->canonname != NULL) {
		size_t len = strlen(res->canonname);

		if (len > 1 && res->canonname[len - 1] == '.')
			res->canonname[len - 1] = '\0';
		to.canonical = res->canonname;
	}
	if (to.status != PH__DNS_FOUND || lend_data(r, &to, res))
		answer(a, &to);
	else
		fail(a, PH__DNS_FAILED, "out of memory");
	ub_resolve_free(res);
}

static void probe_begin(struct ph__resolver *r);

/* libunbound's, from within ub_process(). */
static void
on_result(void *arg, int failed, struct ub_result *res)
{
	struct ph__ask *a = arg;
	struct ph__resolver *r = a->resolver;

	a->under_way = false;
	if (failed || res == NULL) {
		if (res != NULL)
			ub_resolve_free(res);
		fail(a, PH__DNS_FAILED, ub_strerror(failed));
		return;
	}
	r->heard |= res->bogus || res->rcode != 2;
	if (res->secure && r->probe == NOT_PROBED)
		r->probe = PROVED;
	if (!res->bogus || r->probe == PROVED || r->probe == WITHOUT) {
		hand_on(a, res);
		return;
	}
	a->held = res;
	if (r->probe == NOT_PROBED)
		probe_begin(r);
}

/* ---- asking ---- */

/* The thread that libunbound begins with the first question gets no signals: they are the program's. */
static int
ask_unbound(struct ub_ctx *ub, bool *begun, const char *name, int type, void *arg,
            ub_callback_type callback, int *id)
{
	sigset_t all, before;
	int failed;

	if (*begun)
		return ub_resolve_async(ub, name, type, 1, arg, callback, id);
	*begun = true;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	failed = ub_resolve_async(ub, name, type, 1, arg, callback, id);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return failed;
}

/* In a child of the process that asked there is no thread, but its pipes, which are the parent's: to ask,
 * to take an answer or to give up there would be done to the parent's questions. */
static bool
is_ours(const struct ph__resolver *r)
{
	return r->pid == getpid();
}

/* Without memory, with a name that is none or in a child: process() answers. */
static void
begin(struct ph__ask *a, uint64_t due)
{
	struct ph__resolver *r = a->resolver;

	a->under_way = is_ours(r) && ask_unbound(r->ub, &r->begun, a->name, (int)a->type, a, on_result,
	                            &a->id) == 0;
	a->due = a->under_way ? due : 0;
}

void
ph__resolver_ask(struct ph__resolver *r, struct ph__ask *a, const char *name,
                 enum ph__dns_type type, uint64_t due)
{
	a->resolver = r;
	a->name = name;
	a->type = type;
	a->held = NULL;
	begin(a, due);
	insert(r, a);
}

/* What libunbound still does for it comes to nothing. */
static void
give_up(struct ph__ask *a)
{
	if (a->under_way && is_ours(a->resolver))
		ub_cancel(a->resolver->ub, a->id);
	a->under_way = false;
	if (a->held != NULL)
		ub_resolve_free(a->held);
	a->held = NULL;
}

void
ph__resolver_forget(struct ph__ask *a)
{
	if (a->resolver == NULL)
		return;
	give_up(a);
	unlink_ask(a);
}

/* ---- the probe ---- */

/* Passes over a name; 0: it does not end. */
static size_t
skip_name(const unsigned char *p, size_t at, size_t len)
{
	while (at < len && p[at] != 0) {
		if (p[at] >= 0xc0)
			return at + 2;
		at += 1u + p[at];
	}
	return at + 1;
}

static unsigned
number16(const unsigned char *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

/* Whether there is an RRSIG record in a DNS message (RFC 1035 §4.1); one that cannot be read might have
 * some. */
static bool
has_signatures(const void *packet, int packet_len)
{
	const unsigned char *p = packet;
	size_t len = packet != NULL && packet_len > 0 ? (size_t)packet_len : 0, at = 12;
	unsigned questions, records;

	if (len < 12)
		return true;
	questions = number16(p + 4);
	records = number16(p + 6) + number16(p + 8) + number16(p + 10);
	while (questions-- > 0)
		at = skip_name(p, at, len) + 4;
	while (records-- > 0) {
		at = skip_name(p, at, len);
		if (at + 10 > len || number16(p + at) == 46)
			return true;
		at += 10 + number16(p + at + 8);
	}
	return false;
}

/* Step 2 is answered. */
static void
on_bare(void *arg, int failed, struct ub_result *res)
{
	struct ph__resolver *r = arg;

	if (failed || res == NULL || (res->rcode != 0 && !res->nxdomain))
		r->probe = FOUND_NOTHING;
	else if (has_signatures(res->answer_packet, res->answer_len))
		r->probe = FOUND_WRONG;
	else
		r->probe = FOUND_UNSIGNED;
	if (res != NULL)
		ub_resolve_free(res);
}

static void
look(struct ph__resolver *r)
{
	r->probe = FOUND_NOTHING;
	r->bare = ph__dns_setup_open(&r->setup, false, NULL);
	r->bare_begun = false;
	if (r->bare != NULL && ask_unbound(r->bare, &r->bare_begun, r->setup.anchor, PH__DNS_DNSKEY,
	                                   r, on_bare, &r->probe_id) == 0)
		r->probe = LOOKING;
}

/* Step 1 is answered. */
static void
on_anchor(void *arg, int failed, struct ub_result *res)
{
	struct ph__resolver *r = arg;

	if (failed || res == NULL || (!res->bogus && !res->secure))
		r->probe = FOUND_NOTHING;
	else if (res->secure)
		r->probe = FOUND_WORKING;
	else {
		snprintf(r->why_wrong, sizeof r->why_wrong, "nothing validates by the trust anchor %s: "
		         "is the clock right, and the anchor that of this network? (%s)",
		         r->setup.anchor_file, res->why_bogus != NULL ? res->why_bogus : "bogus");
		if (r->setup.count > 0)
			look(r);
		else
			r->probe = FOUND_WRONG;
	}
	if (res != NULL)
		ub_resolve_free(res);
}

static void
probe_begin(struct ph__resolver *r)
{
	r->probe_due = ph__now_ms() + r->timeout_ms;
	r->probe = ask_unbound(r->ub, &r->begun, r->setup.anchor, PH__DNS_DNSKEY, r, on_anchor,
	                       &r->probe_id) == 0 ? VALIDATING : FOUND_NOTHING;
}

/* All that is open is asked anew, of a context that does not validate. */
static void
go_without(struct ph__resolver *r)
{
	char names[160];

	for (struct ph__ask *a = r->first; a != NULL; a = a->next)
		give_up(a);
	ph__dns_setup_close(r->ub);
	r->ub = r->bare;
	r->begun = r->bare_begun;
	r->bare = NULL;
	for (struct ph__ask *a = r->first; a != NULL; a = a->next)
		if (a->due != 0)
			begin(a, a->due);
	ph__dns_setup_name(names, sizeof names, &r->setup);
	snprintf(r->why_off, sizeof r->why_off, "the DNS servers asked (%s) give no signatures: they do "
	         "no DNSSEC", names);
	r->probe = WITHOUT;
}

/* The answers that wait are what they are. */
static void
release(struct ph__resolver *r)
{
	for (struct ph__ask *a = r->first; a != NULL; a = r->cursor) {
		r->cursor = a->next;
		if (a->held != NULL)
			hand_on(a, a->held);
	}
	r->cursor = NULL;
	ph__dns_setup_close(r->bare);
	r->bare = NULL;
}

/* Acts upon a probe's result, from outside of libunbound. */
static void
settle(struct ph__resolver *r)
{
	if ((r->probe == VALIDATING || r->probe == LOOKING) && r->probe_due <= ph__now_ms()) {
		ub_cancel(r->probe == LOOKING ? r->bare : r->ub, r->probe_id);
		r->probe = FOUND_NOTHING;
	}
	switch (r->probe) {
	case FOUND_UNSIGNED:
		go_without(r);
		break;
	case FOUND_WORKING:
		r->probe = PROVED;
		*r->why_wrong = '\0';
		release(r);
		break;
	case FOUND_NOTHING:
		*r->why_wrong = '\0';
		/* fall through */
	case FOUND_WRONG:
		r->probe = NOT_PROBED;
		release(r);
		break;
	default:
		break;
	}
}

/* ---- moving on ---- */

/* Only the one whose answer is next: while the probe looks without validation, all others wait for it. */
int
ph__resolver_fd(const struct ph__resolver *r)
{
	return ub_fd(r->probe == LOOKING ? r->bare : r->ub);
}

uint64_t
ph__resolver_deadline(const struct ph__resolver *r)
{
	uint64_t due = r->first != NULL ? r->first->due : UINT64_MAX;

	if ((r->probe == VALIDATING || r->probe == LOOKING) && r->probe_due < due)
		due = r->probe_due;
	return due;
}

static void
expire(struct ph__resolver *r)
{
	uint64_t now = ph__now_ms();
	struct ph__ask *a;

	while ((a = r->first) != NULL && a->due <= now) {
		bool asked = a->due != 0;

		if (a->held != NULL) {
			hand_on(a, a->held);
			continue;
		}
		give_up(a);
		if (asked)
			fail(a, PH__DNS_LATE, "the DNS servers did not answer in time");
		else
			fail(a, PH__DNS_FAILED, is_ours(r) ? "libunbound does not take the question"
			                                   : "look-ups do not go on in a child process");
	}
}

void
ph__resolver_process(struct ph__resolver *r)
{
	if (is_ours(r)) {
		ub_process(r->ub);
		if (r->bare != NULL)
			ub_process(r->bare);
		settle(r);
	}
	expire(r);
}

const char *
ph__resolver_unvalidated(const struct ph__resolver *r)
{
	return *r->why_off != '\0' ? r->why_off : NULL;
}

/* ---- beginning and end ---- */

enum ph_code
ph__resolver_new(struct ph__resolver **ret, const struct ph__lookup_opts *opts,
                 const struct ph_allocator *mem, struct ph_error *err)
{
	struct ph__resolver *r = ph__alloc0(mem, sizeof *r);
	struct ph_error local = PH_ERROR_INIT;
	enum ph_code code;

	*ret = r;
	if (r == NULL)
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	r->mem = mem;
	r->pid = getpid();
	r->timeout_ms = opts->timeout_ms != 0 ? opts->timeout_ms : PH__MS_LOOKUP;
	code = ph__dns_setup_read(&r->setup, opts, mem, err);
	if (code == PH_OK && r->setup.anchor_file == NULL) {
		r->probe = WITHOUT;
		snprintf(r->why_off, sizeof r->why_off, "there is no trust anchor of the root on this "
		         "machine (Debian: apt-get install dns-root-data)");
	}
	if (code == PH_OK) {
		r->ub = ph__dns_setup_open(&r->setup, r->setup.anchor_file != NULL, &local);
		if (r->ub == NULL) {
			code = local.code;
			ph__error_copy(err, &local);
		}
	}
	if (code != PH_OK)
		ph__resolver_free(ret);
	return code;
}

/* What libunbound has is left to the end of a child. */
void
ph__resolver_free(struct ph__resolver **r)
{
	struct ph__resolver *it = *r;

	*r = NULL;
	if (it == NULL)
		return;
	while (it->first != NULL)
		ph__resolver_forget(it->first);
	if (is_ours(it)) {
		ph__dns_setup_close(it->bare);
		ph__dns_setup_close(it->ub);
	}
	ph__dns_setup_done(&it->setup, it->mem);
	ph__free(it->mem, it->data);
	ph__free(it->mem, it);
}
