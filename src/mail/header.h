/* SPDX-License-Identifier: MIT */
#ifndef PH_MAIL_HEADER_H
#define PH_MAIL_HEADER_H
/* The one writer of header fields (RFC 5322 §2.2, RFC 2047).
 *
 * Each call adds one whole field, folded, with its CRLF, or nothing. A name or text with CR, LF,
 * NUL or any other control character (C0, DEL, C1) is PH_EINPUT, never mended, as are text that is
 * not UTF-8 and a line that cannot be folded under 998 octets. PH_ESYSTEM when memory is out. */
#include "base/buf.h"
#include "mail/mailbox.h"
#include <posthaste/error.h>

/* Printable ASCII without colon, not too long. */
enum ph_code ph__header_check_name(struct ph_str name, struct ph_error *err);

enum ph__header_text {
	PH__HEADER_LITERAL, /* the reader shall see this text, even one like an encoded-word */
	PH__HEADER_PREPARED /* an encoded-word stays what it is */
};

/* Unstructured text; words that are not ASCII become encoded-words. */
enum ph_code ph__header_add_text(struct ph__buf *out, struct ph_str name, struct ph_str text,
                                 enum ph__header_text how, struct ph_error *err);

/* A structured value (Date, Message-ID, MIME): ASCII only, folded at its spaces. */
enum ph_code ph__header_add_structured(struct ph__buf *out, struct ph_str name, struct ph_str value,
                                       struct ph_error *err);

/* Names quoted or encoded as needed, domains as A-labels where that saves SMTPUTF8, other non-ASCII
 * addresses as they are (RFC 6532). No mailboxes: `undisclosed-recipients:;`. */
enum ph_code ph__header_add_mailboxes(struct ph__buf *out, struct ph_str name,
                                      const struct ph__mailboxes *list, struct ph_error *err);

#endif
