/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fork and exec of vestad, with --ready-fd to know when it listens.
 */
#include "test/support/vestad_process.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "test/support/printed.h"

#define ARGUMENTS_MAX 32
#define READY_FD 3

int64_t test_now_ms(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t test_resident_kib(pid_t pid) {
  char path[64];
  char line[256];
  long long kib = -1;
  (void)snprintf(path, sizeof path, "/proc/%d/status", pid);
  FILE *file = fopen(path, "re");
  while (file != NULL && fgets(line, sizeof line, file) != NULL && sscanf(line, "VmRSS: %lld", &kib) != 1) {
  }
  if (file != NULL) {
    (void)fclose(file);
  }
  return kib;
}

void vestad_place_make(vestad_place_t *place) {
  *place = (vestad_place_t){0};
  (void)snprintf(place->run_dir, sizeof place->run_dir, "/tmp/vesta-test-XXXXXX");
  if (mkdtemp(place->run_dir) == NULL) {
    abort();
  }
  (void)snprintf(place->replica_dir, sizeof place->replica_dir, "/dev/shm/%s", place->run_dir + sizeof "/tmp");
  (void)snprintf(place->socket, sizeof place->socket, "%s/vestad.sock", place->run_dir);
  (void)snprintf(place->log, sizeof place->log, "%s/log", place->run_dir);
}

static void directory_remove(const char *path) {
  DIR *directory = opendir(path);
  if (directory == NULL) {
    return;
  }
  for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
    (void)unlinkat(dirfd(directory), entry->d_name, 0);
  }
  (void)closedir(directory);
  (void)rmdir(path);
}

void vestad_place_remove(const vestad_place_t *place) {
  directory_remove(place->run_dir);
  directory_remove(place->replica_dir);
}

/* In the child. */
static void program_exec(const vestad_place_t *place, const char *const *arguments, int ready_fd) {
  const char *program = getenv("VESTA_VESTAD");
  (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves none behind */
  int log = open(place->log, O_WRONLY | O_CREAT | O_APPEND, 0600);
  (void)dup2(log, STDERR_FILENO);
  (void)dup2(open("/dev/null", O_WRONLY), STDOUT_FILENO);
  if (ready_fd >= 0) {
    (void)dup2(ready_fd, READY_FD);
  }
  if (place->files_max > 0) {
    const struct rlimit files = {.rlim_cur = (rlim_t)place->files_max, .rlim_max = (rlim_t)place->files_max};
    (void)setrlimit(RLIMIT_NOFILE, &files);
  }
  (void)close_range(ready_fd >= 0 ? READY_FD + 1 : READY_FD, ~0U, 0);
  if (program != NULL) {
    (void)execv(program, (char *const *)(uintptr_t)arguments);
  }
  (void)fprintf(stderr, "cannot run $VESTA_VESTAD=%s\n", program == NULL ? "" : program);
  _exit(127);
}

bool vestad_ends_within(pid_t pid, int ms) {
  int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
  struct pollfd end = {.fd = pidfd, .events = POLLIN};
  bool ended = pidfd < 0 || poll(&end, 1, ms) == 1;
  (void)close(pidfd);
  return ended;
}

int vestad_wait(pid_t pid) {
  int status = 0;
  if (!vestad_ends_within(pid, TEST_DEADLINE_MS)) {
    (void)fprintf(stderr, "vestad %d does not end\n", pid);
    (void)kill(pid, SIGKILL);
  }
  (void)waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int vestad_end(pid_t pid, int signal) {
  (void)kill(pid, signal);
  return vestad_wait(pid);
}

int vestad_run(const vestad_place_t *place, const char *const *arguments) {
  const char *all[ARGUMENTS_MAX] = {"vestad"};
  size_t count = 1;
  for (; *arguments != NULL && count < ARGUMENTS_MAX - 1; arguments++) {
    all[count++] = *arguments;
  }
  pid_t pid = fork();
  if (pid == 0) {
    program_exec(place, all, -1);
  }
  return vestad_wait(pid);
}

pid_t vestad_start(const vestad_place_t *place, const char *const *arguments, int *exit_code) {
  const char *all[ARGUMENTS_MAX] = {"vestad",     "--socket", place->socket, "--replica-dir", place->replica_dir,
                                    "--ready-fd", "3"};
  size_t count = 7;
  for (; arguments != NULL && *arguments != NULL && count < ARGUMENTS_MAX - 1; arguments++) {
    all[count++] = *arguments;
  }
  int ready[2];
  if (pipe2(ready, O_CLOEXEC) != 0) {
    abort();
  }
  pid_t pid = fork();
  if (pid == 0) {
    program_exec(place, all, ready[1]);
  }
  (void)close(ready[1]);
  char byte;
  struct pollfd readable = {.fd = ready[0], .events = POLLIN};
  bool is_ready = poll(&readable, 1, TEST_DEADLINE_MS) == 1 && read(ready[0], &byte, 1) == 1;
  (void)close(ready[0]);
  if (is_ready) {
    return pid;
  }
  int code = vestad_wait(pid);
  if (exit_code != NULL) {
    *exit_code = code;
  }
  return -1;
}

bool vestad_logged(const vestad_place_t *place, const char *text) { return printed_wait(place->log, text); }
