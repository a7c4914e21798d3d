/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The parts of the bench. Each opens a scene of its own, prints its rows, puts them and its targets into the report.
 */
#ifndef VESTA_BENCH_PARTS_H
#define VESTA_BENCH_PARTS_H

#include <stddef.h>
#include <stdint.h>

#include "bench/bench_report.h"
#include "bench/bench_samples.h"

/** Overwrite, write, create beside the echo; read beside memcpy. */
void bench_call_part(bench_context_t *bench);
/** From a write to its change in a standby's hands, beside echo and PUB/SUB. */
void bench_change_part(bench_context_t *bench);
/** How many changes a standby takes in a second, beside PUB/SUB. */
void bench_throughput_part(bench_context_t *bench);
/** From SIGKILL to ACTIVE, for few and many sections; beside iterating and reading. */
void bench_failover_part(bench_context_t *bench);
/** What a section costs in memory. */
void bench_memory_part(bench_context_t *bench);
/** Overwrite with 9,999 idle clients beside overwrite with none. */
void bench_idle_part(bench_context_t *bench);

/* ---- overwriting one section over and over, which several parts do ---- */

typedef struct bench_writer {
  uint64_t checkpoint; /* a SaCkptCheckpointHandleT */
  size_t bytes;
  unsigned char *payload; /* BENCH_PAYLOAD_BYTES_MAX */
} bench_writer_t;

#define BENCH_SECTION "one"

/** A bench_subject_t's block; context: the writer, whose checkpoint has the section BENCH_SECTION. */
void bench_overwrite_block(void *writer, int64_t duration_ns, bench_samples_t *samples);

/* ---- roles ---- */

#define BENCH_FOLLOWER_ROLE "follower"
#define BENCH_IDLE_ROLE "idle"
int bench_follower_run(char **arguments);
int bench_idle_run(char **arguments);

#endif
