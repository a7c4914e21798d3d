/* SPDX-License-Identifier: BSD-2-Clause
 *
 * samples/hotkv against a real vestad: what clients are answered, and what becomes of them when members end, hand over
 * or lose the service. ./dev demo-hotkv does it under load.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/support/daemon_fixture.h"

#define MEMBERS_MAX 4

typedef struct member {
  pid_t pid;
  FILE *output;
} member_t;

static int port_holder; /* bound and never listening: keeps the port ours */
static char port[8];
static member_t members[MEMBERS_MAX];
static size_t member_count;

/* ---- members ---- */

static int set_up(void **state) {
  (void)state;
  const int on = 1;
  struct sockaddr_in address = {.sin_family = AF_INET};
  socklen_t size = sizeof address;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  port_holder = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  (void)setsockopt(port_holder, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  (void)setsockopt(port_holder, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  if (bind(port_holder, (struct sockaddr *)&address, size) != 0 ||
      getsockname(port_holder, (struct sockaddr *)&address, &size) != 0) {
    return -1;
  }
  (void)snprintf(port, sizeof port, "%d", ntohs(address.sin_port));
  daemon_fixture_open(&daemon_of_test);
  return 0;
}

static void kill_member(member_t *member) {
  if (member->pid > 0) {
    (void)kill(member->pid, SIGKILL);
    (void)waitpid(member->pid, NULL, 0);
    (void)fclose(member->output);
    member->pid = 0;
  }
}

static int tear_down(void **state) {
  (void)state;
  for (size_t i = 0; i < member_count; i++) {
    kill_member(&members[i]);
  }
  member_count = 0;
  daemon_fixture_close(&daemon_of_test);
  (void)close(port_holder);
  return 0;
}

static member_t *start_with(const char *keys, const char *heartbeat_ms) {
  char path[512];
  int ends[2];
  member_t *member = &members[member_count++];
  assert_true(member_count <= MEMBERS_MAX);
  (void)snprintf(path, sizeof path, "%s/hotkv", getenv("VESTA_TEST_SAMPLES_DIR"));
  assert_int_equal(pipe(ends), 0);
  member->pid = fork();
  assert_true(member->pid >= 0);
  if (member->pid == 0) {
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)dup2(ends[1], STDOUT_FILENO);
    (void)close(ends[0]);
    (void)close(ends[1]);
    (void)execl(path, "hotkv", "--port", port, "--keys", keys, "--value-bytes", "100",
                heartbeat_ms == NULL ? (char *)NULL : "--heartbeat", heartbeat_ms, (char *)NULL);
    _exit(127);
  }
  (void)close(ends[1]);
  member->output = fdopen(ends[0], "re");
  assert_non_null(member->output);
  setvbuf(member->output, NULL, _IONBF, 0); /* so that poll() tells of each line */
  return member;
}

static member_t *start(const char *keys) { return start_with(keys, NULL); }

/* Read what a member says until it says this. */
static void wait_for(const member_t *member, const char *wanted) {
  char line[256] = "";
  while (strstr(line, wanted) == NULL) {
    struct pollfd output = {.fd = fileno(member->output), .events = POLLIN};
    if (poll(&output, 1, TEST_DEADLINE_MS) != 1 || fgets(line, sizeof line, member->output) == NULL) {
      fail_msg("a member does not become %s", wanted);
    }
  }
}

static member_t *start_active(void) {
  member_t *member = start("1000");
  wait_for(member, "ACTIVE");
  return member;
}

static member_t *start_standby(void) {
  member_t *member = start("1000");
  wait_for(member, "SYNCED");
  return member;
}

/* ---- clients ---- */

/* -1: nobody listens */
static int try_connect(void) {
  const struct timeval limit = {.tv_sec = TEST_DEADLINE_MS / 1000};
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
    (void)close(fd);
    return -1;
  }
  return fd;
}

static int connect_client(void) {
  int fd = try_connect();
  assert_true(fd >= 0);
  return fd;
}

static void say(int client, const char *request, size_t size) {
  assert_int_equal(send(client, request, size, MSG_NOSIGNAL), size);
}

static void hear(int client, const char *expected, size_t size) {
  char heard[4096];
  size_t count = 0;
  assert_true(size <= sizeof heard);
  while (count < size) {
    ssize_t received = recv(client, heard + count, size - count, 0);
    if (received <= 0) {
      fail_msg("heard %.*s instead of %s", (int)count, heard, expected);
    }
    count += (size_t)received;
  }
  assert_memory_equal(heard, expected, size);
}

static void ask(int client, const char *request, const char *expected) {
  say(client, request, strlen(request));
  hear(client, expected, strlen(expected));
}

static void assert_closed(int client) {
  char byte;
  ssize_t received = recv(client, &byte, 1, 0);
  assert_true(received == 0 || (received < 0 && errno == ECONNRESET));
  (void)close(client);
}

/* Repeat a request until it is answered so. */
static void ask_until(int client, const char *request, const char *expected) {
  char heard[256] = "";
  int64_t deadline_ns = daemon_fixture_now_ns() + TEST_DEADLINE_NS;
  while (strcmp(heard, expected) != 0) {
    if (daemon_fixture_now_ns() > deadline_ns) {
      fail_msg("still heard %s instead of %s", heard, expected);
    }
    say(client, request, strlen(request));
    ssize_t received = recv(client, heard, sizeof heard - 1, 0);
    assert_true(received > 0);
    heard[received] = '\0';
  }
}

/* ---- what clients are answered ---- */

static void commands_are_answered_as_redis_does(void **state) {
  (void)state;
  const struct {
    const char *request, *reply;
  } script[] = {
      {"PING\r\n", "+PONG\r\n"},
      {"*2\r\n$4\r\nping\r\n$2\r\nhi\r\n", "$2\r\nhi\r\n"},
      {"ECHO hi\r\n", "$2\r\nhi\r\n"},
      {"GET k\r\n", "$-1\r\n"},
      {"SET k v\r\n", "+OK\r\n"},
      {"GET k\r\n", "$1\r\nv\r\n"},
      {"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n", "+OK\r\n"},
      {"GET k\r\n", "$0\r\n\r\n"},
      {"INCR k\r\n", "-ERR value is not an integer or out of range\r\n"},
      {"INCR n\r\n", ":1\r\n"},
      {"INCR n\r\n", ":2\r\n"},
      {"SET n 9223372036854775807\r\n", "+OK\r\n"},
      {"INCR n\r\n", "-ERR increment or decrement would overflow\r\n"},
      {"DBSIZE\r\n", ":2\r\n"},
      {"EXISTS k n nobody\r\n", ":2\r\n"},
      {"DEL k nobody n\r\n", ":2\r\n"},
      {"DBSIZE\r\n", ":0\r\n"},
      {"TTL k\r\n", ":-2\r\n"},
      {"EXPIRE k 10\r\n", ":0\r\n"},
      {"SET k v\r\n", "+OK\r\n"},
      {"TTL k\r\n", ":-1\r\n"},
      {"EXPIRE k 100\r\n", ":1\r\n"},
      {"TTL k\r\n", ":100\r\n"},
      {"EXPIRE k 9223372036854775807\r\n", ":1\r\n"},
      {"TTL k\r\n", ":-1\r\n"},
      {"EXPIRE k -1\r\n", ":1\r\n"},
      {"GET k\r\n", "$-1\r\n"},
      {"SET k v EX 100\r\n", "+OK\r\n"},
      {"INCR k\r\n", "-ERR value is not an integer or out of range\r\n"},
      {"SET k 7 PX 100000\r\n", "+OK\r\n"},
      {"INCR k\r\n", ":8\r\n"},
      {"TTL k\r\n", ":100\r\n"}, /* INCR leaves it */
      {"SET k v\r\n", "+OK\r\n"},
      {"TTL k\r\n", ":-1\r\n"}, /* SET does not */
      {"SET k v EX 0\r\n", "-ERR invalid expire time in 'set' command\r\n"},
      {"SET k v EX x\r\n", "-ERR value is not an integer or out of range\r\n"},
      {"SET k v EX\r\n", "-ERR syntax error\r\n"},
      {"SET k v NX\r\n", "-ERR syntax error\r\n"},
      {"SET k\r\n", "-ERR wrong number of arguments for 'set' command\r\n"},
      {"GET k k\r\n", "-ERR wrong number of arguments for 'get' command\r\n"},
      {"LPUSH k v\r\n", "-ERR unknown command 'LPUSH'\r\n"},
      {"COMMAND DOCS\r\n", "*0\r\n"},
      {"CONFIG GET save\r\n", "*2\r\n$4\r\nsave\r\n$0\r\n\r\n"},
      {"SELECT 0\r\n", "+OK\r\n"},
      {"SELECT 1\r\n", "-ERR there is database 0 alone\r\n"},
      {"GET k\r\n", "$1\r\nv\r\n"},
      {"QUIT\r\n", "+OK\r\n"},
  };
  (void)start_active();
  int client = connect_client();
  for (size_t i = 0; i < sizeof script / sizeof script[0]; i++) {
    ask(client, script[i].request, script[i].reply);
  }
  assert_closed(client);
}

static void requests_in_one_piece_or_in_many_are_answered_in_order(void **state) {
  (void)state;
  const char *requests =
      "SET a 1\r\nSET b 1\r\nSET a 2\r\nSET b 22\r\nSET a 3\r\nGET a\r\nINCR a\r\nSET a 5\r\nSET a\r\n"
      "SET c 1\r\nSET c 2\r\nGET b\r\nGET a\r\nGET c\r\n";
  const char *replies = "+OK\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n$1\r\n3\r\n:4\r\n+OK\r\n"
                        "-ERR wrong number of arguments for 'set' command\r\n"
                        "+OK\r\n+OK\r\n$2\r\n22\r\n$1\r\n5\r\n$1\r\n2\r\n";
  (void)start_active();
  int client = connect_client();
  for (int i = 0; i < 3; i++) { /* keys are new, then known */
    ask(client, requests, replies);
  }
  for (const char *byte = requests; *byte != '\0'; byte++) {
    say(client, byte, 1);
  }
  hear(client, replies, strlen(replies));
  (void)close(client);
}

static void keys_and_values_have_limits(void **state) {
  (void)state;
  char key[252];
  char value[102];
  char request[512];
  memset(key, 'k', sizeof key);
  memset(value, 'v', sizeof value);
  (void)start_active();
  int client = connect_client();
  (void)snprintf(request, sizeof request, "SET %.250s %.100s\r\n", key, value);
  ask(client, request, "+OK\r\n");
  (void)snprintf(request, sizeof request, "SET %.251s v\r\n", key);
  ask(client, request, "-ERR a key can't be longer than 250 bytes\r\n");
  (void)snprintf(request, sizeof request, "SET k %.101s\r\n", value);
  ask(client, request, "-ERR the value is too long, see value_bytes_max in INFO\r\n");
  ask(client, "*3\r\n$3\r\nSET\r\n$0\r\n\r\n$1\r\nv\r\n", "-ERR a key can't be empty\r\n");
  (void)snprintf(request, sizeof request, "GET %.251s\r\n", key);
  ask(client, request, "$-1\r\n");
  ask(client, "DBSIZE\r\n", ":1\r\n");
  (void)close(client);
}

static void a_full_store_refuses_new_keys_and_goes_on(void **state) {
  (void)state;
  wait_for(start("2"), "ACTIVE");
  int client = connect_client();
  ask(client, "SET a 1\r\nSET b 1\r\nSET c 1\r\nSET a 2\r\n",
      "+OK\r\n+OK\r\n-OOM no room for more keys or values, see keys_max in INFO\r\n+OK\r\n");
  ask(client, "DEL b\r\nSET c 3\r\nGET c\r\nDBSIZE\r\n", ":1\r\n+OK\r\n$1\r\n3\r\n:2\r\n");
  (void)close(client);
}

static void keys_expire(void **state) {
  (void)state;
  (void)start_active();
  int client = connect_client();
  ask(client, "SET long v PX 100000\r\nSET short v PX 30\r\n", "+OK\r\n+OK\r\n");
  ask_until(client, "GET short\r\n", "$-1\r\n");
  ask(client, "GET long\r\n", "$1\r\nv\r\n");
  ask(client, "SET short again\r\nGET short\r\nTTL short\r\n", "+OK\r\n$5\r\nagain\r\n:-1\r\n");
  ask(client, "SET short v PX 1\r\n", "+OK\r\n");
  ask_until(client, "DBSIZE\r\n", ":1\r\n"); /* it is swept out although nobody asks for it */
  (void)close(client);
}

static void garbage_ends_one_connection_and_no_other(void **state) {
  (void)state;
  (void)start_active();
  int good = connect_client();
  int bad = connect_client();
  ask(bad, "SET k v\r\n*1\r\n$x\r\n", "+OK\r\n-ERR Protocol error: invalid bulk length\r\n");
  assert_closed(bad);
  ask(good, "GET k\r\n", "$1\r\nv\r\n");
  (void)close(good);
}

static void a_client_that_does_not_read_its_replies_harms_nobody(void **state) {
  (void)state;
  char requests[60 * 1000];
  unsigned sent = 0;
  (void)start_active();
  int lazy = connect_client();
  int good = connect_client();
  ask(good, "SET k vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv\r\n",
      "+OK\r\n");
  for (size_t i = 0; i < sizeof requests; i += 6) {
    memcpy(requests + i, "GET k\n", 6);
  }
  ssize_t taken;
  while ((taken = send(lazy, requests, sizeof requests, MSG_NOSIGNAL | MSG_DONTWAIT)) == (ssize_t)sizeof requests) {
    sent++;
    assert_true(sent < 10000); /* else it is read from for ever */
    ask(good, "PING\r\n", "+PONG\r\n");
  }
  ask(good, "PING\r\n", "+PONG\r\n");
  size_t replies = (sent * sizeof requests + (taken > 0 ? (size_t)taken : 0)) / 6;
  char reply[128];
  ask(good, "GET k\r\n", "$90\r\n");
  hear(good, "vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv\r\n", 92);
  for (size_t left = replies * 97; left > 0;) { /* "$90\r\n", 90 bytes, "\r\n" */
    ssize_t received = recv(lazy, reply, left < sizeof reply ? left : sizeof reply, 0);
    assert_true(received > 0);
    left -= (size_t)received;
  }
  (void)close(lazy);
  (void)close(good);
}

/* ---- what becomes of them ---- */

static void after_a_kill_the_standby_serves_all_that_was_acknowledged(void **state) {
  (void)state;
  member_t *first = start_active();
  int client = connect_client();
  ask(client, "SET early 1\r\n", "+OK\r\n"); /* is in the standby's snapshot */
  member_t *second = start_standby();
  ask(client,
      "SET a 1\r\nSET b 2\r\nSET a 3\r\nSET b 4\r\nINCR n\r\nINCR n\r\nSET t v EX 1000\r\nSET gone v\r\nDEL gone\r\n"
      "SET u v\r\nEXPIRE u 1000\r\n",
      "+OK\r\n+OK\r\n+OK\r\n+OK\r\n:1\r\n:2\r\n+OK\r\n+OK\r\n:1\r\n+OK\r\n:1\r\n");
  kill_member(first);
  assert_closed(client);
  wait_for(second, "ACTIVE");
  client = connect_client();
  ask(client, "GET early\r\nGET a\r\nGET b\r\nGET n\r\nGET t\r\nGET gone\r\nDBSIZE\r\n",
      "$1\r\n1\r\n$1\r\n3\r\n$1\r\n4\r\n$1\r\n2\r\n$1\r\nv\r\n$-1\r\n:6\r\n");
  ask(client, "TTL t\r\nTTL u\r\nTTL a\r\n", ":1000\r\n:1000\r\n:-1\r\n");
  (void)close(client);
}

static void handing_over_drops_the_clients_and_loses_nothing_there_and_back(void **state) {
  (void)state;
  member_t *first = start_active();
  member_t *second = start_standby();
  int client = connect_client();
  ask(client, "SET a 1\r\n", "+OK\r\n");
  assert_int_equal(kill(first->pid, SIGUSR1), 0);
  assert_closed(client);
  wait_for(first, "STANDBY");
  wait_for(second, "ACTIVE");
  client = connect_client();
  ask(client, "GET a\r\nSET a 2\r\nSET b 2\r\nDEL c\r\nINCR n\r\n", "$1\r\n1\r\n+OK\r\n+OK\r\n:0\r\n:1\r\n");
  assert_int_equal(kill(second->pid, SIGUSR1), 0);
  assert_closed(client);
  wait_for(first, "ACTIVE");
  client = connect_client();
  ask(client, "GET a\r\nGET b\r\nGET n\r\nDBSIZE\r\n", "$1\r\n2\r\n$1\r\n2\r\n$1\r\n1\r\n:3\r\n");
  (void)close(client);
}

/* A connection that is answered. Some may be with the one that is stopped, which listens still. */
static int connect_to_the_living(void) {
  enum { TRIES = 32 };
  struct pollfd tries[TRIES];
  for (size_t i = 0; i < TRIES; i++) {
    tries[i] = (struct pollfd){.fd = connect_client(), .events = POLLIN};
    say(tries[i].fd, "PING\r\n", 6);
  }
  int found = -1;
  assert_true(poll(tries, TRIES, TEST_DEADLINE_MS) > 0);
  for (size_t i = 0; i < TRIES; i++) {
    if (found < 0 && (tries[i].revents & POLLIN) != 0) {
      found = tries[i].fd;
      hear(found, "+PONG\r\n", 7);
    } else {
      (void)close(tries[i].fd);
    }
  }
  assert_true(found >= 0);
  return found;
}

/* All that comes until the connection ends or `enough` bytes are there; must be "+OK" again and again. @return bytes */
static size_t count_oks(int client, size_t count, size_t enough) {
  char heard[4096];
  ssize_t received = 1;
  while (count < enough && (received = recv(client, heard, sizeof heard, 0)) > 0) {
    for (ssize_t i = 0; i < received; i++) {
      assert_int_equal(heard[i], "+OK\r\n"[(count + (size_t)i) % 5]);
    }
    count += (size_t)received;
  }
  return count;
}

static void a_stopped_active_is_succeeded_and_acknowledges_nothing_when_it_wakes_up(void **state) {
  (void)state;
  enum { SETS = 9000, SET_BYTES = 16 };
  static char requests[SETS * SET_BYTES + 1];
  member_t *first = start_with("10000", "2000");
  wait_for(first, "ACTIVE");
  member_t *second = start_with("10000", "2000");
  wait_for(second, "SYNCED");
  int client = connect_client();
  for (int i = 0; i < SETS; i++) {
    (void)snprintf(requests + (size_t)i * SET_BYTES, SET_BYTES + 1, "SET k%04d %04d\r\n", i, i);
  }
  say(client, requests, SETS * SET_BYTES);
  size_t heard = count_oks(client, 0, 100 * 5);
  assert_int_equal(kill(first->pid, SIGSTOP), 0); /* under load */
  wait_for(second, "ACTIVE");
  int other = connect_to_the_living();
  ask(other, "SET k0000 after\r\n", "+OK\r\n");
  assert_int_equal(kill(first->pid, SIGCONT), 0);
  heard = count_oks(client, heard, SIZE_MAX); /* what it had acknowledged before; then it drops its clients */
  (void)close(client);
  wait_for(first, "FENCED");
  wait_for(first, "STANDBY");
  print_message("%zu of %d were acknowledged\n", heard / 5, SETS);
  ask(other, "GET k0000\r\n", "$5\r\nafter\r\n");
  for (size_t i = 1; i < heard / 5; i++) {
    char request[32], reply[32];
    (void)snprintf(request, sizeof request, "GET k%04zu\r\n", i);
    (void)snprintf(reply, sizeof reply, "$4\r\n%04zu\r\n", i);
    ask(other, request, reply);
  }
  kill_member(second);
  wait_for(first, "ACTIVE");
  (void)close(other);
  other = connect_client();
  ask(other, "GET k0000\r\n", "$5\r\nafter\r\n");
  (void)close(other);
}

static void nobody_listens_but_the_active(void **state) {
  (void)state;
  member_t *first = start_active();
  (void)start_standby();
  for (int i = 0; i < 20; i++) { /* the kernel would share them out among all that listen */
    int client = connect_client();
    ask(client, "PING\r\n", "+PONG\r\n");
    (void)close(client);
  }
  kill_member(&members[1]);
  kill_member(first);
  assert_int_equal(try_connect(), -1);
}

static void a_restart_of_the_service_is_a_pause_for_clients(void **state) {
  (void)state;
  const char *request = "SET a 2\r\n";
  (void)start_active();
  int client = connect_client();
  ask(client, "SET a 1\r\n", "+OK\r\n");
  daemon_fixture_kill(&daemon_of_test);
  ask(client, "GET a\r\n", "$1\r\n1\r\n"); /* needs no service */
  say(client, request, strlen(request));
  daemon_fixture_start(&daemon_of_test);
  hear(client, "+OK\r\n", 5);
  ask(client, "GET a\r\n", "$1\r\n2\r\n");
  (void)close(client);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(commands_are_answered_as_redis_does, set_up, tear_down),
      cmocka_unit_test_setup_teardown(requests_in_one_piece_or_in_many_are_answered_in_order, set_up, tear_down),
      cmocka_unit_test_setup_teardown(keys_and_values_have_limits, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_full_store_refuses_new_keys_and_goes_on, set_up, tear_down),
      cmocka_unit_test_setup_teardown(keys_expire, set_up, tear_down),
      cmocka_unit_test_setup_teardown(garbage_ends_one_connection_and_no_other, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_client_that_does_not_read_its_replies_harms_nobody, set_up, tear_down),
      cmocka_unit_test_setup_teardown(after_a_kill_the_standby_serves_all_that_was_acknowledged, set_up, tear_down),
      cmocka_unit_test_setup_teardown(handing_over_drops_the_clients_and_loses_nothing_there_and_back, set_up,
                                      tear_down),
      cmocka_unit_test_setup_teardown(a_stopped_active_is_succeeded_and_acknowledges_nothing_when_it_wakes_up, set_up,
                                      tear_down),
      cmocka_unit_test_setup_teardown(nobody_listens_but_the_active, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_restart_of_the_service_is_a_pause_for_clients, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
