/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The consumer of a subscriber: takes what is handed out, builds the table, and checks each change against the history.
 * Its state is in sim_subscriber_t, the rules are named there.
 */
#ifndef VESTA_TEST_SIM_CONSUMER_H
#define VESTA_TEST_SIM_CONSUMER_H

#include "test/sim/sim_subscriber.h"

/** Take so many changes at most. @return whether there may be more */
bool sim_consumer_take(sim_subscriber_t *subscriber, uint32_t takes_max);
void sim_consumer_fini(sim_subscriber_t *subscriber);

#endif
