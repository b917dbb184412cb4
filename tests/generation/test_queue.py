"""The place in line and the expected wait, which the page shows."""

from __future__ import annotations

import uuid

import pytest

from chat.generation.accept import Admitted
from chat.generation.queue import Entry, Queue


def entry(user_id, waits_for=None):
    ids = [uuid.uuid4() for _ in range(4)]
    return Entry(user_id, Admitted(*ids, "queued", False, 1, 1, 0, waits_for), 600.0)


def waits(queue):
    return [wait_ms for _, _, wait_ms in queue.positions()]


def test_each_user_has_a_line_of_their_own():
    queue = Queue(1)
    entries = [entry(1), entry(1), entry(2)]
    for one in entries:
        queue.add(one)
    assert [(generation, position) for generation, position, _ in queue.positions()] == [
        (entries[0].admitted.generation, 1),
        (entries[1].admitted.generation, 2),
        (entries[2].admitted.generation, 1),
    ]


@pytest.mark.parametrize(
    ("slots", "expected"), [(0, [4000, 8000, 12000]), (1, [4000, 8000, 12000]), (2, [4000, 4000, 8000])]
)
def test_the_expected_wait_is_that_of_the_answers_before(slots, expected):
    queue = Queue(slots)
    for _ in range(3):
        queue.add(entry(1))
    assert waits(queue) == [None, None, None]  # nobody knows yet how long an answer takes
    queue.took(4.0)
    assert waits(queue) == expected


def test_in_one_branch_only_one_answer_is_written_at_a_time():
    queue = Queue(3)
    queue.took(4.0)
    queue.add(entry(1, waits_for=uuid.uuid4()))
    queue.add(entry(1, waits_for=uuid.uuid4()))
    assert waits(queue) == [4000, 8000]


def test_late_answers_count_more_than_old_ones():
    queue = Queue(1)
    queue.took(10.0)
    for _ in range(50):
        queue.took(2.0)
    queue.add(entry(1))
    assert 2000 < waits(queue)[0] < 2100
