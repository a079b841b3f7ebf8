/* SPDX-License-Identifier: MIT */
/* Messages that name their own envelope. See addressed.h.
 *
 * Only the header block is held in memory; what follows is read from the caller's source when it is
 * sent. A Bcc field must never go out, so the block is read to its end first, and one that does not
 * end within the bound is refused. */
#include "mail/addressed.h"

#include "base/bounds.h"
#include "base/error.h"
#include "mail/fields.h"
#include "mail/source.h"

#define READ_SIZE 16384

void
ph__addressed_init(struct ph__addressed *a, struct ph_source *message,
                   const struct ph_allocator *mem)
{
	*a = (struct ph__addressed){ .mem = mem, .message = message };
	ph__buf_init(&a->head, mem, PH__HEADER_BLOCK_MAX + 2 * READ_SIZE);
}

void
ph__addressed_done(struct ph__addressed *a)
{
	ph_source_free(a->source);
	ph_addresses_free(a->sender);
	ph_addresses_free(a->recipients);
	ph__free(a->mem, a->list);
	ph__buf_done(&a->head);
}

/* The empty line has been read. */
static bool
has_whole_block(const struct ph__addressed *a)
{
	struct ph_str rest = ph__buf_str(&a->head);
	struct ph__field_line f;

	while (ph__fields_next(&rest, &f))
		;
	return rest.len != 0;
}

static enum ph_code
read_block(struct ph__addressed *a, struct ph_error *err)
{
	char buf[READ_SIZE];
	const void *p = NULL;
	size_t n = 0;

	while (!has_whole_block(a) && a->head.len <= PH__HEADER_BLOCK_MAX) {
		switch (ph__source_read(a->message, buf, sizeof buf, &p, &n, err)) {
		case PH_IO_OK:
			break;
		case PH_IO_EOF:
			return PH_OK;
		case PH_IO_AGAIN:
			return PH_EDEFERRED;
		case PH_IO_ERROR:
			return PH_ENOINPUT;
		}
		if (!ph__buf_add(&a->head, p, n))
			return ph__fail_nomem(err, PH_STAGE_PREPARE);
	}
	return PH_OK;
}

/* The block without Bcc, then what was read behind it, then the rest of the message. */
static enum ph_code
make_source(struct ph__addressed *a, struct ph_error *err)
{
	size_t len, block_len;
	struct ph__buf head;
	enum ph_code rc;
	char *block;

	rc = ph_header_without_bcc(&block, &len, &block_len, ph__buf_cstr(&a->head), a->head.len,
	                           a->mem, err);
	if (rc != PH_OK)
		return rc;
	ph__buf_init(&head, a->mem, a->head.max);
	ph__buf_add(&head, block, len);
	ph__buf_add(&head, ph__buf_cstr(&a->head) + block_len, a->head.len - block_len);
	ph__free(a->mem, block);
	if (!ph__buf_ok(&head)) {
		ph__buf_done(&head);
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	}
	if (ph__source_new_replaced(&a->source, &head, a->message, a->head.len, a->mem) == PH_OK)
		return PH_OK;
	ph__buf_done(&head);
	return ph__fail_nomem(err, PH_STAGE_PREPARE);
}

enum ph_code
ph__addressed_read(struct ph__addressed *a, struct ph_error *err)
{
	enum ph_code rc = PH_OK;

	if (!a->begun && (rc = ph__source_begin(a->message, err)) != PH_OK)
		return rc;
	a->begun = true;
	if ((rc = read_block(a, err)) != PH_OK)
		return rc;
	return make_source(a, err);
}

enum ph_code
ph__addressed_sender(struct ph__addressed *a, const char **ret, struct ph_error *err)
{
	enum ph_code rc = ph_addresses_sender_from_header(&a->sender, ph__buf_cstr(&a->head),
	                                                  a->head.len, a->mem, err);

	if (rc != PH_OK)
		return rc;
	if (ph_addresses_count(a->sender) == 0) {
		ph__fail(err, PH_EINPUT, PH_STAGE_PREPARE, PH_CAUSE_CONTENT,
		         "no sender: the header has no Sender or From field with an address");
		ph__hint(err, "add a From field, or name the sender in the envelope");
		return PH_EINPUT;
	}
	*ret = ph_addresses_get(a->sender, 0);
	return PH_OK;
}

enum ph_code
ph__addressed_recipients(struct ph__addressed *a, struct ph_error *err)
{
	enum ph_code rc = ph__fields_check_resent(ph__buf_str(&a->head), err);

	if (rc == PH_OK)
		rc = ph_addresses_from_header(&a->recipients, ph__buf_cstr(&a->head), a->head.len, a->mem,
		                              err);
	if (rc != PH_OK)
		return rc;
	if (ph_addresses_count(a->recipients) == 0)
		return ph__fail(err, PH_EINPUT, PH_STAGE_PREPARE, PH_CAUSE_CONTENT,
		                "no recipient: the header has no To, Cc or Bcc field with an address");
	a->count = ph_addresses_count(a->recipients);
	if ((a->list = ph__alloc_array(a->mem, a->count, sizeof *a->list)) == NULL)
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	for (size_t i = 0; i < a->count; i++)
		a->list[i] = ph_addresses_get(a->recipients, i);
	return PH_OK;
}
