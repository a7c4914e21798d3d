/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A vestad of a test's own: real process, fresh run and replica directories, found by this process through
 * VESTA_SOCKET.
 *
 * The program is $VESTA_TEST_VESTAD, else $VESTA_VESTAD. Whatever goes wrong here ends the test program with a
 * message. The daemon dies with the thread that started it (PDEATHSIG), and what it logs from WARN on goes to the
 * test's stderr.
 */
#ifndef VESTA_TEST_SUPPORT_DAEMON_FIXTURE_H
#define VESTA_TEST_SUPPORT_DAEMON_FIXTURE_H

#include <stdint.h>
#include <sys/types.h>

#include "test/support/deadline.h"

#define DAEMON_FIXTURE_PATH_BYTES 96

typedef struct daemon_fixture {
  char run_dir[DAEMON_FIXTURE_PATH_BYTES];     /* in /tmp, 0700 */
  char replica_dir[DAEMON_FIXTURE_PATH_BYTES]; /* in /dev/shm, 0700 */
  char socket[DAEMON_FIXTURE_PATH_BYTES];
  const char *const *options; /* further options of vestad, NULL at the end; may be NULL */
  pid_t pid;                  /* 0: not running */
} daemon_fixture_t;

/** Make the directories, set VESTA_SOCKET, start the daemon and wait until it is ready. */
void daemon_fixture_open(daemon_fixture_t *fixture);
/** The same with further options, e.g. {"--clients-max", "4", NULL}, which must outlive the fixture. */
void daemon_fixture_open_with(daemon_fixture_t *fixture, const char *const *options);
/** Directories and VESTA_SOCKET alone; daemon_fixture_start() later. */
void daemon_fixture_prepare(daemon_fixture_t *fixture, const char *const *options);
/** Start it (again) on the same directories and wait until it is ready. */
void daemon_fixture_start(daemon_fixture_t *fixture);
/** SIGKILL, and wait for its end. */
void daemon_fixture_kill(daemon_fixture_t *fixture);
/** SIGTERM, and wait for its end. Returns its exit status, or -1 when a signal ended it. */
int daemon_fixture_stop(daemon_fixture_t *fixture);
/** Kill it if it runs, and remove the directories. */
void daemon_fixture_close(daemon_fixture_t *fixture);

/** For test programs that need just one, fresh for each test: set-up and tear-down functions of cmocka's. */
extern daemon_fixture_t daemon_of_test;
int daemon_of_test_open(void **state);
int daemon_of_test_close(void **state);

/** CLOCK_MONOTONIC, for deadlines of waits in tests. */
int64_t daemon_fixture_now_ns(void);

#endif
