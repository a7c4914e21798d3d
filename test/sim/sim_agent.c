/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See sim_agent.h.
 */
#include "test/sim/sim_agent.h"

#include <inttypes.h>
#include <stdlib.h>

#include "test/sim/sim_witness.h"
#include "test/sim/sim_world.h"

#define CONNECT_NS_MAX (50 * SIM_MS)

/* ---- life ---- */

static void agent_born(sim_agent_t *agent) {
  sim_world_t *world = agent->world;
  agent->pid = sim_percent(&world->random, 20) && agent->pid != 0 ? agent->pid : ++world->pid_last; /* they recur */
  agent->start++;
  agent->watched = sim_percent(&world->random, 85);
  agent->state = SIM_AGENT_AWAY;
  agent->number_last = 0;
  agent->token = (vesta_token_t){0};
  agent->in_flight_max = (uint32_t)sim_span(&world->random, 1, VESTA_SESSION_WINDOW - 1);
  agent->finalizing = false;
  agent->stopped_until_ns = 0;
  sim_say(world, "process %" PRIu32 " is born as pid %" PRIu32 "%s, %" PRIu32 " requests in flight", agent->index,
          agent->pid, agent->watched ? "" : " (can't be watched)", agent->in_flight_max);
}

void sim_agent_init(sim_agent_t *agent, sim_world_t *world, uint32_t index) {
  *agent = (sim_agent_t){.world = world, .index = index, .home = index % world->node_count, .start = index * 1000U};
  agent->due_ns = world->now_ns + sim_span(&world->random, SIM_MS, SIM_SECOND_NS);
  for (uint32_t h = 0; h < SIM_HANDLES_MAX; h++) {
    agent->handles[h].agent = agent;
  }
}

void sim_handle_end(sim_agent_t *agent, sim_handle_t *handle) {
  if (handle->subscriber != NULL) {
    sim_subscriber_end(handle->subscriber);
  }
  if (handle->iteration.under_way) {
    sim_table_fini(&handle->iteration.seen);
  }
  *handle = (sim_handle_t){.agent = agent};
}

/* The session is over: what it had open and asked for is void. */
static void agent_forget_session(sim_agent_t *agent) {
  for (uint32_t i = 0; i < SIM_HANDLES_MAX; i++) {
    sim_handle_end(agent, &agent->handles[i]);
  }
  for (uint32_t i = 0; i < agent->in_flight_count; i++) {
    free(agent->in_flight[i].packet);
  }
  agent->in_flight_count = 0;
  agent->token = (vesta_token_t){0};
  agent->number_last = 0;
  agent->finalizing = false;
  agent->confused = false;
  agent->handles_lost = 0;
}

static void agent_close_links(sim_agent_t *agent) {
  if (agent->link != NULL) {
    sim_link_close_by_agent(agent->world, agent->link);
    agent->link = NULL;
  }
  if (agent->callbacks != NULL) {
    sim_link_close_by_agent(agent->world, agent->callbacks);
    agent->callbacks = NULL;
    agent->callbacks_up = false;
  }
}

void sim_agent_fini(sim_agent_t *agent) { agent_forget_session(agent); }

void sim_agent_kill(sim_agent_t *agent) {
  sim_world_t *world = agent->world;
  if (agent->state == SIM_AGENT_DEAD) {
    return;
  }
  sim_say(world, "process %" PRIu32 " is killed", agent->index);
  agent_forget_session(agent);
  agent_close_links(agent);
  agent->state = SIM_AGENT_DEAD;
  sim_node_process_died(sim_home(agent), agent->pid, agent->start);
  agent->due_ns = world->healing ? INT64_MAX : world->now_ns + sim_span(&world->random, SIM_MS, 3 * SIM_SECOND_NS);
}

bool sim_agent_stopped(const sim_agent_t *agent) { return agent->stopped_until_ns > agent->world->now_ns; }

/* ---- asking ---- */

bool sim_agent_may_ask(const sim_agent_t *agent) {
  return agent->state == SIM_AGENT_UP && agent->in_flight_count < agent->in_flight_max && !agent->finalizing;
}

static void link_send(sim_world_t *world, sim_link_t *link, const sim_packet_t *packet) {
  if (link != NULL && !link->agent_closed) {
    sim_pipe_put(&link->up, sim_packet_new(packet->head, packet->payload), sim_arrival_ns(world));
  }
}

sim_request_t *sim_agent_ask(sim_agent_t *agent, wire_message_t *message, vesta_bytes_t payload) {
  VESTA_ASSERT(sim_agent_may_ask(agent));
  message->number = ++agent->number_last;
  sim_request_t *request = &agent->in_flight[agent->in_flight_count++];
  *request = (sim_request_t){.number = message->number,
                             .kind = (enum wire_kind)message->kind,
                             .asked_ns = agent->world->now_ns,
                             .sent_ns = agent->world->now_ns,
                             .wall_jumps = agent->world->wall_jumps,
                             .packet = sim_packet_encode(message, payload)};
  link_send(agent->world, agent->link, request->packet);
  return request;
}

void sim_agent_tell(sim_agent_t *agent, const wire_message_t *message) {
  if (agent->state == SIM_AGENT_UP) {
    sim_packet_t *packet = sim_packet_encode(message, (vesta_bytes_t){0});
    link_send(agent->world, agent->link, packet);
    free(packet);
  }
}

/* ---- links ---- */

static void agent_greet(sim_agent_t *agent, sim_link_t *link, enum wire_kind kind) {
  wire_message_t hello = {.kind = kind, .token_hi = agent->token.hi, .token_lo = agent->token.lo, .pid = agent->pid};
  sim_packet_t *packet = sim_packet_encode(&hello, (vesta_bytes_t){0});
  link_send(agent->world, link, packet);
  free(packet);
}

static void agent_connect(sim_agent_t *agent) {
  sim_world_t *world = agent->world;
  if (sim_home(agent)->node == NULL) {
    agent->due_ns = world->now_ns + sim_span(&world->random, SIM_MS, CONNECT_NS_MAX);
    return;
  }
  agent->link = sim_link_open(world, agent, false);
  agent->state = SIM_AGENT_GREETING;
  agent->greeted_ns = world->now_ns;
  sim_say(world, "process %" PRIu32 " connects, link %" PRIu64, agent->index, agent->link->number);
  agent_greet(agent, agent->link, WIRE_HELLO);
  agent->due_ns = INT64_MAX; /* the link brings an answer or its end */
}

static void agent_connect_callbacks(sim_agent_t *agent) {
  if (sim_home(agent)->node != NULL) {
    agent->callbacks = sim_link_open(agent->world, agent, true);
    agent_greet(agent, agent->callbacks, WIRE_HELLO_CALLBACKS);
  }
}

void sim_agent_link_ended(sim_agent_t *agent, sim_link_t *link) {
  sim_world_t *world = agent->world;
  if (link == agent->callbacks) {
    agent->callbacks = NULL;
    agent->callbacks_up = false;
    for (uint32_t i = 0; i < agent->in_flight_count && agent->state == SIM_AGENT_UP; i++) {
      if (agent->in_flight[i].callback) { /* its answer may have gone there */
        agent->in_flight[i].sent_ns = world->now_ns;
        link_send(world, agent->link, agent->in_flight[i].packet);
      }
    }
  } else if (link == agent->link) {
    sim_say(world, "process %" PRIu32 " has lost its link", agent->index);
    agent->link = NULL;
    agent->state = SIM_AGENT_AWAY;
    agent->due_ns = world->now_ns + sim_span(&world->random, SIM_US, CONNECT_NS_MAX);
  }
}

/* HELLO was answered. */
static void agent_greeted(sim_agent_t *agent, const wire_message_t *reply) {
  sim_world_t *world = agent->world;
  bool resumes = !vesta_token_is_none(agent->token);
  vesta_err_t err = (vesta_err_t)reply->error;
  if (err == VESTA_ERR_BAD_HANDLE && resumes) {
    if (agent->watched && !agent->finalizing && !sim_witness_may_end(agent, agent->session_ns)) {
      sim_fail(world, "SESSION", "process %" PRIu32 " lives and its session is gone", agent->index);
    }
    sim_say(world, "process %" PRIu32 " has lost its session", agent->index);
    agent_forget_session(agent);
  }
  if (err != VESTA_OK) {
    agent_close_links(agent);
    agent->state = SIM_AGENT_AWAY;
    agent->due_ns = world->now_ns + sim_span(&world->random, SIM_MS, CONNECT_NS_MAX);
    return;
  }
  if (resumes && !vesta_token_equal(agent->token, wire_token(reply))) {
    sim_fail(world, "SESSION", "another session was resumed than asked for");
  }
  agent->token = wire_token(reply);
  agent->session_ns = resumes && err == VESTA_OK ? agent->session_ns : world->now_ns;
  agent->state = SIM_AGENT_UP;
  agent->due_ns = world->now_ns + sim_span(&world->random, SIM_US, world->plan.pause_ns_max);
  for (uint32_t i = 0; i < agent->in_flight_count; i++) {
    agent->in_flight[i].sent_ns = world->now_ns;
    link_send(world, agent->link, agent->in_flight[i].packet);
  }
  if (agent->callbacks == NULL && sim_percent(&world->random, 50)) {
    agent_connect_callbacks(agent);
  }
}

/* ---- in time ---- */

static int64_t later(int64_t a, int64_t b) { return a > b ? a : b; }

/* Since when nothing kept a node from it. */
static int64_t free_ns(const sim_node_t *node, int64_t since_ns, bool ordered) {
  const sim_world_t *world = node->world;
  since_ns = node->held_until_ns != 0 || node->node == NULL ? world->now_ns : later(since_ns, node->went_on_ns);
  return ordered && sim_clustered(world) ? later(since_ns, node->trouble_ns) : since_ns;
}

/* Is it something that all nodes have to agree on? */
static bool is_ordered(enum wire_kind kind) {
  return kind != WIRE_CHANGE && kind != WIRE_READ && kind != WIRE_STATUS && kind != WIRE_ITERATE &&
         kind != WIRE_SYNCHRONIZE && kind != WIRE_STREAM;
}

static void must_be_in_time(const sim_agent_t *agent, enum wire_kind kind, uint64_t number, int64_t sent_ns) {
  sim_world_t *world = agent->world;
  int64_t since_ns = free_ns(sim_home(agent), later(sent_ns, agent->stopped_until_ns), is_ordered(kind));
  for (uint32_t i = 0; i < world->node_count && is_ordered(kind); i++) {
    since_ns = free_ns(&world->nodes[i], since_ns, true);
  }
  if (world->now_ns - since_ns > SIM_LATE_NS_MAX) {
    sim_fail(world, "LATE", "%s #%" PRIu64 " of process %" PRIu32 " has waited for %" PRId64 " ms",
             wire_kind_name(kind), number, agent->index, (world->now_ns - since_ns) / SIM_MS);
  }
}

void sim_agent_in_time(const sim_agent_t *agent) {
  if (agent->state == SIM_AGENT_GREETING) {
    must_be_in_time(agent, WIRE_HELLO, 0, agent->greeted_ns);
  }
  for (uint32_t i = 0; i < agent->in_flight_count && agent->state == SIM_AGENT_UP; i++) {
    must_be_in_time(agent, agent->in_flight[i].kind, agent->in_flight[i].number, agent->in_flight[i].sent_ns);
  }
}

/* ---- answers ---- */

static void agent_answered(sim_agent_t *agent, const wire_message_t *reply, vesta_bytes_t payload) {
  uint32_t at = 0;
  while (at < agent->in_flight_count && agent->in_flight[at].number != reply->number) {
    at++;
  }
  if (at == agent->in_flight_count) {
    return; /* answered before: it was sent again */
  }
  sim_request_t request = agent->in_flight[at];
  must_be_in_time(agent, request.kind, request.number, request.sent_ns);
  agent->in_flight_count--;
  memmove(&agent->in_flight[at], &agent->in_flight[at + 1], (agent->in_flight_count - at) * sizeof request);
  if (request.kind == WIRE_FINALIZE && (reply->error == VESTA_OK || reply->error == VESTA_ERR_BAD_HANDLE)) {
    sim_say(agent->world, "process %" PRIu32 " has ended its session", agent->index);
    agent_forget_session(agent);
    agent_close_links(agent);
    agent->state = SIM_AGENT_AWAY;
    agent->due_ns = agent->world->now_ns + sim_span(&agent->world->random, SIM_MS, SIM_SECOND_NS);
  } else {
    if (request.kind == WIRE_FINALIZE) {
      agent->finalizing = false;
    }
    sim_work_answered(agent, &request, reply, payload);
  }
  free(request.packet);
}

void sim_agent_receive(sim_agent_t *agent, sim_link_t *link, const sim_packet_t *packet) {
  sim_world_t *world = agent->world;
  wire_message_t message;
  vesta_err_t err = wire_decode(world->decoder, packet->head.data, packet->head.size, &message);
  VESTA_ASSERT(err == VESTA_OK);
  if (link == agent->callbacks) {
    if (message.number != 0) {
      agent_answered(agent, &message, packet->payload);
      return;
    }
    agent->callbacks_up = message.error == VESTA_OK;
    if (!agent->callbacks_up) {
      sim_link_close_by_agent(world, link);
      agent->callbacks = NULL;
    }
    return;
  }
  if (link != agent->link) {
    return; /* one that it has given up */
  }
  if (agent->state == SIM_AGENT_GREETING) {
    agent_greeted(agent, &message);
  } else if (message.number != 0) {
    agent_answered(agent, &message, packet->payload);
  }
}

/* ---- turns ---- */

void sim_agent_wake(sim_agent_t *agent) {
  sim_world_t *world = agent->world;
  if (sim_agent_stopped(agent)) {
    agent->due_ns = agent->stopped_until_ns;
    return;
  }
  switch (agent->state) {
    case SIM_AGENT_DEAD:
      agent_born(agent);
      agent->due_ns = world->now_ns;
      break;
    case SIM_AGENT_AWAY: agent_connect(agent); break;
    case SIM_AGENT_GREETING: agent->due_ns = INT64_MAX; break;
    case SIM_AGENT_UP:
      agent->due_ns = world->now_ns + sim_span(&world->random, 10 * SIM_US, world->plan.pause_ns_max);
      if (agent->callbacks == NULL && sim_percent(&world->random, 5)) {
        agent_connect_callbacks(agent);
      }
      sim_work(agent);
      break;
  }
}
