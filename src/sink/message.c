/* SPDX-License-Identifier: MIT */
/* One message at a time on a connection: its envelope, its digest, its file, and in the end its
 * record, a line of JSON without times, so that two runs can be compared.
 *
 * The envelope is kept only as the text that it will be in the record, which bounds it. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/json.h"
#include "mail/encode.h"
#include "sink/private.h"

bool
ph__sink_message_init(struct ph__sink *s, struct ph__sink_message *m)
{
	ph__buf_init(&m->helo, s->mem, PH__AUTH_LINE_MAX);
	ph__buf_init(&m->user, s->mem, PH__AUTH_LINE_MAX);
	ph__buf_init(&m->xclient, s->mem, PH__COMMAND_LINE_MAX);
	ph__buf_init(&m->xforward, s->mem, 16 * PH__COMMAND_LINE_MAX);
	ph__buf_init(&m->envelope, s->mem, PH__SINK_ENVELOPE);
	ph__buf_init(&m->file.pending, s->mem, PH__SINK_READ);
	m->file.fd = -1;
	return s->o->quiet || (m->hash = EVP_MD_CTX_new()) != NULL;
}

void
ph__sink_message_done(struct ph__sink *s, struct ph__sink_message *m)
{
	ph__sink_message_drop(s, m);
	ph__buf_done(&m->helo);
	ph__buf_done(&m->user);
	ph__buf_done(&m->xclient);
	ph__buf_done(&m->xforward);
	ph__buf_done(&m->envelope);
	ph__buf_done(&m->file.pending);
	EVP_MD_CTX_free(m->hash);
}

/* Goes back to `len` octets when the last additions did not fit. */
static bool
fits(struct ph__buf *b, size_t len)
{
	if (ph__buf_ok(b))
		return true;
	b->state = PH__BUF_OK;
	b->len = len;
	if (b->p != NULL)
		b->p[len] = '\0';
	return false;
}

/* What is sent as xtext (RFC 3461 §4) is shown as what it stands for; an ORCPT of type utf-8 has an
 * encoding of its own (RFC 6533 §3) and is left alone. */
static bool
is_encoded(struct ph_str name, struct ph_str value, bool all)
{
	if (ph__str_is(name, "ORCPT"))
		return !ph__str_begins(value, "utf-8;");
	return all || ph__str_is(name, "ENVID") || ph__str_is(name, "AUTH");
}

/* {"SIZE":"12","SMTPUTF8":true}; null when there are none. The session has taken each name for one it
 * knows, so none needs escaping. */
static void
add_parameters(struct ph__json *j, const char *key, struct ph_str p, bool all_encoded)
{
	struct ph_str name, value;
	struct ph__buf decoded;
	char upper[32];

	if (p.len == 0) {
		ph__json_null(j, key);
		return;
	}
	ph__buf_init(&decoded, j->out->mem, PH__AUTH_LINE_MAX);
	ph__json_object(j, key);
	while (ph__server_next_parameter(&p, &name, &value)) {
		size_t n = name.len < sizeof upper - 1 ? name.len : sizeof upper - 1;

		for (size_t i = 0; i < n; i++)
			upper[i] = ph__upper(name.ptr[i]);
		upper[n] = '\0';
		ph__buf_reset(&decoded);
		if (value.ptr == NULL)
			ph__json_bool(j, upper, true);
		else if (is_encoded(name, value, all_encoded) && ph__xtext_decode(&decoded, value))
			ph__json_text(j, upper, ph__buf_str(&decoded));
		else
			ph__json_text(j, upper, value);
	}
	ph__json_end_object(j);
	ph__buf_done(&decoded);
}

bool
ph__sink_message_mail(struct ph__sink_message *m, const struct ph__server_event *ev)
{
	struct ph__json j = { .out = &m->envelope };

	ph__buf_reset(&m->envelope);
	if (m->hash == NULL)
		return true;
	ph__json_text(&j, "from", ev->text);
	add_parameters(&j, "parameters", ev->parameters, false);
	ph__json_array(&j, "recipients");
	m->need_comma = false;
	return fits(&m->envelope, 0);
}

bool
ph__sink_message_rcpt(struct ph__sink_message *m, const struct ph__server_event *ev)
{
	struct ph__json j = { .out = &m->envelope, .need_comma = m->need_comma };
	size_t before = m->envelope.len;

	if (m->hash == NULL)
		return true;
	ph__json_object(&j, NULL);
	ph__json_text(&j, "address", ev->text);
	add_parameters(&j, "parameters", ev->parameters, false);
	ph__json_end_object(&j);
	if (!fits(&m->envelope, before))
		return false;
	m->need_comma = true;
	return true;
}

static void
begin(struct ph__sink *s, struct ph__sink_message *m)
{
	m->begun = true;
	if (m->hash != NULL && EVP_DigestInit_ex2(m->hash, s->sha256, NULL) != 1)
		m->file.error = ENOMEM;
	else
		m->file.error = 0;
	if (m->file.error == 0)
		ph__sink_file_begin(&s->store, &m->file);
}

void
ph__sink_message_octets(struct ph__sink *s, struct ph__sink_message *m, struct ph_str octets)
{
	if (!m->begun)
		begin(s, m);
	if (m->hash != NULL && m->file.error == 0)
		EVP_DigestUpdate(m->hash, octets.ptr, octets.len);
	ph__sink_file_add(&m->file, octets);
}

void
ph__sink_message_drop(struct ph__sink *s, struct ph__sink_message *m)
{
	ph__sink_file_drop(&s->store, &m->file);
	m->begun = false;
}

static void
add_tls(struct ph__json *j, const struct ph__sink_conn *c)
{
	if (!c->tls_up) {
		ph__json_null(j, "tls");
		return;
	}
	ph__json_object(j, "tls");
	ph__json_cstr(j, "version", c->facts.version);
	ph__json_cstr(j, "cipher", c->facts.cipher);
	ph__json_end_object(j);
}

static void
add_digest(struct ph__json *j, EVP_MD_CTX *hash)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char digest[EVP_MAX_MD_SIZE];
	char hex[2 * EVP_MAX_MD_SIZE];
	unsigned n = 0;

	EVP_DigestFinal_ex(hash, digest, &n);
	for (unsigned i = 0; i < n; i++) {
		hex[2 * i] = digits[digest[i] >> 4];
		hex[2 * i + 1] = digits[digest[i] & 15];
	}
	ph__json_text(j, "sha256", (struct ph_str){ hex, 2 * n });
}

static void
add_file(struct ph__json *j, const struct ph__sink *s, const struct ph__sink_message *m)
{
	struct ph__buf path;

	if (s->store.dir == NULL) {
		ph__json_null(j, "file");
		return;
	}
	ph__buf_init(&path, s->mem, 8192);
	ph__buf_addf(&path, "%s/new/%s", s->store.dir, m->file.name);
	ph__json_text(j, "file", ph__buf_str(&path));
	ph__buf_done(&path);
}

static void
add_record(struct ph__sink_conn *c)
{
	struct ph__sink *s = c->sink;
	struct ph__sink_message *m = &c->message;
	const struct ph__body *b = ph__server_body(c->session);
	struct ph__json j = { .out = &s->records };
	size_t before = s->records.len;

	ph__json_object(&j, NULL);
	ph__json_uint(&j, "message", s->messages);
	ph__json_cstr(&j, "peer", c->peer);
	ph__json_cstr(&j, "proxied_by", c->proxied_by[0] != '\0' ? c->proxied_by : NULL);
	ph__json_cstr(&j, "protocol", ph__server_protocol(c->session));
	ph__json_text(&j, "helo", ph__buf_str(&m->helo));
	add_tls(&j, c);
	ph__json_cstr(&j, "auth_user", m->user.len != 0 ? ph__buf_cstr(&m->user) : NULL);
	ph__json_cstr(&j, "auth_mechanism", m->mechanism[0] != '\0' ? m->mechanism : NULL);
	add_parameters(&j, "xclient", ph__buf_str(&m->xclient), true);
	add_parameters(&j, "xforward", ph__buf_str(&m->xforward), true);
	ph__buf_add_char(&s->records, ',');
	ph__buf_add(&s->records, ph__buf_cstr(&m->envelope), m->envelope.len);
	ph__json_end_array(&j);
	ph__json_uint(&j, "bytes", b->octets);
	add_digest(&j, m->hash);
	ph__json_uint(&j, "bare_lf", b->bare_lf);
	ph__json_uint(&j, "bare_cr", b->bare_cr);
	ph__json_uint(&j, "long_lines", b->long_lines);
	ph__json_bool(&j, "bdat", ph__server_is_chunked(c->session));
	add_file(&j, s, m);
	ph__json_end_object(&j);
	ph__buf_add_char(&s->records, '\n');
	if (!fits(&s->records, before)) {
		s->failure = ph__fail_nomem(s->err, PH_STAGE_BODY);
		ph__sink_stop(s, true);
	}
}

const struct ph__server_reply *
ph__sink_message_end(struct ph__sink_conn *c)
{
	static const struct ph__server_reply full = { 452, "4.3.1", "no room to store it" },
	                                     trouble = { 451, "4.3.0", "it could not be stored" };
	struct ph__sink *s = c->sink;
	struct ph__sink_message *m = &c->message;

	if (!m->begun)
		begin(s, m);
	m->begun = false;
	if (m->file.error != 0 || !ph__sink_file_end(&s->store, &m->file)) {
		fprintf(stderr, "posthaste sink: %s: a message could not be stored: %s\n", c->peer,
		        strerror(m->file.error));
		ph__sink_message_drop(s, m);
		return m->file.error == ENOSPC || m->file.error == EDQUOT ? &full : &trouble;
	}
	s->messages++;
	s->octets += ph__server_body(c->session)->octets;
	if (m->hash != NULL)
		add_record(c);
	return NULL;
}

void
ph__sink_records_flush(struct ph__sink *s)
{
	if (s->records.len == 0)
		return;
	if (!ph__sink_write_all(s->json_fd, s->records.p, s->records.len) && s->failure == PH_OK) {
		s->failure = ph__fail_errno(s->err, PH_ESYSTEM, PH_STAGE_BODY, PH_CAUSE_SYSTEM,
		                            errno, "cannot write the records");
		ph__sink_stop(s, true);
	}
	ph__buf_reset(&s->records);
}
