/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The connection that carries what nodes say: two streams with this test between them, which may change what goes by;
 * and the entrance where such connections come in.
 */
#include "daemon/peer_stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/peer_entrance.h"
#include "daemon/peer_introduction.h"
#include "test/support/deadline.h"

#define LARGE (3U << 20)

typedef struct end {
  peer_stream_t stream;
  uint64_t frames, bytes;
  bool ended;
} end_t;

static loop_t *loop;
static peer_stream_room_t room;
static end_t ends[2];
static int wires[2]; /* the test's ends */
static const uint8_t keys[2][PEER_STREAM_KEY_BYTES] = {{1, 2, 3}, {4, 5, 6}};

/* ---- the loop: turns until something is so ---- */

static bool (*wish)(void);
static int64_t wish_until_ns;

static void turn_end(void *context) {
  (void)context;
  assert_true(loop_steady_ns() < wish_until_ns);
  if (wish()) {
    loop_stop(loop);
  }
}

static int64_t turn_wake_ns(void *context) {
  (void)context;
  return wish_until_ns;
}

static void turns_until(bool (*holds)(void)) {
  const loop_turn_t turn = {.end = turn_end, .wake_ns = turn_wake_ns};
  wish = holds;
  wish_until_ns = loop_steady_ns() + TEST_DEADLINE_NS;
  if (!holds()) {
    assert_true(loop_run(loop, &turn));
  }
}

/* ---- streams ---- */

static void on_opened(void *context) { (void)context; }

static void on_frame(void *context, vesta_bytes_t head, vesta_bytes_t payload) {
  end_t *end = context;
  end->frames++;
  end->bytes += payload.size;
  assert_true(head.size > 0);
  for (size_t i = 0; i < payload.size; i += 97) {
    assert_int_equal(payload.data[i], (uint8_t)(payload.size + i));
  }
}

static void on_ended(void *context, const char *why) {
  end_t *end = context;
  assert_non_null(why);
  end->ended = true;
  peer_stream_close(&end->stream);
}

static const peer_stream_sink_t sink = {.opened = on_opened, .frame = on_frame, .ended = on_ended};

static void seal(void) {
  peer_stream_seal(&ends[0].stream, keys[0], keys[1]);
  peer_stream_seal(&ends[1].stream, keys[1], keys[0]);
}

/* Joined at once, or each with one end of its own that the test holds. */
static void join(bool apart) {
  for (int i = 0; i < 2; i++) {
    ends[i] = (end_t){.frames = 0};
    peer_stream_init(&ends[i].stream, &room, &sink, &ends[i]);
  }
  int pair[2];
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
  assert_true(peer_stream_adopt(&ends[0].stream, pair[0]));
  if (apart) {
    wires[0] = pair[1];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    wires[1] = pair[0];
  }
  assert_true(peer_stream_adopt(&ends[1].stream, pair[1]));
}

static int begin(void **state) {
  (void)state;
  loop = loop_new();
  wires[0] = wires[1] = -1;
  ends[0].stream.fd = ends[1].stream.fd = -1;
  return loop == NULL || !peer_stream_room_init(&room, loop);
}

static int end(void **state) {
  (void)state;
  for (int i = 0; i < 2; i++) {
    peer_stream_close(&ends[i].stream);
    if (wires[i] >= 0) {
      (void)close(wires[i]);
    }
  }
  assert_int_equal(room.received.held_bytes + room.waiting.held_bytes, 0);
  peer_stream_room_fini(&room);
  loop_destroy(&loop);
  return 0;
}

static size_t say(int from, size_t payload_bytes) {
  static uint8_t payload[LARGE];
  const wire_message_t message = {.kind = WIRE_PEER_ACK, .checkpoint = 1, .epoch = 1, .seq = 7};
  size_t bytes;
  for (size_t i = 0; i < payload_bytes; i++) {
    payload[i] = (uint8_t)(payload_bytes + i);
  }
  assert_true(peer_stream_send(&ends[from].stream, &message, vesta_bytes(payload, payload_bytes), &bytes));
  return bytes;
}

static const size_t sizes[] = {0, 1, 100, 4096, 65000, 65536, 300000, LARGE};
enum { SIZES = sizeof sizes / sizeof sizes[0] };

static bool all_came(void) { return ends[0].frames == 2 * SIZES && ends[1].frames == 2 * SIZES; }

static void say_all(void) {
  uint64_t bytes = 0;
  for (int round = 0; round < 2; round++) {
    for (size_t i = 0; i < SIZES; i++) {
      (void)say(0, sizes[i]);
      (void)say(1, sizes[SIZES - 1 - i]);
      bytes += sizes[i];
    }
  }
  assert_true(peer_stream_waiting_bytes(&ends[0].stream) > 0); /* more than a socket takes */
  assert_true(peer_stream_flush(&ends[0].stream) && peer_stream_flush(&ends[1].stream));
  turns_until(all_came);
  assert_int_equal(ends[0].bytes, bytes);
  assert_int_equal(ends[1].bytes, bytes);
  assert_int_equal(peer_stream_waiting_bytes(&ends[0].stream), 0);
}

static void frames_of_all_sizes_arrive_both_ways(void **state) {
  (void)state;
  join(false);
  say_all();
}

static void sealed_frames_of_all_sizes_arrive_both_ways(void **state) {
  (void)state;
  join(false);
  seal();
  say_all();
}

/* ---- what goes by ---- */

#define FRAME_MAX 512U

/* The test takes a frame that the first said. */
static size_t overhear(uint8_t frame[FRAME_MAX]) {
  (void)say(0, 50);
  assert_true(peer_stream_flush(&ends[0].stream));
  ssize_t size = recv(wires[0], frame, FRAME_MAX, 0);
  assert_in_range(size, WIRE_PREFIX_BYTES + 50, FRAME_MAX);
  return (size_t)size;
}

static void pass_on(const uint8_t *frame, size_t size) {
  assert_int_equal(send(wires[1], frame, size, MSG_NOSIGNAL), size);
}

static bool second_ended(void) { return ends[1].ended; }
static bool second_got_one(void) { return ends[1].frames == 1; }

static void a_sealed_stream_says_nothing_to_who_listens_on_the_wire(void **state) {
  (void)state;
  uint8_t frame[FRAME_MAX];
  join(true);
  seal();
  size_t size = overhear(frame);
  uint8_t plain[40];
  for (size_t i = 0; i < sizeof plain; i++) {
    plain[i] = (uint8_t)(50 + i);
  }
  assert_null(memmem(frame, size, plain, sizeof plain));
  pass_on(frame, size);
  turns_until(second_got_one);
}

static void a_sealed_frame_with_one_bit_changed_ends_the_stream_wherever_it_is(void **state) {
  (void)state;
  uint8_t frame[FRAME_MAX];
  size_t size = FRAME_MAX;
  for (size_t at = WIRE_PREFIX_BYTES; at < size; at++) {
    join(true);
    seal();
    size = overhear(frame);
    frame[at] ^= 1;
    pass_on(frame, size);
    turns_until(second_ended);
    assert_int_equal(ends[1].frames, 0);
    peer_stream_close(&ends[0].stream);
    (void)close(wires[0]);
    (void)close(wires[1]);
    wires[0] = wires[1] = -1;
  }
}

static void a_sealed_frame_whose_sizes_were_changed_ends_the_stream(void **state) {
  (void)state;
  uint8_t frame[FRAME_MAX];
  join(true);
  seal();
  size_t size = overhear(frame);
  frame[0]++; /* a byte of the payload is the head's */
  frame[4]--;
  pass_on(frame, size);
  turns_until(second_ended);
  assert_int_equal(ends[1].frames, 0);
}

static void a_sealed_frame_that_comes_twice_ends_the_stream(void **state) {
  (void)state;
  uint8_t first[FRAME_MAX];
  join(true);
  seal();
  size_t first_size = overhear(first);
  pass_on(first, first_size);
  turns_until(second_got_one);
  pass_on(first, first_size);
  turns_until(second_ended);
  assert_int_equal(ends[1].frames, 1);
}

static void a_sealed_frame_after_one_that_was_left_out_ends_the_stream(void **state) {
  (void)state;
  uint8_t frame[FRAME_MAX];
  join(true);
  seal();
  (void)overhear(frame);
  size_t size = overhear(frame);
  pass_on(frame, size);
  turns_until(second_ended);
  assert_int_equal(ends[1].frames, 0);
}

static void a_frame_of_another_key_ends_the_stream(void **state) {
  (void)state;
  uint8_t frame[FRAME_MAX];
  join(true);
  peer_stream_seal(&ends[0].stream, keys[0], keys[1]);
  peer_stream_seal(&ends[1].stream, keys[0], keys[1]); /* as if it were its own echo */
  size_t size = overhear(frame);
  pass_on(frame, size);
  turns_until(second_ended);
}

static void a_stream_whose_other_side_is_gone_ends(void **state) {
  (void)state;
  join(true);
  (void)close(wires[1]);
  wires[1] = -1;
  turns_until(second_ended);
}

/* ---- introductions ---- */

static void an_introduction_is_read_as_it_was_written_and_only_sealed_as_it_must_be(void **state) {
  (void)state;
  peer_introduction_t drawn, other, read;
  uint8_t bytes[PEER_INTRODUCTION_BYTES_MAX];
  for (int sealed = 0; sealed < 2; sealed++) {
    assert_true(peer_introduction_draw(&drawn, 0xABCD, sealed != 0));
    size_t size = peer_introduction_write(&drawn, bytes);
    assert_true(peer_introduction_read(&read, vesta_bytes(bytes, size), sealed != 0));
    assert_memory_equal(&read, &drawn, sizeof read);
    assert_false(peer_introduction_read(&read, vesta_bytes(bytes, size), sealed == 0));
    assert_false(peer_introduction_read(&read, vesta_bytes(bytes, size - 1), sealed != 0));
    assert_true(peer_introduction_draw(&other, 0xABCD, sealed != 0));
    assert_true(peer_introduction_has_token(&drawn, drawn.token));
    assert_false(peer_introduction_has_token(&drawn, other.token));
  }
}

/* ---- the entrance ---- */

static const uint8_t good_token[PEER_TOKEN_BYTES] = {1, 2, 3, 4};
static int shown_fd = -1;
static peer_entrance_t *entrance;
static uint32_t turned_away;

static bool shown(void *context, const uint8_t token[PEER_TOKEN_BYTES], int fd) {
  (void)context;
  if (memcmp(token, good_token, PEER_TOKEN_BYTES) != 0) {
    return false;
  }
  shown_fd = fd;
  return true;
}

static bool comes_from_here;

static bool expects(void *context, const char *address) {
  (void)context;
  assert_string_equal(address, "127.0.0.1");
  return comes_from_here;
}

static void entrance_begin(void) {
  turned_away = 0;
  shown_fd = -1;
  entrance = peer_entrance_open(loop, "tcp://127.0.0.1:65535", shown, expects, NULL); /* there is no next one */
  assert_non_null(entrance);
}

static int come_in(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  address.sin_port = htons(peer_entrance_port(entrance));
  assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
  return fd;
}

static bool somebody_is_taken(void) { return shown_fd >= 0; }
static bool one_is_turned_away(void) {
  turned_away += peer_entrance_turn(entrance, loop_steady_ns());
  return turned_away == 1;
}

static void who_shows_a_good_token_is_taken_and_all_others_are_turned_away_and_counted(void **state) {
  (void)state;
  static const uint8_t bad[PEER_TOKEN_BYTES] = {1, 2, 3, 5};
  entrance_begin();
  peer_entrance_admit(entrance, true);
  int fd = come_in();
  assert_int_equal(send(fd, good_token, 5, 0), 5);
  assert_int_equal(send(fd, good_token + 5, PEER_TOKEN_BYTES - 5, 0), PEER_TOKEN_BYTES - 5);
  turns_until(somebody_is_taken);
  int stranger = come_in();
  assert_int_equal(send(stranger, bad, sizeof bad, 0), sizeof bad);
  turns_until(one_is_turned_away);
  assert_true(peer_entrance_wake_ns(entrance) == INT64_MAX);
  (void)close(stranger);
  (void)close(fd);
  (void)close(shown_fd);
  peer_entrance_close(&entrance);
}

/* As many as there may be, and one more. */
static void guests_come(int guests[VESTA_PEER_ENTRANCE_MAX + 1]) {
  entrance_begin();
  peer_entrance_admit(entrance, true);
  for (uint32_t i = 0; i <= VESTA_PEER_ENTRANCE_MAX; i++) {
    guests[i] = come_in();
  }
  turns_until(one_is_turned_away);
}

static void guests_go(const int guests[VESTA_PEER_ENTRANCE_MAX + 1]) {
  turned_away += peer_entrance_turn(entrance, loop_steady_ns() + PEER_ENTRANCE_NS); /* all, when it is time */
  assert_int_equal(turned_away, VESTA_PEER_ENTRANCE_MAX + 1);
  for (uint32_t i = 0; i <= VESTA_PEER_ENTRANCE_MAX; i++) {
    (void)close(guests[i]);
  }
  peer_entrance_close(&entrance);
}

static void
guests_without_a_token_at_the_limit_may_stay_and_one_more_who_is_expected_makes_the_oldest_go(void **state) {
  (void)state;
  int guests[VESTA_PEER_ENTRANCE_MAX + 1];
  char byte;
  comes_from_here = true;
  guests_come(guests);
  assert_int_equal(recv(guests[0], &byte, 1, 0), 0);
  assert_int_equal(recv(guests[1], &byte, 1, MSG_DONTWAIT), -1);
  guests_go(guests);
}

static void guests_at_the_limit_may_stay_when_one_comes_whom_nobody_expects(void **state) {
  (void)state;
  int guests[VESTA_PEER_ENTRANCE_MAX + 1];
  char byte;
  comes_from_here = false;
  guests_come(guests);
  assert_int_equal(recv(guests[VESTA_PEER_ENTRANCE_MAX], &byte, 1, 0), 0);
  assert_int_equal(recv(guests[0], &byte, 1, MSG_DONTWAIT), -1);
  guests_go(guests);
}

static uint32_t rounds;

static void on_round(void *context, uint32_t events) {
  (void)context;
  (void)events;
  rounds++;
}

static bool two_rounds_are_over(void) { return rounds >= 2; }

static void nobody_is_let_in_while_nobody_is_expected(void **state) {
  (void)state;
  entrance_begin();
  int fd = come_in(); /* in the kernel's queue */
  assert_int_equal(send(fd, good_token, PEER_TOKEN_BYTES, 0), PEER_TOKEN_BYTES);
  loop_source_t always = {0};
  int ready = eventfd(1, EFD_CLOEXEC);
  rounds = 0;
  assert_true(loop_add(loop, &always, ready, EPOLLIN, on_round, &rounds));
  turns_until(two_rounds_are_over);
  loop_remove(loop, &always);
  (void)close(ready);
  assert_true(shown_fd < 0);
  peer_entrance_admit(entrance, true);
  turns_until(somebody_is_taken);
  (void)close(fd);
  (void)close(shown_fd);
  peer_entrance_close(&entrance);
}

static void the_entrance_is_at_the_next_port_and_at_any_when_that_is_taken(void **state) {
  (void)state;
  char endpoint[64];
  peer_entrance_t *first = peer_entrance_open(loop, "tcp://127.0.0.1:65535", shown, expects, NULL);
  assert_non_null(first);
  (void)snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%d", peer_entrance_port(first) - 1);
  peer_entrance_t *second = peer_entrance_open(loop, endpoint, shown, expects, NULL);
  assert_non_null(second);
  assert_int_not_equal(peer_entrance_port(second), peer_entrance_port(first));
  uint16_t port = peer_entrance_port(first);
  peer_entrance_close(&first);
  first = peer_entrance_open(loop, endpoint, shown, expects, NULL);
  assert_int_equal(peer_entrance_port(first), port);
  peer_entrance_close(&first);
  peer_entrance_close(&second);
  assert_null(peer_entrance_open(loop, "ipc:///nowhere", shown, expects, NULL));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(frames_of_all_sizes_arrive_both_ways),
      CASE(sealed_frames_of_all_sizes_arrive_both_ways),
      CASE(a_sealed_stream_says_nothing_to_who_listens_on_the_wire),
      CASE(a_sealed_frame_with_one_bit_changed_ends_the_stream_wherever_it_is),
      CASE(a_sealed_frame_whose_sizes_were_changed_ends_the_stream),
      CASE(a_sealed_frame_that_comes_twice_ends_the_stream),
      CASE(a_sealed_frame_after_one_that_was_left_out_ends_the_stream),
      CASE(a_frame_of_another_key_ends_the_stream),
      CASE(a_stream_whose_other_side_is_gone_ends),
      cmocka_unit_test(an_introduction_is_read_as_it_was_written_and_only_sealed_as_it_must_be),
      CASE(who_shows_a_good_token_is_taken_and_all_others_are_turned_away_and_counted),
      CASE(guests_without_a_token_at_the_limit_may_stay_and_one_more_who_is_expected_makes_the_oldest_go),
      CASE(guests_at_the_limit_may_stay_when_one_comes_whom_nobody_expects),
      CASE(nobody_is_let_in_while_nobody_is_expected),
      CASE(the_entrance_is_at_the_next_port_and_at_any_when_that_is_taken),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
