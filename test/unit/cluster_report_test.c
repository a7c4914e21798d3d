/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What `vesta status` tells people of a cluster, made of answers that no cluster gave.
 */
#include "cli/cluster_report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define ALL_WELL (WIRE_CLUSTER_QUORATE | WIRE_CLUSTER_USABLE)
#define OUTPUT_BYTES 16384U

static json_t *cluster_of(uint64_t state, uint64_t waiting) {
  wire_element_t elements[] = {
      {.member = 3, .slot = WIRE_NODE_PARTICIPANT, .count = 2},
      {.member = 1, .slot = WIRE_NODE_PARTICIPANT | WIRE_NODE_COORDINATOR, .count = 1, .index = 1},
      {.member = 2}};
  wire_message_t reply = {
      .node = 1, .count = 3, .size = waiting, .state = state, .ring_node = 1, .ring_seq = 9, .elements = elements};
  reply.element_count = 3;
  return cluster_report_new(&reply);
}

/* The checkpoint that was added last. */
static json_t *add(json_t *cluster, const char *name, uint64_t standing, uint64_t primary, bool diverged) {
  wire_element_t element = {.kind = standing,
                            .id = {.data = (const uint8_t *)name, .size = strlen(name)},
                            .member = json_array_size(cluster_report_checkpoints(cluster)) + 1,
                            .slot = primary,
                            .offset = diverged ? WIRE_USER_DIVERGED : 0};
  wire_message_t page = {.elements = &element, .element_count = 1};
  cluster_report_add(cluster, &page);
  json_t *all = cluster_report_checkpoints(cluster);
  return json_array_get(all, json_array_size(all) - 1);
}

static void replica(json_t *checkpoint, uint64_t node, uint64_t state, uint64_t lag) {
  wire_message_t row = {.node = node, .state = state | WIRE_USER_LISTED, .offset = lag};
  cluster_report_replica(checkpoint, &row);
}

static const char *printed(json_t *cluster) {
  static char output[OUTPUT_BYTES];
  FILE *file = tmpfile();
  assert_non_null(file);
  (void)fflush(stdout);
  int before = dup(STDOUT_FILENO);
  assert_true(before >= 0 && dup2(fileno(file), STDOUT_FILENO) >= 0);
  cluster_report_print(cluster);
  (void)fflush(stdout);
  assert_true(dup2(before, STDOUT_FILENO) >= 0);
  (void)close(before);
  rewind(file);
  output[fread(output, 1, sizeof output - 1, file)] = '\0';
  (void)fclose(file);
  json_decref(cluster);
  return output;
}

static void has(const char *text, const char *part) {
  if (strstr(text, part) == NULL) {
    fail_msg("\"%s\" is not in:\n%s", part, text);
  }
}

static void nodes_stand_in_the_order_of_their_numbers(void **state) {
  (void)state;
  has(printed(cluster_of(ALL_WELL, 0)), "\ncluster: this node takes part\n\nnodes\n"
                                        "      NODE  PARTICIPATES  COORDINATOR  REPLICAS  PRIMARIES\n"
                                        "         1           yes          yes         1          1\n"
                                        "         2            no           no         0          0\n"
                                        "         3           yes           no         2          0\n");
}

static void a_node_that_takes_no_part_is_told_why(void **state) {
  (void)state;
  has(printed(cluster_of(0, 0)), "cluster: this node is without quorum");
  has(printed(cluster_of(WIRE_CLUSTER_QUORATE, 2)), "cluster: there is quorum, but nodes are missing");
  has(printed(cluster_of(WIRE_CLUSTER_QUORATE, 0)), "cluster: the nodes are agreeing on a view");
  has(printed(cluster_of(WIRE_CLUSTER_QUORATE | WIRE_CLUSTER_OUT, 0)), "too slow for the view");
  has(printed(cluster_of(WIRE_CLUSTER_QUORATE | WIRE_CLUSTER_REFUSED, 0)), "another version of the protocol");
  has(printed(cluster_of(ALL_WELL | WIRE_CLUSTER_CUT_OFF, 0)), "has not been heard by a majority for half a second");
  has(printed(cluster_of(ALL_WELL | WIRE_CLUSTER_TRUST, 0)), "two_node_policy=trust");
}

static void a_checkpoint_shows_its_active_its_copies_and_how_far_the_slowest_is(void **state) {
  (void)state;
  json_t *cluster = cluster_of(ALL_WELL, 0);
  json_t *checkpoint = add(cluster, "a", WIRE_STANDING_WHOLE, 2, false);
  replica(checkpoint, 1, WIRE_USER_IN_SYNC | WIRE_USER_TOLD, 3);
  replica(checkpoint, 2, WIRE_USER_IN_SYNC | WIRE_USER_TOLD | WIRE_USER_PRIMARY | WIRE_USER_ACTIVE, 0);
  replica(checkpoint, 3, WIRE_USER_TOLD, 17);
  has(printed(cluster), "checkpoints\nACTIVE  IN-SYNC       FOLLOWERS          LAG  STATE     NAME\n"
                        "     2  1,2           3                   17  whole     a\n");
}

static void what_is_to_be_looked_at_comes_first_and_says_what_to_do(void **state) {
  (void)state;
  json_t *cluster = cluster_of(ALL_WELL, 0);
  replica(add(cluster, "well", WIRE_STANDING_WHOLE, 1, false), 1, WIRE_USER_IN_SYNC | WIRE_USER_PRIMARY, 0);
  json_t *waits = add(cluster, "waits", WIRE_STANDING_WAITING, 0, false);
  replica(waits, 2, WIRE_USER_IN_SYNC | WIRE_USER_AWAY | WIRE_USER_ACTIVE, 0);
  replica(waits, 4, WIRE_USER_IN_SYNC | WIRE_USER_AWAY, 0);
  replica(add(cluster, "split", WIRE_STANDING_WHOLE, 1, true), 1, WIRE_USER_IN_SYNC | WIRE_USER_PRIMARY, 0);
  (void)add(cluster, "few", WIRE_STANDING_FEW, 1, false);
  (void)add(cluster, "electing", WIRE_STANDING_ELECTING, 0, false);
  const char *text = printed(cluster);
  has(text, "     -  2,4           -                    -  WAITING   waits\n"
            "        waits for node 2 or 4, which alone has all of it: start it. If it never comes back:\n"
            "        vesta recover 'waits' --from NODE --accept-loss\n");
  has(text,
      "DIVERGED  split\n        DIVERGED: what this node had went another way than the cluster, and is kept. Look:\n"
      "        vesta dump --diverged 'split'; and when it is not needed: vesta discard 'split'\n");
  has(text, "few       few\n        too few replicas are in sync");
  has(text, "electing  electing\n        its primary is being chosen");
  assert_true(strstr(text, "whole     well") > strstr(text, "electing  electing"));
}

static void without_quorum_it_is_said_of_when_that_is(void **state) {
  (void)state;
  json_t *cluster = cluster_of(0, 0);
  replica(add(cluster, "a", WIRE_STANDING_UNKNOWN, 1, false), 1,
          WIRE_USER_IN_SYNC | WIRE_USER_PRIMARY | WIRE_USER_ACTIVE | WIRE_USER_TOLD, 0);
  has(printed(cluster), "checkpoints, as of when this node last took part\n"
                        "ACTIVE  IN-SYNC       FOLLOWERS          LAG  STATE     NAME\n"
                        "     1  1             -                    -  unknown   a\n");
}

static void of_many_that_are_well_some_are_shown_and_the_others_counted(void **state) {
  (void)state;
  for (unsigned more = 0; more < 2; more++) {
    json_t *cluster = cluster_of(ALL_WELL, 0);
    for (unsigned i = 0; i < CLUSTER_REPORT_WELL_MAX + more; i++) {
      (void)add(cluster, "a", WIRE_STANDING_WHOLE, 1, false);
    }
    const char *text = printed(cluster);
    assert_true((strstr(text, "and 1 more that are well: --json has them") != NULL) == (more == 1));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nodes_stand_in_the_order_of_their_numbers),
      cmocka_unit_test(a_node_that_takes_no_part_is_told_why),
      cmocka_unit_test(a_checkpoint_shows_its_active_its_copies_and_how_far_the_slowest_is),
      cmocka_unit_test(what_is_to_be_looked_at_comes_first_and_says_what_to_do),
      cmocka_unit_test(without_quorum_it_is_said_of_when_that_is),
      cmocka_unit_test(of_many_that_are_well_some_are_shown_and_the_others_counted),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
