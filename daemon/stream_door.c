/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A socket's monitor says which handshakes failed; that of a key which is not known is told by ZeroMQ's question
 * (curve_keys.h), with the key. "It failed" is followed at once by "that connection is gone", which has its descriptor.
 * Who just went away in the middle of it is not named where guests come from: one that is closed early does that.
 */
#include "daemon/stream_door.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "core/limits.h"
#include "daemon/accept_guard.h"
#include "daemon/curve_keys.h"
#include "daemon/log.h"
#include "notify/zmq/stream_endpoint.h"

#define DOOR_ENDPOINT_BYTES 160U
#define DOOR_HANDSHAKE_MS 5000        /* who has not come in by then is put out */
#define DOOR_HEARTBEAT_MS 5000        /* an idle connection is tried this often, */
#define DOOR_HEARTBEAT_LIMIT_MS 15000 /* and is dead when nothing came for so long */
#define DOOR_EVENTS_PER_TURN 64
#define DOOR_BACKLOG 1024               /* connections that come at once, when a service is back, say */
#define DOOR_CUT_NS INT64_C(1000000000) /* between two lines of the log about who was cut */
#define DOOR_FAILED (ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL)

/* One of the two ports. */
typedef struct door_port {
  void *monitor; /* PAIR; NULL: not bound yet */
  loop_source_t source;
  bool failed; /* a handshake has: whose is said next */
  bool ended;  /* the same, for no other reason than that it ended, as a guest's may that is closed early */
} door_port_t;

struct stream_door {
  loop_t *loop;
  void *context;
  char address[DOOR_ENDPOINT_BYTES]; /* "tcp://ADDRESS" */
  uint16_t port;
  curve_keys_t *keys; /* NULL: none */
  loop_source_t keys_source;
  door_port_t ports[2]; /* of the ROUTER, of the XPUB */
  bool touched;
  strangers_t strangers;
  int64_t cut_ns; /* who is cut is not named before */
  uint64_t counters[STREAM_DOOR_COUNTER_COUNT];
};

uint16_t stream_door_port(const stream_door_t *door, int type) {
  return (uint16_t)(door->port + (type == ZMQ_XPUB ? 1 : 0));
}

static void door_ready(void *context, uint32_t events) {
  stream_door_t *door = context;
  (void)events;
  door->touched = true; /* looked at when the turn ends */
}

static int door_fd(void *socket) {
  int fd = -1;
  size_t size = sizeof fd;
  (void)zmq_getsockopt(socket, ZMQ_FD, &fd, &size);
  return fd;
}

/* ---- life ---- */

vesta_err_t stream_door_open(const stream_door_config_t *config, void *context, loop_t *loop, stream_door_t **out,
                             char *why, size_t why_size) {
  stream_door_t *door = calloc(1, sizeof *door);
  vesta_err_t err = VESTA_ERR_NO_MEMORY;
  (void)snprintf(why, why_size, "out of memory");
  if (door == NULL) {
    return err;
  }
  door->loop = loop;
  door->context = context;
  door->port = stream_endpoint_port(config->listen);
  VESTA_ASSERT(door->port != 0 && strlen(config->listen) < sizeof door->address); /* options_complete() */
  (void)snprintf(door->address, sizeof door->address, "%.*s", (int)(strrchr(config->listen, ':') - config->listen),
                 config->listen);
  if (config->key_file != NULL) {
    const curve_keys_config_t keys = {.context = context,
                                      .key_file = config->key_file,
                                      .keys_dir = config->keys_dir,
                                      .keys_max = VESTA_GUEST_KEYS_MAX,
                                      .strangers = &door->strangers};
    err = curve_keys_open(&keys, &door->keys, why, why_size);
    if (err != VESTA_OK) {
      goto out;
    }
    err = VESTA_ERR_NO_MEMORY;
    if (!loop_add(loop, &door->keys_source, curve_keys_fd(door->keys), EPOLLIN, door_ready, door)) {
      goto out;
    }
  }
  accept_guard_door(stream_door_port(door, ZMQ_ROUTER), VESTA_GUEST_LINKS_MAX);
  accept_guard_door(stream_door_port(door, ZMQ_XPUB), VESTA_GUEST_LINKS_MAX);
  door->touched = true;
  *out = door;
  return VESTA_OK;
out:
  stream_door_close(&door);
  return err;
}

void stream_door_close(stream_door_t **door_pointer) {
  stream_door_t *door = *door_pointer;
  if (door == NULL) {
    return;
  }
  if (door->keys_source.context != NULL) {
    loop_remove(door->loop, &door->keys_source);
  }
  for (size_t i = 0; i < sizeof door->ports / sizeof door->ports[0]; i++) {
    if (door->ports[i].source.context != NULL) {
      loop_remove(door->loop, &door->ports[i].source);
    }
    if (door->ports[i].monitor != NULL) {
      (void)zmq_close(door->ports[i].monitor);
    }
  }
  curve_keys_close(&door->keys);
  accept_guard_door_end(stream_door_port(door, ZMQ_ROUTER));
  accept_guard_door_end(stream_door_port(door, ZMQ_XPUB));
  free(door);
  *door_pointer = NULL;
}

static bool door_watch(stream_door_t *door, door_port_t *port, void *socket, int type) {
  char endpoint[64];
  int linger = 0;
  (void)snprintf(endpoint, sizeof endpoint, "inproc://vesta-door-%d", type);
  port->monitor = zmq_socket(door->context, ZMQ_PAIR);
  return zmq_socket_monitor(socket, endpoint, DOOR_FAILED | ZMQ_EVENT_DISCONNECTED) == 0 && port->monitor != NULL &&
         zmq_setsockopt(port->monitor, ZMQ_LINGER, &linger, sizeof linger) == 0 &&
         zmq_connect(port->monitor, endpoint) == 0 &&
         loop_add(door->loop, &port->source, door_fd(port->monitor), EPOLLIN, door_ready, door);
}

bool stream_door_bind(stream_door_t *door, void *socket, int type) {
  const struct {
    int option, value;
  } options[] = {{ZMQ_IPV6, strchr(door->address, '[') != NULL},
                 {ZMQ_BACKLOG, DOOR_BACKLOG},
                 {ZMQ_HANDSHAKE_IVL, DOOR_HANDSHAKE_MS},
                 {ZMQ_HEARTBEAT_IVL, DOOR_HEARTBEAT_MS},
                 {ZMQ_HEARTBEAT_TIMEOUT, DOOR_HEARTBEAT_LIMIT_MS}};
  char endpoint[DOOR_ENDPOINT_BYTES + 8];
  for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
    VESTA_ASSERT(zmq_setsockopt(socket, options[i].option, &options[i].value, sizeof options[i].value) == 0);
  }
  if (door->keys != NULL && !curve_keys_serve(door->keys, socket)) {
    return false;
  }
  (void)snprintf(endpoint, sizeof endpoint, "%s:%u", door->address, stream_door_port(door, type));
  return door_watch(door, &door->ports[type == ZMQ_XPUB], socket, type) && zmq_bind(socket, endpoint) == 0;
}

/* ---- who knocked ---- */

static void door_name(stream_door_t *door, int fd, bool ended, int64_t now_ns) {
  char address[ACCEPT_GUARD_ADDRESS_BYTES];
  if (!accept_guard_address(fd, address) || (ended && strangers_welcomed(&door->strangers, address))) {
    return;
  }
  if (strangers_name(&door->strangers, address, "", now_ns)) {
    log_write(LOG_ID_GUEST_REFUSED, "address=%s text=\"no key, a wrong key of this service, or no subscriber at all\"",
              address);
  }
}

/* event | address: its number and its value. @return false: there is none */
static bool door_event_take(stream_door_t *door, door_port_t *port, int64_t now_ns) {
  zmq_msg_t frame;
  uint16_t event = 0;
  uint32_t value = 0;
  bool more = true;
  for (bool first = true; more; first = false) {
    (void)zmq_msg_init(&frame);
    if (zmq_msg_recv(&frame, port->monitor, ZMQ_DONTWAIT) < 0) {
      (void)zmq_msg_close(&frame);
      return false;
    }
    if (first && zmq_msg_size(&frame) == sizeof event + sizeof value) {
      memcpy(&event, zmq_msg_data(&frame), sizeof event);
      memcpy(&value, (const uint8_t *)zmq_msg_data(&frame) + sizeof event, sizeof value);
    }
    more = zmq_msg_more(&frame) != 0;
    (void)zmq_msg_close(&frame);
  }
  if ((event & DOOR_FAILED) != 0) {
    door->counters[STREAM_DOOR_COUNTER_GUEST_HANDSHAKES_FAILED]++;
    port->failed = true;
    port->ended = event == ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL;
  } else if (event == ZMQ_EVENT_DISCONNECTED) {
    if (port->failed) {
      door_name(door, (int)value, port->ended, now_ns);
    }
    port->failed = false;
  }
  return true;
}

bool stream_door_turn(stream_door_t *door, int64_t now_ns) {
  if (!door->touched) {
    return false;
  }
  door->touched = false;
  if (door->keys != NULL) {
    door->counters[STREAM_DOOR_COUNTER_GUEST_STRANGERS] += curve_keys_turn(door->keys, now_ns);
  }
  for (size_t i = 0; i < sizeof door->ports / sizeof door->ports[0]; i++) {
    int events = 0;
    while (events < DOOR_EVENTS_PER_TURN && door_event_take(door, &door->ports[i], now_ns)) {
      events++;
    }
    door->touched |= events == DOOR_EVENTS_PER_TURN;
  }
  return door->touched;
}

void stream_door_cut(stream_door_t *door, zmq_msg_t *message, int type, const char *why) {
  int64_t now_ns = loop_steady_ns();
  char address[ACCEPT_GUARD_ADDRESS_BYTES] = "";
  int fd = zmq_msg_get(message, ZMQ_SRCFD);
  if (fd < 0 || !accept_guard_is_at(fd, stream_door_port(door, type))) {
    return; /* it is gone already */
  }
  door->counters[STREAM_DOOR_COUNTER_GUEST_LINKS_CUT]++;
  if (now_ns >= door->cut_ns) {
    door->cut_ns = now_ns + DOOR_CUT_NS;
    (void)accept_guard_address(fd, address);
    log_write(LOG_ID_GUEST_CUT, "address=%s text=\"%s\"", address, why);
  }
  (void)shutdown(fd, SHUT_RDWR);
}

uint64_t stream_door_counter(const stream_door_t *door, stream_door_counter_t counter) {
  switch (counter) {
    case STREAM_DOOR_COUNTER_GUEST_KEYS: return door == NULL || door->keys == NULL ? 0 : curve_keys_count(door->keys);
    case STREAM_DOOR_COUNTER_GUEST_LINKS_REFUSED:
      return door == NULL ? 0
                          : accept_guard_door_refused(stream_door_port(door, ZMQ_ROUTER)) +
                                accept_guard_door_refused(stream_door_port(door, ZMQ_XPUB));
    default: /* those that are counted */ return door == NULL ? 0 : door->counters[counter];
  }
}
