/* SPDX-License-Identifier: MIT */
#ifndef POSTHASTE_RECORD_H
#define POSTHASTE_RECORD_H
/* The delivery record: one message, each recipient's outcome, the sessions it took. */
#include <posthaste/transaction.h>
#include <posthaste/transport.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ph_record;

/* The message's outcome: all accepted, else any in doubt, else any accepted (partial), else all
 * refused, else deferred. */
PH_API enum ph_outcome ph_record_outcome(const struct ph_record *r);
PH_API enum ph_code ph_record_code(const struct ph_record *r);
/* sysexits: that of the class; for `partial` 69 if any recipient was refused, else 75; for
 * `in_doubt` 75, or 74 when the message was marked no_dup. */
PH_API int ph_record_exit_status(const struct ph_record *r);
PH_API const char *ph_record_from(const struct ph_record *r);
PH_API uint64_t ph_record_bytes(const struct ph_record *r);
PH_API size_t ph_record_recipient_count(const struct ph_record *r);
PH_API const struct ph_recipient_outcome *ph_record_recipient(const struct ph_record *r, size_t i);
/* What came between that recipient and a server, in words: there is no such domain, nobody could be
 * reached. NULL: he was accepted, or his reply says it. */
PH_API const struct ph_error *ph_record_recipient_error(const struct ph_record *r, size_t i);
/* Of the recipients' `session`: the server's name, as the user or a MX record gave it, and what went
 * wrong there; NULL: there is no such session, or nothing did. */
PH_API const char *ph_record_host(const struct ph_record *r, size_t session);
PH_API const struct ph_error *ph_record_session_error(const struct ph_record *r, size_t session);
/* What to tell a person: the first thing that went wrong, with text and hint; NULL when all was
 * accepted. */
PH_API const struct ph_error *ph_record_error(const struct ph_record *r);

/* The server's queue identifier out of its final reply, for accepted recipients; NULL if none is
 * recognised. Copied into buf (size octets, NUL-terminated), which is returned. */
PH_API const char *ph_reply_remote_id(const struct ph_reply *reply, char *buf, size_t size);

/* The record as one line of JSON, without line end, NUL-terminated; to be given to
 * ph_record_free_json(). NULL when memory is out. A server's text that is not UTF-8 is there twice: as
 * `text` as a person is shown it (Chinese in GB18030 decoded, other octets as \xNN), and beside it as
 * `text_b64`, its octets as they came; likewise `greeting` and `greeting_b64`. */
PH_API char *ph_record_json(const struct ph_record *r);
PH_API void ph_record_free_json(const struct ph_record *r, char *json);

#ifdef __cplusplus
}
#endif
#endif
