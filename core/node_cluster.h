/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a node director has beside itself in a cluster: the order that all nodes agree on, and for each checkpoint a
 * replicator that keeps the replicas in step.
 *
 *   node_group.c    the order's side: events in, stable operations to node_ordered(), a directory that is adopted
 *   node_shared.c   the replicators' side: changes that wait for other replicas, what was committed, leases
 *   node_place.c    who is primary, where replicas are, who is waited for
 *   node_route.c    requests that another node answers, or that wait until one can
 *   node_operator.c how it all stands, for people, and what only they can decide
 *
 * All that an event leads to is done in two parts: first the event itself, which marks the checkpoints that it concerns,
 * then each of these is attended to (node_attend()) until none is marked. So nothing calls back into what called it.
 */
#ifndef VESTA_CORE_NODE_CLUSTER_H
#define VESTA_CORE_NODE_CLUSTER_H

#include "core/deadlines.h"
#include "core/node_state.h"
#include "core/order.h"
#include "core/replica_transfer.h"
#include "core/replicator.h"

/* A request that is not answered yet: held here until it can be judged, or sent to the node that judges it. */
typedef struct node_kept {
  struct node_kept *next, **place; /* of its checkpoint, in the order of arrival */
  table_link_t by_request;
  struct node_shared *shared;
  vesta_token_t session;
  uint64_t handle;
  uint64_t link;       /* where the answer goes */
  uint64_t sent_epoch; /* the primary's, whom it was sent to; 0: to nobody */
  uint32_t attempts;   /* so many times */
  uint32_t generation; /* the number of the last time: another one each time, also after a restart */
  int64_t again_ns;    /* when it is sent again */
  int64_t until_ns;    /* when it is given up */
  bool held;           /* it was judged, and can't be done yet */
  uint64_t
      blocked_at; /* `stirred` of its checkpoint when something under way was in its way; nothing has changed since */
  uint64_t bytes;
  wire_message_t message; /* a copy; what it points to stands behind this */
  vesta_bytes_t payload;
} node_kept_t;

/* All that what is kept for a checkpoint waits for, but for time. */
typedef struct node_kept_seen {
  uint64_t epoch, stirred;
  bool elsewhere;                       /* it goes to another node */
  bool changes, others, reads, replica; /* these may be judged here */
} node_kept_seen_t;

/* A client's change that is prepared, or about to be. */
typedef struct node_pending {
  struct node_pending *next, **place; /* of its checkpoint, the oldest first */
  table_link_t by_request;
  struct node_shared *shared;
  vesta_token_t session;
  uint64_t number, handle;
  uint64_t link;     /* 0: nobody waits for the answer any more */
  node_wait_t *wait; /* NULL: none */
  int64_t until_ns;
  replica_result_t result; /* of the answer; lives until the next step */
} node_pending_t;

/* What is kept for a checkpoint, whether or not there is a replica of it here. */
typedef struct node_shared {
  node_t *node;
  directory_checkpoint_t *checkpoint;
  replicator_t *replicator; /* NULL: nothing here */
  struct node_shared *attend_next;
  bool attend;
  node_kept_t *kept, **kept_last;
  uint32_t kept_changes;      /* CHANGEs among them: later ones come after them */
  uint32_t kept_loose;        /* held ones, and continued iterations, among the others */
  bool kept_new;              /* one came that was not looked at since */
  int64_t kept_due_ns;        /* when one is given up, or sent again, next */
  node_kept_seen_t kept_seen; /* as of when all of them were looked at last */
  uint64_t stirred;           /* rises whenever what is held may be judged again */
  node_pending_t *pending, **pending_last;
  bool drains;                      /* an operation on the whole checkpoint is due: no change is begun before */
  uint64_t lead_epoch;              /* since which this node is primary, in this life */
  uint64_t inherited_seq;           /* what was prepared before this node was primary is up to here */
  node_local_t *local_spare;        /* for when there is a replica here */
  bool gone;                        /* there was to be a region here, and there was none */
  uint64_t epoch_seen, config_seen; /* that the replicator was told of */
  uint32_t primary_seen;
  bool held_seen;
  uint32_t in_sync[VESTA_REPLICAS_MAX]; /* as of config_seen, */
  uint32_t in_sync_count;
  int64_t held_until_ns; /* and who was among them before may be read until then: nothing is committed without it */
  /* a replica here is wanted: by the primary, or for somebody here */
  enum { NODE_LEAVE_ASKS, NODE_LEAVE_KNOWN, NODE_LEAVE_DIVERGED } leave; /* is what is here the primary's too? */
  bool diverged;                                                         /* one that was here is kept aside */
  uint32_t joining;       /* WIRE_REPLICA_...: as what; NONE: it is not */
  int64_t join_again_ns;  /* when to ask again */
  int64_t asked_until_ns; /* the primary wants it; until then what is here is kept */
  /* no primary */
  int64_t claim_again_ns; /* when to claim again */
  int64_t claim_until_ns; /* coordinator: nobody's claim is waited for after that; 0: it does not wait */
  int64_t elect_again_ns; /* coordinator: when to order the primary again */
  int64_t tell_again_ns;  /* when to order again what the replica here knows and the directory does not */
  /* the primary is here */
  bool commit_awaited;    /* members are waited for to apply what was committed in this step */
  bool openers_changed;   /* who has it open, or where replicas are, since that was last looked at */
  uint64_t placed_config; /* an OP_REPLICA was ordered on this configuration, */
  int64_t place_again_ns; /* and is ordered again then */
  uint32_t inviting;      /* a node that is being given a replica; 0: none */
  uint32_t inviting_as;
  bool caught_up;
  uint64_t invite_config; /* that it is one now was ordered on this configuration; 0: not yet */
  int64_t invite_again_ns, invite_until_ns;
  uint32_t refused;       /* who was invited last could not take what it was sent: rather another one, */
  int64_t invite_rest_ns; /* and nobody before this */
  uint32_t handover; /* the node that is to become primary when it has all; nothing new is taken until then. 0: none */
  int64_t handover_until_ns;
  bool handover_ordered;
  vesta_token_t handover_session; /* who asked for it; none: nobody */
  uint64_t handover_number;
  deadline_t wake;      /* the earliest of all that it waits for */
  int64_t readable_ns;  /* written into the replica */
  int64_t passed_on_ns; /* when a sign of life was sent to the primary's node */
  bool refilled;        /* from another node's, and nothing of the primary's epoch was committed here since: it may lack
                             * what an earlier primary has acknowledged, whatever the directory says of it */
} node_shared_t;

/* A message from a node that has applied more than this one. */
typedef struct node_deferred {
  struct node_deferred *next;
  uint32_t from;
  int64_t since_ns;
  uint64_t bytes;
  wire_message_t message;
  vesta_bytes_t payload;
} node_deferred_t;

/* Memory of one step. */
typedef struct node_arena {
  struct node_arena *next;
  uint64_t capacity, used;
  uint8_t bytes[];
} node_arena_t;

struct node_cluster {
  order_t *order;
  replicator_scratch_t *scratch;
  node_arena_t *arena;
  uint64_t arena_bytes;   /* used in this step */
  directory_t *shadow;    /* being adopted */
  wire_message_t *orders; /* to be proposed at the end of this step */
  uint32_t order_count, order_max;
  node_shared_t *attend, **attend_last;
  table_t kept;    /* node_kept_t by request */
  table_t pending; /* node_pending_t by request */
  uint32_t kept_count;
  uint64_t kept_bytes;
  uint32_t sent;          /* the last number under which one was sent; begins anywhere */
  node_kept_t *kept_done; /* of this step */
  node_pending_t *pending_done;
  node_deferred_t *deferred, **deferred_last;
  uint32_t deferred_count;
  uint64_t deferred_bytes;
  vesta_token_t answering;        /* whose request is being answered, if on a remote link */
  int64_t lease_ns;               /* as of the last step */
  int64_t leased_ns;              /* as of when it was written into the replicas */
  bool ending;                    /* nothing new is begun where the primary is here */
  bool has_quorum;                /* there is a lease, and streams were told so */
  int64_t start_ns;               /* of this life */
  int64_t step_ns;                /* of the last step */
  int64_t awake_ns;               /* this node has not stood still since */
  int64_t look_ns;                /* when to look at all */
  int64_t silent_again_ns;        /* not before: look at all because of a participant that is silent */
  int64_t activated_ns;           /* when the view was, or was said to be usable again */
  uint32_t load[VESTA_NODES_MAX]; /* replicas that each participant has */
  wire_element_t *claims;         /* of this step */
  uint32_t claim_count;
  deadlines_t wakes;        /* the checkpoints' */
  bool look_at_all;         /* participants have changed */
  bool caught_up;           /* in this life it was in a usable view, and knew all that was ordered before */
  uint64_t caught_up_index; /* of the last operation that was ordered before the view it is in */
  bool restoring;           /* the journal is being read */
  bool fall_out;            /* something that had to be journalled or multicast found no memory */
  struct {
    uint32_t node;
    int64_t end_ns; /* when its orphans end */
  } gone[VESTA_NODES_MAX];
  uint32_t gone_count;
};

/* ---- node_group.c ---- */
vesta_err_t node_cluster_new(node_t *node);
void node_cluster_destroy(node_t *node);
void node_cluster_start(node_t *node, bool has_directory);
void node_cluster_begin(node_t *node);
/** The message of a new operation to be ordered, to be filled in. */
wire_message_t *node_cluster_order(node_t *node);
/** An event that only comes in a cluster. */
void node_cluster_event(node_t *node, const node_event_t *event);
/** All that the event led to. */
void node_cluster_end(node_t *node);
void node_cluster_time(node_t *node);
int64_t node_cluster_wake_ns(const node_t *node);
/** A message and its payload, copied into the memory of this step. @return false: no memory */
bool node_keep_message(node_t *node, const wire_message_t *from, vesta_bytes_t payload, wire_message_t *to,
                       vesta_bytes_t *payload_to);
/** Answers from that action on: a step may go on to other requests, so what they point to is copied. `changed`: one that
 *  finds no memory may not become an error, what was asked for may be done. */
void node_keep_answers(node_t *node, uint32_t first, bool changed);
/** Memory of this step. NULL: none. */
void *node_arena(node_t *node, uint64_t bytes);
node_action_t *node_peer_send(node_t *node, uint32_t to, const wire_message_t *message, vesta_bytes_t payload);
/** The lowest participant that is not silent orders what must be ordered by one. Two may think so for a moment: no harm. */
bool node_is_coordinator(const node_t *node);
/** Has nothing been heard of another participant for so long? */
bool node_is_silent(const node_t *node, uint32_t other, int64_t for_ns);
/** Is there room for what attending to something leads to, in this step? */
bool node_has_room(const node_t *node);
/** Does this node's directory have all that was ordered before the view it is in? */
bool node_is_current(const node_t *node);

/* ---- node_shared.c ---- */
/** What is kept for a checkpoint. NULL: no memory now; it is tried again when it is attended to next. */
node_shared_t *node_shared(node_t *node, directory_checkpoint_t *checkpoint);
void node_shared_end(node_t *node, node_shared_t **shared);
void node_mark(node_t *node, directory_checkpoint_t *checkpoint);
/** Wake it up at that time, or earlier. */
void node_shared_later(node_shared_t *shared, int64_t at_ns);
/** Is its primary here, and may it serve? Alone: always. */
bool node_leads(const node_t *node, const directory_checkpoint_t *checkpoint);
/** May it be read from here now? */
bool node_readable(const node_t *node, const directory_checkpoint_t *checkpoint);
void node_lease(node_t *node);
void node_shared_configure(node_t *node, node_shared_t *shared);
/** Is this change, asked for again, prepared already? Then it is answered when it is committed, whatever has changed since. */
bool node_shared_under_way(node_t *node, const node_request_t *request);
void node_shared_change(node_t *node, const node_request_t *request);
void node_shared_attend(node_t *node, node_shared_t *shared);
void node_shared_peer(node_t *node, uint32_t from, const wire_message_t *message, vesta_bytes_t payload);
void node_shared_peer_up(node_t *node, uint32_t peer);
/** Begin to have a replica here: it says to the primary that there is none. */
void node_shared_begin(node_t *node, node_shared_t *shared);
/** This node's replica goes; when it went another way than the cluster it is kept aside. */
void node_shared_leave(node_t *node, node_shared_t *shared, bool diverged);
/** The region of a new checkpoint. */
vesta_err_t node_shared_make(node_t *node, directory_checkpoint_t *checkpoint);

/* ---- node_place.c ---- */
void node_place(node_t *node, node_shared_t *shared);
void node_place_all(node_t *node);
/** Look whether a participant is silent for too long: its primaries go to others. */
void node_place_silent(node_t *node);
/** Look at all checkpoints at that time, or earlier. */
void node_place_look(node_t *node, int64_t at_ns);
void node_place_asked(node_t *node, uint32_t from, const wire_message_t *message);
void node_place_caught_up(node_t *node, node_shared_t *shared, uint32_t copy);
void node_place_failed(node_t *node, node_shared_t *shared, uint32_t copy);
/** Somebody takes over: the primary here, or an active. Nobody is given a replica for a moment. */
void node_place_calm(const node_t *node, node_shared_t *shared);
/** The application of a collocated checkpoint wants its active replica on its node. */
void node_hand_over(node_t *node, const node_request_t *request);
/** An OP_ACTIVE was applied, or can't be ordered. */
void node_handed_over(node_t *node, const wire_message_t *op);
/** Is the primary about to be moved? Nothing new is begun then. */
bool node_hands_over(const node_t *node, const directory_checkpoint_t *checkpoint);
/** Somebody here needs a replica here: ask for one. */
void node_place_wanted(node_t *node, node_shared_t *shared, uint32_t as);
/** The epoch in which another node becomes the primary: later than the directory's and than one that was seen elsewhere. */
uint64_t node_epoch_next(const node_t *node, const directory_checkpoint_t *checkpoint, uint64_t seen);
/** Order the claims of this step. */
void node_place_claims(node_t *node);

/** After all was sent: be there when a copy will have owed its acknowledgement for too long. */
void node_place_watch(node_t *node, node_shared_t *shared);
/** So many replicas in sync it should have. */
uint32_t node_place_wished(const node_t *node, const directory_checkpoint_t *checkpoint);

/* ---- node_operator.c ---- */
/** How the cluster stands. */
void node_cluster_told(node_t *node, const node_request_t *request);
/** The operator gives up what only nodes have that are away. */
void node_recover(node_t *node, const node_request_t *request);
/** The same, on the node whose replica it is to go on with; from the node that was asked. */
void node_recover_here(node_t *node, const node_event_t *event);
/** The operator has seen what was kept here as DIVERGED. */
void node_discard(node_t *node, const node_request_t *request);
/** The row of USERS for the next of a checkpoint's replicas, by node. */
void node_users_replica(const node_t *node, const directory_checkpoint_t *checkpoint, uint64_t after,
                        wire_message_t *row);

/* ---- node_route.c ---- */
/** True: the request was taken care of: held, or sent to the primary. */
bool node_route(node_t *node, const node_request_t *request);
/** Keep it, to be judged again later; answers TRY_AGAIN when it can't be kept. */
void node_hold(node_t *node, const node_request_t *request);
/** The one place where what is kept is looked at again: all of it when anything has changed that all of it waits for
 *  (node_kept_seen_t), or a time has come. */
void node_kept_attend(node_t *node, node_shared_t *shared);
/** Is there anything for it to do? */
bool node_kept_waits(const node_t *node, const node_shared_t *shared);
/** Something has changed: what is held may be judged again. */
void node_kept_unblock(node_shared_t *shared);
void node_kept_end(node_t *node, node_kept_t *kept);
node_kept_t *node_kept_find(const node_t *node, vesta_token_t session, uint64_t number);
uint64_t node_request_hash(vesta_token_t session, uint64_t number);
/** A request from another node; an answer from one. */
void node_remote_request(node_t *node, const node_event_t *event);
void node_remote_reply(node_t *node, const node_event_t *event);
/** Where a session's answers go: its link, or its node. 0: nowhere now. */
uint64_t node_session_link(const node_t *node, const directory_session_t *session);

#endif
