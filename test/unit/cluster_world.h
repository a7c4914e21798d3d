/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Several node directors and a network between them that does nothing wrong by itself: what is multicast is delivered
 * to all members of a node's side of a cut, in one order; links keep their order. Time moves when the test says so. The
 * simulator (test/sim) is the same with everything going wrong.
 */
#ifndef VESTA_TEST_UNIT_CLUSTER_WORLD_H
#define VESTA_TEST_UNIT_CLUSTER_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/node_cluster.h"

#define CLUSTER_NODES 3U
#define CLUSTER_REGIONS_MAX 64U
#define CLUSTER_ELEMENTS_MAX 32U /* of an answer, kept */
#define CLUSTER_MS INT64_C(1000000)
#define CLUSTER_SECOND INT64_C(1000000000)

/* A message on its way, and who sent it: 0 is the group's engine itself. */
typedef struct cluster_letter {
  struct cluster_letter *next;
  bool group;
  uint32_t from;
  size_t head_size, payload_size;
  uint8_t bytes[];
} cluster_letter_t;

typedef struct cluster_region {
  uint64_t id, size;
  void *memory;
} cluster_region_t;

typedef struct cluster_answer {
  wire_message_t message;
  wire_element_t elements[CLUSTER_ELEMENTS_MAX];
  uint8_t ids[CLUSTER_ELEMENTS_MAX][64];
  uint8_t id[64];
  uint8_t payload[8192];
  size_t payload_size;
  bool come;
} cluster_answer_t;

typedef struct cluster_world cluster_world_t;

typedef struct cluster_member {
  cluster_world_t *world;
  uint32_t id;
  node_t *node;  /* NULL: not running */
  uint32_t side; /* of the cut */
  bool deaf;     /* links to it lose everything; the group does not */
  cluster_letter_t *first, **last;
  cluster_region_t regions[CLUSTER_REGIONS_MAX];
  cluster_letter_t *journal, **journal_last;
  bool full;        /* no pages any more */
  bool stopped;     /* SIGSTOP: what comes waits */
  bool mute;        /* what it says to single nodes is lost */
  int64_t clock_ns; /* its machine was started so long before the world */
  bool rewriting;
  void (*filed)(struct cluster_member *member); /* a region was made, or renamed */
  bool answered_first;                          /* before what was published last */
  uint64_t closed;                              /* the last link that was closed */
  bool has_quorum;                              /* it said so, */
  int64_t quorum_ns;                            /* then */
  cluster_answer_t answer;                      /* the last one on its link 1 */
  wire_decoder_t *decoder;
} cluster_member_t;

struct cluster_world {
  cluster_member_t members[CLUSTER_NODES];
  int64_t now_ns;
  uint64_t random, ring, request, incarnation;
  uint32_t diverged;
  uint32_t uid; /* of clients */
};

/* ---- storage ---- */

static inline vesta_err_t cluster_reserve(void *context, uint64_t offset, uint64_t size) {
  (void)offset;
  (void)size;
  return ((cluster_member_t *)context)->full ? VESTA_ERR_NO_SPACE : VESTA_OK;
}

static inline void cluster_release(void *context, uint64_t offset, uint64_t size) {
  (void)context;
  (void)offset;
  (void)size;
}

static inline cluster_region_t *cluster_region(cluster_member_t *member, uint64_t id) {
  for (uint32_t i = 0; i < CLUSTER_REGIONS_MAX; i++) {
    if (member->regions[i].memory != NULL && member->regions[i].id == id) {
      return &member->regions[i];
    }
  }
  return NULL;
}

static inline void cluster_storage_remove(void *context, uint64_t id) {
  cluster_region_t *region = cluster_region(context, id);
  if (region != NULL) {
    free(region->memory);
    *region = (cluster_region_t){0};
  }
}

static inline vesta_err_t cluster_storage_create(void *context, uint64_t id, uint64_t size, void **region,
                                                 replica_storage_t *pages) {
  cluster_member_t *member = context;
  if (member->full) {
    return VESTA_ERR_NO_SPACE;
  }
  cluster_storage_remove(context, id);
  for (uint32_t i = 0; i < CLUSTER_REGIONS_MAX; i++) {
    if (member->regions[i].memory == NULL) {
      void *memory = NULL;
      assert_int_equal(posix_memalign(&memory, 4096, size), 0);
      memset(memory, 0, size);
      member->regions[i] = (cluster_region_t){.id = id, .size = size, .memory = memory};
      *region = memory;
      *pages = (replica_storage_t){.context = member, .reserve = cluster_reserve, .release = cluster_release};
      if (member->filed != NULL) {
        member->filed(member);
      }
      return VESTA_OK;
    }
  }
  return VESTA_ERR_NO_RESOURCES;
}

static inline vesta_err_t cluster_storage_open(void *context, uint64_t id, void **region, uint64_t *size,
                                               replica_storage_t *pages) {
  cluster_region_t *found = cluster_region(context, id);
  if (found == NULL) {
    return VESTA_ERR_NOT_EXIST;
  }
  *region = found->memory;
  *size = found->size;
  *pages = (replica_storage_t){.context = context, .reserve = cluster_reserve, .release = cluster_release};
  return VESTA_OK;
}

static inline void cluster_storage_rename(void *context, uint64_t from, uint64_t to) {
  cluster_region_t *region = cluster_region(context, from);
  cluster_member_t *member = context;
  assert_non_null(region);
  cluster_storage_remove(context, to);
  region->id = to;
  if (member->filed != NULL) {
    member->filed(member);
  }
}

static inline bool cluster_storage_has(void *context, uint64_t id) { return cluster_region(context, id) != NULL; }

/* ---- letters ---- */

static inline cluster_letter_t *cluster_letter_new(const wire_message_t *message, vesta_bytes_t payload) {
  size_t room = wire_encoded_size_max(message);
  cluster_letter_t *letter = calloc(1, sizeof *letter + room + payload.size);
  assert_non_null(letter);
  assert_int_equal(wire_encode(message, letter->bytes, room, &letter->head_size), VESTA_OK);
  if (payload.size > 0) {
    memcpy(letter->bytes + letter->head_size, payload.data, payload.size);
  }
  letter->payload_size = payload.size;
  return letter;
}

static inline void cluster_put(cluster_member_t *to, cluster_letter_t *letter) {
  *to->last = letter;
  to->last = &letter->next;
}

static inline void cluster_clear(cluster_letter_t **first, cluster_letter_t ***last) {
  while (*first != NULL) {
    cluster_letter_t *letter = *first;
    *first = letter->next;
    free(letter);
  }
  *last = first;
}

/* ---- actions ---- */

static inline void cluster_journal(cluster_member_t *member, const wire_message_t *row) {
  cluster_letter_t *letter = cluster_letter_new(row, vesta_bytes(NULL, 0));
  *member->journal_last = letter;
  member->journal_last = &letter->next;
}

static inline bool cluster_journal_row(void *context, const wire_message_t *row) {
  cluster_journal(context, row);
  return true;
}

static inline void cluster_view(cluster_world_t *world, uint32_t side);

/* They live until the node's next step only. */
static inline void cluster_answer_elements(cluster_answer_t *answer, const wire_message_t *message) {
  for (uint32_t i = 0; i < message->element_count && i < CLUSTER_ELEMENTS_MAX; i++) {
    answer->elements[i] = message->elements[i];
    if (message->elements[i].id.size > 0 && message->elements[i].id.size <= sizeof answer->ids[i]) {
      memcpy(answer->ids[i], message->elements[i].id.data, message->elements[i].id.size);
      answer->elements[i].id.data = answer->ids[i];
    }
  }
  answer->message.elements = answer->elements;
}

static inline void cluster_act(cluster_member_t *member, const node_action_t *action) {
  cluster_world_t *world = member->world;
  switch (action->kind) {
    case NODE_ACTION_SEND: {
      cluster_answer_t *answer = &member->answer;
      *answer = (cluster_answer_t){.message = *action->message, .payload_size = action->payload.size, .come = true};
      assert_true(action->payload.size <= sizeof answer->payload);
      if (action->payload.size > 0) {
        memcpy(answer->payload, action->payload.data, action->payload.size);
      }
      if (action->message->id.size > 0 && action->message->id.size <= sizeof answer->id) {
        memcpy(answer->id, action->message->id.data, action->message->id.size);
        answer->message.id.data = answer->id;
      }
      cluster_answer_elements(answer, action->message);
      break;
    }
    case NODE_ACTION_MULTICAST:
      for (uint32_t i = 0; i < CLUSTER_NODES; i++) {
        cluster_member_t *to = &world->members[i];
        if (to->node != NULL && to->side == member->side) {
          cluster_letter_t *letter = cluster_letter_new(action->message, vesta_bytes(NULL, 0));
          letter->group = true;
          letter->from = member->id;
          cluster_put(to, letter);
        }
      }
      break;
    case NODE_ACTION_PEER:
      for (uint32_t i = 0; i < CLUSTER_NODES; i++) {
        cluster_member_t *to = &world->members[i];
        if (to->id == action->node && to->node != NULL && to->side == member->side && !member->mute && !to->deaf) {
          cluster_letter_t *letter = cluster_letter_new(action->message, action->payload);
          letter->from = member->id;
          cluster_put(to, letter);
        }
      }
      break;
    case NODE_ACTION_JOURNAL: cluster_journal(member, action->message); break;
    case NODE_ACTION_REWRITE:
      cluster_clear(&member->journal, &member->journal_last);
      assert_true(node_snapshot(member->node, cluster_journal_row, member));
      break;
    case NODE_ACTION_PUBLISH: member->answered_first = member->answer.come; break;
    case NODE_ACTION_DIVERGED: world->diverged++; break;
    case NODE_ACTION_QUORUM:
      member->has_quorum = action->quorum;
      member->quorum_ns = world->now_ns;
      break;
    case NODE_ACTION_REJOIN: cluster_view(world, member->side); break;
    case NODE_ACTION_CLOSE_LINK: member->closed = action->link; break;
    case NODE_ACTION_WATCH:
    case NODE_ACTION_UNWATCH:
    case NODE_ACTION_REMOVED: break;
    case NODE_ACTION_ORDER: fail_msg("a node of a cluster ordered by itself"); break;
  }
}

static inline void cluster_step(cluster_member_t *member, node_event_t *event) {
  cluster_world_t *world = member->world;
  node_actions_t actions;
  event->wall_ns = world->now_ns + 1000 * CLUSTER_SECOND;
  event->steady_ns = world->now_ns + member->clock_ns;
  event->random = (vesta_token_t){.hi = ++world->random * 7919, .lo = ++world->random * 104729};
  node_step(member->node, event, &actions);
  for (uint32_t i = 0; i < actions.count; i++) {
    cluster_act(member, &actions.items[i]);
  }
}

/* In the time of the world. */
static inline int64_t cluster_wake_ns(const cluster_member_t *member) {
  int64_t wake_ns = node_wake_ns(member->node);
  return wake_ns == INT64_MAX ? wake_ns : wake_ns - member->clock_ns;
}

/* Deliver until nothing is on its way. */
static inline void cluster_run(cluster_world_t *world) {
  uint32_t turns = 0;
  for (bool any = true; any;) {
    any = false;
    for (uint32_t i = 0; i < CLUSTER_NODES; i++) {
      cluster_member_t *member = &world->members[i];
      cluster_letter_t *letter = member->node == NULL ? NULL : member->first;
      if (member->stopped) {
        continue;
      }
      if (letter != NULL) {
        member->first = letter->next;
        if (member->first == NULL) {
          member->last = &member->first;
        }
        wire_message_t message;
        assert_int_equal(wire_decode(member->decoder, letter->bytes, letter->head_size, &message), VESTA_OK);
        node_event_t event = {.kind = letter->group ? NODE_EVENT_GROUP : NODE_EVENT_PEER,
                              .node = letter->from,
                              .message = &message,
                              .payload = vesta_bytes(letter->bytes + letter->head_size, letter->payload_size)};
        cluster_step(member, &event);
        free(letter);
        any = true;
      } else if (member->node != NULL && cluster_wake_ns(member) <= world->now_ns) {
        node_event_t event = {.kind = NODE_EVENT_TIME};
        cluster_step(member, &event);
        if (++turns > 100000) {
          fail_msg("node %u is never at rest", member->id);
        }
        any = any || cluster_wake_ns(member) <= world->now_ns;
      }
    }
  }
}

/* Time passes, in the steps that the nodes ask for. */
static inline void cluster_pass(cluster_world_t *world, int64_t ns) {
  int64_t end_ns = world->now_ns + ns;
  cluster_run(world);
  while (world->now_ns < end_ns) {
    int64_t next_ns = end_ns;
    for (uint32_t i = 0; i < CLUSTER_NODES; i++) {
      const cluster_member_t *member = &world->members[i];
      if (member->node != NULL && !member->stopped && cluster_wake_ns(member) < next_ns) {
        next_ns = cluster_wake_ns(member);
      }
    }
    world->now_ns = next_ns > world->now_ns ? next_ns : world->now_ns + 1;
    cluster_run(world);
  }
}

/* ---- views, nodes that come and go ---- */

/* All members of a side get a view of it, and the word of quorum. */
static inline void cluster_view(cluster_world_t *world, uint32_t side) {
  uint32_t members[CLUSTER_NODES];
  uint32_t count = 0;
  world->ring += 4;
  for (uint32_t i = 0; i < CLUSTER_NODES; i++) {
    if (world->members[i].node != NULL && world->members[i].side == side) {
      members[count++] = world->members[i].id;
      cluster_clear(&world->members[i].first, &world->members[i].last);
    }
  }
  for (uint32_t i = 0; i < CLUSTER_NODES; i++) {
    cluster_member_t *member = &world->members[i];
    if (member->node == NULL || member->side != side) {
      continue;
    }
    order_ring_t ring = {.seq = world->ring, .node = members[0]};
    node_event_t view = {.kind = NODE_EVENT_VIEW, .ring = ring, .members = members, .member_count = count};
    node_event_t quorum = {
        .kind = NODE_EVENT_QUORUM, .ring = ring, .quorate = count > CLUSTER_NODES / 2, .expected = CLUSTER_NODES};
    cluster_step(member, &view);
    cluster_step(member, &quorum);
    for (uint32_t j = 0; j < count; j++) {
      if (members[j] != member->id) {
        node_event_t up = {.kind = NODE_EVENT_PEER_UP, .node = members[j]};
        cluster_step(member, &up);
      }
    }
  }
}

static inline void cluster_start(cluster_world_t *world, uint32_t index) {
  cluster_member_t *member = &world->members[index];
  node_config_t config = {.node_id = member->id,
                          .clustered = true,
                          .incarnation = ++world->incarnation,
                          .random = ++world->random * 15485863,
                          .owner_uid = 1,
                          .storage = {.context = member,
                                      .create = cluster_storage_create,
                                      .open = cluster_storage_open,
                                      .remove = cluster_storage_remove,
                                      .rename = cluster_storage_rename,
                                      .has = cluster_storage_has},
                          .stream_endpoints = vesta_bytes("a b", 3)};
  node_actions_t actions;
  assert_int_equal(node_new(&config, &member->node), VESTA_OK);
  for (cluster_letter_t *row = member->journal; row != NULL; row = row->next) {
    wire_message_t message;
    assert_int_equal(wire_decode(member->decoder, row->bytes, row->head_size, &message), VESTA_OK);
    assert_int_equal(node_restore(member->node, &message), VESTA_OK);
  }
  assert_int_equal(
      node_start(member->node, world->now_ns + 1000 * CLUSTER_SECOND, world->now_ns + member->clock_ns, &actions),
      VESTA_OK);
  for (uint32_t i = 0; i < actions.count; i++) {
    cluster_act(member, &actions.items[i]);
  }
}

/** As by kill -9; `files`: its regions and its journal stay. */
static inline void cluster_stop(cluster_world_t *world, uint32_t index, bool files) {
  cluster_member_t *member = &world->members[index];
  node_destroy(&member->node);
  cluster_clear(&member->first, &member->last);
  if (!files) {
    cluster_clear(&member->journal, &member->journal_last);
    for (uint32_t i = 0; i < CLUSTER_REGIONS_MAX; i++) {
      free(member->regions[i].memory);
      member->regions[i] = (cluster_region_t){0};
    }
  }
}

/** As by kill -9 and a start at once: it is back in the next view that the others have. */
static inline void cluster_restart(cluster_world_t *world, uint32_t index, bool files) {
  cluster_stop(world, index, files);
  cluster_start(world, index);
  cluster_view(world, 0);
}

static inline void cluster_new(cluster_world_t *world, uint32_t nodes) {
  *world = (cluster_world_t){.now_ns = CLUSTER_SECOND, .ring = 100, .uid = 1};
  for (uint32_t i = 0; i < CLUSTER_NODES; i++) {
    cluster_member_t *member = &world->members[i];
    *member = (cluster_member_t){.world = world, .id = i + 1, .decoder = wire_decoder_new()};
    member->last = &member->first;
    member->journal_last = &member->journal;
    if (i < nodes) {
      cluster_start(world, i);
    }
  }
  cluster_view(world, 0);
  cluster_pass(world, 2 * CLUSTER_SECOND);
}

static inline void cluster_end(cluster_world_t *world) {
  for (uint32_t i = 0; i < CLUSTER_NODES; i++) {
    cluster_stop(world, i, false);
    wire_decoder_destroy(&world->members[i].decoder);
  }
}

/* ---- clients ---- */

/** Ask on link 1 of a node; the answer may come now or while time passes: member->answer.come. */
static inline uint64_t cluster_ask(cluster_world_t *world, uint32_t index, wire_message_t *message, const void *data,
                                   size_t size) {
  cluster_member_t *member = &world->members[index];
  message->number = message->number != 0 ? message->number : ++world->request;
  member->answer = (cluster_answer_t){0};
  node_event_t event = {.kind = NODE_EVENT_REQUEST,
                        .link = 1,
                        .message = message,
                        .payload = vesta_bytes(data, size),
                        .uid = world->uid,
                        .pid = 10 + index,
                        .start = 1,
                        .watched = true};
  cluster_step(member, &event);
  cluster_run(world);
  return message->number;
}

/** The same, and it is answered within ten seconds. */
static inline wire_message_t *cluster_call(cluster_world_t *world, uint32_t index, wire_message_t *message,
                                           const void *data, size_t size) {
  (void)cluster_ask(world, index, message, data, size);
  for (uint32_t i = 0; i < 100 && !world->members[index].answer.come; i++) {
    cluster_pass(world, 100 * CLUSTER_MS);
  }
  assert_true(world->members[index].answer.come);
  assert_int_equal(world->members[index].answer.message.number, message->number);
  return &world->members[index].answer.message;
}

/** The process on link 1 ends it; its session, if there is one still, goes on. */
static inline void cluster_hang_up(cluster_world_t *world, uint32_t index) {
  node_event_t event = {.kind = NODE_EVENT_LINK_GONE, .link = 1};
  cluster_step(&world->members[index], &event);
}

static inline void cluster_hello(cluster_world_t *world, uint32_t index) {
  wire_message_t hello = {.kind = WIRE_HELLO, .pid = 10 + index};
  assert_int_equal(cluster_call(world, index, &hello, NULL, 0)->error, VESTA_OK);
}

static inline uint64_t cluster_open(cluster_world_t *world, uint32_t index, const char *name, uint32_t creation_flags) {
  wire_message_t open = {.kind = WIRE_OPEN,
                         .name = vesta_bytes(name, strlen(name)),
                         .flags = VESTA_OPEN_CREATE | VESTA_OPEN_READ | VESTA_OPEN_WRITE,
                         .creation_flags = creation_flags,
                         .checkpoint_bytes = 16 * 1024,
                         .retention_ns = 60 * CLUSTER_SECOND,
                         .sections_max = 16,
                         .section_bytes_max = 1024,
                         .section_id_bytes_max = 16};
  wire_message_t *reply = cluster_call(world, index, &open, NULL, 0);
  assert_int_equal(reply->error, VESTA_OK);
  return reply->handle;
}

/** A new process on that node opens the checkpoint "a". @return its handle */
static inline uint64_t cluster_enter(cluster_world_t *world, uint32_t index, uint32_t creation_flags) {
  cluster_hello(world, index);
  return cluster_open(world, index, "a", creation_flags);
}

/** A process on each of the first nodes has the checkpoint "a" open. */
static inline void cluster_open_all(cluster_world_t *world, uint32_t nodes, uint32_t creation_flags,
                                    uint64_t *handles) {
  for (uint32_t i = 0; i < nodes; i++) {
    handles[i] = cluster_enter(world, i, creation_flags);
  }
}

static inline vesta_err_t cluster_change(cluster_world_t *world, uint32_t index, uint64_t handle, vesta_kind_t kind,
                                         const char *id, const char *data) {
  wire_element_t element = {
      .kind = kind, .id = vesta_bytes(id, strlen(id)), .size = strlen(data), .expiry_ns = VESTA_TIME_END};
  wire_message_t change = {.kind = WIRE_CHANGE, .handle = handle, .elements = &element, .element_count = 1};
  return (vesta_err_t)cluster_call(world, index, &change, data, strlen(data))->error;
}

/** @return its size, or minus the error */
static inline int64_t cluster_read(cluster_world_t *world, uint32_t index, uint64_t handle, const char *id) {
  wire_message_t read = {.kind = WIRE_READ, .handle = handle, .id = vesta_bytes(id, strlen(id)), .size = 1024};
  const wire_message_t *reply = cluster_call(world, index, &read, NULL, 0);
  return reply->error == VESTA_OK ? (int64_t)reply->size : -(int64_t)reply->error;
}

/** The one checkpoint there is, as that node has it. */
static inline directory_checkpoint_t *cluster_checkpoint(cluster_world_t *world, uint32_t index) {
  size_t bucket = 0;
  return directory_each(world->members[index].node->directory, &bucket, NULL);
}

/** Whether, for all that member knows, the node's replica is in sync. */
static inline bool cluster_in_sync(cluster_world_t *world, uint32_t index, uint32_t node) {
  const directory_replica_t *replica = directory_replica(cluster_checkpoint(world, index), node);
  return replica != NULL && replica->state == WIRE_REPLICA_IN_SYNC;
}

/** Time passes until it is so, for twenty seconds at most. */
#define cluster_pass_until(world, condition)                 \
  do {                                                       \
    int64_t end_ns_ = (world)->now_ns + 20 * CLUSTER_SECOND; \
    while (!(condition) && (world)->now_ns < end_ns_) {      \
      cluster_pass(world, CLUSTER_MS);                       \
    }                                                        \
    assert_true(condition);                                  \
  } while (0)

#endif
