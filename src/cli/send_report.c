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
#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"
#include "cli/problem.h"
#include "cli/send_routes.h"
#include "cli/terminal.h"

#define JSON_MAX (256u * 1024 * 1024)
#define RECIPIENTS_TOLD 20
#define SERVERS_TOLD 5
#define RECIPIENTS_COMPARED 1000 /* their servers are counted; it takes the square of it */

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

/* The same where each has a server of his own. */
static void
put_recipient_there(FILE *to, const struct ph_record *record, size_t i)
{
	const struct ph_recipient_outcome *r = ph_record_recipient(record, i);
	const char *host = ph_record_host(record, r->session);
	const struct ph_error *why = ph_record_recipient_error(record, i);

	if (why == NULL)
		why = ph_record_session_error(record, r->session);

	fputs("  ", to);
	ph__terminal_put(to, ph__str(r->address), 4);
	fprintf(to, ": %s", ph_outcome_name(r->outcome));
	if (host != NULL) {
		fputs(r->reply.code != 0 ? " by " : ", server ", to);
		ph__terminal_put(to, ph__str(host), 4);
	}
	fprintf(to, " at %s: ", ph_stage_name(r->stage));
	if (r->reply.code != 0)
		put_reply(to, &r->reply);
	else if (why != NULL)
		ph__terminal_put(to, ph__str(why->text), 4);
	else
		fprintf(to, "%s (%s)", ph_code_text(r->code), ph_cause_name(r->cause));
	fputc('\n', to);
}

/* What ended it for all of them has been said already. */
static bool
is_same_for_all(const struct ph_record *record, bool direct)
{
	const struct ph_recipient_outcome *first = ph_record_recipient(record, 0);
	size_t n = ph_record_recipient_count(record);

	for (size_t i = 0; n > 1 && i < n; i++) {
		const struct ph_recipient_outcome *r = ph_record_recipient(record, i);

		if (r->outcome != first->outcome || r->stage != first->stage ||
		    r->stage == PH_STAGE_RCPT || r->reply.code != first->reply.code ||
		    (direct && r->session != first->session))
			return false;
	}
	return true;
}

/* One line each, as far as a person reads; those who got it are only counted. */
static void
put_recipients(FILE *to, const struct ph_record *record, bool direct)
{
	size_t n = ph_record_recipient_count(record), accepted = 0, told = 0;

	for (size_t i = 0; i < n; i++)
		accepted += ph_record_recipient(record, i)->outcome == PH_ACCEPTED;
	if (accepted == 0)
		fprintf(to, "None of %zu recipients was accepted:\n", n);
	else
		fprintf(to, "%zu of %zu recipients accepted; not:\n", accepted, n);
	for (size_t i = 0; i < n && told < RECIPIENTS_TOLD; i++)
		if (ph_record_recipient(record, i)->outcome != PH_ACCEPTED) {
			if (direct)
				put_recipient_there(to, record, i);
			else
				put_recipient(to, ph_record_recipient(record, i));
			told++;
		}
	if (n - accepted > told)
		fprintf(to, "  and %zu more; --json lists them all\n", n - accepted - told);
}

/* The servers that were tried in turn for the recipients' one domain: the last one's fate has been told,
 * by it or by us. */
static void
put_servers(FILE *to, const struct ph_record *record)
{
	const struct ph_recipient_outcome *first = ph_record_recipient(record, 0);
	const char *host;

	if (first->session == 0 || ph_record_host(record, 1) == NULL) {
		if ((host = ph_record_host(record, 0)) != NULL) {
			fputs("           Server: ", to);
			ph__terminal_put(to, ph__str(host), 4);
			fputc('\n', to);
		}
		return;
	}
	for (size_t i = 0; i < RECIPIENTS_TOLD && (host = ph_record_host(record, i)) != NULL; i++) {
		const struct ph_error *why = ph_record_session_error(record, i);

		if (i == 0)
			fputs("Servers tried:\n", to);
		fputs("  ", to);
		ph__terminal_put(to, ph__str(host), 4);
		if (why != NULL) {
			fputs(": ", to);
			ph__terminal_put(to, ph__str(why->text), 4);
		}
		fputc('\n', to);
	}
}

/* Whether another recipient before has the same server. */
static bool
is_new_server(const struct ph_record *record, size_t i)
{
	const char *host = ph_record_host(record, ph_record_recipient(record, i)->session);

	for (size_t k = 0; host != NULL && k < i; k++) {
		const char *other = ph_record_host(record, ph_record_recipient(record, k)->session);

		if (other != NULL && strcmp(other, host) == 0)
			return false;
	}
	return host != NULL;
}

static void
put_success_there(const struct ph_record *record)
{
	size_t n = ph_record_recipient_count(record), servers = 0, told = 0;

	for (size_t i = 0; i < n && i < RECIPIENTS_COMPARED; i++)
		servers += is_new_server(record, i);
	if (servers != 1 && n <= RECIPIENTS_COMPARED)
		printf(" by %zu servers: ", servers);
	else
		fputs(n <= RECIPIENTS_COMPARED ? " by " : " by servers such as ", stdout);
	for (size_t i = 0; i < n && i < RECIPIENTS_COMPARED && told < SERVERS_TOLD; i++) {
		if (!is_new_server(record, i))
			continue;
		fputs(told++ != 0 ? ", " : "", stdout);
		ph__terminal_put(stdout, ph__str(ph_record_host(record,
		                                                ph_record_recipient(record, i)->session)), 0);
	}
	if (servers > told)
		printf(" and %zu more", servers - told);
}

static void
put_success(const struct ph_record *record, bool direct)
{
	const struct ph_recipient_outcome *first = ph_record_recipient(record, 0);
	size_t n = ph_record_recipient_count(record);
	char id[128];

	fputs("Accepted for ", stdout);
	if (n == 1)
		ph__terminal_put(stdout, ph__str(first->address), 0);
	else
		fprintf(stdout, "%zu recipients", n);
	if (direct)
		put_success_there(record);
	if ((!direct || n == 1) && ph_reply_remote_id(&first->reply, id, sizeof id) != NULL) {
		fputs(", the server's id is ", stdout);
		ph__terminal_put(stdout, ph__str(id), 0);
	}
	puts(".");
}

/* A server of the user's choice could be another one; here all that there are have been asked. */
static void
put_problem(const struct ph_error *err, bool direct)
{
	if (direct && err->code == PH_EREFUSED && err->reply == 0 && err->cause != PH_CAUSE_NULL_MX)
		ph__problem_print_as(stderr, err, "Nobody got it: no server of the domain can take it as it is.");
	else
		ph__problem_print(stderr, err);
}

/* A reply that speaks neither of the address nor of the mailbox or server (RFC 3463 §3.2 to §3.4). */
static bool
may_be_about_us(const struct ph_recipient_outcome *r)
{
	return r->outcome != PH_ACCEPTED && r->reply.code >= 400 &&
	       (r->reply.enhanced[0] == 0 || r->reply.enhanced[1] == 0 || r->reply.enhanced[1] > 3);
}

/* Many servers refuse whom they cannot call by name, and few say that this is why. */
static void
put_name(FILE *to, const struct ph__link_options *link, const struct ph_record *record)
{
	bool about_us = false;

	for (size_t i = 0; i < ph_record_recipient_count(record); i++)
		about_us |= may_be_about_us(ph_record_recipient(record, i));
	if (about_us && ph__send_direct_is_nameless(link))
		fputs("Note: EHLO gave no full host name, which many servers take for a sign of spam; --helo\n"
		      "sets one, which should be the name of this computer's address in the DNS.\n", to);
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
		put_problem(err, o->direct.wanted);
	if (err != NULL && !is_same_for_all(record, o->direct.wanted))
		put_recipients(stderr, record, o->direct.wanted);
	else if (err != NULL && o->direct.wanted)
		put_servers(stderr, record);
	if (err != NULL && o->direct.wanted)
		put_name(stderr, &o->link, record);
	if (err == NULL && !o->json && isatty(STDOUT_FILENO))
		put_success(record, o->direct.wanted);
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
		if (o->direct.wanted)
			return "as each domain asks for; else if offered";
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

static int
json_plan(const struct ph__send_options *o, const struct ph__send_envelope *e, const char *user,
          const struct ph_source_facts *facts, struct ph_client *client)
{
	int status = 0;
	struct ph__buf out;
	struct ph__json j = { .out = &out };

	ph__buf_init(&out, &ph__libc_memory, JSON_MAX);
	ph__json_object(&j, NULL);
	ph__json_bool(&j, "dry_run", true);
	ph__json_cstr(&j, "server", o->link.server);
	ph__json_bool(&j, "direct", o->direct.wanted);
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
	if (o->direct.wanted)
		status = ph__send_routes_json(client, e, &j);
	ph__json_end_object(&j);
	if (ph__buf_ok(&out))
		puts(ph__buf_cstr(&out));
	else
		ph__warn(stderr, "there is no memory for the plan");
	ph__buf_done(&out);
	return status;
}

static void
put_server(const struct ph__send_options *o)
{
	if (!o->direct.wanted) {
		put_field("Server", o->link.server);
		return;
	}
	put_field("Server", "each recipient's own (--direct)");
	if (ph__send_direct_is_nameless(&o->link))
		put_field("EHLO", "not a full host name, which many servers want: set one with --helo NAME");
}

static void
put_plan(const struct ph__send_options *o, const struct ph__send_envelope *e, const char *user,
         const struct ph__send_message *m, const struct ph_source_facts *facts)
{
	put_server(o);
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
                     const struct ph__send_message *m, struct ph_client *client)
{
	struct ph_source_facts facts = PH_SOURCE_FACTS_INIT;
	struct ph_error err = PH_ERROR_INIT;
	char buf[320];
	const char *user = ph__link_user(&o->link, buf, sizeof buf);
	int status = 0, output;

	if (ph_source_examine(m->source, &facts, &err) != PH_OK)
		return ph__send_report_failure(o, e, &err);
	if (o->json) {
		status = json_plan(o, e, user, &facts, client);
	} else {
		put_plan(o, e, user, m, &facts);
		if (o->direct.wanted)
			status = ph__send_routes_print(client, e);
	}
	output = ph__output_status();
	return status != 0 ? status : output;
}
