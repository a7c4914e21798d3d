/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See sim_witness.h.
 */
#include "test/sim/sim_witness.h"

#include <inttypes.h>

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
  wrong = sim_ledger_commit(&world->ledger, record->session, record->request, history->id, history->count);
  if (wrong != NULL) {
    sim_fail(world, "ONCE", "%s: node %" PRIu32 " checkpoint %" PRIu64 " seq=%" PRIu64 " #%" PRIu64, wrong, node->id,
             history->id, history->count, record->request);
  }
}

/* Its primary goes on from an earlier place. */
static void go_back(sim_world_t *world, const sim_node_t *node, sim_history_t *history, const replica_t *replica,
                    uint64_t seq) {
  uint64_t back = seq - 1;
  while (back > 0 && (back > history->count || replica_epoch_of(replica, back) != history->records[back - 1].epoch)) {
    back--;
  }
  if (history->synchronous) {
    sim_fail(world, "NOTHING-LOST",
             "checkpoint %" PRIu64 " was at seq=%" PRIu64 ", node %" PRIu32 " goes on behind seq=%" PRIu64, history->id,
             history->count, node->id, back);
  }
  sim_say(world, "checkpoint %" PRIu64 " was at seq=%" PRIu64 ", node %" PRIu32 " goes on behind seq=%" PRIu64,
          history->id, history->count, node->id, back);
  for (uint64_t lost = back; lost < history->count; lost++) {
    const sim_record_t *record = &history->records[lost];
    if (!vesta_token_is_none(record->session)) {
      sim_ledger_lose(&world->ledger, record->session, record->request);
    }
  }
  sim_history_cut(history, back);
  for (uint32_t i = 0; i < SIM_AGENTS_MAX; i++) {
    history->acked[i] = history->acked[i] < back ? history->acked[i] : back;
  }
}

/* One committed operation of a replica, from its log. */
static void follow_one(sim_node_t *node, sim_history_t *history, const replica_t *replica,
                       const replica_record_t *from) {
  sim_world_t *world = node->world;
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
    sim_history_stray(history, from);
    return;
  }
  if (from->seq != history->count + 1 ||
      (from->seq > 1 && replica_epoch_of(replica, from->seq - 1) != history->epoch)) {
    go_back(world, node, history, replica, from->seq);
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
  if (same && vesta_pos_equal(copy->at, status.committed)) {
    return;
  }
  bool whole = true;
  for (uint64_t seq = same ? copy->at.seq + 1 : 1; seq <= status.committed.seq; seq++) {
    replica_record_t record;
    if (replica_record(replica, seq, &record) == VESTA_OK) {
      follow_one(node, history, replica, &record);
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
  *copy = (sim_copy_t){
      .replica = replica, .at = status.committed, .astray = !sim_history_has_still(history, status.committed)};
}

/* ---- leases ---- */

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
  if (checkpoint != NULL && checkpoint->local != NULL && history->count > 0) {
    uint64_t epoch = replica_epoch_of(checkpoint->local->replica, history->count);
    if (epoch != history->epoch && epoch != 0) {
      sim_fail(world, "LEASE",
               "checkpoint %" PRIu64 ": node %" PRIu32 " may be read and has epoch=%" PRIu64 " at seq=%" PRIu64
               ", not %" PRIu64,
               history->id, node->id, epoch, history->count, history->epoch);
    }
  }
}

/* ---- primaries ---- */

static void one_primary(sim_node_t *node, const directory_checkpoint_t *checkpoint, sim_history_t *history) {
  uint64_t epoch = checkpoint->epoch;
  if (checkpoint->primary == 0) {
    return;
  }
  if (epoch >= history->primary_count) {
    history->primaries = sim_memory_grow(history->primaries, (epoch + 1) * 2 * sizeof *history->primaries);
    while (history->primary_count < (epoch + 1) * 2) {
      history->primaries[history->primary_count++] = 0;
    }
  }
  if (history->primaries[epoch] == 0) {
    const directory_replica_t *replica = directory_replica(checkpoint, checkpoint->primary);
    if (replica == NULL || replica->state != WIRE_REPLICA_IN_SYNC) {
      sim_fail(node->world, "IN-SYNC",
               "checkpoint %" PRIu64 ": node %" PRIu32 " is primary of epoch=%" PRIu64 " and not in sync", history->id,
               checkpoint->primary, epoch);
    }
    history->primaries[epoch] = checkpoint->primary;
    sim_say(node->world, "node %" PRIu32 " is primary of checkpoint=%" PRIu64 " in epoch=%" PRIu64, checkpoint->primary,
            history->id, epoch);
  } else if (history->primaries[epoch] != checkpoint->primary) {
    sim_fail(node->world, "ONE-PRIMARY",
             "checkpoint %" PRIu64 " epoch=%" PRIu64 ": node %" PRIu32 " for node %" PRIu32 ", node %" PRIu32
             " was known before",
             history->id, epoch, checkpoint->primary, node->id, history->primaries[epoch]);
  }
}

/* ---- steps ---- */

static void look(sim_node_t *node) {
  sim_world_t *world = node->world;
  size_t bucket = 0;
  directory_checkpoint_t *checkpoint = NULL;
  while ((checkpoint = directory_each(node->node->directory, &bucket, checkpoint)) != NULL) {
    sim_history_t *history = sim_histories_find(&world->histories, checkpoint->id);
    if (history == NULL && checkpoint->local != NULL) {
      history = sim_histories_add(&world->histories, checkpoint->local->replica);
    }
    if (history == NULL) {
      continue;
    }
    one_primary(node, checkpoint, history);
    uint64_t count = history->count;
    if (checkpoint->local != NULL) {
      follow(node, checkpoint, history);
      must_have_all_that_is_read(node, history);
    } else {
      history->copies[node->id - 1] = (sim_copy_t){0};
    }
    for (uint32_t i = 0; i < world->node_count && history->count > count; i++) {
      must_have_all_that_is_read(&world->nodes[i], history);
    }
  }
}

static void usable_note(sim_node_t *node) {
  int64_t now_ns = node->world->now_ns;
  if (order_usable(node->node->cluster->order)) {
    int64_t away_ns = now_ns - node->usable_ns;
    node->away_ns_max = away_ns > node->away_ns_max ? away_ns : node->away_ns_max;
    node->usable_ns = now_ns;
    node->blank = false;
  }
}

void sim_witness_step(sim_node_t *node, const node_actions_t *actions) {
  (void)actions;
  usable_note(node);
  look(node);
}

void sim_witness_started(sim_node_t *node) {
  sim_world_t *world = node->world;
  for (uint32_t i = 0; i < world->histories.count; i++) {
    world->histories.items[i]->copies[node->id - 1] = (sim_copy_t){0};
  }
  look(node);
}

void sim_witness_diverged(sim_node_t *node, uint64_t checkpoint) {
  const sim_history_t *history = sim_histories_find(&node->world->histories, checkpoint);
  if (history != NULL && history->synchronous) {
    sim_fail(node->world, "NOTHING-LOST", "checkpoint %" PRIu64 " is synchronous and node %" PRIu32 " has diverged",
             checkpoint, node->id);
  }
}

void sim_witness_removed(sim_node_t *node, uint64_t checkpoint, bool lost) {
  sim_world_t *world = node->world;
  sim_history_t *history = sim_histories_find(&world->histories, checkpoint);
  if (history == NULL) {
    return;
  }
  if (!lost) { /* where that was done already, a later life finds its region gone and says so */
    history->dir_unlinked = true;
    return;
  }
  bool excused = world->wiped || history->dir_unlinked;
  for (uint64_t seq = 1; seq <= history->count && !excused && history->synchronous; seq++) {
    if (!vesta_token_is_none(history->records[seq - 1].session)) {
      sim_fail(world, "NOTHING-LOST", "checkpoint %" PRIu64 " is forgotten, at seq=%" PRIu64, checkpoint,
               history->count);
    }
  }
  history->removed = true;
}

bool sim_witness_may_end(const sim_agent_t *agent, uint64_t checkpoint) {
  const sim_world_t *world = agent->world;
  const sim_node_t *home = sim_home(agent);
  const sim_history_t *history = sim_histories_find(&world->histories, checkpoint);
  bool forgotten = checkpoint != 0 && (history == NULL || history->removed);
  int64_t away_ns = world->now_ns - home->usable_ns;
  away_ns = away_ns > home->away_ns_max ? away_ns : home->away_ns_max;
  return sim_clustered(world) &&
         (forgotten || agent->finalizing || away_ns + GRACE_SLACK_NS > world->plan.session_grace_ns);
}

/* ---- the whole ---- */

void sim_witness_compare(sim_node_t *node) {
  sim_world_t *world = node->world;
  size_t bucket = 0;
  directory_checkpoint_t *checkpoint = NULL;
  while ((checkpoint = directory_each(node->node->directory, &bucket, checkpoint)) != NULL) {
    const sim_history_t *history = sim_histories_find(&world->histories, checkpoint->id);
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
  const sim_history_t *history = sim_histories_find(&world->histories, checkpoint->id);
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
  for (uint32_t i = 0; i < world->node_count; i++) {
    sim_node_t *node = &world->nodes[i];
    sim_witness_compare(node);
    size_t bucket = 0;
    directory_checkpoint_t *checkpoint = NULL;
    while ((checkpoint = directory_each(node->node->directory, &bucket, checkpoint)) != NULL) {
      const sim_history_t *history = sim_histories_find(&world->histories, checkpoint->id);
      bool waited = directory_checkpoint(sim_world_directory(world), checkpoint->id) != NULL &&
                    checkpoint->local != NULL && directory_replica(checkpoint, node->id) != NULL;
      const char *differs = !waited ? NULL : sim_history_compare(history, checkpoint->local->replica);
      if (differs != NULL) {
        sim_fail(world, "REST", "node %" PRIu32 " checkpoint %" PRIu64 ": %s", node->id, checkpoint->id, differs);
      }
    }
  }
}

bool sim_witness_is_whole(const sim_world_t *world, const sim_node_t *node) {
  uint32_t count = 0;
  if (node->node == NULL || !order_usable(node->node->cluster->order)) {
    return false;
  }
  (void)order_participants(node->node->cluster->order, &count);
  return count == world->node_count;
}

/* Does that node hold all that was ever committed? */
static bool has_all(const sim_world_t *world, uint32_t node, uint64_t id) {
  const sim_history_t *history = sim_histories_find(&world->histories, id);
  const node_t *there = world->nodes[node - 1].node;
  const directory_checkpoint_t *checkpoint = there == NULL ? NULL : directory_checkpoint(there->directory, id);
  if (history == NULL || checkpoint == NULL || checkpoint->local == NULL) {
    return false;
  }
  replica_status_t status;
  replica_status(checkpoint->local->replica, &status);
  return status.prepared_seq >= history->count &&
         (history->count == 0 || replica_epoch_of(checkpoint->local->replica, history->count) == history->epoch);
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
        another = another || (counts && has_all(world, checkpoint->replicas[r].node, checkpoint->id));
      }
      if (!another) {
        return false;
      }
    }
  }
  return true;
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

void sim_witness_read(sim_agent_t *agent, const sim_request_t *request, const wire_message_t *reply,
                      vesta_bytes_t payload) {
  sim_world_t *world = agent->world;
  const sim_handle_t *handle = &agent->handles[request->handle];
  const sim_history_t *history = sim_histories_find(&world->histories, handle->checkpoint);
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
  sim_table_t table;
  sim_table_init(&table);
  sim_section_t *section = NULL;
  if (history->attributes.sections_max == 1) {
    sim_change_t begin = {.kind = VESTA_KIND_CREATED, .expiry_ns = VESTA_TIME_END};
    (void)sim_table_apply(&table, &begin, &section);
  }
  bool fits = request->floor_seq == 0 && answer_fits(section, &asked, reply, payload, sim_wall_ns(world));
  for (uint64_t seq = 1; seq <= history->count && !fits; seq++) {
    const sim_record_t *record = &history->records[seq - 1];
    for (uint32_t i = 0; i < record->count; i++) {
      const sim_change_t *change = &record->changes[i];
      bool whole = change->kind == VESTA_KIND_UNLINKED || change->kind == VESTA_KIND_RETENTION_SET ||
                   change->kind == VESTA_KIND_EPOCH;
      if (!whole && vesta_bytes_equal(change->id, asked.id)) {
        (void)sim_table_apply(&table, change, &section);
      }
    }
    fits = seq >= request->floor_seq &&
           answer_fits(sim_table_find(&table, asked.id), &asked, reply, payload, sim_wall_ns(world));
  }
  sim_table_fini(&table);
  if (!fits && history->tails == NULL) {
    sim_fail(world, "READ",
             "process %" PRIu32 " #%" PRIu64 " checkpoint %" PRIu64 " is answered with %s, which was"
             " not so since seq=%" PRIu64,
             agent->index, request->number, history->id, vesta_err_name(err), request->floor_seq);
  }
}
