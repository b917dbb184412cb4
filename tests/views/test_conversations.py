"""The list of conversations, and what may be asked of it."""

import uuid

import pytest


@pytest.mark.parametrize(
    "place",
    ["x", "0_x_y", "2_2026-11-22T12:00:00+00:00_", "0_0001-01-01T00:00:00+14:00_", "1_9999-12-31T23:59:59-14:00_"],
)
def test_a_place_in_the_list_that_is_none_is_not_found(browse, place):
    assert browse.get("/chat/list/", {"after": f"{place}{uuid.uuid4()}"}).status_code == 404
