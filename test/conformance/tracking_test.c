/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The calls for ported hot-standby code: saCkptInitialize_2, saCkptTrack and its kin, and
 * ncsCkptRegisterCkptArrivalCallback (clause 22.30).
 */
#include "test/conformance/ckpt_fixture.h"

#include <cpsv_papi.h>
#include <fcntl.h>
#include <pthread.h>
#include <saCkpt_B_02_03.h>
#include <stdatomic.h>

#include "test/support/raw_link.h"

/* ---- what was called back ---- */

#define CALLS_MAX 2048U
#define ELEMENTS_KEPT 4U

typedef struct call {
  SaCkptCheckpointHandleT checkpoint;
  SaUint32T count;
  SaCkptIOVectorElementT elements[ELEMENTS_KEPT];
  char ids[ELEMENTS_KEPT][32];
} call_t;

typedef struct calls {
  call_t items[CALLS_MAX];
  unsigned count;
  bool reads; /* read what was written, as a ported program does */
  char data[32];
} calls_t;

static calls_t tracked, arrived;
static SaCkptHandleT tracking; /* the library handle of on_track_write() */

static void keep(calls_t *calls, SaCkptCheckpointHandleT checkpoint, SaCkptIOVectorElementT *vector, SaUint32T count) {
  call_t *call = &calls->items[calls->count < CALLS_MAX ? calls->count++ : CALLS_MAX - 1];
  *call = (call_t){.checkpoint = checkpoint, .count = count};
  for (SaUint32T i = 0; i < count && i < ELEMENTS_KEPT; i++) {
    call->elements[i] = vector[i];
    assert_true(vector[i].sectionId.idLen < sizeof call->ids[i]);
    if (vector[i].sectionId.idLen > 0) {
      memcpy(call->ids[i], vector[i].sectionId.id, vector[i].sectionId.idLen);
    }
  }
  if (calls->reads) {
    OK(saCkptCheckpointRead(checkpoint, vector, count, NULL));
    for (SaUint32T i = 0; i < count; i++) {
      assert_true(vector[i].readSize < sizeof calls->data);
      memset(calls->data, 0, sizeof calls->data);
      if (vector[i].readSize > 0) {
        memcpy(calls->data, vector[i].dataBuffer, vector[i].readSize);
      }
      free(vector[i].dataBuffer);
    }
  }
}

static void on_track(SaCkptCheckpointHandleT checkpoint, SaCkptIOVectorElementT *vector, SaUint32T count) {
  keep(&tracked, checkpoint, vector, count);
}

static void on_arrival(const SaCkptCheckpointHandleT checkpoint, SaCkptIOVectorElementT *vector, SaUint32T count) {
  keep(&arrived, checkpoint, vector, count);
}

static SaCkptHandleT tracking_open(void) {
  SaCkptHandleT library = 0;
  SaVersionT version = {'B', 2, 3};
  SaCkptCallbacksT_2 callbacks = {.saCkptCheckpointTrackCallback = on_track};
  OK(saCkptInitialize_2(&library, &callbacks, &version));
  assert_int_equal(version.releaseCode, 'B');
  assert_int_equal(version.majorVersion, 2);
  assert_int_equal(version.minorVersion, 3);
  memset(&tracked, 0, sizeof tracked);
  memset(&arrived, 0, sizeof arrived);
  return library;
}

/* Dispatch until so many callbacks came. */
static void await(SaCkptHandleT library, const calls_t *calls, unsigned count) {
  SaSelectionObjectT object;
  OK(saCkptSelectionObjectGet(library, &object));
  while (calls->count < count) {
    assert_true(is_readable(object, TEST_DEADLINE_MS));
    OK(saCkptDispatch(library, SA_DISPATCH_ALL));
  }
  assert_int_equal(calls->count, count);
}

/* Dispatch until a callback of this section came. What was not told before it will not be. */
static void await_section(SaCkptHandleT library, const calls_t *calls, const char *id) {
  while (calls->count == 0 || strcmp(calls->items[calls->count - 1].ids[0], id) != 0) {
    unsigned before = calls->count;
    SaSelectionObjectT object;
    OK(saCkptSelectionObjectGet(library, &object));
    assert_true(is_readable(object, TEST_DEADLINE_MS));
    OK(saCkptDispatch(library, SA_DISPATCH_ONE));
    assert_true(calls->count <= before + 1);
  }
}

static void assert_call(const calls_t *calls, unsigned place, const char *id, SaOffsetT offset, SaSizeT size) {
  const call_t *call = &calls->items[place];
  assert_true(place < calls->count);
  assert_int_equal(call->count, 1);
  assert_string_equal(call->ids[0], id);
  assert_int_equal(call->elements[0].dataOffset, offset);
  assert_int_equal(call->elements[0].dataSize, size);
  assert_null(call->elements[0].dataBuffer);
  assert_int_equal(call->elements[0].readSize, 0);
}

static SaAisErrorT write_one(SaCkptCheckpointHandleT checkpoint, const char *id, const char *data, SaOffsetT offset) {
  SaCkptIOVectorElementT element = element_of(id, data, strlen(data), offset);
  return saCkptCheckpointWrite(checkpoint, &element, 1, NULL);
}

static void section_delete(SaCkptCheckpointHandleT checkpoint, const char *text) {
  SaCkptSectionIdT id = id_of(text);
  OK(saCkptSectionDelete(checkpoint, &id));
}

/* A writer's handle (of `lib`) and a reader's (of `library`) on the same checkpoint. */
static void both_open(SaCkptHandleT library, const char *name, SaCkptCheckpointHandleT *writer,
                      SaCkptCheckpointHandleT *reader) {
  *writer = checkpoint_usual(lib, name);
  *reader = checkpoint_again(library, name, SA_CKPT_CHECKPOINT_READ);
}

/* ---- the track callback ---- */

/* clauses 21.5, 22.30 */
static void every_change_of_data_is_told_to_the_track_callback(void **state) {
  (void)state;
  SaCkptHandleT library = tracking_open();
  SaCkptCheckpointHandleT writer, reader;
  both_open(library, "track-all", &writer, &reader);
  OK(saCkptTrack(library));
  OK(section_create(writer, "empty", ""));
  OK(section_create(writer, "s", "hello"));
  OK(write_one(writer, "s", "abc", 7));
  OK(section_overwrite(writer, "s", "x"));
  SaCkptSectionIdT s = id_of("s");
  OK(saCkptSectionOverwrite(writer, &s, "", 0));
  section_delete(writer, "s");
  await(library, &tracked, 6);
  assert_call(&tracked, 0, "empty", 0, 0);
  assert_call(&tracked, 1, "s", 0, 5);
  assert_call(&tracked, 2, "s", 7, 3);
  assert_call(&tracked, 3, "s", 0, 1);
  assert_call(&tracked, 4, "s", 0, 0);
  assert_call(&tracked, 5, "s", 0, 0);
  for (unsigned i = 0; i < tracked.count; i++) {
    assert_true(tracked.items[i].checkpoint == reader);
  }
  OK(saCkptFinalize(library));
}

/* clause 22.30 */
static void a_vector_is_one_callback_in_the_units_of_its_writer(void **state) {
  (void)state;
  SaCkptHandleT library = tracking_open();
  SaCkptCheckpointHandleT writer, reader;
  both_open(library, "track-vector", &writer, &reader);
  OK(section_create(writer, "a", "0123456789"));
  OK(section_create(writer, "b", "0123456789"));
  OK(saCkptTrack(library));
  SaCkptIOVectorElementT vector[] = {element_of("a", "xy", 2, 3), element_of("b", "z", 1, 9), element_of("a", "", 0, 0),
                                     element_of("a", "xyz", 3, 3)};
  OK(saCkptCheckpointWrite(writer, vector, 4, NULL));
  await(library, &tracked, 1);
  const call_t *call = &tracked.items[0];
  assert_int_equal(call->count, 4);
  for (int i = 0; i < 4; i++) {
    assert_memory_equal(call->ids[i], vector[i].sectionId.id, 1);
    assert_int_equal(call->elements[i].dataOffset, vector[i].dataOffset);
    assert_int_equal(call->elements[i].dataSize, vector[i].dataSize);
  }
  OK(saCkptFinalize(library));
}

/* clause 22.30 */
static void the_vector_can_be_given_to_read_as_it_is(void **state) {
  (void)state;
  SaCkptHandleT library = tracking_open();
  SaCkptCheckpointHandleT writer, reader;
  both_open(library, "track-read", &writer, &reader);
  OK(section_create(writer, "s", "0123456789"));
  OK(saCkptTrack(library));
  tracked.reads = true;
  OK(write_one(writer, "s", "abc", 7));
  await(library, &tracked, 1);
  assert_string_equal(tracked.data, "abc"); /* from the offset to the end */
  OK(saCkptFinalize(library));
}

/* clause 22.30 */
static void a_section_that_expires_is_told(void **state) {
  (void)state;
  SaCkptHandleT library = tracking_open();
  SaCkptCheckpointHandleT writer, reader;
  both_open(library, "track-expiry", &writer, &reader);
  OK(saCkptTrack(library));
  OK(section_create_expiring(writer, "s", "hello", 5, wall_now() + SECOND));
  await(library, &tracked, 2);
  assert_call(&tracked, 0, "s", 0, 5);
  assert_call(&tracked, 1, "s", 0, 0);
  OK(saCkptFinalize(library));
}

/* clause 22.30 */
static void a_generated_id_is_told(void **state) {
  (void)state;
  SaCkptHandleT library = tracking_open();
  SaCkptCheckpointHandleT writer, reader;
  both_open(library, "track-generated", &writer, &reader);
  OK(saCkptTrack(library));
  SaCkptSectionIdT id = SA_CKPT_GENERATED_SECTION_ID;
  SaCkptSectionCreationAttributesT attributes = {.sectionId = &id, .expirationTime = SA_TIME_END};
  OK(saCkptSectionCreate(writer, &attributes, "x", 1));
  await(library, &tracked, 1);
  assert_int_equal(tracked.items[0].elements[0].sectionId.idLen, id.idLen);
  assert_memory_equal(tracked.items[0].ids[0], id.id, id.idLen);
  OK(saCkptSectionIdFree(writer, id.id));
  OK(saCkptFinalize(library));
}

/* clause 22.30 */
static void the_default_section_is_told_without_an_id(void **state) {
  (void)state;
  SaCkptHandleT library = tracking_open();
  SaCkptCheckpointHandleT writer = checkpoint_default_section(lib, "track-default");
  (void)checkpoint_again(library, "track-default", SA_CKPT_CHECKPOINT_READ);
  OK(saCkptTrack(library));
  OK(write_one(writer, "", "abc", 0));
  await(library, &tracked, 1);
  assert_int_equal(tracked.items[0].elements[0].sectionId.idLen, 0);
  assert_null(tracked.items[0].elements[0].sectionId.id);
  OK(saCkptFinalize(library));
}

/* clause 22.30 */
static void the_handle_that_did_it_is_not_called_back_but_others_of_its_process_are(void **state) {
  (void)state;
  SaCkptHandleT library = tracking_open();
  SaCkptCheckpointHandleT one = checkpoint_usual(library, "track-own");
  SaCkptCheckpointHandleT two = checkpoint_again(library, "track-own", READ_WRITE);
  OK(saCkptTrack(library));
  OK(section_create(one, "by-one", "x"));
  OK(section_create(two, "by-two", "x"));
  await(library, &tracked, 2);
  assert_call(&tracked, 0, "by-one", 0, 1);
  assert_true(tracked.items[0].checkpoint == two);
  assert_call(&tracked, 1, "by-two", 0, 1);
  assert_true(tracked.items[1].checkpoint == one);
  OK(saCkptFinalize(library));
}

/* clause 22.30 */
static void only_handles_opened_to_read_are_told(void **state) {
  (void)state;
  SaCkptHandleT library = tracking_open();
  SaCkptCheckpointHandleT writer = checkpoint_usual(lib, "track-write-only");
  SaCkptCheckpointHandleT blind = checkpoint_again(library, "track-write-only", SA_CKPT_CHECKPOINT_WRITE);
  EXPECT(SA_AIS_ERR_ACCESS, saCkptCheckpointTrack(blind));
  EXPECT(SA_AIS_ERR_ACCESS, saCkptCheckpointTrackStop(blind));
  OK(saCkptTrack(library));
  OK(section_create(writer, "first", "x"));
  SaCkptCheckpointHandleT reader = checkpoint_again(library, "track-write-only", SA_CKPT_CHECKPOINT_READ);
  OK(section_create(writer, "second", "x"));
  await(library, &tracked, 1);
  assert_call(&tracked, 0, "second", 0, 1);
  assert_true(tracked.items[0].checkpoint == reader);
  OK(saCkptFinalize(library));
}

/* clause 22.30 */
static void track_covers_handles_that_are_opened_later(void **state) {
  (void)state;
  SaCkptHandleT library = tracking_open();
  OK(saCkptTrack(library));
  SaCkptCheckpointHandleT writer, reader;
  both_open(library, "track-later", &writer, &reader);
  OK(section_create(writer, "s", "x"));
  await(library, &tracked, 1);
  assert_true(tracked.items[0].checkpoint == reader);
  OK(saCkptFinalize(library));
}

/* clause 22.30 */
static void track_stop_ends_it_and_drops_what_waits(void **state) {
  (void)state;
  SaCkptHandleT library = tracking_open();
  SaCkptCheckpointHandleT writer, reader;
  both_open(library, "track-stop", &writer, &reader);
  EXPECT(SA_AIS_ERR_NOT_EXIST, saCkptTrackStop(library));
  OK(saCkptTrack(library));
  OK(saCkptTrack(library)); /* again: no harm */
  OK(section_create(writer, "one", "x"));
  await(library, &tracked, 1);
  OK(section_create(writer, "two", "x")); /* waits */
  OK(saCkptTrackStop(library));
  OK(saCkptDispatch(library, SA_DISPATCH_ALL));
  EXPECT(SA_AIS_ERR_NOT_EXIST, saCkptTrackStop(library));
  OK(section_create(writer, "three", "x"));
  OK(saCkptTrack(library));
  OK(section_create(writer, "four", "x"));
  await_section(library, &tracked, "four");
  assert_int_equal(tracked.count, 2);
  OK(saCkptFinalize(library));
}

/* clauses 21.5, 22.30 */
static void one_checkpoint_handle_is_tracked_alone(void **state) {
  (void)state;
  SaCkptHandleT library = tracking_open();
  SaCkptCheckpointHandleT writer, reader;
  both_open(library, "track-one", &writer, &reader);
  SaCkptCheckpointHandleT other = checkpoint_again(library, "track-one", SA_CKPT_CHECKPOINT_READ);
  EXPECT(SA_AIS_ERR_NOT_EXIST, saCkptCheckpointTrackStop(reader));
  OK(saCkptCheckpointTrack(reader));
  EXPECT(SA_AIS_ERR_NOT_EXIST, saCkptCheckpointTrackStop(other));
  EXPECT(SA_AIS_ERR_NOT_EXIST, saCkptTrackStop(library));
  OK(section_create(writer, "one", "x"));
  await(library, &tracked, 1);
  assert_true(tracked.items[0].checkpoint == reader);
  OK(saCkptCheckpointTrackStop(reader));
  OK(saCkptCheckpointTrack(other));
  OK(section_create(writer, "two", "x"));
  await(library, &tracked, 2);
  assert_true(tracked.items[1].checkpoint == other);
  OK(saCkptFinalize(library));
}

/* clause 22.30 */
static void a_handle_tracked_twice_is_told_once_and_stays_tracked_when_one_ends(void **state) {
  (void)state;
  SaCkptHandleT library = tracking_open();
  SaCkptCheckpointHandleT writer, reader;
  both_open(library, "track-twice", &writer, &reader);
  OK(saCkptTrack(library));
  OK(saCkptCheckpointTrack(reader));
  OK(section_create(writer, "one", "x"));
  await(library, &tracked, 1);
  OK(saCkptTrackStop(library));
  OK(section_create(writer, "two", "x"));
  await_section(library, &tracked, "two");
  assert_int_equal(tracked.count, 2);
  OK(saCkptFinalize(library));
}

/* clause 22.30 */
static void a_closed_handle_is_told_nothing_more(void **state) {
  (void)state;
  SaCkptHandleT library = tracking_open();
  SaCkptCheckpointHandleT writer, reader;
  both_open(library, "track-close", &writer, &reader);
  SaCkptCheckpointHandleT other = checkpoint_again(library, "track-close", SA_CKPT_CHECKPOINT_READ);
  OK(saCkptTrack(library));
  OK(section_create(writer, "one", "x")); /* waits for both */
  OK(saCkptCheckpointClose(reader));
  OK(section_create(writer, "two", "x"));
  await(library, &tracked, 2);
  assert_true(tracked.items[0].checkpoint == other);
  assert_true(tracked.items[1].checkpoint == other);
  OK(saCkptFinalize(library));
}

/* clause 22.30 */
static void dispatch_one_runs_one_callback(void **state) {
  (void)state;
  SaCkptHandleT library = tracking_open();
  SaCkptCheckpointHandleT writer, reader;
  both_open(library, "track-one-by-one", &writer, &reader);
  OK(saCkptTrack(library));
  OK(ncsCkptRegisterCkptArrivalCallback(library, on_arrival));
  SaSelectionObjectT object;
  OK(saCkptSelectionObjectGet(library, &object));
  OK(section_create(writer, "s", "x")); /* one for each callback */
  for (unsigned count = 1; count <= 2; count++) {
    assert_true(is_readable(object, TEST_DEADLINE_MS));
    OK(saCkptDispatch(library, SA_DISPATCH_ONE));
    assert_int_equal(tracked.count + arrived.count, count);
  }
  assert_false(is_readable(object, 0));
  OK(saCkptDispatch(library, SA_DISPATCH_ONE));
  assert_int_equal(tracked.count, 1);
  assert_int_equal(arrived.count, 1);
  OK(saCkptFinalize(library));
}

/* clause 22.30 */
static void track_without_a_track_callback_is_an_init_error(void **state) {
  (void)state;
  SaVersionT version = {'B', 2, 3};
  SaCkptCallbacksT_2 none = {.saCkptCheckpointTrackCallback = NULL};
  const SaCkptCallbacksT_2 *choices[] = {&none, NULL};
  for (int i = 0; i < 2; i++) {
    SaCkptHandleT library;
    OK(saCkptInitialize_2(&library, choices[i], &version));
    SaCkptCheckpointHandleT checkpoint = checkpoint_usual(library, "track-init");
    EXPECT(SA_AIS_ERR_INIT, saCkptTrack(library));
    EXPECT(SA_AIS_ERR_INIT, saCkptTrackStop(library));
    EXPECT(SA_AIS_ERR_INIT, saCkptCheckpointTrack(checkpoint));
    EXPECT(SA_AIS_ERR_INIT, saCkptCheckpointTrackStop(checkpoint));
    OK(saCkptFinalize(library));
  }
  EXPECT(SA_AIS_ERR_INIT, saCkptTrack(lib));
  OK(ncsCkptRegisterCkptArrivalCallback(lib, on_arrival)); /* another callback */
  EXPECT(SA_AIS_ERR_INIT, saCkptTrack(lib));
}

/* clauses 21.5, 22.30 */
static void bad_handles_and_pointers_are_recognised(void **state) {
  (void)state;
  SaCkptHandleT library = tracking_open();
  SaCkptCheckpointHandleT checkpoint = checkpoint_usual(library, "track-bad");
  SaVersionT version = {'B', 2, 3};
  SaVersionT other = {'C', 1, 1};
  SaCkptHandleT none = 4711;
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptInitialize_2(NULL, NULL, &version));
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptInitialize_2(&none, NULL, NULL));
  EXPECT(SA_AIS_ERR_VERSION, saCkptInitialize_2(&none, NULL, &other));
  assert_int_equal(none, 4711);
  EXPECT(SA_AIS_ERR_INVALID_PARAM, ncsCkptRegisterCkptArrivalCallback(library, NULL));
  OK(saCkptFinalize(library));
  SaUint64T bad[] = {0, ~0ULL, 4711, library, checkpoint};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    EXPECT(SA_AIS_ERR_BAD_HANDLE, saCkptTrack(bad[i]));
    EXPECT(SA_AIS_ERR_BAD_HANDLE, saCkptTrackStop(bad[i]));
    EXPECT(SA_AIS_ERR_BAD_HANDLE, saCkptCheckpointTrack(bad[i]));
    EXPECT(SA_AIS_ERR_BAD_HANDLE, saCkptCheckpointTrackStop(bad[i]));
    EXPECT(SA_AIS_ERR_BAD_HANDLE, ncsCkptRegisterCkptArrivalCallback(bad[i], on_arrival));
  }
}

/* ---- the arrival callback ---- */

/* clauses 21.5, 22.30 */
static void arrival_comes_for_data_and_not_for_deletes(void **state) {
  (void)state;
  SaCkptHandleT library = tracking_open();
  SaCkptCheckpointHandleT writer, reader;
  both_open(library, "arrival", &writer, &reader);
  OK(ncsCkptRegisterCkptArrivalCallback(library, on_arrival));
  arrived.reads = true;
  OK(section_create(writer, "empty", ""));
  await(library, &arrived, 1);
  assert_string_equal(arrived.data, "");
  OK(section_create(writer, "s", "hello"));
  await(library, &arrived, 2);
  assert_string_equal(arrived.data, "hello");
  section_delete(writer, "empty");
  OK(section_overwrite(writer, "s", "other"));
  await(library, &arrived, 3);
  assert_string_equal(arrived.data, "other");
  assert_call(&arrived, 2, "s", 0, 5);
  assert_int_equal(tracked.count, 0);
  OK(saCkptFinalize(library));
}

/* clause 22.30: the usual ported program: saCkptInitialize without any callback, then the registration */
static void arrival_needs_no_other_callback_and_a_poll_that_began_before_wakes(void **state) {
  (void)state;
  memset(&arrived, 0, sizeof arrived);
  SaCkptHandleT library = library_b1();
  SaSelectionObjectT object;
  OK(saCkptSelectionObjectGet(library, &object));
  SaCkptCheckpointHandleT writer, reader;
  both_open(library, "arrival-alone", &writer, &reader);
  OK(ncsCkptRegisterCkptArrivalCallback(library, on_arrival));
  OK(section_create(writer, "s", "hello"));
  assert_true(is_readable(object, TEST_DEADLINE_MS));
  await(library, &arrived, 1);
  assert_true(arrived.items[0].checkpoint == reader);
  OK(saCkptFinalize(library));
}

static void on_other_arrival(const SaCkptCheckpointHandleT checkpoint, SaCkptIOVectorElementT *vector,
                             SaUint32T count) {
  keep(&tracked, checkpoint, vector, count);
}

/* clause 22.30 */
static void a_later_arrival_callback_replaces_the_earlier(void **state) {
  (void)state;
  SaCkptHandleT library = tracking_open();
  SaCkptCheckpointHandleT writer, reader;
  both_open(library, "arrival-again", &writer, &reader);
  OK(ncsCkptRegisterCkptArrivalCallback(library, on_arrival));
  OK(section_create(writer, "one", "x"));
  await(library, &arrived, 1);
  OK(ncsCkptRegisterCkptArrivalCallback(library, on_other_arrival));
  OK(section_create(writer, "two", "x"));
  await(library, &tracked, 1);
  assert_int_equal(arrived.count, 1);
  OK(saCkptFinalize(library));
}

/* ---- with other callbacks, threads and daemons ---- */

static SaCkptCheckpointHandleT opened;
static unsigned opened_after;

static void on_open(SaInvocationT invocation, SaCkptCheckpointHandleT checkpoint, SaAisErrorT error) {
  assert_int_equal(invocation, 5);
  assert_int_equal(error, SA_AIS_OK);
  opened = checkpoint;
  opened_after = tracked.count;
}

/* clause 22.30 */
static void an_asynchronous_open_is_called_back_before_the_changes_it_is_told_of(void **state) {
  (void)state;
  SaCkptHandleT library;
  SaVersionT version = {'B', 2, 3};
  SaCkptCallbacksT_2 callbacks = {.saCkptCheckpointOpenCallback = on_open, .saCkptCheckpointTrackCallback = on_track};
  OK(saCkptInitialize_2(&library, &callbacks, &version));
  memset(&tracked, 0, sizeof tracked);
  opened = 0;
  SaCkptCheckpointHandleT writer = checkpoint_usual(lib, "track-async");
  SaCkptCheckpointHandleT probe = checkpoint_again(library, "track-async", SA_CKPT_CHECKPOINT_READ);
  OK(saCkptTrack(library));
  SaNameT name = name_of("track-async");
  OK(saCkptCheckpointOpenAsync(library, 5, &name, NULL, SA_CKPT_CHECKPOINT_READ));
  while (status_of(probe).numberOfSections < 3) { /* the open stands before these in the daemon's order */
    char id[2] = {(char)('a' + status_of(probe).numberOfSections), '\0'};
    OK(section_create(writer, id, "x"));
  }
  await(library, &tracked, 6); /* both handles, three each */
  assert_int_equal(opened_after, 0);
  unsigned of_opened = 0;
  for (unsigned i = 0; i < tracked.count; i++) {
    of_opened += tracked.items[i].checkpoint == opened;
  }
  assert_int_equal(of_opened, 3);
  OK(saCkptFinalize(library));
}

static void on_track_write(SaCkptCheckpointHandleT checkpoint, SaCkptIOVectorElementT *vector, SaUint32T count) {
  keep(&tracked, checkpoint, vector, count);
  if (tracked.count == 1) {
    OK(saCkptTrackStop(tracking));
    OK(section_create(checkpoint, "from-callback", "x"));
  }
}

/* clause 22.30 */
static void every_call_may_be_made_from_inside_the_callback(void **state) {
  (void)state;
  SaCkptHandleT library;
  SaVersionT version = {'B', 2, 3};
  SaCkptCallbacksT_2 callbacks = {.saCkptCheckpointTrackCallback = on_track_write};
  OK(saCkptInitialize_2(&library, &callbacks, &version));
  memset(&tracked, 0, sizeof tracked);
  tracking = library;
  SaCkptCheckpointHandleT writer = checkpoint_usual(lib, "track-inside");
  (void)checkpoint_again(library, "track-inside", READ_WRITE);
  OK(saCkptTrack(library));
  OK(section_create(writer, "s", "x"));
  await(library, &tracked, 1);
  assert_section(writer, "from-callback", "x");
  OK(saCkptFinalize(library));
}

enum { WRITERS = 4, WRITES = 100 };

static void *writes(void *argument) {
  SaCkptCheckpointHandleT checkpoint = *(SaCkptCheckpointHandleT *)argument;
  for (int i = 0; i < WRITES; i++) {
    OK(section_overwrite(checkpoint, "s", "data"));
  }
  return NULL;
}

/* clause 22.30 */
static void nothing_is_missed_or_doubled_while_many_threads_write(void **state) {
  (void)state;
  SaCkptHandleT library = tracking_open();
  SaCkptCheckpointHandleT writer, reader;
  both_open(library, "track-threads", &writer, &reader);
  OK(section_create(writer, "s", ""));
  OK(saCkptTrack(library));
  pthread_t threads[WRITERS];
  for (int i = 0; i < WRITERS; i++) {
    assert_int_equal(pthread_create(&threads[i], NULL, writes, &writer), 0);
  }
  await(library, &tracked, WRITERS * WRITES);
  for (int i = 0; i < WRITERS; i++) {
    assert_int_equal(pthread_join(threads[i], NULL), 0);
  }
  OK(section_create(writer, "last", ""));
  await_section(library, &tracked, "last");
  assert_int_equal(tracked.count, WRITERS * WRITES + 1);
  OK(saCkptFinalize(library));
}

typedef struct turner {
  SaCkptHandleT library;
  atomic_bool done;
} turner_t;

static void *turns(void *argument) {
  turner_t *turner = argument;
  while (!atomic_load(&turner->done)) {
    SaAisErrorT error = saCkptTrack(turner->library);
    assert_true(error == SA_AIS_OK);
    error = saCkptTrackStop(turner->library);
    assert_true(error == SA_AIS_OK || error == SA_AIS_ERR_NOT_EXIST);
  }
  return NULL;
}

/* clause 22.30 */
static void on_and_off_by_several_threads_ends_as_the_last_one_said(void **state) {
  (void)state;
  SaCkptHandleT library = tracking_open();
  SaCkptCheckpointHandleT writer, reader;
  both_open(library, "track-turns", &writer, &reader);
  turner_t turner = {.library = library};
  pthread_t threads[3];
  for (int i = 0; i < 3; i++) {
    assert_int_equal(pthread_create(&threads[i], NULL, turns, &turner), 0);
  }
  for (int i = 0; i < WRITES; i++) {
    char id[8];
    (void)snprintf(id, sizeof id, "%d", i % 90);
    SaAisErrorT error = i < 90 ? section_create(writer, id, "x") : section_overwrite(writer, id, "y");
    assert_int_equal(error, SA_AIS_OK);
    OK(saCkptDispatch(library, SA_DISPATCH_ALL));
  }
  atomic_store(&turner.done, true);
  for (int i = 0; i < 3; i++) {
    assert_int_equal(pthread_join(threads[i], NULL), 0);
  }
  OK(saCkptTrack(library));
  OK(section_create(writer, "last", "x"));
  await_section(library, &tracked, "last");
  OK(saCkptFinalize(library));
}

/* clause 22.30 */
static void registrations_survive_a_restart_of_the_daemon(void **state) {
  (void)state;
  SaCkptHandleT library = tracking_open();
  SaCkptCheckpointHandleT writer, reader;
  both_open(library, "track-restart", &writer, &reader);
  SaCkptCheckpointHandleT alone = checkpoint_again(library, "track-restart", SA_CKPT_CHECKPOINT_READ);
  SaCkptHandleT other = tracking_open();
  SaCkptCheckpointHandleT others = checkpoint_again(other, "track-restart", SA_CKPT_CHECKPOINT_READ);
  OK(saCkptCheckpointTrack(others));
  OK(ncsCkptRegisterCkptArrivalCallback(library, on_arrival));
  daemon_fixture_kill(&test_daemon);
  daemon_fixture_start(&test_daemon);
  OK(saCkptCheckpointClose(alone)); /* a call brings the link back, and the registrations with it */
  SaCkptCheckpointDescriptorT status;
  OK(saCkptCheckpointStatusGet(others, &status));
  OK(section_create(writer, "s", "hello"));
  await(library, &arrived, 1);
  assert_true(arrived.items[0].checkpoint == reader);
  await(other, &tracked, 1);
  assert_true(tracked.items[0].checkpoint == others);
  OK(saCkptFinalize(other));
  OK(saCkptFinalize(library));
}

/* clause 22.30: nobody calls, the dispatcher alone finds that the daemon is another one */
static void a_dispatcher_alone_brings_the_registrations_back(void **state) {
  (void)state;
  SaCkptHandleT library = tracking_open();
  SaCkptCheckpointHandleT writer, reader;
  both_open(library, "track-restart-alone", &writer, &reader);
  OK(saCkptTrack(library));
  SaSelectionObjectT object;
  OK(saCkptSelectionObjectGet(library, &object));
  daemon_fixture_kill(&test_daemon);
  daemon_fixture_start(&test_daemon);
  int64_t deadline_ns = daemon_fixture_now_ns() + TEST_DEADLINE_NS;
  for (unsigned i = 0; tracked.count == 0; i++) { /* what is written before it is back is not told */
    assert_true(daemon_fixture_now_ns() < deadline_ns);
    (void)is_readable(object, 20);
    OK(saCkptDispatch(library, SA_DISPATCH_ALL));
    OK(i == 0 ? section_create(writer, "s", "x") : section_overwrite(writer, "s", "y"));
  }
  assert_true(tracked.items[0].checkpoint == reader);
  OK(saCkptFinalize(library));
}

static int64_t counter(const char *key) {
  int64_t value = raw_counter(test_daemon.socket, key);
  assert_true(value >= 0);
  return value;
}

/* clause 22.30: 64 MiB of callbacks wait, the link is closed, the registration is made again on the next one */
static void who_never_dispatches_loses_callbacks_and_nothing_else(void **state) {
  (void)state;
  enum { ELEMENTS = 1000, ID_BYTES = 1024 };
  SaCkptCheckpointCreationAttributesT attributes = attributes_of(SA_CKPT_WR_ALL_REPLICAS);
  attributes.maxSections = 10;
  attributes.maxSectionIdSize = ID_BYTES;
  attributes.checkpointSize = 0;
  SaCkptHandleT library = tracking_open();
  SaCkptCheckpointHandleT writer = checkpoint_create(lib, "track-slow", &attributes);
  (void)checkpoint_again(library, "track-slow", SA_CKPT_CHECKPOINT_READ);
  OK(saCkptTrack(library));
  static uint8_t id[ID_BYTES];
  static SaCkptIOVectorElementT vector[ELEMENTS];
  SaCkptSectionIdT long_id = {.idLen = ID_BYTES, .id = id};
  SaCkptSectionCreationAttributesT section = {.sectionId = &long_id, .expirationTime = SA_TIME_END};
  OK(section_create(writer, "short", ""));
  await(library, &tracked, 1);
  int64_t slow = counter("links_slow");
  OK(saCkptSectionCreate(writer, &section, NULL, 0));
  for (int i = 0; i < ELEMENTS; i++) {
    vector[i] = (SaCkptIOVectorElementT){.sectionId = long_id};
  }
  for (int i = 0; counter("links_slow") == slow; i++) { /* about 1 MB each */
    assert_true(i < 100);
    OK(saCkptCheckpointWrite(writer, vector, ELEMENTS, NULL));
  }
  OK(saCkptTrackStop(library)); /* what is left of them is dropped */
  OK(saCkptDispatch(library, SA_DISPATCH_ALL));
  assert_int_equal(tracked.count, 1);
  OK(saCkptTrack(library));
  SaSelectionObjectT object;
  OK(saCkptSelectionObjectGet(library, &object));
  int64_t deadline_ns = daemon_fixture_now_ns() + TEST_DEADLINE_NS;
  while (tracked.count < 2) {
    assert_true(daemon_fixture_now_ns() < deadline_ns);
    OK(section_overwrite(writer, "short", "again"));
    (void)is_readable(object, 20);
    OK(saCkptDispatch(library, SA_DISPATCH_ALL));
  }
  assert_string_equal(tracked.items[1].ids[0], "short");
  assert_true(counter("tracked") > 0);
  OK(saCkptFinalize(library));
}

static int descriptors_open(void) {
  int count = 0;
  for (int fd = 0; fd < 1024; fd++) {
    count += fcntl(fd, F_GETFD) >= 0;
  }
  return count;
}

/* clause 22.30 */
static void tracking_leaves_no_descriptor_behind(void **state) {
  (void)state;
  int before = descriptors_open();
  for (int i = 0; i < 3; i++) {
    SaCkptHandleT library = library_b2();
    OK(ncsCkptRegisterCkptArrivalCallback(library, on_arrival));
    OK(ncsCkptRegisterCkptArrivalCallback(library, on_arrival));
    OK(saCkptFinalize(library));
  }
  assert_int_equal(descriptors_open(), before);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(every_change_of_data_is_told_to_the_track_callback),
      CASE(a_vector_is_one_callback_in_the_units_of_its_writer),
      CASE(the_vector_can_be_given_to_read_as_it_is),
      CASE(a_section_that_expires_is_told),
      CASE(a_generated_id_is_told),
      CASE(the_default_section_is_told_without_an_id),
      CASE(the_handle_that_did_it_is_not_called_back_but_others_of_its_process_are),
      CASE(only_handles_opened_to_read_are_told),
      CASE(track_covers_handles_that_are_opened_later),
      CASE(track_stop_ends_it_and_drops_what_waits),
      CASE(one_checkpoint_handle_is_tracked_alone),
      CASE(a_handle_tracked_twice_is_told_once_and_stays_tracked_when_one_ends),
      CASE(a_closed_handle_is_told_nothing_more),
      CASE(dispatch_one_runs_one_callback),
      CASE(track_without_a_track_callback_is_an_init_error),
      CASE(bad_handles_and_pointers_are_recognised),
      CASE(arrival_comes_for_data_and_not_for_deletes),
      CASE(arrival_needs_no_other_callback_and_a_poll_that_began_before_wakes),
      CASE(a_later_arrival_callback_replaces_the_earlier),
      CASE(an_asynchronous_open_is_called_back_before_the_changes_it_is_told_of),
      CASE(every_call_may_be_made_from_inside_the_callback),
      CASE(nothing_is_missed_or_doubled_while_many_threads_write),
      CASE(on_and_off_by_several_threads_ends_as_the_last_one_said),
      CASE(registrations_survive_a_restart_of_the_daemon),
      CASE(a_dispatcher_alone_brings_the_registrations_back),
      CASE(who_never_dispatches_loses_callbacks_and_nothing_else),
      CASE(tracking_leaves_no_descriptor_behind),
  };
  return cmocka_run_group_tests(tests, group_open, group_close);
}
