/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Directories, daemons and processes of the demo and the bench. See scene.h.
 */
#include "bench/scene.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SCENES_MAX 4
#define PROCESSES_MAX 256
#define ARGUMENTS_MAX 12
#define SYSTEM_SOCKET "/run/vesta/vestad.sock"
#define STOP_LIMIT_MS 3000 /* a daemon that has not ended by then is killed */
#define LAST_SECONDS 15    /* for cleaning up, when the time is up */

struct scene {
  bool used;
  char dir[64];
  char replica_dir[80];
  char socket[96];
};

static const char *scene_program = "";
static scene_t scene_list[SCENES_MAX];
static pid_t scene_processes[PROCESSES_MAX];
static volatile sig_atomic_t scene_signalled;

/* ---- this program ---- */

/* A signal is the cause of whatever else went wrong after it. */
_Noreturn void scene_fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  (void)fflush(stdout);
  (void)fprintf(stderr, "\n%s: ", scene_program);
  if (scene_signalled != 0) {
    (void)fprintf(stderr, "%s", scene_signalled == SIGALRM ? "took too long" : "interrupted");
  } else {
    (void)vfprintf(stderr, format, arguments);
  }
  (void)fprintf(stderr, "\n");
  va_end(arguments);
  exit(1); // NOLINT: cleans up by atexit()
}

static const char *scene_error_name(SaAisErrorT error) {
  static const char *const names[] = {"0",
                                      "OK",
                                      "LIBRARY",
                                      "VERSION",
                                      "INIT",
                                      "TIMEOUT",
                                      "TRY_AGAIN",
                                      "INVALID_PARAM",
                                      "NO_MEMORY",
                                      "BAD_HANDLE",
                                      "BUSY",
                                      "ACCESS",
                                      "NOT_EXIST",
                                      "NAME_TOO_LONG",
                                      "EXIST",
                                      "NO_SPACE",
                                      "INTERRUPT",
                                      "NAME_NOT_FOUND",
                                      "NO_RESOURCES",
                                      "NOT_SUPPORTED",
                                      "BAD_OPERATION"};
  return (size_t)error < sizeof names / sizeof names[0] ? names[error] : "?";
}

void scene_require(SaAisErrorT error, const char *call) {
  if (error != SA_AIS_OK) {
    scene_fail("%s: %d (%s)", call, (int)error, scene_error_name(error));
  }
}

int64_t scene_now_ns(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * SCENE_SECOND + now.tv_nsec;
}

void scene_pause(int64_t duration_ns) {
  struct timespec time = {.tv_sec = duration_ns / SCENE_SECOND, .tv_nsec = duration_ns % SCENE_SECOND};
  (void)nanosleep(&time, NULL);
  if (scene_signalled != 0) {
    scene_fail("signal %d", (int)scene_signalled);
  }
}

/* Those that this program may run on at its start. */
static const cpu_set_t *scene_processors(void) {
  static cpu_set_t all;
  if (CPU_COUNT(&all) == 0) {
    (void)sched_getaffinity(0, sizeof all, &all);
  }
  return &all;
}

void scene_place(bool on_one) {
  if (on_one) {
    scene_place_at(0);
  } else {
    (void)sched_setaffinity(0, sizeof(cpu_set_t), scene_processors());
  }
}

/* From the last one on: the first one serves most interrupts. */
int scene_processor(uint32_t place) {
  const cpu_set_t *all = scene_processors();
  uint32_t left = place % (uint32_t)CPU_COUNT(all);
  int processor = CPU_SETSIZE - 1;
  while (!CPU_ISSET((size_t)processor, all) || left-- > 0) {
    processor--;
  }
  return processor;
}

void scene_place_at(uint32_t place) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET((size_t)scene_processor(place), &set);
  (void)sched_setaffinity(0, sizeof set, &set);
}

/* Noticed at the next pause. If none comes any more, the last seconds end it, clean or not. */
static void scene_on_signal(int signal) {
  if (scene_signalled == 0) {
    scene_signalled = signal;
    (void)alarm(LAST_SECONDS);
  } else if (signal == SIGALRM) {
    _exit(1);
  }
}

static void scene_clean_up(void) {
  (void)alarm(LAST_SECONDS);
  for (size_t i = 0; i < PROCESSES_MAX; i++) {
    scene_kill(scene_processes[i]);
  }
  for (size_t i = 0; i < SCENES_MAX; i++) {
    scene_t *scene = &scene_list[i];
    scene_close(&scene);
  }
}

/* The daemon that was built beside this program, unless the environment names one. */
static void scene_choose_daemon(void) {
  char path[PATH_MAX];
  ssize_t size = readlink("/proc/self/exe", path, sizeof path - sizeof "/vestad");
  if (getenv("VESTA_VESTAD") != NULL || size <= 0) {
    return;
  }
  path[size] = '\0';
  (void)strcpy(strrchr(path, '/'), "/vestad");
  if (access(path, X_OK) == 0) {
    (void)setenv("VESTA_VESTAD", path, 1);
  }
}

void scene_begin(const char *program, unsigned limit_s) {
  scene_program = program;
  scene_choose_daemon();
  (void)atexit(scene_clean_up);
  const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGALRM};
  for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
    struct sigaction action = {.sa_handler = scene_on_signal};
    (void)sigaction(signals[i], &action, NULL);
  }
  (void)signal(SIGPIPE, SIG_IGN);
  (void)alarm(limit_s);
}

const char *scene_role(const char *program, int argc, char **argv) {
  if (argc < 4 || strcmp(argv[1], "--role") != 0) {
    return NULL;
  }
  scene_program = program;
  const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};
  for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++) {
    (void)signal(ignored[i], SIG_IGN);
  }
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != (pid_t)strtol(argv[3], NULL, 10)) {
    scene_fail("its parent has ended");
  }
  return argv[2];
}

/* ---- scenes ---- */

void scene_enter(const scene_t *scene) {
  (void)setenv("XDG_RUNTIME_DIR", scene->dir, 1);
  (void)setenv("VESTA_REPLICA_DIR", scene->replica_dir, 1);
  (void)unsetenv("VESTA_AUTOSPAWN");
  (void)unsetenv("VESTA_RUN_DIR");
  (void)unsetenv("VESTA_CONFIG");
  (void)unsetenv("VESTA_SOCKET");
  if (access(SYSTEM_SOCKET, F_OK) == 0) {
    (void)setenv("VESTA_SOCKET", scene->socket, 1); /* the system's daemon would go before the private one */
  }
}

/* The library starts no daemon at a place named by VESTA_SOCKET. */
static void scene_start_daemon(const scene_t *scene) {
  const char *path = getenv("VESTA_VESTAD");
  char run_dir[sizeof scene->dir + sizeof "/vesta"];
  (void)snprintf(run_dir, sizeof run_dir, "%s/vesta", scene->dir);
  (void)mkdir(run_dir, 0700);
  char *arguments[] = {"vestad", "--private", "--socket", (char *)scene->socket, "--log-level", "error", NULL};
  pid_t process;
  int error = posix_spawn(&process, path == NULL ? "vestad" : path, NULL, NULL, arguments, environ);
  if (error != 0) {
    scene_fail("cannot start vestad: %s", strerror(error));
  }
  int64_t deadline_ns = scene_now_ns() + 5 * SCENE_SECOND;
  while (scene_daemon(scene) == 0) {
    if (scene_now_ns() > deadline_ns) {
      scene_fail("vestad was not ready in time");
    }
    scene_pause(5 * SCENE_MS);
  }
}

scene_t *scene_open(void) {
  size_t i = 0;
  while (i < SCENES_MAX && scene_list[i].used) {
    i++;
  }
  if (i == SCENES_MAX) {
    scene_fail("too many scenes");
  }
  scene_t *scene = &scene_list[i];
  char dir[sizeof scene->dir];
  (void)snprintf(dir, sizeof dir, "/dev/shm/%s-%d-XXXXXX", scene_program, getpid());
  if (mkdtemp(dir) == NULL) {
    scene_fail("cannot make %s: %s", dir, strerror(errno));
  }
  scene->used = true;
  memcpy(scene->dir, dir, sizeof dir);
  (void)snprintf(scene->replica_dir, sizeof scene->replica_dir, "%s/replicas", dir);
  (void)snprintf(scene->socket, sizeof scene->socket, "%s/vesta/vestad.sock", dir);
  scene_enter(scene);
  if (getenv("VESTA_SOCKET") != NULL) {
    scene_start_daemon(scene);
  }
  return scene;
}

const char *scene_dir(const scene_t *scene) { return scene->dir; }

pid_t scene_daemon(const scene_t *scene) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", scene->socket);
  struct ucred peer = {0};
  socklen_t size = sizeof peer;
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
      getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    peer.pid = 0;
  }
  (void)close(fd);
  return peer.pid;
}

static void scene_stop_daemon(const scene_t *scene) {
  pid_t daemon = scene_daemon(scene);
  if (daemon <= 0) {
    return;
  }
  int fd = (int)syscall(SYS_pidfd_open, daemon, 0);
  struct pollfd ended = {.fd = fd, .events = POLLIN};
  (void)kill(daemon, SIGTERM);
  if (fd < 0 || poll(&ended, 1, STOP_LIMIT_MS) != 1) {
    (void)kill(daemon, SIGKILL);
    (void)poll(&ended, 1, STOP_LIMIT_MS);
  }
  (void)close(fd);
  (void)waitpid(daemon, NULL, WNOHANG); /* it may be a child of ours, see scene_start_daemon() */
}

static int scene_remove(const char *path, const struct stat *status, int flag, struct FTW *walk) {
  (void)status;
  (void)flag;
  (void)walk;
  (void)remove(path);
  return 0;
}

void scene_close(scene_t **scene) {
  if ((*scene)->used) {
    scene_stop_daemon(*scene);
    (void)nftw((*scene)->dir, scene_remove, 16, FTW_DEPTH | FTW_PHYS);
    (*scene)->used = false;
  }
  *scene = NULL;
}

/* ---- processes ---- */

pid_t scene_spawn(const char *role, const char *const *arguments) {
  char parent[16];
  (void)snprintf(parent, sizeof parent, "%d", getpid());
  char *line[SCENE_ROLE_ARGUMENT + ARGUMENTS_MAX + 1] = {(char *)scene_program, "--role", (char *)role, parent};
  for (size_t i = 0; i < ARGUMENTS_MAX && arguments[i] != NULL; i++) {
    line[SCENE_ROLE_ARGUMENT + i] = (char *)arguments[i];
  }
  size_t place = 0;
  while (place < PROCESSES_MAX && scene_processes[place] != 0) {
    place++;
  }
  if (place == PROCESSES_MAX) {
    scene_fail("too many processes");
  }
  int error = posix_spawn(&scene_processes[place], "/proc/self/exe", NULL, NULL, line, environ);
  if (error != 0) {
    scene_processes[place] = 0;
    scene_fail("cannot start a process: %s", strerror(error));
  }
  return scene_processes[place];
}

void scene_signal(pid_t process, int signal) { (void)kill(process, signal); }

static void scene_forget(pid_t process) {
  for (size_t i = 0; i < PROCESSES_MAX; i++) {
    if (scene_processes[i] == process) {
      scene_processes[i] = 0;
    }
  }
}

void scene_require_running(pid_t process, const char *what) {
  if (waitpid(process, NULL, WNOHANG) != 0) {
    scene_forget(process);
    scene_fail("%s (process %d) has ended too early", what, process);
  }
}

void scene_await(pid_t process, int64_t limit_ns, const char *what) {
  int64_t deadline_ns = scene_now_ns() + limit_ns;
  int status = 0;
  while (waitpid(process, &status, WNOHANG) != process) {
    if (scene_now_ns() > deadline_ns) {
      scene_fail("%s (process %d) took too long", what, process);
    }
    scene_pause(SCENE_MS);
  }
  scene_forget(process);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    scene_fail("%s (process %d) failed", what, process);
  }
}

void scene_kill(pid_t process) {
  if (process > 0) {
    (void)kill(process, SIGKILL);
    while (waitpid(process, NULL, 0) < 0 && errno == EINTR) {
    }
    scene_forget(process);
  }
}

/* ---- memory shared with processes in roles ---- */

static void *scene_map(const char *path, int fd, size_t size) {
  void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) {
    scene_fail("cannot map %s: %s", path, strerror(errno));
  }
  (void)close(fd);
  return memory;
}

void *scene_share_create(const char *path, size_t size) {
  int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0 || posix_fallocate(fd, 0, (off_t)size) != 0) {
    scene_fail("cannot make %s of %zu bytes: %s", path, size, strerror(errno));
  }
  return scene_map(path, fd, size);
}

void *scene_share_open(const char *path, size_t *size) {
  struct stat status;
  int fd = open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &status) != 0) {
    scene_fail("cannot open %s: %s", path, strerror(errno));
  }
  if (size != NULL) {
    *size = (size_t)status.st_size;
  }
  return scene_map(path, fd, (size_t)status.st_size);
}
