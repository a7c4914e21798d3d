/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The ring of records: where the next one goes, how it is written, how the old ones are found.
 *
 *        first_seq         committed_seq      prepared_seq
 *            |                  |                  |
 *   ---------[ history ........ ][ in flight ..... ]------ soft ------- hard
 *                                                  ^ log_end: the next record
 *
 * Every record is contiguous. One begins below the soft size and may reach beyond it, up to the hard size, which leaves
 * room for the largest operation; then the next begins at 0. Small ones go round before they would reach beyond, so
 * that the pages out there, which are given back with the record, are paid for by large operations only.
 *
 * A new record drops the oldest ones that are in its way, never one that is in flight. What sections still have their
 * data in those move it to their slots first, whose pages are reserved for that; so a section that is overwritten again
 * and again never has its data copied twice. It is published by one store
 * (prepared_seq): until then what was written is not part of the log.
 */
#include "core/replica_private.h"

static uint32_t *index_place(const replica_t *replica, uint64_t seq) {
  uint32_t *index = (uint32_t *)(void *)(replica->region + replica->layout.log_index_at);
  return &index[seq % replica->layout.log_index_count];
}

static uint64_t record_offset(const replica_t *replica, uint64_t seq) {
  return *index_place(replica, seq) * UINT64_C(8);
}

const replica_log_record_t *replica_log_at(const replica_t *replica, uint64_t seq) {
  const uint8_t *ring = replica->region + replica->layout.log_at;
  return (const replica_log_record_t *)(const void *)(ring + record_offset(replica, seq));
}

/* ---- a new record ---- */

/* Records up to this size go round in time, and leave room for others. */
static bool length_is_small(const replica_layout_t *layout, uint64_t length) {
  return length <= layout->log_soft_bytes / 4;
}

vesta_err_t replica_log_place(replica_t *replica) {
  const replica_header_t *header = replica->header;
  const replica_layout_t *layout = &replica->layout;
  replica_plan_t *plan = &replica->plan;
  uint64_t length = plan->record_bytes;
  uint64_t end = replica->log_end;
  bool is_small = length_is_small(layout, length);
  bool goes_round = end >= layout->log_soft_bytes || (is_small && end + length > layout->log_soft_bytes);
  uint64_t at = goes_round ? 0 : end;

  /* From the oldest on, every record that lies in what the new one passes over or takes. */
  uint64_t first = header->first_seq;
  for (; first <= header->prepared_seq; first++) {
    uint64_t old_at = record_offset(replica, first);
    bool is_passed = goes_round && old_at >= end;
    bool is_taken = old_at < at + length && old_at + replica_log_at(replica, first)->length > at;
    if (!is_passed && !is_taken) {
      break;
    }
    if (first > header->committed_seq) {
      return VESTA_ERR_TRY_AGAIN;
    }
  }
  plan->record_at = at;
  plan->first_seq = first;
  uint64_t seq = header->prepared_seq + 1;
  vesta_err_t err = replica_area_reserve(replica, layout->log_index_at, &replica->header->reserved.log_index,
                                         (seq % layout->log_index_count + 1) * sizeof(uint32_t));
  if (err == VESTA_OK) {
    err = replica_area_reserve(replica, layout->log_at, &replica->header->reserved.log, at + length);
  }
  return err;
}

/* Give back pages beyond the soft size that no record needs any more. */
static void beyond_release(replica_t *replica, uint64_t seq, uint64_t end) {
  uint64_t *reserved = &replica->header->reserved.log;
  uint64_t soft = replica->layout.log_soft_bytes;
  if (end > soft) {
    replica->log_beyond_seq = seq;
  }
  if (*reserved <= soft || (replica->log_beyond_seq >= replica->header->first_seq && replica->log_beyond_seq != seq)) {
    return;
  }
  uint64_t kept = end > soft ? replica_round_up(end, REPLICA_PAGE_BYTES) : soft;
  uint64_t had = *reserved;
  if (kept < had) {
    REPLICA_STORE(replica, *reserved, kept);
    replica->storage.release(replica->storage.context, replica->layout.log_at + kept, had - kept);
  }
}

static bool kind_has_expiry(vesta_kind_t kind) {
  return kind == VESTA_KIND_CREATED || kind == VESTA_KIND_EXPIRY_SET || kind == VESTA_KIND_RETENTION_SET;
}

/* May the data of this element stay in the record as the section's? It is all of the section, it is large, and nothing
 * else in the operation touches the section. */
static bool element_stays(const replica_t *replica, const replica_planned_t *planned) {
  return planned->data.size >= REPLICA_STAYS_BYTES_MIN && planned->data.size == planned->new_size && !planned->shared &&
         length_is_small(&replica->layout, replica->plan.record_bytes);
}

/* A section that is overwritten while its data is still in the log will be again before the log went round, it seems:
 * then nobody takes this data home either, and it need not be near. */
static bool element_is_passing(const replica_t *replica, const replica_planned_t *planned) {
  return element_stays(replica, planned) && replica_descriptor(replica, planned->slot)->data_at != 0;
}

static uint8_t *element_write(replica_t *replica, uint8_t *to, const replica_planned_t *planned, bool is_last) {
  const replica_element_t *e = planned->element;
  replica_log_element_t element = {
      .kind = (uint16_t)e->kind,
      .id_size = (uint16_t)planned->id.size,
      .slot = planned->slot,
      .hash = planned->hash,
      .flags = planned->flags | (is_last ? REPLICA_ELEMENT_LAST : 0U) |
               (planned->corrupted ? REPLICA_ELEMENT_CORRUPTS : 0U) |
               (element_stays(replica, planned) ? REPLICA_ELEMENT_STAYS : 0U),
      .data_size = planned->data.size,
      .offset = e->kind == VESTA_KIND_WRITTEN ? e->offset : 0,
      .old_size = planned->old_size,
      .new_size = planned->new_size,
      .expiry_ns = kind_has_expiry(e->kind) ? e->expiry_ns : 0,
      .member = e->kind == VESTA_KIND_EPOCH ? e->member : 0,
  };
  replica_copy(replica, to, &element, sizeof element);
  to += sizeof element;
  replica_copy(replica, to, planned->id.data, planned->id.size);
  to += replica_round_up(planned->id.size, 8);
  if (element_is_passing(replica, planned)) {
    replica_copy_large(replica, to, planned->data.data, planned->data.size);
  } else {
    replica_copy(replica, to, planned->data.data, planned->data.size);
  }
  return to + replica_round_up(element.data_size, 8);
}

/* The records up to, and without, `first_seq` are about to go: sections whose data is in them take it home. */
static void records_settle(replica_t *replica, uint64_t first_seq) {
  for (uint64_t seq = replica->header->first_seq; seq < first_seq && replica->staying_count > 0; seq++) {
    for (const replica_log_element_t *e = replica_log_elements(replica_log_at(replica, seq)); e != NULL;
         e = replica_log_element_next(e)) {
      if ((e->flags & REPLICA_ELEMENT_STAYS) != 0 &&
          replica_descriptor(replica, e->slot)->data_at == replica_log_element_data_at(replica, e)) {
        replica_slot_settle(replica, e->slot);
      }
    }
  }
}

uint64_t replica_log_append(replica_t *replica) {
  replica_header_t *header = replica->header;
  const replica_plan_t *plan = &replica->plan;
  const replica_op_t *op = plan->op;
  uint64_t seq = header->prepared_seq + 1;
  bool is_epoch = op->elements[0].kind == VESTA_KIND_EPOCH;
  if (plan->first_seq != header->first_seq) {
    replica_log_forget(replica, plan->first_seq);
  }
  replica_log_record_t record = {
      .length = plan->record_bytes,
      .seq = seq,
      .epoch = is_epoch ? op->elements[0].epoch : replica_epoch_last(replica)->epoch,
      .time_ns = op->time_ns,
      .session_hi = op->session.hi,
      .session_lo = op->session.lo,
      .request = op->request,
      .tombstone_first = replica->tombstones_next,
      .generated = plan->generated,
      .session_place = plan->session_place,
      .element_count = op->element_count,
  };
  uint8_t *to = replica->region + replica->layout.log_at + plan->record_at;
  replica_copy(replica, to, &record, sizeof record);
  to += sizeof record;
  for (uint32_t i = 0; i < op->element_count; i++) {
    to = element_write(replica, to, &plan->elements[i], i + 1 == op->element_count);
  }
  REPLICA_STORE(replica, *index_place(replica, seq), (uint32_t)(plan->record_at / 8));
  REPLICA_STORE(replica, header->prepared_seq, seq);
  replica->log_end = plan->record_at + plan->record_bytes;
  beyond_release(replica, seq, replica->log_end);
  return seq;
}

void replica_log_forget(replica_t *replica, uint64_t first_seq) {
  VESTA_ASSERT(first_seq >= replica->header->first_seq && first_seq <= replica->header->applied_seq + 1);
  records_settle(replica, first_seq);
  REPLICA_STORE(replica, replica->header->first_seq, first_seq);
}

void replica_log_cut(replica_t *replica, uint64_t seq) {
  REPLICA_STORE(replica, replica->header->prepared_seq, seq - 1);
  replica->log_end = 0;
  if (seq > replica->header->first_seq) {
    replica->log_end = record_offset(replica, seq - 1) + replica_log_at(replica, seq - 1)->length;
  }
  if (replica->log_beyond_seq >= seq) {
    replica->log_beyond_seq = 0;
  }
}

bool replica_log_corrupts(const replica_log_record_t *record) {
  for (const replica_log_element_t *e = replica_log_elements(record); e != NULL; e = replica_log_element_next(e)) {
    if ((e->flags & REPLICA_ELEMENT_CORRUPTS) != 0) {
      return true;
    }
  }
  return false;
}

/* ---- history ---- */

/* 1 + the element whose id was generated. */
static uint32_t record_generated(const replica_log_record_t *record) {
  uint32_t place = record->generated == 0 ? 0 : 1;
  const replica_log_element_t *e = replica_log_elements(record);
  for (; place != 0 && e != NULL && (e->flags & REPLICA_ELEMENT_GENERATED) == 0; e = replica_log_element_next(e)) {
    place++;
  }
  return place;
}

vesta_err_t replica_record(const replica_t *replica, uint64_t seq, replica_record_t *record) {
  if (seq > replica->header->committed_seq) {
    return VESTA_ERR_NOT_EXIST;
  }
  if (seq < replica->header->first_seq) {
    return VESTA_ERR_LOST;
  }
  replica_record_fill(replica, seq, record);
  return VESTA_OK;
}

void replica_record_fill(const replica_t *replica, uint64_t seq, replica_record_t *record) {
  const replica_log_record_t *r = replica_log_at(replica, seq);
  *record = (replica_record_t){
      .epoch = r->epoch,
      .seq = r->seq,
      .time_ns = r->time_ns,
      .session = {.hi = r->session_hi, .lo = r->session_lo},
      .request = r->request,
      .element_count = r->element_count,
      .generated = record_generated(r),
      .cursor = replica_log_elements(r),
  };
}

bool replica_record_next(replica_record_t *record, replica_change_t *change) {
  const replica_log_element_t *e = record->cursor;
  if (e == NULL) {
    return false;
  }
  *change = (replica_change_t){
      .element =
          {
              .kind = (vesta_kind_t)e->kind,
              .id = replica_log_element_id(e),
              .offset = e->offset,
              .data = replica_log_element_data(e),
              .expiry_ns = e->expiry_ns,
              .epoch = e->kind == VESTA_KIND_EPOCH ? record->epoch : 0,
              .member = e->member,
          },
      .slot = e->slot,
  };
  record->cursor = replica_log_element_next(e);
  return true;
}

/* ---- taking a region up ---- */

static bool element_is_sound(const replica_t *replica, const replica_log_element_t *e) {
  const replica_layout_t *layout = &replica->layout;
  if (e->kind < VESTA_KIND_CREATED || e->kind > VESTA_KIND_EPOCH || e->id_size > layout->id_bytes_max) {
    return false;
  }
  if (replica_kind_is_exclusive(e->kind)) {
    return e->slot == REPLICA_NO_SLOT && e->data_size == 0;
  }
  return e->slot < replica->header->slots_high && e->old_size <= layout->section_bytes_max &&
         e->new_size <= layout->section_bytes_max && e->data_size <= layout->section_bytes_max &&
         e->offset <= layout->section_bytes_max - e->data_size &&
         (e->data_size == 0 || e->offset + e->data_size <= e->new_size) &&
         ((e->flags & REPLICA_ELEMENT_STAYS) == 0 ||
          (e->data_size == e->new_size && e->data_size >= REPLICA_STAYS_BYTES_MIN));
}

/* What applying it will write to is reserved. */
static bool element_has_room(const replica_t *replica, const replica_log_element_t *e) {
  if (e->slot == REPLICA_NO_SLOT) {
    return true;
  }
  bool has_room = e->new_size <= replica_descriptor(replica, e->slot)->pages * (uint64_t)REPLICA_PAGE_BYTES;
  if (!replica->layout.slots_paged) {
    has_room = e->new_size == 0 || (e->slot + 1) * replica->layout.slot_stride <= replica->header->reserved.slots;
  }
  return has_room && e->hash == replica_hash(replica, replica_log_element_id(e));
}

/* The elements fill the record exactly, and the last one says that it is. */
static bool elements_are_sound(const replica_t *replica, const replica_log_record_t *record) {
  uint64_t at = sizeof *record;
  uint64_t deletes = 0;
  for (uint32_t i = 0; i < record->element_count; i++) {
    const replica_log_element_t *e = (const void *)((const uint8_t *)record + at);
    if (record->length - at < sizeof *e || !element_is_sound(replica, e) ||
        record->length - at < replica_log_element_bytes(e->id_size, e->data_size)) {
      return false;
    }
    bool is_last = (e->flags & REPLICA_ELEMENT_LAST) != 0;
    bool is_applied = record->seq <= replica->header->applied_seq;
    if (is_last != (i + 1 == record->element_count) || (!is_applied && !element_has_room(replica, e))) {
      return false;
    }
    deletes += replica_kind_deletes(e->kind) ? 1 : 0;
    at += replica_log_element_bytes(e->id_size, e->data_size);
  }
  uint64_t tombstones = record->tombstone_first + deletes;
  if (tombstones > VESTA_TOMBSTONES_MAX) {
    tombstones = VESTA_TOMBSTONES_MAX;
  }
  return at == record->length &&
         (deletes == 0 || tombstones * replica->layout.tombstone_stride <= replica->header->reserved.tombstones);
}

static bool record_is_sound(const replica_t *replica, uint64_t seq) {
  const replica_layout_t *layout = &replica->layout;
  const replica_header_t *header = replica->header;
  uint64_t at = record_offset(replica, seq);
  if (at >= layout->log_soft_bytes || header->reserved.log < sizeof(replica_log_record_t) ||
      at > header->reserved.log - sizeof(replica_log_record_t)) {
    return false;
  }
  const replica_log_record_t *record = replica_log_at(replica, seq);
  if (record->seq != seq || record->length % 8 != 0 || record->length < sizeof *record ||
      record->length > header->reserved.log - at) {
    return false;
  }
  if (record->element_count == 0 || record->element_count > VESTA_VECTOR_ELEMENTS_MAX ||
      (record->session_place != REPLICA_NO_SESSION && record->session_place >= header->sessions_high)) {
    return false;
  }
  return elements_are_sound(replica, record);
}

vesta_err_t replica_log_recover(replica_t *replica) {
  const replica_header_t *header = replica->header;
  uint64_t count = header->prepared_seq + 1 - header->first_seq;
  uint64_t index_end = header->prepared_seq < replica->layout.log_index_count ? header->prepared_seq + 1
                                                                              : replica->layout.log_index_count;
  if (header->first_seq == 0 || header->first_seq > header->applied_seq + 1 ||
      header->applied_seq > header->committed_seq || header->committed_seq > header->prepared_seq ||
      count > replica->layout.log_index_count ||
      (count > 0 && header->reserved.log_index < index_end * sizeof(uint32_t))) {
    return VESTA_ERR_MALFORMED;
  }
  uint64_t rounds = 0;
  uint64_t epoch = 0;
  for (uint64_t seq = header->first_seq; seq <= header->prepared_seq; seq++) {
    if (!record_is_sound(replica, seq) || replica_log_at(replica, seq)->epoch < epoch) {
      return VESTA_ERR_MALFORMED;
    }
    uint64_t at = record_offset(replica, seq);
    uint64_t end = at + replica_log_at(replica, seq)->length;
    bool goes_round = seq > header->first_seq && at != replica->log_end;
    rounds += goes_round ? 1 : 0;
    if ((goes_round && at != 0) || rounds > 1 || (rounds == 1 && end > record_offset(replica, header->first_seq))) {
      return VESTA_ERR_MALFORMED;
    }
    if (end > replica->layout.log_soft_bytes) {
      replica->log_beyond_seq = seq;
    }
    epoch = replica_log_at(replica, seq)->epoch;
    replica->log_end = end;
  }
  return VESTA_OK;
}
