/* SPDX-License-Identifier: MIT */
/* What an envelope asks of extensions, judged and written down as parameters of MAIL and RCPT: DSN
 * (RFC 3461, 6533), AUTH= (RFC 4954 §5), DELIVERBY (RFC 2852), FUTURERELEASE (RFC 4865),
 * MT-PRIORITY (RFC 6710). Done once, when the transaction is made; what of it a server gets depends
 * on what it offers, which is the writer's affair (encode.c). */
#include "smtp/txn.h"

#include "base/bounds.h"
#include "base/calendar.h"
#include "base/error.h"
#include "mail/address.h"
#include "mail/encode.h"

static enum ph_code
wrong(struct ph_error *err, enum ph_code code, const char *what)
{
	return ph__fail(err, code, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT, "%s", what);
}

/* The buffer's text in the transaction's memory; the buffer is empty again. */
static enum ph_code
keep(struct ph_txn *t, struct ph__buf *b, const char **ret, struct ph_error *err)
{
	*ret = "";
	if (ph__buf_ok(b) && b->len == 0)
		return PH_OK;
	*ret = ph__buf_ok(b) ? ph__arena_strndup(&t->arena, b->p, b->len) : NULL;
	ph__buf_reset(b);
	return *ret != NULL ? PH_OK : ph__fail_nomem(err, PH_STAGE_PREPARE);
}

/* ---- DSN ------------------------------------------------------------------------------------- */

static bool
is_printable(struct ph_str s)
{
	return s.len != 0 && !ph__str_has_control(s) && ph__str_is_ascii(s);
}

static enum ph_code
add_envid(struct ph__buf *b, struct ph_str envid, struct ph_error *err)
{
	size_t before;

	if (!is_printable(envid))
		return wrong(err, PH_EINPUT, "the envelope identifier (ENVID) is empty, or has a character "
		                             "that is not printable ASCII");
	ph__buf_add_str(b, " ENVID=");
	before = b->len;
	if (envid.len <= PH__ENVID_MAX && !ph__xtext_encode(b, envid))
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	if (envid.len > PH__ENVID_MAX || b->len - before > PH__ENVID_MAX)
		return ph__fail(err, PH_EINPUT, PH_STAGE_PREPARE, PH_CAUSE_LIMIT,
		                "the envelope identifier (ENVID) is over %d characters, of which \"+\", "
		                "\"=\" and a space count as three (RFC 3461 §4.4)", PH__ENVID_MAX);
	return PH_OK;
}

static enum ph_code
check_notify(unsigned notify, struct ph_error *err)
{
	const unsigned all = PH_NOTIFY_NEVER | PH_NOTIFY_SUCCESS | PH_NOTIFY_FAILURE | PH_NOTIFY_DELAY;

	if ((notify & ~all) != 0)
		return wrong(err, PH_EUSAGE, "NOTIFY is never, or any of success, failure and delay");
	if ((notify & PH_NOTIFY_NEVER) != 0 && notify != PH_NOTIFY_NEVER)
		return wrong(err, PH_EUSAGE, "NOTIFY=NEVER cannot be combined with SUCCESS, FAILURE or "
		                             "DELAY (RFC 3461 §4.1)");
	return PH_OK;
}

static void
add_notify(struct ph__buf *b, unsigned notify)
{
	static const struct { unsigned bit; const char *word; } words[] = {
		{ PH_NOTIFY_NEVER, "NEVER" }, { PH_NOTIFY_SUCCESS, "SUCCESS" },
		{ PH_NOTIFY_FAILURE, "FAILURE" }, { PH_NOTIFY_DELAY, "DELAY" },
	};
	const char *before = " NOTIFY=";

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if ((notify & words[i].bit) != 0) {
			ph__buf_addf(b, "%s%s", before, words[i].word);
			before = ",";
		}
}

/* original-recipient-address = addr-type ";" xtext, where addr-type is an atom (RFC 3461 §4.2).
 * Beyond ASCII there is the type "utf-8" only, and an encoding of its own (RFC 6533 §3). */
static enum ph_code
add_orcpt(struct ph__buf *b, struct ph_str orcpt, struct ph_error *err)
{
	const char *semicolon = memchr(orcpt.ptr, ';', orcpt.len);
	size_t type = semicolon != NULL ? (size_t)(semicolon - orcpt.ptr) : 0, before;
	struct ph_str address = { orcpt.ptr + type + 1, orcpt.len - type - 1 };
	bool utf8 = ph__str_is((struct ph_str){ orcpt.ptr, type }, "utf-8");
	bool (*encode)(struct ph__buf *out, struct ph_str s) =
	    utf8 ? ph__utf8_xtext_encode : ph__xtext_encode;

	for (size_t i = 0; i < type; i++)
		if (!ph__is_atext(orcpt.ptr[i]) || (unsigned char)orcpt.ptr[i] > 127)
			type = 0;
	if (type == 0 || address.len == 0)
		return wrong(err, PH_EINPUT, "an original recipient (ORCPT) is a type, a semicolon and an "
		                             "address: \"rfc822;bob@example.org\"");
	if (ph__str_has_control(address) || !ph__str_is_utf8(address) ||
	    (!utf8 && !ph__str_is_ascii(address)))
		return wrong(err, PH_EINPUT, "an original recipient (ORCPT) is printable ASCII; beyond it "
		                             "there is the type \"utf-8;\" (RFC 6533)");
	ph__buf_add_str(b, " ORCPT=");
	before = b->len;
	ph__buf_add(b, orcpt.ptr, type < PH__ORCPT_MAX ? type + 1 : 0);
	if (orcpt.len <= PH__ORCPT_MAX && !encode(b, address))
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	if (orcpt.len > PH__ORCPT_MAX || b->len - before > PH__ORCPT_MAX)
		return ph__fail(err, PH_EINPUT, PH_STAGE_PREPARE, PH_CAUSE_LIMIT,
		                "an original recipient (ORCPT) is over %d characters as xtext "
		                "(RFC 3461 §4.2)", PH__ORCPT_MAX);
	return PH_OK;
}

/* Who wants to hear of a recipient wants to know it again in the report, whatever aliases and lists
 * made of the address on the way: that is what ORCPT is for, and what it must be when a message is
 * first sent (RFC 3461 §4.2). An address that is too long for it goes without. */
static void
add_own_orcpt(struct ph__buf *b, struct ph_str address)
{
	size_t before = b->len, value;
	bool ascii = ph__str_is_ascii(address);

	ph__buf_add_str(b, " ORCPT=");
	value = b->len;
	ph__buf_add_str(b, ascii ? "rfc822;" : "utf-8;");
	(ascii ? ph__xtext_encode : ph__utf8_xtext_encode)(b, address);
	if (b->len - value > PH__ORCPT_MAX)
		ph__buf_cut(b, before);
}

static enum ph_code
take_recipient(struct ph_txn *t, const struct ph_envelope *e, size_t i, struct ph__buf *b,
               struct ph_error *err)
{
	const char *orcpt = e->original_recipients != NULL ? e->original_recipients[i] : NULL;
	unsigned notify = e->recipient_notify != NULL && e->recipient_notify[i] != 0
	                  ? e->recipient_notify[i] : e->notify;
	enum ph_code rc;

	if (notify == 0 && orcpt == NULL)
		return PH_OK;
	if ((rc = check_notify(notify, err)) != PH_OK)
		return rc;
	add_notify(b, notify);
	if (orcpt != NULL && (rc = add_orcpt(b, ph__str(orcpt), err)) != PH_OK)
		return rc;
	if (orcpt == NULL && notify != PH_NOTIFY_NEVER)
		add_own_orcpt(b, ph__str(t->rcpts[i].out.address));
	t->asks_dsn = true;
	return keep(t, b, &t->rcpts[i].dsn, err);
}

static enum ph_code
take_dsn(struct ph_txn *t, const struct ph_envelope *e, struct ph__buf *b, struct ph_error *err)
{
	enum ph_code rc = check_notify(e->notify, err);

	if (rc != PH_OK)
		return rc;
	if ((unsigned)e->dsn_return > PH_RETURN_HEADERS)
		return wrong(err, PH_EUSAGE, "what a report brings back (RET) is FULL or HDRS");
	if (e->dsn_return != PH_RETURN_DEFAULT)
		ph__buf_add_str(b, e->dsn_return == PH_RETURN_FULL ? " RET=FULL" : " RET=HDRS");
	if (e->envid != NULL && (rc = add_envid(b, ph__str(e->envid), err)) != PH_OK)
		return rc;
	if ((rc = keep(t, b, &t->dsn, err)) != PH_OK)
		return rc;
	t->asks_dsn = *t->dsn != '\0';
	if (e->notify == 0 && e->recipient_notify == NULL && e->original_recipients == NULL)
		return PH_OK;
	for (size_t i = 0; i < t->rcpt_count && rc == PH_OK; i++)
		rc = take_recipient(t, e, i, b, err);
	return rc;
}

/* ---- the others ------------------------------------------------------------------------------ */

/* A mailbox as xtext, or <> (RFC 4954 §5). */
static enum ph_code
take_auth(struct ph_txn *t, const struct ph_envelope *e, struct ph__buf *b, struct ph_error *err)
{
	struct ph_str who = ph__str(e->auth);
	bool utf8 = false;
	enum ph_code rc;

	if (e->auth == NULL)
		return PH_OK;
	if (who.len != 0 && (rc = ph__address_check(who, &utf8, err)) != PH_OK)
		return rc;
	ph__buf_add_str(b, " AUTH=");
	if (who.len == 0)
		ph__buf_add_str(b, "<>");
	else
		ph__xtext_encode(b, who);
	if (b->len > PH__AUTH_PARAM_MAX)
		return ph__fail(err, PH_EINPUT, PH_STAGE_PREPARE, PH_CAUSE_LIMIT,
		                "the address for AUTH= is over %d characters as xtext", PH__AUTH_PARAM_MAX);
	return keep(t, b, &t->auth, err);
}

/* by-value = by-time ";" by-mode [by-trace] (RFC 2852 §4) */
static enum ph_code
take_deliver_by(struct ph_txn *t, const struct ph_envelope *e, struct ph__buf *b,
                struct ph_error *err)
{
	if ((unsigned)e->by_mode > PH_BY_NOTIFY ||
	    (e->by_mode == PH_BY_NONE && (e->by_seconds != 0 || e->by_trace)))
		return wrong(err, PH_EUSAGE, "a time to deliver by needs to say what happens then: "
		                             "return or notify");
	if (e->by_mode == PH_BY_NONE)
		return PH_OK;
	if (e->by_seconds > PH__SECONDS_MAX || e->by_seconds < -PH__SECONDS_MAX)
		return ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		                "a time to deliver by lies within %d seconds", PH__SECONDS_MAX);
	if (e->by_mode == PH_BY_RETURN && e->by_seconds <= 0)
		return wrong(err, PH_EUSAGE, "a message to be returned when it is late needs some "
		                             "time: more than 0 seconds (RFC 2852 §4)");
	t->by_mode = e->by_mode;
	t->by_seconds = e->by_seconds;
	ph__buf_addf(b, " BY=%d;%s%s", (int)e->by_seconds, e->by_mode == PH_BY_RETURN ? "R" : "N",
	             e->by_trace ? "T" : "");
	return keep(t, b, &t->by, err);
}

static enum ph_code
take_hold(struct ph_txn *t, const struct ph_envelope *e, struct ph__buf *b, struct ph_error *err)
{
	if (e->hold_for != 0 && e->hold_until != 0)
		return wrong(err, PH_EUSAGE, "a message is held for some time or until a time, not both");
	if (e->hold_for > PH__SECONDS_MAX)
		return ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		                "a message is held for 1 to %d seconds (RFC 4865 §4)", PH__SECONDS_MAX);
	if (e->hold_until < 0 || e->hold_until > PH__DATE_3339_MAX)
		return wrong(err, PH_EUSAGE, "the time to hold the message until lies before 1970 or after "
		                             "9999");
	t->hold_for = e->hold_for;
	t->hold_until = e->hold_until;
	if (e->hold_for != 0)
		ph__buf_addf(b, " HOLDFOR=%llu", (unsigned long long)e->hold_for);
	if (e->hold_until != 0) {
		ph__buf_add_str(b, " HOLDUNTIL=");
		ph__date_write_3339(b, e->hold_until);
	}
	return keep(t, b, &t->hold, err);
}

static enum ph_code
take_priority(struct ph_txn *t, const struct ph_envelope *e, struct ph__buf *b,
              struct ph_error *err)
{
	if (e->priority < -PH__PRIORITY_MAX || e->priority > PH__PRIORITY_MAX)
		return ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		                "a priority is from -%d to %d (RFC 6710)", PH__PRIORITY_MAX,
		                PH__PRIORITY_MAX);
	if (e->priority != 0)
		ph__buf_addf(b, " MT-PRIORITY=%d", e->priority);
	return keep(t, b, &t->priority, err);
}

enum ph_code
ph__txn_take_parameters(struct ph_txn *t, const struct ph_envelope *e, struct ph_error *err)
{
	static enum ph_code (*const takers[])(struct ph_txn *t, const struct ph_envelope *e,
	                                      struct ph__buf *b, struct ph_error *err) = {
		take_dsn, take_auth, take_deliver_by, take_hold, take_priority,
	};
	enum ph_code rc = PH_OK;
	struct ph__buf b;

	ph__txn_no_parameters(t);
	t->require_tls = e->require_tls;
	ph__buf_init(&b, &t->mem, 64 * 1024);
	for (size_t i = 0; i < sizeof takers / sizeof takers[0] && rc == PH_OK; i++)
		rc = takers[i](t, e, &b, err);
	ph__buf_done(&b);
	return rc;
}

void
ph__txn_no_parameters(struct ph_txn *t)
{
	t->dsn = t->auth = t->by = t->hold = t->priority = "";
	t->asks_dsn = t->require_tls = t->told_left_out = false;
	t->by_mode = PH_BY_NONE;
	t->by_seconds = 0;
	t->hold_for = 0;
	t->hold_until = 0;
}
