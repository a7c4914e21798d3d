/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Calls that may not come back.
 */
#include "daemon/slow_call.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>

#define LONG_MS 30000

typedef struct visit {
  sem_t *gate; /* NULL: it stands open */
  sem_t *left;
  sem_t *undone;
  int result;
  bool signals_blocked;
} visit_t;

static void visit_call(void *argument) {
  visit_t *visit = argument;
  sigset_t blocked;
  (void)pthread_sigmask(SIG_SETMASK, NULL, &blocked);
  visit->signals_blocked = sigismember(&blocked, SIGTERM) == 1 && sigismember(&blocked, SIGCHLD) == 1;
  if (visit->gate != NULL) {
    while (sem_wait(visit->gate) != 0) {
    }
  }
  visit->result = 7;
  if (visit->left != NULL) {
    (void)sem_post(visit->left);
  }
}

static visit_t *visit_new(sem_t *gate, sem_t *left) {
  visit_t *visit = calloc(1, sizeof *visit);
  assert_non_null(visit);
  visit->gate = gate;
  visit->left = left;
  return visit;
}

static void what_it_brought_can_be_looked_at_when_it_has_come_back(void **state) {
  (void)state;
  visit_t *visit = visit_new(NULL, NULL);
  slow_call_t *call = slow_call_begin(visit_call, free, visit);
  assert_non_null(call);
  assert_true(slow_call_done(call, LONG_MS));
  assert_true(slow_call_done(call, 0));
  assert_int_equal(visit->result, 7);
  assert_true(visit->signals_blocked);
  slow_call_end(&call);
  assert_null(call);
  slow_call_end(&call);
}

static void one_that_does_not_come_back_is_waited_for_no_longer_than_said(void **state) {
  (void)state;
  sem_t gate;
  assert_int_equal(sem_init(&gate, 0, 0), 0);
  visit_t *visit = visit_new(&gate, NULL);
  slow_call_t *call = slow_call_begin(visit_call, free, visit);
  assert_non_null(call);
  assert_false(slow_call_done(call, 1));
  assert_false(slow_call_done(call, 0));
  (void)sem_post(&gate);
  assert_true(slow_call_done(call, LONG_MS));
  assert_int_equal(visit->result, 7);
  slow_call_end(&call);
  assert_int_equal(sem_destroy(&gate), 0);
}

static void one_that_nobody_wants_any_more_lets_go_of_all_when_it_comes_back(void **state) {
  (void)state;
  sem_t gate, left;
  assert_int_equal(sem_init(&gate, 0, 0), 0);
  assert_int_equal(sem_init(&left, 0, 0), 0);
  slow_call_t *call = slow_call_begin(visit_call, free, visit_new(&gate, &left));
  assert_non_null(call);
  slow_call_end(&call); /* a leak would be ASan's to tell */
  (void)sem_post(&gate);
  while (sem_wait(&left) != 0) {
  }
  assert_int_equal(sem_destroy(&left), 0);
  assert_int_equal(sem_destroy(&gate), 0);
}

static void visit_destroy(void *argument) {
  visit_t *visit = argument;
  if (visit->result == 7) {
    (void)sem_post(visit->undone);
  }
  free(visit);
}

static void what_it_got_that_nobody_wants_any_more_is_let_go_of_when_it_comes_back(void **state) {
  (void)state;
  sem_t gate, undone;
  assert_int_equal(sem_init(&gate, 0, 0), 0);
  assert_int_equal(sem_init(&undone, 0, 0), 0);
  visit_t *visit = visit_new(&gate, NULL);
  visit->undone = &undone;
  slow_call_t *call = slow_call_begin(visit_call, visit_destroy, visit);
  assert_non_null(call);
  slow_call_end(&call);
  assert_int_not_equal(sem_trywait(&undone), 0);
  (void)sem_post(&gate);
  while (sem_wait(&undone) != 0) {
  }
  assert_int_equal(sem_destroy(&undone), 0);
  assert_int_equal(sem_destroy(&gate), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_it_brought_can_be_looked_at_when_it_has_come_back),
      cmocka_unit_test(one_that_does_not_come_back_is_waited_for_no_longer_than_said),
      cmocka_unit_test(one_that_nobody_wants_any_more_lets_go_of_all_when_it_comes_back),
      cmocka_unit_test(what_it_got_that_nobody_wants_any_more_is_let_go_of_when_it_comes_back),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
