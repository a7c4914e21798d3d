# SPDX-License-Identifier: BSD-2-Clause
"""The decoder of samples/python and the protocol's test vectors (vectors_python_test.py TREE)."""
import sys

tree = sys.argv[1]
sys.dont_write_bytecode = True
sys.path.insert(0, tree + "/samples/python")
import vesta_stream


def value(text):
    return bytes.fromhex(text[1:]) if text.startswith("x") else int(text)


def read_vectors(path):
    vectors = []
    for line in open(path):
        word, _, rest = line.rstrip("\n").partition(" ")
        if word == "vector":
            vectors.append({"name": rest, "fields": {}, "elements": [], "head": b"", "payload": b"", "error": None})
        elif word == "field":
            number, name, text = rest.split()
            vectors[-1]["fields"][int(number)] = value(text)
        elif word == "element":
            vectors[-1]["elements"].append([value(item) for item in rest.split()])
        elif word in ("head", "payload"):
            vectors[-1][word] = bytes.fromhex(rest)
        elif word == "error":
            vectors[-1]["error"] = rest
    return vectors


def check(vector):
    message = vesta_stream.decode(vector["head"], vector["payload"])
    for name, number in vesta_stream.FIELDS.items():
        expected = vector["fields"].get(number, 0)
        assert getattr(message, name) == expected, name
    assert len(message.elements) == len(vector["elements"]), "elements"
    data = b""
    for element, expected in zip(message.elements, vector["elements"]):
        assert list(element[:len(expected)]) == expected, "element"
        assert not any(element[len(expected):12]), "items that are not there are zero"
        data += element.data
    assert data == vector["payload"], "payload"


checked = refused = 0
for vector in read_vectors(tree + "/test/vectors/wire.txt"):
    try:
        if vector["error"] is None:
            check(vector)
            checked += 1
        elif vector["error"] == "VERSION" and vector["fields"][1] >> 16 != 1:
            try:
                vesta_stream.decode(vector["head"])
                raise AssertionError("another major version is not refused")
            except ValueError:
                refused += 1
        elif vector["error"] == "VERSION":
            assert vesta_stream.decode(vector["head"]).kind == vector["fields"][2], "a kind that is not known"
            checked += 1
    except Exception as error:
        sys.exit(f"{vector['name']}: {error!r}")
assert checked > 20 and refused > 0
print(f"{checked} read, {refused} refused")
