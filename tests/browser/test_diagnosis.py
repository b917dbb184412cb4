"""The page that examines a provider: findings appear as they come, the card stays, and its advice is one click away."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from playwright.sync_api import Page, expect

from chat.models import LanguageModel, Price, Provider, UsageRecord
from tests.support.page import log_in
from tests.support.portal import Portal
from tests.support.upstream import Gate, Upstream
from tests.support.upstream.script import answer, document

MODEL = "behaving:refuses-usage+thinks"


@pytest.fixture
def diagnosis(page: Page, portal: Portal, upstream: Upstream) -> Iterator[Page]:
    """The page of the provider that the environment names."""
    upstream.play("GET /v1/models", document({"data": [{"id": MODEL, "context_length": 8192}]}))
    log_in(page, portal)
    (provider,) = portal.rows(Provider.objects.filter(name="environment"))
    page.goto(f"{portal.url}/admin/chat/provider/{provider.pk}/change/")
    yield page
    portal.change(provider.save)
    portal.change(UsageRecord.objects.filter(source="probe").delete)


def test_findings_appear_as_they_come_and_stay(diagnosis: Page, upstream: Upstream) -> None:
    page = diagnosis
    expect(page.locator("[data-part=not-examined]")).to_be_visible()
    page.get_by_role("link", name="Examine…").click()
    expect(page.locator("[data-part=cost]")).to_contain_text("at most 7 questions")

    # The first question waits: what came before it is there already.
    upstream.play("slow", answer("1, 2, ", Gate("here"), "3, 4, 5"))
    page.locator("[name=model]").fill("slow")
    page.get_by_role("button", name="Examine").click()
    live = page.locator("[data-part=findings] [data-check]")
    expect(live).to_have_count(2)
    expect(page.locator("[data-part=status]")).to_have_text("Examining…")
    expect(page.get_by_role("button", name="Examine")).to_be_disabled()
    upstream.open("here")
    card = page.locator("[data-part=card] [data-check]")
    expect(card).to_have_count(15)
    expect(live).to_have_count(0)
    expect(page.get_by_role("heading", name="Findings")).to_be_focused()

    page.locator("[name=model]").fill(MODEL)
    page.get_by_role("button", name="Examine").click()
    expect(page.locator("[data-part=status]")).to_have_text("Examined.")
    expect(page.locator("[data-check=auth]")).to_have_attribute("data-result", "good")
    expect(page.locator("[data-check=include_usage]")).to_contain_text("peculiar")
    page.reload()
    expect(card).to_have_count(15)

    changes = page.locator("[data-part=changes] li")
    expect(changes).to_have_count(2)
    expect(changes.first).to_contain_text("never ask")
    page.get_by_role("button", name="Use these settings").click()
    expect(page.locator(".messagelist")).to_contain_text("in use from now on")
    expect(page.locator("[name=usage_mode]")).to_have_value("never")
    expect(page.locator("[data-check]")).to_have_count(15)
    expect(page.locator("[data-part=changes]")).to_have_count(0)


def test_leaving_the_page_ends_the_examination(diagnosis: Page, upstream: Upstream) -> None:
    page = diagnosis
    upstream.play("slow", answer("1, 2, ", Gate("never"), "3"))
    page.get_by_role("link", name="Examine…").click()
    page.locator("[name=model]").fill("slow")
    page.get_by_role("button", name="Examine").click()
    request = upstream.wait_for_gate("never", timeout=15)
    page.get_by_role("link", name="Home").click()
    upstream.wait_for_close(request)


@pytest.mark.parametrize("width", [360, 1280])
def test_the_card_fits_a_phone(diagnosis: Page, upstream: Upstream, width: int) -> None:
    page = diagnosis
    page.set_viewport_size({"width": width, "height": 800})
    page.get_by_role("link", name="Examine…").click()
    page.locator("[name=model]").fill(MODEL)
    page.get_by_role("button", name="Examine").click()
    expect(page.locator("[data-part=status]")).to_have_text("Examined.")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_what_it_costs_follows_the_model(diagnosis: Page, portal: Portal) -> None:
    page = diagnosis
    (model,) = portal.rows(LanguageModel.objects.filter(name="fake"))
    price = Price(model=model, prompt=Decimal("2.5"), completion=10, valid_from=datetime(2026, 1, 1, tzinfo=UTC))
    portal.change(price.save)
    page.get_by_role("link", name="Examine…").click()
    money = page.locator("[data-part=money]")
    expect(money).to_have_text("At the prices that are set, this is at most $0.0055.")
    page.locator("[name=model]").fill("another")
    expect(money).to_have_text("No price is set for this model.")
    page.locator("[name=model]").fill("fake")
    expect(money).to_have_text("At the prices that are set, this is at most $0.0055.")
    portal.change(Price.objects.all().delete)


def test_blanks_are_no_model_and_a_failure_leaves_the_keyboard_where_it_was(
    diagnosis: Page, upstream: Upstream
) -> None:
    page = diagnosis
    page.get_by_role("link", name="Examine…").click()
    button, status = page.get_by_role("button", name="Examine"), page.locator("[data-part=status]")
    page.locator("[name=model]").fill("   ")
    button.click()
    expect(page.locator("[name=model]")).to_be_focused()
    expect(status).to_be_empty()

    page.route("**/examine/", lambda route: route.fulfill(content_type="text/html", body=""))
    page.locator("[name=model]").fill(MODEL)
    button.focus()
    page.keyboard.press("Enter")
    expect(status).to_have_text("The connection broke off. Examine again.")
    expect(button).to_be_focused()
