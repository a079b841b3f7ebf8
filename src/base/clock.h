/* SPDX-License-Identifier: MIT */
#ifndef PH_BASE_CLOCK_H
#define PH_BASE_CLOCK_H
/* Monotonic time. The folders below net take it as an argument and never read it. */
#include <stdint.h>

uint64_t ph__now_us(void);
static inline uint64_t
ph__now_ms(void)
{
	return ph__now_us() / 1000;
}

#endif
