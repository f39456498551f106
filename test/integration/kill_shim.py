#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Kills the shim in the middle of a create or run, each time somewhat later than the time before.

    kill_shim.py FOLDER ROUNDS BUNDLE CLEAT...     FOLDER: the container's, ROOT/c/NS/ID
                                                   CLEAT...: the command with its global options

After each round `delete --force` must succeed in silence, for what is there. Prints how many creates
were cut short.
"""
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import time

STEP = 0.001


def shim_of(folder, process):
    """A pidfd of the shim, once it has said who it is; None if the command ended without one."""
    while True:
        ended = process.poll() is not None  # looked at first: its shim outlives it
        try:
            with open(f"{folder}/shim.json", encoding="ascii") as f:
                return os.pidfd_open(json.load(f)["pid"])
        except (OSError, ValueError):
            pass
        if ended:
            return None


def main():
    folder, rounds, bundle, cleat = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4:]
    ident = os.path.basename(folder)
    n_cut = 0
    for i in range(rounds):
        command = ["create"] if i % 2 else ["run", "-d"]
        with subprocess.Popen([*cleat, *command, "--bundle", bundle, ident],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            shim = shim_of(folder, process)
            if shim is None:
                sys.exit(f"round {i}: {command} ended with {process.returncode} without a shim")
            until = time.monotonic() + i % 60 * STEP
            while time.monotonic() < until:
                pass
            signal.pidfd_send_signal(shim, signal.SIGKILL)
            select.select([shim], [], [])
            os.close(shim)
        n_cut += process.returncode != 0
        if not os.path.exists(folder):
            continue  # it had not begun to serve: its starter has cleaned up
        # a child that was between its fork and its program holds the lock for a moment longer
        with open(f"{folder}/lock", "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run([*cleat, "delete", "--force", ident], check=False,
                              capture_output=True, text=True)
        if done.returncode or done.stdout or done.stderr:
            sys.exit(f"round {i}: {done}")
    print(n_cut)


main()
