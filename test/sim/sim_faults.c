/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See sim_faults.h.
 */
#include "test/sim/sim_faults.h"

#include <inttypes.h>

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
} fault_t;
_Static_assert(FAULT_FULL + 1 == SIM_FAULT_KINDS, "a weight for each kind");

/* None in half of the runs; otherwise somewhere between a most and a 64th of it. */
static uint32_t odds_draw(sim_world_t *world, uint32_t most) {
  return sim_percent(&world->random, 50) ? 0 : most >> sim_below(&world->random, 7);
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
  for (uint32_t i = 0; i < SIM_FAULT_KINDS; i++) {
    faults->weights[i] = sim_percent(random, 50) ? 0 : (uint32_t)sim_between(random, 1, 10);
    faults->weight_sum += faults->weights[i];
  }
  faults->of_disk = world->odds.disk != 0 || faults->weights[FAULT_FULL] != 0;
  faults->pause_ns_max = sim_span(random, 20 * SIM_MS, 3 * SIM_SECOND_NS);
  faults->due_ns = faults->weight_sum == 0 ? INT64_MAX : world->now_ns + SIM_SECOND_NS;
}

void sim_faults_cease(sim_world_t *world) {
  world->odds = (sim_odds_t){.delay_ns_max = SIM_MS, .queue_max = UINT32_MAX};
  world->faults.due_ns = INT64_MAX;
  for (uint32_t i = 0; i < SIM_NODES; i++) {
    world->nodes[i].disk.full = false;
    world->nodes[i].disk.fail_chance = 0;
  }
  for (uint32_t i = 0; i < world->agent_count; i++) {
    sim_agent_t *agent = &world->agents[i];
    agent->stopped_until_ns = 0;
    agent->due_ns = agent->state == SIM_AGENT_DEAD ? INT64_MAX : world->now_ns;
  }
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
             world->nodes[0].node != NULL) {
    uint64_t number = agent->link->number;
    sim_say(world, "the node closes link %" PRIu64, number);
    sim_link_close_by_node(world, agent->link);
    sim_node_link_gone(&world->nodes[0], number);
  } else if (fault == FAULT_CUT_CALLBACKS && agent->callbacks != NULL && !agent->callbacks->node_closed &&
             world->nodes[0].node != NULL) {
    uint64_t number = agent->callbacks->number;
    sim_say(world, "the node closes callback link %" PRIu64, number);
    sim_link_close_by_node(world, agent->callbacks);
    sim_node_link_gone(&world->nodes[0], number);
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
  sim_disk_t *disk = &world->nodes[0].disk;
  disk->fail_chance = sim_percent(&world->random, 50) ? world->odds.disk : 0;
  if (disk->full && world->now_ns >= world->faults.full_until_ns) {
    sim_say(world, "the disk is not full any longer");
    disk->full = false;
  }
}

static void strike(sim_world_t *world, fault_t fault) {
  sim_node_t *node = &world->nodes[0];
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
      sim_subscriber_disconnect(&world->subscribers[sim_below(&world->random, SIM_SUBSCRIBERS_MAX)],
                                node->node != NULL);
      break;
    case FAULT_CLOCK: clock_set(world); break;
    case FAULT_FULL:
      node->disk.full = true;
      world->faults.full_until_ns = world->now_ns + sim_span(&world->random, SIM_MS, SIM_SECOND_NS);
      sim_say(world, "the disk is full");
      break;
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
  if (world->nodes[0].disk.full && faults->due_ns > faults->full_until_ns) {
    faults->due_ns = faults->full_until_ns;
  }
}
