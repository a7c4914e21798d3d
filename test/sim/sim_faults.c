/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See sim_faults.h.
 */
#include "test/sim/sim_faults.h"

#include <inttypes.h>

#include "test/sim/sim_witness.h"
#include "test/sim/sim_world.h"

typedef enum fault {
  FAULT_KILL,         /* a process */
  FAULT_STOP,         /* a process, for a while */
  FAULT_CUT_BY_AGENT, /* a link; what is under way to the node still arrives */
  FAULT_CUT_BY_NODE,  /* a link; the same the other way */
  FAULT_CUT_CALLBACKS,
  FAULT_CRASH,      /* the node, between two turns */
  FAULT_DISCONNECT, /* a subscriber's socket */
  FAULT_CLOCK,      /* the wall clock is set */
  FAULT_FULL,       /* the disk is full for a while */
  /* of a cluster */
  FAULT_CUT,     /* the network, into parts */
  FAULT_HEAL,    /* it is whole */
  FAULT_FLAP,    /* the group's ring forms anew */
  FAULT_BREAK,   /* the link of two nodes */
  FAULT_BLOCK,   /* one way between two nodes, for a while */
  FAULT_HOLD,    /* a node is stopped for a while */
  FAULT_WIPE,    /* a machine loses all it has */
  FAULT_FENCE,   /* a node is killed, and the others are told that it is dead */
  FAULT_GHOST,   /* a node is killed, and for a while a process is in the group in its place that says nothing */
  FAULT_UPGRADE, /* a node is stopped, and started as one that speaks a newer protocol */
} fault_t;
_Static_assert(FAULT_UPGRADE + 1 == SIM_FAULT_KINDS && FAULT_FULL + 1 == SIM_FAULT_KINDS_ALONE,
               "a weight for each kind");

/* None in half of the runs; otherwise somewhere between a most and a 64th of it. */
static uint32_t odds_draw(sim_world_t *world, uint32_t most) {
  return sim_percent(&world->random, 50) ? 0 : most >> sim_below(&world->random, 7);
}

/* ---- climates ---- */

#define CLIMATE_WEIGHTS 8U
#define PAGES_SHORT 300000U /* of a disk that is nearly full: one reservation fails, the next does not, in a million */

typedef struct climate {
  struct {
    fault_t fault;
    uint32_t weight;
  } weights[CLIMATE_WEIGHTS]; /* of weight 0: no more */
  int64_t pause_ns_max;
} climate_t;

static const climate_t climates[SIM_CLIMATES] = {
    [SIM_CLIMATE_FULL] = {.weights = {{FAULT_FULL, 8},
                                      {FAULT_BLOCK, 4},
                                      {FAULT_CRASH, 3},
                                      {FAULT_BREAK, 2},
                                      {FAULT_HOLD, 1},
                                      {FAULT_CUT, 1},
                                      {FAULT_HEAL, 2}},
                          .pause_ns_max = 300 * SIM_MS},
    [SIM_CLIMATE_SPLITS] = {.weights = {{FAULT_CUT, 4},
                                        {FAULT_HEAL, 4},
                                        {FAULT_FLAP, 3},
                                        {FAULT_GHOST, 3},
                                        {FAULT_UPGRADE, 1},
                                        {FAULT_CRASH, 1}},
                            .pause_ns_max = 1500 * SIM_MS},
    [SIM_CLIMATE_LATE] = {.weights = {{FAULT_BLOCK, 10},
                                      {FAULT_HOLD, 3},
                                      {FAULT_FLAP, 2},
                                      {FAULT_CUT, 1},
                                      {FAULT_HEAL, 2},
                                      {FAULT_UPGRADE, 1}},
                          .pause_ns_max = 400 * SIM_MS},
    [SIM_CLIMATE_ALONE] = {.weights = {{FAULT_BLOCK, 4},
                                       {FAULT_CRASH, 4},
                                       {FAULT_CUT, 3},
                                       {FAULT_HEAL, 3},
                                       {FAULT_BREAK, 2},
                                       {FAULT_FENCE, 1}},
                           .pause_ns_max = 1000 * SIM_MS},
};

sim_climate_t sim_climate_of(uint64_t seed) {
  sim_random_t random = {.state = ~seed};
  return sim_percent(&random, 50) ? SIM_CLIMATE_NONE
                                  : (sim_climate_t)sim_between(&random, SIM_CLIMATE_NONE + 1, SIM_CLIMATES - 1);
}

static void climate_set(sim_world_t *world, const climate_t *climate) {
  sim_faults_t *faults = &world->faults;
  memset(faults->weights, 0, sizeof faults->weights);
  faults->weight_sum = 0;
  for (uint32_t i = 0; i < CLIMATE_WEIGHTS; i++) {
    faults->weights[climate->weights[i].fault] += climate->weights[i].weight;
    faults->weight_sum += climate->weights[i].weight;
  }
  faults->pause_ns_max = climate->pause_ns_max;
  faults->due_ns = world->now_ns + SIM_SECOND_NS / 2;
}

void sim_faults_draw(sim_world_t *world) {
  sim_random_t *random = &world->random;
  world->odds = (sim_odds_t){.crash_between = odds_draw(world, 30000),
                             .crash_at_store = odds_draw(world, 60000),
                             .memory = odds_draw(world, 300000),
                             .disk = odds_draw(world, 200000),
                             .drop_published = odds_draw(world, 200000),
                             .lose_request = odds_draw(world, 200000),
                             .lose_answer = odds_draw(world, 200000),
                             .withhold = odds_draw(world, 100000),
                             .delay_ns_max = sim_span(random, 50 * SIM_US, 100 * SIM_MS),
                             .queue_max = sim_percent(random, 50) ? UINT32_MAX : (uint32_t)sim_between(random, 1, 50)};
  sim_faults_t *faults = &world->faults;
  for (uint32_t i = 0; i < (sim_clustered(world) ? SIM_FAULT_KINDS : SIM_FAULT_KINDS_ALONE); i++) {
    faults->weights[i] = sim_percent(random, 50) ? 0 : (uint32_t)sim_between(random, 1, 10);
    faults->weight_sum += faults->weights[i];
  }
  if (sim_clustered(world)) { /* there are more occasions */
    world->odds.crash_between /= 16;
    world->odds.crash_at_store /= 16;
    world->odds.memory /= 64;
    world->odds.disk /= 32;
  }
  faults->pause_ns_max = sim_span(random, 20 * SIM_MS, 3 * SIM_SECOND_NS);
  faults->due_ns = faults->weight_sum == 0 ? INT64_MAX : world->now_ns + SIM_SECOND_NS;
  if (world->climate != SIM_CLIMATE_NONE) {
    climate_set(world, &climates[world->climate]);
  }
  faults->of_disk = world->odds.disk != 0 || faults->weights[FAULT_FULL] != 0;
}

void sim_faults_cease(sim_world_t *world) {
  world->odds = (sim_odds_t){.delay_ns_max = SIM_MS, .queue_max = UINT32_MAX};
  world->faults.due_ns = INT64_MAX;
  for (uint32_t i = 0; i < world->node_count; i++) {
    world->nodes[i].disk.full = false;
    world->nodes[i].disk.fail_chance = 0;
    world->nodes[i].disk.page_chance = 0;
    if (world->nodes[i].held_until_ns != 0) {
      sim_node_go_on(&world->nodes[i]);
    }
  }
  for (uint32_t i = 0; i < world->agent_count; i++) {
    sim_agent_t *agent = &world->agents[i];
    agent->stopped_until_ns = 0;
    agent->due_ns = agent->state == SIM_AGENT_DEAD ? INT64_MAX : world->now_ns;
  }
  sim_network_calm(world);
}

static void agent_struck(sim_world_t *world, fault_t fault) {
  sim_agent_t *agent = &world->agents[sim_below(&world->random, world->agent_count)];
  if (fault == FAULT_KILL) {
    sim_agent_kill(agent);
  } else if (fault == FAULT_STOP) {
    agent->stopped_until_ns = world->now_ns + sim_span(&world->random, SIM_MS, 6 * SIM_SECOND_NS);
    sim_say(world, "process %" PRIu32 " is stopped", agent->index);
  } else if (fault == FAULT_CUT_BY_AGENT && agent->link != NULL) {
    sim_say(world, "process %" PRIu32 " closes link %" PRIu64, agent->index, agent->link->number);
    sim_link_t *link = agent->link;
    sim_link_close_by_agent(world, link);
    sim_agent_link_ended(agent, link);
  } else if (fault == FAULT_CUT_BY_NODE && agent->link != NULL && !agent->link->node_closed &&
             sim_home(agent)->node != NULL) {
    uint64_t number = agent->link->number;
    sim_say(world, "the node closes link %" PRIu64, number);
    sim_link_close_by_node(world, agent->link);
    sim_node_link_gone(sim_home(agent), number);
  } else if (fault == FAULT_CUT_CALLBACKS && agent->callbacks != NULL && !agent->callbacks->node_closed &&
             sim_home(agent)->node != NULL) {
    uint64_t number = agent->callbacks->number;
    sim_say(world, "the node closes callback link %" PRIu64, number);
    sim_link_close_by_node(world, agent->callbacks);
    sim_node_link_gone(sim_home(agent), number);
  }
}

static void clock_set(sim_world_t *world) {
  int64_t by_ns = sim_span(&world->random, SIM_MS, 5 * SIM_SECOND_NS);
  by_ns = sim_percent(&world->random, 50) ? by_ns : -by_ns;
  world->wall_ahead_ns += by_ns;
  world->wall_jumps++;
  sim_say(world, "the wall clock is set by %" PRId64 " ms", by_ns / SIM_MS);
}

/* The disk, too, has good and bad times. */
static void disk_turn(sim_world_t *world) {
  for (uint32_t i = 0; i < world->node_count; i++) {
    sim_disk_t *disk = &world->nodes[i].disk;
    disk->fail_chance = sim_percent(&world->random, 50) ? world->odds.disk : 0;
    disk->page_chance = world->climate == SIM_CLIMATE_FULL && sim_percent(&world->random, 60) ? PAGES_SHORT : 0;
    if (disk->full && world->now_ns >= world->faults.full_until_ns) {
      sim_say(world, "the disk of node %" PRIu32 " is not full any longer", i + 1);
      disk->full = false;
    }
  }
}

static sim_node_t *node_draw(sim_world_t *world) {
  return &world->nodes[sim_clustered(world) ? sim_below(&world->random, world->node_count) : 0];
}

/* It is surely dead, and stays so until all know. */
static void fence(sim_world_t *world, sim_node_t *node) {
  if (node->node != NULL) {
    sim_node_crash(node, "because it is fenced");
  }
  int64_t least_ns = world->now_ns + SIM_SECOND_NS;
  node->start_ns = node->start_ns > least_ns ? node->start_ns : least_ns;
  for (uint32_t i = 0; i < world->node_count; i++) {
    if (world->nodes[i].node != NULL) {
      sim_node_fenced(&world->nodes[i], node->id);
    }
  }
}

/* It dies, and until it starts again something is in the group in its place that never says anything. */
static void haunt(sim_world_t *world, sim_node_t *node) {
  sim_node_crash(node, "and its ghost is in the group");
  node->start_ns = world->now_ns + sim_between(&world->random, 500, 8000) * SIM_MS;
  sim_group_join(world->network.group, node->id, world->now_ns);
}

static void strike_cluster(sim_world_t *world, fault_t fault, sim_node_t *node) {
  if (fault == FAULT_CUT) {
    sim_network_cut(world);
  } else if (fault == FAULT_HEAL) {
    sim_network_heal(world);
  } else if (fault == FAULT_FLAP) {
    sim_group_flap(world->network.group, world->now_ns);
  } else if (fault == FAULT_BREAK) {
    sim_network_break(world);
  } else if (fault == FAULT_BLOCK) {
    sim_network_block(world);
  } else if (fault == FAULT_HOLD && node->node != NULL && node->held_until_ns == 0) {
    bool long_enough =
        world->climate == SIM_CLIMATE_LATE && sim_percent(&world->random, 50); /* to lose its primaries */
    sim_node_hold(node, world->now_ns + (long_enough ? sim_between(&world->random, 5, 9) * SIM_SECOND_NS
                                                     : sim_span(&world->random, SIM_MS, 12 * SIM_SECOND_NS)));
  } else if (fault == FAULT_WIPE && sim_witness_may_wipe(node)) {
    sim_node_wipe(node);
  } else if (fault == FAULT_FENCE) {
    fence(world, node);
  } else if (fault == FAULT_GHOST && node->node != NULL) {
    haunt(world, node);
  } else if (fault == FAULT_UPGRADE && node->node != NULL) {
    sim_node_upgrade(node);
  }
}

static void strike(sim_world_t *world, fault_t fault) {
  sim_node_t *node = node_draw(world);
  switch (fault) {
    case FAULT_KILL:
    case FAULT_STOP:
    case FAULT_CUT_BY_AGENT:
    case FAULT_CUT_BY_NODE:
    case FAULT_CUT_CALLBACKS: agent_struck(world, fault); break;
    case FAULT_CRASH:
      if (node->node != NULL) {
        sim_node_crash(node, "between two turns");
      }
      break;
    case FAULT_DISCONNECT:
      sim_subscriber_disconnect(&world->subscribers[sim_below(&world->random, SIM_SUBSCRIBERS_MAX)], true);
      break;
    case FAULT_CLOCK: clock_set(world); break;
    case FAULT_FULL:
      node->disk.full = true;
      world->faults.full_until_ns =
          world->now_ns + (world->climate == SIM_CLIMATE_FULL ? sim_between(&world->random, 100, 1500) * SIM_MS
                                                              : sim_span(&world->random, SIM_MS, SIM_SECOND_NS));
      sim_say(world, "the disk of node %" PRIu32 " is full", node->id);
      break;
    case FAULT_CUT:
    case FAULT_HEAL:
    case FAULT_FLAP:
    case FAULT_BREAK:
    case FAULT_BLOCK:
    case FAULT_HOLD:
    case FAULT_WIPE:
    case FAULT_FENCE:
    case FAULT_GHOST:
    case FAULT_UPGRADE: strike_cluster(world, fault, node); break;
  }
}

void sim_faults_strike(sim_world_t *world) {
  sim_faults_t *faults = &world->faults;
  disk_turn(world);
  uint64_t at = sim_below(&world->random, faults->weight_sum);
  uint32_t kind = 0;
  while (at >= faults->weights[kind]) {
    at -= faults->weights[kind++];
  }
  strike(world, (fault_t)kind);
  faults->due_ns = world->now_ns + sim_span(&world->random, SIM_MS, faults->pause_ns_max);
  if (faults->full_until_ns > world->now_ns && faults->due_ns > faults->full_until_ns) {
    faults->due_ns = faults->full_until_ns;
  }
}
