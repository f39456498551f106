# SPDX-License-Identifier: Apache-2.0
"""What the tests of cleatd in Python stand on: one supervisor that is started, killed, held and asked, and
processes that are waited for, never slept for.

Run by bats, which has made the root and the bundle and looks for what is left behind afterwards. Subtle:
the tests' own process can be a subreaper: what cleatd leaves behind when it is killed is then ours, and
is reaped exactly when a test wants it.
"""
import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from call import Client, Refused  # noqa: E402, F401  (Refused is for who imports us)

BUILD = os.environ.get("CLEAT_BIN") or os.path.join(HERE, "../../build")
TOOL = os.path.join(HERE, "../../build/test/tool")
SLOWER = int(os.environ.get("TEST_SLOWER", "1"))
PIDFD_GET_INFO = 0xC040FF0B  # _IOWR(0xFF, 11, 64 bytes)
PR_SET_CHILD_SUBREAPER = 36


def equal(got, wanted, what):
    if got != wanted:
        raise AssertionError("%s: got %r, wanted %r" % (what, got, wanted))


def wait_for(what, is_so, seconds=10):
    end = time.monotonic() + seconds * SLOWER
    while True:
        value = is_so()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("not within %d s: %s" % (seconds, what))
        time.sleep(0.002)


def become_subreaper():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def stat(pid):
    """The letter of its state, and its parent; None where it is gone."""
    try:
        with open("/proc/%d/stat" % pid, encoding="ascii", errors="replace") as f:
            words = f.read().rpartition(")")[2].split()
        return words[0], int(words[1])
    except (FileNotFoundError, ProcessLookupError):
        return None


def state_of(pid):
    return (stat(pid) or ("",))[0]


def hold(pid):
    """Stops it, and comes back once it stands still."""
    os.kill(pid, signal.SIGSTOP)
    wait_for("process %d stands still" % pid, lambda: state_of(pid) == "T")


def end(pid, sig=signal.SIGKILL):
    """Signals it, and comes back once it has ended; whose child it is reaps it."""
    fd = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(fd, sig)
        if not select.select([fd], [], [], 10 * SLOWER)[0]:
            raise AssertionError("process %d does not end" % pid)
    finally:
        os.close(fd)


def reap(pid):
    """A process that is, or becomes, a child of ours."""
    wait_for("process %d is ours" % pid, lambda: stat(pid)[1] == os.getpid())
    os.waitpid(pid, 0)


def catches(pid, sig):
    """The multi-tool does; before it there is the runtime's own program in that process, which catches all."""
    with open("/proc/%d/status" % pid, encoding="ascii") as f:
        fields = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
    return fields["Name"] == "tool" and int(fields["SigCgt"], 16) >> (sig - 1) & 1


class Cleatd:
    def __init__(self, root, before=()):
        self.root, self.before = root, list(before)
        self.socket = os.path.join(root, "cleatd.sock")
        self.process = None
        self.start()

    @property
    def pid(self):
        return self.process.pid

    def answers(self):
        if self.process.poll() is not None:
            raise AssertionError("cleatd has ended with %d" % self.process.returncode)
        try:
            Client(self.socket).close()
            return True
        except (FileNotFoundError, ConnectionRefusedError):
            return False

    def start(self):
        self.process = subprocess.Popen(
            [*self.before, os.path.join(BUILD, "cleatd"), "--root", self.root],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=sys.stderr)
        wait_for("cleatd answers", self.answers)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def restart(self, before=None):
        self.kill()
        if before is not None:
            self.before = list(before)
        self.start()

    def stop(self):
        self.process.terminate()
        self.process.wait(10 * SLOWER)

    def hold(self):
        hold(self.pid)

    def go_on(self):
        os.kill(self.pid, signal.SIGCONT)

    def client(self, ns=None):
        return Client(self.socket, ns)

    def call(self, method, values=None, **kw):
        """One call on a connection of its own."""
        client = self.client()
        try:
            return client.call(method, values, **kw)
        finally:
            client.close()

    def subscribe(self, *filters):
        """A stream of envelopes that has begun: what is published from now on is in it."""
        client = self.client()
        begun = client.begin("Events/Subscribe", {"filters": list(filters)})
        client.call("Supervisor/Info")  # answered after the one before it was taken
        return Stream(client, begun)

    def create(self, ident, bundle, **fields):
        request = {"container_id": ident, "options": {"@type": "cleat.v1.CreateOptions", "bundle": bundle}}
        request.update(fields)
        return self.call("Tasks/Create", request)["pid"]

    def run(self, ident, bundle, **fields):
        pid = self.create(ident, bundle, **fields)
        self.call("Tasks/Start", {"container_id": ident})
        return pid

    def container(self, ident):
        for one in self.call("Supervisor/List")["containers"]:
            if one["id"] == ident:
                return one
        return None

    def records(self, ident):
        """The ledger of a container, as the file has it."""
        path = os.path.join(self.root, "c", "default", ident, "exits.jsonl")
        with open(path, encoding="utf-8") as f:
            return [json.loads(line) for line in f.read().replace("\0", "").splitlines()]


class Stream:
    def __init__(self, client, begun):
        self.client, self.begun = client, begun
        client.socket.settimeout(10 * SLOWER)

    def next(self):
        from call import show

        return show(self.client.answer(self.begun))

    def close(self):
        self.client.close()


def main(cases):
    """PROGRAM CASE ROOT BUNDLE ID: one function of the caller's, with a cleatd that has to live to the end."""
    case, root, bundle, ident = sys.argv[1:]
    cleatd = Cleatd(root)
    try:
        cases[case](cleatd, bundle, ident)
        equal(cleatd.process.poll(), None, "cleatd's exit")
    finally:
        cleatd.stop()


def refused(call, code, words):
    """The call must fail with that code, and its sentence have those words."""
    try:
        answer = call()
    except Refused as e:
        if e.code != code or words not in e.message:
            raise AssertionError("refused with %s, wanted %s: ...%s..." % (e, code, words)) from None
        return
    raise AssertionError("not refused with %s: ...%s...: %r" % (code, words, answer))
