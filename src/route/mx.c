/* SPDX-License-Identifier: MIT */
/* MX records (RFC 1035 §3.3.9, RFC 5321 §5.1, RFC 7505). See mx.h. A record whose data is not two
 * octets and a name is passed over: it says nothing, so it cannot make the others wrong. */
#include "route/mx.h"

#include <stdlib.h>

#include "route/domain.h"

struct record {
	uint16_t preference;
	uint64_t lot;         /* decides among equals */
	struct ph_str wire;
};

/* xorshift64* (Marsaglia, Vigna): spreads load, guards no secret. */
static uint64_t
draw(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1du;
}

static int
compare(const void *a, const void *b)
{
	const struct record *x = a, *y = b;

	if (x->preference != y->preference)
		return x->preference < y->preference ? -1 : 1;
	return x->lot < y->lot ? -1 : x->lot > y->lot;
}

/* False: malformed. */
static bool
read_record(struct record *ret, struct ph_str data, char name[PH__NAME_SHOWN])
{
	if (data.len < 3)
		return false;
	ret->preference = (uint16_t)((unsigned char)data.ptr[0] << 8 | (unsigned char)data.ptr[1]);
	ret->wire = (struct ph_str){ data.ptr + 2, data.len - 2 };
	return ph__name_from_wire(name, ret->wire);
}

static bool
is_listed(const struct ph__mx_list *list, const char *name)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->hosts[i].name, name) == 0)
			return true;
	return false;
}

/* The records that can be read, and the best preference that is ours; 65536: none is. */
static size_t
collect(struct record *records, const struct ph__dns_answer *answer, const char *const *own_names,
        size_t own_name_count, uint64_t seed, unsigned *own)
{
	uint64_t state = (seed ^ 0x9e3779b97f4a7c15u) | 1; /* never 0, which would stay 0 */
	char name[PH__NAME_SHOWN];
	size_t n = 0;

	*own = 65536;
	draw(&state);
	for (size_t i = 0; i < answer->count; i++) {
		struct record *r = &records[n];

		if (!read_record(r, answer->data[i], name) || name[0] == '\0')
			continue;
		r->lot = draw(&state);
		if (ph__name_is_among(name, own_names, own_name_count) && r->preference < *own)
			*own = r->preference;
		n++;
	}
	return n;
}

static bool
add(struct ph__mx_list *list, const struct record *r, struct ph__arena *arena)
{
	char name[PH__NAME_SHOWN];
	struct ph__mx *mx = &list->hosts[list->count];

	if (!ph__name_from_wire(name, r->wire) || is_listed(list, name))
		return true;
	if ((mx->name = ph__arena_strndup(arena, name, strlen(name))) == NULL)
		return false;
	mx->preference = r->preference;
	list->count++;
	return true;
}

static bool
is_null(const struct ph__dns_answer *answer)
{
	char name[PH__NAME_SHOWN];
	struct record r;

	return answer->count == 1 && read_record(&r, answer->data[0], name) && name[0] == '\0';
}

bool
ph__mx_read(struct ph__mx_list *ret, const struct ph__dns_answer *answer,
            const char *const *own_names, size_t own_name_count, uint64_t seed,
            struct ph__arena *arena)
{
	struct record *records = ph__alloc_array(arena->mem, answer->count, sizeof *records);
	bool fine = true;
	unsigned own;
	size_t n;

	*ret = (struct ph__mx_list){ .null = is_null(answer) };
	ret->hosts = ph__arena_alloc(arena, PH__MX_MAX * sizeof *ret->hosts);
	if (records == NULL || ret->hosts == NULL) {
		ph__free(arena->mem, records);
		return false;
	}
	n = collect(records, answer, own_names, own_name_count, seed, &own);
	if (n != 0)
		qsort(records, n, sizeof *records, compare);
	for (size_t i = 0; fine && i < n && records[i].preference < own && ret->count < PH__MX_MAX; i++)
		fine = add(ret, &records[i], arena);
	ret->loop = own != 65536 && ret->count == 0;
	ph__free(arena->mem, records);
	return fine;
}
