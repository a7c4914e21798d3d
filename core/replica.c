/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A replica's life, and the looks that change nothing. See replica_private.h for where the rest is.
 */
#include "core/replica.h"

#include <stdlib.h>

#include "core/planted.h"
#include "core/replica_private.h"

/* ---- life ---- */

vesta_err_t replica_region_size(const vesta_attributes_t *attributes, uint64_t *size) {
  replica_layout_t layout;
  vesta_err_t err = replica_layout_make(attributes, &layout);
  if (err == VESTA_OK) {
    *size = layout.region_bytes;
  }
  return err;
}

replica_t *replica_new(void *region, const replica_layout_t *layout, const replica_storage_t *storage) {
  /* One piece of zeroed memory for all of it: there or not there, and what is never touched costs nothing. */
  size_t newest_at = replica_round_up(sizeof(replica_t), sizeof(uint64_t));
  size_t groups = (layout->sections_max + REPLICA_GROUP_SLOTS - 1) / REPLICA_GROUP_SLOTS;
  size_t heap_at = replica_round_up(newest_at + groups * sizeof(uint64_t), sizeof(replica_expiry_node_t));
  size_t heap_at_of_slot = heap_at + layout->sections_max * sizeof(replica_expiry_node_t);
  size_t free_slots_at = heap_at_of_slot + layout->sections_max * sizeof(uint32_t);
  size_t free_at_of_slot = free_slots_at + layout->sections_max * sizeof(uint32_t);
  uint8_t *memory = calloc(1, free_at_of_slot + layout->sections_max * sizeof(uint32_t));
  if (memory == NULL) {
    return NULL;
  }
  replica_t *replica = (replica_t *)(void *)memory;
  replica->region = region;
  replica->header = region;
  replica->layout = *layout;
  replica->storage = *storage;
  replica->newest_seq = (uint64_t *)(void *)(memory + newest_at);
  replica->expiry_heap = (replica_expiry_node_t *)(void *)(memory + heap_at);
  replica->expiry_at = (uint32_t *)(void *)(memory + heap_at_of_slot);
  replica->free_slots = (uint32_t *)(void *)(memory + free_slots_at);
  replica->free_at = (uint32_t *)(void *)(memory + free_at_of_slot);
  return replica;
}

void replica_destroy(replica_t **replica) {
  if (*replica != NULL) {
    free((*replica)->named);
  }
  free(*replica);
  *replica = NULL;
}

static void header_format(replica_t *replica, const replica_identity_t *identity) {
  replica_header_t *h = replica->header;
  const vesta_attributes_t *attributes = &identity->attributes;
  REPLICA_STORE(replica, h->layout_version, REPLICA_LAYOUT_VERSION);
  REPLICA_STORE(replica, h->region_bytes, replica->layout.region_bytes);
  REPLICA_STORE(replica, h->checkpoint_id, identity->checkpoint_id);
  REPLICA_STORE(replica, h->lineage, identity->lineage);
  REPLICA_STORE(replica, h->checkpoint_bytes, attributes->checkpoint_bytes);
  REPLICA_STORE(replica, h->retention_ns_created, attributes->retention_ns);
  REPLICA_STORE(replica, h->section_bytes_max, attributes->section_bytes_max);
  REPLICA_STORE(replica, h->creation_flags, attributes->creation_flags);
  REPLICA_STORE(replica, h->sections_max, attributes->sections_max);
  REPLICA_STORE(replica, h->section_id_bytes_max, attributes->section_id_bytes_max);
  REPLICA_STORE(replica, h->name_size, (uint32_t)identity->name.size);
  replica_copy(replica, h->name, identity->name.data, identity->name.size);
  REPLICA_STORE(replica, h->first_seq, UINT64_C(1));
  REPLICA_STORE(replica, h->retention_ns, attributes->retention_ns);
  REPLICA_STORE(replica, h->readable_until_ns, VESTA_TIME_END);
  REPLICA_STORE(replica, h->epochs[0].epoch, UINT64_C(1));
  REPLICA_STORE(replica, h->epochs[0].first_seq, UINT64_C(1));
  REPLICA_STORE(replica, h->epoch_count, UINT64_C(1));
}

/* The default section: of a checkpoint with one section, there from the start, id of size 0. */
static void default_section_make(replica_t *replica, int64_t now_ns) {
  replica_descriptor_t *d = replica_descriptor(replica, 0);
  REPLICA_STORE(replica, d->hash, replica_hash(replica, vesta_bytes("", 0)));
  REPLICA_STORE(replica, d->expiry_ns, VESTA_TIME_END);
  REPLICA_STORE(replica, d->last_update_ns, now_ns);
  REPLICA_STORE(replica, d->epoch, UINT64_C(1));
  REPLICA_STORE(replica, d->id_mark, (uint16_t)1);
  REPLICA_STORE(replica, replica->header->slots_high, 1U);
  replica_slot_link(replica, 0);
  replica->section_count = 1;
}

vesta_err_t replica_format(void *region, uint64_t size, const replica_identity_t *identity,
                           const replica_storage_t *storage, int64_t now_ns, replica_t **out) {
  VESTA_ASSERT(identity->name.size >= 1 && identity->name.size <= VESTA_NAME_BYTES_MAX);
  replica_layout_t layout;
  vesta_err_t err = replica_layout_make(&identity->attributes, &layout);
  if (err != VESTA_OK) {
    return err;
  }
  VESTA_ASSERT(size == layout.region_bytes);
  replica_t *replica = replica_new(region, &layout, storage);
  if (replica == NULL) {
    return VESTA_ERR_NO_MEMORY;
  }
  err = storage->reserve(storage->context, 0, layout.index_bytes);
  if (err != VESTA_OK) {
    replica_destroy(&replica);
    return err;
  }
  header_format(replica, identity);
  if (layout.sections_max == 1) {
    default_section_make(replica, now_ns);
  }
  REPLICA_STORE(replica, replica->header->magic, REPLICA_MAGIC);
  *out = replica;
  return VESTA_OK;
}

void replica_store_hook(replica_t *replica, replica_store_hook_t hook, void *context) {
  replica->hook = hook;
  replica->hook_context = context;
}

/* ---- looks ---- */

vesta_pos_t replica_committed(const replica_t *replica) {
  const replica_header_t *h = replica->header;
  return (vesta_pos_t){.lineage = h->lineage, .epoch = replica_epoch_last(replica)->epoch, .seq = h->committed_seq};
}

uint64_t replica_prepared_seq(const replica_t *replica) { return replica->header->prepared_seq; }

void replica_status(const replica_t *replica, replica_status_t *status) {
  const replica_header_t *h = replica->header;
  *status = (replica_status_t){
      .committed = replica_committed(replica),
      .prepared_seq = h->prepared_seq,
      .history_first = h->first_seq,
      .section_count = replica->section_count,
      .data_bytes = replica->data_bytes,
      .corrupted_count = replica->corrupted_count,
      .index_bytes = replica->layout.index_bytes + h->reserved.sessions + h->reserved.tombstones,
      .log_bytes = h->reserved.log_index + h->reserved.log,
      .slots_bytes = h->reserved.slots + replica->slot_pages * REPLICA_PAGE_BYTES,
      .retention_ns = h->retention_ns,
      .unlinked = h->unlinked != 0,
      .granted_member = h->granted_member,
  };
  if (h->tombstone_count > VESTA_TOMBSTONES_MAX) {
    /* The oldest one that is left: are the others of its operation all behind it? */
    const replica_tombstone_t *oldest = replica_tombstone_at(replica, h->tombstone_count);
    status->tombstones_from = oldest->index == 0 ? oldest->seq - 1 : oldest->seq;
  }
  if (status->tombstones_from < h->tombstones_from) {
    status->tombstones_from = h->tombstones_from;
  }
}

void replica_identity(const replica_t *replica, replica_identity_t *identity) {
  const replica_header_t *h = replica->header;
  *identity = (replica_identity_t){
      .checkpoint_id = h->checkpoint_id,
      .lineage = h->lineage,
      .name = vesta_bytes(h->name, h->name_size),
      .attributes =
          {
              .creation_flags = h->creation_flags,
              .checkpoint_bytes = h->checkpoint_bytes,
              .retention_ns = h->retention_ns_created,
              .sections_max = h->sections_max,
              .section_bytes_max = h->section_bytes_max,
              .section_id_bytes_max = h->section_id_bytes_max,
          },
  };
}

/* The rows that are left: [*first, epoch_count). */
static uint64_t epoch_rows_first(const replica_header_t *h) {
  return h->epoch_count > VESTA_EPOCHS_MAX ? h->epoch_count - VESTA_EPOCHS_MAX : 0;
}

uint32_t replica_epochs(const replica_t *replica, vesta_epoch_row_t *rows, uint32_t max) {
  const replica_header_t *h = replica->header;
  uint32_t count = 0;
  for (uint64_t row = epoch_rows_first(h); row < h->epoch_count && count < max; row++) {
    rows[count++] = h->epochs[row % VESTA_EPOCHS_MAX];
  }
  return count;
}

uint64_t replica_epoch_of(const replica_t *replica, uint64_t seq) {
  const replica_header_t *h = replica->header;
  uint64_t epoch = 0;
  if (seq > h->committed_seq && seq <= h->prepared_seq) {
    return replica_log_at(replica, seq)->epoch;
  }
  for (uint64_t row = epoch_rows_first(h); row < h->epoch_count; row++) {
    const vesta_epoch_row_t *r = &h->epochs[row % VESTA_EPOCHS_MAX];
    epoch = r->first_seq <= seq ? r->epoch : epoch;
  }
  return epoch;
}

vesta_err_t replica_position_check(const replica_t *replica, vesta_pos_t position) {
  const replica_header_t *h = replica->header;
  if (position.lineage != h->lineage || position.seq > h->committed_seq) {
    return VESTA_ERR_DIVERGED;
  }
  for (uint64_t row = epoch_rows_first(h); row < h->epoch_count; row++) {
    if (h->epochs[row % VESTA_EPOCHS_MAX].epoch == position.epoch) {
      bool is_last = row + 1 == h->epoch_count;
      bool is_beyond = !is_last && position.seq >= h->epochs[(row + 1) % VESTA_EPOCHS_MAX].first_seq;
      uint64_t first_seq = h->epochs[row % VESTA_EPOCHS_MAX].first_seq;
      bool is_begin = row == 0 && first_seq == 1 && position.seq == 0;
      bool is_before = position.seq < first_seq && !is_begin;
      is_beyond = is_beyond && !PLANTED(POSITION_BEYOND_EPOCH);
      return is_beyond || is_before ? VESTA_ERR_DIVERGED : VESTA_OK;
    }
  }
  return VESTA_ERR_DIVERGED;
}

uint64_t replica_shared_seq(const replica_t *replica, uint64_t epoch, uint64_t seq) {
  const replica_header_t *h = replica->header;
  for (uint64_t row = epoch_rows_first(h); row < h->epoch_count; row++) {
    const vesta_epoch_row_t *r = &h->epochs[row % VESTA_EPOCHS_MAX];
    if (r->epoch > epoch) {
      return r->first_seq <= seq ? r->first_seq - 1 : seq;
    }
  }
  return seq;
}

bool replica_find(const replica_t *replica, vesta_bytes_t id, int64_t now_ns, replica_section_t *section) {
  uint32_t slot = replica_slot_find(replica, replica_hash(replica, id), id);
  if (slot == REPLICA_NO_SLOT || replica_descriptor(replica, slot)->expiry_ns <= now_ns) {
    return false;
  }
  replica_section_fill(replica, slot, section);
  return true;
}

bool replica_slot_next(const replica_t *replica, uint32_t slot, uint32_t slot_end, replica_section_t *section) {
  uint32_t end = slot_end < replica->header->slots_high ? slot_end : replica->header->slots_high;
  for (; slot < end; slot++) {
    if (replica_descriptor(replica, slot)->id_mark != 0) {
      replica_section_fill(replica, slot, section);
      return true;
    }
  }
  return false;
}

bool replica_slot_next_changed(const replica_t *replica, uint32_t slot, uint32_t slot_end, uint64_t after_seq,
                               uint32_t *looks, replica_section_t *section) {
  uint32_t end = slot_end < replica->header->slots_high ? slot_end : replica->header->slots_high;
  while (slot < end) {
    uint32_t group = slot / REPLICA_GROUP_SLOTS;
    if (replica->newest_seq[group] <= after_seq) {
      slot = (group + 1) * REPLICA_GROUP_SLOTS;
      continue;
    }
    if (*looks == 0) {
      break;
    }
    *looks -= 1;
    const replica_descriptor_t *d = replica_descriptor(replica, slot);
    if (d->id_mark != 0 && d->seq > after_seq) {
      replica_section_fill(replica, slot, section);
      return true;
    }
    slot++;
  }
  section->slot = slot < end ? slot : end;
  return false;
}

uint32_t replica_slot_end(const replica_t *replica) { return replica->header->slots_high; }

bool replica_tombstone_next(const replica_t *replica, uint64_t after_seq, uint64_t *cursor, vesta_bytes_t *id,
                            uint64_t *epoch, uint64_t *seq) {
  uint64_t count = replica->header->tombstone_count;
  uint64_t number = count > VESTA_TOMBSTONES_MAX ? count - VESTA_TOMBSTONES_MAX : 0;
  if (*cursor > number) {
    number = *cursor;
  }
  for (; number < count; number++) {
    const replica_tombstone_t *t = replica_tombstone_at(replica, number);
    if (t->seq > after_seq) {
      *id = vesta_bytes(t->id, t->id_size);
      *epoch = t->epoch;
      *seq = t->seq;
      *cursor = number + 1;
      return true;
    }
  }
  return false;
}
