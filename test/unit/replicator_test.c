/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Replicas kept in step, one rule after the other. replicator_random_test.c has random histories.
 */
#include "test/unit/replicator_world.h"

static uint8_t noise[(1U << 20) + 256];
static world_t w;

static replica_element_t overwrite_large(const char *id, uint64_t size, uint32_t from) {
  return overwrite_bytes(id, noise + from, size);
}

static bool reads(uint32_t member, const char *id, const char *data) {
  replica_section_t s;
  return replica_find(member_of(&w, member)->replica, text(id), INT64_MIN, &s) && !s.corrupted &&
         vesta_bytes_equal(vesta_bytes(s.data, s.size), text(data));
}

static replica_status_t status_of(uint32_t member) {
  replica_status_t status;
  replica_status(member_of(&w, member)->replica, &status);
  return status;
}

/* ---- the log ---- */

static void an_operation_is_committed_when_every_required_copy_has_it(void **state) {
  (void)state;
  world_open(&w, 40, 1000, 3);
  must_lead(&w, 1, 1, true, 3, 4);
  keep_back(&w, 2, 1, true);
  uint64_t request = must_propose(&w, 1, ELEMENTS(create("a", "1")));
  world_settle(&w);
  assert_int_equal(w.outcomes[request], PENDING); /* member 3 has it, and is not waited for */
  assert_int_equal(status_of(2).prepared_seq, 1);
  assert_int_equal(status_of(2).committed.seq, 0);
  assert_true(replicator_in_flight(member_of(&w, 1)->replicator, session_of(1 + request % 8), request));
  assert_false(replicator_everywhere(member_of(&w, 1)->replicator, 1));
  keep_back(&w, 2, 1, false);
  world_settle(&w);
  assert_int_equal(w.outcomes[request], COMMITTED);
  assert_true(replicator_everywhere(member_of(&w, 1)->replicator, 1));
  all_are_equal(&w, 1); /* they learn that it is committed with nothing else going on */
  world_close(&w);
}

static void an_asynchronous_primary_commits_at_once_and_copies_follow(void **state) {
  (void)state;
  world_open(&w, 40, 1000, 3);
  must_lead(&w, 1, 1, false, 7, 0);
  keep_back(&w, 1, 2, true);
  uint64_t request = must_propose(&w, 1, ELEMENTS(create("a", "1")));
  assert_int_equal(w.outcomes[request], COMMITTED);
  assert_false(replicator_everywhere(member_of(&w, 1)->replicator, 1));
  keep_back(&w, 1, 2, false);
  world_settle(&w);
  assert_true(replicator_everywhere(member_of(&w, 1)->replicator, 1));
  all_are_equal(&w, 1);
  world_close(&w);
}

static void many_operations_go_out_together_and_arrive_in_order(void **state) {
  (void)state;
  world_open(&w, 100, 1000, 2);
  must_lead(&w, 1, 1, true, 3, 0);
  char ids[30][16];
  for (int i = 0; i < 30; i++) {
    uint64_t request = 0;
    snprintf(ids[i], sizeof ids[i], "x%d", i);
    assert_int_equal(propose(&w, 1, ELEMENTS(create(ids[i], "data"), create("", "")), &request), VESTA_OK);
  }
  member_flush(member_of(&w, 1));
  assert_int_equal(w.links[0][1].count, 1);
  world_settle(&w);
  assert_int_equal(status_of(2).section_count, 60);
  members_are_equal(&w, 1, 2);
  world_close(&w);
}

static void no_more_is_sent_than_the_window_until_it_is_acknowledged(void **state) {
  (void)state;
  world_open(&w, 40, 1U << 20, 2);
  must_lead(&w, 1, 1, true, 3, 0);
  must_propose(&w, 1, ELEMENTS(create("a", ""), create("b", "")));
  world_settle(&w);
  keep_back(&w, 2, 1, true);
  char ids[40][12];
  uint64_t request = 0;
  for (int i = 0; i < 20; i++) {
    snprintf(ids[i], sizeof ids[i], "%d", i);
    replica_element_t element = create(ids[i], "");
    element.data = vesta_bytes(noise, 1U << 20);
    vesta_err_t err = propose(&w, 1, &element, 1, &request);
    assert_true(err == VESTA_OK || err == VESTA_ERR_TRY_AGAIN);
    member_flush(member_of(&w, 1));
    assert_true(w.links[0][1].bytes <= REPLICATOR_WINDOW_BYTES + (1U << 20));
  }
  keep_back(&w, 2, 1, false);
  world_settle(&w);
  members_are_equal(&w, 1, 2);
  world_close(&w);
}

static void small_operations_fill_the_window_too(void **state) {
  (void)state;
  world_open(&w, 2, 100, 2);
  must_lead(&w, 1, 1, false, 3, 0);
  must_propose(&w, 1, ELEMENTS(create("a", "")));
  world_settle(&w);
  keep_back(&w, 2, 1, true);
  uint64_t elements = 0;
  for (int i = 0; i < 10000; i++) {
    must_propose(&w, 1, ELEMENTS(expiry_set("a", INT64_MAX - 1 - i)));
  }
  for (const letter_t *letter = w.links[0][1].first; letter != NULL; letter = letter->next) {
    elements += letter->message.element_count;
  }
  assert_true(elements >= 2 * 9000 && elements * 64 < REPLICATOR_WINDOW_BYTES + (1U << 20));
  keep_back(&w, 2, 1, false);
  world_settle(&w);
  members_are_equal(&w, 1, 2);
  world_close(&w);
}

/* ---- what a copy can't take ---- */

static void
a_refused_operation_is_dropped_by_all_before_its_caller_hears_and_those_behind_it_are_made_again(void **state) {
  (void)state;
  world_open(&w, 40, 90000, 3);
  must_lead(&w, 1, 1, true, 7, 0);
  must_propose(&w, 1, ELEMENTS(create("a", ""), create("b", "")));
  world_settle(&w);
  keep_back(&w, 1, 2, true);
  uint64_t bad = must_propose(&w, 1, ELEMENTS(overwrite_large("a", 90000, 0)));
  uint64_t behind = must_propose(&w, 1, ELEMENTS(write_at("b", 0, "x")));
  uint64_t generates = must_propose(&w, 1, ELEMENTS(create("", "y")));
  world_settle(&w);
  assert_int_equal(status_of(3).prepared_seq, 4);
  member_of(&w, 2)->full = true;
  keep_back(&w, 3, 1, true); /* member 3 drops it, and can't say so */
  keep_back(&w, 1, 2, false);
  world_settle(&w);
  assert_int_equal(status_of(3).prepared_seq, 1);
  assert_int_equal(w.outcomes[bad], PENDING);
  uint64_t request = 0;
  assert_int_equal(propose(&w, 1, ELEMENTS(write_at("b", 0, "z")), &request), VESTA_ERR_TRY_AGAIN);
  assert_true(replicator_in_flight(member_of(&w, 1)->replicator, session_of(1 + behind % 8), behind));
  member_of(&w, 2)->full = false;
  keep_back(&w, 3, 1, false);
  world_settle(&w);
  assert_int_equal(w.outcomes[bad], REFUSED);
  assert_int_equal(w.refused_with, VESTA_ERR_NO_SPACE);
  assert_int_equal(w.outcomes[behind], COMMITTED);
  assert_int_equal(w.outcomes[generates], COMMITTED);
  assert_true(reads(3, "a", "") && reads(3, "b", "x"));
  all_are_equal(&w, 1);
  world_close(&w);
}

static void a_cut_outlives_a_new_epoch_of_the_same_primary(void **state) {
  (void)state;
  world_open(&w, 40, 90000, 3);
  must_lead(&w, 1, 1, true, 7, 0);
  must_propose(&w, 1, ELEMENTS(create("a", ""), create("b", "")));
  world_settle(&w);
  uint64_t bad = must_propose(&w, 1, ELEMENTS(overwrite_large("a", 90000, 0)));
  uint64_t behind = must_propose(&w, 1, ELEMENTS(write_at("b", 0, "x")));
  member_of(&w, 2)->full = true;
  keep_back(&w, 3, 1, true);
  world_settle(&w);
  assert_int_equal(w.outcomes[bad], PENDING);
  member_of(&w, 2)->full = false;
  replicator_config_t config = config_of(2, 1, true, 7, 0);
  world_configure(&w, &config);
  assert_int_equal(w.outcomes[bad], PENDING);
  keep_back(&w, 3, 1, false);
  world_wait(&w, SECOND);
  assert_int_equal(w.outcomes[bad], REFUSED);
  assert_int_equal(w.outcomes[behind], COMMITTED);
  assert_int_equal(begin_epoch(&w, 1, 2), VESTA_OK);
  world_settle(&w);
  all_are_equal(&w, 1);
  world_close(&w);
}

static void who_can_not_take_an_operation_of_the_primary_itself_is_told_of(void **state) {
  (void)state;
  world_open(&w, 40, 1000, 3);
  member_of(&w, 2)->full = true;
  replicator_config_t config = config_of(2, 1, true, 7, 0);
  world_configure(&w, &config);
  assert_int_equal(begin_epoch(&w, 1, 2), VESTA_OK);
  world_settle(&w);
  assert_int_equal(member_of(&w, 1)->failed, 1);
  assert_false(replicator_serves(member_of(&w, 1)->replicator));
  config = config_of(2, 1, true, 5, 2); /* so it is taken out */
  world_configure(&w, &config);
  assert_true(replicator_serves(member_of(&w, 1)->replicator));
  member_of(&w, 2)->full = false;
  world_wait(&w, SECOND);
  all_are_equal(&w, 1);
  world_close(&w);
}

/* ---- who is where ---- */

static void a_new_primary_commits_what_it_has_prepared_when_the_others_have_it(void **state) {
  (void)state;
  world_open(&w, 40, 1000, 3);
  must_lead(&w, 1, 1, true, 7, 0);
  uint64_t first = must_propose(&w, 1, ELEMENTS(create("a", "1")));
  world_settle(&w);
  keep_back(&w, 1, 3, true);
  uint64_t second = must_propose(&w, 1, ELEMENTS(create("b", "2")));
  world_settle(&w);
  assert_int_equal(w.outcomes[first], COMMITTED);
  assert_int_equal(w.outcomes[second], PENDING);
  member_of(&w, 1)->stopped = true;
  link_break(&w, 1, 2);
  link_break(&w, 1, 3);
  replicator_config_t config = config_of(2, 2, true, 6, 0);
  keep_back(&w, 3, 2, true);
  world_configure(&w, &config);
  world_settle(&w);
  assert_int_equal(w.outcomes[second], PENDING); /* it never commits alone what another one did not */
  keep_back(&w, 3, 2, false);
  world_settle(&w);
  assert_int_equal(w.outcomes[second], COMMITTED);
  assert_int_equal(begin_epoch(&w, 2, 2), VESTA_OK);
  world_settle(&w);
  assert_true(reads(3, "b", "2"));
  members_are_equal(&w, 2, 3);
  world_close(&w);
}

static void what_the_new_primary_does_not_have_is_cut(void **state) {
  (void)state;
  world_open(&w, 40, 1000, 3);
  must_lead(&w, 1, 1, true, 7, 0);
  must_propose(&w, 1, ELEMENTS(create("a", "1")));
  world_settle(&w);
  keep_back(&w, 1, 2, true);
  uint64_t lost = must_propose(&w, 1, ELEMENTS(create("b", "2")));
  must_propose(&w, 1, ELEMENTS(create("c", "3")));
  world_settle(&w);
  assert_int_equal(status_of(3).prepared_seq, 3);
  link_break(&w, 1, 2);
  link_break(&w, 1, 3);
  keep_back(&w, 1, 2, false);
  must_lead(&w, 2, 2, true, 6, 1); /* 1 comes back as a mere follower */
  assert_int_equal(w.outcomes[lost], PENDING);
  uint64_t request = must_propose(&w, 2, ELEMENTS(create("b", "other")));
  world_settle(&w);
  assert_int_equal(w.outcomes[request], COMMITTED);
  assert_true(reads(1, "b", "other") && reads(3, "b", "other"));
  all_are_equal(&w, 2);
  assert_int_equal(member_of(&w, 1)->swaps + member_of(&w, 3)->swaps, 0);
  world_close(&w);
}

static void a_copy_whose_link_broke_goes_on_where_it_was(void **state) {
  (void)state;
  world_open(&w, 40, 1000, 2);
  must_lead(&w, 1, 1, true, 3, 0);
  must_propose(&w, 1, ELEMENTS(create("a", "1")));
  link_break(&w, 1, 2);
  uint64_t request = must_propose(&w, 1, ELEMENTS(create("b", "2")));
  link_break(&w, 1, 2);
  link_up(&w, 1, 2);
  world_settle(&w);
  assert_int_equal(w.outcomes[request], COMMITTED);
  members_are_equal(&w, 1, 2);
  world_close(&w);
}

static void a_link_that_broke_for_the_primary_alone_is_no_end(void **state) {
  (void)state;
  world_open(&w, 40, 1000, 2);
  must_lead(&w, 1, 1, true, 3, 0);
  uint64_t request = must_propose(&w, 1, ELEMENTS(create("a", "1")));
  letters_drop(&w.links[0][1]);
  replicator_peer_up(member_of(&w, 1)->replicator, 2, w.now_ns);
  world_settle(&w);
  assert_int_equal(w.outcomes[request], COMMITTED);
  members_are_equal(&w, 1, 2);
  world_close(&w);
}

static void a_position_or_a_cut_that_comes_again_drops_nothing(void **state) {
  (void)state;
  world_open(&w, 40, 1000, 2);
  replicator_config_t config = config_of(1, 1, true, 3, 0);
  member_configure(member_of(&w, 1), &config);
  member_configure(member_of(&w, 2), &config);
  letter_t *position = letter_take(&w.links[1][0]);
  assert_int_equal(position->message.kind, WIRE_PEER_POSITION);
  replicator_receive(member_of(&w, 1)->replicator, 2, &position->message, position->payload, w.now_ns);
  letter_t *cut = w.links[0][1].first;
  assert_int_equal(cut->message.kind, WIRE_PEER_CUT);
  wire_message_t cut_again = cut->message;
  world_settle(&w);
  must_propose(&w, 1, ELEMENTS(create("a", "1")));
  keep_back(&w, 2, 1, true);
  world_settle(&w);
  assert_int_equal(status_of(2).prepared_seq, 1);
  replicator_receive(member_of(&w, 2)->replicator, 1, &cut_again, vesta_bytes(NULL, 0), w.now_ns);
  assert_int_equal(status_of(2).prepared_seq, 1);
  letter_deliver(&w, position);
  world_settle(&w);
  assert_int_equal(status_of(2).prepared_seq, 1);
  keep_back(&w, 2, 1, false);
  world_settle(&w);
  assert_int_equal(status_of(1).committed.seq, 1);
  members_are_equal(&w, 1, 2);
  world_close(&w);
}

static void a_position_from_before_a_restart_counts_for_nothing(void **state) {
  (void)state;
  world_open(&w, 40, 1000, 2);
  must_lead(&w, 1, 1, true, 3, 0);
  uint64_t request = must_propose(&w, 1, ELEMENTS(create("a", "1")));
  keep_back(&w, 2, 1, true);
  world_settle(&w);
  w.now_ns++;
  replicator_peer_up(member_of(&w, 2)->replicator, 1, w.now_ns); /* says that it has it, */
  letters_drop(&w.links[0][1]);
  member_t *m = member_of(&w, 2);
  member_stop(m); /* and loses its files */
  replica_destroy(&m->replica);
  room_close(&m->room);
  m->committed_seq = 0;
  member_start(m);
  keep_back(&w, 2, 1, false);
  replicator_peer_up(member_of(&w, 1)->replicator, 2, w.now_ns);
  world_settle(&w);
  assert_int_equal(w.outcomes[request], PENDING);
  w.now_ns++;
  replicator_config_t config = config_of(1, 1, true, 3, 0);
  member_configure(m, &config);
  world_settle(&w);
  assert_int_equal(w.outcomes[request], COMMITTED);
  members_are_equal(&w, 1, 2);
  world_close(&w);
}

/* ---- state ---- */

/* Write so much that the log goes round; some sections come and go. */
static void log_turns(uint32_t primary, uint32_t rounds) {
  for (uint32_t i = 0; i < rounds; i++) {
    must_propose(&w, primary, ELEMENTS(overwrite_large("a", 90000, i % 200)));
    must_propose(&w, primary, ELEMENTS(create("tmp", "x")));
    world_settle(&w);
    must_propose(&w, primary, ELEMENTS(delete_of("tmp"), overwrite("b", "y")));
    world_settle(&w);
  }
}

static void a_copy_that_the_log_does_not_reach_gets_what_changed_and_no_more(void **state) {
  (void)state;
  world_open(&w, 40, 1U << 20, 3);
  must_lead(&w, 1, 1, true, 3, 4);
  must_propose(&w, 1, ELEMENTS(create("a", ""), create("b", ""), create("gone", "")));
  replica_element_t constant = create("constant", "");
  constant.data = vesta_bytes(noise, 700000);
  must_propose(&w, 1, &constant, 1);
  world_settle(&w);
  members_are_equal(&w, 1, 3);
  member_of(&w, 3)->stopped = true;
  must_propose(&w, 1, ELEMENTS(delete_of("gone")));
  log_turns(1, 120);
  letters_drop(&w.links[0][2]);
  member_of(&w, 3)->stopped = false;
  w.sent_bytes = 0;
  link_up(&w, 1, 3);
  world_settle(&w);
  assert_int_equal(member_of(&w, 3)->swaps, 1);
  assert_int_equal(member_of(&w, 3)->diverged, 0);
  assert_true(w.sent_bytes < 200000);
  members_are_equal(&w, 1, 3);
  log_turns(1, 2);
  members_are_equal(&w, 1, 3);
  world_close(&w);
}

static void a_copy_of_another_history_is_kept_aside_and_gets_the_state(void **state) {
  (void)state;
  world_open(&w, 40, 1000, 3);
  must_lead(&w, 1, 1, false, 7, 0);
  must_propose(&w, 1, ELEMENTS(create("a", "1")));
  world_settle(&w);
  keep_back(&w, 1, 2, true);
  keep_back(&w, 1, 3, true);
  w.judges_history = false; /* asynchronous: this is lost */
  must_propose(&w, 1, ELEMENTS(create("phantom", "x")));
  must_propose(&w, 1, ELEMENTS(delete_of("a")));
  assert_int_equal(status_of(1).committed.seq, 3);
  letters_drop(&w.links[0][1]);
  letters_drop(&w.links[0][2]);
  keep_back(&w, 1, 2, false);
  keep_back(&w, 1, 3, false);
  must_lead(&w, 2, 2, false, 7, 0);
  assert_int_equal(member_of(&w, 1)->diverged, 1);
  assert_true(reads(1, "a", "1") && !reads(1, "phantom", "x"));
  all_are_equal(&w, 2);
  assert_int_equal(member_of(&w, 3)->swaps, 0);
  world_close(&w);
}

static void who_is_invited_counts_from_when_it_follows_and_is_told_of_once(void **state) {
  (void)state;
  world_open(&w, 40, 1000, 2);
  must_lead(&w, 1, 1, true, 3, 0);
  must_propose(&w, 1, ELEMENTS(create("a", "1")));
  world_settle(&w);
  assert_int_equal(replicator_invite(member_of(&w, 1)->replicator, 3, true), VESTA_OK);
  uint64_t request = must_propose(&w, 1, ELEMENTS(create("b", "2")));
  world_settle(&w);
  assert_int_equal(w.outcomes[request], COMMITTED); /* it is not there yet */
  replicator_config_t config = config_of(1, 1, true, 3, 0);
  member_configure(member_of(&w, 3), &config);
  world_settle(&w);
  assert_int_equal(member_of(&w, 1)->caught_up, 1);
  members_are_equal(&w, 1, 3);
  keep_back(&w, 3, 1, true);
  request = must_propose(&w, 1, ELEMENTS(create("c", "3")));
  world_settle(&w);
  assert_int_equal(w.outcomes[request], PENDING);
  replicator_uninvite(member_of(&w, 1)->replicator, 3);
  assert_int_equal(w.outcomes[request], COMMITTED);
  assert_int_equal(member_of(&w, 1)->caught_up, 1);
  world_close(&w);
}

static void a_follower_that_is_invited_with_nothing_going_on_has_caught_up(void **state) {
  (void)state;
  world_open(&w, 40, 1000, 2);
  must_lead(&w, 1, 1, true, 1, 2);
  must_propose(&w, 1, ELEMENTS(create("a", "1")));
  world_settle(&w);
  assert_int_equal(replicator_invite(member_of(&w, 1)->replicator, 2, true), VESTA_OK);
  member_flush(member_of(&w, 1));
  assert_int_equal(member_of(&w, 1)->caught_up, 1);
  keep_back(&w, 2, 1, true);
  uint64_t request = must_propose(&w, 1, ELEMENTS(create("b", "1")));
  world_settle(&w);
  assert_int_equal(w.outcomes[request], PENDING);
  world_close(&w);
}

static void a_copy_of_an_asynchronous_primary_catches_up_while_it_writes(void **state) {
  (void)state;
  world_open(&w, 40, 1000, 2);
  must_lead(&w, 1, 1, false, 1, 0);
  must_propose(&w, 1, ELEMENTS(create("a", "1")));
  assert_int_equal(replicator_invite(member_of(&w, 1)->replicator, 2, true), VESTA_OK);
  replicator_config_t config = config_of(1, 1, false, 1, 0);
  member_configure(member_of(&w, 2), &config);
  for (int i = 0; i < 30 && member_of(&w, 1)->caught_up == 0; i++) { /* something is always on its way */
    must_propose(&w, 1, ELEMENTS(overwrite("a", "2")));
    for (uint32_t to = 0; to < 2; to++) {
      letter_t *letter = letter_take(&w.links[1 - to][to]);
      if (letter != NULL) {
        letter_deliver(&w, letter);
      }
    }
  }
  assert_int_equal(member_of(&w, 1)->caught_up, 1);
  world_settle(&w);
  members_are_equal(&w, 1, 2);
  world_close(&w);
}

/* One message between two members: what the first one sent goes first. @return false when nothing is on its way */
static bool deliver_one(uint32_t first, uint32_t second) {
  letter_t *letter = letter_take(&w.links[first - 1][second - 1]);
  letter = letter != NULL ? letter : letter_take(&w.links[second - 1][first - 1]);
  if (letter != NULL) {
    letter_deliver(&w, letter);
  }
  return letter != NULL;
}

/* Deliver for a while, with a write at the primary before each message. */
static void settle_under_load(uint32_t primary, uint32_t to, const char *const *ids, uint32_t id_count,
                              uint32_t letters_max) {
  uint32_t letters = 0;
  for (uint32_t i = 0; member_of(&w, to)->swaps == 0; i++) {
    assert_true(letters++ < letters_max);
    const char *id = ids[draw(&w, id_count)];
    replica_section_t s;
    bool there = replica_find(member_of(&w, primary)->replica, text(id), INT64_MIN, &s);
    uint64_t size = draw(&w, 20000);
    replica_element_t element =
        there ? (draw(&w, 3) == 0 ? delete_of(id) : overwrite_large(id, size, i % 200)) : create(id, "again");
    uint64_t request = 0;
    vesta_err_t err = propose(&w, primary, &element, 1, &request);
    assert_true(err == VESTA_OK || err == VESTA_ERR_TRY_AGAIN || err == VESTA_ERR_NO_SPACE);
    member_flush(member_of(&w, primary));
    if (!deliver_one(to, primary)) {
      world_wait(&w, SECOND);
    }
  }
  world_settle(&w);
}

static void state_is_moved_while_it_changes_all_the_time(void **state) {
  (void)state;
  world_open(&w, 60, 1U << 20, 1);
  must_lead(&w, 1, 1, true, 1, 2);
  char names[60][12];
  const char *ids[60];
  for (int i = 0; i < 60; i++) {
    snprintf(names[i], sizeof names[i], "%d", i);
    ids[i] = names[i];
    replica_element_t element = create(names[i], "");
    element.data = vesta_bytes(noise + i, i % 3 == 0 ? 700000 : 5000);
    must_propose(&w, 1, &element, 1);
  }
  settle_under_load(1, 2, ids, 60, 20000);
  members_are_equal(&w, 1, 2);
  world_close(&w);
}

static void a_full_checkpoint_whose_sections_come_and_go_is_moved_too(void **state) {
  (void)state;
  world_open(&w, 1500, 5000, 1);
  must_lead(&w, 1, 1, true, 1, 2);
  static char names[3000][6];
  static const char *ids[3000];
  for (uint32_t i = 0; i < 3000; i++) {
    snprintf(names[i], sizeof names[i], "%u", (unsigned)i);
    ids[i] = names[i];
    if (i % 2 == 0) {
      replica_element_t element = create(ids[i], "");
      element.data = vesta_bytes(noise + i, 5000);
      must_propose(&w, 1, &element, 1);
    }
  }
  settle_under_load(1, 2, ids, 3000, 20000);
  members_are_equal(&w, 1, 2);
  world_close(&w);
}

static void a_copy_whose_deletes_are_forgotten_gets_everything_in_many_parts(void **state) {
  (void)state;
  world_open(&w, 4000, 3000, 3);
  must_lead(&w, 1, 1, true, 3, 4);
  static char names[4000][6];
  for (uint32_t i = 0; i < 4000; i++) {
    snprintf(names[i], sizeof names[i], "%u", (unsigned)i);
    replica_element_t element = create(names[i], "");
    element.data = vesta_bytes(noise + i, 3000);
    must_propose(&w, 1, &element, 1);
    if (i % 200 == 0) {
      world_settle(&w);
    }
  }
  world_settle(&w);
  member_of(&w, 3)->stopped = true;
  for (uint32_t i = 0; i < VESTA_TOMBSTONES_MAX; i++) { /* one more is forgotten with those at the end */
    must_propose(&w, 1, ELEMENTS(delete_of(names[i % 1000])));
    world_settle(&w);
    replica_element_t element = create(names[i % 1000], "");
    element.data = vesta_bytes(noise, 1500);
    must_propose(&w, 1, &element, 1);
    world_settle(&w);
  }
  must_propose(&w, 1, ELEMENTS(delete_of("7"), delete_of("3999")));
  world_settle(&w);
  letters_drop(&w.links[0][2]);
  member_of(&w, 3)->stopped = false;
  link_up(&w, 1, 3);
  world_settle(&w);
  assert_int_equal(member_of(&w, 3)->swaps, 1);
  members_are_equal(&w, 1, 3);
  world_close(&w);
}

static void state_that_does_not_come_is_asked_for_again(void **state) {
  (void)state;
  world_open(&w, 40, 1U << 20, 1);
  must_lead(&w, 1, 1, true, 1, 0);
  must_propose(&w, 1, ELEMENTS(create("a", ""), create("b", "")));
  must_propose(&w, 1, ELEMENTS(overwrite_large("a", 1U << 20, 0)));
  must_propose(&w, 1, ELEMENTS(overwrite_large("b", 1U << 20, 9)));
  replicator_config_t config = config_of(1, 1, true, 1, 2);
  for (uint32_t i = 0; i < 2; i++) {
    member_configure(&w.members[i], &config);
  }
  for (uint32_t round = 0; member_of(&w, 2)->swaps == 0; round++) { /* every third message is lost */
    assert_true(round < 1000);
    letter_t *letter = letter_take(&w.links[round % 2][1 - round % 2]);
    if (letter != NULL && draw(&w, 3) == 0) {
      free(letter);
    } else if (letter != NULL) {
      letter_deliver(&w, letter);
    }
    if (w.links[0][1].first == NULL && w.links[1][0].first == NULL) {
      w.now_ns += SECOND;
      replicator_time(member_of(&w, 2)->replicator, w.now_ns);
    }
  }
  link_up(&w, 1, 2);
  world_wait(&w, SECOND);
  members_are_equal(&w, 1, 2);
  world_close(&w);
}

static void a_copy_without_room_for_the_state_gets_it_when_there_is(void **state) {
  (void)state;
  world_open(&w, 40, 1000, 1);
  member_of(&w, 2)->full = true;
  must_lead(&w, 1, 1, true, 1, 2);
  must_propose(&w, 1, ELEMENTS(create("a", "1")));
  world_settle(&w);
  world_wait(&w, SECOND);
  assert_null(member_of(&w, 2)->replica);
  member_of(&w, 2)->full = false;
  world_wait(&w, SECOND);
  members_are_equal(&w, 1, 2);
  world_close(&w);
}

/* ---- going on without ---- */

static void a_copy_that_had_to_skip_gets_the_content_again(void **state) {
  (void)state;
  world_open(&w, 600, 400000, 2);
  must_lead(&w, 1, 1, false, 3, 0);
  static char names[400][6];
  for (uint32_t i = 0; i < 400; i++) {
    snprintf(names[i], sizeof names[i], "%u", (unsigned)i);
    must_propose(&w, 1, ELEMENTS(create(names[i], "old")));
  }
  for (uint32_t i = 0; i < 30; i++) { /* all of its log is reserved */
    must_propose(&w, 1, ELEMENTS(overwrite_large("0", 400000, i)));
  }
  world_settle(&w);
  member_of(&w, 2)->full = true;
  for (uint32_t i = 0; i < 400; i++) {
    must_propose(&w, 1, ELEMENTS(overwrite_large(names[i], i % 100 == 0 ? 400000 : 6000, i % 200)));
    world_settle(&w);
  }
  world_wait(&w, SECOND);
  assert_true(status_of(2).corrupted_count > 200);
  assert_int_equal(status_of(2).committed.seq, status_of(1).committed.seq);
  must_propose(&w, 1, ELEMENTS(write_at("7", 100, "in the middle"), expiry_set("8", INT64_MAX - 1)));
  world_settle(&w);
  member_of(&w, 2)->full = false;
  must_propose(&w, 1, ELEMENTS(delete_of("9")));
  world_wait(&w, SECOND);
  world_wait(&w, SECOND);
  assert_int_equal(status_of(2).corrupted_count, 0);
  assert_int_equal(member_of(&w, 2)->swaps + member_of(&w, 1)->failed, 0);
  members_are_equal(&w, 1, 2);
  assert_true(replicator_wake_ns(member_of(&w, 2)->replicator) == INT64_MAX);
  world_close(&w);
}

static void content_comes_back_while_the_section_is_written_all_the_time(void **state) {
  (void)state;
  world_open(&w, 40, 9000, 2);
  must_lead(&w, 1, 1, false, 3, 0);
  must_propose(&w, 1, ELEMENTS(create("a", "")));
  world_settle(&w);
  member_of(&w, 2)->full = true;
  must_propose(&w, 1, ELEMENTS(overwrite_large("a", 9000, 0)));
  world_settle(&w);
  assert_int_equal(status_of(2).corrupted_count, 1);
  member_of(&w, 2)->full = false;
  w.now_ns += 2 * SECOND;
  replicator_time(member_of(&w, 2)->replicator, w.now_ns);
  for (uint32_t i = 0; i < 20; i++) {
    uint64_t request = 0;
    assert_int_equal(propose(&w, 1, ELEMENTS(write_at("a", i, "x")), &request), VESTA_OK);
    (void)deliver_one(2, 1);
  }
  assert_int_equal(status_of(2).corrupted_count, 0);
  world_settle(&w);
  member_flush(member_of(&w, 1));
  world_settle(&w);
  members_are_equal(&w, 1, 2);
  world_close(&w);
}

static void a_section_that_is_corrupted_stays_so_when_its_copy_becomes_primary(void **state) {
  (void)state;
  world_open(&w, 40, 9000, 3);
  must_lead(&w, 1, 1, false, 7, 0);
  must_propose(&w, 1, ELEMENTS(create("a", "old"), create("b", "old")));
  world_settle(&w);
  member_of(&w, 2)->full = true;
  member_of(&w, 3)->full = true;
  must_propose(&w, 1, ELEMENTS(overwrite_large("a", 9000, 0)));
  world_settle(&w);
  assert_false(reads(2, "a", "old"));
  member_restart(member_of(&w, 2));
  member_of(&w, 2)->full = false;
  member_of(&w, 3)->full = false;
  link_break(&w, 1, 2);
  must_lead(&w, 2, 2, false, 6, 0); /* and the one that has it is away */
  uint64_t request = 0;
  assert_int_equal(propose(&w, 2, ELEMENTS(write_at("a", 0, "x")), &request), VESTA_ERR_CORRUPTED);
  assert_int_equal(status_of(2).corrupted_count, 1);
  must_propose(&w, 2, ELEMENTS(overwrite("a", "whole")));
  world_settle(&w);
  must_lead(&w, 3, 2, false, 7, 0);
  world_wait(&w, SECOND);
  assert_int_equal(status_of(2).corrupted_count, 0);
  assert_true(reads(1, "a", "whole") && reads(3, "a", "whole"));
  all_are_equal(&w, 2);
  world_close(&w);
}

static void a_primary_gets_what_it_did_not_know_as_a_copy_from_one_that_follows_it(void **state) {
  (void)state;
  world_open(&w, 40, 9000, 3);
  must_lead(&w, 1, 1, false, 7, 0);
  must_propose(&w, 1, ELEMENTS(create("a", "old"), create("b", "old")));
  world_settle(&w);
  member_of(&w, 2)->full = true;
  must_propose(&w, 1, ELEMENTS(overwrite_large("a", 9000, 0)));
  world_settle(&w);
  assert_int_equal(status_of(2).corrupted_count, 1);
  member_of(&w, 2)->full = false;
  must_lead(&w, 2, 2, false, 7, 0);
  world_wait(&w, SECOND);
  world_wait(&w, SECOND);
  assert_int_equal(status_of(2).corrupted_count, 0);
  must_propose(&w, 2, ELEMENTS(write_at("a", 0, "x")));
  world_settle(&w);
  all_are_equal(&w, 2);
  assert_true(replicator_wake_ns(member_of(&w, 2)->replicator) == INT64_MAX);
  world_close(&w);
}

static void a_copy_that_can_not_even_skip_says_so_and_goes_on_later(void **state) {
  (void)state;
  world_open(&w, 4000, 100, 2);
  must_lead(&w, 1, 1, false, 3, 0);
  member_of(&w, 2)->full = true;
  char names[3000][6];
  for (uint32_t i = 0; i < 3000; i++) { /* until its log needs another page */
    snprintf(names[i], sizeof names[i], "%u", (unsigned)i);
    must_propose(&w, 1, ELEMENTS(create(names[i], "some data")));
  }
  world_settle(&w);
  assert_int_equal(member_of(&w, 1)->failed, 1);
  world_wait(&w, SECOND);
  assert_true(status_of(2).committed.seq < status_of(1).committed.seq);
  member_of(&w, 2)->full = false;
  world_wait(&w, SECOND);
  world_wait(&w, SECOND);
  members_are_equal(&w, 1, 2);
  world_close(&w);
}

int main(void) {
  for (size_t i = 0; i < sizeof noise; i++) {
    noise[i] = (uint8_t)(i * 131 + i / 251 + 1);
  }
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_operation_is_committed_when_every_required_copy_has_it),
      cmocka_unit_test(an_asynchronous_primary_commits_at_once_and_copies_follow),
      cmocka_unit_test(many_operations_go_out_together_and_arrive_in_order),
      cmocka_unit_test(no_more_is_sent_than_the_window_until_it_is_acknowledged),
      cmocka_unit_test(small_operations_fill_the_window_too),
      cmocka_unit_test(
          a_refused_operation_is_dropped_by_all_before_its_caller_hears_and_those_behind_it_are_made_again),
      cmocka_unit_test(a_cut_outlives_a_new_epoch_of_the_same_primary),
      cmocka_unit_test(who_can_not_take_an_operation_of_the_primary_itself_is_told_of),
      cmocka_unit_test(a_new_primary_commits_what_it_has_prepared_when_the_others_have_it),
      cmocka_unit_test(what_the_new_primary_does_not_have_is_cut),
      cmocka_unit_test(a_copy_whose_link_broke_goes_on_where_it_was),
      cmocka_unit_test(a_link_that_broke_for_the_primary_alone_is_no_end),
      cmocka_unit_test(a_position_or_a_cut_that_comes_again_drops_nothing),
      cmocka_unit_test(a_position_from_before_a_restart_counts_for_nothing),
      cmocka_unit_test(a_copy_that_the_log_does_not_reach_gets_what_changed_and_no_more),
      cmocka_unit_test(a_copy_of_another_history_is_kept_aside_and_gets_the_state),
      cmocka_unit_test(who_is_invited_counts_from_when_it_follows_and_is_told_of_once),
      cmocka_unit_test(a_follower_that_is_invited_with_nothing_going_on_has_caught_up),
      cmocka_unit_test(a_copy_of_an_asynchronous_primary_catches_up_while_it_writes),
      cmocka_unit_test(state_is_moved_while_it_changes_all_the_time),
      cmocka_unit_test(a_full_checkpoint_whose_sections_come_and_go_is_moved_too),
      cmocka_unit_test(a_copy_whose_deletes_are_forgotten_gets_everything_in_many_parts),
      cmocka_unit_test(state_that_does_not_come_is_asked_for_again),
      cmocka_unit_test(a_copy_without_room_for_the_state_gets_it_when_there_is),
      cmocka_unit_test(a_copy_that_had_to_skip_gets_the_content_again),
      cmocka_unit_test(content_comes_back_while_the_section_is_written_all_the_time),
      cmocka_unit_test(a_section_that_is_corrupted_stays_so_when_its_copy_becomes_primary),
      cmocka_unit_test(a_primary_gets_what_it_did_not_know_as_a_copy_from_one_that_follows_it),
      cmocka_unit_test(a_copy_that_can_not_even_skip_says_so_and_goes_on_later),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
