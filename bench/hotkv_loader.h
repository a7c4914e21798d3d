/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A client that loads hotkv: a process that sends SETs of its own keys, several at a time, and keeps the ledger.
 *
 * When its connection breaks it connects again at once, and then every HOTKV_RETRY_NS. The first thing that it asks of
 * whoever answers is a SET of a key that nobody judges: its OK ends the outage. Then it waits while the ledger says
 * `hold`, so that what was found after the outage is not covered up by new writes.
 */
#ifndef VESTA_BENCH_HOTKV_LOADER_H
#define VESTA_BENCH_HOTKV_LOADER_H

#include <stdint.h>
#include <sys/types.h>

#define HOTKV_LOADER_ROLE "loader"
#define HOTKV_RETRY_NS 1000000LL

pid_t hotkv_loader_spawn(const char *ledger_path, uint32_t index);
/** The process itself: runs until it is killed. */
_Noreturn void hotkv_loader_run(char **arguments);

#endif
