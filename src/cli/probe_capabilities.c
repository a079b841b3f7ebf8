/* SPDX-License-Identifier: MIT */
/* EHLO before and after TLS. See probe_capabilities.h.
 *
 * The reply is taken apart here and not asked of the client, which knows only the last EHLO; and a
 * probe shows what stands there, also where it is no keyword that RFC 5321 §4.1.1.1 would allow. */
#include "cli/probe_capabilities.h"

#include <string.h>
#include "base/bounds.h"
#include "base/error.h"
#include "cli/table.h"

#define CELL 24 /* characters of a column before it goes on in the next line */

static const struct {
	const char *keyword, *meaning;
} known[] = {
	{ "8BITMIME",            "takes 8-bit text (RFC 6152)" },
	{ "ATRN",                "hands out waiting mail on the same connection (RFC 2645)" },
	{ "AUTH",                "log in, by these mechanisms (RFC 4954)" },
	{ "AUTH=",               "AUTH again, as clients of the 1990s read it" },
	{ "BINARYMIME",          "takes binary content, with CHUNKING (RFC 3030)" },
	{ "BURL",                "takes a message by its IMAP URL (RFC 4468)" },
	{ "CHECKPOINT",          "resumes broken transfers (RFC 1845)" },
	{ "CHUNKING",            "BDAT: chunks instead of DATA (RFC 3030)" },
	{ "CONNEG",              "tells what the recipient can show (RFC 4141)" },
	{ "CONPERM",             "asks leave to convert content (RFC 4141)" },
	{ "DELIVERBY",           "deliver within a time, or not (RFC 2852)" },
	{ "DSN",                 "delivery reports on request (RFC 3461)" },
	{ "ENHANCEDSTATUSCODES", "replies carry codes like 5.1.1 (RFC 2034)" },
	{ "ETRN",                "asks for waiting mail to be sent (RFC 1985)" },
	{ "EXPN",                "expands mailing lists (RFC 5321)" },
	{ "FUTURERELEASE",       "holds mail until a time (RFC 4865)" },
	{ "HELP",                "explains its commands (RFC 5321)" },
	{ "LIMITS",              "says how much it takes at a time (RFC 9422)" },
	{ "MT-PRIORITY",         "messages with priorities (RFC 6710)" },
	{ "MTRK",                "message tracking (RFC 3885)" },
	{ "NO-SOLICITING",       "unwanted kinds of mail (RFC 3865)" },
	{ "PIPELINING",          "many commands in one flight (RFC 2920)" },
	{ "PRDR",                "Exim: an answer for each recipient behind DATA" },
	{ "REQUIRETLS",          "TLS demanded on the whole way (RFC 8689)" },
	{ "RRVS",                "mailbox unchanged since a day (RFC 7293)" },
	{ "SIZE",                "octets that a message may have (RFC 1870)" },
	{ "SMTPUTF8",            "addresses beyond ASCII (RFC 6531)" },
	{ "STARTTLS",            "goes on under TLS (RFC 3207)" },
	{ "SUBMITTER",           "who answers for the message (RFC 4405)" },
	{ "TURN",                "swaps the roles: obsolete, not safe (RFC 5321 F.1)" },
	{ "UTF8SMTP",            "forerunner of SMTPUTF8 (RFC 5336, obsolete)" },
	{ "VERB",                "Sendmail: tells more of what it does" },
	{ "VRFY",                "verifies an address (RFC 5321)" },
	{ "XCLIENT",             "Postfix: takes us for another client" },
	{ "XFORWARD",            "Postfix: notes another client in its log" },
	{ "X-EXPS",              "Exchange: login between its servers" },
	{ "X-ANONYMOUSTLS",      "Exchange: TLS between its servers" },
	{ "XEXCH50",             "Exchange: private, obsolete" },
	{ "X-LINK2STATE",        "Exchange: private, obsolete" },
};

/* What carries the password itself, for anybody on the line to read. */
static const char *const readable[] = { "PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER" };

const char *
ph__capability_meaning(const char *keyword)
{
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (ph__cstr_eq_nocase(known[i].keyword, keyword))
			return known[i].meaning;
	return "";
}

/* ---- taking ---------------------------------------------------------------------------------- */

void
ph__capabilities_init(struct ph__capabilities *k)
{
	*k = (struct ph__capabilities){ .count = 0 };
	ph__arena_init(&k->arena, &ph__libc_memory);
}

void
ph__capabilities_done(struct ph__capabilities *k)
{
	ph__free(&ph__libc_memory, k->rows);
	ph__arena_done(&k->arena);
}

static struct ph__capability *
find_row(const struct ph__capabilities *k, struct ph_str keyword)
{
	for (size_t i = 0; i < k->count; i++)
		if (ph__str_eq_nocase(ph__str(k->rows[i].keyword), keyword))
			return &k->rows[i];
	return NULL;
}

static struct ph__capability *
row_of(struct ph__capabilities *k, struct ph_str keyword)
{
	struct ph__capability *row = find_row(k, keyword);
	size_t cap = k->cap != 0 ? 2 * k->cap : 32;

	if (row != NULL)
		return row;
	if (k->count == k->cap) {
		if ((row = ph__realloc(&ph__libc_memory, k->rows, cap * sizeof *row)) == NULL)
			return NULL;
		k->rows = row;
		k->cap = cap;
	}
	row = &k->rows[k->count];
	*row = (struct ph__capability){
		.keyword = ph__arena_strndup(&k->arena, keyword.ptr, keyword.len) };
	if (row->keyword == NULL)
		return NULL;
	k->count++;
	return row;
}

/* Of a keyword that comes twice the parameters add up. */
static bool
put_parameters(struct ph__capabilities *k, struct ph__capability *row, enum ph__link link,
               struct ph_str text)
{
	const char **into = &row->parameters[link], *before = row->before[link];
	struct ph__buf both;

	if (*into == NULL || **into == '\0') {
		*into = before != NULL && ph__str_eq(ph__str(before), text) ? before
		      : ph__arena_strndup(&k->arena, text.ptr, text.len);
		return *into != NULL;
	}
	ph__buf_init(&both, &ph__libc_memory, PH__REPLY_BYTES_MAX);
	ph__buf_addf(&both, "%s ", *into);
	ph__buf_add(&both, text.ptr, text.len);
	*into = ph__buf_ok(&both) ? ph__arena_strndup(&k->arena, both.p, both.len) : NULL;
	ph__buf_done(&both);
	return *into != NULL;
}

static bool
take_line(struct ph__capabilities *k, enum ph__link link, struct ph_str line)
{
	struct ph_str keyword = ph__str_cut(&line, ' ');
	struct ph__capability *row;

	if (ph__str_begins(keyword, "AUTH=")) { /* "AUTH=PLAIN LOGIN" */
		line = (struct ph_str){ keyword.ptr + 5, (size_t)(line.ptr != NULL ? line.ptr + line.len
		                        : keyword.ptr + keyword.len) - (size_t)(keyword.ptr + 5) };
		keyword.len = 5;
	}
	if (keyword.len == 0)
		return true;
	row = row_of(k, keyword);
	return row != NULL && put_parameters(k, row, link,
	                                     line.ptr != NULL ? ph__str_trim(line) : ph__str(""));
}

enum ph_code
ph__capabilities_take(struct ph__capabilities *k, enum ph__link link, const struct ph_reply *ehlo,
                      struct ph_error *err)
{
	struct ph_str rest;

	if (ehlo == NULL || ehlo->code < 200 || ehlo->code > 299)
		return PH_OK;
	for (size_t i = 0; i < k->count; i++) {
		k->rows[i].before[link] = k->rows[i].parameters[link];
		k->rows[i].parameters[link] = NULL;
	}
	k->heard[link] = true;
	rest = (struct ph_str){ ehlo->text, ehlo->len };
	ph__str_cut(&rest, '\n'); /* the server's name and greeting */
	while (rest.ptr != NULL)
		if (!take_line(k, link, ph__str_cut(&rest, '\n')))
			return ph__fail_nomem(err, PH_STAGE_HELLO);
	return PH_OK;
}

/* ---- what it means --------------------------------------------------------------------------- */

/* What TLS changes about a keyword; NULL: nothing, or only one side was heard. */
static const char *
change_of(const struct ph__capabilities *k, const struct ph__capability *row)
{
	const char *clear = row->parameters[PH__IN_CLEAR], *tls = row->parameters[PH__UNDER_TLS];

	if (!k->heard[PH__IN_CLEAR] || !k->heard[PH__UNDER_TLS] || (clear == NULL && tls == NULL))
		return NULL;
	if (clear == NULL)
		return "appeared";
	if (tls == NULL)
		return "vanished";
	return strcmp(clear, tls) != 0 ? "changed" : NULL;
}

static const char *
parameters_of(const struct ph__capabilities *k, const char *keyword, enum ph__link link)
{
	const struct ph__capability *row = find_row(k, ph__str(keyword));

	return row != NULL ? row->parameters[link] : NULL;
}

static bool
has_readable(const char *mechanisms)
{
	struct ph_str rest = ph__str(mechanisms), word;

	while ((word = ph__str_word(&rest)).len != 0)
		for (size_t i = 0; i < sizeof readable / sizeof readable[0]; i++)
			if (ph__str_is(word, readable[i]))
				return true;
	return false;
}

/* Calls put() with each thing that ought to be otherwise. */
static void
each_warning(const struct ph__capabilities *k, void (*put)(void *user, const char *text), void *user)
{
	const char *clear = parameters_of(k, "AUTH", PH__IN_CLEAR);

	if (clear == NULL)
		clear = parameters_of(k, "AUTH=", PH__IN_CLEAR);
	if (k->heard[PH__IN_CLEAR] && parameters_of(k, "STARTTLS", PH__IN_CLEAR) == NULL)
		put(user, "STARTTLS is not offered: all mail to this server crosses the network in clear");
	if (clear != NULL && has_readable(clear))
		put(user, "AUTH is offered in clear, with mechanisms that send the password itself: who "
		    "listens can read it. Offer AUTH only under TLS (Postfix: smtpd_tls_auth_only = yes; "
		    "Exim: auth_advertise_hosts = ${if eq{$tls_in_cipher}{}{}{*}})");
	else if (clear != NULL)
		put(user, "AUTH is offered in clear: the login is not readable, but the connection can be "
		    "taken over behind it. Offer AUTH only under TLS");
	if (parameters_of(k, "STARTTLS", PH__UNDER_TLS) != NULL)
		put(user, "STARTTLS is still offered under TLS, which RFC 3207 §4.2 forbids");
	if (k->heard[PH__UNDER_TLS] && clear != NULL &&
	    parameters_of(k, "AUTH", PH__UNDER_TLS) == NULL &&
	    parameters_of(k, "AUTH=", PH__UNDER_TLS) == NULL)
		put(user, "AUTH is offered in clear and not under TLS: nobody can log in safely here");
	if (parameters_of(k, "BINARYMIME", PH__UNDER_TLS) != NULL &&
	    parameters_of(k, "CHUNKING", PH__UNDER_TLS) == NULL)
		put(user, "BINARYMIME is offered without CHUNKING, which it needs (RFC 3030 §3)");
}

/* ---- printing -------------------------------------------------------------------------------- */

static void
add_offer(struct ph__table *t, const char *parameters)
{
	if (parameters == NULL)
		ph__table_add(t, ph__str("-"));
	else
		ph__table_add(t, ph__str(*parameters != '\0' ? parameters : "yes"));
}

static const char *
mark_of(const char *change)
{
	return change == NULL ? "" : *change == 'a' ? "+" : *change == 'v' ? "-" : "~";
}

static void
put_table(const struct ph__capabilities *k, FILE *to)
{
	static const struct ph__table_column both[] = {
		{ "", 0, false }, { "Keyword", CELL, false }, { "Before TLS", CELL, false },
		{ "Under TLS", CELL, false }, { "What it is", 0, false }, { .heading = NULL },
	};
	static const struct ph__table_column clear[] = {
		{ "Keyword", CELL, false }, { "In clear", 2 * CELL, false }, { "What it is", 0, false },
		{ .heading = NULL },
	};
	static const struct ph__table_column tls[] = {
		{ "Keyword", CELL, false }, { "Under TLS", 2 * CELL, false }, { "What it is", 0, false },
		{ .heading = NULL },
	};
	bool side_by_side = k->heard[PH__IN_CLEAR] && k->heard[PH__UNDER_TLS];
	struct ph__table t;

	ph__table_init(&t, side_by_side ? both : k->heard[PH__IN_CLEAR] ? clear : tls);
	for (size_t i = 0; i < k->count; i++) {
		const struct ph__capability *row = &k->rows[i];

		if (row->parameters[PH__IN_CLEAR] == NULL && row->parameters[PH__UNDER_TLS] == NULL)
			continue; /* of an EHLO that was replaced */
		if (side_by_side)
			ph__table_add(&t, ph__str(mark_of(change_of(k, row))));
		ph__table_add(&t, ph__str(row->keyword));
		for (int link = 0; link < PH__LINKS; link++)
			if (k->heard[link])
				add_offer(&t, row->parameters[link]);
		ph__table_add(&t, ph__str(ph__capability_meaning(row->keyword)));
	}
	ph__table_print(&t, to, 0);
	ph__table_done(&t);
	if (side_by_side)
		fputs("(+ only under TLS, - only before it, ~ otherwise under TLS)\n", to);
}

static void
print_warning(void *user, const char *text)
{
	fputs("Warning: ", user);
	ph__put_wrapped(user, ph__str(text), 9, PH__TEXT_WIDTH);
	fputc('\n', user);
}

void
ph__capabilities_print(const struct ph__capabilities *k, FILE *to)
{
	if (!k->heard[PH__IN_CLEAR] && !k->heard[PH__UNDER_TLS]) {
		fputs("The server has answered no EHLO: nothing is known of what it offers.\n", to);
		return;
	}
	if (k->count == 0)
		fputs("The server offers no extensions.\n", to);
	else
		put_table(k, to);
	each_warning(k, print_warning, to);
}

static void
json_warning(void *user, const char *text)
{
	ph__json_cstr(user, NULL, text);
}

void
ph__capabilities_json(const struct ph__capabilities *k, struct ph__json *j)
{
	ph__json_object(j, "capabilities");
	ph__json_bool(j, "heard_before_tls", k->heard[PH__IN_CLEAR]);
	ph__json_bool(j, "heard_under_tls", k->heard[PH__UNDER_TLS]);
	ph__json_array(j, "keywords");
	for (size_t i = 0; i < k->count; i++) {
		const struct ph__capability *row = &k->rows[i];

		if (row->parameters[PH__IN_CLEAR] == NULL && row->parameters[PH__UNDER_TLS] == NULL)
			continue;
		ph__json_object(j, NULL);
		ph__json_cstr(j, "keyword", row->keyword);
		ph__json_cstr(j, "before_tls", row->parameters[PH__IN_CLEAR]);
		ph__json_cstr(j, "under_tls", row->parameters[PH__UNDER_TLS]);
		ph__json_cstr(j, "change", change_of(k, row));
		ph__json_end_object(j);
	}
	ph__json_end_array(j);
	ph__json_array(j, "warnings");
	each_warning(k, json_warning, j);
	ph__json_end_array(j);
	ph__json_end_object(j);
}
