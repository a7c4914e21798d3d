# SPDX-License-Identifier: BSD-2-Clause
"""Vesta's protocol in Python, as far as a subscriber needs it: messages, a session, the two sockets of the stream.

Needs python3-zmq and python3-msgpack, nothing of Vesta. doc/PROTOCOL.md defines what is done here.
"""
import os, socket, struct, time
from collections import namedtuple
from types import SimpleNamespace
import msgpack, zmq

VERSION = 1 << 16
HELLO, OPEN, STREAM, CHANGES, BEACON, SNAPSHOT_GET, HISTORY_GET = 1, 4, 15, 80, 81, 82, 84  # kinds of messages
PROGRESS, FOLLOW_GET, FOLLOW_REPLY = 20, 88, 89  # of those, what there is over TCP only
NOT_EXIST, ACCESS, LOST, DIVERGED = 3, 5, 21, 22  # errors
READ, LAST, FULL, GONE, ALIVE = 1, 1, 2, 1, 2  # a flag of OPEN; states of SNAPSHOT_CHUNK (2), BEACON, PROGRESS
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


def socket_path():
    """Where the daemon of this machine listens, as section 3 says."""
    def mine(path):
        return os.path.isdir(path) and os.lstat(path).st_uid == os.geteuid() and not os.lstat(path).st_mode & 0o77

    system, runtime = "/run/vesta/vestad.sock", os.environ.get("XDG_RUNTIME_DIR", "")
    if os.environ.get("VESTA_SOCKET") or os.path.exists(system):
        return os.environ.get("VESTA_SOCKET") or system
    directory = f"{runtime}/vesta" if mine(runtime) else f"/tmp/vesta-{os.geteuid()}"
    if os.path.exists(directory) and not mine(directory):
        raise ValueError(f"{directory} is not this user's alone")
    return f"{directory}/vestad.sock"


def checkpoint_name(name):
    return (name if "=" in name else "safCkpt=" + name).encode()


def refusal(answer):
    known = {NOT_EXIST: "there is no such checkpoint"}
    return ValueError(known.get(answer.error, f"the service says no: error {answer.error}"))


class Service:
    """A session, which ends with its link, and the two sockets. ConnectionError: begin again with a new one."""
    silence = "no answer"

    def __init__(self, checkpoint):
        self.link, self.number = socket.socket(socket.AF_UNIX), 0
        path = socket_path()
        try:
            self.link.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            raise ConnectionError(f"no vestad answers at {path}") from None
        self.incoming = self.link.makefile("rb")
        self.call(kind=HELLO)
        handle = self.call(kind=OPEN, name=checkpoint_name(checkpoint), flags=READ).handle
        self.stream = self.call(kind=STREAM, handle=handle)
        changes, requests = self.stream.text.decode().split()
        self.dealer = self.connect(zmq.DEALER, requests)
        self.subscribe(changes)

    def connect(self, kind, endpoint):
        zmq_socket = zmq.Context.instance().socket(kind)
        zmq_socket.linger = 0
        zmq_socket.connect(endpoint)
        return zmq_socket

    def subscribe(self, endpoint):
        self.sub = self.connect(zmq.SUB, endpoint)
        self.sub.subscribe(b"D" + struct.pack(">Q", self.stream.checkpoint))

    def call(self, **fields):
        """One request on the agent link, and its answer."""
        self.number += 1
        head = encode(number=self.number, **fields)
        self.link.sendall(struct.pack("<II", len(head), 0) + head, socket.MSG_NOSIGNAL)
        prefix = self.incoming.read(8)
        if len(prefix) < 8:
            raise ConnectionError("the link ended")
        head_size, payload_size = struct.unpack("<II", prefix)
        reply = decode(self.incoming.read(head_size), self.incoming.read(payload_size))
        if reply.error:
            raise refusal(reply)
        return reply

    def readable(self, zmq_socket, seconds):
        ready = zmq.select([zmq_socket, self.link], [], [], seconds)[0]
        if self.link in ready:
            raise ConnectionError("the link ended")
        return zmq_socket in ready

    def request(self, **fields):
        """One request to the ROUTER, again after a second without an answer; the answer."""
        self.number += 1
        request = encode(number=self.number, **fields)
        for _ in range(3):
            self.dealer.send(request)
            while self.readable(self.dealer, 1):
                answer = decode(*self.dealer.recv_multipart())
                if answer.error == ACCESS:
                    raise ConnectionError("the session is no more")
                if answer.number == self.number and answer.error in (0, LOST, DIVERGED):
                    return answer
                if answer.number == self.number and answer.kind == FOLLOW_REPLY:
                    raise refusal(answer)
        raise ConnectionError(self.silence)  # or only refusals

    def ask(self, kind, cursor, since):
        return self.request(kind=kind, token_hi=self.stream.token_hi, token_lo=self.stream.token_lo,
                            checkpoint=self.stream.checkpoint, cursor=cursor,
                            from_lineage=since.lineage, from_epoch=since.epoch, from_seq=since.seq)

    def published(self):
        """The next message of the topic."""
        if not self.readable(self.sub, 3):
            raise ConnectionError("the topic was silent for three periods")
        topic, *frames = self.sub.recv_multipart()
        return decode(*frames)


class RemoteService(Service):
    """The same over TCP: no session of one's own, and each second a word that one is there.

    server is tcp://ADDRESS:PORT; server_key and key are files of `vesta keygen`: its public key, one's own pair. Without
    them nothing is encrypted, which a service has to allow.
    """
    silence = "no answer: nobody listens there, or this key is not known there, or the service has another one"

    def __init__(self, checkpoint, server, server_key=None, key=None):
        self.number, self.told = 0, time.monotonic()
        self.keys = [line.split()[-1].encode() for path in (key, server_key) if path for line in open(path)]
        self.dealer = self.connect(zmq.DEALER, server)
        self.stream = self.request(kind=FOLLOW_GET, name=checkpoint_name(checkpoint))
        address, port = server.rsplit(":", 1)
        self.subscribe(f"{address}:{int(port) + 1}")

    def connect(self, kind, endpoint):
        zmq_socket = zmq.Context.instance().socket(kind)
        zmq_socket.linger = 0
        if self.keys:
            zmq_socket.curve_publickey, zmq_socket.curve_secretkey, zmq_socket.curve_serverkey = self.keys
        zmq_socket.connect(endpoint)
        return zmq_socket

    def readable(self, zmq_socket, seconds):
        deadline = time.monotonic() + seconds
        while True:
            if time.monotonic() - self.told >= 1 and hasattr(self, "stream"):
                self.told = time.monotonic()
                self.dealer.send(encode(kind=PROGRESS, handle=self.stream.handle, state=ALIVE))
            if zmq_socket is not self.dealer and self.dealer.poll(0):
                if decode(*self.dealer.recv_multipart()).error == ACCESS:
                    raise ConnectionError("the service does not know us any more")
            if zmq_socket.poll(max(0, min(1, deadline - time.monotonic())) * 1000):
                return True
            if time.monotonic() >= deadline:
                return False
