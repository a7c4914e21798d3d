# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2034,SC2154
#
# Three machines, and what happens to machines: the processes on them die, or stand still, or all of it goes.

machine_nodes=3
machine_tests=(
  three_nodes_form
  what_is_written_on_one_node_is_read_on_all
  vestad_dies_where_the_primary_is
  vestad_dies_where_the_writer_is
  corosync_dies
  a_whole_node_dies_and_comes_back_empty
  vestad_stands_still
  writes_that_the_active_alone_acknowledges_follow
  all_vestads_die_at_once
  all_machines_but_their_memory_restart_in_every_order
)

three_nodes_form() { all_are_active; }

what_is_written_on_one_node_is_read_on_all() {
  all_are_active && write_some 1 basic all 100 && all_agree basic && judges_begin basic &&
    write_some 3 basic all 100 && story_end basic
}

vestad_dies_where_the_primary_is() {
  local primary
  story_begin 2 primary all || return
  primary=$(primary_of 1 primary)
  vestad_kill "$primary"
  story_goes_on primary 20 || return
  vestad_start "$primary"
  story_end primary
}

vestad_dies_where_the_writer_is() {
  story_begin 2 writer all || return
  vestad_kill 2
  vestad_start 2
  story_goes_on writer 30 && story_end writer
}

corosync_dies() {
  story_begin 3 engine all || return
  corosync_kill 1
  wait_until 10 status_is 1 corosync no || { fail "node 1 does not notice"; return; }
  story_goes_on engine 30 || return
  corosync_start 1
  story_end engine
}

a_whole_node_dies_and_comes_back_empty() {
  story_begin 3 node all || return
  node_kill 1
  story_goes_on node 30 || return
  corosync_start 1
  vestad_start 1
  all_are_active && judge_begin 1 node && story_end node
}

vestad_stands_still() {
  local primary
  all_are_active && write_some 1 still all 20 && judges_begin still || return
  primary=$(primary_of 1 still)
  write_begin $((primary % 3 + 1)) still all
  story_goes_on still 10 || return
  vestad_kill "$primary" STOP
  story_goes_on still 40 || return
  vestad_kill "$primary" CONT
  story_end still
}

writes_that_the_active_alone_acknowledges_follow() {
  local mode
  for mode in active weak; do
    all_are_active && write_some 1 "follow-$mode" $mode 20 && judges_begin "follow-$mode" &&
      write_some 2 "follow-$mode" $mode 500 && story_end "follow-$mode" || return
  done
}

all_vestads_die_at_once() {
  local i
  all_are_active && write_some 1 crash all 20 && judges_begin crash && write_some 1 crash all 500 || return
  for i in 1 2 3; do vestad_kill "$i" STOP; done
  for i in 1 2 3; do vestad_kill "$i"; done
  for i in 1 2 3; do vestad_start "$i"; done
  story_end crash
}

all_machines_but_their_memory_restart_in_every_order() {
  local order i
  all_are_active && write_some 1 order all 200 && judges_begin order || return
  for order in "1 2 3" "3 2 1" "2 3 1"; do
    for i in $order; do
      vestad_kill "$i"
      corosync_kill "$i"
      write_some_if_quorate "$order" "$i" || return
    done
    for i in $order; do
      corosync_start "$i"
      vestad_start "$i"
    done
    all_are_active && all_agree order || { why="order $order: $why"; return 1; }
  done
  story_end order
}

# One of three is away: the other two write on, and it must not come back as the one that knows best.
write_some_if_quorate() { # order node
  local first last
  read -r first _ last <<<"$1"
  [ "$2" = "$first" ] || return 0
  # shellcheck disable=SC2086 # the others, as words
  wait_until 20 is_active "$(printf '%s\n' ${1#* } | sort | paste -sd,)" "$last" && write_some "$last" order all 50
}
