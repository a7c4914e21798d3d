/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The subscriber's wish for the hash of the content: asked for until it comes, and handed out at its very place.
 */
#include "notify/hash_server.h"

#include "test/unit/stream_fixture.h"

static const int64_t second_ns = 1000 * MS;
static const subscriber_config_t from_snapshot = {.start = SUBSCRIBER_FROM_SNAPSHOT};

/* Live, with nothing to hand out. */
static void rig_open_live(rig_t *rig) {
  rig_open(rig);
  rig_write(rig, ELEMENTS(create("a", "1"), create("b", "2")));
  rig_subscribe(rig, &from_snapshot);
  (void)rig_settle(rig);
  notify_change_t change;
  while (subscriber_next(rig->subscriber, &change)) {
  }
  assert_true(rig_status(rig).synced);
}

static void rig_asks(rig_t *rig, wire_message_t *request) {
  assert_true(subscriber_request(rig->subscriber, rig->now_ns, request));
  assert_int_equal(request->kind, WIRE_HASH_GET);
  assert_int_equal(request->checkpoint, CHECKPOINT);
  assert_int_equal(request->token_hi, 1);
}

static void rig_asks_nothing(rig_t *rig) {
  wire_message_t request;
  assert_false(subscriber_request(rig->subscriber, rig->now_ns, &request));
}

static void rig_replies(rig_t *rig, const wire_message_t *request, vesta_err_t err) {
  wire_message_t reply = {.kind = WIRE_HASH_REPLY, .number = request->number, .checkpoint = CHECKPOINT, .error = err};
  uint8_t head[128];
  size_t size = 0;
  assert_int_equal(wire_encode(&reply, head, sizeof head, &size), VESTA_OK);
  assert_int_equal(subscriber_answered(rig->subscriber, vesta_bytes(head, size), vesta_bytes(NULL, 0), rig->now_ns),
                   VESTA_OK);
}

/* The service publishes a hash: of no content, but of its position. */
static void rig_publishes(rig_t *rig, uint64_t hash) {
  content_t content = {.position = rig_committed(rig), .hash = {.lo = hash}, .section_count = 2};
  publisher_content(rig->publisher, CHECKPOINT, &content);
}

static void rig_next_is_hash(rig_t *rig, uint64_t hash, uint64_t seq) {
  notify_change_t change = rig_next(rig, NOTIFY_HASH);
  content_hash_t told;
  assert_true(content_hash_read(change.data, &told));
  assert_int_equal(told.lo, hash);
  assert_int_equal(change.offset, 2);
  assert_int_equal(change.position.seq, seq);
}

static void a_hash_is_handed_out_behind_what_it_is_of_and_before_what_comes_later(void **state) {
  (void)state;
  rig_t rig;
  wire_message_t request;
  rig_open_live(&rig);
  rig_asks_nothing(&rig);
  subscriber_want_hash(rig.subscriber, rig.now_ns);
  rig_asks(&rig, &request);
  rig_replies(&rig, &request, VESTA_OK);
  rig_write(&rig, ELEMENTS(overwrite("a", "x")));
  rig_publishes(&rig, 77);
  rig_write(&rig, ELEMENTS(overwrite("a", "y")));
  rig_hear_all(&rig);
  uint32_t kind = 0;
  rig_next_is(&rig, VESTA_KIND_OVERWRITTEN, "a", "x");
  assert_true(subscriber_peek(rig.subscriber, &kind) && kind == NOTIFY_HASH);
  assert_true(rig_status(&rig).synced);
  rig_next_is_hash(&rig, 77, 2);
  assert_true(rig_status(&rig).synced); /* it changes nothing */
  assert_int_equal(rig_status(&rig).handed_out.seq, 2);
  assert_true(subscriber_peek(rig.subscriber, &kind) && kind == VESTA_KIND_OVERWRITTEN);
  rig_next_is(&rig, VESTA_KIND_OVERWRITTEN, "a", "y");
  assert_false(subscriber_peek(rig.subscriber, &kind));
  rig.now_ns += second_ns; /* once was asked for */
  rig_asks_nothing(&rig);
  rig_close(&rig);
}

static void who_did_not_ask_gets_none(void **state) {
  (void)state;
  rig_t rig;
  rig_open_live(&rig);
  rig_publishes(&rig, 77);
  rig_hear_all(&rig);
  rig_next_is_none(&rig);
  rig_close(&rig);
}

static void a_hash_that_comes_while_operations_are_missing_is_let_go_and_asked_for_again(void **state) {
  (void)state;
  rig_t rig;
  wire_message_t request;
  rig_open_live(&rig);
  subscriber_want_hash(rig.subscriber, rig.now_ns);
  rig_asks(&rig, &request);
  rig_write(&rig, ELEMENTS(overwrite("a", "x")));
  rig_lose(&rig);
  rig_publishes(&rig, 77);
  rig_hear_all(&rig);
  rig_next_is_none(&rig);
  assert_true(subscriber_request(rig.subscriber, rig.now_ns, &request));
  assert_int_equal(request.kind, WIRE_HISTORY_GET);
  rig_answer(&rig, &request);
  rig_next_is(&rig, VESTA_KIND_OVERWRITTEN, "a", "x");
  rig_asks_nothing(&rig);
  rig.now_ns += second_ns;
  assert_in_range(subscriber_wake_ns(rig.subscriber), 0, rig.now_ns);
  rig_asks(&rig, &request);
  rig_publishes(&rig, 78);
  rig_hear_all(&rig);
  rig_next_is_hash(&rig, 78, 2);
  rig_close(&rig);
}

static void it_is_not_asked_for_before_the_snapshot_is_complete(void **state) {
  (void)state;
  rig_t rig;
  wire_message_t request;
  rig_open(&rig);
  rig_write(&rig, ELEMENTS(create("a", "1")));
  rig_subscribe(&rig, &from_snapshot);
  subscriber_want_hash(rig.subscriber, rig.now_ns);
  rig_asks_nothing(&rig);
  rig_hear_all(&rig);
  assert_true(subscriber_request(rig.subscriber, rig.now_ns, &request));
  assert_int_equal(request.kind, WIRE_SNAPSHOT_GET);
  rig_publishes(&rig, 77); /* another one asked for it */
  rig_hear_all(&rig);
  rig_answer(&rig, &request);
  rig_asks(&rig, &request);
  notify_change_t change;
  while (subscriber_next(rig.subscriber, &change)) {
    assert_int_not_equal(change.kind, NOTIFY_HASH);
  }
  rig_close(&rig);
}

static void a_refusal_is_told_and_not_repeated(void **state) {
  (void)state;
  rig_t rig;
  wire_message_t request, later;
  rig_open_live(&rig);
  subscriber_want_hash(rig.subscriber, rig.now_ns);
  rig_asks(&rig, &request);
  rig_replies(&rig, &request, VESTA_ERR_TRY_AGAIN); /* that is none */
  rig.now_ns += second_ns;
  rig_asks(&rig, &later);
  rig_replies(&rig, &request, VESTA_ERR_NO_RESOURCES); /* of a request that was given up */
  assert_int_equal(subscriber_hash_refusal(rig.subscriber), VESTA_OK);
  rig_replies(&rig, &later, VESTA_ERR_NO_RESOURCES);
  assert_int_equal(subscriber_hash_refusal(rig.subscriber), VESTA_ERR_NO_RESOURCES);
  rig.now_ns += second_ns;
  rig_asks_nothing(&rig);
  subscriber_want_hash(rig.subscriber, rig.now_ns);
  assert_int_equal(subscriber_hash_refusal(rig.subscriber), VESTA_OK);
  rig_asks(&rig, &request);
  rig_close(&rig);
}

static void a_token_that_is_not_known_any_more_is_renewed(void **state) {
  (void)state;
  rig_t rig;
  wire_message_t request;
  rig_open_live(&rig);
  subscriber_want_hash(rig.subscriber, rig.now_ns);
  for (int again = 0; again < 3; again++) {
    rig_asks(&rig, &request);
    rig_replies(&rig, &request, VESTA_ERR_ACCESS);
    rig_asks_nothing(&rig);
    assert_true(subscriber_silent(rig.subscriber, rig.now_ns));
    subscriber_resubscribed(rig.subscriber, (vesta_token_t){.hi = 1, .lo = 9}, rig.now_ns);
    rig_subscription(&rig, true, NOTIFY_CLASS_DATA, CHECKPOINT);
    rig_hear_all(&rig);
    rig.now_ns += second_ns;
    rig_asks(&rig, &request);
    assert_int_equal(request.token_lo, 9);
    rig_replies(&rig, &request, VESTA_OK);
    rig.now_ns += second_ns;
  }
  assert_true(rig_status(&rig).synced);
  rig_close(&rig);
}

static void what_has_turned_out_to_be_wrong_is_lost_and_comes_anew(void **state) {
  (void)state;
  rig_t rig;
  rig_open_live(&rig);
  rig_write(&rig, ELEMENTS(overwrite("a", "x")));
  rig_hear_all(&rig);
  subscriber_resync(rig.subscriber);
  assert_false(rig_status(&rig).synced);
  (void)rig_settle(&rig);
  rig_next_is(&rig, VESTA_KIND_OVERWRITTEN, "a", "x"); /* it was there before */
  notify_change_t lost = rig_next(&rig, NOTIFY_LOST);
  assert_int_equal(lost.reason, VESTA_ERR_MALFORMED);
  notify_change_t begin = rig_next(&rig, NOTIFY_RESYNC_BEGIN);
  assert_true(begin.full);
  rig_next_is(&rig, VESTA_KIND_CREATED, "a", "x");
  rig_next_is(&rig, VESTA_KIND_CREATED, "b", "2");
  (void)rig_next(&rig, NOTIFY_RESYNC_END);
  (void)rig_next(&rig, NOTIFY_SYNCED);
  assert_true(rig_status(&rig).synced);
  rig_close(&rig);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_hash_is_handed_out_behind_what_it_is_of_and_before_what_comes_later),
      cmocka_unit_test(who_did_not_ask_gets_none),
      cmocka_unit_test(a_hash_that_comes_while_operations_are_missing_is_let_go_and_asked_for_again),
      cmocka_unit_test(it_is_not_asked_for_before_the_snapshot_is_complete),
      cmocka_unit_test(a_refusal_is_told_and_not_repeated),
      cmocka_unit_test(a_token_that_is_not_known_any_more_is_renewed),
      cmocka_unit_test(what_has_turned_out_to_be_wrong_is_lost_and_comes_anew),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
