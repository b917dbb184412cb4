"""`python -m tests.support.upstream [--port N]`: a model server to point a portal at, by hand or from a bench.

With `--control`, as tests start it, it takes commands on stdin and reports on stdout, a JSON object a line, and ends
when stdin does.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from typing import Any

from tests.support.upstream.demos import names
from tests.support.upstream.script import from_wire
from tests.support.upstream.server import Stage, listen, port_of


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.support.upstream", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: a free one, which is printed")
    parser.add_argument("--control", action="store_true", help="take commands on stdin, report on stdout")
    parser.add_argument("--certificate", nargs=2, metavar=("CERTIFICATE", "KEY"), help="speak TLS with these files")
    arguments = parser.parse_args()
    certificate = tuple(arguments.certificate) if arguments.certificate else None
    serve = controlled if arguments.control else by_hand
    try:
        asyncio.run(serve(arguments.port, certificate))
    except KeyboardInterrupt:
        sys.exit(130)


async def by_hand(port: int, certificate: tuple[str, str] | None) -> None:
    """Serve until Ctrl-C, and print what comes in."""
    server = await listen(Stage(_print), port, certificate)
    scheme = "https" if certificate else "http"
    print(f"base_url: {scheme}://127.0.0.1:{port_of(server)}/v1\nmodels:")
    print("".join(f"  {name}\n" for name in names()) + "  fake-n250-i20 (250 deltas, 20 ms apart)", flush=True)
    await server.serve_forever()


async def controlled(port: int, certificate: tuple[str, str] | None) -> None:
    """Serve until stdin ends."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=64 * 1024 * 1024)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    # Written by the loop, not by print: a full pipe must not hold the upstream up.
    pipe, _ = await loop.connect_write_pipe(asyncio.Protocol, sys.stdout)

    def report(value: dict[str, Any]) -> None:
        pipe.write(json.dumps(value).encode() + b"\n")

    stage = Stage(report)
    server = await listen(stage, port, certificate)
    report({"event": "ready", "port": port_of(server)})
    while line := await reader.readline():
        _obey(stage, json.loads(line))
    pipe.abort()


def _obey(stage: Stage, command: dict[str, Any]) -> None:
    match command["do"]:
        case "play":
            stage.play(command["key"], [from_wire(script) for script in command["scripts"]])
        case "open":
            stage.gate(command["gate"]).set()
        case "turn_away":
            stage.turn_away = command["times"]
        case "reset":
            stage.reset()
        case "sync":
            pass  # reports come in order: the acknowledgement is all that is asked for
    stage.report({"event": "acknowledged", "number": command["number"]})


def _print(report: dict[str, Any]) -> None:
    if report["event"] in ("request", "closed"):
        shown = {name: report[name] for name in ("connection", "method", "path", "model", "how") if name in report}
        print(f"{report['at']:.3f} {report['event']} {shown}", flush=True)


if __name__ == "__main__":
    main()
