/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What it costs to follow over TCP: from a write to its change at a follower on this machine, over the local sockets, over
 * TCP, and over TCP with keys; in alternating blocks, each follower of a checkpoint of its own. The network is the loopback,
 * so what is seen is the work alone: TCP's, and that of encrypting.
 *
 * A service either has keys or has none, so there are two.
 */
#include <ftw.h>
#include <saCkpt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <vesta.h>
#include <zmq.h>

#include "bench/bench_floor.h"
#include "bench/bench_parts.h"
#include "bench/opener.h"
#include "bench/scene.h"

#define GUEST_PORT 7430U
#define GUEST_DIR_BYTES 80U
#define GUEST_SOCKET_BYTES (GUEST_DIR_BYTES + 16U) /* below what a socket's path may be */
#define GUEST_PATH_BYTES (GUEST_DIR_BYTES + 48U)
#define KEY_BYTES 41U
#define US 1000.0

static const size_t guest_sizes[] = {100, 1 << 10, 64 << 10};
enum { GUEST_SIZES = sizeof guest_sizes / sizeof guest_sizes[0] };

/* A vestad that listens. */
typedef struct guest_service {
  char dir[GUEST_DIR_BYTES], socket[GUEST_SOCKET_BYTES];
  char endpoint[64];
  bool keys;
  pid_t process;
} guest_service_t;

/* One who writes and one who follows. */
typedef struct guest_pair {
  opener_t opener;
  bench_crowd_t *follower;
  size_t bytes;
  uint8_t *payload;
} guest_pair_t;

/* ---- services ---- */

int bench_guest_service_run(char **arguments) {
  const char *program = getenv("VESTA_VESTAD");
  const char *dir = arguments[0];
  char socket[GUEST_PATH_BYTES], replicas[GUEST_PATH_BYTES], key[GUEST_PATH_BYTES], known[GUEST_PATH_BYTES];
  (void)snprintf(socket, sizeof socket, "%s/vestad.sock", dir);
  (void)snprintf(replicas, sizeof replicas, "%s/replicas", dir);
  (void)snprintf(key, sizeof key, "%s/node.key", dir);
  (void)snprintf(known, sizeof known, "%s/known", dir);
  bool keys = access(key, F_OK) == 0;
  char *options[] = {"vestad",     "--socket",
                     socket,       "--replica-dir",
                     replicas,     "--log-level",
                     "error",      "--stream-listen",
                     arguments[1], keys ? "--key" : "--insecure",
                     key,          "--stream-keys",
                     known,        NULL};
  if (!keys) {
    options[10] = NULL;
  }
  (void)execv(program == NULL ? "vestad" : program, options);
  return 127;
}

static void file_write(const char *path, const char *text) {
  FILE *file = fopen(path, "we");
  if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0) {
    scene_fail("cannot write %s", path);
  }
  (void)chmod(path, 0600);
}

/* A pair, and its public key apart. */
static void keys_make(const char *pair, const char *single) {
  char public_key[KEY_BYTES], secret_key[KEY_BYTES], text[256];
  if (zmq_curve_keypair(public_key, secret_key) != 0) {
    scene_fail("this ZeroMQ can't encrypt");
  }
  (void)snprintf(text, sizeof text, "public %s\nsecret %s\n", public_key, secret_key);
  file_write(pair, text);
  (void)snprintf(text, sizeof text, "%s\n", public_key);
  file_write(single, text);
}

static bool service_answers(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  bool answers = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
  (void)close(fd);
  return answers;
}

/* All of 127.0.0.0/8 is this machine: an address by our pid, so that no other bench is in the way. */
static void service_begin(guest_service_t *service, const scene_t *scene, bool keys) {
  unsigned pid = (unsigned)getpid();
  *service = (guest_service_t){.keys = keys};
  (void)snprintf(service->dir, sizeof service->dir, "%s/%s", scene_dir(scene), keys ? "keys" : "plain");
  (void)snprintf(service->socket, sizeof service->socket, "%s/vestad.sock", service->dir);
  (void)snprintf(service->endpoint, sizeof service->endpoint, "tcp://127.%u.%u.%u:%u", keys ? 101U : 102U,
                 pid >> 8 & 255U, pid & 255U, GUEST_PORT);
  (void)mkdir(service->dir, 0700);
  if (keys) {
    char paths[4][GUEST_PATH_BYTES];
    static const char *const names[] = {"node.key", "node.pub", "guest.key", "known/guest.pub"};
    (void)snprintf(paths[0], sizeof paths[0], "%s/known", service->dir);
    (void)mkdir(paths[0], 0700);
    for (int i = 0; i < 4; i++) {
      (void)snprintf(paths[i], sizeof paths[i], "%s/%s", service->dir, names[i]);
    }
    keys_make(paths[0], paths[1]);
    keys_make(paths[2], paths[3]);
  }
  const char *arguments[] = {service->dir, service->endpoint, NULL};
  service->process = scene_spawn(BENCH_GUEST_SERVICE_ROLE, arguments);
  int64_t deadline_ns = scene_now_ns() + 10 * SCENE_SECOND;
  while (!service_answers(service->socket)) {
    if (scene_now_ns() > deadline_ns) {
      scene_fail("vestad was not ready in time");
    }
    scene_pause(5 * SCENE_MS);
  }
}

static int entry_remove(const char *path, const struct stat *status, int type, struct FTW *walk) {
  (void)status;
  (void)type;
  (void)walk;
  return remove(path);
}

static void service_end(const guest_service_t *service) {
  scene_kill(service->process);
  (void)nftw(service->dir, entry_remove, 16, FTW_DEPTH | FTW_PHYS);
}

/* From now on this process, and those that it spawns, use that service. */
static void service_enter(const guest_service_t *service) {
  char path[GUEST_PATH_BYTES + 16];
  (void)setenv("VESTA_SOCKET", service->socket, 1);
  (void)setenv("VESTA_STREAM_SERVER", service->endpoint, 1);
  (void)setenv("VESTA_STREAM_INSECURE", service->keys ? "0" : "1", 1);
  (void)snprintf(path, sizeof path, "%s/node.pub", service->dir);
  (void)setenv("VESTA_STREAM_SERVER_KEY", service->keys ? path : "", 1);
  (void)snprintf(path, sizeof path, "%s/guest.key", service->dir);
  (void)setenv("VESTA_STREAM_KEY", service->keys ? path : "", 1);
}

static void service_leave(void) {
  static const char *const variables[] = {"VESTA_SOCKET", "VESTA_STREAM_SERVER", "VESTA_STREAM_INSECURE",
                                          "VESTA_STREAM_SERVER_KEY", "VESTA_STREAM_KEY"};
  for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
    (void)unsetenv(variables[i]);
  }
}

/* ---- those who follow ---- */

int bench_guest_run(char **arguments) {
  bench_meter_t meter;
  vesta_mirror_t *mirror;
  bench_meter_attach(&meter, arguments[0], arguments[1]);
  scene_require(vesta_mirror_open_at(NULL, arguments[2], NULL, &mirror), "vesta_mirror_open_at");
  bench_follow(&meter, mirror);
}

static const SaCkptSectionIdT guest_id = {.idLen = sizeof BENCH_SECTION - 1, .id = (SaUint8T *)BENCH_SECTION};

static void pair_block(void *context, int64_t duration_ns, bench_samples_t *samples) {
  guest_pair_t *pair = context;
  bench_meter_t *meter = &pair->follower->meters[0];
  int64_t end_ns = scene_now_ns() + duration_ns;
  meter->shared->paced = true;
  while (scene_now_ns() < end_ns) {
    int64_t now_ns = scene_now_ns();
    memcpy(pair->payload, &now_ns, sizeof now_ns);
    scene_require(saCkptSectionOverwrite(pair->opener.checkpoint, &guest_id, pair->payload, pair->bytes),
                  "saCkptSectionOverwrite");
    pair->follower->sent++;
    bench_samples_add(samples, (double)bench_meter_wait_one(meter));
  }
  meter->shared->paced = false;
}

static guest_pair_t pair_begin(const scene_t *scene, const guest_service_t *service, const char *name,
                               const char *role) {
  service_enter(service);
  guest_pair_t pair = {.opener = opener_create(name, 64, BENCH_PAYLOAD_BYTES_MAX, 32),
                       .payload = calloc(1, BENCH_PAYLOAD_BYTES_MAX)};
  if (pair.payload == NULL) {
    scene_fail("out of memory");
  }
  opener_section_create(&pair.opener, BENCH_SECTION, sizeof BENCH_SECTION - 1, NULL, 0);
  pair.follower = bench_crowd_new(scene_dir(scene), name, 1, role, name);
  bench_crowd_wait_ready(pair.follower);
  return pair;
}

static void pair_end(guest_pair_t *pair) {
  bench_crowd_destroy(&pair->follower);
  opener_close(&pair->opener);
  free(pair->payload);
}

/* ---- the part ---- */

enum { LOCAL, TCP, TCP_KEYS, PAIRS };

static void guests_measure(bench_context_t *bench, guest_pair_t *pairs, size_t bytes) {
  const bench_plan_t plan = bench->quick ? (bench_plan_t){2, 10 * SCENE_MS} : (bench_plan_t){31, 30 * SCENE_MS};
  bench_subject_t subjects[PAIRS];
  double p50_us[PAIRS];
  double ratio[PAIRS];
  char text[24];
  for (int i = 0; i < PAIRS; i++) {
    pairs[i].bytes = bytes;
    subjects[i] = (bench_subject_t){.context = &pairs[i], .block = pair_block};
  }
  bench_alternate(plan, subjects, PAIRS);
  for (int i = 0; i < PAIRS; i++) {
    p50_us[i] = bench_median(subjects[i].p50_ns, plan.rounds) / US;
    ratio[i] = bench_median_ratio(subjects[i].p50_ns, subjects[LOCAL].p50_ns, plan.rounds);
  }
  (void)printf("  %-7s %10.2f %10.2f %8.2f %12.2f %8.2f\n", bench_size_text(bytes, text), p50_us[LOCAL], p50_us[TCP],
               ratio[TCP], p50_us[TCP_KEYS], ratio[TCP_KEYS]);
  bench_report_add(&bench->report, bench->on_one ? "guests" : "guests_free",
                   json_pack("{s:I, s:f, s:f, s:f, s:f, s:f}", "bytes", (json_int_t)bytes, "local_p50_us",
                             p50_us[LOCAL], "tcp_p50_us", p50_us[TCP], "tcp_ratio", ratio[TCP], "keys_p50_us",
                             p50_us[TCP_KEYS], "keys_ratio", ratio[TCP_KEYS]));
}

void bench_guest_part(bench_context_t *bench) {
  scene_t *scene = scene_open();
  guest_service_t plain, keys;
  service_begin(&plain, scene, false);
  service_begin(&keys, scene, true);
  guest_pair_t pairs[PAIRS] = {[LOCAL] = pair_begin(scene, &plain, "bench-local", BENCH_FOLLOWER_ROLE),
                               [TCP] = pair_begin(scene, &plain, "bench-tcp", BENCH_GUEST_ROLE),
                               [TCP_KEYS] = pair_begin(scene, &keys, "bench-keys", BENCH_GUEST_ROLE)};
  bench_report_title("write to change at a follower over TCP, one at a time, %s\n  %-7s %10s %10s %8s %12s %8s",
                     bench_place_text(bench), "", "local us", "TCP us", "ratio", "with keys us", "ratio");
  for (size_t i = 0; i < GUEST_SIZES; i++) {
    guests_measure(bench, pairs, guest_sizes[i]);
  }
  for (int i = 0; i < PAIRS; i++) {
    pair_end(&pairs[i]);
  }
  service_leave();
  service_end(&plain);
  service_end(&keys);
  scene_close(&scene);
}
