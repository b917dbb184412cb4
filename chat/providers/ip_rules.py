"""Which IP addresses a request to a provider may go to. Pure: looks nothing up, knows no URL.

The lists follow IANA's special-purpose registries, and add where clouds tell a machine its own credentials.
"""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address, ip_network

_NEVER = [
    ip_network(network)
    for network in (
        "0.0.0.0/8",  # this machine, by a name that few filters know
        "100.100.100.200/32",  # metadata of Alibaba, within the range of carriers
        "168.63.129.16/32",  # Azure's, a public address
        "169.254.0.0/16",  # link-local, and most clouds' metadata
        "192.0.0.0/24",  # protocols' own; Oracle's metadata
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # relays to 6to4
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
        "2001::/23",  # protocols' own, with Teredo and its embedded addresses
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which embeds any IPv4 address
        "3fff::/20",  # documentation
        "fd00:ec2::/32",  # services of Amazon's machines, metadata among them
        "fd20:ce::/32",  # Google's
    )
]
_PRIVATE = [
    ip_network(network)
    for network in (
        "10.0.0.0/8",
        "100.64.0.0/10",  # of carriers, and of overlays such as Tailscale
        "127.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "198.18.0.0/15",  # tests of devices; proxies on the machine itself hand them out for every name
        "::1/128",
        "fc00::/7",
    )
]
_PUBLIC_V6 = ip_network("2000::/3")
"""Everything else of IPv6 is special: mapped IPv4, NAT64, link-local, multicast, ranges nobody was given."""


def may_be_reached(address: str, private_network: bool) -> bool:
    """Whether a request may go to an IP address; False for what is none, and for one with a zone (`fe80::1%eth0`).

    private_network  the provider was marked as lying in a private network
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
    """Whether the text is an IPv4 or IPv6 address."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def is_private(host: str) -> bool:
    """Whether only a provider in a private network may use this host: this machine, private and reserved ranges.

    host  an IP address or a name; names are not looked up, but `localhost` is known
    """
    if is_ip(host):
        return not may_be_reached(host, private_network=False)
    return host == "localhost" or host.endswith(".localhost")
