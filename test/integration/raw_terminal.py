#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs a command in a new terminal, sends N random bytes once it has said `ready`, and compares what
comes back. The command is to be a raw-cat of the multi-tool.

    raw_terminal.py N COMMAND...
"""
import os
import pty
import select
import sys
import time

DEADLINE = time.monotonic() + 120


def main():
    n = int(sys.argv[1])
    data = os.urandom(n)
    pid, master = pty.fork()
    if pid == 0:
        os.execv(sys.argv[2], sys.argv[2:])
    os.set_blocking(master, False)
    sent, got, begun = 0, bytearray(), False
    while True:
        if time.monotonic() > DEADLINE:
            sys.exit(f"not within the time: {sent} bytes sent, {len(got)} came back")
        want = [master] if begun and sent < n else []
        readable, writable, _ = select.select([master], want, [], 1)
        if readable:
            try:
                got += os.read(master, 65536)
            except BlockingIOError:
                pass
            except OSError:  # EIO: hung up
                break
            if not begun and b"\n" in got:
                line, _, rest = bytes(got).partition(b"\n")
                if line.strip() != b"ready":
                    sys.exit(f"said {line!r}, not ready")
                got, begun = bytearray(rest), True
        if writable:
            try:
                sent += os.write(master, data[sent:sent + 65536])
            except BlockingIOError:
                pass
    _, status = os.waitpid(pid, 0)
    if status or bytes(got) != data:
        at = next((i for i in range(min(n, len(got))) if got[i] != data[i]), min(n, len(got)))
        sys.exit(f"status {status}, {sent} of {n} sent, {len(got)} came back, equal up to {at}")
    print(n, "bytes there and back")


main()
