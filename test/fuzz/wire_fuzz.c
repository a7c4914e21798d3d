/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Any bytes into the wire decoder. What it accepts must be a message that can be written, that comes back the same, and
 * whose encoding is the only one we produce.
 */
#include <stdint.h>
#include <stdlib.h>

#include "core/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t *encode(const wire_message_t *message, size_t *size) {
  size_t capacity = wire_encoded_size_max(message);
  uint8_t *to = malloc(capacity);
  VESTA_ASSERT(to != NULL);
  vesta_err_t err = wire_encode(message, to, capacity, size);
  VESTA_ASSERT(err == VESTA_OK);
  return to;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static wire_decoder_t *decoder; /* one for all inputs, as in the daemon */
  if (decoder == NULL) {
    decoder = wire_decoder_new();
    VESTA_ASSERT(decoder != NULL);
  }
  wire_message_t message;
  if (wire_decode(decoder, data, size, &message) != VESTA_OK) {
    return 0;
  }
  size_t first_size;
  uint8_t *first = encode(&message, &first_size);
  vesta_err_t err = wire_decode(decoder, first, first_size, &message);
  VESTA_ASSERT(err == VESTA_OK);
  size_t second_size;
  uint8_t *second = encode(&message, &second_size);
  VESTA_ASSERT(first_size == second_size && memcmp(first, second, first_size) == 0);
  free(first);
  free(second);
  return 0;
}
