"""The guards towards model servers: what is continued, where requests go, and what goes with them."""

from __future__ import annotations

from bench.guards.guard import ACCEPT, RUNNER, Guard

CONTINUE = "tests/process/test_continue.py::test_"
ADDRESSES = "tests/providers/test_ip_rules.py::test_"
EVOLUTION = "tests/providers/test_evolution.py::test_"
TRANSPORT, HTTP, KEYS = "chat/providers/transport.py", "chat/providers/http.py", "chat/providers/evolution.py"

UPSTREAMS = [
    Guard(
        "an answer is continued by its owner",
        ACCEPT,
        "mine = Generation.objects.owned_by(user_id).filter(message__conversation__deleted_at=None)",
        "mine = Generation.objects.filter(message__conversation__deleted_at=None)",
        (CONTINUE + "what_cannot_be_continued_is_refused",),
    ),
    Guard(
        "a continued answer keeps its beginning though it was stopped before its turn",
        RUNNER,
        "            log.text,\n            log.reasoning,\n",
        '            "",\n            "",\n',
        (CONTINUE + "stopped_before_its_turn_it_still_has_the_text_it_began_with",),
    ),
    Guard(
        "every address of a name is judged",
        TRANSPORT,
        "not all(may_be_reached(",
        "not any(may_be_reached(",
        (ADDRESSES + "one_forbidden_address_is_enough",),
    ),
    Guard(
        "a refused token is dropped",
        HTTP,
        "                self._auth.drop(token)\n",
        "",
        (EVOLUTION + "a_refused_token_is_renewed_once",),
    ),
    Guard(
        "whoever gives up waiting for a token takes it from nobody",
        KEYS,
        "return await asyncio.shield(self._renewal)",
        "return await self._renewal",
        (EVOLUTION + "whoever_asked_first_may_leave_without_taking_the_token_from_the_others",),
    ),
    Guard(
        "a model of a group is offered to its people",
        "chat/models/language_model.py",
        "~Exists(groups) | Exists(groups.filter(group__user=user_id))",
        "~Exists(groups) | Exists(groups)",
        ("tests/admin/test_connect.py::test_a_model_of_a_group_is_offered_to_its_people_only",),
    ),
    Guard(
        "a request keeps the price it was asked at",
        "chat/ledger.py",
        "**priced(Price.objects.rate(model.pk, created_at) if model else None),",
        "",
        ("tests/process/test_costs.py::test_the_end_tells_the_cost_and_a_new_price_leaves_it_as_it_was",),
    ),
    Guard(
        "what broke off after a kill has its cost",
        "chat/generation/recovery.py",
        "rate=record.rate,",
        "",
        ("tests/process/test_costs.py::test_what_was_stopped_failed_or_killed_has_its_cost_too",),
    ),
    Guard(
        "a price that begins later does not hold yet",
        "chat/models/price.py",
        "valid_from__lte=moment or timezone.now()",
        "valid_from__isnull=False",
        ("tests/models/test_price.py",),
    ),
]
