#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Three machines, as namespaces with real corosync, and what happens to machines. Writers run all the while and record
# what they were told (cluster_client.c); after each blow every section must hold the last number that was acknowledged,
# or a later one that was not refused.
#
#   cluster_test.sh BIN-DIR CLIENT [TEST...]    all tests, or those named. CLUSTER_TEST_KEEP=DIR keeps logs and replicas
#                                               of what failed
#
# The last line is `N passed, N failed`. Exit code 77 (skipped) without root, ip or corosync.
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
nodes_bin=$1
client=$2
shift 2
# shellcheck source=test/cluster/nodes.sh
. "$here/nodes.sh"

if [ "$(id -u)" -ne 0 ] || ! command -v ip >/dev/null || ! command -v corosync >/dev/null; then
  echo "skipped: root, ip and corosync are needed"
  exit 77
fi

readonly all_tests=(
  three_nodes_form
  what_is_written_on_one_node_is_read_on_all
  vestad_dies_where_the_primary_is
  vestad_dies_where_the_writer_is
  corosync_dies
  a_whole_node_dies_and_comes_back_empty
  a_link_is_cut_and_heals
  a_link_is_cut_in_one_direction
  vestad_stands_still
  writes_that_the_active_alone_acknowledges_follow
  all_vestads_die_at_once
  all_machines_but_their_memory_restart_in_every_order
)
readonly two_node_tests=(
  two_nodes_stop_when_cut
  two_nodes_go_on_when_the_other_is_known_to_be_dead
)

readonly secure_tests=(
  links_with_keys_carry_everything
  a_node_with_a_strange_key_gets_no_link
)

# ---- helpers ----

why=
fail() {
  why=$*
  return 1
}

now_ms() { date +%s%3N; }

wait_until() { # seconds command...
  local end=$(($(now_ms) + $1 * 1000))
  shift
  until "$@"; do
    [ "$(now_ms)" -lt $end ] || return 1
    sleep 0.05
  done
}

status_of() { # node key
  node "$1" "$nodes_bin/vesta" status 2>/dev/null | awk -v key="$2" '$1 == key { print $2 }'
}

status_is() { [ "$(status_of "$1" "$2")" = "$3" ]; } # node key value

is_active() { # participants node...
  local participants=$1 i
  shift
  for i in "$@"; do
    [ "$(status_of "$i" order) $(status_of "$i" participants)" = "active $participants" ] || return 1
  done
}

all_are_active() { wait_until 30 is_active 1,2,3 1 2 3 || fail "the three nodes do not form"; }

state_of_all() {
  local i key
  for ((i = 1; i <= nodes_count; i++)); do
    printf 'node %d:' "$i"
    for key in corosync ring quorate members order term index stable waiting_for participants; do
      printf ' %s=%s' "$key" "$(status_of "$i" "$key")"
    done
    echo
  done
}

replicas_of() { # node name: NODE ACTIVE POSITION, a line each
  node "$1" "$nodes_bin/vesta" show "safCkpt=$2" 2>/dev/null |
    awk 'NF == 0 { inside = 0 } inside && $1 ~ /^[0-9]+$/ { print $1, $2, $NF } $1 == "NODE" { inside = 1 }'
}

primary_of() { replicas_of "$1" "$2" | awk '$2 == "yes" { print $1 }'; } # node name
has_replicas() { [ "$(replicas_of "$1" "$2" | wc -l)" -eq "$3" ]; }      # node name count

numbers=0
write_some() { # node name mode count: in the foreground
  node "$1" "$client" write "$2" "$3" 20 $numbers "$4" >>"$nodes_dir/$2.told" || fail "writing of $2 on node $1 ended"
  local ended=$?
  numbers=$((numbers + $4))
  return $ended
}

writer=
write_begin() { # node name mode: in the background, until write_end
  node_exec "$1" "$client" write "$2" "$3" 20 $numbers 1000000 >>"$nodes_dir/$2.told" 2>>"$nodes_dir/$2.err" &
  writer=$!
  numbers=$((numbers + 1000000))
}

acknowledged() { grep -c ^ok "$nodes_dir/$1.told"; }
acknowledged_more() { [ "$(acknowledged "$1")" -gt "$2" ]; } # name count
goes_on() { # name seconds: something more is acknowledged
  wait_until "$2" acknowledged_more "$1" $(($(acknowledged "$1") + 5)) || fail "writing of $1 does not go on"
}

writer_is_gone() { ! kill -0 "$writer" 2>/dev/null; }
write_end() { # the write that is under way comes to an end
  local pid=$writer
  kill -TERM "$pid"
  wait_until 60 writer_is_gone || { writer_kill; fail "the writer does not come to an end"; return; }
  writer=
  wait "$pid" || fail "the writer failed"
}

writer_kill() {
  kill -KILL "$writer" 2>/dev/null
  wait "$writer" 2>/dev/null
  writer=
}

# What a node reads is what writers were told.
agrees() { # name node
  node "$2" timeout 60 "$client" read "$1" >"$nodes_dir/$1.read" 2>>"$nodes_dir/$1.err" ||
    { fail "reading $1 on node $2: $(tail -n 1 "$nodes_dir/$1.err")"; return; }
  awk 'FNR == NR { said[$1] = $2; next }
    { told[$3] = $1 } $1 == "ok" { last[$2] = $3 }
    END {
      for (id in last) if (!(id in said) || said[id] + 0 < last[id] + 0) {
        print id ": acknowledged " last[id] ", found " said[id]
        bad = 1
      }
      for (id in said) if (told[said[id]] == "failed") {
        print id ": found " said[id] ", which was refused"
        bad = 1
      }
      exit bad
    }' "$nodes_dir/$1.read" "$nodes_dir/$1.told" >"$nodes_dir/$1.bad" ||
    fail "$1 on node $2: $(head -n 3 "$nodes_dir/$1.bad" | tr '\n' ';')"
}

all_agree() { # name
  local i
  for ((i = 1; i <= nodes_count; i++)); do
    agrees "$1" "$i" || return
  done
}

# ---- three nodes ----

three_nodes_form() { all_are_active; }

what_is_written_on_one_node_is_read_on_all() {
  all_are_active && write_some 1 basic all 100 && all_agree basic && write_some 3 basic all 100 && all_agree basic
}

vestad_dies_where_the_primary_is() {
  local primary from
  all_are_active && write_some 1 primary all 20 || return
  wait_until 10 has_replicas 1 primary 2 || { fail "there is no second replica"; return; }
  primary=$(primary_of 1 primary)
  from=$((primary % 3 + 1))
  write_begin "$from" primary all
  goes_on primary 10 || return
  vestad_kill "$primary"
  goes_on primary 20 || return
  vestad_start "$primary"
  all_are_active && write_end && all_agree primary
}

vestad_dies_where_the_writer_is() {
  all_are_active && write_some 2 writer all 20 || return
  write_begin 2 writer all
  goes_on writer 10 || return
  vestad_kill 2
  vestad_start 2
  goes_on writer 30 || return
  all_are_active && write_end && all_agree writer
}

corosync_dies() {
  all_are_active && write_some 1 engine all 20 || return
  write_begin 3 engine all
  goes_on engine 10 || return
  corosync_kill 1
  wait_until 10 status_is 1 corosync no || { fail "node 1 does not notice"; return; }
  goes_on engine 30 || return
  corosync_start 1
  all_are_active && write_end && all_agree engine
}

a_whole_node_dies_and_comes_back_empty() {
  all_are_active && write_some 1 node all 20 || return
  write_begin 2 node all
  goes_on node 10 || return
  node_kill 1
  goes_on node 30 || return
  corosync_start 1
  vestad_start 1
  all_are_active && write_end && all_agree node
}

a_link_is_cut_and_heals() {
  all_are_active && write_some 1 cut all 20 || return
  write_begin 2 cut all
  goes_on cut 10 || return
  link_cut 1
  wait_until 20 is_active 2,3 2 3 || { fail "the others do not go on: $(state_of_all)"; link_heal 1; return; }
  goes_on cut 30 || { link_heal 1; return; }
  link_heal 1
  all_are_active && write_end && all_agree cut
}

a_link_is_cut_in_one_direction() {
  all_are_active && write_some 1 oneway all 20 || return
  write_begin 2 oneway all
  goes_on oneway 10 || return
  link_cut 1 2
  goes_on oneway 40 || { link_heal 1 2; return; }
  link_heal 1 2
  all_are_active && write_end && all_agree oneway
}

vestad_stands_still() {
  local primary from
  all_are_active && write_some 1 still all 20 || return
  primary=$(primary_of 1 still)
  from=$((primary % 3 + 1))
  write_begin "$from" still all
  goes_on still 10 || return
  vestad_kill "$primary" STOP
  goes_on still 40 || { vestad_kill "$primary" CONT; return; }
  vestad_kill "$primary" CONT
  all_are_active && write_end && all_agree still
}

writes_that_the_active_alone_acknowledges_follow() {
  all_are_active && write_some 1 async active 500 && write_some 2 weak weak 500 && all_agree async && all_agree weak
}

all_vestads_die_at_once() {
  local i
  all_are_active && write_some 1 crash all 500 || return
  for i in 1 2 3; do vestad_kill "$i" STOP; done
  for i in 1 2 3; do vestad_kill "$i"; done
  for i in 1 2 3; do vestad_start "$i"; done
  all_are_active && all_agree crash
}

all_machines_but_their_memory_restart_in_every_order() {
  local order i
  all_are_active && write_some 1 order all 200 || return
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
}

# One of three is away: the other two write on, and it must not come back as the one that knows best.
write_some_if_quorate() { # order node
  local first last
  read -r first _ last <<<"$1"
  [ "$2" = "$first" ] || return 0
  # shellcheck disable=SC2086 # the others, as words
  wait_until 20 is_active "$(printf '%s\n' ${1#* } | sort | paste -sd,)" "$last" && write_some "$last" order all 50
}

# ---- two nodes ----

two_are_active() { wait_until 30 is_active 1,2 1 2 || fail "the two nodes do not form"; }

two_nodes_stop_when_cut() {
  two_are_active && write_some 1 stop all 50 || return
  link_cut 2
  wait_until 20 status_is 1 members 1 || { link_heal 2; fail "the cut is not noticed"; return; }
  node 1 timeout 5 "$client" write stop all 20 $numbers 1 >>"$nodes_dir/stop.told"
  numbers=$((numbers + 1))
  ! grep -q "^ok s[0-9]* $((numbers - 1))\$" "$nodes_dir/stop.told" || { link_heal 2; fail "it wrote"; return; }
  link_heal 2
  two_are_active && all_agree stop
}

two_nodes_go_on_when_the_other_is_known_to_be_dead() {
  two_are_active && write_some 1 fence all 50 || return
  node_kill 2
  touch "$nodes_dir/dead-2"
  write_some 1 fence all 50 || return
  rm "$nodes_dir/dead-2"
  corosync_start 2
  vestad_start 2 "${vestad_options[@]}"
  two_are_active && all_agree fence
}

# ---- keys ----

links_with_keys_carry_everything() { all_are_active && write_some 1 keys all 200 && all_agree keys; }

counts_more() { [ "$(status_of "$1" "$2")" -gt "$3" ]; } # node counter than

a_node_with_a_strange_key_gets_no_link() {
  local before
  all_are_active || return
  before=$(status_of 1 peer_refused)
  vestad_kill 3
  rm -r "$nodes_dir/3/key"
  "$nodes_bin/vesta" keygen "$nodes_dir/3/key" >/dev/null
  vestad_start 3
  wait_until 10 counts_more 1 peer_refused "$before" || { fail "nobody was refused"; return; }
  wait_until 5 status_is 1 peer_links 1 || { fail "node 1 has $(status_of 1 peer_links) links"; return; }
  cp "$nodes_dir/3/key/node.pub" "$nodes_dir/keys/3.pub"
  all_are_active && write_some 3 stranger all 50 && all_agree stranger
}

# ---- all of it ----

passed=0
failed=0
run() { # test
  local begin
  why=
  begin=$(now_ms)
  if "$1"; then
    passed=$((passed + 1))
    echo "ok      $1 ($(($(now_ms) - begin)) ms)"
    return
  fi
  failed=$((failed + 1))
  echo "FAILED  $1: $why"
  state_of_all
  for ((i = 1; i <= nodes_count; i++)); do
    echo "  vestad.log of node $i:"
    tail -n 15 "$nodes_dir/$i/vestad.log" | sed 's/^/    /'
  done
  [ -z "$writer" ] || writer_kill
  [ -z "${CLUSTER_TEST_KEEP:-}" ] || cp -r "$nodes_dir" "/dev/shm/$nodes_name"-* "$CLUSTER_TEST_KEEP"
  return 1
}

# Of two, the fence command says that a node is dead when a file says so.
vestad_options=()
begin() { # nodes
  local i
  nodes_begin "$1"
  vestad_options=()
  if [ "$1" -eq 2 ]; then
    printf '#!/bin/sh\n[ -e "%s/dead-$1" ]\n' "$nodes_dir" >"$nodes_dir/fence"
    chmod +x "$nodes_dir/fence"
    vestad_options=(--fence-command "$nodes_dir/fence")
  fi
  for ((i = 1; i <= nodes_count; i++)); do
    corosync_start "$i"
    vestad_start "$i" "${vestad_options[@]}"
  done
}

run_on() { # nodes test...: those that were asked for; after a failure on fresh nodes
  local count=$1 test
  shift
  for test in "$@"; do
    [ ${#wanted[@]} -eq 0 ] || [[ " ${wanted[*]} " = *" $test "* ]] || continue
    [ -n "${nodes_dir:-}" ] || begin "$count"
    run "$test" || nodes_end
  done
  nodes_end
}

wanted=("$@")
trap '[ -z "$writer" ] || writer_kill; nodes_end' EXIT
trap 'exit 1' INT TERM
run_on 3 "${all_tests[@]}"
run_on 2 "${two_node_tests[@]}"
nodes_keys=yes
run_on 3 "${secure_tests[@]}"

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
