/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See raw_link.h. Every wait has a deadline.
 */
#include "test/support/raw_link.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "test/support/vestad_process.h"

#define RAW_SECTION_BYTES_MAX (1U << 20)

bool raw_link_open(raw_link_t *link, const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
  *link = (raw_link_t){.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), .attached = -1};
  link->decoder = wire_decoder_new();
  if (link->fd < 0 || connect(link->fd, (struct sockaddr *)&address, sizeof address) != 0) {
    raw_link_close(link);
    return false;
  }
  return true;
}

static void raw_link_drop(raw_link_t *link) {
  free(link->frame);
  link->frame = NULL;
  if (link->attached >= 0) {
    (void)close(link->attached);
    link->attached = -1;
  }
}

void raw_link_close(raw_link_t *link) {
  raw_link_drop(link);
  wire_decoder_destroy(&link->decoder);
  if (link->fd >= 0) {
    (void)close(link->fd);
    link->fd = -1;
  }
}

bool raw_link_put(raw_link_t *link, const void *bytes, size_t size, int attach) {
  const uint8_t *at = bytes;
  while (size > 0) {
    union {
      struct cmsghdr align;
      char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec part = {.iov_base = (void *)(uintptr_t)at, .iov_len = size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (attach >= 0) {
      message.msg_control = control.bytes;
      message.msg_controllen = sizeof control.bytes;
      struct cmsghdr *header = CMSG_FIRSTHDR(&message);
      header->cmsg_level = SOL_SOCKET;
      header->cmsg_type = SCM_RIGHTS;
      header->cmsg_len = CMSG_LEN(sizeof(int));
      memcpy(CMSG_DATA(header), &attach, sizeof attach);
    }
    ssize_t sent = sendmsg(link->fd, &message, MSG_NOSIGNAL);
    if (sent <= 0) {
      return false;
    }
    attach = -1;
    at += sent;
    size -= (size_t)sent;
  }
  return true;
}

bool raw_link_send(raw_link_t *link, wire_message_t *message, vesta_bytes_t payload, int attach) {
  if (message->number == 0) {
    message->number = ++link->number;
  }
  size_t capacity = wire_encoded_size_max(message);
  uint8_t *frame = malloc(WIRE_PREFIX_BYTES + capacity);
  size_t size = 0;
  if (frame == NULL || wire_encode(message, frame + WIRE_PREFIX_BYTES, capacity, &size) != VESTA_OK) {
    abort();
  }
  wire_prefix_encode(frame, (uint32_t)size, (uint32_t)payload.size);
  bool sent =
      raw_link_put(link, frame, WIRE_PREFIX_BYTES + size, attach) && raw_link_put(link, payload.data, payload.size, -1);
  free(frame);
  return sent;
}

/* Exactly so many bytes; a descriptor that comes along is kept. */
static bool raw_link_get(raw_link_t *link, uint8_t *to, size_t size) {
  int64_t until_ms = test_now_ms() + TEST_DEADLINE_MS;
  while (size > 0) {
    union {
      struct cmsghdr align;
      char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {.iov_base = to, .iov_len = size};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    struct pollfd readable = {.fd = link->fd, .events = POLLIN};
    int64_t left_ms = until_ms - test_now_ms();
    if (left_ms <= 0 || poll(&readable, 1, (int)left_ms) != 1) {
      return false;
    }
    ssize_t received = recvmsg(link->fd, &message, MSG_CMSG_CLOEXEC);
    if (received <= 0) {
      return false;
    }
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header != NULL && header->cmsg_type == SCM_RIGHTS) {
      memcpy(&link->attached, CMSG_DATA(header), sizeof link->attached);
    }
    to += received;
    size -= (size_t)received;
  }
  return true;
}

bool raw_link_receive(raw_link_t *link, wire_message_t *message, vesta_bytes_t *payload) {
  uint8_t prefix[WIRE_PREFIX_BYTES];
  uint32_t head_bytes = 0;
  uint32_t payload_bytes = 0;
  raw_link_drop(link);
  if (!raw_link_get(link, prefix, sizeof prefix) ||
      wire_prefix_decode(prefix, &head_bytes, &payload_bytes) != VESTA_OK) {
    return false;
  }
  link->frame = malloc((size_t)head_bytes + payload_bytes);
  if (link->frame == NULL || !raw_link_get(link, link->frame, (size_t)head_bytes + payload_bytes) ||
      wire_decode(link->decoder, link->frame, head_bytes, message) != VESTA_OK) {
    return false;
  }
  if (payload != NULL) {
    *payload = vesta_bytes(link->frame + head_bytes, payload_bytes);
  }
  return true;
}

bool raw_link_ended(raw_link_t *link) {
  int64_t until_ms = test_now_ms() + TEST_DEADLINE_MS;
  for (;;) {
    char bytes[4096];
    struct pollfd readable = {.fd = link->fd, .events = POLLIN};
    int64_t left_ms = until_ms - test_now_ms();
    if (left_ms <= 0 || poll(&readable, 1, (int)left_ms) != 1) {
      return false;
    }
    ssize_t size = recv(link->fd, bytes, sizeof bytes, 0);
    if (size == 0 || (size < 0 && (errno == ECONNRESET || errno == EPIPE))) {
      return true;
    }
  }
}

vesta_err_t raw_link_call(raw_link_t *link, wire_message_t *request, vesta_bytes_t payload, wire_message_t *reply,
                          vesta_bytes_t *data) {
  if (!raw_link_send(link, request, payload, -1) || !raw_link_receive(link, reply, data)) {
    return VESTA_ERR_UNAVAILABLE;
  }
  return reply->number == request->number && reply->kind == WIRE_REPLY ? (vesta_err_t)reply->error
                                                                       : VESTA_ERR_MALFORMED;
}

vesta_err_t raw_link_hello(raw_link_t *link, vesta_token_t *token) {
  wire_message_t hello = {.kind = WIRE_HELLO, .pid = (uint64_t)getpid(), .token_hi = token->hi, .token_lo = token->lo};
  wire_message_t reply;
  int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
  bool answered = raw_link_send(link, &hello, vesta_bytes(NULL, 0), pidfd) && raw_link_receive(link, &reply, NULL);
  (void)close(pidfd);
  if (!answered) {
    return VESTA_ERR_UNAVAILABLE;
  }
  if (reply.error == VESTA_OK) {
    *token = wire_token(&reply);
  }
  return (vesta_err_t)reply.error;
}

vesta_err_t raw_link_checkpoint(raw_link_t *link, const char *name, uint64_t *handle) {
  const vesta_attributes_t attributes = {.creation_flags = VESTA_CREATE_ALL_REPLICAS,
                                         .checkpoint_bytes = 1U << 20,
                                         .retention_ns = INT64_C(3600000000000),
                                         .sections_max = 2000,
                                         .section_bytes_max = RAW_SECTION_BYTES_MAX,
                                         .section_id_bytes_max = 32};
  wire_message_t open = {.kind = WIRE_OPEN,
                         .name = vesta_bytes(name, strlen(name)),
                         .flags = VESTA_OPEN_READ | VESTA_OPEN_WRITE | VESTA_OPEN_CREATE};
  wire_message_t reply;
  wire_attributes_set(&open, &attributes);
  vesta_err_t err = raw_link_call(link, &open, vesta_bytes(NULL, 0), &reply, NULL);
  if (err == VESTA_OK) {
    *handle = reply.handle;
  }
  return err;
}

static vesta_err_t raw_link_change(raw_link_t *link, uint64_t handle, vesta_kind_t kind, const char *id,
                                   vesta_bytes_t data) {
  wire_element_t element = {
      .kind = kind, .id = vesta_bytes(id, strlen(id)), .size = data.size, .expiry_ns = VESTA_TIME_END};
  wire_message_t change = {.kind = WIRE_CHANGE, .handle = handle, .elements = &element, .element_count = 1};
  wire_message_t reply;
  return raw_link_call(link, &change, data, &reply, NULL);
}

vesta_err_t raw_link_create(raw_link_t *link, uint64_t handle, const char *id, vesta_bytes_t data) {
  return raw_link_change(link, handle, VESTA_KIND_CREATED, id, data);
}

vesta_err_t raw_link_overwrite(raw_link_t *link, uint64_t handle, const char *id, vesta_bytes_t data) {
  return raw_link_change(link, handle, VESTA_KIND_OVERWRITTEN, id, data);
}

vesta_err_t raw_link_read(raw_link_t *link, uint64_t handle, const char *id, vesta_bytes_t *data) {
  wire_message_t read = {
      .kind = WIRE_READ, .handle = handle, .id = vesta_bytes(id, strlen(id)), .size = RAW_SECTION_BYTES_MAX};
  wire_message_t reply;
  return raw_link_call(link, &read, vesta_bytes(NULL, 0), &reply, data);
}

bool raw_link_info(raw_link_t *link, char text[RAW_INFO_BYTES]) {
  wire_message_t info = {.kind = WIRE_INFO};
  wire_message_t reply;
  if (raw_link_call(link, &info, vesta_bytes(NULL, 0), &reply, NULL) != VESTA_OK || reply.text.size >= RAW_INFO_BYTES) {
    return false;
  }
  memcpy(text, reply.text.data, reply.text.size);
  text[reply.text.size] = '\0';
  return true;
}

int64_t raw_link_counter(raw_link_t *link, const char *key) {
  char text[RAW_INFO_BYTES];
  size_t size = strlen(key);
  if (!raw_link_info(link, text)) {
    return -1;
  }
  for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
    line += *line == '\n';
    if (strncmp(line, key, size) == 0 && line[size] == '=') {
      return strtoll(line + size + 1, NULL, 10);
    }
  }
  return -1;
}

int64_t raw_counter(const char *socket, const char *key) {
  raw_link_t link;
  int64_t value = -1;
  if (raw_link_open(&link, socket)) {
    value = raw_link_counter(&link, key);
    raw_link_close(&link);
  }
  return value;
}

/* Each look is a question that the daemon answers, so there is no need for a pause between two. */
static bool counter_wait(const char *socket, const char *key, int64_t least, int64_t most) {
  int64_t until_ms = test_now_ms() + TEST_DEADLINE_MS;
  int64_t now;
  do {
    now = raw_counter(socket, key);
  } while ((now < least || now > most) && test_now_ms() <= until_ms);
  return now >= least && now <= most;
}

bool raw_counter_reaches(const char *socket, const char *key, int64_t value) {
  return counter_wait(socket, key, value, INT64_MAX);
}

bool raw_counter_falls_to(const char *socket, const char *key, int64_t value) {
  return counter_wait(socket, key, 0, value);
}
