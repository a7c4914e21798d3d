/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The set of who is subscribed to what, with sockets of this process for connections.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/subscription_set.h"

static subscription_set_t *set;

static int set_up(void **state) {
  (void)state;
  set = subscription_set_new();
  return set == NULL;
}

static int tear_down(void **state) {
  (void)state;
  subscription_set_destroy(&set);
  return 0;
}

static int connection(void) {
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  assert_true(fd >= 0);
  return fd;
}

static subscription_news_t take(int fd, uint8_t begins, uint64_t checkpoint) {
  uint8_t bytes[SUBSCRIPTION_BYTES] = {begins};
  notify_topic(bytes + 1, 'A', checkpoint);
  return subscription_set_take(set, fd, vesta_bytes(bytes, sizeof bytes));
}

static void a_pair_is_told_once_and_its_end_once(void **state) {
  (void)state;
  int one = connection();
  int other = connection();
  assert_int_equal(take(one, 1, 1), SUBSCRIPTION_TELL);
  assert_int_equal(take(one, 1, 1), SUBSCRIPTION_BAD);
  assert_int_equal(take(one, 1, 2), SUBSCRIPTION_TELL);
  assert_int_equal(take(other, 1, 1), SUBSCRIPTION_TELL);
  assert_int_equal(take(one, 0, 1), SUBSCRIPTION_TELL);
  assert_int_equal(take(one, 0, 1), SUBSCRIPTION_BAD);
  assert_int_equal(take(other, 0, 2), SUBSCRIPTION_BAD);
  (void)close(one);
  (void)close(other);
}

static void an_end_that_says_not_whose_it_is_belongs_to_who_is_gone(void **state) {
  (void)state;
  int stays = connection();
  int goes = connection();
  assert_int_equal(take(stays, 1, 1), SUBSCRIPTION_TELL);
  assert_int_equal(take(goes, 1, 1), SUBSCRIPTION_TELL);
  assert_int_equal(take(-1, 0, 1), SUBSCRIPTION_DROP);
  (void)close(goes);
  assert_int_equal(take(-1, 0, 1), SUBSCRIPTION_TELL);
  assert_int_equal(take(-1, 0, 1), SUBSCRIPTION_DROP);
  assert_int_equal(take(stays, 0, 1), SUBSCRIPTION_TELL);
  (void)close(stays);
}

static void who_has_the_descriptor_of_one_that_is_gone_is_another(void **state) {
  (void)state;
  int gone = connection();
  int comes = connection();
  assert_int_equal(take(gone, 1, 1), SUBSCRIPTION_TELL);
  assert_int_equal(dup2(comes, gone), gone);
  assert_int_equal(take(gone, 1, 1), SUBSCRIPTION_TELL);
  assert_int_equal(take(-1, 0, 1), SUBSCRIPTION_TELL);
  assert_int_equal(take(gone, 1, 1), SUBSCRIPTION_BAD);
  assert_int_equal(take(gone, 0, 1), SUBSCRIPTION_TELL);
  (void)close(gone);
  (void)close(comes);
}

static void who_is_gone_is_found_by_looking(void **state) {
  (void)state;
  uint8_t end[SUBSCRIPTION_BYTES];
  uint8_t expected[SUBSCRIPTION_BYTES] = {0};
  int stays = connection();
  int goes = connection();
  assert_false(subscription_set_look(set, end));
  assert_int_equal(take(stays, 1, 1), SUBSCRIPTION_TELL);
  assert_int_equal(take(goes, 1, 2), SUBSCRIPTION_TELL);
  (void)close(goes);
  assert_false(subscription_set_look(set, end));
  assert_true(subscription_set_look(set, end));
  notify_topic(expected + 1, 'A', 2);
  assert_memory_equal(end, expected, sizeof end);
  assert_false(subscription_set_look(set, end));
  assert_int_equal(take(stays, 1, 1), SUBSCRIPTION_BAD);
  (void)close(stays);
}

static void what_was_refused_is_not_there(void **state) {
  (void)state;
  uint8_t bytes[SUBSCRIPTION_BYTES] = {1};
  int one = connection();
  notify_topic(bytes + 1, 'A', 1);
  assert_int_equal(take(one, 1, 2), SUBSCRIPTION_TELL);
  assert_int_equal(take(one, 1, 1), SUBSCRIPTION_TELL);
  subscription_set_refuse(set, vesta_bytes(bytes, sizeof bytes));
  assert_int_equal(take(one, 0, 1), SUBSCRIPTION_BAD);
  assert_int_equal(take(one, 0, 2), SUBSCRIPTION_TELL);
  (void)close(one);
}

static void what_has_not_the_size_of_a_subscription_is_judged_by_others(void **state) {
  (void)state;
  assert_int_equal(subscription_set_take(set, -1, vesta_bytes((const uint8_t *)"\1x", 2)), SUBSCRIPTION_TELL);
  assert_int_equal(take(-1, 1, 1), SUBSCRIPTION_DROP);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(a_pair_is_told_once_and_its_end_once),
      TEST(an_end_that_says_not_whose_it_is_belongs_to_who_is_gone),
      TEST(who_has_the_descriptor_of_one_that_is_gone_is_another),
      TEST(who_is_gone_is_found_by_looking),
      TEST(what_was_refused_is_not_there),
      TEST(what_has_not_the_size_of_a_subscription_is_judged_by_others),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
