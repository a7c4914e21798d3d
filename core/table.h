/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A hash table of links that live inside the things it finds.
 *
 * Inserting never fails and never allocates for the thing itself: the state machines of core must not differ because
 * one of them ran out of memory. The bucket array doubles when it can; when it can't, chains get longer and nothing
 * else happens.
 */
#ifndef VESTA_CORE_TABLE_H
#define VESTA_CORE_TABLE_H

#include "core/types.h"

typedef struct table_link {
  struct table_link *next;
  uint64_t hash;
} table_link_t;

typedef struct table {
  table_link_t **buckets;
  size_t bucket_count; /* a power of two */
  size_t count;
} table_t;

/** The thing around a link. */
#define TABLE_ENTRY(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

/** @return false when out of memory */
bool table_init(table_t *table);
void table_fini(table_t *table); /* the things themselves are their owner's */

void table_insert(table_t *table, table_link_t *link, uint64_t hash);
void table_remove(table_t *table, table_link_t *link);

/** The first link of that hash, then the next of the same: compare keys yourself. NULL: no more. */
table_link_t *table_find(const table_t *table, uint64_t hash);
table_link_t *table_find_next(const table_link_t *link);

/** All links, in no order: start with *bucket = 0, link NULL. The link returned may be removed before the next call only
 *  when its successor was fetched first. */
table_link_t *table_each(const table_t *table, size_t *bucket, const table_link_t *link);

uint64_t table_hash_bytes(vesta_bytes_t bytes);
uint64_t table_hash_number(uint64_t number);

#endif
