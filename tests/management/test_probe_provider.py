"""`manage.py probe_provider`: a table for people, JSON for programs, an exit code for both."""

from __future__ import annotations

import json
import threading

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from chat.diagnosis import CHECKS
from chat.models import LanguageModel, Provider, UsageRecord
from tests.support.upstream import Gate, Upstream, answer

SECRET = "sk-canary-0123456789abcdef"


@pytest.fixture
def provider(db, upstream: Upstream):
    one = Provider(name="upstream", base_url=upstream.base_url, private_network=True)
    one.set_credentials(SECRET)
    one.save()
    LanguageModel.objects.create(provider=one, name="another", position=2)
    LanguageModel.objects.create(provider=one, name="behaving", position=1)
    return one


def probe(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout, stderr."""
    code = 0
    try:
        call_command("probe_provider", *arguments)
    except SystemExit as left:
        code = int(left.code or 0)
    out, err = capsys.readouterr()
    assert SECRET not in out + err
    return code, out, err


def test_the_table_says_each_check_and_progress_goes_to_stderr(provider, capsys, upstream):
    code, out, err = probe(capsys, "upstream")
    assert code == 0
    assert out.startswith("behaving: 13 good, 1 peculiar, 1 not checked\n")
    for words in ("✓ Address", "✓ Key", "! List of models", "– Stopping an answer", "127.0.0.1 is found"):
        assert words in out
    assert max(len(line) for line in out.splitlines()) <= 100
    assert err.startswith("Asking behaving: at most 7 questions") and err.count("\n") == 1 + len(CHECKS)
    provider.refresh_from_db()
    assert [finding["check"] for finding in provider.findings] == list(CHECKS) and provider.examined_at
    record = UsageRecord.objects.first()
    assert (record.user, record.user_name, record.source) == (None, "manage.py", "probe")
    assert UsageRecord.objects.count() == 5


def test_something_bad_is_exit_code_1(provider, capsys):
    code, out, _err = probe(capsys, "upstream", "--model", "behaving:ignores-stop")
    assert code == 1 and "✗ Texts to stop at" in out


def test_a_server_that_is_away_is_exit_code_1_and_no_traceback(provider, capsys):
    provider.base_url = "http://no-such-host.invalid/v1"
    provider.set_credentials("")
    provider.save()
    code, out, _err = probe(capsys, "upstream")
    assert code == 1 and "The name in the address is not found." in out
    assert not UsageRecord.objects.exists()


def test_json_holds_everything_and_nothing_else_is_on_stdout(provider, capsys):
    code, out, _err = probe(capsys, "upstream", "--json", "--model", "behaving:refuses-usage")
    told = json.loads(out)
    assert code == 0
    assert (told["provider"], told["model"], told["applied"]) == ("upstream", "behaving:refuses-usage", False)
    assert [finding["check"] for finding in told["findings"]] == list(CHECKS)
    assert set(told["findings"][0]) == {"check", "result", "seconds", "detail"}
    assert told["settings"] == {"usage_mode": "never"}
    provider.refresh_from_db()
    assert provider.usage_mode == "auto" and provider.examined_at.isoformat() == told["examined_at"]


def test_what_is_suggested_is_set_when_that_is_asked_for(provider, capsys):
    _code, out, _err = probe(capsys, "upstream", "--model", "behaving:refuses-usage")
    assert "Suggested settings (--apply):" in out and "→ never ask" in out
    _code, out, _err = probe(capsys, "upstream", "--model", "behaving:refuses-usage", "--apply")
    assert "These settings are in use from now on:" in out and "→ never ask" in out
    provider.refresh_from_db()
    assert provider.usage_mode == "never" and provider.credentials().secret == SECRET


def test_an_unknown_name_is_answered_with_those_there_are(provider):
    Provider.objects.create(name="also there", base_url="https://api.example.com/v1")
    with pytest.raises(CommandError, match=r"no provider named 'nobody'. There are: also there, upstream\."):
        call_command("probe_provider", "nobody")


def test_a_provider_without_models_needs_a_name(provider):
    provider.models.all().delete()
    with pytest.raises(CommandError, match="--model"):
        call_command("probe_provider", "upstream")


def test_a_key_that_nobody_can_read_is_said(provider, settings, upstream):
    settings.PORTAL_KEYRING = [b"YW5vdGhlci1rZXktYW5vdGhlci1rZXktYW5vdGhlcjE="]
    with pytest.raises(CommandError, match="PORTAL_KEYRING"):
        call_command("probe_provider", "upstream")
    assert upstream.requests == []


@pytest.mark.django_db(transaction=True)
def test_a_server_that_was_exchanged_meanwhile_is_said(provider, upstream):
    upstream.play("slow", answer("1, 2, ", Gate("here"), "3"))

    def exchange() -> None:
        upstream.wait_for_gate("here")
        Provider.objects.update(base_url="https://other.example/v1")
        connection.close()
        upstream.open("here")

    exchanging = threading.Thread(target=exchange)
    exchanging.start()
    with pytest.raises(CommandError, match="tells of another server"):
        call_command("probe_provider", "upstream", "--model", "slow")
    exchanging.join()
    provider.refresh_from_db()
    assert (provider.findings, provider.examined_at) == ([], None)
