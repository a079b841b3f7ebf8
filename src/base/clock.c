/* SPDX-License-Identifier: MIT */
/* The system's clocks. See clock.h. */
#include "base/clock.h"

#include <time.h>

uint64_t
ph__now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

int64_t
ph__wall_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec;
}
