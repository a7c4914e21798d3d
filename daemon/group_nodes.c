/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See group_nodes.h.
 */
#include "daemon/group_nodes.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include <corosync/cmap.h>

static uint32_t group_nodes_read(cmap_handle_t cmap, group_node_t nodes[VESTA_NODES_MAX]) {
  cmap_iter_handle_t walk;
  char key[CMAP_KEYNAME_MAXLEN + 1];
  size_t size;
  cmap_value_types_t type;
  uint32_t count = 0;
  if (cmap_iter_init(cmap, "nodelist.node.", &walk) != CS_OK) {
    return 0;
  }
  while (cmap_iter_next(cmap, walk, key, &size, &type) == CS_OK) {
    unsigned place;
    int end = 0;
    uint32_t node = 0;
    if (sscanf(key, "nodelist.node.%u.nodeid%n", &place, &end) != 1 || end == 0 || key[end] != '\0' ||
        cmap_get_uint32(cmap, key, &node) != CS_OK || node == 0 || count == VESTA_NODES_MAX) {
      continue;
    }
    char *address = NULL;
    nodes[count] = (group_node_t){.node = node};
    (void)snprintf(key, sizeof key, "nodelist.node.%u.ring0_addr", place);
    if (cmap_get_string(cmap, key, &address) == CS_OK) {
      (void)snprintf(nodes[count].address, sizeof nodes[count].address, "%s", address);
      free(address);
    }
    count++;
  }
  (void)cmap_iter_finalize(cmap, walk);
  return count;
}

uint32_t group_nodes_ask(group_node_t nodes[VESTA_NODES_MAX]) {
  cmap_handle_t cmap;
  if (cmap_initialize(&cmap) != CS_OK) {
    return 0;
  }
  uint32_t count = group_nodes_read(cmap, nodes);
  (void)cmap_finalize(cmap);
  return count;
}

/* ---- looks ---- */

typedef struct group_asked {
  group_node_t nodes[VESTA_NODES_MAX];
  uint32_t count;
} group_asked_t;

static void group_look_call(void *argument) {
  group_asked_t *asked = argument;
  asked->count = group_nodes_ask(asked->nodes);
}

/* It has come back. */
static void group_look_ready(void *context, uint32_t events) {
  group_look_t *look = context;
  (void)events;
  if (!slow_call_done(look->call, 0)) {
    return;
  }
  group_asked_t asked = *look->asked;
  bool again = look->again;
  group_look_forget(look);
  if (!again || !group_look_begin(look)) {
    look->told(look->context, asked.nodes, asked.count);
  }
}

bool group_look_begin(group_look_t *look) {
  if (look->call != NULL) {
    look->again = true;
    return true;
  }
  group_asked_t *asked = calloc(1, sizeof *asked);
  slow_call_t *call = asked == NULL ? NULL : slow_call_begin(group_look_call, free, asked);
  if (call == NULL) {
    free(asked);
    return false;
  }
  if (!loop_add(look->loop, &look->source, slow_call_fd(call), EPOLLIN, group_look_ready, look)) {
    slow_call_end(&call);
    return false;
  }
  look->call = call;
  look->asked = asked;
  return true;
}

void group_look_forget(group_look_t *look) {
  if (look->call != NULL) {
    loop_remove(look->loop, &look->source);
    slow_call_end(&look->call);
  }
  look->asked = NULL;
  look->again = false;
}
