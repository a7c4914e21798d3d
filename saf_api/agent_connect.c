/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The link of a session: made, broken, made again and resumed. See agent_session.h.
 *
 *   connect --> HELLO {token when resuming} + pidfd of this process --> REPLY {token}        link of calls
 *   connect --> HELLO_CALLBACKS {token} --> REPLY                                             link of callbacks
 *
 * The descriptor of this process lets the daemon notice its death even when a forked child keeps the socket open.
 */
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "saf_api/agent_async.h"
#include "saf_api/agent_clock.h"
#include "saf_api/agent_queue.h"
#include "saf_api/agent_spawn.h"
#include "saf_api/agent_stage.h"
#include "saf_api/agent_track.h"

static int64_t pause_ns(uint32_t failures) {
  static const uint8_t pauses_ms[] = {0, 1, 2, 5, 10, 20, 50, VESTA_RECONNECT_MS_MAX};
  size_t last = sizeof pauses_ms - 1;
  return (int64_t)pauses_ms[failures < last ? failures : last] * 1000000;
}

static void link_reset(agent_link_t *link) {
  if (link->fd >= 0) {
    (void)close(link->fd);
    link->fd = -1;
  }
  agent_receiver_reset(&link->receiver);
}

void agent_link_close(agent_session_t *session) {
  agent_dispatch_remove(session);
  agent_queues_link_down(session);
  agent_stage_drop(session);
  link_reset(&session->calls);
  link_reset(&session->events);
}

static void link_down(agent_session_t *session) {
  session->state = AGENT_LINK_DOWN;
  session->retry_at_ns = agent_clock_ns() + pause_ns(session->failures++);
  agent_dispatch_timer(session, session->retry_at_ns);
  agent_calls_wake(session);
}

void agent_link_break(agent_session_t *session) {
  if (session->state != AGENT_LINK_UP) {
    return;
  }
  agent_dispatch_remove(session);
  agent_queues_link_down(session);
  (void)shutdown(session->calls.fd, SHUT_RDWR); /* wakes who reads or sends; closed when they have left */
  link_down(session);
}

bool agent_link_can_connect(const agent_session_t *session, int64_t now_ns) {
  return session->state == AGENT_LINK_DOWN && !session->reading && !session->sending && !session->greeting &&
         now_ns >= session->retry_at_ns;
}

/* ---- one socket: connected and greeted ---- */

/* Send a first message, with a descriptor when there is one. It is small, and the socket is empty. */
static vesta_err_t greeting_send(int fd, const wire_message_t *message, int attached) {
  uint8_t buffer[1024];
  uint8_t *frame;
  size_t frame_bytes;
  vesta_err_t err = agent_frame_encode(message, 0, buffer, sizeof buffer, &frame, &frame_bytes);
  if (err != VESTA_OK) {
    return err;
  }
  VESTA_ASSERT(frame == buffer);
  struct iovec part = {.iov_base = frame, .iov_len = frame_bytes};
  union {
    struct cmsghdr align;
    uint8_t bytes[CMSG_SPACE(sizeof(int))];
  } control = {.bytes = {0}};
  struct msghdr head = {.msg_iov = &part, .msg_iovlen = 1};
  if (attached >= 0) {
    head.msg_control = control.bytes;
    head.msg_controllen = sizeof control.bytes;
    struct cmsghdr *rights = CMSG_FIRSTHDR(&head);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof attached);
    memcpy(CMSG_DATA(rights), &attached, sizeof attached);
  }
  return sendmsg(fd, &head, MSG_NOSIGNAL) == (ssize_t)frame_bytes ? VESTA_OK : VESTA_ERR_TRY_AGAIN;
}

static vesta_err_t greeting_answer(agent_session_t *session, agent_link_t *link, int64_t deadline_ns,
                                   wire_message_t *reply) {
  agent_frame_t frame;
  vesta_err_t err;
  while ((err = agent_receiver_next(&link->receiver, &frame)) == VESTA_ERR_TRY_AGAIN) {
    struct pollfd readable = {.fd = link->fd, .events = POLLIN};
    int64_t left_ms = (deadline_ns - agent_clock_ns()) / 1000000;
    if (left_ms <= 0 || atomic_load(&session->over)) {
      return VESTA_ERR_TRY_AGAIN;
    }
    (void)poll(&readable, 1, left_ms < AGENT_SLICE_MS ? (int)left_ms : AGENT_SLICE_MS);
    if (agent_receiver_fill(&link->receiver, link->fd, MSG_DONTWAIT) == VESTA_ERR_UNAVAILABLE) {
      return VESTA_ERR_TRY_AGAIN; /* it was about to end */
    }
  }
  if (err == VESTA_OK) {
    err = wire_decode(link->decoder, frame.head.data, frame.head.size, reply);
  }
  if (err == VESTA_ERR_MALFORMED || err == VESTA_ERR_TOO_LARGE || (err == VESTA_OK && reply->kind != WIRE_REPLY)) {
    return VESTA_ERR_TRY_AGAIN;
  }
  return err;
}

/* A socket that the daemon has agreed to. What is in `link` afterwards is the caller's to reset, whatever happened. */
static vesta_err_t link_greet(agent_session_t *session, agent_link_t *link, wire_message_t *hello, int attached,
                              int64_t deadline_ns, wire_message_t *reply) {
  vesta_err_t err = agent_endpoint_connect(&session->endpoint, &link->fd);
  if (err == VESTA_ERR_UNAVAILABLE && !atomic_load(&session->ending)) {
    err = agent_spawn(&session->endpoint, deadline_ns, &link->fd);
  }
  if (err != VESTA_OK) {
    return err;
  }
  hello->number = agent_number(session);
  err = greeting_send(link->fd, hello, attached);
  if (err == VESTA_OK) {
    err = greeting_answer(session, link, deadline_ns, reply);
  }
  return err == VESTA_OK ? (vesta_err_t)reply->error : err;
}

static vesta_err_t callbacks_greet(agent_session_t *session, agent_link_t *link, vesta_token_t token,
                                   int64_t deadline_ns) {
  wire_message_t hello = {.kind = WIRE_HELLO_CALLBACKS, .token_hi = token.hi, .token_lo = token.lo};
  wire_message_t reply;
  return link_greet(session, link, &hello, -1, deadline_ns, &reply);
}

/* Without the lock: only the thread that connects touches the links now. */
static vesta_err_t session_greet(agent_session_t *session, vesta_token_t *token, int64_t deadline_ns) {
  wire_message_t hello = {.kind = WIRE_HELLO, .token_hi = token->hi, .token_lo = token->lo, .pid = (uint64_t)getpid()};
  wire_message_t reply;
  int self = (int)syscall(SYS_pidfd_open, getpid(), 0); /* -1: an old kernel, the end of the stream must do */
  vesta_err_t err = link_greet(session, &session->calls, &hello, self, deadline_ns, &reply);
  if (self >= 0) {
    (void)close(self);
  }
  if (err != VESTA_OK) {
    return err;
  }
  if (vesta_token_is_none(wire_token(&reply))) {
    return VESTA_ERR_TRY_AGAIN; /* no session: not a sound daemon */
  }
  *token = wire_token(&reply);
  return agent_session_has_callbacks(session) ? callbacks_greet(session, &session->events, *token, deadline_ns) : err;
}

/* A first greeting that failed half way, or whose answer found no memory, may have begun a session in the daemon. Nobody
 * will ever speak for it: say so before the link goes. */
static void session_disown(agent_session_t *session) {
  if (session->calls.fd >= 0) {
    wire_message_t finalize = {.kind = WIRE_FINALIZE, .number = agent_number(session)};
    (void)greeting_send(session->calls.fd, &finalize, -1);
  }
}

/* The daemon has answered, and will not answer otherwise. */
static bool refused_for_good(vesta_err_t err) {
  return err == VESTA_ERR_BAD_HANDLE || err == VESTA_ERR_DENIED || err == VESTA_ERR_VERSION;
}

vesta_err_t agent_link_connect(agent_session_t *session, int64_t deadline_ns) {
  session->state = AGENT_LINK_CONNECTING;
  agent_dispatch_timer(session, AGENT_NEVER);
  agent_link_close(session);
  vesta_token_t token = session->token;
  (void)pthread_mutex_unlock(&session->lock);
  vesta_err_t err = session_greet(session, &token, deadline_ns);
  (void)pthread_mutex_lock(&session->lock);
  bool known = !vesta_token_is_none(session->token);
  if (err == VESTA_OK) {
    session->token = token;
    session->incarnation++;
    session->state = AGENT_LINK_UP;
    agent_dispatch_add(session);
    agent_queues_link_up(session);
    err = agent_queues_resend(session);
    if (err == VESTA_OK) {
      err = agent_async_resend(session);
    }
    if (err == VESTA_OK) {
      err = agent_track_resend(session);
    }
    if (err != VESTA_OK) {
      agent_link_break(session);
      return err;
    }
    agent_calls_wake(session);
    return VESTA_OK;
  }
  if (!known) {
    session_disown(session);
  }
  agent_link_close(session);
  if (refused_for_good(err) && known) {
    atomic_store(&session->lost, true);
    agent_dispatch_wake(session);
  }
  link_down(session);
  return err;
}

vesta_err_t agent_link_add_callbacks(agent_session_t *session, int64_t deadline_ns) {
  while (session->state == AGENT_LINK_CONNECTING) { /* perhaps without one: it began before there were callbacks */
    struct timespec until = agent_timespec(deadline_ns);
    if (pthread_cond_clockwait(&session->window, &session->lock, CLOCK_MONOTONIC, &until) != 0) {
      return VESTA_ERR_TRY_AGAIN;
    }
  }
  if (session->state != AGENT_LINK_UP || session->events.fd >= 0) {
    return VESTA_OK;
  }
  agent_link_t made = {.fd = -1, .decoder = wire_decoder_new()};
  vesta_err_t err = agent_receiver_init(&made.receiver);
  if (err == VESTA_OK && made.decoder == NULL) {
    err = VESTA_ERR_NO_MEMORY;
  }
  if (err == VESTA_OK) {
    uint64_t incarnation = session->incarnation;
    session->greeting = true; /* nobody connects anew meanwhile: the daemon knows only the last such link */
    (void)pthread_mutex_unlock(&session->lock);
    err = callbacks_greet(session, &made, session->token, deadline_ns);
    (void)pthread_mutex_lock(&session->lock);
    session->greeting = false;
    if (err == VESTA_OK && session->state == AGENT_LINK_UP && session->incarnation == incarnation) {
      agent_link_t none = session->events;
      session->events = made;
      made = none;
      agent_dispatch_add(session);
    }
    agent_calls_wake(session);
  }
  link_reset(&made);
  agent_receiver_fini(&made.receiver);
  wire_decoder_destroy(&made.decoder);
  return err;
}
