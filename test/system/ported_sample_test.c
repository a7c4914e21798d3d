/* SPDX-License-Identifier: BSD-2-Clause
 *
 * samples/ported, a hot standby as it is written for OpenSAF: the standby has every count by itself, and goes on where
 * the active was killed.
 */
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/support/daemon_fixture.h"

typedef struct member {
  pid_t pid;
  int input, output;
} member_t;

static member_t member_start(const char *name) {
  char path[4096];
  int input[2];
  int output[2];
  (void)snprintf(path, sizeof path, "%s/ported", getenv("VESTA_TEST_SAMPLES_DIR"));
  assert_int_equal(pipe2(input, O_CLOEXEC), 0);
  assert_int_equal(pipe2(output, O_CLOEXEC), 0);
  member_t member = {.pid = fork(), .input = input[1], .output = output[0]};
  assert_true(member.pid >= 0);
  if (member.pid == 0) {
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)dup2(input[0], 0);
    (void)dup2(output[1], 1);
    (void)execl(path, path, name, (char *)NULL);
    _exit(127);
  }
  (void)close(input[0]);
  (void)close(output[1]);
  return member;
}

static void member_count(const member_t *member, const char *times) {
  assert_int_equal(write(member->input, times, strlen(times)), (ssize_t)strlen(times));
}

/* Read its output until this line. */
static void member_says(const member_t *member, const char *line) {
  char said[128] = "";
  size_t size = 0;
  while (strcmp(said, line) != 0) {
    struct pollfd readable = {.fd = member->output, .events = POLLIN};
    size = size > 0 && said[size - 1] == '\n' ? 0 : size;
    assert_true(size < sizeof said - 1);
    assert_int_equal(poll(&readable, 1, TEST_DEADLINE_MS), 1);
    assert_int_equal(read(member->output, said + size, 1), 1);
    said[++size] = '\0';
  }
}

static int member_end(const member_t *member) {
  int status;
  (void)close(member->input);
  assert_int_equal(waitpid(member->pid, &status, 0), member->pid);
  (void)close(member->output);
  return status;
}

static void the_standby_counts_on_where_the_active_was_killed(void **state) {
  (void)state;
  member_t one = member_start("one");
  member_says(&one, "one total=0\n");
  member_count(&one, "30\n");
  member_says(&one, "one total=30\n");
  member_t two = member_start("two");
  member_says(&two, "two total=30\n"); /* what was there before */
  member_count(&one, "70\n");
  member_says(&two, "two total=100\n"); /* what arrived */
  assert_int_equal(kill(one.pid, SIGKILL), 0);
  assert_true(WIFSIGNALED(member_end(&one)));
  member_count(&two, "50\n");
  member_says(&two, "two total=150\n");
  assert_int_equal(member_end(&two), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_standby_counts_on_where_the_active_was_killed),
  };
  return cmocka_run_group_tests(tests, daemon_of_test_open, daemon_of_test_close);
}
