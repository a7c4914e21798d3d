/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What several commands ask the service over its link.
 */
#ifndef VESTA_CLI_SERVICE_SESSION_H
#define VESTA_CLI_SERVICE_SESSION_H

#include "cli/report.h"

/** A link with a session, ended by service_session_end(). @return as service_link_open(); nothing is open then */
vesta_err_t service_session_begin(service_link_t *link, const char *socket);
void service_session_end(service_link_t *link);

/** All checkpoints. @param[out] list   the caller's */
vesta_err_t service_session_list(service_link_t *link, report_list_t **list);

#endif
