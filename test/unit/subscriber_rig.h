/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the tests of the subscriber's rules share: where it begins, and what it asks for.
 */
#ifndef VESTA_TEST_UNIT_SUBSCRIBER_RIG_H
#define VESTA_TEST_UNIT_SUBSCRIBER_RIG_H

#include "test/unit/stream_fixture.h"

static const subscriber_config_t from_snapshot = {.start = SUBSCRIBER_FROM_SNAPSHOT};
static const subscriber_config_t from_now = {.start = SUBSCRIBER_FROM_NOW};

static inline subscriber_config_t from_position(uint64_t epoch, uint64_t seq) {
  return (subscriber_config_t){.start = SUBSCRIBER_FROM_POSITION,
                               .position = {.lineage = LINEAGE, .epoch = epoch, .seq = seq}};
}

/* A subscriber that is live, with nothing to hand out. */
static inline void rig_open_live(rig_t *rig, const subscriber_config_t *config) {
  rig_open(rig);
  rig_write(rig, ELEMENTS(create("a", "1"), create("b", "2")));
  rig_subscribe(rig, config);
  (void)rig_settle(rig);
  notify_change_t change;
  while (subscriber_next(rig->subscriber, &change)) {
  }
  assert_true(rig_status(rig).synced);
}

/* The request that is due now. */
static inline wire_message_t rig_request(rig_t *rig, uint64_t kind) {
  wire_message_t request;
  assert_true(subscriber_request(rig->subscriber, rig->now_ns, &request));
  assert_int_equal(request.kind, kind);
  return request;
}
static inline void rig_no_request(rig_t *rig) {
  wire_message_t request;
  assert_false(subscriber_request(rig->subscriber, rig->now_ns, &request));
}

static inline void rig_beacon(rig_t *rig) {
  rig->now_ns += 1000 * MS;
  publisher_time(rig->publisher, rig->now_ns, rig_find, rig);
}

#endif
