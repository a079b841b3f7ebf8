/* SPDX-License-Identifier: MIT */
#ifndef PH_NET_NAME_H
#define PH_NET_NAME_H
/* What to call ourselves. */
#include <stddef.h>
#include "net/dial.h"

/* The EHLO name (RFC 5321 §4.1.4): this host's name if it is qualified, else the address literal of
 * the connected socket. Never "localhost", never a look-up: servers refuse the one, and the other
 * blocks. buf has size octets, 300 are enough. */
const char *ph__ehlo_name(char *buf, size_t size, const struct ph__peer *peer);

#endif
