/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The node director's inside, shared by its files:
 *
 *   node.c          life, time, the actions list
 *   node_control.c  requests that concern the directory: sessions, open, close, groups ... -> ordered operations
 *   node_ordered.c  ordered operations delivered: directory, replicas and roles follow, answers go out
 *   node_data.c     requests on sections: straight to the replica
 *   node_track.c    changes told to those who asked for it, over their links of callbacks
 *   node_applied.c  changes that are answered when members have applied them
 *   node_users.c    what is told to people: checkpoints, who uses them, what is done with them
 *   node_life.c     active members that are stopped and not dead
 */
#ifndef VESTA_CORE_NODE_STATE_H
#define VESTA_CORE_NODE_STATE_H

#include "core/deadlines.h"
#include "core/directory.h"
#include "core/node.h"

typedef struct node_wait node_wait_t;       /* node_applied.c */
typedef struct node_cluster node_cluster_t; /* node_cluster.h */

/* What this node keeps for a checkpoint beside the directory's entry. */
typedef struct node_local {
  directory_checkpoint_t *checkpoint;
  replica_t *replica;
  deadline_t wall;          /* the next section's expiry, or the end of retention */
  deadline_t steady;        /* a promotion's deadline, or when to try again what found no memory */
  uint64_t written_bytes;   /* of data, since this node took the checkpoint up */
  uint64_t promotion_epoch; /* the grant that promotion_until_ns is the deadline of */
  int64_t promotion_until_ns;
  uint64_t heard_epoch;            /* the grant that heard_ns and silent are of */
  int64_t heard_ns;                /* steady: when the active was last heard */
  bool silent;                     /* it is for longer than its heartbeat, and nobody was there to take over */
  directory_handle_t *trackers;    /* the handles that changes are told to */
  node_wait_t *waits, *waits_last; /* changes that wait to be applied by members, in the order of seq */
} node_local_t;

/* A HELLO whose session is being ordered. */
typedef struct node_hello {
  struct node_hello *next;
  vesta_token_t token;
  uint64_t link;
  bool watched;
} node_hello_t;

/* A region made for a checkpoint whose OP_OPEN is being ordered. */
typedef struct node_made {
  uint64_t checkpoint; /* 0: none */
  replica_t *replica;
  node_local_t *local;
} node_made_t;

struct node {
  node_config_t config;
  node_cluster_t *cluster; /* NULL: alone */
  directory_t *directory;
  table_t links; /* node_link_t by number */
  deadlines_t wall, steady;
  int64_t wall_ns, steady_ns; /* of the last event */
  node_hello_t *hellos;
  node_made_t made;
  node_action_t *actions;
  wire_message_t *messages; /* one for each action */
  uint32_t action_count, action_max;
  wire_element_t *elements;            /* of the one answer in a step that has some */
  replica_element_t *replica_elements; /* of the one change in a step */
  replica_result_t change_result;      /* of the one change in a step; its answer points into it */
  wire_element_t *tracked;             /* what is told of the one change in a step */
  wire_element_t *expired;             /* what is told of the sections that expire in a step */
  uint8_t *expired_ids;                /* theirs; the replica may use their places again */
  uint32_t expired_count;
  node_wait_t *waits_done; /* answered in this step */
  uint32_t wait_count;     /* of all checkpoints */
  int64_t retry_ns;        /* steady: when to order the ends of sessions that found no room */
  uint64_t counters[NODE_COUNTER_COUNT];
};

/* A link that a session speaks on. */
typedef struct node_link {
  table_link_t by_number;
  uint64_t number;
  vesta_token_t session;
  bool callbacks;
} node_link_t;

/* ---- node.c: actions ---- */

node_action_t *node_act(node_t *node, node_action_kind_t kind);
/** A fresh answer to send on a link. Fill in the rest of the message that is returned; the action is in *action if wanted. */
wire_message_t *node_answer(node_t *node, uint64_t link, uint64_t number, vesta_err_t err, node_action_t **action);
/** The message of a new ORDER action, to be filled in; its time_ns is now. */
wire_message_t *node_order(node_t *node, enum wire_kind kind);
void node_count(node_t *node, node_counter_t counter);

node_link_t *node_link(const node_t *node, uint64_t number);
/** Sessions have ended that nobody here had asked to end: their links are closed, so that whoever waits for an answer
 *  there learns of it. */
void node_links_sweep(node_t *node);

/* ---- who asks, and for what ---- */

typedef struct node_request {
  const node_event_t *event;
  const wire_message_t *message;
  directory_session_t *session;
  directory_handle_t *handle;         /* NULL when the request has none */
  directory_checkpoint_t *checkpoint; /* its */
} node_request_t;

/** Answer with a code alone. */
void node_refuse(node_t *node, const node_request_t *request, vesta_err_t err);

/** Answer with what a request was answered with when it was ordered, on its link or, if its flags say so, as a callback. */
void node_answer_ordered(node_t *node, const directory_session_t *session, uint64_t link, uint32_t flags,
                         const directory_answer_t *answer);

#define NODE_RETRY_NS INT64_C(100000000)           /* what found no memory is tried again after so long */
#define NODE_EXPIRED_MAX VESTA_VECTOR_ELEMENTS_MAX /* sections that expire in one turn, and can be told in one step */

/* ---- node.c: requests ---- */
/** What becomes of a request whose session and handle are known. */
void node_dispatch(node_t *node, const node_request_t *request);
/** Take up the region of a checkpoint that an earlier life left. @return OK; NOT_EXIST; MALFORMED: it is not what it
 *  should be (in a cluster it is kept aside); NO_MEMORY, NO_RESOURCES, NO_SPACE: not now, it is still there */
vesta_err_t node_take_up(node_t *node, directory_checkpoint_t *checkpoint);
/** An operation of the journal, or one that is known to be stable when the node starts. @return OK; NO_MEMORY */
vesta_err_t node_restore_op(node_t *node, const wire_message_t *op);

/* ---- node_control.c ---- */
void node_answer_stored(node_t *node, const node_request_t *request, const directory_answer_t *stored);
void node_hello(node_t *node, const node_event_t *event);
void node_hello_callbacks(node_t *node, const node_event_t *event);
void node_hello_forget(node_t *node, uint64_t link);
void node_hello_ordered(node_t *node, const wire_message_t *op, vesta_err_t err);
void node_made_discard(node_t *node);
void node_join_answer(node_t *node, uint64_t link, uint64_t number, const directory_checkpoint_t *checkpoint,
                      uint64_t member);
void node_finalize(node_t *node, const node_request_t *request);
void node_open(node_t *node, const node_request_t *request);
void node_close(node_t *node, const node_request_t *request);
void node_unlink(node_t *node, const node_request_t *request);
void node_retention_set(node_t *node, const node_request_t *request);
void node_active_set(node_t *node, const node_request_t *request);
void node_stream(node_t *node, const node_request_t *request);
void node_join(node_t *node, const node_request_t *request);
void node_leave(node_t *node, const node_request_t *request);
void node_resign(node_t *node, const node_request_t *request);
void node_promote(node_t *node, const node_request_t *request);
void node_confirm(node_t *node, const node_request_t *request);
void node_progress(node_t *node, const node_request_t *request);

/* ---- node_users.c ---- */
void node_list(node_t *node, const node_request_t *request);
void node_users(node_t *node, const node_request_t *request);
void node_load(node_t *node, const node_request_t *request);
/** A stream was asked for through the request's handle. @return its number; 0: it is not listed */
uint64_t node_stream_opened(node_t *node, const node_request_t *request);
/** Is this PROGRESS a stream's, or a member's? Streams are listed where their applications are. */
bool node_progress_is_of_stream(const wire_message_t *progress);
/** A PROGRESS of a stream. */
void node_stream_progress(node_t *node, const node_request_t *request);
/** So many operations were committed after a position of this history. */
uint64_t node_behind(const directory_checkpoint_t *checkpoint, vesta_pos_t position);

/* ---- node_ordered.c ---- */
void node_ordered(node_t *node, const wire_message_t *op);
/** What is here of a checkpoint, its replica closed, is kept for the operator. */
void node_keep_diverged(node_t *node, uint64_t checkpoint);
/** A checkpoint is no more: who waits for it is answered, and its region goes, or is kept as diverged. */
void node_checkpoint_end(node_t *node, directory_checkpoint_t *checkpoint, bool diverged);
void node_order_refused(node_t *node, const wire_message_t *op, vesta_err_t err);
void node_sessions_again(node_t *node);
/** Bring the replica to what the directory says (epoch, unlinked, retention); tries again later when memory is short. */
void node_reconcile(node_t *node, directory_checkpoint_t *checkpoint);
/** Which operation began the present grant, if the replica here has it already: members ask. */
void node_barrier(directory_checkpoint_t *checkpoint);
/** Grant the role anew if it is vacant and somebody is eligible, or take it away from who is gone. */
void node_roles(node_t *node, directory_checkpoint_t *checkpoint);
/** Fill in an OP_PROMOTE: to that member, 0: to nobody. */
void node_grant(const node_t *node, const directory_checkpoint_t *checkpoint, uint64_t member, wire_message_t *op);
/** The deadline of a checkpoint's promotion has come. */
void node_promotion_late(node_t *node, directory_checkpoint_t *checkpoint);
void node_session_over(node_t *node, vesta_token_t session);
/** Set the wall clock deadline from expiry and retention. */
void node_schedule(node_t *node, directory_checkpoint_t *checkpoint);
node_local_t *node_local_new(replica_t *replica);
/** Forget the results of sessions that the directory does not know. @return OK; NO_MEMORY: they are kept */
vesta_err_t node_forget_strangers(const node_t *node, replica_t *replica);
void node_local_destroy(node_t *node, node_local_t **local);
/** Look after this checkpoint at that time (steady), or earlier. */
void node_later(node_t *node, directory_checkpoint_t *checkpoint, int64_t at_ns);

/* ---- node_data.c ---- */
void node_change(node_t *node, const node_request_t *request);
void node_read(node_t *node, const node_request_t *request);
void node_status(node_t *node, const node_request_t *request);
void node_map(node_t *node, const node_request_t *request);
void node_iterate(node_t *node, const node_request_t *request);
void node_synchronize(node_t *node, const node_request_t *request);
/** Remove what has expired by now, at most so many sections; the rest in a later step. */
void node_expire(node_t *node, directory_checkpoint_t *checkpoint, uint32_t sections_max);
/** Judge a change as far as that goes without the replica, and say what it is: its elements are node->replica_elements. */
vesta_err_t node_change_judge(node_t *node, const node_request_t *request, replica_op_t *op, node_wait_t **wait);
/** Operations from one to the other are committed: tell the streams. */
void node_publish(node_t *node, const directory_checkpoint_t *checkpoint, uint64_t first_seq, uint64_t last_seq,
                  bool awaited);
/** An operation with so much data is committed here. */
void node_count_committed(node_t *node, const directory_checkpoint_t *checkpoint, uint64_t data_bytes);
/** May sections be used now? NOT_EXIST without an active replica. */
vesta_err_t node_usable(const directory_checkpoint_t *checkpoint);
/** An operation of our own on a replica, published. */
vesta_err_t node_commit(node_t *node, directory_checkpoint_t *checkpoint, const replica_op_t *op,
                        replica_result_t *result);

/** Answer a CHANGE: with its result, or with an error and the element that is to blame. */
void node_change_answer(node_t *node, const directory_checkpoint_t *checkpoint, uint64_t link, uint64_t number,
                        vesta_err_t err, const replica_result_t *result);

/* ---- node_applied.c ---- */
/**
 * What a change that is to be applied by members will wait in, before it is made: *wait is NULL when it need not wait.
 * @return OK; INVALID_PARAM; NOT_SUPPORTED; NO_RESOURCES when too many wait; NO_MEMORY
 */
vesta_err_t node_wait_new(node_t *node, const node_request_t *request, node_wait_t **wait);
/** Are there members enough? */
bool node_wait_possible(const node_request_t *request);
/** NULL is allowed. */
void node_wait_discard(node_wait_t **wait);
/** It is committed: wait, or answer when it is applied already. */
void node_wait_begin(node_t *node, directory_checkpoint_t *checkpoint, node_wait_t **wait,
                     const replica_result_t *result);
/** The same for a change that was committed before and is asked for again. */
void node_wait_again(node_t *node, const node_request_t *request, const replica_result_t *result);
/** A member has come further: answer what it was that was waited for. */
void node_applied(node_t *node, directory_checkpoint_t *checkpoint);
/** Time has passed. */
void node_applied_late(node_t *node, directory_checkpoint_t *checkpoint);
/** The session is over. */
void node_applied_forget(node_t *node, directory_checkpoint_t *checkpoint, vesta_token_t session);
/** The checkpoint goes. */
void node_applied_end(node_t *node, node_local_t *local, const directory_checkpoint_t *checkpoint);
/** Free what waits, without an answer. */
void node_waits_drop(node_t *node, node_local_t *local);
/** Free what was answered in the last step. */
void node_waits_bury(node_t *node);

/* ---- node_life.c ---- */
/** A request has come: is it the active's, it lives. */
void node_heard(node_t *node, const node_request_t *request);
/** In a cluster: tell the node that listens. */
void node_pass_on(node_t *node, const node_request_t *request);
/** Wait for the active's next sign of life; or have it succeeded, if it was silent for too long. */
void node_listen(node_t *node, directory_checkpoint_t *checkpoint);
/** Time has passed. */
void node_silence(node_t *node, directory_checkpoint_t *checkpoint);

/* ---- node_track.c ---- */
void node_track(node_t *node, const node_request_t *request);
/** A handle was opened: its session may track all its handles. */
void node_track_opened(node_t *node, uint64_t handle);
/** In a cluster, one operation of the log is committed; `handle`: through which it was made, 0: none of this node's. */
void node_track_record(node_t *node, directory_checkpoint_t *checkpoint, const replica_record_t *record,
                       uint64_t handle);
/** Its handles that track are listed anew, or not any more: the replica here is another one, or none. */
void node_trackers_again(node_t *node, directory_checkpoint_t *checkpoint);
void node_trackers_off(directory_checkpoint_t *checkpoint);
/** A request's change is committed: its elements are node->replica_elements, its result lives as long as the actions. */
void node_track_changed(node_t *node, const node_request_t *request, const replica_result_t *result);
/** A section is about to expire; it has expired; all of them that were to, from place `first` of node->expired on. */
void node_track_expiring(node_t *node, const directory_checkpoint_t *checkpoint, vesta_bytes_t id);
void node_track_expired(node_t *node, const directory_checkpoint_t *checkpoint);
void node_track_expired_all(node_t *node, const directory_checkpoint_t *checkpoint, uint32_t first);

#endif
