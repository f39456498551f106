#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Stands in for a shim that is dying, for as long as a test wants: it holds the container's lock and
is the one that shim.json names, but no call gets an answer any more.

    stand_in.py FOLDER hang-up|refuse     FOLDER: the container's, ROOT/c/NS/ID; its shim is dead

hang-up: connections are taken, and broken once something was asked. refuse: they are not taken. Prints
"ready", then "asked" for each. Lives until it is killed.
"""
import fcntl
import json
import os
import signal
import socket
import sys


def take_over(folder):
    """The name of the socket, which is nobody's any more."""
    with open("/proc/self/stat", encoding="ascii") as f:
        start_time = int(f.read().rpartition(")")[2].split()[19])
    with open(f"{folder}/shim.json", encoding="ascii") as f:
        record = json.load(f)
    record.update(pid=os.getpid(), start_time=start_time)
    with open(f"{folder}/stand-in", "w", encoding="ascii") as f:
        json.dump(record, f)
    os.rename(f"{folder}/stand-in", f"{folder}/shim.json")
    return record["socket"]


def main():
    folder, way = sys.argv[1:]
    with open(f"{folder}/lock", "rb") as lock, socket.socket(socket.AF_UNIX) as server:
        fcntl.flock(lock, fcntl.LOCK_EX)
        name = take_over(folder)
        os.unlink(name)
        server.bind(name)
        if way == "hang-up":
            server.listen()
        print("ready", flush=True)
        while way == "hang-up":
            with server.accept()[0] as caller:
                caller.recv(1)
            print("asked", flush=True)
        signal.pause()


main()
