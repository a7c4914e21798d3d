/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Active and standbys, against a real vestad, with members that are killed, stopped and told to resign. Every member
 * that becomes active compares its mirror with what was acknowledged to those before it (pair_member.h), and any
 * difference fails the test, so that is not repeated below.
 */
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/limits.h"
#include "test/support/application.h"
#include "test/support/daemon_fixture.h"
#include "test/support/pair_member.h"

static pair_ledger_t *ledger;

static int set_up(void **state) {
  (void)state;
  ledger = pair_ledger_new();
  daemon_fixture_open(&daemon_of_test);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  daemon_fixture_close(&daemon_of_test);
  pair_ledger_destroy(&ledger);
  return 0;
}

static pair_member_t start(const vesta_pair_options_t *options) { return pair_member_start("pair", options, ledger); }

/* The first member, active and writing. */
static pair_member_t start_active(void) {
  pair_member_t member = start(NULL);
  (void)pair_member_wait_role(&member, VESTA_ROLE_ACTIVE);
  pair_member_command(&member, PAIR_WRITE);
  return member;
}

static pair_member_t start_standby(const vesta_pair_options_t *options) {
  pair_member_t member = start(options);
  pair_member_wait_synced(&member);
  return member;
}

static void the_first_to_join_is_active_and_the_others_stand_by(void **state) {
  (void)state;
  pair_member_t first = start(NULL);
  pair_report_t report = pair_member_report(&first);
  assert_int_equal(report.role, VESTA_ROLE_STANDBY);
  assert_int_equal(report.reason, VESTA_ROLE_JOINED);
  report = pair_member_wait_role(&first, VESTA_ROLE_PROMOTING);
  uint64_t epoch = report.epoch;
  assert_true(epoch > 0);
  report = pair_member_report(&first);
  assert_int_equal(report.role, VESTA_ROLE_ACTIVE);
  assert_int_equal(report.epoch, epoch);
  pair_member_t second = start_standby(NULL);
  assert_int_equal(pair_member_ask(&second, PAIR_PAUSE), 0); /* and by now would have told of a role */
  assert_true(pair_member_keeps_role(&second, 0));
  pair_member_end(&second);
  pair_member_end(&first);
}

static void a_killed_active_is_succeeded_by_a_standby_that_has_all_that_was_acknowledged(void **state) {
  (void)state;
  pair_member_t members[4] = {start_active()};
  for (int i = 1; i < 4; i++) {
    members[i] = start_standby(NULL);
  }
  uint64_t epoch = 0;
  for (int i = 0; i < 3; i++) {
    pair_ledger_wait_more(ledger, 3000);
    int64_t killed_ns = daemon_fixture_now_ns();
    pair_member_end(&members[i]);
    pair_report_t report = pair_member_wait_role(&members[i + 1], VESTA_ROLE_ACTIVE);
    print_message("failover took %.2f ms\n", (double)(report.time_ns - killed_ns) / 1e6);
    assert_true(report.epoch > epoch);
    epoch = report.epoch;
    pair_member_command(&members[i + 1], PAIR_WRITE);
  }
  pair_ledger_wait_more(ledger, 1000);
  pair_member_end(&members[3]);
}

static void a_standby_that_joined_under_load_takes_over_in_the_middle_of_its_snapshot(void **state) {
  (void)state;
  for (int round = 0; round < 5; round++) {
    pair_member_t active = start_active();
    pair_ledger_wait_more(ledger, 2000);
    pair_member_t standby = start(NULL);
    assert_int_equal(pair_member_report(&standby).role, VESTA_ROLE_STANDBY); /* it has joined, no more */
    pair_member_end(&active);
    (void)pair_member_wait_role(&standby, VESTA_ROLE_ACTIVE);
    pair_member_end(&standby);
  }
}

static void priority_goes_before_the_order_of_joining(void **state) {
  (void)state;
  pair_member_t active = start_active();
  pair_member_t low = start_standby(NULL);
  vesta_pair_options_t options = {.name = "preferred", .priority = 5};
  pair_member_t high = start_standby(&options);
  pair_ledger_wait_more(ledger, 500);
  pair_member_end(&active);
  (void)pair_member_wait_role(&high, VESTA_ROLE_ACTIVE);
  pair_member_command(&high, PAIR_WRITE);
  pair_ledger_wait_more(ledger, 500);
  pair_member_end(&high);
  (void)pair_member_wait_role(&low, VESTA_ROLE_ACTIVE);
  pair_member_end(&low);
}

/* So few that a standby that was stopped hears of each, and of every grant between them, from the history. */
static void write_some(const pair_member_t *active) {
  for (int i = 0; i < 100; i++) {
    assert_int_equal(pair_member_ask(active, PAIR_WRITE_ONE), SA_AIS_OK);
  }
}

static void a_hung_standby_is_passed_over_and_told_when_it_wakes_up(void **state) {
  (void)state;
  vesta_pair_options_t options = {.priority = 9, .promote_timeout = 200 * SA_TIME_ONE_MILLISECOND};
  pair_member_t active = start_active();
  pair_member_t hung = start_standby(&options);
  pair_member_t next = start_standby(NULL);
  pair_ledger_wait_more(ledger, 500);
  (void)pair_member_ask(&active, PAIR_PAUSE);
  assert_int_equal(kill(hung.pid, SIGSTOP), 0);
  write_some(&active);
  pair_member_end(&active);
  pair_report_t report = pair_member_wait_role(&next, VESTA_ROLE_ACTIVE);
  uint64_t epoch = report.epoch;
  write_some(&next);
  assert_int_equal(kill(hung.pid, SIGCONT), 0);
  report = pair_member_wait_role(&hung, VESTA_ROLE_PROMOTING);
  assert_true(report.epoch < epoch);
  report = pair_member_wait_role(&hung, VESTA_ROLE_STANDBY);
  assert_int_equal(report.reason, VESTA_ROLE_REVOKED);
  assert_int_equal(pair_member_ask(&hung, PAIR_WRITE_ONE), SA_AIS_ERR_BAD_OPERATION);
  pair_member_end(&next);
  (void)pair_member_wait_role(&hung, VESTA_ROLE_ACTIVE);
  pair_member_end(&hung);
}

static void who_resigns_hands_over_everything_and_can_write_no_more(void **state) {
  (void)state;
  pair_member_t first = start_active();
  pair_member_t second = start_standby(NULL);
  for (int round = 0; round < 5; round++) {
    pair_member_t *active = round % 2 == 0 ? &first : &second;
    pair_member_t *standby = round % 2 == 0 ? &second : &first;
    pair_ledger_wait_more(ledger, 1000);
    assert_int_equal(pair_member_ask(active, PAIR_RESIGN), SA_AIS_OK); /* in the middle of its writes */
    pair_report_t report = pair_member_wait_role(active, VESTA_ROLE_STANDBY);
    assert_int_equal(report.reason, VESTA_ROLE_RESIGNED);
    assert_int_equal(pair_member_ask(active, PAIR_WRITE_ONE), SA_AIS_ERR_BAD_OPERATION);
    (void)pair_member_wait_role(standby, VESTA_ROLE_ACTIVE);
    pair_member_command(standby, PAIR_WRITE);
  }
  pair_member_end(&first);
  pair_member_end(&second);
}

static void who_has_nobody_to_hand_over_to_stays_active(void **state) {
  (void)state;
  pair_member_t active = start_active();
  pair_ledger_wait_more(ledger, 10);
  assert_int_equal(pair_member_ask(&active, PAIR_RESIGN), SA_AIS_ERR_TRY_AGAIN);
  pair_ledger_wait_more(ledger, 10);
  pair_member_end(&active);
}

static void a_standby_can_neither_resign_nor_write(void **state) {
  (void)state;
  pair_member_t active = start_active();
  pair_member_t standby = start_standby(NULL);
  assert_int_equal(pair_member_ask(&standby, PAIR_RESIGN), SA_AIS_ERR_BAD_OPERATION);
  assert_int_equal(pair_member_ask(&standby, PAIR_WRITE_ONE), SA_AIS_ERR_BAD_OPERATION);
  pair_member_end(&standby);
  pair_member_end(&active);
}

static void a_writer_outside_the_group_is_fenced_out_unless_the_group_is_unfenced(void **state) {
  (void)state;
  pair_member_t active = start(NULL);
  (void)pair_member_wait_role(&active, VESTA_ROLE_ACTIVE);
  vesta_pair_options_t unfenced = {.unfenced = SA_TRUE};
  pair_member_t open = pair_member_start("open", &unfenced, ledger);
  (void)pair_member_wait_role(&open, VESTA_ROLE_ACTIVE);
  application_t application;
  application_open(&application, "pair", APPLICATION_ALL);
  assert_int_equal(application_create(&application, "mine", "x", 1), SA_AIS_ERR_BAD_OPERATION);
  application_close(&application);
  application_open(&application, "open", APPLICATION_ALL);
  assert_int_equal(application_create(&application, "mine", "x", 1), SA_AIS_OK);
  application_close(&application);
  pair_member_end(&open);
  pair_member_end(&active);
}

static void an_active_that_leaves_is_succeeded_at_once(void **state) {
  (void)state;
  pair_member_t active = start_active();
  pair_member_t standby = start_standby(NULL);
  pair_ledger_wait_more(ledger, 500);
  assert_int_equal(pair_member_ask(&active, PAIR_LEAVE), SA_AIS_OK);
  (void)pair_member_wait_role(&standby, VESTA_ROLE_ACTIVE);
  pair_member_end(&active);
  pair_member_end(&standby);
}

static void a_former_active_mirrors_what_its_successors_wrote(void **state) {
  (void)state;
  pair_member_t first = start_active();
  pair_member_t second = start_standby(NULL);
  pair_ledger_wait_more(ledger, 1000);
  assert_int_equal(pair_member_ask(&first, PAIR_RESIGN), SA_AIS_OK);
  (void)pair_member_wait_role(&second, VESTA_ROLE_ACTIVE);
  pair_member_command(&second, PAIR_WRITE);
  pair_ledger_wait_more(ledger, 2000);
  (void)pair_member_ask(&second, PAIR_PAUSE);
  int64_t deadline_ns = daemon_fixture_now_ns() + APPLICATION_DEADLINE;
  while (pair_member_ask(&first, PAIR_COMPARE) != 0) { /* until it has caught up */
    assert_true(daemon_fixture_now_ns() < deadline_ns);
  }
  pair_member_end(&first);
  pair_member_end(&second);
}

static void roles_survive_a_daemon_that_is_killed_and_so_does_the_next_failover(void **state) {
  (void)state;
  pair_member_t active = start_active();
  pair_member_t standby = start_standby(NULL);
  for (int round = 0; round < 3; round++) {
    pair_ledger_wait_more(ledger, 1000);
    daemon_fixture_kill(&daemon_of_test);
    daemon_fixture_start(&daemon_of_test);
  }
  pair_ledger_wait_more(ledger, 1000);
  assert_true(pair_member_keeps_role(&active, 0)); /* it was active throughout */
  pair_member_end(&active);
  (void)pair_member_wait_role(&standby, VESTA_ROLE_ACTIVE);
  pair_member_command(&standby, PAIR_WRITE);
  pair_ledger_wait_more(ledger, 100);
  pair_member_end(&standby);
}

static void an_active_that_dies_while_the_daemon_is_down_is_succeeded_when_it_is_back(void **state) {
  (void)state;
  pair_member_t active = start_active();
  pair_member_t standby = start_standby(NULL);
  pair_ledger_wait_more(ledger, 1000);
  daemon_fixture_kill(&daemon_of_test);
  pair_member_end(&active);
  daemon_fixture_start(&daemon_of_test);
  (void)pair_member_wait_role(&standby, VESTA_ROLE_ACTIVE);
  pair_member_command(&standby, PAIR_WRITE);
  pair_ledger_wait_more(ledger, 100);
  pair_member_end(&standby);
}

static void who_requires_to_be_synced_becomes_active_when_it_is(void **state) {
  (void)state;
  vesta_pair_options_t options = {.name = "careful", .require_synced = SA_TRUE};
  pair_member_t only = start(&options);
  (void)pair_member_wait_role(&only, VESTA_ROLE_ACTIVE);
  pair_member_end(&only);
}

/* Take events until it has that role. */
static void take_role(vesta_pair_t *pair, vesta_role_t role) {
  vesta_event_t event = {0};
  while (event.kind != VESTA_EVENT_ROLE || event.role != role) {
    assert_int_equal(vesta_pair_next(pair, APPLICATION_DEADLINE, &event), SA_AIS_OK);
  }
}

/* Take events until a change of this kind was taken. */
static void take_change(vesta_pair_t *pair, vesta_change_kind_t kind) {
  vesta_event_t event = {0};
  while (event.kind != VESTA_EVENT_CHANGE || event.change.kind != kind) {
    assert_int_equal(vesta_pair_next(pair, APPLICATION_DEADLINE, &event), SA_AIS_OK);
  }
}

/* As a standby it had said a moment ago how far it is, and had that to say again soon: nothing of this is left. */
static void an_active_has_nothing_to_wake_up_for(void **state) {
  (void)state;
  enum { WATCHED_MS = 300, WAKE_UPS_MAX = 10 };
  application_t applications[2];
  vesta_pair_t *first = NULL, *second = NULL;
  SaSelectionObjectT fd;
  application_open(&applications[0], "pair", APPLICATION_ALL);
  application_open(&applications[1], "pair", APPLICATION_ALL);
  assert_int_equal(vesta_pair_join(applications[0].checkpoint, NULL, &first), SA_AIS_OK);
  take_role(first, VESTA_ROLE_ACTIVE);
  assert_int_equal(vesta_pair_join(applications[1].checkpoint, NULL, &second), SA_AIS_OK);
  assert_int_equal(vesta_pair_fd(second, &fd), SA_AIS_OK);
  assert_int_equal(application_create(&applications[0], "section", "x", 1), SA_AIS_OK);
  take_change(second, VESTA_CHANGE_SYNCED);
  for (int changes = 0; changes < 100; changes++) {
    vesta_event_t event;
    assert_int_equal(application_overwrite(&applications[0], "section", "y", 1), SA_AIS_OK);
    take_change(second, VESTA_CHANGE_OVERWRITTEN);
    assert_int_equal(vesta_pair_next(second, 0, &event), SA_AIS_ERR_TIMEOUT);
  }
  assert_int_equal(vesta_pair_leave(&first), SA_AIS_OK);
  take_role(second, VESTA_ROLE_ACTIVE);
  int wake_ups = 0;
  int64_t until_ns = daemon_fixture_now_ns() + WATCHED_MS * SA_TIME_ONE_MILLISECOND;
  for (int64_t left_ns; (left_ns = until_ns - daemon_fixture_now_ns()) > 0; wake_ups++) {
    struct pollfd readable = {.fd = (int)fd, .events = POLLIN};
    vesta_event_t event;
    (void)poll(&readable, 1, (int)(left_ns / SA_TIME_ONE_MILLISECOND) + 1); /* the wait is the subject */
    assert_int_equal(vesta_pair_next(second, 0, &event), SA_AIS_ERR_TIMEOUT);
  }
  assert_in_range(wake_ups, 1, WAKE_UPS_MAX);
  assert_int_equal(vesta_pair_leave(&second), SA_AIS_OK);
  application_close(&applications[1]);
  application_close(&applications[0]);
}

static void bad_arguments_are_refused(void **state) {
  (void)state;
  application_t application;
  application_open(&application, "arguments", APPLICATION_ALL);
  vesta_pair_t *pair = NULL;
  vesta_event_t event;
  SaSelectionObjectT fd;
  static const char long_name[] = "0123456789012345678901234567890123456789012345678901234567890123x";
  const vesta_pair_options_t bad[] = {{.name = ""},
                                      {.name = long_name},
                                      {.promote_timeout = -1},
                                      {.unfenced = (SaBoolT)2},
                                      {.require_synced = (SaBoolT)2},
                                      {.manual = (SaBoolT)2},
                                      {.heartbeat = -1},
                                      {.heartbeat = VESTA_HEARTBEAT_MS_MIN * SA_TIME_ONE_MILLISECOND - 1},
                                      {.buffer_bytes = 1},
                                      {.reserved = {0, 0, 0, 0, 0, 0, 0, 1}}};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    assert_int_equal(vesta_pair_join(application.checkpoint, &bad[i], &pair), SA_AIS_ERR_INVALID_PARAM);
  }
  assert_int_equal(vesta_pair_join(application.checkpoint, NULL, NULL), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_pair_join(1, NULL, &pair), SA_AIS_ERR_BAD_HANDLE);
  assert_null(pair);
  vesta_promotion_t promotion;
  vesta_pair_options_t longest = {.name = long_name + 1, .heartbeat = VESTA_HEARTBEAT_MS_MIN * SA_TIME_ONE_MILLISECOND};
  assert_int_equal(vesta_pair_join(application.checkpoint, &longest, &pair), SA_AIS_OK);
  assert_int_equal(vesta_pair_next(NULL, 0, &event), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_pair_next(pair, 0, NULL), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_pair_next(pair, -1, &event), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_pair_fd(NULL, &fd), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_pair_fd(pair, NULL), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_pair_resign(NULL, 0), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_pair_resign(pair, -1), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_pair_promote(NULL, 0, &promotion), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_pair_promote(pair, -1, &promotion), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_pair_promote(pair, 0, NULL), SA_AIS_ERR_INVALID_PARAM);
  assert_null(vesta_pair_mirror(NULL));
  vesta_mirror_t *mirror = vesta_pair_mirror(pair);
  vesta_change_t change;
  assert_int_equal(vesta_mirror_next(mirror, 0, &change), SA_AIS_ERR_BAD_OPERATION);
  assert_int_equal(vesta_mirror_fd(mirror, &fd), SA_AIS_ERR_BAD_OPERATION);
  assert_int_equal(vesta_mirror_close(&mirror), SA_AIS_ERR_BAD_OPERATION);
  assert_int_equal(vesta_pair_leave(NULL), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_pair_leave(&pair), SA_AIS_OK);
  assert_null(pair);
  assert_int_equal(vesta_pair_leave(&pair), SA_AIS_OK);
  application_close(&application);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(the_first_to_join_is_active_and_the_others_stand_by),
      TEST(a_killed_active_is_succeeded_by_a_standby_that_has_all_that_was_acknowledged),
      TEST(a_standby_that_joined_under_load_takes_over_in_the_middle_of_its_snapshot),
      TEST(priority_goes_before_the_order_of_joining),
      TEST(a_hung_standby_is_passed_over_and_told_when_it_wakes_up),
      TEST(who_resigns_hands_over_everything_and_can_write_no_more),
      TEST(who_has_nobody_to_hand_over_to_stays_active),
      TEST(a_standby_can_neither_resign_nor_write),
      TEST(a_writer_outside_the_group_is_fenced_out_unless_the_group_is_unfenced),
      TEST(an_active_that_leaves_is_succeeded_at_once),
      TEST(a_former_active_mirrors_what_its_successors_wrote),
      TEST(roles_survive_a_daemon_that_is_killed_and_so_does_the_next_failover),
      TEST(an_active_that_dies_while_the_daemon_is_down_is_succeeded_when_it_is_back),
      TEST(who_requires_to_be_synced_becomes_active_when_it_is),
      TEST(an_active_has_nothing_to_wake_up_for),
      TEST(bad_arguments_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
