/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The checks are made on the opened directory, not on its name: a name could be exchanged in between.
 */
#include "daemon/private_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

static bool private_dir_check(int fd, const char *path, gid_t group, char *why, size_t why_size) {
  struct stat status;
  if (fstat(fd, &status) != 0) {
    (void)snprintf(why, why_size, "cannot stat %s: %s", path, strerror(errno));
    return false;
  }
  if (status.st_uid != geteuid()) {
    (void)snprintf(why, why_size, "%s belongs to user %u, not to user %u who runs vestad", path, status.st_uid,
                   geteuid());
    return false;
  }
  mode_t allowed = group == PRIVATE_DIR_NO_GROUP ? 0700 : 0750;
  mode_t mode = status.st_mode & 07777;
  if ((mode & 0777 & ~allowed) != 0) {
    (void)snprintf(why, why_size, "%s is open to others (mode %04o, at most %04o is allowed)", path, mode, allowed);
    return false;
  }
  if (group != PRIVATE_DIR_NO_GROUP &&
      ((status.st_gid != group && fchown(fd, (uid_t)-1, group) != 0) || fchmod(fd, 0750) != 0)) {
    (void)snprintf(why, why_size, "cannot give %s to group %u: %s", path, group, strerror(errno));
    return false;
  }
  return true;
}

bool private_dir_make(const char *path, gid_t group, char *why, size_t why_size) {
  if (mkdir(path, 0700) != 0 && errno != EEXIST) {
    (void)snprintf(why, why_size, "cannot make %s: %s", path, strerror(errno));
    return false;
  }
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) {
    (void)snprintf(why, why_size, "cannot open directory %s: %s", path, strerror(errno));
    return false;
  }
  bool good = private_dir_check(fd, path, group, why, why_size);
  (void)close(fd);
  return good;
}

bool private_dir_is_tmpfs(const char *path, char *why, size_t why_size) {
  struct statfs status;
  if (statfs(path, &status) != 0) {
    (void)snprintf(why, why_size, "cannot stat the file system of %s: %s", path, strerror(errno));
    return false;
  }
  if (status.f_type != TMPFS_MAGIC) {
    (void)snprintf(why, why_size, "%s is not on a tmpfs: replicas must live in memory", path);
    return false;
  }
  return true;
}
