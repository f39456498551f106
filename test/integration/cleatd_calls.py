#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Each call that cleatd serves, with what it answers and each refusal that is promised; see bed.main().

The bundle's init waits for TERM. The calls are looked up in the proto files: one that is added there has no
refusal without a namespace, and fails here, until it says that it has none.
"""
import json
import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../supervisor"))
import bed  # noqa: E402
from bed import equal, refused  # noqa: E402
from call import Client, pool  # noqa: E402

ROOT_USER = {"cwd": "/", "user": {"uid": 0, "gid": 0}}
WITHOUT_NAMESPACE = {"Supervisor/Info", "Supervisor/Adopt", "Events/Forward", "Events/Subscribe"}
WITHOUT_ID = {"Tasks/List", "Tasks/Metrics", "Supervisor/List", "Events/Publish", "Supervisor/Subscribe"}
CREATES = {"Tasks/Create", "Supervisor/Create"}


def spec(*args):
    return {"type_url": "application/vnd.oci.runtime.process",
            "text": json.dumps(dict(ROOT_USER, args=["/bin/tool", *args]))}


def options(bundle, **more):
    return dict({"@type": "cleat.v1.CreateOptions", "bundle": bundle}, **more)


class Task:
    """Tasks calls on one container."""

    def __init__(self, cleatd, ident):
        self.client, self.ident = cleatd.client(), ident
        self.client.socket.settimeout(20 * bed.SLOWER)

    def __call__(self, method, **fields):
        return self.client.call("Tasks/" + method, dict(fields, container_id=self.ident))

    def refuses(self, code, words, method, **fields):
        """words: "" where they are the shim's, which has tests for them."""
        refused(lambda: self(method, **fields), code, words)

    def status(self, exec_id=""):
        return self("Get", exec_id=exec_id)["process"]["status"]


def methods():
    services = {"Tasks": "containerd.services.tasks.v1.Tasks", "Supervisor": "cleat.v1.Supervisor",
                "Events": "containerd.services.events.v1.Events"}
    for short, full in services.items():
        for method in pool().FindServiceByName(full).methods:
            yield "%s/%s" % (short, method.name), method.input_type.fields_by_name


def names(cleatd, bundle, ident):
    """Namespaces and ids: of every call, whatever else it is asked."""
    nameless, bad, good = cleatd.client(), cleatd.client(ns="a..b"), cleatd.client()
    nameless.ns = ""
    n = 0
    for method, fields in methods():
        n += 1
        if method in WITHOUT_NAMESPACE:
            continue
        key = "container_id" if "container_id" in fields else "id"
        request = {}
        if method not in WITHOUT_ID:
            request[key] = ident
        if method in CREATES:
            request["options"] = options(bundle)
            if method.startswith("Supervisor"):
                del request["options"]["@type"]
        if method == "Events/Publish":
            request["topic"] = "/a"
        if method == "Tasks/DeleteProcess":
            request["exec_id"] = "e"
        refused(lambda: nameless.call(method, request), "FAILED_PRECONDITION", "namespace is required")
        refused(lambda: bad.call(method, request), "INVALID_ARGUMENT", "namespace")
        if method in WITHOUT_ID:
            continue
        for wrong in ("", "a/../b", "-a", "x" * 77):
            refused(lambda: good.call(method, dict(request, **{key: wrong})), "INVALID_ARGUMENT", "container id")
        if method not in CREATES:
            refused(lambda: good.call(method, request), "NOT_FOUND", "container %s: does not exist" % ident)
    equal(n, 17 + 8 + 3, "calls served")
    refused(lambda: good.call("Supervisor/Subscribe", {"id": "x"}), "NOT_FOUND", "container x: does not exist")
    equal(cleatd.call("Supervisor/Info")["n_containers"], 0, "what that has left")


def create(cleatd, bundle, ident):
    task = Task(cleatd, ident)
    bad = "INVALID_ARGUMENT"
    good = options(bundle)
    task.refuses(bad, "checkpoint: there is no content store", "Create", options=good,
                 checkpoint={"digest": "sha256:0"})
    task.refuses(bad, "options: a cleat.v1.CreateOptions is needed, which names the bundle", "Create")
    task.refuses(bad, "not a containerd.runc.v1.Options", "Create",
                 options={"type_url": "containerd.runc.v1.Options", "text": ""})
    task.refuses(bad, "options: no valid cleat.v1.CreateOptions", "Create",
                 options={"type_url": "cleat.v1.CreateOptions", "text": "\x0a\x7f"})
    task.refuses(bad, "container %s: options: no bundle is named" % ident, "Create", options=options(""))
    task.refuses(bad, "bundle a/b: not an absolute path", "Create", options=options("a/b"))
    task.refuses(bad, "image_path i: not an absolute path", "Create", options=options(bundle, image_path="i"))
    task.refuses("NOT_FOUND", "bundle %s/none: " % bundle, "Create", options=options(bundle + "/none"))
    bed.wait_for("what failed is gone", lambda: cleatd.container(ident) is None)
    # a host may stand before the type's name, as with containerd's own
    made = task("Create", options=dict(good, **{"@type": "cleat.v1.CreateOptions"}))
    equal(made["container_id"], ident, "Create")
    equal(task("Get")["process"]["pid"], made["pid"], "its pid")
    task.refuses("ALREADY_EXISTS", "", "Create", options=good)
    equal(task.status(), "CREATED", "Get")
    task.refuses("FAILED_PRECONDITION", "", "Pause")
    task("Kill", signal=int(signal.SIGKILL))
    equal(task("Wait")["exit_status"], 137, "Wait")
    task("Delete")
    task.refuses("NOT_FOUND", "container %s: does not exist" % ident, "Get")
    runtime = options(bundle, runtime={"command": "/nowhere/runc"})
    refused(lambda: task("Create", options=runtime), "NOT_FOUND", "/nowhere/runc")


def life(cleatd, bundle, ident):
    """The seventeen, on one container."""
    task = Task(cleatd, ident)
    pid = cleatd.create(ident, bundle)
    equal(task("Start")["pid"], pid, "Start")
    task.refuses("FAILED_PRECONDITION", "cannot start a running process", "Start")
    process = task("Get")["process"]
    equal((process["container_id"], process["pid"], process["status"]), (ident, pid, "RUNNING"), "Get")
    listed = cleatd.call("Tasks/List")["tasks"]
    equal([(t["container_id"], t["pid"], t["status"]) for t in listed], [(ident, pid, "RUNNING")], "List")
    equal(cleatd.client(ns="other").call("Tasks/List")["tasks"], [], "List of another namespace")
    execs(task)
    pids = [p["pid"] for p in task("ListPids")["processes"]]
    equal(pids, [pid], "ListPids")
    task("Pause")
    equal(task.status(), "PAUSED", "after Pause")
    task.refuses("FAILED_PRECONDITION", "", "Pause")
    task.refuses("FAILED_PRECONDITION", "", "Delete")
    task("Resume")
    equal(task.status(), "RUNNING", "after Resume")
    task.refuses("FAILED_PRECONDITION", "", "Resume")
    resources = "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources"
    task("Update", resources={"type_url": resources, "text": '{"pids": {"limit": 50}}'}, annotations={"a": "b"})
    task.refuses("INVALID_ARGUMENT", "", "Update", resources={"type_url": resources, "text": "{"})
    metrics(task, cleatd)
    task.refuses("FAILED_PRECONDITION", "", "ResizePty", width=80, height=24)
    task("CloseIO", stdin=True)
    task.refuses("INVALID_ARGUMENT", "parent_checkpoint", "Checkpoint", parent_checkpoint="sha256:0")
    task.refuses("INVALID_ARGUMENT", "", "Checkpoint", options={"type_url": "what.Ever", "text": ""})
    task.refuses("INVALID_ARGUMENT", "", "Kill", signal=65)
    task.refuses("FAILED_PRECONDITION", "cannot delete a running process", "Delete")
    waiting = task.client.begin("Tasks/Wait", {"container_id": ident})
    task("Kill", signal=int(signal.SIGTERM))
    equal(task.client.answer(waiting).exit_status, 0, "Wait before")
    equal(task("Wait")["exit_status"], 0, "Wait after")
    equal(task.status(), "STOPPED", "after Kill")
    task.refuses("NOT_FOUND", "already finished", "Kill", signal=9)
    task.refuses("FAILED_PRECONDITION", "", "Exec", exec_id="late", spec=spec("pause"))
    deleted = task("Delete")
    equal((deleted["pid"], deleted["exit_status"]), (pid, 0), "Delete")
    task.refuses("NOT_FOUND", "", "Delete")


def execs(task):
    ident = task.ident
    task("Exec", exec_id="e", spec=spec("exit", "9"))
    task.refuses("ALREADY_EXISTS", "", "Exec", exec_id="e", spec=spec("pause"))
    task.refuses("INVALID_ARGUMENT", "args", "Exec", exec_id="f", spec={"type_url": "p", "text": '{"args": 1}'})
    task.refuses("INVALID_ARGUMENT", "", "Exec", exec_id="a/b", spec=spec("pause"))
    equal(task.status("e"), "CREATED", "a new exec")
    pid = task("Start", exec_id="e")["pid"]
    equal(task("Wait", exec_id="e")["exit_status"], 9, "Wait for an exec")
    process = task("Get", exec_id="e")["process"]
    equal((process["id"], process["pid"], process["status"], process["exit_status"]),
          ("e", pid, "STOPPED", 9), "Get of an exec")
    equal(task.client.call("Supervisor/ExitRecords", {"id": ident, "exec_id": "e"})["records"][0]["status"], 9,
          "ExitRecords")
    task.refuses("INVALID_ARGUMENT", "exec_id is required", "DeleteProcess")
    deleted = task("DeleteProcess", exec_id="e")
    equal((deleted["id"], deleted["pid"], deleted["exit_status"]), ("e", pid, 9), "DeleteProcess")
    for method in ("Get", "Start", "Wait", "DeleteProcess", "Kill", "CloseIO", "ResizePty"):
        more = {"signal": 9} if method == "Kill" else {}
        task.refuses("NOT_FOUND", "", method, exec_id="e", **more)
    task("Exec", exec_id="long", spec=spec("pause"))
    task("Start", exec_id="long")
    task.refuses("FAILED_PRECONDITION", "", "DeleteProcess", exec_id="long")
    task("Kill", exec_id="long", signal=int(signal.SIGKILL))
    equal(task("Wait", exec_id="long")["exit_status"], 137, "Wait for a killed exec")
    task("DeleteProcess", exec_id="long")


def metrics(task, cleatd):
    ident = task.ident
    found = cleatd.call("Tasks/Metrics")["metrics"]
    equal([m["id"] for m in found], [ident], "Metrics")
    equal(".Metrics" in found[0]["data"]["@type"], True, found[0]["data"]["@type"])
    equal(len(cleatd.call("Tasks/Metrics", {"filters": ["id==" + ident]})["metrics"]), 1, "Metrics by id")
    equal(cleatd.call("Tasks/Metrics", {"filters": ["id==other"]})["metrics"], [], "Metrics of none")
    refused(lambda: cleatd.call("Tasks/Metrics", {"filters": ["id=="]}), "INVALID_ARGUMENT", "id==")


def terminal(cleatd, bundle, ident):
    task = Task(cleatd, ident)
    cleatd.run(ident, bundle, terminal=True)
    equal(task("Get")["process"]["terminal"], True, "Get")
    task("ResizePty", width=81, height=25)
    task("Kill", signal=int(signal.SIGKILL), all=True)
    task("Wait")
    task("Delete")


def events(cleatd, bundle, ident):
    """What is published, by whom it is seen, and what a filter says."""
    every = cleatd.subscribe()
    exits = cleatd.subscribe("topic==/tasks/exit")
    either = cleatd.subscribe('namespace==other', 'topic~="^/tasks/(start|delete)$",event.container_id==' + ident)
    client, other = cleatd.client(), cleatd.client(ns="other")
    client.call("Events/Publish", {"topic": "/a/b", "event": {"type_url": "t", "text": "{}"}})
    other.call("Events/Publish", {"topic": "/c", "event": {"type_url": "t", "text": "{}"}})
    client.call("Events/Forward", {"envelope": {"timestamp": {"seconds": 1600000000}, "namespace": "third",
                                                "topic": "/d", "event": {"type_url": "t", "text": "{}"}}})
    cleatd.run(ident, bundle)
    task = Task(cleatd, ident)
    task("Kill", signal=9)
    task("Wait")
    task("Delete")
    topics = [every.next() for _ in range(7)]
    equal([(e["namespace"], e["topic"]) for e in topics],
          [("default", "/a/b"), ("other", "/c"), ("third", "/d")] +
          [("default", "/tasks/" + t) for t in ("create", "start", "exit", "delete")], "every event")
    equal(topics[2]["timestamp"], 1600000000.0, "a forwarded one's time")
    equal(exits.next()["event"]["exit_status"], 137, "the exit alone")
    equal([either.next()["topic"] for _ in range(3)], ["/c", "/tasks/start", "/tasks/delete"], "by two filters")
    bad = "INVALID_ARGUMENT"
    refused(lambda: client.call("Events/Publish", {"topic": "a"}), bad, 'must begin with "/"')
    refused(lambda: client.call("Events/Publish", {"topic": "/a//b"}), bad, "/a//b")
    refused(lambda: client.call("Events/Forward"), bad, "envelope is required")
    refused(lambda: client.call("Events/Forward", {"envelope": {"namespace": "a", "topic": "/d"}}), bad,
            "envelope.timestamp must be set")
    refused(lambda: client.call("Events/Subscribe", {"filters": ["topic=="]}), bad, "topic==")


def supervisor(cleatd, bundle, ident):
    client, other = cleatd.client(), cleatd.client(ns="other")
    info = client.call("Supervisor/Info")
    equal((info["pid"], info["root"], info["n_containers"]), (cleatd.pid, cleatd.root, 0), "Info")
    plain = {"bundle": bundle}
    refused(lambda: client.call("Supervisor/Create", {"id": ident}), "INVALID_ARGUMENT", "no bundle is named")
    made = client.call("Supervisor/Create", {"id": ident, "options": plain})
    there = other.call("Supervisor/Create", {"id": ident, "options": plain})
    equal(Client(made["socket"]).call("Task/State", {"id": ident})["pid"], made["pid"], "its shim's socket")
    refused(lambda: client.call("Supervisor/Create", {"id": ident, "options": plain}), "ALREADY_EXISTS", ident)
    equal([(c["namespace"], c["pid"], c["status"], c["bundle"]) for c in
           client.call("Supervisor/List", {"all_namespaces": True})["containers"]],
          [("default", made["pid"], "created", bundle), ("other", there["pid"], "created", bundle)], "List")
    equal(len(client.call("Supervisor/List")["containers"]), 1, "List of one namespace")
    client.call("Tasks/Start", {"container_id": ident})
    got = client.call("Supervisor/Get", {"id": ident})
    equal((got["container"]["status"], got["info"]["status"], got["info"]["pid"]),
          ("running", "running", made["pid"]), "Get")
    equal(client.call("Supervisor/ExitRecords", {"id": ident, "all": True})["records"], [], "ExitRecords")
    refused(lambda: client.call("Supervisor/Delete", {"id": ident}), "FAILED_PRECONDITION", "running")
    stream = bed.Stream(client, client.begin("Supervisor/Subscribe", {"id": ident}))
    seen = [stream.next()["event"] for _ in range(2)]
    equal([(e["seq"], e["topic"]) for e in seen], [(1, "/tasks/create"), (2, "/tasks/start")], "Subscribe")
    later = cleatd.client()
    later = bed.Stream(later, later.begin("Supervisor/Subscribe", {
        "id": ident, "epoch": seen[0]["epoch"], "since": 1}))
    equal(later.next()["event"]["seq"], 2, "Subscribe since 1")
    gone = cleatd.call("Supervisor/Delete", {"id": ident, "force": True})
    equal((gone["pid"], gone["exit_known"], gone["exit_status"]), (made["pid"], True, 137), "Delete by force")
    equal([stream.next()["event"]["topic"] for _ in range(2)], ["/tasks/exit", "/tasks/delete"], "its end")
    gone = other.call("Supervisor/Delete", {"id": ident, "force": True})
    equal(gone["pid"], there["pid"], "Delete in the other namespace")


def adopt(cleatd, bundle, ident):
    """A shim as containerd starts it: its files are in the bundle, and its socket is where it says."""
    client = cleatd.client(ns="theirs")
    refused(lambda: client.call("Supervisor/Adopt", {"socket": "a"}), "INVALID_ARGUMENT", "not an absolute path")
    refused(lambda: client.call("Supervisor/Adopt", {"socket": "/nowhere"}), "NOT_FOUND", "/nowhere: ")
    path = os.path.join(os.path.dirname(bundle), "theirs.sock")
    subprocess.run([os.path.join(bed.BUILD, "containerd-shim-cleat-v2"), "-namespace", "theirs", "-address", "",
                    "-id", ident, "-socket", path, "start"], cwd=bundle, check=True, stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL)
    shim = Client(path, "theirs")
    pid = shim.call("Task/Create", {"id": ident, "bundle": bundle, "options": {
        "@type": "cleat.shim.v1.RuntimeOptions", "root": os.path.join(cleatd.root, "r/default")}})["pid"]
    adopted = client.call("Supervisor/Adopt", {"socket": path})["container"]
    equal((adopted["id"], adopted["namespace"], adopted["pid"], adopted["status"]),
          (ident, "theirs", pid, "created"), "Adopt")
    refused(lambda: client.call("Supervisor/Adopt", {"socket": path}), "ALREADY_EXISTS", ident)
    exits = cleatd.subscribe("topic==/tasks/exit")
    client.call("Tasks/Start", {"container_id": ident})
    waiting = client.begin("Tasks/Wait", {"container_id": ident})
    client.call("Tasks/Kill", {"container_id": ident, "signal": int(signal.SIGTERM)})
    equal(client.answer(waiting).exit_status, 0, "Wait")
    equal(exits.next()["namespace"], "theirs", "its event")
    equal(client.call("Supervisor/ExitRecords", {"id": ident})["records"][0]["status"], 0, "ExitRecords")
    client.call("Tasks/Delete", {"container_id": ident})
    shim.call("Task/Shutdown", {"id": ident})  # its own client's to end
    bed.wait_for("it is gone", lambda: client.call("Supervisor/List")["containers"] == [])


bed.main(globals())
