/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Memory that runs out when the seed says so.
 *
 * The linker gives every call of malloc, calloc and realloc to sim_memory.c (--wrap). While a countdown is armed the
 * allocation that it ends at fails, and that one only. The simulator's own memory never fails: sim_memory_get().
 */
#ifndef VESTA_TEST_SIM_MEMORY_H
#define VESTA_TEST_SIM_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/** The allocation number `countdown` from now on fails; 0: none. */
void sim_memory_arm(unsigned countdown);
/** No more failures. @return whether there was one */
bool sim_memory_disarm(void);

/** Zeroed; never NULL. Free with free(). */
void *sim_memory_get(size_t size);
/** As realloc(); never NULL. */
void *sim_memory_grow(void *memory, size_t size);
/** A copy; never NULL. */
void *sim_memory_copy(const void *from, size_t size);

#endif
