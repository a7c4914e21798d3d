/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Every allocation that a call of the standard API makes fails once, one after the other: of each call.
 *
 * A call that a failed allocation stops says NO_MEMORY and has had no effect; made again, it succeeds. There are places
 * where an allocation may fail and the call still succeeds, because the library can do without: what came and could not
 * be kept is asked for again on a new link, a replica that can't be mapped is read by request. Then the call says OK and
 * has had its effect. There is no third way: that is what each case here is asked, by `done`.
 *
 * Afterwards every handle works, and at the end of the life nothing is left: no memory, no descriptor, and in the daemon
 * no session and no checkpoint handle.
 */
#include <dirent.h>
#include <poll.h>
#include <saCkpt.h>
#include <saCkpt_B_02_03.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/support/allocation.h"
#include "test/support/daemon_fixture.h"
#include "test/support/raw_link.h"

#define EXPECT(code, call) assert_int_equal((call), (code))
#define OK(call) EXPECT(SA_AIS_OK, call)
#define ALL_FLAGS (SA_CKPT_CHECKPOINT_READ | SA_CKPT_CHECKPOINT_WRITE | SA_CKPT_CHECKPOINT_CREATE)
#define LIMIT (20 * SA_TIME_ONE_SECOND)
#define LONG_VECTOR 20U      /* more than the library has room for on its stack */
#define LARGE_BYTES 100000U  /* more than its receive buffer */
#define ALLOCATIONS_MAX 100U /* of one call */

static daemon_fixture_t vestad;
static uint8_t large[LARGE_BYTES];

/* What a program has when it makes the call that is looked at, and what that call gives it. */
typedef struct life {
  SaCkptHandleT library;
  SaSelectionObjectT object;
  SaCkptCheckpointHandleT checkpoint;
  int64_t handles; /* in the daemon, before the call */
  int64_t sessions;
  SaCkptHandleT new_library;
  SaCkptCheckpointHandleT new_checkpoint;
  SaCkptSectionIterationHandleT iteration;
  SaCkptSectionIdT generated;
  SaCkptIOVectorElementT read[LONG_VECTOR];
  bool has_read;
  SaCkptSectionDescriptorT descriptor;
} life_t;

static struct {
  int count;
  SaAisErrorT error;
  SaCkptCheckpointHandleT checkpoint;
} called;

static void note_opened(SaInvocationT invocation, SaCkptCheckpointHandleT checkpoint, SaAisErrorT error) {
  (void)invocation;
  called.count++;
  called.error = error;
  called.checkpoint = checkpoint;
}

static void note_synchronized(SaInvocationT invocation, SaAisErrorT error) { note_opened(invocation, 0, error); }

static int64_t counter(const char *key) { return raw_counter(vestad.socket, key); }

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
                                                               .maxSections = 1000,
                                                               .maxSectionSize = LARGE_BYTES,
                                                               .maxSectionIdSize = 400};

static int tracked;
static void note_tracked(SaCkptCheckpointHandleT checkpoint, SaCkptIOVectorElementT *vector, SaUint32T count) {
  (void)checkpoint;
  (void)vector;
  tracked += (int)count;
}

/* ---- calls ---- */

static SaAisErrorT initialize(life_t *life) {
  const SaCkptCallbacksT_2 callbacks = {note_opened, note_synchronized, note_tracked};
  SaVersionT version = {'B', 2, 2};
  return saCkptInitialize_2(&life->new_library, &callbacks, &version);
}
/* A session that was begun for nothing ends when the daemon hears of it. */
static bool is_initialized(life_t *life) {
  int64_t expected = life->sessions + (life->new_library != 0);
  int64_t until_ns = daemon_fixture_now_ns() + LIMIT;
  while (counter("sessions") != expected && daemon_fixture_now_ns() < until_ns) {
  }
  assert_int_equal(counter("sessions"), expected);
  return life->new_library != 0;
}

static SaAisErrorT selection_object_get(life_t *life) { return saCkptSelectionObjectGet(life->library, &life->object); }
static bool is_any(life_t *life) {
  (void)life;
  return true;
}

static SaAisErrorT open_new(life_t *life) {
  SaNameT name = name_of("new");
  return saCkptCheckpointOpen(life->library, &name, &attributes, ALL_FLAGS, LIMIT, &life->new_checkpoint);
}
static bool is_open(life_t *life) {
  bool more = counter("handles") > life->handles;
  assert_int_equal(more, life->new_checkpoint != 0);
  return more;
}

static SaAisErrorT open_async(life_t *life) {
  SaNameT name = name_of("new");
  called.count = 0;
  return saCkptCheckpointOpenAsync(life->library, 1, &name, &attributes, ALL_FLAGS);
}

/* A dispatch that found no memory for what came takes it when it comes again. */
static void dispatch_until_called(life_t *life) {
  int64_t until_ns = daemon_fixture_now_ns() + LIMIT;
  while (called.count == 0 && daemon_fixture_now_ns() < until_ns) {
    struct pollfd ready = {.fd = (int)life->object, .events = POLLIN};
    (void)poll(&ready, 1, 1000);
    OK(saCkptDispatch(life->library, SA_DISPATCH_ALL));
  }
  assert_int_equal(called.count, 1);
  OK(called.error);
}

static bool is_open_async(life_t *life) {
  bool more = counter("handles") > life->handles;
  if (more) {
    dispatch_until_called(life);
    life->new_checkpoint = called.checkpoint;
  }
  return more;
}

/* The allocations of the dispatch, not of the call. */
static SaAisErrorT dispatch(life_t *life) { return saCkptDispatch(life->library, SA_DISPATCH_ALL); }
static void prepare_dispatch(life_t *life) {
  OK(open_async(life));
  struct pollfd ready = {.fd = (int)life->object, .events = POLLIN};
  assert_int_equal(poll(&ready, 1, TEST_DEADLINE_MS), 1);
}

static SaAisErrorT close_it(life_t *life) {
  SaAisErrorT error = saCkptCheckpointClose(life->new_checkpoint);
  if (error == SA_AIS_OK) {
    life->new_checkpoint = 0;
  }
  return error;
}
static void prepare_new(life_t *life) { OK(open_new(life)); }
static bool is_closed(life_t *life) { return counter("handles") == life->handles; }

static SaAisErrorT unlink_it(life_t *life) {
  SaNameT name = name_of("new");
  return saCkptCheckpointUnlink(life->library, &name);
}
static bool is_unlinked(life_t *life) {
  SaCkptCheckpointHandleT again = 0;
  SaNameT name = name_of("new");
  SaAisErrorT error = saCkptCheckpointOpen(life->library, &name, NULL, SA_CKPT_CHECKPOINT_READ, LIMIT, &again);
  if (error == SA_AIS_OK) {
    OK(saCkptCheckpointClose(again));
  }
  return error == SA_AIS_ERR_NOT_EXIST;
}

static SaCkptCheckpointDescriptorT status_of(const life_t *life) {
  SaCkptCheckpointDescriptorT status = {.numberOfSections = 77777};
  OK(saCkptCheckpointStatusGet(life->checkpoint, &status));
  return status;
}

static SaAisErrorT set_retention(life_t *life) { return saCkptCheckpointRetentionDurationSet(life->checkpoint, 1000); }
static bool is_retained(life_t *life) { return status_of(life).checkpointCreationAttributes.retentionDuration == 1000; }

static SaAisErrorT set_active(life_t *life) {
  SaAisErrorT error = saCkptActiveReplicaSet(life->checkpoint); /* not collocated: refused, without an effect */
  return error == SA_AIS_ERR_BAD_OPERATION ? SA_AIS_OK : error;
}

static SaAisErrorT get_status(life_t *life) {
  SaCkptCheckpointDescriptorT status;
  return saCkptCheckpointStatusGet(life->checkpoint, &status);
}

static SaAisErrorT create_long_id(life_t *life) {
  char text[350];
  memset(text, 'x', sizeof text - 1);
  text[sizeof text - 1] = '\0';
  SaCkptSectionIdT id = id_of(text);
  SaCkptSectionCreationAttributesT section = {.sectionId = &id, .expirationTime = SA_TIME_END};
  return saCkptSectionCreate(life->checkpoint, &section, large, sizeof large);
}
static bool is_created(life_t *life) { return status_of(life).numberOfSections == 2; }

static SaAisErrorT create_generated(life_t *life) {
  SaCkptSectionCreationAttributesT section = {.sectionId = &life->generated, .expirationTime = SA_TIME_END};
  return saCkptSectionCreate(life->checkpoint, &section, "abc", 3);
}
static bool is_generated(life_t *life) {
  assert_int_equal(life->generated.id != NULL, is_created(life));
  return is_created(life);
}

static SaAisErrorT create_text(const life_t *life, const char *text, const void *data, SaSizeT size) {
  SaCkptSectionIdT id = id_of(text);
  SaCkptSectionCreationAttributesT section = {.sectionId = &id, .expirationTime = SA_TIME_END};
  return saCkptSectionCreate(life->checkpoint, &section, data, size);
}

static SaAisErrorT delete_it(life_t *life) {
  SaCkptSectionIdT id = id_of("other");
  return saCkptSectionDelete(life->checkpoint, &id);
}
static SaAisErrorT expire_it(life_t *life) {
  SaCkptSectionIdT id = id_of("other");
  return saCkptSectionExpirationTimeSet(life->checkpoint, &id, 1);
}
static void prepare_other(life_t *life) { OK(create_text(life, "other", "abc", 3)); }
static bool is_deleted(life_t *life) { return status_of(life).numberOfSections == 1; }

/* The first byte of the section that is always there. */
static char first_byte(const life_t *life) {
  char byte = 0;
  SaCkptIOVectorElementT element = {.sectionId = id_of("s"), .dataBuffer = &byte, .dataSize = 1};
  OK(saCkptCheckpointRead(life->checkpoint, &element, 1, NULL));
  return byte;
}
static bool is_written(life_t *life) { return first_byte(life) == 'W'; }

static SaAisErrorT write_long_vector(life_t *life) {
  SaCkptIOVectorElementT vector[LONG_VECTOR];
  char byte = 'W';
  for (SaOffsetT i = 0; i < LONG_VECTOR; i++) {
    vector[i] = (SaCkptIOVectorElementT){.sectionId = id_of("s"), .dataBuffer = &byte, .dataSize = 1, .dataOffset = i};
  }
  return saCkptCheckpointWrite(life->checkpoint, vector, LONG_VECTOR, NULL);
}

static SaAisErrorT overwrite(life_t *life) {
  SaCkptSectionIdT id = id_of("s");
  return saCkptSectionOverwrite(life->checkpoint, &id, "World", 5);
}

/* Buffers made by the library for some elements, and for one that is large. */
static SaAisErrorT read_long_vector(life_t *life) {
  for (size_t i = 0; i < LONG_VECTOR; i++) {
    life->read[i] = (SaCkptIOVectorElementT){.sectionId = id_of(i == 7 ? "other" : "s")};
  }
  SaAisErrorT error = saCkptCheckpointRead(life->checkpoint, life->read, LONG_VECTOR, NULL);
  life->has_read = error == SA_AIS_OK;
  for (size_t i = 0; i < LONG_VECTOR; i++) { /* what was made before the failure was taken back */
    assert_int_equal(life->read[i].dataBuffer != NULL, life->has_read);
  }
  return error;
}
static void prepare_large(life_t *life) { OK(create_text(life, "other", large, sizeof large)); }
static bool has_read(life_t *life) {
  if (life->has_read) {
    assert_int_equal(life->read[7].readSize, sizeof large);
    assert_memory_equal(life->read[7].dataBuffer, large, sizeof large);
    assert_memory_equal(life->read[19].dataBuffer, "start", 5);
  }
  return life->has_read;
}

static SaAisErrorT iteration_begin(life_t *life) {
  return saCkptSectionIterationInitialize(life->checkpoint, SA_CKPT_SECTIONS_ANY, 0, &life->iteration);
}
static bool is_iterating(life_t *life) { return life->iteration != 0; }

/* The next one comes with the next answer of the daemon. */
static void prepare_iteration(life_t *life) {
  for (int i = 0; i < 600; i++) {
    char text[16];
    (void)snprintf(text, sizeof text, "%d", i);
    OK(create_text(life, text, "x", 1));
  }
  OK(iteration_begin(life));
  for (int i = 0; i < 512; i++) {
    OK(saCkptSectionIterationNext(life->iteration, &life->descriptor));
  }
  life->descriptor.sectionId.id = NULL;
}
static SaAisErrorT iteration_next(life_t *life) {
  return saCkptSectionIterationNext(life->iteration, &life->descriptor);
}
static bool has_next(life_t *life) {
  bool has = life->descriptor.sectionId.id != NULL;
  for (int i = 0; has && i < 601 - 512 - 1; i++) {
    OK(iteration_next(life));
  }
  if (has) {
    EXPECT(SA_AIS_ERR_NO_SECTIONS, iteration_next(life));
  }
  return has;
}
static SaAisErrorT iteration_end(life_t *life) {
  SaAisErrorT error = saCkptSectionIterationFinalize(life->iteration);
  life->iteration = error == SA_AIS_OK ? 0 : life->iteration;
  return error;
}
static bool is_over(life_t *life) { return life->iteration == 0; }

static SaAisErrorT synchronize(life_t *life) { return saCkptCheckpointSynchronize(life->checkpoint, LIMIT); }

static SaAisErrorT synchronize_async(life_t *life) {
  called.count = 0;
  SaAisErrorT error = saCkptCheckpointSynchronizeAsync(life->checkpoint, 1);
  life->has_read = error == SA_AIS_OK;
  return error;
}
static bool is_synchronized(life_t *life) {
  if (life->has_read) {
    dispatch_until_called(life);
  }
  return life->has_read;
}

static SaAisErrorT finalize(life_t *life) {
  SaAisErrorT error = saCkptFinalize(life->new_library);
  life->new_library = error == SA_AIS_OK ? 0 : life->new_library;
  return error;
}
static void prepare_library(life_t *life) { OK(initialize(life)); }
static bool is_finalized(life_t *life) { return counter("sessions") == life->sessions; }

/* Only a handle that did not make the change is told of it. */
static SaAisErrorT track(life_t *life) { return saCkptTrack(life->library); }
static SaAisErrorT track_checkpoint(life_t *life) { return saCkptCheckpointTrack(life->new_checkpoint); }
static void prepare_reader(life_t *life) {
  SaNameT name = name_of("allocation");
  OK(saCkptCheckpointOpen(life->library, &name, NULL, SA_CKPT_CHECKPOINT_READ, LIMIT, &life->new_checkpoint));
}
static bool is_tracked(life_t *life) {
  SaSelectionObjectT object = life->object;
  tracked = 0;
  OK(overwrite(life));
  OK(get_status(life)); /* what is to come of it is on its way */
  struct pollfd ready = {.fd = (int)object, .events = POLLIN};
  while (tracked == 0 && poll(&ready, 1, 200) == 1) {
    OK(saCkptDispatch(life->library, SA_DISPATCH_ALL));
  }
  return tracked == 1;
}
static SaAisErrorT track_stop(life_t *life) { return saCkptTrackStop(life->library); }
static void prepare_tracked(life_t *life) {
  prepare_reader(life);
  OK(track(life));
}
static bool is_tracked_no_more(life_t *life) { return !is_tracked(life); }

typedef struct failing {
  const char *name;
  void (*prepare)(life_t *life);
  SaAisErrorT (*call)(life_t *life);
  bool (*done)(life_t *life); /* has it had its effect? */
} failing_t;

static const failing_t failing[] = {
    {"Initialize", NULL, initialize, is_initialized},
    {"SelectionObjectGet", NULL, selection_object_get, is_any},
    {"Dispatch", prepare_dispatch, dispatch, is_open_async},
    {"Finalize", prepare_library, finalize, is_finalized},
    {"CheckpointOpen", NULL, open_new, is_open},
    {"CheckpointOpenAsync", NULL, open_async, is_open_async},
    {"CheckpointClose", prepare_new, close_it, is_closed},
    {"CheckpointUnlink", prepare_new, unlink_it, is_unlinked},
    {"CheckpointRetentionDurationSet", NULL, set_retention, is_retained},
    {"ActiveReplicaSet", NULL, set_active, is_any},
    {"CheckpointStatusGet", NULL, get_status, is_any},
    {"SectionCreate", NULL, create_long_id, is_created},
    {"SectionCreate with a generated id", NULL, create_generated, is_generated},
    {"SectionDelete", prepare_other, delete_it, is_deleted},
    {"SectionExpirationTimeSet", prepare_other, expire_it, is_deleted},
    {"SectionIterationInitialize", NULL, iteration_begin, is_iterating},
    {"SectionIterationNext", prepare_iteration, iteration_next, has_next},
    {"SectionIterationFinalize", prepare_iteration, iteration_end, is_over},
    {"CheckpointWrite", NULL, write_long_vector, is_written},
    {"SectionOverwrite", NULL, overwrite, is_written},
    {"CheckpointRead", prepare_large, read_long_vector, has_read},
    {"CheckpointSynchronize", NULL, synchronize, is_any},
    {"CheckpointSynchronizeAsync", NULL, synchronize_async, is_synchronized},
    {"Track", prepare_reader, track, is_tracked},
    {"TrackStop", prepare_tracked, track_stop, is_tracked_no_more},
    {"CheckpointTrack", prepare_reader, track_checkpoint, is_tracked},
};

/* ---- a life ---- */

static void life_begin(life_t *life) {
  *life = (life_t){.library = 0};
  OK(initialize(life));
  life->library = life->new_library;
  life->new_library = 0;
  SaNameT name = name_of("allocation");
  OK(saCkptCheckpointOpen(life->library, &name, &attributes, ALL_FLAGS, LIMIT, &life->checkpoint));
  OK(saCkptSelectionObjectGet(life->library, &life->object));
  OK(create_text(life, "s", "start", 5));
  life->handles = counter("handles");
  life->sessions = counter("sessions");
}

/* Every handle works. */
static void life_goes_on(life_t *life) {
  SaCkptSectionIdT id = id_of("s");
  char byte = 0;
  SaCkptIOVectorElementT element = {.sectionId = id, .dataBuffer = &byte, .dataSize = 1};
  OK(saCkptSectionOverwrite(life->checkpoint, &id, "Z", 1));
  OK(saCkptCheckpointRead(life->checkpoint, &element, 1, NULL));
  assert_int_equal(byte, 'Z');
  OK(get_status(life));
  if (life->new_checkpoint != 0) {
    SaCkptCheckpointDescriptorT status;
    OK(saCkptCheckpointStatusGet(life->new_checkpoint, &status));
  }
  if (life->new_library != 0) {
    OK(saCkptDispatch(life->new_library, SA_DISPATCH_ALL));
    OK(finalize(life));
  }
  called.count = 0;
  OK(saCkptCheckpointSynchronizeAsync(life->checkpoint, 1));
  dispatch_until_called(life);
}

static void life_end(life_t *life) {
  if (life->generated.id != NULL) {
    OK(saCkptSectionIdFree(life->checkpoint, life->generated.id));
  }
  for (size_t i = 0; i < LONG_VECTOR; i++) {
    if (life->read[i].dataBuffer != NULL) {
      OK(saCkptIOVectorElementDataFree(life->checkpoint, life->read[i].dataBuffer));
    }
  }
  OK(saCkptFinalize(life->library));
  assert_int_equal(counter("sessions"), 0);
  assert_int_equal(counter("handles"), 0);
}

static int descriptors_open(void) {
  DIR *directory = opendir("/proc/self/fd");
  int count = 0;
  assert_non_null(directory);
  while (readdir(directory) != NULL) {
    count++;
  }
  (void)closedir(directory);
  return count;
}

/* A life in which the allocation of that number fails in the call; 0: none. @return whether it has so many */
static bool live(const failing_t *which, unsigned number) {
  life_t life;
  life_begin(&life);
  if (which->prepare != NULL) {
    which->prepare(&life);
  }
  allocation_fail_at(number);
  SaAisErrorT error = which->call(&life);
  bool failed = allocation_failed();
  if (error == SA_AIS_ERR_NO_MEMORY && failed) {
    if (which->done != is_any) {
      assert_false(which->done(&life));
    }
    error = which->call(&life);
  }
  OK(error);
  assert_true(which->done(&life));
  life_goes_on(&life);
  life_end(&life);
  return failed;
}

static void a_call_whose_allocation_fails_says_no_memory_or_does_without(void **state) {
  const failing_t *which = *state;
  (void)live(which, 0); /* what a process takes once and keeps */
  long memory = allocation_live();
  int descriptors = descriptors_open();
  unsigned number = 1;
  while (number < ALLOCATIONS_MAX && live(which, number)) {
    number++;
  }
  assert_true(number < ALLOCATIONS_MAX);
  assert_int_equal(allocation_live(), memory);
  assert_int_equal(descriptors_open(), descriptors);
  print_message("%u allocations\n", number - 1);
}

/* In a child, so that the process has none of what it takes once for all its handles. */
static bool first_handle(unsigned number, bool *failed) {
  life_t life = {.library = 0};
  allocation_fail_at(number);
  SaAisErrorT error = initialize(&life);
  *failed = allocation_failed();
  if (*failed && error == SA_AIS_ERR_NO_MEMORY) {
    error = initialize(&life);
  }
  return error == SA_AIS_OK && finalize(&life) == SA_AIS_OK;
}

static void the_first_handle_of_a_process_is_had_at_the_second_attempt(void **state) {
  (void)state;
  int code = 1;
  for (unsigned number = 1; code == 1; number++) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
      bool failed;
      _exit(first_handle(number, &failed) ? failed : 2);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    code = WEXITSTATUS(status); /* 0: it has not so many */
  }
  assert_int_equal(code, 0);
}

static int daemon_open(void **state) {
  (void)state;
  memset(large, 'L', sizeof large);
  daemon_fixture_open(&vestad);
  return 0;
}

static int daemon_close(void **state) {
  (void)state;
  daemon_fixture_close(&vestad);
  return 0;
}

#define FAILING_COUNT (sizeof failing / sizeof failing[0])

int main(void) {
  static struct CMUnitTest tests[FAILING_COUNT + 1];
  tests[FAILING_COUNT] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(
      the_first_handle_of_a_process_is_had_at_the_second_attempt, daemon_open, daemon_close);
  for (size_t i = 0; i < FAILING_COUNT; i++) {
    union {
      const failing_t *given;
      void *as_cmocka_wants_it;
    } which = {.given = &failing[i]};
    tests[i] = (struct CMUnitTest){.name = failing[i].name,
                                   .test_func = a_call_whose_allocation_fails_says_no_memory_or_does_without,
                                   .setup_func = daemon_open,
                                   .teardown_func = daemon_close,
                                   .initial_state = which.as_cmocka_wants_it};
  }
  return cmocka_run_group_tests(tests, NULL, NULL);
}
