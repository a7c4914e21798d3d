/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Memory that runs out at a chosen allocation, and a count of what was not given back.
 *
 * For programs that are linked statically with what they test, and with the options of ALLOCATION_WRAPPED in
 * test/CMakeLists.txt: the linker gives their calls of malloc, calloc, realloc, free and mmap, and the calls into
 * msgpack-c that allocate, to allocation.c. The allocations of other shared libraries go past it, and those of other
 * threads than the one that armed it never fail.
 */
#ifndef VESTA_TEST_SUPPORT_ALLOCATION_H
#define VESTA_TEST_SUPPORT_ALLOCATION_H

#include <stdbool.h>

/** The allocation number `countdown` of this thread from now on fails, that one only. */
void allocation_fail_at(unsigned countdown);
/** No more failures. @return whether there was one */
bool allocation_failed(void);
/** Allocated and not freed yet, by all threads. */
long allocation_live(void);

#endif
