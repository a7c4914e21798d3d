# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2034,SC2154
#
# Nodes that come back with memory of yesterday. A replica that was not in sync at the end is never taken for the truth:
# it gets what it lacks, or the checkpoint waits and says for whom, until a person decides. What is given up by that, or
# was never sent, is kept and reported as DIVERGED.

history_nodes=3
history_tests=(
  a_node_that_returns_with_old_state_gets_what_it_lacks
  an_old_state_is_not_taken_when_the_others_go
  a_checkpoint_waits_for_the_node_that_has_all_of_it
  what_was_given_up_by_recover_has_diverged
  what_an_asynchronous_primary_had_not_sent_has_diverged
)

a_node_that_returns_with_old_state_gets_what_it_lacks() {
  local mode copy
  for mode in all active; do
    story_begin 1 "old-$mode" $mode 1 || return
    copy=$(copy_of 1 "old-$mode")
    vestad_kill "$copy"
    story_goes_on "old-$mode" 20 || return
    write_end && write_some 1 "old-$mode" $mode 2000 || return
    vestad_start "$copy"
    write_begin 1 "old-$mode" $mode
    story_goes_on "old-$mode" 20 && story_end "old-$mode" || { why="$mode: $why"; return 1; }
  done
}

# The old one is back before the one that knows better, and together with a node that knows that it is old.
an_old_state_is_not_taken_when_the_others_go() {
  local mode primary copy other
  for mode in all active; do
    all_are_active && write_some 1 "stale-$mode" $mode 20 && judges_begin "stale-$mode" || return
    wait_until 20 has_in_sync 1 "stale-$mode" 2 || { fail "there is no second replica"; return; }
    primary=$(primary_of 1 "stale-$mode")
    copy=$(copy_of 1 "stale-$mode")
    other=$((6 - primary - copy))
    vestad_kill "$copy"
    write_some "$other" "stale-$mode" $mode 100 || return
    wait_until 20 is_in_sync "$other" "stale-$mode" "$(printf '%s\n' "$primary" "$other" | sort | paste -sd,)" ||
      { fail "no other replica took its place"; return; }
    wait_until 10 has_in_memory "$other" "$((numbers - 1)) " || { fail "node $other does not follow"; return; }
    vestad_kill "$primary"
    vestad_start "$copy"
    wait_until 30 is_primary "$other" "stale-$mode" "$other" ||
      { fail "node $(primary_of "$other" "stale-$mode") is primary"; return; }
    write_some "$copy" "stale-$mode" $mode 50 && agrees "stale-$mode" "$copy" || return
    vestad_start "$primary"
    story_end "stale-$mode" || { why="$mode: $why"; return 1; }
  done
}

# A collocated checkpoint that is open on nodes 1 and 2 has its replicas there. Node 2 was away for what node 1 was told
# last, and is back; node 1 is gone.
waiting_begin() { # name
  all_are_active && write_some 1 "$1" collocated 50 && judge_begin 1 "$1" && judge_begin 2 "$1" || return
  wait_until 20 is_in_sync 1 "$1" 1,2 || { fail "in sync are $(in_sync_of 1 "$1")"; return; }
  vestad_kill 2
  only_on_1=$numbers
  write_some 1 "$1" collocated 100 || return
  wait_until 10 is_in_sync 3 "$1" 1 || { fail "in sync are $(in_sync_of 3 "$1")"; return; }
  vestad_kill 1
  vestad_start 2
  wait_until 30 is_active 2,3 2 3 || { fail "nodes 2 and 3 do not form: $(state_of_all)"; return; }
  wait_until 10 waits_for 2 "$1" 1 && wait_until 10 waits_for 3 "$1" 1 ||
    { fail "status does not say that it waits: $(vesta 3 status | tail -n 3)"; return; }
  ! node 2 timeout 3 "$client" read "$1" >"$nodes_dir/$1.stale" 2>&1 || { fail "node 2 serves what is old"; return; }
  ! has_primary 3 "$1" || fail "node $(primary_of 3 "$1") is primary"
}

a_checkpoint_waits_for_the_node_that_has_all_of_it() {
  waiting_begin waiting || return
  ! vesta 3 recover waiting --from 2 >/dev/null 2>&1 || { fail "recover does not ask for the acceptance of loss"; return; }
  vestad_start 1
  story_end waiting && write_some 2 waiting collocated 20 && all_agree waiting
}

what_was_given_up_by_recover_has_diverged() {
  local last
  waiting_begin recovered || return
  last=$((numbers - 1))
  vesta 3 recover safCkpt=recovered --from 2 --accept-loss >"$nodes_dir/recover" 2>&1 ||
    { fail "recover: $(cat "$nodes_dir/recover")"; return; }
  forgive recovered "$only_on_1" "$numbers"
  write_some 2 recovered collocated 50 && agrees recovered 2 && agrees recovered 3 || return
  is_primary 3 recovered 2 || { fail "node $(primary_of 3 recovered) is primary"; return; }
  vestad_start 1
  all_are_active && diverged_on 1 recovered "$last" && story_end recovered
}

# That node says that what it had has diverged, in its log and to who asks, and has kept it: the number is in there.
diverged_on() { # node name number
  wait_until 20 has_logged "$1" "VESTA-DIVERGED" || { fail "VESTA-DIVERGED is not logged on node $1"; return; }
  wait_until 5 standing_is "$1" "$2" DIVERGED || { fail "status does not say DIVERGED on node $1"; return; }
  grep -qaF "$3 " "$(node_memory "$1")"/replica-4* || fail "node $1 has not kept it"
}

what_an_asynchronous_primary_had_not_sent_has_diverged() {
  local from i
  all_are_active && write_some 1 unsent active 50 && judges_begin unsent || return
  wait_until 20 has_in_sync 1 unsent 2 || { fail "there is no second replica"; return; }
  is_primary 1 unsent 1 || { fail "node $(primary_of 1 unsent) is primary"; return; }
  from=$numbers
  for i in 2 3; do peer_cut 1 "$i"; done
  write_some 1 unsent active 50 || return
  vestad_kill 1
  for i in 2 3; do peer_heal 1 "$i"; done
  forgive unsent "$from" "$numbers"
  write_some 2 unsent active 50 || return
  vestad_start 1
  all_are_active && diverged_on 1 unsent "$((numbers - 51))" && story_end unsent
}
