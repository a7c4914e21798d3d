/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The oracle's own directory of a cluster: it is given each operation that became stable, once, in their order, at the
 * moment when the first node applies it. So rules about what was ordered can look at what was there before.
 *
 *   RETENTION      a checkpoint goes when it may, not before, and is retained as long as it has to be
 *   NOTHING-LOST   none is given up as lost that a client has written to
 *   ONE-DIRECTORY  a node that has applied as much knows the same
 *   FENCE          in a fenced group only the member that the history's last grant names has written, once active
 */
#ifndef VESTA_TEST_SIM_MODEL_H
#define VESTA_TEST_SIM_MODEL_H

#include "core/directory.h"
#include "test/sim/sim_node.h"

struct sim_world;
struct sim_history;
struct sim_record;

/* A member that there was, maybe is. */
typedef struct sim_joined {
  uint64_t checkpoint, member;
  vesta_token_t session;
} sim_joined_t;

typedef struct sim_model {
  directory_t *directory;
  uint64_t applied; /* up to this index */
  sim_joined_t *joined;
  uint32_t joined_count, joined_capacity;
} sim_model_t;

void sim_model_init(sim_model_t *model);
void sim_model_fini(sim_model_t *model);
void sim_model_copy(sim_model_t *model, const sim_model_t *from);

/** A step was made. */
void sim_model_step(sim_node_t *node);
/** The node's directory, row by row. */
void sim_model_compare(sim_node_t *node);
/** The primary's node has made a step: has the group a fence there? */
void sim_model_fenced(const struct sim_world *world, const directory_checkpoint_t *checkpoint,
                      struct sim_history *history);
/** A record was taken up into a history: might its session write? */
void sim_model_written(const sim_node_t *node, const struct sim_history *history, const struct sim_record *record);

#endif
