/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What another process prints into a file, and waiting for it: the kernel tells when there is more.
 */
#ifndef VESTA_TEST_SUPPORT_PRINTED_H
#define VESTA_TEST_SUPPORT_PRINTED_H

#include <stdbool.h>

/** Does any line of the file hold this text? */
bool printed_holds(const char *path, const char *text);
/** Wait until one does. @return false when none did in TEST_DEADLINE_MS */
bool printed_wait(const char *path, const char *text);

#endif
