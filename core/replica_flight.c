/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Operations in flight: prepared, then committed or aborted.
 *
 * What they touch is found by walking their records. A table of counters, by id hash, answers nearly always that there
 * is no need to.
 */
#include "core/replica_private.h"

static uint32_t *flight_place(replica_t *replica, uint32_t hash) {
  return &replica->flight_ids[hash % REPLICA_FLIGHT_PLACES];
}

bool replica_flight_touches(const replica_t *replica, uint32_t hash, vesta_bytes_t id) {
  if (replica->flight_ids[hash % REPLICA_FLIGHT_PLACES] == 0) {
    return false;
  }
  for (uint64_t seq = replica->header->committed_seq + 1; seq <= replica->header->prepared_seq; seq++) {
    for (const replica_log_element_t *e = replica_log_elements(replica_log_at(replica, seq)); e != NULL;
         e = replica_log_element_next(e)) {
      if (e->hash == hash && vesta_bytes_equal(replica_log_element_id(e), id)) {
        return true;
      }
    }
  }
  return false;
}

void replica_flight_enter(replica_t *replica, const replica_log_record_t *record) {
  replica->tombstones_next = record->tombstone_first;
  if (record->generated != 0) {
    replica->generated_last = record->generated;
  }
  for (const replica_log_element_t *e = replica_log_elements(record); e != NULL; e = replica_log_element_next(e)) {
    *flight_place(replica, e->hash) += 1;
    replica->exclusive_in_flight |= replica_kind_is_exclusive(e->kind);
    replica->tombstones_next += replica_kind_deletes(e->kind) ? 1 : 0;
  }
}

/* What entering noted about ids and session is over, either way. */
static void flight_leave(replica_t *replica, const replica_log_record_t *record) {
  for (const replica_log_element_t *e = replica_log_elements(record); e != NULL; e = replica_log_element_next(e)) {
    *flight_place(replica, e->hash) -= 1;
  }
  replica->exclusive_in_flight = false; /* such an operation is in flight alone */
  if (record->session_place != REPLICA_NO_SESSION) {
    replica_session_let_go(replica, record->session_place);
  }
}

/* Bring the private part up to date with a record that was applied, and give back what it freed. */
static void account(replica_t *replica, const replica_log_record_t *record) {
  for (const replica_log_element_t *e = replica_log_elements(record); e != NULL; e = replica_log_element_next(e)) {
    if (e->slot == REPLICA_NO_SLOT) {
      continue;
    }
    replica->newest_seq[e->slot / REPLICA_GROUP_SLOTS] = record->seq;
    replica->data_bytes += e->new_size - e->old_size;
    if (e->kind == VESTA_KIND_CREATED) {
      replica->section_count++;
    } else if (replica_kind_deletes(e->kind)) {
      replica->section_count--;
      if ((e->flags & REPLICA_ELEMENT_SLOT_PASSED) == 0) {
        replica_slot_release(replica, e->slot, 0);
        replica_slot_free(replica, e->slot);
      }
    }
    if (e->kind != VESTA_KIND_WRITTEN && e->kind != VESTA_KIND_OVERWRITTEN) {
      replica_expiry_set(replica, e->slot, replica_descriptor(replica, e->slot)->expiry_ns);
    }
  }
}

/* Sections come or go: chains change. */
static bool record_relinks(const replica_log_record_t *record) {
  for (const replica_log_element_t *e = replica_log_elements(record); e != NULL; e = replica_log_element_next(e)) {
    if (e->kind == VESTA_KIND_CREATED || replica_kind_deletes(e->kind)) {
      return true;
    }
  }
  return false;
}

void replica_commit(replica_t *replica, uint64_t seq) {
  replica_header_t *header = replica->header;
  VESTA_ASSERT(seq <= header->prepared_seq);
  if (seq <= header->committed_seq) {
    return;
  }
  REPLICA_STORE(replica, header->committed_seq, seq);
  while (header->applied_seq < seq) {
    const replica_log_record_t *record = replica_log_at(replica, header->applied_seq + 1);
    bool relinks = record_relinks(record);
    if (relinks) {
      replica_lock(replica, &header->index_lock);
    }
    replica_apply_record(replica, record);
    if (relinks) {
      replica_unlock(replica, &header->index_lock);
    }
    REPLICA_STORE(replica, header->applied_seq, record->seq);
    account(replica, record);
    flight_leave(replica, record);
    if (replica_log_corrupts(record)) {
      replica_log_forget(replica, record->seq + 1); /* what it says is not what happened: nobody may read it here */
    }
  }
}

void replica_abort(replica_t *replica, uint64_t seq) {
  replica_header_t *header = replica->header;
  VESTA_ASSERT(seq > header->committed_seq);
  uint64_t last = header->prepared_seq;
  if (seq > last) {
    return;
  }
  /* First the cut, then what the records held: a record that is still in the log has all its pages. */
  replica_log_cut(replica, seq);
  for (uint64_t s = last; s >= seq; s--) {
    const replica_log_record_t *record = replica_log_at(replica, s);
    replica->tombstones_next = record->tombstone_first;
    for (const replica_log_element_t *e = replica_log_elements(record); e != NULL; e = replica_log_element_next(e)) {
      if (e->kind == VESTA_KIND_CREATED && (e->flags & REPLICA_ELEMENT_SLOT_TAKEN) == 0) {
        replica_slot_release(replica, e->slot, 0);
        replica_slot_free(replica, e->slot);
      }
    }
    flight_leave(replica, record);
  }
}
