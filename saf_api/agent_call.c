/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Calls: a request goes out, its answer comes back, through whatever happens to the link. See agent_session.h.
 *
 * A small request is sent with the lock held, in one sendmsg(2) straight from where its parts lie; a large one is sent
 * without it, so that others can read meanwhile; the payload of a large change goes through shared memory if it can.
 * Receiving is always done without the lock, what came is looked at with it. So an answer is written into a waiting call
 * while that call can't go away.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "saf_api/agent_call.h"
#include "saf_api/agent_clock.h"
#include "saf_api/agent_queue.h"
#include "saf_api/agent_stage.h"

#define SEND_LOCKED_BYTES_MAX 65536U /* a socket takes that much at once */
#define FRAME_BYTES_INLINE 1536U     /* head of the usual request: on the stack */
#define PARTS_INLINE 4U
#define ORPHANS_MAX 1024U

/* An open whose caller went away with TIMEOUT. If its answer brings a handle after all, that is closed. */
typedef struct agent_orphan {
  struct agent_orphan *next;
  uint64_t number;
  uint64_t handle; /* 0: no answer yet */
} agent_orphan_t;

/* Only reads can be asked twice without a trace. */
static bool kind_changes(uint64_t kind) {
  switch (kind) {
    case WIRE_STATUS:
    case WIRE_MAP:
    case WIRE_READ:
    case WIRE_ITERATE:
    case WIRE_STREAM:
    case WIRE_LIST:
    case WIRE_INFO:
    case WIRE_STAGE: return false;
    default: return true;
  }
}

int64_t agent_call_limit(void) { return agent_deadline((int64_t)VESTA_CALL_LIMIT_MS * 1000000); }

/* ---- answers ---- */

void agent_reply_fini(agent_reply_t *reply) {
  if (reply->fd >= 0) {
    (void)close(reply->fd);
    reply->fd = -1;
  }
  free(reply->memory);
  reply->memory = NULL;
}

/* Bytes of the frame become the same bytes of the copy. */
static void bytes_move(vesta_bytes_t *bytes, const uint8_t *from, const uint8_t *to) {
  if (bytes->size != 0) {
    bytes->data = to + (bytes->data - from);
  }
}

/* Keep a decoded message and its frame. The usual small answer needs no memory for that. */
static vesta_err_t reply_take(agent_reply_t *reply, const wire_message_t *message, const agent_frame_t *frame) {
  size_t elements_bytes = message->element_count * sizeof *message->elements;
  uint8_t *head = reply->head;
  wire_element_t *elements = NULL;
  if (frame->head.size > sizeof reply->head || elements_bytes + frame->payload.size > 0) {
    reply->memory = malloc(elements_bytes + frame->head.size + frame->payload.size);
    if (reply->memory == NULL) {
      return VESTA_ERR_NO_MEMORY;
    }
    elements = reply->memory;
    head = (uint8_t *)reply->memory + elements_bytes;
  }
  memcpy(head, frame->head.data, frame->head.size);
  reply->message = *message;
#define REPLY_MOVE_U(field)
#define REPLY_MOVE_I(field)
#define REPLY_MOVE_B(field) bytes_move(&(field), frame->head.data, head);
#define REPLY_MOVE(name, NAME, number, type, max) REPLY_MOVE_##type(reply->message.name)
  WIRE_FIELDS(REPLY_MOVE)
#undef REPLY_MOVE
  reply->message.elements = elements;
  for (uint32_t i = 0; i < message->element_count; i++) {
    elements[i] = message->elements[i];
    bytes_move(&elements[i].id, frame->head.data, head);
  }
  if (frame->payload.size > 0) {
    memcpy(head + frame->head.size, frame->payload.data, frame->payload.size);
    reply->payload = vesta_bytes(head + frame->head.size, frame->payload.size);
  }
  return VESTA_OK;
}

/* ---- opens that nobody waits for ---- */

static void orphan_add(agent_session_t *session, uint64_t number) {
  uint32_t count = 0;
  for (const agent_orphan_t *orphan = session->orphans; orphan != NULL; orphan = orphan->next) {
    count++;
  }
  agent_orphan_t *orphan = count < ORPHANS_MAX ? malloc(sizeof *orphan) : NULL;
  if (orphan != NULL) { /* else the handle stays open until the session ends: a waste, no fault */
    *orphan = (agent_orphan_t){.next = session->orphans, .number = number};
    session->orphans = orphan;
  }
}

void agent_orphans_drop(agent_session_t *session) {
  while (session->orphans != NULL) {
    agent_orphan_t *orphan = session->orphans;
    session->orphans = orphan->next;
    free(orphan);
  }
}

static vesta_err_t post_locked(agent_session_t *session, wire_message_t *message) {
  uint8_t buffer[FRAME_BYTES_INLINE];
  uint8_t *frame;
  size_t frame_bytes;
  if (session->state != AGENT_LINK_UP || session->sending) {
    return VESTA_ERR_TRY_AGAIN;
  }
  message->number = agent_number(session);
  vesta_err_t err = agent_frame_encode(message, 0, buffer, sizeof buffer, &frame, &frame_bytes);
  if (err != VESTA_OK) {
    return err;
  }
  struct iovec part = {.iov_base = frame, .iov_len = frame_bytes};
  size_t sent = 0;
  err = agent_frame_send(session->calls.fd, &part, 1, MSG_DONTWAIT, &sent);
  if (frame != buffer) {
    free(frame);
  }
  if (err == VESTA_ERR_UNAVAILABLE || (err == VESTA_ERR_TRY_AGAIN && sent > 0)) {
    agent_link_break(session); /* half a frame can't be taken back */
    err = VESTA_ERR_TRY_AGAIN;
  }
  return err;
}

/* An answer to a number that nobody waits for. */
static void orphan_answered(agent_session_t *session, const wire_message_t *message) {
  for (agent_orphan_t **at = &session->orphans; *at != NULL;) {
    agent_orphan_t *orphan = *at;
    if (orphan->number == message->number) {
      orphan->handle = message->handle;
    }
    wire_message_t close_it = {.kind = WIRE_CLOSE, .handle = orphan->handle};
    bool refused = orphan->number == message->number && message->error != VESTA_OK;
    if (refused || (orphan->handle != 0 && post_locked(session, &close_it) == VESTA_OK)) {
      *at = orphan->next;
      free(orphan);
    } else {
      at = &orphan->next; /* the link is busy: with a later answer */
    }
  }
}

/* ---- the table of waiting calls ---- */

static agent_call_t **call_bucket(agent_session_t *session, uint64_t number) {
  return &session->waiting[number & (AGENT_CALL_BUCKETS - 1)];
}

void agent_calls_wake(agent_session_t *session) {
  for (size_t i = 0; i < AGENT_CALL_BUCKETS; i++) {
    for (agent_call_t *call = session->waiting[i]; call != NULL; call = call->next) {
      if (call->queue == NULL) {
        (void)pthread_cond_signal(&call->wake);
      }
    }
  }
  agent_queues_wake(session);
  (void)pthread_cond_broadcast(&session->window);
}

/* Another thread that waits for its answer has to read now; or for one of a queue, or for a place in the window. */
static void reading_hand_on(agent_session_t *session) {
  if (session->waiting_count == 0 || session->reading || session->state != AGENT_LINK_UP) {
    return;
  }
  for (size_t i = 0; i < AGENT_CALL_BUCKETS && session->waiting_count > session->queued_count; i++) {
    for (agent_call_t *call = session->waiting[i]; call != NULL; call = call->next) {
      if (call->queue == NULL && !call->answered && call->sent_on == session->incarnation) {
        (void)pthread_cond_signal(&call->wake);
        return;
      }
    }
  }
  if (!agent_queues_read(session)) {
    (void)pthread_cond_broadcast(&session->window);
  }
}

bool agent_window_full(const agent_session_t *session) {
  return session->change_first != NULL &&
         session->change_count - session->change_first->change + 1 >= VESTA_SESSION_WINDOW;
}

void agent_wait_until(agent_session_t *session, pthread_cond_t *wake, int64_t until_ns) {
  if (until_ns == AGENT_NEVER) {
    (void)pthread_cond_wait(wake, &session->lock);
    return;
  }
  struct timespec until = agent_timespec(until_ns);
  (void)pthread_cond_clockwait(wake, &session->lock, CLOCK_MONOTONIC, &until);
}

/* Wait for a place in the window. What is in a queue has no thread that waits for it, so this one looks after it. */
static vesta_err_t window_wait(agent_session_t *session, int64_t deadline_ns) {
  while (agent_window_full(session)) {
    int64_t now_ns = agent_clock_ns();
    if (atomic_load(&session->over) || atomic_load(&session->lost)) {
      return VESTA_ERR_BAD_HANDLE;
    }
    if (now_ns >= deadline_ns) {
      reading_hand_on(session);
      return VESTA_ERR_TRY_AGAIN;
    }
    const agent_call_t *oldest = session->change_first;
    bool pausing = session->state == AGENT_LINK_DOWN && session->retry_at_ns > now_ns;
    if (oldest->queue != NULL && session->state == AGENT_LINK_UP && !session->reading &&
        oldest->sent_on == session->incarnation) {
      agent_call_read(session, deadline_ns, now_ns);
    } else if (oldest->queue != NULL && agent_link_can_connect(session, now_ns)) {
      (void)agent_link_connect(session, deadline_ns);
    } else {
      agent_wait_until(session, &session->window,
                       pausing && session->retry_at_ns < deadline_ns ? session->retry_at_ns : deadline_ns);
    }
  }
  return VESTA_OK;
}

void agent_call_enlist(agent_session_t *session, agent_call_t *call, bool changes) {
  if (changes) {
    call->change = ++session->change_count;
    call->change_previous = session->change_last;
    *(session->change_last != NULL ? &session->change_last->change_next : &session->change_first) = call;
    session->change_last = call;
  }
  agent_call_t **bucket = call_bucket(session, call->number);
  call->next = *bucket;
  *bucket = call;
  session->waiting_count++;
  session->queued_count += call->queue != NULL;
}

static vesta_err_t call_enter(agent_session_t *session, agent_call_t *call) {
  bool changes = kind_changes(call->kind) && !call->oneway;
  vesta_err_t err = changes ? window_wait(session, call->deadline_ns) : VESTA_OK;
  if (err == VESTA_OK) {
    agent_call_enlist(session, call, changes);
  }
  return err;
}

void agent_call_leave(agent_session_t *session, agent_call_t *call) {
  agent_call_t **at = call_bucket(session, call->number);
  while (*at != call) {
    at = &(*at)->next;
  }
  *at = call->next;
  session->waiting_count--;
  session->queued_count -= call->queue != NULL;
  if (call->change != 0) {
    *(call->change_previous != NULL ? &call->change_previous->change_next : &session->change_first) = call->change_next;
    *(call->change_next != NULL ? &call->change_next->change_previous : &session->change_last) = call->change_previous;
    (void)pthread_cond_broadcast(&session->window);
  }
  if (call->kind == WIRE_OPEN && !call->oneway && call->sent && !call->answered) {
    orphan_add(session, call->number);
  }
  reading_hand_on(session);
}

/* ---- receiving ---- */

static void call_answer(agent_session_t *session, agent_call_t *call, const wire_message_t *message,
                        const agent_frame_t *frame) {
  call->err = reply_take(call->reply, message, frame);
  if (call->err == VESTA_OK && message->kind == WIRE_REPLY && message->error == VESTA_OK &&
      (call->kind == WIRE_MAP || call->kind == WIRE_STAGE)) {
    call->reply->fd = agent_receiver_fd(&session->calls.receiver);
  }
  call->answered = true;
  (void)pthread_cond_signal(&call->wake);
}

/* There was no memory for what comes: those who only ask give up, the link is made anew for the others. */
static void calls_starve(agent_session_t *session) {
  for (size_t i = 0; i < AGENT_CALL_BUCKETS; i++) {
    for (agent_call_t *call = session->waiting[i]; call != NULL; call = call->next) {
      if (call->change == 0 && !call->answered) {
        call->answered = true;
        call->err = VESTA_ERR_NO_MEMORY;
      }
    }
  }
}

/* Everything that has come whole goes to whom it belongs. */
static void frames_take(agent_session_t *session) {
  vesta_err_t err;
  agent_frame_t frame;
  while ((err = agent_receiver_next(&session->calls.receiver, &frame)) == VESTA_OK) {
    wire_message_t message;
    err = wire_decode(session->calls.decoder, frame.head.data, frame.head.size, &message);
    if (err != VESTA_OK || message.kind != WIRE_REPLY) {
      break;
    }
    agent_stage_release(session, message.number);
    agent_call_t *call = *call_bucket(session, message.number);
    while (call != NULL && call->number != message.number) {
      call = call->next;
    }
    if (call != NULL && !call->answered) {
      session->failures = 0;
      if (call->queue != NULL) {
        agent_queue_answered(session, call, &message);
      } else {
        call_answer(session, call, &message, &frame);
      }
    } else if (session->orphans != NULL) {
      orphan_answered(session, &message);
    }
  }
  agent_receiver_drop_fds(&session->calls.receiver);
  if (err == VESTA_ERR_NO_MEMORY) {
    calls_starve(session);
  }
  if (err != VESTA_ERR_TRY_AGAIN) {
    agent_link_break(session);
  }
}

void agent_call_read(agent_session_t *session, int64_t deadline_ns, int64_t now_ns) {
  uint64_t incarnation = session->incarnation;
  int fd = session->calls.fd;
  session->reading = true;
  (void)pthread_mutex_unlock(&session->lock);
  int flags = 0;
  if (deadline_ns - now_ns < AGENT_SLICE_MS * 1000000LL) { /* the socket's own timeout would be too long */
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    struct timespec left = agent_timespec(deadline_ns - now_ns);
    (void)ppoll(&readable, 1, &left, NULL);
    flags = MSG_DONTWAIT;
  }
  vesta_err_t err = agent_receiver_fill(&session->calls.receiver, fd, flags);
  (void)pthread_mutex_lock(&session->lock);
  session->reading = false;
  if (session->state != AGENT_LINK_UP || session->incarnation != incarnation) {
    agent_calls_wake(session); /* broken meanwhile: whoever connects anew waited for this */
  } else if (err == VESTA_ERR_UNAVAILABLE) {
    agent_link_break(session);
  } else if (err == VESTA_OK) {
    frames_take(session);
  }
}

/* ---- sending ---- */

void agent_call_send(agent_session_t *session, agent_call_t *call) {
  uint64_t incarnation = session->incarnation;
  int fd = session->calls.fd;
  size_t sent = 0;
  bool staged = call->staged_on == incarnation;
  const struct iovec *parts = staged ? &call->staged : call->parts;
  size_t part_count = staged ? 1 : call->part_count;
  vesta_err_t err = VESTA_ERR_TRY_AGAIN;
  if (staged || call->bytes <= SEND_LOCKED_BYTES_MAX || call->queue != NULL) {
    err = agent_frame_send(fd, parts, part_count, MSG_DONTWAIT, &sent);
  }
  if (err == VESTA_ERR_TRY_AGAIN && (sent > 0 || call->queue == NULL)) {
    session->sending = true;
    (void)pthread_mutex_unlock(&session->lock);
    do {
      err = agent_frame_send(fd, parts, part_count, 0, &sent);
    } while (err == VESTA_ERR_TRY_AGAIN && agent_clock_ns() < call->deadline_ns && !atomic_load(&session->over));
    (void)pthread_mutex_lock(&session->lock);
    session->sending = false;
    agent_calls_wake(session); /* who wants to send, or to connect anew */
  }
  if (err == VESTA_OK) {
    call->sent_again = call->sent;
    call->sent = true;
    call->sent_on = incarnation;
  } else if (session->state == AGENT_LINK_UP && (err != VESTA_ERR_TRY_AGAIN || sent > 0)) {
    agent_link_break(session); /* half a frame can't be taken back */
  }
}

/* ---- the call ---- */

static vesta_err_t call_run(agent_session_t *session, agent_call_t *call) {
  while (!call->answered) {
    if (atomic_load(&session->over) || atomic_load(&session->lost)) {
      return VESTA_ERR_BAD_HANDLE;
    }
    bool up = session->state == AGENT_LINK_UP;
    bool out = up && call->sent_on == session->incarnation;
    if (up && !out && !session->sending) {
      agent_call_send(session, call);
      if (call->oneway && call->sent) {
        return VESTA_OK;
      }
    }
    int64_t now_ns = agent_clock_ns();
    if (call->answered) { /* read by another thread while this one was sending */
      break;
    }
    if (now_ns >= call->deadline_ns) {
      return call->sent ? VESTA_ERR_TIMEOUT : VESTA_ERR_TRY_AGAIN;
    }
    up = session->state == AGENT_LINK_UP;
    out = up && call->sent_on == session->incarnation;
    if (out && !session->reading) {
      agent_call_read(session, call->deadline_ns, now_ns);
    } else if (agent_link_can_connect(session, now_ns)) {
      (void)agent_link_connect(session, call->deadline_ns);
    } else if (out || !up || session->sending) {
      bool pausing = session->state == AGENT_LINK_DOWN && session->retry_at_ns > now_ns;
      agent_wait_until(session, &call->wake,
                       pausing && session->retry_at_ns < call->deadline_ns ? session->retry_at_ns : call->deadline_ns);
    }
  }
  if (call->kind == WIRE_CHANGE && call->sent_again && call->err == VESTA_ERR_BAD_HANDLE) {
    return VESTA_ERR_TIMEOUT; /* another thread's close overtook it, and took the stored answer along */
  }
  return call->err;
}

/* Prefix and head, then the payload's parts. */
static vesta_err_t call_parts(agent_call_t *call, const agent_request_t *request, struct iovec *inline_parts,
                              uint8_t *buffer, struct iovec **parts, uint8_t **frame) {
  size_t payload_bytes = 0;
  for (size_t i = 0; i < request->payload_parts; i++) {
    payload_bytes += request->payload[i].iov_len;
  }
  size_t frame_bytes;
  *parts = inline_parts;
  if (request->payload_parts + 1 > PARTS_INLINE) {
    *parts = malloc((request->payload_parts + 1) * sizeof **parts);
    if (*parts == NULL) {
      return VESTA_ERR_NO_MEMORY;
    }
  }
  vesta_err_t err =
      agent_frame_encode(&request->message, payload_bytes, buffer, FRAME_BYTES_INLINE, frame, &frame_bytes);
  if (err != VESTA_OK) {
    if (*parts != inline_parts) {
      free(*parts);
    }
    return err;
  }
  (*parts)[0] = (struct iovec){.iov_base = *frame, .iov_len = frame_bytes};
  if (request->payload_parts > 0) {
    memcpy(*parts + 1, request->payload, request->payload_parts * sizeof **parts);
  }
  call->parts = *parts;
  call->part_count = request->payload_parts + 1;
  call->bytes = frame_bytes + payload_bytes;
  return VESTA_OK;
}

/* Put the payload of a large change where the daemon sees it, and make a frame that says where. Without that it goes
 * through the socket, so nothing here can fail. */
static void call_stage(agent_session_t *session, const agent_request_t *request, agent_call_t *call, uint8_t *buffer) {
  size_t bytes = call->bytes - call->parts[0].iov_len;
  if (call->kind != WIRE_CHANGE || !agent_stage_suits(bytes)) {
    return;
  }
  agent_stage_get(session, call->deadline_ns);
  wire_message_t message = request->message;
  message.size = bytes;
  uint64_t on =
      agent_stage_put(session, call->number, request->payload, request->payload_parts, bytes, &message.offset);
  uint8_t *frame;
  size_t frame_bytes;
  if (on != 0 && agent_frame_encode(&message, 0, buffer, FRAME_BYTES_INLINE, &frame, &frame_bytes) == VESTA_OK) {
    call->staged = (struct iovec){.iov_base = frame, .iov_len = frame_bytes};
    call->staged_on = on;
  }
}

/* It has left: what it had there is free, unless the daemon may still read it. With the lock. */
static void call_unstage(agent_session_t *session, agent_call_t *call, const uint8_t *buffer) {
  if (call->sent_on == 0 || call->sent_on != call->staged_on) {
    agent_stage_release(session, call->number);
  }
  if (call->staged.iov_base != buffer) {
    free(call->staged.iov_base);
  }
}

vesta_err_t agent_call(agent_session_t *session, agent_request_t *request, agent_reply_t *reply) {
  if (request->message.number == 0) {
    request->message.number = agent_number(session);
  }
  reply->message.kind = 0;
  reply->payload = vesta_bytes(NULL, 0);
  reply->fd = -1;
  reply->memory = NULL;
  agent_call_t call = {.number = request->message.number,
                       .kind = request->message.kind,
                       .deadline_ns = request->deadline_ns,
                       .oneway = request->oneway,
                       .wake = PTHREAD_COND_INITIALIZER,
                       .reply = reply};
  uint8_t buffer[FRAME_BYTES_INLINE];
  struct iovec inline_parts[PARTS_INLINE];
  uint8_t *frame;
  struct iovec *parts;
  vesta_err_t err = call_parts(&call, request, inline_parts, buffer, &parts, &frame);
  if (err != VESTA_OK) {
    return err;
  }
  uint8_t staged_buffer[FRAME_BYTES_INLINE];
  call_stage(session, request, &call, staged_buffer);
  (void)pthread_mutex_lock(&session->lock);
  err = call_enter(session, &call);
  if (err == VESTA_OK) {
    err = call_run(session, &call);
    agent_call_leave(session, &call);
  }
  call_unstage(session, &call, staged_buffer);
  (void)pthread_mutex_unlock(&session->lock);
  (void)pthread_cond_destroy(&call.wake);
  request->sent_on = call.sent_on;
  if (frame != buffer) {
    free(frame);
  }
  if (parts != inline_parts) {
    free(parts);
  }
  return err == VESTA_OK && call.answered ? (vesta_err_t)reply->message.error : err;
}

vesta_err_t agent_post(agent_session_t *session, wire_message_t *message) {
  (void)pthread_mutex_lock(&session->lock);
  vesta_err_t err = post_locked(session, message);
  (void)pthread_mutex_unlock(&session->lock);
  return err == VESTA_OK ? VESTA_OK : VESTA_ERR_TRY_AGAIN;
}
