"""The whole walk as a person takes it, in a real Chromium on a real portal, and two walks through bad weather."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.support.chromium import Watch
from tests.support.page import (
    ADDRESS,
    LATE,
    LATE_MS,
    RECONNECT_MS,
    answers,
    ask,
    box,
    content,
    in_state,
    log_in,
    log_in_by_form,
)
from tests.support.portal import Portal
from tests.support.upstream import Upstream
from tests.support.upstream.script import Fin, Gate, answer, error, stream


@pytest.mark.parametrize("portal", ["bundled", "single files"], indirect=True)
def test_the_walk(page: Page, portal: Portal, upstream: Upstream) -> None:
    # Wrong first, then right.
    page.goto(f"{portal.url}/chat/")
    page.locator("input[autocomplete=username]").fill(portal.admin_user)
    page.locator("input[type=password]").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_have_count(1)
    log_in_by_form(page, portal)

    # Ask, and watch the answer come; the conversation gets an address and an entry.
    upstream.play("fake", answer("# Rivers\n\nThey carry ", Gate("half"), "*stones*.", usage=(18, 2)))
    ask(page, "Tell me about rivers.\nBriefly.")
    first = answers(page).nth(0)
    expect(content(first).locator("h3")).to_have_text("Rivers")
    expect(content(first).locator("p")).to_have_text("They carry")
    in_state(first, "running")
    expect(first.locator("[data-part=phase]")).to_contain_text("Writing")
    expect(page.locator("[data-role=user] [data-part=content]")).to_have_text("Tell me about rivers.\nBriefly.")
    expect(page).to_have_url(ADDRESS)
    expect(page.locator("[data-part=conversations] [aria-current=page]")).to_contain_text("Tell me about rivers.")
    expect(page.locator("button[data-action=send]")).to_be_disabled()
    upstream.open("half")
    in_state(first, "completed")
    expect(content(first).locator("em")).to_have_text("stones")

    # The receipt shows what is stored.
    check_receipt(first, portal)
    frozen = first.locator("[data-part=receipt]").inner_text()
    assert "18 in, 2 out" in frozen and "reported" in frozen and "finished" in frozen

    # Reload in mid-answer: it goes on, every character once. The finished one looks as before.
    upstream.play("fake", answer("one ", "two ", Gate("reloaded"), "three"))
    box(page).press_sequentially("Count.")
    box(page).press("Enter")
    second = answers(page).nth(1)
    expect(content(second)).to_have_text("one two")
    page.reload()
    expect(content(second)).to_have_text("one two")
    in_state(second, "running")
    assert first.locator("[data-part=receipt]").inner_text() == frozen
    upstream.open("reloaded")
    in_state(second, "completed")
    assert content(second).inner_text() == "one two three"

    # Stop.
    upstream.play("fake", answer("this one is ", Gate("never"), "never finished"))
    ask(page, "And a long one")
    third = answers(page).nth(2)
    expect(content(third)).to_have_text("this one is")
    page.locator("button[data-action=stop]").click()
    in_state(third, "stopped")
    expect(third.locator("[data-part=failure]")).to_contain_text("You stopped this answer.")
    expect(page.locator("button[data-action=stop]")).to_be_hidden()
    check_receipt(third, portal)

    # A failure says why and offers another try, which takes its place.
    upstream.play("fake", error(401, "No."), answer("Now it ", "works."))
    ask(page, "Will you fail?")
    fourth = answers(page).nth(3)
    in_state(fourth, "failed")
    expect(fourth.locator("[data-part=failure]")).to_contain_text("The model server refused our key.")
    fourth.locator("button[data-action=retry]").click()
    in_state(fourth, "completed")
    expect(content(fourth)).to_have_text("Now it works.")
    expect(answers(page)).to_have_count(4)
    page.reload()
    expect(content(fourth)).to_have_text("Now it works.")

    # Out.
    page.locator("summary", has_text=portal.admin_user).click()
    page.locator("[data-action=log-out]").click()
    expect(page).to_have_url(re.compile(r"/accounts/login/$"))


def check_receipt(message: Locator, portal: Portal) -> None:
    """The receipt's numbers are those of the stored row."""
    stored = portal.generation(message.get_attribute("data-generation") or "")
    receipt = message.locator("[data-part=receipt]")
    expect(receipt).to_have_attribute("data-ttft-ms", str(stored["ttft_ms"]))
    expect(receipt).to_have_attribute("data-duration-ms", str(stored["duration_ms"]))
    expect(receipt).to_have_attribute("data-prompt-tokens", str(stored["prompt_tokens"]))
    expect(receipt).to_have_attribute("data-completion-tokens", str(stored["completion_tokens"]))
    # Nobody knows the table of a model called `fake`; that nothing was sent needs none.
    is_estimate = stored["usage_source"] == "counted" and stored["total_tokens"] > 0
    expect(receipt.locator(".badge")).to_have_text("estimated" if is_estimate else stored["usage_source"])
    expect(receipt.locator("[data-figure=duration]")).to_have_text(f"{stored['duration_ms'] / 1000:.3f} s")
    expect(receipt.locator("[data-figure=ttft]")).to_have_text(f"{stored['ttft_ms'] / 1000:.3f} s first token")


def test_a_prompt_outlives_a_portal_that_is_away(
    page: Page, watch: Watch, new_portal: Callable[..., Portal], upstream: Upstream
) -> None:
    watch.expected = ["WebSocket connection to", "net::ERR_CONNECTION"]
    page.clock.install()
    portal = new_portal()
    log_in(page, portal)
    upstream.play("fake", answer("Here ", "I am."))
    portal.kill()
    ask(page, "Are you there?")
    page.clock.fast_forward(LATE_MS)
    expect(page.locator("[data-part=connection]")).to_contain_text("No connection to the portal.")
    expect(page.locator("[data-part=pending]")).to_have_text(LATE)
    portal.start(setup=False)
    page.clock.fast_forward(RECONNECT_MS)
    in_state(answers(page).first, "completed")
    expect(content(answers(page).first)).to_have_text("Here I am.")
    expect(page.locator("[data-part=connection]")).to_be_hidden()
    expect(page.locator("[data-role=user]")).to_have_count(1)
    assert upstream.count("fake") == 1


def test_an_answer_with_bad_intentions_stays_text(page: Page, portal: Portal, upstream: Upstream) -> None:
    upstream.play(
        "fake",
        answer(
            "<img src=x onerror=alert(1)><script>alert(1)</script>\n\n",
            "[a](javascript:alert(1)) [b](data:text/html,x) [c](/admin/logout/) [d](https://evil.example/?q=1)\n\n",
            "![pixel](https://evil.example/p.png) ![ref][x]\n\n[x]: https://evil.example/r.png\n\n",
            "| a | b |\n|---|--:|\n| 1 | 2 |\n\n```python\nprint('<b>')\n```\n",
        ),
    )
    log_in(page, portal)
    ask(page, "Do your worst.")
    message = answers(page).first
    in_state(message, "completed")
    for _ in range(2):
        expect(content(message).locator("img, script, [style], [onerror]")).to_have_count(0)
        expect(content(message)).to_contain_text("<script>alert(1)</script>")
        links = content(message).locator("a:not(.blocked)")
        expect(links).to_have_count(1)
        expect(links).to_have_attribute("href", "https://evil.example/?q=1")
        expect(links).to_have_attribute("rel", "noopener noreferrer nofollow")
        expect(content(message).locator(".link__host")).to_have_text("evil.example")
        expect(content(message).locator(".blocked")).to_have_text(
            [re.compile("pixel.*evil.example, not loaded"), re.compile("ref.*evil.example, not loaded")]
        )
        expect(content(message).locator("pre code .hljs-string")).to_have_text("'<b>'")
        expect(content(message).locator("td.is-end")).to_have_text("2")
        page.reload()  # and the same when it comes from the database


def test_a_session_that_ends_loses_nothing_that_was_written(page: Page, portal: Portal, upstream: Upstream) -> None:
    log_in_by_form(page, portal)
    upstream.play("fake", answer("Short."))
    ask(page, "Something")
    in_state(answers(page).first, "completed")
    address = page.url
    box(page).fill("A thought that is not finished")
    other = page.context.new_page()
    other.goto(f"{portal.url}/chat/")
    other.locator("summary", has_text=portal.admin_user).click()
    other.locator("[data-action=log-out]").click()
    expect(other).to_have_url(re.compile(r"/accounts/login/$"))
    page.locator("[data-action=send]").click()
    expect(page).to_have_url(re.compile(r"/accounts/login/\?next="))
    page.locator("input[autocomplete=username]").fill(portal.admin_user)
    page.locator("input[type=password]").fill(portal.admin_password)
    upstream.play("fake", answer("Now it is."))
    page.get_by_role("button", name="Log in").click()
    expect(page).to_have_url(address)
    in_state(answers(page).nth(1), "completed")  # sent before the session's end was noticed, so sent again
    expect(page.locator("[data-role=user]").nth(1)).to_contain_text("A thought that is not finished")
    assert upstream.count("fake", "A thought") == 1


def test_what_is_not_taken_comes_back_with_the_reason(page: Page, portal: Portal, upstream: Upstream) -> None:
    log_in(page, portal)
    box(page).fill("x" * (256 * 1024 + 1))
    page.locator("[data-action=send]").click()
    expect(page.get_by_role("alert")).to_have_text("This text has 257 KiB; at most 256 KiB can be sent at once.")
    box(page).fill("For a model that has gone")
    page.locator("select[name=model] option").first.evaluate("option => { option.value = '999999'; }")
    page.locator("[data-action=send]").click()
    expect(page.get_by_role("alert")).to_have_text("This model isn't available any more. Choose another.")
    expect(box(page)).to_have_value("For a model that has gone")
    expect(page.locator("[data-message-id]")).to_have_count(0)
    page.reload()
    expect(box(page)).to_have_value("For a model that has gone")


def test_answers_in_two_conversations_run_at_once(page: Page, portal: Portal, upstream: Upstream) -> None:
    log_in(page, portal)
    upstream.play("fake", answer("first ", Gate("one"), "done"), answer("second ", Gate("two"), "done"))
    ask(page, "One")
    expect(content(answers(page).first)).to_have_text("first")
    one = page.url
    page.get_by_role("link", name="New conversation").click()
    expect(box(page)).to_be_focused()
    ask(page, "Two")
    expect(content(answers(page).first)).to_have_text("second")
    upstream.open("one")
    upstream.open("two")
    in_state(answers(page).first, "completed")
    expect(content(answers(page).first)).to_have_text("second done")
    page.goto(one)
    in_state(answers(page).first, "completed")
    expect(content(answers(page).first)).to_have_text("first done")


def test_what_went_wrong_is_in_sight_at_once(page: Page, portal: Portal, upstream: Upstream) -> None:
    page.set_viewport_size({"width": 360, "height": 640})
    log_in(page, portal)
    cut = (*stream("Half of an answer", whole=False), Fin())
    upstream.play("fake", answer(*["A line of an answer.\n\n"] * 30), cut)
    ask(page, "At length")
    in_state(answers(page).first, "completed")
    ask(page, "And again?")
    retry = answers(page).nth(1).locator("[data-action=retry]")
    expect(retry).to_be_visible()
    expect(retry).to_be_in_viewport(ratio=1)
    button, composer = retry.bounding_box(), page.locator("[data-part=composer]").bounding_box()
    assert button and composer
    assert button["y"] + button["height"] <= composer["y"]
