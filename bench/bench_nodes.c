/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A shell with nodes.sh in it, at the other end of a pair of sockets. Each line is answered by what it prints and a last
 * line "= STATUS". See bench_nodes.h.
 */
#include "bench/bench_nodes.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/scene.h"

#define SETS_MAX 4U
#define LINE_BYTES 1024U
#define WAIT_S 30

struct bench_nodes {
  uint32_t count;
  pid_t shell;
  FILE *say;
  FILE *hear;
  char name[BENCH_NODES_PATH_BYTES]; /* of the namespaces, without the node's number */
  char directory[BENCH_NODES_PATH_BYTES];
  char answer[LINE_BYTES]; /* the first line that the last command printed */
};

static bench_nodes_t *nodes_sets[SETS_MAX]; /* to be removed when the program ends */
static int nodes_home = -1;                 /* the network this program is in */

/* $0: nodes.sh, $1: the folder of the programs */
static const char nodes_shell[] =
    "trap '' INT TERM HUP\n"
    "nodes_bin=$1\n"
    ". \"$0\"\n"
    "key_of() { node \"$1\" \"$nodes_bin/vesta\" status 2>/dev/null | awk -v key=\"$2\" '$1 == key { print $2 }'; }\n"
    "formed() { local i; for ((i = 1; i <= nodes_count; i++)); do\n"
    "  [ \"$(key_of $i order) $(key_of $i participants)\" = \"active $(seq -s, $nodes_count)\" ] || return 1\n"
    "  [ \"$(key_of $i peer_links)\" = $((nodes_count - 1)) ] || return 1; done; }\n"
    "in_sync() { [ \"$(node 1 \"$nodes_bin/vesta\" show \"$1\" 2>/dev/null |\n"
    "  grep -cE '^ +[0-9]+ .* (primary|in-sync) ')\" -ge \"$2\" ]; }\n"
    "until_true() { local end=$((SECONDS + $1)); shift; until \"$@\"; do\n"
    "  [ $SECONDS -lt $end ] || return 1; sleep 0.02; done; }\n"
    "begin() { nodes_begin \"$1\" && local i && for ((i = 1; i <= $1; i++)); do\n"
    "  corosync_start $i; vestad_start $i \"${@:2}\"; done; }\n"
    "while IFS= read -r line; do eval \"$line\"; echo \"= $?\"; done\n"
    "nodes_end\n";

const char *bench_nodes_why_not(void) {
  if (geteuid() != 0) {
    return "it needs root";
  }
  if (system("command -v ip >/dev/null 2>&1") != 0) { // NOLINT: a constant
    return "ip (iproute2) is not installed";
  }
  return system("command -v corosync >/dev/null 2>&1") == 0 ? NULL : "corosync is not installed"; // NOLINT: a constant
}

/* ---- the shell ---- */

static void nodes_end(bench_nodes_t *nodes) {
  (void)fclose(nodes->say);
  (void)fclose(nodes->hear); /* the shell reads the end of its input, and cleans up */
  while (waitpid(nodes->shell, NULL, 0) < 0 && errno == EINTR) {
  }
}

static void nodes_end_all(void) {
  for (size_t i = 0; i < SETS_MAX; i++) {
    if (nodes_sets[i] != NULL) {
      nodes_end(nodes_sets[i]);
      nodes_sets[i] = NULL;
    }
  }
}

static void nodes_keep(bench_nodes_t *nodes) {
  static bool registered;
  size_t i = 0;
  while (i < SETS_MAX && nodes_sets[i] != NULL) {
    i++;
  }
  if (i == SETS_MAX) {
    scene_fail("too many sets of nodes");
  }
  if (!registered) {
    (void)atexit(nodes_end_all);
    registered = true;
  }
  nodes_sets[i] = nodes;
}

static void nodes_shell_start(bench_nodes_t *nodes) {
  char folder[PATH_MAX];
  int ends[2];
  ssize_t size = readlink("/proc/self/exe", folder, sizeof folder - 1);
  if (size <= 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    scene_fail("cannot start a shell: %s", strerror(errno));
  }
  folder[size] = '\0';
  *strrchr(folder, '/') = '\0';
  char *arguments[] = {"bash", "-c", (char *)nodes_shell, VESTA_NODES_SH, folder, NULL};
  posix_spawn_file_actions_t files;
  (void)posix_spawn_file_actions_init(&files);
  (void)posix_spawn_file_actions_adddup2(&files, ends[1], 0);
  (void)posix_spawn_file_actions_adddup2(&files, ends[1], 1);
  int error = posix_spawnp(&nodes->shell, "bash", &files, NULL, arguments, environ);
  (void)posix_spawn_file_actions_destroy(&files);
  (void)close(ends[1]);
  nodes->say = fdopen(ends[0], "w");
  nodes->hear = fdopen(fcntl(ends[0], F_DUPFD_CLOEXEC, 0), "r");
  if (error != 0 || nodes->say == NULL || nodes->hear == NULL) {
    scene_fail("cannot start a shell: %s", strerror(error));
  }
  nodes_keep(nodes);
}

/* What the shell prints for a line, up to its status. */
static int nodes_hear(bench_nodes_t *nodes) {
  char line[LINE_BYTES];
  nodes->answer[0] = '\0';
  while (fgets(line, sizeof line, nodes->hear) != NULL) {
    int status;
    if (sscanf(line, "= %d", &status) == 1) {
      return status;
    }
    if (nodes->answer[0] == '\0') {
      memcpy(nodes->answer, line, sizeof line);
    }
  }
  scene_fail("the nodes' shell has ended");
}

void bench_nodes_run(bench_nodes_t *nodes, const char *format, ...) {
  char line[LINE_BYTES];
  va_list arguments;
  va_start(arguments, format);
  (void)vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  (void)fprintf(nodes->say, "%s\n", line);
  (void)fflush(nodes->say);
  scene_pause(0);
  if (nodes_hear(nodes) != 0) {
    scene_fail("it does not happen: %s", line);
  }
}

/* ---- nodes ---- */

bench_nodes_t *bench_nodes_new(uint32_t count, bool keys, const char *options) {
  bench_nodes_t *nodes = calloc(1, sizeof *nodes);
  if (nodes == NULL || count > BENCH_NODES_MAX) {
    scene_fail("no such nodes");
  }
  if (nodes_home < 0) {
    nodes_home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  }
  nodes->count = count;
  nodes_shell_start(nodes);
  bench_nodes_run(nodes, "nodes_keys=%s", keys ? "yes" : "");
  bench_nodes_run(nodes, "begin %" PRIu32 " %s && echo $nodes_name $nodes_dir", count, options);
  if (sscanf(nodes->answer, "%127s %127s", nodes->name, nodes->directory) != 2) {
    scene_fail("the nodes' shell says: %s", nodes->answer);
  }
  bench_nodes_wait_formed(nodes);
  return nodes;
}

void bench_nodes_destroy(bench_nodes_t **nodes) {
  for (size_t i = 0; i < SETS_MAX; i++) {
    if (nodes_sets[i] == *nodes) {
      nodes_sets[i] = NULL;
    }
  }
  nodes_end(*nodes);
  free(*nodes);
  *nodes = NULL;
}

void bench_nodes_place(bench_nodes_t *nodes, uint32_t node, uint32_t place) {
  bench_nodes_run(nodes,
                  "for program in corosync vestad; do taskset -acp %d $(cat \"$nodes_dir/%" PRIu32
                  "/$program.pid\") >/dev/null; done",
                  scene_processor(place), node);
}

void bench_nodes_wait_formed(bench_nodes_t *nodes) { bench_nodes_run(nodes, "until_true %d formed", WAIT_S); }

void bench_nodes_wait_in_sync(bench_nodes_t *nodes, const char *checkpoint, uint32_t replicas) {
  bench_nodes_run(nodes, "until_true %d in_sync %s %" PRIu32, WAIT_S, checkpoint, replicas);
}

void bench_nodes_use(const bench_nodes_t *nodes, uint32_t node) {
  char path[BENCH_NODES_PATH_BYTES + 32];
  (void)snprintf(path, sizeof path, "%s/%" PRIu32 "/run/vestad.sock", nodes->directory, node);
  (void)setenv("VESTA_SOCKET", path, 1);
}

pid_t bench_nodes_vestad(const bench_nodes_t *nodes, uint32_t node) {
  char path[BENCH_NODES_PATH_BYTES + 32];
  int process = 0;
  (void)snprintf(path, sizeof path, "%s/%" PRIu32 "/vestad.pid", nodes->directory, node);
  FILE *file = fopen(path, "re");
  if (file == NULL || fscanf(file, "%d", &process) != 1) {
    scene_fail("cannot read %s", path);
  }
  (void)fclose(file);
  return process;
}

const char *bench_nodes_dir(const bench_nodes_t *nodes) { return nodes->directory; }

/* ---- their networks ---- */

void bench_nodes_enter(const bench_nodes_t *nodes, uint32_t node) {
  char path[BENCH_NODES_PATH_BYTES + 32];
  (void)snprintf(path, sizeof path, "/run/netns/%s-%" PRIu32, nodes->name, node);
  int network = open(path, O_RDONLY | O_CLOEXEC);
  if (network < 0 || setns(network, CLONE_NEWNET) != 0) {
    scene_fail("cannot enter %s: %s", path, strerror(errno));
  }
  (void)close(network);
}

void bench_nodes_leave(void) {
  if (setns(nodes_home, CLONE_NEWNET) != 0) {
    scene_fail("cannot leave a node's network: %s", strerror(errno));
  }
}

void bench_nodes_address(uint32_t node, char address[16]) { (void)snprintf(address, 16, "10.77.0.%" PRIu32, node); }

void bench_nodes_connect(const bench_nodes_t *nodes, uint32_t from, uint32_t to, int ends[2]) {
  const int yes = 1;
  struct sockaddr_in address = {.sin_family = AF_INET};
  socklen_t size = sizeof address;
  char text[16];
  bench_nodes_address(to, text);
  (void)inet_pton(AF_INET, text, &address.sin_addr);
  bench_nodes_enter(nodes, to);
  int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  bench_nodes_enter(nodes, from);
  ends[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  bench_nodes_leave();
  if (bind(listening, (struct sockaddr *)&address, size) != 0 || listen(listening, 1) != 0 ||
      getsockname(listening, (struct sockaddr *)&address, &size) != 0 ||
      connect(ends[0], (struct sockaddr *)&address, size) != 0) {
    scene_fail("cannot connect two nodes: %s", strerror(errno));
  }
  ends[1] = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
  (void)setsockopt(ends[0], IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  (void)setsockopt(ends[1], IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  (void)close(listening);
}

uint64_t bench_nodes_received_bytes(const bench_nodes_t *nodes, uint32_t node) {
  char line[LINE_BYTES];
  uint64_t bytes = 0;
  bench_nodes_enter(nodes, node);
  FILE *file = fopen("/proc/thread-self/net/dev", "re");
  bench_nodes_leave();
  while (file != NULL && fgets(line, sizeof line, file) != NULL) {
    (void)sscanf(line, " eth:%" SCNu64, &bytes);
  }
  if (file != NULL) {
    (void)fclose(file);
  }
  return bytes;
}
