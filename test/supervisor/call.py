#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Calls of any ttrpc service of ours, for tests: messages as JSON, encoded by Google's own protobuf.

    call.py SOCKET METHOD [JSON]           METHOD is SERVICE/NAME, or short: Tasks/Get, Events/Subscribe,
                                           Supervisor/List, Task/State, Monitor/Info
    call.py SOCKET METHOD JSON --stream N  prints N messages of a stream, one a line, and ends

The namespace is $NS ("default" if not set). An Any is {"@type": "cleat.v1.CreateOptions", ...}, or
{"type_url": T, "text": JSON} for what carries a document. Prints the answer as JSON; exit 1 with
"CODE: sentence" on stderr where it is refused. As a module: Client(path).call(method, dict).
"""
import functools
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
PROTO = os.path.join(HERE, "../../proto")
SHORT = {
    "Tasks": "containerd.services.tasks.v1.Tasks",
    "Events": "containerd.services.events.v1.Events",
    "Supervisor": "cleat.v1.Supervisor",
    "Task": "containerd.task.v2.Task",
    "Monitor": "cleat.shim.v1.Monitor",
}
CODES = ("OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS "
         "PERMISSION_DENIED RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED "
         "INTERNAL UNAVAILABLE DATA_LOSS UNAUTHENTICATED").split()
REQUEST, RESPONSE, DATA = 1, 2, 3
REMOTE_CLOSED = 1


class Refused(Exception):
    def __init__(self, code, message):
        super().__init__("%s: %s" % (CODES[code], message))
        self.code, self.message = CODES[code], message


@functools.lru_cache(maxsize=None)
def pool():
    from google.protobuf import descriptor_pool
    from google.protobuf.descriptor_pb2 import FileDescriptorSet

    names = sorted(n for n in os.listdir(PROTO) if n.endswith(".proto") and not n.startswith("metrics"))
    with tempfile.NamedTemporaryFile() as out:
        # types2017.proto and shim2017.proto have names of their own, so all go together
        subprocess.run(["protoc", "--proto_path=" + PROTO, "--include_imports",
                        "--descriptor_set_out=" + out.name] + names, check=True)
        files = FileDescriptorSet.FromString(out.read())
    result = descriptor_pool.DescriptorPool()
    for file in files.file:
        result.Add(file)
    return result


def message_class(descriptor):
    from google.protobuf import message_factory

    if hasattr(message_factory, "GetMessageClass"):
        return message_factory.GetMessageClass(descriptor)
    return message_factory.MessageFactory(pool()).GetPrototype(descriptor)


def fill(message, values):
    """A dict into a message, with Anys by their type."""
    for name, value in values.items():
        field = message.DESCRIPTOR.fields_by_name.get(name)
        if field is None:
            raise SystemExit("%s has no field %s" % (message.DESCRIPTOR.full_name, name))
        if field.message_type is None:
            if field.label == field.LABEL_REPEATED:
                getattr(message, name).extend(value)
            else:
                setattr(message, name, value.encode() if field.type == field.TYPE_BYTES else value)
        elif field.message_type.full_name == "google.protobuf.Any":
            any_ = getattr(message, name)
            if "@type" in value:
                inner = message_class(pool().FindMessageTypeByName(value["@type"]))()
                fill(inner, {k: v for k, v in value.items() if k != "@type"})
                any_.type_url, any_.value = value["@type"], inner.SerializeToString()
            else:
                any_.type_url = value["type_url"]
                any_.value = value["text"].encode()
        elif field.message_type.GetOptions().map_entry:
            getattr(message, name).update(value)
        elif field.label == field.LABEL_REPEATED:
            for one in value:
                fill(getattr(message, name).add(), one)
        else:
            getattr(message, name).SetInParent()
            fill(getattr(message, name), value)
    return message


def show(message):
    """A message as a dict; bytes as text, Anys decoded where their type is known, times as seconds."""
    from google.protobuf.descriptor import FieldDescriptor as F

    def one(field, value):
        if field.type == F.TYPE_BYTES:
            return value.decode("utf-8", "replace")
        if field.type == F.TYPE_ENUM:
            return field.enum_type.values_by_number[value].name
        if field.message_type is None:
            return value
        if field.message_type.full_name == "google.protobuf.Timestamp":
            return value.seconds + value.nanos / 1e9
        if field.message_type.full_name == "google.protobuf.Any":
            try:
                inner = message_class(pool().FindMessageTypeByName(value.type_url.split("/")[-1]))()
            except KeyError:
                return {"@type": value.type_url, "bytes": len(value.value)}
            inner.ParseFromString(value.value)
            return dict(show(inner), **{"@type": value.type_url})
        return show(value)

    result = {}
    for field in message.DESCRIPTOR.fields:
        value = getattr(message, field.name)
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            result[field.name] = dict(value)
        elif field.label == field.LABEL_REPEATED:
            result[field.name] = [one(field, v) for v in value]
        elif field.message_type is None or message.HasField(field.name):
            result[field.name] = one(field, value)
    return result


class Client:
    def __init__(self, path, ns=None):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.ns = ns or os.environ.get("NS", "default")
        self.next_stream = 1
        self.kept = {}

    def close(self):
        self.socket.close()

    def read(self, n):
        data = b""
        while len(data) < n:
            more = self.socket.recv(n - len(data))
            if not more:
                raise EOFError("the connection has ended")
            data += more
        return data

    def keep(self):
        """Reads a frame, and keeps it for who asks for that stream."""
        length, got, kind, flags = struct.unpack(">IIBB", self.read(10))
        self.kept.setdefault(got, []).append((kind, flags, self.read(length)))

    def frame(self, stream):
        """The next frame of a stream; those of others are kept."""
        while not self.kept.get(stream):
            self.keep()
        frames = self.kept[stream]
        frame = frames.pop(0)
        if not frames:
            del self.kept[stream]
        return frame

    def first(self, streams):
        """Of these streams the one that has a frame first."""
        while True:
            for stream in streams:
                if self.kept.get(stream):
                    return stream
            self.keep()

    def request(self, method, values=None, timeout_ms=0):
        """A frame to be sent, its stream, and the class of its answer."""
        service, _, name = method.rpartition("/")
        full = SHORT.get(service, service)
        descriptor = pool().FindServiceByName(full).methods_by_name[name]
        request = message_class(pool().FindMessageTypeByName("ttrpc.Request"))()
        request.service, request.method = full, name
        request.payload = fill(message_class(descriptor.input_type)(), values or {}).SerializeToString()
        request.timeout_nano = timeout_ms * 1000000
        pair = request.metadata.add()
        pair.key, pair.value = "containerd-namespace-ttrpc", self.ns
        data = request.SerializeToString()
        stream, self.next_stream = self.next_stream, self.next_stream + 2
        frame = struct.pack(">IIBB", len(data), stream, REQUEST, REMOTE_CLOSED if descriptor.server_streaming
                            else 0) + data
        return frame, stream, message_class(descriptor.output_type)

    def begin(self, method, values=None, fds=(), timeout_ms=0):
        frame, stream, answer = self.request(method, values, timeout_ms)
        if fds:
            socket.send_fds(self.socket, [frame], list(fds))
        else:
            self.socket.sendall(frame)
        return stream, answer

    def answer(self, begun):
        stream, kind = begun
        response = message_class(pool().FindMessageTypeByName("ttrpc.Response"))()
        what, _, data = self.frame(stream)
        if what == DATA:
            return kind.FromString(data)
        response.ParseFromString(data)
        if response.status.code:
            raise Refused(response.status.code, response.status.message)
        return kind.FromString(response.payload)

    def call(self, method, values=None, **kw):
        return show(self.answer(self.begin(method, values, **kw)))


def main(argv):
    stream = None
    if "--stream" in argv:
        at = argv.index("--stream")
        stream = int(argv[at + 1])
        del argv[at:at + 2]
    client = Client(argv[1])
    begun = client.begin(argv[2], json.loads(argv[3]) if len(argv) > 3 else {})
    for _ in range(stream or 1):
        print(json.dumps(show(client.answer(begun))), flush=True)


if __name__ == "__main__":
    try:
        main(sys.argv)
    except Refused as e:
        print(e, file=sys.stderr)
        sys.exit(1)
