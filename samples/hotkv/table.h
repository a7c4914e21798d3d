/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Keys, their values and when they expire, in this process's memory: a hash table with a fixed number of chains, so
 * that no call ever has to move all entries.
 *
 * It knows nothing of time: an entry whose time has come stays until it is removed. Out of memory ends the process,
 * which is what a hot standby is for.
 */
#ifndef HOTKV_TABLE_H
#define HOTKV_TABLE_H

#include <saAis.h>

#include "resp.h"

typedef struct entry {
  struct entry *next;
  SaTimeT expiry; /* nanoseconds since 1970; SA_TIME_END: never */
  slice_t key, value;
} entry_t;

typedef struct table table_t;

/** @param keys  how many to expect: there may be more, but then they are found more slowly */
table_t *table_new(size_t keys);
void table_clear(table_t *table);
size_t table_count(const table_t *table);

/** NULL: there is none. An entry lives until the next call that changes its key. */
const entry_t *table_find(const table_t *table, slice_t key);
/** Add a key, or give it another value and expiry. Both slices are copied. */
void table_put(table_t *table, slice_t key, slice_t value, SaTimeT expiry);
/** Give a key another expiry, if it is there. */
void table_set_expiry(table_t *table, slice_t key, SaTimeT expiry);
/** Remove a key, if it is there. */
void table_remove(table_t *table, slice_t key);
/** Remove what expires at `now` or before, in the part of the table that is next: all parts have their turn. */
void table_sweep(table_t *table, SaTimeT now);

#endif
