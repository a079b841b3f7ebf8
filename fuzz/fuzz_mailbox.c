/* SPDX-License-Identifier: MIT */
/* Mailbox lists and header blocks: whatever is accepted must satisfy the judges further on. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <posthaste/message.h>

#include "mail/address.h"
#include "mail/header.h"
#include "mail/mailbox.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was understood is understood the same after it was written. */
static void
write_and_read(const struct ph__mailboxes *list)
{
	struct ph__mailboxes again;
	struct ph__buf out;

	ph__buf_init(&out, &ph__libc_memory, 1 << 26);
	ph__mailboxes_init(&again, &ph__libc_memory);
	if (ph__header_add_mailboxes(&out, ph__str("To"), list, NULL) == PH_OK &&
	    list->count != 0) {
		enum ph_code rc = ph__mailboxes_parse(
		    &again, (struct ph_str){ out.p + 3, out.len - 5 }, "To", NULL);

		assert(rc == PH_OK && again.count == list->count);
		for (size_t i = 0; i < list->count; i++)
			assert(again.items[i].kind == list->items[i].kind &&
			       (again.items[i].encoded ||
			        ph__str_eq(again.items[i].name, list->items[i].name)) &&
			       (!ph__str_is_ascii(list->items[i].address) ||
			        ph__str_eq(again.items[i].address, list->items[i].address)));
	}
	ph__mailboxes_done(&again);
	ph__buf_done(&out);
}

static void
scan_header(const char *p, size_t n)
{
	struct ph_addresses *a = NULL;
	char *block = NULL;
	size_t len, taken;

	if (ph_addresses_from_header(&a, p, n, NULL, NULL) == PH_OK)
		ph_addresses_free(a);
	if (ph_header_without_bcc(&block, &len, &taken, p, n, NULL, NULL) == PH_OK) {
		size_t len2, taken2;
		char *twice = NULL;

		assert(taken <= n);
		assert(ph_header_without_bcc(&twice, &len2, &taken2, block, len, NULL, NULL) ==
		       PH_OK);
		assert(len2 == len && taken2 == len && memcmp(twice, block, len) == 0);
		free(twice);
		free(block);
	}
	ph_header_is_present(p, n);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ph__mailboxes list;

	ph__mailboxes_init(&list, &ph__libc_memory);
	if (ph__mailboxes_parse(&list, (struct ph_str){ (const char *)data, size }, "To", NULL) ==
	    PH_OK) {
		for (size_t i = 0; i < list.count; i++)
			assert(list.items[i].kind != PH__MAILBOX ||
			       ph__address_check(list.items[i].address, NULL, NULL) == PH_OK);
		write_and_read(&list);
	}
	ph__mailboxes_done(&list);
	scan_header((const char *)data, size);
	return 0;
}
