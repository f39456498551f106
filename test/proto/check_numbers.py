#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Holds proto/ against the originals: names, numbers, types, labels, enum values, methods.

Two kinds of originals: the .proto files of containerd 1.6 as Debian packages them, compiled here
after gogoproto's options were taken out, and tables written by hand for what 1.6 does not have.
Never trusts ours as a source: a missing package or an empty table fails, and so does a message
of ours that no original has (cleat.shim.v1 and cleat.v1 are our own and have none).

Prints TAP. One line for each message, enum and service of each original, one for each of ours.

A table's lines:
    source REPOSITORY COMMIT PATH       where it was read, at least one
    rename PACKAGE OURS                 a package that has another name here
    message|enum|service FULL.NAME      followed by its members, one a line, after a tab:
        NUMBER [repeated] TYPE NAME     of a message; map<K,V> is a type
        NUMBER NAME                     of an enum
        NAME [stream] IN [stream] OUT   of a service

usage: check_numbers.py [PROTO_DIR]
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
DEBIAN = [  # the package's own place, and where scripts/setup unpacks its .proto files alone
    "/usr/share/gocode/src/github.com/containerd/containerd",
    "/usr/local/share/cleat/originals",
]
IMPORT_AS = "github.com/containerd/containerd"
ORIGINALS = [
    "api/events/task.proto",
    "api/services/events/v1/events.proto",
    "api/services/tasks/v1/tasks.proto",
    "api/services/ttrpc/events/v1/events.proto",
    "api/types/descriptor.proto",
    "api/types/metrics.proto",
    "api/types/mount.proto",
    "api/types/task/task.proto",
    "pkg/runtimeoptions/v1/api.proto",
    "runtime/linux/runctypes/runc.proto",
    "runtime/v2/runc/options/oci.proto",
    "runtime/v2/task/shim.proto",
]
TABLES = [
    "bootstrap.txt",
    "google_protobuf.txt",
    "metrics_v1.txt",
    "metrics_v2.txt",
    "runc_options.txt",
    "shim2017.txt",
    "task_v3.txt",
    "ttrpc.txt",
]
OWN = ("cleat.shim.v1.", "cleat.v1.")  # startswith() takes both


class Broken(Exception):
    """The comparison cannot be made: something needed is missing or cannot be read."""


def compile_protos(include, files, out):
    """Descriptor set of FILES (relative to the INCLUDE folder) and of all that they import."""
    from google.protobuf.descriptor_pb2 import FileDescriptorSet

    run = subprocess.run(
        ["protoc", "--proto_path=" + include, "--include_imports", "--descriptor_set_out=" + out]
        + files,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if run.returncode != 0:
        raise Broken("protoc: " + run.stdout.strip())
    result = FileDescriptorSet()
    with open(out, "rb") as f:
        result.ParseFromString(f.read())
    return result


def field_line(field, entries):
    """A message's field as a table has it, and whatever a table cannot say after it."""
    from google.protobuf.descriptor_pb2 import FieldDescriptorProto as F

    name = field.type_name.lstrip(".") or F.Type.Name(field.type)[len("TYPE_"):].lower()
    label = F.Label.Name(field.label)[len("LABEL_"):].lower() + " "
    if name in entries:
        key, value = [field_line(f, entries).split()[1] for f in entries[name].field]
        name, label = "map<%s,%s>" % (key, value), ""
    odd = ""
    if field.options.HasField("packed"):
        odd += " packed=%s" % field.options.packed
    if field.HasField("oneof_index"):
        odd += " oneof"
    label = "" if label == "optional " else label
    return "%d %s%s %s%s" % (field.number, label, name, field.name, odd)


def enum_lines(enum):
    return {"%d %s" % (v.number, v.name) for v in enum.value}


def method_line(method):
    def one(stream, name):
        return ("stream " if stream else "") + name.lstrip(".")

    return "%s %s %s" % (
        method.name,
        one(method.client_streaming, method.input_type),
        one(method.server_streaming, method.output_type),
    )


def add_message(things, prefix, message):
    name = prefix + message.name
    entries = {name + "." + m.name: m for m in message.nested_type if m.options.map_entry}
    things["message " + name] = {field_line(f, entries) for f in message.field}
    for enum in message.enum_type:
        things["enum %s.%s" % (name, enum.name)] = enum_lines(enum)
    for nested in message.nested_type:
        if not nested.options.map_entry:
            add_message(things, name + ".", nested)


def things_of(descriptors):
    """{"message a.b.C": {member lines}} of a descriptor set; all of it must be proto3."""
    things = {}
    for file in descriptors.file:
        if file.syntax != "proto3":
            raise Broken("%s is not proto3: its labels mean something else" % file.name)
        prefix = file.package + "."
        for message in file.message_type:
            add_message(things, prefix, message)
        for enum in file.enum_type:
            things["enum " + prefix + enum.name] = enum_lines(enum)
        for service in file.service:
            things["service " + prefix + service.name] = {method_line(m) for m in service.method}
    return things


def plain_text(text):
    """An original without gogoproto: its options are about generated Go, not about the wire."""
    text = re.sub(r'^import (weak )?"([^"]*gogoproto/gogo|[^"]*fieldpath)\.proto";$', "", text, flags=re.M)
    text = re.sub(r"^\s*option \([^)]*\) = [^;]*;$", "", text, flags=re.M)
    text = re.sub(r"\s*\[\(gogoproto\.[^\]]*\]", "", text)
    return text.replace("import weak ", "import ")


def read_originals(ours_dir, tmp):
    """What Debian's containerd has. Google's well-known files come from ours, held by a table."""
    include = os.path.join(tmp, "originals")
    shutil.copytree(os.path.join(ours_dir, "google"), os.path.join(include, "google"))
    for path in ORIGINALS:
        places = [os.path.join(folder, path) for folder in DEBIAN]
        source = next(filter(os.path.exists, places), None)
        if not source:
            raise Broken("%s is missing: run scripts/setup" % places[0])
        target = os.path.join(include, IMPORT_AS, path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(source) as r, open(target, "w") as w:
            w.write(plain_text(r.read()))
    files = [os.path.join(IMPORT_AS, path) for path in ORIGINALS]
    found = things_of(compile_protos(include, files, os.path.join(tmp, "originals.pb")))
    return {name: lines for name, lines in found.items() if " google." not in name}


def renamed(text, renames):
    """TEXT with each full name moved from an original's package to ours."""
    for theirs, ours in renames:
        text = re.sub(r"(?<![\w.])%s(?=\.)" % re.escape(theirs), ours, text)
    return text


MEMBER = {
    "message": re.compile(r"\d+ (repeated )?([\w.]+|map<[\w.]+,[\w.]+>) \w+"),
    "enum": re.compile(r"-?\d+ \w+"),
    "service": re.compile(r"\w+ (stream )?[\w.]+ (stream )?[\w.]+"),
}


def read_table(path):
    """A table's things, in our names. Anything that it cannot read is an error."""
    things, renames, n_sources, current = {}, [], 0, None
    with open(path) as f:
        lines = f.read().splitlines()
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words or line.startswith("#"):
            continue
        if line.startswith("\t") and current and MEMBER[current.split()[0]].fullmatch(line[1:]):
            things[current].add(renamed(line[1:], renames))
        elif words[0] == "source" and re.fullmatch(r"source [\w-]+/[\w-]+ [0-9a-f]{40} \S+", line):
            n_sources += 1
        elif words[0] == "rename" and len(words) == 3:
            renames.append((words[1], words[2]))
        elif words[0] in MEMBER and len(words) == 2:
            current = renamed(line, renames)
            if current in things:
                raise Broken("%s:%d: %s stands there twice" % (path, number, words[1]))
            things[current] = set()
        else:
            raise Broken("%s:%d: cannot read: %s" % (path, number, line))
    if n_sources == 0 or not things:
        raise Broken("%s: names no source, or holds nothing" % path)
    return things


def compare(ours, sources):
    """[(what, [difference])]: each source's things against ours, then ours against all sources."""
    results = []
    for source, things in sources:
        for name, lines in sorted(things.items()):
            if name in ours:
                wrong = ["not in ours: " + line for line in sorted(lines - ours[name])]
            else:
                wrong = ["ours has no such thing"]
            results.append(("%s as in %s" % (name, source), wrong))
    for name, lines in sorted(ours.items()):
        if name.split()[1].startswith(OWN):
            continue
        known = [things[name] for _, things in sources if name in things]
        wrong = [] if known else ["no original has it"]
        wrong += ["in no original: " + line for line in sorted(lines - set().union(*known))]
        results.append(("%s has nothing of its own" % name, wrong))
    return results


def check(ours_dir):
    try:
        import google.protobuf.descriptor_pb2  # noqa: F401
    except ImportError as e:
        raise Broken("%s: run scripts/setup, and use /usr/bin/python3" % e) from e
    if not shutil.which("protoc"):
        raise Broken("protoc is missing: run scripts/setup")
    with tempfile.TemporaryDirectory(prefix="cleat-proto-") as tmp:
        files = sorted(
            os.path.relpath(os.path.join(folder, name), ours_dir)
            for folder, _, names in os.walk(ours_dir)
            for name in names
            if name.endswith(".proto")
        )
        if not files:
            raise Broken("no .proto file in " + ours_dir)
        ours = things_of(compile_protos(ours_dir, files, os.path.join(tmp, "ours.pb")))
        sources = [("containerd 1.6", read_originals(ours_dir, tmp))]
    sources += [(name, read_table(os.path.join(HERE, name))) for name in TABLES]
    return compare(ours, sources)


def main(argv):
    ours_dir = argv[1] if len(argv) > 1 else os.path.join(HERE, "..", "..", "proto")
    try:
        results = check(os.path.abspath(ours_dir))
    except (Broken, OSError) as e:
        results = [("the originals can be compared", str(e).splitlines())]
    print("1..%d" % len(results))
    for number, (what, wrong) in enumerate(results, 1):
        print("%s %d - %s" % ("not ok" if wrong else "ok", number, what))
        for line in wrong:
            print("#   " + line)
    return 1 if any(wrong for _, wrong in results) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
