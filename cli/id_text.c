/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See id_text.h.
 */
#include "cli/id_text.h"

static const char hex_digits[] = "0123456789abcdef";

void id_text_format(vesta_bytes_t id, char *to) {
  for (size_t i = 0; i < id.size; i++) {
    uint8_t byte = id.data[i];
    if (byte >= ' ' && byte <= '~' && byte != '"' && byte != '\\') {
      *to++ = (char)byte;
    } else {
      *to++ = '\\';
      *to++ = 'x';
      *to++ = hex_digits[byte >> 4];
      *to++ = hex_digits[byte & 15];
    }
  }
  *to = '\0';
}

static int hex_value(char digit) {
  if (digit >= '0' && digit <= '9') {
    return digit - '0';
  }
  char small = (char)(digit | 0x20);
  return small >= 'a' && small <= 'f' ? small - 'a' + 10 : -1;
}

int id_text_hex(const char *digits) {
  int high = hex_value(digits[0]);
  int low = high < 0 ? -1 : hex_value(digits[1]); /* not beyond a NUL */
  return low < 0 ? -1 : high * 16 + low;
}

/* What a backslash begins. @return the byte and how many characters said it; -1 when it is nothing known */
static int escape_parse(const char *text, size_t *length) {
  if (text[1] == '\\' || text[1] == '"') {
    *length = 2;
    return text[1];
  }
  *length = 4;
  return text[1] == 'x' ? id_text_hex(text + 2) : -1;
}

bool id_text_parse(const char *text, uint8_t *to, size_t capacity, size_t *size) {
  bool quoted = text[0] == '"';
  size_t written = 0;
  text += quoted ? 1 : 0;
  while (*text != '\0' && !(quoted && *text == '"')) {
    size_t length = 1;
    int byte = *text == '\\' ? escape_parse(text, &length) : (uint8_t)*text;
    if (byte < 0 || written == capacity) {
      return false;
    }
    to[written++] = (uint8_t)byte;
    text += length;
  }
  if (quoted && (text[0] != '"' || text[1] != '\0')) {
    return false;
  }
  *size = written;
  return true;
}
