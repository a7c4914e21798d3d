# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2034,SC2154
#
# What an operator sees and does: `vesta status` says what is the matter and what to do, and doing so is enough.
# Checkpoints have one replica in sync here, so that it is easy to lose.

operator_nodes=3
operator_options() { vestad_options=(--replicas 1); }
operator_tests=(
  status_shows_who_has_what
  a_checkpoint_waits_is_recovered_and_what_diverged_is_looked_at_and_discarded
  what_is_left_of_a_node_is_looked_at_without_a_daemon
)

# ACTIVE IN-SYNC FOLLOWERS LAG STATE NAME
row_is() { status_says "$1" "^ *$2 +$3 +$4 +$5 +$6 +safCkpt=$7\$"; } # node active in-sync followers lag state name
waits_row_is() { # the same
  wait_until 20 row_is "$@" || fail "status of node $1: $(vesta "$1" status 2>/dev/null | grep "safCkpt=$7\$")"
}

status_shows_who_has_what() {
  all_are_active && write_some 1 seen active 40 || return
  waits_row_is 1 1 1 - 0 whole seen && waits_row_is 3 1 1 - - whole seen || return
  judge_begin 2 seen && waits_row_is 1 1 1 2 0 whole seen || return
  status_says 1 "^cluster: this node takes part\$" || { fail "the cluster's line is missing"; return; }
  vesta 3 show safCkpt=seen | grep -q "^position  *-\$" || { fail "node 3 shows a position, and has nothing"; return; }
  vesta 3 ls | grep -qE "^ +[0-9]+ +- +- " || { fail "node 3 lists sections, and has none"; return; }
  judges_end_early
}

judges_end_early() {
  local i
  for i in "${!judges[@]}"; do
    kill -KILL "${judges[$i]}"
    program_wait "${judges[$i]}" 2>/dev/null
    unset "judges[$i]"
  done
}

json() { python3 -c "import json, sys; rows = [json.loads(line) for line in sys.stdin]; print(($1))"; } # expression

# Node 1 writes what node 2, which has followed until then, does not get; then it is away, and node 2's is gone on with.
diverge() { # name
  all_are_active && write_some 1 "$1" all 40 && judge_begin 2 "$1" || return
  waits_row_is 1 1 1 2 0 whole "$1" || return
  vestad_kill 2
  judges_end_early
  write_some 1 "$1" all 5 || return
  vestad_kill 1
  vestad_start 2 "${vestad_options[@]}"
  waits_row_is 2 - 1 ".*" - WAITING "$1" || return
  status_says 2 "waits for node 1, which alone has all of it" || { fail "status does not say for whom it waits"; return; }
  vesta 2 recover "safCkpt=$1" --from 2 >/dev/null 2>&1 && { fail "recovered without a word of the loss"; return; }
  vesta 2 recover "safCkpt=$1" --from 3 --accept-loss >"$nodes_dir/out" 2>&1 && { fail "recovered from nothing"; return; }
  vesta 2 recover "safCkpt=$1" --from 2 --accept-loss || { fail "recover failed"; return; }
  forgive "$1" $((numbers - 5)) "$numbers"
  write_some 2 "$1" all 2 || return
  vestad_start 1 "${vestad_options[@]}"
  all_are_active && wait_until 20 status_says 1 "DIVERGED: what this node had" || fail "node 1 does not say that it diverged"
}

a_checkpoint_waits_is_recovered_and_what_diverged_is_looked_at_and_discarded() {
  diverge gone || return
  vesta 1 dump --diverged safCkpt=gone >"$nodes_dir/dump" || { fail "dump failed"; return; }
  [ "$(json 'rows[0]["diverged"], rows[0]["name"], rows[-1]["sections"], rows[-1]["same"], rows[-1]["other"]' <"$nodes_dir/dump")" = \
    "(True, 'safCkpt=gone', 20, 13, 7)" ] || { fail "the dump says: $(tail -n 1 "$nodes_dir/dump")"; return; }
  [ "$(json 'sorted(r["id"] for r in rows[1:-1] if r["in_checkpoint"] == "other")' <"$nodes_dir/dump")" = \
    "['s0', 's1', 's2', 's3', 's4', 's5', 's6']" ] || { fail "other sections differ than were written"; return; }
  vesta 3 dump --diverged safCkpt=gone >"$nodes_dir/out" 2>&1 && { fail "node 3 dumps what it has not"; return; }
  grep -q "nothing of it has diverged on this node" "$nodes_dir/out" || { fail "node 3 says: $(cat "$nodes_dir/out")"; return; }
  vesta 1 load safCkpt=saved <"$nodes_dir/dump" || { fail "the dump can't be loaded"; return; }
  [ "$(vesta 1 get safCkpt=saved s4 | tr -d ' ')" = $((numbers - 3)) ] || { fail "what was loaded is $(vesta 1 get safCkpt=saved s4)"; return; }
  vestad_kill 1
  vestad_start 1 "${vestad_options[@]}"
  all_are_active && status_says 1 "DIVERGED: what this node had" || { fail "it is forgotten by a restart"; return; }
  vesta 1 discard safCkpt=gone || { fail "discard failed"; return; }
  ! status_says 1 DIVERGED || { fail "it is still said"; return; }
  ! ls "$(node_memory 1)"/replica-4* >/dev/null 2>&1 || { fail "its file is still there"; return; }
  vesta 1 discard safCkpt=gone 2>/dev/null && { fail "discarded twice"; return; }
  all_agree gone
}

what_is_left_of_a_node_is_looked_at_without_a_daemon() {
  local file
  all_are_active && write_some 3 left all 40 || return
  waits_row_is 3 3 3 - 0 whole left || return
  vestad_kill 3
  for file in "$(node_memory 3)"/replica-0*; do
    "$nodes_bin/vesta" dump --file "$file" >"$nodes_dir/dump" || { fail "dump of $file failed"; return; }
    grep -q '"safCkpt=left"' "$nodes_dir/dump" && break
  done
  [ "$(json 'rows[0]["name"], rows[-1]["sections"], len(rows)' <"$nodes_dir/dump")" = "('safCkpt=left', 20, 22)" ] ||
    { fail "the dump says: $(head -n 1 "$nodes_dir/dump")"; return; }
  vestad_start 3 "${vestad_options[@]}"
  all_are_active && all_agree left
}
