/* SPDX-License-Identifier: BSD-2-Clause
 *
 * An open checkpoint of the demo or the bench: library handle and checkpoint handle together, failure ends the program.
 */
#ifndef VESTA_BENCH_OPENER_H
#define VESTA_BENCH_OPENER_H

#include <saCkpt.h>
#include <stdint.h>

typedef struct opener {
  SaCkptHandleT library;
  SaCkptCheckpointHandleT checkpoint;
} opener_t;

/** Only the library. */
SaCkptHandleT opener_library(void);
/** Open a checkpoint, and create it if need be. It goes soon after nobody has it open any more. */
opener_t opener_create(const char *name, uint32_t sections_max, uint64_t section_bytes_max, uint32_t id_bytes_max);
/** The same with other flags than SA_CKPT_WR_ALL_REPLICAS. */
opener_t opener_create_as(const char *name, SaCkptCheckpointCreationFlagsT flags, uint32_t sections_max,
                          uint64_t section_bytes_max, uint32_t id_bytes_max);
/** Open one that exists, for reading alone, by a library handle that the opener takes over. */
opener_t opener_read(SaCkptHandleT library, const char *name);
void opener_close(opener_t *opener);

/** One section, by the text or bytes of its id. Each fails unless it goes well. */
void opener_section_create(const opener_t *opener, const void *id, uint16_t id_size, const void *data, uint64_t size);

#endif
