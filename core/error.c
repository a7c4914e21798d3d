/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The words for error codes, and how a fault of ours ends.
 */
#include "core/error.h"

#include <stdio.h>
#include <stdlib.h>

const char *vesta_err_name(vesta_err_t err) {
  switch (err) {
#define VESTA_ERROR_NAME(name, number, text) \
  case VESTA_ERR_##name: return #name;
    VESTA_ERRORS(VESTA_ERROR_NAME)
#undef VESTA_ERROR_NAME
  }
  return "UNKNOWN"; /* the number came over a wire and is none of ours */
}

const char *vesta_err_text(vesta_err_t err) {
  switch (err) {
#define VESTA_ERROR_TEXT(name, number, text) \
  case VESTA_ERR_##name: return text;
    VESTA_ERRORS(VESTA_ERROR_TEXT)
#undef VESTA_ERROR_TEXT
  }
  return "unknown error";
}

void vesta_assert_failed(const char *condition, const char *file, int line) {
  /* The last words of a process that is about to stop: the one place in core/ that writes anywhere. */
  fprintf(stderr, "vesta: %s:%d: assertion failed: %s\n", file, line, condition);
  abort();
}
