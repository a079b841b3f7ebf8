/* SPDX-License-Identifier: MIT */
#ifndef PH_BASE_CLOCK_H
#define PH_BASE_CLOCK_H
/* The two clocks. The folders below net take time as an argument and never read it. */
#include <stdint.h>

/* Monotonic. */

uint64_t ph__now_us(void);
static inline uint64_t
ph__now_ms(void)
{
	return ph__now_us() / 1000;
}

/* Seconds since 1970: what other machines and other days go by. It may jump. */
int64_t ph__wall_s(void);

#endif
