/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A private daemon for this user, started when there is none, so that a program works with nothing set up.
 *
 * The host process must not notice: no SIGCHLD, no zombie, no shared descriptor, no signal handler run twice. The
 * daemon is a grandchild in a session of its own; the child between is made with no exit signal and reaped by its
 * number. Of several processes that find no daemon one starts it, under a lock beside the socket, and all connect under
 * it; a daemon that ends for being idle takes the same lock, so none is left with a socket that is about to go.
 */
#ifndef VESTA_SAF_API_AGENT_SPAWN_H
#define VESTA_SAF_API_AGENT_SPAWN_H

#include "saf_api/agent_endpoint.h"

/**
 * Have a daemon at this endpoint, whoever started it, and connect to it.
 * @param deadline_ns   agent_clock_ns(); never longer than VESTA_SPAWN_LIMIT_MS from now
 * @param[out] fd       as of agent_endpoint_connect()
 * @return OK; UNAVAILABLE when it may not or can't be started; TIMEOUT when it was not ready in time; NO_RESOURCES;
 *         NO_MEMORY; DENIED
 */
vesta_err_t agent_spawn(const agent_endpoint_t *endpoint, int64_t deadline_ns, int *fd);

#endif
