/* SPDX-License-Identifier: BSD-2-Clause
 *
 * libzmq itself and not czmq: for the sake of counted payloads, of what is known of a message's sender, and of a context
 * of one's own.
 */
#include "daemon/stream_sockets.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/stat.h>

#include <czmq.h>

#include "core/table.h"
#include "daemon/accept_guard.h"
#include "daemon/log.h"
#include "daemon/stuck_links.h"
#include "daemon/subscription_set.h"

#define STREAM_SUBSCRIPTION_BYTES_MAX 1024 /* ZeroMQ's own greeting is longer than any topic */
#define STREAM_ANSWERS_MAX 64              /* for one subscriber */
#define STREAM_TAKES_PER_TURN 64
#define STREAM_PATH_BYTES 128U
#define STREAM_MUCH 4      /* when this part of what may be held is held, who takes nothing is cut off, */
#define STREAM_VERY_MUCH 2 /* and with this, who does not keep up */
#define STREAM_LOOK_NS 20000000LL
#define STREAM_LOOKS 2             /* at subscriptions, with each message */
#define STREAM_RETRY_NS 10000000LL /* who waits for room, or for a place, is looked at again after that */

struct stream_sockets {
  stream_sockets_config_t config;
  loop_t *loop;
  void *zmq; /* the context */
  stream_door_t *door;
  void *changes, *requests; /* XPUB, ROUTER */
  loop_source_t changes_source, requests_source;
  bool touched; /* something was done with the XPUB since its events were looked at */
  bool asked;   /* the same of the ROUTER */
  char changes_path[STREAM_PATH_BYTES], requests_path[STREAM_PATH_BYTES];
  char endpoints[2 * STREAM_PATH_BYTES + 16];
  subscription_set_t *subscriptions;
  answer_turns_t *turns;
  stuck_links_t stuck_changes, stuck_requests;
  int64_t pause_ns;  /* no answers before */
  int64_t look_ns;   /* no look at stuck links before; INT64_MIN: nothing is wrong */
  int64_t wake_ns;   /* of the next turn, as the last one left it */
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
static bool stream_send(void *socket, vesta_bytes_t first, vesta_bytes_t head, vesta_bytes_t payload,
                        atomic_uint_least64_t *count, atomic_uint_least64_t *part) {
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
    if (zmq_msg_send(&frames[i], socket, ZMQ_DONTWAIT | (i < 2 ? ZMQ_SNDMORE : 0)) < 0) {
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
  return (publisher_output_t){.context = sockets,
                              .emit = stream_emit,
                              .held_bytes = stream_held_bytes,
                              .held_bytes_max = sockets->config.held_bytes_max};
}

/* ---- receiving ---- */

#define STREAM_FRAMES_MAX 3 /* identity | head | payload, which is always empty and may be left out */

/* A whole message; frames beyond are read and dropped. @return how many there were; 0: nothing is there */
static uint32_t stream_receive(void *socket, zmq_msg_t frames[STREAM_FRAMES_MAX]) {
  uint32_t count = 0;
  bool more = true;
  for (uint32_t i = 0; i < STREAM_FRAMES_MAX; i++) {
    (void)zmq_msg_init(&frames[i]);
  }
  while (more) {
    zmq_msg_t *frame = &frames[count < STREAM_FRAMES_MAX ? count : STREAM_FRAMES_MAX - 1];
    if (zmq_msg_recv(frame, socket, ZMQ_DONTWAIT) < 0) {
      break;
    }
    more = zmq_msg_more(frame) != 0;
    count++;
  }
  return count;
}

static void stream_frames_close(zmq_msg_t frames[STREAM_FRAMES_MAX]) {
  for (uint32_t i = 0; i < STREAM_FRAMES_MAX; i++) {
    (void)zmq_msg_close(&frames[i]);
  }
}

static vesta_bytes_t stream_frame(zmq_msg_t *frame) { return vesta_bytes(zmq_msg_data(frame), zmq_msg_size(frame)); }

/* @return false: who sent it is none of ours */
static bool stream_subscription(stream_sockets_t *sockets, int fd, vesta_bytes_t message) {
  switch (subscription_set_take(sockets->subscriptions, fd, message)) {
    case SUBSCRIPTION_TELL: break;
    case SUBSCRIPTION_DROP: return true;
    case SUBSCRIPTION_BAD: return false;
  }
  if (sockets->config.subscribed(sockets->config.context, message)) {
    return true;
  }
  subscription_set_refuse(sockets->subscriptions, message);
  return false;
}

/* -1: of one that is gone; its descriptor may be another's already, an agent's say. */
static int stream_subscriber(const stream_sockets_t *sockets, zmq_msg_t *message) {
  int fd = zmq_msg_get(message, ZMQ_SRCFD);
  bool here = sockets->door == NULL || accept_guard_is_at(fd, stream_door_port(sockets->door, ZMQ_XPUB));
  return here ? fd : -1;
}

static bool stream_take_subscription(stream_sockets_t *sockets) {
  zmq_msg_t frames[STREAM_FRAMES_MAX];
  uint8_t end[SUBSCRIPTION_BYTES];
  uint32_t count = stream_receive(sockets->changes, frames);
  if (count != 0 && !stream_subscription(sockets, stream_subscriber(sockets, &frames[0]), stream_frame(&frames[0])) &&
      sockets->door != NULL) {
    stream_door_cut(sockets->door, &frames[0], ZMQ_XPUB, "it sent what is no subscription, one twice, or too many");
  }
  stream_frames_close(frames);
  for (int i = 0; count != 0 && i < STREAM_LOOKS; i++) {
    if (subscription_set_look(sockets->subscriptions, end)) {
      (void)sockets->config.subscribed(sockets->config.context, vesta_bytes(end, sizeof end));
    }
  }
  return count != 0;
}

static bool stream_answer(stream_sockets_t *sockets, vesta_bytes_t identity, const stream_answer_t *answer,
                          atomic_uint_least64_t *part) {
  bool sent = stream_send(sockets->requests, identity, answer->head, answer->payload, &sockets->answer_bytes, part);
  sockets->counters[sent ? STREAM_COUNTER_STREAM_REQUESTS : STREAM_COUNTER_STREAM_REQUESTS_DROPPED]++;
  return sent;
}

static void stream_queue_request(stream_sockets_t *sockets, const stream_guest_t *guest, vesta_bytes_t bytes) {
  answer_request_t request = {.identity = guest->identity, .request = bytes};
  stream_answer_t refusal = {0};
  if (!sockets->config.judged(sockets->config.context, bytes, &request)) {
    sockets->counters[STREAM_COUNTER_STREAM_REQUESTS_DROPPED]++;
    return;
  }
  request.user = sockets->door != NULL ? guest->user : request.user;
  vesta_err_t err = answer_turns_ask(sockets->turns, &request, loop_steady_ns());
  if (err == VESTA_ERR_NO_RESOURCES) {
    log_write(LOG_ID_STREAM_BUSY, "waiting_max=%u user=%u", VESTA_STREAM_WAITING_MAX, request.user);
  }
  if (err != VESTA_OK && sockets->config.refused(sockets->config.context, bytes, &refusal)) {
    (void)stream_answer(sockets, guest->identity, &refusal, NULL);
  }
}

/* Over TCP: by the name of its key, or without keys by its address; a User-Id is what it says itself then. */
static uint32_t stream_user(const stream_sockets_t *sockets, zmq_msg_t *message) {
  const char *name = zmq_msg_gets(message, sockets->config.door->key_file != NULL ? "User-Id" : "Peer-Address");
  return name == NULL ? 0 : (uint32_t)table_hash_bytes(vesta_bytes(name, strlen(name)));
}

/* Over TCP. @return true: it waits for its turn */
static bool stream_guest_came(stream_sockets_t *sockets, const stream_guest_t *guest, zmq_msg_t *request) {
  stream_came_t came = sockets->config.came(sockets->config.context, guest, stream_frame(request));
  if (came == STREAM_CAME_BAD) {
    sockets->counters[STREAM_COUNTER_STREAM_REQUESTS_DROPPED]++;
    stream_door_cut(sockets->door, request, ZMQ_ROUTER, "it asked for what is not to be had over TCP, or for nothing");
  }
  return came == STREAM_CAME_WAITS;
}

static bool stream_take_request(stream_sockets_t *sockets) {
  zmq_msg_t frames[STREAM_FRAMES_MAX];
  uint32_t count = stream_receive(sockets->requests, frames);
  if (count == 2 || count == 3) {
    stream_guest_t guest = {.identity = stream_frame(&frames[0]),
                            .user = sockets->door == NULL ? 0 : stream_user(sockets, &frames[1])};
    if (sockets->door == NULL || stream_guest_came(sockets, &guest, &frames[1])) {
      stream_queue_request(sockets, &guest, stream_frame(&frames[1]));
    }
  } else if (count != 0) {
    sockets->counters[STREAM_COUNTER_STREAM_REQUESTS_DROPPED]++;
  }
  stream_frames_close(frames);
  return count != 0;
}

/* Take what is there, so many messages at most. @return true when more may be there */
static bool stream_drain(stream_sockets_t *sockets, bool (*take)(stream_sockets_t *sockets)) {
  for (int i = 0; i < STREAM_TAKES_PER_TURN; i++) {
    if (!take(sockets)) {
      return false;
    }
  }
  return true;
}

void stream_sockets_say(stream_sockets_t *sockets, vesta_bytes_t identity, vesta_bytes_t head) {
  stream_answer_t answer = {.head = head, .payload = vesta_bytes(NULL, 0)};
  (void)stream_answer(sockets, identity, &answer, NULL);
  sockets->asked = true; /* its events have to be looked at */
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
    sockets->pause_ns = end_ns + (end_ns - now_ns) * sockets->config.rest;
    sockets->agents_asked = false;
    sockets->asked = true; /* something was sent: the ROUTER's events have to be looked at */
  }
  return bytes >= VESTA_STREAM_TURN_BYTES;
}

/* Is much held there? For whom? */
static void stream_look_at(stream_sockets_t *sockets, uint64_t held, uint64_t held_max, stuck_place_t place,
                           stuck_links_t *links) {
  if (held <= held_max / STREAM_MUCH) {
    stuck_links_fini(links);
    return;
  }
  uint32_t cut = stuck_links_look(links, place, held > held_max / STREAM_VERY_MUCH);
  sockets->look_ns = loop_steady_ns() + STREAM_LOOK_NS;
  sockets->counters[STREAM_COUNTER_STREAM_LINKS_CUT] += cut;
  if (cut != 0) {
    log_write(LOG_ID_STREAM_CUT, "links=%u held_bytes=%llu", cut, (unsigned long long)held);
  }
}

static void stream_look(stream_sockets_t *sockets, int64_t now_ns) {
  if (now_ns >= sockets->look_ns) {
    sockets->look_ns = INT64_MIN;
    stuck_place_t changes = {.path = sockets->changes_path};
    stuck_place_t requests = {.path = sockets->requests_path};
    if (sockets->door != NULL) {
      changes = (stuck_place_t){.port = stream_door_port(sockets->door, ZMQ_XPUB)};
      requests = (stuck_place_t){.port = stream_door_port(sockets->door, ZMQ_ROUTER)};
    }
    stream_look_at(sockets, stream_held_bytes(sockets), sockets->config.held_bytes_max, changes,
                   &sockets->stuck_changes);
    stream_look_at(sockets, stream_answer_bytes(sockets), VESTA_STREAM_ANSWER_BYTES_MAX, requests,
                   &sockets->stuck_requests);
  }
  if (sockets->look_ns != INT64_MIN && sockets->look_ns < sockets->wake_ns) {
    sockets->wake_ns = sockets->look_ns;
  }
}

void stream_sockets_turn(stream_sockets_t *sockets, bool agents_asked) {
  int64_t now_ns = loop_steady_ns();
  bool more = sockets->door != NULL && stream_door_turn(sockets->door, now_ns);
  sockets->agents_asked |= agents_asked;
  sockets->wake_ns = INT64_MAX;
  if (sockets->asked) {
    sockets->asked = stream_drain(sockets, stream_take_request);
  }
  if (answer_turns_waiting(sockets->turns) != 0) {
    bool full = stream_answer_some(sockets, now_ns);
    bool waits = !full && answer_turns_waiting(sockets->turns) != 0 && sockets->wake_ns == INT64_MAX;
    sockets->wake_ns = waits ? now_ns + STREAM_RETRY_NS : sockets->wake_ns;
    more |= full;
  }
  if (sockets->touched) {
    sockets->touched = stream_drain(sockets, stream_take_subscription);
  }
  stream_look(sockets, now_ns);
  sockets->wake_ns = more ? 0 : sockets->wake_ns;
}

int64_t stream_sockets_wake_ns(const stream_sockets_t *sockets) {
  bool again = sockets->asked || sockets->touched; /* a socket that something was done with may not tell */
  return again ? 0 : sockets->wake_ns;
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

static bool stream_bind_local(void *socket, const char *path, gid_t group) {
  char endpoint[STREAM_PATH_BYTES + 8];
  bool shared = group != PRIVATE_DIR_NO_GROUP;
  (void)snprintf(endpoint, sizeof endpoint, "ipc://%s", path);
  return zmq_bind(socket, endpoint) == 0 && chmod(path, shared ? 0660 : 0600) == 0 &&
         (!shared || chown(path, (uid_t)-1, group) == 0);
}

static void stream_option(void *socket, int option, int value) {
  VESTA_ASSERT(zmq_setsockopt(socket, option, &value, sizeof value) == 0);
}

/* @return NULL with errno */
static void *stream_socket_open(stream_sockets_t *sockets, int type, const char *path) {
  void *socket = zmq_socket(sockets->zmq, type);
  if (socket == NULL) {
    return NULL;
  }
  stream_option(socket, ZMQ_LINGER, 0);
  int64_t size_max = type == ZMQ_XPUB ? STREAM_SUBSCRIPTION_BYTES_MAX : VESTA_STREAM_REQUEST_BYTES_MAX;
  VESTA_ASSERT(zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &size_max, sizeof size_max) == 0);
  if (type == ZMQ_XPUB) {
    stream_option(socket, ZMQ_XPUB_VERBOSER, 1);
    stream_option(socket, ZMQ_SNDHWM, VESTA_STREAM_QUEUE_MESSAGES_MAX);
  } else {
    stream_option(socket, ZMQ_SNDHWM, STREAM_ANSWERS_MAX);
    stream_option(socket, ZMQ_RCVHWM, STREAM_ANSWERS_MAX);
  }
  if (sockets->door != NULL ? stream_door_bind(sockets->door, socket, type)
                            : stream_bind_local(socket, path, sockets->config.group)) {
    return socket;
  }
  int why = errno;
  (void)zmq_close(socket);
  errno = why;
  return NULL;
}

static bool stream_watch(stream_sockets_t *sockets, loop_source_t *source, void *socket,
                         void (*ready)(void *context, uint32_t events)) {
  int fd = -1;
  size_t size = sizeof fd;
  return zmq_getsockopt(socket, ZMQ_FD, &fd, &size) == 0 &&
         loop_add(sockets->loop, source, fd, EPOLLIN, ready, sockets);
}

/* The context of local sockets is czmq's, which that of nodes' links is too. */
static bool stream_context_open(stream_sockets_t *sockets) {
  if (sockets->config.door == NULL) {
    sockets->zmq = zsys_init();
    zsys_handler_set(NULL); /* signals are the loop's */
  } else {
    sockets->zmq = zmq_ctx_new();
  }
  return sockets->zmq != NULL;
}

static vesta_err_t stream_open(stream_sockets_t *sockets, char *why, size_t why_size) {
  const char *where = sockets->endpoints;
  if (!stream_context_open(sockets)) {
    (void)snprintf(why, why_size, "out of memory");
    return VESTA_ERR_NO_MEMORY;
  }
  if (sockets->config.door != NULL) {
    where = sockets->config.door->listen;
    vesta_err_t err =
        stream_door_open(sockets->config.door, sockets->zmq, sockets->loop, &sockets->door, why, why_size);
    if (err != VESTA_OK) {
      return err;
    }
  } else {
    (void)snprintf(sockets->changes_path, sizeof sockets->changes_path, "%s.changes", sockets->config.socket);
    (void)snprintf(sockets->requests_path, sizeof sockets->requests_path, "%s.requests", sockets->config.socket);
    (void)snprintf(sockets->endpoints, sizeof sockets->endpoints, "ipc://%s ipc://%s", sockets->changes_path,
                   sockets->requests_path);
  }
  sockets->changes = stream_socket_open(sockets, ZMQ_XPUB, sockets->changes_path);
  sockets->requests = sockets->changes == NULL ? NULL : stream_socket_open(sockets, ZMQ_ROUTER, sockets->requests_path);
  if (sockets->requests == NULL ||
      !stream_watch(sockets, &sockets->changes_source, sockets->changes, stream_changes_ready) ||
      !stream_watch(sockets, &sockets->requests_source, sockets->requests, stream_requests_ready)) {
    (void)snprintf(why, why_size, "cannot open the stream's sockets %s: %s", where, zmq_strerror(errno));
    return VESTA_ERR_NO_RESOURCES;
  }
  return VESTA_OK;
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
  sockets->subscriptions = subscription_set_new();
  if (sockets->turns == NULL || sockets->subscriptions == NULL) {
    (void)snprintf(why, why_size, "out of memory");
    answer_turns_destroy(&sockets->turns);
    subscription_set_destroy(&sockets->subscriptions);
    free(sockets);
    return VESTA_ERR_NO_MEMORY;
  }
  vesta_err_t err = stream_open(sockets, why, why_size);
  if (err != VESTA_OK) {
    stream_sockets_close(&sockets);
    return err;
  }
  sockets->touched = true;
  sockets->asked = true;
  *out = sockets;
  return VESTA_OK;
}

/* Waits for the I/O thread: counted memory is given back before its counters go. */
static void stream_context_close(stream_sockets_t *sockets) {
  if (sockets->config.door == NULL) {
    zsys_shutdown();
    return;
  }
  while (sockets->zmq != NULL && zmq_ctx_term(sockets->zmq) != 0 && errno == EINTR) {
  }
}

static void stream_socket_close(stream_sockets_t *sockets, void *socket, loop_source_t *source, const char *path) {
  if (source->context != NULL) {
    loop_remove(sockets->loop, source);
  }
  if (socket != NULL) {
    /* The door's monitor: ZeroMQ's thread would wait for ever to tell one that is closed. */
    (void)zmq_socket_monitor(socket, NULL, 0);
    (void)zmq_close(socket);
  }
  if (socket != NULL && path[0] != '\0') {
    (void)unlink(path);
  }
}

void stream_sockets_close(stream_sockets_t **sockets_pointer) {
  stream_sockets_t *sockets = *sockets_pointer;
  if (sockets == NULL) {
    return;
  }
  stream_socket_close(sockets, sockets->changes, &sockets->changes_source, sockets->changes_path);
  stream_socket_close(sockets, sockets->requests, &sockets->requests_source, sockets->requests_path);
  stream_door_close(&sockets->door);
  stream_context_close(sockets);
  answer_turns_destroy(&sockets->turns);
  subscription_set_destroy(&sockets->subscriptions);
  stuck_links_fini(&sockets->stuck_changes);
  stuck_links_fini(&sockets->stuck_requests);
  free(sockets);
  *sockets_pointer = NULL;
}

const stream_door_t *stream_sockets_door(const stream_sockets_t *sockets) { return sockets->door; }

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
