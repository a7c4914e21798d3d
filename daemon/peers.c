/* SPDX-License-Identifier: BSD-2-Clause
 *
 * One ROUTER for those who introduce themselves to this node; a DEALER for each node that this one connects to, until it
 * is introduced; and each link's stream.
 *
 *   link, at who connects:  DOWN -- retry is due: HELLO --> TRIED -- HELLO comes: connect; established: token --> UP
 *   link, at who listens:   DOWN -- HELLO comes: HELLO with a token --> TRIED -- a stream shows the token --> UP
 *   both:                   TRIED, UP -- lost, refused, full, too late --> DOWN;  at who listens a newer HELLO: TRIED anew
 */
#include "daemon/peers.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <czmq.h>

#include "daemon/accept_guard.h"
#include "daemon/log.h"
#include "daemon/peer_door.h"
#include "daemon/peer_entrance.h"
#include "daemon/peer_introduction.h"
#include "daemon/peer_stream.h"

#define PEER_IDENTITY_BYTES 21U /* 'V', node, incarnation, number of the link */
#define PEER_HELLO_BYTES 512U   /* a whole HELLO */
#define PEERS_TAKES_PER_TURN 64 /* of one socket, and pass */
#define PEERS_PASSES_PER_TURN 4
#define PEERS_CONNECT_LIMIT_MS 2000
#define PEERS_MESSAGES_MAX 1000 /* HELLOs that were received and not taken yet, of one node */
#define PEERS_ENDED                                                                   \
  (ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CLOSED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | \
   ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)
#define PEERS_MAPPED "::ffff:" /* an address of IPv4, as it is said by a socket that is for both */

typedef enum peer_state { PEER_DOWN, PEER_TRIED, PEER_UP } peer_state_t;

typedef struct peer_link {
  uint32_t node;
  char name[12]; /* its number: what its key is known by */
  char endpoint[PEERS_ENDPOINT_BYTES];
  peer_state_t state;
  bool connects;   /* this node does */
  bool touched;    /* the DEALER is to be looked at */
  zsock_t *socket; /* DEALER; NULL: this link is introduced, or is not tried now */
  zsock_t *monitor;
  loop_source_t socket_source, monitor_source;
  uint64_t incarnation, number; /* at who listens: of the last HELLO; at who connects: the last number */
  int64_t retry_ns;             /* DOWN at who connects: the next attempt; TRIED: the end of this one */
  int64_t pause_ns;
  char address[ACCEPT_GUARD_ADDRESS_BYTES]; /* at who listens: where the last HELLO came from */
  bool hurries;                             /* what is gathered goes at the end of this turn */
  bool went;                                /* since the timer was started all that was gathered has gone */
  bool soon;                                /* the last answer came within awake_ns, and none is late now */
  int64_t asked_ns;                         /* something awaited went then, and nothing has come since; 0: no */
  peer_introduction_t introduction;         /* TRIED: what the stream begins with */
  peer_stream_t stream;
  struct peer_link *next;
  struct peers *peers;
} peer_link_t;

struct peers {
  peers_config_t config;
  loop_t *loop;
  peer_door_t *door;
  zsock_t *router; /* the door's */
  peer_entrance_t *entrance;
  peer_stream_room_t room;
  wire_decoder_t *decoder;
  loop_source_t router_source, timer_source;
  bool router_touched;
  bool timer_runs; /* then what was gathered goes */
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
  link->hurries = link->soon = false;
  link->asked_ns = 0;
  peer_stream_close(&link->stream);
  peer_socket_close(link);
  if (link->connects) {
    link->retry_ns = loop_steady_ns() + link->pause_ns;
    link->pause_ns = 2 * link->pause_ns > PEERS_RETRY_NS_MAX ? PEERS_RETRY_NS_MAX : 2 * link->pause_ns;
  }
}

/* ---- what is said ---- */

/* What nobody waits for waits for company: a commit goes with the next operation, and asynchronous operations go several
 * at once. Each would cost a system call here and a wake-up there. The timer is not stopped when there is nothing left
 * to be sent: to set it costs more than to be woken up by it (doc/adr/0017). */
static void peers_timer_start(peers_t *peers) {
  const struct itimerspec once = {.it_value.tv_nsec = PEERS_GATHER_NS};
  peers->timer_runs = timerfd_settime(peers->timer_source.fd, 0, &once, NULL) == 0;
  for (peer_link_t *link = peers->links; link != NULL; link = link->next) {
    link->went = false;
  }
}

void peers_send(peers_t *peers, uint32_t node, const wire_message_t *message, vesta_bytes_t payload, bool awaited) {
  peer_link_t *link = peer_find(peers, node);
  size_t bytes;
  if (link == NULL || link->state != PEER_UP) {
    peers->counters[PEERS_COUNTER_PEER_DROPPED]++;
  } else if (peer_stream_waiting_bytes(&link->stream) + payload.size > peers->config.queue_bytes_max) {
    peers->counters[PEERS_COUNTER_PEER_LINKS_FULL]++;
    peer_end(peers, link, "too much waits on it");
  } else if (peer_stream_send(&link->stream, message, payload, &bytes)) {
    peers->counters[PEERS_COUNTER_PEER_SENT]++;
    peers->counters[PEERS_COUNTER_PEER_SENT_BYTES] += bytes;
    link->hurries = link->hurries || awaited;
    if (!awaited && !peers->timer_runs) {
      peers_timer_start(peers);
    }
  } else {
    peers->counters[PEERS_COUNTER_PEER_DROPPED]++;
    peer_end(peers, link, "it can't be sent to"); /* what was to be sent is lost: so is the link */
  }
}

static void peer_flush(peers_t *peers, peer_link_t *link) {
  link->hurries = false;
  link->went = true;
  if (!peer_stream_flush(&link->stream)) {
    peer_end(peers, link, "it can't be sent to");
  }
}

void peers_flush(peers_t *peers, int64_t now_ns) {
  for (peer_link_t *link = peers->links; link != NULL; link = link->next) {
    if (link->hurries) {
      bool late = link->asked_ns != 0 && now_ns - link->asked_ns >= peers->config.awake_ns; /* what is owed still */
      link->soon = link->soon && !late;
      link->asked_ns = now_ns;
      peer_flush(peers, link);
    }
  }
}

static void peers_timer_ready(void *context, uint32_t events) {
  peers_t *peers = context;
  uint64_t times;
  (void)events;
  peers->timer_runs = read(peers->timer_source.fd, &times, sizeof times) != (ssize_t)sizeof times;
  if (peers->timer_runs) {
    return;
  }
  bool again = false; /* what is there has come after something awaited, which may be followed by more */
  for (peer_link_t *link = peers->links; link != NULL; link = link->next) {
    if (link->went && peer_stream_waiting_bytes(&link->stream) > 0) {
      again = true;
    } else {
      peer_flush(peers, link);
    }
  }
  if (again) {
    peers_timer_start(peers);
  }
}

static void peer_up(peers_t *peers, peer_link_t *link) {
  link->state = PEER_UP;
  link->pause_ns = PEERS_RETRY_NS;
  peers->counters[PEERS_COUNTER_PEER_LINKS_MADE]++;
  log_write(LOG_ID_PEER_UP, "node=%" PRIu32 " link=%" PRIu64, link->node, link->number);
  peers->config.up(peers->config.context, link->node);
}

/* What one side says is sealed with the one key, what the other says with the other; a token is good for one stream. */
static void peer_stream_begin(peer_link_t *link) {
  const peer_introduction_t *introduction = &link->introduction;
  if (introduction->sealed) {
    peer_stream_seal(&link->stream, introduction->keys[link->connects ? 0 : 1],
                     introduction->keys[link->connects ? 1 : 0]);
  }
  explicit_bzero(&link->introduction, sizeof link->introduction);
}

/* At who connects. */
static void peer_stream_opened(void *context) {
  peer_link_t *link = context;
  if (peer_stream_greet(&link->stream, vesta_bytes(link->introduction.token, sizeof link->introduction.token))) {
    peer_stream_begin(link);
    peer_up(link->peers, link);
  } else {
    peer_end(link->peers, link, "it can't be sent to");
  }
}

static void peer_stream_ended(void *context, const char *why) {
  peer_link_t *link = context;
  link->peers->counters[PEERS_COUNTER_PEER_REFUSED] += link->state == PEER_TRIED ? 1 : 0;
  peer_end(link->peers, link, why);
}

static void peer_stream_frame(void *context, vesta_bytes_t head, vesta_bytes_t payload) {
  peer_link_t *link = context;
  peers_t *peers = link->peers;
  wire_message_t message;
  if (wire_decode(peers->decoder, head.data, head.size, &message) != VESTA_OK) {
    peers->counters[PEERS_COUNTER_PEER_MALFORMED]++;
    peer_end(peers, link, "it sent what is no message");
    return;
  }
  peers->counters[PEERS_COUNTER_PEER_RECEIVED]++;
  if (link->asked_ns != 0) {
    bool awake = link->soon;
    link->soon = loop_steady_ns() - link->asked_ns < peers->config.awake_ns;
    link->asked_ns = 0;
    peers->counters[PEERS_COUNTER_PEER_AWAKE] += awake && link->soon ? 1 : 0;
  }
  peers->config.received(peers->config.context, link->node, &message, payload);
}

static const peer_stream_sink_t peer_sink = {
    .opened = peer_stream_opened, .frame = peer_stream_frame, .ended = peer_stream_ended};

static const char *address_plain(const char *address) {
  size_t mapped = sizeof PEERS_MAPPED - 1;
  return strncmp(address, PEERS_MAPPED, mapped) == 0 ? address + mapped : address;
}

/* At who listens: a token is outstanding. */
static bool peer_is_expected(const peer_link_t *link) { return link->state == PEER_TRIED && !link->connects; }

static bool peer_expected_from(void *context, const char *address) {
  const peers_t *peers = context;
  for (const peer_link_t *link = peers->links; link != NULL; link = link->next) {
    if (peer_is_expected(link) && strcmp(link->address, address_plain(address)) == 0) {
      return true;
    }
  }
  return false;
}

/* At who listens: a connection shows a token. */
static bool peer_shown(void *context, const uint8_t token[PEER_TOKEN_BYTES], int fd) {
  peers_t *peers = context;
  for (peer_link_t *link = peers->links; link != NULL; link = link->next) {
    if (peer_is_expected(link) && peer_introduction_has_token(&link->introduction, token)) {
      if (!peer_stream_adopt(&link->stream, fd)) {
        return false;
      }
      peer_stream_begin(link);
      peer_up(peers, link);
      return true;
    }
  }
  return false;
}

/* ---- introductions ---- */

/* A HELLO as it goes through ZeroMQ: prefix, head, payload. @return its size */
static size_t peer_hello(const peers_t *peers, uint64_t number, const peer_introduction_t *introduction,
                         uint8_t bytes[PEER_HELLO_BYTES]) {
  const wire_message_t hello = {.kind = WIRE_PEER_HELLO,
                                .number = number,
                                .node = peers->config.node_id,
                                .incarnation = peers->config.incarnation,
                                .version_min = peers->config.version_min,
                                .version_max = peers->config.version_max};
  size_t head = 0;
  size_t payload = 0;
  VESTA_ASSERT(wire_encode(&hello, bytes + WIRE_PREFIX_BYTES, PEER_HELLO_BYTES / 2, &head) == VESTA_OK);
  if (introduction != NULL) {
    payload = peer_introduction_write(introduction, bytes + WIRE_PREFIX_BYTES + head);
  }
  wire_prefix_encode(bytes, (uint32_t)head, (uint32_t)payload);
  return WIRE_PREFIX_BYTES + head + payload;
}

/* A HELLO that came; false: it is none. */
static bool peer_hello_read(peers_t *peers, zmq_msg_t *frame, wire_message_t *hello, vesta_bytes_t *payload) {
  const uint8_t *bytes = zmq_msg_data(frame);
  size_t size = zmq_msg_size(frame);
  uint32_t head_bytes, payload_bytes;
  if (size >= WIRE_PREFIX_BYTES && wire_prefix_decode(bytes, &head_bytes, &payload_bytes) == VESTA_OK &&
      size - WIRE_PREFIX_BYTES == (uint64_t)head_bytes + payload_bytes &&
      wire_decode(peers->decoder, bytes + WIRE_PREFIX_BYTES, head_bytes, hello) == VESTA_OK &&
      hello->kind == WIRE_PEER_HELLO) {
    *payload = vesta_bytes(bytes + WIRE_PREFIX_BYTES + head_bytes, payload_bytes);
    return true;
  }
  peers->counters[PEERS_COUNTER_PEER_MALFORMED]++;
  return false;
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
    zsock_set_rcvhwm(socket, PEERS_MESSAGES_MAX);
    zsock_set_maxmsgsize(socket, PEER_HELLO_BYTES);
    zsock_set_ipv6(socket, 1);
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

static bool peer_monitor(peer_link_t *link) {
  char endpoint[64];
  (void)snprintf(endpoint, sizeof endpoint, "inproc://vesta-peer-%" PRIu32 "-%" PRIu64, link->node, link->number);
  link->monitor = peer_door_monitor(link->socket, endpoint, PEERS_ENDED);
  return link->monitor != NULL;
}

static bool peer_connect(peers_t *peers, peer_link_t *link) {
  curve_keys_t *keys = peer_door_keys(peers->door);
  uint8_t identity[PEER_IDENTITY_BYTES];
  uint8_t hello[PEER_HELLO_BYTES];
  link->number = ++peers->number;
  link->socket = peer_socket_new(ZMQ_DEALER);
  if (link->socket == NULL) {
    return false;
  }
  peer_identity(peers, link->number, identity);
  zsock_set_reconnect_ivl(link->socket, -1);
  zsock_set_connect_timeout(link->socket, PEERS_CONNECT_LIMIT_MS);
  if (zmq_setsockopt(zsock_resolve(link->socket), ZMQ_ROUTING_ID, identity, sizeof identity) != 0 ||
      (keys != NULL && !curve_keys_connect(keys, zsock_resolve(link->socket), link->name)) || !peer_monitor(link) ||
      zsock_connect(link->socket, "%s", link->endpoint) != 0 ||
      !loop_add(peers->loop, &link->socket_source, zsock_fd(link->socket), EPOLLIN, peer_source_ready, link) ||
      !loop_add(peers->loop, &link->monitor_source, zsock_fd(link->monitor), EPOLLIN, peer_source_ready, link)) {
    return false;
  }
  size_t size = peer_hello(peers, link->number, NULL, hello);
  return zmq_send(zsock_resolve(link->socket), hello, size, ZMQ_DONTWAIT) >= 0;
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

/* At who connects: introduced. The stream goes where the answer came from. */
static void peer_take_answer(peers_t *peers, peer_link_t *link, zmq_msg_t *frame) {
  wire_message_t hello;
  vesta_bytes_t payload;
  const char *address = zmq_msg_gets(frame, "Peer-Address");
  if (!peer_hello_read(peers, frame, &hello, &payload) || hello.node != link->node || hello.number != link->number ||
      !peer_introduction_read(&link->introduction, payload, peer_door_keys(peers->door) != NULL) || address == NULL ||
      !peer_stream_connect(&link->stream, address, link->introduction.port)) {
    peers->counters[PEERS_COUNTER_PEER_REFUSED]++;
    peer_end(peers, link, "it introduces itself wrongly");
    return;
  }
  peer_socket_close(link);
}

/* With keys a node is believed while it has one. */
static bool peer_is_believed(peers_t *peers, const peer_link_t *link, zmq_msg_t *frame) {
  curve_keys_t *keys = peer_door_keys(peers->door);
  const char *name = zmq_msg_gets(frame, "User-Id");
  return keys == NULL ||
         (name != NULL && strcmp(name, link->name) == 0 && curve_keys_has(keys, name, loop_steady_ns()));
}

/* Is it of no later link than the one that is known? A node whose clock was put back says that it began earlier: it is
 * believed when there is no link that it could end. */
static bool peer_is_stale(const peer_link_t *link, const wire_message_t *hello) {
  return hello->incarnation == link->incarnation ? hello->number <= link->number
                                                 : link->state == PEER_UP && hello->incarnation < link->incarnation;
}

/* At who listens: a HELLO begins a link, if it is of one that was made later than the one that is known. */
static void peer_take_hello(peers_t *peers, const uint8_t identity[PEER_IDENTITY_BYTES], zmq_msg_t *frame) {
  wire_message_t hello;
  vesta_bytes_t payload;
  uint8_t answer[PEER_HELLO_BYTES];
  if (!peer_hello_read(peers, frame, &hello, &payload) || peers->link_count == 0) {
    return; /* as long as corosync has not told which nodes there are nobody is strange: it tries again */
  }
  const char *address = zmq_msg_gets(frame, "Peer-Address");
  address = address == NULL ? "" : address_plain(address);
  peer_link_t *link = peer_find(peers, (uint32_t)hello.node);
  if (link == NULL || link->connects || !peer_is_believed(peers, link, frame)) {
    peers->counters[PEERS_COUNTER_PEER_REFUSED]++; /* it tries again: this node may not have heard of it yet */
    peer_door_name(peers->door, address, hello.node, "no such node, or not with this key");
    return;
  }
  if (peer_is_stale(link, &hello)) {
    peers->counters[PEERS_COUNTER_PEER_STALE]++;
    if (hello.incarnation != link->incarnation) {
      peer_door_name(peers->door, address, hello.node, "it began before the one that is linked");
    }
    return;
  }
  peer_end(peers, link, "there is a new one");
  (void)snprintf(link->address, sizeof link->address, "%s", address);
  link->incarnation = hello.incarnation;
  link->number = hello.number;
  if (!peer_introduction_draw(&link->introduction, peer_entrance_port(peers->entrance),
                              peer_door_keys(peers->door) != NULL)) {
    return;
  }
  size_t size = peer_hello(peers, link->number, &link->introduction, answer);
  void *router = zsock_resolve(peers->router);
  if (zmq_send(router, identity, PEER_IDENTITY_BYTES, ZMQ_SNDMORE | ZMQ_DONTWAIT) >= 0 &&
      zmq_send(router, answer, size, ZMQ_DONTWAIT) >= 0) {
    link->state = PEER_TRIED;
    link->retry_ns = loop_steady_ns() + PEERS_HELLO_NS;
  }
  peers->router_touched = true;
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
    peer_take_hello(peers, zmq_msg_data(&frames[0]), &frames[1]);
  } else if (count > 0) {
    peers->counters[PEERS_COUNTER_PEER_MALFORMED]++;
  }
  (void)zmq_msg_close(&frames[0]);
  (void)zmq_msg_close(&frames[1]);
  return count > 0;
}

static void peers_take_socket(peers_t *peers, peer_link_t *link) {
  zmq_msg_t frame;
  (void)zmq_msg_init(&frame);
  if (zmq_msg_recv(&frame, zsock_resolve(link->socket), ZMQ_DONTWAIT) >= 0 && zmq_msg_more(&frame) == 0) {
    peer_take_answer(peers, link, &frame);
  }
  (void)zmq_msg_close(&frame);
}

/* ---- turns ---- */

/* Anything that the monitor says is the end of the introduction; what came before it is taken first. */
static void peer_turn(peers_t *peers, peer_link_t *link, int64_t now_ns) {
  if (link->connects && link->state == PEER_DOWN && now_ns >= link->retry_ns) {
    peer_try(peers, link, now_ns);
  }
  if (link->state == PEER_TRIED && now_ns >= link->retry_ns) {
    peer_end(peers, link, "no answer");
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
    peers_take_socket(peers, link);
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

static bool peers_expect(const peers_t *peers) {
  const peer_link_t *link = peers->links;
  while (link != NULL && !peer_is_expected(link)) {
    link = link->next;
  }
  return link != NULL;
}

bool peers_turn(peers_t *peers, int64_t now_ns) {
  bool more = true;
  peers->counters[PEERS_COUNTER_PEER_REFUSED] += peer_entrance_turn(peers->entrance, now_ns);
  peers->counters[PEERS_COUNTER_PEER_REFUSED] += peer_door_turn(peers->door, now_ns);
  for (int i = 0; more && i < PEERS_PASSES_PER_TURN; i++) {
    more = peers_pass(peers, now_ns);
  }
  peer_entrance_admit(peers->entrance, peers_expect(peers));
  return more;
}

int64_t peers_wake_ns(const peers_t *peers) {
  int64_t wake_ns = peer_entrance_wake_ns(peers->entrance);
  if (peers->router_touched || peer_door_is_touched(peers->door)) {
    return 0;
  }
  for (const peer_link_t *link = peers->links; link != NULL; link = link->next) {
    if (link->touched && link->socket != NULL) {
      return 0;
    }
    if (link->hurries) {
      return 0;
    }
    bool waits = link->state == PEER_TRIED || (link->state == PEER_DOWN && link->connects);
    if (waits && link->retry_ns < wake_ns) {
      wake_ns = link->retry_ns;
    }
  }
  return wake_ns;
}

int64_t peers_awake_ns(const peers_t *peers) {
  int64_t asked_ns = INT64_MIN;
  for (const peer_link_t *link = peers->links; link != NULL; link = link->next) {
    if (link->soon && link->asked_ns > asked_ns && link->asked_ns != 0) {
      asked_ns = link->asked_ns;
    }
  }
  return asked_ns == INT64_MIN ? INT64_MIN : asked_ns + peers->config.awake_ns;
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
    (void)snprintf(link->name, sizeof link->name, "%" PRIu32, node);
    peer_stream_init(&link->stream, &peers->room, &peer_sink, link);
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

static bool peers_listen(peers_t *peers) {
  zsock_t *router = peer_socket_new(ZMQ_ROUTER);
  if (router == NULL) {
    return false;
  }
  zsock_set_router_mandatory(router, 1);
  if (!peer_door_bind(peers->door, router)) {
    return false;
  }
  peers->router = router;
  char *endpoint = zsock_last_endpoint(router);
  peers->entrance =
      endpoint == NULL ? NULL : peer_entrance_open(peers->loop, endpoint, peer_shown, peer_expected_from, peers);
  zstr_free(&endpoint);
  return peers->entrance != NULL &&
         loop_add(peers->loop, &peers->router_source, zsock_fd(router), EPOLLIN, peers_router_ready, peers);
}

static bool peers_timer_open(peers_t *peers) {
  int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  if (timer >= 0 && !loop_add(peers->loop, &peers->timer_source, timer, EPOLLIN, peers_timer_ready, peers)) {
    (void)close(timer);
  }
  return peers->timer_source.context != NULL;
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
  if (!peer_stream_room_init(&peers->room, loop) || peers->decoder == NULL || !peers_timer_open(peers)) {
    goto out;
  }
  const peer_door_config_t door = {.node_id = config->node_id,
                                   .incarnation = config->incarnation,
                                   .listen = config->listen,
                                   .key_file = config->key_file,
                                   .keys_dir = config->keys_dir};
  err = peer_door_open(&door, loop, &peers->door, why, why_size);
  if (err != VESTA_OK) {
    goto out;
  }
  if (!peers_listen(peers)) {
    (void)snprintf(why, why_size, "cannot listen for other nodes at %s: %s", config->listen, zmq_strerror(errno));
    err = VESTA_ERR_NO_RESOURCES;
    goto out;
  }
  peers->router_touched = true;
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
    peer_stream_close(&link->stream);
    link->state = PEER_DOWN;
  }
  peer_entrance_close(&peers->entrance);
  if (peers->router_source.context != NULL) {
    loop_remove(peers->loop, &peers->router_source);
  }
  if (peers->timer_source.context != NULL) {
    loop_remove(peers->loop, &peers->timer_source);
    (void)close(peers->timer_source.fd);
  }
  peers->router = NULL;
  peer_door_close(&peers->door);
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
  peer_stream_room_fini(&(*peers)->room);
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
    held_bytes += peer_stream_waiting_bytes(&link->stream);
  }
  switch (counter) {
    case PEERS_COUNTER_PEER_LINKS: return links;
    case PEERS_COUNTER_PEER_HELD_BYTES: return held_bytes;
    case PEERS_COUNTER_PEER_LINKS_REFUSED: return peer_door_links_refused(peers->door);
    default: /* those that are counted */ return peers->counters[counter];
  }
}
