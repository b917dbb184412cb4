"""Reading an answer: what is copied, what is read out, the receipt while it is printed, the keys."""

from __future__ import annotations

import re
import uuid

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from chat.models import UsageRecord
from tests.support.page import answers, ask, box, content, in_state, log_in
from tests.support.portal import Portal
from tests.support.upstream import Upstream
from tests.support.upstream.script import Gate, answer

CODE = "Before.\n\n```python\nprint('a')\n\nprint('b')\n```\n\n"

# What the live region was given to read, in its order.
KEEP_WHAT_IS_SAID = """() => {
  window.said = [];
  const region = document.querySelector("[data-part=announcer]");
  new MutationObserver(() => said.push(region.textContent)).observe(region, { childList: true });
}"""
HEADERS = {"Content-Type": "text/event-stream", "x-request-id": "req-7"}
REFUSE_THE_CLIPBOARD = "Object.defineProperty(Navigator.prototype, 'clipboard', { get: () => undefined })"


# Copying


@pytest.mark.parametrize("way", ["the clipboard", "a hidden text box", "neither"])
def test_a_finished_block_of_code_is_copied(
    page: Page, context: BrowserContext, portal: Portal, upstream: Upstream, way: str
) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    if way == "neither":
        page.add_init_script("document.execCommand = () => false")
    if way != "the clipboard":
        page.add_init_script(REFUSE_THE_CLIPBOARD)
    upstream.play("fake", answer(CODE, "After.\n\n```css\n", Gate("open"), "b {}\n", Gate("end"), "```\n"))
    log_in(page, portal)
    page.evaluate(KEEP_WHAT_IS_SAID)
    ask(page, "Some code")
    message = answers(page).first
    buttons = content(message).locator("button")
    expect(content(message).locator(".code__head")).to_have_text(["pythonCopy", "css"])
    height = content(message).locator(".code__head").nth(1).bounding_box()
    buttons.first.evaluate("button => { window.button = button; }")
    upstream.open("open")
    expect(content(message)).to_contain_text("b {}")
    assert page.evaluate("button.isConnected"), "a finished block is left alone"
    expect(buttons).to_have_count(1)
    upstream.open("end")
    in_state(message, "completed")
    expect(buttons).to_have_count(2)
    after = content(message).locator(".code__head").nth(1).bounding_box()
    assert height and after and height["height"] == after["height"]

    box(page).focus()
    buttons.first.click()
    worked = way != "neither"
    expect(buttons.first).to_have_text("Copied" if worked else "Not copied")
    wanted = "Copied." if worked else "The browser could not copy it. Select the text and copy it yourself."
    page.wait_for_function("wanted => said.includes(wanted)", arg=wanted)
    expect(buttons.first).to_have_text("Copy")
    expect(buttons.first).to_be_focused()
    expect(page.locator("textarea.sr-only")).to_have_count(0)
    if worked:
        assert pasted(page) == "print('a')\n\nprint('b')"


def test_the_source_of_an_answer_is_copied(
    page: Page, context: BrowserContext, portal: Portal, upstream: Upstream
) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    upstream.play("fake", answer("# Rivers\n\n", CODE, "*The end.*"))
    log_in(page, portal)
    ask(page, "Some Markdown")
    in_state(answers(page).first, "completed")
    for _ in range(2):
        button = answers(page).first.get_by_role("button", name="Copy answer")
        button.click()
        expect(button).to_have_attribute("data-said", "Copied")
        assert pasted(page) == f"# Rivers\n\n{CODE}*The end.*"
        expect(button).not_to_have_attribute("data-said", re.compile(""))
        page.reload()


def pasted(page: Page) -> str:
    box(page).focus()
    page.keyboard.press("Control+V")
    text = box(page).input_value()
    box(page).fill("")
    return text


# What is read out


def test_an_answer_is_read_out_sentence_by_sentence_and_its_end_is_said(
    page: Page, portal: Portal, upstream: Upstream
) -> None:
    upstream.play(
        "fake",
        answer(
            "# Rivers\n\nThey *carry* stones. And ",
            Gate("one"),
            "sand.\n\n```\nx\n```\n",
            Gate("two"),
            "Bye.",
            usage=(18, 2),
        ),
    )
    log_in(page, portal)
    page.evaluate(KEEP_WHAT_IS_SAID)
    ask(page, "Tell me")
    page.wait_for_function("() => said.join(' ').includes('They carry stones.')")
    upstream.open("one")
    page.wait_for_function("() => said.join(' ').includes('And sand. Code.')")
    upstream.open("two")
    page.wait_for_function("() => said.at(-1).includes('Answer finished, 2 tokens.')")
    said: list[str] = page.evaluate("said")
    assert " ".join(said) == "Rivers. They carry stones. And sand. Code. Bye. Answer finished, 2 tokens."


def test_after_a_reload_only_what_is_new_is_read_out(page: Page, portal: Portal, upstream: Upstream) -> None:
    upstream.play("fake", answer("An old sentence. ", "And an old one. ", Gate("reloaded"), "A new one. "))
    log_in(page, portal)
    ask(page, "Tell me")
    expect(content(answers(page).first)).to_contain_text("And an old one.")
    page.reload()
    page.evaluate(KEEP_WHAT_IS_SAID)
    expect(content(answers(page).first)).to_contain_text("And an old one.")
    upstream.open("reloaded")
    page.wait_for_function("() => said.join(' ').includes('Answer finished')")
    assert " ".join(page.evaluate("said")) == "A new one. Answer finished, 5 tokens."


def test_an_end_that_is_none_is_said_too(page: Page, portal: Portal, upstream: Upstream) -> None:
    upstream.play("fake", answer("Half a sentence", Gate("never")))
    log_in(page, portal)
    page.evaluate(KEEP_WHAT_IS_SAID)
    ask(page, "Tell me")
    expect(content(answers(page).first)).to_have_text("Half a sentence")
    page.locator("[data-action=stop]").click()
    page.wait_for_function("() => said.join(' ') === 'Half a sentence. The answer ended: You stopped this answer.'")


# The receipt


def test_a_receipt_is_printed_while_the_answer_is_written_and_freezes_in_its_row(
    page: Page, portal: Portal, upstream: Upstream
) -> None:
    upstream.play(
        "fake", answer("Some words ", Gate("one"), "and some more ", Gate("two"), "to the end.", usage=(18, 9))
    )
    log_in(page, portal)
    ask(page, "Write")
    message = answers(page).first
    receipt = message.locator("[data-part=receipt]")
    expect(receipt.locator("[data-part=phase]")).to_have_text(re.compile(r"^Writing \d+\.\d s$"))
    expect(receipt.locator("[data-figure=ttft]")).to_have_text(re.compile(r"^(≈ \d\.\d|\d\.\d{3}) s first token$"))
    expect(receipt.locator("[data-figure=speed]")).to_have_text(re.compile(r"^≈ [\d.]+ tokens/s$"))
    expect(receipt.locator("[data-figure=characters]")).to_have_text("11 characters")
    expect(receipt.locator(".spark")).to_be_visible()
    receipt.locator("summary").click()
    expect(receipt).not_to_have_attribute("open", "")
    upstream.open("one")
    expect(receipt.locator("[data-figure=characters]")).to_have_text("25 characters")
    expect(receipt.locator("polyline")).to_have_attribute("points", re.compile(r"^0\.0,15\.0 .*56\.0,1\.0$"))
    row = receipt.locator("summary").bounding_box()
    upstream.open("two")
    in_state(message, "completed")
    frozen = receipt.locator("summary").bounding_box()
    assert row and frozen and row["height"] == frozen["height"]
    expect(receipt.locator("[data-part=phase]")).to_be_hidden()
    expect(receipt.locator(".spark")).to_be_visible()


def test_after_a_reload_a_receipt_goes_on_with_what_the_portal_measured(
    page: Page, portal: Portal, upstream: Upstream
) -> None:
    upstream.play("fake", answer("Some words ", Gate("reloaded"), "and more."))
    log_in(page, portal)
    ask(page, "Write")
    message = answers(page).first
    expect(content(message)).to_have_text("Some words")
    page.reload()
    ttft = message.locator("[data-figure=ttft]")
    expect(ttft).to_have_text(re.compile(r"^\d\.\d{3} s first token$"))
    live = ttft.inner_text()
    expect(message.locator("[data-figure=speed]")).to_have_text(re.compile(r"^≈ [\d.]+ tokens/s$"))
    upstream.open("reloaded")
    in_state(message, "completed")
    assert ttft.inner_text() == live


def test_a_receipt_unfolds_to_what_is_stored(page: Page, portal: Portal, upstream: Upstream) -> None:
    upstream.play("fake", answer("One ", "two ", "three.", finish="length", headers=HEADERS))
    log_in(page, portal)
    ask(page, "Count")
    message = answers(page).first
    in_state(message, "completed")
    receipt = message.locator("[data-part=receipt]")
    for is_reloaded in (False, True):
        expect(receipt.locator("[data-fact=finish]")).to_be_hidden()
        receipt.locator("summary").focus()
        page.keyboard.press("Enter")
        generation = uuid.UUID(message.get_attribute("data-generation"))
        (stored,) = portal.rows(UsageRecord.objects.filter(generation=generation))
        expect(receipt.locator("[data-fact=finish] dd")).to_have_text("cut at the length limit length")
        expect(receipt.locator("[data-fact=gap] dd")).to_have_text(f"{(stored.longest_gap_ms or 0) / 1000:.3f} s")
        expect(receipt.locator("[data-fact=deltas] dd")).to_have_text("3")
        expect(receipt.locator("[data-fact=reasoning]")).to_be_hidden()
        if stored.inter_token_latency_ms is not None:
            shown = f"{float(stored.inter_token_latency_ms):.2f} ms"
            expect(receipt.locator("[data-fact=between] dd")).to_have_text(shown)
        if is_reloaded:
            expect(receipt.locator("[data-fact=attempts] dd")).to_have_text("1")
            expect(receipt.locator("[data-fact=request] dd")).to_have_text("req-7")
        page.reload()


# Keys and focus

IN_ORDER = [
    *("skip", "brand", "entry__link", "code__copy", "code__text", "scroll"),
    *("receipt__summary", "composer__box"),
]


def test_the_list_of_keys_opens_and_gives_the_focus_back(page: Page, portal: Portal) -> None:
    log_in(page, portal)
    dialog = page.get_by_role("dialog", name="Keys")
    page.keyboard.type("Why?")
    expect(box(page)).to_have_value("Why?")
    expect(dialog).to_be_hidden()
    link = page.get_by_role("link", name="New conversation").first
    link.focus()
    page.keyboard.press("?")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(link).to_be_focused()
    hint = page.locator("[data-action=keys]")
    for close in (
        lambda: page.keyboard.press("Escape"),
        lambda: dialog.get_by_role("button", name="Close").click(),
        lambda: page.mouse.click(5, 5),
    ):
        hint.click()
        expect(dialog).to_be_visible()
        close()
        expect(dialog).to_be_hidden()
        expect(hint).to_be_focused()
    page.keyboard.press("Shift+Escape")
    expect(box(page)).to_be_focused()


def test_the_focus_goes_through_the_page_as_one_reads_it(page: Page, portal: Portal, upstream: Upstream) -> None:
    upstream.play("fake", answer(CODE, "[a link](https://example.org/)\n\n| a |\n|---|\n| 1 |\n"))
    log_in(page, portal)
    ask(page, "Code and a table")
    in_state(answers(page).first, "completed")
    page.evaluate("document.activeElement.blur()")
    stops: list[str] = []
    for _ in range(500):  # past the list of conversations, whatever is in it
        page.keyboard.press("Tab")
        classes: list[str] = page.evaluate("[...document.activeElement.classList]")
        stops += [name for name in classes if name in IN_ORDER and name not in stops]
        if "composer__box" in classes:
            break
    assert stops == IN_ORDER
