/* SPDX-License-Identifier: MIT */
/* Memory. See mem.h. An allocator with no functions set stands for the C library's, so that a
 * zeroed options struct is valid. Sizes that would overflow fail like a full heap. */
#include "base/mem.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void *
libc_alloc(void *user, size_t n)
{
	(void)user;
	return malloc(n);
}

static void *
libc_realloc(void *user, void *p, size_t n)
{
	(void)user;
	return realloc(p, n);
}

static void
libc_free(void *user, void *p)
{
	(void)user;
	free(p);
}

const struct ph_allocator ph__libc_memory = { libc_alloc, libc_realloc, libc_free, NULL };

void *
ph__alloc(const struct ph_allocator *mem, size_t n)
{
	return mem->alloc(mem->user, n != 0 ? n : 1);
}

void *
ph__alloc0(const struct ph_allocator *mem, size_t n)
{
	void *p = ph__alloc(mem, n);

	if (p != NULL)
		memset(p, 0, n);
	return p;
}

void *
ph__alloc_array(const struct ph_allocator *mem, size_t n, size_t size)
{
	if (size != 0 && n > SIZE_MAX / size)
		return NULL;
	return ph__alloc(mem, n * size);
}

void *
ph__realloc(const struct ph_allocator *mem, void *p, size_t n)
{
	return mem->realloc(mem->user, p, n != 0 ? n : 1);
}

void
ph__free(const struct ph_allocator *mem, void *p)
{
	if (p != NULL)
		mem->free(mem->user, p);
}

char *
ph__strndup(const struct ph_allocator *mem, const char *s, size_t n)
{
	char *p;

	if (n == SIZE_MAX || (p = ph__alloc(mem, n + 1)) == NULL)
		return NULL;
	if (n != 0)
		memcpy(p, s, n);
	p[n] = '\0';
	return p;
}

char *
ph__strdup(const struct ph_allocator *mem, const char *s)
{
	return ph__strndup(mem, s, strlen(s));
}

void
ph__wipe(void *p, size_t n)
{
	if (n != 0)
		explicit_bzero(p, n);
}

void
ph__free_secret(const struct ph_allocator *mem, char *s)
{
	if (s != NULL)
		ph__wipe(s, strlen(s));
	ph__free(mem, s);
}

#define ARENA_BLOCK 2048
#define ARENA_ALIGN _Alignof(max_align_t)

struct ph__arena_block {
	struct ph__arena_block *next;
	size_t used, size; /* of bytes[] */
	_Alignas(max_align_t) char bytes[];
};

void
ph__arena_init(struct ph__arena *a, const struct ph_allocator *mem)
{
	*a = (struct ph__arena){ .mem = mem };
}

static struct ph__arena_block *
arena_grow(struct ph__arena *a, size_t n)
{
	size_t size = n > ARENA_BLOCK ? n : ARENA_BLOCK;
	struct ph__arena_block *b = ph__alloc(a->mem, sizeof *b + size);

	if (b == NULL)
		return NULL;
	b->next = NULL;
	b->used = 0;
	b->size = size;
	if (a->last != NULL)
		a->last->next = b;
	else
		a->first = b;
	return a->last = b;
}

void *
ph__arena_alloc(struct ph__arena *a, size_t n)
{
	struct ph__arena_block *b = a->last;
	void *p;

	if (n > SIZE_MAX / 2)
		return NULL;
	n = (n + ARENA_ALIGN - 1) & ~(ARENA_ALIGN - 1);
	if ((b == NULL || b->size - b->used < n) && (b = arena_grow(a, n)) == NULL)
		return NULL;
	p = b->bytes + b->used; /* @UNSAFE: used + n <= size, checked above */
	b->used += n;
	return p;
}

char *
ph__arena_strndup(struct ph__arena *a, const char *s, size_t n)
{
	char *p;

	if (n == SIZE_MAX || (p = ph__arena_alloc(a, n + 1)) == NULL)
		return NULL;
	if (n != 0)
		memcpy(p, s, n);
	p[n] = '\0';
	return p;
}

void
ph__arena_reset(struct ph__arena *a)
{
	struct ph__arena_block *b = a->first != NULL ? a->first->next : NULL;

	while (b != NULL) {
		struct ph__arena_block *next = b->next;

		ph__free(a->mem, b);
		b = next;
	}
	if (a->first != NULL) {
		a->first->next = NULL;
		a->first->used = 0;
	}
	a->last = a->first;
}

void
ph__arena_done(struct ph__arena *a)
{
	ph__arena_reset(a);
	ph__free(a->mem, a->first);
	a->first = a->last = NULL;
}
