/* SPDX-License-Identifier: MIT */
/* Transactions. See posthaste/transaction.h. The envelope is copied into an arena that is kept when
 * the object is used for the next message. Addresses and parameters are judged here, once, so that
 * the writer of commands never meets an octet that could end a line. */
#include "smtp/txn.h"

#include <assert.h>

#include "base/bounds.h"
#include "base/error.h"
#include "base/str.h"
#include "mail/address.h"

const char *
ph_outcome_name(enum ph_outcome o)
{
	static const char *const names[] = {
		[PH_PENDING] = "pending", [PH_ACCEPTED] = "accepted", [PH_DEFERRED] = "deferred",
		[PH_REFUSED] = "refused", [PH_IN_DOUBT] = "in_doubt", [PH_PARTIAL] = "partial",
	};

	return (unsigned)o < sizeof names / sizeof names[0] ? names[o] : "unknown";
}

static struct ph_txn *
txn_alloc(const struct ph_allocator *mem)
{
	struct ph_txn *t;

	if (mem == NULL)
		mem = &ph__libc_memory;
	if ((t = ph__alloc0(mem, sizeof *t)) == NULL)
		return NULL;
	t->mem = *mem;
	t->error.size = sizeof t->error;
	ph__arena_init(&t->arena, &t->mem);
	return t;
}

/* esmtp-param = esmtp-keyword ["=" esmtp-value] (RFC 5321 §4.1.2): no space, no control. */
static enum ph_code
join_parameters(struct ph_txn *t, const char *const *list, const char **ret, struct ph_error *err)
{
	size_t n = 0;
	char *p;

	*ret = "";
	for (size_t i = 0; list != NULL && list[i] != NULL; i++) {
		struct ph_str s = ph__str(list[i]);

		if (s.len == 0 || memchr(s.ptr, ' ', s.len) != NULL || ph__str_has_control(s))
			return ph__fail(err, PH_EINPUT, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
			                "the ESMTP parameter \"%s\" has a space or a control character "
			                "in it, or is empty", list[i]);
		n += s.len + 1;
	}
	if (n == 0)
		return PH_OK;
	if (n > PH__PATH_LINE_MAX / 2)
		return ph__fail(err, PH_EINPUT, PH_STAGE_PREPARE, PH_CAUSE_LIMIT,
		                "the ESMTP parameters are over %d octets", PH__PATH_LINE_MAX / 2);
	if ((p = ph__arena_alloc(&t->arena, n + 1)) == NULL)
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	*ret = p;
	for (size_t i = 0; list[i] != NULL; i++) {
		size_t len = strlen(list[i]);

		*p++ = ' ';
		memcpy(p, list[i], len);
		p += len;
	}
	*p = '\0';
	return PH_OK;
}

static enum ph_code
copy_recipients(struct ph_txn *t, const struct ph_envelope *e, struct ph_error *err)
{
	if (e->recipient_count == 0)
		return ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		                "the message has no recipient");
	if (e->recipient_count > PH__RECIPIENTS_MAX)
		return ph__fail(err, PH_EINPUT, PH_STAGE_PREPARE, PH_CAUSE_LIMIT,
		                "the message has over %d recipients", PH__RECIPIENTS_MAX);
	t->rcpts = ph__arena_alloc(&t->arena, e->recipient_count * sizeof *t->rcpts);
	if (t->rcpts == NULL)
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	for (size_t i = 0; i < e->recipient_count; i++) {
		struct ph__rcpt *r = &t->rcpts[i];
		enum ph_code rc;

		*r = (struct ph__rcpt){ .len = strlen(e->recipients[i]) };
		rc = ph__address_check((struct ph_str){ e->recipients[i], r->len }, &t->utf8, err);
		if (rc != PH_OK)
			return rc;
		r->out.address = ph__arena_strndup(&t->arena, e->recipients[i], r->len);
		if (r->out.address == NULL)
			return ph__fail_nomem(err, PH_STAGE_PREPARE);
		t->rcpt_count = i + 1;
	}
	return PH_OK;
}

static enum ph_code
copy_envelope(struct ph_txn *t, const struct ph_envelope *e, struct ph_error *err)
{
	struct ph_str from = ph__str(e->from != NULL ? e->from : "");
	enum ph_code rc;

	if (from.len != 0 && (rc = ph__address_check(from, &t->utf8, err)) != PH_OK)
		return rc;
	t->from_len = from.len;
	if ((t->from = ph__arena_strndup(&t->arena, from.ptr, from.len)) == NULL)
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	if ((rc = copy_recipients(t, e, err)) != PH_OK ||
	    (rc = join_parameters(t, e->mail_parameters, &t->mail_parameters, err)) != PH_OK ||
	    (rc = join_parameters(t, e->rcpt_parameters, &t->rcpt_parameters, err)) != PH_OK ||
	    (rc = ph__txn_take_parameters(t, e, err)) != PH_OK)
		return rc;
	t->ends = e->line_ends;
	t->no_dup = e->no_dup;
	return PH_OK;
}

enum ph_code
ph_txn_reuse(struct ph_txn *t, const struct ph_envelope *envelope, struct ph_error *err)
{
	struct ph_envelope e = { PH_ENVELOPE_INIT };
	size_t n;

	if (envelope == NULL || t->phase != PH__TXN_IDLE)
		return ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_STATE,
		                "the transaction is under way, or no envelope was given");
	n = envelope->size < sizeof e ? envelope->size : sizeof e;
	memcpy(&e, envelope, n);
	ph__arena_reset(&t->arena);
	t->rcpts = NULL;
	t->rcpt_count = t->settled = t->round_end = 0;
	t->utf8 = t->bare = false;
	t->error.code = PH_OK;
	t->bytes = 0;
	t->kept = 0;
	t->session = t->round = 0;
	return copy_envelope(t, &e, err);
}

enum ph_code
ph_txn_new(struct ph_txn **ret, const struct ph_envelope *envelope, const struct ph_allocator *mem,
           struct ph_error *err)
{
	struct ph_txn *t = txn_alloc(mem);
	enum ph_code rc;

	if (t == NULL)
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	if ((rc = ph_txn_reuse(t, envelope, err)) != PH_OK) {
		ph_txn_free(t);
		return rc;
	}
	*ret = t;
	return PH_OK;
}

enum ph_code
ph__txn_new_bare(struct ph_txn **ret, const struct ph_allocator *mem)
{
	struct ph_txn *t = txn_alloc(mem);

	if (t == NULL)
		return PH_ESYSTEM;
	t->bare = true;
	t->from = t->mail_parameters = t->rcpt_parameters = "";
	ph__txn_no_parameters(t);
	*ret = t;
	return PH_OK;
}

void
ph_txn_free(struct ph_txn *t)
{
	struct ph_allocator mem;

	if (t == NULL)
		return;
	assert(t->phase == PH__TXN_IDLE);
	ph__arena_done(&t->arena);
	mem = t->mem;
	ph__free(&mem, t);
}

void
ph_txn_set_user(struct ph_txn *t, void *user)
{
	t->user = user;
}

void *
ph_txn_user(const struct ph_txn *t)
{
	return t->user;
}

const char *
ph_txn_from(const struct ph_txn *t)
{
	return t->from;
}

size_t
ph_txn_recipient_count(const struct ph_txn *t)
{
	return t->rcpt_count;
}

const struct ph_recipient_outcome *
ph_txn_recipient(const struct ph_txn *t, size_t i)
{
	return i < t->rcpt_count ? &t->rcpts[i].out : NULL;
}

uint64_t
ph_txn_bytes(const struct ph_txn *t)
{
	return t->bytes;
}

const struct ph_error *
ph_txn_error(const struct ph_txn *t)
{
	return &t->error;
}

void
ph__txn_start(struct ph_txn *t, const struct ph_source_facts *facts)
{
	t->facts.size = sizeof t->facts;
	t->facts.known = t->facts.header_known = false;
	if (facts != NULL) {
		size_t n = facts->size < sizeof t->facts ? facts->size : sizeof t->facts;

		memcpy(&t->facts, facts, n);
	}
	t->phase = PH__TXN_QUEUED;
	t->next = NULL;
	t->mail = PH__ANSWER_NONE;
	t->needs_rset = t->rset_sent = t->mail_sent = t->data_sent = false;
	t->rset_refused = t->taken_elsewhere = false;
	t->chunked = t->all_written = t->again = t->behind_surprise = false;
	t->rides = t->behind_refusal = false;
	t->unanswered = t->rcpts_unanswered = t->rcpts_written = t->accepted = t->final_next = 0;
	t->end = UINT64_MAX;
	for (size_t i = t->settled; i < t->round_end; i++)
		t->rcpts[i].accepted = t->rcpts[i].put_off = false;
	while (t->settled < t->rcpt_count && t->rcpts[t->settled].out.outcome != PH_PENDING)
		t->settled++;
	t->round++;
	t->rcpt_next = t->settled;
	t->round_end = t->rcpt_count;
}

bool
ph__txn_needs_utf8(const struct ph_txn *t)
{
	return t->utf8 || (t->facts.header_known && t->facts.header_utf8);
}

bool
ph__txn_is_binary(const struct ph_txn *t)
{
	return t->ends == PH_LINE_ENDS_BINARY &&
	       (!t->facts.known || t->facts.nul || t->facts.bare ||
	        t->facts.longest_line > PH__LINE_MAX);
}

bool
ph__txn_has_known_size(const struct ph_txn *t)
{
	return t->facts.known && (t->facts.clean || t->ends != PH_LINE_ENDS_BINARY);
}

struct ph_reply
ph__txn_keep(struct ph_txn *t, const struct ph_reply *reply)
{
	struct ph_reply kept = *reply;
	char *text;

	if (kept.len > PH__KEPT_LEAST && kept.len > PH__KEPT_BYTES_MAX - t->kept)
		kept.len = PH__KEPT_LEAST;
	text = ph__arena_strndup(&t->arena, reply->text, kept.len);
	if (text != NULL && kept.len > PH__KEPT_LEAST)
		t->kept += kept.len;
	kept.text = text != NULL ? text : "";
	if (text == NULL)
		kept.len = 0;
	return kept;
}

void
ph__txn_decide(struct ph_txn *t, size_t i, enum ph_outcome outcome, enum ph_code code,
               enum ph_stage stage, enum ph_cause cause, const struct ph_reply *kept)
{
	struct ph_recipient_outcome *r = &t->rcpts[i].out;

	if (r->outcome != PH_PENDING)
		return;
	r->outcome = outcome;
	r->code = code;
	r->stage = stage;
	r->cause = cause;
	if (kept != NULL)
		r->reply = *kept;
	r->session = t->session;
	t->rcpts[i].round = t->round;
}

void
ph__txn_decide_all(struct ph_txn *t, enum ph_outcome outcome, enum ph_code code,
                   enum ph_stage stage, enum ph_cause cause, const struct ph_reply *kept)
{
	for (size_t i = 0; i < t->rcpt_count; i++)
		ph__txn_decide(t, i, outcome, code, stage, cause, kept);
}

void
ph__txn_decide_round(struct ph_txn *t, enum ph_outcome outcome, enum ph_code code,
                     enum ph_stage stage, enum ph_cause cause, const struct ph_reply *kept)
{
	for (size_t i = t->settled; i < t->round_end; i++)
		if (!t->rcpts[i].put_off)
			ph__txn_decide(t, i, outcome, code, stage, cause, kept);
}

void
ph__txn_end_round(struct ph_txn *t)
{
	for (size_t i = t->settled; i < t->round_end; i++)
		if (t->rcpts[i].round == t->round)
			t->rcpts[i].in_company = t->accepted != 0;
}

bool
ph__txn_round_is_decided(const struct ph_txn *t)
{
	for (size_t i = t->settled; i < t->round_end; i++)
		if (!t->rcpts[i].put_off && t->rcpts[i].out.outcome == PH_PENDING)
			return false;
	return true;
}

bool
ph__txn_is_decided(const struct ph_txn *t)
{
	for (size_t i = t->settled; i < t->rcpt_count; i++)
		if (t->rcpts[i].out.outcome == PH_PENDING)
			return false;
	return true;
}
