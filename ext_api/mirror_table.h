/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The table of sections that a mirror builds from changes. Owns a copy of every id and every byte of data.
 *
 * It is in one of two states:
 *
 *   FOLLOWING   a change is applied to the sections at once
 *   STAGING     between begin() and end() of a resync: changes go to a table aside, where a deleted section is a
 *               tombstone; readers keep seeing what was before. end() takes it over in one go: a full resync
 *               replaces the sections, another one merges its entries (by moving them, nothing is copied or
 *               allocated, so it can't fail half-way). begin() again, or abort(), throws away what was staged.
 *
 * So a reader never sees half a resync, at the price of holding both: twice the data for a full resync that is not
 * the first one, only what changed otherwise.
 *
 * An entry is one allocation: header, id, data. It is replaced when its data outgrows it, and when they have become
 * much smaller than it.
 */
#ifndef VESTA_EXT_API_MIRROR_TABLE_H
#define VESTA_EXT_API_MIRROR_TABLE_H

#include "core/content_hash.h"
#include "core/error.h"
#include "notify/change.h"

typedef struct mirror_table mirror_table_t;

typedef struct mirror_entry {
  vesta_bytes_t id;
  vesta_bytes_t data;
  int64_t expiry_ns;
  int64_t time_ns;
} mirror_entry_t;

/** @return NULL when out of memory */
mirror_table_t *mirror_table_new(void);
void mirror_table_destroy(mirror_table_t **table);

/**
 * Apply one change of a section; kinds that are not about a section are ignored. CREATED, COALESCED and OVERWRITTEN
 * put the section there whatever was before, DELETED and EXPIRED take it away if it is there.
 * @return OK; NO_MEMORY; MALFORMED when the change can't follow what is there (WRITTEN into a section that is not,
 *         beyond the largest size): the stream broke its promise. On an error nothing is changed
 */
vesta_err_t mirror_table_apply(mirror_table_t *table, const notify_change_t *change);

/** @return OK; NO_MEMORY */
vesta_err_t mirror_table_resync_begin(mirror_table_t *table, bool full);
void mirror_table_resync_end(mirror_table_t *table);
void mirror_table_resync_abort(mirror_table_t *table);

/** What was before a resync while one is under way. False: no such section. Pointers live until the next change. */
bool mirror_table_get(const mirror_table_t *table, vesta_bytes_t id, mirror_entry_t *entry);
/** Every entry once, until `visit` returns false. */
void mirror_table_each(const mirror_table_t *table, bool (*visit)(void *context, const mirror_entry_t *entry),
                       void *context);
size_t mirror_table_count(const mirror_table_t *table);

/**
 * The hash (core/content_hash.h) of the sections, as mirror_table_get() finds them. From the first call on the hashes
 * of the sections are remembered, so the next one costs what changed. After a full resync it begins anew.
 * @return OK and *hash; TRY_AGAIN: about budget_bytes were hashed, and there is more; NO_MEMORY: call again
 */
vesta_err_t mirror_table_hash(mirror_table_t *table, uint64_t budget_bytes, content_hash_t *hash);
/** Have one of `parts` of the sections hashed anew although they did not change, a further one each time: memory that
 *  was damaged is found so. */
void mirror_table_scrub(mirror_table_t *table, uint32_t parts);

#endif
