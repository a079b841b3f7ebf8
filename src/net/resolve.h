/* SPDX-License-Identifier: MIT */
#ifndef PH_NET_RESOLVE_H
#define PH_NET_RESOLVE_H
/* One getaddrinfo() in a thread of its own. */
#include <netdb.h>
#include <stdbool.h>
#include <stdint.h>
#include <posthaste/error.h>

struct ph__resolve;

/* Starts looking `host` up (copied). */
enum ph_code ph__resolve_start(struct ph__resolve **ret, const char *host, int family,
                               struct ph_error *err);
/* Readable once the answer is there. */
int ph__resolve_fd(const struct ph__resolve *r);
bool ph__resolve_ready(struct ph__resolve *r);
/* Only when ready: getaddrinfo()'s result, errno with EAI_SYSTEM, the list (borrowed). */
int ph__resolve_answer(const struct ph__resolve *r, int *sys, const struct addrinfo **list);
uint64_t ph__resolve_us(const struct ph__resolve *r);
/* Gives it up, at any time; a thread still at work ends by itself and cleans up. */
void ph__resolve_drop(struct ph__resolve **r);

#endif
