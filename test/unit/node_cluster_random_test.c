/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Node directors in a cluster under faults drawn from a seed: nodes that are killed and come back with or without their
 * files, cuts, storage that fills up. The network itself does nothing wrong (see cluster_world.h; the simulator's does).
 *
 * Each section has one writer, whose values rise. In the end, on every node: no value older than the last acknowledged
 * one (where all replicas have it before it is acknowledged), none that was answered with an error, and the same
 * everywhere.
 */
#include <inttypes.h>
#include <stdio.h>

#include "test/unit/cluster_world.h"

#define SEEDS 40U
#define STEPS 300U
#define SECTIONS 6U
#define VALUES_MAX 4000U

typedef struct agent {
  bool greeted, asking;
  uint64_t handle, number;
  wire_message_t message;
  wire_element_t element;
  char id[8];
  uint64_t value;
  uint32_t section;
  enum { ASKS_HELLO, ASKS_OPEN, ASKS_ACTIVE, ASKS_CREATE, ASKS_WRITE } what;
} agent_t;

typedef struct section {
  bool created;
  uint64_t tried, acked;
  bool refused[VALUES_MAX];
} section_t;

typedef struct run {
  cluster_world_t world;
  agent_t agents[CLUSTER_NODES];
  section_t sections[SECTIONS];
  uint64_t seed, state;
  uint32_t flags;
  int64_t calm_since_ns;
} run_t;

static uint64_t draw(run_t *run, uint64_t below) {
  run->state ^= run->state << 13;
  run->state ^= run->state >> 7;
  run->state ^= run->state << 17;
  return run->state * 2685821657736338717ULL % below;
}

static bool has_all(const run_t *run) { return (run->flags & VESTA_CREATE_ALL_REPLICAS) != 0; }

/* The application says where the active replica is. */
static bool sets_active(const run_t *run) { return !has_all(run) && (run->flags & VESTA_CREATE_COLLOCATED) != 0; }

static void ask(run_t *run, uint32_t index) {
  agent_t *agent = &run->agents[index];
  agent->asking = true;
  agent->message = (wire_message_t){0};
  if (!agent->greeted) {
    agent->what = ASKS_HELLO;
    agent->message = (wire_message_t){.kind = WIRE_HELLO, .pid = 10 + index};
  } else if (agent->handle == 0) {
    agent->what = ASKS_OPEN;
    agent->message = (wire_message_t){.kind = WIRE_OPEN,
                                      .name = vesta_bytes("c", 1),
                                      .flags = VESTA_OPEN_CREATE | VESTA_OPEN_READ | VESTA_OPEN_WRITE,
                                      .creation_flags = run->flags,
                                      .checkpoint_bytes = 16 * 1024,
                                      .retention_ns = INT64_MAX,
                                      .sections_max = 16,
                                      .section_bytes_max = 1024,
                                      .section_id_bytes_max = 16};
  } else if (sets_active(run) && draw(run, 10) == 0) {
    agent->what = ASKS_ACTIVE;
    agent->message = (wire_message_t){.kind = WIRE_ACTIVE_SET, .handle = agent->handle};
  } else {
    agent->section = index + CLUSTER_NODES * (uint32_t)draw(run, SECTIONS / CLUSTER_NODES);
    section_t *section = &run->sections[agent->section];
    (void)snprintf(agent->id, sizeof agent->id, "s%" PRIu32, agent->section);
    agent->what = section->created ? ASKS_WRITE : ASKS_CREATE;
    agent->value = ++section->tried;
    assert_true(agent->value < VALUES_MAX);
    agent->element = (wire_element_t){.kind = section->created ? VESTA_KIND_OVERWRITTEN : VESTA_KIND_CREATED,
                                      .id = vesta_bytes(agent->id, strlen(agent->id)),
                                      .size = sizeof agent->value,
                                      .expiry_ns = VESTA_TIME_END};
    agent->message =
        (wire_message_t){.kind = WIRE_CHANGE, .handle = agent->handle, .elements = &agent->element, .element_count = 1};
  }
  bool write = agent->what >= ASKS_CREATE;
  agent->number =
      cluster_ask(&run->world, index, &agent->message, write ? &agent->value : NULL, write ? sizeof agent->value : 0);
}

static void take_answer(run_t *run, uint32_t index) {
  agent_t *agent = &run->agents[index];
  const cluster_answer_t *answer = &run->world.members[index].answer;
  if (!agent->asking || !answer->come || answer->message.number != agent->number) {
    return;
  }
  agent->asking = false;
  vesta_err_t err = (vesta_err_t)answer->message.error;
  section_t *section = &run->sections[agent->section];
  switch (agent->what) {
    case ASKS_HELLO: agent->greeted = err == VESTA_OK; break;
    case ASKS_OPEN: agent->handle = err == VESTA_OK ? answer->message.handle : 0; break;
    case ASKS_ACTIVE: break;
    case ASKS_CREATE:
    case ASKS_WRITE:
      section->created = err == VESTA_OK || err == VESTA_ERR_EXIST || (section->created && err != VESTA_ERR_NOT_EXIST);
      section->acked = err == VESTA_OK ? agent->value : section->acked;
      section->refused[agent->value] = err != VESTA_OK && err != VESTA_ERR_TIMEOUT;
      break;
  }
  if (err == VESTA_ERR_BAD_HANDLE) {
    cluster_hang_up(&run->world, index);
    *agent = (agent_t){0};
  }
}

static void run_for(run_t *run, int64_t ns) {
  cluster_pass(&run->world, ns);
  for (uint32_t i = 0; i < CLUSTER_NODES; i++) {
    take_answer(run, i);
  }
}

static void view_all(run_t *run) {
  cluster_view(&run->world, 0);
  cluster_view(&run->world, 1);
}

/* Two nodes are said to have everything: one may lose its files. */
static bool two_in_sync(const run_t *run) {
  size_t bucket = 0;
  const node_t *node = run->world.members[0].node;
  const directory_checkpoint_t *checkpoint = directory_each(node->directory, &bucket, NULL);
  return checkpoint != NULL && directory_replica_count(checkpoint, WIRE_REPLICA_IN_SYNC) >= 2;
}

static void fault(run_t *run) {
  cluster_world_t *world = &run->world;
  uint32_t index = (uint32_t)draw(run, CLUSTER_NODES);
  cluster_member_t *member = &world->members[index];
  bool calm = world->now_ns - run->calm_since_ns > 20 * CLUSTER_SECOND; /* there are two replicas, if there can be */
  for (uint32_t i = 0; i < CLUSTER_NODES; i++) {
    calm = calm && world->members[i].node != NULL && world->members[i].side == 0 && !world->members[i].full;
  }
  switch (draw(run, 6)) {
    case 0:
    case 1:
      if (member->node != NULL) {
        cluster_stop(world, index, !(calm && draw(run, 3) == 0 && two_in_sync(run)));
        run->agents[index] = (agent_t){0};
      } else {
        member->full = false;
        cluster_start(world, index);
      }
      view_all(run);
      break;
    case 2:
      member->side = member->side == 0 ? 1 : 0;
      view_all(run);
      break;
    case 3: member->full = !member->full; break;
    case 4: view_all(run); break;
    default: return;
  }
  run->calm_since_ns = world->now_ns;
}

static void get_ready(run_t *run);

static void begin_anew(run_t *run, uint32_t index) {
  cluster_hang_up(&run->world, index);
  run->agents[index] = (agent_t){0};
  get_ready(run);
}

static uint64_t value_at(run_t *run, uint32_t index, uint32_t section) {
  wire_message_t message = {.kind = WIRE_READ, .handle = run->agents[index].handle, .size = 64};
  char id[8];
  (void)snprintf(id, sizeof id, "s%" PRIu32, section);
  message.id = vesta_bytes(id, strlen(id));
  const wire_message_t *reply = cluster_call(&run->world, index, &message, NULL, 0);
  if (reply->error == VESTA_ERR_NOT_EXIST) {
    return 0;
  }
  if (reply->error == VESTA_ERR_BAD_HANDLE) { /* its node was away for longer than sessions are kept */
    begin_anew(run, index);
    return value_at(run, index, section);
  }
  if (reply->error != VESTA_OK || reply->size != sizeof(uint64_t)) {
    fail_msg("seed %" PRIu64 ": section %" PRIu32 " at node %" PRIu32 ": %s", run->seed, section, index + 1,
             vesta_err_name((vesta_err_t)reply->error));
  }
  uint64_t value = 0;
  memcpy(&value, run->world.members[index].answer.payload, sizeof value);
  return value;
}

static void set_active(run_t *run) {
  vesta_err_t err = VESTA_ERR_TRY_AGAIN;
  for (uint32_t i = 0; i < 5 && err == VESTA_ERR_TRY_AGAIN; i++) {
    wire_message_t set = {.kind = WIRE_ACTIVE_SET, .handle = run->agents[0].handle};
    err = (vesta_err_t)cluster_call(&run->world, 0, &set, NULL, 0)->error;
    if (err == VESTA_ERR_BAD_HANDLE) {
      begin_anew(run, 0);
      err = VESTA_ERR_TRY_AGAIN;
    }
  }
  if (err != VESTA_OK) {
    fail_msg("seed %" PRIu64 ": the active replica can't be set: %s", run->seed, vesta_err_name(err));
  }
}

static void heal_and_check(run_t *run) {
  for (uint32_t i = 0; i < CLUSTER_NODES; i++) {
    run->world.members[i].full = false;
    run->world.members[i].side = 0;
    if (run->world.members[i].node == NULL) {
      cluster_start(&run->world, i);
      run->agents[i] = (agent_t){0};
    }
  }
  view_all(run);
  get_ready(run);
  if (sets_active(run)) {
    set_active(run);
  }
  for (uint32_t s = 0; s < SECTIONS; s++) {
    const section_t *section = &run->sections[s];
    uint64_t first = value_at(run, 0, s);
    if ((has_all(run) && first < section->acked) || first > section->tried || section->refused[first]) {
      fail_msg("seed %" PRIu64 ": section %" PRIu32 " is %" PRIu64 ", acknowledged was %" PRIu64 " of %" PRIu64 "%s",
               run->seed, s, first, section->acked, section->tried, section->refused[first] ? ", refused" : "");
    }
    for (uint32_t i = 1; i < CLUSTER_NODES; i++) {
      uint64_t other = value_at(run, i, s);
      if (other != first) {
        fail_msg("seed %" PRIu64 ": section %" PRIu32 " is %" PRIu64 " at node 1 and %" PRIu64 " at node %" PRIu32,
                 run->seed, s, first, other, i + 1);
      }
    }
  }
}

/* Every agent has the checkpoint open. */
static void get_ready(run_t *run) {
  for (uint32_t round = 0; round < 200; round++) {
    run_for(run, 500 * CLUSTER_MS);
    bool ready = true;
    for (uint32_t i = 0; i < CLUSTER_NODES; i++) {
      if (!run->agents[i].asking && run->agents[i].handle == 0) {
        ask(run, i);
        take_answer(run, i);
      }
      ready = ready && !run->agents[i].asking && run->agents[i].handle != 0;
    }
    if (ready) {
      break;
    }
  }
  for (uint32_t i = 0; i < CLUSTER_NODES; i++) {
    if (run->agents[i].handle == 0) {
      fail_msg("seed %" PRIu64 ": the checkpoint can't be opened at node %" PRIu32, run->seed, i + 1);
    }
  }
}

static void play(uint64_t seed, uint32_t flags) {
  run_t *run = calloc(1, sizeof *run);
  assert_non_null(run);
  run->seed = seed;
  run->state = seed * 0x9e3779b97f4a7c15ULL + 1;
  run->flags = flags;
  cluster_new(&run->world, CLUSTER_NODES);
  for (uint32_t step = 0; step < STEPS; step++) {
    for (uint32_t i = 0; i < CLUSTER_NODES; i++) {
      if (run->world.members[i].node != NULL && !run->agents[i].asking && draw(run, 2) == 0) {
        ask(run, i);
        take_answer(run, i);
      }
    }
    if (draw(run, 8) == 0) {
      fault(run);
    }
    run_for(run, (int64_t)(1 + draw(run, 10 * (draw(run, 10) == 0 ? 1000 : 20))) * CLUSTER_MS);
  }
  heal_and_check(run);
  cluster_end(&run->world);
  free(run);
}

static void play_all(uint32_t flags) {
  const char *one = getenv("VESTA_TEST_SEED");
  uint64_t first = one != NULL ? strtoull(one, NULL, 10) : 1;
  for (uint64_t seed = first; seed < (one != NULL ? first + 1 : SEEDS + 1); seed++) {
    play(seed, flags);
  }
}

static void acknowledged_writes_to_all_replicas_survive_and_refused_ones_are_never_found(void **state) {
  (void)state;
  play_all(VESTA_CREATE_ALL_REPLICAS);
}

static void the_same_where_every_opener_has_a_replica(void **state) {
  (void)state;
  play_all(VESTA_CREATE_ALL_REPLICAS | VESTA_CREATE_COLLOCATED);
}

static void replicas_behind_an_active_one_become_equal_and_have_nothing_that_was_refused(void **state) {
  (void)state;
  play_all(VESTA_CREATE_ACTIVE_REPLICA);
}

static void the_same_where_the_application_moves_the_active_one(void **state) {
  (void)state;
  play_all(VESTA_CREATE_ACTIVE_REPLICA | VESTA_CREATE_COLLOCATED);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(acknowledged_writes_to_all_replicas_survive_and_refused_ones_are_never_found),
      cmocka_unit_test(the_same_where_every_opener_has_a_replica),
      cmocka_unit_test(replicas_behind_an_active_one_become_equal_and_have_nothing_that_was_refused),
      cmocka_unit_test(the_same_where_the_application_moves_the_active_one),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
