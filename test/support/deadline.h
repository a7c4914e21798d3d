/* SPDX-License-Identifier: BSD-2-Clause
 *
 * How long a test waits for what must come. It only ends a hang: what is waited for takes milliseconds, but on a machine
 * where dozens of tests share a core, under a sanitizer, it may take a thousand times as long and is no fault.
 */
#ifndef VESTA_TEST_SUPPORT_DEADLINE_H
#define VESTA_TEST_SUPPORT_DEADLINE_H

#include <stdint.h>

#define TEST_DEADLINE_MS 60000
#define TEST_DEADLINE_NS (TEST_DEADLINE_MS * INT64_C(1000000)) /* as a timeout of the service's calls, too */

#endif
