/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What can come in at the TCP ports: bytes that are nothing, guests that do what no subscriber does, crowds, readers that
 * do not read. Whoever else is there, on this machine or over TCP, has every change all the same.
 */
#include <vesta.h>

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zmq.h>

#include <cmocka.h>

#include "notify/publisher.h"
#include "test/support/application.h"
#include "test/support/daemon_fixture.h"
#include "test/support/deadline.h"
#include "test/support/raw_link.h"
#include "test/support/tcp_guest.h"

#define CHECKPOINT "harm"
#define CHECKPOINT_NAME "safCkpt=" CHECKPOINT

static tcp_place_t place;
static daemon_fixture_t vestad;
static application_t application;
static vesta_server_t server;
static void *context;
static void *opened;
static const char *options[16];

static int harm_set_up_with(const char *option, const char *value) {
  tcp_place_make(&place);
  const char *all[] = {"--stream-listen",
                       place.endpoint,
                       "--key",
                       place.server_key,
                       "--stream-keys",
                       place.known_dir,
                       option,
                       value,
                       NULL};
  memcpy(options, all, sizeof all);
  daemon_fixture_open_with(&vestad, options);
  application_open(&application, CHECKPOINT, APPLICATION_ALL);
  server = (vesta_server_t){.endpoints = place.endpoint, .server_keys = place.server_public, .key = place.guest_key};
  context = zmq_ctx_new();
  return 0;
}

static int harm_set_up(void **state) {
  (void)state;
  return harm_set_up_with(NULL, NULL);
}

/* Where no keys are asked for. */
static int keyless_set_up(void **state) {
  (void)state;
  tcp_place_make(&place);
  const char *all[] = {"--stream-listen", place.endpoint, "--insecure", NULL};
  memcpy(options, all, sizeof all);
  daemon_fixture_open_with(&vestad, options);
  application_open(&application, CHECKPOINT, APPLICATION_ALL);
  server = (vesta_server_t){.endpoints = place.endpoint, .insecure = SA_TRUE};
  context = zmq_ctx_new();
  return 0;
}

static int few_set_up(void **state) {
  (void)state;
  return harm_set_up_with("--guests-max", "3");
}

/* A plain socket of one who is let in; one at a time. */
static void *guest_open(int type) {
  assert_null(opened);
  opened = tcp_place_socket(&place, context, type, type == ZMQ_DEALER ? TCP_GUEST_PORT : TCP_GUEST_PORT + 1);
  assert_non_null(opened);
  return opened;
}

static void guest_close(void) {
  if (opened != NULL) {
    (void)zmq_close(opened);
    opened = NULL;
  }
}

static int harm_tear_down(void **state) {
  (void)state;
  guest_close();
  (void)zmq_ctx_term(context);
  application_close(&application);
  daemon_fixture_close(&vestad);
  tcp_place_remove(&place);
  return 0;
}

/* ---- two who follow ---- */

typedef struct pair_of_streams {
  vesta_stream_t *local, *guest;
} pair_of_streams_t;

static pair_of_streams_t streams_open(void) {
  pair_of_streams_t streams = {0};
  assert_int_equal(vesta_stream_open(application.checkpoint, NULL, &streams.local), SA_AIS_OK);
  assert_int_equal(vesta_stream_open_at(&server, CHECKPOINT_NAME, NULL, &streams.guest), SA_AIS_OK);
  stream_take_until(streams.local, VESTA_CHANGE_SYNCED);
  stream_take_until(streams.guest, VESTA_CHANGE_SYNCED);
  return streams;
}

/* One that was cut off says that it is synced again; LOST it never says. */
static SaUint64T take_change(vesta_stream_t *stream) {
  vesta_change_t change = stream_take(stream);
  while (change.kind == VESTA_CHANGE_SYNCED) {
    change = stream_take(stream);
  }
  assert_int_equal(change.kind, VESTA_CHANGE_OVERWRITTEN);
  return change.position.seq;
}

static void streams_have_what_is_written(pair_of_streams_t *streams, int writes) {
  SaUint64T seq = 0;
  if (application_overwrite(&application, "s", "0", 1) == SA_AIS_ERR_NOT_EXIST) {
    assert_int_equal(application_create(&application, "s", "0", 1), SA_AIS_OK);
    (void)stream_take(streams->local);
    (void)stream_take(streams->guest);
  } else {
    seq = take_change(streams->local);
    assert_int_equal(take_change(streams->guest), seq);
  }
  for (int i = 0; i < writes; i++) {
    assert_int_equal(application_overwrite(&application, "s", "1", 1), SA_AIS_OK);
    SaUint64T local = take_change(streams->local);
    assert_true(seq == 0 || local == seq + 1);
    assert_int_equal(take_change(streams->guest), local);
    seq = local;
  }
}

static void streams_close(pair_of_streams_t *streams) {
  assert_int_equal(vesta_stream_close(&streams->local), SA_AIS_OK);
  assert_int_equal(vesta_stream_close(&streams->guest), SA_AIS_OK);
}

/* ---- bytes ---- */

static uint32_t noise(uint32_t *state) {
  *state = *state * 1664525U + 1013904223U;
  return *state >> 8;
}

/* ZeroMQ's greeting, version 3.1, with that mechanism; what follows it decides. */
static size_t greeting_write(uint8_t *to, const char *mechanism) {
  memset(to, 0, 64);
  to[0] = 0xFF;
  to[9] = 0x7F;
  to[10] = 3;
  memcpy(to + 12, mechanism, strlen(mechanism));
  return 64;
}

/* How many kinds of bytes there are. */
#define BYTES_KINDS 8U

static size_t bytes_make(unsigned kind, uint32_t *seed, uint8_t *to, size_t room) {
  size_t size = 0;
  switch (kind) {
    case 0: return (size_t)snprintf((char *)to, room, "GET / HTTP/1.0\r\n\r\n");
    case 1: size = greeting_write(to, "CURVE"); break;             /* and noise */
    case 2: return greeting_write(to, "CURVE");                    /* and nothing */
    case 3: return greeting_write(to, "NULL");                     /* no keys */
    case 4: return 1 + greeting_write(to, "PLAIN") / 2;            /* half of it */
    case 5: size = greeting_write(to, "CURVE"), to[10] = 1; break; /* an old version */
    case 6:                                                        /* a HELLO of the right size, from nobody */
      size = greeting_write(to, "CURVE");
      memcpy(to + size, "\x04\xC8\x05HELLO\x01\x00", 10);
      size += 10;
      while (size < 64 + 202) {
        to[size++] = (uint8_t)noise(seed);
      }
      return size;
    default: break; /* noise alone */
  }
  while (size < room - 1 && noise(seed) % 997 != 0) {
    to[size++] = (uint8_t)noise(seed);
  }
  return size;
}

static void whatever_bytes_come_nothing_is_lost(void **state) {
  (void)state;
  uint32_t seed = (uint32_t)getpid();
  uint8_t bytes[4096];
  int held[16];
  size_t held_count = 0;
  print_message("seed %u\n", seed);
  pair_of_streams_t streams = streams_open();
  for (unsigned i = 0; i < 200; i++) {
    int fd = tcp_place_connect(&place, TCP_GUEST_PORT + i % 2);
    assert_true(fd >= 0);
    (void)send(fd, bytes, bytes_make(i / 2 % BYTES_KINDS, &seed, bytes, sizeof bytes), MSG_NOSIGNAL);
    if (i % 20 == 0 && held_count < sizeof held / sizeof held[0]) {
      held[held_count++] = fd; /* and stays */
    } else {
      (void)close(fd);
    }
    if (i % 10 == 0) {
      streams_have_what_is_written(&streams, 2);
    }
  }
  assert_true(raw_counter_reaches(vestad.socket, "guest_handshakes_failed", 50));
  streams_have_what_is_written(&streams, 20);
  while (held_count > 0) {
    (void)close(held[--held_count]);
  }
  streams_close(&streams);
}

/* ---- guests who are none ---- */

static void message_send(void *socket, const void *bytes, size_t size) {
  assert_int_equal(zmq_send(socket, bytes, size, 0), (int)size);
}

static void request_send(void *dealer, const wire_message_t *message) {
  uint8_t bytes[4096];
  size_t size = 0;
  assert_int_equal(wire_encode(message, bytes, sizeof bytes, &size), VESTA_OK);
  message_send(dealer, bytes, size);
}

static vesta_err_t answer_take(void *dealer, wire_message_t *answer) {
  static uint8_t bytes[65536];
  static wire_decoder_t *decoder;
  decoder = decoder == NULL ? wire_decoder_new() : decoder;
  int more = 1;
  int size = zmq_recv(dealer, bytes, sizeof bytes, 0);
  assert_true(size > 0);
  for (size_t length = sizeof more; zmq_getsockopt(dealer, ZMQ_RCVMORE, &more, &length) == 0 && more != 0;) {
    uint8_t rest[16];
    (void)zmq_recv(dealer, rest, sizeof rest, 0);
  }
  assert_int_equal(wire_decode(decoder, bytes, (size_t)size, answer), VESTA_OK);
  return (vesta_err_t)answer->error;
}

static void whatever_a_guest_asks_nobody_else_suffers(void **state) {
  (void)state;
  uint32_t seed = (uint32_t)getpid();
  uint8_t bytes[512];
  print_message("seed %u\n", seed);
  pair_of_streams_t streams = streams_open();
  void *dealer = guest_open(ZMQ_DEALER);
  for (int i = 0; i < 2000; i++) {
    size_t size = noise(&seed) % sizeof bytes;
    for (size_t at = 0; at < size; at++) {
      bytes[at] = (uint8_t)noise(&seed);
    }
    message_send(dealer, bytes, size); /* ends a connection; ZeroMQ makes another */
    if (i % 100 == 0) {
      streams_have_what_is_written(&streams, 1);
    }
  }
  assert_true(raw_counter_reaches(vestad.socket, "guest_links_cut", 3));
  guest_close();
  dealer = guest_open(ZMQ_DEALER);
  wire_message_t answer;
  request_send(dealer, &(wire_message_t){.kind = WIRE_PROGRESS, .handle = 1, .state = WIRE_PROGRESS_STREAM_END});
  assert_int_equal(answer_take(dealer, &answer), VESTA_ERR_ACCESS); /* of another's stream it ends nothing */
  request_send(dealer, &(wire_message_t){.kind = WIRE_SNAPSHOT_GET, .number = 1, .checkpoint = 1, .token_hi = 1});
  assert_int_equal(answer_take(dealer, &answer), VESTA_ERR_ACCESS);
  const wire_message_t others[] = {{.kind = WIRE_OPEN, .name = vesta_bytes("safCkpt=x", 9), .flags = 7},
                                   {.kind = WIRE_UNLINK, .name = vesta_bytes(CHECKPOINT_NAME, strlen(CHECKPOINT_NAME))},
                                   {.kind = WIRE_FINALIZE},
                                   {.kind = WIRE_INFO}};
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) { /* it may read, no more */
    int64_t cut = raw_counter(vestad.socket, "guest_links_cut");
    request_send(dealer, &others[i]);
    assert_true(raw_counter_reaches(vestad.socket, "guest_links_cut", cut + 1));
  }
  assert_int_equal(raw_counter(vestad.socket, "checkpoints"), 1);
  streams_have_what_is_written(&streams, 10);
  guest_close();
  streams_close(&streams);
}

static void subscription_send(void *xsub, uint8_t begins, uint8_t class_byte, uint64_t checkpoint_id) {
  uint8_t message[1 + NOTIFY_TOPIC_BYTES] = {begins};
  notify_topic(message + 1, class_byte, checkpoint_id);
  message_send(xsub, message, sizeof message);
}

static void who_ends_subscriptions_of_others_delays_guests_at_most(void **state) {
  (void)state;
  pair_of_streams_t streams = streams_open();
  void *xsub = guest_open(ZMQ_XSUB);
  vesta_position_t position;
  assert_int_equal(vesta_stream_position(streams.local, &position), SA_AIS_OK);
  streams_have_what_is_written(&streams, 3);
  for (uint64_t id = 1; id < 50; id++) {
    subscription_send(xsub, 0, NOTIFY_CLASS_DATA, id);
  }
  streams_have_what_is_written(&streams, 3);
  guest_close();
  streams_close(&streams);
}

/* What no ZeroMQ socket of a subscriber sends: a topic twice, the end of one that it has not. */
static bool raw_subscription_send(int fd, uint8_t begins, uint64_t checkpoint_id) {
  uint8_t message[1 + NOTIFY_TOPIC_BYTES] = {begins};
  notify_topic(message + 1, NOTIFY_CLASS_DATA, checkpoint_id);
  return tcp_frame_send(fd, message, sizeof message);
}

static void who_subscribes_twice_is_cut_and_leaves_nothing_behind(void **state) {
  (void)state;
  pair_of_streams_t streams = streams_open();
  int64_t before = raw_counter(vestad.socket, "subscriptions");
  for (int round = 1; round <= 3; round++) {
    int fd = tcp_place_greet(&place, TCP_GUEST_PORT + 1, "SUB", NULL);
    for (int i = 0; i < 5; i++) {
      (void)raw_subscription_send(fd, 1, 77);
    }
    assert_true(raw_counter_reaches(vestad.socket, "guest_links_cut", round));
    (void)close(fd);
    assert_true(raw_counter_falls_to(vestad.socket, "subscriptions", before));
    streams_have_what_is_written(&streams, 3);
  }
  streams_close(&streams);
}

static void who_ends_what_it_has_not_is_cut_and_others_keep_theirs(void **state) {
  (void)state;
  pair_of_streams_t streams = streams_open();
  int64_t before = raw_counter(vestad.socket, "subscriptions");
  streams_have_what_is_written(&streams, 3);
  int fd = tcp_place_greet(&place, TCP_GUEST_PORT + 1, "SUB", NULL);
  assert_true(raw_subscription_send(fd, 1, 77));
  assert_true(raw_counter_reaches(vestad.socket, "subscriptions", before + 1));
  for (uint64_t id = 1; id < 10; id++) { /* one of them is that of the checkpoint */
    (void)raw_subscription_send(fd, 0, id);
  }
  assert_true(raw_counter_reaches(vestad.socket, "guest_links_cut", 1));
  (void)close(fd);
  assert_true(raw_counter_falls_to(vestad.socket, "subscriptions", before));
  assert_int_equal(raw_counter(vestad.socket, "subscriptions"), before);
  streams_have_what_is_written(&streams, 10);
  streams_close(&streams);
}

static void who_sends_what_is_no_subscription_is_cut(void **state) {
  (void)state;
  pair_of_streams_t streams = streams_open();
  void *xsub = guest_open(ZMQ_XSUB);
  message_send(xsub, "\x01x", 2);
  assert_true(raw_counter_reaches(vestad.socket, "guest_links_cut", 1));
  guest_close();
  streams_have_what_is_written(&streams, 3);
  streams_close(&streams);
}

static void so_many_subscriptions_stand_and_who_makes_one_more_is_cut(void **state) {
  (void)state;
  const int unlimited = 0;
  void *xsub = guest_open(ZMQ_XSUB);
  (void)zmq_setsockopt(xsub, ZMQ_SNDHWM, &unlimited, sizeof unlimited);
  for (uint64_t id = 1; id <= VESTA_GUEST_SUBSCRIPTIONS_MAX; id++) {
    subscription_send(xsub, 1, NOTIFY_CLASS_KEYS, 1000000 + id);
  }
  assert_true(raw_counter_reaches(vestad.socket, "subscriptions", VESTA_GUEST_SUBSCRIPTIONS_MAX));
  assert_int_equal(raw_counter(vestad.socket, "guest_links_cut"), 0);
  subscription_send(xsub, 1, NOTIFY_CLASS_KEYS, 999999);
  assert_true(raw_counter_reaches(vestad.socket, "guest_links_cut", 1));
  guest_close(); /* or it would do the same again */
  assert_true(raw_counter_falls_to(vestad.socket, "subscriptions", 0));
}

/* ---- crowds ---- */

static void so_many_guests_are_served_and_one_more_is_refused(void **state) {
  (void)state;
  vesta_stream_t *guests[3] = {0};
  vesta_stream_t *more = NULL;
  for (size_t i = 0; i < 3; i++) {
    assert_int_equal(vesta_stream_open_at(&server, CHECKPOINT_NAME, NULL, &guests[i]), SA_AIS_OK);
  }
  assert_int_equal(vesta_stream_open_at(&server, CHECKPOINT_NAME, NULL, &more), SA_AIS_ERR_NO_RESOURCES);
  assert_int_equal(raw_counter(vestad.socket, "guests_refused"), 1);
  assert_int_equal(vesta_stream_close(&guests[0]), SA_AIS_OK);
  assert_true(raw_counter_falls_to(vestad.socket, "guests", 2));
  assert_int_equal(vesta_stream_open_at(&server, CHECKPOINT_NAME, NULL, &more), SA_AIS_OK);
  for (size_t i = 1; i < 3; i++) {
    assert_int_equal(vesta_stream_close(&guests[i]), SA_AIS_OK);
  }
  assert_int_equal(vesta_stream_close(&more), SA_AIS_OK);
}

static void so_many_connections_are_let_in_and_local_ones_do_not_count(void **state) {
  (void)state;
  static int links[VESTA_GUEST_LINKS_MAX + 1];
  struct rlimit files;
  (void)getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &files);
  for (size_t i = 0; i < VESTA_GUEST_LINKS_MAX; i++) {
    links[i] = tcp_place_connect(&place, TCP_GUEST_PORT);
    assert_true(links[i] >= 0);
  }
  links[VESTA_GUEST_LINKS_MAX] = tcp_place_connect(&place, TCP_GUEST_PORT);
  struct pollfd ended = {.fd = links[VESTA_GUEST_LINKS_MAX], .events = POLLRDHUP};
  assert_int_equal(poll(&ended, 1, TEST_DEADLINE_MS), 1);
  assert_true(raw_counter_reaches(vestad.socket, "guest_links_refused", 1));
  assert_int_equal(raw_counter(vestad.socket, "stream_links_refused"), 0);
  vesta_stream_t *local = NULL;
  assert_int_equal(vesta_stream_open(application.checkpoint, NULL, &local), SA_AIS_OK);
  stream_take_until(local, VESTA_CHANGE_SYNCED);
  assert_int_equal(vesta_stream_close(&local), SA_AIS_OK);
  for (size_t i = 0; i <= VESTA_GUEST_LINKS_MAX; i++) {
    (void)close(links[i]);
  }
  vesta_stream_t *guest = NULL; /* their places are free again */
  assert_int_equal(vesta_stream_open_at(&server, CHECKPOINT_NAME, NULL, &guest), SA_AIS_OK);
  stream_take_until(guest, VESTA_CHANGE_SYNCED);
  assert_int_equal(vesta_stream_close(&guest), SA_AIS_OK);
}

/* ---- readers that do not read ---- */

static void a_guest_that_does_not_read_costs_local_subscribers_nothing(void **state) {
  (void)state;
  static char data[60000];
  pair_of_streams_t streams = streams_open();
  assert_int_equal(application_create(&application, "s", data, 1), SA_AIS_OK);
  (void)stream_take(streams.local);
  int64_t asked = raw_counter(vestad.socket, "stream_requests");
  for (int i = 0; i < 6000; i++) { /* 360 MB, of which the guest takes nothing */
    memset(data, 'a' + i % 26, sizeof data);
    assert_int_equal(application_overwrite(&application, "s", data, sizeof data), SA_AIS_OK);
    assert_int_equal(stream_take(streams.local).kind, VESTA_CHANGE_OVERWRITTEN);
  }
  assert_true(raw_counter(vestad.socket, "published_withheld") + raw_counter(vestad.socket, "guest_stream_links_cut") >
              0);
  assert_int_equal(raw_counter(vestad.socket, "stream_requests"), asked); /* all of it was published to the local one */
  assert_true(raw_counter(vestad.socket, "guest_stream_held_bytes") <=
              (int64_t)(VESTA_GUEST_QUEUE_BYTES_MAX + (1U << 20)));
  stream_take_until(streams.guest, VESTA_CHANGE_LOST); /* it was told in the end, and has the same */
  vesta_change_t change = {0};
  bool same = false;
  while (change.kind != VESTA_CHANGE_SYNCED) {
    change = stream_take(streams.guest);
    same |= change.size == sizeof data && memcmp(change.data, data, sizeof data) == 0;
  }
  assert_true(same);
  streams_close(&streams);
}

int main(void) {
  const struct CMUnitTest tests[] = {
#define HARM_TEST(name) cmocka_unit_test_setup_teardown(name, harm_set_up, harm_tear_down)
      HARM_TEST(whatever_bytes_come_nothing_is_lost),
      HARM_TEST(whatever_a_guest_asks_nobody_else_suffers),
      HARM_TEST(who_ends_subscriptions_of_others_delays_guests_at_most),
      HARM_TEST(who_sends_what_is_no_subscription_is_cut),
      cmocka_unit_test_setup_teardown(who_subscribes_twice_is_cut_and_leaves_nothing_behind, keyless_set_up,
                                      harm_tear_down),
      cmocka_unit_test_setup_teardown(who_ends_what_it_has_not_is_cut_and_others_keep_theirs, keyless_set_up,
                                      harm_tear_down),
      HARM_TEST(so_many_subscriptions_stand_and_who_makes_one_more_is_cut),
      cmocka_unit_test_setup_teardown(so_many_guests_are_served_and_one_more_is_refused, few_set_up, harm_tear_down),
      HARM_TEST(so_many_connections_are_let_in_and_local_ones_do_not_count),
      HARM_TEST(a_guest_that_does_not_read_costs_local_subscribers_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
