/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Who is told of which change, and in which shape: core/node_track.c, among the actions of a node.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/node.h"

#define SECOND_NS INT64_C(1000000000)
#define SECTIONS_MAX 3000U
#define REGIONS_MAX 4U
#define TOLD_MAX 16U
#define TOLD_ELEMENTS 4U /* of each, looked at by the tests */

/* One TRACKED, copied. */
typedef struct told {
  uint64_t link, handle, flags;
  uint32_t count;
  wire_element_t elements[TOLD_ELEMENTS];
  char ids[TOLD_ELEMENTS][32];
} told_t;

typedef struct world {
  node_t *node;
  wire_decoder_t *decoder;
  int64_t now_ns;
  uint64_t random, links, numbers;
  uint64_t region_ids[REGIONS_MAX], region_sizes[REGIONS_MAX];
  void *regions[REGIONS_MAX];
  uint8_t *journal[64];
  size_t journal_sizes[64];
  uint32_t journal_count;
  wire_message_t reply; /* to the last request; its bytes are gone */
  char reply_id[32];
  told_t told[TOLD_MAX]; /* by the last event */
  uint32_t told_count;
  bool replied, told_after_reply, published_after_told;
  uint64_t closed_link;
} world_t;

/* ---- regions are heap memory, ordered operations are delivered at once ---- */

static vesta_err_t pages_reserve(void *context, uint64_t offset, uint64_t size) {
  (void)context;
  (void)offset;
  (void)size;
  return VESTA_OK;
}

static void pages_release(void *context, uint64_t offset, uint64_t size) {
  (void)context;
  (void)offset;
  (void)size;
}

static const replica_storage_t heap_pages = {.reserve = pages_reserve, .release = pages_release};

static vesta_err_t region_create(void *context, uint64_t id, uint64_t size, void **region, replica_storage_t *pages) {
  world_t *world = context;
  for (uint32_t i = 0; i < REGIONS_MAX; i++) {
    if (world->regions[i] == NULL) {
      assert_int_equal(posix_memalign(&world->regions[i], 4096, size), 0);
      memset(world->regions[i], 0, size);
      world->region_ids[i] = id;
      world->region_sizes[i] = size;
      *region = world->regions[i];
      *pages = heap_pages;
      return VESTA_OK;
    }
  }
  return VESTA_ERR_NO_RESOURCES;
}

static vesta_err_t region_open(void *context, uint64_t id, void **region, uint64_t *size, replica_storage_t *pages) {
  const world_t *world = context;
  for (uint32_t i = 0; i < REGIONS_MAX; i++) {
    if (world->regions[i] != NULL && world->region_ids[i] == id) {
      *region = world->regions[i];
      *size = world->region_sizes[i];
      *pages = heap_pages;
      return VESTA_OK;
    }
  }
  return VESTA_ERR_NOT_EXIST;
}

static void region_remove(void *context, uint64_t id) {
  world_t *world = context;
  for (uint32_t i = 0; i < REGIONS_MAX; i++) {
    if (world->regions[i] != NULL && world->region_ids[i] == id) {
      free(world->regions[i]);
      world->regions[i] = NULL;
    }
  }
}

static void world_told(world_t *world, const node_action_t *action) {
  assert_true(world->told_count < TOLD_MAX);
  told_t *told = &world->told[world->told_count++];
  const wire_message_t *message = action->message;
  *told = (told_t){
      .link = action->link, .handle = message->handle, .flags = message->flags, .count = message->element_count};
  assert_int_equal(action->payload.size, 0);
  assert_int_equal(message->number, 0);
  for (uint32_t i = 0; i < message->element_count && i < TOLD_ELEMENTS; i++) {
    told->elements[i] = message->elements[i];
    assert_true(message->elements[i].id.size < sizeof told->ids[i]);
    memcpy(told->ids[i], message->elements[i].id.data, message->elements[i].id.size);
  }
  world->told_after_reply = world->replied;
  world->published_after_told = false;
  uint8_t *bytes = malloc(wire_encoded_size_max(message)); /* it is a message that can be sent */
  size_t size;
  assert_int_equal(wire_encode(message, bytes, wire_encoded_size_max(message), &size), VESTA_OK);
  free(bytes);
}

static void world_carry_out(world_t *world, const node_actions_t *actions);

static void world_ordered(world_t *world, const wire_message_t *message) {
  uint32_t entry = world->journal_count++;
  assert_true(world->journal_count <= sizeof world->journal / sizeof world->journal[0]);
  size_t capacity = wire_encoded_size_max(message);
  world->journal[entry] = malloc(capacity);
  assert_int_equal(wire_encode(message, world->journal[entry], capacity, &world->journal_sizes[entry]), VESTA_OK);
  wire_message_t op;
  assert_int_equal(wire_decode(world->decoder, world->journal[entry], world->journal_sizes[entry], &op), VESTA_OK);
  node_event_t event = {
      .kind = NODE_EVENT_ORDERED, .wall_ns = world->now_ns, .steady_ns = world->now_ns, .message = &op};
  node_actions_t actions;
  node_step(world->node, &event, &actions);
  world_carry_out(world, &actions);
}

/* An ORDER is the last action of each step here. */
static void world_carry_out(world_t *world, const node_actions_t *actions) {
  for (uint32_t i = 0; i < actions->count; i++) {
    const node_action_t *action = &actions->items[i];
    if (action->kind == NODE_ACTION_SEND && action->message->kind == WIRE_TRACKED) {
      world_told(world, action);
    } else if (action->kind == NODE_ACTION_SEND) {
      world->reply = *action->message;
      memset(world->reply_id, 0, sizeof world->reply_id);
      if (action->message->id.size > 0) {
        memcpy(world->reply_id, action->message->id.data, action->message->id.size);
      }
      world->replied = true;
    } else if (action->kind == NODE_ACTION_PUBLISH) {
      world->published_after_told = true;
    } else if (action->kind == NODE_ACTION_CLOSE_LINK) {
      world->closed_link = action->link;
    } else if (action->kind == NODE_ACTION_ORDER) {
      world_ordered(world, action->message);
      return;
    }
  }
}

static void world_event(world_t *world, node_event_t event) {
  node_actions_t actions;
  world->told_count = 0;
  world->replied = false;
  event.wall_ns = event.steady_ns = world->now_ns;
  event.random = (vesta_token_t){.hi = 7, .lo = ++world->random};
  node_step(world->node, &event, &actions);
  world_carry_out(world, &actions);
}

static void world_start(world_t *world) {
  node_config_t config = {
      .node_id = 1,
      .storage = {.context = world, .create = region_create, .open = region_open, .remove = region_remove}};
  assert_int_equal(node_new(&config, &world->node), VESTA_OK);
  for (uint32_t i = 0; i < world->journal_count; i++) {
    wire_message_t op;
    assert_int_equal(wire_decode(world->decoder, world->journal[i], world->journal_sizes[i], &op), VESTA_OK);
    assert_int_equal(node_restore(world->node, &op), VESTA_OK);
  }
  node_actions_t actions;
  assert_int_equal(node_start(world->node, world->now_ns, world->now_ns, &actions), VESTA_OK);
}

static int set_up(void **state) {
  world_t *world = calloc(1, sizeof *world);
  world->now_ns = 1000 * SECOND_NS;
  world->decoder = wire_decoder_new();
  world_start(world);
  *state = world;
  return 0;
}

static int tear_down(void **state) {
  world_t *world = *state;
  node_destroy(&world->node);
  for (uint32_t i = 0; i < REGIONS_MAX; i++) {
    free(world->regions[i]);
  }
  for (uint32_t i = 0; i < world->journal_count; i++) {
    free(world->journal[i]);
  }
  wire_decoder_destroy(&world->decoder);
  free(world);
  return 0;
}

/* ---- a program with a link of callbacks ---- */

typedef struct client {
  world_t *world;
  uint64_t link, callbacks;
  vesta_token_t token;
} client_t;

static vesta_err_t ask_on(const client_t *client, uint64_t link, wire_message_t message, const char *payload) {
  message.number = ++client->world->numbers;
  world_event(client->world, (node_event_t){.kind = NODE_EVENT_REQUEST,
                                            .link = link,
                                            .message = &message,
                                            .payload = vesta_bytes(payload, payload == NULL ? 0 : strlen(payload)),
                                            .pid = 100,
                                            .uid = 1,
                                            .start = 5,
                                            .watched = true});
  assert_true(client->world->replied);
  assert_int_equal(client->world->reply.number, message.number);
  return (vesta_err_t)client->world->reply.error;
}

static vesta_err_t ask(const client_t *client, wire_message_t message, const char *payload) {
  return ask_on(client, client->link, message, payload);
}

static void client_callbacks(client_t *client) {
  client->callbacks = ++client->world->links;
  wire_message_t hello = {.kind = WIRE_HELLO_CALLBACKS, .token_hi = client->token.hi, .token_lo = client->token.lo};
  assert_int_equal(ask_on(client, client->callbacks, hello, NULL), VESTA_OK);
}

static client_t client_new(world_t *world) {
  client_t client = {.world = world, .link = ++world->links};
  assert_int_equal(ask(&client, (wire_message_t){.kind = WIRE_HELLO}, NULL), VESTA_OK);
  client.token = wire_token(&world->reply);
  client_callbacks(&client);
  return client;
}

static uint64_t client_open(const client_t *client, uint32_t mode) {
  wire_message_t open = {.kind = WIRE_OPEN, .name = vesta_bytes("x", 1), .flags = mode | VESTA_OPEN_CREATE};
  vesta_attributes_t attributes = {.creation_flags = VESTA_CREATE_ALL_REPLICAS,
                                   .retention_ns = 10 * SECOND_NS,
                                   .sections_max = SECTIONS_MAX,
                                   .section_bytes_max = 100,
                                   .section_id_bytes_max = 16};
  wire_attributes_set(&open, &attributes);
  assert_int_equal(ask(client, open, NULL), VESTA_OK);
  return client->world->reply.handle;
}

#define READ_WRITE (VESTA_OPEN_READ | VESTA_OPEN_WRITE)

static vesta_err_t client_track(const client_t *client, uint64_t handle, uint32_t flags, bool on) {
  return ask(client, (wire_message_t){.kind = WIRE_TRACK, .handle = handle, .flags = flags, .state = on}, NULL);
}

static vesta_err_t client_change(const client_t *client, uint64_t handle, const wire_element_t *elements,
                                 uint32_t count, const char *data) {
  return ask(client,
             (wire_message_t){.kind = WIRE_CHANGE, .handle = handle, .elements = elements, .element_count = count},
             data);
}

static wire_element_t element_of(vesta_kind_t kind, const char *id, const char *data, uint64_t offset) {
  return (wire_element_t){.kind = kind,
                          .id = vesta_bytes(id, strlen(id)),
                          .size = strlen(data),
                          .offset = offset,
                          .expiry_ns = VESTA_TIME_END};
}

static void client_do(const client_t *client, uint64_t handle, vesta_kind_t kind, const char *id, const char *data) {
  wire_element_t element = element_of(kind, id, data, 0);
  assert_int_equal(client_change(client, handle, &element, 1, data), VESTA_OK);
}

static void assert_element(const told_t *told, uint32_t place, vesta_kind_t kind, const char *id, uint64_t offset,
                           uint64_t size) {
  assert_true(place < told->count);
  assert_int_equal(told->elements[place].kind, kind);
  assert_string_equal(told->ids[place], id);
  assert_int_equal(told->elements[place].offset, offset);
  assert_int_equal(told->elements[place].size, size);
}

/* Sections "0", "1" ... that expire at the same moment. */
static void expiring_create(const client_t *client, uint64_t handle, uint32_t count, int64_t expiry_ns) {
  for (uint32_t i = 0; i < count; i++) {
    char id[16];
    (void)snprintf(id, sizeof id, "%u", (unsigned)i);
    wire_element_t element = element_of(VESTA_KIND_CREATED, id, "", 0);
    element.expiry_ns = expiry_ns;
    assert_int_equal(client_change(client, handle, &element, 1, NULL), VESTA_OK);
  }
}

/* ---- the rules ---- */

static void without_track_nobody_is_told(void **state) {
  client_t a = client_new(*state), b = client_new(*state);
  uint64_t ha = client_open(&a, READ_WRITE);
  (void)client_open(&b, READ_WRITE);
  client_do(&a, ha, VESTA_KIND_CREATED, "s", "hello");
  assert_int_equal(a.world->told_count, 0);
}

static void each_kind_of_change_is_told_in_its_shape(void **state) {
  client_t a = client_new(*state), b = client_new(*state);
  uint64_t ha = client_open(&a, READ_WRITE), hb = client_open(&b, VESTA_OPEN_READ);
  const told_t *told = a.world->told;
  assert_int_equal(client_track(&b, hb, WIRE_TRACK_CHANGES, true), VESTA_OK);

  client_do(&a, ha, VESTA_KIND_CREATED, "empty", "");
  assert_int_equal(a.world->told_count, 1);
  assert_int_equal(told->link, b.callbacks);
  assert_int_equal(told->handle, hb);
  assert_int_equal(told->flags, WIRE_TRACK_CHANGES);
  assert_element(told, 0, VESTA_KIND_CREATED, "empty", 0, 0);

  client_do(&a, ha, VESTA_KIND_CREATED, "s", "hello");
  assert_element(told, 0, VESTA_KIND_CREATED, "s", 0, 5);
  wire_element_t written = element_of(VESTA_KIND_WRITTEN, "s", "abc", 7);
  assert_int_equal(client_change(&a, ha, &written, 1, "abc"), VESTA_OK);
  assert_element(told, 0, VESTA_KIND_WRITTEN, "s", 7, 3);
  client_do(&a, ha, VESTA_KIND_OVERWRITTEN, "s", "x");
  assert_element(told, 0, VESTA_KIND_OVERWRITTEN, "s", 0, 1);
  client_do(&a, ha, VESTA_KIND_DELETED, "s", "");
  assert_element(told, 0, VESTA_KIND_DELETED, "s", 0, 0);
  assert_int_equal(a.world->told_count, 1);
}

static void it_is_told_after_the_answer_and_before_it_is_published(void **state) {
  client_t a = client_new(*state), b = client_new(*state);
  uint64_t ha = client_open(&a, READ_WRITE), hb = client_open(&b, VESTA_OPEN_READ);
  assert_int_equal(client_track(&b, hb, WIRE_TRACK_CHANGES, true), VESTA_OK);
  client_do(&a, ha, VESTA_KIND_CREATED, "s", "hello");
  assert_true(a.world->told_after_reply);
  assert_true(a.world->published_after_told);
}

static void a_vector_is_told_as_it_was_written(void **state) {
  client_t a = client_new(*state), b = client_new(*state);
  uint64_t ha = client_open(&a, READ_WRITE), hb = client_open(&b, VESTA_OPEN_READ);
  assert_int_equal(client_track(&b, hb, WIRE_TRACK_CHANGES | WIRE_TRACK_ARRIVAL, true), VESTA_OK);
  client_do(&a, ha, VESTA_KIND_CREATED, "s", "hello");
  wire_element_t elements[] = {
      element_of(VESTA_KIND_WRITTEN, "s", "ab", 1), element_of(VESTA_KIND_WRITTEN, "s", "cde", 1),
      element_of(VESTA_KIND_EXPIRY_SET, "s", "", 0), element_of(VESTA_KIND_CREATED, "", "f", 0)};
  assert_int_equal(client_change(&a, ha, elements, 4, "abcdef"), VESTA_OK);
  const told_t *told = a.world->told;
  assert_int_equal(a.world->told_count, 1);
  assert_int_equal(told->flags, WIRE_TRACK_CHANGES | WIRE_TRACK_ARRIVAL);
  assert_int_equal(told->count, 3); /* without the expiry */
  assert_element(told, 0, VESTA_KIND_WRITTEN, "s", 1, 2);
  assert_element(told, 1, VESTA_KIND_WRITTEN, "s", 1, 3);
  assert_true(strlen(a.world->reply_id) > 0); /* generated */
  assert_element(told, 2, VESTA_KIND_CREATED, a.world->reply_id, 0, 1);
}

static void an_expiry_that_is_set_alone_is_not_told(void **state) {
  client_t a = client_new(*state), b = client_new(*state);
  uint64_t ha = client_open(&a, READ_WRITE), hb = client_open(&b, VESTA_OPEN_READ);
  assert_int_equal(client_track(&b, hb, WIRE_TRACK_CHANGES | WIRE_TRACK_ARRIVAL, true), VESTA_OK);
  client_do(&a, ha, VESTA_KIND_CREATED, "s", "");
  client_do(&a, ha, VESTA_KIND_EXPIRY_SET, "s", "");
  assert_int_equal(a.world->told_count, 0);
}

static void a_delete_is_no_arrival(void **state) {
  client_t a = client_new(*state), b = client_new(*state);
  uint64_t ha = client_open(&a, READ_WRITE), hb = client_open(&b, VESTA_OPEN_READ);
  assert_int_equal(client_track(&b, hb, WIRE_TRACK_ARRIVAL, true), VESTA_OK);
  client_do(&a, ha, VESTA_KIND_CREATED, "s", "hello");
  assert_int_equal(a.world->told_count, 1);
  client_do(&a, ha, VESTA_KIND_DELETED, "s", "");
  assert_int_equal(a.world->told_count, 0);
}

static void the_handle_that_did_it_is_not_told_but_others_of_its_session_are(void **state) {
  client_t a = client_new(*state);
  uint64_t one = client_open(&a, READ_WRITE), two = client_open(&a, READ_WRITE);
  assert_int_equal(client_track(&a, 0, WIRE_TRACK_CHANGES, true), VESTA_OK);
  client_do(&a, one, VESTA_KIND_CREATED, "s", "hello");
  assert_int_equal(a.world->told_count, 1);
  assert_int_equal(a.world->told[0].handle, two);
}

static void a_session_tracks_handles_it_opens_later(void **state) {
  client_t a = client_new(*state), b = client_new(*state);
  uint64_t ha = client_open(&a, READ_WRITE);
  assert_int_equal(client_track(&b, 0, WIRE_TRACK_CHANGES, true), VESTA_OK);
  uint64_t hb = client_open(&b, VESTA_OPEN_READ);
  client_do(&a, ha, VESTA_KIND_CREATED, "s", "hello");
  assert_int_equal(a.world->told_count, 1);
  assert_int_equal(a.world->told[0].handle, hb);
}

static void a_handle_that_may_not_read_is_told_nothing(void **state) {
  client_t a = client_new(*state), b = client_new(*state);
  uint64_t ha = client_open(&a, READ_WRITE), hb = client_open(&b, VESTA_OPEN_WRITE);
  assert_int_equal(client_track(&b, hb, WIRE_TRACK_CHANGES, true), VESTA_ERR_ACCESS);
  assert_int_equal(client_track(&b, 0, WIRE_TRACK_CHANGES, true), VESTA_OK);
  client_do(&a, ha, VESTA_KIND_CREATED, "s", "hello");
  assert_int_equal(a.world->told_count, 0);
}

static void tracking_ends_with_track_off_with_close_and_with_the_session(void **state) {
  client_t a = client_new(*state), b = client_new(*state), c = client_new(*state), d = client_new(*state);
  uint64_t ha = client_open(&a, READ_WRITE);
  uint64_t hb = client_open(&b, VESTA_OPEN_READ), hc = client_open(&c, VESTA_OPEN_READ);
  uint64_t hd = client_open(&d, VESTA_OPEN_READ);
  assert_int_equal(client_track(&b, hb, WIRE_TRACK_CHANGES, true), VESTA_OK);
  assert_int_equal(client_track(&c, hc, WIRE_TRACK_CHANGES, true), VESTA_OK);
  assert_int_equal(client_track(&d, hd, WIRE_TRACK_CHANGES, true), VESTA_OK);
  client_do(&a, ha, VESTA_KIND_CREATED, "s", "1");
  assert_int_equal(a.world->told_count, 3);
  assert_int_equal(client_track(&c, hc, WIRE_TRACK_CHANGES, false), VESTA_OK);
  client_do(&a, ha, VESTA_KIND_OVERWRITTEN, "s", "2");
  assert_int_equal(a.world->told_count, 2);
  assert_int_equal(ask(&b, (wire_message_t){.kind = WIRE_CLOSE, .handle = hb}, NULL), VESTA_OK);
  client_do(&a, ha, VESTA_KIND_OVERWRITTEN, "s", "3");
  assert_int_equal(a.world->told_count, 1);
  world_event(a.world, (node_event_t){.kind = NODE_EVENT_PROCESS_GONE, .session = d.token});
  client_do(&a, ha, VESTA_KIND_OVERWRITTEN, "s", "4");
  assert_int_equal(a.world->told_count, 0);
}

static void a_handle_and_its_session_are_tracked_each_for_itself_and_told_once(void **state) {
  client_t a = client_new(*state), b = client_new(*state);
  uint64_t ha = client_open(&a, READ_WRITE), hb = client_open(&b, VESTA_OPEN_READ);
  assert_int_equal(client_track(&b, hb, WIRE_TRACK_CHANGES, true), VESTA_OK);
  assert_int_equal(client_track(&b, 0, WIRE_TRACK_CHANGES, true), VESTA_OK);
  client_do(&a, ha, VESTA_KIND_CREATED, "s", "1");
  assert_int_equal(a.world->told_count, 1);
  assert_int_equal(client_track(&b, 0, WIRE_TRACK_CHANGES, false), VESTA_OK);
  client_do(&a, ha, VESTA_KIND_OVERWRITTEN, "s", "2");
  assert_int_equal(a.world->told_count, 1);
  assert_int_equal(client_track(&b, hb, WIRE_TRACK_CHANGES, false), VESTA_OK);
  client_do(&a, ha, VESTA_KIND_OVERWRITTEN, "s", "3");
  assert_int_equal(a.world->told_count, 0);
}

static void a_resent_change_is_told_once(void **state) {
  client_t a = client_new(*state), b = client_new(*state);
  uint64_t ha = client_open(&a, READ_WRITE), hb = client_open(&b, VESTA_OPEN_READ);
  assert_int_equal(client_track(&b, hb, WIRE_TRACK_CHANGES, true), VESTA_OK);
  client_do(&a, ha, VESTA_KIND_CREATED, "s", "hello");
  assert_int_equal(a.world->told_count, 1);
  a.world->numbers--; /* the same number again */
  client_do(&a, ha, VESTA_KIND_CREATED, "s", "hello");
  assert_int_equal(a.world->told_count, 0);
}

static void a_change_that_is_refused_is_not_told(void **state) {
  client_t a = client_new(*state), b = client_new(*state);
  uint64_t ha = client_open(&a, READ_WRITE), hb = client_open(&b, VESTA_OPEN_READ);
  assert_int_equal(client_track(&b, hb, WIRE_TRACK_CHANGES, true), VESTA_OK);
  wire_element_t element = element_of(VESTA_KIND_OVERWRITTEN, "nobody", "x", 0);
  assert_int_equal(client_change(&a, ha, &element, 1, "x"), VESTA_ERR_NOT_EXIST);
  assert_int_equal(a.world->told_count, 0);
}

static void what_has_no_link_of_callbacks_is_missed_and_counted(void **state) {
  client_t a = client_new(*state), b = client_new(*state);
  uint64_t ha = client_open(&a, READ_WRITE), hb = client_open(&b, VESTA_OPEN_READ);
  assert_int_equal(client_track(&b, hb, WIRE_TRACK_CHANGES, true), VESTA_OK);
  world_event(a.world, (node_event_t){.kind = NODE_EVENT_LINK_GONE, .link = b.callbacks});
  client_do(&a, ha, VESTA_KIND_CREATED, "s", "1");
  assert_int_equal(a.world->told_count, 0);
  assert_int_equal(node_counter(a.world->node, NODE_COUNTER_TRACKED_MISSED), 1);
  client_callbacks(&b);
  client_do(&a, ha, VESTA_KIND_OVERWRITTEN, "s", "2");
  assert_int_equal(a.world->told_count, 1);
  assert_int_equal(node_counter(a.world->node, NODE_COUNTER_TRACKED), 1);
}

static void sections_that_expire_together_are_told_together(void **state) {
  client_t a = client_new(*state), b = client_new(*state);
  uint64_t ha = client_open(&a, READ_WRITE), hb = client_open(&b, VESTA_OPEN_READ);
  world_t *world = a.world;
  expiring_create(&a, ha, 3, world->now_ns + SECOND_NS);
  assert_int_equal(client_track(&b, hb, WIRE_TRACK_CHANGES, true), VESTA_OK);
  assert_int_equal(client_track(&a, ha, WIRE_TRACK_ARRIVAL, true), VESTA_OK); /* no arrival: not told */
  world->now_ns += SECOND_NS;
  world_event(world, (node_event_t){.kind = NODE_EVENT_TIME});
  assert_int_equal(world->told_count, 1);
  assert_int_equal(world->told[0].handle, hb);
  assert_int_equal(world->told[0].count, 3);
  for (uint32_t i = 0; i < 3; i++) {
    assert_int_equal(world->told[0].elements[i].kind, VESTA_KIND_EXPIRED);
    assert_int_equal(world->told[0].elements[i].size, 0);
    assert_int_equal(world->told[0].elements[i].offset, 0);
    assert_int_equal(strlen(world->told[0].ids[i]), 1);
  }
}

static void many_that_expire_are_told_over_several_turns(void **state) {
  client_t a = client_new(*state), b = client_new(*state);
  uint64_t ha = client_open(&a, READ_WRITE), hb = client_open(&b, VESTA_OPEN_READ);
  world_t *world = a.world;
  uint32_t count = VESTA_VECTOR_ELEMENTS_MAX * 2 + 1;
  expiring_create(&a, ha, count, world->now_ns + SECOND_NS);
  assert_int_equal(client_track(&b, hb, WIRE_TRACK_CHANGES, true), VESTA_OK);
  world->now_ns += SECOND_NS;
  uint32_t told = 0;
  while (node_wake_ns(world->node) <= world->now_ns) {
    world_event(world, (node_event_t){.kind = NODE_EVENT_TIME});
    assert_int_equal(world->told_count, 1);
    told += world->told[0].count;
  }
  assert_int_equal(told, count);
  assert_int_equal(node_counter(world->node, NODE_COUNTER_TRACKED_OVERFLOWS), 0);
}

/* A request that meets more expired sections than one message tells of, before their time was seen. */
static void expired_sections_that_are_too_many_for_one_step_cost_the_link_of_callbacks(void **state) {
  for (uint32_t more = 0; more < 2; more++) {
    client_t a = client_new(*state), b = client_new(*state);
    uint64_t ha = client_open(&a, READ_WRITE), hb = client_open(&b, VESTA_OPEN_READ);
    world_t *world = a.world;
    expiring_create(&a, ha, VESTA_VECTOR_ELEMENTS_MAX + more, world->now_ns + SECOND_NS);
    assert_int_equal(client_track(&b, hb, WIRE_TRACK_CHANGES, true), VESTA_OK);
    world->now_ns += SECOND_NS;
    world->closed_link = 0;
    client_do(&a, ha, VESTA_KIND_CREATED, "new", "x");
    assert_int_equal(world->closed_link, more == 0 ? 0 : b.callbacks);
    assert_int_equal(world->told_count, more == 0 ? 2 : 0);
    assert_int_equal(node_counter(world->node, NODE_COUNTER_TRACKED_OVERFLOWS), more);
    client_do(&a, ha, VESTA_KIND_DELETED, "new", "");
    assert_int_equal(client_track(&b, hb, WIRE_TRACK_CHANGES, false), VESTA_OK);
  }
}

static void the_longest_vector_of_the_longest_ids_is_told(void **state) {
  client_t a = client_new(*state), b = client_new(*state);
  world_t *world = a.world;
  wire_message_t open = {.kind = WIRE_OPEN, .name = vesta_bytes("long", 4), .flags = READ_WRITE | VESTA_OPEN_CREATE};
  vesta_attributes_t attributes = {.creation_flags = VESTA_CREATE_ALL_REPLICAS,
                                   .sections_max = VESTA_VECTOR_ELEMENTS_MAX,
                                   .section_bytes_max = 8,
                                   .section_id_bytes_max = VESTA_SECTION_ID_BYTES_MAX};
  wire_attributes_set(&open, &attributes);
  assert_int_equal(ask(&a, open, NULL), VESTA_OK);
  uint64_t ha = world->reply.handle;
  assert_int_equal(client_track(&b, 0, WIRE_TRACK_CHANGES, true), VESTA_OK);
  assert_int_equal(ask(&b, open, NULL), VESTA_OK);
  static uint8_t ids[VESTA_VECTOR_ELEMENTS_MAX][VESTA_SECTION_ID_BYTES_MAX];
  static wire_element_t elements[VESTA_VECTOR_ELEMENTS_MAX];
  for (uint32_t i = 0; i < VESTA_VECTOR_ELEMENTS_MAX; i++) {
    memcpy(ids[i], &i, sizeof i);
    elements[i] = (wire_element_t){
        .kind = VESTA_KIND_CREATED, .id = vesta_bytes(ids[i], sizeof ids[i]), .expiry_ns = VESTA_TIME_END};
  }
  /* world_told() keeps only short ids: this one looks at the actions itself. */
  wire_message_t change = {.kind = WIRE_CHANGE,
                           .handle = ha,
                           .number = ++world->numbers,
                           .elements = elements,
                           .element_count = VESTA_VECTOR_ELEMENTS_MAX};
  node_event_t event = {.kind = NODE_EVENT_REQUEST,
                        .wall_ns = world->now_ns,
                        .steady_ns = world->now_ns,
                        .link = a.link,
                        .message = &change};
  node_actions_t actions;
  node_step(world->node, &event, &actions);
  assert_int_equal(actions.items[0].message->error, VESTA_OK);
  const wire_message_t *told = actions.items[1].message;
  assert_int_equal(told->kind, WIRE_TRACKED);
  assert_int_equal(told->element_count, VESTA_VECTOR_ELEMENTS_MAX);
  size_t size;
  uint8_t *bytes = malloc(VESTA_FRAME_HEAD_BYTES_MAX);
  assert_int_equal(wire_encode(told, bytes, VESTA_FRAME_HEAD_BYTES_MAX, &size), VESTA_OK);
  free(bytes);
}

static void a_new_daemon_tells_nobody_until_it_is_asked_again(void **state) {
  client_t a = client_new(*state), b = client_new(*state);
  uint64_t ha = client_open(&a, READ_WRITE), hb = client_open(&b, VESTA_OPEN_READ);
  assert_int_equal(client_track(&b, hb, WIRE_TRACK_CHANGES, true), VESTA_OK);
  node_destroy(&a.world->node);
  world_start(a.world);
  client_t *clients[] = {&a, &b};
  for (int i = 0; i < 2; i++) {
    client_t *client = clients[i];
    client->link = ++a.world->links;
    wire_message_t hello = {.kind = WIRE_HELLO, .token_hi = client->token.hi, .token_lo = client->token.lo};
    assert_int_equal(ask(client, hello, NULL), VESTA_OK);
    client_callbacks(client);
  }
  client_do(&a, ha, VESTA_KIND_CREATED, "s", "1");
  assert_int_equal(a.world->told_count, 0);
  assert_int_equal(client_track(&b, hb, WIRE_TRACK_CHANGES, true), VESTA_OK);
  client_do(&a, ha, VESTA_KIND_OVERWRITTEN, "s", "2");
  assert_int_equal(a.world->told_count, 1);
}

static void a_track_that_makes_no_sense_is_refused(void **state) {
  client_t a = client_new(*state);
  uint64_t ha = client_open(&a, READ_WRITE);
  assert_int_equal(client_track(&a, ha, 4, true), VESTA_ERR_INVALID_PARAM);
  assert_int_equal(client_track(&a, ha + 1, WIRE_TRACK_CHANGES, true), VESTA_ERR_BAD_HANDLE);
  wire_message_t track = {.kind = WIRE_TRACK, .flags = WIRE_TRACK_CHANGES, .state = 2};
  assert_int_equal(ask(&a, track, NULL), VESTA_ERR_INVALID_PARAM);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(without_track_nobody_is_told),
      CASE(each_kind_of_change_is_told_in_its_shape),
      CASE(it_is_told_after_the_answer_and_before_it_is_published),
      CASE(a_vector_is_told_as_it_was_written),
      CASE(an_expiry_that_is_set_alone_is_not_told),
      CASE(a_delete_is_no_arrival),
      CASE(the_handle_that_did_it_is_not_told_but_others_of_its_session_are),
      CASE(a_session_tracks_handles_it_opens_later),
      CASE(a_handle_that_may_not_read_is_told_nothing),
      CASE(tracking_ends_with_track_off_with_close_and_with_the_session),
      CASE(a_handle_and_its_session_are_tracked_each_for_itself_and_told_once),
      CASE(a_resent_change_is_told_once),
      CASE(a_change_that_is_refused_is_not_told),
      CASE(what_has_no_link_of_callbacks_is_missed_and_counted),
      CASE(sections_that_expire_together_are_told_together),
      CASE(many_that_expire_are_told_over_several_turns),
      CASE(expired_sections_that_are_too_many_for_one_step_cost_the_link_of_callbacks),
      CASE(the_longest_vector_of_the_longest_ids_is_told),
      CASE(a_new_daemon_tells_nobody_until_it_is_asked_again),
      CASE(a_track_that_makes_no_sense_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
