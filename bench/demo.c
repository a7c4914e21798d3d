/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The demo: an active is killed, its standby already has everything.
 *
 * Three members of a group, each a process: one active, two standing by. The active fills a checkpoint and then
 * overwrites random sections as fast as it can, through the standard API. This process observes: it reads, in a file that
 * the writer keeps outside Vesta (witness.h), which writes the API has acknowledged; it sends SIGKILL to the active in the
 * middle of that, measures how long it takes until a standby has been told that it is active, and judges section by
 * section what that one has in its own memory. The new active goes on writing, and is killed too. In the end a process
 * that knows the standard API alone takes the state over by iterating and reading, for comparison.
 *
 * Nothing needs to be set up before: the library starts the daemon (scene.h).
 */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/demo_screen.h"
#include "bench/member.h"
#include "bench/plain_takeover.h"
#include "bench/scene.h"
#include "bench/witness.h"

#define DEMO_PROGRAM "vesta_demo"
#define DEMO_TAKEOVERS 2U
#define DEMO_MEMBERS (DEMO_TAKEOVERS + 1U)
#define DEMO_CHECKPOINT "vesta-demo"
#define DEMO_LOOK_NS (2 * SCENE_MS)
#define DEMO_JOIN_LIMIT_NS (20 * SCENE_SECOND)
#define DEMO_FILL_LIMIT_NS (60 * SCENE_SECOND)
#define DEMO_TAKEOVER_LIMIT_NS (15 * SCENE_SECOND)
#define DEMO_LIMIT_S 115U

typedef struct demo_options {
  uint32_t sections;
  uint32_t section_bytes;
  double seconds; /* of writing before each kill */
} demo_options_t;

typedef struct demo {
  demo_options_t options;
  char witness_path[128];
  witness_t *witness;
  member_t members[DEMO_MEMBERS];
  uint32_t alive; /* members before this one were killed */
  demo_takeover_t takeovers[DEMO_TAKEOVERS];
  demo_takeover_t plain;
  demo_screen_t screen;
} demo_t;

/* ---- waiting ---- */

static void demo_look(demo_t *demo, const char *phase) {
  uint64_t lag = 0;
  for (uint32_t i = demo->alive; i < DEMO_MEMBERS; i++) {
    if (demo->members[i].process != 0) {
      scene_require_running(demo->members[i].process, "a member");
    }
    if (demo->witness->members[i].step < WITNESS_ACTIVE && demo->witness->members[i].lag_operations > lag) {
      lag = demo->witness->members[i].lag_operations;
    }
  }
  demo_screen_progress(&demo->screen, phase, demo->witness->created, demo->witness->acknowledged, lag);
}

static void demo_wait_for_step(demo_t *demo, uint32_t member, witness_step_t step, int64_t limit_ns,
                               const char *phase) {
  int64_t deadline_ns = scene_now_ns() + limit_ns;
  while (demo->witness->members[member].step < step) {
    if (scene_now_ns() > deadline_ns) {
      scene_fail("%s: member %" PRIu32 " took longer than %d s", phase, member, (int)(limit_ns / SCENE_SECOND));
    }
    demo_look(demo, phase);
    scene_pause(DEMO_LOOK_NS);
  }
}

static void demo_wait_for_time(demo_t *demo, double seconds, const char *phase) {
  int64_t deadline_ns = scene_now_ns() + (int64_t)(seconds * (double)SCENE_SECOND);
  while (scene_now_ns() < deadline_ns) {
    demo_look(demo, phase);
    scene_pause(DEMO_LOOK_NS);
  }
}

/* ---- the story ---- */

static void demo_gather(demo_t *demo) {
  for (uint32_t i = 0; i < DEMO_MEMBERS; i++) {
    demo->members[i] = member_spawn(demo->witness_path, i);
    demo_wait_for_step(demo, i, i == 0 ? WITNESS_ACTIVE : WITNESS_SYNCED, DEMO_JOIN_LIMIT_NS, "joining");
  }
}

/* Nobody may write until the verdict is given: the next one waits for its turn. */
static void demo_take_over(demo_t *demo, uint32_t dying) {
  demo_takeover_t *takeover = &demo->takeovers[dying];
  witness_member_t *heir = &demo->witness->members[dying + 1];
  char copy[192];
  int64_t kill_ns = scene_now_ns();
  scene_kill(demo->members[dying].process);
  demo->members[dying].process = 0;
  demo->alive = dying + 1;
  demo_wait_for_step(demo, dying + 1, WITNESS_ACTIVE, DEMO_TAKEOVER_LIMIT_NS, "taking over");
  takeover->duration_ns = heir->active_ns - kill_ns;
  takeover->acknowledged_before = demo->witness->acknowledged;
  takeover->resyncs = heir->resyncs;
  for (uint32_t i = dying + 2; i < DEMO_MEMBERS; i++) {
    if (demo->witness->members[i].step >= WITNESS_ACTIVE) {
      scene_fail("members %" PRIu32 " and %" PRIu32 " are both active", dying + 1, i);
    }
  }
  member_copy_path(demo->witness_path, dying + 1, copy, sizeof copy);
  takeover->verdict = witness_judge(demo->witness, copy);
  (void)remove(copy);
}

static void demo_take_over_plainly(demo_t *demo) {
  char copy[192];
  demo->witness->writer = WITNESS_NOBODY;
  int64_t deadline_ns = scene_now_ns() + DEMO_TAKEOVER_LIMIT_NS;
  while (demo->witness->members[DEMO_TAKEOVERS].step == WITNESS_WRITING) {
    if (scene_now_ns() > deadline_ns) {
      scene_fail("the active does not stop writing");
    }
    scene_pause(DEMO_LOOK_NS);
  }
  (void)snprintf(copy, sizeof copy, "%s.copy-plain", demo->witness_path);
  demo->plain.acknowledged_before = demo->witness->acknowledged;
  demo->plain.duration_ns = plain_takeover_time(demo->witness_path, copy);
  demo->plain.verdict = witness_judge(demo->witness, copy);
}

static bool demo_play(demo_t *demo) {
  static const char *const writing[] = {"active 1 writes", "active 2 writes", "active 3 writes"};
  double last_seconds = demo->options.seconds < 2 ? demo->options.seconds : 2;
  demo_gather(demo);
  for (uint32_t i = 0; i < DEMO_MEMBERS; i++) {
    demo->witness->writer = i;
    demo_wait_for_step(demo, i, WITNESS_WRITING, DEMO_FILL_LIMIT_NS, i == 0 ? "active 1 fills" : "taking over");
    demo_wait_for_time(demo, i < DEMO_TAKEOVERS ? demo->options.seconds : last_seconds, writing[i]);
    if (i < DEMO_TAKEOVERS) {
      demo_take_over(demo, i);
    }
  }
  demo_take_over_plainly(demo);
  for (uint32_t i = demo->alive; i < DEMO_MEMBERS; i++) {
    scene_kill(demo->members[i].process);
  }
  return demo_screen_end(&demo->screen, demo->takeovers, DEMO_TAKEOVERS, &demo->plain, demo->witness->acknowledged);
}

/* ---- the program ---- */

static void demo_usage(FILE *out) {
  (void)fprintf(out, "Usage: " DEMO_PROGRAM " [--sections N] [--size BYTES] [--seconds S]\n"
                     "Kill an active twice, and check what its standby has.\n\n"
                     "  --sections N    sections of the checkpoint, 2 to 1000000 [100000]\n"
                     "  --size BYTES    of each, 8 to 4096 [200]\n"
                     "  --seconds S     how long an active writes before it is killed, 0.1 to 30 [8]\n");
}

static double demo_number(const char *name, const char *text, double min, double max) {
  char *end;
  double value = strtod(text, &end);
  if (end == text || *end != '\0' || !(value >= min && value <= max)) {
    (void)fprintf(stderr, DEMO_PROGRAM ": bad value for --%s: %s\n", name, text);
    exit(2);
  }
  return value;
}

static demo_options_t demo_options_read(int argc, char **argv) {
  static const struct option table[] = {{"sections", required_argument, NULL, 'n'},
                                        {"size", required_argument, NULL, 'b'},
                                        {"seconds", required_argument, NULL, 's'},
                                        {"help", no_argument, NULL, 'h'},
                                        {NULL, 0, NULL, 0}};
  demo_options_t options = {.sections = 100000, .section_bytes = 200, .seconds = 8};
  int option;
  while ((option = getopt_long(argc, argv, "", table, NULL)) != -1) {
    if (option == 'n') {
      options.sections = (uint32_t)demo_number("sections", optarg, 2, 1000000);
    } else if (option == 'b') {
      options.section_bytes = (uint32_t)demo_number("size", optarg, sizeof(uint64_t), WITNESS_SECTION_BYTES_MAX);
    } else if (option == 's') {
      options.seconds = demo_number("seconds", optarg, 0.1, 30);
    } else {
      demo_usage(option == 'h' ? stdout : stderr);
      exit(option == 'h' ? 0 : 2);
    }
  }
  if (optind < argc) {
    demo_usage(stderr);
    exit(2);
  }
  return options;
}

int main(int argc, char **argv) {
  const char *role = scene_role(DEMO_PROGRAM, argc, argv);
  if (role != NULL) {
    return strcmp(role, MEMBER_ROLE) == 0 ? member_run(&argv[SCENE_ROLE_ARGUMENT])
                                          : plain_takeover_run(&argv[SCENE_ROLE_ARGUMENT]);
  }
  static demo_t demo;
  demo.options = demo_options_read(argc, argv);
  scene_begin(DEMO_PROGRAM, DEMO_LIMIT_S);
  scene_t *scene = scene_open();
  (void)snprintf(demo.witness_path, sizeof demo.witness_path, "%s/witness", scene_dir(scene));
  demo.witness =
      witness_create(demo.witness_path, DEMO_CHECKPOINT, demo.options.sections, demo.options.section_bytes, true);
  demo_screen_begin(&demo.screen, demo.options.sections, demo.options.section_bytes);
  bool good = demo_play(&demo);
  return good ? 0 : 1;
}
