/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A replica kept in step with another one: its log from the sender's side, being filled from the other's state, and
 * going on without an operation that it can't take. Rule by rule; replica_copy_random_test.c has random histories.
 */
#include "test/unit/replica_copies.h"

#include "core/replica_reader.h"

static uint8_t noise[LARGE_BYTES + 256];

/* ---- the log ---- */

static void a_prepared_operation_can_be_read_from_the_log_before_it_is_committed(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, SECTIONS_MAX, 100, ID_BYTES_MAX);
  must_apply(&f, ELEMENTS(create("a", "1")));
  must_apply(&f, ELEMENTS(epoch_to(5, 0)));
  replica_element_t element = create("b", "2");
  replica_op_t op = op_of(&element, 1);
  replica_result_t result;
  assert_int_equal(replica_prepare(f.replica, &op, &result), VESTA_OK);
  replica_record_t record;
  assert_int_equal(replica_record(f.replica, 3, &record), VESTA_ERR_NOT_EXIST);
  assert_int_equal(replica_log_record(f.replica, 3, &record), VESTA_OK);
  assert_int_equal(record.epoch, 5);
  assert_int_equal(replica_log_record(f.replica, 4, &record), VESTA_ERR_NOT_EXIST);
  assert_int_equal(replica_epoch_of(f.replica, 0), 0);
  assert_int_equal(replica_epoch_of(f.replica, 1), 1);
  assert_int_equal(replica_epoch_of(f.replica, 2), 5);
  assert_int_equal(replica_epoch_of(f.replica, 3), 5);
  fixture_close(&f);
}

static uint64_t digest_of(const replica_op_t *op) {
  fixture_t f;
  fixture_open(&f, SECTIONS_MAX, 100, ID_BYTES_MAX);
  must_apply(&f, ELEMENTS(create("a", "1"), create("b", "2")));
  replica_result_t result;
  assert_int_equal(replica_prepare(f.replica, op, &result), VESTA_OK);
  replica_record_t record;
  assert_int_equal(replica_log_record(f.replica, result.seq, &record), VESTA_OK);
  uint64_t value = replica_record_digest(&record);
  fixture_close(&f);
  return value;
}

static void a_digest_tells_operations_apart_by_everything_they_say(void **state) {
  (void)state;
  replica_element_t first[] = {write_at("a", 1, "xy"), overwrite("b", "z")};
  replica_op_t op = op_of(first, 2);
  op.session = session_of(1);
  op.request = 7;
  uint64_t digests[10] = {digest_of(&op)};
  assert_int_equal(digest_of(&op), digests[0]);
  replica_op_t other = op;
  other.time_ns++;
  digests[1] = digest_of(&other);
  other = op;
  other.session.lo++;
  digests[2] = digest_of(&other);
  other = op;
  other.request++;
  digests[3] = digest_of(&other);
  other = op;
  other.element_count = 1;
  digests[4] = digest_of(&other);
  first[0].offset = 0;
  digests[5] = digest_of(&op);
  first[0] = write_at("a", 1, "xz");
  digests[6] = digest_of(&op);
  first[0] = write_at("b", 1, "xy");
  digests[7] = digest_of(&op);
  first[0] = write_at("a", 1, "xyz"); /* the bytes of both elements together are the same as at first */
  first[1] = overwrite("b", "");
  digests[8] = digest_of(&op);
  replica_element_t made = create("c", "");
  op = op_of(&made, 1);
  digests[9] = digest_of(&op);
  made.slot_given = 1 + 7;
  assert_int_not_equal(digest_of(&op), digests[9]);
  made.slot_given = 1 + 2; /* where it goes by itself */
  assert_int_equal(digest_of(&op), digests[9]);
  for (size_t i = 0; i < 10; i++) {
    for (size_t j = 0; j < i; j++) {
      assert_int_not_equal(digests[i], digests[j]);
    }
  }
}

/* ---- being filled ---- */

static void a_filled_replica_equals_the_one_it_was_filled_from_and_goes_on_like_it(void **state) {
  (void)state;
  fixture_t a, b;
  fixture_open(&a, SECTIONS_MAX, LARGE_BYTES, ID_BYTES_MAX);
  same_kind_open(&b, &a);
  must_apply(&a, ELEMENTS(create("one", "1"), create_until("two", "22", NOW + 500)));
  must_apply(&a, ELEMENTS(epoch_to(3, 77)));
  must_apply(&a, ELEMENTS(create("gone", ""), overwrite_bytes("one", noise, LARGE_BYTES)));
  must_apply(&a, ELEMENTS(delete_of("gone"), of_kind(VESTA_KIND_CREATED, VESTA_TIME_END)));
  must_apply(&a, ELEMENTS(of_kind(VESTA_KIND_RETENTION_SET, 1234)));
  must_apply(&a, ELEMENTS(of_kind(VESTA_KIND_UNLINKED, 0)));
  replica_element_t element = write_at("two", 1, "x");
  replica_op_t op = op_of(&element, 1);
  op.session = session_of(4);
  op.request = 11;
  replica_result_t result;
  assert_int_equal(replica_apply(a.replica, &op, &result), VESTA_OK);
  fill(a.replica, b.replica);
  are_equal(a.replica, b.replica);
  replica_status_t status;
  replica_status(b.replica, &status);
  assert_int_equal(status.history_first, status.committed.seq + 1);
  assert_int_equal(status.tombstones_from, status.committed.seq);
  for (int i = 0; i < 3; i++) {
    must_apply(&a, ELEMENTS(of_kind(VESTA_KIND_CREATED, VESTA_TIME_END), delete_of("one"), create("one", "again")));
    uint64_t seq = position_of(a.replica).seq;
    copy_prepares(a.replica, seq, b.replica);
    replica_commit(b.replica, seq);
    are_equal(a.replica, b.replica);
    fixture_restart(&b);
  }
  fixture_close(&a);
  fixture_close(&b);
}

static void the_default_section_is_filled_like_any_other(void **state) {
  (void)state;
  fixture_t a, b;
  fixture_open(&a, 1, 100, ID_BYTES_MAX);
  same_kind_open(&b, &a);
  must_apply(&a, ELEMENTS(overwrite("", "only")));
  fill(a.replica, b.replica);
  are_equal(a.replica, b.replica);
  fixture_restart(&b);
  fixture_close(&a);
  fixture_close(&b);
}

static void a_replica_that_is_being_filled_is_not_taken_up_and_not_read(void **state) {
  (void)state;
  fixture_t a, b;
  fixture_open(&a, SECTIONS_MAX, 100, ID_BYTES_MAX);
  same_kind_open(&b, &a);
  must_apply(&a, ELEMENTS(create("a", "1")));
  assert_int_equal(replica_load_begin(b.replica), VESTA_OK);
  changed_load(a.replica, 0, b.replica);
  replica_reader_t reader;
  uint64_t index_bytes = 0;
  assert_int_equal(replica_reader_index_size(&b.attributes, &index_bytes), VESTA_OK);
  assert_int_equal(
      replica_reader_init(&reader, b.pages.region, index_bytes, 42, &b.attributes, &(replica_reader_io_t){0}),
      VESTA_OK);
  assert_true(replica_reader_until(&reader) == 0);
  replica_destroy(&b.replica);
  assert_int_equal(replica_recover(b.pages.region, b.pages.size, &b.storage, &b.replica), VESTA_ERR_MALFORMED);
  replica_readable_until(a.replica, 17);
  assert_int_equal(
      replica_reader_init(&reader, a.pages.region, index_bytes, 42, &a.attributes, &(replica_reader_io_t){0}),
      VESTA_OK);
  assert_true(replica_reader_until(&reader) == 17);
  fixture_close(&a);
  pages_close(&b.pages);
}

static void a_section_may_come_in_parts(void **state) {
  (void)state;
  fixture_t a, b;
  fixture_open(&a, SECTIONS_MAX, LARGE_BYTES, ID_BYTES_MAX);
  same_kind_open(&b, &a);
  must_apply(&a, ELEMENTS(create("a", "")));
  must_apply(&a, ELEMENTS(overwrite_bytes("a", noise, LARGE_BYTES)));
  assert_int_equal(replica_load_begin(b.replica), VESTA_OK);
  replica_section_t s;
  assert_true(replica_find(a.replica, text("a"), NOW, &s));
  for (uint64_t at = 0; at < s.size; at += 30000) {
    uint64_t size = s.size - at < 30000 ? s.size - at : 30000;
    assert_int_equal(replica_load_section(b.replica, &s, at, vesta_bytes(s.data + at, size)), VESTA_OK);
  }
  assert_int_equal(end_load(a.replica, 2, b.replica), VESTA_OK);
  are_equal(a.replica, b.replica);
  fixture_close(&a);
  fixture_close(&b);
}

static void a_section_that_can_not_be_is_refused(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, 2, 100, ID_BYTES_MAX);
  assert_int_equal(replica_load_begin(f.replica), VESTA_OK);
  const replica_section_t good = {
      .id = text("12345678"), .size = 100, .expiry_ns = VESTA_TIME_END, .epoch = 1, .seq = 1};
  vesta_bytes_t none = {0};
  replica_section_t bad = good;
  bad.id = text("123456789");
  assert_int_equal(replica_load_section(f.replica, &bad, 0, none), VESTA_ERR_INVALID_PARAM);
  bad.id = text("");
  assert_int_equal(replica_load_section(f.replica, &bad, 0, none), VESTA_ERR_INVALID_PARAM);
  bad = good;
  bad.size = 101;
  assert_int_equal(replica_load_section(f.replica, &bad, 0, none), VESTA_ERR_INVALID_PARAM);
  bad = good;
  bad.created_seq = 2;
  assert_int_equal(replica_load_section(f.replica, &bad, 0, none), VESTA_ERR_INVALID_PARAM);
  assert_int_equal(replica_load_section(f.replica, &good, 101, none), VESTA_ERR_INVALID_PARAM);
  assert_int_equal(replica_load_section(f.replica, &good, 99, vesta_bytes(noise, 2)), VESTA_ERR_INVALID_PARAM);
  assert_int_equal(replica_load_section(f.replica, &good, 99, vesta_bytes(noise, 1)), VESTA_OK);
  replica_section_t more = good;
  more.id = text("2");
  more.slot = 1;
  assert_int_equal(replica_load_section(f.replica, &more, 0, none), VESTA_OK);
  more.slot = 2;
  assert_int_equal(replica_load_section(f.replica, &more, 0, none), VESTA_ERR_INVALID_PARAM);
  assert_int_equal(replica_load_delete(f.replica, text(""), 1, 1), VESTA_ERR_INVALID_PARAM);
  assert_int_equal(replica_load_delete(f.replica, text("123456789"), 1, 1), VESTA_ERR_INVALID_PARAM);
  fixture_close(&f);
  fixture_open(&f, 1, 100, ID_BYTES_MAX);
  assert_int_equal(replica_load_begin(f.replica), VESTA_OK);
  assert_int_equal(replica_load_section(f.replica, &good, 0, none), VESTA_ERR_INVALID_PARAM);
  fixture_close(&f);
}

static void what_ends_a_load_must_fit_what_was_loaded(void **state) {
  (void)state;
  fixture_t a, b;
  fixture_open(&a, SECTIONS_MAX, 100, ID_BYTES_MAX);
  same_kind_open(&b, &a);
  must_apply(&a, ELEMENTS(create("a", "1")));
  must_apply(&a, ELEMENTS(epoch_to(4, 0)));
  must_apply(&a, ELEMENTS(create("b", "2")));
  assert_int_equal(replica_load_begin(b.replica), VESTA_OK);
  changed_load(a.replica, 0, b.replica);
  const vesta_epoch_row_t rows[] = {{1, 1}, {4, 2}};
  const vesta_epoch_row_t backwards[] = {{4, 1}, {4, 2}};
  replica_load_rest_t rest = {.tombstones_from = 3};
  vesta_pos_t at = {4711, 4, 3};
  assert_int_equal(replica_load_end(b.replica, (vesta_pos_t){4712, 4, 3}, rows, 2, &rest), VESTA_ERR_INVALID_PARAM);
  assert_int_equal(replica_load_end(b.replica, (vesta_pos_t){4711, 5, 3}, rows, 2, &rest), VESTA_ERR_INVALID_PARAM);
  assert_int_equal(replica_load_end(b.replica, (vesta_pos_t){4711, 4, 0}, rows, 2, &rest), VESTA_ERR_INVALID_PARAM);
  assert_int_equal(replica_load_end(b.replica, (vesta_pos_t){4711, 4, 2}, rows, 2, &rest), VESTA_ERR_INVALID_PARAM);
  assert_int_equal(replica_load_end(b.replica, at, rows, 0, &rest), VESTA_ERR_INVALID_PARAM);
  assert_int_equal(replica_load_end(b.replica, at, backwards, 2, &rest), VESTA_ERR_INVALID_PARAM);
  assert_int_equal(replica_load_end(b.replica, at, rows, VESTA_EPOCHS_MAX + 1, &rest), VESTA_ERR_INVALID_PARAM);
  assert_int_equal(replica_load_end(b.replica, at, rows, 2, &rest), VESTA_OK);
  fixture_restart(&b);
  fixture_close(&a);
  fixture_close(&b);
}

static void a_delete_that_comes_twice_is_remembered_once_and_in_order(void **state) {
  (void)state;
  fixture_t a, b;
  fixture_open(&a, SECTIONS_MAX, 100, ID_BYTES_MAX);
  same_kind_open(&b, &a);
  must_apply(&a, ELEMENTS(create("a", ""), create("b", ""), create("c", ""), create("d", "")));
  assert_int_equal(replica_load_begin(b.replica), VESTA_OK);
  changed_load(a.replica, 0, b.replica);
  must_apply(&a, ELEMENTS(delete_of("a"), delete_of("b")));
  deletes_load(a.replica, 1, b.replica);
  deletes_load(a.replica, 1, b.replica);
  must_apply(&a, ELEMENTS(delete_of("c")));
  deletes_load(a.replica, 1, b.replica);
  deletes_load(a.replica, 2, b.replica);
  assert_int_equal(end_load(a.replica, 1, b.replica), VESTA_OK);
  are_equal(a.replica, b.replica);
  fixture_close(&a);
  fixture_close(&b);
}

static void a_section_that_was_deleted_and_created_again_stays(void **state) {
  (void)state;
  fixture_t a, b;
  fixture_open(&a, SECTIONS_MAX, 100, ID_BYTES_MAX);
  same_kind_open(&b, &a);
  must_apply(&a, ELEMENTS(create("a", "old"), create("b", "old")));
  must_apply(&a, ELEMENTS(delete_of("a"), create("a", "new")));
  must_apply(&a, ELEMENTS(delete_of("b")));
  must_apply(&a, ELEMENTS(create("b", "new")));
  assert_int_equal(replica_load_begin(b.replica), VESTA_OK);
  changed_load(a.replica, 0, b.replica);
  deletes_load(a.replica, 0, b.replica);
  assert_int_equal(end_load(a.replica, 0, b.replica), VESTA_OK);
  are_equal(a.replica, b.replica);
  must_read(&b, "a", "new");
  fixture_close(&a);
  fixture_close(&b);
}

static void sections_that_were_not_named_since_the_mark_are_swept(void **state) {
  (void)state;
  fixture_t a, b;
  fixture_open(&a, SECTIONS_MAX, 9000, ID_BYTES_MAX);
  same_kind_open(&b, &a);
  must_apply(&a, ELEMENTS(create("a", "1"), create_until("b", "2", NOW + 5), create("c", "3")));
  assert_int_equal(replica_load_begin(b.replica), VESTA_OK);
  changed_load(a.replica, 0, b.replica);
  must_apply(&a, ELEMENTS(delete_of("b"), delete_of("a"), create("d", "4")));
  replica_load_mark(b.replica);
  changed_load(a.replica, 0, b.replica);
  replica_load_sweep(b.replica);
  assert_int_equal(end_load(a.replica, 2, b.replica), VESTA_OK);
  are_equal(a.replica, b.replica);
  must_apply(&b, ELEMENTS(create("e", "5"), create("f", "6")));
  assert_true(replica_check(b.replica));
  fixture_close(&a);
  fixture_close(&b);
}

static void the_last_results_of_a_session_are_kept_whatever_came_twice(void **state) {
  (void)state;
  fixture_t a, b;
  fixture_open(&a, SECTIONS_MAX, 100, ID_BYTES_MAX);
  same_kind_open(&b, &a);
  assert_int_equal(replica_load_begin(b.replica), VESTA_OK);
  must_apply(&a, ELEMENTS(create("a", "")));
  for (uint64_t request = 1; request <= 3 * VESTA_SESSION_WINDOW; request++) {
    replica_element_t element = request % 5 == 0 ? of_kind(VESTA_KIND_CREATED, VESTA_TIME_END) : overwrite("a", "x");
    replica_op_t op = op_of(&element, 1);
    op.session = session_of(1);
    op.request = request;
    replica_result_t result;
    assert_int_equal(replica_apply(a.replica, &op, &result), VESTA_OK);
    if (request % 40 == 0) {
      results_load(a.replica, request > 60 ? request - 60 : 0, b.replica);
    }
  }
  changed_load(a.replica, 0, b.replica);
  results_load(a.replica, 0, b.replica);
  assert_int_equal(end_load(a.replica, position_of(a.replica).seq, b.replica), VESTA_OK);
  are_equal(a.replica, b.replica);
  replica_result_t result = {.seq = 1, .generated_id_size = 1, .generated_id = {'?'}};
  assert_int_equal(replica_load_result(b.replica, (vesta_token_t){0}, 1, &(replica_result_t){.seq = 1}),
                   VESTA_ERR_INVALID_PARAM);
  assert_int_equal(replica_load_result(b.replica, session_of(2), 1, &result), VESTA_ERR_INVALID_PARAM);
  replica_session_forget(b.replica, session_of(1));
  assert_true(replica_check(b.replica));
  fixture_close(&a);
  fixture_close(&b);
}

static void a_load_goes_on_after_storage_was_full(void **state) {
  (void)state;
  fixture_t a, b;
  fixture_open(&a, SECTIONS_MAX, LARGE_BYTES, ID_BYTES_MAX);
  same_kind_open(&b, &a);
  must_apply(&a, ELEMENTS(create("a", "1"), create("b", "2")));
  must_apply(&a, ELEMENTS(delete_of("b")));
  assert_int_equal(replica_load_begin(b.replica), VESTA_OK);
  replica_section_t s;
  assert_true(replica_find(a.replica, text("a"), NOW, &s));
  b.pages.fail_at = b.pages.reserve_calls + 1;
  assert_int_equal(replica_load_section(b.replica, &s, 0, text("1")), VESTA_ERR_NO_SPACE);
  assert_int_equal(replica_load_section(b.replica, &s, 0, text("1")), VESTA_OK);
  b.pages.fail_at = b.pages.reserve_calls + 1;
  assert_int_equal(replica_load_delete(b.replica, text("b"), 1, 2), VESTA_ERR_NO_SPACE);
  assert_int_equal(replica_load_delete(b.replica, text("b"), 1, 2), VESTA_OK);
  b.pages.fail_at = b.pages.reserve_calls + 1;
  replica_result_t result = {.seq = 1};
  assert_int_equal(replica_load_result(b.replica, session_of(1), 1, &result), VESTA_ERR_NO_SPACE);
  b.pages.fail_at = b.pages.reserve_calls + 1;
  assert_int_equal(end_load(a.replica, 0, b.replica), VESTA_ERR_NO_SPACE);
  assert_int_equal(end_load(a.replica, 0, b.replica), VESTA_OK);
  are_equal(a.replica, b.replica);
  fixture_close(&a);
  fixture_close(&b);
}

static void a_replica_filled_at_a_high_position_goes_on_and_is_taken_up(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, SECTIONS_MAX, 100, ID_BYTES_MAX);
  assert_int_equal(replica_load_begin(f.replica), VESTA_OK);
  const vesta_epoch_row_t rows[] = {{7, 50}, {9, UINT64_C(1) << 40}};
  replica_load_rest_t rest = {.tombstones_from = UINT64_C(1) << 41};
  assert_int_equal(replica_load_end(f.replica, (vesta_pos_t){4711, 9, UINT64_C(1) << 41}, rows, 2, &rest), VESTA_OK);
  fixture_restart(&f);
  for (int i = 0; i < 4; i++) {
    must_apply(&f, ELEMENTS(of_kind(VESTA_KIND_CREATED, VESTA_TIME_END)));
    fixture_restart(&f);
  }
  assert_int_equal(position_of(f.replica).seq, (UINT64_C(1) << 41) + 4);
  fixture_close(&f);
}

/* ---- going on without ---- */

static void must_skip(fixture_t *f, const replica_element_t *elements, size_t count) {
  replica_op_t op = op_of(elements, count);
  replica_result_t result;
  uint64_t seq = position_of(f->replica).seq;
  assert_int_equal(replica_skip(f->replica, &op, &result), VESTA_OK);
  assert_int_equal(result.seq, seq + 1);
  assert_true(replica_check(f->replica));
}

static bool is_corrupted(const fixture_t *f, const char *id) {
  replica_section_t s;
  assert_true(replica_find(f->replica, text(id), NOW, &s));
  return s.corrupted;
}

static void a_skipped_operation_leaves_its_sections_corrupted_until_they_are_written_whole(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, SECTIONS_MAX, 9000, ID_BYTES_MAX);
  must_apply(&f, ELEMENTS(create("a", "old"), create("b", "old"), create("c", "old")));
  must_skip(&f, ELEMENTS(write_at("a", 2, "xy"), overwrite("b", "new"), create("d", "new")));
  replica_status_t status;
  replica_status(f.replica, &status);
  assert_int_equal(status.committed.seq, 2);
  assert_int_equal(status.history_first, 3);
  assert_int_equal(status.corrupted_count, 3);
  assert_true(is_corrupted(&f, "a") && is_corrupted(&f, "b") && is_corrupted(&f, "d"));
  assert_false(is_corrupted(&f, "c"));
  must_refuse(&f, VESTA_ERR_CORRUPTED, 0, ELEMENTS(write_at("a", 0, "x")));
  must_refuse(&f, VESTA_ERR_CORRUPTED, 1, ELEMENTS(write_at("c", 0, "x"), expiry_set("a", NOW + 1)));
  fixture_restart(&f);
  must_apply(&f, ELEMENTS(overwrite("a", "whole"), write_at("a", 0, "W")));
  must_apply(&f, ELEMENTS(delete_of("b"), create("b", "again")));
  must_read(&f, "a", "Whole");
  must_read(&f, "b", "again");
  fixture_restart(&f);
  replica_status(f.replica, &status);
  assert_int_equal(status.corrupted_count, 1);
  must_apply(&f, ELEMENTS(delete_of("d")));
  replica_status(f.replica, &status);
  assert_int_equal(status.corrupted_count, 0);
  fixture_close(&f);
}

static void a_corrupted_section_follows_what_it_can_and_stays_corrupted(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, SECTIONS_MAX, 9000, ID_BYTES_MAX);
  must_apply(&f, ELEMENTS(create("a", "old"), create("b", "old")));
  must_skip(&f, ELEMENTS(overwrite("a", "new"), expiry_set("a", NOW + 50), expiry_set("b", NOW + 60)));
  assert_true(is_corrupted(&f, "a"));
  assert_false(is_corrupted(&f, "b"));
  must_skip(&f, ELEMENTS(expiry_set("a", NOW + 70)));
  assert_true(is_corrupted(&f, "a"));
  replica_section_t s;
  assert_true(replica_find(f.replica, text("a"), NOW, &s));
  assert_true(s.expiry_ns == NOW + 70 && s.seq == 3);
  must_skip(&f, ELEMENTS(delete_of("b")));
  must_not_find(&f, "b");
  fixture_restart(&f);
  assert_true(is_corrupted(&f, "a"));
  fixture_close(&f);
}

static void what_makes_no_sense_is_not_skipped(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, SECTIONS_MAX, 100, ID_BYTES_MAX);
  must_apply(&f, ELEMENTS(create("a", "")));
  replica_element_t element = write_at("no", 0, "x");
  replica_op_t op = op_of(&element, 1);
  replica_result_t result;
  assert_int_equal(replica_skip(f.replica, &op, &result), VESTA_ERR_NOT_EXIST);
  assert_int_equal(result.element, 0);
  op.element_count = 0;
  assert_int_equal(replica_skip(f.replica, &op, &result), VESTA_ERR_INVALID_PARAM);
  op.element_count = VESTA_VECTOR_ELEMENTS_MAX + 1;
  assert_int_equal(replica_skip(f.replica, &op, &result), VESTA_ERR_INVALID_PARAM);
  element = overwrite("a", "x");
  op.element_count = 1;
  assert_int_equal(replica_prepare(f.replica, &op, &result), VESTA_OK);
  assert_int_equal(replica_skip(f.replica, &op, &result), VESTA_ERR_TRY_AGAIN);
  replica_abort(f.replica, 2);
  f.pages.fail_at = f.pages.reserve_calls + 1;
  op.session = session_of(1);
  assert_int_equal(replica_skip(f.replica, &op, &result), VESTA_ERR_NO_SPACE);
  must_apply(&f, ELEMENTS(overwrite("a", "x")));
  must_read(&f, "a", "x");
  fixture_close(&f);
}

static void data_that_stays_in_the_log_outlives_a_skipped_operation(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, SECTIONS_MAX, LARGE_BYTES, ID_BYTES_MAX);
  must_apply(&f, ELEMENTS(create("a", ""), create("b", "")));
  must_apply(&f, ELEMENTS(overwrite_bytes("a", noise, LARGE_BYTES)));
  must_skip(&f, ELEMENTS(overwrite("b", "x")));
  fixture_restart(&f);
  for (uint32_t i = 0; i < 40; i++) { /* round the ring */
    must_apply(&f, ELEMENTS(overwrite_bytes("b", noise + 7, LARGE_BYTES)));
  }
  replica_section_t s;
  assert_true(replica_find(f.replica, text("a"), NOW, &s));
  assert_int_equal(s.size, LARGE_BYTES);
  assert_memory_equal(s.data, noise, LARGE_BYTES);
  fixture_close(&f);
}

static void a_corrupted_section_gets_its_content_back(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, SECTIONS_MAX, 9000, ID_BYTES_MAX);
  must_apply(&f, ELEMENTS(create("a", "old"), create("b", "old")));
  must_skip(&f, ELEMENTS(overwrite("a", "new")));
  assert_int_equal(replica_restore_section(f.replica, text("no"), text("x")), VESTA_ERR_NOT_EXIST);
  assert_int_equal(replica_restore_section(f.replica, text("b"), text("x")), VESTA_ERR_NOT_EXIST);
  assert_int_equal(replica_restore_section(f.replica, text("a"), vesta_bytes(noise, 9001)), VESTA_ERR_INVALID_PARAM);
  f.pages.fail_at = f.pages.reserve_calls + 1;
  assert_int_equal(replica_restore_section(f.replica, text("a"), vesta_bytes(noise, 9000)), VESTA_ERR_NO_SPACE);
  assert_true(is_corrupted(&f, "a"));
  replica_element_t element = overwrite("a", "x");
  replica_op_t op = op_of(&element, 1);
  replica_result_t result;
  assert_int_equal(replica_prepare(f.replica, &op, &result), VESTA_OK);
  assert_int_equal(replica_restore_section(f.replica, text("a"), text("new")), VESTA_ERR_TRY_AGAIN);
  replica_abort(f.replica, 3);
  assert_int_equal(replica_restore_section(f.replica, text("a"), vesta_bytes(noise, 9000)), VESTA_OK);
  replica_section_t s;
  assert_true(replica_find(f.replica, text("a"), NOW, &s));
  assert_true(!s.corrupted && s.seq == 2 && s.size == 9000);
  assert_memory_equal(s.data, noise, 9000);
  fixture_restart(&f);
  assert_false(is_corrupted(&f, "a"));
  fixture_close(&f);
}

static void every_corrupted_section_is_found_by_looking_at_a_few_slots_at_a_time(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, SECTIONS_MAX, 100, ID_BYTES_MAX);
  for (int i = 0; i < 30; i++) {
    must_apply(&f, ELEMENTS(of_kind(VESTA_KIND_CREATED, VESTA_TIME_END)));
  }
  uint32_t found = 0, slot = 0;
  replica_section_t s;
  while (replica_slot_next(f.replica, slot, UINT32_MAX, &s)) {
    char id[ID_BYTES_MAX + 1] = {0};
    memcpy(id, s.id.data, s.id.size);
    slot = s.slot + 1;
    if (s.slot % 7 == 3) {
      must_skip(&f, ELEMENTS(overwrite(id, "x")));
    }
  }
  for (slot = 0; slot < replica_slot_end(f.replica);) {
    uint32_t before = slot;
    bool any = replica_corrupted_next(f.replica, &slot, 4, &s);
    assert_true(slot > before && slot <= before + 4);
    assert_true(!any || (s.corrupted && s.slot == slot - 1));
    found += any ? 1 : 0;
  }
  assert_int_equal(found, 4);
  fixture_close(&f);
}

/* ---- killed at any store ---- */

typedef struct killer {
  fixture_t *live;
  char *(*seen)(const replica_t *replica);
  fixture_t copy;
  char *before, *after; /* what may be found */
  uint32_t stores, seen_before, seen_after;
} killer_t;

static char *seen_wholly(const replica_t *replica) {
  dump_t dump = fixture_dump(replica);
  replica_section_t s;
  uint32_t slot = 0;
  char marks[64] = "";
  while (replica_corrupted_next(replica, &slot, 100, &s)) {
    snprintf(marks + strlen(marks), 8, " %u", s.slot);
  }
  char *both = NULL;
  assert_true(asprintf(&both, "%scorrupted%s", dump.text, marks) > 0);
  dump_free(&dump);
  return both;
}

/* What a corrupted section contains is nothing that anybody sees. */
static char *seen_of_a(const replica_t *replica) {
  replica_section_t s;
  char *all = NULL;
  assert_true(replica_find(replica, text("a"), NOW, &s));
  if (s.corrupted) {
    assert_true(asprintf(&all, "corrupted at %llu", (unsigned long long)s.seq) > 0);
  } else {
    assert_true(asprintf(&all, "%llu bytes %llx at %llu", (unsigned long long)s.size,
                         (unsigned long long)digest(s.data, s.size), (unsigned long long)s.seq) > 0);
  }
  return all;
}

static void killed_here(void *context) {
  killer_t *k = context;
  k->stores++;
  pages_copy(&k->live->pages, &k->copy.pages);
  assert_int_equal(replica_recover(k->copy.pages.region, k->copy.pages.size, &k->copy.storage, &k->copy.replica),
                   VESTA_OK);
  assert_true(replica_check(k->copy.replica));
  char *found = k->seen(k->copy.replica);
  bool is_before = strcmp(found, k->before) == 0;
  k->seen_before += is_before ? 1 : 0;
  k->seen_after += is_before ? 0 : 1;
  if (!is_before && k->after != NULL && strcmp(found, k->after) != 0) {
    fail_msg("neither before nor after:\n%s\nafter:\n%s", found, k->after);
  }
  if (!is_before && k->after == NULL) {
    k->after = strdup(found);
  }
  free(found);
  replica_status_t status;
  replica_status(k->copy.replica, &status);
  assert_int_equal(status.prepared_seq, status.committed.seq);
  must_apply(&k->copy, ELEMENTS(overwrite("b", "goes on")));
  replica_destroy(&k->copy.replica);
}

static void kill_everywhere(fixture_t *f, void (*action)(fixture_t *f), char *(*seen)(const replica_t *replica)) {
  killer_t k = {.live = f, .seen = seen};
  pages_open(&k.copy.pages, f->pages.size, true);
  k.copy.storage = (replica_storage_t){.context = &k.copy.pages, .reserve = pages_reserve, .release = pages_release};
  k.before = seen(f->replica);
  replica_store_hook(f->replica, killed_here, &k);
  action(f);
  replica_store_hook(f->replica, NULL, NULL);
  char *after = seen(f->replica);
  assert_true(k.stores > 5 && k.seen_before > 0 && k.seen_after > 0);
  assert_string_equal(after, k.after);
  free(after);
  free(k.before);
  free(k.after);
  pages_close(&k.copy.pages);
}

static void skip_three(fixture_t *f) {
  must_skip(f, ELEMENTS(overwrite("a", "new"), create("n", "x"), delete_of("c")));
}
static void restore_a(fixture_t *f) {
  assert_int_equal(replica_restore_section(f->replica, text("a"), vesta_bytes(noise, 9000)), VESTA_OK);
}

static void a_process_killed_while_it_skips_or_restores_has_done_it_or_not(void **state) {
  (void)state;
  fixture_t f;
  fixture_open(&f, SECTIONS_MAX, LARGE_BYTES, ID_BYTES_MAX);
  must_apply(&f, ELEMENTS(create("a", "old"), create("b", "old"), create("c", "old")));
  must_apply(&f, ELEMENTS(overwrite_bytes("b", noise, LARGE_BYTES))); /* it is in the log */
  kill_everywhere(&f, skip_three, seen_wholly);
  assert_true(is_corrupted(&f, "a"));
  kill_everywhere(&f, restore_a, seen_of_a);
  assert_false(is_corrupted(&f, "a"));
  fixture_close(&f);
}

int main(void) {
  for (size_t i = 0; i < sizeof noise; i++) {
    noise[i] = (uint8_t)(i * 131 + i / 251 + 1);
  }
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_prepared_operation_can_be_read_from_the_log_before_it_is_committed),
      cmocka_unit_test(a_digest_tells_operations_apart_by_everything_they_say),
      cmocka_unit_test(a_filled_replica_equals_the_one_it_was_filled_from_and_goes_on_like_it),
      cmocka_unit_test(the_default_section_is_filled_like_any_other),
      cmocka_unit_test(a_replica_that_is_being_filled_is_not_taken_up_and_not_read),
      cmocka_unit_test(a_section_may_come_in_parts),
      cmocka_unit_test(a_section_that_can_not_be_is_refused),
      cmocka_unit_test(what_ends_a_load_must_fit_what_was_loaded),
      cmocka_unit_test(a_delete_that_comes_twice_is_remembered_once_and_in_order),
      cmocka_unit_test(a_section_that_was_deleted_and_created_again_stays),
      cmocka_unit_test(sections_that_were_not_named_since_the_mark_are_swept),
      cmocka_unit_test(the_last_results_of_a_session_are_kept_whatever_came_twice),
      cmocka_unit_test(a_load_goes_on_after_storage_was_full),
      cmocka_unit_test(a_replica_filled_at_a_high_position_goes_on_and_is_taken_up),
      cmocka_unit_test(a_skipped_operation_leaves_its_sections_corrupted_until_they_are_written_whole),
      cmocka_unit_test(a_corrupted_section_follows_what_it_can_and_stays_corrupted),
      cmocka_unit_test(what_makes_no_sense_is_not_skipped),
      cmocka_unit_test(data_that_stays_in_the_log_outlives_a_skipped_operation),
      cmocka_unit_test(a_corrupted_section_gets_its_content_back),
      cmocka_unit_test(every_corrupted_section_is_found_by_looking_at_a_few_slots_at_a_time),
      cmocka_unit_test(a_process_killed_while_it_skips_or_restores_has_done_it_or_not),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
