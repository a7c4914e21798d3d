/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Streams over TCP, against a real vestad: a guest has what a local subscriber has, whatever happens to the service; who
 * is no guest has nothing, and is counted and named.
 */
#include <vesta.h>

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/support/application.h"
#include "test/support/daemon_fixture.h"
#include "test/support/deadline.h"
#include "test/support/raw_link.h"
#include "test/support/tcp_guest.h"
#include "test/support/vestad_process.h"

#define CHECKPOINT "guests"
#define CHECKPOINT_NAME "safCkpt=" CHECKPOINT

static tcp_place_t place;
static daemon_fixture_t vestad;
static application_t application;
static vesta_server_t server;
static const char *options[32];

static void options_set(const char *const *more) {
  const char *with_keys[] = {"--stream-listen", place.endpoint,  "--key", place.server_key,
                             "--stream-keys",   place.known_dir, NULL};
  size_t count = 0;
  for (; with_keys[count] != NULL; count++) {
    options[count] = with_keys[count];
  }
  for (; more != NULL && *more != NULL; more++) {
    options[count++] = *more;
  }
  options[count] = NULL;
}

static int guests_set_up_with(const char *const *more) {
  tcp_place_make(&place);
  options_set(more);
  daemon_fixture_open_with(&vestad, options);
  application_open(&application, CHECKPOINT, APPLICATION_ALL);
  server = (vesta_server_t){.endpoints = place.endpoint, .server_keys = place.server_public, .key = place.guest_key};
  return 0;
}

static int guests_set_up(void **state) {
  (void)state;
  return guests_set_up_with(NULL);
}

static int guests_tear_down(void **state) {
  (void)state;
  application_close(&application);
  daemon_fixture_close(&vestad);
  tcp_place_remove(&place);
  return 0;
}

static vesta_stream_t *guest_open(const vesta_stream_options_t *wishes) {
  vesta_stream_t *stream = NULL;
  assert_int_equal(vesta_stream_open_at(&server, CHECKPOINT_NAME, wishes, &stream), SA_AIS_OK);
  return stream;
}

static void section_write(const char *id, const char *data) {
  SaAisErrorT error = application_overwrite(&application, id, data, strlen(data));
  if (error == SA_AIS_ERR_NOT_EXIST) {
    error = application_create(&application, id, data, strlen(data));
  }
  assert_int_equal(error, SA_AIS_OK);
}

static bool change_is(const vesta_change_t *change, vesta_change_kind_t kind, const char *id, const char *data) {
  return change->kind == kind && change->id.idLen == strlen(id) && memcmp(change->id.id, id, strlen(id)) == 0 &&
         change->size == strlen(data) && memcmp(change->data, data, change->size) == 0;
}

/* ---- what a guest has ---- */

static void a_guest_has_what_is_there_and_every_change_after_it(void **state) {
  (void)state;
  section_write("before", "one");
  vesta_stream_t *stream = guest_open(NULL);
  assert_int_equal(stream_take(stream).kind, VESTA_CHANGE_RESYNC_BEGIN);
  vesta_change_t change = stream_take(stream);
  assert_true(change_is(&change, VESTA_CHANGE_CREATED, "before", "one"));
  stream_take_until(stream, VESTA_CHANGE_SYNCED);
  section_write("before", "two");
  section_write("after", "three");
  change = stream_take(stream);
  assert_true(change_is(&change, VESTA_CHANGE_OVERWRITTEN, "before", "two"));
  SaUint64T seq = change.position.seq;
  change = stream_take(stream);
  assert_true(change_is(&change, VESTA_CHANGE_CREATED, "after", "three"));
  assert_int_equal(change.position.seq, seq + 1);
  assert_int_equal(raw_counter(vestad.socket, "guests"), 1);
  assert_int_equal(raw_counter(vestad.socket, "streams"), 1);
  assert_int_equal(vesta_stream_close(&stream), SA_AIS_OK);
  assert_true(raw_counter_falls_to(vestad.socket, "guests", 0));
  assert_true(raw_counter_falls_to(vestad.socket, "streams", 0));
  assert_true(raw_counter_falls_to(vestad.socket, "handles", 1)); /* ours */
}

static void a_mirror_over_tcp_is_what_the_service_has(void **state) {
  (void)state;
  vesta_mirror_t *mirror = NULL;
  char id[16];
  for (int i = 0; i < 500; i++) {
    (void)snprintf(id, sizeof id, "s%d", i);
    section_write(id, id);
  }
  assert_int_equal(vesta_mirror_open_at(&server, CHECKPOINT_NAME, NULL, &mirror), SA_AIS_OK);
  mirror_take_until(mirror, VESTA_CHANGE_SYNCED);
  assert_int_equal(vesta_mirror_count(mirror), 500);
  assert_int_equal(vesta_mirror_verify(mirror, APPLICATION_DEADLINE), SA_AIS_OK);
  section_write("s7", "other");
  vesta_change_t change;
  assert_int_equal(vesta_mirror_next(mirror, APPLICATION_DEADLINE, &change), SA_AIS_OK);
  const void *data;
  SaSizeT size;
  SaCkptSectionIdT seven = section_id("s7");
  assert_int_equal(vesta_mirror_get(mirror, &seven, &data, &size), SA_AIS_OK);
  assert_memory_equal(data, "other", size);
  assert_int_equal(vesta_mirror_close(&mirror), SA_AIS_OK);
}

static void where_the_service_is_may_be_said_by_the_environment(void **state) {
  (void)state;
  vesta_stream_t *stream = NULL;
  section_write("a", "b");
  assert_int_equal(vesta_stream_open_at(NULL, CHECKPOINT_NAME, NULL, &stream), SA_AIS_ERR_INVALID_PARAM);
  (void)setenv("VESTA_STREAM_SERVER", place.endpoint, 1);
  assert_int_equal(vesta_stream_open_at(NULL, CHECKPOINT_NAME, NULL, &stream), SA_AIS_ERR_INVALID_PARAM);
  (void)setenv("VESTA_STREAM_SERVER_KEY", place.server_public, 1);
  (void)setenv("VESTA_STREAM_KEY", place.guest_key, 1);
  SaAisErrorT error = vesta_stream_open_at(NULL, CHECKPOINT_NAME, NULL, &stream);
  (void)unsetenv("VESTA_STREAM_SERVER");
  (void)unsetenv("VESTA_STREAM_SERVER_KEY");
  (void)unsetenv("VESTA_STREAM_KEY");
  assert_int_equal(error, SA_AIS_OK);
  stream_take_until(stream, VESTA_CHANGE_SYNCED);
  assert_int_equal(vesta_stream_close(&stream), SA_AIS_OK);
}

static void of_several_servers_the_next_is_taken_when_one_is_not_there(void **state) {
  (void)state;
  char servers[256];
  section_write("a", "b");
  (void)snprintf(servers, sizeof servers, "tcp://%s:%u %s tcp://%s:%u", place.address, TCP_GUEST_PORT + 20,
                 place.endpoint, place.address, TCP_GUEST_PORT + 30);
  server.endpoints = servers;
  vesta_stream_t *stream = guest_open(NULL);
  stream_take_until(stream, VESTA_CHANGE_SYNCED);
  daemon_fixture_kill(&vestad);
  daemon_fixture_start(&vestad);
  section_write("a", "c");
  vesta_change_t change = stream_take(stream);
  while (change.kind == VESTA_CHANGE_SYNCED) {
    change = stream_take(stream);
  }
  assert_true(change_is(&change, VESTA_CHANGE_OVERWRITTEN, "a", "c"));
  assert_int_equal(vesta_stream_close(&stream), SA_AIS_OK);
  char nobody[256];
  (void)snprintf(nobody, sizeof nobody, "tcp://%s:%u tcp://%s:%u", place.address, TCP_GUEST_PORT + 20, place.address,
                 TCP_GUEST_PORT + 30);
  server.endpoints = nobody;
  assert_int_equal(vesta_stream_open_at(&server, CHECKPOINT_NAME, NULL, &stream), SA_AIS_ERR_TRY_AGAIN);
}

static void so_many_servers_may_be_named_and_no_more(void **state) {
  (void)state;
  char servers[1024];
  size_t length = (size_t)snprintf(servers, sizeof servers, "%s", place.endpoint);
  for (unsigned i = 1; i < VESTA_SERVERS_MAX; i++) {
    length += (size_t)snprintf(servers + length, sizeof servers - length, " tcp://%s:%u", place.address,
                               TCP_GUEST_PORT + 20 + i);
  }
  server.endpoints = servers;
  vesta_stream_t *stream = guest_open(NULL);
  assert_int_equal(vesta_stream_close(&stream), SA_AIS_OK);
  (void)snprintf(servers + length, sizeof servers - length, " %s", place.endpoint);
  assert_int_equal(vesta_stream_open_at(&server, CHECKPOINT_NAME, NULL, &stream), SA_AIS_ERR_INVALID_PARAM);
}

/* The command, on a machine that has no daemon, as far as it knows. */
static void watch_run(const char *key, const char *more, char *printed, size_t size) {
  char command[1024];
  (void)snprintf(command, sizeof command,
                 "VESTA_SOCKET=/nowhere/vestad.sock timeout 20 %s/vesta watch --server %s --server-key %s "
                 "--key %s %s 2>&1 | head -n 2",
                 getenv("VESTA_TEST_BIN_DIR"), place.endpoint, place.server_public, key, more);
  FILE *output = popen(command, "re");
  assert_non_null(output);
  printed[0] = '\0';
  size_t length = 0;
  for (int line = 0; line < 2 && fgets(printed + length, (int)(size - length), output) != NULL; line++) {
    length = strlen(printed);
  }
  section_write("watched", "more"); /* it notices that nobody reads any more */
  (void)pclose(output);
}

static void the_command_watches_a_checkpoint_of_another_machine(void **state) {
  (void)state;
  char printed[1024];
  section_write("watched", "b");
  watch_run(place.guest_key, CHECKPOINT_NAME, printed, sizeof printed);
  assert_non_null(strstr(printed, "created \"watched\""));
  watch_run(place.stranger_key, CHECKPOINT_NAME, printed, sizeof printed);
  assert_non_null(strstr(printed, "does not let this key in"));
  watch_run(place.guest_key, "safCkpt=nothing", printed, sizeof printed);
  assert_non_null(strstr(printed, "no such checkpoint"));
}

/* ---- who has nothing ---- */

static void a_stranger_is_refused_and_counted_until_it_is_let_in(void **state) {
  (void)state;
  vesta_stream_t *stream = NULL;
  server.key = place.stranger_key;
  assert_int_equal(vesta_stream_open_at(&server, CHECKPOINT_NAME, NULL, &stream), SA_AIS_ERR_ACCESS);
  assert_true(raw_counter(vestad.socket, "guest_strangers") >= 1);
  assert_int_equal(vesta_stream_open_at(&server, CHECKPOINT_NAME, NULL, &stream), SA_AIS_ERR_ACCESS);
  assert_true(raw_counter(vestad.socket, "guest_strangers") >= 2);
  assert_int_equal(raw_counter(vestad.socket, "guests"), 0);
  tcp_place_admit(&place, place.stranger_public, "no-stranger-any-more");
  int64_t deadline_ns = daemon_fixture_now_ns() + TEST_DEADLINE_NS;
  SaAisErrorT error = SA_AIS_ERR_ACCESS; /* the directory is looked at once a second */
  while (error == SA_AIS_ERR_ACCESS && daemon_fixture_now_ns() < deadline_ns) {
    error = vesta_stream_open_at(&server, CHECKPOINT_NAME, NULL, &stream);
  }
  assert_int_equal(error, SA_AIS_OK);
  assert_int_equal(vesta_stream_close(&stream), SA_AIS_OK);
  tcp_place_expel(&place, "no-stranger-any-more");
  error = SA_AIS_OK;
  while (error == SA_AIS_OK && daemon_fixture_now_ns() < deadline_ns) {
    error = vesta_stream_open_at(&server, CHECKPOINT_NAME, NULL, &stream);
    (void)vesta_stream_close(&stream);
  }
  assert_int_equal(error, SA_AIS_ERR_ACCESS);
}

static void a_stranger_is_named_in_the_log_once(void **state) {
  (void)state;
  tcp_place_t keys;
  vestad_place_t log;
  vesta_stream_t *stream = NULL;
  unsigned named = 0;
  char line[1024];
  tcp_place_make(&keys);
  (void)snprintf(keys.endpoint, sizeof keys.endpoint, "tcp://%s:%u", keys.address, TCP_GUEST_PORT + 10);
  vestad_place_make(&log);
  const char *arguments[] = {"--stream-listen", keys.endpoint,  "--key", keys.server_key,
                             "--stream-keys",   keys.known_dir, NULL};
  pid_t process = vestad_start(&log, arguments, NULL);
  assert_true(process > 0);
  vesta_server_t strange = {.endpoints = keys.endpoint, .server_keys = keys.server_public, .key = keys.stranger_key};
  for (int i = 0; i < 5; i++) {
    assert_int_equal(vesta_stream_open_at(&strange, CHECKPOINT_NAME, NULL, &stream), SA_AIS_ERR_ACCESS);
  }
  assert_true(raw_counter(log.socket, "guest_strangers") >= 5);
  assert_int_equal(vestad_end(process, SIGTERM), 0);
  FILE *lines = fopen(log.log, "re");
  assert_non_null(lines);
  while (fgets(line, sizeof line, lines) != NULL) {
    named += strstr(line, "VESTA-GUEST-REFUSED") != NULL ? 1 : 0;
  }
  (void)fclose(lines);
  assert_int_equal(named, 1);
  vestad_place_remove(&log);
  tcp_place_remove(&keys);
}

static void a_guest_refuses_a_service_that_has_not_the_key(void **state) {
  (void)state;
  vesta_stream_t *stream = NULL;
  server.server_keys = place.stranger_public;
  assert_int_equal(vesta_stream_open_at(&server, CHECKPOINT_NAME, NULL, &stream), SA_AIS_ERR_FAILED_OPERATION);
  assert_true(raw_counter_reaches(vestad.socket, "guest_handshakes_failed", 1));
  assert_int_equal(raw_counter(vestad.socket, "guests"), 0);
}

static void without_keys_nobody_has_anything_from_a_service_with_keys(void **state) {
  (void)state;
  vesta_stream_t *stream = NULL;
  vesta_server_t open = {.endpoints = place.endpoint, .insecure = SA_TRUE};
  assert_int_equal(vesta_stream_open_at(&open, CHECKPOINT_NAME, NULL, &stream), SA_AIS_ERR_FAILED_OPERATION);
  assert_true(raw_counter_reaches(vestad.socket, "guest_handshakes_failed", 1));
}

static int open_set_up(void **state) {
  (void)state;
  tcp_place_make(&place);
  const char *without_keys[] = {"--stream-listen", place.endpoint, "--insecure", NULL};
  memcpy(options, without_keys, sizeof without_keys);
  daemon_fixture_open_with(&vestad, options);
  application_open(&application, CHECKPOINT, APPLICATION_ALL);
  return 0;
}

static void a_service_without_keys_serves_who_asks_without_keys(void **state) {
  (void)state;
  vesta_stream_t *stream = NULL;
  section_write("a", "b");
  server = (vesta_server_t){.endpoints = place.endpoint, .server_keys = place.server_public, .key = place.guest_key};
  assert_int_equal(vesta_stream_open_at(&server, CHECKPOINT_NAME, NULL, &stream), SA_AIS_ERR_FAILED_OPERATION);
  server = (vesta_server_t){.endpoints = place.endpoint};
  assert_int_equal(vesta_stream_open_at(&server, CHECKPOINT_NAME, NULL, &stream), SA_AIS_ERR_INVALID_PARAM);
  server.insecure = SA_TRUE; /* it has to be said on both sides */
  stream = guest_open(NULL);
  stream_take_until(stream, VESTA_CHANGE_SYNCED);
  assert_int_equal(vesta_stream_close(&stream), SA_AIS_OK);
}

static void a_service_that_can_not_do_as_told_does_not_start(void **state) {
  (void)state;
  vestad_place_t other;
  char endpoint[64];
  int code = 0;
  vestad_place_make(&other);
  (void)snprintf(endpoint, sizeof endpoint, "tcp://%s:%u", place.address, TCP_GUEST_PORT + 10);
  const char *taken[] = {"--stream-listen", place.endpoint, "--insecure", NULL};
  assert_int_equal(vestad_start(&other, taken, &code), -1);
  assert_int_equal(code, 1);
  assert_true(vestad_logged(&other, "Address already in use"));
  const char *no_keys[] = {"--stream-listen", endpoint, "--key", place.server_key, "--stream-keys", "/nowhere", NULL};
  assert_int_equal(vestad_start(&other, no_keys, &code), -1);
  assert_int_equal(code, 1);
  assert_true(vestad_logged(&other, "cannot read the subscribers' keys in /nowhere"));
  vestad_place_remove(&other);
}

static void what_makes_no_whole_is_refused_at_once(void **state) {
  (void)state;
  vesta_stream_t *stream = NULL;
  vesta_mirror_t *mirror = NULL;
  vesta_server_t wrong[] = {
      {.endpoints = "ipc:///tmp/x", .server_keys = place.server_public, .key = place.guest_key},
      {.endpoints = "tcp://localhost", .server_keys = place.server_public, .key = place.guest_key},
      {.endpoints = "tcp://localhost:65535", .server_keys = place.server_public, .key = place.guest_key},
      {.endpoints = place.endpoint, .server_keys = place.server_public},
      {.endpoints = place.endpoint, .key = place.guest_key},
      {.endpoints = place.endpoint, .server_keys = place.server_public, .key = place.server_public},
      {.endpoints = place.endpoint, .server_keys = "/nowhere", .key = place.guest_key},
      {.endpoints = place.endpoint},
      {.endpoints = place.endpoint, .server_keys = place.server_public, .key = place.guest_key, .reserved = {1}},
  };
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    assert_int_equal(vesta_stream_open_at(&wrong[i], CHECKPOINT_NAME, NULL, &stream), SA_AIS_ERR_INVALID_PARAM);
  }
  assert_int_equal(vesta_stream_open_at(&server, NULL, NULL, &stream), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_stream_open_at(&server, "", NULL, &stream), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_mirror_open_at(&server, NULL, NULL, &mirror), SA_AIS_ERR_INVALID_PARAM);
  assert_int_equal(vesta_mirror_open_at(&server, CHECKPOINT_NAME, NULL, NULL), SA_AIS_ERR_INVALID_PARAM);
}

static void a_checkpoint_that_is_not_there_and_a_service_that_is_not_there_are_told_apart(void **state) {
  (void)state;
  vesta_stream_t *stream = NULL;
  assert_int_equal(vesta_stream_open_at(&server, "safCkpt=nothing", NULL, &stream), SA_AIS_ERR_NOT_EXIST);
  char nobody[64];
  (void)snprintf(nobody, sizeof nobody, "tcp://%s:%u", place.address, TCP_GUEST_PORT + 20);
  server.endpoints = nobody;
  assert_int_equal(vesta_stream_open_at(&server, CHECKPOINT_NAME, NULL, &stream), SA_AIS_ERR_TRY_AGAIN);
}

/* ---- what happens to the service ---- */

static void a_guest_goes_on_when_the_service_is_back(void **state) {
  (void)state;
  section_write("a", "1");
  vesta_stream_t *stream = guest_open(NULL);
  stream_take_until(stream, VESTA_CHANGE_SYNCED);
  for (int round = 0; round < 2; round++) {
    daemon_fixture_kill(&vestad);
    daemon_fixture_start(&vestad);
    section_write("a", "2");
    section_write("a", "3");
    vesta_change_t change = stream_take(stream);
    while (change.kind == VESTA_CHANGE_SYNCED) {
      change = stream_take(stream);
    }
    assert_true(change_is(&change, VESTA_CHANGE_OVERWRITTEN, "a", "2"));
    change = stream_take(stream);
    assert_true(change_is(&change, VESTA_CHANGE_OVERWRITTEN, "a", "3"));
    int64_t deadline_ns = daemon_fixture_now_ns() + TEST_DEADLINE_NS;
    while (raw_counter(vestad.socket, "guests") == 0 && daemon_fixture_now_ns() < deadline_ns) {
      vesta_change_t none;
      (void)vesta_stream_next(stream, 100 * SA_TIME_ONE_MILLISECOND, &none); /* it says that it is there */
    }
    assert_int_equal(raw_counter(vestad.socket, "guests"), 1); /* it is known again */
  }
  assert_int_equal(vesta_stream_close(&stream), SA_AIS_OK);
}

static void a_stream_is_over_when_its_checkpoint_is(void **state) {
  (void)state;
  vesta_stream_t *stream = guest_open(NULL);
  vesta_change_t change;
  stream_take_until(stream, VESTA_CHANGE_SYNCED);
  assert_int_equal(saCkptCheckpointUnlink(application.library, &application.name), SA_AIS_OK);
  assert_int_equal(stream_take(stream).kind, VESTA_CHANGE_UNLINKED);
  assert_int_equal(saCkptCheckpointClose(application.checkpoint), SA_AIS_OK);
  assert_int_equal(raw_counter(vestad.socket, "checkpoints"), 1); /* a guest keeps it, as any user does */
  assert_int_equal(vesta_stream_next(stream, 0, &change), SA_AIS_ERR_TIMEOUT);
  assert_int_equal(vesta_stream_close(&stream), SA_AIS_OK);
  assert_true(raw_counter_falls_to(vestad.socket, "checkpoints", 0));
}

static void who_was_away_for_longer_than_the_history_reaches_is_told_so_and_resynced(void **state) {
  (void)state;
  section_write("a", "1");
  vesta_stream_t *stream = guest_open(&(vesta_stream_options_t){.buffer_bytes = 64U << 10});
  stream_take_until(stream, VESTA_CHANGE_SYNCED);
  static char data[60000];
  for (int i = 0; i < 4000; i++) { /* 240 MB: neither queues nor the history hold that */
    memset(data, 'a' + i % 26, sizeof data);
    SaAisErrorT error = i == 0 ? application_create(&application, "large", data, sizeof data)
                               : application_overwrite(&application, "large", data, sizeof data);
    assert_int_equal(error, SA_AIS_OK);
  }
  stream_take_until(stream, VESTA_CHANGE_LOST);
  stream_take_until(stream, VESTA_CHANGE_RESYNC_BEGIN);
  bool seen = false;
  vesta_change_t change = stream_take(stream);
  for (; change.kind != VESTA_CHANGE_SYNCED; change = stream_take(stream)) {
    seen |= change.size == sizeof data && memcmp(change.data, data, sizeof data) == 0;
  }
  assert_true(seen);
  assert_int_equal(vesta_stream_close(&stream), SA_AIS_OK);
}

int main(void) {
  const struct CMUnitTest tests[] = {
#define GUEST_TEST(name) cmocka_unit_test_setup_teardown(name, guests_set_up, guests_tear_down)
      GUEST_TEST(a_guest_has_what_is_there_and_every_change_after_it),
      GUEST_TEST(a_mirror_over_tcp_is_what_the_service_has),
      GUEST_TEST(where_the_service_is_may_be_said_by_the_environment),
      GUEST_TEST(of_several_servers_the_next_is_taken_when_one_is_not_there),
      GUEST_TEST(so_many_servers_may_be_named_and_no_more),
      GUEST_TEST(the_command_watches_a_checkpoint_of_another_machine),
      GUEST_TEST(a_stranger_is_refused_and_counted_until_it_is_let_in),
      GUEST_TEST(a_stranger_is_named_in_the_log_once),
      GUEST_TEST(a_guest_refuses_a_service_that_has_not_the_key),
      GUEST_TEST(without_keys_nobody_has_anything_from_a_service_with_keys),
      cmocka_unit_test_setup_teardown(a_service_without_keys_serves_who_asks_without_keys, open_set_up,
                                      guests_tear_down),
      GUEST_TEST(a_service_that_can_not_do_as_told_does_not_start),
      GUEST_TEST(what_makes_no_whole_is_refused_at_once),
      GUEST_TEST(a_checkpoint_that_is_not_there_and_a_service_that_is_not_there_are_told_apart),
      GUEST_TEST(a_guest_goes_on_when_the_service_is_back),
      GUEST_TEST(a_stream_is_over_when_its_checkpoint_is),
      GUEST_TEST(who_was_away_for_longer_than_the_history_reaches_is_told_so_and_resynced),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
