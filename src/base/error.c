/* SPDX-License-Identifier: MIT */
/* Errors as values. See posthaste/error.h. A caller's struct may be older and so shorter than ours:
 * everything is built in a local one and copied up to the caller's size. */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct { enum ph_code code; int status; const char *name, *text; } codes[] = {
#define PH_X(sym, value, name, status, text) { PH_##sym, status, name, text },
	PH_CODE_MAP(PH_X)
#undef PH_X
};

static const char *const stage_names[PH_STAGE_COUNT] = {
#define PH_X(sym, name) name,
	PH_STAGE_MAP(PH_X)
#undef PH_X
};

static const char *const cause_names[PH_CAUSE_COUNT] = {
#define PH_X(sym, name) name,
	PH_CAUSE_MAP(PH_X)
#undef PH_X
};

/* Codes run 0, -1, -2 ... in the map's order. */
static size_t
code_row(enum ph_code code)
{
	size_t i = (size_t)(-(int)code);

	return (int)code <= 0 && i < sizeof codes / sizeof codes[0] ? i : SIZE_MAX;
}

const char *
ph_code_name(enum ph_code code)
{
	size_t i = code_row(code);

	return i != SIZE_MAX ? codes[i].name : "unknown";
}

const char *
ph_code_text(enum ph_code code)
{
	size_t i = code_row(code);

	return i != SIZE_MAX ? codes[i].text : "unknown";
}

int
ph_code_exit_status(enum ph_code code)
{
	size_t i = code_row(code);

	return i != SIZE_MAX ? codes[i].status : 70; /* EX_SOFTWARE */
}

const char *
ph_stage_name(enum ph_stage stage)
{
	return (unsigned)stage < PH_STAGE_COUNT ? stage_names[stage] : "unknown";
}

const char *
ph_cause_name(enum ph_cause cause)
{
	return (unsigned)cause < PH_CAUSE_COUNT ? cause_names[cause] : "unknown";
}

void
ph__error_copy(struct ph_error *to, const struct ph_error *from)
{
	size_t size, n;

	if (to == NULL || to == from)
		return;
	size = to->size;
	n = size < sizeof *from ? size : sizeof *from;
	if (n <= sizeof to->size)
		return;
	memcpy(to, from, n);
	to->size = size;
}

/* strerror() is not safe with threads; the two strerror_r() differ in what they return. */
void
ph__errno_text(int sys, char *buf, size_t size)
{
#ifdef __GLIBC__
	const char *s = strerror_r(sys, buf, size);

	if (s != buf)
		snprintf(buf, size, "%s", s);
#else
	if (strerror_r(sys, buf, size) != 0)
		snprintf(buf, size, "error %d", sys);
#endif
}

/* What snprintf() cut off may have been the rest of a character; half of one is not text. */
static void
mend_end(char *text, int wanted, size_t size)
{
	size_t at = size - 1;
	uint32_t cp;

	if (wanted < 0 || (size_t)wanted < size)
		return;
	while (at != 0 && ((unsigned char)text[at - 1] & 0xc0) == 0x80)
		at--;
	if (at != 0 && (unsigned char)text[at - 1] >= 0xc0 &&
	    ph__utf8_next((struct ph_str){ text + at - 1, size - at }, &cp) == 0)
		text[at - 1] = '\0';
}

static void
fill(struct ph_error *err, enum ph_code code, enum ph_stage stage, enum ph_cause cause, int sys,
     const char *fmt, va_list ap)
{
	struct ph_error e = PH_ERROR_INIT;
	int n;

	if (err == NULL)
		return;
	e.code = code;
	e.stage = stage;
	e.cause = cause;
	e.sys = sys;
	n = vsnprintf(e.text, sizeof e.text, fmt, ap);
	if (sys != 0 && n >= 0 && (size_t)n < sizeof e.text) {
		char why[96];

		ph__errno_text(sys, why, sizeof why);
		n += snprintf(e.text + n, sizeof e.text - (size_t)n, ": %s", why);
	}
	mend_end(e.text, n, sizeof e.text);
	ph__error_copy(err, &e);
}

enum ph_code
ph__fail(struct ph_error *err, enum ph_code code, enum ph_stage stage, enum ph_cause cause,
         const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fill(err, code, stage, cause, 0, fmt, ap);
	va_end(ap);
	return code;
}

enum ph_code
ph__fail_errno(struct ph_error *err, enum ph_code code, enum ph_stage stage, enum ph_cause cause,
               int sys, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fill(err, code, stage, cause, sys, fmt, ap);
	va_end(ap);
	return code;
}

enum ph_code
ph__fail_nomem(struct ph_error *err, enum ph_stage stage)
{
	return ph__fail(err, PH_ESYSTEM, stage, PH_CAUSE_MEMORY, "out of memory");
}

void
ph__more(struct ph_error *err, const char *fmt, ...)
{
	size_t n;
	va_list ap;

	if (err == NULL || err->size < sizeof *err)
		return;
	n = strlen(err->text);
	va_start(ap, fmt);
	mend_end(err->text, (int)n + vsnprintf(err->text + n, sizeof err->text - n, fmt, ap),
	         sizeof err->text);
	va_end(ap);
}

void
ph__hint(struct ph_error *err, const char *fmt, ...)
{
	va_list ap;

	if (err == NULL || err->size < sizeof *err)
		return;
	va_start(ap, fmt);
	mend_end(err->hint, vsnprintf(err->hint, sizeof err->hint, fmt, ap), sizeof err->hint);
	va_end(ap);
}
