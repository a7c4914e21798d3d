/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Inside the calls: what agent_call.c, where a thread waits for each answer, and agent_queue.c, where answers wait for
 * a thread, share. All with the session's lock held.
 */
#ifndef VESTA_SAF_API_AGENT_CALL_H
#define VESTA_SAF_API_AGENT_CALL_H

#include "saf_api/agent_session.h"

/* A request until it is answered: on the stack of the thread that waits for it, or in a queue. */
typedef struct agent_call {
  struct agent_call *next; /* in its bucket */
  struct agent_call *change_previous, *change_next;
  uint64_t number;
  uint64_t change; /* which change of the session it is, from 1; 0: it changes nothing */
  uint64_t kind;
  const struct iovec *parts;
  size_t part_count;
  size_t bytes;
  struct iovec staged; /* the same without its payload, which is in the memory shared with the daemon */
  uint64_t staged_on;  /* the connection for which that holds; 0: none */
  int64_t deadline_ns;
  uint64_t sent_on; /* the connection on which it went out whole; 0: none */
  bool sent;        /* on any: it may have had its effect */
  bool sent_again;  /* after a connection broke */
  bool oneway;
  bool answered;
  vesta_err_t err;
  /* one of these */
  pthread_cond_t wake; /* of the thread that waits */
  struct agent_queue *queue;
  agent_reply_t *reply; /* NULL in a queue */
} agent_call_t;

/** Have so many changes been made that the results of the oldest unanswered one might be forgotten? */
bool agent_window_full(const agent_session_t *session);
/** Answers are looked for from now on. `changes`: it takes a place in the window, which has one. */
void agent_call_enlist(agent_session_t *session, agent_call_t *call, bool changes);
/** No longer. */
void agent_call_leave(agent_session_t *session, agent_call_t *call);
/** Send it whole, if the link is there and takes it; one in a queue does not wait for the socket unless it has begun.
 *  The link is up and nobody else sends. Leaves the lock meanwhile. */
void agent_call_send(agent_session_t *session, agent_call_t *call);
/** Read for all who wait, up to the end of a slice or of `deadline_ns`. Nobody else reads. Leaves the lock meanwhile. */
void agent_call_read(agent_session_t *session, int64_t deadline_ns, int64_t now_ns);
/** Wait on a condition variable up to a moment. */
void agent_wait_until(agent_session_t *session, pthread_cond_t *wake, int64_t until_ns);

#endif
