/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See curve_files.h.
 */
#include "notify/zmq/curve_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#define CURVE_FILE_BYTES 256U

static bool key_is_good(const char *text) {
  uint8_t key[32];
  return strlen(text) == CURVE_KEY_BYTES - 1 && zmq_z85_decode(key, text) != NULL;
}

/* The beginning of a file, as text, and what the file is. */
static vesta_err_t file_read(const char *path, char text[CURVE_FILE_BYTES], struct stat *status) {
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (fd < 0) {
    return VESTA_ERR_NOT_EXIST;
  }
  ssize_t size = fstat(fd, status) == 0 ? read(fd, text, CURVE_FILE_BYTES - 1) : -1;
  int why = errno;
  (void)close(fd);
  errno = why;
  if (size < 0) {
    return VESTA_ERR_NOT_EXIST;
  }
  text[size] = '\0';
  return VESTA_OK;
}

vesta_err_t curve_file_pair(const char *path, curve_pair_t *pair) {
  char text[CURVE_FILE_BYTES];
  struct stat status;
  char public_key[CURVE_KEY_BYTES + 1] = ""; /* one longer, to see that it is not */
  char secret_key[CURVE_KEY_BYTES + 1] = "";
  vesta_err_t err = file_read(path, text, &status);
  if (err != VESTA_OK) {
    return err;
  }
  if ((status.st_mode & 077) != 0) {
    err = VESTA_ERR_DENIED;
  } else if (sscanf(text, "public %41s secret %41s", public_key, secret_key) != 2 || !key_is_good(public_key) ||
             !key_is_good(secret_key)) {
    err = VESTA_ERR_MALFORMED;
  } else {
    memcpy(pair->public_key, public_key, sizeof pair->public_key);
    memcpy(pair->secret_key, secret_key, sizeof pair->secret_key);
  }
  explicit_bzero(secret_key, sizeof secret_key);
  explicit_bzero(text, sizeof text);
  return err;
}

vesta_err_t curve_file_public(const char *path, char key[CURVE_KEY_BYTES]) {
  char text[CURVE_FILE_BYTES];
  char found[CURVE_KEY_BYTES + 1] = "";
  struct stat status;
  vesta_err_t err = file_read(path, text, &status);
  if (err != VESTA_OK) {
    return err;
  }
  if (sscanf(text, "%41s", found) != 1 || !key_is_good(found)) {
    return VESTA_ERR_MALFORMED;
  }
  memcpy(key, found, CURVE_KEY_BYTES);
  return VESTA_OK;
}
