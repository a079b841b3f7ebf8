/* SPDX-License-Identifier: MIT */
#ifndef POSTHASTE_MESSAGE_H
#define POSTHASTE_MESSAGE_H
/* Writing a simple message (RFC 5322, 2045, 2047): header fields and one text part.
 *
 * No call can place CR, LF, NUL or another control character into a header: it is PH_EINPUT, never
 * stripped. Texts are UTF-8; what is not ASCII in a header becomes encoded-words, in the body
 * quoted-printable or base64, so the finished message is 7-bit unless an address itself is not
 * (SMTPUTF8). The same settings give the same bytes. Threads: one at a time. */
#include <stddef.h>
#include <stdint.h>
#include <posthaste/error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ph_message;

PH_API enum ph_code ph_message_new(struct ph_message **ret, const struct ph_allocator *mem);
PH_API void ph_message_free(struct ph_message *m); /* NULL is fine */

/* Strings are copied. Addresses: "a@b", "Name <a@b>", "\"Quoted, name\" <a@b>"; the add functions
 * take a list with commas too. PH_EINPUT says what is wrong with them. */
PH_API enum ph_code ph_message_set_from(struct ph_message *m, const char *mailbox, struct ph_error *err);
PH_API enum ph_code ph_message_add_to(struct ph_message *m, const char *mailboxes, struct ph_error *err);
PH_API enum ph_code ph_message_add_cc(struct ph_message *m, const char *mailboxes, struct ph_error *err);
PH_API enum ph_code ph_message_set_subject(struct ph_message *m, const char *text, struct ph_error *err);

/* A field of the caller's own. A name that the message has anyway (Date, Message-ID, Subject, To …)
 * takes that one's place; others are added in order. Unstructured text is encoded as needed; the
 * value of an address field is parsed as addresses; an encoded-word in the value stays what it is.
 * Refused are Bcc and Return-Path, which do not belong on the wire, and Content-Transfer-Encoding,
 * which follows from the text. */
PH_API enum ph_code ph_message_add_header(struct ph_message *m, const char *name, const char *value,
                                          struct ph_error *err);

/* UTF-8 text of len octets, copied, any line ends (they become CRLF, the last line gets one).
 * PH_EINPUT for a NUL and for what is not UTF-8. Absent: an empty body. */
PH_API enum ph_code ph_message_set_text(struct ph_message *m, const char *text, size_t len,
                                        struct ph_error *err);

/* Seconds since 1970 and the offset from UTC in minutes, for Date. */
PH_API void ph_message_set_date(struct ph_message *m, int64_t unix_time, int utc_offset_minutes);

/* What makes the Message-ID unique: 16 to 64 octets, random. Its domain is From's. */
PH_API enum ph_code ph_message_set_id_seed(struct ph_message *m, const void *octets, size_t n,
                                           struct ph_error *err);

/* The finished message, CRLF line ends, NUL-terminated behind *ret_len; freed by
 * ph_message_free_text(). PH_EINPUT when From, the date or the seed is missing. Without To
 * and Cc it says `To: undisclosed-recipients:;`. */
PH_API enum ph_code ph_message_write(const struct ph_message *m, char **ret, size_t *ret_len,
                                     struct ph_error *err);
PH_API void ph_message_free_text(const struct ph_message *m, char *text);

/* Addresses. A mailbox or list of mailboxes as people and headers write it, to the bare addresses of
 * the envelope. Groups are opened, comments dropped (RFC 5322 §3.4). */
struct ph_addresses;
PH_API enum ph_code ph_addresses_parse(struct ph_addresses **ret, const char *text,
                                       const struct ph_allocator *mem, struct ph_error *err);
/* Of the To, Cc and Bcc fields of a finished message's header block (or Resent-To, -Cc, -Bcc of the
 * newest resent block, RFC 5322 §3.6.6), each once. Line ends are CRLF, LF or CR; the block ends at
 * the first empty line. None found is PH_OK with a count of 0. PH_EINPUT also for a block of over
 * 1 MiB. */
PH_API enum ph_code ph_addresses_from_header(struct ph_addresses **ret, const char *block, size_t len,
                                             const struct ph_allocator *mem, struct ph_error *err);
PH_API size_t ph_addresses_count(const struct ph_addresses *a);
PH_API const char *ph_addresses_get(const struct ph_addresses *a, size_t i); /* bare: local@domain */
PH_API void ph_addresses_free(struct ph_addresses *a);

/* Whom a finished message's header says it is from, for the envelope: the Sender field, else From (or
 * Resent-Sender, Resent-From, where there is a resent block). One address or none: PH_EINPUT for a
 * From of several without a Sender (RFC 5322 §3.6.2), and for two resent blocks, of which nobody could
 * say which one counts. None found is PH_OK with a count of 0. */
PH_API enum ph_code ph_addresses_sender_from_header(struct ph_addresses **ret, const char *block,
                                                    size_t len, const struct ph_allocator *mem,
                                                    struct ph_error *err);

/* An address as people write it ("a@b", "<a@b>", "Name <a@b>"; "" and "<>" are the null reverse-path)
 * to the path that a command has behind MAIL FROM: and RCPT TO: (RFC 5321 §4.1.2), brackets included:
 * for ph_client_putcmd() and the like; ph_client_mail() and all others put the brackets themselves.
 * PH_PATH_SIZE octets always suffice. PH_EINPUT. */
#define PH_PATH_SIZE 257
PH_API enum ph_code ph_address_to_path(char *buf, size_t size, const char *address,
                                       struct ph_error *err);

/* A finished message's header block without its Bcc and Resent-Bcc fields; length of the block
 * (with the empty line, when there is one) to *ret_block_len: what follows there is the body. The
 * text is NUL-terminated and the caller's to free with free() of `mem`. PH_EINPUT for a block of
 * over 1 MiB. */
PH_API enum ph_code ph_header_without_bcc(char **ret, size_t *ret_len, size_t *ret_block_len,
                                          const char *message, size_t len,
                                          const struct ph_allocator *mem, struct ph_error *err);

/* Whether the text begins with at least one well-formed header field line. */
PH_API int ph_header_is_present(const char *message, size_t len);

#ifdef __cplusplus
}
#endif
#endif
