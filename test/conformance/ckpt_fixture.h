/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the conformance tests share: a daemon for the whole program, and short ways to say what they mean.
 *
 * The numbers in the comments above the tests (clause 5.10) are those of clauses.txt, which names the clause of the
 * standard behind each; doc/COMPLIANCE.md is made of both.
 */
#ifndef VESTA_TEST_CONFORMANCE_CKPT_FIXTURE_H
#define VESTA_TEST_CONFORMANCE_CKPT_FIXTURE_H

#include <poll.h>
#include <saCkpt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/limits.h"
#include "test/support/daemon_fixture.h"

/* The answer that is expected, by name. */
#define EXPECT(code, call) assert_int_equal((call), (code))
#define OK(call) EXPECT(SA_AIS_OK, call)

#define READ_WRITE_CREATE (SA_CKPT_CHECKPOINT_READ | SA_CKPT_CHECKPOINT_WRITE | SA_CKPT_CHECKPOINT_CREATE)
#define READ_WRITE (SA_CKPT_CHECKPOINT_READ | SA_CKPT_CHECKPOINT_WRITE)
#define SECOND SA_TIME_ONE_SECOND

static daemon_fixture_t test_daemon;

static inline int group_open(void **state) {
  (void)state;
  daemon_fixture_open(&test_daemon);
  return 0;
}

static inline int group_close(void **state) {
  (void)state;
  daemon_fixture_close(&test_daemon);
  return 0;
}

/* A private daemon that this machine is too busy to start in time is ready for one of the next calls. */
static inline SaCkptHandleT library_open(SaUint8T major, const SaCkptCallbacksT *callbacks) {
  SaCkptHandleT library = 0;
  SaVersionT version = {.releaseCode = 'B', .majorVersion = major, .minorVersion = 1};
  int64_t begun_ns = daemon_fixture_now_ns();
  SaAisErrorT result;
  while ((result = saCkptInitialize(&library, callbacks, &version)) == SA_AIS_ERR_TRY_AGAIN) {
    int64_t waited_ns = daemon_fixture_now_ns() - begun_ns;
    assert_in_range(waited_ns / 1000000, VESTA_SPAWN_LIMIT_MS - 1, TEST_DEADLINE_MS);
  }
  OK(result);
  return library;
}

/** A library handle of B.02. */
static inline SaCkptHandleT library_b2(void) { return library_open(2, NULL); }
/** One of B.01. */
static inline SaCkptHandleT library_b1(void) { return library_open(1, NULL); }

/* Most tests need one library handle: CASE(test) gives them a fresh one. */
static SaCkptHandleT lib;

static inline int lib_open(void **state) {
  (void)state;
  lib = library_b2();
  return 0;
}

static inline int lib_close(void **state) {
  (void)state;
  return saCkptFinalize(lib) == SA_AIS_OK ? 0 : -1;
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, lib_open, lib_close)

static inline SaNameT name_of(const char *text) {
  SaNameT name = {.length = (SaUint16T)strlen(text)};
  memcpy(name.value, text, name.length);
  return name;
}

/** 100 sections of 1000 bytes, ids of 16, kept for a minute: changed by the tests where it matters. */
static inline SaCkptCheckpointCreationAttributesT attributes_of(SaCkptCheckpointCreationFlagsT flags) {
  return (SaCkptCheckpointCreationAttributesT){.creationFlags = flags,
                                               .checkpointSize = 100000,
                                               .retentionDuration = SA_TIME_ONE_MINUTE,
                                               .maxSections = 100,
                                               .maxSectionSize = 1000,
                                               .maxSectionIdSize = 16};
}

static inline SaCkptCheckpointHandleT checkpoint_create(SaCkptHandleT library, const char *text,
                                                        const SaCkptCheckpointCreationAttributesT *attributes) {
  SaCkptCheckpointHandleT checkpoint = 0;
  SaNameT name = name_of(text);
  OK(saCkptCheckpointOpen(library, &name, attributes, READ_WRITE_CREATE, TEST_DEADLINE_NS, &checkpoint));
  return checkpoint;
}

/** A usual one: ALL_REPLICAS, 100 sections. */
static inline SaCkptCheckpointHandleT checkpoint_usual(SaCkptHandleT library, const char *text) {
  SaCkptCheckpointCreationAttributesT attributes = attributes_of(SA_CKPT_WR_ALL_REPLICAS);
  return checkpoint_create(library, text, &attributes);
}

/** One with the default section alone. */
static inline SaCkptCheckpointHandleT checkpoint_default_section(SaCkptHandleT library, const char *text) {
  SaCkptCheckpointCreationAttributesT attributes = attributes_of(SA_CKPT_WR_ALL_REPLICAS);
  attributes.maxSections = 1;
  attributes.checkpointSize = 1000;
  return checkpoint_create(library, text, &attributes);
}

/** Another handle of a checkpoint that exists. */
static inline SaCkptCheckpointHandleT checkpoint_again(SaCkptHandleT library, const char *text,
                                                       SaCkptCheckpointOpenFlagsT flags) {
  SaCkptCheckpointHandleT checkpoint = 0;
  SaNameT name = name_of(text);
  OK(saCkptCheckpointOpen(library, &name, NULL, flags, TEST_DEADLINE_NS, &checkpoint));
  return checkpoint;
}

static inline SaAisErrorT checkpoint_try(SaCkptHandleT library, const char *text) {
  SaCkptCheckpointHandleT checkpoint = 0;
  SaNameT name = name_of(text);
  SaAisErrorT result =
      saCkptCheckpointOpen(library, &name, NULL, SA_CKPT_CHECKPOINT_READ, TEST_DEADLINE_NS, &checkpoint);
  if (result == SA_AIS_OK) {
    OK(saCkptCheckpointClose(checkpoint));
  }
  return result;
}

/** The id lives as long as the text. */
static inline SaCkptSectionIdT id_of(const char *text) {
  SaCkptSectionIdT id = {.idLen = (SaUint16T)strlen(text)};
  memcpy(&id.id, &text, sizeof id.id);
  return id;
}

static inline SaAisErrorT section_create_expiring(SaCkptCheckpointHandleT checkpoint, const char *text,
                                                  const void *data, SaSizeT size, SaTimeT expiration) {
  SaCkptSectionIdT id = id_of(text);
  SaCkptSectionCreationAttributesT attributes = {.sectionId = &id, .expirationTime = expiration};
  return saCkptSectionCreate(checkpoint, &attributes, data, size);
}

static inline SaAisErrorT section_create(SaCkptCheckpointHandleT checkpoint, const char *text, const char *data) {
  return section_create_expiring(checkpoint, text, data, strlen(data), SA_TIME_END);
}

static inline SaAisErrorT section_overwrite(SaCkptCheckpointHandleT checkpoint, const char *text, const char *data) {
  SaCkptSectionIdT id = id_of(text);
  return saCkptSectionOverwrite(checkpoint, &id, data, strlen(data));
}

static inline SaCkptIOVectorElementT element_of(const char *id, const void *buffer, SaSizeT size, SaOffsetT offset) {
  SaCkptIOVectorElementT element = {.sectionId = id_of(id), .dataSize = size, .dataOffset = offset, .readSize = 77777};
  if (id[0] == '\0') {
    element.sectionId.id = NULL; /* the default section */
  }
  memcpy(&element.dataBuffer, &buffer, sizeof element.dataBuffer);
  return element;
}

/** The section holds exactly this text. */
static inline void assert_section(SaCkptCheckpointHandleT checkpoint, const char *id, const char *text) {
  char buffer[1000] = {0};
  SaCkptIOVectorElementT element = element_of(id, buffer, sizeof buffer, 0);
  OK(saCkptCheckpointRead(checkpoint, &element, 1, NULL));
  assert_int_equal(element.readSize, strlen(text));
  assert_memory_equal(buffer, text, strlen(text));
}

static inline SaAisErrorT section_try(SaCkptCheckpointHandleT checkpoint, const char *id) {
  char buffer[1000] = {0};
  SaCkptIOVectorElementT element = element_of(id, buffer, sizeof buffer, 0);
  return saCkptCheckpointRead(checkpoint, &element, 1, NULL);
}

static inline SaCkptCheckpointDescriptorT status_of(SaCkptCheckpointHandleT checkpoint) {
  SaCkptCheckpointDescriptorT status;
  OK(saCkptCheckpointStatusGet(checkpoint, &status));
  return status;
}

/** Wall clock, as expiration times are meant. */
static inline SaTimeT wall_now(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_REALTIME, &now);
  return (SaTimeT)now.tv_sec * SECOND + now.tv_nsec;
}

/** Until that clock says so. */
static inline void wall_wait(SaTimeT moment) {
  const struct timespec until = {.tv_sec = (time_t)(moment / SECOND), .tv_nsec = (long)(moment % SECOND)};
  while (wall_now() < moment) {
    (void)clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &until, NULL);
  }
}

/* Every call with a checkpoint handle, and what they all answer. */
static inline void assert_checkpoint_calls(SaCkptCheckpointHandleT checkpoint, SaAisErrorT expected) {
  char buffer[8] = "x";
  SaCkptSectionIdT id = id_of("s");
  SaCkptSectionCreationAttributesT section = {.sectionId = &id, .expirationTime = SA_TIME_END};
  SaCkptIOVectorElementT element = element_of("s", buffer, 1, 0);
  SaCkptCheckpointDescriptorT status;
  SaCkptSectionIterationHandleT iteration;
  SaUint32T index;
  uint8_t *memory = malloc(1);
  EXPECT(expected, saCkptCheckpointRetentionDurationSet(checkpoint, SECOND));
  EXPECT(expected, saCkptActiveReplicaSet(checkpoint));
  EXPECT(expected, saCkptCheckpointStatusGet(checkpoint, &status));
  EXPECT(expected, saCkptSectionCreate(checkpoint, &section, buffer, 1));
  EXPECT(expected, saCkptSectionDelete(checkpoint, &id));
  EXPECT(expected, saCkptSectionIdFree(checkpoint, memory));
  EXPECT(expected, saCkptSectionExpirationTimeSet(checkpoint, &id, SA_TIME_END));
  EXPECT(expected, saCkptSectionIterationInitialize(checkpoint, SA_CKPT_SECTIONS_ANY, 0, &iteration));
  EXPECT(expected, saCkptCheckpointWrite(checkpoint, &element, 1, &index));
  EXPECT(expected, saCkptSectionOverwrite(checkpoint, &id, buffer, 1));
  EXPECT(expected, saCkptCheckpointRead(checkpoint, &element, 1, &index));
  EXPECT(expected, saCkptIOVectorElementDataFree(checkpoint, memory));
  EXPECT(expected, saCkptCheckpointSynchronize(checkpoint, SECOND));
  EXPECT(expected, saCkptCheckpointSynchronizeAsync(checkpoint, 1));
  EXPECT(expected, saCkptCheckpointClose(checkpoint));
  free(memory);
}

/** Does the selection object become readable within this time? */
static inline bool is_readable(SaSelectionObjectT object, int limit_ms) {
  struct pollfd poll_it = {.fd = (int)object, .events = POLLIN};
  return poll(&poll_it, 1, limit_ms) == 1;
}

#endif
