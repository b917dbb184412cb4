"""What another site makes a browser send changes nothing."""

import pytest
from django.test import Client

from chat.models import Conversation


@pytest.mark.parametrize(
    "address",
    [
        "/chat/",
        "/chat/tokens/",
        "/chat/{id}/details/",
        "/chat/{id}/delete/",
        "/chat/{id}/restore/",
        "/accounts/logout/",
        "/accounts/password_change/",
    ],
)
def test_no_post_counts_without_the_token_of_its_page(owner, address):
    conversation = Conversation.objects.create(owner=owner, title="About rivers")
    browser = Client(enforce_csrf_checks=True, raise_request_exception=False)
    browser.force_login(owner)
    answer = browser.post(address.format(id=conversation.pk), {"title": "Theirs"})
    assert answer.status_code == 403
    assert [(one.title, one.deleted_at) for one in Conversation.objects.all()] == [("About rivers", None)]
