/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Large payloads go to the daemon through memory that the link shares with it, which it hands out on request (STAGE):
 * copied in here, copied out there, and through no socket.
 *
 * A request that goes so takes blocks, by its number, and has them until its answer came or the link is over, whether
 * anybody waits for the answer or not: the daemon may read until then. When there is no such memory, or no room in it,
 * the payload goes through the socket. So does one that is sent again on another link, from where the caller has it.
 */
#ifndef VESTA_SAF_API_AGENT_STAGE_H
#define VESTA_SAF_API_AGENT_STAGE_H

#include "saf_api/agent_session.h"

#define AGENT_STAGE_BLOCKS 64U
#define AGENT_STAGE_BLOCK_BYTES (VESTA_STAGE_BYTES / AGENT_STAGE_BLOCKS) /* smaller payloads cost less in the socket */

typedef struct agent_stage agent_stage_t;

/** Would a payload of this size go through it? */
static inline bool agent_stage_suits(size_t bytes) {
  return bytes >= AGENT_STAGE_BLOCK_BYTES && bytes <= VESTA_STAGE_BYTES;
}

/** See that there is one, if the link is up and was not asked before. Without the lock; waits for the daemon. */
void agent_stage_get(agent_session_t *session, int64_t deadline_ns);

/**
 * Copy a payload into it. Without the lock.
 * @param number        of the request that will name it
 * @param[out] offset   where it is
 * @return the incarnation of the link that it is good for; 0: it has to go through the socket
 */
uint64_t agent_stage_put(agent_session_t *session, uint64_t number, const struct iovec *parts, size_t part_count,
                         size_t bytes, uint64_t *offset);

/** The daemon does not need the blocks of this request any more. With the lock. */
void agent_stage_release(agent_session_t *session, uint64_t number);

/** The link is over. With the lock. */
void agent_stage_drop(agent_session_t *session);

#endif
