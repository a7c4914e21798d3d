/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A replica kept in step with others: its log from the sender's side, and being filled from another one's state. See
 * replica_transfer.h.
 *
 * While it is being filled nobody else looks at it and a crash throws it away, so nothing here cares for the order of
 * its stores; all of it goes through the usual helpers all the same, so that there is one way into a region.
 */
#include "core/replica_transfer.h"

#include <stdlib.h>

#include "core/replica_private.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

/* ---- the log, to be sent ---- */

vesta_err_t replica_log_record(const replica_t *replica, uint64_t seq, replica_record_t *record) {
  if (seq > replica->header->prepared_seq) {
    return VESTA_ERR_NOT_EXIST;
  }
  if (seq < replica->header->first_seq) {
    return VESTA_ERR_LOST;
  }
  replica_record_fill(replica, seq, record);
  return VESTA_OK;
}

/* Each part is hashed with what came before it as its seed: one call of the library for each, whatever it is. */
static uint64_t hash_bytes(uint64_t hash, vesta_bytes_t bytes) {
  return XXH3_64bits_withSeed(bytes.data, bytes.size, hash + bytes.size);
}

uint64_t replica_record_digest(const replica_record_t *record) {
  const uint64_t head[] = {record->epoch,      record->seq,     (uint64_t)record->time_ns, record->session.hi,
                           record->session.lo, record->request, record->element_count};
  uint64_t hash = hash_bytes(0, vesta_bytes(head, sizeof head));
  replica_record_t walk = *record;
  for (replica_change_t change; replica_record_next(&walk, &change);) {
    const replica_element_t *e = &change.element;
    const uint64_t numbers[] = {(uint64_t)e->kind, e->offset, (uint64_t)e->expiry_ns, e->epoch, e->member, change.slot};
    hash = hash_bytes(hash, vesta_bytes(numbers, sizeof numbers));
    hash = hash_bytes(hash, e->id);
    hash = hash_bytes(hash, e->data);
  }
  return hash;
}

void replica_readable_until(replica_t *replica, int64_t steady_ns) {
  REPLICA_STORE(replica, replica->header->readable_until_ns, steady_ns);
}

/* ---- corrupted sections ---- */

/* The same operation without its data: what it leaves is marked. */
static void op_strip(const replica_op_t *op, replica_element_t *elements) {
  for (uint32_t i = 0; i < op->element_count; i++) {
    elements[i] = op->elements[i];
    if (replica_kind_has_data(op->elements[i].kind)) {
      elements[i].kind = op->elements[i].kind == VESTA_KIND_CREATED ? VESTA_KIND_CREATED : VESTA_KIND_OVERWRITTEN;
      elements[i].offset = 0;
      elements[i].data = vesta_bytes(NULL, 0);
    }
  }
}

vesta_err_t replica_skip(replica_t *replica, const replica_op_t *op, replica_result_t *result) {
  replica_header_t *header = replica->header;
  *result = (replica_result_t){.element = REPLICA_NO_ELEMENT};
  if (header->prepared_seq != header->committed_seq) {
    return VESTA_ERR_TRY_AGAIN;
  }
  if (op->element_count == 0 || op->element_count > VESTA_VECTOR_ELEMENTS_MAX) {
    return VESTA_ERR_INVALID_PARAM;
  }
  replica_element_t *elements = calloc(op->element_count, sizeof *elements);
  if (elements == NULL) {
    return VESTA_ERR_NO_MEMORY;
  }
  replica_op_t stripped = *op;
  stripped.elements = elements;
  op_strip(op, elements);
  replica->corrupts = true;
  vesta_err_t err = replica_prepare(replica, &stripped, result);
  replica->corrupts = false;
  free(elements);
  if (err == VESTA_OK) {
    replica_commit(replica, result->seq);
  }
  return err;
}

vesta_err_t replica_restore_section(replica_t *replica, vesta_bytes_t id, vesta_bytes_t data) {
  if (data.size > replica->layout.section_bytes_max) {
    return VESTA_ERR_INVALID_PARAM;
  }
  uint32_t slot = replica_slot_find(replica, replica_hash(replica, id), id);
  if (slot == REPLICA_NO_SLOT || (replica_descriptor(replica, slot)->epoch & REPLICA_EPOCH_CORRUPTED) == 0) {
    return VESTA_ERR_NOT_EXIST;
  }
  if (replica_flight_touches(replica, replica_hash(replica, id), id)) {
    return VESTA_ERR_TRY_AGAIN;
  }
  vesta_err_t err = replica_slot_reserve(replica, slot, data.size);
  if (err != VESTA_OK) {
    return err;
  }
  replica_descriptor_t *d = replica_descriptor(replica, slot);
  replica_lock(replica, &d->lock);
  replica_slot_data_set(replica, slot, 0);
  replica_copy(replica, replica->region + replica_slot_at(replica, slot), data.data, data.size);
  replica->data_bytes += data.size - d->size;
  REPLICA_STORE(replica, d->size, (uint32_t)data.size);
  replica_slot_epoch_set(replica, slot, d->epoch & ~REPLICA_EPOCH_CORRUPTED, false);
  replica_unlock(replica, &d->lock);
  return VESTA_OK;
}

bool replica_corrupted_next(const replica_t *replica, uint32_t *slot, uint32_t looks, replica_section_t *section) {
  for (uint32_t i = 0; i < looks && *slot < replica->header->slots_high; i++, (*slot)++) {
    const replica_descriptor_t *d = replica_descriptor(replica, *slot);
    if (d->id_mark != 0 && (d->epoch & REPLICA_EPOCH_CORRUPTED) != 0) {
      replica_section_fill(replica, (*slot)++, section);
      return true;
    }
  }
  return false;
}

/* ---- results, to be sent ---- */

bool replica_result_next(const replica_t *replica, uint64_t *cursor, vesta_token_t *token, uint64_t *request,
                         replica_result_t *result) {
  for (; *cursor / VESTA_SESSION_WINDOW < replica->header->sessions_high; (*cursor)++) {
    const replica_session_t *session = replica_session_at(replica, (uint32_t)(*cursor / VESTA_SESSION_WINDOW));
    uint64_t count = session->result_count;
    uint64_t kept = count < VESTA_SESSION_WINDOW ? count : VESTA_SESSION_WINDOW;
    uint64_t index = *cursor % VESTA_SESSION_WINDOW;
    if (session->state != REPLICA_SESSION_USED || index >= kept) {
      *cursor += VESTA_SESSION_WINDOW - 1 - index; /* the next session's */
      continue;
    }
    const replica_session_result_t *r = &session->results[(count - kept + index) % VESTA_SESSION_WINDOW];
    *token = (vesta_token_t){.hi = session->token_hi, .lo = session->token_lo};
    *request = r->request;
    *result =
        (replica_result_t){.seq = r->seq, .epoch = replica_epoch_of(replica, r->seq), .element = REPLICA_NO_ELEMENT};
    if (r->generated != 0) {
      result->generated_id_size = replica_generated_id(&replica->layout, r->generated, result->generated_id);
    }
    (*cursor)++;
    return true;
  }
  return false;
}

uint64_t replica_generated_last(const replica_t *replica) { return replica->header->generated_last; }

/* ---- being filled ---- */

vesta_err_t replica_load_begin(replica_t *replica) {
  replica->named = calloc(replica->layout.sections_max / 8 + 1, 1);
  if (replica->named == NULL) {
    return VESTA_ERR_NO_MEMORY;
  }
  REPLICA_STORE(replica, replica->header->readable_until_ns, INT64_C(0));
  REPLICA_STORE(replica, replica->header->incomplete, 1U);
  return VESTA_OK;
}

/* Nothing is in the slot any more; it is not free yet. */
static void load_vacate(replica_t *replica, uint32_t slot) {
  replica_descriptor_t *d = replica_descriptor(replica, slot);
  replica_slot_unlink(replica, slot);
  replica->section_count--;
  replica->data_bytes -= d->size;
  replica_expiry_set(replica, slot, VESTA_TIME_END);
  replica_slot_epoch_set(replica, slot, 0, false);
  REPLICA_STORE(replica, d->id_mark, (uint16_t)0);
  REPLICA_STORE(replica, d->size, UINT32_C(0));
  REPLICA_STORE(replica, d->expiry_ns, VESTA_TIME_END);
}

static void load_remove(replica_t *replica, uint32_t slot) {
  load_vacate(replica, slot);
  replica_slot_release(replica, slot, 0);
  replica_slot_free(replica, slot);
}

/* The slot becomes this section's, empty. A section that is there is gone where this comes from, and so is one of the
 * same id in another slot: they never move. */
static void load_enter(replica_t *replica, uint32_t slot, vesta_bytes_t id, uint32_t hash) {
  replica_descriptor_t *d = replica_descriptor(replica, slot);
  uint32_t before = replica_slot_find(replica, hash, id);
  if (before != REPLICA_NO_SLOT) {
    load_remove(replica, before);
  }
  if (d->id_mark != 0) {
    load_vacate(replica, slot);
  } else {
    bool taken = replica_slot_take(replica, slot);
    VESTA_ASSERT(taken);
  }
  REPLICA_STORE(replica, d->hash, hash);
  replica_copy(replica, replica_id_place(replica, slot), id.data, id.size);
  REPLICA_STORE(replica, d->size, UINT32_C(0));
  REPLICA_STORE(replica, d->id_mark, (uint16_t)(id.size + 1));
  replica_slot_link(replica, slot);
  replica->section_count++;
}

vesta_err_t replica_load_section(replica_t *replica, const replica_section_t *section, uint64_t offset,
                                 vesta_bytes_t part) {
  const replica_layout_t *layout = &replica->layout;
  bool sound = section->id.size <= layout->id_bytes_max && (section->id.size == 0) == (layout->sections_max == 1) &&
               section->slot < layout->sections_max && section->created_seq <= section->seq &&
               section->size <= layout->section_bytes_max && offset <= section->size &&
               part.size <= section->size - offset && (section->epoch & REPLICA_EPOCH_CORRUPTED) == 0;
  if (!sound) {
    return VESTA_ERR_INVALID_PARAM;
  }
  uint32_t hash = replica_hash(replica, section->id);
  uint32_t slot = section->slot;
  vesta_err_t err = replica_slot_reserve(replica, slot, section->size);
  if (err != VESTA_OK) {
    return err;
  }
  replica_descriptor_t *d = replica_descriptor(replica, slot);
  if (replica_slot_find(replica, hash, section->id) != slot) {
    load_enter(replica, slot, section->id, hash);
  }
  replica_copy(replica, replica->region + replica_slot_at(replica, slot) + offset, part.data, part.size);
  replica->data_bytes += section->size - d->size;
  REPLICA_STORE(replica, d->size, (uint32_t)section->size);
  REPLICA_STORE(replica, d->expiry_ns, section->expiry_ns);
  REPLICA_STORE(replica, d->last_update_ns, section->last_update_ns);
  replica_slot_epoch_set(replica, slot, section->epoch, section->corrupted);
  REPLICA_STORE(replica, d->seq, section->seq);
  REPLICA_STORE(replica, d->created_seq, section->created_seq);
  replica_expiry_set(replica, slot, section->expiry_ns);
  uint64_t *newest_seq = &replica->newest_seq[slot / REPLICA_GROUP_SLOTS];
  *newest_seq = section->seq > *newest_seq ? section->seq : *newest_seq;
  replica->named[slot / 8] |= (uint8_t)(1U << slot % 8);
  return VESTA_OK;
}

/* Is it there already? They come in the order of their operations, and some come twice. */
static bool tombstone_known(const replica_t *replica, vesta_bytes_t id, uint64_t seq, uint32_t *index) {
  uint64_t count = replica->header->tombstone_count;
  uint64_t first = count > VESTA_TOMBSTONES_MAX ? count - VESTA_TOMBSTONES_MAX : 0;
  *index = 0;
  for (uint64_t number = count; number > first; number--) {
    const replica_tombstone_t *t = replica_tombstone_at(replica, number - 1);
    if (t->seq != seq) {
      return t->seq > seq;
    }
    if (number == count) {
      *index = t->index + 1;
    }
    if (vesta_bytes_equal(vesta_bytes(t->id, t->id_size), id)) {
      return true;
    }
  }
  return false;
}

vesta_err_t replica_load_delete(replica_t *replica, vesta_bytes_t id, uint64_t epoch, uint64_t seq) {
  replica_header_t *header = replica->header;
  if (id.size == 0 || id.size > replica->layout.id_bytes_max) {
    return VESTA_ERR_INVALID_PARAM;
  }
  uint32_t index = 0;
  if (!tombstone_known(replica, id, seq, &index)) {
    uint64_t places =
        header->tombstone_count < VESTA_TOMBSTONES_MAX ? header->tombstone_count + 1 : VESTA_TOMBSTONES_MAX;
    vesta_err_t err = replica_area_reserve(replica, replica->layout.tombstones_at, &header->reserved.tombstones,
                                           places * replica->layout.tombstone_stride);
    if (err != VESTA_OK) {
      return err;
    }
    replica_tombstone_t *t = replica_tombstone_at(replica, header->tombstone_count);
    REPLICA_STORE(replica, t->epoch, epoch);
    REPLICA_STORE(replica, t->seq, seq);
    REPLICA_STORE(replica, t->id_size, (uint32_t)id.size);
    REPLICA_STORE(replica, t->index, index);
    replica_copy(replica, t->id, id.data, id.size);
    REPLICA_STORE(replica, header->tombstone_count, header->tombstone_count + 1);
    replica->tombstones_next = header->tombstone_count;
  }
  uint32_t slot = replica_slot_find(replica, replica_hash(replica, id), id);
  /* Of the same operation: it was deleted and created again in one. */
  if (slot != REPLICA_NO_SLOT && replica_descriptor(replica, slot)->seq < seq) {
    load_remove(replica, slot);
  }
  return VESTA_OK;
}

vesta_err_t replica_load_result(replica_t *replica, vesta_token_t token, uint64_t request,
                                const replica_result_t *result) {
  uint64_t generated = 0;
  if (vesta_token_is_none(token) ||
      (result->generated_id_size > 0 &&
       !replica_generated_number(&replica->layout, vesta_bytes(result->generated_id, result->generated_id_size),
                                 &generated))) {
    return VESTA_ERR_INVALID_PARAM;
  }
  uint32_t place = 0;
  vesta_err_t err = replica_session_choose(replica, token, &place);
  if (err != VESTA_OK) {
    return err;
  }
  replica_session_hold(replica, place, token);
  replica_session_load(replica, place, token,
                       (replica_session_result_t){.request = request, .seq = result->seq, .generated = generated});
  replica_session_let_go(replica, place);
  return VESTA_OK;
}

void replica_load_mark(replica_t *replica) { memset(replica->named, 0, replica->layout.sections_max / 8 + 1); }

void replica_load_sweep(replica_t *replica) {
  for (uint32_t slot = 0; slot < replica->header->slots_high; slot++) {
    bool named = (replica->named[slot / 8] & 1U << slot % 8) != 0;
    if (!named && replica_descriptor(replica, slot)->id_mark > 1) {
      load_remove(replica, slot);
    }
  }
}

/* Nothing that was loaded is newer than the position. */
static bool sections_fit(const replica_t *replica, vesta_pos_t at) {
  uint64_t newest_seq = 0;
  for (uint32_t group = 0; group * REPLICA_GROUP_SLOTS < replica->header->slots_high; group++) {
    newest_seq = replica->newest_seq[group] > newest_seq ? replica->newest_seq[group] : newest_seq;
  }
  uint64_t deletes = replica->header->tombstone_count;
  return newest_seq <= at.seq && (deletes == 0 || replica_tombstone_at(replica, deletes - 1)->seq <= at.seq);
}

static bool epochs_fit(vesta_pos_t at, const vesta_epoch_row_t *rows, uint32_t count) {
  bool fit = count > 0 && count <= VESTA_EPOCHS_MAX && rows[count - 1].epoch == at.epoch &&
             rows[count - 1].first_seq <= at.seq + 1;
  for (uint32_t i = 1; fit && i < count; i++) {
    fit = rows[i - 1].epoch < rows[i].epoch && rows[i - 1].first_seq <= rows[i].first_seq;
  }
  return fit;
}

vesta_err_t replica_load_end(replica_t *replica, vesta_pos_t at, const vesta_epoch_row_t *rows, uint32_t count,
                             const replica_load_rest_t *rest) {
  replica_header_t *header = replica->header;
  if (at.lineage != header->lineage || !epochs_fit(at, rows, count) || !sections_fit(replica, at)) {
    return VESTA_ERR_INVALID_PARAM;
  }
  uint64_t places = at.seq < replica->layout.log_index_count ? at.seq + 1 : replica->layout.log_index_count;
  vesta_err_t err = replica_area_reserve(replica, replica->layout.log_index_at, &header->reserved.log_index,
                                         places * sizeof(uint32_t));
  if (err != VESTA_OK) {
    return err;
  }
  for (uint32_t i = 0; i < count; i++) {
    REPLICA_STORE(replica, header->epochs[i].epoch, rows[i].epoch);
    REPLICA_STORE(replica, header->epochs[i].first_seq, rows[i].first_seq);
  }
  REPLICA_STORE(replica, header->epoch_count, (uint64_t)count);
  REPLICA_STORE(replica, header->first_seq, at.seq + 1);
  REPLICA_STORE(replica, header->prepared_seq, at.seq);
  REPLICA_STORE(replica, header->committed_seq, at.seq);
  REPLICA_STORE(replica, header->applied_seq, at.seq);
  REPLICA_STORE(replica, header->tombstones_from, rest->tombstones_from);
  REPLICA_STORE(replica, header->retention_ns, rest->retention_ns);
  REPLICA_STORE(replica, header->unlinked, rest->unlinked ? 1U : 0U);
  REPLICA_STORE(replica, header->granted_member, rest->granted_member);
  REPLICA_STORE(replica, header->generated_last, rest->generated_last);
  replica->generated_last = rest->generated_last;
  REPLICA_STORE(replica, header->incomplete, 0U);
  free(replica->named);
  replica->named = NULL;
  return VESTA_OK;
}
