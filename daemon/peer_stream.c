/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Over the same frame_reader and frame_writer as an agent's link. See peer_stream.h.
 */
#include "daemon/peer_stream.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <sodium.h>

#define STREAM_RECEIVE_BYTES (256U << 10) /* what is received at once */
#define STREAM_GATHER_BYTES (64U << 10)   /* what is sent at once, of small messages */
#define STREAM_PROBE_S 1                  /* an idle connection is tried this often */

bool peer_stream_room_init(peer_stream_room_t *room, loop_t *loop) {
  *room = (peer_stream_room_t){.loop = loop,
                               .received = {.max_bytes = UINT64_MAX},
                               .waiting = {.max_bytes = UINT64_MAX},
                               .shared = malloc(STREAM_RECEIVE_BYTES),
                               .head = malloc(WIRE_PREFIX_BYTES + VESTA_FRAME_HEAD_BYTES_MAX)};
  return room->shared != NULL && room->head != NULL && sodium_init() >= 0;
}

void peer_stream_room_fini(peer_stream_room_t *room) {
  free(room->shared);
  free(room->head);
}

void peer_stream_init(peer_stream_t *stream, peer_stream_room_t *room, const peer_stream_sink_t *sink, void *context) {
  *stream = (peer_stream_t){.room = room, .sink = sink, .context = context, .fd = -1};
  frame_reader_init(&stream->reader, &room->received);
  frame_writer_init(&stream->writer, &room->waiting, UINT64_MAX);
}

/* ---- seals ---- */

#define STREAM_SEAL_BYTES crypto_aead_chacha20poly1305_ietf_ABYTES
static_assert(PEER_STREAM_KEY_BYTES == crypto_aead_chacha20poly1305_ietf_KEYBYTES, "a key is a key");

void peer_stream_seal(peer_stream_t *stream, const uint8_t send_key[PEER_STREAM_KEY_BYTES],
                      const uint8_t receive_key[PEER_STREAM_KEY_BYTES]) {
  stream->sealed = true;
  stream->reader.trailer_bytes = STREAM_SEAL_BYTES;
  memcpy(stream->sends.key, send_key, sizeof stream->sends.key);
  memcpy(stream->receives.key, receive_key, sizeof stream->receives.key);
}

static void seal_nonce(peer_stream_seal_t *seal, uint8_t nonce[crypto_aead_chacha20poly1305_ietf_NPUBBYTES]) {
  uint64_t number = seal->frames++;
  memset(nonce, 0, crypto_aead_chacha20poly1305_ietf_NPUBBYTES);
  for (size_t i = 0; i < sizeof number; i++) {
    nonce[4 + i] = (uint8_t)(number >> 8 * i);
  }
}

/* A whole frame of `size` bytes, in place. @return its size with what is behind it now */
static size_t stream_seal_frame(peer_stream_t *stream, uint8_t *frame, size_t size) {
  uint8_t nonce[crypto_aead_chacha20poly1305_ietf_NPUBBYTES];
  uint8_t *inside = frame + WIRE_PREFIX_BYTES;
  seal_nonce(&stream->sends, nonce);
  (void)crypto_aead_chacha20poly1305_ietf_encrypt_detached(inside, frame + size, NULL, inside, size - WIRE_PREFIX_BYTES,
                                                           frame, WIRE_PREFIX_BYTES, NULL, nonce, stream->sends.key);
  return size + STREAM_SEAL_BYTES;
}

/* What came, in place. @return false: it is not what was sent */
static bool stream_seal_open(peer_stream_t *stream, vesta_bytes_t head, vesta_bytes_t payload) {
  uint8_t nonce[crypto_aead_chacha20poly1305_ietf_NPUBBYTES];
  uint8_t *inside = (uint8_t *)(uintptr_t)head.data; /* in memory of the room, or of the reader */
  size_t size = head.size + payload.size;
  seal_nonce(&stream->receives, nonce);
  return crypto_aead_chacha20poly1305_ietf_decrypt_detached(inside, NULL, inside, size, inside + size,
                                                            inside - WIRE_PREFIX_BYTES, WIRE_PREFIX_BYTES, nonce,
                                                            stream->receives.key) == 0;
}

/* ---- sending ---- */

/* Watch for what matters now: room to send while something waits. */
static void stream_watch(peer_stream_t *stream) {
  bool waits = stream->connecting || !frame_writer_is_empty(&stream->writer);
  loop_change(stream->room->loop, &stream->source, (uint32_t)EPOLLIN | (waits ? (uint32_t)EPOLLOUT : 0U));
}

static bool stream_put(peer_stream_t *stream, vesta_bytes_t head, vesta_bytes_t payload) {
  if (frame_writer_send(&stream->writer, stream->fd, head, payload, -1) != VESTA_OK) {
    return false;
  }
  stream_watch(stream);
  return true;
}

bool peer_stream_greet(peer_stream_t *stream, vesta_bytes_t bytes) {
  return stream_put(stream, bytes, vesta_bytes(NULL, 0));
}

bool peer_stream_flush(peer_stream_t *stream) {
  size_t bytes = stream->gathered_bytes;
  stream->gathered_bytes = 0;
  return bytes == 0 || stream_put(stream, vesta_bytes(stream->gathered, bytes), vesta_bytes(NULL, 0));
}

/* Prefix and head. @return their size */
static size_t stream_encode(const wire_message_t *message, size_t payload_bytes, uint8_t *to, size_t capacity) {
  size_t head_bytes = 0;
  VESTA_ASSERT(wire_encode(message, to + WIRE_PREFIX_BYTES, capacity - WIRE_PREFIX_BYTES, &head_bytes) == VESTA_OK);
  wire_prefix_encode(to, (uint32_t)head_bytes, (uint32_t)payload_bytes);
  return WIRE_PREFIX_BYTES + head_bytes;
}

/* A large frame does not wait. In the clear it goes from where it lies, sealed it is made in memory of its own. */
static bool stream_send_large(peer_stream_t *stream, const wire_message_t *message, vesta_bytes_t payload,
                              size_t *bytes) {
  uint8_t *head = stream->room->head;
  size_t size = stream_encode(message, payload.size, head, WIRE_PREFIX_BYTES + VESTA_FRAME_HEAD_BYTES_MAX);
  *bytes = size + payload.size;
  if (!stream->sealed) {
    return stream_put(stream, vesta_bytes(head, size), payload);
  }
  uint8_t *frame = malloc(*bytes + STREAM_SEAL_BYTES);
  if (frame == NULL) {
    return false;
  }
  memcpy(frame, head, size);
  memcpy(frame + size, payload.data, payload.size);
  *bytes = stream_seal_frame(stream, frame, *bytes);
  bool good = stream_put(stream, vesta_bytes(frame, *bytes), vesta_bytes(NULL, 0));
  free(frame);
  return good;
}

bool peer_stream_send(peer_stream_t *stream, const wire_message_t *message, vesta_bytes_t payload, size_t *bytes) {
  size_t size_max = WIRE_PREFIX_BYTES + wire_encoded_size_max(message) + payload.size + STREAM_SEAL_BYTES;
  if (size_max > STREAM_GATHER_BYTES - stream->gathered_bytes && !peer_stream_flush(stream)) {
    return false;
  }
  if (size_max > STREAM_GATHER_BYTES) {
    return stream_send_large(stream, message, payload, bytes);
  }
  uint8_t *to = stream->gathered + stream->gathered_bytes;
  size_t size = stream_encode(message, payload.size, to, STREAM_GATHER_BYTES - stream->gathered_bytes);
  if (payload.size > 0) {
    memcpy(to + size, payload.data, payload.size);
  }
  *bytes = stream->sealed ? stream_seal_frame(stream, to, size + payload.size) : size + payload.size;
  stream->gathered_bytes += *bytes;
  return true;
}

uint64_t peer_stream_waiting_bytes(const peer_stream_t *stream) {
  return stream->writer.queued_bytes + stream->gathered_bytes;
}

/* ---- receiving ---- */

static bool stream_frame(void *context, vesta_bytes_t head, vesta_bytes_t payload, vesta_err_t dropped) {
  peer_stream_t *stream = context;
  if (dropped != VESTA_OK) {
    stream->sink->ended(stream->context, "out of memory");
    return false;
  }
  if (stream->sealed && !stream_seal_open(stream, head, payload)) {
    stream->sink->ended(stream->context, "what it sent was changed on its way");
    return false;
  }
  stream->sink->frame(stream->context, head, payload);
  return stream->fd >= 0;
}

/* Into the room of a frame that has begun, then into the shared buffer. */
static ssize_t stream_take(const peer_stream_t *stream, uint8_t *direct, size_t direct_size) {
  if (direct_size == 0) {
    return recv(stream->fd, stream->room->shared, STREAM_RECEIVE_BYTES, MSG_DONTWAIT);
  }
  struct iovec parts[2] = {{.iov_base = direct, .iov_len = direct_size},
                           {.iov_base = stream->room->shared, .iov_len = STREAM_RECEIVE_BYTES}};
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
  return recvmsg(stream->fd, &message, MSG_DONTWAIT);
}

static void stream_reader_end(peer_stream_t *stream) {
  frame_reader_fini(&stream->reader);
  stream->reader.trailer_bytes = 0;
}

static void stream_receive(peer_stream_t *stream) {
  uint8_t *direct;
  size_t direct_size;
  frame_reader_room(&stream->reader, &direct, &direct_size);
  ssize_t size = stream_take(stream, direct, direct_size);
  if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
    return;
  }
  if (size <= 0) {
    stream->sink->ended(stream->context, size == 0 ? "the other side ended it" : strerror(errno));
    return;
  }
  size_t used = (size_t)size < direct_size ? (size_t)size : direct_size;
  frame_sink_t sink = {.context = stream, .frame = stream_frame};
  stream->receiving = true;
  vesta_err_t err = frame_reader_take(&stream->reader, used, stream->room->shared, (size_t)size - used, &sink);
  stream->receiving = false;
  if (stream->fd < 0) {
    stream_reader_end(stream); /* it was closed meanwhile */
  } else if (err != VESTA_OK) {
    stream->sink->ended(stream->context, err == VESTA_ERR_NO_MEMORY ? "out of memory" : "it sent what is no message");
  }
}

static void stream_connected(peer_stream_t *stream) {
  int error = 0;
  socklen_t size = sizeof error;
  (void)getsockopt(stream->fd, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) {
    stream->sink->ended(stream->context, strerror(error));
    return;
  }
  stream->connecting = false;
  stream_watch(stream);
  stream->sink->opened(stream->context);
}

static void stream_ready(void *context, uint32_t events) {
  peer_stream_t *stream = context;
  if (stream->connecting) {
    stream_connected(stream);
    return;
  }
  if ((events & EPOLLOUT) != 0) {
    if (frame_writer_flush(&stream->writer, stream->fd) != VESTA_OK) {
      stream->sink->ended(stream->context, "it can't be sent to");
      return;
    }
    stream_watch(stream);
  }
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
    stream_receive(stream);
  }
}

/* ---- life ---- */

static void stream_options(int fd) {
  const int yes = 1;
  const int probe_s = STREAM_PROBE_S;
  const int probes = PEER_STREAM_DEAD_MS / 1000 / STREAM_PROBE_S;
  const unsigned dead_ms = PEER_STREAM_DEAD_MS;
  (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof yes);
  (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &probe_s, sizeof probe_s);
  (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &probe_s, sizeof probe_s);
  (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
  (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &dead_ms, sizeof dead_ms);
}

static bool stream_begin(peer_stream_t *stream, int fd, bool connecting) {
  VESTA_ASSERT(stream->fd < 0 && !stream->receiving);
  stream->gathered = malloc(STREAM_GATHER_BYTES);
  if (stream->gathered == NULL ||
      !loop_add(stream->room->loop, &stream->source, fd, (uint32_t)EPOLLIN | (connecting ? (uint32_t)EPOLLOUT : 0U),
                stream_ready, stream)) {
    free(stream->gathered);
    stream->gathered = NULL;
    return false;
  }
  stream_options(fd);
  stream->fd = fd;
  stream->connecting = connecting;
  return true;
}

bool peer_stream_adopt(peer_stream_t *stream, int fd) { return stream_begin(stream, fd, false); }

bool peer_stream_connect(peer_stream_t *stream, const char *address, uint16_t port) {
  const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
  struct addrinfo *found;
  char service[8];
  bool begun = false;
  (void)snprintf(service, sizeof service, "%u", port);
  if (getaddrinfo(address, service, &hints, &found) != 0) {
    return false;
  }
  int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd >= 0) {
    begun =
        (connect(fd, found->ai_addr, found->ai_addrlen) == 0 || errno == EINPROGRESS) && stream_begin(stream, fd, true);
    if (!begun) {
      (void)close(fd);
    }
  }
  freeaddrinfo(found);
  return begun;
}

void peer_stream_close(peer_stream_t *stream) {
  if (stream->fd < 0) {
    return;
  }
  loop_remove(stream->room->loop, &stream->source);
  (void)close(stream->fd);
  stream->fd = -1;
  if (!stream->receiving) {
    stream_reader_end(stream);
  }
  stream->sealed = false;
  explicit_bzero(&stream->sends, sizeof stream->sends);
  explicit_bzero(&stream->receives, sizeof stream->receives);
  frame_writer_fini(&stream->writer);
  free(stream->gathered);
  stream->gathered = NULL;
  stream->gathered_bytes = 0;
}
