/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See bell.h. An eventfd is one for all processes that have it, and counts.
 */
#include "test/support/bell.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "test/support/daemon_fixture.h"

#define CHILDREN_MAX 32

bell_t bell_new(void) {
  bell_t bell = {.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  if (bell.fd < 0) {
    abort();
  }
  return bell;
}

void bell_destroy(bell_t *bell) {
  (void)close(bell->fd);
  bell->fd = -1;
}

void bell_ring(const bell_t *bell) { (void)eventfd_write(bell->fd, 1); }

bool bell_wait(const bell_t *bell, const pid_t *children, size_t count, int64_t until_ns) {
  struct pollfd fds[1 + CHILDREN_MAX] = {{.fd = bell->fd, .events = POLLIN}};
  if (count > CHILDREN_MAX) {
    abort();
  }
  for (size_t i = 0; i < count; i++) {
    fds[1 + i] = (struct pollfd){.fd = (int)syscall(SYS_pidfd_open, children[i], 0), .events = POLLIN};
  }
  int64_t left_ms = (until_ns - daemon_fixture_now_ns()) / 1000000;
  int ready = poll(fds, 1 + count, left_ms > 0 ? (int)left_ms : 0);
  eventfd_t rings;
  (void)eventfd_read(bell->fd, &rings);
  for (size_t i = 0; i < count; i++) {
    (void)close(fds[1 + i].fd);
  }
  return ready != 0; /* -1: a signal came, which is as good a reason to look */
}
