# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# Several nodes on one machine, to be sourced: each is a network namespace with a corosync and a vestad of its own, all
# on one bridge in a namespace of its own. Needs root, iproute2 and corosync; leaves nothing behind (nodes_end).
#
#   nodes_begin N      make them; $nodes_dir holds what they write: corosync.log, vestad.log, pids
#   corosync_start I   vestad_start I [OPTION...]
#   corosync_kill I [SIGNAL]   vestad_kill I [SIGNAL]   node_kill I (both, and its memory)
#   node I COMMAND...  run it there, with VESTA_SOCKET set
#   link_cut I [J]     nothing gets from I to J any more, or to nobody and from nobody;  link_heal I [J]
#   nodes_end          kill what was started, remove everything
#
# A node's address is 10.77.0.I. A cut of one direction is a blackhole route in the sender's namespace, a whole cut
# takes the link down.

nodes_bin=${nodes_bin:?the folder of vestad and vesta}
nodes_token_ms=${nodes_token_ms:-1000}
nodes_keys= # yes: links are encrypted; set it before nodes_begin

nodes_say() { printf '%s\n' "-- $*" >&2; }

nodes_begin() { # count
  local i
  nodes_count=$1
  nodes_dir=$(mktemp -d /tmp/vesta-nodes.XXXXXX)
  nodes_name=$(basename "$nodes_dir" | tr . -)
  ip netns add "$nodes_name-0"
  ip -n "$nodes_name-0" link add bridge type bridge forward_delay 0
  ip -n "$nodes_name-0" link set bridge up
  for ((i = 1; i <= nodes_count; i++)); do
    mkdir -p "$nodes_dir/$i/run" "$nodes_dir/$i/lib" "/dev/shm/$nodes_name-$i"
    chmod 700 "/dev/shm/$nodes_name-$i" "$nodes_dir/$i/run"
    ip netns add "$nodes_name-$i"
    ip -n "$nodes_name-$i" link set lo up
    ip -n "$nodes_name-$i" link add eth type veth peer name "node$i" netns "$nodes_name-0"
    ip -n "$nodes_name-$i" addr add "10.77.0.$i/24" dev eth
    ip -n "$nodes_name-$i" link set eth up
    ip -n "$nodes_name-0" link set "node$i" master bridge up
    corosync_configure "$i"
    keys_make "$i"
  done
}

keys_make() { # node
  mkdir -p "$nodes_dir/keys"
  "$nodes_bin/vesta" keygen "$nodes_dir/$1/key" >/dev/null
  cp "$nodes_dir/$1/key/node.pub" "$nodes_dir/keys/$1.pub"
}

corosync_configure() { # node
  local i
  {
    cat <<END
totem {
  version: 2
  cluster_name: vesta
  transport: knet
  token: $nodes_token_ms
  crypto_cipher: none
  crypto_hash: none
}
quorum {
  provider: corosync_votequorum
$([ "$nodes_count" -ne 2 ] || echo "  two_node: 1
  wait_for_all: 0")
}
system {
  sched_rr: no
  state_dir: $nodes_dir/$1/lib
}
logging {
  to_stderr: no
  to_syslog: no
  to_logfile: yes
  logfile: $nodes_dir/$1/corosync.log
  timestamp: hires
}
nodelist {
END
    for ((i = 1; i <= nodes_count; i++)); do
      printf '  node {\n    nodeid: %d\n    name: node%d\n    ring0_addr: 10.77.0.%d\n  }\n' "$i" "$i" "$i"
    done
    echo "}"
  } >"$nodes_dir/$1/corosync.conf"
}

nodes_in() { # node command...: in its namespaces, with its own /run
  local i=$1
  shift
  exec ip netns exec "$nodes_name-$i" unshare -m --propagation private sh -c \
    'mount --bind "$0" /run && exec "$@"' "$nodes_dir/$i/run" "$@"
}

corosync_start() { # node
  nodes_in "$1" corosync -f -c "$nodes_dir/$1/corosync.conf" >>"$nodes_dir/$1/corosync.out" 2>&1 </dev/null &
  echo $! >"$nodes_dir/$1/corosync.pid"
}

vestad_start() { # node option...
  local i=$1 security=(--insecure)
  shift
  [ -z "$nodes_keys" ] || security=(--key "$nodes_dir/$i/key/node.key" --peer-keys "$nodes_dir/keys")
  nodes_in "$i" "$nodes_bin/vestad" --socket "$nodes_dir/$i/run/vestad.sock" --replica-dir "/dev/shm/$nodes_name-$i" \
    --cluster corosync --node-id "$i" --listen "tcp://10.77.0.$i:7420" "${security[@]}" --log-to stderr "$@" \
    >>"$nodes_dir/$i/vestad.log" 2>&1 </dev/null &
  echo $! >"$nodes_dir/$i/vestad.pid"
}

nodes_kill() { # node program [signal]
  local file=$nodes_dir/$1/$2.pid pid
  [ -s "$file" ] || return 0
  pid=$(cat "$file")
  kill -s "${3:-KILL}" "$pid" 2>/dev/null || true
  [ "${3:-KILL}" = KILL ] || return 0
  wait "$pid" 2>/dev/null || true
  rm -f "$file"
}

corosync_kill() { nodes_kill "$1" corosync "${2:-KILL}"; }
vestad_kill() { nodes_kill "$1" vestad "${2:-KILL}"; }

node_kill() { # node: its power goes
  ip -n "$nodes_name-$1" link set eth down
  vestad_kill "$1"
  corosync_kill "$1"
  rm -rf "/dev/shm/$nodes_name-$1" "$nodes_dir/$1/run"/*
  mkdir -m 700 "/dev/shm/$nodes_name-$1"
  ip -n "$nodes_name-$1" link set eth up
}

node() { # node command...
  (node_exec "$@")
}

node_exec() { # the same in place of this shell, whose process it is then
  local i=$1
  shift
  VESTA_SOCKET=$nodes_dir/$i/run/vestad.sock exec ip netns exec "$nodes_name-$i" "$@"
}

link_cut() { # node [to]
  if [ $# -eq 1 ]; then
    ip -n "$nodes_name-0" link set "node$1" down
  else
    ip -n "$nodes_name-$1" route add blackhole "10.77.0.$2/32"
  fi
}

link_heal() { # node [to]
  if [ $# -eq 1 ]; then
    ip -n "$nodes_name-0" link set "node$1" up
  else
    ip -n "$nodes_name-$1" route del blackhole "10.77.0.$2/32"
  fi
}

nodes_end() {
  local i
  [ -n "${nodes_dir:-}" ] || return 0
  for ((i = 1; i <= nodes_count; i++)); do
    nodes_kill "$i" vestad CONT
    vestad_kill "$i"
    corosync_kill "$i"
    ip netns del "$nodes_name-$i" 2>/dev/null || true
    rm -rf "/dev/shm/$nodes_name-$i"
  done
  ip netns del "$nodes_name-0" 2>/dev/null || true
  rm -rf "$nodes_dir"
  nodes_dir=
}
