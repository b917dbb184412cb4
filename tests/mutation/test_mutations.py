"""What a mutation does to a marked piece of a source, and that it finds the piece that is meant."""

from __future__ import annotations

import ast

import pytest

from tests.mutation import mutations
from tests.mutation.guard import Marker, markers_of
from tests.mutation.mutations import NotApplicable


@pytest.mark.parametrize(
    ("mutation", "source", "expected"),
    [
        (mutations.delete(), "if a:\n    raise b", "pass"),
        (mutations.delete(), "@a\ndef b():\n    pass", "def b():\n    pass"),
        (mutations.condition(False), "if a:\n    b()", "if False:\n    b()"),
        (mutations.condition(True), "x = 1 if a else b", "x = 1 if True else b"),
        (mutations.condition_without(1), "if a and b and c:\n    d()", "if a and c:\n    d()"),
        (mutations.compare(ast.Lt), "if len(a) != 1 or b == 2:\n    c()", "if len(a) < 1 or b == 2:\n    c()"),
        (mutations.value("False"), "a = b == c", "a = False"),
        (mutations.value("d"), "for a in b(c):\n    a()", "for a in d:\n    a()"),
        (mutations.without_method("mine"), "a = B.mine(c).filter(d)", "a = B.filter(d)"),
        (mutations.unwrap("shield"), "a = await asyncio.shield(b)", "a = await b"),
        (mutations.call("all", "any"), "if not all(a):\n    b()", "if not any(a):\n    b()"),
        (mutations.call_result("seen", "True"), "a = b(c=d.seen(e, f))", "a = b(c=True)"),
        (mutations.call_on("filter", "B.all"), "a = c.d.filter(e).first()", "a = B.all.filter(e).first()"),
        (mutations.without_argument("c"), "a = x().b(c=1, d=2)", "a = x().b(d=2)"),
        (mutations.left_operand(), "a = b(c=d() - e)", "a = b(c=d())"),
        (mutations.once(), "while a:\n    b()", "if a:\n    b()"),
        (mutations.swap_with_next(), "a()\nb()\nc()", "b()\na()\nc()"),
        (mutations.follow_by("b()"), "a()\nc()", "a()\nb()\nc()"),
    ],
)
def test_a_mutation_changes_the_marked_piece(mutation, source, expected):
    assert mutation(source, 1) == expected + "\n"


def test_a_statement_moves_to_the_top_of_its_block():
    assert mutations.move_up()("if a:\n    b()\n    c()\nd()", 3) == "if a:\n    c()\n    b()\nd()\n"


def test_an_element_and_an_argument_can_be_marked_on_lines_of_their_own():
    assert mutations.delete()("A = [\n    1,\n    2,\n]", 3) == "A = [1]\n"
    assert mutations.delete()("a(\n    b=1,\n    c=2,\n)", 2) == "a(c=2)\n"
    assert mutations.value("''")("a(\n    b.c,\n    d,\n)", 2) == "a('', d)\n"


def test_a_line_of_any_language_can_be_deleted():
    assert mutations.delete_line()("a {\n  b();\n  c();\n}\n", 2) == "a {\n  c();\n}\n"


@pytest.mark.parametrize(
    ("mutation", "source", "line"),
    [
        (mutations.condition(False), "a = b", 1),
        (mutations.condition_without(2), "if a and b:\n    c()", 1),
        (mutations.without_method("mine"), "a = B.filter(c)", 1),
        (mutations.without_argument("c"), "a = b(d=1)", 1),
        (mutations.swap_with_next(), "a()", 1),
        (mutations.delete(), "a()\n\nb()", 2),
    ],
)
def test_a_mutation_that_finds_nothing_to_change_says_so(mutation, source, line):
    with pytest.raises(NotApplicable):
        mutation(source, line)


def test_markers_stand_above_the_code_that_they_mark():
    source = 'def a():\n    """b"""\n    # guard: one\n    # guard: two\n    # Why.\n\n    c()  # guard: none\n'
    assert list(markers_of(source, "a.py")) == [Marker("one", "a.py", 7), Marker("two", "a.py", 7)]
    assert list(markers_of("  // guard: one\n  a();\n", "a.js")) == [Marker("one", "a.js", 2)]
