/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The group over libcpg, libquorum and libcmap of corosync 3.
 *
 *   state   | entered                          | left when
 *   --------+----------------------------------+-----------------------------------------------------
 *   AWAY    | at start; the engine was lost    | connected, which may take as long as it likes: OUT
 *   OUT     | connected                        | cpg_join() went through: JOINING
 *   JOINING | it did                           | a notification has this process among the members: IN
 *   IN      | it has                           |
 *   any     | a call fails; told to rejoin     | AWAY
 *
 * When nodes come or go, cpg tells the members first and then the ring's id (its V1 model). Such a change is known by
 * its reason; the view waits for the id. When processes come or go the ring stays, and there is a view at once.
 *
 * The libraries wait for the engine without a limit, and one that is stopped gives no answer. So it is reached, and let go
 * of, by calls on threads of their own (slow_call.h); until they come back this node is without its engine, and answers.
 * In between only what needs no answer is asked of it, but for joining, right after it has given one.
 *
 * When quorum is told, the nodes are looked up in the same way (group_nodes.h). That it is lost counts at once, with the
 * nodes known so far; that it is there counts when the look has come back: a majority is one of a number.
 *
 * Nothing is finalised from within a callback of the library: failures are noted and seen to at the end of the turn.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>

#include <corosync/cpg.h>
#include <corosync/quorum.h>

#include "daemon/group_nodes.h"
#include "daemon/group_parts.h"
#include "daemon/log.h"
#include "daemon/slow_call.h"

#define GROUP_NAME "vesta"
#define GROUP_TAKES_PER_TURN 256        /* messages and notifications */
#define GROUP_AGAIN_NS INT64_C(2000000) /* the engine took no message: tried again after this */
#define GROUP_JOIN_NS INT64_C(20000000) /* the engine let nobody join: the same */
#define GROUP_PATIENCE_MS 200           /* to let go of it in place: an engine that runs answers sooner */
#define GROUP_FIRST_PATIENCE_MS 2000    /* before there is anybody to be kept waiting */

typedef enum group_state { GROUP_AWAY, GROUP_OUT, GROUP_JOINING, GROUP_IN } group_state_t;

/* Connections to the engine. */
typedef struct group_link {
  bool has_cpg, has_quorum;
  cpg_handle_t cpg;
  quorum_handle_t quorum;
} group_link_t;

typedef struct group_waiting {
  struct group_waiting *next;
  uint32_t size, sent;
  uint8_t bytes[];
} group_waiting_t;

struct group {
  group_config_t config;
  loop_t *loop;
  uint32_t node_id, pid;
  group_state_t state;
  bool started;
  bool failed;     /* a call failed: to be seen to */
  bool rejoin;     /* the same because somebody said so */
  bool ring_comes; /* nodes came or went, the new ring's id was not told yet */
  bool ring_known;
  bool queue_lost; /* lost() is to be called */
  bool quorum_due; /* quorum was told, and config.quorum() is to be called when the nodes are known */
  group_link_t link;
  loop_source_t cpg_source, quorum_source;
  slow_call_t *visit; /* AWAY: an attempt is under way, or has come back */
  struct group_visit *visited;
  loop_source_t visit_source;
  group_look_t look;
  order_ring_t ring, quorum_ring;
  bool quorate, told_quorate; /* of quorum_ring: as config.quorum() was called, as the engine says */
  uint32_t members[CPG_MEMBERS_MAX];
  uint32_t member_count;
  uint32_t ring_members[VESTA_NODES_MAX];
  uint32_t ring_member_count;
  group_node_t nodes[VESTA_NODES_MAX];
  uint32_t node_count;
  group_parts_t *parts;
  group_waiting_t *first, **last;
  uint64_t waiting_bytes;
  int64_t retry_ns, pause_ns; /* when the next attempt is due (to connect, join or send), and how long after that */
  uint64_t counters[GROUP_COUNTER_COUNT];
};

static struct cpg_name group_name(void) {
  struct cpg_name name = {.length = sizeof GROUP_NAME - 1};
  memcpy(name.value, GROUP_NAME, sizeof GROUP_NAME - 1);
  return name;
}

static void group_queue_clear(group_t *group) {
  while (group->first != NULL) {
    group_waiting_t *waiting = group->first;
    group->first = waiting->next;
    free(waiting);
  }
  group->last = &group->first;
  group->waiting_bytes = 0;
}

/* ---- the nodes that are configured ---- */

/* The old ones stay when the engine could not say. */
static void group_nodes_take(group_t *group, const group_node_t nodes[VESTA_NODES_MAX], uint32_t count) {
  size_t size = sizeof group->nodes;
  if (count == 0) {
    log_write(LOG_ID_GROUP_REFUSED, "text=\"corosync does not say which nodes there are: is there a nodelist?\"");
  } else if (count != group->node_count || memcmp(nodes, group->nodes, size) != 0) {
    memcpy(group->nodes, nodes, size);
    group->node_count = count;
    if (group->started) {
      group->config.nodes(group->config.context);
    }
  }
}

static void group_quorum_tell(group_t *group) {
  group->quorum_due = false;
  group->quorate = group->told_quorate && group->node_count > 0;
  log_write(LOG_ID_GROUP_QUORUM, "ring=%" PRIu32 ".%" PRIu64 " quorate=%s nodes=%" PRIu32, group->quorum_ring.node,
            group->quorum_ring.seq, group->quorate ? "yes" : "no", group->node_count);
  group->config.quorum(group->config.context, group->quorum_ring, group->quorate,
                       group->node_count == 0 ? 1 : group->node_count);
}

static void group_nodes_looked(void *context, const group_node_t nodes[VESTA_NODES_MAX], uint32_t count) {
  group_t *group = context;
  uint32_t before = group->node_count;
  group_nodes_take(group, nodes, count);
  if (group->quorum_due || group->node_count != before) {
    group_quorum_tell(group);
  }
}

/* ---- what the engine says ---- */

static void group_view_tell(group_t *group) {
  char text[CPG_MEMBERS_MAX * 12] = "";
  for (uint32_t i = 0, at = 0; i < group->member_count; i++) {
    at += (uint32_t)snprintf(text + at, sizeof text - at, "%s%" PRIu32, i == 0 ? "" : ",", group->members[i]);
  }
  log_write(LOG_ID_GROUP_VIEW, "ring=%" PRIu32 ".%" PRIu64 " members=%s", group->ring.node, group->ring.seq, text);
  group_queue_clear(group); /* multicast in another view: whoever said it says it again */
  group_parts_clear(group->parts);
  group->config.view(group->config.context, group->ring, group->members, group->member_count);
}

/* A view, if all that belongs to it is known. */
static void group_view_try(group_t *group) {
  if (group->state == GROUP_IN && group->ring_known && !group->ring_comes) {
    group_view_tell(group);
  }
}

static void group_member_add(group_t *group, uint32_t node) {
  for (uint32_t i = 0; i < group->member_count; i++) {
    if (group->members[i] == node) {
      return;
    }
  }
  group->members[group->member_count++] = node;
}

static bool group_list_has(const struct cpg_address *list, size_t count, uint32_t node, uint32_t pid) {
  for (size_t i = 0; i < count; i++) {
    if (list[i].nodeid == node && list[i].pid == pid) {
      return true;
    }
  }
  return false;
}

static bool group_ring_changes(const struct cpg_address *list, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (list[i].reason == CPG_REASON_NODEDOWN || list[i].reason == CPG_REASON_NODEUP) {
      return true;
    }
  }
  return false;
}

static void group_members_told(cpg_handle_t handle, const struct cpg_name *name, const struct cpg_address *members,
                               size_t member_count, const struct cpg_address *left, size_t left_count,
                               const struct cpg_address *joined, size_t joined_count) {
  void *context = NULL;
  (void)name;
  (void)cpg_context_get(handle, &context);
  group_t *group = context;
  if (!group_list_has(members, member_count, group->node_id, group->pid)) {
    return; /* that it has left; or not joined yet */
  }
  group->state = group->state == GROUP_JOINING ? GROUP_IN : group->state;
  group->member_count = 0;
  for (size_t i = 0; i < member_count && i < CPG_MEMBERS_MAX; i++) {
    group_member_add(group, members[i].nodeid);
    if (members[i].nodeid == group->node_id && members[i].pid != group->pid) {
      log_write(LOG_ID_GROUP_REFUSED,
                "node=%" PRIu32 " pid=%" PRIu32 " text=\"another vestad of this node is in the group\"", group->node_id,
                members[i].pid);
    }
  }
  group->ring_comes |= group_ring_changes(left, left_count) || group_ring_changes(joined, joined_count);
  group_view_try(group);
}

static void group_ring_told(cpg_handle_t handle, struct cpg_ring_id ring, uint32_t member_count,
                            const uint32_t *members) {
  void *context = NULL;
  (void)cpg_context_get(handle, &context);
  group_t *group = context;
  group->ring_member_count = member_count > VESTA_NODES_MAX ? VESTA_NODES_MAX : member_count;
  memcpy(group->ring_members, members, group->ring_member_count * sizeof *members);
  order_ring_t told = {.seq = ring.seq, .node = ring.nodeid};
  bool new_one = !group->ring_known || group->ring_comes || !order_ring_equal(told, group->ring);
  group->ring = told;
  group->ring_known = true;
  group->ring_comes = false;
  if (new_one) {
    group_view_try(group);
  }
}

static void group_message_told(cpg_handle_t handle, const struct cpg_name *name, uint32_t node, uint32_t pid,
                               void *bytes, size_t size) {
  void *context = NULL;
  vesta_bytes_t message;
  (void)name;
  (void)cpg_context_get(handle, &context);
  group_t *group = context;
  if (group->state != GROUP_IN) {
    return;
  }
  vesta_err_t err = group_parts_take(group->parts, node, pid, vesta_bytes(bytes, size), &message);
  if (err != VESTA_OK) {
    group->counters[GROUP_COUNTER_GROUP_MALFORMED]++;
    log_write(LOG_ID_GROUP_MALFORMED, "node=%" PRIu32 " bytes=%zu error=%s", node, size, vesta_err_name(err));
    group->config.lost(group->config.context);
  } else if (message.size > 0) {
    group->counters[GROUP_COUNTER_GROUP_DELIVERED]++;
    group->config.delivered(group->config.context, node, message);
  }
}

static void group_quorum_told(quorum_handle_t handle, uint32_t quorate, struct quorum_ring_id ring,
                              uint32_t member_count, const uint32_t *members) {
  const void *context = NULL;
  (void)member_count;
  (void)members;
  (void)quorum_context_get(handle, &context);
  group_t *group = (group_t *)(uintptr_t)context;
  group->quorum_ring = (order_ring_t){.seq = ring.seq, .node = ring.nodeid};
  group->told_quorate = quorate != 0;
  group->quorum_due = true;
  if (!group_look_begin(&group->look) || !group->told_quorate) {
    group_quorum_tell(group);
  }
}

/* Those of nodes are of no use: cpg has the members that count. The library wants one. */
static void group_nodes_told(quorum_handle_t handle, struct quorum_ring_id ring, uint32_t member_count,
                             const uint32_t *members, uint32_t joined_count, const uint32_t *joined,
                             uint32_t left_count, const uint32_t *left) {
  (void)handle;
  (void)ring;
  (void)member_count;
  (void)members;
  (void)joined_count;
  (void)joined;
  (void)left_count;
  (void)left;
}

/* ---- descriptors ---- */

static void group_cpg_ready(void *context, uint32_t events) {
  group_t *group = context;
  (void)events;
  cs_error_t told = CS_OK;
  for (uint32_t i = 0; i < GROUP_TAKES_PER_TURN && told == CS_OK && !group->failed && !group->rejoin; i++) {
    told = cpg_dispatch(group->link.cpg, CS_DISPATCH_ONE_NONBLOCKING);
  }
  group->failed |= told != CS_OK && told != CS_ERR_TRY_AGAIN;
}

static void group_quorum_ready(void *context, uint32_t events) {
  group_t *group = context;
  (void)events;
  cs_error_t told = quorum_dispatch(group->link.quorum, CS_DISPATCH_ALL);
  group->failed |= told != CS_OK && told != CS_ERR_TRY_AGAIN;
}

/* ---- coming and going ---- */

static void group_visit_ready(void *context, uint32_t events) {
  (void)context; /* that there is a turn is enough */
  (void)events;
}

/* An attempt to reach the engine. One that stands still answers nothing, for however long: hence slow_call.h. */
typedef struct group_visit {
  group_t *group; /* for its callbacks; not looked at from the other thread */
  group_link_t link;
  bool has_node;
  uint32_t quorum_type;
  unsigned int node_id;
  group_node_t nodes[VESTA_NODES_MAX];
  uint32_t node_count;
} group_visit_t;

/* To let go of a connection is to ask the engine, too. */
static void group_link_end(void *argument) {
  const group_link_t *link = argument;
  if (link->has_cpg) {
    (void)cpg_finalize(link->cpg);
  }
  if (link->has_quorum) {
    (void)quorum_finalize(link->quorum);
  }
}

/* What nobody has taken of it goes with it: on its own thread, if it was forgotten before it came back. */
static void group_visit_destroy(void *argument) {
  group_visit_t *visit = argument;
  group_link_end(&visit->link);
  free(visit);
}

/* Its connections are the group's, if it has come back. */
static void group_visit_end(group_t *group) {
  if (group->visit_source.context != NULL) {
    loop_remove(group->loop, &group->visit_source);
  }
  group->visit_source = (loop_source_t){0};
  if (group->visit != NULL && slow_call_done(group->visit, 0)) {
    group->link = group->visited->link;
    group->visited->link = (group_link_t){0};
  }
  slow_call_end(&group->visit);
  group->visited = NULL;
}

static void group_farewell(group_t *group) {
  group_link_t *link = calloc(1, sizeof *link);
  if (link != NULL) {
    *link = group->link;
    slow_call_t *call = slow_call_begin(group_link_end, free, link);
    if (call == NULL) {
      group_link_end(link);
      free(link);
    } else if (!slow_call_done(call, GROUP_PATIENCE_MS)) {
      log_write(LOG_ID_GROUP_STILL, "text=\"corosync does not answer; not waited for\"");
    }
    slow_call_end(&call);
  }
}

static void group_disconnect(group_t *group) {
  if (group->cpg_source.context != NULL) {
    loop_remove(group->loop, &group->cpg_source);
  }
  if (group->quorum_source.context != NULL) {
    loop_remove(group->loop, &group->quorum_source);
  }
  group->cpg_source = (loop_source_t){0};
  group->quorum_source = (loop_source_t){0};
  group_look_forget(&group->look);
  group_visit_end(group);
  if (group->link.has_cpg || group->link.has_quorum) {
    group_farewell(group);
  }
  group->link = (group_link_t){0};
  group->quorum_due = false;
  group->ring_known = false;
  group->ring_comes = false;
  group->failed = false;
  group->quorate = false;
  group->state = GROUP_AWAY;
  group_queue_clear(group);
  group_parts_clear(group->parts);
}

static void group_visit_call(void *argument) {
  group_visit_t *visit = argument;
  cpg_model_v1_data_t cpg = {.model = CPG_MODEL_V1,
                             .cpg_deliver_fn = group_message_told,
                             .cpg_confchg_fn = group_members_told,
                             .cpg_totem_confchg_fn = group_ring_told,
                             .flags = CPG_MODEL_V1_DELIVER_INITIAL_TOTEM_CONF};
  quorum_model_v1_data_t quorum = {
      .model = QUORUM_MODEL_V1, .quorum_notify_fn = group_quorum_told, .nodelist_notify_fn = group_nodes_told};
  group_link_t *link = &visit->link;
  link->has_cpg =
      cpg_model_initialize(&link->cpg, CPG_MODEL_V1, (cpg_model_data_t *)(void *)&cpg, visit->group) == CS_OK;
  link->has_quorum =
      link->has_cpg && quorum_model_initialize(&link->quorum, QUORUM_MODEL_V1, (quorum_model_data_t *)(void *)&quorum,
                                               &visit->quorum_type, visit->group) == CS_OK;
  visit->has_node = link->has_quorum && cpg_local_get(link->cpg, &visit->node_id) == CS_OK;
  if (visit->has_node) {
    visit->node_count = group_nodes_ask(visit->nodes);
  }
}

/* @return false: it can't be tried now */
static bool group_visit(group_t *group, int patience_ms) {
  group_visit_t *visit = calloc(1, sizeof *visit);
  if (visit == NULL) {
    return false;
  }
  visit->group = group;
  group->visit = slow_call_begin(group_visit_call, group_visit_destroy, visit);
  if (group->visit == NULL) {
    free(visit);
    return false;
  }
  group->visited = visit;
  if (!slow_call_done(group->visit, patience_ms) &&
      !loop_add(group->loop, &group->visit_source, slow_call_fd(group->visit), EPOLLIN, group_visit_ready, group)) {
    group_visit_end(group);
    return false;
  }
  return true;
}

/* It has come back. @return false: the engine is not there, or does not fit */
static bool group_connect(group_t *group) {
  group_visit_t visit = *group->visited;
  group_visit_end(group);
  if (!visit.has_node) {
    return false;
  }
  if (visit.quorum_type == QUORUM_FREE) {
    log_write(LOG_ID_GROUP_REFUSED, "text=\"corosync.conf has no quorum provider: set quorum.provider\"");
    return false;
  }
  if (group->node_id != 0 && group->node_id != visit.node_id) {
    log_write(LOG_ID_GROUP_REFUSED, "node=%" PRIu32 " corosync=%u text=\"corosync has another id for this node\"",
              group->node_id, visit.node_id);
    return false;
  }
  group->node_id = visit.node_id;
  group->state = GROUP_OUT;
  group_nodes_take(group, visit.nodes, visit.node_count);
  return true;
}

/* Connected: have the loop look at it. */
static bool group_watch(group_t *group) {
  int cpg_fd, quorum_fd;
  return cpg_fd_get(group->link.cpg, &cpg_fd) == CS_OK && quorum_fd_get(group->link.quorum, &quorum_fd) == CS_OK &&
         loop_add(group->loop, &group->cpg_source, cpg_fd, EPOLLIN, group_cpg_ready, group) &&
         loop_add(group->loop, &group->quorum_source, quorum_fd, EPOLLIN, group_quorum_ready, group) &&
         quorum_trackstart(group->link.quorum, CS_TRACK_CURRENT | CS_TRACK_CHANGES) == CS_OK;
}

vesta_err_t group_open(const group_config_t *config, loop_t *loop, group_t **out, char *why, size_t why_size) {
  group_t *group = calloc(1, sizeof *group);
  (void)snprintf(why, why_size, "out of memory");
  if (group == NULL) {
    return VESTA_ERR_NO_MEMORY;
  }
  *group = (group_t){.config = *config, .loop = loop, .node_id = config->node_id, .pid = (uint32_t)getpid()};
  group->look = (group_look_t){.loop = loop, .context = group, .told = group_nodes_looked};
  group->last = &group->first;
  group->pause_ns = GROUP_RETRY_NS;
  group->parts = group_parts_new();
  if (group->parts == NULL) {
    group_close(&group);
    return VESTA_ERR_NO_MEMORY;
  }
  bool tried = group_visit(group, GROUP_FIRST_PATIENCE_MS);
  bool stands_still = tried && !slow_call_done(group->visit, 0);
  if (!stands_still && !(tried && group_connect(group))) {
    group_disconnect(group);
  }
  if (group->node_id == 0) {
    (void)snprintf(why, why_size, "corosync %s, and no --node-id says which node this is",
                   stands_still ? "does not answer" : "is not there");
    group_close(&group);
    return VESTA_ERR_NOT_EXIST;
  }
  *out = group;
  return VESTA_OK;
}

void group_close(group_t **group) {
  if (*group != NULL) {
    group_disconnect(*group);
    group_parts_destroy(&(*group)->parts);
    free(*group);
    *group = NULL;
  }
}

uint32_t group_node_id(const group_t *group) { return group->node_id; }

const group_node_t *group_nodes(const group_t *group, uint32_t *count) {
  *count = group->node_count;
  return group->nodes;
}

void group_start(group_t *group) {
  group->started = true;
  if (group->node_count > 0) {
    group->config.nodes(group->config.context);
  }
  group->failed |= group->state == GROUP_OUT && !group_watch(group);
}

/* The engine is gone. Alone, until it is back: in a ring that no engine makes, theirs go up by four. */
static void group_fail(group_t *group, int64_t now_ns) {
  bool was_in = group->state == GROUP_IN;
  group_disconnect(group);
  group->retry_ns = now_ns + group->pause_ns;
  group->pause_ns = group->pause_ns * 2 > GROUP_RETRY_NS_MAX ? GROUP_RETRY_NS_MAX : group->pause_ns * 2;
  if (was_in) {
    group->counters[GROUP_COUNTER_GROUP_LOST]++;
    log_write(LOG_ID_GROUP_LOST, "ring=%" PRIu32 ".%" PRIu64, group->ring.node, group->ring.seq);
    group->ring = (order_ring_t){.seq = group->ring.seq + 1, .node = group->node_id};
    group->members[0] = group->node_id;
    group->member_count = 1;
    group->quorum_ring = group->ring;
    group->config.view(group->config.context, group->ring, group->members, 1);
    group->config.quorum(group->config.context, group->ring, false, group->node_count == 0 ? 1 : group->node_count);
  }
}

static void group_join(group_t *group, int64_t now_ns) {
  struct cpg_name name = group_name();
  cs_error_t joined = cpg_join(group->link.cpg, &name);
  if (joined == CS_OK) {
    group->state = GROUP_JOINING;
    group->pause_ns = GROUP_RETRY_NS;
  } else if (joined == CS_ERR_TRY_AGAIN || joined == CS_ERR_BUSY || joined == CS_ERR_EXIST) {
    group->retry_ns = now_ns + GROUP_JOIN_NS; /* it syncs, or has not let this process leave yet */
  } else {
    group->failed = true;
  }
}

/* To come anew is to leave: the engine tells the others of the old connection's end before it lets the new one join. */
void group_rejoin(group_t *group) {
  group->rejoin = true;
  group_queue_clear(group);
}

/* ---- sending ---- */

void group_multicast(group_t *group, vesta_bytes_t message) {
  if (group->state != GROUP_IN) {
    group->counters[GROUP_COUNTER_GROUP_DROPPED]++;
    return;
  }
  group_waiting_t *waiting = NULL;
  if (group->waiting_bytes + message.size <= VESTA_GROUP_QUEUE_BYTES_MAX) {
    waiting = malloc(sizeof *waiting + message.size);
  }
  if (waiting == NULL) {
    group->counters[GROUP_COUNTER_GROUP_FULL]++;
    group->queue_lost = true;
    return;
  }
  VESTA_ASSERT(message.size > 0 && message.size <= VESTA_FRAME_HEAD_BYTES_MAX);
  waiting->next = NULL;
  waiting->size = (uint32_t)message.size;
  waiting->sent = 0;
  memcpy(waiting->bytes, message.data, message.size);
  *group->last = waiting;
  group->last = &waiting->next;
  group->waiting_bytes += message.size;
}

/* One part of the first message. @return false: not now */
static bool group_send_part(group_t *group, int64_t now_ns) {
  group_waiting_t *waiting = group->first;
  uint8_t head[GROUP_PART_HEAD_BYTES];
  uint32_t size = waiting->size - waiting->sent;
  size = size > GROUP_PART_BYTES_MAX ? GROUP_PART_BYTES_MAX : size;
  group_part_head(head, waiting->size, waiting->sent);
  struct iovec part[2] = {{.iov_base = head, .iov_len = sizeof head},
                          {.iov_base = waiting->bytes + waiting->sent, .iov_len = size}};
  cs_error_t sent = cpg_mcast_joined(group->link.cpg, CPG_TYPE_AGREED, part, 2);
  if (sent != CS_OK) {
    group->counters[GROUP_COUNTER_GROUP_PUT_OFF]++;
    group->retry_ns = now_ns + GROUP_AGAIN_NS;
    group->failed |= sent != CS_ERR_TRY_AGAIN;
    return false;
  }
  waiting->sent += size;
  if (waiting->sent == waiting->size) {
    group->counters[GROUP_COUNTER_GROUP_SENT]++;
    group->counters[GROUP_COUNTER_GROUP_SENT_BYTES] += waiting->size;
    group->waiting_bytes -= waiting->size;
    group->first = waiting->next;
    group->last = group->first == NULL ? &group->first : group->last;
    free(waiting);
  }
  return true;
}

/* ---- turns ---- */

static void group_try(group_t *group, int64_t now_ns) {
  switch (group->state) {
    case GROUP_AWAY:
      if (group->visit == NULL && now_ns >= group->retry_ns) {
        group->failed |= !group_visit(group, 0);
      }
      if (group->visit != NULL && slow_call_done(group->visit, 0)) {
        group->failed |= !group_connect(group) || !group_watch(group);
      }
      break;
    case GROUP_OUT:
      if (now_ns >= group->retry_ns) {
        group_join(group, now_ns);
      }
      break;
    case GROUP_JOINING: break;
    case GROUP_IN:
      while (group->first != NULL && now_ns >= group->retry_ns && group_send_part(group, now_ns)) {
      }
      break;
  }
}

void group_turn(group_t *group, int64_t now_ns) {
  if (group->rejoin) {
    group->rejoin = false;
    if (group->visit == NULL) { /* else it comes anew already */
      group_disconnect(group);
      group->retry_ns = now_ns;
    }
  }
  if (!group->failed) {
    group_try(group, now_ns);
  }
  if (group->queue_lost) {
    group->queue_lost = false;
    log_write(LOG_ID_GROUP_FULL, "waiting_bytes=%" PRIu64, group->waiting_bytes);
    group->config.lost(group->config.context);
  }
  if (group->failed) {
    group_fail(group, now_ns);
  }
}

int64_t group_wake_ns(const group_t *group) {
  if (group->failed || group->rejoin || group->queue_lost) {
    return 0;
  }
  switch (group->state) {
    case GROUP_AWAY: return group->visit == NULL ? group->retry_ns : INT64_MAX;
    case GROUP_OUT: return group->retry_ns;
    case GROUP_JOINING: return INT64_MAX;
    case GROUP_IN: return group->first == NULL ? INT64_MAX : group->retry_ns;
  }
  return INT64_MAX;
}

void group_status(const group_t *group, group_status_t *status) {
  *status =
      (group_status_t){.reached = group->state != GROUP_AWAY,
                       .in_view = group->state == GROUP_IN,
                       .quorate = group->quorate && order_ring_equal(group->ring, group->quorum_ring),
                       .ring = group->ring,
                       .expected = group->node_count,
                       .member_count = group->member_count > VESTA_NODES_MAX ? VESTA_NODES_MAX : group->member_count};
  memcpy(status->members, group->members, status->member_count * sizeof *status->members);
  status->ring_member_count = group->ring_member_count;
  memcpy(status->ring_members, group->ring_members, sizeof status->ring_members);
}

uint64_t group_counter(const group_t *group, group_counter_t counter) {
  return counter == GROUP_COUNTER_GROUP_WAITING_BYTES ? group->waiting_bytes : group->counters[counter];
}
