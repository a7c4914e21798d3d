/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The floors between nodes: what the same way costs with nothing of Vesta on it.
 *
 *   zmq      a request and its answer over ZeroMQ, DEALER to ROUTER, TCP between two nodes
 *   cpg      a message to the group, until it is delivered to who sent it: corosync's own order
 *
 * A TCP echo is bench_echo_new_over() of bench_nodes_connect().
 */
#ifndef VESTA_BENCH_BETWEEN_H
#define VESTA_BENCH_BETWEEN_H

#include "bench/bench_nodes.h"
#include "bench/bench_samples.h"

typedef struct bench_zmq_echo bench_zmq_echo_t;
/** From node 1 to node 2; the other side runs on the processor of that place (scene.h), this process at `here`. */
bench_zmq_echo_t *bench_zmq_echo_new(const bench_nodes_t *nodes, uint32_t here, uint32_t there);
void bench_zmq_echo_destroy(bench_zmq_echo_t **echo);
/** A bench_subject_t's block; context: the echo. */
void bench_zmq_echo_block(void *echo, int64_t duration_ns, bench_samples_t *samples);

#define BENCH_ZMQ_ECHO_ROLE "zmq_echo"
int bench_zmq_echo_run(char **arguments);

typedef struct bench_cpg bench_cpg_t;
/** At node 1. @return NULL: the bench was built without corosync's libraries */
bench_cpg_t *bench_cpg_new(const bench_nodes_t *nodes);
/** NULL is taken. */
void bench_cpg_destroy(bench_cpg_t **cpg);
/** A bench_subject_t's block; context: the member of the group. */
void bench_cpg_block(void *cpg, int64_t duration_ns, bench_samples_t *samples);
/** Wait until so many members are there. */
void bench_cpg_wait_members(bench_cpg_t *cpg, uint32_t members);
/** Wait until they are less than that, and read the clock then: scene_now_ns(). */
int64_t bench_cpg_wait_loss(bench_cpg_t *cpg, uint32_t members);

#endif
