/* SPDX-License-Identifier: MIT */
#ifndef PH_MAIL_SOURCE_H
#define PH_MAIL_SOURCE_H
/* Reading a source, for drivers. */
#include <posthaste/source.h>
#include <posthaste/transport.h>
#include "base/buf.h"

/* Up to n octets, from where the last call ended. Memory gives a pointer into itself; the others
 * read into buf (of n octets) and point there. PH_IO_OK with *ret_n > 0, PH_IO_EOF at the end,
 * PH_IO_AGAIN, PH_IO_ERROR with *err filled (PH_ENOINPUT, cause SOURCE). A file that became shorter
 * is an error: what was promised of it no longer holds. */
enum ph_io ph__source_read(struct ph_source *s, void *buf, size_t n, const void **ret_p,
                           size_t *ret_n, struct ph_error *err);
/* Back to the first octet before a message is sent. PH_ENOINPUT when octets have been given that
 * cannot be given again: the message would go out short. */
enum ph_code ph__source_begin(struct ph_source *s, struct ph_error *err);
/* A source that gives `head` in place of the first `skip` octets of `behind`, and then the rest of it.
 * `head` is taken (on failure it remains the caller's); `behind` is borrowed, and has given exactly
 * those octets so far. PH_ESYSTEM. */
enum ph_code ph__source_new_replaced(struct ph_source **ret, struct ph__buf *head,
                                     struct ph_source *behind, uint64_t skip,
                                     const struct ph_allocator *mem);
/* Adds the beginning of the message, its header block included unless that is over 1 MiB, without giving
 * it away. False: it cannot be had, for a source that can be read once and whose header block has not been
 * kept; or memory is out. */
bool ph__source_peek(struct ph_source *s, struct ph__buf *out);
/* Whether every octet has been given, as far as that is known without reading. */
bool ph__source_is_spent(const struct ph_source *s);
bool ph__source_is_memory(const struct ph_source *s);
/* All of a memory source. */
void ph__source_memory(const struct ph_source *s, const void **ret_p, size_t *ret_n);
/* What is known without examining it; NULL: nothing. */
const struct ph_source_facts *ph__source_facts(const struct ph_source *s);

#endif
