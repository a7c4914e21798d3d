/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A session: one library handle, its link to the daemon, and everything that waits on it.
 *
 * There is no thread of ours. The threads that wait in calls do the work themselves: of those that wait for answers one
 * reads the socket for all, and hands on to another when it has its own; of those that find the link down one connects
 * for all. An answer is found by the number of its request, so answers may come in any order and a call that waits long
 * delays no other.
 *
 *   link      DOWN --(a call or a dispatch connects)--> CONNECTING --> UP --(end of stream, garbage)--> DOWN
 *             After a failed attempt there is a pause; a call whose deadline passes meanwhile returns.
 *   request   registered --> sent whole on this connection --> answered
 *                 ^______________ the link is another one: sent again, with the same number
 *
 * A request that was never sent whole had no effect (TRY_AGAIN); one that was may have had it (TIMEOUT). The daemon
 * knows a request that comes again by its number and answers it from what it kept, for the last VESTA_SESSION_WINDOW
 * changes; so no more than that are let out past the oldest unanswered one.
 *
 * Files: agent_session.c life and children, agent_call.c calls, agent_queue.c changes whose answers are fetched later,
 * agent_connect.c the link, agent_async.c requests whose answer is a callback, agent_track.c changes that are told as
 * callbacks, agent_stage.c the memory for large payloads, agent_dispatch.c the selection object and the callbacks.
 */
#ifndef VESTA_SAF_API_AGENT_SESSION_H
#define VESTA_SAF_API_AGENT_SESSION_H

#include <pthread.h>

#include "core/wire.h"
#include "saf_api/agent_endpoint.h"
#include "saf_api/agent_frame.h"
#include "saf_api/agent_handles.h"
#include "saf_api/cpsv_papi.h"
#include "saf_api/saCkpt_B_02_03.h"

struct agent_async;
struct agent_call;
struct agent_checkpoint;
struct agent_orphan;
struct agent_queue;
struct agent_stage;
struct agent_tracked;

typedef enum agent_link_state { AGENT_LINK_DOWN, AGENT_LINK_CONNECTING, AGENT_LINK_UP } agent_link_state_t;

#define AGENT_CALL_BUCKETS 64U /* a power of two: numbers are dense, so the table stays even */

/* A socket to the daemon, and what arrived on it. */
typedef struct agent_link {
  int fd; /* -1: none */
  agent_receiver_t receiver;
  wire_decoder_t *decoder;
} agent_link_t;

typedef struct agent_session {
  agent_object_t object;
  agent_endpoint_t endpoint;
  SaCkptCallbacksT_2 callbacks;
  _Atomic(ncsCkptCkptArrivalCallbackT) arrival; /* registered later; NULL: not */
  bool version_b1;                              /* asked for B.01: behaves as that */

  _Atomic uint64_t number_last; /* of the requests */
  atomic_bool ending;           /* being finalized: no daemon is started for that */
  atomic_bool over;             /* finalized */
  atomic_bool lost;             /* the daemon knows it no more: every handle is bad */

  pthread_mutex_t lock; /* of all below */

  agent_link_state_t state;
  agent_link_t calls;
  vesta_token_t token;
  uint64_t incarnation; /* of the link: rises with every connection */
  bool sending;         /* a thread sends without the lock: nobody else may */
  bool reading;         /* the same for receiving */
  uint32_t failures;    /* attempts to connect since it was last up */
  int64_t retry_at_ns;

  struct agent_call *waiting[AGENT_CALL_BUCKETS]; /* by number */
  uint32_t waiting_count, queued_count;           /* in all; those of queues */
  struct agent_call *change_first, *change_last;  /* unanswered changes, oldest first */
  uint64_t change_count;                          /* changes so far */
  pthread_cond_t window;                          /* room for one more change */
  struct agent_orphan *orphans;                   /* opens that nobody waits for any more */

  struct agent_checkpoint *checkpoints; /* open ones */
  struct agent_queue *queues;           /* changes whose answers nobody waits for in a call */
  struct agent_stage *stage;            /* memory for large payloads; NULL: none */
  uint64_t stage_asked_on;              /* the incarnation on which it was asked for */

  agent_link_t events;   /* where callbacks come; only with callbacks */
  int epoll_fd;          /* the selection object; -1: not asked for yet */
  int wake_fd, timer_fd; /* in it */
  bool wake_set;
  struct agent_async *async_first, *async_last; /* waiting for their answer */
  struct agent_async *ready_first, *ready_last; /* answered, to be dispatched */
  uint32_t async_count;                         /* in both */
  bool greeting;                                /* a thread makes a link of callbacks for a session that had none */

  uint32_t track;                                     /* WIRE_TRACK_...: wanted for all checkpoint handles */
  struct agent_tracked *tracked_first, *tracked_last; /* changes, to be dispatched */
  pthread_mutex_t track_lock;                         /* one registration at a time; taken before `lock` */
} agent_session_t;

/** Is there anything that would be called back? Only then there is a link of callbacks. */
static inline bool agent_session_has_callbacks(const agent_session_t *session) {
  return session->callbacks.saCkptCheckpointOpenCallback != NULL ||
         session->callbacks.saCkptCheckpointSynchronizeCallback != NULL ||
         session->callbacks.saCkptCheckpointTrackCallback != NULL || atomic_load(&session->arrival) != NULL;
}

/* ---- life ---- */

/**
 * A session with the daemon, which is started if there is none; its handle is not published yet.
 * @return OK; UNAVAILABLE when there is no daemon; TRY_AGAIN when it does not answer; DENIED; NO_RESOURCES; NO_MEMORY;
 *         VERSION; TOO_LARGE
 */
vesta_err_t agent_session_new(const SaCkptCallbacksT_2 *callbacks, bool version_b1, agent_session_t **out);

/** The session of a library handle, with a reference; NULL: the handle is bad. */
agent_session_t *agent_session_acquire(SaCkptHandleT handle);
static inline void agent_session_release(agent_session_t *session) { agent_handle_release(&session->object); }

/** End it: the daemon is told, waiting threads and dispatchers return. Call with a reference, handle closed. */
void agent_session_end(agent_session_t *session);

/* ---- calls (agent_call.c) ---- */

#define AGENT_REPLY_HEAD_BYTES 256U /* a head up to this needs no memory of its own */

/* The answer to a call. Its message points into itself: not to be copied. */
typedef struct agent_reply {
  wire_message_t message; /* kind 0: there was no answer */
  vesta_bytes_t payload;
  int fd; /* a MAP's; the caller's. -1: none */
  void *memory;
  uint8_t head[AGENT_REPLY_HEAD_BYTES];
} agent_reply_t;

/* What a call sends. */
typedef struct agent_request {
  wire_message_t message;      /* number is filled in when it is 0 */
  const struct iovec *payload; /* lives until the call returns */
  size_t payload_parts;
  int64_t deadline_ns; /* agent_clock_ns(); AGENT_NEVER */
  bool oneway;         /* done when it is sent: its answer is a callback */
  uint64_t sent_on;    /* out, with oneway: the incarnation of the link it went out on */
} agent_request_t;

/**
 * Send a request and wait for its answer, through reconnects.
 * @param[out] reply   set when there was an answer, whatever it says; agent_reply_fini() in any case
 * @return OK and the daemon's errors (reply->message.kind is set); TIMEOUT; TRY_AGAIN; BAD_HANDLE when the session is
 *         over or lost; NO_MEMORY; TOO_LARGE
 */
vesta_err_t agent_call(agent_session_t *session, agent_request_t *request, agent_reply_t *reply);
void agent_reply_fini(agent_reply_t *reply);
/** The deadline of calls without a timeout of their own. */
int64_t agent_call_limit(void);

/** Send a small frame now or not at all. @return OK; TRY_AGAIN */
vesta_err_t agent_post(agent_session_t *session, wire_message_t *message);

static inline uint64_t agent_number(agent_session_t *session) { return atomic_fetch_add(&session->number_last, 1) + 1; }

/* ---- shared by the files above; all with the lock held ---- */

/** The link is over: those who use it without the lock are woken, and it is connected anew when somebody needs it. */
void agent_link_break(agent_session_t *session);
/** Something changed that waiting calls should look at. */
void agent_calls_wake(agent_session_t *session);
/**
 * Connect, when it is time and nobody else does. Leaves the lock meanwhile.
 * @return OK; what stands in the way: TRY_AGAIN, UNAVAILABLE, NO_RESOURCES, NO_MEMORY; BAD_HANDLE, DENIED, VERSION:
 *         for good
 */
vesta_err_t agent_link_connect(agent_session_t *session, int64_t deadline_ns);
/** Whether agent_link_connect() would try now. */
bool agent_link_can_connect(const agent_session_t *session, int64_t now_ns);
/**
 * There are callbacks now that there were not: see that there is a link for them. Leaves the lock meanwhile.
 * @return OK, also when the link is down and will be made with one; as agent_link_connect()
 */
vesta_err_t agent_link_add_callbacks(agent_session_t *session, int64_t deadline_ns);
/** Close what is left of the links. Nobody uses them any more. */
void agent_link_close(agent_session_t *session);
/** Forget whom nobody waits for. */
void agent_orphans_drop(agent_session_t *session);

/* the selection object (agent_dispatch.c) */
/** Make it readable while there is something to dispatch, or when the session is over or lost. */
void agent_dispatch_wake(agent_session_t *session);
/** The callback socket came, or goes: it is in the selection object or not. */
void agent_dispatch_add(agent_session_t *session);
void agent_dispatch_remove(agent_session_t *session);
/** While the link is down: wake up then. AGENT_NEVER: not at all. */
void agent_dispatch_timer(agent_session_t *session, int64_t at_ns);

#endif
