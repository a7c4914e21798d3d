/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Four members, one daemon, and whatever a seed makes happen to them: members killed and started, stopped and
 * continued, told to resign or to take the role, the daemon killed and restarted, all while the active writes as fast as
 * it can. Some give signs of life as active and are stopped as such. Every
 * member that becomes active judges its mirror against what was acknowledged (pair_member.h). At the end, when
 * nothing happens any more, there is one active and it serves.
 *
 * The processes themselves are not on a virtual clock, so a seed gives the same actions but not the same interleaving;
 * test/sim does that. VESTA_TEST_SEED runs one seed of one's own.
 */
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "test/support/application.h"
#include "test/support/daemon_fixture.h"
#include "test/support/pair_member.h"

enum { MEMBERS = 4, ACTIONS = 60, SEEDS = 3 };

typedef struct chaos {
  daemon_fixture_t daemon;
  pair_ledger_t *ledger;
  pair_member_t members[MEMBERS];
  vesta_role_t roles[MEMBERS]; /* as last reported; 0: not yet */
  bool stopped[MEMBERS];
  bool beats[MEMBERS];
  unsigned seed;
} chaos_t;

static unsigned draw(chaos_t *chaos, unsigned below) { return (unsigned)rand_r(&chaos->seed) % below; }

static void chaos_start(chaos_t *chaos, unsigned member) {
  vesta_pair_options_t options = {.promote_timeout = 300 * SA_TIME_ONE_MILLISECOND};
  chaos->beats[member] = draw(chaos, 2) == 0;
  options.heartbeat = chaos->beats[member] ? 100 * SA_TIME_ONE_MILLISECOND : 0;
  pair_member_end(&chaos->members[member]);
  chaos->roles[member] = (vesta_role_t)0;
  chaos->stopped[member] = false;
  chaos->members[member] = pair_member_start("pair", &options, chaos->ledger);
}

static void chaos_report(chaos_t *chaos, unsigned member) {
  pair_report_t report = pair_member_report(&chaos->members[member]); /* fails when its mirror is wrong */
  if (report.kind == PAIR_REPORT_ROLE) {
    chaos->roles[member] = report.role;
    if (report.role == VESTA_ROLE_ACTIVE) {
      pair_member_command(&chaos->members[member], PAIR_WRITE);
    }
  }
}

/* Hear what the members report for so long. */
static void chaos_listen(chaos_t *chaos, unsigned ms) {
  int64_t until_ns = daemon_fixture_now_ns() + (int64_t)ms * 1000000;
  int64_t left_ms = ms;
  do {
    struct pollfd fds[MEMBERS];
    for (unsigned i = 0; i < MEMBERS; i++) {
      fds[i] = (struct pollfd){.fd = chaos->members[i].reports, .events = POLLIN};
    }
    if (poll(fds, MEMBERS, (int)left_ms) <= 0) {
      return;
    }
    for (unsigned i = 0; i < MEMBERS; i++) {
      if (fds[i].revents != 0) {
        chaos_report(chaos, i);
      }
    }
    left_ms = (until_ns - daemon_fixture_now_ns()) / 1000000;
  } while (left_ms > 0);
}

static void chaos_stop_or_continue(chaos_t *chaos, unsigned member) {
  if (chaos->stopped[member] || chaos->beats[member] || chaos->roles[member] != VESTA_ROLE_ACTIVE) {
    assert_int_equal(kill(chaos->members[member].pid, chaos->stopped[member] ? SIGCONT : SIGSTOP), 0);
    chaos->stopped[member] = !chaos->stopped[member];
  }
}

static void chaos_act(chaos_t *chaos) {
  unsigned member = draw(chaos, MEMBERS);
  unsigned active = 0;
  while (active < MEMBERS && (chaos->roles[active] != VESTA_ROLE_ACTIVE || chaos->stopped[active])) {
    active++;
  }
  switch (draw(chaos, 8)) {
    case 0: chaos_start(chaos, member); break;
    case 1: chaos_start(chaos, active < MEMBERS ? active : member); break;
    case 2:
      daemon_fixture_kill(&chaos->daemon);
      chaos_listen(chaos, draw(chaos, 200));
      daemon_fixture_start(&chaos->daemon);
      break;
    case 3: chaos_stop_or_continue(chaos, member); break;
    case 4:
      if (active < MEMBERS) {
        pair_member_command(&chaos->members[active], PAIR_RESIGN);
      }
      break;
    case 5:
      if (!chaos->stopped[member]) {
        pair_member_command(&chaos->members[member], PAIR_PROMOTE);
      }
      break;
    case 6:
      if (active < MEMBERS) {
        chaos_stop_or_continue(chaos, active);
      }
      break;
    default: break;
  }
}

static void chaos_settle(chaos_t *chaos) {
  for (unsigned i = 0; i < MEMBERS; i++) {
    if (chaos->stopped[i]) {
      chaos_stop_or_continue(chaos, i);
    }
  }
  uint64_t until = pair_ledger_acknowledged(chaos->ledger) + 200;
  int64_t deadline_ns = daemon_fixture_now_ns() + APPLICATION_DEADLINE;
  unsigned actives = 0;
  while (pair_ledger_acknowledged(chaos->ledger) < until || actives != 1) {
    assert_true(daemon_fixture_now_ns() < deadline_ns);
    chaos_listen(chaos, 10);
    actives = 0;
    for (unsigned i = 0; i < MEMBERS; i++) {
      actives += chaos->roles[i] == VESTA_ROLE_ACTIVE;
    }
  }
}

static void chaos_run(unsigned seed) {
  chaos_t chaos = {.seed = seed, .ledger = pair_ledger_new()};
  print_message("seed %u\n", seed);
  daemon_fixture_open(&chaos.daemon);
  for (unsigned i = 0; i < MEMBERS; i++) {
    chaos_start(&chaos, i);
  }
  for (unsigned i = 0; i < ACTIONS; i++) {
    chaos_listen(&chaos, draw(&chaos, 50));
    chaos_act(&chaos);
  }
  chaos_settle(&chaos);
  for (unsigned i = 0; i < MEMBERS; i++) {
    pair_member_end(&chaos.members[i]);
  }
  daemon_fixture_close(&chaos.daemon);
  pair_ledger_destroy(&chaos.ledger);
}

static void whatever_happens_nothing_acknowledged_is_lost_and_one_is_active_in_the_end(void **state) {
  (void)state;
  const char *own = getenv("VESTA_TEST_SEED");
  if (own != NULL) {
    chaos_run((unsigned)strtoul(own, NULL, 10));
    return;
  }
  for (unsigned seed = 1; seed <= SEEDS; seed++) {
    chaos_run(seed);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(whatever_happens_nothing_acknowledged_is_lost_and_one_is_active_in_the_end),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
