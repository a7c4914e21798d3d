#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Who may include whom. Reads every #include of the tree (usage: layering_test.sh TREE) and judges each by the three
# tables in `rules`; prints every offence as file:line: text, exits 1 if there is any. What keeps the core pure is a
# whitelist: a header that nobody thought of is refused, not let through. Before it judges the tree it judges a list of
# includes whose verdict is known, so that a broken rule cannot pass in silence.
set -eu
tree=${1:?usage: layering_test.sh TREE}

# Input lines: file<TAB>line<TAB>include, the include with its brackets or quotes. Output: the offences.
judge() {
  awk -F '\t' '
    function allow(folder, pattern) { ours[folder] = "^(" pattern ")$" }
    function only(header, pattern) { header_count++; headers[header_count] = "^(" header ")$"; users[header_count] = "^(" pattern ")" }

    BEGIN {
      # 1. folder -> whose files it may include
      allow("core", "core")
      allow("notify", "core|notify")
      allow("notify/zmq", "core|notify|notify/zmq")
      allow("saf_api", "core|saf_api")
      allow("ext_api", "core|notify|notify/zmq|saf_api|ext_api")
      allow("daemon", "core|notify|notify/zmq|daemon")
      allow("cli", "core|cli")
      allow("samples", "")
      allow("bench", "core|notify|notify/zmq|bench")
      allow("test", ".*")

      # 2. header -> the only folders and files that may include it
      only("zmq[.]h", "notify/zmq/|daemon/|cli/|bench/|test/")
      only("czmq[.]h", "daemon/|cli/|bench/|test/")
      only("corosync/.*", "daemon/|bench/|test/")
      only("systemd/.*|ini[.]h", "daemon/|test/")
      only("sodium[.]h", "daemon/peer_stream|test/")
      only("jansson[.]h", "cli/|bench/|test/")
      only("msgpack.*", "core/wire|notify/[a-z_]*(codec|wire)|test/")
      only("cmocka[.]h", "test/")
      only("saAis[.]h|saCkpt[.]h|saCkpt_B_02_03[.]h|cpsv_papi[.]h", "saf_api/|ext_api/|cli/|samples/|bench/|test/")
      only("vesta[.]h", "ext_api/|cli/|samples/|bench/|test/")

      # 3. what the pure folders may include of the system: memory and numbers, no I/O, no clock, no thread
      pure = "^(assert|emmintrin|inttypes|limits|msgpack.*|stdalign|stdatomic|stdbool|stddef|stdint|stdlib|string|xxhash)([.]h|/.*)$"
      assertion_message = "core/error.c" # prints one line before it aborts, and nothing else
    }

    function folder_of(file) {
      if (file ~ /^notify\/zmq\//) return "notify/zmq"
      sub(/\/.*/, "", file)
      return file
    }
    function offence(text) { print $1 ":" $2 ": " text; bad = 1 }

    {
      folder = folder_of($1)
      header = substr($3, 2, length($3) - 2)
      for (i = 1; i <= header_count; i++)
        if (header ~ headers[i] && $1 !~ users[i]) offence("only some may include " header ", see test/house/layering_test.sh")
      if (!(folder in ours)) {
        offence("no rule for the folder " folder)
      } else if (substr($3, 1, 1) == "\"") {
        if (folder == "samples" && header !~ /\//) next # a story of several files
        if (header !~ /\//) offence("write the path from the top: " header)
        else if (folder_of(header) !~ ours[folder]) offence(folder " may not include " header)
      } else if ((folder == "core" || folder == "notify") && header !~ pure &&
                 !($1 == assertion_message && header == "stdio.h")) {
        offence(folder " is pure and may not include " header)
      }
    }
    END { exit bad }'
}

# Known verdicts.
judge_one() { printf '%s\t1\t%s\n' "$1" "$2" | judge >/dev/null; }
while read -r verdict file include; do
  if judge_one "$file" "$include"; then got=yes; else got=no; fi
  if [ "$got" != "$verdict" ]; then
    echo "the rules are broken: $file including $include should be: $verdict"
    exit 1
  fi
done <<'END'
yes core/replica.c "core/replica.h"
yes core/wire_decode.c <msgpack.h>
yes core/error.c <stdio.h>
no  core/replica.c <stdio.h>
no  core/replica.c <msgpack.h>
no  core/node.c <time.h>
no  core/node.c <pthread.h>
no  core/node.c <sys/mman.h>
no  core/node.c "notify/change.h"
no  core/node.c "replica.h"
yes notify/subscriber.c "core/wire.h"
no  notify/subscriber.c "notify/zmq/subscriber_socket.h"
no  notify/subscriber.c <zmq.h>
yes notify/zmq/subscriber_socket.c <zmq.h>
no  notify/zmq/subscriber_socket.c <czmq.h>
no  saf_api/agent.c "ext_api/stream.h"
no  saf_api/agent.c "notify/change.h"
yes saf_api/agent.c <sys/socket.h>
yes ext_api/stream.c "saf_api/agent_extension.h"
no  ext_api/stream.c "daemon/server.h"
no  ext_api/stream.c <zmq.h>
yes daemon/server.c <czmq.h>
no  daemon/server.c "saf_api/agent.h"
no  daemon/server.c <saCkpt.h>
no  cli/status.c "daemon/server.h"
yes samples/pair/pair.c <vesta.h>
yes samples/pair/pair.c "state.h"
no  samples/pair/pair.c "core/types.h"
yes test/unit/server_test.c "daemon/server.h"
no  somewhere/new.c <stdio.h>
END

cd "$tree"
find . -type d \( -name .git -o -path ./build \) -prune -o -type f -name '*.[ch]' -print | sed 's#^\./##' | sort |
  xargs awk '
    match($0, /^[ \t]*#[ \t]*include[ \t]+(<[^>]*>|"[^"]*")/) {
      include = substr($0, RSTART, RLENGTH)
      sub(/^[ \t]*#[ \t]*include[ \t]+/, "", include)
      printf "%s\t%d\t%s\n", FILENAME, FNR, include
    }' | judge
