/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Nodes that are configured and whose engine is not in the ring are wanted dead, by those who have quorum. A node whose
 * engine is there and whose vestad is not is left alone: somebody will start it again.
 */
#include "daemon/cluster.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "daemon/fence.h"
#include "daemon/log.h"

struct cluster {
  const options_t *options;
  loop_t *loop;
  node_runner_t *runner;
  daemon_parts_t *parts;
  group_t *group;
  peers_t *peers;
  fence_t *fence;
  uint64_t incarnation, random;
  char listen[PEERS_ENDPOINT_BYTES];
};

/* ---- where the nodes are ---- */

static void cluster_endpoint(const cluster_t *cluster, const char *address, char *endpoint, size_t size) {
  bool bare_ipv6 = strchr(address, ':') != NULL;
  (void)snprintf(endpoint, size, bare_ipv6 ? "tcp://[%s]:%" PRIu64 : "tcp://%s:%" PRIu64, address,
                 cluster->options->peer_port);
}

/* Of the engine's list, and then of the options, which win. */
static void cluster_nodes(void *context) {
  cluster_t *cluster = context;
  const char *at = cluster->options->peers;
  char endpoint[PEERS_ENDPOINT_BYTES];
  uint32_t given[VESTA_NODES_MAX];
  uint32_t given_count = 0;
  uint32_t node, count;
  while (options_peer_next(&at, &node, endpoint, sizeof endpoint) && given_count < VESTA_NODES_MAX) {
    peers_set(cluster->peers, node, endpoint);
    given[given_count++] = node;
  }
  const group_node_t *nodes = group_nodes(cluster->group, &count);
  for (uint32_t i = 0; i < count; i++) {
    bool is_given = nodes[i].address[0] == '\0';
    for (uint32_t j = 0; j < given_count && !is_given; j++) {
      is_given = given[j] == nodes[i].node;
    }
    if (!is_given) {
      cluster_endpoint(cluster, nodes[i].address, endpoint, sizeof endpoint);
      peers_set(cluster->peers, nodes[i].node, endpoint);
    }
  }
}

static bool cluster_find_listen(cluster_t *cluster) {
  uint32_t count;
  const group_node_t *nodes = group_nodes(cluster->group, &count);
  if (cluster->options->listen[0] != '\0') {
    (void)snprintf(cluster->listen, sizeof cluster->listen, "%s", cluster->options->listen);
    return true;
  }
  for (uint32_t i = 0; i < count; i++) {
    if (nodes[i].node == group_node_id(cluster->group) && nodes[i].address[0] != '\0') {
      cluster_endpoint(cluster, nodes[i].address, cluster->listen, sizeof cluster->listen);
      return true;
    }
  }
  return false;
}

/* ---- who is wanted dead ---- */

static bool cluster_has(const uint32_t *nodes, uint32_t count, uint32_t node) {
  for (uint32_t i = 0; i < count; i++) {
    if (nodes[i] == node) {
      return true;
    }
  }
  return false;
}

static void cluster_look(cluster_t *cluster) {
  group_status_t status;
  uint32_t wanted[VESTA_NODES_MAX];
  uint32_t wanted_count = 0;
  uint32_t count;
  if (cluster->fence == NULL) {
    return;
  }
  group_status(cluster->group, &status);
  const group_node_t *nodes = group_nodes(cluster->group, &count);
  for (uint32_t i = 0; status.in_view && status.quorate && i < count; i++) {
    if (!cluster_has(status.ring_members, status.ring_member_count, nodes[i].node)) {
      wanted[wanted_count++] = nodes[i].node;
    }
  }
  fence_want(cluster->fence, wanted, wanted_count);
}

/* ---- what happens ---- */

static void cluster_view(void *context, order_ring_t ring, const uint32_t *members, uint32_t count) {
  cluster_t *cluster = context;
  node_runner_view(cluster->runner, ring, members, count);
  cluster_look(cluster);
}

static void cluster_quorum(void *context, order_ring_t ring, bool quorate, uint32_t expected) {
  cluster_t *cluster = context;
  node_runner_quorum(cluster->runner, ring, quorate, expected);
  cluster_look(cluster);
}

static void cluster_delivered(void *context, uint32_t node, vesta_bytes_t message) {
  cluster_t *cluster = context;
  node_runner_delivered(cluster->runner, node, message);
}

static void cluster_lost(void *context) {
  cluster_t *cluster = context;
  node_runner_lost(cluster->runner);
}

static void cluster_dead(void *context, uint32_t node) {
  cluster_t *cluster = context;
  node_runner_fenced(cluster->runner, node);
}

/* ---- life ---- */

vesta_err_t cluster_open(const options_t *options, loop_t *loop, node_runner_t *runner, daemon_parts_t *parts,
                         cluster_t **out, char *why, size_t why_size) {
  cluster_t *cluster = calloc(1, sizeof *cluster);
  (void)snprintf(why, why_size, "out of memory");
  if (cluster == NULL) {
    return VESTA_ERR_NO_MEMORY;
  }
  *cluster = (cluster_t){
      .options = options, .loop = loop, .runner = runner, .parts = parts, .incarnation = (uint64_t)loop_wall_ns()};
  while (cluster->random == 0 && getrandom(&cluster->random, sizeof cluster->random, 0) < 0) {
  }
  if (options->fence_command[0] != '\0') {
    cluster->fence = fence_new(loop, options->fence_command, cluster_dead, cluster);
    if (cluster->fence == NULL) {
      cluster_destroy(&cluster);
      return VESTA_ERR_NO_MEMORY;
    }
  }
  group_config_t group = {.node_id = (uint32_t)options->node_id,
                          .context = cluster,
                          .view = cluster_view,
                          .quorum = cluster_quorum,
                          .delivered = cluster_delivered,
                          .lost = cluster_lost,
                          .nodes = cluster_nodes};
  vesta_err_t err = group_open(&group, loop, &cluster->group, why, why_size);
  if (err != VESTA_OK) {
    cluster_destroy(&cluster);
    return err;
  }
  parts->group = cluster->group;
  *out = cluster;
  return VESTA_OK;
}

void cluster_configure(const cluster_t *cluster, node_config_t *config) {
  config->node_id = group_node_id(cluster->group);
  config->clustered = true;
  config->incarnation = cluster->incarnation;
  config->random = cluster->random;
  config->policy = cluster->options->two_node_policy;
  config->version_min = WIRE_MINOR_MIN;
  config->version_max = WIRE_MINOR;
  config->replicas = (uint32_t)cluster->options->replicas;
  config->peer_timeout_ns = (int64_t)cluster->options->peer_timeout_ns;
  config->session_grace_ns = (int64_t)cluster->options->session_grace_ns;
}

vesta_err_t cluster_listen(cluster_t *cluster, char *why, size_t why_size) {
  const options_t *options = cluster->options;
  if (!cluster_find_listen(cluster)) {
    (void)snprintf(why, why_size, "corosync does not say this node's address: --listen is needed");
    return VESTA_ERR_NOT_EXIST;
  }
  peers_config_t config = {.node_id = group_node_id(cluster->group),
                           .incarnation = cluster->incarnation,
                           .version_min = WIRE_MINOR_MIN,
                           .version_max = WIRE_MINOR,
                           .queue_bytes_max = VESTA_PEER_QUEUE_BYTES_MAX,
                           .awake_ns = (int64_t)options->busy_poll_ns,
                           .listen = cluster->listen,
                           .key_file = options->peer_keys[0] == '\0' ? NULL : options->key,
                           .keys_dir = options->peer_keys,
                           .context = cluster->runner,
                           .up = node_runner_peer_up,
                           .received = node_runner_peer};
  vesta_err_t err = peers_open(&config, cluster->loop, &cluster->peers, why, why_size);
  if (err == VESTA_OK) {
    cluster->parts->peers = cluster->peers;
    if (config.key_file == NULL) {
      log_write(LOG_ID_PEER_INSECURE, "listen=%s text=\"whoever reaches it is taken for a node\"", cluster->listen);
    }
  }
  return err;
}

void cluster_start(cluster_t *cluster) {
  if (cluster->options->two_node_policy == ORDER_TRUST) {
    log_write(LOG_ID_GROUP_TRUST,
              "text=\"just half of the nodes go on by themselves; a cut between them splits the cluster\"");
  }
  cluster_nodes(cluster);
  group_start(cluster->group);
}

void cluster_turn(cluster_t *cluster) {
  if (cluster->fence != NULL) {
    fence_turn(cluster->fence, loop_steady_ns());
  }
}

int64_t cluster_wake_ns(const cluster_t *cluster) {
  return cluster->fence == NULL ? INT64_MAX : fence_wake_ns(cluster->fence);
}

void cluster_close(cluster_t *cluster) {
  if (cluster != NULL) {
    group_close(&cluster->group);
    peers_close(cluster->peers);
  }
}

void cluster_destroy(cluster_t **cluster) {
  if (*cluster != NULL) {
    group_close(&(*cluster)->group);
    fence_destroy(&(*cluster)->fence);
    peers_destroy(&(*cluster)->peers);
    free(*cluster);
    *cluster = NULL;
  }
}
