/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Walks over the sections of a checkpoint that one node begins and another one goes on with, or the same one with
 * another replica: iterations, and the snapshots of streams. Every replica has a section in the same slot, all its life,
 * so what is there all the time is met once, whoever answers.
 */
#include "notify/publisher.h"
#include "test/unit/cluster_world.h"

#define ALL_COLLOCATED (VESTA_CREATE_ALL_REPLICAS | VESTA_CREATE_COLLOCATED)
#define ANY 5U /* SA_CKPT_SECTIONS_ANY */
#define SECTIONS 16U
#define LOG_WRITES 1500U /* of so many the first are not in the log any more */

static const replica_t *replica_at(cluster_world_t *world, uint32_t index) {
  return cluster_checkpoint(world, index)->local->replica;
}

static bool is_level(cluster_world_t *world, uint32_t index, uint32_t with) {
  const directory_checkpoint_t *checkpoint = cluster_checkpoint(world, index);
  replica_status_t here, there;
  if (checkpoint == NULL || checkpoint->local == NULL || !node_readable(world->members[index].node, checkpoint)) {
    return false;
  }
  replica_status(replica_at(world, index), &here);
  replica_status(replica_at(world, with), &there);
  return vesta_pos_equal(here.committed, there.committed);
}

static void create(cluster_world_t *world, uint32_t index, uint64_t handle, const char *id) {
  assert_int_equal(cluster_change(world, index, handle, VESTA_KIND_CREATED, id, id), VESTA_OK);
}

static void erase(cluster_world_t *world, uint32_t index, uint64_t handle, const char *id) {
  assert_int_equal(cluster_change(world, index, handle, VESTA_KIND_DELETED, id, ""), VESTA_OK);
}

/* So much that the log does not go back to where it was. */
static void write_the_log_over(cluster_world_t *world, uint32_t index, uint64_t handle, const char *id) {
  char data[1001];
  memset(data, 'x', sizeof data - 1);
  data[sizeof data - 1] = 0;
  for (uint32_t i = 0; i < LOG_WRITES; i++) {
    assert_int_equal(cluster_change(world, index, handle, VESTA_KIND_OVERWRITTEN, id, data), VESTA_OK);
  }
}

static void slots_are_the_same(cluster_world_t *world, uint32_t index, uint32_t with) {
  replica_section_t here, there;
  uint32_t count = 0;
  replica_status_t status;
  for (uint32_t slot = 0; replica_slot_next(replica_at(world, index), slot, UINT32_MAX, &here); slot = here.slot + 1) {
    assert_true(replica_find(replica_at(world, with), here.id, INT64_MIN, &there));
    assert_int_equal(here.slot, there.slot);
    count++;
  }
  replica_status(replica_at(world, with), &status);
  assert_int_equal(count, status.section_count);
}

/* Three nodes have a replica each, with eight sections, of which one was deleted and then another one. The one whose
 * slot is taken next is the last deleted; but a node that was restarted meanwhile can't know which that is. */
static void world_with_holes(cluster_world_t *world, uint64_t handles[3]) {
  cluster_new(world, 3);
  for (uint32_t i = 0; i < 3; i++) {
    handles[i] = cluster_enter(world, i, ALL_COLLOCATED);
  }
  cluster_pass_until(world, cluster_in_sync(world, 0, 2) && cluster_in_sync(world, 0, 3));
  const char *ids[] = {"s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7"};
  for (uint32_t i = 0; i < 8; i++) {
    create(world, 0, handles[0], ids[i]);
  }
  erase(world, 0, handles[0], "s1");
  erase(world, 0, handles[0], "s5");
  cluster_pass_until(world, is_level(world, 1, 0) && is_level(world, 2, 0));
}

/* ---- an iteration, part by part ---- */

typedef struct iteration {
  uint64_t cursor, epoch, seq;
  char told[512]; /* " id" of each */
  bool over;
} iteration_t;

static bool was_told(const iteration_t *iteration, const char *id) {
  char word[VESTA_SECTION_ID_BYTES_MAX] = " ";
  (void)strcat(strcat(word, id), " ");
  return strstr(iteration->told, word) != NULL;
}

/* One answer of that node, and of it what is below the slot: as if it had no room for more. */
static void go_on(cluster_world_t *world, uint32_t index, uint64_t handle, iteration_t *iteration, uint64_t slot_end) {
  wire_message_t iterate = {.kind = WIRE_ITERATE,
                            .handle = handle,
                            .flags = ANY,
                            .cursor = iteration->cursor,
                            .epoch = iteration->epoch,
                            .seq = iteration->seq};
  const wire_message_t *reply = cluster_call(world, index, &iterate, NULL, 0);
  assert_int_equal(reply->error, VESTA_OK);
  for (uint32_t i = 0; i < reply->element_count; i++) {
    const wire_element_t *element = &reply->elements[i];
    if (element->slot < slot_end) {
      char id[24] = "";
      (void)strncat(id, (const char *)element->id.data, element->id.size);
      assert_false(was_told(iteration, id));
      (void)strcat(strcat(iteration->told, strlen(iteration->told) == 0 ? " " : ""), id);
      (void)strcat(iteration->told, " ");
    }
  }
  iteration->epoch = reply->epoch;
  iteration->seq = reply->seq;
  iteration->over = slot_end >= reply->cursor && reply->state == 1;
  iteration->cursor = slot_end < reply->cursor ? slot_end : reply->cursor;
}

static void an_iteration_that_another_node_goes_on_with_tells_every_section_once(void **state) {
  (void)state;
  static cluster_world_t world;
  uint64_t handles[3];
  world_with_holes(&world, handles);
  cluster_restart(&world, 1, true);
  cluster_pass_until(&world, cluster_in_sync(&world, 0, 2) && is_level(&world, 1, 0));
  handles[1] = cluster_enter(&world, 1, ALL_COLLOCATED);
  create(&world, 0, handles[0], "n1");
  create(&world, 0, handles[0], "n2");
  create(&world, 0, handles[0], "n3");
  cluster_pass_until(&world, is_level(&world, 1, 0));
  slots_are_the_same(&world, 1, 0);
  for (uint32_t cut = 1; cut < 9; cut++) {
    iteration_t iteration = {0};
    go_on(&world, cut % 2, handles[cut % 2], &iteration, cut);
    go_on(&world, 1 - cut % 2, handles[1 - cut % 2], &iteration, SECTIONS);
    assert_true(iteration.over);
    assert_int_equal(strlen(iteration.told), 1 + 9 * 3);
  }
  cluster_end(&world);
}

static void an_iteration_goes_on_after_the_replica_was_swapped_for_a_transferred_one(void **state) {
  (void)state;
  static cluster_world_t world;
  uint64_t handles[3];
  world_with_holes(&world, handles);
  uint64_t transfers = world.members[1].node->counters[NODE_COUNTER_TRANSFERS];
  iteration_t before = {0}, after = {0};
  go_on(&world, 1, handles[1], &before, 4);
  go_on(&world, 1, handles[1], &after, 7);
  world.members[1].deaf = true;
  create(&world, 0, handles[0], "n1");
  write_the_log_over(&world, 0, handles[0], "n1");
  erase(&world, 0, handles[0], "s2");
  erase(&world, 0, handles[0], "n1");
  create(&world, 0, handles[0], "n2");
  create(&world, 0, handles[0], "n3");
  create(&world, 0, handles[0], "n4");
  world.members[1].deaf = false;
  cluster_pass_until(&world, is_level(&world, 1, 0));
  assert_true(world.members[1].node->counters[NODE_COUNTER_TRANSFERS] > transfers);
  slots_are_the_same(&world, 1, 0);
  go_on(&world, 1, handles[1], &before, SECTIONS);
  go_on(&world, 1, handles[1], &after, SECTIONS);
  const char *stayed[] = {"s0", "s3", "s4", "s6", "s7"};
  for (uint32_t i = 0; i < 5; i++) {
    assert_true(was_told(&before, stayed[i]) && was_told(&after, stayed[i]));
  }
  assert_false(was_told(&before, "n2") || was_told(&after, "n4")); /* created since it began */
  cluster_end(&world);
}

static void an_iteration_outlives_its_primary(void **state) {
  (void)state;
  static cluster_world_t world;
  uint64_t handles[3];
  world_with_holes(&world, handles);
  create(&world, 0, handles[0], "n1");
  iteration_t iteration = {0};
  go_on(&world, 1, handles[1], &iteration, 4);
  uint32_t primary = cluster_checkpoint(&world, 0)->primary;
  assert_int_equal(primary, 1);
  cluster_stop(&world, 0, false);
  cluster_view(&world, 0);
  cluster_pass_until(&world, cluster_checkpoint(&world, 1)->primary > 1);
  create(&world, 2, handles[2], "n2");
  cluster_pass_until(&world, is_level(&world, 1, 2) && is_level(&world, 2, 1));
  slots_are_the_same(&world, 1, 2);
  go_on(&world, 2, handles[2], &iteration, 6);
  go_on(&world, 1, handles[1], &iteration, SECTIONS);
  assert_int_equal(strlen(iteration.told), 1 + 7 * 3);
  assert_true(was_told(&iteration, "n1"));
  cluster_end(&world);
}

/* Reads may be a message behind the primary; what an iteration has begun with they may not miss. */
static void a_node_that_is_behind_the_beginning_of_an_iteration_does_not_go_on_with_it(void **state) {
  (void)state;
  static cluster_world_t world;
  uint64_t handles[3];
  world_with_holes(&world, handles);
  create(&world, 0, handles[0], "n1");
  iteration_t iteration = {0};
  go_on(&world, 0, handles[0], &iteration, 4);
  replica_status_t status;
  replica_status(replica_at(&world, 1), &status);
  iteration.seq = status.committed.seq + 1; /* as if the other node had been ahead by one */
  uint64_t heard = world.members[0].node->counters[NODE_COUNTER_COMMITTED];
  world.members[1].mute = true;
  wire_message_t iterate = {.kind = WIRE_ITERATE,
                            .handle = handles[1],
                            .flags = ANY,
                            .cursor = iteration.cursor,
                            .epoch = iteration.epoch,
                            .seq = iteration.seq};
  (void)cluster_ask(&world, 1, &iterate, NULL, 0);
  assert_false(world.members[1].answer.come); /* it asks the primary */
  world.members[1].mute = false;
  cluster_pass_until(&world, world.members[1].answer.come);
  assert_int_equal(world.members[1].answer.message.error, VESTA_OK);
  assert_int_equal(world.members[0].node->counters[NODE_COUNTER_COMMITTED], heard);
  cluster_end(&world);
}

/* A section that was told, was lost with its primary, and was then made again, is one that was created later. */
static void what_was_created_anew_after_a_loss_is_not_told_again(void **state) {
  (void)state;
  static cluster_world_t world;
  cluster_new(&world, 3);
  uint64_t handles[3];
  cluster_open_all(&world, 3, VESTA_CREATE_ACTIVE_REPLICA, handles);
  create(&world, 0, handles[0], "s0");
  create(&world, 0, handles[0], "s1");
  uint32_t primary = cluster_checkpoint(&world, 0)->primary;
  assert_int_equal(primary, 1);
  cluster_pass_until(&world, cluster_in_sync(&world, 0, 2) || cluster_in_sync(&world, 0, 3));
  cluster_pass_until(&world, order_usable(world.members[0].node->cluster->order));
  world.members[0].mute = true; /* what it does now the others do not hear of */
  create(&world, 0, handles[0], "s2");
  for (uint32_t i = 0; i < 8; i++) {
    assert_int_equal(cluster_change(&world, 0, handles[0], VESTA_KIND_OVERWRITTEN, "s2", "x"), VESTA_OK);
  }
  iteration_t iteration = {0};
  go_on(&world, 0, handles[0], &iteration, 3);
  assert_true(was_told(&iteration, "s2"));
  cluster_stop(&world, 0, false);
  world.members[0].mute = false;
  cluster_view(&world, 0);
  cluster_pass_until(&world, cluster_checkpoint(&world, 1)->primary > 1);
  create(&world, 1, handles[1], "n1"); /* takes the slot of the lost one */
  create(&world, 1, handles[1], "n2");
  create(&world, 1, handles[1], "s2");
  go_on(&world, 1, handles[1], &iteration, SECTIONS);
  assert_true(iteration.over);
  cluster_end(&world);
}

/* ---- a snapshot, chunk by chunk ---- */

#define LARGE_BYTES (100U << 10)

static uint64_t open_large(cluster_world_t *world, uint32_t index) {
  wire_message_t open = {.kind = WIRE_OPEN,
                         .name = vesta_bytes("large", 5),
                         .flags = VESTA_OPEN_CREATE | VESTA_OPEN_READ | VESTA_OPEN_WRITE,
                         .creation_flags = ALL_COLLOCATED,
                         .checkpoint_bytes = UINT64_C(64) * LARGE_BYTES,
                         .retention_ns = 60 * CLUSTER_SECOND,
                         .sections_max = 64,
                         .section_bytes_max = LARGE_BYTES,
                         .section_id_bytes_max = 16};
  wire_message_t *reply = cluster_call(world, index, &open, NULL, 0);
  assert_int_equal(reply->error, VESTA_OK);
  return reply->handle;
}

static void change_large(cluster_world_t *world, uint64_t handle, vesta_kind_t kind, const char *id) {
  static uint8_t data[LARGE_BYTES];
  size_t size = kind == VESTA_KIND_DELETED ? 0 : sizeof data;
  wire_element_t element = {.kind = kind, .id = vesta_bytes(id, strlen(id)), .size = size, .expiry_ns = VESTA_TIME_END};
  wire_message_t change = {.kind = WIRE_CHANGE, .handle = handle, .elements = &element, .element_count = 1};
  assert_int_equal(cluster_call(world, 0, &change, data, size)->error, VESTA_OK);
}

/* What a mirror has: ids by letter. */
typedef struct mirror {
  bool has[128];
  vesta_pos_t position;
  uint64_t cursor;
  bool over;
} mirror_t;

static void take_chunk(cluster_world_t *world, uint32_t index, stream_server_t *server, vesta_pos_t from,
                       mirror_t *mirror) {
  wire_message_t get = {.kind = WIRE_SNAPSHOT_GET,
                        .number = 1,
                        .checkpoint = cluster_checkpoint(world, index)->id,
                        .token_hi = 1,
                        .cursor = mirror->cursor,
                        .from_lineage = from.lineage,
                        .from_epoch = from.epoch,
                        .from_seq = from.seq};
  vesta_bytes_t head, payload;
  stream_server_answer(server, replica_at(world, index), &get, &head, &payload);
  wire_message_t chunk;
  assert_int_equal(wire_decode(world->members[index].decoder, head.data, head.size, &chunk), VESTA_OK);
  assert_int_equal(chunk.error, VESTA_OK);
  assert_int_equal(chunk.state & WIRE_CHUNK_FULL, 0);
  for (uint32_t i = 0; i < chunk.element_count; i++) {
    mirror->has[chunk.elements[i].id.data[0]] = chunk.elements[i].kind == VESTA_KIND_CREATED;
  }
  mirror->cursor = chunk.cursor_end;
  mirror->position = wire_pos(&chunk);
  mirror->over = (chunk.state & WIRE_CHUNK_LAST) != 0;
}

static void mirror_is_right(cluster_world_t *world, uint32_t index, const mirror_t *mirror) {
  for (uint32_t letter = 'a'; letter <= 'z'; letter++) {
    uint8_t id = (uint8_t)letter;
    replica_section_t section;
    assert_int_equal(mirror->has[letter],
                     replica_find(replica_at(world, index), vesta_bytes(&id, 1), INT64_MIN, &section));
  }
}

/* As a subscriber does it whose operations are not in the log any more: the walk to its end, then what changed since its
 * first chunk. */
static void a_snapshot_goes_on_after_the_replica_was_swapped_or_at_another_node(void **state) {
  (void)state;
  static cluster_world_t world;
  cluster_new(&world, 3);
  uint64_t handles[3];
  for (uint32_t i = 0; i < 3; i++) {
    cluster_hello(&world, i);
    handles[i] = open_large(&world, i);
  }
  cluster_pass_until(&world, cluster_in_sync(&world, 0, 2) && cluster_in_sync(&world, 0, 3));
  for (char id[] = "a"; id[0] <= 'l'; id[0]++) {
    change_large(&world, handles[0], VESTA_KIND_CREATED, id);
  }
  change_large(&world, handles[0], VESTA_KIND_DELETED, "b");
  cluster_pass_until(&world, is_level(&world, 1, 0));
  stream_server_t *server = stream_server_new();
  mirror_t mirrors[2] = {0};
  vesta_pos_t first[2];
  for (uint32_t i = 0; i < 2; i++) { /* one goes on at the same node, the other at another one */
    take_chunk(&world, 1, server, (vesta_pos_t){0}, &mirrors[i]);
    assert_false(mirrors[i].over);
    first[i] = mirrors[i].position;
  }
  uint64_t transfers = world.members[1].node->counters[NODE_COUNTER_TRANSFERS];
  world.members[1].deaf = true;
  change_large(&world, handles[0], VESTA_KIND_DELETED, "a");
  change_large(&world, handles[0], VESTA_KIND_DELETED, "l");
  for (uint32_t i = 0; i < 150; i++) {
    change_large(&world, handles[0], VESTA_KIND_OVERWRITTEN, "c");
  }
  for (char id[] = "m"; id[0] <= 'p'; id[0]++) {
    change_large(&world, handles[0], VESTA_KIND_CREATED, id);
  }
  world.members[1].deaf = false;
  cluster_pass_until(&world, is_level(&world, 1, 0));
  assert_true(world.members[1].node->counters[NODE_COUNTER_TRANSFERS] > transfers);
  slots_are_the_same(&world, 1, 0);
  for (uint32_t i = 0; i < 2; i++) {
    while (!mirrors[i].over) {
      take_chunk(&world, 1 - i, server, (vesta_pos_t){0}, &mirrors[i]);
    }
    mirrors[i].cursor = 0;
    do {
      take_chunk(&world, 1 - i, server, first[i], &mirrors[i]);
    } while (!mirrors[i].over);
    mirror_is_right(&world, 0, &mirrors[i]);
  }
  stream_server_destroy(&server);
  cluster_end(&world);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_iteration_that_another_node_goes_on_with_tells_every_section_once),
      cmocka_unit_test(an_iteration_goes_on_after_the_replica_was_swapped_for_a_transferred_one),
      cmocka_unit_test(an_iteration_outlives_its_primary),
      cmocka_unit_test(a_node_that_is_behind_the_beginning_of_an_iteration_does_not_go_on_with_it),
      cmocka_unit_test(what_was_created_anew_after_a_loss_is_not_told_again),
      cmocka_unit_test(a_snapshot_goes_on_after_the_replica_was_swapped_or_at_another_node),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
