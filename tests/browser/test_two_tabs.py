"""Two tabs on one prompt, two clicks on one button: nothing is lost, and nothing is asked twice. And what an answer
costs while it grows, and what it looks like when its colours can't be loaded."""

from __future__ import annotations

from playwright.sync_api import Page, WebSocketRoute, expect

from tests.support.chromium import SECONDS, Watch
from tests.support.page import LATE, LATE_MS, answers, ask, content, in_state, log_in
from tests.support.portal import Portal
from tests.support.upstream import Upstream
from tests.support.upstream.script import DONE, Gate, answer, chunk, error, stream


class Line:
    """A page's connection to the portal, which a test cuts and gives back."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.is_cut = False
        page.route_web_socket("**/ws/chat/", self.connect)

    def connect(self, socket: WebSocketRoute) -> None:
        if self.is_cut:
            socket.close(code=1001)
        else:
            socket.connect_to_server()

    def cut(self) -> None:
        """From the next page that is loaded on."""
        self.is_cut = True

    def give_back(self) -> None:
        self.is_cut = False
        self.page.evaluate("window.dispatchEvent(new Event('online'))")


def left_behind(page: Page, portal: Portal, prompt: str, model: str | None = None) -> Line:
    """`page` holds a prompt that it could not send for so long that another tab does."""
    page.clock.install()
    line = Line(page)
    line.cut()
    log_in(page, portal)
    if model is not None:
        page.locator("select[name=model] option").first.evaluate("(option, id) => { option.value = id; }", model)
    ask(page, prompt)
    page.clock.fast_forward(LATE_MS)
    expect(page.locator("[data-part=pending]")).to_have_text(LATE)
    page.evaluate(
        """() => {
            const name = Object.keys(localStorage).find((one) => one.includes(".outbox."));
            const entry = JSON.parse(localStorage[name]);
            localStorage[name] = JSON.stringify({ ...entry, at: entry.at - 60_000 });
        }"""
    )
    return line


def open_another(page: Page, portal: Portal, awaited: str) -> Page:
    """Another tab of the same browser, once a frame of this type has come to it."""
    other = page.context.new_page()
    frames: list[str] = []
    other.on("websocket", lambda socket: socket.on("framereceived", lambda frame: frames.append(str(frame))))
    other.goto(f"{portal.url}/chat/")
    for _ in range(SECONDS * 10):
        if any(f'"{awaited}"' in frame for frame in frames):
            return other
        other.wait_for_timeout(100)
    raise AssertionError(frames)


def test_a_prompt_that_another_tab_sent_first_is_answered_in_its_own(
    page: Page, portal: Portal, upstream: Upstream
) -> None:
    upstream.play("fake", answer("Here at last."))
    line = left_behind(page, portal, "Sent by two tabs")
    open_another(page, portal, "accepted")
    line.give_back()
    in_state(answers(page).first, "completed")
    expect(content(answers(page).first)).to_have_text("Here at last.")
    expect(page.locator("[data-role=user]")).to_have_count(1)
    expect(page.locator("[data-part=pending]:visible")).to_have_count(0)
    assert upstream.count("fake") == 1


def test_a_prompt_that_another_tab_saw_refused_comes_back_in_its_own(page: Page, portal: Portal) -> None:
    line = left_behind(page, portal, "Refused in two tabs", model="999999")
    other = open_another(page, portal, "refused")
    line.give_back()
    expect(page.get_by_role("alert")).to_have_text("This model isn't available any more. Choose another.")
    expect(page.locator("textarea[name=prompt]")).to_have_value("Refused in two tabs")
    expect(page.locator("[data-message-id]")).to_have_count(0)
    expect(other.locator("textarea[name=prompt]")).to_have_value("")
    other.close()
    page.reload()
    expect(page.locator("textarea[name=prompt]")).to_have_value("Refused in two tabs")


def test_two_clicks_on_try_again_are_one_request(page: Page, portal: Portal, upstream: Upstream) -> None:
    upstream.play("fake", error(401, "No."), answer("Once ", Gate("clicked"), "only."), answer("Twice."))
    log_in(page, portal)
    ask(page, "Will you fail?")
    in_state(answers(page).first, "failed")
    retry = answers(page).first.locator("[data-action=retry]")
    retry.evaluate("button => { button.click(); button.click(); }")
    expect(content(answers(page).first)).to_have_text("Once")
    upstream.open("clicked")
    in_state(answers(page).first, "completed")
    expect(content(answers(page).first)).to_have_text("Once only.")
    expect(answers(page)).to_have_count(1)
    assert upstream.count("fake") == 2


def test_another_answer_that_is_late_says_so(page: Page, portal: Portal, upstream: Upstream) -> None:
    upstream.play("fake", error(401, "No."), answer("Here at last."))
    page.clock.install()
    line = Line(page)
    log_in(page, portal)
    ask(page, "Will you fail?")
    first = answers(page).first
    in_state(first, "failed")
    line.cut()
    page.reload()
    first.locator("[data-action=retry]").click()
    for _ in range(2):
        page.clock.fast_forward(LATE_MS)
        expect(first.locator("[data-part=pending]")).to_have_text(LATE)
        expect(first.locator("[data-action=retry]")).to_be_disabled()
        page.reload()
    line.give_back()
    in_state(first, "completed")
    expect(content(first)).to_have_text("Here at last.")
    expect(page.locator("[data-part=pending]:visible")).to_have_count(0)
    assert upstream.count("fake") == 2


def test_reasoning_grows_in_its_place(page: Page, portal: Portal, upstream: Upstream) -> None:
    upstream.play(
        "fake",
        stream(
            chunk(reasoning="First "),
            Gate("seen"),
            chunk(reasoning="this, "),
            chunk(reasoning="then that."),
            "Naïve ",
            "👩‍💻.",
            Gate("counted"),
            chunk(finish="stop"),
            DONE,
        ),
    )
    log_in(page, portal)
    ask(page, "Think.")
    message = answers(page).first
    reasoning = message.locator("[data-part=reasoning-text]")
    expect(reasoning).to_have_text("First")
    reasoning.evaluate("element => { window.piece = element.firstChild; }")
    upstream.open("seen")
    expect(reasoning).to_have_text("First this, then that.")
    expect(message.locator("[data-figure=characters] .receipt__value")).to_have_text("10")
    assert reasoning.evaluate("element => element.childNodes.length === 1 && element.firstChild === window.piece")
    upstream.open("counted")
    in_state(message, "completed")
    page.reload()
    expect(reasoning).to_have_text("First this, then that.")


def test_code_stays_plain_when_its_colours_cannot_be_loaded(
    page: Page, watch: Watch, portal: Portal, upstream: Upstream
) -> None:
    watch.expected = ["net::ERR_FAILED"]
    page.route("**/vendor/highlight/**", lambda route: route.abort())
    upstream.play("fake", answer("```python\nprint('a')\n```\n\n```css\nb {}\n```\n"))
    log_in(page, portal)
    ask(page, "Some code")
    in_state(answers(page).first, "completed")
    expect(content(answers(page).first).locator("pre code")).to_have_text(["print('a')\n", "b {}\n"])
    expect(content(answers(page).first).locator("pre code[data-coloured]")).to_have_count(2)
