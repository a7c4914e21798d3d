/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The life of a session. See agent_session.h.
 */
#include "saf_api/agent_session.h"

#include <stdlib.h>
#include <unistd.h>

#include "saf_api/agent_async.h"
#include "saf_api/agent_checkpoint.h"
#include "saf_api/agent_clock.h"
#include "saf_api/agent_track.h"

static void session_free(agent_session_t *session) {
  agent_orphans_drop(session);
  agent_link_close(session);
  agent_receiver_fini(&session->calls.receiver);
  agent_receiver_fini(&session->events.receiver);
  wire_decoder_destroy(&session->calls.decoder);
  wire_decoder_destroy(&session->events.decoder);
  int fds[] = {session->epoll_fd, session->wake_fd, session->timer_fd};
  for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
    if (fds[i] >= 0) {
      (void)close(fds[i]);
    }
  }
  (void)pthread_mutex_destroy(&session->track_lock);
  (void)pthread_cond_destroy(&session->window);
  (void)pthread_mutex_destroy(&session->lock);
  free(session);
}

static void session_destroy(agent_object_t *object) { session_free((agent_session_t *)object); }

/* Connect for the first time. A daemon that is busy or about to end is tried again, one that is not there is not. */
static vesta_err_t session_connect(agent_session_t *session) {
  int64_t deadline_ns = agent_call_limit();
  vesta_err_t err;
  (void)pthread_mutex_lock(&session->lock);
  while ((err = agent_link_connect(session, deadline_ns)) == VESTA_ERR_TRY_AGAIN && agent_clock_ns() < deadline_ns) {
    struct timespec until = agent_timespec(session->retry_at_ns);
    (void)pthread_cond_clockwait(&session->window, &session->lock, CLOCK_MONOTONIC, &until);
  }
  (void)pthread_mutex_unlock(&session->lock);
  return err;
}

vesta_err_t agent_session_new(const SaCkptCallbacksT_2 *callbacks, bool version_b1, agent_session_t **out) {
  agent_session_t *session = malloc(sizeof *session);
  if (session == NULL) {
    return VESTA_ERR_NO_MEMORY;
  }
  *session = (agent_session_t){.object = {.kind = AGENT_LIBRARY, .destroy = session_destroy},
                               .version_b1 = version_b1,
                               .lock = PTHREAD_MUTEX_INITIALIZER,
                               .track_lock = PTHREAD_MUTEX_INITIALIZER,
                               .window = PTHREAD_COND_INITIALIZER,
                               .calls = {.fd = -1},
                               .events = {.fd = -1},
                               .epoll_fd = -1,
                               .wake_fd = -1,
                               .timer_fd = -1};
  if (callbacks != NULL) {
    session->callbacks = *callbacks;
  }
  session->calls.decoder = wire_decoder_new();
  session->events.decoder = wire_decoder_new();
  vesta_err_t err = agent_receiver_init(&session->calls.receiver);
  if (agent_receiver_init(&session->events.receiver) != VESTA_OK || session->calls.decoder == NULL ||
      session->events.decoder == NULL) {
    err = VESTA_ERR_NO_MEMORY;
  }
  if (err == VESTA_OK) {
    err = agent_endpoint_find(&session->endpoint);
  }
  if (err == VESTA_OK) {
    err = agent_handle_new(&session->object);
  }
  if (err != VESTA_OK) {
    session_free(session);
    return err;
  }
  err = session_connect(session);
  if (err != VESTA_OK) {
    agent_session_release(session);
    return err;
  }
  *out = session;
  return VESTA_OK;
}

agent_session_t *agent_session_acquire(SaCkptHandleT handle) {
  agent_session_t *session = (agent_session_t *)agent_handle_acquire(handle, AGENT_LIBRARY);
  if (session != NULL && atomic_load(&session->lost)) {
    agent_session_release(session);
    return NULL;
  }
  return session;
}

/* Close the handles of everything opened through it; what is in use goes when its user leaves. */
static void session_close_children(agent_session_t *session) {
  agent_checkpoint_t *found;
  do {
    found = NULL;
    (void)pthread_mutex_lock(&session->lock);
    for (agent_checkpoint_t *c = session->checkpoints; c != NULL && found == NULL; c = c->next) {
      found = (agent_checkpoint_t *)agent_handle_acquire(c->object.handle, AGENT_CHECKPOINT);
    }
    (void)pthread_mutex_unlock(&session->lock);
    if (found != NULL) {
      agent_checkpoint_shut(found);
      agent_checkpoint_release(found);
    }
  } while (found != NULL);
}

void agent_session_end(agent_session_t *session) {
  atomic_store(&session->ending, true);
  session_close_children(session);
  if (!atomic_load(&session->lost)) {
    agent_request_t request = {.message = {.kind = WIRE_FINALIZE},
                               .deadline_ns = agent_deadline((int64_t)VESTA_FINALIZE_LIMIT_MS * 1000000)};
    agent_reply_t reply;
    (void)agent_call(session, &request, &reply); /* a daemon that is away learns of it when the process ends */
    agent_reply_fini(&reply);
  }
  atomic_store(&session->over, true);
  (void)pthread_mutex_lock(&session->lock);
  agent_link_break(session);
  agent_calls_wake(session);
  agent_dispatch_wake(session);
  (void)pthread_mutex_unlock(&session->lock);
  agent_async_drop_all(session); /* what they wait for holds references on the session */
  agent_track_drop_all(session);
}
