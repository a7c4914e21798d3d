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
#define VESTA_NAME_BYTES_MAX 2048U                 /* a checkpoint's name; above 256 in SaNameT's extended form */
#define VESTA_SECTION_ID_BYTES_MAX 1024U           /* one section id */
#define VESTA_SECTION_BYTES_MAX (64ULL << 20)      /* one section's data */
#define VESTA_SECTIONS_MAX 1000000U                /* sections of one checkpoint */
#define VESTA_CHECKPOINTS_MAX 10000U               /* checkpoints of one service */
#define VESTA_VECTOR_ELEMENTS_MAX 1000U            /* elements of one IO vector or transaction */
#define VESTA_OPERATION_BYTES_MAX (256ULL << 20)   /* data of one operation, all its elements together */
#define VESTA_NODES_MAX 32U                        /* nodes of one cluster */
#define VESTA_PROPOSALS_MAX 1024U                  /* operations of one node that wait to be ordered and stable */
#define VESTA_PROPOSALS_BYTES_MAX (16ULL << 20)    /* memory that these take */
#define VESTA_UNSTABLE_MAX 4096U                   /* ordered operations of all nodes that are not stable yet */
#define VESTA_ORDER_HISTORY_MAX 4096U              /* stable ones that are kept for nodes which were away */
#define VESTA_ORDER_HISTORY_BYTES_MAX (8ULL << 20) /* memory that these take */
#define VESTA_DIRECTORY_BYTES_MAX (256ULL << 20)   /* a directory written out for other nodes */
#define VESTA_REPLICAS_MAX 8U                      /* replicas of one checkpoint, on as many nodes */
#define VESTA_GROUP_MEMBERS_MAX 64U                /* members of one active/standby group */
#define VESTA_MEMBER_NAME_BYTES_MAX 64U            /* the name a member joins its group under */
#define VESTA_PROGRAM_BYTES_MAX 16U                /* a process's name, as the kernel has it */
#define VESTA_WRITER_BYTES_MAX (64ULL << 20)       /* data that one writer has under way, past one operation */

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
#define VESTA_STAGE_BYTES (4U << 20)             /* memory of one link through which its large payloads come */
#define VESTA_STAGES_BYTES_MAX (512ULL << 20)    /* the same of all links together */
#define VESTA_ITERATE_SECTIONS_MAX 512U          /* descriptors in one answer of an iteration */
#define VESTA_STREAMS_MAX 16384U                 /* streams that are listed; more work as well and are counted */
#define VESTA_APPLIED_WAITS_MAX 4096U            /* changes that wait for members to apply them, of one daemon */
#define VESTA_KEPT_REQUESTS_MAX 65536U           /* requests that wait for another node, or for the cluster */
#define VESTA_KEPT_BYTES_MAX (512ULL << 20)      /* their data */
#define VESTA_DEFERRED_MAX 4096U                 /* messages of nodes that are ahead of this one, */
#define VESTA_DEFERRED_BYTES_MAX (512ULL << 20)  /* and their data */
#define VESTA_PEER_TIMEOUT_MS 5000U   /* a replica that owes an acknowledgement is taken out after this time */
#define VESTA_SESSION_GRACE_MS 30000U /* sessions of a node that left are kept so long */
#define VESTA_CLAIM_LIMIT_MS 1000U    /* who may become primary says how far it is within this time */
#define VESTA_REPLICAS_DEFAULT 2U     /* replicas of a checkpoint that is not collocated */
#define VESTA_GROUP_PART_BYTES 65536U /* one multicast; longer messages are cut */
#define VESTA_GROUP_QUEUE_BYTES_MAX (64ULL << 20) /* messages that wait for corosync to take them */
#define VESTA_PEER_QUEUE_BYTES_MAX (1ULL << 30)   /* messages that wait on the link to one other node */
#define VESTA_PEER_DOOR_LINKS_MAX 256U            /* TCP connections at the port for other nodes, strangers' included */
#define VESTA_PEER_ENTRANCE_MAX 64U               /* the same at the next port, that have not shown their token yet */
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
#define VESTA_STREAM_PREFIXES_MAX 16U               /* id prefixes that one stream chooses its sections by */
#define VESTA_STREAM_REQUEST_BYTES_MAX (24U << 10)  /* one request of a subscriber, its prefixes included */
#define VESTA_STREAM_BATCH_BYTES (256U << 10)       /* operations of one turn that go out in one message */
#define VESTA_STREAM_ANSWER_BYTES_MAX (64ULL << 20) /* answers that ZeroMQ may hold, past one for each user */
#define VESTA_STREAM_WALKS_MAX 8U                   /* snapshots under way at a time; one user may have half */
#define VESTA_STREAM_WAITING_MAX 1024U              /* subscribers whose request waits; one user may have half */
#define VESTA_STREAM_TURN_BYTES (256U << 10)        /* answers of one turn of the daemon's loop, past one */
#define VESTA_STREAM_PLACE_MS 100U                  /* a snapshot that is not asked on for loses its place then */
#define VESTA_STREAM_WAIT_MS 3000U                  /* a waiting request that is not repeated is dropped then */
#define VESTA_GUESTS_MAX 1024U                      /* streams of one daemon over TCP */
#define VESTA_GUEST_LINKS_MAX 2048U                 /* TCP connections at each of its two ports, strangers' included */
#define VESTA_GUEST_QUEUE_BYTES_MAX (128ULL << 20)  /* published bytes that ZeroMQ may hold for slow ones */
#define VESTA_GUEST_SUBSCRIPTIONS_MAX 4096U         /* what all their connections together are subscribed to */
#define VESTA_GUEST_LEASE_MS 30000U                 /* one that says nothing for so long is given up */
#define VESTA_GUEST_KEYS_MAX 1024U                  /* keys of those who may subscribe over TCP */
#define VESTA_STREAM_SERVERS_MAX 8U                 /* endpoints that a stream over TCP may choose from */
#define VESTA_STRANGERS_MAX 64U                     /* who was refused and is remembered, so as to be named once */
#define VESTA_SUBSCRIBER_BUFFER_BYTES (64ULL << 20) /* changes a subscriber holds back during a snapshot, default */
#define VESTA_HASHED_CHECKPOINTS_MAX 64U            /* checkpoints whose sections' hashes are remembered */
#define VESTA_HASHES_BYTES_MAX (256ULL << 20)       /* memory of these hashes, all checkpoints together */
#define VESTA_HASH_PIECE_BYTES (64U << 10)          /* about so much is hashed in one turn of the daemon's loop */
#define VESTA_HASH_PIECE_BYTES_MAX (4U << 20)       /* the same, at most, when writers keep ahead of it */
#define VESTA_BEACON_PERIOD_MS 1000U                /* an idle topic says its last position this often */
#define VESTA_SILENCE_PERIODS 3U                    /* so many periods without a word: the subscription is dead */
#define VESTA_PROMOTE_TIMEOUT_MS 5000U /* a standby that has not reached the barrier by then is passed over */
#define VESTA_HEARTBEAT_MS_MIN 10U     /* shortest silence after which an active member may be taken for stopped */

static_assert(VESTA_SECTION_BYTES_MAX <= VESTA_OPERATION_BYTES_MAX, "one section fits into one operation");
static_assert(VESTA_VECTOR_ELEMENTS_MAX * (VESTA_SECTION_ID_BYTES_MAX + 96U) <= VESTA_FRAME_HEAD_BYTES_MAX,
              "the longest vector of the longest ids fits into one message");
static_assert(VESTA_ITERATE_SECTIONS_MAX * (VESTA_SECTION_ID_BYTES_MAX + 96U) <= VESTA_FRAME_HEAD_BYTES_MAX,
              "one answer of an iteration fits into one message");
static_assert(VESTA_ELEMENT_ID_BYTES_MAX >= VESTA_SECTION_ID_BYTES_MAX &&
                  VESTA_ITERATE_SECTIONS_MAX * (VESTA_ELEMENT_ID_BYTES_MAX + 96U) <= VESTA_FRAME_HEAD_BYTES_MAX,
              "one page of a list of the longest names fits into one message");
static_assert(VESTA_STREAM_PREFIXES_MAX * (VESTA_SECTION_ID_BYTES_MAX + 128U) + 1024U <= VESTA_STREAM_REQUEST_BYTES_MAX,
              "the longest prefixes fit into one request");
static_assert(VESTA_FRAME_BYTES_MAX + VESTA_LINK_QUEUE_BYTES_MAX < VESTA_LINKS_BYTES_MAX,
              "one link at its limits leaves room for others");
static_assert(VESTA_SECTIONS_MAX * (VESTA_SECTION_BYTES_MAX + 8192ULL) < VESTA_REGION_BYTES_MAX,
              "the largest legal geometry has a region");

#endif
