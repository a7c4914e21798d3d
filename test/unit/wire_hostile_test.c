/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The wire decoder under hostile bytes and without memory: every input gives an error or a message, nothing is read
 * past the input (each stands in a heap block of exactly its size, for AddressSanitizer), and what a header claims is
 * never believed: a decoder that has no memory at all still refuses every bomb as malformed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/wire.h"
#include "test/support/wire_vectors.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

static wire_decoder_t *decoder;

static int setup(void **state) {
  (void)state;
  decoder = wire_decoder_new();
  return decoder == NULL;
}

static int teardown(void **state) {
  (void)state;
  wire_decoder_destroy(&decoder);
  return decoder != NULL;
}

static vesta_err_t decode(const void *from, size_t size, wire_message_t *out) {
  uint8_t *exact = malloc(size != 0 ? size : 1);
  assert_non_null(exact);
  memcpy(exact, from, size);
  vesta_err_t err = wire_decode(decoder, exact, size, out);
  free(exact);
  return err;
}

/* Bytes that claim much and hold little, or nest without end. Calls `check` with each. */
static void bombs_each(void (*check)(const uint8_t *bytes, size_t size)) {
  static const char *const claims[] = {"dcffff",     "ddffffffff", "deffff",       "dfffffffff",
                                       "c6ffffffff", "dbffffffff", "c9ffffffff00", "dd80000000",
                                       "df80000000", "dd00ffffff", "df007fffff"};
  static const char *const places[] = {
      "", "81", "8101", "8329", "830181", "8501ce00010000022029", "8501ce0001000002202991"};
  uint8_t bytes[64];
  for (size_t place = 0; place < sizeof places / sizeof *places; place++) {
    for (size_t claim = 0; claim < sizeof claims / sizeof *claims; claim++) {
      char hex[sizeof bytes * 2 + 1];
      (void)snprintf(hex, sizeof hex, "%s%s", places[place], claims[claim]);
      size_t size = strlen(hex) / 2;
      for (size_t i = 0; i < size; i++) {
        unsigned byte;
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
        bytes[i] = (uint8_t)byte;
      }
      check(bytes, size);
      memset(bytes + size, 0, 8);
      check(bytes, size + 8);
    }
  }
  /* Megabytes of one byte: nested arrays, nested maps, arrays of everything that is left. */
  static const uint8_t fillings[] = {0x91, 0x81, 0x9f, 0x8f, 0xdd, 0xdf, 0xdc, 0x00, 0xc0, 0xc1, 0xff};
  static uint8_t large[VESTA_FRAME_HEAD_BYTES_MAX];
  for (size_t i = 0; i < sizeof fillings; i++) {
    memset(large, fillings[i], VESTA_FRAME_HEAD_BYTES_MAX);
    check(large, VESTA_FRAME_HEAD_BYTES_MAX);
    large[0] = 0xdd; /* a true claim: as many items as there are bytes, 24 bytes each in msgpack-c's hands */
    large[1] = (uint8_t)((VESTA_FRAME_HEAD_BYTES_MAX - 5) >> 24);
    large[2] = (uint8_t)((VESTA_FRAME_HEAD_BYTES_MAX - 5) >> 16);
    large[3] = (uint8_t)((VESTA_FRAME_HEAD_BYTES_MAX - 5) >> 8);
    large[4] = (uint8_t)(VESTA_FRAME_HEAD_BYTES_MAX - 5);
    check(large, VESTA_FRAME_HEAD_BYTES_MAX);
  }
  for (uint32_t step = 5; step < 4096; step *= 2) { /* arrays in arrays, each claiming all that is left */
    memset(large, 0, VESTA_FRAME_HEAD_BYTES_MAX);
    for (uint32_t at = 0; at + 5 < VESTA_FRAME_HEAD_BYTES_MAX; at += step) {
      uint32_t left = VESTA_FRAME_HEAD_BYTES_MAX - at - 5;
      const uint8_t head[] = {0xdd, (uint8_t)(left >> 24), (uint8_t)(left >> 16), (uint8_t)(left >> 8), (uint8_t)left};
      memcpy(large + at, head, sizeof head);
    }
    check(large, VESTA_FRAME_HEAD_BYTES_MAX);
  }
}

static void bomb_is_malformed(const uint8_t *bytes, size_t size) {
  wire_message_t out;
  assert_int_equal(decode(bytes, size, &out), VESTA_ERR_MALFORMED);
}

static void claims_beyond_the_bytes_and_endless_nesting_are_malformed(void **state) {
  (void)state;
  bombs_each(bomb_is_malformed);
}

/* xorshift64*: the same bytes for the same seed on every machine. */
static uint64_t random_next(uint64_t *seed) {
  *seed ^= *seed >> 12;
  *seed ^= *seed << 25;
  *seed ^= *seed >> 27;
  return *seed * 0x2545f4914f6cdd1dULL;
}

static void random_bytes_give_an_error_or_a_message(void **state) {
  (void)state;
  uint64_t seed = 20250101;
  uint8_t bytes[300];
  for (unsigned round = 0; round < 100000; round++) {
    size_t size = random_next(&seed) % sizeof bytes;
    for (size_t i = 0; i < size; i++) {
      bytes[i] = (uint8_t)random_next(&seed);
    }
    wire_message_t out;
    vesta_err_t err = decode(bytes, size, &out);
    assert_true(err == VESTA_OK || err == VESTA_ERR_MALFORMED || err == VESTA_ERR_VERSION);
  }
}

static void mutated_messages_give_an_error_or_a_message_that_can_be_written_again(void **state) {
  (void)state;
  uint64_t seed = 20250102;
  unsigned accepted = 0;
  size_t vector_count;
  const wire_vector_t *vectors = wire_vectors(&vector_count);
  for (unsigned round = 0; round < 40000; round++) {
    vesta_bytes_t head = vectors[round % vector_count].head;
    uint8_t bytes[512];
    size_t size = head.size;
    assert_true(size <= sizeof bytes);
    memcpy(bytes, head.data, size);
    for (uint64_t changes = 1 + random_next(&seed) % 4; changes != 0; changes--) {
      bytes[random_next(&seed) % size] = (uint8_t)random_next(&seed);
    }
    wire_message_t out;
    vesta_err_t err = wire_decode(decoder, bytes, size, &out);
    if (err == VESTA_OK) {
      accepted++;
      uint8_t again[1024];
      size_t again_size; /* a message that was accepted keeps every bound */
      assert_int_equal(wire_encode(&out, again, sizeof again, &again_size), VESTA_OK);
    } else {
      assert_true(err == VESTA_ERR_MALFORMED || err == VESTA_ERR_VERSION);
    }
    assert_true(decode(bytes, size, &out) == err);
  }
  assert_true(accepted > 1000); /* the mutations are gentle enough to go deep */
}

/* Take all memory that malloc can still give this process, as a list of blocks; for a child that only exits. */
typedef struct block {
  struct block *next;
  uint8_t bytes[16368];
} block_t;

static block_t *memory_take_all(void) {
  const struct rlimit none = {.rlim_cur = 0, .rlim_max = RLIM_INFINITY};
  block_t *taken = NULL;
  block_t *block;
  if (setrlimit(RLIMIT_AS, &none) != 0) {
    _exit(3);
  }
  while ((block = malloc(sizeof *block)) != NULL) {
    block->next = taken;
    taken = block;
  }
  for (size_t size = sizeof *block; size >= sizeof(void *); size /= 2) { /* the crumbs are not given back */
    void *volatile crumb; /* else a compiler may see that nobody wants it */
    do {
      crumb = malloc(size);
    } while (crumb != NULL);
  }
  return taken;
}

static void bomb_needs_no_memory(const uint8_t *bytes, size_t size) {
  wire_message_t out;
  if (wire_decode(decoder, bytes, size, &out) != VESTA_ERR_MALFORMED) {
    _exit(2);
  }
}

static void hostile_bytes_take_no_memory(void **state) {
  (void)state;
  if (SANITIZED) {
    skip(); /* a sanitizer needs the address space for itself */
  }
  pid_t child = fork();
  if (child == 0) {
    (void)memory_take_all();
    bombs_each(bomb_needs_no_memory);
    _exit(0);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
}

static void out_of_memory_is_an_error_and_the_decoder_goes_on(void **state) {
  (void)state;
  if (SANITIZED) {
    skip();
  }
  static wire_element_t elements[WIRE_ELEMENTS_MAX];
  static uint8_t bytes[WIRE_ELEMENTS_MAX * 16];
  for (uint32_t i = 0; i < WIRE_ELEMENTS_MAX; i++) {
    elements[i].count = 1; /* the last item: all are written, so msgpack-c needs the most */
  }
  const wire_message_t message = {.kind = WIRE_REPLY, .elements = elements, .element_count = WIRE_ELEMENTS_MAX};
  size_t size;
  assert_int_equal(wire_encode(&message, bytes, sizeof bytes, &size), VESTA_OK);
  pid_t child = fork();
  if (child == 0) {
    wire_decoder_destroy(&decoder);
    decoder = wire_decoder_new();
    wire_message_t out;
    unsigned failed = 0;
    vesta_err_t err = VESTA_ERR_NO_MEMORY;
    block_t *taken = memory_take_all();
    while (taken != NULL && (err = wire_decode(decoder, bytes, size, &out)) == VESTA_ERR_NO_MEMORY) {
      failed++; /* a little more each time, so that every allocation fails once */
      block_t *next = taken->next;
      free(taken);
      taken = next;
    }
    const struct rlimit enough = {.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
    if (failed < 10 || (err != VESTA_OK && err != VESTA_ERR_NO_MEMORY) || setrlimit(RLIMIT_AS, &enough) != 0) {
      _exit(2);
    }
    _exit(wire_decode(decoder, bytes, size, &out) == VESTA_OK && out.element_count == WIRE_ELEMENTS_MAX ? 0 : 1);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(claims_beyond_the_bytes_and_endless_nesting_are_malformed),
      cmocka_unit_test(random_bytes_give_an_error_or_a_message),
      cmocka_unit_test(mutated_messages_give_an_error_or_a_message_that_can_be_written_again),
      cmocka_unit_test(hostile_bytes_take_no_memory),
      cmocka_unit_test(out_of_memory_is_an_error_and_the_decoder_goes_on),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
