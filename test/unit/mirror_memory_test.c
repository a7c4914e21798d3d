/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Memory of a mirror: blocks do not overlap, are reused, and a small mirror stays small.
 */
#include "ext_api/mirror_memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BLOCKS 2000U

static size_t block_bytes(unsigned *seed) {
  static const size_t edges[] = {0, 1, 31, 32, 33, 1023, 1024, 1025, 1152, 1153, 65535, 65536, 65537, 200000};
  int which = rand_r(seed) % 40;
  return which < 14 ? edges[which] : (size_t)(rand_r(seed) % 3000);
}

static bool filled_with(const uint8_t *block, size_t bytes, uint8_t value) {
  for (size_t i = 0; i < bytes; i++) {
    if (block[i] != value) {
      return false;
    }
  }
  return true;
}

static void blocks_never_overlap(void **state) {
  (void)state;
  mirror_memory_t memory = {0};
  uint8_t *blocks[BLOCKS] = {0};
  size_t sizes[BLOCKS] = {0};
  unsigned seed = 1;
  for (uint32_t i = 0; i < 20 * BLOCKS; i++) {
    uint32_t at = (uint32_t)rand_r(&seed) % BLOCKS;
    if (blocks[at] != NULL) {
      assert_true(filled_with(blocks[at], sizes[at], (uint8_t)at));
      mirror_memory_give(&memory, blocks[at], sizes[at]);
    }
    sizes[at] = block_bytes(&seed);
    blocks[at] = mirror_memory_take(&memory, sizes[at]);
    assert_non_null(blocks[at]);
    assert_int_equal((uintptr_t)blocks[at] % 16, 0);
    memset(blocks[at], (int)(uint8_t)at, sizes[at]);
  }
  for (uint32_t at = 0; at < BLOCKS; at++) {
    assert_true(filled_with(blocks[at], sizes[at], (uint8_t)at));
    mirror_memory_give(&memory, blocks[at], sizes[at]);
  }
  mirror_memory_fini(&memory);
}

static void what_is_given_back_serves_the_next_of_its_size(void **state) {
  (void)state;
  mirror_memory_t memory = {0};
  void *block = mirror_memory_take(&memory, 200);
  mirror_memory_give(&memory, block, 200);
  assert_ptr_equal(mirror_memory_take(&memory, 210), block);
  mirror_memory_fini(&memory);
}

static void a_small_mirror_takes_a_small_chunk(void **state) {
  (void)state;
  mirror_memory_t memory = {0};
  (void)mirror_memory_take(&memory, 100);
  assert_in_range(memory.fresh_bytes, 1, 128U << 10);
  mirror_memory_fini(&memory);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(blocks_never_overlap),
      cmocka_unit_test(what_is_given_back_serves_the_next_of_its_size),
      cmocka_unit_test(a_small_mirror_takes_a_small_chunk),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
