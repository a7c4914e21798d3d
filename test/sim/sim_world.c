/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The clock: whatever is due first happens next. And the links between processes and the node.
 */
#include "test/sim/sim_world.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/node_cluster.h"
#include "test/sim/sim_memory.h"
#include "test/sim/sim_oracle.h"
#include "test/sim/sim_witness.h"

#define COMPARE_STEPS 500U        /* a whole comparison each so many steps */
#define LATE_STEPS 50U            /* likewise, a look at who waits */
#define STANDING_STEPS_MAX 20000U /* so much may happen without the clock moving */
#define ANSWERED_NS_MAX (10 * SIM_SECOND_NS)
#define REST_NS_MAX (120 * SIM_SECOND_NS) /* everything has to be at rest by then, after the faults */

const directory_t *sim_world_directory(const sim_world_t *world) {
  const node_t *best = NULL;
  for (uint32_t i = 0; i < world->node_count; i++) {
    const node_t *node = world->nodes[i].node;
    bool further = best == NULL || (node != NULL && node->cluster != NULL &&
                                    order_stable(node->cluster->order) > order_stable(best->cluster->order));
    best = node != NULL && further ? node : best;
  }
  return best != NULL ? best->directory : NULL;
}

sim_history_t *sim_handle_history(const sim_handle_t *handle) {
  return sim_histories_find(&sim_home(handle->agent)->side->histories, handle->checkpoint);
}

/* ---- links ---- */

int64_t sim_arrival_ns(sim_world_t *world) {
  return world->now_ns + sim_span(&world->random, 5 * SIM_US, world->odds.delay_ns_max);
}

sim_link_t *sim_link_find(const sim_world_t *world, uint64_t number) {
  sim_link_t *link = world->links;
  while (link != NULL && link->number != number) {
    link = link->next;
  }
  return link;
}

sim_link_t *sim_link_open(sim_world_t *world, sim_agent_t *agent, bool callbacks) {
  sim_link_t *link = sim_memory_get(sizeof *link);
  link->number = ++world->link_last;
  link->agent = agent->index;
  link->node = agent->home;
  link->pid = agent->pid;
  link->start = agent->start;
  link->watched = agent->watched;
  link->callbacks = callbacks;
  link->next = world->links;
  world->links = link;
  return link;
}

void sim_link_close_by_agent(sim_world_t *world, sim_link_t *link) {
  if (!link->agent_closed) {
    link->agent_closed = true;
    link->agent_closed_ns = sim_arrival_ns(world);
    sim_pipe_clear(&link->down);
    if (sim_percent(&world->random, 30)) { /* the node reads links in any order: a new one may be quicker */
      int64_t later_ns = sim_span(&world->random, SIM_MS, 500 * SIM_MS);
      for (sim_packet_t *packet = link->up.first; packet != NULL; packet = packet->next) {
        packet->at_ns += later_ns;
      }
      link->agent_closed_ns += later_ns;
    }
  }
}

void sim_link_close_by_node(sim_world_t *world, sim_link_t *link) {
  if (!link->node_closed) {
    link->node_closed = true;
    link->node_closed_ns = sim_arrival_ns(world);
    sim_pipe_clear(&link->up);
    if (sim_percent(&world->random, 50)) { /* what had not left the node's own buffers */
      sim_pipe_cut(&link->down, (uint32_t)sim_below(&world->random, link->down.count + 1));
    }
  }
}

/* What is due on a link happens; one that has ended for both sides goes. */
static void link_turn(sim_world_t *world, sim_link_t *link) {
  sim_node_t *node = &world->nodes[link->node];
  sim_agent_t *agent = &world->agents[link->agent];
  sim_packet_t *packet = NULL;
  if (!link->node_closed && (packet = sim_pipe_take(&link->up, world->now_ns)) != NULL) {
    sim_node_request(node, link, packet);
  } else if (!link->agent_closed && (packet = sim_pipe_take(&link->down, world->now_ns)) != NULL) {
    sim_agent_receive(agent, link, packet);
  } else if (link->agent_closed && !link->node_closed && link->up.first == NULL) {
    link->node_closed = true;
    sim_node_link_gone(node, link->number);
  } else if (link->node_closed && !link->agent_closed && link->down.first == NULL) {
    link->agent_closed = true;
    sim_agent_link_ended(agent, link);
  }
  free(packet);
}

static void links_sweep(sim_world_t *world) {
  for (sim_link_t **at = &world->links; *at != NULL;) {
    sim_link_t *link = *at;
    if (link->agent_closed && link->node_closed) {
      *at = link->next;
      sim_pipe_clear(&link->up);
      sim_pipe_clear(&link->down);
      free(link);
    } else {
      at = &link->next;
    }
  }
}

/* ---- what is next ---- */

typedef enum next_kind { NEXT_NODE, NEXT_AGENT, NEXT_LINK, NEXT_SUBSCRIBER, NEXT_FAULT, NEXT_NETWORK } next_kind_t;

typedef struct next {
  int64_t due_ns;
  next_kind_t kind;
  uint32_t index;
  sim_link_t *link;
} next_t;

static void next_consider(next_t *next, int64_t due_ns, next_kind_t kind, uint32_t index, sim_link_t *link) {
  if (due_ns < next->due_ns) {
    *next = (next_t){.due_ns = due_ns, .kind = kind, .index = index, .link = link};
  }
}

/* A stopped process takes nothing from its links until it goes on. */
static int64_t link_due_ns(const sim_world_t *world, const sim_link_t *link) {
  const sim_agent_t *agent = &world->agents[link->agent];
  int64_t up_ns = sim_link_up_due_ns(link);
  int64_t held_ns = world->nodes[link->node].held_until_ns;
  up_ns = up_ns > held_ns ? up_ns : held_ns;
  int64_t down_ns = sim_link_down_due_ns(link);
  if (sim_agent_stopped(agent) && down_ns < agent->stopped_until_ns) {
    down_ns = agent->stopped_until_ns;
  }
  return up_ns < down_ns ? up_ns : down_ns;
}

static next_t world_next(const sim_world_t *world) {
  next_t next = {.due_ns = INT64_MAX};
  for (uint32_t i = 0; i < world->node_count; i++) {
    next_consider(&next, sim_node_due_ns(&world->nodes[i]), NEXT_NODE, i, NULL);
  }
  for (uint32_t i = 0; i < world->agent_count; i++) {
    next_consider(&next, world->agents[i].due_ns, NEXT_AGENT, i, NULL);
  }
  for (sim_link_t *link = world->links; link != NULL; link = link->next) {
    next_consider(&next, link_due_ns(world, link), NEXT_LINK, 0, link);
  }
  for (uint32_t i = 0; i < SIM_SUBSCRIBERS_MAX; i++) {
    next_consider(&next, sim_subscriber_due_ns(&world->subscribers[i]), NEXT_SUBSCRIBER, i, NULL);
  }
  next_consider(&next, world->faults.due_ns, NEXT_FAULT, 0, NULL);
  next_consider(&next, sim_network_due_ns(world), NEXT_NETWORK, 0, NULL);
  return next;
}

static void world_step(sim_world_t *world) {
  next_t next = world_next(world);
  if (next.due_ns == INT64_MAX) {
    sim_fail(world, "REST", "nothing will ever happen again");
  }
  world->now_ns = next.due_ns > world->now_ns ? next.due_ns : world->now_ns;
  world->story.step++;
  switch (next.kind) {
    case NEXT_NODE: sim_node_time(&world->nodes[next.index]); break;
    case NEXT_AGENT: sim_agent_wake(&world->agents[next.index]); break;
    case NEXT_LINK: link_turn(world, next.link); break;
    case NEXT_SUBSCRIBER: sim_subscriber_turn(&world->subscribers[next.index]); break;
    case NEXT_FAULT: sim_faults_strike(world); break;
    case NEXT_NETWORK: sim_network_turn(world); break;
  }
  links_sweep(world);
}

/* ---- a run ---- */

static void world_init(sim_world_t *world, uint64_t seed, uint32_t nodes, bool aloud) {
  world->node_count = nodes;
  world->random.state = seed * UINT64_C(0x2545f4914f6cdd1d) + 1;
  world->now_ns = SIM_SECOND_NS;
  world->wall_ahead_ns = 1000 * SIM_SECOND_NS;
  sim_story_begin(&world->story, seed, &world->now_ns, aloud);
  world->decoder = wire_decoder_new();
  sim_sides_init(world);
  world->climate = sim_clustered(world) ? sim_climate_of(seed) : SIM_CLIMATE_NONE;
  sim_plan_draw(world);
  sim_faults_draw(world);
  sim_network_init(world);
  sim_say(world, "%" PRIu32 " nodes%s", nodes, world->plan.policy == ORDER_TRUST ? " that trust" : "");
  for (uint32_t i = 0; i < world->node_count; i++) {
    sim_node_init(&world->nodes[i], world, i + 1);
  }
  uint32_t agents_max = sim_clustered(world) ? SIM_AGENTS_MAX : 6;
  world->agent_count = (uint32_t)sim_between(&world->random, 2, agents_max);
  for (uint32_t i = 0; i < world->agent_count; i++) {
    sim_agent_init(&world->agents[i], world, i);
  }
}

static void world_fini(sim_world_t *world) {
  for (uint32_t i = 0; i < world->agent_count; i++) {
    sim_agent_fini(&world->agents[i]);
  }
  while (world->links != NULL) {
    world->links->agent_closed = true;
    world->links->node_closed = true;
    links_sweep(world);
  }
  for (uint32_t i = 0; i < world->node_count; i++) {
    sim_node_fini(&world->nodes[i]);
  }
  sim_network_fini(world);
  sim_sides_fini(world);
  wire_decoder_destroy(&world->decoder);
}

/* What is not at rest yet, in words; NULL: all is. */
const char *sim_restless(sim_world_t *world, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  (void)vsnprintf(world->restless, sizeof world->restless, format, arguments);
  va_end(arguments);
  return world->restless;
}

static const char *world_restless(sim_world_t *world) {
  for (uint32_t i = 0; i < world->node_count; i++) {
    if (world->nodes[i].node == NULL) {
      return "a node is down";
    }
  }
  for (uint32_t i = 0; i < world->agent_count; i++) {
    const sim_agent_t *agent = &world->agents[i];
    if (agent->state != SIM_AGENT_DEAD && agent->state != SIM_AGENT_UP) {
      return sim_restless(world, "process %" PRIu32 " has no session", i);
    }
    for (uint32_t r = 0; agent->state != SIM_AGENT_DEAD && r < agent->in_flight_count; r++) {
      const sim_request_t *request = &agent->in_flight[r];
      if (request->kind == WIRE_JOIN && world->now_ns - request->asked_ns < ANSWERED_NS_MAX) {
        continue; /* members ask for ever how things are */
      }
      return sim_restless(world, "%s #%" PRIu64 " of process %" PRIu32 " is not answered",
                          wire_kind_name(request->kind), request->number, i);
    }
    for (uint32_t h = 0; h < SIM_HANDLES_MAX; h++) {
      const sim_handle_t *handle = &agent->handles[h];
      bool in_step = !handle->open || handle->subscriber == NULL || agent->confused || /* it was to begin anew */
                     sim_subscriber_in_step(handle->subscriber);
      if (!in_step) {
        return sim_restless(world, "the subscriber of process %" PRIu32 " on checkpoint %" PRIu64 " is not in step", i,
                            handle->checkpoint);
      }
    }
  }
  const char *restless = sim_clustered(world) ? sim_witness_restless(world) : sim_oracle_restless(&world->nodes[0]);
  restless = restless == NULL && sim_clustered(world) ? sim_views_restless(world) : restless;
  return restless != NULL ? restless : sim_member_restless(world);
}

/* Faults and work cease: now everything must come to rest. */
static void world_heal(sim_world_t *world) {
  sim_say(world, "the faults cease");
  world->healing = true;
  sim_faults_cease(world);
  int64_t until_ns = world->now_ns + REST_NS_MAX;
  const char *restless = "";
  while (restless != NULL) {
    world_step(world);
    restless = world_restless(world);
    if (restless != NULL && world->now_ns > until_ns) {
      sim_fail(world, "REST", "%s, %" PRId64 " s after the last fault", restless, REST_NS_MAX / SIM_SECOND_NS);
    }
  }
  sim_say(world, "all is at rest");
  if (sim_clustered(world)) {
    sim_witness_rest(world);
  } else {
    sim_oracle_rest(&world->nodes[0]);
  }
}

/* All processes end: nothing may be left but what is retained. */
static void world_end(sim_world_t *world) {
  for (uint32_t i = 0; i < world->agent_count; i++) {
    sim_agent_kill(&world->agents[i]);
  }
  int64_t until_ns = world->now_ns + REST_NS_MAX;
  for (uint32_t i = 0; i < world->node_count; i++) {
    const sim_node_t *node = &world->nodes[i];
    while (node_counter(node->node, NODE_COUNTER_SESSIONS) > 0 && world->now_ns < until_ns) {
      world_step(world);
    }
    uint64_t checkpoints = node_counter(node->node, NODE_COUNTER_CHECKPOINTS);
    if (node_counter(node->node, NODE_COUNTER_SESSIONS) > 0 || node_counter(node->node, NODE_COUNTER_HANDLES) > 0) {
      sim_fail(world, "REST", "all processes are dead and sessions or handles are left");
    }
    if (!sim_clustered(world) && checkpoints != sim_disk_region_count(&node->disk)) {
      sim_fail(world, "DISK", "%" PRIu64 " checkpoints and %" PRIu32 " regions", checkpoints,
               sim_disk_region_count(&node->disk));
    }
  }
}

static void world_compare(sim_world_t *world) {
  for (uint32_t i = 0; i < world->node_count; i++) {
    if (world->nodes[i].node != NULL && sim_clustered(world)) {
      sim_witness_compare(&world->nodes[i]);
      sim_views_compare(&world->nodes[i]);
      sim_model_compare(&world->nodes[i]);
    } else if (world->nodes[i].node != NULL) {
      sim_oracle_compare(&world->nodes[i]);
    }
  }
}

sim_result_t sim_world_run(uint64_t seed, uint32_t nodes, uint64_t steps, bool aloud) {
  sim_world_t *world = sim_memory_get(sizeof *world);
  world_init(world, seed, nodes, aloud);
  int64_t stood_ns = world->now_ns;
  uint64_t stood_since = 0;
  while (world->story.step < steps) {
    world_step(world);
    if (world->now_ns != stood_ns) {
      stood_ns = world->now_ns;
      stood_since = world->story.step;
    } else if (world->story.step - stood_since > STANDING_STEPS_MAX) {
      sim_fail(world, "REST", "%u steps and the clock has not moved", STANDING_STEPS_MAX);
    }
    for (uint32_t i = 0; i < world->agent_count && world->story.step % LATE_STEPS == 0; i++) {
      sim_agent_in_time(&world->agents[i]);
    }
    if (world->story.step % COMPARE_STEPS == 0) {
      world_compare(world);
    }
  }
  world_heal(world);
  world_end(world);
  sim_result_t result = {.steps = world->story.step, .hash = world->story.hash};
  world_fini(world);
  free(world);
  return result;
}
