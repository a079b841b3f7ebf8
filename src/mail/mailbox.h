/* SPDX-License-Identifier: MIT */
#ifndef PH_MAIL_MAILBOX_H
#define PH_MAIL_MAILBOX_H
/* Lists of mailboxes as people and headers write them (RFC 5322 §3.4, §4.4; RFC 6532 §3.2). */
#include "base/buf.h"
#include <posthaste/error.h>

enum ph__mailbox_kind { PH__MAILBOX, PH__GROUP_START, PH__GROUP_END };

struct ph__mailbox {
	enum ph__mailbox_kind kind;
	struct ph_str name;    /* of mailbox or group, without quotes; empty when there is none */
	struct ph_str address; /* bare; what ph__address_check() accepts. NUL-terminated */
	bool encoded;          /* the name was written with encoded-words, and still is */
};

/* Own their texts. */
struct ph__mailboxes {
	struct ph__arena arena;
	struct ph__mailbox *items; /* in the order written */
	size_t count, cap;
};

void ph__mailboxes_init(struct ph__mailboxes *list, const struct ph_allocator *mem);
void ph__mailboxes_done(struct ph__mailboxes *list);

/* Appends what `text` holds: mailboxes and groups parted by commas, empty places allowed, comments,
 * routes and folding white space dropped. No text, no items. `where` begins an error's text ("To").
 * On failure the list is as it was. PH_EINPUT, PH_ESYSTEM. */
enum ph_code ph__mailboxes_parse(struct ph__mailboxes *list, struct ph_str text, const char *where,
                                 struct ph_error *err);

#endif
