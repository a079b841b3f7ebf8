/* SPDX-License-Identifier: MIT */
/* A simple message. See posthaste/message.h.
 *
 * Everything a caller gives is judged when it is given, by writing it once for trial with the
 * header writer (header.h): a message that took all its parts can be written. Fields are kept in
 * the order given; a field that a message has only once (RFC 5322 §3.6) replaces the one before it.
 * The text is kept with CRLF line ends, so that its size and encoding do not depend on where it
 * came from. */
#include <posthaste/message.h>

#include "base/base64.h"
#include "base/bounds.h"
#include "base/error.h"
#include "mail/address.h"
#include "mail/date.h"
#include "mail/encode.h"
#include "mail/header.h"

#define TEXT_MAX (SIZE_MAX / 8)

enum field_kind { FIELD_TEXT, FIELD_STRUCTURED, FIELD_MAILBOXES, FIELD_ONE_MAILBOX, FIELD_BARRED };

static const struct field_rule {
	const char *name;
	enum field_kind kind;
	bool once;
	const char *why; /* barred */
} rules[] = {
	{ "Date", FIELD_STRUCTURED, true },
	{ "From", FIELD_ONE_MAILBOX, true },
	{ "Sender", FIELD_ONE_MAILBOX, true },
	{ "Reply-To", FIELD_MAILBOXES, true },
	{ "To", FIELD_MAILBOXES, true },
	{ "Cc", FIELD_MAILBOXES, true },
	{ "Subject", FIELD_TEXT, true },
	{ "Message-ID", FIELD_STRUCTURED, true },
	{ "In-Reply-To", FIELD_STRUCTURED, true },
	{ "References", FIELD_STRUCTURED, true },
	{ "Mail-Followup-To", FIELD_MAILBOXES, true },
	{ "Disposition-Notification-To", FIELD_MAILBOXES, true },
	{ "Resent-From", FIELD_ONE_MAILBOX },
	{ "Resent-Sender", FIELD_ONE_MAILBOX },
	{ "Resent-To", FIELD_MAILBOXES },
	{ "Resent-Cc", FIELD_MAILBOXES },
	{ "MIME-Version", FIELD_STRUCTURED, true },
	{ "Content-Type", FIELD_STRUCTURED, true },
	{ "Content-ID", FIELD_STRUCTURED, true },
	{ "Content-Description", FIELD_TEXT, true },
	{ "Content-Disposition", FIELD_STRUCTURED, true },
	{ "Content-Language", FIELD_STRUCTURED, true },
	{ "Content-Transfer-Encoding", FIELD_BARRED, .why = "the encoding follows from the text" },
	{ "Bcc", FIELD_BARRED,
	  .why = "every recipient would see it; add the address to the envelope only" },
	{ "Resent-Bcc", FIELD_BARRED,
	  .why = "every recipient would see it; add the address to the envelope only" },
	{ "Return-Path", FIELD_BARRED,
	  .why = "the receiving server adds it (RFC 5321 section 4.4); set the envelope's sender" },
};

struct field {
	struct field *next;
	char *name;
	char *value;                /* of text and structured fields */
	struct ph__mailboxes boxes; /* of the others */
	enum field_kind kind;
	enum ph__header_text how;
};

struct ph_message {
	struct ph_allocator mem;
	struct field *fields;
	char *text; /* CRLF line ends, or NULL */
	size_t text_len;
	int64_t date;
	int utc_offset;
	bool has_date;
	unsigned char seed[PH__ID_SEED_MAX];
	size_t seed_len;
};

static enum ph_code
bad_input(struct ph_error *err, enum ph_cause cause, const char *what)
{
	return ph__fail(err, PH_EINPUT, PH_STAGE_PREPARE, cause, "%s", what);
}

enum ph_code
ph_message_new(struct ph_message **ret, const struct ph_allocator *mem)
{
	struct ph_message *m;

	if (mem == NULL)
		mem = &ph__libc_memory;
	if ((m = ph__alloc0(mem, sizeof *m)) == NULL)
		return PH_ESYSTEM;
	m->mem = *mem;
	*ret = m;
	return PH_OK;
}

static void
field_free(struct ph_message *m, struct field *f)
{
	if (f == NULL)
		return;
	ph__mailboxes_done(&f->boxes);
	ph__free(&m->mem, f->name);
	ph__free(&m->mem, f->value);
	ph__free(&m->mem, f);
}

void
ph_message_free(struct ph_message *m)
{
	struct ph_allocator mem;

	if (m == NULL)
		return;
	while (m->fields != NULL) {
		struct field *next = m->fields->next;

		field_free(m, m->fields);
		m->fields = next;
	}
	mem = m->mem;
	ph__free(&mem, m->text);
	ph__free(&mem, m);
}

static struct field *
find(const struct ph_message *m, const char *name)
{
	for (struct field *f = m->fields; f != NULL; f = f->next)
		if (ph__cstr_eq_nocase(f->name, name))
			return f;
	return NULL;
}

static const struct field_rule *
find_rule(const char *name)
{
	for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
		if (ph__cstr_eq_nocase(rules[i].name, name))
			return &rules[i];
	return NULL;
}

static bool
has_mailboxes(enum field_kind kind)
{
	return kind == FIELD_MAILBOXES || kind == FIELD_ONE_MAILBOX;
}

static enum ph_code
write_field(struct ph__buf *out, const struct field *f, struct ph_error *err)
{
	struct ph_str name = ph__str(f->name);

	if (has_mailboxes(f->kind))
		return ph__header_add_mailboxes(out, name, &f->boxes, err);
	if (f->kind == FIELD_STRUCTURED)
		return ph__header_add_structured(out, name, ph__str(f->value), err);
	return ph__header_add_text(out, name, ph__str(f->value), f->how, err);
}

static enum ph_code
try_field(struct ph_message *m, const struct field *f, struct ph_error *err)
{
	struct ph__buf out;
	enum ph_code rc;

	ph__buf_init(&out, &m->mem, TEXT_MAX);
	rc = write_field(&out, f, err);
	ph__buf_done(&out);
	return rc;
}

/* Adds mailboxes to a field. Only the new ones are tried, or a long list given piece by piece would
 * be written again for each. */
static enum ph_code
add_mailboxes(struct ph_message *m, struct field *f, const char *text, struct ph_error *err)
{
	struct field fresh = { .name = f->name, .kind = f->kind };
	size_t before = f->boxes.count;
	enum ph_code rc;

	if (ph__str_has_control(ph__str(text)))
		return ph__fail(err, PH_EINPUT, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		                "%s: a control character (line end, tab ...) could forge a header",
		                f->name);
	if ((rc = ph__mailboxes_parse(&f->boxes, ph__str(text), f->name, err)) != PH_OK)
		return rc;
	fresh.boxes = (struct ph__mailboxes){ .items = f->boxes.items,
		                              .count = f->boxes.count - before };
	if (fresh.boxes.count != 0)
		fresh.boxes.items += before;
	if (fresh.boxes.count == 0)
		rc = ph__fail(err, PH_EINPUT, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT, "%s: no address",
		              f->name);
	else if (f->kind == FIELD_ONE_MAILBOX && f->boxes.count != 1)
		rc = ph__fail(err, PH_EINPUT, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		              "%s: one address is wanted, not a list or group", f->name);
	else
		rc = try_field(m, &fresh, err);
	if (rc != PH_OK)
		f->boxes.count = before;
	return rc;
}

static enum ph_code
set_value(struct ph_message *m, struct field *f, const char *value, struct ph_error *err)
{
	if (has_mailboxes(f->kind))
		return add_mailboxes(m, f, value, err);
	if ((f->value = ph__strdup(&m->mem, value)) == NULL)
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	return try_field(m, f, err);
}

static void
insert(struct ph_message *m, struct field *f, bool once)
{
	struct field **at = &m->fields;

	while (*at != NULL && !(once && ph__cstr_eq_nocase((*at)->name, f->name)))
		at = &(*at)->next;
	if (*at != NULL) {
		struct field *old = *at;

		f->next = old->next;
		field_free(m, old);
	}
	*at = f;
}

static enum ph_code
set_field(struct ph_message *m, const char *name, const char *value, enum ph__header_text how,
          struct ph_error *err)
{
	const struct field_rule *rule = find_rule(name);
	struct field *f;
	enum ph_code rc;

	if (rule != NULL && rule->kind == FIELD_BARRED)
		return ph__fail(err, PH_EINPUT, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		                "header field %s cannot be set: %s", rule->name, rule->why);
	if ((f = ph__alloc0(&m->mem, sizeof *f)) == NULL)
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	ph__mailboxes_init(&f->boxes, &m->mem);
	f->kind = rule != NULL ? rule->kind : FIELD_TEXT;
	f->how = how;
	if ((f->name = ph__strdup(&m->mem, rule != NULL ? rule->name : name)) == NULL)
		rc = ph__fail_nomem(err, PH_STAGE_PREPARE);
	else if ((rc = ph__header_check_name(ph__str(name), err)) == PH_OK)
		rc = set_value(m, f, value, err);
	if (rc == PH_OK)
		insert(m, f, rule != NULL && rule->once);
	else
		field_free(m, f);
	return rc;
}

static const char *
or_empty(const char *s)
{
	return s != NULL ? s : "";
}

enum ph_code
ph_message_set_from(struct ph_message *m, const char *mailbox, struct ph_error *err)
{
	return set_field(m, "From", or_empty(mailbox), PH__HEADER_LITERAL, err);
}

static enum ph_code
extend(struct ph_message *m, const char *name, const char *mailboxes, struct ph_error *err)
{
	struct field *f = find(m, name);

	if (f == NULL)
		return set_field(m, name, or_empty(mailboxes), PH__HEADER_LITERAL, err);
	return add_mailboxes(m, f, or_empty(mailboxes), err);
}

enum ph_code
ph_message_add_to(struct ph_message *m, const char *mailboxes, struct ph_error *err)
{
	return extend(m, "To", mailboxes, err);
}

enum ph_code
ph_message_add_cc(struct ph_message *m, const char *mailboxes, struct ph_error *err)
{
	return extend(m, "Cc", mailboxes, err);
}

enum ph_code
ph_message_set_subject(struct ph_message *m, const char *text, struct ph_error *err)
{
	return set_field(m, "Subject", or_empty(text), PH__HEADER_LITERAL, err);
}

enum ph_code
ph_message_add_header(struct ph_message *m, const char *name, const char *value,
                      struct ph_error *err)
{
	return set_field(m, or_empty(name), or_empty(value), PH__HEADER_PREPARED, err);
}

static char *
with_crlf(struct ph_message *m, struct ph_str s, size_t *ret_len)
{
	struct ph__buf out;
	char *text;

	ph__buf_init(&out, &m->mem, TEXT_MAX);
	ph__buf_reserve(&out, s.len);
	while (s.len != 0) {
		struct ph_str line = ph__take_line(&s);

		ph__buf_add(&out, line.ptr, line.len);
		ph__buf_add(&out, "\r\n", 2);
	}
	*ret_len = out.len;
	if ((text = ph__buf_take(&out)) == NULL)
		ph__buf_done(&out);
	return text;
}

enum ph_code
ph_message_set_text(struct ph_message *m, const char *text, size_t len, struct ph_error *err)
{
	struct ph_str s = { text, len };
	char *copy;

	if (len != 0 && memchr(text, '\0', len) != NULL)
		return bad_input(err, PH_CAUSE_CONTENT,
		                 "the text has a NUL octet, which mail cannot carry");
	if (!ph__str_is_utf8(s)) {
		bad_input(err, PH_CAUSE_CONTENT, "the text is not UTF-8");
		ph__hint(err, "convert it first, as with iconv");
		return PH_EINPUT;
	}
	if ((copy = with_crlf(m, s, &len)) == NULL)
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	ph__free(&m->mem, m->text);
	m->text = copy;
	m->text_len = len;
	return PH_OK;
}

void
ph_message_set_date(struct ph_message *m, int64_t unix_time, int utc_offset_minutes)
{
	m->date = unix_time;
	m->utc_offset = utc_offset_minutes;
	m->has_date = true;
}

enum ph_code
ph_message_set_id_seed(struct ph_message *m, const void *octets, size_t n, struct ph_error *err)
{
	if (n < PH__ID_SEED_MIN || n > PH__ID_SEED_MAX)
		return ph__fail(err, PH_EINPUT, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		                "the seed of a Message-ID has %d to %d octets", PH__ID_SEED_MIN,
		                PH__ID_SEED_MAX);
	memcpy(m->seed, octets, n);
	m->seed_len = n;
	return PH_OK;
}

static enum ph_code
add_structured(struct ph__buf *out, const char *name, const char *value, struct ph_error *err)
{
	return ph__header_add_structured(out, ph__str(name), ph__str(value), err);
}

static enum ph_code
write_date(const struct ph_message *m, struct ph__buf *out, struct ph_error *err)
{
	struct ph__buf date;
	enum ph_code rc;

	if (!m->has_date)
		return bad_input(err, PH_CAUSE_ARGUMENT,
		                 "the message has no date (ph_message_set_date)");
	ph__buf_init(&date, &m->mem, 64);
	if ((rc = ph__date_write(&date, m->date, m->utc_offset, err)) == PH_OK)
		rc = add_structured(out, "Date", ph__buf_cstr(&date), err);
	ph__buf_done(&date);
	return rc;
}

/* Five bits a letter; lower case, because Message-IDs have met software that folds case. */
static void
add_base32(struct ph__buf *out, const unsigned char *p, size_t n)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567";
	unsigned value = 0, bits = 0;

	for (size_t i = 0; i < n; i++) {
		value = (value << 8 | p[i]) & 0xfff;
		for (bits += 8; bits >= 5; bits -= 5)
			ph__buf_add_char(out, letters[value >> (bits - 5) & 31]);
	}
	if (bits != 0)
		ph__buf_add_char(out, letters[value << (5 - bits) & 31]);
}

/* From's domain, in ASCII even where a non-ASCII local-part keeps From's own as it is. */
static enum ph_code
write_message_id(const struct ph_message *m, struct ph_str from, struct ph__buf *out,
                 struct ph_error *err)
{
	struct ph_str domain = ph__address_domain(from);
	struct ph__buf id;
	enum ph_code rc;

	if (m->seed_len == 0)
		return bad_input(err, PH_CAUSE_ARGUMENT,
		                 "the message has no Message-ID (ph_message_set_id_seed)");
	ph__buf_init(&id, &m->mem, PH__PATH_MAX * 2);
	ph__buf_add_char(&id, '<');
	add_base32(&id, m->seed, m->seed_len);
	ph__buf_add_char(&id, '@');
	/* The address of a local user has no domain. */
	rc = ph__domain_to_ascii(&id, domain.len != 0 ? domain : ph__str("localhost"), err);
	ph__buf_add_char(&id, '>');
	if (rc == PH_OK)
		rc = ph__buf_ok(&id) ? add_structured(out, "Message-ID", ph__buf_cstr(&id), err)
		                     : ph__fail_nomem(err, PH_STAGE_PREPARE);
	ph__buf_done(&id);
	return rc;
}

/* The fields that open a message, in the order that people are used to. */
static const char *const opening[] = { "Date", "From", "To", "Cc", "Subject", "Message-ID" };

static bool
is_opening(const struct field *f)
{
	for (size_t i = 0; i < sizeof opening / sizeof opening[0]; i++)
		if (ph__cstr_eq_nocase(f->name, opening[i]))
			return true;
	return false;
}

/* One of them that the caller did not set. */
static enum ph_code
write_missing(const struct ph_message *m, const char *name, struct ph__buf *out,
              struct ph_error *err)
{
	if (ph__cstr_eq_nocase(name, "Date"))
		return write_date(m, out, err);
	if (ph__cstr_eq_nocase(name, "Message-ID"))
		return write_message_id(m, find(m, "From")->boxes.items[0].address, out, err);
	/* RFC 5322 wants no To; filters want one. */
	if (ph__cstr_eq_nocase(name, "To") && find(m, "Cc") == NULL)
		return add_structured(out, "To", "undisclosed-recipients:;", err);
	return PH_OK;
}

static enum ph_code
write_header(const struct ph_message *m, struct ph__buf *out, struct ph_error *err)
{
	enum ph_code rc = PH_OK;

	if (find(m, "From") == NULL)
		return bad_input(err, PH_CAUSE_ARGUMENT, "the message has no From");
	for (size_t i = 0; i < sizeof opening / sizeof opening[0] && rc == PH_OK; i++) {
		const struct field *f = find(m, opening[i]);

		rc = f != NULL ? write_field(out, f, err) : write_missing(m, opening[i], out, err);
	}
	for (const struct field *f = m->fields; f != NULL && rc == PH_OK; f = f->next)
		if (!is_opening(f))
			rc = write_field(out, f, err);
	return rc;
}

enum transfer { TRANSFER_7BIT, TRANSFER_QP, TRANSFER_BASE64 };

struct text_facts {
	bool ascii;
	size_t longest, escaped; /* line; octets that quoted-printable must escape */
	bool control;            /* C0 other than tab, or DEL */
};

static struct text_facts
examine(struct ph_str s)
{
	struct text_facts facts = { .ascii = ph__str_is_ascii(s) };

	while (s.len != 0) {
		struct ph_str line = ph__take_line(&s);

		for (size_t i = 0; i < line.len; i++) {
			bool control = ph__is_control(line.ptr[i]) && line.ptr[i] != '\t';

			facts.control = facts.control || control;
			facts.escaped += control || line.ptr[i] == '=' ||
			                 (unsigned char)line.ptr[i] >= 0x80;
		}
		if (line.len > facts.longest)
			facts.longest = line.len;
	}
	return facts;
}

static enum transfer
choose_transfer(const struct text_facts *facts, size_t len)
{
	if (facts->ascii && !facts->control && facts->longest <= PH__LINE_MAX)
		return TRANSFER_7BIT;
	return len + 2 * facts->escaped <= ph__base64_size(len, true) ? TRANSFER_QP
	                                                              : TRANSFER_BASE64;
}

/* multipart/ and message/ are the caller's own structure; encoding is barred (RFC 2045 §6.4). */
static bool
is_composite(const struct field *content_type)
{
	struct ph_str s = { "", 0 };

	if (content_type != NULL)
		s = ph__str(content_type->value);
	while (s.len != 0 && s.ptr[0] == ' ')
		s.ptr++, s.len--;
	return (s.len > 10 && ph__str_begins(s, "multipart/")) ||
	       (s.len > 8 && ph__str_begins(s, "message/"));
}

static enum ph_code
write_mime(const struct ph_message *m, bool ascii, enum transfer transfer, struct ph__buf *out,
           struct ph_error *err)
{
	static const char *const names[] = { "7bit", "quoted-printable", "base64" };
	enum ph_code rc = PH_OK;

	if (transfer != TRANSFER_7BIT && is_composite(find(m, "Content-Type")))
		return bad_input(
		    err, PH_CAUSE_CONTENT,
		    "a multipart or message text must be ASCII with lines of up to 998 octets");
	if (find(m, "MIME-Version") == NULL)
		rc = add_structured(out, "MIME-Version", "1.0", err);
	if (rc == PH_OK && find(m, "Content-Type") == NULL)
		rc = add_structured(
		    out, "Content-Type",
		    ascii ? "text/plain; charset=us-ascii" : "text/plain; charset=utf-8", err);
	if (rc == PH_OK)
		rc = add_structured(out, "Content-Transfer-Encoding", names[transfer], err);
	return rc;
}

static void
write_text(struct ph_str text, enum transfer transfer, struct ph__buf *out)
{
	ph__buf_add(out, "\r\n", 2);
	if (transfer == TRANSFER_QP)
		ph__qp_encode_text(out, text);
	else if (transfer == TRANSFER_BASE64)
		ph__base64_encode(out, text.ptr, text.len, true);
	else
		ph__buf_add(out, text.ptr, text.len);
}

enum ph_code
ph_message_write(const struct ph_message *m, char **ret, size_t *ret_len, struct ph_error *err)
{
	struct ph_str text = { or_empty(m->text), m->text_len };
	struct text_facts facts = examine(text);
	enum transfer transfer = choose_transfer(&facts, text.len);
	struct ph__buf out;
	enum ph_code rc;

	ph__buf_init(&out, &m->mem, TEXT_MAX);
	if ((rc = write_header(m, &out, err)) == PH_OK &&
	    (rc = write_mime(m, facts.ascii, transfer, &out, err)) == PH_OK) {
		size_t len;
		char *message;

		write_text(text, transfer, &out);
		len = out.len;
		if ((message = ph__buf_take(&out)) != NULL) {
			*ret = message;
			*ret_len = len;
			return PH_OK;
		}
		rc = ph__fail_nomem(err, PH_STAGE_PREPARE);
	}
	ph__buf_done(&out);
	return rc;
}

void
ph_message_free_text(const struct ph_message *m, char *text)
{
	ph__free(&m->mem, text);
}
