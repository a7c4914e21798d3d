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

struct node_local; /* the node's own */
struct directory_handle;

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
  uint32_t uid, pid;
  uint64_t start;
  struct directory_handle *handles;
  uint32_t handle_count;
  directory_answer_t answers[VESTA_SESSION_WINDOW];
  uint32_t answer_next;
  /* the node's own, not replicated */
  uint64_t link, callback_link; /* 0: none now */
  bool watched;
  bool over;      /* its end is to be ordered */
  uint32_t track; /* WIRE_TRACK_..., for all its handles */
} directory_session_t;

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
  uint32_t open_count;
  int64_t retained_until_ns; /* wall clock; VESTA_TIME_END: for ever; meaningful while open_count is 0 */
  roles_group_t group;
  struct node_local *local;
} directory_checkpoint_t;

typedef struct directory_handle {
  table_link_t by_id;
  struct directory_handle *next; /* of its session */
  uint64_t id;
  directory_session_t *session;
  directory_checkpoint_t *checkpoint;
  uint32_t flags; /* VESTA_OPEN_READ, VESTA_OPEN_WRITE */
  /* the node's own, not replicated (node_track.c) */
  uint32_t track;                                         /* WIRE_TRACK_..., for this handle alone */
  struct directory_handle *tracker_next, **tracker_place; /* among the checkpoint's trackers; place NULL: not there */
} directory_handle_t;

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
directory_checkpoint_t *directory_checkpoint(const directory_t *directory, uint64_t id);
/** By name, as of now_ns: unlinked ones and those whose retention has run out are not found. */
directory_checkpoint_t *directory_name(const directory_t *directory, vesta_bytes_t name, int64_t now_ns);
/** Could this OPEN succeed? What OP_OPEN would answer for an existing checkpoint. */
vesta_err_t directory_open_check(const directory_checkpoint_t *checkpoint, const wire_message_t *open);
/** The stored answer; NULL: none. */
const directory_answer_t *directory_answer(const directory_session_t *session, uint64_t number);

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
