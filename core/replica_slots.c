/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Slots: found by id through hash chains, chosen, their pages reserved and given back.
 *
 * A chain changes by one store: a section is complete before its bucket names it, and leaves by one store into the
 * link before it. So whoever follows a chain, or takes up the region of a killed process, sees it whole.
 */
#include "core/replica_private.h"

uint32_t replica_hash(const replica_t *replica, vesta_bytes_t id) {
  return replica_layout_hash(replica->header->lineage, id);
}

static uint32_t *bucket(const replica_t *replica, uint32_t hash) {
  uint32_t *buckets = (uint32_t *)(void *)(replica->region + replica->layout.buckets_at);
  return &buckets[hash & (replica->layout.bucket_count - 1)];
}

uint32_t replica_slot_find(const replica_t *replica, uint32_t hash, vesta_bytes_t id) {
  for (uint32_t next = *bucket(replica, hash); next != 0;) {
    const replica_descriptor_t *d = replica_descriptor(replica, next - 1);
    if (d->hash == hash && d->id_mark == id.size + 1 &&
        (id.size == 0 || memcmp(replica_id_place(replica, next - 1), id.data, id.size) == 0)) {
      return next - 1;
    }
    next = d->next;
  }
  return REPLICA_NO_SLOT;
}

void replica_slot_link(replica_t *replica, uint32_t slot) {
  replica_descriptor_t *d = replica_descriptor(replica, slot);
  uint32_t *first = bucket(replica, d->hash);
  REPLICA_STORE(replica, d->next, *first);
  REPLICA_STORE(replica, *first, slot + 1);
}

void replica_slot_unlink(replica_t *replica, uint32_t slot) {
  const replica_descriptor_t *d = replica_descriptor(replica, slot);
  for (uint32_t *link = bucket(replica, d->hash); *link != 0; link = &replica_descriptor(replica, *link - 1)->next) {
    if (*link == slot + 1) {
      REPLICA_STORE(replica, *link, d->next);
      return;
    }
  }
}

void replica_slots_relink(replica_t *replica) {
  replica_zero(replica, bucket(replica, 0), replica->layout.bucket_count * sizeof(uint32_t));
  for (uint32_t slot = 0; slot < replica->header->slots_high; slot++) {
    if (replica_descriptor(replica, slot)->id_mark != 0) {
      replica_slot_link(replica, slot);
    }
  }
}

/* ---- free ones ---- */

/* The slots below `end` have been used, or may be from now on. */
static void slots_extend(replica_t *replica, uint32_t end) {
  for (uint32_t slot = replica->header->slots_high; slot < end; slot++) {
    replica_slot_free(replica, slot);
  }
  if (end > replica->header->slots_high) {
    REPLICA_STORE(replica, replica->header->slots_high, end);
  }
}

uint32_t replica_slot_take_any(replica_t *replica) {
  uint32_t slot = replica->header->slots_high;
  if (replica->free_count > 0) {
    slot = replica->free_slots[replica->free_count - 1];
  }
  return replica_slot_take(replica, slot) ? slot : REPLICA_NO_SLOT;
}

bool replica_slot_take(replica_t *replica, uint32_t slot) {
  if (slot >= replica->layout.sections_max) {
    return false;
  }
  slots_extend(replica, slot + 1);
  uint32_t at = replica->free_at[slot];
  if (at == 0) {
    return false;
  }
  uint32_t last = replica->free_slots[--replica->free_count];
  replica->free_slots[at - 1] = last;
  replica->free_at[last] = at;
  replica->free_at[slot] = 0;
  return true;
}

void replica_slot_free(replica_t *replica, uint32_t slot) {
  replica->free_slots[replica->free_count++] = slot;
  replica->free_at[slot] = replica->free_count;
}

/* ---- where the data is ---- */

uint8_t *replica_slot_data(const replica_t *replica, uint32_t slot) {
  const replica_descriptor_t *d = replica_descriptor(replica, slot);
  return d->data_at == 0 ? replica->region + replica_slot_at(replica, slot)
                         : replica->region + replica->layout.log_at + d->data_at * UINT64_C(8);
}

void replica_slot_data_set(replica_t *replica, uint32_t slot, uint32_t data_at) {
  replica_descriptor_t *d = replica_descriptor(replica, slot);
  if (d->data_at == data_at) {
    return;
  }
  if (d->data_at != 0) {
    replica->staying_count--;
  }
  if (data_at != 0) {
    replica->staying_count++;
  }
  REPLICA_STORE(replica, d->data_at, data_at);
}

/* What is in the slot is nobody's until the descriptor says so. The lock shows readers in the log that they must look
 * again; a process killed while it is taken leaves it to the recovery. */
void replica_slot_settle(replica_t *replica, uint32_t slot) {
  replica_descriptor_t *d = replica_descriptor(replica, slot);
  if (d->data_at == 0) {
    return;
  }
  bool is_locked = d->lock % 2 == 1;
  replica_copy(replica, replica->region + replica_slot_at(replica, slot), replica_slot_data(replica, slot), d->size);
  replica_lock(replica, &d->lock);
  replica_slot_data_set(replica, slot, 0);
  if (!is_locked) {
    replica_unlock(replica, &d->lock);
  }
}

void replica_slot_epoch_set(replica_t *replica, uint32_t slot, uint64_t epoch, bool corrupted) {
  replica_descriptor_t *d = replica_descriptor(replica, slot);
  replica->corrupted_count -= (d->epoch & REPLICA_EPOCH_CORRUPTED) != 0 ? 1 : 0;
  replica->corrupted_count += corrupted ? 1 : 0;
  REPLICA_STORE(replica, d->epoch, epoch | (corrupted ? REPLICA_EPOCH_CORRUPTED : 0));
}

/* ---- pages ---- */

vesta_err_t replica_slot_reserve(replica_t *replica, uint32_t slot, uint64_t size) {
  const replica_layout_t *layout = &replica->layout;
  if (!layout->slots_paged) {
    uint64_t end = (slot + 1) * layout->slot_stride;
    return replica_area_reserve(replica, layout->slots_at, &replica->header->reserved.slots, end);
  }
  replica_descriptor_t *d = replica_descriptor(replica, slot);
  uint16_t pages = (uint16_t)(replica_round_up(size, REPLICA_PAGE_BYTES) / REPLICA_PAGE_BYTES);
  if (pages <= d->pages) {
    return VESTA_OK;
  }
  uint64_t at = replica_slot_at(replica, slot) + (uint64_t)d->pages * REPLICA_PAGE_BYTES;
  uint64_t more = (uint64_t)(pages - d->pages) * REPLICA_PAGE_BYTES;
  vesta_err_t err = replica->storage.reserve(replica->storage.context, at, more);
  if (err == VESTA_OK) {
    replica->slot_pages += (uint64_t)(pages - d->pages);
    REPLICA_STORE(replica, d->pages, pages);
  }
  return err;
}

void replica_slot_release(replica_t *replica, uint32_t slot, uint16_t pages) {
  replica_descriptor_t *d = replica_descriptor(replica, slot);
  if (pages >= d->pages) {
    return;
  }
  uint64_t kept = (uint64_t)pages * REPLICA_PAGE_BYTES;
  uint64_t at = replica_slot_at(replica, slot) + kept;
  uint64_t size =
      replica->layout.slot_stride - kept; /* to the end: a killed process may have left more than it counted */
  replica->slot_pages -= (uint64_t)(d->pages - pages);
  if (d->id_mark != 0) {
    /* First the count: a section must not be promised pages that are gone. Killed in between: they go with the rest. */
    REPLICA_STORE(replica, d->pages, pages);
    replica->storage.release(replica->storage.context, at, size);
  } else {
    /* Last the count: killed in between, recovery finds a free slot that counts pages, and releases them. */
    replica->storage.release(replica->storage.context, at, size);
    REPLICA_STORE(replica, d->pages, pages);
  }
}

void replica_section_fill(const replica_t *replica, uint32_t slot, replica_section_t *section) {
  const replica_descriptor_t *d = replica_descriptor(replica, slot);
  *section = (replica_section_t){
      .slot = slot,
      .id = vesta_bytes(replica_id_place(replica, slot), (size_t)d->id_mark - 1),
      .data = replica_slot_data(replica, slot),
      .size = d->size,
      .expiry_ns = d->expiry_ns,
      .last_update_ns = d->last_update_ns,
      .epoch = d->epoch & ~REPLICA_EPOCH_CORRUPTED,
      .corrupted = (d->epoch & REPLICA_EPOCH_CORRUPTED) != 0,
      .seq = d->seq,
      .created_seq = d->created_seq,
  };
}
