/* SPDX-License-Identifier: BSD-2-Clause
 *
 * As many handles as a process may have, and one more.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/limits.h"
#include "saf_api/agent_handles.h"

static void object_destroy(agent_object_t *object) { (void)object; }

static void a_process_may_have_so_many_handles_and_no_more(void **state) {
  (void)state;
  agent_object_t *objects = calloc(VESTA_PROCESS_HANDLES_MAX + 1, sizeof *objects);
  assert_non_null(objects);
  for (uint32_t i = 0; i <= VESTA_PROCESS_HANDLES_MAX; i++) {
    objects[i] = (agent_object_t){.kind = AGENT_CHECKPOINT, .destroy = object_destroy};
    vesta_err_t err = agent_handle_new(&objects[i]);
    if (err != (i < VESTA_PROCESS_HANDLES_MAX ? VESTA_OK : VESTA_ERR_NO_RESOURCES)) {
      fail_msg("handle %u: %s", i, vesta_err_name(err));
    }
  }
  agent_handle_release(&objects[4711]);
  assert_int_equal(agent_handle_new(&objects[VESTA_PROCESS_HANDLES_MAX]), VESTA_OK);
  agent_handle_publish(&objects[VESTA_PROCESS_HANDLES_MAX]);
  agent_object_t *found = agent_handle_acquire(objects[VESTA_PROCESS_HANDLES_MAX].handle, AGENT_CHECKPOINT);
  assert_ptr_equal(found, &objects[VESTA_PROCESS_HANDLES_MAX]);
  agent_handle_release(found);
  free(objects); /* the table is the process's, which ends here */
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(a_process_may_have_so_many_handles_and_no_more)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
