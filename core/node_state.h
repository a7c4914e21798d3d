/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The node director's inside, shared by its files:
 *
 *   node.c          life, time, the actions list
 *   node_control.c  requests that concern the directory: sessions, open, close, groups ... -> ordered operations
 *   node_ordered.c  ordered operations delivered: directory, replicas and roles follow, answers go out
 *   node_data.c     requests on sections: straight to the replica
 */
#ifndef VESTA_CORE_NODE_STATE_H
#define VESTA_CORE_NODE_STATE_H

#include "core/deadlines.h"
#include "core/directory.h"
#include "core/node.h"

/* What this node keeps for a checkpoint beside the directory's entry. */
typedef struct node_local {
  directory_checkpoint_t *checkpoint;
  replica_t *replica;
  deadline_t wall;   /* the next section's expiry, or the end of retention */
  deadline_t steady; /* a promotion's deadline, or when to try again what found no memory */
  uint64_t promotion_epoch; /* the grant that promotion_until_ns is the deadline of */
  int64_t promotion_until_ns;
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
  uint8_t generated_id[REPLICA_GENERATED_ID_BYTES_MAX]; /* of the one change in a step */
  int64_t retry_ns; /* steady: when to order the ends of sessions that found no room */
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

#define NODE_RETRY_NS INT64_C(100000000) /* what found no memory is tried again after so long */

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
void node_confirm(node_t *node, const node_request_t *request);
void node_progress(node_t *node, const node_request_t *request);
void node_list(node_t *node, const node_request_t *request);

/* ---- node_ordered.c ---- */
void node_ordered(node_t *node, const wire_message_t *op);
void node_order_refused(node_t *node, const wire_message_t *op, vesta_err_t err);
void node_sessions_again(node_t *node);
/** Bring the replica to what the directory says (epoch, unlinked, retention); tries again later when memory is short. */
void node_reconcile(node_t *node, directory_checkpoint_t *checkpoint);
/** Grant the role anew if it is vacant and somebody is eligible, or take it away from who is gone. */
void node_roles(node_t *node, directory_checkpoint_t *checkpoint);
/** The deadline of a checkpoint's promotion has come. */
void node_promotion_late(node_t *node, directory_checkpoint_t *checkpoint);
void node_session_over(node_t *node, vesta_token_t session);
/** Set the wall clock deadline from expiry and retention. */
void node_schedule(node_t *node, directory_checkpoint_t *checkpoint);
node_local_t *node_local_new(node_t *node, replica_t *replica);
void node_local_destroy(node_t *node, node_local_t **local);

/* ---- node_data.c ---- */
void node_change(node_t *node, const node_request_t *request);
void node_read(node_t *node, const node_request_t *request);
void node_status(node_t *node, const node_request_t *request);
void node_map(node_t *node, const node_request_t *request);
void node_iterate(node_t *node, const node_request_t *request);
void node_synchronize(node_t *node, const node_request_t *request);
/** Remove what has expired by now, at most so many sections; the rest in a later step. */
void node_expire(node_t *node, directory_checkpoint_t *checkpoint, uint32_t sections_max);
/** May sections be used now? NOT_EXIST without an active replica. */
vesta_err_t node_usable(const directory_checkpoint_t *checkpoint);
/** An operation of our own on a replica, published. */
vesta_err_t node_commit(node_t *node, directory_checkpoint_t *checkpoint, const replica_op_t *op,
                        replica_result_t *result);

#endif
