/* SPDX-License-Identifier: MIT */
/* The envelope of `posthaste send`. See send_envelope.h.
 *
 * A control character in an address of the command line is refused before anything parses it: a
 * line end in there is somebody's attempt to add a command, and folding white space no excuse for
 * it. Addresses of header fields may be folded; their parser judges them. */
#include "cli/send_envelope.h"

#include <stdlib.h>
#include <string.h>
#include <posthaste/message.h>
#include <posthaste/transaction.h>
#include "base/error.h"
#include "base/escape.h"
#include "base/str.h"

#define SHOWN_MAX     200 /* of an address in a message */
#define FULL_NAME_MAX 1000

void
ph__send_envelope_init(struct ph__send_envelope *e)
{
	*e = (struct ph__send_envelope){ .count = 0 };
	ph__arena_init(&e->arena, &ph__libc_memory);
}

void
ph__send_envelope_done(struct ph__send_envelope *e)
{
	ph__free(&ph__libc_memory, e->recipients);
	e->recipients = NULL;
	ph__arena_done(&e->arena);
}

/* `what` 'text': `why`. What does not fit is not shown; a character is never cut in two. */
static enum ph_code
bad(struct ph_error *err, const char *what, const char *text, const char *why, const char *hint)
{
	struct ph__buf shown;

	ph__buf_init(&shown, &ph__libc_memory, SHOWN_MAX);
	ph__escape(&shown, ph__str(text), false);
	ph__fail(err, PH_EINPUT, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT, "%s '%s'%s: %s", what,
	         ph__buf_cstr(&shown), ph__buf_ok(&shown) ? "" : "...", why);
	ph__buf_done(&shown);
	ph__hint(err, "%s", hint);
	return PH_EINPUT;
}

static enum ph_code
parse(struct ph_addresses **ret, const char *text, const char *what, struct ph_error *err)
{
	struct ph_error why = PH_ERROR_INIT;
	enum ph_code rc;

	if (ph__str_has_control(ph__str(text)))
		return bad(err, what, text, "a control character in it could forge a command",
		           "give one address at a time, or several with commas, all on one line");
	rc = ph_addresses_parse(ret, text, NULL, &why);
	if (rc == PH_EINPUT)
		return bad(err, what, text, why.text, why.hint[0] != '\0' ? why.hint
		           : "write local@domain or 'Ann Lee <local@domain>'; several with commas between");
	if (rc != PH_OK)
		ph__error_copy(err, &why);
	return rc;
}

static enum ph_code
append(struct ph__send_envelope *e, const char *address, struct ph_error *err)
{
	if (e->count == e->cap) {
		size_t cap = e->cap != 0 ? 2 * e->cap : 16;
		const char **p = ph__realloc(&ph__libc_memory, e->recipients, cap * sizeof *p);

		if (p == NULL)
			return ph__fail_nomem(err, PH_STAGE_PREPARE);
		e->recipients = p;
		e->cap = cap;
	}
	e->recipients[e->count] = ph__arena_strndup(&e->arena, address, strlen(address));
	if (e->recipients[e->count] == NULL)
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	e->count++;
	return PH_OK;
}

enum ph_code
ph__send_envelope_take(struct ph__send_envelope *e, struct ph_addresses *list, struct ph_error *err)
{
	enum ph_code rc = PH_OK;

	for (size_t i = 0; rc == PH_OK && i < ph_addresses_count(list); i++)
		rc = append(e, ph_addresses_get(list, i), err);
	ph_addresses_free(list);
	return rc;
}

enum ph_code
ph__send_envelope_add(struct ph__send_envelope *e, const char *list, const char *what,
                      struct ph_error *err)
{
	struct ph_addresses *parsed;
	enum ph_code rc = parse(&parsed, list, what, err);

	if (rc != PH_OK)
		return rc;
	if (ph_addresses_count(parsed) == 0) {
		ph_addresses_free(parsed);
		return bad(err, what, list, "there is no address in it", "write local@domain");
	}
	return ph__send_envelope_take(e, parsed, err);
}

static enum ph_code
add_all(struct ph__send_envelope *e, const char *const *items, size_t count, const char *what,
        struct ph_error *err)
{
	enum ph_code rc = PH_OK;

	for (size_t i = 0; rc == PH_OK && i < count; i++)
		rc = ph__send_envelope_add(e, items[i], what, err);
	return rc;
}

/* "Name" <address>: whatever the name is made of (RFC 5322 §3.2.4). */
static enum ph_code
set_full_name(struct ph__send_envelope *e, const char *name, struct ph_error *err)
{
	struct ph__buf b;

	if (*name == '\0' || ph__str_has_control(ph__str(name)))
		return bad(err, "the full name", name, "it is empty, or has a control character in it",
		           "write it on one line: -F 'Ann Lee'");
	ph__buf_init(&b, &ph__libc_memory, FULL_NAME_MAX);
	ph__buf_add_char(&b, '"');
	for (; *name != '\0'; name++) {
		if (*name == '"' || *name == '\\')
			ph__buf_add_char(&b, '\\');
		ph__buf_add_char(&b, *name);
	}
	ph__buf_addf(&b, "\" <%s>", e->from);
	if (ph__buf_ok(&b))
		e->author = ph__arena_strndup(&e->arena, ph__buf_cstr(&b), b.len);
	ph__buf_done(&b);
	if (b.state == PH__BUF_FULL)
		return ph__fail(err, PH_EINPUT, PH_STAGE_PREPARE, PH_CAUSE_LIMIT,
		                "the full name is over %d octets", FULL_NAME_MAX);
	return e->author != NULL && b.state == PH__BUF_OK ? PH_OK : ph__fail_nomem(err, PH_STAGE_PREPARE);
}

static enum ph_code
set_from(struct ph__send_envelope *e, const char *text, const char *what, struct ph_error *err)
{
	struct ph_addresses *parsed;
	enum ph_code rc;

	if (strcmp(text, "<>") == 0) {
		e->from = "";
		return PH_OK;
	}
	if ((rc = parse(&parsed, text, what, err)) != PH_OK)
		return rc;
	if (ph_addresses_count(parsed) == 1) {
		const char *from = ph_addresses_get(parsed, 0);

		e->author = text;
		e->from = ph__arena_strndup(&e->arena, from, strlen(from));
		rc = e->from != NULL ? PH_OK : ph__fail_nomem(err, PH_STAGE_PREPARE);
	} else {
		rc = bad(err, what, text, "one address is needed", "'<>' is the null sender");
	}
	ph_addresses_free(parsed);
	return rc;
}

static enum ph_code
read_from(struct ph__send_envelope *e, const struct ph__send_options *o, struct ph_error *err)
{
	const char *email = getenv("EMAIL");

	if (o->from != NULL)
		return set_from(e, o->from, "the sender", err);
	if (email != NULL && *email != '\0')
		return set_from(e, email, "the sender of $EMAIL", err);
	ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
	         "no sender is given, so nobody would hear of a failed delivery");
	ph__hint(err, "add --from you@example.org, or set EMAIL; --from '<>' is the null sender");
	return PH_EUSAGE;
}

enum ph_code
ph__send_envelope_read(struct ph__send_envelope *e, const struct ph__send_options *o,
                       struct ph_error *err)
{
	enum ph_code rc;

	if ((rc = add_all(e, (const char *const *)o->operands, o->operand_count, "the recipient",
	                  err)) == PH_OK
	    && (rc = add_all(e, o->to.items, o->to.count, "the recipient", err)) == PH_OK
	    && (rc = add_all(e, o->cc.items, o->cc.count, "the recipient", err)) == PH_OK)
		rc = add_all(e, o->bcc.items, o->bcc.count, "the recipient", err);
	if (rc == PH_OK)
		rc = read_from(e, o, err);
	if (rc == PH_OK && o->full_name != NULL && e->author != NULL)
		rc = set_full_name(e, o->full_name, err);
	if (rc != PH_OK || e->count != 0 || o->from_headers)
		return rc;
	ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT, "no recipient is given");
	ph__hint(err, "write the addresses behind the options; -t takes them from the header");
	return PH_EUSAGE;
}

/* ---- nobody twice ---------------------------------------------------------------------------- */

static enum ph_code
drop_doubles(struct ph__send_envelope *e, struct ph_error *err)
{
	size_t kept = 0;

	if (!ph__drop_doubles(e->recipients, e->count, &ph__libc_memory))
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	for (size_t i = 0; i < e->count; i++)
		if (e->recipients[i] != NULL)
			e->recipients[kept++] = e->recipients[i];
	e->count = kept;
	return PH_OK;
}

enum ph_code
ph__send_envelope_finish(struct ph__send_envelope *e, struct ph_error *err)
{
	if (e->count != 0)
		return drop_doubles(e, err);
	return ph__fail(err, PH_EINPUT, PH_STAGE_PREPARE, PH_CAUSE_CONTENT,
	                "no recipient: the header has no To, Cc or Bcc field with an address");
}

struct ph_envelope
ph__send_envelope_whole(const struct ph__send_envelope *e, const struct ph__send_options *o)
{
	const struct ph__send_extensions *x = &o->extensions;

	return (struct ph_envelope){
		PH_ENVELOPE_INIT,
		.from = e->from,
		.recipients = e->recipients,
		.recipient_count = e->count,
		.line_ends = (enum ph_line_ends)o->line_ends,
		.no_dup = o->no_dup,
		.notify = x->notify,
		.dsn_return = (enum ph_dsn_return)x->dsn_return,
		.envid = x->envid,
		.require_tls = x->require_tls,
		.by_mode = x->by_mode,
		.by_trace = x->by_trace,
		.by_seconds = x->by_seconds,
		.hold_for = x->hold_for,
		.hold_until = x->hold_until,
		.priority = o->priority,
	};
}
