/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See node_runner.h.
 */
#include "daemon/node_runner.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "daemon/info.h"
#include "daemon/log.h"
#include "daemon/peer.h"

#define RUNNER_RANDOM_BYTES 4096U
/* The longest run of events that one can set off: a session with all its handles ends, and each of its checkpoints gets another
 * active. Untouched memory costs nothing. */
#define RUNNER_QUEUE_BYTES (64ULL << 20)
#define RUNNER_ANSWER_BYTES 256U
#define RUNNER_REJOIN_NS INT64_C(1000000000) /* between two attempts to write the journal anew */

/* An event that waits in the queue; `size` bytes of an encoded message follow. */
typedef struct queued_event {
  uint32_t size;
  node_event_kind_t kind;
  vesta_err_t error;
  vesta_token_t session;
} queued_event_t;

struct node_runner {
  const daemon_parts_t *parts;
  wire_decoder_t *decoder;
  uint8_t *queue;
  size_t queue_begin, queue_end;
  bool agents_asked; /* in this turn */
  bool peers_wait;   /* the links to other nodes have more to be taken */
  bool journal_bad;  /* a row is missing in it */
  bool swept;        /* regions that no checkpoint has are gone */
  bool fallen_out;   /* the node is to be told so */
  int64_t rejoin_ns; /* when to rejoin, once the journal is whole; INT64_MAX: not wanted */
  uint8_t *group_message;
  uint8_t random[RUNNER_RANDOM_BYTES];
  size_t random_left;
  uint64_t start; /* this process's, as peer_process_start() has it */
  uint8_t answer[RUNNER_ANSWER_BYTES];
};

node_runner_t *node_runner_new(const daemon_parts_t *parts) {
  node_runner_t *runner = calloc(1, sizeof *runner);
  if (runner == NULL) {
    return NULL;
  }
  runner->parts = parts;
  runner->start = peer_process_start((uint32_t)getpid());
  runner->decoder = wire_decoder_new();
  runner->queue = malloc(RUNNER_QUEUE_BYTES);
  runner->group_message = malloc(VESTA_FRAME_HEAD_BYTES_MAX);
  runner->rejoin_ns = INT64_MAX;
  if (runner->decoder == NULL || runner->queue == NULL || runner->group_message == NULL) {
    node_runner_destroy(&runner);
  }
  return runner;
}

void node_runner_destroy(node_runner_t **runner) {
  if (*runner != NULL) {
    wire_decoder_destroy(&(*runner)->decoder);
    free((*runner)->queue);
    free((*runner)->group_message);
    free(*runner);
    *runner = NULL;
  }
}

/* Drawn in lots: a call to the kernel for every request would cost as much as the request. */
static vesta_token_t runner_random(node_runner_t *runner) {
  vesta_token_t token;
  if (runner->random_left < sizeof token) {
    ssize_t size;
    do {
      size = getrandom(runner->random, sizeof runner->random, 0);
    } while (size < (ssize_t)sizeof runner->random);
    runner->random_left = sizeof runner->random;
  }
  runner->random_left -= sizeof token;
  memcpy(&token, runner->random + runner->random_left, sizeof token);
  memset(runner->random + runner->random_left, 0, sizeof token);
  return token;
}

static node_event_t runner_event(node_event_kind_t kind) {
  return (node_event_t){.kind = kind, .wall_ns = loop_wall_ns(), .steady_ns = loop_steady_ns()};
}

/* ---- the queue ---- */

static void runner_enqueue(node_runner_t *runner, queued_event_t event, const wire_message_t *message) {
  size_t at = runner->queue_end + sizeof event;
  VESTA_ASSERT(at <= RUNNER_QUEUE_BYTES);
  if (message != NULL) {
    size_t size = 0;
    vesta_err_t err = wire_encode(message, runner->queue + at, RUNNER_QUEUE_BYTES - at, &size);
    VESTA_ASSERT(err == VESTA_OK);
    event.size = (uint32_t)size;
  }
  memcpy(runner->queue + runner->queue_end, &event, sizeof event);
  runner->queue_end = at + event.size;
}

/* ---- actions ---- */

static void runner_send(node_runner_t *runner, const node_action_t *action) {
  if ((action->link & STREAM_GUESTS_LINK) != 0) {
    stream_guests_answered(runner->parts->guests, action->link, action->message);
    return;
  }
  int attach = action->attach == 0 ? -1 : storage_descriptor(runner->parts->storage, action->attach);
  if (action->attach != 0 && attach < 0) {
    log_write(LOG_ID_REPLICA_OPEN, "checkpoint=%" PRIu64 " text=\"no descriptor for an agent\"", action->attach);
  }
  agent_server_send(runner->parts->server, action->link, action->message, action->payload, attach);
}

static void runner_close_link(node_runner_t *runner, uint64_t link) {
  if ((link & STREAM_GUESTS_LINK) != 0) {
    stream_guests_link_closed(runner->parts->guests, link);
  } else {
    agent_server_close_link(runner->parts->server, link);
  }
}

static void runner_order(node_runner_t *runner, const node_action_t *action) {
  vesta_err_t err = journal_append(runner->parts->journal, action->message);
  runner_enqueue(runner,
                 (queued_event_t){.kind = err == VESTA_OK ? NODE_EVENT_ORDERED : NODE_EVENT_REFUSED, .error = err},
                 action->message);
}

/* A session of an earlier run: is its process still that process? */
static int runner_find_process(node_runner_t *runner, vesta_token_t session, uint32_t *pid, uint64_t *start) {
  uint32_t uid;
  if (!node_session_process(runner->parts->node, session, &uid, pid, start)) {
    return -1;
  }
  int pidfd = peer_process_open(*pid, *start);
  if (pidfd < 0 && (*start == 0 || peer_process_start(*pid) != *start)) {
    runner_enqueue(runner, (queued_event_t){.kind = NODE_EVENT_PROCESS_GONE, .session = session}, NULL);
  } else if (pidfd < 0) {
    log_write(LOG_ID_UNWATCHED, "pid=%u text=\"its death will not be noticed before it is resumed\"", *pid);
  }
  return pidfd;
}

static void runner_watch(node_runner_t *runner, const node_action_t *action) {
  uint32_t pid = 0;
  uint64_t start = 0;
  int pidfd = action->link == 0 ? runner_find_process(runner, action->session, &pid, &start)
                                : agent_server_take_pidfd(runner->parts->server, action->link, &pid, &start);
  if (pidfd >= 0) {
    vesta_err_t err = process_watch_add(runner->parts->watch, action->session, pid, start, pidfd);
    if (err != VESTA_OK) {
      log_write(LOG_ID_UNWATCHED, "pid=%u error=%s", pid, vesta_err_name(err));
    }
  }
}

static bool runner_snapshot(void *context, bool (*emit)(void *emit_context, const wire_message_t *op),
                            void *emit_context) {
  return node_snapshot(context, emit, emit_context);
}

static const replica_t *runner_replica(void *context, uint64_t checkpoint_id) {
  node_runner_t *runner = context;
  return node_replica(runner->parts->node, checkpoint_id);
}

static const replica_t *runner_find(void *context, uint64_t checkpoint_id, bool *gone) {
  node_runner_t *runner = context;
  *gone = node_is_gone(runner->parts->node, checkpoint_id);
  return node_replica(runner->parts->node, checkpoint_id);
}

static void runner_fall_out(node_runner_t *runner) {
  runner->journal_bad = true;
  runner->fallen_out = true;
}

static void runner_multicast(node_runner_t *runner, const wire_message_t *message) {
  size_t size = 0;
  vesta_err_t err = wire_encode(message, runner->group_message, VESTA_FRAME_HEAD_BYTES_MAX, &size);
  VESTA_ASSERT(err == VESTA_OK);
  group_multicast(runner->parts->group, vesta_bytes(runner->group_message, size));
}

/* What only a node of a cluster asks for. When a row could not be journalled the group is told nothing more in this step;
 * all else is done, for the node's own state has changed already: clients wait for answers, processes are to be
 * watched. */
static void runner_act_clustered(node_runner_t *runner, const node_action_t *action) {
  const daemon_parts_t *parts = runner->parts;
  VESTA_ASSERT(parts->group != NULL);
  switch (action->kind) {
    case NODE_ACTION_MULTICAST:
      if (!runner->fallen_out) {
        runner_multicast(runner, action->message);
      }
      break;
    case NODE_ACTION_PEER:
      peers_send(parts->peers, action->node, action->message, action->payload, action->awaited);
      break;
    case NODE_ACTION_JOURNAL:
      if (runner->journal_bad || journal_append(parts->journal, action->message) != VESTA_OK) {
        runner_fall_out(runner);
      }
      break;
    case NODE_ACTION_REWRITE:
      if (runner->fallen_out || journal_rewrite(parts->journal, runner_snapshot, parts->node) != VESTA_OK) {
        runner_fall_out(runner);
      } else {
        runner->journal_bad = false;
      }
      break;
    case NODE_ACTION_REJOIN: runner->rejoin_ns = 0; break;
    case NODE_ACTION_DIVERGED:
      log_write(LOG_ID_DIVERGED, "checkpoint=%" PRIu64 " text=\"what this node had is kept aside\"",
                action->checkpoint);
      break;
    case NODE_ACTION_QUORUM:
      log_write(action->quorum ? LOG_ID_QUORUM : LOG_ID_NO_QUORUM, "text=\"%s\"",
                action->quorum ? "this node serves" : "nothing is read or written through this node for now");
      publisher_quorum(parts->publisher, action->quorum, runner_find, runner);
      break;
    default: /* those of every node: see runner_act() */ VESTA_ASSERT(false);
  }
}

static void runner_act(node_runner_t *runner, const node_actions_t *actions) {
  const daemon_parts_t *parts = runner->parts;
  for (uint32_t i = 0; i < actions->count; i++) {
    const node_action_t *action = &actions->items[i];
    switch (action->kind) {
      case NODE_ACTION_SEND: runner_send(runner, action); break;
      case NODE_ACTION_CLOSE_LINK: runner_close_link(runner, action->link); break;
      case NODE_ACTION_WATCH: runner_watch(runner, action); break;
      case NODE_ACTION_UNWATCH: process_watch_remove(parts->watch, action->session); break;
      case NODE_ACTION_ORDER: runner_order(runner, action); break;
      case NODE_ACTION_PUBLISH:
        if (action->awaited) {
          publisher_awaited(parts->publisher, action->checkpoint, action->last_seq);
        }
        publisher_committed(parts->publisher, action->checkpoint, action->replica, action->first_seq, action->last_seq);
        break;
      case NODE_ACTION_REMOVED:
        publisher_removed(parts->publisher, action->checkpoint);
        hash_server_forget(parts->hash_server, action->checkpoint);
        break;
      case NODE_ACTION_MULTICAST:
      case NODE_ACTION_JOURNAL:
      case NODE_ACTION_REWRITE:
      case NODE_ACTION_PEER:
      case NODE_ACTION_REJOIN:
      case NODE_ACTION_DIVERGED:
      case NODE_ACTION_QUORUM: runner_act_clustered(runner, action); break;
    }
  }
}

static void runner_step_queued(node_runner_t *runner, const queued_event_t *queued, const uint8_t *bytes) {
  node_event_t event = runner_event(queued->kind);
  wire_message_t message;
  node_actions_t actions;
  event.error = queued->error;
  event.session = queued->session;
  if (queued->size > 0) {
    vesta_err_t err = wire_decode(runner->decoder, bytes, queued->size, &message);
    VESTA_ASSERT(err == VESTA_OK);
    event.message = &message;
  }
  node_step(runner->parts->node, &event, &actions);
  runner_act(runner, &actions);
}

static void runner_run_queue(node_runner_t *runner) {
  while (runner->queue_begin < runner->queue_end) {
    queued_event_t queued;
    memcpy(&queued, runner->queue + runner->queue_begin, sizeof queued);
    const uint8_t *bytes = runner->queue + runner->queue_begin + sizeof queued;
    runner_step_queued(runner, &queued, bytes);
    runner->queue_begin += sizeof queued + queued.size; /* only now: the actions may have pointed into it */
  }
  runner->queue_begin = 0;
  runner->queue_end = 0;
}

static bool runner_knows(void *context, uint64_t checkpoint_id) { return node_knows(context, checkpoint_id); }

/* Once: regions that no checkpoint has go, as soon as that is sure. */
static void runner_sweep(node_runner_t *runner) {
  if (!runner->swept && node_caught_up(runner->parts->node)) {
    runner->swept = true;
    storage_sweep(runner->parts->storage, runner_knows, runner->parts->node);
  }
}

/* One event, and all that it leads to. */
static void runner_step(node_runner_t *runner, const node_event_t *event) {
  node_actions_t actions;
  node_step(runner->parts->node, event, &actions);
  runner_act(runner, &actions);
  runner_run_queue(runner);
  if (runner->fallen_out) {
    node_event_t fall = runner_event(NODE_EVENT_FALL_OUT);
    runner->fallen_out = false;
    node_step(runner->parts->node, &fall, &actions);
    runner_act(runner, &actions);
    runner_run_queue(runner);
    runner->fallen_out = false; /* it knows */
  }
  runner_sweep(runner);
}

/* ---- what happens ---- */

vesta_err_t node_runner_start(node_runner_t *runner) {
  node_actions_t actions;
  publisher_quorum(runner->parts->publisher, node_has_quorum(runner->parts->node), runner_find, runner);
  vesta_err_t err = node_start(runner->parts->node, loop_wall_ns(), loop_steady_ns(), &actions);
  if (err == VESTA_OK) {
    runner_act(runner, &actions);
    runner_run_queue(runner);
    runner_sweep(runner);
  }
  return err;
}

void node_runner_request(void *context, const agent_request_t *request) {
  node_runner_t *runner = context;
  runner->agents_asked = true;
  if (request->message->kind == WIRE_INFO) { /* about the daemon, not about what it keeps */
    char text[INFO_BYTES_MAX];
    wire_message_t reply = {.kind = WIRE_REPLY, .number = request->message->number};
    reply.text = vesta_bytes(text, info_write(runner->parts, text, sizeof text));
    agent_server_send(runner->parts->server, request->link, &reply, vesta_bytes(NULL, 0), -1);
    return;
  }
  node_event_t event = runner_event(NODE_EVENT_REQUEST);
  event.link = request->link;
  event.message = request->message;
  event.payload = request->payload;
  event.random = runner_random(runner);
  event.uid = request->uid;
  event.pid = request->pid;
  event.start = request->start;
  event.program = request->program;
  if (event.program.size > VESTA_PROGRAM_BYTES_MAX) {
    event.program.size = VESTA_PROGRAM_BYTES_MAX;
  }
  event.watched = request->watchable;
  runner_step(runner, &event);
}

void node_runner_link_gone(void *context, uint64_t link) {
  node_event_t event = runner_event(NODE_EVENT_LINK_GONE);
  event.link = link;
  runner_step(context, &event);
}

void node_runner_process_gone(void *context, vesta_token_t session) {
  node_event_t event = runner_event(NODE_EVENT_PROCESS_GONE);
  event.session = session;
  log_write(LOG_ID_PROCESS_GONE, "session=%016" PRIx64, session.hi);
  runner_step(context, &event);
}

/* ---- what happens in a cluster ---- */

void node_runner_view(void *context, order_ring_t ring, const uint32_t *members, uint32_t count) {
  node_event_t event = runner_event(NODE_EVENT_VIEW);
  event.ring = ring;
  event.members = members;
  event.member_count = count;
  runner_step(context, &event);
}

void node_runner_quorum(void *context, order_ring_t ring, bool quorate, uint32_t expected) {
  node_event_t event = runner_event(NODE_EVENT_QUORUM);
  event.ring = ring;
  event.quorate = quorate;
  event.expected = expected;
  runner_step(context, &event);
}

void node_runner_fenced(void *context, uint32_t node) {
  node_event_t event = runner_event(NODE_EVENT_FENCED);
  event.node = node;
  runner_step(context, &event);
}

void node_runner_lost(void *context) {
  node_event_t event = runner_event(NODE_EVENT_FALL_OUT);
  runner_step(context, &event);
}

void node_runner_delivered(void *context, uint32_t node, vesta_bytes_t bytes) {
  node_runner_t *runner = context;
  wire_message_t message;
  vesta_err_t err = wire_decode(runner->decoder, bytes.data, bytes.size, &message);
  if (err != VESTA_OK) {
    log_write(LOG_ID_GROUP_MALFORMED, "node=%" PRIu32 " bytes=%zu error=%s", node, bytes.size, vesta_err_name(err));
    node_runner_lost(runner);
    return;
  }
  node_event_t event = runner_event(NODE_EVENT_GROUP);
  event.node = node;
  event.message = &message;
  runner_step(runner, &event);
}

void node_runner_peer(void *context, uint32_t node, const wire_message_t *message, vesta_bytes_t payload) {
  node_runner_t *runner = context;
  node_event_t event = runner_event(NODE_EVENT_PEER);
  event.node = node;
  event.message = message;
  event.payload = payload;
  event.random = runner_random(runner);
  runner_step(runner, &event);
}

void node_runner_ending(node_runner_t *runner) {
  node_event_t event = runner_event(NODE_EVENT_ENDING);
  runner_step(runner, &event);
}

void node_runner_peer_up(void *context, uint32_t node) {
  node_event_t event = runner_event(NODE_EVENT_PEER_UP);
  event.node = node;
  runner_step(context, &event);
}

void node_runner_renamed(void *context, uint64_t checkpoint_id) {
  node_runner_t *runner = context;
  hash_server_forget(runner->parts->hash_server, checkpoint_id);
}

/* ---- the stream ---- */

/* The publisher's doors. */
enum { DOOR_LOCAL, DOOR_GUESTS };

bool node_runner_subscribed(void *context, vesta_bytes_t message) {
  node_runner_t *runner = context;
  return publisher_subscription(runner->parts->publisher, DOOR_LOCAL, message, runner_find, runner, loop_steady_ns());
}

bool node_runner_guest_subscribed(void *context, vesta_bytes_t message) {
  node_runner_t *runner = context;
  publisher_t *publisher = runner->parts->publisher;
  bool begins = message.size > 0 && message.data[0] == 1;
  return !(begins && publisher_subscriptions(publisher, DOOR_GUESTS) >= VESTA_GUEST_SUBSCRIPTIONS_MAX) &&
         publisher_subscription(publisher, DOOR_GUESTS, message, runner_find, runner, loop_steady_ns());
}

/* An answer that says yes or no, and nothing else. */
static void runner_reply(node_runner_t *runner, const wire_message_t *request, vesta_err_t error,
                         stream_answer_t *answer) {
  uint64_t kind = request->kind == WIRE_SNAPSHOT_GET  ? WIRE_SNAPSHOT_CHUNK
                  : request->kind == WIRE_HISTORY_GET ? WIRE_HISTORY_CHUNK
                                                      : WIRE_HASH_REPLY;
  wire_message_t reply = {
      .kind = kind, .number = request->number, .checkpoint = request->checkpoint, .error = (uint64_t)error};
  size_t size = 0;
  vesta_err_t err = wire_encode(&reply, runner->answer, sizeof runner->answer, &size);
  VESTA_ASSERT(err == VESTA_OK);
  *answer = (stream_answer_t){.head = vesta_bytes(runner->answer, size), .payload = vesta_bytes(NULL, 0)};
}

static bool runner_is_request(const wire_message_t *message) {
  return message->kind == WIRE_SNAPSHOT_GET || message->kind == WIRE_HISTORY_GET || message->kind == WIRE_HASH_GET;
}

/* @return false: it is none, or there is no memory */
static bool runner_request_decode(node_runner_t *runner, vesta_bytes_t bytes, wire_message_t *request) {
  vesta_err_t err = wire_decode(runner->decoder, bytes.data, bytes.size, request);
  if (err == VESTA_OK && runner_is_request(request)) {
    return true;
  }
  log_write(LOG_ID_STREAM_MALFORMED, "bytes=%zu error=%s", bytes.size, vesta_err_name(err));
  return false;
}

bool node_runner_judged(void *context, vesta_bytes_t bytes, answer_request_t *judgement) {
  node_runner_t *runner = context;
  wire_message_t request;
  if (!runner_request_decode(runner, bytes, &request)) {
    return false;
  }
  uint32_t uid, pid;
  uint64_t start;
  judgement->sort = (uint32_t)request.kind;
  judgement->walk = request.kind == WIRE_SNAPSHOT_GET;
  judgement->user =
      node_session_process(runner->parts->node, wire_token(&request), &uid, &pid, &start) ? uid : UINT32_MAX;
  return true;
}

bool node_runner_asked(void *context, vesta_bytes_t bytes, stream_answer_t *answer) {
  node_runner_t *runner = context;
  wire_message_t request;
  if (!runner_request_decode(runner, bytes, &request)) {
    return false;
  }
  const replica_t *replica = node_replica(runner->parts->node, request.checkpoint);
  vesta_err_t err = node_stream_check(runner->parts->node, wire_token(&request), request.checkpoint);
  if (err == VESTA_OK && node_may_be_behind(runner->parts->node, request.checkpoint, wire_pos_from(&request))) {
    err = VESTA_ERR_TRY_AGAIN;
  }
  if (err != VESTA_OK) {
    runner_reply(runner, &request, err, answer);
    return true;
  }
  if (request.kind == WIRE_HASH_GET) {
    runner_reply(runner, &request, hash_server_want(runner->parts->hash_server, request.checkpoint), answer);
    return true;
  }
  stream_server_answer(runner->parts->stream_server, replica, &request, &answer->head, &answer->payload);
  answer->walk_goes_on = stream_server_walk_goes_on(runner->parts->stream_server);
  return true;
}

bool node_runner_refused(void *context, vesta_bytes_t bytes, stream_answer_t *answer) {
  node_runner_t *runner = context;
  wire_message_t request;
  if (!runner_request_decode(runner, bytes, &request)) {
    return false;
  }
  runner_reply(runner, &request, VESTA_ERR_TRY_AGAIN, answer);
  return true;
}

/* ---- guests ---- */

stream_came_t node_runner_guest_came(void *context, const stream_guest_t *guest, vesta_bytes_t bytes) {
  node_runner_t *runner = context;
  wire_message_t message;
  vesta_err_t err = wire_decode(runner->decoder, bytes.data, bytes.size, &message);
  if (err != VESTA_OK) {
    return err == VESTA_ERR_NO_MEMORY ? STREAM_CAME_DONE : STREAM_CAME_BAD;
  }
  if (stream_guests_came(runner->parts->guests, guest, &message, loop_steady_ns())) {
    return STREAM_CAME_DONE;
  }
  return runner_is_request(&message) ? STREAM_CAME_WAITS : STREAM_CAME_BAD;
}

/* The session of all guests is this process's. */
static void runner_guests_ask(void *context, uint64_t link, const wire_message_t *request) {
  node_runner_t *runner = context;
  node_event_t event = runner_event(NODE_EVENT_REQUEST);
  event.link = link;
  event.message = request;
  event.random = runner_random(runner);
  event.uid = geteuid();
  event.pid = (uint32_t)getpid();
  event.start = runner->start;
  event.program = vesta_bytes("vestad", 6);
  runner_step(runner, &event);
}

static void runner_guests_leave(void *context, uint64_t link) { node_runner_link_gone(context, link); }

static vesta_err_t runner_guests_check(void *context, vesta_token_t token, uint64_t checkpoint_id) {
  node_runner_t *runner = context;
  return node_stream_check(runner->parts->node, token, checkpoint_id);
}

static uint64_t runner_guests_listeners(void *context, uint64_t checkpoint_id) {
  node_runner_t *runner = context;
  return publisher_listeners(runner->parts->publisher, DOOR_GUESTS, checkpoint_id);
}

static void runner_guests_say(void *context, vesta_bytes_t identity, const wire_message_t *message) {
  node_runner_t *runner = context;
  uint8_t head[RUNNER_ANSWER_BYTES];
  size_t size = 0;
  vesta_err_t err = wire_encode(message, head, sizeof head, &size);
  VESTA_ASSERT(err == VESTA_OK);
  stream_sockets_say(runner->parts->guest_sockets, identity, vesta_bytes(head, size));
}

stream_guests_config_t node_runner_guests(node_runner_t *runner) {
  return (stream_guests_config_t){.context = runner,
                                  .ask = runner_guests_ask,
                                  .leave = runner_guests_leave,
                                  .check = runner_guests_check,
                                  .listeners = runner_guests_listeners,
                                  .say = runner_guests_say};
}

/* ---- turns ---- */

/* Back into the group, with a journal that has all. */
static void runner_rejoin(node_runner_t *runner, int64_t now_ns) {
  const daemon_parts_t *parts = runner->parts;
  if (runner->journal_bad && journal_rewrite(parts->journal, runner_snapshot, parts->node) != VESTA_OK) {
    runner->rejoin_ns = now_ns + RUNNER_REJOIN_NS;
    return;
  }
  runner->journal_bad = false;
  runner->rejoin_ns = INT64_MAX;
  log_write(LOG_ID_GROUP_REJOIN, "text=\"this node could not take part in the view\"");
  group_rejoin(parts->group);
}

static void runner_cluster_turn(node_runner_t *runner, int64_t now_ns) {
  const daemon_parts_t *parts = runner->parts;
  runner->peers_wait = peers_turn(parts->peers, now_ns);
  if (runner->rejoin_ns <= now_ns) {
    runner_rejoin(runner, now_ns);
  }
  group_turn(parts->group, now_ns);
}

void node_runner_turn(node_runner_t *runner) {
  const daemon_parts_t *parts = runner->parts;
  int64_t now_ns = loop_steady_ns();
  if (parts->peers != NULL) {
    peers_flush(parts->peers, now_ns); /* before all else: writers wait for what comes back */
  }
  publisher_flush(parts->publisher, now_ns);
  if (node_wake_ns(parts->node) <= now_ns) {
    node_event_t event = runner_event(NODE_EVENT_TIME);
    runner_step(runner, &event);
  }
  if (parts->group != NULL) {
    runner_cluster_turn(runner, now_ns);
  }
  agent_server_time(parts->server, now_ns);
  while (agent_server_reap(parts->server)) {
    /* telling the node of a link's end may end others */
  }
  if (publisher_wake_ns(parts->publisher) <= now_ns) {
    publisher_time(parts->publisher, now_ns, runner_find, runner);
  }
  publisher_flush(parts->publisher, now_ns);
  hash_server_turn(parts->hash_server, parts->publisher, runner_replica, runner);
  stream_sockets_turn(parts->sockets, runner->agents_asked);
  if (parts->guests != NULL) {
    stream_sockets_turn(parts->guest_sockets, runner->agents_asked);
    stream_guests_turn(parts->guests, now_ns);
  }
  runner->agents_asked = false;
  if (journal_wants_rewrite(parts->journal)) {
    (void)journal_rewrite(parts->journal, runner_snapshot,
                          parts->node); /* logs it itself, and goes on with the old one */
  }
}

static int64_t runner_earlier(int64_t a, int64_t b) { return a < b ? a : b; }

int64_t node_runner_wake_ns(const node_runner_t *runner) {
  const daemon_parts_t *parts = runner->parts;
  if (runner->peers_wait || hash_server_busy(parts->hash_server)) {
    return 0;
  }
  int64_t cluster_ns = INT64_MAX;
  if (parts->group != NULL) {
    cluster_ns = runner_earlier(group_wake_ns(parts->group), peers_wake_ns(parts->peers));
    cluster_ns = runner_earlier(cluster_ns, runner->rejoin_ns);
  }
  int64_t links_ns = runner_earlier(agent_server_wake_ns(parts->server), stream_sockets_wake_ns(parts->sockets));
  links_ns = runner_earlier(links_ns, cluster_ns);
  if (parts->guests != NULL) {
    links_ns = runner_earlier(links_ns, stream_sockets_wake_ns(parts->guest_sockets));
    links_ns = runner_earlier(links_ns, stream_guests_wake_ns(parts->guests));
  }
  return runner_earlier(node_wake_ns(parts->node), runner_earlier(publisher_wake_ns(parts->publisher), links_ns));
}

int64_t node_runner_awake_ns(const node_runner_t *runner) {
  const daemon_parts_t *parts = runner->parts;
  return parts->peers == NULL ? INT64_MIN : peers_awake_ns(parts->peers);
}
