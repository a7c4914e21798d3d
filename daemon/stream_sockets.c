/* SPDX-License-Identifier: BSD-2-Clause
 *
 * czmq makes and configures the sockets; what is sent goes through libzmq itself, for the sake of counted payloads.
 */
#include "daemon/stream_sockets.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/stat.h>

#include <czmq.h>

#include "daemon/log.h"

#define STREAM_SUBSCRIPTION_BYTES_MAX 1024 /* ZeroMQ's own greeting is longer than any topic */
#define STREAM_REQUEST_BYTES_MAX 4096
#define STREAM_ANSWERS_MAX 64                                      /* for one subscriber */
#define STREAM_ANSWER_BYTES_MAX (VESTA_STREAM_QUEUE_BYTES_MAX / 4) /* for all of them */
#define STREAM_TAKES_PER_TURN 64
#define STREAM_ANSWERS_PER_TURN 8 /* a chunk each: agents wait for no more than that */
#define STREAM_PATH_BYTES 128U

struct stream_sockets {
  stream_sockets_config_t config;
  loop_t *loop;
  zsock_t *changes;
  zsock_t *requests;
  loop_source_t changes_source, requests_source;
  bool touched; /* something was done with the XPUB since its events were looked at */
  bool asked;   /* the same of the ROUTER */
  char changes_path[STREAM_PATH_BYTES], requests_path[STREAM_PATH_BYTES];
  char endpoints[2 * STREAM_PATH_BYTES + 16];
  atomic_uint_least64_t held_bytes, answer_bytes;
  uint64_t counters[STREAM_COUNTER_COUNT];
};

/* ---- sending ---- */

/* Bytes that know whose they are. */
typedef struct counted {
  atomic_uint_least64_t *count;
  size_t weight;
  uint8_t bytes[];
} counted_t;

/* On ZeroMQ's I/O thread. */
static void counted_free(void *data, void *hint) {
  counted_t *counted = hint;
  (void)data;
  atomic_fetch_sub_explicit(counted->count, counted->weight, memory_order_relaxed);
  free(counted);
}

/* A message that counts as `weight` bytes until ZeroMQ lets go of it. */
static bool counted_init(zmq_msg_t *message, vesta_bytes_t bytes, size_t weight, atomic_uint_least64_t *count) {
  counted_t *counted = malloc(sizeof *counted + bytes.size);
  if (counted == NULL) {
    return false;
  }
  counted->count = count;
  counted->weight = weight;
  memcpy(counted->bytes, bytes.data, bytes.size);
  if (zmq_msg_init_data(message, counted->bytes, bytes.size, counted_free, counted) != 0) {
    free(counted);
    return false;
  }
  atomic_fetch_add_explicit(count, weight, memory_order_relaxed);
  return true;
}

static bool plain_init(zmq_msg_t *message, vesta_bytes_t bytes) {
  if (zmq_msg_init_size(message, bytes.size) != 0) {
    return false;
  }
  if (bytes.size > 0) {
    memcpy(zmq_msg_data(message), bytes.data, bytes.size);
  }
  return true;
}

/* first | head | payload. The head counts for both: they are let go together. @return false for want of memory */
static bool stream_send(zsock_t *socket, vesta_bytes_t first, vesta_bytes_t head, vesta_bytes_t payload,
                        atomic_uint_least64_t *count) {
  void *raw = zsock_resolve(socket);
  zmq_msg_t frames[3];
  if (!plain_init(&frames[0], first)) {
    return false;
  }
  if (!plain_init(&frames[2], payload)) {
    (void)zmq_msg_close(&frames[0]);
    return false;
  }
  if (!counted_init(&frames[1], head, head.size + payload.size, count)) {
    (void)zmq_msg_close(&frames[0]);
    (void)zmq_msg_close(&frames[2]);
    return false;
  }
  for (int i = 0; i < 3; i++) {
    if (zmq_msg_send(&frames[i], raw, ZMQ_DONTWAIT | (i < 2 ? ZMQ_SNDMORE : 0)) < 0) {
      (void)zmq_msg_close(&frames[i]); /* neither socket blocks; whoever lacks it will ask */
    }
  }
  return true;
}

static void stream_emit(void *context, const uint8_t topic[NOTIFY_TOPIC_BYTES], vesta_bytes_t head,
                        vesta_bytes_t payload) {
  stream_sockets_t *sockets = context;
  sockets->touched = true;
  if (!stream_send(sockets->changes, vesta_bytes(topic, NOTIFY_TOPIC_BYTES), head, payload, &sockets->held_bytes)) {
    sockets->counters[STREAM_COUNTER_STREAM_MESSAGES_DROPPED]++;
  }
}

static uint64_t stream_held_bytes(void *context) {
  stream_sockets_t *sockets = context;
  return atomic_load_explicit(&sockets->held_bytes, memory_order_relaxed);
}

publisher_output_t stream_sockets_output(stream_sockets_t *sockets) {
  return (publisher_output_t){.context = sockets, .emit = stream_emit, .held_bytes = stream_held_bytes};
}

/* ---- receiving ---- */

static void stream_take_subscription(stream_sockets_t *sockets) {
  zframe_t *frame = zframe_recv(sockets->changes);
  if (frame != NULL) {
    sockets->config.subscribed(sockets->config.context, vesta_bytes(zframe_data(frame), zframe_size(frame)));
    zframe_destroy(&frame);
  }
}

/* identity | head | payload, which is always empty and may be left out */
static void stream_take_request(stream_sockets_t *sockets) {
  zmsg_t *message = zmsg_recv(sockets->requests);
  if (message == NULL) {
    return;
  }
  zframe_t *identity = zmsg_first(message);
  zframe_t *request = zmsg_next(message);
  vesta_bytes_t head = {0};
  vesta_bytes_t payload = {0};
  if (atomic_load_explicit(&sockets->answer_bytes, memory_order_relaxed) > STREAM_ANSWER_BYTES_MAX) {
    log_write(LOG_ID_STREAM_BUSY, "answer_bytes_max=%llu", STREAM_ANSWER_BYTES_MAX);
    sockets->counters[STREAM_COUNTER_STREAM_REQUESTS_DROPPED]++; /* it is asked again, later */
  } else if (zmsg_size(message) < 2 || zmsg_size(message) > 3 ||
             !sockets->config.asked(sockets->config.context, vesta_bytes(zframe_data(request), zframe_size(request)),
                                    &head, &payload) ||
             !stream_send(sockets->requests, vesta_bytes(zframe_data(identity), zframe_size(identity)), head, payload,
                          &sockets->answer_bytes)) {
    sockets->counters[STREAM_COUNTER_STREAM_REQUESTS_DROPPED]++;
  } else {
    sockets->counters[STREAM_COUNTER_STREAM_REQUESTS]++;
  }
  zmsg_destroy(&message);
}

/* Take at most `max` messages. @return true when more are there */
static bool stream_drain(stream_sockets_t *sockets, zsock_t *socket, int max, void (*take)(stream_sockets_t *sockets)) {
  for (int i = 0; i < max; i++) {
    if ((zsock_events(socket) & ZMQ_POLLIN) == 0) {
      return false;
    }
    take(sockets);
  }
  return (zsock_events(socket) & ZMQ_POLLIN) != 0;
}

bool stream_sockets_turn(stream_sockets_t *sockets) {
  if (sockets->asked) {
    sockets->asked = stream_drain(sockets, sockets->requests, STREAM_ANSWERS_PER_TURN, stream_take_request);
  }
  if (sockets->touched) {
    sockets->touched = stream_drain(sockets, sockets->changes, STREAM_TAKES_PER_TURN, stream_take_subscription);
  }
  return sockets->asked || sockets->touched;
}

static void stream_changes_ready(void *context, uint32_t events) {
  stream_sockets_t *sockets = context;
  (void)events;
  sockets->touched = true; /* looked at when the turn ends */
}

static void stream_requests_ready(void *context, uint32_t events) {
  stream_sockets_t *sockets = context;
  (void)events;
  sockets->asked = true;
}

/* ---- life ---- */

static zsock_t *stream_socket_new(int type, const char *path, gid_t group) {
  zsock_t *socket = zsock_new(type);
  if (socket == NULL) {
    return NULL;
  }
  zsock_set_linger(socket, 0);
  if (type == ZMQ_XPUB) {
    zsock_set_xpub_verboser(socket, 1);
    zsock_set_sndhwm(socket, VESTA_STREAM_QUEUE_MESSAGES_MAX);
    zsock_set_maxmsgsize(socket, STREAM_SUBSCRIPTION_BYTES_MAX);
  } else {
    zsock_set_sndhwm(socket, STREAM_ANSWERS_MAX);
    zsock_set_rcvhwm(socket, STREAM_ANSWERS_MAX);
    zsock_set_maxmsgsize(socket, STREAM_REQUEST_BYTES_MAX);
  }
  bool shared = group != PRIVATE_DIR_NO_GROUP;
  if (zsock_bind(socket, "ipc://%s", path) < 0 || chmod(path, shared ? 0660 : 0600) != 0 ||
      (shared && chown(path, (uid_t)-1, group) != 0)) {
    int why = errno;
    zsock_destroy(&socket);
    errno = why;
  }
  return socket;
}

vesta_err_t stream_sockets_open(const stream_sockets_config_t *config, loop_t *loop, stream_sockets_t **out, char *why,
                                size_t why_size) {
  stream_sockets_t *sockets = calloc(1, sizeof *sockets);
  if (sockets == NULL) {
    (void)snprintf(why, why_size, "out of memory");
    return VESTA_ERR_NO_MEMORY;
  }
  sockets->config = *config;
  sockets->loop = loop;
  zsys_init();
  zsys_handler_set(NULL); /* signals are the loop's */
  (void)snprintf(sockets->changes_path, sizeof sockets->changes_path, "%s.changes", config->socket);
  (void)snprintf(sockets->requests_path, sizeof sockets->requests_path, "%s.requests", config->socket);
  (void)snprintf(sockets->endpoints, sizeof sockets->endpoints, "ipc://%s ipc://%s", sockets->changes_path,
                 sockets->requests_path);
  sockets->changes = stream_socket_new(ZMQ_XPUB, sockets->changes_path, config->group);
  sockets->requests = stream_socket_new(ZMQ_ROUTER, sockets->requests_path, config->group);
  if (sockets->changes == NULL || sockets->requests == NULL ||
      !loop_add(loop, &sockets->changes_source, zsock_fd(sockets->changes), EPOLLIN, stream_changes_ready, sockets) ||
      !loop_add(loop, &sockets->requests_source, zsock_fd(sockets->requests), EPOLLIN, stream_requests_ready,
                sockets)) {
    (void)snprintf(why, why_size, "cannot open the stream's sockets %s: %s", sockets->endpoints, zmq_strerror(errno));
    stream_sockets_close(&sockets);
    return VESTA_ERR_NO_RESOURCES;
  }
  sockets->touched = true;
  sockets->asked = true;
  *out = sockets;
  return VESTA_OK;
}

void stream_sockets_close(stream_sockets_t **sockets_pointer) {
  stream_sockets_t *sockets = *sockets_pointer;
  if (sockets == NULL) {
    return;
  }
  if (sockets->changes_source.context != NULL) {
    loop_remove(sockets->loop, &sockets->changes_source);
  }
  if (sockets->requests_source.context != NULL) {
    loop_remove(sockets->loop, &sockets->requests_source);
  }
  bool bound_changes = sockets->changes != NULL;
  bool bound_requests = sockets->requests != NULL;
  zsock_destroy(&sockets->changes);
  zsock_destroy(&sockets->requests);
  zsys_shutdown(); /* waits for the I/O thread: counted memory is given back before its counters go */
  if (bound_changes) {
    (void)unlink(sockets->changes_path);
  }
  if (bound_requests) {
    (void)unlink(sockets->requests_path);
  }
  free(sockets);
  *sockets_pointer = NULL;
}

vesta_bytes_t stream_sockets_endpoints(const stream_sockets_t *sockets) {
  return vesta_bytes(sockets->endpoints, strlen(sockets->endpoints));
}

uint64_t stream_sockets_counter(const stream_sockets_t *sockets, stream_counter_t counter) {
  switch (counter) {
    case STREAM_COUNTER_STREAM_HELD_BYTES: return atomic_load_explicit(&sockets->held_bytes, memory_order_relaxed);
    case STREAM_COUNTER_STREAM_ANSWER_BYTES: return atomic_load_explicit(&sockets->answer_bytes, memory_order_relaxed);
    default: /* those that are counted */ return sockets->counters[counter];
  }
}
