/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The protocol by example, read from test/vectors/wire.txt, which says what its lines mean. The subscribers in other
 * languages are tested against the same file.
 */
#ifndef VESTA_TEST_SUPPORT_WIRE_VECTORS_H
#define VESTA_TEST_SUPPORT_WIRE_VECTORS_H

#include "core/wire.h"

typedef struct wire_vector {
  const char *name;
  wire_message_t message; /* on VERSION: version, kind and number; on MALFORMED nothing */
  vesta_bytes_t topic, head, payload, frame;
  vesta_err_t error;
  bool canonical; /* `head` is what we write */
} wire_vector_t;

/** All of them. Read once; a fault in the file, or none at all, ends the program with a message. */
const wire_vector_t *wire_vectors(size_t *count);

#endif
