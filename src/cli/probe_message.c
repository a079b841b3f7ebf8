/* SPDX-License-Identifier: MIT */
/* The message of a probe. See probe_message.h.
 *
 * "\n" in an argument is a line end, as swaks has it; in a file two octets that stay. Tokens are
 * replaced in both. */
#include "cli/probe_message.h"

#include <string.h>
#include <sys/stat.h>
#include "base/base64.h"
#include "base/error.h"
#include "cli/input.h"

#define TEXT_MAX   (2 * (size_t)PH__INPUT_MAX) /* attachments grow by a third */
#define NEW_HEADERS "%NEW_HEADERS%"

struct making {
	const struct ph__probe_message *m;
	struct ph__buf input;   /* of standard input; */
	bool           is_read; /* it was */
	struct ph_error *err;
};

struct part {
	struct ph__buf content;
	const char *type, *name; /* name NULL: none */
	bool        is_body;
};

/* ---- what arguments stand for ---------------------------------------------------------------- */

static bool
add_unescaped(struct ph__buf *out, const char *text)
{
	const char *at;

	while ((at = strstr(text, "\\n")) != NULL) {
		ph__buf_add(out, text, (size_t)(at - text));
		ph__buf_add_str(out, "\r\n");
		text = at + 2;
	}
	return ph__buf_add_str(out, text);
}

static bool
is_file(const char *path)
{
	struct stat st;

	return *path != '\0' && stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* The file an argument means; NULL: it is the text itself. swaks still takes what has the name of a
 * file for that file. */
static const char *
file_of(const char *arg)
{
	if (*arg == '@')
		return arg[1] == '@' ? NULL : arg + 1;
	return is_file(arg) ? arg : NULL;
}

static enum ph_code
done(const struct ph__buf *b, struct ph_error *err)
{
	if (ph__buf_ok(b))
		return PH_OK;
	if (b->state == PH__BUF_NOMEM)
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	return ph__fail(err, PH_EINPUT, PH_STAGE_PREPARE, PH_CAUSE_LIMIT, "the message is over 512 MiB");
}

static enum ph_code
add_content(struct making *k, const char *arg, struct ph__buf *out)
{
	enum ph_code rc = PH_OK;

	if (strcmp(arg, "-") == 0) {
		if (!k->is_read)
			rc = ph__input_read("-", &k->input, k->err);
		k->is_read = true;
		ph__buf_add(out, ph__buf_cstr(&k->input), k->input.len);
	} else if (file_of(arg) != NULL) {
		rc = ph__input_read(file_of(arg), out, k->err);
	} else {
		add_unescaped(out, arg[0] == '@' ? arg + 1 : arg);
	}
	return rc == PH_OK ? done(out, k->err) : rc;
}

static enum ph_code
check_line(const char *option, const char *text, struct ph_error *err)
{
	for (const char *p = text; *p != '\0'; p++)
		if (ph__is_control(*p) && *p != '\t')
			return ph__fail(err, PH_EINPUT, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
			                "%s has a control character in it, which could make another line of it",
			                option);
	return PH_OK;
}

/* ---- MIME ------------------------------------------------------------------------------------ */

static void
add_quoted(struct ph__buf *out, const char *text)
{
	ph__buf_add_char(out, '"');
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			ph__buf_add_char(out, '\\');
		ph__buf_add_char(out, *text);
	}
	ph__buf_add_char(out, '"');
}

static void
write_part(struct ph__buf *out, const struct part *p, const char *boundary, const char *kind)
{
	bool text = strncmp(p->type, "text/", 5) == 0;

	ph__buf_addf(out, "--%s%s\r\nContent-Type: %s", boundary, kind, p->type);
	if (p->name != NULL) {
		ph__buf_add_str(out, "; name=");
		add_quoted(out, p->name);
		ph__buf_add_str(out, "\r\nContent-Description: ");
		ph__buf_add_str(out, p->name);
		ph__buf_add_str(out, "\r\nContent-Disposition: attachment; filename=");
		add_quoted(out, p->name);
	} else if (!p->is_body || !text) {
		ph__buf_add_str(out, "\r\nContent-Disposition: attachment");
	}
	if (strcmp(p->type, "text/plain") == 0 && p->name == NULL) {
		ph__buf_add_str(out, "\r\n\r\n");
		ph__buf_add(out, ph__buf_cstr(&p->content), p->content.len);
	} else {
		ph__buf_add_str(out, "\r\nContent-Transfer-Encoding: base64\r\n\r\n");
		ph__base64_encode(out, ph__buf_cstr(&p->content), p->content.len, true);
	}
	ph__buf_add_str(out, "\r\n");
}

static void
write_parts(struct ph__buf *out, const struct part *parts, size_t count, const char *boundary)
{
	size_t bodies = 0;
	bool nested;

	for (size_t i = 0; i < count; i++)
		bodies += parts[i].is_body;
	nested = bodies > 1 && bodies < count;
	if (nested)
		ph__buf_addf(out, "--%s\r\nContent-Type: multipart/alternative; boundary=\"%s_text\"\r\n\r\n",
		             boundary, boundary);
	for (size_t i = 0; i < count; i++)
		if (parts[i].is_body)
			write_part(out, &parts[i], boundary, nested ? "_text" : "");
	if (nested)
		ph__buf_addf(out, "--%s_text--\r\n", boundary);
	for (size_t i = 0; i < count; i++)
		if (!parts[i].is_body)
			write_part(out, &parts[i], boundary, "");
	ph__buf_addf(out, "--%s--\r\n", boundary);
}

/* The last piece of a path, of what came from a file. */
static const char *
name_of(const char *arg)
{
	const char *path = strcmp(arg, "-") != 0 ? file_of(arg) : NULL, *slash;

	if (path == NULL)
		return NULL;
	slash = strrchr(path, '/');
	return slash != NULL ? slash + 1 : path;
}

static enum ph_code
read_part(struct making *k, struct part *p, const char *arg, bool is_body, const char *type,
          const char *name)
{
	enum ph_code rc;

	p->is_body = is_body;
	p->type = type != NULL ? type : is_body ? "text/plain" : "application/octet-stream";
	p->name = is_body || (name != NULL && *name == '\0') ? NULL : name != NULL ? name : name_of(arg);
	if ((rc = check_line("--attach-type", p->type, k->err)) != PH_OK ||
	    (p->name != NULL && (rc = check_line("--attach-name", p->name, k->err)) != PH_OK))
		return rc;
	return add_content(k, arg, &p->content);
}

/* In the order of the options: a type counts until it is changed or a text took it, a name once. */
static enum ph_code
read_parts(struct making *k, struct part *parts, size_t *count)
{
	const char *type = NULL, *name = NULL;
	enum ph_code rc = PH_OK;

	for (size_t i = 0; i < k->m->parts.count && rc == PH_OK; i++) {
		const char *item = k->m->parts.items[i], *arg = item + 1;

		if (*item == 't') {
			type = arg;
		} else if (*item == 'n') {
			name = arg;
		} else {
			rc = read_part(k, &parts[(*count)++], arg, *item == 'b', type, name);
			type = *item == 'b' ? NULL : type;
			name = NULL;
		}
	}
	return rc;
}

/* What --attach makes of the text; *ret_type is the message's. */
static enum ph_code
make_parts(struct making *k, struct ph__buf *body, const char **ret_type)
{
	size_t most = k->m->parts.count + 1, count = 0, bodies = 0;
	struct part *parts = ph__alloc_array(&ph__libc_memory, most, sizeof *parts);
	enum ph_code rc;

	if (parts == NULL)
		return ph__fail_nomem(k->err, PH_STAGE_PREPARE);
	for (size_t i = 0; i < most; i++)
		ph__buf_init(&parts[i].content, &ph__libc_memory, TEXT_MAX);
	rc = read_parts(k, parts, &count);
	for (size_t i = 0; i < count; i++)
		bodies += parts[i].is_body;
	if (bodies == 0) {
		parts[count].is_body = true;
		parts[count].type = "text/plain";
		parts[count].name = NULL;
		ph__buf_add(&parts[count++].content, ph__buf_cstr(body), body->len);
	}
	*ret_type = bodies > 1 && bodies == count ? "multipart/alternative" : "multipart/mixed";
	ph__buf_cut(body, 0);
	if (rc == PH_OK)
		write_parts(body, parts, count, k->m->boundary);
	for (size_t i = 0; i < most; i++)
		ph__buf_done(&parts[i].content);
	ph__free(&ph__libc_memory, parts);
	return rc == PH_OK ? done(body, k->err) : rc;
}

/* ---- the template ---------------------------------------------------------------------------- */

static void
add_template(struct ph__buf *out, const struct ph__probe_message *m, const char *type)
{
	ph__buf_add_str(out, "Date: %DATE%\r\nTo: %TO_ADDRESS%\r\n");
	if (m->cc != NULL && *m->cc != '\0')
		ph__buf_addf(out, "Cc: %s\r\n", m->cc);
	ph__buf_add_str(out, "From: %FROM_ADDRESS%\r\nSubject: test %DATE%\r\n"
	                     "Message-Id: <%MESSAGEID%>\r\nX-Mailer: posthaste\r\n");
	if (type != NULL)
		ph__buf_addf(out, "MIME-Version: 1.0\r\nContent-Type: %s; boundary=\"%s\"\r\n", type,
		             m->boundary);
	ph__buf_add_str(out, NEW_HEADERS "\r\n%BODY%");
	if (type == NULL)
		ph__buf_add_str(out, "\r\n");
}

/* Each `token` of the text becomes `with`. */
static void
replace(struct ph__buf *out, struct ph_str text, const char *token, struct ph_str with)
{
	size_t n = strlen(token);
	const char *at;

	while ((at = memmem(text.ptr, text.len, token, n)) != NULL) {
		size_t before = (size_t)(at - text.ptr);

		ph__buf_add(out, text.ptr, before);
		ph__buf_add(out, with.ptr, with.len);
		text.ptr += before + n;
		text.len -= before + n;
	}
	ph__buf_add(out, text.ptr, text.len);
}

static void
replace_in(struct ph__buf *text, const char *token, struct ph_str with)
{
	struct ph__buf out;

	if (memmem(ph__buf_cstr(text), text->len, token, strlen(token)) == NULL)
		return;
	ph__buf_init(&out, &ph__libc_memory, TEXT_MAX);
	replace(&out, ph__buf_str(text), token, with);
	ph__buf_done(text);
	*text = out;
}

/* ---- header fields --------------------------------------------------------------------------- */

static struct ph_str
name_of_field(struct ph_str line)
{
	const char *colon = memchr(line.ptr, ':', line.len);

	return (struct ph_str){ line.ptr, colon != NULL ? (size_t)(colon - line.ptr) : 0 };
}

/* One --header may hold several fields, "\n" between them. */
static struct ph_str
next_field(struct ph_str *rest)
{
	const char *at = memmem(rest->ptr, rest->len, "\\n", 2);
	struct ph_str field = { rest->ptr, at != NULL ? (size_t)(at - rest->ptr) : rest->len };
	size_t used = field.len + (at != NULL ? 2 : 0);

	rest->ptr += used;
	rest->len -= used;
	return field;
}

/* The last --header that has this name; length 0: none. */
static struct ph_str
substitute_for(const struct ph__option_list *headers, struct ph_str line)
{
	struct ph_str name = name_of_field(line), found = { "", 0 };

	for (size_t i = 0; name.len != 0 && i < headers->count; i++) {
		struct ph_str rest = ph__str(headers->items[i]);

		while (rest.len != 0) {
			struct ph_str field = next_field(&rest);

			if (ph__str_eq_nocase(name_of_field(field), name))
				found = field;
		}
	}
	return found;
}

static void
add_line(struct ph__buf *out, struct ph_str line)
{
	ph__buf_add(out, line.ptr, line.len);
	ph__buf_add_str(out, "\r\n");
}

/* The fields of the block, with those of --header in place of their namesakes. */
static void
write_fields(struct ph__buf *out, struct ph_str block, const struct ph__option_list *headers)
{
	bool replaced = false;

	while (block.len != 0) {
		struct ph_str line = ph__str_line(&block), other;

		if (line.len != 0 && ph__is_blank(*line.ptr)) { /* the field before goes on */
			if (!replaced)
				add_line(out, line);
			continue;
		}
		other = substitute_for(headers, line);
		replaced = other.len != 0;
		add_line(out, replaced ? other : line);
	}
}

static bool
has_field(struct ph_str block, struct ph_str name)
{
	while (block.len != 0)
		if (ph__str_eq_nocase(name_of_field(ph__str_line(&block)), name))
			return true;
	return false;
}

/* What is to be added: --add-header, and of --header what the block does not have. */
static void
collect_new(struct ph__buf *out, struct ph_str block, const struct ph__probe_message *m)
{
	for (size_t i = 0; i < m->new_headers.count; i++)
		for (struct ph_str rest = ph__str(m->new_headers.items[i]); rest.len != 0; )
			add_line(out, next_field(&rest));
	for (size_t i = 0; i < m->headers.count; i++)
		for (struct ph_str rest = ph__str(m->headers.items[i]); rest.len != 0; ) {
			struct ph_str field = next_field(&rest), name = name_of_field(field);

			if (name.len == 0 || !has_field(block, name))
				add_line(out, field);
		}
}

/* Length of the header block: up to the empty line, or to where new fields are to stand. */
static size_t
block_len(struct ph_str text)
{
	struct ph_str rest = text;

	while (rest.len != 0) {
		const char *begin = rest.ptr;
		struct ph_str line = ph__str_line(&rest);

		if (line.len == 0 || ph__str_begins(line, NEW_HEADERS))
			return (size_t)(begin - text.ptr);
	}
	return text.len;
}

static void
set_headers(struct ph__buf *text, const struct ph__probe_message *m)
{
	struct ph_str whole = ph__buf_str(text);
	size_t n = block_len(whole);
	struct ph_str block = { whole.ptr, n }, rest = { whole.ptr + n, whole.len - n };
	struct ph__buf out, more;

	ph__buf_init(&out, &ph__libc_memory, TEXT_MAX);
	ph__buf_init(&more, &ph__libc_memory, TEXT_MAX);
	collect_new(&more, block, m);
	write_fields(&out, block, &m->headers);
	if (memmem(rest.ptr, rest.len, NEW_HEADERS, strlen(NEW_HEADERS)) != NULL) {
		replace(&out, rest, NEW_HEADERS, ph__buf_str(&more));
	} else {
		ph__buf_add(&out, ph__buf_cstr(&more), more.len);
		ph__buf_add(&out, rest.ptr, rest.len);
	}
	ph__buf_done(&more);
	ph__buf_done(text);
	*text = out;
}

/* ---- all ------------------------------------------------------------------------------------- */

/* A mailbox file's first line, and the dot that a file made for telnet has at its end. */
static void
strip_ends(struct ph__buf *text, bool keep_from)
{
	static const char *const dots[] = { "\n.\r\n", "\n.\n", "\n." };
	struct ph_str rest = ph__buf_str(text);

	if (!keep_from && rest.len >= 5 && memcmp(rest.ptr, "From ", 5) == 0) {
		ph__str_line(&rest);
		ph__buf_drop_front(text, text->len - rest.len);
	}
	for (size_t i = 0; i < sizeof dots / sizeof dots[0]; i++) {
		size_t n = strlen(dots[i]);

		if (text->len >= n && memcmp(text->p + text->len - n, dots[i], n) == 0) {
			ph__buf_cut(text, text->len - n + 1);
			return;
		}
	}
}

static enum ph_code
check(const struct ph__probe_message *m, struct ph_error *err)
{
	enum ph_code rc;

	if ((rc = check_line("--from", m->from, err)) != PH_OK ||
	    (rc = check_line("--to", m->to, err)) != PH_OK ||
	    (m->cc != NULL && (rc = check_line("--cc", m->cc, err)) != PH_OK))
		return rc;
	for (size_t i = 0; i < m->headers.count && rc == PH_OK; i++)
		rc = check_line("--header", m->headers.items[i], err);
	for (size_t i = 0; i < m->new_headers.count && rc == PH_OK; i++)
		rc = check_line("--add-header", m->new_headers.items[i], err);
	return rc;
}

/* --data without a line end in it names a file, also without the @. */
static enum ph_code
add_data(struct making *k, const char *data, struct ph__buf *out)
{
	bool is_text = strchr(data, '\n') != NULL || strstr(data, "\\n") != NULL ||
	               strstr(data, "%NEWLINE%") != NULL;

	if (*data == '@' || strcmp(data, "-") == 0)
		return add_content(k, data, out);
	if (!is_text)
		return ph__input_read(data, out, k->err);
	add_unescaped(out, data);
	return done(out, k->err);
}

static enum ph_code
fill(struct making *k, struct ph__buf *body, struct ph__buf *out)
{
	const struct ph__probe_message *m = k->m;
	const struct { const char *token, *with; } tokens[] = {
		{ "%NEWLINE%", "\r\n" }, { "%FROM_ADDRESS%", m->from }, { "%TO_ADDRESS%", m->to },
		{ "%DATE%", m->date }, { "%MESSAGEID%", m->id }, { "%SWAKS_VERSION%", "posthaste" },
	};
	const char *type = NULL;
	enum ph_code rc = add_content(k, m->body != NULL ? m->body : "This is a test mailing", body);

	if (rc == PH_OK && m->parts.count != 0)
		rc = make_parts(k, body, &type);
	if (rc == PH_OK && m->data != NULL)
		rc = add_data(k, m->data, out);
	else if (rc == PH_OK)
		add_template(out, m, type);
	if (rc != PH_OK)
		return rc;
	set_headers(out, m);
	replace_in(out, "%BODY%", ph__buf_str(body));
	for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++)
		replace_in(out, tokens[i].token, ph__str(tokens[i].with));
	strip_ends(out, m->no_strip_from);
	return done(out, k->err);
}

enum ph_code
ph__probe_message_make(const struct ph__probe_message *m, struct ph__buf *out, struct ph_error *err)
{
	struct making k = { .m = m, .err = err };
	struct ph__buf body;
	enum ph_code rc;

	ph__buf_init(out, &ph__libc_memory, TEXT_MAX);
	ph__buf_init(&body, &ph__libc_memory, TEXT_MAX);
	ph__buf_init(&k.input, &ph__libc_memory, PH__INPUT_MAX);
	if (m->no_fixup && m->data != NULL)
		rc = add_data(&k, m->data, out);
	else if ((rc = check(m, err)) == PH_OK)
		rc = fill(&k, &body, out);
	ph__buf_done(&body);
	ph__buf_done(&k.input);
	return rc;
}
