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

static size_t property_write(uint8_t *to, const char *name, const char *value) {
  size_t name_size = strlen(name), value_size = strlen(value);
  uint8_t *at = to;
  *at++ = (uint8_t)name_size;
  memcpy(at, name, name_size);
  at += name_size;
  memset(at, 0, 4);
  at[3] = (uint8_t)value_size;
  memcpy(at + 4, value, value_size);
  return 1 + name_size + 4 + value_size;
}

int tcp_place_greet(const tcp_place_t *place, unsigned port, const char *type, const char *user) {
  uint8_t bytes[256] = {[0] = 0xFF, [9] = 0x7F, [10] = 3, [12] = 'N', 'U', 'L', 'L', [64] = 4 /* a command */};
  size_t size = 66; /* greeting | 4, size of what follows */
  memcpy(bytes + size, "\x05READY", 6);
  size += 6;
  size += property_write(bytes + size, "Socket-Type", type);
  size += user == NULL ? 0 : property_write(bytes + size, "User-Id", user);
  bytes[65] = (uint8_t)(size - 66);
  int fd = tcp_place_connect(place, port);
  uint8_t theirs[66 + 255]; /* what follows before their READY has come would be taken for a part of the handshake */
  if (fd >= 0 && (send(fd, bytes, size, MSG_NOSIGNAL) != (ssize_t)size || recv(fd, theirs, 66, MSG_WAITALL) != 66 ||
                  recv(fd, theirs + 66, theirs[65], MSG_WAITALL) != theirs[65])) {
    (void)close(fd);
    return -1;
  }
  return fd;
}

bool tcp_frame_send(int fd, const void *bytes, size_t size) {
  uint8_t frame[2 + 255] = {0, (uint8_t)size};
  memcpy(frame + 2, bytes, size);
  return send(fd, frame, 2 + size, MSG_NOSIGNAL) == (ssize_t)(2 + size);
}
