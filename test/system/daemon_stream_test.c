/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The change stream's sockets as a program in another language meets them: plain ZeroMQ, good and bad.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <zmq.h>
#include <cmocka.h>

#include "notify/publisher.h"
#include "test/support/raw_link.h"
#include "test/support/vestad_process.h"

#define ASK_AGAIN_MS 1000
#define WALKERS ((int)VESTA_STREAM_WAITING_MAX / 2 + 300) /* of one user, more than may wait */

static vestad_place_t place;
static pid_t vestad;
static raw_link_t client;
static vesta_token_t session;
static uint64_t handle;
static uint64_t checkpoint;
static vesta_token_t stream_token;
static void *context;
static void *sub;
static void *dealer;
static void *more[WALKERS]; /* of a test that needs others */
static int more_count;
static wire_decoder_t *decoder;

static void *socket_open(int type, const char *suffix) {
  char endpoint[160];
  const int limit_ms = TEST_DEADLINE_MS;
  const int linger_ms = 0;
  void *socket = zmq_socket(context, type);
  (void)snprintf(endpoint, sizeof endpoint, "ipc://%s%s", place.socket, suffix);
  assert_non_null(socket);
  assert_int_equal(zmq_setsockopt(socket, ZMQ_RCVTIMEO, &limit_ms, sizeof limit_ms), 0);
  assert_int_equal(zmq_setsockopt(socket, ZMQ_LINGER, &linger_ms, sizeof linger_ms), 0);
  assert_int_equal(zmq_connect(socket, endpoint), 0);
  return socket;
}

/* Closed at the end of the test, should it fail: a context does not end before its sockets. */
static void *socket_open_more(int type, const char *suffix) {
  assert_true(more_count < WALKERS);
  void *socket = socket_open(type, suffix);
  more[more_count++] = socket;
  return socket;
}

static int stream_set_up(void **state) {
  wire_message_t stream = {.kind = WIRE_STREAM};
  wire_message_t reply;
  (void)state;
  vestad_place_make(&place);
  vestad = vestad_start(&place, NULL, NULL);
  session = (vesta_token_t){0};
  if (vestad <= 0 || !raw_link_open(&client, place.socket) || raw_link_hello(&client, &session) != VESTA_OK ||
      raw_link_checkpoint(&client, "state", &handle) != VESTA_OK) {
    return -1;
  }
  stream.handle = handle;
  if (raw_link_call(&client, &stream, vesta_bytes(NULL, 0), &reply, NULL) != VESTA_OK) {
    return -1;
  }
  checkpoint = reply.checkpoint;
  stream_token = wire_token(&reply);
  decoder = wire_decoder_new();
  context = zmq_ctx_new();
  sub = socket_open(ZMQ_SUB, ".changes");
  dealer = socket_open(ZMQ_DEALER, ".requests");
  return 0;
}

static int stream_tear_down(void **state) {
  (void)state;
  (void)zmq_close(sub);
  (void)zmq_close(dealer);
  while (more_count > 0) {
    (void)zmq_close(more[--more_count]);
  }
  (void)zmq_ctx_term(context);
  wire_decoder_destroy(&decoder);
  raw_link_close(&client);
  int code = vestad_end(vestad, SIGTERM);
  vestad_place_remove(&place);
  return code;
}

static void subscribe(void *socket, uint8_t class_byte) {
  uint8_t topic[NOTIFY_TOPIC_BYTES];
  notify_topic(topic, class_byte, checkpoint);
  assert_int_equal(zmq_setsockopt(socket, ZMQ_SUBSCRIBE, topic, sizeof topic), 0);
}

/* Frames after the first `skip`: head and payload. The message lives until the next one. */
static void receive(void *socket, int skip, wire_message_t *message, vesta_bytes_t *payload) {
  static zmq_msg_t frames[3];
  static bool used;
  int count = 0;
  do {
    assert_true(count < 3);
    if (used) {
      (void)zmq_msg_close(&frames[count]);
    }
    assert_int_equal(zmq_msg_init(&frames[count]), 0);
    assert_true(zmq_msg_recv(&frames[count], socket, 0) >= 0);
  } while (zmq_msg_more(&frames[count++]) != 0);
  for (int i = count; i < 3 && !used; i++) {
    (void)zmq_msg_init(&frames[i]);
  }
  used = true;
  assert_int_equal(count, skip + 2);
  assert_int_equal(wire_decode(decoder, zmq_msg_data(&frames[skip]), zmq_msg_size(&frames[skip]), message), VESTA_OK);
  *payload = vesta_bytes(zmq_msg_data(&frames[skip + 1]), zmq_msg_size(&frames[skip + 1]));
}

static void ask_on(void *socket, wire_message_t *request) {
  static uint8_t head[VESTA_STREAM_REQUEST_BYTES_MAX];
  size_t size = 0;
  assert_int_equal(wire_encode(request, head, sizeof head, &size), VESTA_OK);
  assert_int_equal(zmq_send(socket, head, size, ZMQ_SNDMORE), (int)size);
  assert_int_equal(zmq_send(socket, "", 0, 0), 0);
}

static void ask(wire_message_t *request) { ask_on(dealer, request); }

static void a_subscriber_gets_a_beacon_and_then_every_change_with_its_data(void **state) {
  (void)state;
  wire_message_t message;
  vesta_bytes_t payload;
  subscribe(sub, NOTIFY_CLASS_DATA);
  receive(sub, 1, &message, &payload);
  assert_int_equal(message.kind, WIRE_BEACON);
  assert_int_equal(message.seq, 0);
  assert_int_equal(raw_link_create(&client, handle, "a", vesta_bytes("hello", 5)), VESTA_OK);
  receive(sub, 1, &message, &payload);
  assert_int_equal(message.kind, WIRE_CHANGES);
  assert_int_equal(message.element_count, 1);
  assert_int_equal(message.elements[0].kind, VESTA_KIND_CREATED);
  assert_int_equal(message.elements[0].seq, 1);
  assert_true(vesta_bytes_equal(message.elements[0].id, vesta_bytes("a", 1)));
  assert_true(vesta_bytes_equal(payload, vesta_bytes("hello", 5)));
}

static void an_idle_topic_goes_on_telling_where_it_stands(void **state) {
  (void)state;
  wire_message_t message;
  vesta_bytes_t payload;
  subscribe(sub, NOTIFY_CLASS_DATA);
  for (int i = 0; i < 2; i++) { /* the second one comes by time alone */
    receive(sub, 1, &message, &payload);
    assert_int_equal(message.kind, WIRE_BEACON);
  }
}

static void a_snapshot_needs_a_token_that_may_read(void **state) {
  (void)state;
  wire_message_t message;
  vesta_bytes_t payload;
  wire_message_t request = {
      .kind = WIRE_SNAPSHOT_GET, .checkpoint = checkpoint, .token_hi = stream_token.hi, .token_lo = stream_token.lo};
  assert_int_equal(raw_link_create(&client, handle, "a", vesta_bytes("hello", 5)), VESTA_OK);
  ask(&request);
  receive(dealer, 0, &message, &payload);
  assert_int_equal(message.kind, WIRE_SNAPSHOT_CHUNK);
  assert_int_equal(message.error, VESTA_OK);
  assert_int_equal(message.seq, 1);
  assert_true(vesta_bytes_equal(payload, vesta_bytes("hello", 5)));
  request.token_lo++;
  ask(&request);
  receive(dealer, 0, &message, &payload);
  assert_int_equal(message.kind, WIRE_SNAPSHOT_CHUNK);
  assert_int_equal(message.error, VESTA_ERR_ACCESS);
  assert_int_equal(payload.size, 0);
  request.token_lo--;
  request.kind = WIRE_HISTORY_GET;
  request.checkpoint++; /* another one, not opened by this session */
  ask(&request);
  receive(dealer, 0, &message, &payload);
  assert_int_equal(message.kind, WIRE_HISTORY_CHUNK);
  assert_int_equal(message.error, VESTA_ERR_ACCESS);
}

static void garbage_on_the_streams_sockets_is_dropped_and_counted(void **state) {
  (void)state;
  wire_message_t message;
  vesta_bytes_t payload;
  void *loud = socket_open(ZMQ_XSUB, ".changes");
  static uint8_t bytes[VESTA_STREAM_REQUEST_BYTES_MAX + 1];
  srand(3);
  for (int i = 0; i < 300; i++) {
    size_t size = 2 + (size_t)rand() % 40;
    for (size_t j = 0; j < size; j++) {
      bytes[j] = (uint8_t)rand();
    }
    bytes[0] = (uint8_t)(i % 4); /* 0 and 1 are taken for subscriptions, to topics that are none */
    (void)zmq_send(loud, bytes, size, 0);
    (void)zmq_send(dealer, bytes, size, i % 3 == 0 ? ZMQ_SNDMORE : 0);
  }
  (void)zmq_send(dealer, "", 0, 0);
  assert_true(raw_counter_reaches(place.socket, "published_input_dropped", 100));
  assert_true(raw_counter_reaches(place.socket, "stream_requests_dropped", 100));
  (void)zmq_send(loud, bytes, sizeof bytes, 0); /* larger than may be: ZeroMQ hangs up by itself */
  (void)zmq_send(dealer, bytes, sizeof bytes, 0);
  (void)zmq_close(loud);
  subscribe(sub, NOTIFY_CLASS_DATA);
  receive(sub, 1, &message, &payload);
  assert_int_equal(message.kind, WIRE_BEACON);
  assert_int_equal(raw_link_create(&client, handle, "a", vesta_bytes("x", 1)), VESTA_OK);
}

static void a_request_of_the_longest_prefixes_is_answered_and_a_larger_message_cuts_the_link(void **state) {
  (void)state;
  static uint8_t bytes[VESTA_STREAM_REQUEST_BYTES_MAX + 1];
  wire_element_t prefixes[VESTA_STREAM_PREFIXES_MAX];
  for (uint32_t i = 0; i < VESTA_STREAM_PREFIXES_MAX; i++) {
    prefixes[i] = (wire_element_t){.id = vesta_bytes(bytes, VESTA_SECTION_ID_BYTES_MAX)};
  }
  prefixes[7].id = vesta_bytes("ab", 2);
  wire_message_t request = {.kind = WIRE_SNAPSHOT_GET,
                            .checkpoint = checkpoint,
                            .token_hi = stream_token.hi,
                            .token_lo = stream_token.lo,
                            .elements = prefixes,
                            .element_count = VESTA_STREAM_PREFIXES_MAX};
  wire_message_t message;
  vesta_bytes_t payload;
  assert_int_equal(raw_link_create(&client, handle, "abc", vesta_bytes("hello", 5)), VESTA_OK);
  assert_int_equal(raw_link_create(&client, handle, "b", vesta_bytes("other", 5)), VESTA_OK);
  ask(&request);
  receive(dealer, 0, &message, &payload);
  assert_int_equal(message.error, VESTA_OK);
  assert_true(vesta_bytes_equal(payload, vesta_bytes("hello", 5)));
  assert_int_equal(zmq_send(dealer, bytes, VESTA_STREAM_REQUEST_BYTES_MAX, 0), VESTA_STREAM_REQUEST_BYTES_MAX);
  assert_true(raw_counter_reaches(place.socket, "stream_requests_dropped", 1)); /* nonsense, but it was read */
  assert_int_equal(zmq_send(dealer, bytes, sizeof bytes, 0), (int)sizeof bytes);
  void *second = socket_open(ZMQ_DEALER, ".requests");
  (void)zmq_close(dealer); /* ZeroMQ hung up on that one */
  dealer = second;
  ask(&request);
  receive(dealer, 0, &message, &payload);
  assert_int_equal(message.error, VESTA_OK);
  assert_int_equal(raw_counter(place.socket, "stream_requests_dropped"), 1);
}

/* It reads nothing, and one message fills it. */
static void *subscribe_and_stop(void) {
  const int one = 1;
  void *stuck = socket_open_more(ZMQ_SUB, ".changes");
  assert_int_equal(zmq_setsockopt(stuck, ZMQ_RCVHWM, &one, sizeof one), 0);
  subscribe(stuck, NOTIFY_CLASS_DATA);
  return stuck;
}

static void a_subscriber_that_stops_reading_costs_a_bounded_amount_and_the_writer_nothing(void **state) {
  (void)state;
  enum { SECTION = 256 << 10, WRITES = 1500 }; /* 375 MiB, and 256 may wait */
  static uint8_t data[SECTION];
  wire_message_t message;
  vesta_bytes_t payload;
  void *stuck = subscribe_and_stop();
  assert_true(raw_counter_reaches(place.socket, "subscriptions", 1));
  assert_int_equal(raw_link_create(&client, handle, "a", vesta_bytes(data, sizeof data)), VESTA_OK);
  for (int i = 0; i < WRITES; i++) {
    assert_int_equal(raw_link_overwrite(&client, handle, "a", vesta_bytes(data, sizeof data)), VESTA_OK);
  }
  assert_true(raw_counter(place.socket, "stream_held_bytes") <= (int64_t)VESTA_STREAM_QUEUE_BYTES_MAX + 2 * SECTION);
  assert_true(raw_counter_reaches(place.socket, "stream_links_cut", 1)); /* and is given back */
  subscribe(sub, NOTIFY_CLASS_DATA);                                     /* another one is told where things stand */
  receive(sub, 1, &message, &payload);
  assert_int_equal(message.kind, WIRE_BEACON);
  assert_int_equal(message.seq, WRITES + 1);
  (void)zmq_close(stuck);
  more_count = 0;
  assert_true(
      raw_counter_falls_to(place.socket, "stream_held_bytes", SECTION)); /* what was held for it is given back */
}

static void a_subscriber_that_stops_reading_takes_nothing_from_one_that_reads(void **state) {
  (void)state;
  enum { SECTION = 256 << 10, WRITES = 1500 };
  static uint8_t data[SECTION];
  wire_message_t message;
  vesta_bytes_t payload;
  (void)subscribe_and_stop();
  subscribe(sub, NOTIFY_CLASS_DATA);
  receive(sub, 1, &message, &payload);
  assert_int_equal(message.kind, WIRE_BEACON);
  assert_true(raw_counter_reaches(place.socket, "subscriptions", 2));
  assert_int_equal(raw_link_create(&client, handle, "a", vesta_bytes(data, sizeof data)), VESTA_OK);
  for (uint64_t seq = 1; seq <= WRITES; seq++) {
    do { /* idle topics say so now and then */
      receive(sub, 1, &message, &payload);
    } while (message.kind == WIRE_BEACON && message.seq < seq);
    assert_int_equal(message.kind, WIRE_CHANGES);
    assert_int_equal(message.elements[0].seq, seq);
    assert_int_equal(payload.size, SECTION);
    assert_int_equal(raw_link_overwrite(&client, handle, "a", vesta_bytes(data, sizeof data)), VESTA_OK);
    if (seq == 300) { /* 75 MiB are held for the other one */
      assert_true(raw_counter_reaches(place.socket, "stream_links_cut", 1));
    }
  }
  assert_int_equal(raw_counter(place.socket, "published_withheld"), 0);
}

/* One of a crowd: each wants a snapshot of two chunks. */
typedef struct walker {
  void *socket;
  uint64_t cursor; /* of the chunk that it waits for */
} walker_t;

static void walker_ask(const walker_t *walker) {
  wire_message_t request = {.kind = WIRE_SNAPSHOT_GET,
                            .number = 1,
                            .checkpoint = checkpoint,
                            .cursor = walker->cursor,
                            .token_hi = stream_token.hi,
                            .token_lo = stream_token.lo};
  ask_on(walker->socket, &request);
}

/* Take an answer, and ask on. @return true when there is nothing more to come: it was the last one, or a refusal */
static bool walker_take(walker_t *walker, uint64_t *refused) {
  wire_message_t message;
  vesta_bytes_t payload;
  receive(walker->socket, 0, &message, &payload);
  assert_int_equal(message.kind, WIRE_SNAPSHOT_CHUNK);
  if (message.error != VESTA_OK) {
    assert_int_equal(message.error, VESTA_ERR_TRY_AGAIN);
    ++*refused;
    return true;
  }
  if (message.cursor != walker->cursor) {
    return false; /* the same once more: it had asked again */
  }
  assert_int_equal(payload.size, VESTA_STREAM_CHUNK_BYTES);
  if ((message.state & WIRE_CHUNK_LAST) != 0) {
    return true;
  }
  walker->cursor = message.cursor_end;
  walker_ask(walker);
  return false;
}

/* All at once. The first ones have the places of walks until they have asked for all; of the others half of what may
 * wait does, the rest is told so; nobody is left without an answer. */
static void more_requests_than_may_wait_are_told_to_come_again(void **state) {
  (void)state;
  enum { MAY_WAIT = (int)VESTA_STREAM_WAITING_MAX / 2, SECTION = VESTA_STREAM_CHUNK_BYTES };
  static uint8_t data[SECTION];
  static zmq_pollitem_t items[WALKERS];
  static walker_t crowd[WALKERS];
  wire_message_t message;
  vesta_bytes_t payload;
  assert_int_equal(raw_link_create(&client, handle, "a", vesta_bytes(data, sizeof data)), VESTA_OK);
  assert_int_equal(raw_link_create(&client, handle, "b", vesta_bytes(data, sizeof data)), VESTA_OK);
  for (int i = 0; i < WALKERS; i++) {
    crowd[i] = (walker_t){.socket = socket_open_more(ZMQ_DEALER, ".requests")};
    wire_message_t unknown = {.kind = WIRE_HISTORY_GET, .number = 1, .checkpoint = checkpoint, .token_hi = 1};
    ask_on(crowd[i].socket, &unknown);
    receive(crowd[i].socket, 0, &message, &payload); /* so it is connected */
    assert_int_equal(message.error, VESTA_ERR_ACCESS);
  }
  assert_int_equal(kill(vestad, SIGSTOP), 0);
  for (int i = 0; i < WALKERS; i++) {
    walker_ask(&crowd[i]);
  }
  assert_int_equal(kill(vestad, SIGCONT), 0);
  uint64_t refused = 0;
  int64_t deadline_ms = test_now_ms() + TEST_DEADLINE_MS;
  for (int left = WALKERS; left > 0;) {
    assert_true(test_now_ms() < deadline_ms);
    for (int i = 0; i < left; i++) {
      items[i] = (zmq_pollitem_t){.socket = crowd[i].socket, .events = ZMQ_POLLIN};
    }
    int ready = zmq_poll(items, left, ASK_AGAIN_MS);
    assert_true(ready >= 0);
    for (int i = left - 1; i >= 0; i--) {
      if (ready == 0) {
        walker_ask(&crowd[i]); /* as subscribers do: who does not is forgotten */
      } else if (items[i].revents != 0 && walker_take(&crowd[i], &refused)) {
        crowd[i] = crowd[--left];
      }
    }
  }
  assert_true(refused > 0 && refused <= (uint64_t)(WALKERS - MAY_WAIT));
  assert_true(raw_counter(place.socket, "stream_requests_refused") >= (int64_t)refused);
  assert_true(raw_counter_falls_to(place.socket, "stream_requests_waiting", 0));
}

/* Without our own accept4() libzmq would abort vestad here. */
static void more_subscribers_than_descriptors_are_turned_away_and_vestad_lives(void **state) {
  (void)state;
  enum { CROWD = 300, FILES = 260 };
  int fds[CROWD];
  raw_link_t late;
  vesta_token_t token = {0};
  vesta_err_t err;
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  (void)snprintf(address.sun_path, sizeof address.sun_path, "%s.changes", place.socket);
  raw_link_close(&client);
  assert_int_equal(vestad_end(vestad, SIGTERM), 0);
  place.files_max = FILES;
  vestad = vestad_start(&place, NULL, NULL);
  assert_true(vestad > 0);
  assert_true(raw_link_open(&client, place.socket));
  assert_int_equal(raw_link_hello(&client, &token), VESTA_OK);
  for (int i = 0; i < CROWD; i++) {
    fds[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fds[i], (struct sockaddr *)&address, sizeof address), 0); /* waits for its turn */
  }
  int64_t deadline_ms = test_now_ms() + TEST_DEADLINE_MS;
  while (raw_link_counter(&client, "stream_links_refused") < CROWD - FILES) { /* there is no link to spare */
    assert_true(test_now_ms() < deadline_ms);
  }
  assert_true(raw_link_open(&late, place.socket)); /* new links are refused as well, and told so */
  token = (vesta_token_t){0};
  assert_int_equal(raw_link_hello(&late, &token), VESTA_ERR_NO_RESOURCES);
  for (int i = 0; i < CROWD; i++) {
    (void)close(fds[i]);
  }
  do { /* and come in again when there is room */
    raw_link_close(&late);
    assert_true(raw_link_open(&late, place.socket));
    err = raw_link_hello(&late, &token);
    assert_true(err == VESTA_OK || err == VESTA_ERR_NO_RESOURCES);
  } while (err != VESTA_OK);
  raw_link_close(&late);
}

#define stream_case(test) cmocka_unit_test_setup_teardown(test, stream_set_up, stream_tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      stream_case(a_subscriber_gets_a_beacon_and_then_every_change_with_its_data),
      stream_case(an_idle_topic_goes_on_telling_where_it_stands),
      stream_case(a_snapshot_needs_a_token_that_may_read),
      stream_case(garbage_on_the_streams_sockets_is_dropped_and_counted),
      stream_case(a_request_of_the_longest_prefixes_is_answered_and_a_larger_message_cuts_the_link),
      stream_case(more_subscribers_than_descriptors_are_turned_away_and_vestad_lives),
      stream_case(more_requests_than_may_wait_are_told_to_come_again),
      stream_case(a_subscriber_that_stops_reading_takes_nothing_from_one_that_reads),
      stream_case(a_subscriber_that_stops_reading_costs_a_bounded_amount_and_the_writer_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
