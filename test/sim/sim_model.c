/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See sim_model.h.
 */
#include "test/sim/sim_model.h"

#include <inttypes.h>
#include <stdlib.h>

#include "core/node_cluster.h"
#include "core/order_state.h"
#include "test/sim/sim_memory.h"
#include "test/sim/sim_witness.h"
#include "test/sim/sim_world.h"

#define RETENTION_AT_ONCE_NS SIM_MS /* less counts as none */

void sim_model_init(sim_model_t *model) { VESTA_ASSERT(directory_new(&model->directory) == VESTA_OK); }

void sim_model_fini(sim_model_t *model) {
  directory_destroy(&model->directory);
  free(model->joined);
  *model = (sim_model_t){0};
}

static bool take_row(void *context, const wire_message_t *row) { return directory_restore(context, row) == VESTA_OK; }

void sim_model_copy(sim_model_t *model, const sim_model_t *from) {
  *model = *from;
  VESTA_ASSERT(directory_new(&model->directory) == VESTA_OK);
  VESTA_ASSERT(directory_snapshot(from->directory, take_row, model->directory));
  model->joined = sim_memory_copy(from->joined, from->joined_count * sizeof *from->joined);
  model->joined_capacity = from->joined_count;
}

/* ---- who may write ---- */

static const sim_joined_t *joined_find(const sim_model_t *model, uint64_t checkpoint, uint64_t member) {
  for (uint32_t i = 0; i < model->joined_count; i++) {
    if (model->joined[i].checkpoint == checkpoint && model->joined[i].member == member) {
      return &model->joined[i];
    }
  }
  return NULL;
}

/* Members that are new, and which grants were confirmed. */
static void group_note(sim_side_t *side, const directory_checkpoint_t *checkpoint) {
  sim_model_t *model = &side->model;
  sim_history_t *history = sim_histories_find(&side->histories, checkpoint->id);
  for (const roles_member_t *member = checkpoint->group.members; member != NULL; member = member->next) {
    if (joined_find(model, checkpoint->id, member->id) != NULL) {
      continue;
    }
    if (model->joined_count == model->joined_capacity) {
      model->joined_capacity = model->joined_capacity == 0 ? 16 : model->joined_capacity * 2;
      model->joined = sim_memory_grow(model->joined, model->joined_capacity * sizeof *model->joined);
    }
    model->joined[model->joined_count++] =
        (sim_joined_t){.checkpoint = checkpoint->id, .member = member->id, .session = member->session};
  }
  bool confirmed = history != NULL && checkpoint->group.state == ROLES_ACTIVE;
  if (confirmed && checkpoint->group.epoch > history->confirmed_epoch) {
    history->confirmed_epoch = checkpoint->group.epoch;
  }
}

void sim_model_fenced(const sim_world_t *world, const directory_checkpoint_t *checkpoint, sim_history_t *history) {
  bool fenced = false;
  for (const roles_member_t *member = checkpoint->group.members; member != NULL; member = member->next) {
    fenced = fenced || (member->flags & WIRE_JOIN_FENCE) != 0;
  }
  if (!fenced) {
    history->fenced_since_ns = INT64_MAX;
  } else if (history->fenced_since_ns == INT64_MAX) {
    history->fenced_since_ns = world->now_ns;
  }
}

/* When it was asked for; INT64_MIN: who asked is dead. */
static int64_t asked_ns(const sim_world_t *world, const sim_record_t *record) {
  for (uint32_t i = 0; i < world->agent_count; i++) {
    const sim_agent_t *agent = &world->agents[i];
    for (uint32_t r = 0; r < agent->in_flight_count && vesta_token_equal(agent->token, record->session); r++) {
      if (agent->in_flight[r].number == record->request) {
        return agent->in_flight[r].asked_ns;
      }
    }
  }
  return INT64_MIN;
}

void sim_model_written(const sim_node_t *node, const sim_history_t *history, const sim_record_t *record) {
  sim_world_t *world = node->world;
  if (asked_ns(world, record) <= history->fenced_since_ns) {
    return; /* it was begun when there was no fence, or nobody knows */
  }
  if (history->granted != 0 && history->granted_epoch <= history->resumed_epoch) {
    return; /* by a directory that was given up: the role is granted anew */
  }
  const sim_joined_t *granted = joined_find(&node->side->model, history->id, history->granted);
  bool may = granted != NULL && vesta_token_equal(granted->session, record->session) &&
             history->confirmed_epoch >= history->granted_epoch;
  if (!may) {
    sim_fail(world, "FENCE",
             "checkpoint %" PRIu64 " seq=%" PRIu64 " #%" PRIu64 " was written by who is not active (granted %" PRIu64
             " in epoch=%" PRIu64 ", confirmed %" PRIu64 ")",
             history->id, history->count, record->request, history->granted, history->granted_epoch,
             history->confirmed_epoch);
  }
}

/* ---- what goes ---- */

/* Somebody believes to have it open, and has every right to. */
static const sim_agent_t *opener_of(const sim_node_t *node, uint64_t checkpoint) {
  const sim_world_t *world = node->world;
  for (uint32_t i = 0; i < world->agent_count; i++) {
    const sim_agent_t *agent = &world->agents[i];
    if (sim_home(agent)->side != node->side && sim_side_forgets(world)) {
      continue;
    }
    for (uint32_t h = 0; h < SIM_HANDLES_MAX && agent->watched && !agent->finalizing; h++) {
      const sim_handle_t *handle = &agent->handles[h];
      if (handle->open && !handle->closing && handle->checkpoint == checkpoint &&
          (sim_home(agent)->side == node->side || handle->opened_ns < world->apart_ns) &&
          !sim_witness_may_end(agent, handle->opened_ns)) {
        return agent;
      }
    }
  }
  return NULL;
}

/* As of before the operation. */
typedef struct before {
  bool open, unlinked;
  int64_t retention_ns, retained_until_ns;
} before_t;

static void must_be_over(sim_node_t *node, uint64_t id, const before_t *before, const wire_message_t *op) {
  sim_world_t *world = node->world;
  sim_history_t *history = sim_histories_find(&node->side->histories, id);
  bool lost = op->kind == WIRE_OP_REMOVE && op->state == WIRE_REMOVE_LOST;
  bool kept = history != NULL && !history->removed_apart;
  for (uint64_t seq = 1; lost && kept && seq <= history->count; seq++) {
    if (!vesta_token_is_none(history->records[seq - 1].session)) {
      sim_fail(world, "NOTHING-LOST", "checkpoint %" PRIu64 " is forgotten, at seq=%" PRIu64, id, history->count);
    }
  }
  bool unlinked = before->unlinked || op->kind == WIRE_OP_UNLINK;
  bool at_once = before->retention_ns < RETENTION_AT_ONCE_NS;
  bool over = !before->open && before->retained_until_ns <= op->time_ns;
  const sim_agent_t *opener = lost ? NULL : opener_of(node, id);
  if (!lost && (opener != NULL || !(unlinked || at_once || over))) {
    sim_fail(world, "RETENTION", "checkpoint %" PRIu64 " is removed too early%s by %s", id,
             opener != NULL ? ", it is open," : "", wire_kind_name(op->kind));
  }
  if (over && !lost && world->wall_jumps == 0 && op->time_ns > sim_wall_ns(world)) {
    sim_fail(world, "RETENTION", "checkpoint %" PRIu64 " is removed by a clock that is ahead", id);
  }
  if (history != NULL) {
    history->removed = true;
  }
}

static void must_be_retained(sim_world_t *world, const before_t *before, const directory_checkpoint_t *checkpoint,
                             const wire_message_t *op) {
  int64_t retention_ns = checkpoint->attributes.retention_ns;
  int64_t until_ns = retention_ns > VESTA_TIME_END - op->time_ns ? VESTA_TIME_END : op->time_ns + retention_ns;
  if (before->open && checkpoint->open_count == 0 && checkpoint->retained_until_ns != until_ns) {
    sim_fail(world, "RETENTION", "checkpoint %" PRIu64 " is not retained as long as it must be", checkpoint->id);
  }
}

/* ---- operations ---- */

#define NOTED_MAX 256U

static void apply(sim_node_t *node, const wire_message_t *op) {
  directory_t *directory = node->side->model.directory;
  uint64_t ids[NOTED_MAX];
  before_t before[NOTED_MAX];
  uint32_t count = 0;
  size_t bucket = 0;
  for (directory_checkpoint_t *c = NULL; (c = directory_each(directory, &bucket, c)) != NULL && count < NOTED_MAX;) {
    ids[count] = c->id;
    before[count++] = (before_t){.open = c->open_count > 0,
                                 .unlinked = c->unlinked,
                                 .retention_ns = c->attributes.retention_ns,
                                 .retained_until_ns = c->retained_until_ns};
  }
  directory_outcome_t outcome;
  VESTA_ASSERT(directory_reserve(directory) == VESTA_OK);
  directory_apply(directory, op, &outcome);
  while (outcome.removed != NULL) {
    directory_checkpoint_t *removed = outcome.removed;
    outcome.removed = removed->next;
    directory_bury(directory, removed);
  }
  for (uint32_t i = 0; i < count; i++) {
    const directory_checkpoint_t *checkpoint = directory_checkpoint(directory, ids[i]);
    if (checkpoint == NULL) {
      must_be_over(node, ids[i], &before[i], op);
    } else {
      must_be_retained(node->world, &before[i], checkpoint, op);
    }
  }
  bucket = 0;
  for (directory_checkpoint_t *c = NULL; (c = directory_each(directory, &bucket, c)) != NULL;) {
    c->touched = false;
    c->next = NULL;
    group_note(node->side, c);
  }
}

/* Nobody has what was ordered in between any more: from anew. */
static void adopt(sim_node_t *node, uint64_t applied) {
  sim_model_t *model = &node->side->model;
  directory_destroy(&model->directory);
  VESTA_ASSERT(directory_new(&model->directory) == VESTA_OK);
  VESTA_ASSERT(directory_snapshot(node->node->directory, take_row, model->directory));
  model->applied = applied;
}

void sim_model_step(sim_node_t *node) {
  sim_model_t *model = &node->side->model;
  const order_t *order = node->node->cluster->order;
  uint64_t applied = order_stable(order);
  if (applied <= model->applied) {
    return;
  }
  if (model->applied + 1 < order->history->first) {
    adopt(node, applied);
    return;
  }
  while (model->applied < applied) {
    model->applied++;
    apply(node, order_history_at(order->history, model->applied)->message);
  }
}

/* ---- the whole ---- */

static bool rows_take(void *context, const wire_message_t *row) {
  sim_journal_add(context, row);
  return true;
}

void sim_model_compare(sim_node_t *node) {
  sim_model_t *model = &node->side->model;
  if (order_stable(node->node->cluster->order) != model->applied) {
    return;
  }
  sim_journal_t here = {0}, there = {0};
  VESTA_ASSERT(directory_snapshot(node->node->directory, rows_take, &here));
  VESTA_ASSERT(directory_snapshot(model->directory, rows_take, &there));
  sim_journal_sort(&here);
  sim_journal_sort(&there);
  if (!sim_journal_equal(&here, &there)) {
    sim_fail(node->world, "ONE-DIRECTORY",
             "node %" PRIu32 " has applied the same as others, up to index %" PRIu64 ", and knows something else",
             node->id, model->applied);
  }
  sim_journal_fini(&here);
  sim_journal_fini(&there);
}
