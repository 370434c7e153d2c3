"""Runs a program in a network namespace of its own and lists the names that it asks for and the addresses that it calls.

    python tests/helpers/network_watch.py REPORT.json COMMAND ...

Python's audit events miss what C++ code does; here every address of the namespace is this machine's own, a name server
answers each question with "no such name", and a packet socket sees the rest. Nothing leaves the machine. Linux; without root
it needs user namespaces. The exit status is the command's, 99 where there is no namespace to be had.
"""

import ctypes
import fcntl
import json
import os
import pathlib
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import Any

NO_NAMESPACE = 99
_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000  # of unshare(2)
_SET_FLAGS, _SET_ADDRESS, _SET_MASK = 0x8914, 0x8916, 0x891C  # of netdevice(7)
_UP = 0x1 | 0x40
_ALL = [(f"{2**k}.0.0.1", 8 - k) for k in range(8)]  # address and length: together all but 0.0.0.0/8
_DNS = 53


def main(report: str, command: Sequence[str]) -> int:
    """Runs the command under watch and writes {"names": {name: count}, "addresses": {address: count}}."""
    try:
        _enter_namespace()
        packets = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
        names_asked = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        names_asked.setsockopt(socket.IPPROTO_IP, 8, 1)  # IP_PKTINFO: the answer must come from the address that was asked
        names_asked.bind(("0.0.0.0", _DNS))
    except OSError as error:
        print(f"no network namespace: {error}", file=sys.stderr)
        return NO_NAMESPACE
    names: dict[str, int] = {}
    addresses: dict[str, int] = {}
    threading.Thread(target=_answer, args=(names_asked, names), daemon=True).start()
    threading.Thread(target=_note_addresses, args=(packets, addresses), daemon=True).start()
    returncode = subprocess.run(command).returncode
    pathlib.Path(report).write_text(json.dumps({"names": names, "addresses": addresses}))
    return returncode


def _enter_namespace() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    uid, gid = os.getuid(), os.getgid()
    if libc.unshare(_NEW_NETWORK | (0 if uid == 0 else _NEW_USER)):
        raise OSError(ctypes.get_errno(), "unshare")
    if uid:
        pathlib.Path("/proc/self/setgroups").write_text("deny")
        pathlib.Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
        pathlib.Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SET_FLAGS, struct.pack("16sH14x", b"lo", _UP))
        for number, (address, length) in enumerate(_ALL):
            name = f"lo:{number}".encode()
            mask = socket.inet_ntoa(struct.pack(">I", (0xFFFFFFFF << 32 - length) & 0xFFFFFFFF))
            for request, value in ((_SET_ADDRESS, address), (_SET_MASK, mask)):
                fcntl.ioctl(control, request, struct.pack("16sH2x4s8x", name, socket.AF_INET, socket.inet_aton(value)))


def _answer(server: socket.socket, names: dict[str, int]) -> None:
    while True:
        question, about, _, client = server.recvmsg(2000, 200)
        labels, rest = [], question[12:]
        while rest and rest[0]:
            labels.append(rest[1 : 1 + rest[0]].decode("ascii", "replace"))
            rest = rest[1 + rest[0] :]
        name = ".".join(labels)
        names[name] = names.get(name, 0) + 1
        answer = question[:2] + b"\x81\x83" + question[4:6] + b"\0" * 6 + question[12:]
        server.sendmsg([answer], about, 0, client)


def _note_addresses(packets: socket.socket, addresses: dict[str, int]) -> None:
    """Counts first packets: TCP with SYN alone, and UDP but for questions to name servers and their answers."""
    while True:
        packet: Any = packets.recv(2000)
        header = 4 * (packet[0] & 15)
        source, target = socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20])
        source_port, port = struct.unpack(">HH", packet[header : header + 4])
        opens = packet[9] == socket.IPPROTO_TCP and packet[header + 13] & 0x12 == 2
        datagram = packet[9] == socket.IPPROTO_UDP and _DNS not in (port, source_port)
        if (opens or datagram) and not target.startswith("127.") and not source.startswith("127."):
            key = f"{target}:{port}"
            addresses[key] = addresses.get(key, 0) + 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
