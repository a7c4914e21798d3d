/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See cluster_report.h.
 */
#include "cli/cluster_report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/report.h"

static const char *const standings[] = {[WIRE_STANDING_WHOLE] = "whole",
                                        [WIRE_STANDING_FEW] = "few",
                                        [WIRE_STANDING_ELECTING] = "electing",
                                        [WIRE_STANDING_WAITING] = "waiting",
                                        [WIRE_STANDING_UNKNOWN] = "unknown"};

json_t *cluster_report_new(const wire_message_t *nodes) {
  json_t *list = json_array();
  char ring[48];
  for (uint32_t i = 0; i < nodes->element_count; i++) {
    const wire_element_t *row = &nodes->elements[i];
    json_t *object =
        json_pack("{s:I, s:b, s:b, s:I, s:I}", "node", (json_int_t)row->member, "participates",
                  (row->slot & WIRE_NODE_PARTICIPANT) != 0, "coordinator", (row->slot & WIRE_NODE_COORDINATOR) != 0,
                  "replicas", (json_int_t)row->count, "primaries", (json_int_t)row->index);
    size_t at = json_array_size(list); /* they come in the order in which they were met */
    while (at > 0 && report_number(json_array_get(list, at - 1), "node") > (json_int_t)row->member) {
      at--;
    }
    (void)json_array_insert_new(list, at, object);
  }
  (void)snprintf(ring, sizeof ring, "%" PRIu64 ".%" PRIu64, nodes->ring_node, nodes->ring_seq);
  return json_pack("{s:I, s:b, s:s, s:b, s:b, s:I, s:I, s:b, s:b, s:b, s:o, s:[]}", "node", (json_int_t)nodes->node,
                   "quorate", (nodes->state & WIRE_CLUSTER_QUORATE) != 0, "ring", ring, "usable",
                   (nodes->state & WIRE_CLUSTER_USABLE) != 0, "cut_off", (nodes->state & WIRE_CLUSTER_CUT_OFF) != 0,
                   "expected", (json_int_t)nodes->count, "waiting_for", (json_int_t)nodes->size, "trust",
                   (nodes->state & WIRE_CLUSTER_TRUST) != 0, "out", (nodes->state & WIRE_CLUSTER_OUT) != 0,
                   "version_refused", (nodes->state & WIRE_CLUSTER_REFUSED) != 0, "nodes", list, "checkpoints");
}

json_t *cluster_report_checkpoints(json_t *cluster) { return json_object_get(cluster, "checkpoints"); }

void cluster_report_add(json_t *cluster, const wire_message_t *page) {
  for (uint32_t i = 0; i < page->element_count; i++) {
    const wire_element_t *row = &page->elements[i];
    const char *standing = row->kind <= WIRE_STANDING_UNKNOWN ? standings[row->kind] : "unknown";
    json_t *primary = row->slot == 0 ? json_null() : json_integer((json_int_t)row->slot);
    json_t *object = json_pack(
        "{s:I, s:s, s:o, s:I, s:I, s:b, s:n, s:[], s:[], s:n, s:[]}", "id", (json_int_t)row->member, "standing",
        standing, "primary", primary, "replicas", (json_int_t)row->count, "in_sync", (json_int_t)row->index, "diverged",
        (row->offset & WIRE_USER_DIVERGED) != 0, "active", "in_sync_on", "followers_on", "lag", "waits_for");
    report_set_id(object, "name", row->id.data, row->id.size);
    (void)json_array_append_new(cluster_report_checkpoints(cluster), object);
  }
}

static bool stands(const json_t *checkpoint, uint32_t standing) {
  return strcmp(json_string_value(json_object_get(checkpoint, "standing")), standings[standing]) == 0;
}

bool cluster_report_is_well(const json_t *checkpoint) {
  return stands(checkpoint, WIRE_STANDING_WHOLE) && !json_is_true(json_object_get(checkpoint, "diverged"));
}

static void add_node(json_t *checkpoint, const char *key, uint64_t node) {
  (void)json_array_append_new(json_object_get(checkpoint, key), json_integer((json_int_t)node));
}

void cluster_report_replica(json_t *checkpoint, const wire_message_t *row) {
  bool in_sync = (row->state & WIRE_USER_IN_SYNC) != 0;
  bool known = !stands(checkpoint, WIRE_STANDING_UNKNOWN); /* else it is as of long ago */
  if ((row->state & WIRE_USER_ACTIVE) != 0 && (row->state & WIRE_USER_PRIMARY) != 0) {
    (void)json_object_set_new(checkpoint, "active", json_integer((json_int_t)row->node));
  }
  if (in_sync || (row->state & WIRE_USER_LISTED) != 0) {
    add_node(checkpoint, in_sync ? "in_sync_on" : "followers_on", row->node);
  }
  if (in_sync && (row->state & WIRE_USER_AWAY) != 0 && stands(checkpoint, WIRE_STANDING_WAITING)) {
    add_node(checkpoint, "waits_for", row->node);
  }
  if (known && (row->state & WIRE_USER_TOLD) != 0 && (json_int_t)row->offset >= report_number(checkpoint, "lag")) {
    (void)json_object_set_new(checkpoint, "lag", json_integer((json_int_t)row->offset)); /* of the slowest */
  }
}

/* ---- tables ---- */

static const char *yes(const json_t *row, const char *key) {
  return json_is_true(json_object_get(row, key)) ? "yes" : "no";
}

static bool is(const json_t *row, const char *key) { return json_is_true(json_object_get(row, key)); }

static const char *cluster_text(const json_t *cluster) {
  if (is(cluster, "usable")) {
    return is(cluster, "cut_off")
               ? "this node takes part, but has not been heard by a majority for half a second: calls "
                 "wait; look at the network, and whether corosync stands still"
               : "this node takes part";
  }
  if (is(cluster, "version_refused")) {
    return "this node speaks another version of the protocol than the others, and is left out";
  }
  if (!is(cluster, "quorate")) {
    return "this node is without quorum: nothing is written or read here; look at the network and at the other nodes";
  }
  if (report_number(cluster, "waiting_for") != 0) {
    return "there is quorum, but nodes are missing that may know more than those that are here; start them";
  }
  return is(cluster, "out") ? "this node was too slow for the view, and joins again by itself"
                            : "the nodes are agreeing on a view";
}

static void print_nodes(const json_t *cluster) {
  size_t index;
  json_t *row;
  (void)printf("\ncluster: %s\n", cluster_text(cluster));
  (void)printf("\nnodes\n%10s  %12s  %11s  %8s  %9s\n", "NODE", "PARTICIPATES", "COORDINATOR", "REPLICAS", "PRIMARIES");
  json_array_foreach(json_object_get(cluster, "nodes"), index, row) {
    (void)printf("%10" JSON_INTEGER_FORMAT "  %12s  %11s  %8" JSON_INTEGER_FORMAT "  %9" JSON_INTEGER_FORMAT "\n",
                 report_number(row, "node"), yes(row, "participates"), yes(row, "coordinator"),
                 report_number(row, "replicas"), report_number(row, "primaries"));
  }
}

#define NODES_TEXT_BYTES 160 /* of VESTA_REPLICAS_MAX numbers of nodes */

/* "1,3"; `none` for none. */
static const char *nodes_text(const json_t *nodes, const char *between, const char *none, char text[NODES_TEXT_BYTES]) {
  size_t index;
  json_t *node;
  size_t used = 0;
  json_array_foreach(nodes, index, node) {
    int size = snprintf(text + used, NODES_TEXT_BYTES - used, "%s%" JSON_INTEGER_FORMAT, index == 0 ? "" : between,
                        json_integer_value(node));
    used += size > 0 && (size_t)size < NODES_TEXT_BYTES - used ? (size_t)size : 0;
  }
  return used == 0 ? none : text;
}

#define ADVICE_INDENT "        "

static void print_advice(const json_t *checkpoint) {
  char text[NODES_TEXT_BYTES];
  const char *name = json_string_value(json_object_get(checkpoint, "name"));
  if (stands(checkpoint, WIRE_STANDING_WAITING)) {
    const char *nodes = nodes_text(json_object_get(checkpoint, "waits_for"), " or ", "?", text);
    (void)printf(ADVICE_INDENT
                 "waits for node %s, which alone has all of it: start it. If it never comes back:\n" ADVICE_INDENT
                 "vesta recover '%s' --from NODE --accept-loss\n",
                 nodes, name);
  } else if (stands(checkpoint, WIRE_STANDING_FEW)) {
    (void)printf(ADVICE_INDENT "too few replicas are in sync; more are made by themselves when nodes and memory are "
                               "there\n");
  } else if (stands(checkpoint, WIRE_STANDING_ELECTING)) {
    (void)printf(ADVICE_INDENT "its primary is being chosen; that takes half a second\n");
  }
  if (is(checkpoint, "diverged")) {
    (void)printf(ADVICE_INDENT
                 "DIVERGED: what this node had went another way than the cluster, and is kept. Look:\n" ADVICE_INDENT
                 "vesta dump --diverged '%s'; and when it is not needed: vesta discard '%s'\n",
                 name, name);
  }
}

static const char *standing_text(const json_t *checkpoint) {
  bool diverged = is(checkpoint, "diverged") && stands(checkpoint, WIRE_STANDING_WHOLE);
  bool waits = stands(checkpoint, WIRE_STANDING_WAITING);
  return diverged ? "DIVERGED" : waits ? "WAITING" : json_string_value(json_object_get(checkpoint, "standing"));
}

static void print_checkpoint(const json_t *checkpoint) {
  char active[REPORT_NUMBER_BYTES], lag[REPORT_NUMBER_BYTES];
  char in_sync[NODES_TEXT_BYTES], followers[NODES_TEXT_BYTES];
  (void)printf("%6s  %-12s  %-12s  %8s  %-8s  %s\n", report_number_text(checkpoint, "active", active),
               nodes_text(json_object_get(checkpoint, "in_sync_on"), ",", "-", in_sync),
               nodes_text(json_object_get(checkpoint, "followers_on"), ",", "-", followers),
               report_number_text(checkpoint, "lag", lag), standing_text(checkpoint),
               json_string_value(json_object_get(checkpoint, "name")));
  print_advice(checkpoint);
}

/* First those that somebody should look at, then some of the others. */
static void print_checkpoints(const json_t *cluster) {
  const json_t *checkpoints = json_object_get(cluster, "checkpoints");
  size_t index, well = 0;
  json_t *row;
  if (json_array_size(checkpoints) == 0) {
    return;
  }
  (void)printf("\ncheckpoints%s\n%6s  %-12s  %-12s  %8s  %-8s  %s\n",
               is(cluster, "usable") ? "" : ", as of when this node last took part", "ACTIVE", "IN-SYNC", "FOLLOWERS",
               "LAG", "STATE", "NAME");
  json_array_foreach(checkpoints, index, row) {
    if (!cluster_report_is_well(row)) {
      print_checkpoint(row);
    }
  }
  json_array_foreach(checkpoints, index, row) {
    if (cluster_report_is_well(row) && well++ < CLUSTER_REPORT_WELL_MAX) {
      print_checkpoint(row);
    }
  }
  if (well > CLUSTER_REPORT_WELL_MAX) {
    (void)printf("and %zu more that are well: --json has them\n", well - CLUSTER_REPORT_WELL_MAX);
  }
}

void cluster_report_print(const json_t *cluster) {
  print_nodes(cluster);
  if (is(cluster, "trust")) {
    (void)printf("\ntwo_node_policy=trust: half of the nodes goes on alone, and the cluster can split\n");
  }
  print_checkpoints(cluster);
}
