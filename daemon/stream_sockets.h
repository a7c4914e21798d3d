/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The change stream's ZeroMQ sockets: an XPUB for what is published, a ROUTER for what subscribers ask.
 *
 * Nothing here waits for a subscriber. The XPUB drops for one whose queue is full, the ROUTER for one who is gone, and
 * the subscriber finds out by the sequence numbers. ZeroMQ counts messages, so bytes are counted here: in the callback
 * by which it gives memory back, which runs on its I/O thread. Those counts are the only thing shared with that thread.
 *
 * Requests wait for their turn (notify/answer_turns.h). One turn of the loop answers about VESTA_STREAM_TURN_BYTES, and
 * while agents ask for something as well the next answers wait as long as these took: walks have half of
 * the daemon's time at most. Subscribers that take nothing are cut off when too much is held for them
 * (stuck_links.h).
 *
 * ZMQ_FD is edge-triggered and says only that something happened inside; after whatever was done with a socket its
 * ZMQ_EVENTS must be looked at before waiting. stream_sockets_turn() does that, at the end of each turn.
 *
 * There is a pair for local subscribers, and one for those over TCP (stream_door.h) if that is wished for. Theirs has a
 * context of its own, and so a thread: it may be busy encrypting for the network and does not keep the others waiting. What
 * is held for one pair is counted apart from what is held for the other.
 */
#ifndef VESTA_DAEMON_STREAM_SOCKETS_H
#define VESTA_DAEMON_STREAM_SOCKETS_H

#include "daemon/loop.h"
#include "daemon/private_dir.h"
#include "daemon/stream_door.h"
#include "notify/answer_turns.h"
#include "notify/publisher.h"

typedef struct stream_sockets stream_sockets_t;

typedef struct stream_answer {
  vesta_bytes_t head, payload; /* live until the next one */
  bool walk_goes_on;           /* a snapshot's chunk, and not the last */
} stream_answer_t;

/* Who asks, over TCP. */
typedef struct stream_guest {
  vesta_bytes_t identity; /* to be answered by, with stream_sockets_say() */
  uint32_t user;          /* the same for all that come with one key, or without keys from one address */
} stream_guest_t;

/* What is done with a guest's request. */
typedef enum stream_came {
  STREAM_CAME_DONE,  /* it is dealt with */
  STREAM_CAME_WAITS, /* for its turn */
  STREAM_CAME_BAD,   /* it is none: the connection is ended */
} stream_came_t;

typedef struct stream_sockets_config {
  const char *socket; /* the agents': ours stand beside it, with .changes and .requests behind the name */
  gid_t group;
  const stream_door_config_t *door; /* NULL: those two; else the ports of this, and neither `socket` nor `group` */
  uint64_t held_bytes_max;          /* of what is published */
  uint32_t rest;                    /* while agents ask, answers wait so many times as long as the last ones took */
  void *context;                    /* of all of these */
  /* A message arrived at the XPUB. @return false: who sent it is none of ours; over TCP its connection is ended */
  bool (*subscribed)(void *context, vesta_bytes_t message);
  /* Over TCP only, else NULL: a request has come. */
  stream_came_t (*came)(void *context, const stream_guest_t *guest, vesta_bytes_t request);
  /* Whose request is that (known already over TCP), and of which sort: user, sort, walk. @return false: it is none. */
  bool (*judged)(void *context, vesta_bytes_t request, answer_request_t *judgement);
  /* It is its turn. @return false: no answer. */
  bool (*asked)(void *context, vesta_bytes_t request, stream_answer_t *answer);
  /* Too many wait: it shall ask again. @return false: no answer. */
  bool (*refused)(void *context, vesta_bytes_t request, stream_answer_t *answer);
} stream_sockets_config_t;

/** @return OK; NO_RESOURCES, ACCESS with `why` in words */
vesta_err_t stream_sockets_open(const stream_sockets_config_t *config, loop_t *loop, stream_sockets_t **out, char *why,
                                size_t why_size);
/** Close them and remove their names. */
void stream_sockets_close(stream_sockets_t **sockets);

/** "ipc://...changes ipc://...requests"; lives as long as the sockets. Empty over TCP: who is there knows. */
vesta_bytes_t stream_sockets_endpoints(const stream_sockets_t *sockets);

/** Say something to a guest; lost when it is gone. */
void stream_sockets_say(stream_sockets_t *sockets, vesta_bytes_t identity, vesta_bytes_t head);

/** NULL: local ones. */
const stream_door_t *stream_sockets_door(const stream_sockets_t *sockets);

/** For the publisher; its context is `sockets`. */
publisher_output_t stream_sockets_output(stream_sockets_t *sockets);

/** The end of a turn: take what came meanwhile, answer some of it. @param agents_asked   so there is other work */
void stream_sockets_turn(stream_sockets_t *sockets, bool agents_asked);
/** When the next turn must begin; 0: at once, INT64_MAX: when something has come. */
int64_t stream_sockets_wake_ns(const stream_sockets_t *sockets);

/* Counters, for INFO and for tests. name, text */
#define STREAM_COUNTERS(X)                                                                    \
  X(STREAM_REQUESTS, "requests of subscribers answered")                                      \
  X(STREAM_REQUESTS_DROPPED, "requests of subscribers not answered: malformed, or no memory") \
  X(STREAM_REQUESTS_REFUSED, "requests told to come again: too many wait")                    \
  X(STREAM_REQUESTS_STALE, "requests dropped: who asked is gone")                             \
  X(STREAM_REQUESTS_WAITING, "requests that wait for their turn now")                         \
  X(STREAM_WALKS, "snapshots of several chunks under way now")                                \
  X(STREAM_WALKS_MAX, "the most at once")                                                     \
  X(STREAM_WALKS_WAITED, "snapshots that could not begin at once")                            \
  X(STREAM_WALKS_EVICTED, "snapshots that lost their place since they were not asked on for") \
  X(STREAM_LINKS_CUT, "connections of subscribers that took nothing, closed")                 \
  X(STREAM_MESSAGES_DROPPED, "messages not published for want of memory")                     \
  X(STREAM_HELD_BYTES, "published bytes that ZeroMQ holds now")                               \
  X(STREAM_ANSWER_BYTES, "bytes of answers that ZeroMQ holds now")

typedef enum stream_counter {
#define STREAM_COUNTER_ENUM(name, text) STREAM_COUNTER_##name,
  STREAM_COUNTERS(STREAM_COUNTER_ENUM)
#undef STREAM_COUNTER_ENUM
      STREAM_COUNTER_COUNT
} stream_counter_t;
uint64_t stream_sockets_counter(const stream_sockets_t *sockets, stream_counter_t counter);

#endif
