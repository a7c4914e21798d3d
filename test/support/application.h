/* SPDX-License-Identifier: BSD-2-Clause
 *
 * An application of a test: a library handle and one checkpoint, and the calls that tests make all the time. Whatever
 * fails that must not fail ends the test with cmocka's message.
 */
#ifndef VESTA_TEST_SUPPORT_APPLICATION_H
#define VESTA_TEST_SUPPORT_APPLICATION_H

#include <saCkpt.h>
#include <vesta.h>

#include "test/support/deadline.h"

#define APPLICATION_SECTIONS_MAX 20000U
#define APPLICATION_SECTION_BYTES_MAX 65536U
#define APPLICATION_DEADLINE TEST_DEADLINE_NS
#define APPLICATION_ALL (SA_CKPT_CHECKPOINT_CREATE | SA_CKPT_CHECKPOINT_READ | SA_CKPT_CHECKPOINT_WRITE)

typedef struct application {
  SaNameT name;
  SaCkptHandleT library;
  SaCkptCheckpointHandleT checkpoint;
} application_t;

/** Initialize and open "safCkpt=`name`", with `flags` of saCkptCheckpointOpen(). */
void application_open(application_t *application, const char *name, SaCkptCheckpointOpenFlagsT flags);
/** The same with attributes of one's own; NULL to open what is there. */
void application_open_as(application_t *application, const char *name, SaCkptCheckpointOpenFlagsT flags,
                         const SaCkptCheckpointCreationAttributesT *attributes);
void application_close(application_t *application);

/** A section id of text; it points to the text. */
SaCkptSectionIdT section_id(const char *text);

/* Each returns what the service says, having repeated the call while that is TRY_AGAIN (the daemon is being
 * restarted). */
SaAisErrorT application_create(const application_t *application, const char *id, const void *data, SaSizeT size);
SaAisErrorT application_overwrite(const application_t *application, const char *id, const void *data, SaSizeT size);
SaAisErrorT application_delete(const application_t *application, const char *id);

/** Open a mirror of the checkpoint, with the defaults. */
vesta_mirror_t *application_mirror(const application_t *application);
/** Take changes until one of this kind was taken. */
void mirror_take_until(vesta_mirror_t *mirror, vesta_change_kind_t kind);
/** The next change of a stream, within APPLICATION_DEADLINE; it lives as long as vesta_stream_next() says. */
vesta_change_t stream_take(vesta_stream_t *stream);
/** The same until one of this kind was taken. */
void stream_take_until(vesta_stream_t *stream, vesta_change_kind_t kind);

#endif
