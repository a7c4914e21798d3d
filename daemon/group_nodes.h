/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The nodes that are configured: corosync's nodelist, read through libcmap. The library waits for the engine without a
 * limit, so once vestad's loop runs the list is read by a look: a call on a thread of its own (slow_call.h). There is one
 * at a time; who wants the list while one is under way may be told what was so before, so another one follows it.
 */
#ifndef VESTA_DAEMON_GROUP_NODES_H
#define VESTA_DAEMON_GROUP_NODES_H

#include "daemon/group.h"
#include "daemon/slow_call.h"

/**
 * @param[out] nodes   zeroed by the caller, so that lists can be compared as bytes
 * @return how many; 0: the engine can't say. Blocks for as long as the engine likes
 */
uint32_t group_nodes_ask(group_node_t nodes[VESTA_NODES_MAX]);

typedef struct group_look {
  loop_t *loop;
  void *context;
  void (*told)(void *context, const group_node_t nodes[VESTA_NODES_MAX], uint32_t count); /* 0: the engine can't say */
  slow_call_t *call;                                                                      /* NULL: none is under way */
  struct group_asked *asked;
  loop_source_t source;
  bool again;
} group_look_t;

/** told() follows, from within the loop. @return false: no memory, descriptor or thread, and it does not */
bool group_look_begin(group_look_t *look);
/** There is no told() any more. One under way lets go of what it has when it comes back. */
void group_look_forget(group_look_t *look);

#endif
