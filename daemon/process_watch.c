/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Processes are found by their pid (and told apart by their start), sessions by their token.
 */
#include "daemon/process_watch.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "core/table.h"

typedef struct watched_process {
  table_link_t by_pid;
  process_watch_t *watch;
  loop_source_t source;
  uint32_t pid;
  uint64_t start;
  struct watched_session *sessions;
} watched_process_t;

typedef struct watched_session {
  table_link_t by_token;
  watched_process_t *process;
  vesta_token_t token;
  struct watched_session *next; /* of the same process */
} watched_session_t;

struct process_watch {
  loop_t *loop;
  void (*gone)(void *context, vesta_token_t session);
  void *context;
  table_t processes;
  table_t sessions;
};

process_watch_t *process_watch_new(loop_t *loop, void (*gone)(void *context, vesta_token_t session), void *context) {
  process_watch_t *watch = calloc(1, sizeof *watch);
  if (watch == NULL) {
    return NULL;
  }
  *watch = (process_watch_t){.loop = loop, .gone = gone, .context = context};
  if (!table_init(&watch->processes) || !table_init(&watch->sessions)) {
    process_watch_destroy(&watch);
  }
  return watch;
}

/* Close and free a process that has no sessions. */
static void process_watch_end(watched_process_t *process) {
  int pidfd = process->source.fd;
  VESTA_ASSERT(process->sessions == NULL);
  loop_remove(process->watch->loop, &process->source);
  table_remove(&process->watch->processes, &process->by_pid);
  (void)close(pidfd);
  free(process);
}

void process_watch_destroy(process_watch_t **watch_pointer) {
  process_watch_t *watch = *watch_pointer;
  if (watch == NULL) {
    return;
  }
  size_t bucket = 0;
  table_link_t *link = watch->processes.buckets == NULL ? NULL : table_each(&watch->processes, &bucket, NULL);
  while (link != NULL) {
    watched_process_t *process = TABLE_ENTRY(link, watched_process_t, by_pid);
    link = table_each(&watch->processes, &bucket, link);
    while (process->sessions != NULL) {
      watched_session_t *session = process->sessions;
      process->sessions = session->next;
      free(session);
    }
    process_watch_end(process);
  }
  table_fini(&watch->processes);
  table_fini(&watch->sessions);
  free(watch);
  *watch_pointer = NULL;
}

static watched_session_t *process_watch_session(const process_watch_t *watch, vesta_token_t token) {
  for (table_link_t *link = table_find(&watch->sessions, token.lo); link != NULL; link = table_find_next(link)) {
    watched_session_t *session = TABLE_ENTRY(link, watched_session_t, by_token);
    if (vesta_token_equal(session->token, token)) {
      return session;
    }
  }
  return NULL;
}

static watched_process_t *process_watch_process(const process_watch_t *watch, uint32_t pid, uint64_t start) {
  for (table_link_t *link = table_find(&watch->processes, table_hash_number(pid)); link != NULL;
       link = table_find_next(link)) {
    watched_process_t *process = TABLE_ENTRY(link, watched_process_t, by_pid);
    if (process->pid == pid && process->start == start) {
      return process;
    }
  }
  return NULL;
}

static void process_watch_died(void *context, uint32_t events) {
  watched_process_t *process = context;
  process_watch_t *watch = process->watch;
  watched_session_t *sessions = process->sessions;
  (void)events;
  process->sessions = NULL;
  process_watch_end(process);
  for (watched_session_t *session = sessions; session != NULL; session = session->next) {
    table_remove(&watch->sessions, &session->by_token);
  }
  while (sessions != NULL) {
    watched_session_t *session = sessions;
    vesta_token_t token = session->token;
    sessions = session->next;
    free(session);
    watch->gone(watch->context, token);
  }
}

/* The process of that pidfd, which is taken over. */
static watched_process_t *process_watch_begin(process_watch_t *watch, uint32_t pid, uint64_t start, int pidfd) {
  watched_process_t *process = process_watch_process(watch, pid, start);
  if (process != NULL) {
    (void)close(pidfd);
    return process;
  }
  process = calloc(1, sizeof *process);
  if (process == NULL || !loop_add(watch->loop, &process->source, pidfd, EPOLLIN, process_watch_died, process)) {
    free(process);
    (void)close(pidfd);
    return NULL;
  }
  process->watch = watch;
  process->pid = pid;
  process->start = start;
  table_insert(&watch->processes, &process->by_pid, table_hash_number(pid));
  return process;
}

vesta_err_t process_watch_add(process_watch_t *watch, vesta_token_t token, uint32_t pid, uint64_t start, int pidfd) {
  if (process_watch_session(watch, token) != NULL) {
    (void)close(pidfd);
    return VESTA_OK;
  }
  watched_process_t *process = process_watch_begin(watch, pid, start, pidfd);
  if (process == NULL) {
    return VESTA_ERR_NO_RESOURCES;
  }
  watched_session_t *session = malloc(sizeof *session);
  if (session == NULL) {
    if (process->sessions == NULL) {
      process_watch_end(process);
    }
    return VESTA_ERR_NO_MEMORY;
  }
  *session = (watched_session_t){.process = process, .token = token, .next = process->sessions};
  process->sessions = session;
  table_insert(&watch->sessions, &session->by_token, token.lo);
  return VESTA_OK;
}

void process_watch_remove(process_watch_t *watch, vesta_token_t token) {
  watched_session_t *session = process_watch_session(watch, token);
  if (session == NULL) {
    return;
  }
  watched_process_t *process = session->process;
  watched_session_t **at = &process->sessions;
  while (*at != session) {
    at = &(*at)->next;
  }
  *at = session->next;
  table_remove(&watch->sessions, &session->by_token);
  free(session);
  if (process->sessions == NULL) {
    process_watch_end(process);
  }
}

uint64_t process_watch_count(const process_watch_t *watch) { return watch->processes.count; }
