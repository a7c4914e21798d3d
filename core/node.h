/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The node director: what a node does, as a pure state machine.
 *
 *     event  ->  node_step()  ->  actions
 *
 * Events are what happened: a request on an agent's link, a link or a process gone, an ordered operation delivered, time
 * passing. Actions are what to do about it: answer, order an operation, publish what was committed. The node does no
 * I/O, reads no clock and draws no random number; all of that comes inside the event. So the simulator can run the
 * very same node, and a crash between any two actions is one of its ordinary choices.
 *
 * Two planes meet here:
 *
 *   control  open, close, unlink, roles ... become *ordered operations* (OP_... of wire.h). The node asks for one with
 *            NODE_ACTION_ORDER; whoever runs the node writes it to the journal (in a cluster: to the group) and gives it
 *            back as NODE_EVENT_ORDERED, on which the directory (directory.h) changes and the answer goes out. On one
 *            node that happens within the same turn of the loop. At start the journal is played to
 *            node_restore() first, which gives the same directory.
 *
 *   data     changes of sections go straight to the replica's log (replica.h), are answered once they are committed,
 *            and are published after that. They never enter the journal.
 *
 * Actions are to be carried out in their order. Pointers in an action live until the next call on the node.
 */
#ifndef VESTA_CORE_NODE_H
#define VESTA_CORE_NODE_H

#include "core/error.h"
#include "core/order.h"
#include "core/replica.h"
#include "core/types.h"
#include "core/wire.h"

typedef struct node node_t;

/* Where regions of replicas come from. All regions read as zeros when new. */
typedef struct node_storage {
  void *context;
  /* Make the region of a new checkpoint. @return OK; NO_SPACE, NO_RESOURCES, NO_MEMORY, and nothing is left behind */
  vesta_err_t (*create)(void *context, uint64_t checkpoint_id, uint64_t size, void **region, replica_storage_t *pages);
  /* Map the region that an earlier run left; one that is mapped already is given again. @return OK; NOT_EXIST; NO_MEMORY,
   * NO_RESOURCES */
  vesta_err_t (*open)(void *context, uint64_t checkpoint_id, void **region, uint64_t *size, replica_storage_t *pages);
  /* Unmap a region and delete what is behind it. */
  void (*remove)(void *context, uint64_t checkpoint_id);
  /* In a cluster: the region `from` (NODE_REGION_SHADOW, or one that is there) is known as `to` from now on; what was
   * `to` is removed. Both stay mapped where they are. */
  void (*rename)(void *context, uint64_t from, uint64_t to);
  /* In a cluster: is there such a region, mapped or not? */
  bool (*has)(void *context, uint64_t id);
} node_storage_t;

/* Regions beside that of a checkpoint, under its id and one of these bits. */
#define NODE_REGION_SHADOW (1ULL << 63) /* being filled from another node's */
#define NODE_REGION_DIVERGED \
  (1ULL << 62) /* what this node had, and the cluster went another way; kept for the operator */

/* A link number with this bit is no link here but a node (its low half), whose client asks; the bits between say how often
 * that node has sent the request. */
#define NODE_LINK_REMOTE (1ULL << 63)

typedef struct node_config {
  uint32_t node_id;             /* 1 when alone */
  bool clustered;               /* there are others: NODE_EVENT_VIEW and so on will come, and ORDER is not used */
  uint64_t incarnation, random; /* as order_config_t; when clustered */
  order_policy_t policy;
  uint32_t version_min, version_max;
  uint32_t replicas;        /* of a checkpoint that is not collocated, this one's included; 0: VESTA_REPLICAS_DEFAULT */
  int64_t peer_timeout_ns;  /* 0: VESTA_PEER_TIMEOUT_MS */
  int64_t session_grace_ns; /* 0: VESTA_SESSION_GRACE_MS */
  uint32_t owner_uid;       /* the service's user: may do what only operators may */
  node_storage_t storage;   /* copied; its context outlives the node */
  vesta_bytes_t stream_endpoints; /* told to who opens a stream: "PUB-ENDPOINT ROUTER-ENDPOINT"; lives with the node */
} node_config_t;

typedef enum node_event_kind {
  NODE_EVENT_REQUEST,      /* link, message, payload; for a HELLO also peer, has_pidfd, random */
  NODE_EVENT_LINK_GONE,    /* link: its socket is closed */
  NODE_EVENT_PROCESS_GONE, /* session: its process is dead */
  NODE_EVENT_ORDERED,      /* message: an operation, delivered */
  NODE_EVENT_REFUSED,      /* message, error: an operation that the node asked for can't be ordered (journal full) */
  NODE_EVENT_TIME,         /* the time of node_wake_ns() has come, or later */
  /* clustered */
  NODE_EVENT_VIEW,     /* ring, members, member_count */
  NODE_EVENT_QUORUM,   /* ring, quorate, expected */
  NODE_EVENT_FENCED,   /* node: is known to be dead */
  NODE_EVENT_GROUP,    /* node, message: delivered by the group */
  NODE_EVENT_FALL_OUT, /* a message of the group could not be read, or a row not be journalled */
  NODE_EVENT_PEER,     /* node, message, payload: over the link between the two */
  NODE_EVENT_ENDING,   /* this life is about to end, in good order: see node_drained() */
  NODE_EVENT_PEER_UP,  /* node: there is a new link to it; what was sent on the old one and not delivered is lost */
} node_event_kind_t;

typedef struct node_event {
  node_event_kind_t kind;
  int64_t wall_ns;   /* since 1970; always set */
  int64_t steady_ns; /* CLOCK_BOOTTIME; always set, never goes back */
  uint64_t link;     /* daemon's number of a link, from 1, never reused */
  const wire_message_t *message;
  vesta_bytes_t payload;
  vesta_err_t error;
  vesta_token_t session;
  vesta_token_t random;  /* fresh random bits; always set for REQUEST */
  uint32_t uid, pid;     /* HELLO: who, as the kernel says */
  uint64_t start;        /* HELLO: start time of that process, clock ticks since boot */
  vesta_bytes_t program; /* HELLO: that process's name, cut off at VESTA_PROGRAM_BYTES_MAX; empty: unknown */
  uint32_t node;
  order_ring_t ring;
  const uint32_t *members;
  uint32_t member_count;
  bool quorate;
  uint32_t expected;
  bool watched; /* HELLO: the daemon watches the process and will say PROCESS_GONE; otherwise the end of the
                           link is taken for the end of the session */
} node_event_t;

typedef enum node_action_kind {
  NODE_ACTION_SEND, /* link, message, payload; attach != 0: with a read-only descriptor of that checkpoint's region */
  NODE_ACTION_CLOSE_LINK, /* link: after what was sent */
  NODE_ACTION_WATCH,      /* link, session: this link's process is the session's: PROCESS_GONE(session) when it dies */
  NODE_ACTION_UNWATCH,    /* session: it is over */
  NODE_ACTION_ORDER,      /* message: have it ordered */
  NODE_ACTION_PUBLISH,    /* checkpoint, replica, first_seq to last_seq were committed; awaited */
  NODE_ACTION_REMOVED,    /* checkpoint: is no more; streams of it end */
  /* clustered */
  NODE_ACTION_MULTICAST, /* message: to the group, own delivery included */
  NODE_ACTION_JOURNAL,   /* message: append, before the next action; where it fails: FALL_OUT after this step, of which
                          * no MULTICAST, JOURNAL or REWRITE is done any more; all else is */
  NODE_ACTION_REWRITE,   /* the journal is to be written anew (node_snapshot()), before the next action */
  NODE_ACTION_PEER,      /* node, message, payload */
  NODE_ACTION_REJOIN,    /* leave the group and join it again */
  NODE_ACTION_DIVERGED,  /* checkpoint: what was here is kept aside; people should know */
  NODE_ACTION_QUORUM,    /* quorum: this node may serve now, or not any more (node_has_quorum()); streams are told */
} node_action_kind_t;

typedef struct node_action {
  node_action_kind_t kind;
  uint64_t link;
  const wire_message_t *message;
  vesta_bytes_t payload;
  uint64_t attach;
  vesta_token_t session;
  uint64_t checkpoint;
  const replica_t *replica;
  uint64_t first_seq, last_seq;
  uint32_t node;
  bool awaited; /* PUBLISH: somebody waits for them to be applied; PEER: for what comes of it, else it need not hurry */
  bool quorum;  /* QUORUM */
} node_action_t;

typedef struct node_actions {
  const node_action_t *items;
  uint32_t count;
} node_actions_t;

/** @return OK; NO_MEMORY */
vesta_err_t node_new(const node_config_t *config, node_t **out);
void node_destroy(node_t **node);

/**
 * At start, before any step: play one operation of the journal, as it was ordered in an earlier run.
 * @return OK; MALFORMED when it makes no sense
 */
vesta_err_t node_restore(node_t *node, const wire_message_t *op);

/**
 * At start, after the journal: take up the replicas' regions. A checkpoint whose region is gone is forgotten (counted,
 * NODE_COUNTER_REPLICAS_LOST); what the directory knows and a replica does not yet (a crash in between) is applied.
 * The actions then ask for PROCESS_GONE judgements: one WATCH with link 0 for each session that was restored.
 * @return OK; NO_MEMORY, NO_RESOURCES, NO_SPACE when a region that is there can't be taken up now: nothing is forgotten
 */
vesta_err_t node_start(node_t *node, int64_t wall_ns, int64_t steady_ns, node_actions_t *actions);

/** Process and start time of a session, for the daemon to find out whether it still lives. False: unknown session. */
bool node_session_process(const node_t *node, vesta_token_t session, uint32_t *uid, uint32_t *pid, uint64_t *start);

/** One event. Never fails: whatever goes wrong is an answer. */
void node_step(node_t *node, const node_event_t *event, node_actions_t *actions);

/** When NODE_EVENT_TIME is due, in steady_ns; INT64_MAX: not at all. Wall-clock deadlines (expiry) are converted with the
 *  difference of the clocks at the last event. */
int64_t node_wake_ns(const node_t *node);

/** The replica of a checkpoint, NULL when there is none here. Valid until the next step. */
const replica_t *node_replica(const node_t *node, uint64_t checkpoint_id);

/** Does the directory have this checkpoint, wherever its replicas are? */
bool node_knows(const node_t *node, uint64_t checkpoint_id);

/** Is there no such checkpoint any more, for sure? Not while this node may know less than others: before it has caught up,
 *  or without quorum. */
bool node_is_gone(const node_t *node, uint64_t checkpoint_id);

/** May whoever shows this token read the stream of that checkpoint? (It was given out by a STREAM request of a session
 *  that lives and has the checkpoint open for READ.) @return OK; ACCESS; TRY_AGAIN: what is known here may be long since
 *  wrong (node_caught_up()), or there is no replica here now */
vesta_err_t node_stream_check(const node_t *node, vesta_token_t token, uint64_t checkpoint_id);

/** Is that a position which this node's replica has not got to, and may other nodes have committed what leads there? Then
 *  nothing can be said of it for now. Not where they surely have not: this node is alone, or the primary; or a copy that
 *  hears the primary, and has got nothing new for a while or the position is of a later epoch. */
bool node_may_be_behind(const node_t *node, uint64_t checkpoint_id, vesta_pos_t position);

/** The order of the cluster, to be looked at. NULL: this node is alone. */
const order_t *node_cluster_state(const node_t *node);

/** True when the directory is known to be that of now: at once when alone, in a cluster when the node has been in a usable
 *  view and knows all that was ordered before. Until then regions that no checkpoint has may yet be somebody's. */
bool node_caught_up(const node_t *node);

/** In a cluster, after ENDING: has every replica in sync all that was written through this node? From ENDING on nothing new
 *  is begun by it as a primary; who asks is not answered, and asks again in another life or another place. Alone: always. */
bool node_drained(const node_t *node);

/** In a cluster: has this node its lease (order.h)? Without it, others may go on without this node: nothing is read or
 *  written through it, and who follows or is active here should know. As of the last step; alone: always. */
bool node_has_quorum(const node_t *node);

/** True when no session lives and nothing is open or retained: a private daemon may end. */
bool node_idle(const node_t *node);

/** Write the whole directory as operations that node_restore() takes, into `emit`, which returns false to stop (the journal is being
 *  rewritten shorter). */
bool node_snapshot(const node_t *node, bool (*emit)(void *context, const wire_message_t *op), void *context);

/* Counters, for INFO and for tests. name, text */
#define NODE_COUNTERS(X)                                                  \
  X(REQUESTS, "requests taken")                                           \
  X(ERRORS, "requests answered with an error")                            \
  X(RESENT, "resent requests answered from the stored result")            \
  X(SESSIONS, "sessions that live now")                                   \
  X(HANDLES, "checkpoint handles open now")                               \
  X(CHECKPOINTS, "checkpoints that exist now, unlinked ones too")         \
  X(STREAMS, "streams open now, those that are listed")                   \
  X(STREAMS_UNLISTED, "streams not listed, limit of those reached")       \
  X(SESSIONS_REFUSED, "sessions refused, limit reached")                  \
  X(HANDLES_REFUSED, "opens refused, limit of handles reached")           \
  X(CHECKPOINTS_REFUSED, "creates refused, limit of checkpoints")         \
  X(COMMITTED, "operations committed")                                    \
  X(COMMITTED_BYTES, "bytes of data of these")                            \
  X(EXPIRED, "sections expired")                                          \
  X(RETIRED, "checkpoints removed after their retention")                 \
  X(FENCED, "writes refused because the group's active is another")       \
  X(PROMOTIONS, "members promoted")                                       \
  X(PROMOTIONS_DIRTY, "members active without all up to their barrier")   \
  X(SILENT, "active members succeeded because they were silent")          \
  X(REVOKED, "promotions revoked, the barrier was not met in time")       \
  X(ORDER_REFUSED, "ordered operations that found no room")               \
  X(REPLICAS_LOST, "replicas whose region was gone at start")             \
  X(TRACKED, "changes told to those who track them")                      \
  X(TRACKED_MISSED, "not told: there was no link of callbacks")           \
  X(TRACKED_OVERFLOWS, "links of callbacks closed, too much to tell")     \
  X(APPLIED_WAITS, "changes that waited for members to apply them")       \
  X(APPLIED_LATE, "of these, answered TIMEOUT: not applied in time")      \
  X(DIVERGED, "replicas that had gone another way than the cluster")      \
  X(TRANSFERS, "replicas that were filled from another node's")           \
  X(KEPT_REFUSED, "requests that found no room to wait for another node") \
  X(DEFERRED_LOST, "messages of nodes that were ahead, no room")          \
  X(APPLIED_REFUSED, "not made to wait, limit of those reached")

typedef enum node_counter {
#define NODE_COUNTER_ENUM(name, text) NODE_COUNTER_##name,
  NODE_COUNTERS(NODE_COUNTER_ENUM)
#undef NODE_COUNTER_ENUM
      NODE_COUNTER_COUNT
} node_counter_t;
uint64_t node_counter(const node_t *node, node_counter_t counter);

#endif
