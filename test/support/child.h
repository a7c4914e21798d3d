/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A part of a test in a process of its own.
 */
#ifndef VESTA_TEST_SUPPORT_CHILD_H
#define VESTA_TEST_SUPPORT_CHILD_H

#include <sys/types.h>

/** fork(), never -1. The child does not outlive its parent, and what fails in it ends it, not a copy of the test. */
pid_t child_fork(void);

#endif
