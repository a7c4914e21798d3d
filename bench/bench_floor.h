/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The floors of this machine: what the same traffic costs with nothing of Vesta in it.
 *
 *   echo      a request and its answer over an AF_UNIX stream socket between two processes, in frames like the agent's:
 *             8 bytes of sizes, a head of as many bytes as Vesta's, the payload; the answer has no payload, as that of a
 *             write. Both sides block in recv(2); there is one system call to send and one to receive, while it fits
 *   memcpy    bytes from here to there in one process
 *
 * That of the change stream has a file of its own, bench_publish.h.
 */
#ifndef VESTA_BENCH_FLOOR_H
#define VESTA_BENCH_FLOOR_H

#include <stddef.h>
#include <stdint.h>

#include "bench/bench_samples.h"

#define BENCH_PAYLOAD_BYTES_MAX (1U << 20)

typedef struct bench_echo bench_echo_t;
bench_echo_t *bench_echo_new(void);
/** The same over a connection that is there; its ends are taken over. */
bench_echo_t *bench_echo_new_over(const int ends[2]);
void bench_echo_destroy(bench_echo_t **echo);
void bench_echo_size(bench_echo_t *echo, size_t payload_bytes);
/** A bench_subject_t's block; context: the echo. */
void bench_echo_block(void *echo, int64_t duration_ns, bench_samples_t *samples);
/** The same, with the payload in the answer as well: what moves it twice. */
void bench_echo_both_block(void *echo, int64_t duration_ns, bench_samples_t *samples);

/** context: a size_t */
void bench_memcpy_block(void *size, int64_t duration_ns, bench_samples_t *samples);

#define BENCH_ECHO_ROLE "echo"
int bench_echo_run(char **arguments);

#endif
