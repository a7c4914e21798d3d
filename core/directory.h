/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The director's state machine: names, checkpoints, sessions, who has what open, groups.
 *
 * It changes only by ordered operations (OP_... of wire.h), each of which carries all it depends on, the time included. The
 * same operations in the same order give the same directory, on every node and after every restart.
 *
 *   name --(until unlinked)--> checkpoint <--opened by-- handle <--held by-- session
 *                                  |  \__ group: members (roles.h)
 *                                  \__ what the node keeps for it here (`local`: replica and deadlines)
 *
 * A checkpoint without openers is *retained* until its deadline, or removed at once when it is unlinked or its
 * retention is shorter than a millisecond. A deadline that has passed counts when the name is looked up, not when a
 * timer fires.
 *
 * directory_reserve() makes sure beforehand that directory_apply() finds the memory it needs, so an operation that was ordered
 * never fails for lack of it.
 */
#ifndef VESTA_CORE_DIRECTORY_H
#define VESTA_CORE_DIRECTORY_H

#include "core/error.h"
#include "core/roles.h"
#include "core/table.h"
#include "core/types.h"
#include "core/wire.h"

struct node_local;  /* the node's own */
struct node_shared; /* in a cluster too */
struct directory_handle;
struct directory_stream;

/* What an ordered request of a session was answered with. */
typedef struct directory_answer {
  uint64_t number; /* 0: none */
  vesta_err_t err;
  uint64_t handle;
  uint64_t checkpoint;
  uint64_t member;
} directory_answer_t;

typedef struct directory_session {
  table_link_t by_token;
  vesta_token_t token;
  uint32_t node; /* where its process runs */
  bool orphan;   /* that node left; it may come back */
  uint32_t uid, pid;
  uint64_t start;
  uint8_t program[VESTA_PROGRAM_BYTES_MAX]; /* its process's name when it began; empty: unknown */
  size_t program_size;
  struct directory_handle *handles;
  uint32_t handle_count;
  directory_answer_t answers[VESTA_SESSION_WINDOW];
  uint64_t answered_last; /* none of them has a greater number: most requests are new, and need no search */
  uint32_t answer_next;
  /* the node's own, not replicated */
  uint64_t link, callback_link; /* 0: none now */
  bool watched;
  bool over;      /* its end is to be ordered */
  bool resumed;   /* it is older than its link, or this life of the node: what it asks may have been done before */
  uint32_t track; /* WIRE_TRACK_..., for all its handles */
} directory_session_t;

/* A node that holds a replica of a checkpoint. */
typedef struct directory_replica {
  uint32_t node;
  uint32_t state; /* WIRE_REPLICA_FOLLOWER, _IN_SYNC */
  bool claimed;   /* since there is no primary: how far it says to have come */
  uint64_t claim_epoch, claim_seq;
} directory_replica_t;

typedef struct directory_checkpoint {
  table_link_t by_id;
  table_link_t by_name;              /* linked into the table while it is not unlinked */
  struct directory_checkpoint *next; /* in the lists of an outcome */
  uint64_t id, lineage, epoch;
  uint8_t name[VESTA_NAME_BYTES_MAX];
  size_t name_size;
  vesta_attributes_t attributes;
  bool unlinked;
  bool touched; /* is in an outcome's list */
  bool removed;
  uint32_t active_node; /* 0: no active replica */
  uint32_t primary;     /* node whose replica orders the log; 0: to be found. The active replica's, if there is one */
  uint64_t config;      /* rises with every change of the replicas */
  directory_replica_t replicas[VESTA_REPLICAS_MAX];
  uint32_t replica_count;
  uint32_t open_count;
  struct directory_handle *oldest, *newest; /* of those it is open through */
  int64_t retained_until_ns;                /* wall clock; VESTA_TIME_END: for ever; meaningful while open_count is 0 */
  roles_group_t group;
  struct directory_stream *streams, *streams_last; /* the node's own, not replicated: in the order of their ids */
  uint32_t stream_count;
  struct node_local *local;   /* NULL: no replica here */
  struct node_shared *shared; /* NULL: no cluster, or nothing to be kept yet */
} directory_checkpoint_t;

typedef struct directory_handle {
  table_link_t by_id;
  struct directory_handle *next; /* of its session */
  uint64_t id;
  directory_session_t *session;
  directory_checkpoint_t *checkpoint;
  uint32_t flags;                         /* VESTA_OPEN_READ, VESTA_OPEN_WRITE */
  struct directory_handle *older, *newer; /* of its checkpoint, in the order of their ids */
  struct directory_stream *streams;       /* the node's own, not replicated */
  /* the node's own, not replicated (node_track.c) */
  uint32_t track;                                         /* WIRE_TRACK_..., for this handle alone */
  struct directory_handle *tracker_next, **tracker_place; /* among the checkpoint's trackers; place NULL: not there */
} directory_handle_t;

/* A stream that was asked for through a handle, and how far its application said to be. Nothing depends on it: it is
 * for people to look at. */
typedef struct directory_stream {
  struct directory_stream *next;          /* of its handle */
  struct directory_stream *older, *newer; /* of its checkpoint */
  directory_handle_t *handle;
  uint64_t id;          /* rises, also from one run of the daemon to the next; never 0 */
  uint64_t request;     /* the number of the request for it */
  vesta_pos_t position; /* epoch 0: it has said none, or none of this history */
  uint64_t behind;      /* so many operations after `position` were committed when it said so */
  int64_t told_ns;      /* when that was, steady; 0: it has said nothing yet */
} directory_stream_t;

typedef struct directory directory_t;

/* What an operation did. */
typedef struct directory_outcome {
  directory_answer_t answer;
  bool created;                       /* an OP_OPEN made the checkpoint */
  directory_checkpoint_t *checkpoint; /* concerned; NULL: none, or it is among the removed */
  directory_checkpoint_t *touched;    /* list: openers, group or attributes changed */
  directory_checkpoint_t *removed;    /* list: are no more; directory_bury() each */
} directory_outcome_t;

/** @return OK; NO_MEMORY */
vesta_err_t directory_new(directory_t **out);
void directory_destroy(directory_t **directory);

/** Memory for one more of everything. @return OK; NO_MEMORY */
vesta_err_t directory_reserve(directory_t *directory);

/**
 * Apply one ordered operation; whatever it can't do is in outcome->answer.err. A request that was applied before (session
 * and number) is answered again and changes nothing.
 */
void directory_apply(directory_t *directory, const wire_message_t *op, directory_outcome_t *outcome);
/** Free a removed checkpoint. */
void directory_bury(directory_t *directory, directory_checkpoint_t *checkpoint);

directory_session_t *directory_session(const directory_t *directory, vesta_token_t token);
directory_handle_t *directory_handle(const directory_t *directory, uint64_t handle);
/** Put a handle in front of a list of trackers, and take it out again; one that is closed takes itself out. */
void directory_tracker_add(directory_handle_t *handle, directory_handle_t **trackers);
void directory_tracker_remove(directory_handle_t *handle);
/** The first handle of the checkpoint with an id above `after`, NULL for none. */
directory_handle_t *directory_handle_after(const directory_t *directory, const directory_checkpoint_t *checkpoint,
                                           uint64_t after);

/** A stream of this handle, its id at least `id`; a handle that is closed takes its streams along. NULL: there are
 *  VESTA_STREAMS_MAX, or no memory. */
directory_stream_t *directory_stream_add(directory_t *directory, directory_handle_t *handle, uint64_t id);
/** One of this handle's streams, by its id or by the number of the request for it (0: not by that). NULL: none. */
directory_stream_t *directory_stream(const directory_handle_t *handle, uint64_t id, uint64_t request);
void directory_stream_remove(directory_t *directory, directory_stream_t *stream);
/** What is this node's own of a handle goes over from the same handle of another directory. */
void directory_handle_adopt(directory_t *directory, directory_handle_t *handle, directory_t *from,
                            directory_handle_t *before);
uint32_t directory_stream_count(const directory_t *directory);

directory_checkpoint_t *directory_checkpoint(const directory_t *directory, uint64_t id);
/** By name, as of now_ns: unlinked ones and those whose retention has run out are not found. */
directory_checkpoint_t *directory_name(const directory_t *directory, vesta_bytes_t name, int64_t now_ns);
/** Could this OPEN succeed? What OP_OPEN would answer for an existing checkpoint. */
vesta_err_t directory_open_check(const directory_checkpoint_t *checkpoint, const wire_message_t *open);
/** The stored answer; NULL: none. */
const directory_answer_t *directory_answer(const directory_session_t *session, uint64_t number);

/** The replica on that node, NULL: none. */
directory_replica_t *directory_replica(const directory_checkpoint_t *checkpoint, uint32_t node);
/** How many of its replicas are of that state (WIRE_REPLICA_...). */
uint32_t directory_replica_count(const directory_checkpoint_t *checkpoint, uint32_t state);

/** The id that the next checkpoint to be made takes. */
uint64_t directory_next_checkpoint(const directory_t *directory);
uint32_t directory_session_count(const directory_t *directory);
uint32_t directory_handle_count(const directory_t *directory);
uint32_t directory_checkpoint_count(const directory_t *directory);
/** In no order: pass NULL first. Not while checkpoints come or go. */
directory_checkpoint_t *directory_each(const directory_t *directory, size_t *bucket,
                                       const directory_checkpoint_t *checkpoint);
directory_session_t *directory_each_session(const directory_t *directory, size_t *bucket,
                                            const directory_session_t *session);

/** The whole directory as OP_SNAPSHOT rows, which directory_restore() takes in their order; `emit` returns false to stop. */
bool directory_snapshot(const directory_t *directory, bool (*emit)(void *context, const wire_message_t *row),
                        void *context);
/** One such row. @return OK; MALFORMED; NO_MEMORY */
vesta_err_t directory_restore(directory_t *directory, const wire_message_t *row);

#endif
