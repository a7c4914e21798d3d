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
#   node_spawn I COMMAND...    the same in the background, as a program that dies with the node; its pid is $!
#   node_memory I      the folder of its replicas, a tmpfs of its own of $nodes_memory bytes
#   link_cut I [J]     nothing gets from I to J any more, or to nobody and from nobody;  link_heal I [J]
#   peer_cut I J       the same for what vestads say to each other, while corosync goes on;  peer_heal I J
#   link_slow I RATE   what I sends (tc's rates: 20mbit);  link_fast I
#   nodes_end          kill what was started, remove everything
#
# A node's address is 10.77.0.I. A cut of one direction is a blackhole route in the sender's namespace (for vestads: of
# TCP only), a whole cut takes the link down.

nodes_bin=${nodes_bin:?the folder of vestad and vesta}
nodes_token_ms=${nodes_token_ms:-1000}
nodes_memory=${nodes_memory:-1g} # of a node's replicas at most
nodes_vestad=                    # another program than that in nodes_bin, for the next vestad_start
nodes_keys=                      # yes: links are encrypted; set it before nodes_begin

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
    mkdir -p "$nodes_dir/$i/run" "$nodes_dir/$i/lib"
    chmod 700 "$nodes_dir/$i/run"
    memory_mount "$i"
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

node_memory() { echo "/dev/shm/$nodes_name-$1"; }

memory_mount() { # node
  local dir
  dir=$(node_memory "$1")
  mkdir -p "$dir"
  mount -t tmpfs -o "size=$nodes_memory,mode=700" tmpfs "$dir"
}

memory_unmount() { # node
  local dir
  dir=$(node_memory "$1")
  umount -l "$dir" 2>/dev/null
  rmdir "$dir" 2>/dev/null
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
$([ "$nodes_count" -ne 2 ] || echo "  two_node: 1")
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
  exec setpriv --pdeathsig KILL ip netns exec "$nodes_name-$i" unshare -m --propagation private sh -c \
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
  nodes_in "$i" "${nodes_vestad:-$nodes_bin/vestad}" --socket "$nodes_dir/$i/run/vestad.sock" --replica-dir "$(node_memory "$i")" \
    --cluster corosync --node-id "$i" --listen "tcp://10.77.0.$i:7420" "${security[@]}" --log-to stderr "$@" \
    >>"$nodes_dir/$i/vestad.log" 2>&1 </dev/null &
  echo $! >"$nodes_dir/$i/vestad.pid"
}

nodes_kill() { # node program [signal]
  local file=$nodes_dir/$1/$2.pid pid
  [ -s "$file" ] || return 0
  pid=$(cat "$file")
  if is_of_node "$1" "$pid"; then
    kill -s "${3:-KILL}" "$pid" 2>/dev/null || true
  else
    echo "$2 of node $1 had ended by itself" >>"$nodes_dir/fallen"
  fi
  [ "${3:-KILL}" = KILL ] || return 0
  wait "$pid" 2>/dev/null || true
  rm -f "$file"
}

corosync_kill() { # node [signal]: and what it leaves in /dev/shm when it is killed
  local pid
  pid=$(cat "$nodes_dir/$1/corosync.pid" 2>/dev/null)
  nodes_kill "$1" corosync "${2:-KILL}"
  [ -z "$pid" ] || [ "${2:-KILL}" != KILL ] || rm -rf "/dev/shm/qb-corosync-$pid"-blackbox-* "/dev/shm/qb-$pid"-*
}
vestad_kill() { nodes_kill "$1" vestad "${2:-KILL}"; }

# Numbers of processes are used again: only a child that lives, or what is in the node's namespace, is what was started.
is_child() { # pid
  [[ " $(jobs -pr | tr '\n' ' ') " = *" $1 "* ]]
}

is_of_node() { # node pid
  is_child "$2" || [ "$(ip netns identify "$2" 2>/dev/null)" = "$nodes_name-$1" ]
}

programs_kill() { # node: and what they have started
  local pid
  [ -e "${nodes_dir:-}/$1/programs" ] || return 0
  while read -r pid; do
    ! is_child "$pid" || kill -KILL "$pid" 2>/dev/null
  done <"$nodes_dir/$1/programs"
  for pid in $(ip netns pids "$nodes_name-$1" 2>/dev/null); do
    ! grep -qz "^VESTA_SOCKET=$nodes_dir/$1/" "/proc/$pid/environ" 2>/dev/null || kill -KILL "$pid" 2>/dev/null
  done
  while read -r pid; do
    wait "$pid" 2>/dev/null
  done <"$nodes_dir/$1/programs"
  rm "$nodes_dir/$1/programs"
}

node_kill() { # node: its power goes
  ip -n "$nodes_name-$1" link set eth down
  programs_kill "$1"
  vestad_kill "$1"
  corosync_kill "$1"
  memory_unmount "$1"
  rm -rf "$nodes_dir/$1/run"/*
  memory_mount "$1"
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

node_spawn() { # node command...: its output goes where this shell's goes
  local i=$1
  node_exec "$i" setpriv --pdeathsig KILL "${@:2}" & # when this shell is killed, too
  echo $! >>"$nodes_dir/$i/programs"
}

program_wait() { # pid: for its end, which has come or will; its exit code
  local file
  for file in "$nodes_dir"/*/programs; do
    sed -i "/^$1\$/d" "$file"
  done
  wait "$1"
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

peer_cut() { # node to
  ip -n "$nodes_name-$1" route replace blackhole default table 100
  ip -n "$nodes_name-$1" rule add to "10.77.0.$2/32" ipproto tcp table 100
}

peer_heal() { # node to
  ip -n "$nodes_name-$1" rule del to "10.77.0.$2/32" ipproto tcp table 100
}

link_slow() { # node rate
  ip netns exec "$nodes_name-$1" tc qdisc replace dev eth root tbf rate "$2" burst 64kb latency 200ms
}

link_fast() { # node
  ip netns exec "$nodes_name-$1" tc qdisc del dev eth root
}

nodes_end() {
  local i
  [ -n "${nodes_dir:-}" ] || return 0
  for ((i = 1; i <= nodes_count; i++)); do
    programs_kill "$i"
    nodes_kill "$i" vestad CONT
    vestad_kill "$i"
    corosync_kill "$i"
    ip netns del "$nodes_name-$i" 2>/dev/null || true
    memory_unmount "$i"
  done
  ip netns del "$nodes_name-0" 2>/dev/null || true
  rm -rf "$nodes_dir"
  nodes_dir=
}
