/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Changes whose answers are fetched later. See agent_queue.h.
 */
#include "saf_api/agent_queue.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "saf_api/agent_call.h"
#include "saf_api/agent_checkpoint.h"
#include "saf_api/agent_clock.h"
#include "saf_api/agent_extension.h"
#include "saf_api/agent_stage.h"

#define SEND_AGAIN_NS 1000000LL      /* a socket that took nothing is tried again after so long */
#define HOLD_FROM 32U                /* so many under way: more are held back until there is a group of them */
#define GROUP_MAX 16U                /* sent together, at most; HOLD_FROM and they are within VESTA_SESSION_WINDOW */
#define GROUP_BYTES_MAX 65536U       /* the same; a socket takes that much at once. A larger one goes alone */
#define CONNECT_LIMIT_NS 200000000LL /* a call that need not wait waits this long for the daemon's greeting */

#define QUEUED_PARTS 2U /* prefix and head; payload */

typedef struct agent_queued {
  agent_call_t call; /* first: one is found by its call */
  struct agent_queued *next;
  uint64_t invocation;
  uint32_t element_count;
  vesta_agent_outcome_t outcome;
  uint8_t *frame;
  void *payload;
  struct iovec parts[QUEUED_PARTS];
} agent_queued_t;

typedef struct agent_queue {
  struct agent_queue *next; /* of the session's */
  agent_checkpoint_t *checkpoint;
  pid_t owner;                  /* a forked child is another */
  agent_queued_t *first, *last; /* oldest first */
  agent_queued_t *unsent;       /* all before it went out on this link, or are answered; NULL: all */
  uint32_t held;                /* of the unsent ones, those whose sending was not tried yet */
  uint32_t count;
  uint64_t bytes;
  int epoll_fd, event_fd, timer_fd;
  bool raised;      /* event_fd is readable */
  bool waits;       /* a thread does, for `wake` */
  bool wants_stage; /* a large payload found no memory that is shared with the daemon, or no room in it */
  pthread_cond_t wake;
} agent_queue_t;

/* ---- the descriptor ---- */

static void queue_raise(agent_queue_t *queue) {
  if (!queue->raised) {
    (void)eventfd_write(queue->event_fd, 1);
    queue->raised = true;
  }
  if (queue->waits) {
    (void)pthread_cond_signal(&queue->wake);
  }
}

static void queue_timer(const agent_queue_t *queue, int64_t at_ns) {
  struct itimerspec when = {.it_value = {0}};
  if (at_ns != AGENT_NEVER) {
    when.it_value = agent_timespec(at_ns > 0 ? at_ns : 1); /* zero would disarm it */
  }
  (void)timerfd_settime(queue->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

static bool queue_watch(const agent_queue_t *queue, int fd) {
  struct epoll_event event = {.events = EPOLLIN, .data = {.fd = fd}};
  return epoll_ctl(queue->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

void agent_queues_link_up(agent_session_t *session) {
  for (agent_queue_t *queue = session->queues; queue != NULL; queue = queue->next) {
    (void)queue_watch(queue, session->calls.fd);
    queue->unsent = queue->first;
    queue->held = 0;
  }
}

void agent_queues_link_down(agent_session_t *session) {
  for (agent_queue_t *queue = session->queues; queue != NULL && session->calls.fd >= 0; queue = queue->next) {
    (void)epoll_ctl(queue->epoll_fd, EPOLL_CTL_DEL, session->calls.fd, NULL);
  }
}

void agent_queues_wake(agent_session_t *session) {
  bool ends = atomic_load(&session->over) || atomic_load(&session->lost);
  for (agent_queue_t *queue = session->queues; queue != NULL; queue = queue->next) {
    if (queue->count > 0 || ends) {
      queue_raise(queue);
    }
  }
}

bool agent_queues_read(agent_session_t *session) {
  agent_queue_t *queue = session->queues;
  while (queue != NULL && !queue->waits) {
    queue = queue->next;
  }
  if (queue != NULL) {
    (void)pthread_cond_signal(&queue->wake);
  }
  return queue != NULL;
}

/* Nothing to be had now: when is there something to do again that nobody will tell of? */
static void queue_rest(agent_session_t *session, agent_queue_t *queue) {
  int64_t at_ns = AGENT_NEVER;
  if (queue->first != NULL && session->state == AGENT_LINK_DOWN) {
    at_ns = session->retry_at_ns;
  } else if (queue->last != NULL && session->state == AGENT_LINK_UP && !session->sending &&
             queue->last->call.sent_on != session->incarnation) {
    at_ns = agent_clock_ns() + SEND_AGAIN_NS;
  }
  queue_timer(queue, at_ns);
  if (queue->raised) {
    eventfd_t value;
    (void)eventfd_read(queue->event_fd, &value);
    queue->raised = false;
  }
}

/* ---- answers ---- */

/* Is it about one element? */
static bool error_has_element(uint64_t err) {
  return err == VESTA_ERR_INVALID_PARAM || err == VESTA_ERR_NOT_EXIST || err == VESTA_ERR_EXIST ||
         err == VESTA_ERR_NO_RESOURCES || err == VESTA_ERR_NO_SPACE || err == VESTA_ERR_CHANGED;
}

static vesta_agent_outcome_t outcome_of(const wire_message_t *reply, uint32_t element_count) {
  vesta_agent_outcome_t outcome = {.error = vesta_agent_error((vesta_err_t)reply->error),
                                   .element = VESTA_AGENT_NO_ELEMENT};
  if (reply->error == VESTA_OK) {
    outcome.position = wire_pos(reply);
  } else if (error_has_element(reply->error) && reply->element < element_count) {
    outcome.element = (uint32_t)reply->element;
  }
  return outcome;
}

void agent_queue_answered(agent_session_t *session, agent_call_t *call, const wire_message_t *message) {
  agent_queued_t *queued = (agent_queued_t *)call;
  agent_queue_t *queue = call->queue;
  queued->outcome = outcome_of(message, queued->element_count);
  if (message->error == VESTA_ERR_BAD_HANDLE && call->sent_again) {
    queued->outcome.error =
        SA_AIS_ERR_TIMEOUT; /* as in agent_call.c: its stored answer may have gone with the handle */
  }
  call->answered = true;
  agent_call_leave(session, call);
  if (queue->first == queued) {
    queue_raise(queue);
  }
}

/* ---- sending ---- */

/* The next ones, at `from` and up to `*end`, as one call without an answer of its own. */
static agent_call_t queue_group(const agent_session_t *session, agent_queued_t *from, struct iovec *parts,
                                agent_queued_t **group_calls, uint32_t *count, agent_queued_t **end) {
  agent_call_t group = {.parts = parts, .queue = from->call.queue, .deadline_ns = agent_call_limit()};
  *count = 0;
  for (*end = from; *end != NULL && *count < GROUP_MAX; *end = (*end)->next) {
    const agent_call_t *call = &(*end)->call;
    if (call->answered || call->sent_on == session->incarnation) {
      continue;
    }
    bool staged = call->staged_on == session->incarnation;
    size_t bytes = staged ? call->staged.iov_len : call->bytes;
    if (*count > 0 && group.bytes + bytes > GROUP_BYTES_MAX) {
      break;
    }
    size_t part_count = staged ? 1 : call->part_count;
    memcpy(parts + group.part_count, staged ? &call->staged : call->parts, part_count * sizeof *parts);
    group.part_count += part_count;
    group.bytes += bytes;
    group_calls[(*count)++] = *end;
  }
  return group;
}

/* Send the next ones in one system call. While that waits for the socket to take the rest, the first ones may be
 * answered, and the link may be lost and made anew: so all count as sent from before on.
 * @return false: nothing went, or the link is lost */
static bool queue_send_group(agent_session_t *session, agent_queue_t *queue) {
  struct iovec parts[GROUP_MAX * QUEUED_PARTS];
  agent_queued_t *calls[GROUP_MAX];
  agent_queued_t *end;
  uint32_t count;
  uint64_t incarnation = session->incarnation;
  agent_call_t group = queue_group(session, queue->unsent, parts, calls, &count, &end);
  for (uint32_t i = 0; i < count; i++) {
    calls[i]->call.sent_again = calls[i]->call.sent;
    calls[i]->call.sent = true;
  }
  if (count > 0) {
    agent_call_send(session, &group);
  }
  if (session->state != AGENT_LINK_UP || session->incarnation != incarnation) {
    return false;
  }
  bool went = count == 0 || group.sent;
  for (uint32_t i = 0; i < count; i++) {
    calls[i]->call.sent = went || calls[i]->call.sent_again;
    calls[i]->call.sent_on = went ? incarnation : calls[i]->call.sent_on;
  }
  queue->unsent = went ? end : queue->unsent;
  return went;
}

/* As far as the link takes it. */
static void queue_flush(agent_session_t *session, agent_queue_t *queue) {
  queue->held = 0;
  while (queue->unsent != NULL && session->state == AGENT_LINK_UP && !session->sending &&
         queue_send_group(session, queue)) {
  }
}

vesta_err_t agent_queues_resend(agent_session_t *session) {
  int64_t deadline_ns = agent_call_limit();
  for (agent_queue_t *queue = session->queues; queue != NULL; queue = queue->next) {
    for (agent_queued_t *queued = queue->first; queued != NULL; queued = queued->next) {
      agent_call_t *call = &queued->call;
      size_t sent = 0;
      vesta_err_t err = call->answered ? VESTA_OK : VESTA_ERR_TRY_AGAIN;
      while (err == VESTA_ERR_TRY_AGAIN && agent_clock_ns() < deadline_ns && !atomic_load(&session->over)) {
        err = agent_frame_send(session->calls.fd, call->parts, call->part_count, 0, &sent);
      }
      if (err != VESTA_OK) {
        return err;
      }
      call->sent_again = call->sent;
      call->sent = true;
      call->sent_on = session->incarnation;
    }
  }
  return VESTA_OK;
}

static void queued_destroy(agent_queued_t *queued) {
  (void)pthread_cond_destroy(&queued->call.wake);
  free(queued->frame);
  free(queued->call.staged.iov_base);
  free(queued->payload);
  free(queued);
}

bool vesta_agent_queue_is_full(const vesta_agent_queue_t *queue) {
  return queue->count >= VESTA_SESSION_WINDOW || queue->bytes >= VESTA_WRITER_BYTES_MAX;
}

static vesta_err_t queue_append(agent_session_t *session, agent_queue_t *queue, agent_queued_t *queued) {
  if (atomic_load(&session->over) || atomic_load(&session->lost)) {
    return VESTA_ERR_BAD_HANDLE;
  }
  if (vesta_agent_queue_is_full(queue) || agent_window_full(session)) {
    return VESTA_ERR_TRY_AGAIN;
  }
  queued->call.queue = queue;
  agent_call_enlist(session, &queued->call, true);
  *(queue->last != NULL ? &queue->last->next : &queue->first) = queued;
  queue->last = queued;
  queue->unsent = queue->unsent != NULL ? queue->unsent : queued;
  queue->count++;
  queue->bytes += queued->call.bytes;
  queue->held++;
  if (queue->held == GROUP_MAX || session->waiting_count - queue->held < HOLD_FROM) {
    queue_flush(session, queue);
  }
  if (queue->unsent != NULL) {
    queue_raise(queue);
  }
  return VESTA_OK;
}

/* A large payload goes through the memory that the link shares with the daemon, if there is room. It is asked for when
 * the owner waits anyway; handing in does not wait. Without it, and on another link, the payload goes through the
 * socket. */
static void queued_stage(agent_queue_t *queue, agent_queued_t *queued, const wire_message_t *message) {
  agent_session_t *session = queue->checkpoint->session;
  wire_message_t staged = *message;
  staged.size = queued->parts[1].iov_len;
  uint8_t *frame;
  size_t frame_bytes;
  uint64_t on = agent_stage_put(session, message->number, &queued->parts[1], 1, staged.size, &staged.offset);
  queue->wants_stage = on == 0;
  if (on != 0 && agent_frame_encode(&staged, 0, NULL, 0, &frame, &frame_bytes) == VESTA_OK) {
    queued->call.staged = (struct iovec){.iov_base = frame, .iov_len = frame_bytes};
    queued->call.staged_on = on;
  }
}

static vesta_err_t queued_new(agent_queue_t *queue, agent_checkpoint_t *checkpoint, const wire_message_t *message,
                              void *payload, size_t payload_bytes, agent_queued_t **out) {
  agent_queued_t *queued = calloc(1, sizeof *queued);
  if (queued == NULL) {
    return VESTA_ERR_NO_MEMORY;
  }
  wire_message_t numbered = *message;
  numbered.number = agent_number(checkpoint->session);
  numbered.handle = checkpoint->remote;
  size_t frame_bytes = 0;
  vesta_err_t err = agent_frame_encode(&numbered, payload_bytes, NULL, 0, &queued->frame, &frame_bytes);
  if (err != VESTA_OK) {
    free(queued);
    return err;
  }
  queued->element_count = message->element_count;
  queued->parts[0] = (struct iovec){.iov_base = queued->frame, .iov_len = frame_bytes};
  queued->parts[1] = (struct iovec){.iov_base = payload, .iov_len = payload_bytes};
  queued->call = (agent_call_t){.number = numbered.number,
                                .kind = message->kind,
                                .parts = queued->parts,
                                .part_count = payload_bytes > 0 ? 2 : 1,
                                .bytes = frame_bytes + payload_bytes,
                                .wake = PTHREAD_COND_INITIALIZER};
  if (agent_stage_suits(payload_bytes)) {
    queued_stage(queue, queued, &numbered);
  }
  *out = queued;
  return VESTA_OK;
}

/* NULL: its handle was closed; or this is a forked child, which has no handles. */
static agent_checkpoint_t *queue_checkpoint(const agent_queue_t *queue) {
  return agent_checkpoint_acquire(queue->checkpoint->object.handle);
}

SaAisErrorT vesta_agent_queue_send(vesta_agent_queue_t *queue, const wire_message_t *message, void *payload,
                                   size_t payload_bytes, uint64_t invocation) {
  agent_checkpoint_t *checkpoint = queue_checkpoint(queue);
  if (checkpoint == NULL) {
    return SA_AIS_ERR_BAD_HANDLE;
  }
  agent_queued_t *queued = NULL;
  vesta_err_t err = vesta_agent_queue_is_full(queue)
                        ? VESTA_ERR_TRY_AGAIN
                        : queued_new(queue, checkpoint, message, payload, payload_bytes, &queued);
  if (err == VESTA_OK) {
    queued->invocation = invocation;
    agent_session_t *session = checkpoint->session;
    (void)pthread_mutex_lock(&session->lock);
    err = queue_append(session, queue, queued);
    if (err != VESTA_OK) {
      agent_stage_release(session, queued->call.number);
    }
    (void)pthread_mutex_unlock(&session->lock);
    if (err == VESTA_OK) {
      queued->payload = payload; /* its owner from now on */
    } else {
      queued_destroy(queued);
    }
  }
  agent_checkpoint_release(checkpoint);
  return vesta_agent_error(err);
}

/* ---- taking answers ---- */

/* Until the oldest one is answered. @return OK; TRY_AGAIN at the deadline; BAD_HANDLE */
static vesta_err_t queue_wait(agent_session_t *session, agent_queue_t *queue, int64_t deadline_ns) {
  const agent_call_t *oldest = &queue->first->call;
  bool tried = false; /* what is there already is taken in even when nothing is waited for */
  while (!oldest->answered) {
    if (atomic_load(&session->over) || atomic_load(&session->lost)) {
      return VESTA_ERR_BAD_HANDLE;
    }
    queue_flush(session, queue);
    if (oldest->answered) { /* read by another thread while this one was sending */
      break;
    }
    int64_t now_ns = agent_clock_ns();
    bool late = now_ns >= deadline_ns;
    bool up = session->state == AGENT_LINK_UP;
    bool out = up && oldest->sent_on == session->incarnation;
    if (late && tried) {
      return VESTA_ERR_TRY_AGAIN;
    }
    if (out && !session->reading) {
      agent_call_read(session, late ? now_ns : deadline_ns, now_ns);
      tried = true;
    } else if (agent_link_can_connect(session, now_ns)) {
      (void)agent_link_connect(session, late ? now_ns + CONNECT_LIMIT_NS : deadline_ns);
      tried = true;
    } else if (late) {
      return VESTA_ERR_TRY_AGAIN;
    } else {
      int64_t until_ns = deadline_ns;
      int64_t again_ns = up ? now_ns + SEND_AGAIN_NS : session->retry_at_ns;
      bool alone = (up && !out && !session->sending) || session->state == AGENT_LINK_DOWN;
      if (alone && again_ns > now_ns && again_ns < until_ns) {
        until_ns = again_ns;
      }
      queue->waits = true;
      agent_wait_until(session, &queue->wake, until_ns);
      queue->waits = false;
    }
  }
  return VESTA_OK;
}

SaAisErrorT vesta_agent_queue_next(vesta_agent_queue_t *queue, SaTimeT timeout, uint64_t *invocation,
                                   vesta_agent_outcome_t *outcome) {
  agent_checkpoint_t *checkpoint = queue_checkpoint(queue);
  if (checkpoint == NULL) {
    return SA_AIS_ERR_BAD_HANDLE;
  }
  agent_session_t *session = checkpoint->session;
  agent_queued_t *taken = NULL;
  int64_t deadline_ns = timeout == 0 ? 0 : agent_deadline(timeout);
  if (queue->wants_stage && timeout > 0) {
    queue->wants_stage = false;
    agent_stage_get(session, deadline_ns);
  }
  (void)pthread_mutex_lock(&session->lock);
  vesta_err_t err = queue->first == NULL ? VESTA_ERR_NOT_EXIST : queue_wait(session, queue, deadline_ns);
  if (err == VESTA_OK) {
    taken = queue->first;
    queue->first = taken->next;
    queue->unsent = queue->unsent != taken ? queue->unsent : taken->next;
    queue->last = queue->first == NULL ? NULL : queue->last;
    queue->count--;
    queue->bytes -= taken->call.bytes;
  }
  if (queue->first != NULL && queue->first->call.answered) {
    queue_raise(queue);
  } else if (err == VESTA_ERR_TRY_AGAIN || err == VESTA_ERR_NOT_EXIST) {
    queue_rest(session, queue);
  }
  (void)pthread_mutex_unlock(&session->lock);
  agent_checkpoint_release(checkpoint);
  if (taken != NULL) {
    *invocation = taken->invocation;
    *outcome = taken->outcome;
    queued_destroy(taken);
  }
  return err == VESTA_ERR_TRY_AGAIN ? SA_AIS_ERR_TIMEOUT : vesta_agent_error(err);
}

int vesta_agent_queue_fd(const vesta_agent_queue_t *queue) { return queue->owner == getpid() ? queue->epoll_fd : -1; }

/* ---- life ---- */

static void queue_fds_close(const agent_queue_t *queue) {
  int fds[] = {queue->epoll_fd, queue->event_fd, queue->timer_fd};
  for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
    if (fds[i] >= 0) {
      (void)close(fds[i]);
    }
  }
}

SaAisErrorT vesta_agent_queue_open(SaCkptCheckpointHandleT handle, vesta_agent_queue_t **out) {
  agent_checkpoint_t *checkpoint = agent_checkpoint_acquire(handle);
  if (checkpoint == NULL) {
    return SA_AIS_ERR_BAD_HANDLE;
  }
  agent_queue_t *queue = malloc(sizeof *queue);
  if (queue == NULL) {
    agent_checkpoint_release(checkpoint);
    return SA_AIS_ERR_NO_MEMORY;
  }
  *queue = (agent_queue_t){.checkpoint = checkpoint,
                           .owner = getpid(),
                           .epoll_fd = epoll_create1(EPOLL_CLOEXEC),
                           .event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
                           .timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK),
                           .wake = PTHREAD_COND_INITIALIZER};
  if (queue->epoll_fd < 0 || queue->event_fd < 0 || queue->timer_fd < 0 || !queue_watch(queue, queue->event_fd) ||
      !queue_watch(queue, queue->timer_fd)) {
    queue_fds_close(queue);
    free(queue);
    agent_checkpoint_release(checkpoint);
    return SA_AIS_ERR_NO_RESOURCES;
  }
  agent_session_t *session = checkpoint->session;
  (void)pthread_mutex_lock(&session->lock);
  queue->next = session->queues;
  session->queues = queue;
  if (session->state == AGENT_LINK_UP) {
    (void)queue_watch(queue, session->calls.fd);
  }
  (void)pthread_mutex_unlock(&session->lock);
  *out = queue;
  return SA_AIS_OK;
}

void vesta_agent_queue_close(vesta_agent_queue_t **pointer) {
  agent_queue_t *queue = *pointer;
  if (queue == NULL) {
    return;
  }
  *pointer = NULL;
  bool mine = queue->owner == getpid();
  agent_session_t *session = queue->checkpoint->session;
  if (mine) {
    (void)pthread_mutex_lock(&session->lock);
    agent_queue_t **at = &session->queues;
    while (*at != queue) {
      at = &(*at)->next;
    }
    *at = queue->next;
    for (agent_queued_t *queued = queue->first; queued != NULL; queued = queued->next) {
      if (!queued->call.answered) {
        if (queued->call.sent_on == 0 || queued->call.sent_on != queued->call.staged_on) {
          agent_stage_release(session, queued->call.number); /* else the daemon may read it yet */
        }
        agent_call_leave(session, &queued->call);
      }
    }
    (void)pthread_mutex_unlock(&session->lock);
    agent_checkpoint_release(queue->checkpoint);
  }
  while (queue->first != NULL) {
    agent_queued_t *queued = queue->first;
    queue->first = queued->next;
    queued_destroy(queued);
  }
  queue_fds_close(queue);
  (void)pthread_cond_destroy(&queue->wake);
  free(queue);
}

/* ---- one change, waited for ---- */

SaAisErrorT vesta_agent_change(SaCkptCheckpointHandleT handle, const wire_message_t *message, vesta_bytes_t payload,
                               SaTimeT timeout_ns, vesta_agent_outcome_t *outcome) {
  agent_checkpoint_t *checkpoint = agent_checkpoint_acquire(handle);
  *outcome = (vesta_agent_outcome_t){.error = SA_AIS_ERR_BAD_HANDLE, .element = VESTA_AGENT_NO_ELEMENT};
  if (checkpoint == NULL) {
    return outcome->error;
  }
  struct iovec part = {.iov_base = NULL, .iov_len = payload.size};
  memcpy(&part.iov_base, &payload.data, sizeof part.iov_base); /* only read, though iovec can't say so */
  agent_request_t request = {.message = *message,
                             .payload = &part,
                             .payload_parts = payload.size > 0 ? 1 : 0,
                             .deadline_ns = agent_deadline(timeout_ns)};
  request.message.handle = checkpoint->remote;
  agent_reply_t reply;
  vesta_err_t err = agent_call(checkpoint->session, &request, &reply);
  if (reply.message.kind != 0) {
    *outcome = outcome_of(&reply.message, message->element_count);
  } else {
    outcome->error = vesta_agent_error(err);
  }
  agent_reply_fini(&reply);
  agent_checkpoint_release(checkpoint);
  return outcome->error;
}

SaAisErrorT vesta_agent_attributes(SaCkptCheckpointHandleT handle, uint32_t *flags, vesta_attributes_t *attributes) {
  agent_checkpoint_t *checkpoint = agent_checkpoint_acquire(handle);
  if (checkpoint == NULL) {
    return SA_AIS_ERR_BAD_HANDLE;
  }
  *flags = checkpoint->flags;
  *attributes = checkpoint->attributes;
  agent_checkpoint_release(checkpoint);
  return SA_AIS_OK;
}
