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
/** Is there nothing about this one of them to look at? */
bool cluster_report_is_well(const json_t *checkpoint);
/** Add one of its replicas: a row of USERS. */
void cluster_report_replica(json_t *checkpoint, const wire_message_t *row);

#define CLUSTER_REPORT_WELL_MAX 50U /* of checkpoints that are well so many are printed */

/** The nodes, and the checkpoints, those first that somebody should look at, as tables, with what to do. */
void cluster_report_print(const json_t *cluster);

#endif
