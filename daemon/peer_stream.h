/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The TCP connection that carries what two nodes say to each other, once they have been introduced (peers.h).
 *
 * It is in vestad's own loop: what a write has to say to another node goes from here to the kernel and from the kernel to
 * there, and no thread stands between (doc/adr/0017). Frames are those of an agent's link. What is said in one turn of
 * the loop is gathered and goes out with one system call; what the socket does not take is copied and waits, bounded by
 * whoever sends. What comes is delivered in place when it lies there whole.
 *
 *   CLOSED -- connect --> CONNECTING -- established --> OPEN -- failed, the other side ended it --> told so: close it
 *   CLOSED -- adopt ----------------------------------> OPEN
 *
 * Sealed, each frame is encrypted and authenticated (ChaCha20-Poly1305 of RFC 8439, by libsodium): head and payload, in
 * place; the prefix is clear and authenticated, 16 bytes follow the payload. Each direction has a key of its own, that is
 * used for one connection, and the nonce is the frame's number in it: so a frame can't be changed, left out, repeated or
 * put elsewhere without that the stream ends.
 *
 * A connection over which nothing comes back is given up by the kernel after PEER_STREAM_DEAD_MS.
 */
#ifndef VESTA_DAEMON_PEER_STREAM_H
#define VESTA_DAEMON_PEER_STREAM_H

#include "core/wire.h"
#include "daemon/frame_reader.h"
#include "daemon/frame_writer.h"
#include "daemon/loop.h"

#define PEER_STREAM_DEAD_MS 4000
#define PEER_STREAM_KEY_BYTES 32U

/* What all streams of a vestad have in common. */
typedef struct peer_stream_room {
  loop_t *loop;
  frame_memory_t received; /* frames that are not whole: one of each stream at most */
  frame_memory_t waiting;  /* what waits to be sent: each stream's bound is its own */
  uint8_t *shared;         /* received into */
  uint8_t *head;           /* prefix and head of what is sent and is large */
} peer_stream_room_t;

/** @return false: no memory */
bool peer_stream_room_init(peer_stream_room_t *room, loop_t *loop);
void peer_stream_room_fini(peer_stream_room_t *room);

/* One direction of a sealed stream. */
typedef struct peer_stream_seal {
  uint8_t key[PEER_STREAM_KEY_BYTES];
  uint64_t frames; /* so far: the next one's nonce */
} peer_stream_seal_t;

/* From within the loop. After ended() nothing comes any more; the stream is still to be closed, then or later. */
typedef struct peer_stream_sink {
  void (*opened)(void *context); /* a connection that this side made is established */
  void (*frame)(void *context, vesta_bytes_t head, vesta_bytes_t payload);
  void (*ended)(void *context, const char *why);
} peer_stream_sink_t;

typedef struct peer_stream {
  peer_stream_room_t *room;
  const peer_stream_sink_t *sink;
  void *context;
  int fd; /* -1: closed */
  loop_source_t source;
  bool connecting;
  bool receiving; /* what came is being delivered: what it lies in must stay */
  frame_reader_t reader;
  frame_writer_t writer;
  bool sealed;
  peer_stream_seal_t sends, receives;
  uint8_t *gathered; /* whole frames; NULL: closed */
  size_t gathered_bytes;
} peer_stream_t;

/** Closed, to begin with. `sink` lives as long. */
void peer_stream_init(peer_stream_t *stream, peer_stream_room_t *room, const peer_stream_sink_t *sink, void *context);
/** Begin to connect. @param address  numeric  @return false: it can't even begin */
bool peer_stream_connect(peer_stream_t *stream, const char *address, uint16_t port);
/** Take a connection that stands. @return false: no memory; the descriptor is the caller's still */
bool peer_stream_adopt(peer_stream_t *stream, int fd);
/** What waits is dropped. From within the sink's calls too. */
void peer_stream_close(peer_stream_t *stream);

/** Bytes that go before the first frame, on a connection that was just opened. @return false: it is broken */
bool peer_stream_greet(peer_stream_t *stream, vesta_bytes_t bytes);
/** All frames from here on are sealed. The keys are copied, and forgotten when it is closed. */
void peer_stream_seal(peer_stream_t *stream, const uint8_t send_key[PEER_STREAM_KEY_BYTES],
                      const uint8_t receive_key[PEER_STREAM_KEY_BYTES]);
/** Say something: copied, or handed to the kernel. @param[out] bytes  of the frame  @return false: it is broken, or no
 *  memory: close it */
bool peer_stream_send(peer_stream_t *stream, const wire_message_t *message, vesta_bytes_t payload, size_t *bytes);
/** What was gathered goes out. @return false: it is broken: close it */
bool peer_stream_flush(peer_stream_t *stream);
/** Said, and not taken by the kernel. */
uint64_t peer_stream_waiting_bytes(const peer_stream_t *stream);

#endif
