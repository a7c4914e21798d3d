/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A member of an active/standby group, as vesta_pair_... has to behave.
 *
 *   NONE --join--> JOINING --answered--> STANDBY --granted--> CANDIDATE --everything taken, confirmed--> ACTIVE
 *                                          ^--- another was granted, or refused as fenced ---'             |
 *                                          '---------------------- resigned, or another was granted -------'
 *
 * It hears of grants in its stream (EPOCH operations), and asks now and then how things are (JOIN again), because a
 * resync may have swallowed the operation. It confirms only when its table is the state at the barrier or behind it:
 * that is where the oracle's rule BARRIER looks. Some give signs of life as active, and fall silent for too long; some ask
 * for the role themselves, whoever has it.
 */
#include <inttypes.h>

#include "core/node_state.h"
#include "test/sim/sim_world.h"

#define MEMBER_NS_MAX (800 * SIM_MS) /* how often it says how far it is */

static sim_request_t *member_ask(sim_agent_t *agent, sim_handle_t *handle, wire_message_t *message) {
  message->handle = handle->id;
  sim_request_t *request = sim_agent_ask(agent, message, (vesta_bytes_t){0});
  request->handle = (uint32_t)(handle - agent->handles);
  handle->member.asking = true;
  return request;
}

/* The member is the session: one that has joined through another handle is a member already. */
static bool session_is_member(const sim_agent_t *agent, const sim_handle_t *handle) {
  for (uint32_t h = 0; h < SIM_HANDLES_MAX; h++) {
    const sim_handle_t *other = &agent->handles[h];
    if (other != handle && other->open && other->checkpoint == handle->checkpoint &&
        other->member.role != SIM_ROLE_NONE) {
      return true;
    }
  }
  return false;
}

static void member_join(sim_agent_t *agent, sim_handle_t *handle) {
  sim_world_t *world = agent->world;
  sim_member_t *member = &handle->member;
  if (member->role == SIM_ROLE_NONE) {
    member->role = SIM_ROLE_JOINING;
    member->flags = world->plan.names[handle->name].fenced ? WIRE_JOIN_FENCE : 0;
    member->flags |= sim_percent(&world->random, 5) ? WIRE_JOIN_MANUAL : 0;
    member->heartbeat_ns = sim_percent(&world->random, 40) ? sim_between(&world->random, 50, 2000) * SIM_MS : 0;
    member->flags |= sim_percent(&world->random, 30) ? WIRE_JOIN_REQUIRE_SYNCED : 0;
  }
  wire_message_t join = {.kind = WIRE_JOIN,
                         .text = vesta_bytes("member", 6),
                         .priority = sim_below(&world->random, 3),
                         .flags = member->flags,
                         .timeout_ns = sim_between(&world->random, 50, world->plan.hangs ? 200 : 2000) * SIM_MS,
                         .expiry_ns = member->heartbeat_ns};
  (void)member_ask(agent, handle, &join);
}

/* Everything up to the barrier was taken: say so. */
static void member_confirm(sim_agent_t *agent, sim_handle_t *handle) {
  sim_world_t *world = agent->world;
  const sim_subscriber_t *subscriber = handle->subscriber;
  const sim_history_t *history = subscriber->history;
  const sim_member_t *member = &handle->member;
  if (subscriber->table.sum != sim_history_sum(history, subscriber->position) ||
      sim_history_record(history, member->epoch, member->barrier) == NULL) {
    sim_fail(world, "BARRIER", "process %" PRIu32 " has taken all up to seq=%" PRIu64 " and its table is not the state",
             agent->index, subscriber->position.seq);
  }
  wire_message_t confirm = {.kind = WIRE_CONFIRM, .epoch = member->epoch, .seq = subscriber->position.seq};
  sim_request_t *request = member_ask(agent, handle, &confirm);
  request->epoch = member->epoch;
  request->floor_seq = subscriber->position.seq;
}

/* It has asked for the role, its time is up, and it does without the rest: it says so, and knows what it lacks. */
static void member_confirm_dirty(sim_agent_t *agent, sim_handle_t *handle) {
  wire_message_t confirm = {.kind = WIRE_CONFIRM,
                            .epoch = handle->member.epoch,
                            .seq = handle->subscriber->position.seq,
                            .flags = WIRE_CONFIRM_DIRTY};
  sim_request_t *request = member_ask(agent, handle, &confirm);
  request->epoch = handle->member.epoch;
  request->floor_seq = UINT64_MAX;
}

/* Whoever was told that something is done, was told so by an earlier active: the new one has it. Only a fence sees to it
 * that nobody writes in between. */
static void must_have_what_others_were_told(const sim_agent_t *agent, const sim_handle_t *handle,
                                            const sim_request_t *request) {
  const sim_history_t *history = sim_handle_history(handle);
  for (uint32_t i = 0; i < agent->world->agent_count && history->fenced_since_ns < request->asked_ns; i++) {
    uint64_t seq = history->acked[i];
    bool before =
        seq != 0 && history->records[seq - 1].epoch <= request->epoch; /* there may be another active by now */
    if (before && seq > request->floor_seq) {
      sim_fail(agent->world, "BARRIER",
               "process %" PRIu32 " is active, in sync, with all up to seq=%" PRIu64 ", and process %" PRIu32
               " was told that seq=%" PRIu64 " is done",
               agent->index, request->floor_seq, i, seq);
    }
  }
}

static bool member_has_all(const sim_handle_t *handle) {
  const sim_subscriber_t *subscriber = handle->subscriber;
  return subscriber != NULL && subscriber->mode == SIM_STREAM_FOLLOWING && subscriber->has_table &&
         subscriber->index == 0 && handle->member.barrier != 0 && subscriber->position.seq >= handle->member.barrier;
}

static void member_report(sim_agent_t *agent, const sim_handle_t *handle) {
  const sim_subscriber_t *subscriber = handle->subscriber;
  wire_message_t progress = {.kind = WIRE_PROGRESS, .handle = handle->id};
  if (subscriber != NULL) {
    wire_message_t *to = &progress;
    to->lineage = subscriber->position.lineage;
    to->epoch = subscriber->position.epoch;
    to->seq = subscriber->position.seq;
    to->state = subscriber->mode == SIM_STREAM_FOLLOWING && subscriber->synced ? 1 : 0;
  }
  sim_agent_tell(agent, &progress);
}

/* Asks for the role, now and then with too little time. */
static void member_promote(sim_agent_t *agent, sim_handle_t *handle) {
  sim_world_t *world = agent->world;
  wire_message_t promote = {.kind = WIRE_PROMOTE};
  if (sim_percent(&world->random, 50)) {
    promote.time_ns = world->now_ns + sim_span(&world->random, 1, SIM_SECOND_NS);
  }
  (void)member_ask(agent, handle, &promote);
  handle->member.hurries = (handle->member.flags & WIRE_JOIN_REQUIRE_SYNCED) == 0 && sim_percent(&world->random, 40);
}

void sim_member_turn(sim_agent_t *agent, sim_handle_t *handle) {
  sim_world_t *world = agent->world;
  sim_member_t *member = &handle->member;
  if (!sim_agent_may_ask(agent) || (handle->flags & VESTA_OPEN_READ) == 0) {
    return;
  }
  if (handle->subscriber == NULL) { /* no standby without a stream */
    if (!handle->subscribing && !world->healing) {
      handle->subscribing = true;
      wire_message_t stream = {.kind = WIRE_STREAM, .handle = handle->id};
      sim_agent_ask(agent, &stream, (vesta_bytes_t){0})->handle = (uint32_t)(handle - agent->handles);
    }
    return;
  }
  bool mute = world->now_ns < member->mute_until_ns && !world->healing;
  if (member->asking || (mute && member->role == SIM_ROLE_ACTIVE)) {
    return;
  }
  if (member->role == SIM_ROLE_NONE) {
    if (!world->healing && !session_is_member(agent, handle)) {
      member_join(agent, handle);
    }
  } else if (member->role == SIM_ROLE_CANDIDATE && member_has_all(handle) && !mute) {
    member_confirm(agent, handle);
  } else if (member->role == SIM_ROLE_CANDIDATE && member->hurries && !member_has_all(handle) && !mute) {
    member_confirm_dirty(agent, handle);
  } else if (world->now_ns >= member->due_ns) {
    bool beats = member->role == SIM_ROLE_ACTIVE && member->heartbeat_ns != 0;
    member->due_ns =
        world->now_ns + (beats ? member->heartbeat_ns / 4 : sim_span(&world->random, SIM_MS, MEMBER_NS_MAX));
    if (sim_percent(&world->random, world->plan.hangs ? 25 : 10)) {
      int64_t least_ns = world->plan.hangs ? 2 * SIM_SECOND_NS : SIM_MS;
      member->mute_until_ns = world->now_ns + sim_span(&world->random, least_ns, 12 * SIM_SECOND_NS);
    }
    member_report(agent, handle);
    bool manual = (member->flags & WIRE_JOIN_MANUAL) != 0;
    if (member->role == SIM_ROLE_STANDBY && !world->healing && sim_percent(&world->random, manual ? 30 : 2)) {
      member_promote(agent, handle);
    } else if (member->role != SIM_ROLE_ACTIVE || member->ask) {
      member->ask = false;
      member_join(agent, handle);
    } else if (sim_percent(&world->random, 10) && !world->healing) {
      wire_message_t resign = {.kind = WIRE_RESIGN};
      (void)member_ask(agent, handle, &resign);
    }
  } else if (!world->healing && sim_chance(&world->random, 2000)) {
    wire_message_t leave = {.kind = WIRE_LEAVE};
    (void)member_ask(agent, handle, &leave);
  }
}

/* ---- what it hears ---- */

static void member_granted(sim_agent_t *agent, sim_handle_t *handle, uint64_t epoch, uint64_t barrier, bool ours) {
  sim_world_t *world = agent->world;
  sim_member_t *member = &handle->member;
  if (epoch < member->epoch || (epoch == member->epoch && !ours)) {
    return;
  }
  if (ours) {
    member->barrier = barrier != 0 ? barrier : epoch == member->epoch ? member->barrier : 0;
    if (epoch > member->epoch) {
      member->role = SIM_ROLE_CANDIDATE;
      if (world->plan.hangs && !world->healing && sim_percent(&world->random, 60)) { /* just now */
        member->mute_until_ns = world->now_ns + sim_between(&world->random, 2, 10) * SIM_SECOND_NS;
      }
    }
  } else {
    if (member->role == SIM_ROLE_ACTIVE) {
      sim_say(world, "process %" PRIu32 " hears that it is active no longer", agent->index);
    }
    member->role = SIM_ROLE_STANDBY;
  }
  member->epoch = epoch;
}

void sim_member_epoch(sim_agent_t *agent, sim_handle_t *handle, vesta_pos_t position, uint64_t member) {
  bool moved = member == VESTA_MEMBER_SAME; /* the primary, and no role with it */
  if (handle->member.role != SIM_ROLE_NONE && handle->member.role != SIM_ROLE_JOINING && !moved) {
    member_granted(agent, handle, position.epoch, position.seq, member == handle->member.id);
  }
}

static void member_joined(sim_agent_t *agent, sim_handle_t *handle, const wire_message_t *reply) {
  sim_member_t *member = &handle->member;
  bool first = member->role == SIM_ROLE_JOINING;
  if (reply->error != VESTA_OK) {
    member->role = first ? SIM_ROLE_NONE : member->role;
    return;
  }
  bool another = !first && reply->member != member->id;
  if (reply->member == 0 || (another && !sim_side_may_end(agent, member->joined_ns))) {
    sim_fail(agent->world, "ANSWER", "a member was told of another id than its own");
  }
  if (first || another) {
    member->id = reply->member;
    member->joined_ns = agent->world->now_ns;
    member->role = SIM_ROLE_STANDBY;
    member->epoch = 0;
    member->barrier = 0;
  }
  if (reply->epoch != 0) {
    member_granted(agent, handle, reply->epoch, reply->seq, reply->state != 0);
  }
}

static bool was_given_up(const sim_handle_t *handle) { return sim_side_may_end(handle->agent, handle->opened_ns); }

static void member_activated(sim_agent_t *agent, sim_handle_t *handle, uint64_t epoch) {
  sim_world_t *world = agent->world;
  sim_member_t *member = &handle->member;
  for (uint32_t i = 0; i < world->agent_count; i++) {
    for (uint32_t h = 0; h < SIM_HANDLES_MAX; h++) {
      const sim_handle_t *other = &world->agents[i].handles[h];
      bool same = other != handle && other->open && other->checkpoint == handle->checkpoint &&
                  sim_home(other->agent)->side == sim_home(agent)->side && !was_given_up(other) &&
                  !was_given_up(handle); /* of that id two halves may each have made one */
      if (same && other->member.role == SIM_ROLE_ACTIVE && other->member.epoch == epoch) {
        sim_fail(world, "ONE-ACTIVE", "processes %" PRIu32 " and %" PRIu32 " are active in epoch %" PRIu64,
                 world->agents[i].index, agent->index, epoch);
      }
    }
  }
  if (epoch == member->epoch) {
    member->role = SIM_ROLE_ACTIVE;
    sim_say(world, "process %" PRIu32 " is active on checkpoint %" PRIu64 " in epoch %" PRIu64, agent->index,
            handle->checkpoint, epoch);
  }
}

void sim_member_answered(sim_agent_t *agent, const sim_request_t *request, const wire_message_t *reply) {
  sim_handle_t *handle = &agent->handles[request->handle];
  sim_member_t *member = &handle->member;
  member->asking = false;
  switch (request->kind) {
    case WIRE_JOIN: member_joined(agent, handle, reply); break;
    case WIRE_CONFIRM:
      if (reply->error == VESTA_OK) {
        must_have_what_others_were_told(agent, handle, request);
        member_activated(agent, handle, request->epoch);
      } else if (reply->error == VESTA_ERR_FENCED && request->epoch == member->epoch) {
        member->role = SIM_ROLE_STANDBY;
      }
      break;
    case WIRE_PROMOTE:
      if (reply->error == VESTA_OK) {
        member_joined(agent, handle, reply);
      }
      break;
    case WIRE_RESIGN:
      if (reply->error == VESTA_OK && member->role == SIM_ROLE_ACTIVE) {
        member->role = SIM_ROLE_STANDBY;
      }
      break;
    case WIRE_LEAVE:
      if (reply->error == VESTA_OK) {
        *member = (sim_member_t){0};
      }
      break;
    default: break;
  }
}

/* ---- rest ---- */

static const sim_handle_t *member_handle(const sim_world_t *world, const roles_member_t *member) {
  for (uint32_t i = 0; i < world->agent_count; i++) {
    for (uint32_t h = 0; h < SIM_HANDLES_MAX; h++) {
      const sim_handle_t *handle = &world->agents[i].handles[h];
      if (handle->open && handle->id == member->handle && handle->member.id == member->id) {
        return handle;
      }
    }
  }
  return NULL;
}

const char *sim_member_restless(sim_world_t *world) {
  size_t bucket = 0;
  directory_checkpoint_t *checkpoint = NULL;
  while ((checkpoint = directory_each(sim_world_directory(world), &bucket, checkpoint)) != NULL) {
    const roles_group_t *group = &checkpoint->group;
    if (group->state == ROLES_VACANT && roles_choose(group, 0) != NULL) {
      return "a group has no active although somebody is eligible";
    }
    const roles_member_t *active = roles_member(group, group->granted); /* or about to be */
    const sim_handle_t *handle = active == NULL ? NULL : member_handle(world, active);
    /* Nobody speaks for a member whose session ended for its process, but not for the node, which died before the end
     * was in the journal: it goes with the process. */
    if (group->state == ROLES_PROMOTING && handle != NULL) {
      return sim_restless(world,
                          "a promotion of member %" PRIu64 " of checkpoint %" PRIu64 " is under way (epoch=%" PRIu64
                          " barrier=%" PRIu64 " role=%d)",
                          active->id, checkpoint->id, handle->member.epoch, handle->member.barrier,
                          (int)handle->member.role);
    }
    if (handle != NULL && handle->member.role != SIM_ROLE_ACTIVE) {
      return sim_restless(world,
                          "member %" PRIu64 " of checkpoint %" PRIu64 " is active in epoch=%" PRIu64
                          " and does not know (epoch=%" PRIu64 " barrier=%" PRIu64 " role=%d)",
                          active->id, checkpoint->id, group->epoch, handle->member.epoch, handle->member.barrier,
                          (int)handle->member.role);
    }
  }
  return NULL;
}
