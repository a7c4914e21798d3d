#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Mirrors a checkpoint without a gap, and prints what happens to it.

    ./subscribe.py counters            follow the checkpoint safCkpt=counters of this machine's daemon, or this user's
    ./subscribe.py counters done       the same until it has a section "done"; then print the table

On a machine without a daemon, of one that listens at an address (vestad --stream-listen), with keys of `vesta keygen`:

    ./subscribe.py --server tcp://10.0.0.1:7430 --server-key their/node.pub --key my/node.key counters

Why each thing is done is in doc/PROTOCOL.md: "step" here is a step of its section 5. Nothing is kept back in this
program: what is published during a walk or a repair waits in the SUB socket, and what finds no room there is a hole
like any other.
"""
import argparse, re, signal, sys, time
from vesta_stream import *

NOWHERE = Position(0, 0, 0)


def text(data):  # for people: what is no printable ASCII character is \xNN
    return '"' + re.sub(rb"[^ !#-\[\]-~]", lambda byte: b"\\x%02x" % byte[0][0], data).decode() + '"'


class Mirror:
    def __init__(self):
        self.table = {}  # id -> data
        self.position = NOWHERE  # all operations up to here are in the table, some later ones perhaps
        self.whole_seq = 0  # but none later than this

    def apply(self, element):
        if element.kind in (CREATED, OVERWRITTEN):
            self.table[element.id] = element.data
        elif element.kind == WRITTEN and element.id in self.table:  # else it was deleted before the walk came by
            old = self.table[element.id].ljust(element.offset, b"\0")
            self.table[element.id] = old[:element.offset] + element.data + old[element.offset + element.size:]
        elif element.kind in (DELETED, EXPIRED):
            self.table.pop(element.id, None)

    def take(self, message, trusted=False):  # operations. False: those that we lack do not begin behind our position
        new = [element for element in message.elements if element.seq > self.position.seq]
        if new and not trusted:  # what is published may have waited; an answer is fresh
            epoch = new[0].offset if new[0].kind == EPOCH else new[0].epoch
            if self.position != (message.lineage, epoch, new[0].seq - 1):
                return False
        for element in new:
            self.apply(element)
            self.position = Position(message.lineage, element.epoch, element.seq)
            print(element.seq, KINDS[element.kind], text(element.id), element.size)
        return True

    def walk(self, service, since):  # steps 4, 5 and 7
        if since == NOWHERE:
            self.table, self.position = {}, NOWHERE
        first, cursor, state, brought = None, 0, 0, 0
        while not state & LAST:
            chunk = service.ask(SNAPSHOT_GET, cursor, since)
            first, cursor, state = first or chunk.position, chunk.cursor_end, chunk.state
            if state & FULL or chunk.lineage != first.lineage:  # it can't tell the difference, or has another history
                return self.walk(service, NOWHERE)
            for element in chunk.elements:
                self.apply(element)
            brought += len(chunk.elements)
        self.position, self.whole_seq = first, chunk.seq  # not before: a walk that is cut off did not take place
        print(first.seq, "walked:", brought, "sections came or went; whole at", chunk.seq)

    def catch_up(self, service, seq):  # step 6: what we lack, up to there
        while self.position != NOWHERE:
            chunk = service.ask(HISTORY_GET, self.position.seq + 1, self.position)
            if chunk.error:
                print(self.position.seq, "lost" if chunk.error == LOST else "diverged")
                return self.walk(service, self.position if chunk.error == LOST else NOWHERE)
            self.take(chunk, trusted=True)
            if not chunk.elements or self.position.seq >= seq:
                return
        self.walk(service, NOWHERE)

    def follow(self, service, done):
        subscribed = False  # before its beacon nothing is certain
        while not done():
            message = service.published()  # steps 3 and 8
            now = message.position
            if message.kind == BEACON and message.state & GONE:
                raise ValueError("the checkpoint is no more")
            elif message.kind == BEACON:
                if not subscribed or now[:2] != self.position[:2] or now > self.position:
                    self.catch_up(service, now.seq)
                subscribed = True
            elif message.kind != CHANGES:
                print("a message of a kind that is not known here:", message.kind, file=sys.stderr)
            elif subscribed and not self.take(message):
                self.catch_up(service, message.elements[-1].seq)


def main(checkpoint, until, **server):
    mirror, said = Mirror(), None
    done = lambda: until and until.encode() in mirror.table and mirror.position.seq >= mirror.whole_seq
    while not done():
        try:
            service = RemoteService(checkpoint, **server) if server["server"] else Service(checkpoint)
            mirror.follow(service, done)
        except ConnectionError as error:  # the daemon is being restarted
            if str(error) != said:
                print("again:", error, file=sys.stderr)
            said = str(error)
            time.sleep(0.1)
        except (ValueError, PermissionError) as error:
            sys.exit(f"{sys.argv[0]}: {checkpoint}: {error}")
    for id in sorted(mirror.table):
        print("=", text(id), text(mirror.table[id]))


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # who reads the output has enough
    parser = argparse.ArgumentParser(description="Mirrors a checkpoint without a gap, and prints what happens to it.")
    parser.add_argument("--server", help="of a daemon on another machine: tcp://ADDRESS:PORT, its --stream-listen")
    parser.add_argument("--server-key", help="with --server: the file of its public key")
    parser.add_argument("--key", help="with --server: the file of one's own keys, made by vesta keygen")
    parser.add_argument("checkpoint", help="counters is safCkpt=counters")
    parser.add_argument("until", nargs="?", help="a section: when it is there the table is printed, and that is all")
    main(**vars(parser.parse_args()))
