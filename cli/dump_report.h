/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The lines of a dump (dump_command.c), whatever it is made of.
 */
#ifndef VESTA_CLI_DUMP_REPORT_H
#define VESTA_CLI_DUMP_REPORT_H

#include "cli/command.h"
#include "cli/report.h"

#include <vesta.h>

#define DUMP_VERSION 1

/** The first line, to be printed and freed. */
json_t *dump_report_head(vesta_bytes_t name, vesta_pos_t position, const vesta_attributes_t *attributes);
/** A section's line, to be printed and freed. NULL: no memory. */
json_t *dump_report_section(vesta_bytes_t id, int64_t expiry_ns, const void *data, size_t size);

/** Wait until a mirror has a whole state. */
SaAisErrorT dump_synced(vesta_mirror_t *mirror);

/** dump --diverged, dump --file: of a region that is no replica of the checkpoint now. @return the program's exit code */
int dump_region(const command_line_t *line);

#endif
