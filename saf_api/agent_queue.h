/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Changes whose answers are fetched later: many of one thread are under way at a time.
 *
 *   vesta_agent_queue_send() --> under way, oldest first --answered--> waits for --vesta_agent_queue_next()--> gone
 *
 * Each has a place in the session's window from its sending to its answer, like a change that a thread waits for, so it
 * is answered once however often it is sent: on every new link all that are unanswered go out again, in their order,
 * before anything else does. Answers are handed out in the order of sending.
 *
 * No thread runs here. Any thread that reads the link takes in the answers of all; when none does, the queue's own call
 * reads. Its descriptor is an epoll set of the link, an eventfd for what others took in or broke, and a timer.
 *
 * One thread at a time uses a queue; what others touch is under the session's lock. See agent_extension.h for the calls
 * that libvesta makes.
 */
#ifndef VESTA_SAF_API_AGENT_QUEUE_H
#define VESTA_SAF_API_AGENT_QUEUE_H

#include "saf_api/agent_session.h"

struct agent_call;

/* ---- with the session's lock held ---- */

/** One of a queue's is answered. */
void agent_queue_answered(agent_session_t *session, struct agent_call *call, const wire_message_t *message);
/** Something changed that queues should look at. */
void agent_queues_wake(agent_session_t *session);
/** A thread that waits in a queue has to read now. False: there is none. */
bool agent_queues_read(agent_session_t *session);
/** The link is there: watch it / it goes. */
void agent_queues_link_up(agent_session_t *session);
void agent_queues_link_down(agent_session_t *session);
/** The link is new: send all that is unanswered. @return OK; else the link is to be broken */
vesta_err_t agent_queues_resend(agent_session_t *session);

#endif
