/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Writers, against a real vestad: many writes under way, done once and in order, whatever happens to the daemon.
 */
#include <vesta.h>

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/support/application.h"
#include "test/support/daemon_fixture.h"

#define WINDOW 64U

static application_t application;
static vesta_writer_t *writer;

static int set_up(void **state) {
  (void)state;
  daemon_fixture_open(&daemon_of_test);
  application_open(&application, "writer", APPLICATION_ALL);
  assert_int_equal(application_create(&application, "n", "", 0), SA_AIS_OK);
  assert_int_equal(vesta_writer_open(application.checkpoint, &writer), SA_AIS_OK);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  assert_int_equal(vesta_writer_close(&writer), SA_AIS_OK);
  application_close(&application);
  daemon_fixture_close(&daemon_of_test);
  return 0;
}

static SaAisErrorT hand_in(uint64_t number) {
  SaCkptSectionIdT id = section_id("n");
  return vesta_writer_overwrite(writer, &id, &number, sizeof number, number);
}

static vesta_completion_t take(void) {
  vesta_completion_t completion;
  assert_int_equal(vesta_writer_next(writer, APPLICATION_DEADLINE, &completion), SA_AIS_OK);
  return completion;
}

static void assert_nothing_is_under_way(void) {
  vesta_completion_t completion;
  assert_int_equal(vesta_writer_next(writer, 0, &completion), SA_AIS_ERR_NOT_EXIST);
}

static uint64_t value_now(void) {
  uint64_t value = 0;
  SaCkptIOVectorElementT element = {.sectionId = section_id("n"), .dataBuffer = &value, .dataSize = sizeof value};
  assert_int_equal(saCkptCheckpointRead(application.checkpoint, &element, 1, NULL), SA_AIS_OK);
  return value;
}

/* ---- the rules ---- */

static void completions_come_in_the_order_of_handing_in_with_rising_positions(void **state) {
  (void)state;
  for (uint64_t number = 1; number <= 10; number++) {
    assert_int_equal(hand_in(number), SA_AIS_OK);
  }
  uint64_t seq = 1;
  for (uint64_t number = 1; number <= 10; number++) {
    vesta_completion_t completion = take();
    assert_int_equal(completion.error, SA_AIS_OK);
    assert_int_equal(completion.invocation, number);
    assert_int_equal(completion.failed_at, VESTA_NO_CHANGE);
    assert_int_equal(completion.position.seq, ++seq);
    assert_true(completion.position.lineage != 0 && completion.position.epoch != 0);
  }
  assert_nothing_is_under_way();
  assert_int_equal(value_now(), 10);
}

static void as_many_as_the_window_are_accepted_and_one_more_is_not(void **state) {
  (void)state;
  for (uint64_t number = 1; number <= WINDOW; number++) {
    assert_int_equal(hand_in(number), SA_AIS_OK);
  }
  assert_int_equal(hand_in(WINDOW + 1), SA_AIS_ERR_TRY_AGAIN);
  (void)take();
  assert_int_equal(hand_in(WINDOW + 1), SA_AIS_OK);
  for (uint64_t number = 2; number <= WINDOW + 1; number++) {
    assert_int_equal(take().invocation, number);
  }
  assert_int_equal(value_now(), WINDOW + 1);
}

/* A call that is waited for: whatever went out before it is done when it returns. */
static void wait_for_what_is_out(void) {
  SaCkptSectionIdT id = section_id("other");
  assert_int_equal(saCkptSectionOverwrite(application.checkpoint, &id, "", 0), SA_AIS_OK);
}

static void half_the_window_goes_at_once_and_more_in_groups_or_with_the_next_call(void **state) {
  (void)state;
  const uint64_t at_once = WINDOW / 2;
  const uint64_t group = 16;
  SaSelectionObjectT fd;
  assert_int_equal(application_create(&application, "other", "", 0), SA_AIS_OK);
  assert_int_equal(vesta_writer_fd(writer, &fd), SA_AIS_OK);
  for (uint64_t number = 1; number < at_once + group; number++) {
    assert_int_equal(hand_in(number), SA_AIS_OK);
  }
  wait_for_what_is_out();
  assert_int_equal(value_now(), at_once);
  struct pollfd readable = {.fd = (int)fd, .events = POLLIN};
  assert_int_equal(poll(&readable, 1, 0), 1); /* some wait: the next call is asked for */
  assert_int_equal(take().error, SA_AIS_OK);
  while (vesta_writer_next(writer, APPLICATION_DEADLINE, &(vesta_completion_t){0}) == SA_AIS_OK) {
  }
  assert_int_equal(value_now(), at_once + group - 1);
  for (uint64_t number = 1; number <= at_once + group; number++) {
    assert_int_equal(hand_in(number), SA_AIS_OK);
  }
  wait_for_what_is_out();
  assert_int_equal(value_now(), at_once + group);
}

static void one_that_fails_says_so_and_the_others_are_done(void **state) {
  (void)state;
  SaCkptSectionIdT n = section_id("n"), missing = section_id("missing"), new = section_id("new");
  assert_int_equal(hand_in(1), SA_AIS_OK);
  assert_int_equal(vesta_writer_write(writer, &missing, 0, "x", 1, 2), SA_AIS_OK);
  vesta_txn_t *txn = NULL;
  assert_int_equal(vesta_txn_begin(application.checkpoint, &txn), SA_AIS_OK);
  assert_int_equal(vesta_txn_create(txn, &new, "", 0, SA_TIME_END), SA_AIS_OK);
  assert_int_equal(vesta_txn_create(txn, &n, "", 0, SA_TIME_END), SA_AIS_OK);
  assert_int_equal(vesta_writer_commit(writer, &txn, NULL, 3), SA_AIS_OK);
  assert_null(txn);
  assert_int_equal(hand_in(4), SA_AIS_OK);
  assert_int_equal(take().error, SA_AIS_OK);
  vesta_completion_t completion = take();
  assert_int_equal(completion.error, SA_AIS_ERR_NOT_EXIST);
  assert_int_equal(completion.failed_at, 0);
  completion = take();
  assert_int_equal(completion.error, SA_AIS_ERR_EXIST);
  assert_int_equal(completion.failed_at, 1);
  assert_int_equal(take().error, SA_AIS_OK);
  assert_int_equal(value_now(), 4);
}

static void conditions_chain_writes_that_are_under_way_together(void **state) {
  (void)state;
  SaCkptSectionIdT n = section_id("n");
  assert_int_equal(hand_in(1), SA_AIS_OK);
  vesta_write_options_t options = {.if_unchanged_since = take().position};
  for (SaInvocationT i = 0; i < 2; i++) { /* the second one loses to the first */
    vesta_txn_t *txn = NULL;
    assert_int_equal(vesta_txn_begin(application.checkpoint, &txn), SA_AIS_OK);
    assert_int_equal(vesta_txn_overwrite(txn, &n, &i, sizeof i), SA_AIS_OK);
    assert_int_equal(vesta_writer_commit(writer, &txn, &options, i), SA_AIS_OK);
  }
  assert_int_equal(take().error, SA_AIS_OK);
  assert_int_equal(take().error, SA_AIS_ERR_FAILED_OPERATION);
}

static bool readable(SaSelectionObjectT fd, int timeout_ms) {
  struct pollfd one = {.fd = (int)fd, .events = POLLIN};
  return poll(&one, 1, timeout_ms) == 1;
}

static void a_loop_that_polls_gets_all_and_rests_when_there_is_nothing(void **state) {
  (void)state;
  SaSelectionObjectT fd, again;
  vesta_completion_t completion;
  assert_int_equal(vesta_writer_fd(writer, &fd), SA_AIS_OK);
  assert_int_equal(vesta_writer_fd(writer, &again), SA_AIS_OK);
  assert_int_equal(fd, again);
  uint64_t handed_in = 0, taken = 0;
  while (taken < 5000) {
    while (handed_in < 5000 && hand_in(handed_in + 1) == SA_AIS_OK) {
      handed_in++;
    }
    assert_true(readable(fd, TEST_DEADLINE_MS));
    SaAisErrorT error;
    while ((error = vesta_writer_next(writer, 0, &completion)) == SA_AIS_OK) {
      assert_int_equal(completion.error, SA_AIS_OK);
      assert_int_equal(completion.invocation, ++taken);
    }
    assert_true(error == SA_AIS_ERR_TIMEOUT || error == SA_AIS_ERR_NOT_EXIST);
  }
  assert_nothing_is_under_way();
  assert_false(readable(fd, 0));
}

/* The daemon is killed while writes are under way, by somebody who polls and by somebody who waits. A stream sees every
 * number once, in order. */
static void restarts_of_the_daemon(bool polls) {
  vesta_stream_t *stream = NULL;
  vesta_stream_options_t from_now = {.from = VESTA_FROM_NOW};
  vesta_change_t change;
  SaSelectionObjectT fd;
  assert_int_equal(vesta_stream_open(application.checkpoint, &from_now, &stream), SA_AIS_OK);
  assert_int_equal(vesta_stream_next(stream, APPLICATION_DEADLINE, &change), SA_AIS_OK);
  assert_int_equal(vesta_writer_fd(writer, &fd), SA_AIS_OK);
  uint64_t handed_in = 0, taken = 0, seen = 0, seq = 0;
  const uint64_t all = 4000;
  while (taken < all) {
    while (handed_in < all && hand_in(handed_in + 1) == SA_AIS_OK) {
      handed_in++;
      if (handed_in % 700 == 0) { /* some of them are sent, perhaps done, and not answered */
        daemon_fixture_kill(&daemon_of_test);
        daemon_fixture_start(&daemon_of_test);
      }
    }
    vesta_completion_t completion;
    if (polls) {
      assert_true(readable(fd, TEST_DEADLINE_MS));
    }
    SaAisErrorT error = vesta_writer_next(writer, polls ? 0 : APPLICATION_DEADLINE, &completion);
    if (polls && error == SA_AIS_ERR_TIMEOUT) {
      continue;
    }
    assert_int_equal(error, SA_AIS_OK);
    assert_int_equal(completion.error, SA_AIS_OK);
    assert_int_equal(completion.invocation, ++taken);
    assert_true(completion.position.seq > seq);
    seq = completion.position.seq;
  }
  assert_int_equal(value_now(), all);
  while (seen < all) {
    assert_int_equal(vesta_stream_next(stream, APPLICATION_DEADLINE, &change), SA_AIS_OK);
    assert_int_not_equal(change.kind, VESTA_CHANGE_LOST);
    if (change.kind == VESTA_CHANGE_OVERWRITTEN) {
      uint64_t number;
      memcpy(&number, change.data, sizeof number);
      assert_int_equal(number, ++seen);
    }
  }
  assert_int_equal(vesta_stream_close(&stream), SA_AIS_OK);
}

static void writes_survive_restarts_of_the_daemon_once_each_and_in_order_for_who_waits(void **state) {
  (void)state;
  restarts_of_the_daemon(false);
}

static void writes_survive_restarts_of_the_daemon_once_each_and_in_order_for_who_polls(void **state) {
  (void)state;
  restarts_of_the_daemon(true);
}

static void writes_are_accepted_while_the_daemon_is_away_and_done_when_it_is_back(void **state) {
  (void)state;
  vesta_completion_t completion;
  SaSelectionObjectT fd;
  assert_int_equal(vesta_writer_fd(writer, &fd), SA_AIS_OK);
  daemon_fixture_kill(&daemon_of_test);
  for (uint64_t number = 1; number <= WINDOW; number++) {
    assert_int_equal(hand_in(number), SA_AIS_OK);
  }
  assert_int_equal(hand_in(WINDOW + 1), SA_AIS_ERR_TRY_AGAIN);
  assert_true(readable(fd, TEST_DEADLINE_MS));
  assert_int_equal(vesta_writer_next(writer, 0, &completion), SA_AIS_ERR_TIMEOUT);
  assert_int_equal(vesta_writer_next(writer, 10 * SA_TIME_ONE_MILLISECOND, &completion), SA_AIS_ERR_TIMEOUT);
  daemon_fixture_start(&daemon_of_test);
  for (uint64_t number = 1; number <= WINDOW; number++) {
    assert_int_equal(take().invocation, number);
  }
  assert_int_equal(value_now(), WINDOW);
}

/* A call that needs a place in the window takes in the answers of those who have it. */
static void a_call_goes_through_while_the_window_is_full_of_writes_that_nobody_takes(void **state) {
  (void)state;
  for (uint64_t number = 1; number <= WINDOW; number++) {
    assert_int_equal(hand_in(number), SA_AIS_OK);
  }
  int64_t since_ns = daemon_fixture_now_ns();
  assert_int_equal(application_create(&application, "other", "", 0), SA_AIS_OK);
  assert_true(daemon_fixture_now_ns() - since_ns < 5 * SA_TIME_ONE_SECOND);
  daemon_fixture_kill(&daemon_of_test);
  daemon_fixture_start(&daemon_of_test);
  assert_int_equal(application_delete(&application, "other"), SA_AIS_OK);
  for (uint64_t number = 1; number <= WINDOW; number++) {
    assert_int_equal(take().error, SA_AIS_OK);
  }
}

/* More data than a socket takes: the rest is sent while answers are waited for. */
static void large_writes_are_done_in_order(void **state) {
  (void)state;
  SaCkptSectionIdT id = section_id("n");
  static uint8_t data[APPLICATION_SECTION_BYTES_MAX];
  uint64_t handed_in = 0, taken = 0;
  while (taken < 500) {
    SaAisErrorT error = SA_AIS_OK;
    while (handed_in < 500 && error == SA_AIS_OK) {
      uint64_t number = handed_in + 1;
      memcpy(data, &number, sizeof number);
      size_t size = number % 3 == 0 ? sizeof data : number % 3 == 1 ? 40000 : sizeof number;
      error = vesta_writer_overwrite(writer, &id, data, size, number);
      handed_in += error == SA_AIS_OK;
    }
    assert_true(error == SA_AIS_OK || error == SA_AIS_ERR_TRY_AGAIN);
    vesta_completion_t completion = take();
    assert_int_equal(completion.error, SA_AIS_OK);
    assert_int_equal(completion.invocation, ++taken);
    assert_int_equal(completion.position.seq, taken + 1);
  }
  assert_int_equal(value_now(), 500);
}

static void writes_beyond_64_mib_under_way_have_to_wait(void **state) {
  (void)state;
  const SaCkptCheckpointCreationAttributesT attributes = {.creationFlags = SA_CKPT_WR_ALL_REPLICAS,
                                                          .checkpointSize = 64 << 20,
                                                          .retentionDuration = 0,
                                                          .maxSections = 4,
                                                          .maxSectionSize = 32 << 20,
                                                          .maxSectionIdSize = 8};
  application_t large;
  vesta_writer_t *of_large = NULL;
  SaCkptSectionIdT id = section_id("n");
  uint8_t *data = calloc(1, 32 << 20);
  assert_non_null(data);
  application_open_as(&large, "large", APPLICATION_ALL, &attributes);
  assert_int_equal(application_create(&large, "n", "", 0), SA_AIS_OK);
  assert_int_equal(vesta_writer_open(large.checkpoint, &of_large), SA_AIS_OK);
  daemon_fixture_kill(&daemon_of_test);
  for (SaInvocationT i = 0; i < 2; i++) { /* together with what is around them a little more than 64 MiB */
    assert_int_equal(vesta_writer_overwrite(of_large, &id, data, 32 << 20, i), SA_AIS_OK);
  }
  assert_int_equal(vesta_writer_overwrite(of_large, &id, data, 1, 2), SA_AIS_ERR_TRY_AGAIN);
  daemon_fixture_start(&daemon_of_test);
  vesta_completion_t completion;
  for (SaInvocationT i = 0; i < 2; i++) {
    assert_int_equal(vesta_writer_next(of_large, APPLICATION_DEADLINE, &completion), SA_AIS_OK);
    assert_int_equal(completion.error, SA_AIS_OK);
  }
  assert_int_equal(vesta_writer_overwrite(of_large, &id, data, 1, 2), SA_AIS_OK);
  assert_int_equal(vesta_writer_close(&of_large), SA_AIS_OK); /* with one under way */
  application_close(&large);
  free(data);
}

/* ---- beside other threads ---- */

#define THREAD_WRITES 2000

static void *thread_of_writers(void *context) {
  unsigned index = *(const unsigned *)context;
  char name[8];
  vesta_writer_t *own = NULL;
  (void)snprintf(name, sizeof name, "t%u", index);
  SaCkptSectionIdT id = section_id(name);
  uint64_t handed_in = 0, taken = 0;
  bool fine = vesta_writer_open(application.checkpoint, &own) == SA_AIS_OK;
  while (fine && taken < THREAD_WRITES) {
    SaAisErrorT error = SA_AIS_OK;
    while (error == SA_AIS_OK && handed_in < THREAD_WRITES) {
      error = vesta_writer_overwrite(own, &id, &handed_in, sizeof handed_in, handed_in);
      handed_in += error == SA_AIS_OK;
    }
    vesta_completion_t completion;
    error = vesta_writer_next(own, APPLICATION_DEADLINE, &completion);
    if (error == SA_AIS_ERR_NOT_EXIST) { /* the others have the whole window */
      (void)sched_yield();
      continue;
    }
    fine = error == SA_AIS_OK && completion.error == SA_AIS_OK && completion.invocation == taken;
    taken++;
  }
  (void)vesta_writer_close(&own);
  return fine ? NULL : context;
}

static void *thread_of_calls(void *context) {
  unsigned index = *(const unsigned *)context;
  char name[8];
  (void)snprintf(name, sizeof name, "t%u", index);
  bool fine = true;
  for (int i = 0; i < THREAD_WRITES / 4 && fine; i++) {
    fine = application_overwrite(&application, name, &i, sizeof i) == SA_AIS_OK;
  }
  return fine ? NULL : context;
}

static void threads_with_writers_and_threads_with_calls_share_a_library_handle(void **state) {
  (void)state;
  static unsigned indexes[4] = {0, 1, 2, 3};
  pthread_t threads[4];
  for (unsigned i = 0; i < 4; i++) {
    char name[8];
    (void)snprintf(name, sizeof name, "t%u", i);
    assert_int_equal(application_create(&application, name, "", 0), SA_AIS_OK);
  }
  for (unsigned i = 0; i < 4; i++) {
    assert_int_equal(pthread_create(&threads[i], NULL, i < 2 ? thread_of_writers : thread_of_calls, &indexes[i]), 0);
  }
  daemon_fixture_kill(&daemon_of_test);
  daemon_fixture_start(&daemon_of_test);
  for (unsigned i = 0; i < 4; i++) {
    void *wrong = NULL;
    assert_int_equal(pthread_join(threads[i], &wrong), 0);
    assert_null(wrong);
  }
}

/* ---- ends ---- */

static void what_is_under_way_when_the_handle_is_closed_stays_unknown(void **state) {
  (void)state;
  vesta_completion_t completion;
  vesta_writer_t *left = NULL;
  application_t other;
  application_open(&other, "writer", SA_CKPT_CHECKPOINT_WRITE);
  assert_int_equal(vesta_writer_open(other.checkpoint, &left), SA_AIS_OK);
  SaCkptSectionIdT id = section_id("n");
  assert_int_equal(vesta_writer_overwrite(left, &id, "x", 1, 1), SA_AIS_OK);
  application_close(&other);
  assert_int_equal(vesta_writer_next(left, APPLICATION_DEADLINE, &completion), SA_AIS_ERR_BAD_HANDLE);
  assert_int_equal(vesta_writer_overwrite(left, &id, "x", 1, 1), SA_AIS_ERR_BAD_HANDLE);
  assert_int_equal(vesta_writer_close(&left), SA_AIS_OK);
  assert_null(left);
}

static void a_forked_child_can_do_nothing_but_close_and_its_parent_does_not_notice(void **state) {
  (void)state;
  assert_int_equal(hand_in(1), SA_AIS_OK);
  pid_t child = fork();
  if (child == 0) {
    vesta_completion_t completion;
    SaSelectionObjectT fd;
    bool refused = hand_in(2) == SA_AIS_ERR_BAD_HANDLE &&
                   vesta_writer_next(writer, 0, &completion) == SA_AIS_ERR_BAD_HANDLE &&
                   vesta_writer_fd(writer, &fd) == SA_AIS_ERR_BAD_HANDLE && vesta_writer_close(&writer) == SA_AIS_OK;
    _exit(refused ? 0 : 1);
  }
  int status = -1;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  SaSelectionObjectT fd;
  assert_int_equal(vesta_writer_fd(writer, &fd), SA_AIS_OK);
  assert_true(readable(fd, TEST_DEADLINE_MS));
  assert_int_equal(take().invocation, 1);
  assert_int_equal(hand_in(2), SA_AIS_OK);
  assert_true(readable(fd, TEST_DEADLINE_MS));
  assert_int_equal(take().invocation, 2);
}

static void bad_arguments_are_refused(void **state) {
  (void)state;
  vesta_writer_t *none = NULL;
  vesta_completion_t completion;
  SaSelectionObjectT fd;
  SaCkptSectionIdT id = section_id("n");
  SaCkptCheckpointHandleT reader;
  assert_int_equal(saCkptCheckpointOpen(application.library, &application.name, NULL, SA_CKPT_CHECKPOINT_READ,
                                        SA_TIME_ONE_SECOND, &reader),
                   SA_AIS_OK);
  assert_int_equal(vesta_writer_open(application.checkpoint, NULL), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_writer_open(1, &none), SA_AIS_ERR_BAD_HANDLE);
  assert_int_equal(vesta_writer_open(reader, &none), SA_AIS_ERR_ACCESS);
  assert_null(none);
  assert_int_equal(vesta_writer_fd(NULL, &fd), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_writer_fd(writer, NULL), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_writer_next(NULL, 0, &completion), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_writer_next(writer, 0, NULL), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_writer_next(writer, -1, &completion), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_writer_overwrite(NULL, &id, "", 0, 1), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_writer_overwrite(writer, NULL, "", 0, 1), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_writer_write(writer, &id, APPLICATION_SECTION_BYTES_MAX, "x", 1, 1), SA_AIS_ERR_NO_RESOURCES);
  assert_int_equal(vesta_writer_close(NULL), SA_AIS_ERR_INVALID_PARAM);
  vesta_txn_t *txn = NULL;
  assert_int_equal(vesta_writer_commit(writer, &txn, NULL, 1), SA_AIS_ERR_INVALID_PARAM);
  application_t other;
  application_open(&other, "other", APPLICATION_ALL);
  assert_int_equal(vesta_txn_begin(other.checkpoint, &txn), SA_AIS_OK);
  assert_int_equal(vesta_txn_overwrite(txn, &id, "x", 1), SA_AIS_OK);
  assert_int_equal(vesta_writer_commit(writer, &txn, NULL, 1), SA_AIS_ERR_INVALID_PARAM); /* of another checkpoint */
  assert_int_equal(vesta_txn_abort(&txn), SA_AIS_OK);
  assert_int_equal(vesta_txn_begin(application.checkpoint, &txn), SA_AIS_OK);
  assert_int_equal(vesta_writer_commit(writer, &txn, NULL, 1), SA_AIS_ERR_INVALID_PARAM); /* empty */
  vesta_write_options_t options = {.reserved = {1}};
  assert_int_equal(vesta_txn_overwrite(txn, &id, "x", 1), SA_AIS_OK);
  assert_int_equal(vesta_writer_commit(writer, &txn, &options, 1), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_txn_abort(&txn), SA_AIS_OK);
  application_close(&other);
  assert_nothing_is_under_way();
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(completions_come_in_the_order_of_handing_in_with_rising_positions),
      TEST(as_many_as_the_window_are_accepted_and_one_more_is_not),
      TEST(half_the_window_goes_at_once_and_more_in_groups_or_with_the_next_call),
      TEST(one_that_fails_says_so_and_the_others_are_done),
      TEST(conditions_chain_writes_that_are_under_way_together),
      TEST(a_loop_that_polls_gets_all_and_rests_when_there_is_nothing),
      TEST(writes_survive_restarts_of_the_daemon_once_each_and_in_order_for_who_waits),
      TEST(writes_survive_restarts_of_the_daemon_once_each_and_in_order_for_who_polls),
      TEST(writes_are_accepted_while_the_daemon_is_away_and_done_when_it_is_back),
      TEST(a_call_goes_through_while_the_window_is_full_of_writes_that_nobody_takes),
      TEST(large_writes_are_done_in_order),
      TEST(writes_beyond_64_mib_under_way_have_to_wait),
      TEST(threads_with_writers_and_threads_with_calls_share_a_library_handle),
      TEST(what_is_under_way_when_the_handle_is_closed_stays_unknown),
      TEST(a_forked_child_can_do_nothing_but_close_and_its_parent_does_not_notice),
      TEST(bad_arguments_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
