/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Hiding renames the socket: who connected already is in its queue still, and is found there.
 */
#include "daemon/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "daemon/private_dir.h"

#define LISTENER_BACKLOG 4096
#define LISTENER_HIDDEN ".end"
#define LISTENER_PATH_BYTES (sizeof(struct sockaddr_un) + sizeof LISTENER_HIDDEN)

/* Does anybody answer at this name? */
static bool listener_is_served(const struct sockaddr_un *address) {
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) {
    return true; /* can't tell, so don't disturb */
  }
  int failed = connect(fd, (const struct sockaddr *)address, sizeof *address);
  bool served = failed == 0 || errno == EAGAIN; /* EAGAIN: its queue is full */
  (void)close(fd);
  return served;
}

static vesta_err_t listener_clear(const struct sockaddr_un *address, char *why, size_t why_size) {
  struct stat status;
  if (lstat(address->sun_path, &status) != 0) {
    return VESTA_OK;
  }
  if (!S_ISSOCK(status.st_mode) || status.st_uid != geteuid()) {
    (void)snprintf(why, why_size, "%s is there and is no socket of this user", address->sun_path);
    return VESTA_ERR_ACCESS;
  }
  if (listener_is_served(address)) {
    (void)snprintf(why, why_size, "somebody serves at %s already", address->sun_path);
    return VESTA_ERR_BUSY;
  }
  (void)unlink(address->sun_path); /* left by one who was killed */
  return VESTA_OK;
}

static vesta_err_t listener_bind(listener_t *listener, gid_t group, char *why, size_t why_size) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  VESTA_ASSERT(strlen(listener->path) < sizeof address.sun_path);
  (void)strcpy(address.sun_path, listener->path);
  vesta_err_t err = listener_clear(&address, why, why_size);
  if (err != VESTA_OK) {
    return err;
  }
  listener->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (listener->fd < 0 || bind(listener->fd, (struct sockaddr *)&address, sizeof address) != 0) {
    (void)snprintf(why, why_size, "cannot bind %s: %s", listener->path, strerror(errno));
    return VESTA_ERR_ACCESS;
  }
  bool shared = group != PRIVATE_DIR_NO_GROUP;
  if (chmod(listener->path, shared ? 0660 : 0600) != 0 || (shared && chown(listener->path, (uid_t)-1, group) != 0) ||
      listen(listener->fd, LISTENER_BACKLOG) != 0) {
    (void)snprintf(why, why_size, "cannot listen at %s: %s", listener->path, strerror(errno));
    (void)unlink(listener->path);
    return VESTA_ERR_ACCESS;
  }
  return VESTA_OK;
}

vesta_err_t listener_open(listener_t *listener, const char *path, gid_t group, char *why, size_t why_size) {
  *listener = (listener_t){.fd = -1, .path = path};
  if (sd_listen_fds(1) == 1 && sd_is_socket_unix(SD_LISTEN_FDS_START, SOCK_STREAM, 1, path, 0) > 0) {
    listener->fd = SD_LISTEN_FDS_START;
    listener->inherited = true;
    (void)fcntl(listener->fd, F_SETFL, O_NONBLOCK);
    return VESTA_OK;
  }
  vesta_err_t err = listener_bind(listener, group, why, why_size);
  if (err != VESTA_OK && listener->fd >= 0) {
    (void)close(listener->fd);
    listener->fd = -1;
  }
  return err;
}

static void listener_hidden_path(const listener_t *listener, char *path, size_t size) {
  (void)snprintf(path, size, "%s" LISTENER_HIDDEN, listener->path);
}

bool listener_hide(listener_t *listener) {
  char hidden[LISTENER_PATH_BYTES];
  if (listener->inherited) {
    return true; /* whoever connects now waits in the queue that systemd keeps, and has it start the next one */
  }
  listener_hidden_path(listener, hidden, sizeof hidden);
  listener->hidden = rename(listener->path, hidden) == 0;
  return listener->hidden;
}

void listener_show(listener_t *listener) {
  char hidden[LISTENER_PATH_BYTES];
  listener_hidden_path(listener, hidden, sizeof hidden);
  if (listener->hidden && rename(hidden, listener->path) == 0) {
    listener->hidden = false;
  }
}

void listener_close(listener_t *listener) {
  char hidden[LISTENER_PATH_BYTES];
  if (listener->fd < 0) {
    return;
  }
  listener_hidden_path(listener, hidden, sizeof hidden);
  if (!listener->inherited) {
    (void)unlink(listener->hidden ? hidden : listener->path);
  }
  (void)close(listener->fd);
  listener->fd = -1;
}
