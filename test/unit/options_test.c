/* SPDX-License-Identifier: BSD-2-Clause
 *
 * vestad's options: who wins, what is refused, and what is taken when nobody says anything.
 */
#include "daemon/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char *environment_names[8];
static const char *environment_values[8];
static char why[1024];
static char file_path[64];

static const char *environment(const char *name) {
  for (size_t i = 0; i < 8 && environment_names[i] != NULL; i++) {
    if (strcmp(environment_names[i], name) == 0) {
      return environment_values[i];
    }
  }
  return NULL;
}

static int environment_clear(void **state) {
  (void)state;
  memset(environment_names, 0, sizeof environment_names);
  return 0;
}

static void environment_set(size_t index, const char *name, const char *value) {
  environment_names[index] = name;
  environment_values[index] = value;
}

static options_verdict_t read_line(options_t *options, const char *a, const char *b, const char *c) {
  char *argv[] = {"vestad", (char *)(uintptr_t)a, (char *)(uintptr_t)b, (char *)(uintptr_t)c, NULL};
  int argc = a == NULL ? 1 : b == NULL ? 2 : c == NULL ? 3 : 4;
  return options_read(options, argc, argv, environment, why, sizeof why);
}

static void file_write(const char *text) {
  (void)strcpy(file_path, "/tmp/vesta-options-XXXXXX");
  int fd = mkstemp(file_path);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
  (void)close(fd);
}

static void the_command_line_wins_over_the_environment_over_the_file(void **state) {
  (void)state;
  options_t options;
  file_write("[vestad]\nlinger = 1s\nclients-max = 10\nlog-level = debug\n");
  environment_set(0, "VESTA_CLIENTS_MAX", "20");
  environment_set(1, "VESTA_LOG_LEVEL", "warn");
  environment_set(2, "VESTA_CONFIG", file_path);
  assert_int_equal(read_line(&options, "--log-level", "error", NULL), OPTIONS_GOOD);
  assert_int_equal(options.linger_ns, 1000000000);
  assert_int_equal(options.clients_max, 20);
  assert_int_equal(options.log_level, LOG_LEVEL_ERROR);
  (void)unlink(file_path);
}

static void a_mistake_in_the_file_is_told_with_its_line(void **state) {
  (void)state;
  const char *const mistakes[] = {"[vestad]\nlinger = 1s\nbogus = 1\n", "[vestad]\n\nlinger = soon\n",
                                  "[vestad]\n\nnothing\n", "\n\n[other]\nlinger = 1s\n", "[vestad]\n\nprivate = yes\n"};
  for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
    options_t options;
    char place[80];
    file_write(mistakes[i]);
    assert_int_equal(read_line(&options, "--config", file_path, NULL), OPTIONS_USAGE);
    (void)snprintf(place, sizeof place, "%s:%d: ", file_path, i == 3 ? 4 : 3);
    assert_non_null(strstr(why, place));
    (void)unlink(file_path);
  }
}

static void a_file_that_was_named_and_is_not_there_is_a_failure(void **state) {
  (void)state;
  options_t options;
  assert_int_equal(read_line(&options, "--config", "/no such file", NULL), OPTIONS_FAILED);
}

static void every_value_is_checked(void **state) {
  (void)state;
  const char *const mistakes[][2] = {
      {"--linger", "5"},         {"--linger", "-1s"},        {"--linger", "61min"},
      {"--linger", "1 s"},       {"--clients-max", "0"},     {"--clients-max", "10241"},
      {"--clients-max", "ten"},  {"--clients-max", ""},      {"--journal-size", "4095"},
      {"--journal-size", "2G"},  {"--journal-size", "1T"},   {"--log-to", "printer"},
      {"--log-level", "loud"},   {"--ready-fd", "-1"},       {"--ready-fd", "99999999999"},
      {"--socket", ""},          {"--cluster", "pacemaker"}, {"--two-node-policy", ""},
      {"--replicas", "9"},       {"--peer-port", "65536"},   {"--busy-poll", "1001us"},
      {"--busy-poll", "1"},      {"--node-id", "0"},         {"--peer", ""},
      {"--session-grace", "0s"}, {"--peer-timeout", "99ms"}};
  for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
    options_t options;
    assert_int_equal(read_line(&options, mistakes[i][0], mistakes[i][1], NULL), OPTIONS_USAGE);
    assert_non_null(strstr(why, mistakes[i][0] + 2));
  }
  options_t options;
  environment_set(0, "VESTA_LINGER", "never");
  assert_int_equal(read_line(&options, NULL, NULL, NULL), OPTIONS_USAGE);
  assert_non_null(strstr(why, "VESTA_LINGER"));
}

static void an_empty_variable_counts_as_none(void **state) {
  (void)state;
  options_t options;
  environment_set(0, "VESTA_LINGER", "");
  assert_int_equal(read_line(&options, NULL, NULL, NULL), OPTIONS_GOOD);
  assert_int_equal(options.linger_ns, 3000000000);
}

static void help_is_given_whatever_else_is_wrong_in_the_file_or_the_environment(void **state) {
  (void)state;
  options_t options;
  environment_set(0, "VESTA_LINGER", "never");
  assert_int_equal(read_line(&options, "--help", NULL, NULL), OPTIONS_GOOD);
  assert_true(options.help);
}

static void sizes_and_durations_have_units(void **state) {
  (void)state;
  uint64_t value = 0;
  assert_true(options_size_parse("0", &value) && value == 0);
  assert_true(options_size_parse("64k", &value) && value == 65536);
  assert_true(options_size_parse("2MiB", &value) && value == 2097152);
  assert_true(options_size_parse("17179869183G", &value) && value == 17179869183ULL << 30);
  assert_false(options_size_parse("17179869184G", &value)); /* 2^64 */
  assert_false(options_size_parse("99999999999999999999", &value));
  assert_false(options_size_parse("1x", &value));
  assert_true(options_duration_parse("0ms", &value) && value == 0);
  assert_true(options_duration_parse("250us", &value) && value == 250000);
  assert_true(options_duration_parse("1500ms", &value) && value == 1500000000);
  assert_true(options_duration_parse("2min", &value) && value == 120000000000);
  assert_false(options_duration_parse("1", &value));
  assert_false(options_duration_parse("s", &value));
}

static void the_socket_stands_in_the_run_directory(void **state) {
  (void)state;
  options_t options;
  assert_int_equal(read_line(&options, "--run-dir", "/run/here", NULL), OPTIONS_GOOD);
  assert_int_equal(options_complete(&options, environment, why, sizeof why), OPTIONS_GOOD);
  assert_string_equal(options.socket, "/run/here/vestad.sock");
  assert_int_equal(read_line(&options, "--socket", "/elsewhere/s", NULL), OPTIONS_GOOD);
  assert_int_equal(options_complete(&options, environment, why, sizeof why), OPTIONS_GOOD);
  assert_string_equal(options.run_dir, "/elsewhere");
}

static void systemds_directory_is_taken_before_the_users_own(void **state) {
  (void)state;
  options_t options;
  environment_set(0, "RUNTIME_DIRECTORY", "/run/given:/run/other");
  assert_int_equal(read_line(&options, NULL, NULL, NULL), OPTIONS_GOOD);
  assert_int_equal(options_complete(&options, environment, why, sizeof why), OPTIONS_GOOD);
  assert_string_equal(options.socket, "/run/given/vestad.sock");
}

static void a_socket_path_at_the_limit_is_taken_and_one_byte_more_is_not(void **state) {
  (void)state;
  options_t options;
  char path[128] = "/";
  memset(path + 1, 'x', 97); /* 98 bytes, and ".requests" makes 107 */
  assert_int_equal(read_line(&options, "--socket", path, NULL), OPTIONS_GOOD);
  assert_int_equal(options_complete(&options, environment, why, sizeof why), OPTIONS_GOOD);
  path[98] = 'x';
  assert_int_equal(read_line(&options, "--socket", path, NULL), OPTIONS_GOOD);
  assert_int_equal(options_complete(&options, environment, why, sizeof why), OPTIONS_USAGE);
  assert_non_null(strstr(why, "99 bytes is too long, at most 98"));
}

#define options_case(test) cmocka_unit_test_setup(test, environment_clear)

static void peers_are_collected_and_must_name_a_node(void **state) {
  (void)state;
  options_t options;
  char endpoint[64];
  uint32_t node = 0;
  assert_int_equal(read_line(&options, "--peer=2=tcp://10.0.0.2:1", "--peer=3=tcp://c:1", NULL), OPTIONS_GOOD);
  const char *at = options.peers;
  assert_true(options_peer_next(&at, &node, endpoint, sizeof endpoint));
  assert_int_equal(node, 2);
  assert_string_equal(endpoint, "tcp://10.0.0.2:1");
  assert_true(options_peer_next(&at, &node, endpoint, sizeof endpoint));
  assert_int_equal(node, 3);
  assert_false(options_peer_next(&at, &node, endpoint, sizeof endpoint));
  assert_string_equal(at, "");
  static const char *const mistakes[] = {"--peer=tcp://a:1", "--peer=0=tcp://a:1", "--peer=2=", "--peer=4294967296=x"};
  for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
    assert_int_equal(read_line(&options, mistakes[i], NULL, NULL), OPTIONS_GOOD);
    assert_int_equal(options_complete(&options, environment, why, sizeof why), OPTIONS_USAGE);
  }
}

static void a_cluster_needs_keys_or_the_word_that_it_has_none(void **state) {
  (void)state;
  options_t options;
  assert_int_equal(read_line(&options, "--cluster=corosync", NULL, NULL), OPTIONS_GOOD);
  assert_int_equal(options_complete(&options, environment, why, sizeof why), OPTIONS_USAGE);
  assert_non_null(strstr(why, "--insecure"));
  assert_int_equal(read_line(&options, "--cluster=corosync", "--key=/k", NULL), OPTIONS_GOOD);
  assert_int_equal(options_complete(&options, environment, why, sizeof why), OPTIONS_USAGE);
  assert_int_equal(read_line(&options, "--cluster=corosync", "--key=/k", "--peer-keys=/d"), OPTIONS_GOOD);
  assert_int_equal(options_complete(&options, environment, why, sizeof why), OPTIONS_GOOD);
  assert_int_equal(read_line(&options, "--cluster=corosync", "--insecure", NULL), OPTIONS_GOOD);
  assert_int_equal(options_complete(&options, environment, why, sizeof why), OPTIONS_GOOD);
  assert_int_equal(read_line(&options, "--cluster=corosync", "--insecure", "--private"), OPTIONS_GOOD);
  assert_int_equal(options_complete(&options, environment, why, sizeof why), OPTIONS_USAGE);
}

static options_verdict_t completed(const char *first, const char *second, const char *third) {
  options_t options;
  assert_int_equal(read_line(&options, first, second, third), OPTIONS_GOOD);
  return options_complete(&options, environment, why, sizeof why);
}

static void streams_over_tcp_need_keys_or_the_word_that_there_are_none(void **state) {
  (void)state;
  const char *listen = "--stream-listen=tcp://10.0.0.1:7430";
  assert_int_equal(completed(listen, NULL, NULL), OPTIONS_USAGE);
  assert_non_null(strstr(why, "--insecure"));
  assert_int_equal(completed(listen, "--insecure", NULL), OPTIONS_GOOD);
  assert_int_equal(completed(listen, "--key=/k", "--stream-keys=/d"), OPTIONS_GOOD);
  assert_int_equal(completed(listen, "--stream-keys=/d", NULL), OPTIONS_USAGE); /* and no key */
  assert_int_equal(completed(listen, "--key=/k", NULL), OPTIONS_USAGE);
  assert_int_equal(completed(listen, "--key=/k", "--peer-keys=/d"), OPTIONS_USAGE); /* those of nodes are no guests' */
  assert_int_equal(completed("--stream-keys=/d", "--key=/k", NULL), OPTIONS_USAGE);
  assert_int_equal(completed(listen, "--insecure", "--private"), OPTIONS_USAGE);
}

static void the_port_of_streams_is_one_that_has_a_next(void **state) {
  (void)state;
  assert_int_equal(completed("--stream-listen=tcp://[::1]:65534", "--insecure", NULL), OPTIONS_GOOD);
  assert_int_equal(completed("--stream-listen=tcp://*:1", "--insecure", NULL), OPTIONS_GOOD);
  static const char *const wrong[] = {
      "--stream-listen=tcp://a:65535", "--stream-listen=tcp://a:0",    "--stream-listen=tcp://a",
      "--stream-listen=tcp://:7430",   "--stream-listen=ipc://a:7430", "--stream-listen=tcp://a:7430x",
      "--stream-listen=a:7430",        "--stream-listen=tcp://a:*",
  };
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    assert_int_equal(completed(wrong[i], "--insecure", NULL), OPTIONS_USAGE);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      options_case(the_command_line_wins_over_the_environment_over_the_file),
      options_case(a_mistake_in_the_file_is_told_with_its_line),
      options_case(a_file_that_was_named_and_is_not_there_is_a_failure),
      options_case(every_value_is_checked),
      options_case(peers_are_collected_and_must_name_a_node),
      options_case(a_cluster_needs_keys_or_the_word_that_it_has_none),
      options_case(streams_over_tcp_need_keys_or_the_word_that_there_are_none),
      options_case(the_port_of_streams_is_one_that_has_a_next),
      options_case(an_empty_variable_counts_as_none),
      options_case(help_is_given_whatever_else_is_wrong_in_the_file_or_the_environment),
      options_case(sizes_and_durations_have_units),
      options_case(the_socket_stands_in_the_run_directory),
      options_case(systemds_directory_is_taken_before_the_users_own),
      options_case(a_socket_path_at_the_limit_is_taken_and_one_byte_more_is_not),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
