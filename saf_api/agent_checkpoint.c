/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What checkpoint and iteration handles stand for. See agent_checkpoint.h.
 */
#include "saf_api/agent_checkpoint.h"

#include <stdlib.h>

#include "saf_api/agent_async.h"

static void checkpoint_unlist(agent_checkpoint_t *checkpoint) {
  agent_session_t *session = checkpoint->session;
  (void)pthread_mutex_lock(&session->lock);
  if (checkpoint->listed) {
    *(checkpoint->previous != NULL ? &checkpoint->previous->next : &session->checkpoints) = checkpoint->next;
    if (checkpoint->next != NULL) {
      checkpoint->next->previous = checkpoint->previous;
    }
  }
  (void)pthread_mutex_unlock(&session->lock);
}

static void checkpoint_destroy(agent_object_t *object) {
  agent_checkpoint_t *checkpoint = (agent_checkpoint_t *)object;
  checkpoint_unlist(checkpoint);
  agent_checkpoint_unmap(checkpoint);
  (void)pthread_mutex_destroy(&checkpoint->map_lock);
  agent_session_release(checkpoint->session);
  free(checkpoint);
}

vesta_err_t agent_checkpoint_new(agent_session_t *session, uint32_t flags, agent_checkpoint_t **out) {
  agent_checkpoint_t *checkpoint = malloc(sizeof *checkpoint);
  if (checkpoint == NULL) {
    return VESTA_ERR_NO_MEMORY;
  }
  *checkpoint = (agent_checkpoint_t){.object = {.kind = AGENT_CHECKPOINT, .destroy = checkpoint_destroy},
                                     .session = session,
                                     .flags = flags,
                                     .map_lock = PTHREAD_MUTEX_INITIALIZER,
                                     .region = {.fd = -1}};
  vesta_err_t err = agent_handle_new(&checkpoint->object);
  if (err != VESTA_OK) {
    free(checkpoint);
    return err;
  }
  agent_handle_retain(&session->object);
  *out = checkpoint;
  return VESTA_OK;
}

void agent_checkpoint_opened(agent_checkpoint_t *checkpoint, const wire_message_t *reply) {
  agent_session_t *session = checkpoint->session;
  checkpoint->remote = reply->handle;
  checkpoint->attributes = wire_attributes(reply);
  (void)pthread_mutex_lock(&session->lock);
  checkpoint->next = session->checkpoints;
  if (checkpoint->next != NULL) {
    checkpoint->next->previous = checkpoint;
  }
  session->checkpoints = checkpoint;
  checkpoint->listed = true;
  if (!atomic_load(&session->ending)) { /* else its parent's handle is bad already */
    agent_handle_publish(&checkpoint->object);
  }
  (void)pthread_mutex_unlock(&session->lock);
}

agent_checkpoint_t *agent_checkpoint_acquire(SaCkptCheckpointHandleT handle) {
  agent_checkpoint_t *checkpoint = (agent_checkpoint_t *)agent_handle_acquire(handle, AGENT_CHECKPOINT);
  if (checkpoint != NULL && atomic_load(&checkpoint->session->lost)) {
    agent_checkpoint_release(checkpoint);
    return NULL;
  }
  return checkpoint;
}

bool agent_iteration_shut(agent_iteration_t *iteration) { return agent_handle_close(&iteration->object); }

void agent_checkpoint_shut(agent_checkpoint_t *checkpoint) {
  agent_session_t *session = checkpoint->session;
  (void)agent_handle_close(&checkpoint->object);
  agent_iteration_t *found;
  do {
    found = NULL;
    (void)pthread_mutex_lock(&session->lock);
    for (agent_iteration_t *i = checkpoint->iterations; i != NULL && found == NULL; i = i->next) {
      found = (agent_iteration_t *)agent_handle_acquire(i->object.handle, AGENT_ITERATION);
    }
    (void)pthread_mutex_unlock(&session->lock);
    if (found != NULL) {
      (void)agent_iteration_shut(found);
      agent_handle_release(&found->object);
    }
  } while (found != NULL);
  agent_async_cancel(session, checkpoint);
}

vesta_err_t agent_checkpoint_call(agent_checkpoint_t *checkpoint, wire_message_t *message, const struct iovec *payload,
                                  size_t payload_parts, agent_reply_t *reply) {
  agent_request_t request = {
      .message = *message, .payload = payload, .payload_parts = payload_parts, .deadline_ns = agent_call_limit()};
  request.message.handle = checkpoint->remote;
  return agent_call(checkpoint->session, &request, reply);
}
