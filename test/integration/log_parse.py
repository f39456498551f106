#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Reads formatted logs back, as their formats say and without a word of ours.

    log_parse.py cri|json PATH STREAM [MAX_SIZE]   the text of STREAM (stdout, stderr, or both as they
                                                   come) in PATH.N, ..., PATH.1, PATH
    log_parse.py input                             bytes of all sorts to write into a log
    log_parse.py go-utf8 <BYTES                    what Go's JSON encoder makes of them
    log_parse.py lost PATH STREAM                  for cri: TEXT LOST, the bytes of the stream that are
                                                   in the log, and the sum of what it says are not

Anything that is not of the format ends it with a sentence and 1: a record without an end, another key, a
file of more than MAX_SIZE bytes with more than one record.
"""

import json
import os
import re
import sys

TIME = rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z"
CRI = re.compile(rb"(" + TIME + rb") (stdout|stderr) ([PF]) (.*)", re.S)
LOST = re.compile(rb"cleat: (\d+) bytes were not written: [A-Z][a-z ]+\n")


def files(path):
    older = []
    for name in os.listdir(os.path.dirname(path)):
        match = re.fullmatch(re.escape(os.path.basename(path)) + r"\.([1-9]\d*)", name)
        if match:
            older.append(int(match[1]))
    if older and sorted(older) != list(range(1, len(older) + 1)):
        sys.exit(f"{path}: rotated files have gaps: {sorted(older)}")
    return [f"{path}.{n}" for n in sorted(older, reverse=True)] + [path]


def of_cri(line):
    match = CRI.fullmatch(line)
    if not match:
        sys.exit(f"no CRI record: {line[:200]!r}")
    return match[2].decode(), match[4] + (b"\n" if match[3] == b"F" else b"")


def of_json(line):
    obj = json.loads(line.decode())
    if list(obj) != ["log", "stream", "time"] or not re.fullmatch(TIME, obj["time"].encode()):
        sys.exit(f"no json-file record: {line[:200]!r}")
    return obj["stream"], obj["log"].encode()


def records(form, path, max_size):
    for name in files(path):
        with open(name, "rb") as f:
            data = f.read()
        if data and not data.endswith(b"\n"):
            sys.exit(f"{name}: its last record has no end")
        lines = data.split(b"\n")[:-1]
        if max_size and len(data) > max_size and len(lines) > 1:
            sys.exit(f"{name}: {len(data)} bytes")
        for line in lines:
            yield of_cri(line) if form == "cri" else of_json(line)


def go_utf8(data):
    """Each byte that begins no character is one U+FFFD."""
    out = []
    while data:
        for n in (1, 2, 3, 4):
            try:
                out.append(data[:n].decode())
                data = data[n:]
                break
            except UnicodeDecodeError:
                pass
        else:
            out.append("\ufffd")
            data = data[1:]
    return "".join(out).encode()


def make_input():
    parts = [b"plain\n", b"\n", b"\n\n", b"P x\n", b'"quoted" \\ back\\n\n', b"\r\n", b"\t\x1b[1mx\x1b[0m\n"]
    parts += [b"nul \0 \0\0\n", bytes(range(256)), b"\n", b"\xff\xfe\xc3", b"\xc3\n", b"\xed\xa0\x80\n"]
    parts += ["ä€😀".encode() * n + b"\n" for n in (1, 1819, 1820, 1821, 5000)]
    parts += [b"x" * n + b"\n" for n in (16383, 16384, 16385, 32768, 32769)]
    parts += [bytes(range(1, 10)) * 120000, b"\n", b"end without a newline"]
    return b"".join(parts)


def lost(path, stream):
    missing, text = 0, 0
    for name, part in records("cri", path, 0):
        match = LOST.fullmatch(part) if name == "stderr" else None
        if match:
            missing += int(match[1])
        elif name == stream:
            text += len(part)
    print(text, missing)


def main():
    args = sys.argv[1:]
    if args[0] == "input":
        sys.stdout.buffer.write(make_input())
    elif args[0] == "go-utf8":
        sys.stdout.buffer.write(go_utf8(sys.stdin.buffer.read()))
    elif args[0] == "lost":
        lost(args[1], args[2])
    else:
        for name, text in records(args[0], args[1], int(args[3]) if len(args) > 3 else 0):
            if args[2] in (name, "both"):
                sys.stdout.buffer.write(text)


main()
