#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Machines, as namespaces with real corosync, and what happens to them. Writers run all the while and record what they
# were told; on each node a stream and a mirror follow (cluster_client.c). After each blow every section must hold the
# last number that was acknowledged, or a later one that was not refused; what was refused must be nowhere; and whoever
# follows must have seen all of it, in order and once, or have been told what it missed.
#
#   cluster_test.sh BIN-DIR CLIENT [TEST...]    all tests, or those named (also by group: machine, cut, ...)
#        CLUSTER_TEST_KEEP=DIR keeps logs and replicas of what failed; CLUSTER_TEST_JOBS groups run at a time [3]
#
# A group of tests (GROUP_tests.sh) has a cluster of its own. It says
#
#   GROUP_nodes, GROUP_tests     how many, and which
#   GROUP_memory, GROUP_keys, GROUP_options()    if it wants: nodes_memory, nodes_keys, and vestad_options to be set
#
# The last line is `N passed, N failed`. Exit code 77 (skipped) without root, ip or corosync, or where namespaces can't be
# made: that is no success, and is said so.
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
nodes_bin=$1
client=$2
hotkv=$nodes_bin/../samples/hotkv
shift 2
# shellcheck source=test/cluster/nodes.sh
. "$here/nodes.sh"
# shellcheck source=test/cluster/checks.sh
. "$here/checks.sh"
# shellcheck source=test/cluster/programs.sh
. "$here/programs.sh"

readonly groups=(machine cut sync commit history pair memory half trust key quorum upgrade operator guest doc applied)
for group in "${groups[@]}"; do
  # shellcheck source=/dev/null
  . "$here/${group}_tests.sh"
done

skip() {
  printf '\n*** SKIPPED, nothing was tested on several nodes: %s\n\n' "$*"
  exit 77
}
[ "$(id -u)" -eq 0 ] || skip "root is needed"
for program in ip tc corosync redis-benchmark; do
  command -v $program >/dev/null || skip "$program is not there"
done
unshare --net --mount true 2>/dev/null || skip "namespaces can't be made here"

# ---- one test ----

passed=0
failed=0
sections=20 # that writers write

# No vestad has ended that nobody has killed, and none has found fault with itself (a build with sanitizers says so).
all_are_sound() {
  local i pid
  for ((i = 1; i <= nodes_count; i++)); do
    pid=$(cat "$nodes_dir/$i/vestad.pid" 2>/dev/null) || continue
    is_of_node "$i" "$pid" || { fail "vestad of node $i has ended by itself"; return; }
    ! grep -qE 'Sanitizer|runtime error|VESTA_ASSERT' "$nodes_dir/$i/vestad.log" ||
      { fail "$(grep -E 'Sanitizer|runtime error|VESTA_ASSERT' "$nodes_dir/$i/vestad.log" | head -n 1)"; return; }
  done
  ! grep -s ^vestad "$nodes_dir/fallen" >"$nodes_dir/fell" || fail "$(head -n 1 "$nodes_dir/fell")"
}

run() { # test
  local begin i
  why=
  begin=$(now_ms)
  if "$1" && all_are_sound; then
    passed=$((passed + 1))
    echo "ok      $1 ($(($(now_ms) - begin)) ms)"
    programs_end
    return
  fi
  failed=$((failed + 1))
  echo "FAILED  $1: $why"
  state_of_all
  for ((i = 1; i <= nodes_count; i++)); do
    echo "  vestad.log of node $i:"
    tail -n 15 "$nodes_dir/$i/vestad.log" | sed 's/^/    /'
  done
  programs_end
  [ -z "${CLUSTER_TEST_KEEP:-}" ] || keep "$1"
  return 1
}

keep() { # test
  local i to=$CLUSTER_TEST_KEEP/$1
  mkdir -p "$to"
  cp -r "$nodes_dir" "$to"
  for ((i = 1; i <= nodes_count; i++)); do
    cp -r --sparse=always "$(node_memory "$i")" "$to"
  done
}

# ---- a group ----

begin() { # group
  local i count=$1_nodes memory=$1_memory keys=$1_keys
  nodes_memory=${!memory:-1g}
  nodes_keys=${!keys:-}
  vestad_options=()
  numbers=0
  nodes_begin "${!count}"
  ! declare -F "$1_options" >/dev/null || "$1_options"
  for ((i = 1; i <= nodes_count; i++)); do
    corosync_start "$i"
    vestad_start "$i" "${vestad_options[@]}"
  done
}

is_wanted() { # group test
  [ ${#wanted[@]} -eq 0 ] || [[ " ${wanted[*]} " = *" $1 "* ]] || [[ " ${wanted[*]} " = *" $2 "* ]]
}

run_group() { # group: after a failure on fresh nodes
  local test tests="$1_tests[@]"
  trap 'programs_end; nodes_end' EXIT
  trap 'exit 1' INT TERM
  for test in "${!tests}"; do
    is_wanted "$1" "$test" || continue
    [ -n "${nodes_dir:-}" ] || begin "$1"
    run "$test" || nodes_end
  done
  nodes_end
  echo "$passed passed, $failed failed in $1"
}

# ---- all of it ----

wanted=("$@")
known=" ${groups[*]} "
for group in "${groups[@]}"; do
  tests="${group}_tests[@]"
  known+="${!tests} "
done
for test in "${wanted[@]}"; do
  [[ $known = *" $test "* ]] || { echo "cluster_test.sh: no test $test" >&2; exit 2; }
done

results=$(mktemp -d /tmp/vesta-results.XXXXXX)
jobs_running=()
end() {
  [ ${#jobs_running[@]} -eq 0 ] || kill -TERM "${jobs_running[@]}" 2>/dev/null
  wait
  rm -rf "$results"
}
trap end EXIT
trap 'exit 1' INT TERM

tell() { # job group: when it has come to its end
  wait "$1"
  sed -e '$d' -e '/ Killed  *node_exec /d' "$results/$2" # what bash says of programs that are killed
  tail -n 1 "$results/$2" >>"$results/sums"
}

for group in "${groups[@]}"; do
  while [ "$(jobs -pr | wc -l)" -ge "${CLUSTER_TEST_JOBS:-3}" ]; do
    wait -n
  done
  run_group "$group" >"$results/$group" 2>&1 </dev/null &
  jobs_running+=($!)
done
for i in "${!groups[@]}"; do
  tell "${jobs_running[$i]}" "${groups[$i]}"
done
jobs_running=()

read -r passed failed < <(awk '{ passed += $1; failed += $3 } END { print passed + 0, failed + 0 }' "$results/sums")
ended=$(grep -c ' in ' "$results/sums")
[ "$ended" -eq ${#groups[@]} ] || { echo "only $ended of ${#groups[@]} groups came to their end"; failed=$((failed + 1)); }
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
