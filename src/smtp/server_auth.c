/* SPDX-License-Identifier: MIT */
/* AUTH as a server (RFC 4954): PLAIN (RFC 4616), LOGIN, XOAUTH2 (Google) and OAUTHBEARER (RFC 7628),
 * one row each; a step takes one decoded response and says what comes next. Whether the credentials
 * are right is asked of the caller. Of any other mechanism the caller is asked each step. Secrets live
 * in wiped buffers and are gone once the answer is known.
 *
 * The bearer of a wrong token is told why in a challenge; whatever he answers, 535 comes behind it
 * (RFC 7628 §3.2.3). */
#include "smtp/server_private.h"

#include "base/base64.h"

enum next { NEXT_CHALLENGE, NEXT_ASK, NEXT_BROKEN };

struct ph__server_sasl {
	const char *name;
	const char *first; /* the challenge when no initial response came, in base64 */
	enum next (*step)(struct ph__server *s, struct ph_str response, const char **challenge);
	const char *why; /* a bearer's: the error object */
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

/* What stands behind `key` in a list of fields with ^A between them; ptr NULL: no such field. */
static struct ph_str
value_of(struct ph_str r, const char *key)
{
	size_t n = strlen(key);

	while (r.len != 0) {
		struct ph_str field = ph__str_cut(&r, '\x01');

		if (ph__str_begins(field, key))
			return (struct ph_str){ field.ptr + n, field.len - n };
	}
	return (struct ph_str){ NULL, 0 };
}

static enum next
ask_bearer(struct ph__server *s, struct ph_str user, struct ph_str token)
{
	struct ph__server_event *ev;

	if (token.len == 0)
		return NEXT_BROKEN;
	ev = ask(s);
	ev->user = user;
	ev->password = token;
	return NEXT_ASK;
}

/* "user=" name ^A "auth=Bearer " token ^A ^A */
static enum next
step_xoauth2(struct ph__server *s, struct ph_str r, const char **challenge)
{
	struct ph_str user = value_of(r, "user=");

	(void)challenge;
	return user.len == 0 ? NEXT_BROKEN : ask_bearer(s, user, value_of(r, "auth=Bearer "));
}

/* gs2-header = ("n" / "y") "," ["a=" saslname] ","; in a saslname "=2C" is a comma, "=3D" an equals
 * sign (RFC 5801 §4). */
static bool
take_gs2_header(struct ph__server *s, struct ph_str *r)
{
	const char *end;
	size_t n;

	if (r->len < 3 || (*r->ptr != 'n' && *r->ptr != 'y') || r->ptr[1] != ',' ||
	    (end = memchr(r->ptr + 2, ',', r->len - 2)) == NULL)
		return false;
	n = (size_t)(end - r->ptr) - 2;
	if (n != 0 && (n < 3 || r->ptr[2] != 'a' || r->ptr[3] != '='))
		return false;
	ph__buf_reset(&s->auth.user);
	for (const char *p = r->ptr + 4; n != 0 && p < end; p++) {
		bool comma = end - p >= 3 && memcmp(p, "=2C", 3) == 0;
		bool equals = end - p >= 3 && memcmp(p, "=3D", 3) == 0;

		if (*p == '=' && !comma && !equals)
			return false;
		ph__buf_add_char(&s->auth.user, comma ? ',' : *p);
		p += comma || equals ? 2 : 0;
	}
	r->len -= (size_t)(end + 1 - r->ptr);
	r->ptr = end + 1;
	return ph__buf_ok(&s->auth.user);
}

/* gs2-header ^A *(key "=" value ^A) ^A */
static enum next
step_oauthbearer(struct ph__server *s, struct ph_str r, const char **challenge)
{
	(void)challenge;
	if (!take_gs2_header(s, &r))
		return NEXT_BROKEN;
	return ask_bearer(s, ph__buf_str(&s->auth.user), value_of(r, "auth=Bearer "));
}

/* The caller's: he says what comes next. */
static enum next
step_sasl(struct ph__server *s, struct ph_str r, const char **challenge)
{
	struct ph__server_event *ev;

	(void)challenge;
	if (s->auth.round > PH__AUTH_ROUNDS_MAX)
		return NEXT_BROKEN;
	ev = ph__server_ask(s, PH__SERVER_ON_SASL, 535, "5.7.8", "authentication failed");
	ev->verb = "AUTH";
	ev->mechanism = s->auth.name;
	ev->text = r;
	ev->first = !s->auth.begun;
	s->auth.begun = true;
	return NEXT_ASK;
}

static const struct ph__server_sasl mechanisms[] = {
	{ "PLAIN", "", step_plain, NULL },
	{ "LOGIN", "VXNlcm5hbWU6", step_login, NULL }, /* Username: */
	{ "XOAUTH2", "", step_xoauth2,
	  "{\"status\":\"401\",\"schemes\":\"bearer\",\"scope\":\"mail\"}" },
	{ "OAUTHBEARER", "", step_oauthbearer, "{\"status\":\"invalid_token\",\"scope\":\"mail\"}" },
}, the_callers = { "", NULL, step_sasl, NULL };

void
ph__server_auth_end(struct ph__server *s)
{
	ph__buf_reset(&s->auth.user);
	ph__buf_reset(&s->auth.secret);
	s->auth.mechanism = NULL;
	s->auth.begun = s->auth.refused = false;
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

bool
ph__server_auth_explains(struct ph__server *s, const struct ph__server_reply *refusal)
{
	const char *why = s->auth.mechanism->why;
	struct ph__buf *v = &s->auth.verdict;

	if (why == NULL || refusal->code != 535)
		return false;
	ph__buf_reset(v);
	ph__buf_add_str(v, refusal->enhanced != NULL ? refusal->enhanced : "");
	ph__buf_add_char(v, '\0');
	ph__buf_add_str(v, refusal->text);
	ph__buf_reset(&s->scratch);
	if (!ph__base64_encode(&s->scratch, why, strlen(why), false) || !ph__buf_ok(v))
		return false;
	s->auth.refused = true;
	s->phase = PH__PHASE_AUTH;
	ph__server_say(s, &(struct ph__server_reply){ 334, NULL, ph__buf_cstr(&s->scratch) });
	return true;
}

/* The bearer has seen why. */
static void
refuse_now(struct ph__server *s)
{
	const char *enhanced = ph__buf_cstr(&s->auth.verdict);

	s->phase = PH__PHASE_COMMAND;
	ph__server_say(s, &(struct ph__server_reply){ 535, *enhanced != '\0' ? enhanced : NULL,
	                                               enhanced + strlen(enhanced) + 1 });
	ph__server_answered(s, PH__SERVER_ON_AUTH, 535);
}

enum ph_code
ph__server_challenge(struct ph__server *s, const void *challenge, size_t len, uint64_t now)
{
	if (s->asking != PH__SERVER_ON_SASL || s->ev_ready)
		return PH_EUSAGE;
	ph__buf_reset(&s->scratch);
	if (len != 0 && !ph__base64_encode(&s->scratch, challenge, len, false))
		return s->scratch.state == PH__BUF_NOMEM ? PH_ESYSTEM : PH_EINPUT;
	s->now = now;
	s->asking = PH__SERVER_NOTHING;
	s->phase = PH__PHASE_AUTH;
	ph__server_say(s, &(struct ph__server_reply){ 334, NULL, ph__buf_cstr(&s->scratch) });
	return PH_OK;
}

void
ph__server_auth_line(struct ph__server *s, struct ph_str line)
{
	if (s->auth.refused) {
		refuse_now(s);
		return;
	}
	if (ph__str_eq(line, ph__str("*"))) {
		ph__server_auth_end(s);
		ph__server_error(s, 501, "5.7.0", "cancelled");
		return;
	}
	respond(s, line);
}

static bool
is_offered(const struct ph__server *s, struct ph_str name)
{
	struct ph_str words = ph__str(s->auth.offered), word;

	while ((word = ph__str_word(&words)).len != 0)
		if (ph__str_eq_nocase(name, word))
			return true;
	return false;
}

static const struct ph__server_sasl *
find(struct ph__server *s, struct ph_str name)
{
	if (name.len == 0 || name.len >= sizeof s->auth.name || !is_offered(s, name))
		return NULL;
	for (size_t i = 0; i < sizeof mechanisms / sizeof mechanisms[0]; i++)
		if (ph__str_is(name, mechanisms[i].name))
			return &mechanisms[i];
	for (size_t i = 0; i < name.len; i++)
		s->auth.name[i] = ph__upper(name.ptr[i]);
	s->auth.name[name.len] = '\0';
	return &the_callers;
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
	} else if ((s->auth.mechanism = find(s, name)) == NULL) {
		ph__server_error(s, 504, "5.5.4", "no such mechanism here");
	} else if (space == NULL && s->auth.mechanism->first == NULL) {
		step_sasl(s, (struct ph_str){ NULL, 0 }, &(const char *){ NULL });
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
