"""From opening the administration to the first streamed answer of a newly connected provider, by what the pages say."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from chat.models import LanguageModel
from tests.support.chromium import Watch
from tests.support.page import answers, ask, content, in_state, log_in
from tests.support.portal import Portal
from tests.support.upstream import Upstream
from tests.support.upstream.script import Gate, answer, document

MINUTES = 2
PICTURES = os.environ.get("CONNECT_PICTURES", "")
"""A folder for a picture of each step."""

LISTED = document({"object": "list", "data": [{"id": "default", "object": "model", "owned_by": "cloud.ru"}]})
GILAS_LISTED = document({"object": "list", "data": [{"id": "gpt-5o-nano"}, {"id": "text-embedding-3-small"}]})


def picture(page: Page, name: str) -> None:
    if PICTURES:
        page.screenshot(path=Path(PICTURES) / f"{name}.png")


@pytest.mark.parametrize("kind", ["Gilas", "Evolution (cloud.ru), key id and secret"], ids=["gilas", "evolution"])
def test_a_provider_is_connected_in_two_minutes(
    kind: str, page: Page, new_portal: Callable[..., Portal], upstream: Upstream, watch: Watch
) -> None:
    portal = new_portal()
    origin = upstream.base_url.removesuffix("/v1")
    is_evolution = kind.startswith("Evolution")
    model, name = ("default", "evolution") if is_evolution else ("gpt-5o-nano", "gilas")
    upstream.play("POST /token", document({"access_token": "the-token-0123456789", "expires_in": 3600}))
    upstream.play("GET /v1/models", LISTED if is_evolution else GILAS_LISTED)
    first = (
        answer("Good ", Gate("half"), "day.", usage=None) if not is_evolution else answer("Good ", Gate("half"), "day.")
    )
    upstream.play(model, first)
    log_in(page, portal)

    began = time.monotonic()
    page.goto(f"{portal.url}/admin/")
    page.locator(".model-provider .addlink").first.click()
    expect(page.get_by_label("Name:").first).to_be_focused()
    picture(page, f"{name}-1-form")
    page.get_by_label("Name:").first.fill(name.title())
    page.get_by_label("Kind:").select_option(label=kind)
    base_url = page.get_by_label("Base URL:")
    expect(base_url).to_have_value(re.compile("cloud.ru/v1" if is_evolution else "api.gilas.io/v1"))
    expect(page.get_by_label("Token address:")).to_be_visible(visible=is_evolution)
    expect(page.get_by_label("Key id:")).to_be_visible(visible=is_evolution)
    picture(page, f"{name}-2-kind")
    # Only this is different from a real one: the fake servers stand on this machine.
    base_url.fill(f"{upstream.base_url}/chat/completions")
    page.get_by_label("Private network").check()
    if is_evolution:
        page.get_by_label("Token address:").fill(f"{origin}/token")
        page.get_by_label("Key id:").fill("key-id-0123")
    page.get_by_label("API key or secret:").fill("secret-0123456789")
    picture(page, f"{name}-3-filled")
    page.get_by_role("button", name="Save", exact=True).click()

    expect(page.get_by_text(f"became {upstream.base_url}")).to_be_visible()
    page.get_by_label(model, exact=True).check()
    picture(page, f"{name}-4-models")
    page.get_by_role("button", name="Offer these models").click()
    expect(page.get_by_text("1 model is offered.")).to_be_visible()
    expect(page.get_by_text("set, …6789, on")).to_be_visible()
    picture(page, f"{name}-5-connected")

    page.get_by_role("link", name="View site").click()
    ask(page, "Good day", model)
    expect(content(answers(page).first)).to_have_text("Good")
    picture(page, f"{name}-6-first-words")
    spent = time.monotonic() - began
    print(f"{kind}: {spent:.1f} s from the administration to the first words")
    assert spent < MINUTES * 60
    upstream.open("half")
    in_state(answers(page).first, "completed")
    picture(page, f"{name}-7-answer")
    (asked,) = [request for request in upstream.requests if request.path == "/v1/chat/completions"]
    assert asked.headers["authorization"] == (
        "Bearer the-token-0123456789" if is_evolution else "Bearer secret-0123456789"
    )


def test_a_longer_list_of_models_can_be_searched(
    page: Page, new_portal: Callable[..., Portal], upstream: Upstream
) -> None:
    portal = new_portal()
    upstream.play("GET /v1/models", document({"data": [{"id": f"maker/model-{number}"} for number in range(40)]}))
    log_in(page, portal)
    page.goto(f"{portal.url}/admin/chat/provider/1/models/")
    page.get_by_label("Show only names with").fill("MODEL-31")
    page.keyboard.press("Enter")
    expect(page.locator(".offer__models tbody tr:visible")).to_have_count(1)
    page.get_by_label("maker/model-31").check()
    page.get_by_label("Show only names with").fill("")
    expect(page.locator(".offer__models tbody tr:visible")).to_have_count(40)
    page.get_by_role("button", name="Offer these models").click()
    expect(page.get_by_text("model is offered.").or_(page.get_by_text("models are offered."))).to_be_visible()
    offered = LanguageModel.objects.filter(name__startswith="maker/").values_list("name", flat=True)
    assert portal.rows(offered) == ["maker/model-31"]


def test_a_form_that_comes_back_with_an_error_is_filled_in_as_before(page: Page, portal: Portal) -> None:
    log_in(page, portal)
    page.goto(f"{portal.url}/admin/chat/provider/add/")
    kind, address, private = page.locator("#id_kind"), page.locator("#id_base_url"), page.locator("#id_private_network")
    kind.select_option("openai")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".errorlist").first).to_be_visible()
    expect(address).to_have_value("https://api.openai.com/v1")
    kind.select_option("groq")
    expect(address).to_have_value("https://api.groq.com/openai/v1")

    kind.select_option("ollama")
    expect(private).to_be_checked()
    private.uncheck()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".errorlist").first).to_be_visible()
    expect(private).not_to_be_checked()
