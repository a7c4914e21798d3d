/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The group over an engine that does as the test says: the functions of corosync's libraries are those below.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include <semaphore.h>
#include <stdatomic.h>

#include <corosync/cmap.h>
#include <corosync/cpg.h>
#include <corosync/quorum.h>

#include "daemon/group.h"
#include "daemon/group_parts.h"

#define NODES 3

/* ---- the engine ---- */

static struct {
  bool is_there;
  bool stands_still;      /* who comes waits at the gate */
  bool list_stands_still; /* who asks for the nodes does */
  sem_t gate;
  sem_t left;   /* whenever a connection was let go of */
  sem_t listed; /* whenever the nodes were read */
  atomic_uint visits;
  uint32_t nodes;        /* that are configured */
  cs_error_t join, send; /* what is answered */
  void *cpg_context;
  const void *quorum_context;
  cpg_model_v1_data_t cpg;
  quorum_model_v1_data_t quorum;
  int cpg_fd, quorum_fd;
  bool joined;
  uint32_t joins, parts;
} engine;
static _Thread_local uint32_t engine_key; /* of the walk over cmap */

cs_error_t cpg_model_initialize(cpg_handle_t *handle, cpg_model_t model, cpg_model_data_t *data, void *context) {
  assert_int_equal(model, CPG_MODEL_V1);
  engine.visits++;
  while (engine.stands_still && sem_wait(&engine.gate) != 0) {
  }
  if (!engine.is_there) {
    return CS_ERR_TRY_AGAIN;
  }
  *handle = 1;
  memcpy(&engine.cpg, data, sizeof engine.cpg);
  engine.cpg_context = context;
  return CS_OK;
}
cs_error_t cpg_finalize(cpg_handle_t handle) {
  (void)handle;
  engine.joined = false;
  (void)sem_post(&engine.left);
  return CS_OK;
}
cs_error_t cpg_fd_get(cpg_handle_t handle, int *fd) {
  (void)handle;
  *fd = engine.cpg_fd;
  return CS_OK;
}
cs_error_t cpg_context_get(cpg_handle_t handle, void **context) {
  (void)handle;
  *context = engine.cpg_context;
  return CS_OK;
}
cs_error_t cpg_local_get(cpg_handle_t handle, unsigned int *node) {
  (void)handle;
  *node = 1;
  return CS_OK;
}
cs_error_t cpg_join(cpg_handle_t handle, const struct cpg_name *group) {
  (void)handle;
  (void)group;
  engine.joins++;
  engine.joined = engine.join == CS_OK;
  return engine.join;
}
cs_error_t cpg_dispatch(cpg_handle_t handle, cs_dispatch_flags_t flags) {
  (void)handle;
  (void)flags;
  return CS_ERR_TRY_AGAIN;
}
cs_error_t cpg_mcast_joined(cpg_handle_t handle, cpg_guarantee_t guarantee, const struct iovec *iov,
                            unsigned int count) {
  size_t size = 0;
  (void)handle;
  assert_int_equal(guarantee, CPG_TYPE_AGREED);
  for (unsigned int i = 0; i < count; i++) {
    size += iov[i].iov_len;
  }
  assert_true(size <= VESTA_GROUP_PART_BYTES);
  engine.parts += engine.send == CS_OK ? 1 : 0;
  return engine.send;
}
cs_error_t quorum_model_initialize(quorum_handle_t *handle, quorum_model_t model, quorum_model_data_t *data,
                                   uint32_t *type, void *context) {
  assert_int_equal(model, QUORUM_MODEL_V1);
  *handle = 2;
  *type = QUORUM_SET;
  memcpy(&engine.quorum, data, sizeof engine.quorum);
  engine.quorum_context = context;
  return CS_OK;
}
cs_error_t quorum_finalize(quorum_handle_t handle) {
  (void)handle;
  (void)sem_post(&engine.left);
  return CS_OK;
}
cs_error_t quorum_fd_get(quorum_handle_t handle, int *fd) {
  (void)handle;
  *fd = engine.quorum_fd;
  return CS_OK;
}
cs_error_t quorum_context_get(quorum_handle_t handle, const void **context) {
  (void)handle;
  *context = engine.quorum_context;
  return CS_OK;
}
cs_error_t quorum_dispatch(quorum_handle_t handle, cs_dispatch_flags_t flags) {
  (void)handle;
  (void)flags;
  return CS_OK;
}
cs_error_t quorum_trackstart(quorum_handle_t handle, unsigned int flags) {
  (void)handle;
  (void)flags;
  return CS_OK;
}
cs_error_t cmap_initialize(cmap_handle_t *handle) {
  *handle = 3;
  while (engine.list_stands_still && sem_wait(&engine.gate) != 0) {
  }
  return engine.is_there ? CS_OK : CS_ERR_TRY_AGAIN;
}
cs_error_t cmap_finalize(cmap_handle_t handle) {
  (void)handle;
  (void)sem_post(&engine.listed);
  return CS_OK;
}
cs_error_t cmap_iter_init(cmap_handle_t handle, const char *prefix, cmap_iter_handle_t *walk) {
  (void)handle;
  (void)prefix;
  *walk = 4;
  engine_key = 0;
  return CS_OK;
}
cs_error_t cmap_iter_next(cmap_handle_t handle, cmap_iter_handle_t walk, char *key, size_t *size,
                          cmap_value_types_t *type) {
  (void)handle;
  (void)walk;
  (void)size;
  (void)type;
  if (engine_key == 2 * engine.nodes) {
    return CS_ERR_NO_SECTIONS;
  }
  (void)sprintf(key, "nodelist.node.%u.%s", engine_key / 2, engine_key % 2 == 0 ? "ring0_addr" : "nodeid");
  engine_key++;
  return CS_OK;
}
cs_error_t cmap_iter_finalize(cmap_handle_t handle, cmap_iter_handle_t walk) {
  (void)handle;
  (void)walk;
  return CS_OK;
}
cs_error_t cmap_get_uint32(cmap_handle_t handle, const char *key, uint32_t *value) {
  unsigned place;
  (void)handle;
  assert_int_equal(sscanf(key, "nodelist.node.%u.nodeid", &place), 1);
  *value = place + 1;
  return CS_OK;
}
cs_error_t cmap_get_string(cmap_handle_t handle, const char *key, char **value) {
  (void)handle;
  (void)key;
  *value = strdup("10.0.0.1");
  return *value == NULL ? CS_ERR_NO_MEMORY : CS_OK;
}

/* What it says. */
static void engine_members(uint32_t count, cpg_reason_t reason) {
  struct cpg_address members[NODES + 1];
  struct cpg_address changed = {.nodeid = count + 1, .pid = 7, .reason = reason};
  struct cpg_name name = {0};
  for (uint32_t i = 0; i < count; i++) {
    members[i] = (struct cpg_address){.nodeid = i + 1, .pid = i == 0 ? (uint32_t)getpid() : 7};
  }
  engine.cpg.cpg_confchg_fn(1, &name, members, count, &changed, 1, NULL, 0);
}

static void engine_ring(uint64_t seq) {
  const uint32_t members[] = {1, 2};
  engine.cpg.cpg_totem_confchg_fn(1, (struct cpg_ring_id){.nodeid = 1, .seq = seq}, 2, members);
}

/* ---- who listens ---- */

static struct {
  uint32_t views, quorums, losts, nodes, delivered, member_count, expected;
  order_ring_t ring;
  bool quorate;
  size_t size;
} heard;
static loop_t *loop;
static group_t *group;

static void hear_view(void *context, order_ring_t ring, const uint32_t *members, uint32_t count) {
  (void)context;
  assert_int_equal(members[0], 1);
  heard.views++;
  heard.ring = ring;
  heard.member_count = count;
}
static void hear_quorum(void *context, order_ring_t ring, bool quorate, uint32_t expected) {
  (void)context;
  (void)ring;
  heard.quorums++;
  heard.quorate = quorate;
  heard.expected = expected;
}
static void hear_delivered(void *context, uint32_t node, vesta_bytes_t message) {
  (void)context;
  assert_int_equal(node, 2);
  heard.delivered++;
  heard.size = message.size;
}
static void hear_lost(void *context) {
  (void)context;
  heard.losts++;
}
static void hear_nodes(void *context) {
  (void)context;
  heard.nodes++;
}

static const group_config_t config = {
    .view = hear_view, .quorum = hear_quorum, .delivered = hear_delivered, .lost = hear_lost, .nodes = hear_nodes};

static int begin(void **state) {
  char why[256];
  (void)state;
  memset(&heard, 0, sizeof heard);
  memset(&engine, 0, sizeof engine);
  engine.is_there = true;
  engine.nodes = NODES;
  engine.join = CS_OK;
  engine.send = CS_OK;
  if (sem_init(&engine.gate, 0, 0) != 0 || sem_init(&engine.left, 0, 0) != 0 || sem_init(&engine.listed, 0, 0) != 0) {
    return 1;
  }
  engine.cpg_fd = eventfd(0, EFD_CLOEXEC);
  engine.quorum_fd = eventfd(0, EFD_CLOEXEC);
  loop = loop_new();
  if (group_open(&config, loop, &group, why, sizeof why) != VESTA_OK) {
    return 1;
  }
  group_start(group);
  return 0;
}

static int end(void **state) {
  (void)state;
  group_close(&group);
  loop_destroy(&loop);
  (void)close(engine.cpg_fd);
  (void)close(engine.quorum_fd);
  (void)sem_destroy(&engine.gate);
  (void)sem_destroy(&engine.left);
  (void)sem_destroy(&engine.listed);
  return 0;
}

/* One turn of the loop, which begins when something is ready. */
static void stop_loop(void *context) {
  (void)context;
  loop_stop(loop);
}
static int64_t never(void *context) {
  (void)context;
  return INT64_MAX;
}

static void loop_once(void) {
  loop_turn_t turn = {.end = stop_loop, .wake_ns = never};
  assert_true(loop_run(loop, &turn));
}

/* What the last turn has begun on another thread comes to its end. */
static void attempt_ends(int64_t now_ns) {
  while (group_wake_ns(group) == INT64_MAX) {
    loop_once();
    group_turn(group, now_ns);
  }
}

static void take(sem_t *sem, int times) {
  for (int i = 0; i < times; i++) {
    while (sem_wait(sem) != 0) {
    }
  }
}

static void quorum_is_told(bool quorate) {
  engine.quorum.quorum_notify_fn(2, quorate ? 1 : 0, (struct quorum_ring_id){.nodeid = 1, .seq = 4}, 0, NULL);
}

static void join(void) {
  group_turn(group, 1);
  engine_members(2, CPG_REASON_JOIN);
  engine_ring(4);
}

/* ---- rules ---- */

static void the_view_waits_for_the_ring_when_nodes_come_or_go(void **state) {
  (void)state;
  group_turn(group, 1);
  assert_true(engine.joined);
  engine_members(2, CPG_REASON_JOIN);
  assert_int_equal(heard.views, 0); /* in which ring? */
  engine_ring(4);
  assert_int_equal(heard.views, 1);
  engine_members(1, CPG_REASON_PROCDOWN);
  assert_int_equal(heard.views, 2); /* the ring stays */
  assert_int_equal(heard.ring.seq, 4);
  engine_members(2, CPG_REASON_NODEUP);
  assert_int_equal(heard.views, 2);
  engine_ring(8);
  assert_int_equal(heard.views, 3);
  assert_int_equal(heard.ring.seq, 8);
  assert_int_equal(heard.member_count, 2);
}

static void quorum_comes_with_the_number_of_nodes_that_are_configured(void **state) {
  (void)state;
  quorum_is_told(true);
  loop_once();
  assert_true(heard.quorate);
  assert_int_equal(heard.expected, NODES);
  assert_int_equal(heard.nodes, 1);
  assert_int_equal(group_node_id(group), 1);
}

static void lost_quorum_is_told_at_once_and_quorum_when_the_nodes_are_known(void **state) {
  (void)state;
  engine.list_stands_still = true;
  quorum_is_told(true);
  quorum_is_told(false);
  assert_int_equal(heard.quorums, 1);
  assert_false(heard.quorate);
  assert_int_equal(heard.expected, NODES);
  quorum_is_told(true);
  group_turn(group, 1);
  assert_true(engine.joined); /* the rest goes on */
  assert_int_equal(heard.quorums, 1);
  (void)sem_post(&engine.gate);
  loop_once(); /* what was asked before says too little: it is asked again */
  assert_int_equal(heard.quorums, 1);
  (void)sem_post(&engine.gate);
  loop_once();
  assert_int_equal(heard.quorums, 2);
  assert_true(heard.quorate);
}

static void quorum_is_told_anew_when_there_are_other_nodes_than_were_known(void **state) {
  (void)state;
  engine.nodes = NODES - 1;
  quorum_is_told(false);
  assert_int_equal(heard.expected, NODES);
  loop_once();
  assert_int_equal(heard.quorums, 2);
  assert_int_equal(heard.expected, NODES - 1);
  assert_int_equal(heard.nodes, 2);
}

static void a_look_that_does_not_come_back_ends_with_the_connection(void **state) {
  (void)state;
  join();
  engine.list_stands_still = true;
  quorum_is_told(true);
  engine.stands_still = true;
  group_rejoin(group);
  group_turn(group, 10);
  for (int i = 0; i < 3; i++) { /* the look, the visit and its list */
    (void)sem_post(&engine.gate);
  }
  attempt_ends(11);
  take(&engine.listed, 3);            /* the first visit's, too */
  assert_int_equal(heard.quorums, 0); /* of a connection that is no more */
}

static void an_engine_that_lets_nobody_join_is_asked_again(void **state) {
  (void)state;
  engine.join = CS_ERR_TRY_AGAIN;
  group_turn(group, 1);
  assert_int_equal(engine.joins, 1);
  group_turn(group, 2);
  assert_int_equal(engine.joins, 1);
  engine.join = CS_OK;
  group_turn(group, group_wake_ns(group));
  assert_int_equal(engine.joins, 2);
  assert_int_equal(group_wake_ns(group), INT64_MAX);
}

static void what_the_engine_does_not_take_now_waits_in_its_order(void **state) {
  (void)state;
  static const uint8_t bytes[200000];
  join();
  engine.send = CS_ERR_TRY_AGAIN;
  group_multicast(group, vesta_bytes(bytes, sizeof bytes));
  group_turn(group, 10);
  assert_int_equal(group_counter(group, GROUP_COUNTER_GROUP_WAITING_BYTES), sizeof bytes);
  engine.send = CS_OK;
  group_turn(group, group_wake_ns(group));
  assert_int_equal(engine.parts, 4);
  assert_int_equal(group_counter(group, GROUP_COUNTER_GROUP_WAITING_BYTES), 0);
}

static void a_view_drops_what_waits(void **state) {
  (void)state;
  join();
  group_multicast(group, vesta_bytes("old", 3));
  engine_members(1, CPG_REASON_LEAVE);
  group_turn(group, 10);
  assert_int_equal(engine.parts, 0);
}

static void messages_wait_up_to_the_limit_and_one_more_makes_the_node_fall_out(void **state) {
  (void)state;
  static const uint8_t bytes[VESTA_FRAME_HEAD_BYTES_MAX];
  join();
  engine.send = CS_ERR_TRY_AGAIN;
  for (uint64_t i = 0; i < VESTA_GROUP_QUEUE_BYTES_MAX / sizeof bytes; i++) {
    group_multicast(group, vesta_bytes(bytes, sizeof bytes));
  }
  group_turn(group, 10);
  assert_int_equal(heard.losts, 0);
  group_multicast(group, vesta_bytes(bytes, 1));
  assert_int_equal(heard.losts, 0); /* never from within a call */
  group_turn(group, 11);
  assert_int_equal(heard.losts, 1);
  assert_int_equal(group_counter(group, GROUP_COUNTER_GROUP_FULL), 1);
}

static void without_its_engine_a_node_is_alone_until_it_is_back(void **state) {
  (void)state;
  join();
  engine.send = CS_ERR_LIBRARY;
  engine.is_there = false;
  group_multicast(group, vesta_bytes("x", 1));
  group_turn(group, 10);
  assert_int_equal(heard.views, 2);
  assert_int_equal(heard.member_count, 1);
  assert_int_not_equal(heard.ring.seq, 4);
  assert_false(heard.quorate);
  assert_int_equal(heard.expected, NODES);
  int64_t now_ns = 10;
  for (int i = 0; i < 10; i++) {
    int64_t wake_ns = group_wake_ns(group);
    assert_true(wake_ns > now_ns && wake_ns <= now_ns + GROUP_RETRY_NS_MAX);
    now_ns = wake_ns;
    group_turn(group, now_ns);
    attempt_ends(now_ns);
  }
  assert_int_equal(heard.views, 2); /* said once */
  engine.is_there = true;
  engine.send = CS_OK;
  now_ns = group_wake_ns(group);
  group_turn(group, now_ns);
  attempt_ends(now_ns);
  group_turn(group, group_wake_ns(group));
  engine_members(2, CPG_REASON_JOIN);
  engine_ring(12);
  assert_int_equal(heard.views, 3);
  assert_int_equal(heard.ring.seq, 12);
}

static void an_engine_that_stands_still_keeps_nobody_waiting(void **state) {
  (void)state;
  join();
  engine.stands_still = true;
  group_rejoin(group);
  group_turn(group, 10);
  group_status_t status;
  group_status(group, &status);
  assert_false(status.reached);
  assert_int_equal(group_wake_ns(group), INT64_MAX); /* a descriptor says when it has come back */
  group_rejoin(group);
  group_turn(group, 11); /* and nobody asks a second time meanwhile */
  group_status(group, &status);
  assert_false(status.reached);
  assert_int_equal(sem_post(&engine.gate), 0);
  attempt_ends(12);
  group_status(group, &status);
  assert_true(status.reached);
  assert_int_equal(engine.visits, 2);
  group_turn(group, group_wake_ns(group));
  assert_true(engine.joined);
}

static void what_a_visit_got_that_nobody_waits_for_is_let_go_of(void **state) {
  (void)state;
  join();
  engine.stands_still = true;
  group_rejoin(group);
  group_turn(group, 10);
  take(&engine.left, 2); /* cpg and quorum */
  group_close(&group);
  assert_int_equal(sem_post(&engine.gate), 0);
  take(&engine.left, 2); /* cpg and quorum */
}

static void to_rejoin_is_to_come_anew(void **state) {
  (void)state;
  join();
  group_rejoin(group);
  group_turn(group, group_wake_ns(group));
  attempt_ends(1);
  group_turn(group, group_wake_ns(group));
  assert_int_equal(engine.joins, 2);
  group_multicast(group, vesta_bytes("x", 1)); /* in no view */
  assert_int_equal(group_counter(group, GROUP_COUNTER_GROUP_DROPPED), 1);
  engine_members(2, CPG_REASON_JOIN);
  engine_ring(4);
  assert_int_equal(heard.views, 2);
}

static void messages_are_delivered_whole_and_what_is_none_makes_the_node_fall_out(void **state) {
  (void)state;
  uint8_t part[GROUP_PART_HEAD_BYTES + 5] = {0};
  struct cpg_name name = {0};
  join();
  group_part_head(part, 5, 0);
  engine.cpg.cpg_deliver_fn(1, &name, 2, 7, part, sizeof part);
  assert_int_equal(heard.delivered, 1);
  assert_int_equal(heard.size, 5);
  engine.cpg.cpg_deliver_fn(1, &name, 2, 7, part, 4);
  assert_int_equal(heard.losts, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(the_view_waits_for_the_ring_when_nodes_come_or_go, begin, end),
      cmocka_unit_test_setup_teardown(quorum_comes_with_the_number_of_nodes_that_are_configured, begin, end),
      cmocka_unit_test_setup_teardown(lost_quorum_is_told_at_once_and_quorum_when_the_nodes_are_known, begin, end),
      cmocka_unit_test_setup_teardown(quorum_is_told_anew_when_there_are_other_nodes_than_were_known, begin, end),
      cmocka_unit_test_setup_teardown(a_look_that_does_not_come_back_ends_with_the_connection, begin, end),
      cmocka_unit_test_setup_teardown(an_engine_that_lets_nobody_join_is_asked_again, begin, end),
      cmocka_unit_test_setup_teardown(what_the_engine_does_not_take_now_waits_in_its_order, begin, end),
      cmocka_unit_test_setup_teardown(a_view_drops_what_waits, begin, end),
      cmocka_unit_test_setup_teardown(messages_wait_up_to_the_limit_and_one_more_makes_the_node_fall_out, begin, end),
      cmocka_unit_test_setup_teardown(without_its_engine_a_node_is_alone_until_it_is_back, begin, end),
      cmocka_unit_test_setup_teardown(an_engine_that_stands_still_keeps_nobody_waiting, begin, end),
      cmocka_unit_test_setup_teardown(what_a_visit_got_that_nobody_waits_for_is_let_go_of, begin, end),
      cmocka_unit_test_setup_teardown(to_rejoin_is_to_come_anew, begin, end),
      cmocka_unit_test_setup_teardown(messages_are_delivered_whole_and_what_is_none_makes_the_node_fall_out, begin,
                                      end),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
