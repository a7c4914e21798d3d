/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The demo, in small: what it says at the end, and that it leaves nothing behind, however it ends.
 */
#include <glob.h>
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

typedef struct demo {
  FILE *output;
  int pid;
  char last_line[512];
} demo_t;

/* The shell tells its process id and becomes the demo. */
static demo_t demo_start(const char *arguments) {
  char command[512];
  demo_t demo = {.pid = 0};
  (void)snprintf(command, sizeof command, "echo $$; exec %s/vesta_demo %s 2>&1", getenv("VESTA_TEST_BIN_DIR"),
                 arguments);
  demo.output = popen(command, "re");
  assert_non_null(demo.output);
  assert_int_equal(fscanf(demo.output, "%d\n", &demo.pid), 1);
  return demo;
}

/* @return its exit status; the last line it printed is kept */
static int demo_end(demo_t *demo) {
  char line[sizeof demo->last_line];
  while (fgets(line, sizeof line, demo->output) != NULL) {
    memcpy(demo->last_line, line, sizeof line);
  }
  int status = pclose(demo->output);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Its directory holds its sockets, replicas and files; the daemon ends before the directory goes. */
static void assert_nothing_left(const demo_t *demo) {
  char pattern[64];
  glob_t found;
  (void)snprintf(pattern, sizeof pattern, "/dev/shm/vesta_demo-%d-*", demo->pid);
  assert_int_equal(glob(pattern, 0, NULL, &found), GLOB_NOMATCH);
  globfree(&found);
}

static void two_actives_are_killed_and_nothing_is_lost(void **state) {
  (void)state;
  unsigned long acknowledged;
  double failover_ms;
  double iterated_ms;
  int end = 0;
  demo_t demo = demo_start("--sections 2000 --seconds 0.5");
  int status = demo_end(&demo);
  int fields = sscanf(demo.last_line,
                      "demo: ok sections=2000 takeovers=2 acknowledged=%lu lost=0 failover_ms=%lf "
                      "catchup_iterated_ms=%lf\n%n",
                      &acknowledged, &failover_ms, &iterated_ms, &end);
  if (fields != 3 || status != 0) {
    fail_msg("status %d: %s", status, demo.last_line);
  }
  assert_int_equal(end, strlen(demo.last_line));
  assert_true(acknowledged > 2000);
  assert_nothing_left(&demo);
}

static void interrupted_it_fails_and_leaves_nothing_behind(void **state) {
  (void)state;
  demo_t demo = demo_start("--sections 2000 --seconds 30");
  char line[512] = "";
  while (strstr(line, "active 1 writes") == NULL) {
    assert_non_null(fgets(line, sizeof line, demo.output));
  }
  assert_int_equal(kill(demo.pid, SIGINT), 0);
  assert_int_equal(demo_end(&demo), 1);
  assert_string_equal(demo.last_line, "vesta_demo: interrupted\n");
  assert_nothing_left(&demo);
}

static void a_mistake_in_the_options_is_exit_code_2(void **state) {
  (void)state;
  const char *const mistakes[] = {"--sections 1", "--sections 1000001", "--sections many", "--seconds 0",
                                  "--size 7",     "--size 4097",        "--bogus",         "more"};
  for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
    demo_t demo = demo_start(mistakes[i]);
    assert_int_equal(demo_end(&demo), 2);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(two_actives_are_killed_and_nothing_is_lost),
      cmocka_unit_test(interrupted_it_fails_and_leaves_nothing_behind),
      cmocka_unit_test(a_mistake_in_the_options_is_exit_code_2),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
