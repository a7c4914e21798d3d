# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2034,SC2154
#
# An active on node 1 and its standby on node 2, and whatever may happen to the active. The standby takes over; it has
# all that the active was ever told; who comes back learns that it is fenced, and is a standby again.

pair_nodes=3
pair_tests=(
  the_process_of_the_active_is_killed
  the_process_of_the_active_stands_still
  vestad_of_the_active_is_killed
  vestad_of_the_active_stands_still
  the_link_of_the_active_is_cut
  the_machine_of_the_active_dies
)

pair_begin() { # name mode [heartbeat_ms]
  all_are_active && member_begin 1 "$1" "$2" "${3:-0}" && becomes "$1" 1 ACTIVE 20 || return
  member_begin 2 "$1" "$2" "${3:-0}" && becomes "$1" 2 STANDBY 20 && judges_begin "$1" || return
  story_goes_on "$1" 10 || return
  wait_until 20 is_synced "$1" on-2 || { fail "the standby does not get synced"; return; }
}

# MEMBER ROLE PRIORITY SYNCED ... NAME
is_synced() { vesta 1 show "safCkpt=$1" 2>/dev/null | awk -v name="$2" '$NF == name && $4 == "yes" { found = 1 } END { exit !found }'; }

taken_over() { # name
  becomes "$1" 2 ACTIVE 30 && story_goes_on "$1" 10 && takeovers_are_whole "$1"
}

pair_end() { # name
  all_are_active && story_goes_on "$1" 20 && members_end "$1" && takeovers_are_whole "$1" && story_end "$1"
}

comes_back_fenced() { # name
  wait_until 30 was_told "$1" 1 FENCED 0 || { fail "who was active is not told that it is fenced, it is $(role_of "$1" 1)"; return; }
  becomes "$1" 1 STANDBY 20
}

the_process_of_the_active_is_killed() {
  pair_begin process all || return
  kill -KILL "${members[1]}"
  taken_over process || return
  member_begin 1 process all 0
  wait_until 20 was_told process 1 STANDBY 1 || { fail "it does not join again"; return; }
  pair_end process
}

the_process_of_the_active_stands_still() {
  pair_begin stopped all 500 || return
  kill -STOP "${members[1]}"
  taken_over stopped || return
  kill -CONT "${members[1]}"
  comes_back_fenced stopped && pair_end stopped
}

vestad_of_the_active_is_killed() {
  pair_begin daemon all || return
  vestad_kill 1
  taken_over daemon || return
  vestad_start 1
  comes_back_fenced daemon && pair_end daemon
}

vestad_of_the_active_stands_still() {
  pair_begin daemonstops all 500 || return # who gives no heartbeat may stand still for ever
  vestad_kill 1 STOP
  taken_over daemonstops || return
  vestad_kill 1 CONT
  comes_back_fenced daemonstops && pair_end daemonstops
}

the_link_of_the_active_is_cut() {
  pair_begin pairlink all || return
  link_cut 1
  taken_over pairlink || return
  link_heal 1
  comes_back_fenced pairlink && pair_end pairlink
}

the_machine_of_the_active_dies() {
  pair_begin machine all || return
  node_kill 1
  taken_over machine || return
  corosync_start 1
  vestad_start 1
  all_are_active && judge_begin 1 machine || return
  member_begin 1 machine all 0
  wait_until 20 was_told machine 1 STANDBY 1 || { fail "it does not join again"; return; }
  pair_end machine
}
