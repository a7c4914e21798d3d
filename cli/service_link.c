/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A blocking socket with a time limit.
 */
#include "cli/service_link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define SERVICE_SYSTEM_SOCKET "/run/vesta/vestad.sock"
#define SERVICE_REQUEST_BYTES_MAX 4096U /* the longest name and what stands beside it */

bool service_path_find(char path[SERVICE_PATH_BYTES]) {
  const char *chosen = getenv("VESTA_SOCKET");
  const char *runtime = getenv("XDG_RUNTIME_DIR");
  struct stat status;
  int size;
  if (chosen != NULL && chosen[0] != '\0') {
    size = snprintf(path, SERVICE_PATH_BYTES, "%s", chosen);
  } else if (access(SERVICE_SYSTEM_SOCKET, F_OK) == 0) {
    size = snprintf(path, SERVICE_PATH_BYTES, "%s", SERVICE_SYSTEM_SOCKET);
  } else if (runtime != NULL && runtime[0] == '/' && lstat(runtime, &status) == 0 && S_ISDIR(status.st_mode) &&
             status.st_uid == geteuid() && (status.st_mode & 077) == 0) {
    size = snprintf(path, SERVICE_PATH_BYTES, "%s/vesta/vestad.sock", runtime);
  } else {
    size = snprintf(path, SERVICE_PATH_BYTES, "/tmp/vesta-%u/vestad.sock", geteuid());
  }
  return size > 0 && (unsigned)size < SERVICE_PATH_BYTES;
}

vesta_err_t service_link_open(service_link_t *link, const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  const struct timeval limit = {.tv_sec = SERVICE_TIMEOUT_MS / 1000};
  *link = (service_link_t){.fd = -1, .path = path, .decoder = wire_decoder_new()};
  if (link->decoder == NULL) {
    return VESTA_ERR_NO_MEMORY;
  }
  (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
  link->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (link->fd < 0 || setsockopt(link->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) != 0 ||
      setsockopt(link->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) != 0 ||
      connect(link->fd, (struct sockaddr *)&address, sizeof address) != 0) {
    vesta_err_t err = errno == EACCES || errno == EPERM ? VESTA_ERR_DENIED : VESTA_ERR_UNAVAILABLE;
    service_link_close(link);
    return err;
  }
  return VESTA_OK;
}

void service_link_close(service_link_t *link) {
  if (link->fd >= 0) {
    (void)close(link->fd);
    link->fd = -1;
  }
  free(link->frame);
  link->frame = NULL;
  wire_decoder_destroy(&link->decoder);
}

static vesta_err_t service_broken(ssize_t result) {
  return result < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? VESTA_ERR_TIMEOUT : VESTA_ERR_UNAVAILABLE;
}

static vesta_err_t service_get(int fd, uint8_t *to, size_t size) {
  while (size > 0) {
    ssize_t received = recv(fd, to, size, 0);
    if (received < 0 && errno == EINTR) {
      continue;
    }
    if (received <= 0) {
      return service_broken(received);
    }
    to += received;
    size -= (size_t)received;
  }
  return VESTA_OK;
}

static vesta_err_t service_put(int fd, wire_message_t *request) {
  uint8_t frame[WIRE_PREFIX_BYTES + SERVICE_REQUEST_BYTES_MAX];
  size_t size = 0;
  vesta_err_t err = wire_encode(request, frame + WIRE_PREFIX_BYTES, SERVICE_REQUEST_BYTES_MAX, &size);
  if (err != VESTA_OK) {
    return err;
  }
  wire_prefix_encode(frame, (uint32_t)size, 0);
  ssize_t sent = send(fd, frame, WIRE_PREFIX_BYTES + size, MSG_NOSIGNAL); /* small: all of it or none */
  return sent == (ssize_t)(WIRE_PREFIX_BYTES + size) ? VESTA_OK : service_broken(sent);
}

vesta_err_t service_link_call(service_link_t *link, wire_message_t *request, wire_message_t *reply) {
  uint8_t prefix[WIRE_PREFIX_BYTES];
  uint32_t head_bytes = 0;
  uint32_t payload_bytes = 0;
  request->number = ++link->number;
  vesta_err_t err = service_put(link->fd, request);
  if (err == VESTA_OK) {
    err = service_get(link->fd, prefix, sizeof prefix);
  }
  if (err == VESTA_OK) {
    err = wire_prefix_decode(prefix, &head_bytes, &payload_bytes);
  }
  if (err != VESTA_OK) {
    return err;
  }
  free(link->frame);
  link->frame = malloc((size_t)head_bytes + payload_bytes);
  if (link->frame == NULL) {
    return VESTA_ERR_NO_MEMORY;
  }
  err = service_get(link->fd, link->frame, (size_t)head_bytes + payload_bytes);
  if (err == VESTA_OK) {
    err = wire_decode(link->decoder, link->frame, head_bytes, reply);
  }
  if (err == VESTA_OK && (reply->kind != WIRE_REPLY || reply->number != request->number)) {
    err = VESTA_ERR_MALFORMED;
  }
  return err == VESTA_OK ? (vesta_err_t)reply->error : err;
}
