/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a standby does at a failover when it has the standard API alone: open the checkpoint, iterate over all sections,
 * read each into its memory.
 */
#ifndef VESTA_BENCH_PLAIN_TAKEOVER_H
#define VESTA_BENCH_PLAIN_TAKEOVER_H

#include <stddef.h>
#include <stdint.h>

#define PLAIN_TAKEOVER_ROLE "plain-takeover"

/**
 * Have a fresh process do it. The library was initialized before the clock starts, as a standby's would be.
 * @param witness_path   names the checkpoint
 * @param copy_path      where it writes down what it has then, see witness.h; NULL: nowhere
 * @return how long it took, in nanoseconds
 */
int64_t plain_takeover_time(const char *witness_path, const char *copy_path);

/** What runs in the process. */
int plain_takeover_run(char **arguments);

#endif
