/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Operations with a condition (`unchanged_since`): when it holds, and that nothing happens when it does not.
 */
#include "test/unit/replica_fixture.h"

#define LINEAGE UINT64_C(4711) /* as in replica_fixture.h */

static vesta_pos_t position(uint64_t epoch, uint64_t seq) {
  return (vesta_pos_t){.lineage = LINEAGE, .epoch = epoch, .seq = seq};
}

static vesta_err_t apply_since(fixture_t *f, vesta_pos_t since, const replica_element_t *elements, size_t count,
                               replica_result_t *result) {
  replica_op_t op = op_of(elements, count);
  op.unchanged_since = since;
  return replica_apply(f->replica, &op, result);
}

static void must_refuse_since(fixture_t *f, vesta_pos_t since, uint32_t element, const replica_element_t *elements,
                              size_t count) {
  replica_result_t result;
  replica_status_t before, after;
  replica_status(f->replica, &before);
  assert_int_equal(apply_since(f, since, elements, count, &result), VESTA_ERR_CHANGED);
  assert_int_equal(result.element, element);
  replica_status(f->replica, &after);
  assert_memory_equal(&before, &after, sizeof before);
  assert_true(replica_check(f->replica));
}

/* a is of seq 1, b of seq 3, c of seq 2. */
static void open_three(fixture_t *f) {
  fixture_open(f, 8, 64, 8);
  must_apply(f, ELEMENTS(create("a", "1"), create("b", "1")));
  must_apply(f, ELEMENTS(create("c", "1")));
  must_apply(f, ELEMENTS(overwrite("b", "2")));
}

static void it_holds_at_the_seq_of_the_last_change_and_not_one_before(void **state) {
  (void)state;
  fixture_t f;
  replica_result_t result;
  open_three(&f);
  must_refuse_since(&f, position(1, 2), 0, ELEMENTS(overwrite("b", "x")));
  assert_int_equal(apply_since(&f, position(1, 3), ELEMENTS(overwrite("b", "x")), &result), VESTA_OK);
  assert_int_equal(result.seq, 4);
  assert_int_equal(result.epoch, 1);
  must_refuse_since(&f, position(1, 3), 0, ELEMENTS(overwrite("b", "y")));
  fixture_close(&f);
}

static void it_is_about_the_sections_that_are_touched_and_no_others(void **state) {
  (void)state;
  fixture_t f;
  replica_result_t result;
  open_three(&f);
  assert_int_equal(apply_since(&f, position(1, 1), ELEMENTS(write_at("a", 0, "x")), &result), VESTA_OK);
  must_refuse_since(&f, position(1, 2), 1, ELEMENTS(delete_of("c"), overwrite("b", "x")));
  assert_int_equal(apply_since(&f, position(1, 2), ELEMENTS(delete_of("c"), create("d", "x")), &result), VESTA_OK);
  fixture_close(&f);
}

static void every_kind_of_change_minds_it(void **state) {
  (void)state;
  fixture_t f;
  open_three(&f);
  must_refuse_since(&f, position(1, 2), 0, ELEMENTS(write_at("b", 0, "x")));
  must_refuse_since(&f, position(1, 2), 0, ELEMENTS(overwrite("b", "x")));
  must_refuse_since(&f, position(1, 2), 0, ELEMENTS(delete_of("b")));
  must_refuse_since(&f, position(1, 2), 0, ELEMENTS(expiry_set("b", NOW + 1)));
  fixture_close(&f);
}

static void what_the_operation_itself_has_touched_is_its_own(void **state) {
  (void)state;
  fixture_t f;
  replica_result_t result;
  open_three(&f);
  assert_int_equal(apply_since(&f, position(1, 3),
                               ELEMENTS(overwrite("b", "x"), overwrite("b", "y"), delete_of("b"), create("b", "z")),
                               &result),
                   VESTA_OK);
  fixture_close(&f);
}

static void what_is_gone_or_there_again_is_told_as_that(void **state) {
  (void)state;
  fixture_t f;
  replica_result_t result;
  open_three(&f);
  must_apply(&f, ELEMENTS(delete_of("b")));
  assert_int_equal(apply_since(&f, position(1, 3), ELEMENTS(overwrite("b", "x")), &result), VESTA_ERR_NOT_EXIST);
  must_apply(&f, ELEMENTS(create("b", "again")));
  must_refuse_since(&f, position(1, 3), 0, ELEMENTS(overwrite("b", "x")));
  assert_int_equal(apply_since(&f, position(1, 5), ELEMENTS(create("b", "x")), &result), VESTA_ERR_EXIST);
  fixture_close(&f);
}

static void a_position_that_is_not_of_this_history_never_holds(void **state) {
  (void)state;
  fixture_t f;
  replica_result_t result;
  open_three(&f);
  vesta_pos_t other = position(1, 3);
  other.lineage++;
  must_refuse_since(&f, other, REPLICA_NO_ELEMENT, ELEMENTS(overwrite("b", "x")));
  must_refuse_since(&f, position(1, 4), REPLICA_NO_ELEMENT, ELEMENTS(overwrite("b", "x")));
  must_refuse_since(&f, position(2, 3), REPLICA_NO_ELEMENT, ELEMENTS(overwrite("b", "x")));
  must_apply(&f, ELEMENTS(epoch_to(7, 1)));                                                 /* seq 4 */
  must_refuse_since(&f, position(1, 4), REPLICA_NO_ELEMENT, ELEMENTS(overwrite("b", "x"))); /* beyond its epoch's end */
  assert_int_equal(apply_since(&f, position(1, 3), ELEMENTS(overwrite("b", "x")), &result), VESTA_OK);
  assert_int_equal(result.epoch, 7);
  assert_int_equal(apply_since(&f, position(7, 5), ELEMENTS(overwrite("b", "y")), &result), VESTA_OK);
  fixture_close(&f);
}

/* An answer that is given again names the epoch in which the operation was done, also when that has ended since. */
static void a_stored_result_has_its_epoch(void **state) {
  (void)state;
  fixture_t f;
  replica_result_t result;
  fixture_open(&f, 8, 64, 8);
  replica_element_t element = create("a", "1");
  replica_op_t op = op_of(&element, 1);
  op.session = (vesta_token_t){.hi = 1, .lo = 2};
  op.request = 90;
  assert_int_equal(replica_apply(f.replica, &op, &result), VESTA_OK);
  assert_int_equal(result.epoch, 1);
  must_apply(&f, ELEMENTS(epoch_to(5, 1)));
  fixture_restart(&f);
  assert_int_equal(replica_request_find(f.replica, op.session, 90, &result), VESTA_OK);
  assert_int_equal(result.seq, 1);
  assert_int_equal(result.epoch, 1);
  element = create("b", "1");
  op.request = 91;
  assert_int_equal(replica_apply(f.replica, &op, &result), VESTA_OK);
  assert_int_equal(result.epoch, 5);
  assert_int_equal(replica_request_find(f.replica, op.session, 91, &result), VESTA_OK);
  assert_int_equal(result.epoch, 5);
  fixture_close(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(it_holds_at_the_seq_of_the_last_change_and_not_one_before),
      cmocka_unit_test(it_is_about_the_sections_that_are_touched_and_no_others),
      cmocka_unit_test(every_kind_of_change_minds_it),
      cmocka_unit_test(what_the_operation_itself_has_touched_is_its_own),
      cmocka_unit_test(what_is_gone_or_there_again_is_told_as_that),
      cmocka_unit_test(a_position_that_is_not_of_this_history_never_holds),
      cmocka_unit_test(a_stored_result_has_its_epoch),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
