#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Mirrors a checkpoint without a gap, and prints what happens to it.

    ./subscribe.py counters            follow the checkpoint safCkpt=counters of the daemon at $VESTA_SOCKET
    ./subscribe.py counters done       the same until it has a section "done"; then print the table

Why each thing is done is in doc/PROTOCOL.md: "step" here is a step of its section 5. Nothing is kept back in this
program: what is published during a walk or a repair waits in the SUB socket, and what finds no room there is a hole
like any other.
"""
import re, sys, time
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

    def take(self, message):  # operations, without those that we have
        held = self.position.seq
        for element in message.elements:
            if element.seq > held:
                self.apply(element)
                self.position = Position(message.lineage, element.epoch, element.seq)
                print(element.seq, KINDS[element.kind], text(element.id), element.size)

    def walk(self, service, since):  # steps 4, 5 and 7
        cursor, state, brought = 0, 0, 0
        while not state & LAST:
            chunk = service.ask(SNAPSHOT_GET, cursor, since)
            state = chunk.state
            if cursor == 0:
                first = chunk.position
                if state & FULL or since == NOWHERE:
                    self.table, self.position, since = {}, NOWHERE, NOWHERE
            elif state & FULL or chunk.lineage != first.lineage:  # of another history than the first one
                return self.walk(service, NOWHERE)
            for element in chunk.elements:
                self.apply(element)
            brought += len(chunk.elements)
            cursor, self.whole_seq = chunk.cursor_end, chunk.seq
        self.position = first  # not before: a walk that is cut off did not take place
        print(self.position.seq, "walked:", brought, "sections came or went; whole at", self.whole_seq)

    def repair(self, service, seq):  # step 6: what was missed, up to there
        while True:
            chunk = service.ask(HISTORY_GET, self.position.seq + 1, self.position)
            if chunk.error:
                print(self.position.seq, "lost" if chunk.error == LOST else "diverged")
                return self.walk(service, self.position if chunk.error == LOST else NOWHERE)
            self.take(chunk)
            if not chunk.elements or self.position.seq >= seq:
                return

    def goes_on(self, message):  # are the new operations of it those right behind our position?
        new = [element for element in message.elements if element.seq > self.position.seq]
        epoch = new and (new[0].offset if new[0].kind == EPOCH else new[0].epoch)
        return not new or self.position == (message.lineage, epoch, new[0].seq - 1)

    def follow(self, service, done):
        subscribed = False
        while not done():
            message = service.published()  # steps 3 and 8
            now = message.position
            if message.kind == BEACON and message.state & GONE:
                raise ValueError("the checkpoint is no more")
            if message.kind == BEACON and self.position == NOWHERE:
                self.walk(service, NOWHERE)
            elif message.kind == BEACON and (not subscribed or now[:2] != self.position[:2] or now > self.position):
                self.repair(service, now.seq)
            elif message.kind == CHANGES and subscribed:  # before its beacon nothing is certain
                if not self.goes_on(message):
                    self.repair(service, message.elements[-1].seq)
                if self.goes_on(message):
                    self.take(message)
            elif message.kind not in (BEACON, CHANGES):
                print("a message of a kind that is not known here:", message.kind, file=sys.stderr)
            subscribed = subscribed or message.kind == BEACON


def main(checkpoint, until=None):
    mirror = Mirror()
    done = lambda: until and until.encode() in mirror.table and mirror.position.seq >= mirror.whole_seq
    while not done():
        try:
            mirror.follow(Service(checkpoint), done)
        except (ConnectionError, FileNotFoundError) as error:  # the daemon is being restarted
            print("again:", error, file=sys.stderr)
            time.sleep(0.1)
        except ValueError as error:
            sys.exit(str(error))
    for id in sorted(mirror.table):
        print("=", text(id), text(mirror.table[id]))


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)
    main(*sys.argv[1:])
