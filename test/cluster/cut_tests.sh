# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2034,SC2154
#
# Three machines, and what happens to the network between them. The side with the majority goes on; a cut in one
# direction, of whatever, stops nobody for long.

cut_nodes=3
cut_tests=(
  a_link_is_cut_and_heals
  a_link_is_cut_in_each_direction
  vestads_do_not_hear_each_other_in_each_direction
)

a_link_is_cut_and_heals() {
  story_begin 2 cut all || return
  link_cut 1
  wait_until 20 is_active 2,3 2 3 || { fail "the others do not go on: $(state_of_all)"; return; }
  story_goes_on cut 30 || return
  link_heal 1
  story_end cut
}

# The writer is on the third node, which reaches both.
each_direction() { # cut heal name: nothing gets from one to the other
  local from to
  all_are_active && write_some 2 "$3" all 20 && judges_begin "$3" || return
  for from in 1 2 3; do
    for to in 1 2 3; do
      [ $from -ne $to ] || continue
      write_begin $((6 - from - to)) "$3" all
      story_goes_on "$3" 20 || { why+=", before the cut from $from to $to"; return 1; }
      "$1" $from $to
      wait_until 10 cut_is_felt $from $to || { fail "nobody notices that $from to $to is cut"; return; }
      story_goes_on "$3" 40 || { why+=", cut from $from to $to"; return 1; }
      "$2" $from $to
      all_are_active && write_end || { why+=", after the cut from $from to $to"; return 1; }
    done
  done
  story_end "$3"
}

a_link_is_cut_in_each_direction() {
  cut_is_felt() { ! is_active 1,2,3 1 2 3; }
  each_direction link_cut link_heal oneway
}

vestads_do_not_hear_each_other_in_each_direction() {
  cut_is_felt() { true; } # only who has to answer is missed, by who waits for it
  each_direction peer_cut peer_heal peerway
}
