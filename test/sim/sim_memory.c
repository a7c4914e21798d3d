/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See sim_memory.h. The names with underscores are the linker's: __wrap_f is called for f, __real_f is f.
 */
#include "test/sim/sim_memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);

static unsigned memory_left; /* 0: not armed, or over */
static bool memory_failed;

static bool memory_fails(void) {
  if (memory_left == 0 || --memory_left > 0) {
    return false;
  }
  memory_failed = true;
  return true;
}

void *__wrap_malloc(size_t size) { return memory_fails() ? NULL : __real_malloc(size); }
void *__wrap_calloc(size_t count, size_t size) { return memory_fails() ? NULL : __real_calloc(count, size); }
void *__wrap_realloc(void *memory, size_t size) { return memory_fails() ? NULL : __real_realloc(memory, size); }

void sim_memory_arm(unsigned countdown) {
  memory_left = countdown;
  memory_failed = false;
}

bool sim_memory_disarm(void) {
  memory_left = 0;
  return memory_failed;
}

static void *memory_sure(void *memory) {
  if (memory == NULL) {
    abort();
  }
  return memory;
}

void *sim_memory_get(size_t size) { return memory_sure(__real_calloc(1, size == 0 ? 1 : size)); }

void *sim_memory_grow(void *memory, size_t size) { return memory_sure(__real_realloc(memory, size)); }

void *sim_memory_copy(const void *from, size_t size) {
  void *to = sim_memory_get(size);
  if (size > 0) {
    memcpy(to, from, size);
  }
  return to;
}
