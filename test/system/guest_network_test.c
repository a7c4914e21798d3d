/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Streams over TCP when the network between them and the service, or what answers there, is not what it was.
 */
#include <vesta.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "test/support/application.h"
#include "test/support/daemon_fixture.h"
#include "test/support/raw_link.h"
#include "test/support/tcp_guest.h"
#include "test/support/tcp_relay.h"

#define CHECKPOINT "network"
#define CHECKPOINT_NAME "safCkpt=" CHECKPOINT

static tcp_place_t place;
static daemon_fixture_t vestad;
static application_t application;
static tcp_relay_t *relays[2];
static char servers[160]; /* both relays */
static vesta_server_t server;
static const char *options[8];

static int network_set_up(void **state) {
  (void)state;
  tcp_place_make(&place);
  const char *all[] = {"--stream-listen", place.endpoint,  "--key", place.server_key,
                       "--stream-keys",   place.known_dir, NULL};
  memcpy(options, all, sizeof all);
  daemon_fixture_open_with(&vestad, options);
  application_open(&application, CHECKPOINT, APPLICATION_ALL);
  for (unsigned i = 0; i < 2; i++) {
    relays[i] = tcp_relay_open(place.address, TCP_GUEST_PORT + 10 * (i + 1), TCP_GUEST_PORT);
  }
  (void)snprintf(servers, sizeof servers, "tcp://%s:%u tcp://%s:%u", place.address, TCP_GUEST_PORT + 10, place.address,
                 TCP_GUEST_PORT + 20);
  server = (vesta_server_t){.endpoints = servers, .server_keys = place.server_public, .key = place.guest_key};
  return 0;
}

static int network_tear_down(void **state) {
  (void)state;
  application_close(&application);
  for (unsigned i = 0; i < 2; i++) {
    tcp_relay_close(&relays[i]);
  }
  daemon_fixture_close(&vestad);
  tcp_place_remove(&place);
  return 0;
}

/* By the first relay alone, where it says so. */
static vesta_stream_t *guest_open(bool only_first) {
  vesta_stream_t *stream = NULL;
  if (only_first) {
    *strrchr(servers, ' ') = '\0';
  }
  assert_int_equal(vesta_stream_open_at(&server, CHECKPOINT_NAME, NULL, &stream), SA_AIS_OK);
  return stream;
}

/* The next operations are these, and nothing was lost before them. */
static void take_writes(vesta_stream_t *stream, SaUint64T seq, SaUint64T last) {
  while (seq <= last) {
    vesta_change_t change = stream_take(stream);
    if (change.kind != VESTA_CHANGE_SYNCED) {
      assert_int_equal(change.kind, seq == 1 ? VESTA_CHANGE_CREATED : VESTA_CHANGE_OVERWRITTEN);
      assert_int_equal(change.position.seq, seq);
      seq++;
    }
  }
}

static void write_some(int count) {
  for (int i = 0; i < count; i++) {
    assert_int_equal(application_overwrite(&application, "s", "1", 1), SA_AIS_OK);
  }
}

/* ---- tests ---- */

static void what_is_lost_on_the_way_is_fetched_although_nobody_tells_that_the_way_there_is_lost_too(void **state) {
  (void)state;
  vesta_stream_t *stream = guest_open(true);
  stream_take_until(stream, VESTA_CHANGE_SYNCED);
  assert_int_equal(application_create(&application, "s", "0", 1), SA_AIS_OK);
  take_writes(stream, 1, 1);
  tcp_relay_lose(relays[0], TCP_RELAY_REQUESTS);
  tcp_relay_hold(relays[0], TCP_RELAY_CHANGES, true);
  tcp_relay_cut(relays[0], TCP_RELAY_CHANGES);
  write_some(5);
  tcp_relay_hold(relays[0], TCP_RELAY_CHANGES, false);
  take_writes(stream, 2, 6);
  assert_int_equal(vesta_stream_close(&stream), SA_AIS_OK);
}

static void a_server_that_answers_and_publishes_nothing_is_passed_over(void **state) {
  (void)state;
  assert_int_equal(application_create(&application, "s", "0", 1), SA_AIS_OK);
  tcp_relay_hold(relays[0], TCP_RELAY_CHANGES, true);
  vesta_stream_t *stream = guest_open(false);
  stream_take_until(stream, VESTA_CHANGE_SYNCED);
  write_some(5);
  take_writes(stream, 2, 6);
  assert_true(tcp_relay_connections(relays[1], TCP_RELAY_CHANGES) > 0);
  tcp_relay_hold(relays[1], TCP_RELAY_CHANGES, true);
  tcp_relay_hold(relays[0], TCP_RELAY_CHANGES, false);
  write_some(5);
  take_writes(stream, 7, 11);
  assert_int_equal(vesta_stream_close(&stream), SA_AIS_OK);
}

static void a_stream_whose_server_falls_silent_goes_on_when_it_speaks_again(void **state) {
  (void)state;
  vesta_stream_t *stream = guest_open(true);
  stream_take_until(stream, VESTA_CHANGE_SYNCED);
  unsigned before = tcp_relay_connections(relays[0], TCP_RELAY_REQUESTS);
  assert_int_equal(application_create(&application, "s", "0", 1), SA_AIS_OK);
  take_writes(stream, 1, 1);
  for (unsigned door = 0; door < 2; door++) {
    tcp_relay_lose(relays[0], (tcp_relay_door_t)door);
  }
  write_some(5);
  take_writes(stream, 2, 6);
  assert_true(tcp_relay_connections(relays[0], TCP_RELAY_REQUESTS) > before);
  assert_int_equal(vesta_stream_close(&stream), SA_AIS_OK);
}

/* What a service has after its machine was started anew: nothing, and numbers begin again. */
static void the_checkpoint_that_has_the_number_now_is_not_taken_for_the_one_that_had_it(void **state) {
  (void)state;
  vesta_stream_t *stream = guest_open(true);
  vesta_stream_t *other = NULL;
  stream_take_until(stream, VESTA_CHANGE_SYNCED);
  for (unsigned door = 0; door < 2; door++) {
    tcp_relay_hold(relays[0], (tcp_relay_door_t)door, true);
    tcp_relay_cut(relays[0], (tcp_relay_door_t)door);
  }
  application_close(&application);
  daemon_fixture_close(&vestad);
  daemon_fixture_open_with(&vestad, options);
  application_t others;
  application_open(&others, "other", APPLICATION_ALL);
  assert_int_equal(application_create(&others, "s", "0", 1), SA_AIS_OK);
  application_open(&application, CHECKPOINT, APPLICATION_ALL);
  vesta_server_t directly = server;
  directly.endpoints = place.endpoint;
  assert_int_equal(vesta_stream_open_at(&directly, "safCkpt=other", NULL, &other), SA_AIS_OK);
  stream_take_until(other, VESTA_CHANGE_SYNCED);
  for (unsigned door = 0; door < 2; door++) {
    tcp_relay_hold(relays[0], (tcp_relay_door_t)door, false);
  }
  assert_int_equal(stream_take(stream).kind, VESTA_CHANGE_GONE);
  assert_int_equal(vesta_stream_close(&stream), SA_AIS_OK);
  assert_int_equal(vesta_stream_close(&other), SA_AIS_OK);
  application_close(&others);
}

int main(void) {
  const struct CMUnitTest tests[] = {
#define NETWORK_TEST(name) cmocka_unit_test_setup_teardown(name, network_set_up, network_tear_down)
      NETWORK_TEST(what_is_lost_on_the_way_is_fetched_although_nobody_tells_that_the_way_there_is_lost_too),
      NETWORK_TEST(a_server_that_answers_and_publishes_nothing_is_passed_over),
      NETWORK_TEST(a_stream_whose_server_falls_silent_goes_on_when_it_speaks_again),
      NETWORK_TEST(the_checkpoint_that_has_the_number_now_is_not_taken_for_the_one_that_had_it),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
