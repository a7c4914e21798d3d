/* SPDX-License-Identifier: BSD-2-Clause
 *
 * accept4(2), looked after.
 */
#include "daemon/accept_guard.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_int guard_files_max = INT_MAX;
static atomic_uint_least64_t guard_refused;
static atomic_int guard_highest = -1;
static _Thread_local bool guard_is_first_thread;

void accept_guard_begin(int files_max) {
  guard_is_first_thread = true;
  atomic_store(&guard_files_max, files_max);
}

uint64_t accept_guard_refused(void) { return atomic_load(&guard_refused); }

int accept_guard_highest(void) { return atomic_load(&guard_highest); }

/* Of ZeroMQ's one thread, so there is nobody to race with. */
static void guard_note(int fd) {
  if (fd > atomic_load(&guard_highest)) {
    atomic_store(&guard_highest, fd);
  }
}

/* glibc declares the address as a union of all kinds of pointers; the definition has to say the same. */
__attribute__((visibility("default"))) int accept4(int listener, __SOCKADDR_ARG address, socklen_t *restrict size,
                                                   int flags) {
  int fd = (int)syscall(SYS_accept4, listener, address.__sockaddr__, size, flags);
  if (guard_is_first_thread) {
    return fd; /* the agents' door looks at the number itself, and says why it refuses */
  }
  if (fd >= atomic_load(&guard_files_max)) {
    (void)close(fd);
    fd = -1;
    errno = EMFILE;
  }
  if (fd < 0 && errno == EMFILE) {
    (void)atomic_fetch_add(&guard_refused, 1);
    errno = ECONNABORTED;
  }
  guard_note(fd);
  return fd;
}
