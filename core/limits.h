/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Every bound of Vesta, named with its unit.
 *
 * Nothing in Vesta is unbounded: each limit here has an error that says it was met, a counter that says how often, and
 * a test at the limit and one past it. Relations between limits are asserted at the end, so that raising one without
 * the others does not compile.
 */
#ifndef VESTA_CORE_LIMITS_H
#define VESTA_CORE_LIMITS_H

#include <assert.h>

/* ---- what an application may ask for ---- */
#define VESTA_NAME_BYTES_MAX 2048U               /* a checkpoint's name; above 256 in SaNameT's extended form */
#define VESTA_SECTION_ID_BYTES_MAX 1024U         /* one section id */
#define VESTA_SECTION_BYTES_MAX (64ULL << 20)    /* one section's data */
#define VESTA_SECTIONS_MAX 1000000U              /* sections of one checkpoint */
#define VESTA_CHECKPOINTS_MAX 10000U             /* checkpoints of one service */
#define VESTA_VECTOR_ELEMENTS_MAX 1000U          /* elements of one IO vector or transaction */
#define VESTA_OPERATION_BYTES_MAX (256ULL << 20) /* data of one operation, all its elements together */
#define VESTA_GROUP_MEMBERS_MAX 64U              /* members of one active/standby group */
#define VESTA_MEMBER_NAME_BYTES_MAX 64U          /* the name a member joins its group under */
#define VESTA_WRITER_BYTES_MAX (64ULL << 20)     /* data that one writer has under way, past one operation */

/* ---- a replica's region ---- */
#define VESTA_LOG_BYTES_MIN (1ULL << 20)     /* soft size of a replica's log ring, smallest */
#define VESTA_LOG_BYTES_HISTORY (8ULL << 20) /* soft size wished for when sections are large or many */
#define VESTA_TOMBSTONES_MAX 4096U           /* deleted ids remembered per replica */
#define VESTA_EPOCHS_MAX 112U                /* rows of a replica's epoch table */
#define VESTA_SESSION_WINDOW 64U             /* changes of one session whose results are remembered; also in flight */
#define VESTA_REPLICA_SESSIONS_MAX 10240U    /* sessions that may write one replica */
#define VESTA_REGION_BYTES_MAX (80ULL << 40) /* address space of one replica */

/* ---- the daemon ---- */
#define VESTA_CLIENTS_MAX 10240U              /* agent links of one daemon */
#define VESTA_HANDLES_PER_SESSION_MAX 16384U  /* checkpoint handles of one library handle */
#define VESTA_HANDLES_MAX 65536U              /* checkpoint handles of one service */
#define VESTA_FRAME_HEAD_BYTES_MAX (2U << 20) /* msgpack part of one message on any link */
#define VESTA_FRAME_BYTES_MAX (VESTA_OPERATION_BYTES_MAX + VESTA_FRAME_HEAD_BYTES_MAX)
#define VESTA_LINK_QUEUE_BYTES_MAX (64ULL << 20) /* replies waiting for one client that does not read, past one reply */
#define VESTA_LINKS_BYTES_MAX (2ULL << 30)       /* unfinished requests and unread replies of all links together */
#define VESTA_ITERATE_SECTIONS_MAX 512U          /* descriptors in one answer of an iteration */
#define VESTA_APPLIED_WAITS_MAX 4096U            /* changes that wait for members to apply them, of one daemon */
#define VESTA_ELEMENT_ID_BYTES_MAX \
  VESTA_NAME_BYTES_MAX /* an element's id: a section's, or in a list a checkpoint's name */

/* ---- the agent ---- */
#define VESTA_PROCESS_HANDLES_MAX (1U << 20) /* handles of every kind in one process */
#define VESTA_MAPPED_CHECKPOINTS_MAX 256U    /* replicas one process reads without a call; others by request */
#define VESTA_ASYNC_CALLS_MAX 1024U          /* callbacks that one library handle may wait for */
#define VESTA_CALL_LIMIT_MS 10000U           /* a call without a timeout of its own waits this long */
#define VESTA_FINALIZE_LIMIT_MS 1000U        /* saCkptFinalize waits this long for a daemon that is away */
#define VESTA_RECONNECT_MS_MAX 100U          /* longest pause between two attempts to reach the daemon */
#define VESTA_SPAWN_LIMIT_MS 5000U           /* a private daemon must be ready within this time */

/* ---- the change stream ---- */
#define VESTA_STREAM_QUEUE_BYTES_MAX (256ULL << 20) /* published bytes that ZeroMQ may hold for slow subscribers */
#define VESTA_STREAM_QUEUE_MESSAGES_MAX 65536       /* high-water mark of one subscriber */
#define VESTA_STREAM_CHUNK_BYTES (256U << 10)       /* about so much data in one chunk of a snapshot or repair */
#define VESTA_STREAM_CHUNK_BYTES_MAX (4U << 20)     /* the same, at most, where a subscriber asks for larger ones */
#define VESTA_STREAM_CHUNK_SLOTS_MAX 16384U         /* section slots looked at for one chunk */
#define VESTA_STREAM_BATCH_BYTES (256U << 10)       /* operations of one turn that go out in one message */
#define VESTA_SUBSCRIBER_BUFFER_BYTES (64ULL << 20) /* changes a subscriber holds back during a snapshot, default */
#define VESTA_BEACON_PERIOD_MS 1000U                /* an idle topic says its last position this often */
#define VESTA_SILENCE_PERIODS 3U                    /* so many periods without a word: the subscription is dead */
#define VESTA_PROMOTE_TIMEOUT_MS 5000U /* a standby that has not reached the barrier by then is passed over */

static_assert(VESTA_SECTION_BYTES_MAX <= VESTA_OPERATION_BYTES_MAX, "one section fits into one operation");
static_assert(VESTA_VECTOR_ELEMENTS_MAX * (VESTA_SECTION_ID_BYTES_MAX + 96U) <= VESTA_FRAME_HEAD_BYTES_MAX,
              "the longest vector of the longest ids fits into one message");
static_assert(VESTA_ITERATE_SECTIONS_MAX * (VESTA_SECTION_ID_BYTES_MAX + 96U) <= VESTA_FRAME_HEAD_BYTES_MAX,
              "one answer of an iteration fits into one message");
static_assert(VESTA_ELEMENT_ID_BYTES_MAX >= VESTA_SECTION_ID_BYTES_MAX &&
                  VESTA_ITERATE_SECTIONS_MAX * (VESTA_ELEMENT_ID_BYTES_MAX + 96U) <= VESTA_FRAME_HEAD_BYTES_MAX,
              "one page of a list of the longest names fits into one message");
static_assert(VESTA_FRAME_BYTES_MAX + VESTA_LINK_QUEUE_BYTES_MAX < VESTA_LINKS_BYTES_MAX,
              "one link at its limits leaves room for others");
static_assert(VESTA_SECTIONS_MAX * (VESTA_SECTION_BYTES_MAX + 8192ULL) < VESTA_REGION_BYTES_MAX,
              "the largest legal geometry has a region");

#endif
