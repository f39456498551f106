#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Kills runc in the middle of an exec, each time somewhat later than the time before.

    kill_runc.py SHIM_PID ROUNDS CLEAT...     CLEAT...: the command with its global options, ID last

After each round the container must have its init and nothing else. Prints how many execs were killed.
"""
import json
import os
import signal
import subprocess
import sys
import time

STEP = 0.0005
PATIENCE = 5


def comm(pid):
    try:
        with open(f"/proc/{pid}/comm", encoding="ascii") as f:
            return f.read().strip()
    except OSError:
        return ""


def kill_soon(shim, process, delay):
    """Kills the shim's child runc, delay seconds after it was seen, unless the exec ends first."""
    while process.poll() is None:
        with open(f"/proc/{shim}/task/{shim}/children", encoding="ascii") as f:
            runcs = [int(pid) for pid in f.read().split() if comm(pid) == "runc"]
        if not runcs:
            continue
        fd = os.pidfd_open(runcs[0])
        until = time.monotonic() + delay
        while time.monotonic() < until:
            pass
        try:
            signal.pidfd_send_signal(fd, signal.SIGKILL)
        except ProcessLookupError:
            pass
        os.close(fd)
        return


def main():
    shim, rounds, ident = int(sys.argv[1]), int(sys.argv[2]), sys.argv[-1]
    cleat = sys.argv[3:-1]
    n_killed = 0
    for i in range(rounds):
        with subprocess.Popen([*cleat, "exec", "-d", "--exec-id", f"e{i}", ident, "tool", "pause"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            kill_soon(shim, process, i % 40 * STEP)
        if process.returncode == 0:
            subprocess.run([*cleat, "delete", "--force", "--exec-id", f"e{i}", ident], check=True)
        else:
            n_killed += 1
        end = time.monotonic() + PATIENCE
        while True:
            ps = json.loads(subprocess.check_output([*cleat, "ps", "--json", ident]))
            if len(ps) == 1:
                break
            if time.monotonic() > end:
                sys.exit(f"round {i}: left behind: {ps}")
    print(n_killed)


main()
