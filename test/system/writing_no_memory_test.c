/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Every allocation of a transaction and of a writer fails once: the call says NO_MEMORY and has changed nothing, so the
 * same call works the next time, and in the end every write was done once.
 *
 * The program's malloc takes the place of the C library's, for the shared libraries too, and counts down. The
 * sanitizers have an allocator of their own there, so with them this test has nothing to do.
 */
#include <vesta.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/support/application.h"
#include "test/support/daemon_fixture.h"
#include "test/support/failing_malloc.h"

#ifdef SANITIZED
int main(void) { return 0; }
#else

#define CHANGES 6U /* more than a transaction has room for at first */

static application_t application;
static unsigned failures;

/* Call it until it works: what fails does so for want of memory, once. */
#define MUST(call)                                    \
  do {                                                \
    SaAisErrorT error_;                               \
    while ((error_ = (call)) != SA_AIS_OK) {          \
      countdown = -1;                                 \
      assert_int_equal(error_, SA_AIS_ERR_NO_MEMORY); \
      failures++;                                     \
    }                                                 \
  } while (0)

static void transaction_fill(vesta_txn_t *txn, uint64_t number) {
  static char data[5000]; /* more than it has room for at first */
  memcpy(data, &number, sizeof number);
  for (unsigned i = 0; i < CHANGES; i++) {
    SaCkptSectionIdT id = section_id("n");
    if (number == 1 && i == 0) {
      MUST(vesta_txn_create(txn, &id, data, sizeof data, SA_TIME_END));
    } else {
      MUST(vesta_txn_overwrite(txn, &id, data, sizeof data));
    }
  }
}

/* A transaction that is waited for, one that is not, and a single write. Returns the last one's position. */
static uint64_t life(uint64_t *number) {
  vesta_txn_t *txn = NULL;
  vesta_writer_t *writer = NULL;
  vesta_completion_t completion = {0};
  SaCkptSectionIdT id = section_id("n");
  MUST(vesta_txn_begin(application.checkpoint, &txn));
  transaction_fill(txn, ++*number);
  MUST(vesta_txn_commit(&txn, NULL, NULL));
  MUST(vesta_writer_open(application.checkpoint, &writer));
  MUST(vesta_txn_begin(application.checkpoint, &txn));
  transaction_fill(txn, ++*number);
  MUST(vesta_writer_commit(writer, &txn, NULL, 1));
  ++*number;
  MUST(vesta_writer_overwrite(writer, &id, number, sizeof *number, 2));
  for (SaInvocationT i = 1; i <= 2; i++) {
    MUST(vesta_writer_next(writer, APPLICATION_DEADLINE, &completion));
    assert_int_equal(completion.invocation, i);
    assert_int_equal(completion.error, SA_AIS_OK);
  }
  assert_int_equal(vesta_writer_close(&writer), SA_AIS_OK);
  return completion.position.seq;
}

static void every_allocation_may_fail_once_and_every_write_is_done_once(void **state) {
  (void)state;
  uint64_t number = 0;
  unsigned before;
  long n = 0;
  do {
    before = failed_count;
    countdown = n++;
    uint64_t seq = life(&number);
    countdown = -1;
    assert_int_equal(seq, number); /* one operation each, none twice */
  } while (failed_count > before);
  print_message("%ld allocations failed, and %u calls\n", n - 1, failures);
  assert_true(failures >= 10);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_allocation_may_fail_once_and_every_write_is_done_once),
  };
  daemon_fixture_open(&daemon_of_test);
  application_open(&application, "memory", APPLICATION_ALL);
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  application_close(&application);
  daemon_fixture_close(&daemon_of_test);
  return failed;
}

#endif
