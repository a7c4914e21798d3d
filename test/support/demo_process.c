/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See demo_process.h.
 */
#include "test/support/demo_process.h"

#include <glob.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

/* The shell tells its process id and becomes the demo. */
demo_process_t demo_process_start(const char *program, const char *arguments) {
  char command[512];
  demo_process_t demo = {.program = program};
  (void)snprintf(command, sizeof command, "echo $$; exec %s/%s %s 2>&1", getenv("VESTA_TEST_BIN_DIR"), program,
                 arguments);
  demo.output = popen(command, "re");
  assert_non_null(demo.output);
  assert_int_equal(fscanf(demo.output, "%d\n", &demo.pid), 1);
  return demo;
}

int demo_process_end(demo_process_t *demo) {
  char line[DEMO_LINE_BYTES];
  while (fgets(line, sizeof line, demo->output) != NULL) {
    memcpy(demo->last_line, line, sizeof line);
  }
  int status = pclose(demo->output);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void demo_process_interrupt(demo_process_t *demo, const char *text) {
  char line[DEMO_LINE_BYTES] = "";
  char last[64];
  while (strstr(line, text) == NULL) {
    if (fgets(line, sizeof line, demo->output) == NULL) {
      fail_msg("it ended, before \"%s\", with: %s", text, line);
    }
  }
  assert_int_equal(kill(demo->pid, SIGINT), 0);
  assert_int_equal(demo_process_end(demo), 1);
  (void)snprintf(last, sizeof last, "%s: interrupted\n", demo->program);
  assert_string_equal(demo->last_line, last);
  demo_process_assert_nothing_left(demo);
}

void demo_process_assert_nothing_left(const demo_process_t *demo) {
  char pattern[64];
  glob_t found;
  (void)snprintf(pattern, sizeof pattern, "/dev/shm/%s-%d-*", demo->program, demo->pid);
  assert_int_equal(glob(pattern, 0, NULL, &found), GLOB_NOMATCH);
  globfree(&found);
}

void demo_process_assert_mistakes(const char *program, const char *const *mistakes, size_t count) {
  for (size_t i = 0; i < count; i++) {
    demo_process_t demo = demo_process_start(program, mistakes[i]);
    assert_int_equal(demo_process_end(&demo), 2);
  }
}
