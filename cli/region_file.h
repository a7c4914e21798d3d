/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A replica's file, looked at without its vestad: what was kept as DIVERGED, or what is left of a node. The file is
 * copied into memory of our own first, only what is in it and not its holes, so nothing happens to it.
 */
#ifndef VESTA_CLI_REGION_FILE_H
#define VESTA_CLI_REGION_FILE_H

#include "core/replica.h"

typedef struct region_file {
  void *memory;
  size_t size;
  replica_t *replica;
} region_file_t;

/**
 * @param[out] file   close it on OK
 * @return OK; NOT_EXIST; DENIED it may not be read; MALFORMED it is no replica of this version; NO_MEMORY
 */
vesta_err_t region_file_open(const char *path, region_file_t *file);
void region_file_close(region_file_t *file);

#endif
