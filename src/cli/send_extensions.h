/* SPDX-License-Identifier: MIT */
#ifndef PH_CLI_SEND_EXTENSIONS_H
#define PH_CLI_SEND_EXTENSIONS_H
/* What the envelope asks of a server's extensions: from words to numbers. */
#include <posthaste/transaction.h>

struct ph__send_extensions {
	/* as given */
	const char *notify_words, *deliver_by_words, *hold_words;
	/* as understood, beside the above; see posthaste/transaction.h */
	int dsn_return;
	const char *envid;
	bool require_tls;
	unsigned notify;
	enum ph_by_mode by_mode;
	bool by_trace;
	int32_t by_seconds;
	uint64_t hold_for;
	int64_t hold_until;
};

/* `now`: seconds since 1970. PH_EUSAGE names the option and what may be written. */
enum ph_code ph__send_extensions_read(struct ph__send_extensions *x, int64_t now,
                                      struct ph_error *err);

#endif
