/* SPDX-License-Identifier: BSD-2-Clause
 *
 * How section ids are judged, in the two stages of clause 0.4 (doc/COMPLIANCE.md): alone, and against the checkpoint.
 */
#ifndef VESTA_SAF_API_CKPT_SECTION_ID_H
#define VESTA_SAF_API_CKPT_SECTION_ID_H

#include "saf_api/agent_checkpoint.h"

/** An id is bytes with a length, or neither: {0, NULL}. */
static inline bool ckpt_section_id_well_formed(const SaCkptSectionIdT *id) {
  return id != NULL && (id->idLen == 0) == (id->id == NULL);
}

/**
 * What {0, NULL} means here, and whether the id may be as long as it is.
 * @return OK; INVALID_PARAM when it is longer than the checkpoint's ids may be; NOT_EXIST for {0, NULL} where there is
 *         no default section
 */
static inline vesta_err_t ckpt_section_id(const agent_checkpoint_t *checkpoint, const SaCkptSectionIdT *id,
                                          vesta_bytes_t *bytes) {
  if (id->idLen > checkpoint->attributes.section_id_bytes_max) {
    return VESTA_ERR_INVALID_PARAM;
  }
  if (id->idLen == 0 && checkpoint->attributes.sections_max != 1) {
    return VESTA_ERR_NOT_EXIST;
  }
  *bytes = vesta_bytes(id->id, id->idLen);
  return VESTA_OK;
}

#endif
