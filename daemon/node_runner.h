/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What stands between the node, which is pure, and the world: happenings become events, actions become deeds.
 *
 *     request, link gone, process dead, time  ->  node_step()  ->  send, watch, order, publish
 *                                                     ^                     |
 *                                                     +----- ordered -------+   journal
 *
 * An operation that the node wants ordered is in the journal before the node hears of it again; alone on its node that is
 * within the same call. It goes through a queue, never by recursion: the actions of one step are all done before
 * the next begins.
 *
 * In a cluster (core/node.h) operations are ordered by the group: what the node multicasts comes back as an event like
 * all others. A row that can't be journalled stops the step that it is of, and the node falls out of the group; it comes
 * back when the journal could be written anew.
 *
 * A turn of the loop: each request is answered as soon as its step is done; then, at the end, what was committed is
 * published once for all of them. So a writer never waits for ZeroMQ.
 */
#ifndef VESTA_DAEMON_NODE_RUNNER_H
#define VESTA_DAEMON_NODE_RUNNER_H

#include "core/node.h"
#include "daemon/agent_server.h"
#include "daemon/group.h"
#include "daemon/journal.h"
#include "daemon/peers.h"
#include "daemon/process_watch.h"
#include "daemon/storage.h"
#include "daemon/stream_guests.h"
#include "daemon/stream_sockets.h"
#include "notify/hash_server.h"
#include "notify/publisher.h"

/* Everything that the actions reach. Belongs to whoever puts the daemon together. */
typedef struct daemon_parts {
  node_t *node;
  storage_t *storage;
  journal_t *journal;
  agent_server_t *server;
  process_watch_t *watch;
  stream_sockets_t *sockets;
  stream_sockets_t *guest_sockets; /* over TCP; NULL, and so is `guests`: none */
  stream_guests_t *guests;
  publisher_t *publisher;
  stream_server_t *stream_server;
  hash_server_t *hash_server;
  group_t *group; /* NULL: this node is alone; then there are no peers either */
  peers_t *peers;
  const char *socket_path;
  int64_t started_ns; /* steady */
} daemon_parts_t;

typedef struct node_runner node_runner_t;

/** @param parts   filled in by the time of node_runner_start()  @return NULL when out of memory */
node_runner_t *node_runner_new(const daemon_parts_t *parts);
void node_runner_destroy(node_runner_t **runner);

/** After the journal was played: node_start(), and what it asks for. @return OK; NO_MEMORY */
vesta_err_t node_runner_start(node_runner_t *runner);

/* What happens; `context` is the runner. */
void node_runner_request(void *context, const agent_request_t *request);
void node_runner_link_gone(void *context, uint64_t link);
void node_runner_process_gone(void *context, vesta_token_t session);
bool node_runner_subscribed(void *context, vesta_bytes_t message);
bool node_runner_judged(void *context, vesta_bytes_t request, answer_request_t *judgement);
bool node_runner_asked(void *context, vesta_bytes_t request, stream_answer_t *answer);
bool node_runner_refused(void *context, vesta_bytes_t request, stream_answer_t *answer);

/* The same, of streams over TCP. */
bool node_runner_guest_subscribed(void *context, vesta_bytes_t message);
stream_came_t node_runner_guest_came(void *context, const stream_guest_t *guest, vesta_bytes_t request);
/** What guests need; its context is the runner. */
stream_guests_config_t node_runner_guests(node_runner_t *runner);

/* The same, in a cluster. */
void node_runner_view(void *context, order_ring_t ring, const uint32_t *members, uint32_t count);
void node_runner_quorum(void *context, order_ring_t ring, bool quorate, uint32_t expected);
void node_runner_fenced(void *context, uint32_t node);
void node_runner_delivered(void *context, uint32_t node, vesta_bytes_t message);
void node_runner_lost(void *context);
void node_runner_peer(void *context, uint32_t node, const wire_message_t *message, vesta_bytes_t payload);
void node_runner_peer_up(void *context, uint32_t node);
/** A checkpoint's region is another one now. */
void node_runner_renamed(void *context, uint64_t checkpoint_id);

/** The end of a turn. */
void node_runner_turn(node_runner_t *runner);
/** In a cluster: the daemon is told to end. Nothing new is begun; node_drained() says when what was begun is at the other
 *  nodes, too. */
void node_runner_ending(node_runner_t *runner);
/** When the next turn must begin. */
int64_t node_runner_wake_ns(const node_runner_t *runner);
/** Until when not to sleep before it; in the past: sleep. */
int64_t node_runner_awake_ns(const node_runner_t *runner);

#endif
