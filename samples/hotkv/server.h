/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The clients: one listening socket, one epoll, bounded buffers, no thread.
 *
 * A member has the port from its start but listens only while it is active. Linux allows that to several processes of
 * one user (SO_REUSEPORT), and gives connections to those alone that listen: a standby that becomes active has nothing
 * to wait for, however its predecessor ended. Nobody's backlog can hold a client that the other one should have.
 *
 *   server_wait()     until somebody has something to say: a client, or the descriptor that is watched besides
 *   server_handle()   what clients have said
 *
 * Two calls, so that whoever finds out in between that it is no longer active can drop them all without an answer.
 *
 * Of each client one request at most is held that isn't complete, and replies are made only while there is room for
 * them: a client that does not read its replies is not read from either.
 */
#ifndef HOTKV_SERVER_H
#define HOTKV_SERVER_H

#include <stdbool.h>

#include "commands.h"

#define SERVER_CLIENTS_MAX 512

typedef struct server server_t;

/** Take the port; and watch a descriptor, which is not read from. */
server_t *server_new(int port, int watched_fd, store_t *store);
/** Begin to serve. */
void server_start(server_t *server);
/** Stop serving: drop all clients, listen no more. */
void server_stop(server_t *server);
bool server_is_serving(const server_t *server);

/** @param timeout_ms  -1: no limit */
void server_wait(server_t *server, int timeout_ms);
/** Serve those that server_wait() found. Stops serving when the store is fenced. */
void server_handle(server_t *server);

#endif
