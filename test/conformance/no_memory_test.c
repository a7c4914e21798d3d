/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Every allocation of the library fails once: the call says NO_MEMORY, nothing is left behind, and the same call works
 * the next time (clause 1.6).
 *
 * The program's malloc takes the place of the C library's, for the shared library too, and counts down. The sanitizers
 * have an allocator of their own there, so with them this test has nothing to do.
 */
#include "test/conformance/ckpt_fixture.h"
#include "test/support/failing_malloc.h"

#include <cpsv_papi.h>
#include <dirent.h>
#include <errno.h>

#ifdef SANITIZED
int main(void) { return 0; }
#else

static int opened_count;
static SaAisErrorT opened_error;
static void note_opened(SaInvocationT invocation, SaCkptCheckpointHandleT checkpoint, SaAisErrorT error) {
  (void)invocation;
  (void)checkpoint;
  opened_count++;
  opened_error = error;
}

/* What a program does, until something fails. */
typedef struct life {
  SaCkptHandleT library;
  SaSelectionObjectT object;
  SaCkptCheckpointHandleT checkpoint;
  SaCkptSectionIdT id; /* generated */
  void *buffer;        /* made by a read */
} life_t;

static SaAisErrorT life_begin(life_t *life) {
  SaCkptCallbacksT callbacks = {note_opened, NULL};
  SaVersionT version = {'B', 2, 2};
  SaCkptCheckpointCreationAttributesT attributes = attributes_of(SA_CKPT_WR_ALL_REPLICAS);
  attributes.retentionDuration = 0;
  SaNameT name = name_of("no-memory");
  SaAisErrorT result = saCkptInitialize(&life->library, &callbacks, &version);
  if (result == SA_AIS_OK) {
    result = saCkptSelectionObjectGet(life->library, &life->object);
  }
  if (result == SA_AIS_OK) {
    result = saCkptCheckpointOpen(life->library, &name, &attributes, READ_WRITE_CREATE, 0, &life->checkpoint);
  }
  return result;
}

static SaAisErrorT life_write(life_t *life) {
  SaCkptSectionCreationAttributesT section = {.sectionId = &life->id, .expirationTime = SA_TIME_END};
  SaAisErrorT result = saCkptSectionCreate(life->checkpoint, &section, "abc", 3);
  SaCkptIOVectorElementT vector[20];
  for (unsigned i = 0; i < 20 && result == SA_AIS_OK; i++) {
    vector[i] =
        (SaCkptIOVectorElementT){.sectionId = life->id, .dataBuffer = life->id.id, .dataSize = 1, .dataOffset = i};
  }
  if (result == SA_AIS_OK) {
    result = saCkptCheckpointWrite(life->checkpoint, vector, 20, NULL);
  }
  if (result == SA_AIS_OK) {
    result = saCkptSectionOverwrite(life->checkpoint, &life->id, "hello", 5);
  }
  return result;
}

static SaAisErrorT life_read(life_t *life) {
  SaCkptIOVectorElementT element = {.sectionId = life->id};
  SaCkptSectionIterationHandleT iteration;
  SaCkptSectionDescriptorT descriptor;
  SaAisErrorT result = saCkptCheckpointRead(life->checkpoint, &element, 1, NULL);
  life->buffer = element.dataBuffer;
  if (result == SA_AIS_OK) {
    result = saCkptSectionIterationInitialize(life->checkpoint, SA_CKPT_SECTIONS_ANY, 0, &iteration);
  }
  if (result == SA_AIS_OK) {
    result = saCkptSectionIterationNext(iteration, &descriptor);
  }
  return result;
}

static SaAisErrorT life_call_back(life_t *life) {
  SaNameT name = name_of("no-memory");
  opened_count = 0;
  SaAisErrorT result = saCkptCheckpointOpenAsync(life->library, 1, &name, NULL, SA_CKPT_CHECKPOINT_READ);
  while (result == SA_AIS_OK && opened_count == 0 && is_readable(life->object, TEST_DEADLINE_MS)) {
    result = saCkptDispatch(life->library, SA_DISPATCH_ALL);
  }
  if (result == SA_AIS_OK) {
    result = opened_count == 1 ? opened_error : SA_AIS_ERR_TIMEOUT;
  }
  return result;
}

static int arrived_count;
static void note_arrived(const SaCkptCheckpointHandleT checkpoint, SaCkptIOVectorElementT *vector, SaUint32T count) {
  (void)checkpoint;
  (void)vector;
  (void)count;
  arrived_count++;
}

/* What can't be kept of a change that arrives is not told; the next one is. */
static SaAisErrorT life_track(life_t *life) {
  bool armed = countdown >= 0;
  SaCkptCheckpointHandleT reader;
  SaNameT name = name_of("no-memory");
  arrived_count = 0;
  SaAisErrorT result = ncsCkptRegisterCkptArrivalCallback(life->library, note_arrived);
  if (result == SA_AIS_OK) {
    result = saCkptCheckpointOpen(life->library, &name, NULL, SA_CKPT_CHECKPOINT_READ, 0, &reader);
  }
  for (int i = 0; result == SA_AIS_OK && arrived_count == 0 && i < 1000; i++) {
    result = saCkptSectionOverwrite(life->checkpoint, &life->id, "again", 5);
    if (result == SA_AIS_OK && is_readable(life->object, 50)) {
      result = saCkptDispatch(life->library, SA_DISPATCH_ALL);
    }
  }
  if (result == SA_AIS_OK && (arrived_count == 0 || (armed && countdown < 0))) {
    result = arrived_count > 0 ? SA_AIS_ERR_NO_MEMORY : SA_AIS_ERR_TIMEOUT;
  }
  return result;
}

/* A library handle that gets its link of callbacks later than its others. */
static SaAisErrorT life_track_late(life_t *life) {
  (void)life;
  SaCkptHandleT library;
  SaVersionT version = {'B', 1, 1};
  SaAisErrorT result = saCkptInitialize(&library, NULL, &version);
  if (result == SA_AIS_OK) {
    result = ncsCkptRegisterCkptArrivalCallback(library, note_arrived);
    OK(saCkptFinalize(library));
  }
  return result;
}

/* A whole life in which allocation number `number` fails. False: it has no so many. */
static bool live(long number) {
  life_t life = {.library = 0, .id = SA_CKPT_GENERATED_SECTION_ID};
  SaAisErrorT (*parts[])(life_t *) = {life_begin, life_write, life_read, life_call_back, life_track, life_track_late};
  SaAisErrorT result = SA_AIS_OK;
  countdown = number;
  for (size_t i = 0; i < sizeof parts / sizeof parts[0] && result == SA_AIS_OK; i++) {
    result = parts[i](&life);
  }
  bool failed = countdown < 0 && number >= 0;
  countdown = -1;
  EXPECT(failed ? SA_AIS_ERR_NO_MEMORY : SA_AIS_OK, result);
  free(life.buffer);
  free(life.id.id);
  if (life.library != 0) {
    OK(saCkptFinalize(life.library));
  }
  return failed;
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

/* clause 1.6 */
static void each_allocation_that_fails_is_no_memory_and_leaves_nothing_behind(void **state) {
  (void)state;
  (void)live(-1);
  int before = descriptors_open();
  long number = 0;
  while (live(number)) {
    number++;
  }
  assert_true(number > 10);
  assert_int_equal(descriptors_open(), before);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_allocation_that_fails_is_no_memory_and_leaves_nothing_behind),
  };
  return cmocka_run_group_tests(tests, group_open, group_close);
}

#endif
