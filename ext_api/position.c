/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Positions as text.
 */
#include "ext_api/vesta.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

SaAisErrorT vesta_position_format(const vesta_position_t *position, char *text) {
  if (position == NULL || text == NULL) {
    return SA_AIS_ERR_INVALID_PARAM;
  }
  (void)snprintf(text, VESTA_POSITION_TEXT_BYTES, "%016llx-%llu-%llu", position->lineage, position->epoch,
                 position->seq);
  return SA_AIS_OK;
}

/* scanf is lenient (signs, spaces, leading zeros), so what was read is printed again: only what
 * vesta_position_format() printed comes out as it went in. */
SaAisErrorT vesta_position_parse(const char *text, vesta_position_t *position) {
  if (text == NULL || position == NULL) {
    return SA_AIS_ERR_INVALID_PARAM;
  }
  uint64_t lineage, epoch, seq;
  if (sscanf(text, "%16" SCNx64 "-%20" SCNu64 "-%20" SCNu64, &lineage, &epoch, &seq) != 3) {
    return SA_AIS_ERR_INVALID_PARAM;
  }
  vesta_position_t read = {.lineage = lineage, .epoch = epoch, .seq = seq};
  char again[VESTA_POSITION_TEXT_BYTES];
  (void)vesta_position_format(&read, again);
  if (strcmp(text, again) != 0) {
    return SA_AIS_ERR_INVALID_PARAM;
  }
  *position = read;
  return SA_AIS_OK;
}
