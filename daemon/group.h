/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The group: which vestads there are, and what is said to all of them in one order. Its engine is corosync; nothing
 * here decides anything, that is the core's (core/order.h).
 *
 *     cpg        members and messages, in one order for all; the ring's id     -> view(), delivered()
 *     quorum     does this ring have a majority of the votes?                  -> quorum()
 *     cmap       the nodes that are configured, and where they are             -> nodes()
 *
 * What of the engine shows through, and is made good here:
 *
 *   - A multicast may be refused for a moment (TRY_AGAIN): messages wait in a bounded queue, in their order.
 *   - A member's queue at the engine grows without bound when it is not read: the descriptors are always in the loop,
 *     and each turn takes a bounded number of messages.
 *   - Members and the ring's id come in two notifications when nodes come or go: a view is told when both are here.
 *   - The engine dies, or is not there yet: this node is alone in a view of its own, without quorum, and tries to
 *     reach it again, with pauses up to GROUP_RETRY_NS_MAX.
 *   - Long messages are cut (group_parts.h).
 *
 * Callbacks come from within group_turn() and from the loop, never from within the other calls. group_none.c stands in
 * for all this where vestad was built without corosync.
 */
#ifndef VESTA_DAEMON_GROUP_H
#define VESTA_DAEMON_GROUP_H

#include "core/order.h"
#include "daemon/loop.h"

#define GROUP_RETRY_NS INT64_C(50000000)       /* between two attempts to reach the engine, doubled each time */
#define GROUP_RETRY_NS_MAX INT64_C(1000000000) /* up to this */
#define GROUP_ADDRESS_BYTES 64U

typedef struct group group_t;

/* A node that is configured. */
typedef struct group_node {
  uint32_t node;
  char address[GROUP_ADDRESS_BYTES]; /* numeric or a name, as in the engine's configuration; empty: unknown */
} group_node_t;

typedef struct group_config {
  uint32_t node_id; /* 0: as the engine says, which must be there then */
  void *context;
  void (*view)(void *context, order_ring_t ring, const uint32_t *members, uint32_t count);
  void (*quorum)(void *context, order_ring_t ring, bool quorate, uint32_t expected);
  void (*delivered)(void *context, uint32_t node, vesta_bytes_t message);
  void (*lost)(void *context);  /* something that was multicast did not get to this node, or one of its own not out */
  void (*nodes)(void *context); /* group_nodes() is another list now; at least before the first view */
} group_config_t;

/**
 * Reach the engine, and learn this node's id from it when the configuration says none. Nothing is joined yet.
 * @param[out] why   says what is wrong, in words
 * @return OK; NOT_EXIST: the engine is not there, and no node id was given; NO_MEMORY; NO_RESOURCES
 */
vesta_err_t group_open(const group_config_t *config, loop_t *loop, group_t **out, char *why, size_t why_size);
void group_close(group_t **group);

uint32_t group_node_id(const group_t *group);

/** The nodes that are configured, as far as the engine has said so. */
const group_node_t *group_nodes(const group_t *group, uint32_t *count);

/** From here on there are callbacks. */
void group_start(group_t *group);

/** Say it to all members, this node included. Copied. Dropped while this node is in no view; lost() when too much
 *  waits (VESTA_GROUP_QUEUE_BYTES_MAX), or memory is short. Never blocks. */
void group_multicast(group_t *group, vesta_bytes_t message);

/** Leave and join again. What waits to be multicast is dropped. */
void group_rejoin(group_t *group);

/** The end of a turn of the loop: what waits is sent, what is due is tried. */
void group_turn(group_t *group, int64_t now_ns);
/** When the next one must be; INT64_MAX: when something is ready. */
int64_t group_wake_ns(const group_t *group);

/** What the engine said last: for people. */
typedef struct group_status {
  bool reached, in_view, quorate;
  order_ring_t ring;
  uint32_t expected, member_count;
  uint32_t members[VESTA_NODES_MAX];
  uint32_t ring_member_count; /* nodes whose engine is there, whether vestad is or not */
  uint32_t ring_members[VESTA_NODES_MAX];
} group_status_t;
void group_status(const group_t *group, group_status_t *status);

/* Counters. name, text */
/* clang-format off */
#define GROUP_COUNTERS(X)                                               \
  X(GROUP_SENT, "messages multicast")                                   \
  X(GROUP_SENT_BYTES, "their bytes")                                    \
  X(GROUP_PUT_OFF, "times that the engine took none for the moment")    \
  X(GROUP_DROPPED, "messages dropped because this node is in no view")  \
  X(GROUP_FULL, "messages that found no room to wait")                  \
  X(GROUP_DELIVERED, "messages delivered, own ones too")                \
  X(GROUP_MALFORMED, "messages delivered that are none, or found no memory") \
  X(GROUP_LOST, "times that the engine was lost")                       \
  X(GROUP_WAITING_BYTES, "messages that wait to be multicast now")
/* clang-format on */

typedef enum group_counter {
#define GROUP_COUNTER_ENUM(name, text) GROUP_COUNTER_##name,
  GROUP_COUNTERS(GROUP_COUNTER_ENUM)
#undef GROUP_COUNTER_ENUM
      GROUP_COUNTER_COUNT
} group_counter_t;
uint64_t group_counter(const group_t *group, group_counter_t counter);

#endif
