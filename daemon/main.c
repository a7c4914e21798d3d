/* SPDX-License-Identifier: BSD-2-Clause
 *
 * vestad: the parts put together.
 *
 *   options -> run directory, instance lock -> replica directory -> stream sockets -> journal played into the node
 *           -> agents' socket -> replicas taken up -> ready -> turns of the loop -> everything closed in reverse
 *
 * A clean end and kill -9 leave the same behind: journal and replicas. The difference is only that a clean end removes the
 * sockets. So there is no other way to start than the one after a crash.
 *
 * Exit codes: 0 after a clean end, 1 on failure, 2 on a mistake in the options.
 */
#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <systemd/sd-daemon.h>

#include "daemon/accept_guard.h"
#include "daemon/cluster.h"
#include "daemon/info.h"
#include "daemon/lock_file.h"
#include "daemon/log.h"
#include "daemon/node_runner.h"
#include "daemon/options.h"
#include "daemon/peer_entrance.h"
#include "daemon/private_dir.h"
#include "daemon/private_end.h"

#define EXIT_USAGE 2
#define WHY_BYTES 2048U
#define FILES_FOR_REFUSALS 64        /* descriptors above those of links: to say no, and for replicas */
#define PROCESS_KEPT_BYTES (8 << 20) /* free memory that is kept */
#define FILES_SPARE (64 + (int)VESTA_PEER_ENTRANCE_MAX) /* above those: for the daemon itself, and nodes that come */
#define STOP_NS_MAX INT64_C(2000000000)                 /* told to end, it waits for other nodes at most so long */
#define GUESTS_REST 3 /* while local programs ask, answers over TCP take a quarter of the time */

typedef struct vestad {
  options_t options;
  gid_t group;
  int files_max; /* links stay below this */
  int instance;  /* lock */
  loop_t *loop;
  int64_t stop_ns; /* told to end: then at the latest; 0: not told */
  int signal_fd;
  loop_source_t signals;
  daemon_parts_t parts;
  node_runner_t *runner;
  cluster_t *cluster; /* NULL: this node is alone */
  stream_door_config_t door;
  private_end_t end;
  bool ended_idle;
  char why[WHY_BYTES];
} vestad_t;

static const char *environment_get(const char *name) { return getenv(name); }

/* ---- the process ---- */

/* Signals come through the loop; blocked before ZeroMQ makes its thread, which inherits that. */
static bool process_signals(vestad_t *vestad) {
  sigset_t taken;
  (void)sigemptyset(&taken);
  (void)sigaddset(&taken, SIGTERM);
  (void)sigaddset(&taken, SIGINT);
  (void)sigaddset(&taken, SIGHUP);
  (void)sigaddset(&taken, SIGUSR1);
  (void)signal(SIGPIPE, SIG_IGN);
  (void)signal(SIGXFSZ, SIG_IGN); /* an error code is enough */
  if (sigprocmask(SIG_BLOCK, &taken, NULL) != 0) {
    return false;
  }
  vestad->signal_fd = signalfd(-1, &taken, SFD_CLOEXEC | SFD_NONBLOCK);
  return vestad->signal_fd >= 0;
}

/* What a step or a message needs for a moment is needed again by the next: given back to the kernel each time, it would
 * cost a page fault for every page, which is more than copying what is put there. */
static void process_memory(void) {
  (void)mallopt(M_MMAP_THRESHOLD, PROCESS_KEPT_BYTES);
  (void)mallopt(M_TRIM_THRESHOLD, PROCESS_KEPT_BYTES);
}

/* As many descriptors as we may have. */
static void process_files(vestad_t *vestad) {
  struct rlimit files = {.rlim_cur = 1024, .rlim_max = 1024};
  (void)getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &files);
  (void)getrlimit(RLIMIT_NOFILE, &files);
  int limit = files.rlim_cur > INT_MAX ? INT_MAX : (int)files.rlim_cur;
  vestad->files_max = limit - FILES_FOR_REFUSALS - FILES_SPARE;
  accept_guard_begin(vestad->files_max);
  if (vestad->files_max < 0 || (uint64_t)vestad->files_max < vestad->options.clients_max) {
    log_write(LOG_ID_FILES_FEW, "descriptors=%d clients_max=%" PRIu64, limit, vestad->options.clients_max);
  }
}

/* In a cluster not before the others have what was written here. A second signal says: at once. */
static void vestad_stop(vestad_t *vestad) {
  if (vestad->cluster == NULL || vestad->stop_ns != 0) {
    loop_stop(vestad->loop);
  } else {
    vestad->stop_ns = loop_steady_ns() + STOP_NS_MAX;
    (void)sd_notify(0, "STOPPING=1");
    node_runner_ending(vestad->runner);
  }
}

static void process_signal_ready(void *context, uint32_t events) {
  vestad_t *vestad = context;
  struct signalfd_siginfo signal;
  (void)events;
  while (read(vestad->signal_fd, &signal, sizeof signal) == (ssize_t)sizeof signal) {
    if (signal.ssi_signo != SIGUSR1) {
      log_write(LOG_ID_STOPPING, "signal=%u", signal.ssi_signo);
      vestad_stop(vestad);
      continue;
    }
    char text[INFO_BYTES_MAX];
    (void)info_write(&vestad->parts, text, sizeof text);
    for (char *end = text; (end = strchr(end, '\n')) != NULL;) {
      *end = ' ';
    }
    log_write(LOG_ID_COUNTERS, "%s", text);
  }
}

/* ---- directories ---- */

static bool group_find(vestad_t *vestad) {
  vestad->group = PRIVATE_DIR_NO_GROUP;
  if (vestad->options.group[0] == '\0') {
    return true;
  }
  const struct group *group = getgrnam(vestad->options.group);
  if (group == NULL) {
    (void)snprintf(vestad->why, sizeof vestad->why, "there is no group %s", vestad->options.group);
    return false;
  }
  vestad->group = group->gr_gid;
  return true;
}

/* One of us for a socket. */
static bool instance_take(vestad_t *vestad) {
  char path[OPTIONS_PATH_BYTES + 8];
  (void)snprintf(path, sizeof path, "%s.pid", vestad->options.socket);
  vesta_err_t err = lock_file_take(path, &vestad->instance);
  if (err != VESTA_OK) {
    (void)snprintf(vestad->why, sizeof vestad->why,
                   err == VESTA_ERR_BUSY ? "another vestad serves %s" : "cannot lock %s.pid", vestad->options.socket);
    return false;
  }
  lock_file_sign(vestad->instance);
  return true;
}

static void instance_leave(vestad_t *vestad) {
  if (vestad->instance >= 0) {
    char path[OPTIONS_PATH_BYTES + 8];
    (void)snprintf(path, sizeof path, "%s.pid", vestad->options.socket);
    (void)unlink(path);
    (void)close(vestad->instance);
  }
}

/* Where replicas are when nobody said: named by the socket, so that two daemons never share. */
static bool replica_dir_default(vestad_t *vestad, char *path, size_t size) {
  char directory[PATH_MAX];
  char whole[PATH_MAX + OPTIONS_PATH_BYTES];
  if (realpath(vestad->options.run_dir, directory) == NULL) {
    (void)snprintf(vestad->why, sizeof vestad->why, "cannot resolve %s: %s", vestad->options.run_dir, strerror(errno));
    return false;
  }
  int length = snprintf(whole, sizeof whole, "%s%s", directory, strrchr(vestad->options.socket, '/'));
  (void)snprintf(path, size, "/dev/shm/vesta-%u", geteuid());
  if (!private_dir_make(path, PRIVATE_DIR_NO_GROUP, vestad->why, sizeof vestad->why)) {
    return false;
  }
  (void)snprintf(path, size, "/dev/shm/vesta-%u/%016" PRIx64, geteuid(), XXH3_64bits(whole, (size_t)length));
  return true;
}

static bool directories_take(vestad_t *vestad) {
  char replicas[OPTIONS_PATH_BYTES];
  (void)umask(077);
  if (!private_dir_make(vestad->options.run_dir, vestad->group, vestad->why, sizeof vestad->why) ||
      !instance_take(vestad)) {
    return false;
  }
  memcpy(replicas, vestad->options.replica_dir, sizeof replicas);
  if (replicas[0] == '\0' && !replica_dir_default(vestad, replicas, sizeof replicas)) {
    return false;
  }
  return storage_open(replicas, vestad->files_max + FILES_FOR_REFUSALS, &vestad->parts.storage, vestad->why,
                      sizeof vestad->why) == VESTA_OK;
}

/* ---- parts ---- */

static vesta_err_t node_restore_one(void *context, const wire_message_t *op) { return node_restore(context, op); }

static bool parts_are_all(const vestad_t *vestad) {
  const daemon_parts_t *parts = &vestad->parts;
  return vestad->runner != NULL && parts->node != NULL && parts->watch != NULL && parts->publisher != NULL &&
         parts->stream_server != NULL && parts->hash_server != NULL;
}

/* Streams over TCP. */
static bool guests_open(vestad_t *vestad) {
  daemon_parts_t *parts = &vestad->parts;
  const options_t *options = &vestad->options;
  vestad->door = (stream_door_config_t){.listen = options->stream_listen,
                                        .key_file = options->stream_keys[0] == '\0' ? NULL : options->key,
                                        .keys_dir = options->stream_keys};
  stream_guests_config_t guests = node_runner_guests(vestad->runner);
  guests.guests_max = (uint32_t)options->guests_max;
  parts->guests = stream_guests_new(&guests);
  if (parts->guests == NULL) {
    (void)snprintf(vestad->why, sizeof vestad->why, "out of memory");
    return false;
  }
  stream_sockets_config_t stream = {.door = &vestad->door,
                                    .held_bytes_max = VESTA_GUEST_QUEUE_BYTES_MAX,
                                    .rest = GUESTS_REST,
                                    .context = vestad->runner,
                                    .subscribed = node_runner_guest_subscribed,
                                    .came = node_runner_guest_came,
                                    .judged = node_runner_judged,
                                    .asked = node_runner_asked,
                                    .refused = node_runner_refused};
  if (vestad->door.key_file == NULL) {
    log_write(LOG_ID_GUEST_INSECURE, "listen=%s text=\"whoever reaches it may read all checkpoints\"",
              options->stream_listen);
  }
  return stream_sockets_open(&stream, vestad->loop, &parts->guest_sockets, vestad->why, sizeof vestad->why) == VESTA_OK;
}

static bool parts_open(vestad_t *vestad) {
  daemon_parts_t *parts = &vestad->parts;
  const options_t *options = &vestad->options;
  parts->socket_path = options->socket;
  parts->started_ns = loop_steady_ns();
  vestad->runner = node_runner_new(parts);
  if (options->cluster != OPTIONS_ALONE && vestad->runner != NULL &&
      cluster_open(options, vestad->loop, vestad->runner, parts, &vestad->cluster, vestad->why, sizeof vestad->why) !=
          VESTA_OK) {
    return false;
  }
  stream_sockets_config_t stream = {.socket = options->socket,
                                    .group = vestad->group,
                                    .held_bytes_max = VESTA_STREAM_QUEUE_BYTES_MAX,
                                    .rest = 1,
                                    .context = vestad->runner,
                                    .subscribed = node_runner_subscribed,
                                    .judged = node_runner_judged,
                                    .asked = node_runner_asked,
                                    .refused = node_runner_refused};
  if (stream_sockets_open(&stream, vestad->loop, &parts->sockets, vestad->why, sizeof vestad->why) != VESTA_OK ||
      (options->stream_listen[0] != '\0' && !guests_open(vestad))) {
    return false;
  }
  publisher_output_t outputs[PUBLISHER_DOORS_MAX];
  uint32_t doors = 0;
  outputs[doors++] = stream_sockets_output(parts->sockets);
  if (parts->guest_sockets != NULL) {
    outputs[doors++] = stream_sockets_output(parts->guest_sockets);
  }
  node_config_t config = {.node_id = 1,
                          .owner_uid = geteuid(),
                          .storage = storage_interface(parts->storage),
                          .stream_endpoints = stream_sockets_endpoints(parts->sockets)};
  if (vestad->cluster != NULL) {
    if (cluster_listen(vestad->cluster, vestad->why, sizeof vestad->why) != VESTA_OK) {
      return false;
    }
    cluster_configure(vestad->cluster, &config);
  }
  (void)node_new(&config, &parts->node);
  (void)publisher_new(outputs, doors, &parts->publisher);
  parts->stream_server = stream_server_new();
  parts->hash_server = hash_server_new(VESTA_HASHES_BYTES_MAX);
  parts->watch = process_watch_new(vestad->loop, node_runner_process_gone, vestad->runner);
  (void)snprintf(vestad->why, sizeof vestad->why, "out of memory");
  return parts_are_all(vestad);
}

static bool parts_start(vestad_t *vestad) {
  daemon_parts_t *parts = &vestad->parts;
  vesta_err_t err = journal_open(storage_directory(parts->storage), vestad->options.journal_bytes, node_restore_one,
                                 parts->node, &parts->journal, vestad->why, sizeof vestad->why);
  if (err == VESTA_ERR_MALFORMED) {
    log_write(LOG_ID_JOURNAL_DAMAGED, "directory=%s", storage_directory(parts->storage));
  }
  if (err != VESTA_OK) {
    return false;
  }
  agent_server_config_t server = {.socket = vestad->options.socket,
                                  .group = vestad->group,
                                  .clients_max = vestad->options.clients_max,
                                  .files_max = vestad->files_max,
                                  .context = vestad->runner,
                                  .request = node_runner_request,
                                  .gone = node_runner_link_gone};
  if (agent_server_open(&server, vestad->loop, &parts->server, vestad->why, sizeof vestad->why) != VESTA_OK) {
    return false;
  }
  err = node_runner_start(vestad->runner);
  if (err != VESTA_OK) {
    (void)snprintf(vestad->why, sizeof vestad->why, "cannot take up the replicas: %s", vesta_err_text(err));
    return false;
  }
  storage_on_rename(parts->storage, node_runner_renamed, vestad->runner);
  if (vestad->cluster != NULL) {
    cluster_start(vestad->cluster);
  }
  return true;
}

static void parts_close(vestad_t *vestad) {
  daemon_parts_t *parts = &vestad->parts;
  agent_server_close(&parts->server);
  process_watch_destroy(&parts->watch);
  cluster_close(vestad->cluster);
  stream_sockets_close(&parts->guest_sockets);
  stream_sockets_close(&parts->sockets);
  cluster_destroy(&vestad->cluster);
  stream_guests_destroy(&parts->guests);
  publisher_destroy(&parts->publisher);
  stream_server_destroy(&parts->stream_server);
  hash_server_destroy(&parts->hash_server);
  node_destroy(&parts->node);
  journal_close(&parts->journal);
  node_runner_destroy(&vestad->runner);
  if (vestad->ended_idle && vestad->options.replica_dir[0] == '\0') {
    storage_discard(&parts->storage);
  } else {
    storage_close(&parts->storage);
  }
}

/* ---- life ---- */

static void vestad_turn(void *context) {
  vestad_t *vestad = context;
  node_runner_turn(vestad->runner);
  if (vestad->cluster != NULL) {
    cluster_turn(vestad->cluster);
  }
  if (vestad->stop_ns != 0 && (node_drained(vestad->parts.node) || loop_steady_ns() >= vestad->stop_ns)) {
    loop_stop(vestad->loop);
  }
  if (vestad->options.private_daemon &&
      private_end_turn(&vestad->end, vestad->parts.server, node_idle(vestad->parts.node), loop_steady_ns())) {
    log_write(LOG_ID_IDLE_END, "linger_ms=%" PRId64, vestad->end.linger_ns / 1000000);
    vestad->ended_idle = true;
    loop_stop(vestad->loop);
  }
}

static int64_t vestad_wake_ns(void *context) {
  vestad_t *vestad = context;
  int64_t wake_ns = node_runner_wake_ns(vestad->runner);
  int64_t cluster_ns = vestad->cluster == NULL ? INT64_MAX : cluster_wake_ns(vestad->cluster);
  wake_ns = cluster_ns < wake_ns ? cluster_ns : wake_ns;
  wake_ns = vestad->stop_ns != 0 && vestad->stop_ns < wake_ns ? vestad->stop_ns : wake_ns;
  int64_t end_ns = vestad->options.private_daemon ? private_end_wake_ns(&vestad->end) : INT64_MAX;
  return wake_ns < end_ns ? wake_ns : end_ns;
}

static int64_t vestad_awake_ns(void *context) { return node_runner_awake_ns(((const vestad_t *)context)->runner); }

static void vestad_tell_ready(vestad_t *vestad) {
  const daemon_parts_t *parts = &vestad->parts;
  uint64_t lost = node_counter(parts->node, NODE_COUNTER_REPLICAS_LOST);
  journal_counters_t journal;
  journal_counters(parts->journal, &journal);
  if (journal.restored > 0) {
    log_write(LOG_ID_RESTORED, "operations=%" PRIu64 " sessions=%" PRIu64 " checkpoints=%" PRIu64, journal.restored,
              node_counter(parts->node, NODE_COUNTER_SESSIONS), node_counter(parts->node, NODE_COUNTER_CHECKPOINTS));
  }
  if (lost > 0) {
    log_write(LOG_ID_REPLICAS_LOST, "checkpoints=%" PRIu64, lost);
  }
  log_write(LOG_ID_READY, "version=%s pid=%ld socket=%s replica_dir=%s text=\"ready\"", VESTA_VERSION, (long)getpid(),
            parts->socket_path, storage_directory(parts->storage));
  (void)sd_notify(0, "READY=1");
  if (vestad->options.ready_fd != OPTIONS_NO_FD) {
    ssize_t written = write((int)vestad->options.ready_fd, "\n", 1);
    (void)written; /* whoever waited is gone: then nobody waits */
    (void)close((int)vestad->options.ready_fd);
  }
}

static bool vestad_run(vestad_t *vestad) {
  const loop_turn_t turn = {
      .context = vestad, .end = vestad_turn, .wake_ns = vestad_wake_ns, .awake_ns = vestad_awake_ns};
  private_end_init(&vestad->end, vestad->options.socket, (int64_t)vestad->options.linger_ns);
  vestad_tell_ready(vestad);
  vestad_turn(vestad); /* what taking up the replicas led to */
  if (!loop_run(vestad->loop, &turn)) {
    log_write(LOG_ID_LOOP_FAILED, "text=\"%s\"", strerror(errno));
    return false;
  }
  (void)sd_notify(0, "STOPPING=1");
  return true;
}

static int vestad_main(vestad_t *vestad) {
  vestad->instance = -1;
  vestad->signal_fd = -1;
  process_files(vestad);
  process_memory();
  vestad->loop = loop_new();
  if (vestad->loop == NULL || !process_signals(vestad) ||
      !loop_add(vestad->loop, &vestad->signals, vestad->signal_fd, EPOLLIN, process_signal_ready, vestad)) {
    (void)snprintf(vestad->why, sizeof vestad->why, "cannot make the loop: %s", strerror(errno));
  }
  bool good = vestad->signals.context != NULL && directories_take(vestad) && parts_open(vestad) && parts_start(vestad);
  if (good) {
    good = vestad_run(vestad);
  } else {
    log_write(LOG_ID_START_FAILED, "text=\"%s\"", vestad->why);
  }
  parts_close(vestad);
  instance_leave(vestad);
  loop_destroy(&vestad->loop);
  if (vestad->signal_fd >= 0) {
    (void)close(vestad->signal_fd);
  }
  return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv) {
  static vestad_t vestad;
  options_verdict_t verdict = options_read(&vestad.options, argc, argv, environment_get, vestad.why, sizeof vestad.why);
  if (verdict == OPTIONS_GOOD && vestad.options.help) {
    options_help();
    return EXIT_SUCCESS;
  }
  if (verdict == OPTIONS_GOOD && vestad.options.version) {
    (void)printf("vestad %s (protocol %u.%u)\n", VESTA_VERSION, WIRE_MAJOR, WIRE_MINOR);
    return EXIT_SUCCESS;
  }
  if (verdict == OPTIONS_GOOD) {
    verdict = options_complete(&vestad.options, environment_get, vestad.why, sizeof vestad.why);
  }
  if (verdict == OPTIONS_GOOD && !group_find(&vestad)) {
    verdict = OPTIONS_USAGE;
  }
  if (verdict != OPTIONS_GOOD) {
    (void)fprintf(stderr, "vestad: %s\n", vestad.why);
    if (verdict == OPTIONS_USAGE) {
      (void)fprintf(stderr, "Try `vestad --help`.\n");
    }
    return verdict == OPTIONS_USAGE ? EXIT_USAGE : EXIT_FAILURE;
  }
  log_open(vestad.options.log_to, vestad.options.log_level);
  return vestad_main(&vestad);
}
