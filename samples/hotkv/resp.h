/* SPDX-License-Identifier: BSD-2-Clause
 *
 * RESP2, the protocol of Redis: requests read, replies written.
 *
 *   a request    "*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n", an array of bulk strings: what clients send
 *                "GET key\r\n", one line, words between blanks: what people type (no quotes)
 *   a reply      "+OK\r\n"  "-ERR why\r\n"  ":42\r\n"  "$3\r\nabc\r\n"  "$-1\r\n" (nothing)  "*0\r\n" (an array)
 *
 * The parser keeps nothing between calls: it is given all bytes that have arrived and not been used yet, and says of
 * any bytes whether they begin with a request, may become one, or never will. Everything is bounded: who holds
 * RESP_REQUEST_BYTES_MAX bytes never hears "more".
 */
#ifndef HOTKV_RESP_H
#define HOTKV_RESP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RESP_ARGUMENTS_MAX 64
#define RESP_BULK_BYTES_MAX (64 * 1024)     /* one argument */
#define RESP_INLINE_BYTES_MAX (4 * 1024)    /* a request on one line */
#define RESP_REQUEST_BYTES_MAX (128 * 1024) /* a request, as it is sent */
#define RESP_ERROR_BYTES_MAX 256            /* an error, as it is told */
#define RESP_REPLY_BYTES_MAX (RESP_BULK_BYTES_MAX + 64)

/* Bytes that belong to somebody else. */
typedef struct slice {
  const char *bytes;
  size_t size;
} slice_t;

/* ---- requests ---- */

typedef struct resp_request {
  size_t argument_count; /* the command's name is the first; 0: an empty line, to be passed over */
  slice_t arguments[RESP_ARGUMENTS_MAX];
} resp_request_t;

typedef enum resp_verdict {
  RESP_WHOLE,  /* a request */
  RESP_MORE,   /* may become one */
  RESP_BROKEN, /* never will: tell why, and close the connection */
} resp_verdict_t;

/**
 * Read the request at the front of some bytes.
 *
 * @param[out] request  WHOLE: set, and its slices point into `bytes`
 * @param[out] used     WHOLE: the size of the request
 * @param[out] why      BROKEN: what is wrong, a constant
 */
resp_verdict_t resp_parse(const char *bytes, size_t size, resp_request_t *request, size_t *used, const char **why);

/** Read a decimal number that is all of a text. */
bool resp_number(slice_t text, int64_t *number);
/** Is it this word, in letters of either case? */
bool resp_is(slice_t text, const char *word);

/* ---- replies ---- */

/* Where replies are collected. Each call below adds one of RESP_REPLY_BYTES_MAX at most: whoever calls has the room. */
typedef struct resp_replies {
  char *bytes;
  size_t size, capacity;
} resp_replies_t;

void resp_ok(resp_replies_t *replies, const char *text);
/** @param format  begins with a word in capitals: "ERR ...". What is too long is cut, what can't stand in a line is
 *                 replaced */
void resp_error(resp_replies_t *replies, const char *format, ...) __attribute__((format(printf, 2, 3)));
void resp_integer(resp_replies_t *replies, int64_t number);
void resp_bulk(resp_replies_t *replies, slice_t bytes);
void resp_nothing(resp_replies_t *replies);
/** The head of an array: its `count` elements follow. */
void resp_array(resp_replies_t *replies, size_t count);

#endif
