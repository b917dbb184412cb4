"""An answer that was cut says at what, and goes on at a press; a failed try says why there is another."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.support.page import answers, ask, content, in_state, log_in, version
from tests.support.portal import Portal
from tests.support.upstream import Upstream
from tests.support.upstream.script import Fin, Gate, answer, chunk, error, stream, usage_chunk

CUT = stream("Once upon ", "a ti", chunk(finish="length"), usage_chunk(9, 4), b"data: [DONE]\n\n")


def test_a_cut_answer_goes_on_in_its_place(page: Page, portal: Portal, upstream: Upstream) -> None:
    log_in(page, portal)
    upstream.play("fake", CUT, answer("me ", Gate("go"), "there was.", usage=(20, 3)))
    ask(page, "A tale.")
    only = answers(page).first
    in_state(only, "completed")
    reason = only.locator("[data-part=reason]")
    expect(reason).to_have_text("Cut at the limit of 4 tokens.")
    page.reload()
    expect(reason).to_have_text("Cut at the limit of 4 tokens.")

    only.get_by_role("button", name="Continue").click()
    expect(content(only)).to_have_text(re.compile("^Once upon a time"))
    expect(only.get_by_role("button", name="Continue")).to_be_hidden()
    expect(page.get_by_role("textbox", name="Message", exact=True)).to_be_focused()
    page.reload()  # in the middle of it
    expect(content(only)).to_have_text(re.compile("^Once upon a time"))
    upstream.open("go")
    in_state(only, "completed")
    expect(content(only)).to_have_text("Once upon a time there was.")
    expect(reason).to_be_hidden()
    expect(version(only)).to_have_text("2/2")
    only.locator("[data-action=previous]").click()
    expect(content(only)).to_have_text("Once upon a ti")
    expect(only.get_by_role("button", name="Continue")).to_be_visible()


def test_only_an_answer_with_text_can_be_continued(page: Page, portal: Portal, upstream: Upstream) -> None:
    log_in(page, portal)
    upstream.play("fake", error(400, "No."), (*stream("Half", whole=False), Fin()), answer("Whole."))
    ask(page, "hi")
    only = answers(page).first
    in_state(only, "failed")
    expect(only.get_by_role("button", name="Try again")).to_be_visible()
    expect(only.get_by_role("button", name="Continue")).to_be_hidden()
    only.get_by_role("button", name="Try again").click()
    expect(only.locator("[data-part=code]")).to_have_text("upstream_cut")
    expect(only.get_by_role("button", name="Continue")).to_be_visible()
    only.get_by_role("button", name="Try again").click()
    in_state(only, "completed")
    expect(only.locator("[data-part=failure]")).to_be_hidden()


def test_a_wait_for_another_attempt_is_counted_down_with_its_reason(
    page: Page, portal: Portal, upstream: Upstream
) -> None:
    log_in(page, portal)
    upstream.play("fake", error(503, headers={"Retry-After": "20"}), answer("At last."))
    ask(page, "hi")
    only = answers(page).first
    phase = only.locator("[data-part=phase]")
    expect(phase).to_contain_text("Attempt 2 in")
    expect(only.locator("[data-part=pending]")).to_have_text("The model is overloaded right now.")
    expect(phase.locator("[data-part=phase-time]")).to_have_text(re.compile(r"^1[0-9]\.\d s$"))
    page.locator("[data-action=stop]").click()
    in_state(only, "stopped")
    expect(only.locator("[data-part=pending]")).to_be_hidden()
    expect(only.locator("[data-part=reason]")).to_have_text("You stopped this answer.")
