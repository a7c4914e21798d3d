/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Taking up a region that another process left.
 *
 *   1. check: is it ours, whole, and does every number lie within the geometry? Nothing is changed until that is sure.
 *   2. lock the index, so that readers ask again later
 *   3. link the chains anew, apply again what was committed and not fully applied
 *   4. check what that gave, rebuild what is private
 *   5. hide what was skipped; give back pages that the last process had reserved and not used; unlock what it left
 *      locked
 *
 * Each step may be cut by another kill and done again from the start.
 */
#include "core/planted.h"
#include "core/replica_private.h"

/* ---- 1: check ---- */

static vesta_attributes_t header_attributes(const replica_header_t *h) {
  return (vesta_attributes_t){
      .creation_flags = h->creation_flags,
      .checkpoint_bytes = h->checkpoint_bytes,
      .retention_ns = h->retention_ns_created,
      .sections_max = h->sections_max,
      .section_bytes_max = h->section_bytes_max,
      .section_id_bytes_max = h->section_id_bytes_max,
  };
}

static vesta_err_t header_check(const replica_header_t *h, uint64_t size, replica_layout_t *layout) {
  if (h->magic != REPLICA_MAGIC || h->layout_version != REPLICA_LAYOUT_VERSION || h->region_bytes != size ||
      h->name_size == 0 || h->name_size > VESTA_NAME_BYTES_MAX || h->incomplete != 0) {
    return VESTA_ERR_MALFORMED;
  }
  vesta_attributes_t attributes = header_attributes(h);
  if (replica_layout_make(&attributes, layout) != VESTA_OK || layout->region_bytes != size) {
    return VESTA_ERR_MALFORMED;
  }
  return VESTA_OK;
}

/* Marks that say how far an area is in use, against the areas and what is reserved of them. */
static bool marks_are_sound(const replica_header_t *h, const replica_layout_t *l) {
  const uint64_t reserved[] = {h->reserved.sessions, h->reserved.tombstones, h->reserved.log_index, h->reserved.log,
                               h->reserved.slots};
  for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++) {
    if (reserved[i] % REPLICA_PAGE_BYTES != 0) {
      return false;
    }
  }
  uint64_t tombstones = h->tombstone_count < VESTA_TOMBSTONES_MAX ? h->tombstone_count : VESTA_TOMBSTONES_MAX;
  return h->reserved.sessions <= l->tombstones_at - l->sessions_at &&
         h->reserved.tombstones <= l->log_index_at - l->tombstones_at &&
         h->reserved.log_index <= l->log_at - l->log_index_at && h->reserved.log <= l->log_hard_bytes &&
         h->reserved.slots <= l->region_bytes - l->slots_at && h->slots_high <= l->sections_max &&
         h->sessions_high <= VESTA_REPLICA_SESSIONS_MAX &&
         h->sessions_high * sizeof(replica_session_t) <= h->reserved.sessions &&
         tombstones * l->tombstone_stride <= h->reserved.tombstones && h->epoch_count > 0 && h->unlinked <= 1;
}

static bool descriptors_are_sound(const replica_t *replica) {
  const replica_layout_t *l = &replica->layout;
  for (uint32_t slot = 0; slot < replica->header->slots_high; slot++) {
    const replica_descriptor_t *d = replica_descriptor(replica, slot);
    if (d->id_mark > l->id_bytes_max + 1 || d->size > l->section_bytes_max ||
        d->pages * (uint64_t)REPLICA_PAGE_BYTES > (l->slots_paged ? l->slot_stride : 0) ||
        (d->data_at != 0 && d->data_at * UINT64_C(8) + d->size > replica->header->reserved.log)) {
      return false;
    }
  }
  return true;
}

/* ---- 3: apply again ---- */

static void records_redo(replica_t *replica) {
  replica_header_t *h = replica->header;
  while (h->applied_seq < h->committed_seq) {
    const replica_log_record_t *record = replica_log_at(replica, h->applied_seq + 1);
    replica_apply_record(replica, record);
    REPLICA_STORE(replica, h->applied_seq, record->seq);
  }
}

/* ---- 4: what is there now, and the private part ---- */

/* Only now: while a row is added to a full table, the oldest one is neither itself nor the new one. */
static bool epochs_are_sound(const replica_header_t *h) {
  uint64_t first = h->epoch_count > VESTA_EPOCHS_MAX ? h->epoch_count - VESTA_EPOCHS_MAX : 0;
  for (uint64_t row = first + 1; row < h->epoch_count; row++) {
    const vesta_epoch_row_t *before = &h->epochs[(row - 1) % VESTA_EPOCHS_MAX];
    const vesta_epoch_row_t *after = &h->epochs[row % VESTA_EPOCHS_MAX];
    if (after->epoch <= before->epoch || after->first_seq < before->first_seq) {
      return false;
    }
  }
  return true;
}

static bool tombstones_are_sound(const replica_t *replica) {
  uint64_t count = replica->header->tombstone_count;
  for (uint64_t n = count > VESTA_TOMBSTONES_MAX ? count - VESTA_TOMBSTONES_MAX : 0; n < count; n++) {
    if (replica_tombstone_at(replica, n)->id_size > replica->layout.id_bytes_max) {
      return false;
    }
  }
  return true;
}

static bool section_is_sound(const replica_t *replica, uint32_t slot) {
  const replica_descriptor_t *d = replica_descriptor(replica, slot);
  uint64_t reserved = replica->layout.slots_paged ? d->pages * (uint64_t)REPLICA_PAGE_BYTES
                      : (slot + 1) * replica->layout.slot_stride <= replica->header->reserved.slots
                          ? replica->layout.slot_stride
                          : 0;
  vesta_bytes_t id = vesta_bytes(replica_id_place(replica, slot), (size_t)d->id_mark - 1);
  return d->hash == replica_hash(replica, id) && d->size <= reserved && d->seq <= replica->header->committed_seq;
}

/* Slots that a record in flight creates a section in look free and are not. Marked in expiry_at until slots_recover()
 * has seen them: that array is not in use yet. */
static void flight_slots_claim(replica_t *replica, const replica_log_record_t *record) {
  for (const replica_log_element_t *e = replica_log_elements(record); e != NULL; e = replica_log_element_next(e)) {
    if (e->kind == VESTA_KIND_CREATED && (e->flags & REPLICA_ELEMENT_SLOT_TAKEN) == 0) {
      replica->expiry_at[e->slot] = UINT32_MAX;
    }
  }
}

/* Every section whose data is in the log is the last one that some record there left. */
static bool staying_are_sound(replica_t *replica) {
  const replica_header_t *h = replica->header;
  uint32_t left = replica->staying_count;
  for (uint64_t seq = h->first_seq; seq <= h->committed_seq && left > 0; seq++) {
    for (const replica_log_element_t *e = replica_log_elements(replica_log_at(replica, seq)); e != NULL;
         e = replica_log_element_next(e)) {
      const replica_descriptor_t *d = e->slot == REPLICA_NO_SLOT ? NULL : replica_descriptor(replica, e->slot);
      bool is_there = d != NULL && (e->flags & REPLICA_ELEMENT_STAYS) != 0 && d->id_mark != 0 &&
                      d->size == e->data_size && d->data_at == replica_log_element_data_at(replica, e);
      left -= is_there ? 1 : 0;
    }
  }
  return left == 0;
}

static vesta_err_t slots_recover(replica_t *replica) {
  replica->staying_count = 0;
  replica->corrupted_count = 0;
  for (uint32_t slot = replica->header->slots_high; slot > 0; slot--) {
    const replica_descriptor_t *d = replica_descriptor(replica, slot - 1);
    bool is_claimed = replica->expiry_at[slot - 1] != 0;
    replica->expiry_at[slot - 1] = 0;
    replica->slot_pages += d->pages;
    replica->staying_count += d->data_at != 0 ? 1 : 0;
    replica->corrupted_count += (d->epoch & REPLICA_EPOCH_CORRUPTED) != 0 ? 1 : 0;
    if (d->id_mark != 0) {
      if (is_claimed || !section_is_sound(replica, slot - 1)) {
        return VESTA_ERR_MALFORMED;
      }
      uint64_t *newest_seq = &replica->newest_seq[(slot - 1) / REPLICA_GROUP_SLOTS];
      *newest_seq = d->seq > *newest_seq ? d->seq : *newest_seq;
      replica->section_count++;
      replica->data_bytes += d->size;
    } else if (!is_claimed) {
      replica_slot_free(replica, slot - 1);
    }
  }
  return staying_are_sound(replica) ? VESTA_OK : VESTA_ERR_MALFORMED;
}

static vesta_err_t private_recover(replica_t *replica) {
  replica_header_t *h = replica->header;
  vesta_err_t err = replica_sessions_recover(replica);
  if (err != VESTA_OK) {
    return err;
  }
  replica->tombstones_next = h->tombstone_count;
  replica->generated_last = h->generated_last;
  for (uint64_t seq = h->committed_seq + 1; seq <= h->prepared_seq; seq++) {
    const replica_log_record_t *record = replica_log_at(replica, seq);
    replica_flight_enter(replica, record);
    flight_slots_claim(replica, record);
    if (record->session_place != REPLICA_NO_SESSION) {
      vesta_token_t token = {.hi = record->session_hi, .lo = record->session_lo};
      replica_session_hold(replica, record->session_place, token);
    }
  }
  replica_sessions_recover_free(replica);
  err = slots_recover(replica);
  for (uint32_t slot = 0; err == VESTA_OK && slot < h->slots_high; slot++) {
    const replica_descriptor_t *d = replica_descriptor(replica, slot);
    if (d->id_mark != 0) {
      replica_expiry_set(replica, slot, d->expiry_ns);
    }
  }
  return err;
}

/* ---- 5: leave nothing behind ---- */

static void leftovers_release(replica_t *replica) {
  const replica_layout_t *l = &replica->layout;
  uint64_t log_reserved = replica->header->reserved.log;
  if (log_reserved < l->log_hard_bytes) {
    replica->storage.release(replica->storage.context, l->log_at + log_reserved, l->log_hard_bytes - log_reserved);
  }
  for (uint32_t i = 0; i < replica->free_count; i++) {
    replica_slot_release(replica, replica->free_slots[i], 0);
  }
}

/* An operation that was being skipped (replica_skip()) and is not committed was told to nobody. What the log would say
 * of it is not what happened elsewhere. */
static void skipped_drop(replica_t *replica) {
  const replica_header_t *h = replica->header;
  for (uint64_t seq = h->committed_seq + 1; seq <= h->prepared_seq; seq++) {
    if (replica_log_corrupts(replica_log_at(replica, seq)) || PLANTED(PREPARED_DROPPED)) {
      replica_log_cut(replica, seq);
    }
  }
}

/* And one that is committed is not to be read in the log. */
static void skipped_forget(replica_t *replica) {
  const replica_header_t *h = replica->header;
  for (uint64_t seq = h->committed_seq; seq >= h->first_seq; seq--) {
    if (replica_log_corrupts(replica_log_at(replica, seq))) {
      replica_log_forget(replica, seq + 1);
    }
  }
}

static vesta_err_t region_recover(replica_t *replica) {
  replica_header_t *h = replica->header;
  if (!marks_are_sound(h, &replica->layout) || !descriptors_are_sound(replica)) {
    return VESTA_ERR_MALFORMED;
  }
  vesta_err_t err = replica_log_recover(replica);
  if (err != VESTA_OK) {
    return err;
  }
  replica_lock(replica, &h->index_lock);
  skipped_drop(replica);
  replica_slots_relink(replica);
  records_redo(replica);
  err = epochs_are_sound(h) && tombstones_are_sound(replica) ? private_recover(replica) : VESTA_ERR_MALFORMED;
  if (err != VESTA_OK) {
    return err;
  }
  skipped_forget(replica);
  leftovers_release(replica);
  for (uint32_t slot = 0; slot < h->slots_high; slot++) {
    replica_unlock(replica, &replica_descriptor(replica, slot)->lock);
  }
  replica_unlock(replica, &h->index_lock);
  return VESTA_OK;
}

vesta_err_t replica_recover(void *region, uint64_t size, const replica_storage_t *storage, replica_t **out) {
  return replica_recover_hooked(region, size, storage, NULL, NULL, out);
}

vesta_err_t replica_recover_hooked(void *region, uint64_t size, const replica_storage_t *storage,
                                   replica_store_hook_t hook, void *hook_context, replica_t **out) {
  replica_layout_t layout;
  if (size < sizeof(replica_header_t)) {
    return VESTA_ERR_MALFORMED;
  }
  vesta_err_t err = header_check(region, size, &layout);
  if (err != VESTA_OK) {
    return err;
  }
  replica_t *replica = replica_new(region, &layout, storage);
  if (replica == NULL) {
    return VESTA_ERR_NO_MEMORY;
  }
  replica_store_hook(replica, hook, hook_context);
  err = region_recover(replica);
  if (err != VESTA_OK) {
    replica_destroy(&replica);
    return err;
  }
  *out = replica;
  return VESTA_OK;
}
