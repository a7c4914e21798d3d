/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The longest that a call waits when nobody answers: not shorter, and not much longer.
 */
#include <saCkpt.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/limits.h"
#include "test/support/daemon_fixture.h"

#define EXPECT(code, call) assert_int_equal((call), (code))
#define OK(call) EXPECT(SA_AIS_OK, call)
#define SLACK_MS 3000 /* of a busy machine */

static daemon_fixture_t vestad;
static SaCkptHandleT library;
static SaCkptCheckpointHandleT checkpoint;
static int64_t since_ns;

static void wait_begins(void) { since_ns = daemon_fixture_now_ns(); }

static void assert_waited(int64_t limit_ms) {
  int64_t waited_ms = (daemon_fixture_now_ns() - since_ns) / 1000000;
  assert_in_range(waited_ms, limit_ms - 1, limit_ms + SLACK_MS);
}

static SaAisErrorT initialize(void) {
  SaVersionT version = {'B', 2, 1};
  return saCkptInitialize(&library, NULL, &version);
}

static SaAisErrorT overwrite(void) {
  const SaCkptSectionIdT id = {0, NULL};
  return saCkptSectionOverwrite(checkpoint, &id, "x", 1);
}

static int scene_open(void **state) {
  (void)state;
  const SaCkptCheckpointCreationAttributesT attributes = {
      .creationFlags = SA_CKPT_WR_ALL_REPLICAS, .maxSections = 1, .maxSectionSize = 8, .maxSectionIdSize = 8};
  SaNameT name = {.length = 4, .value = "wait"};
  daemon_fixture_open(&vestad);
  OK(initialize());
  OK(saCkptCheckpointOpen(library, &name, &attributes, SA_CKPT_CHECKPOINT_WRITE | SA_CKPT_CHECKPOINT_CREATE, 0,
                          &checkpoint));
  return 0;
}

static int scene_close(void **state) {
  (void)state;
  (void)saCkptFinalize(library);
  daemon_fixture_close(&vestad);
  return 0;
}

static void a_call_waits_so_long_for_a_daemon_that_stands_still(void **state) {
  (void)state;
  (void)kill(vestad.pid, SIGSTOP);
  wait_begins();
  EXPECT(SA_AIS_ERR_TIMEOUT, overwrite());
  assert_waited(VESTA_CALL_LIMIT_MS);
  wait_begins();
  OK(saCkptFinalize(library));
  assert_waited(VESTA_FINALIZE_LIMIT_MS);
  (void)kill(vestad.pid, SIGCONT);
}

static void a_call_waits_so_long_for_a_daemon_that_is_away_and_has_no_effect(void **state) {
  (void)state;
  daemon_fixture_kill(&vestad);
  wait_begins();
  EXPECT(SA_AIS_ERR_TRY_AGAIN, overwrite());
  assert_waited(VESTA_CALL_LIMIT_MS);
  wait_begins();
  OK(saCkptFinalize(library));
  assert_waited(VESTA_FINALIZE_LIMIT_MS);
}

/* A program in the daemon's place that never says that it is ready. */
static int mute_open(void **state) {
  (void)state;
  char path[DAEMON_FIXTURE_PATH_BYTES + 8];
  daemon_fixture_prepare(&vestad, NULL);
  (void)snprintf(path, sizeof path, "%s/mute", vestad.run_dir);
  FILE *program = fopen(path, "we");
  assert_non_null(program);
  (void)fprintf(program, "#!/bin/sh\nexec sleep %u\n", VESTA_SPAWN_LIMIT_MS / 1000 + 5);
  assert_int_equal(fclose(program), 0);
  assert_int_equal(chmod(path, 0700), 0);
  (void)unsetenv("VESTA_SOCKET");
  (void)setenv("XDG_RUNTIME_DIR", vestad.run_dir, 1);
  (void)setenv("VESTA_VESTAD", path, 1);
  return 0;
}

static int mute_close(void **state) {
  (void)state;
  daemon_fixture_close(&vestad);
  return 0;
}

static void initialize_waits_so_long_for_a_private_daemon(void **state) {
  (void)state;
  if (access("/run/vesta/vestad.sock", F_OK) == 0) {
    skip(); /* the system's daemon would be found first */
  }
  wait_begins();
  EXPECT(SA_AIS_ERR_TRY_AGAIN, initialize());
  assert_waited(VESTA_SPAWN_LIMIT_MS);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(a_call_waits_so_long_for_a_daemon_that_stands_still, scene_open, scene_close),
      cmocka_unit_test_setup_teardown(a_call_waits_so_long_for_a_daemon_that_is_away_and_has_no_effect, scene_open,
                                      scene_close),
      cmocka_unit_test_setup_teardown(initialize_waits_so_long_for_a_private_daemon, mute_open, mute_close),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
