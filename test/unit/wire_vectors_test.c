/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Our codec and the protocol's test vectors (test/vectors/wire.txt): what is written and what is read are these bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "notify/publisher.h"
#include "test/support/wire_vectors.h"

#define HEAD_BYTES_MAX 1024U

static wire_decoder_t *decoder;
static const wire_vector_t *vectors;
static size_t vector_count;

static int setup(void **state) {
  (void)state;
  decoder = wire_decoder_new();
  vectors = wire_vectors(&vector_count);
  return decoder == NULL;
}

static int teardown(void **state) {
  (void)state;
  wire_decoder_destroy(&decoder);
  return 0;
}

static vesta_bytes_t encode(const wire_message_t *message, uint8_t to[HEAD_BYTES_MAX]) {
  size_t size = 0;
  assert_int_equal(wire_encode(message, to, HEAD_BYTES_MAX, &size), VESTA_OK);
  return vesta_bytes(to, size);
}

/* Bytes that are not the vector's: say which vector. */
static void assert_bytes(const wire_vector_t *vector, vesta_bytes_t bytes, vesta_bytes_t expected) {
  if (!vesta_bytes_equal(bytes, expected)) {
    fail_msg("not the same bytes: %s", vector->name);
  }
}

static void what_we_write_is_the_vectors_bytes(void **state) {
  (void)state;
  for (const wire_vector_t *vector = vectors; vector != vectors + vector_count; vector++) {
    uint8_t head[HEAD_BYTES_MAX];
    if (vector->canonical) {
      assert_bytes(vector, encode(&vector->message, head), vector->head);
    }
  }
}

static void what_we_read_is_the_vectors_message(void **state) {
  (void)state;
  unsigned other_forms = 0;
  for (const wire_vector_t *vector = vectors; vector != vectors + vector_count; vector++) {
    wire_message_t message;
    uint8_t expected[HEAD_BYTES_MAX];
    uint8_t head[HEAD_BYTES_MAX];
    if (vector->error != VESTA_OK) {
      continue;
    }
    if (wire_decode(decoder, vector->head.data, vector->head.size, &message) != VESTA_OK) {
      fail_msg("not read: %s", vector->name);
    }
    assert_bytes(vector, encode(&message, head), encode(&vector->message, expected)); /* one form for each message */
    other_forms += !vector->canonical;
  }
  assert_true(other_forms != 0);
}

static void what_is_refused_is_refused_with_the_vectors_error(void **state) {
  (void)state;
  unsigned refused = 0;
  for (const wire_vector_t *vector = vectors; vector != vectors + vector_count; vector++) {
    wire_message_t message = {0};
    if (vector->error == VESTA_OK) {
      continue;
    }
    if (wire_decode(decoder, vector->head.data, vector->head.size, &message) != vector->error) {
      fail_msg("refused in another way, or not: %s", vector->name);
    }
    assert_int_equal(message.version, vector->message.version);
    assert_int_equal(message.kind, vector->message.kind);
    assert_int_equal(message.number, vector->message.number);
    refused++;
  }
  assert_true(refused != 0);
}

static void a_payload_is_the_data_of_the_elements(void **state) {
  (void)state;
  unsigned payloads = 0;
  for (const wire_vector_t *vector = vectors; vector != vectors + vector_count; vector++) {
    if (vector->payload.size != 0) {
      assert_int_equal(wire_payload_check(&vector->message, vector->payload.size), VESTA_OK);
      payloads++;
    }
  }
  assert_true(payloads != 0);
}

static void a_frame_is_a_prefix_a_head_and_a_payload(void **state) {
  (void)state;
  unsigned frames = 0;
  for (const wire_vector_t *vector = vectors; vector != vectors + vector_count; vector++) {
    uint8_t prefix[WIRE_PREFIX_BYTES];
    if (vector->frame.size == 0) {
      continue;
    }
    size_t payload_at = sizeof prefix + vector->head.size;
    assert_int_equal(vector->frame.size, payload_at + vector->payload.size);
    wire_prefix_encode(prefix, (uint32_t)vector->head.size, (uint32_t)vector->payload.size);
    assert_bytes(vector, vesta_bytes(vector->frame.data, sizeof prefix), vesta_bytes(prefix, sizeof prefix));
    assert_bytes(vector, vesta_bytes(vector->frame.data + sizeof prefix, vector->head.size), vector->head);
    assert_bytes(vector, vesta_bytes(vector->frame.data + payload_at, vector->payload.size), vector->payload);
    frames++;
  }
  assert_true(frames != 0);
}

static void a_topic_is_a_class_and_the_checkpoint(void **state) {
  (void)state;
  unsigned topics = 0;
  for (const wire_vector_t *vector = vectors; vector != vectors + vector_count; vector++) {
    uint8_t topic[NOTIFY_TOPIC_BYTES];
    if (vector->topic.size != 0) {
      notify_topic(topic, vector->topic.data[0], vector->message.checkpoint);
      assert_bytes(vector, vector->topic, vesta_bytes(topic, sizeof topic));
      topics++;
    }
  }
  assert_true(topics != 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_we_write_is_the_vectors_bytes),
      cmocka_unit_test(what_we_read_is_the_vectors_message),
      cmocka_unit_test(what_is_refused_is_refused_with_the_vectors_error),
      cmocka_unit_test(a_payload_is_the_data_of_the_elements),
      cmocka_unit_test(a_frame_is_a_prefix_a_head_and_a_payload),
      cmocka_unit_test(a_topic_is_a_class_and_the_checkpoint),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
