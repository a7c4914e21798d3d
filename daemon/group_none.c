/* SPDX-License-Identifier: BSD-2-Clause
 *
 * vestad without corosync: every node is alone. In place of group_corosync.c where libcpg and the like were not there
 * to build with.
 */
#include <stdio.h>

#include "daemon/group.h"

vesta_err_t group_open(const group_config_t *config, loop_t *loop, group_t **out, char *why, size_t why_size) {
  (void)config;
  (void)loop;
  (void)out;
  (void)snprintf(why, why_size, "this vestad was built without corosync");
  return VESTA_ERR_NOT_EXIST;
}

/* There is no group to call these with. */
void group_close(group_t **group) { *group = NULL; }
uint32_t group_node_id(const group_t *group) { return group == NULL ? 0 : 1; }
const group_node_t *group_nodes(const group_t *group, uint32_t *count) {
  (void)group;
  *count = 0;
  return NULL;
}
void group_start(group_t *group) { (void)group; }
void group_multicast(group_t *group, vesta_bytes_t message) {
  (void)group;
  (void)message;
}
void group_rejoin(group_t *group) { (void)group; }
void group_turn(group_t *group, int64_t now_ns) {
  (void)group;
  (void)now_ns;
}
int64_t group_wake_ns(const group_t *group) { return group == NULL ? INT64_MAX : 0; }
void group_status(const group_t *group, group_status_t *status) {
  (void)group;
  *status = (group_status_t){0};
}
uint64_t group_counter(const group_t *group, group_counter_t counter) {
  (void)group;
  (void)counter;
  return 0;
}
