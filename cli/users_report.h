/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Who uses a checkpoint, as JSON and as tables: replicas, openers, members of its group, streams. vesta(1) tells what
 * each key means; keys are added, never renamed.
 */
#ifndef VESTA_CLI_USERS_REPORT_H
#define VESTA_CLI_USERS_REPORT_H

#include <jansson.h>

#include "core/wire.h"

/** An object with an empty array for each list. */
json_t *users_report_new(void);
/** Add a row. @param which   WIRE_USERS_..., the list that it is from */
void users_report_add(json_t *users, uint64_t which, const wire_message_t *row);
/** When all are there: say of members and streams whose they are, from the opener that has the same handle. */
void users_report_join(json_t *users);

/** The lists as tables; an empty one is left out. */
void users_report_print(const json_t *users);

#endif
