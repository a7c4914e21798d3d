/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Many clients at once: ten thousand are served, one more than may be is told so.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/support/raw_link.h"
#include "test/support/vestad_process.h"

#define CROWD 10000

static vestad_place_t place;
static raw_link_t crowd[CROWD];

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

static bool descriptors_suffice(rlim_t count) {
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) {
    return false;
  }
  files.rlim_cur = files.rlim_max;
  return files.rlim_max >= count && setrlimit(RLIMIT_NOFILE, &files) == 0;
}

static void ten_thousand_clients_are_served(void **state) {
  (void)state;
  if (!descriptors_suffice(CROWD + 200)) {
    (void)fprintf(stderr, "skipped: RLIMIT_NOFILE is too low for %d clients\n", CROWD);
    skip();
  }
  pid_t vestad = vestad_start(&place, NULL, NULL);
  assert_true(vestad > 0);
  int64_t resident_kib = test_resident_kib(vestad);
  for (int i = 0; i < CROWD; i++) {
    vesta_token_t token = {0};
    assert_true(raw_link_open(&crowd[i], place.socket));
    assert_int_equal(raw_link_hello(&crowd[i], &token), VESTA_OK);
    wire_decoder_destroy(&crowd[i].decoder); /* ten thousand of them are too much for a test */
  }
  assert_int_equal(raw_counter(place.socket, "sessions"), CROWD);
  assert_int_equal(raw_counter(place.socket, "processes_watched"), 1);
  assert_int_equal(raw_counter(place.socket, "held_bytes"), 0);
  (void)fprintf(stderr, "resident memory of a client: %lld bytes\n",
                (long long)((test_resident_kib(vestad) - resident_kib) * 1024 / CROWD));

  wire_decoder_t *decoder = wire_decoder_new();
  for (int i = 0; i < CROWD; i += 999) { /* first and last among them */
    uint64_t handle = 0;
    crowd[i].decoder = decoder;
    assert_int_equal(raw_link_checkpoint(&crowd[i], "shared", &handle), VESTA_OK);
    crowd[i].decoder = NULL;
  }
  wire_decoder_destroy(&decoder);
  for (int i = 0; i < CROWD; i++) {
    raw_link_close(&crowd[i]);
  }
  assert_int_equal(vestad_end(vestad, SIGTERM), 0);
}

static void one_client_more_than_may_be_is_told_so_and_the_others_stay(void **state) {
  (void)state;
  enum { MAX = 8 };
  const char *const few[] = {"--clients-max", "8", NULL};
  raw_link_t more;
  vesta_token_t tokens[MAX] = {0};
  vesta_token_t token = {0};
  uint64_t handle = 0;
  pid_t vestad = vestad_start(&place, few, NULL);
  assert_true(vestad > 0);
  for (int i = 0; i < MAX; i++) {
    assert_true(raw_link_open(&crowd[i], place.socket));
    assert_int_equal(raw_link_hello(&crowd[i], &tokens[i]), VESTA_OK);
  }
  for (int i = 0; i < 200; i++) { /* many more than are kept waiting for a no */
    assert_true(raw_link_open(&more, place.socket));
    assert_int_equal(raw_link_hello(&more, &token), VESTA_ERR_NO_RESOURCES);
    assert_true(raw_link_ended(&more));
    raw_link_close(&more);
  }
  assert_true(vestad_logged(&place, "VESTA-LINK-REFUSED"));
  wire_message_t hello = {.kind = WIRE_HELLO_CALLBACKS, .token_hi = tokens[0].hi, .token_lo = tokens[0].lo};
  wire_message_t reply;
  assert_true(raw_link_open(&more, place.socket)); /* callback links are counted apart */
  assert_int_equal(raw_link_call(&more, &hello, vesta_bytes(NULL, 0), &reply, NULL), VESTA_OK);
  raw_link_close(&more);
  for (int i = 0; i < MAX; i++) {
    assert_int_equal(raw_link_checkpoint(&crowd[i], "shared", &handle), VESTA_OK);
  }
  raw_link_close(&crowd[0]);
  do { /* its place is free when vestad has seen its end */
    token = (vesta_token_t){0};
    assert_true(raw_link_open(&crowd[0], place.socket));
    if (raw_link_hello(&crowd[0], &token) == VESTA_OK) {
      break;
    }
    raw_link_close(&crowd[0]);
  } while (true);
  for (int i = 0; i < MAX; i++) {
    raw_link_close(&crowd[i]);
  }
  assert_int_equal(vestad_end(vestad, SIGTERM), 0);
}

static void too_few_descriptors_are_an_error_and_not_the_end(void **state) {
  (void)state;
  enum { TRIES = 400 };
  int served = 0;
  int refused = 0;
  place.files_max = 300;
  pid_t vestad = vestad_start(&place, NULL, NULL);
  assert_true(vestad > 0);
  assert_true(vestad_logged(&place, "VESTA-FILES-FEW"));
  for (int i = 0; i < TRIES; i++) {
    vesta_token_t token = {0};
    assert_true(raw_link_open(&crowd[i], place.socket));
    vesta_err_t err = raw_link_hello(&crowd[i], &token);
    assert_true(err == VESTA_OK || err == VESTA_ERR_NO_RESOURCES);
    served += err == VESTA_OK;
    refused += err == VESTA_ERR_NO_RESOURCES;
  }
  assert_true(served > 50);
  assert_true(refused > 50);
  uint64_t handle = 0;
  assert_int_equal(raw_link_checkpoint(&crowd[0], "fine", &handle), VESTA_OK);
  for (int i = 0; i < TRIES; i++) {
    raw_link_close(&crowd[i]);
  }
  assert_int_equal(vestad_end(vestad, SIGTERM), 0);
}

#define crowd_test(test) cmocka_unit_test_setup_teardown(test, place_set_up, place_tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      crowd_test(ten_thousand_clients_are_served),
      crowd_test(one_client_more_than_may_be_is_told_so_and_the_others_stay),
      crowd_test(too_few_descriptors_are_an_error_and_not_the_end),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
