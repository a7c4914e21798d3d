/* SPDX-License-Identifier: BSD-2-Clause
 *
 * How a cluster stands, as JSON and as tables: its nodes, and what is the matter with which checkpoint. vesta(1) tells what
 * each key means; keys are added, never renamed.
 */
#ifndef VESTA_CLI_CLUSTER_REPORT_H
#define VESTA_CLI_CLUSTER_REPORT_H

#include <jansson.h>

#include "core/wire.h"

/** An object, from the answer about the nodes; without checkpoints yet. */
json_t *cluster_report_new(const wire_message_t *nodes);
/** Add a page of checkpoints. */
void cluster_report_add(json_t *cluster, const wire_message_t *page);
/** All of them, an array. */
json_t *cluster_report_checkpoints(json_t *cluster);
/** Does this one of them wait for nodes? For which is then to be added. */
bool cluster_report_is_waiting(const json_t *checkpoint);
void cluster_report_awaits(json_t *checkpoint, uint64_t node);

/** The nodes, and the checkpoints that somebody should look at, as tables, with what to do. */
void cluster_report_print(const json_t *cluster);

#endif
