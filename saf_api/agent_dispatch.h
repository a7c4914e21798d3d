/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The selection object and the dispatching of callbacks.
 *
 * The selection object is an epoll descriptor that lives as long as the handle. In it are the callback socket of the
 * moment, an eventfd that is readable while an answer waits to be dispatched or the handle is at its end, and, while
 * the link is down, a timer for the next attempt. So an application may keep it in an epoll set of its own through any
 * number of reconnects, and a finalize wakes everybody.
 */
#ifndef VESTA_SAF_API_AGENT_DISPATCH_H
#define VESTA_SAF_API_AGENT_DISPATCH_H

#include "saf_api/agent_session.h"

/** @return OK; NO_RESOURCES */
vesta_err_t agent_dispatch_selection(agent_session_t *session, int *fd);

/** Run one pending callback if there is one. The session may be gone afterwards unless a reference is held. */
bool agent_dispatch_one(agent_session_t *session);

/** Wait until the selection object is readable. @return OK; NO_RESOURCES */
vesta_err_t agent_dispatch_wait(agent_session_t *session);

#endif
