/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The world: a node and its disk, or several, processes with their links, subscribers, and one clock that stands still while
 * anything happens and then jumps to the next thing that does.
 *
 *     processes (sim_agent) --links--> node (sim_node) --published, answers--> subscribers (sim_subscriber)
 *          ^  what they ask (sim_work), as members of a pair (sim_member)
 *          |
 *     faults (sim_faults) strike all of it           the oracle (sim_oracle) looks on and knows what must be
 *
 *     node --group (sim_group), links (sim_network)-- node     in a cluster, with an oracle of its own (sim_witness)
 *
 * A run has two phases. In the first the faults rage. Then they cease, nothing new is asked for, and everything must
 * come to rest within a bounded time: every request answered, every subscriber in step, an active where one can be.
 */
#ifndef VESTA_TEST_SIM_WORLD_H
#define VESTA_TEST_SIM_WORLD_H

#include "core/directory.h"
#include "test/sim/sim_agent.h"
#include "test/sim/sim_faults.h"
#include "test/sim/sim_network.h"
#include "test/sim/sim_node.h"
#include "test/sim/sim_random.h"
#include "test/sim/sim_side.h"
#include "test/sim/sim_story.h"
#include "test/sim/sim_subscriber.h"
#include "test/sim/sim_work.h"

#define SIM_AGENTS_MAX 10U
#define SIM_SUBSCRIBERS_MAX 24U
#define SIM_SECOND_NS INT64_C(1000000000)
#define SIM_MS INT64_C(1000000)
#define SIM_US INT64_C(1000)

typedef struct sim_world {
  sim_random_t random;
  sim_story_t story;
  int64_t now_ns;        /* the steady clock */
  int64_t wall_ahead_ns; /* of it */
  uint32_t wall_jumps;
  bool healing;
  sim_climate_t climate;
  sim_odds_t odds;
  sim_faults_t faults;
  uint32_t node_count; /* 1: no cluster */
  sim_node_t nodes[SIM_NODES_MAX];
  sim_network_t network;
  sim_agent_t agents[SIM_AGENTS_MAX];
  uint32_t agent_count;
  sim_link_t *links;
  uint64_t link_last;
  uint32_t pid_last;
  sim_subscriber_t subscribers[SIM_SUBSCRIBERS_MAX];
  uint64_t apart_term;     /* the first term that one of them had alone */
  int64_t apart_ns;        /* two nodes that trust: since when one of them goes on by itself (sim_side.h) */
  sim_plan_t plan;         /* what applications do in this run */
  char restless[256];      /* what is not at rest */
  wire_decoder_t *decoder; /* of what processes and subscribers receive */
} sim_world_t;

static inline sim_node_t *sim_home(const sim_agent_t *agent) { return &agent->world->nodes[agent->home]; }
static inline bool sim_clustered(const sim_world_t *world) { return world->node_count > 1; }

static inline int64_t sim_wall_ns(const sim_world_t *world) { return world->now_ns + world->wall_ahead_ns; }

#define sim_say(world, ...) sim_story_say(&(world)->story, __VA_ARGS__)
#define sim_fail(world, rule, ...) sim_story_fail(&(world)->story, (rule), __VA_ARGS__)

/** What the node that has come furthest knows; NULL: none runs. */
const directory_t *sim_world_directory(const sim_world_t *world);

/** As the process's node knows it. */
sim_history_t *sim_handle_history(const sim_handle_t *handle);

/** Say what is not at rest, in words that live until the next. */
const char *sim_restless(sim_world_t *world, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** When something that is sent now arrives. */
int64_t sim_arrival_ns(sim_world_t *world);

/** A new link from a process; the node learns of it by its first message. */
sim_link_t *sim_link_open(sim_world_t *world, sim_agent_t *agent, bool callbacks);
/** One side closes it; what it sent before still arrives. */
void sim_link_close_by_agent(sim_world_t *world, sim_link_t *link);
void sim_link_close_by_node(sim_world_t *world, sim_link_t *link);
sim_link_t *sim_link_find(const sim_world_t *world, uint64_t number);

typedef struct sim_result {
  uint64_t steps, hash;
} sim_result_t;

/** One run of a seed with so many nodes, `steps` of it with faults. Ends the process when a rule is broken. */
sim_result_t sim_world_run(uint64_t seed, uint32_t nodes, uint64_t steps, bool aloud);

#endif
