/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The limits of core/limits.h that an application meets: each at the limit and one past it, through the library and the
 * daemon, with the error and the counter that tells an operator. doc/LIMITS.md says which limit is tested where; those
 * that take minutes or gigabytes are in test/large.
 */
#include <dirent.h>
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

#include <cmocka.h>

#include "core/limits.h"
#include "saf_api/agent_extension.h"
#include "test/support/daemon_fixture.h"
#include "test/support/raw_link.h"

#define EXPECT(code, call) assert_int_equal((call), (code))
#define OK(call) EXPECT(SA_AIS_OK, call)
#define LIMIT TEST_DEADLINE_NS
#define READ_WRITE_CREATE (SA_CKPT_CHECKPOINT_READ | SA_CKPT_CHECKPOINT_WRITE | SA_CKPT_CHECKPOINT_CREATE)

static daemon_fixture_t vestad;
static SaCkptHandleT library;
static int called;
static int called_well;

static void note_opened(SaInvocationT invocation, SaCkptCheckpointHandleT checkpoint, SaAisErrorT error) {
  (void)checkpoint;
  called_well += invocation == (SaInvocationT)called && error == SA_AIS_OK;
  called++;
}

static SaCkptHandleT initialize(void) {
  const SaCkptCallbacksT callbacks = {note_opened, NULL};
  SaVersionT version = {'B', 2, 1};
  SaCkptHandleT handle = 0;
  OK(saCkptInitialize(&handle, &callbacks, &version));
  return handle;
}

static int scene_open(void **state) {
  (void)state;
  daemon_fixture_open(&vestad);
  library = initialize();
  return 0;
}

static int scene_close(void **state) {
  (void)state;
  OK(saCkptFinalize(library));
  daemon_fixture_close(&vestad);
  return 0;
}

static int64_t counter(const char *key) { return raw_counter(vestad.socket, key); }

static SaNameT name_of(const char *text) {
  SaNameT name = {.length = (SaUint16T)strlen(text)};
  memcpy(name.value, text, name.length);
  return name;
}

static SaCkptCheckpointCreationAttributesT attributes_of(SaUint32T sections, SaSizeT size, SaSizeT id_size) {
  return (SaCkptCheckpointCreationAttributesT){.creationFlags = SA_CKPT_WR_ALL_REPLICAS,
                                               .maxSections = sections,
                                               .maxSectionSize = size,
                                               .maxSectionIdSize = id_size};
}

static SaAisErrorT open_with(SaCkptHandleT through, const char *text, SaUint32T sections, SaSizeT size, SaSizeT id_size,
                             SaCkptCheckpointHandleT *checkpoint) {
  SaNameT name = name_of(text);
  SaCkptCheckpointCreationAttributesT attributes = attributes_of(sections, size, id_size);
  return saCkptCheckpointOpen(through, &name, &attributes, READ_WRITE_CREATE, LIMIT, checkpoint);
}

static SaCkptCheckpointHandleT checkpoint_new(const char *text, SaUint32T sections, SaSizeT size, SaSizeT id_size) {
  SaCkptCheckpointHandleT checkpoint = 0;
  OK(open_with(library, text, sections, size, id_size, &checkpoint));
  return checkpoint;
}

/* ---- geometry ---- */

static void a_checkpoint_may_be_as_large_as_every_limit_and_no_larger(void **state) {
  (void)state;
  SaCkptCheckpointHandleT checkpoint = 4711;
  OK(open_with(library, "largest", VESTA_SECTIONS_MAX, VESTA_SECTION_BYTES_MAX, VESTA_SECTION_ID_BYTES_MAX,
               &checkpoint));
  OK(saCkptCheckpointClose(checkpoint));
  checkpoint = 4711;
  EXPECT(SA_AIS_ERR_NO_RESOURCES, open_with(library, "more", VESTA_SECTIONS_MAX + 1, 8, 8, &checkpoint));
  EXPECT(SA_AIS_ERR_NO_RESOURCES, open_with(library, "more", 2, VESTA_SECTION_BYTES_MAX + 1, 8, &checkpoint));
  EXPECT(SA_AIS_ERR_NO_RESOURCES, open_with(library, "more", 2, 8, VESTA_SECTION_ID_BYTES_MAX + 1, &checkpoint));
  assert_int_equal(checkpoint, 4711);
  assert_int_equal(counter("checkpoints_refused"), 3);
  assert_int_equal(counter("checkpoints"), 0);
}

static void an_id_may_be_as_long_as_the_limit_and_no_longer(void **state) {
  (void)state;
  SaCkptCheckpointHandleT checkpoint = checkpoint_new("ids", 2, 8, VESTA_SECTION_ID_BYTES_MAX);
  uint8_t bytes[VESTA_SECTION_ID_BYTES_MAX + 1];
  memset(bytes, 'i', sizeof bytes);
  SaCkptSectionIdT id = {.idLen = VESTA_SECTION_ID_BYTES_MAX, .id = bytes};
  SaCkptSectionCreationAttributesT section = {.sectionId = &id, .expirationTime = SA_TIME_END};
  OK(saCkptSectionCreate(checkpoint, &section, "data", 4));
  char read[8] = {0};
  SaCkptIOVectorElementT element = {.sectionId = id, .dataBuffer = read, .dataSize = sizeof read};
  OK(saCkptCheckpointRead(checkpoint, &element, 1, NULL));
  assert_string_equal(read, "data");
  id.idLen++;
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptSectionCreate(checkpoint, &section, "data", 4));
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptSectionOverwrite(checkpoint, &id, "data", 4));
}

/* On a machine that has much else to do so much data may need longer than a call waits; what it did is not known then. */
static SaAisErrorT overwrite_until_known(SaCkptCheckpointHandleT checkpoint, const void *data, SaSizeT size) {
  const SaCkptSectionIdT id = {0, NULL};
  int64_t until_ns = daemon_fixture_now_ns() + LIMIT;
  SaAisErrorT error;
  do {
    error = saCkptSectionOverwrite(checkpoint, &id, data, size);
  } while (error == SA_AIS_ERR_TIMEOUT && daemon_fixture_now_ns() < until_ns);
  return error;
}

static void a_section_may_be_as_large_as_the_limit_and_no_larger(void **state) {
  (void)state;
  SaCkptCheckpointHandleT checkpoint = checkpoint_new("sections", 1, VESTA_SECTION_BYTES_MAX, 8);
  uint8_t *data = malloc(VESTA_SECTION_BYTES_MAX + 1);
  assert_non_null(data);
  for (size_t i = 0; i < VESTA_SECTION_BYTES_MAX + 1; i++) {
    data[i] = (uint8_t)(i * 31 >> 5);
  }
  const SaCkptSectionIdT id = {0, NULL};
  OK(overwrite_until_known(checkpoint, data, VESTA_SECTION_BYTES_MAX));
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptSectionOverwrite(checkpoint, &id, data, VESTA_SECTION_BYTES_MAX + 1));
  SaCkptIOVectorElementT element = {.sectionId = id};
  OK(saCkptCheckpointRead(checkpoint, &element, 1, NULL));
  assert_int_equal(element.readSize, VESTA_SECTION_BYTES_MAX);
  assert_memory_equal(element.dataBuffer, data, VESTA_SECTION_BYTES_MAX);
  OK(saCkptIOVectorElementDataFree(checkpoint, element.dataBuffer));
  SaUint32T index = 4711;
  element = (SaCkptIOVectorElementT){
      .sectionId = id, .dataBuffer = data, .dataSize = 1, .dataOffset = VESTA_SECTION_BYTES_MAX - 1};
  OK(saCkptCheckpointWrite(checkpoint, &element, 1, &index));
  element.dataOffset++;
  EXPECT(SA_AIS_ERR_NO_RESOURCES, saCkptCheckpointWrite(checkpoint, &element, 1, &index));
  assert_int_equal(index, 0);
  free(data);
}

/* An answer of the daemon holds so many; the library asks for the rest. */
static void an_iteration_of_one_section_more_than_an_answer_holds_is_complete(void **state) {
  (void)state;
  SaCkptCheckpointHandleT checkpoint = checkpoint_new("iteration", VESTA_ITERATE_SECTIONS_MAX + 1, 8, 8);
  for (uint32_t count = 0; count <= VESTA_ITERATE_SECTIONS_MAX + 1; count++) {
    SaCkptSectionIdT id = {0, NULL};
    SaCkptSectionCreationAttributesT section = {.sectionId = &id, .expirationTime = SA_TIME_END};
    if (count >= VESTA_ITERATE_SECTIONS_MAX) {
      SaCkptSectionIterationHandleT iteration;
      SaCkptSectionDescriptorT descriptor;
      OK(saCkptSectionIterationInitialize(checkpoint, SA_CKPT_SECTIONS_ANY, 0, &iteration));
      for (uint32_t i = 0; i < count; i++) {
        OK(saCkptSectionIterationNext(iteration, &descriptor));
      }
      EXPECT(SA_AIS_ERR_NO_SECTIONS, saCkptSectionIterationNext(iteration, &descriptor));
      OK(saCkptSectionIterationFinalize(iteration));
    }
    SaAisErrorT error = saCkptSectionCreate(checkpoint, &section, NULL, 0);
    assert_int_equal(error, count <= VESTA_ITERATE_SECTIONS_MAX ? SA_AIS_OK : SA_AIS_ERR_NO_SPACE);
    free(id.id);
  }
}

/* ---- handles and calls ---- */

static void a_session_may_have_so_many_handles_and_no_more(void **state) {
  (void)state;
  SaCkptCheckpointHandleT checkpoint = 0;
  for (uint32_t i = 0; i < VESTA_HANDLES_PER_SESSION_MAX; i++) {
    OK(open_with(library, "handles", 2, 8, 8, &checkpoint));
  }
  assert_int_equal(counter("handles"), VESTA_HANDLES_PER_SESSION_MAX);
  assert_int_equal(counter("handles_refused"), 0);
  SaCkptCheckpointHandleT more = 4711;
  EXPECT(SA_AIS_ERR_NO_RESOURCES, open_with(library, "handles", 2, 8, 8, &more));
  assert_int_equal(more, 4711);
  assert_int_equal(counter("handles_refused"), 1);
  OK(saCkptCheckpointClose(checkpoint));
  OK(open_with(library, "handles", 2, 8, 8, &more));
}

static void a_library_handle_may_wait_for_so_many_callbacks_and_no_more(void **state) {
  (void)state;
  SaNameT name = name_of("async");
  SaSelectionObjectT object;
  (void)checkpoint_new("async", 2, 8, 8);
  OK(saCkptSelectionObjectGet(library, &object));
  called = called_well = 0;
  for (SaInvocationT i = 0; i < VESTA_ASYNC_CALLS_MAX; i++) {
    OK(saCkptCheckpointOpenAsync(library, i, &name, NULL, SA_CKPT_CHECKPOINT_READ));
  }
  EXPECT(SA_AIS_ERR_NO_RESOURCES,
         saCkptCheckpointOpenAsync(library, VESTA_ASYNC_CALLS_MAX, &name, NULL, SA_CKPT_CHECKPOINT_READ));
  int64_t until_ns = daemon_fixture_now_ns() + LIMIT;
  while (called < (int)VESTA_ASYNC_CALLS_MAX && daemon_fixture_now_ns() < until_ns) {
    struct pollfd ready = {.fd = (int)object, .events = POLLIN};
    (void)poll(&ready, 1, 1000);
    OK(saCkptDispatch(library, SA_DISPATCH_ALL));
  }
  assert_int_equal(called_well, VESTA_ASYNC_CALLS_MAX);
  OK(saCkptCheckpointOpenAsync(library, VESTA_ASYNC_CALLS_MAX, &name, NULL, SA_CKPT_CHECKPOINT_READ));
}

static uint32_t descriptors_open(void) {
  DIR *directory = opendir("/proc/self/fd");
  uint32_t count = 0;
  assert_non_null(directory);
  while (readdir(directory) != NULL) {
    count++;
  }
  (void)closedir(directory);
  return count;
}

static void so_many_checkpoints_are_read_without_a_call_and_others_by_request(void **state) {
  (void)state;
  uint32_t before = descriptors_open();
  for (uint32_t i = 0; i <= VESTA_MAPPED_CHECKPOINTS_MAX; i++) {
    char text[16];
    char read[8] = {0};
    (void)snprintf(text, sizeof text, "mapped %u", i);
    SaCkptCheckpointHandleT checkpoint = checkpoint_new(text, 1, 8, 8);
    const SaCkptSectionIdT id = {0, NULL};
    SaCkptIOVectorElementT element = {.sectionId = id, .dataBuffer = read, .dataSize = sizeof read};
    int64_t requests = counter("requests");
    OK(saCkptSectionOverwrite(checkpoint, &id, "data", 4));
    OK(saCkptCheckpointRead(checkpoint, &element, 1, NULL));
    assert_string_equal(read, "data");
    /* the overwrite; then what maps the replica, or the read itself */
    assert_int_equal(counter("requests"), requests + 2);
    OK(saCkptCheckpointRead(checkpoint, &element, 1, NULL));
    assert_int_equal(counter("requests"), requests + 2 + (i == VESTA_MAPPED_CHECKPOINTS_MAX));
  }
  assert_int_equal(descriptors_open(), before + VESTA_MAPPED_CHECKPOINTS_MAX);
}

/* ---- the daemon's memory ---- */

#define HOARDERS 8U
#define HEAD_BYTES 16U
#define LEFT_BYTES 100U /* less than a request, more than its prefix */

/* A request that is announced and does not come: the memory for it is taken, though no page of it is used. */
static void request_announce(raw_link_t *link, uint64_t payload_bytes) {
  uint8_t prefix[WIRE_PREFIX_BYTES];
  assert_true(raw_link_open(link, vestad.socket));
  wire_prefix_encode(prefix, HEAD_BYTES, (uint32_t)payload_bytes);
  assert_true(raw_link_put(link, prefix, sizeof prefix, -1));
}

static void all_links_together_may_hold_so_much_and_no_more(void **state) {
  (void)state;
  static uint8_t data[300000];
  raw_link_t hoarders[HOARDERS];
  raw_link_t good;
  vesta_token_t token = {0};
  uint64_t handle = 0;
  assert_true(raw_link_open(&good, vestad.socket));
  assert_int_equal(raw_link_hello(&good, &token), VESTA_OK);
  assert_int_equal(raw_link_checkpoint(&good, "good", &handle), VESTA_OK);
  assert_int_equal(raw_link_create(&good, handle, "s", vesta_bytes(data, sizeof data)), VESTA_OK);
  uint64_t overhead = WIRE_PREFIX_BYTES + HEAD_BYTES;
  uint64_t left = VESTA_LINKS_BYTES_MAX - LEFT_BYTES;
  for (uint32_t i = 0; i < HOARDERS; i++) {
    uint64_t payload = left - overhead < VESTA_OPERATION_BYTES_MAX ? left - overhead : VESTA_OPERATION_BYTES_MAX;
    request_announce(&hoarders[i], payload);
    left -= overhead + payload;
  }
  assert_int_equal(left, 0);
  assert_true(raw_counter_reaches(vestad.socket, "held_bytes", VESTA_LINKS_BYTES_MAX - LEFT_BYTES));
  assert_int_equal(counter("held_bytes_max"), VESTA_LINKS_BYTES_MAX);
  assert_int_equal(counter("messages_too_much"), 0);
  assert_int_equal(raw_link_overwrite(&good, handle, "s", vesta_bytes(data, sizeof data)), VESTA_ERR_NO_RESOURCES);
  assert_int_equal(counter("messages_too_much"), 1);
  assert_int_equal(raw_link_overwrite(&good, handle, "s", vesta_bytes("small", 5)), VESTA_OK);
  for (uint32_t i = 0; i < HOARDERS; i++) {
    raw_link_close(&hoarders[i]);
  }
  int64_t until_ns = daemon_fixture_now_ns() + LIMIT;
  while (counter("held_bytes") != 0 && daemon_fixture_now_ns() < until_ns) {
  }
  assert_int_equal(raw_link_overwrite(&good, handle, "s", vesta_bytes(data, sizeof data)), VESTA_OK);
  raw_link_close(&good);
}

/* ---- groups ---- */

static SaAisErrorT join(SaCkptCheckpointHandleT checkpoint, const char *text, size_t size) {
  wire_message_t request = {.kind = WIRE_JOIN, .text = vesta_bytes(text, size), .flags = WIRE_JOIN_MANUAL};
  vesta_agent_reply_t reply = {0};
  SaAisErrorT error = vesta_agent_call(checkpoint, &request, vesta_bytes(NULL, 0), LIMIT, &reply, NULL);
  vesta_agent_reply_free(&reply);
  return error;
}

static void a_group_may_have_so_many_members_and_no_more(void **state) {
  (void)state;
  SaCkptHandleT libraries[VESTA_GROUP_MEMBERS_MAX + 1];
  SaCkptCheckpointHandleT checkpoints[VESTA_GROUP_MEMBERS_MAX + 1];
  for (uint32_t i = 0; i <= VESTA_GROUP_MEMBERS_MAX; i++) {
    libraries[i] = initialize();
    OK(open_with(libraries[i], "group", 2, 8, 8, &checkpoints[i]));
    EXPECT(i < VESTA_GROUP_MEMBERS_MAX ? SA_AIS_OK : SA_AIS_ERR_NO_RESOURCES, join(checkpoints[i], "member", 6));
  }
  assert_int_equal(counter("errors"), 1);
  OK(saCkptFinalize(libraries[0]));
  OK(join(checkpoints[VESTA_GROUP_MEMBERS_MAX], "member", 6));
  for (uint32_t i = 1; i <= VESTA_GROUP_MEMBERS_MAX; i++) {
    OK(saCkptFinalize(libraries[i]));
  }
}

static void a_members_name_may_be_so_long_and_no_longer(void **state) {
  (void)state;
  char text[VESTA_MEMBER_NAME_BYTES_MAX + 1];
  memset(text, 'm', sizeof text);
  SaCkptCheckpointHandleT checkpoint = checkpoint_new("name", 2, 8, 8);
  EXPECT(SA_AIS_ERR_INVALID_PARAM, join(checkpoint, text, VESTA_MEMBER_NAME_BYTES_MAX + 1));
  assert_int_equal(counter("errors"), 1);
  OK(join(checkpoint, text, VESTA_MEMBER_NAME_BYTES_MAX));
}

#define WITH_SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)

int main(void) {
  const struct CMUnitTest tests[] = {
      WITH_SCENE(a_checkpoint_may_be_as_large_as_every_limit_and_no_larger),
      WITH_SCENE(an_id_may_be_as_long_as_the_limit_and_no_longer),
      WITH_SCENE(a_section_may_be_as_large_as_the_limit_and_no_larger),
      WITH_SCENE(an_iteration_of_one_section_more_than_an_answer_holds_is_complete),
      WITH_SCENE(a_session_may_have_so_many_handles_and_no_more),
      WITH_SCENE(a_library_handle_may_wait_for_so_many_callbacks_and_no_more),
      WITH_SCENE(so_many_checkpoints_are_read_without_a_call_and_others_by_request),
      WITH_SCENE(all_links_together_may_hold_so_much_and_no_more),
      WITH_SCENE(a_group_may_have_so_many_members_and_no_more),
      WITH_SCENE(a_members_name_may_be_so_long_and_no_longer),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
