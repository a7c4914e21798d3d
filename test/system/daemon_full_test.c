/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A tmpfs that is full: an error code for whoever needs more of it, and nothing else for anybody. It is a small one in a
 * mount namespace of the test's own; where the kernel does not allow that, the tests are skipped and say so.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/support/raw_link.h"
#include "test/support/vestad_process.h"

#define SECTION_BYTES 60000U

static vestad_place_t place;
static pid_t vestad;
static raw_link_t client;
static vesta_token_t session;
static uint8_t data[SECTION_BYTES];

/* Replicas are in a tmpfs of 32 MiB that is the test's alone. */
static int small_set_up(void **state) {
  (void)state;
  vestad_place_make(&place);
  if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
      mkdir(place.replica_dir, 0700) != 0 ||
      mount("vesta-test", place.replica_dir, "tmpfs", 0, "size=32m,mode=0700") != 0) {
    (void)fprintf(stderr, "skipped: no small tmpfs of our own: %s\n", strerror(errno));
    vestad = 0;
    return 0;
  }
  session = (vesta_token_t){0};
  vestad = vestad_start(&place, NULL, NULL);
  return vestad > 0 && raw_link_open(&client, place.socket) && raw_link_hello(&client, &session) == VESTA_OK ? 0 : -1;
}

static int small_tear_down(void **state) {
  (void)state;
  int code = 0;
  if (vestad > 0) {
    raw_link_close(&client);
    code = vestad_end(vestad, SIGTERM);
    (void)umount(place.replica_dir);
  }
  vestad_place_remove(&place);
  return code;
}

static void skip_without_tmpfs(void) {
  if (vestad == 0) {
    skip();
  }
}

static vesta_err_t section_create(uint64_t handle, int i) {
  char id[16];
  (void)snprintf(id, sizeof id, "%d", i);
  memset(data, i, sizeof data);
  return raw_link_create(&client, handle, id, vesta_bytes(data, sizeof data));
}

/* Sections until there is no room for one more. @return how many */
static int fill(uint64_t handle, int from) {
  vesta_err_t err = VESTA_OK;
  int i = from;
  while (err == VESTA_OK) {
    err = section_create(handle, i);
    i += err == VESTA_OK;
    assert_true(i < 1000);
  }
  assert_true(err == VESTA_ERR_NO_SPACE || err == VESTA_ERR_NO_RESOURCES);
  return i;
}

static void all_there(uint64_t handle, int from, int to) {
  static uint8_t expected[SECTION_BYTES];
  for (int i = from; i < to; i++) {
    char id[16];
    vesta_bytes_t got;
    (void)snprintf(id, sizeof id, "%d", i);
    memset(expected, i, sizeof expected);
    assert_int_equal(raw_link_read(&client, handle, id, &got), VESTA_OK);
    assert_true(vesta_bytes_equal(got, vesta_bytes(expected, sizeof expected)));
  }
}

static void section_delete(uint64_t handle, int i) {
  char id[16];
  wire_message_t reply;
  (void)snprintf(id, sizeof id, "%d", i);
  wire_element_t element = {.kind = VESTA_KIND_DELETED, .id = vesta_bytes(id, strlen(id))};
  wire_message_t change = {.kind = WIRE_CHANGE, .handle = handle, .elements = &element, .element_count = 1};
  assert_int_equal(raw_link_call(&client, &change, vesta_bytes(NULL, 0), &reply, NULL), VESTA_OK);
}

static void a_full_tmpfs_is_an_error_code_and_room_comes_back_with_deletes(void **state) {
  (void)state;
  uint64_t handle = 0;
  skip_without_tmpfs();
  assert_int_equal(raw_link_checkpoint(&client, "state", &handle), VESTA_OK);
  int count = fill(handle, 0);
  assert_true(count > 50);
  assert_true(raw_counter(place.socket, "region_reserve_full") > 0);
  assert_true(vestad_logged(&place, "VESTA-REPLICA-FULL"));
  all_there(handle, 0, count);
  for (int i = 0; i < 20; i++) {
    section_delete(handle, i);
  }
  int again = fill(handle, count);
  assert_true(again - count >= 10);
  all_there(handle, 20, again);
}

static void a_checkpoint_that_finds_no_room_is_not_created(void **state) {
  (void)state;
  uint64_t handle = 0;
  uint64_t other = 0;
  skip_without_tmpfs();
  assert_int_equal(raw_link_checkpoint(&client, "state", &handle), VESTA_OK);
  int count = fill(handle, 0);
  vesta_err_t err = VESTA_OK;
  char name[32];
  for (int i = 0; i < 100 && err == VESTA_OK; i++) {
    (void)snprintf(name, sizeof name, "other %d", i);
    err = raw_link_checkpoint(&client, name, &other);
  }
  assert_true(err == VESTA_ERR_NO_SPACE || err == VESTA_ERR_NO_RESOURCES);
  wire_message_t open = {.kind = WIRE_OPEN, .name = vesta_bytes(name, strlen(name)), .flags = VESTA_OPEN_READ};
  wire_message_t reply;
  assert_int_equal(raw_link_call(&client, &open, vesta_bytes(NULL, 0), &reply, NULL), VESTA_ERR_NOT_EXIST);
  assert_true(raw_counter(place.socket, "region_create_failed") + raw_counter(place.socket, "region_reserve_full") > 0);
  all_there(handle, 0, count);
}

static void others_may_take_the_last_page_and_sessions_still_begin_and_end(void **state) {
  (void)state;
  uint64_t handle = 0;
  char path[128];
  skip_without_tmpfs();
  assert_int_equal(raw_link_checkpoint(&client, "state", &handle), VESTA_OK);
  assert_int_equal(section_create(handle, 0), VESTA_OK);
  (void)snprintf(path, sizeof path, "%s/stranger", place.replica_dir);
  int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  while (write(file, data, 4096) > 0) {
  }
  assert_int_equal(errno, ENOSPC);
  for (int i = 0; i < 50; i++) { /* the journal has its room already */
    raw_link_t link;
    vesta_token_t token = {0};
    wire_message_t finalize = {.kind = WIRE_FINALIZE};
    wire_message_t reply;
    assert_true(raw_link_open(&link, place.socket));
    assert_int_equal(raw_link_hello(&link, &token), VESTA_OK);
    assert_int_equal(raw_link_call(&link, &finalize, vesta_bytes(NULL, 0), &reply, NULL), VESTA_OK);
    raw_link_close(&link);
  }
  int count = fill(handle, 1);
  all_there(handle, 0, count);
  (void)close(file);
  assert_int_equal(unlink(path), 0);
  assert_true(fill(handle, count) > count);
}

static void killed_while_it_is_full_it_starts_again_with_everything(void **state) {
  (void)state;
  uint64_t handle = 0;
  skip_without_tmpfs();
  assert_int_equal(raw_link_checkpoint(&client, "state", &handle), VESTA_OK);
  int count = fill(handle, 0);
  assert_int_equal(vestad_end(vestad, SIGKILL), -1);
  uint64_t number = client.number;
  raw_link_close(&client);
  vestad = vestad_start(&place, NULL, NULL);
  assert_true(vestad > 0);
  assert_true(raw_link_open(&client, place.socket));
  client.number = number;
  assert_int_equal(raw_link_hello(&client, &session), VESTA_OK);
  all_there(handle, 0, count);
  section_delete(handle, 0);
  section_delete(handle, 1);
}

#define full_test(test) cmocka_unit_test_setup_teardown(test, small_set_up, small_tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      full_test(a_full_tmpfs_is_an_error_code_and_room_comes_back_with_deletes),
      full_test(a_checkpoint_that_finds_no_room_is_not_created),
      full_test(others_may_take_the_last_page_and_sessions_still_begin_and_end),
      full_test(killed_while_it_is_full_it_starts_again_with_everything),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
