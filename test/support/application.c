/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See application.h.
 */
#include "test/support/application.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "test/support/call_again.h"
#include "test/support/daemon_fixture.h"

SaCkptSectionIdT section_id(const char *text) {
  union {
    const char *given;
    SaUint8T *as_the_standard_wants_it;
  } id = {.given = text};
  return (SaCkptSectionIdT){.idLen = (SaUint16T)strlen(text), .id = id.as_the_standard_wants_it};
}

/* The agent waits within a call for a daemon that comes back; TRY_AGAIN comes when it was away for longer. */
static int64_t application_patience_ns(void) { return daemon_fixture_now_ns() + APPLICATION_DEADLINE; }

void application_open_as(application_t *application, const char *name, SaCkptCheckpointOpenFlagsT flags,
                         const SaCkptCheckpointCreationAttributesT *attributes) {
  *application = (application_t){0};
  application->name.length =
      (SaUint16T)snprintf((char *)application->name.value, SA_MAX_NAME_LENGTH, "safCkpt=%s", name);
  SaVersionT version = {'B', 2, 2};
  int64_t until_ns = application_patience_ns();
  SaAisErrorT error;
  do {
    error = saCkptInitialize(&application->library, NULL, &version);
  } while (call_again(error, until_ns));
  assert_int_equal(error, SA_AIS_OK);
  do {
    error = saCkptCheckpointOpen(application->library, &application->name, attributes, flags, APPLICATION_DEADLINE,
                                 &application->checkpoint);
  } while (call_again(error, until_ns));
  assert_int_equal(error, SA_AIS_OK);
}

void application_open(application_t *application, const char *name, SaCkptCheckpointOpenFlagsT flags) {
  static const SaCkptCheckpointCreationAttributesT attributes = {.creationFlags = SA_CKPT_WR_ALL_REPLICAS,
                                                                 .checkpointSize = 1 << 20,
                                                                 .retentionDuration = SA_TIME_ONE_MINUTE,
                                                                 .maxSections = APPLICATION_SECTIONS_MAX,
                                                                 .maxSectionSize = APPLICATION_SECTION_BYTES_MAX,
                                                                 .maxSectionIdSize = 32};
  application_open_as(application, name, flags, (flags & SA_CKPT_CHECKPOINT_CREATE) != 0 ? &attributes : NULL);
}

void application_close(application_t *application) {
  assert_int_equal(saCkptFinalize(application->library), SA_AIS_OK);
}

SaAisErrorT application_create(const application_t *application, const char *id, const void *data, SaSizeT size) {
  int64_t until_ns = application_patience_ns();
  SaCkptSectionIdT section = section_id(id);
  SaCkptSectionCreationAttributesT attributes = {.sectionId = &section, .expirationTime = SA_TIME_END};
  SaAisErrorT error;
  do {
    error = saCkptSectionCreate(application->checkpoint, &attributes, data, size);
  } while (call_again(error, until_ns));
  return error;
}

SaAisErrorT application_overwrite(const application_t *application, const char *id, const void *data, SaSizeT size) {
  int64_t until_ns = application_patience_ns();
  SaCkptSectionIdT section = section_id(id);
  SaAisErrorT error;
  do {
    error = saCkptSectionOverwrite(application->checkpoint, &section, data, size);
  } while (call_again(error, until_ns));
  return error;
}

SaAisErrorT application_delete(const application_t *application, const char *id) {
  int64_t until_ns = application_patience_ns();
  SaCkptSectionIdT section = section_id(id);
  SaAisErrorT error;
  do {
    error = saCkptSectionDelete(application->checkpoint, &section);
  } while (call_again(error, until_ns));
  return error;
}

vesta_mirror_t *application_mirror(const application_t *application) {
  vesta_mirror_t *mirror = NULL;
  assert_int_equal(vesta_mirror_open(application->checkpoint, NULL, &mirror), SA_AIS_OK);
  return mirror;
}

void mirror_take_until(vesta_mirror_t *mirror, vesta_change_kind_t kind) {
  vesta_change_t change;
  do {
    assert_int_equal(vesta_mirror_next(mirror, APPLICATION_DEADLINE, &change), SA_AIS_OK);
  } while (change.kind != kind);
}

vesta_change_t stream_take(vesta_stream_t *stream) {
  vesta_change_t change = {0};
  assert_int_equal(vesta_stream_next(stream, APPLICATION_DEADLINE, &change), SA_AIS_OK);
  return change;
}

void stream_take_until(vesta_stream_t *stream, vesta_change_kind_t kind) {
  while (stream_take(stream).kind != kind) {
  }
}
