/* SPDX-License-Identifier: MIT */
/* The stages of a probe that hand a message over. See probe_step.h. Addresses go out as they were given,
 * the message as octets: what a server says to the impossible may be what is asked for. */
#include "cli/probe_step.h"

#include <stdio.h>
#include <string.h>
#include <posthaste/source.h>
#include "base/error.h"

/* ---- addresses ------------------------------------------------------------------------------- */

/* "FROM:<...>" or "TO:<...>", whatever is written there: a server's answer to the impossible may be
 * what is asked for. Only a control character, which would be another command, is refused by the
 * library. NULL: memory is out, and that is how it ends. */
static const char *
path(struct ph__probe *p, const char *keyword, const char *address)
{
	size_t n = strlen(keyword) + strlen(address) + sizeof ":<>";
	char *text = ph__arena_alloc(&p->log.arena, n);
	struct ph_error err = PH_ERROR_INIT;

	if (text != NULL) {
		snprintf(text, n, "%s:<%s>", keyword, address);
		return text;
	}
	ph__fail_nomem(&err, PH_STAGE_PREPARE);
	ph__step_fail(p, &err);
	return NULL;
}

/* ---- in one flight --------------------------------------------------------------------------- */

static bool
put(struct ph__probe *p, enum ph__probe_stage stage, const char *verb, const char *arguments)
{
	struct ph_error err = PH_ERROR_INIT;

	p->log.stage = stage;
	return ph_client_putcmd(p->client, verb, arguments, &err) == PH_OK || ph__step_fail(p, &err);
}

static bool
put_path(struct ph__probe *p, enum ph__probe_stage stage, const char *verb, const char *keyword,
         const char *address)
{
	const char *arguments = path(p, keyword, address);

	return arguments != NULL && put(p, stage, verb, arguments);
}

/* The first stage behind which nothing more is to be sent. */
static enum ph__probe_stage
end_of_flight(const struct ph__probe_options *o)
{
	enum ph__probe_stage end = PH__PROBE_DATA;

	while (end > PH__PROBE_MAIL && !ph__probe_comes_to(o, end))
		end--;
	return end;
}

static bool
put_flight(struct ph__probe *p, enum ph__probe_stage end)
{
	bool ok = put_path(p, PH__PROBE_MAIL, "MAIL", "FROM", p->from);

	for (size_t i = 0; ok && end >= PH__PROBE_RCPT && i < p->recipient_count; i++)
		ok = put_path(p, PH__PROBE_RCPT, "RCPT", "TO", p->recipients[i]);
	return ok && end >= PH__PROBE_DATA ? put(p, PH__PROBE_DATA, "DATA", NULL) : ok;
}

/* The next reply to the flight, which is noted as the one that counts if `counts`; false: there will be
 * none. */
static bool
get(struct ph__probe *p, enum ph__probe_stage stage, bool counts, enum ph_code *rc,
    const struct ph_reply **r)
{
	struct ph_error err = PH_ERROR_INIT;

	p->log.stage = stage;
	*r = NULL;
	*rc = ph_client_getreply(p->client, r, &err);
	if (*r == NULL)
		return ph__step_fail(p, &err);
	if (counts)
		ph__step_note_reply(p, *r, &err);
	return true;
}

/* All replies are read before any is acted on; the first refusal is the one that counts. */
static bool
get_flight(struct ph__probe *p, enum ph__probe_stage end)
{
	const struct ph_reply *r;
	enum ph_code rc;
	int status = 0;

	if (!get(p, PH__PROBE_MAIL, true, &rc, &r))
		return false;
	status = rc == PH_OK ? 0 : ph__probe_stage_status(PH__PROBE_MAIL);
	for (size_t i = 0; end >= PH__PROBE_RCPT && i < p->recipient_count; i++) {
		if (!get(p, PH__PROBE_RCPT, status == 0, &rc, &r))
			return false;
		p->taken += rc == PH_OK;
	}
	if (end >= PH__PROBE_RCPT && p->taken == 0 && status == 0)
		status = ph__probe_stage_status(PH__PROBE_RCPT);
	if (end < PH__PROBE_DATA)
		return status == 0 || ph__step_refuse_by_reply(p, status);
	if (!get(p, PH__PROBE_DATA, status == 0, &rc, &r))
		return false;
	if (status == 0 && r->code != 354)
		status = ph__probe_stage_status(PH__PROBE_DATA);
	if (status != 0 && r->code == 354)
		ph_client_close(p->client); /* QUIT would be a line of the message */
	return status == 0 || ph__step_refuse_by_reply(p, status);
}

static bool
run_flight(struct ph__probe *p)
{
	enum ph__probe_stage end = end_of_flight(p->o);

	if (!put_flight(p, end))
		return false;
	return p->o->drop_sent == end ? ph__step_drop(p) : get_flight(p, end);
}

/* ---- a command at a time --------------------------------------------------------------------- */

static bool
say_path(struct ph__probe *p, const char *verb, const char *keyword, const char *address)
{
	const char *arguments = path(p, keyword, address);

	return arguments != NULL && ph__step_say(p, verb, arguments);
}

bool
ph__step_mail(struct ph__probe *p)
{
	p->in_flight = p->o->pipeline && ph_client_has_extn(p->client, "PIPELINING", NULL);
	if (p->in_flight)
		return run_flight(p);
	if (p->o->pipeline)
		ph__log_info(&p->log, "PIPELINING is not offered: a command at a time");
	return say_path(p, "MAIL", "FROM", p->from);
}

/* A refusal is only one recipient's; that of all is the stage's. */
bool
ph__step_rcpt(struct ph__probe *p)
{
	if (p->in_flight)
		return true;
	for (size_t i = 0; i < p->recipient_count; i++) {
		if (say_path(p, "RCPT", "TO", p->recipients[i])) {
			p->taken++;
			continue;
		}
		if (!ph__step_was_refused(p))
			return false;
		p->status = 0;
	}
	return p->taken != 0 || ph__step_refuse_by_reply(p, ph__probe_stage_status(PH__PROBE_RCPT));
}

bool
ph__step_data(struct ph__probe *p)
{
	if (p->in_flight)
		return true;
	if (!ph__step_say(p, "DATA", NULL))
		return false;
	return p->last.code == 354 || ph__step_refuse_by_reply(p, ph__probe_stage_status(PH__PROBE_DATA));
}

/* ---- the message ----------------------------------------------------------------------------- */

/* Octets as they stand on the wire, the final dot included; of --no-data-fixup what was given. The
 * caller's to free. */
static enum ph_code
make_wire(const struct ph__probe *p, char **ret, size_t *len, struct ph_error *err)
{
	bool as_given = p->o->no_fixup && p->o->data != NULL;
	struct ph_str end = ph__str(as_given ? "\r\n" : ".\r\n");
	char *text = NULL, *wire;
	size_t n = p->message.len;
	enum ph_code rc = PH_OK;

	if (!as_given)
		rc = ph_dot_stuff(&text, &n, p->message.ptr, n, PH_LINE_ENDS_NORMALISE, NULL, err);
	if (rc != PH_OK)
		return rc;
	if ((wire = ph__realloc(&ph__libc_memory, text, n + end.len)) == NULL) {
		ph__free(&ph__libc_memory, text);
		return ph__fail_nomem(err, PH_STAGE_BODY);
	}
	if (as_given && n != 0)
		memcpy(wire, p->message.ptr, n);
	memcpy(wire + n, end.ptr, end.len);
	*ret = wire;
	*len = n + end.len;
	return PH_OK;
}

/* One reply, or with LMTP one for each recipient that was taken (RFC 2033 §4.2): it is good if any is. */
static bool
await_verdicts(struct ph__probe *p)
{
	size_t awaited = p->o->lmtp ? p->taken : 1, good = 0;

	for (size_t i = 0; i < awaited; i++) {
		const struct ph_reply *r;
		enum ph_code rc;

		if (!get(p, PH__PROBE_BODY, true, &rc, &r))
			return false;
		good += rc == PH_OK;
	}
	return good != 0 || ph__step_refuse_by_reply(p, ph__probe_stage_status(PH__PROBE_BODY));
}

bool
ph__step_body(struct ph__probe *p)
{
	struct ph_error err = PH_ERROR_INIT;
	char *wire = NULL;
	size_t n = 0;
	enum ph_code rc = make_wire(p, &wire, &n, &err);

	if (rc == PH_OK) {
		ph__log_message(&p->log, (struct ph_str){ wire, n });
		p->log.hushed = true;
		rc = ph_client_send(p->client, wire, n, &err);
		p->log.hushed = false;
	}
	ph__free(&ph__libc_memory, wire);
	if (rc != PH_OK)
		return ph__step_fail(p, &err);
	return ph__step_is_parting(p) ? ph__step_drop(p) : await_verdicts(p);
}
