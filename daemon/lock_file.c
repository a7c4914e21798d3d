/* SPDX-License-Identifier: BSD-2-Clause
 *
 * flock(2) on a path.
 */
#include "daemon/lock_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static bool lock_file_is(int fd, const char *path) {
  struct stat locked;
  struct stat named;
  return fstat(fd, &locked) == 0 && lstat(path, &named) == 0 && locked.st_ino == named.st_ino &&
         locked.st_dev == named.st_dev;
}

vesta_err_t lock_file_take(const char *path, int *fd) {
  for (;;) {
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0) {
      return VESTA_ERR_ACCESS;
    }
    if (flock(file, LOCK_EX | LOCK_NB) != 0) {
      int why = errno;
      (void)close(file);
      errno = why;
      return why == EWOULDBLOCK ? VESTA_ERR_BUSY : VESTA_ERR_ACCESS;
    }
    if (lock_file_is(file, path)) {
      *fd = file;
      return VESTA_OK;
    }
    (void)close(file); /* its last holder deleted it between our open and our lock */
  }
}

void lock_file_sign(int fd) {
  char text[32];
  int size = snprintf(text, sizeof text, "%ld\n", (long)getpid());
  ssize_t written = ftruncate(fd, 0) == 0 ? pwrite(fd, text, (size_t)size, 0) : 0;
  (void)written; /* for people only */
}
