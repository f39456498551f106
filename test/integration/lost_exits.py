#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Kills shims that have not reaped their init, which ended with 7, and asks cleatd how it ended.

    lost_exits.py WAY ROUNDS ROOT BUNDLE ID     BUNDLE's init ends with 7 at USR1

WAY: subreaper  this cleatd has started the shim, and the kernel's word is made to fail: 7
     pidfd      cleatd was killed and started anew in between, and somebody else reaps the init before
                cleatd looks (in every other round: at the same time): 7
     nobody     as pidfd, and the kernel's word fails: unknown
The shim is held as its init ends, so it cannot have seen that.
"""
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../supervisor"))
import bed  # noqa: E402
from bed import equal  # noqa: E402

WITHOUT_PIDFD = (bed.TOOL, "deny-ioctl", str(bed.PIDFD_GET_INFO))


class Round:
    def __init__(self, cleatd, ident, bundle):
        self.cleatd, self.ident = cleatd, ident
        self.init = cleatd.run(ident, bundle)
        bed.wait_for("the init waits for its signal", lambda: bed.catches(self.init, signal.SIGUSR1))
        self.shim = cleatd.container(ident)["shim_pid"]

    def begin_wait(self):
        """As the very cleatd that is to tell."""
        self.events = self.cleatd.subscribe("topic==/tasks/exit")
        self.waiter = self.cleatd.client()
        self.waiter.socket.settimeout(10 * bed.SLOWER)
        self.waiting = self.waiter.begin("Tasks/Wait", {"container_id": self.ident})
        self.waiter.call("Supervisor/Info")

    def lose(self):
        """Ends the init behind the back of its shim, and then the shim."""
        bed.hold(self.shim)
        bed.end(self.init, signal.SIGUSR1)
        equal(bed.state_of(self.init), "Z", "the init's state")
        bed.end(self.shim)

    def tell(self, known):
        """Everything that tells of the exit."""
        status = 7 if known else 255
        own = {"exit_known": known, "exit_status": 7 if known else 0}
        equal(self.waiter.answer(self.waiting).exit_status, status, "Tasks.Wait before")
        event = self.events.next()["event"]
        equal([event[k] for k in ("container_id", "id", "pid", "exit_status")],
              [self.ident, self.ident, self.init, status], "/tasks/exit")
        call = self.cleatd.call
        one = {"container_id": self.ident}
        equal(call("Tasks/Wait", one)["exit_status"], status, "Tasks.Wait after")
        process = call("Tasks/Get", one)["process"]
        equal((process["status"], process["exit_status"]), ("STOPPED", status), "Tasks.Get")
        task = call("Tasks/List")["tasks"][0]
        equal((task["status"], task["exit_status"]), ("STOPPED", status), "Tasks.List")
        listed = self.cleatd.container(self.ident)
        equal((listed["status"], listed["pid"], listed["shim_pid"]), ("orphaned", 0, 0), "Supervisor.List")
        equal({k: listed[k] for k in own}, own, "Supervisor.List")
        got = call("Supervisor/Get", {"id": self.ident})
        for what in (got["container"], got["info"]["processes"][0]):
            equal({k: what[k] for k in own}, own, "Supervisor.Get")
        self.tell_ledger(known)

    def tell_ledger(self, known):
        records = self.cleatd.call("Supervisor/ExitRecords", {"id": self.ident})["records"]
        equal([(r["exec_id"], r["pid"], r["exit_known"], r["status"]) for r in records],
              [("", self.init, known, 7 if known else 0)], "Supervisor.ExitRecords")
        equal([(r["exec_id"], r["pid"], r["status"]) for r in self.cleatd.records(self.ident)],
              [("", self.init, 7 if known else None)], "exits.jsonl")

    def remove(self, known, force):
        if force:
            gone = self.cleatd.call("Supervisor/Delete", {"id": self.ident, "force": True})
            equal((gone["exit_known"], gone["exit_status"]), (known, 7 if known else 0), "Delete by force")
        else:
            gone = self.cleatd.call("Tasks/Delete", {"container_id": self.ident})
            equal((gone["pid"], gone["exit_status"]), (self.init, 7 if known else 255), "Tasks.Delete")
        bed.wait_for("it is gone", lambda: self.cleatd.container(self.ident) is None)
        self.events.close()
        self.waiter.close()


def reap_all(one):
    for pid in (one.shim, one.init):
        bed.reap(pid)


def subreaper(cleatd, one, _):
    one.begin_wait()
    one.lose()
    one.tell(True)


def pidfd(cleatd, one, i):
    cleatd.restart()
    one.begin_wait()
    if i % 2:
        cleatd.hold()
    one.lose()
    reap_all(one)
    cleatd.go_on()
    one.tell(True)


def nobody(cleatd, one, _):
    cleatd.restart()
    one.begin_wait()
    cleatd.hold()
    one.lose()
    reap_all(one)
    cleatd.go_on()
    one.tell(False)


def main():
    way, rounds, root, bundle, ident = sys.argv[1], int(sys.argv[2]), *sys.argv[3:]
    bed.become_subreaper()
    cleatd = bed.Cleatd(root, () if way == "pidfd" else WITHOUT_PIDFD)
    for i in range(rounds):
        try:
            one = Round(cleatd, ident, bundle)
            {"subreaper": subreaper, "pidfd": pidfd, "nobody": nobody}[way](cleatd, one, i)
            one.remove(way != "nobody", i % 3 == 0)
        except Exception:
            print("round %d of %d" % (i, rounds), file=sys.stderr)
            raise
    cleatd.stop()
    print(rounds)


main()
