/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The floors of this machine: what the same traffic costs with nothing of Vesta in it.
 *
 *   echo      a request and its answer over an AF_UNIX stream socket between two processes, in frames like the agent's:
 *             8 bytes of sizes, a head of as many bytes as Vesta's, the payload; the answer has no payload, as that of a
 *             write. Both sides block in recv(2); there is one system call to send and one to receive, while it fits
 *   publish   one ZeroMQ message from PUB to SUB in another process, over ipc, as libzmq has it
 *   memcpy    bytes from here to there in one process
 */
#ifndef VESTA_BENCH_FLOOR_H
#define VESTA_BENCH_FLOOR_H

#include "bench/bench_meter.h"
#include "bench/bench_samples.h"

#define BENCH_PAYLOAD_BYTES_MAX (1U << 20)

typedef struct bench_echo bench_echo_t;
bench_echo_t *bench_echo_new(void);
void bench_echo_destroy(bench_echo_t **echo);
void bench_echo_size(bench_echo_t *echo, size_t payload_bytes);
/** A bench_subject_t's block; context: the echo. */
void bench_echo_block(void *echo, int64_t duration_ns, bench_samples_t *samples);
/** The same, with the payload in the answer as well: what moves it twice. */
void bench_echo_both_block(void *echo, int64_t duration_ns, bench_samples_t *samples);

typedef struct bench_publish bench_publish_t;
bench_publish_t *bench_publish_new(const char *directory);
void bench_publish_destroy(bench_publish_t **publish);
void bench_publish_size(bench_publish_t *publish, size_t payload_bytes);
/** From the call to the message in the subscriber's hands, one at a time. */
void bench_publish_latency_block(void *publish, int64_t duration_ns, bench_samples_t *samples);
/** As many as possible; one sample: nanoseconds for each message, until the last has arrived. */
void bench_publish_flood_block(void *publish, int64_t duration_ns, bench_samples_t *samples);

/** context: a size_t */
void bench_memcpy_block(void *size, int64_t duration_ns, bench_samples_t *samples);

#define BENCH_ECHO_ROLE "echo"
#define BENCH_SUBSCRIBER_ROLE "subscriber"
int bench_echo_run(char **arguments);
int bench_subscriber_run(char **arguments);

#endif
