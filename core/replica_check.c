/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Every invariant of a replica, checked from scratch.
 *
 * For tests and the simulator: after any operation, refusal or recovery all of this holds. Nothing is taken from the
 * private part that can be had from the region, since the private part is checked against it.
 */
#include <stdlib.h>

#include "core/replica_private.h"

#define HOLDS(condition) \
  do {                   \
    if (!(condition)) {  \
      return false;      \
    }                    \
  } while (0)

/* What a slot turned out to be. */
enum { SEEN_LINKED = 1, SEEN_FREE = 2, SEEN_CLAIMED = 4 };

static uint64_t page_up(uint64_t bytes) { return replica_round_up(bytes, REPLICA_PAGE_BYTES); }

static bool header_holds(const replica_t *replica) {
  const replica_header_t *h = replica->header;
  const replica_layout_t *l = &replica->layout;
  HOLDS(h->magic == REPLICA_MAGIC && h->region_bytes == l->region_bytes);
  HOLDS(h->index_lock % 2 == 0);
  HOLDS(h->first_seq >= 1 && h->first_seq <= h->committed_seq + 1);
  HOLDS(h->applied_seq == h->committed_seq && h->committed_seq <= h->prepared_seq);
  HOLDS(h->slots_high <= l->sections_max && h->sessions_high <= VESTA_REPLICA_SESSIONS_MAX);
  HOLDS(h->reserved.log <= l->log_hard_bytes);
  HOLDS(h->reserved.slots == 0 || !l->slots_paged);
  HOLDS(h->reserved.sessions >= h->sessions_high * sizeof(replica_session_t));
  HOLDS(h->incomplete == 0 && replica->named == NULL && !replica->corrupts);
  HOLDS(h->tombstones_from <= h->committed_seq);
  return h->generated_last <= replica->generated_last;
}

static bool epochs_hold(const replica_t *replica) {
  vesta_epoch_row_t rows[VESTA_EPOCHS_MAX];
  uint32_t count = replica_epochs(replica, rows, VESTA_EPOCHS_MAX);
  HOLDS(count > 0 && rows[count - 1].first_seq <= replica->header->committed_seq + 1);
  for (uint32_t i = 1; i < count; i++) {
    HOLDS(rows[i - 1].epoch < rows[i].epoch && rows[i - 1].first_seq <= rows[i].first_seq);
  }
  return true;
}

/* ---- slots ---- */

/* Follow every chain: each section is in exactly one, the one of its hash. */
static bool chains_hold(const replica_t *replica, uint8_t *seen) {
  const uint32_t *buckets = (const uint32_t *)(const void *)(replica->region + replica->layout.buckets_at);
  for (uint32_t bucket = 0; bucket < replica->layout.bucket_count; bucket++) {
    for (uint32_t next = buckets[bucket]; next != 0; next = replica_descriptor(replica, next - 1)->next) {
      HOLDS(next <= replica->header->slots_high && seen[next - 1] == 0);
      seen[next - 1] = SEEN_LINKED;
      HOLDS((replica_descriptor(replica, next - 1)->hash & (replica->layout.bucket_count - 1)) == bucket);
    }
  }
  return true;
}

static bool section_holds(const replica_t *replica, uint32_t slot) {
  const replica_descriptor_t *d = replica_descriptor(replica, slot);
  const replica_header_t *h = replica->header;
  const replica_layout_t *l = &replica->layout;
  replica_section_t s;
  replica_section_fill(replica, slot, &s);
  HOLDS(s.id.size <= l->id_bytes_max && (s.id.size > 0) == (l->sections_max > 1));
  HOLDS(d->hash == replica_hash(replica, s.id) && replica_slot_find(replica, d->hash, s.id) == slot);
  HOLDS(s.size <= l->section_bytes_max);
  HOLDS(s.created_seq <= s.seq && s.seq <= h->committed_seq);
  HOLDS(replica_position_check(replica, (vesta_pos_t){h->lineage, s.epoch, s.seq}) == VESTA_OK ||
        h->epoch_count > VESTA_EPOCHS_MAX);
  if (l->slots_paged) {
    HOLDS(s.size <= d->pages * (uint64_t)REPLICA_PAGE_BYTES);
  } else {
    HOLDS(s.size == 0 || (slot + 1) * l->slot_stride <= h->reserved.slots);
  }
  HOLDS(s.seq <= replica->newest_seq[slot / REPLICA_GROUP_SLOTS]);
  uint32_t at = replica->expiry_at[slot];
  HOLDS((at != 0) == (d->expiry_ns != VESTA_TIME_END));
  return at == 0 || (at <= replica->expiry_count && replica->expiry_heap[at - 1].slot == slot &&
                     replica->expiry_heap[at - 1].expiry_ns == d->expiry_ns);
}

/* Slots that records in flight create sections in. */
static bool claims_hold(const replica_t *replica, uint8_t *seen) {
  const replica_header_t *h = replica->header;
  for (uint64_t seq = h->committed_seq + 1; seq <= h->prepared_seq; seq++) {
    for (const replica_log_element_t *e = replica_log_elements(replica_log_at(replica, seq)); e != NULL;
         e = replica_log_element_next(e)) {
      if (e->kind == VESTA_KIND_CREATED && (e->flags & REPLICA_ELEMENT_SLOT_TAKEN) == 0) {
        HOLDS(seen[e->slot] == 0);
        seen[e->slot] = SEEN_CLAIMED;
      }
      if (e->slot != REPLICA_NO_SLOT && replica->layout.slots_paged) {
        HOLDS(e->new_size <= replica_descriptor(replica, e->slot)->pages * (uint64_t)REPLICA_PAGE_BYTES);
      }
    }
  }
  return true;
}

static bool free_stack_holds(const replica_t *replica, uint8_t *seen) {
  for (uint32_t i = 0; i < replica->free_count; i++) {
    uint32_t slot = replica->free_slots[i];
    HOLDS(slot < replica->header->slots_high && seen[slot] == 0 && replica->free_at[slot] == i + 1);
    HOLDS(replica_descriptor(replica, slot)->pages == 0);
    seen[slot] = SEEN_FREE;
  }
  return true;
}

static bool slots_hold(const replica_t *replica, uint8_t *seen) {
  HOLDS(chains_hold(replica, seen) && claims_hold(replica, seen) && free_stack_holds(replica, seen));
  uint32_t sections = 0;
  uint64_t data_bytes = 0;
  uint64_t pages = 0;
  uint32_t staying = 0;
  uint32_t corrupted = 0;
  for (uint32_t slot = 0; slot < replica->layout.sections_max; slot++) {
    const replica_descriptor_t *d = replica_descriptor(replica, slot);
    HOLDS(d->lock % 2 == 0);
    HOLDS((seen[slot] != 0) == (slot < replica->header->slots_high));
    HOLDS((seen[slot] == SEEN_LINKED) == (d->id_mark != 0));
    HOLDS((seen[slot] == SEEN_FREE) == (replica->free_at[slot] != 0));
    pages += d->pages;
    staying += d->data_at != 0 ? 1 : 0;
    corrupted += (d->epoch & REPLICA_EPOCH_CORRUPTED) != 0 ? 1 : 0;
    if (d->id_mark != 0) {
      HOLDS(section_holds(replica, slot));
      sections++;
      data_bytes += d->size;
    } else {
      HOLDS(d->size == 0 && d->data_at == 0 && replica->expiry_at[slot] == 0);
      HOLDS((d->epoch & REPLICA_EPOCH_CORRUPTED) == 0);
    }
  }
  return staying == replica->staying_count && corrupted == replica->corrupted_count &&
         sections == replica->section_count && data_bytes == replica->data_bytes && pages == replica->slot_pages;
}

static bool expiries_hold(const replica_t *replica) {
  for (uint32_t i = 0; i < replica->expiry_count; i++) {
    HOLDS(replica->expiry_at[replica->expiry_heap[i].slot] == i + 1);
    HOLDS(i == 0 || replica->expiry_heap[(i - 1) / 2].expiry_ns <= replica->expiry_heap[i].expiry_ns);
  }
  return true;
}

/* ---- the log ---- */

static bool record_holds(const replica_t *replica, const replica_log_record_t *record) {
  uint64_t bytes = sizeof *record;
  uint32_t count = 0;
  for (const replica_log_element_t *e = replica_log_elements(record); e != NULL; e = replica_log_element_next(e)) {
    HOLDS(bytes < record->length && count < record->element_count);
    HOLDS((e->slot == REPLICA_NO_SLOT) == replica_kind_is_exclusive(e->kind));
    HOLDS(e->slot == REPLICA_NO_SLOT || e->slot < replica->header->slots_high);
    HOLDS(e->slot == REPLICA_NO_SLOT || e->hash == replica_hash(replica, replica_log_element_id(e)));
    bytes += replica_log_element_bytes(e->id_size, e->data_size);
    count++;
  }
  return bytes == record->length && count == record->element_count;
}

/* Records follow each other around the ring, at most once over its end, none over another. */
static bool log_holds(const replica_t *replica) {
  const replica_header_t *h = replica->header;
  const uint8_t *ring = replica->region + replica->layout.log_at;
  uint64_t end = 0;
  uint64_t first_at = 0;
  bool went_round = false;
  uint64_t epoch = 0;
  for (uint64_t seq = h->first_seq; seq <= h->prepared_seq; seq++) {
    const replica_log_record_t *record = replica_log_at(replica, seq);
    uint64_t at = (uint64_t)((const uint8_t *)record - ring);
    HOLDS(record->seq == seq && record->epoch >= epoch && at < replica->layout.log_soft_bytes);
    if (seq == h->first_seq) {
      first_at = at;
    } else if (at != end) {
      HOLDS(at == 0 && !went_round);
      went_round = true;
    }
    end = at + record->length;
    HOLDS(end <= h->reserved.log && (!went_round || end <= first_at));
    HOLDS(record_holds(replica, record) && !replica_log_corrupts(record));
    epoch = record->epoch;
  }
  HOLDS(h->first_seq > h->prepared_seq || end == replica->log_end);
  return true;
}

/* Data that is in the log is that of a committed record which left it there. */
static bool staying_hold(const replica_t *replica) {
  const replica_header_t *h = replica->header;
  uint32_t found = 0;
  for (uint64_t seq = h->first_seq; seq <= h->committed_seq; seq++) {
    for (const replica_log_element_t *e = replica_log_elements(replica_log_at(replica, seq)); e != NULL;
         e = replica_log_element_next(e)) {
      if ((e->flags & REPLICA_ELEMENT_STAYS) != 0) {
        const replica_descriptor_t *d = replica_descriptor(replica, e->slot);
        HOLDS(e->data_size == e->new_size && e->offset == 0);
        if (d->data_at == replica_log_element_data_at(replica, e)) {
          HOLDS(d->id_mark != 0 && d->size == e->data_size);
          found++;
        }
      }
    }
  }
  return found == replica->staying_count;
}

/* ---- what else there is ---- */

static bool flight_holds(const replica_t *replica) {
  const replica_header_t *h = replica->header;
  uint64_t elements = 0;
  uint64_t tombstones = h->tombstone_count;
  bool is_exclusive = false;
  for (uint64_t seq = h->committed_seq + 1; seq <= h->prepared_seq; seq++) {
    HOLDS(replica_log_at(replica, seq)->tombstone_first == tombstones);
    for (const replica_log_element_t *e = replica_log_elements(replica_log_at(replica, seq)); e != NULL;
         e = replica_log_element_next(e)) {
      HOLDS(replica->flight_ids[e->hash % REPLICA_FLIGHT_PLACES] > 0);
      elements++;
      tombstones += replica_kind_deletes(e->kind) ? 1 : 0;
      is_exclusive |= replica_kind_is_exclusive(e->kind);
    }
  }
  uint64_t counted = 0;
  for (uint32_t i = 0; i < REPLICA_FLIGHT_PLACES; i++) {
    counted += replica->flight_ids[i];
  }
  return counted == elements && tombstones == replica->tombstones_next && is_exclusive == replica->exclusive_in_flight;
}

static uint32_t in_flight_of_place(const replica_t *replica, uint32_t place) {
  uint32_t count = 0;
  for (uint64_t seq = replica->header->committed_seq + 1; seq <= replica->header->prepared_seq; seq++) {
    count += replica_log_at(replica, seq)->session_place == place ? 1 : 0;
  }
  return count;
}

static bool session_holds(const replica_t *replica, uint32_t place) {
  const replica_session_t *session = replica_session_at(replica, place);
  const replica_session_place_t *p = &replica->sessions[place];
  HOLDS(p->in_flight == in_flight_of_place(replica, place));
  switch ((replica_session_state_t)session->state) {
    case REPLICA_SESSION_FREE: return p->known == (p->in_flight > 0);
    case REPLICA_SESSION_FORGOTTEN: return !p->known && p->in_flight > 0;
    case REPLICA_SESSION_USED: break;
  }
  HOLDS(p->known && p->token.hi == session->token_hi && p->token.lo == session->token_lo);
  HOLDS(session->result_count > 0);
  uint64_t newer = replica->header->committed_seq + 1;
  for (uint64_t back = 1; back <= session->result_count && back <= VESTA_SESSION_WINDOW; back++) {
    uint64_t seq = session->results[(session->result_count - back) % VESTA_SESSION_WINDOW].seq;
    HOLDS(seq > 0 && seq < newer);
    newer = seq;
  }
  return true;
}

static bool sessions_hold(const replica_t *replica) {
  uint32_t high = replica->header->sessions_high;
  uint32_t known = 0;
  for (uint32_t place = 0; place < high; place++) {
    HOLDS(session_holds(replica, place));
    known += replica->sessions[place].known || replica->sessions[place].in_flight > 0 ? 1 : 0;
  }
  uint32_t free_places = 0;
  for (uint16_t next = replica->session_free; next != 0; next = replica->sessions[next - 1].next) {
    HOLDS(next <= high && !replica->sessions[next - 1].known && ++free_places <= high);
  }
  uint32_t chained = 0;
  for (uint32_t bucket = 0; bucket < REPLICA_SESSION_BUCKETS; bucket++) {
    for (uint16_t next = replica->session_buckets[bucket]; next != 0; next = replica->sessions[next - 1].next) {
      HOLDS(next <= high && replica->sessions[next - 1].known && ++chained <= high);
    }
  }
  return known + free_places == high && chained <= known;
}

static bool tombstones_hold(const replica_t *replica) {
  uint64_t count = replica->header->tombstone_count;
  uint64_t reserved = (count < VESTA_TOMBSTONES_MAX ? count : VESTA_TOMBSTONES_MAX) * replica->layout.tombstone_stride;
  HOLDS(replica->header->reserved.tombstones >= page_up(reserved));
  uint64_t seq = 0;
  for (uint64_t n = count > VESTA_TOMBSTONES_MAX ? count - VESTA_TOMBSTONES_MAX : 0; n < count; n++) {
    const replica_tombstone_t *t = replica_tombstone_at(replica, n);
    HOLDS(t->seq >= seq && t->seq <= replica->header->committed_seq);
    HOLDS(t->id_size > 0 && t->id_size <= replica->layout.id_bytes_max);
    seq = t->seq;
  }
  return true;
}

bool replica_check(const replica_t *replica) {
  uint8_t *seen = calloc(replica->layout.sections_max, 1);
  VESTA_ASSERT(seen != NULL);
  bool holds = header_holds(replica) && epochs_hold(replica) && slots_hold(replica, seen) && expiries_hold(replica) &&
               log_holds(replica) && staying_hold(replica) && flight_holds(replica) && sessions_hold(replica) &&
               tombstones_hold(replica);
  free(seen);
  return holds;
}
