/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The change stream's ZeroMQ sockets: an XPUB for what is published, a ROUTER for what subscribers ask.
 *
 * Nothing here waits for a subscriber. The XPUB drops for one whose queue is full, the ROUTER for one who is gone, and
 * the subscriber finds out by the sequence numbers. ZeroMQ counts messages, so bytes are counted here: in the callback
 * by which it gives memory back, which runs on its I/O thread. Those counts are the only thing shared with that thread.
 *
 * ZMQ_FD is edge-triggered and says only that something happened inside; after whatever was done with a socket its
 * ZMQ_EVENTS must be looked at before waiting. stream_sockets_turn() does that, at the end of each turn.
 */
#ifndef VESTA_DAEMON_STREAM_SOCKETS_H
#define VESTA_DAEMON_STREAM_SOCKETS_H

#include "daemon/loop.h"
#include "daemon/private_dir.h"
#include "notify/publisher.h"

typedef struct stream_sockets stream_sockets_t;

typedef struct stream_sockets_config {
  const char *socket; /* the agents': ours stand beside it, with .changes and .requests behind the name */
  gid_t group;
  void *context; /* of the two */
  /* A message arrived at the XPUB. */
  void (*subscribed)(void *context, vesta_bytes_t message);
  /* A subscriber asks. @return false: no answer. head and payload live until the next call. */
  bool (*asked)(void *context, vesta_bytes_t request, vesta_bytes_t *head, vesta_bytes_t *payload);
} stream_sockets_config_t;

/** @return OK; NO_RESOURCES, ACCESS with `why` in words */
vesta_err_t stream_sockets_open(const stream_sockets_config_t *config, loop_t *loop, stream_sockets_t **out, char *why,
                                size_t why_size);
/** Close them and remove their names. */
void stream_sockets_close(stream_sockets_t **sockets);

/** "ipc://...changes ipc://...requests"; lives as long as the sockets. */
vesta_bytes_t stream_sockets_endpoints(const stream_sockets_t *sockets);

/** For the publisher; its context is `sockets`. */
publisher_output_t stream_sockets_output(stream_sockets_t *sockets);

/** The end of a turn: take what came meanwhile. @return true when more is waiting: the next turn must begin at once */
bool stream_sockets_turn(stream_sockets_t *sockets);

/* Counters, for INFO and for tests. name, text */
#define STREAM_COUNTERS(X)                                                                                     \
  X(STREAM_REQUESTS, "requests of subscribers answered")                                                       \
  X(STREAM_REQUESTS_DROPPED, "requests of subscribers not answered: malformed, or too many answers under way") \
  X(STREAM_MESSAGES_DROPPED, "messages not published for want of memory")                                      \
  X(STREAM_HELD_BYTES, "published bytes that ZeroMQ holds now")                                                \
  X(STREAM_ANSWER_BYTES, "bytes of answers that ZeroMQ holds now")

typedef enum stream_counter {
#define STREAM_COUNTER_ENUM(name, text) STREAM_COUNTER_##name,
  STREAM_COUNTERS(STREAM_COUNTER_ENUM)
#undef STREAM_COUNTER_ENUM
      STREAM_COUNTER_COUNT
} stream_counter_t;
uint64_t stream_sockets_counter(const stream_sockets_t *sockets, stream_counter_t counter);

#endif
