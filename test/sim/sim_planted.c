/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See sim_planted.h.
 */
#include "test/sim/sim_planted.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/planted.h"
#include "test/sim/sim_world.h"

#ifdef VESTA_PLANTED

#define LINE_BYTES 512U

/* What is planted, the number of nodes that it takes, and within how many seeds it has to be found. */
static const struct {
  unsigned bug;
  const char *name, *text;
  uint32_t nodes;
  uint64_t first, seeds;
} bugs[] = {
#define SIM_BUG(bug, text, nodes, first, seeds) \
  { PLANTED_##bug, #bug, text, nodes, first, seeds }
    SIM_BUG(ACKNOWLEDGED_EARLY, "acknowledge before all have prepared", 3, 1, 100),
    SIM_BUG(PUBLISHED_EARLY, "publish before commit", 3, 1, 200),
    SIM_BUG(PREPARED_DROPPED, "drop a prepared record at restart", 3, 30, 500),
    SIM_BUG(SHRUNK_EARLY, "shrink the set in sync before that is stable", 3, 1, 200),
    SIM_BUG(ELECTED_OUT_OF_SYNC, "elect outside the set in sync", 3, 1, 500),
    SIM_BUG(READ_AFTER_LEASE, "serve a read after the lease", 3, 80, 400),
    SIM_BUG(DONE_TWICE, "skip the de-duplication of requests", 3, 1, 100),
#undef SIM_BUG
};

/* What is found has to be found because of the bug. */
static bool seed_is_clean(uint64_t seed, uint32_t nodes, uint64_t steps) {
  pid_t child = fork();
  if (child == 0) {
    if (freopen("/dev/null", "w", stderr) == NULL) {
      _exit(2);
    }
    (void)sim_world_run(seed, nodes, steps, false);
    _exit(0);
  }
  int status = 0;
  return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Run seeds until a rule is broken; the last line that is said tells which. @return false: none was */
static bool bug_is_found(size_t at, uint64_t steps, char line[LINE_BYTES]) {
  int pipes[2];
  if (pipe(pipes) != 0) {
    return false;
  }
  pid_t child = fork();
  if (child == 0) {
    (void)dup2(pipes[1], STDERR_FILENO);
    (void)close(pipes[0]);
    vesta_planted = bugs[at].bug;
    for (uint64_t i = 0; i < bugs[at].seeds; i++) {
      (void)sim_world_run(bugs[at].first + i, bugs[at].nodes, steps, false);
    }
    _exit(0);
  }
  (void)close(pipes[1]);
  FILE *said = fdopen(pipes[0], "r");
  char one[LINE_BYTES];
  line[0] = '\0';
  while (said != NULL && fgets(one, sizeof one, said) != NULL) {
    if (strncmp(one, "sim: FAILED ", 12) == 0) {
      (void)snprintf(line, LINE_BYTES, "%s", one + 12);
      line[strcspn(line, "\n")] = '\0';
    }
  }
  if (said != NULL) {
    (void)fclose(said);
  }
  int status = 0;
  bool found = child > 0 && waitpid(child, &status, 0) == child && !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  return found && strncmp(line, "seed=", 5) == 0 && seed_is_clean(strtoull(line + 5, NULL, 10), bugs[at].nodes, steps);
}

bool sim_planted(uint64_t steps) {
  bool all = true;
  for (size_t i = 0; i < sizeof bugs / sizeof bugs[0]; i++) {
    char line[LINE_BYTES];
    bool found = bug_is_found(i, steps, line);
    all = all && found;
    if (found) {
      (void)printf("planted %s (%s): found, %s\n", bugs[i].name, bugs[i].text, line);
    } else {
      (void)printf("planted %s (%s): MISSED in %" PRIu64 " seeds\n", bugs[i].name, bugs[i].text, bugs[i].seeds);
    }
    (void)fflush(stdout);
  }
  return all;
}

#else

bool sim_planted(uint64_t steps) {
  (void)steps;
  (void)fprintf(stderr, "sim: nothing is planted in this build: vesta_sim_planted has it\n");
  return false;
}

#endif
