/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See sim_oracle.h for the rules.
 */
#include "test/sim/sim_oracle.h"

#include <inttypes.h>
#include <stdlib.h>

#include "core/node_state.h"
#include "test/sim/sim_world.h"

#define RETENTION_AT_ONCE_NS SIM_MS /* less counts as none */
#define DISK_TROUBLE_NS (15 * SIM_SECOND_NS)

/* ---- histories ---- */

/* In a fenced group the writer has to be who the history says, and active. */
static void must_be_unfenced(sim_world_t *world, const directory_checkpoint_t *checkpoint, const sim_history_t *history,
                             const sim_record_t *record) {
  const roles_group_t *group = &checkpoint->group;
  bool fenced = false;
  for (const roles_member_t *member = group->members; member != NULL; member = member->next) {
    fenced = fenced || (member->flags & WIRE_JOIN_FENCE) != 0;
  }
  const roles_member_t *granted = roles_member(group, history->granted);
  bool may = granted != NULL && group->state == ROLES_ACTIVE && vesta_token_equal(granted->session, record->session);
  if (fenced && !may) {
    sim_fail(world, "FENCE", "checkpoint %" PRIu64 " seq=%" PRIu64 " was written by who is not active", history->id,
             history->count);
  }
}

static void history_follow(sim_world_t *world, const directory_checkpoint_t *checkpoint, sim_history_t *history) {
  replica_status_t status;
  replica_status(checkpoint->local->replica, &status);
  if (status.committed.seq < history->count) {
    sim_fail(world, "NOTHING-LOST", "checkpoint %" PRIu64 " was at seq=%" PRIu64 " and is at seq=%" PRIu64, history->id,
             history->count, status.committed.seq);
  }
  while (history->count < status.committed.seq) {
    const char *wrong = sim_history_take(history, checkpoint->local->replica);
    if (wrong != NULL) {
      sim_fail(world, "HISTORY", "checkpoint %" PRIu64 " seq=%" PRIu64 ": %s", history->id, history->count, wrong);
    }
    const sim_record_t *record = &history->records[history->count - 1];
    if (vesta_token_is_none(record->session)) {
      continue;
    }
    wrong =
        sim_ledger_commit(&world->nodes[0].side->ledger, record->session, record->request, history->id, history->count);
    if (wrong != NULL) {
      sim_fail(world, "ONCE", "%s: checkpoint %" PRIu64 " seq=%" PRIu64 " #%" PRIu64, wrong, history->id,
               history->count, record->request);
    }
    must_be_unfenced(world, checkpoint, history, record);
  }
  if (status.section_count != history->table.count || status.data_bytes != history->table.data_bytes ||
      status.committed.epoch != history->epoch) {
    sim_fail(world, "REPLICA",
             "checkpoint %" PRIu64 " counts %" PRIu32 " sections, %" PRIu64 " bytes; it must be %" PRIu32 ", %" PRIu64,
             history->id, status.section_count, status.data_bytes, history->table.count, history->table.data_bytes);
  }
}

/* ---- promotions ---- */

static void must_be_passed_over_in_time(sim_world_t *world, const directory_checkpoint_t *checkpoint,
                                        sim_history_t *history) {
  const roles_group_t *group = &checkpoint->group;
  bool waits = group->state == ROLES_PROMOTING && roles_choose(group, group->granted) != NULL;
  if (!waits || history->promoting_epoch != group->epoch) {
    history->promoting_epoch = waits ? group->epoch : 0;
    history->alternative_since_ns = world->now_ns;
    return;
  }
  int64_t limit_ns = 2 * roles_member(group, group->granted)->promote_timeout_ns + SIM_SECOND_NS;
  limit_ns += world->faults.of_disk ? DISK_TROUBLE_NS : 0; /* the order of the next promotion may find no room */
  if (world->now_ns - history->alternative_since_ns > limit_ns) {
    sim_fail(world, "PASSED-OVER",
             "checkpoint %" PRIu64 " waits for member %" PRIu64 " although another could be active", history->id,
             group->granted);
  }
}

/* ---- coming and going ---- */

static void histories_begin(sim_world_t *world, const directory_t *directory) {
  size_t bucket = 0;
  directory_checkpoint_t *checkpoint = NULL;
  while ((checkpoint = directory_each(directory, &bucket, checkpoint)) != NULL) {
    if (checkpoint->local == NULL) {
      sim_fail(world, "NOTHING-LOST", "checkpoint %" PRIu64 " has no replica", checkpoint->id);
    }
    sim_history_t *history = sim_histories_find(&world->nodes[0].side->histories, checkpoint->id);
    if (history == NULL) {
      history = sim_histories_add(&world->nodes[0].side->histories, checkpoint->local->replica);
      history->retained_until_ns = VESTA_TIME_END;
    }
    if (history->removed || history->lineage != checkpoint->lineage) {
      sim_fail(world, "RETENTION", "checkpoint %" PRIu64 " is there again", checkpoint->id);
    }
    history_follow(world, checkpoint, history);
    must_be_passed_over_in_time(world, checkpoint, history);
  }
}

/* Somebody believes to have it open, and has every right to. */
static const sim_agent_t *opener_of(const sim_world_t *world, uint64_t checkpoint_id) {
  for (uint32_t i = 0; i < world->agent_count; i++) {
    const sim_agent_t *agent = &world->agents[i];
    for (uint32_t h = 0; h < SIM_HANDLES_MAX && agent->watched && !agent->finalizing; h++) {
      const sim_handle_t *handle = &agent->handles[h];
      if (handle->open && !handle->closing && handle->checkpoint == checkpoint_id) {
        return agent;
      }
    }
  }
  return NULL;
}

/* `op` has removed it; NULL: an operation that was in the journal when the node died, nobody saw which. */
static void must_be_over(sim_world_t *world, const sim_history_t *history, const wire_message_t *op) {
  bool unlinked = history->dir_unlinked || (op != NULL && op->kind == WIRE_OP_UNLINK);
  bool at_once = history->dir_retention_ns < RETENTION_AT_ONCE_NS;
  bool over = op == NULL || (!history->open && history->retained_until_ns <= op->time_ns);
  const sim_agent_t *opener = opener_of(world, history->id);
  if (op != NULL && op->state == WIRE_REMOVE_LOST) {
    sim_fail(world, "NOTHING-LOST", "checkpoint %" PRIu64 " is forgotten", history->id);
  }
  if (opener != NULL || !(unlinked || at_once || over)) {
    sim_fail(world, "RETENTION", "checkpoint %" PRIu64 " is removed too early%s", history->id,
             opener != NULL ? ", it is open" : "");
  }
}

/* What the directory says now, to be compared with what it says after the next operation. */
static void history_note(sim_world_t *world, sim_history_t *history, const directory_checkpoint_t *checkpoint,
                         const wire_message_t *op) {
  bool open = checkpoint->open_count > 0;
  if (history->open && !open && op != NULL) {
    int64_t retention_ns = checkpoint->attributes.retention_ns;
    int64_t until_ns = retention_ns > VESTA_TIME_END - op->time_ns ? VESTA_TIME_END : op->time_ns + retention_ns;
    if (checkpoint->retained_until_ns != until_ns) {
      sim_fail(world, "RETENTION", "checkpoint %" PRIu64 " is not retained as long as it must be", history->id);
    }
  }
  history->open = open;
  history->retained_until_ns = checkpoint->retained_until_ns;
  history->dir_unlinked = checkpoint->unlinked;
  history->dir_retention_ns = checkpoint->attributes.retention_ns;
}

static void histories_end(sim_world_t *world, const directory_t *directory, const wire_message_t *op) {
  for (uint32_t i = 0; i < world->nodes[0].side->histories.count; i++) {
    sim_history_t *history = world->nodes[0].side->histories.items[i];
    if (history->removed) {
      continue;
    }
    const directory_checkpoint_t *checkpoint = directory_checkpoint(directory, history->id);
    if (checkpoint != NULL) {
      history_note(world, history, checkpoint, op);
    } else {
      must_be_over(world, history, op);
      history->removed = true;
    }
  }
}

/* ---- sessions ---- */

static void sessions_check(sim_world_t *world, const directory_t *directory) {
  for (uint32_t i = 0; i < world->agent_count; i++) {
    const sim_agent_t *agent = &world->agents[i];
    if (agent->state == SIM_AGENT_DEAD || !agent->watched || agent->finalizing || vesta_token_is_none(agent->token)) {
      continue;
    }
    if (directory_session(directory, agent->token) == NULL) {
      sim_fail(world, "SESSION", "process %" PRIu32 " lives and its session is gone", agent->index);
    }
    for (uint32_t h = 0; h < SIM_HANDLES_MAX; h++) {
      const sim_handle_t *handle = &agent->handles[h];
      const directory_handle_t *there = handle->open ? directory_handle(directory, handle->id) : NULL;
      if (handle->open && !handle->closing && (there == NULL || there->checkpoint->id != handle->checkpoint)) {
        sim_fail(world, "SESSION", "process %" PRIu32 " lives and its handle %" PRIu64 " is gone", agent->index,
                 handle->id);
      }
    }
  }
}

/* ---- steps ---- */

void sim_oracle_step(sim_node_t *node, const node_event_t *event, const node_actions_t *actions) {
  sim_world_t *world = node->world;
  const directory_t *directory = node->node->directory;
  histories_begin(world, directory);
  if (event->kind == NODE_EVENT_ORDERED) {
    histories_end(world, directory, event->message);
    sessions_check(world, directory);
  }
  if (event->kind != NODE_EVENT_REQUEST) {
    return;
  }
  bool answered = event->message->kind == WIRE_PROGRESS;
  for (uint32_t i = 0; i < actions->count; i++) {
    const node_action_t *action = &actions->items[i];
    answered = answered || action->kind == NODE_ACTION_SEND || action->kind == NODE_ACTION_ORDER ||
               action->kind == NODE_ACTION_CLOSE_LINK;
    if (action->kind == NODE_ACTION_SEND && action->link == event->link &&
        action->message->number == event->message->number) {
      sim_oracle_answer(node, event, action);
    }
  }
  if (!answered) {
    sim_fail(world, "ANSWER", "a request is neither answered nor ordered");
  }
}

void sim_oracle_started(sim_node_t *node) {
  for (uint32_t i = 0; i < node->side->histories.count; i++) {
    node->side->histories.items[i]->promoting_epoch = 0; /* its time begins again */
  }
  histories_begin(node->world, node->node->directory);
  histories_end(node->world, node->node->directory, NULL);
  sessions_check(node->world, node->node->directory);
  sim_oracle_compare(node);
  if (!node->disk_failed) {
    sim_oracle_follows(node);
  }
}

/* ---- the whole ---- */

static bool rows_take(void *context, const wire_message_t *row) {
  sim_journal_add(context, row);
  return true;
}

static sim_journal_t rows_of(const node_t *node) {
  sim_journal_t rows = {0};
  bool whole = node_snapshot(node, rows_take, &rows);
  VESTA_ASSERT(whole);
  sim_journal_sort(&rows);
  return rows;
}

static bool groups_equal(const roles_group_t *a, const roles_group_t *b) {
  const roles_member_t *x = a->members, *y = b->members;
  bool same = a->state == b->state && a->granted == b->granted && a->epoch == b->epoch;
  for (; same && x != NULL && y != NULL; x = x->next, y = y->next) {
    same = x->id == y->id && x->handle == y->handle && x->priority == y->priority && x->flags == y->flags &&
           x->promote_timeout_ns == y->promote_timeout_ns && x->passed_over == y->passed_over &&
           vesta_token_equal(x->session, y->session);
  }
  return same && x == NULL && y == NULL;
}

static bool all_groups_equal(const directory_t *here, const directory_t *there) {
  size_t bucket = 0;
  bool same = true;
  for (directory_checkpoint_t *c = NULL; same && (c = directory_each(here, &bucket, c)) != NULL;) {
    const directory_checkpoint_t *other = directory_checkpoint(there, c->id);
    same = other != NULL && groups_equal(&c->group, &other->group);
  }
  return same;
}

/* A node that is given the journal, and nothing else, has to know the same. */
static void journal_compare(sim_node_t *node) {
  sim_world_t *world = node->world;
  node_t *other = NULL;
  node_config_t config = {.node_id = node->id};
  vesta_err_t err = node_new(&config, &other);
  for (uint32_t i = 0; err == VESTA_OK && i < node->disk.journal.count; i++) {
    wire_message_t op;
    vesta_bytes_t bytes = node->disk.journal.ops[i];
    err = wire_decode(node->decoder, bytes.data, bytes.size, &op);
    err = err == VESTA_OK ? node_restore(other, &op) : err;
  }
  if (err != VESTA_OK) {
    sim_fail(world, "JOURNAL", "the journal can't be read: %s", vesta_err_name(err));
  }
  sim_journal_t here = rows_of(node->node);
  sim_journal_t there = rows_of(other);
  if (!sim_journal_equal(&here, &there) || !all_groups_equal(node->node->directory, other->directory)) {
    sim_fail(world, "JOURNAL", "the journal gives another directory: %" PRIu32 " rows, not %" PRIu32, there.count,
             here.count);
  }
  sim_journal_fini(&here);
  sim_journal_fini(&there);
  node_destroy(&other);
}

void sim_oracle_compare(sim_node_t *node) {
  size_t bucket = 0;
  directory_checkpoint_t *checkpoint = NULL;
  while ((checkpoint = directory_each(node->node->directory, &bucket, checkpoint)) != NULL) {
    const sim_history_t *history = sim_histories_find(&node->side->histories, checkpoint->id);
    const char *differs = sim_history_compare(history, checkpoint->local->replica);
    if (differs != NULL) {
      sim_fail(node->world, "REPLICA", "checkpoint %" PRIu64 " at seq=%" PRIu64 ": %s", history->id, history->count,
               differs);
    }
  }
  journal_compare(node);
}

const char *sim_oracle_restless(const sim_node_t *node) {
  size_t bucket = 0;
  directory_checkpoint_t *checkpoint = NULL;
  while ((checkpoint = directory_each(node->node->directory, &bucket, checkpoint)) != NULL) {
    replica_status_t status;
    replica_status(checkpoint->local->replica, &status);
    if (status.committed.epoch != checkpoint->epoch || status.unlinked != checkpoint->unlinked ||
        status.retention_ns != checkpoint->attributes.retention_ns) {
      return sim_restless(node->world,
                          "checkpoint %" PRIu64 ": the replica's epoch, retention or name is not the directory's",
                          checkpoint->id);
    }
  }
  return NULL;
}

void sim_oracle_follows(sim_node_t *node) {
  const char *restless = sim_oracle_restless(node);
  if (restless != NULL) {
    sim_fail(node->world, "FOLLOWS", "%s", restless);
  }
}

void sim_oracle_handles(sim_world_t *world, const directory_t *directory) {
  for (uint32_t i = 0; i < world->agent_count; i++) {
    const sim_agent_t *agent = &world->agents[i];
    const directory_session_t *session = directory_session(directory, agent->token);
    uint32_t known = agent->handles_lost;
    for (uint32_t h = 0; h < SIM_HANDLES_MAX; h++) {
      known += agent->handles[h].open;
    }
    bool undone = sim_side_may_lack(agent, agent->session_ns); /* what it closed was open again with the other half */
    if (session != NULL && session->handle_count > known && !undone) {
      sim_fail(world, "HANDLES", "process %" PRIu32 " has %" PRIu32 " handles open and knows of %" PRIu32, agent->index,
               session->handle_count, known);
    }
  }
}

void sim_oracle_rest(sim_node_t *node) {
  sim_oracle_compare(node);
  sim_oracle_follows(node);
  sim_oracle_handles(node->world, node->node->directory);
}
