#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A hung shim, a dead one, and one of a foreign version beside one that is well; see bed.main().

Every call on the others, the lists and the events are to be answered in under 50 ms, as a median of tries, for
the machine may be slow without cleatd being so. The foreign version is there in two ways: as the file that a
newer shim would write, and as a server that knows none of our calls.
"""
import fcntl
import json
import os
import signal
import statistics
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../supervisor"))
import bed  # noqa: E402
from bed import equal, refused  # noqa: E402

LIMIT_MS = 50 * bed.SLOWER
ANSWER_MS = 50  # how long cleatd waits for a shim before it tells what it knows
TRIES = 15
PROCESS = {"type_url": "process", "text": '{"args": ["/bin/tool", "exit", "0"], "cwd": "/", '
                                          '"user": {"uid": 0, "gid": 0}}'}


class Strangers:
    """Stand-ins of shims, which have their locks; ended with us."""

    def __init__(self, cleatd):
        self.cleatd, self.running = cleatd, []

    def folder(self, ident):
        return os.path.join(self.cleatd.root, "c/default", ident)

    def take_over(self, ident, way):
        """The shim is killed while cleatd does not look, so that this one is all that it ever finds."""
        shim = self.cleatd.container(ident)["shim_pid"]
        self.cleatd.hold()
        bed.end(shim)
        process = subprocess.Popen([sys.executable, __file__, "stranger", self.folder(ident), way],
                                   stdout=subprocess.PIPE, text=True)
        equal(process.stdout.readline(), "ready\n", "the stand-in")
        self.running.append(process)
        self.cleatd.go_on()

    def end(self):
        for process in self.running:
            process.kill()
            process.wait()
            process.stdout.close()


def median_ms(what):
    times = []
    for _ in range(TRIES):
        begun = time.monotonic()
        what()
        times.append((time.monotonic() - begun) * 1000)
    return statistics.median(times)


def in_time(what, call):
    took = median_ms(call)
    if took >= LIMIT_MS:
        raise AssertionError("%s took %.1f ms" % (what, took))


def listed(client):
    return {c["id"]: c for c in client.call("Supervisor/List")["containers"]}


def calls_in_time(cleatd, client, ident):
    """What is not a runtime's own work; its Start, Pause and the like are as slow as the runtime is."""
    one = {"container_id": ident}
    stream = cleatd.subscribe("topic==/test/wrong")

    def event():
        client.call("Events/Publish", {"topic": "/test/wrong", "event": {"type_url": "t", "text": "{}"}})
        equal(stream.next()["topic"], "/test/wrong", "the event")

    def execs():
        client.call("Tasks/Exec", dict(one, exec_id="e", spec=PROCESS))
        client.call("Tasks/DeleteProcess", dict(one, exec_id="e"))

    calls = {
        "Supervisor.List": lambda: client.call("Supervisor/List"),
        "Supervisor.Info": lambda: client.call("Supervisor/Info"),
        "Supervisor.Get": lambda: client.call("Supervisor/Get", {"id": ident}),
        "Supervisor.ExitRecords": lambda: client.call("Supervisor/ExitRecords", {"id": ident}),
        "Tasks.List": lambda: client.call("Tasks/List"),
        "Tasks.Get": lambda: client.call("Tasks/Get", one),
        "Tasks.ListPids": lambda: client.call("Tasks/ListPids", one),
        "Tasks.Kill": lambda: client.call("Tasks/Kill", dict(one, signal=int(signal.SIGURG))),
        "Tasks.CloseIO": lambda: client.call("Tasks/CloseIO", dict(one, stdin=True)),
        "Tasks.Exec, DeleteProcess": execs,
        "an event": event,
    }
    for what, call in calls.items():
        in_time(what, call)
    stream.close()


def all_beside(cleatd, bundle, ident):
    """The three of them, and one that is well."""
    well, hung, dead, newer, mute = (ident + x for x in ("-well", "-hung", "-dead", "-newer", "-mute"))
    inits = {one: cleatd.run(one, bundle) for one in (well, hung, dead, newer, mute)}
    client = cleatd.client()
    strangers = Strangers(cleatd)
    before = listed(client)
    try:
        strangers.take_over(newer, "newer")
        strangers.take_over(mute, "mute")
        bed.end(before[dead]["shim_pid"])
        bed.hold(before[hung]["shim_pid"])
        bed.wait_for("they are known for what they are", lambda: [
            listed(client)[one]["status"] for one in (dead, newer, mute)] == ["orphaned", "unknown", "unknown"])
        bed.wait_for("the hung one is late", lambda: listed(client)[hung]["problem"])
        calls_in_time(cleatd, client, well)
        seen = listed(client)
        equal(sorted(seen), sorted(inits), "the list's ids")
        equal((seen[well]["status"], seen[well]["problem"]), ("running", ""), "the one that is well")
        equal((seen[hung]["status"], seen[hung]["pid"]), ("running", inits[hung]), "the hung one")
        equal("its shim has not answered in" in seen[hung]["problem"], True, seen[hung]["problem"])
        equal((seen[dead]["pid"], seen[dead]["problem"]), (inits[dead], "its shim is dead"), "the dead one")
        equal("shim.json has version 2" in seen[newer]["problem"], True, seen[newer]["problem"])
        equal("no such service" in seen[mute]["problem"], True, seen[mute]["problem"])
        for one in (hung, newer, mute):
            in_time("Supervisor.Get of " + one, lambda o=one: client.call("Supervisor/Get", {"id": o}))
            in_time("Tasks.Get of " + one, lambda o=one: client.call("Tasks/Get", {"container_id": o}))
        refused(lambda: client.call("Tasks/Kill", {"container_id": newer, "signal": 9}), "UNAVAILABLE",
                "container %s: " % newer)
    finally:
        strangers.end()
        os.kill(before[hung]["shim_pid"], signal.SIGCONT)
    recovers(client, hung)
    for one in (newer, mute):
        bed.wait_for("%s is orphaned" % one, lambda o=one: listed(client)[o]["status"] == "orphaned")
    os.unlink(before[newer]["socket"])  # its shim.json says where, to who understands it
    for one in inits:
        client.call("Supervisor/Delete", {"id": one, "force": True})
    equal(listed(client), {}, "the list in the end")


def recovers(client, ident):
    bed.wait_for("it has recovered", lambda: listed(client)[ident]["problem"] == "")
    client.call("Tasks/Pause", {"container_id": ident})
    equal(listed(client)[ident]["status"], "paused", "after a Pause")


def recovers_quietly(client, ident):
    """A List asks its shim, which answers by now."""
    bed.wait_for("it has recovered", lambda: listed(client)[ident]["problem"] == "")


def hung(cleatd, bundle, ident):
    """What is asked of a hung one is answered once it goes on, by its own shim, and nothing twice."""
    init = cleatd.run(ident, bundle)
    shim = cleatd.container(ident)["shim_pid"]
    events = cleatd.subscribe("topic~=/tasks/")
    client = cleatd.client()
    client.socket.settimeout(10 * bed.SLOWER)
    bed.hold(shim)
    for method in ("Tasks/Get", "Supervisor/Get"):  # it is not known yet that it hangs
        begun = time.monotonic()
        client.call(method, {"id" if method[0] == "S" else "container_id": ident})
        took = (time.monotonic() - begun) * 1000
        equal(took < 10 * ANSWER_MS * bed.SLOWER, True, "%s took %.1f ms" % (method, took))
        os.kill(shim, signal.SIGCONT)
        recovers_quietly(client, ident)
        bed.hold(shim)
    asked = [client.begin("Tasks/" + m, dict({"container_id": ident}, **more)) for m, more in (
        ("ListPids", {}), ("Wait", {}), ("Kill", {"signal": int(signal.SIGKILL)}))]
    equal(client.call("Tasks/Get", {"container_id": ident})["process"]["pid"], init, "Tasks.Get")
    refused(lambda: cleatd.call("Tasks/ListPids", {"container_id": ident}, timeout_ms=100),
            "DEADLINE_EXCEEDED", "")
    cleatd.restart()  # which finds it hanging, and does not wait for it
    equal(cleatd.container(ident)["status"], "running", "after a restart")
    os.kill(shim, signal.SIGCONT)
    client, events = cleatd.client(), cleatd.subscribe("topic==/tasks/exit")
    client.socket.settimeout(10 * bed.SLOWER)
    equal(client.call("Tasks/Wait", {"container_id": ident})["exit_status"], 137, "Tasks.Wait")
    client.call("Tasks/Delete", {"container_id": ident})
    del asked, events


def stranger():
    """FOLDER newer|mute: has its lock; what a newer shim.json would say, or a server without our calls."""
    folder, way = sys.argv[2:]
    with open(folder + "/lock", "rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with open(folder + "/shim.json", encoding="ascii") as f:
            record = json.load(f)
        if way == "newer":
            record["v"] = 2
        record["pid"] = os.getpid()
        with open(folder + "/stranger", "w", encoding="ascii") as f:
            json.dump(record, f)
        import socket

        os.unlink(record["socket"])
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(record["socket"])
            server.listen()
            os.rename(folder + "/stranger", folder + "/shim.json")
            print("ready", flush=True)
            while True:
                serve_nothing(server.accept()[0])


def serve_nothing(connection):
    import threading

    threading.Thread(target=answer_all, args=(connection,), daemon=True).start()


def answer_all(connection):
    """UNIMPLEMENTED to each request, as ttrpc has it: Response { Status { code 12, message } }."""
    with connection, connection.makefile("rb") as reader:
        while True:
            head = reader.read(10)
            if len(head) < 10:
                return
            length, stream, kind, _ = struct.unpack(">IIBB", head)
            reader.read(length)
            if kind != 1:
                continue
            words = b"no such service"
            status = b"\x08\x0c\x12" + bytes([len(words)]) + words
            data = b"\x0a" + bytes([len(status)]) + status
            connection.sendall(struct.pack(">IIBB", len(data), stream, 2, 0) + data)


if sys.argv[1] == "stranger":
    stranger()
else:
    bed.main(globals())
