/* SPDX-License-Identifier: BSD-2-Clause
 *
 * keygen: the keys of a node, or of who subscribes on another machine, for links that are encrypted.
 *
 *     DIR/node.key   `public Z85` and `secret Z85`, 0600: vestad --key; vesta watch --key, VESTA_STREAM_KEY
 *     DIR/node.pub   the public key: to be copied into the --peer-keys directory of every node, as NODE.pub; into the
 *                    --stream-keys directory of the service, as any NAME.pub; and a service's to its subscribers
 *
 * Keys that are there are left alone: a node whose key is replaced is a stranger to the others.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zmq.h>

#include "cli/command.h"

#define KEYGEN_PATH_BYTES 1024U
#define KEYGEN_KEY_BYTES 41U

static int keygen_failed(const char *path) {
  (void)fprintf(stderr, "vesta: %s: %s\n", path, strerror(errno));
  return EXIT_FAILURE;
}

/* A new file with this text; false with errno. */
static bool keygen_write(const char *path, mode_t mode, const char *text) {
  size_t size = strlen(text);
  int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
  if (fd < 0) {
    return false;
  }
  ssize_t written = write(fd, text, size);
  int why = written < 0 ? errno : ENOSPC;
  bool good = written == (ssize_t)size && fsync(fd) == 0;
  (void)close(fd);
  if (!good) {
    (void)unlink(path);
    errno = why;
  }
  return good;
}

int command_keygen(const command_line_t *line) {
  char public_key[KEYGEN_KEY_BYTES], secret_key[KEYGEN_KEY_BYTES];
  char key_path[KEYGEN_PATH_BYTES], public_path[KEYGEN_PATH_BYTES];
  char text[256];
  const char *directory = line->arguments[0];
  if (snprintf(key_path, sizeof key_path, "%s/node.key", directory) >= (int)sizeof key_path ||
      snprintf(public_path, sizeof public_path, "%s/node.pub", directory) >= (int)sizeof public_path) {
    errno = ENAMETOOLONG;
    return keygen_failed(directory);
  }
  if (zmq_curve_keypair(public_key, secret_key) != 0) {
    (void)fprintf(stderr, "vesta: this ZeroMQ can't encrypt\n");
    return EXIT_FAILURE;
  }
  if (mkdir(directory, 0700) != 0 && errno != EEXIST) {
    return keygen_failed(directory);
  }
  (void)snprintf(text, sizeof text, "public %s\nsecret %s\n", public_key, secret_key);
  explicit_bzero(secret_key, sizeof secret_key);
  bool written = keygen_write(key_path, 0600, text);
  explicit_bzero(text, sizeof text);
  if (!written) {
    return keygen_failed(key_path);
  }
  (void)snprintf(text, sizeof text, "%s\n", public_key);
  if (!keygen_write(public_path, 0644, text)) {
    int why = errno;
    (void)unlink(key_path);
    errno = why;
    return keygen_failed(public_path);
  }
  (void)printf("%s: this node's keys, for vestad --key; nobody else may see it\n"
               "%s: to be copied into the --peer-keys directory of every node, as NODE.pub (this one's number);\n"
               "  a subscriber's into the --stream-keys directory of the service, as NAME.pub\n",
               key_path, public_path);
  return EXIT_SUCCESS;
}
