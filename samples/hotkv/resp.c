/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Reading requests and writing replies. See resp.h.
 */
#include "resp.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define HEADER_BYTES_MAX 32 /* "*64\r\n", "$65536\r\n", and some leading zeros */

/* ---- numbers and words ---- */

bool resp_number(slice_t text, int64_t *number) {
  bool negative = text.size > 0 && text.bytes[0] == '-';
  size_t i = negative ? 1 : 0;
  if (i == text.size) {
    return false;
  }
  int64_t value = 0; /* is built below zero, where there is room for the least number as well */
  for (; i < text.size; i++) {
    int digit = text.bytes[i] - '0';
    if (digit < 0 || digit > 9 || value < (INT64_MIN + digit) / 10) {
      return false;
    }
    value = value * 10 - digit;
  }
  if (!negative && value == INT64_MIN) {
    return false;
  }
  *number = negative ? value : -value;
  return true;
}

bool resp_is(slice_t text, const char *word) {
  return text.size == strlen(word) && strncasecmp(text.bytes, word, text.size) == 0;
}

/* ---- requests ---- */

/* What has been read so far of some bytes. */
typedef struct reader {
  const char *bytes;
  size_t size, at;
  const char *why;
} reader_t;

static resp_verdict_t broken(reader_t *reader, const char *why) {
  reader->why = why;
  return RESP_BROKEN;
}

/* "<mark><number>\r\n" */
static resp_verdict_t read_header(reader_t *reader, char mark, int64_t *number, const char *why) {
  const char *line = reader->bytes + reader->at;
  size_t left = reader->size - reader->at;
  if (left == 0) {
    return RESP_MORE;
  }
  if (line[0] != mark) {
    return broken(reader, mark == '$' ? "expected '$'" : "expected '*'");
  }
  const char *end = memchr(line, '\n', left < HEADER_BYTES_MAX ? left : HEADER_BYTES_MAX);
  if (end == NULL) {
    return left < HEADER_BYTES_MAX ? RESP_MORE : broken(reader, why);
  }
  slice_t digits = {line + 1, (size_t)(end - line) - 1};
  if (digits.size < 2 || end[-1] != '\r') {
    return broken(reader, why);
  }
  digits.size--;
  if (!resp_number(digits, number)) {
    return broken(reader, why);
  }
  reader->at += (size_t)(end - line) + 1;
  return RESP_WHOLE;
}

/* "$<size>\r\n<bytes>\r\n" */
static resp_verdict_t read_bulk(reader_t *reader, slice_t *bulk) {
  int64_t size = 0;
  resp_verdict_t verdict = read_header(reader, '$', &size, "invalid bulk length");
  if (verdict != RESP_WHOLE) {
    return verdict;
  }
  if (size < 0 || size > RESP_BULK_BYTES_MAX) {
    return broken(reader, "invalid bulk length");
  }
  size_t end = reader->at + (size_t)size + 2;
  if (reader->size < end) {
    return RESP_MORE;
  }
  if (memcmp(reader->bytes + end - 2, "\r\n", 2) != 0) {
    return broken(reader, "expected the end of a bulk string");
  }
  *bulk = (slice_t){reader->bytes + reader->at, (size_t)size};
  reader->at = end;
  return RESP_WHOLE;
}

static resp_verdict_t read_array(reader_t *reader, resp_request_t *request) {
  int64_t count = 0;
  resp_verdict_t verdict = read_header(reader, '*', &count, "invalid multibulk length");
  if (verdict == RESP_WHOLE && count > RESP_ARGUMENTS_MAX) {
    verdict = broken(reader, "invalid multibulk length");
  }
  for (int64_t i = 0; verdict == RESP_WHOLE && i < count; i++) {
    verdict = read_bulk(reader, &request->arguments[i]);
  }
  request->argument_count = count > 0 ? (size_t)count : 0;
  return verdict;
}

static resp_verdict_t read_line(reader_t *reader, resp_request_t *request) {
  const char *end =
      memchr(reader->bytes, '\n', reader->size < RESP_INLINE_BYTES_MAX ? reader->size : RESP_INLINE_BYTES_MAX);
  if (end == NULL) {
    return reader->size < RESP_INLINE_BYTES_MAX ? RESP_MORE : broken(reader, "too big inline request");
  }
  request->argument_count = 0;
  for (const char *at = reader->bytes; at < end;) {
    const char *word = at;
    while (at < end && !isspace((unsigned char)*at)) {
      at++;
    }
    if (at == word) {
      at++;
    } else if (request->argument_count == RESP_ARGUMENTS_MAX) {
      return broken(reader, "too many words in an inline request");
    } else {
      request->arguments[request->argument_count++] = (slice_t){word, (size_t)(at - word)};
    }
  }
  reader->at = (size_t)(end - reader->bytes) + 1;
  return RESP_WHOLE;
}

resp_verdict_t resp_parse(const char *bytes, size_t size, resp_request_t *request, size_t *used, const char **why) {
  reader_t reader = {.bytes = bytes, .size = size};
  if (size == 0) {
    return RESP_MORE;
  }
  resp_verdict_t verdict = bytes[0] == '*' ? read_array(&reader, request) : read_line(&reader, request);
  if (verdict == RESP_MORE && size >= RESP_REQUEST_BYTES_MAX) {
    verdict = broken(&reader, "too big request");
  }
  if (verdict == RESP_WHOLE) {
    *used = reader.at;
  } else if (verdict == RESP_BROKEN) {
    *why = reader.why;
  }
  return verdict;
}

/* ---- replies ---- */

__attribute__((format(printf, 2, 3))) static void add_text(resp_replies_t *replies, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  size_t room = replies->capacity - replies->size;
  int size = vsnprintf(replies->bytes + replies->size, room, format, arguments);
  va_end(arguments);
  assert(size >= 0 && (size_t)size < room);
  replies->size += (size_t)size;
}

void resp_ok(resp_replies_t *replies, const char *text) { add_text(replies, "+%s\r\n", text); }

void resp_error(resp_replies_t *replies, const char *format, ...) {
  char text[RESP_ERROR_BYTES_MAX - 3];
  va_list arguments;
  va_start(arguments, format);
  (void)vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  for (char *at = text; *at != '\0'; at++) {
    *at = isprint((unsigned char)*at) ? *at : '?';
  }
  add_text(replies, "-%s\r\n", text);
}

void resp_integer(resp_replies_t *replies, int64_t number) { add_text(replies, ":%" PRId64 "\r\n", number); }

void resp_bulk(resp_replies_t *replies, slice_t bytes) {
  add_text(replies, "$%zu\r\n", bytes.size);
  assert(replies->capacity - replies->size >= bytes.size + 2);
  memcpy(replies->bytes + replies->size, bytes.bytes, bytes.size);
  memcpy(replies->bytes + replies->size + bytes.size, "\r\n", 2);
  replies->size += bytes.size + 2;
}

void resp_nothing(resp_replies_t *replies) { add_text(replies, "$-1\r\n"); }

void resp_array(resp_replies_t *replies, size_t count) { add_text(replies, "*%zu\r\n", count); }
