# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2034,SC2154
#
# A node's memory is full. With ALL_REPLICAS a write that one replica has no room for is refused, and is nowhere; in the
# other modes it is done, and the replica that lacks it says so, never shows what is old, and gets it when there is room.

memory_nodes=3
memory_memory=48m
memory_tests=(
  a_write_that_one_replica_has_no_room_for_is_nowhere
  a_replica_without_room_gets_what_it_lacks_when_there_is_room
  a_replica_that_lacks_something_shows_nothing_old
)

memory_fill() { head -c 1G /dev/zero >"$(node_memory "$1")/full" 2>/dev/null; } # node
memory_free() { rm "$(node_memory "$1")/full"; }

memory_begin() { # name mode
  all_are_active && write_some 1 "$1" "$2" 20 && judges_begin "$1" || return
  wait_until 20 has_in_sync 1 "$1" 2 || { fail "there is no second replica"; return; }
  primary=$(primary_of 1 "$1")
  copy=$(copy_of 1 "$1")
  other=$((6 - primary - copy))
}

refused() { grep -c '^failed .* 15$' "$nodes_dir/$1.told"; } # NO_SPACE

a_write_that_one_replica_has_no_room_for_is_nowhere() {
  local sections whose
  for whose in copy primary; do
    sections=20
    memory_begin "full-$whose" all || return
    memory_fill "${!whose}"
    sections=500
    write_some 1 "full-$whose" all 300 4000 || return
    [ "$(refused "full-$whose")" -gt 0 ] || { fail "no write was refused: $(tail -n 1 "$nodes_dir/full-$whose.told")"; return; }
    all_agree "full-$whose" || { why="$whose is full: $why"; return 1; }
    memory_free "${!whose}"
    write_some 1 "full-$whose" all 100 4000 && [ "$(tail -n 1 "$nodes_dir/full-$whose.told" | cut -d' ' -f1)" = ok ] ||
      { fail "there is room, and the write is refused"; return; }
    story_end "full-$whose" || { why="$whose was full: $why"; return 1; }
  done
}

# 40 sections that are small, a log that has all the room that it will ever need, and no room for sections that grow.
memory_grow() { # name node...: whose memory is full
  local name=$1 node
  shift
  sections=40 write_some 1 "$name" active 40 50 && sections=1 write_some 1 "$name" active 300 30000 || return
  wait_until 10 is_level "$primary" "$name" "$copy" || { fail "the copy does not follow"; return; }
  for node in "$@"; do memory_fill "$node"; done
  sections=40 write_some 1 "$name" active 40 30000 || return
  [ "$(refused "$name")" -eq 0 ] || { fail "it was refused"; return; }
  wait_until 10 counts_more "$copy" region_reserve_full 0 || { fail "the copy had room"; return; }
}

# NODE ACTIVE STATE AWAY LAG
is_level() { # node name copy
  vesta "$1" show "safCkpt=$2" | awk -v copy="$3" '$1 == copy && $3 == "in-sync" && $5 == "0" { found = 1 } END { exit !found }'
}

a_replica_without_room_gets_what_it_lacks_when_there_is_room() {
  memory_begin room active && memory_grow room "$copy" || return
  memory_free "$copy"
  wait_until 20 has_all_in_memory "$copy" $((numbers - 40)) "$numbers" || { fail "the copy does not get what it lacks"; return; }
  vestad_kill "$primary"
  wait_until 20 is_primary "$copy" room "$copy" || { fail "the copy is not primary"; return; }
  agrees room "$copy" || return
  vestad_start "$primary"
  story_end room
}

has_all_in_memory() { # node from to: numbers, with what they were padded with
  grep -ohaE '[0-9]+ \.\.\.' "$(node_memory "$1")"/replica-0* |
    awk -v from="$2" -v to="$3" '$1 >= from && $1 < to && !had[$1]++ { count++ } END { exit count != to - from }'
}

a_replica_that_lacks_something_shows_nothing_old() {
  memory_begin lacking active && memory_grow lacking "$copy" "$other" || return
  vestad_kill "$primary"
  wait_until 20 is_primary "$copy" lacking "$copy" || { fail "the copy is not primary"; return; }
  node "$copy" timeout 20 "$client" read lacking >"$nodes_dir/lacking.read" 2>"$nodes_dir/lacking.err" ||
    { fail "reading on node $copy: $(tail -n 1 "$nodes_dir/lacking.err")"; return; }
  grep -q corrupted "$nodes_dir/lacking.read" || { fail "nothing is corrupted where something is missing"; return; }
  vesta "$copy" sections safCkpt=lacking | grep -q '^ *CORRUPTED ' || { fail "vesta sections does not name it"; return; }
  nothing_old || return
  memory_free "$copy"
  memory_free "$other"
  vestad_start "$primary"
  all_are_active && sections=40 write_some 1 lacking active 40 30000 && story_end lacking
}

# What can be read is what was acknowledged last.
nothing_old() {
  awk 'FNR == NR { if ($1 == "ok" && $3 + 0 > last[$2] + 0) last[$2] = $3; next }
    $2 != "corrupted" && $2 + 0 < last[$1] + 0 { print $1 ": acknowledged " last[$1] ", read " $2; bad = 1 }
    END { exit bad }' "$nodes_dir/lacking.told" "$nodes_dir/lacking.read" >"$nodes_dir/lacking.bad" ||
    fail "$(head -n 3 "$nodes_dir/lacking.bad" | tr '\n' ';')"
}
