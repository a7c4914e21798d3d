/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A vestad of a test's own. See daemon_fixture.h.
 */
#include "test/support/daemon_fixture.h"

#include <errno.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define OPTIONS_MAX 32

static void fixture_fail(const char *what) {
  (void)fprintf(stderr, "daemon_fixture: %s: %s\n", what, strerror(errno));
  exit(1);
}

int64_t daemon_fixture_now_ns(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static const char *vestad_path(void) {
  const char *path = getenv("VESTA_TEST_VESTAD");
  path = path != NULL ? path : getenv("VESTA_VESTAD");
  if (path == NULL) {
    errno = ENOENT;
    fixture_fail("neither VESTA_TEST_VESTAD nor VESTA_VESTAD is set");
  }
  return path;
}

void daemon_fixture_prepare(daemon_fixture_t *fixture, const char *const *options) {
  *fixture = (daemon_fixture_t){.options = options};
  (void)snprintf(fixture->run_dir, sizeof fixture->run_dir, "/tmp/vesta-test-XXXXXX");
  (void)snprintf(fixture->replica_dir, sizeof fixture->replica_dir, "/dev/shm/vesta-test-XXXXXX");
  if (mkdtemp(fixture->run_dir) == NULL || mkdtemp(fixture->replica_dir) == NULL) {
    fixture_fail("mkdtemp");
  }
  (void)snprintf(fixture->socket, sizeof fixture->socket, "%.64s/vestad.sock", fixture->run_dir);
  if (setenv("VESTA_SOCKET", fixture->socket, 1) != 0) {
    fixture_fail("setenv");
  }
}

/* In the child. */
static void vestad_exec(const daemon_fixture_t *fixture, const char *path, int ready_fd) {
  char number[16];
  (void)snprintf(number, sizeof number, "%d", ready_fd);
  const char *arguments[OPTIONS_MAX + 16] = {
      "vestad",   "--socket", fixture->socket, "--run-dir", fixture->run_dir, "--replica-dir", fixture->replica_dir,
      "--log-to", "stderr",   "--log-level",   "warn",      "--ready-fd",     number};
  size_t count = 13;
  for (size_t i = 0; fixture->options != NULL && fixture->options[i] != NULL && i < OPTIONS_MAX; i++) {
    arguments[count++] = fixture->options[i];
  }
  union {
    const char **given;
    char **as_exec_wants_it;
  } vector = {.given = arguments};
  (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
  (void)execv(path, vector.as_exec_wants_it);
  _exit(127);
}

void daemon_fixture_start(daemon_fixture_t *fixture) {
  const char *path = vestad_path();
  int ends[2];
  if (pipe(ends) != 0) {
    fixture_fail("pipe");
  }
  fixture->pid = fork();
  if (fixture->pid < 0) {
    fixture_fail("fork");
  }
  if (fixture->pid == 0) {
    (void)close(ends[0]);
    vestad_exec(fixture, path, ends[1]);
  }
  (void)close(ends[1]);
  struct pollfd ready = {.fd = ends[0], .events = POLLIN};
  char byte;
  if (poll(&ready, 1, TEST_DEADLINE_MS) != 1 || read(ends[0], &byte, 1) != 1) {
    errno = ETIMEDOUT;
    fixture_fail(path);
  }
  (void)close(ends[0]);
}

void daemon_fixture_open_with(daemon_fixture_t *fixture, const char *const *options) {
  daemon_fixture_prepare(fixture, options);
  daemon_fixture_start(fixture);
}

void daemon_fixture_open(daemon_fixture_t *fixture) { daemon_fixture_open_with(fixture, NULL); }

static int fixture_end(daemon_fixture_t *fixture, int signal) {
  int status = 0;
  if (fixture->pid == 0) {
    return 0;
  }
  (void)kill(fixture->pid, signal);
  while (waitpid(fixture->pid, &status, 0) < 0) {
    if (errno != EINTR) {
      fixture_fail("waitpid");
    }
  }
  fixture->pid = 0;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void daemon_fixture_kill(daemon_fixture_t *fixture) { (void)fixture_end(fixture, SIGKILL); }

int daemon_fixture_stop(daemon_fixture_t *fixture) { return fixture_end(fixture, SIGTERM); }

static int entry_remove(const char *path, const struct stat *info, int type, struct FTW *walk) {
  (void)info;
  (void)type;
  (void)walk;
  return remove(path);
}

void daemon_fixture_close(daemon_fixture_t *fixture) {
  daemon_fixture_kill(fixture);
  (void)nftw(fixture->run_dir, entry_remove, 16, FTW_DEPTH | FTW_PHYS);
  (void)nftw(fixture->replica_dir, entry_remove, 16, FTW_DEPTH | FTW_PHYS);
  (void)unsetenv("VESTA_SOCKET");
}

daemon_fixture_t daemon_of_test;

int daemon_of_test_open(void **state) {
  (void)state;
  daemon_fixture_open(&daemon_of_test);
  return 0;
}

int daemon_of_test_close(void **state) {
  (void)state;
  daemon_fixture_close(&daemon_of_test);
  return 0;
}
