"""Who would see it if a text did anything: a trap and a look-out in the page, the browser's own reports, a canary."""

from __future__ import annotations

import json
import re
import socket
import threading
from pathlib import Path

from playwright.sync_api import BrowserContext, Dialog, Page, Request

from tests.support.chromium import Watch
from tests.support.portal import Portal

ZONE = "canary.localhost"
"""Names below localhost lead to this machine without a name server, and the browser trusts them most."""
"""Names below localhost lead to this machine without a name server, and the browser trusts them most."""

IN_PAGE = """
(() => {
  const tell = (what) => console.error(`HOSTILE: ${what}`);
  Object.defineProperty(window, "__pwn", { set: (number) => tell(`ran text ${number}`) });
  document.addEventListener("securitypolicyviolation", (breach) =>
    tell(`policy: ${breach.effectiveDirective} ${breach.blockedURI} ${breach.sample}`));

  // All that may ever stand in an answer: element → attribute → its values.
  const LINK = { href: /^(https?:|mailto:)/i, rel: /^noopener noreferrer nofollow$/, target: /^_blank$/, title: /^/ };
  const BLOCK = { dir: /^auto$/ };
  const CELL = { ...BLOCK, class: /^is-end$/ };
  const PROSE = {
    a: { ...LINK, class: /^blocked$/ },
    blockquote: BLOCK, br: {},
    button: { class: /^button button--quiet button--small code__copy$/, "data-action": /^copy-code$/,
      type: /^button$/ },
    code: { class: /^language-\\S+$/, "data-coloured": /^$/ },
    div: { "aria-label": /^/, class: /^scroll$/, role: /^region$/, tabindex: /^0$/ },
    em: {}, figcaption: { class: /^code__head$/ }, figure: { class: /^code$/ },
    h3: BLOCK, h4: BLOCK, h5: BLOCK, h6: BLOCK, hr: {}, li: BLOCK, ol: { start: /^\\d+$/ }, p: BLOCK,
    pre: { class: /^code__text$/, dir: /^ltr$/, tabindex: /^0$/ }, s: {},
    span: { "aria-hidden": /^true$/,
      class: /^(blocked|blocked__host|caret|code__language|link__host|hljs-\\S+( \\S+_*)*)$/ },
    strong: {}, table: {}, tbody: {}, td: CELL, th: CELL, thead: {}, tr: {}, ul: {},
  };
  // Where only text may stand.
  const TEXT = "title, option, .entry__title, .menu__name, .receipt__value, .facts__text, .facts__more," +
    "[data-role=user] [data-part=content], .code__language, .code__copy," +
    "[data-part=title], [data-part=speaker], [data-part=reason], [data-part=code], [data-part=reasoning-text]," +
    "[data-part=announcer], .undo__text, .entry__note";
  // What the page has no use for anywhere.
  const NEVER = "iframe, frame, object, embed, base, style, math, img, picture, source, video, audio, track, animate," +
    "foreignObject, image, marquee, plaintext, xmp, [http-equiv], [srcdoc], [srcset], [background], [ping], [is]";
  const OURS = { a: "href", form: "action", link: "href", use: "href" };

  // What is wrong with `element`, which stands or stood below `parent`; "" for nothing.
  function fault(element, parent) {
    const name = element.localName;
    if (parent?.closest(TEXT)) return "an element within a text";
    if (element.shadowRoot !== null) return "a shadow root";
    const prose = PROSE[name];
    if (parent?.closest("[data-role=assistant] [data-part=content]")) {
      if (prose === undefined || element.namespaceURI !== "http://www.w3.org/1999/xhtml") return "an element";
      const wrong = [...element.attributes].find((one) => !(prose[one.name]?.test(one.value)));
      return wrong ? `attribute ${wrong.name}` : "";
    }
    if (element.matches(NEVER)) return "an element that is never used";
    if (name === "script" && element.nonce === "" && element.type !== "application/json") return "a script";
    const handler = [...element.attributes].find((one) => /^on/i.test(one.name));
    if (handler) return `attribute ${handler.name}`;
    const address = element.getAttribute(OURS[name] ?? "");
    return address !== null && new URL(address, location.origin).origin !== location.origin ? "an address" : "";
  }
  function look(element, parent) {
    const wrong = fault(element, parent);
    if (wrong !== "") tell(`${wrong}: ${element.cloneNode().outerHTML} in ${parent?.cloneNode().outerHTML}`);
  }
  new MutationObserver((records) => {
    for (const { type, target, addedNodes } of records) {
      if (type === "attributes") look(target, target.parentElement);
      for (const node of addedNodes) {
        if (node.nodeType !== Node.ELEMENT_NODE) continue;
        look(node, target instanceof Element ? target : null);
        for (const inner of node.querySelectorAll("*")) look(inner, inner.parentElement);
      }
    }
  }).observe(document, { attributes: true, childList: true, subtree: true });
})();
"""


class Canary:
    """Listens on loopback, keeps the first bytes of every connection, and answers all with `page`."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.page = ""
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self.host = f"{ZONE}:{self.port}"
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._hear, args=(connection,), daemon=True).start()

    def _hear(self, connection: socket.socket) -> None:
        number = len(self.heard)
        self.heard.append(b"")
        with connection:
            self.heard[number] = connection.recv(4096)
            head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n"
            connection.sendall((head + self.page).encode())

    def close(self) -> None:
        self._listener.close()


class Witness:
    """What the browser says about a context. `foreign(url)`: what is neither a page nor a file of the portal."""

    def __init__(self, context: BrowserContext, canary: Canary, net_log: Path) -> None:
        self.context, self.canary, self.net_log = context, canary, net_log
        self.events: list[str] = []
        self.addresses: set[str] = set()
        context.add_init_script(IN_PAGE)
        context.on("dialog", self._dialog)
        context.on("request", self._request)
        context.on("page", self._page)

    def _dialog(self, dialog: Dialog) -> None:
        self.events.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _request(self, request: Request) -> None:
        self.addresses.add(request.url)

    def _page(self, page: Page) -> None:
        if page.opener():
            self.events.append(f"window: {page.url}")
        page.on("download", lambda download: self.events.append(f"download: {download.url}"))
        page.on("framenavigated", lambda frame: self.addresses.add(frame.url))
        page.on("frameattached", lambda frame: self.events.append(f"frame: {frame.url}"))
        page.on("websocket", lambda one: self.addresses.add(one.url.replace("ws://", "http://")))

    def foreign(self, portal: Portal) -> list[str]:
        return sorted(url for url in self.addresses if not url.startswith(f"{portal.url}/") and url != "about:blank")

    def looked_up(self) -> set[str]:
        """Whatever below ZONE the browser looked up or connected to. Closes it: its log is whole only then."""
        self.context.close()
        events = json.loads(self.net_log.read_text())["events"]
        return set(re.findall(rf"[\w.-]*{re.escape(ZONE)}", json.dumps(events)))

    def saw_nothing(self, portal: Portal, watch: Watch) -> None:
        """At the end of a test."""
        assert watch.unexpected() == []
        assert self.events == []
        assert self.foreign(portal) == []
        assert self.looked_up() == set()
        assert self.canary.heard == []
