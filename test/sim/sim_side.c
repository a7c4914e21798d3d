/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See sim_side.h.
 */
#include "test/sim/sim_side.h"

#include <inttypes.h>
#include <stdlib.h>

#include "core/node_cluster.h"
#include "core/order_state.h"
#include "test/sim/sim_memory.h"
#include "test/sim/sim_world.h"

#define GRACE_SLACK_NS (2 * SIM_SECOND_NS)
#define ON_THE_WAY_NS SIM_SECOND_NS /* an answer that was given before */

/* ---- life ---- */

void sim_sides_init(sim_world_t *world) {
  sim_side_t *side = sim_memory_get(sizeof *side);
  sim_ledger_init(&side->ledger);
  sim_model_init(&side->model);
  for (uint32_t i = 0; i < world->node_count; i++) {
    world->nodes[i].side = side;
  }
}

static void side_free(sim_side_t *side) {
  sim_histories_fini(&side->histories);
  sim_ledger_fini(&side->ledger);
  sim_views_fini(&side->views);
  sim_model_fini(&side->model);
  free(side);
}

static void left_free(sim_node_t *node) {
  if (node->left != NULL) {
    side_free(node->left);
    node->left = NULL;
  }
}

/* The other node of two. */
static sim_node_t *other_of(const sim_node_t *node) { return &node->world->nodes[node->id % node->world->node_count]; }

bool sim_sides_apart(const sim_world_t *world) {
  return world->nodes[0].side != world->nodes[world->node_count - 1].side;
}

void sim_sides_fini(sim_world_t *world) {
  for (uint32_t i = 0; i < world->node_count; i++) {
    left_free(&world->nodes[i]);
  }
  if (sim_sides_apart(world)) {
    side_free(world->nodes[1].side);
  }
  side_free(world->nodes[0].side);
}

/* Subscribers there look at their checkpoint's history on the node's side. */
static void subscribers_move(sim_node_t *node) {
  for (uint32_t i = 0; i < SIM_SUBSCRIBERS_MAX; i++) {
    sim_subscriber_t *subscriber = &node->world->subscribers[i];
    if (subscriber->agent != NULL && sim_home(subscriber->agent) == node) {
      subscriber->history =
          sim_histories_of(&node->side->histories, subscriber->history->id, subscriber->history->lineage);
    }
  }
}

/* ---- a node goes on by itself ---- */

/* What it has now was there before. */
static void shared_note(sim_side_t *side) {
  for (uint32_t i = 0; i < side->histories.count; i++) {
    sim_history_t *history = side->histories.items[i];
    history->shared_seq = history->synchronous ? history->count : history->synchronized_seq;
  }
}

/* A copy of all that is known goes along. */
static void part(sim_node_t *node) {
  const sim_side_t *from = node->side;
  sim_side_t *side = sim_memory_get(sizeof *side);
  sim_histories_copy(&side->histories, &from->histories);
  sim_ledger_copy(&side->ledger, &from->ledger);
  sim_views_copy(&side->views, &from->views);
  sim_model_copy(&side->model, &from->model);
  for (uint32_t i = 0; i < side->histories.count; i++) {
    side->histories.items[i]->copies[other_of(node)->id - 1] = (sim_copy_t){0};
    from->histories.items[i]->copies[node->id - 1] = (sim_copy_t){0};
  }
  node->side = side;
  subscribers_move(node);
}

static void is_alone(sim_node_t *node) {
  sim_world_t *world = node->world;
  if (!sim_sides_apart(world)) {
    world->apart_ns = world->now_ns;
    world->apart_term = order_term(node->node->cluster->order);
    part(node);
  }
  if (!node->alone) {
    node->alone = true;
    shared_note(node->side);
    sim_say(world, "node %" PRIu32 " goes on by itself", node->id);
  }
}

/* ---- one of two goes on ---- */

static void history_join(sim_node_t *node, sim_side_t *to, sim_history_t *from) {
  sim_world_t *world = node->world;
  sim_history_t *history = sim_histories_of(&to->histories, from->id, from->lineage);
  if (!node->alone) {
    from->shared_seq = from->synchronous ? from->count : from->synchronized_seq;
  }
  if (history == NULL) {
    const directory_checkpoint_t *known = directory_checkpoint(to->model.directory, from->id);
    bool both = known != NULL && known->lineage == from->lineage; /* and there is no replica in the other half */
    from = sim_history_copy(from);
    from->half = both ? 0 : node->id;
    from->removed = !both;
    from->cuts++;
    from->copies[node->id - 1] = (sim_copy_t){.leads = from->copies[node->id - 1].leads};
    sim_histories_keep(&to->histories, from);
    return;
  }
  history->removed_apart = history->removed_apart || (from->removed && !history->removed);
  uint64_t common = sim_history_common(history, from);
  const char *wrong = sim_history_join(history, from, node->id, world->now_ns);
  if (wrong != NULL) {
    sim_fail(world, "SAME-HISTORY", "checkpoint %" PRIu64 ": %s", history->id, wrong);
  }
  history->copies[node->id - 1] = (sim_copy_t){.leads = from->copies[node->id - 1].leads};
  history->cuts = (history->cuts > from->cuts ? history->cuts : from->cuts) + 1;
  for (uint32_t i = 0; i < world->agent_count; i++) {
    if (sim_home(&world->agents[i]) == node) {
      history->acked[i] = from->acked[i] < common ? from->acked[i] : common;
    }
  }
}

/* Each half gives numbers to handles: is one of the process's another one in the half that goes on? */
static bool is_confused(const sim_agent_t *agent, const sim_side_t *from, const sim_side_t *to) {
  const directory_session_t *session = directory_session(from->model.directory, agent->token);
  bool confused = false;
  for (const directory_handle_t *h = session == NULL ? NULL : session->handles; h != NULL && !confused; h = h->next) {
    const directory_handle_t *there = directory_handle(to->model.directory, h->id);
    confused = there != NULL && vesta_token_equal(there->session->token, agent->token) &&
               (there->checkpoint->lineage != h->checkpoint->lineage || there->flags != h->flags);
  }
  return confused;
}

/* The node's half was given up: what it knew is no more, but for what `to` goes on with. */
static void join(sim_node_t *node, sim_side_t *to) {
  sim_world_t *world = node->world;
  sim_side_t *from = node->side;
  bool long_ago = sim_side_forgets(world);
  sim_say(world, "node %" PRIu32 " gives up its half", node->id);
  for (uint32_t i = 0; i < from->histories.count; i++) {
    history_join(node, to, from->histories.items[i]);
  }
  for (uint32_t i = 0; i < world->agent_count; i++) {
    sim_agent_t *agent = &world->agents[i];
    agent->confused = agent->confused || (sim_home(agent) == node && is_confused(agent, from, to));
  }
  sim_ledger_join(&to->ledger, &from->ledger);
  node->side = to;
  left_free(node);
  node->left = from;
  subscribers_move(node);
  node->given_up[node->given_up_count++ % SIM_GIVEN_UP_MAX] =
      (sim_given_up_t){.from_ns = world->apart_ns, .to_ns = world->now_ns + ON_THE_WAY_NS};
  node->away_long_ns = long_ago ? world->now_ns : node->away_long_ns;
}

/* Has that side applied the very history that the node has? */
static bool is_of(const sim_side_t *side, const order_t *order) {
  uint64_t digest = 0;
  for (uint64_t index = order->history->last; index > 0 && order_history_digest(order->history, index, &digest);
       index--) {
    if (index < side->views.count && side->views.digests[index] != 0) {
      return side->views.digests[index] == digest;
    }
  }
  return false;
}

void sim_side_started(sim_node_t *node) {
  const order_t *order = node->node->cluster->order;
  if (node->left != NULL && is_of(node->left, order)) {
    sim_say(node->world, "node %" PRIu32 " is in the half again that it had given up", node->id);
    sim_side_t *alone = sim_sides_apart(node->world) ? node->side : NULL; /* nobody else's */
    node->side = node->left;
    node->left = NULL;
    node->alone = true;
    subscribers_move(node);
    if (alone != NULL) {
      side_free(alone);
    }
  }
  left_free(node);
}

void sim_side_step(sim_node_t *node) {
  sim_world_t *world = node->world;
  const order_t *order = node->node->cluster->order;
  if (world->plan.policy != ORDER_TRUST) {
    return;
  }
  if (node->left != NULL && !node->journal_broken) { /* that it is of the other half is in its journal by now */
    left_free(node);
  }
  uint32_t count = 0;
  (void)order_participants(order, &count);
  bool usable = order_usable(order);
  if (usable && count == 1) {
    is_alone(node);
  }
  sim_side_t *there = other_of(node)->side;
  bool whole =
      order_state(order) == ORDER_ACTIVE && count == world->node_count && order_term(order) > world->apart_term;
  uint64_t fetched = order_counter(order, ORDER_COUNTER_FETCHED) + order_counter(order, ORDER_COUNTER_FETCHED_TAIL);
  bool taken = order->state == ORDER_OUT && order->fetch.mode == FETCH_NONE && fetched > node->fetched; /* too late */
  node->fetched = order->fetch.mode == FETCH_DONE ? fetched - 1 : fetched;
  if (node->side != there && ((whole && order->view.source != node->id) || taken)) {
    join(node, there);
  }
  bool back = whole && node->side == other_of(node)->side && other_of(node)->left == NULL; /* and that is in journals */
  node->alone = node->alone && !back;
}

bool sim_side_other_has(const sim_node_t *node, const sim_history_t *history, const replica_record_t *record) {
  const sim_side_t *there = other_of(node)->side;
  const sim_history_t *other =
      there == node->side ? NULL : sim_histories_of(&there->histories, history->id, history->lineage);
  const sim_record_t *known = other == NULL ? NULL : sim_history_record(other, record->epoch, record->seq);
  return known != NULL && sim_history_same(known, record);
}

bool sim_side_may_end(const sim_agent_t *agent, int64_t since_ns) {
  const sim_node_t *home = sim_home(agent);
  bool given_up = false;
  for (uint32_t i = 0; i < SIM_GIVEN_UP_MAX && i < home->given_up_count; i++) {
    given_up = given_up || (since_ns >= home->given_up[i].from_ns && since_ns <= home->given_up[i].to_ns);
  }
  return given_up;
}

bool sim_side_may_lack(const sim_agent_t *agent, int64_t since_ns) {
  const sim_node_t *home = sim_home(agent);
  uint32_t count = home->given_up_count;
  return count > 0 && since_ns <= home->given_up[(count - 1) % SIM_GIVEN_UP_MAX].to_ns;
}

bool sim_side_forgets(const sim_world_t *world) {
  return sim_sides_apart(world) && world->now_ns - world->apart_ns + GRACE_SLACK_NS > world->plan.session_grace_ns;
}

/* ---- rest ---- */

static void must_be_kept(sim_world_t *world, uint64_t checkpoint, uint32_t half) {
  const sim_node_t *node = &world->nodes[half - 1];
  if (sim_disk_look(&node->disk, checkpoint | NODE_REGION_DIVERGED) == NULL) {
    sim_fail(world, "KEPT", "node %" PRIu32 " had gone on with checkpoint %" PRIu64 " by itself, and has not kept it",
             half, checkpoint);
  }
}

static bool by_client(const sim_record_t *record) { return !vesta_token_is_none(record->session); }

static void tail_rest(sim_world_t *world, const sim_history_t *history, const sim_tail_t *tail) {
  bool lost = false;
  for (uint64_t i = 0; i < tail->count; i++) {
    const sim_record_t *record = &tail->records[i];
    vesta_pos_t at = {.lineage = history->lineage, .epoch = record->epoch, .seq = tail->first_seq + i};
    bool still = sim_history_has_still(history, at);
    if (!still && at.seq <= tail->shared_seq) {
      sim_fail(world, "NOTHING-LOST",
               "checkpoint %" PRIu64 " epoch=%" PRIu64 " seq=%" PRIu64 " was there before node %" PRIu32
               " went on by itself, and is not any more",
               history->id, at.epoch, at.seq, tail->half);
    }
    lost = lost || (!still && by_client(record));
  }
  if (lost && tail->lost_ns > world->nodes[tail->half - 1].wiped_ns) {
    must_be_kept(world, history->id, tail->half);
  }
}

void sim_sides_rest(sim_world_t *world) {
  if (sim_sides_apart(world)) {
    sim_fail(world, "ONE-GOES-ON", "all is at rest, and there are two clusters");
  }
  const sim_histories_t *histories = &world->nodes[0].side->histories;
  for (uint32_t i = 0; i < histories->count; i++) {
    const sim_history_t *history = histories->items[i];
    for (const sim_tail_t *tail = history->tails; tail != NULL && !history->removed; tail = tail->next) {
      if (tail->half != 0) {
        tail_rest(world, history, tail);
      }
    }
  }
}
