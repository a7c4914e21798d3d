/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the command prints: a table for people, JSON for programs, from the same rows.
 */
#ifndef VESTA_CLI_REPORT_H
#define VESTA_CLI_REPORT_H

#include "cli/service_link.h"

/** The daemon's state: `info` is its key=value lines. */
void report_status(vesta_bytes_t info, bool json);

/* Checkpoints, added a page at a time. */
typedef struct report_list report_list_t;
report_list_t *report_list_new(void);
void report_list_add(report_list_t *list, const wire_message_t *page);
void report_list_print(const report_list_t *list, bool json);
void report_list_destroy(report_list_t **list);

#endif
