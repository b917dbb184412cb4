"""Who may run next: users take turns, and nobody takes more than the slots of user, provider and branch allow."""

import uuid

from chat.generation.accept import Admitted
from chat.generation.queue import Entry, Queue


def entry(user_id, provider=1, slots=0, waits_for=None):
    ids = [uuid.uuid4() for _ in range(4)]
    return Entry(user_id, Admitted(*ids, "queued", False, 1, provider, slots, waits_for), deadline=60)


def begun(queue, *open_runs):
    """Everything that may start now, in its order."""
    taken = []
    while (one := queue.take(open_runs)) is not None:
        taken.append(one)
    return taken


def queue_of(*entries, user_slots=0):
    queue = Queue(user_slots)
    for one in entries:
        queue.add(one)
    return queue


def test_users_take_turns_however_much_one_of_them_asks():
    greedy = [entry(1) for _ in range(5)]
    modest = [entry(2), entry(3)]
    assert [one.user_id for one in begun(queue_of(*greedy, *modest))] == [1, 2, 3, 1, 1, 1, 1]


def test_a_user_has_so_many_slots_and_gets_one_back_at_the_end():
    entries = [entry(1) for _ in range(3)]
    queue = queue_of(*entries, entry(2), user_slots=2)
    assert [one.user_id for one in begun(queue)] == [1, 2, 1]
    assert begun(queue) == []
    queue.done(entries[0].admitted.generation)
    assert begun(queue) == [entries[2]]


def test_a_provider_has_so_many_slots_and_holds_up_no_other():
    narrow = [entry(1, provider=7, slots=1), entry(2, provider=7, slots=1)]
    other = entry(2, provider=8)
    queue = queue_of(*narrow, other)
    assert begun(queue) == [narrow[0], other]
    queue.done(narrow[0].admitted.generation)
    assert begun(queue) == [narrow[1]]


def test_in_a_branch_one_answer_is_written_at_a_time():
    first = entry(1)
    second = entry(1, waits_for=first.admitted.generation)
    queue = queue_of(second, first)
    assert begun(queue, first.admitted.generation) == [first], "the one waited for still waits itself, then it writes"
    assert begun(queue) == [second]
