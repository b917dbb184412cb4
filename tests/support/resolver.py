"""A resolver that says what a test wants, and IP addresses of every kind of network."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

from tests.support.asking import Outcome

NAME = "model.test"

# fmt: off
PUBLIC = [
    "8.8.8.8", "1.1.1.1", "172.15.255.255", "172.32.0.0", "100.128.0.1", "198.20.0.1", "192.0.1.1",
    "223.255.255.254", "2606:4700::1111", "2a00:1450:4001:80b::200e", "2001:4860:4860::8888", "2400:cb00::1",
]
PRIVATE = [
    "127.0.0.1", "127.255.255.254", "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.1.1",
    "100.64.0.1", "100.127.255.255", "198.18.0.7", "::1", "fc00::1", "fd12:3456:789a::1",
]
NEVER = [
    "0.0.0.0", "0.1.2.3", "169.254.169.254", "169.254.170.2", "169.254.0.1", "100.100.100.200", "192.0.0.192",
    "168.63.129.16", "192.0.2.1", "198.51.100.1", "203.0.113.1", "192.88.99.1", "224.0.0.1", "239.255.255.250",
    "240.0.0.1", "255.255.255.255", "::", "::127.0.0.1", "::8.8.8.8", "::ffff:127.0.0.1", "::ffff:7f00:1",
    "::ffff:169.254.169.254", "::ffff:8.8.8.8", "::ffff:0:127.0.0.1", "64:ff9b::7f00:1",
    "64:ff9b::169.254.169.254", "64:ff9b:1::7f00:1", "2002:7f00:1::1", "2002:a9fe:a9fe::1", "2001:0:7f00:1::1",
    "2001:db8::1", "fe80::1", "fec0::1", "ff02::1", "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254", "100::1",
    "3fff::1", "5f00::1",
]
# fmt: on


class Names:
    """What the machine's resolver says: of each name one answer after the other, the last again and again."""

    def __init__(self) -> None:
        self.answers: dict[str, list[list[str]]] = {}
        self.asked: list[str] = []
        self.seconds = 0.0
        self.hanging = ""
        self.goes_on = threading.Event()

    def getaddrinfo(self, host: Any, port: Any, *args: Any, **more: Any) -> list[Any]:
        self.asked.append(str(host))
        time.sleep(self.seconds)
        if host == self.hanging:
            self.goes_on.wait(60)
        if host not in self.answers:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        answers = self.answers[host]
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0))
            if ":" in address
            else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in addresses
        ]


def is_refused(outcome: Outcome) -> bool:
    """For good, and without a word about what is where."""
    assert outcome.error is not None
    assert not any(address in outcome.error.reason for address in (*NEVER[:12], *PRIVATE))
    return (outcome.code, outcome.max_tries, outcome.events) == ("upstream_unreachable", 1, [])
