/* SPDX-License-Identifier: BSD-2-Clause
 *
 * sendmsg, and a queue of copies behind it.
 */
#include "daemon/frame_writer.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

struct frame_chunk {
  frame_chunk_t *next;
  size_t size;
  size_t sent;
  int attach; /* goes with the first byte */
  uint8_t bytes[];
};

void frame_writer_init(frame_writer_t *writer, frame_memory_t *memory, uint64_t queue_bytes_max) {
  *writer = (frame_writer_t){.memory = memory, .queue_bytes_max = queue_bytes_max};
}

static void frame_writer_shift(frame_writer_t *writer) {
  frame_chunk_t *chunk = writer->first;
  writer->first = chunk->next;
  if (writer->first == NULL) {
    writer->last = NULL;
  }
  writer->queued_bytes -= chunk->size;
  frame_memory_give(writer->memory, chunk->size);
  if (chunk->attach >= 0) {
    (void)close(chunk->attach);
  }
  free(chunk);
}

void frame_writer_fini(frame_writer_t *writer) {
  while (writer->first != NULL) {
    frame_writer_shift(writer);
  }
}

/* @param[out] sent   bytes taken, 0 when the socket is full */
static vesta_err_t frame_writer_put(int socket, struct iovec *parts, size_t count, int attach, size_t *sent) {
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int))];
  } control = {0};
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
  if (attach >= 0) {
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &attach, sizeof attach);
  }
  for (;;) {
    ssize_t size = sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (size >= 0) {
      *sent = (size_t)size;
      return VESTA_OK;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
      *sent = 0;
      return VESTA_OK;
    }
    if (errno != EINTR) {
      return VESTA_ERR_UNAVAILABLE;
    }
  }
}

/* Keep what is left of a frame after `sent` bytes. */
static vesta_err_t frame_writer_queue(frame_writer_t *writer, vesta_bytes_t head, vesta_bytes_t payload, size_t sent,
                                      int attach) {
  size_t size = head.size + payload.size - sent;
  if (writer->queued_bytes > writer->queue_bytes_max || !frame_memory_take(writer->memory, size)) {
    return VESTA_ERR_NO_RESOURCES;
  }
  frame_chunk_t *chunk = malloc(sizeof *chunk + size);
  if (chunk == NULL) {
    frame_memory_give(writer->memory, size);
    return VESTA_ERR_NO_MEMORY;
  }
  *chunk = (frame_chunk_t){.size = size, .attach = attach};
  size_t head_left = sent < head.size ? head.size - sent : 0;
  size_t payload_left = size - head_left;
  memcpy(chunk->bytes, head.data + head.size - head_left, head_left);
  if (payload_left > 0) {
    memcpy(chunk->bytes + head_left, payload.data + payload.size - payload_left, payload_left);
  }
  if (writer->last == NULL) {
    writer->first = chunk;
  } else {
    writer->last->next = chunk;
  }
  writer->last = chunk;
  writer->queued_bytes += size;
  return VESTA_OK;
}

vesta_err_t frame_writer_send(frame_writer_t *writer, int socket, vesta_bytes_t head, vesta_bytes_t payload,
                              int attach) {
  size_t sent = 0;
  vesta_err_t err = VESTA_OK;
  if (writer->first == NULL) {
    struct iovec parts[2] = {{.iov_base = (void *)(uintptr_t)head.data, .iov_len = head.size},
                             {.iov_base = (void *)(uintptr_t)payload.data, .iov_len = payload.size}};
    err = frame_writer_put(socket, parts, payload.size > 0 ? 2 : 1, attach, &sent);
  }
  if (sent > 0 && attach >= 0) {
    (void)close(attach); /* it is under way */
    attach = -1;
  }
  if (err == VESTA_OK && sent < head.size + payload.size) {
    err = frame_writer_queue(writer, head, payload, sent, attach);
    attach = err == VESTA_OK ? -1 : attach;
  }
  if (attach >= 0) {
    (void)close(attach);
  }
  return err;
}

vesta_err_t frame_writer_flush(frame_writer_t *writer, int socket) {
  while (writer->first != NULL) {
    frame_chunk_t *chunk = writer->first;
    struct iovec part = {.iov_base = chunk->bytes + chunk->sent, .iov_len = chunk->size - chunk->sent};
    size_t sent = 0;
    vesta_err_t err = frame_writer_put(socket, &part, 1, chunk->attach, &sent);
    if (err != VESTA_OK || sent == 0) {
      return err;
    }
    if (chunk->attach >= 0) {
      (void)close(chunk->attach);
      chunk->attach = -1;
    }
    chunk->sent += sent;
    if (chunk->sent == chunk->size) {
      frame_writer_shift(writer);
    }
  }
  return VESTA_OK;
}
