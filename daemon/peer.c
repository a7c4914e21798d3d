/* SPDX-License-Identifier: BSD-2-Clause
 *
 * SO_PEERCRED, and what /proc says about processes and pidfds.
 */
#include "daemon/peer.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

bool peer_identify(int socket, peer_t *peer) {
  struct ucred credentials;
  socklen_t size = sizeof credentials;
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) {
    return false;
  }
  *peer = (peer_t){.uid = credentials.uid, .pid = credentials.pid > 0 ? (uint32_t)credentials.pid : 0};
  return true;
}

/* A small file of /proc as text. */
static bool peer_proc_read(const char *path, char *text, size_t capacity) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return false;
  }
  ssize_t size = read(fd, text, capacity - 1);
  (void)close(fd);
  if (size <= 0) {
    return false;
  }
  text[size] = '\0';
  return true;
}

bool peer_owns_pidfd(const peer_t *peer, int pidfd) {
  char path[64];
  char text[1024];
  (void)snprintf(path, sizeof path, "/proc/self/fdinfo/%d", pidfd);
  if (peer->pid == 0 || !peer_proc_read(path, text, sizeof text)) {
    return false;
  }
  const char *line = strstr(text, "\nPid:");
  long pid = -1; /* what a pidfd of a dead process says; another descriptor has no such line */
  return line != NULL && sscanf(line, "\nPid: %ld", &pid) == 1 && pid == (long)peer->pid;
}

uint64_t peer_process_start(uint32_t pid) {
  char path[64];
  char text[1024];
  (void)snprintf(path, sizeof path, "/proc/%" PRIu32 "/stat", pid);
  if (pid == 0 || !peer_proc_read(path, text, sizeof text)) {
    return 0;
  }
  const char *at = strrchr(text, ')'); /* the command's name may hold blanks and brackets */
  for (int field = 2; at != NULL && field < 22; field++) {
    at = strchr(at + 1, ' ');
  }
  uint64_t start = 0;
  return at != NULL && sscanf(at, " %" SCNu64, &start) == 1 ? start : 0;
}

void peer_process_program(uint32_t pid, char program[PEER_PROGRAM_BYTES]) {
  char path[64];
  (void)snprintf(path, sizeof path, "/proc/%" PRIu32 "/comm", pid);
  if (pid == 0 || !peer_proc_read(path, program, PEER_PROGRAM_BYTES)) {
    program[0] = '\0';
  }
  program[strcspn(program, "\n")] = '\0'; /* the file's own end of line */
}

int peer_process_open(uint32_t pid, uint64_t start) {
  int pidfd = pid == 0 ? -1 : (int)syscall(SYS_pidfd_open, (pid_t)pid, 0U);
  if (pidfd < 0) {
    return -1;
  }
  /* Looked at after opening: if it is that process now, the descriptor is of that process. */
  if (start == 0 || peer_process_start(pid) != start) {
    (void)close(pidfd);
    return -1;
  }
  return pidfd;
}
