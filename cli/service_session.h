/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What several commands ask the service over its link.
 */
#ifndef VESTA_CLI_SERVICE_SESSION_H
#define VESTA_CLI_SERVICE_SESSION_H

#include "cli/report.h"

/** A link with a session, ended by service_session_end(). Only who changes something needs one: in a cluster without
 *  quorum none begins. @return as service_link_open(); nothing is open then */
vesta_err_t service_session_begin(service_link_t *link, const char *socket);
void service_session_end(service_link_t *link);

/** Is it the vestad of a node that takes no part in its cluster now? Then calls wait, or give TRY_AGAIN. */
bool service_session_is_cut_off(const char *socket);

/** All checkpoints, without what is done with them. @param[out] list   the caller's */
vesta_err_t service_session_list(service_link_t *link, report_list_t **list);
/** Add what is done with them to the rows of a list. */
vesta_err_t service_session_load(service_link_t *link, report_list_t *list);

/**
 * Who uses a checkpoint, and its replicas.
 * @param[out] users    "replicas", "openers", "members", "streams": arrays, see users_report.h; the caller's
 * @param[out] local    of the replica that answered: attributes, position, sections and bytes
 * @return NOT_EXIST when it went meanwhile
 */
vesta_err_t service_session_users(service_link_t *link, uint64_t checkpoint, json_t **users, wire_message_t *local);

/**
 * How the cluster stands, see cluster_report.h.
 * @param well_max       of checkpoints that are well so many are told of whole, the others without their replicas
 * @param[out] cluster   NULL when the service is alone; the caller's
 */
vesta_err_t service_session_cluster(service_link_t *link, uint32_t well_max, json_t **cluster);

#endif
