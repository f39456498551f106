# SPDX-License-Identifier: Apache-2.0
"""What the soaks of one cleatd stand on: a cleatd in a folder of its own below TMPDIR, containers of runc
over one bundle, calls to it some at a time over one connection, and a look at what is left in the end.

The containers are in the host's network, since the kernel takes down a thousand network namespaces long
after their containers. Not for more than one run at a time in one process.
"""
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
sys.path.insert(0, os.path.join(TOP, "test/supervisor"))
import call  # noqa: E402

BIN = os.environ.get("CLEAT_BIN", os.path.join(TOP, "build"))
TOOL = os.path.join(TOP, "build/test/tool")
SOFT = 1024
PATIENCE_S = 60


class Wrong(Exception):
    pass


def expect(fine, words):
    if not fine:
        raise Wrong(words)


def wait_for(what, words, seconds=PATIENCE_S):
    end = time.monotonic() + seconds
    while True:
        got = what()
        if got:
            return got
        expect(time.monotonic() < end, "not within %d s: %s" % (seconds, words))
        time.sleep(0.001)


class Ground:
    def __init__(self, name, n, at_once=4):
        self.name = name
        self.folder = tempfile.mkdtemp(prefix="cleat-%s-" % name)
        self.root = os.path.join(self.folder, "root")
        self.socket = os.path.join(self.root, "cleatd.sock")
        self.bundle = os.path.join(self.folder, "bundle")
        # the folder's name has letters that an id may not begin or end with
        self.tag = os.environ.get("CLEAT_TEST") or "%s-%d" % (name, os.getpid())
        self.ids = ["%s-%04d" % (self.tag, i) for i in range(n)]
        self.at_once = at_once
        self.runtimes = {}  # of those that have another than runc
        self.pids = {}
        self.cleatd = None
        self.client = None

    # --- cleatd ---

    def make_bundle(self):
        rootfs = os.path.join(self.bundle, "rootfs")
        for name in ("bin", "dev", "proc", "sys"):
            os.makedirs(os.path.join(rootfs, name))
        shutil.copy(TOOL, os.path.join(rootfs, "bin/tool"))
        rootless = [] if os.geteuid() == 0 else ["--rootless"]
        subprocess.run(["runc", "spec", "--bundle", self.bundle, *rootless], check=True)
        path = os.path.join(self.bundle, "config.json")
        with open(path) as f:
            spec = json.load(f)
        spec["process"].update(terminal=False, args=["/bin/tool", "pause"])
        spec["root"]["readonly"] = True
        spec["linux"]["namespaces"] = [n for n in spec["linux"]["namespaces"] if n["type"] != "network"]
        with open(path, "w") as f:
            json.dump(spec, f)

    def start_cleatd(self):
        """With SOFT as its soft limit of descriptors."""
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        with open(os.path.join(self.folder, "cleatd.log"), "a") as log:
            self.cleatd = subprocess.Popen(
                [os.path.join(BIN, "cleatd"), "--root", self.root], stdin=subprocess.DEVNULL, stderr=log,
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (SOFT, hard)))

    def stop_cleatd(self):
        self.cleatd.terminate()
        status = self.cleatd.wait(PATIENCE_S)
        expect(status == 0, "cleatd ends with %d" % status)

    def connect(self):
        def try_it():
            expect(self.cleatd.poll() is None, "cleatd has ended")
            try:
                return call.Client(self.socket, "default")
            except (FileNotFoundError, ConnectionRefusedError):
                return None

        self.client = wait_for(try_it, "cleatd serves")

    # --- calls, some at a time over one connection ---

    def each(self, ids, steps):
        """Runs steps, a list of functions of an id that begin a call, for each id, at_once at a time."""
        waiting, ids = {}, iter(ids)

        def go(one, at):
            begun = steps[at](one)
            waiting[begun[0]] = (one, at, begun)

        for _ in range(self.at_once):
            one = next(ids, None)
            if one:
                go(one, 0)
        while waiting:
            one, at, begun = waiting.pop(self.client.first(waiting))
            answer = call.show(self.client.answer(begun))
            if steps[at] == self.begin_start:
                self.pids[one] = answer["pid"]
            if at + 1 < len(steps):
                go(one, at + 1)
                continue
            one = next(ids, None)
            if one:
                go(one, 0)

    def begin_create(self, one):
        options = {"@type": "cleat.v1.CreateOptions", "bundle": self.bundle}
        if one in self.runtimes:
            options["runtime"] = {"command": self.runtimes[one]}
        return self.client.begin("Tasks/Create", {"container_id": one, "options": options})

    def begin_start(self, one):
        return self.client.begin("Tasks/Start", {"container_id": one})

    def begin_delete(self, one):
        return self.client.begin("Supervisor/Delete", {"id": one, "force": True})

    def containers(self):
        return self.client.call("Supervisor/List")["containers"]

    def remove_all(self):
        begun = time.monotonic()
        self.each(self.ids, [self.begin_delete])
        expect(self.containers() == [], "containers are listed that were deleted")
        self.say("%d removed in %.1f s" % (len(self.ids), time.monotonic() - begun))
        wait_for(lambda: not self.left(), "nothing is left: %s" % self.left()[:5])

    def left(self):
        """Files, processes and cgroups of containers, by their names."""
        found = []
        for sub in ("c/default", "s", "r/default"):
            path = os.path.join(self.root, sub)
            if os.path.isdir(path):
                found += [os.path.join(path, name) for name in os.listdir(path)]
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open("/proc/%s/cmdline" % pid, "rb") as f:
                    line = f.read()
            except OSError:
                continue
            if (self.tag + "-").encode() in line:
                found.append("process " + pid)
        for where, folders, _ in os.walk("/sys/fs/cgroup"):
            found += [os.path.join(where, f) for f in folders if f.startswith(self.tag + "-")]
        return found

    # --- the whole ---

    def say(self, words):
        print("%s: %s" % (self.name, words), flush=True)

    def clean_up(self):
        """After a failure: whatever there is of ours."""
        if self.cleatd and self.cleatd.poll() is None:
            self.cleatd.kill()
            self.cleatd.wait()
        if os.path.isdir(os.path.join(self.root, "c")):
            for one in self.ids:
                if os.path.exists(os.path.join(self.root, "c/default", one)):
                    subprocess.run([os.path.join(BIN, "cleat"), "--root", self.root, "delete", "--force", one])
        shutil.rmtree(self.folder)


def main(ground, run):
    """Runs run; what main() of a program returns."""
    try:
        run()
    except (Wrong, call.Refused, EOFError) as e:
        ground.say("%s" % e)
        with open(os.path.join(ground.folder, "cleatd.log")) as f:
            sys.stdout.writelines(f.readlines()[-20:])
        return 1
    finally:
        ground.clean_up()
    return 0
