/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The order, case by case, over a group that does what the test says: messages go to who is in the sender's ring, in the
 * order in which they were sent, and views, quorum and deaths are told by hand. What happens when all of that fails at
 * once is order_random_test's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/order.h"

#define MS INT64_C(1000000)
#define SECOND (1000 * MS)
#define NODES 4U
#define APPLIED_MAX 16384U
#define LARGE_BYTES 65535U

typedef struct note {
  struct note *next;
  uint32_t from, to; /* to 0: the group */
  wire_message_t *message;
  uint8_t *payload;
  size_t payload_size;
} note_t;

typedef struct node {
  uint32_t id;
  order_t *order;
  uint64_t life;
  uint32_t ring; /* 0: none */
  uint64_t applied[APPLIED_MAX], shadow[APPLIED_MAX];
  uint32_t applied_count, shadow_count, absorbed, rejoins, whole;
  bool no_memory;
  wire_message_t *journal[APPLIED_MAX];
  uint32_t journal_count;
} node_t;

static struct {
  node_t nodes[NODES];
  note_t *first, **end;
  int64_t now_ns;
  uint32_t ring;      /* number of the last one */
  uint32_t expected;  /* nodes */
  uint32_t acks_lost; /* nodes whose acknowledgements and beats get lost, a mask */
  uint32_t mute;      /* nodes whose messages get lost, a mask */
  bool peers_cut;
  uint32_t large_rows; /* in a directory written out */
  uint32_t version_min[NODES], version_max[NODES];
  order_policy_t policy;
} world;

static node_t *node_of(uint32_t id) { return &world.nodes[id - 1]; }

/* ---- the sink ---- */

static void note(node_t *node, uint32_t to, const wire_message_t *message, vesta_bytes_t payload) {
  note_t *one = calloc(1, sizeof *one);
  assert_non_null(one);
  one->from = node->id;
  one->to = to;
  one->message = wire_copy(message, NULL);
  one->payload = malloc(payload.size + 1);
  assert_true(one->message != NULL && one->payload != NULL);
  if (payload.size != 0) {
    memcpy(one->payload, payload.data, payload.size);
  }
  one->payload_size = payload.size;
  *world.end = one;
  world.end = &one->next;
}

static void on_multicast(void *context, const wire_message_t *message) {
  note(context, 0, message, vesta_bytes(NULL, 0));
}

static void on_peer(void *context, uint32_t to, const wire_message_t *message, vesta_bytes_t payload) {
  note(context, to, message, payload);
}

static void on_journal(void *context, const wire_message_t *row) {
  node_t *node = context;
  assert_true(node->journal_count < APPLIED_MAX);
  node->journal[node->journal_count++] = wire_copy(row, NULL);
}

static bool on_stable(void *context, const wire_message_t *op, uint64_t index) {
  node_t *node = context;
  (void)index;
  if (node->no_memory) {
    return false;
  }
  node->applied[node->applied_count++] = op->checkpoint;
  return true;
}

static bool on_snapshot(void *context, bool (*emit)(void *to, const wire_message_t *row), void *to) {
  const node_t *node = context;
  static const uint8_t text[LARGE_BYTES];
  wire_message_t large = {.kind = WIRE_OP_SNAPSHOT, .checkpoint = 1, .text = vesta_bytes(text, sizeof text)};
  for (uint32_t i = 0; i < world.large_rows; i++) {
    if (!emit(to, &large)) {
      return false;
    }
  }
  for (uint32_t i = 0; i < node->applied_count; i++) {
    wire_message_t row = {.kind = WIRE_OP_SNAPSHOT, .checkpoint = node->applied[i]};
    if (!emit(to, &row)) {
      return false;
    }
  }
  return true;
}

static bool on_adopt_begin(void *context) {
  ((node_t *)context)->shadow_count = 0;
  return true;
}

static vesta_err_t on_adopt_row(void *context, const wire_message_t *row) {
  node_t *node = context;
  node->shadow[node->shadow_count++] = row->checkpoint;
  return VESTA_OK;
}

static bool journal_emit(void *to, const wire_message_t *row) {
  on_journal(to, row);
  return true;
}

static void journal_clear(node_t *node) {
  while (node->journal_count != 0) {
    free(node->journal[--node->journal_count]);
  }
}

static void on_adopt_end(void *context, bool apart) {
  (void)apart;
  node_t *node = context;
  memcpy(node->applied, node->shadow, sizeof node->applied);
  node->applied_count = node->shadow_count;
  node->whole++;
  journal_clear(node);
  (void)on_snapshot(node, journal_emit, node);
  (void)order_snapshot(node->order, journal_emit, node);
}

static void on_nothing(void *context) { (void)context; }
static void on_absorbed(void *context, const wire_message_t *op) {
  (void)op;
  ((node_t *)context)->absorbed++;
}
static void on_rejoin(void *context) { ((node_t *)context)->rejoins++; }

/* ---- the world ---- */

static void start_with(uint32_t id, bool has_directory) {
  node_t *node = node_of(id);
  order_config_t config = {.node_id = id,
                           .incarnation = ++node->life,
                           .random = id * 1000 + node->life,
                           .policy = world.policy,
                           .version_min = world.version_min[id - 1],
                           .version_max = world.version_max[id - 1],
                           .sink = {.context = node,
                                    .multicast = on_multicast,
                                    .peer = on_peer,
                                    .journal = on_journal,
                                    .stable = on_stable,
                                    .snapshot = on_snapshot,
                                    .adopt_begin = on_adopt_begin,
                                    .adopt_row = on_adopt_row,
                                    .adopt_end = on_adopt_end,
                                    .adopt_abort = on_nothing,
                                    .absorbed = on_absorbed,
                                    .activated = on_nothing,
                                    .suspended = on_nothing,
                                    .resumed = on_nothing,
                                    .rejoin = on_rejoin}};
  assert_int_equal(order_new(&config, &node->order), VESTA_OK);
  for (uint32_t i = 0; i < node->journal_count; i++) {
    const wire_message_t *row = node->journal[i];
    if (row->kind == WIRE_OP_SNAPSHOT) {
      node->applied[node->applied_count++] = row->checkpoint;
    } else {
      assert_int_equal(order_restore(node->order, row), VESTA_OK);
    }
  }
  order_start(node->order, has_directory, world.now_ns);
}

static void start(uint32_t id) { start_with(id, false); }

static void crash(uint32_t id) {
  node_t *node = node_of(id);
  order_destroy(&node->order);
  node->ring = 0;
  node->applied_count = 0;
}

static void lose_files(uint32_t id) {
  crash(id);
  journal_clear(node_of(id));
}

static order_ring_t ring_now(const node_t *node) { return (order_ring_t){.seq = node->ring, .node = 1}; }

static void tell_quorum(uint32_t id, bool quorate) {
  order_quorum(node_of(id)->order, ring_now(node_of(id)), quorate, world.expected, world.now_ns);
}

/* A new ring of these, a mask; those that run are told. */
static void tell_view(uint32_t mask) {
  uint32_t members[NODES], count = 0;
  world.ring += 4;
  for (uint32_t i = 0; i < NODES; i++) {
    if ((mask & 1U << i) != 0) {
      members[count++] = i + 1;
    }
  }
  for (uint32_t i = 0; i < count; i++) {
    node_t *node = node_of(members[i]);
    if (node->order != NULL) {
      node->ring = world.ring;
      order_view(node->order, ring_now(node), members, count, world.now_ns);
    }
  }
}

static bool is_lost(const note_t *one) {
  bool is_ack = one->message->kind == WIRE_GROUP_ACK || one->message->kind == WIRE_GROUP_BEAT;
  return (world.mute & 1U << (one->from - 1)) != 0 || (one->to != 0 && world.peers_cut) ||
         (is_ack && (world.acks_lost & 1U << (one->from - 1)) != 0);
}

static void note_free(note_t *one) {
  free(one->message);
  free(one->payload);
  free(one);
}

static void arrive(node_t *node, const note_t *one) {
  if (node->order == NULL || node->ring != node_of(one->from)->ring || is_lost(one)) {
    return;
  }
  if (one->to == 0) {
    order_deliver(node->order, one->from, one->message, world.now_ns);
  } else {
    order_peer(node->order, one->from, one->message, vesta_bytes(one->payload, one->payload_size), world.now_ns);
  }
  order_flush(node->order, world.now_ns);
}

/* Everything that was sent arrives, and what is sent because of that. */
static void settle(void) {
  while (world.first != NULL) {
    note_t *one = world.first;
    world.first = one->next;
    if (world.first == NULL) {
      world.end = &world.first;
    }
    for (uint32_t id = 1; id <= NODES; id++) {
      if (one->to == 0 || one->to == id) {
        arrive(node_of(id), one);
      }
    }
    note_free(one);
  }
}

static void pass(int64_t time_ns) {
  int64_t end_ns = world.now_ns + time_ns;
  settle();
  for (;;) {
    int64_t wake_ns = INT64_MAX;
    for (uint32_t i = 0; i < NODES; i++) {
      const order_t *order = world.nodes[i].order;
      wake_ns = order != NULL && order_wake_ns(order) < wake_ns ? order_wake_ns(order) : wake_ns;
    }
    if (wake_ns > end_ns) {
      break;
    }
    world.now_ns = wake_ns > world.now_ns ? wake_ns : world.now_ns;
    for (uint32_t i = 0; i < NODES; i++) {
      if (world.nodes[i].order != NULL) {
        order_time(world.nodes[i].order, world.now_ns);
      }
    }
    settle();
  }
  world.now_ns = end_ns;
}

static void view(uint32_t mask) {
  tell_view(mask);
  for (uint32_t i = 0; i < NODES; i++) {
    if ((mask & 1U << i) != 0 && world.nodes[i].order != NULL) {
      tell_quorum(i + 1, true);
    }
  }
  pass(10 * MS);
}

static vesta_err_t propose(uint32_t id, uint64_t number) {
  wire_message_t op = {.kind = WIRE_OP_REMOVE, .checkpoint = number};
  return order_propose(node_of(id)->order, &op, world.now_ns);
}

static bool usable(uint32_t id) { return order_usable(node_of(id)->order); }
static uint64_t counted(uint32_t id, order_counter_t counter) { return order_counter(node_of(id)->order, counter); }

static int world_begin(void **state) {
  (void)state;
  memset(&world, 0, sizeof world);
  world.end = &world.first;
  world.now_ns = 100 * SECOND;
  world.expected = 3;
  for (uint32_t i = 0; i < NODES; i++) {
    world.nodes[i].id = i + 1;
  }
  return 0;
}

static int world_end(void **state) {
  (void)state;
  for (uint32_t i = 0; i < NODES; i++) {
    order_destroy(&world.nodes[i].order);
    journal_clear(&world.nodes[i]);
  }
  while (world.first != NULL) {
    note_t *one = world.first;
    world.first = one->next;
    note_free(one);
  }
  return 0;
}

/* Nodes 1 to count, all in one view. */
static void begin(uint32_t count) {
  world.expected = count;
  for (uint32_t id = 1; id <= count; id++) {
    start(id);
  }
  view((1U << count) - 1);
  for (uint32_t id = 1; id <= count; id++) {
    assert_true(usable(id));
    assert_int_equal(order_term(node_of(id)->order), 1);
  }
}

/* ---- stability ---- */

static void an_operation_is_applied_when_a_majority_has_it_and_not_before(void **state) {
  (void)state;
  begin(3);
  world.acks_lost = 0x6;
  assert_int_equal(propose(1, 7), VESTA_OK);
  settle();
  assert_int_equal(order_index(node_of(2)->order), 1);
  assert_int_equal(node_of(1)->applied_count, 0);
  world.acks_lost = 0x2;
  pass(200 * MS); /* the next beat of node 3 says so */
  for (uint32_t id = 1; id <= 3; id++) {
    assert_int_equal(node_of(id)->applied_count, 1);
    assert_int_equal(node_of(id)->applied[0], 7);
  }
}

static void what_one_node_alone_saw_is_not_applied_and_is_sent_again_by_its_proposer(void **state) {
  (void)state;
  begin(3);
  world.mute = 0x1;
  assert_int_equal(propose(1, 7), VESTA_OK);
  settle();
  world.mute = 0;
  view(0x6);
  assert_int_equal(propose(2, 8), VESTA_OK);
  settle();
  assert_int_equal(node_of(2)->applied_count, 1);
  view(0x7);
  for (uint32_t id = 1; id <= 3; id++) {
    assert_int_equal(node_of(id)->applied_count, 2);
    assert_int_equal(node_of(id)->applied[0], 8);
    assert_int_equal(node_of(id)->applied[1], 7);
  }
}

static void what_finds_no_memory_to_be_applied_is_applied_later_and_nothing_overtakes_it(void **state) {
  (void)state;
  begin(3);
  node_of(2)->no_memory = true;
  (void)propose(1, 7);
  (void)propose(1, 8);
  settle();
  assert_int_equal(node_of(2)->applied_count, 0);
  node_of(2)->no_memory = false;
  pass(ORDER_RETRY_NS + MS);
  assert_int_equal(node_of(2)->applied_count, 2);
  assert_int_equal(node_of(2)->applied[0], 7);
}

static void proposals_at_the_limit_are_taken_and_one_more_is_not(void **state) {
  (void)state;
  begin(3);
  for (uint32_t i = 1; i <= VESTA_PROPOSALS_MAX; i++) {
    assert_int_equal(propose(1, i), VESTA_OK);
  }
  assert_int_equal(propose(1, 5000), VESTA_ERR_TRY_AGAIN);
  assert_int_equal(counted(1, ORDER_COUNTER_PROPOSALS_REFUSED), 1);
  settle();
  assert_int_equal(node_of(3)->applied_count, VESTA_PROPOSALS_MAX);
  assert_int_equal(propose(1, 5000), VESTA_OK);
}

static void proposals_of_the_largest_size_are_bounded_by_their_bytes(void **state) {
  (void)state;
  static const uint8_t text[LARGE_BYTES];
  wire_message_t op = {.kind = WIRE_OP_REMOVE, .checkpoint = 1, .text = vesta_bytes(text, sizeof text)};
  start(1);
  uint64_t taken = 0;
  while (order_propose(node_of(1)->order, &op, world.now_ns) == VESTA_OK) {
    taken++;
  }
  assert_in_range(taken, VESTA_PROPOSALS_BYTES_MAX / (sizeof text + 2000), VESTA_PROPOSALS_BYTES_MAX / sizeof text + 1);
  assert_int_equal(counted(1, ORDER_COUNTER_PROPOSALS_REFUSED), 1);
}

static void unstable_operations_at_the_limit_are_kept_and_one_more_is_put_off(void **state) {
  (void)state;
  begin(3);
  world.acks_lost = 0x7;
  wire_message_t op = {.kind = WIRE_OP_REMOVE, .incarnation = 9, .ring_seq = world.ring, .ring_node = 1};
  for (uint32_t i = 1; i <= VESTA_UNSTABLE_MAX + 1; i++) {
    op.proposal = op.checkpoint = i;
    for (uint32_t id = 1; id <= 3; id++) {
      order_deliver(node_of(id)->order, 3, &op, world.now_ns);
    }
  }
  assert_int_equal(order_index(node_of(1)->order), VESTA_UNSTABLE_MAX);
  assert_int_equal(counted(1, ORDER_COUNTER_UNSTABLE_FULL), 1);
  (void)propose(2, 77777);
  settle();
  assert_int_equal(counted(2, ORDER_COUNTER_UNSTABLE_FULL), 2);
  world.acks_lost = 0;
  pass(SECOND);
  assert_int_equal(node_of(1)->applied_count, VESTA_UNSTABLE_MAX + 1); /* sent again by itself */
  assert_int_equal(node_of(1)->applied[VESTA_UNSTABLE_MAX], 77777);
}

/* ---- views ---- */

static void a_view_counts_only_with_quorum_of_its_own_ring_told_before_or_after_it(void **state) {
  (void)state;
  for (uint32_t id = 1; id <= 3; id++) {
    start(id);
  }
  tell_view(0x7);
  pass(10 * MS);
  assert_false(usable(1));
  for (uint32_t id = 1; id <= 3; id++) {
    order_quorum(node_of(id)->order, (order_ring_t){.seq = world.ring - 1, .node = 1}, true, 3, world.now_ns);
  }
  pass(10 * MS);
  assert_int_equal(order_state(node_of(1)->order), ORDER_IDLE);
  for (uint32_t id = 1; id <= 3; id++) {
    tell_quorum(id, true);
  }
  pass(10 * MS);
  assert_true(usable(1) && usable(2) && usable(3));
  for (uint32_t id = 1; id <= 3; id++) { /* the other way round */
    order_quorum(node_of(id)->order, (order_ring_t){.seq = world.ring + 4, .node = 1}, true, 3, world.now_ns);
    assert_false(usable(id));
  }
  tell_view(0x7);
  pass(10 * MS);
  assert_true(usable(1) && usable(2) && usable(3));
}

static void quorum_lost_within_a_ring_suspends_and_its_return_resumes(void **state) {
  (void)state;
  begin(3);
  tell_quorum(2, false);
  (void)propose(1, 7);
  (void)propose(2, 8);
  pass(10 * MS);
  assert_int_equal(node_of(1)->applied_count, 1);
  assert_int_equal(node_of(2)->applied_count, 0);
  tell_quorum(2, true);
  pass(10 * MS);
  assert_int_equal(node_of(2)->applied_count, 2);
  assert_int_equal(order_term(node_of(2)->order), 1);
}

static void the_side_without_a_majority_writes_nothing_and_takes_the_others_history(void **state) {
  (void)state;
  begin(3);
  tell_view(0x1);
  tell_quorum(1, false);
  (void)propose(1, 7);
  view(0x6);
  (void)propose(2, 8);
  pass(SECOND);
  assert_int_equal(node_of(1)->applied_count, 0);
  assert_int_equal(node_of(3)->applied_count, 1);
  view(0x7);
  assert_int_equal(node_of(1)->applied_count, 2);
  assert_int_equal(node_of(1)->applied[0], 8);
}

static void a_ghost_is_gone_on_without_when_its_time_is_over(void **state) {
  (void)state;
  world.expected = 3;
  start(1);
  start(2);
  view(0x7); /* node 3 is a member and never speaks */
  assert_false(usable(1));
  pass(ORDER_SILENT_NS);
  assert_true(usable(1) && usable(2));
  assert_false(order_participates(node_of(1)->order, 3));
  assert_int_equal(counted(1, ORDER_COUNTER_CLOSED), 1);
}

static void a_ghost_makes_no_majority(void **state) {
  (void)state;
  start(1);
  view(0x7);
  pass(10 * SECOND);
  assert_false(usable(1));
  assert_int_equal(order_waiting(node_of(1)->order), 2);
}

static void who_is_late_takes_the_state_all_the_same_and_joins_again(void **state) {
  (void)state;
  begin(3);
  crash(3);
  view(0x3);
  (void)propose(1, 7);
  pass(10 * MS);
  lose_files(3);
  start(3);
  world.peers_cut = true;
  view(0x7);
  pass(ORDER_SYNC_NS);
  assert_true(usable(1) && usable(2));
  assert_int_equal(order_state(node_of(3)->order), ORDER_OUT);
  world.peers_cut = false;
  pass(3 * SECOND);
  assert_int_equal(node_of(3)->rejoins >= 1, true);
  assert_int_equal(order_index(node_of(3)->order), 1);
  view(0x7);
  assert_true(usable(3));
  assert_int_equal(node_of(3)->applied_count, 1);
}

static void more_nodes_than_there_may_be_are_refused(void **state) {
  (void)state;
  uint32_t members[VESTA_NODES_MAX + 1];
  for (uint32_t i = 0; i <= VESTA_NODES_MAX; i++) {
    members[i] = i + 1;
  }
  order_ring_t ring = {.seq = 4, .node = 1};
  start(1);
  order_quorum(node_of(1)->order, ring, true, VESTA_NODES_MAX, world.now_ns);
  order_view(node_of(1)->order, ring, members, VESTA_NODES_MAX, world.now_ns);
  assert_int_equal(order_state(node_of(1)->order), ORDER_INIT);
  order_view(node_of(1)->order, ring, members, VESTA_NODES_MAX + 1, world.now_ns);
  assert_int_equal(order_state(node_of(1)->order), ORDER_IDLE);
  assert_int_equal(counted(1, ORDER_COUNTER_NODES_REFUSED), 1);
}

/* ---- half of the nodes ---- */

/* One of two nodes crashes, is fenced, and the other has applied an operation without it. */
static void begin_two_and_fence_the_second(void) {
  begin(2);
  crash(2);
  view(0x1);
  order_fenced(node_of(1)->order, 2, world.now_ns);
  (void)propose(1, 7);
  pass(10 * MS);
}

static void half_of_two_nodes_goes_on_only_when_the_other_is_known_to_be_dead(void **state) {
  (void)state;
  begin(2);
  crash(2);
  view(0x1);
  (void)propose(1, 7);
  pass(10 * SECOND);
  assert_false(usable(1));
  order_fenced(node_of(1)->order, 2, world.now_ns);
  pass(10 * MS);
  assert_true(usable(1));
  assert_int_equal(node_of(1)->applied_count, 1);
}

static void who_was_taken_for_dead_does_not_go_on_alone_with_what_it_had(void **state) {
  (void)state;
  begin_two_and_fence_the_second();
  crash(1);
  start(2);
  view(0x2);
  order_fenced(node_of(2)->order, 1, world.now_ns);
  pass(10 * SECOND);
  assert_false(usable(2));
  assert_int_equal(order_waiting(node_of(2)->order), 1);
  start(1);
  view(0x3);
  assert_true(usable(2));
  assert_int_equal(node_of(2)->applied_count, 1);
}

static void the_sole_survivor_may_restart(void **state) {
  (void)state;
  begin_two_and_fence_the_second();
  crash(1);
  start(1);
  view(0x1);
  order_fenced(node_of(1)->order, 2, world.now_ns);
  pass(10 * MS);
  assert_true(usable(1));
  assert_int_equal(node_of(1)->applied_count, 1);
}

static void with_trust_half_goes_on_without_knowing(void **state) {
  (void)state;
  world.policy = ORDER_TRUST;
  begin(2);
  view(0x1);
  (void)propose(1, 7);
  pass(10 * MS);
  assert_true(usable(1));
  assert_int_equal(node_of(1)->applied_count, 1);
}

static void who_loses_what_it_had_applied_proposes_again_all_the_same(void **state) {
  (void)state;
  world.policy = ORDER_TRUST;
  begin(2);
  view(0x2);
  (void)propose(2, 7);
  (void)propose(2, 8);
  pass(10 * MS);
  assert_int_equal(node_of(2)->applied_count, 2);
  tell_view(0x2);
  (void)propose(2, 9); /* waits for a view */
  view(0x1);
  for (uint64_t number = 20; number < 24; number++) {
    (void)propose(1, number);
  }
  pass(10 * MS);
  view(0x3); /* node 1's history is the longer one */
  (void)propose(2, 10);
  pass(SECOND);
  for (uint32_t id = 1; id <= 2; id++) {
    const uint64_t *applied = node_of(id)->applied;
    assert_int_equal(node_of(id)->applied_count, 6);
    assert_true(applied[3] == 23 && applied[4] == 9 && applied[5] == 10);
  }
}

/* ---- states ---- */

static void a_node_that_lost_its_files_does_not_help_to_a_majority_of_states(void **state) {
  (void)state;
  begin(3);
  world.mute = 0x4;
  tell_view(0x3); /* node 3 is away */
  view(0x3);
  (void)propose(1, 7);
  pass(10 * MS);
  world.mute = 0;
  lose_files(1);
  crash(2);
  start(1);
  view(0x5);
  pass(10 * SECOND);
  assert_false(usable(3));
  assert_int_equal(order_waiting(node_of(3)->order), 1);
  start(2);
  view(0x7);
  for (uint32_t id = 1; id <= 3; id++) {
    assert_true(usable(id));
    assert_int_equal(node_of(id)->applied_count, 1);
  }
}

static void who_was_away_shortly_gets_the_last_operations_only(void **state) {
  (void)state;
  begin(3);
  (void)propose(1, 7);
  pass(10 * MS);
  crash(3);
  view(0x3);
  (void)propose(1, 8);
  pass(10 * MS);
  start(3);
  view(0x7);
  assert_int_equal(counted(3, ORDER_COUNTER_FETCHED_TAIL), 1);
  assert_int_equal(counted(3, ORDER_COUNTER_FETCHED), 0);
  assert_int_equal(node_of(3)->applied_count, 2);
}

static void who_was_away_for_longer_than_the_history_reaches_gets_everything(void **state) {
  (void)state;
  for (uint32_t more = 0; more <= 1; more++) {
    (void)world_end(NULL);
    (void)world_begin(NULL);
    begin(3);
    crash(3);
    view(0x3);
    for (uint32_t i = 1; i <= VESTA_ORDER_HISTORY_MAX + more; i++) {
      assert_int_equal(propose(1, i), VESTA_OK);
      settle();
    }
    assert_int_equal(node_of(1)->applied_count, VESTA_ORDER_HISTORY_MAX + more);
    start(3);
    view(0x7);
    assert_true(usable(3));
    assert_int_equal(counted(3, ORDER_COUNTER_FETCHED_TAIL), 1 - more);
    assert_int_equal(counted(3, ORDER_COUNTER_FETCHED), more);
    assert_int_equal(node_of(3)->applied_count, VESTA_ORDER_HISTORY_MAX + more);
    crash(3);
    start(3); /* its journal says the same */
    assert_int_equal(order_index(node_of(3)->order), VESTA_ORDER_HISTORY_MAX + more);
  }
}

static void large_operations_leave_the_history_earlier(void **state) {
  (void)state;
  static const uint8_t text[LARGE_BYTES];
  wire_message_t op = {.kind = WIRE_OP_REMOVE, .checkpoint = 1, .text = vesta_bytes(text, sizeof text)};
  begin(3);
  crash(3);
  view(0x3);
  for (uint32_t i = 0; i <= VESTA_ORDER_HISTORY_BYTES_MAX / sizeof text; i++) {
    assert_int_equal(order_propose(node_of(1)->order, &op, world.now_ns), VESTA_OK);
    settle();
  }
  start(3);
  view(0x7);
  assert_int_equal(counted(3, ORDER_COUNTER_FETCHED), 1);
}

static void a_directory_at_the_limit_is_written_out_and_a_larger_one_is_not(void **state) {
  (void)state;
  begin(3);
  uint64_t rows_max = VESTA_DIRECTORY_BYTES_MAX / (LARGE_BYTES + 64);
  wire_message_t get = {.kind = WIRE_PEER_DIRECTORY_GET,
                        .node = 2,
                        .ring_seq = world.ring,
                        .ring_node = 1,
                        .lineage = order_cluster(node_of(1)->order),
                        .epoch = 1,
                        .seq = order_index(node_of(1)->order),
                        .from_seq = UINT64_MAX};
  settle();
  world.large_rows = (uint32_t)(VESTA_DIRECTORY_BYTES_MAX / LARGE_BYTES);
  order_peer(node_of(1)->order, 2, &get, vesta_bytes(NULL, 0), world.now_ns);
  assert_int_equal(counted(1, ORDER_COUNTER_SNAPSHOTS_REFUSED), 1);
  assert_null(world.first);
  world.large_rows = (uint32_t)rows_max - 1;
  order_peer(node_of(1)->order, 2, &get, vesta_bytes(NULL, 0), world.now_ns);
  assert_int_equal(counted(1, ORDER_COUNTER_SNAPSHOTS_REFUSED), 1);
  assert_int_equal(world.first->message->kind, WIRE_PEER_DIRECTORY);
  assert_in_range(world.first->payload_size, ORDER_CHUNK_BYTES, ORDER_CHUNK_BYTES + 2 * LARGE_BYTES);
}

static void a_cluster_begins_with_the_directory_of_the_node_that_was_alone(void **state) {
  (void)state;
  start(1);
  node_of(2)->applied[0] = 42;
  node_of(2)->applied_count = 1;
  start_with(2, true);
  start(3);
  view(0x7);
  (void)propose(3, 7);
  pass(10 * MS);
  for (uint32_t id = 1; id <= 3; id++) {
    assert_true(usable(id));
    assert_int_equal(node_of(id)->applied_count, 2);
    assert_int_equal(node_of(id)->applied[0], 42);
  }
  assert_int_equal(order_cluster(node_of(1)->order), order_cluster(node_of(3)->order));
}

static void a_new_view_aborts_a_synchronisation_and_the_next_one_ends_it(void **state) {
  (void)state;
  begin(3);
  crash(3);
  view(0x3);
  (void)propose(1, 7);
  pass(10 * MS);
  start(3);
  world.peers_cut = true;
  view(0x7);
  assert_int_equal(order_state(node_of(3)->order), ORDER_SYNC);
  assert_int_equal(node_of(3)->applied_count, 0);
  world.peers_cut = false;
  view(0x7);
  assert_true(usable(3));
  assert_int_equal(counted(3, ORDER_COUNTER_ABORTED), 1);
  assert_int_equal(node_of(3)->applied_count, 1);
  assert_int_equal(order_term(node_of(3)->order), order_term(node_of(1)->order));
}

static void a_row_that_can_not_be_journalled_leaves_the_node_out_until_it_joined_again(void **state) {
  (void)state;
  begin(3);
  order_fall_out(node_of(3)->order, world.now_ns);
  view(0x7);
  assert_int_equal(order_state(node_of(3)->order), ORDER_OUT);
  pass(ORDER_SILENT_NS);
  assert_int_equal(node_of(3)->rejoins, 1);
  view(0x7);
  assert_true(usable(1) && usable(2) && usable(3));
}

static void rows_that_make_no_sense_are_refused(void **state) {
  (void)state;
  wire_message_t op = {.kind = WIRE_OP_REMOVE, .checkpoint = 1, .order_index = 5, .proposer = 1, .proposal = 1};
  order_config_t config = {.node_id = 1, .incarnation = 1, .random = 1, .sink = {.stable = on_stable}};
  order_t *order;
  assert_int_equal(order_new(&config, &order), VESTA_OK);
  assert_int_equal(order_restore(order, &op), VESTA_ERR_MALFORMED);
  op.order_index = 0;
  assert_int_equal(order_restore(order, &op), VESTA_ERR_MALFORMED);
  op.order_index = 1;
  assert_int_equal(order_restore(order, &op), VESTA_OK);
  wire_message_t row = {.kind = WIRE_OP_VIEW, .ring_seq = 4, .epoch = 1, .lineage = 1, .seq = 3};
  assert_int_equal(order_restore(order, &row), VESTA_ERR_MALFORMED);
  order_destroy(&order);
}

/* ---- versions ---- */

static void the_group_speaks_the_lowest_of_the_highest_versions(void **state) {
  (void)state;
  world.version_max[0] = 3;
  world.version_max[1] = 2;
  world.version_max[2] = 5;
  begin(3);
  assert_int_equal(order_version(node_of(1)->order), 2);
  assert_int_equal(order_version(node_of(3)->order), 2);
}

static void a_program_that_the_others_can_not_speak_to_stays_out(void **state) {
  (void)state;
  for (uint32_t i = 0; i < 3; i++) {
    world.version_min[i] = i == 1 ? 0 : 2;
    world.version_max[i] = i == 1 ? 1 : 3;
    start(i + 1);
  }
  view(0x7);
  assert_true(usable(1) && usable(3));
  assert_int_equal(order_version(node_of(1)->order), 3);
  assert_int_equal(order_state(node_of(2)->order), ORDER_OUT);
  assert_true(order_refused(node_of(2)->order));
}

/* ---- leases ---- */

static void a_lease_lasts_while_beats_are_heard_by_a_majority_and_others_know_its_end(void **state) {
  (void)state;
  begin(3);
  pass(SECOND);
  int64_t lease_ns = order_lease_ns(node_of(3)->order);
  assert_true(lease_ns > world.now_ns + ORDER_LEASE_NS / 2 && lease_ns <= world.now_ns + ORDER_LEASE_NS);
  view(0x3);
  assert_true(usable(1));
  assert_true(order_node_lease_ns(node_of(1)->order, 3, world.now_ns) >= lease_ns);
  pass(SECOND);
  assert_int_equal(order_lease_ns(node_of(3)->order), lease_ns);
  assert_true(order_node_lease_ns(node_of(1)->order, 3, world.now_ns) < world.now_ns);
  assert_true(order_node_lease_ns(node_of(1)->order, 2, world.now_ns) == world.now_ns + ORDER_LEASE_NS);
  assert_int_equal(order_coordinator(node_of(2)->order), 1);
}

static void who_has_no_lease_any_more_has_one_in_a_new_view_before_the_second_beat(void **state) {
  (void)state;
  begin(3);
  pass(SECOND);
  world.acks_lost = 0x7;
  pass(SECOND);
  world.acks_lost = 0;
  assert_true(order_lease_ns(node_of(1)->order) < world.now_ns && order_lease_ns(node_of(2)->order) < world.now_ns);
  view(0x3);
  pass(ORDER_BEAT_NS / 2);
  assert_true(order_lease_ns(node_of(1)->order) > world.now_ns);
  assert_true(order_lease_ns(node_of(2)->order) > world.now_ns);
}

static void who_starts_takes_it_that_leases_of_its_life_before_run_yet(void **state) {
  (void)state;
  begin(3);
  pass(SECOND);
  int64_t lease_ns = order_lease_ns(node_of(3)->order);
  crash(1);
  crash(2);
  start(1);
  start(2);
  view(0x3);
  assert_true(usable(1));
  assert_true(order_node_lease_ns(node_of(1)->order, 3, world.now_ns) >= lease_ns);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, world_begin, world_end)

int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(an_operation_is_applied_when_a_majority_has_it_and_not_before),
      CASE(what_one_node_alone_saw_is_not_applied_and_is_sent_again_by_its_proposer),
      CASE(what_finds_no_memory_to_be_applied_is_applied_later_and_nothing_overtakes_it),
      CASE(proposals_at_the_limit_are_taken_and_one_more_is_not),
      CASE(proposals_of_the_largest_size_are_bounded_by_their_bytes),
      CASE(unstable_operations_at_the_limit_are_kept_and_one_more_is_put_off),
      CASE(a_view_counts_only_with_quorum_of_its_own_ring_told_before_or_after_it),
      CASE(quorum_lost_within_a_ring_suspends_and_its_return_resumes),
      CASE(the_side_without_a_majority_writes_nothing_and_takes_the_others_history),
      CASE(a_ghost_is_gone_on_without_when_its_time_is_over),
      CASE(a_ghost_makes_no_majority),
      CASE(who_is_late_takes_the_state_all_the_same_and_joins_again),
      CASE(more_nodes_than_there_may_be_are_refused),
      CASE(half_of_two_nodes_goes_on_only_when_the_other_is_known_to_be_dead),
      CASE(who_was_taken_for_dead_does_not_go_on_alone_with_what_it_had),
      CASE(the_sole_survivor_may_restart),
      CASE(with_trust_half_goes_on_without_knowing),
      CASE(who_loses_what_it_had_applied_proposes_again_all_the_same),
      CASE(a_node_that_lost_its_files_does_not_help_to_a_majority_of_states),
      CASE(who_was_away_shortly_gets_the_last_operations_only),
      CASE(who_was_away_for_longer_than_the_history_reaches_gets_everything),
      CASE(large_operations_leave_the_history_earlier),
      CASE(a_directory_at_the_limit_is_written_out_and_a_larger_one_is_not),
      CASE(a_cluster_begins_with_the_directory_of_the_node_that_was_alone),
      CASE(a_new_view_aborts_a_synchronisation_and_the_next_one_ends_it),
      CASE(a_row_that_can_not_be_journalled_leaves_the_node_out_until_it_joined_again),
      CASE(rows_that_make_no_sense_are_refused),
      CASE(the_group_speaks_the_lowest_of_the_highest_versions),
      CASE(a_program_that_the_others_can_not_speak_to_stays_out),
      CASE(a_lease_lasts_while_beats_are_heard_by_a_majority_and_others_know_its_end),
      CASE(who_has_no_lease_any_more_has_one_in_a_new_view_before_the_second_beat),
      CASE(who_starts_takes_it_that_leases_of_its_life_before_run_yet),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
