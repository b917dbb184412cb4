"""The guards of an answer: how it is followed, stored and ended."""

from __future__ import annotations

from bench.guards.guard import (
    DOOR,
    FOLLOWING_JS,
    LOG,
    LOGS,
    MACHINE,
    OWNERS,
    RECOVERY,
    RUN,
    RUNNER,
    STORE,
    TABS,
    TALK,
    Guard,
)

FOLLOWING = [
    Guard(
        "a place counts in its own log only",
        LOG,
        "if epoch == self.epoch and 0 <= after <= self.seq:",
        "if 0 <= after <= self.seq:",
        (LOGS + "only_the_current_epoch_with_a_place_in_the_log_goes_on_without_a_snapshot",),
    ),
    Guard(
        "a place beyond the log is none",
        LOG,
        "if epoch == self.epoch and 0 <= after <= self.seq:",
        "if epoch == self.epoch:",
        (LOGS + "only_the_current_epoch_with_a_place_in_the_log_goes_on_without_a_snapshot",),
    ),
    Guard(
        "a snapshot and its place are one moment",
        LOG,
        "                place = self.seq\n                yield self.snapshot()\n",
        "                yield self.snapshot()\n                place = self.seq\n",
        (LOGS + "what_comes_while_a_snapshot_is_sent_follows_it",),
    ),
    Guard(
        "a delta frame is bounded",
        LOG,
        "if size > DELTA_BYTES and upto > prev:",
        "if False:",
        (LOGS + "no_delta_frame_carries_more_than_64_kib",),
    ),
    Guard(
        "no checkpoint follows the end of its log",
        LOG,
        "if self.closing or self.saved == self.seq:",
        "if self.saved == self.seq:",
        (LOGS + "a_checkpoint_takes_what_no_checkpoint_has_stored",),
    ),
    Guard(
        "one following a generation and socket",
        DOOR,
        "        self.unfollow(generation)\n        self.followings[generation] =",
        "        self.followings[generation] =",
        ("tests/test_consumers.py::test_a_new_following_takes_the_place_of_the_old",),
    ),
    Guard(
        "the page takes a delta only where it fits",
        FOLLOWING_JS,
        "    if (frame.prev !== this.seq) return this.#gap();\n",
        "",
        ("tests/js/following.test.mjs",),
    ),
    Guard(
        "the page takes no delta twice",
        FOLLOWING_JS,
        '    if (frame.seq <= this.seq) return "ignored";\n',
        "",
        ("tests/js/following.test.mjs",),
    ),
    Guard(
        "the page takes the end only with all before it",
        FOLLOWING_JS,
        "        if (frame.seq !== this.seq) return this.#gap();\n",
        "",
        ("tests/js/following.test.mjs",),
    ),
]

STORING = [
    Guard(
        "a change of state compares before it sets",
        "chat/models/generation.py",
        "return self.filter(pk=pk, state__in=states)",
        "return self.filter(pk=pk)",
        (MACHINE,),
    ),
    Guard(
        "a late checkpoint appends nothing",
        STORE,
        "Generation.objects.unfinished().filter(pk__in=ids)",
        "Generation.objects.filter(pk__in=ids)",
        (MACHINE,),
    ),
    Guard(
        "a late checkpoint changes no finish reason",
        STORE,
        "Generation.objects.unfinished().filter(pk=one.generation).update(",
        "Generation.objects.filter(pk=one.generation).update(",
        (MACHINE,),
    ),
    Guard(
        "a usage record is closed once",
        "chat/ledger.py",
        "UsageRecord.objects.unclosed().filter(pk=record).update(**_facts",
        "UsageRecord.objects.filter(pk=record).update(**_facts",
        (MACHINE,),
    ),
    Guard(
        "what is lost with a whole transaction is tried again",
        "chat/database.py",
        'raise OperationalError(f"the transaction was lost: {error}") from error',
        'raise DatabaseError(f"the transaction was lost: {error}") from error',
        ("tests/test_database.py::test_nobody_is_told_of_a_commit_when_the_whole_transaction_is_lost",),
    ),
    Guard(
        "the sweep joins no text over a hole",
        STORE,
        "        if segment.prev != seq:\n            break\n",
        "",
        ("tests/generation/test_recovery.py::test_a_hole_in_the_segments_ends_the_text_there",),
    ),
    Guard(
        "what was being stopped is swept as stopped",
        RECOVERY,
        "stopped = generation.state == State.STOPPING",
        "stopped = False",
        ("tests/generation/test_recovery.py::test_what_ran_is_folded_and_closed",),
    ),
    Guard(
        "nobody is told before the commit",
        "chat/database.py",
        "                    self._do(job)\n",
        "                    self._do(job)\n                    _resolve([job])\n",
        ("tests/test_database.py::test_nobody_is_told_of_a_commit_when_the_whole_transaction_is_lost",),
    ),
    Guard(
        "a data directory has one portal",
        RECOVERY,
        "        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)\n",
        "        pass\n",
        ("tests/generation/test_recovery.py::test_a_directory_belongs_to_one_portal_at_a_time",),
    ),
    Guard(
        "serving takes the lock",
        "chatsite/management/commands/serve.py",
        "            lock.acquire()\n",
        "            pass\n",
        ("tests/process/test_shutdown.py::test_a_second_portal_on_the_same_data_says_so_and_exits_with_1",),
    ),
    Guard(
        "what was deleted stays for Undo",
        TALK,
        "deleted_at__lt=timezone.now() - KEPT",
        "deleted_at__lt=timezone.now()",
        (OWNERS + "nothing_goes_for_good_before_it_is_too_late_to_bring_it_back",),
    ),
    Guard(
        "seen is what a tab had open",
        RUNNER,
        "seen=news.is_watched(log.owner_id, log.conversation)",
        "seen=True",
        (TABS + "opening_a_conversation_makes_its_answer_seen",),
    ),
]

RUNNING = [
    Guard(
        "nothing is asked again once text has come",
        RUN,
        "wait = None if self.log.seq else retry.delay(",
        "wait = retry.delay(",
        ("tests/process/test_upstream_faults.py::test_a_fault_ends_with_its_code_and_keeps_the_text",),
    ),
    Guard(
        "a stop before the first step is kept",
        RUN,
        "            if self.cancelled:  # before its task took the first step\n"
        "                raise asyncio.CancelledError\n",
        "",
        ("tests/generation/test_runner.py::test_a_stop_before_the_task_took_its_first_step_ends_the_generation",),
    ),
    Guard(
        "no cancel hits the storing of an end",
        RUNNER,
        "if not run.cancelled and not run.over:",
        "if not run.cancelled:",
        ("tests/generation/test_runner.py::test_the_end_of_the_portal_waits_for_an_end_that_is_being_stored",),
    ),
    Guard(
        "an end that cannot be stored is stored bare",
        RUNNER,
        "end = replace(store.bare(end), state=State.FAILED",
        "end = replace(end, state=State.FAILED",
        ("tests/generation/test_runner.py::test_an_end_that_cannot_be_stored_as_it_is_is_stored_without_its_figures",),
    ),
    Guard(
        "a portal that ends takes no prompt",
        RUNNER,
        '        if self.draining.is_set():\n            return Refused(key, Code.SERVER_RESTARTING)\n',
        "",
        (
            "tests/process/test_shutdown.py"
            "::test_an_answer_that_ends_within_the_drain_is_completed_and_a_new_prompt_is_refused",
        ),
    ),
]
