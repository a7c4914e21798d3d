# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2034,SC2154
#
# Writes that are acknowledged when a member on another node has applied them (`applied_by`). In a mode in which the active
# replica alone acknowledges, and with one replica in sync, that is what lets them outlive its machine.

applied_nodes=3
applied_options() { vestad_options=(--replicas 1); }
applied_tests=(
  what_a_member_on_another_node_has_applied_outlives_the_machine_of_the_writer
)

applied_begin() { # node name
  node_spawn "$1" "$client" member "$2" active "$sections" "on-$1" 0 1 >>"$nodes_dir/$2.told" 2>>"$nodes_dir/$2.member-$1.err"
  members[$1]=$!
}

what_a_member_on_another_node_has_applied_outlives_the_machine_of_the_writer() {
  all_are_active && write_some 1 applied active 40 || return
  applied_begin 1 applied
  becomes applied 1 ACTIVE 20 || return
  applied_begin 2 applied
  becomes applied 2 STANDBY 20 && story_goes_on applied 20 || return # before there was nobody to apply anything
  applied_begin 3 applied
  becomes applied 3 STANDBY 20 && story_goes_on applied 20 || return
  node_kill 1
  unset "members[1]"
  wait_until 30 role_is applied 2 ACTIVE || wait_until 1 role_is applied 3 ACTIVE || { fail "nobody takes over"; return; }
  story_goes_on applied 30 && takeovers_are_whole applied || return
  corosync_start 1
  vestad_start 1 "${vestad_options[@]}"
  all_are_active && members_end applied && takeovers_are_whole applied && all_agree applied
}
