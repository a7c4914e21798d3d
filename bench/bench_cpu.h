/* SPDX-License-Identifier: BSD-2-Clause
 *
 * How long processes have been running, to the nanosecond: /proc/PID/stat counts in hundredths of a second.
 */
#ifndef VESTA_BENCH_CPU_H
#define VESTA_BENCH_CPU_H

#include <stdint.h>
#include <sys/types.h>

/** Of all its threads so far. 0: there is no such process, or the kernel does not say. */
int64_t bench_cpu_ns(pid_t process);

#endif
