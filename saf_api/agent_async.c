/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Requests whose answer is a callback. See agent_async.h.
 *
 *   waiting --(CALLBACK came)--> ready --(dispatch takes it)--> callback runs
 *      \______________________________\__(its checkpoint is closed)--> dropped
 */
#include "saf_api/agent_async.h"

#include <stdlib.h>
#include <sys/socket.h>

#include "saf_api/agent_checkpoint.h"
#include "saf_api/agent_clock.h"

#define SENT_BY_ITS_CALLER UINT64_MAX /* the thread that made it is sending it */

void agent_async_destroy(agent_async_t *async) {
  agent_checkpoint_release(async->checkpoint);
  free(async->frame);
  free(async);
}

static void list_append(agent_async_t **first, agent_async_t **last, agent_async_t *async) {
  async->previous = *last;
  async->next = NULL;
  *(*last != NULL ? &(*last)->next : first) = async;
  *last = async;
}

static void list_remove(agent_async_t **first, agent_async_t **last, agent_async_t *async) {
  *(async->previous != NULL ? &async->previous->next : first) = async->next;
  *(async->next != NULL ? &async->next->previous : last) = async->previous;
}

static agent_async_t *waiting_find(const agent_session_t *session, uint64_t number) {
  agent_async_t *async = session->async_first;
  while (async != NULL && async->number != number) {
    async = async->next;
  }
  return async;
}

/* Take one out of the list it is in and give it up. */
static void waiting_drop(agent_session_t *session, agent_async_t *async) {
  list_remove(&session->async_first, &session->async_last, async);
  session->async_count--;
}

/* Send until it went out on the connection that is there now. The link may break at any moment, and whoever connects
 * anew leaves out what its caller is still sending. */
static vesta_err_t async_send(agent_session_t *session, agent_request_t *request) {
  agent_reply_t reply;
  bool again = true;
  while (again) {
    vesta_err_t err = agent_call(session, request, &reply);
    agent_reply_fini(&reply);
    (void)pthread_mutex_lock(&session->lock);
    agent_async_t *async = waiting_find(session, request->message.number);
    again = false;
    if (async != NULL && err != VESTA_OK) {
      waiting_drop(session, async);
    } else if (async != NULL) {
      again = session->state == AGENT_LINK_UP && session->incarnation != request->sent_on;
      async->sent_on = again ? SENT_BY_ITS_CALLER : request->sent_on;
    }
    (void)pthread_mutex_unlock(&session->lock);
    if (async != NULL && err != VESTA_OK) {
      agent_handle_retain(&async->checkpoint->object); /* that reference stays the caller's */
      agent_async_destroy(async);
      return err;
    }
  }
  return VESTA_OK; /* also when it was answered already */
}

vesta_err_t agent_async_send(agent_session_t *session, wire_message_t *message, SaInvocationT invocation, bool open,
                             agent_checkpoint_t *checkpoint) {
  agent_async_t *async = malloc(sizeof *async);
  if (async == NULL) {
    return VESTA_ERR_NO_MEMORY;
  }
  agent_request_t request = {.message = *message, .deadline_ns = agent_call_limit(), .oneway = true};
  request.message.number = agent_number(session);
  *async = (agent_async_t){.number = request.message.number,
                           .sent_on = SENT_BY_ITS_CALLER,
                           .invocation = invocation,
                           .open = open,
                           .checkpoint = checkpoint};
  vesta_err_t err = agent_frame_encode(&request.message, 0, NULL, 0, &async->frame, &async->frame_bytes);
  if (err != VESTA_OK) {
    free(async);
    return err;
  }
  (void)pthread_mutex_lock(&session->lock);
  bool full = session->async_count >= VESTA_ASYNC_CALLS_MAX;
  if (!full) {
    list_append(&session->async_first, &session->async_last, async);
    session->async_count++;
  }
  (void)pthread_mutex_unlock(&session->lock);
  if (full) {
    free(async->frame);
    free(async);
    return VESTA_ERR_NO_RESOURCES;
  }
  return async_send(session, &request);
}

/* Move those that `which` chooses (NULL: all) out of a list into another. */
static void list_filter(agent_session_t *session, agent_async_t **first, agent_async_t **last,
                        const agent_checkpoint_t *which, agent_async_t **dropped) {
  agent_async_t *next;
  for (agent_async_t *async = *first; async != NULL; async = next) {
    next = async->next;
    if (which == NULL || (!async->open && async->checkpoint == which)) {
      list_remove(first, last, async);
      session->async_count--;
      async->next = *dropped;
      *dropped = async;
    }
  }
}

static void async_drop(agent_session_t *session, const agent_checkpoint_t *which) {
  agent_async_t *dropped = NULL;
  (void)pthread_mutex_lock(&session->lock);
  list_filter(session, &session->async_first, &session->async_last, which, &dropped);
  list_filter(session, &session->ready_first, &session->ready_last, which, &dropped);
  (void)pthread_mutex_unlock(&session->lock);
  while (dropped != NULL) {
    agent_async_t *async = dropped;
    dropped = async->next;
    agent_async_destroy(async);
  }
}

void agent_async_cancel(agent_session_t *session, agent_checkpoint_t *checkpoint) { async_drop(session, checkpoint); }

void agent_async_drop_all(agent_session_t *session) { async_drop(session, NULL); }

vesta_err_t agent_async_resend(agent_session_t *session) {
  for (agent_async_t *async = session->async_first; async != NULL; async = async->next) {
    if (async->sent_on == SENT_BY_ITS_CALLER) {
      continue;
    }
    struct iovec part = {.iov_base = async->frame, .iov_len = async->frame_bytes};
    size_t sent = 0;
    if (agent_frame_send(session->calls.fd, &part, 1, 0, &sent) != VESTA_OK) {
      return VESTA_ERR_TRY_AGAIN;
    }
    async->sent_on = session->incarnation;
  }
  return VESTA_OK;
}

void agent_async_answered(agent_session_t *session, const wire_message_t *message) {
  agent_async_t *async = waiting_find(session, message->number);
  if (async == NULL) {
    return; /* dropped meanwhile, or answered twice after a reconnect */
  }
  list_remove(&session->async_first, &session->async_last, async);
  async->reply = *message;
  async->reply.name = async->reply.id = async->reply.text = vesta_bytes(NULL, 0);
  async->reply.elements = NULL;
  async->reply.element_count = 0;
  list_append(&session->ready_first, &session->ready_last, async);
}

agent_async_t *agent_async_take(agent_session_t *session) {
  agent_async_t *async = session->ready_first;
  if (async != NULL) {
    list_remove(&session->ready_first, &session->ready_last, async);
    session->async_count--;
  }
  return async;
}
