/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See sim_work.h. Applications here are careless: they open what others unlink, read what is being deleted, close what
 * they just opened. What they may not do is believe something that is not so; that is checked with each answer.
 */
#include "test/sim/sim_work.h"

#include <inttypes.h>
#include <stdio.h>

#include "test/sim/sim_witness.h"
#include "test/sim/sim_world.h"

#define OPEN_ALL (VESTA_OPEN_READ | VESTA_OPEN_WRITE | VESTA_OPEN_CREATE)

/* ---- the plan ---- */

typedef struct shape {
  uint32_t creation_flags, sections_max;
  uint64_t section_bytes_max;
  uint32_t section_id_bytes_max, ids;
  bool of_pair;
} shape_t;

/* One section; a few small ones; very many; a few large ones, so that walks have several chunks and the history soon
 * reaches back no further; a pair's; one whose active replica the application sets; many that take new pages all the
 * time (in a climate only). */
static const shape_t shapes[] = {
    {VESTA_CREATE_ALL_REPLICAS, 1, 200, 0, 1, false},
    {VESTA_CREATE_ALL_REPLICAS, 8, 100, 8, 12, false},
    {VESTA_CREATE_ACTIVE_REPLICA, 1500, 24, 16, 1600, false},
    {VESTA_CREATE_ALL_REPLICAS, 24, 65536, 32, 30, false},
    {VESTA_CREATE_ALL_REPLICAS, 16, 2000, 16, 20, true},
    {VESTA_CREATE_ACTIVE_REPLICA_WEAK | VESTA_CREATE_COLLOCATED, 12, 300, 16, 14, true},
    {VESTA_CREATE_ALL_REPLICAS, 256, 8192, 16, 256, false},
};
#define SHAPES_DRAWN 6U

static void name_draw(sim_world_t *world, uint32_t index) {
  sim_name_t *name = &world->plan.names[index];
  uint64_t which = sim_below(&world->random, SHAPES_DRAWN);
  switch (world->climate) { /* what its faults strike */
    case SIM_CLIMATE_FULL: which = 6; break;
    case SIM_CLIMATE_LATE: which = which % 2 == 0 ? 1 : 3; break;
    case SIM_CLIMATE_ALONE: which = which % 3 == 0 ? 5 : 2; break;
    case SIM_CLIMATE_NONE:
    case SIM_CLIMATE_SPLITS:
    case SIM_CLIMATES: break;
  }
  which = index == 0                                      ? 4
          : index == 1 && sim_percent(&world->random, 50) ? 3
                                                          : which; /* a pair at least, often large ones */
  const shape_t *shape = &shapes[which];
  static const int64_t retentions_ns[] = {0, 50 * SIM_MS, 2 * SIM_SECOND_NS, 20 * SIM_SECOND_NS, VESTA_TIME_END};
  *name = (sim_name_t){.ids = shape->ids,
                       .of_pair = shape->of_pair,
                       .fenced = shape->of_pair && sim_percent(&world->random, 85),
                       .attributes = {.creation_flags = shape->creation_flags,
                                      .checkpoint_bytes = shape->section_bytes_max,
                                      .retention_ns = retentions_ns[sim_below(&world->random, 5)],
                                      .sections_max = shape->sections_max,
                                      .section_bytes_max = shape->section_bytes_max,
                                      .section_id_bytes_max = shape->section_id_bytes_max}};
  (void)snprintf(name->text, sizeof name->text, "name%" PRIu32, index % SIM_NAMES);
}

/* What the nodes of a cluster are set to. */
static void cluster_draw(sim_world_t *world) {
  sim_plan_t *plan = &world->plan;
  sim_random_t *random = &world->random;
  plan->policy = world->node_count == 2 && sim_percent(random, 30) ? ORDER_TRUST : ORDER_STOP;
  plan->replicas = sim_percent(random, 60) ? 0 : (uint32_t)sim_between(random, 1, 3);
  plan->session_grace_ns = sim_between(random, 2, 40) * SIM_SECOND_NS;
  plan->version_min = 1;
  for (uint32_t i = 0; i < SIM_NODES_MAX; i++) {
    plan->version_max[i] = sim_percent(random, 70) ? 1 : 2;
  }
  if (world->climate != SIM_CLIMATE_NONE) {
    plan->replicas = world->climate == SIM_CLIMATE_FULL || sim_percent(random, 70)
                         ? 3
                         : 2;                                         /* so that one more has what another lacks */
    plan->pause_ns_max = sim_span(random, 20 * SIM_MS, 200 * SIM_MS); /* so that many faults find room in a run */
  }
}

void sim_plan_draw(sim_world_t *world) {
  for (uint32_t i = 0; i < SIM_NAMES; i++) {
    name_draw(world, i);
  }
  world->plan.pause_ns_max = sim_span(&world->random, 200 * SIM_US, 200 * SIM_MS);
  world->plan.burst_max = (uint32_t)sim_between(&world->random, 1, 6);
  if (sim_clustered(world)) {
    cluster_draw(world);
  }
  if (sim_percent(&world->random, 20)) {
    world->plan.hangs = true;
    world->plan.burst_max = 2;
    world->plan.pause_ns_max = sim_between(&world->random, 200, 800) * SIM_MS; /* so that there is time for it */
  }
}

vesta_bytes_t sim_name_text(const sim_name_t *name) { return vesta_bytes(name->text, strlen(name->text)); }

/* ---- asking ---- */

static void ask_open(sim_agent_t *agent) {
  sim_world_t *world = agent->world;
  uint32_t at = 0;
  while (at < SIM_HANDLES_MAX && agent->handles[at].open) {
    at++;
  }
  if (at == SIM_HANDLES_MAX) {
    return;
  }
  bool of_pair = world->plan.hangs && sim_percent(&world->random, 70); /* so that there is another one to be active */
  uint32_t index = of_pair ? 0 : (uint32_t)sim_below(&world->random, SIM_NAMES);
  const sim_name_t *name = &world->plan.names[index];
  wire_message_t open = {.kind = WIRE_OPEN, .name = sim_name_text(name), .flags = OPEN_ALL};
  if (sim_percent(&world->random, 20)) {
    open.flags = 1 + sim_below(&world->random, 7);
  }
  if ((open.flags & VESTA_OPEN_CREATE) != 0) {
    vesta_attributes_t attributes = name->attributes;
    attributes.sections_max += sim_percent(&world->random, 2);
    wire_attributes_set(&open, &attributes);
  }
  bool callback = agent->callbacks_up && sim_percent(&world->random, 30);
  open.flags |= callback ? WIRE_FLAG_CALLBACK : 0;
  sim_request_t *request = sim_agent_ask(agent, &open, (vesta_bytes_t){0});
  request->name = index;
  request->callback = callback;
  request->handle = (uint32_t)open.flags; /* no handle yet: its flags instead */
}

/* A request that is about a handle and nothing else. */
static sim_request_t *ask_handle(sim_agent_t *agent, const sim_handle_t *handle, enum wire_kind kind) {
  wire_message_t message = {.kind = kind, .handle = handle->id};
  sim_request_t *request = sim_agent_ask(agent, &message, (vesta_bytes_t){0});
  request->handle = (uint32_t)(handle - agent->handles);
  return request;
}

/* Not while something else is asked for through it: a change that has to be sent again would find the handle closed and
 * be refused, although it was done. */
static void ask_close(sim_agent_t *agent, sim_handle_t *handle) {
  for (uint32_t i = 0; i < agent->in_flight_count; i++) {
    if (agent->in_flight[i].handle == (uint32_t)(handle - agent->handles)) {
      return;
    }
  }
  handle->closing = true;
  (void)ask_handle(agent, handle, WIRE_CLOSE);
}

static void ask_read(sim_agent_t *agent, const sim_handle_t *handle) {
  sim_world_t *world = agent->world;
  const sim_name_t *name = &world->plan.names[handle->name];
  wire_message_t read = {.kind = WIRE_READ,
                         .handle = handle->id,
                         .id = sim_change_id(world, handle),
                         .offset = sim_percent(&world->random, 20) ? sim_below(&world->random, 64) : 0,
                         .size = 1 + sim_below(&world->random, name->attributes.section_bytes_max)};
  sim_request_t *request = sim_agent_ask(agent, &read, (vesta_bytes_t){0});
  const sim_history_t *history = sim_handle_history(handle);
  request->handle = (uint32_t)(handle - agent->handles);
  request->floor_seq = history != NULL ? history->acked[agent->index] : 0;
}

static uint32_t history_cuts(const sim_handle_t *handle) {
  const sim_history_t *history = sim_handle_history(handle);
  return history != NULL ? history->cuts : 0;
}

static void ask_iterate(sim_agent_t *agent, sim_handle_t *handle) {
  sim_world_t *world = agent->world;
  sim_iteration_t *iteration = &handle->iteration;
  if (!iteration->under_way) {
    *iteration =
        (sim_iteration_t){.under_way = true,
                          .chosen = sim_percent(&world->random, 60) ? 5 : (uint32_t)sim_between(&world->random, 1, 5),
                          .cuts = history_cuts(handle),
                          .wall_jumps = world->wall_jumps};
    sim_table_init(&iteration->seen);
  }
  wire_message_t iterate = {.kind = WIRE_ITERATE,
                            .handle = handle->id,
                            .flags = iteration->chosen,
                            .expiry_ns = sim_wall_ns(world) + SIM_SECOND_NS,
                            .cursor = iteration->cursor,
                            .epoch = iteration->epoch,
                            .seq = iteration->as_of};
  sim_request_t *request = sim_agent_ask(agent, &iterate, (vesta_bytes_t){0});
  request->handle = (uint32_t)(handle - agent->handles);
}

static void ask_unlink(sim_agent_t *agent, uint32_t name) {
  wire_message_t unlink = {.kind = WIRE_UNLINK, .name = sim_name_text(&agent->world->plan.names[name])};
  sim_agent_ask(agent, &unlink, (vesta_bytes_t){0})->name = name;
}

static void ask_retention(sim_agent_t *agent, const sim_handle_t *handle) {
  sim_world_t *world = agent->world;
  wire_message_t set = {.kind = WIRE_RETENTION_SET,
                        .handle = handle->id,
                        .retention_ns = sim_span(&world->random, 0, 10 * SIM_SECOND_NS)};
  sim_request_t *request = sim_agent_ask(agent, &set, (vesta_bytes_t){0});
  request->handle = (uint32_t)(handle - agent->handles);
}

static void ask_stream(sim_agent_t *agent, sim_handle_t *handle) {
  if (handle->subscriber == NULL && !handle->subscribing && (handle->flags & VESTA_OPEN_READ) != 0) {
    handle->subscribing = true;
    (void)ask_handle(agent, handle, WIRE_STREAM);
  }
}

static void ask_synchronize(sim_agent_t *agent, const sim_handle_t *handle) {
  bool callback = agent->callbacks_up && sim_percent(&agent->world->random, 50);
  wire_message_t message = {.kind = WIRE_SYNCHRONIZE, .handle = handle->id, .flags = callback ? WIRE_FLAG_CALLBACK : 0};
  sim_request_t *request = sim_agent_ask(agent, &message, (vesta_bytes_t){0});
  request->handle = (uint32_t)(handle - agent->handles);
  request->callback = callback;
  const sim_history_t *history = sim_handle_history(handle);
  request->floor_seq = history != NULL ? history->count : 0;
  request->cuts = history_cuts(handle);
}

/* ---- turns ---- */

static sim_handle_t *some_handle(sim_agent_t *agent) {
  sim_handle_t *handle = &agent->handles[sim_below(&agent->world->random, SIM_HANDLES_MAX)];
  return handle->open && !handle->closing ? handle : NULL;
}

static void work_on_handle(sim_agent_t *agent, sim_handle_t *handle) {
  sim_world_t *world = agent->world;
  uint64_t what = sim_below(&world->random, 1000);
  if (what < 640) {
    sim_change_ask(agent, handle);
  } else if (what < 790) {
    ask_read(agent, handle);
  } else if (what < 840) {
    (void)ask_handle(agent, handle, WIRE_STATUS);
  } else if (what < 880) {
    if (!handle->iteration.under_way) {
      ask_iterate(agent, handle);
    }
  } else if (what < 930) {
    ask_stream(agent, handle);
  } else if (what < 955) {
    ask_close(agent, handle);
  } else if (what < 963) {
    ask_retention(agent, handle);
  } else if (what < 967) {
    ask_unlink(agent, handle->name);
  } else if (what < 980) {
    (void)ask_handle(agent, handle, WIRE_ACTIVE_SET);
  } else if (what < 990) {
    ask_synchronize(agent, handle);
  } else if (handle->subscriber != NULL && handle->member.role == SIM_ROLE_NONE) {
    sim_subscriber_end(handle->subscriber);
  }
}

void sim_work(sim_agent_t *agent) {
  sim_world_t *world = agent->world;
  for (uint32_t i = 0; i < SIM_HANDLES_MAX; i++) {
    if (agent->handles[i].open && !agent->handles[i].closing && world->plan.names[agent->handles[i].name].of_pair) {
      sim_member_turn(agent, &agent->handles[i]);
    }
  }
  uint32_t burst = world->healing ? 0 : (uint32_t)sim_between(&world->random, 1, world->plan.burst_max);
  while (burst-- > 0 && sim_agent_may_ask(agent)) {
    sim_handle_t *handle = some_handle(agent);
    if (handle != NULL) {
      work_on_handle(agent, handle);
    } else if (sim_percent(&world->random, 30)) {
      ask_open(agent);
    } else if (sim_chance(&world->random, 3000)) {
      wire_message_t finalize = {.kind = WIRE_FINALIZE};
      (void)sim_agent_ask(agent, &finalize, (vesta_bytes_t){0});
      agent->finalizing = true;
    }
  }
}

/* ---- answers ---- */

static void opened(sim_agent_t *agent, const sim_request_t *request, const wire_message_t *reply) {
  if (reply->error != VESTA_OK) {
    agent->handles_lost += reply->error == VESTA_ERR_TIMEOUT; /* it may be open, and be opened yet */
    return;
  }
  uint32_t at = 0;
  while (at < SIM_HANDLES_MAX && agent->handles[at].open) {
    at++;
  }
  if (reply->handle == 0 || reply->checkpoint == 0) {
    sim_fail(agent->world, "ANSWER", "an OPEN was answered without a handle");
  }
  if (at == SIM_HANDLES_MAX) { /* more were asked for than there is room */
    wire_message_t close = {.kind = WIRE_CLOSE, .handle = reply->handle};
    if (sim_agent_may_ask(agent)) {
      sim_agent_ask(agent, &close, (vesta_bytes_t){0})->handle = SIM_HANDLES_MAX;
    }
    agent->handles_lost++; /* the close may fail */
    return;
  }
  agent->handles[at] = (sim_handle_t){.agent = agent,
                                      .open = true,
                                      .id = reply->handle,
                                      .checkpoint = reply->checkpoint,
                                      .opened_ns = agent->world->now_ns,
                                      .name = request->name,
                                      .flags = request->handle};
}

/* Up to which slot an answer is heard: most as if they had less room, so that there are iterations of many parts. */
static uint64_t iterated_end(sim_world_t *world, const sim_iteration_t *iteration, const wire_message_t *reply) {
  uint64_t slots = reply->cursor > iteration->cursor ? reply->cursor - iteration->cursor : 0;
  return slots > 1 && sim_percent(&world->random, 70) ? iteration->cursor + 1 + sim_below(&world->random, slots)
                                                      : reply->cursor;
}

static void iterated(sim_agent_t *agent, sim_handle_t *handle, const wire_message_t *reply) {
  sim_world_t *world = agent->world;
  sim_iteration_t *iteration = &handle->iteration;
  uint64_t end = reply->error == VESTA_OK ? iterated_end(world, iteration, reply) : 0;
  bool over = reply->error != VESTA_OK || (reply->state == 1 && end == reply->cursor);
  iteration->cursor = end;
  iteration->epoch = reply->epoch;
  iteration->as_of = reply->seq;
  for (uint32_t i = 0; i < reply->element_count && reply->elements[i].slot < end; i++) {
    sim_change_t seen = {.kind = VESTA_KIND_CREATED, .id = reply->elements[i].id};
    sim_section_t *section = NULL;
    bool goes_back = world->plan.policy == ORDER_TRUST && iteration->cuts != history_cuts(handle);
    if (sim_table_find(&iteration->seen, seen.id) != NULL && !goes_back) {
      sim_fail(world, "ANSWER", "an iteration shows a section twice");
    }
    (void)sim_table_apply(&iteration->seen, &seen, &section);
  }
  const sim_history_t *history = sim_handle_history(handle);
  /* What was deleted and is there again, since the delete was lost with its primary, was not there all the time. */
  bool whole = over && reply->error == VESTA_OK && iteration->chosen == 5 && iteration->cuts == history_cuts(handle);
  for (const sim_tail_t *tail = history == NULL ? NULL : history->tails; tail != NULL && whole; tail = tail->next) {
    whole = !sim_history_may_resume(history, tail); /* else it may show what was left out, or not */
  }
  if (whole && iteration->wall_jumps == world->wall_jumps) {
    for (const sim_section_t *section = history->table.first; section != NULL; section = section->next) {
      /* That it is to live longer, a replica that is a message behind may not have known. */
      bool known = !sim_clustered(world) || section->expiry_seq <= iteration->as_of;
      if (section->created_seq <= iteration->as_of && section->expiry_ns > sim_wall_ns(world) && known &&
          sim_table_find(&iteration->seen, section->id) == NULL) {
        sim_fail(world, "ANSWER", "an iteration has left out a section that was there all the time");
      }
    }
  }
  if (!over && sim_agent_may_ask(agent)) {
    ask_iterate(agent, handle);
    return;
  }
  sim_table_fini(&iteration->seen);
  iteration->under_way = false;
}

static void streaming(sim_agent_t *agent, sim_handle_t *handle, const sim_request_t *request,
                      const wire_message_t *reply) {
  if (request->resubscribes) {
    if (handle->subscriber != NULL) {
      sim_subscriber_renew(handle->subscriber, reply);
    }
    return;
  }
  handle->subscribing = false;
  if (reply->error == VESTA_OK && handle->subscriber == NULL) {
    sim_subscriber_begin(agent, handle, reply);
  }
}

/* The handle of a request, if it is still what it was. */
static sim_handle_t *handle_of(sim_agent_t *agent, const sim_request_t *request) {
  wire_message_t asked;
  wire_decoder_t *decoder = agent->world->nodes[0].decoder; /* nothing of it is in use now */
  if (request->handle >= SIM_HANDLES_MAX ||
      wire_decode(decoder, request->packet->head.data, request->packet->head.size, &asked) != VESTA_OK) {
    return NULL;
  }
  sim_handle_t *handle = &agent->handles[request->handle];
  return handle->open && handle->id == asked.handle ? handle : NULL;
}

static bool handle_is_over(const sim_agent_t *agent, const sim_handle_t *handle) {
  const sim_history_t *history = sim_handle_history(handle);
  bool lost =
      sim_clustered(agent->world) && (history == NULL || history->removed); /* see sim_model.h for whether it may */
  return lost || sim_witness_may_end(agent, handle->opened_ns);
}

static void handle_answered(sim_agent_t *agent, sim_handle_t *handle, const sim_request_t *request,
                            const wire_message_t *reply) {
  sim_world_t *world = agent->world;
  if (reply->error == VESTA_ERR_BAD_HANDLE && !handle->closing && handle_is_over(agent, handle)) {
    sim_handle_end(agent, handle);
    return;
  }
  if (reply->error == VESTA_ERR_BAD_HANDLE && !handle->closing) {
    sim_fail(world, "SESSION", "handle %" PRIu64 " of process %" PRIu32 " is gone (%s #%" PRIu64 ")", handle->id,
             agent->index, wire_kind_name(request->kind), request->number);
  }
  switch (request->kind) {
    case WIRE_CLOSE:
      if (reply->error == VESTA_OK) {
        sim_handle_end(agent, handle);
      } else {
        handle->closing = false;
      }
      break;
    case WIRE_ITERATE: iterated(agent, handle, reply); break;
    case WIRE_STREAM: streaming(agent, handle, request, reply); break;
    case WIRE_JOIN:
    case WIRE_CONFIRM:
    case WIRE_PROMOTE:
    case WIRE_RESIGN:
    case WIRE_LEAVE: sim_member_answered(agent, request, reply); break;
    default: break; /* the oracle has looked at it when it was given */
  }
}

void sim_work_answered(sim_agent_t *agent, const sim_request_t *request, const wire_message_t *reply,
                       vesta_bytes_t payload) {
  if (request->kind == WIRE_OPEN) {
    opened(agent, request, reply);
    return;
  }
  if (request->kind == WIRE_CHANGE) {
    sim_change_answered(agent, request, reply);
  }
  sim_handle_t *handle = handle_of(agent, request);
  if (handle != NULL && request->kind == WIRE_READ && sim_clustered(agent->world)) {
    sim_witness_read(agent, request, reply, payload);
  }
  if (handle != NULL && request->kind == WIRE_SYNCHRONIZE && reply->error == VESTA_OK && sim_clustered(agent->world)) {
    sim_witness_synchronized(agent, request);
  }
  if (handle != NULL && request->kind != WIRE_UNLINK) {
    handle_answered(agent, handle, request, reply);
  }
}
