/* SPDX-License-Identifier: BSD-2-Clause
 *
 * State that takes many trains: the copy asks for the next one while one comes, and no train that is lost, doubled or
 * late does any harm. See core/replicator_transfer.c.
 */
#include "test/unit/replicator_world.h"

#define SECTIONS 40U
#define SECTION_BYTES (700U << 10)
#define STATE_BYTES (SECTIONS * SECTION_BYTES)

static uint8_t noise[SECTION_BYTES + SECTIONS];
static world_t w;

static_assert(STATE_BYTES > 5 * REPLICATOR_TRAIN_BYTES, "there are many trains");

/* Member 1 has the state, member 2 is to get it: its first question is under way. */
static void state_begin(void) {
  world_open(&w, SECTIONS, SECTION_BYTES, 1);
  must_lead(&w, 1, 1, true, 1, 0);
  for (uint32_t i = 0; i < SECTIONS; i++) {
    char id[8];
    (void)snprintf(id, sizeof id, "%u", i);
    replica_element_t element = create(id, "");
    element.data = vesta_bytes(noise + i, SECTION_BYTES - i);
    must_propose(&w, 1, &element, 1);
  }
  world_settle(&w);
  w.sent_bytes = 0;
  replicator_config_t config = config_of(1, 1, true, 1, 2);
  for (uint32_t id = 1; id <= 2; id++) {
    member_configure(member_of(&w, id), &config);
  }
  while (w.links[1][0].first == NULL || w.links[1][0].first->message.kind != WIRE_PEER_FETCH) {
    letter_t *letter = letter_take(&w.links[0][1]);
    letter_deliver(&w, letter != NULL ? letter : letter_take(&w.links[1][0]));
  }
}

static void state_is_there(void) {
  link_up(&w, 1, 2);
  world_wait(&w, SECOND);
  members_are_equal(&w, 1, 2);
  world_close(&w);
}

static uint32_t questions(void) {
  uint32_t count = 0;
  for (const letter_t *letter = w.links[1][0].first; letter != NULL; letter = letter->next) {
    count += letter->message.kind == WIRE_PEER_FETCH ? 1 : 0;
  }
  return count;
}

static void the_next_train_is_asked_for_with_the_first_chunk_and_no_more_than_two_are_under_way(void **state) {
  (void)state;
  state_begin();
  letter_deliver(&w, letter_take(&w.links[1][0]));
  uint64_t train = w.links[0][1].count;
  assert_true(train > 2);
  letter_deliver(&w, letter_take(&w.links[0][1]));
  assert_int_equal(questions(), 1);
  while (member_of(&w, 2)->swaps == 0) {
    assert_true(questions() <= 1);
    assert_true(w.links[0][1].bytes <= 2 * (REPLICATOR_TRAIN_BYTES + REPLICATOR_MESSAGE_BYTES));
    letter_t *letter = letter_take(&w.links[1][0]); /* an answer comes at once: the worst for the bound */
    letter_deliver(&w, letter != NULL ? letter : letter_take(&w.links[0][1]));
  }
  assert_in_range(w.sent_bytes, STATE_BYTES - SECTIONS * SECTIONS, STATE_BYTES); /* and nothing was sent twice */
  state_is_there();
}

static void the_last_train_of_a_pass_is_not_followed(void **state) {
  (void)state;
  state_begin();
  while (member_of(&w, 2)->swaps == 0) {
    letter_t *letter = letter_take(&w.links[1][0]);
    letter = letter != NULL ? letter : letter_take(&w.links[0][1]);
    bool epochs = letter->message.kind == WIRE_PEER_CHUNK && (letter->message.state & 15U) == WIRE_TRANSFER_EPOCHS;
    assert_true(!epochs || questions() == 0);
    letter_deliver(&w, letter);
  }
  state_is_there();
}

static void a_question_that_is_lost_is_asked_again_from_where_the_copy_is(void **state) {
  (void)state;
  state_begin();
  letter_deliver(&w, letter_take(&w.links[1][0]));
  letter_deliver(&w, letter_take(&w.links[0][1]));
  letters_drop(&w.links[1][0]);
  while (w.links[0][1].first != NULL) {
    letter_deliver(&w, letter_take(&w.links[0][1]));
  }
  assert_int_equal(questions(), 0); /* it is thought to be under way */
  world_wait(&w, SECOND);
  assert_in_range(w.sent_bytes, STATE_BYTES - SECTIONS * SECTIONS, STATE_BYTES);
  assert_int_equal(member_of(&w, 2)->swaps, 1);
  state_is_there();
}

static void trains_that_are_lost_doubled_or_late_do_no_harm(void **state) {
  (void)state;
  for (uint64_t seed = 0; seed < 20; seed++) {
    state_begin();
    w.random = seed;
    for (uint32_t round = 0; member_of(&w, 2)->swaps == 0; round++) {
      assert_true(round < 20000);
      letter_t *letter = letter_take(&w.links[round % 2][1 - round % 2]);
      uint64_t fate = draw(&w, 40);
      if (letter != NULL && fate == 0) {
        free(letter);
      } else if (letter != NULL && fate == 1 && w.late.count < 50) {
        letter_put(&w.late, letter);
      } else if (letter != NULL) {
        if (fate == 2 && w.late.count < 50) {
          letter_put(&w.late, letter_new(letter->from, letter->to, &letter->message, letter->payload));
        }
        letter_deliver(&w, letter);
      }
      if (w.late.first != NULL && draw(&w, 8) == 0) {
        letter_deliver(&w, letter_take(&w.late));
      }
      if (draw(&w, 50) == 0) { /* and meanwhile it changes */
        must_propose(&w, 1, ELEMENTS(overwrite_bytes("7", noise + draw(&w, SECTIONS), 1000)));
      }
      if (w.links[0][1].first == NULL && w.links[1][0].first == NULL) {
        w.now_ns += SECOND;
        replicator_time(member_of(&w, 2)->replicator, w.now_ns);
      }
    }
    state_is_there();
  }
}

int main(void) {
  for (uint32_t i = 0; i < sizeof noise; i++) {
    noise[i] = (uint8_t)(i * 2654435761U >> 24);
  }
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_next_train_is_asked_for_with_the_first_chunk_and_no_more_than_two_are_under_way),
      cmocka_unit_test(the_last_train_of_a_pass_is_not_followed),
      cmocka_unit_test(a_question_that_is_lost_is_asked_again_from_where_the_copy_is),
      cmocka_unit_test(trains_that_are_lost_doubled_or_late_do_no_harm),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
