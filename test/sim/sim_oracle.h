/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The oracle looks at each step of a node and knows what must be. It stands outside: it sees requests, answers, log
 * records and, where a rule is about the directory, into the node. Its rules:
 *
 *   HISTORY          records are dense, epochs rise with EPOCH operations only, and each change was possible
 *   ONCE             a request is committed at most once, and never after it was answered with an error
 *   ANSWER           what is answered is what is there at that moment; an error has its reason
 *   NOTHING-LOST     after a crash every committed operation is there, and the state is theirs
 *   REPLICA          the replica's sections are those that the records lead to
 *   FENCE            in a fenced group only the member that the history's last EPOCH names has written, once active
 *   ONE-ACTIVE       an epoch has one active at most
 *   BARRIER          who becomes active has all that was committed before, and in a fenced group of a cluster all that any
 *                    process was told is done; unless it says that it goes without (DIRTY)
 *   PASSED-OVER      a candidate that does not confirm is passed over in time when there is another
 *   FOLLOWS          what the directory knows of a checkpoint is in its history after a start, and at rest
 *   RETENTION        a checkpoint goes when it may, not before
 *   SESSION          a process that lives keeps its session and what it has open
 *   HANDLES          at rest nothing is open that the process does not know of
 *   JOURNAL          the journal gives the directory again
 *   DISK             regions are made, opened and removed once; stores go to reserved pages only (a signal, else)
 *   REST             when the faults have ceased, everything comes to rest
 */
#ifndef VESTA_TEST_SIM_ORACLE_H
#define VESTA_TEST_SIM_ORACLE_H

#include "core/directory.h"
#include "core/node.h"
#include "test/sim/sim_node.h"

struct sim_world;

/** A step was made, and none of its actions carried out yet. */
void sim_oracle_step(sim_node_t *node, const node_event_t *event, const node_actions_t *actions);
/** A node has taken up what an earlier run left. */
void sim_oracle_started(sim_node_t *node);
/** The whole comparison: every replica with its history, the journal with the directory. */
void sim_oracle_compare(sim_node_t *node);

/** Does each replica say what the directory says? In words what does not; NULL: all do. */
const char *sim_oracle_restless(const sim_node_t *node);
/** After a start, and at rest, it must. */
void sim_oracle_follows(sim_node_t *node);
/** Everything is at rest. */
void sim_oracle_rest(sim_node_t *node);
/** The rule HANDLES, with that directory. */
void sim_oracle_handles(struct sim_world *world, const directory_t *directory);

/* ---- sim_answers.c ---- */

/** The answer to a request, at the moment when it is given. */
void sim_oracle_answer(sim_node_t *node, const node_event_t *event, const node_action_t *send);

#endif
