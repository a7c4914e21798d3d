/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The commands that ask the service and need no library of ours:
 *
 *   status   INFO, CLUSTER ..., USERS ...
 *   ls       LIST ...
 *   rm       HELLO, UNLINK, FINALIZE
 *   recover  HELLO, RECOVER, FINALIZE
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/cluster_report.h"
#include "cli/command.h"
#include "cli/service_session.h"

static vesta_err_t status_tell(service_link_t *link, bool json) {
  wire_message_t info = {.kind = WIRE_INFO};
  wire_message_t reply;
  json_t *cluster = NULL;
  vesta_err_t err = service_link_call(link, &info, &reply);
  if (err != VESTA_OK) {
    return err;
  }
  json_t *values = report_info(reply.text);
  err = service_session_cluster(link, json ? UINT32_MAX : CLUSTER_REPORT_WELL_MAX, &cluster);
  if (cluster != NULL && json) {
    (void)json_object_set(values, "cluster", cluster);
  }
  report_object(values, json);
  if (cluster != NULL && !json) {
    cluster_report_print(cluster);
  }
  json_decref(cluster);
  json_decref(values);
  return err;
}

int command_status(const command_line_t *line) {
  service_link_t link;
  vesta_err_t err = service_link_open(&link, line->socket);
  if (err == VESTA_OK) {
    err = status_tell(&link, line->json);
    service_link_close(&link);
  }
  return command_result(line, err);
}

int command_ls(const command_line_t *line) {
  service_link_t link;
  report_list_t *list = NULL;
  vesta_err_t err = service_link_open(&link, line->socket);
  if (err == VESTA_OK) {
    err = service_session_list(&link, &list);
    service_link_close(&link);
  }
  if (err == VESTA_OK) {
    report_list_print(list, line->json);
  }
  report_list_destroy(&list);
  return command_result(line, err);
}

int command_rm(const command_line_t *line) {
  service_link_t link;
  wire_message_t unlink = {.kind = WIRE_UNLINK, .name = vesta_bytes(line->name, line->name_bytes)};
  wire_message_t reply;
  vesta_err_t err = service_session_begin(&link, line->socket);
  if (err == VESTA_OK) {
    err = service_link_call(&link, &unlink, &reply);
    service_session_end(&link);
  }
  return command_result(line, err);
}

static int recover_refused(const command_line_t *line, vesta_err_t err) {
  const char *why = NULL;
  if (err == VESTA_ERR_BAD_OPERATION) {
    why = "it waits for nobody, there is nothing to recover; `vesta status` tells what waits";
  } else if (err == VESTA_ERR_NOT_SUPPORTED) {
    why = "that node has no replica of it, or this vestad is in no cluster; `vesta show` there tells";
  } else if (err == VESTA_ERR_TRY_AGAIN && !service_session_is_cut_off(line->socket)) {
    why = "not now: without quorum, or that node does not take part; `vesta status` tells who does";
  } else if (err == VESTA_ERR_DENIED) {
    why = "only root and the user who runs vestad may do that";
  } else {
    return command_result(line, err);
  }
  (void)fprintf(stderr, "vesta: recover %s: %s\n", line->arguments[0], why);
  return EXIT_FAILURE;
}

int command_recover(const command_line_t *line) {
  char *end = NULL;
  errno = 0;
  uintmax_t node = line->from == NULL ? 0 : strtoumax(line->from, &end, 10);
  if (node == 0 || node > UINT32_MAX || errno != 0 || *end != '\0') {
    return command_usage("recover needs --from NODE, the number of the node to go on with", "");
  }
  if (!line->accept_loss) {
    return command_usage("what only other nodes have will be given up; say so with --accept-loss", "");
  }
  service_link_t link;
  wire_message_t recover = {.kind = WIRE_RECOVER,
                            .name = vesta_bytes(line->name, line->name_bytes),
                            .node = node,
                            .flags = WIRE_RECOVER_ACCEPT_LOSS};
  wire_message_t reply;
  vesta_err_t err = service_session_begin(&link, line->socket);
  if (err == VESTA_OK) {
    err = service_link_call(&link, &recover, &reply);
    service_session_end(&link);
  }
  return recover_refused(line, err);
}
