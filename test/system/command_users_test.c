/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the vesta command tells of who uses a checkpoint, and how it behaves as a command. Each test has a vestad of
 * its own and a checkpoint "safCkpt=x" that this process has open, as an application and over a bare link.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/support/application.h"
#include "test/support/raw_link.h"
#include "test/support/vestad_process.h"

#define NAME "safCkpt=x"

static vestad_place_t place;
static pid_t vestad;
static application_t app;
static raw_link_t raw;
static uint64_t handle;
static char output[1 << 18];

/* A line for the shell, in which `vesta` is ours. @return its exit code; `output` has both of its streams */
static int shell(const char *line) {
  char whole[2048];
  (void)snprintf(whole, sizeof whole, "exec 2>&1; PATH=%s:$PATH; %s", getenv("VESTA_TEST_BIN_DIR"), line);
  FILE *stream = popen(whole, "re");
  assert_non_null(stream);
  output[fread(output, 1, sizeof output - 1, stream)] = '\0';
  int status = pclose(stream);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool printed(const char *text) { return strstr(output, text) != NULL; }

static uint32_t times_printed(const char *text) {
  uint32_t count = 0;
  for (const char *at = output; (at = strstr(at, text)) != NULL; at++) {
    count++;
  }
  return count;
}

/* The first row of a list. @return false: it is empty */
static bool row_first(uint64_t list, wire_message_t *row) {
  wire_message_t ask = {.kind = WIRE_USERS, .checkpoint = 1, .state = list};
  assert_int_equal(raw_link_call(&raw, &ask, vesta_bytes(NULL, 0), row, NULL), VESTA_OK);
  return (row->state & WIRE_USER_NONE) == 0;
}

static void say(uint64_t state, const wire_message_t *position) {
  wire_message_t progress = {.kind = WIRE_PROGRESS, .handle = handle, .state = state};
  wire_pos_set(&progress, wire_pos(position));
  assert_true(raw_link_send(&raw, &progress, vesta_bytes(NULL, 0), -1)); /* no answer; in order with what follows */
}

/* ---- openers ---- */

static void show_tells_who_has_it_open_without_opening_it(void **state) {
  (void)state;
  char pid[32];
  (void)snprintf(pid, sizeof pid, "\"pid\": %d", getpid());
  assert_int_equal(shell("vesta show --json " NAME), 0);
  assert_true(printed("\"opened\": 2"));
  assert_int_equal(times_printed(pid), 2);
  assert_int_equal(times_printed("\"program\": \"command_users_t\""), 2); /* the kernel keeps 15 bytes */
  assert_int_equal(times_printed("\"write\": true"), 2);
  assert_int_equal(times_printed("\"connected\": true"), 2);
  assert_true(printed("\"replicas\": [") && printed("\"node\": 1") && printed("\"active\": true"));
  assert_true(printed("\"members\": []") && printed("\"streams\": []"));
  assert_int_equal(shell("vesta show " NAME), 0);
  assert_true(printed("\nreplicas\n") && printed("\nopeners\n") && !printed("\nmembers\n") && !printed("\nstreams\n"));
  assert_int_equal(raw_counter(place.socket, "handles"), 2);
}

/* ---- members ---- */

static wire_message_t join(const char *name) {
  wire_message_t request = {.kind = WIRE_JOIN,
                            .handle = handle,
                            .text = vesta_bytes(name, strlen(name)),
                            .priority = 7,
                            .flags = WIRE_JOIN_FENCE};
  wire_message_t reply;
  assert_int_equal(raw_link_call(&raw, &request, vesta_bytes(NULL, 0), &reply, NULL), VESTA_OK);
  return reply;
}

static void show_tells_the_members_of_its_group(void **state) {
  (void)state;
  (void)join("left \"one\"");
  assert_int_equal(shell("vesta show --json " NAME), 0);
  assert_true(printed("\"name\": \"left \\\\x22one\\\\x22\"") && printed("\"priority\": 7"));
  assert_true(printed("\"role\": \"promoting\"") && printed("\"lag\": null"));
  wire_message_t here;
  assert_true(row_first(WIRE_USERS_REPLICAS, &here));
  assert_int_equal(application_create(&app, "a", "1", 1), SA_AIS_ERR_BAD_OPERATION); /* nobody is active yet */
  say(WIRE_PROGRESS_SYNCED, &here);
  assert_int_equal(shell("vesta show --json " NAME), 0);
  assert_true(printed("\"synced\": true") && printed("\"lag\": 0"));
  wire_message_t grant = join("again");
  wire_message_t confirm = {.kind = WIRE_CONFIRM, .handle = handle, .epoch = grant.epoch, .seq = grant.seq};
  wire_message_t reply;
  assert_int_equal(raw_link_call(&raw, &confirm, vesta_bytes(NULL, 0), &reply, NULL), VESTA_OK);
  assert_int_equal(shell("vesta show --json " NAME), 0);
  assert_true(printed("\"role\": \"active\"") && printed("\"lag\": null")); /* it follows nobody */
  assert_non_null(strstr(strstr(output, "\"members\""), "\"connected\": true"));
  assert_int_equal(shell("vesta show " NAME), 0);
  assert_true(printed("\nmembers\n"));
}

/* ---- streams ---- */

/* Take changes as they come until the service has heard that this stream has got as far as `seq`. */
static void stream_is_told_at(vesta_stream_t *stream, uint64_t seq) {
  int64_t deadline_ms = test_now_ms() + TEST_DEADLINE_MS;
  wire_message_t row = {0};
  do {
    vesta_change_t change;
    SaAisErrorT error = vesta_stream_next(stream, 10 * SA_TIME_ONE_MILLISECOND, &change);
    assert_true(error == SA_AIS_OK || error == SA_AIS_ERR_TIMEOUT);
    assert_true(row_first(WIRE_USERS_STREAMS, &row));
    assert_true(test_now_ms() < deadline_ms);
  } while ((row.state & WIRE_USER_TOLD) == 0 || row.seq < seq);
  assert_int_equal(row.size, 0);
}

static void show_tells_the_streams_and_their_lag(void **state) {
  (void)state;
  vesta_stream_t *stream = NULL;
  assert_int_equal(application_create(&app, "a", "1", 1), SA_AIS_OK);
  assert_int_equal(vesta_stream_open(app.checkpoint, NULL, &stream), SA_AIS_OK);
  wire_message_t row;
  assert_true(row_first(WIRE_USERS_STREAMS, &row));
  assert_int_equal(row.state, 0); /* it has got nothing yet */
  assert_int_equal(shell("vesta show --json " NAME), 0);
  assert_true(printed("\"stream\": ") && printed("\"lag\": null") && printed("\"told_ms\": null"));
  stream_is_told_at(stream, 1);
  for (int i = 0; i < 5; i++) {
    assert_int_equal(application_overwrite(&app, "a", "2", 1), SA_AIS_OK);
  }
  assert_int_equal(shell("vesta show --json " NAME), 0);
  assert_true(printed("\"lag\": 0")); /* as of when it said so */
  stream_is_told_at(stream, 6);
  assert_int_equal(shell("vesta show " NAME), 0);
  assert_true(printed("\nstreams\n") && printed("-1-6 "));
  assert_int_equal(raw_counter(place.socket, "streams"), 1);
  assert_int_equal(vesta_stream_close(&stream), SA_AIS_OK);
  int64_t deadline_ms = test_now_ms() + TEST_DEADLINE_MS;
  while (row_first(WIRE_USERS_STREAMS, &row)) {
    assert_true(test_now_ms() < deadline_ms);
  }
}

static void a_stream_is_listed_again_after_a_restart_of_the_daemon(void **state) {
  (void)state;
  vesta_stream_t *stream = NULL;
  wire_message_t row;
  assert_int_equal(application_create(&app, "a", "1", 1), SA_AIS_OK);
  assert_int_equal(vesta_stream_open(app.checkpoint, NULL, &stream), SA_AIS_OK);
  stream_is_told_at(stream, 1);
  assert_true(row_first(WIRE_USERS_STREAMS, &row));
  uint64_t before = row.member;
  (void)vestad_end(vestad, SIGKILL);
  vestad = vestad_start(&place, NULL, NULL);
  assert_true(vestad > 0);
  raw_link_close(&raw);
  vesta_token_t token = {0};
  assert_true(raw_link_open(&raw, place.socket));
  assert_int_equal(raw_link_hello(&raw, &token), VESTA_OK);
  int64_t deadline_ms = test_now_ms() + TEST_DEADLINE_MS;
  while (!row_first(WIRE_USERS_STREAMS, &row)) {
    vesta_change_t change;
    (void)vesta_stream_next(stream, 10 * SA_TIME_ONE_MILLISECOND, &change);
    assert_true(test_now_ms() < deadline_ms);
  }
  assert_true(row.member > before);
  stream_is_told_at(stream, 1);
  assert_int_equal(vesta_stream_close(&stream), SA_AIS_OK);
}

/* ---- top ---- */

static void top_tells_what_is_written_and_who_follows(void **state) {
  (void)state;
  vesta_stream_t *stream = NULL;
  assert_int_equal(application_create(&app, "a", "12345", 5), SA_AIS_OK);
  assert_int_equal(vesta_stream_open(app.checkpoint, NULL, &stream), SA_AIS_OK);
  assert_int_equal(shell("vesta top --json"), 0);
  assert_true(printed("\"written_bytes\": 5") && printed("\"members\": 0") && printed("\"streams\": 1"));
  assert_true(printed("\"lag\": 0") && printed("\"committed_bytes\": 5"));
  assert_int_equal(shell("vesta top | cat"), 0);
  assert_true(printed("MEMBERS STREAMS") && printed(NAME "\n"));
  assert_int_equal(vesta_stream_close(&stream), SA_AIS_OK);
}

/* ---- as a command ---- */

static void each_command_has_its_own_help(void **state) {
  (void)state;
  static const char *const commands[] = {"status", "ls",    "top",  "show", "sections",
                                         "get",    "watch", "dump", "load", "rm"};
  for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
    char line[64], usage[64];
    (void)snprintf(line, sizeof line, "vesta %s --help", commands[i]);
    (void)snprintf(usage, sizeof usage, "Usage: vesta [OPTION]... %s", commands[i]);
    assert_int_equal(shell(line), 0);
    assert_true(strncmp(output, usage, strlen(usage)) == 0 && printed("--socket PATH"));
  }
  assert_int_equal(shell("vesta --help bogus"), 2);
  assert_int_equal(shell("vesta show --help >/dev/full"), 1);
}

static void who_stops_reading_is_told_nothing(void **state) {
  (void)state;
  assert_int_equal(shell("vesta show " NAME " | true; vesta ls | true; vesta top | true"), 0);
  assert_string_equal(output, "");
}

static void errors_go_to_standard_error_and_nothing_else_does(void **state) {
  (void)state;
  assert_int_equal(shell("vesta show nobody 2>/dev/null"), 1);
  assert_string_equal(output, "");
  assert_int_equal(shell("vesta show --json nobody 2>/dev/null"), 1);
  assert_string_equal(output, "");
  assert_int_equal(shell("vesta show " NAME " 2>&1 >/dev/null"), 0);
  assert_string_equal(output, "");
}

static void another_user_is_told_that_it_is_not_for_him(void **state) {
  (void)state;
  if (geteuid() != 0) {
    skip(); /* nobody else can be had */
  }
  char line[512];
  /* who may search any folder, since ours may be in root's home */
  (void)snprintf(line, sizeof line,
                 "setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps +dac_read_search "
                 "--ambient-caps +dac_read_search %s/vesta status",
                 getenv("VESTA_TEST_BIN_DIR"));
  assert_int_equal(shell(line), 1);
  assert_true(printed("is not for this user"));
}

static void a_daemon_that_stands_still_is_told_after_a_while(void **state) {
  (void)state;
  assert_int_equal(kill(vestad, SIGSTOP), 0);
  assert_int_equal(shell("vesta status"), 1);
  assert_int_equal(kill(vestad, SIGCONT), 0);
  assert_true(printed(place.socket) && printed("has not answered for 5 s"));
}

static int place_set_up(void **state) {
  (void)state;
  vesta_token_t token = {0};
  vestad_place_make(&place);
  (void)setenv("VESTA_SOCKET", place.socket, 1);
  vestad = vestad_start(&place, NULL, NULL);
  if (vestad <= 0 || !raw_link_open(&raw, place.socket) || raw_link_hello(&raw, &token) != VESTA_OK) {
    return -1;
  }
  application_open(&app, "x", APPLICATION_ALL);
  wire_message_t open = {
      .kind = WIRE_OPEN, .name = vesta_bytes(NAME, strlen(NAME)), .flags = VESTA_OPEN_READ | VESTA_OPEN_WRITE};
  wire_message_t reply;
  if (raw_link_call(&raw, &open, vesta_bytes(NULL, 0), &reply, NULL) != VESTA_OK) {
    return -1;
  }
  handle = reply.handle;
  return 0;
}

static int place_tear_down(void **state) {
  (void)state;
  application_close(&app);
  raw_link_close(&raw);
  int exit_code = vestad_end(vestad, SIGTERM);
  vestad_place_remove(&place);
  return exit_code;
}

#define command_case(test) cmocka_unit_test_setup_teardown(test, place_set_up, place_tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      command_case(show_tells_who_has_it_open_without_opening_it),
      command_case(show_tells_the_members_of_its_group),
      command_case(show_tells_the_streams_and_their_lag),
      command_case(a_stream_is_listed_again_after_a_restart_of_the_daemon),
      command_case(top_tells_what_is_written_and_who_follows),
      command_case(each_command_has_its_own_help),
      command_case(who_stops_reading_is_told_nothing),
      command_case(errors_go_to_standard_error_and_nothing_else_does),
      command_case(another_user_is_told_that_it_is_not_for_him),
      command_case(a_daemon_that_stands_still_is_told_after_a_while),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
