/* SPDX-License-Identifier: MIT */
/* From options to a message source. See send_message.h.
 *
 * A finished message is streamed: only its header block is read beforehand, bounded, to see that
 * there is one and, with -t, to take its recipients and drop Bcc. A file is then sent by pread(),
 * the rest of a pipe as it comes; for several recipients the pipe is spooled first, because a server
 * that takes only so many at a time is given the message again; and for --direct always, because the
 * next server is. A composed message is built in memory
 * and so has a limit. */
#include "cli/send_message.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <posthaste/message.h>
#include "base/bounds.h"
#include "base/error.h"
#include "base/mem.h"
#include "cli/charset.h"
#include "cli/input.h"
#include "cli/problem.h"
#include "cli/spool.h"

#define READ_SIZE 16384
#define PARTS_MAX 3

void
ph__send_message_init(struct ph__send_message *m)
{
	*m = (struct ph__send_message){ .fd = -1 };
	ph__buf_init(&m->head, &ph__libc_memory, PH__HEADER_BLOCK_MAX + READ_SIZE);
}

void
ph__send_message_done(struct ph__send_message *m)
{
	ph_source_free(m->source);
	if (m->text != NULL)
		ph_message_free_text(m->composed, m->text);
	ph_message_free(m->composed);
	ph__free(&ph__libc_memory, m->block);
	ph__buf_done(&m->head);
	if (m->fd_owned)
		close(m->fd);
	m->fd_owned = false;
}

static enum ph_code
bad_content(const char *path, const char *what, struct ph_error *err)
{
	return ph__fail(err, PH_EINPUT, PH_STAGE_PREPARE, PH_CAUSE_CONTENT, "%s: %s",
	                ph__input_name(path), what);
}

/* ---- a finished message ---------------------------------------------------------------------- */

struct input {
	const char *path;
	bool     regular;
	uint64_t offset; /* of a regular file: where the message begins */
	bool     at_end; /* all of it is in head */
};

/* Whether the header block is whole: an empty line ends it, or stands first. */
static bool
has_empty_line(struct ph_str s, size_t from)
{
	if (s.len != 0 && (s.ptr[0] == '\n' || (s.len > 1 && s.ptr[0] == '\r' && s.ptr[1] == '\n')))
		return true;
	from = from > 2 ? from - 2 : 0;
	return memmem(s.ptr + from, s.len - from, "\n\n", 2) != NULL
	    || memmem(s.ptr + from, s.len - from, "\n\r\n", 3) != NULL;
}

static enum ph_code
read_head(struct ph__send_message *m, struct input *in, struct ph_error *err)
{
	char piece[READ_SIZE];
	size_t before = 0;
	ssize_t n;

	do {
		if (in->regular)
			n = pread(m->fd, piece, sizeof piece, (off_t)(in->offset + m->head.len));
		else
			n = ph__read_some(m->fd, piece, sizeof piece);
		if (n < 0)
			return ph__input_unreadable(in->path, errno, err);
		before = m->head.len;
		in->at_end = n == 0;
		if (!ph__buf_add(&m->head, piece, (size_t)n))
			return ph__fail_nomem(err, PH_STAGE_PREPARE);
	} while (!in->at_end && m->head.len < PH__HEADER_BLOCK_MAX
	         && !has_empty_line(ph__buf_str(&m->head), before));
	return PH_OK;
}

static enum ph_code
check_header(const struct ph__send_message *m, const struct input *in, struct ph_error *err)
{
	enum ph_code rc;

	if (m->head.len == 0) {
		rc = bad_content(in->path, "the message is empty", err);
		ph__hint(err, "a finished message has header fields, an empty line and a text; to send it "
		              "as it is, add --as-is");
		return rc;
	}
	if (ph_header_is_present(ph__buf_cstr(&m->head), m->head.len))
		return PH_OK;
	if (m->head.len >= 5 && memcmp(ph__buf_cstr(&m->head), "From ", 5) == 0) {
		rc = bad_content(in->path, "begins with the 'From ' line of a mailbox file, which is not "
		                 "part of a message", err);
		ph__hint(err, "remove its first line: tail -n +2");
		return rc;
	}
	rc = bad_content(in->path, "does not begin with a header field, so it is no finished message",
	                 err);
	ph__hint(err, "to compose one with this as its text, use --text instead of --message; to send "
	              "it as it is, add --as-is");
	return rc;
}

/* Makes a file of the pipe. */
static enum ph_code
spool(struct ph__send_message *m, struct input *in, struct ph_error *err)
{
	int fd;
	enum ph_code rc = ph__spool(&fd, ph__buf_str(&m->head), m->fd, ph__input_name(in->path), err);

	if (rc != PH_OK)
		return rc;
	if (m->fd_owned)
		close(m->fd);
	m->fd = fd;
	m->fd_owned = in->regular = true;
	return PH_OK;
}

/* The parts are given to the list, or freed here. */
static enum ph_code
join(struct ph__send_message *m, struct ph_source **parts, size_t count, struct ph_error *err)
{
	if (count == 1) {
		m->source = parts[0];
		return PH_OK;
	}
	if (ph_source_new_list(&m->source, parts, count, NULL) == PH_OK)
		return PH_OK;
	for (size_t i = 0; i < count; i++)
		ph_source_free(parts[i]);
	return ph__fail_nomem(err, PH_STAGE_PREPARE);
}

/* The message as it will be read: the rewritten header block, if there is one; of a pipe what was
 * read ahead behind it; and the rest, `skip` octets into what head holds. */
static enum ph_code
make_source(struct ph__send_message *m, const struct input *in, size_t block_len, size_t skip,
            struct ph_error *err)
{
	struct ph_source *parts[PARTS_MAX];
	size_t n = 0;
	struct ph_str ahead = { ph__buf_cstr(&m->head) + skip, m->head.len - skip };
	enum ph_code rc = PH_OK;

	if (m->block != NULL) {
		rc = ph_source_new_memory(&parts[n], m->block, block_len, NULL);
		n += rc == PH_OK;
	}
	if (rc == PH_OK && in->regular) {
		rc = ph_source_new_file(&parts[n], m->fd, in->offset + skip, UINT64_MAX, NULL, err);
		n += rc == PH_OK;
	} else if (rc == PH_OK) {
		rc = ph_source_new_memory(&parts[n], ahead.ptr, ahead.len, NULL);
		n += rc == PH_OK;
		if (rc == PH_OK && !in->at_end) {
			rc = ph_source_new_pipe(&parts[n], m->fd, NULL);
			n += rc == PH_OK;
		}
	}
	if (rc == PH_OK)
		return join(m, parts, n, err);
	for (size_t i = 0; i < n; i++)
		ph_source_free(parts[i]);
	return rc == PH_ESYSTEM ? ph__fail_nomem(err, PH_STAGE_PREPARE) : rc;
}

/* -t: the header's recipients, and the block without Bcc. */
static enum ph_code
take_recipients(struct ph__send_message *m, const struct input *in, struct ph__send_envelope *e,
                size_t *ret_len, size_t *ret_skip, struct ph_error *err)
{
	struct ph_str head = ph__buf_str(&m->head);
	struct ph_addresses *list;
	enum ph_code rc;

	if (!in->at_end && !has_empty_line(head, 0))
		return bad_content(in->path, "the header block is over 1 MiB or does not end", err);
	rc = ph_header_without_bcc(&m->block, ret_len, ret_skip, head.ptr, head.len, NULL, err);
	if (rc == PH_OK)
		rc = ph_addresses_from_header(&list, head.ptr, *ret_skip, NULL, err);
	return rc == PH_OK ? ph__send_envelope_take(e, list, err) : rc;
}

/* A blind copy's field that all will see: perhaps meant, more often forgotten. */
static void
warn_of_bcc(const struct ph__send_message *m)
{
	struct ph_str head = ph__buf_str(&m->head);
	size_t without, whole;
	char *block;

	if (ph_header_without_bcc(&block, &without, &whole, head.ptr, head.len, NULL, NULL) != PH_OK)
		return;
	if (without != whole)
		ph__warn(stderr, "the message has a Bcc field, and every recipient will see it; -t "
		                 "takes it out");
	ph__free(&ph__libc_memory, block);
}

static enum ph_code
open_finished(struct ph__send_message *m, const struct ph__send_options *o,
              struct ph__send_envelope *e, struct ph_error *err)
{
	struct input in = { .path = o->message != NULL ? o->message : "-" };
	size_t block_len = 0, skip = 0;
	struct stat st;
	enum ph_code rc = ph__input_open(in.path, "message", &m->fd, &m->fd_owned, &st, err);

	if (rc != PH_OK)
		return rc;
	in.regular = S_ISREG(st.st_mode);
	if (in.regular && !m->fd_owned) /* a shell may have read lines of it already */
		in.offset = (uint64_t)lseek(m->fd, 0, SEEK_CUR);
	if ((rc = read_head(m, &in, err)) != PH_OK)
		return rc;
	if (!o->as_is && (rc = check_header(m, &in, err)) != PH_OK)
		return rc;
	if (!o->from_headers)
		warn_of_bcc(m);
	else if ((rc = take_recipients(m, &in, e, &block_len, &skip, err)) != PH_OK)
		return rc;
	if (!in.regular && !in.at_end && (e->count > 1 || o->direct.wanted) &&
	    (rc = spool(m, &in, err)) != PH_OK)
		return rc;
	return make_source(m, &in, block_len, skip, err);
}

/* ---- a composed message ---------------------------------------------------------------------- */

static enum ph_code
read_text(const char *path, struct ph__buf *text, struct ph_error *err)
{
	struct ph_error why = PH_ERROR_INIT;
	enum ph_code rc = ph__input_read(path, text, &why);

	if (rc == PH_EINPUT)
		ph__hint(&why, "make a finished message of it and send that with --message, which has no "
		               "limit");
	if (rc != PH_OK)
		ph__error_copy(err, &why);
	return rc;
}

static enum ph_code
set_text(struct ph_message *msg, const struct ph__send_options *o, struct ph_error *err)
{
	struct ph__buf text;
	enum ph_code rc;

	ph__buf_init(&text, &ph__libc_memory, PH__INPUT_MAX);
	if (o->body == NULL)
		rc = read_text(o->text, &text, err);
	else
		rc = ph__buf_add_str(&text, o->body) ? PH_OK : ph__fail_nomem(err, PH_STAGE_PREPARE);
	if (rc == PH_OK)
		rc = ph__charset_to_utf8(&text, o->charset, o->body != NULL ? "--body" : ph__input_name(o->text), err);
	if (rc == PH_OK)
		rc = ph_message_set_text(msg, ph__buf_cstr(&text), text.len, err);
	ph__buf_done(&text);
	return rc;
}

static bool
is_field(const char *header, const char *name)
{
	size_t n = strlen(name);

	return ph__str_eq_nocase((struct ph_str){ header, strcspn(header, ": \t") },
	                         (struct ph_str){ name, n });
}

/* 'Name: value'. A Bcc field is an envelope matter: with -t it is taken as one. */
static enum ph_code
add_header(struct ph_message *msg, const char *header, const struct ph__send_options *o,
           struct ph__send_envelope *e, struct ph_error *err)
{
	size_t n = strcspn(header, ":");
	const char *value = header + n;
	char *name;
	enum ph_code rc;

	if (*value != ':' || n == 0) {
		ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		         "--header=%.200s: not a header field; write 'Name: value'", header);
		return PH_EUSAGE;
	}
	value++;
	value += strspn(value, " \t");
	if (o->from_headers && is_field(header, "Bcc"))
		return ph__send_envelope_add(e, value, "the Bcc field", err);
	while (n > 1 && header[n - 1] == ' ')
		n--;
	if ((name = ph__strndup(&ph__libc_memory, header, n)) == NULL)
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	rc = ph_message_add_header(msg, name, value, err);
	ph__free(&ph__libc_memory, name);
	return rc;
}

static enum ph_code
set_people(struct ph_message *msg, const struct ph__send_options *o,
           const struct ph__send_envelope *e, struct ph_error *err)
{
	bool has_author = e->author != NULL;
	enum ph_code rc = PH_OK;

	for (size_t i = 0; i < o->headers.count; i++)
		has_author = has_author || is_field(o->headers.items[i], "From");
	if (!has_author) {
		ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		         "a composed message needs an author, and the sender is the null one");
		ph__hint(err, "add --header 'From: you@example.org'");
		return PH_EUSAGE;
	}
	if (e->author != NULL)
		rc = ph_message_set_from(msg, e->author, err);
	for (size_t i = 0; rc == PH_OK && i < o->operand_count; i++)
		rc = ph_message_add_to(msg, o->operands[i], err);
	for (size_t i = 0; rc == PH_OK && i < o->to.count; i++)
		rc = ph_message_add_to(msg, o->to.items[i], err);
	for (size_t i = 0; rc == PH_OK && i < o->cc.count; i++)
		rc = ph_message_add_cc(msg, o->cc.items[i], err);
	return rc;
}

static enum ph_code
stamp(struct ph_message *msg, struct ph_error *err)
{
	unsigned char seed[16];
	time_t now = time(NULL);
	struct tm local = { 0 };

	if (getrandom(seed, sizeof seed, 0) != (ssize_t)sizeof seed)
		return ph__fail_errno(err, PH_ESYSTEM, PH_STAGE_PREPARE, PH_CAUSE_SYSTEM, errno,
		                      "no random octets for the Message-ID");
	localtime_r(&now, &local);
	ph_message_set_date(msg, (int64_t)now, (int)(local.tm_gmtoff / 60));
	return ph_message_set_id_seed(msg, seed, sizeof seed, err);
}

static enum ph_code
fill(struct ph_message *msg, const struct ph__send_options *o, struct ph__send_envelope *e,
     struct ph_error *err)
{
	enum ph_code rc = set_people(msg, o, e, err);

	if (rc == PH_OK && o->subject != NULL)
		rc = ph_message_set_subject(msg, o->subject, err);
	if (rc == PH_OK)
		rc = stamp(msg, err);
	for (size_t i = 0; rc == PH_OK && i < o->headers.count; i++)
		rc = add_header(msg, o->headers.items[i], o, e, err);
	return rc == PH_OK ? set_text(msg, o, err) : rc;
}

static enum ph_code
open_composed(struct ph__send_message *m, const struct ph__send_options *o,
              struct ph__send_envelope *e, struct ph_error *err)
{
	enum ph_code rc = ph_message_new(&m->composed, NULL);
	struct ph_addresses *list;

	if (rc != PH_OK)
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	if ((rc = fill(m->composed, o, e, err)) != PH_OK)
		return rc;
	if ((rc = ph_message_write(m->composed, &m->text, &m->text_len, err)) != PH_OK)
		return rc;
	if (o->from_headers) {
		if ((rc = ph_addresses_from_header(&list, m->text, m->text_len, NULL, err)) != PH_OK
		    || (rc = ph__send_envelope_take(e, list, err)) != PH_OK)
			return rc;
	}
	if (ph_source_new_memory(&m->source, m->text, m->text_len, NULL) != PH_OK)
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	return PH_OK;
}

enum ph_code
ph__send_message_open(struct ph__send_message *m, const struct ph__send_options *o,
                      struct ph__send_envelope *e, struct ph_error *err)
{
	return ph__send_options_is_finished(o) ? open_finished(m, o, e, err)
	                                       : open_composed(m, o, e, err);
}
