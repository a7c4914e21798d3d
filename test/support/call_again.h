/* SPDX-License-Identifier: BSD-2-Clause
 *
 * TRY_AGAIN says that nothing was done and that it may work later. No event tells when: the standard has none, and a
 * daemon that is down could not send one. So here, and nowhere else, a test pauses and then tries again.
 */
#ifndef VESTA_TEST_SUPPORT_CALL_AGAIN_H
#define VESTA_TEST_SUPPORT_CALL_AGAIN_H

#include <stdbool.h>
#include <stdint.h>

#include <saAis.h>

/** For the condition of a loop around a call: was it TRY_AGAIN, before until_ns (CLOCK_MONOTONIC)? Then pauses, so that
 *  the machine is left to what is waited for. */
bool call_again(SaAisErrorT error, int64_t until_ns);

#endif
