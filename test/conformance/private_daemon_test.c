/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A program that finds no daemon gets one of its own, and its host process notices nothing: no signal, no child, no
 * descriptor kept open.
 *
 * Each test has an XDG_RUNTIME_DIR of its own, so the daemons that are started do not meet. Skipped on a machine where
 * the system's daemon runs, which would be found first.
 */
#include "test/conformance/ckpt_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "test/support/child.h"

static atomic_int child_signals;
static void count_child_signal(int signal) {
  (void)signal;
  atomic_fetch_add(&child_signals, 1);
}

/* The library gets its sockets here, after this pause: a busy machine, of which nobody could tell otherwise. */
static SaTimeT socket_pause_ns;
int socket(int domain, int type, int protocol) {
  struct timespec pause = {.tv_nsec = socket_pause_ns};
  (void)nanosleep(&pause, NULL);
  return (int)syscall(SYS_socket, domain, type, protocol);
}

static int place_open(void **state) {
  (void)state;
  daemon_fixture_prepare(&test_daemon, NULL); /* its directories alone: nothing is started there */
  char socket[128];
  (void)snprintf(socket, sizeof socket, "%s/vesta/vestad.sock", test_daemon.run_dir);
  (void)snprintf(test_daemon.socket, sizeof test_daemon.socket, "%.90s", socket);
  (void)unsetenv("VESTA_SOCKET");
  (void)unsetenv("VESTA_AUTOSPAWN");
  (void)setenv("XDG_RUNTIME_DIR", test_daemon.run_dir, 1);
  (void)setenv("VESTA_REPLICA_DIR", test_daemon.replica_dir, 1);
  (void)setenv("VESTA_LINGER", "100ms", 1);
  if (getenv("VESTA_TEST_VESTAD") != NULL) {
    (void)setenv("VESTA_VESTAD", getenv("VESTA_TEST_VESTAD"), 1);
  }
  socket_pause_ns = 0;
  atomic_store(&child_signals, 0);
  (void)signal(SIGCHLD, count_child_signal);
  return 0;
}

/* The process that listens there; 0: nobody does. */
static pid_t daemon_pid(void) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  (void)snprintf(address.sun_path, sizeof address.sun_path, "%.100s", test_daemon.socket);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct ucred peer = {.pid = 0};
  socklen_t size = sizeof peer;
  if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) {
    (void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size);
  }
  (void)close(fd);
  return peer.pid;
}

static int place_close(void **state) {
  (void)state;
  pid_t pid = daemon_pid();
  if (pid > 0) {
    (void)kill(pid, SIGKILL);
  }
  daemon_fixture_close(&test_daemon);
  (void)signal(SIGCHLD, SIG_DFL);
  return 0;
}

#define WITH_PLACE(test) cmocka_unit_test_setup_teardown(test, place_open, place_close)

/* Kill it, and wait until it listens no more. */
static void kill_daemon(void) {
  pid_t pid = daemon_pid();
  assert_true(pid > 0);
  assert_int_equal(kill(pid, SIGKILL), 0);
  int64_t deadline_ns = daemon_fixture_now_ns() + TEST_DEADLINE_NS;
  while (daemon_pid() == pid && daemon_fixture_now_ns() < deadline_ns) {
    (void)sched_yield();
  }
}

static void a_program_that_finds_no_daemon_gets_one_and_notices_nothing_else(void **state) {
  (void)state;
  int ends[2];
  assert_int_equal(pipe(ends), 0); /* inherited by whatever is started carelessly */
  SaCkptHandleT library = library_b2();
  SaCkptCheckpointHandleT checkpoint = checkpoint_usual(library, "private");
  OK(section_create(checkpoint, "s", "x"));
  assert_section(checkpoint, "s", "x");
  pid_t pid = daemon_pid();
  assert_true(pid > 0);
  assert_int_equal(atomic_load(&child_signals), 0);
  assert_int_equal(waitpid(-1, NULL, WNOHANG | __WALL), -1);
  assert_int_equal(errno, ECHILD);
  assert_true(getpgid(pid) != getpgid(0));
  (void)close(ends[1]);
  char byte;
  assert_int_equal(read(ends[0], &byte, 1), 0); /* nobody else holds the other end */
  (void)close(ends[0]);
  OK(saCkptFinalize(library));
}

static void it_works_in_a_host_that_ignores_its_children_or_has_closed_its_descriptors(void **state) {
  (void)state;
  (void)signal(SIGCHLD, SIG_IGN);
  int kept[3];
  for (int fd = 0; fd < 3; fd++) {
    kept[fd] = fcntl(fd, F_DUPFD_CLOEXEC, 100);
    (void)close(fd);
  }
  SaCkptHandleT library = 0;
  SaVersionT version = {'B', 2, 2};
  SaAisErrorT result = saCkptInitialize(&library, NULL, &version);
  SaAisErrorT finalized = saCkptFinalize(library);
  for (int fd = 0; fd < 3; fd++) {
    (void)dup2(kept[fd], fd);
    (void)close(kept[fd]);
  }
  OK(result);
  OK(finalized);
}

static void processes_that_start_at_the_same_time_share_one_daemon(void **state) {
  (void)state;
  enum { PROCESSES = 8 };
  pid_t children[PROCESSES];
  (void)signal(SIGCHLD, SIG_DFL);
  for (int i = 0; i < PROCESSES; i++) {
    children[i] = child_fork();
    if (children[i] == 0) {
      SaCkptHandleT library = library_b2();
      SaCkptCheckpointHandleT checkpoint = checkpoint_usual(library, "shared");
      char id[16];
      (void)snprintf(id, sizeof id, "%d", i);
      _exit(section_create(checkpoint, id, id) == SA_AIS_OK ? 0 : 1);
    }
  }
  for (int i = 0; i < PROCESSES; i++) {
    int status = 0;
    assert_int_equal(waitpid(children[i], &status, 0), children[i]);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }
  SaCkptHandleT library = library_b2();
  assert_int_equal(status_of(checkpoint_usual(library, "shared")).numberOfSections, PROCESSES);
  OK(saCkptFinalize(library));
}

static void a_private_daemon_that_was_killed_is_started_again_by_the_next_call(void **state) {
  (void)state;
  SaCkptHandleT library = library_b2();
  SaCkptCheckpointHandleT checkpoint = checkpoint_usual(library, "killed");
  OK(section_create(checkpoint, "s", "x"));
  for (int i = 0; i < 3; i++) {
    kill_daemon();
    OK(section_overwrite(checkpoint, "s", "y"));
    assert_section(checkpoint, "s", "y");
  }
  OK(saCkptFinalize(library));
}

/* On a busy machine it may be long from the daemon's readiness to the connection that it was started for. */
static void a_private_daemon_without_patience_waits_for_who_started_it(void **state) {
  (void)state;
  (void)setenv("VESTA_LINGER", "0ms", 1);
  socket_pause_ns = 50 * SA_TIME_ONE_MILLISECOND;
  for (int i = 0; i < 3; i++) {
    OK(saCkptFinalize(library_b2()));
  }
}

static void a_private_daemon_ends_when_nothing_is_open_or_retained_and_the_next_program_gets_another(void **state) {
  (void)state;
  for (int i = 0; i < 3; i++) {
    SaCkptHandleT library = library_b2();
    SaCkptCheckpointCreationAttributesT attributes = attributes_of(SA_CKPT_WR_ALL_REPLICAS);
    attributes.retentionDuration = 0;
    (void)checkpoint_create(library, "ends", &attributes);
    assert_true(daemon_pid() > 0);
    OK(saCkptFinalize(library));
    if (i < 2) { /* the last program comes when it may be about to end */
      int64_t deadline_ns = daemon_fixture_now_ns() + TEST_DEADLINE_NS;
      while (access(test_daemon.socket, F_OK) == 0 && daemon_fixture_now_ns() < deadline_ns) {
        (void)sched_yield();
      }
      assert_int_not_equal(access(test_daemon.socket, F_OK), 0);
    }
  }
  SaCkptHandleT library = library_b2();
  OK(saCkptFinalize(library));
}

/* clauses 0.5, 1.3, 1.6 */
static void autospawn_can_be_turned_off(void **state) {
  (void)state;
  (void)setenv("VESTA_AUTOSPAWN", "0", 1);
  SaCkptHandleT library = 4711;
  SaVersionT version = {'B', 1, 1};
  EXPECT(SA_AIS_ERR_TRY_AGAIN, saCkptInitialize(&library, NULL, &version));
  assert_int_equal(daemon_pid(), 0);
  assert_int_equal(library, 4711);
  assert_int_equal(version.majorVersion, 1); /* who tries again with the same structure asks for the same */
  assert_int_equal(version.minorVersion, 1);
}

/* clause 1.6 */
static void a_program_that_is_not_there_is_try_again_and_no_daemon(void **state) {
  (void)state;
  char *vestad = strdup(getenv("VESTA_VESTAD"));
  assert_non_null(vestad);
  (void)setenv("VESTA_VESTAD", "/nonexistent/vestad", 1);
  SaCkptHandleT library;
  SaVersionT version = {'B', 2, 2};
  int64_t before_ns = daemon_fixture_now_ns();
  EXPECT(SA_AIS_ERR_TRY_AGAIN, saCkptInitialize(&library, NULL, &version));
  assert_true(daemon_fixture_now_ns() - before_ns < 5 * SECOND);
  assert_int_equal(atomic_load(&child_signals), 0);
  (void)setenv("VESTA_VESTAD", vestad, 1);
  free(vestad);
}

/* clause 1.6 */
static void a_directory_that_others_could_use_is_refused(void **state) {
  (void)state;
  char directory[128];
  (void)snprintf(directory, sizeof directory, "%s/vesta", test_daemon.run_dir);
  assert_int_equal(mkdir(directory, 0700), 0);
  assert_int_equal(chmod(directory, 0770), 0);
  SaCkptHandleT library;
  SaVersionT version = {'B', 2, 2};
  EXPECT(SA_AIS_ERR_ACCESS, saCkptInitialize(&library, NULL, &version));
  assert_int_equal(rmdir(directory), 0);
  assert_int_equal(symlink("/tmp", directory), 0);
  EXPECT(SA_AIS_ERR_ACCESS, saCkptInitialize(&library, NULL, &version));
  assert_int_equal(unlink(directory), 0);
}

/* clause 1.6 */
static void a_socket_path_that_is_too_long_is_a_library_error(void **state) {
  (void)state;
  char path[200];
  memset(path, 'x', sizeof path - 1);
  path[0] = '/';
  path[sizeof path - 1] = '\0';
  (void)setenv("VESTA_SOCKET", path, 1);
  SaCkptHandleT library;
  SaVersionT version = {'B', 2, 2};
  EXPECT(SA_AIS_ERR_LIBRARY, saCkptInitialize(&library, NULL, &version));
}

int main(void) {
  if (access("/run/vesta/vestad.sock", F_OK) == 0) {
    return 0;
  }
  const struct CMUnitTest tests[] = {
      WITH_PLACE(a_program_that_finds_no_daemon_gets_one_and_notices_nothing_else),
      WITH_PLACE(it_works_in_a_host_that_ignores_its_children_or_has_closed_its_descriptors),
      WITH_PLACE(processes_that_start_at_the_same_time_share_one_daemon),
      WITH_PLACE(a_private_daemon_that_was_killed_is_started_again_by_the_next_call),
      WITH_PLACE(a_private_daemon_without_patience_waits_for_who_started_it),
      WITH_PLACE(a_private_daemon_ends_when_nothing_is_open_or_retained_and_the_next_program_gets_another),
      WITH_PLACE(autospawn_can_be_turned_off),
      WITH_PLACE(a_program_that_is_not_there_is_try_again_and_no_daemon),
      WITH_PLACE(a_directory_that_others_could_use_is_refused),
      WITH_PLACE(a_socket_path_that_is_too_long_is_a_library_error),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
