"""Every guard: its marker in the sources, how it is taken out, and the tests that have to notice."""

from __future__ import annotations

import ast

from tests.mutation.guard import Guard
from tests.mutation.mutations import (
    call,
    call_on,
    call_result,
    compare,
    condition,
    condition_without,
    delete,
    delete_line,
    follow_by,
    left_operand,
    move_up,
    once,
    swap_with_next,
    unwrap,
    value,
    without_argument,
    without_method,
)

MACHINE = "tests/generation/test_state_machine.py"
STREAM_JS = "tests/js/stream.test.mjs"
ACCESS = "tests/test_access.py::test_"
ANY_USER = 'import_module("chat.models").User.objects.get(pk=request.session["_auth_user_id"])'
ADMISSION = "tests/process/test_doors.py::test_"
CONSUMER = "tests/test_consumers.py::test_"
CONTINUE = "tests/process/test_continue.py::test_"
COSTS = "tests/process/test_costs.py::test_"
EVOLUTION = "tests/providers/test_evolution.py::test_"
LOG = "tests/generation/test_log.py::test_"
OWNERS = "tests/generation/test_owners.py::test_"
PAGES = "tests/views/test_pages.py::test_"
RECOVERY = "tests/generation/test_recovery.py::test_"
RUNNER = "tests/generation/test_runner.py::test_"
SHUTDOWN = "tests/process/test_shutdown.py::test_"
TABS = "tests/process/test_watching.py::test_"
TURNS = "tests/generation/test_turns.py::test_"

PLACES = LOG + "only_the_current_epoch_with_a_place_in_the_log_goes_on_without_a_snapshot"
LOST = "tests/test_database.py::test_nobody_is_told_of_a_commit_when_the_whole_transaction_is_lost"
FOREIGN_ANSWER = OWNERS + "a_foreign_answer_cannot_be_followed_while_it_runs_nor_later"
FOREIGN_STOP = OWNERS + "a_foreign_answer_cannot_be_stopped"
FOREIGN_PAGE = TABS + "what_a_colleague_sends_to_ones_addresses_is_not_found"
FOREIGN_TAB = TABS + "a_foreign_conversation_cannot_be_watched_and_nothing_of_it_is_heard"
ORIGIN = ACCESS + "only_one_known_origin_at_one_of_our_hosts_comes_in"
INBOUND = ACCESS + "what_waits_for_a_busy_consumer_is_bounded"
PER_MINUTE = ADMISSION + "prompts_per_minute_are_limited_but_sending_again_is_not"
KEPT_TEXT = CONTINUE + "stopped_before_its_turn_it_still_has_the_text_it_began_with"
UNCHECKED_END = RUNNER + "an_end_that_cannot_be_stored_as_it_is_is_stored_without_its_figures"
UNFINISHED_END = RUNNER + "the_end_of_the_portal_waits_for_an_end_that_is_being_stored"
FIRST_STEP = RUNNER + "a_stop_before_the_task_took_its_first_step_ends_the_generation"
ROOM = CONSUMER + "a_frame_is_made_when_there_is_room_for_it"
GATE = "tests/chatsite/test_server.py::test_who_is_let_through_and_fills_the_buffer_stops_those_behind"
NO_TOKEN = "tests/views/test_tokens_of_forms.py::test_no_post_counts_without_the_token_of_its_page"
FOREIGN_COUNT = "tests/views/test_tokens.py::test_a_foreign_conversation_is_as_unknown_as_none"
FAULTS = "tests/process/test_upstream_faults.py::test_a_fault_ends_with_its_code_and_keeps_the_text"
GROUPS = "tests/admin/test_connect.py::test_a_model_of_a_group_is_offered_to_its_people_only"
ADDRESSES = "tests/providers/test_ip_rules.py::test_one_forbidden_address_is_enough"
DRAIN = SHUTDOWN + "an_answer_that_ends_within_the_drain_is_completed_and_a_new_prompt_is_refused"


FOLLOWING = [
    Guard("a place counts in its own log only", condition_without(0), PLACES),
    Guard("a place beyond the log is none", condition_without(1), PLACES),
    Guard(
        "a snapshot and its place are one moment",
        swap_with_next(),
        LOG + "what_comes_while_a_snapshot_is_sent_follows_it",
    ),
    Guard("a delta frame is bounded", condition(False), LOG + "no_delta_frame_carries_more_than_64_kib"),
    Guard(
        "no checkpoint follows the end of its log",
        condition_without(0),
        LOG + "a_checkpoint_takes_what_no_checkpoint_has_stored",
    ),
    Guard("a socket follows a generation once", delete(), CONSUMER + "a_new_following_takes_the_place_of_the_old"),
    Guard("no delta over a gap", delete_line(), STREAM_JS),
    Guard("no delta twice", delete_line(), STREAM_JS),
    Guard("no end over a gap", delete_line(), STREAM_JS),
]

STORING = [
    Guard("a change of state compares before it sets", without_argument("state__in"), MACHINE),
    Guard("a late checkpoint appends nothing", without_method("unfinished"), MACHINE),
    Guard("a late checkpoint changes no finish reason", without_method("unfinished"), MACHINE),
    Guard("a usage record is closed once", without_method("unclosed"), MACHINE),
    Guard("what is lost with a whole transaction is tried again", call("OperationalError", "DatabaseError"), LOST),
    Guard("no caller hears of a write before its commit", follow_by("_resolve([job])"), LOST),
    Guard("no text is joined over a hole", delete(), RECOVERY + "a_hole_in_the_segments_ends_the_text_there"),
    Guard("what was being stopped is recovered as stopped", value("False"), RECOVERY + "what_ran_is_folded_and_closed"),
    Guard("a data directory has one portal", delete(), RECOVERY + "a_directory_belongs_to_one_portal_at_a_time"),
    Guard("serving takes the lock", delete(), SHUTDOWN + "a_second_portal_on_the_same_data_says_so_and_exits_with_1"),
    Guard(
        "what was deleted stays for Undo",
        left_operand(),
        OWNERS + "nothing_goes_for_good_before_it_is_too_late_to_bring_it_back",
    ),
    Guard(
        "only an answer that a tab shows is stored as seen",
        call_result("is_watched", "True"),
        TABS + "opening_a_conversation_makes_its_answer_seen",
    ),
]

RUNNING = [
    Guard("nothing is asked again once text has come", condition(False), FAULTS),
    Guard("a stop before the first step is kept", delete(), FIRST_STEP),
    Guard("no cancel hits the storing of an end", condition_without(1), UNFINISHED_END),
    Guard("an end that cannot be stored is stored without its figures", unwrap("bare"), UNCHECKED_END),
    Guard("a portal that ends takes no prompt", delete(), DRAIN),
]

PROMPTS = [
    Guard("a key is looked up", condition(False), OWNERS + "a_key_is_its_users_own"),
    Guard("a key belongs to its user", without_method("owned_by"), OWNERS + "a_key_is_its_users_own"),
    Guard("a key stands for one content", condition(False), MACHINE),
    Guard("sending again is never too much", move_up(), PER_MINUTE),
    Guard(
        "the length of a prompt is limited",
        condition(False),
        ADMISSION + "a_prompt_that_cannot_be_taken_is_refused_and_stores_nothing",
    ),
    Guard("prompts per minute are limited", condition(False), PER_MINUTE),
    Guard(
        "running and queued prompts are limited",
        condition(False),
        ADMISSION + "one_user_has_so_many_running_and_queued_and_not_more",
    ),
    Guard("a prompt goes into one's own conversation", without_method("owned_by"), MACHINE),
    Guard("regenerate is for one's own answers", without_method("owned_by"), MACHINE),
    Guard(
        "a prompt follows an answer of its conversation",
        call_on("filter", "Message.objects"),
        OWNERS + "a_prompt_follows_answers_of_its_own_conversation_only",
    ),
    Guard("one answer at a time in a branch", value("True"), TURNS + "in_a_branch_one_answer_is_written_at_a_time"),
    Guard(
        "the slots of a user are limited",
        condition(False),
        TURNS + "a_user_has_so_many_slots_and_gets_one_back_at_the_end",
    ),
    Guard(
        "the slots of a provider are limited",
        condition(False),
        TURNS + "a_provider_has_so_many_slots_and_holds_up_no_other",
    ),
    Guard("users take turns", delete(), TURNS + "users_take_turns_however_much_one_of_them_asks"),
]

OWNERSHIP = [
    Guard("a running answer is followed by its owner", delete(), FOREIGN_ANSWER),
    Guard("a stored answer is followed by its owner", without_method("owned_by"), FOREIGN_ANSWER),
    Guard("a running answer is stopped by its owner", condition_without(1), FOREIGN_STOP),
    Guard("a foreign answer that has ended is unknown, too", without_method("owned_by"), FOREIGN_STOP),
    Guard(
        "an answer is continued by its owner",
        without_method("owned_by"),
        CONTINUE + "what_cannot_be_continued_is_refused",
    ),
    Guard("a conversation is watched by its owner", without_method("owned_by"), FOREIGN_TAB),
    Guard("events go to the tabs of their user", value("set().union(*self._subscriptions.values())"), FOREIGN_TAB),
    Guard("a conversation is deleted by its owner", without_method("owned_by"), FOREIGN_PAGE),
    Guard(
        "a conversation is brought back by its owner",
        without_argument("owner_id"),
        OWNERS + "what_somebody_else_deleted_is_not_brought_back",
    ),
    Guard("a conversation is changed by its owner", without_method("owned_by"), FOREIGN_PAGE),
    Guard("details are read by their owner", without_method("visible_to"), FOREIGN_PAGE),
    Guard(
        "a page is seen by its owner",
        without_method("visible_to"),
        PAGES + "a_foreign_conversation_is_as_unknown_as_none",
    ),
    Guard("a prompt is counted in a conversation by its owner", without_argument("owner_id"), FOREIGN_COUNT),
    Guard(
        "what is deleted is gone for the socket",
        without_argument("deleted_at"),
        TABS + "what_the_page_changes_reaches_every_tab",
    ),
    Guard("a model of a group is offered to its people", without_argument("group__user"), GROUPS),
]

ENTRY = [
    Guard("the origin is one of ours", condition_without(2), ORIGIN),
    Guard("there is one origin", compare(ast.Lt), ORIGIN),
    Guard("the host is one of ours", value("bool(host)"), ORIGIN),
    Guard("a session ends with its account", value(ANY_USER), ACCESS + "a_session_ends_with_the_account"),
    Guard("a session ends with its password", value(ANY_USER), ACCESS + "a_session_ends_with_its_password"),
    Guard(
        "a socket changes no session",
        value("import_module(settings.SESSION_ENGINE).SessionStore(key)"),
        ACCESS + "a_session_signed_with_an_old_key_is_its_users_and_stays_as_it_is",
    ),
    Guard(
        "every command asks for the session again", delete(), ADMISSION + "a_logout_ends_what_the_open_socket_may_do"
    ),
    Guard("a page needs a login", delete(), PAGES + "nobody_sees_a_page_without_logging_in"),
    Guard("a post carries its token", delete(), NO_TOKEN),
]

LIMITS = [
    Guard("what comes in is bounded in frames", condition_without(1), INBOUND),
    Guard("what comes in is bounded in bytes", condition_without(2), INBOUND),
    Guard("the rate of commands is limited", condition(False), ADMISSION + "too_many_commands_close_with_4008"),
    Guard(
        "the number of bad commands is limited", condition(False), ADMISSION + "too_many_bad_commands_close_with_4008"
    ),
    Guard("the number of sockets is limited", condition(False), ADMISSION + "one_user_has_so_many_sockets"),
    Guard(
        "a body is bounded by what it announces",
        condition(False),
        ADMISSION + "an_announced_body_over_5_mib_is_refused_before_it_comes",
    ),
    Guard(
        "a body is bounded as it comes", condition(False), ADMISSION + "a_body_over_5_mib_is_refused_while_it_arrives"
    ),
    Guard(
        "a frame is written when there is room",
        condition(False),
        ADMISSION + "a_browser_that_never_reads_cannot_fill_the_memory_by_following_again",
    ),
    Guard("the gate is read again after the wait", once(), GATE),
    Guard("the first frame is made when there is room", delete(), ROOM),
    Guard("a further frame is made when there is room", delete(), ROOM),
]

UPSTREAMS = [
    Guard("a continued answer that never ran keeps its text", value("''"), KEPT_TEXT),
    Guard("a continued answer that never ran keeps its reasoning", value("''"), KEPT_TEXT),
    Guard("every address of a name is judged", call("all", "any"), ADDRESSES),
    Guard("a refused token is dropped", delete(), EVOLUTION + "a_refused_token_is_renewed_once"),
    Guard(
        "whoever gives up waiting for a token takes it from nobody",
        unwrap("shield"),
        EVOLUTION + "whoever_asked_first_may_leave_without_taking_the_token_from_the_others",
    ),
    Guard(
        "a request keeps the price it was asked at",
        delete(),
        COSTS + "the_end_tells_the_cost_and_a_new_price_leaves_it_as_it_was",
    ),
    Guard(
        "what broke off after a kill has its cost",
        delete(),
        COSTS + "what_was_stopped_failed_or_killed_has_its_cost_too",
    ),
    Guard(
        "a price that begins later does not hold yet", without_argument("valid_from__lte"), "tests/models/test_price.py"
    ),
]

GUARDS = [*FOLLOWING, *STORING, *RUNNING, *PROMPTS, *OWNERSHIP, *ENTRY, *LIMITS, *UPSTREAMS]
