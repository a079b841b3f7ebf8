/* SPDX-License-Identifier: MIT */
/* Sources. See posthaste/source.h.
 *
 * Five kinds, each a row of {read, rewind}: memory, file, pipe and callbacks, list, and one that has
 * its beginning replaced. A stream (pipe or
 * callbacks) keeps the octets that examining its header block has read in `ahead` and gives them
 * first. A file's length is fixed when the source is made; a read that comes up short is an error,
 * for the size that MAIL declared would be wrong. */
#include "mail/source.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bounds.h"
#include "base/buf.h"
#include "base/error.h"
#include "mail/fields.h"
#include "mail/lines.h"

struct kind;

struct ph_source {
	const struct kind *kind;
	struct ph_allocator mem;
	struct ph_source_facts facts;
	uint64_t at;                   /* octets given, memory and file */
	uint64_t length;
	const char *memory;
	int fd;
	uint64_t offset;
	struct ph_source_callbacks callbacks;
	struct ph__buf ahead;          /* a stream's octets, read before they were asked for */
	size_t ahead_at;
	bool eof;
	bool touched;                  /* a stream that has given octets cannot be examined any more */
	struct ph_source **parts;
	size_t part_count, part;
	struct ph_source *behind;      /* what follows `ahead`, from its octet `skip` on; */
	uint64_t skip, to_skip;        /* so many of them it has yet to give again */
};

struct kind {
	enum ph_io (*read)(struct ph_source *s, void *buf, size_t n, const void **ret_p, size_t *ret_n,
	                   struct ph_error *err);
	bool (*rewind)(struct ph_source *s);
	bool (*can_rewind)(const struct ph_source *s);
};

static enum ph_io
source_failed(struct ph_error *err, int sys, const char *what)
{
	if (sys != 0)
		ph__fail_errno(err, PH_ENOINPUT, PH_STAGE_PREPARE, PH_CAUSE_SOURCE, sys,
		               "the message cannot be read: %s", what);
	else
		ph__fail(err, PH_ENOINPUT, PH_STAGE_PREPARE, PH_CAUSE_SOURCE,
		         "the message cannot be read: %s", what);
	return PH_IO_ERROR;
}

/* ---- memory and files ------------------------------------------------------------------------ */

static enum ph_io
memory_read(struct ph_source *s, void *buf, size_t n, const void **ret_p, size_t *ret_n,
            struct ph_error *err)
{
	uint64_t left = s->length - s->at;

	(void)buf;
	(void)err;
	if (left == 0)
		return PH_IO_EOF;
	*ret_p = s->memory + s->at;
	*ret_n = left < n ? (size_t)left : n;
	s->at += *ret_n;
	return PH_IO_OK;
}

static enum ph_io
file_read(struct ph_source *s, void *buf, size_t n, const void **ret_p, size_t *ret_n,
          struct ph_error *err)
{
	uint64_t left = s->length - s->at;
	ssize_t got;

	if (left == 0)
		return PH_IO_EOF;
	if (n > left)
		n = (size_t)left;
	do
		got = pread(s->fd, buf, n, (off_t)(s->offset + s->at));
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return source_failed(err, errno, "reading the file failed");
	if (got == 0)
		return source_failed(err, 0, "the file became shorter while it was sent");
	*ret_p = buf;
	*ret_n = (size_t)got;
	s->at += (uint64_t)got;
	return PH_IO_OK;
}

static bool
start_over(struct ph_source *s)
{
	s->at = 0;
	return true;
}

static bool
always(const struct ph_source *s)
{
	(void)s;
	return true;
}

static const struct kind memory_kind = { memory_read, start_over, always };
static const struct kind file_kind = { file_read, start_over, always };

/* ---- streams --------------------------------------------------------------------------------- */

static enum ph_io
pipe_next(struct ph_source *s, void *buf, size_t n, size_t *ret_n, struct ph_error *err)
{
	ssize_t got = read(s->fd, buf, n);

	/* interrupted: whoever caught the signal may have given up on the message */
	if (got < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK))
		return PH_IO_AGAIN;
	if (got < 0)
		return source_failed(err, errno, "reading its input failed");
	*ret_n = (size_t)got;
	return got == 0 ? PH_IO_EOF : PH_IO_OK;
}

static enum ph_io
stream_next(struct ph_source *s, void *buf, size_t n, size_t *ret_n, struct ph_error *err)
{
	struct ph_error why = PH_ERROR_INIT;
	int io;

	if (s->callbacks.read == NULL)
		return pipe_next(s, buf, n, ret_n, err);
	*ret_n = 0;
	io = s->callbacks.read(s->callbacks.user, buf, n, ret_n, &why);
	if (io == PH_IO_OK && *ret_n != 0 && *ret_n <= n)
		return PH_IO_OK;
	if (io == PH_IO_EOF || io == PH_IO_AGAIN)
		return (enum ph_io)io;
	return source_failed(err, why.sys, why.text[0] != '\0' ? why.text : "its callback failed");
}

/* What is in memory already goes first. */
static bool
take_ahead(struct ph_source *s, size_t n, const void **ret_p, size_t *ret_n)
{
	size_t left = s->ahead.len - s->ahead_at;

	if (left == 0)
		return false;
	*ret_p = s->ahead.p + s->ahead_at;
	*ret_n = left < n ? left : n;
	s->ahead_at += *ret_n;
	return true;
}

static enum ph_io
stream_read(struct ph_source *s, void *buf, size_t n, const void **ret_p, size_t *ret_n,
            struct ph_error *err)
{
	enum ph_io io;

	s->touched = true;
	if (take_ahead(s, n, ret_p, ret_n))
		return PH_IO_OK;
	if (s->eof)
		return PH_IO_EOF;
	io = stream_next(s, buf, n, ret_n, err);
	if (io == PH_IO_OK)
		*ret_p = buf;
	s->eof = io == PH_IO_EOF;
	return io;
}

static bool
stream_rewind(struct ph_source *s)
{
	if (s->callbacks.rewind == NULL || s->callbacks.rewind(s->callbacks.user) != 0)
		return false;
	ph__buf_reset(&s->ahead);
	s->ahead_at = 0;
	s->eof = s->touched = false;
	return true;
}

static bool
stream_can_rewind(const struct ph_source *s)
{
	return s->callbacks.rewind != NULL;
}

static const struct kind stream_kind = { stream_read, stream_rewind, stream_can_rewind };

/* ---- lists ----------------------------------------------------------------------------------- */

static enum ph_io
list_read(struct ph_source *s, void *buf, size_t n, const void **ret_p, size_t *ret_n,
          struct ph_error *err)
{
	for (; s->part < s->part_count; s->part++) {
		enum ph_io io = ph__source_read(s->parts[s->part], buf, n, ret_p, ret_n, err);

		if (io != PH_IO_EOF)
			return io;
	}
	return PH_IO_EOF;
}

static bool
list_rewind(struct ph_source *s)
{
	for (size_t i = 0; i < s->part_count; i++)
		if (ph_source_rewind(s->parts[i], NULL) != PH_OK)
			return false;
	s->part = 0;
	return true;
}

static bool
list_can_rewind(const struct ph_source *s)
{
	for (size_t i = 0; i < s->part_count; i++)
		if (!ph_source_is_rewindable(s->parts[i]))
			return false;
	return true;
}

static const struct kind list_kind = { list_read, list_rewind, list_can_rewind };

/* ---- another beginning ----------------------------------------------------------------------- */

static enum ph_io
replaced_read(struct ph_source *s, void *buf, size_t n, const void **ret_p, size_t *ret_n,
              struct ph_error *err)
{
	enum ph_io io;

	s->touched = true;
	if (take_ahead(s, n, ret_p, ret_n))
		return PH_IO_OK;
	while (s->to_skip != 0) {
		io = ph__source_read(s->behind, buf, s->to_skip < n ? (size_t)s->to_skip : n, ret_p, ret_n,
		                     err);
		if (io == PH_IO_EOF)
			return source_failed(err, 0, "it became shorter while it was sent");
		if (io != PH_IO_OK)
			return io;
		s->to_skip -= *ret_n;
	}
	io = ph__source_read(s->behind, buf, n, ret_p, ret_n, err);
	s->eof = io == PH_IO_EOF;
	return io;
}

static bool
replaced_rewind(struct ph_source *s)
{
	if (ph_source_rewind(s->behind, NULL) != PH_OK)
		return false;
	s->to_skip = s->skip; /* they are read once more, and thrown away */
	s->ahead_at = 0;
	s->eof = s->touched = false;
	return true;
}

static bool
replaced_can_rewind(const struct ph_source *s)
{
	return ph_source_is_rewindable(s->behind);
}

static const struct kind replaced_kind = { replaced_read, replaced_rewind, replaced_can_rewind };

/* ---- making and freeing ---------------------------------------------------------------------- */

static struct ph_source *
source_new(const struct kind *kind, const struct ph_allocator *mem)
{
	struct ph_source *s;

	if (mem == NULL)
		mem = &ph__libc_memory;
	if ((s = ph__alloc0(mem, sizeof *s)) == NULL)
		return NULL;
	s->kind = kind;
	s->mem = *mem;
	s->fd = -1;
	s->facts.size = sizeof s->facts;
	ph__buf_init(&s->ahead, &s->mem, PH__HEADER_BLOCK_MAX + 16384);
	return s;
}

enum ph_code
ph_source_new_memory(struct ph_source **ret, const void *p, size_t n,
                     const struct ph_allocator *mem)
{
	struct ph_source *s = source_new(&memory_kind, mem);

	if (s == NULL)
		return PH_ESYSTEM;
	s->memory = p;
	s->length = n;
	*ret = s;
	return PH_OK;
}

enum ph_code
ph_source_new_file(struct ph_source **ret, int fd, uint64_t offset, uint64_t length,
                   const struct ph_allocator *mem, struct ph_error *err)
{
	struct ph_source *s;
	struct stat st;
	uint64_t size;

	if (fstat(fd, &st) != 0)
		return ph__fail_errno(err, PH_ENOINPUT, PH_STAGE_PREPARE, PH_CAUSE_SOURCE, errno,
		                      "the message's file cannot be examined");
	if (!S_ISREG(st.st_mode))
		return ph__fail(err, PH_ENOINPUT, PH_STAGE_PREPARE, PH_CAUSE_SOURCE,
		                "the message is not in a regular file");
	size = (uint64_t)st.st_size;
	if (length == UINT64_MAX)
		length = offset < size ? size - offset : 0;
	if (offset > INT64_MAX || length > INT64_MAX - offset)
		return ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		                "the message's place in its file is out of range");
	if ((s = source_new(&file_kind, mem)) == NULL)
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	s->fd = fd;
	s->offset = offset;
	s->length = length;
	*ret = s;
	return PH_OK;
}

enum ph_code
ph_source_new_pipe(struct ph_source **ret, int fd, const struct ph_allocator *mem)
{
	struct ph_source *s = source_new(&stream_kind, mem);

	if (s == NULL)
		return PH_ESYSTEM;
	s->fd = fd;
	*ret = s;
	return PH_OK;
}

enum ph_code
ph_source_new_callbacks(struct ph_source **ret, const struct ph_source_callbacks *callbacks,
                        const struct ph_allocator *mem)
{
	struct ph_source *s;
	size_t n;

	if (callbacks == NULL || callbacks->read == NULL)
		return PH_EUSAGE;
	if ((s = source_new(&stream_kind, mem)) == NULL)
		return PH_ESYSTEM;
	n = callbacks->size < sizeof s->callbacks ? callbacks->size : sizeof s->callbacks;
	memcpy(&s->callbacks, callbacks, n);
	*ret = s;
	return PH_OK;
}

enum ph_code
ph_source_new_list(struct ph_source **ret, struct ph_source *const *parts, size_t count,
                   const struct ph_allocator *mem)
{
	struct ph_source *s = source_new(&list_kind, mem);

	if (s == NULL)
		return PH_ESYSTEM;
	if ((s->parts = ph__alloc_array(&s->mem, count, sizeof *parts)) == NULL) {
		ph_source_free(s);
		return PH_ESYSTEM;
	}
	if (count != 0)
		memcpy(s->parts, parts, count * sizeof *parts);
	s->part_count = count;
	*ret = s;
	return PH_OK;
}

enum ph_code
ph__source_new_replaced(struct ph_source **ret, struct ph__buf *head, struct ph_source *behind,
                        uint64_t skip, const struct ph_allocator *mem)
{
	struct ph_source *s = source_new(&replaced_kind, mem);

	if (s == NULL)
		return PH_ESYSTEM;
	s->ahead = *head;
	s->ahead.mem = &s->mem;
	s->behind = behind;
	s->skip = skip;
	*ret = s;
	return PH_OK;
}

void
ph_source_free(struct ph_source *s)
{
	struct ph_allocator mem;

	if (s == NULL)
		return;
	for (size_t i = 0; i < s->part_count; i++)
		ph_source_free(s->parts[i]);
	ph__free(&s->mem, s->parts);
	ph__buf_done(&s->ahead);
	mem = s->mem;
	ph__free(&mem, s);
}

/* ---- looking at the beginning ---------------------------------------------------------------- */

static bool
ends_header(struct ph_str text)
{
	struct ph__field_line f;

	while (ph__fields_next(&text, &f))
		;
	return text.len != 0;
}

static bool
read_beginning(struct ph_source *s, struct ph__buf *out)
{
	char buf[16384];
	const void *p;
	size_t n;

	while (out->len < PH__HEADER_BLOCK_MAX &&
	       ph__source_read(s, buf, sizeof buf, &p, &n, NULL) == PH_IO_OK) {
		if (!ph__buf_add(out, p, n))
			return false;
		if (ends_header(ph__buf_str(out)))
			break;
	}
	return true;
}

bool
ph__source_peek(struct ph_source *s, struct ph__buf *out)
{
	bool ok;

	if (s->ahead.len != 0 && s->ahead_at == 0)
		return ph__buf_add(out, s->ahead.p, s->ahead.len);
	if (!ph_source_is_rewindable(s) || ph__source_begin(s, NULL) != PH_OK)
		return false;
	ok = read_beginning(s, out);
	return ph__source_begin(s, NULL) == PH_OK && ok;
}

/* ---- examining ------------------------------------------------------------------------------- */

/* Where the header block ends is seen in the octets as they come: an empty line by any line end.
 * A message without one is all header, as far as SMTPUTF8 is concerned. */
struct header_scan {
	bool in_line, after_cr, done, utf8;
};

static void
scan_header(struct header_scan *h, const char *p, size_t n)
{
	for (size_t i = 0; i < n && !h->done; i++) {
		unsigned char c = (unsigned char)p[i];

		h->utf8 |= c >= 0x80;
		if (c == '\r' || (c == '\n' && !h->after_cr)) {
			h->done = !h->in_line;
			h->in_line = false;
		} else if (c != '\n') {
			h->in_line = true;
		}
		h->after_cr = c == '\r';
	}
}

static bool
emit_nothing(void *user, const char *p, size_t n, bool borrow)
{
	(void)user;
	(void)p;
	(void)n;
	(void)borrow;
	return true;
}

static void
keep_facts(struct ph_source_facts *f, const struct ph__lines *l, const struct header_scan *h,
           uint64_t octets)
{
	f->known = true;
	f->header_known = true;
	f->header_utf8 = h->utf8;
	f->eight_bit = l->eight_bit;
	f->nul = l->nul;
	f->bare = l->bare;
	f->wire_size = l->wire_size;
	f->longest_line = l->longest;
	f->clean = !l->nul && !l->bare && l->wire_size == octets;
}

static enum ph_code
examine_all(struct ph_source *s, struct ph_error *err)
{
	struct ph__lines lines;
	struct header_scan header = { .done = false };
	const void *p = NULL;
	size_t n = 0;
	uint64_t octets = 0;
	char *buf = ph__alloc(&s->mem, PH__READ_CHUNK);
	enum ph_io io;

	if (buf == NULL)
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	ph__lines_init(&lines, PH_LINE_ENDS_NORMALISE, false);
	lines.tolerant = true;
	while ((io = ph__source_read(s, buf, PH__READ_CHUNK, &p, &n, err)) == PH_IO_OK) {
		scan_header(&header, p, n);
		ph__lines_feed(&lines, p, n, emit_nothing, NULL);
		octets += n;
	}
	ph__free(&s->mem, buf);
	if (io != PH_IO_EOF) { /* from its beginning the next time */
		ph_source_rewind(s, NULL);
		return io == PH_IO_AGAIN ? PH_EDEFERRED : PH_ENOINPUT;
	}
	ph__lines_end(&lines, emit_nothing, NULL);
	keep_facts(&s->facts, &lines, &header, octets);
	return ph_source_rewind(s, err);
}

/* Memory is examined without a buffer. */
static enum ph_code
examine_memory(struct ph_source *s)
{
	struct ph__lines lines;
	struct header_scan header = { .done = false };

	ph__lines_init(&lines, PH_LINE_ENDS_NORMALISE, false);
	lines.tolerant = true;
	scan_header(&header, s->memory, (size_t)s->length);
	ph__lines_feed(&lines, s->memory, (size_t)s->length, emit_nothing, NULL);
	ph__lines_end(&lines, emit_nothing, NULL);
	keep_facts(&s->facts, &lines, &header, s->length);
	return PH_OK;
}

/* The header block of what can be read only once is read ahead and kept. */
static enum ph_code
examine_stream(struct ph_source *s, struct ph_error *err)
{
	struct header_scan header = { .done = false };
	size_t seen = 0;

	if (s->touched)
		return PH_OK; /* too late: nothing is known */
	while (!header.done && !s->eof) {
		size_t n = 0;
		enum ph_io io;

		if (s->ahead.len > PH__HEADER_BLOCK_MAX)
			return ph__fail(err, PH_EINPUT, PH_STAGE_PREPARE, PH_CAUSE_LIMIT,
			                "the message's header block is over %d octets",
			                PH__HEADER_BLOCK_MAX);
		if (!ph__buf_reserve(&s->ahead, 8192))
			return ph__fail_nomem(err, PH_STAGE_PREPARE);
		io = stream_next(s, s->ahead.p + s->ahead.len, 8192, &n, err);
		if (io == PH_IO_ERROR)
			return PH_ENOINPUT;
		if (io == PH_IO_AGAIN)
			return PH_EDEFERRED;
		s->eof = io == PH_IO_EOF;
		s->ahead.len += n;
		scan_header(&header, s->ahead.p + seen, s->ahead.len - seen);
		seen = s->ahead.len;
	}
	s->facts.header_known = true;
	s->facts.header_utf8 = header.utf8;
	return PH_OK;
}

/* Of one whose beginning was replaced, that beginning is at hand. */
static void
examine_ahead(struct ph_source *s)
{
	struct header_scan header = { .done = false };

	scan_header(&header, ph__buf_cstr(&s->ahead), s->ahead.len);
	s->facts.header_known = true;
	s->facts.header_utf8 = header.utf8;
}

/* A list that can be read only once, whose header block is in memory and the rest is a pipe, say. */
static void
examine_first_parts(struct ph_source *s)
{
	struct header_scan header = { .done = false };

	for (size_t i = 0; i < s->part_count && s->parts[i]->kind == &memory_kind; i++)
		scan_header(&header, s->parts[i]->memory, (size_t)s->parts[i]->length);
	s->facts.header_known = header.done;
	s->facts.header_utf8 = header.done && header.utf8;
}

enum ph_code
ph_source_examine(struct ph_source *s, struct ph_source_facts *ret, struct ph_error *err)
{
	enum ph_code rc = PH_OK;

	if (!s->facts.known && !s->facts.header_known) {
		if (s->kind == &memory_kind)
			rc = examine_memory(s);
		else if (s->kind == &stream_kind && s->callbacks.rewind == NULL)
			rc = examine_stream(s, err);
		else if (ph_source_is_rewindable(s))
			rc = examine_all(s, err);
		else if (s->kind == &replaced_kind)
			examine_ahead(s);
		else if (s->kind == &list_kind)
			examine_first_parts(s);
	}
	if (rc == PH_OK && ret != NULL) {
		size_t size = ret->size, n = size < sizeof s->facts ? size : sizeof s->facts;

		memcpy(ret, &s->facts, n);
		ret->size = size;
	}
	return rc;
}

/* ---- reading --------------------------------------------------------------------------------- */

enum ph_io
ph__source_read(struct ph_source *s, void *buf, size_t n, const void **ret_p, size_t *ret_n,
                struct ph_error *err)
{
	assert(n != 0);
	return s->kind->read(s, buf, n, ret_p, ret_n, err);
}

bool
ph__source_is_spent(const struct ph_source *s)
{
	if (s->kind == &memory_kind || s->kind == &file_kind)
		return s->at == s->length;
	if (s->kind == &list_kind)
		return s->part == s->part_count
		    || (s->part + 1 == s->part_count && ph__source_is_spent(s->parts[s->part]));
	return s->eof && s->ahead_at == s->ahead.len;
}

bool
ph__source_is_memory(const struct ph_source *s)
{
	return s->kind == &memory_kind;
}

void
ph__source_memory(const struct ph_source *s, const void **ret_p, size_t *ret_n)
{
	assert(s->kind == &memory_kind);
	*ret_p = s->memory;
	*ret_n = (size_t)s->length;
}

const struct ph_source_facts *
ph__source_facts(const struct ph_source *s)
{
	return s->facts.known || s->facts.header_known ? &s->facts : NULL;
}

bool
ph_source_is_rewindable(const struct ph_source *s)
{
	return s->kind->can_rewind(s);
}

enum ph_code
ph_source_rewind(struct ph_source *s, struct ph_error *err)
{
	if (!s->kind->can_rewind(s) || !s->kind->rewind(s))
		return ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_SOURCE,
		                "the message can be read only once");
	return PH_OK;
}

static bool
is_untouched(const struct ph_source *s)
{
	for (size_t i = 0; i < s->part_count; i++)
		if (!is_untouched(s->parts[i]))
			return false;
	return s->at == 0 && s->part == 0 && !s->touched;
}

enum ph_code
ph__source_begin(struct ph_source *s, struct ph_error *err)
{
	if (is_untouched(s) || ph_source_rewind(s, NULL) == PH_OK)
		return PH_OK;
	return ph__fail(err, PH_ENOINPUT, PH_STAGE_PREPARE, PH_CAUSE_SOURCE,
	                "the message has been read already, and can be read only once");
}
