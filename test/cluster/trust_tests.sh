# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2034,SC2154
#
# Two machines under two_node_policy=trust: each half of a cut goes on, as whoever set it has wanted. When it heals there
# is one history again, and the other is kept and reported.

trust_nodes=2
trust_options() { vestad_options=(--two-node-policy trust); }
trust_tests=(
  two_nodes_that_trust_go_on_when_cut_and_one_history_diverges
)

two_nodes_that_trust_go_on_when_cut_and_one_history_diverges() {
  local i from to loser told=$nodes_dir/trust.told
  all_are_active && write_some 1 trust all 50 && judges_begin trust || return
  wait_until 20 is_in_sync 1 trust 1,2 || { fail "in sync are $(in_sync_of 1 trust)"; return; }
  for i in 1 2; do
    status_says $i "two_node_policy=trust" || { fail "status of node $i does not name the policy"; return; }
    has_logged $i VESTA-GROUP-TRUST || { fail "the log of node $i does not name the policy"; return; }
  done
  link_cut 2
  for i in 1 2; do
    from[i]=$numbers
    write_some $i trust all 50 || return
    to[i]=$numbers
    [ "$(awk -v from="${from[i]}" -v to="${to[i]}" '$1 == "ok" && $3 >= from && $3 < to' "$told" | wc -l)" -eq 50 ] ||
      { fail "node $i does not go on alone"; return; }
  done
  link_heal 2
  all_are_active && wait_until 20 one_has_diverged || { fail "nobody's history has diverged"; return; }
  forgive trust "${from[loser]}" "${to[loser]}"
  grep -qaF "$((to[loser] - 1)) " "$(node_memory "$loser")"/replica-4* || { fail "node $loser has not kept its own"; return; }
  write_some 2 trust all 20 && story_end trust
}

one_has_diverged() {
  for loser in 1 2; do
    has_logged $loser VESTA-DIVERGED && standing_is $loser trust DIVERGED && return
  done
  return 1
}
