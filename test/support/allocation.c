/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See allocation.h. The names with underscores are the linker's: __wrap_f is called for f, __real_f is f.
 */
#include "test/support/allocation.h"

#include <errno.h>
#include <msgpack.h>
#include <stdatomic.h>
#include <sys/mman.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void __real_free(void *memory);
void *__real_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset);
bool __real_msgpack_zone_init(msgpack_zone *zone, size_t chunk_bytes);
msgpack_unpack_return __real_msgpack_unpack(const char *data, size_t size, size_t *offset, msgpack_zone *zone,
                                            msgpack_object *object);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void __wrap_free(void *memory);
void *__wrap_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset);
bool __wrap_msgpack_zone_init(msgpack_zone *zone, size_t chunk_bytes);
msgpack_unpack_return __wrap_msgpack_unpack(const char *data, size_t size, size_t *offset, msgpack_zone *zone,
                                            msgpack_object *object);

static _Thread_local unsigned allocation_left; /* 0: not armed, or over */
static _Thread_local bool allocation_has_failed;
static atomic_long allocation_count;

static bool allocation_fails(void) {
  if (allocation_left == 0 || --allocation_left > 0) {
    return false;
  }
  allocation_has_failed = true;
  return true;
}

static void *allocation_counted(void *memory) {
  if (memory != NULL) {
    (void)atomic_fetch_add(&allocation_count, 1);
  }
  return memory;
}

void *__wrap_malloc(size_t size) { return allocation_fails() ? NULL : allocation_counted(__real_malloc(size)); }

void *__wrap_calloc(size_t count, size_t size) {
  return allocation_fails() ? NULL : allocation_counted(__real_calloc(count, size));
}

void *__wrap_realloc(void *memory, size_t size) {
  if (allocation_fails()) {
    return NULL;
  }
  void *moved = __real_realloc(memory, size);
  return memory == NULL ? allocation_counted(moved) : moved;
}

void __wrap_free(void *memory) {
  if (memory != NULL) {
    (void)atomic_fetch_sub(&allocation_count, 1);
  }
  __real_free(memory);
}

void *__wrap_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset) {
  if (allocation_fails()) {
    errno = ENOMEM;
    return MAP_FAILED;
  }
  return __real_mmap(at, size, protection, flags, fd, offset);
}

bool __wrap_msgpack_zone_init(msgpack_zone *zone, size_t chunk_bytes) {
  return !allocation_fails() && __real_msgpack_zone_init(zone, chunk_bytes);
}

msgpack_unpack_return __wrap_msgpack_unpack(const char *data, size_t size, size_t *offset, msgpack_zone *zone,
                                            msgpack_object *object) {
  return allocation_fails() ? MSGPACK_UNPACK_NOMEM_ERROR : __real_msgpack_unpack(data, size, offset, zone, object);
}

void allocation_fail_at(unsigned countdown) {
  allocation_left = countdown;
  allocation_has_failed = false;
}

bool allocation_failed(void) {
  allocation_left = 0;
  return allocation_has_failed;
}

long allocation_live(void) { return atomic_load(&allocation_count); }
