/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Data: write, overwrite, read, synchronize (AIS-CKPT-B.02.02 3.7; COMPLIANCE 17 to 20 and 21.2).
 *
 * The elements of a vector are judged in order, and the first bad one decides (COMPLIANCE 0.4). Some faults are seen
 * here (a missing buffer, a size over the limit), others by the daemon alone (a section that does not exist). So a vector
 * whose element k is bad is sent all the same, cut behind k, with k made one that the daemon can't accept: if the
 * daemon stumbles earlier, that is the answer, else it is what was found here. Nothing of it is written in either case.
 */
#include <stdlib.h>

#include "saf_api/agent_async.h"
#include "saf_api/agent_checkpoint.h"
#include "saf_api/agent_clock.h"
#include "saf_api/ckpt_section_id.h"
#include "saf_api/sa_error.h"

#define ELEMENTS_INLINE 4U

/* ---- write ---- */

/* What can be said of an element without the checkpoint. */
static bool element_well_formed(const SaCkptIOVectorElementT *element) {
  return ckpt_section_id_well_formed(&element->sectionId) && (element->dataBuffer != NULL || element->dataSize == 0);
}

/* Why nothing is done without a checkpoint, or without the right: what is wrong with the vector comes first. */
static vesta_err_t vector_refuse(const agent_checkpoint_t *checkpoint, const SaCkptIOVectorElementT *vector,
                                 uint32_t count, bool (*good)(const SaCkptIOVectorElementT *element), uint32_t *bad) {
  for (uint32_t i = 0; i < count; i++) {
    if (!good(&vector[i])) {
      *bad = i;
      return VESTA_ERR_INVALID_PARAM;
    }
  }
  return checkpoint == NULL ? VESTA_ERR_BAD_HANDLE : VESTA_ERR_ACCESS;
}

static vesta_err_t write_judge(const agent_checkpoint_t *checkpoint, const SaCkptIOVectorElementT *element,
                               uint64_t *operation_bytes, wire_element_t *out) {
  uint64_t section_max = checkpoint->attributes.section_bytes_max;
  if (!element_well_formed(element)) {
    return VESTA_ERR_INVALID_PARAM;
  }
  *out = (wire_element_t){.kind = VESTA_KIND_WRITTEN, .size = element->dataSize, .offset = element->dataOffset};
  vesta_err_t err = ckpt_section_id(checkpoint, &element->sectionId, &out->id);
  if (err != VESTA_OK) {
    return err;
  }
  if (element->dataSize > section_max) {
    return VESTA_ERR_INVALID_PARAM;
  }
  if (element->dataSize > 0 && element->dataOffset > section_max - element->dataSize) {
    return VESTA_ERR_NO_RESOURCES;
  }
  if (element->dataSize > VESTA_OPERATION_BYTES_MAX - *operation_bytes) {
    return VESTA_ERR_NO_RESOURCES;
  }
  *operation_bytes += element->dataSize;
  return VESTA_OK;
}

/* Any error of these says which element it is about. */
static bool error_has_element(vesta_err_t err) {
  return err == VESTA_ERR_INVALID_PARAM || err == VESTA_ERR_NOT_EXIST || err == VESTA_ERR_NO_RESOURCES ||
         err == VESTA_ERR_NO_SPACE;
}

/* Fill in elements and parts, and send them. `elements` and `parts` have room for `count`. */
static vesta_err_t write_send(agent_checkpoint_t *checkpoint, const SaCkptIOVectorElementT *vector, uint32_t count,
                              wire_element_t *elements, struct iovec *parts, uint32_t *bad) {
  uint8_t nothing = 0;
  uint64_t operation_bytes = 0;
  vesta_err_t found = VESTA_OK;
  uint32_t filled = 0;
  while (filled < count && found == VESTA_OK) {
    found = write_judge(checkpoint, &vector[filled], &operation_bytes, &elements[filled]);
    parts[filled] = (struct iovec){.iov_base = vector[filled].dataBuffer, .iov_len = vector[filled].dataSize};
    filled++;
  }
  if (found != VESTA_OK) {
    *bad = filled - 1;
    if (filled == 1) {
      return found;
    }
    elements[filled - 1] = (wire_element_t){.kind = VESTA_KIND_WRITTEN,
                                            .id = elements[0].id,
                                            .size = 1,
                                            .offset = checkpoint->attributes.section_bytes_max};
    parts[filled - 1] = (struct iovec){.iov_base = &nothing, .iov_len = 1};
  }
  wire_message_t message = {.kind = WIRE_CHANGE, .elements = elements, .element_count = filled};
  agent_reply_t reply;
  vesta_err_t err = agent_checkpoint_call(checkpoint, &message, parts, filled, &reply);
  bool answered = reply.message.kind != 0;
  uint64_t element = reply.message.element;
  agent_reply_fini(&reply);
  if (found == VESTA_OK || !answered || (err != VESTA_OK && element + 1 < filled)) {
    if (answered && error_has_element(err) && element < filled) {
      *bad = (uint32_t)element;
    }
    return err;
  }
  return found;
}

/* The end of a call on a vector of `count` elements; `bad` is the one to blame, `count` if none is. */
static SaAisErrorT vector_end(agent_checkpoint_t *checkpoint, vesta_err_t err, uint32_t bad, uint32_t count,
                              SaUint32T *erroneous) {
  if (checkpoint != NULL) {
    agent_checkpoint_release(checkpoint);
  }
  if (err != VESTA_OK && bad < count && erroneous != NULL) {
    *erroneous = bad;
  }
  return sa_error(err);
}

static vesta_err_t checkpoint_write(agent_checkpoint_t *checkpoint, const SaCkptIOVectorElementT *vector,
                                    uint32_t count, uint32_t *bad) {
  if (count > VESTA_VECTOR_ELEMENTS_MAX) {
    *bad = VESTA_VECTOR_ELEMENTS_MAX;
    return VESTA_ERR_NO_RESOURCES;
  }
  if (count <= ELEMENTS_INLINE) {
    wire_element_t elements[ELEMENTS_INLINE];
    struct iovec parts[ELEMENTS_INLINE];
    return write_send(checkpoint, vector, count, elements, parts, bad);
  }
  wire_element_t *elements = malloc(count * sizeof *elements);
  struct iovec *parts = malloc(count * sizeof *parts);
  vesta_err_t err = VESTA_ERR_NO_MEMORY;
  if (elements != NULL && parts != NULL) {
    err = write_send(checkpoint, vector, count, elements, parts, bad);
  }
  free(elements);
  free(parts);
  return err;
}

SaAisErrorT saCkptCheckpointWrite(SaCkptCheckpointHandleT checkpointHandle, const SaCkptIOVectorElementT *ioVector,
                                  SaUint32T numberOfElements, SaUint32T *erroneousVectorIndex) {
  if (ioVector == NULL || numberOfElements == 0) {
    return SA_AIS_ERR_INVALID_PARAM;
  }
  vesta_err_t err = VESTA_OK;
  uint32_t bad = numberOfElements; /* none */
  agent_checkpoint_t *checkpoint = agent_checkpoint_acquire(checkpointHandle);
  if (checkpoint == NULL || (checkpoint->flags & VESTA_OPEN_WRITE) == 0) {
    err = vector_refuse(checkpoint, ioVector, numberOfElements, element_well_formed, &bad);
  } else {
    err = checkpoint_write(checkpoint, ioVector, numberOfElements, &bad);
  }
  return vector_end(checkpoint, err, bad, numberOfElements, erroneousVectorIndex);
}

/* ---- overwrite ---- */

static vesta_err_t section_overwrite(agent_checkpoint_t *checkpoint, const SaCkptSectionIdT *id, const void *data,
                                     SaSizeT size) {
  if ((checkpoint->flags & VESTA_OPEN_WRITE) == 0) {
    return VESTA_ERR_ACCESS;
  }
  if (size > checkpoint->attributes.section_bytes_max) {
    return VESTA_ERR_INVALID_PARAM;
  }
  wire_element_t element = {.kind = VESTA_KIND_OVERWRITTEN, .size = size};
  vesta_err_t err = ckpt_section_id(checkpoint, id, &element.id);
  if (err != VESTA_OK) {
    return err;
  }
  wire_message_t message = {.kind = WIRE_CHANGE, .elements = &element, .element_count = 1};
  struct iovec part = {.iov_base = NULL, .iov_len = size};
  memcpy(&part.iov_base, &data, sizeof data); /* only read, though iovec can't say so */
  agent_reply_t reply;
  err = agent_checkpoint_call(checkpoint, &message, &part, size > 0 ? 1 : 0, &reply);
  agent_reply_fini(&reply);
  return err;
}

SaAisErrorT saCkptSectionOverwrite(SaCkptCheckpointHandleT checkpointHandle, const SaCkptSectionIdT *sectionId,
                                   const void *dataBuffer, SaSizeT dataSize) {
  if (!ckpt_section_id_well_formed(sectionId) || dataBuffer == NULL) {
    return SA_AIS_ERR_INVALID_PARAM;
  }
  agent_checkpoint_t *checkpoint = agent_checkpoint_acquire(checkpointHandle);
  if (checkpoint == NULL) {
    return SA_AIS_ERR_BAD_HANDLE;
  }
  vesta_err_t err = section_overwrite(checkpoint, sectionId, dataBuffer, dataSize);
  agent_checkpoint_release(checkpoint);
  return sa_error(err);
}

/* ---- read ---- */

static bool read_element_well_formed(const SaCkptIOVectorElementT *element) {
  return ckpt_section_id_well_formed(&element->sectionId); /* a missing buffer is made */
}

static vesta_err_t element_read(agent_checkpoint_t *checkpoint, SaCkptIOVectorElementT *element) {
  uint64_t section_max = checkpoint->attributes.section_bytes_max;
  bool allocate = element->dataBuffer == NULL;
  vesta_bytes_t id;
  if (!read_element_well_formed(element)) {
    return VESTA_ERR_INVALID_PARAM;
  }
  vesta_err_t err = ckpt_section_id(checkpoint, &element->sectionId, &id);
  if (err != VESTA_OK) {
    return err;
  }
  if ((!allocate && element->dataSize > section_max) || element->dataOffset > section_max) {
    return VESTA_ERR_INVALID_PARAM;
  }
  size_t got = 0;
  void *buffer = element->dataBuffer;
  err = allocate ? agent_checkpoint_read_rest(checkpoint, id, element->dataOffset, &buffer, &got)
                 : agent_checkpoint_read(checkpoint, id, element->dataOffset, buffer, element->dataSize, &got);
  if (err == VESTA_OK) {
    element->dataBuffer = buffer;
    element->readSize = got;
  }
  return err;
}

/* All elements in order. Buffers that were made for them are taken back when a later one fails: the caller would not
 * know of them. */
static vesta_err_t checkpoint_read(agent_checkpoint_t *checkpoint, SaCkptIOVectorElementT *vector, uint32_t count,
                                   uint32_t *bad) {
  if (count > VESTA_VECTOR_ELEMENTS_MAX) {
    *bad = VESTA_VECTOR_ELEMENTS_MAX;
    return VESTA_ERR_NO_RESOURCES;
  }
  uint64_t *made = NULL; /* a bit for each element whose buffer was made here */
  vesta_err_t err = VESTA_OK;
  uint32_t i = 0;
  for (; i < count && err == VESTA_OK; i++) {
    bool allocate = vector[i].dataBuffer == NULL;
    if (allocate && made == NULL && count > 1) {
      made = calloc((size_t)count / 64 + 1, sizeof *made);
      err = made == NULL ? VESTA_ERR_NO_MEMORY : VESTA_OK;
    }
    if (err == VESTA_OK) {
      err = element_read(checkpoint, &vector[i]);
    }
    if (err == VESTA_OK && allocate && made != NULL) {
      made[i / 64] |= 1ULL << (i % 64);
    }
  }
  if (error_has_element(err)) {
    *bad = i - 1;
  }
  for (uint32_t k = 0; err != VESTA_OK && made != NULL && k < i; k++) {
    if ((made[k / 64] & 1ULL << (k % 64)) != 0) {
      free(vector[k].dataBuffer);
      vector[k].dataBuffer = NULL;
      vector[k].readSize = 0;
    }
  }
  free(made);
  return err;
}

SaAisErrorT saCkptCheckpointRead(SaCkptCheckpointHandleT checkpointHandle, SaCkptIOVectorElementT *ioVector,
                                 SaUint32T numberOfElements, SaUint32T *erroneousVectorIndex) {
  if (ioVector == NULL || numberOfElements == 0) {
    return SA_AIS_ERR_INVALID_PARAM;
  }
  vesta_err_t err = VESTA_OK;
  uint32_t bad = numberOfElements; /* none */
  agent_checkpoint_t *checkpoint = agent_checkpoint_acquire(checkpointHandle);
  if (checkpoint == NULL || (checkpoint->flags & VESTA_OPEN_READ) == 0) {
    err = vector_refuse(checkpoint, ioVector, numberOfElements, read_element_well_formed, &bad);
  } else {
    err = checkpoint_read(checkpoint, ioVector, numberOfElements, &bad);
  }
  return vector_end(checkpoint, err, bad, numberOfElements, erroneousVectorIndex);
}

SaAisErrorT saCkptIOVectorElementDataFree(SaCkptCheckpointHandleT checkpointHandle, void *data) {
  if (data == NULL) {
    return SA_AIS_ERR_INVALID_PARAM;
  }
  agent_checkpoint_t *checkpoint = agent_checkpoint_acquire(checkpointHandle);
  if (checkpoint == NULL) {
    return SA_AIS_ERR_BAD_HANDLE;
  }
  agent_checkpoint_release(checkpoint);
  free(data);
  return SA_AIS_OK;
}

/* ---- synchronize ---- */

static vesta_err_t synchronize_judge(const agent_checkpoint_t *checkpoint) {
  if ((checkpoint->flags & VESTA_OPEN_WRITE) == 0) {
    return VESTA_ERR_ACCESS;
  }
  bool all_replicas = (checkpoint->attributes.creation_flags & VESTA_CREATE_ALL_REPLICAS) != 0;
  return all_replicas ? VESTA_ERR_BAD_OPERATION : VESTA_OK;
}

SaAisErrorT saCkptCheckpointSynchronize(SaCkptCheckpointHandleT checkpointHandle, SaTimeT timeout) {
  agent_checkpoint_t *checkpoint = agent_checkpoint_acquire(checkpointHandle);
  if (checkpoint == NULL) {
    return SA_AIS_ERR_BAD_HANDLE;
  }
  vesta_err_t err = synchronize_judge(checkpoint);
  if (err == VESTA_OK) {
    agent_request_t request = {.message = {.kind = WIRE_SYNCHRONIZE, .handle = checkpoint->remote},
                               .deadline_ns = agent_deadline(timeout)};
    agent_reply_t reply;
    err = agent_call(checkpoint->session, &request, &reply);
    agent_reply_fini(&reply);
  }
  agent_checkpoint_release(checkpoint);
  return sa_error(err);
}

SaAisErrorT saCkptCheckpointSynchronizeAsync(SaCkptCheckpointHandleT checkpointHandle, SaInvocationT invocation) {
  agent_checkpoint_t *checkpoint = agent_checkpoint_acquire(checkpointHandle);
  if (checkpoint == NULL) {
    return SA_AIS_ERR_BAD_HANDLE;
  }
  agent_session_t *session = checkpoint->session;
  vesta_err_t err = VESTA_ERR_INIT;
  if (session->callbacks.saCkptCheckpointSynchronizeCallback != NULL) {
    err = synchronize_judge(checkpoint);
  }
  if (err == VESTA_OK) {
    wire_message_t message = {.kind = WIRE_SYNCHRONIZE, .handle = checkpoint->remote, .flags = WIRE_FLAG_CALLBACK};
    agent_handle_retain(&checkpoint->object); /* the request's own */
    err = agent_async_send(session, &message, invocation, false, checkpoint);
    if (err != VESTA_OK) {
      agent_checkpoint_release(checkpoint);
    }
  }
  agent_checkpoint_release(checkpoint);
  return sa_error(err);
}
