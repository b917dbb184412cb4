"""The guards of a prompt: one answer for each, and everybody in turn."""

from __future__ import annotations

from bench.guards.guard import ACCEPT, DOORS, MACHINE, OWNERS, QUEUE, TURNS, Guard

PROMPTS = [
    Guard(
        "a key is looked up",
        ACCEPT,
        "    if made is not None:\n        if made[1]",
        "    if made is not None and False:\n        if made[1]",
        (OWNERS + "a_key_is_its_users_own",),
    ),
    Guard(
        "a key belongs to its user",
        ACCEPT,
        "Generation.objects.owned_by(user_id).filter(key=command.key)",
        "Generation.objects.filter(key=command.key)",
        (OWNERS + "a_key_is_its_users_own",),
    ),
    Guard(
        "a key stands for one content",
        ACCEPT,
        "if made[1] != request_hash:",
        "if False:",
        (MACHINE,),
    ),
    Guard(
        "sending again is never too much",
        ACCEPT,
        "    request_hash = hash_of(command)\n    made",
        "    request_hash = hash_of(command)\n    _check_limits(user_id)\n    made",
        (DOORS + "prompts_per_minute_are_limited_but_sending_again_is_not",),
    ),
    Guard(
        "a prompt is bounded",
        ACCEPT,
        "if len(text) > TEXT_BYTES or len(text.encode()) > TEXT_BYTES:",
        "if False:",
        (DOORS + "a_prompt_that_cannot_be_taken_is_refused_and_stores_nothing",),
    ),
    Guard(
        "so many prompts a minute",
        ACCEPT,
        "if per_minute and recent.count() >= per_minute:",
        "if False:",
        (DOORS + "prompts_per_minute_are_limited_but_sending_again_is_not",),
    ),
    Guard(
        "so many running and queued",
        ACCEPT,
        "if running and queued and Generation.objects.owned_by(user_id).unfinished().count() >= running + queued:",
        "if False:",
        (DOORS + "one_user_has_so_many_running_and_queued_and_not_more",),
    ),
    Guard(
        "a prompt goes into one's own conversation",
        ACCEPT,
        "Conversation.objects.owned_by(user_id).filter(pk=command.conversation)",
        "Conversation.objects.filter(pk=command.conversation)",
        (MACHINE,),
    ),
    Guard(
        "regenerate is for one's own answers",
        ACCEPT,
        "Message.objects.owned_by(user_id).filter(pk=command.message)",
        "Message.objects.filter(pk=command.message)",
        (MACHINE,),
    ),
    Guard(
        "a prompt follows an answer of its conversation",
        ACCEPT,
        "conversation.messages.filter(pk=chosen, role=",
        "Message.objects.filter(pk=chosen, role=",
        (OWNERS + "a_prompt_follows_answers_of_its_own_conversation_only",),
    ),
    Guard(
        "one answer at a time in a branch",
        QUEUE,
        "return before is None or (before not in open_runs and self.find(before) is None)",
        "return True",
        (TURNS + "in_a_branch_one_answer_is_written_at_a_time",),
    ),
    Guard(
        "slots of a user",
        QUEUE,
        "if self._user_slots and users[user_id] >= self._user_slots:",
        "if False:",
        (TURNS + "a_user_has_so_many_slots_and_gets_one_back_at_the_end",),
    ),
    Guard(
        "slots of a provider",
        QUEUE,
        "if slots and providers[entry.admitted.provider] >= slots:",
        "if False:",
        (TURNS + "a_provider_has_so_many_slots_and_holds_up_no_other",),
    ),
    Guard(
        "users take turns",
        QUEUE,
        "self._waiting[user_id] = self._waiting.pop(user_id)",
        "pass",
        (TURNS + "users_take_turns_however_much_one_of_them_asks",),
    ),
]
