/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The selection object and the dispatching of callbacks. See agent_dispatch.h.
 */
#include "saf_api/agent_dispatch.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "saf_api/agent_async.h"
#include "saf_api/agent_checkpoint.h"
#include "saf_api/agent_clock.h"
#include "saf_api/agent_track.h"
#include "saf_api/sa_error.h"

#define CONNECT_LIMIT_NS 200000000LL /* a dispatch that finds the link down waits this long for the daemon's greeting */
#define FILLS_MAX 64U /* of the receive buffer in one dispatch, so that a flood of callbacks gets its turn */

/* ---- the selection object ---- */

static bool selection_add(const agent_session_t *session, int fd) {
  struct epoll_event event = {.events = EPOLLIN, .data = {.fd = fd}};
  return epoll_ctl(session->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

static void selection_close(agent_session_t *session) {
  int *fds[] = {&session->epoll_fd, &session->wake_fd, &session->timer_fd};
  for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
    if (*fds[i] >= 0) {
      (void)close(*fds[i]);
      *fds[i] = -1;
    }
  }
}

static vesta_err_t selection_make(agent_session_t *session) {
  session->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  session->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  session->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  session->wake_set = false;
  if (session->epoll_fd < 0 || session->wake_fd < 0 || session->timer_fd < 0 ||
      !selection_add(session, session->wake_fd) || !selection_add(session, session->timer_fd)) {
    selection_close(session);
    return VESTA_ERR_NO_RESOURCES;
  }
  if (session->state == AGENT_LINK_UP) {
    agent_dispatch_add(session);
  } else {
    agent_dispatch_timer(session, session->retry_at_ns);
  }
  agent_dispatch_wake(session);
  return VESTA_OK;
}

vesta_err_t agent_dispatch_selection(agent_session_t *session, int *fd) {
  (void)pthread_mutex_lock(&session->lock);
  vesta_err_t err = session->epoll_fd >= 0 ? VESTA_OK : selection_make(session);
  if (err == VESTA_OK) {
    *fd = session->epoll_fd;
  }
  (void)pthread_mutex_unlock(&session->lock);
  return err;
}

void agent_dispatch_add(agent_session_t *session) {
  if (session->epoll_fd >= 0 && session->events.fd >= 0) {
    (void)selection_add(session, session->events.fd);
  }
}

void agent_dispatch_remove(agent_session_t *session) {
  if (session->epoll_fd >= 0 && session->events.fd >= 0) {
    (void)epoll_ctl(session->epoll_fd, EPOLL_CTL_DEL, session->events.fd, NULL);
  }
}

void agent_dispatch_timer(agent_session_t *session, int64_t at_ns) {
  if (session->timer_fd < 0 || (at_ns != AGENT_NEVER && !agent_session_has_callbacks(session))) {
    return;
  }
  struct itimerspec when = {.it_value = {0}};
  if (at_ns != AGENT_NEVER) {
    when.it_value = agent_timespec(at_ns > 0 ? at_ns : 1); /* zero would disarm it */
  }
  (void)timerfd_settime(session->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

void agent_dispatch_wake(agent_session_t *session) {
  bool wanted = session->ready_first != NULL || session->tracked_first != NULL || atomic_load(&session->over) ||
                atomic_load(&session->lost);
  uint64_t count = 1;
  if (session->wake_fd < 0 || wanted == session->wake_set) {
    return;
  }
  if (wanted) {
    (void)!write(session->wake_fd, &count, sizeof count);
  } else {
    (void)!read(session->wake_fd, &count, sizeof count);
  }
  session->wake_set = wanted;
}

vesta_err_t agent_dispatch_wait(agent_session_t *session) {
  int fd;
  vesta_err_t err = agent_dispatch_selection(session, &fd);
  if (err != VESTA_OK) {
    return err;
  }
  struct epoll_event event;
  if (epoll_wait(fd, &event, 1, -1) < 0 && errno != EINTR) {
    return VESTA_ERR_NO_RESOURCES;
  }
  return VESTA_OK;
}

/* ---- what came ---- */

static vesta_err_t events_parse(agent_session_t *session) {
  agent_frame_t frame;
  vesta_err_t err;
  while ((err = agent_receiver_next(&session->events.receiver, &frame)) == VESTA_OK) {
    wire_message_t message;
    err = wire_decode(session->events.decoder, frame.head.data, frame.head.size, &message);
    if (err == VESTA_OK && message.kind == WIRE_CALLBACK) {
      agent_async_answered(session, &message);
    } else if (err == VESTA_OK && message.kind == WIRE_TRACKED) {
      err = agent_track_arrived(session, &message);
    } else {
      err = VESTA_ERR_MALFORMED;
    }
    if (err != VESTA_OK) {
      return err;
    }
  }
  agent_receiver_drop_fds(&session->events.receiver);
  return err;
}

/* Read what is there, without waiting; with the lock held. */
static void events_read(agent_session_t *session) {
  int64_t now_ns = agent_clock_ns();
  if (session->state == AGENT_LINK_DOWN) {
    if (!agent_session_has_callbacks(session) || !agent_link_can_connect(session, now_ns)) {
      agent_dispatch_timer(session, session->retry_at_ns > now_ns ? session->retry_at_ns : now_ns + 1000000);
      return;
    }
    (void)agent_link_connect(session, now_ns + CONNECT_LIMIT_NS);
  }
  vesta_err_t err = VESTA_OK;
  for (uint32_t i = 0; i < FILLS_MAX && err == VESTA_OK; i++) {
    if (session->state != AGENT_LINK_UP || session->events.fd < 0) {
      return;
    }
    err = agent_receiver_fill(&session->events.receiver, session->events.fd, MSG_DONTWAIT);
    if (err == VESTA_OK) {
      err = events_parse(session);
      err = err == VESTA_ERR_TRY_AGAIN ? VESTA_OK : err;
    }
  }
  if (err != VESTA_OK && err != VESTA_ERR_TRY_AGAIN) {
    agent_link_break(session);
  }
}

/* ---- callbacks ---- */

static void open_callback(const agent_session_t *session, agent_async_t *async) {
  vesta_err_t err = (vesta_err_t)async->reply.error;
  if (err == VESTA_OK) {
    agent_checkpoint_opened(async->checkpoint, &async->reply);
  }
  SaCkptCheckpointHandleT handle = err == VESTA_OK ? async->checkpoint->object.handle : 0;
  SaCkptCheckpointOpenCallbackT callback = session->callbacks.saCkptCheckpointOpenCallback;
  SaInvocationT invocation = async->invocation;
  agent_async_destroy(async);
  callback(invocation, handle, sa_error(err));
}

static void synchronize_callback(const agent_session_t *session, agent_async_t *async) {
  SaCkptCheckpointSynchronizeCallbackT callback = session->callbacks.saCkptCheckpointSynchronizeCallback;
  SaInvocationT invocation = async->invocation;
  vesta_err_t err = (vesta_err_t)async->reply.error;
  agent_async_destroy(async);
  callback(invocation, sa_error(err));
}

bool agent_dispatch_one(agent_session_t *session) {
  (void)pthread_mutex_lock(&session->lock);
  if (session->ready_first == NULL && session->tracked_first == NULL) {
    events_read(session);
  }
  agent_async_t *async = agent_async_take(session); /* first: an open comes before the changes it is told of */
  agent_tracked_t *tracked = async == NULL ? agent_track_take(session) : NULL;
  agent_dispatch_wake(session);
  (void)pthread_mutex_unlock(&session->lock);
  if (tracked != NULL) {
    agent_track_callback(tracked);
    return true;
  }
  if (async == NULL) {
    return false;
  }
  if (async->open) {
    open_callback(session, async);
  } else {
    synchronize_callback(session, async);
  }
  return true;
}
