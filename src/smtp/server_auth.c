/* SPDX-License-Identifier: MIT */
/* AUTH as a server (RFC 4954): PLAIN (RFC 4616) and LOGIN. One row a mechanism; a step takes one
 * decoded response and says what comes next. Whether the credentials are right is asked of the
 * caller. They live in two wiped buffers and are gone once the answer is known. */
#include "smtp/server_private.h"

#include "base/base64.h"

enum next { NEXT_CHALLENGE, NEXT_ASK, NEXT_BROKEN };

struct ph__server_sasl {
	const char *name;
	const char *first; /* the challenge when no initial response came, in base64 */
	enum next (*step)(struct ph__server *s, struct ph_str response, const char **challenge);
};

static struct ph__server_event *
ask(struct ph__server *s)
{
	struct ph__server_event *ev = ph__server_ask(s, PH__SERVER_ON_AUTH, 535, "5.7.8",
	                                             "authentication failed");

	ev->verb = "AUTH";
	ev->mechanism = s->auth.mechanism->name;
	return ev;
}

/* message = [authzid] NUL authcid NUL passwd; none of them empty but the first */
static enum next
step_plain(struct ph__server *s, struct ph_str r, const char **challenge)
{
	const char *end = r.ptr + r.len;
	const char *a = r.len != 0 ? memchr(r.ptr, '\0', r.len) : NULL;
	const char *b = a != NULL ? memchr(a + 1, '\0', (size_t)(end - a - 1)) : NULL;
	struct ph__server_event *ev;

	(void)challenge;
	if (b == NULL || b == a + 1 || b + 1 == end ||
	    memchr(b + 1, '\0', (size_t)(end - b - 1)) != NULL)
		return NEXT_BROKEN;
	ev = ask(s);
	ev->authzid = (struct ph_str){ r.ptr, (size_t)(a - r.ptr) };
	ev->user = (struct ph_str){ a + 1, (size_t)(b - a - 1) };
	ev->password = (struct ph_str){ b + 1, (size_t)(end - b - 1) };
	return NEXT_ASK;
}

static enum next
step_login(struct ph__server *s, struct ph_str r, const char **challenge)
{
	struct ph__server_event *ev;

	if (s->auth.round == 1) {
		ph__buf_add(&s->auth.user, r.ptr, r.len);
		*challenge = "UGFzc3dvcmQ6"; /* Password: */
		return NEXT_CHALLENGE;
	}
	ev = ask(s);
	ev->user = ph__buf_str(&s->auth.user);
	ev->password = r;
	return NEXT_ASK;
}

static const struct ph__server_sasl mechanisms[] = {
	{ "PLAIN", "", step_plain },
	{ "LOGIN", "VXNlcm5hbWU6", step_login }, /* Username: */
};

const char *
ph__server_mechanisms(void)
{
	return "PLAIN LOGIN";
}

void
ph__server_auth_end(struct ph__server *s)
{
	ph__buf_reset(&s->auth.user);
	ph__buf_reset(&s->auth.secret);
	s->auth.mechanism = NULL;
	s->auth.round = 0;
	if (s->phase == PH__PHASE_AUTH)
		s->phase = PH__PHASE_COMMAND;
}

static void
broken(struct ph__server *s, const char *text)
{
	ph__server_auth_end(s);
	ph__server_error(s, 501, "5.5.2", text);
}

static void
respond(struct ph__server *s, struct ph_str base64)
{
	const char *challenge = "";
	bool ok;

	ph__buf_reset(&s->auth.secret);
	ok = ph__base64_decode(&s->auth.secret, base64);

	ph__server_wipe_held(s, base64);
	s->phase = PH__PHASE_COMMAND;
	s->auth.round++;
	if (!ok) {
		broken(s, "the response is not base64");
		return;
	}
	switch (s->auth.mechanism->step(s, ph__buf_str(&s->auth.secret), &challenge)) {
	case NEXT_ASK:
		break;
	case NEXT_BROKEN:
		broken(s, "the response is not what the mechanism asks for");
		break;
	case NEXT_CHALLENGE:
		if (!ph__buf_ok(&s->auth.user)) {
			broken(s, "the response is too long");
			break;
		}
		s->phase = PH__PHASE_AUTH;
		ph__server_say(s, &(struct ph__server_reply){ 334, NULL, challenge });
	}
}

void
ph__server_auth_line(struct ph__server *s, struct ph_str line)
{
	if (ph__str_eq(line, ph__str("*"))) {
		ph__server_auth_end(s);
		ph__server_error(s, 501, "5.7.0", "cancelled");
		return;
	}
	respond(s, line);
}

static const struct ph__server_sasl *
find(struct ph_str name)
{
	for (size_t i = 0; i < sizeof mechanisms / sizeof mechanisms[0]; i++)
		if (ph__str_eq_nocase(name, ph__str(mechanisms[i].name)))
			return &mechanisms[i];
	return NULL;
}

/* "AUTH" SP mechanism [SP initial-response]; a lone "=" is an empty response. */
void
ph__server_auth(struct ph__server *s, struct ph_str arg)
{
	const char *space = memchr(arg.ptr, ' ', arg.len);
	struct ph_str name = { arg.ptr, space != NULL ? (size_t)(space - arg.ptr) : arg.len };
	struct ph_str initial = { NULL, 0 };

	if (space != NULL)
		initial = (struct ph_str){ space + 1, arg.len - name.len - 1 };
	if (s->authenticated) {
		ph__server_error(s, 503, "5.5.1", "authenticated already");
	} else if (!ph__server_offers_auth(s)) {
		ph__server_error(s, 538, "5.7.11",
		                 "not without TLS: the password would be in clear");
	} else if ((s->auth.mechanism = find(name)) == NULL) {
		ph__server_error(s, 504, "5.5.4", "no such mechanism here");
	} else if (space == NULL) {
		s->phase = PH__PHASE_AUTH;
		ph__server_say(s, &(struct ph__server_reply){
			334, NULL, s->auth.mechanism->first });
		/* LOGIN counts rounds from the user name; a challenge alone is none. */
		s->auth.round = 0;
	} else {
		respond(s, ph__str_eq(initial, ph__str("=")) ? (struct ph_str){ "", 0 } : initial);
	}
}
