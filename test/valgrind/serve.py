#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Starts `cleat-shim serve` under valgrind, as `cleat-shim start` starts it without.

    serve.py ROOT NS ID SHIM REPORT

Makes the folder with its lock and the socket, hands them over as descriptors 3, 4 and 5, waits for
the shim's word, prints "PID SOCKET" and goes. The report is written by valgrind at the shim's end.
`start` cannot be used: it executes /proc/self/exe, which under valgrind is valgrind.
"""
import fcntl
import os
import secrets
import socket
import subprocess
import sys


def main():
    root, ns, name, shim, report = sys.argv[1:]
    folder = os.path.join(root, "c", ns, name)
    for path in (root, root + "/c", root + "/c/" + ns, folder, root + "/s", root + "/r",
                 root + "/r/" + ns):
        os.makedirs(path, 0o700, exist_ok=True)
    lock = os.open(folder + "/lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    listener = socket.socket(socket.AF_UNIX)
    listener.setblocking(False)
    path = "%s/s/%s" % (root, secrets.token_hex(8))
    os.umask(0o177)
    listener.bind(path)
    os.umask(0o022)
    listener.listen(64)
    ready, ready_shim = os.pipe()
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 20) for fd in (listener.fileno(), lock, ready_shim)]
    os.close(ready_shim)

    def place():
        for to, fd in zip((3, 4, 5), high):
            os.dup2(fd, to)
        os.closerange(6, 64)

    argv = ["valgrind", "-q", "--leak-check=full", "--num-callers=30",
            "--show-leak-kinds=definite,indirect,possible",
            "--errors-for-leak-kinds=definite,indirect,possible", "--error-exitcode=99",
            "--log-file=" + report, shim, "-namespace", ns, "-id", name, "-root", root,
            "-socket", path, "serve"]
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, start_new_session=True, close_fds=False,
                               cwd="/", preexec_fn=place)
    for fd in high:
        os.close(fd)
    word = os.fdopen(ready, "rb").read()
    if word != b"ok":
        sys.exit("the shim says: %r" % word)
    print(process.pid, path)


if __name__ == "__main__":
    main()
