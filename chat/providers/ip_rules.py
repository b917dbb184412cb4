"""Decide which IP addresses a request to a provider may go to. Does no look-ups.

The lists follow IANA's special-purpose registries, with the metadata addresses of clouds added.
"""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address, ip_network

_NEVER = [
    ip_network(network)
    for network in (
        "0.0.0.0/8",  # this machine, which many filters miss
        "100.100.100.200/32",  # metadata of Alibaba, within the range of 100.64.0.0/10
        "168.63.129.16/32",  # metadata of Azure, a public address
        "169.254.0.0/16",  # link-local, and the metadata of most clouds
        "192.0.0.0/24",  # protocol assignments; metadata of Oracle
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
        "2001::/23",  # protocol assignments, with Teredo and its embedded addresses
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which embeds any IPv4 address
        "3fff::/20",  # documentation
        "fd00:ec2::/32",  # services of Amazon's instances, with metadata
        "fd20:ce::/32",  # metadata of Google
    )
]
_PRIVATE = [
    ip_network(network)
    for network in (
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT, and overlays such as Tailscale
        "127.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "198.18.0.0/15",  # benchmarking; some local proxies resolve every name to these
        "::1/128",
        "fc00::/7",
    )
]
_PUBLIC_V6 = ip_network("2000::/3")
"""All other IPv6 addresses are special: mapped IPv4, NAT64, link-local, multicast, unassigned ranges."""


def may_be_reached(address: str, private_network: bool) -> bool:
    """Return whether a request may go to an IP address. False for other texts and with a zone (`fe80::1%eth0`).

    private_network  whether the provider is marked as being in a private network
    """
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    if "%" in address or any(ip in network for network in _NEVER):
        return False
    if any(ip in network for network in _PRIVATE):
        return private_network
    return not isinstance(ip, IPv6Address) or ip in _PUBLIC_V6


def is_ip(text: str) -> bool:
    """Return whether the text is an IPv4 or IPv6 address."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def is_private(host: str) -> bool:
    """Return whether only a provider in a private network may use the host: this machine, private and reserved ranges.

    host  an IP address or a name; names are not looked up, only `localhost` is recognised
    """
    if is_ip(host):
        return not may_be_reached(host, private_network=False)
    return host == "localhost" or host.endswith(".localhost")
