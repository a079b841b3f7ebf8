/* SPDX-License-Identifier: MIT */
/* The header block of a finished message: its recipients, and the block without Bcc
 * (posthaste/message.h).
 *
 * The block ends at the first empty line and nowhere else (RFC 5322 §2.1). A line that is no field
 * is passed over: some readers end the block there, others go on, and a Bcc behind it must not
 * reach the latter. A line of white space continues the field before it (§4.2). */
#include "mail/fields.h"

#include <posthaste/message.h>
#include <string.h>

#include "base/bounds.h"
#include "base/error.h"
#include "mail/encode.h"
#include "mail/mailbox.h"

struct ph_addresses {
	struct ph_allocator mem;
	struct ph__mailboxes list; /* mailboxes only */
};

static struct ph_str
part(struct ph_str s, size_t from, size_t to)
{
	return (struct ph_str){ s.ptr + from, to - from };
}

/* Length of the line at s, with its end. */
static size_t
line_length(struct ph_str s)
{
	const char *begin = s.ptr;

	ph__take_line(&s);
	return (size_t)(s.ptr - begin);
}

/* `Name:`, also with the white space before the colon that RFC 5322 §4.5 allows. */
static struct ph_str
field_name(struct ph_str line, size_t *behind_colon)
{
	size_t n = 0, colon;

	while (n < line.len && line.ptr[n] > ' ' && line.ptr[n] <= '~' && line.ptr[n] != ':')
		n++;
	for (colon = n; colon < line.len && (line.ptr[colon] == ' ' || line.ptr[colon] == '\t'); )
		colon++;
	*behind_colon = colon + 1;
	return part(line, 0, colon < line.len && line.ptr[colon] == ':' ? n : 0);
}

bool
ph__fields_next(struct ph_str *rest, struct ph__field_line *ret)
{
	size_t n = line_length(*rest), behind_colon, text;

	if (rest->len == 0 || rest->ptr[0] == '\r' || rest->ptr[0] == '\n')
		return false;
	while (n < rest->len && (rest->ptr[n] == ' ' || rest->ptr[n] == '\t'))
		n += line_length(part(*rest, n, rest->len));
	ret->whole = part(*rest, 0, n);
	for (text = n; text != 0 && (rest->ptr[text - 1] == '\r' || rest->ptr[text - 1] == '\n'); )
		text--;
	ret->name = field_name(ret->whole, &behind_colon);
	ret->value = ret->name.len != 0 ? part(*rest, behind_colon, text) : part(*rest, 0, 0);
	rest->ptr += n;
	rest->len -= n;
	return true;
}

int
ph_header_is_present(const char *message, size_t len)
{
	struct ph_str s = { message, len };
	size_t behind_colon;

	s.len = line_length(s);
	return field_name(s, &behind_colon).len != 0;
}

/* The header block at the text's begin, without the empty line. */
static enum ph_code
find_block(struct ph_str text, struct ph_str *ret, struct ph_error *err)
{
	struct ph_str rest = text;
	struct ph__field_line f;

	/* A file without line ends is not searched to its end. */
	if (rest.len > PH__HEADER_BLOCK_MAX + 1)
		rest.len = PH__HEADER_BLOCK_MAX + 1;
	text = rest;
	while (ph__fields_next(&rest, &f))
		;
	*ret = part(text, 0, text.len - rest.len);
	if (ret->len <= PH__HEADER_BLOCK_MAX)
		return PH_OK;
	return ph__fail(err, PH_EINPUT, PH_STAGE_PREPARE, PH_CAUSE_LIMIT,
	                "the message's header block is over %d octets long", PH__HEADER_BLOCK_MAX);
}

static bool
is_named(const struct ph__field_line *f, const char *name)
{
	return ph__str_is(f->name, name);
}

enum ph_code
ph_header_without_bcc(char **ret, size_t *ret_len, size_t *ret_block_len, const char *message,
                      size_t len, const struct ph_allocator *mem, struct ph_error *err)
{
	struct ph_str text = { message, len }, block, rest;
	struct ph__field_line f;
	struct ph__buf out;
	enum ph_code rc = find_block(text, &block, err);
	char *copy;

	if (rc != PH_OK)
		return rc;
	rest = part(text, block.len, len);
	if (rest.len != 0)
		rest.len = line_length(rest);
	text.len = block.len + rest.len;
	ph__buf_init(&out, mem != NULL ? mem : &ph__libc_memory, PH__HEADER_BLOCK_MAX * 2);
	for (rest = text; ph__fields_next(&rest, &f); )
		if (!is_named(&f, "Bcc") && !is_named(&f, "Resent-Bcc"))
			ph__buf_add(&out, f.whole.ptr, f.whole.len);
	/* Around a removed Bcc a lone CR and a lone LF must not become one line end. */
	if (rest.len != 0 && rest.ptr[0] == '\n' && out.len != 0 && out.p[out.len - 1] == '\r')
		ph__buf_add_char(&out, '\n');
	ph__buf_add(&out, rest.ptr, rest.len);
	len = out.len;
	if ((copy = ph__buf_take(&out)) == NULL) {
		ph__buf_done(&out);
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	}
	*ret = copy;
	*ret_len = len;
	*ret_block_len = text.len;
	return PH_OK;
}

static enum ph_code
addresses_new(struct ph_addresses **ret, const struct ph_allocator *mem, struct ph_error *err)
{
	struct ph_addresses *a;

	if (mem == NULL)
		mem = &ph__libc_memory;
	if ((a = ph__alloc0(mem, sizeof *a)) == NULL)
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	a->mem = *mem;
	ph__mailboxes_init(&a->list, &a->mem);
	*ret = a;
	return PH_OK;
}

/* The envelope knows no groups. */
static void
drop_groups(struct ph__mailboxes *list)
{
	size_t n = 0;

	for (size_t i = 0; i < list->count; i++)
		if (list->items[i].kind == PH__MAILBOX)
			list->items[n++] = list->items[i];
	list->count = n;
}

/* Who stands in To and in Cc gets one copy. */
static enum ph_code
drop_doubles(struct ph__mailboxes *list, const struct ph_allocator *mem, struct ph_error *err)
{
	const char **addresses = ph__alloc_array(mem, list->count, sizeof *addresses);
	bool ok = addresses != NULL;
	size_t n = 0;

	for (size_t i = 0; ok && i < list->count; i++)
		addresses[i] = list->items[i].address.ptr;
	ok = ok && ph__drop_doubles(addresses, list->count, mem);
	for (size_t i = 0; ok && i < list->count; i++)
		if (addresses[i] != NULL)
			list->items[n++] = list->items[i];
	if (ok)
		list->count = n;
	ph__free(mem, addresses);
	return ok ? PH_OK : ph__fail_nomem(err, PH_STAGE_PREPARE);
}

static enum ph_code
addresses_finish(struct ph_addresses **ret, struct ph_addresses *a, enum ph_code rc)
{
	if (rc != PH_OK) {
		ph_addresses_free(a);
		return rc;
	}
	drop_groups(&a->list);
	*ret = a;
	return PH_OK;
}

enum ph_code
ph_addresses_parse(struct ph_addresses **ret, const char *text, const struct ph_allocator *mem,
                   struct ph_error *err)
{
	struct ph_addresses *a = NULL;
	enum ph_code rc = addresses_new(&a, mem, err);

	if (rc != PH_OK)
		return rc;
	return addresses_finish(ret, a,
	                        ph__mailboxes_parse(&a->list, ph__str(text), "address list", err));
}

static enum ph_code
add_recipients(struct ph__mailboxes *list, const struct ph__field_line *f,
               const char *const names[3], struct ph_error *err)
{
	for (size_t i = 0; i < 3; i++)
		if (is_named(f, names[i]))
			return ph__mailboxes_parse(list, f->value, names[i], err);
	return PH_OK;
}

static const char *const resent_names[] = {
	"Resent-To",   "Resent-Cc",     "Resent-Bcc",        "Resent-Date",
	"Resent-From", "Resent-Sender", "Resent-Message-ID", "Resent-Reply-To",
};

/* Bit of a resent field, 0 for any other. */
static unsigned
resent_bit(const struct ph__field_line *f)
{
	for (unsigned i = 0; i < sizeof resent_names / sizeof resent_names[0]; i++)
		if (is_named(f, resent_names[i]))
			return 1u << i;
	return 0;
}

/* Resent blocks are put in front, each field once in a block, and a block's fields stand together
 * (RFC 5322 §3.6.6): the first block is the newest, and ends where another field or one of the same
 * name comes. 0 when there is none. */
static struct ph_str
newest_resent_block(struct ph_str rest)
{
	struct ph_str block = { rest.ptr, 0 };
	struct ph__field_line f;
	unsigned seen = 0, bit;

	while (ph__fields_next(&rest, &f)) {
		bit = resent_bit(&f);
		if (seen != 0 && (bit == 0 || (seen & bit) != 0))
			break;
		if (seen == 0)
			block = part(f.whole, 0, 0);
		seen |= bit;
		if (seen != 0)
			block.len += f.whole.len;
	}
	return block;
}

enum ph_code
ph_addresses_from_header(struct ph_addresses **ret, const char *text, size_t len,
                         const struct ph_allocator *mem, struct ph_error *err)
{
	static const char *const plain_names[3] = { "To", "Cc", "Bcc" };
	struct ph_addresses *a = NULL;
	struct ph_str block, resent;
	struct ph__field_line f;
	enum ph_code rc = find_block((struct ph_str){ text, len }, &block, err);

	if (rc != PH_OK || (rc = addresses_new(&a, mem, err)) != PH_OK)
		return rc;
	resent = newest_resent_block(block);
	if (resent.len != 0)
		block = resent;
	while (rc == PH_OK && ph__fields_next(&block, &f))
		rc = add_recipients(&a->list, &f, resent.len != 0 ? resent_names : plain_names,
		                    err);
	rc = addresses_finish(&a, a, rc);
	if (rc == PH_OK && (rc = drop_doubles(&a->list, &a->mem, err)) != PH_OK)
		ph_addresses_free(a);
	if (rc == PH_OK)
		*ret = a;
	return rc;
}

/* The first field of this name in the block. */
static bool
find_field(struct ph_str block, const char *name, struct ph_str *ret)
{
	struct ph__field_line f;

	while (ph__fields_next(&block, &f)) {
		if (is_named(&f, name)) {
			*ret = f.value;
			return true;
		}
	}
	return false;
}

enum ph_code
ph__fields_check_resent(struct ph_str block, struct ph_error *err)
{
	struct ph_str newest = newest_resent_block(block);
	const char *end = block.ptr + block.len, *behind = newest.ptr + newest.len;
	struct ph_str rest = { behind, (size_t)(end - behind) };
	struct ph__field_line f;

	while (newest.len != 0 && ph__fields_next(&rest, &f)) {
		if (resent_bit(&f) == 0)
			continue;
		ph__fail(err, PH_EINPUT, PH_STAGE_PREPARE, PH_CAUSE_CONTENT,
		         "the message was resent more than once: its header has several blocks of Resent "
		         "fields, and does not say which of them counts");
		ph__hint(err, "name sender and recipients in the envelope");
		return PH_EINPUT;
	}
	return PH_OK;
}

static enum ph_code
parse_sender(struct ph__mailboxes *list, struct ph_str block, bool resent, struct ph_error *err)
{
	const char *name = resent ? "Resent-Sender" : "Sender";
	struct ph_str value;
	enum ph_code rc;

	if (!find_field(block, name, &value)) {
		name = resent ? "Resent-From" : "From";
		if (!find_field(block, name, &value))
			return PH_OK;
	}
	if ((rc = ph__mailboxes_parse(list, value, name, err)) != PH_OK)
		return rc;
	drop_groups(list);
	if (list->count <= 1)
		return PH_OK;
	ph__fail(err, PH_EINPUT, PH_STAGE_PREPARE, PH_CAUSE_CONTENT,
	         "the %s field has %zu addresses, and there is one sender", name, list->count);
	ph__hint(err, "add a %s field with one of them (RFC 5322 section 3.6.2)",
	         resent ? "Resent-Sender" : "Sender");
	return PH_EINPUT;
}

enum ph_code
ph_addresses_sender_from_header(struct ph_addresses **ret, const char *text, size_t len,
                                const struct ph_allocator *mem, struct ph_error *err)
{
	struct ph_addresses *a = NULL;
	struct ph_str block, resent;
	enum ph_code rc = find_block((struct ph_str){ text, len }, &block, err);

	if (rc != PH_OK)
		return rc;
	resent = newest_resent_block(block);
	if ((rc = ph__fields_check_resent(block, err)) != PH_OK ||
	    (rc = addresses_new(&a, mem, err)) != PH_OK)
		return rc;
	rc = parse_sender(&a->list, resent.len != 0 ? resent : block, resent.len != 0, err);
	return addresses_finish(ret, a, rc);
}

size_t
ph_addresses_count(const struct ph_addresses *a)
{
	return a->list.count;
}

const char *
ph_addresses_get(const struct ph_addresses *a, size_t i)
{
	return i < a->list.count ? a->list.items[i].address.ptr : NULL;
}

void
ph_addresses_free(struct ph_addresses *a)
{
	struct ph_allocator mem;

	if (a == NULL)
		return;
	mem = a->mem;
	ph__mailboxes_done(&a->list);
	ph__free(&mem, a);
}
