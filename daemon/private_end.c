/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See private_end.h.
 */
#include "daemon/private_end.h"

#include <stdio.h>
#include <unistd.h>

#include "daemon/lock_file.h"
#include "daemon/options.h"

void private_end_init(private_end_t *end, const char *socket, int64_t linger_ns) {
  *end = (private_end_t){.socket = socket, .linger_ns = linger_ns, .idle_since_ns = INT64_MAX, .lock = -1};
}

/* Nobody can come any more, and nobody came. */
static bool private_end_seal(private_end_t *end, agent_server_t *server) {
  char path[OPTIONS_PATH_BYTES + 8];
  (void)snprintf(path, sizeof path, "%s.start", end->socket);
  if (lock_file_take(path, &end->lock) != VESTA_OK) {
    return false; /* somebody is about to connect */
  }
  if (agent_server_hide(server)) {
    if (!agent_server_is_called(server)) {
      return true;
    }
    agent_server_show(server);
  }
  (void)close(end->lock);
  end->lock = -1;
  return false;
}

bool private_end_turn(private_end_t *end, agent_server_t *server, bool idle, int64_t steady_ns) {
  if (!idle || agent_server_counter(server, AGENT_COUNTER_LINKS) > 0) {
    end->idle_since_ns = INT64_MAX;
    return false;
  }
  if (end->idle_since_ns == INT64_MAX) {
    end->idle_since_ns = steady_ns;
  }
  if (steady_ns - end->idle_since_ns < end->linger_ns) {
    return false;
  }
  if (private_end_seal(end, server)) {
    return true;
  }
  end->idle_since_ns = steady_ns;
  return false;
}

int64_t private_end_wake_ns(const private_end_t *end) {
  return end->idle_since_ns == INT64_MAX ? INT64_MAX : end->idle_since_ns + end->linger_ns;
}
