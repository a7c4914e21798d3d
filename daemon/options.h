/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What vestad was told: by a file, by the environment, by the command line; the later wins over the earlier.
 *
 * One table (options.c) says of each option its name, which is the same in the file and on the command line, its
 * environment variable, its type and its words in --help. So none can be missing in one of the places.
 */
#ifndef VESTA_DAEMON_OPTIONS_H
#define VESTA_DAEMON_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/order.h"
#include "daemon/log.h"

#define OPTIONS_PATH_BYTES 1024U
#define OPTIONS_WORD_BYTES 64U
#define OPTIONS_LIST_BYTES 4096U
#define OPTIONS_DEFAULT_FILE "/etc/vesta/vestad.conf"

typedef enum options_engine { OPTIONS_ALONE, OPTIONS_COROSYNC } options_engine_t;

typedef struct options {
  char socket[OPTIONS_PATH_BYTES];      /* agents connect here; absolute after options_complete() */
  char run_dir[OPTIONS_PATH_BYTES];     /* where the socket stands; the same */
  char replica_dir[OPTIONS_PATH_BYTES]; /* empty: by the socket's name, below a directory of this user in /dev/shm */
  char config[OPTIONS_PATH_BYTES];
  char group[OPTIONS_WORD_BYTES]; /* empty: only the same user may connect */
  log_level_t log_level;
  log_target_t log_to;
  bool private_daemon;
  bool foreground;
  uint64_t linger_ns; /* a private daemon that is idle for so long ends */
  uint64_t clients_max;
  uint64_t journal_bytes; /* the journal is rewritten shorter above this */
  uint64_t ready_fd;      /* OPTIONS_NO_FD: nobody waits */
  options_engine_t cluster;
  uint64_t node_id; /* 0: as the cluster's engine says */
  order_policy_t two_node_policy;
  char fence_command[OPTIONS_PATH_BYTES]; /* empty: nobody is ever known to be dead */
  uint64_t replicas, session_grace_ns, peer_timeout_ns;
  uint64_t busy_poll_ns;           /* peers_config_t.awake_ns */
  char listen[OPTIONS_WORD_BYTES]; /* empty: at this node's address in the engine's list of nodes */
  char peers[OPTIONS_LIST_BYTES];  /* "NODE=ENDPOINT NODE=ENDPOINT": those that are not as in that list */
  uint64_t peer_port;
  char key[OPTIONS_PATH_BYTES], peer_keys[OPTIONS_PATH_BYTES];
  char stream_listen[OPTIONS_WORD_BYTES]; /* empty: no streams over TCP */
  char stream_keys[OPTIONS_PATH_BYTES];
  uint64_t guests_max;
  bool insecure;
  bool help;
  bool version;
} options_t;

#define OPTIONS_NO_FD UINT64_MAX

typedef enum options_verdict {
  OPTIONS_GOOD,
  OPTIONS_USAGE,  /* a mistake in an option: exit code 2 */
  OPTIONS_FAILED, /* the file can't be read: exit code 1 */
} options_verdict_t;

/**
 * Read all three places.
 * @param environment   getenv(), or a test's
 * @param[out] why      what is wrong, when not OPTIONS_GOOD
 */
options_verdict_t options_read(options_t *options, int argc, char **argv, const char *(*environment)(const char *name),
                               char *why, size_t why_size);

/** Fill in where the sockets are, when nobody said. @return OPTIONS_USAGE when a path is too long for a socket, or options
 *  don't go together */
options_verdict_t options_complete(options_t *options, const char *(*environment)(const char *name), char *why,
                                   size_t why_size);

/** The text of --help, to standard output. */
void options_help(void);

/**
 * The next of the list of peers.
 * @param[in,out] at     where to read on; at first options->peers
 * @param[out] endpoint  of at least `size` bytes
 * @return false: there are no more, or (then *at is not at the end) it is not `NODE=ENDPOINT`
 */
bool options_peer_next(const char **at, uint32_t *node, char *endpoint, size_t size);

/* Exposed for tests: "64M" to bytes, "1500ms" to nanoseconds. */
bool options_size_parse(const char *text, uint64_t *bytes);
bool options_duration_parse(const char *text, uint64_t *ns);

#endif
