/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A client that is killed, stopped or forks harms nobody else.
 *
 * The bad client is another process that works as hard as it can: writes large enough to be cut in the middle of a
 * message, reads, iterations, opens and closes, callbacks. The good one is this process: each of its calls must be
 * answered, and rightly, whatever becomes of the bad one. In the end the daemon has nothing left of those that are gone.
 */
#include <fcntl.h>
#include <poll.h>
#include <saCkpt.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/support/daemon_fixture.h"
#include "test/support/raw_link.h"

#define OK(call) assert_int_equal((call), SA_AIS_OK)
#define LIMIT TEST_DEADLINE_NS
#define LARGE_BYTES (1U << 20) /* more than a socket takes at once */
#define KILLS 25
#define ROUNDS 200

static daemon_fixture_t vestad;
static SaCkptHandleT library;
static SaCkptCheckpointHandleT checkpoint;
static uint8_t large[LARGE_BYTES];

static SaNameT name_of(const char *text) {
  SaNameT name = {.length = (SaUint16T)strlen(text)};
  memcpy(name.value, text, name.length);
  return name;
}

static SaCkptSectionIdT id_of(const char *text) {
  SaCkptSectionIdT id = {.idLen = (SaUint16T)strlen(text)};
  memcpy(&id.id, &text, sizeof id.id);
  return id;
}

static const SaCkptCheckpointCreationAttributesT attributes = {.creationFlags = SA_CKPT_WR_ACTIVE_REPLICA,
                                                               .checkpointSize = 0,
                                                               .retentionDuration = 0,
                                                               .maxSections = 100,
                                                               .maxSectionSize = LARGE_BYTES,
                                                               .maxSectionIdSize = 8};

static SaAisErrorT open_as(SaCkptHandleT through, const char *text, SaCkptCheckpointHandleT *handle) {
  SaNameT name = name_of(text);
  return saCkptCheckpointOpen(through, &name, &attributes,
                              SA_CKPT_CHECKPOINT_READ | SA_CKPT_CHECKPOINT_WRITE | SA_CKPT_CHECKPOINT_CREATE, LIMIT,
                              handle);
}

static SaAisErrorT upsert(SaCkptCheckpointHandleT through, const char *text, const void *data, SaSizeT size) {
  SaCkptSectionIdT id = id_of(text);
  SaAisErrorT error = saCkptSectionOverwrite(through, &id, data, size);
  if (error == SA_AIS_ERR_NOT_EXIST) {
    SaCkptSectionCreationAttributesT section = {.sectionId = &id, .expirationTime = SA_TIME_END};
    error = saCkptSectionCreate(through, &section, data, size);
  }
  return error;
}

static int called;
static void note_opened(SaInvocationT invocation, SaCkptCheckpointHandleT handle, SaAisErrorT error) {
  (void)invocation;
  called++;
  if (error == SA_AIS_OK) {
    (void)saCkptCheckpointClose(handle);
  }
}

/* ---- the bad client ---- */

typedef struct bad {
  SaCkptHandleT library;
  SaSelectionObjectT object;
  SaCkptCheckpointHandleT shared, own;
} bad_t;

static bool bad_begin(bad_t *bad) {
  const SaCkptCallbacksT callbacks = {note_opened, NULL};
  SaVersionT version = {'B', 2, 2};
  return saCkptInitialize(&bad->library, &callbacks, &version) == SA_AIS_OK &&
         saCkptSelectionObjectGet(bad->library, &bad->object) == SA_AIS_OK &&
         open_as(bad->library, "shared", &bad->shared) == SA_AIS_OK &&
         open_as(bad->library, "bad's own", &bad->own) == SA_AIS_OK;
}

/* A bit of everything. The large section is always of one byte value. */
static bool bad_works(bad_t *bad, unsigned round) {
  SaCkptSectionIdT id = id_of("large");
  SaCkptIOVectorElementT element = {.sectionId = id};
  SaCkptSectionIterationHandleT iteration;
  SaCkptSectionDescriptorT descriptor;
  SaNameT name = name_of("shared");
  memset(large, (int)(round % 256), sizeof large);
  called = 0;
  bool works = upsert(bad->shared, "large", large, sizeof large) == SA_AIS_OK &&
               upsert(bad->own, "s", "x", 1) == SA_AIS_OK &&
               saCkptCheckpointRead(bad->shared, &element, 1, NULL) == SA_AIS_OK &&
               saCkptIOVectorElementDataFree(bad->shared, element.dataBuffer) == SA_AIS_OK &&
               saCkptSectionIterationInitialize(bad->shared, SA_CKPT_SECTIONS_ANY, 0, &iteration) == SA_AIS_OK &&
               saCkptSectionIterationNext(iteration, &descriptor) == SA_AIS_OK &&
               saCkptSectionIterationFinalize(iteration) == SA_AIS_OK &&
               saCkptCheckpointOpenAsync(bad->library, 1, &name, NULL, SA_CKPT_CHECKPOINT_READ) == SA_AIS_OK;
  while (works && called == 0) {
    struct pollfd ready = {.fd = (int)bad->object, .events = POLLIN};
    works = poll(&ready, 1, TEST_DEADLINE_MS) == 1 && saCkptDispatch(bad->library, SA_DISPATCH_ALL) == SA_AIS_OK;
  }
  return works;
}

/* Start one that works `rounds` times and ends with 0 if all went well; it says so when it has begun. */
static pid_t bad_start(unsigned rounds) {
  int ends[2];
  assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) {
    bad_t bad;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    bool works = bad_begin(&bad) && bad_works(&bad, 0) && write(ends[1], "x", 1) == 1;
    for (unsigned round = 1; works && round < rounds; round++) {
      works = bad_works(&bad, round);
    }
    _exit(works && saCkptFinalize(bad.library) == SA_AIS_OK ? 0 : 1);
  }
  char begun;
  (void)close(ends[1]);
  assert_int_equal(read(ends[0], &begun, 1), 1);
  (void)close(ends[0]);
  return pid;
}

static void assert_exit(pid_t pid, int expected) {
  int status = 0;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_int_equal(WIFEXITED(status) ? WEXITSTATUS(status) : -1, expected);
}

/* ---- the good one ---- */

static void good_works(unsigned round) {
  char text[16];
  char buffer[16] = {0};
  (void)snprintf(text, sizeof text, "%u", round);
  SaCkptIOVectorElementT element = {.sectionId = id_of("good"), .dataBuffer = buffer, .dataSize = sizeof buffer};
  SaCkptCheckpointDescriptorT status;
  OK(upsert(checkpoint, "good", text, strlen(text)));
  OK(saCkptCheckpointRead(checkpoint, &element, 1, NULL));
  assert_string_equal(buffer, text);
  OK(saCkptCheckpointStatusGet(checkpoint, &status));
  assert_in_range(status.numberOfSections, 1, 2);
}

/* Written whole or not at all. */
static void assert_large_is_whole(void) {
  SaCkptIOVectorElementT element = {.sectionId = id_of("large")};
  OK(saCkptCheckpointRead(checkpoint, &element, 1, NULL));
  const uint8_t *bytes = element.dataBuffer;
  assert_int_equal(element.readSize, LARGE_BYTES);
  assert_memory_equal(bytes, bytes + 1, LARGE_BYTES - 1);
  OK(saCkptIOVectorElementDataFree(checkpoint, element.dataBuffer));
}

static void assert_nothing_is_left_of_others(void) {
  assert_true(raw_counter_falls_to(vestad.socket, "sessions", 1));
  assert_true(raw_counter_falls_to(vestad.socket, "handles", 1));
  assert_true(raw_counter_falls_to(vestad.socket, "held_bytes", 0));
  assert_int_equal(raw_counter(vestad.socket, "sessions"), 1);
  assert_int_equal(raw_counter(vestad.socket, "handles"), 1);
  assert_int_equal(raw_counter(vestad.socket, "checkpoints"), 1); /* the one that was the bad client's own is gone */
}

/* ---- tests ---- */

static void clients_killed_in_the_middle_of_anything_harm_nobody(void **state) {
  (void)state;
  for (unsigned i = 0; i < KILLS; i++) {
    pid_t bad = bad_start(1000000);
    const struct timespec moment = {.tv_nsec = 137777 * (long)i}; /* another moment each time: 0 to 3 ms */
    (void)nanosleep(&moment, NULL);
    (void)kill(bad, SIGKILL);
    good_works(i);
    assert_exit(bad, -1);
    assert_large_is_whole();
  }
  assert_nothing_is_left_of_others();
}

static void clients_that_are_stopped_harm_nobody_and_go_on_afterwards(void **state) {
  (void)state;
  for (unsigned i = 0; i < 5; i++) {
    pid_t bad = bad_start(20);
    const struct timespec moment = {.tv_nsec = 677777 * (long)i}; /* wherever it is then */
    (void)nanosleep(&moment, NULL);
    (void)kill(bad, SIGSTOP);
    for (unsigned round = 0; round < ROUNDS; round++) {
      good_works(round);
    }
    assert_large_is_whole();
    (void)kill(bad, SIGCONT);
    good_works(0);
    assert_exit(bad, 0);
  }
  assert_nothing_is_left_of_others();
}

static void a_client_that_is_stopped_may_be_killed_then(void **state) {
  (void)state;
  pid_t bad = bad_start(1000000);
  (void)kill(bad, SIGSTOP);
  good_works(1);
  (void)kill(bad, SIGKILL);
  assert_exit(bad, -1);
  good_works(2);
  assert_large_is_whole();
  assert_nothing_is_left_of_others();
}

/* LeakSanitizer asks this at the end of a process. A child can't reach what its parent has, so to it that is lost. */
int __lsan_is_turned_off(void);
static int is_child;
int __lsan_is_turned_off(void) { return is_child; }

/* What a child does with what it has inherited. */
typedef enum childs_way { RUN_DESTRUCTORS, CLOSE_ALL, CALL_AND_EXIT, EXEC } childs_way_t;

static _Noreturn void child_goes(childs_way_t way, const bad_t *bad) {
  char *const arguments[] = {NULL};
  is_child = 1;
  switch (way) {
    case RUN_DESTRUCTORS: exit(0);
    case CLOSE_ALL: (void)close_range(0, ~0U, 0); _exit(0);
    case CALL_AND_EXIT:
      _exit(saCkptCheckpointClose(bad->shared) == SA_AIS_ERR_BAD_HANDLE &&
                    saCkptDispatch(bad->library, SA_DISPATCH_ALL) == SA_AIS_ERR_BAD_HANDLE &&
                    saCkptFinalize(bad->library) == SA_AIS_ERR_BAD_HANDLE
                ? 0
                : 1);
    case EXEC: (void)execve("/bin/true", arguments, arguments); _exit(1);
  }
  _exit(1);
}

/* In the bad client: fork in every way, and work on. @return whether it still works */
static bool bad_forks(bad_t *bad) {
  const childs_way_t ways[] = {RUN_DESTRUCTORS, CLOSE_ALL, CALL_AND_EXIT, EXEC};
  bool works = true;
  for (unsigned i = 0; works && i < sizeof ways / sizeof ways[0]; i++) {
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
      child_goes(ways[i], bad);
    }
    works = waitpid(child, &status, 0) == child && status == 0 && bad_works(bad, i);
  }
  return works;
}

static void a_client_that_forks_works_on_and_so_do_the_others(void **state) {
  (void)state;
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) {
    bad_t bad;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    _exit(bad_begin(&bad) && bad_forks(&bad) && saCkptFinalize(bad.library) == SA_AIS_OK ? 0 : 1);
  }
  for (unsigned round = 0; round < ROUNDS; round++) {
    good_works(round);
  }
  assert_exit(pid, 0);
  assert_large_is_whole();
  assert_nothing_is_left_of_others();
}

/* ---- a daemon and a good client each ---- */

static int scene_open(void **state) {
  (void)state;
  SaVersionT version = {'B', 2, 2};
  daemon_fixture_open(&vestad);
  OK(saCkptInitialize(&library, NULL, &version));
  OK(open_as(library, "shared", &checkpoint));
  return 0;
}

static int scene_close(void **state) {
  (void)state;
  OK(saCkptFinalize(library));
  daemon_fixture_close(&vestad);
  return 0;
}

#define WITH_SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)

int main(void) {
  const struct CMUnitTest tests[] = {
      WITH_SCENE(clients_killed_in_the_middle_of_anything_harm_nobody),
      WITH_SCENE(clients_that_are_stopped_harm_nobody_and_go_on_afterwards),
      WITH_SCENE(a_client_that_is_stopped_may_be_killed_then),
      WITH_SCENE(a_client_that_forks_works_on_and_so_do_the_others),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
