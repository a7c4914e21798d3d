/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Sections: create, delete, expiration time (AIS-CKPT-B.02.02 3.6; COMPLIANCE 11 to 13 and 21.1).
 */
#include <stdlib.h>

#include "saf_api/agent_checkpoint.h"
#include "saf_api/ckpt_section_id.h"
#include "saf_api/sa_error.h"

/* One change of one section. */
static vesta_err_t section_change(agent_checkpoint_t *checkpoint, const wire_element_t *element, const void *data,
                                  agent_reply_t *reply) {
  wire_message_t message = {.kind = WIRE_CHANGE, .elements = element, .element_count = 1};
  struct iovec part = {.iov_base = NULL, .iov_len = element->size};
  memcpy(&part.iov_base, &data, sizeof data); /* only read, though iovec can't say so */
  return agent_checkpoint_call(checkpoint, &message, &part, element->size > 0 ? 1 : 0, reply);
}

/* Where a generated id will be put: taken beforehand, so that a section that was made is never lost for lack of
 * memory. */
static vesta_err_t generated_id_room(const agent_checkpoint_t *checkpoint, uint8_t **room) {
  *room = malloc((size_t)checkpoint->attributes.section_id_bytes_max + 1);
  return *room == NULL ? VESTA_ERR_NO_MEMORY : VESTA_OK;
}

static vesta_err_t section_create(agent_checkpoint_t *checkpoint, const SaCkptSectionCreationAttributesT *attributes,
                                  const void *data, SaSizeT size) {
  SaCkptSectionIdT *id = attributes->sectionId;
  if ((checkpoint->flags & VESTA_OPEN_WRITE) == 0) {
    return VESTA_ERR_ACCESS;
  }
  if (id->idLen > checkpoint->attributes.section_id_bytes_max || size > checkpoint->attributes.section_bytes_max) {
    return VESTA_ERR_INVALID_PARAM;
  }
  uint8_t *room = NULL;
  if (id->idLen == 0) {
    vesta_err_t err = generated_id_room(checkpoint, &room);
    if (err != VESTA_OK) {
      return err;
    }
  }
  wire_element_t element = {.kind = VESTA_KIND_CREATED,
                            .id = vesta_bytes(id->id, id->idLen),
                            .size = size,
                            .expiry_ns = attributes->expirationTime};
  agent_reply_t reply;
  vesta_err_t err = section_change(checkpoint, &element, data, &reply);
  if (err == VESTA_OK && room != NULL) {
    if (reply.message.id.size == 0 || reply.message.id.size > checkpoint->attributes.section_id_bytes_max) {
      err = VESTA_ERR_LIBRARY;
    } else {
      memcpy(room, reply.message.id.data, reply.message.id.size);
      *id = (SaCkptSectionIdT){.idLen = (SaUint16T)reply.message.id.size, .id = room};
      room = NULL;
    }
  }
  agent_reply_fini(&reply);
  free(room);
  return err;
}

SaAisErrorT saCkptSectionCreate(SaCkptCheckpointHandleT checkpointHandle,
                                SaCkptSectionCreationAttributesT *sectionCreationAttributes, const void *initialData,
                                SaSizeT initialDataSize) {
  if (sectionCreationAttributes == NULL || !ckpt_section_id_well_formed(sectionCreationAttributes->sectionId) ||
      sectionCreationAttributes->expirationTime < 0 || (initialData == NULL && initialDataSize > 0)) {
    return SA_AIS_ERR_INVALID_PARAM;
  }
  agent_checkpoint_t *checkpoint = agent_checkpoint_acquire(checkpointHandle);
  if (checkpoint == NULL) {
    return SA_AIS_ERR_BAD_HANDLE;
  }
  vesta_err_t err = section_create(checkpoint, sectionCreationAttributes, initialData, initialDataSize);
  agent_checkpoint_release(checkpoint);
  return sa_error(err);
}

/* Delete and ExpirationTimeSet: the default section is there to stay. */
static SaAisErrorT section_alter(SaCkptCheckpointHandleT handle, const SaCkptSectionIdT *id, wire_element_t element) {
  agent_checkpoint_t *checkpoint = agent_checkpoint_acquire(handle);
  if (checkpoint == NULL) {
    return SA_AIS_ERR_BAD_HANDLE;
  }
  vesta_err_t err = VESTA_ERR_ACCESS;
  if ((checkpoint->flags & VESTA_OPEN_WRITE) != 0) {
    err = ckpt_section_id(checkpoint, id, &element.id);
    if (err == VESTA_OK && id->idLen == 0) {
      err = VESTA_ERR_INVALID_PARAM;
    }
  }
  if (err == VESTA_OK) {
    agent_reply_t reply;
    err = section_change(checkpoint, &element, NULL, &reply);
    agent_reply_fini(&reply);
  }
  agent_checkpoint_release(checkpoint);
  return sa_error(err);
}

SaAisErrorT saCkptSectionDelete(SaCkptCheckpointHandleT checkpointHandle, const SaCkptSectionIdT *sectionId) {
  if (!ckpt_section_id_well_formed(sectionId)) {
    return SA_AIS_ERR_INVALID_PARAM;
  }
  return section_alter(checkpointHandle, sectionId, (wire_element_t){.kind = VESTA_KIND_DELETED});
}

SaAisErrorT saCkptSectionExpirationTimeSet(SaCkptCheckpointHandleT checkpointHandle, const SaCkptSectionIdT *sectionId,
                                           SaTimeT expirationTime) {
  if (!ckpt_section_id_well_formed(sectionId) || expirationTime < 0) {
    return SA_AIS_ERR_INVALID_PARAM;
  }
  return section_alter(checkpointHandle, sectionId,
                       (wire_element_t){.kind = VESTA_KIND_EXPIRY_SET, .expiry_ns = expirationTime});
}

SaAisErrorT saCkptSectionIdFree(SaCkptCheckpointHandleT checkpointHandle, SaUint8T *id) {
  if (id == NULL) {
    return SA_AIS_ERR_INVALID_PARAM;
  }
  agent_checkpoint_t *checkpoint = agent_checkpoint_acquire(checkpointHandle);
  if (checkpoint == NULL) {
    return SA_AIS_ERR_BAD_HANDLE;
  }
  agent_checkpoint_release(checkpoint);
  free(id);
  return SA_AIS_OK;
}
