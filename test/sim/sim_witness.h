/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The oracle of a cluster. Where a node that is alone is held against what must be at that very moment (sim_oracle.h),
 * here several replicas go at their own pace, so the rules are about all of them:
 *
 *   SAME-HISTORY     an operation that two replicas have committed under one epoch and seq is the same
 *   NOTHING-LOST     what a synchronous checkpoint has committed anywhere stays, in this order, for ever; an asynchronous
 *                    one may lose the end that its primary had alone
 *   HISTORY, ONCE    as in sim_oracle.h
 *   STATE            two replicas at the same position hold the same
 *   ONE-PRIMARY      an epoch has one primary, on whichever node one asks
 *   IN-SYNC          who becomes primary was in sync
 *   LEASE            a replica that may be read has all that was committed anywhere, prepared at least; so does the
 *                    region of a node that is stopped or dead, which processes may have mapped
 *   READ             what is read is what was there at some time since the reader's own last write
 *   SESSION          a process keeps its session unless its node was away for the grace
 *   REST             when the faults have ceased all nodes are in, each checkpoint has a primary and its replicas, and
 *                    they are all equal
 */
#ifndef VESTA_TEST_SIM_WITNESS_H
#define VESTA_TEST_SIM_WITNESS_H

#include "core/node.h"

struct sim_world;
struct sim_node;
struct sim_agent;
struct sim_request;

/** A step was made, and none of its actions carried out yet. */
void sim_witness_step(struct sim_node *node, const node_actions_t *actions);
/** A node has taken up what an earlier run left. */
void sim_witness_started(struct sim_node *node);
/** A node says that what it had is kept aside. */
void sim_witness_diverged(struct sim_node *node, uint64_t checkpoint);
/** Every replica, section by section. */
void sim_witness_compare(struct sim_node *node);
/** What is not at rest; NULL: everything is. */
const char *sim_witness_restless(struct sim_world *world);
/** Everything is at rest. */
void sim_witness_rest(struct sim_world *world);

/** Is this node in a usable view with all the others? */
bool sim_witness_is_whole(const struct sim_world *world, const struct sim_node *node);

/** May the files of this node be lost? Not when it has the last copy of anything. */
bool sim_witness_may_wipe(const struct sim_node *node);

/** A checkpoint is to be removed; `lost`: because nobody has it any more. */
void sim_witness_removed(struct sim_node *node, uint64_t checkpoint, bool lost);
/** Has that process reason to lose its session, or this checkpoint? */
bool sim_witness_may_end(const struct sim_agent *agent, uint64_t checkpoint);

/** A READ was answered. */
void sim_witness_read(struct sim_agent *agent, const struct sim_request *request, const wire_message_t *reply,
                      vesta_bytes_t payload);

#endif
