"""Checks that run beside the tests."""

import sys

import pytest

from chatsite import launcher


def shell(script):
    return [sys.executable, "-c", script]


@pytest.fixture
def checks(monkeypatch):
    """Two checks: one is satisfied, the other is not."""
    commands = {"calm": shell("print('all is well')"), "cross": shell("print('this is wrong'); raise SystemExit(3)")}
    monkeypatch.setattr(launcher, "checks", lambda: commands)
    return commands


def test_a_check_beside_the_tests_tells_its_findings_after_them_and_its_code_counts(checks, capfd):
    with launcher.beside(["calm", "cross"]) as running:
        print("a test passed")
        assert [check.finish() for check in running] == [True, False]
    printed = capfd.readouterr()
    assert printed.out == "a test passed\nthis is wrong\n"
    assert [line.split()[1:3] for line in printed.err.splitlines()] == [["calm", "ok"], ["cross", "FAILED"]]


def test_a_check_beside_the_tests_ends_with_them(checks):
    checks["endless"] = shell("import time; time.sleep(60)")
    with pytest.raises(KeyboardInterrupt), launcher.beside(["endless"]) as running:
        raise KeyboardInterrupt
    with pytest.raises(ValueError, match="closed file"):
        running[0].finish()
