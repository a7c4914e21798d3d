/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See service_session.h.
 */
#include "cli/service_session.h"

#include <unistd.h>

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
