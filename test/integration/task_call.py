#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Calls of containerd.task.v2.Task on a shim's socket, for what the command line has no words for:
three FIFOs, and CloseIO. Encodes ttrpc and protobuf by hand, on purpose: nothing here is ours.

    task_call.py SOCKET create ID BUNDLE STDIN STDOUT STDERR
    task_call.py SOCKET create-on SOURCE ID BUNDLE STDIN STDOUT STDERR     (SOURCE is bound to rootfs)
    task_call.py SOCKET exec ID EXEC_ID STDIN STDOUT STDERR ARG...
    task_call.py SOCKET annotate ID NAME VALUE                              (an Update of nothing else)
    task_call.py SOCKET start|delete|close-io|wait|shutdown ID EXEC_ID     ("" is the init)

Create is told the runtime of $RUNTIME, with the options of lib.bash.
Prints `field value` for each number in the answer. Exit 1 with the shim's sentence where it refuses.
"""
import json
import os
import socket
import struct
import sys

METHODS = {"annotate": "Update", "create": "Create", "create-on": "Create", "exec": "Exec", "start": "Start", "delete": "Delete",
           "close-io": "CloseIO", "wait": "Wait", "shutdown": "Shutdown"}
REQUEST, RESPONSE = 1, 2
RUNSC_OPTIONS = ["platform=ptrace", "network=none", "ignore-cgroups"]


def varint(n):
    out = bytearray()
    while n > 0x7f:
        out.append(n & 0x7f | 0x80)
        n >>= 7
    return bytes(out + bytes([n]))


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value) if value else b""
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data if data else b""


def fields(data):
    """Yields (number, value) of a message: integers and bytes."""
    at = 0

    def take():
        nonlocal at
        n = shift = 0
        while True:
            byte = data[at]
            at += 1
            n |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                return n

    while at < len(data):
        key = take()
        n = take()
        if key & 7 == 2:
            yield key >> 3, data[at:at + n]
            at += n
        else:
            yield key >> 3, n


def runtime_options():
    """An Any of cleat.shim.v1.RuntimeOptions."""
    kind = os.environ.get("RUNTIME", "runc")
    if kind == "runc":
        return ""
    options = field(1, kind) + b"".join(field(5, o) for o in RUNSC_OPTIONS if kind == "runsc")
    return field(1, "cleat.shim.v1.RuntimeOptions") + field(2, options)


def encode(verb, args):
    if verb in ("create", "create-on"):
        source = args.pop(0) if verb == "create-on" else ""
        mount = field(1, "bind") + field(2, source) + field(4, "rbind")
        ident, bundle, *streams = args
        return (field(1, ident) + field(2, bundle) + field(3, mount if source else "")
                + b"".join(field(5 + i, uri) for i, uri in enumerate(streams))
                + field(10, runtime_options()))
    ident, exec_id, *rest = args
    if verb == "annotate":
        return field(1, ident) + field(3, field(1, exec_id) + field(2, rest[0]))
    if verb == "exec":
        process = {"args": rest[3:], "cwd": "/", "env": ["PATH=/bin"],
                   "user": {"uid": 0, "gid": 0}}
        spec = field(1, "types.containerd.io/opencontainers/runtime-spec/1/Process") + field(
            2, json.dumps(process))
        return (field(1, ident) + field(2, exec_id)
                + b"".join(field(4 + i, uri) for i, uri in enumerate(rest[:3])) + field(7, spec))
    return field(1, ident) + field(2, exec_id) + (field(3, 1) if verb == "close-io" else b"")


def receive(connection, n):
    data = b""
    while len(data) < n:
        part = connection.recv(n - len(data))
        if not part:
            sys.exit("the shim closed the connection")
        data += part
    return data


def main():
    path, verb, *args = sys.argv[1:]
    request = (field(1, "containerd.task.v2.Task") + field(2, METHODS[verb])
               + field(3, encode(verb, args)))
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(60)
    connection.connect(path)
    connection.sendall(struct.pack(">IIBB", len(request), 1, REQUEST, 0) + request)
    length, stream, kind, _ = struct.unpack(">IIBB", receive(connection, 10))
    assert (stream, kind) == (1, RESPONSE), (stream, kind)
    answer = dict(fields(receive(connection, length)))
    status = dict(fields(answer.get(1, b"")))
    if status.get(1):
        sys.exit(f"{status[1]}: {status.get(2, b'').decode()}")
    for number, value in fields(answer.get(2, b"")):
        if isinstance(value, int):
            print(number, value)


main()
