/* SPDX-License-Identifier: MIT */
/* The last words of `posthaste send`. See send_report.h.
 *
 * Standard output stays empty for scripts unless they ask with --json; a person at a terminal gets
 * a line when all went well. A record that cannot be written does not change the exit status: the
 * mail's fate is known, and a caller that retried would send it twice. */
#include "cli/send_report.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include <posthaste/source.h>
#include "base/json.h"
#include "base/mem.h"
#include "cli/problem.h"
#include "cli/terminal.h"

#define JSON_MAX (256u * 1024 * 1024)
#define RECIPIENTS_TOLD 20

static void
print_line(const char *json)
{
	if (json == NULL)
		ph__warn(stderr, "there is no memory for the record");
	else if (puts(json) < 0 || fflush(stdout) != 0)
		ph__warn(stderr, "the record could not be written: %s", strerror(errno));
}

/* ---- a record -------------------------------------------------------------------------------- */

static void
put_reply(FILE *to, const struct ph_reply *reply)
{
	fprintf(to, "%u ", reply->code);
	ph__terminal_put(to, (struct ph_str){ reply->text, reply->len }, 4);
}

static void
put_recipient(FILE *to, const struct ph_recipient_outcome *r)
{
	fputs("  ", to);
	ph__terminal_put(to, ph__str(r->address), 4);
	fprintf(to, ": %s at %s: ", ph_outcome_name(r->outcome), ph_stage_name(r->stage));
	if (r->reply.code != 0)
		put_reply(to, &r->reply);
	else
		fprintf(to, "%s (%s)", ph_code_text(r->code), ph_cause_name(r->cause));
	fputc('\n', to);
}

/* What ended it for all of them has been said already. */
static bool
is_same_for_all(const struct ph_record *record)
{
	const struct ph_recipient_outcome *first = ph_record_recipient(record, 0);

	for (size_t i = 0; i < ph_record_recipient_count(record); i++) {
		const struct ph_recipient_outcome *r = ph_record_recipient(record, i);

		if (r->outcome != first->outcome || r->stage != first->stage ||
		    r->stage == PH_STAGE_RCPT || r->reply.code != first->reply.code)
			return false;
	}
	return true;
}

/* One line each, as far as a person reads; those who got it are only counted. */
static void
put_recipients(FILE *to, const struct ph_record *record)
{
	size_t n = ph_record_recipient_count(record), accepted = 0, told = 0;

	if (is_same_for_all(record))
		return;
	for (size_t i = 0; i < n; i++)
		accepted += ph_record_recipient(record, i)->outcome == PH_ACCEPTED;
	if (accepted == 0)
		fprintf(to, "None of %zu recipients was accepted:\n", n);
	else
		fprintf(to, "%zu of %zu recipients accepted; not:\n", accepted, n);
	for (size_t i = 0; i < n && told < RECIPIENTS_TOLD; i++)
		if (ph_record_recipient(record, i)->outcome != PH_ACCEPTED) {
			put_recipient(to, ph_record_recipient(record, i));
			told++;
		}
	if (n - accepted > told)
		fprintf(to, "  and %zu more; --json lists them all\n", n - accepted - told);
}

static void
put_success(const struct ph_record *record)
{
	const struct ph_recipient_outcome *first = ph_record_recipient(record, 0);
	size_t n = ph_record_recipient_count(record);
	char id[128];

	fputs("Accepted for ", stdout);
	if (n == 1)
		ph__terminal_put(stdout, ph__str(first->address), 0);
	else
		fprintf(stdout, "%zu recipients", n);
	if (ph_reply_remote_id(&first->reply, id, sizeof id) != NULL) {
		fputs(", the server's id is ", stdout);
		ph__terminal_put(stdout, ph__str(id), 0);
	}
	puts(".");
}

int
ph__send_report_record(const struct ph__send_options *o, const struct ph_record *record)
{
	const struct ph_error *err = ph_record_error(record);

	if (o->json) {
		char *json = ph_record_json(record);

		print_line(json);
		ph_record_free_json(record, json);
	}
	if (err != NULL)
		ph__problem_print(stderr, err);
	if (err != NULL && ph_record_recipient_count(record) > 1)
		put_recipients(stderr, record);
	if (err == NULL && !o->json && isatty(STDOUT_FILENO))
		put_success(record);
	return ph_record_exit_status(record);
}

/* ---- before there was one -------------------------------------------------------------------- */

/* What is to be said of the class's recipients, before any session. */
static const char *
outcome_of(enum ph_code code)
{
	bool never = code == PH_EINPUT || code == PH_ENOUSER || code == PH_ENOHOST
	          || code == PH_EREFUSED;

	return ph_outcome_name(never ? PH_REFUSED : PH_DEFERRED);
}

static void
json_recipient(struct ph__json *j, const char *address, const struct ph_error *err)
{
	ph__json_object(j, NULL);
	ph__json_cstr(j, "address", address);
	ph__json_cstr(j, "outcome", outcome_of(err->code));
	ph__json_null(j, "session");
	ph__json_cstr(j, "stage", ph_stage_name(err->stage));
	ph__json_null(j, "code");
	ph__json_null(j, "enhanced");
	ph__json_null(j, "text");
	ph__json_null(j, "remote_id");
	ph__json_end_object(j);
}

/* Of the envelope; or as the command line has them, when that is what is wrong with them. */
static void
json_recipients(struct ph__json *j, const struct ph__send_options *o,
                const struct ph__send_envelope *e, const struct ph_error *err)
{
	const struct ph__option_list *lists[] = { &o->to, &o->cc, &o->bcc };
	bool whole = e->from != NULL; /* the sender is read last */

	ph__json_array(j, "recipients");
	for (size_t i = 0; whole && i < e->count; i++)
		json_recipient(j, e->recipients[i], err);
	for (size_t i = 0; !whole && i < o->operand_count; i++)
		json_recipient(j, o->operands[i], err);
	for (size_t k = 0; !whole && k < sizeof lists / sizeof lists[0]; k++)
		for (size_t i = 0; i < lists[k]->count; i++)
			json_recipient(j, lists[k]->items[i], err);
	ph__json_end_array(j);
}

static void
json_error(struct ph__json *j, const struct ph_error *err)
{
	ph__json_object(j, "error");
	ph__json_cstr(j, "class", ph_code_name(err->code));
	ph__json_cstr(j, "stage", ph_stage_name(err->stage));
	ph__json_null(j, "code");
	ph__json_null(j, "enhanced");
	ph__json_cstr(j, "text", err->text);
	ph__json_cstr(j, "cause", ph_cause_name(err->cause));
	ph__json_cstr(j, "hint", err->hint[0] != '\0' ? err->hint : NULL);
	ph__json_end_object(j);
}

static void
print_failure_record(const struct ph__send_options *o, const struct ph__send_envelope *e,
                     const struct ph_error *err)
{
	struct ph__buf out;
	struct ph__json j = { .out = &out };

	ph__buf_init(&out, &ph__libc_memory, JSON_MAX);
	ph__json_object(&j, NULL);
	ph__json_cstr(&j, "outcome", outcome_of(err->code));
	ph__json_cstr(&j, "class", ph_code_name(err->code));
	ph__json_uint(&j, "exit", (uint64_t)ph_code_exit_status(err->code));
	ph__json_null(&j, "queue_id");
	ph__json_cstr(&j, "from", e->from);
	ph__json_uint(&j, "bytes", 0);
	ph__json_uint(&j, "round_trips", 0);
	json_recipients(&j, o, e, err);
	ph__json_array(&j, "sessions");
	ph__json_end_array(&j);
	json_error(&j, err);
	ph__json_end_object(&j);
	print_line(ph__buf_ok(&out) ? ph__buf_cstr(&out) : NULL);
	ph__buf_done(&out);
}

int
ph__send_report_failure(const struct ph__send_options *o, const struct ph__send_envelope *e,
                        const struct ph_error *err)
{
	if (o->json)
		print_failure_record(o, e, err);
	ph__problem_print(stderr, err);
	return ph_code_exit_status(err->code);
}

/* ---- what would be sent ---------------------------------------------------------------------- */

static const char *
tls_word(const struct ph__send_options *o)
{
	switch (o->link.tls.mode) {
	case PH_TLS_DEFAULT:
		return strncasecmp(o->link.server, "smtps:", 6) == 0 || strncasecmp(o->link.server, "submissions:", 12) == 0
		     ? "implicit, by the scheme" : "starttls, by the scheme";
	case PH_TLS_STARTTLS:      return "starttls";
	case PH_TLS_IMPLICIT:      return "implicit";
	case PH_TLS_OPPORTUNISTIC: return "opportunistic";
	case PH_TLS_OFF:           return "off";
	case PH_TLS_BY_HAND:       break; /* has no word */
	}
	return "";
}

static void
put_field(const char *name, const char *value)
{
	printf("%-12s", name);
	ph__terminal_put(stdout, ph__str(value), 12);
	putchar('\n');
}

/* Its lines end in CRLF. */
static void
put_message(const struct ph__send_message *m)
{
	for (const char *p = m->text, *end = p + m->text_len; p < end; ) {
		const char *lf = memchr(p, '\n', (size_t)(end - p));
		size_t n = (size_t)((lf != NULL ? lf : end) - p);

		ph__terminal_put(stdout, (struct ph_str){ p, n != 0 && p[n - 1] == '\r' ? n - 1 : n }, 0);
		putchar('\n');
		p += n + (lf != NULL);
	}
}

/* ---- ... with what is asked of the server's extensions */

static const char *
mode_word(const struct ph__send_extensions *x)
{
	return x->by_mode == PH_BY_RETURN ? "return" : "notify";
}

static const char *
return_word(const struct ph__send_extensions *x)
{
	return x->dsn_return == PH_RETURN_FULL ? "full"
	     : x->dsn_return == PH_RETURN_HEADERS ? "hdrs" : NULL;
}

/* 0: not asked for */
static void
json_number(struct ph__json *j, const char *key, int64_t n)
{
	if (n != 0)
		ph__json_int(j, key, n);
	else
		ph__json_null(j, key);
}

static void
json_extensions(struct ph__json *j, const struct ph__send_options *o)
{
	const struct ph__send_extensions *x = &o->extensions;

	ph__json_cstr(j, "notify", x->notify_words);
	ph__json_cstr(j, "ret", return_word(x));
	ph__json_cstr(j, "envid", x->envid);
	ph__json_bool(j, "require_tls", x->require_tls);
	if (x->by_mode != PH_BY_NONE) {
		ph__json_object(j, "deliver_by");
		ph__json_uint(j, "seconds", (uint64_t)x->by_seconds);
		ph__json_cstr(j, "mode", mode_word(x));
		ph__json_bool(j, "trace", x->by_trace);
		ph__json_end_object(j);
	} else {
		ph__json_null(j, "deliver_by");
	}
	json_number(j, "hold_for", (int64_t)x->hold_for);
	json_number(j, "hold_until", x->hold_until);
	json_number(j, "priority", o->priority);
}

static void
put_extensions(const struct ph__send_options *o)
{
	const struct ph__send_extensions *x = &o->extensions;

	if (x->notify_words != NULL)
		put_field("Notify", x->notify_words);
	if (x->dsn_return != 0)
		put_field("Return", return_word(x));
	if (x->envid != NULL)
		put_field("Envelope ID", x->envid);
	if (x->require_tls)
		put_field("Require TLS", "on the whole way");
	if (x->by_mode != PH_BY_NONE)
		printf("%-12swithin %ld seconds, else %s%s\n", "Deliver", (long)x->by_seconds, mode_word(x),
		       x->by_trace ? "; each server reports" : "");
	if (x->hold_for != 0)
		printf("%-12sfor %llu seconds\n", "Hold", (unsigned long long)x->hold_for);
	if (x->hold_until != 0)
		put_field("Hold until", x->hold_words);
	if (o->priority != 0)
		printf("%-12s%+d\n", "Priority", o->priority);
}

static void
json_plan(const struct ph__send_options *o, const struct ph__send_envelope *e, const char *user,
          const struct ph_source_facts *facts)
{
	struct ph__buf out;
	struct ph__json j = { .out = &out };

	ph__buf_init(&out, &ph__libc_memory, JSON_MAX);
	ph__json_object(&j, NULL);
	ph__json_bool(&j, "dry_run", true);
	ph__json_cstr(&j, "server", o->link.server);
	ph__json_cstr(&j, "connect", o->link.connect);
	ph__json_cstr(&j, "proxy", o->link.proxy);
	ph__json_cstr(&j, "tls", o->link.tls.mode != PH_TLS_DEFAULT ? tls_word(o) : NULL);
	ph__json_bool(&j, "insecure", o->link.tls.insecure);
	ph__json_cstr(&j, "user", user);
	ph__json_cstr(&j, "from", e->from);
	ph__json_array(&j, "recipients");
	for (size_t i = 0; i < e->count; i++)
		ph__json_cstr(&j, NULL, e->recipients[i]);
	ph__json_end_array(&j);
	if (facts->known)
		ph__json_uint(&j, "bytes", facts->wire_size);
	else
		ph__json_null(&j, "bytes");
	json_extensions(&j, o);
	ph__json_end_object(&j);
	if (ph__buf_ok(&out))
		puts(ph__buf_cstr(&out));
	else
		ph__warn(stderr, "there is no memory for the plan");
	ph__buf_done(&out);
}

static void
put_plan(const struct ph__send_options *o, const struct ph__send_envelope *e, const char *user,
         const struct ph__send_message *m, const struct ph_source_facts *facts)
{
	put_field("Server", o->link.server);
	if (o->link.connect != NULL)
		put_field("Connect to", o->link.connect);
	if (o->link.proxy != NULL)
		put_field("Proxy", o->link.proxy);
	put_field("TLS", tls_word(o));
	if (o->link.tls.insecure)
		put_field("Verified", "no (--insecure)");
	if (user != NULL)
		put_field("User", user);
	put_field("From", *e->from != '\0' ? e->from : "<> (the null sender)");
	for (size_t i = 0; i < e->count; i++)
		put_field("To", e->recipients[i]);
	put_extensions(o);
	if (facts->known)
		printf("%-12s%llu octets on the wire%s\n", "Message",
		       (unsigned long long)facts->wire_size, facts->eight_bit ? ", 8-bit" : "");
	else
		put_field("Message", "from a pipe: its size shows when it is read");
	if (m->text != NULL) {
		putchar('\n');
		put_message(m);
	}
}

int
ph__send_report_plan(const struct ph__send_options *o, const struct ph__send_envelope *e,
                     const struct ph__send_message *m)
{
	struct ph_source_facts facts = PH_SOURCE_FACTS_INIT;
	struct ph_error err = PH_ERROR_INIT;
	char buf[320];
	const char *user = ph__link_user(&o->link, buf, sizeof buf);

	if (ph_source_examine(m->source, &facts, &err) != PH_OK)
		return ph__send_report_failure(o, e, &err);
	if (o->json)
		json_plan(o, e, user, &facts);
	else
		put_plan(o, e, user, m, &facts);
	return ph__output_status();
}
