/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See tcp_guest.h.
 */
#include "test/support/tcp_guest.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ftw.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include "notify/zmq/stream_remote.h"
#include "test/support/deadline.h"

#define KEY_BYTES 41

static void place_fail(const char *what) {
  (void)fprintf(stderr, "tcp_guest: %s: %s\n", what, strerror(errno));
  exit(1);
}

static void file_write(const char *path, const char *text) {
  FILE *file = fopen(path, "we");
  if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0) {
    place_fail(path);
  }
}

static void path_make(char path[TCP_GUEST_PATH_BYTES], const tcp_place_t *place, const char *name) {
  (void)snprintf(path, TCP_GUEST_PATH_BYTES, "%.64s/%s", place->directory, name);
}

static void keys_make(const char *pair_path, const char *public_path) {
  char public_key[KEY_BYTES], secret_key[KEY_BYTES], text[256];
  if (zmq_curve_keypair(public_key, secret_key) != 0) {
    place_fail("keys");
  }
  (void)snprintf(text, sizeof text, "public %s\nsecret %s\n", public_key, secret_key);
  file_write(pair_path, text);
  (void)chmod(pair_path, 0600);
  (void)snprintf(text, sizeof text, "%s\n", public_key);
  file_write(public_path, text);
}

void tcp_place_make(tcp_place_t *place) {
  unsigned pid = (unsigned)getpid();
  *place = (tcp_place_t){0};
  (void)snprintf(place->address, sizeof place->address, "127.%u.%u.%u", 1 + (pid >> 16) % 250, (pid >> 8) % 256,
                 pid % 256);
  (void)snprintf(place->endpoint, sizeof place->endpoint, "tcp://%s:%u", place->address, TCP_GUEST_PORT);
  (void)snprintf(place->directory, sizeof place->directory, "/tmp/vesta-keys-XXXXXX");
  if (mkdtemp(place->directory) == NULL) {
    place_fail("mkdtemp");
  }
  path_make(place->known_dir, place, "known");
  path_make(place->server_key, place, "server.key");
  path_make(place->server_public, place, "server.pub");
  path_make(place->guest_key, place, "guest.key");
  path_make(place->stranger_key, place, "stranger.key");
  path_make(place->stranger_public, place, "stranger.pub");
  if (mkdir(place->known_dir, 0700) != 0) {
    place_fail(place->known_dir);
  }
  char guest_public[TCP_GUEST_PATH_BYTES];
  path_make(guest_public, place, "known/guest.pub");
  keys_make(place->server_key, place->server_public);
  keys_make(place->guest_key, guest_public);
  keys_make(place->stranger_key, place->stranger_public);
}

static int entry_remove(const char *path, const struct stat *info, int type, struct FTW *walk) {
  (void)info;
  (void)type;
  (void)walk;
  return remove(path);
}

void tcp_place_remove(const tcp_place_t *place) {
  (void)nftw(place->directory, entry_remove, 16, FTW_DEPTH | FTW_PHYS);
}

void tcp_place_admit(const tcp_place_t *place, const char *public_key, const char *name) {
  char path[2 * TCP_GUEST_PATH_BYTES];
  char text[256] = "";
  FILE *file = fopen(public_key, "re");
  if (file == NULL || fgets(text, sizeof text, file) == NULL) {
    place_fail(public_key);
  }
  (void)fclose(file);
  (void)snprintf(path, sizeof path, "%s/%s.pub", place->known_dir, name);
  file_write(path, text);
}

void tcp_place_expel(const tcp_place_t *place, const char *name) {
  char path[2 * TCP_GUEST_PATH_BYTES];
  (void)snprintf(path, sizeof path, "%s/%s.pub", place->known_dir, name);
  if (unlink(path) != 0) {
    place_fail(path);
  }
}

void *tcp_place_socket(const tcp_place_t *place, void *context, int type, unsigned port) {
  char endpoint[80];
  const int limit_ms = TEST_DEADLINE_MS;
  const int linger_ms = 0;
  stream_curve_t curve;
  void *socket = zmq_socket(context, type);
  (void)snprintf(endpoint, sizeof endpoint, "tcp://%s:%u", place->address, port);
  if (curve_file_pair(place->guest_key, &curve.own) != VESTA_OK ||
      curve_file_public(place->server_public, curve.server_key) != VESTA_OK) {
    place_fail(place->guest_key);
  }
  (void)zmq_setsockopt(socket, ZMQ_RCVTIMEO, &limit_ms, sizeof limit_ms);
  (void)zmq_setsockopt(socket, ZMQ_SNDTIMEO, &limit_ms, sizeof limit_ms);
  (void)zmq_setsockopt(socket, ZMQ_LINGER, &linger_ms, sizeof linger_ms);
  return stream_curve_apply(&curve, socket) && zmq_connect(socket, endpoint) == 0 ? socket : NULL;
}

int tcp_place_connect(const tcp_place_t *place, unsigned port) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  (void)inet_pton(AF_INET, place->address, &to.sin_addr);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd >= 0 && connect(fd, (const struct sockaddr *)&to, sizeof to) != 0) {
    int why = errno;
    (void)close(fd);
    errno = why;
    return -1;
  }
  return fd;
}
