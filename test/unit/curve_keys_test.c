/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Keys in files and who is named: what is taken for a key, how many there may be, whom the log hears of.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zmq.h>
#include <cmocka.h>

#include "daemon/curve_keys.h"
#include "daemon/log.h"
#include "daemon/strangers.h"
#include "notify/zmq/curve_files.h"
#include "test/support/tcp_guest.h"

static tcp_place_t place;
static void *context;
static strangers_t strangers;
static curve_keys_t *keys;
static char why[512];

static int keys_set_up(void **state) {
  (void)state;
  tcp_place_make(&place);
  context = zmq_ctx_new();
  strangers = (strangers_t){0};
  return 0;
}

static int keys_tear_down(void **state) {
  (void)state;
  curve_keys_close(&keys);
  (void)zmq_ctx_term(context);
  tcp_place_remove(&place);
  return 0;
}

static vesta_err_t keys_open(const char *pair, const char *directory) {
  why[0] = '\0';
  const curve_keys_config_t config = {.context = context,
                                      .key_file = pair,
                                      .keys_dir = directory,
                                      .keys_max = VESTA_GUEST_KEYS_MAX,
                                      .strangers = &strangers};
  return curve_keys_open(&config, &keys, why, sizeof why);
}

static void only_a_pair_that_nobody_else_can_read_is_taken(void **state) {
  (void)state;
  assert_int_equal(keys_open(place.server_key, place.known_dir), VESTA_OK);
  assert_int_equal(curve_keys_count(keys), 1);
  curve_keys_close(&keys);
  assert_int_equal(keys_open("/nowhere", place.known_dir), VESTA_ERR_ACCESS);
  assert_non_null(strstr(why, "cannot read"));
  assert_int_equal(keys_open(place.server_key, "/nowhere"), VESTA_ERR_ACCESS);
  assert_int_equal(chmod(place.server_public, 0600), 0);
  assert_int_equal(keys_open(place.server_public, place.known_dir), VESTA_ERR_ACCESS);
  assert_non_null(strstr(why, "is no key"));
  assert_int_equal(chmod(place.server_key, 0640), 0);
  assert_int_equal(keys_open(place.server_key, place.known_dir), VESTA_ERR_ACCESS);
  assert_non_null(strstr(why, "can be read by others"));
  assert_null(keys);
}

static void files_that_are_no_keys_are_left_out(void **state) {
  (void)state;
  static const char *const names[] = {"garbage", "empty", ".hidden", "with space"};
  char path[256];
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    if (i >= 2) {
      tcp_place_admit(&place, place.stranger_public, names[i]); /* a key, by no name that is one */
      continue;
    }
    (void)snprintf(path, sizeof path, "%s/%s.pub", place.known_dir, names[i]);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    (void)fputs(i == 0 ? "0123456789012345678901234567890123456789~\n" : "", file);
    (void)fclose(file);
  }
  (void)snprintf(path, sizeof path, "%s/directory.pub", place.known_dir);
  assert_int_equal(mkdir(path, 0700), 0);
  assert_int_equal(keys_open(place.server_key, place.known_dir), VESTA_OK);
  assert_int_equal(curve_keys_count(keys), 1);
  curve_keys_close(&keys);
}

static void what_is_no_file_is_left_out_and_not_waited_for(void **state) {
  (void)state;
  char path[256];
  (void)snprintf(path, sizeof path, "%s/fifo.pub", place.known_dir);
  assert_int_equal(mkfifo(path, 0600), 0);
  assert_int_equal(keys_open(place.server_key, place.known_dir), VESTA_OK);
  assert_int_equal(curve_keys_count(keys), 1);
}

static void the_key_of_a_node_is_named_by_its_number_as_it_is_written(void **state) {
  (void)state;
  static const char *const names[] = {"7", "4294967295", "07", "0", "4294967296", "7x", "+8", "-1", "node"};
  const curve_keys_config_t config = {.context = context,
                                      .key_file = place.server_key,
                                      .keys_dir = place.known_dir,
                                      .keys_max = VESTA_NODES_MAX,
                                      .of_nodes = true,
                                      .strangers = &strangers};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    tcp_place_admit(&place, place.stranger_public, names[i]);
  }
  assert_int_equal(curve_keys_open(&config, &keys, why, sizeof why), VESTA_OK);
  assert_int_equal(curve_keys_count(keys), 2);
  assert_true(curve_keys_has(keys, "7", 0) && curve_keys_has(keys, "4294967295", 0));
}

static void so_many_keys_are_known_and_one_more_is_not(void **state) {
  (void)state;
  char name[16];
  for (uint32_t i = 1; i < VESTA_GUEST_KEYS_MAX; i++) { /* there is one */
    (void)snprintf(name, sizeof name, "k%u", i);
    tcp_place_admit(&place, place.stranger_public, name);
  }
  assert_int_equal(keys_open(place.server_key, place.known_dir), VESTA_OK);
  assert_int_equal(curve_keys_count(keys), VESTA_GUEST_KEYS_MAX);
  curve_keys_close(&keys);
  tcp_place_admit(&place, place.stranger_public, "more");
  assert_int_equal(keys_open(place.server_key, place.known_dir), VESTA_OK);
  assert_int_equal(curve_keys_count(keys), VESTA_GUEST_KEYS_MAX);
  curve_keys_close(&keys);
}

static void a_stranger_is_named_once_while_it_is_remembered(void **state) {
  (void)state;
  const int64_t second = INT64_C(1000000000);
  int64_t now_ns = second;
  char address[16];
  assert_true(strangers_name(&strangers, "10.0.0.1", "key", now_ns));
  assert_false(strangers_name(&strangers, "10.0.0.2", "key", now_ns)); /* one a second */
  now_ns += second;
  assert_false(strangers_name(&strangers, "10.0.0.1", "key", now_ns));
  assert_false(strangers_name(&strangers, "10.0.0.1", "", now_ns)); /* whatever it comes with */
  assert_true(strangers_name(&strangers, "10.0.0.2", "key", now_ns));
  strangers = (strangers_t){0};
  for (uint32_t i = 0; i < VESTA_STRANGERS_MAX; i++) {
    (void)snprintf(address, sizeof address, "10.0.1.%u", i);
    now_ns += second;
    assert_true(strangers_name(&strangers, address, "", now_ns));
  }
  now_ns += second;
  assert_false(strangers_name(&strangers, "10.0.1.0", "", now_ns)); /* the first one still */
  assert_true(strangers_name(&strangers, "10.0.2.1", "", now_ns));
  now_ns += second;
  assert_true(strangers_name(&strangers, "10.0.1.0", "", now_ns)); /* in whose place is now the last one */
}

static void where_guests_come_from_is_remembered(void **state) {
  (void)state;
  char address[16];
  assert_false(strangers_welcomed(&strangers, "10.0.0.1"));
  strangers_welcome(&strangers, "10.0.0.1");
  strangers_welcome(&strangers, "10.0.0.1");
  for (uint32_t i = 1; i < VESTA_STRANGERS_MAX; i++) {
    (void)snprintf(address, sizeof address, "10.0.1.%u", i);
    strangers_welcome(&strangers, address);
  }
  assert_true(strangers_welcomed(&strangers, "10.0.0.1"));
  strangers_welcome(&strangers, "10.0.2.1");
  assert_false(strangers_welcomed(&strangers, "10.0.0.1"));
  assert_true(strangers_name(&strangers, "10.0.2.1", "another key", INT64_C(1000000000)));
}

int main(void) {
  const struct CMUnitTest tests[] = {
#define KEYS_TEST(name) cmocka_unit_test_setup_teardown(name, keys_set_up, keys_tear_down)
      KEYS_TEST(only_a_pair_that_nobody_else_can_read_is_taken),
      KEYS_TEST(files_that_are_no_keys_are_left_out),
      KEYS_TEST(what_is_no_file_is_left_out_and_not_waited_for),
      KEYS_TEST(the_key_of_a_node_is_named_by_its_number_as_it_is_written),
      KEYS_TEST(so_many_keys_are_known_and_one_more_is_not),
      KEYS_TEST(a_stranger_is_named_once_while_it_is_remembered),
      KEYS_TEST(where_guests_come_from_is_remembered),
  };
  log_open(LOG_TARGET_STDERR, LOG_LEVEL_ERROR);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
