/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Frames out of a stream in any pieces, and without memory.
 */
#include "daemon/frame_reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { FRAMES = 5 };
static const uint32_t head_sizes[FRAMES] = {1, 7, 3, 64, 2};
static const uint32_t payload_sizes[FRAMES] = {0, 5, 100, 0, 1};

typedef struct taken {
  size_t count;
  size_t refused;
  size_t stop_after;
} taken_t;

static size_t stream_make(uint8_t *to) {
  size_t end = 0;
  for (size_t i = 0; i < FRAMES; i++) {
    wire_prefix_encode(to + end, head_sizes[i], payload_sizes[i]);
    end += WIRE_PREFIX_BYTES;
    memset(to + end, (int)('a' + i), head_sizes[i]);
    memset(to + end + head_sizes[i], (int)('A' + i), payload_sizes[i]);
    end += head_sizes[i] + payload_sizes[i];
  }
  return end;
}

static void check_bytes(vesta_bytes_t bytes, size_t size, char byte) {
  assert_int_equal(bytes.size, size);
  for (size_t i = 0; i < size; i++) {
    assert_int_equal(bytes.data[i], byte);
  }
}

static bool take(void *context, vesta_bytes_t head, vesta_bytes_t payload, vesta_err_t err) {
  taken_t *taken = context;
  size_t i = taken->count++;
  assert_true(i < FRAMES);
  check_bytes(head, head_sizes[i], (char)('a' + i));
  if (err == VESTA_OK) {
    check_bytes(payload, payload_sizes[i], (char)('A' + i));
  } else {
    assert_int_equal(payload.size, 0);
    taken->refused++;
  }
  return taken->count != taken->stop_after;
}

/* Hand over `size` bytes as a socket would: into the reader's room first, then into a buffer of our own. */
static vesta_err_t feed(frame_reader_t *reader, const uint8_t *bytes, size_t size, const frame_sink_t *sink) {
  uint8_t *room;
  size_t room_size;
  frame_reader_room(reader, &room, &room_size);
  size_t direct = room_size < size ? room_size : size;
  if (direct > 0) {
    memcpy(room, bytes, direct);
  }
  uint8_t *rest = malloc(size - direct + 1); /* exactly that long, so that a sanitizer sees a byte too far */
  memcpy(rest, bytes + direct, size - direct);
  vesta_err_t err = frame_reader_take(reader, direct, rest, size - direct, sink);
  free(rest);
  return err;
}

static void frames_come_whole_whatever_pieces_the_stream_comes_in(void **state) {
  (void)state;
  uint8_t stream[512];
  size_t end = stream_make(stream);
  for (size_t piece = 1; piece <= end; piece++) {
    frame_memory_t memory = {.max_bytes = 1000};
    frame_reader_t reader;
    taken_t taken = {0};
    const frame_sink_t sink = {.context = &taken, .frame = take};
    frame_reader_init(&reader, &memory);
    for (size_t at = 0; at < end; at += piece) {
      assert_int_equal(feed(&reader, stream + at, end - at < piece ? end - at : piece, &sink), VESTA_OK);
    }
    assert_int_equal(taken.count, FRAMES);
    assert_int_equal(taken.refused, 0);
    assert_int_equal(memory.held_bytes, 0); /* nothing is kept between frames */
    frame_reader_fini(&reader);
  }
}

static bool count_with_trailer(void *context, vesta_bytes_t head, vesta_bytes_t payload, vesta_err_t err) {
  uint32_t *count = context;
  assert_int_equal(err, VESTA_OK);
  assert_int_equal(head.data[0], 'h');
  assert_int_equal(head.data[head.size + payload.size], 'z');
  (*count)++;
  return true;
}

static void bytes_behind_each_payload_come_with_it_whatever_pieces_the_stream_comes_in(void **state) {
  (void)state;
  static const uint8_t frames[] = "\1\0\0\0\3\0\0\0habcz\2\0\0\0\0\0\0\0hhz";
  const size_t end = sizeof frames - 1;
  for (size_t piece = 1; piece <= end; piece++) {
    frame_memory_t memory = {.max_bytes = 1000};
    frame_reader_t reader;
    uint32_t count = 0;
    const frame_sink_t sink = {.context = &count, .frame = count_with_trailer};
    frame_reader_init(&reader, &memory);
    reader.trailer_bytes = 1;
    for (size_t at = 0; at < end; at += piece) {
      assert_int_equal(feed(&reader, frames + at, end - at < piece ? end - at : piece, &sink), VESTA_OK);
    }
    assert_int_equal(count, 2);
    assert_int_equal(memory.held_bytes, 0);
    frame_reader_fini(&reader);
  }
}

static void a_payload_without_memory_is_skipped_and_the_stream_goes_on(void **state) {
  (void)state;
  uint8_t stream[512];
  size_t end = stream_make(stream);
  for (size_t piece = 1; piece <= 32; piece++) {
    frame_memory_t memory = {.max_bytes = 80}; /* enough for every head, not for the third payload */
    frame_reader_t reader;
    taken_t taken = {0};
    const frame_sink_t sink = {.context = &taken, .frame = take};
    frame_reader_init(&reader, &memory);
    for (size_t at = 0; at < end; at += piece) {
      assert_int_equal(feed(&reader, stream + at, end - at < piece ? end - at : piece, &sink), VESTA_OK);
    }
    assert_int_equal(taken.count, FRAMES);
    assert_int_equal(taken.refused, 1);
    assert_int_equal(memory.held_bytes, 0);
    frame_reader_fini(&reader);
  }
}

static void without_memory_for_a_head_the_stream_is_broken(void **state) {
  (void)state;
  uint8_t stream[512];
  (void)stream_make(stream);
  frame_memory_t memory = {.max_bytes = 8};
  frame_reader_t reader;
  taken_t taken = {0};
  const frame_sink_t sink = {.context = &taken, .frame = take};
  frame_reader_init(&reader, &memory);
  assert_int_equal(feed(&reader, stream, 8, &sink), VESTA_ERR_NO_RESOURCES);
  frame_reader_fini(&reader);
  assert_int_equal(memory.held_bytes, 0);
}

static void half_a_frame_is_given_back_with_its_link(void **state) {
  (void)state;
  uint8_t stream[512];
  (void)stream_make(stream);
  frame_memory_t memory = {.max_bytes = 1000};
  frame_reader_t reader;
  taken_t taken = {0};
  const frame_sink_t sink = {.context = &taken, .frame = take};
  frame_reader_init(&reader, &memory);
  assert_int_equal(feed(&reader, stream, 20, &sink), VESTA_OK);
  assert_true(memory.held_bytes > 0);
  frame_reader_fini(&reader);
  assert_int_equal(memory.held_bytes, 0);
}

static void it_stops_when_the_sink_says_so(void **state) {
  (void)state;
  uint8_t stream[512];
  size_t end = stream_make(stream);
  frame_memory_t memory = {.max_bytes = 1000};
  frame_reader_t reader;
  taken_t taken = {.stop_after = 2};
  const frame_sink_t sink = {.context = &taken, .frame = take};
  frame_reader_init(&reader, &memory);
  assert_int_equal(feed(&reader, stream, end, &sink), VESTA_OK);
  assert_int_equal(taken.count, 2);
  frame_reader_fini(&reader);
}

static void a_prefix_beyond_the_limits_is_an_error_before_anything_is_allocated(void **state) {
  (void)state;
  const struct {
    uint32_t head, payload;
    vesta_err_t err;
  } prefixes[] = {{UINT32_MAX, UINT32_MAX, VESTA_ERR_TOO_LARGE},
                  {VESTA_FRAME_HEAD_BYTES_MAX + 1, 0, VESTA_ERR_TOO_LARGE},
                  {1, (uint32_t)VESTA_OPERATION_BYTES_MAX + 1, VESTA_ERR_TOO_LARGE},
                  {0, 10, VESTA_ERR_MALFORMED}};
  for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
    for (size_t piece = 1; piece <= 8; piece += 7) { /* in pieces, and in place */
      frame_memory_t memory = {.max_bytes = UINT64_MAX};
      frame_reader_t reader;
      taken_t taken = {0};
      uint8_t prefix[WIRE_PREFIX_BYTES];
      const frame_sink_t sink = {.context = &taken, .frame = take};
      vesta_err_t err = VESTA_OK;
      wire_prefix_encode(prefix, prefixes[i].head, prefixes[i].payload);
      frame_reader_init(&reader, &memory);
      for (size_t at = 0; at < sizeof prefix && err == VESTA_OK; at += piece) {
        err = feed(&reader, prefix + at, piece, &sink);
      }
      assert_int_equal(err, prefixes[i].err);
      assert_true(memory.held_bytes <= WIRE_PREFIX_BYTES);
      frame_reader_fini(&reader);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(frames_come_whole_whatever_pieces_the_stream_comes_in),
      cmocka_unit_test(bytes_behind_each_payload_come_with_it_whatever_pieces_the_stream_comes_in),
      cmocka_unit_test(a_payload_without_memory_is_skipped_and_the_stream_goes_on),
      cmocka_unit_test(without_memory_for_a_head_the_stream_is_broken),
      cmocka_unit_test(half_a_frame_is_given_back_with_its_link),
      cmocka_unit_test(it_stops_when_the_sink_says_so),
      cmocka_unit_test(a_prefix_beyond_the_limits_is_an_error_before_anything_is_allocated),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
