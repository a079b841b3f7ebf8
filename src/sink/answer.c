/* SPDX-License-Identifier: MIT */
/* What the session asks, and what is answered. Every reply that is a matter of choice is chosen in one
 * place, choose(). Where a rule says more than a reply, faults.c carries it out. */
#include <assert.h>
#include <stdio.h>

#include "mail/encode.h"
#include "sink/private.h"

/* What the rules know an event by. */
static struct ph__rule_event
describe(const struct ph__sink_conn *c, const struct ph__server_event *ev, struct ph__buf *argument)
{
	struct ph__rule_event e = { .verb = ev->verb, .argument = ev->text };
	struct ph_str rcpts = ph__buf_str(&c->rcpts);
	const char *lf;

	switch (ev->type) {
	case PH__SERVER_ON_CONNECT:
		e.stage = PH__RULE_CONNECT;
		e.argument = ph__str(c->peer);
		break;
	case PH__SERVER_ON_AUTH:
		e.stage = PH__RULE_AUTH;
		ph__buf_addf(argument, "%s ", ev->mechanism);
		ph__buf_add(argument, ev->user.ptr, ev->user.len);
		e.argument = ph__buf_str(argument);
		break;
	case PH__SERVER_ON_DATA:
		e.stage = PH__RULE_DATA;
		e.argument = ph__buf_str(&c->from);
		break;
	case PH__SERVER_ON_MESSAGE:
		e.stage = PH__RULE_MESSAGE;
		e.argument = ph__buf_str(&c->from);
		rcpts.ptr += c->rcpt_off;
		rcpts.len -= c->rcpt_off;
		if (rcpts.len != 0 && (lf = memchr(rcpts.ptr, '\n', rcpts.len)) != NULL)
			e.argument = (struct ph_str){ rcpts.ptr, (size_t)(lf - rcpts.ptr) };
		break;
	default:
		e.stage = ph__rule_stage_of(ev->verb);
	}
	return e;
}

static struct ph__rule *
find_rule(struct ph__sink_conn *c, const struct ph__server_event *ev)
{
	struct ph__rule_event e;
	struct ph__rule *r;
	struct ph__buf argument;

	if (c->sink->rules.count == 0)
		return NULL;
	if (ev->type == PH__SERVER_ON_MAIL) {
		ph__rule_peer_next_message(&c->sink->rules, &c->peer_counts);
		c->body_octets = 0;
		c->rcpt_off = 0;
		ph__buf_reset(&c->rcpts);
		ph__buf_reset(&c->from);
		ph__buf_add(&c->from, ev->text.ptr, ev->text.len);
	}
	ph__buf_init(&argument, c->sink->mem, PH__AUTH_LINE_MAX);
	argument.secret = true;
	e = describe(c, ev, &argument);
	r = ph__sink_fault_find(c, &e);
	ph__buf_done(&argument);
	if (ev->type == PH__SERVER_ON_MESSAGE && c->protocol == PH__SINK_LMTP)
		c->rcpt_off += e.argument.len + 1;
	return r;
}

/* The user who has proved to be one; NULL: he has not. */
static const char *
who(const struct ph__sink_conn *c, const struct ph__server_event *ev)
{
	const struct ph__sink *s = c->sink;

	if (c->sasl.exchange != NULL)
		return c->sasl.proved ? ev->user.ptr : NULL;
	if (strcmp(ev->mechanism, "XOAUTH2") == 0 || strcmp(ev->mechanism, "OAUTHBEARER") == 0)
		return ph__sink_users_check(&s->tokens, ev->user, ev->password);
	return ev->user.len != 0 ? ph__sink_users_check(&s->users, ev->user, ev->password) : NULL;
}

struct choice {
	const struct ph__server_reply *reply; /* NULL: as the session proposes */
	const struct ph__rule *rule;          /* NULL, or it says more than a reply */
};

/* The one place where a reply is chosen: what the sink itself cannot do, then the rules, then the
 * users. */
static struct choice
choose(struct ph__sink_conn *c, const struct ph__server_event *ev)
{
	static const struct ph__server_reply
		going = { 421, "4.3.2", "shutting down" },
		crowded = { 421, "4.3.2", "too many connections" },
		welcome = { 235, "2.7.0", "authenticated" };
	struct ph__sink *s = c->sink;
	bool enough = s->o->messages != 0 && s->messages >= s->o->messages;
	struct choice choice = { NULL, NULL };
	const struct ph__rule *r;

	if (ev->type == PH__SERVER_ON_CONNECT && s->conn_count > s->connections_max)
		return (struct choice){ &crowded, NULL };
	if ((ev->type == PH__SERVER_ON_MAIL && (s->stopping || enough)) ||
	    (ev->type == PH__SERVER_ON_MESSAGE && enough && ev->recipient == 0))
		return (struct choice){ &going, NULL };
	if (ev->type == PH__SERVER_ON_AUTH && who(c, ev) != NULL)
		choice.reply = &welcome;
	if ((r = find_rule(c, ev)) != NULL) {
		if (r->reply.code != 0)
			choice.reply = &r->reply;
		if (!ph__rule_is_plain(r))
			choice.rule = r;
	}
	return choice;
}

static bool
keep_text(struct ph__buf *b, struct ph_str s)
{
	ph__buf_reset(b);
	return ph__buf_add(b, s.ptr, s.len);
}

static bool
log_in(struct ph__sink_conn *c, const struct ph__server_event *ev)
{
	const char *name = who(c, ev);

	snprintf(c->message.mechanism, sizeof c->message.mechanism, "%s", ev->mechanism);
	return keep_text(&c->message.user, name != NULL ? ph__str(name) : ev->user);
}

/* A proxy's word on who its client is. It begins anew with that; LOGIN is as good as AUTH. */
static bool
take_over(struct ph__sink_conn *c, const struct ph__server_event *ev)
{
	struct ph_str rest = ev->text, name, value;
	struct ph__sink_message *m = &c->message;

	ph__buf_reset(&m->helo);
	while (ph__server_next_parameter(&rest, &name, &value)) {
		bool known = value.len != 0 && *value.ptr != '[';

		if (ph__str_is(name, "LOGIN")) {
			ph__server_set_authenticated(c->session, known);
			m->mechanism[0] = '\0';
			ph__buf_reset(&m->user);
			if (known && !ph__xtext_decode(&m->user, value))
				return false;
		}
	}
	return keep_text(&m->xclient, ev->text);
}

static bool
add_forward(struct ph__buf *to, struct ph_str text)
{
	return (to->len == 0 || ph__buf_add_char(to, ' ')) && ph__buf_add(to, text.ptr, text.len);
}

static const struct ph__server_reply *
obey(struct ph__sink_conn *c, const struct ph__server_event *ev)
{
	static const struct ph__server_reply no_room = { 452, "4.3.1", "no room for that" };

	if (ph__cstr_eq_nocase(ev->verb, "XCLIENT"))
		return take_over(c, ev) ? NULL : &no_room;
	if (ph__cstr_eq_nocase(ev->verb, "XFORWARD"))
		return add_forward(&c->message.xforward, ev->text) ? NULL : &no_room;
	return NULL;
}

/* What follows from accepting; a reply when it cannot be done after all. */
static const struct ph__server_reply *
carry_out(struct ph__sink_conn *c, const struct ph__server_event *ev)
{
	static const struct ph__server_reply
		no_room = { 452, "4.5.3", "the envelope is too large" },
		no_memory = { 451, "4.3.0", "out of memory" };
	struct ph__sink_message *m = &c->message;

	switch (ev->type) {
	case PH__SERVER_ON_HELLO:
		return keep_text(&m->helo, ev->text) ? NULL : &no_memory;
	case PH__SERVER_ON_AUTH:
		return log_in(c, ev) ? NULL : &no_memory;
	case PH__SERVER_ON_MAIL:
		return ph__sink_message_mail(m, ev) ? NULL : &no_room;
	case PH__SERVER_ON_RCPT:
		if (c->protocol == PH__SINK_LMTP && c->sink->rules.count != 0) {
			ph__buf_add(&c->rcpts, ev->text.ptr, ev->text.len);
			ph__buf_add_char(&c->rcpts, '\n');
		}
		return ph__sink_message_rcpt(m, ev) ? NULL : &no_room;
	case PH__SERVER_ON_MESSAGE:
		if (ev->recipient == 0)
			c->verdict = ph__sink_message_end(c);
		return c->verdict;
	case PH__SERVER_ON_COMMAND:
		return obey(c, ev);
	default:
		return NULL;
	}
}

/* A message's final reply was said already, while the message came: only what it means is left. */
static bool
was_early(struct ph__sink_conn *c, const struct ph__server_event *ev)
{
	uint16_t code = c->early;

	if (ev->type != PH__SERVER_ON_MESSAGE || ev->recipient != 0 || code == 0)
		return false;
	if (code >= 400)
		ph__sink_message_drop(c->sink, &c->message);
	else
		carry_out(c, ev);
	c->early = 0;
	return ph__server_answered_as(c->session, code, uv_now(&c->sink->loop)) == PH_OK;
}

static void
give(struct ph__sink_conn *c, const struct ph__server_event *ev)
{
	struct choice choice = choose(c, ev);
	const struct ph__server_reply *r = choice.reply != NULL ? choice.reply : &ev->reply, *trouble;
	enum ph_code rc;

	if (r->code < 400 && (trouble = carry_out(c, ev)) != NULL)
		r = trouble;
	else if (r->code >= 400 && ev->type == PH__SERVER_ON_MESSAGE && ev->recipient == 0)
		ph__sink_message_drop(c->sink, &c->message);
	if (choice.rule != NULL) {
		ph__sink_records_flush(c->sink);
		ph__sink_fault_begin(c, choice.rule, r, true);
		return;
	}
	rc = ph__server_answer(c->session, r, uv_now(&c->sink->loop));
	assert(rc == PH_OK);
	(void)rc;
}

void
ph__sink_settle(struct ph__sink_conn *c, struct ph__server_event *ev)
{
	if (ev->type == PH__SERVER_ON_SASL && !ph__sink_sasl_step(c, ev))
		return;
	if (!was_early(c, ev))
		give(c, ev);
	if (ev->type == PH__SERVER_ON_AUTH)
		ph__sink_sasl_end(c);
	if (c->sink->o->messages != 0 && c->sink->messages >= c->sink->o->messages)
		ph__sink_stop(c->sink, false);
}

void
ph__sink_watch_body(struct ph__sink_conn *c, size_t n)
{
	struct ph__rule_event e = { .stage = PH__RULE_BODY, .argument = ph__buf_str(&c->from),
		                    .from = c->body_octets, .to = c->body_octets + n };
	const struct ph__rule *r;

	if (c->sink->rules.count == 0)
		return;
	c->body_octets = e.to;
	if ((r = ph__sink_fault_find(c, &e)) == NULL)
		return;
	ph__server_keep(c->session);
	c->early = r->reply.code;
	ph__sink_fault_begin(c, r, r->reply.code != 0 ? &r->reply : NULL, false);
}
