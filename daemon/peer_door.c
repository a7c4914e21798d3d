/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See peer_door.h.
 */
#include "daemon/peer_door.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "daemon/accept_guard.h"
#include "daemon/log.h"
#include "daemon/strangers.h"

#define DOOR_HANDSHAKE_MS 5000  /* who has not come in by then is put out */
#define DOOR_EVENTS_PER_TURN 64 /* of the monitor */

struct peer_door {
  peer_door_config_t config;
  loop_t *loop;
  curve_keys_t *keys; /* NULL: none */
  zsock_t *router;    /* NULL: not yet */
  zsock_t *monitor;   /* of it: handshakes that failed */
  uint16_t port;      /* 0: not said in the endpoint */
  loop_source_t keys_source, monitor_source;
  bool touched;
  strangers_t strangers;
};

static void door_ready(void *context, uint32_t events) {
  peer_door_t *door = context;
  (void)events;
  door->touched = true; /* looked at when the turn ends */
}

zsock_t *peer_door_monitor(zsock_t *socket, const char *endpoint, int events) {
  if (zmq_socket_monitor(zsock_resolve(socket), endpoint, events) != 0) {
    return NULL;
  }
  zsock_t *monitor = zsock_new(ZMQ_PAIR);
  if (monitor != NULL) {
    zsock_set_linger(monitor, 0);
    if (zsock_connect(monitor, "%s", endpoint) != 0) {
      zsock_destroy(&monitor);
    }
  }
  return monitor;
}

/* ---- life ---- */

vesta_err_t peer_door_open(const peer_door_config_t *config, loop_t *loop, peer_door_t **out, char *why,
                           size_t why_size) {
  peer_door_t *door = calloc(1, sizeof *door);
  vesta_err_t err = VESTA_ERR_NO_MEMORY;
  (void)snprintf(why, why_size, "out of memory");
  if (door == NULL) {
    return err;
  }
  door->config = *config;
  door->loop = loop;
  if (config->key_file != NULL) {
    const curve_keys_config_t keys = {.context = zsys_init(),
                                      .key_file = config->key_file,
                                      .keys_dir = config->keys_dir,
                                      .keys_max = VESTA_NODES_MAX,
                                      .of_nodes = true,
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
  door->touched = true;
  *out = door;
  return VESTA_OK;
out:
  peer_door_close(&door);
  return err;
}

void peer_door_close(peer_door_t **door_pointer) {
  peer_door_t *door = *door_pointer;
  if (door == NULL) {
    return;
  }
  if (door->keys_source.context != NULL) {
    loop_remove(door->loop, &door->keys_source);
  }
  if (door->monitor_source.context != NULL) {
    loop_remove(door->loop, &door->monitor_source);
  }
  if (door->monitor != NULL) {
    (void)zmq_socket_monitor(zsock_resolve(door->router), NULL, 0);
    zsock_destroy(&door->monitor);
  }
  zsock_destroy(&door->router);
  if (door->port != 0) {
    accept_guard_door_end(door->port);
  }
  curve_keys_close(&door->keys);
  free(door);
  *door_pointer = NULL;
}

bool peer_door_bind(peer_door_t *door, zsock_t *router) {
  const int failed = ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL;
  char endpoint[64];
  const char *colon = strrchr(door->config.listen, ':');
  unsigned long port = colon == NULL ? 0 : strtoul(colon + 1, NULL, 10);
  door->router = router;
  if (door->keys != NULL && !curve_keys_serve(door->keys, zsock_resolve(router))) {
    return false;
  }
  if (port > 0 && port <= UINT16_MAX) {
    door->port = (uint16_t)port;
    accept_guard_door(door->port, VESTA_PEER_DOOR_LINKS_MAX);
  }
  zsock_set_handshake_ivl(router, DOOR_HANDSHAKE_MS);
  (void)snprintf(endpoint, sizeof endpoint, "inproc://vesta-peer-door-%" PRIu32 "-%" PRIu64, door->config.node_id,
                 door->config.incarnation);
  door->monitor = peer_door_monitor(router, endpoint, failed);
  return door->monitor != NULL &&
         loop_add(door->loop, &door->monitor_source, zsock_fd(door->monitor), EPOLLIN, door_ready, door) &&
         zsock_bind(router, "%s", door->config.listen) >= 0;
}

curve_keys_t *peer_door_keys(const peer_door_t *door) { return door->keys; }

/* ---- who knocked ---- */

bool peer_door_is_touched(const peer_door_t *door) { return door->touched; }

/* Handshakes that failed, each an event and an address. A key that is not known is none: that is a question. */
static uint32_t door_take_failures(peer_door_t *door) {
  uint32_t count = 0;
  while (count < DOOR_EVENTS_PER_TURN && (zsock_events(door->monitor) & ZMQ_POLLIN) != 0) {
    zmsg_t *event = zmsg_recv(door->monitor);
    zmsg_destroy(&event);
    count++;
  }
  door->touched |= count == DOOR_EVENTS_PER_TURN;
  return count;
}

uint32_t peer_door_turn(peer_door_t *door, int64_t now_ns) {
  if (!door->touched) {
    return 0;
  }
  door->touched = false;
  uint32_t refused = door->keys == NULL ? 0 : curve_keys_turn(door->keys, now_ns);
  return refused + door_take_failures(door);
}

void peer_door_name(peer_door_t *door, const char *address, uint64_t node, const char *why) {
  if (strangers_name(&door->strangers, address, "", loop_steady_ns())) {
    log_write(LOG_ID_PEER_REFUSED, "node=%" PRIu64 " address=%s text=\"%s\"", node, address, why);
  }
}

uint64_t peer_door_links_refused(const peer_door_t *door) {
  return door->port == 0 ? 0 : accept_guard_door_refused(door->port);
}
