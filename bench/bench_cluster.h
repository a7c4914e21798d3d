/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the parts of the bench on several nodes have in common: a processor for each node.
 */
#ifndef VESTA_BENCH_CLUSTER_H
#define VESTA_BENCH_CLUSTER_H

#include "bench/bench_nodes.h"
#include "bench/bench_report.h"

/** The place (scene.h) of a node's processor. */
uint32_t bench_cluster_place(const bench_context_t *bench, uint32_t node);
/** Nodes, each at its place. */
bench_nodes_t *bench_cluster_nodes(const bench_context_t *bench, uint32_t count, bool keys, const char *options);

/** Says so, and why. */
bool bench_cluster_is_left_out(const bench_context_t *bench, const char *what);

#define BENCH_SINK_ROLE "sink"
int bench_sink_run(char **arguments);

#endif
