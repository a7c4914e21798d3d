/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Sections chosen by how their ids begin: what a subscriber hands out, and what the stream server sends it of a
 * snapshot or a resync. None at all chooses every section.
 *
 * The prefixes stand in elements, of which only the ids matter, since that is how they travel in a request.
 */
#ifndef VESTA_NOTIFY_ID_PREFIXES_H
#define VESTA_NOTIFY_ID_PREFIXES_H

#include "core/wire.h"

/** Does the id begin with one of them, or are there none? */
static inline bool id_prefixes_match(const wire_element_t *prefixes, uint32_t count, vesta_bytes_t id) {
  for (uint32_t i = 0; i < count; i++) {
    vesta_bytes_t prefix = prefixes[i].id;
    if (id.size >= prefix.size && memcmp(id.data, prefix.data, prefix.size) == 0) {
      return true;
    }
  }
  return count == 0;
}

/** Not too many, none empty (it would choose every section) or longer than an id. */
static inline bool id_prefixes_valid(const wire_element_t *prefixes, uint32_t count) {
  if (count > VESTA_STREAM_PREFIXES_MAX) {
    return false;
  }
  for (uint32_t i = 0; i < count; i++) {
    if (prefixes[i].id.size == 0 || prefixes[i].id.size > VESTA_SECTION_ID_BYTES_MAX) {
      return false;
    }
  }
  return true;
}

#endif
