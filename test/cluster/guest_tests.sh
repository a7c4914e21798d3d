# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2034,SC2154
#
# A subscriber on a machine that is no node: it follows over TCP, with keys, whatever happens to the nodes that it asks.

guest_nodes=3
guest_keys=yes
guest_options() {
  mkdir -p "$nodes_dir/guests"
  vestad_options=(--stream-listen 'tcp://*:7430' --stream-keys "$nodes_dir/guests")
}
guest_tests=(
  a_guest_goes_on_at_another_node_when_its_own_is_lost
  a_guest_goes_on_when_its_node_and_the_next_are_lost_at_once
  a_guest_of_a_primary_that_stands_still_is_told_of_no_loss
  a_node_without_a_replica_has_one_for_its_guest
)

guest=
guest_begin() { # name node...: `vesta watch` in the bridge's namespace, of these nodes in their order
  local name=$1 node servers='' keys=''
  shift
  for node in "$@"; do
    servers+="tcp://10.77.0.$node:7430 "
    keys+="$nodes_dir/keys/$node.pub "
  done
  if [ ! -d "$nodes_dir/guest" ]; then
    ip -n "$nodes_name-0" addr add 10.77.0.254/24 dev bridge
    "$nodes_bin/vesta" keygen "$nodes_dir/guest" >/dev/null
    cp "$nodes_dir/guest/node.pub" "$nodes_dir/guests/guest.pub"
  fi
  ip netns exec "$nodes_name-0" "$nodes_bin/vesta" watch --server "${servers% }" --server-key "${keys% }" \
    --key "$nodes_dir/guest/node.key" "safCkpt=$name" >"$nodes_dir/$name.watched" 2>"$nodes_dir/$name.watch.err" &
  guest=$!
  wait_until 20 grep -q ' synced' "$nodes_dir/$name.watched" || fail "no guest: $(cat "$nodes_dir/$name.watch.err")"
}

# The last seq that it has taken, and the last one there is on a node.
guest_seq() { awk '{ split($1, position, "-"); seq = position[3] } END { print seq + 0 }' "$nodes_dir/$1.watched"; }
node_seq() { vesta "$1" show "safCkpt=$2" | awk '$1 == "position" { split($2, position, "-"); print position[3] }'; }
guest_is_level() { [ "$(guest_seq "$1")" -ge "$2" ]; } # name seq

guest_end() { # name node: it has all that is on that node, each operation once and in order, or was told what it missed
  local last
  last=$(node_seq "$2" "$1")
  wait_until 20 guest_is_level "$1" "$last" ||
    fail "the guest has $(guest_seq "$1") of $last, and said last: $(tail -n 1 "$nodes_dir/$1.watched")" || return
  kill -TERM "$guest" && wait "$guest" || fail "the guest failed: $(cat "$nodes_dir/$1.watch.err")" || return
  awk '{ split($1, position, "-"); seq = position[3] }
       / lost / { live = 0 }
       / synced/ { live = 1 }
       / resync-|created|synced/ && !live { last = seq; next }
       / synced/ { if (last == 0) last = seq; next }
       live && seq != last + 1 { print "after " last " came " seq; exit }
       { last = seq }' "$nodes_dir/$1.watched" >"$nodes_dir/$1.gaps"
  [ ! -s "$nodes_dir/$1.gaps" ] || fail "$(cat "$nodes_dir/$1.gaps")"
}

guest_story_begin() { # name node...: something is there, a guest follows it at these nodes, and node 1 writes more
  local name=$1
  shift
  all_are_active && write_some 1 "$name" all 50 || return
  guest_begin "$name" "$@" || return
  write_begin 1 "$name" all
  story_goes_on "$name" 20
}

a_guest_goes_on_at_another_node_when_its_own_is_lost() {
  guest_story_begin followed 3 2 1 || return
  node_kill 3
  story_goes_on followed 30 || return
  vestad_kill 2
  guest_nodes_return && story_goes_on followed 30 || return
  write_end && all_are_active && guest_end followed 1
}

guest_nodes_return() { # 2 with what it had, 3 with nothing
  vestad_start 2 "${vestad_options[@]}"
  corosync_start 3
  vestad_start 3 "${vestad_options[@]}"
}

# Both are back before anybody has quorum: they know less than the guest does, and must not say that its checkpoint is gone.
a_guest_goes_on_when_its_node_and_the_next_are_lost_at_once() {
  guest_story_begin kept 3 2 1 || return
  node_kill 3
  vestad_kill 2
  guest_nodes_return && story_goes_on kept 30 || return
  write_end && all_are_active && guest_end kept 1
}

# It may have what the other nodes have not committed yet, and they do not know of another primary when it comes to them.
a_guest_of_a_primary_that_stands_still_is_told_of_no_loss() {
  local primary other
  all_are_active && write_some 1 stood all 50 || return
  primary=$(primary_of 1 stood)
  other=$((primary % 3 + 1))
  guest_begin stood "$primary" "$other" $((other % 3 + 1)) || return
  write_begin "$other" stood all
  story_goes_on stood 20 || return
  vestad_kill "$primary" STOP
  story_goes_on stood 40 || return
  vestad_kill "$primary" CONT
  story_goes_on stood 20 || return
  write_end && all_are_active && guest_end stood "$other" || return
  ! grep -q ' lost ' "$nodes_dir/stood.watched" || fail "$(grep ' lost ' "$nodes_dir/stood.watched")"
}

a_node_without_a_replica_has_one_for_its_guest() {
  local node
  all_are_active && write_some 1 placed all 50 || return
  for node in 1 2 3; do # two of them have one
    guest_begin placed "$node" || return
    write_some 2 placed all 50 && guest_end placed 1 || return
  done
}
