# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2034,SC2154
#
# Two machines, of which neither is a majority. Unless the other is known to be dead (a fence command says so) nobody goes
# on alone.

half_nodes=2
half_options() { # the fence command says that a node is dead when a file says so
  printf '#!/bin/sh\n[ -e "%s/dead-$1" ]\n' "$nodes_dir" >"$nodes_dir/fence"
  chmod +x "$nodes_dir/fence"
  vestad_options=(--fence-command "$nodes_dir/fence")
}
half_tests=(
  two_nodes_stop_when_cut
  two_nodes_go_on_when_the_other_is_known_to_be_dead
  hotkv_loses_nothing_when_its_active_or_its_machine_dies
)

two_nodes_stop_when_cut() {
  all_are_active && write_some 1 stop all 50 && judges_begin stop || return
  link_cut 2
  wait_until 20 status_is 1 members 1 || { fail "the cut is not noticed"; return; }
  node 1 timeout 5 "$client" write stop all 20 $numbers 1 >>"$nodes_dir/stop.told"
  numbers=$((numbers + 1))
  ! grep -q "^ok s[0-9]* $((numbers - 1))\$" "$nodes_dir/stop.told" || { fail "it wrote"; return; }
  link_heal 2
  story_end stop
}

two_nodes_go_on_when_the_other_is_known_to_be_dead() {
  all_are_active && write_some 1 fence all 50 && judges_begin fence || return
  node_kill 2
  touch "$nodes_dir/dead-2"
  write_some 1 fence all 50 || return
  rm "$nodes_dir/dead-2"
  corosync_start 2
  vestad_start 2 "${vestad_options[@]}"
  all_are_active && judge_begin 2 fence && story_end fence
}

# ---- hotkv ----

hotkv_start() { # node
  node_spawn "$1" "$hotkv" --port 7000 --name "on-$1" --checkpoint hotkv --keys 2000 --value-bytes 64 \
    >>"$nodes_dir/hotkv-$1" 2>&1
  servers[$1]=$!
}
hotkv_is() { grep -q "^on-$1 $2" "$nodes_dir/hotkv-$1"; } # node word
hotkv_bench() { # node: redis-benchmark goes on until its server is gone
  node_spawn "$1" redis-benchmark -p 7000 -t set,incr -r 1000 -n 100000000 -c 8 -q >"$nodes_dir/bench-$1" 2>&1
  bench=$!
}
# A client that counts: the key holds the last number that was answered OK, or one more. It ends with its connection.
hotkv_ledger() { # node
  # shellcheck disable=SC2016 # that shell's own variables
  node_spawn "$1" bash -c 'n=$0; exec 3<>/dev/tcp/127.0.0.1/7000; trap "" PIPE
    while echo "set ledger $((++n))" >&3 && read -r answer <&3; do echo "$answer"; done' "$ledger" \
    >"$nodes_dir/ledger-$1" 2>/dev/null
}
ledger_counts() { [ "$(grep -c '^+OK' "$nodes_dir/ledger-$1")" -gt "${2:-20}" ]; } # node
hotkv_holds() { # node: what was acknowledged on the other
  local found acknowledged=$((ledger + $(grep -c '^+OK' "$nodes_dir/ledger-$2")))
  found=$(node "$1" redis-cli -p 7000 get ledger | tr -cd 0-9)
  [ "${found:-0}" -ge "$acknowledged" ] || { fail "acknowledged $acknowledged, found ${found:-nothing}"; return; }
  ledger=$found
}

hotkv_takes_over() { # from to
  hotkv_bench "$1"
  hotkv_ledger "$1"
  wait_until 20 ledger_counts "$1" || { fail "hotkv on node $1 does not write: $(head -n 1 "$nodes_dir/ledger-$1")"; return; }
  ! is_gone "$bench" || { fail "redis-benchmark has ended: $(tail -n 1 "$nodes_dir/bench-$1")"; return; }
  "$3"
  wait_until 20 hotkv_is "$2" ACTIVE || { fail "hotkv on node $2 does not take over"; return; }
  hotkv_holds "$2" "$1"
}

hotkv_loses_nothing_when_its_active_or_its_machine_dies() {
  local ledger=0 servers=()
  command -v redis-benchmark >/dev/null || { fail "redis-tools are not installed"; return; }
  all_are_active || return
  hotkv_start 1
  wait_until 20 hotkv_is 1 ACTIVE || { fail "hotkv: $(tail -n 1 "$nodes_dir/hotkv-1")"; return; }
  hotkv_start 2
  wait_until 20 hotkv_is 2 SYNCED || { fail "hotkv: $(tail -n 1 "$nodes_dir/hotkv-2")"; return; }
  blow() { kill -KILL "${servers[1]}"; }
  hotkv_takes_over 1 2 blow || return
  : >"$nodes_dir/hotkv-1"
  hotkv_start 1
  wait_until 20 hotkv_is 1 SYNCED || { fail "hotkv does not join again"; return; }
  blow() {
    node_kill 2
    touch "$nodes_dir/dead-2"
  }
  hotkv_takes_over 2 1 blow || return
  rm "$nodes_dir/dead-2"
  corosync_start 2
  vestad_start 2 "${vestad_options[@]}"
  all_are_active
}
