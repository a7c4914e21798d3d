/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What is between the nodes of a cluster: the group (sim_group.h), and a link between each two of them.
 *
 * A link keeps the order of what is sent on it. It breaks when its nodes cannot reach each other or one of them dies, at
 * times for no reason, and what was under way is lost; it is made again by itself, and each end hears of that in its
 * own time. A lane (one way of a link) may be blocked for a while: what is sent there comes late, or the link breaks.
 */
#ifndef VESTA_TEST_SIM_NETWORK_H
#define VESTA_TEST_SIM_NETWORK_H

#include "core/node.h"
#include "test/sim/sim_group.h"
#include "test/sim/sim_link.h"

struct sim_world;
struct sim_node;

#define SIM_NODES_MAX 5U

/* One way of a link. */
typedef struct sim_lane {
  sim_pipe_t pipe;
  int64_t told_ns;          /* when its sender hears that the link is there; INT64_MAX: it knows */
  int64_t blocked_until_ns; /* nothing arrives before */
} sim_lane_t;

typedef struct sim_network {
  sim_group_t *group; /* NULL: there is one node only */
  sim_lane_t lanes[SIM_NODES_MAX][SIM_NODES_MAX];
  bool linked[SIM_NODES_MAX][SIM_NODES_MAX];     /* the lower one first */
  int64_t link_ns[SIM_NODES_MAX][SIM_NODES_MAX]; /* when they are linked again */
  uint8_t sides[SIM_NODES_MAX];
} sim_network_t;

void sim_network_init(struct sim_world *world);
void sim_network_fini(struct sim_world *world);

/** A node runs, or does no more. */
void sim_network_node_up(struct sim_node *node);
void sim_network_node_down(struct sim_node *node);

/** What a node sends. */
void sim_network_multicast(struct sim_node *node, const wire_message_t *message);
void sim_network_send(struct sim_node *node, uint32_t to, const wire_message_t *message, vesta_bytes_t payload);
/** It leaves the group and joins it again some time later. */
void sim_network_rejoin(struct sim_node *node);

int64_t sim_network_due_ns(const struct sim_world *world);
/** The next thing that is due happens. */
void sim_network_turn(struct sim_world *world);

/* ---- faults ---- */

void sim_network_cut(struct sim_world *world);
void sim_network_heal(struct sim_world *world);
/** The link of two nodes breaks; one lane of two nodes is blocked. */
void sim_network_break(struct sim_world *world);
void sim_network_block(struct sim_world *world);
/** No faults from now on. */
void sim_network_calm(struct sim_world *world);

#endif
