#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Kills the runtime in the middle of an exec, each time somewhat later than the time before.

    kill_runc.py RUNTIME SHIM_PID ROUNDS CLEAT...     CLEAT...: the command with its global options,
                                                        ID last. RUNTIME: its process's name

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


def kill_soon(runtime, shim, process, delay):
    """Kills the shim's child that is a runtime, delay seconds after it was seen, unless the exec ends first."""
    while process.poll() is None:
        with open(f"/proc/{shim}/task/{shim}/children", encoding="ascii") as f:
            runtimes = [int(pid) for pid in f.read().split() if comm(pid) == runtime]
        if not runtimes:
            continue
        try:
            fd = os.pidfd_open(runtimes[0])
        except ProcessLookupError:
            continue  # it has ended since
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
    runtime, shim, rounds, ident = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[-1]
    cleat = sys.argv[4:-1]
    n_killed = 0
    for i in range(rounds):
        with subprocess.Popen([*cleat, "exec", "-d", "--exec-id", f"e{i}", ident, "tool", "pause"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            kill_soon(runtime, shim, process, i % 40 * STEP)
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
