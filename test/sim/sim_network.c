/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See sim_network.h.
 */
#include "test/sim/sim_network.h"

#include <inttypes.h>
#include <stdlib.h>

#include "test/sim/sim_memory.h"
#include "test/sim/sim_world.h"

#define LINK_NS_MAX (500 * SIM_MS)
#define BLOCKED_NS_MAX (8 * SIM_SECOND_NS)
#define BUSY_NS_MAX (20 * SIM_MS)
#define REJOIN_NS_MAX (300 * SIM_MS)

/* ---- life ---- */

void sim_network_init(sim_world_t *world) {
  sim_network_t *network = &world->network;
  sim_random_t *random = &world->random;
  if (world->node_count == 1) {
    return;
  }
  sim_group_config_t config = {.nodes = world->node_count,
                               .half_is_quorate = world->node_count == 2,
                               .delay_ns_max = sim_span(random, 100 * SIM_US, 50 * SIM_MS),
                               .detect_ns_max = sim_span(random, SIM_MS, SIM_SECOND_NS),
                               .news_ns_max = sim_span(random, 0, 200 * SIM_MS),
                               .busy = sim_percent(random, 50) ? 0 : 100000,
                               .alone = sim_percent(random, 50) ? 0 : 300000,
                               .flicker = sim_percent(random, 50) ? 0 : 100000,
                               .early = sim_percent(random, 50) ? 0 : 300000};
  if (world->climate == SIM_CLIMATE_SPLITS) {
    config.news_ns_max = sim_span(random, 10 * SIM_MS, SIM_SECOND_NS);
    config.alone = 300000;
  }
  network->group = sim_group_new(&config, random, world->now_ns);
  for (uint32_t i = 0; i < world->node_count; i++) {
    for (uint32_t j = 0; j < world->node_count; j++) {
      network->link_ns[i][j] = INT64_MAX;
      network->lanes[i][j].told_ns = INT64_MAX;
    }
  }
}

void sim_network_fini(sim_world_t *world) {
  sim_group_destroy(&world->network.group);
  for (uint32_t i = 0; i < world->node_count; i++) {
    for (uint32_t j = 0; j < world->node_count; j++) {
      sim_pipe_clear(&world->network.lanes[i][j].pipe);
    }
  }
}

/* ---- links ---- */

static bool *linked(sim_network_t *network, uint32_t i, uint32_t j) {
  return i < j ? &network->linked[i][j] : &network->linked[j][i];
}

static int64_t *link_ns(sim_network_t *network, uint32_t i, uint32_t j) {
  return i < j ? &network->link_ns[i][j] : &network->link_ns[j][i];
}

static bool can_link(const sim_world_t *world, uint32_t i, uint32_t j) {
  return world->nodes[i].node != NULL && world->nodes[j].node != NULL &&
         sim_group_reach(world->network.group, i + 1, j + 1);
}

static void link_later(sim_world_t *world, uint32_t i, uint32_t j) {
  *link_ns(&world->network, i, j) =
      can_link(world, i, j) ? world->now_ns + sim_span(&world->random, 0, world->healing ? SIM_MS : LINK_NS_MAX)
                            : INT64_MAX;
}

static void link_break(sim_world_t *world, uint32_t i, uint32_t j) {
  sim_network_t *network = &world->network;
  if (*linked(network, i, j)) {
    *linked(network, i, j) = false;
    sim_say(world, "the link of nodes %" PRIu32 " and %" PRIu32 " breaks", i + 1, j + 1);
  }
  for (uint32_t way = 0; way < 2; way++) {
    sim_lane_t *lane = way == 0 ? &network->lanes[i][j] : &network->lanes[j][i];
    sim_pipe_clear(&lane->pipe);
    lane->told_ns = INT64_MAX;
    lane->blocked_until_ns = 0;
  }
  link_later(world, i, j);
}

static void link_make(sim_world_t *world, uint32_t i, uint32_t j) {
  sim_network_t *network = &world->network;
  *link_ns(network, i, j) = INT64_MAX;
  if (can_link(world, i, j)) {
    *linked(network, i, j) = true;
    network->lanes[i][j].told_ns = sim_arrival_ns(world);
    network->lanes[j][i].told_ns = sim_arrival_ns(world);
  }
}

void sim_network_node_up(sim_node_t *node) {
  sim_world_t *world = node->world;
  if (sim_group_joined(world->network.group, node->id)) { /* its ghost goes */
    sim_group_leave(world->network.group, node->id, world->now_ns);
  }
  node->join_ns = world->now_ns + sim_span(&world->random, 0, world->healing ? SIM_MS : REJOIN_NS_MAX);
  for (uint32_t i = 0; i < world->node_count; i++) {
    if (i != node->id - 1) {
      link_later(world, node->id - 1, i);
    }
  }
}

void sim_network_node_down(sim_node_t *node) {
  sim_world_t *world = node->world;
  if (world->network.group == NULL) {
    return;
  }
  node->join_ns = INT64_MAX;
  node->busy_ns = INT64_MAX;
  sim_group_hold(world->network.group, node->id, false);
  sim_pipe_clear(&node->outbox);
  if (sim_group_joined(world->network.group, node->id)) {
    sim_group_leave(world->network.group, node->id, world->now_ns);
  }
  for (uint32_t i = 0; i < world->node_count; i++) {
    if (i != node->id - 1) {
      link_break(world, node->id - 1, i);
    }
  }
}

void sim_network_rejoin(sim_node_t *node) {
  sim_world_t *world = node->world;
  sim_say(world, "node %" PRIu32 " leaves the group", node->id);
  if (sim_group_joined(world->network.group, node->id)) {
    sim_group_leave(world->network.group, node->id, world->now_ns);
  }
  sim_pipe_clear(&node->outbox);
  node->busy_ns = INT64_MAX;
  node->join_ns = world->now_ns + sim_span(&world->random, 0, REJOIN_NS_MAX);
}

/* ---- sending ---- */

#define FIELD_OF_TOMORROW 0x7f /* of the map that a message is; no such one is defined */

/* A newer program says more than an older one knows: another field, of any kind. Who does not know it skips it. */
static sim_packet_t *packet_of(const sim_node_t *node, const wire_message_t *message, vesta_bytes_t payload) {
  static const uint8_t values[][6] = {
      {1, 0xc0}, {5, 0xc4, 3, 1, 2, 3}, {5, 0x82, 1, 2, 3, 4}, {4, 0x93, 1, 0xc3, 0x90}};
  sim_world_t *world = node->world;
  sim_packet_t *plain = sim_packet_encode(message, payload);
  uint8_t map = plain->head.data[0];
  if (world->plan.version_max[node->id - 1] == 1 || map < 0x80 || map >= 0x8f || sim_percent(&world->random, 50)) {
    return plain;
  }
  const uint8_t *value = values[sim_below(&world->random, sizeof values / sizeof values[0])];
  uint8_t *head = sim_memory_get(plain->head.size + 1 + sizeof values[0]);
  memcpy(head, plain->head.data, plain->head.size);
  head[0]++;
  head[plain->head.size] = FIELD_OF_TOMORROW;
  memcpy(head + plain->head.size + 1, value + 1, value[0]);
  sim_packet_t *packet = sim_packet_new(vesta_bytes(head, plain->head.size + 1 + value[0]), payload);
  free(head);
  free(plain);
  return packet;
}

/* What the engine does not take now stays, and all behind it. */
static void outbox_flush(sim_node_t *node) {
  sim_world_t *world = node->world;
  node->busy_ns = INT64_MAX;
  while (node->outbox.first != NULL) {
    const sim_packet_t *packet = node->outbox.first;
    if (!sim_group_multicast(world->network.group, node->id, packet->head.data, packet->head.size, world->now_ns)) {
      node->busy_ns = world->now_ns + sim_span(&world->random, SIM_US, BUSY_NS_MAX);
      return;
    }
    free(sim_pipe_take(&node->outbox, INT64_MAX));
  }
}

void sim_network_multicast(sim_node_t *node, const wire_message_t *message) {
  if (sim_group_joined(node->world->network.group, node->id)) {
    sim_pipe_put(&node->outbox, packet_of(node, message, (vesta_bytes_t){0}), 0);
    outbox_flush(node);
  }
}

void sim_network_send(sim_node_t *node, uint32_t to, const wire_message_t *message, vesta_bytes_t payload) {
  sim_world_t *world = node->world;
  if (to == 0 || to > world->node_count || to == node->id) {
    sim_fail(world, "PEERS", "node %" PRIu32 " sends to node %" PRIu32, node->id, to);
  }
  if (*linked(&world->network, node->id - 1, to - 1)) {
    sim_lane_t *lane = &world->network.lanes[node->id - 1][to - 1];
    sim_pipe_put(&lane->pipe, packet_of(node, message, payload), sim_arrival_ns(world));
  }
}

/* ---- time ---- */

typedef enum network_kind {
  NETWORK_GROUP,
  NETWORK_JOIN,
  NETWORK_BUSY,
  NETWORK_LINK,
  NETWORK_TOLD,
  NETWORK_PACKET
} network_kind_t;

typedef struct network_next {
  int64_t due_ns;
  network_kind_t kind;
  uint32_t i, j;
} network_next_t;

static void consider(network_next_t *next, int64_t due_ns, network_kind_t kind, uint32_t i, uint32_t j) {
  if (due_ns < next->due_ns) {
    *next = (network_next_t){.due_ns = due_ns, .kind = kind, .i = i, .j = j};
  }
}

static int64_t later(int64_t a, int64_t b) { return a > b ? a : b; }

static network_next_t network_next(const sim_world_t *world) {
  const sim_network_t *network = &world->network;
  network_next_t next = {.due_ns = INT64_MAX};
  if (network->group == NULL) {
    return next;
  }
  consider(&next, sim_group_wake_ns(network->group), NETWORK_GROUP, 0, 0);
  for (uint32_t i = 0; i < world->node_count; i++) {
    const sim_node_t *node = &world->nodes[i];
    if (node->node != NULL) {
      consider(&next, later(node->join_ns, node->held_until_ns), NETWORK_JOIN, i, 0);
      consider(&next, later(node->busy_ns, node->held_until_ns), NETWORK_BUSY, i, 0);
    }
    for (uint32_t j = 0; j < world->node_count; j++) {
      const sim_lane_t *lane = &network->lanes[i][j];
      int64_t held_ns = world->nodes[j].held_until_ns;
      consider(&next, network->link_ns[i][j], NETWORK_LINK, i, j);
      consider(&next, later(lane->told_ns, node->held_until_ns), NETWORK_TOLD, i, j);
      consider(&next, later(later(sim_pipe_due_ns(&lane->pipe), lane->blocked_until_ns), held_ns), NETWORK_PACKET, i,
               j);
    }
  }
  return next;
}

int64_t sim_network_due_ns(const sim_world_t *world) { return network_next(world).due_ns; }

static void group_turn(sim_world_t *world) {
  sim_group_event_t event;
  if (sim_group_take(world->network.group, world->now_ns, &event) && world->nodes[event.node - 1].node != NULL) {
    sim_node_group_event(&world->nodes[event.node - 1], &event);
  }
}

void sim_network_turn(sim_world_t *world) {
  network_next_t next = network_next(world);
  sim_node_t *node = &world->nodes[next.i];
  switch (next.kind) {
    case NETWORK_GROUP: group_turn(world); break;
    case NETWORK_JOIN:
      node->join_ns = INT64_MAX;
      if (sim_node_may_join(node)) {
        sim_say(world, "node %" PRIu32 " joins the group", node->id);
        sim_group_join(world->network.group, node->id, world->now_ns);
      } else {
        node->join_ns = world->now_ns + REJOIN_NS_MAX;
      }
      break;
    case NETWORK_BUSY: outbox_flush(node); break;
    case NETWORK_LINK: link_make(world, next.i, next.j); break;
    case NETWORK_TOLD:
      world->network.lanes[next.i][next.j].told_ns = INT64_MAX;
      sim_node_peer_up(node, next.j + 1);
      break;
    case NETWORK_PACKET: {
      sim_packet_t *packet = sim_pipe_take(&world->network.lanes[next.i][next.j].pipe, world->now_ns);
      sim_node_peer(&world->nodes[next.j], node->id, packet);
      free(packet);
      break;
    }
  }
}

/* ---- faults ---- */

static void sides_set(sim_world_t *world) {
  sim_group_sides(world->network.group, world->network.sides, world->now_ns);
  for (uint32_t i = 0; i < world->node_count; i++) {
    for (uint32_t j = i + 1; j < world->node_count; j++) {
      bool reach = sim_group_reach(world->network.group, i + 1, j + 1);
      if (!reach && world->network.linked[i][j]) {
        link_break(world, i, j);
      } else if (reach && !world->network.linked[i][j] && world->network.link_ns[i][j] == INT64_MAX) {
        link_later(world, i, j);
      }
    }
  }
}

void sim_network_cut(sim_world_t *world) {
  uint32_t parts = sim_percent(&world->random, 80) ? 2 : 3;
  for (uint32_t i = 0; i < world->node_count; i++) {
    world->network.sides[i] = (uint8_t)sim_below(&world->random, parts);
  }
  sim_say(world, "the network is cut: %u %u %u %u %u", world->network.sides[0], world->network.sides[1],
          world->network.sides[2], world->network.sides[3], world->network.sides[4]);
  sides_set(world);
}

void sim_network_heal(sim_world_t *world) {
  sim_say(world, "the network is whole");
  memset(world->network.sides, 0, sizeof world->network.sides);
  sides_set(world);
}

static void two_draw(sim_world_t *world, uint32_t *i, uint32_t *j) {
  *i = (uint32_t)sim_below(&world->random, world->node_count);
  *j = (*i + 1 + (uint32_t)sim_below(&world->random, world->node_count - 1)) % world->node_count;
}

void sim_network_break(sim_world_t *world) {
  uint32_t i, j;
  two_draw(world, &i, &j);
  if (*linked(&world->network, i, j)) {
    link_break(world, i, j);
  }
}

void sim_network_block(sim_world_t *world) {
  uint32_t i, j;
  two_draw(world, &i, &j);
  int64_t least_ns = world->climate == SIM_CLIMATE_LATE ? SIM_SECOND_NS : SIM_MS;
  world->network.lanes[i][j].blocked_until_ns = world->now_ns + sim_span(&world->random, least_ns, BLOCKED_NS_MAX);
  sim_say(world, "nothing comes from node %" PRIu32 " to node %" PRIu32 " for a while", i + 1, j + 1);
}

void sim_network_calm(sim_world_t *world) {
  if (world->network.group == NULL) {
    return;
  }
  for (uint32_t i = 0; i < world->node_count; i++) {
    for (uint32_t j = 0; j < world->node_count; j++) {
      world->network.lanes[i][j].blocked_until_ns = 0;
    }
  }
  sim_group_calm(world->network.group);
  sim_network_heal(world);
}
