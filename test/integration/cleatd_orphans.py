#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Containers that outlive their shim, and what cleatd still does for them; see bed.main().

The bundle's init ends with 7 at USR1.
"""
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../supervisor"))
import bed  # noqa: E402
from bed import equal, refused  # noqa: E402

KILLED = 128 + signal.SIGKILL
SLEEP = '{"args": ["/bin/tool", "pause"], "cwd": "/", "user": {"uid": 0, "gid": 0}}'


class Orphan:
    """A container with an exec whose shim was killed; its cleatd listens and waits."""

    def __init__(self, cleatd, bundle, ident, end_shim=lambda one: bed.end(one.listed()["shim_pid"])):
        self.cleatd, self.ident = cleatd, ident
        self.pids = {"": cleatd.run(ident, bundle)}
        bed.wait_for("the init waits", lambda: bed.catches(self.pids[""], signal.SIGUSR1))
        self.call("Tasks/Exec", exec_id="e", spec={"type_url": "process", "text": SLEEP})
        self.pids["e"] = self.call("Tasks/Start", exec_id="e")["pid"]
        self.events = cleatd.subscribe("topic==/tasks/exit")
        self.waits = {}
        for exec_id in self.pids:
            client = cleatd.client()
            client.socket.settimeout(10 * bed.SLOWER)
            self.waits[exec_id] = client, client.begin(
                "Tasks/Wait", {"container_id": ident, "exec_id": exec_id})
            client.call("Supervisor/Info")
        end_shim(self)
        bed.wait_for("it is orphaned", lambda: self.listed()["status"] == "orphaned")

    def call(self, method, **fields):
        return self.cleatd.call(method, dict(fields, container_id=self.ident))

    def listed(self):
        return self.cleatd.container(self.ident)

    def lives(self, exec_id=""):
        equal(self.call("Tasks/Get", exec_id=exec_id)["process"]["status"], "RUNNING", "Tasks.Get")
        equal(bed.state_of(self.pids[exec_id]) not in ("", "Z"), True, "it lives")

    def ended(self, exec_id, statuses):
        """By its Wait, its event, and its ledger: with one of those statuses."""
        client, begun = self.waits[exec_id]
        told = client.answer(begun).exit_status
        equal(told in statuses, True, "Tasks.Wait: %d" % told)
        event = self.events.next()["event"]
        equal((event["id"], event["pid"], event["exit_status"]),
              (exec_id or self.ident, self.pids[exec_id], told), "/tasks/exit")
        records = self.cleatd.call("Supervisor/ExitRecords", {"id": self.ident, "exec_id": exec_id})["records"]
        equal([(r["pid"], r["status"]) for r in records], [(self.pids[exec_id], told)], "ExitRecords")

    def gone(self):
        bed.wait_for("it is gone", lambda: self.listed() is None)
        refused(lambda: self.call("Tasks/Get"), "NOT_FOUND", "container %s: does not exist" % self.ident)
        equal(os.path.exists(os.path.join(self.cleatd.root, "c/default", self.ident)), False, "its folder")
        for pid in self.pids.values():
            equal(bed.state_of(pid) in ("", "Z"), True, "process %d has ended" % pid)


def kill_one(cleatd, bundle, ident):
    one = Orphan(cleatd, bundle, ident)
    listed = one.listed()
    equal((listed["pid"], listed["shim_pid"], listed["problem"]), (one.pids[""], 0, "its shim is dead"), "List")
    for method in ("Start", "Pause", "Resume", "ResizePty", "CloseIO", "ListPids", "Update"):
        refused(lambda m=method: one.call("Tasks/" + m), "FAILED_PRECONDITION",
                "container %s: is orphaned: its shim is gone" % ident)
    one.call("Tasks/Kill", exec_id="e", signal=int(signal.SIGKILL))
    one.ended("e", [KILLED])
    one.lives()
    refused(lambda: one.call("Tasks/Kill", exec_id="e", signal=9), "NOT_FOUND", "process already finished")
    refused(lambda: one.call("Tasks/Kill", exec_id="x", signal=9), "NOT_FOUND", "no exec x")
    refused(lambda: one.call("Tasks/Kill", signal=0), "INVALID_ARGUMENT", "signal 0")
    refused(lambda: one.call("Tasks/Kill", signal=65), "INVALID_ARGUMENT", "signal 65")
    one.call("Tasks/Kill", signal=int(signal.SIGUSR1))
    one.ended("", [7])
    refused(lambda: one.call("Tasks/Kill", signal=9), "NOT_FOUND", "process already finished")
    equal(one.call("Tasks/Delete")["exit_status"], 7, "Tasks.Delete")
    one.gone()


def kill_all(cleatd, bundle, ident):
    one = Orphan(cleatd, bundle, ident)
    one.call("Tasks/Kill", signal=int(signal.SIGKILL), all=True)
    one.ended("e", [KILLED])
    one.ended("", [KILLED])
    equal(one.cleatd.call("Supervisor/Delete", {"id": ident})["exit_status"], KILLED, "Delete")
    one.gone()


def end_by_itself(cleatd, bundle, ident):
    """Nobody signals through cleatd; the one that tells has been started anew, too."""
    one = Orphan(cleatd, bundle, ident)
    bed.end(one.pids[""], signal.SIGUSR1)
    one.ended("e", [KILLED])  # with its pid namespace
    one.ended("", [7])
    cleatd.restart()
    equal(one.call("Tasks/Wait")["exit_status"], 7, "Tasks.Wait")
    equal(one.listed()["exit_status"], 7, "List")
    equal(cleatd.call("Supervisor/Delete", {"id": ident, "force": True})["exit_status"], 7, "Delete")
    one.gone()


def end_unseen(cleatd, bundle, ident):
    """The shim has reaped neither of them, and both are found ended at once: before cleatd knows that the shim
    is dead, at the same time, or after that. In a pid namespace of its own the init could not have ended
    before its exec was reaped."""
    def end_shim(one):
        shim = one.listed()["shim_pid"]
        bed.hold(shim)
        bed.end(one.pids["e"])
        bed.end(one.pids[""], signal.SIGUSR1)
        if turn % 2:
            bed.hold(cleatd.pid)
        bed.end(shim)
        if turn % 2:
            os.kill(cleatd.pid, signal.SIGCONT)

    for turn in range(10):
        one = Orphan(cleatd, bundle, ident, end_shim)
        one.ended("e", [KILLED])
        one.ended("", [7])
        equal(one.call("Tasks/Delete")["exit_status"], 7, "Tasks.Delete")
        one.gone()


def delete(cleatd, bundle, ident):
    one = Orphan(cleatd, bundle, ident)
    words = "container %s is still running, though its shim is dead" % ident
    refused(lambda: one.call("Tasks/Delete"), "FAILED_PRECONDITION", words)
    refused(lambda: cleatd.call("Supervisor/Delete", {"id": ident}), "FAILED_PRECONDITION", words)
    one.lives()
    one.lives("e")
    deleted = cleatd.call("Supervisor/Delete", {"id": ident, "force": True})
    equal((deleted["pid"], deleted["exit_known"], deleted["exit_status"]),
          (one.pids[""], True, KILLED), "Delete by force")
    one.gone()
    refused(lambda: cleatd.call("Supervisor/Delete", {"id": ident, "force": True}), "NOT_FOUND", ident)


bed.main(globals())
