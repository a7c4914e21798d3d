/* SPDX-License-Identifier: BSD-2-Clause
 *
 * vestad from its start to its end, clean or not, and to its next start.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/support/raw_link.h"
#include "test/support/vestad_process.h"

static vestad_place_t place;

static int place_set_up(void **state) {
  (void)state;
  vestad_place_make(&place);
  return 0;
}

static int place_tear_down(void **state) {
  (void)state;
  vestad_place_remove(&place);
  return 0;
}

static vesta_bytes_t text(const char *string) { return vesta_bytes(string, strlen(string)); }

static bool there(const char *suffix) {
  char path[128];
  (void)snprintf(path, sizeof path, "%s%s", place.socket, suffix);
  return access(path, F_OK) == 0;
}

static void a_mistake_in_the_options_is_exit_code_2(void **state) {
  (void)state;
  const char *const mistakes[][3] = {{"--bogus", NULL},           {"--linger", "5", NULL}, {"--socket", NULL},
                                     {"--log-level", "x", NULL},  {"stray", NULL},         {"--clients-max", "0", NULL},
                                     {"--group", "no such", NULL}};
  for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
    assert_int_equal(vestad_run(&place, mistakes[i]), 2);
  }
}

static void help_and_version_are_exit_code_0(void **state) {
  (void)state;
  assert_int_equal(vestad_run(&place, (const char *const[]){"--help", NULL}), 0);
  assert_int_equal(vestad_run(&place, (const char *const[]){"--version", NULL}), 0);
}

static void sigterm_ends_it_cleanly_and_removes_the_sockets_but_no_replica(void **state) {
  (void)state;
  char replica[128];
  raw_link_t link;
  vesta_token_t token = {0};
  uint64_t handle = 0;
  pid_t vestad = vestad_start(&place, NULL, NULL);
  assert_true(vestad > 0);
  assert_true(there("") && there(".changes") && there(".requests") && there(".pid"));
  assert_true(raw_link_open(&link, place.socket));
  assert_int_equal(raw_link_hello(&link, &token), VESTA_OK);
  assert_int_equal(raw_link_checkpoint(&link, "kept", &handle), VESTA_OK);
  raw_link_close(&link);
  assert_int_equal(vestad_end(vestad, SIGTERM), 0);
  assert_false(there("") || there(".changes") || there(".requests") || there(".pid"));
  (void)snprintf(replica, sizeof replica, "%s/replica-%016x", place.replica_dir, 1);
  assert_int_equal(access(replica, F_OK), 0);
}

static void a_second_one_on_the_same_socket_says_so_and_leaves_the_first_alone(void **state) {
  (void)state;
  int code = 0;
  pid_t vestad = vestad_start(&place, NULL, NULL);
  assert_true(vestad > 0);
  assert_int_equal(vestad_start(&place, NULL, &code), -1);
  assert_int_equal(code, 1);
  assert_true(vestad_logged(&place, "another vestad serves"));
  assert_true(there("") && there(".changes"));
  assert_int_equal(raw_counter(place.socket, "sessions"), 0);
  assert_int_equal(vestad_end(vestad, SIGTERM), 0);
}

static void one_replica_directory_is_not_shared_by_two(void **state) {
  (void)state;
  vestad_place_t other;
  int code = 0;
  vestad_place_make(&other);
  pid_t vestad = vestad_start(&place, NULL, NULL);
  assert_true(vestad > 0);
  assert_int_equal(vestad_start(&other, (const char *const[]){"--replica-dir", place.replica_dir, NULL}, &code), -1);
  assert_int_equal(code, 1);
  assert_true(vestad_logged(&other, "is in use by another vestad"));
  assert_int_equal(vestad_end(vestad, SIGTERM), 0);
  vestad_place_remove(&other);
}

static void the_socket_of_a_killed_one_is_taken_over(void **state) {
  (void)state;
  pid_t vestad = vestad_start(&place, NULL, NULL);
  assert_true(vestad > 0);
  assert_int_equal(vestad_end(vestad, SIGKILL), -1);
  assert_true(there(""));
  vestad = vestad_start(&place, NULL, NULL);
  assert_true(vestad > 0);
  assert_int_equal(raw_counter(place.socket, "sessions"), 0);
  assert_int_equal(vestad_end(vestad, SIGTERM), 0);
}

static void what_is_no_socket_or_is_served_by_a_stranger_is_left_alone(void **state) {
  (void)state;
  int code = 0;
  int file = open(place.socket, O_WRONLY | O_CREAT, 0600);
  assert_true(file >= 0);
  (void)close(file);
  assert_int_equal(vestad_start(&place, NULL, &code), -1);
  assert_int_equal(code, 1);
  assert_true(vestad_logged(&place, "is no socket of this user"));
  assert_int_equal(unlink(place.socket), 0);

  struct sockaddr_un address = {.sun_family = AF_UNIX};
  (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", place.socket);
  int stranger = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(bind(stranger, (struct sockaddr *)&address, sizeof address), 0);
  assert_int_equal(listen(stranger, 1), 0);
  assert_int_equal(vestad_start(&place, NULL, &code), -1);
  assert_int_equal(code, 1);
  assert_true(vestad_logged(&place, "somebody serves at"));
  assert_true(there(""));
  (void)close(stranger);
}

static void a_run_directory_that_others_may_enter_is_refused(void **state) {
  (void)state;
  int code = 0;
  assert_int_equal(chmod(place.run_dir, 0755), 0);
  assert_int_equal(vestad_start(&place, NULL, &code), -1);
  assert_int_equal(code, 1);
  assert_true(vestad_logged(&place, "is open to others"));
}

static void a_run_directory_of_another_user_is_refused(void **state) {
  (void)state;
  int code = 0;
  if (geteuid() != 0) {
    skip();
  }
  assert_int_equal(chown(place.run_dir, 65534, 65534), 0);
  assert_int_equal(vestad_start(&place, NULL, &code), -1);
  assert_int_equal(code, 1);
  assert_true(vestad_logged(&place, "belongs to user 65534"));
  assert_int_equal(chown(place.run_dir, 0, 0), 0);
}

static void a_replica_directory_that_others_may_enter_is_refused(void **state) {
  (void)state;
  int code = 0;
  assert_int_equal(mkdir(place.replica_dir, 0700), 0);
  assert_int_equal(chmod(place.replica_dir, 0750), 0);
  assert_int_equal(vestad_start(&place, NULL, &code), -1);
  assert_int_equal(code, 1);
  assert_true(vestad_logged(&place, "is open to others"));
}

static void a_replica_directory_that_is_a_link_is_refused(void **state) {
  (void)state;
  int code = 0;
  assert_int_equal(symlink(place.run_dir, place.replica_dir), 0);
  assert_int_equal(vestad_start(&place, NULL, &code), -1);
  assert_int_equal(code, 1);
  assert_true(vestad_logged(&place, "cannot open directory"));
  assert_int_equal(unlink(place.replica_dir), 0);
}

static void killed_and_started_again_it_has_everything_that_was_answered(void **state) {
  (void)state;
  raw_link_t link;
  vesta_token_t token = {0};
  uint64_t handle = 0;
  vesta_bytes_t data;
  pid_t vestad = vestad_start(&place, NULL, NULL);
  assert_true(vestad > 0);
  assert_true(raw_link_open(&link, place.socket));
  assert_int_equal(raw_link_hello(&link, &token), VESTA_OK);
  assert_int_equal(raw_link_checkpoint(&link, "state", &handle), VESTA_OK);
  assert_int_equal(raw_link_create(&link, handle, "a", text("first")), VESTA_OK);
  assert_int_equal(raw_link_overwrite(&link, handle, "a", text("second")), VESTA_OK);
  assert_int_equal(vestad_end(vestad, SIGKILL), -1);
  assert_true(raw_link_ended(&link));
  uint64_t number = link.number;
  raw_link_close(&link);

  vestad = vestad_start(&place, NULL, NULL);
  assert_true(vestad > 0);
  assert_true(raw_link_open(&link, place.socket));
  link.number = number;
  vesta_token_t resumed = token;
  assert_int_equal(raw_link_hello(&link, &resumed), VESTA_OK);
  assert_true(vesta_token_equal(resumed, token));
  assert_int_equal(raw_link_read(&link, handle, "a", &data), VESTA_OK); /* the old handle */
  assert_true(vesta_bytes_equal(data, text("second")));
  assert_int_equal(raw_link_overwrite(&link, handle, "a", text("third")), VESTA_OK);
  raw_link_close(&link);
  assert_int_equal(vestad_end(vestad, SIGTERM), 0);
}

static void a_session_whose_process_died_while_vestad_was_down_is_ended_at_the_start(void **state) {
  (void)state;
  int told[2];
  pid_t vestad = vestad_start(&place, NULL, NULL);
  assert_true(vestad > 0);
  assert_int_equal(pipe2(told, O_CLOEXEC), 0);
  pid_t client = fork();
  if (client == 0) {
    raw_link_t link;
    vesta_token_t token = {0};
    uint64_t handle = 0;
    bool good = raw_link_open(&link, place.socket) && raw_link_hello(&link, &token) == VESTA_OK &&
                raw_link_checkpoint(&link, "orphan", &handle) == VESTA_OK;
    (void)!write(told[1], good ? "y" : "n", 1);
    (void)pause();
    _exit(0);
  }
  char answer = 0;
  assert_int_equal(read(told[0], &answer, 1), 1);
  assert_int_equal(answer, 'y');
  (void)close(told[0]);
  (void)close(told[1]);
  assert_int_equal(raw_counter(place.socket, "handles"), 1);
  assert_int_equal(vestad_end(vestad, SIGKILL), -1);
  assert_int_equal(vestad_end(client, SIGKILL), -1);
  vestad = vestad_start(&place, NULL, NULL);
  assert_true(vestad > 0);
  assert_int_equal(raw_counter(place.socket, "sessions"), 0);
  assert_int_equal(raw_counter(place.socket, "handles"), 0);
  assert_int_equal(raw_counter(place.socket, "checkpoints"), 1); /* retained */
  assert_int_equal(vestad_end(vestad, SIGTERM), 0);
}

static void a_torn_journal_is_cut_and_a_damaged_one_is_refused(void **state) {
  (void)state;
  char journal[128];
  raw_link_t link;
  vesta_token_t token = {0};
  uint64_t handle = 0;
  int code = 0;
  (void)snprintf(journal, sizeof journal, "%s/journal", place.replica_dir);
  pid_t vestad = vestad_start(&place, NULL, NULL);
  assert_true(vestad > 0);
  assert_true(raw_link_open(&link, place.socket));
  assert_int_equal(raw_link_hello(&link, &token), VESTA_OK);
  assert_int_equal(raw_link_checkpoint(&link, "state", &handle), VESTA_OK);
  raw_link_close(&link);
  assert_int_equal(vestad_end(vestad, SIGKILL), -1);

  int file = open(journal, O_WRONLY | O_APPEND);
  assert_int_equal(write(file, "\x40\0\0\0\0\0\0\0 half a record", 22), 22);
  vestad = vestad_start(&place, NULL, NULL);
  assert_true(vestad > 0);
  assert_true(vestad_logged(&place, "VESTA-JOURNAL-TORN"));
  assert_int_equal(raw_counter(place.socket, "journal_torn_bytes"), 22);
  assert_int_equal(raw_counter(place.socket, "checkpoints"), 1);
  assert_int_equal(vestad_end(vestad, SIGTERM), 0);
  (void)close(file);

  file = open(journal, O_WRONLY);
  assert_int_equal(pwrite(file, "\xff\xff", 2, 20), 2);
  (void)close(file);
  assert_int_equal(vestad_start(&place, NULL, &code), -1);
  assert_int_equal(code, 1);
  assert_true(vestad_logged(&place, "VESTA-JOURNAL-DAMAGED"));
}

static void a_damaged_replica_costs_its_own_checkpoint_and_is_kept_aside(void **state) {
  (void)state;
  char path[128];
  raw_link_t link;
  vesta_token_t token = {0};
  uint64_t handles[3] = {0};
  vesta_bytes_t data;
  pid_t vestad = vestad_start(&place, NULL, NULL);
  assert_true(vestad > 0);
  assert_true(raw_link_open(&link, place.socket));
  assert_int_equal(raw_link_hello(&link, &token), VESTA_OK);
  for (int i = 0; i < 3; i++) {
    const char *const names[] = {"good", "damaged", "deleted"};
    assert_int_equal(raw_link_checkpoint(&link, names[i], &handles[i]), VESTA_OK);
    assert_int_equal(raw_link_create(&link, handles[i], "a", text("value")), VESTA_OK);
  }
  assert_int_equal(vestad_end(vestad, SIGKILL), -1);
  uint64_t number = link.number;
  raw_link_close(&link);
  (void)snprintf(path, sizeof path, "%s/replica-%016x", place.replica_dir, 2);
  int file = open(path, O_WRONLY);
  assert_int_equal(pwrite(file, "nonsense", 8, 0), 8);
  (void)close(file);
  (void)snprintf(path, sizeof path, "%s/replica-%016x", place.replica_dir, 3);
  assert_int_equal(unlink(path), 0);

  vestad = vestad_start(&place, NULL, NULL);
  assert_true(vestad > 0);
  assert_int_equal(raw_counter(place.socket, "replicas_lost"), 2);
  assert_true(vestad_logged(&place, "VESTA-REPLICA-DAMAGED checkpoint=2"));
  (void)snprintf(path, sizeof path, "%s/lost-%016x", place.replica_dir, 2);
  assert_int_equal(access(path, F_OK), 0);
  assert_true(raw_link_open(&link, place.socket));
  link.number = number;
  assert_int_equal(raw_link_hello(&link, &token), VESTA_OK);
  assert_int_equal(raw_link_read(&link, handles[0], "a", &data), VESTA_OK);
  assert_true(vesta_bytes_equal(data, text("value")));
  assert_int_equal(raw_link_read(&link, handles[1], "a", &data), VESTA_ERR_BAD_HANDLE);
  assert_int_equal(raw_link_read(&link, handles[2], "a", &data), VESTA_ERR_BAD_HANDLE);
  assert_int_equal(raw_link_checkpoint(&link, "damaged", &handles[1]), VESTA_OK); /* empty, made anew */
  raw_link_close(&link);
  assert_int_equal(vestad_end(vestad, SIGTERM), 0);
  assert_int_equal(unlink(path), 0);
}

static void replicas_that_find_no_descriptors_keep_it_from_starting_and_are_not_forgotten(void **state) {
  (void)state;
  enum { CHECKPOINTS = 200 };
  raw_link_t link;
  vesta_token_t token = {0};
  uint64_t handle = 0;
  int code = 0;
  pid_t vestad = vestad_start(&place, NULL, NULL);
  assert_true(vestad > 0);
  assert_true(raw_link_open(&link, place.socket));
  assert_int_equal(raw_link_hello(&link, &token), VESTA_OK);
  for (int i = 0; i < CHECKPOINTS; i++) {
    char name[32];
    (void)snprintf(name, sizeof name, "checkpoint%d", i);
    assert_int_equal(raw_link_checkpoint(&link, name, &handle), VESTA_OK);
  }
  raw_link_close(&link);
  assert_int_equal(vestad_end(vestad, SIGKILL), -1);
  place.files_max = 200; /* 64 of them are spare */
  assert_int_equal(vestad_start(&place, NULL, &code), -1);
  assert_int_equal(code, 1);
  assert_true(vestad_logged(&place, "cannot take up the replicas"));
  place.files_max = 0;
  vestad = vestad_start(&place, NULL, NULL);
  assert_true(vestad > 0);
  assert_int_equal(raw_counter(place.socket, "checkpoints"), CHECKPOINTS);
  assert_int_equal(raw_counter(place.socket, "replicas_lost"), 0);
  assert_int_equal(vestad_end(vestad, SIGTERM), 0);
}

static void a_journal_that_has_grown_is_rewritten_shorter_and_says_the_same(void **state) {
  (void)state;
  const char *const small[] = {"--journal-size", "4096", NULL};
  raw_link_t link;
  vesta_token_t token = {0};
  uint64_t handle = 0;
  uint64_t kept = 0;
  vesta_bytes_t data;
  pid_t vestad = vestad_start(&place, small, NULL);
  assert_true(vestad > 0);
  assert_true(raw_link_open(&link, place.socket));
  assert_int_equal(raw_link_hello(&link, &token), VESTA_OK);
  assert_int_equal(raw_link_checkpoint(&link, "kept", &kept), VESTA_OK);
  assert_int_equal(raw_link_create(&link, kept, "a", text("value")), VESTA_OK);
  for (int i = 0; i < 200; i++) {
    wire_message_t reply;
    assert_int_equal(raw_link_checkpoint(&link, "passing", &handle), VESTA_OK);
    wire_message_t close = {.kind = WIRE_CLOSE, .handle = handle};
    assert_int_equal(raw_link_call(&link, &close, vesta_bytes(NULL, 0), &reply, NULL), VESTA_OK);
  }
  assert_true(raw_counter(place.socket, "journal_rewrites") > 0);
  assert_true(raw_counter(place.socket, "journal_bytes") < 3 * 4096);
  assert_int_equal(vestad_end(vestad, SIGKILL), -1);
  uint64_t number = link.number;
  raw_link_close(&link);

  vestad = vestad_start(&place, small, NULL);
  assert_true(vestad > 0);
  assert_true(raw_link_open(&link, place.socket));
  link.number = number;
  assert_int_equal(raw_link_hello(&link, &token), VESTA_OK);
  assert_int_equal(raw_link_read(&link, kept, "a", &data), VESTA_OK);
  assert_true(vesta_bytes_equal(data, text("value")));
  assert_int_equal(raw_counter(place.socket, "checkpoints"), 2);
  raw_link_close(&link);
  assert_int_equal(vestad_end(vestad, SIGTERM), 0);
}

static void a_private_one_ends_when_nobody_needs_it_and_leaves_nothing(void **state) {
  (void)state;
  raw_link_t link;
  vesta_token_t token = {0};
  pid_t vestad = vestad_start(&place, (const char *const[]){"--private", "--linger", "500ms", NULL}, NULL);
  assert_true(vestad > 0);
  assert_true(raw_link_open(&link, place.socket));
  assert_int_equal(raw_link_hello(&link, &token), VESTA_OK);
  wire_message_t finalize = {.kind = WIRE_FINALIZE};
  wire_message_t reply;
  assert_int_equal(raw_link_call(&link, &finalize, vesta_bytes(NULL, 0), &reply, NULL), VESTA_OK);
  raw_link_close(&link);
  assert_int_equal(vestad_wait(vestad), 0);
  assert_true(vestad_logged(&place, "VESTA-IDLE-END"));
  assert_false(there("") || there(".changes") || there(".requests") || there(".pid") || there(".end"));
}

/* As an agent does that is about to connect: while it is held, a private daemon does not end. */
static int hold_start_lock(void) {
  char lock[128];
  (void)snprintf(lock, sizeof lock, "%s.start", place.socket);
  int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  assert_int_equal(flock(fd, LOCK_EX), 0);
  return fd;
}

static void a_private_one_stays_while_somebody_is_about_to_connect(void **state) {
  (void)state;
  int fd = hold_start_lock();
  pid_t vestad = vestad_start(&place, (const char *const[]){"--private", "--linger", "10ms", NULL}, NULL);
  assert_true(vestad > 0);
  assert_false(vestad_ends_within(vestad, 100)); /* ten times its patience, in which nobody is connected */
  assert_int_equal(raw_counter(place.socket, "sessions"), 0);
  (void)close(fd);
  assert_int_equal(vestad_wait(vestad), 0);
}

static void a_private_one_stays_for_what_is_retained(void **state) {
  (void)state;
  raw_link_t link;
  vesta_token_t token = {0};
  uint64_t handle = 0;
  vesta_bytes_t data;
  int fd = hold_start_lock();
  pid_t vestad = vestad_start(&place, (const char *const[]){"--private", "--linger", "1ms", NULL}, NULL);
  assert_true(vestad > 0);
  assert_true(raw_link_open(&link, place.socket));
  assert_int_equal(raw_link_hello(&link, &token), VESTA_OK);
  assert_int_equal(raw_link_checkpoint(&link, "kept", &handle), VESTA_OK);
  (void)close(fd);
  assert_int_equal(raw_link_create(&link, handle, "a", text("value")), VESTA_OK);
  wire_message_t finalize = {.kind = WIRE_FINALIZE};
  wire_message_t reply;
  assert_int_equal(raw_link_call(&link, &finalize, vesta_bytes(NULL, 0), &reply, NULL), VESTA_OK);
  raw_link_close(&link);
  assert_int_equal(raw_counter(place.socket, "sessions"), 0);
  assert_true(raw_link_open(&link, place.socket));
  token = (vesta_token_t){0};
  assert_int_equal(raw_link_hello(&link, &token), VESTA_OK);
  assert_int_equal(raw_link_checkpoint(&link, "kept", &handle), VESTA_OK);
  assert_int_equal(raw_link_read(&link, handle, "a", &data), VESTA_OK);
  assert_true(vesta_bytes_equal(data, text("value")));
  raw_link_close(&link);
  assert_int_equal(vestad_end(vestad, SIGTERM), 0);
}

/* What systemd does: a listening socket as descriptor 3, and two variables that say so. */
static pid_t start_activated(int listening, int ready) {
  pid_t pid = fork();
  if (pid == 0) {
    char self[16];
    (void)dup2(ready, 4);
    (void)dup2(listening, 3);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)snprintf(self, sizeof self, "%d", getpid());
    (void)setenv("LISTEN_PID", self, 1);
    (void)setenv("LISTEN_FDS", "1", 1);
    (void)execl(getenv("VESTA_VESTAD"), "vestad", "--socket", place.socket, "--replica-dir", place.replica_dir,
                "--ready-fd", "4", "--log-level", "error", "--private", "--linger", "1ms", NULL);
    _exit(127);
  }
  return pid;
}

static void a_socket_of_systemd_is_used_and_left_and_nobody_who_calls_is_lost(void **state) {
  (void)state;
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", place.socket);
  int listening = fcntl(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), F_DUPFD_CLOEXEC, 10);
  assert_int_equal(bind(listening, (struct sockaddr *)&address, sizeof address), 0);
  assert_int_equal(listen(listening, 16), 0);
  for (int round = 0; round < 3; round++) {
    raw_link_t link;
    vesta_token_t token = {0};
    int ready[2];
    char byte;
    assert_true(raw_link_open(&link, place.socket)); /* nobody runs: the call waits in the queue */
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    int told = fcntl(ready[1], F_DUPFD_CLOEXEC, 10);
    pid_t vestad = start_activated(listening, told);
    (void)close(ready[1]);
    (void)close(told);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    (void)close(ready[0]);
    assert_int_equal(raw_link_hello(&link, &token), VESTA_OK);
    wire_message_t finalize = {.kind = WIRE_FINALIZE};
    wire_message_t reply;
    assert_int_equal(raw_link_call(&link, &finalize, vesta_bytes(NULL, 0), &reply, NULL), VESTA_OK);
    raw_link_close(&link);
    assert_int_equal(vestad_wait(vestad), 0); /* idle */
    assert_true(there(""));
  }
  (void)close(listening);
}

#define life(test) cmocka_unit_test_setup_teardown(test, place_set_up, place_tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      life(a_mistake_in_the_options_is_exit_code_2),
      life(help_and_version_are_exit_code_0),
      life(sigterm_ends_it_cleanly_and_removes_the_sockets_but_no_replica),
      life(a_second_one_on_the_same_socket_says_so_and_leaves_the_first_alone),
      life(one_replica_directory_is_not_shared_by_two),
      life(the_socket_of_a_killed_one_is_taken_over),
      life(what_is_no_socket_or_is_served_by_a_stranger_is_left_alone),
      life(a_run_directory_that_others_may_enter_is_refused),
      life(a_run_directory_of_another_user_is_refused),
      life(a_replica_directory_that_others_may_enter_is_refused),
      life(a_replica_directory_that_is_a_link_is_refused),
      life(killed_and_started_again_it_has_everything_that_was_answered),
      life(a_session_whose_process_died_while_vestad_was_down_is_ended_at_the_start),
      life(a_torn_journal_is_cut_and_a_damaged_one_is_refused),
      life(a_damaged_replica_costs_its_own_checkpoint_and_is_kept_aside),
      life(replicas_that_find_no_descriptors_keep_it_from_starting_and_are_not_forgotten),
      life(a_journal_that_has_grown_is_rewritten_shorter_and_says_the_same),
      life(a_private_one_ends_when_nobody_needs_it_and_leaves_nothing),
      life(a_private_one_stays_while_somebody_is_about_to_connect),
      life(a_private_one_stays_for_what_is_retained),
      life(a_socket_of_systemd_is_used_and_left_and_nobody_who_calls_is_lost),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
