/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A vestad of a test's own: directories of its own, any options, its log in a file. For tests of the daemon itself;
 * whoever tests what is above it takes the fixture that libSaCkpt's tests take.
 */
#ifndef VESTA_TEST_VESTAD_PROCESS_H
#define VESTA_TEST_VESTAD_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "test/support/deadline.h"

typedef struct vestad_place {
  char run_dir[64];
  char replica_dir[64];
  char socket[80];
  char log[80];  /* standard error of whoever ran here */
  int files_max; /* RLIMIT_NOFILE of a vestad that is started here; 0: as it is */
} vestad_place_t;

/** Names that nobody else has; the run directory is made. */
void vestad_place_make(vestad_place_t *place);
/** Delete all of it. */
void vestad_place_remove(const vestad_place_t *place);

/** Start one and wait until it is ready. `arguments` (NULL-terminated, may be NULL) follow --socket and --replica-dir.
 *  @return its pid; -1 when it ended instead, with *exit_code (may be NULL) */
pid_t vestad_start(const vestad_place_t *place, const char *const *arguments, int *exit_code);
/** Run the program with just these arguments, NULL-terminated, until it ends. @return its exit code */
int vestad_run(const vestad_place_t *place, const char *const *arguments);
/** Signal it and wait for its end. @return its exit code, -1 when the signal killed it */
int vestad_end(pid_t pid, int signal);
/** Does it end by then? It is there to be waited for in any case. */
bool vestad_ends_within(pid_t pid, int ms);
/** Wait for its end, which nobody asked for. */
int vestad_wait(pid_t pid);

/** Does the log hold this text? Waits for it. */
bool vestad_logged(const vestad_place_t *place, const char *text);

/** Milliseconds of a clock that only goes forward. */
int64_t test_now_ms(void);
/** What /proc says: resident memory of a process in KiB. */
int64_t test_resident_kib(pid_t pid);

#endif
