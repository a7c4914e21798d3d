/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See sim_witness.h.
 */
#include "test/sim/sim_witness.h"

#include <inttypes.h>
#include <stdlib.h>

#include "core/node_cluster.h"
#include "core/replica_layout.h"
#include "test/sim/sim_memory.h"
#include "test/sim/sim_oracle.h"
#include "test/sim/sim_world.h"

#define GRACE_SLACK_NS (2 * SIM_SECOND_NS) /* the others may have missed it earlier than it was */

/* ---- histories ---- */

static void take(sim_world_t *world, const sim_node_t *node, sim_history_t *history, const replica_t *replica) {
  const char *wrong = sim_history_take(history, replica);
  if (wrong != NULL) {
    sim_fail(world, "HISTORY", "node %" PRIu32 " checkpoint %" PRIu64 " seq=%" PRIu64 ": %s", node->id, history->id,
             history->count, wrong);
  }
  const sim_record_t *record = &history->records[history->count - 1];
  if (vesta_token_is_none(record->session)) {
    return;
  }
  sim_model_written(node, history, record);
  wrong = sim_ledger_commit(&node->side->ledger, record->session, record->request, history->id, history->count);
  if (wrong != NULL) {
    sim_fail(world, "ONCE", "%s: node %" PRIu32 " checkpoint %" PRIu64 " seq=%" PRIu64 " #%" PRIu64, wrong, node->id,
             history->id, history->count, record->request);
  }
}

/* A node that has been up, in the same usable view as this one, and free to act, since before that time. */
static bool was_there(const sim_node_t *node, const sim_node_t *with, int64_t since_ns) {
  return node->node != NULL && node->side == with->side && node->held_until_ns == 0 && node->trouble_ns < since_ns &&
         order_usable(node->node->cluster->order) &&
         order_term(node->node->cluster->order) == order_term(with->node->cluster->order);
}

/* What an asynchronous checkpoint may lose: nothing that saCkptCheckpointSynchronize() was answered for, and nothing that
 * another replica in sync has whose node was there all the time while the primary was found. Where memory or disks fail
 * a node may be there and not be able to say so in time. */
static void may_lose(sim_world_t *world, const sim_node_t *node, const directory_checkpoint_t *checkpoint,
                     const sim_history_t *history, uint64_t back) {
  if (back < history->synchronized_seq) {
    sim_fail(world, "NOTHING-LOST",
             "checkpoint %" PRIu64 " was synchronized up to seq=%" PRIu64 ", node %" PRIu32
             " goes on behind seq=%" PRIu64,
             history->id, history->synchronized_seq, node->id, back);
  }
  int64_t since_ns = history->vacant_ns != 0 ? history->vacant_ns : world->now_ns - SIM_SECOND_NS;
  for (uint32_t i = 0; i < world->node_count && !world->faults.of_disk && world->odds.memory == 0; i++) {
    const sim_node_t *other = &world->nodes[i];
    const directory_replica_t *listed = directory_replica(checkpoint, other->id);
    const sim_copy_t *copy = &history->copies[i];
    bool has_more = other != node && copy->replica != NULL && copy->at.seq > back && !copy->astray;
    if (has_more && listed != NULL && listed->state == WIRE_REPLICA_IN_SYNC && was_there(other, node, since_ns)) {
      sim_fail(world, "NOTHING-LOST",
               "checkpoint %" PRIu64 ": node %" PRIu32 " goes on behind seq=%" PRIu64 ", and node %" PRIu32
               " was there, in sync, and has seq=%" PRIu64,
               history->id, node->id, back, other->id, copy->at.seq);
    }
  }
}

/* What a half had gone on with that was given up is gone on with after all: its replica is the best that there is. */
static bool resume(const sim_node_t *node, sim_history_t *history, const replica_t *replica, uint64_t before) {
  while (history->count + 1 < before &&
         sim_history_resume(history, replica_epoch_of(replica, history->count + 1), history->count + 1)) {
    const sim_record_t *record = &history->records[history->count - 1];
    if (!vesta_token_is_none(record->session)) {
      sim_ledger_resume(&node->side->ledger, record->session, record->request, history->id, history->count);
    }
  }
  return history->count + 1 == before;
}

/* Its primary goes on from an earlier place. */
static void go_back(sim_world_t *world, const sim_node_t *node, const directory_checkpoint_t *checkpoint,
                    sim_history_t *history, uint64_t seq) {
  const replica_t *replica = checkpoint->local->replica;
  uint64_t back = seq - 1;
  while (back > 0 && (back > history->count || replica_epoch_of(replica, back) != history->records[back - 1].epoch)) {
    back--;
  }
  if (back == history->count && resume(node, history, replica, seq)) {
    return;
  }
  if (history->synchronous) {
    sim_fail(world, "NOTHING-LOST",
             "checkpoint %" PRIu64 " was at seq=%" PRIu64 ", node %" PRIu32 " goes on behind seq=%" PRIu64, history->id,
             history->count, node->id, back);
  }
  may_lose(world, node, checkpoint, history, back);
  sim_say(world, "checkpoint %" PRIu64 " was at seq=%" PRIu64 ", node %" PRIu32 " goes on behind seq=%" PRIu64,
          history->id, history->count, node->id, back);
  for (uint64_t lost = back; lost < history->count; lost++) {
    const sim_record_t *record = &history->records[lost];
    if (!vesta_token_is_none(record->session)) {
      sim_ledger_lose(&node->side->ledger, record->session, record->request);
    }
  }
  sim_history_cut(history, back, world->now_ns);
  for (uint32_t i = 0; i < SIM_AGENTS_MAX; i++) {
    history->acked[i] = history->acked[i] < back ? history->acked[i] : back;
  }
}

/* One committed operation of a replica, from its log. */
static void follow_one(sim_node_t *node, const directory_checkpoint_t *checkpoint, sim_history_t *history,
                       const replica_record_t *from, bool leads) {
  sim_world_t *world = node->world;
  const replica_t *replica = checkpoint->local->replica;
  const sim_record_t *known = sim_history_record(history, from->epoch, from->seq);
  if (known != NULL) {
    if (!sim_history_same(known, from)) {
      sim_fail(world, "SAME-HISTORY",
               "checkpoint %" PRIu64 " epoch=%" PRIu64 " seq=%" PRIu64 ": node %" PRIu32 " has another operation there",
               history->id, from->epoch, from->seq, node->id);
    }
    return;
  }
  bool ahead = from->epoch > history->epoch || (from->epoch == history->epoch && from->seq > history->count);
  if (!ahead) { /* a primary that nobody has followed, and nobody saw before it died */
    if (history->synchronous) {
      sim_fail(world, "SAME-HISTORY",
               "checkpoint %" PRIu64 " epoch=%" PRIu64 " seq=%" PRIu64 " was committed by node %" PRIu32 " alone",
               history->id, from->epoch, from->seq, node->id);
    }
    sim_history_stray(history, from, from->seq == 1 ? 1 : replica_epoch_of(replica, from->seq - 1), world->now_ns);
    return;
  }
  if (history->synchronous && !leads && !sim_side_other_has(node, history, from)) {
    sim_fail(world, "FIRST",
             "checkpoint %" PRIu64 " epoch=%" PRIu64 " seq=%" PRIu64 " is committed by node %" PRIu32
             ", which is not its primary, and by nobody else",
             history->id, from->epoch, from->seq, node->id);
  }
  if (from->seq != history->count + 1 ||
      (from->seq > 1 && replica_epoch_of(replica, from->seq - 1) != history->epoch)) {
    go_back(world, node, checkpoint, history, from->seq);
  }
  while (history->count < from->seq) {
    take(world, node, history, replica);
  }
}

static void follow(sim_node_t *node, const directory_checkpoint_t *checkpoint, sim_history_t *history) {
  sim_world_t *world = node->world;
  const replica_t *replica = checkpoint->local->replica;
  sim_copy_t *copy = &history->copies[node->id - 1];
  replica_status_t status;
  replica_status(replica, &status);
  bool same = copy->replica == replica && copy->at.seq <= status.committed.seq && !copy->astray;
  copy->prepared = status.prepared_seq;
  if (same && vesta_pos_equal(copy->at, status.committed)) {
    return;
  }
  bool whole = true;
  bool leads = copy->leads || checkpoint->primary == node->id; /* in this step at least */
  for (uint64_t seq = same ? copy->at.seq + 1 : 1; seq <= status.committed.seq; seq++) {
    replica_record_t record;
    if (replica_record(replica, seq, &record) == VESTA_OK) {
      follow_one(node, checkpoint, history, &record, leads);
    } else {
      whole = false;
    }
  }
  if (!sim_history_has(history, status.committed)) {
    sim_fail(world, "SAME-HISTORY",
             "checkpoint %" PRIu64 ": node %" PRIu32 " is at epoch=%" PRIu64 " seq=%" PRIu64 ", where nobody was",
             history->id, node->id, status.committed.epoch, status.committed.seq);
  }
  if (!whole) {
    const sim_record_t *record = sim_history_record(history, status.committed.epoch, status.committed.seq);
    if (!(record != NULL && record->sum_unknown) && status.corrupted_count == 0 &&
        sim_history_sum_of(replica) != sim_history_sum(history, status.committed)) {
      sim_fail(world, "STATE",
               "checkpoint %" PRIu64 ": node %" PRIu32 " has been filled up to seq=%" PRIu64
               " and holds something else",
               history->id, node->id, status.committed.seq);
    }
  }
  uint32_t half = sim_history_half(history, status.committed);
  bool only = checkpoint->primary == node->id && world->healing && checkpoint->replica_count == 1;
  if (half != 0 && (half != node->id || only)) { /* others have it now, or never will */
    (void)resume(node, history, replica, status.committed.seq + 1);
  }
  *copy = (sim_copy_t){.replica = replica,
                       .at = status.committed,
                       .prepared = status.prepared_seq,
                       .astray = !sim_history_has_still(history, status.committed),
                       .leads = copy->leads};
}

/* ---- leases ---- */

/* Has it all that was ever committed, prepared at least? */
static bool has_all(const directory_checkpoint_t *checkpoint, const sim_history_t *history) {
  const replica_t *replica = checkpoint->local->replica;
  replica_status_t status;
  replica_status(replica, &status);
  uint64_t has = history->synchronous ? status.prepared_seq : status.committed.seq;
  bool all = has >= history->count;
  for (uint64_t seq = status.committed.seq + 1; seq <= history->count && all; seq++) {
    replica_record_t record;
    all = replica_log_record(replica, seq, &record) == VESTA_OK && record.epoch == history->records[seq - 1].epoch &&
          sim_history_same(&history->records[seq - 1], &record);
  }
  return all && (history->count == 0 || replica_epoch_of(replica, history->count) == history->epoch);
}

static void must_have_all_that_is_read(sim_node_t *node, const sim_history_t *history) {
  const replica_header_t *header = sim_disk_look(&node->disk, history->id);
  sim_world_t *world = node->world;
  bool settled = header != NULL && header->magic == REPLICA_MAGIC && header->incomplete == 0;
  if (!settled || header->readable_until_ns <= world->now_ns ||
      (node->node == NULL && header->readable_until_ns == VESTA_TIME_END)) { /* just made, and nobody was told */
    return;
  }
  uint64_t has = history->synchronous ? header->prepared_seq : header->committed_seq;
  if (has < history->count) {
    sim_fail(world, "LEASE",
             "checkpoint %" PRIu64 ": node %" PRIu32 " may be read for %" PRId64 " ms, is at seq=%" PRIu64
             ", and seq=%" PRIu64 " is committed",
             history->id, node->id, (header->readable_until_ns - world->now_ns) / SIM_MS, has, history->count);
  }
  const directory_checkpoint_t *checkpoint =
      node->node == NULL ? NULL : directory_checkpoint(node->node->directory, history->id);
  if (checkpoint != NULL && checkpoint->local != NULL && !has_all(checkpoint, history)) {
    sim_fail(world, "LEASE",
             "checkpoint %" PRIu64 ": node %" PRIu32 " may be read and has something else up to seq=%" PRIu64,
             history->id, node->id, history->count);
  }
}

/* ---- primaries ---- */

static void one_primary(sim_node_t *node, const directory_checkpoint_t *checkpoint, sim_history_t *history) {
  uint64_t epoch = checkpoint->epoch;
  if (checkpoint->primary == 0) {
    if (history->vacant_epoch < epoch) {
      history->vacant_epoch = epoch;
      history->vacant_ns = node->world->now_ns;
    }
    return;
  }
  uint32_t known = sim_history_primary(history, epoch);
  if (known == 0) {
    const directory_replica_t *replica = directory_replica(checkpoint, checkpoint->primary);
    if (replica == NULL || replica->state != WIRE_REPLICA_IN_SYNC) {
      sim_fail(node->world, "IN-SYNC",
               "checkpoint %" PRIu64 ": node %" PRIu32 " is primary of epoch=%" PRIu64 " and not in sync", history->id,
               checkpoint->primary, epoch);
    }
    bool vacant =
        history->primary_count > 0 && history->vacant_epoch >= history->primaries[history->primary_count - 1].epoch;
    history->vacant_ns = vacant ? history->vacant_ns : 0;
    sim_history_primary_set(history, epoch, checkpoint->primary);
    sim_say(node->world, "node %" PRIu32 " is primary of checkpoint=%" PRIu64 " in epoch=%" PRIu64, checkpoint->primary,
            history->id, epoch);
  } else if (known != checkpoint->primary) {
    sim_fail(node->world, "ONE-PRIMARY",
             "checkpoint %" PRIu64 " epoch=%" PRIu64 ": node %" PRIu32 " for node %" PRIu32 ", node %" PRIu32
             " was known before",
             history->id, epoch, checkpoint->primary, node->id, known);
  }
}

/* A copy has taken log; whose? */
static void must_be_its_primarys(sim_node_t *node, const node_event_t *event) {
  bool is_log = event->kind == NODE_EVENT_PEER && event->message->kind == WIRE_PEER_LOG;
  const directory_checkpoint_t *checkpoint =
      is_log ? directory_checkpoint(node->node->directory, event->message->checkpoint) : NULL;
  sim_history_t *history = checkpoint == NULL ? NULL : sim_histories_find(&node->side->histories, checkpoint->id);
  if (history == NULL || checkpoint->local == NULL ||
      (checkpoint->primary == event->node && checkpoint->epoch == event->message->epoch)) {
    return;
  }
  const sim_copy_t *before = &history->copies[node->id - 1];
  replica_status_t status;
  replica_status(checkpoint->local->replica, &status);
  if (before->replica == checkpoint->local->replica &&
      (status.prepared_seq > before->prepared || status.committed.seq > before->at.seq)) {
    sim_fail(node->world, "ITS-PRIMARY",
             "checkpoint %" PRIu64 ": node %" PRIu32 " takes log of node %" PRIu32 " and epoch=%" PRIu64
             ", its primary is node %" PRIu32 " in epoch=%" PRIu64,
             history->id, node->id, event->node, event->message->epoch, checkpoint->primary, checkpoint->epoch);
  }
}

/* ---- candidates ---- */

#define ACTS_NS_MAX (300 * SIM_MS) /* a node that is in a usable view and not stopped makes steps at least so often */
#define PASSED_OVER_SLACK_NS SIM_SECOND_NS

/* A candidate that does not confirm is passed over in time when there is another. Only the time is counted in which its
 * primary's node could have done something about it. */
static void must_be_passed_over_in_time(sim_node_t *node, const directory_checkpoint_t *checkpoint,
                                        sim_history_t *history) {
  sim_world_t *world = node->world;
  const roles_group_t *group = &checkpoint->group;
  bool acts = node_leads(node->node, checkpoint) && replicator_serves(checkpoint->shared->replicator) &&
              world->now_ns < order_lease_ns(node->node->cluster->order);
  bool waits = group->state == ROLES_PROMOTING && roles_choose(group, group->granted) != NULL;
  int64_t since_ns = world->now_ns - history->waits_seen_ns;
  history->waits_seen_ns = world->now_ns;
  if (!waits || history->waiting_epoch != group->epoch) {
    history->waiting_epoch = waits ? group->epoch : 0;
    history->waited_ns = 0;
    return;
  }
  history->waited_ns += acts && since_ns <= ACTS_NS_MAX ? since_ns : 0;
  int64_t limit_ns = 2 * roles_member(group, group->granted)->promote_timeout_ns + PASSED_OVER_SLACK_NS;
  if (history->waited_ns > limit_ns) {
    sim_fail(world, "PASSED-OVER",
             "checkpoint %" PRIu64 " waits for member %" PRIu64 " although another could be active", history->id,
             group->granted);
  }
}

/* ---- steps ---- */

static void look(sim_node_t *node) {
  sim_world_t *world = node->world;
  size_t bucket = 0;
  directory_checkpoint_t *checkpoint = NULL;
  while ((checkpoint = directory_each(node->node->directory, &bucket, checkpoint)) != NULL) {
    sim_history_t *history = sim_histories_find(&node->side->histories, checkpoint->id);
    if (history == NULL && checkpoint->local != NULL) {
      history = sim_histories_add(&node->side->histories, checkpoint->local->replica);
    }
    if (history == NULL) {
      continue;
    }
    one_primary(node, checkpoint, history);
    sim_copy_t *copy = &history->copies[node->id - 1];
    uint64_t count = history->count;
    if (checkpoint->primary == node->id) {
      sim_model_fenced(world, checkpoint, history);
    }
    if (checkpoint->local != NULL) {
      follow(node, checkpoint, history);
      must_have_all_that_is_read(node, history);
    } else {
      *copy = (sim_copy_t){0};
    }
    copy->leads = checkpoint->primary == node->id;
    if (copy->leads) {
      must_be_passed_over_in_time(node, checkpoint, history);
    }
    for (uint32_t i = 0; i < world->node_count && history->count > count; i++) {
      if (world->nodes[i].side == node->side) {
        must_have_all_that_is_read(&world->nodes[i], history);
      }
    }
  }
}

static void usable_note(sim_node_t *node) {
  int64_t now_ns = node->world->now_ns;
  if (!order_usable(node->node->cluster->order)) {
    node->trouble_ns = now_ns;
  }
  if (order_usable(node->node->cluster->order)) {
    bool away = now_ns - node->usable_ns + GRACE_SLACK_NS > node->world->plan.session_grace_ns;
    node->away_long_ns = away ? now_ns : node->away_long_ns;
    node->usable_ns = now_ns;
    node->blank = false;
  }
}

/* Who answers from a replica has all of it. */
static void must_have_all_that_was_read(sim_node_t *node, const node_event_t *event, const node_actions_t *actions) {
  const wire_message_t *asked = event->message;
  bool asks = (event->kind == NODE_EVENT_REQUEST || event->kind == NODE_EVENT_PEER) &&
              (asked->kind == WIRE_READ || asked->kind == WIRE_STATUS || asked->kind == WIRE_ITERATE);
  const directory_handle_t *handle = asks ? directory_handle(node->node->directory, asked->handle) : NULL;
  const sim_history_t *history =
      handle == NULL ? NULL : sim_histories_find(&node->side->histories, handle->checkpoint->id);
  for (uint32_t i = 0; history != NULL && i < actions->count; i++) {
    const node_action_t *action = &actions->items[i];
    bool answers = (action->kind == NODE_ACTION_SEND || action->kind == NODE_ACTION_PEER) &&
                   action->message->kind == WIRE_REPLY && action->message->number == asked->number &&
                   action->message->error == VESTA_OK;
    if (answers && (handle->checkpoint->local == NULL || !has_all(handle->checkpoint, history))) {
      sim_fail(node->world, "LEASE",
               "checkpoint %" PRIu64 ": node %" PRIu32 " has answered %s #%" PRIu64
               " and has not all up to seq=%" PRIu64,
               history->id, node->id, wire_kind_name(asked->kind), asked->number, history->count);
    }
  }
}

void sim_witness_step(sim_node_t *node, const node_event_t *event, const node_actions_t *actions) {
  usable_note(node);
  must_be_its_primarys(node, event);
  look(node);
  must_have_all_that_was_read(node, event, actions);
}

void sim_witness_started(sim_node_t *node) {
  for (uint32_t i = 0; i < node->side->histories.count; i++) {
    sim_copy_t *copy = &node->side->histories.items[i]->copies[node->id - 1];
    *copy = (sim_copy_t){.leads = copy->leads}; /* what it committed last nobody has seen */
  }
  look(node);
}

void sim_witness_diverged(sim_node_t *node, uint64_t checkpoint) {
  if (node->given_up_count != 0) {
    return; /* what it had gone on with by itself: sim_sides_rest() */
  }
  const sim_history_t *history = sim_histories_find(&node->side->histories, checkpoint);
  if (history != NULL && history->synchronous) {
    sim_fail(node->world, "NOTHING-LOST", "checkpoint %" PRIu64 " is synchronous and node %" PRIu32 " has diverged",
             checkpoint, node->id);
  }
}

void sim_witness_synchronized(sim_agent_t *agent, const sim_request_t *request) {
  sim_history_t *history = sim_handle_history(&agent->handles[request->handle]);
  if (history != NULL && request->cuts == history->cuts && request->floor_seq > history->synchronized_seq) {
    history->synchronized_seq = request->floor_seq;
  }
}

bool sim_witness_may_end(const sim_agent_t *agent, int64_t since_ns) {
  const sim_world_t *world = agent->world;
  const sim_node_t *home = sim_home(agent);
  bool away = world->now_ns - home->usable_ns + GRACE_SLACK_NS > world->plan.session_grace_ns;
  return sim_clustered(world) && (agent->finalizing || agent->confused || away || since_ns <= home->away_long_ns ||
                                  sim_side_may_end(agent, since_ns));
}

/* ---- the whole ---- */

void sim_witness_compare(sim_node_t *node) {
  sim_world_t *world = node->world;
  size_t bucket = 0;
  directory_checkpoint_t *checkpoint = NULL;
  while ((checkpoint = directory_each(node->node->directory, &bucket, checkpoint)) != NULL) {
    const sim_history_t *history = sim_histories_find(&node->side->histories, checkpoint->id);
    if (history == NULL || checkpoint->local == NULL) {
      continue;
    }
    replica_status_t status;
    replica_status(checkpoint->local->replica, &status);
    const sim_record_t *record = sim_history_record(history, status.committed.epoch, status.committed.seq);
    bool known = status.corrupted_count == 0 && !(record != NULL && record->sum_unknown);
    if (!replica_check(checkpoint->local->replica) ||
        (known && sim_history_sum_of(checkpoint->local->replica) != sim_history_sum(history, status.committed))) {
      sim_fail(world, "STATE", "checkpoint %" PRIu64 ": node %" PRIu32 " at seq=%" PRIu64 " holds something else",
               history->id, node->id, status.committed.seq);
    }
  }
}

static uint32_t replicas_wanted(const sim_world_t *world, const directory_checkpoint_t *checkpoint) {
  uint32_t wanted = world->plan.replicas == 0 ? VESTA_REPLICAS_DEFAULT : world->plan.replicas;
  wanted = (checkpoint->attributes.creation_flags & VESTA_CREATE_COLLOCATED) != 0 ? 1 : wanted;
  return wanted < world->node_count ? wanted : world->node_count;
}

static const char *checkpoint_restless(sim_world_t *world, const directory_checkpoint_t *checkpoint) {
  const sim_history_t *history = sim_histories_find(&world->nodes[0].side->histories, checkpoint->id);
  if (history == NULL) {
    return sim_restless(world, "nobody has seen checkpoint %" PRIu64, checkpoint->id);
  }
  if (checkpoint->primary == 0) {
    return sim_restless(world, "checkpoint %" PRIu64 " has no primary", checkpoint->id);
  }
  if (directory_replica_count(checkpoint, WIRE_REPLICA_IN_SYNC) < replicas_wanted(world, checkpoint)) {
    return sim_restless(world, "checkpoint %" PRIu64 " has too few replicas", checkpoint->id);
  }
  for (uint32_t i = 0; i < world->node_count; i++) {
    directory_checkpoint_t *there = directory_checkpoint(world->nodes[i].node->directory, checkpoint->id);
    if (there == NULL || there->primary != checkpoint->primary || there->config != checkpoint->config) {
      return sim_restless(world, "node %" PRIu32 " knows checkpoint %" PRIu64 " otherwise", i + 1, checkpoint->id);
    }
    if (directory_replica(checkpoint, i + 1) == NULL) {
      continue;
    }
    if (there->local == NULL) {
      return sim_restless(world, "node %" PRIu32 " has no replica of checkpoint %" PRIu64, i + 1, checkpoint->id);
    }
    replica_status_t status;
    replica_status(there->local->replica, &status);
    if (!vesta_pos_equal(status.committed, sim_history_position(history)) ||
        status.prepared_seq != status.committed.seq) {
      return sim_restless(world,
                          "node %" PRIu32 " is at seq=%" PRIu64 " (prepared %" PRIu64 ") of checkpoint %" PRIu64
                          ", which is at seq=%" PRIu64,
                          i + 1, status.committed.seq, status.prepared_seq, checkpoint->id, history->count);
    }
    if (status.committed.epoch != checkpoint->epoch || status.unlinked != checkpoint->unlinked ||
        status.retention_ns != checkpoint->attributes.retention_ns) {
      return sim_restless(world,
                          "node %" PRIu32 ": epoch %" PRIu64 ", retention %" PRId64 " or name of checkpoint %" PRIu64
                          " is not the directory's, epoch %" PRIu64 ", retention %" PRId64,
                          i + 1, status.committed.epoch, status.retention_ns, checkpoint->id, checkpoint->epoch,
                          checkpoint->attributes.retention_ns);
    }
    if (status.corrupted_count != 0) {
      return sim_restless(world, "node %" PRIu32 " has corrupted sections of checkpoint %" PRIu64, i + 1,
                          checkpoint->id);
    }
  }
  return NULL;
}

const char *sim_witness_restless(sim_world_t *world) {
  for (uint32_t i = 0; i < world->node_count; i++) {
    const sim_node_t *node = &world->nodes[i];
    if (node->node == NULL || !order_usable(node->node->cluster->order)) {
      return sim_restless(world, "node %" PRIu32 " is not in", i + 1);
    }
    uint32_t count = 0;
    (void)order_participants(node->node->cluster->order, &count);
    if (count != world->node_count) {
      return sim_restless(world, "node %" PRIu32 " counts %" PRIu32 " participants", i + 1, count);
    }
  }
  const char *restless = NULL;
  size_t bucket = 0;
  const directory_t *directory = sim_world_directory(world);
  directory_checkpoint_t *checkpoint = NULL;
  while (restless == NULL && (checkpoint = directory_each(directory, &bucket, checkpoint)) != NULL) {
    restless = checkpoint_restless(world, checkpoint);
  }
  return restless;
}

void sim_witness_rest(sim_world_t *world) {
  sim_sides_rest(world);
  sim_oracle_handles(world, world->nodes[0].side->model.directory);
  for (uint32_t i = 0; i < world->node_count; i++) {
    sim_node_t *node = &world->nodes[i];
    sim_witness_compare(node);
    size_t bucket = 0;
    directory_checkpoint_t *checkpoint = NULL;
    while ((checkpoint = directory_each(node->node->directory, &bucket, checkpoint)) != NULL) {
      const sim_history_t *history = sim_histories_find(&node->side->histories, checkpoint->id);
      bool waited = directory_checkpoint(sim_world_directory(world), checkpoint->id) != NULL &&
                    checkpoint->local != NULL && directory_replica(checkpoint, node->id) != NULL;
      const char *differs = !waited ? NULL : sim_history_compare(history, checkpoint->local->replica);
      if (differs != NULL) {
        sim_fail(world, "REST", "node %" PRIu32 " checkpoint %" PRIu64 ": %s", node->id, checkpoint->id, differs);
      }
    }
  }
}

/* Does that node hold all that was ever committed? */
static bool node_has_all(const sim_world_t *world, uint32_t id, uint64_t checkpoint) {
  const sim_node_t *node = &world->nodes[id - 1];
  const sim_history_t *history = sim_histories_find(&node->side->histories, checkpoint);
  const directory_checkpoint_t *there =
      node->node == NULL ? NULL : directory_checkpoint(node->node->directory, checkpoint);
  return history != NULL && there != NULL && there->local != NULL && has_all(there, history);
}

bool sim_witness_may_wipe(const sim_node_t *node) {
  const sim_world_t *world = node->world;
  for (uint32_t i = 0; i < world->node_count; i++) {
    const sim_node_t *other = &world->nodes[i];
    if (other->node == NULL || other->blank || !order_usable(other->node->cluster->order)) {
      return false;
    }
    size_t bucket = 0;
    directory_checkpoint_t *checkpoint = NULL;
    while ((checkpoint = directory_each(other->node->directory, &bucket, checkpoint)) != NULL) {
      bool another = false;
      for (uint32_t r = 0; r < checkpoint->replica_count; r++) {
        bool counts = checkpoint->replicas[r].state == WIRE_REPLICA_IN_SYNC && checkpoint->replicas[r].node != node->id;
        another = another || (counts && node_has_all(world, checkpoint->replicas[r].node, checkpoint->id));
      }
      if (!another) {
        return false;
      }
    }
  }
  return true;
}

/* ---- what was refused ---- */

void sim_witness_refused(sim_agent_t *agent, uint64_t id, uint64_t request) {
  sim_world_t *world = agent->world;
  const directory_t *directory = sim_sides_apart(world) ? NULL : sim_world_directory(world);
  const directory_checkpoint_t *checkpoint = directory == NULL ? NULL : directory_checkpoint(directory, id);
  for (uint32_t r = 0; checkpoint != NULL && r < checkpoint->replica_count; r++) {
    const sim_node_t *node = &world->nodes[checkpoint->replicas[r].node - 1];
    const directory_checkpoint_t *there = node->node == NULL ? NULL : directory_checkpoint(node->node->directory, id);
    if (checkpoint->replicas[r].state != WIRE_REPLICA_IN_SYNC || there == NULL || there->local == NULL) {
      continue;
    }
    replica_status_t status;
    replica_status(there->local->replica, &status);
    replica_record_t record;
    for (uint64_t seq = status.committed.seq + 1; seq <= status.prepared_seq; seq++) {
      if (replica_log_record(there->local->replica, seq, &record) == VESTA_OK && record.request == request &&
          vesta_token_equal(record.session, agent->token)) {
        sim_fail(world, "REFUSED",
                 "process %" PRIu32 " was told that #%" PRIu64 " is not done, and node %" PRIu32
                 " has it prepared as seq=%" PRIu64 " of checkpoint %" PRIu64,
                 agent->index, request, node->id, seq, id);
      }
    }
  }
}

/* ---- reads ---- */

/* Is that the answer when the section is so? */
static bool answer_fits(const sim_section_t *section, const wire_message_t *asked, const wire_message_t *reply,
                        vesta_bytes_t payload, int64_t wall_ns) {
  vesta_err_t err = (vesta_err_t)reply->error;
  bool gone = section == NULL || section->expiry_ns <= wall_ns;
  if (err == VESTA_ERR_NOT_EXIST) {
    return gone || section->expiry_ns != VESTA_TIME_END; /* by the clock of then */
  }
  if (section == NULL) {
    return false;
  }
  if (err == VESTA_ERR_INVALID_PARAM) {
    return asked->offset > section->size;
  }
  uint64_t there = section->size < asked->offset ? 0 : section->size - asked->offset;
  uint64_t size = there < asked->size ? there : asked->size;
  return payload.size == size && (size == 0 || memcmp(payload.data, section->data + asked->offset, (size_t)size) == 0);
}

typedef struct read {
  const sim_history_t *history;
  const wire_message_t *asked, *reply;
  vesta_bytes_t payload;
  int64_t wall_ns;
} read_t;

/* Was that the answer at some place of this way, from `floor` on? */
static bool way_fits(const read_t *read, uint64_t epoch, uint64_t count, uint64_t floor_seq) {
  const sim_record_t **way = sim_history_way(read->history, epoch, count);
  if (way == NULL) {
    return true; /* some of it nobody has seen */
  }
  sim_table_t table;
  sim_table_init(&table);
  sim_section_t *section = NULL;
  if (read->history->attributes.sections_max == 1) {
    sim_change_t begin = {.kind = VESTA_KIND_CREATED, .expiry_ns = VESTA_TIME_END};
    (void)sim_table_apply(&table, &begin, &section);
  }
  bool fits = floor_seq == 0 && answer_fits(section, read->asked, read->reply, read->payload, read->wall_ns);
  for (uint64_t seq = 1; seq <= count && !fits; seq++) {
    for (uint32_t i = 0; i < way[seq - 1]->count; i++) {
      const sim_change_t *change = &way[seq - 1]->changes[i];
      bool whole = change->kind == VESTA_KIND_UNLINKED || change->kind == VESTA_KIND_RETENTION_SET ||
                   change->kind == VESTA_KIND_EPOCH;
      if (!whole && vesta_bytes_equal(change->id, read->asked->id)) {
        (void)sim_table_apply(&table, change, &section);
      }
    }
    fits = seq >= floor_seq &&
           answer_fits(sim_table_find(&table, read->asked->id), read->asked, read->reply, read->payload, read->wall_ns);
  }
  sim_table_fini(&table);
  free(way);
  return fits;
}

void sim_witness_read(sim_agent_t *agent, const sim_request_t *request, const wire_message_t *reply,
                      vesta_bytes_t payload) {
  sim_world_t *world = agent->world;
  const sim_handle_t *handle = &agent->handles[request->handle];
  const sim_history_t *history = sim_handle_history(handle);
  vesta_err_t err = (vesta_err_t)reply->error;
  if (history == NULL || (err != VESTA_OK && err != VESTA_ERR_NOT_EXIST && err != VESTA_ERR_INVALID_PARAM)) {
    return;
  }
  wire_message_t asked;
  vesta_err_t decoded =
      wire_decode(sim_home(agent)->decoder, request->packet->head.data, request->packet->head.size, &asked);
  VESTA_ASSERT(decoded == VESTA_OK);
  if (err == VESTA_ERR_NOT_EXIST && (history->attributes.creation_flags & VESTA_CREATE_COLLOCATED) != 0) {
    return; /* there may be no active replica */
  }
  read_t read = {
      .history = history, .asked = &asked, .reply = reply, .payload = payload, .wall_ns = sim_wall_ns(world)};
  bool fits = way_fits(&read, history->epoch, history->count, request->floor_seq);
  for (const sim_tail_t *tail = history->tails; tail != NULL && !fits; tail = tail->next) {
    fits = (sim_history_may_resume(history, tail) || request->asked_ns <= tail->lost_ns) &&
           way_fits(&read, tail->records[tail->count - 1].epoch, tail->first_seq + tail->count - 1, tail->first_seq);
  }
  if (!fits) {
    sim_fail(world, "READ",
             "process %" PRIu32 " #%" PRIu64 " checkpoint %" PRIu64 " is answered with %s, which was"
             " not so since seq=%" PRIu64,
             agent->index, request->number, history->id, vesta_err_name(err), request->floor_seq);
  }
}
