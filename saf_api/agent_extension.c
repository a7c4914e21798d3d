/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The way of libvesta to the agent link. See agent_extension.h.
 */
#include "saf_api/agent_extension.h"

#include <stdlib.h>

#include "saf_api/agent_checkpoint.h"
#include "saf_api/agent_clock.h"
#include "saf_api/sa_error.h"

SaAisErrorT vesta_agent_error(vesta_err_t err) { return sa_error(err); }

SaAisErrorT vesta_agent_call(SaCkptCheckpointHandleT handle, const wire_message_t *message, vesta_bytes_t payload,
                             SaTimeT timeout_ns, vesta_agent_reply_t *reply, vesta_err_t *error) {
  agent_checkpoint_t *checkpoint = agent_checkpoint_acquire(handle);
  if (checkpoint == NULL) {
    return SA_AIS_ERR_BAD_HANDLE;
  }
  agent_reply_t *answer = malloc(sizeof *answer); /* before anything is sent: what is answered can be kept */
  if (answer == NULL) {
    agent_checkpoint_release(checkpoint);
    return SA_AIS_ERR_NO_MEMORY;
  }
  struct iovec part = {.iov_base = NULL, .iov_len = payload.size};
  memcpy(&part.iov_base, &payload.data, sizeof part.iov_base); /* only read, though iovec can't say so */
  agent_request_t request = {.message = *message,
                             .payload = &part,
                             .payload_parts = payload.size > 0 ? 1 : 0,
                             .deadline_ns = agent_deadline(timeout_ns)};
  request.message.number = 0;
  request.message.handle = checkpoint->remote;
  vesta_err_t err = agent_call(checkpoint->session, &request, answer);
  agent_checkpoint_release(checkpoint);
  if (err == VESTA_OK) {
    *reply = (vesta_agent_reply_t){.message = answer->message, .payload = answer->payload, .memory = answer};
    return SA_AIS_OK;
  }
  if (error != NULL) {
    *error = err;
  }
  agent_reply_fini(answer);
  free(answer);
  return sa_error(err);
}

void vesta_agent_reply_free(vesta_agent_reply_t *reply) {
  agent_reply_t *answer = reply->memory;
  if (answer != NULL) {
    agent_reply_fini(answer);
    free(answer);
  }
  *reply = (vesta_agent_reply_t){.memory = NULL};
}

SaAisErrorT vesta_agent_post(SaCkptCheckpointHandleT handle, const wire_message_t *message) {
  agent_checkpoint_t *checkpoint = agent_checkpoint_acquire(handle);
  if (checkpoint == NULL) {
    return SA_AIS_ERR_BAD_HANDLE;
  }
  wire_message_t posted = *message;
  posted.handle = checkpoint->remote;
  vesta_err_t err = agent_post(checkpoint->session, &posted);
  agent_checkpoint_release(checkpoint);
  return sa_error(err);
}
