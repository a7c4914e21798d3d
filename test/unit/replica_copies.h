/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Two replicas that are to be equal, for the tests of what keeps them so: an operation taken from one to the other, one
 * filled from the other's state, and everything that can be seen of both compared.
 */
#ifndef VESTA_TEST_UNIT_REPLICA_COPIES_H
#define VESTA_TEST_UNIT_REPLICA_COPIES_H

#include "test/unit/replica_fixture.h"

#include "core/replica_transfer.h"

#define ID_BYTES_MAX 8U
#define SECTIONS_MAX 60U
#define LARGE_BYTES (80U << 10) /* stays in the log when written whole */

static inline vesta_token_t session_of(uint64_t lo) { return (vesta_token_t){.hi = 9, .lo = lo}; }

static inline vesta_pos_t position_of(const replica_t *replica) {
  replica_status_t status;
  replica_status(replica, &status);
  return status.committed;
}

/* ---- from one to the other ---- */

/* A record as the operation that another replica is to prepare. */
typedef struct taken {
  replica_op_t op;
  replica_element_t elements[VESTA_VECTOR_ELEMENTS_MAX];
} taken_t;

static inline void take_record(const replica_t *from, uint64_t seq, taken_t *taken) {
  replica_record_t record;
  assert_int_equal(replica_log_record(from, seq, &record), VESTA_OK);
  taken->op = (replica_op_t){.session = record.session,
                             .request = record.request,
                             .time_ns = record.time_ns,
                             .elements = taken->elements,
                             .element_count = record.element_count,
                             .generated = record.generated};
  uint32_t count = 0;
  for (replica_change_t change; replica_record_next(&record, &change);) {
    taken->elements[count] = change.element;
    taken->elements[count++].slot_given = change.element.kind == VESTA_KIND_CREATED ? change.slot + 1 : 0;
  }
  assert_int_equal(count, record.element_count);
}

static inline void copy_prepares(const replica_t *from, uint64_t seq, replica_t *to) {
  static taken_t taken;
  take_record(from, seq, &taken);
  replica_result_t result;
  assert_int_equal(replica_prepare(to, &taken.op, &result), VESTA_OK);
  assert_int_equal(result.seq, seq);
  assert_int_equal(result.epoch, replica_epoch_of(from, seq));
  replica_record_t a, b;
  assert_int_equal(replica_log_record(from, seq, &a), VESTA_OK);
  assert_int_equal(replica_log_record(to, seq, &b), VESTA_OK);
  assert_int_equal(replica_record_digest(&a), replica_record_digest(&b));
}

static inline void results_load(const replica_t *from, uint64_t after_seq, replica_t *to) {
  uint64_t cursor = 0, request = 0;
  vesta_token_t session;
  replica_result_t result;
  while (replica_result_next(from, &cursor, &session, &request, &result)) {
    if (result.seq > after_seq) {
      assert_int_equal(replica_load_result(to, session, request, &result), VESTA_OK);
    }
  }
}

static inline void deletes_load(const replica_t *from, uint64_t after_seq, replica_t *to) {
  uint64_t cursor = 0, epoch = 0, seq = 0;
  vesta_bytes_t id;
  while (replica_tombstone_next(from, after_seq, &cursor, &id, &epoch, &seq)) {
    assert_int_equal(replica_load_delete(to, id, epoch, seq), VESTA_OK);
  }
}

static inline void changed_load(const replica_t *from, uint64_t after_seq, replica_t *to) {
  replica_section_t section;
  uint32_t looks = UINT32_MAX;
  for (uint32_t slot = 0; replica_slot_next_changed(from, slot, replica_slot_end(from), after_seq, &looks, &section);
       slot = section.slot + 1) {
    assert_int_equal(replica_load_section(to, &section, 0, vesta_bytes(section.data, section.size)), VESTA_OK);
  }
}

static inline vesta_err_t end_load(const replica_t *from, uint64_t tombstones_from, replica_t *to) {
  vesta_epoch_row_t rows[VESTA_EPOCHS_MAX];
  uint32_t count = replica_epochs(from, rows, VESTA_EPOCHS_MAX);
  replica_status_t status;
  replica_status(from, &status);
  replica_load_rest_t rest = {.tombstones_from = tombstones_from,
                              .retention_ns = status.retention_ns,
                              .unlinked = status.unlinked,
                              .granted_member = status.granted_member,
                              .generated_last = replica_generated_last(from)};
  return replica_load_end(to, status.committed, rows, count, &rest);
}

/* All at once. */
static inline void fill(const replica_t *from, replica_t *to) {
  assert_int_equal(replica_load_begin(to), VESTA_OK);
  changed_load(from, 0, to);
  results_load(from, 0, to);
  assert_int_equal(end_load(from, position_of(from).seq, to), VESTA_OK);
  assert_true(replica_check(to));
}

static inline void same_kind_open(fixture_t *f, const fixture_t *as) {
  fixture_open(f, as->attributes.sections_max, as->attributes.section_bytes_max, as->attributes.section_id_bytes_max);
}

/* ---- equal ---- */

static inline void sections_are_equal(const replica_t *a, const replica_t *b) {
  replica_section_t s, t;
  for (uint32_t slot = 0; replica_slot_next(a, slot, UINT32_MAX, &s); slot = s.slot + 1) {
    assert_true(replica_find(b, s.id, INT64_MIN, &t));
    assert_int_equal(s.size, t.size);
    assert_memory_equal(s.data, t.data, s.size);
    assert_true(s.expiry_ns == t.expiry_ns && s.last_update_ns == t.last_update_ns);
    assert_true(s.epoch == t.epoch && s.seq == t.seq && s.created_seq == t.created_seq);
    assert_int_equal(s.corrupted, t.corrupted);
    assert_int_equal(s.slot, t.slot);
  }
}

static inline void results_are_equal(const replica_t *a, const replica_t *b) {
  uint64_t cursor_a = 0, cursor_b = 0, request = 0;
  uint32_t count_a = 0, count_b = 0;
  vesta_token_t session;
  replica_result_t s, t;
  while (replica_result_next(a, &cursor_a, &session, &request, &s)) {
    assert_int_equal(replica_request_find(b, session, request, &t), VESTA_OK);
    assert_true(s.seq == t.seq && s.epoch == t.epoch && s.generated_id_size == t.generated_id_size);
    assert_memory_equal(s.generated_id, t.generated_id, s.generated_id_size);
    count_a++;
  }
  while (replica_result_next(b, &cursor_b, &session, &request, &t)) {
    count_b++;
  }
  assert_int_equal(count_a, count_b);
}

static inline void tombstones_are_equal(const replica_t *a, const replica_t *b, uint64_t after_seq) {
  uint64_t cursor_a = 0, cursor_b = 0, epoch_a = 0, epoch_b = 0, seq_a = 0, seq_b = 0;
  vesta_bytes_t id_a, id_b;
  while (replica_tombstone_next(a, after_seq, &cursor_a, &id_a, &epoch_a, &seq_a)) {
    assert_true(replica_tombstone_next(b, after_seq, &cursor_b, &id_b, &epoch_b, &seq_b));
    assert_true(epoch_a == epoch_b && seq_a == seq_b && vesta_bytes_equal(id_a, id_b));
  }
  assert_false(replica_tombstone_next(b, after_seq, &cursor_b, &id_b, &epoch_b, &seq_b));
}

static inline void are_equal(const replica_t *a, const replica_t *b) {
  replica_status_t s, t;
  replica_status(a, &s);
  replica_status(b, &t);
  assert_true(vesta_pos_equal(s.committed, t.committed));
  assert_true(s.section_count == t.section_count && s.data_bytes == t.data_bytes);
  assert_int_equal(s.corrupted_count, t.corrupted_count);
  assert_true(s.retention_ns == t.retention_ns && s.unlinked == t.unlinked && s.granted_member == t.granted_member);
  assert_int_equal(replica_generated_last(a), replica_generated_last(b));
  vesta_epoch_row_t rows_a[VESTA_EPOCHS_MAX], rows_b[VESTA_EPOCHS_MAX];
  uint32_t count = replica_epochs(a, rows_a, VESTA_EPOCHS_MAX);
  assert_int_equal(count, replica_epochs(b, rows_b, VESTA_EPOCHS_MAX));
  assert_memory_equal(rows_a, rows_b, count * sizeof rows_a[0]);
  sections_are_equal(a, b);
  results_are_equal(a, b);
  tombstones_are_equal(a, b, s.tombstones_from > t.tombstones_from ? s.tombstones_from : t.tombstones_from);
  assert_true(replica_check(a));
  assert_true(replica_check(b));
}

#endif
