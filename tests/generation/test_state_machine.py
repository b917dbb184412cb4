"""Prompts, stops, checkpoints, ends, crashes, boot sweeps and writes that come too late, in any order, on the real
database: only the changes of state in TRANSITIONS ever appear, and no end changes any more.
"""

from __future__ import annotations

import uuid

import pytest
from django.contrib.auth import get_user_model
from django.db import connection, transaction
from hypothesis import Phase
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from chat import integrity
from chat.generation import store
from chat.generation.accept import Refusal, accept, queued_admissions
from chat.generation.log import Log
from chat.generation.recovery import sweep
from chat.ledger import Usage
from chat.models import FINAL_STATES, Conversation, Generation, LanguageModel, Provider, State, UsageRecord
from chat.protocol import Regenerate, Send
from chat.timing import Timing
from tests.support.examples import examples

TRANSITIONS = {
    (None, "queued"),
    ("queued", "running"),
    ("queued", "stopped"),
    ("queued", "failed"),  # nobody could start it in time
    ("running", "stopping"),
    *((state, end) for state in ("running", "stopping") for end in FINAL_STATES),
}
WHICH = st.integers(0, 1000)
ENDS = st.sampled_from(FINAL_STATES)
END = ("state", "finish_reason", "error_code", "deltas", "finished_at")
# Making a failure shorter takes minutes on a database: add Phase.shrink by hand.
PHASES = [Phase.generate]
STEPS = hypothesis_settings(max_examples=examples(0.15), stateful_step_count=40, phases=PHASES)
SLOTS, WAITING = 2, 3
COUNTED = Usage(3, 4, 7, source=UsageRecord.UsageSource.COUNTED)


class Known:
    """What a process has in memory of a generation: its log, and what it was told when the prompt was stored."""

    def __init__(self, user_id, command, admitted):
        self.user_id, self.command, self.admitted = user_id, command, admitted
        self.log = Log(admitted.generation, user_id, "boot")

    def end(self, state):
        return store.End(
            self.admitted.generation,
            self.admitted.usage_record,
            State(state),
            text=self.log.text,
            deltas=self.log.seq,
            usage=COUNTED,
            attempts=1,
        )

    def progress(self, finish_reason):
        unsaved = self.log.unsaved(5)
        return store.Progress(self.admitted.generation, self.admitted.usage_record, unsaved, Timing(), 1, finish_reason)


class Portal(RuleBasedStateMachine):
    """One process after the other on one database. `states` is where every generation has to stand."""

    def __init__(self, people, questions):
        super().__init__()
        self.people = people
        self.questions = questions
        self.states = {}
        self.seen = {}
        self.ends = {}
        self.bills = {}
        self.waiting, self.running, self.dead, self.sent = [], [], [], []
        self.undone = transaction.atomic()  # every example finds the database as it was
        self.undone.__enter__()

    def teardown(self):
        transaction.set_rollback(True)
        self.undone.__exit__(None, None, None)

    def write(self, work, *arguments):
        """As the writer does: in a savepoint of its own."""
        with transaction.atomic():
            return work(*arguments)

    # Prompts ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def ask(self, user_id, command):
        mine = [one for one in self.waiting + self.running if one.user_id == user_id]
        unfinished = [one for one in mine if self.states.get(one.admitted.generation)]
        try:
            admitted = self.write(accept, user_id, command)
        except Refusal as refusal:
            assert (refusal.code, len(unfinished)) == ("limit_user", SLOTS + WAITING)
            return
        assert len(unfinished) < SLOTS + WAITING
        assert not admitted.duplicate
        known = Known(user_id, command, admitted)
        self.states[admitted.generation] = "queued"
        self.waiting.append(known)
        self.sent.append(known)

    @rule(who=WHICH, where=WHICH, text=st.sampled_from(["hi", "and then?", "\u2028 \U0001f600"]))
    def send(self, who, where, text):
        user_id = self.people[who % 2]
        own = [one.admitted.conversation for one in self.sent if one.user_id == user_id]
        conversation = (own + [None])[where % (len(own) + 1)]
        self.ask(user_id, Send(uuid.uuid4(), conversation, text))

    @precondition(lambda self: self.sent)
    @rule(which=WHICH)
    def regenerate(self, which):
        known = self.sent[which % len(self.sent)]
        self.ask(known.user_id, Regenerate(uuid.uuid4(), known.admitted.assistant_message))

    @precondition(lambda self: self.sent)
    @rule(which=WHICH)
    def send_again(self, which):
        known = self.sent[which % len(self.sent)]
        again = self.write(accept, known.user_id, known.command)
        assert again.duplicate
        assert (again.generation, again.usage_record) == (known.admitted.generation, known.admitted.usage_record)
        assert again.state == self.states[again.generation]

    @precondition(lambda self: self.sent)
    @rule(which=WHICH)
    def send_something_else_with_a_known_key(self, which):
        known = self.sent[which % len(self.sent)]
        with pytest.raises(Refusal, match="idempotency_mismatch"):
            self.write(accept, known.user_id, Send(known.command.key, None, "something else"))

    @precondition(lambda self: self.sent)
    @rule(which=WHICH)
    def ask_in_a_foreign_conversation(self, which):
        known = self.sent[which % len(self.sent)]
        stranger = self.people[1 - self.people.index(known.user_id)]
        with pytest.raises(Refusal, match="not_found|limit_user"):
            self.write(accept, stranger, Send(uuid.uuid4(), known.admitted.conversation, "mine now"))
        with pytest.raises(Refusal, match="not_found|limit_user"):
            self.write(accept, stranger, Regenerate(uuid.uuid4(), known.admitted.user_message))

    # The process that lives ───────────────────────────────────────────────────────────────────────────────────────

    @precondition(lambda self: self.waiting)
    @rule(which=WHICH)
    def begin(self, which):
        known = self.waiting.pop(which % len(self.waiting))
        began = self.write(store.begin, known.admitted.generation)
        assert began == (known.admitted.generation in self.states)
        if began:
            self.states[known.admitted.generation] = "running"
            self.running.append(known)
        else:
            self.write(store.finish, known.end("stopped"))

    @precondition(lambda self: self.waiting)
    @rule(which=WHICH, end=st.sampled_from(["stopped", "failed"]))
    def end_what_waits(self, which, end):
        self.finish(self.waiting.pop(which % len(self.waiting)), end)

    @precondition(lambda self: self.running)
    @rule(which=WHICH, text=st.text("aé\U0001f600", min_size=1, max_size=3))
    def upstream_sends(self, which, text):
        self.running[which % len(self.running)].log.append(text, "")

    @precondition(lambda self: self.running)
    @rule(reason=st.sampled_from([None, "stop", "length"]))
    def checkpoint(self, reason):
        batch = [one.progress(reason) for one in self.running]
        gone = self.write(store.checkpoint, batch)
        assert gone == {one.generation for one in batch} - self.states.keys()
        for known in self.running:
            known.log.saved = known.log.seq

    @precondition(lambda self: self.running)
    @rule(which=WHICH)
    def request_stop(self, which):
        generation = self.running[which % len(self.running)].admitted.generation
        assert self.write(store.request_stop, generation) == (self.states.get(generation) == "running")
        if generation in self.states:
            self.states[generation] = "stopping"

    @precondition(lambda self: self.running)
    @rule(which=WHICH, end=ENDS)
    def end_what_runs(self, which, end):
        self.finish(self.running.pop(which % len(self.running)), end)

    def finish(self, known, end):
        generation = known.admitted.generation
        assert self.write(store.finish, known.end(end)) == (generation in self.states)
        if generation in self.states:
            self.states[generation] = end
            assert Generation.objects.get(pk=generation).message.content == known.log.text
        self.dead.append(known)  # what still comes of it comes too late
        record = UsageRecord.objects.get(pk=known.admitted.usage_record)
        assert (record.state, record.closed_at is None) == (end, False)

    @precondition(lambda self: self.running)
    @rule(which=WHICH, end=ENDS)
    def end_in_a_transaction_that_is_lost(self, which, end):
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            store.finish(self.running[which % len(self.running)].end(end))
            raise ZeroDivisionError

    @precondition(lambda self: self.sent)
    @rule(which=WHICH)
    def delete(self, which):
        conversation = self.sent[which % len(self.sent)].admitted.conversation
        self.write(Conversation.objects.filter(pk=conversation).delete)
        for known in [one for one in self.sent if one.admitted.conversation == conversation]:
            self.sent.remove(known)
            for book in (self.states, self.seen, self.ends):
                book.pop(known.admitted.generation, None)

    # The end of the process, the next one, and what comes too late ──────────────────────────────────────────────────

    @precondition(lambda self: self.running or self.waiting)
    @rule()
    def crash(self):
        texts = {one.admitted.generation: "".join(one.log._texts[: one.log.saved]) for one in self.running}
        left = [generation for generation in texts if generation in self.states]
        assert sweep() == len(left)
        for generation in left:
            self.states[generation] = "stopped" if self.states[generation] == "stopping" else "interrupted"
            assert Generation.objects.get(pk=generation).message.content == texts[generation]
        self.dead += self.running
        self.waiting = [one for one in self.waiting if one.admitted.generation in self.states]
        self.running = []
        taken_up = [admitted.generation for _, admitted in queued_admissions()]
        assert taken_up == [g for g, state in self.states.items() if state == "queued"]
        assert sweep() == 0

    @precondition(lambda self: self.dead)
    @rule(which=WHICH, end=ENDS, reason=st.sampled_from([None, "late"]))
    def what_comes_too_late_changes_nothing(self, which, end, reason):
        known = self.dead[which % len(self.dead)]
        known.log.append("too late", "")
        assert not self.write(store.begin, known.admitted.generation)
        assert not self.write(store.request_stop, known.admitted.generation)
        self.write(store.checkpoint, [known.progress(reason)])
        assert not self.write(store.finish, known.end(end))

    # After every step ─────────────────────────────────────────────────────────────────────────────────────────────

    def rows(self, question):
        with connection.cursor() as cursor:
            return cursor.execute(*self.questions[question]).fetchall()

    @invariant()
    def every_change_of_state_is_one_of_the_table(self):
        states = {uuid.UUID(pk): state for pk, state in self.rows("states")}
        for generation, state in states.items():
            before = self.seen.get(generation)
            assert before == state or (before, state) in TRANSITIONS
        assert states == self.states
        self.seen = states

    @invariant()
    def no_end_changes(self):
        for generation, *end in self.rows("ends"):
            assert self.ends.setdefault(uuid.UUID(generation), end) == end
        for record, *bill in self.rows("bills"):
            assert self.bills.setdefault(record, bill) == bill

    @invariant()
    def the_books_are_in_order(self):
        for one in integrity.INVARIANTS:
            assert self.rows(one.name) == [], one.name


def asked_after_every_step():
    """What to ask the database, as SQL: to make it anew for every step would take longer than everything else."""
    ended = Generation.objects.filter(state__in=FINAL_STATES)
    # A record's link to its generation is emptied when the conversation is deleted.
    bill = [field.attname for field in UsageRecord._meta.concrete_fields if field.name not in ("id", "generation")]
    questions = {one.name: one.broken("default").values_list("pk") for one in integrity.INVARIANTS} | {
        "states": Generation.objects.values_list("pk", "state"),
        "ends": ended.values_list("pk", *END, "message__content", "message__reasoning"),
        "bills": UsageRecord.objects.exclude(closed_at=None).values_list("pk", *bill),
    }
    return {name: rows.query.sql_with_params() for name, rows in questions.items()}


def test_only_the_changes_of_the_table_appear_and_no_end_changes(db, settings):
    settings.PORTAL_USER_RUNNING, settings.PORTAL_USER_QUEUED = SLOTS, WAITING
    settings.PORTAL_USER_PROMPTS_PER_MINUTE = 0
    provider = Provider.objects.create(name="upstream", base_url="https://llm.example.org/v1")
    LanguageModel.objects.create(provider=provider, name="gpt-4o-mini")
    people = [get_user_model().objects.create_user(name).pk for name in ("owner", "colleague")]
    questions = asked_after_every_step()
    run_state_machine_as_test(lambda: Portal(people, questions), settings=STEPS)
