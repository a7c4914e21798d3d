/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Frames of core/wire.h on a connected AF_UNIX stream socket: sending them from where they lie, and finding them again
 * in what arrives, descriptors included.
 *
 * A receiver reads ahead into one buffer, so that a small answer costs a single recvmsg(2); a frame larger than the
 * buffer gets memory of its own. Descriptors are kept in the order of their arrival; each belongs to the earliest frame
 * that says to have one, because the kernel hands one over no later than the first byte it was sent with.
 *
 * One thread at a time per receiver. No function here waits unless the socket does.
 */
#ifndef VESTA_SAF_API_AGENT_FRAME_H
#define VESTA_SAF_API_AGENT_FRAME_H

#include <sys/uio.h>

#include "core/wire.h"

#define AGENT_RECEIVE_BYTES 65536U
#define AGENT_RECEIVE_FDS_MAX 16U

typedef struct agent_frame {
  vesta_bytes_t head;
  vesta_bytes_t payload;
} agent_frame_t;

typedef struct agent_receiver {
  uint8_t *buffer; /* [start, end) has arrived and was not looked at yet */
  size_t start, end;
  uint8_t *large; /* the frame that did not fit: large_end of its large_size bytes are here */
  size_t large_size, large_end;
  int fds[AGENT_RECEIVE_FDS_MAX];
  uint32_t fd_count;
} agent_receiver_t;

/** @return OK; NO_MEMORY */
vesta_err_t agent_receiver_init(agent_receiver_t *receiver);
/** Forget what arrived: the socket is another one now. */
void agent_receiver_reset(agent_receiver_t *receiver);
void agent_receiver_fini(agent_receiver_t *receiver);

/**
 * Read once from the socket.
 * @return OK when something came; TRY_AGAIN when nothing did; UNAVAILABLE when the connection is over
 */
vesta_err_t agent_receiver_fill(agent_receiver_t *receiver, int fd, int flags);

/**
 * The next whole frame; its bytes live until the next call on the receiver.
 * @return OK; TRY_AGAIN when none is whole yet; MALFORMED, TOO_LARGE when what came is no frame; NO_MEMORY
 */
vesta_err_t agent_receiver_next(agent_receiver_t *receiver, agent_frame_t *frame);

/** The oldest descriptor that came, now the caller's; -1: none. */
int agent_receiver_fd(agent_receiver_t *receiver);
/** Close those that nobody took, once all that came was looked at: they belong to no frame that is still to come. */
void agent_receiver_drop_fds(agent_receiver_t *receiver);

/**
 * Send what is left of a frame after its first *sent bytes.
 * @return OK when all is sent; TRY_AGAIN when the socket takes no more now (*sent says how far it got); UNAVAILABLE
 *         when the connection is over
 */
vesta_err_t agent_frame_send(int fd, const struct iovec *parts, size_t part_count, int flags, size_t *sent);

/**
 * Write prefix and head of a message into `buffer`, or into new memory when it is too small.
 * @param payload_bytes   what will follow
 * @param[out] frame      the bytes; free(frame) when it is not `buffer`
 * @return OK; NO_MEMORY; TOO_LARGE; MALFORMED
 */
vesta_err_t agent_frame_encode(const wire_message_t *message, size_t payload_bytes, uint8_t *buffer, size_t capacity,
                               uint8_t **frame, size_t *frame_bytes);

#endif
