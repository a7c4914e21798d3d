/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Framing on the agent's sockets. See agent_frame.h.
 */
#include "saf_api/agent_frame.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

vesta_err_t agent_receiver_init(agent_receiver_t *receiver) {
  *receiver = (agent_receiver_t){.buffer = malloc(AGENT_RECEIVE_BYTES)};
  return receiver->buffer == NULL ? VESTA_ERR_NO_MEMORY : VESTA_OK;
}

void agent_receiver_reset(agent_receiver_t *receiver) {
  for (uint32_t i = 0; i < receiver->fd_count; i++) {
    (void)close(receiver->fds[i]);
  }
  free(receiver->large);
  *receiver = (agent_receiver_t){.buffer = receiver->buffer};
}

void agent_receiver_fini(agent_receiver_t *receiver) {
  agent_receiver_reset(receiver);
  free(receiver->buffer);
  receiver->buffer = NULL;
}

/* Keep the descriptors of a message; what nobody can have asked for is closed. */
static void fds_keep(agent_receiver_t *receiver, struct msghdr *message) {
  for (struct cmsghdr *control = CMSG_FIRSTHDR(message); control != NULL; control = CMSG_NXTHDR(message, control)) {
    if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS) {
      continue;
    }
    size_t count = (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; i++) {
      int fd;
      memcpy(&fd, CMSG_DATA(control) + i * sizeof fd, sizeof fd);
      if (receiver->fd_count < AGENT_RECEIVE_FDS_MAX) {
        receiver->fds[receiver->fd_count++] = fd;
      } else {
        (void)close(fd);
      }
    }
  }
}

vesta_err_t agent_receiver_fill(agent_receiver_t *receiver, int fd, int flags) {
  if (receiver->start == receiver->end) {
    receiver->start = receiver->end = 0;
  } else if (receiver->end == AGENT_RECEIVE_BYTES) {
    memmove(receiver->buffer, receiver->buffer + receiver->start, receiver->end - receiver->start);
    receiver->end -= receiver->start;
    receiver->start = 0;
  }
  bool large = receiver->large != NULL && receiver->large_end < receiver->large_size;
  struct iovec space = {.iov_base = receiver->buffer + receiver->end, .iov_len = AGENT_RECEIVE_BYTES - receiver->end};
  if (large) {
    space.iov_base = receiver->large + receiver->large_end;
    space.iov_len = receiver->large_size - receiver->large_end;
  }
  union {
    struct cmsghdr align;
    uint8_t bytes[CMSG_SPACE(4 * sizeof(int))];
  } control;
  struct msghdr message = {
      .msg_iov = &space, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
  ssize_t got = recvmsg(fd, &message, flags | MSG_CMSG_CLOEXEC);
  if (got < 0) {
    return errno == EAGAIN || errno == EINTR ? VESTA_ERR_TRY_AGAIN : VESTA_ERR_UNAVAILABLE;
  }
  if (message.msg_controllen != 0) {
    fds_keep(receiver, &message);
  }
  if (got == 0) {
    return VESTA_ERR_UNAVAILABLE;
  }
  if (large) {
    receiver->large_end += (size_t)got;
  } else {
    receiver->end += (size_t)got;
  }
  return VESTA_OK;
}

static void frame_split(agent_frame_t *frame, const uint8_t *bytes, uint32_t head_bytes, uint32_t payload_bytes) {
  frame->head = vesta_bytes(bytes + WIRE_PREFIX_BYTES, head_bytes);
  frame->payload = vesta_bytes(bytes + WIRE_PREFIX_BYTES + head_bytes, payload_bytes);
}

vesta_err_t agent_receiver_next(agent_receiver_t *receiver, agent_frame_t *frame) {
  uint32_t head_bytes;
  uint32_t payload_bytes;
  if (receiver->large != NULL) {
    if (receiver->large_size == 0) { /* it was handed out last time */
      free(receiver->large);
      receiver->large = NULL;
    } else if (receiver->large_end < receiver->large_size) {
      return VESTA_ERR_TRY_AGAIN;
    } else {
      (void)wire_prefix_decode(receiver->large, &head_bytes, &payload_bytes); /* was looked at before */
      frame_split(frame, receiver->large, head_bytes, payload_bytes);
      receiver->large_size = receiver->large_end = 0;
      return VESTA_OK;
    }
  }
  size_t here = receiver->end - receiver->start;
  const uint8_t *bytes = receiver->buffer + receiver->start;
  if (here < WIRE_PREFIX_BYTES) {
    return VESTA_ERR_TRY_AGAIN;
  }
  vesta_err_t err = wire_prefix_decode(bytes, &head_bytes, &payload_bytes);
  if (err != VESTA_OK) {
    return err;
  }
  size_t size = (size_t)WIRE_PREFIX_BYTES + head_bytes + payload_bytes;
  if (size <= here) {
    frame_split(frame, bytes, head_bytes, payload_bytes);
    receiver->start += size;
    return VESTA_OK;
  }
  if (size > AGENT_RECEIVE_BYTES) {
    receiver->large = malloc(size);
    if (receiver->large == NULL) {
      return VESTA_ERR_NO_MEMORY;
    }
    memcpy(receiver->large, bytes, here);
    receiver->large_size = size;
    receiver->large_end = here;
    receiver->start = receiver->end = 0;
  }
  return VESTA_ERR_TRY_AGAIN;
}

int agent_receiver_fd(agent_receiver_t *receiver) {
  if (receiver->fd_count == 0) {
    return -1;
  }
  int fd = receiver->fds[0];
  receiver->fd_count--;
  memmove(receiver->fds, receiver->fds + 1, receiver->fd_count * sizeof receiver->fds[0]);
  return fd;
}

void agent_receiver_drop_fds(agent_receiver_t *receiver) {
  if (receiver->start == receiver->end && receiver->large_size == 0) {
    for (uint32_t i = 0; i < receiver->fd_count; i++) {
      (void)close(receiver->fds[i]);
    }
    receiver->fd_count = 0;
  }
}

vesta_err_t agent_frame_send(int fd, const struct iovec *parts, size_t part_count, int flags, size_t *sent) {
  size_t before = 0; /* bytes of the parts before parts[i] */
  for (size_t i = 0; i < part_count;) {
    size_t skip = *sent - before;
    if (skip >= parts[i].iov_len) {
      before += parts[i++].iov_len;
      continue;
    }
    /* The rest of a part that went only half goes alone, so the caller's vector need not be changed. */
    struct iovec rest = {.iov_base = (uint8_t *)parts[i].iov_base + skip, .iov_len = parts[i].iov_len - skip};
    union {
      const struct iovec *readable;
      struct iovec *as_the_kernel_wants_it;
    } whole = {.readable = parts + i};
    struct msghdr message = {.msg_iov = skip != 0 ? &rest : whole.as_the_kernel_wants_it,
                             .msg_iovlen = skip != 0 ? 1 : part_count - i};
    ssize_t went = sendmsg(fd, &message, flags | MSG_NOSIGNAL);
    if (went < 0) {
      return errno == EAGAIN || errno == EINTR ? VESTA_ERR_TRY_AGAIN : VESTA_ERR_UNAVAILABLE;
    }
    *sent += (size_t)went;
  }
  return VESTA_OK;
}

vesta_err_t agent_frame_encode(const wire_message_t *message, size_t payload_bytes, uint8_t *buffer, size_t capacity,
                               uint8_t **frame, size_t *frame_bytes) {
  if (payload_bytes > VESTA_OPERATION_BYTES_MAX) {
    return VESTA_ERR_TOO_LARGE;
  }
  uint8_t *to = buffer;
  size_t size_max = WIRE_PREFIX_BYTES + wire_encoded_size_max(message);
  if (size_max > capacity) {
    to = malloc(size_max);
    if (to == NULL) {
      return VESTA_ERR_NO_MEMORY;
    }
    capacity = size_max;
  }
  size_t head_bytes;
  vesta_err_t err = wire_encode(message, to + WIRE_PREFIX_BYTES, capacity - WIRE_PREFIX_BYTES, &head_bytes);
  if (err != VESTA_OK) {
    if (to != buffer) {
      free(to);
    }
    return err;
  }
  wire_prefix_encode(to, (uint32_t)head_bytes, (uint32_t)payload_bytes);
  *frame = to;
  *frame_bytes = WIRE_PREFIX_BYTES + head_bytes;
  return VESTA_OK;
}
