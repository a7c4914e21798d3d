/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The counters of all parts, one line each. Keys are the counters' names in small letters.
 */
#include "daemon/info.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "daemon/accept_guard.h"
#include "daemon/log.h"

typedef struct info_text {
  char *at;
  size_t left;
} info_text_t;

static void info_line(info_text_t *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void info_line(info_text_t *text, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int size = vsnprintf(text->at, text->left, format, arguments);
  va_end(arguments);
  VESTA_ASSERT(size >= 0 && (size_t)size < text->left); /* the keys are ours and few */
  text->at += size;
  text->left -= (size_t)size;
}

static void info_count(info_text_t *text, const char *name, uint64_t value) {
  char key[64];
  size_t size = 0;
  for (; name[size] != '\0' && size < sizeof key - 1; size++) {
    key[size] = (char)tolower((unsigned char)name[size]);
  }
  key[size] = '\0';
  info_line(text, "%s=%" PRIu64 "\n", key, value);
}

static void info_publisher(info_text_t *text, const publisher_t *publisher) {
  publisher_counters_t counters;
  publisher_counters(publisher, &counters);
  info_count(text, "published_messages", counters.messages);
  info_count(text, "published_operations", counters.operations);
  info_count(text, "published_bytes", counters.bytes);
  info_count(text, "published_beacons", counters.beacons);
  info_count(text, "published_withheld", counters.withheld);
  info_count(text, "published_input_dropped", counters.dropped_input);
  info_count(text, "topics", counters.topics);
  info_count(text, "subscriptions", counters.subscriptions);
}

static void info_files(info_text_t *text, const daemon_parts_t *parts) {
  journal_counters_t journal;
  storage_counters_t storage;
  journal_counters(parts->journal, &journal);
  storage_counters(parts->storage, &storage);
  info_count(text, "journal_bytes", journal.bytes);
  info_count(text, "journal_restored", journal.restored);
  info_count(text, "journal_torn_bytes", journal.torn_bytes);
  info_count(text, "journal_appended", journal.appended);
  info_count(text, "journal_append_failed", journal.append_failed);
  info_count(text, "journal_rewrites", journal.rewrites);
  info_count(text, "regions", storage.regions);
  info_count(text, "region_create_failed", storage.create_failed);
  info_count(text, "region_reserve_full", storage.reserve_full);
}

static void info_nodes(info_text_t *text, const char *name, const uint32_t *nodes, uint32_t count) {
  info_line(text, "%s=", name);
  for (uint32_t i = 0; i < count; i++) {
    info_line(text, "%s%" PRIu32, i == 0 ? "" : ",", nodes[i]);
  }
  info_line(text, "\n");
}

static const char *info_order_state(const order_t *order) {
  if (order_refused(order)) {
    return "refused";
  }
  switch (order_state(order)) {
    case ORDER_IDLE: return "idle";
    case ORDER_INIT: return order_waiting(order) > 0 ? "waiting" : "init";
    case ORDER_SYNC: return "sync";
    case ORDER_ACTIVE: return order_usable(order) ? "active" : "suspended";
    case ORDER_OUT: return "out";
  }
  return "";
}

static void info_cluster(info_text_t *text, const daemon_parts_t *parts) {
  const order_t *order = node_cluster_state(parts->node);
  group_status_t group;
  uint32_t count;
  group_status(parts->group, &group);
  const uint32_t *participants = order_participants(order, &count);
  info_line(text, "node=%" PRIu32 "\nnodes=%" PRIu32 "\n", group_node_id(parts->group), group.expected);
  info_line(text, "corosync=%s\nring=%" PRIu32 ".%" PRIu64 "\nquorate=%s\n", group.reached ? "yes" : "no",
            group.ring.node, group.ring.seq, group.quorate ? "yes" : "no");
  info_nodes(text, "members", group.members, group.member_count);
  info_line(text, "order=%s\nterm=%" PRIu64 "\nindex=%" PRIu64 "\nstable=%" PRIu64 "\n", info_order_state(order),
            order_term(order), order_index(order), order_stable(order));
  info_line(text, "group_protocol=%u.%" PRIu32 "\n", WIRE_MAJOR, order_version(order));
  info_count(text, "waiting_for", order_waiting(order));
  info_nodes(text, "participants", participants, count);
  info_line(text, "heard=%s\n", node_has_quorum(parts->node) ? "yes" : "no");
#define INFO_ORDER(name, words) info_count(text, "ORDER_" #name, order_counter(order, ORDER_COUNTER_##name));
  ORDER_COUNTERS(INFO_ORDER)
#undef INFO_ORDER
#define INFO_GROUP(name, words) info_count(text, #name, group_counter(parts->group, GROUP_COUNTER_##name));
  GROUP_COUNTERS(INFO_GROUP)
#undef INFO_GROUP
#define INFO_PEERS(name, words) info_count(text, #name, peers_counter(parts->peers, PEERS_COUNTER_##name));
  PEERS_COUNTERS(INFO_PEERS)
#undef INFO_PEERS
}

static void info_guests(info_text_t *text, const daemon_parts_t *parts) {
  const stream_door_t *door = parts->guest_sockets == NULL ? NULL : stream_sockets_door(parts->guest_sockets);
#define INFO_GUESTS(name, words) \
  info_count(text, #name, stream_guests_counter(parts->guests, STREAM_GUESTS_COUNTER_##name));
  STREAM_GUESTS_COUNTERS(INFO_GUESTS)
#undef INFO_GUESTS
#define INFO_DOOR(name, words) info_count(text, #name, stream_door_counter(door, STREAM_DOOR_COUNTER_##name));
  STREAM_DOOR_COUNTERS(INFO_DOOR)
#undef INFO_DOOR
  if (parts->guest_sockets != NULL) {
#define INFO_STREAM(name, words) \
  info_count(text, "GUEST_" #name, stream_sockets_counter(parts->guest_sockets, STREAM_COUNTER_##name));
    STREAM_COUNTERS(INFO_STREAM)
#undef INFO_STREAM
  }
}

size_t info_write(const daemon_parts_t *parts, char *to, size_t capacity) {
  info_text_t text = {.at = to, .left = capacity};
  info_line(&text, "version=%s\nprotocol=%u.%u\npid=%ld\nuptime_s=%" PRId64 "\nsocket=%s\nreplica_dir=%s\n",
            VESTA_VERSION, WIRE_MAJOR, WIRE_MINOR, (long)getpid(), (loop_steady_ns() - parts->started_ns) / 1000000000,
            parts->socket_path, storage_directory(parts->storage));
#define INFO_NODE(name, words) info_count(&text, #name, node_counter(parts->node, NODE_COUNTER_##name));
  NODE_COUNTERS(INFO_NODE)
#undef INFO_NODE
#define INFO_AGENT(name, words) info_count(&text, #name, agent_server_counter(parts->server, AGENT_COUNTER_##name));
  AGENT_COUNTERS(INFO_AGENT)
#undef INFO_AGENT
#define INFO_STREAM(name, words) \
  info_count(&text, #name, stream_sockets_counter(parts->sockets, STREAM_COUNTER_##name));
  STREAM_COUNTERS(INFO_STREAM)
#undef INFO_STREAM
  info_guests(&text, parts);
#define INFO_HASH(name, words) info_count(&text, #name, hash_server_counter(parts->hash_server, HASH_COUNTER_##name));
  HASH_COUNTERS(INFO_HASH)
#undef INFO_HASH
  info_count(&text, "stream_links_refused", accept_guard_refused());
  info_publisher(&text, parts->publisher);
  info_files(&text, parts);
  if (parts->group != NULL) {
    info_cluster(&text, parts);
  }
  info_count(&text, "processes_watched", process_watch_count(parts->watch));
  info_count(&text, "log_suppressed", log_suppressed());
  return (size_t)(text.at - to);
}
