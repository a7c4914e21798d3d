/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Shows that the simulator finds bugs: those of core/planted.h, one after the other, each in a process of its own.
 */
#ifndef VESTA_TEST_SIM_PLANTED_H
#define VESTA_TEST_SIM_PLANTED_H

#include <stdbool.h>
#include <stdint.h>

/** Print a line for each planted bug: the seed that found it and the rule that was broken, or that it was missed. Only in a
 *  build that has them. @return whether all were found */
bool sim_planted(uint64_t steps);

#endif
