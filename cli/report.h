/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the command prints: a table for people, JSON for programs, from the same rows.
 *
 * In JSON, ids and names are text as id_text.h says. Data is a string when it is UTF-8, else KEY_hex.
 */
#ifndef VESTA_CLI_REPORT_H
#define VESTA_CLI_REPORT_H

#include <jansson.h>

#include "cli/service_link.h"

/** The daemon's state: `info` is its key=value lines. @return a new object */
json_t *report_info(vesta_bytes_t info);
/** An object: a key and its value a line, or as JSON. */
void report_object(const json_t *object, bool json);
/** One line of JSON. */
void report_line(const json_t *value);

/** Set object[key] to this position as text, as vesta_position_format() writes it. */
void report_set_position(json_t *object, const char *key, vesta_pos_t position);
/** Set object[key] to these bytes as text, see id_text.h. */
void report_set_id(json_t *object, const char *key, const void *id, size_t size);
/** Set object[key] to these bytes as a string, or if they are no UTF-8 object[key_hex]. @return false: out of memory */
bool report_set_data(json_t *object, const char *key, const void *data, size_t size);
/** object[key] as a number, 0 when it is none. */
json_int_t report_number(const json_t *object, const char *key);
/** The number, or null when it is not known. @return a new value */
json_t *report_number_if(bool known, uint64_t number);
#define REPORT_NUMBER_BYTES 32
/** object[key] for people, "-" when it is no number. @return text, or a literal */
const char *report_number_text(const json_t *object, const char *key, char text[REPORT_NUMBER_BYTES]);
/** A point in time, null when it is never. @return a new value */
json_t *report_time(int64_t time_ns);

#define REPORT_TIME_BYTES 32
/** The same for people: UTC in milliseconds, or "never". */
void report_time_text(int64_t time_ns, char text[REPORT_TIME_BYTES]);

/* Checkpoints, added a page at a time. */
typedef struct report_list report_list_t;
report_list_t *report_list_new(void);
void report_list_add(report_list_t *list, const wire_message_t *page);
/** What is done with them, from a page of LOAD. @param at   0 at first: pages come in the order of the rows */
void report_list_add_load(report_list_t *list, size_t *at, const wire_message_t *page);
void report_list_print(const report_list_t *list, bool json);
/** Its rows, an array. */
json_t *report_list_rows(const report_list_t *list);
/** The row of a checkpoint that has this name, NULL for none. */
json_t *report_list_find(const report_list_t *list, vesta_bytes_t name);
void report_list_destroy(report_list_t **list);

/** "all", "active" or "weak". */
const char *report_mode(uint64_t creation_flags);

#endif
