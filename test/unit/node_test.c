/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The node director's rules, one by one, in the world of node_world.h.
 */
#include "test/unit/node_world.h"

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
  world_event(world, (node_event_t){.kind = NODE_EVENT_REQUEST,
                                    .link = next_link++,
                                    .message = &hello,
                                    .pid = 101,
                                    .uid = 1,
                                    .start = 5,
                                    .watched = true});
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
  wire_message_t change = {
      .kind = WIRE_CHANGE, .handle = handle, .elements = &element, .element_count = 1, .number = 90};
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
  wire_element_t element = {
      .kind = VESTA_KIND_CREATED, .id = vesta_bytes("s", 1), .expiry_ns = world->now_ns + SECOND_NS};
  wire_message_t change = {.kind = WIRE_CHANGE, .handle = handle, .elements = &element, .element_count = 1};
  assert_int_equal(client_ask(&a, change, NULL)->error, VESTA_OK);
  world->now_ns += SECOND_NS; /* no TIME event */
  assert_int_equal(client_change(&a, handle, VESTA_KIND_WRITTEN, "s", "x"), VESTA_ERR_NOT_EXIST);
  element.expiry_ns = VESTA_TIME_END;
  assert_int_equal(client_ask(&a, change, NULL)->error, VESTA_OK);
  assert_int_equal(node_counter(world->node, NODE_COUNTER_EXPIRED), 1);
}

/* ---- groups ---- */

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
