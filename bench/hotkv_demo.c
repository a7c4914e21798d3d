/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The demo of samples/hotkv: a key-value server under load is killed, and nothing that its clients were told is lost.
 *
 *   1. an active and a standby of hotkv, at one port; a private daemon that they start themselves (scene.h)
 *   2. redis-benchmark, as it comes from Debian, measures them
 *   3. clients of our own load it, besides redis-benchmark, and keep a ledger of what was acknowledged (hotkv_loader.h)
 *   4. the active is killed by SIGKILL; the clients connect again at once and note how long nobody answered them
 *   5. redis-cli asks the new active for every key; the ledger judges the answers
 *
 * Then a new standby is started, and 3 to 5 are done again with the other one.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/hotkv_ledger.h"
#include "bench/hotkv_loader.h"
#include "bench/resp_client.h"
#include "bench/scene.h"

#define DEMO_PROGRAM "vesta_demo_hotkv"
#define DEMO_SHELL_ROLE "shell"
#define DEMO_KILLS 2U
#define DEMO_LIMIT_S 115U
#define DEMO_LOOK_NS (2 * SCENE_MS)
#define DEMO_WAIT_NS (20 * SCENE_SECOND)

typedef struct demo {
  /* options */
  uint32_t keys;
  double seconds; /* of load before each kill */
  double outage_limit_ms;
  bool plain; /* without redis-benchmark and redis-cli */
  /* the rest */
  const scene_t *scene;
  int port;
  char hotkv[PATH_MAX]; /* the program */
  char ledger_path[128];
  hotkv_ledger_t *ledger;
  pid_t members[DEMO_KILLS + 1];
  uint64_t lost;
  int64_t outage_ns; /* the longest */
} demo_t;

static const char *const demo_names[DEMO_KILLS + 1] = {"one", "two", "three"};

/* ---- processes and their output ---- */

/* A command line of sh, that ends when this program does. */
__attribute__((format(printf, 1, 2))) static pid_t demo_shell(const char *format, ...) {
  char command[2 * PATH_MAX];
  va_list arguments;
  va_start(arguments, format);
  (void)vsnprintf(command, sizeof command, format, arguments);
  va_end(arguments);
  const char *line[] = {command, NULL};
  return scene_spawn(DEMO_SHELL_ROLE, line);
}

static int demo_shell_run(char **arguments) {
  (void)execl("/bin/sh", "sh", "-c", arguments[0], (char *)NULL);
  return 127;
}

static FILE *demo_open(const demo_t *demo, const char *name, const char *mode) {
  char path[192];
  (void)snprintf(path, sizeof path, "%s/%s", scene_dir(demo->scene), name);
  FILE *file = fopen(path, mode);
  if (file == NULL) {
    scene_fail("cannot open %s: %s", path, strerror(errno));
  }
  return file;
}

/* Print the lines of a file that hold a text. @return how many there are */
static unsigned demo_show(const demo_t *demo, const char *name, const char *wanted) {
  char line[512];
  unsigned count = 0;
  FILE *file = demo_open(demo, name, "re");
  while (fgets(line, sizeof line, file) != NULL) {
    const char *last = strrchr(line, '\r'); /* progress was shown before it */
    if (strstr(line, wanted) != NULL) {
      (void)printf("    %s", last == NULL || last[1] == '\n' ? line : last + 1);
      count++;
    }
  }
  (void)fclose(file);
  return count;
}

/* Wait until a member has said something. */
static void demo_wait_for(const demo_t *demo, uint32_t member, const char *wanted) {
  int64_t deadline_ns = scene_now_ns() + DEMO_WAIT_NS;
  char said[4096];
  do {
    scene_require_running(demo->members[member], demo_names[member]);
    if (scene_now_ns() > deadline_ns) {
      scene_fail("%s is not %s in time", demo_names[member], wanted);
    }
    scene_pause(DEMO_LOOK_NS);
    FILE *log = demo_open(demo, demo_names[member], "re");
    said[fread(said, 1, sizeof said - 1, log)] = '\0';
    (void)fclose(log);
  } while (strstr(said, wanted) == NULL);
}

/* ---- the members ---- */

/* A port that nobody else gets, as long as this program runs, and that members can share: see samples/hotkv/server.h. */
static int demo_reserve_port(void) {
  const int on = 1;
  struct sockaddr_in address = {.sin_family = AF_INET};
  socklen_t size = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  (void)setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  if (bind(fd, (struct sockaddr *)&address, size) != 0 || getsockname(fd, (struct sockaddr *)&address, &size) != 0) {
    scene_fail("no port: %s", strerror(errno));
  }
  return ntohs(address.sin_port);
}

/* The sample that was built beside this program: in ../samples. */
static void demo_find_hotkv(demo_t *demo) {
  ssize_t size = readlink("/proc/self/exe", demo->hotkv, sizeof demo->hotkv - sizeof "samples/hotkv");
  for (int i = 0; i < 2 && size > 0; i++) {
    do {
      size--;
    } while (size > 0 && demo->hotkv[size] != '/');
  }
  (void)strcpy(demo->hotkv + (size > 0 ? size : 0), "/samples/hotkv");
  if (access(demo->hotkv, X_OK) != 0) {
    scene_fail("%s: %s", demo->hotkv, strerror(errno));
  }
}

static void demo_start_member(demo_t *demo, uint32_t member) {
  const char *name = demo_names[member];
  (void)fclose(demo_open(demo, name, "we")); /* it is looked into before the shell has made it */
  demo->members[member] = demo_shell("exec '%s' --port %d --name %s --value-bytes 256 >'%s/%s' 2>&1", demo->hotkv,
                                     demo->port, name, scene_dir(demo->scene), name);
  demo_wait_for(demo, member, member == 0 ? "ACTIVE" : "SYNCED");
}

/* ---- asking for every key ---- */

/* redis-cli is given one GET a line and prints one value a line. */
static void demo_ask_redis_cli(const demo_t *demo) {
  FILE *questions = demo_open(demo, "questions", "we");
  for (uint32_t i = 0; i < demo->ledger->keys; i++) {
    char key[HOTKV_KEY_BYTES];
    (void)hotkv_ledger_key(i, key);
    (void)fprintf(questions, "GET %s\n", key);
  }
  (void)fclose(questions);
  const char *dir = scene_dir(demo->scene);
  pid_t process = demo_shell("exec redis-cli -p %d <'%s/questions' >'%s/answers' 2>&1", demo->port, dir, dir);
  scene_await(process, DEMO_WAIT_NS, "redis-cli");
}

/* The same without redis-cli. */
static void demo_ask_plainly(const demo_t *demo) {
  static resp_client_t client = {.fd = -1};
  FILE *answers = demo_open(demo, "answers", "we");
  bool good = resp_client_connect(&client, demo->port);
  for (uint32_t i = 0; good && i < demo->ledger->keys; i++) {
    char key[HOTKV_KEY_BYTES];
    char request[64];
    resp_reply_t reply;
    (void)hotkv_ledger_key(i, key);
    int size = snprintf(request, sizeof request, "GET %s\r\n", key);
    good = resp_client_send(&client, request, (size_t)size) && resp_client_receive(&client, &reply);
    if (good) {
      (void)fprintf(answers, "%.*s\n", (int)reply.size, reply.text == NULL ? "" : reply.text);
    }
  }
  resp_client_close(&client);
  (void)fclose(answers);
  if (!good) {
    scene_fail("the new active does not answer");
  }
}

static hotkv_verdict_t demo_judge(const demo_t *demo) {
  hotkv_verdict_t verdict = {0};
  char line[512];
  FILE *answers = demo_open(demo, "answers", "re");
  for (uint32_t i = 0; i < demo->ledger->keys; i++) {
    if (fgets(line, sizeof line, answers) == NULL) {
      line[0] = '\0'; /* no answer is no value */
    }
    hotkv_ledger_judge(demo->ledger, i, line, strcspn(line, "\n"), &verdict);
  }
  (void)fclose(answers);
  return verdict;
}

/* ---- the story ---- */

static void demo_measure(const demo_t *demo) {
  (void)printf("  redis-benchmark, 16 requests at a time:\n");
  pid_t process =
      demo_shell("exec redis-benchmark -p %d -t set,get -n 200000 -r 10000 -d 64 -P 16 -q >'%s/measured' 2>&1",
                 demo->port, scene_dir(demo->scene));
  scene_await(process, DEMO_WAIT_NS, "redis-benchmark");
  if (demo_show(demo, "measured", "requests per second") != 2) {
    scene_fail("redis-benchmark does not say how fast it was");
  }
  (void)putchar('\n');
}

static void demo_load(demo_t *demo) {
  int64_t deadline_ns = scene_now_ns() + DEMO_WAIT_NS;
  for (uint32_t i = 0; i < HOTKV_LOADERS; i++) {
    while (!demo->ledger->loaders[i].filled) {
      if (scene_now_ns() > deadline_ns) {
        scene_fail("the clients take too long to set each key once");
      }
      scene_pause(DEMO_LOOK_NS);
    }
  }
  scene_pause((int64_t)(demo->seconds * (double)SCENE_SECOND));
}

static void demo_tell(demo_t *demo, uint32_t dying) {
  hotkv_verdict_t verdict = demo_judge(demo);
  int64_t outage_ns = hotkv_ledger_outage_ns(demo->ledger);
  (void)printf(
      "  %-3s killed, %-5s is active %9.1f ms %13" PRIu64 " %11" PRIu64 " %6" PRIu64 "  %" PRIu64 " of %" PRIu64 "\n",
      demo_names[dying], demo_names[dying + 1], (double)outage_ns / SCENE_MS, hotkv_ledger_acknowledged(demo->ledger),
      verdict.right, verdict.lost, verdict.cut_kept, verdict.cut_kept + verdict.cut_dropped);
  demo->lost += verdict.lost;
  demo->outage_ns = outage_ns > demo->outage_ns ? outage_ns : demo->outage_ns;
}

/* Kill the active. When every client has been answered by the next one, ask that one for everything. */
static void demo_kill(demo_t *demo, uint32_t dying) {
  pid_t noise = 0;
  if (!demo->plain) {
    noise = demo_shell("exec redis-benchmark -p %d -t set -n 100000000 -r 10000 -d 64 -q >/dev/null 2>&1", demo->port);
  }
  demo_load(demo);
  demo->ledger->hold = true;
  scene_kill(demo->members[dying]);
  int64_t deadline_ns = scene_now_ns() + DEMO_WAIT_NS;
  while (hotkv_ledger_outages(demo->ledger) <= dying) {
    scene_require_running(demo->members[dying + 1], demo_names[dying + 1]);
    if (scene_now_ns() > deadline_ns) {
      scene_fail("nobody takes over");
    }
    scene_pause(DEMO_LOOK_NS);
  }
  scene_kill(noise);
  if (demo->plain) {
    demo_ask_plainly(demo);
  } else {
    demo_ask_redis_cli(demo);
  }
  demo_tell(demo, dying);
}

static bool demo_play(demo_t *demo) {
  (void)printf("hotkv: %" PRIu32 " keys, %u clients that note what was acknowledged to them\n\n", demo->keys,
               HOTKV_LOADERS);
  demo_start_member(demo, 0);
  demo_start_member(demo, 1);
  if (!demo->plain) {
    demo_measure(demo);
  }
  (void)printf("                           no service  acknowledged  keys right   lost  cut off and done\n");
  for (uint32_t i = 0; i < HOTKV_LOADERS; i++) {
    (void)hotkv_loader_spawn(demo->ledger_path, i);
  }
  demo_kill(demo, 0);
  for (uint32_t i = 1; i < DEMO_KILLS; i++) {
    demo_start_member(demo, i + 1);
    demo->ledger->hold = false;
    demo_kill(demo, i);
  }
  double outage_ms = (double)demo->outage_ns / SCENE_MS;
  double limit_ms = demo->outage_limit_ms + (double)HOTKV_RETRY_NS / SCENE_MS; /* clients wait so long between tries */
  bool good = demo->lost == 0 && outage_ms <= limit_ms;
  (void)printf("\nhotkv: %s acknowledged=%" PRIu64 " lost=%" PRIu64 " outage_ms=%.1f\n", good ? "ok" : "FAILED",
               hotkv_ledger_acknowledged(demo->ledger), demo->lost, outage_ms);
  return good;
}

/* ---- the program ---- */

static _Noreturn void demo_usage(int status) {
  (void)fprintf(status == 0 ? stdout : stderr,
                "Usage: " DEMO_PROGRAM " [--keys N] [--seconds S] [--outage-limit-ms MS] [--plain]\n"
                "Kill the active of samples/hotkv twice under load, and ask its successor for every key.\n\n"
                "  --keys N              keys that are written and judged, 4 to 80000 [20000]\n"
                "  --seconds S           of load before each kill, 0.1 to 30 [3]\n"
                "  --outage-limit-ms MS  fail if clients were without an answer for longer [50]\n"
                "  --plain               without redis-benchmark and redis-cli\n");
  exit(status);
}

static double demo_number(const char *text, double min, double max) {
  char *end;
  double value = strtod(text, &end);
  if (end == text || *end != '\0' || !(value >= min && value <= max)) {
    demo_usage(2);
  }
  return value;
}

static void demo_options(demo_t *demo, int argc, char **argv) {
  static const struct option table[] = {{"keys", required_argument, NULL, 'k'},
                                        {"seconds", required_argument, NULL, 's'},
                                        {"outage-limit-ms", required_argument, NULL, 'o'},
                                        {"plain", no_argument, NULL, 'p'},
                                        {"help", no_argument, NULL, 'h'},
                                        {NULL, 0, NULL, 0}};
  int option;
  demo->keys = 20000;
  demo->seconds = 3;
  demo->outage_limit_ms = 50;
  while ((option = getopt_long(argc, argv, "", table, NULL)) != -1) {
    switch (option) {
      case 'k': demo->keys = (uint32_t)demo_number(optarg, HOTKV_LOADERS, 80000) / HOTKV_LOADERS * HOTKV_LOADERS; break;
      case 's': demo->seconds = demo_number(optarg, 0.1, 30); break;
      case 'o': demo->outage_limit_ms = demo_number(optarg, 0, 60000); break;
      case 'p': demo->plain = true; break;
      case 'h': demo_usage(0);
      default: demo_usage(2);
    }
  }
  if (optind < argc) {
    demo_usage(2);
  }
}

int main(int argc, char **argv) {
  const char *role = scene_role(DEMO_PROGRAM, argc, argv);
  if (role != NULL && strcmp(role, HOTKV_LOADER_ROLE) == 0) {
    hotkv_loader_run(&argv[SCENE_ROLE_ARGUMENT]);
  }
  if (role != NULL) {
    return demo_shell_run(&argv[SCENE_ROLE_ARGUMENT]);
  }
  static demo_t demo;
  (void)setvbuf(stdout, NULL, _IOLBF, 0);
  demo_options(&demo, argc, argv);
  scene_begin(DEMO_PROGRAM, DEMO_LIMIT_S);
  demo_find_hotkv(&demo);
  demo.scene = scene_open();
  demo.port = demo_reserve_port();
  (void)snprintf(demo.ledger_path, sizeof demo.ledger_path, "%s/ledger", scene_dir(demo.scene));
  demo.ledger = hotkv_ledger_create(demo.ledger_path, demo.port, demo.keys);
  return demo_play(&demo) ? 0 : 1;
}
