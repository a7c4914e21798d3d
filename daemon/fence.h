/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The fence command: makes sure that a node which is not seen any more is dead, and says so.
 *
 *     COMMAND NODE-ID      exit code 0: nothing runs there any more; anything else: that is not sure
 *
 * One process at a time for a node; one that fails, or runs longer than FENCE_LIMIT_NS and is killed, is run again as
 * long as the node is wanted dead. Without a command nobody is ever known to be dead.
 */
#ifndef VESTA_DAEMON_FENCE_H
#define VESTA_DAEMON_FENCE_H

#include "core/limits.h"
#include "daemon/loop.h"

#define FENCE_LIMIT_NS INT64_C(60000000000)
#define FENCE_AGAIN_NS INT64_C(5000000000)

typedef struct fence fence_t;

/** @param command   a program; lives as long as the result  @return NULL when out of memory */
fence_t *fence_new(loop_t *loop, const char *command, void (*dead)(void *context, uint32_t node), void *context);
/** Commands that still run are left to themselves. */
void fence_destroy(fence_t **fence);

/** These nodes are wanted dead; those not among them are no more. Those that are known to be dead are not asked for
 *  again as long as they stay in the list. */
void fence_want(fence_t *fence, const uint32_t *nodes, uint32_t count);

/** Begin what is due. */
void fence_turn(fence_t *fence, int64_t now_ns);
int64_t fence_wake_ns(const fence_t *fence);

#endif
