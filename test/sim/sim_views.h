/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The oracle's eye on what the nodes of a cluster agree on, whatever it means:
 *
 *   QUORUM     nobody finds a view usable but with quorum that its own quorum service said of that very ring, and with a
 *              majority of all nodes that took part in it; or just half of them, the others known dead to it, or trusted
 *   ONE-ORDER  what two nodes have applied at an index is the same, and so is all that was before it
 *   VERSION    nobody speaks a newer protocol than each participant can; at rest, the newest that all can
 *   JOURNAL    a node that is given the journal, and nothing else, has the same order, and the same directory once it has
 *              applied as much
 */
#ifndef VESTA_TEST_SIM_VIEWS_H
#define VESTA_TEST_SIM_VIEWS_H

#include "test/sim/sim_node.h"

struct sim_world;

typedef struct sim_views {
  uint64_t *digests; /* by index, of the history up to it; 0: nobody has applied it yet */
  uint64_t count;
} sim_views_t;

void sim_views_fini(sim_views_t *views);
void sim_views_copy(sim_views_t *views, const sim_views_t *from);

/** A step was made. */
void sim_views_step(sim_node_t *node);
/** The journal, row by row: between two turns, when all that was asked for is in it. */
void sim_views_compare(sim_node_t *node);
/** Does each node speak the newest version that all can? In words what is not so; NULL: it is. */
const char *sim_views_restless(struct sim_world *world);

#endif
