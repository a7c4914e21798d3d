/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Messages of the group that are too long for one multicast: cut by the sender, put together here.
 *
 *     part = size of the whole message, u32 LE | offset of this part, u32 LE | bytes
 *
 * The parts of a sender come in their order, without a gap as long as the view stands, and nothing of the same sender
 * in between. So there is one message under way for each sender, and a part that does not continue it is of a message
 * whose beginning was multicast before this node was there: of an earlier view, which is no loss.
 *
 * Pure: no clock, no sockets.
 */
#ifndef VESTA_DAEMON_GROUP_PARTS_H
#define VESTA_DAEMON_GROUP_PARTS_H

#include "core/error.h"
#include "core/limits.h"
#include "core/types.h"

#define GROUP_PART_HEAD_BYTES 8U
#define GROUP_PART_BYTES_MAX (VESTA_GROUP_PART_BYTES - GROUP_PART_HEAD_BYTES) /* of the message, in one part */

typedef struct group_parts group_parts_t;

/** @return NULL when out of memory */
group_parts_t *group_parts_new(void);
void group_parts_destroy(group_parts_t **parts);

/** What stands before the bytes of a part. */
void group_part_head(uint8_t head[GROUP_PART_HEAD_BYTES], uint32_t size, uint32_t offset);

/**
 * A part was delivered.
 * @param node, pid      its sender
 * @param[out] message   when a message is complete: its bytes, valid until the next call and as long as `part` is;
 *                       else empty
 * @return OK; MALFORMED: it is no part; NO_MEMORY: the message is lost
 */
vesta_err_t group_parts_take(group_parts_t *parts, uint32_t node, uint32_t pid, vesta_bytes_t part,
                             vesta_bytes_t *message);

/** A view has come: what is unfinished stays so. */
void group_parts_clear(group_parts_t *parts);

#endif
