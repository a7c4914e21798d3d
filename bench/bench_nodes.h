/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Several nodes on this machine for the bench to measure: those of test/cluster/nodes.sh, in network namespaces, each
 * with a corosync and a vestad of its own.
 *
 * The script runs in a shell that is told what to do line by line, and that removes everything when the bench ends,
 * whatever way. The bench itself stays where it is: it speaks to a node's vestad through its socket in the file system,
 * and steps into a node's namespace for a moment when a socket or a process is to be made there.
 */
#ifndef VESTA_BENCH_NODES_H
#define VESTA_BENCH_NODES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define BENCH_NODES_MAX 3U
#define BENCH_NODES_PATH_BYTES 128U

typedef struct bench_nodes bench_nodes_t;

/** @return NULL: they can be made; or why not */
const char *bench_nodes_why_not(void);

/** Make them and wait until all take part. `options`: of every vestad. They run where the bench runs now (scene.h). */
bench_nodes_t *bench_nodes_new(uint32_t count, bool keys, const char *options);
void bench_nodes_destroy(bench_nodes_t **nodes);

/** A line for the shell, that has all functions of nodes.sh; fails unless it goes well. */
void bench_nodes_run(bench_nodes_t *nodes, const char *format, ...) __attribute__((format(printf, 2, 3)));
/** All of a node's processes run on the processor of that place: see scene_place_at(). */
void bench_nodes_place(bench_nodes_t *nodes, uint32_t node, uint32_t place);
/** Wait until all nodes take part. */
void bench_nodes_wait_formed(bench_nodes_t *nodes);
/** Wait until a checkpoint has so many replicas in sync. */
void bench_nodes_wait_in_sync(bench_nodes_t *nodes, const char *checkpoint, uint32_t replicas);

/** From now on this process, and those that it spawns, find the vestad of this node. */
void bench_nodes_use(const bench_nodes_t *nodes, uint32_t node);
/** What this process makes until bench_nodes_leave() is in this node's network, and so are processes and threads. */
void bench_nodes_enter(const bench_nodes_t *nodes, uint32_t node);
void bench_nodes_leave(void);

/** Of its vestad. */
pid_t bench_nodes_vestad(const bench_nodes_t *nodes, uint32_t node);
/** "10.77.0.1" */
void bench_nodes_address(uint32_t node, char address[16]);
/** Where what they write is kept. */
const char *bench_nodes_dir(const bench_nodes_t *nodes);
/** The two ends of a TCP connection between two nodes, without Nagle's delay. Not inherited by processes. */
void bench_nodes_connect(const bench_nodes_t *nodes, uint32_t from, uint32_t to, int ends[2]);
/** What has come into the node over its network so far. */
uint64_t bench_nodes_received_bytes(const bench_nodes_t *nodes, uint32_t node);

#endif
