/* SPDX-License-Identifier: BSD-2-Clause
 *
 * CURVE keys in files, as `vesta keygen` writes them.
 *
 *     a pair       two lines: `public Z85` and `secret Z85`; a regular file, mode 0600 or less
 *     a public one one line: Z85
 */
#ifndef VESTA_NOTIFY_ZMQ_CURVE_FILES_H
#define VESTA_NOTIFY_ZMQ_CURVE_FILES_H

#include "core/error.h"

#define CURVE_KEY_BYTES 41U /* Z85 and its end */

typedef struct curve_pair {
  char public_key[CURVE_KEY_BYTES], secret_key[CURVE_KEY_BYTES];
} curve_pair_t;

/** @return OK; NOT_EXIST: it can't be read, see errno; DENIED: others can read it; MALFORMED: it is no pair */
vesta_err_t curve_file_pair(const char *path, curve_pair_t *pair);
/** @return OK; NOT_EXIST: it can't be read, see errno; MALFORMED: it is no key */
vesta_err_t curve_file_public(const char *path, char key[CURVE_KEY_BYTES]);

#endif
