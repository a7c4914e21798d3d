/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the oracle of a cluster knows, and that it may have to know it twice: two nodes that trust (order.h, ORDER_TRUST)
 * both go on when they are cut from each other, and from then on there are two clusters, each with an order, a directory
 * and histories of its own. Each keeps every promise to those it serves; so there is a whole oracle for each.
 *
 *      both ----+---- a node goes on by itself: it takes a copy of all that is known along ----+---- both in one view again:
 *               |                                                                              |     one of the two goes on,
 *               `---- the other one: alone too, or cut off and waiting, or down ---------------'     the other's are lost
 *
 * What is lost then, and nothing else, is what a half has ordered and committed since it was by itself. Rules:
 *
 *   SAME-HISTORY   no two operations of the halves have the same epoch and seq: who sees a position knows of which way it is
 *   ONE-GOES-ON    the directory that both have then is that of the one half or of the other, whole
 *   NOTHING-LOST   what a synchronous checkpoint has committed before its node was by itself, and what an asynchronous one
 *                  was synchronized for, is there in the end, whichever half goes on
 *   KEPT           where a client's operation is lost the replica that had it is kept as DIVERGED
 */
#ifndef VESTA_TEST_SIM_SIDE_H
#define VESTA_TEST_SIM_SIDE_H

#include "test/sim/sim_history.h"
#include "test/sim/sim_ledger.h"
#include "test/sim/sim_model.h"
#include "test/sim/sim_views.h"

struct sim_world;
struct sim_node;
struct sim_agent;

typedef struct sim_side {
  sim_histories_t histories;
  sim_ledger_t ledger;
  sim_views_t views;
  sim_model_t model;
} sim_side_t;

/** One for all nodes. */
void sim_sides_init(struct sim_world *world);
void sim_sides_fini(struct sim_world *world);

/** A step was made, before any other rule looks at it: is the node by itself now, or back? */
void sim_side_step(struct sim_node *node);
/** The node has read its journal: it may not have got to write there that it had given up its half. */
void sim_side_started(struct sim_node *node);
/** Are there two of them? */
bool sim_sides_apart(const struct sim_world *world);
/** Is it known to the other half? Its primary may be there, and send its log before anybody here is the primary. */
bool sim_side_other_has(const struct sim_node *node, const sim_history_t *history, const replica_record_t *record);
/** Has that process reason to lose what it was given at that time, because its half was given up? */
bool sim_side_may_end(const struct sim_agent *agent, int64_t since_ns);
/** May the end of something that process was given at that time have been undone, likewise? */
bool sim_side_may_lack(const struct sim_agent *agent, int64_t since_ns);
/** Has a half been by itself for so long that it may end the sessions of the other? */
bool sim_side_forgets(const struct sim_world *world);
/** Everything is at rest: NOTHING-LOST and KEPT. */
void sim_sides_rest(struct sim_world *world);

#endif
