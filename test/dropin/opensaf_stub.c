/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A libSaCkpt.so.1 of OpenSAF's shape to link against: the same symbols, without versions. It does nothing.
 */
#include "test/dropin/opensaf_shape.h"

#include <stddef.h>

#pragma GCC diagnostic ignored "-Wunused-parameter" /* it uses none */

/* clang-format off */
#define NOTHING(name, ...) sa_error_t name(__VA_ARGS__) { return ERR_NOT_SUPPORTED; }
NOTHING(saCkptInitialize, handle_t *a, const callbacks_t *b, version_t *c)
NOTHING(saCkptInitialize_2, handle_t *a, const callbacks_2_t *b, version_t *c)
NOTHING(saCkptSelectionObjectGet, handle_t a, uint64_t *b)
NOTHING(saCkptDispatch, handle_t a, int b)
NOTHING(saCkptFinalize, handle_t a)
NOTHING(saCkptCheckpointOpen, handle_t a, const name_t *b, const attributes_t *c, uint32_t d, int64_t e, handle_t *f)
NOTHING(saCkptCheckpointOpenAsync, handle_t a, uint64_t b, const name_t *c, const attributes_t *d, uint32_t e)
NOTHING(saCkptCheckpointClose, handle_t a)
NOTHING(saCkptCheckpointUnlink, handle_t a, const name_t *b)
NOTHING(saCkptCheckpointRetentionDurationSet, handle_t a, int64_t b)
NOTHING(saCkptActiveReplicaSet, handle_t a)
NOTHING(saCkptCheckpointStatusGet, handle_t a, status_t *b)
NOTHING(saCkptSectionCreate, handle_t a, section_attributes_t *b, const void *c, uint64_t d)
NOTHING(saCkptSectionDelete, handle_t a, const section_id_t *b)
NOTHING(saCkptSectionIdFree, handle_t a, uint8_t *b)
NOTHING(saCkptSectionExpirationTimeSet, handle_t a, const section_id_t *b, int64_t c)
NOTHING(saCkptSectionIterationInitialize, handle_t a, int b, int64_t c, handle_t *d)
NOTHING(saCkptSectionIterationNext, handle_t a, descriptor_t *b)
NOTHING(saCkptSectionIterationFinalize, handle_t a)
NOTHING(saCkptCheckpointWrite, handle_t a, const io_t *b, uint32_t c, uint32_t *d)
NOTHING(saCkptSectionOverwrite, handle_t a, const section_id_t *b, const void *c, uint64_t d)
NOTHING(saCkptCheckpointRead, handle_t a, io_t *b, uint32_t c, uint32_t *d)
NOTHING(saCkptIOVectorElementDataFree, handle_t a, void *b)
NOTHING(saCkptCheckpointSynchronize, handle_t a, int64_t b)
NOTHING(saCkptCheckpointSynchronizeAsync, handle_t a, uint64_t b)
NOTHING(saCkptTrack, handle_t a)
NOTHING(saCkptTrackStop, handle_t a)
NOTHING(saCkptCheckpointTrack, handle_t a)
NOTHING(saCkptCheckpointTrackStop, handle_t a)
NOTHING(ncsCkptRegisterCkptArrivalCallback, handle_t a, void (*b)(handle_t, io_t *, uint32_t))
/* clang-format on */

void saAisNameLend(const char *text, name_t *name) {
  (void)text;
  name->words[0] = 0;
}
const char *saAisNameBorrow(const name_t *name) { return name == NULL ? NULL : ""; }
const char *saAisStrError(sa_error_t error) { return error == OK ? "OK" : "this is the stub"; }
