/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The role of one member: every row of the table in ext_api/member_role.h.
 */
#include "ext_api/member_role.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define ME 7U
#define OTHER 8U

static void expect_event(member_role_t *role, vesta_role_t told, vesta_role_reason_t reason) {
  member_role_event_t event;
  assert_true(member_role_next(role, &event));
  assert_int_equal(event.role, told);
  assert_int_equal(event.reason, reason);
}

static void expect_epoch(member_role_t *role, vesta_role_t told, uint64_t epoch) {
  member_role_event_t event;
  assert_true(member_role_next(role, &event));
  assert_int_equal(event.role, told);
  assert_int_equal(event.epoch, epoch);
}

static void expect_nothing(member_role_t *role) {
  member_role_event_t event;
  assert_false(member_role_next(role, &event));
}

static member_role_t joined(void) {
  member_role_t role;
  member_role_init(&role, ME);
  expect_event(&role, VESTA_ROLE_STANDBY, VESTA_ROLE_JOINED);
  expect_nothing(&role);
  return role;
}

static member_role_t promoting(uint64_t epoch, uint64_t barrier) {
  member_role_t role = joined();
  member_role_operation(&role, epoch, ME, barrier);
  expect_epoch(&role, VESTA_ROLE_PROMOTING, epoch);
  expect_nothing(&role);
  return role;
}

static member_role_t active(uint64_t epoch) {
  member_role_t role = promoting(epoch, 10);
  assert_true(member_role_ready(&role, 10));
  member_role_confirmed(&role);
  expect_epoch(&role, VESTA_ROLE_ACTIVE, epoch);
  expect_nothing(&role);
  return role;
}

static void a_member_is_standby_first(void **state) {
  (void)state;
  member_role_t role = joined();
  assert_int_equal(role.role, VESTA_ROLE_STANDBY);
  assert_false(member_role_ready(&role, UINT64_MAX));
}

static void a_grant_to_another_is_nothing_to_a_standby(void **state) {
  (void)state;
  member_role_t role = joined();
  member_role_operation(&role, 2, OTHER, 5);
  expect_nothing(&role);
}

static void a_promotion_is_ready_at_its_barrier_and_not_before(void **state) {
  (void)state;
  member_role_t role = promoting(3, 10);
  assert_false(member_role_ready(&role, 9));
  assert_true(member_role_ready(&role, 10));
  assert_true(member_role_ready(&role, 11));
}

static void a_promotion_is_not_ready_before_it_was_told(void **state) {
  (void)state;
  member_role_t role = joined();
  member_role_operation(&role, 3, ME, 10);
  assert_false(member_role_ready(&role, 10));
  expect_epoch(&role, VESTA_ROLE_PROMOTING, 3);
  assert_true(member_role_ready(&role, 10));
}

static void a_promotion_is_revoked_by_a_grant_to_another_and_by_a_refusal(void **state) {
  (void)state;
  member_role_t role = promoting(3, 10);
  member_role_operation(&role, 4, OTHER, 12);
  expect_event(&role, VESTA_ROLE_STANDBY, VESTA_ROLE_REVOKED);
  expect_nothing(&role);
  role = promoting(3, 10);
  member_role_refused(&role);
  expect_event(&role, VESTA_ROLE_STANDBY, VESTA_ROLE_REVOKED);
  expect_nothing(&role);
}

static void a_promotion_that_is_granted_anew_goes_on_with_the_new_epoch(void **state) {
  (void)state;
  member_role_t role = promoting(3, 10);
  member_role_operation(&role, 5, ME, 20);
  expect_epoch(&role, VESTA_ROLE_PROMOTING, 5);
  assert_false(member_role_ready(&role, 10));
  assert_true(member_role_ready(&role, 20));
}

static void an_older_grant_is_ignored(void **state) {
  (void)state;
  member_role_t role = active(5);
  member_role_operation(&role, 4, OTHER, 9);
  member_role_operation(&role, 5, ME, 10);
  member_role_answer(&role, ME, 4, 9, MEMBER_NOT_GRANTED);
  expect_nothing(&role);
  assert_int_equal(role.role, VESTA_ROLE_ACTIVE);
}

static void an_active_is_fenced_by_a_grant_to_another_and_stands_by_again(void **state) {
  (void)state;
  member_role_t role = active(3);
  member_role_operation(&role, 4, OTHER, 12);
  expect_event(&role, VESTA_ROLE_FENCED, 0);
  expect_event(&role, VESTA_ROLE_STANDBY, VESTA_ROLE_AGAIN);
  expect_nothing(&role);
}

static void an_active_that_is_granted_anew_was_fenced_in_between(void **state) {
  (void)state;
  member_role_t role = active(3);
  member_role_operation(&role, 5, ME, 30);
  expect_event(&role, VESTA_ROLE_FENCED, 0);
  expect_event(&role, VESTA_ROLE_STANDBY, VESTA_ROLE_AGAIN);
  expect_epoch(&role, VESTA_ROLE_PROMOTING, 5);
  expect_nothing(&role);
}

static void who_resigned_is_standby_and_not_fenced(void **state) {
  (void)state;
  member_role_t role = active(3);
  member_role_resigned(&role);
  expect_event(&role, VESTA_ROLE_STANDBY, VESTA_ROLE_RESIGNED);
  member_role_operation(&role, 4, OTHER, 12);
  expect_nothing(&role);
  role = active(3); /* the answer was lost, the grant to the next one is seen first */
  role.resigning = true;
  member_role_operation(&role, 4, OTHER, 12);
  expect_event(&role, VESTA_ROLE_STANDBY, VESTA_ROLE_RESIGNED);
  expect_nothing(&role);
  assert_false(role.resigning);
}

static void a_grant_inside_a_snapshot_is_settled_by_the_answer(void **state) {
  (void)state;
  member_role_t role = joined();
  member_role_answer(&role, ME, 2, 1, MEMBER_GRANTED);
  expect_epoch(&role, VESTA_ROLE_PROMOTING, 2);
  assert_true(member_role_ready(&role, 1));
  member_role_answer(&role, ME, 2, 1, MEMBER_GRANTED); /* asked again: nothing new */
  member_role_operation(&role, 2, ME, 1);
  expect_nothing(&role);
}

static void a_barrier_that_was_not_known_comes_with_the_operation_or_a_later_answer(void **state) {
  (void)state;
  member_role_t role = joined();
  member_role_answer(&role, ME, 2, 0, MEMBER_GRANTED);
  expect_epoch(&role, VESTA_ROLE_PROMOTING, 2);
  assert_false(member_role_ready(&role, 1000));
  member_role_operation(&role, 2, ME, 40);
  assert_true(member_role_ready(&role, 40));
  role = joined();
  member_role_answer(&role, ME, 2, 0, MEMBER_GRANTED);
  expect_epoch(&role, VESTA_ROLE_PROMOTING, 2);
  member_role_answer(&role, ME, 2, 40, MEMBER_GRANTED);
  expect_nothing(&role);
  assert_false(member_role_ready(&role, 39));
  assert_true(member_role_ready(&role, 40));
}

static void an_answer_that_says_not_granted_ends_a_role(void **state) {
  (void)state;
  member_role_t role = active(3);
  member_role_answer(&role, ME, 6, 50, MEMBER_NOT_GRANTED);
  expect_event(&role, VESTA_ROLE_FENCED, 0);
  expect_event(&role, VESTA_ROLE_STANDBY, VESTA_ROLE_AGAIN);
  expect_nothing(&role);
}

static void an_answer_that_confirms_the_active_changes_nothing(void **state) {
  (void)state;
  member_role_t role = active(3);
  member_role_answer(&role, ME, 3, 10, MEMBER_ACTIVE);
  expect_nothing(&role);
  assert_int_equal(role.role, VESTA_ROLE_ACTIVE);
}

static void a_confirmation_whose_answer_was_lost_is_asked_for_again(void **state) {
  (void)state;
  member_role_t role = promoting(3, 10);
  member_role_answer(&role, ME, 3, 10, MEMBER_ACTIVE);
  expect_nothing(&role);
  assert_true(member_role_ready(&role, 10));
}

static void a_membership_that_was_lost_and_made_anew_ends_the_role(void **state) {
  (void)state;
  member_role_t role = active(9);
  member_role_answer(&role, ME + 5, 2, 1, MEMBER_GRANTED);
  expect_event(&role, VESTA_ROLE_FENCED, 0);
  expect_event(&role, VESTA_ROLE_STANDBY, VESTA_ROLE_AGAIN);
  expect_epoch(&role, VESTA_ROLE_PROMOTING, 2);
  expect_nothing(&role);
}

static void an_active_whose_node_is_cut_off_is_fenced_and_may_be_granted_the_role_anew(void **state) {
  (void)state;
  member_role_t role = active(9);
  member_role_cut_off(&role);
  expect_event(&role, VESTA_ROLE_FENCED, VESTA_ROLE_NO_QUORUM);
  expect_event(&role, VESTA_ROLE_STANDBY, VESTA_ROLE_AGAIN);
  member_role_cut_off(&role);
  expect_nothing(&role);
  member_role_answer(&role, ME, 10, 50, MEMBER_GRANTED);
  expect_epoch(&role, VESTA_ROLE_PROMOTING, 10);
  assert_false(member_role_ready(&role, 49));
  assert_true(member_role_ready(&role, 50));
  member_role_confirmed(&role);
  expect_epoch(&role, VESTA_ROLE_ACTIVE, 10);
  expect_nothing(&role);
}

static void who_is_cut_off_and_succeeded_meanwhile_is_fenced_once(void **state) {
  (void)state;
  member_role_t role = active(9);
  member_role_cut_off(&role);
  expect_event(&role, VESTA_ROLE_FENCED, VESTA_ROLE_NO_QUORUM);
  expect_event(&role, VESTA_ROLE_STANDBY, VESTA_ROLE_AGAIN);
  member_role_answer(&role, ME, 10, 20, MEMBER_NOT_GRANTED);
  expect_nothing(&role);
  assert_int_equal(role.role, VESTA_ROLE_STANDBY);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_member_is_standby_first),
      cmocka_unit_test(a_grant_to_another_is_nothing_to_a_standby),
      cmocka_unit_test(a_promotion_is_ready_at_its_barrier_and_not_before),
      cmocka_unit_test(a_promotion_is_not_ready_before_it_was_told),
      cmocka_unit_test(a_promotion_is_revoked_by_a_grant_to_another_and_by_a_refusal),
      cmocka_unit_test(a_promotion_that_is_granted_anew_goes_on_with_the_new_epoch),
      cmocka_unit_test(an_older_grant_is_ignored),
      cmocka_unit_test(an_active_is_fenced_by_a_grant_to_another_and_stands_by_again),
      cmocka_unit_test(an_active_that_is_granted_anew_was_fenced_in_between),
      cmocka_unit_test(who_resigned_is_standby_and_not_fenced),
      cmocka_unit_test(a_grant_inside_a_snapshot_is_settled_by_the_answer),
      cmocka_unit_test(a_barrier_that_was_not_known_comes_with_the_operation_or_a_later_answer),
      cmocka_unit_test(an_answer_that_says_not_granted_ends_a_role),
      cmocka_unit_test(an_answer_that_confirms_the_active_changes_nothing),
      cmocka_unit_test(a_confirmation_whose_answer_was_lost_is_asked_for_again),
      cmocka_unit_test(a_membership_that_was_lost_and_made_anew_ends_the_role),
      cmocka_unit_test(an_active_whose_node_is_cut_off_is_fenced_and_may_be_granted_the_role_anew),
      cmocka_unit_test(who_is_cut_off_and_succeeded_meanwhile_is_fenced_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
