/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See cluster_report.h.
 */
#include "cli/cluster_report.h"

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
  for (uint32_t i = 0; i < nodes->element_count; i++) {
    const wire_element_t *row = &nodes->elements[i];
    (void)json_array_append_new(list, json_pack("{s:I, s:b, s:b, s:I, s:I}", "node", (json_int_t)row->member,
                                                "participates", (row->slot & WIRE_NODE_PARTICIPANT) != 0, "coordinator",
                                                (row->slot & WIRE_NODE_COORDINATOR) != 0, "replicas",
                                                (json_int_t)row->count, "primaries", (json_int_t)row->index));
  }
  return json_pack("{s:b, s:b, s:b, s:o, s:[]}", "usable", (nodes->state & WIRE_CLUSTER_USABLE) != 0, "trust",
                   (nodes->state & WIRE_CLUSTER_TRUST) != 0, "version_refused",
                   (nodes->state & WIRE_CLUSTER_REFUSED) != 0, "nodes", list, "checkpoints");
}

json_t *cluster_report_checkpoints(json_t *cluster) { return json_object_get(cluster, "checkpoints"); }

void cluster_report_add(json_t *cluster, const wire_message_t *page) {
  for (uint32_t i = 0; i < page->element_count; i++) {
    const wire_element_t *row = &page->elements[i];
    const char *standing = row->kind <= WIRE_STANDING_UNKNOWN ? standings[row->kind] : "unknown";
    json_t *primary = row->slot == 0 ? json_null() : json_integer((json_int_t)row->slot);
    json_t *object =
        json_pack("{s:I, s:s, s:o, s:I, s:I, s:b, s:[]}", "id", (json_int_t)row->member, "standing", standing,
                  "primary", primary, "replicas", (json_int_t)row->count, "in_sync", (json_int_t)row->index, "diverged",
                  (row->offset & WIRE_USER_DIVERGED) != 0, "waits_for");
    report_set_id(object, "name", row->id.data, row->id.size);
    (void)json_array_append_new(cluster_report_checkpoints(cluster), object);
  }
}

static bool stands(const json_t *checkpoint, uint32_t standing) {
  return strcmp(json_string_value(json_object_get(checkpoint, "standing")), standings[standing]) == 0;
}

bool cluster_report_is_waiting(const json_t *checkpoint) { return stands(checkpoint, WIRE_STANDING_WAITING); }

void cluster_report_awaits(json_t *checkpoint, uint64_t node) {
  (void)json_array_append_new(json_object_get(checkpoint, "waits_for"), json_integer((json_int_t)node));
}

/* ---- tables ---- */

static const char *yes(const json_t *row, const char *key) {
  return json_is_true(json_object_get(row, key)) ? "yes" : "no";
}

static void print_nodes(const json_t *cluster) {
  size_t index;
  json_t *row;
  (void)printf("\nnodes\n%10s  %12s  %11s  %8s  %9s\n", "NODE", "PARTICIPATES", "COORDINATOR", "REPLICAS", "PRIMARIES");
  json_array_foreach(json_object_get(cluster, "nodes"), index, row) {
    (void)printf("%10" JSON_INTEGER_FORMAT "  %12s  %11s  %8" JSON_INTEGER_FORMAT "  %9" JSON_INTEGER_FORMAT "\n",
                 report_number(row, "node"), yes(row, "participates"), yes(row, "coordinator"),
                 report_number(row, "replicas"), report_number(row, "primaries"));
  }
}

static void print_waiting(const json_t *checkpoint) {
  size_t index;
  json_t *node;
  (void)printf("waits for node");
  json_array_foreach(json_object_get(checkpoint, "waits_for"), index, node) {
    (void)printf("%s%" JSON_INTEGER_FORMAT, index == 0 ? " " : " or ", json_integer_value(node));
  }
  (void)printf("; start it, or give up what only it has: vesta recover NAME --from NODE --accept-loss\n");
}

static void print_standing(const json_t *checkpoint) {
  if (stands(checkpoint, WIRE_STANDING_WAITING)) {
    print_waiting(checkpoint);
  } else if (stands(checkpoint, WIRE_STANDING_FEW)) {
    (void)printf("too few replicas in sync (%" JSON_INTEGER_FORMAT "); more are made when nodes and memory are there\n",
                 report_number(checkpoint, "in_sync"));
  } else if (stands(checkpoint, WIRE_STANDING_ELECTING)) {
    (void)printf("its primary is being chosen\n");
  } else if (stands(checkpoint, WIRE_STANDING_UNKNOWN)) {
    (void)printf("not known here: this node is without quorum\n");
  } else {
    (void)printf("well\n");
  }
}

void cluster_report_print(const json_t *cluster) {
  print_nodes(cluster);
  if (json_is_true(json_object_get(cluster, "trust"))) {
    (void)printf("\ntwo_node_policy=trust: half of the nodes goes on alone, and the cluster can split\n");
  }
  size_t index;
  json_t *row;
  bool any = false;
  json_array_foreach(json_object_get(cluster, "checkpoints"), index, row) {
    bool diverged = json_is_true(json_object_get(row, "diverged"));
    if (stands(row, WIRE_STANDING_WHOLE) && !diverged) {
      continue;
    }
    (void)printf("%s%s: ", any ? "" : "\ncheckpoints to look at\n", json_string_value(json_object_get(row, "name")));
    any = true;
    print_standing(row);
    if (diverged) {
      (void)printf(
          "  what this node had went another way than the cluster and is kept here (DIVERGED), see CLUSTER.md\n");
    }
  }
}
