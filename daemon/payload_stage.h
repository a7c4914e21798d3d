/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Memory that a link shares with the daemon, through which large payloads come: the agent copies into it, the daemon
 * out of it, and nothing of it passes through the socket, which would copy everything twice.
 *
 * The daemon makes it, of a fixed size that nobody can change (sealed), so that reading it can't fail; what is in it
 * belongs to the agent, who may change it at any time. Whatever is read of it is therefore read once, into memory that
 * is the daemon's alone, and nothing is decided on what it contains. No descriptor of it is kept.
 */
#ifndef VESTA_DAEMON_PAYLOAD_STAGE_H
#define VESTA_DAEMON_PAYLOAD_STAGE_H

#include "core/wire.h"
#include "daemon/frame_memory.h"

/**
 * @param pool         what all of them together take
 * @param files_max    a descriptor from this on is one too many
 * @param[out] memory  VESTA_STAGE_BYTES, to be read only; payload_stage_destroy()
 * @param[out] fd      for the agent; the caller's
 * @return OK; NO_RESOURCES when there are enough of them, descriptors or address space are short, or the kernel has none
 */
vesta_err_t payload_stage_new(frame_memory_t *pool, int files_max, const uint8_t **memory, int *fd);

/** NULL is allowed; *memory becomes NULL. */
void payload_stage_destroy(frame_memory_t *pool, const uint8_t **memory);

/**
 * The payload that a CHANGE names by offset and size.
 * @param memory   NULL: the link has none
 * @return OK; MALFORMED when that does not lie within it
 */
vesta_err_t payload_stage_find(const uint8_t *memory, const wire_message_t *message, vesta_bytes_t *payload);

#endif
