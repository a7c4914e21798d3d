/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A program of somebody else, as a binary (see CMakeLists.txt): uses every group of calls and every structure of the
 * Checkpoint Service as OpenSAF has them. Exit status 0 when all was as expected; else it says which line was not.
 */
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "test/dropin/opensaf_shape.h"

#define SECOND INT64_C(1000000000)

static void expect_at(int line, const char *what, bool holds) {
  if (!holds) {
    (void)fprintf(stderr, "dropin: line %d: %s\n", line, what);
    exit(1);
  }
}
#define EXPECT(condition) expect_at(__LINE__, #condition, condition)
#define DONE(call) EXPECT((call) == OK)

/* ---- callbacks ---- */

static handle_t opened_handle;
static uint64_t opened_invocation, synchronized_invocation;
static unsigned callbacks_count;
static io_t told;
static uint8_t told_id[16];
static handle_t told_handle;

static void on_open(uint64_t invocation, handle_t checkpoint, sa_error_t error) {
  EXPECT(error == OK);
  opened_invocation = invocation;
  opened_handle = checkpoint;
  callbacks_count++;
}

static void on_synchronize(uint64_t invocation, sa_error_t error) {
  EXPECT(error == OK);
  synchronized_invocation = invocation;
  callbacks_count++;
}

static void on_change(handle_t checkpoint, io_t *vector, uint32_t count) {
  EXPECT(count == 1);
  told = vector[0];
  EXPECT(told.id.size <= sizeof told_id);
  memcpy(told_id, told.id.bytes, told.id.size);
  told_handle = checkpoint;
  callbacks_count++;
}

static void await_callback(handle_t library) {
  uint64_t object;
  unsigned before = callbacks_count;
  DONE(saCkptSelectionObjectGet(library, &object));
  struct pollfd readable = {.fd = (int)object, .events = POLLIN};
  while (callbacks_count == before) {
    EXPECT(poll(&readable, 1, 60000) == 1);
    DONE(saCkptDispatch(library, DISPATCH_ONE));
  }
}

/* ---- short ways ---- */

static name_t name_of(const char *text) {
  name_t name = {.words = {(uint16_t)strlen(text)}};
  memcpy(name.words + 1, text, strlen(text));
  return name;
}

static attributes_t attributes_of(uint32_t flags) {
  return (attributes_t){.flags = flags,
                        .checkpoint_size = 10000,
                        .retention = 7 * SECOND,
                        .sections_max = 100,
                        .section_size_max = 100,
                        .id_size_max = 16};
}

static section_id_t id_of(char *text) {
  return (section_id_t){.size = (uint16_t)strlen(text), .bytes = (uint8_t *)text};
}

static void create(handle_t checkpoint, char *text, const char *data) {
  section_id_t id = id_of(text);
  section_attributes_t section = {.id = &id, .expiry = TIME_END};
  DONE(saCkptSectionCreate(checkpoint, &section, data, strlen(data)));
}

static int64_t now(void) {
  struct timespec time;
  (void)clock_gettime(CLOCK_REALTIME, &time);
  return time.tv_sec * SECOND + time.tv_nsec;
}

/* ---- the groups of calls ---- */

static void use_status(handle_t checkpoint) {
  status_t status;
  memset(&status, 0xee, sizeof status);
  DONE(saCkptCheckpointRetentionDurationSet(checkpoint, 9 * SECOND));
  DONE(saCkptCheckpointStatusGet(checkpoint, &status));
  EXPECT(status.attributes.flags == ALL_REPLICAS);
  EXPECT(status.attributes.checkpoint_size == 10000);
  EXPECT(status.attributes.retention == 9 * SECOND);
  EXPECT(status.attributes.sections_max == 100);
  EXPECT(status.attributes.section_size_max == 100);
  EXPECT(status.attributes.id_size_max == 16);
  EXPECT(status.sections == 2);
  EXPECT(status.bytes == 10);
}

static void use_data(handle_t checkpoint) {
  io_t writes[2] = {{.id = id_of("one"), .buffer = "abc", .size = 3, .offset = 5},
                    {.id = id_of("two"), .buffer = "xy", .size = 2, .offset = 0}};
  uint32_t erroneous = 4711;
  DONE(saCkptCheckpointWrite(checkpoint, writes, 2, &erroneous));
  EXPECT(erroneous == 4711);
  writes[1].id = id_of("nobody");
  EXPECT(saCkptCheckpointWrite(checkpoint, writes, 2, &erroneous) == ERR_NOT_EXIST);
  EXPECT(erroneous == 1);
  section_id_t two = id_of("two");
  DONE(saCkptSectionOverwrite(checkpoint, &two, "replaced", 8));
  char buffer[100];
  io_t reads[2] = {{.id = id_of("one"), .buffer = buffer, .size = sizeof buffer, .offset = 1, .read = 4711},
                   {.id = id_of("two")}}; /* the library's buffer */
  DONE(saCkptCheckpointRead(checkpoint, reads, 2, &erroneous));
  EXPECT(reads[0].read == 7 && memcmp(buffer, "ne1?abc", 3) == 0 && memcmp(buffer + 4, "abc", 3) == 0);
  EXPECT(reads[1].read == 8 && memcmp(reads[1].buffer, "replaced", 8) == 0);
  DONE(saCkptIOVectorElementDataFree(checkpoint, reads[1].buffer));
}

static void use_sections(handle_t checkpoint) {
  section_id_t generated = {.size = 0};
  section_attributes_t section = {.id = &generated, .expiry = TIME_END};
  DONE(saCkptSectionCreate(checkpoint, &section, "generated", 9));
  EXPECT(generated.size > 0 && generated.size <= 16 && generated.bytes != NULL);
  int64_t expiry = now() + 3600 * SECOND;
  DONE(saCkptSectionExpirationTimeSet(checkpoint, &generated, expiry));

  handle_t iteration;
  descriptor_t descriptor;
  int found = 0;
  sa_error_t error;
  DONE(saCkptSectionIterationInitialize(checkpoint, SECTIONS_ANY, 0, &iteration));
  while ((error = saCkptSectionIterationNext(iteration, &descriptor)) == OK) {
    bool is_generated =
        descriptor.id.size == generated.size && memcmp(descriptor.id.bytes, generated.bytes, generated.size) == 0;
    EXPECT(descriptor.expiry == (is_generated ? expiry : TIME_END));
    EXPECT(descriptor.size == (is_generated ? 9 : 8));
    EXPECT(descriptor.state == 1);
    EXPECT(llabs(descriptor.updated - now()) < 60 * SECOND);
    found++;
  }
  EXPECT(error == ERR_NO_SECTIONS && found == 3);
  DONE(saCkptSectionIterationFinalize(iteration));
  EXPECT(saCkptSectionIterationNext(iteration, &descriptor) == ERR_BAD_HANDLE);

  DONE(saCkptSectionDelete(checkpoint, &generated));
  EXPECT(saCkptSectionDelete(checkpoint, &generated) == ERR_NOT_EXIST);
  DONE(saCkptSectionIdFree(checkpoint, generated.bytes));
}

static void use_callbacks(void) {
  handle_t library;
  version_t version = {'B', 1, 1};
  callbacks_t callbacks = {on_open, on_synchronize};
  DONE(saCkptInitialize(&library, &callbacks, &version));
  EXPECT(version.release == 'B' && version.major == 2);
  name_t name = name_of("safCkpt=dropin-async");
  attributes_t attributes = attributes_of(ACTIVE_REPLICA | COLLOCATED);
  DONE(saCkptCheckpointOpenAsync(library, UINT64_MAX - 1, &name, &attributes, FOR_READ | FOR_WRITE | CREATE));
  await_callback(library);
  EXPECT(opened_invocation == UINT64_MAX - 1);
  section_id_t id = id_of("one");
  EXPECT(saCkptSectionOverwrite(opened_handle, &id, "x", 1) == ERR_NOT_EXIST); /* no active replica yet */
  DONE(saCkptActiveReplicaSet(opened_handle));
  create(opened_handle, "one", "x");
  DONE(saCkptCheckpointSynchronize(opened_handle, SECOND));
  DONE(saCkptCheckpointSynchronizeAsync(opened_handle, 5));
  await_callback(library);
  EXPECT(synchronized_invocation == 5);
  DONE(saCkptCheckpointUnlink(library, &name));
  DONE(saCkptFinalize(library));
  EXPECT(saCkptCheckpointClose(opened_handle) == ERR_BAD_HANDLE);
}

static void use_tracking(handle_t writer, const name_t *name) {
  handle_t library, reader;
  version_t version = {'B', 2, 3};
  callbacks_2_t callbacks = {.tracked = on_change};
  DONE(saCkptInitialize_2(&library, &callbacks, &version));
  DONE(saCkptCheckpointOpen(library, name, NULL, FOR_READ, SECOND, &reader));
  DONE(saCkptTrack(library));
  io_t write = {.id = id_of("one"), .buffer = "abc", .size = 3, .offset = 4};
  DONE(saCkptCheckpointWrite(writer, &write, 1, NULL));
  await_callback(library);
  EXPECT(told_handle == reader && told.id.size == 3 && memcmp(told_id, "one", 3) == 0);
  EXPECT(told.buffer == NULL && told.size == 3 && told.offset == 4 && told.read == 0);
  DONE(saCkptTrackStop(library));
  DONE(saCkptCheckpointTrack(reader));
  section_id_t two = id_of("two");
  DONE(saCkptSectionDelete(writer, &two));
  await_callback(library);
  EXPECT(memcmp(told_id, "two", 3) == 0 && told.size == 0 && told.offset == 0);
  DONE(saCkptCheckpointTrackStop(reader));
  DONE(ncsCkptRegisterCkptArrivalCallback(library, on_change));
  create(writer, "three", "arrives");
  await_callback(library);
  EXPECT(memcmp(told_id, "three", 5) == 0 && told.size == 7);
  DONE(saCkptFinalize(library));
}

static void use_long_names(handle_t library) {
  static char text[2048 + 1];
  name_t name;
  attributes_t attributes = attributes_of(ALL_REPLICAS);
  handle_t checkpoint;
  memset(text, 'n', 2048);
  memcpy(text, "safCkpt=", 8);
  saAisNameLend(text, &name);
  EXPECT(saAisNameBorrow(&name) == text);
  DONE(saCkptCheckpointOpen(library, &name, &attributes, FOR_READ | CREATE, SECOND, &checkpoint));
  DONE(saCkptCheckpointUnlink(library, &name));
  DONE(saCkptCheckpointClose(checkpoint));
  saAisNameLend("short", &name);
  EXPECT(saAisNameBorrow(&name) == (const char *)(name.words + 1) && strcmp(saAisNameBorrow(&name), "short") == 0);
}

int main(void) {
  (void)setenv("SA_ENABLE_EXTENDED_NAMES", "1", 1); /* before the first call, as OpenSAF wants it */
  handle_t library, checkpoint;
  version_t version = {'B', 2, 2};
  sa_error_t error = saCkptInitialize(&library, NULL, &version);
  if (error == ERR_NOT_SUPPORTED) {
    (void)fprintf(stderr, "dropin: %s\n", saAisStrError(error));
    return 2;
  }
  EXPECT(error == OK && version.release == 'B' && version.major == 2 && version.minor == 3);
  EXPECT(strcmp(saAisStrError(ERR_BAD_HANDLE), "SA_AIS_ERR_BAD_HANDLE (9)") == 0);
  name_t name = name_of("safCkpt=dropin");
  attributes_t attributes = attributes_of(ALL_REPLICAS);
  DONE(saCkptCheckpointOpen(library, &name, &attributes, FOR_READ | FOR_WRITE | CREATE, TIME_END, &checkpoint));
  create(checkpoint, "one", "one1?");
  create(checkpoint, "two", "two2!");
  use_status(checkpoint);
  use_data(checkpoint);
  use_sections(checkpoint);
  use_callbacks();
  use_tracking(checkpoint, &name);
  use_long_names(library);
  DONE(saCkptCheckpointUnlink(library, &name));
  DONE(saCkptCheckpointClose(checkpoint));
  DONE(saCkptDispatch(library, DISPATCH_ALL));
  DONE(saCkptFinalize(library));
  EXPECT(saCkptFinalize(library) == ERR_BAD_HANDLE);
  (void)puts("dropin: ok");
  return 0;
}
