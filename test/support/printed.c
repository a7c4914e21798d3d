/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See printed.h.
 */
#include "test/support/printed.h"

#include <limits.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "test/support/vestad_process.h"

bool printed_holds(const char *path, const char *text) {
  FILE *file = fopen(path, "re");
  char *line = NULL;
  size_t size = 0;
  bool found = false;
  while (file != NULL && !found && getline(&line, &size, file) >= 0) {
    found = strstr(line, text) != NULL;
  }
  free(line);
  if (file != NULL) {
    (void)fclose(file);
  }
  return found;
}

bool printed_wait(const char *path, const char *text) {
  _Alignas(struct inotify_event) char events[sizeof(struct inotify_event) + NAME_MAX + 1];
  struct pollfd more = {.fd = inotify_init1(IN_CLOEXEC), .events = POLLIN};
  (void)inotify_add_watch(more.fd, path, IN_MODIFY); /* before the first look, so that nothing is missed */
  int64_t until_ms = test_now_ms() + TEST_DEADLINE_MS;
  bool found;
  while (!(found = printed_holds(path, text))) {
    int64_t left_ms = until_ms - test_now_ms();
    if (left_ms <= 0 || poll(&more, 1, (int)left_ms) != 1 || read(more.fd, events, sizeof events) < 0) {
      break;
    }
  }
  (void)close(more.fd);
  return found;
}
