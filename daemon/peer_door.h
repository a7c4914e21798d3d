/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The port at which other nodes introduce themselves (peers.h), and what is different where anybody can knock.
 *
 * With keys (curve_keys.h) only nodes whose key is known come in. Of connections there are so many and no more
 * (accept_guard.h), and one that does not come in within some seconds is put out. Whoever does not come in is counted.
 */
#ifndef VESTA_DAEMON_PEER_DOOR_H
#define VESTA_DAEMON_PEER_DOOR_H

#include <czmq.h>

#include "core/error.h"
#include "daemon/curve_keys.h"
#include "daemon/loop.h"

typedef struct peer_door peer_door_t;

typedef struct peer_door_config {
  uint32_t node_id;     /* of this one; with the incarnation */
  uint64_t incarnation; /* no other door has the same two */
  const char *listen;   /* "tcp://ADDRESS:PORT" */
  const char *key_file; /* NULL: without keys */
  const char *keys_dir;
} peer_door_config_t;

/** @return OK; ACCESS: keys can't be read, or others can read ours; NO_RESOURCES; NO_MEMORY; with `why` in words */
vesta_err_t peer_door_open(const peer_door_config_t *config, loop_t *loop, peer_door_t **out, char *why,
                           size_t why_size);
/** With its router. */
void peer_door_close(peer_door_t **door);

/** Bind a ROUTER, which is the door's from now on. @return false with errno */
bool peer_door_bind(peer_door_t *door, zsock_t *router);

/** NULL: without keys. */
curve_keys_t *peer_door_keys(const peer_door_t *door);

/** Is there something to do? */
bool peer_door_is_touched(const peer_door_t *door);
/** Let in or refuse who knocked. @return how many did not come in */
uint32_t peer_door_turn(peer_door_t *door, int64_t now_ns);
/** Somebody is refused after all: named in the log, each once, and one a second, who is a stranger may be a thousand. */
void peer_door_name(peer_door_t *door, const char *address, uint64_t node, const char *why);
/** Connections that were closed because there are as many as may be. */
uint64_t peer_door_links_refused(const peer_door_t *door);

/** A monitor of a socket, made before there is anything to be seen. @return NULL: it can't be made */
zsock_t *peer_door_monitor(zsock_t *socket, const char *endpoint, int events);

#endif
