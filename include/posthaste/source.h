/* SPDX-License-Identifier: MIT */
#ifndef POSTHASTE_SOURCE_H
#define POSTHASTE_SOURCE_H
/* Where a message's octets come from.
 *
 * A source is read in pieces, so memory does not grow with the message. It is never mapped into
 * memory: somebody else may truncate a file. A source that can be read again (memory, a file) is
 * examined once, before its first use, and the facts are kept; it may then be sent any number of
 * times. Until it is freed, what it stands on must not change.
 * Threads: one at a time. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <posthaste/error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ph_source;

/* What a line end may be. On the wire there is only CRLF. */
enum ph_line_ends {
	PH_LINE_ENDS_NORMALISE = 0, /* a lone LF, a lone CR and CRLF each become CRLF; a missing last
	                               CRLF is added; NUL is refused */
	PH_LINE_ENDS_STRICT,        /* a bare CR or LF is refused; a missing last CRLF is added */
	PH_LINE_ENDS_BINARY         /* octets as they are; needs CHUNKING, and BINARYMIME when the
	                               content is not lines (RFC 3030 §3) */
};

/* What is known of a message as it will stand on the wire. */
struct ph_source_facts {
	size_t   size;            /* PH_SOURCE_FACTS_INIT */
	bool     known;           /* false: nothing below but header_known and header_utf8 counts */
	bool     header_known;    /* the header block was seen to its end */
	bool     header_utf8;     /* it has an octet above 127 (RFC 6532: needs SMTPUTF8) */
	bool     eight_bit;       /* some octet is above 127 */
	bool     clean;           /* every line ends in CRLF, no NUL: goes out as it is */
	bool     nul;             /* it has a NUL */
	bool     bare;            /* it has a bare CR or LF */
	uint64_t wire_size;       /* octets after line ends are mended, without dot-stuffing */
	uint64_t longest_line;    /* without its CRLF */
};
#define PH_SOURCE_FACTS_INIT { .size = sizeof(struct ph_source_facts) }

/* Each makes a source; *ret is untouched on failure. `mem` NULL: the C library's. PH_ESYSTEM. */

/* n octets at p, borrowed as long as the source lives. */
PH_API enum ph_code ph_source_new_memory(struct ph_source **ret, const void *p, size_t n,
                                         const struct ph_allocator *mem);

/* Octets [offset, offset + length) of a file by pread(); UINT64_MAX as length: to its end as it is
 * now. The descriptor is borrowed, its position unused. PH_ENOINPUT when it is not a regular file. */
PH_API enum ph_code ph_source_new_file(struct ph_source **ret, int fd, uint64_t offset,
                                       uint64_t length, const struct ph_allocator *mem,
                                       struct ph_error *err);

/* What a pipe, socket or terminal gives until its end, by read(). Borrowed. Can be sent once. */
PH_API enum ph_code ph_source_new_pipe(struct ph_source **ret, int fd,
                                       const struct ph_allocator *mem);

/* Octets from a function: up to n into buf, their number to *ret_n; PH_IO_EOF at the end,
 * PH_IO_AGAIN when there are none now (a blocking client then calls again after a short wait),
 * PH_IO_ERROR with *err filled. `rewind` NULL: can be sent once; else it starts over, 0 if it can. */
struct ph_source_callbacks {
	size_t size; /* PH_SOURCE_CALLBACKS_INIT */
	int  (*read)(void *user, void *buf, size_t n, size_t *ret_n, struct ph_error *err); /* enum ph_io */
	int  (*rewind)(void *user);
	void  *user;
};
#define PH_SOURCE_CALLBACKS_INIT .size = sizeof(struct ph_source_callbacks)
PH_API enum ph_code ph_source_new_callbacks(struct ph_source **ret,
                                            const struct ph_source_callbacks *callbacks,
                                            const struct ph_allocator *mem);

/* Several sources, one after the other. The array is copied, the sources are taken: freed with the
 * list (on failure they remain the caller's). */
PH_API enum ph_code ph_source_new_list(struct ph_source **ret, struct ph_source *const *parts,
                                       size_t count, const struct ph_allocator *mem);

/* Examines the source if that has not been done, and copies what is known. A pipe's or callback's
 * header block is read and kept for sending (up to 1 MiB; PH_EINPUT beyond); the rest stays unknown.
 * PH_ENOINPUT when reading fails; PH_EDEFERRED when there is nothing to read now: call again. */
PH_API enum ph_code ph_source_examine(struct ph_source *s, struct ph_source_facts *ret,
                                      struct ph_error *err);

/* Whether it can be sent again, and going back to its first octet. PH_EUSAGE when it cannot. */
PH_API bool ph_source_is_rewindable(const struct ph_source *s);
PH_API enum ph_code ph_source_rewind(struct ph_source *s, struct ph_error *err);

/* n octets of a message as they stand on the wire behind DATA: line ends mended or judged, a last CRLF
 * added, dots at the beginning of a line doubled (RFC 5321 §4.5.2); without the final dot. For a
 * message sent by ph_client_send(); whatever takes a source does this itself. *ret is NUL-terminated
 * and the caller's to free with free() of `mem`. PH_EINPUT for what ph_client_data() would refuse;
 * PH_EUSAGE for PH_LINE_ENDS_BINARY, which DATA cannot carry (RFC 3030 §3). */
PH_API enum ph_code ph_dot_stuff(char **ret, size_t *ret_len, const void *message, size_t n,
                                 enum ph_line_ends line_ends, const struct ph_allocator *mem,
                                 struct ph_error *err);

/* NULL is fine. */
PH_API void ph_source_free(struct ph_source *s);

#ifdef __cplusplus
}
#endif
#endif
