/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The links between nodes: one for each two. ZeroMQ introduces them, a TCP connection carries what they say.
 *
 *   the node with the greater id connects      DEALER  ---- tcp ---->  ROUTER   the other one listens
 *
 *   HELLO ->                 node, incarnation, number of the link, versions
 *                 <- HELLO   with an introduction (peer_introduction.h): where to connect, a token, with keys two keys
 *   token ->                 on the connection (peer_stream.h). The DEALER is done; up(), and at the other side when this
 *                            arrives
 *   message ->  <- message   each one frame: prefix, head and payload as on an agent's link (core/wire.h)
 *
 * A link lives as long as its connection. When that ends it is thrown away with all that waits in it, and another is
 * made, with the next number. So what is sent arrives in its order and without a gap, until the link is lost with
 * everything that had not arrived; and what is of an earlier link than the last is never delivered. up() says on both
 * sides that there is a new one.
 *
 * Nothing here waits: what waits on a link is counted, and one that would hold more than is allowed is given up.
 *
 * With keys, all is encrypted and both sides are authenticated (CURVE, and what it introduces): this node's key pair is in
 * a file, the public keys of all nodes are in a directory, NODE.pub each. A stranger gets no further than the handshake.
 * Without keys
 * everybody who reaches the port is believed; vestad does that only when it was told to.
 */
#ifndef VESTA_DAEMON_PEERS_H
#define VESTA_DAEMON_PEERS_H

#include "core/wire.h"
#include "daemon/loop.h"

#define PEERS_ENDPOINT_BYTES 160U
#define PEERS_RETRY_NS INT64_C(50000000)       /* between two attempts to connect, doubled each time */
#define PEERS_RETRY_NS_MAX INT64_C(1000000000) /* up to this */
#define PEERS_GATHER_NS INT64_C(200000)        /* what nobody waits for waits for company */
#define PEERS_HELLO_NS INT64_C(3000000000)     /* an attempt without an answer is given up after this */

typedef struct peers peers_t;

typedef struct peers_config {
  uint32_t node_id;
  uint64_t incarnation;
  uint32_t version_min, version_max;
  uint64_t queue_bytes_max; /* a link on which more waits is given up: VESTA_PEER_QUEUE_BYTES_MAX */
  int64_t awake_ns;         /* who answers within this is waited for awake; 0: nobody is */
  const char *listen;       /* "tcp://ADDRESS:PORT" */
  const char *key_file;     /* NULL: no encryption */
  const char *keys_dir;     /* with a key: where the nodes' public keys are */
  void *context;
  void (*up)(void *context, uint32_t node);
  void (*received)(void *context, uint32_t node, const wire_message_t *message, vesta_bytes_t payload);
} peers_config_t;

/**
 * Listen. Callbacks come from within the loop and peers_turn() only.
 * @param config     copied; its strings must live as long as the result
 * @param[out] why   says what is wrong, in words
 * @return OK; ACCESS: the keys can't be read; NO_RESOURCES: can't listen; NO_MEMORY
 */
vesta_err_t peers_open(const peers_config_t *config, loop_t *loop, peers_t **out, char *why, size_t why_size);
/** End all links: before stream_sockets_close(), which ends ZeroMQ. NULL is taken. */
void peers_close(peers_t *peers);
/** Free it: after that, for until then ZeroMQ's thread may still give back what was sent. */
void peers_destroy(peers_t **peers);

/** There is this node, and it listens there. Another address than before ends the link to it. Own ids and those beyond
 *  VESTA_NODES_MAX nodes are ignored. */
void peers_set(peers_t *peers, uint32_t node, const char *endpoint);

/**
 * Send to a node; dropped when there is no link to it now. Encoded and copied before it returns. Never blocks.
 * @param awaited   it goes at the end of this turn, and is answered; else it may go with what is sent next: PEERS_GATHER_NS
 *                  later at the latest, behind a row of those that are awaited twice that
 */
void peers_send(peers_t *peers, uint32_t node, const wire_message_t *message, vesta_bytes_t payload, bool awaited);
/** The end of a turn, before all else that takes time: what was sent goes out. */
void peers_flush(peers_t *peers, int64_t now_ns);

/** The end of a turn of the loop: what came is handed over, what is due is tried. @return true when more is there */
bool peers_turn(peers_t *peers, int64_t now_ns);
/** When the next one must be; INT64_MAX: when something is ready. */
int64_t peers_wake_ns(const peers_t *peers);
/** Until when it is better not to sleep: a node was sent something to answer, and answers that soon (adr 0017). In the
 *  past: no longer. */
int64_t peers_awake_ns(const peers_t *peers);

/** Is there a link to that node now? */
bool peers_is_up(const peers_t *peers, uint32_t node);

/* Counters. name, text */
/* clang-format off */
#define PEERS_COUNTERS(X)                                                        \
  X(PEER_LINKS, "links to other nodes now")                                      \
  X(PEER_LINKS_MADE, "links made")                                               \
  X(PEER_LINKS_LOST, "links lost")                                               \
  X(PEER_LINKS_FULL, "of these, given up because too much waited on them")       \
  X(PEER_REFUSED, "handshakes refused: no key, a wrong one, no such node, or no token")    \
  X(PEER_LINKS_REFUSED, "connections at the port for nodes closed again because there are as many as may be") \
  X(PEER_SENT, "messages sent to other nodes")                                   \
  X(PEER_SENT_BYTES, "their bytes")                                              \
  X(PEER_DROPPED, "messages dropped because there was no link, or no memory")    \
  X(PEER_RECEIVED, "messages received from other nodes")                         \
  X(PEER_AWAKE, "of these, answers for which vestad stayed awake")               \
  X(PEER_STALE, "introductions of an earlier link than the last, dropped")   \
  X(PEER_MALFORMED, "messages received that are none, their link is over")                           \
  X(PEER_HELD_BYTES, "bytes that wait on the links now")
/* clang-format on */

typedef enum peers_counter {
#define PEERS_COUNTER_ENUM(name, text) PEERS_COUNTER_##name,
  PEERS_COUNTERS(PEERS_COUNTER_ENUM)
#undef PEERS_COUNTER_ENUM
      PEERS_COUNTER_COUNT
} peers_counter_t;
uint64_t peers_counter(const peers_t *peers, peers_counter_t counter);

#endif
