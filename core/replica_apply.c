/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The stores that a committed record makes.
 *
 * They are made in the order of its elements and read nothing that they change, but for the links of the chains. So
 * whatever part of them was made by a process that was killed, making all of them from the start gives what making
 * them once would have given. Four points take care for that:
 *   - a slot that is in use when a section is created in it is taken out of the chain it is in, whichever that is;
 *   - the sizes before an element, which decide what a hole has to fill, come from the record;
 *   - data that stays in the log is found by the descriptor, which says so last and stops saying so first when the size
 *     changes: the two fit at every moment;
 *   - tombstones are numbered in the record, a session's result is not stored when it is the last one there.
 * For the same reason pages of deleted sections are given back only when all is done (replica_flight.c).
 *
 * Every section touched is locked from before the first element to after the last, so a reader of one section never
 * sees half an operation.
 */
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "core/replica_private.h"

/* ---- the store helpers ---- */

void replica_copy(replica_t *replica, void *to, const void *from, size_t size) {
  if (size == 0) {
    return;
  }
  replica_before_store(replica);
  atomic_thread_fence(memory_order_release);
  if (replica->hook == NULL) {
    memcpy(to, from, size);
  } else {
    memcpy(to, from, size / 2);
    replica_before_store(replica);
    memcpy((uint8_t *)to + size / 2, (const uint8_t *)from + size / 2, size - size / 2);
  }
  atomic_signal_fence(memory_order_seq_cst);
}

#if defined(__SSE2__)
/* Whole blocks of it. @return how many bytes that was; in order before all stores that follow */
static size_t copy_past_cache(uint8_t *to, const uint8_t *from, size_t size) {
  const size_t block = 4 * sizeof(__m128i);
  size_t at = 0;
  for (; size - at >= block; at += block) {
    for (size_t i = at; i < at + block; i += sizeof(__m128i)) {
      _mm_stream_si128((__m128i *)(void *)(to + i), _mm_loadu_si128((const __m128i *)(const void *)(from + i)));
    }
  }
  _mm_sfence();
  return at;
}
#else
static size_t copy_past_cache(uint8_t *to, const uint8_t *from, size_t size) {
  (void)to, (void)from, (void)size;
  return 0;
}
#endif

void replica_copy_large(replica_t *replica, void *to, const void *from, size_t size) {
  uint8_t *at = to;
  const uint8_t *source = from;
  if (size >= REPLICA_PAST_CACHE_BYTES_MIN && replica->hook == NULL) {
    size_t before = (0 - (uintptr_t)at) % 16; /* up to where its stores begin */
    replica_copy(replica, at, source, before);
    before += copy_past_cache(at + before, source + before, size - before);
    at += before;
    source += before;
    size -= before;
  }
  replica_copy(replica, at, source, size);
}

void replica_zero(replica_t *replica, void *to, size_t size) {
  replica_before_store(replica);
  atomic_thread_fence(memory_order_release);
  memset(to, 0, size);
  atomic_signal_fence(memory_order_seq_cst);
}

void replica_lock(replica_t *replica, uint32_t *lock) {
  if (*lock % 2 == 0) {
    REPLICA_STORE(replica, *lock, *lock + 1);
  }
}

void replica_unlock(replica_t *replica, uint32_t *lock) {
  if (*lock % 2 == 1) {
    REPLICA_STORE(replica, *lock, *lock + 1);
  }
}

vesta_err_t replica_area_reserve(replica_t *replica, uint64_t area_at, uint64_t *reserved, uint64_t end) {
  if (end <= *reserved) {
    return VESTA_OK;
  }
  end = replica_round_up(end, REPLICA_PAGE_BYTES);
  vesta_err_t err = replica->storage.reserve(replica->storage.context, area_at + *reserved, end - *reserved);
  if (err == VESTA_OK) {
    REPLICA_STORE(replica, *reserved, end);
  }
  return err;
}

/* ---- elements ---- */

static void stamp(replica_t *replica, const replica_log_record_t *record, const replica_log_element_t *e,
                  replica_descriptor_t *d) {
  REPLICA_STORE(replica, d->last_update_ns, record->time_ns);
  replica_slot_epoch_set(replica, e->slot, record->epoch, (e->flags & REPLICA_ELEMENT_CORRUPTS) != 0);
  REPLICA_STORE(replica, d->seq, record->seq);
}

/* The section is this data and nothing else: where it lies if it may stay there, else in the slot. */
static void apply_whole(replica_t *replica, const replica_log_element_t *e) {
  replica_descriptor_t *d = replica_descriptor(replica, e->slot);
  bool stays = (e->flags & REPLICA_ELEMENT_STAYS) != 0;
  vesta_bytes_t data = replica_log_element_data(e);
  if (!stays) {
    replica_copy(replica, replica->region + replica_slot_at(replica, e->slot), data.data, data.size);
  }
  replica_slot_data_set(replica, e->slot, 0);
  if (d->size != e->new_size) {
    REPLICA_STORE(replica, d->size, (uint32_t)e->new_size);
  }
  if (stays) {
    replica_slot_data_set(replica, e->slot, replica_log_element_data_at(replica, e));
  }
}

static void apply_created(replica_t *replica, const replica_log_record_t *record, const replica_log_element_t *e) {
  replica_descriptor_t *d = replica_descriptor(replica, e->slot);
  if (d->id_mark != 0) {
    replica_slot_unlink(replica, e->slot); /* this record was applied before, in part or in whole */
  }
  vesta_bytes_t id = replica_log_element_id(e);
  REPLICA_STORE(replica, d->hash, e->hash);
  replica_copy(replica, replica_id_place(replica, e->slot), id.data, id.size);
  apply_whole(replica, e);
  REPLICA_STORE(replica, d->expiry_ns, e->expiry_ns);
  REPLICA_STORE(replica, d->created_seq, record->seq);
  stamp(replica, record, e, d);
  REPLICA_STORE(replica, d->id_mark, (uint16_t)(id.size + 1));
  replica_slot_link(replica, e->slot);
}

/* WRITTEN and OVERWRITTEN: the latter is a write from 0 that also sets the size. */
static void apply_written(replica_t *replica, const replica_log_record_t *record, const replica_log_element_t *e) {
  replica_descriptor_t *d = replica_descriptor(replica, e->slot);
  uint8_t *slot = replica->region + replica_slot_at(replica, e->slot);
  vesta_bytes_t data = replica_log_element_data(e);
  if (e->data_size == e->new_size) {
    apply_whole(replica, e);
    stamp(replica, record, e, d);
    return;
  }
  replica_slot_settle(replica, e->slot);
  if (data.size > 0 && e->offset > e->old_size) {
    replica_zero(replica, slot + e->old_size, e->offset - e->old_size);
  }
  replica_copy(replica, slot + e->offset, data.data, data.size);
  if (e->new_size != d->size) {
    REPLICA_STORE(replica, d->size, (uint32_t)e->new_size);
  }
  stamp(replica, record, e, d);
}

static void apply_deleted(replica_t *replica, const replica_log_record_t *record, const replica_log_element_t *e,
                          uint64_t tombstone) {
  replica_header_t *header = replica->header;
  replica_tombstone_t *t = replica_tombstone_at(replica, tombstone);
  vesta_bytes_t id = replica_log_element_id(e);
  REPLICA_STORE(replica, t->epoch, record->epoch);
  REPLICA_STORE(replica, t->seq, record->seq);
  REPLICA_STORE(replica, t->id_size, (uint32_t)id.size);
  REPLICA_STORE(replica, t->index, (uint32_t)(tombstone - record->tombstone_first));
  replica_copy(replica, t->id, id.data, id.size);
  REPLICA_STORE(replica, header->tombstone_count, tombstone + 1);

  replica_descriptor_t *d = replica_descriptor(replica, e->slot);
  if (d->id_mark != 0) {
    replica_slot_unlink(replica, e->slot);
  }
  REPLICA_STORE(replica, d->id_mark, (uint16_t)0);
  replica_slot_data_set(replica, e->slot, 0);
  replica_slot_epoch_set(replica, e->slot, record->epoch, false);
  REPLICA_STORE(replica, d->size, UINT32_C(0));
  REPLICA_STORE(replica, d->expiry_ns, VESTA_TIME_END);
}

static void apply_epoch(replica_t *replica, const replica_log_record_t *record, const replica_log_element_t *e) {
  replica_header_t *header = replica->header;
  if (e->member != VESTA_MEMBER_SAME) {
    REPLICA_STORE(replica, header->granted_member, e->member);
  }
  if (replica_epoch_last(replica)->epoch == record->epoch) {
    return;
  }
  vesta_epoch_row_t *row = &header->epochs[header->epoch_count % VESTA_EPOCHS_MAX];
  REPLICA_STORE(replica, row->epoch, record->epoch);
  REPLICA_STORE(replica, row->first_seq, record->seq);
  REPLICA_STORE(replica, header->epoch_count, header->epoch_count + 1);
}

static void apply_element(replica_t *replica, const replica_log_record_t *record, const replica_log_element_t *e,
                          uint64_t tombstone) {
  replica_header_t *header = replica->header;
  switch ((vesta_kind_t)e->kind) {
    case VESTA_KIND_CREATED: apply_created(replica, record, e); break;
    case VESTA_KIND_WRITTEN:
    case VESTA_KIND_OVERWRITTEN: apply_written(replica, record, e); break;
    case VESTA_KIND_DELETED:
    case VESTA_KIND_EXPIRED: apply_deleted(replica, record, e, tombstone); break;
    case VESTA_KIND_EXPIRY_SET:
      REPLICA_STORE(replica, replica_descriptor(replica, e->slot)->expiry_ns, e->expiry_ns);
      stamp(replica, record, e, replica_descriptor(replica, e->slot));
      break;
    case VESTA_KIND_UNLINKED: REPLICA_STORE(replica, header->unlinked, 1U); break;
    case VESTA_KIND_RETENTION_SET: REPLICA_STORE(replica, header->retention_ns, e->expiry_ns); break;
    case VESTA_KIND_EPOCH: apply_epoch(replica, record, e); break;
  }
}

void replica_apply_record(replica_t *replica, const replica_log_record_t *record) {
  const replica_log_element_t *first = replica_log_elements(record);
  for (const replica_log_element_t *e = first; e != NULL; e = replica_log_element_next(e)) {
    if (e->slot != REPLICA_NO_SLOT) {
      replica_lock(replica, &replica_descriptor(replica, e->slot)->lock);
    }
  }
  uint64_t tombstone = record->tombstone_first;
  for (const replica_log_element_t *e = first; e != NULL; e = replica_log_element_next(e)) {
    apply_element(replica, record, e, tombstone);
    tombstone += replica_kind_deletes(e->kind) ? 1 : 0;
  }
  if (record->generated != 0) {
    REPLICA_STORE(replica, replica->header->generated_last, record->generated);
  }
  if (record->session_place != REPLICA_NO_SESSION) {
    replica_session_store(replica, record);
  }
  for (const replica_log_element_t *e = first; e != NULL; e = replica_log_element_next(e)) {
    if (e->slot != REPLICA_NO_SLOT) {
      replica_unlock(replica, &replica_descriptor(replica, e->slot)->lock);
    }
  }
}
