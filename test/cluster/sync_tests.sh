# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2034,SC2154
#
# A node comes back empty and is given what it lacks, slowly (tc); while that is under way somebody dies: who gets it, or
# who gives it, vestad only or the whole node. Half a replica is never taken for one.

sync_nodes=3
sync_tests=(
  vestad_dies_while_it_is_given_a_replica
  vestad_dies_while_it_gives_a_replica
  the_node_dies_while_it_is_given_a_replica
  the_node_dies_while_it_gives_a_replica
)

# A replica that is being filled has a number with the highest bit set.
is_being_filled() { compgen -G "$(node_memory "$1")/replica-[89abcdef]*" >/dev/null; } # node
is_not_being_filled() { ! is_being_filled "$1"; }

# Node $joins, which had a replica in sync, has lost its memory, and has begun to get it back from node $gives.
sync_begin() { # name
  local sections=1024
  all_are_active && write_some 1 "$1" all 1024 4000 && judges_begin "$1" || return
  wait_until 20 has_in_sync 1 "$1" 2 || { fail "there is no second replica"; return; }
  gives=$(primary_of 1 "$1")
  joins=$(copy_of 1 "$1")
  other=$((6 - gives - joins))
  sections=20 write_begin "$other" "$1" all # what is to be given stays large
  story_goes_on "$1" 10 || return
  node_kill "$joins"
  story_goes_on "$1" 30 || return
  wait_until 20 has_in_sync "$other" "$1" 2 || { fail "no other replica takes its place"; return; }
  link_slow "$gives" 8mbit
  corosync_start "$joins"
  vestad_start "$joins"
  wait_until 30 is_active 1,2,3 1 2 3 || { fail "node $joins does not come back: $(state_of_all)"; return; }
  judge_spawn "$joins" "$1" # it wants a replica here
  wait_until 30 is_being_filled "$joins" || fail "node $joins is not given a replica"
}

sync_end() { # name
  all_are_active && judge_synced "$joins" "$1" && story_end "$1" || return
  wait_until 10 is_not_being_filled "$joins" || fail "half a replica is left on node $joins"
}

vestad_dies_while_it_is_given_a_replica() {
  sync_begin joiner || return
  is_being_filled "$joins" || { fail "that was too fast to be interrupted"; return; }
  vestad_kill "$joins"
  story_goes_on joiner 20 || return
  vestad_start "$joins"
  link_fast "$gives"
  sync_end joiner
}

vestad_dies_while_it_gives_a_replica() {
  sync_begin giver || return
  is_being_filled "$joins" || { fail "that was too fast to be interrupted"; return; }
  vestad_kill "$gives"
  story_goes_on giver 20 || return
  vestad_start "$gives"
  link_fast "$gives"
  sync_end giver
}

the_node_dies_while_it_is_given_a_replica() {
  sync_begin joinernode || return
  is_being_filled "$joins" || { fail "that was too fast to be interrupted"; return; }
  node_kill "$joins"
  story_goes_on joinernode 20 || return
  corosync_start "$joins"
  vestad_start "$joins"
  link_fast "$gives"
  all_are_active || return
  judge_spawn "$joins" joinernode
  sync_end joinernode
}

the_node_dies_while_it_gives_a_replica() {
  sync_begin givernode || return
  is_being_filled "$joins" || { fail "that was too fast to be interrupted"; return; }
  node_kill "$gives"
  link_fast "$gives"
  story_goes_on givernode 30 || return
  corosync_start "$gives"
  vestad_start "$gives"
  all_are_active && judge_begin "$gives" givernode && sync_end givernode
}
