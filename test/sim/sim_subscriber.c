/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The sockets around a subscriber; its consumer is in sim_consumer.c. As in libvesta nothing happens unless the
 * application calls, so a slow or stopped one neither receives nor asks.
 */
#include "test/sim/sim_subscriber.h"

#include <inttypes.h>
#include <stdlib.h>

#include "test/sim/sim_consumer.h"
#include "test/sim/sim_memory.h"
#include "test/sim/sim_world.h"

#define RECONNECT_NS_MAX (200 * SIM_MS)

static void subscription(const sim_subscriber_t *subscriber, bool begins, uint8_t message[1 + NOTIFY_TOPIC_BYTES]) {
  message[0] = begins ? 1 : 0;
  notify_topic(message + 1, NOTIFY_CLASS_DATA, subscriber->history->id);
}

/* ---- life ---- */

/* Somewhere in the history; now and then a place that is not in it. */
static vesta_pos_t position_draw(sim_world_t *world, const sim_history_t *history) {
  vesta_pos_t position = {.lineage = history->lineage, .seq = sim_below(&world->random, history->count + 1)};
  position.epoch = position.seq == 0 ? 1 : history->records[position.seq - 1].epoch;
  if (sim_percent(&world->random, 20)) {
    switch (sim_below(&world->random, 3)) {
      case 0: position.seq += history->count + 1; break;
      case 1: position.lineage++; break;
      default: position.epoch++; break;
    }
  }
  return position;
}

static subscriber_config_t config_draw(sim_subscriber_t *subscriber, const wire_message_t *reply) {
  sim_world_t *world = subscriber->world;
  subscriber_config_t config = {.checkpoint_id = reply->checkpoint, .token = wire_token(reply)};
  bool of_pair = world->plan.names[subscriber->handle->name].of_pair;
  uint64_t start = of_pair ? 0 : sim_below(&world->random, 10);
  if (start == 8) {
    config.start = SUBSCRIBER_FROM_NOW;
  } else if (start == 9) {
    config.start = SUBSCRIBER_FROM_POSITION;
    config.position = position_draw(world, subscriber->history);
    subscriber->position = config.position;
    subscriber->mode = SIM_STREAM_FOLLOWING;
  }
  config.buffer_bytes = sim_percent(&world->random, 50) ? 0 : (uint64_t)sim_span(&world->random, 2000, 1000000);
  return config;
}

void sim_subscriber_begin(sim_agent_t *agent, sim_handle_t *handle, const wire_message_t *reply) {
  sim_world_t *world = agent->world;
  uint32_t at = 0;
  while (at < SIM_SUBSCRIBERS_MAX && world->subscribers[at].agent != NULL) {
    at++;
  }
  sim_history_t *history = sim_histories_find(&sim_home(agent)->side->histories, reply->checkpoint);
  if (at == SIM_SUBSCRIBERS_MAX || history == NULL) {
    return;
  }
  sim_subscriber_t *subscriber = &world->subscribers[at];
  *subscriber = (sim_subscriber_t){.agent = agent, .handle = handle, .world = world, .history = history};
  subscriber_config_t config = config_draw(subscriber, reply);
  subscriber->pause_ns_max = sim_percent(&world->random, 70) ? 0 : sim_span(&world->random, SIM_MS, SIM_SECOND_NS);
  subscriber->takes_max = (uint32_t)sim_span(&world->random, 1, 200);
  subscriber->connect_ns = sim_arrival_ns(world);
  subscriber->due_ns = INT64_MAX;
  sim_table_init(&subscriber->table);
  vesta_err_t err = subscriber_new(&config, world->now_ns, &subscriber->subscriber);
  VESTA_ASSERT(err == VESTA_OK);
  handle->subscriber = subscriber;
  sim_say(world, "subscriber %" PRIu32 " of process %" PRIu32 " begins on checkpoint %" PRIu64 ", start %d", at,
          agent->index, history->id, (int)config.start);
}

static void disconnect(sim_subscriber_t *subscriber, bool node_lives) {
  if (subscriber->connected && node_lives) {
    uint8_t message[1 + NOTIFY_TOPIC_BYTES];
    subscription(subscriber, false, message);
    sim_node_subscription(sim_home(subscriber->agent), vesta_bytes(message, sizeof message));
  }
  subscriber->connected = false;
  subscriber->connect_ns = INT64_MAX;
}

void sim_subscriber_end(sim_subscriber_t *subscriber) {
  disconnect(subscriber, true);
  subscriber_destroy(&subscriber->subscriber);
  sim_pipe_clear(&subscriber->published);
  sim_pipe_clear(&subscriber->questions);
  sim_pipe_clear(&subscriber->answers);
  sim_consumer_fini(subscriber);
  subscriber->handle->subscriber = NULL;
  *subscriber = (sim_subscriber_t){0};
}

void sim_subscriber_disconnect(sim_subscriber_t *subscriber, bool node_lives) {
  if (subscriber->agent != NULL && subscriber->connected) {
    disconnect(subscriber, node_lives);
    subscriber->connect_ns = subscriber->world->now_ns + sim_span(&subscriber->world->random, SIM_MS, RECONNECT_NS_MAX);
  }
}

void sim_subscriber_renew(sim_subscriber_t *subscriber, const wire_message_t *reply) {
  sim_world_t *world = subscriber->world;
  subscriber->renew_asked = false;
  if (reply->error != VESTA_OK) {
    subscriber->renew_wanted = true;
    return;
  }
  disconnect(subscriber, true);
  sim_pipe_clear(&subscriber->published);
  sim_pipe_clear(&subscriber->questions);
  sim_pipe_clear(&subscriber->answers);
  subscriber_resubscribed(subscriber->subscriber, wire_token(reply), world->now_ns);
  subscriber->connect_ns = sim_arrival_ns(world);
}

/* ---- the way from the node ---- */

void sim_subscribers_publish(sim_node_t *node, const uint8_t topic[NOTIFY_TOPIC_BYTES], vesta_bytes_t head,
                             vesta_bytes_t payload) {
  sim_world_t *world = node->world;
  uint8_t wanted[1 + NOTIFY_TOPIC_BYTES];
  for (uint32_t i = 0; i < SIM_SUBSCRIBERS_MAX; i++) {
    sim_subscriber_t *subscriber = &world->subscribers[i];
    if (subscriber->agent == NULL || !subscriber->connected || sim_home(subscriber->agent) != node) {
      continue;
    }
    subscription(subscriber, true, wanted);
    if (memcmp(wanted + 1, topic, NOTIFY_TOPIC_BYTES) == 0 && subscriber->published.count < world->odds.queue_max &&
        !sim_chance(&world->random, world->odds.drop_published)) {
      sim_pipe_put(&subscriber->published, sim_packet_new(head, payload), sim_arrival_ns(world));
    }
  }
}

static void connect(sim_subscriber_t *subscriber) {
  sim_world_t *world = subscriber->world;
  if (sim_home(subscriber->agent)->node == NULL) {
    subscriber->connect_ns = world->now_ns + sim_span(&world->random, SIM_MS, RECONNECT_NS_MAX);
    return;
  }
  uint8_t message[1 + NOTIFY_TOPIC_BYTES];
  subscription(subscriber, true, message);
  subscriber->connected = true;
  subscriber->connect_ns = INT64_MAX;
  sim_node_subscription(sim_home(subscriber->agent), vesta_bytes(message, sizeof message));
}

/* ---- turns ---- */

static bool is_slow(const sim_subscriber_t *subscriber) {
  return subscriber->pause_ns_max != 0 && !subscriber->world->healing;
}

static int64_t earlier(int64_t a, int64_t b) { return a < b ? a : b; }

int64_t sim_subscriber_due_ns(const sim_subscriber_t *subscriber) {
  if (subscriber->agent == NULL) {
    return INT64_MAX;
  }
  int64_t process_ns = subscriber->due_ns;
  if (!is_slow(subscriber)) {
    process_ns = earlier(process_ns, sim_pipe_due_ns(&subscriber->published));
    process_ns = earlier(process_ns, sim_pipe_due_ns(&subscriber->answers));
    process_ns = earlier(process_ns, subscriber_wake_ns(subscriber->subscriber));
  }
  if (sim_agent_stopped(subscriber->agent) && process_ns < subscriber->agent->stopped_until_ns) {
    process_ns = subscriber->agent->stopped_until_ns;
  }
  int64_t held_ns = sim_home(subscriber->agent)->held_until_ns;
  int64_t node_ns = earlier(subscriber->connect_ns, sim_pipe_due_ns(&subscriber->questions));
  return earlier(process_ns, node_ns > held_ns ? node_ns : held_ns);
}

static void question_arrives(sim_subscriber_t *subscriber, const sim_packet_t *question) {
  sim_world_t *world = subscriber->world;
  if (sim_home(subscriber->agent)->node == NULL || sim_chance(&world->random, world->odds.lose_answer)) {
    return;
  }
  sim_pipe_put(&subscriber->answers, sim_node_question(sim_home(subscriber->agent), question), sim_arrival_ns(world));
}

/* With memory that may run out. */
static void receive(sim_subscriber_t *subscriber, const sim_packet_t *packet,
                    vesta_err_t (*give)(subscriber_t *to, vesta_bytes_t head, vesta_bytes_t payload,
                                        int64_t steady_ns)) {
  sim_world_t *world = subscriber->world;
  sim_memory_arm(sim_chance(&world->random, world->odds.memory) ? 1 + (unsigned)sim_below(&world->random, 3) : 0);
  vesta_err_t err = give(subscriber->subscriber, packet->head, packet->payload, world->now_ns);
  bool failed = sim_memory_disarm();
  if (err != VESTA_OK && !(failed && err == VESTA_ERR_NO_MEMORY)) {
    sim_fail(world, "STREAM-ORDER", "a subscriber refuses a message: %s", vesta_err_name(err));
  }
}

static void renew(sim_subscriber_t *subscriber) {
  sim_agent_t *agent = subscriber->agent;
  if (subscriber->renew_wanted && !subscriber->renew_asked && sim_agent_may_ask(agent)) {
    wire_message_t stream = {.kind = WIRE_STREAM, .handle = subscriber->handle->id};
    sim_request_t *request = sim_agent_ask(agent, &stream, (vesta_bytes_t){0});
    request->handle = (uint32_t)(subscriber->handle - agent->handles);
    request->resubscribes = true;
    subscriber->renew_asked = true;
    subscriber->renew_wanted = false;
  }
}

/* What the process does when the application calls. */
static void process_turn(sim_subscriber_t *subscriber) {
  sim_world_t *world = subscriber->world;
  sim_packet_t *packet;
  while ((packet = sim_pipe_take(&subscriber->published, world->now_ns)) != NULL) {
    receive(subscriber, packet, subscriber_published);
    free(packet);
  }
  while ((packet = sim_pipe_take(&subscriber->answers, world->now_ns)) != NULL) {
    receive(subscriber, packet, subscriber_answered);
    free(packet);
  }
  bool more = sim_consumer_take(subscriber, is_slow(subscriber) ? subscriber->takes_max : UINT32_MAX);
  if (subscriber->mode == SIM_STREAM_OVER) {
    sim_subscriber_end(subscriber);
    return;
  }
  wire_message_t request;
  while (subscriber_request(subscriber->subscriber, world->now_ns, &request)) {
    if (!sim_chance(&world->random, world->odds.lose_request)) {
      sim_pipe_put(&subscriber->questions, sim_packet_encode(&request, (vesta_bytes_t){0}), sim_arrival_ns(world));
    }
  }
  subscriber->renew_wanted |= subscriber_silent(subscriber->subscriber, world->now_ns);
  renew(subscriber);
  subscriber->due_ns = more                       ? world->now_ns + SIM_US
                       : subscriber->renew_wanted ? world->now_ns + 20 * SIM_MS
                                                  : INT64_MAX;
  if (is_slow(subscriber)) {
    subscriber->due_ns = world->now_ns + sim_span(&world->random, SIM_US, subscriber->pause_ns_max);
  }
}

void sim_subscriber_turn(sim_subscriber_t *subscriber) {
  sim_world_t *world = subscriber->world;
  sim_packet_t *question = sim_pipe_take(&subscriber->questions, world->now_ns);
  if (question != NULL) {
    question_arrives(subscriber, question);
    free(question);
  } else if (subscriber->connect_ns <= world->now_ns) {
    connect(subscriber);
    if (is_slow(subscriber) && subscriber->due_ns == INT64_MAX) {
      subscriber->due_ns = world->now_ns;
    }
  } else if (!sim_agent_stopped(subscriber->agent)) {
    process_turn(subscriber);
  }
}

bool sim_subscriber_in_step(const sim_subscriber_t *subscriber) {
  subscriber_status_t status;
  subscriber_status(subscriber->subscriber, &status);
  return subscriber->mode == SIM_STREAM_FOLLOWING && subscriber->synced && status.synced && subscriber->index == 0 &&
         vesta_pos_equal(subscriber->position, sim_history_position(subscriber->history)) &&
         vesta_pos_equal(status.handed_out, subscriber->position);
}
