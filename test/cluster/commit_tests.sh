# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2034,SC2154
#
# kill -9 between prepare and commit. One write is caught there: what one vestad sends to the other is cut in one
# direction, so the operation stands in the memory of one or both of them, and cannot be committed. Whoever dies then,
# the writer's answer is what is found, on every node, and it is found once; and what a successor has prepared stays.

commit_nodes=3
commit_options() { vestad_options=(--peer-timeout 2min); } # that nobody goes on without the copy before somebody dies
commit_tests=(
  the_primary_dies_when_its_copy_has_prepared
  the_primary_dies_when_only_it_has_prepared
  the_copy_dies_when_it_has_prepared
  both_die_when_they_have_prepared
  the_node_of_the_primary_dies_when_its_copy_has_prepared
)

# The write of $caught is under way, from a third node, and stands in memory where `where` says: "copy" or "primary".
commit_begin() { # name where
  all_are_active && write_some 1 "$1" all 40 && judges_begin "$1" || return
  wait_until 20 has_in_sync 1 "$1" 2 || { fail "there is no second replica"; return; }
  primary=$(primary_of 1 "$1")
  copy=$(copy_of 1 "$1")
  other=$((6 - primary - copy))
  if [ "$2" = copy ]; then
    peer_cut "$copy" "$primary" # what the copy says is not heard
  else
    peer_cut "$primary" "$copy"
  fi
  caught=$numbers
  write_begin "$other" "$1" all 1
  wait_until 10 has_in_memory "${!2}" "$caught " || { fail "it is not prepared on node ${!2}"; return; }
  ! was_answered "$1" "$caught" || { fail "it was answered: $(grep " $caught\\b" "$nodes_dir/$1.told")"; return; }
  [ "$2" = copy ] || ! has_in_memory "$copy" "$caught " || fail "the copy has it"
}

was_answered() { grep -qE "^[a-z]+ s[0-9]+ $2( |\$)" "$nodes_dir/$1.told"; } # name number

commit_end() { # name [found]: the writer is answered, and not with an error; found: it is there in any case
  wait_until 20 was_answered "$1" "$caught" || { fail "the writer is not answered"; return; }
  ! grep -q "^failed s[0-9]* $caught " "$nodes_dir/$1.told" || { fail "refused: $(tail -n 1 "$nodes_dir/$1.told")"; return; }
  [ -z "${2:-}" ] || wait_until 20 grep -q "^saw s[0-9]* $caught\$" "$nodes_dir/$1.judge-$copy" ||
    { fail "it is answered $(grep -c "^ok s[0-9]* $caught\$" "$nodes_dir/$1.told") and is not there"; return; }
  wait_gone 10 "$writer" && program_wait "$writer"
  writer=
  write_some "$other" "$1" all 40 && story_end "$1"
}

the_primary_dies_when_its_copy_has_prepared() {
  commit_begin prepared copy || return
  vestad_kill "$primary"
  peer_heal "$copy" "$primary"
  wait_until 20 was_answered prepared "$caught" || { fail "the writer is not answered"; return; }
  vestad_start "$primary" "${vestad_options[@]}"
  commit_end prepared found
}

the_node_of_the_primary_dies_when_its_copy_has_prepared() {
  commit_begin preparednode copy || return
  node_kill "$primary"
  peer_heal "$copy" "$primary"
  wait_until 20 was_answered preparednode "$caught" || { fail "the writer is not answered"; return; }
  corosync_start "$primary"
  vestad_start "$primary" "${vestad_options[@]}"
  all_are_active && judge_begin "$primary" preparednode && commit_end preparednode found
}

the_primary_dies_when_only_it_has_prepared() {
  commit_begin alone primary || return
  vestad_kill "$primary"
  peer_heal "$primary" "$copy"
  wait_until 20 was_answered alone "$caught" || { fail "the writer is not answered"; return; }
  vestad_start "$primary" "${vestad_options[@]}"
  commit_end alone
}

the_copy_dies_when_it_has_prepared() {
  commit_begin copydies copy || return
  vestad_kill "$copy"
  peer_heal "$copy" "$primary"
  wait_until 20 was_answered copydies "$caught" || { fail "the writer is not answered"; return; }
  vestad_start "$copy" "${vestad_options[@]}"
  commit_end copydies
}

both_die_when_they_have_prepared() {
  commit_begin both copy || return
  vestad_kill "$primary" STOP
  vestad_kill "$copy"
  vestad_kill "$primary"
  peer_heal "$copy" "$primary"
  vestad_start "$copy" "${vestad_options[@]}"
  vestad_start "$primary" "${vestad_options[@]}"
  commit_end both found
}
