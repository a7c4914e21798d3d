/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A sealed memfd and its mapping. See payload_stage.h.
 */
#include "daemon/payload_stage.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

/* A file of that size for ever. -1: there is none to be had. */
static int stage_file(int files_max) {
  int fd = memfd_create("vesta-payload", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd >= 0 && (fd >= files_max || ftruncate(fd, VESTA_STAGE_BYTES) != 0 ||
                  fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)) {
    (void)close(fd);
    fd = -1;
  }
  return fd;
}

vesta_err_t payload_stage_new(frame_memory_t *pool, int files_max, const uint8_t **memory, int *fd) {
  if (!frame_memory_take(pool, VESTA_STAGE_BYTES)) {
    return VESTA_ERR_NO_RESOURCES;
  }
  int file = stage_file(files_max);
  void *mapped = file < 0 ? MAP_FAILED : mmap(NULL, VESTA_STAGE_BYTES, PROT_READ, MAP_SHARED, file, 0);
  if (mapped == MAP_FAILED) {
    if (file >= 0) {
      (void)close(file);
    }
    frame_memory_give(pool, VESTA_STAGE_BYTES);
    return VESTA_ERR_NO_RESOURCES;
  }
  *memory = mapped;
  *fd = file;
  return VESTA_OK;
}

void payload_stage_destroy(frame_memory_t *pool, const uint8_t **memory) {
  if (*memory != NULL) {
    VESTA_ASSERT(munmap((void *)(uintptr_t)*memory, VESTA_STAGE_BYTES) == 0);
    frame_memory_give(pool, VESTA_STAGE_BYTES);
    *memory = NULL;
  }
}

vesta_err_t payload_stage_find(const uint8_t *memory, const wire_message_t *message, vesta_bytes_t *payload) {
  if (memory == NULL || message->size > VESTA_STAGE_BYTES || message->offset > VESTA_STAGE_BYTES - message->size) {
    return VESTA_ERR_MALFORMED;
  }
  *payload = vesta_bytes(memory + message->offset, (size_t)message->size);
  return VESTA_OK;
}
