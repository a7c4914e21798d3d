/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What vestad has more when it is one of several nodes, put together: the group (group.h), the links to the other nodes
 * (peers.h), where those are, and the fence command (fence.h). What happens there goes to the node runner.
 *
 *   cluster_open()     which node is this?    before the node is made
 *   cluster_listen()   the links              when ZeroMQ is up
 *   cluster_start()    join                   when the node lives
 */
#ifndef VESTA_DAEMON_CLUSTER_H
#define VESTA_DAEMON_CLUSTER_H

#include "daemon/node_runner.h"
#include "daemon/options.h"

typedef struct cluster cluster_t;

/**
 * @param options, parts   live as long as the result; parts->group is set
 * @param[out] why         says what is wrong, in words
 * @return OK; NO_MEMORY; NOT_EXIST, NO_RESOURCES: see group_open()
 */
vesta_err_t cluster_open(const options_t *options, loop_t *loop, node_runner_t *runner, daemon_parts_t *parts,
                         cluster_t **out, char *why, size_t why_size);
/** What the node is to know of it, filled in. */
void cluster_configure(const cluster_t *cluster, node_config_t *config);
/** parts->peers is set. @return as peers_open(); NOT_EXIST: nobody said where to listen */
vesta_err_t cluster_listen(cluster_t *cluster, char *why, size_t why_size);
void cluster_start(cluster_t *cluster);
/** The end of a turn, after the node runner's. */
void cluster_turn(cluster_t *cluster);
int64_t cluster_wake_ns(const cluster_t *cluster);
/** Leave, and end the links; before ZeroMQ is ended. NULL is taken. */
void cluster_close(cluster_t *cluster);
void cluster_destroy(cluster_t **cluster);

#endif
