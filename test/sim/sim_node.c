/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See sim_node.h. A turn is as in vestad: one event, its actions, the operations that these had ordered, their actions
 * ..., and at the end what was committed is published.
 */
#include "test/sim/sim_node.h"

#include <inttypes.h>
#include <stdlib.h>

#include "core/node_cluster.h"
#include "test/sim/sim_memory.h"
#include "test/sim/sim_oracle.h"
#include "test/sim/sim_side.h"
#include "test/sim/sim_views.h"
#include "test/sim/sim_witness.h"
#include "test/sim/sim_world.h"

#define STORES_MAX 200U
#define REWRITE_NS_MAX (8 * SIM_SECOND_NS)

void sim_node_init(sim_node_t *node, sim_world_t *world, uint32_t id) {
  *node = (sim_node_t){.world = world,
                       .id = id,
                       .side = node->side,
                       .start_ns = world->now_ns,
                       .rewrite_ns = INT64_MAX,
                       .join_ns = INT64_MAX,
                       .busy_ns = INT64_MAX,
                       .usable_ns = world->now_ns,
                       .blank = true};
  node->decoder = wire_decoder_new();
  node->emitted = wire_decoder_new();
  sim_disk_init(&node->disk, &world->random, &world->story);
}

static void node_stop(sim_node_t *node) {
  sim_network_node_down(node);
  node_destroy(&node->node);
  publisher_destroy(&node->publisher);
  stream_server_destroy(&node->server);
  sim_pipe_clear(&node->queue);
  node->quorate = (order_ring_t){0};
  node->known_dead = 0;
  node->fetched = 0;
  memset(node->watches, 0, sizeof node->watches);
  sim_disk_let_go(&node->disk);
}

void sim_node_fini(sim_node_t *node) {
  node_stop(node);
  wire_decoder_destroy(&node->decoder);
  wire_decoder_destroy(&node->emitted);
  sim_disk_fini(&node->disk);
}

void sim_node_crash(sim_node_t *node, const char *why) {
  sim_world_t *world = node->world;
  sim_say(world, "node %" PRIu32 " dies %s", node->id, why);
  node_stop(node);
  if (node->disk.is_frozen) {
    sim_disk_thaw(&node->disk);
  }
  node->crashes++;
  node->trouble_ns = world->now_ns;
  node->start_ns = world->now_ns + sim_span(&world->random, SIM_MS, 2 * SIM_SECOND_NS);
  node->held_until_ns = 0;
  for (sim_link_t *link = world->links; link != NULL; link = link->next) {
    if (link->node == node->id - 1) {
      sim_link_close_by_node(world, link);
    }
  }
  for (uint32_t i = 0; i < SIM_SUBSCRIBERS_MAX; i++) {
    const sim_agent_t *agent = world->subscribers[i].agent;
    if (agent != NULL && sim_home(agent) == node) {
      sim_subscriber_disconnect(&world->subscribers[i], false);
    }
  }
}

/* ---- its parts ---- */

static void node_emit(void *context, const uint8_t topic[NOTIFY_TOPIC_BYTES], vesta_bytes_t head,
                      vesta_bytes_t payload) {
  sim_node_t *node = context;
  wire_message_t message;
  vesta_err_t err = wire_decode(node->emitted, head.data, head.size, &message);
  VESTA_ASSERT(err == VESTA_OK);
  bool gone = message.kind == WIRE_BEACON && (message.state & WIRE_BEACON_GONE) != 0;
  const sim_history_t *history = sim_histories_find(&node->side->histories, message.checkpoint);
  if (gone && !node->removes && sim_clustered(node->world) && history != NULL && !history->removed) {
    sim_fail(node->world, "STREAM-GONE", "node %" PRIu32 " says that checkpoint %" PRIu64 " is gone, and is wrong",
             node->id, message.checkpoint);
  }
  sim_subscribers_publish(node, topic, head, payload);
}

static uint64_t node_held_bytes(void *context) {
  const sim_node_t *node = context;
  return sim_chance(&node->world->random, node->world->odds.withhold) ? UINT64_MAX : 0;
}

static const replica_t *node_find_replica(void *context, uint64_t checkpoint_id, bool *gone) {
  const sim_node_t *node = context;
  *gone = node_is_gone(node->node, checkpoint_id);
  return node_replica(node->node, checkpoint_id);
}

static vesta_err_t node_parts_new(sim_node_t *node) {
  node_config_t config = {.node_id = node->id,
                          .clustered = sim_clustered(node->world),
                          .incarnation = ++node->incarnations,
                          .random = sim_clustered(node->world) ? sim_random(&node->world->random) | 1 : 0,
                          .policy = node->world->plan.policy,
                          .version_min = node->world->plan.version_min,
                          .version_max = node->world->plan.version_max[node->id - 1],
                          .replicas = node->world->plan.replicas,
                          .session_grace_ns = node->world->plan.session_grace_ns,
                          .storage = sim_disk_storage(&node->disk),
                          .stream_endpoints = vesta_bytes("sim://changes sim://requests", 28)};
  publisher_output_t output = {.context = node,
                               .emit = node_emit,
                               .held_bytes = node_held_bytes,
                               .held_bytes_max = VESTA_STREAM_QUEUE_BYTES_MAX};
  vesta_err_t err = node_new(&config, &node->node);
  if (err == VESTA_OK) {
    err = publisher_new(&output, 1, &node->publisher);
  }
  if (err == VESTA_OK) {
    node->server = stream_server_new();
    err = node->server == NULL ? VESTA_ERR_NO_MEMORY : VESTA_OK;
  }
  return err;
}

/* Sockets of subscribers on other machines find a node again when it starts, whatever it has lost. Nothing is delivered
 * to them here: it is what the node says to them that is judged. */
static void node_find_again(sim_node_t *node) {
  const sim_histories_t *histories = &node->side->histories;
  for (uint32_t i = 0; i < histories->count; i++) {
    uint8_t message[1 + NOTIFY_TOPIC_BYTES] = {1};
    notify_topic(message + 1, NOTIFY_CLASS_DATA, histories->items[i]->id);
    sim_node_subscription(node, vesta_bytes(message, sizeof message));
  }
}

/* ---- actions ---- */

static void act_send(sim_node_t *node, const node_action_t *action) {
  sim_world_t *world = node->world;
  sim_link_t *link = sim_link_find(world, action->link);
  sim_say(world, "node %" PRIu32 " -> link %" PRIu64 ": %s #%" PRIu64 " %s", node->id, action->link,
          wire_kind_name(action->message->kind), action->message->number,
          vesta_err_name((vesta_err_t)action->message->error));
  if (link != NULL && !link->node_closed) {
    sim_pipe_put(&link->down, sim_packet_encode(action->message, action->payload), sim_arrival_ns(world));
  }
}

static sim_watch_t *watch_find(sim_node_t *node, vesta_token_t session) {
  for (uint32_t i = 0; i < SIM_WATCHES_MAX; i++) {
    if (vesta_token_equal(node->watches[i].session, session)) {
      return &node->watches[i];
    }
  }
  return NULL;
}

static bool process_lives(const sim_node_t *node, uint32_t pid, uint64_t start) {
  const sim_world_t *world = node->world;
  for (uint32_t i = 0; i < world->agent_count; i++) {
    const sim_agent_t *agent = &world->agents[i];
    if (agent->state != SIM_AGENT_DEAD && agent->pid == pid && agent->start == start && sim_home(agent) == node) {
      return true;
    }
  }
  return false;
}

static void act_watch(sim_node_t *node, const node_action_t *action) {
  sim_world_t *world = node->world;
  sim_watch_t watch = {.session = action->session, .gone_ns = INT64_MAX};
  const sim_link_t *link = sim_link_find(world, action->link);
  uint32_t uid = 0;
  if (action->link == 0) {
    if (!node_session_process(node->node, action->session, &uid, &watch.pid, &watch.start)) {
      if (sim_clustered(world)) {
        return; /* it has ended in the same step */
      }
      sim_fail(world, "SESSION", "a session is to be watched that does not exist");
    }
  } else if (link != NULL) {
    watch.pid = link->pid;
    watch.start = link->start;
  }
  if (!process_lives(node, watch.pid, watch.start)) {
    watch.gone_ns = world->now_ns;
  }
  sim_watch_t *place = watch_find(node, action->session);
  place = place != NULL ? place : watch_find(node, (vesta_token_t){0});
  VESTA_ASSERT(place != NULL);
  *place = watch;
}

static void act_order(sim_node_t *node, const node_action_t *action) {
  sim_world_t *world = node->world;
  vesta_err_t err = sim_disk_append(&node->disk, action->message);
  sim_packet_t *packet = sim_packet_encode(action->message, (vesta_bytes_t){0});
  packet->tag = err == VESTA_OK ? NODE_EVENT_ORDERED : NODE_EVENT_REFUSED;
  packet->error = (int)err;
  sim_pipe_put(&node->queue, packet, 0);
  sim_say(world, "node %" PRIu32 " orders %s #%" PRIu64 " checkpoint=%" PRIu64 " member=%" PRIu64 ": %s", node->id,
          wire_kind_name(action->message->kind), action->message->number, action->message->checkpoint,
          action->message->member, vesta_err_name(err));
}

static bool journal_take(void *context, const wire_message_t *row) {
  sim_journal_add(context, row);
  return true;
}

static void journal_rewrite(sim_node_t *node) {
  sim_world_t *world = node->world;
  sim_journal_t ops = {0};
  bool whole = node_snapshot(node->node, journal_take, &ops);
  VESTA_ASSERT(whole);
  sim_say(world, "node %" PRIu32 " writes its journal anew: %" PRIu32 " for %" PRIu32 " operations", node->id,
          ops.count, node->disk.journal.count);
  sim_disk_rewrite(&node->disk, &ops);
  node->rewrite_ns = world->now_ns + sim_span(&world->random, SIM_MS, REWRITE_NS_MAX);
  if (!sim_clustered(world)) {
    sim_oracle_compare(node);
  }
}

static void act(sim_node_t *node, const node_action_t *action) {
  sim_world_t *world = node->world;
  switch (action->kind) {
    case NODE_ACTION_SEND: act_send(node, action); break;
    case NODE_ACTION_CLOSE_LINK:
      if (sim_link_find(world, action->link) != NULL) {
        sim_link_close_by_node(world, sim_link_find(world, action->link));
      }
      break;
    case NODE_ACTION_WATCH: act_watch(node, action); break;
    case NODE_ACTION_UNWATCH: {
      sim_watch_t *watch = watch_find(node, action->session);
      if (watch != NULL) {
        *watch = (sim_watch_t){0};
      }
      break;
    }
    case NODE_ACTION_ORDER: act_order(node, action); break;
    case NODE_ACTION_PUBLISH:
      sim_say(world, "node %" PRIu32 " commits checkpoint=%" PRIu64 " seq=%" PRIu64 " to %" PRIu64, node->id,
              action->checkpoint, action->first_seq, action->last_seq);
      publisher_committed(node->publisher, action->checkpoint, action->replica, action->first_seq, action->last_seq);
      break;
    case NODE_ACTION_REMOVED:
      sim_say(world, "node %" PRIu32 " removes checkpoint=%" PRIu64, node->id, action->checkpoint);
      node->removes = true;
      publisher_removed(node->publisher, action->checkpoint);
      node->removes = false;
      break;
    case NODE_ACTION_MULTICAST: sim_network_multicast(node, action->message); break;
    case NODE_ACTION_JOURNAL: /* not behind a gap */
      node->journal_broken = node->journal_broken || sim_disk_append(&node->disk, action->message) != VESTA_OK;
      break;
    case NODE_ACTION_REWRITE:
      node->journal_broken |= node->disk.full;
      if (!node->journal_broken) {
        journal_rewrite(node);
      }
      break;
    case NODE_ACTION_PEER: sim_network_send(node, action->node, action->message, action->payload); break;
    case NODE_ACTION_REJOIN: sim_network_rejoin(node); break;
    case NODE_ACTION_DIVERGED:
      sim_say(world, "node %" PRIu32 " has diverged on checkpoint=%" PRIu64, node->id, action->checkpoint);
      sim_witness_diverged(node, action->checkpoint);
      break;
    case NODE_ACTION_QUORUM:
      sim_say(world, "node %" PRIu32 " has %s", node->id, action->quorum ? "quorum" : "no quorum");
      publisher_quorum(node->publisher, action->quorum, node_find_replica, node);
      break;
  }
}

/* What may be done although a row could not be journalled before it. */
static bool is_local(node_action_kind_t kind) {
  return kind != NODE_ACTION_JOURNAL && kind != NODE_ACTION_REWRITE && kind != NODE_ACTION_MULTICAST;
}

/* False: it died in between. */
static bool carry_out(sim_node_t *node, const node_actions_t *actions) {
  bool failed = false; /* the journal, in this step */
  for (uint32_t i = 0; i < actions->count; i++) {
    if (sim_chance(&node->world->random, node->world->odds.crash_between)) {
      sim_node_crash(node, "between two actions");
      return false;
    }
    bool broken = node->journal_broken;
    if (!failed || is_local(actions->items[i].kind)) {
      act(node, &actions->items[i]);
    }
    if (node->journal_broken && !broken) {
      sim_say(node->world, "node %" PRIu32 " can't write its journal", node->id);
      node->falls_out = true;
      failed = true;
    }
  }
  return true;
}

/* ---- steps ---- */

static void node_on_store(void *context) {
  sim_node_t *node = context;
  if (node->stores_left > 0 && --node->stores_left == 0) {
    sim_disk_freeze(&node->disk);
  }
}

static void node_hook(sim_node_t *node, replica_store_hook_t hook) {
  size_t bucket = 0;
  directory_checkpoint_t *checkpoint = NULL;
  while ((checkpoint = directory_each(node->node->directory, &bucket, checkpoint)) != NULL) {
    if (checkpoint->local != NULL) {
      replica_store_hook(checkpoint->local->replica, hook, node);
    }
  }
}

/* False: it died. */
static bool node_make_step(sim_node_t *node, node_event_t *event) {
  sim_world_t *world = node->world;
  uint64_t failures = node->disk.failures;
  bool dies = sim_chance(&world->random, world->odds.crash_at_store);
  node_actions_t actions;
  event->wall_ns = sim_wall_ns(world);
  event->steady_ns = world->now_ns;
  if (dies) {
    node->stores_left = 1 + (uint32_t)sim_span(&world->random, 0, STORES_MAX);
    node_hook(node, node_on_store);
  }
  sim_memory_arm(sim_chance(&world->random, world->odds.memory) ? 1 + (unsigned)sim_below(&world->random, 4) : 0);
  node->disk.may_die = world->odds.crash_at_store > 0;
  node_step(node->node, event, &actions);
  node->disk.may_die = false;
  node->memory_failed = sim_memory_disarm();
  node->disk_failed = node->disk.failures != failures;
  node->stores_left = 0;
  if (node->disk.is_frozen) {
    sim_node_crash(node, "at a store");
    return false;
  }
  if (dies) {
    node_hook(node, NULL);
  }
  if (sim_clustered(world)) {
    sim_side_step(node);
    sim_views_step(node);
    sim_witness_step(node, event, &actions);
  } else {
    sim_oracle_step(node, event, &actions);
  }
  return carry_out(node, &actions);
}

/* What was ordered comes back, until nothing is left. */
static bool node_run_queue(sim_node_t *node) {
  bool lives = true;
  sim_packet_t *packet;
  while (lives && (packet = sim_pipe_take(&node->queue, 0)) != NULL) {
    wire_message_t message;
    vesta_err_t err = wire_decode(node->decoder, packet->head.data, packet->head.size, &message);
    VESTA_ASSERT(err == VESTA_OK);
    node_event_t event = {
        .kind = (node_event_kind_t)packet->tag, .message = &message, .error = (vesta_err_t)packet->error};
    lives = node_make_step(node, &event);
    free(packet);
  }
  return lives;
}

static bool is_known(void *context, uint64_t checkpoint) { return directory_checkpoint(context, checkpoint) != NULL; }

/* What an earlier life has left goes when the node knows all that was ordered before. */
static void node_sweep(sim_node_t *node) {
  bool knows = !sim_clustered(node->world) || node->node->cluster->caught_up;
  if (knows && !node->swept) {
    node->swept = true;
    sim_disk_sweep(&node->disk, is_known, node->node->directory);
  }
}

static void node_turn(sim_node_t *node, node_event_t *event) {
  if (node->held_until_ns != 0 && sim_clustered(node->world)) {
    sim_node_go_on(node);
  }
  bool whole = node_make_step(node, event) && node_run_queue(node);
  if (whole && node->falls_out) {
    node_event_t out = {.kind = NODE_EVENT_FALL_OUT};
    whole = node_make_step(node, &out);
  }
  node->falls_out = false;
  if (whole) {
    node_sweep(node);
    publisher_flush(node->publisher, node->world->now_ns);
  }
}

/* ---- start ---- */

static vesta_err_t node_restore_journal(sim_node_t *node) {
  vesta_err_t err = VESTA_OK;
  for (uint32_t i = 0; i < node->disk.journal.count && err == VESTA_OK; i++) {
    wire_message_t op;
    vesta_bytes_t bytes = node->disk.journal.ops[i];
    err = wire_decode(node->decoder, bytes.data, bytes.size, &op);
    if (err == VESTA_OK) {
      err = node_restore(node->node, &op);
    }
  }
  return err;
}

static void node_start_up(sim_node_t *node) {
  sim_world_t *world = node->world;
  node_actions_t actions;
  uint64_t failures = node->disk.failures;
  sim_memory_arm(sim_chance(&world->random, world->odds.memory) ? 1 + (unsigned)sim_below(&world->random, 60) : 0);
  vesta_err_t err = node_parts_new(node);
  if (err == VESTA_OK) {
    err = node_restore_journal(node);
  }
  if (err == VESTA_OK) {
    err = node_start(node->node, sim_wall_ns(world), world->now_ns, &actions);
  }
  node->memory_failed = sim_memory_disarm();
  node->disk_failed = node->disk.failures != failures;
  if (err != VESTA_OK) {
    sim_say(world, "node %" PRIu32 " cannot start: %s", node->id, vesta_err_name(err));
    if (!node->memory_failed && !node->disk_failed) {
      sim_fail(world, "NOTHING-LOST", "the node does not start: %s", vesta_err_name(err));
    }
    node_stop(node);
    node->start_ns = world->now_ns + 10 * SIM_MS;
    return;
  }
  sim_say(world, "node %" PRIu32 " starts", node->id);
  node->went_on_ns = world->now_ns;
  node->rewrite_ns = world->now_ns + sim_span(&world->random, SIM_MS, REWRITE_NS_MAX);
  node->swept = false;
  node_sweep(node);
  node->journal_broken = false;
  if (sim_clustered(world)) {
    sim_side_started(node);
    sim_witness_started(node);
    sim_network_node_up(node);
    publisher_quorum(node->publisher, node_has_quorum(node->node), node_find_replica, node);
  } else {
    sim_oracle_started(node);
  }
  if (carry_out(node, &actions) && node_run_queue(node)) {
    publisher_flush(node->publisher, world->now_ns);
  }
  node_find_again(node);
}

/* ---- time ---- */

static int64_t earlier(int64_t a, int64_t b) { return a < b ? a : b; }

static sim_watch_t *watch_first_gone(sim_node_t *node) {
  sim_watch_t *first = NULL;
  for (uint32_t i = 0; i < SIM_WATCHES_MAX; i++) {
    sim_watch_t *watch = &node->watches[i];
    if (!vesta_token_is_none(watch->session) && watch->gone_ns != INT64_MAX &&
        (first == NULL || watch->gone_ns < first->gone_ns)) {
      first = watch;
    }
  }
  return first;
}

static int64_t node_due_ns(const sim_node_t *node) {
  if (node->node == NULL) {
    return node->start_ns;
  }
  const sim_watch_t *gone = watch_first_gone((sim_node_t *)(uintptr_t)node);
  int64_t due_ns = earlier(node_wake_ns(node->node), publisher_wake_ns(node->publisher));
  return earlier(earlier(due_ns, node->rewrite_ns), gone == NULL ? INT64_MAX : gone->gone_ns);
}

int64_t sim_node_due_ns(const sim_node_t *node) {
  return node->held_until_ns != 0 ? node->held_until_ns : node_due_ns(node);
}

void sim_node_time(sim_node_t *node) {
  int64_t now_ns = node->world->now_ns;
  if (node->held_until_ns != 0) {
    sim_node_go_on(node);
    return;
  }
  if (node->node == NULL) {
    node_start_up(node);
    return;
  }
  sim_watch_t *gone = watch_first_gone(node);
  if (gone != NULL && gone->gone_ns <= now_ns) {
    node_event_t event = {.kind = NODE_EVENT_PROCESS_GONE, .session = gone->session};
    gone->gone_ns = INT64_MAX;
    sim_say(node->world, "node %" PRIu32 " hears of the death of process %" PRIu32, node->id, gone->pid);
    node_turn(node, &event);
    return;
  }
  if (node_wake_ns(node->node) <= now_ns) {
    node_event_t event = {.kind = NODE_EVENT_TIME};
    node_turn(node, &event);
    return;
  }
  if (publisher_wake_ns(node->publisher) <= now_ns) {
    publisher_time(node->publisher, now_ns, node_find_replica, node);
    return;
  }
  if (node->rewrite_ns <= now_ns) {
    journal_rewrite(node);
  }
}

/* ---- what arrives ---- */

void sim_node_request(sim_node_t *node, const sim_link_t *link, const sim_packet_t *packet) {
  sim_world_t *world = node->world;
  wire_message_t message;
  vesta_err_t err = wire_decode(node->decoder, packet->head.data, packet->head.size, &message);
  VESTA_ASSERT(err == VESTA_OK);
  sim_say(world, "node %" PRIu32 " <- link %" PRIu64 ": %s #%" PRIu64, node->id, link->number,
          wire_kind_name(message.kind), message.number);
  vesta_token_t random = {.hi = sim_random(&world->random)};
  random.lo = sim_random(&world->random);
  node_event_t event = {.kind = NODE_EVENT_REQUEST,
                        .link = link->number,
                        .message = &message,
                        .payload = packet->payload,
                        .random = random,
                        .uid = 1000,
                        .pid = link->pid,
                        .start = link->start,
                        .watched = link->watched};
  node_turn(node, &event);
}

void sim_node_link_gone(sim_node_t *node, uint64_t link) {
  node_event_t event = {.kind = NODE_EVENT_LINK_GONE, .link = link};
  sim_say(node->world, "node %" PRIu32 " sees that link %" PRIu64 " has ended", node->id, link);
  node_turn(node, &event);
}

void sim_node_process_died(sim_node_t *node, uint32_t pid, uint64_t start) {
  sim_world_t *world = node->world;
  for (uint32_t i = 0; i < SIM_WATCHES_MAX; i++) {
    sim_watch_t *watch = &node->watches[i];
    if (!vesta_token_is_none(watch->session) && watch->pid == pid && watch->start == start) {
      watch->gone_ns = sim_arrival_ns(world);
    }
  }
}

void sim_node_subscription(sim_node_t *node, vesta_bytes_t message) {
  if (node->node != NULL) {
    (void)publisher_subscription(node->publisher, 0, message, node_find_replica, node, node->world->now_ns);
  }
}

sim_packet_t *sim_node_question(sim_node_t *node, const sim_packet_t *packet) {
  wire_message_t request;
  vesta_err_t err = wire_decode(node->decoder, packet->head.data, packet->head.size, &request);
  VESTA_ASSERT(err == VESTA_OK);
  const replica_t *replica = node_replica(node->node, request.checkpoint);
  err = node_stream_check(node->node, wire_token(&request), request.checkpoint);
  if (err == VESTA_OK && node_may_be_behind(node->node, request.checkpoint, wire_pos_from(&request))) {
    err = VESTA_ERR_TRY_AGAIN;
  }
  if (err == VESTA_OK) {
    vesta_bytes_t head, payload;
    stream_server_answer(node->server, replica, &request, &head, &payload);
    return sim_packet_new(head, payload);
  }
  wire_message_t refusal = {.kind = request.kind == WIRE_SNAPSHOT_GET ? WIRE_SNAPSHOT_CHUNK : WIRE_HISTORY_CHUNK,
                            .number = request.number,
                            .checkpoint = request.checkpoint,
                            .error = (uint64_t)err};
  return sim_packet_encode(&refusal, (vesta_bytes_t){0});
}

/* ---- in a cluster ---- */

void sim_node_group_event(sim_node_t *node, const sim_group_event_t *from) {
  sim_world_t *world = node->world;
  wire_message_t message;
  node_event_t event = {.ring = {.seq = from->ring_seq, .node = from->ring_node}};
  switch (from->kind) {
    case SIM_GROUP_VIEW:
      event.kind = NODE_EVENT_VIEW;
      event.members = from->members;
      event.member_count = from->count;
      for (uint32_t i = 0; i < from->count; i++) {
        node->known_dead &= ~(1U << (from->members[i] - 1));
      }
      sim_say(world, "node %" PRIu32 " sees a view of %" PRIu32 " in ring %" PRIu64, node->id, from->count,
              from->ring_seq);
      break;
    case SIM_GROUP_QUORUM:
      event.kind = NODE_EVENT_QUORUM;
      event.quorate = from->quorate;
      event.expected = from->expected;
      node->quorate = from->quorate ? event.ring : (order_ring_t){0};
      sim_say(world, "node %" PRIu32 " is told that ring %" PRIu64 " is %squorate", node->id, from->ring_seq,
              from->quorate ? "" : "not ");
      break;
    case SIM_GROUP_MESSAGE: {
      vesta_err_t err = wire_decode(node->decoder, from->bytes, from->size, &message);
      VESTA_ASSERT(err == VESTA_OK);
      event.kind = NODE_EVENT_GROUP;
      event.node = from->from;
      event.message = &message;
      if (message.kind != WIRE_GROUP_BEAT && message.kind != WIRE_GROUP_ACK) {
        sim_say(world, "node %" PRIu32 " is delivered %s of node %" PRIu32, node->id, wire_kind_name(message.kind),
                from->from);
      }
      break;
    }
  }
  node_turn(node, &event);
}

void sim_node_peer(sim_node_t *node, uint32_t from, const sim_packet_t *packet) {
  wire_message_t message;
  vesta_err_t err = wire_decode(node->decoder, packet->head.data, packet->head.size, &message);
  VESTA_ASSERT(err == VESTA_OK);
  sim_say(node->world,
          "node %" PRIu32 " <- node %" PRIu32 ": %s #%" PRIu64 " checkpoint=%" PRIu64 " epoch=%" PRIu64 " seq=%" PRIu64,
          node->id, from, wire_kind_name(message.kind), message.number, message.checkpoint, message.epoch, message.seq);
  node_event_t event = {.kind = NODE_EVENT_PEER, .node = from, .message = &message, .payload = packet->payload};
  node_turn(node, &event);
}

void sim_node_peer_up(sim_node_t *node, uint32_t peer) {
  node_event_t event = {.kind = NODE_EVENT_PEER_UP, .node = peer};
  sim_say(node->world, "node %" PRIu32 " has a link to node %" PRIu32, node->id, peer);
  node_turn(node, &event);
}

void sim_node_fenced(sim_node_t *node, uint32_t peer) {
  node_event_t event = {.kind = NODE_EVENT_FENCED, .node = peer};
  node->known_dead |= 1U << (peer - 1);
  sim_say(node->world, "node %" PRIu32 " is told that node %" PRIu32 " is dead", node->id, peer);
  node_turn(node, &event);
}

bool sim_node_may_join(sim_node_t *node) {
  if (node->journal_broken && !node->disk.full) {
    journal_rewrite(node);
    node->journal_broken = false;
  }
  return !node->journal_broken && !sim_group_joined(node->world->network.group, node->id);
}

void sim_node_hold(sim_node_t *node, int64_t until_ns) {
  sim_say(node->world, "node %" PRIu32 " is stopped", node->id);
  node->held_until_ns = until_ns;
  sim_group_hold(node->world->network.group, node->id, true);
}

void sim_node_go_on(sim_node_t *node) {
  node->held_until_ns = 0;
  node->went_on_ns = node->world->now_ns;
  node->trouble_ns = node->world->now_ns;
  sim_group_hold(node->world->network.group, node->id, false);
}

void sim_node_upgrade(sim_node_t *node) {
  uint32_t *version = &node->world->plan.version_max[node->id - 1];
  if (*version < SIM_VERSION_MAX) {
    ++*version;
    sim_node_crash(node, "to be upgraded");
    sim_say(node->world, "node %" PRIu32 " speaks version %" PRIu32 " from now on", node->id, *version);
  }
}

void sim_node_wipe(sim_node_t *node) {
  sim_world_t *world = node->world;
  if (node->node != NULL) {
    sim_node_crash(node, "with its machine, and its files are lost");
  }
  sim_disk_fini(&node->disk);
  sim_disk_init(&node->disk, &world->random, &world->story);
  node->blank = true;
  node->wiped_ns = world->now_ns;
  for (uint32_t i = 0; i < world->agent_count; i++) {
    if (sim_home(&world->agents[i]) == node) {
      sim_agent_kill(&world->agents[i]);
    }
  }
}
