# SPDX-License-Identifier: BSD-2-Clause
"""Vesta's protocol in Python, as far as a subscriber needs it: messages, a session, the two sockets of the stream.

Needs python3-zmq and python3-msgpack, nothing of Vesta. doc/PROTOCOL.md defines what is done here.
"""
import os, socket, struct
from collections import namedtuple
from types import SimpleNamespace
import msgpack, zmq

VERSION = 1 << 16
HELLO, OPEN, STREAM, CHANGES, BEACON, SNAPSHOT_GET, HISTORY_GET = 1, 4, 15, 80, 81, 82, 84  # kinds of messages
LOST, DIVERGED = 21, 22  # errors
READ, LAST, FULL, GONE = 1, 1, 2, 1  # a flag of OPEN; states of a SNAPSHOT_CHUNK; a state of a BEACON
CREATED, WRITTEN, OVERWRITTEN, DELETED, EXPIRED, EPOCH = 1, 2, 3, 4, 5, 9  # kinds of elements, and the names of all
KINDS = "- created written overwritten deleted expired expiry-set unlinked retention-set epoch".split()
FIELDS = {"version": 1, "kind": 2, "number": 3, "error": 4, "token_hi": 6, "token_lo": 7, "handle": 8, "checkpoint": 9,
          "name": 10, "flags": 11, "lineage": 24, "epoch": 25, "seq": 26, "from_lineage": 27, "from_epoch": 28,
          "from_seq": 29, "cursor": 30, "cursor_end": 31, "text": 35, "state": 36}
ELEMENTS = 41
Element = namedtuple("Element", "kind id size offset expiry_ns seq epoch time_ns slot member index count data",
                     defaults=(0, b"") + 10 * (0,) + (b"",))
Position = namedtuple("Position", "lineage epoch seq")


def encode(**fields):
    return msgpack.packb({FIELDS[name]: value for name, value in {"version": VERSION, **fields}.items()})


def decode(head, payload=b""):
    """A message: what is not there is zero, what is not known is left out; each element gets its data."""
    fields = msgpack.unpackb(head, raw=True, strict_map_key=False)
    if fields[1] >> 16 != VERSION >> 16:
        raise ValueError(f"the service speaks version {fields[1] >> 16} of the protocol, not {VERSION >> 16}")
    message = SimpleNamespace(**{name: fields.get(number, 0) for name, number in FIELDS.items()}, elements=[])
    message.position = Position(message.lineage, message.epoch, message.seq)
    for items in fields.get(ELEMENTS, []):
        element = Element(*items[:12])
        message.elements.append(element._replace(data=payload[:element.size]))
        payload = payload[element.size:]
    return message


class Service:
    """A session, which ends with its link, and the two sockets. ConnectionError: begin again with a new one."""

    def __init__(self, checkpoint):
        self.link, self.number = socket.socket(socket.AF_UNIX), 0
        self.link.connect(os.environ.get("VESTA_SOCKET", "/run/vesta/vestad.sock"))
        self.incoming = self.link.makefile("rb")
        self.call(kind=HELLO)
        handle = self.call(kind=OPEN, name=b"safCkpt=" + checkpoint.encode(), flags=READ).handle
        self.stream = self.call(kind=STREAM, handle=handle)
        self.sub, self.dealer = zmq.Context.instance().socket(zmq.SUB), zmq.Context.instance().socket(zmq.DEALER)
        for zmq_socket, endpoint in zip((self.sub, self.dealer), self.stream.text.decode().split()):
            zmq_socket.linger = 0
            zmq_socket.connect(endpoint)
        self.sub.subscribe(b"D" + struct.pack(">Q", self.stream.checkpoint))

    def call(self, **fields):
        """One request on the agent link, and its answer."""
        self.number += 1
        head = encode(number=self.number, **fields)
        self.link.sendall(struct.pack("<II", len(head), 0) + head)
        prefix = self.incoming.read(8)
        if len(prefix) < 8:
            raise ConnectionError("the link ended")
        head_size, payload_size = struct.unpack("<II", prefix)
        reply = decode(self.incoming.read(head_size), self.incoming.read(payload_size))
        if reply.error:
            raise ValueError(f"the service says no: error {reply.error}")
        return reply

    def readable(self, zmq_socket, seconds):
        ready = zmq.select([zmq_socket, self.link], [], [], seconds)[0]
        if self.link in ready:
            raise ConnectionError("the link ended")
        return zmq_socket in ready

    def ask(self, kind, cursor, since):
        """One request to the ROUTER, again after a second without an answer; the answer."""
        self.number += 1
        request = encode(kind=kind, number=self.number, token_hi=self.stream.token_hi, token_lo=self.stream.token_lo,
                         checkpoint=self.stream.checkpoint, cursor=cursor,
                         from_lineage=since.lineage, from_epoch=since.epoch, from_seq=since.seq)
        for _ in range(3):
            self.dealer.send(request)
            while self.readable(self.dealer, 1):
                answer = decode(*self.dealer.recv_multipart())
                if answer.number == self.number and answer.error in (0, LOST, DIVERGED):
                    return answer
        raise ConnectionError("no answer")  # or only refusals: the session is no more

    def published(self):
        """The next message of the topic."""
        if not self.readable(self.sub, 3):
            raise ConnectionError("the topic was silent for three periods")
        topic, *frames = self.sub.recv_multipart()
        return decode(*frames)
