/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The vesta command: what it prints, in both ways, and how it ends.
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

#include "test/support/raw_link.h"
#include "test/support/vestad_process.h"

static vestad_place_t place;
static char output[1 << 16];

/* Run it on the test's daemon. @return its exit code; `output` has both of its streams */
static int command(const char *arguments) {
  char line[1024];
  (void)snprintf(line, sizeof line, "VESTA_SOCKET=%s %s/vesta %s 2>&1", place.socket, getenv("VESTA_TEST_BIN_DIR"),
                 arguments);
  FILE *stream = popen(line, "re");
  assert_non_null(stream);
  output[fread(output, 1, sizeof output - 1, stream)] = '\0';
  int status = pclose(stream);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool printed(const char *text) { return strstr(output, text) != NULL; }

static void mistakes_are_exit_code_2(void **state) {
  (void)state;
  assert_int_equal(command(""), 2);
  assert_int_equal(command("bogus"), 2);
  assert_int_equal(command("--bogus status"), 2);
  assert_int_equal(command("status more"), 2);
  assert_int_equal(command("show"), 2);
  assert_int_equal(command("get name"), 2);
  assert_int_equal(command("get name '\\xg'"), 2);
  assert_int_equal(command("show ''"), 2);
  assert_int_equal(command("show '\"name'"), 2);
  assert_int_equal(command("ls --from now"), 2);
  assert_int_equal(command("watch name --from bogus"), 2);
  assert_int_equal(command("watch name --kinds bogus"), 2);
  assert_int_equal(command("watch name --kinds created,"), 2);
  assert_int_equal(command("watch name --kinds synced"), 2);
  assert_int_equal(command("watch name --prefix ''"), 2);
  assert_int_equal(command("watch name --prefix '\\xg'"), 2);
  assert_int_equal(command("show name --keys"), 2);
  assert_true(printed("--keys is for watch only"));
  assert_int_equal(command("show name --diverged"), 2);
  assert_true(printed("--diverged and --file are for dump only"));
  assert_int_equal(command("dump"), 2);
  assert_int_equal(command("dump name --file path"), 2);
  assert_int_equal(command("dump --diverged --file path"), 2);
  assert_int_equal(command("dump --diverged"), 2);
  assert_int_equal(command("discard"), 2);
  char many[512] = "watch name";
  for (uint32_t i = 0; i <= VESTA_STREAM_PREFIXES_MAX; i++) {
    (void)strcat(many, " --prefix a");
  }
  assert_int_equal(command(many), 2);
  assert_true(printed("too many prefixes"));
  assert_true(printed("Try `vesta --help`."));
}

static void help_and_version_need_no_daemon(void **state) {
  (void)state;
  assert_int_equal(command("--help"), 0);
  assert_true(printed("--json"));
  assert_int_equal(command("--version"), 0);
  assert_true(printed("protocol 1."));
}

static void without_a_daemon_it_says_so_and_starts_none(void **state) {
  (void)state;
  assert_int_equal(command("status"), 1);
  assert_true(printed("no vestad answers at"));
  static const char *const all[] = {"ls --json", "show n", "sections n", "get n s", "watch n", "dump n", "rm n", "top"};
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
    assert_int_equal(command(all[i]), 1);
    assert_true(printed("no vestad answers at"));
  }
  assert_int_equal(access(place.socket, F_OK), -1);
}

static void status_and_ls_tell_what_is_there(void **state) {
  (void)state;
  raw_link_t link;
  vesta_token_t token = {0};
  uint64_t handle = 0;
  pid_t vestad = vestad_start(&place, NULL, NULL);
  assert_true(vestad > 0);
  assert_int_equal(command("ls"), 0);
  assert_true(printed("SECTIONS"));
  assert_int_equal(command("ls --json"), 0);
  assert_string_equal(output, "[]\n");
  assert_true(raw_link_open(&link, place.socket));
  assert_int_equal(raw_link_hello(&link, &token), VESTA_OK);
  assert_int_equal(raw_link_checkpoint(&link, "name with \\ and \x01\xff", &handle), VESTA_OK);
  assert_int_equal(raw_link_create(&link, handle, "a", vesta_bytes("hello", 5)), VESTA_OK);
  assert_int_equal(command("ls"), 0);
  assert_true(printed("name with \\x5c and \\x01\\xff"));
  assert_int_equal(command("ls --json"), 0);
  assert_true(printed("\"name\": \"name with \\\\x5c and \\\\x01\\\\xff\""));
  assert_true(printed("\"sections\": 1") && printed("\"bytes\": 5") && printed("\"opened\": 1"));
  assert_true(printed("\"retention_s\": 3600.0"));
  assert_int_equal(command("status"), 0);
  assert_true(printed("\ncheckpoints                1\n"));
  assert_int_equal(command("status --json"), 0);
  assert_true(printed("\"checkpoints\": 1,"));
  assert_int_equal(raw_counter(place.socket, "sessions"), 1); /* it left none of its own */
  raw_link_close(&link);
  assert_int_equal(vestad_end(vestad, SIGTERM), 0);
}

/* A vestad that has a checkpoint "name", which the link has open. */
static pid_t start_with_checkpoint(raw_link_t *link, uint64_t *handle) {
  vesta_token_t token = {0};
  pid_t vestad = vestad_start(&place, NULL, NULL);
  assert_true(vestad > 0);
  assert_true(raw_link_open(link, place.socket));
  assert_int_equal(raw_link_hello(link, &token), VESTA_OK);
  assert_int_equal(raw_link_checkpoint(link, "name", handle), VESTA_OK);
  return vestad;
}

static void a_replicas_file_is_dumped_and_left_as_it_is(void **state) {
  (void)state;
  raw_link_t link;
  uint64_t handle = 0;
  char line[256];
  pid_t vestad = start_with_checkpoint(&link, &handle);
  assert_int_equal(raw_link_create(&link, handle, "a", vesta_bytes("hello", 5)), VESTA_OK);
  (void)snprintf(line, sizeof line, "dump --file %s/replica-0000000000000001", place.replica_dir);
  assert_int_equal(command(line), 0);
  assert_true(printed("{\"vesta_dump\":1,") && printed("\"name\":\"name\"") && printed("\"uncommitted\":0"));
  assert_true(printed("{\"id\":\"a\",\"expiry_ns\":null,\"data\":\"hello\",\"changed_at\":\"1-1\"}\n"));
  assert_true(printed("{\"end\":true,\"sections\":1,\"corrupted\":[]}\n"));
  assert_int_equal(raw_link_create(&link, handle, "b", vesta_bytes("hello", 5)), VESTA_OK);
  (void)snprintf(line, sizeof line, "dump --file %s/journal", place.replica_dir);
  assert_int_equal(command(line), 1);
  assert_true(printed("it is no replica, or one of another version"));
  (void)snprintf(line, sizeof line, "dump --file %s/none", place.replica_dir);
  assert_int_equal(command(line), 1);
  assert_true(printed("there is no such file"));
  raw_link_close(&link);
  assert_int_equal(vestad_end(vestad, SIGTERM), 0);
}

static void nothing_diverges_on_a_node_that_is_alone(void **state) {
  (void)state;
  raw_link_t link;
  uint64_t handle = 0;
  pid_t vestad = start_with_checkpoint(&link, &handle);
  assert_int_equal(command("dump --diverged name"), 1);
  assert_true(printed("nothing of it has diverged on this node"));
  assert_int_equal(command("dump --diverged other"), 1);
  assert_true(printed("there is no such checkpoint"));
  assert_int_equal(command("discard name"), 1);
  assert_true(printed("this vestad is in no cluster"));
  raw_link_close(&link);
  assert_int_equal(vestad_end(vestad, SIGTERM), 0);
}

static void all_checkpoints_are_listed_when_there_are_many(void **state) {
  (void)state;
  enum { MANY = 1100 }; /* more than two pages */
  raw_link_t link;
  vesta_token_t token = {0};
  uint64_t handle = 0;
  char name[32];
  pid_t vestad = vestad_start(&place, NULL, NULL);
  assert_true(vestad > 0);
  assert_true(raw_link_open(&link, place.socket));
  assert_int_equal(raw_link_hello(&link, &token), VESTA_OK);
  for (int i = 0; i < MANY; i++) {
    (void)snprintf(name, sizeof name, "checkpoint%d", i);
    wire_message_t open = {.kind = WIRE_OPEN,
                           .name = vesta_bytes(name, strlen(name)),
                           .flags = VESTA_OPEN_READ | VESTA_OPEN_CREATE,
                           .creation_flags = VESTA_CREATE_ALL_REPLICAS,
                           .checkpoint_bytes = 100,
                           .sections_max = 1,
                           .section_bytes_max = 100};
    wire_message_t reply;
    assert_int_equal(raw_link_call(&link, &open, vesta_bytes(NULL, 0), &reply, NULL), VESTA_OK);
    handle = reply.handle;
  }
  assert_true(handle > 0);
  assert_int_equal(command("ls | wc -l"), 0);
  assert_int_equal(atoi(output), MANY + 1);
  raw_link_close(&link);
  assert_int_equal(vestad_end(vestad, SIGTERM), 0);
}

static int place_set_up(void **state) {
  (void)state;
  vestad_place_make(&place);
  return 0;
}

static int place_tear_down(void **state) {
  (void)state;
  vestad_place_remove(&place);
  return 0;
}

#define command_case(test) cmocka_unit_test_setup_teardown(test, place_set_up, place_tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      command_case(mistakes_are_exit_code_2),
      command_case(help_and_version_need_no_daemon),
      command_case(without_a_daemon_it_says_so_and_starts_none),
      command_case(status_and_ls_tell_what_is_there),
      command_case(a_replicas_file_is_dumped_and_left_as_it_is),
      command_case(nothing_diverges_on_a_node_that_is_alone),
      command_case(all_checkpoints_are_listed_when_there_are_many),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
