/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Finding the daemon. See agent_endpoint.h.
 */
#include "saf_api/agent_endpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#define SYSTEM_SOCKET "/run/vesta/vestad.sock"
#define SOCKET_NAME "vestad.sock"

/* Is it a directory that only this user can use? */
static bool directory_is_ours(const char *path) {
  struct stat info;
  return lstat(path, &info) == 0 && S_ISDIR(info.st_mode) && info.st_uid == geteuid() && (info.st_mode & 077) == 0;
}

static vesta_err_t address_set(agent_endpoint_t *endpoint, const char *path) {
  size_t size = strlen(path) + 1;
  if (size > sizeof endpoint->address.sun_path) {
    return VESTA_ERR_TOO_LARGE;
  }
  memcpy(endpoint->address.sun_path, path, size);
  return VESTA_OK;
}

vesta_err_t agent_endpoint_find(agent_endpoint_t *endpoint) {
  *endpoint = (agent_endpoint_t){.address = {.sun_family = AF_UNIX}};
  const char *chosen = secure_getenv("VESTA_SOCKET");
  if (chosen != NULL && chosen[0] != '\0') {
    return address_set(endpoint, chosen);
  }
  if (access(SYSTEM_SOCKET, F_OK) == 0) {
    return address_set(endpoint, SYSTEM_SOCKET);
  }
  char directory[sizeof endpoint->address.sun_path];
  const char *runtime = secure_getenv("XDG_RUNTIME_DIR");
  int length = runtime != NULL && runtime[0] == '/' && directory_is_ours(runtime)
                   ? snprintf(directory, sizeof directory, "%s/vesta", runtime)
                   : snprintf(directory, sizeof directory, "/tmp/vesta-%u", (unsigned)geteuid());
  if (length < 0 || (size_t)length >= sizeof directory) {
    return VESTA_ERR_TOO_LARGE;
  }
  if (mkdir(directory, 0700) != 0 && errno != EEXIST) {
    return VESTA_ERR_NO_RESOURCES;
  }
  if (!directory_is_ours(directory)) {
    return VESTA_ERR_DENIED;
  }
  char path[sizeof directory + sizeof SOCKET_NAME + 1];
  (void)snprintf(path, sizeof path, "%s/%s", directory, SOCKET_NAME);
  endpoint->own = true;
  return address_set(endpoint, path);
}

static vesta_err_t connect_error(int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
    case ECONNREFUSED: return VESTA_ERR_UNAVAILABLE;
    case EACCES:
    case EPERM: return VESTA_ERR_DENIED;
    case EMFILE:
    case ENFILE: return VESTA_ERR_NO_RESOURCES;
    case ENOMEM:
    case ENOBUFS: return VESTA_ERR_NO_MEMORY;
    default: return VESTA_ERR_TRY_AGAIN; /* EAGAIN: the daemon's queue of new connections is full */
  }
}

vesta_err_t agent_endpoint_connect(const agent_endpoint_t *endpoint, int *fd) {
  int made = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (made < 0) {
    return connect_error(errno);
  }
  if (connect(made, (const struct sockaddr *)&endpoint->address, sizeof endpoint->address) != 0) {
    vesta_err_t err = connect_error(errno);
    (void)close(made);
    return err;
  }
  struct timeval slice = {.tv_usec = AGENT_SLICE_MS * 1000};
  (void)setsockopt(made, SOL_SOCKET, SO_RCVTIMEO, &slice, sizeof slice);
  (void)setsockopt(made, SOL_SOCKET, SO_SNDTIMEO, &slice, sizeof slice);
  (void)fcntl(made, F_SETFL, 0);
  *fd = made;
  return VESTA_OK;
}
