/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Streams of large checkpoints under load: scenes that test/system plays small and test/large plays at the limits.
 *
 * The load is two processes that write as fast as they are answered, one section an operation and many. What they
 * wrote, how often and how long the longest call took stands in memory that all share.
 */
#ifndef VESTA_TEST_SUPPORT_STREAM_SCALE_H
#define VESTA_TEST_SUPPORT_STREAM_SCALE_H

#include <stdint.h>

/**
 * A snapshot of so many sections, with a buffer of a megabyte, while both writers write: it ends, it is right, neither
 * subscriber nor daemon need memory for it, and no write waits for it. Then what a resync of a few of those sections
 * brings, deletes included. Fails the test that calls it.
 */
void stream_scale_snapshot(uint32_t sections);

/**
 * So many subscribers in ten processes, all of them stopped until history does not reach back to where they were, the
 * daemon killed and started again, and then all of them continued at once: walks are let in a few at a time, each
 * subscriber is told what it lost and gets to the end, and writers go on throughout. Fails the test that calls it.
 */
void stream_scale_crowd(uint32_t subscribers, uint32_t sections);

#endif
