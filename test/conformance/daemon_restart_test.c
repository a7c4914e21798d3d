/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The daemon is killed and started again under a program that uses it (clauses 0.5, 0.6, 17.9), and what Vesta
 * promises on top of the standard: handles stay valid, what was acknowledged stays, no change is applied twice.
 *
 * Each test has a daemon of its own.
 */
#include "test/conformance/ckpt_fixture.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>

static int daemon_open(void **state) {
  daemon_fixture_open(&test_daemon);
  return lib_open(state);
}

static int daemon_close(void **state) {
  (void)state;
  (void)saCkptFinalize(lib);
  daemon_fixture_close(&test_daemon);
  return 0;
}

#define WITH_DAEMON(test) cmocka_unit_test_setup_teardown(test, daemon_open, daemon_close)

static void daemon_restart(void) {
  daemon_fixture_kill(&test_daemon);
  daemon_fixture_start(&test_daemon);
}

static void every_handle_stays_valid_when_the_daemon_is_killed_and_started_again(void **state) {
  (void)state;
  SaCkptCheckpointHandleT checkpoint = checkpoint_usual(lib, "stays");
  SaCkptCheckpointHandleT idle = checkpoint_again(lib, "stays", READ_WRITE);
  SaCkptHandleT other = library_b2();
  SaCkptCheckpointHandleT of_other = checkpoint_again(other, "stays", READ_WRITE);
  OK(section_create(checkpoint, "s", "before"));
  assert_section(checkpoint, "s", "before");
  for (int i = 0; i < 3; i++) {
    daemon_restart();
    assert_section(checkpoint, "s", i == 0 ? "before" : "after");
    OK(section_overwrite(checkpoint, "s", "after"));
    assert_section(idle, "s", "after");
    assert_section(of_other, "s", "after");
    assert_int_equal(status_of(of_other).numberOfSections, 1);
    OK(section_overwrite(idle, "s", "after"));
  }
  OK(saCkptCheckpointClose(idle));
  EXPECT(SA_AIS_ERR_BAD_HANDLE, saCkptCheckpointClose(idle));
  OK(saCkptFinalize(other));
}

static void an_iteration_goes_on_after_the_daemon_was_started_again(void **state) {
  (void)state;
  SaCkptCheckpointCreationAttributesT attributes = attributes_of(SA_CKPT_WR_ALL_REPLICAS);
  attributes.maxSections = 2000;
  SaCkptCheckpointHandleT checkpoint = checkpoint_create(lib, "iteration", &attributes);
  for (int i = 0; i < 1500; i++) {
    char id[16];
    (void)snprintf(id, sizeof id, "%d", i);
    OK(section_create(checkpoint, id, "x"));
  }
  SaCkptSectionIterationHandleT iteration;
  SaCkptSectionDescriptorT descriptor;
  OK(saCkptSectionIterationInitialize(checkpoint, SA_CKPT_SECTIONS_ANY, 0, &iteration));
  for (int i = 0; i < 1500; i++) {
    if (i == 100) {
      daemon_restart();
    }
    OK(saCkptSectionIterationNext(iteration, &descriptor));
  }
  EXPECT(SA_AIS_ERR_NO_SECTIONS, saCkptSectionIterationNext(iteration, &descriptor));
}

typedef struct overwrite {
  SaCkptCheckpointHandleT checkpoint;
  atomic_bool called;
  SaAisErrorT result;
} overwrite_t;

static void *overwrite_in_thread(void *argument) {
  overwrite_t *overwrite = argument;
  atomic_store(&overwrite->called, true);
  overwrite->result = section_overwrite(overwrite->checkpoint, "s", "written after it came back");
  return NULL;
}

static void a_call_waits_for_a_daemon_that_comes_back(void **state) {
  (void)state;
  overwrite_t overwrite = {.checkpoint = checkpoint_usual(lib, "waits")};
  OK(section_create(overwrite.checkpoint, "s", "x"));
  daemon_fixture_kill(&test_daemon);
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, overwrite_in_thread, &overwrite), 0);
  while (!atomic_load(&overwrite.called)) {
    (void)sched_yield();
  }
  daemon_fixture_start(&test_daemon);
  assert_int_equal(pthread_join(thread, NULL), 0);
  OK(overwrite.result);
  assert_section(overwrite.checkpoint, "s", "written after it came back");
}

/* clauses 0.5, 0.6 */
static void without_a_daemon_a_call_is_try_again_within_its_time_and_has_no_effect(void **state) {
  (void)state;
  SaCkptCheckpointCreationAttributesT attributes = attributes_of(SA_CKPT_WR_ALL_REPLICAS);
  SaNameT name = name_of("no-effect");
  SaCkptCheckpointHandleT checkpoint = 4711;
  OK(saCkptCheckpointClose(checkpoint_usual(lib, "other")));
  daemon_fixture_kill(&test_daemon);
  int64_t before_ns = daemon_fixture_now_ns();
  EXPECT(SA_AIS_ERR_TRY_AGAIN,
         saCkptCheckpointOpen(lib, &name, &attributes, READ_WRITE_CREATE, SECOND / 5, &checkpoint));
  assert_true(daemon_fixture_now_ns() - before_ns >= SECOND / 5);
  assert_int_equal(checkpoint, 4711);
  SaCkptHandleT new;
  SaVersionT version = {'B', 2, 2};
  EXPECT(SA_AIS_ERR_TRY_AGAIN, saCkptInitialize(&new, NULL, &version));
  daemon_fixture_start(&test_daemon);
  EXPECT(SA_AIS_ERR_NOT_EXIST, checkpoint_try(lib, "no-effect"));
  OK(checkpoint_try(lib, "other"));
}

/* clause 0.6: sent, not answered */
static void a_daemon_that_stands_still_is_a_timeout(void **state) {
  (void)state;
  SaCkptCheckpointCreationAttributesT attributes = attributes_of(SA_CKPT_WR_ALL_REPLICAS);
  SaNameT name = name_of("stopped");
  SaCkptCheckpointHandleT checkpoint;
  attributes.retentionDuration = 0;
  assert_int_equal(kill(test_daemon.pid, SIGSTOP), 0);
  EXPECT(SA_AIS_ERR_TIMEOUT, saCkptCheckpointOpen(lib, &name, &attributes, READ_WRITE_CREATE, SECOND, &checkpoint));
  assert_int_equal(kill(test_daemon.pid, SIGCONT), 0);
  /* It took effect after all; the handle that nobody got is closed again, and the retention of 0 ends it. */
  int64_t deadline_ns = daemon_fixture_now_ns() + TEST_DEADLINE_NS;
  SaAisErrorT found;
  while ((found = checkpoint_try(lib, "stopped")) == SA_AIS_OK && daemon_fixture_now_ns() < deadline_ns) {
    (void)sched_yield();
  }
  EXPECT(SA_AIS_ERR_NOT_EXIST, found);
}

static void a_daemon_that_lost_everything_makes_every_handle_bad(void **state) {
  (void)state;
  SaCkptCheckpointHandleT checkpoint = checkpoint_usual(lib, "lost");
  OK(section_create(checkpoint, "s", "x"));
  SaSelectionObjectT object;
  OK(saCkptSelectionObjectGet(lib, &object));
  daemon_fixture_t empty;
  daemon_fixture_kill(&test_daemon);
  daemon_fixture_prepare(&empty, NULL);
  (void)snprintf(empty.socket, sizeof empty.socket, "%s", test_daemon.socket); /* the same place, another history */
  daemon_fixture_start(&empty);
  EXPECT(SA_AIS_ERR_BAD_HANDLE, section_overwrite(checkpoint, "s", "y"));
  assert_checkpoint_calls(checkpoint, SA_AIS_ERR_BAD_HANDLE);
  assert_true(is_readable(object, 0)); /* a program that only polls learns of it */
  EXPECT(SA_AIS_ERR_BAD_HANDLE, saCkptDispatch(lib, SA_DISPATCH_ALL));
  EXPECT(SA_AIS_ERR_BAD_HANDLE, saCkptDispatch(lib, SA_DISPATCH_BLOCKING));
  EXPECT(SA_AIS_ERR_BAD_HANDLE, saCkptFinalize(lib));
  (void)setenv("VESTA_SOCKET", empty.socket, 1);
  OK(saCkptFinalize(library_b2())); /* initialised anew all is well */
  daemon_fixture_close(&empty);
}

/* ---- callbacks ---- */

static int opened_count;
static SaAisErrorT opened_error;
static SaCkptCheckpointHandleT opened_handle;
static void note_opened(SaInvocationT invocation, SaCkptCheckpointHandleT checkpoint, SaAisErrorT error) {
  (void)invocation;
  opened_count++;
  opened_error = error;
  opened_handle = checkpoint;
}

/* Wait in the application's own epoll set, dispatch as a program does, until something was called back. */
static void own_loop(int own, SaCkptHandleT library) {
  int64_t deadline_ns = daemon_fixture_now_ns() + TEST_DEADLINE_NS;
  while (opened_count == 0 && daemon_fixture_now_ns() < deadline_ns) {
    struct epoll_event event;
    if (epoll_wait(own, &event, 1, 1000) == 1) {
      OK(saCkptDispatch(library, SA_DISPATCH_ALL));
    }
  }
  assert_int_equal(opened_count, 1);
}

static void a_selection_object_in_the_applications_own_epoll_set_survives_restarts(void **state) {
  (void)state;
  SaCkptCallbacksT callbacks = {note_opened, NULL};
  SaCkptHandleT library = library_open(2, &callbacks);
  SaSelectionObjectT object;
  OK(saCkptSelectionObjectGet(library, &object));
  int own = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event wanted = {.events = EPOLLIN};
  assert_int_equal(epoll_ctl(own, EPOLL_CTL_ADD, (int)object, &wanted), 0);
  SaNameT name = name_of("survives");
  OK(saCkptCheckpointClose(checkpoint_usual(library, "survives")));
  for (int i = 0; i < 3; i++) {
    daemon_restart();
    opened_count = 0;
    OK(saCkptCheckpointOpenAsync(library, 1, &name, NULL, READ_WRITE));
    own_loop(own, library);
    OK(opened_error);
    OK(saCkptCheckpointClose(opened_handle));
  }
  (void)close(own);
  OK(saCkptFinalize(library));
}

static void a_callback_that_was_pending_when_the_daemon_was_killed_comes_once(void **state) {
  (void)state;
  SaCkptCallbacksT callbacks = {note_opened, NULL};
  SaCkptHandleT library = library_open(2, &callbacks);
  SaSelectionObjectT object;
  OK(saCkptSelectionObjectGet(library, &object));
  SaNameT name = name_of("pending");
  OK(saCkptCheckpointClose(checkpoint_usual(library, "pending")));
  assert_int_equal(kill(test_daemon.pid, SIGSTOP), 0);
  opened_count = 0;
  OK(saCkptCheckpointOpenAsync(library, 1, &name, NULL, READ_WRITE)); /* on its way, and never read */
  daemon_restart();
  int own = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event wanted = {.events = EPOLLIN};
  assert_int_equal(epoll_ctl(own, EPOLL_CTL_ADD, (int)object, &wanted), 0);
  own_loop(own, library);
  OK(opened_error);
  OK(section_create(opened_handle, "s", "x"));
  OK(saCkptDispatch(library, SA_DISPATCH_ALL));
  assert_int_equal(opened_count, 1);
  (void)close(own);
  OK(saCkptFinalize(library));
}

static void *dispatch_blocking(void *argument) {
  (void)saCkptDispatch(*(SaCkptHandleT *)argument, SA_DISPATCH_BLOCKING);
  return argument;
}

static void finalize_releases_a_blocking_dispatcher_while_there_is_no_daemon(void **state) {
  (void)state;
  SaCkptCallbacksT callbacks = {note_opened, NULL};
  SaCkptHandleT library = library_open(2, &callbacks);
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, dispatch_blocking, &library), 0);
  daemon_fixture_kill(&test_daemon);
  SaCkptHandleT handle = library;
  OK(saCkptFinalize(handle));
  assert_int_equal(pthread_join(thread, NULL), 0);
  daemon_fixture_start(&test_daemon);
}

/* ---- writes under fire ---- */

#define WRITERS 4
#define ROUNDS 5
#define ROUND_CALLS 200 /* of all writers together, before the next kill */

typedef struct writer {
  SaCkptCheckpointHandleT checkpoint;
  int number;
  atomic_bool *stop;
  sem_t *done;           /* posted after each round of calls */
  unsigned acknowledged; /* highest value whose write was answered with OK */
  SaAisErrorT failed;
} writer_t;

static void *write_rising_numbers(void *argument) {
  writer_t *writer = argument;
  char id[16];
  (void)snprintf(id, sizeof id, "w%d", writer->number);
  writer->failed = section_create(writer->checkpoint, id, "0");
  for (unsigned value = 1; !atomic_load(writer->stop) && writer->failed == SA_AIS_OK; value++) {
    char text[16];
    (void)snprintf(text, sizeof text, "%u", value);
    writer->failed = section_overwrite(writer->checkpoint, id, text);
    writer->acknowledged = writer->failed == SA_AIS_OK ? value : writer->acknowledged;
    (void)sem_post(writer->done);
  }
  return NULL;
}

/* Start the writers, kill the daemon again and again while they are at work, and wait for their end. */
static void writers_under_fire(writer_t writers[WRITERS], SaCkptCheckpointHandleT checkpoint, void *(*work)(void *)) {
  pthread_t threads[WRITERS];
  atomic_bool stop = false;
  sem_t done;
  assert_int_equal(sem_init(&done, 0, 0), 0);
  for (int i = 0; i < WRITERS; i++) {
    writers[i] = (writer_t){.checkpoint = checkpoint, .number = i, .stop = &stop, .done = &done, .failed = SA_AIS_OK};
    assert_int_equal(pthread_create(&threads[i], NULL, work, &writers[i]), 0);
  }
  for (int round = 0; round < ROUNDS; round++) {
    while (sem_trywait(&done) == 0) { /* those of before */
    }
    for (int i = 0; i < ROUND_CALLS; i++) {
      const struct timespec deadline = {.tv_sec = time(NULL) + 20};
      assert_int_equal(sem_timedwait(&done, &deadline), 0);
    }
    daemon_restart();
  }
  atomic_store(&stop, true);
  for (int i = 0; i < WRITERS; i++) {
    assert_int_equal(pthread_join(threads[i], NULL), 0);
    OK(writers[i].failed);
  }
  assert_int_equal(sem_destroy(&done), 0);
}

/* clause 17.9: one writer's updates are seen in order, also across faults */
static void nothing_acknowledged_is_lost_and_no_call_fails_when_the_daemon_is_killed_during_writes(void **state) {
  (void)state;
  SaCkptCheckpointHandleT checkpoint = checkpoint_usual(lib, "under-fire");
  writer_t writers[WRITERS];
  writers_under_fire(writers, checkpoint, write_rising_numbers);
  for (int i = 0; i < WRITERS; i++) {
    char id[16];
    char text[16];
    (void)snprintf(id, sizeof id, "w%d", i);
    (void)snprintf(text, sizeof text, "%u", writers[i].acknowledged);
    assert_section(checkpoint, id, text);
  }
}

static void *create_and_delete(void *argument) {
  writer_t *writer = argument;
  char id[16];
  (void)snprintf(id, sizeof id, "c%d", writer->number);
  while (!atomic_load(writer->stop) && writer->failed == SA_AIS_OK) {
    SaCkptSectionIdT section = id_of(id);
    writer->failed = section_create(writer->checkpoint, id, "x");
    if (writer->failed == SA_AIS_OK) {
      writer->failed = saCkptSectionDelete(writer->checkpoint, &section);
    }
    (void)sem_post(writer->done);
  }
  return NULL;
}

/* A create that was done before the crash and is asked for again would be EXIST, a delete NOT_EXIST. */
static void a_change_that_was_done_before_the_crash_is_answered_and_not_done_again(void **state) {
  (void)state;
  writer_t writers[WRITERS];
  writers_under_fire(writers, checkpoint_usual(lib, "once"), create_and_delete);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      WITH_DAEMON(every_handle_stays_valid_when_the_daemon_is_killed_and_started_again),
      WITH_DAEMON(an_iteration_goes_on_after_the_daemon_was_started_again),
      WITH_DAEMON(a_call_waits_for_a_daemon_that_comes_back),
      WITH_DAEMON(without_a_daemon_a_call_is_try_again_within_its_time_and_has_no_effect),
      WITH_DAEMON(a_daemon_that_stands_still_is_a_timeout),
      WITH_DAEMON(a_daemon_that_lost_everything_makes_every_handle_bad),
      WITH_DAEMON(a_selection_object_in_the_applications_own_epoll_set_survives_restarts),
      WITH_DAEMON(a_callback_that_was_pending_when_the_daemon_was_killed_comes_once),
      WITH_DAEMON(finalize_releases_a_blocking_dispatcher_while_there_is_no_daemon),
      WITH_DAEMON(nothing_acknowledged_is_lost_and_no_call_fails_when_the_daemon_is_killed_during_writes),
      WITH_DAEMON(a_change_that_was_done_before_the_crash_is_answered_and_not_done_again),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
