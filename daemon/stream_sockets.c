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
#include "daemon/stuck_links.h"

#define STREAM_SUBSCRIPTION_BYTES_MAX 1024 /* ZeroMQ's own greeting is longer than any topic */
#define STREAM_ANSWERS_MAX 64              /* for one subscriber */
#define STREAM_TAKES_PER_TURN 64
#define STREAM_PATH_BYTES 128U
#define STREAM_MUCH 4      /* when this part of what may be held is held, who takes nothing is cut off, */
#define STREAM_VERY_MUCH 2 /* and with this, who does not keep up */
#define STREAM_LOOK_NS 20000000LL
#define STREAM_RETRY_NS 10000000LL /* who waits for room, or for a place, is looked at again after that */

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
  answer_turns_t *turns;
  stuck_links_t stuck_changes, stuck_requests;
  int64_t pause_ns; /* no answers before */
  int64_t look_ns;  /* no look at stuck links before; INT64_MIN: nothing is wrong */
  int64_t wake_ns;
  bool agents_asked; /* since the last answer */
  atomic_uint_least64_t held_bytes, answer_bytes;
  atomic_uint_least64_t share_bytes[ANSWER_SHARES]; /* of the latter */
  uint64_t counters[STREAM_COUNTER_COUNT];
};

/* ---- sending ---- */

/* Bytes that know whose they are. */
typedef struct counted {
  atomic_uint_least64_t *count, *part; /* part: of a share, or NULL */
  size_t weight;
  uint8_t bytes[];
} counted_t;

/* On ZeroMQ's I/O thread. */
static void counted_free(void *data, void *hint) {
  counted_t *counted = hint;
  (void)data;
  atomic_fetch_sub_explicit(counted->count, counted->weight, memory_order_relaxed);
  if (counted->part != NULL) {
    atomic_fetch_sub_explicit(counted->part, counted->weight, memory_order_relaxed);
  }
  free(counted);
}

/* A message that counts as `weight` bytes until ZeroMQ lets go of it. */
static bool counted_init(zmq_msg_t *message, vesta_bytes_t bytes, size_t weight, atomic_uint_least64_t *count,
                         atomic_uint_least64_t *part) {
  counted_t *counted = malloc(sizeof *counted + bytes.size);
  if (counted == NULL) {
    return false;
  }
  counted->count = count;
  counted->part = part;
  counted->weight = weight;
  memcpy(counted->bytes, bytes.data, bytes.size);
  if (zmq_msg_init_data(message, counted->bytes, bytes.size, counted_free, counted) != 0) {
    free(counted);
    return false;
  }
  atomic_fetch_add_explicit(count, weight, memory_order_relaxed);
  if (part != NULL) {
    atomic_fetch_add_explicit(part, weight, memory_order_relaxed);
  }
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
                        atomic_uint_least64_t *count, atomic_uint_least64_t *part) {
  void *raw = zsock_resolve(socket);
  zmq_msg_t frames[3];
  if (!plain_init(&frames[0], first)) {
    return false;
  }
  if (!plain_init(&frames[2], payload)) {
    (void)zmq_msg_close(&frames[0]);
    return false;
  }
  if (!counted_init(&frames[1], head, head.size + payload.size, count, part)) {
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
  if (!stream_send(sockets->changes, vesta_bytes(topic, NOTIFY_TOPIC_BYTES), head, payload, &sockets->held_bytes,
                   NULL)) {
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

static bool stream_answer(stream_sockets_t *sockets, vesta_bytes_t identity, const stream_answer_t *answer,
                          atomic_uint_least64_t *part) {
  bool sent = stream_send(sockets->requests, identity, answer->head, answer->payload, &sockets->answer_bytes, part);
  sockets->counters[sent ? STREAM_COUNTER_STREAM_REQUESTS : STREAM_COUNTER_STREAM_REQUESTS_DROPPED]++;
  return sent;
}

static void stream_queue_request(stream_sockets_t *sockets, vesta_bytes_t identity, vesta_bytes_t bytes) {
  answer_request_t request = {.identity = identity, .request = bytes};
  stream_answer_t refusal = {0};
  if (!sockets->config.judged(sockets->config.context, bytes, &request)) {
    sockets->counters[STREAM_COUNTER_STREAM_REQUESTS_DROPPED]++;
    return;
  }
  vesta_err_t err = answer_turns_ask(sockets->turns, &request, loop_steady_ns());
  if (err == VESTA_ERR_NO_RESOURCES) {
    log_write(LOG_ID_STREAM_BUSY, "waiting_max=%u user=%u", VESTA_STREAM_WAITING_MAX, request.user);
  }
  if (err != VESTA_OK && sockets->config.refused(sockets->config.context, bytes, &refusal)) {
    (void)stream_answer(sockets, identity, &refusal, NULL);
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
  if (zmsg_size(message) == 2 || zmsg_size(message) == 3) {
    stream_queue_request(sockets, vesta_bytes(zframe_data(identity), zframe_size(identity)),
                         vesta_bytes(zframe_data(request), zframe_size(request)));
  } else {
    sockets->counters[STREAM_COUNTER_STREAM_REQUESTS_DROPPED]++;
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

static uint64_t stream_share_bytes(void *context, uint32_t share) {
  stream_sockets_t *sockets = context;
  return atomic_load_explicit(&sockets->share_bytes[share], memory_order_relaxed);
}

static uint64_t stream_answer_bytes(void *context) {
  stream_sockets_t *sockets = context;
  return atomic_load_explicit(&sockets->answer_bytes, memory_order_relaxed);
}

/* Those whose turn it is, until the turn's bytes are used up. @return true when more may follow at once */
static bool stream_answer_some(stream_sockets_t *sockets, int64_t now_ns) {
  if (sockets->agents_asked && now_ns < sockets->pause_ns) {
    sockets->wake_ns = sockets->pause_ns;
    return false;
  }
  answer_request_t request;
  uint64_t bytes = 0;
  while (bytes < VESTA_STREAM_TURN_BYTES && answer_turns_next(sockets->turns, now_ns, &request)) {
    stream_answer_t answer = {0};
    bool answered = sockets->config.asked(sockets->config.context, request.request, &answer) &&
                    stream_answer(sockets, request.identity, &answer, &sockets->share_bytes[request.share]);
    answer_turns_done(sockets->turns, &request, answered && answer.walk_goes_on, now_ns);
    bytes += answer.head.size + answer.payload.size;
  }
  if (bytes != 0) {
    int64_t end_ns = loop_steady_ns();
    sockets->pause_ns = end_ns + (end_ns - now_ns);
    sockets->agents_asked = false;
    sockets->asked = true; /* something was sent: the ROUTER's events have to be looked at */
  }
  return bytes >= VESTA_STREAM_TURN_BYTES;
}

/* Is much held there? For whom? */
static void stream_look_at(stream_sockets_t *sockets, uint64_t held, uint64_t held_max, const char *path,
                           stuck_links_t *links) {
  if (held <= held_max / STREAM_MUCH) {
    stuck_links_fini(links);
    return;
  }
  uint32_t cut = stuck_links_look(links, path, held > held_max / STREAM_VERY_MUCH);
  sockets->look_ns = loop_steady_ns() + STREAM_LOOK_NS;
  sockets->counters[STREAM_COUNTER_STREAM_LINKS_CUT] += cut;
  if (cut != 0) {
    log_write(LOG_ID_STREAM_CUT, "links=%u held_bytes=%llu", cut, (unsigned long long)held);
  }
}

static void stream_look(stream_sockets_t *sockets, int64_t now_ns) {
  if (now_ns >= sockets->look_ns) {
    sockets->look_ns = INT64_MIN;
    stream_look_at(sockets, stream_held_bytes(sockets), VESTA_STREAM_QUEUE_BYTES_MAX, sockets->changes_path,
                   &sockets->stuck_changes);
    stream_look_at(sockets, stream_answer_bytes(sockets), VESTA_STREAM_ANSWER_BYTES_MAX, sockets->requests_path,
                   &sockets->stuck_requests);
  }
  if (sockets->look_ns != INT64_MIN && sockets->look_ns < sockets->wake_ns) {
    sockets->wake_ns = sockets->look_ns;
  }
}

bool stream_sockets_turn(stream_sockets_t *sockets, bool agents_asked) {
  int64_t now_ns = loop_steady_ns();
  bool more = false;
  sockets->agents_asked |= agents_asked;
  sockets->wake_ns = INT64_MAX;
  if (sockets->asked) {
    sockets->asked = stream_drain(sockets, sockets->requests, STREAM_TAKES_PER_TURN, stream_take_request);
  }
  if (answer_turns_waiting(sockets->turns) != 0) {
    more = stream_answer_some(sockets, now_ns);
    bool waits = !more && answer_turns_waiting(sockets->turns) != 0 && sockets->wake_ns == INT64_MAX;
    sockets->wake_ns = waits ? now_ns + STREAM_RETRY_NS : sockets->wake_ns;
  }
  if (sockets->touched) {
    sockets->touched = stream_drain(sockets, sockets->changes, STREAM_TAKES_PER_TURN, stream_take_subscription);
  }
  stream_look(sockets, now_ns);
  return more || sockets->asked || sockets->touched;
}

int64_t stream_sockets_wake_ns(const stream_sockets_t *sockets) { return sockets->wake_ns; }

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
    zsock_set_maxmsgsize(socket, VESTA_STREAM_REQUEST_BYTES_MAX);
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
  sockets->wake_ns = INT64_MAX;
  sockets->look_ns = INT64_MIN;
  answer_bytes_t bytes = {.context = sockets, .held = stream_share_bytes, .held_all = stream_answer_bytes};
  sockets->turns = answer_turns_new(&bytes);
  if (sockets->turns == NULL) {
    (void)snprintf(why, why_size, "out of memory");
    free(sockets);
    return VESTA_ERR_NO_MEMORY;
  }
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
  answer_turns_destroy(&sockets->turns);
  stuck_links_fini(&sockets->stuck_changes);
  stuck_links_fini(&sockets->stuck_requests);
  free(sockets);
  *sockets_pointer = NULL;
}

vesta_bytes_t stream_sockets_endpoints(const stream_sockets_t *sockets) {
  return vesta_bytes(sockets->endpoints, strlen(sockets->endpoints));
}

uint64_t stream_sockets_counter(const stream_sockets_t *sockets, stream_counter_t counter) {
  answer_turns_counters_t turns;
  answer_turns_counters(sockets->turns, &turns);
  switch (counter) {
    case STREAM_COUNTER_STREAM_HELD_BYTES: return atomic_load_explicit(&sockets->held_bytes, memory_order_relaxed);
    case STREAM_COUNTER_STREAM_ANSWER_BYTES: return atomic_load_explicit(&sockets->answer_bytes, memory_order_relaxed);
    case STREAM_COUNTER_STREAM_REQUESTS_REFUSED: return turns.refused;
    case STREAM_COUNTER_STREAM_REQUESTS_STALE: return turns.stale;
    case STREAM_COUNTER_STREAM_REQUESTS_WAITING: return answer_turns_waiting(sockets->turns);
    case STREAM_COUNTER_STREAM_WALKS: return turns.walks;
    case STREAM_COUNTER_STREAM_WALKS_MAX: return turns.walks_max;
    case STREAM_COUNTER_STREAM_WALKS_WAITED: return turns.waited;
    case STREAM_COUNTER_STREAM_WALKS_EVICTED: return turns.evicted;
    default: /* those that are counted */ return sockets->counters[counter];
  }
}
