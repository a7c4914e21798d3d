/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A service at its limits: ten thousand checkpoints, more than ten thousand clients, sixty-five thousand checkpoint
 * handles; one past each; and the daemon killed and started again with all of it.
 *
 * The clients are library handles in two processes, for the sake of RLIMIT_NOFILE; each makes calls.
 */
#include <fcntl.h>
#include <saCkpt.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/limits.h"
#include "test/support/daemon_fixture.h"
#include "test/support/raw_link.h"

#define EXPECT(code, call) assert_int_equal((call), (code))
#define OK(call) EXPECT(SA_AIS_OK, call)
#define READ_WRITE_CREATE (SA_CKPT_CHECKPOINT_READ | SA_CKPT_CHECKPOINT_WRITE | SA_CKPT_CHECKPOINT_CREATE)
#define CLIENTS_HERE (VESTA_CLIENTS_MAX / 2)
#define FILES_SPARE 300U

static daemon_fixture_t vestad;
static SaCkptHandleT libraries[CLIENTS_HERE + 1];

static SaAisErrorT initialize(SaCkptHandleT *library) {
  SaVersionT version = {'B', 2, 1};
  return saCkptInitialize(library, NULL, &version);
}

/* When the daemon has seen that the link before is closed. */
static void initialize_soon(SaCkptHandleT *library) {
  int64_t until_ns = daemon_fixture_now_ns() + TEST_DEADLINE_NS;
  SaAisErrorT error;
  while ((error = initialize(library)) == SA_AIS_ERR_NO_RESOURCES && daemon_fixture_now_ns() < until_ns) {
  }
  OK(error);
}

static SaAisErrorT open_in(SaCkptHandleT library, const char *text, SaTimeT retention,
                           SaCkptCheckpointHandleT *checkpoint) {
  const SaCkptCheckpointCreationAttributesT attributes = {.creationFlags = SA_CKPT_WR_ALL_REPLICAS,
                                                          .retentionDuration = retention,
                                                          .maxSections = 1,
                                                          .maxSectionSize = 100,
                                                          .maxSectionIdSize = 8};
  SaNameT name = {.length = (SaUint16T)strlen(text)};
  memcpy(name.value, text, name.length);
  return saCkptCheckpointOpen(library, &name, &attributes, READ_WRITE_CREATE, 0, checkpoint);
}

static void write_and_read(SaCkptCheckpointHandleT checkpoint, uint32_t number) {
  const SaCkptSectionIdT id = {0, NULL};
  uint32_t read = ~number;
  SaCkptIOVectorElementT element = {.sectionId = id, .dataBuffer = &read, .dataSize = sizeof read};
  OK(saCkptSectionOverwrite(checkpoint, &id, &number, sizeof number));
  OK(saCkptCheckpointRead(checkpoint, &element, 1, NULL));
  assert_int_equal(read, number);
}

static int64_t counter(const char *key) { return raw_counter(vestad.socket, key); }

static void say(const char *what, int64_t *since_ns) {
  int64_t now_ns = daemon_fixture_now_ns();
  print_message("%s: %lld ms\n", what, (long long)((now_ns - *since_ns) / 1000000));
  *since_ns = now_ns;
}

/* As many files as may be; the daemon inherits that. */
static bool files_suffice(rlim_t count) {
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_max < count) {
    print_message("skipped: RLIMIT_NOFILE is below %llu\n", (unsigned long long)count);
    return false;
  }
  files.rlim_cur = files.rlim_max;
  return setrlimit(RLIMIT_NOFILE, &files) == 0;
}

/* ---- checkpoints ---- */

static void name_make(char text[32], uint32_t number) { (void)snprintf(text, 32, "safCkpt=%u", number); }

static void there_may_be_ten_thousand_checkpoints_and_not_one_more(void **state) {
  (void)state;
  char text[32];
  SaCkptHandleT library = 0;
  SaCkptCheckpointHandleT checkpoint = 0;
  if (!files_suffice(VESTA_CHECKPOINTS_MAX + FILES_SPARE)) {
    skip();
  }
  daemon_fixture_start(&vestad);
  OK(initialize(&library));
  int64_t since_ns = daemon_fixture_now_ns();
  for (uint32_t i = 0; i < VESTA_CHECKPOINTS_MAX; i++) {
    name_make(text, i);
    OK(open_in(library, text, SA_TIME_END, &checkpoint));
    if (i % 100 == 0) {
      write_and_read(checkpoint, i);
    }
    if (i % 2 == 0) { /* half of them open, half retained */
      OK(saCkptCheckpointClose(checkpoint));
    }
  }
  say("ten thousand checkpoints created", &since_ns);
  assert_int_equal(counter("checkpoints"), VESTA_CHECKPOINTS_MAX);
  assert_int_equal(counter("checkpoints_refused"), 0);
  EXPECT(SA_AIS_ERR_NO_RESOURCES, open_in(library, "one more", 0, &checkpoint));
  assert_int_equal(counter("checkpoints_refused"), 1);
  since_ns = daemon_fixture_now_ns();
  daemon_fixture_kill(&vestad);
  daemon_fixture_start(&vestad);
  say("killed and started again", &since_ns);
  for (uint32_t i = 0; i < VESTA_CHECKPOINTS_MAX; i += 100) {
    name_make(text, i);
    OK(open_in(library, text, SA_TIME_END, &checkpoint));
    write_and_read(checkpoint, i);
  }
  EXPECT(SA_AIS_ERR_NO_RESOURCES, open_in(library, "one more", 0, &checkpoint));
  SaNameT name = {.length = 9, .value = "safCkpt=2"};
  OK(saCkptCheckpointUnlink(library, &name));
  OK(open_in(library, "one more", 0, &checkpoint));
  OK(saCkptFinalize(library));
}

/* ---- clients ---- */

/* Half of the clients, in another process. It says when they are all there and goes when told so. */
static pid_t crowd_start(int *told_fd, int *tell_fd) {
  int told[2];
  int tell[2];
  assert_int_equal(pipe2(told, O_CLOEXEC) | pipe2(tell, O_CLOEXEC), 0);
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) {
    SaCkptCheckpointHandleT checkpoint;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (uint32_t i = 0; i < CLIENTS_HERE; i++) {
      if (initialize(&libraries[i]) != SA_AIS_OK || open_in(libraries[i], "all", 0, &checkpoint) != SA_AIS_OK) {
        _exit(1);
      }
    }
    char byte = 'x';
    (void)!write(told[1], &byte, 1);
    (void)!read(tell[0], &byte, 1);
    for (uint32_t i = 0; i < CLIENTS_HERE; i++) {
      if (open_in(libraries[i], "all", 0, &checkpoint) != SA_AIS_OK || saCkptFinalize(libraries[i]) != SA_AIS_OK) {
        _exit(1);
      }
    }
    _exit(0);
  }
  (void)close(told[1]);
  (void)close(tell[0]);
  *told_fd = told[0];
  *tell_fd = tell[1];
  return pid;
}

static void as_many_clients_as_may_be_are_served_and_one_more_is_told_so(void **state) {
  (void)state;
  SaCkptCheckpointHandleT checkpoint = 0;
  char byte = 0;
  int told;
  int tell;
  if (!files_suffice(VESTA_CLIENTS_MAX + FILES_SPARE)) {
    skip();
  }
  daemon_fixture_start(&vestad);
  int64_t since_ns = daemon_fixture_now_ns();
  pid_t crowd = crowd_start(&told, &tell);
  assert_int_equal(read(told, &byte, 1), 1);
  say("half of the clients", &since_ns);
  for (uint32_t i = 0; i < CLIENTS_HERE - 1; i++) {
    OK(initialize(&libraries[i]));
  }
  say("the other half", &since_ns);
  assert_int_equal(counter("sessions"), VESTA_CLIENTS_MAX - 1); /* who asks for counters is a client too */
  assert_int_equal(counter("links_refused"), 0);
  OK(initialize(&libraries[CLIENTS_HERE - 1]));
  SaCkptHandleT more = 4711;
  EXPECT(SA_AIS_ERR_NO_RESOURCES, initialize(&more));
  assert_int_equal(more, 4711);
  OK(saCkptFinalize(libraries[CLIENTS_HERE - 1]));
  assert_true(raw_counter_reaches(vestad.socket, "links_refused", 1));
  initialize_soon(&libraries[CLIENTS_HERE - 1]);
  since_ns = daemon_fixture_now_ns();
  daemon_fixture_kill(&vestad);
  daemon_fixture_start(&vestad);
  say("killed and started again", &since_ns);
  for (uint32_t i = 0; i < CLIENTS_HERE; i++) {
    OK(open_in(libraries[i], "all", 0, &checkpoint)); /* each comes back by itself */
    write_and_read(checkpoint, i);
    OK(saCkptCheckpointClose(checkpoint));
  }
  say("each of one half came back and wrote", &since_ns);
  assert_int_equal(write(tell, &byte, 1), 1);
  int status = -1;
  assert_int_equal(waitpid(crowd, &status, 0), crowd);
  assert_int_equal(status, 0);
  say("each of the other half came back and ended", &since_ns);
  assert_int_equal(counter("sessions"), CLIENTS_HERE);
  initialize_soon(&more);
  OK(saCkptFinalize(more));
  for (uint32_t i = 0; i < CLIENTS_HERE; i++) {
    OK(saCkptFinalize(libraries[i]));
  }
}

/* ---- handles ---- */

static void a_service_has_so_many_checkpoint_handles_and_no_more(void **state) {
  (void)state;
  SaCkptCheckpointHandleT checkpoint = 0;
  daemon_fixture_start(&vestad);
  int64_t since_ns = daemon_fixture_now_ns();
  uint32_t sessions = VESTA_HANDLES_MAX / VESTA_HANDLES_PER_SESSION_MAX;
  for (uint32_t i = 0; i < VESTA_HANDLES_MAX; i++) {
    if (i < sessions) {
      OK(initialize(&libraries[i]));
    }
    OK(open_in(libraries[i % sessions], "all", 0, &checkpoint));
  }
  say("all handles", &since_ns);
  assert_int_equal(counter("handles"), VESTA_HANDLES_MAX);
  OK(initialize(&libraries[sessions]));
  EXPECT(SA_AIS_ERR_NO_RESOURCES, open_in(libraries[sessions], "all", 0, &checkpoint));
  assert_int_equal(counter("handles_refused"), 1);
  since_ns = daemon_fixture_now_ns();
  daemon_fixture_kill(&vestad);
  daemon_fixture_start(&vestad);
  say("killed and started again", &since_ns);
  EXPECT(SA_AIS_ERR_NO_RESOURCES, open_in(libraries[sessions], "all", 0, &checkpoint));
  for (uint32_t i = 0; i < sessions; i++) {
    OK(saCkptFinalize(libraries[i]));
  }
  say("all closed", &since_ns);
  OK(open_in(libraries[sessions], "all", 0, &checkpoint));
  OK(saCkptFinalize(libraries[sessions]));
}

static int place_open(void **state) {
  (void)state;
  daemon_fixture_prepare(&vestad, NULL);
  return 0;
}

static int place_close(void **state) {
  (void)state;
  daemon_fixture_close(&vestad);
  return 0;
}

#define WITH_PLACE(test) cmocka_unit_test_setup_teardown(test, place_open, place_close)

int main(void) {
  const struct CMUnitTest tests[] = {
      WITH_PLACE(there_may_be_ten_thousand_checkpoints_and_not_one_more),
      WITH_PLACE(as_many_clients_as_may_be_are_served_and_one_more_is_told_so),
      WITH_PLACE(a_service_has_so_many_checkpoint_handles_and_no_more),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
