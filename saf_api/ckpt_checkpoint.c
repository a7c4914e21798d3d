/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Opening and closing checkpoints, and what concerns a checkpoint as a whole (AIS-CKPT-B.02.02 3.5; COMPLIANCE 5 to
 * 10).
 */
#include "saf_api/agent_async.h"
#include "saf_api/agent_checkpoint.h"
#include "saf_api/agent_clock.h"
#include "saf_api/ais_name.h"
#include "saf_api/sa_error.h"

static bool attributes_good(const SaCkptCheckpointCreationAttributesT *attributes) {
  switch (attributes->creationFlags & ~(SaUint32T)SA_CKPT_CHECKPOINT_COLLOCATED) {
    case SA_CKPT_WR_ALL_REPLICAS:
    case SA_CKPT_WR_ACTIVE_REPLICA:
    case SA_CKPT_WR_ACTIVE_REPLICA_WEAK: break;
    default: return false; /* none, more than one, or unknown */
  }
  SaSizeT sections_bytes;
  bool unlimited = __builtin_mul_overflow(attributes->maxSections, attributes->maxSectionSize, &sections_bytes);
  return attributes->maxSections > 0 && (unlimited || attributes->checkpointSize <= sections_bytes);
}

/* Everything that can be judged without the service: what both opens refuse at once. */
static vesta_err_t open_judge(const SaNameT *name, const SaCkptCheckpointCreationAttributesT *attributes,
                              SaCkptCheckpointOpenFlagsT flags, vesta_bytes_t *name_bytes) {
  const SaCkptCheckpointOpenFlagsT known =
      SA_CKPT_CHECKPOINT_READ | SA_CKPT_CHECKPOINT_WRITE | SA_CKPT_CHECKPOINT_CREATE;
  if (!ais_name_bytes(name, name_bytes)) {
    return VESTA_ERR_INVALID_PARAM;
  }
  if (flags == 0 || (flags & ~known) != 0) {
    return VESTA_ERR_BAD_FLAGS;
  }
  bool create = (flags & SA_CKPT_CHECKPOINT_CREATE) != 0;
  if (create != (attributes != NULL) || (create && !attributes_good(attributes))) {
    return VESTA_ERR_INVALID_PARAM;
  }
  return VESTA_OK;
}

/* The request, and the object that its answer will make good. Parameters have been judged. */
static vesta_err_t open_prepare(agent_session_t *session, vesta_bytes_t name,
                                const SaCkptCheckpointCreationAttributesT *attributes, SaCkptCheckpointOpenFlagsT flags,
                                wire_message_t *message, agent_checkpoint_t **checkpoint) {
  *message = (wire_message_t){.kind = WIRE_OPEN, .name = name, .flags = flags};
  if (session->version_b1) {
    message->flags |= WIRE_FLAG_COMPARE_RETENTION; /* S 3.5.1; B.02 leaves it out of the comparison */
  }
  if (attributes != NULL) {
    bool for_ever = attributes->retentionDuration < 0;
    bool long_ids = attributes->maxSectionIdSize > UINT32_MAX; /* too long anyway: the service says so */
    vesta_attributes_t wanted = {
        .creation_flags = attributes->creationFlags,
        .checkpoint_bytes = attributes->checkpointSize,
        .retention_ns = for_ever ? VESTA_TIME_END : attributes->retentionDuration,
        .sections_max = attributes->maxSections,
        .section_bytes_max = attributes->maxSectionSize,
        .section_id_bytes_max = long_ids ? UINT32_MAX : (uint32_t)attributes->maxSectionIdSize,
    };
    wire_attributes_set(message, &wanted);
  }
  return agent_checkpoint_new(session, flags, checkpoint);
}

SaAisErrorT saCkptCheckpointOpen(SaCkptHandleT ckptHandle, const SaNameT *checkpointName,
                                 const SaCkptCheckpointCreationAttributesT *checkpointCreationAttributes,
                                 SaCkptCheckpointOpenFlagsT checkpointOpenFlags, SaTimeT timeout,
                                 SaCkptCheckpointHandleT *checkpointHandle) {
  vesta_bytes_t name;
  vesta_err_t err = open_judge(checkpointName, checkpointCreationAttributes, checkpointOpenFlags, &name);
  if (checkpointHandle == NULL) {
    err = VESTA_ERR_INVALID_PARAM;
  }
  if (err != VESTA_OK) {
    return sa_error(err);
  }
  agent_session_t *session = agent_session_acquire(ckptHandle);
  if (session == NULL) {
    return SA_AIS_ERR_BAD_HANDLE;
  }
  agent_request_t request = {.deadline_ns = agent_deadline(timeout)};
  agent_checkpoint_t *checkpoint;
  err = open_prepare(session, name, checkpointCreationAttributes, checkpointOpenFlags, &request.message, &checkpoint);
  if (err == VESTA_OK) {
    agent_reply_t reply;
    err = agent_call(session, &request, &reply);
    if (err == VESTA_OK) {
      agent_checkpoint_opened(checkpoint, &reply.message);
      *checkpointHandle = checkpoint->object.handle;
    }
    agent_reply_fini(&reply);
    agent_checkpoint_release(checkpoint);
  }
  agent_session_release(session);
  return sa_error(err);
}

SaAisErrorT saCkptCheckpointOpenAsync(SaCkptHandleT ckptHandle, SaInvocationT invocation, const SaNameT *checkpointName,
                                      const SaCkptCheckpointCreationAttributesT *checkpointCreationAttributes,
                                      SaCkptCheckpointOpenFlagsT checkpointOpenFlags) {
  vesta_bytes_t name;
  vesta_err_t err = open_judge(checkpointName, checkpointCreationAttributes, checkpointOpenFlags, &name);
  if (err != VESTA_OK) {
    return sa_error(err);
  }
  agent_session_t *session = agent_session_acquire(ckptHandle);
  if (session == NULL) {
    return SA_AIS_ERR_BAD_HANDLE;
  }
  err = VESTA_ERR_INIT;
  if (session->callbacks.saCkptCheckpointOpenCallback != NULL) {
    wire_message_t message;
    agent_checkpoint_t *checkpoint;
    err = open_prepare(session, name, checkpointCreationAttributes, checkpointOpenFlags, &message, &checkpoint);
    if (err == VESTA_OK) {
      message.flags |= WIRE_FLAG_CALLBACK;
      err = agent_async_send(session, &message, invocation, true, checkpoint);
      if (err != VESTA_OK) {
        agent_checkpoint_release(checkpoint);
      }
    }
  }
  agent_session_release(session);
  return sa_error(err);
}

SaAisErrorT saCkptCheckpointClose(SaCkptCheckpointHandleT checkpointHandle) {
  agent_checkpoint_t *checkpoint = agent_checkpoint_acquire(checkpointHandle);
  if (checkpoint == NULL) {
    return SA_AIS_ERR_BAD_HANDLE;
  }
  if (!agent_handle_close(&checkpoint->object)) { /* another thread is closing it */
    agent_checkpoint_release(checkpoint);
    return SA_AIS_ERR_BAD_HANDLE;
  }
  wire_message_t message = {.kind = WIRE_CLOSE};
  agent_reply_t reply;
  vesta_err_t err = agent_checkpoint_call(checkpoint, &message, NULL, 0, &reply);
  agent_reply_fini(&reply);
  if (err == VESTA_OK || err == VESTA_ERR_BAD_HANDLE) {
    agent_checkpoint_shut(checkpoint);
  } else {
    agent_handle_publish(&checkpoint->object); /* it may be closed once more */
  }
  agent_checkpoint_release(checkpoint);
  return sa_error(err);
}

SaAisErrorT saCkptCheckpointUnlink(SaCkptHandleT ckptHandle, const SaNameT *checkpointName) {
  vesta_bytes_t name;
  if (!ais_name_bytes(checkpointName, &name)) {
    return SA_AIS_ERR_INVALID_PARAM;
  }
  agent_session_t *session = agent_session_acquire(ckptHandle);
  if (session == NULL) {
    return SA_AIS_ERR_BAD_HANDLE;
  }
  agent_request_t request = {.message = {.kind = WIRE_UNLINK, .name = name}, .deadline_ns = agent_call_limit()};
  agent_reply_t reply;
  vesta_err_t err = agent_call(session, &request, &reply);
  agent_reply_fini(&reply);
  agent_session_release(session);
  return sa_error(err);
}

SaAisErrorT saCkptCheckpointRetentionDurationSet(SaCkptCheckpointHandleT checkpointHandle, SaTimeT retentionDuration) {
  if (retentionDuration < 0) {
    return SA_AIS_ERR_INVALID_PARAM;
  }
  agent_checkpoint_t *checkpoint = agent_checkpoint_acquire(checkpointHandle);
  if (checkpoint == NULL) {
    return SA_AIS_ERR_BAD_HANDLE;
  }
  vesta_err_t err = VESTA_ERR_ACCESS;
  if (checkpoint->session->version_b1 || (checkpoint->flags & VESTA_OPEN_WRITE) != 0) {
    wire_message_t message = {.kind = WIRE_RETENTION_SET, .retention_ns = retentionDuration};
    agent_reply_t reply;
    err = agent_checkpoint_call(checkpoint, &message, NULL, 0, &reply);
    agent_reply_fini(&reply);
  }
  agent_checkpoint_release(checkpoint);
  return sa_error(err);
}

SaAisErrorT saCkptActiveReplicaSet(SaCkptCheckpointHandleT checkpointHandle) {
  agent_checkpoint_t *checkpoint = agent_checkpoint_acquire(checkpointHandle);
  if (checkpoint == NULL) {
    return SA_AIS_ERR_BAD_HANDLE;
  }
  uint32_t flags = checkpoint->attributes.creation_flags;
  vesta_err_t err;
  if ((checkpoint->flags & VESTA_OPEN_WRITE) == 0) {
    err = VESTA_ERR_ACCESS;
  } else if ((flags & VESTA_CREATE_COLLOCATED) == 0 || (flags & VESTA_CREATE_ALL_REPLICAS) != 0) {
    err = VESTA_ERR_BAD_OPERATION;
  } else {
    wire_message_t message = {.kind = WIRE_ACTIVE_SET};
    agent_reply_t reply;
    err = agent_checkpoint_call(checkpoint, &message, NULL, 0, &reply);
    agent_reply_fini(&reply);
  }
  agent_checkpoint_release(checkpoint);
  return sa_error(err);
}

SaAisErrorT saCkptCheckpointStatusGet(SaCkptCheckpointHandleT checkpointHandle,
                                      SaCkptCheckpointDescriptorT *checkpointStatus) {
  if (checkpointStatus == NULL) {
    return SA_AIS_ERR_INVALID_PARAM;
  }
  agent_checkpoint_t *checkpoint = agent_checkpoint_acquire(checkpointHandle);
  if (checkpoint == NULL) {
    return SA_AIS_ERR_BAD_HANDLE;
  }
  vesta_err_t err = VESTA_ERR_ACCESS;
  if (checkpoint->session->version_b1 || (checkpoint->flags & VESTA_OPEN_READ) != 0) {
    wire_message_t message = {.kind = WIRE_STATUS};
    agent_reply_t reply;
    err = agent_checkpoint_call(checkpoint, &message, NULL, 0, &reply);
    if (err == VESTA_OK) {
      vesta_attributes_t attributes = wire_attributes(&reply.message);
      *checkpointStatus = (SaCkptCheckpointDescriptorT){
          .checkpointCreationAttributes = {.creationFlags = attributes.creation_flags,
                                           .checkpointSize = attributes.checkpoint_bytes,
                                           .retentionDuration = attributes.retention_ns,
                                           .maxSections = attributes.sections_max,
                                           .maxSectionSize = attributes.section_bytes_max,
                                           .maxSectionIdSize = attributes.section_id_bytes_max},
          .numberOfSections = (SaUint32T)reply.message.count,
          .memoryUsed = reply.message.size};
    }
    agent_reply_fini(&reply);
  }
  agent_checkpoint_release(checkpoint);
  return sa_error(err);
}
