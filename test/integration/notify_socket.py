#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Stands in for systemd's notify socket: prints each datagram on a line, with | for its newlines.

    notify_socket.py PATH    PATH, or @NAME, is the socket; it is there once "listening" is printed

Lives until it is killed.
"""
import socket
import sys


def main():
    name = sys.argv[1]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind("\0" + name[1:] if name.startswith("@") else name)
        print("listening", flush=True)
        while True:
            print(server.recv(65536).decode().replace("\n", "|"), flush=True)


main()
