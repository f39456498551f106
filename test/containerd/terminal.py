#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs a command in a new terminal of 30 rows and 100 columns, and writes what appears there to stdout,
byte for byte. Each EXPECT=SEND waits until EXPECT has appeared after the one before it, and types SEND,
in which \\n and \\x03 and the like are what they are in Python; ROWSxCOLUMNS for SEND resizes. The exit
status is the command's.

    terminal.py [EXPECT=SEND...] -- COMMAND...
"""
import fcntl
import os
import pty
import re
import select
import struct
import sys
import termios
import time

DEADLINE = time.monotonic() + 60


def resize(fd, rows, columns):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def main():
    at = sys.argv.index("--")
    script = [word.split("=", 1) for word in sys.argv[1:at]]
    pid, master = pty.fork()
    if pid == 0:
        resize(0, 30, 100)
        os.execvp(sys.argv[at + 1], sys.argv[at + 1:])
    text, looked = b"", 0
    while True:
        readable, _, _ = select.select([master], [], [], max(0, DEADLINE - time.monotonic()))
        if not readable:
            sys.exit(f"not within the time; so far: {text!r}")
        try:
            more = os.read(master, 65536)
        except OSError:  # EIO: hung up
            break
        text += more
        sys.stdout.buffer.write(more)
        sys.stdout.buffer.flush()
        while script and (found := text.find(script[0][0].encode(), looked)) >= 0:
            expected, send = script.pop(0)
            looked = found + len(expected)
            if size := re.fullmatch(r"(\d+)x(\d+)", send):
                resize(master, int(size[1]), int(size[2]))
            else:
                os.write(master, send.encode().decode("unicode_escape").encode())
    _, status = os.waitpid(pid, 0)
    if script:
        sys.exit(f"never appeared: {script[0][0]!r}")
    sys.exit(os.waitstatus_to_exitcode(status) & 0xff)


main()
