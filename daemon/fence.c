/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A process of its own for each node, watched through a pidfd.
 */
#include "daemon/fence.h"

#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/error.h"
#include "daemon/log.h"

extern char **environ;

typedef struct fence_node {
  fence_t *fence;
  uint32_t node; /* 0: free */
  bool wanted, dead;
  pid_t pid; /* 0: nothing runs */
  loop_source_t source;
  int64_t due_ns; /* to begin; while it runs, to kill it */
} fence_node_t;

struct fence {
  loop_t *loop;
  const char *command;
  void (*dead)(void *context, uint32_t node);
  void *context;
  fence_node_t nodes[VESTA_NODES_MAX];
};

fence_t *fence_new(loop_t *loop, const char *command, void (*dead)(void *context, uint32_t node), void *context) {
  fence_t *fence = calloc(1, sizeof *fence);
  if (fence != NULL) {
    *fence = (fence_t){.loop = loop, .command = command, .dead = dead, .context = context};
  }
  return fence;
}

static void fence_unwatch(fence_node_t *node) {
  int pidfd = node->source.fd;
  loop_remove(node->fence->loop, &node->source);
  (void)close(pidfd);
  node->pid = 0;
}

void fence_destroy(fence_t **fence) {
  if (*fence != NULL) {
    for (uint32_t i = 0; i < VESTA_NODES_MAX; i++) {
      if ((*fence)->nodes[i].pid != 0) {
        fence_unwatch(&(*fence)->nodes[i]);
      }
    }
    free(*fence);
    *fence = NULL;
  }
}

static fence_node_t *fence_node(fence_t *fence, uint32_t id) {
  for (uint32_t i = 0; i < VESTA_NODES_MAX; i++) {
    if (fence->nodes[i].node == id) {
      return &fence->nodes[i];
    }
  }
  return NULL;
}

void fence_want(fence_t *fence, const uint32_t *nodes, uint32_t count) {
  for (uint32_t i = 0; i < VESTA_NODES_MAX; i++) {
    fence->nodes[i].wanted = false;
  }
  for (uint32_t i = 0; i < count; i++) {
    fence_node_t *node = fence_node(fence, nodes[i]);
    node = node != NULL ? node : fence_node(fence, 0);
    if (node != NULL && node->node == 0) {
      *node = (fence_node_t){.fence = fence, .node = nodes[i]};
    }
    if (node != NULL) {
      node->wanted = true;
    }
  }
  for (uint32_t i = 0; i < VESTA_NODES_MAX; i++) {
    fence_node_t *node = &fence->nodes[i];
    if (!node->wanted && node->pid == 0) {
      *node = (fence_node_t){0};
    }
  }
}

static void fence_ended(void *context, uint32_t events) {
  fence_node_t *node = context;
  int status = 0;
  (void)events;
  if (waitpid(node->pid, &status, WNOHANG) != node->pid) {
    return;
  }
  fence_unwatch(node);
  bool dead = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  node->due_ns = loop_steady_ns() + FENCE_AGAIN_NS;
  log_write(dead ? LOG_ID_FENCED : LOG_ID_FENCE_FAILED, "node=%" PRIu32 " status=%d", node->node, status);
  if (node->wanted && dead) {
    node->dead = true;
    node->fence->dead(node->fence->context, node->node);
  } else if (!node->wanted) {
    *node = (fence_node_t){0};
  }
}

static void fence_begin(fence_t *fence, fence_node_t *node, int64_t now_ns) {
  char id[16];
  (void)snprintf(id, sizeof id, "%" PRIu32, node->node);
  char *argv[] = {(char *)(uintptr_t)fence->command, id, NULL};
  posix_spawnattr_t attributes;
  sigset_t none;
  (void)sigemptyset(&none);
  (void)posix_spawnattr_init(&attributes);
  (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  (void)posix_spawnattr_setsigmask(&attributes, &none);
  int failed = posix_spawn(&node->pid, fence->command, NULL, &attributes, argv, environ);
  (void)posix_spawnattr_destroy(&attributes);
  int pidfd = failed != 0 ? -1 : (int)syscall(SYS_pidfd_open, node->pid, 0);
  node->due_ns = now_ns + FENCE_LIMIT_NS;
  log_write(LOG_ID_FENCE, "node=%" PRIu32 " command=%s", node->node, fence->command);
  if (pidfd >= 0 && loop_add(fence->loop, &node->source, pidfd, EPOLLIN, fence_ended, node)) {
    return;
  }
  if (pidfd >= 0) {
    (void)close(pidfd);
  }
  if (failed == 0) { /* it can't be waited for by the loop: rather not at all */
    (void)kill(node->pid, SIGKILL);
    (void)waitpid(node->pid, NULL, 0);
  }
  log_write(LOG_ID_FENCE_FAILED, "node=%" PRIu32 " text=\"%s\"", node->node,
            failed != 0 ? strerror(failed) : "no descriptor for it");
  node->pid = 0;
  node->due_ns = now_ns + FENCE_AGAIN_NS;
}

void fence_turn(fence_t *fence, int64_t now_ns) {
  for (uint32_t i = 0; i < VESTA_NODES_MAX; i++) {
    fence_node_t *node = &fence->nodes[i];
    if (node->node == 0 || node->due_ns > now_ns) {
      continue;
    }
    if (node->pid != 0) {
      (void)kill(node->pid, SIGKILL);
      node->due_ns = now_ns + FENCE_LIMIT_NS;
    } else if (node->wanted && !node->dead) {
      fence_begin(fence, node, now_ns);
    }
  }
}

int64_t fence_wake_ns(const fence_t *fence) {
  int64_t wake_ns = INT64_MAX;
  for (uint32_t i = 0; i < VESTA_NODES_MAX; i++) {
    const fence_node_t *node = &fence->nodes[i];
    if (node->node != 0 && (node->pid != 0 || (node->wanted && !node->dead)) && node->due_ns < wake_ns) {
      wake_ns = node->due_ns;
    }
  }
  return wake_ns;
}
