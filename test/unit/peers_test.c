/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The links between nodes: two of them in this process, over TCP on the loopback interface.
 */
#include "daemon/peers.h"

#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <czmq.h>

#include <cmocka.h>

#include "core/limits.h"
#include "daemon/curve_keys.h"
#include "daemon/log.h"
#include "daemon/strangers.h"
#include "test/support/deadline.h"

#define QUEUE_BYTES (1U << 20)

typedef struct side {
  uint32_t id;
  char endpoint[64];
  peers_t *peers;
  uint32_t ups;
  uint64_t next; /* number of the next message that is to come; 0: any */
  uint64_t received;
  uint64_t said; /* by ask() */
  size_t payload;
  uint64_t incarnation;
} side_t;

static side_t sides[2];
static loop_t *loop;
static uint64_t incarnation;

static void side_up(void *context, uint32_t node) {
  side_t *side = context;
  assert_int_equal(node, side->id == 1 ? 2 : 1);
  side->ups++;
  side->next = 0;
}

static void side_received(void *context, uint32_t node, const wire_message_t *message, vesta_bytes_t payload) {
  side_t *side = context;
  assert_int_equal(node, side->id == 1 ? 2 : 1);
  assert_int_equal(message->kind, WIRE_PEER_ACK);
  assert_true(side->next == 0 || message->seq == side->next); /* on one link nothing is missing */
  side->next = message->seq + 1;
  side->received++;
  side->payload = payload.size;
}

/* ---- the loop: turns until something is so ---- */

typedef struct wish {
  bool (*holds)(void);
  int64_t deadline_ns;
} wish_t;

static void turn_end(void *context) {
  wish_t *wish = context;
  for (int i = 0; i < 2; i++) {
    if (sides[i].peers != NULL) {
      peers_flush(sides[i].peers, loop_steady_ns());
      while (peers_turn(sides[i].peers, loop_steady_ns())) {
      }
    }
  }
  if (wish->holds()) {
    loop_stop(loop);
  } else if (loop_steady_ns() > wish->deadline_ns) {
    fail_msg("waited too long");
  }
}

static int64_t turn_wake_ns(void *context) {
  wish_t *wish = context;
  int64_t wake_ns = wish->deadline_ns + 1;
  for (int i = 0; i < 2; i++) {
    if (sides[i].peers != NULL && peers_wake_ns(sides[i].peers) < wake_ns) {
      wake_ns = peers_wake_ns(sides[i].peers);
    }
  }
  return wake_ns;
}

static void turns_until(bool (*holds)(void)) {
  wish_t wish = {.holds = holds, .deadline_ns = loop_steady_ns() + TEST_DEADLINE_NS};
  loop_turn_t turn = {.context = &wish, .end = turn_end, .wake_ns = turn_wake_ns};
  turn_end(&wish);
  assert_true(loop_run(loop, &turn));
}

/* ---- sides ---- */

/* A port of the loopback interface that is free now. */
static void endpoint_choose(side_t *side) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof address;
  int probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(bind(probe, (struct sockaddr *)&address, sizeof address), 0);
  assert_int_equal(getsockname(probe, (struct sockaddr *)&address, &size), 0);
  (void)snprintf(side->endpoint, sizeof side->endpoint, "tcp://127.0.0.1:%d", ntohs(address.sin_port));
  (void)close(probe);
}

static void side_begin(uint32_t id, const char *key, const char *keys) {
  char why[256];
  side_t *side = &sides[id - 1];
  peers_config_t config = {.node_id = id,
                           .incarnation = ++incarnation,
                           .queue_bytes_max = QUEUE_BYTES,
                           .awake_ns = TEST_DEADLINE_NS,
                           .listen = side->endpoint,
                           .key_file = key,
                           .keys_dir = keys,
                           .context = side,
                           .up = side_up,
                           .received = side_received};
  vesta_err_t err = peers_open(&config, loop, &side->peers, why, sizeof why);
  for (int tries = 0; err == VESTA_ERR_NO_RESOURCES && tries < 100; tries++) { /* somebody else has it by now */
    endpoint_choose(side);
    err = peers_open(&config, loop, &side->peers, why, sizeof why);
  }
  assert_int_equal(err, VESTA_OK);
}

static void choose(void) {
  for (uint32_t i = 0; i < 2; i++) {
    sides[i] = (side_t){.id = i + 1};
    endpoint_choose(&sides[i]);
  }
}

static void begin_zmq(void) {
  zsys_init();
  zsys_handler_set(NULL);
  loop = loop_new();
}

static int begin(void **state) {
  (void)state;
  choose();
  begin_zmq();
  return 0;
}

static int end(void **state) {
  (void)state;
  peers_close(sides[0].peers);
  peers_close(sides[1].peers);
  zsys_shutdown();
  peers_destroy(&sides[0].peers);
  peers_destroy(&sides[1].peers);
  loop_destroy(&loop);
  return 0;
}

static void introduce(void) {
  peers_set(sides[0].peers, 2, sides[1].endpoint);
  peers_set(sides[1].peers, 1, sides[0].endpoint);
}

static void say_as(uint32_t from, uint64_t number, size_t payload, bool awaited) {
  static const uint8_t zeros[QUEUE_BYTES + 1];
  wire_message_t message = {.kind = WIRE_PEER_ACK, .checkpoint = 1, .epoch = 1, .seq = number};
  peers_send(sides[from - 1].peers, from == 1 ? 2 : 1, &message, vesta_bytes(zeros, payload), awaited);
}

static void say(uint32_t from, uint64_t number, size_t payload) { say_as(from, number, payload, true); }

static bool both_are_up(void) { return sides[0].ups == 1 && sides[1].ups == 1; }
static bool both_are_up_twice(void) { return sides[0].ups >= 2 && sides[1].ups >= 2; }
static bool both_got_a_hundred(void) { return sides[0].received == 100 && sides[1].received == 100; }
static bool the_first_got_one(void) { return sides[0].received == 1; }
static bool the_second_got_two(void) { return sides[1].received == 2; }
static bool somebody_was_refused(void) { return peers_counter(sides[0].peers, PEERS_COUNTER_PEER_REFUSED) > 0; }

/* Two sides without keys, and the link between them. */
static void both_begin(void) {
  side_begin(1, NULL, NULL);
  side_begin(2, NULL, NULL);
  introduce();
  turns_until(both_are_up);
}

/* ---- rules ---- */

static void what_is_said_on_a_link_arrives_in_its_order_on_the_other_side(void **state) {
  (void)state;
  side_begin(1, NULL, NULL);
  side_begin(2, NULL, NULL);
  introduce();
  say(1, 1, 0); /* there is no link yet */
  turns_until(both_are_up);
  assert_true(peers_is_up(sides[0].peers, 2) && peers_is_up(sides[1].peers, 1));
  for (uint64_t i = 1; i <= 100; i++) {
    say(1, i, i * 100);
    say(2, i, 0);
  }
  turns_until(both_got_a_hundred);
  assert_int_equal(sides[1].payload, 10000);
  assert_int_equal(peers_counter(sides[0].peers, PEERS_COUNTER_PEER_DROPPED), 1);
}

static void what_nobody_waits_for_goes_before_what_is_said_next_or_by_itself(void **state) {
  (void)state;
  both_begin();
  say_as(2, 1, 0, false);
  peers_flush(sides[1].peers, loop_steady_ns());
  assert_true(peers_counter(sides[1].peers, PEERS_COUNTER_PEER_HELD_BYTES) > 0);
  turns_until(the_first_got_one); /* nothing else is said */
  say_as(1, 1, 0, false);
  say(1, 2, 0);
  peers_flush(sides[0].peers, loop_steady_ns());
  assert_int_equal(peers_counter(sides[0].peers, PEERS_COUNTER_PEER_HELD_BYTES), 0);
  turns_until(the_second_got_two);
}

/* The first side asks at that time, and has an answer after a moment. */
static void ask(int64_t now_ns) {
  sides[0].received = 0;
  say(1, ++sides[0].said, 0);
  peers_flush(sides[0].peers, now_ns);
  say(2, ++sides[1].said, 0);
}

static void who_answers_at_once_is_waited_for_awake_and_who_is_slow_is_not(void **state) {
  (void)state;
  both_begin();
  int64_t now_ns = loop_steady_ns();
  ask(now_ns);
  assert_true(peers_awake_ns(sides[0].peers) < now_ns); /* nobody knows yet how fast it is */
  turns_until(the_first_got_one);
  ask(now_ns);
  assert_true(peers_awake_ns(sides[0].peers) == now_ns + TEST_DEADLINE_NS);
  turns_until(the_first_got_one);
  assert_true(peers_awake_ns(sides[0].peers) < now_ns); /* nothing is asked for */
  assert_int_equal(peers_counter(sides[0].peers, PEERS_COUNTER_PEER_AWAKE), 1);
  ask(now_ns - TEST_DEADLINE_NS);
  turns_until(the_first_got_one);
  ask(now_ns);
  assert_true(peers_awake_ns(sides[0].peers) < now_ns); /* the last one took too long */
  turns_until(the_first_got_one);
  assert_int_equal(peers_counter(sides[0].peers, PEERS_COUNTER_PEER_AWAKE), 1);
}

static void who_owes_an_answer_for_long_is_waited_for_awake_no_more(void **state) {
  (void)state;
  both_begin();
  int64_t now_ns = loop_steady_ns();
  ask(now_ns);
  turns_until(the_first_got_one);
  say(1, ++sides[0].said, 0);
  peers_flush(sides[0].peers, now_ns);
  say(1, ++sides[0].said, 0);
  peers_flush(sides[0].peers, now_ns + 1); /* nor would it have had the time */
  assert_true(peers_awake_ns(sides[0].peers) == now_ns + 1 + TEST_DEADLINE_NS);
  say(1, ++sides[0].said, 0);
  peers_flush(sides[0].peers, now_ns + 1 + TEST_DEADLINE_NS);
  assert_true(peers_awake_ns(sides[0].peers) < now_ns); /* nothing has come */
}

static void a_node_that_comes_back_has_a_new_link(void **state) {
  (void)state;
  both_begin();
  peers_set(sides[1].peers, 1, "tcp://127.0.0.1:1"); /* ended, and tried elsewhere in vain, */
  peers_set(sides[1].peers, 1, sides[0].endpoint);   /* until it is where it was */
  turns_until(both_are_up_twice);
  say(1, 7, 0);
  say(2, 9, 0);
  turns_until(the_first_got_one);
}

static void a_link_holds_as_much_as_the_limit_and_is_given_up_with_one_byte_more(void **state) {
  (void)state;
  both_begin();
  say(2, 1, QUEUE_BYTES);
  assert_int_equal(peers_counter(sides[1].peers, PEERS_COUNTER_PEER_LINKS_FULL), 0);
  turns_until(the_first_got_one);
  assert_int_equal(sides[0].payload, QUEUE_BYTES);
  say(2, 2, QUEUE_BYTES + 1);
  assert_int_equal(peers_counter(sides[1].peers, PEERS_COUNTER_PEER_LINKS_FULL), 1);
  assert_false(peers_is_up(sides[1].peers, 1));
  turns_until(both_are_up_twice);
  say(1, 2, QUEUE_BYTES + 1); /* who listens gives it up as well */
  assert_int_equal(peers_counter(sides[0].peers, PEERS_COUNTER_PEER_LINKS_FULL), 1);
}

static bool the_second_is_gone(void) { return !peers_is_up(sides[0].peers, 2); }

static void a_node_whose_clock_was_put_back_has_a_link_again(void **state) {
  (void)state;
  incarnation += 100;
  both_begin();
  peers_close(sides[1].peers);
  peers_destroy(&sides[1].peers);
  turns_until(the_second_is_gone);
  incarnation -= 100;
  endpoint_choose(&sides[1]); /* ZeroMQ gives a port back when it comes to it */
  side_begin(2, NULL, NULL);
  introduce();
  turns_until(both_are_up_twice);
}

/* ---- strangers ---- */

static int stranger_connect(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
  address.sin_port = htons((uint16_t)strtoul(strrchr(sides[0].endpoint, ':') + 1, NULL, 10));
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
  return fd;
}

static bool a_connection_was_refused(void) {
  return peers_counter(sides[0].peers, PEERS_COUNTER_PEER_LINKS_REFUSED) > 0;
}

static void so_many_connections_are_let_in_at_the_port_and_one_more_is_not(void **state) {
  (void)state;
  static int strangers[VESTA_PEER_DOOR_LINKS_MAX + 1];
  side_begin(1, NULL, NULL);
  for (uint32_t i = 0; i <= VESTA_PEER_DOOR_LINKS_MAX; i++) {
    assert_false(a_connection_was_refused());
    strangers[i] = stranger_connect();
  }
  struct pollfd last = {.fd = strangers[VESTA_PEER_DOOR_LINKS_MAX], .events = POLLRDHUP};
  assert_int_equal(poll(&last, 1, TEST_DEADLINE_MS), 1);
  assert_int_equal(peers_counter(sides[0].peers, PEERS_COUNTER_PEER_LINKS_REFUSED), 1);
  for (uint32_t i = 0; i <= VESTA_PEER_DOOR_LINKS_MAX; i++) {
    (void)close(strangers[i]);
  }
}

static void a_connection_that_ends_before_it_is_in_is_counted_as_refused(void **state) {
  (void)state;
  side_begin(1, NULL, NULL);
  (void)close(stranger_connect());
  turns_until(somebody_was_refused);
}

#define STRANGE_HELLOS (2 * LOG_LINES_PER_SECOND_MAX)

static bool all_were_refused(void) {
  return peers_counter(sides[0].peers, PEERS_COUNTER_PEER_REFUSED) == STRANGE_HELLOS;
}

static bool something_was_malformed(void) { return peers_counter(sides[0].peers, PEERS_COUNTER_PEER_MALFORMED) > 0; }

static zsock_t *stranger_begin(void) {
  char identity[22] = "V.a.stranger.........";
  zsock_t *stranger = zsock_new(ZMQ_DEALER);
  zsock_set_linger(stranger, 0);
  assert_int_equal(zmq_setsockopt(zsock_resolve(stranger), ZMQ_ROUTING_ID, identity, 21), 0);
  assert_int_equal(zsock_connect(stranger, "%s", sides[0].endpoint), 0);
  return stranger;
}

static void stranger_says_hello(zsock_t *stranger) {
  uint8_t hello[256];
  size_t head;
  const wire_message_t message = {.kind = WIRE_PEER_HELLO, .node = 77, .incarnation = 1, .number = 1};
  assert_int_equal(wire_encode(&message, hello + WIRE_PREFIX_BYTES, 128, &head), VESTA_OK);
  wire_prefix_encode(hello, (uint32_t)head, 0);
  assert_true(zmq_send(zsock_resolve(stranger), hello, WIRE_PREFIX_BYTES + head, 0) >= 0);
}

static void a_stranger_who_introduces_itself_again_and_again_does_not_fill_the_log(void **state) {
  (void)state;
  uint64_t suppressed = log_suppressed();
  side_begin(1, NULL, NULL);
  peers_set(sides[0].peers, 2, sides[1].endpoint);
  zsock_t *stranger = stranger_begin();
  for (uint32_t i = 0; i < STRANGE_HELLOS; i++) {
    stranger_says_hello(stranger);
  }
  turns_until(all_were_refused);
  assert_int_equal(log_suppressed(), suppressed);
  zsock_destroy(&stranger);
}

static void nobody_is_strange_before_it_is_known_which_nodes_there_are(void **state) {
  (void)state;
  side_begin(1, NULL, NULL);
  zsock_t *stranger = stranger_begin();
  stranger_says_hello(stranger);
  assert_true(zmq_send(zsock_resolve(stranger), "x", 1, 0) >= 0);
  turns_until(something_was_malformed); /* so the hello was taken */
  assert_false(somebody_was_refused());
  zsock_destroy(&stranger);
}

/* ---- keys ---- */

static void keys_write(char directory[64], uint32_t node, bool known) {
  char path[128], public_key[41], secret_key[41];
  assert_int_equal(zmq_curve_keypair(public_key, secret_key), 0);
  (void)snprintf(path, sizeof path, "%s/key-%u", directory, node);
  FILE *file = fopen(path, "we");
  assert_non_null(file);
  (void)fprintf(file, "public %s\nsecret %s\n", public_key, secret_key);
  (void)fclose(file);
  assert_int_equal(chmod(path, 0600), 0);
  (void)snprintf(path, sizeof path, "%s/%u.pub", directory, node);
  file = known ? fopen(path, "we") : NULL;
  if (file != NULL) {
    (void)fprintf(file, "%s\n", public_key);
    (void)fclose(file);
  }
}

static void keys_remove(const char directory[64]) {
  static const char *const names[] = {"key-1", "key-2", "1.pub", "2.pub"};
  char path[128];
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    (void)snprintf(path, sizeof path, "%s/%s", directory, names[i]);
    (void)unlink(path);
  }
  (void)rmdir(directory);
}

static bool never(void) { return false; }

static void begin_side_with_key(uint32_t node, const char directory[64]) {
  char key[80];
  (void)snprintf(key, sizeof key, "%s/key-%u", directory, node);
  begin_zmq();
  side_begin(node, key, directory);
  peers_set(sides[node - 1].peers, 3 - node, sides[2 - node].endpoint);
}

/* The second one is a process of its own: ZeroMQ knows one allow-list in each. */
static pid_t begin_with_keys(char directory[64], bool known) {
  (void)strcpy(directory, "/tmp/vesta-keys-XXXXXX");
  assert_non_null(mkdtemp(directory));
  choose();
  keys_write(directory, 1, true);
  keys_write(directory, 2, known);
  pid_t second = fork();
  assert_true(second >= 0);
  if (second == 0) {
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    begin_side_with_key(2, directory);
    turns_until(never);
    _exit(1);
  }
  begin_side_with_key(1, directory);
  return second;
}

static void end_with_keys(pid_t second, const char directory[64]) {
  assert_int_equal(kill(second, SIGKILL), 0);
  assert_int_equal(waitpid(second, NULL, 0), second);
  keys_remove(directory);
}

static bool the_first_is_up(void) { return sides[0].ups == 1; }

static void nodes_whose_keys_are_known_have_a_link(void **state) {
  (void)state;
  char directory[64];
  pid_t second = begin_with_keys(directory, true);
  turns_until(the_first_is_up);
  end_with_keys(second, directory);
}

static void a_node_whose_key_is_not_known_is_refused_and_counted(void **state) {
  (void)state;
  char directory[64];
  pid_t second = begin_with_keys(directory, false);
  turns_until(somebody_was_refused);
  assert_int_equal(sides[0].ups, 0);
  end_with_keys(second, directory);
}

static void a_key_that_others_can_read_is_refused(void **state) {
  (void)state;
  char directory[64] = "/tmp/vesta-keys-XXXXXX";
  char key[80], why[256];
  peers_t *peers = NULL;
  assert_non_null(mkdtemp(directory));
  keys_write(directory, 1, true);
  (void)snprintf(key, sizeof key, "%s/key-1", directory);
  assert_int_equal(chmod(key, 0640), 0);
  peers_config_t config = {.node_id = 1, .listen = sides[0].endpoint, .key_file = key, .keys_dir = directory};
  assert_int_equal(peers_open(&config, loop, &peers, why, sizeof why), VESTA_ERR_ACCESS);
  assert_non_null(strstr(why, "chmod 600"));
  keys_remove(directory);
}

/* What ZeroMQ asks when somebody comes with a key. @return the code of the answer */
static int key_answer(curve_keys_t *keys, const char *text, int64_t now_ns) {
  uint8_t key[32];
  assert_non_null(zmq_z85_decode(key, text));
  zsock_t *asker = zsock_new_req(">inproc://zeromq.zap.01");
  assert_non_null(asker);
  assert_int_equal(
      zsock_send(asker, "ssssssb", "1.0", "1", CURVE_KEYS_DOMAIN, "10.0.0.1", "", "CURVE", key, sizeof key), 0);
  (void)curve_keys_turn(keys, now_ns);
  char *version = NULL, *number = NULL, *code = NULL;
  assert_int_equal(zsock_recv(asker, "sss", &version, &number, &code), 0);
  int answer = atoi(code);
  zstr_free(&version);
  zstr_free(&number);
  zstr_free(&code);
  zsock_destroy(&asker);
  return answer;
}

static void a_node_whose_key_was_removed_is_not_let_in_again(void **state) {
  (void)state;
  const int64_t second = INT64_C(1000000000);
  char directory[64] = "/tmp/vesta-keys-XXXXXX";
  char path[80], key[41], why[256];
  strangers_t strangers = {0};
  curve_keys_t *keys = NULL;
  assert_non_null(mkdtemp(directory));
  keys_write(directory, 1, true);
  keys_write(directory, 2, true);
  (void)snprintf(path, sizeof path, "%s/2.pub", directory);
  FILE *file = fopen(path, "re");
  assert_non_null(file);
  assert_int_equal(fscanf(file, "%40s", key), 1);
  (void)fclose(file);
  (void)snprintf(path, sizeof path, "%s/key-1", directory);
  const curve_keys_config_t config = {.context = zsys_init(),
                                      .key_file = path,
                                      .keys_dir = directory,
                                      .keys_max = VESTA_NODES_MAX,
                                      .of_nodes = true,
                                      .strangers = &strangers};
  assert_int_equal(curve_keys_open(&config, &keys, why, sizeof why), VESTA_OK);
  assert_int_equal(key_answer(keys, key, second), 200);
  assert_true(curve_keys_has(keys, "2", second));
  (void)snprintf(path, sizeof path, "%s/2.pub", directory);
  assert_int_equal(unlink(path), 0);
  assert_int_equal(key_answer(keys, key, 2 * second), 400);
  assert_false(curve_keys_has(keys, "2", 2 * second));
  curve_keys_close(&keys);
  keys_remove(directory);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(what_is_said_on_a_link_arrives_in_its_order_on_the_other_side, begin, end),
      cmocka_unit_test_setup_teardown(what_nobody_waits_for_goes_before_what_is_said_next_or_by_itself, begin, end),
      cmocka_unit_test_setup_teardown(who_answers_at_once_is_waited_for_awake_and_who_is_slow_is_not, begin, end),
      cmocka_unit_test_setup_teardown(who_owes_an_answer_for_long_is_waited_for_awake_no_more, begin, end),
      cmocka_unit_test_setup_teardown(a_node_that_comes_back_has_a_new_link, begin, end),
      cmocka_unit_test_setup_teardown(a_link_holds_as_much_as_the_limit_and_is_given_up_with_one_byte_more, begin, end),
      cmocka_unit_test_setup_teardown(a_node_whose_clock_was_put_back_has_a_link_again, begin, end),
      cmocka_unit_test_setup_teardown(so_many_connections_are_let_in_at_the_port_and_one_more_is_not, begin, end),
      cmocka_unit_test_setup_teardown(a_connection_that_ends_before_it_is_in_is_counted_as_refused, begin, end),
      cmocka_unit_test_setup_teardown(a_stranger_who_introduces_itself_again_and_again_does_not_fill_the_log, begin,
                                      end),
      cmocka_unit_test_setup_teardown(nobody_is_strange_before_it_is_known_which_nodes_there_are, begin, end),
      cmocka_unit_test_setup_teardown(nodes_whose_keys_are_known_have_a_link, NULL, end),
      cmocka_unit_test_setup_teardown(a_node_whose_key_is_not_known_is_refused_and_counted, NULL, end),
      cmocka_unit_test_setup_teardown(a_node_whose_key_was_removed_is_not_let_in_again, begin, end),
      cmocka_unit_test_setup_teardown(a_key_that_others_can_read_is_refused, begin, end),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
