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

/* What is planted, the number of nodes that it takes, within how many seeds it has to be found, and by which rules: those
 * that such a bug breaks. A run that it makes stumble over another rule does not count. */
static const struct {
  unsigned bug;
  const char *name, *text;
  uint32_t nodes;
  uint64_t seeds;
  const char *rules; /* with a blank on either side */
} bugs[] = {
#define SIM_BUG(bug, text, nodes, seeds, rules) \
  { PLANTED_##bug, #bug, text, nodes, seeds, rules }
    SIM_BUG(ACKNOWLEDGED_EARLY, "acknowledge before all have prepared", 3, 50, " NOTHING-LOST SAME-HISTORY LEASE "),
    SIM_BUG(PUBLISHED_EARLY, "publish before commit", 3, 50, " FIRST "),
    SIM_BUG(PREPARED_DROPPED, "drop a prepared record at restart", 3, 500, " NOTHING-LOST SAME-HISTORY LEASE "),
    SIM_BUG(REFUSED_EARLY, "answer an error before all have aborted", 3, 800, " ONCE REFUSED "),
    SIM_BUG(SHRUNK_EARLY, "shrink the set in sync before that is stable", 3, 200, " NOTHING-LOST SAME-HISTORY LEASE "),
    SIM_BUG(ORDER_QUORUM_OF_ANOTHER_RING, "act on the quorum of another ring", 3, 50, " QUORUM "),
    SIM_BUG(ELECTED_OUT_OF_SYNC, "elect outside the set in sync", 3, 300, " IN-SYNC "),
    SIM_BUG(POSITION_BEYOND_EPOCH, "take a position beyond its epoch's end for the past", 3, 500,
            " STATE STREAM-STATE SAME-HISTORY "),
    SIM_BUG(READ_AFTER_LEASE, "serve a read after the lease", 3, 300, " READ LEASE "),
    SIM_BUG(OLD_EPOCH_ACCEPTED, "accept an old epoch", 3, 300, " ITS-PRIMARY "),
    SIM_BUG(DONE_TWICE, "skip the de-duplication of requests", 3, 50, " ONCE "),
    SIM_BUG(ORDER_GHOST_COUNTED, "count a ghost member", 3, 300, " QUORUM "),
    SIM_BUG(CANDIDATE_AWAITED, "wait for a candidate that does not confirm", 3, 200, " PASSED-OVER "),
    SIM_BUG(EPOCHS_ALIKE, "count epochs alike in halves that both go on", 2, 100, " SAME-HISTORY "),
#undef SIM_BUG
};

/* One run in a process of its own, with that bug or with none. @return whether it came to its end
 * @param[out] line   what it said last of a rule that is broken, or nothing */
static bool run_one(unsigned bug, uint64_t seed, uint32_t nodes, uint64_t steps, char line[LINE_BYTES]) {
  int pipes[2];
  line[0] = '\0';
  if (pipe(pipes) != 0) {
    return false;
  }
  pid_t child = fork();
  if (child == 0) {
    (void)dup2(pipes[1], STDERR_FILENO);
    (void)close(pipes[0]);
    vesta_planted = bug;
    (void)sim_world_run(seed, nodes, steps, false);
    _exit(0);
  }
  (void)close(pipes[1]);
  FILE *said = fdopen(pipes[0], "r");
  char one[LINE_BYTES];
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
  return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Is the rule that was broken one of those? */
static bool rule_fits(const char *line, const char *rules) {
  const char *rule = strstr(line, " rule=");
  char wanted[LINE_BYTES];
  if (rule == NULL) {
    return false;
  }
  rule += strlen(" rule=");
  (void)snprintf(wanted, sizeof wanted, " %.*s ", (int)strcspn(rule, ":"), rule);
  return strstr(rules, wanted) != NULL;
}

/* Run seeds until a rule is broken by the bug; what is found has to be found because of it, so without it the same seed
 * has to be clean. */
static bool bug_is_found(size_t at, uint64_t steps, char line[LINE_BYTES]) {
  char clean[LINE_BYTES];
  for (uint64_t seed = 1; seed <= bugs[at].seeds; seed++) {
    if (!run_one(bugs[at].bug, seed, bugs[at].nodes, steps, line) && rule_fits(line, bugs[at].rules) &&
        run_one(PLANTED_NONE, seed, bugs[at].nodes, steps, clean)) {
      return true;
    }
  }
  return false;
}

bool sim_planted(uint64_t steps) {
  bool all = true;
  for (size_t i = 0; i < sizeof bugs / sizeof bugs[0]; i++) {
    char line[LINE_BYTES];
    bool found = bug_is_found(i, steps, line);
    all = all && found;
    (void)printf("planted %s (%s): %s within %" PRIu64 " seeds%s%s\n", bugs[i].name, bugs[i].text,
                 found ? "found" : "MISSED", bugs[i].seeds, found ? ", " : "", found ? line : "");
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
