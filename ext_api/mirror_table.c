/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See mirror_table.h. Hashing and buckets are core/table's; inserting into it never fails, so whatever may fail here is
 * the allocation of an entry, and that comes first.
 */
#include "ext_api/mirror_table.h"

#include "core/content_hash.h"
#include "core/limits.h"
#include "core/table.h"
#include "ext_api/mirror_memory.h"

#include <stdlib.h>

/* An entry is kept when the new data fit and fill at least a quarter of it; below this it is not worth the question. */
#define MIRROR_SHRINK_BYTES_MIN 256U
/* To hash a section takes as long as so much more data would. */
#define MIRROR_HASH_COST_BYTES 256U

typedef enum mirror_hashing { MIRROR_UNKNOWN, MIRROR_HASHED, MIRROR_TO_HASH } mirror_hashing_t;

typedef struct mirror_slot {
  table_link_t link;
  int64_t expiry_ns, time_ns;
  uint64_t data_size, data_capacity;
  union {
    content_hash_t hash; /* HASHED: of what is here, and it is in the sum */
    size_t to_hash_at;   /* TO_HASH: its place in `to_hash` */
  };
  uint32_t id_size;
  uint8_t hashing; /* mirror_hashing_t; means something while the table is `hashed` */
  bool gone;       /* a tombstone; in `staged` only */
  uint8_t bytes[]; /* id, then data */
} mirror_slot_t;

struct mirror_table {
  mirror_memory_t memory; /* of the slots in both */
  table_t sections;
  table_t staged;
  bool staging, full;

  bool hashed; /* of every section it is known whether its hash is in the sum, or it is to be hashed */
  content_hash_t sum;
  mirror_slot_t **to_hash;
  size_t to_hash_count, to_hash_capacity;
  size_t scrub_bucket; /* hashed anew next */
};

static uint8_t *slot_data(mirror_slot_t *slot) { return slot->bytes + slot->id_size; }

static mirror_slot_t *slot_of(const table_link_t *link) {
  return link == NULL ? NULL : TABLE_ENTRY(link, mirror_slot_t, link);
}

static mirror_slot_t *slot_find(const table_t *table, uint64_t hash, vesta_bytes_t id) {
  table_link_t *link = table_find(table, hash);
  while (link != NULL && !vesta_bytes_equal(vesta_bytes(slot_of(link)->bytes, slot_of(link)->id_size), id)) {
    link = table_find_next(link);
  }
  return slot_of(link);
}

static mirror_slot_t *slot_new(mirror_memory_t *memory, vesta_bytes_t id, uint64_t data_capacity) {
  mirror_slot_t *slot = mirror_memory_take(memory, sizeof *slot + id.size + data_capacity);
  if (slot != NULL) {
    *slot = (mirror_slot_t){.id_size = (uint32_t)id.size, .data_capacity = data_capacity};
    if (id.size > 0) {
      memcpy(slot->bytes, id.data, id.size);
    }
  }
  return slot;
}

static void slot_free(mirror_memory_t *memory, mirror_slot_t *slot) {
  mirror_memory_give(memory, slot, sizeof *slot + slot->id_size + slot->data_capacity);
}

static void slot_remove(mirror_memory_t *memory, table_t *table, mirror_slot_t *slot) {
  if (slot != NULL) {
    table_remove(table, &slot->link);
    slot_free(memory, slot);
  }
}

static void slots_free(mirror_memory_t *memory, table_t *table) {
  size_t bucket = 0;
  table_link_t *link = table->buckets == NULL ? NULL : table_each(table, &bucket, NULL);
  while (link != NULL) {
    table_link_t *next = table_each(table, &bucket, link);
    slot_free(memory, slot_of(link));
    link = next;
  }
  table_fini(table);
}

/* ---- the hash ---- */

static void hash_forget(mirror_table_t *table) {
  free(table->to_hash);
  table->to_hash = NULL;
  table->to_hash_count = 0;
  table->to_hash_capacity = 0;
  table->sum = (content_hash_t){0};
  table->hashed = false;
}

/* A section goes away or is about to change: it is no part of the sum any more. NULL is allowed. */
static void hash_remove(mirror_table_t *table, mirror_slot_t *slot) {
  if (!table->hashed || slot == NULL) {
    return;
  }
  if (slot->hashing == MIRROR_HASHED) {
    table->sum = content_hash_subtract(table->sum, slot->hash);
  } else if (slot->hashing == MIRROR_TO_HASH) {
    mirror_slot_t *last = table->to_hash[--table->to_hash_count];
    table->to_hash[slot->to_hash_at] = last;
    last->to_hash_at = slot->to_hash_at;
  }
  slot->hashing = MIRROR_UNKNOWN;
}

/* A section is there, or has changed, and was removed before: it is to be hashed. Without memory for that all is. */
static void hash_add(mirror_table_t *table, mirror_slot_t *slot) {
  if (!table->hashed || slot == NULL) {
    return;
  }
  if (table->to_hash_count == table->to_hash_capacity) {
    size_t capacity = table->to_hash_capacity + table->to_hash_capacity / 2 + 64;
    mirror_slot_t **larger = realloc(table->to_hash, capacity * sizeof *larger);
    if (larger == NULL) {
      hash_forget(table);
      return;
    }
    table->to_hash = larger;
    table->to_hash_capacity = capacity;
  }
  slot->hashing = MIRROR_TO_HASH;
  slot->to_hash_at = table->to_hash_count;
  table->to_hash[table->to_hash_count++] = slot;
}

/* From nothing: every section is to be hashed. */
static vesta_err_t hash_begin(mirror_table_t *table) {
  size_t count = table->sections.count;
  table->to_hash = malloc((count + 1) * sizeof *table->to_hash);
  if (table->to_hash == NULL) {
    return VESTA_ERR_NO_MEMORY;
  }
  table->to_hash_capacity = count + 1;
  table->hashed = true;
  size_t bucket = 0;
  for (table_link_t *link = table_each(&table->sections, &bucket, NULL); link != NULL;
       link = table_each(&table->sections, &bucket, link)) {
    hash_add(table, slot_of(link));
  }
  return VESTA_OK;
}

vesta_err_t mirror_table_hash(mirror_table_t *table, uint64_t budget_bytes, content_hash_t *hash) {
  vesta_err_t err = table->hashed ? VESTA_OK : hash_begin(table);
  if (err != VESTA_OK) {
    return err;
  }
  for (uint64_t bytes = 0; table->to_hash_count > 0; bytes += MIRROR_HASH_COST_BYTES) {
    if (bytes >= budget_bytes) {
      return VESTA_ERR_TRY_AGAIN;
    }
    mirror_slot_t *slot = table->to_hash[--table->to_hash_count];
    vesta_bytes_t id = vesta_bytes(slot->bytes, slot->id_size);
    slot->hash = content_hash_section(id, vesta_bytes(slot_data(slot), slot->data_size), slot->expiry_ns);
    slot->hashing = MIRROR_HASHED;
    table->sum = content_hash_add(table->sum, slot->hash);
    bytes += slot->data_size;
  }
  *hash = table->sum;
  return VESTA_OK;
}

void mirror_table_scrub(mirror_table_t *table, uint32_t parts) {
  size_t share = table->sections.count / parts + 1;
  size_t seen = 0;
  size_t bucket = table->scrub_bucket < table->sections.bucket_count ? table->scrub_bucket : 0;
  table_link_t *link = table_each(&table->sections, &bucket, NULL);
  for (size_t last = bucket; link != NULL && table->hashed; link = table_each(&table->sections, &bucket, link)) {
    if (bucket != last && seen >= share) {
      break; /* whole buckets only: the next part begins with this one */
    }
    last = bucket;
    seen++;
    hash_remove(table, slot_of(link));
    hash_add(table, slot_of(link));
  }
  table->scrub_bucket = link == NULL ? 0 : bucket;
}

/* ---- one change ---- */

/* Where a change of one id goes, and what it finds there. */
typedef struct mirror_place {
  mirror_memory_t *memory;
  table_t *table;       /* that is changed */
  mirror_slot_t *there; /* in that table, a tombstone too */
  mirror_slot_t *base;  /* the section as it is, in either table; NULL: it is not */
  vesta_bytes_t id;
  uint64_t hash;
} mirror_place_t;

static mirror_place_t mirror_place(mirror_table_t *table, vesta_bytes_t id) {
  mirror_place_t place = {
      .memory = &table->memory, .table = table->staging ? &table->staged : &table->sections, .id = id};
  place.hash = table_hash_bytes(id);
  place.there = slot_find(place.table, place.hash, id);
  place.base = place.there;
  if (place.there != NULL && place.there->gone) {
    place.base = NULL;
  } else if (place.there == NULL && table->staging && !table->full) {
    place.base = slot_find(&table->sections, place.hash, id);
  }
  return place;
}

/* The section's slot in the table that is changed, with room for `size` bytes; its first `keep` bytes are the
 * section's. NULL: out of memory. */
static mirror_slot_t *mirror_slot_for(const mirror_place_t *place, uint64_t size, uint64_t capacity, uint64_t keep) {
  mirror_slot_t *there = place->there;
  if (there != NULL && !there->gone && size <= there->data_capacity &&
      (there->data_capacity < MIRROR_SHRINK_BYTES_MIN || size >= there->data_capacity / 4)) {
    return there;
  }
  mirror_slot_t *slot = slot_new(place->memory, place->id, capacity);
  if (slot == NULL) {
    return NULL;
  }
  if (place->base != NULL) {
    slot->expiry_ns = place->base->expiry_ns;
    slot->time_ns = place->base->time_ns;
    slot->data_size = place->base->data_size;
    if (keep > 0) {
      memcpy(slot_data(slot), slot_data(place->base), keep);
    }
  }
  slot_remove(place->memory, place->table, there);
  table_insert(place->table, &slot->link, place->hash);
  return slot;
}

static vesta_err_t mirror_put(const mirror_place_t *place, const notify_change_t *change) {
  bool created = change->kind == VESTA_KIND_CREATED || change->kind == NOTIFY_COALESCED;
  mirror_slot_t *slot = mirror_slot_for(place, change->data.size, change->data.size, 0);
  if (slot == NULL) {
    return VESTA_ERR_NO_MEMORY;
  }
  if (change->data.size > 0) {
    memcpy(slot_data(slot), change->data.data, change->data.size);
  }
  slot->data_size = change->data.size;
  slot->time_ns = change->time_ns;
  if (created) {
    slot->expiry_ns = change->expiry_ns;
  } else if (place->base == NULL) {
    slot->expiry_ns = VESTA_TIME_END; /* the default section, which nobody creates */
  }
  return VESTA_OK;
}

static vesta_err_t mirror_write(const mirror_place_t *place, const notify_change_t *change) {
  uint64_t before = place->base == NULL ? 0 : place->base->data_size;
  if ((place->base == NULL && place->id.size > 0) || change->offset > VESTA_SECTION_BYTES_MAX ||
      change->data.size > VESTA_SECTION_BYTES_MAX - change->offset) {
    return VESTA_ERR_MALFORMED;
  }
  uint64_t end = change->data.size == 0 ? before : change->offset + change->data.size; /* nothing does not grow it */
  uint64_t size = end > before ? end : before;
  mirror_slot_t *slot = mirror_slot_for(place, size, end > before ? size + size / 2 : size, before);
  if (slot == NULL) {
    return VESTA_ERR_NO_MEMORY;
  }
  if (end > before && change->offset > before) {
    memset(slot_data(slot) + before, 0, change->offset - before);
  }
  if (change->data.size > 0) {
    memcpy(slot_data(slot) + change->offset, change->data.data, change->data.size);
  }
  slot->data_size = size;
  slot->time_ns = change->time_ns;
  if (place->base == NULL) {
    slot->expiry_ns = VESTA_TIME_END;
  }
  return VESTA_OK;
}

static vesta_err_t mirror_expire_at(const mirror_place_t *place, const notify_change_t *change) {
  if (place->base == NULL) {
    return VESTA_ERR_MALFORMED;
  }
  uint64_t size = place->base->data_size;
  mirror_slot_t *slot = mirror_slot_for(place, size, size, size);
  if (slot == NULL) {
    return VESTA_ERR_NO_MEMORY;
  }
  slot->expiry_ns = change->expiry_ns;
  return VESTA_OK;
}

static vesta_err_t mirror_delete(const mirror_table_t *table, const mirror_place_t *place) {
  mirror_slot_t *tombstone = NULL;
  if (table->staging && !table->full) {
    tombstone = slot_new(place->memory, place->id, 0);
    if (tombstone == NULL) {
      return VESTA_ERR_NO_MEMORY;
    }
    tombstone->gone = true;
  }
  slot_remove(place->memory, place->table, place->there);
  if (tombstone != NULL) {
    table_insert(place->table, &tombstone->link, place->hash);
  }
  return VESTA_OK;
}

static vesta_err_t mirror_change(const mirror_table_t *table, const mirror_place_t *place,
                                 const notify_change_t *change) {
  switch (change->kind) {
    case VESTA_KIND_WRITTEN: return mirror_write(place, change);
    case VESTA_KIND_DELETED:
    case VESTA_KIND_EXPIRED: return mirror_delete(table, place);
    case VESTA_KIND_EXPIRY_SET: return mirror_expire_at(place, change);
    default: /* CREATED, OVERWRITTEN, COALESCED; `kind` is a number, not the enum */ return mirror_put(place, change);
  }
}

vesta_err_t mirror_table_apply(mirror_table_t *table, const notify_change_t *change) {
  bool of_section = change->kind >= VESTA_KIND_CREATED && change->kind <= VESTA_KIND_EXPIRY_SET;
  if (!of_section && change->kind != NOTIFY_COALESCED) {
    return VESTA_OK;
  }
  mirror_place_t place = mirror_place(table, change->id);
  if (table->staging || !table->hashed) {
    return mirror_change(table, &place, change);
  }
  hash_remove(table, place.there);
  vesta_err_t err = mirror_change(table, &place, change);
  hash_add(table, slot_find(place.table, place.hash, place.id));
  return err;
}

/* ---- resync ---- */

vesta_err_t mirror_table_resync_begin(mirror_table_t *table, bool full) {
  table_t staged;
  if (!table_init(&staged)) {
    return VESTA_ERR_NO_MEMORY;
  }
  slots_free(&table->memory, &table->staged);
  table->staged = staged;
  table->staging = true;
  table->full = full;
  return VESTA_OK;
}

static void mirror_merge(mirror_table_t *table) {
  size_t bucket = 0;
  table_link_t *link = table_each(&table->staged, &bucket, NULL);
  while (link != NULL) {
    table_link_t *next = table_each(&table->staged, &bucket, link);
    mirror_slot_t *slot = slot_of(link);
    mirror_slot_t *before = slot_find(&table->sections, link->hash, vesta_bytes(slot->bytes, slot->id_size));
    hash_remove(table, before);
    slot_remove(&table->memory, &table->sections, before);
    if (slot->gone) {
      slot_free(&table->memory, slot);
    } else {
      table_insert(&table->sections, link, link->hash);
      hash_add(table, slot);
    }
    link = next;
  }
  table_fini(&table->staged);
}

void mirror_table_resync_end(mirror_table_t *table) {
  if (table->staging && table->full) {
    hash_forget(table);
    slots_free(&table->memory, &table->sections);
    table->sections = table->staged;
    table->staged = (table_t){0};
  } else if (table->staging) {
    mirror_merge(table);
  }
  table->staging = false;
}

void mirror_table_resync_abort(mirror_table_t *table) {
  slots_free(&table->memory, &table->staged);
  table->staging = false;
}

/* ---- reading ---- */

static mirror_entry_t mirror_entry(mirror_slot_t *slot) {
  return (mirror_entry_t){.id = vesta_bytes(slot->bytes, slot->id_size),
                          .data = vesta_bytes(slot_data(slot), slot->data_size),
                          .expiry_ns = slot->expiry_ns,
                          .time_ns = slot->time_ns};
}

bool mirror_table_get(const mirror_table_t *table, vesta_bytes_t id, mirror_entry_t *entry) {
  mirror_slot_t *slot = slot_find(&table->sections, table_hash_bytes(id), id);
  if (slot != NULL) {
    *entry = mirror_entry(slot);
  }
  return slot != NULL;
}

void mirror_table_each(const mirror_table_t *table, bool (*visit)(void *context, const mirror_entry_t *entry),
                       void *context) {
  size_t bucket = 0;
  bool go_on = true;
  for (table_link_t *link = table_each(&table->sections, &bucket, NULL); link != NULL && go_on;
       link = table_each(&table->sections, &bucket, link)) {
    mirror_entry_t entry = mirror_entry(slot_of(link));
    go_on = visit(context, &entry);
  }
}

size_t mirror_table_count(const mirror_table_t *table) { return table->sections.count; }

/* ---- life ---- */

mirror_table_t *mirror_table_new(void) {
  mirror_table_t *table = calloc(1, sizeof *table);
  if (table != NULL && !table_init(&table->sections)) {
    free(table);
    table = NULL;
  }
  return table;
}

void mirror_table_destroy(mirror_table_t **table) {
  if (*table != NULL) {
    hash_forget(*table);
    slots_free(&(*table)->memory, &(*table)->sections);
    slots_free(&(*table)->memory, &(*table)->staged);
    mirror_memory_fini(&(*table)->memory);
    free(*table);
    *table = NULL;
  }
}
