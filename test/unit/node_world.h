/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The world around a node director, the smallest possible: regions are heap memory that outlives the node, ordered
 * operations are kept in a list (the journal) and given back at once, links are numbers. Requests go in as events,
 * answers are looked up among the actions. The simulator does the same with faults.
 */
#ifndef VESTA_TEST_UNIT_NODE_WORLD_H
#define VESTA_TEST_UNIT_NODE_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/node.h"

#define WORLD_REGIONS_MAX 32U
#define WORLD_JOURNAL_MAX 512U
#define SECOND_NS INT64_C(1000000000)

typedef struct world_region {
  uint64_t id, size;
  void *memory;
} world_region_t;

typedef struct world_answer {
  uint64_t link;
  wire_message_t message;
  uint8_t payload[4096];
  size_t payload_size;
} world_answer_t;

typedef struct world {
  node_t *node;
  world_region_t regions[WORLD_REGIONS_MAX];
  uint8_t *journal[WORLD_JOURNAL_MAX];
  size_t journal_sizes[WORLD_JOURNAL_MAX];
  uint32_t journal_count;
  wire_decoder_t *decoder;
  int64_t now_ns;
  bool full; /* no memory for regions or journal */
  uint64_t random;
  world_answer_t answers[8]; /* of the last event */
  uint32_t answer_count;
  uint64_t removed, published_seq;
  bool published_awaited;
  uint32_t attach_count;
} world_t;

static inline vesta_err_t world_reserve(void *context, uint64_t offset, uint64_t size) {
  (void)offset;
  (void)size;
  return ((world_t *)context)->full ? VESTA_ERR_NO_SPACE : VESTA_OK;
}

static inline void world_release(void *context, uint64_t offset, uint64_t size) {
  (void)context;
  (void)offset;
  (void)size;
}

static inline vesta_err_t world_create(void *context, uint64_t id, uint64_t size, void **region,
                                       replica_storage_t *pages) {
  world_t *world = context;
  for (uint32_t i = 0; i < WORLD_REGIONS_MAX; i++) {
    if (world->regions[i].memory == NULL) {
      void *memory = NULL;
      assert_int_equal(posix_memalign(&memory, 4096, size), 0);
      memset(memory, 0, size);
      world->regions[i] = (world_region_t){.id = id, .size = size, .memory = memory};
      *region = memory;
      *pages = (replica_storage_t){.context = world, .reserve = world_reserve, .release = world_release};
      return VESTA_OK;
    }
  }
  return VESTA_ERR_NO_RESOURCES;
}

static inline vesta_err_t world_open(void *context, uint64_t id, void **region, uint64_t *size,
                                     replica_storage_t *pages) {
  world_t *world = context;
  for (uint32_t i = 0; i < WORLD_REGIONS_MAX; i++) {
    if (world->regions[i].memory != NULL && world->regions[i].id == id) {
      *region = world->regions[i].memory;
      *size = world->regions[i].size;
      *pages = (replica_storage_t){.context = world, .reserve = world_reserve, .release = world_release};
      return VESTA_OK;
    }
  }
  return VESTA_ERR_NOT_EXIST;
}

static inline void world_remove(void *context, uint64_t id) {
  world_t *world = context;
  for (uint32_t i = 0; i < WORLD_REGIONS_MAX; i++) {
    if (world->regions[i].memory != NULL && world->regions[i].id == id) {
      free(world->regions[i].memory);
      world->regions[i] = (world_region_t){0};
    }
  }
}

static inline void world_take(world_t *world, const node_action_t *action) {
  assert_true(world->answer_count < 8);
  world_answer_t *answer = &world->answers[world->answer_count++];
  *answer = (world_answer_t){.link = action->link, .message = *action->message, .payload_size = action->payload.size};
  assert_true(action->payload.size <= sizeof answer->payload);
  if (action->payload.size > 0) {
    memcpy(answer->payload, action->payload.data, action->payload.size);
  }
  world->attach_count += action->attach != 0;
}

static inline void world_carry_out(world_t *world, const node_actions_t *actions);

static inline void world_ordered(world_t *world, uint32_t entry) {
  wire_message_t op;
  assert_int_equal(wire_decode(world->decoder, world->journal[entry], world->journal_sizes[entry], &op), VESTA_OK);
  node_event_t event = {
      .kind = NODE_EVENT_ORDERED, .wall_ns = world->now_ns, .steady_ns = world->now_ns, .message = &op};
  node_actions_t actions;
  node_step(world->node, &event, &actions);
  world_carry_out(world, &actions);
}

/* ORDERs are collected first: the actions live only until the next step. */
static inline void world_carry_out(world_t *world, const node_actions_t *actions) {
  uint32_t first = world->journal_count;
  for (uint32_t i = 0; i < actions->count; i++) {
    const node_action_t *action = &actions->items[i];
    if (action->kind == NODE_ACTION_SEND) {
      world_take(world, action);
    } else if (action->kind == NODE_ACTION_REMOVED) {
      world->removed = action->checkpoint;
    } else if (action->kind == NODE_ACTION_PUBLISH) {
      world->published_seq = action->last_seq;
      world->published_awaited = action->awaited;
    } else if (action->kind == NODE_ACTION_ORDER && !world->full) {
      assert_true(world->journal_count < WORLD_JOURNAL_MAX);
      size_t capacity = wire_encoded_size_max(action->message);
      uint8_t *bytes = malloc(capacity);
      size_t size = 0;
      assert_int_equal(wire_encode(action->message, bytes, capacity, &size), VESTA_OK);
      world->journal[world->journal_count] = bytes;
      world->journal_sizes[world->journal_count++] = size;
    } else if (action->kind == NODE_ACTION_ORDER) {
      wire_message_t op = *action->message;
      node_event_t event = {.kind = NODE_EVENT_REFUSED,
                            .wall_ns = world->now_ns,
                            .steady_ns = world->now_ns,
                            .message = &op,
                            .error = VESTA_ERR_NO_SPACE};
      node_actions_t refused;
      node_step(world->node, &event, &refused);
      world_carry_out(world, &refused);
      return;
    }
  }
  for (uint32_t entry = first, end = world->journal_count; entry < end; entry++) {
    world_ordered(world, entry);
  }
}

static inline void world_event(world_t *world, node_event_t event) {
  node_actions_t actions;
  world->answer_count = 0;
  event.wall_ns = world->now_ns;
  event.steady_ns = world->now_ns;
  event.random = (vesta_token_t){.hi = 7, .lo = ++world->random};
  node_step(world->node, &event, &actions);
  world_carry_out(world, &actions);
}

static inline void world_time(world_t *world, int64_t forward_ns) {
  world->now_ns += forward_ns;
  if (node_wake_ns(world->node) <= world->now_ns) {
    world_event(world, (node_event_t){.kind = NODE_EVENT_TIME});
  }
}

static inline void world_new_node(world_t *world) {
  node_config_t config = {
      .node_id = 1,
      .storage = {.context = world, .create = world_create, .open = world_open, .remove = world_remove},
      .stream_endpoints = vesta_bytes("ipc://a ipc://b", 15)};
  assert_int_equal(node_new(&config, &world->node), VESTA_OK);
}

static inline int world_setup(void **state) {
  world_t *world = calloc(1, sizeof *world);
  world->now_ns = 1000 * SECOND_NS;
  world->decoder = wire_decoder_new();
  world_new_node(world);
  *state = world;
  return 0;
}

static inline int world_teardown(void **state) {
  world_t *world = *state;
  node_destroy(&world->node);
  for (uint32_t i = 0; i < WORLD_REGIONS_MAX; i++) {
    free(world->regions[i].memory);
  }
  for (uint32_t i = 0; i < world->journal_count; i++) {
    free(world->journal[i]);
  }
  wire_decoder_destroy(&world->decoder);
  free(world);
  return 0;
}

/* The node is killed and started again from the journal and the regions. */
static inline void world_restart(world_t *world) {
  node_destroy(&world->node);
  world_new_node(world);
  for (uint32_t i = 0; i < world->journal_count; i++) {
    wire_message_t op;
    assert_int_equal(wire_decode(world->decoder, world->journal[i], world->journal_sizes[i], &op), VESTA_OK);
    assert_int_equal(node_restore(world->node, &op), VESTA_OK);
  }
  node_actions_t actions;
  world->answer_count = 0;
  assert_int_equal(node_start(world->node, world->now_ns, world->now_ns, &actions), VESTA_OK);
  world_carry_out(world, &actions);
}

/* ---- an application, as short as possible ---- */

typedef struct client {
  world_t *world;
  uint64_t link, number;
  vesta_token_t token;
} client_t;

static uint64_t next_link = 1;

static inline const wire_message_t *client_ask(client_t *client, wire_message_t message, const char *payload) {
  if (message.number == 0) {
    message.number = ++client->number;
  }
  world_event(client->world, (node_event_t){.kind = NODE_EVENT_REQUEST,
                                            .link = client->link,
                                            .message = &message,
                                            .payload = vesta_bytes(payload, payload == NULL ? 0 : strlen(payload)),
                                            .pid = 100,
                                            .uid = 1,
                                            .start = 5,
                                            .program = vesta_bytes("app", 3),
                                            .watched = true});
  for (uint32_t i = 0; i < client->world->answer_count; i++) {
    const world_answer_t *answer = &client->world->answers[i];
    if (answer->link == client->link && answer->message.number == message.number) {
      return &answer->message;
    }
  }
  return NULL;
}

static inline client_t client_new(world_t *world) {
  client_t client = {.world = world, .link = next_link++};
  const wire_message_t *reply = client_ask(&client, (wire_message_t){.kind = WIRE_HELLO}, NULL);
  assert_non_null(reply);
  assert_int_equal(reply->error, VESTA_OK);
  client.token = wire_token(reply);
  return client;
}

static inline void client_resume(client_t *client) {
  client->link = next_link++;
  const wire_message_t *reply = client_ask(
      client, (wire_message_t){.kind = WIRE_HELLO, .token_hi = client->token.hi, .token_lo = client->token.lo}, NULL);
  assert_int_equal(reply->error, VESTA_OK);
}

static inline wire_message_t open_message(const char *name, uint32_t flags) {
  wire_message_t open = {.kind = WIRE_OPEN, .name = vesta_bytes(name, strlen(name)), .flags = flags};
  if ((flags & VESTA_OPEN_CREATE) != 0) {
    vesta_attributes_t attributes = {.creation_flags = VESTA_CREATE_ALL_REPLICAS,
                                     .checkpoint_bytes = 800,
                                     .retention_ns = 10 * SECOND_NS,
                                     .sections_max = 8,
                                     .section_bytes_max = 100,
                                     .section_id_bytes_max = 16};
    wire_attributes_set(&open, &attributes);
  }
  return open;
}

#define OPEN_ALL (VESTA_OPEN_CREATE | VESTA_OPEN_READ | VESTA_OPEN_WRITE)

static inline uint64_t client_open(client_t *client, const char *name) {
  const wire_message_t *reply = client_ask(client, open_message(name, OPEN_ALL), NULL);
  assert_int_equal(reply->error, VESTA_OK);
  assert_int_not_equal(reply->handle, 0);
  assert_int_equal(reply->sections_max, 8);
  return reply->handle;
}

static inline vesta_err_t client_change(client_t *client, uint64_t handle, vesta_kind_t kind, const char *id,
                                        const char *data) {
  wire_element_t element = {.kind = kind,
                            .id = vesta_bytes(id, strlen(id)),
                            .size = data == NULL ? 0 : strlen(data),
                            .expiry_ns = VESTA_TIME_END};
  wire_message_t change = {.kind = WIRE_CHANGE, .handle = handle, .elements = &element, .element_count = 1};
  return (vesta_err_t)client_ask(client, change, data)->error;
}

static inline vesta_err_t client_simple(client_t *client, enum wire_kind kind, uint64_t handle) {
  return (vesta_err_t)client_ask(client, (wire_message_t){.kind = kind, .handle = handle}, NULL)->error;
}

static inline vesta_err_t client_unlink(client_t *client, const char *name) {
  wire_message_t unlink = {.kind = WIRE_UNLINK, .name = vesta_bytes(name, strlen(name))};
  return (vesta_err_t)client_ask(client, unlink, NULL)->error;
}

static inline void assert_reads(client_t *client, uint64_t handle, const char *id, const char *data) {
  wire_message_t read = {.kind = WIRE_READ, .handle = handle, .id = vesta_bytes(id, strlen(id)), .size = 100};
  const wire_message_t *reply = client_ask(client, read, NULL);
  assert_int_equal(reply->error, VESTA_OK);
  assert_int_equal(reply->size, strlen(data));
  assert_memory_equal(client->world->answers[0].payload, data, strlen(data));
}

/* ---- groups ---- */

static inline const wire_message_t *client_join(client_t *client, uint64_t handle, uint32_t priority) {
  return client_ask(client,
                    (wire_message_t){.kind = WIRE_JOIN,
                                     .handle = handle,
                                     .text = vesta_bytes("m", 1),
                                     .priority = priority,
                                     .flags = WIRE_JOIN_FENCE,
                                     .timeout_ns = SECOND_NS},
                    NULL);
}

static inline vesta_err_t client_confirm(client_t *client, uint64_t handle, uint64_t epoch, uint64_t seq) {
  return (vesta_err_t)client_ask(
             client, (wire_message_t){.kind = WIRE_CONFIRM, .handle = handle, .epoch = epoch, .seq = seq}, NULL)
      ->error;
}

static inline void client_synced(client_t *client, uint64_t handle) {
  (void)client_ask(client, (wire_message_t){.kind = WIRE_PROGRESS, .handle = handle, .state = 1}, NULL);
}

/* A, granted and confirmed, and B, a synced standby. */
static inline void pair_new(world_t *world, client_t *a, uint64_t *ha, client_t *b, uint64_t *hb) {
  *a = client_new(world);
  *b = client_new(world);
  *ha = client_open(a, "x");
  *hb = client_open(b, "x");
  assert_int_equal(client_join(a, *ha, 0)->error, VESTA_OK);
  const wire_message_t *grant = client_join(a, *ha, 0);
  assert_int_equal(grant->state, 1);
  assert_int_equal(client_confirm(a, *ha, grant->epoch, grant->seq - 1), VESTA_ERR_TRY_AGAIN);
  grant = client_join(a, *ha, 0);
  assert_int_equal(client_confirm(a, *ha, grant->epoch, grant->seq), VESTA_OK);
  assert_int_equal(client_join(b, *hb, 0)->state, 0);
  client_synced(b, *hb);
}

#endif
