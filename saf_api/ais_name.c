/* SPDX-License-Identifier: BSD-2-Clause
 *
 * saAisNameLend, saAisNameBorrow, and what the calls make of names. See ais_name.h.
 */
#define SA_EXTENDED_NAME_SOURCE
#include "saf_api/ais_name.h"

#include <stdlib.h>

#include "core/limits.h"
#include "saf_api/saAis.h"

#define NAME_EXTENDED 0xcd2bU     /* in place of the length */
#define NAME_POINTER_AT 8U        /* byte of the address: aligned if the name is */
#define NAME_PLAIN_BYTES_MAX 256U /* what there is room for; a text needs one for its NUL */

/* Where a plain name's bytes begin. */
static const char *name_text(const SaNameT *name) { return (const char *)(name->_opaque + 1); }

static const char *name_pointer(const SaNameT *name) {
  const char *pointer;
  memcpy(&pointer, (const char *)name + NAME_POINTER_AT, sizeof pointer);
  return pointer;
}

void saAisNameLend(SaConstStringT value, SaNameT *name) {
  size_t length = strlen(value);
  if (length < SA_MAX_UNEXTENDED_NAME_LENGTH) {
    name->_opaque[0] = (SaUint16T)length;
    memcpy(name->_opaque + 1, value, length + 1);
  } else {
    name->_opaque[0] = NAME_EXTENDED;
    memcpy((char *)name + NAME_POINTER_AT, &value, sizeof value);
  }
}

SaConstStringT saAisNameBorrow(const SaNameT *name) {
  size_t length = name->_opaque[0];
  if (length == NAME_EXTENDED) {
    return name_pointer(name);
  }
  bool ends = length < SA_MAX_UNEXTENDED_NAME_LENGTH && name_text(name)[length] == '\0';
  return ends ? name_text(name) : NULL;
}

static bool names_are_extended(void) {
  const char *enabled = getenv("SA_ENABLE_EXTENDED_NAMES");
  return enabled != NULL && strcmp(enabled, "1") == 0;
}

bool ais_name_bytes(const void *any, vesta_bytes_t *bytes) {
  const SaNameT *name = any;
  if (name == NULL) {
    return false;
  }
  const char *text = name_text(name);
  size_t size = name->_opaque[0];
  size_t size_max = NAME_PLAIN_BYTES_MAX;
  if (size == NAME_EXTENDED && names_are_extended()) {
    text = name_pointer(name);
    size_max = VESTA_NAME_BYTES_MAX;
    size = text == NULL ? 0 : strnlen(text, size_max + 1);
  }
  *bytes = vesta_bytes(text, size);
  return size > 0 && size <= size_max;
}
