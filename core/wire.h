/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Every message of Vesta, on every link: one shape, one codec.
 *
 * A message is a msgpack map from field number to value, optionally followed by a payload of raw bytes. Agents and
 * daemon exchange them over AF_UNIX, the change stream carries them as ZeroMQ frames, and the ordered operations of the
 * directory are kept in the journal as such messages. A field that is absent is zero (or empty); a field that is
 * unknown is skipped, so a newer minor version may add some; a kind that is unknown and another major version are
 * refused with VERSION.
 *
 *   agent link      frame = size of head, u32 LE | size of payload, u32 LE | head (msgpack) | payload
 *   change stream   topic frame | head frame | payload frame            (SUB and XPUB)
 *                   head frame | payload frame                          (DEALER and ROUTER)
 *   journal         as the agent link
 *
 * Sections' data never passes through msgpack: it stands in the payload, elements one after the other, each `size`
 * bytes.
 *
 * Decoding is total: any bytes give a message or an error, in time and memory bounded by their size. The tables below
 * are the definition; doc/PROTOCOL.md is written from them.
 */
#ifndef VESTA_CORE_WIRE_H
#define VESTA_CORE_WIRE_H

#include "core/error.h"
#include "core/limits.h"
#include "core/types.h"

#define WIRE_MAJOR 1U
#define WIRE_MINOR_MIN 0U /* the oldest minor version that this program can be in a group with */
#ifdef VESTA_WIRE_NEXT    /* a program of the next minor version, which says more: for the test of live upgrades */
#define WIRE_MINOR 1U
#define WIRE_FIELDS_NEXT(X) X(next, NEXT, 62, U, UINT64_MAX)
#define WIRE_ELEMENT_ITEMS_NEXT(X) X(next, U, UINT64_MAX)
#else
#define WIRE_MINOR 0U
#define WIRE_FIELDS_NEXT(X)
#define WIRE_ELEMENT_ITEMS_NEXT(X)
#endif
#define WIRE_VERSION ((WIRE_MAJOR << 16) | WIRE_MINOR)

/* ---- kinds ---- name, number, fields that must be there (a mask of WIRE_F_...), what it is */
#define WIRE_KINDS(X)                                                                                                  \
  /* agent to daemon: requests. Each has `number`; the answer is a REPLY with the same one. */                         \
  X(HELLO, 1, 0, "first message on a calls link: token to resume a session (else a new one), pid; with a pidfd")       \
  X(HELLO_CALLBACKS, 2, WIRE_F(TOKEN_HI), "first message on a callback link: token of its session")                    \
  X(FINALIZE, 3, 0, "end the session")                                                                                 \
  X(OPEN, 4, WIRE_F(NAME), "open a checkpoint: name, flags, attributes when flags has CREATE")                         \
  X(CLOSE, 5, WIRE_F(HANDLE), "close a handle")                                                                        \
  X(UNLINK, 6, WIRE_F(NAME), "unlink a name")                                                                          \
  X(RETENTION_SET, 7, WIRE_F(HANDLE), "retention_ns")                                                                  \
  X(ACTIVE_SET, 8, WIRE_F(HANDLE), "make this node's replica the active one")                                          \
  X(STATUS, 9, WIRE_F(HANDLE), "reply: attributes, count of sections, size in bytes, position")                        \
  X(MAP, 10, WIRE_F(HANDLE), "reply carries a read-only descriptor of the replica's file; checkpoint, attributes")     \
  X(CHANGE, 11, WIRE_F(HANDLE) | WIRE_F(ELEMENTS),                                                                     \
    "one operation on sections, all or nothing; data in the payload, or in `size` bytes at `offset` of STAGE's "       \
    "memory; from_...: if they were not changed since; count: reply when so many members have applied it, "            \
    "timeout_ns at most; reply: its lineage/epoch/seq, id")                                                            \
  X(READ, 12, WIRE_F(HANDLE), "id, offset, size: at most so much; reply: payload, size")                               \
  X(ITERATE, 13, WIRE_F(HANDLE),                                                                                       \
    "flags: which, expiry_ns, cursor (slot), epoch and seq as of; reply: elements (index 1: it is corrupted), "        \
    "cursor, epoch and seq as of: to be said when it goes on")                                                         \
  X(SYNCHRONIZE, 14, WIRE_F(HANDLE), "what was done is in every replica when the reply comes")                         \
  X(STREAM, 15, WIRE_F(HANDLE),                                                                                        \
    "reply: token for the stream's ROUTER, checkpoint, text: endpoints, member: the stream's number, to be said when " \
    "it is asked for again")                                                                                           \
  X(JOIN, 16, WIRE_F(HANDLE),                                                                                          \
    "join the group of a checkpoint: text: member name, priority, flags, timeout_ns: to reach the barrier, "           \
    "expiry_ns: without a sign of life (0: none needed)")                                                              \
  X(LEAVE, 17, WIRE_F(HANDLE), "leave it")                                                                             \
  X(RESIGN, 18, WIRE_F(HANDLE), "the active hands over")                                                               \
  X(CONFIRM, 19, WIRE_F(HANDLE) | WIRE_F(EPOCH),                                                                       \
    "a promoted member has applied all up to its barrier (epoch, seq); flags: WIRE_CONFIRM_...")                       \
  X(PROGRESS, 20, WIRE_F(HANDLE), "a member's applied position, or a stream's; state: WIRE_PROGRESS_.... No reply.")   \
  X(LIST, 21, 0, "cursor; reply: the checkpoints from there on, one element each (id: name)")                          \
  X(INFO, 22, 0, "reply: text: the daemon's counters as key=value lines")                                              \
  X(TRACK, 23, WIRE_F(FLAGS), "tell changes of this handle's checkpoint (0: of all handles); state: 1 on, 0 off")      \
  X(PROMOTE, 24, WIRE_F(HANDLE),                                                                                       \
    "make this member the active one, whoever is; time_ns: not after that, CLOCK_BOOTTIME (0: always); between "       \
    "nodes: how much of that is left; epoch: grant it anew if that grant is still its own, else nothing; reply: as "   \
    "JOIN's")                                                                                                          \
  X(RECOVER, 25, WIRE_F(NAME) | WIRE_F(NODE),                                                                          \
    "a checkpoint that waits for nodes which are away goes on with what this node's replica has; flags: "              \
    "WIRE_RECOVER_...; for the service's user and root")                                                               \
  X(CLUSTER, 26, 0,                                                                                                    \
    "state: WIRE_CLUSTER_...; how the cluster stands, or its checkpoints from `cursor` on; NOT_SUPPORTED when alone; " \
    "see section 3")                                                                                                   \
  X(DISCARD, 27, WIRE_F(NAME),                                                                                         \
    "what this node kept of a checkpoint as DIVERGED goes; for the service's user and root; BAD_OPERATION: nothing "   \
    "is kept here")                                                                                                    \
  X(USERS, 28, WIRE_F(CHECKPOINT), "state: which list, WIRE_USERS_...: its row after `cursor`, see section 3")         \
  X(LOAD, 29, 0, "cursor; reply: what is done with checkpoints from there on, one element each, see section 3")        \
  X(STAGE, 30, 0, "memory for large payloads, shared with the daemon: reply carries a descriptor of it; size")         \
  /* daemon to agent */                                                                                                \
  X(REPLY, 32, 0, "answer to `number`: error, element, and what the request's line says")                              \
  X(CALLBACK, 33, 0, "on a callback link: as a REPLY, for a request that asked for its answer there")                  \
  X(TRACKED, 34, WIRE_F(HANDLE) | WIRE_F(FLAGS) | WIRE_F(ELEMENTS),                                                    \
    "on a callback link: a change by another handle; elements: kind, id, offset, size; no payload")                    \
  /* ordered operations: the directory's input, kept in the journal */                                                 \
  X(OP_SESSION_BEGIN, 48, WIRE_F(TOKEN_HI), "token, uid, pid, process start, text: program")                           \
  X(OP_SESSION_END, 49, WIRE_F(TOKEN_HI), "token: all its handles are closed, its memberships ended")                  \
  X(OP_OPEN, 50, WIRE_F(TOKEN_HI) | WIRE_F(NAME), "as OPEN; checkpoint: the id to use when it is made, lineage")       \
  X(OP_CLOSE, 51, WIRE_F(TOKEN_HI) | WIRE_F(HANDLE), "handle")                                                         \
  X(OP_UNLINK, 52, WIRE_F(NAME), "name; checkpoint: if it is this one")                                                \
  X(OP_RETENTION, 53, WIRE_F(CHECKPOINT), "checkpoint, retention_ns")                                                  \
  X(OP_ACTIVE, 54, WIRE_F(CHECKPOINT),                                                                                 \
    "checkpoint, node; epoch: where that is another one than the primary's, if it still is this")                      \
  X(OP_REMOVE, 55, WIRE_F(CHECKPOINT), "checkpoint; its retention has run out, or state: WIRE_REMOVE_LOST")            \
  X(OP_JOIN, 56, WIRE_F(TOKEN_HI) | WIRE_F(HANDLE),                                                                    \
    "handle, member, text: name, priority, flags, timeout_ns, expiry_ns")                                              \
  X(OP_LEAVE, 57, WIRE_F(CHECKPOINT) | WIRE_F(MEMBER), "checkpoint, member")                                           \
  X(OP_PROMOTE, 58, WIRE_F(CHECKPOINT) | WIRE_F(EPOCH), "checkpoint, member (0: nobody), epoch: the grant")            \
  X(OP_ACTIVATE, 59, WIRE_F(CHECKPOINT) | WIRE_F(EPOCH), "checkpoint, member, epoch: it met the barrier")              \
  X(OP_SNAPSHOT, 60, 0, "one row of a written-down directory; state says of which table")                              \
  X(OP_REPLICA, 64, WIRE_F(CHECKPOINT) | WIRE_F(CONFIG) | WIRE_F(NODE),                                                \
    "checkpoint, node, state: WIRE_REPLICA_...; if its configuration and epoch still are these")                       \
  X(OP_PRIMARY_LOST, 65, WIRE_F(NODE) | WIRE_F(ELEMENTS),                                                              \
    "node is the primary of none of these any more: checkpoint, epoch")                                                \
  X(OP_CLAIM, 66, WIRE_F(NODE) | WIRE_F(ELEMENTS),                                                                     \
    "how far the node's replicas of these have come: checkpoint, epoch, seq; offset: the checkpoint's epoch")          \
  X(OP_PRIMARY, 67, WIRE_F(CHECKPOINT) | WIRE_F(NODE) | WIRE_F(EPOCH),                                                 \
    "checkpoint, node, epoch: it orders its log; from_epoch: the one before, 0: epoch - 1")                            \
  X(OP_NODE_GONE, 68, WIRE_F(NODE), "node; its sessions are orphans, their roles vacant")                              \
  X(OP_NODE_END, 69, WIRE_F(NODE), "node did not come back in time: the sessions that are orphans still end")          \
  X(OP_NODE_BACK, 70, WIRE_F(NODE), "node is back: its sessions are orphans no more")                                  \
  X(OP_RECOVER, 71, WIRE_F(CHECKPOINT) | WIRE_F(NODE), "the operator accepts what this node's replica has")            \
  X(OP_VIEW, 72, WIRE_F(RING_SEQ),                                                                                     \
    "journal only: lineage: the cluster, epoch: its term, seq: index, offset: digest, "                                \
    "from_epoch: the term promised, elements: last proposals (seq) of nodes (member) and their lives (epoch)")         \
  /* change stream */                                                                                                  \
  X(CHANGES, 80, WIRE_F(CHECKPOINT), "elements in order, each with epoch, seq; payload: their data; state: ..._KEYS")  \
  X(BEACON, 81, WIRE_F(CHECKPOINT),                                                                                    \
    "lineage, epoch, seq: the last operation published; state: WIRE_BEACON_...; hash, count: of the content there")    \
  X(SNAPSHOT_GET, 82, WIRE_F(CHECKPOINT) | WIRE_F(TOKEN_HI),                                                           \
    "sections from slot `cursor` on, about `count` bytes; from_...: only what changed after it (absent: everything); " \
    "flags: WIRE_GET_...; elements: id: only sections whose id begins with one of these")                              \
  X(SNAPSHOT_CHUNK, 83, WIRE_F(CHECKPOINT),                                                                            \
    "elements: sections as of lineage/epoch/seq, slots cursor to cursor_end (exclusive); state: WIRE_CHUNK_...")       \
  X(HISTORY_GET, 84, WIRE_F(CHECKPOINT) | WIRE_F(TOKEN_HI),                                                            \
    "operations from seq `cursor` on, below cursor_end; flags: WIRE_GET_...")                                          \
  X(HISTORY_CHUNK, 85, WIRE_F(CHECKPOINT), "elements as in CHANGES; error LOST or DIVERGED; lineage/epoch/seq: now")   \
  X(HASH_GET, 86, WIRE_F(CHECKPOINT) | WIRE_F(TOKEN_HI), "the content's hash is wanted: a BEACON will have it")        \
  X(HASH_REPLY, 87, WIRE_F(CHECKPOINT), "answer to HASH_GET: error, or it is being made")                              \
  X(FOLLOW_GET, 88, WIRE_F(NAME),                                                                                      \
    "over TCP: a stream of that checkpoint is wanted; member: its number, if it had one before")                       \
  X(FOLLOW_REPLY, 89, 0, "answer to FOLLOW_GET: error; or token, checkpoint, member as of STREAM's REPLY, and handle") \
  /* between nodes, through the group: everybody gets them in the same order */                                        \
  X(GROUP_STATE, 112, WIRE_F(NODE) | WIRE_F(RING_SEQ),                                                                 \
    "a member of a new view: lineage: its cluster, epoch: its term, seq: index, offset: digest, acked: stable, "       \
    "from_epoch: the term promised, flags: WIRE_STATE_..., size: hash of the members it sees, count: nodes expected; " \
    "elements: how long (expiry_ns) it takes leases of nodes (member; 0: any other) to run yet")                       \
  X(GROUP_SYNCED, 113, WIRE_F(NODE) | WIRE_F(RING_SEQ) | WIRE_F(EPOCH), "it has what was agreed on; epoch: the term")  \
  X(GROUP_CLOSE, 114, WIRE_F(NODE) | WIRE_F(RING_SEQ), "waiting is over; state: WIRE_CLOSE_...")                       \
  X(GROUP_ACK, 115, WIRE_F(NODE) | WIRE_F(RING_SEQ), "acked: delivered and kept up to this index")                     \
  X(GROUP_BEAT, 116, WIRE_F(NODE) | WIRE_F(RING_SEQ),                                                                  \
    "as GROUP_ACK; number: of the beat; elements: last beats (seq) seen of nodes (member)")                            \
  /* between two nodes */                                                                                              \
  X(PEER_HELLO, 128, WIRE_F(NODE),                                                                                     \
    "introduces two nodes: node, incarnation, number: of the link, version_min, version_max; section 5")               \
  X(PEER_DIRECTORY_GET, 129, WIRE_F(NODE) | WIRE_F(RING_SEQ),                                                          \
    "the state as of lineage/epoch/seq, from cursor on; from_seq, offset: index and digest of what the asker has")     \
  X(PEER_DIRECTORY, 130, WIRE_F(NODE) | WIRE_F(RING_SEQ),                                                              \
    "payload: rows, framed, a part of the state as of lineage/epoch/seq; cursor to cursor_end; state: "                \
    "WIRE_DIRECTORY_..., added up")                                                                                    \
  X(PEER_POSITION, 131, WIRE_F(CHECKPOINT) | WIRE_F(NODE), "a replica to its primary: committed; elements: prepared")  \
  X(PEER_LOG, 132, WIRE_F(CHECKPOINT) | WIRE_F(EPOCH), "records after from_...; commit; elements and payload")         \
  X(PEER_CUT, 133, WIRE_F(CHECKPOINT) | WIRE_F(EPOCH), "drop what is prepared from seq on; generation")                \
  X(PEER_ACK, 134, WIRE_F(CHECKPOINT) | WIRE_F(EPOCH), "prepared up to seq")                                           \
  X(PEER_NACK, 135, WIRE_F(CHECKPOINT) | WIRE_F(EPOCH), "seq can't be prepared: error, element")                       \
  X(PEER_FETCH, 136, WIRE_F(CHECKPOINT) | WIRE_F(EPOCH),                                                               \
    "state after from_... (absent: all), from cursor on; or elements: the ids of sections whose content is wanted")    \
  X(PEER_CHUNK, 137, WIRE_F(CHECKPOINT) | WIRE_F(EPOCH),                                                               \
    "a part of it, cursor to cursor_end; state: WIRE_TRANSFER_...; count 1: the last one of its answer; offset: how "  \
    "far that goes, so the next one may be asked for now, and with END the last generated id")                         \
  X(PEER_JOIN, 138, WIRE_F(CHECKPOINT) | WIRE_F(NODE), "give this node a replica; state: WIRE_REPLICA_...")

enum wire_kind {
#define WIRE_KIND_ENUM(name, number, required, text) WIRE_##name = (number),
  WIRE_KINDS(WIRE_KIND_ENUM)
#undef WIRE_KIND_ENUM
};

/* state of OP_REPLICA and PEER_JOIN: what a replica is */
enum {
  WIRE_REPLICA_NONE = 0,     /* not there */
  WIRE_REPLICA_FOLLOWER = 1, /* gets everything, is waited for by nobody, never becomes primary */
  WIRE_REPLICA_IN_SYNC = 2,  /* has everything that was acknowledged */
};
/* state of PEER_POSITION */
enum {
  WIRE_POSITION_NONE = 1,    /* there is no replica yet */
  WIRE_POSITION_LEAVING = 2, /* the one there is to be dropped: is it part of the primary's history? */
};
/* flags of GROUP_STATE */
enum {
  WIRE_STATE_KNOWN = 1,     /* it has a state: lineage, epoch, seq, offset are told; else lineage is a proposal */
  WIRE_STATE_DIRECTORY = 2, /* it has none, but was alone until now, and its directory is not empty */
  WIRE_STATE_LIVE = 4,      /* it has activated a view in this life */
  WIRE_STATE_WHOLE = 8,     /* all participants of the view that it activated last are members of this one */
  WIRE_STATE_ALONE = 16,    /* all other nodes are known to be dead */
  WIRE_STATE_TRUST = 32,    /* its policy is to go on with half of the nodes */
};
/* state of GROUP_CLOSE */
enum {
  WIRE_CLOSE_HEARD = 1,  /* who was not heard until now is out */
  WIRE_CLOSE_SYNCED = 2, /* who is not synchronised until now is out */
};
/* state of PEER_DIRECTORY, added up */
enum {
  WIRE_DIRECTORY_LAST = 1, /* the state is complete with this */
  WIRE_DIRECTORY_TAIL = 2, /* only operations after what the asker has: cursor is an index; else bytes of the whole */
};
/* state of PEER_CHUNK: what its elements are, added to WIRE_TRANSFER_END in the last one */
enum {
  WIRE_TRANSFER_SECTIONS = 1, /* sections as they are now; slot, seq, epoch, offset within a large one */
  WIRE_TRANSFER_DELETES = 2,  /* ids that are gone */
  WIRE_TRANSFER_RESULTS = 3,  /* what requests of sessions were answered with */
  WIRE_TRANSFER_EPOCHS = 4,   /* the epoch table */
  WIRE_TRANSFER_RESTORED = 5, /* whole sections that the copy asked for by id, as they are now; nothing is added */
  WIRE_TRANSFER_END = 16,     /* complete: the state is that of lineage/epoch/seq */
  WIRE_TRANSFER_FULL = 32,    /* ids that were not named are gone */
};
/* state of a SNAPSHOT_CHUNK, added up; of a HISTORY_CHUNK the last one only */
enum {
  WIRE_CHUNK_LAST = 1, /* no slots beyond cursor_end: the walk is done */
  WIRE_CHUNK_FULL = 2, /* everything is sent although a delta was asked for: ids not named are gone */
  WIRE_CHUNK_KEYS = 4, /* the elements' sizes are told, their data is not in the payload, which is empty */
};
/* flags of SNAPSHOT_GET and HISTORY_GET */
enum {
  WIRE_GET_KEYS = 1, /* no data: the answer says CHUNK_KEYS if the service can do that */
};
/* state of CHANGES, added up */
enum {
  WIRE_CHANGES_KEYS = 1,    /* the elements' sizes are told, their data is not in the payload, which is empty */
  WIRE_CHANGES_AWAITED = 2, /* somebody waits for these to be applied: members say PROGRESS when they have */
};
/* state of a BEACON, added up */
enum {
  WIRE_BEACON_GONE = 1,      /* the checkpoint is no more: a node that can't know says nothing */
  WIRE_BEACON_NO_QUORUM = 2, /* this node is cut off from the others, they may go on without it */
};
/* state of an OP_REMOVE */
enum {
  WIRE_REMOVE_LOST = 1, /* the memory it was in is gone: its handles are closed */
};
/* flags of a CHANGE */
enum {
  WIRE_CHANGE_ANY_NODE = 1, /* members on this node count as well as those on others */
};
/* state of PROGRESS */
enum {
  WIRE_PROGRESS_NOT_SYNCED = 0, /* what the member has is not a state of the checkpoint */
  WIRE_PROGRESS_SYNCED = 1,     /* it is, as of its position, and changes come as they are made */
  WIRE_PROGRESS_ALIVE = 2,      /* says nothing of a position: the link is tried, no more */
  WIRE_PROGRESS_STREAM = 3, /* of the stream `member`: its application has everything up to here (epoch 0: none yet) */
  WIRE_PROGRESS_STREAM_END = 4, /* the stream `member` is closed */
};
/* state of USERS */
enum {
  WIRE_USERS_HANDLES = 0,  /* the handles it is open through */
  WIRE_USERS_MEMBERS = 1,  /* of its group */
  WIRE_USERS_STREAMS = 2,  /* asked for through these handles */
  WIRE_USERS_REPLICAS = 3, /* one for each node that has one */
};
/* state of the REPLY to USERS, added up */
enum {
  WIRE_USER_NONE = 1,      /* no more rows; nothing else is said */
  WIRE_USER_CONNECTED = 2, /* its process has a link to the daemon now */
  WIRE_USER_SYNCED = 4,    /* the member said to be */
  WIRE_USER_TOLD = 8, /* it has said how far it is, in this history: position, size and time_ns say what and when */
  WIRE_USER_PROMOTING = 16,  /* the member was granted the role and has to reach the barrier */
  WIRE_USER_ACTIVE = 32,     /* the member, or the replica, is the active one */
  WIRE_USER_PRIMARY = 64,    /* of replicas: it orders the log */
  WIRE_USER_IN_SYNC = 128,   /* it has all that was acknowledged */
  WIRE_USER_LISTED = 256,    /* it counts as one; else it is here and goes when it has been judged */
  WIRE_USER_AWAY = 512,      /* its node does not take part now */
  WIRE_USER_DIVERGED = 1024, /* one that went another way is kept beside it */
};
/* flags of RECOVER */
enum {
  WIRE_RECOVER_ACCEPT_LOSS = 1, /* what only other nodes have is given up */
};
/* state of CLUSTER */
enum {
  WIRE_CLUSTER_NODES = 0,
  WIRE_CLUSTER_CHECKPOINTS = 1,
};
/* state of the REPLY to CLUSTER for its nodes, added up */
enum {
  WIRE_CLUSTER_QUORATE = 1,  /* the quorum service says so of the ring that this node is in */
  WIRE_CLUSTER_USABLE = 2,   /* operations can be ordered */
  WIRE_CLUSTER_OUT = 4,      /* this node is out of the view until it has joined again */
  WIRE_CLUSTER_REFUSED = 8,  /* because the others speak another version */
  WIRE_CLUSTER_CUT_OFF = 32, /* nobody has heard it for so long that it may serve nothing now */
  WIRE_CLUSTER_TRUST = 16,   /* half of the nodes go on without knowing that the others are dead: may split */
};
/* slot of a node's element in it, added up */
enum {
  WIRE_NODE_PARTICIPANT = 1,
  WIRE_NODE_COORDINATOR = 2,
};
/* kind of a checkpoint's element in it: how it stands */
enum {
  WIRE_STANDING_WHOLE = 0,    /* it has a primary, and as many replicas in sync as are wished for */
  WIRE_STANDING_FEW = 1,      /* a primary, and fewer */
  WIRE_STANDING_ELECTING = 2, /* no primary that takes part; there will be one */
  WIRE_STANDING_WAITING = 3,  /* none, and no node that could be */
  WIRE_STANDING_UNKNOWN = 4,  /* this node's directory may be out of date: no quorum */
};
/* flags of a JOIN */
enum {
  WIRE_JOIN_FENCE = 1,          /* only the active member may write */
  WIRE_JOIN_MANUAL = 2,         /* never promoted unless asked for */
  WIRE_JOIN_REQUIRE_SYNCED = 4, /* only promoted when it reported to be synced */
};
/* flags of a CONFIRM */
enum {
  WIRE_CONFIRM_DIRTY = 1, /* or not all, and becomes active without the rest */
};
/* flags of OPEN and SYNCHRONIZE, above VESTA_OPEN_...: the answer goes to the callback link */
#define WIRE_FLAG_CALLBACK 0x100U
/* flag of OPEN: an existing checkpoint must have the same retention duration too (B.01.01) */
#define WIRE_FLAG_COMPARE_RETENTION 0x200U
/* flags of TRACK and TRACKED: who wants to know */
enum {
  WIRE_TRACK_ARRIVAL = 1, /* of data that came: CREATED, WRITTEN, OVERWRITTEN */
  WIRE_TRACK_CHANGES = 2, /* of that, and of DELETED and EXPIRED */
};

/* ---- fields ---- name in C, NAME, number, type (U: uint64, I: int64, B: bytes), greatest value or size */
#define WIRE_FIELDS(X)                                             \
  X(version, VERSION, 1, U, UINT32_MAX)                            \
  X(kind, KIND, 2, U, 255)                                         \
  X(number, NUMBER, 3, U, UINT64_MAX)                              \
  X(error, ERROR, 4, U, 255)                                       \
  X(element, ELEMENT, 5, U, UINT32_MAX)                            \
  X(token_hi, TOKEN_HI, 6, U, UINT64_MAX)                          \
  X(token_lo, TOKEN_LO, 7, U, UINT64_MAX)                          \
  X(handle, HANDLE, 8, U, UINT64_MAX)                              \
  X(checkpoint, CHECKPOINT, 9, U, UINT64_MAX)                      \
  X(name, NAME, 10, B, VESTA_NAME_BYTES_MAX)                       \
  X(flags, FLAGS, 11, U, UINT32_MAX)                               \
  X(creation_flags, CREATION_FLAGS, 12, U, UINT32_MAX)             \
  X(checkpoint_bytes, CHECKPOINT_BYTES, 13, U, UINT64_MAX)         \
  X(retention_ns, RETENTION_NS, 14, I, INT64_MAX)                  \
  X(sections_max, SECTIONS_MAX, 15, U, UINT32_MAX)                 \
  X(section_bytes_max, SECTION_BYTES_MAX, 16, U, UINT64_MAX)       \
  X(section_id_bytes_max, SECTION_ID_BYTES_MAX, 17, U, UINT32_MAX) \
  X(timeout_ns, TIMEOUT_NS, 18, I, INT64_MAX)                      \
  X(id, ID, 19, B, VESTA_SECTION_ID_BYTES_MAX)                     \
  X(offset, OFFSET, 20, U, UINT64_MAX)                             \
  X(size, SIZE, 21, U, UINT64_MAX)                                 \
  X(expiry_ns, EXPIRY_NS, 22, I, INT64_MAX)                        \
  X(time_ns, TIME_NS, 23, I, INT64_MAX)                            \
  X(lineage, LINEAGE, 24, U, UINT64_MAX)                           \
  X(epoch, EPOCH, 25, U, UINT64_MAX)                               \
  X(seq, SEQ, 26, U, UINT64_MAX)                                   \
  X(from_lineage, FROM_LINEAGE, 27, U, UINT64_MAX)                 \
  X(from_epoch, FROM_EPOCH, 28, U, UINT64_MAX)                     \
  X(from_seq, FROM_SEQ, 29, U, UINT64_MAX)                         \
  X(cursor, CURSOR, 30, U, UINT64_MAX)                             \
  X(cursor_end, CURSOR_END, 31, U, UINT64_MAX)                     \
  X(count, COUNT, 32, U, UINT64_MAX)                               \
  X(member, MEMBER, 33, U, UINT64_MAX)                             \
  X(priority, PRIORITY, 34, U, UINT32_MAX)                         \
  X(text, TEXT, 35, B, 65535)                                      \
  X(state, STATE, 36, U, UINT32_MAX)                               \
  X(pid, PID, 37, U, UINT32_MAX)                                   \
  X(uid, UID, 38, U, UINT32_MAX)                                   \
  X(start, START, 39, U, UINT64_MAX)                               \
  X(node, NODE, 40, U, UINT32_MAX)                                 \
  X(hash, HASH, 42, B, VESTA_CONTENT_HASH_BYTES)                   \
  X(ring_seq, RING_SEQ, 50, U, UINT64_MAX)                         \
  X(ring_node, RING_NODE, 51, U, UINT32_MAX)                       \
  X(order_index, ORDER_INDEX, 52, U, UINT64_MAX)                   \
  X(acked, ACKED, 53, U, UINT64_MAX)                               \
  X(incarnation, INCARNATION, 54, U, UINT64_MAX)                   \
  X(proposal, PROPOSAL, 55, U, UINT64_MAX)                         \
  X(config, CONFIG, 56, U, UINT64_MAX)                             \
  X(commit, COMMIT, 57, U, UINT64_MAX)                             \
  X(generation, GENERATION, 58, U, UINT64_MAX)                     \
  X(version_min, VERSION_MIN, 59, U, UINT32_MAX)                   \
  X(version_max, VERSION_MAX, 60, U, UINT32_MAX)                   \
  X(proposer, PROPOSER, 61, U, UINT32_MAX)                         \
  WIRE_FIELDS_NEXT(X)

/* field number 41: `elements`, an array of arrays whose items stand in this order; missing ones are zero, more are
 * skipped. name in C, type, greatest value or size */
#define WIRE_ELEMENT_ITEMS(X)           \
  X(kind, U, 255)                       \
  X(id, B, VESTA_ELEMENT_ID_BYTES_MAX)  \
  X(size, U, VESTA_OPERATION_BYTES_MAX) \
  X(offset, U, UINT64_MAX)              \
  X(expiry_ns, I, INT64_MAX)            \
  X(seq, U, UINT64_MAX)                 \
  X(epoch, U, UINT64_MAX)               \
  X(time_ns, I, INT64_MAX)              \
  X(slot, U, UINT32_MAX)                \
  X(member, U, UINT64_MAX)              \
  X(index, U, UINT32_MAX)               \
  X(count, U, UINT32_MAX)               \
  WIRE_ELEMENT_ITEMS_NEXT(X)
/* kind: vesta_kind_t. index, count: place within its operation. slot: where the section lives, in every
 * replica of the checkpoint; REPLICA_NO_SLOT for changes of the whole checkpoint. size: of its data in the payload. On the change
 * stream an EPOCH's offset is the epoch before, so that two histories can't be taken for one. */
#define WIRE_FIELD_ELEMENTS 41
#define WIRE_FIELDS_END 64 /* field numbers are below: they are bits of a mask */

enum wire_field {
#define WIRE_FIELD_ENUM(name, NAME, number, type, max) WIRE_FIELD_##NAME = (number),
  WIRE_FIELDS(WIRE_FIELD_ENUM)
#undef WIRE_FIELD_ENUM
};
#define WIRE_F(NAME) (1ULL << WIRE_FIELD_##NAME)

#define WIRE_C_TYPE_U uint64_t
#define WIRE_C_TYPE_I int64_t
#define WIRE_C_TYPE_B vesta_bytes_t

typedef struct wire_element {
#define WIRE_ELEMENT_MEMBER(name, type, max) WIRE_C_TYPE_##type name;
  WIRE_ELEMENT_ITEMS(WIRE_ELEMENT_MEMBER)
#undef WIRE_ELEMENT_MEMBER
} wire_element_t;

/* A message. Zero it (`= {0}`), set `kind` and what that kind needs. */
typedef struct wire_message {
#define WIRE_FIELD_MEMBER(name, NAME, number, type, max) WIRE_C_TYPE_##type name;
  WIRE_FIELDS(WIRE_FIELD_MEMBER)
#undef WIRE_FIELD_MEMBER
  const wire_element_t *elements;
  uint32_t element_count;
} wire_message_t;

#define WIRE_ELEMENTS_MAX 8192U /* elements of one message */
/* Changes of one published message, sections of one chunk and so on are batched below WIRE_ELEMENTS_MAX and
 * VESTA_FRAME_HEAD_BYTES_MAX by whoever fills it; wire_element_size_max() says what an element takes at most. */

/**
 * Write a message's head. Fields that are zero are left out; `version` is filled in when zero.
 * @param[out] size   bytes written
 * @return OK; TOO_LARGE when it does not fit into `capacity` or VESTA_FRAME_HEAD_BYTES_MAX, or a field exceeds its
 *         bound; MALFORMED when the kind is unknown or a field that it requires is zero, as the reader would say
 */
vesta_err_t wire_encode(const wire_message_t *message, void *to, size_t capacity, size_t *size);

/** An upper bound of the encoded size: a buffer of this size always fits (its bounds kept). */
size_t wire_encoded_size_max(const wire_message_t *message);
/** The same for one element. */
size_t wire_element_size_max(const wire_element_t *element);

/* Memory for decoding; one per thread of control, reused. */
typedef struct wire_decoder wire_decoder_t;
/** @return NULL when out of memory */
wire_decoder_t *wire_decoder_new(void);
void wire_decoder_destroy(wire_decoder_t **decoder);

/**
 * Read a message's head. Byte fields point into `from`; elements live in the decoder until its next use.
 * @return OK; MALFORMED when the bytes are no message, a field has another type or exceeds its bound, a required
 *         field is missing or zero, a known field comes twice, or bytes follow; VERSION when the major version differs
 *         or the kind is not known here (out->version, out->kind and out->number are set then, so that it can be
 *         answered); TOO_LARGE above VESTA_FRAME_HEAD_BYTES_MAX; NO_MEMORY
 */
vesta_err_t wire_decode(wire_decoder_t *decoder, const void *from, size_t size, wire_message_t *out);

/* ---- framing on byte streams ---- */

#define WIRE_PREFIX_BYTES 8U

/** Write the 8-byte prefix. */
void wire_prefix_encode(uint8_t prefix[WIRE_PREFIX_BYTES], uint32_t head_bytes, uint32_t payload_bytes);
/** @return OK; TOO_LARGE when head or payload exceed their limit; MALFORMED when the head is empty */
vesta_err_t wire_prefix_decode(const uint8_t prefix[WIRE_PREFIX_BYTES], uint32_t *head_bytes, uint32_t *payload_bytes);

/** Memory for a copy of all that a message points to, elements and byte fields, and of its payload. */
size_t wire_copy_bytes(const wire_message_t *message, vesta_bytes_t payload);
/**
 * Copy a message and its payload.
 * @param memory            wire_copy_bytes() of them, aligned as malloc() does: what the copies point to
 * @param[out] copy         not the message itself
 * @param[out] payload_copy
 */
void wire_copy_into(void *memory, const wire_message_t *message, vesta_bytes_t payload, wire_message_t *copy,
                    vesta_bytes_t *payload_copy);

/**
 * A copy that owns all it points to, elements and byte fields included, in one piece of memory: free() it.
 * @param[out] bytes   so much memory it takes; NULL: not asked for
 * @return NULL when out of memory
 */
wire_message_t *wire_copy(const wire_message_t *message, size_t *bytes);

/** The name of a kind ("OPEN"), "UNKNOWN" for none. Static text. */
const char *wire_kind_name(uint64_t kind);

/* Small helpers: the pieces that many messages share. */
vesta_attributes_t wire_attributes(const wire_message_t *message);
void wire_attributes_set(wire_message_t *message, const vesta_attributes_t *attributes);
static inline vesta_token_t wire_token(const wire_message_t *m) {
  return (vesta_token_t){.hi = m->token_hi, .lo = m->token_lo};
}
static inline vesta_pos_t wire_pos(const wire_message_t *m) {
  return (vesta_pos_t){.lineage = m->lineage, .epoch = m->epoch, .seq = m->seq};
}
static inline void wire_pos_set(wire_message_t *m, vesta_pos_t p) {
  m->lineage = p.lineage;
  m->epoch = p.epoch;
  m->seq = p.seq;
}
static inline vesta_pos_t wire_pos_from(const wire_message_t *m) {
  return (vesta_pos_t){.lineage = m->from_lineage, .epoch = m->from_epoch, .seq = m->from_seq};
}
/** Payload must be exactly the elements' data. @return OK; MALFORMED when the sizes do not add up to payload_bytes */
vesta_err_t wire_payload_check(const wire_message_t *message, uint64_t payload_bytes);

#endif
