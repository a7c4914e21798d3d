/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See child.h.
 */
#include "test/support/child.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

pid_t child_fork(void) {
  pid_t parent = getpid();
  (void)fflush(NULL); /* what is not printed yet would be printed twice */
  pid_t pid = fork();
  if (pid < 0) {
    perror("fork");
    abort();
  }
  if (pid == 0) {
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) {
      _exit(1); /* it has ended in between */
    }
    (void)setenv("CMOCKA_TEST_ABORT", "1", 1);
  }
  return pid;
}
