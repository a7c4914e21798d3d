# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2034,SC2154
#
# A node that is cut off from the others: its mirrors can be read as they are and say so, its active member is told to
# stop before another one is active, and everything that asks it gets an answer.

quorum_nodes=3
quorum_tests=(
  an_active_that_is_cut_off_is_fenced_before_another_is_active
  an_active_that_was_cut_off_for_a_while_is_active_again_and_has_all_that_it_wrote
  a_mirror_that_is_cut_off_says_so_and_is_readable
  a_corosync_that_stands_still_keeps_nobody_waiting
)

quorum_begin() { # name
  all_are_active && member_begin 1 "$1" all 0 && becomes "$1" 1 ACTIVE 20 || return
  member_begin 2 "$1" all 0 && becomes "$1" 2 STANDBY 20 && story_goes_on "$1" 10 || return
  wait_until 20 mirror_is "$1" 2 0 || fail "the standby is not promotable: $(mirror_of "$1" 2)"
}

mirror_of() { awk -v member="on-$2" '$1 == "mirror" && $2 == member { m = $3 " " $4 } END { print m }' "$nodes_dir/$1.told"; } # REASON SECTIONS
mirror_is() { [[ "$(mirror_of "$1" "$2")" = "$3 "* ]]; } # name node reason

line_of() { grep -n "$2" "$nodes_dir/$1.told" | tail -n 1 | cut -d: -f1; } # name pattern

# Members that only have the role: who is blocked in a write hears of it when that has come to its end.
an_active_that_is_cut_off_is_fenced_before_another_is_active() {
  local sections=20
  all_are_active && write_some 1 cutoff all 40 || return
  sections=0
  member_begin 1 cutoff all 0 && becomes cutoff 1 ACTIVE 20 || return
  member_begin 2 cutoff all 0 && wait_until 20 mirror_is cutoff 2 0 || { fail "there is no standby"; return; }
  link_cut 1
  wait_until 5 was_told cutoff 1 FENCED 0 || { fail "it is not told"; return; }
  becomes cutoff 2 ACTIVE 30 || return
  [ "$(line_of cutoff '^role on-1 FENCED')" -lt "$(line_of cutoff '^role on-2 ACTIVE')" ] || { fail "it was told too late"; return; }
  link_heal 1
  all_are_active && becomes cutoff 1 STANDBY 20 && members_end cutoff && takeovers_are_whole cutoff && all_agree cutoff
}

# The others stand still, so nobody else is granted the role.
an_active_that_was_cut_off_for_a_while_is_active_again_and_has_all_that_it_wrote() {
  local fenced
  quorum_begin while || return
  corosync_kill 2 STOP
  corosync_kill 3 STOP
  wait_until 20 was_told while 1 FENCED 0 # its write comes to an end first
  fenced=$?
  corosync_kill 2 CONT
  corosync_kill 3 CONT
  [ $fenced -eq 0 ] || { fail "it is not told"; return; }
  all_are_active || return
  wait_until 30 somebody_is_active while || { fail "nobody is active again"; return; }
  story_goes_on while 20 && members_end while && takeovers_are_whole while && all_agree while
}
somebody_is_active() { role_is "$1" 1 ACTIVE || role_is "$1" 2 ACTIVE; }

a_mirror_that_is_cut_off_says_so_and_is_readable() {
  local sections_there
  quorum_begin mirrors || return
  link_cut 2
  wait_until 5 mirror_is mirrors 2 5 || { fail "its mirror says $(mirror_of mirrors 2), not 5 (NO_QUORUM)"; return; }
  sections_there=$(mirror_of mirrors 2)
  [ "${sections_there#* }" -eq "$sections" ] || { fail "it has ${sections_there#* } sections, not $sections"; return; }
  node 2 timeout 15 "$nodes_bin/vesta" sections safCkpt=mirrors >"$nodes_dir/out" 2>&1 &&
    { fail "sections were read without quorum"; return; }
  grep -q "without quorum" "$nodes_dir/out" || { fail "the command says: $(cat "$nodes_dir/out")"; return; }
  status_says 2 "^cluster: this node is without quorum" || wait_until 5 status_says 2 "^cluster: this node is without quorum" ||
    { fail "status does not say so"; return; }
  story_goes_on mirrors 20 || return
  link_heal 2
  wait_until 30 mirror_is mirrors 2 0 || { fail "its mirror says $(mirror_of mirrors 2), not 0"; return; }
  all_are_active && members_end mirrors && all_agree mirrors
}

# vestad is asked while it goes on, and one that is started then.
a_corosync_that_stands_still_keeps_nobody_waiting() {
  all_are_active && write_some 2 engine all 40 || return
  corosync_kill 1 STOP
  wait_until 5 status_is 1 heard no || { fail "node 1 does not notice: heard $(status_of 1 heard)"; return; }
  status_says 1 "^cluster: .*has not been heard" || { fail "status does not say so"; return; }
  calls_are_answered 1 engine || return
  vestad_kill 1
  vestad_start 1
  wait_until 10 status_is 1 corosync no || { fail "the new vestad of node 1 does not answer"; return; }
  calls_are_answered 1 engine || return
  corosync_kill 1 CONT
  all_are_active && all_agree engine
}

# With TRY_AGAIN, not after ever.
calls_are_answered() { # node name
  node "$1" timeout 15 "$nodes_bin/vesta" get "safCkpt=$2" s1 >"$nodes_dir/out" 2>&1 && { fail "a section was read"; return; }
  grep -q TRY_AGAIN "$nodes_dir/out" || fail "a call gives: $(cat "$nodes_dir/out")"
}
