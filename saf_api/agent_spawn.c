/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Starting a private daemon. See agent_spawn.h.
 *
 *   host thread --clone, no exit signal--> child --clone--> grandchild --exec--> vestad --private
 *        waits for the child by number     setsid, _exit     /dev/null, close all
 *        waits for the byte of readiness  <-------------------------------- pipe, descriptor 3
 *
 * Both clones borrow the host's memory and suspend it until they exec or exit (as vfork does), so that a host of many
 * gigabytes does not pay for a copy of its page tables. Therefore nothing but system calls is done in them, with every
 * signal blocked, on stacks of their own.
 */
#include "saf_api/agent_spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/limits.h"
#include "saf_api/agent_clock.h"

#define STACK_BYTES (64U << 10) /* of each of the two */
#define READY_FD 3
#define READY_FD_TEXT "3"
#define ATTEMPTS_MAX 20U
#define PAUSE_MS 20U
#define EXEC_FAILED 'X' /* what the grandchild says instead of the daemon */

typedef struct spawn_plan {
  const char *path;
  char *const *arguments;
  char *const *environment;
  int ready_fd;
  uint8_t *stack; /* the grandchild's */
} spawn_plan_t;

/* ---- in the clones: system calls only ---- */

static int spawn_grandchild(void *context) {
  const spawn_plan_t *plan = context;
  struct sigaction by_default = {.sa_handler = SIG_DFL};
  for (int signal = 1; signal < NSIG; signal++) {
    (void)sigaction(signal, &by_default, NULL); /* what the host ignores is not ignored by the daemon */
  }
  /* Out of the way of the four first: the host may have closed any of them. */
  int nothing = fcntl(open("/dev/null", O_RDWR), F_DUPFD, READY_FD + 1);
  int ready_fd = fcntl(plan->ready_fd, F_DUPFD, READY_FD + 1);
  bool ok = nothing >= 0 && dup2(ready_fd, READY_FD) == READY_FD && chdir("/") == 0;
  for (int fd = 0; fd < READY_FD; fd++) {
    ok = ok && dup2(nothing, fd) == fd;
  }
  ok = ok && close_range(READY_FD + 1, ~0U, 0) == 0;
  (void)umask(077);
  sigset_t none;
  (void)sigemptyset(&none);
  (void)sigprocmask(SIG_SETMASK, &none, NULL);
  if (ok) {
    (void)execve(plan->path, plan->arguments, plan->environment);
  }
  const char said = EXEC_FAILED;
  (void)!write(READY_FD, &said, 1);
  _exit(1);
}

static int spawn_child(void *context) {
  const spawn_plan_t *plan = context;
  (void)setsid();
  _exit(clone(spawn_grandchild, plan->stack + STACK_BYTES, CLONE_VM | CLONE_VFORK, context) < 0 ? 1 : 0);
}

/* ---- in the host ---- */

static vesta_err_t spawn_clone(spawn_plan_t *plan) {
  /* Not mapped pages: of those AddressSanitizer may still believe what lay there before. */
  uint8_t *stacks = malloc(2U * STACK_BYTES);
  if (stacks == NULL) {
    return VESTA_ERR_NO_MEMORY;
  }
  plan->stack = stacks;
  sigset_t all;
  sigset_t before;
  (void)sigfillset(&all);
  (void)pthread_sigmask(SIG_SETMASK, &all, &before);
  pid_t child = clone(spawn_child, stacks + 2U * STACK_BYTES, CLONE_VM | CLONE_VFORK, plan);
  int status = 0;
  while (child > 0 && waitpid(child, &status, __WALL) < 0 && errno == EINTR) {
  }
  (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
  free(stacks);
  return child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? VESTA_OK : VESTA_ERR_NO_RESOURCES;
}

/* Start one. OK: it is ready; TRY_AGAIN: it gave up, perhaps because another is about to end; UNAVAILABLE: no such
 * program */
static vesta_err_t spawn_once(const agent_endpoint_t *endpoint, int64_t deadline_ns) {
  const char *chosen = secure_getenv("VESTA_VESTAD");
  const char *path = chosen != NULL && chosen[0] != '\0' ? chosen : VESTA_VESTAD_PATH;
  char socket_path[sizeof endpoint->address.sun_path];
  memcpy(socket_path, endpoint->address.sun_path, sizeof socket_path);
  char name[] = "vestad";
  char private_option[] = "--private";
  char socket_option[] = "--socket";
  char ready_option[] = "--ready-fd";
  char ready_fd[] = READY_FD_TEXT;
  char *arguments[] = {name, private_option, socket_option, socket_path, ready_option, ready_fd, NULL};
  char *nothing[] = {NULL};
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    return VESTA_ERR_NO_RESOURCES;
  }
  spawn_plan_t plan = {.path = path,
                       .arguments = arguments,
                       .environment = getauxval(AT_SECURE) != 0 ? nothing : environ,
                       .ready_fd = ends[1]};
  vesta_err_t err = spawn_clone(&plan);
  (void)close(ends[1]);
  char said = 0;
  ssize_t got = -1;
  while (err == VESTA_OK && got < 0) {
    struct pollfd ready = {.fd = ends[0], .events = POLLIN};
    int64_t left_ms = (deadline_ns - agent_clock_ns()) / 1000000;
    if (left_ms <= 0) {
      err = VESTA_ERR_TIMEOUT;
    } else if (poll(&ready, 1, (int)left_ms) > 0) {
      got = read(ends[0], &said, 1);
    }
  }
  (void)close(ends[0]);
  if (err == VESTA_OK && (got == 0 || said == EXEC_FAILED)) {
    err = got == 0 ? VESTA_ERR_TRY_AGAIN : VESTA_ERR_UNAVAILABLE;
  }
  return err;
}

static void pause_ms(int64_t ms) {
  struct timespec time = {.tv_nsec = ms * 1000000};
  (void)nanosleep(&time, NULL);
}

/* The lock that whoever starts a daemon here holds. The file stays: it is empty, and deleting it would be a race. */
static vesta_err_t spawn_lock(const agent_endpoint_t *endpoint, int64_t deadline_ns, int *fd) {
  char path[sizeof endpoint->address.sun_path + 8];
  (void)snprintf(path, sizeof path, "%s.start", endpoint->address.sun_path);
  int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (file < 0) {
    return VESTA_ERR_NO_RESOURCES;
  }
  while (flock(file, LOCK_EX | LOCK_NB) != 0) {
    if (agent_clock_ns() >= deadline_ns) {
      (void)close(file);
      return VESTA_ERR_TIMEOUT;
    }
    pause_ms(1);
  }
  *fd = file;
  return VESTA_OK;
}

vesta_err_t agent_spawn(const agent_endpoint_t *endpoint, int64_t deadline_ns, int *fd) {
  const char *wanted = secure_getenv("VESTA_AUTOSPAWN");
  if (!endpoint->own || (wanted != NULL && strcmp(wanted, "0") == 0)) {
    return VESTA_ERR_UNAVAILABLE;
  }
  int64_t limit_ns = agent_clock_ns() + (int64_t)VESTA_SPAWN_LIMIT_MS * 1000000;
  deadline_ns = deadline_ns < limit_ns ? deadline_ns : limit_ns;
  int lock_fd;
  vesta_err_t err = spawn_lock(endpoint, deadline_ns, &lock_fd);
  if (err != VESTA_OK) {
    return err;
  }
  err = VESTA_ERR_TRY_AGAIN;
  for (uint32_t attempt = 0; attempt < ATTEMPTS_MAX && err == VESTA_ERR_TRY_AGAIN; attempt++) {
    if (attempt > 0) {
      pause_ms(PAUSE_MS);
    }
    err = agent_endpoint_connect(endpoint, fd); /* another process may have been faster */
    if (err != VESTA_OK) {
      err = spawn_once(endpoint, deadline_ns);
      err = err == VESTA_OK ? agent_endpoint_connect(endpoint, fd) : err;
    }
  }
  (void)close(lock_fd);
  return err == VESTA_ERR_TRY_AGAIN ? VESTA_ERR_UNAVAILABLE : err;
}
