/* SPDX-License-Identifier: BSD-2-Clause
 *
 * An allocator that fails once, when the test says so, on the thread that says it. It takes the place of libc's in the
 * program that includes this, once. Sanitizers have an allocator of their own: SANITIZED is defined then, and nothing else.
 */
#ifndef VESTA_TEST_SUPPORT_FAILING_MALLOC_H
#define VESTA_TEST_SUPPORT_FAILING_MALLOC_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif

#ifndef SANITIZED

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);

static _Thread_local long countdown = -1; /* allocations until one fails; below 0: none will */
static unsigned failed_count;             /* that did */

static bool fails_now(void) {
  bool fails = countdown >= 0 && countdown-- == 0;
  failed_count += fails;
  return fails;
}

void *malloc(size_t size) {
  errno = ENOMEM;
  return fails_now() ? NULL : __libc_malloc(size);
}
void *calloc(size_t count, size_t size) {
  errno = ENOMEM;
  return fails_now() ? NULL : __libc_calloc(count, size);
}
void *realloc(void *old, size_t size) {
  errno = ENOMEM;
  return fails_now() ? NULL : __libc_realloc(old, size);
}

#endif
#endif
