/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Changes that are told as callbacks: registering for them, and bringing them to a dispatch.
 *
 *   TRACK goes out like any request ... TRACKED comes on the link of callbacks --> kept --(dispatch)--> callback
 *
 * What the application wants is kept in the session (for all its checkpoint handles) and in the checkpoint handle, and
 * is told again to the daemon on every new link. A change is matched with its checkpoint handle when it is dispatched:
 * that of a handle which is closed by then, or not open yet, is dropped, and so is one that is not wanted any more.
 */
#ifndef VESTA_SAF_API_AGENT_TRACK_H
#define VESTA_SAF_API_AGENT_TRACK_H

#include "saf_api/agent_session.h"

struct agent_checkpoint;

typedef struct agent_tracked agent_tracked_t;

/**
 * Be told of changes from now on.
 * @param checkpoint   one handle's alone; NULL: all handles', open ones and those to be opened
 * @param flag         a WIRE_TRACK_...
 * @return OK, also when it was so already; else it is as it was, and the errors of a call, or of a connection
 */
vesta_err_t agent_track_start(agent_session_t *session, struct agent_checkpoint *checkpoint, uint32_t flag);
/** Not any more. @return also NOT_EXIST when it was not so */
vesta_err_t agent_track_stop(agent_session_t *session, struct agent_checkpoint *checkpoint, uint32_t flag);
/** Register the arrival callback, or another one instead. @return as agent_track_start() */
vesta_err_t agent_track_arrival(agent_session_t *session, ncsCkptCkptArrivalCallbackT callback);

/** Drop everything: the session goes. */
void agent_track_drop_all(agent_session_t *session);
/** Run the callback it was taken for, and free it. */
void agent_track_callback(agent_tracked_t *tracked);

/* ---- with the lock held ---- */

/** The link is new: register again. @return OK; else the link is to be broken */
vesta_err_t agent_track_resend(agent_session_t *session);
/** A TRACKED came. @return OK; NO_MEMORY */
vesta_err_t agent_track_arrived(agent_session_t *session, const wire_message_t *message);
/** The next one that is wanted, taken out; NULL: none. */
agent_tracked_t *agent_track_take(agent_session_t *session);

#endif
