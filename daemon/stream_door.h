/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The change stream's TCP ports, and what is different where anybody can knock.
 *
 *     PORT        requests (ROUTER)         PORT + 1    what is published (XPUB)
 *
 * With keys (curve_keys.h) all is encrypted and only who is known gets in; without, everybody who reaches the ports, which
 * vestad allows only when told to. Whoever does not get in is counted and named in the log, once. Of connections there
 * are so many and no more (accept_guard.h), one that does not come to the point is ended, and one that sends what no
 * subscriber sends is cut. So a stranger costs a bounded piece of memory and of the I/O thread's time, and nobody else's.
 */
#ifndef VESTA_DAEMON_STREAM_DOOR_H
#define VESTA_DAEMON_STREAM_DOOR_H

#include <zmq.h>

#include "core/error.h"
#include "daemon/loop.h"

typedef struct stream_door stream_door_t;

typedef struct stream_door_config {
  const char *listen;   /* "tcp://ADDRESS:PORT", see stream_endpoint_port() */
  const char *key_file; /* NULL: without keys */
  const char *keys_dir; /* with a key: of those who may come in */
} stream_door_config_t;

/** @param context   ZeroMQ's, which is for this alone   @return OK; ACCESS; NO_RESOURCES; NO_MEMORY; with `why` in words */
vesta_err_t stream_door_open(const stream_door_config_t *config, void *context, loop_t *loop, stream_door_t **out,
                             char *why, size_t why_size);
/** Before the context ends, and after the sockets that were bound. */
void stream_door_close(stream_door_t **door);

/** Bind a ROUTER or an XPUB to its port. One of each. @return false with errno */
bool stream_door_bind(stream_door_t *door, void *socket, int type);

/** The port of that type of socket. */
uint16_t stream_door_port(const stream_door_t *door, int type);

/** The end of a turn: let in or refuse who knocked. @return true when more do */
bool stream_door_turn(stream_door_t *door, int64_t now_ns);

/** End the connection that this message came on, at the port of that type of socket; `why` goes into the log. */
void stream_door_cut(stream_door_t *door, zmq_msg_t *message, int type, const char *why);

/* Counters. name, text */
#define STREAM_DOOR_COUNTERS(X)                                                                                   \
  X(GUEST_KEYS, "keys of those who may subscribe over TCP, now")                                                  \
  X(GUEST_STRANGERS, "handshakes over TCP that were refused: nobody with that key may subscribe")                 \
  X(GUEST_HANDSHAKES_FAILED, "handshakes over TCP that failed: no key, not for this service's key, or no ZeroMQ") \
  X(GUEST_LINKS_REFUSED, "connections over TCP closed again because there are as many as may be")                 \
  X(GUEST_LINKS_CUT, "connections over TCP ended because of what came: no subscriptions, too many, or no requests")

typedef enum stream_door_counter {
#define STREAM_DOOR_COUNTER_ENUM(name, text) STREAM_DOOR_COUNTER_##name,
  STREAM_DOOR_COUNTERS(STREAM_DOOR_COUNTER_ENUM)
#undef STREAM_DOOR_COUNTER_ENUM
      STREAM_DOOR_COUNTER_COUNT
} stream_door_counter_t;
/** @param door   NULL: there is none */
uint64_t stream_door_counter(const stream_door_t *door, stream_door_counter_t counter);

#endif
