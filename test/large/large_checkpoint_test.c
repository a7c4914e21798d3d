/* SPDX-License-Identifier: BSD-2-Clause
 *
 * One checkpoint at its limits: a million sections, and an operation of 256 MiB; one past each; and the daemon killed and
 * started again with all of it.
 */
#include <saCkpt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/limits.h"
#include "test/support/daemon_fixture.h"
#include "test/support/raw_link.h"

#define EXPECT(code, call) assert_int_equal((call), (code))
#define OK(call) EXPECT(SA_AIS_OK, call)
#define READ_WRITE_CREATE (SA_CKPT_CHECKPOINT_READ | SA_CKPT_CHECKPOINT_WRITE | SA_CKPT_CHECKPOINT_CREATE)
#define PIECES ((uint32_t)(VESTA_OPERATION_BYTES_MAX / VESTA_SECTION_BYTES_MAX))

static daemon_fixture_t vestad;
static SaCkptHandleT library;

static int scene_open(void **state) {
  (void)state;
  SaVersionT version = {'B', 2, 1};
  daemon_fixture_open(&vestad);
  OK(saCkptInitialize(&library, NULL, &version));
  return 0;
}

static int scene_close(void **state) {
  (void)state;
  OK(saCkptFinalize(library));
  daemon_fixture_close(&vestad);
  return 0;
}

static SaCkptCheckpointHandleT checkpoint_new(SaUint32T sections, SaSizeT size) {
  const SaCkptCheckpointCreationAttributesT attributes = {
      .creationFlags = SA_CKPT_WR_ALL_REPLICAS, .maxSections = sections, .maxSectionSize = size, .maxSectionIdSize = 8};
  SaCkptCheckpointHandleT checkpoint = 0;
  SaNameT name = {.length = 5, .value = "large"};
  OK(saCkptCheckpointOpen(library, &name, &attributes, READ_WRITE_CREATE, 0, &checkpoint));
  return checkpoint;
}

/* How long something took, for whoever reads the log. */
static void say(const char *what, int64_t *since_ns) {
  int64_t now_ns = daemon_fixture_now_ns();
  print_message("%s: %lld ms\n", what, (long long)((now_ns - *since_ns) / 1000000));
  *since_ns = now_ns;
}

/* ---- a million sections ---- */

static SaAisErrorT section_create(SaCkptCheckpointHandleT checkpoint, uint32_t number) {
  SaCkptSectionIdT id = {.idLen = sizeof number, .id = (SaUint8T *)&number};
  SaCkptSectionCreationAttributesT section = {.sectionId = &id, .expirationTime = SA_TIME_END};
  return saCkptSectionCreate(checkpoint, &section, &number, sizeof number);
}

/* Every section once, each with its number in it. */
static void assert_all_are_iterated_once(SaCkptCheckpointHandleT checkpoint) {
  uint8_t *seen = calloc(VESTA_SECTIONS_MAX, 1);
  SaCkptSectionIterationHandleT iteration;
  SaCkptSectionDescriptorT descriptor;
  assert_non_null(seen);
  OK(saCkptSectionIterationInitialize(checkpoint, SA_CKPT_SECTIONS_ANY, 0, &iteration));
  for (uint32_t i = 0; i < VESTA_SECTIONS_MAX; i++) {
    uint32_t number = VESTA_SECTIONS_MAX;
    OK(saCkptSectionIterationNext(iteration, &descriptor));
    memcpy(&number, descriptor.sectionId.id, sizeof number);
    if (number >= VESTA_SECTIONS_MAX || seen[number] != 0 || descriptor.sectionSize != sizeof number) {
      fail_msg("section %u is not to be there, or comes twice", number);
    }
    seen[number] = 1;
  }
  EXPECT(SA_AIS_ERR_NO_SECTIONS, saCkptSectionIterationNext(iteration, &descriptor));
  OK(saCkptSectionIterationFinalize(iteration));
  free(seen);
}

static void assert_some_hold_their_number(SaCkptCheckpointHandleT checkpoint) {
  for (uint32_t number = 0; number < VESTA_SECTIONS_MAX; number += 997) {
    uint32_t read = 0;
    SaCkptIOVectorElementT element = {
        .sectionId = {.idLen = sizeof number, .id = (SaUint8T *)&number}, .dataBuffer = &read, .dataSize = sizeof read};
    OK(saCkptCheckpointRead(checkpoint, &element, 1, NULL));
    assert_int_equal(read, number);
  }
}

static void a_checkpoint_holds_a_million_sections_and_not_one_more(void **state) {
  (void)state;
  int64_t since_ns = daemon_fixture_now_ns();
  SaCkptCheckpointDescriptorT status;
  SaCkptCheckpointHandleT checkpoint = checkpoint_new(VESTA_SECTIONS_MAX, 8);
  for (uint32_t number = 0; number < VESTA_SECTIONS_MAX; number++) {
    OK(section_create(checkpoint, number));
  }
  say("a million sections created", &since_ns);
  int64_t errors = raw_counter(vestad.socket, "errors");
  EXPECT(SA_AIS_ERR_NO_SPACE, section_create(checkpoint, VESTA_SECTIONS_MAX));
  assert_int_equal(raw_counter(vestad.socket, "errors"), errors + 1);
  EXPECT(SA_AIS_ERR_EXIST, section_create(checkpoint, VESTA_SECTIONS_MAX - 1));
  OK(saCkptCheckpointStatusGet(checkpoint, &status));
  assert_int_equal(status.numberOfSections, VESTA_SECTIONS_MAX);
  assert_int_equal(status.memoryUsed, VESTA_SECTIONS_MAX * sizeof(uint32_t));
  since_ns = daemon_fixture_now_ns();
  assert_all_are_iterated_once(checkpoint);
  say("a million sections iterated", &since_ns);
  daemon_fixture_kill(&vestad);
  daemon_fixture_start(&vestad);
  say("killed and started again", &since_ns);
  assert_some_hold_their_number(checkpoint);
  assert_all_are_iterated_once(checkpoint);
  uint32_t one = 4711;
  SaCkptSectionIdT id = {.idLen = sizeof one, .id = (SaUint8T *)&one};
  OK(saCkptSectionDelete(checkpoint, &id));
  OK(section_create(checkpoint, VESTA_SECTIONS_MAX));
  EXPECT(SA_AIS_ERR_NO_SPACE, section_create(checkpoint, one));
}

/* ---- 256 MiB in one operation ---- */

static uint8_t piece_name[PIECES + 1];

static SaCkptSectionIdT piece_id(uint32_t piece) {
  piece_name[piece] = (uint8_t)('a' + piece);
  return (SaCkptSectionIdT){1, &piece_name[piece]};
}

static void assert_pieces_hold(SaCkptCheckpointHandleT checkpoint, const uint8_t *data, uint8_t *buffer) {
  for (uint32_t i = 0; i < PIECES; i++) {
    SaCkptIOVectorElementT element = {
        .sectionId = piece_id(i), .dataBuffer = buffer, .dataSize = VESTA_SECTION_BYTES_MAX};
    OK(saCkptCheckpointRead(checkpoint, &element, 1, NULL));
    assert_int_equal(element.readSize, VESTA_SECTION_BYTES_MAX);
    assert_memory_equal(buffer, data + i * VESTA_SECTION_BYTES_MAX, VESTA_SECTION_BYTES_MAX);
  }
}

static void an_operation_may_be_so_large_and_no_larger(void **state) {
  (void)state;
  uint8_t *data = malloc(VESTA_OPERATION_BYTES_MAX);
  uint8_t *buffer = malloc(VESTA_SECTION_BYTES_MAX);
  assert_true(data != NULL && buffer != NULL);
  for (size_t i = 0; i < VESTA_OPERATION_BYTES_MAX; i++) {
    data[i] = (uint8_t)(i * 2654435761U >> 13);
  }
  SaCkptCheckpointHandleT checkpoint = checkpoint_new(PIECES + 1, VESTA_SECTION_BYTES_MAX);
  SaCkptIOVectorElementT vector[PIECES + 1];
  for (uint32_t i = 0; i <= PIECES; i++) {
    SaCkptSectionIdT id = piece_id(i);
    SaCkptSectionCreationAttributesT section = {.sectionId = &id, .expirationTime = SA_TIME_END};
    OK(saCkptSectionCreate(checkpoint, &section, NULL, 0));
    vector[i] = (SaCkptIOVectorElementT){.sectionId = id,
                                         .dataBuffer = data + (i % PIECES) * VESTA_SECTION_BYTES_MAX,
                                         .dataSize = i < PIECES ? VESTA_SECTION_BYTES_MAX : 1};
  }
  SaUint32T index = 4711;
  EXPECT(SA_AIS_ERR_NO_RESOURCES, saCkptCheckpointWrite(checkpoint, vector, PIECES + 1, &index));
  assert_int_equal(index, PIECES);
  SaCkptCheckpointDescriptorT status;
  OK(saCkptCheckpointStatusGet(checkpoint, &status));
  assert_int_equal(status.memoryUsed, 0); /* nothing of it was written */
  int64_t since_ns = daemon_fixture_now_ns();
  OK(saCkptCheckpointWrite(checkpoint, vector, PIECES, &index));
  say("256 MiB written in one operation", &since_ns);
  assert_pieces_hold(checkpoint, data, buffer);
  daemon_fixture_kill(&vestad);
  daemon_fixture_start(&vestad);
  assert_pieces_hold(checkpoint, data, buffer);
  OK(saCkptCheckpointWrite(checkpoint, vector, PIECES, &index));
  free(data);
  free(buffer);
}

#define WITH_SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)

int main(void) {
  const struct CMUnitTest tests[] = {
      WITH_SCENE(a_checkpoint_holds_a_million_sections_and_not_one_more),
      WITH_SCENE(an_operation_may_be_so_large_and_no_larger),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
