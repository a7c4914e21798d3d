/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The stream server's rules, one a test.
 */
#include "test/unit/stream_fixture.h"

typedef struct answer {
  wire_message_t message;
  vesta_bytes_t payload;
} answer_t;

static answer_t ask(rig_t *rig, const wire_message_t *request) {
  answer_t answer;
  vesta_bytes_t head;
  stream_server_answer(rig->server, rig->service.replica, request, &head, &answer.payload);
  assert_int_equal(wire_decode(rig->decoder, head.data, head.size, &answer.message), VESTA_OK);
  if ((answer.message.state & WIRE_CHUNK_KEYS) != 0) {
    assert_int_equal(answer.payload.size, 0);
  } else {
    assert_int_equal(wire_payload_check(&answer.message, answer.payload.size), VESTA_OK);
  }
  assert_int_equal(answer.message.number, request->number);
  assert_int_equal(answer.message.checkpoint, request->checkpoint);
  assert_true(vesta_pos_equal(wire_pos(&answer.message), rig_committed(rig)));
  return answer;
}

static wire_message_t request_of(uint64_t kind, uint64_t cursor, uint64_t cursor_end, vesta_pos_t from) {
  static uint64_t number;
  return (wire_message_t){.kind = kind,
                          .number = ++number,
                          .checkpoint = CHECKPOINT,
                          .token_hi = 1,
                          .cursor = cursor,
                          .cursor_end = cursor_end,
                          .from_lineage = from.lineage,
                          .from_epoch = from.epoch,
                          .from_seq = from.seq};
}

static answer_t snapshot(rig_t *rig, uint64_t cursor, vesta_pos_t from) {
  wire_message_t request = request_of(WIRE_SNAPSHOT_GET, cursor, 0, from);
  answer_t answer = ask(rig, &request);
  assert_int_equal(answer.message.kind, WIRE_SNAPSHOT_CHUNK);
  assert_int_equal(answer.message.cursor, cursor);
  return answer;
}

static answer_t history(rig_t *rig, uint64_t cursor, uint64_t cursor_end, vesta_pos_t from) {
  wire_message_t request = request_of(WIRE_HISTORY_GET, cursor, cursor_end, from);
  answer_t answer = ask(rig, &request);
  assert_int_equal(answer.message.kind, WIRE_HISTORY_CHUNK);
  return answer;
}

static const vesta_pos_t nowhere;

static vesta_pos_t at(uint64_t seq) { return (vesta_pos_t){.lineage = LINEAGE, .epoch = 1, .seq = seq}; }

/* ---- snapshots ---- */

static void a_snapshot_says_all_of_a_section(void **state) {
  (void)state;
  rig_t rig;
  rig_open(&rig);
  must_apply(&rig.service, ELEMENTS(create("a", "one"), create_until("b", "", NOW + 5)));
  must_apply(&rig.service, ELEMENTS(overwrite("a", "three")));
  answer_t answer = snapshot(&rig, 0, nowhere);
  assert_int_equal(answer.message.state, WIRE_CHUNK_LAST);
  assert_int_equal(answer.message.element_count, 2);
  const wire_element_t *a = &answer.message.elements[0];
  const wire_element_t *b = &answer.message.elements[1];
  assert_true(vesta_bytes_equal(a->id, text("a")) && vesta_bytes_equal(b->id, text("b")));
  assert_true(a->kind == VESTA_KIND_CREATED && a->seq == 2 && a->epoch == 1 && a->size == 5 && a->time_ns == NOW);
  assert_true(b->kind == VESTA_KIND_CREATED && b->seq == 1 && b->epoch == 1 && b->size == 0);
  assert_true(a->expiry_ns == VESTA_TIME_END && b->expiry_ns == NOW + 5);
  assert_true(a->slot < b->slot && b->slot < answer.message.cursor_end);
  assert_true(vesta_bytes_equal(answer.payload, text("three")));
  rig_close(&rig);
}

static void an_empty_checkpoint_is_one_last_chunk(void **state) {
  (void)state;
  rig_t rig;
  rig_open(&rig);
  answer_t answer = snapshot(&rig, 0, nowhere);
  assert_int_equal(answer.message.state, WIRE_CHUNK_LAST);
  assert_int_equal(answer.message.element_count, 0);
  rig_close(&rig);
}

static void the_default_section_is_in_the_snapshot(void **state) {
  (void)state;
  rig_t rig;
  rig_open_of(&rig, 1, 4096, 32);
  must_apply(&rig.service, ELEMENTS(write_at("", 0, "default")));
  answer_t answer = snapshot(&rig, 0, nowhere);
  assert_int_equal(answer.message.element_count, 1);
  assert_int_equal(answer.message.elements[0].id.size, 0);
  assert_true(vesta_bytes_equal(answer.payload, text("default")));
  rig_close(&rig);
}

static void a_section_is_sent_until_its_expiry_is_committed(void **state) {
  (void)state;
  rig_t rig;
  rig_open(&rig);
  must_apply(&rig.service, ELEMENTS(create_until("a", "1", NOW + 10), create_until("b", "2", NOW + 11)));
  wire_message_t request = request_of(WIRE_SNAPSHOT_GET, 0, 0, nowhere);
  assert_int_equal(ask(&rig, &request).message.element_count, 2); /* whatever the clock says */
  rig_close(&rig);
}

static void a_chunk_keeps_to_its_size_and_the_next_goes_on_where_it_ended(void **state) {
  (void)state;
  rig_t rig;
  rig_open_of(&rig, 300, 4096, 32);
  static char data[4096];
  memset(data, 'q', sizeof data - 1);
  for (uint32_t i = 0; i < 300; i++) {
    char id[16];
    (void)snprintf(id, sizeof id, "%u", i);
    must_apply(&rig.service, ELEMENTS(create(id, data)));
  }
  uint32_t chunks = 0;
  uint32_t sections = 0;
  uint64_t cursor = 0;
  bool last = false;
  while (!last) {
    answer_t answer = snapshot(&rig, cursor, nowhere);
    assert_true(answer.payload.size <= VESTA_STREAM_CHUNK_BYTES);
    assert_true(answer.message.cursor_end > cursor);
    for (uint32_t i = 0; i < answer.message.element_count; i++) {
      assert_true(answer.message.elements[i].slot >= cursor &&
                  answer.message.elements[i].slot < answer.message.cursor_end);
    }
    cursor = answer.message.cursor_end;
    last = (answer.message.state & WIRE_CHUNK_LAST) != 0;
    sections += answer.message.element_count;
    chunks++;
  }
  assert_int_equal(sections, 300);
  assert_int_equal(chunks, 5);
  rig_close(&rig);
}

static void a_chunk_has_at_least_one_section_however_large(void **state) {
  (void)state;
  rig_t rig;
  rig_open_of(&rig, 2, 8U << 20, 32);
  uint8_t *large = malloc(8U << 20);
  assert_non_null(large);
  memset(large, 7, 8U << 20);
  must_apply(&rig.service, ELEMENTS(create("small", "s")));
  must_apply(&rig.service, ELEMENTS(create("large", "")));
  must_apply(&rig.service, ELEMENTS(overwrite_bytes("large", large, 8U << 20)));
  answer_t answer = snapshot(&rig, 0, nowhere);
  assert_int_equal(answer.message.element_count, 1);
  assert_int_equal(answer.message.state, 0);
  answer = snapshot(&rig, answer.message.cursor_end, nowhere);
  assert_int_equal(answer.message.element_count, 1);
  assert_int_equal(answer.message.state, WIRE_CHUNK_LAST);
  assert_int_equal(answer.payload.size, 8U << 20);
  assert_memory_equal(answer.payload.data, large, 8U << 20);
  free(large);
  rig_close(&rig);
}

static void sections_make(rig_t *rig, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    char id[16];
    (void)snprintf(id, sizeof id, "%u", i);
    must_apply(&rig->service, ELEMENTS(create(id, "")));
  }
}

static void a_delta_of_few_of_many_sections_is_one_chunk(void **state) {
  (void)state;
  rig_t rig;
  uint32_t slots = 4 * VESTA_STREAM_CHUNK_SLOTS_MAX;
  rig_open_of(&rig, slots, 16, 32);
  sections_make(&rig, slots);
  must_apply(&rig.service, ELEMENTS(overwrite("5", "changed")));
  must_apply(&rig.service, ELEMENTS(overwrite("65535", "changed")));
  for (int recovered = 0; recovered < 2; recovered++) { /* and the service that takes it up again knows as well */
    answer_t answer = snapshot(&rig, 0, at(slots));
    assert_int_equal(answer.message.element_count, 2);
    assert_int_equal(answer.message.elements[0].slot, 5);
    assert_int_equal(answer.message.elements[1].slot, 65535);
    assert_int_equal(answer.message.cursor_end, slots);
    assert_int_equal(answer.message.state, WIRE_CHUNK_LAST);
    fixture_restart(&rig.service);
  }
  rig_close(&rig);
}

static void a_chunk_looks_at_a_bounded_number_of_slots(void **state) {
  (void)state;
  rig_t rig;
  uint32_t slots = VESTA_STREAM_CHUNK_SLOTS_MAX + 10;
  rig_open_of(&rig, slots, 16, 32);
  sections_make(&rig, slots);
  uint32_t changed = 0;
  for (uint32_t i = 0; i < slots; i += 64, changed++) { /* one here and there, so that no neighbours are passed over */
    char id[16];
    (void)snprintf(id, sizeof id, "%u", i);
    must_apply(&rig.service, ELEMENTS(overwrite(id, "changed")));
  }
  answer_t answer = snapshot(&rig, 0, at(slots));
  assert_int_equal(answer.message.element_count, changed - 1);
  assert_int_equal(answer.message.cursor_end, VESTA_STREAM_CHUNK_SLOTS_MAX);
  assert_int_equal(answer.message.state, 0);
  answer = snapshot(&rig, answer.message.cursor_end, at(slots));
  assert_int_equal(answer.message.element_count, 1);
  assert_int_equal(answer.message.state, WIRE_CHUNK_LAST);
  rig_close(&rig);
}

static void a_cursor_beyond_the_end_gets_an_empty_last_chunk(void **state) {
  (void)state;
  rig_t rig;
  rig_open(&rig);
  must_apply(&rig.service, ELEMENTS(create("a", "1")));
  static const uint64_t cursors[] = {1, 2, UINT32_MAX, UINT64_MAX};
  for (uint32_t i = 0; i < 4; i++) {
    answer_t answer = snapshot(&rig, cursors[i], nowhere);
    assert_int_equal(answer.message.element_count, 0);
    assert_int_equal(answer.message.state, WIRE_CHUNK_LAST);
    assert_int_equal(answer.message.cursor_end, cursors[i]);
  }
  rig_close(&rig);
}

/* ---- deltas ---- */

static void a_delta_names_what_changed_and_what_was_deleted_since(void **state) {
  (void)state;
  rig_t rig;
  rig_open(&rig);
  must_apply(&rig.service, ELEMENTS(create("same", "1"), create("changed", "2"), create("deleted", "3")));
  must_apply(&rig.service, ELEMENTS(delete_of("deleted")));
  must_apply(&rig.service, ELEMENTS(overwrite("changed", "4")));
  must_apply(&rig.service, ELEMENTS(create("created", "5")));
  answer_t answer = snapshot(&rig, 0, at(1));
  assert_int_equal(answer.message.state, WIRE_CHUNK_LAST);
  assert_int_equal(answer.message.element_count, 3);
  const wire_element_t *e = answer.message.elements;
  assert_true(e[0].kind == VESTA_KIND_DELETED && vesta_bytes_equal(e[0].id, text("deleted")) && e[0].seq == 2);
  assert_true(e[1].kind == VESTA_KIND_CREATED && e[2].kind == VESTA_KIND_CREATED);
  bool changed_first = vesta_bytes_equal(e[1].id, text("changed"));
  assert_true(vesta_bytes_equal(e[changed_first ? 1 : 2].id, text("changed")));
  assert_true(vesta_bytes_equal(e[changed_first ? 2 : 1].id, text("created")));
  answer = snapshot(&rig, 0, at(2)); /* after the delete */
  assert_int_equal(answer.message.element_count, 2);
  answer = snapshot(&rig, 0, at(4));
  assert_int_equal(answer.message.element_count, 0);
  rig_close(&rig);
}

static void only_the_first_chunk_of_a_delta_names_deletes(void **state) {
  (void)state;
  rig_t rig;
  rig_open(&rig);
  must_apply(&rig.service, ELEMENTS(create("a", "1"), create("b", "2")));
  must_apply(&rig.service, ELEMENTS(delete_of("a")));
  answer_t answer = snapshot(&rig, 1, at(1));
  assert_int_equal(answer.message.element_count, 0);
  assert_int_equal(answer.message.state, WIRE_CHUNK_LAST);
  rig_close(&rig);
}

static void a_position_of_another_history_gets_everything(void **state) {
  (void)state;
  rig_t rig;
  rig_open(&rig);
  must_apply(&rig.service, ELEMENTS(create("a", "1")));
  must_apply(&rig.service, ELEMENTS(create("b", "2")));
  vesta_pos_t elsewhere[] = {at(1), at(1), at(3)};
  elsewhere[0].lineage++;
  elsewhere[1].epoch++;
  for (uint32_t i = 0; i < 3; i++) {
    answer_t answer = snapshot(&rig, 0, elsewhere[i]);
    assert_int_equal(answer.message.state, WIRE_CHUNK_LAST | WIRE_CHUNK_FULL);
    assert_int_equal(answer.message.element_count, 2);
  }
  rig_close(&rig);
}

static void deletes_at_the_limit_of_remembering_are_a_delta_and_one_more_gets_everything(void **state) {
  (void)state;
  rig_t rig;
  rig_open(&rig);
  must_apply(&rig.service, ELEMENTS(create("stays", "1")));
  for (uint32_t i = 0; i < VESTA_TOMBSTONES_MAX; i++) {
    must_apply(&rig.service, ELEMENTS(create("x", "")));
    must_apply(&rig.service, ELEMENTS(delete_of("x")));
  }
  answer_t answer = snapshot(&rig, 0, at(1));
  assert_int_equal(answer.message.state, WIRE_CHUNK_LAST);
  assert_int_equal(answer.message.element_count, VESTA_TOMBSTONES_MAX);
  must_apply(&rig.service, ELEMENTS(create("x", "")));
  must_apply(&rig.service, ELEMENTS(delete_of("x")));
  answer = snapshot(&rig, 0, at(1));
  assert_int_equal(answer.message.state, WIRE_CHUNK_LAST | WIRE_CHUNK_FULL);
  assert_int_equal(answer.message.element_count, 1);
  replica_status_t status;
  replica_status(rig.service.replica, &status);
  answer = snapshot(&rig, 0, at(status.tombstones_from));
  assert_int_equal(answer.message.state, WIRE_CHUNK_LAST);
  rig_close(&rig);
}

static void deletes_that_do_not_fit_into_one_chunk_get_everything(void **state) {
  (void)state;
  rig_t rig;
  rig_open_of(&rig, 100, 4096, VESTA_SECTION_ID_BYTES_MAX);
  must_apply(&rig.service, ELEMENTS(create("stays", "1")));
  static char id[VESTA_SECTION_ID_BYTES_MAX + 1];
  memset(id, 'i', sizeof id - 1);
  for (uint32_t i = 0; i < 1200; i++) {
    must_apply(&rig.service, ELEMENTS(create(id, "")));
    must_apply(&rig.service, ELEMENTS(delete_of(id)));
  }
  answer_t answer = snapshot(&rig, 0, at(1));
  assert_int_equal(answer.message.state, WIRE_CHUNK_LAST | WIRE_CHUNK_FULL);
  assert_int_equal(answer.message.element_count, 1);
  answer = snapshot(&rig, 0, at(1001));
  assert_int_equal(answer.message.state, WIRE_CHUNK_LAST);
  assert_int_equal(answer.message.element_count, 700);
  rig_close(&rig);
}

/* ---- history ---- */

static void history_is_the_operations_as_they_were_committed(void **state) {
  (void)state;
  rig_t rig;
  rig_open(&rig);
  must_apply(&rig.service, ELEMENTS(create("a", "one"), create("b", "two")));
  must_apply(&rig.service, ELEMENTS(write_at("b", 1, "x")));
  must_apply(&rig.service, ELEMENTS(epoch_to(3, 8)));
  must_apply(&rig.service, ELEMENTS(delete_of("a")));
  answer_t answer = history(&rig, 2, 0, at(1));
  assert_int_equal(answer.message.error, 0);
  assert_int_equal(answer.message.element_count, 3);
  const wire_element_t *e = answer.message.elements;
  assert_true(e[0].kind == VESTA_KIND_WRITTEN && e[0].seq == 2 && e[0].offset == 1 && e[0].size == 1);
  assert_true(e[1].kind == VESTA_KIND_EPOCH && e[1].seq == 3 && e[1].epoch == 3 && e[1].offset == 1 &&
              e[1].member == 8 && e[1].slot == REPLICA_NO_SLOT);
  assert_true(e[2].kind == VESTA_KIND_DELETED && e[2].seq == 4 && e[2].epoch == 3);
  answer = history(&rig, 1, 2, nowhere); /* below cursor_end */
  assert_int_equal(answer.message.element_count, 2);
  assert_true(vesta_bytes_equal(answer.payload, text("onetwo")));
  answer = history(&rig, 5, 0, nowhere); /* nothing yet */
  assert_int_equal(answer.message.error, 0);
  assert_int_equal(answer.message.element_count, 0);
  rig_close(&rig);
}

static void history_keeps_to_a_chunk_and_is_asked_on(void **state) {
  (void)state;
  rig_t rig;
  rig_open(&rig);
  static char data[4096];
  memset(data, 'h', sizeof data - 1);
  must_apply(&rig.service, ELEMENTS(create("a", data)));
  for (uint32_t i = 0; i < 99; i++) {
    must_apply(&rig.service, ELEMENTS(overwrite("a", data)));
  }
  uint64_t next = 1;
  while (next <= 100) {
    answer_t answer = history(&rig, next, 0, nowhere);
    assert_true(answer.payload.size <= VESTA_STREAM_CHUNK_BYTES && answer.message.element_count != 0);
    assert_int_equal(answer.message.elements[0].seq, next);
    next = answer.message.elements[answer.message.element_count - 1].seq + 1;
  }
  rig_close(&rig);
}

static void history_that_is_gone_is_said_to_be_lost(void **state) {
  (void)state;
  rig_t rig;
  rig_open(&rig);
  static char data[4096];
  memset(data, 'h', sizeof data - 1);
  must_apply(&rig.service, ELEMENTS(create("a", data)));
  for (uint32_t i = 0; i < 1000; i++) {
    must_apply(&rig.service, ELEMENTS(overwrite("a", data)));
  }
  replica_status_t status;
  replica_status(rig.service.replica, &status);
  assert_true(status.history_first > 1);
  answer_t answer = history(&rig, status.history_first - 1, 0, nowhere);
  assert_int_equal(answer.message.error, VESTA_ERR_LOST);
  assert_int_equal(answer.message.element_count, 0);
  answer = history(&rig, status.history_first, 0, nowhere);
  assert_int_equal(answer.message.error, 0);
  assert_true(answer.message.element_count != 0);
  rig_close(&rig);
}

static void a_position_of_another_history_is_said_to_have_diverged(void **state) {
  (void)state;
  rig_t rig;
  rig_open(&rig);
  must_apply(&rig.service, ELEMENTS(create("a", "1")));
  must_apply(&rig.service, ELEMENTS(epoch_to(4, 1)));
  must_apply(&rig.service, ELEMENTS(overwrite("a", "2")));
  vesta_pos_t old_active = at(2); /* it got further in epoch 1 than the one that succeeded it */
  answer_t answer = history(&rig, 3, 0, old_active);
  assert_int_equal(answer.message.error, VESTA_ERR_DIVERGED);
  answer = history(&rig, 2, 0, at(1));
  assert_int_equal(answer.message.error, 0);
  assert_int_equal(answer.message.element_count, 2);
  rig_close(&rig);
}

/* ---- a part of it ---- */

static void with_prefixes_there_are_only_such_sections_and_such_deletes(void **state) {
  (void)state;
  rig_t rig;
  rig_open(&rig);
  must_apply(&rig.service, ELEMENTS(create("a1", "1"), create("b1", "2"), create("a2", "3"), create("b2", "4")));
  must_apply(&rig.service, ELEMENTS(overwrite("a1", "5"), overwrite("b1", "6")));
  must_apply(&rig.service, ELEMENTS(delete_of("a2"), delete_of("b2")));
  wire_element_t prefix = {.id = text("b")};
  wire_message_t request = request_of(WIRE_SNAPSHOT_GET, 0, 0, nowhere);
  request.elements = &prefix;
  request.element_count = 1;
  answer_t answer = ask(&rig, &request);
  assert_int_equal(answer.message.state, WIRE_CHUNK_LAST);
  assert_int_equal(answer.message.element_count, 1);
  assert_true(vesta_bytes_equal(answer.message.elements[0].id, text("b1")));
  assert_true(vesta_bytes_equal(answer.payload, text("6")));
  request = request_of(WIRE_SNAPSHOT_GET, 0, 0, at(2));
  request.elements = &prefix;
  request.element_count = 1;
  answer = ask(&rig, &request);
  assert_int_equal(answer.message.element_count, 1);
  assert_int_equal(answer.message.elements[0].kind, VESTA_KIND_DELETED);
  assert_true(vesta_bytes_equal(answer.message.elements[0].id, text("b2")));
  rig_close(&rig);
}

static void so_many_prefixes_of_such_a_length_are_taken_and_no_more(void **state) {
  (void)state;
  rig_t rig;
  rig_open(&rig);
  static uint8_t longest[VESTA_SECTION_ID_BYTES_MAX + 1];
  static uint8_t head[VESTA_STREAM_REQUEST_BYTES_MAX];
  wire_element_t prefixes[VESTA_STREAM_PREFIXES_MAX + 1];
  for (uint32_t i = 0; i <= VESTA_STREAM_PREFIXES_MAX; i++) {
    prefixes[i] = (wire_element_t){.id = vesta_bytes(longest, VESTA_SECTION_ID_BYTES_MAX)};
  }
  wire_message_t request = request_of(WIRE_SNAPSHOT_GET, 0, 0, at(1));
  request.elements = prefixes;
  request.element_count = VESTA_STREAM_PREFIXES_MAX;
  size_t size = 0;
  assert_int_equal(wire_encode(&request, head, sizeof head, &size), VESTA_OK); /* it fits into one request */
  assert_int_equal(ask(&rig, &request).message.error, 0);
  request.element_count++;
  assert_int_equal(ask(&rig, &request).message.error, VESTA_ERR_INVALID_PARAM);
  request.element_count = 1;
  prefixes[0].id.size++;
  assert_int_equal(ask(&rig, &request).message.error, VESTA_ERR_INVALID_PARAM);
  prefixes[0].id.size = 0;
  assert_int_equal(ask(&rig, &request).message.error, VESTA_ERR_INVALID_PARAM);
  rig_close(&rig);
}

static void keys_only_means_sizes_and_no_payload(void **state) {
  (void)state;
  rig_t rig;
  rig_open(&rig);
  must_apply(&rig.service, ELEMENTS(create("a", "one"), create("b", "")));
  must_apply(&rig.service, ELEMENTS(overwrite("b", "three")));
  wire_message_t request = request_of(WIRE_SNAPSHOT_GET, 0, 0, nowhere);
  request.flags = WIRE_GET_KEYS;
  answer_t answer = ask(&rig, &request);
  assert_int_equal(answer.message.state, WIRE_CHUNK_LAST | WIRE_CHUNK_KEYS);
  assert_int_equal(answer.message.element_count, 2);
  assert_true(answer.message.elements[0].size == 3 && answer.message.elements[1].size == 5);
  request = request_of(WIRE_HISTORY_GET, 1, 0, nowhere);
  request.flags = WIRE_GET_KEYS;
  answer = ask(&rig, &request);
  assert_int_equal(answer.message.state, WIRE_CHUNK_KEYS);
  assert_int_equal(answer.message.element_count, 3);
  assert_true(answer.message.elements[0].size == 3 && answer.message.elements[2].size == 5);
  answer = snapshot(&rig, 0, nowhere); /* and the next one has data again */
  assert_true(vesta_bytes_equal(answer.payload, text("onethree")));
  rig_close(&rig);
}

static void any_other_request_is_refused(void **state) {
  (void)state;
  rig_t rig;
  rig_open(&rig);
  wire_message_t request = request_of(WIRE_LIST, 0, 0, nowhere);
  answer_t answer = ask(&rig, &request);
  assert_int_equal(answer.message.error, VESTA_ERR_INVALID_PARAM);
  rig_close(&rig);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_snapshot_says_all_of_a_section),
      cmocka_unit_test(an_empty_checkpoint_is_one_last_chunk),
      cmocka_unit_test(the_default_section_is_in_the_snapshot),
      cmocka_unit_test(a_section_is_sent_until_its_expiry_is_committed),
      cmocka_unit_test(a_chunk_keeps_to_its_size_and_the_next_goes_on_where_it_ended),
      cmocka_unit_test(a_chunk_has_at_least_one_section_however_large),
      cmocka_unit_test(a_delta_of_few_of_many_sections_is_one_chunk),
      cmocka_unit_test(a_chunk_looks_at_a_bounded_number_of_slots),
      cmocka_unit_test(a_cursor_beyond_the_end_gets_an_empty_last_chunk),
      cmocka_unit_test(a_delta_names_what_changed_and_what_was_deleted_since),
      cmocka_unit_test(only_the_first_chunk_of_a_delta_names_deletes),
      cmocka_unit_test(a_position_of_another_history_gets_everything),
      cmocka_unit_test(deletes_at_the_limit_of_remembering_are_a_delta_and_one_more_gets_everything),
      cmocka_unit_test(deletes_that_do_not_fit_into_one_chunk_get_everything),
      cmocka_unit_test(history_is_the_operations_as_they_were_committed),
      cmocka_unit_test(history_keeps_to_a_chunk_and_is_asked_on),
      cmocka_unit_test(history_that_is_gone_is_said_to_be_lost),
      cmocka_unit_test(a_position_of_another_history_is_said_to_have_diverged),
      cmocka_unit_test(with_prefixes_there_are_only_such_sections_and_such_deletes),
      cmocka_unit_test(so_many_prefixes_of_such_a_length_are_taken_and_no_more),
      cmocka_unit_test(keys_only_means_sizes_and_no_payload),
      cmocka_unit_test(any_other_request_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
