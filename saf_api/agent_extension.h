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
 * Send a request for a checkpoint handle and wait for its answer, through reconnects. `handle` and `number` of the message
 * are filled in (the daemon's number of that handle).
 * @param timeout_ns      0 or below: no limit
 * @param[out] reply      set on SA_AIS_OK; free with vesta_agent_reply_free()
 * @param[out] error      the daemon's answer when the call returns something else; may be NULL
 * @return SA_AIS_OK; SA_AIS_ERR_BAD_HANDLE; SA_AIS_ERR_TIMEOUT; SA_AIS_ERR_TRY_AGAIN when there is no daemon now and the
 *         request had no effect; SA_AIS_ERR_NO_MEMORY; or the daemon's error translated
 *
 * Threads: any.   Blocks: up to timeout
 */
SaAisErrorT vesta_agent_call(SaCkptCheckpointHandleT checkpoint, const wire_message_t *request, vesta_bytes_t payload,
                             SaTimeT timeout_ns, vesta_agent_reply_t *reply, vesta_err_t *error);
void vesta_agent_reply_free(vesta_agent_reply_t *reply);

/** Send a request that has no answer. Never blocks: dropped when the link is busy or down (TRY_AGAIN). */
SaAisErrorT vesta_agent_post(SaCkptCheckpointHandleT checkpoint, const wire_message_t *request);

/** The library handle that a checkpoint handle was opened through, and whether it was opened for reading. */
SaAisErrorT vesta_agent_checkpoint(SaCkptCheckpointHandleT checkpoint, SaCkptHandleT *library, bool *readable);

/** One translation of codes, for both libraries. */
SaAisErrorT vesta_agent_error(vesta_err_t err);

#endif
