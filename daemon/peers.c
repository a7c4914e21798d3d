/* SPDX-License-Identifier: BSD-2-Clause
 *
 * One ROUTER for those who connect to this node, one DEALER for each node that this one connects to. A DEALER's monitor
 * says when its connection ends or can't be made; who listens learns of it by the next HELLO, or when it sends, which
 * it does once a second at least.
 *
 *   link, at who connects:  DOWN -- retry is due --> TRIED -- HELLO comes --> UP -- lost, refused, full --> DOWN
 *   link, at who listens:   DOWN -- HELLO comes --> UP -- cannot be sent to, full --> DOWN; a newer HELLO: UP anew
 */
#include "daemon/peers.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include <czmq.h>

#include "daemon/log.h"
#include "daemon/peer_keys.h"

#define PEER_IDENTITY_BYTES 21U /* 'V', node, incarnation, number of the link */
#define PEERS_TAKES_PER_TURN 64 /* of one socket, and pass */
#define PEERS_PASSES_PER_TURN 4
#define PEERS_HEARTBEAT_MS 1000       /* an idle connection is tried this often, */
#define PEERS_HEARTBEAT_LIMIT_MS 4000 /* and is dead when nothing came for so long */
#define PEERS_CONNECT_LIMIT_MS 2000
#define PEERS_PROBE_NS INT64_C(1000000000) /* who listens only learns by sending that a link is lost */
#define PEERS_MESSAGES_MAX 1000            /* received and not taken yet, of one node: the other side waits then */

typedef enum peer_state { PEER_DOWN, PEER_TRIED, PEER_UP } peer_state_t;

typedef struct peer_link {
  uint32_t node;
  char endpoint[PEERS_ENDPOINT_BYTES];
  peer_state_t state;
  bool connects;   /* this node does */
  bool touched;    /* the DEALER is to be looked at */
  bool watched;    /* the monitor is in the loop */
  zsock_t *socket; /* DEALER */
  zsock_t *monitor;
  loop_source_t socket_source, monitor_source;
  uint8_t identity[PEER_IDENTITY_BYTES]; /* at who listens: of the link that counts */
  uint64_t incarnation, number;          /* of that link; at who connects: the last number */
  int64_t retry_ns; /* at who connects: the next attempt, or the end of this one; at who listens: the next probe */
  int64_t pause_ns;
  struct peer_link *next;
  struct peers *peers;
  atomic_uint_least64_t held_bytes; /* given back by ZeroMQ's thread */
} peer_link_t;

struct peers {
  peers_config_t config;
  loop_t *loop;
  peer_keys_t *keys;
  zsock_t *router;
  wire_decoder_t *decoder;
  loop_source_t router_source, keys_source;
  bool router_touched, keys_touched;
  peer_link_t *links;
  uint32_t link_count;
  uint64_t number;
  uint64_t counters[PEERS_COUNTER_COUNT];
};

static peer_link_t *peer_find(const peers_t *peers, uint32_t node) {
  peer_link_t *link = peers->links;
  while (link != NULL && link->node != node) {
    link = link->next;
  }
  return link;
}

/* ---- frames ---- */

typedef struct peer_frame {
  atomic_uint_least64_t *held;
  size_t size;
  uint8_t bytes[];
} peer_frame_t;

/* On ZeroMQ's I/O thread. */
static void peer_frame_free(void *data, void *hint) {
  peer_frame_t *frame = hint;
  (void)data;
  atomic_fetch_sub_explicit(frame->held, frame->size, memory_order_relaxed);
  free(frame);
}

static bool peer_frame_make(peer_link_t *link, const wire_message_t *message, vesta_bytes_t payload, zmq_msg_t *out,
                            size_t *bytes) {
  size_t room = wire_encoded_size_max(message);
  size_t head = 0;
  room = room > VESTA_FRAME_HEAD_BYTES_MAX ? VESTA_FRAME_HEAD_BYTES_MAX : room;
  peer_frame_t *frame = malloc(sizeof *frame + WIRE_PREFIX_BYTES + room + payload.size);
  if (frame == NULL) {
    return false;
  }
  VESTA_ASSERT(wire_encode(message, frame->bytes + WIRE_PREFIX_BYTES, room, &head) == VESTA_OK);
  wire_prefix_encode(frame->bytes, (uint32_t)head, (uint32_t)payload.size);
  if (payload.size > 0) {
    memcpy(frame->bytes + WIRE_PREFIX_BYTES + head, payload.data, payload.size);
  }
  frame->size = WIRE_PREFIX_BYTES + head + payload.size;
  frame->held = &link->held_bytes;
  if (zmq_msg_init_data(out, frame->bytes, frame->size, peer_frame_free, frame) != 0) {
    free(frame);
    return false;
  }
  atomic_fetch_add_explicit(frame->held, frame->size, memory_order_relaxed);
  *bytes = frame->size;
  return true;
}

/* Head and payload of what came; false: it is neither. */
static bool peer_frame_read(zmq_msg_t *frame, vesta_bytes_t *head, vesta_bytes_t *payload) {
  const uint8_t *bytes = zmq_msg_data(frame);
  size_t size = zmq_msg_size(frame);
  uint32_t head_bytes, payload_bytes;
  if (size < WIRE_PREFIX_BYTES || wire_prefix_decode(bytes, &head_bytes, &payload_bytes) != VESTA_OK ||
      size - WIRE_PREFIX_BYTES != (uint64_t)head_bytes + payload_bytes) {
    return false;
  }
  *head = vesta_bytes(bytes + WIRE_PREFIX_BYTES, head_bytes);
  *payload = vesta_bytes(bytes + WIRE_PREFIX_BYTES + head_bytes, payload_bytes);
  return true;
}

/* ---- sending ---- */

/* To the ROUTER, or the DEALER. False: there is no way to that node, or no memory. */
static bool peer_send_frame(peers_t *peers, peer_link_t *link, zmq_msg_t *frame) {
  if (link->connects) {
    link->touched = true;
    return zmq_msg_send(frame, zsock_resolve(link->socket), ZMQ_DONTWAIT) >= 0;
  }
  void *router = zsock_resolve(peers->router);
  peers->router_touched = true;
  return zmq_send(router, link->identity, sizeof link->identity, ZMQ_SNDMORE | ZMQ_DONTWAIT) >= 0 &&
         zmq_msg_send(frame, router, ZMQ_DONTWAIT) >= 0;
}

static bool peer_send(peers_t *peers, peer_link_t *link, const wire_message_t *message, vesta_bytes_t payload) {
  zmq_msg_t frame;
  size_t bytes;
  if (!peer_frame_make(link, message, payload, &frame, &bytes)) {
    return false;
  }
  if (!peer_send_frame(peers, link, &frame)) {
    (void)zmq_msg_close(&frame);
    return false;
  }
  peers->counters[PEERS_COUNTER_PEER_SENT]++;
  peers->counters[PEERS_COUNTER_PEER_SENT_BYTES] += bytes;
  return true;
}

/* What begins a link, or ends it. */
static wire_message_t peer_hello(const peers_t *peers, uint64_t number, vesta_err_t error) {
  return (wire_message_t){.kind = WIRE_PEER_HELLO,
                          .number = number,
                          .error = (uint64_t)error,
                          .node = peers->config.node_id,
                          .incarnation = peers->config.incarnation,
                          .version_min = peers->config.version_min,
                          .version_max = peers->config.version_max};
}

/* ---- links end ---- */

static void peer_socket_close(peer_link_t *link) {
  if (link->socket == NULL) {
    return;
  }
  if (link->socket_source.context != NULL) {
    loop_remove(link->peers->loop, &link->socket_source);
  }
  if (link->monitor_source.context != NULL) {
    loop_remove(link->peers->loop, &link->monitor_source);
  }
  link->socket_source = (loop_source_t){0};
  link->monitor_source = (loop_source_t){0};
  (void)zmq_socket_monitor(zsock_resolve(link->socket), NULL, 0);
  zsock_destroy(&link->monitor);
  zsock_destroy(&link->socket);
}

/* The link is over: everything that waits on it is lost. */
static void peer_end(peers_t *peers, peer_link_t *link, const char *why) {
  if (link->state == PEER_UP) {
    peers->counters[PEERS_COUNTER_PEER_LINKS_LOST]++;
    log_write(LOG_ID_PEER_LOST, "node=%" PRIu32 " text=\"%s\"", link->node, why);
  }
  link->state = PEER_DOWN;
  if (link->connects) {
    peer_socket_close(link);
    link->retry_ns = loop_steady_ns() + link->pause_ns;
    link->pause_ns = 2 * link->pause_ns > PEERS_RETRY_NS_MAX ? PEERS_RETRY_NS_MAX : 2 * link->pause_ns;
  }
}

/* Who listens can't end a connection: it asks the other side to. */
static void peer_give_up(peers_t *peers, peer_link_t *link, const char *why) {
  if (!link->connects) {
    wire_message_t goodbye = peer_hello(peers, link->number, VESTA_ERR_NO_RESOURCES);
    (void)peer_send(peers, link, &goodbye, vesta_bytes(NULL, 0));
  }
  peer_end(peers, link, why);
}

void peers_send(peers_t *peers, uint32_t node, const wire_message_t *message, vesta_bytes_t payload) {
  peer_link_t *link = peer_find(peers, node);
  if (link == NULL || link->state != PEER_UP) {
    peers->counters[PEERS_COUNTER_PEER_DROPPED]++;
    return;
  }
  if (atomic_load_explicit(&link->held_bytes, memory_order_relaxed) + payload.size > peers->config.queue_bytes_max) {
    peers->counters[PEERS_COUNTER_PEER_LINKS_FULL]++;
    peer_give_up(peers, link, "too much waits on it");
  } else if (!peer_send(peers, link, message, payload)) {
    peers->counters[PEERS_COUNTER_PEER_DROPPED]++;
    peer_give_up(peers, link, "it can't be sent to"); /* what was to be sent is lost: so is the link */
  }
}

/* ---- links begin ---- */

static void peer_up(peers_t *peers, peer_link_t *link) {
  link->state = PEER_UP;
  link->pause_ns = PEERS_RETRY_NS;
  peers->counters[PEERS_COUNTER_PEER_LINKS_MADE]++;
  log_write(LOG_ID_PEER_UP, "node=%" PRIu32 " link=%" PRIu64, link->node, link->number);
  peers->config.up(peers->config.context, link->node);
}

static void peer_source_ready(void *context, uint32_t events) {
  peer_link_t *link = context;
  (void)events;
  link->touched = true;
}

static zsock_t *peer_socket_new(int type) {
  zsock_t *socket = zsock_new(type);
  if (socket != NULL) {
    zsock_set_linger(socket, 0);
    zsock_set_sndhwm(socket, 0); /* counted in bytes, here */
    zsock_set_rcvhwm(socket, PEERS_MESSAGES_MAX);
    zsock_set_maxmsgsize(socket, (int)(VESTA_FRAME_BYTES_MAX + WIRE_PREFIX_BYTES));
    zsock_set_ipv6(socket, 1);
    zsock_set_heartbeat_ivl(socket, PEERS_HEARTBEAT_MS);
    zsock_set_heartbeat_timeout(socket, PEERS_HEARTBEAT_LIMIT_MS);
  }
  return socket;
}

static void peer_identity(const peers_t *peers, uint64_t number, uint8_t identity[PEER_IDENTITY_BYTES]) {
  uint64_t numbers[3] = {peers->config.node_id, peers->config.incarnation, number};
  identity[0] = 'V';
  memcpy(identity + 1, &numbers[0], 4);
  memcpy(identity + 5, &numbers[1], 8);
  memcpy(identity + 13, &numbers[2], 8);
}

/* A monitor, made before there is anything to be seen. */
static bool peer_monitor(peer_link_t *link) {
  char endpoint[64];
  (void)snprintf(endpoint, sizeof endpoint, "inproc://vesta-peer-%" PRIu32 "-%" PRIu64, link->node, link->number);
  int events = ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CLOSED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
               ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;
  if (zmq_socket_monitor(zsock_resolve(link->socket), endpoint, events) != 0) {
    return false;
  }
  link->monitor = zsock_new(ZMQ_PAIR);
  if (link->monitor == NULL) {
    return false;
  }
  zsock_set_linger(link->monitor, 0);
  return zsock_connect(link->monitor, "%s", endpoint) == 0;
}

static bool peer_connect(peers_t *peers, peer_link_t *link) {
  uint8_t identity[PEER_IDENTITY_BYTES];
  link->number = ++peers->number;
  link->socket = peer_socket_new(ZMQ_DEALER);
  if (link->socket == NULL) {
    return false;
  }
  peer_identity(peers, link->number, identity);
  zsock_set_reconnect_ivl(link->socket, -1);
  zsock_set_connect_timeout(link->socket, PEERS_CONNECT_LIMIT_MS);
  if (zmq_setsockopt(zsock_resolve(link->socket), ZMQ_ROUTING_ID, identity, sizeof identity) != 0 ||
      (peers->keys != NULL && !peer_keys_connect(peers->keys, link->socket, link->node)) || !peer_monitor(link) ||
      zsock_connect(link->socket, "%s", link->endpoint) != 0 ||
      !loop_add(peers->loop, &link->socket_source, zsock_fd(link->socket), EPOLLIN, peer_source_ready, link) ||
      !loop_add(peers->loop, &link->monitor_source, zsock_fd(link->monitor), EPOLLIN, peer_source_ready, link)) {
    return false;
  }
  wire_message_t hello = peer_hello(peers, link->number, VESTA_OK);
  return peer_send(peers, link, &hello, vesta_bytes(NULL, 0));
}

static void peer_try(peers_t *peers, peer_link_t *link, int64_t now_ns) {
  if (peer_connect(peers, link)) {
    link->state = PEER_TRIED;
    link->touched = true;
    link->retry_ns = now_ns + PEERS_HELLO_NS;
  } else {
    peer_end(peers, link, "");
  }
}

/* ---- receiving ---- */

/* A decoded message of a link; false: it is none. */
static bool peer_decode(peers_t *peers, zmq_msg_t *frame, wire_message_t *message, vesta_bytes_t *payload) {
  vesta_bytes_t head;
  if (peer_frame_read(frame, &head, payload) &&
      wire_decode(peers->decoder, head.data, head.size, message) == VESTA_OK) {
    return true;
  }
  peers->counters[PEERS_COUNTER_PEER_MALFORMED]++;
  return false;
}

static void peer_received(peers_t *peers, peer_link_t *link, const wire_message_t *message, vesta_bytes_t payload) {
  peers->counters[PEERS_COUNTER_PEER_RECEIVED]++;
  peers->config.received(peers->config.context, link->node, message, payload);
}

/* At who connects. */
static void peer_take_answer(peers_t *peers, peer_link_t *link, zmq_msg_t *frame) {
  wire_message_t message;
  vesta_bytes_t payload;
  if (!peer_decode(peers, frame, &message, &payload)) {
    peer_end(peers, link, "it sent what is no message");
  } else if (message.kind != WIRE_PEER_HELLO && link->state == PEER_UP) {
    peer_received(peers, link, &message, payload);
  } else if (message.kind == WIRE_PEER_HELLO && message.error == 0 && message.node == link->node) {
    if (link->state == PEER_TRIED) { /* else it is to see whether this node is there */
      peer_up(peers, link);
    }
  } else {
    peers->counters[PEERS_COUNTER_PEER_REFUSED] += link->state == PEER_TRIED ? 1 : 0;
    peer_end(peers, link, "the other side ended it");
  }
}

/* At who listens: a HELLO begins a link, if it is of one that was made later than the one that is known. */
static void peer_take_hello(peers_t *peers, const uint8_t identity[PEER_IDENTITY_BYTES], zmq_msg_t *frame,
                            const wire_message_t *hello) {
  peer_link_t *link = peer_find(peers, (uint32_t)hello->node);
  bool known = link != NULL && !link->connects && (peers->keys == NULL || peer_keys_node(frame) == link->node);
  if (!known) {
    peers->counters[PEERS_COUNTER_PEER_REFUSED]++; /* it tries again: this node may not have heard of it yet */
    log_write(LOG_ID_PEER_REFUSED, "node=%" PRIu64 " text=\"no such node, or not with this key\"", hello->node);
    return;
  }
  if (hello->incarnation < link->incarnation ||
      (hello->incarnation == link->incarnation && hello->number <= link->number)) {
    peers->counters[PEERS_COUNTER_PEER_STALE]++;
    return;
  }
  peer_end(peers, link, "there is a new one");
  link->incarnation = hello->incarnation;
  link->number = hello->number;
  memcpy(link->identity, identity, sizeof link->identity);
  wire_message_t answer = peer_hello(peers, link->number, VESTA_OK);
  if (peer_send(peers, link, &answer, vesta_bytes(NULL, 0))) {
    peer_up(peers, link);
  }
}

static void peer_take_asked(peers_t *peers, const uint8_t identity[PEER_IDENTITY_BYTES], zmq_msg_t *frame) {
  wire_message_t message;
  vesta_bytes_t payload;
  uint32_t node;
  memcpy(&node, identity + 1, sizeof node);
  peer_link_t *link = peer_find(peers, node);
  if (!peer_decode(peers, frame, &message, &payload)) {
    if (link != NULL && link->state == PEER_UP && memcmp(link->identity, identity, sizeof link->identity) == 0) {
      peer_give_up(peers, link, "it sent what is no message");
    }
  } else if (message.kind == WIRE_PEER_HELLO) {
    peer_take_hello(peers, identity, frame, &message);
  } else if (link == NULL || link->state != PEER_UP || memcmp(link->identity, identity, sizeof link->identity) != 0) {
    peers->counters[PEERS_COUNTER_PEER_STALE]++;
  } else {
    peer_received(peers, link, &message, payload);
  }
}

/* All frames of a message of the ROUTER, which are two. @return false: nothing is there */
static bool peers_take_router(peers_t *peers) {
  void *router = zsock_resolve(peers->router);
  zmq_msg_t frames[2];
  (void)zmq_msg_init(&frames[0]);
  (void)zmq_msg_init(&frames[1]);
  int count = 0;
  bool more = true;
  while (more && zmq_msg_recv(&frames[count > 1 ? 1 : count], router, ZMQ_DONTWAIT) >= 0) {
    more = zmq_msg_more(&frames[count > 1 ? 1 : count]) != 0;
    count++;
  }
  if (count == 2 && zmq_msg_size(&frames[0]) == PEER_IDENTITY_BYTES) {
    peer_take_asked(peers, zmq_msg_data(&frames[0]), &frames[1]);
  } else if (count > 0) {
    peers->counters[PEERS_COUNTER_PEER_MALFORMED]++;
  }
  (void)zmq_msg_close(&frames[0]);
  (void)zmq_msg_close(&frames[1]);
  return count > 0;
}

static bool peers_take_socket(peers_t *peers, peer_link_t *link) {
  zmq_msg_t frame;
  (void)zmq_msg_init(&frame);
  bool taken = zmq_msg_recv(&frame, zsock_resolve(link->socket), ZMQ_DONTWAIT) >= 0;
  if (taken && zmq_msg_more(&frame) == 0) {
    peer_take_answer(peers, link, &frame);
  }
  (void)zmq_msg_close(&frame);
  return taken;
}

/* ---- turns ---- */

/* Anything that the monitor says is the end of the connection; what came before it is taken first. */
static void peer_turn(peers_t *peers, peer_link_t *link, int64_t now_ns) {
  if (link->connects && link->state == PEER_DOWN && now_ns >= link->retry_ns) {
    peer_try(peers, link, now_ns);
  }
  if (link->state == PEER_TRIED && now_ns >= link->retry_ns) {
    peer_end(peers, link, "no answer");
  }
  if (!link->connects && link->state == PEER_UP && now_ns >= link->retry_ns) {
    wire_message_t hello = peer_hello(peers, link->number, VESTA_OK);
    link->retry_ns = now_ns + PEERS_PROBE_NS;
    if (!peer_send(peers, link, &hello, vesta_bytes(NULL, 0))) {
      peer_end(peers, link, "the connection is lost");
    }
  }
  if (!link->touched || link->socket == NULL) {
    return;
  }
  link->touched = false;
  for (int i = 0; link->socket != NULL && (zsock_events(link->socket) & ZMQ_POLLIN) != 0; i++) {
    if (i == PEERS_TAKES_PER_TURN) {
      link->touched = true;
      return;
    }
    (void)peers_take_socket(peers, link);
  }
  if (link->socket != NULL && (zsock_events(link->monitor) & ZMQ_POLLIN) != 0) {
    peer_end(peers, link, "the connection is lost");
  }
}

/* @return true when more is there, or was sent: then a socket's events are to be looked at again, ZeroMQ's descriptor
 * says so only once */
static bool peers_pass(peers_t *peers, int64_t now_ns) {
  bool more = false;
  for (peer_link_t *link = peers->links; link != NULL; link = link->next) {
    peer_turn(peers, link, now_ns);
  }
  if (peers->router_touched) {
    peers->router_touched = false;
    for (int i = 0; (zsock_events(peers->router) & ZMQ_POLLIN) != 0; i++) {
      if (i == PEERS_TAKES_PER_TURN) {
        peers->router_touched = true;
        break;
      }
      (void)peers_take_router(peers);
    }
  }
  for (const peer_link_t *link = peers->links; link != NULL; link = link->next) {
    more |= link->touched && link->socket != NULL;
  }
  return more || peers->router_touched;
}

bool peers_turn(peers_t *peers, int64_t now_ns) {
  bool more = true;
  if (peers->keys_touched) {
    peers->keys_touched = false;
    peers->counters[PEERS_COUNTER_PEER_REFUSED] += peer_keys_turn(peers->keys, now_ns);
  }
  for (int i = 0; more && i < PEERS_PASSES_PER_TURN; i++) {
    more = peers_pass(peers, now_ns);
  }
  return more;
}

int64_t peers_wake_ns(const peers_t *peers) {
  int64_t wake_ns = INT64_MAX;
  if (peers->router_touched || peers->keys_touched) {
    return 0;
  }
  for (const peer_link_t *link = peers->links; link != NULL; link = link->next) {
    if (link->touched && link->socket != NULL) {
      return 0;
    }
    if (link->connects == (link->state != PEER_UP) && link->retry_ns < wake_ns) {
      wake_ns = link->retry_ns;
    }
  }
  return wake_ns;
}

/* ---- life ---- */

void peers_set(peers_t *peers, uint32_t node, const char *endpoint) {
  peer_link_t *link = peer_find(peers, node);
  if (node == peers->config.node_id || (link != NULL && strcmp(link->endpoint, endpoint) == 0)) {
    return;
  }
  if (link == NULL) {
    link = peers->link_count == VESTA_NODES_MAX ? NULL : calloc(1, sizeof *link);
    if (link == NULL) {
      log_write(LOG_ID_PEER_REFUSED, "node=%" PRIu32 " text=\"no room for another node\"", node);
      return;
    }
    *link = (peer_link_t){.node = node,
                          .connects = peers->config.node_id > node,
                          .pause_ns = PEERS_RETRY_NS,
                          .next = peers->links,
                          .peers = peers};
    peers->links = link;
    peers->link_count++;
  } else {
    peer_end(peers, link, "its address has changed");
  }
  (void)snprintf(link->endpoint, sizeof link->endpoint, "%s", endpoint);
  link->retry_ns = 0;
}

static void peers_router_ready(void *context, uint32_t events) {
  peers_t *peers = context;
  (void)events;
  peers->router_touched = true;
}

static void peers_keys_ready(void *context, uint32_t events) {
  peers_t *peers = context;
  (void)events;
  peers->keys_touched = true;
}

static bool peers_listen(peers_t *peers) {
  peers->router = peer_socket_new(ZMQ_ROUTER);
  if (peers->router == NULL) {
    return false;
  }
  zsock_set_router_mandatory(peers->router, 1);
  if (peers->keys != NULL) {
    peer_keys_serve(peers->keys, peers->router);
  }
  return zsock_bind(peers->router, "%s", peers->config.listen) >= 0 &&
         loop_add(peers->loop, &peers->router_source, zsock_fd(peers->router), EPOLLIN, peers_router_ready, peers) &&
         (peers->keys == NULL ||
          loop_add(peers->loop, &peers->keys_source, peer_keys_fd(peers->keys), EPOLLIN, peers_keys_ready, peers));
}

vesta_err_t peers_open(const peers_config_t *config, loop_t *loop, peers_t **out, char *why, size_t why_size) {
  peers_t *peers = calloc(1, sizeof *peers);
  vesta_err_t err = VESTA_ERR_NO_MEMORY;
  (void)snprintf(why, why_size, "out of memory");
  if (peers == NULL) {
    return err;
  }
  peers->config = *config;
  peers->loop = loop;
  peers->decoder = wire_decoder_new();
  if (peers->decoder == NULL) {
    goto out;
  }
  if (config->key_file != NULL) {
    err = peer_keys_open(config->key_file, config->keys_dir, &peers->keys, why, why_size);
    if (err != VESTA_OK) {
      goto out;
    }
  }
  if (!peers_listen(peers)) {
    (void)snprintf(why, why_size, "cannot listen for other nodes at %s: %s", config->listen, zmq_strerror(errno));
    err = VESTA_ERR_NO_RESOURCES;
    goto out;
  }
  peers->router_touched = true;
  peers->keys_touched = peers->keys != NULL;
  *out = peers;
  return VESTA_OK;
out:
  peers_close(peers);
  peers_destroy(&peers);
  return err;
}

void peers_close(peers_t *peers) {
  if (peers == NULL) {
    return;
  }
  for (peer_link_t *link = peers->links; link != NULL; link = link->next) {
    peer_socket_close(link);
    link->state = PEER_DOWN;
  }
  if (peers->router_source.context != NULL) {
    loop_remove(peers->loop, &peers->router_source);
  }
  if (peers->keys_source.context != NULL) {
    loop_remove(peers->loop, &peers->keys_source);
  }
  zsock_destroy(&peers->router);
  peer_keys_close(&peers->keys);
}

void peers_destroy(peers_t **peers) {
  if (*peers == NULL) {
    return;
  }
  while ((*peers)->links != NULL) {
    peer_link_t *link = (*peers)->links;
    (*peers)->links = link->next;
    free(link);
  }
  wire_decoder_destroy(&(*peers)->decoder);
  free(*peers);
  *peers = NULL;
}

bool peers_is_up(const peers_t *peers, uint32_t node) {
  const peer_link_t *link = peer_find(peers, node);
  return link != NULL && link->state == PEER_UP;
}

uint64_t peers_counter(const peers_t *peers, peers_counter_t counter) {
  uint64_t links = 0;
  uint64_t held_bytes = 0;
  for (const peer_link_t *link = peers->links; link != NULL; link = link->next) {
    links += link->state == PEER_UP ? 1 : 0;
    held_bytes += atomic_load_explicit(&link->held_bytes, memory_order_relaxed);
  }
  switch (counter) {
    case PEERS_COUNTER_PEER_LINKS: return links;
    case PEERS_COUNTER_PEER_HELD_BYTES: return held_bytes;
    default: /* those that are counted */ return peers->counters[counter];
  }
}
