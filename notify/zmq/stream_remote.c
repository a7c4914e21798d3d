/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See stream_remote.h.
 *
 * An *attempt* is a DEALER connected to one server, with its monitor, which tells what a DEALER does not: that nobody
 * listens, that the handshake failed. It lives until it has an answer or can't have one, over several calls if need be.
 */
#include "notify/zmq/stream_remote.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "core/wire.h"
#include "notify/zmq/stream_context.h"
#include "notify/zmq/stream_endpoint.h"
#include "notify/zmq/stream_subscriber.h"

#define REMOTE_ENDPOINT_BYTES 200U
#define REMOTE_PATH_BYTES 1024U
#define REMOTE_REPEAT_NS INT64_C(1000000000)  /* the question is asked again after this */
#define REMOTE_ATTEMPT_NS INT64_C(3000000000) /* and of the next server after this, where there are several */
#define REMOTE_CONNECT_MS 3000
#define REMOTE_RECONNECT_MS 20
#define REMOTE_RECONNECT_MS_MAX 1000
#define REMOTE_FAILURES_MAX 3U /* of handshakes in a row: one may fail because the service is being restarted */
#define REMOTE_REQUEST_BYTES (VESTA_NAME_BYTES_MAX + 64U)
#define REMOTE_EVENTS                                                              \
  (ZMQ_EVENT_CONNECTED | ZMQ_EVENT_CLOSED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | \
   ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)

typedef struct remote_server {
  char endpoint[REMOTE_ENDPOINT_BYTES];
  stream_curve_t curve;
} remote_server_t;

struct stream_remote {
  remote_server_t servers[VESTA_STREAM_SERVERS_MAX];
  uint32_t count;
  uint32_t at; /* whose turn it is */
  bool encrypts;
  void *context; /* NULL: there is no attempt */
  void *dealer, *monitor;
  uint64_t number;        /* of the question */
  uint64_t attempts;      /* made so far: names of monitors */
  int64_t sent_ns;        /* INT64_MIN: it is to be sent */
  int64_t attempt_end_ns; /* INT64_MAX: never */
  uint32_t failures;      /* of this attempt's handshakes */
  uint32_t refusals;      /* servers in a row that can't be had, */
  vesta_err_t refusal;    /* and why */
  bool connected;
  wire_decoder_t *decoder;
  char endpoints[STREAM_REMOTE_ENDPOINTS_BYTES];
  uint32_t name_size;
  uint8_t name[VESTA_NAME_BYTES_MAX];
};

bool stream_curve_apply(const stream_curve_t *curve, void *socket) {
  return zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, curve->server_key, sizeof curve->server_key) == 0 &&
         zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, curve->own.public_key, sizeof curve->own.public_key) == 0 &&
         zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, curve->own.secret_key, sizeof curve->own.secret_key) == 0;
}

void stream_remote_watch(void *socket) {
  static const struct {
    int option, value;
  } options[] = {{ZMQ_HANDSHAKE_IVL, STREAM_REMOTE_HANDSHAKE_MS},
                 {ZMQ_HEARTBEAT_IVL, STREAM_REMOTE_HEARTBEAT_MS},
                 {ZMQ_HEARTBEAT_TIMEOUT, STREAM_REMOTE_HEARTBEAT_LIMIT_MS}};
  for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
    VESTA_ASSERT(zmq_setsockopt(socket, options[i].option, &options[i].value, sizeof options[i].value) == 0);
  }
}

/* ---- what was given ---- */

/* The next word of a list. @return false: there is none, or it has no room */
static bool word_next(const char **at, char *word, size_t size) {
  const char *begin = *at + strspn(*at, " ");
  size_t length = strcspn(begin, " ");
  if (length == 0 || length >= size) {
    return false;
  }
  memcpy(word, begin, length);
  word[length] = '\0';
  *at = begin + length + strspn(begin + length, " ");
  return true;
}

static bool servers_read(stream_remote_t *remote, const char *servers) {
  while (*servers != '\0') {
    if (remote->count == VESTA_STREAM_SERVERS_MAX) {
      return false;
    }
    char *endpoint = remote->servers[remote->count].endpoint;
    if (!word_next(&servers, endpoint, REMOTE_ENDPOINT_BYTES) || stream_endpoint_port(endpoint) == 0) {
      return false;
    }
    remote->count++;
  }
  return remote->count != 0;
}

static bool keys_read(stream_remote_t *remote, const char *server_keys, const char *key) {
  char path[REMOTE_PATH_BYTES];
  uint32_t count = 0;
  if (server_keys == NULL || key == NULL) {
    return server_keys == key;
  }
  remote->encrypts = true;
  if (curve_file_pair(key, &remote->servers[0].curve.own) != VESTA_OK) {
    return false;
  }
  for (; *server_keys != '\0'; count++) {
    if (count == remote->count || !word_next(&server_keys, path, sizeof path) ||
        curve_file_public(path, remote->servers[count].curve.server_key) != VESTA_OK) {
      return false;
    }
    remote->servers[count].curve.own = remote->servers[0].curve.own;
  }
  for (uint32_t i = 1; count == 1 && i < remote->count; i++) {
    remote->servers[i].curve = remote->servers[0].curve;
  }
  return count == 1 || count == remote->count;
}

vesta_err_t stream_remote_open(const stream_remote_config_t *config, stream_remote_t **out) {
  stream_remote_t *remote = calloc(1, sizeof *remote);
  if (remote == NULL) {
    return VESTA_ERR_NO_MEMORY;
  }
  remote->decoder = wire_decoder_new();
  vesta_err_t err = remote->decoder == NULL ? VESTA_ERR_NO_MEMORY : VESTA_OK;
  bool good = config->name.size >= 1 && config->name.size <= VESTA_NAME_BYTES_MAX &&
              servers_read(remote, config->servers) && keys_read(remote, config->server_keys, config->key);
  if (err == VESTA_OK && !good) {
    err = VESTA_ERR_INVALID_PARAM;
  }
  if (err != VESTA_OK) {
    stream_remote_close(&remote, true);
    return err;
  }
  memcpy(remote->name, config->name.data, config->name.size);
  remote->name_size = (uint32_t)config->name.size;
  *out = remote;
  return VESTA_OK;
}

/* ---- attempts ---- */

/* The monitor is ended before the socket that hears it: ZeroMQ's thread, which serves all sockets of the process, would
 * wait for ever to tell it of one event more. */
static void attempt_end(stream_remote_t *remote) {
  if (remote->dealer != NULL) {
    (void)zmq_socket_monitor(remote->dealer, NULL, 0);
    VESTA_ASSERT(zmq_close(remote->dealer) == 0);
    remote->dealer = NULL;
  }
  if (remote->monitor != NULL) {
    VESTA_ASSERT(zmq_close(remote->monitor) == 0);
    remote->monitor = NULL;
  }
  if (remote->context != NULL) {
    remote->context = NULL;
    stream_context_release();
  }
}

void stream_remote_close(stream_remote_t **remote_pointer, bool mine) {
  stream_remote_t *remote = *remote_pointer;
  if (remote == NULL) {
    return;
  }
  if (mine) {
    attempt_end(remote);
  }
  wire_decoder_destroy(&remote->decoder);
  explicit_bzero(remote->servers, sizeof remote->servers);
  free(remote);
  *remote_pointer = NULL;
}

static bool attempt_options(const stream_remote_t *remote, void *dealer) {
  static const struct {
    int option, value;
  } options[] = {{ZMQ_LINGER, 0},
                 {ZMQ_IPV6, 1},
                 {ZMQ_CONNECT_TIMEOUT, REMOTE_CONNECT_MS},
                 {ZMQ_RECONNECT_IVL, REMOTE_RECONNECT_MS},
                 {ZMQ_RECONNECT_IVL_MAX, REMOTE_RECONNECT_MS_MAX}};
  const stream_curve_t *curve = &remote->servers[remote->at].curve;
  int64_t size_max = VESTA_STREAM_REQUEST_BYTES_MAX;
  for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
    VESTA_ASSERT(zmq_setsockopt(dealer, options[i].option, &options[i].value, sizeof options[i].value) == 0);
  }
  VESTA_ASSERT(zmq_setsockopt(dealer, ZMQ_MAXMSGSIZE, &size_max, sizeof size_max) == 0);
  stream_remote_watch(dealer);
  return !remote->encrypts || stream_curve_apply(curve, dealer);
}

/* The monitor is there before there is anything to be seen. */
static bool attempt_monitor(stream_remote_t *remote) {
  char endpoint[96];
  int linger = 0;
  int unlimited = 0; /* for that thread would wait for room, too; who is away for long reconnects rarely */
  (void)snprintf(endpoint, sizeof endpoint, "inproc://vesta-remote-%p-%llu", (void *)remote,
                 (unsigned long long)remote->attempts);
  remote->monitor = zmq_socket(remote->context, ZMQ_PAIR);
  return remote->monitor != NULL && zmq_setsockopt(remote->monitor, ZMQ_LINGER, &linger, sizeof linger) == 0 &&
         zmq_setsockopt(remote->monitor, ZMQ_RCVHWM, &unlimited, sizeof unlimited) == 0 &&
         zmq_socket_monitor(remote->dealer, endpoint, REMOTE_EVENTS) == 0 &&
         zmq_connect(remote->monitor, endpoint) == 0;
}

static vesta_err_t attempt_begin(stream_remote_t *remote) {
  vesta_err_t err = stream_context_acquire(&remote->context);
  if (err != VESTA_OK) {
    remote->context = NULL;
    return err;
  }
  remote->attempts++;
  remote->number++;
  remote->sent_ns = INT64_MIN;
  remote->attempt_end_ns = remote->count > 1 ? stream_steady_ns() + REMOTE_ATTEMPT_NS : INT64_MAX;
  remote->failures = 0;
  remote->connected = false;
  remote->dealer = zmq_socket(remote->context, ZMQ_DEALER);
  if (remote->dealer == NULL || !attempt_options(remote, remote->dealer) || !attempt_monitor(remote)) {
    err = errno == ENOMEM ? VESTA_ERR_NO_MEMORY : VESTA_ERR_NO_RESOURCES;
  } else if (zmq_connect(remote->dealer, remote->servers[remote->at].endpoint) != 0) {
    err = VESTA_ERR_UNAVAILABLE; /* no such host, say */
  }
  return err;
}

static void attempt_send(stream_remote_t *remote, uint64_t member, int64_t now_ns) {
  uint8_t bytes[REMOTE_REQUEST_BYTES];
  size_t size = 0;
  wire_message_t request = {.kind = WIRE_FOLLOW_GET,
                            .number = remote->number,
                            .name = vesta_bytes(remote->name, remote->name_size),
                            .member = member};
  VESTA_ASSERT(wire_encode(&request, bytes, sizeof bytes, &size) == VESTA_OK);
  (void)zmq_send(remote->dealer, bytes, size, ZMQ_DONTWAIT); /* one that finds no room is repeated */
  remote->sent_ns = now_ns;
}

/* ---- what comes ---- */

/* All frames of a message; the first one stays. @return false: nothing is there */
static bool remote_receive(void *socket, zmq_msg_t *first) {
  bool more = true;
  bool got = false;
  VESTA_ASSERT(zmq_msg_init(first) == 0);
  while (more) {
    zmq_msg_t frame;
    VESTA_ASSERT(zmq_msg_init(&frame) == 0);
    if (zmq_msg_recv(got ? &frame : first, socket, ZMQ_DONTWAIT) < 0) {
      more = false;
    } else {
      more = zmq_msg_more(got ? &frame : first) != 0;
      got = true;
    }
    VESTA_ASSERT(zmq_msg_close(&frame) == 0);
  }
  return got;
}

/* OK: nothing that matters. */
static vesta_err_t remote_event(stream_remote_t *remote, uint16_t event) {
  switch (event) {
    case ZMQ_EVENT_CONNECTED: remote->connected = true; return VESTA_OK;
    case ZMQ_EVENT_CLOSED: return VESTA_ERR_UNAVAILABLE; /* of an attempt to connect */
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH: return VESTA_ERR_ACCESS;
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL: return VESTA_ERR_DENIED; /* ZeroMQ does not try again */
    default: return ++remote->failures == REMOTE_FAILURES_MAX ? VESTA_ERR_DENIED : VESTA_OK;
  }
}

static vesta_err_t remote_events(stream_remote_t *remote) {
  zmq_msg_t frame;
  vesta_err_t err = VESTA_OK;
  while (err == VESTA_OK && remote_receive(remote->monitor, &frame)) {
    uint16_t event = 0;
    if (zmq_msg_size(&frame) >= sizeof event) {
      memcpy(&event, zmq_msg_data(&frame), sizeof event);
      err = remote_event(remote, event);
    }
    VESTA_ASSERT(zmq_msg_close(&frame) == 0);
  }
  return err;
}

/* @return true: it is the answer */
static bool remote_answer(stream_remote_t *remote, wire_message_t *answer) {
  zmq_msg_t frame;
  bool good = false;
  while (!good && remote_receive(remote->dealer, &frame)) {
    good = wire_decode(remote->decoder, zmq_msg_data(&frame), zmq_msg_size(&frame), answer) == VESTA_OK &&
           answer->kind == WIRE_FOLLOW_REPLY && answer->number == remote->number;
    VESTA_ASSERT(zmq_msg_close(&frame) == 0);
  }
  return good;
}

/* Until something may have come. */
static void remote_wait(const stream_remote_t *remote, int64_t now_ns, int64_t until_ns) {
  zmq_pollitem_t items[] = {{.socket = remote->dealer, .events = ZMQ_POLLIN},
                            {.socket = remote->monitor, .events = ZMQ_POLLIN}};
  int64_t wake_ns = remote->sent_ns + REMOTE_REPEAT_NS;
  wake_ns = until_ns < wake_ns ? until_ns : wake_ns;
  wake_ns = remote->attempt_end_ns < wake_ns ? remote->attempt_end_ns : wake_ns;
  long wait_ms = wake_ns > now_ns ? (long)((wake_ns - now_ns + 999999) / 1000000) : 0;
  (void)zmq_poll(items, sizeof items / sizeof items[0], wait_ms);
}

/* An attempt is going on, or none. TRY_AGAIN: it goes on */
static vesta_err_t remote_try(stream_remote_t *remote, uint64_t member, wire_message_t *answer) {
  vesta_err_t err = remote->context == NULL ? attempt_begin(remote) : VESTA_OK;
  if (err != VESTA_OK) {
    return err;
  }
  int64_t now_ns = stream_steady_ns();
  if (remote->sent_ns == INT64_MIN || now_ns - remote->sent_ns >= REMOTE_REPEAT_NS) {
    attempt_send(remote, member, now_ns);
  }
  if (remote_answer(remote, answer)) {
    return (vesta_err_t)answer->error;
  }
  err = remote_events(remote);
  if (err == VESTA_OK && now_ns >= remote->attempt_end_ns) {
    err = remote->connected ? VESTA_ERR_TIMEOUT : VESTA_ERR_UNAVAILABLE;
  }
  return err == VESTA_OK ? VESTA_ERR_TRY_AGAIN : err;
}

/* May another server say something better? */
static bool remote_passes_over(vesta_err_t err) {
  return err == VESTA_ERR_UNAVAILABLE || err == VESTA_ERR_ACCESS || err == VESTA_ERR_DENIED ||
         err == VESTA_ERR_TIMEOUT || err == VESTA_ERR_TRY_AGAIN || err == VESTA_ERR_NO_RESOURCES;
}

/* Of what several servers say, that which leaves most hope: one may know the key that others don't. */
static vesta_err_t remote_refusal(vesta_err_t one, vesta_err_t other) {
  static const vesta_err_t hopes[] = {VESTA_ERR_UNAVAILABLE, VESTA_ERR_TIMEOUT, VESTA_ERR_TRY_AGAIN,
                                      VESTA_ERR_NO_RESOURCES, VESTA_ERR_DENIED};
  for (size_t i = 0; i < sizeof hopes / sizeof hopes[0]; i++) {
    if (one == hopes[i] || other == hopes[i]) {
      return hopes[i];
    }
  }
  return one;
}

static void remote_take(stream_remote_t *remote, const wire_message_t *message, stream_remote_answer_t *answer) {
  const remote_server_t *server = &remote->servers[remote->at];
  const char *colon = strrchr(server->endpoint, ':');
  int size = snprintf(remote->endpoints, sizeof remote->endpoints, "%.*s:%u %s", (int)(colon - server->endpoint),
                      server->endpoint, stream_endpoint_port(server->endpoint) + 1U, server->endpoint);
  VESTA_ASSERT(size > 0 && (size_t)size < sizeof remote->endpoints);
  *answer = (stream_remote_answer_t){.token = wire_token(message),
                                     .checkpoint = message->checkpoint,
                                     .handle = message->handle,
                                     .member = message->member,
                                     .endpoints = vesta_bytes(remote->endpoints, (size_t)size),
                                     .curve = remote->encrypts ? &server->curve : NULL};
}

void stream_remote_pass_over(stream_remote_t *remote) {
  attempt_end(remote);
  remote->at = (remote->at + 1) % remote->count;
}

vesta_err_t stream_remote_ask(stream_remote_t *remote, uint64_t member, int64_t until_ns,
                              stream_remote_answer_t *answer) {
  for (;;) {
    wire_message_t message;
    vesta_err_t err = remote_try(remote, member, &message);
    int64_t now_ns = stream_steady_ns();
    if (err == VESTA_OK) {
      remote_take(remote, &message, answer);
    } else if (err == VESTA_ERR_TRY_AGAIN) {
      if (now_ns >= until_ns) {
        return VESTA_ERR_TIMEOUT;
      }
      remote_wait(remote, now_ns, until_ns);
      continue;
    }
    attempt_end(remote);
    if (!remote_passes_over(err)) {
      remote->refusals = 0;
      return err;
    }
    remote->refusal = remote->refusals == 0 ? err : remote_refusal(remote->refusal, err);
    remote->at = (remote->at + 1) % remote->count;
    if (++remote->refusals == remote->count) {
      remote->refusals = 0;
      return remote->refusal;
    }
  }
}
