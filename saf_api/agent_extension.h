/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What libvesta needs of libSaCkpt: to send a request of its own over the agent link of a SAF handle.
 *
 * Exported by libSaCkpt.so under the version node VESTA_PRIVATE; not installed, not for applications.
 */
#ifndef VESTA_SAF_API_AGENT_EXTENSION_H
#define VESTA_SAF_API_AGENT_EXTENSION_H

#include "core/wire.h"
#include "saf_api/saCkpt.h"

/* The answer of one request: owns its bytes. `message` points into it. Zero it before use. */
typedef struct vesta_agent_reply {
  wire_message_t message;
  vesta_bytes_t payload;
  void *memory; /* private */
} vesta_agent_reply_t;

/**
 * Send a request for a checkpoint handle and wait for its answer, through reconnects. `handle` and `number` of the
 * message are filled in (the daemon's number of that handle).
 * @param timeout_ns      0 or below: no limit
 * @param[out] reply      set on SA_AIS_OK; free with vesta_agent_reply_free()
 * @param[out] error      the daemon's answer when the call returns something else; may be NULL
 * @return SA_AIS_OK; SA_AIS_ERR_BAD_HANDLE; SA_AIS_ERR_TIMEOUT; SA_AIS_ERR_TRY_AGAIN when there is no daemon now and
 *         the request had no effect; SA_AIS_ERR_NO_MEMORY; or the daemon's error translated
 *
 * Threads: any.   Blocks: up to timeout
 */
SaAisErrorT vesta_agent_call(SaCkptCheckpointHandleT checkpoint, const wire_message_t *request, vesta_bytes_t payload,
                             SaTimeT timeout_ns, vesta_agent_reply_t *reply, vesta_err_t *error);
void vesta_agent_reply_free(vesta_agent_reply_t *reply);

/** Send a request that has no answer. Never blocks: dropped when the link is busy or down (TRY_AGAIN). */
SaAisErrorT vesta_agent_post(SaCkptCheckpointHandleT checkpoint, const wire_message_t *request);

/* ---- changes (agent_queue.c) ---- */

#define VESTA_AGENT_NO_ELEMENT UINT32_MAX

/* What came of a CHANGE. */
typedef struct vesta_agent_outcome {
  SaAisErrorT error;
  uint32_t element;     /* the one that an error is about; VESTA_AGENT_NO_ELEMENT */
  vesta_pos_t position; /* SA_AIS_OK: of the operation */
} vesta_agent_outcome_t;

/** As vesta_agent_call() for a CHANGE. @param[out] outcome   always set. @return outcome->error */
SaAisErrorT vesta_agent_change(SaCkptCheckpointHandleT checkpoint, const wire_message_t *request, vesta_bytes_t payload,
                               SaTimeT timeout_ns, vesta_agent_outcome_t *outcome);

/* CHANGEs whose answers are fetched later; one thread at a time. */
typedef struct agent_queue vesta_agent_queue_t;

/** @return SA_AIS_OK; SA_AIS_ERR_BAD_HANDLE; SA_AIS_ERR_NO_MEMORY; SA_AIS_ERR_NO_RESOURCES */
SaAisErrorT vesta_agent_queue_open(SaCkptCheckpointHandleT checkpoint, vesta_agent_queue_t **queue);
/** What is under way has its effect or not; nobody will know. In a forked child memory and descriptors go, no more. */
void vesta_agent_queue_close(vesta_agent_queue_t **queue);
/**
 * Send one, or have it sent as soon as the link is there.
 * @param payload   from malloc(), the queue's on SA_AIS_OK; may be NULL
 * @return SA_AIS_OK; SA_AIS_ERR_TRY_AGAIN when too many or too large ones are under way; SA_AIS_ERR_BAD_HANDLE;
 *         SA_AIS_ERR_NO_MEMORY
 */
SaAisErrorT vesta_agent_queue_send(vesta_agent_queue_t *queue, const wire_message_t *request, void *payload,
                                   size_t payload_bytes, uint64_t invocation);
/**
 * The outcome of the oldest one.
 * @param timeout   0: what is there; SA_TIME_END: no limit
 * @return SA_AIS_OK; SA_AIS_ERR_TIMEOUT; SA_AIS_ERR_NOT_EXIST when nothing is under way; SA_AIS_ERR_BAD_HANDLE
 */
SaAisErrorT vesta_agent_queue_next(vesta_agent_queue_t *queue, SaTimeT timeout, uint64_t *invocation,
                                   vesta_agent_outcome_t *outcome);
/** Would vesta_agent_queue_send() return TRY_AGAIN, whatever it is given? To be asked before something is made for it. */
bool vesta_agent_queue_is_full(const vesta_agent_queue_t *queue);
/** Readable while vesta_agent_queue_next() would do something; -1 in a forked child. */
int vesta_agent_queue_fd(const vesta_agent_queue_t *queue);

/** How a checkpoint handle was opened (VESTA_OPEN_...), and the checkpoint's attributes. */
SaAisErrorT vesta_agent_attributes(SaCkptCheckpointHandleT checkpoint, uint32_t *flags, vesta_attributes_t *attributes);

/** One translation of codes, for both libraries. */
SaAisErrorT vesta_agent_error(vesta_err_t err);

#endif
