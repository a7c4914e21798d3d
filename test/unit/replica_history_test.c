/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a replica remembers: results for resent requests, operations in flight, its log, what was deleted.
 */
#include "test/unit/replica_fixture.h"

/* ---- sessions ---- */

static vesta_err_t as_session(fixture_t *f, uint64_t session, uint64_t request, const replica_element_t *elements,
                              size_t count, replica_result_t *result) {
  replica_op_t op = op_of(elements, count);
  op.session = (vesta_token_t){.hi = 1, .lo = session};
  op.request = request;
  return replica_apply(f->replica, &op, result);
}

static vesta_err_t find_request(const fixture_t *f, uint64_t session, uint64_t request, replica_result_t *result) {
  return replica_request_find(f->replica, (vesta_token_t){.hi = 1, .lo = session}, request, result);
}

static void a_resent_request_gets_the_stored_result(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, 4, 10, 8);
  replica_result_t result;
  replica_result_t again;
  assert_int_equal(as_session(&f, 5, 70, ELEMENTS(create("", "")), &result), VESTA_OK);
  fixture_restart(&f);
  assert_int_equal(find_request(&f, 5, 70, &again), VESTA_OK);
  assert_int_equal(again.seq, result.seq);
  assert_int_equal(again.generated_id_size, result.generated_id_size);
  assert_memory_equal(again.generated_id, result.generated_id, result.generated_id_size);
  assert_int_equal(find_request(&f, 5, 71, &again), VESTA_ERR_NOT_EXIST);
  assert_int_equal(find_request(&f, 6, 70, &again), VESTA_ERR_NOT_EXIST);
  assert_int_equal(as_session(&f, 5, 71, ELEMENTS(delete_of("none")), &result), VESTA_ERR_NOT_EXIST);
  assert_int_equal(find_request(&f, 5, 71, &again), VESTA_ERR_NOT_EXIST);
  fixture_close(&f);
}

static void the_last_results_of_a_session_are_known_and_no_more(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, 4, 10, 8);
  replica_result_t result;
  must_apply(&f, ELEMENTS(create("a", "")));
  for (uint64_t request = 1; request <= VESTA_SESSION_WINDOW + 1; request++) {
    assert_int_equal(as_session(&f, 1, request, ELEMENTS(overwrite("a", "x")), &result), VESTA_OK);
  }
  assert_int_equal(find_request(&f, 1, 1, &result), VESTA_ERR_NOT_EXIST);
  for (uint64_t request = 2; request <= VESTA_SESSION_WINDOW + 1; request++) {
    assert_int_equal(find_request(&f, 1, request, &result), VESTA_OK);
    assert_int_equal(result.seq, request + 1);
  }
  fixture_close(&f);
}

static void a_forgotten_session_leaves_its_place_and_no_trace(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, 4, 10, 8);
  replica_result_t result;
  assert_int_equal(as_session(&f, 1, 1, ELEMENTS(create("a", "")), &result), VESTA_OK);
  assert_int_equal(as_session(&f, 1, 2, ELEMENTS(overwrite("a", "2")), &result), VESTA_OK);
  replica_session_forget(f.replica, (vesta_token_t){.hi = 1, .lo = 1});
  replica_session_forget(f.replica, (vesta_token_t){.hi = 1, .lo = 1});
  assert_int_equal(find_request(&f, 1, 1, &result), VESTA_ERR_NOT_EXIST);
  assert_int_equal(as_session(&f, 2, 5, ELEMENTS(overwrite("a", "5")), &result), VESTA_OK);
  assert_int_equal(find_request(&f, 2, 1, &result), VESTA_ERR_NOT_EXIST);
  assert_int_equal(find_request(&f, 2, 2, &result), VESTA_ERR_NOT_EXIST);
  assert_int_equal(find_request(&f, 2, 5, &result), VESTA_OK);
  vesta_token_t tokens[3];
  assert_int_equal(replica_sessions(f.replica, tokens, 3), 1);
  assert_int_equal(tokens[0].lo, 2);
  fixture_restart(&f);
  assert_int_equal(find_request(&f, 2, 1, &result), VESTA_ERR_NOT_EXIST);
  fixture_close(&f);
}

static void sessions_at_the_limit_write_and_one_more_does_not(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, 4, 10, 8);
  must_apply(&f, ELEMENTS(create("a", "")));
  replica_result_t result;
  for (uint64_t session = 1; session <= VESTA_REPLICA_SESSIONS_MAX; session++) {
    assert_int_equal(as_session(&f, session, 1, ELEMENTS(overwrite("a", "x")), &result), VESTA_OK);
  }
  uint64_t one_more = VESTA_REPLICA_SESSIONS_MAX + 1;
  assert_int_equal(as_session(&f, one_more, 1, ELEMENTS(overwrite("a", "x")), &result), VESTA_ERR_NO_RESOURCES);
  assert_int_equal(as_session(&f, 7, 2, ELEMENTS(overwrite("a", "x")), &result), VESTA_OK);
  must_apply(&f, ELEMENTS(overwrite("a", "no session")));
  replica_session_forget(f.replica, (vesta_token_t){.hi = 1, .lo = 700});
  assert_int_equal(as_session(&f, one_more, 1, ELEMENTS(overwrite("a", "x")), &result), VESTA_OK);
  fixture_restart(&f);
  assert_int_equal(find_request(&f, 7, 2, &result), VESTA_OK);
  fixture_close(&f);
}

/* ---- prepared operations ---- */

static vesta_err_t prepare(fixture_t *f, const replica_element_t *elements, size_t count, replica_result_t *result) {
  replica_op_t op = op_of(elements, count);
  return replica_prepare(f->replica, &op, result);
}

static void what_is_prepared_is_not_visible_until_it_is_committed(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, 4, 10, 8);
  must_apply(&f, ELEMENTS(create("a", "old")));
  replica_result_t result;
  assert_int_equal(prepare(&f, ELEMENTS(overwrite("a", "new"), create("b", "b")), &result), VESTA_OK);
  assert_int_equal(result.seq, 2);
  must_read(&f, "a", "old");
  must_not_find(&f, "b");
  replica_record_t record;
  assert_int_equal(replica_record(f.replica, 2, &record), VESTA_ERR_NOT_EXIST);
  fixture_restart(&f);
  replica_status_t status;
  replica_status(f.replica, &status);
  assert_int_equal(status.committed.seq, 1);
  assert_int_equal(status.prepared_seq, 2);
  replica_commit(f.replica, 2);
  must_read(&f, "a", "new");
  must_read(&f, "b", "b");
  assert_true(replica_check(f.replica));
  fixture_close(&f);
}

static void operations_in_flight_may_not_touch_the_same_section(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, 3, 10, 8);
  must_apply(&f, ELEMENTS(create("a", "a"), create("b", "b")));
  replica_result_t result;
  assert_int_equal(prepare(&f, ELEMENTS(overwrite("a", "x")), &result), VESTA_OK);
  assert_int_equal(prepare(&f, ELEMENTS(create("c", "c")), &result), VESTA_OK);
  assert_int_equal(prepare(&f, ELEMENTS(write_at("b", 0, "x"), delete_of("a")), &result), VESTA_ERR_TRY_AGAIN);
  assert_int_equal(result.element, 1);
  assert_int_equal(prepare(&f, ELEMENTS(create("c", "c")), &result), VESTA_ERR_TRY_AGAIN);
  assert_int_equal(prepare(&f, ELEMENTS(epoch_to(2, 0)), &result), VESTA_ERR_TRY_AGAIN);
  assert_int_equal(prepare(&f, ELEMENTS(create("d", "no slot")), &result), VESTA_ERR_TRY_AGAIN);
  assert_int_equal(apply(&f, ELEMENTS(overwrite("b", "x")), &result), VESTA_ERR_TRY_AGAIN);
  assert_int_equal(prepare(&f, ELEMENTS(overwrite("b", "x")), &result), VESTA_OK);
  assert_true(replica_check(f.replica));
  replica_abort(f.replica, 3);
  replica_abort(f.replica, 4);
  assert_true(replica_check(f.replica));
  replica_commit(f.replica, 2);
  must_read(&f, "a", "x");
  must_read(&f, "b", "b");
  must_not_find(&f, "c");
  assert_int_equal(prepare(&f, ELEMENTS(epoch_to(2, 0)), &result), VESTA_OK);
  assert_int_equal(prepare(&f, ELEMENTS(overwrite("b", "x")), &result), VESTA_ERR_TRY_AGAIN);
  replica_commit(f.replica, result.seq);
  fixture_close(&f);
}

static void a_prepared_record_is_never_dropped_from_the_log(void **state) {
  (void)state;
  fixture_t f;
  static uint8_t data[200000];
  fixture_open(&f, 8, sizeof data, 8);
  must_apply(&f, ELEMENTS(create("a", ""), create("b", ""), create("c", ""), create("d", ""), create("e", "")));
  replica_result_t result;
  vesta_err_t err = VESTA_OK;
  static const char *const ids[] = {"a", "b", "c", "d", "e"};
  uint32_t prepared = 0;
  while (err == VESTA_OK && prepared < 5) {
    replica_element_t elements[VESTA_VECTOR_ELEMENTS_MAX];
    for (size_t i = 0; i < 5; i++) {
      elements[i] = overwrite_bytes(ids[prepared], data, sizeof data);
    }
    err = prepare(&f, elements, 5, &result);
    prepared += err == VESTA_OK ? 1 : 0;
  }
  assert_int_equal(err, VESTA_ERR_TRY_AGAIN);
  assert_true(prepared >= 1);
  assert_true(replica_check(f.replica));
  replica_commit(f.replica, 1 + prepared);
  assert_true(replica_check(f.replica));
  must_apply(&f, ELEMENTS(overwrite_bytes("e", data, sizeof data)));
  fixture_close(&f);
}

/* ---- history ---- */

static void the_history_tells_what_was_done(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, 4, 40, 8);
  replica_result_t result;
  assert_int_equal(as_session(&f, 3, 8, ELEMENTS(create_until("", "xyz", NOW + 5), write_at("0", 7, "w")), &result),
                   VESTA_OK);
  must_apply(&f, ELEMENTS(epoch_to(2, 9)));
  fixture_restart(&f);
  replica_record_t record;
  replica_change_t change;
  assert_int_equal(replica_record(f.replica, 0, &record), VESTA_ERR_LOST);
  assert_int_equal(replica_record(f.replica, 3, &record), VESTA_ERR_NOT_EXIST);
  assert_int_equal(replica_record(f.replica, 1, &record), VESTA_OK);
  assert_int_equal(record.seq, 1);
  assert_int_equal(record.epoch, 1);
  assert_int_equal(record.time_ns, NOW);
  assert_int_equal(record.session.lo, 3);
  assert_int_equal(record.request, 8);
  assert_int_equal(record.element_count, 2);
  assert_true(replica_record_next(&record, &change));
  assert_int_equal(change.element.kind, VESTA_KIND_CREATED);
  assert_true(vesta_bytes_equal(change.element.id, text("0")));
  assert_true(vesta_bytes_equal(change.element.data, text("xyz")));
  assert_true(change.element.expiry_ns == NOW + 5);
  assert_int_equal(change.slot, 0);
  assert_true(replica_record_next(&record, &change));
  assert_int_equal(change.element.kind, VESTA_KIND_WRITTEN);
  assert_int_equal(change.element.offset, 7);
  assert_true(vesta_bytes_equal(change.element.data, text("w")));
  assert_false(replica_record_next(&record, &change));
  assert_false(replica_record_next(&record, &change));
  assert_int_equal(replica_record(f.replica, 2, &record), VESTA_OK);
  assert_true(replica_record_next(&record, &change));
  assert_int_equal(change.element.kind, VESTA_KIND_EPOCH);
  assert_int_equal(change.element.epoch, 2);
  assert_int_equal(change.element.member, 9);
  assert_true(change.slot == REPLICA_NO_SLOT);
  fixture_close(&f);
}

/* Sizes without a pattern, so that records meet the end of the ring, and those of the round before, in every way. */
static size_t size_for(uint64_t seq) {
  uint64_t z = seq * UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ (z >> 29)) * UINT64_C(0xbf58476d1ce4e5b9);
  return (size_t)((z >> 32) % ((z & 8) != 0 ? 5000 : 300));
}

static void the_log_forgets_the_oldest_and_stays_within_its_size(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, 4, 5000, 8);
  static uint8_t data[5000];
  must_apply(&f, ELEMENTS(create("a", "")));
  replica_status_t status;
  replica_status(f.replica, &status);
  uint64_t first = status.history_first;
  for (uint64_t seq = 2; seq < 8000; seq++) {
    memset(data, (int)seq, sizeof data);
    must_apply(&f, ELEMENTS(overwrite_bytes("a", data, size_for(seq))));
    replica_status(f.replica, &status);
    assert_true(status.history_first >= first);
    if (status.history_first > first + 1) {
      assert_true(replica_check(f.replica));
    }
    first = status.history_first;
  }
  assert_true(status.log_bytes <= VESTA_LOG_BYTES_MIN + 16 * PAGE_BYTES);
  assert_true(first > 7000 && first < 7900);
  replica_record_t record;
  assert_int_equal(replica_record(f.replica, first - 1, &record), VESTA_ERR_LOST);
  for (uint64_t seq = first; seq <= status.committed.seq; seq++) {
    replica_change_t change;
    assert_int_equal(replica_record(f.replica, seq, &record), VESTA_OK);
    assert_true(replica_record_next(&record, &change));
    assert_int_equal(change.element.data.size, size_for(seq));
    assert_true(change.element.data.size == 0 || change.element.data.data[0] == (uint8_t)seq);
  }
  assert_true(replica_check(f.replica));
  fixture_close(&f);
}

static void tombstones_tell_what_was_deleted_since(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, 4, 10, 8);
  must_apply(&f, ELEMENTS(create("a", ""), create("b", ""), create("c", "")));
  must_apply(&f, ELEMENTS(delete_of("a"), expired("b")));
  must_apply(&f, ELEMENTS(create("a", "")));
  must_apply(&f, ELEMENTS(delete_of("c")));
  fixture_restart(&f);
  static const char *const expected[] = {"a", "b", "c"};
  for (uint64_t after = 0; after <= 4; after++) {
    uint64_t cursor = 0;
    uint64_t epoch = 0;
    uint64_t seq = 0;
    vesta_bytes_t id;
    size_t i = after < 2 ? 0 : after < 4 ? 2 : 3;
    while (replica_tombstone_next(f.replica, after, &cursor, &id, &epoch, &seq)) {
      assert_true(vesta_bytes_equal(id, text(expected[i])));
      assert_int_equal(seq, i < 2 ? 2 : 4);
      assert_int_equal(epoch, 1);
      i++;
    }
    assert_int_equal(i, 3);
  }
  fixture_close(&f);
}

static void an_operation_that_is_half_forgotten_counts_as_forgotten(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, 4, 10, 8);
  replica_status_t status;
  for (uint32_t i = 0; i < VESTA_TOMBSTONES_MAX / 2; i++) {
    must_apply(&f, ELEMENTS(create("a", ""), create("b", ""), delete_of("a"), delete_of("b")));
  }
  static const uint64_t expected[] = {0, 1, 1, 2, 2, 3};
  for (size_t i = 0; i < 6; i++) {
    replica_status(f.replica, &status);
    assert_int_equal(status.tombstones_from, expected[i]);
    must_apply(&f, ELEMENTS(create("a", ""), delete_of("a")));
  }
  fixture_close(&f);
}

static void tombstones_past_the_limit_say_from_where_they_are_complete(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, 4, 10, 8);
  replica_status_t status;
  for (uint32_t i = 0; i < VESTA_TOMBSTONES_MAX; i++) {
    must_apply(&f, ELEMENTS(create("a", ""), delete_of("a")));
  }
  replica_status(f.replica, &status);
  assert_int_equal(status.tombstones_from, 0);
  must_apply(&f, ELEMENTS(create("a", ""), delete_of("a")));
  replica_status(f.replica, &status);
  assert_int_equal(status.tombstones_from, 1);
  fixture_close(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_resent_request_gets_the_stored_result),
      cmocka_unit_test(the_last_results_of_a_session_are_known_and_no_more),
      cmocka_unit_test(a_forgotten_session_leaves_its_place_and_no_trace),
      cmocka_unit_test(sessions_at_the_limit_write_and_one_more_does_not),
      cmocka_unit_test(what_is_prepared_is_not_visible_until_it_is_committed),
      cmocka_unit_test(operations_in_flight_may_not_touch_the_same_section),
      cmocka_unit_test(a_prepared_record_is_never_dropped_from_the_log),
      cmocka_unit_test(the_history_tells_what_was_done),
      cmocka_unit_test(the_log_forgets_the_oldest_and_stays_within_its_size),
      cmocka_unit_test(tombstones_tell_what_was_deleted_since),
      cmocka_unit_test(tombstones_past_the_limit_say_from_where_they_are_complete),
      cmocka_unit_test(an_operation_that_is_half_forgotten_counts_as_forgotten),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
