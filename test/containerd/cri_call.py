#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A call of Kubernetes' CRI (runtime.v1), as a kubelet makes them, and what is answered, on stdout.

    cri_call.py SOCKET run-pod NAME HANDLER LOG_FOLDER       the pod's id; its network is the host's
    cri_call.py SOCKET create POD NAME IMAGE LOG_FILE COMMAND...  the container's id
    cri_call.py SOCKET exec CONTAINER COMMAND...             stdout; exits with the status
    cri_call.py SOCKET status CONTAINER                      `created|running|exited|unknown STATUS`
    cri_call.py SOCKET stats CONTAINER                       bytes of memory
    cri_call.py SOCKET start|stop|remove CONTAINER
    cri_call.py SOCKET stop-pod|remove-pod POD

Numbers of fields: kubernetes/cri-api, pkg/apis/runtime/v1/api.proto.
"""
import os
import sys

import grpc

NODE = 2  # of NamespaceMode


def varint(n):
    out = b""
    while n > 0x7f:
        out += bytes([n & 0x7f | 0x80])
        n >>= 7
    return out + bytes([n])


def text(n, value):
    data = value.encode() if isinstance(value, str) else value
    return varint(n << 3 | 2) + varint(len(data)) + data


def number(n, value):
    return varint(n << 3) + varint(value)


def fields(data):
    """The last of each field: bytes or a number."""
    found, at = {}, 0

    def take():
        nonlocal at
        n = shift = 0
        while True:
            byte = data[at]
            at += 1
            n |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                return n

    while at < len(data):
        key = take()
        n = take()
        if key & 7 == 2:
            found[key >> 3] = data[at:at + n]
            at += n
        else:
            found[key >> 3] = n
    return found


def pod_config(name, folder):
    namespaces = number(1, NODE)
    return (text(1, text(1, name) + text(2, name + "-uid") + text(3, "default")) + text(3, folder)
            + text(8, text(2, text(1, namespaces))))


def main():
    socket, what, args = sys.argv[1], sys.argv[2], sys.argv[3:]
    channel = grpc.insecure_channel("unix://" + socket)

    def call(name, request):
        method = channel.unary_unary("/runtime.v1.RuntimeService/" + name)
        try:
            return fields(method(request, timeout=60))
        except grpc.RpcError as error:
            sys.exit("%s: %s" % (name, error.details()))

    if what == "run-pod":
        name, handler, folder = args
        print(call("RunPodSandbox", text(1, pod_config(name, folder)) + text(2, handler))[1].decode())
    elif what == "create":
        pod, name, image, log, *command = args
        folder, log = os.path.split(log)
        config = text(1, text(1, name)) + text(2, text(1, image)) + text(11, log)
        config += b"".join(text(3, word) for word in command)
        # the network is the pod's, which is the host's
        config += text(15, text(2, text(3, number(1, NODE))))
        request = text(1, pod) + text(2, config) + text(3, pod_config("p", folder))
        print(call("CreateContainer", request)[1].decode())
    elif what == "exec":
        answer = call("ExecSync", text(1, args[0]) + b"".join(text(2, w) for w in args[1:]) + number(3, 30))
        sys.stdout.buffer.write(answer.get(1, b""))
        sys.stderr.buffer.write(answer.get(2, b""))
        sys.exit(answer.get(3, 0))
    elif what == "status":
        status = fields(call("ContainerStatus", text(1, args[0]))[1])
        print(("created", "running", "exited", "unknown")[status.get(3, 0)], status.get(7, 0))
    elif what == "stats":
        memory = fields(fields(call("ContainerStats", text(1, args[0]))[1])[3])
        print(fields(memory[2])[1])
    elif what == "stop":
        call("StopContainer", text(1, args[0]) + number(2, 5))
    else:
        names = {"start": "StartContainer", "remove": "RemoveContainer", "stop-pod": "StopPodSandbox",
                 "remove-pod": "RemovePodSandbox"}
        call(names[what], text(1, args[0]))


main()
