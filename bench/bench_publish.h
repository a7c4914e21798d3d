/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The floor of the change stream: messages from PUB to SUB in other processes, over ipc, as libzmq has it.
 *
 * A message is the payload alone, or has the frames that Vesta sends for one change: its topic, a head that says what
 * it is (a msgpack map, made by Vesta's own codec), and the payload. Vesta has one advantage over the latter: what it
 * commits in one turn of its loop goes out in one message.
 */
#ifndef VESTA_BENCH_PUBLISH_H
#define VESTA_BENCH_PUBLISH_H

#include "bench/bench_crowd.h"

typedef struct bench_publish bench_publish_t;
bench_publish_t *bench_publish_new(const char *directory, const char *name, uint32_t subscribers);
void bench_publish_destroy(bench_publish_t **publish);
void bench_publish_size(bench_publish_t *publish, size_t payload_bytes);
/** From the call to the message in the subscriber's hands, one at a time; of the payload alone. */
void bench_publish_latency_block(void *publish, int64_t duration_ns, bench_samples_t *samples);
/** As many as possible; one sample: nanoseconds for each message, until the last has arrived. */
void bench_publish_flood_block(void *publish, int64_t duration_ns, bench_samples_t *samples);
/** The same with the frames of a change. */
void bench_publish_frames_block(void *publish, int64_t duration_ns, bench_samples_t *samples);

#define BENCH_SUBSCRIBER_ROLE "subscriber"
int bench_subscriber_run(char **arguments);

#endif
