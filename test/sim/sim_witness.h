/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The oracle of a cluster. Where a node that is alone is held against what must be at that very moment (sim_oracle.h),
 * here several replicas go at their own pace, so the rules are about all of them:
 *
 *   SAME-HISTORY     an operation that two replicas have committed under one epoch and seq is the same
 *   NOTHING-LOST     what a synchronous checkpoint has committed anywhere stays, in this order, for ever; an asynchronous
 *                    one may lose the end that its primary had alone, or others that were not there when the next primary
 *                    was found, but nothing that it was synchronized for
 *   HISTORY, ONCE    as in sim_oracle.h
 *   STATE            two replicas at the same position hold the same
 *   ONE-PRIMARY      an epoch has one primary, on whichever node one asks
 *   ITS-PRIMARY      a copy takes log of nobody but the primary that its directory names, and of that epoch
 *   IN-SYNC          who becomes primary was in sync
 *   FIRST            nobody commits an operation of a synchronous checkpoint before its primary does
 *   REFUSED          what a client was told is not done no replica in sync has prepared, so nobody can commit it later
 *   PASSED-OVER      a candidate that does not confirm is passed over in time when there is another
 *   LEASE            a replica that may be read, or from which a request was just answered, has all that was committed
 *                    anywhere, prepared at least; so does the region of a node that is stopped or dead, which processes
 *                    may have mapped
 *   READ             what is read is what was there at some time since the reader's own last write; also where an
 *                    asynchronous checkpoint went on from an earlier place: what it lost is read by nobody who asks later
 *   SESSION          a process keeps its session and what it has open unless its node was away for the grace since
 *   REST             when the faults have ceased all nodes are in, each checkpoint has a primary and its replicas, and
 *                    they are all equal, and say what the directory says (FOLLOWS)
 *   HANDLES          as in sim_oracle.h
 */
#ifndef VESTA_TEST_SIM_WITNESS_H
#define VESTA_TEST_SIM_WITNESS_H

#include "core/node.h"

struct sim_world;
struct sim_node;
struct sim_agent;
struct sim_request;

/** A step was made, and none of its actions carried out yet. */
void sim_witness_step(struct sim_node *node, const node_event_t *event, const node_actions_t *actions);
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

/** May the files of this node be lost? Not when it has the last copy of anything. */
bool sim_witness_may_wipe(const struct sim_node *node);

/** Has that process reason to lose what it was given at that time, a session or a handle? */
bool sim_witness_may_end(const struct sim_agent *agent, int64_t since_ns);

/** A Synchronize was answered OK. */
void sim_witness_synchronized(struct sim_agent *agent, const struct sim_request *request);
/** A change was answered with an error that says it was not done. */
void sim_witness_refused(struct sim_agent *agent, uint64_t checkpoint, uint64_t request);
/** A READ was answered. */
void sim_witness_read(struct sim_agent *agent, const struct sim_request *request, const wire_message_t *reply,
                      vesta_bytes_t payload);

#endif
