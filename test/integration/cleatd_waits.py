#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The race of a wait: the process exits between the moment when cleatd listens and the moment when it is told
the status. Forced by a shim of ours, which says things in the order that is wanted; see bed.main().

ROUNDS (1000) for each of both orders. Subtle: a Wait for an exec that cleatd does not know makes it ask Info,
and what is answered to that is the race.
"""
import fcntl
import json
import os
import socket
import struct
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../supervisor"))
import bed  # noqa: E402
from bed import equal  # noqa: E402
from call import CODES, fill, message_class, pool  # noqa: E402

ROUNDS = int(os.environ.get("ROUNDS", "1000"))
UNIMPLEMENTED = CODES.index("UNIMPLEMENTED")
RESPONSE, DATA = 2, 3


def make(name, values):
    return fill(message_class(pool().FindMessageTypeByName(name))(), values)


class ScriptedShim:
    """Serves Monitor's Info and Subscribe for a container whose own shim is dead, and has its lock."""

    def __init__(self, folder, ident):
        self.ident, self.seq, self.stream, self.on_info = ident, 0, None, None
        self.lock = open(folder + "/lock", "rb")
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        with open(folder + "/shim.json", encoding="ascii") as f:
            record = json.load(f)
        record["pid"] = os.getpid()
        with open(folder + "/scripted", "w", encoding="ascii") as f:
            json.dump(record, f)
        self.path = record["socket"]
        os.unlink(self.path)
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(self.path)
        self.server.listen()
        os.rename(folder + "/scripted", folder + "/shim.json")
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                self.connection = self.server.accept()[0]
            except OSError:
                return  # closed
            reader = self.connection.makefile("rb")
            while len(head := reader.read(10)) == 10:
                length, stream, kind, _ = struct.unpack(">IIBB", head)
                data = reader.read(length)
                if kind == 1:
                    self.answer(stream, message_class(pool().FindMessageTypeByName("ttrpc.Request"))
                                .FromString(data).method)

    def send(self, stream, kind, message):
        data = message.SerializeToString()
        self.connection.sendall(struct.pack(">IIBB", len(data), stream, kind, 0) + data)

    def answer(self, stream, method):
        if method == "Subscribe":
            self.stream = stream
        elif method == "Info":
            before, processes, after = self.on_info() if self.on_info else ((), (), ())
            for event in before:
                self.send(self.stream, DATA, event)
            info = make("cleat.shim.v1.InfoResponse", {
                "id": self.ident, "namespace": "default", "version": "0", "epoch": 1, "status": "running",
                "shim_pid": os.getpid(), "socket": self.path,
                "processes": [{"exec_id": "", "status": "running"}, *processes]})
            response = make("ttrpc.Response", {})
            response.payload = info.SerializeToString()
            self.send(stream, RESPONSE, response)
            for event in after:
                self.send(self.stream, DATA, event)
        else:
            self.send(stream, RESPONSE, make("ttrpc.Response", {"status": {"code": UNIMPLEMENTED}}))

    def event(self, topic, kind, **payload):
        self.seq += 1
        return make("cleat.shim.v1.Event", {
            "epoch": 1, "seq": self.seq, "time": {"seconds": 1600000000}, "namespace": "default", "topic": topic,
            "event": dict(payload, **{"@type": "containerd.events." + kind, "container_id": self.ident})})

    def exit(self, exec_id, status):
        return self.event("/tasks/exit", "TaskExit", id=exec_id, pid=9, exit_status=status,
                          exited_at={"seconds": 1600000000})

    def close(self):
        self.server.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.server.close()
        self.lock.close()


def race(cleatd, bundle, ident):
    cleatd.run(ident, bundle)
    shim = cleatd.container(ident)["shim_pid"]
    cleatd.hold()
    bed.end(shim)
    scripted = ScriptedShim(os.path.join(cleatd.root, "c/default", ident), ident)
    cleatd.go_on()
    bed.wait_for("cleatd follows the scripted shim", lambda: scripted.stream)
    client = cleatd.client()
    client.socket.settimeout(10 * bed.SLOWER)
    for i in range(ROUNDS):
        for told_first in (True, False):
            one_round(client, scripted, ident, i, told_first)
    cleatd.kill()  # the container is deleted with what is really there
    scripted.close()
    cleatd.start()
    bed.wait_for("it is orphaned", lambda: cleatd.container(ident)["status"] == "orphaned")
    cleatd.call("Supervisor/Delete", {"id": ident, "force": True})


def one_round(client, scripted, ident, i, told_first):
    """told_first: the exit is told before a status that says that it runs; else right after it."""
    exec_id, status = "e%d-%d" % (i, told_first), 1 + i % 200
    events = [scripted.event("/tasks/exec-added", "TaskExecAdded", exec_id=exec_id),
              scripted.event("/tasks/exec-started", "TaskExecStarted", exec_id=exec_id, pid=9),
              scripted.exit(exec_id, status)]
    running = [{"exec_id": exec_id, "pid": 9, "status": "running"}]
    scripts = [(events, running, ()) if told_first else ((), running, events[2:])]
    ended = [dict(running[0], status="stopped", exit_known=True, exit_status=status)]
    scripted.on_info = lambda: scripts.pop() if scripts else ((), ended, ())  # if it is asked once more
    answer = client.answer(client.begin("Tasks/Wait", {"container_id": ident, "exec_id": exec_id}))
    equal(answer.exit_status, status, "Wait in round %d, told first: %s" % (i, told_first))
    # and whoever comes after
    answer = client.answer(client.begin("Tasks/Wait", {"container_id": ident, "exec_id": exec_id}))
    equal(answer.exit_status, status, "a second Wait in round %d" % i)


def restart(cleatd, bundle, ident):
    """Killed under running containers, of which one exits meanwhile and one of another cleatd is made."""
    n = 5
    pids = {"%s-%d" % (ident, i): None for i in range(n)}
    for one in pids:
        pids[one] = cleatd.run(one, bundle)
        bed.wait_for("the init waits", lambda p=pids[one]: bed.catches(p, bed.signal.SIGUSR1))
    ended = ident + "-0"
    cleatd.call("Tasks/Pause", {"container_id": ident + "-1"})
    cleatd.kill()
    bed.end(pids[ended], bed.signal.SIGUSR1)
    cleatd.start()
    seen = {c["id"]: c for c in cleatd.call("Supervisor/List")["containers"]}
    equal(sorted(seen), sorted(pids), "the list")
    wanted = ["stopped", "paused", "running", "running", "running"]
    equal([seen[one]["status"] for one in pids], wanted, "the statuses")
    equal([seen[one]["pid"] for one in pids][1:], list(pids.values())[1:], "the pids")
    equal((seen[ended]["exit_known"], seen[ended]["exit_status"]), (True, 7), "List")
    equal(cleatd.call("Tasks/Wait", {"container_id": ended})["exit_status"], 7, "Wait")
    client = cleatd.client()
    stream = bed.Stream(client, client.begin("Supervisor/Subscribe", {"id": ended}))
    told = [stream.next()["event"] for _ in range(3)]
    equal([(e["seq"], e["topic"]) for e in told],
          [(1, "/tasks/create"), (2, "/tasks/start"), (3, "/tasks/exit")], "what happened meanwhile, too")
    equal(told[2]["event"]["exit_status"], 7, "its event")
    exits = cleatd.subscribe("topic==/tasks/exit")
    for one in list(pids)[1:]:
        equal(cleatd.call("Supervisor/Delete", {"id": one, "force": True})["exit_status"], 137, "Delete")
        equal(exits.next()["event"]["container_id"], one, "its exit")
    equal(cleatd.call("Tasks/Delete", {"container_id": ended})["exit_status"], 7, "Delete")


bed.main(globals())
