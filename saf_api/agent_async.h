/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Requests whose answer is a callback: CheckpointOpenAsync and CheckpointSynchronizeAsync.
 *
 * The request goes out on the link of calls, the answer comes on the link of callbacks and waits there for a dispatch.
 * All memory that the callback will need is taken when the request is made.
 */
#ifndef VESTA_SAF_API_AGENT_ASYNC_H
#define VESTA_SAF_API_AGENT_ASYNC_H

#include "saf_api/agent_session.h"

typedef struct agent_async {
  struct agent_async *previous, *next;
  uint64_t number;  /* of the request */
  uint64_t sent_on; /* incarnation of the link it went out on */
  SaInvocationT invocation;
  bool open;                           /* else a synchronization */
  struct agent_checkpoint *checkpoint; /* with a reference: the one to be opened, or to be synchronized */
  wire_message_t reply;                /* scalars alone */
  uint8_t *frame;
  size_t frame_bytes;
} agent_async_t;

/**
 * Send it. Owns `checkpoint`'s reference on OK.
 * @return OK; NO_MEMORY; NO_RESOURCES when VESTA_ASYNC_CALLS_MAX wait; TRY_AGAIN; BAD_HANDLE
 */
vesta_err_t agent_async_send(agent_session_t *session, wire_message_t *request, SaInvocationT invocation, bool open,
                             struct agent_checkpoint *checkpoint);

/** Drop the callbacks of synchronizations of a checkpoint that is being closed. */
void agent_async_cancel(agent_session_t *session, struct agent_checkpoint *checkpoint);
/** Drop everything: the session goes. */
void agent_async_drop_all(agent_session_t *session);

/* ---- with the lock held ---- */

/** Send again what was sent on an earlier connection. @return OK; else the link is to be broken */
vesta_err_t agent_async_resend(agent_session_t *session);
/** A CALLBACK came. */
void agent_async_answered(agent_session_t *session, const wire_message_t *message);
/** The next one to be dispatched, taken out; NULL: none. Free it with agent_async_destroy(), without the lock. */
agent_async_t *agent_async_take(agent_session_t *session);

void agent_async_destroy(agent_async_t *async);

#endif
