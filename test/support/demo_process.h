/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A demo as a process of a test: run in small, interrupted, and looked at for what it leaves behind.
 */
#ifndef VESTA_TEST_SUPPORT_DEMO_PROCESS_H
#define VESTA_TEST_SUPPORT_DEMO_PROCESS_H

#include <stdio.h>

#define DEMO_LINE_BYTES 512

typedef struct demo_process {
  const char *program;
  FILE *output; /* of both its streams */
  int pid;
  char last_line[DEMO_LINE_BYTES];
} demo_process_t;

/** Start `program`, which must outlive it, of VESTA_TEST_BIN_DIR; `arguments` are the shell's words. */
demo_process_t demo_process_start(const char *program, const char *arguments);
/** Wait for its end. @return its exit status; the last line it printed is kept */
int demo_process_end(demo_process_t *demo);
/** Wait until it prints a line that holds `text`, and interrupt it: it fails, says so, and leaves nothing behind. */
void demo_process_interrupt(demo_process_t *demo, const char *text);
/** Its directory is gone, with sockets, replicas and files: the daemon has ended before. */
void demo_process_assert_nothing_left(const demo_process_t *demo);
/** Each of these is refused as a mistake in the arguments. */
void demo_process_assert_mistakes(const char *program, const char *const *mistakes, size_t count);

#endif
