/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See service_session.h.
 */
#include "cli/service_session.h"

#include <unistd.h>

#include "cli/cluster_report.h"
#include "cli/users_report.h"

vesta_err_t service_session_begin(service_link_t *link, const char *socket) {
  wire_message_t hello = {.kind = WIRE_HELLO, .pid = (uint64_t)getpid()};
  wire_message_t reply;
  vesta_err_t err = service_link_open(link, socket);
  if (err == VESTA_OK) {
    err = service_link_call(link, &hello, &reply);
    if (err != VESTA_OK) {
      service_link_close(link);
    }
  }
  return err;
}

void service_session_end(service_link_t *link) {
  wire_message_t finalize = {.kind = WIRE_FINALIZE};
  wire_message_t reply;
  (void)service_link_call(link, &finalize, &reply);
  service_link_close(link);
}

bool service_session_is_cut_off(const char *socket) {
  service_link_t link;
  wire_message_t ask = {.kind = WIRE_CLUSTER, .state = WIRE_CLUSTER_NODES};
  wire_message_t reply;
  if (service_link_open(&link, socket) != VESTA_OK) {
    return false;
  }
  bool told = service_link_call(&link, &ask, &reply) == VESTA_OK;
  bool cut_off = told && ((reply.state & WIRE_CLUSTER_USABLE) == 0 || (reply.state & WIRE_CLUSTER_CUT_OFF) != 0);
  service_link_close(&link);
  return cut_off;
}

vesta_err_t service_session_list(service_link_t *link, report_list_t **list) {
  wire_message_t reply = {0};
  vesta_err_t err = VESTA_OK;
  report_list_t *made = report_list_new();
  if (made == NULL) {
    return VESTA_ERR_NO_MEMORY;
  }
  while (err == VESTA_OK && reply.state == 0) {
    wire_message_t page = {.kind = WIRE_LIST, .cursor = reply.cursor};
    err = service_link_call(link, &page, &reply);
    if (err == VESTA_OK) {
      report_list_add(made, &reply);
    }
  }
  if (err != VESTA_OK) {
    report_list_destroy(&made);
    return err;
  }
  *list = made;
  return VESTA_OK;
}

vesta_err_t service_session_load(service_link_t *link, report_list_t *list) {
  wire_message_t reply = {0};
  vesta_err_t err = VESTA_OK;
  size_t at = 0;
  while (err == VESTA_OK && reply.state == 0) {
    wire_message_t page = {.kind = WIRE_LOAD, .cursor = reply.cursor};
    err = service_link_call(link, &page, &reply);
    if (err == VESTA_OK) {
      report_list_add_load(list, &at, &reply);
    }
  }
  return err;
}

/* One list, a row a call: they are short, and looked at by people. */
static vesta_err_t users_fetch(service_link_t *link, uint64_t checkpoint, uint64_t which, json_t *users,
                               wire_message_t *local) {
  wire_message_t row = {0};
  for (;;) {
    wire_message_t ask = {.kind = WIRE_USERS, .checkpoint = checkpoint, .state = which, .cursor = row.cursor};
    vesta_err_t err = service_link_call(link, &ask, &row);
    if (err != VESTA_OK || (row.state & WIRE_USER_NONE) != 0) {
      return err;
    }
    if (row.cursor <= ask.cursor) {
      return VESTA_ERR_MALFORMED; /* it would never end */
    }
    users_report_add(users, which, &row);
    if (which == WIRE_USERS_REPLICAS && (row.checkpoint_bytes != 0 || row.sections_max != 0)) {
      *local = row;
      local->text = (vesta_bytes_t){0}; /* it lived as long as the answer */
    }
  }
}

vesta_err_t service_session_users(service_link_t *link, uint64_t checkpoint, json_t **users, wire_message_t *local) {
  json_t *made = users_report_new();
  vesta_err_t err = VESTA_OK;
  for (uint64_t which = WIRE_USERS_HANDLES; err == VESTA_OK && which <= WIRE_USERS_REPLICAS; which++) {
    err = users_fetch(link, checkpoint, which, made, local);
  }
  if (err != VESTA_OK) {
    json_decref(made);
    return err;
  }
  users_report_join(made);
  *users = made;
  return VESTA_OK;
}

/* Where its replicas are. */
static vesta_err_t cluster_replicas(service_link_t *link, json_t *checkpoint) {
  wire_message_t row = {0};
  json_int_t id = json_integer_value(json_object_get(checkpoint, "id"));
  for (;;) {
    wire_message_t ask = {
        .kind = WIRE_USERS, .checkpoint = (uint64_t)id, .state = WIRE_USERS_REPLICAS, .cursor = row.cursor};
    vesta_err_t err = service_link_call(link, &ask, &row);
    if (err == VESTA_ERR_NOT_EXIST || (err == VESTA_OK && (row.state & WIRE_USER_NONE) != 0)) {
      return VESTA_OK;
    }
    if (err != VESTA_OK || row.cursor <= ask.cursor) {
      return err != VESTA_OK ? err : VESTA_ERR_MALFORMED;
    }
    cluster_report_replica(checkpoint, &row);
  }
}

vesta_err_t service_session_cluster(service_link_t *link, uint32_t well_max, json_t **cluster) {
  wire_message_t ask = {.kind = WIRE_CLUSTER, .state = WIRE_CLUSTER_NODES};
  wire_message_t reply = {0};
  vesta_err_t err = service_link_call(link, &ask, &reply);
  *cluster = NULL;
  if (err != VESTA_OK) {
    return err == VESTA_ERR_NOT_SUPPORTED ? VESTA_OK : err;
  }
  json_t *made = cluster_report_new(&reply);
  reply = (wire_message_t){0};
  while (err == VESTA_OK && reply.state == 0) {
    wire_message_t page = {.kind = WIRE_CLUSTER, .state = WIRE_CLUSTER_CHECKPOINTS, .cursor = reply.cursor};
    err = service_link_call(link, &page, &reply);
    if (err == VESTA_OK) {
      cluster_report_add(made, &reply);
    }
  }
  size_t index;
  json_t *checkpoint;
  uint32_t well = 0;
  json_array_foreach(cluster_report_checkpoints(made), index, checkpoint) {
    if (err == VESTA_OK && (!cluster_report_is_well(checkpoint) || well++ < well_max)) {
      err = cluster_replicas(link, checkpoint);
    }
  }
  if (err != VESTA_OK) {
    json_decref(made);
    return err;
  }
  *cluster = made;
  return VESTA_OK;
}
