/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A member of a group: stands by, and when it becomes active writes as fast as it can. One program for all of them.
 *
 *     join -> STANDBY -> follow, follow ... -> ACTIVE -> write down what it has -> until killed: write when told to
 *
 * What it has when it takes over is what its mirror has: it makes no call to read or to iterate.
 */
#ifndef VESTA_BENCH_MEMBER_H
#define VESTA_BENCH_MEMBER_H

#include <stdint.h>
#include <sys/types.h>

#define MEMBER_ROLE "member"

/* A member as its observer knows it. */
typedef struct member {
  pid_t process;
  uint32_t index;
} member_t;

/** Start one. `witness_path` names the file it shares with its observer; lower indices are promoted first. */
member_t member_spawn(const char *witness_path, uint32_t index);

/** What runs in the process: `arguments` are those it was spawned with. */
int member_run(char **arguments);

/** The file in which a member writes down what it had when it took over. */
void member_copy_path(const char *witness_path, uint32_t index, char *path, size_t capacity);

#endif
