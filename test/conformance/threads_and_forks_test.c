/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Threads, forks, and the death of a process (clauses 0.1, 0.7 to 0.10, 22.29).
 */
#include "test/conformance/ckpt_fixture.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#define THREADS 32
#define ROUNDS 100

typedef struct job {
  SaCkptCheckpointHandleT checkpoint;
  int number;
  const char *failed; /* what a thread found wrong; cmocka's asserts are for the main thread alone */
} job_t;

#define CHECK(condition)      \
  if (!(condition)) {         \
    job->failed = #condition; \
    return NULL;              \
  }

static void run_threads(void *(*run)(void *), SaCkptCheckpointHandleT checkpoint) {
  pthread_t threads[THREADS];
  job_t jobs[THREADS];
  for (int i = 0; i < THREADS; i++) {
    jobs[i] = (job_t){.checkpoint = checkpoint, .number = i};
    assert_int_equal(pthread_create(&threads[i], NULL, run, &jobs[i]), 0);
  }
  for (int i = 0; i < THREADS; i++) {
    assert_int_equal(pthread_join(threads[i], NULL), 0);
  }
  for (int i = 0; i < THREADS; i++) {
    if (jobs[i].failed != NULL) {
      fail_msg("thread %d: %s", i, jobs[i].failed);
    }
  }
}

static void *write_and_read_own_section(void *argument) {
  job_t *job = argument;
  char id[16];
  char text[32];
  char read[32] = {0};
  (void)snprintf(id, sizeof id, "t%d", job->number);
  CHECK(section_create(job->checkpoint, id, "") == SA_AIS_OK);
  for (int i = 0; i < ROUNDS; i++) {
    (void)snprintf(text, sizeof text, "%d in round %d", job->number, i);
    CHECK(section_overwrite(job->checkpoint, id, text) == SA_AIS_OK);
    SaCkptIOVectorElementT element = element_of(id, read, sizeof read, 0);
    CHECK(saCkptCheckpointRead(job->checkpoint, &element, 1, NULL) == SA_AIS_OK);
    CHECK(element.readSize == strlen(text) && memcmp(read, text, strlen(text)) == 0);
    SaCkptCheckpointDescriptorT status;
    CHECK(i % 10 != 0 || saCkptCheckpointStatusGet(job->checkpoint, &status) == SA_AIS_OK);
  }
  return NULL;
}

/* clause 0.7: each gets its own answers, in whatever order they come */
static void many_threads_use_one_handle_without_mixing_their_answers(void **state) {
  (void)state;
  run_threads(write_and_read_own_section, checkpoint_usual(lib, "threads"));
}

static void *write_large(void *argument) {
  job_t *job = argument;
  static uint8_t data[300000];
  char id[16];
  (void)snprintf(id, sizeof id, "t%d", job->number);
  SaCkptSectionIdT section = id_of(id);
  CHECK(section_create(job->checkpoint, id, "") == SA_AIS_OK);
  for (int i = 0; i < 5; i++) {
    SaSizeT size = job->number % 2 == 0 ? sizeof data : 100;
    CHECK(saCkptSectionOverwrite(job->checkpoint, &section, data, size) == SA_AIS_OK);
    SaCkptCheckpointDescriptorT status;
    CHECK(saCkptCheckpointStatusGet(job->checkpoint, &status) == SA_AIS_OK);
  }
  return NULL;
}

/* clause 0.7: requests larger than a socket takes at once, between small ones */
static void threads_that_write_much_and_threads_that_write_little_share_a_link(void **state) {
  (void)state;
  SaCkptCheckpointCreationAttributesT attributes = attributes_of(SA_CKPT_WR_ALL_REPLICAS);
  attributes.maxSectionSize = 300000;
  run_threads(write_large, checkpoint_create(lib, "threads-large", &attributes));
}

static void *open_use_close(void *argument) {
  job_t *job = argument;
  for (int i = 0; i < ROUNDS / 10; i++) {
    SaNameT name = name_of("threads-open");
    SaCkptCheckpointHandleT checkpoint;
    CHECK(saCkptCheckpointOpen(lib, &name, NULL, READ_WRITE, 0, &checkpoint) == SA_AIS_OK);
    CHECK(section_try(checkpoint, "s") == SA_AIS_OK);
    CHECK(saCkptCheckpointClose(checkpoint) == SA_AIS_OK);
    CHECK(section_try(checkpoint, "s") == SA_AIS_ERR_BAD_HANDLE);
  }
  return NULL;
}

/* clauses 0.1, 0.7 */
static void threads_open_and_close_handles_side_by_side(void **state) {
  (void)state;
  SaCkptCheckpointHandleT checkpoint = checkpoint_usual(lib, "threads-open");
  OK(section_create(checkpoint, "s", "x"));
  run_threads(open_use_close, checkpoint);
}

static void *use_until_bad(void *argument) {
  job_t *job = argument;
  for (;;) {
    SaAisErrorT wrote = section_overwrite(job->checkpoint, "s", "y");
    SaAisErrorT read = section_try(job->checkpoint, "s");
    CHECK(wrote == SA_AIS_OK || wrote == SA_AIS_ERR_BAD_HANDLE);
    CHECK(read == SA_AIS_OK || read == SA_AIS_ERR_BAD_HANDLE);
    if (wrote == SA_AIS_ERR_BAD_HANDLE && read == SA_AIS_ERR_BAD_HANDLE) {
      return NULL;
    }
  }
}

static SaCkptHandleT to_finalize;
static void *use_or_finalize(void *argument) {
  job_t *job = argument;
  if (job->number == THREADS - 1) {
    CHECK(saCkptFinalize(to_finalize) == SA_AIS_OK);
    return NULL;
  }
  return use_until_bad(argument);
}

static void *use_or_close(void *argument) {
  job_t *job = argument;
  if (job->number == THREADS - 1) {
    CHECK(saCkptCheckpointClose(job->checkpoint) == SA_AIS_OK);
    return NULL;
  }
  return use_until_bad(argument);
}

/* clauses 0.1, 0.2, 0.7 */
static void handles_may_be_closed_and_finalized_while_other_threads_use_them(void **state) {
  (void)state;
  to_finalize = library_b2();
  SaCkptCheckpointHandleT checkpoint = checkpoint_usual(to_finalize, "threads-finalize");
  OK(section_create(checkpoint, "s", "x"));
  run_threads(use_or_close, checkpoint);
  run_threads(use_or_finalize, checkpoint_again(to_finalize, "threads-finalize", READ_WRITE));
}

/* ---- processes ---- */

/* Run something in a child that may do nothing but call the library and exit. */
static int in_child(int (*run)(SaCkptCheckpointHandleT checkpoint), SaCkptCheckpointHandleT checkpoint) {
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    _exit(run(checkpoint));
  }
  int status = 0;
  assert_int_equal(waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#define CHILD_EXPECT(code, call) \
  if ((call) != (code)) {        \
    return __LINE__ % 200 + 1;   \
  }

static int handles_are_bad(SaCkptCheckpointHandleT checkpoint) {
  SaSelectionObjectT object;
  SaNameT name = name_of("forked");
  SaCkptCheckpointHandleT opened;
  CHILD_EXPECT(SA_AIS_ERR_BAD_HANDLE, saCkptSelectionObjectGet(lib, &object));
  CHILD_EXPECT(SA_AIS_ERR_BAD_HANDLE, saCkptDispatch(lib, SA_DISPATCH_BLOCKING));
  CHILD_EXPECT(SA_AIS_ERR_BAD_HANDLE, saCkptCheckpointOpen(lib, &name, NULL, READ_WRITE, 0, &opened));
  CHILD_EXPECT(SA_AIS_ERR_BAD_HANDLE, section_overwrite(checkpoint, "s", "child"));
  CHILD_EXPECT(SA_AIS_ERR_BAD_HANDLE, section_try(checkpoint, "s"));
  CHILD_EXPECT(SA_AIS_ERR_BAD_HANDLE, saCkptCheckpointClose(checkpoint));
  CHILD_EXPECT(SA_AIS_ERR_BAD_HANDLE, saCkptFinalize(lib));
  return 0;
}

/* clauses 0.7, 22.29 */
static void in_a_forked_child_every_handle_is_bad_and_the_parent_is_untouched(void **state) {
  (void)state;
  SaCkptCheckpointHandleT checkpoint = checkpoint_usual(lib, "forked");
  OK(section_create(checkpoint, "s", "parent"));
  assert_section(checkpoint, "s", "parent");
  assert_int_equal(in_child(handles_are_bad, checkpoint), 0);
  OK(section_overwrite(checkpoint, "s", "still the parent"));
  assert_section(checkpoint, "s", "still the parent");
}

static int initialize_anew(SaCkptCheckpointHandleT checkpoint) {
  SaVersionT version = {'B', 2, 2};
  SaCkptHandleT library;
  SaNameT name = name_of("forked-anew");
  SaCkptCheckpointHandleT opened;
  CHILD_EXPECT(SA_AIS_OK, saCkptInitialize(&library, NULL, &version));
  CHILD_EXPECT(SA_AIS_OK, saCkptCheckpointOpen(library, &name, NULL, READ_WRITE, 0, &opened));
  CHILD_EXPECT(SA_AIS_OK, section_overwrite(opened, "s", "child"));
  CHILD_EXPECT(SA_AIS_ERR_BAD_HANDLE, section_overwrite(checkpoint, "s", "child"));
  CHILD_EXPECT(SA_AIS_OK, saCkptFinalize(library));
  return 0;
}

/* clause 0.7: daemons initialise, fork, and initialise again */
static void a_forked_child_may_initialize_anew(void **state) {
  (void)state;
  SaCkptCheckpointHandleT checkpoint = checkpoint_usual(lib, "forked-anew");
  OK(section_create(checkpoint, "s", "parent"));
  assert_int_equal(in_child(initialize_anew, checkpoint), 0);
  assert_section(checkpoint, "s", "child");
  OK(section_overwrite(checkpoint, "s", "parent"));
}

static pid_t forked_in_callback;
static int in_child_of_callback; /* only ever set in the child */
static void fork_in_callback(SaInvocationT invocation, SaCkptCheckpointHandleT checkpoint, SaAisErrorT error) {
  (void)invocation;
  (void)checkpoint;
  (void)error;
  if (forked_in_callback == 0) {
    forked_in_callback = fork();
    in_child_of_callback = forked_in_callback == 0;
  }
}

/* clauses 0.7, 0.8: the child comes back from the callback into Dispatch, and leaves the parent's link alone */
static void a_callback_may_fork(void **state) {
  (void)state;
  SaCkptCallbacksT callbacks = {fork_in_callback, NULL};
  SaCkptHandleT library = library_open(2, &callbacks);
  SaSelectionObjectT object;
  OK(saCkptSelectionObjectGet(library, &object));
  SaNameT name = name_of("not-there");
  for (SaInvocationT i = 0; i < 3; i++) {
    OK(saCkptCheckpointOpenAsync(library, i, &name, NULL, SA_CKPT_CHECKPOINT_READ));
  }
  assert_true(is_readable(object, TEST_DEADLINE_MS));
  forked_in_callback = 0;
  (void)saCkptDispatch(library, SA_DISPATCH_ALL);
  if (in_child_of_callback) {
    _exit(saCkptDispatch(library, SA_DISPATCH_ALL) == SA_AIS_ERR_BAD_HANDLE ? 0 : 1);
  }
  int status = 0;
  assert_int_equal(waitpid(forked_in_callback, &status, 0), forked_in_callback);
  assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  OK(saCkptFinalize(library));
}

/* A child of its own that opens a checkpoint, says so, and waits to be killed. `grandchild`: it forks before, and the
 * grandchild lives on with the inherited socket. */
static pid_t opener_start(const char *text, bool grandchild, pid_t *lives_on) {
  int ends[2];
  assert_int_equal(pipe(ends), 0);
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    SaCkptCheckpointCreationAttributesT attributes = attributes_of(SA_CKPT_WR_ALL_REPLICAS);
    attributes.retentionDuration = 0;
    SaCkptHandleT library = library_b2();
    (void)checkpoint_create(library, text, &attributes);
    pid_t said = grandchild ? fork() : 0;
    if (said != 0 || !grandchild) {
      (void)!write(ends[1], &said, sizeof said);
    }
    for (;;) {
      (void)pause();
    }
  }
  (void)close(ends[1]);
  assert_int_equal(read(ends[0], lives_on, sizeof *lives_on), sizeof *lives_on);
  (void)close(ends[0]);
  return child;
}

static void expect_gone_soon(const char *text) {
  int64_t deadline_ns = daemon_fixture_now_ns() + TEST_DEADLINE_NS;
  SaAisErrorT found;
  while ((found = checkpoint_try(lib, text)) == SA_AIS_OK && daemon_fixture_now_ns() < deadline_ns) {
    (void)sched_yield();
  }
  EXPECT(SA_AIS_ERR_NOT_EXIST, found);
}

/* clauses 0.10, 6.5 */
static void the_death_of_a_process_closes_what_it_had_open(void **state) {
  (void)state;
  pid_t lives_on;
  pid_t opener = opener_start("dies", false, &lives_on);
  OK(checkpoint_try(lib, "dies"));
  (void)kill(opener, SIGKILL);
  assert_int_equal(waitpid(opener, NULL, 0), opener);
  expect_gone_soon("dies");
}

/* clauses 0.10, 22.29: noticed although a child lives on with the inherited socket */
static void the_death_of_a_parent_is_noticed_although_its_child_lives_on(void **state) {
  (void)state;
  pid_t lives_on;
  pid_t opener = opener_start("parent-dies", true, &lives_on);
  OK(checkpoint_try(lib, "parent-dies"));
  (void)kill(opener, SIGKILL);
  assert_int_equal(waitpid(opener, NULL, 0), opener);
  expect_gone_soon("parent-dies");
  (void)kill(lives_on, SIGKILL);
}

static int descriptors_open(void) {
  DIR *directory = opendir("/proc/self/fd");
  assert_non_null(directory);
  int count = 0;
  while (readdir(directory) != NULL) {
    count++;
  }
  (void)closedir(directory);
  return count;
}

/* Everything that a handle took is given back, descriptors too. */
static void finalize_leaves_no_descriptor_behind(void **state) {
  (void)state;
  int before = descriptors_open();
  for (int i = 0; i < 20; i++) {
    SaCkptCallbacksT callbacks = {fork_in_callback, NULL};
    SaCkptHandleT library = library_open(2, &callbacks);
    SaSelectionObjectT object;
    OK(saCkptSelectionObjectGet(library, &object));
    SaCkptCheckpointHandleT checkpoint = checkpoint_usual(library, "descriptors");
    EXPECT(SA_AIS_ERR_NOT_EXIST, section_try(checkpoint, "s")); /* maps the replica */
    if (i % 2 == 0) {
      OK(saCkptCheckpointClose(checkpoint));
    }
    OK(saCkptFinalize(library));
  }
  assert_int_equal(descriptors_open(), before);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(many_threads_use_one_handle_without_mixing_their_answers),
      CASE(threads_that_write_much_and_threads_that_write_little_share_a_link),
      CASE(threads_open_and_close_handles_side_by_side),
      CASE(handles_may_be_closed_and_finalized_while_other_threads_use_them),
      CASE(in_a_forked_child_every_handle_is_bad_and_the_parent_is_untouched),
      CASE(a_forked_child_may_initialize_anew),
      CASE(a_callback_may_fork),
      CASE(the_death_of_a_process_closes_what_it_had_open),
      CASE(the_death_of_a_parent_is_noticed_although_its_child_lives_on),
      CASE(finalize_leaves_no_descriptor_behind),
  };
  return cmocka_run_group_tests(tests, group_open, group_close);
}
