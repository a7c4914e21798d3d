/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Changes that are answered when members have applied them: core/node_applied.c, in the world of node_world.h.
 */
#include "test/unit/node_world.h"

/* A group of three: a is active and writes, b and c stand by. */
typedef struct trio {
  world_t *world;
  client_t a, b, c;
  uint64_t ha, hb, hc;
  vesta_pos_t written; /* by the last change that was made */
} trio_t;

static uint64_t committed_seq(const trio_t *trio) {
  replica_status_t status;
  replica_status(node_replica(trio->world->node, 1), &status);
  return status.committed.seq;
}

static vesta_pos_t committed(const trio_t *trio) {
  replica_status_t status;
  replica_status(node_replica(trio->world->node, 1), &status);
  return status.committed;
}

static void trio_open(trio_t *trio, world_t *world) {
  *trio = (trio_t){.world = world};
  pair_new(world, &trio->a, &trio->ha, &trio->b, &trio->hb);
  trio->c = client_new(world);
  trio->hc = client_open(&trio->c, "x");
  assert_int_equal(client_join(&trio->c, trio->hc, 0)->state, 0);
  client_synced(&trio->c, trio->hc);
  assert_int_equal(client_change(&trio->a, trio->ha, VESTA_KIND_CREATED, "s", "0"), VESTA_OK);
}

static wire_message_t awaited(const wire_element_t *element, uint64_t handle, uint64_t count) {
  return (wire_message_t){.kind = WIRE_CHANGE,
                          .handle = handle,
                          .elements = element,
                          .element_count = 1,
                          .count = count,
                          .flags = WIRE_CHANGE_ANY_NODE,
                          .timeout_ns = SECOND_NS};
}

static const wire_element_t overwrite_s = {.kind = VESTA_KIND_OVERWRITTEN, .id = {(const uint8_t *)"s", 1}, .size = 1};

/* A change that waits: its number. */
static uint64_t write_awaited(trio_t *trio, uint64_t count) {
  uint64_t before = committed_seq(trio);
  assert_null(client_ask(&trio->a, awaited(&overwrite_s, trio->ha, count), "x"));
  assert_int_equal(committed_seq(trio), before + 1);
  assert_true(trio->world->published_awaited);
  trio->written = committed(trio);
  return trio->a.number;
}

static vesta_err_t write_refused(trio_t *trio, wire_message_t message) {
  uint64_t before = committed_seq(trio);
  const wire_message_t *reply = client_ask(&trio->a, message, "x");
  assert_non_null(reply);
  assert_int_equal(committed_seq(trio), before);
  return (vesta_err_t)reply->error;
}

static void report(client_t *member, uint64_t handle, vesta_pos_t applied, uint64_t state) {
  wire_message_t progress = {.kind = WIRE_PROGRESS, .handle = handle, .state = state};
  wire_pos_set(&progress, applied);
  assert_null(client_ask(member, progress, NULL));
}

/* The answer to that number among those of the last event; NULL: it was not answered then. */
static const wire_message_t *answer_to(const trio_t *trio, uint64_t number) {
  for (uint32_t i = 0; i < trio->world->answer_count; i++) {
    const world_answer_t *answer = &trio->world->answers[i];
    if (answer->link == trio->a.link && answer->message.number == number) {
      return &answer->message;
    }
  }
  return NULL;
}

static void assert_done(const trio_t *trio, uint64_t number, vesta_pos_t position) {
  const wire_message_t *reply = answer_to(trio, number);
  assert_non_null(reply);
  assert_int_equal(reply->error, VESTA_OK);
  assert_true(vesta_pos_equal(wire_pos(reply), position));
}

/* ---- the rules ---- */

static void it_is_answered_by_the_report_that_reaches_it(void **state) {
  trio_t trio;
  trio_open(&trio, *state);
  vesta_pos_t before = committed(&trio);
  uint64_t number = write_awaited(&trio, 1);
  report(&trio.b, trio.hb, before, WIRE_PROGRESS_SYNCED);
  assert_null(answer_to(&trio, number));
  report(&trio.b, trio.hb, trio.written, WIRE_PROGRESS_SYNCED);
  assert_done(&trio, number, trio.written);
  assert_int_equal(node_counter(trio.world->node, NODE_COUNTER_APPLIED_WAITS), 1);
}

static void as_many_members_must_report_as_were_asked_for(void **state) {
  trio_t trio;
  trio_open(&trio, *state);
  uint64_t number = write_awaited(&trio, 2);
  report(&trio.b, trio.hb, trio.written, WIRE_PROGRESS_SYNCED);
  report(&trio.b, trio.hb, trio.written, WIRE_PROGRESS_SYNCED);
  assert_null(answer_to(&trio, number));
  report(&trio.c, trio.hc, trio.written, WIRE_PROGRESS_NOT_SYNCED); /* applied is applied */
  assert_done(&trio, number, trio.written);
}

static void one_report_answers_all_that_it_reaches_each_with_its_own_position(void **state) {
  trio_t trio;
  trio_open(&trio, *state);
  uint64_t numbers[3];
  vesta_pos_t positions[3];
  for (int i = 0; i < 3; i++) {
    numbers[i] = write_awaited(&trio, 1);
    positions[i] = trio.written;
  }
  report(&trio.b, trio.hb, positions[1], WIRE_PROGRESS_SYNCED);
  assert_done(&trio, numbers[0], positions[0]);
  assert_done(&trio, numbers[1], positions[1]);
  assert_null(answer_to(&trio, numbers[2]));
  report(&trio.b, trio.hb, positions[2], WIRE_PROGRESS_SYNCED);
  assert_done(&trio, numbers[2], positions[2]);
}

static void one_that_asks_for_less_is_not_kept_by_one_before_it_that_asks_for_more(void **state) {
  trio_t trio;
  trio_open(&trio, *state);
  uint64_t two = write_awaited(&trio, 2);
  vesta_pos_t position_of_two = trio.written;
  uint64_t one = write_awaited(&trio, 1);
  report(&trio.b, trio.hb, trio.written, WIRE_PROGRESS_SYNCED);
  assert_done(&trio, one, trio.written);
  assert_null(answer_to(&trio, two));
  uint64_t last = write_awaited(&trio, 1); /* behind the one that is left */
  report(&trio.c, trio.hc, trio.written, WIRE_PROGRESS_SYNCED);
  assert_done(&trio, two, position_of_two);
  assert_done(&trio, last, trio.written);
}

static void a_report_of_another_history_or_of_no_position_counts_for_nothing(void **state) {
  trio_t trio;
  trio_open(&trio, *state);
  uint64_t number = write_awaited(&trio, 1);
  vesta_pos_t wrong[] = {trio.written, trio.written, trio.written};
  wrong[0].lineage++;
  wrong[1].epoch++;
  wrong[2].seq++;
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    report(&trio.b, trio.hb, wrong[i], WIRE_PROGRESS_SYNCED);
    assert_null(answer_to(&trio, number));
  }
  report(&trio.b, trio.hb, trio.written, WIRE_PROGRESS_ALIVE);
  assert_null(answer_to(&trio, number));
}

static void the_writer_itself_and_strangers_do_not_count(void **state) {
  trio_t trio;
  trio_open(&trio, *state);
  client_t stranger = client_new(*state);
  uint64_t handle = client_open(&stranger, "x");
  uint64_t number = write_awaited(&trio, 1);
  report(&trio.a, trio.ha, trio.written, WIRE_PROGRESS_SYNCED);
  report(&stranger, handle, trio.written, WIRE_PROGRESS_SYNCED);
  assert_null(answer_to(&trio, number));
}

static void when_time_is_up_it_is_answered_timeout_and_is_written(void **state) {
  trio_t trio;
  trio_open(&trio, *state);
  uint64_t first = write_awaited(&trio, 1);
  trio.world->now_ns += SECOND_NS / 2;
  uint64_t second = write_awaited(&trio, 1);
  trio.world->answer_count = 0;
  world_time(trio.world, SECOND_NS / 2);
  assert_int_equal(answer_to(&trio, first)->error, VESTA_ERR_TIMEOUT);
  assert_null(answer_to(&trio, second));
  world_time(trio.world, SECOND_NS / 2);
  assert_int_equal(answer_to(&trio, second)->error, VESTA_ERR_TIMEOUT);
  assert_int_equal(node_counter(trio.world->node, NODE_COUNTER_APPLIED_LATE), 2);
  assert_reads(&trio.b, trio.hb, "s", "x");
}

static void what_can_not_be_waited_for_is_not_written(void **state) {
  trio_t trio;
  trio_open(&trio, *state);
  wire_message_t message = awaited(&overwrite_s, trio.ha, 3);
  assert_int_equal(write_refused(&trio, message), VESTA_ERR_TRY_AGAIN); /* there are two others */
  message.count = VESTA_GROUP_MEMBERS_MAX;
  assert_int_equal(write_refused(&trio, message), VESTA_ERR_INVALID_PARAM);
  message.count = 1;
  message.timeout_ns = 0;
  assert_int_equal(write_refused(&trio, message), VESTA_ERR_INVALID_PARAM);
  message.timeout_ns = SECOND_NS;
  message.flags = 0;
  assert_int_equal(write_refused(&trio, message), VESTA_ERR_NOT_SUPPORTED);
  assert_int_equal(node_counter(trio.world->node, NODE_COUNTER_APPLIED_WAITS), 0);
}

static void the_active_is_not_among_those_who_may_apply(void **state) {
  world_t *world = *state;
  client_t a = client_new(world), b = client_new(world);
  uint64_t ha = client_open(&a, "x"), hb = client_open(&b, "x");
  const wire_message_t join = {.kind = WIRE_JOIN, .handle = ha, .text = vesta_bytes("m", 1), .timeout_ns = SECOND_NS};
  assert_int_equal(client_ask(&a, join, NULL)->error, VESTA_OK); /* unfenced */
  const wire_message_t *grant = client_join(&a, ha, 0);
  assert_int_equal(client_confirm(&a, ha, grant->epoch, grant->seq), VESTA_OK);
  assert_int_equal(client_change(&b, hb, VESTA_KIND_CREATED, "s", "0"), VESTA_OK); /* from outside of the group */
  assert_int_equal(client_ask(&b, awaited(&overwrite_s, hb, 1), "x")->error, VESTA_ERR_TRY_AGAIN);
}

static void a_change_that_is_refused_leaves_nothing_waiting(void **state) {
  trio_t trio;
  trio_open(&trio, *state);
  wire_element_t missing = overwrite_s;
  missing.id = vesta_bytes("t", 1);
  assert_int_equal(write_refused(&trio, awaited(&missing, trio.ha, 1)), VESTA_ERR_NOT_EXIST);
  assert_int_equal(trio.world->answers[0].message.element, 0);
  world_time(trio.world, 2 * SECOND_NS);
  assert_int_equal(node_counter(trio.world->node, NODE_COUNTER_APPLIED_LATE), 0);
}

static void as_many_as_the_limit_wait_and_one_more_is_refused(void **state) {
  trio_t trio;
  trio_open(&trio, *state);
  for (uint32_t i = 0; i < VESTA_APPLIED_WAITS_MAX - 1; i++) {
    (void)write_awaited(&trio, 1);
  }
  wire_message_t again = awaited(&overwrite_s, trio.ha, 1);
  again.timeout_ns = 1;
  assert_null(client_ask(&trio.a, again, "x"));
  again.number = trio.a.number;
  assert_int_equal(write_refused(&trio, awaited(&overwrite_s, trio.ha, 1)), VESTA_ERR_NO_RESOURCES);
  assert_int_equal(node_counter(trio.world->node, NODE_COUNTER_APPLIED_REFUSED), 1);
  trio.world->answer_count = 0;
  world_time(trio.world, 1);
  assert_int_equal(answer_to(&trio, again.number)->error, VESTA_ERR_TIMEOUT);
  (void)write_awaited(&trio, 1); /* in its place */
  /* It is written, and there is no place where it could wait again: whether it was applied can't be told. */
  assert_int_equal(client_ask(&trio.a, again, "x")->error, VESTA_ERR_TIMEOUT);
  world_event(trio.world, (node_event_t){.kind = NODE_EVENT_PROCESS_GONE, .session = trio.a.token});
  assert_int_equal(client_join(&trio.b, trio.hb, 0)->state, 1);
  trio.a = trio.b;
  trio.ha = trio.hb;
  const wire_message_t *grant = client_join(&trio.b, trio.hb, 0);
  assert_int_equal(client_confirm(&trio.b, trio.hb, grant->epoch, grant->seq), VESTA_OK);
  (void)write_awaited(&trio, 1); /* the places of the dead writer are free */
}

static void one_that_asks_again_waits_once_and_is_answered_on_its_new_link(void **state) {
  trio_t trio;
  trio_open(&trio, *state);
  uint64_t number = write_awaited(&trio, 1);
  vesta_pos_t written = trio.written;
  world_event(trio.world, (node_event_t){.kind = NODE_EVENT_LINK_GONE, .link = trio.a.link});
  client_resume(&trio.a);
  wire_message_t again = awaited(&overwrite_s, trio.ha, 1);
  again.number = number;
  assert_null(client_ask(&trio.a, again, "x"));
  assert_int_equal(committed_seq(&trio), written.seq);
  report(&trio.b, trio.hb, written, WIRE_PROGRESS_SYNCED);
  assert_done(&trio, number, written);
  assert_int_equal(trio.world->answer_count, 1);
  assert_done(&trio, (client_ask(&trio.a, again, "x"), number), written); /* known to be applied: at once */
}

static void after_a_restart_it_waits_anew_for_reports_that_come_anew(void **state) {
  trio_t trio;
  trio_open(&trio, *state);
  uint64_t number = write_awaited(&trio, 1);
  report(&trio.c, trio.hc, (vesta_pos_t){0}, WIRE_PROGRESS_SYNCED);
  world_restart(trio.world);
  client_resume(&trio.a);
  client_resume(&trio.b);
  wire_message_t again = awaited(&overwrite_s, trio.ha, 1);
  again.number = number;
  assert_null(client_ask(&trio.a, again, "x"));
  assert_int_equal(committed_seq(&trio), trio.written.seq);
  report(&trio.b, trio.hb, trio.written, WIRE_PROGRESS_SYNCED);
  assert_done(&trio, number, trio.written);
}

static void an_answer_that_finds_no_link_is_given_when_its_session_is_back(void **state) {
  trio_t trio;
  trio_open(&trio, *state);
  uint64_t number = write_awaited(&trio, 1);
  world_event(trio.world, (node_event_t){.kind = NODE_EVENT_LINK_GONE, .link = trio.a.link});
  report(&trio.b, trio.hb, trio.written, WIRE_PROGRESS_SYNCED);
  client_resume(&trio.a);
  wire_message_t again = awaited(&overwrite_s, trio.ha, 1);
  again.number = number;
  (void)client_ask(&trio.a, again, "x");
  assert_done(&trio, number, trio.written);
}

/* The writer is fenced meanwhile. Its successor confirms that it has everything before its barrier: that is a report. */
static void a_successor_that_confirms_has_applied_it(void **state) {
  trio_t trio;
  trio_open(&trio, *state);
  uint64_t number = write_awaited(&trio, 1);
  assert_int_equal(client_simple(&trio.a, WIRE_RESIGN, trio.ha), VESTA_OK);
  const wire_message_t *grant = client_join(&trio.b, trio.hb, 0);
  assert_int_equal(grant->state, 1);
  assert_int_equal(client_confirm(&trio.b, trio.hb, grant->epoch, grant->seq), VESTA_OK);
  assert_done(&trio, number, trio.written);
}

static void when_the_checkpoint_goes_whoever_waits_is_told(void **state) {
  world_t *world = *state;
  trio_t trio;
  trio_open(&trio, world);
  assert_int_equal(client_unlink(&trio.a, "x"), VESTA_OK);
  uint64_t number = write_awaited(&trio, 1);
  assert_int_equal(client_simple(&trio.b, WIRE_CLOSE, trio.hb), VESTA_OK);
  assert_int_equal(client_simple(&trio.c, WIRE_CLOSE, trio.hc), VESTA_OK);
  assert_int_equal(client_simple(&trio.a, WIRE_CLOSE, trio.ha), VESTA_OK); /* by another thread of the writer */
  assert_int_equal(world->removed, 1);
  assert_int_equal(answer_to(&trio, number)->error, VESTA_ERR_TIMEOUT);
}

static void who_has_what_was_confirmed_is_promoted_before_a_higher_priority(void **state) {
  trio_t trio;
  trio_open(&trio, *state);
  client_t d = client_new(*state);
  uint64_t hd = client_open(&d, "x");
  (void)client_join(&d, hd, 9);
  report(&d, hd, committed(&trio), WIRE_PROGRESS_SYNCED);
  uint64_t number = write_awaited(&trio, 1);
  report(&trio.c, trio.hc, trio.written, WIRE_PROGRESS_SYNCED);
  assert_done(&trio, number, trio.written);
  world_event(trio.world, (node_event_t){.kind = NODE_EVENT_PROCESS_GONE, .session = trio.a.token});
  assert_int_equal(client_join(&trio.c, trio.hc, 0)->state, 1);
}

/* ---- conditions ---- */

static void a_condition_goes_with_the_request(void **state) {
  trio_t trio;
  trio_open(&trio, *state);
  vesta_pos_t since = committed(&trio);
  wire_message_t message = {.kind = WIRE_CHANGE,
                            .handle = trio.ha,
                            .elements = &overwrite_s,
                            .element_count = 1,
                            .from_lineage = since.lineage,
                            .from_epoch = since.epoch,
                            .from_seq = since.seq};
  const wire_message_t *reply = client_ask(&trio.a, message, "x");
  assert_int_equal(reply->error, VESTA_OK);
  vesta_pos_t position = wire_pos(reply);
  assert_true(vesta_pos_equal(position, committed(&trio)));
  assert_int_equal(write_refused(&trio, message), VESTA_ERR_CHANGED);
  message.number = trio.a.number - 1; /* the first one again: it was done */
  reply = client_ask(&trio.a, message, "x");
  assert_int_equal(reply->error, VESTA_OK);
  assert_true(vesta_pos_equal(wire_pos(reply), position));
}

int main(void) {
#define RULE(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
  const struct CMUnitTest tests[] = {
      RULE(it_is_answered_by_the_report_that_reaches_it),
      RULE(as_many_members_must_report_as_were_asked_for),
      RULE(one_report_answers_all_that_it_reaches_each_with_its_own_position),
      RULE(one_that_asks_for_less_is_not_kept_by_one_before_it_that_asks_for_more),
      RULE(a_report_of_another_history_or_of_no_position_counts_for_nothing),
      RULE(the_writer_itself_and_strangers_do_not_count),
      RULE(when_time_is_up_it_is_answered_timeout_and_is_written),
      RULE(what_can_not_be_waited_for_is_not_written),
      RULE(the_active_is_not_among_those_who_may_apply),
      RULE(a_change_that_is_refused_leaves_nothing_waiting),
      RULE(as_many_as_the_limit_wait_and_one_more_is_refused),
      RULE(one_that_asks_again_waits_once_and_is_answered_on_its_new_link),
      RULE(after_a_restart_it_waits_anew_for_reports_that_come_anew),
      RULE(an_answer_that_finds_no_link_is_given_when_its_session_is_back),
      RULE(a_successor_that_confirms_has_applied_it),
      RULE(when_the_checkpoint_goes_whoever_waits_is_told),
      RULE(who_has_what_was_confirmed_is_promoted_before_a_higher_priority),
      RULE(a_condition_goes_with_the_request),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
