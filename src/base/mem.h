/* SPDX-License-Identifier: MIT */
#ifndef PH_BASE_MEM_H
#define PH_BASE_MEM_H
/* Memory: the caller's allocator, an arena for what lives as long as one transaction, and wiping.
 * Every function returns NULL when memory is out; nothing aborts. */
#include <stdbool.h>
#include <stddef.h>
#include <posthaste/api.h>

/* The C library's allocator; never NULL. */
extern const struct ph_allocator ph__libc_memory;

void *ph__alloc(const struct ph_allocator *mem, size_t n);
void *ph__alloc0(const struct ph_allocator *mem, size_t n);             /* zeroed */
void *ph__alloc_array(const struct ph_allocator *mem, size_t n, size_t size); /* NULL on overflow too */
void *ph__realloc(const struct ph_allocator *mem, void *p, size_t n);
void ph__free(const struct ph_allocator *mem, void *p);                  /* NULL is fine */
char *ph__strdup(const struct ph_allocator *mem, const char *s);
char *ph__strndup(const struct ph_allocator *mem, const char *s, size_t n); /* adds a NUL */

/* Overwrites; never optimised away. */
void ph__wipe(void *p, size_t n);
/* Wipes a NUL-terminated secret and frees it; NULL is fine. */
void ph__free_secret(const struct ph_allocator *mem, char *s);

/* Arena: many small pieces, freed at once. reset() keeps the first block for the next use. */
struct ph__arena_block;
struct ph__arena {
	const struct ph_allocator *mem;
	struct ph__arena_block *first, *last;
};
void ph__arena_init(struct ph__arena *a, const struct ph_allocator *mem);
void *ph__arena_alloc(struct ph__arena *a, size_t n);                    /* aligned for any type */
char *ph__arena_strndup(struct ph__arena *a, const char *s, size_t n);   /* adds a NUL */
void ph__arena_reset(struct ph__arena *a);
void ph__arena_done(struct ph__arena *a);

#endif
