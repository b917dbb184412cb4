"""Where one writes: queueing and stopping, prompts to start from, the limit of a text, and models that come and go."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Locator, Page, expect

from chat.models import LanguageModel
from tests.support.chromium import Watch
from tests.support.page import answers, ask, box, choose, content, in_state, log_in, send, stop
from tests.support.portal import Portal
from tests.support.upstream import Upstream
from tests.support.upstream.script import Gate, answer

KIB = 1024


def test_prompts_queue_while_an_answer_runs(page: Page, portal: Portal, upstream: Upstream) -> None:
    log_in(page, portal)
    expect(send(page)).to_have_accessible_name("Send")
    expect(box(page)).to_have_attribute("placeholder", "Write a message")
    upstream.play("fake", answer("one ", Gate("first"), "done"), answer("two ", "done"))
    ask(page, "One")
    expect(box(page)).to_have_attribute("placeholder", "Write the next message")
    expect(content(answers(page).first)).to_have_text("one")
    expect(send(page)).to_have_accessible_name("Queue")
    expect(send(page)).to_have_text("Queue")
    expect(stop(page)).to_be_visible()
    ask(page, "Two")
    expect(page.locator("[data-role=user]")).to_have_count(2)
    expect(box(page)).to_have_value("")
    expect(content(answers(page).first)).to_have_text("one")  # the second waits for it
    assert upstream.count("fake") == 1
    upstream.open("first")
    in_state(answers(page).nth(1), "completed")
    expect(content(answers(page).first)).to_have_text("one done")
    expect(content(answers(page).nth(1))).to_have_text("two done")
    expect(send(page)).to_have_accessible_name("Send")
    expect(stop(page)).to_be_hidden()


def test_escape_in_the_box_stops_the_answer_and_keeps_what_is_written(
    page: Page, portal: Portal, upstream: Upstream
) -> None:
    log_in(page, portal)
    upstream.play("fake", answer("this one is ", Gate("never"), "never finished"))
    ask(page, "A long one")
    expect(content(answers(page).first)).to_have_text("this one is")
    box(page).fill("meanwhile")
    box(page).press("Escape")
    in_state(answers(page).first, "stopped")
    expect(box(page)).to_have_value("meanwhile")


def test_an_empty_box_sends_nothing(page: Page, portal: Portal, upstream: Upstream) -> None:
    log_in(page, portal)
    expect(send(page)).to_be_disabled()
    box(page).press("Enter")
    box(page).fill("  \n ")
    expect(send(page)).to_be_disabled()
    box(page).press("Enter")
    send(page).click(force=True)
    expect(page.locator("[data-message-id]")).to_have_count(0)
    expect(page.get_by_role("alert")).to_have_count(0)
    box(page).fill("x")
    expect(send(page)).to_be_enabled()


def test_starters_begin_a_prompt_and_send_nothing(page: Page, portal: Portal, upstream: Upstream) -> None:
    log_in(page, portal)
    starters = page.locator("[data-action=start]")
    expect(starters).to_have_count(4)
    for number in range(4):
        starters.nth(number).click()
        begun = starters.nth(number).get_attribute("data-prompt")
        expect(box(page)).to_have_value(f"{begun}\n\n")  # in place of the one before, to which nothing was added
        expect(box(page)).to_be_focused()
    page.keyboard.type("Guten Tag")
    expect(box(page)).to_have_value(f"{begun}\n\nGuten Tag")
    box(page).fill("mine")
    starters.first.press("Enter")
    first = starters.first.get_attribute("data-prompt")
    expect(box(page)).to_have_value(f"{first}\n\nmine")
    expect(page.locator("[data-message-id]")).to_have_count(0)
    page.reload()
    expect(box(page)).to_have_value(f"{first}\n\nmine")
    upstream.play("fake", answer("Yes."))
    send(page).click()
    in_state(answers(page).first, "completed")
    expect(starters).to_have_count(0)


def test_a_text_near_the_limit_says_so_before_it_is_too_long(page: Page, portal: Portal) -> None:
    log_in(page, portal)
    size = page.locator("[data-part=size]")
    box(page).fill("x" * 200 * KIB)
    expect(size).to_be_hidden()
    box(page).fill("x" * 210 * KIB)
    expect(size).to_have_text("210 of the 256 KiB that can be sent at once")
    box(page).fill("ü" * 129 * KIB)
    expect(size).to_be_hidden()
    expect(page.get_by_role("alert")).to_have_text("This text has 258 KiB; at most 256 KiB can be sent at once.")
    box(page).press("Enter")
    expect(page.locator("[data-message-id]")).to_have_count(0)
    box(page).fill("short")
    expect(page.get_by_role("alert")).to_have_count(0)


def height(locator: Locator) -> float:
    found = locator.bounding_box()
    assert found
    return found["height"]


def test_the_box_grows_with_its_text_up_to_a_part_of_the_window(page: Page, portal: Portal) -> None:
    # Where the style does it, and where the script has to.
    page.set_viewport_size({"width": 1280, "height": 1000})
    log_in(page, portal)
    heights = []
    for is_scripted in (False, True):
        if is_scripted:
            page.add_init_script("CSS.supports = () => false;")
            page.reload()
            expect(box(page)).to_be_editable()
            page.evaluate(
                """() => {
                    const sheet = new CSSStyleSheet();
                    sheet.insertRule('.composer__box.composer__box { field-sizing: fixed; }');
                    document.adoptedStyleSheets = [sheet];
                }"""
            )
        found = []
        for lines in (1, 5, 200, 1):
            box(page).fill("\n".join(["line"] * lines))
            found.append(round(height(box(page))))
        heights.append(found)
    assert heights[0] == heights[1]
    one, five, many, again = heights[0]
    assert one == again < five < many == 400


def test_models_come_and_go_with_a_new_start(page: Page, watch: Watch, new_portal: Callable[..., Portal]) -> None:
    watch.expected = ["WebSocket connection to", "net::ERR_"]
    portal = new_portal()
    log_in(page, portal)
    model = page.locator("select[name=model]")
    options = model.locator("option")
    expect(options).to_have_text(["fake", "gpt-3.5-turbo", "gpt-4o-mini"])
    choose(page, "gpt-4o-mini")

    portal.kill()
    enable(portal, "fake", False)
    portal.start(setup=False)
    expect(options).to_have_text(["gpt-3.5-turbo", "gpt-4o-mini"])
    assert model.evaluate("select => select.selectedOptions[0].label") == "gpt-4o-mini"
    expect(page.get_by_role("alert")).to_have_count(0)

    portal.kill()
    enable(portal, "gpt-4o-mini", False)
    portal.start(setup=False)
    expect(page.get_by_role("alert")).to_have_text(
        "gpt-4o-mini isn't available any more. gpt-3.5-turbo is selected now."
    )
    expect(model).to_be_hidden()
    expect(page.locator("[data-part=only-model]")).to_have_text("gpt-3.5-turbo")

    portal.kill()
    enable(portal, "fake", True)
    portal.start(setup=False)
    expect(options).to_have_text(["fake", "gpt-3.5-turbo"])
    expect(model).to_be_visible()
    assert model.evaluate("select => select.selectedOptions[0].label") == "gpt-3.5-turbo"


def enable(portal: Portal, model: str, is_enabled: bool) -> None:
    """As in the admin, while the portal is away."""
    portal.change(lambda: LanguageModel.objects.filter(name=model).update(enabled=is_enabled))
