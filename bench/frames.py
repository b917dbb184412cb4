"""How smoothly a long answer streams into a long conversation, beside a bare page that only appends the same pieces.

Both pages get the same pieces at the same pace over a socket, in the same Chromium, one after the other, in every run;
the browser comes first on the processors.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, CDPSession, Page, sync_playwright
from websockets.sync.server import ServerConnection, serve

from bench.text import markdown, pieces
from tests.support.chromium import launch
from tests.support.portal import Portal
from tests.support.upstream import Upstream
from tests.support.upstream.script import At, answer

SIZE = {"width": 1280, "height": 800}
FRAMES, LONG_TASK_MS = 55, 50
AUTOGROUP = Path("/proc/self/autogroup")

RECORD = """() => {
  const record = { frames: [], tasks: [] };
  const frame = (now) => { record.frames.push(now); record.next = requestAnimationFrame(frame); };
  record.next = requestAnimationFrame(frame);
  const keep = (entries) => record.tasks.push(...entries.map((one) => one.duration));
  const observer = new PerformanceObserver((list) => keep(list.getEntries()));
  observer.observe({ type: "longtask" });
  record.stop = () => {
    cancelAnimationFrame(record.next);
    keep(observer.takeRecords());
    observer.disconnect();
  };
  globalThis.record = record;
}"""
"""Frames and long tasks from here on. Asking for frames is no work worth naming."""

STOP = "() => { record.stop(); return { frames: record.frames, tasks: record.tasks }; }"

RESTED = "() => new Promise((rested) => requestIdleCallback(() => setTimeout(rested, 500)))"

WAIT = """() => {
  const answers = () => [...document.querySelectorAll("[data-role=assistant]")];
  const before = answers().length;
  record.ended = new Promise((ended) => {
    const look = () => {
      if (answers().length === before || answers().at(-1).dataset.state !== "completed") return;
      observer.disconnect();
      setTimeout(ended, 500);
    };
    const observer = new MutationObserver(look);
    const messages = document.querySelector("[data-part=messages]");
    observer.observe(messages, { subtree: true, attributeFilter: ["data-state"] });
  });
}"""
"""For the end of an answer that isn't asked for yet: what looks for it meanwhile would be work of the page's, too."""

BARE = """<!doctype html><title>Bare</title><style>body { max-width: 42rem; margin: auto; font: 16px/1.6 sans-serif }
p { white-space: pre-wrap }</style><p></p>"""

LISTEN = """(address) => new Promise((ended) => {
  const text = document.querySelector("p");
  const socket = new WebSocket(address);
  let frame = null;
  socket.onmessage = ({ data }) => {
    text.textContent += JSON.parse(data).text;
    frame ??= requestAnimationFrame(() => { frame = null; scrollTo(0, document.documentElement.scrollHeight); });
  };
  socket.onclose = () => setTimeout(ended, 500);
})"""


@dataclass
class Measured:
    """What one page did while the text streamed in; the seconds are those that its main thread had a processor for.

    `long_tasks` are by the clock, and hold what a task waited for a processor; `own_ms` is the most that one used.
    """

    rate: float
    p95_ms: float
    worst_ms: float
    long_tasks: list[float]
    own_ms: float
    script: float
    style: float
    layout: float
    all: float

    @classmethod
    def of(cls, record: dict[str, Any], own_ms: float, before: dict[str, float], after: dict[str, float]) -> Measured:
        times = record["frames"]
        gaps = sorted(later - earlier for earlier, later in zip(times, times[1:], strict=False))
        names = ("ScriptDuration", "RecalcStyleDuration", "LayoutDuration", "TaskDuration")
        return cls(
            1000 / statistics.median(gaps),
            gaps[int(0.95 * (len(gaps) - 1))],
            gaps[-1],
            [task for task in record["tasks"] if task > LONG_TASK_MS],
            own_ms,
            *(after[name] - before[name] for name in names),
        )


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="./run.py bench frames", description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--words", type=int, default=4000, help="of the answer")
    parser.add_argument("--rate", type=int, default=250, help="pieces of about a token, a second")
    parser.add_argument("--messages", type=int, default=200, help="that stand above it")
    parser.add_argument("--profile", action="store_true", help="print the functions that took longest")
    options = parser.parse_args(arguments)
    parts = pieces(markdown(options.words))
    print(f"{len(parts)} pieces at {options.rate}/s under {options.messages} messages, {options.runs} runs", flush=True)
    with browser_first(), Upstream.start() as upstream, portal_of(upstream) as portal:
        conversation = fill(portal, upstream, options.messages)  # before Playwright, which keeps a loop running
        pairs = []
        with sync_playwright() as playwright:
            browser = launch(playwright)
            for number in range(options.runs):
                ours = measure_ours(browser, portal, upstream, conversation, parts, options.rate, options.profile)
                pairs.append((ours, measure_bare(browser, parts, options.rate)))
                for name, one in zip(("portal", "bare page"), pairs[-1], strict=True):
                    print(f"  run {number + 1}, {name:9}: {line(one)}", flush=True)
            browser.close()
    return report(pairs)


@contextlib.contextmanager
def browser_first() -> Iterator[None]:
    """The portal, the model server and this program give way to the browser, as they would from another machine.

    Linux shares its processors among groups, one for each login or detached program, and a process' own niceness
    counts only within its group (sched(7), "The autogroup feature"). The browser starts detached: a group of its own.
    """
    if not AUTOGROUP.exists():
        print("this system has no groups of processes: the browser shares the processors with the portal")
        yield
        return
    AUTOGROUP.write_text("19")
    try:
        yield
    finally:
        AUTOGROUP.write_text("0")


@contextlib.contextmanager
def portal_of(upstream: Upstream) -> Iterator[Portal]:
    portal = Portal(upstream.base_url).start()
    try:
        yield portal
    finally:
        portal.remove()


def fill(portal: Portal, upstream: Upstream, messages: int) -> str:
    """A conversation with so many messages; its address."""
    upstream.play("fake", *(answer(markdown(60 + 20 * (number % 6))) for number in range(messages // 2)))

    async def converse() -> str:
        socket = await portal.connect()
        conversation = None
        for number in range(messages // 2):
            accepted = await socket.prompt(f"What else should I look at? ({number + 1})", conversation)
            conversation = accepted["conversation"]
            await socket.next("finished", generation=accepted["generation"])
        await socket.close()
        return f"{portal.url}/chat/{conversation}/"

    return asyncio.run(converse())


def measure_ours(
    browser: Browser,
    portal: Portal,
    upstream: Upstream,
    conversation: str,
    parts: list[str],
    rate: int,
    profile: bool,
) -> Measured:
    steps = [step for number, part in enumerate(parts) for step in (At(0.3 + number / rate), part)]
    upstream.play("fake", answer(*steps))
    with new_page(browser) as (context, page):
        cookies = [{"name": c.name, "value": c.value or "", "url": portal.url} for c in portal.admin().cookies.jar]
        context.add_cookies(cookies)  # type: ignore[arg-type]
        page.goto(conversation)
        page.evaluate(RESTED)
        page.locator("textarea[name=prompt]").fill("Explain all of it at length.")

        def stream() -> None:
            page.evaluate(WAIT)
            page.keyboard.press("Enter")
            page.evaluate("() => record.ended")

        return measure(context, page, stream, profile)


def measure_bare(browser: Browser, parts: list[str], rate: int) -> Measured:
    with socket_that_sends(parts, rate) as address, new_page(browser) as (context, page):
        page.set_content(BARE)
        page.evaluate(RESTED)
        return measure(context, page, lambda: page.evaluate(LISTEN, address), False)


@contextlib.contextmanager
def new_page(browser: Browser) -> Iterator[tuple[BrowserContext, Page]]:
    context = browser.new_context(viewport=SIZE)  # type: ignore[arg-type]
    yield context, context.new_page()
    context.close()


def measure(context: BrowserContext, page: Page, stream: Callable[[], object], profile: bool) -> Measured:
    devtools = context.new_cdp_session(page)
    devtools.send("Performance.enable", {"timeDomain": "threadTicks"})
    if profile:
        devtools.send("Profiler.enable")
        devtools.send("Profiler.start")
    before = metrics(devtools)
    with tasks_of(context) as tasks:
        page.evaluate(RECORD)
        stream()
        record = page.evaluate(STOP)
    after = metrics(devtools)
    if profile:
        print_profile(devtools.send("Profiler.stop")["profile"])
    return Measured.of(record, max(tasks), before, after)


@contextlib.contextmanager
def tasks_of(context: BrowserContext) -> Iterator[list[float]]:
    """The milliseconds of processor time of every task of the page's main thread; filled at the end."""
    assert context.browser
    devtools = context.browser.new_browser_cdp_session()
    events: list[dict[str, Any]] = []
    devtools.on("Tracing.dataCollected", lambda data: events.extend(data["value"]))
    devtools.send("Tracing.start", {"traceConfig": {"includedCategories": ["toplevel"]}})
    devtools.on("Tracing.tracingComplete", lambda _: ended.append(True))
    tasks: list[float] = []
    ended: list[bool] = []
    yield tasks
    devtools.send("Tracing.end")
    while not ended:
        context.pages[0].wait_for_timeout(50)  # lets the events come in
    names = {(one["pid"], one["tid"]): one["args"]["name"] for one in events if one["name"] == "thread_name"}
    of_thread: dict[tuple[int, int], list[float]] = defaultdict(list)
    for one in events:
        thread = one["pid"], one["tid"]
        if one["name"] == "ThreadControllerImpl::RunTask" and names.get(thread) == "CrRendererMain":
            of_thread[thread].append(one.get("tdur", 0) / 1000)
    busiest = max(of_thread, key=lambda thread: len(of_thread[thread]))  # there are renderers of no page, too
    tasks += of_thread[busiest]


def metrics(devtools: CDPSession) -> dict[str, float]:
    return {one["name"]: one["value"] for one in devtools.send("Performance.getMetrics")["metrics"]}


def print_profile(profile: dict[str, Any]) -> None:
    """Where the script spent its time, by function; `(program)` is the browser's own work."""
    spent: dict[str, int] = defaultdict(int)
    names = {node["id"]: node["callFrame"] for node in profile["nodes"]}
    for node, microseconds in zip(profile["samples"], profile["timeDeltas"], strict=True):
        place = names[node]
        file = place["url"].rpartition("/")[2].partition(".")[0]
        spent[f"{place['functionName'] or '(anonymous)'} {file}:{place['lineNumber'] + 1}"] += microseconds
    for name, microseconds in sorted(spent.items(), key=lambda item: -item[1])[:25]:
        print(f"    {microseconds / 1e6:7.3f} s  {name}")


@contextlib.contextmanager
def socket_that_sends(parts: list[str], rate: int) -> Iterator[str]:
    """The address of a socket that sends the pieces at the pace of the model server."""

    def send(connection: ServerConnection) -> None:
        start = time.monotonic() + 0.3
        for number, part in enumerate(parts):
            time.sleep(max(0.0, start + number / rate - time.monotonic()))
            connection.send(json.dumps({"type": "delta", "text": part}))

    with serve(send, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}/"


def line(one: Measured) -> str:
    return (
        f"{one.rate:5.1f} frames/s, p95 {one.p95_ms:5.1f} ms, worst {one.worst_ms:5.1f} ms, "
        f"{len(one.long_tasks)} long tasks (worst {max(one.long_tasks, default=0):.0f} ms), "
        f"most processor time of a task {one.own_ms:.1f} ms"
    )


def report(pairs: list[tuple[Measured, Measured]]) -> int:
    """The table of medians, and whether the promise was kept."""
    print(f"\nload of this machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    print(f"\n{'median of the runs':28} {'portal':>10} {'bare page':>10} {'ratio':>7}")
    rows: dict[str, Callable[[Measured], float]] = {
        "frames/s": lambda one: one.rate,
        "interval, p95 (ms)": lambda one: one.p95_ms,
        "interval, worst (ms)": lambda one: one.worst_ms,
        f"tasks over {LONG_TASK_MS} ms": lambda one: len(one.long_tasks),
        "  most of a processor (ms)": lambda one: one.own_ms,
        "main thread, all (s)": lambda one: one.all,
        "  script (s)": lambda one: one.script,
        "  style (s)": lambda one: one.style,
        "  layout (s)": lambda one: one.layout,
    }
    for name, figure in rows.items():
        ours, bare = (statistics.median(figure(pair[side]) for pair in pairs) for side in (0, 1))
        print(f"{name:28} {ours:10.1f} {bare:10.1f} {f'{ours / bare:.2f}' if bare else '':>7}")
    is_smooth = statistics.median(ours.rate for ours, _ in pairs) >= FRAMES
    promise = f"at least {FRAMES} frames/s, no task over {LONG_TASK_MS} ms"
    if is_smooth and not any(ours.long_tasks for ours, _ in pairs):
        verdict = "kept"
    elif is_smooth and all(ours.own_ms <= LONG_TASK_MS for ours, _ in pairs):
        verdict = "MISSED by the clock; no task used so much of a processor"
    else:
        verdict = "MISSED"
    print(f"\npromise ({promise}): {verdict}")
    return 0 if verdict == "kept" else 1
