/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See content_sum.h.
 *
 *   what is remembered of a slot:   entry (hash of the whole section) ----> blocks (hash of each), if more than one
 *
 * Entries are made in pages of 4,096, so that growing never moves them. The sum changes with an entry's hash and in no
 * other way (entry_set()), so it is the sum of what is remembered at any time.
 *
 * An entry's seq says: all changes of the section up to this one are in its hash. Of a section that is hashed over
 * several turns it is that of the beginning; what is written meanwhile is behind `followed`, so it is hashed again.
 */
#include "core/content_sum.h"

#include <stdlib.h>

#define ENTRIES_PER_PAGE 4096U
#define PAGES_MAX ((VESTA_SECTIONS_MAX + ENTRIES_PER_PAGE - 1) / ENTRIES_PER_PAGE)
#define LOOK_COST_BYTES 256U /* a look at one slot or change takes as long as hashing so much */
#define SCAN_BLOCKS 16U      /* of a large section, at a time */

typedef struct content_hashes {
  uint64_t capacity;
  content_hash_t sum;
  content_hash_t of[]; /* those behind the section's end are zero */
} content_hashes_t;

typedef struct content_entry {
  content_hash_t hash;
  uint64_t seq; /* 0: to be hashed anew */
  uint64_t size;
  content_hashes_t *blocks; /* NULL: one block at most, or none hashed yet */
} content_entry_t;

struct content_sum {
  content_entry_t *pages[PAGES_MAX];
  uint64_t bytes, bytes_max;
  uint64_t hashed_bytes;
  int64_t budget;

  content_hash_t hash;
  uint64_t section_count;
  const replica_t *replica; /* what is remembered is of this one: another one's slots are others */
  vesta_pos_t followed;     /* lineage 0: nothing is remembered */
  uint64_t lost;            /* times that the log did not reach back to that */

  uint32_t slot, slot_end; /* to be scanned */
  uint32_t scrub_slot;
  /* a large section in the middle of its scan: */
  bool halfway;
  uint64_t next_block, begun_seq, created_seq;
};

/* ---- memory ---- */

static void *memory_take(content_sum_t *sum, uint64_t bytes, vesta_err_t *err) {
  if (bytes > sum->bytes_max || sum->bytes > sum->bytes_max - bytes) {
    *err = VESTA_ERR_NO_RESOURCES;
    return NULL;
  }
  void *memory = calloc(1, bytes);
  if (memory == NULL) {
    *err = VESTA_ERR_NO_MEMORY;
    return NULL;
  }
  sum->bytes += bytes;
  return memory;
}

static uint64_t hashes_bytes(uint64_t capacity) { return sizeof(content_hashes_t) + capacity * sizeof(content_hash_t); }

static void blocks_free(content_sum_t *sum, content_entry_t *entry) {
  if (entry->blocks != NULL) {
    sum->bytes -= hashes_bytes(entry->blocks->capacity);
    free(entry->blocks);
    entry->blocks = NULL;
  }
}

/* Room for so many blocks' hashes; what there is stays. */
static vesta_err_t blocks_reserve(content_sum_t *sum, content_entry_t *entry, uint64_t count) {
  uint64_t had = entry->blocks == NULL ? 0 : entry->blocks->capacity;
  if (count <= had) {
    return VESTA_OK;
  }
  uint64_t capacity = had == 0 ? count : count + count / 2;
  vesta_err_t err = VESTA_OK;
  content_hashes_t *blocks = memory_take(sum, hashes_bytes(capacity), &err);
  if (blocks == NULL) {
    return err;
  }
  if (had != 0) {
    memcpy(blocks, entry->blocks, hashes_bytes(had));
    blocks_free(sum, entry);
  }
  blocks->capacity = capacity;
  entry->blocks = blocks;
  return VESTA_OK;
}

/* What is remembered of a slot; NULL: nothing, and no page for it. */
static content_entry_t *entry_find(const content_sum_t *sum, uint32_t slot) {
  content_entry_t *page = sum->pages[slot / ENTRIES_PER_PAGE];
  return page == NULL ? NULL : &page[slot % ENTRIES_PER_PAGE];
}

static content_entry_t *entry_make(content_sum_t *sum, uint32_t slot, vesta_err_t *err) {
  content_entry_t **page = &sum->pages[slot / ENTRIES_PER_PAGE];
  if (*page == NULL) {
    *page = memory_take(sum, ENTRIES_PER_PAGE * sizeof(content_entry_t), err);
  }
  return *page == NULL ? NULL : &(*page)[slot % ENTRIES_PER_PAGE];
}

static void forget(content_sum_t *sum) {
  for (size_t i = 0; i < PAGES_MAX; i++) {
    for (size_t j = 0; sum->pages[i] != NULL && j < ENTRIES_PER_PAGE; j++) {
      blocks_free(sum, &sum->pages[i][j]);
    }
    free(sum->pages[i]);
  }
  *sum = (content_sum_t){.hashed_bytes = sum->hashed_bytes, .lost = sum->lost};
}

content_sum_t *content_sum_new(void) { return calloc(1, sizeof(content_sum_t)); }

void content_sum_destroy(content_sum_t **sum) {
  if (*sum != NULL) {
    forget(*sum);
    free(*sum);
    *sum = NULL;
  }
}

/* ---- entries ---- */

/* A section has an entry whose hash is not zero; that of any section is not, but for one in 2^128. */
static bool entry_used(const content_entry_t *entry) { return entry->hash.hi != 0 || entry->hash.lo != 0; }

static void entry_set(content_sum_t *sum, content_entry_t *entry, content_hash_t hash) {
  sum->section_count -= entry_used(entry) ? 1 : 0;
  sum->hash = content_hash_add(content_hash_subtract(sum->hash, entry->hash), hash);
  entry->hash = hash;
  sum->section_count += entry_used(entry) ? 1 : 0;
}

static void entry_clear(content_sum_t *sum, content_entry_t *entry) {
  entry_set(sum, entry, (content_hash_t){0});
  blocks_free(sum, entry);
  *entry = (content_entry_t){0};
}

static void block_set(content_entry_t *entry, uint64_t block, content_hash_t hash) {
  content_hashes_t *blocks = entry->blocks;
  blocks->sum = content_hash_add(content_hash_subtract(blocks->sum, blocks->of[block]), hash);
  blocks->of[block] = hash;
}

static content_hash_t block_hash(content_sum_t *sum, uint64_t key, const replica_section_t *section, uint64_t block) {
  uint64_t left = section->size - block * VESTA_CONTENT_BLOCK_BYTES;
  uint64_t size = left < VESTA_CONTENT_BLOCK_BYTES ? left : VESTA_CONTENT_BLOCK_BYTES;
  sum->hashed_bytes += size;
  sum->budget -= (int64_t)size;
  return content_hash_block(key, vesta_bytes(section->data, section->size), block);
}

/* Make an entry that of a section as it is now, as far as bytes `from` to `to`, its size and its expiry are concerned.
 * */
static vesta_err_t entry_update(content_sum_t *sum, content_entry_t *entry, const replica_section_t *section,
                                uint64_t from, uint64_t to) {
  uint64_t key = content_key(section->id);
  uint64_t count = content_blocks(section->size);
  content_hash_t hash = content_hash_about(key, section->size, section->expiry_ns);
  if (count <= 1) {
    blocks_free(sum, entry);
    hash = count == 0 ? hash : content_hash_add(hash, block_hash(sum, key, section, 0));
  } else {
    if (entry->blocks == NULL) {
      from = 0;
      to = section->size;
      entry->size = section->size;
    }
    vesta_err_t err = blocks_reserve(sum, entry, count);
    if (err != VESTA_OK) {
      return err;
    }
    if (entry->size != section->size) { /* whatever lies between the two sizes is other than it was */
      uint64_t low = entry->size < section->size ? entry->size : section->size;
      from = low < from ? low : from;
      to = section->size > to ? section->size : to;
    }
    for (uint64_t block = count; block < content_blocks(entry->size); block++) {
      block_set(entry, block, (content_hash_t){0});
    }
    uint64_t end = content_blocks(to) < count ? content_blocks(to) : count;
    for (uint64_t block = from / VESTA_CONTENT_BLOCK_BYTES; block < end; block++) {
      block_set(entry, block, block_hash(sum, key, section, block));
    }
    hash = content_hash_add(hash, entry->blocks->sum);
  }
  entry_set(sum, entry, hash);
  entry->size = section->size;
  return VESTA_OK;
}

/* ---- scanning ---- */

static void scan_begin(content_sum_t *sum, const replica_t *replica, const replica_status_t *status) {
  sum->followed = status->committed;
  sum->slot = 0;
  sum->slot_end = replica_slot_end(replica);
  sum->halfway = false;
}

/* A section of many blocks, a few at a time. @return OK: all of it; TRY_AGAIN: the budget is used up */
static vesta_err_t scan_large(content_sum_t *sum, content_entry_t *entry, const replica_section_t *section) {
  vesta_err_t err = VESTA_OK;
  if (!sum->halfway || sum->created_seq != section->created_seq) {
    entry_clear(sum, entry);
    err = blocks_reserve(sum, entry, content_blocks(section->size));
    if (err != VESTA_OK) {
      return err;
    }
    entry->size = section->size;
    sum->halfway = true;
    sum->next_block = 0;
    sum->begun_seq = section->seq;
    sum->created_seq = section->created_seq;
  }
  uint64_t count = content_blocks(section->size);
  while (err == VESTA_OK && sum->next_block < count) {
    if (sum->budget <= 0) {
      return VESTA_ERR_TRY_AGAIN;
    }
    uint64_t from = sum->next_block * VESTA_CONTENT_BLOCK_BYTES;
    sum->next_block += SCAN_BLOCKS;
    err = entry_update(sum, entry, section, from, sum->next_block * VESTA_CONTENT_BLOCK_BYTES);
  }
  if (err == VESTA_OK) {
    entry->seq = sum->begun_seq;
    sum->halfway = false;
  }
  return err;
}

static vesta_err_t scan_slot(content_sum_t *sum, const replica_t *replica, uint32_t slot) {
  sum->budget -= LOOK_COST_BYTES;
  replica_section_t section;
  content_entry_t *entry = entry_find(sum, slot);
  if (!replica_slot_next(replica, slot, slot + 1, &section)) {
    if (entry != NULL) {
      entry_clear(sum, entry);
    }
    sum->halfway = false;
    return VESTA_OK;
  }
  if (entry != NULL && !sum->halfway && entry_used(entry) && entry->seq == section.seq) {
    return VESTA_OK;
  }
  vesta_err_t err = VESTA_OK;
  entry = entry_make(sum, slot, &err);
  if (entry == NULL) {
    return err;
  }
  if (content_blocks(section.size) > SCAN_BLOCKS) {
    return scan_large(sum, entry, &section);
  }
  sum->halfway = false;
  err = entry_update(sum, entry, &section, 0, section.size);
  entry->seq = section.seq;
  return err;
}

/* @return OK: there is nothing left to scan; TRY_AGAIN: the budget is used up */
static vesta_err_t scan(content_sum_t *sum, const replica_t *replica) {
  for (; sum->slot < sum->slot_end; sum->slot++) {
    if (sum->budget <= 0) {
      return VESTA_ERR_TRY_AGAIN;
    }
    vesta_err_t err = scan_slot(sum, replica, sum->slot);
    if (err != VESTA_OK) {
      return err;
    }
    VESTA_ASSERT(!sum->halfway);
  }
  return VESTA_OK;
}

/* ---- following ---- */

static vesta_err_t follow_change(content_sum_t *sum, const replica_t *replica, const replica_change_t *change,
                                 uint64_t seq) {
  sum->budget -= LOOK_COST_BYTES;
  if (change->slot == REPLICA_NO_SLOT) {
    return VESTA_OK;
  }
  replica_section_t section;
  vesta_err_t err = VESTA_OK;
  content_entry_t *entry = entry_make(sum, change->slot, &err);
  if (entry == NULL) {
    return err;
  }
  if (!replica_slot_next(replica, change->slot, change->slot + 1, &section)) {
    entry_clear(sum, entry);
    return VESTA_OK;
  }
  if (entry->seq > seq) {
    return VESTA_OK; /* hashed after that */
  }
  const replica_element_t *element = &change->element;
  bool in_part = entry_used(entry) && (element->kind == VESTA_KIND_WRITTEN || element->kind == VESTA_KIND_EXPIRY_SET);
  if (in_part) {
    err = entry_update(sum, entry, &section, element->offset, element->offset + element->data.size);
    entry->seq = seq;
  } else {
    err = entry_update(sum, entry, &section, 0, section.size);
    entry->seq = section.seq;
  }
  return err;
}

/* @return OK: level with the replica; TRY_AGAIN: the budget is used up; LOST: the log does not reach that far back */
static vesta_err_t follow(content_sum_t *sum, const replica_t *replica, uint64_t committed_seq) {
  while (sum->followed.seq < committed_seq) {
    if (sum->budget <= 0) {
      return VESTA_ERR_TRY_AGAIN;
    }
    replica_record_t record;
    vesta_err_t err = replica_record(replica, sum->followed.seq + 1, &record);
    if (err != VESTA_OK) {
      return err;
    }
    replica_change_t change;
    while (err == VESTA_OK && replica_record_next(&record, &change)) {
      err = follow_change(sum, replica, &change, record.seq);
    }
    if (err != VESTA_OK) {
      return err;
    }
    sum->followed.epoch = record.epoch;
    sum->followed.seq = record.seq;
  }
  return VESTA_OK;
}

/* ---- the outside ---- */

static vesta_err_t step(content_sum_t *sum, const replica_t *replica, const replica_status_t *status) {
  vesta_err_t err = scan(sum, replica);
  if (err == VESTA_OK) {
    err = follow(sum, replica, status->committed.seq);
  }
  if (err == VESTA_ERR_LOST) {
    sum->lost++;
    scan_begin(sum, replica, status);
    err = scan(sum, replica); /* and there is nothing to follow, if that was all of it */
  }
  return err;
}

vesta_err_t content_sum_step(content_sum_t *sum, const replica_t *replica, uint64_t budget_bytes, uint64_t bytes_max,
                             content_t *content) {
  replica_status_t status;
  replica_status(replica, &status);
  if (status.corrupted_count > 0) {
    forget(sum); /* content that comes back has no operation that could be followed */
    return VESTA_ERR_CORRUPTED;
  }
  if (sum->replica != replica || replica_position_check(replica, sum->followed) != VESTA_OK) {
    forget(sum); /* of another history, or there is nothing yet */
    sum->replica = replica;
    scan_begin(sum, replica, &status);
  }
  sum->budget = (int64_t)budget_bytes;
  sum->bytes_max = bytes_max;
  vesta_err_t err = step(sum, replica, &status);
  if (err == VESTA_OK) {
    *content = (content_t){.position = status.committed, .hash = sum->hash, .section_count = sum->section_count};
  } else if (err != VESTA_ERR_TRY_AGAIN) {
    forget(sum);
  }
  return err;
}

bool content_sum_follows(const content_sum_t *sum) { return sum->followed.lineage != 0 && sum->slot == sum->slot_end; }

void content_sum_scrub(content_sum_t *sum, const replica_t *replica, uint32_t parts) {
  if (!content_sum_follows(sum)) {
    return;
  }
  replica_status_t status;
  replica_status(replica, &status);
  uint64_t share_bytes = (status.data_bytes + status.section_count * (uint64_t)LOOK_COST_BYTES) / parts;
  uint32_t end = replica_slot_end(replica);
  if (sum->scrub_slot >= end) {
    sum->scrub_slot = 0;
  }
  sum->slot = sum->scrub_slot;
  for (uint64_t seen_bytes = 0; sum->scrub_slot < end && seen_bytes <= share_bytes; sum->scrub_slot++) {
    content_entry_t *entry = entry_find(sum, sum->scrub_slot);
    if (entry != NULL && entry_used(entry)) {
      entry->seq = 0;
      seen_bytes += entry->size;
    }
    seen_bytes += LOOK_COST_BYTES;
  }
  sum->slot_end = sum->scrub_slot;
}

uint64_t content_sum_lost(const content_sum_t *sum) { return sum->lost; }

uint64_t content_sum_bytes(const content_sum_t *sum) { return sum->bytes; }

uint64_t content_sum_hashed_bytes(const content_sum_t *sum) { return sum->hashed_bytes; }
