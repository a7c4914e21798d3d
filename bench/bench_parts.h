/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The parts of the bench. Each opens a scene of its own, prints its rows, puts them and its targets into the report.
 */
#ifndef VESTA_BENCH_PARTS_H
#define VESTA_BENCH_PARTS_H

#include <stddef.h>
#include <stdint.h>
#include <vesta.h>

#include "bench/bench_crowd.h"
#include "bench/bench_report.h"
#include "bench/bench_samples.h"
#include "bench/opener.h"
#include "bench/scene.h"

/** Overwrite, write, create beside the echo; read beside memcpy. */
void bench_call_part(bench_context_t *bench);
/** From a write to its change in a standby's hands, beside echo and PUB/SUB. */
void bench_change_part(bench_context_t *bench);
/** The same over TCP, without keys and with. */
void bench_guest_part(bench_context_t *bench);
/** How many changes a standby takes in a second, beside PUB/SUB. */
void bench_throughput_part(bench_context_t *bench);
/** From SIGKILL to ACTIVE, for few and many sections; beside iterating and reading. */
void bench_failover_part(bench_context_t *bench);
/** What a section costs in memory. */
void bench_memory_part(bench_context_t *bench);
/** Overwrite with 9,999 idle clients beside overwrite with none. */
void bench_idle_part(bench_context_t *bench);
/** What one more subscriber costs. */
void bench_subscriber_part(bench_context_t *bench);
/** Transactions beside the same changes one by one. */
void bench_txn_part(bench_context_t *bench);
/** A commit that waits until standbys have applied it. */
void bench_applied_part(bench_context_t *bench);
/** A follower behind the history. */
void bench_resync_part(bench_context_t *bench);
/** Redis doing the same. */
void bench_rival_part(bench_context_t *bench);
/** Writes on several nodes beside echoes between them. */
void bench_cluster_part(bench_context_t *bench);
/** How fast a node that comes back empty is filled again. */
void bench_cluster_resync(bench_context_t *bench);
/** From a node's death to its successor, beyond what corosync takes to notice. */
void bench_cluster_takeover(bench_context_t *bench);

/* ---- overwriting one section over and over, which several parts do ---- */

typedef struct bench_writer {
  uint64_t checkpoint; /* a SaCkptCheckpointHandleT */
  size_t bytes;
  unsigned char *payload; /* BENCH_PAYLOAD_BYTES_MAX */
} bench_writer_t;

#define BENCH_SECTION "one"

/** A bench_subject_t's block; context: the writer, whose checkpoint has the section BENCH_SECTION. */
void bench_overwrite_block(void *writer, int64_t duration_ns, bench_samples_t *samples);

/* ---- writes that nobody waits for one by one ---- */

/** Hand in an overwrite of BENCH_SECTION, taking what came of the oldest one when 64 are under way. */
void bench_writer_overwrite(vesta_writer_t *writer, const void *payload, size_t bytes);
/** Take what came of all. */
void bench_writer_settle(vesta_writer_t *writer);

/* ---- an active that is this process, and its standbys, with the section BENCH_SECTION ---- */

typedef struct bench_group {
  opener_t opener;
  vesta_pair_t *pair;
  bench_crowd_t *standbys;
} bench_group_t;

typedef struct bench_group_commit {
  bench_group_t *group;
  uint32_t applied_by;
} bench_group_commit_t;

bench_group_t bench_group_begin(const scene_t *scene);
void bench_group_end(bench_group_t *group);
/** A bench_subject_t's block: commits of one overwrite of 100 B. Context: a bench_group_commit_t. */
void bench_group_commit_block(void *commit, int64_t duration_ns, bench_samples_t *samples);

/* ---- roles ---- */

#define BENCH_STANDBY_ROLE "standby"
int bench_standby_run(char **arguments);
#define BENCH_RIVAL_SUBSCRIBER_ROLE "rival_subscriber"
int bench_rival_subscriber_run(char **arguments);
#define BENCH_FOLLOWER_ROLE "follower"
#define BENCH_IDLE_ROLE "idle"
int bench_follower_run(char **arguments);
#define BENCH_GUEST_ROLE "guest"
#define BENCH_GUEST_SERVICE_ROLE "guest_service"
int bench_guest_run(char **arguments);
int bench_guest_service_run(char **arguments);
/** Take changes for ever, and tell the meter of each. */
_Noreturn void bench_follow(bench_meter_t *meter, vesta_mirror_t *mirror);
int bench_idle_run(char **arguments);

#endif
