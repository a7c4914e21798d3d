/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Writes that are acknowledged when members have applied them, against a real vestad.
 *
 * The writer is a process of its own, active and to be killed; the members that apply are of the test, so that it
 * decides which of them takes what and when. What was acknowledged stands in memory that both share.
 */
#include <vesta.h>

#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/support/application.h"
#include "test/support/child.h"
#include "test/support/daemon_fixture.h"

#define TURN (10 * SA_TIME_ONE_MILLISECOND)
#define REPORT_PERIOD (50 * SA_TIME_ONE_MILLISECOND) /* of a member that nobody asks */

/* ---- the writer ---- */

typedef struct ledger {
  _Atomic uint64_t acknowledged; /* the last number that was */
  _Atomic uint64_t written;      /* the last number whose commit has begun */
  _Atomic int error;             /* of the last commit */
  sem_t committed;               /* posted after each, whatever it was answered with */
} ledger_t;

typedef struct writer_order {
  SaUint32T applied_by;
  bool plain; /* SA_FALSE for any_node */
  bool async; /* through a vesta_writer_t */
  bool once;  /* one write, then stay active */
  SaTimeT timeout;
} writer_order_t;

static ledger_t *ledger;
static pid_t writer;

static void writer_write(const application_t *application, const writer_order_t *order, uint64_t number) {
  vesta_write_options_t options = {
      .applied_by = order->applied_by, .any_node = order->plain ? SA_FALSE : SA_TRUE, .timeout = order->timeout};
  vesta_txn_t *txn = NULL;
  SaCkptSectionIdT id = section_id("n");
  SaAisErrorT error = vesta_txn_begin(application->checkpoint, &txn);
  if (error == SA_AIS_OK) {
    error = number == 1 ? vesta_txn_create(txn, &id, &number, sizeof number, SA_TIME_END)
                        : vesta_txn_overwrite(txn, &id, &number, sizeof number);
  }
  atomic_store(&ledger->written, number);
  if (error == SA_AIS_OK) {
    error = vesta_txn_commit(&txn, &options, NULL);
  }
  atomic_store(&ledger->error, (int)error);
  if (error == SA_AIS_OK) {
    atomic_store(&ledger->acknowledged, number);
  }
  (void)sem_post(&ledger->committed);
  (void)vesta_txn_abort(&txn);
}

static void writer_write_async(const application_t *application, const writer_order_t *order) {
  vesta_write_options_t options = {.applied_by = order->applied_by, .any_node = SA_TRUE};
  vesta_writer_t *queue = NULL;
  vesta_completion_t completion;
  SaCkptSectionIdT id = section_id("n");
  if (vesta_writer_open(application->checkpoint, &queue) != SA_AIS_OK) {
    _exit(1);
  }
  for (uint64_t number = 1;; number++) {
    vesta_txn_t *txn = NULL;
    (void)vesta_txn_begin(application->checkpoint, &txn);
    (void)(number == 1 ? vesta_txn_create(txn, &id, &number, sizeof number, SA_TIME_END)
                       : vesta_txn_overwrite(txn, &id, &number, sizeof number));
    atomic_store(&ledger->written, number);
    while (vesta_writer_commit(queue, &txn, &options, number) == SA_AIS_ERR_TRY_AGAIN) {
      if (vesta_writer_next(queue, SA_TIME_END, &completion) != SA_AIS_OK || completion.error != SA_AIS_OK) {
        _exit(1);
      }
      atomic_store(&ledger->acknowledged, completion.invocation);
    }
  }
}

/* Joins, becomes active, and writes when the test says that its members are there. */
static void writer_process(int go, const writer_order_t *order) {
  char byte;
  application_t application;
  vesta_pair_t *pair = NULL;
  vesta_event_t event = {0};
  application_open(&application, "applied", APPLICATION_ALL);
  assert_int_equal(vesta_pair_join(application.checkpoint, NULL, &pair), SA_AIS_OK);
  while (event.role != VESTA_ROLE_ACTIVE) {
    assert_int_equal(vesta_pair_next(pair, APPLICATION_DEADLINE, &event), SA_AIS_OK);
  }
  assert_int_equal(read(go, &byte, 1), 1);
  if (order->async) {
    writer_write_async(&application, order);
  }
  for (uint64_t number = 1; number == 1 || !order->once; number++) {
    writer_write(&application, order, number);
  }
  while (true) {
    (void)vesta_pair_next(pair, SA_TIME_END, &event);
  }
}

static int writer_go;

/* Start it; it waits for writer_begin(). Before this process has used the service. */
static void writer_start(const writer_order_t *order) {
  int pipe_fds[2];
  assert_int_equal(pipe(pipe_fds), 0);
  writer = child_fork();
  if (writer == 0) {
    writer_process(pipe_fds[0], order);
  }
  (void)close(pipe_fds[0]);
  writer_go = pipe_fds[1];
}

static void writer_begin(void) { assert_int_equal(write(writer_go, "", 1), 1); }

static void writer_kill(void) {
  if (writer > 0) {
    assert_int_equal(kill(writer, SIGKILL), 0);
    assert_int_equal(waitpid(writer, NULL, 0), writer);
    (void)close(writer_go);
    writer = 0;
  }
}

static int set_up(void **state) {
  (void)state;
  daemon_fixture_open(&daemon_of_test);
  ledger = mmap(NULL, sizeof *ledger, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  assert_true(ledger != MAP_FAILED);
  assert_int_equal(sem_init(&ledger->committed, 1, 0), 0);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  writer_kill();
  (void)munmap(ledger, sizeof *ledger);
  daemon_fixture_close(&daemon_of_test);
  return 0;
}

/* ---- members ---- */

typedef struct member {
  application_t application;
  vesta_pair_t *pair;
  vesta_role_t role;
  uint64_t epoch;  /* of the last change or grant */
  uint64_t value;  /* handed out last */
  bool dealt_with; /* ... and _next() was called again */
  bool synced;
} member_t;

static void member_turn(member_t *member, SaTimeT timeout) {
  vesta_event_t event;
  member->dealt_with = true;
  SaAisErrorT error = vesta_pair_next(member->pair, timeout, &event);
  if (error == SA_AIS_ERR_TIMEOUT) {
    return;
  }
  assert_int_equal(error, SA_AIS_OK);
  member->role = event.role;
  if (event.kind == VESTA_EVENT_CHANGE) {
    member->epoch = event.change.position.epoch;
  } else if (event.role == VESTA_ROLE_ACTIVE) {
    member->epoch = event.role_epoch;
  }
  if (event.kind == VESTA_EVENT_CHANGE &&
      (event.change.kind == VESTA_CHANGE_CREATED || event.change.kind == VESTA_CHANGE_OVERWRITTEN)) {
    memcpy(&member->value, event.change.data, sizeof member->value);
    member->dealt_with = false;
  }
  member->synced = member->synced || (event.kind == VESTA_EVENT_CHANGE && event.change.kind == VESTA_CHANGE_SYNCED);
}

static void member_join(member_t *member, const vesta_pair_options_t *options) {
  *member = (member_t){0};
  application_open(&member->application, "applied", APPLICATION_ALL);
  SaAisErrorT error = vesta_pair_join(member->application.checkpoint, options, &member->pair);
  assert_int_equal(error, SA_AIS_OK);
  while (!member->synced) {
    member_turn(member, APPLICATION_DEADLINE);
  }
}

static void member_leave(member_t *member) {
  assert_int_equal(vesta_pair_leave(&member->pair), SA_AIS_OK);
  application_close(&member->application);
}

static uint64_t member_mirror_value(const member_t *member) {
  SaCkptSectionIdT id = section_id("n");
  const void *data;
  SaSizeT size;
  uint64_t value = 0;
  if (vesta_mirror_get(vesta_pair_mirror(member->pair), &id, &data, &size) == SA_AIS_OK) {
    memcpy(&value, data, sizeof value);
  }
  return value;
}

static void member_until_active(member_t *member) {
  while (member->role != VESTA_ROLE_ACTIVE) {
    member_turn(member, APPLICATION_DEADLINE);
  }
}

/* What the commit was answered with, of a writer that makes one. */
static int writer_wait_committed(void) {
  const struct timespec deadline = {.tv_sec = time(NULL) + APPLICATION_DEADLINE / SA_TIME_ONE_SECOND};
  assert_int_equal(sem_timedwait(&ledger->committed, &deadline), 0);
  return atomic_load(&ledger->error);
}

/* The writer is active, and in the group before any member. */
static void writer_wait_active(void) {
  application_t application;
  SaAisErrorT error;
  application_open(&application, "applied", APPLICATION_ALL);
  int64_t deadline_ns = daemon_fixture_now_ns() + APPLICATION_DEADLINE;
  do { /* fenced, as soon as it has joined */
    assert_true(daemon_fixture_now_ns() < deadline_ns);
    SaCkptSectionIdT id = section_id("missing");
    error = saCkptSectionOverwrite(application.checkpoint, &id, "", 0);
  } while (error != SA_AIS_ERR_BAD_OPERATION);
  application_close(&application);
}

/* ---- the rules ---- */

static void a_write_is_acknowledged_after_the_member_has_dealt_with_it_and_not_before(void **state) {
  (void)state;
  const writer_order_t order = {.applied_by = 1};
  member_t member;
  writer_start(&order);
  writer_wait_active();
  member_join(&member, NULL);
  writer_begin();
  int64_t begun_ns = daemon_fixture_now_ns(), last_ns = begun_ns;
  unsigned soon = 0;
  while (member.value < 500) {
    uint64_t before = member.value;
    member_turn(&member, APPLICATION_DEADLINE);
    uint64_t acknowledged = atomic_load(&ledger->acknowledged);
    assert_true(acknowledged <= member.value);
    assert_true(member.dealt_with || acknowledged < member.value);
    if (member.value != before) {
      int64_t now_ns = daemon_fixture_now_ns();
      soon += now_ns - last_ns < REPORT_PERIOD;
      last_ns = now_ns;
    }
  }
  print_message("%.3f ms a write\n", (double)(last_ns - begun_ns) / 500e6);
  assert_true(atomic_load(&ledger->acknowledged) >= 499);
  assert_true(soon > 10); /* reports are asked for: else each would wait for its time, however slow the machine is */
  writer_kill();
  member_until_active(&member);
  assert_true(member_mirror_value(&member) >= atomic_load(&ledger->acknowledged));
  member_leave(&member);
}

static void many_writes_under_way_are_acknowledged_as_the_member_goes_on(void **state) {
  (void)state;
  const writer_order_t order = {.applied_by = 1, .async = true};
  member_t member;
  writer_start(&order);
  writer_wait_active();
  member_join(&member, NULL);
  writer_begin();
  while (member.value < 3000) {
    member_turn(&member, APPLICATION_DEADLINE);
    uint64_t acknowledged = atomic_load(&ledger->acknowledged);
    assert_true(acknowledged <= member.value);
    assert_true(member.dealt_with || acknowledged < member.value);
  }
  writer_kill();
  member_until_active(&member);
  assert_true(member_mirror_value(&member) >= atomic_load(&ledger->acknowledged));
  assert_true(atomic_load(&ledger->acknowledged) > 2000);
  member_leave(&member);
}

static void two_members_must_have_applied_what_asks_for_two(void **state) {
  (void)state;
  const writer_order_t order = {.applied_by = 2, .once = true};
  member_t members[2];
  writer_start(&order);
  writer_wait_active();
  member_join(&members[0], NULL);
  member_join(&members[1], NULL);
  writer_begin();
  while (members[0].value < 1 || !members[0].dealt_with) {
    member_turn(&members[0], TURN);
  }
  member_turn(&members[0], TURN); /* it has had time to be acknowledged, were one enough */
  assert_int_equal(atomic_load(&ledger->error), 0);
  while (members[1].value < 1 || !members[1].dealt_with) {
    member_turn(&members[1], TURN);
  }
  assert_int_equal(writer_wait_committed(), SA_AIS_OK);
  writer_kill();
  member_leave(&members[0]);
  member_leave(&members[1]);
}

static void without_members_enough_nothing_is_written(void **state) {
  (void)state;
  const writer_order_t order = {.applied_by = 1, .once = true};
  writer_start(&order);
  writer_wait_active();
  writer_begin();
  assert_int_equal(writer_wait_committed(), SA_AIS_ERR_TRY_AGAIN);
  member_t member;
  member_join(&member, NULL);
  assert_int_equal(vesta_mirror_count(vesta_pair_mirror(member.pair)), 0);
  member_leave(&member);
}

static void on_one_node_no_member_of_another_node_can_have_applied_it(void **state) {
  (void)state;
  const writer_order_t order = {.applied_by = 1, .plain = true, .once = true};
  member_t member;
  writer_start(&order);
  writer_wait_active();
  member_join(&member, NULL);
  writer_begin();
  assert_int_equal(writer_wait_committed(), SA_AIS_ERR_NOT_SUPPORTED);
  member_turn(&member, TURN);
  assert_int_equal(vesta_mirror_count(vesta_pair_mirror(member.pair)), 0);
  member_leave(&member);
}

static void a_member_that_takes_nothing_makes_it_time_out_and_it_is_written_all_the_same(void **state) {
  (void)state;
  const writer_order_t order = {.applied_by = 1, .once = true, .timeout = SA_TIME_ONE_SECOND};
  member_t member;
  writer_start(&order);
  writer_wait_active();
  member_join(&member, NULL);
  writer_begin();
  assert_int_equal(writer_wait_committed(), SA_AIS_ERR_TIMEOUT);
  while (member.value != 1) {
    member_turn(&member, APPLICATION_DEADLINE);
  }
  member_leave(&member);
}

static void a_write_that_waits_goes_on_waiting_when_the_daemon_is_killed(void **state) {
  (void)state;
  const writer_order_t order = {.applied_by = 1, .once = true};
  member_t member;
  writer_start(&order);
  writer_wait_active();
  member_join(&member, NULL);
  writer_begin();
  while (member.value != 1) { /* handed out and not dealt with: it can't have been acknowledged */
    member_turn(&member, APPLICATION_DEADLINE);
  }
  daemon_fixture_kill(&daemon_of_test);
  daemon_fixture_start(&daemon_of_test);
  assert_int_equal(atomic_load(&ledger->error), 0);
  int64_t deadline_ns = daemon_fixture_now_ns() + APPLICATION_DEADLINE;
  while (atomic_load(&ledger->error) == 0) {
    assert_true(daemon_fixture_now_ns() < deadline_ns);
    member_turn(&member, TURN);
  }
  assert_int_equal(atomic_load(&ledger->error), SA_AIS_OK);
  assert_int_equal(atomic_load(&ledger->acknowledged), 1);
  member_leave(&member);
}

/* The one with the higher priority takes nothing; what the other one has applied is acknowledged. So the other one is
 * promoted, at once, and has it in its memory. */
static void who_has_applied_what_was_acknowledged_is_promoted_before_who_has_not(void **state) {
  (void)state;
  const writer_order_t order = {.applied_by = 1};
  const vesta_pair_options_t preferred = {.name = "preferred", .priority = 9};
  member_t slow, fast;
  writer_start(&order);
  writer_wait_active();
  member_join(&slow, &preferred);
  member_join(&fast, NULL);
  writer_begin();
  while (fast.value < 200) {
    member_turn(&fast, APPLICATION_DEADLINE);
  }
  assert_true(atomic_load(&ledger->acknowledged) > 0);
  writer_kill();
  uint64_t epoch = fast.epoch; /* the writer's */
  member_until_active(&fast);
  assert_int_equal(fast.epoch, epoch + 1); /* nobody was granted the role and passed over before */
  assert_true(member_mirror_value(&fast) >= atomic_load(&ledger->acknowledged));
  while (slow.value < member_mirror_value(&fast)) {
    member_turn(&slow, APPLICATION_DEADLINE);
    assert_int_equal(slow.role, VESTA_ROLE_STANDBY);
  }
  member_leave(&slow);
  member_leave(&fast);
}

/* A stream of the member's own process runs ahead of its pair: that says nothing of the member. */
static void what_another_stream_of_the_process_has_taken_does_not_count(void **state) {
  (void)state;
  const writer_order_t order = {.applied_by = 1, .once = true, .timeout = 1500 * SA_TIME_ONE_MILLISECOND};
  member_t member;
  vesta_stream_t *stream = NULL;
  vesta_change_t change;
  writer_start(&order);
  writer_wait_active();
  member_join(&member, NULL);
  assert_int_equal(vesta_stream_open(member.application.checkpoint, NULL, &stream), SA_AIS_OK);
  writer_begin();
  while (atomic_load(&ledger->error) == 0) { /* longer than a stream says nothing */
    SaAisErrorT error = vesta_stream_next(stream, TURN, &change);
    assert_true(error == SA_AIS_OK || error == SA_AIS_ERR_TIMEOUT);
  }
  assert_int_equal(atomic_load(&ledger->error), SA_AIS_ERR_TIMEOUT);
  assert_int_equal(vesta_stream_close(&stream), SA_AIS_OK);
  member_leave(&member);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(a_write_is_acknowledged_after_the_member_has_dealt_with_it_and_not_before),
      TEST(many_writes_under_way_are_acknowledged_as_the_member_goes_on),
      TEST(two_members_must_have_applied_what_asks_for_two),
      TEST(without_members_enough_nothing_is_written),
      TEST(on_one_node_no_member_of_another_node_can_have_applied_it),
      TEST(a_member_that_takes_nothing_makes_it_time_out_and_it_is_written_all_the_same),
      TEST(a_write_that_waits_goes_on_waiting_when_the_daemon_is_killed),
      TEST(who_has_applied_what_was_acknowledged_is_promoted_before_who_has_not),
      TEST(what_another_stream_of_the_process_has_taken_does_not_count),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
