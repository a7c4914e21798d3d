/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The node director's rules, one by one: requests go in as events, answers are looked up among the actions.
 *
 * The world around the node is the smallest possible: regions are heap memory that outlives the node, ordered operations
 * are kept in a list (the journal) and given back at once, links are numbers. The simulator does the same with faults.
 */
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
  bool full;          /* no memory for regions or journal */
  uint64_t random;
  world_answer_t answers[8]; /* of the last event */
  uint32_t answer_count;
  uint64_t removed, published_seq;
  uint32_t attach_count;
} world_t;

static vesta_err_t world_reserve(void *context, uint64_t offset, uint64_t size) {
  (void)offset;
  (void)size;
  return ((world_t *)context)->full ? VESTA_ERR_NO_SPACE : VESTA_OK;
}

static void world_release(void *context, uint64_t offset, uint64_t size) {
  (void)context;
  (void)offset;
  (void)size;
}

static vesta_err_t world_create(void *context, uint64_t id, uint64_t size, void **region, replica_storage_t *pages) {
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

static vesta_err_t world_open(void *context, uint64_t id, void **region, uint64_t *size, replica_storage_t *pages) {
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

static void world_remove(void *context, uint64_t id) {
  world_t *world = context;
  for (uint32_t i = 0; i < WORLD_REGIONS_MAX; i++) {
    if (world->regions[i].memory != NULL && world->regions[i].id == id) {
      free(world->regions[i].memory);
      world->regions[i] = (world_region_t){0};
    }
  }
}

static void world_take(world_t *world, const node_action_t *action) {
  assert_true(world->answer_count < 8);
  world_answer_t *answer = &world->answers[world->answer_count++];
  *answer = (world_answer_t){.link = action->link, .message = *action->message, .payload_size = action->payload.size};
  assert_true(action->payload.size <= sizeof answer->payload);
  if (action->payload.size > 0) {
    memcpy(answer->payload, action->payload.data, action->payload.size);
  }
  world->attach_count += action->attach != 0;
}

static void world_carry_out(world_t *world, const node_actions_t *actions);

static void world_ordered(world_t *world, uint32_t entry) {
  wire_message_t op;
  assert_int_equal(wire_decode(world->decoder, world->journal[entry], world->journal_sizes[entry], &op), VESTA_OK);
  node_event_t event = {.kind = NODE_EVENT_ORDERED, .wall_ns = world->now_ns, .steady_ns = world->now_ns, .message = &op};
  node_actions_t actions;
  node_step(world->node, &event, &actions);
  world_carry_out(world, &actions);
}

/* ORDERs are collected first: the actions live only until the next step. */
static void world_carry_out(world_t *world, const node_actions_t *actions) {
  uint32_t first = world->journal_count;
  for (uint32_t i = 0; i < actions->count; i++) {
    const node_action_t *action = &actions->items[i];
    if (action->kind == NODE_ACTION_SEND) {
      world_take(world, action);
    } else if (action->kind == NODE_ACTION_REMOVED) {
      world->removed = action->checkpoint;
    } else if (action->kind == NODE_ACTION_PUBLISH) {
      world->published_seq = action->last_seq;
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
      node_event_t event = {.kind = NODE_EVENT_REFUSED, .wall_ns = world->now_ns, .steady_ns = world->now_ns,
                            .message = &op, .error = VESTA_ERR_NO_SPACE};
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

static void world_event(world_t *world, node_event_t event) {
  node_actions_t actions;
  world->answer_count = 0;
  event.wall_ns = world->now_ns;
  event.steady_ns = world->now_ns;
  event.random = (vesta_token_t){.hi = 7, .lo = ++world->random};
  node_step(world->node, &event, &actions);
  world_carry_out(world, &actions);
}

static void world_time(world_t *world, int64_t forward_ns) {
  world->now_ns += forward_ns;
  if (node_wake_ns(world->node) <= world->now_ns) {
    world_event(world, (node_event_t){.kind = NODE_EVENT_TIME});
  }
}

static void world_new_node(world_t *world) {
  node_config_t config = {.node_id = 1,
                          .storage = {.context = world, .create = world_create, .open = world_open,
                                      .remove = world_remove},
                          .stream_endpoints = vesta_bytes("ipc://a ipc://b", 15)};
  assert_int_equal(node_new(&config, &world->node), VESTA_OK);
}

static int world_setup(void **state) {
  world_t *world = calloc(1, sizeof *world);
  world->now_ns = 1000 * SECOND_NS;
  world->decoder = wire_decoder_new();
  world_new_node(world);
  *state = world;
  return 0;
}

static int world_teardown(void **state) {
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
static void world_restart(world_t *world) {
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

static const wire_message_t *client_ask(client_t *client, wire_message_t message, const char *payload) {
  if (message.number == 0) {
    message.number = ++client->number;
  }
  world_event(client->world, (node_event_t){.kind = NODE_EVENT_REQUEST, .link = client->link, .message = &message,
                                            .payload = vesta_bytes(payload, payload == NULL ? 0 : strlen(payload)),
                                            .pid = 100, .uid = 1, .start = 5, .watched = true});
  for (uint32_t i = 0; i < client->world->answer_count; i++) {
    const world_answer_t *answer = &client->world->answers[i];
    if (answer->link == client->link && answer->message.number == message.number) {
      return &answer->message;
    }
  }
  return NULL;
}

static client_t client_new(world_t *world) {
  client_t client = {.world = world, .link = next_link++};
  const wire_message_t *reply = client_ask(&client, (wire_message_t){.kind = WIRE_HELLO}, NULL);
  assert_non_null(reply);
  assert_int_equal(reply->error, VESTA_OK);
  client.token = wire_token(reply);
  return client;
}

static void client_resume(client_t *client) {
  client->link = next_link++;
  const wire_message_t *reply = client_ask(
      client, (wire_message_t){.kind = WIRE_HELLO, .token_hi = client->token.hi, .token_lo = client->token.lo}, NULL);
  assert_int_equal(reply->error, VESTA_OK);
}

static wire_message_t open_message(const char *name, uint32_t flags) {
  wire_message_t open = {.kind = WIRE_OPEN, .name = vesta_bytes(name, strlen(name)), .flags = flags};
  if ((flags & VESTA_OPEN_CREATE) != 0) {
    vesta_attributes_t attributes = {.creation_flags = VESTA_CREATE_ALL_REPLICAS, .checkpoint_bytes = 800,
                                     .retention_ns = 10 * SECOND_NS, .sections_max = 8, .section_bytes_max = 100,
                                     .section_id_bytes_max = 16};
    wire_attributes_set(&open, &attributes);
  }
  return open;
}

#define OPEN_ALL (VESTA_OPEN_CREATE | VESTA_OPEN_READ | VESTA_OPEN_WRITE)

static uint64_t client_open(client_t *client, const char *name) {
  const wire_message_t *reply = client_ask(client, open_message(name, OPEN_ALL), NULL);
  assert_int_equal(reply->error, VESTA_OK);
  assert_int_not_equal(reply->handle, 0);
  assert_int_equal(reply->sections_max, 8);
  return reply->handle;
}

static vesta_err_t client_change(client_t *client, uint64_t handle, vesta_kind_t kind, const char *id, const char *data) {
  wire_element_t element = {.kind = kind, .id = vesta_bytes(id, strlen(id)), .size = data == NULL ? 0 : strlen(data),
                            .expiry_ns = VESTA_TIME_END};
  wire_message_t change = {.kind = WIRE_CHANGE, .handle = handle, .elements = &element, .element_count = 1};
  return (vesta_err_t)client_ask(client, change, data)->error;
}

static vesta_err_t client_simple(client_t *client, enum wire_kind kind, uint64_t handle) {
  return (vesta_err_t)client_ask(client, (wire_message_t){.kind = kind, .handle = handle}, NULL)->error;
}

static vesta_err_t client_unlink(client_t *client, const char *name) {
  wire_message_t unlink = {.kind = WIRE_UNLINK, .name = vesta_bytes(name, strlen(name))};
  return (vesta_err_t)client_ask(client, unlink, NULL)->error;
}

static void assert_reads(client_t *client, uint64_t handle, const char *id, const char *data) {
  wire_message_t read = {.kind = WIRE_READ, .handle = handle, .id = vesta_bytes(id, strlen(id)), .size = 100};
  const wire_message_t *reply = client_ask(client, read, NULL);
  assert_int_equal(reply->error, VESTA_OK);
  assert_int_equal(reply->size, strlen(data));
  assert_memory_equal(client->world->answers[0].payload, data, strlen(data));
}

/* ---- the rules ---- */

static void what_one_handle_writes_another_reads(void **state) {
  client_t a = client_new(*state), b = client_new(*state);
  uint64_t ha = client_open(&a, "x"), hb = client_open(&b, "x");
  assert_int_equal(client_change(&a, ha, VESTA_KIND_CREATED, "s", "hello"), VESTA_OK);
  assert_reads(&b, hb, "s", "hello");
  assert_int_equal(((world_t *)*state)->published_seq, 0 + 1);
}

static void a_name_without_create_must_exist(void **state) {
  client_t a = client_new(*state);
  assert_int_equal(client_ask(&a, open_message("x", VESTA_OPEN_READ), NULL)->error, VESTA_ERR_NOT_EXIST);
}

static void other_attributes_are_refused(void **state) {
  client_t a = client_new(*state);
  (void)client_open(&a, "x");
  wire_message_t open = open_message("x", OPEN_ALL);
  open.sections_max = 9;
  assert_int_equal(client_ask(&a, open, NULL)->error, VESTA_ERR_EXIST);
}

static void retention_is_compared_only_when_asked_for(void **state) {
  client_t a = client_new(*state);
  (void)client_open(&a, "x");
  wire_message_t open = open_message("x", OPEN_ALL);
  open.retention_ns = 5;
  assert_int_equal(client_ask(&a, open, NULL)->error, VESTA_OK);
  open.flags |= WIRE_FLAG_COMPARE_RETENTION;
  assert_int_equal(client_ask(&a, open, NULL)->error, VESTA_ERR_EXIST);
}

static void handles_belong_to_their_session(void **state) {
  client_t a = client_new(*state), b = client_new(*state);
  uint64_t handle = client_open(&a, "x");
  assert_int_equal(client_simple(&b, WIRE_STATUS, handle), VESTA_ERR_BAD_HANDLE);
  assert_int_equal(client_simple(&a, WIRE_STATUS, handle), VESTA_OK);
  assert_int_equal(client_simple(&a, WIRE_CLOSE, handle), VESTA_OK);
  assert_int_equal(client_simple(&a, WIRE_STATUS, handle), VESTA_ERR_BAD_HANDLE);
}

static void a_checkpoint_is_retained_and_then_removed(void **state) {
  world_t *world = *state;
  client_t a = client_new(world);
  uint64_t handle = client_open(&a, "x");
  assert_int_equal(client_change(&a, handle, VESTA_KIND_CREATED, "s", "old"), VESTA_OK);
  assert_int_equal(client_simple(&a, WIRE_CLOSE, handle), VESTA_OK);
  world_time(world, 9 * SECOND_NS);
  handle = client_open(&a, "x");
  assert_reads(&a, handle, "s", "old");
  assert_int_equal(client_simple(&a, WIRE_CLOSE, handle), VESTA_OK);
  world_time(world, 10 * SECOND_NS);
  assert_int_not_equal(world->removed, 0);
  assert_int_equal(client_ask(&a, open_message("x", VESTA_OPEN_READ), NULL)->error, VESTA_ERR_NOT_EXIST);
}

static void retention_that_ran_out_counts_before_the_timer(void **state) {
  world_t *world = *state;
  client_t a = client_new(world);
  assert_int_equal(client_simple(&a, WIRE_CLOSE, client_open(&a, "x")), VESTA_OK);
  world->now_ns += 10 * SECOND_NS; /* no TIME event */
  assert_int_equal(client_ask(&a, open_message("x", VESTA_OPEN_READ), NULL)->error, VESTA_ERR_NOT_EXIST);
  assert_int_not_equal(client_open(&a, "x"), 0);
}

static void an_unlinked_checkpoint_lives_until_its_last_close(void **state) {
  world_t *world = *state;
  client_t a = client_new(world);
  uint64_t old = client_open(&a, "x");
  assert_int_equal(client_change(&a, old, VESTA_KIND_CREATED, "s", "old"), VESTA_OK);
  assert_int_equal(client_unlink(&a, "x"), VESTA_OK);
  assert_int_equal(client_unlink(&a, "x"), VESTA_ERR_NOT_EXIST);
  uint64_t new = client_open(&a, "x");
  wire_message_t read = {.kind = WIRE_READ, .handle = new, .id = vesta_bytes("s", 1), .size = 100};
  assert_int_equal(client_ask(&a, read, NULL)->error, VESTA_ERR_NOT_EXIST);
  assert_int_equal(client_change(&a, old, VESTA_KIND_CREATED, "t", "more"), VESTA_OK);
  assert_reads(&a, old, "t", "more");
  assert_int_equal(client_simple(&a, WIRE_CLOSE, old), VESTA_OK);
  assert_int_equal(world->removed, 1);
}

static void the_death_of_a_process_closes_what_it_had_open(void **state) {
  world_t *world = *state;
  client_t a = client_new(world);
  (void)client_open(&a, "x");
  assert_int_equal(node_counter(world->node, NODE_COUNTER_HANDLES), 1);
  world_event(world, (node_event_t){.kind = NODE_EVENT_PROCESS_GONE, .session = a.token});
  assert_int_equal(node_counter(world->node, NODE_COUNTER_HANDLES), 0);
  assert_int_equal(node_counter(world->node, NODE_COUNTER_SESSIONS), 0);
}

static void a_watched_session_outlives_its_link(void **state) {
  world_t *world = *state;
  client_t a = client_new(world);
  uint64_t handle = client_open(&a, "x");
  world_event(world, (node_event_t){.kind = NODE_EVENT_LINK_GONE, .link = a.link});
  client_resume(&a);
  assert_int_equal(client_simple(&a, WIRE_STATUS, handle), VESTA_OK);
}

static void a_link_that_its_session_has_left_is_not_listened_to(void **state) {
  client_t a = client_new(*state);
  uint64_t handle = client_open(&a, "x");
  client_t before = a;
  client_resume(&a);
  assert_int_equal(client_change(&before, handle, VESTA_KIND_CREATED, "s", "late"), VESTA_ERR_BAD_HANDLE);
  assert_int_equal(client_change(&a, handle, VESTA_KIND_CREATED, "s", "again"), VESTA_OK);
  before.link = next_link++; /* a link that was made before the last one, heard of only now */
  client_resume(&a);
  wire_message_t hello = {.kind = WIRE_HELLO, .token_hi = a.token.hi, .token_lo = a.token.lo};
  assert_int_equal(client_ask(&before, hello, NULL)->error, VESTA_ERR_BAD_OPERATION);
  assert_reads(&a, handle, "s", "again");
}

static void a_session_whose_end_found_no_room_cannot_be_resumed(void **state) {
  world_t *world = *state;
  uint64_t link = next_link++;
  wire_message_t hello = {.kind = WIRE_HELLO, .number = 1};
  node_event_t event = {.kind = NODE_EVENT_REQUEST, .link = link, .message = &hello, .pid = 100, .uid = 1, .start = 5};
  world_event(world, event); /* not watched */
  vesta_token_t token = wire_token(&world->answers[0].message);
  world->full = true;
  world_event(world, (node_event_t){.kind = NODE_EVENT_LINK_GONE, .link = link});
  hello.token_hi = token.hi;
  hello.token_lo = token.lo;
  event.link = next_link++;
  world_event(world, event);
  assert_int_equal(world->answers[0].message.error, VESTA_ERR_BAD_HANDLE);
  world->full = false;
  world_time(world, SECOND_NS);
  assert_int_equal(node_counter(world->node, NODE_COUNTER_SESSIONS), 0);
}

static void a_stranger_cannot_resume_a_session(void **state) {
  world_t *world = *state;
  client_t a = client_new(world);
  wire_message_t hello = {.kind = WIRE_HELLO, .number = 1, .token_hi = a.token.hi, .token_lo = a.token.lo};
  world_event(world, (node_event_t){.kind = NODE_EVENT_REQUEST, .link = next_link++, .message = &hello, .pid = 101,
                                    .uid = 1, .start = 5, .watched = true});
  assert_int_equal(world->answers[0].message.error, VESTA_ERR_BAD_HANDLE);
}

static void everything_is_there_after_a_restart(void **state) {
  world_t *world = *state;
  client_t a = client_new(world);
  uint64_t handle = client_open(&a, "x");
  assert_int_equal(client_change(&a, handle, VESTA_KIND_CREATED, "s", "hello"), VESTA_OK);
  world_restart(world);
  client_resume(&a);
  assert_reads(&a, handle, "s", "hello");
  assert_int_equal(client_change(&a, handle, VESTA_KIND_OVERWRITTEN, "s", "again"), VESTA_OK);
  assert_reads(&a, handle, "s", "again");
}

static void a_resent_request_is_applied_once(void **state) {
  world_t *world = *state;
  client_t a = client_new(world);
  uint64_t handle = client_open(&a, "x");
  wire_element_t element = {.kind = VESTA_KIND_CREATED, .id = vesta_bytes("s", 1), .expiry_ns = VESTA_TIME_END};
  wire_message_t change = {.kind = WIRE_CHANGE, .handle = handle, .elements = &element, .element_count = 1, .number = 90};
  uint64_t seq = client_ask(&a, change, NULL)->seq;
  world_restart(world);
  client_resume(&a);
  const wire_message_t *again = client_ask(&a, change, NULL);
  assert_int_equal(again->error, VESTA_OK);
  assert_int_equal(again->seq, seq);
  wire_message_t open = open_message("y", OPEN_ALL);
  open.number = 91;
  uint64_t opened = client_ask(&a, open, NULL)->handle;
  world_restart(world);
  client_resume(&a);
  assert_int_equal(client_ask(&a, open, NULL)->handle, opened);
  assert_int_equal(node_counter(world->node, NODE_COUNTER_RESENT), 1);
}

static void a_checkpoint_whose_memory_is_gone_is_forgotten(void **state) {
  world_t *world = *state;
  client_t a = client_new(world);
  uint64_t handle = client_open(&a, "x");
  world_remove(world, 1);
  world_restart(world);
  client_resume(&a);
  assert_int_equal(client_simple(&a, WIRE_STATUS, handle), VESTA_ERR_BAD_HANDLE);
  assert_int_equal(node_counter(world->node, NODE_COUNTER_REPLICAS_LOST), 1);
  assert_int_not_equal(client_open(&a, "x"), 0);
}

static void a_full_memory_refuses_and_leaves_nothing(void **state) {
  world_t *world = *state;
  client_t a = client_new(world);
  uint64_t handle = client_open(&a, "x");
  world->full = true;
  assert_int_equal(client_ask(&a, open_message("y", OPEN_ALL), NULL)->error, VESTA_ERR_NO_SPACE);
  assert_int_equal(client_unlink(&a, "x"), VESTA_ERR_NO_SPACE);
  world->full = false;
  assert_int_equal(client_ask(&a, open_message("y", VESTA_OPEN_READ), NULL)->error, VESTA_ERR_NOT_EXIST);
  assert_int_equal(client_simple(&a, WIRE_STATUS, handle), VESTA_OK);
}

static void an_expired_section_is_gone_for_every_call(void **state) {
  world_t *world = *state;
  client_t a = client_new(world);
  uint64_t handle = client_open(&a, "x");
  wire_element_t element = {.kind = VESTA_KIND_CREATED, .id = vesta_bytes("s", 1),
                            .expiry_ns = world->now_ns + SECOND_NS};
  wire_message_t change = {.kind = WIRE_CHANGE, .handle = handle, .elements = &element, .element_count = 1};
  assert_int_equal(client_ask(&a, change, NULL)->error, VESTA_OK);
  world->now_ns += SECOND_NS; /* no TIME event */
  assert_int_equal(client_change(&a, handle, VESTA_KIND_WRITTEN, "s", "x"), VESTA_ERR_NOT_EXIST);
  element.expiry_ns = VESTA_TIME_END;
  assert_int_equal(client_ask(&a, change, NULL)->error, VESTA_OK);
  assert_int_equal(node_counter(world->node, NODE_COUNTER_EXPIRED), 1);
}

/* ---- groups ---- */

static const wire_message_t *client_join(client_t *client, uint64_t handle, uint32_t priority) {
  return client_ask(client, (wire_message_t){.kind = WIRE_JOIN, .handle = handle, .text = vesta_bytes("m", 1),
                                             .priority = priority, .flags = WIRE_JOIN_FENCE,
                                             .timeout_ns = SECOND_NS}, NULL);
}

static vesta_err_t client_confirm(client_t *client, uint64_t handle, uint64_t epoch, uint64_t seq) {
  return (vesta_err_t)client_ask(
             client, (wire_message_t){.kind = WIRE_CONFIRM, .handle = handle, .epoch = epoch, .seq = seq}, NULL)->error;
}

static void client_synced(client_t *client, uint64_t handle) {
  (void)client_ask(client, (wire_message_t){.kind = WIRE_PROGRESS, .handle = handle, .state = 1}, NULL);
}

/* A, granted and confirmed, and B, a synced standby. */
static void pair_new(world_t *world, client_t *a, uint64_t *ha, client_t *b, uint64_t *hb) {
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

static void only_the_active_member_may_write(void **state) {
  client_t a, b;
  uint64_t ha, hb;
  pair_new(*state, &a, &ha, &b, &hb);
  assert_int_equal(client_change(&a, ha, VESTA_KIND_CREATED, "s", "a"), VESTA_OK);
  assert_int_equal(client_change(&b, hb, VESTA_KIND_OVERWRITTEN, "s", "b"), VESTA_ERR_FENCED);
  client_t outsider = client_new(*state);
  assert_int_equal(client_change(&outsider, client_open(&outsider, "x"), VESTA_KIND_OVERWRITTEN, "s", "c"),
                   VESTA_ERR_FENCED);
}

static void the_death_of_the_active_promotes_the_standby_behind_the_barrier(void **state) {
  client_t a, b;
  uint64_t ha, hb;
  world_t *world = *state;
  pair_new(world, &a, &ha, &b, &hb);
  assert_int_equal(client_change(&a, ha, VESTA_KIND_CREATED, "s", "a"), VESTA_OK);
  world_event(world, (node_event_t){.kind = NODE_EVENT_PROCESS_GONE, .session = a.token});
  const wire_message_t *grant = client_join(&b, hb, 0);
  assert_int_equal(grant->state, 1);
  uint64_t epoch = grant->epoch, barrier = grant->seq;
  assert_int_equal(barrier, world->published_seq);
  assert_int_equal(client_change(&b, hb, VESTA_KIND_OVERWRITTEN, "s", "b"), VESTA_ERR_FENCED);
  assert_int_equal(client_confirm(&b, hb, epoch, barrier), VESTA_OK);
  assert_int_equal(client_change(&b, hb, VESTA_KIND_OVERWRITTEN, "s", "b"), VESTA_OK);
}

static void roles_survive_a_restart(void **state) {
  client_t a, b;
  uint64_t ha, hb;
  world_t *world = *state;
  pair_new(world, &a, &ha, &b, &hb);
  world_restart(world);
  client_resume(&a);
  client_resume(&b);
  assert_int_equal(client_join(&a, ha, 0)->state, 2);
  assert_int_equal(client_change(&a, ha, VESTA_KIND_CREATED, "s", "a"), VESTA_OK);
  assert_int_equal(client_change(&b, hb, VESTA_KIND_OVERWRITTEN, "s", "b"), VESTA_ERR_FENCED);
}

static void a_candidate_that_is_late_is_passed_over(void **state) {
  client_t a, b;
  uint64_t ha, hb;
  world_t *world = *state;
  pair_new(world, &a, &ha, &b, &hb);
  client_t c = client_new(world);
  uint64_t hc = client_open(&c, "x");
  assert_int_equal(client_join(&c, hc, 0)->state, 0);
  client_synced(&c, hc);
  world_event(world, (node_event_t){.kind = NODE_EVENT_PROCESS_GONE, .session = a.token});
  const wire_message_t *grant = client_join(&b, hb, 0);
  assert_int_equal(grant->state, 1);
  uint64_t epoch = grant->epoch, barrier = grant->seq;
  world_time(world, SECOND_NS);
  assert_int_equal(client_confirm(&b, hb, epoch, barrier), VESTA_ERR_FENCED);
  grant = client_join(&c, hc, 0);
  assert_int_equal(grant->state, 1);
  assert_int_equal(client_confirm(&c, hc, grant->epoch, grant->seq), VESTA_OK);
}

static void a_candidate_without_alternative_is_given_more_time(void **state) {
  client_t a, b;
  uint64_t ha, hb;
  world_t *world = *state;
  pair_new(world, &a, &ha, &b, &hb);
  world_event(world, (node_event_t){.kind = NODE_EVENT_PROCESS_GONE, .session = a.token});
  world_time(world, 5 * SECOND_NS);
  const wire_message_t *grant = client_join(&b, hb, 0);
  assert_int_equal(grant->state, 1);
  assert_int_equal(client_confirm(&b, hb, grant->epoch, grant->seq), VESTA_OK);
}

static void priority_decides_among_the_synced(void **state) {
  client_t a, b;
  uint64_t ha, hb;
  world_t *world = *state;
  pair_new(world, &a, &ha, &b, &hb);
  client_t c = client_new(world), d = client_new(world);
  uint64_t hc = client_open(&c, "x"), hd = client_open(&d, "x");
  (void)client_join(&c, hc, 5);
  client_synced(&c, hc);
  (void)client_join(&d, hd, 9); /* never synced */
  world_event(world, (node_event_t){.kind = NODE_EVENT_PROCESS_GONE, .session = a.token});
  assert_int_equal(client_join(&c, hc, 5)->state, 1);
  assert_int_equal(client_join(&b, hb, 0)->state, 0);
  assert_int_equal(client_join(&d, hd, 9)->state, 0);
}

static void resigning_hands_over_and_fences(void **state) {
  client_t a, b;
  uint64_t ha, hb;
  pair_new(*state, &a, &ha, &b, &hb);
  assert_int_equal(client_change(&a, ha, VESTA_KIND_CREATED, "s", "a"), VESTA_OK);
  assert_int_equal(client_simple(&a, WIRE_RESIGN, ha), VESTA_OK);
  assert_int_equal(client_change(&a, ha, VESTA_KIND_OVERWRITTEN, "s", "late"), VESTA_ERR_FENCED);
  const wire_message_t *grant = client_join(&b, hb, 0);
  assert_int_equal(grant->state, 1);
  assert_int_equal(client_confirm(&b, hb, grant->epoch, grant->seq), VESTA_OK);
  assert_reads(&b, hb, "s", "a");
}

static void resigning_without_a_successor_changes_nothing(void **state) {
  client_t a, b;
  uint64_t ha, hb;
  world_t *world = *state;
  pair_new(world, &a, &ha, &b, &hb);
  assert_int_equal(client_simple(&b, WIRE_LEAVE, hb), VESTA_OK);
  assert_int_equal(client_simple(&a, WIRE_RESIGN, ha), VESTA_ERR_TRY_AGAIN);
  assert_int_equal(client_change(&a, ha, VESTA_KIND_CREATED, "s", "a"), VESTA_OK);
}

static bool journal_emit(void *context, const wire_message_t *row) {
  world_t *world = context;
  size_t capacity = wire_encoded_size_max(row);
  uint8_t *bytes = malloc(capacity);
  size_t size = 0;
  assert_int_equal(wire_encode(row, bytes, capacity, &size), VESTA_OK);
  world->journal[world->journal_count] = bytes;
  world->journal_sizes[world->journal_count++] = size;
  return true;
}

static void a_rewritten_journal_says_the_same(void **state) {
  client_t a, b;
  uint64_t ha, hb;
  world_t *world = *state;
  pair_new(world, &a, &ha, &b, &hb);
  assert_int_equal(client_change(&a, ha, VESTA_KIND_CREATED, "s", "a"), VESTA_OK);
  assert_int_equal(client_unlink(&a, "x"), VESTA_OK);
  for (uint32_t i = 0; i < world->journal_count; i++) {
    free(world->journal[i]);
  }
  world->journal_count = 0;
  assert_true(node_snapshot(world->node, journal_emit, world));
  world_restart(world);
  client_resume(&a);
  client_resume(&b);
  assert_reads(&a, ha, "s", "a");
  assert_int_equal(client_join(&a, ha, 0)->state, 2);
  world_event(world, (node_event_t){.kind = NODE_EVENT_PROCESS_GONE, .session = a.token});
  assert_int_equal(client_join(&b, hb, 0)->state, 1);
}

#define RULE(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      RULE(what_one_handle_writes_another_reads),
      RULE(a_name_without_create_must_exist),
      RULE(other_attributes_are_refused),
      RULE(retention_is_compared_only_when_asked_for),
      RULE(handles_belong_to_their_session),
      RULE(a_checkpoint_is_retained_and_then_removed),
      RULE(retention_that_ran_out_counts_before_the_timer),
      RULE(an_unlinked_checkpoint_lives_until_its_last_close),
      RULE(the_death_of_a_process_closes_what_it_had_open),
      RULE(a_watched_session_outlives_its_link),
      RULE(a_link_that_its_session_has_left_is_not_listened_to),
      RULE(a_session_whose_end_found_no_room_cannot_be_resumed),
      RULE(a_stranger_cannot_resume_a_session),
      RULE(everything_is_there_after_a_restart),
      RULE(a_resent_request_is_applied_once),
      RULE(a_checkpoint_whose_memory_is_gone_is_forgotten),
      RULE(a_full_memory_refuses_and_leaves_nothing),
      RULE(an_expired_section_is_gone_for_every_call),
      RULE(only_the_active_member_may_write),
      RULE(the_death_of_the_active_promotes_the_standby_behind_the_barrier),
      RULE(roles_survive_a_restart),
      RULE(a_candidate_that_is_late_is_passed_over),
      RULE(a_candidate_without_alternative_is_given_more_time),
      RULE(priority_decides_among_the_synced),
      RULE(resigning_hands_over_and_fences),
      RULE(resigning_without_a_successor_changes_nothing),
      RULE(a_rewritten_journal_says_the_same),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
