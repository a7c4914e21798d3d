/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Clients that behave badly, or are unlucky: vestad copes, counts it, and serves everybody else meanwhile.
 */
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/support/raw_link.h"
#include "test/support/vestad_process.h"

static vestad_place_t place;
static pid_t vestad;

static int daemon_set_up(void **state) {
  (void)state;
  vestad_place_make(&place);
  vestad = vestad_start(&place, NULL, NULL);
  return vestad > 0 ? 0 : -1;
}

/* Whatever a test did to it, it serves and ends cleanly. */
static int daemon_tear_down(void **state) {
  (void)state;
  bool serves = raw_counter(place.socket, "sessions") >= 0;
  int code = vestad_end(vestad, SIGTERM);
  vestad_place_remove(&place);
  return serves && code == 0 ? 0 : -1;
}

static void links_open(raw_link_t *link, vesta_token_t *token) {
  *token = (vesta_token_t){0};
  assert_true(raw_link_open(link, place.socket));
  assert_int_equal(raw_link_hello(link, token), VESTA_OK);
}

static void random_bytes_end_their_own_link_only(void **state) {
  (void)state;
  raw_link_t good;
  vesta_token_t token;
  uint64_t handle = 0;
  links_open(&good, &token);
  srand(1);
  for (int round = 0; round < 200; round++) {
    raw_link_t bad;
    uint8_t bytes[512];
    size_t size = 1 + (size_t)rand() % sizeof bytes;
    for (size_t i = 0; i < size; i++) {
      bytes[i] = (uint8_t)rand();
    }
    if (round % 2 == 1) { /* a prefix that is plausible, so that the head is looked at */
      wire_prefix_encode(bytes, (uint32_t)(size > 16 ? size - 16 : 1), 0);
      size = size > 16 ? size : 9;
    }
    assert_true(raw_link_open(&bad, place.socket));
    (void)raw_link_put(&bad, bytes, size, -1);
    (void)shutdown(bad.fd, SHUT_WR);
    assert_true(raw_link_ended(&bad));
    raw_link_close(&bad);
  }
  assert_int_equal(raw_link_checkpoint(&good, "fine", &handle), VESTA_OK);
  assert_true(raw_counter(place.socket, "links_malformed") >= 100);
  raw_link_close(&good);
}

static void a_message_that_no_agent_sends_ends_the_link(void **state) {
  (void)state;
  const uint64_t kinds[] = {WIRE_REPLY, WIRE_CALLBACK, WIRE_OP_SESSION_END, WIRE_OP_REMOVE, WIRE_CHANGES, WIRE_BEACON};
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
    raw_link_t link;
    vesta_token_t token;
    links_open(&link, &token);
    wire_message_t message = {.kind = kinds[i], .token_hi = token.hi, .token_lo = token.lo, .checkpoint = 1};
    assert_true(raw_link_send(&link, &message, vesta_bytes(NULL, 0), -1));
    assert_true(raw_link_ended(&link));
    raw_link_close(&link);
  }
  assert_int_equal(raw_counter(place.socket, "links_malformed"), sizeof kinds / sizeof kinds[0]);
}

static void a_prefix_of_4_gib_ends_the_link_and_costs_no_memory(void **state) {
  (void)state;
  const uint8_t huge[2][8] = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, {16, 0, 0, 0, 0xff, 0xff, 0xff, 0xff}};
  for (int i = 0; i < 2; i++) {
    raw_link_t link;
    assert_true(raw_link_open(&link, place.socket));
    assert_true(raw_link_put(&link, huge[i], sizeof huge[i], -1));
    assert_true(raw_link_ended(&link));
    raw_link_close(&link);
  }
  assert_int_equal(raw_counter(place.socket, "links_malformed"), 2);
  assert_int_equal(raw_counter(place.socket, "held_bytes"), 0);
}

static void half_a_message_waits_for_its_other_half(void **state) {
  (void)state;
  raw_link_t link;
  vesta_token_t token;
  wire_message_t reply;
  uint8_t frame[256];
  size_t size = 0;
  links_open(&link, &token);
  wire_message_t list = {.kind = WIRE_LIST, .number = 77};
  assert_int_equal(wire_encode(&list, frame + WIRE_PREFIX_BYTES, sizeof frame - WIRE_PREFIX_BYTES, &size), VESTA_OK);
  wire_prefix_encode(frame, (uint32_t)size, 0);
  size += WIRE_PREFIX_BYTES;
  for (size_t cut = 1; cut < size; cut++) { /* everywhere, the prefix too */
    assert_true(raw_link_put(&link, frame, cut, -1));
    assert_true(raw_counter_reaches(place.socket, "held_bytes", 1)); /* it has the first half */
    assert_true(raw_link_put(&link, frame + cut, size - cut, -1));
    assert_true(raw_link_receive(&link, &reply, NULL));
    assert_int_equal(reply.number, 77);
    assert_int_equal(raw_counter(place.socket, "held_bytes"), 0);
  }
  assert_true(raw_link_put(&link, frame, size / 2, -1));
  raw_link_close(&link); /* and one that never comes is forgotten with its link */
  assert_true(raw_counter_reaches(place.socket, "links_accepted", 3));
  assert_true(raw_counter_falls_to(place.socket, "held_bytes", 0));
}

static void many_messages_in_one_piece_are_answered_in_turn(void **state) {
  (void)state;
  enum { MESSAGES = 2000 };
  raw_link_t link;
  vesta_token_t token;
  wire_message_t reply;
  static uint8_t frames[MESSAGES * 64];
  size_t end = 0;
  links_open(&link, &token);
  for (uint64_t i = 1; i <= MESSAGES; i++) {
    size_t size = 0;
    wire_message_t list = {.kind = WIRE_LIST, .number = 1000 + i};
    assert_int_equal(wire_encode(&list, frames + end + WIRE_PREFIX_BYTES, 48, &size), VESTA_OK);
    wire_prefix_encode(frames + end, (uint32_t)size, 0);
    end += WIRE_PREFIX_BYTES + size;
  }
  assert_true(raw_link_put(&link, frames, end, -1));
  for (uint64_t i = 1; i <= MESSAGES; i++) {
    assert_true(raw_link_receive(&link, &reply, NULL));
    assert_int_equal(reply.number, 1000 + i);
  }
  raw_link_close(&link);
}

static void another_major_version_is_told_so(void **state) {
  (void)state;
  raw_link_t link;
  wire_message_t reply;
  wire_message_t hello = {.kind = WIRE_HELLO, .version = (WIRE_MAJOR + 1) << 16};
  assert_true(raw_link_open(&link, place.socket));
  assert_true(raw_link_send(&link, &hello, vesta_bytes(NULL, 0), -1));
  assert_true(raw_link_receive(&link, &reply, NULL));
  assert_int_equal(reply.error, VESTA_ERR_VERSION);
  assert_int_equal(reply.number, hello.number);
  assert_true(raw_link_ended(&link));
  raw_link_close(&link);
}

static void a_kind_of_a_newer_version_is_told_so_and_the_link_goes_on(void **state) {
  (void)state;
  raw_link_t link;
  vesta_token_t token;
  wire_message_t reply;
  uint64_t handle = 0;
  uint8_t frame[256];
  size_t size;
  links_open(&link, &token);
  wire_message_t known = {.kind = WIRE_INFO, .number = 1000};
  assert_int_equal(wire_encode(&known, frame + WIRE_PREFIX_BYTES, sizeof frame - WIRE_PREFIX_BYTES, &size), VESTA_OK);
  uint8_t *kind = memchr(frame + WIRE_PREFIX_BYTES, WIRE_INFO, size); /* a fixint, and no other byte is the same */
  assert_non_null(kind);
  *kind = 31;
  wire_prefix_encode(frame, (uint32_t)size, 0);
  assert_true(raw_link_put(&link, frame, WIRE_PREFIX_BYTES + size, -1));
  assert_true(raw_link_receive(&link, &reply, NULL));
  assert_int_equal(reply.error, VESTA_ERR_VERSION);
  assert_int_equal(reply.number, 1000);
  assert_int_equal(raw_link_checkpoint(&link, "goes on", &handle), VESTA_OK);
  assert_int_equal(raw_counter(place.socket, "messages_unknown"), 1);
  assert_int_equal(raw_counter(place.socket, "links_malformed"), 0);
  raw_link_close(&link);
}

static void a_client_that_never_reads_is_cut_off_and_nobody_else_notices(void **state) {
  (void)state;
  enum { SECTION = 1 << 20 };
  raw_link_t greedy;
  raw_link_t good;
  vesta_token_t token;
  uint64_t handle = 0;
  static uint8_t data[SECTION];
  links_open(&greedy, &token);
  links_open(&good, &token);
  assert_int_equal(raw_link_checkpoint(&greedy, "large", &handle), VESTA_OK);
  assert_int_equal(raw_link_create(&greedy, handle, "a", vesta_bytes(data, sizeof data)), VESTA_OK);
  bool alive = true;
  for (int i = 0; i < 200 && alive; i++) { /* 200 MiB of answers, and the bound is 64 */
    wire_message_t read = {.kind = WIRE_READ, .handle = handle, .id = vesta_bytes("a", 1), .size = SECTION};
    alive = raw_link_send(&greedy, &read, vesta_bytes(NULL, 0), -1);
    assert_int_equal(raw_link_checkpoint(&good, "other", &handle), VESTA_OK);
    wire_message_t close = {.kind = WIRE_CLOSE, .handle = handle};
    wire_message_t reply;
    assert_int_equal(raw_link_call(&good, &close, vesta_bytes(NULL, 0), &reply, NULL), VESTA_OK);
    handle = 1;
  }
  assert_int_equal(raw_counter(place.socket, "links_slow"), 1);
  assert_int_equal(raw_counter(place.socket, "held_bytes"), 0);
  assert_true(vestad_logged(&place, "VESTA-LINK-SLOW"));
  raw_link_close(&greedy);
  raw_link_close(&good);
}

static void a_large_answer_reaches_a_slow_reader_whole(void **state) {
  (void)state;
  enum { SECTION = 1 << 20, READS = 30 };
  raw_link_t link;
  vesta_token_t token;
  uint64_t handle = 0;
  static uint8_t data[SECTION];
  links_open(&link, &token);
  for (size_t i = 0; i < sizeof data; i++) {
    data[i] = (uint8_t)(i * 31 >> 3);
  }
  assert_int_equal(raw_link_checkpoint(&link, "large", &handle), VESTA_OK);
  assert_int_equal(raw_link_create(&link, handle, "a", vesta_bytes(data, sizeof data)), VESTA_OK);
  for (int i = 0; i < READS; i++) {
    wire_message_t read = {.kind = WIRE_READ, .handle = handle, .id = vesta_bytes("a", 1), .size = SECTION};
    assert_true(raw_link_send(&link, &read, vesta_bytes(NULL, 0), -1));
  }
  wire_message_t map = {.kind = WIRE_MAP, .handle = handle};
  assert_true(raw_link_send(&link, &map, vesta_bytes(NULL, 0), -1));
  assert_true(raw_counter_reaches(place.socket, "held_bytes", 10 * SECTION));
  for (int i = 0; i < READS; i++) {
    wire_message_t reply;
    vesta_bytes_t payload;
    assert_true(raw_link_receive(&link, &reply, &payload));
    assert_true(vesta_bytes_equal(payload, vesta_bytes(data, sizeof data)));
  }
  wire_message_t reply;
  assert_true(raw_link_receive(&link, &reply, NULL));
  assert_int_equal(reply.number, map.number);
  assert_true(link.attached >= 0); /* the descriptor waited in the queue as well */
  assert_int_equal(raw_counter(place.socket, "held_bytes"), 0);
  raw_link_close(&link);
}

static void a_replica_is_handed_out_read_only(void **state) {
  (void)state;
  raw_link_t link;
  vesta_token_t token;
  uint64_t handle = 0;
  wire_message_t reply;
  struct stat status;
  links_open(&link, &token);
  assert_int_equal(raw_link_checkpoint(&link, "state", &handle), VESTA_OK);
  wire_message_t map = {.kind = WIRE_MAP, .handle = handle};
  assert_int_equal(raw_link_call(&link, &map, vesta_bytes(NULL, 0), &reply, NULL), VESTA_OK);
  assert_true(link.attached >= 0);
  assert_int_equal(fstat(link.attached, &status), 0);
  assert_true((uint64_t)status.st_size == reply.size);
  assert_int_equal(fcntl(link.attached, F_GETFL) & O_ACCMODE, O_RDONLY);
  assert_int_equal(pwrite(link.attached, "x", 1, 0), -1);
  assert_int_equal(ftruncate(link.attached, 0), -1);
  raw_link_close(&link);
}

static void a_client_killed_with_checkpoints_open_is_cleaned_up(void **state) {
  (void)state;
  int told[2];
  assert_int_equal(pipe2(told, O_CLOEXEC), 0);
  pid_t client = fork();
  if (client == 0) {
    bool good = true;
    for (int i = 0; i < 3; i++) { /* three sessions of one process, two handles each */
      raw_link_t link;
      vesta_token_t token = {0};
      uint64_t handle = 0;
      good = good && raw_link_open(&link, place.socket) && raw_link_hello(&link, &token) == VESTA_OK &&
             raw_link_checkpoint(&link, "one", &handle) == VESTA_OK &&
             raw_link_checkpoint(&link, "two", &handle) == VESTA_OK;
    }
    (void)!write(told[1], good ? "y" : "n", 1);
    (void)pause();
    _exit(0);
  }
  char answer = 0;
  assert_int_equal(read(told[0], &answer, 1), 1);
  assert_int_equal(answer, 'y');
  (void)close(told[0]);
  (void)close(told[1]);
  assert_int_equal(raw_counter(place.socket, "sessions"), 3);
  assert_int_equal(raw_counter(place.socket, "handles"), 6);
  assert_int_equal(raw_counter(place.socket, "processes_watched"), 1);
  assert_int_equal(vestad_end(client, SIGKILL), -1);
  assert_true(raw_counter_falls_to(place.socket, "sessions", 0));
  assert_int_equal(raw_counter(place.socket, "handles"), 0);
  assert_int_equal(raw_counter(place.socket, "processes_watched"), 0);
}

static void a_session_outlives_its_link_as_long_as_its_process_lives(void **state) {
  (void)state;
  raw_link_t link;
  vesta_token_t token;
  uint64_t handle = 0;
  links_open(&link, &token);
  assert_int_equal(raw_link_checkpoint(&link, "state", &handle), VESTA_OK);
  uint64_t number = link.number;
  raw_link_close(&link);
  assert_true(raw_counter_falls_to(place.socket, "links", 1)); /* the one that asks */
  assert_int_equal(raw_counter(place.socket, "sessions"), 1);
  assert_true(raw_link_open(&link, place.socket));
  link.number = number;
  assert_int_equal(raw_link_hello(&link, &token), VESTA_OK);
  assert_int_equal(raw_link_create(&link, handle, "a", vesta_bytes("x", 1)), VESTA_OK);
  raw_link_close(&link);
}

static void the_pidfd_of_another_process_is_not_taken(void **state) {
  (void)state;
  raw_link_t link;
  wire_message_t reply;
  assert_true(raw_link_open(&link, place.socket));
  wire_message_t hello = {.kind = WIRE_HELLO, .pid = 1};
  int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
  assert_true(raw_link_send(&link, &hello, vesta_bytes(NULL, 0), null));
  assert_true(raw_link_receive(&link, &reply, NULL));
  assert_int_equal(reply.error, VESTA_OK);
  assert_int_equal(raw_counter(place.socket, "processes_watched"), 0);
  assert_int_equal(raw_counter(place.socket, "sessions"), 1);
  raw_link_close(&link);
  assert_true(raw_counter_falls_to(place.socket, "sessions", 0)); /* so the end of its link is its end */
  (void)close(null);
}

static void another_user_is_refused_with_the_reason(void **state) {
  (void)state;
  if (geteuid() != 0) {
    skip();
  }
  assert_int_equal(chmod(place.socket, 0666), 0); /* or the kernel would refuse already */
  assert_int_equal(chmod(place.run_dir, 0711), 0);
  pid_t stranger = fork();
  if (stranger == 0) {
    raw_link_t link;
    vesta_token_t token = {0};
    bool denied = setgid(65534) == 0 && setuid(65534) == 0 && raw_link_open(&link, place.socket) &&
                  raw_link_hello(&link, &token) == VESTA_ERR_DENIED && raw_link_ended(&link);
    _exit(denied ? 0 : 1);
  }
  assert_int_equal(vestad_wait(stranger), 0);
  assert_int_equal(raw_counter(place.socket, "links_denied"), 1);
  assert_true(vestad_logged(&place, "VESTA-LINK-DENIED"));
}

static void members_of_the_group_are_served_when_there_is_one(void **state) {
  (void)state;
  const gid_t nobody = 65534;
  const struct group *group = getgrgid(nobody);
  struct stat status;
  if (geteuid() != 0 || group == NULL) {
    skip();
  }
  assert_int_equal(vestad_end(vestad, SIGTERM), 0);
  vestad = vestad_start(&place, (const char *const[]){"--group", group->gr_name, NULL}, NULL);
  assert_true(vestad > 0);
  assert_int_equal(stat(place.run_dir, &status), 0);
  assert_int_equal(status.st_mode & 0777, 0750);
  assert_int_equal(stat(place.socket, &status), 0);
  assert_int_equal(status.st_mode & 0777, 0660);
  for (int member = 0; member < 2; member++) {
    pid_t user = fork();
    if (user == 0) {
      raw_link_t link;
      vesta_token_t token = {0};
      bool served = setgroups(0, NULL) == 0 && setgid(member == 1 ? nobody : 12345) == 0 && setuid(nobody) == 0 &&
                    raw_link_open(&link, place.socket) && raw_link_hello(&link, &token) == VESTA_OK;
      _exit(served ? 1 : 0);
    }
    assert_int_equal(vestad_wait(user), member);
  }
}

#define link_test(test) cmocka_unit_test_setup_teardown(test, daemon_set_up, daemon_tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      link_test(random_bytes_end_their_own_link_only),
      link_test(a_message_that_no_agent_sends_ends_the_link),
      link_test(a_prefix_of_4_gib_ends_the_link_and_costs_no_memory),
      link_test(half_a_message_waits_for_its_other_half),
      link_test(many_messages_in_one_piece_are_answered_in_turn),
      link_test(another_major_version_is_told_so),
      link_test(a_kind_of_a_newer_version_is_told_so_and_the_link_goes_on),
      link_test(a_client_that_never_reads_is_cut_off_and_nobody_else_notices),
      link_test(a_large_answer_reaches_a_slow_reader_whole),
      link_test(a_replica_is_handed_out_read_only),
      link_test(a_client_killed_with_checkpoints_open_is_cleaned_up),
      link_test(a_session_outlives_its_link_as_long_as_its_process_lives),
      link_test(the_pidfd_of_another_process_is_not_taken),
      link_test(another_user_is_refused_with_the_reason),
      link_test(members_of_the_group_are_served_when_there_is_one),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
