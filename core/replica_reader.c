/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Reading under sequence locks.
 *
 *   section found     its lock even before, and the same after: what was read in between is one state of it
 *   none found        the index lock even before, and the same after: there was none
 *   anything else     try again, a bounded number of times, then let the daemon answer
 *
 * The daemon may write while we read. Numbers are loaded with atomics; id bytes and payload may be torn, which the lock
 * then shows. A chain that is being changed may lead anywhere, so steps along chains are bounded as well.
 */
#include "core/replica_reader.h"

#include <stdatomic.h>

#include "core/replica_layout.h"

#define ATTEMPTS_MAX 300U

/* One call: what it looks for, and what it has left to try. */
typedef struct lookup {
  const replica_reader_t *reader;
  replica_layout_t layout;
  vesta_bytes_t id;
  uint32_t hash;
  uint32_t steps_left;
} lookup_t;

/* A section as it was while its lock was `lock`. */
typedef struct view {
  const replica_descriptor_t *descriptor;
  uint32_t slot;
  uint32_t lock;
  uint32_t data_at; /* see the descriptor's */
  uint64_t size;
} view_t;

#define LOAD(place) __atomic_load_n(&(place), __ATOMIC_RELAXED)
#define LOAD_ACQUIRE(place) __atomic_load_n(&(place), __ATOMIC_ACQUIRE)

static const replica_header_t *header(const replica_reader_t *reader) {
  return (const replica_header_t *)(const void *)reader->index;
}

static const replica_descriptor_t *descriptor(const lookup_t *lookup, uint32_t slot) {
  const uint8_t *at = lookup->reader->index + lookup->layout.descriptors_at;
  return (const replica_descriptor_t *)(const void *)at + slot;
}

static bool has_id(const lookup_t *lookup, uint32_t slot) {
  const replica_descriptor_t *d = descriptor(lookup, slot);
  const uint8_t *id = lookup->reader->index + lookup->layout.ids_at + (uint64_t)slot * lookup->layout.id_stride;
  return LOAD(d->hash) == lookup->hash && LOAD(d->id_mark) == lookup->id.size + 1 &&
         (lookup->id.size == 0 || memcmp(id, lookup->id.data, lookup->id.size) == 0);
}

static vesta_err_t slot_find(lookup_t *lookup, uint32_t *slot) {
  const uint32_t *buckets = (const uint32_t *)(const void *)(lookup->reader->index + lookup->layout.buckets_at);
  uint32_t next = LOAD_ACQUIRE(buckets[lookup->hash & (lookup->layout.bucket_count - 1)]);
  while (next != 0) {
    if (next > lookup->layout.sections_max || lookup->steps_left == 0) {
      return VESTA_ERR_TRY_AGAIN;
    }
    lookup->steps_left--;
    if (has_id(lookup, next - 1)) {
      *slot = next - 1;
      return VESTA_OK;
    }
    next = LOAD_ACQUIRE(descriptor(lookup, next - 1)->next);
  }
  return VESTA_ERR_NOT_EXIST;
}

static bool is_unchanged(const view_t *view) {
  atomic_thread_fence(memory_order_acquire);
  return LOAD(view->descriptor->lock) == view->lock;
}

int64_t replica_reader_until(const replica_reader_t *reader) {
  atomic_thread_fence(memory_order_acquire);
  return LOAD(header(reader)->readable_until_ns);
}

uint64_t replica_reader_applied(const replica_reader_t *reader) { return LOAD_ACQUIRE(header(reader)->applied_seq); }

/* Look at the section once. On OK the view still has to be confirmed with is_unchanged(), NOT_EXIST is certain. */
static vesta_err_t look(lookup_t *lookup, int64_t now_ns, view_t *view) {
  const uint32_t *index_lock = &header(lookup->reader)->index_lock;
  uint32_t index_before = LOAD_ACQUIRE(*index_lock);
  vesta_err_t err = slot_find(lookup, &view->slot);
  if (err == VESTA_ERR_NOT_EXIST) {
    atomic_thread_fence(memory_order_acquire);
    bool is_certain = index_before % 2 == 0 && LOAD(*index_lock) == index_before;
    return is_certain ? VESTA_ERR_NOT_EXIST : VESTA_ERR_TRY_AGAIN;
  }
  if (err != VESTA_OK) {
    return err;
  }
  view->descriptor = descriptor(lookup, view->slot);
  view->lock = LOAD_ACQUIRE(view->descriptor->lock);
  view->size = LOAD(view->descriptor->size);
  view->data_at = LOAD(view->descriptor->data_at);
  int64_t expiry_ns = LOAD(view->descriptor->expiry_ns);
  bool corrupted = (LOAD(view->descriptor->epoch) & REPLICA_EPOCH_CORRUPTED) != 0;
  /* Found before the lock was read: is it still this section? */
  if (corrupted || view->lock % 2 == 1 || !has_id(lookup, view->slot) ||
      view->size > lookup->layout.section_bytes_max ||
      (view->data_at != 0 && view->data_at * UINT64_C(8) + view->size > lookup->layout.log_hard_bytes)) {
    return VESTA_ERR_TRY_AGAIN;
  }
  if (expiry_ns <= now_ns) {
    return is_unchanged(view) ? VESTA_ERR_NOT_EXIST : VESTA_ERR_TRY_AGAIN;
  }
  return VESTA_OK;
}

static vesta_err_t lookup_begin(const replica_reader_t *reader, vesta_bytes_t id, lookup_t *lookup) {
  *lookup = (lookup_t){.reader = reader, .id = id};
  vesta_err_t err = replica_layout_make(&reader->attributes, &lookup->layout);
  if (err != VESTA_OK || id.size > lookup->layout.id_bytes_max) {
    return VESTA_ERR_NOT_EXIST;
  }
  lookup->hash = replica_layout_hash(header(reader)->lineage, id);
  lookup->steps_left = lookup->layout.sections_max + ATTEMPTS_MAX;
  return VESTA_OK;
}

vesta_err_t replica_reader_index_size(const vesta_attributes_t *attributes, uint64_t *size) {
  replica_layout_t layout;
  vesta_err_t err = replica_layout_make(attributes, &layout);
  if (err == VESTA_OK) {
    *size = layout.index_bytes;
  }
  return err;
}

vesta_err_t replica_reader_init(replica_reader_t *reader, const void *index, uint64_t index_bytes,
                                uint64_t checkpoint_id, const vesta_attributes_t *attributes,
                                const replica_reader_io_t *io) {
  replica_layout_t layout;
  const replica_header_t *h = index;
  if (replica_layout_make(attributes, &layout) != VESTA_OK || index_bytes < layout.index_bytes ||
      LOAD_ACQUIRE(h->magic) != REPLICA_MAGIC || h->layout_version != REPLICA_LAYOUT_VERSION ||
      h->region_bytes != layout.region_bytes || h->checkpoint_id != checkpoint_id ||
      h->sections_max != layout.sections_max || h->section_bytes_max != layout.section_bytes_max ||
      h->section_id_bytes_max != layout.id_bytes_max) {
    return VESTA_ERR_MALFORMED;
  }
  *reader = (replica_reader_t){.index = index, .index_bytes = index_bytes, .attributes = *attributes, .io = *io};
  return VESTA_OK;
}

/* Copy from the section that is in view; its lock is still to be looked at again. */
static vesta_err_t payload_read(const lookup_t *lookup, const view_t *view, uint64_t offset, void *to, size_t size,
                                size_t *read_size) {
  if (offset > view->size) {
    return VESTA_ERR_INVALID_PARAM;
  }
  uint64_t left = view->size - offset;
  *read_size = size < left ? size : (size_t)left;
  if (*read_size == 0) {
    return VESTA_OK;
  }
  uint64_t at = view->data_at == 0 ? lookup->layout.slots_at + view->slot * lookup->layout.slot_stride
                                   : lookup->layout.log_at + view->data_at * UINT64_C(8);
  return lookup->reader->io.read(lookup->reader->io.context, at + offset, to, *read_size);
}

vesta_err_t replica_reader_read(const replica_reader_t *reader, vesta_bytes_t id, int64_t now_ns, uint64_t offset,
                                void *to, size_t size, size_t *read_size) {
  lookup_t lookup;
  vesta_err_t err = lookup_begin(reader, id, &lookup);
  for (uint32_t attempt = 0; err == VESTA_OK && attempt < ATTEMPTS_MAX; attempt++) {
    view_t view;
    size_t copied = 0;
    vesta_err_t looked = look(&lookup, now_ns, &view);
    if (looked == VESTA_ERR_NOT_EXIST) {
      return looked;
    }
    if (looked != VESTA_OK) {
      continue;
    }
    vesta_err_t read = payload_read(&lookup, &view, offset, to, size, &copied);
    if (!is_unchanged(&view)) {
      continue;
    }
    if (read == VESTA_OK) {
      *read_size = copied;
    }
    return read == VESTA_OK || read == VESTA_ERR_INVALID_PARAM ? read : VESTA_ERR_TRY_AGAIN;
  }
  return err != VESTA_OK ? err : VESTA_ERR_TRY_AGAIN;
}

vesta_err_t replica_reader_size(const replica_reader_t *reader, vesta_bytes_t id, int64_t now_ns, uint64_t *size) {
  lookup_t lookup;
  vesta_err_t err = lookup_begin(reader, id, &lookup);
  for (uint32_t attempt = 0; err == VESTA_OK && attempt < ATTEMPTS_MAX; attempt++) {
    view_t view;
    vesta_err_t looked = look(&lookup, now_ns, &view);
    if (looked == VESTA_ERR_NOT_EXIST) {
      return looked;
    }
    if (looked == VESTA_OK && is_unchanged(&view)) {
      *size = view.size;
      return VESTA_OK;
    }
  }
  return err != VESTA_OK ? err : VESTA_ERR_TRY_AGAIN;
}
