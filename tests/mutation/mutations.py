"""Mutations: what a marked piece of a source becomes when its guard is taken out.

A mutation of Python works on the syntax tree: on the outermost piece of syntax that begins on the marked line, be it a
statement, a decorator, an argument or an element of a list. Everything else is mutated by whole lines.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

Mutation = Callable[[str, int], str]
"""(source, number of the line that the marker is for, from 1) → changed source. Raises NotApplicable."""

Node = TypeVar("Node", bound=ast.AST)


class NotApplicable(Exception):
    """The marked piece has nothing that the mutation could change."""


@dataclass(frozen=True)
class Place:
    """A node and where its parent keeps it: in a list when `index` is not None."""

    node: Any
    parent: ast.AST
    field: str
    index: int | None

    @property
    def siblings(self) -> list[Any]:
        """The list that holds the node, such as the statements of its block. Raises NotApplicable."""
        if self.index is None:
            raise NotApplicable("it is in no list")
        siblings: list[Any] = getattr(self.parent, self.field)
        return siblings

    def replace(self, node: ast.AST) -> None:
        """Put another node there."""
        if self.index is None:
            setattr(self.parent, self.field, node)
        else:
            self.siblings[self.index] = node


def delete() -> Mutation:
    """The statement does nothing; a decorator, an argument or an element is gone."""

    def edit(place: Place) -> None:
        if isinstance(place.node, ast.stmt):
            place.replace(ast.Pass())
        else:
            del place.siblings[place.index or 0]

    return _of_syntax(edit)


def delete_line() -> Mutation:
    """The marked line is gone, in any language."""

    def mutated(source: str, line: int) -> str:
        lines = source.splitlines(keepends=True)
        del lines[line - 1]
        return "".join(lines)

    return mutated


def condition(value: bool) -> Mutation:
    """The first condition is always `value`."""

    def edit(place: Place) -> None:
        _first(place, (ast.If, ast.While, ast.IfExp)).test = ast.Constant(value)

    return _of_syntax(edit)


def condition_without(operand: int) -> Mutation:
    """The first condition lacks one of the operands, from 0, that `and` or `or` join."""

    def edit(place: Place) -> None:
        test = _first(place, (ast.If, ast.While, ast.IfExp)).test
        if not isinstance(test, ast.BoolOp) or operand >= len(test.values):
            raise NotApplicable(f"the condition has no operand {operand}")
        del test.values[operand]

    return _of_syntax(edit)


def compare(operator: type[ast.cmpop]) -> Mutation:
    """The first comparison has another operator."""

    def edit(place: Place) -> None:
        _first(place, ast.Compare).ops[0] = operator()

    return _of_syntax(edit)


def value(code: str) -> Mutation:
    """What is assigned, returned, passed or iterated over is `code`."""

    def edit(place: Place) -> None:
        new, node = ast.parse(code, mode="eval").body, place.node
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.Return | ast.keyword):
            node.value = new
        elif isinstance(node, ast.For | ast.AsyncFor):
            node.iter = new
        elif isinstance(node, ast.expr):
            place.replace(new)
        else:
            raise NotApplicable("it has no value")

    return _of_syntax(edit)


def without_method(name: str) -> Mutation:
    """`x.name(…)` becomes `x`."""
    return _of_syntax(lambda place: _call(place, name).replace(_call(place, name).node.func.value))


def unwrap(name: str) -> Mutation:
    """`name(x)` becomes `x`."""
    return _of_syntax(lambda place: _call(place, name).replace(_call(place, name).node.args[0]))


def call(name: str, instead: str) -> Mutation:
    """`name(…)` or `x.name(…)` calls the function `instead`."""

    def edit(place: Place) -> None:
        _call(place, name).node.func = ast.parse(instead, mode="eval").body

    return _of_syntax(edit)


def call_result(name: str, code: str) -> Mutation:
    """`name(…)` becomes `code`."""
    return _of_syntax(lambda place: _call(place, name).replace(ast.parse(code, mode="eval").body))


def call_on(name: str, receiver: str) -> Mutation:
    """`x.name(…)` becomes `receiver.name(…)`."""

    def edit(place: Place) -> None:
        _call(place, name).node.func.value = ast.parse(receiver, mode="eval").body

    return _of_syntax(edit)


def without_argument(name: str) -> Mutation:
    """The first call that passes `name=…` does not pass it."""

    def edit(place: Place) -> None:
        for node in _walk(place):
            keywords = [one for one in getattr(node, "keywords", []) if one.arg == name]
            if keywords:
                node.keywords.remove(keywords[0])
                return
        raise NotApplicable(f"no call passes {name}")

    return _of_syntax(edit)


def left_operand() -> Mutation:
    """Of the first `x + y`, or another operator between two, only `x` is left."""

    def edit(place: Place) -> None:
        found = _first(place, ast.BinOp)
        _place_of(found, place).replace(found.left)

    return _of_syntax(edit)


def once() -> Mutation:
    """`while` becomes `if`."""

    def edit(place: Place) -> None:
        loop = _first(place, ast.While)
        _place_of(loop, place).replace(ast.If(loop.test, loop.body, loop.orelse))

    return _of_syntax(edit)


def swap_with_next() -> Mutation:
    """The statement follows the one after it."""

    def edit(place: Place) -> None:
        at = place.siblings.index(place.node)
        if at + 1 == len(place.siblings):
            raise NotApplicable("no statement follows")
        place.siblings[at : at + 2] = reversed(place.siblings[at : at + 2])

    return _of_syntax(edit)


def move_up() -> Mutation:
    """The statement comes first in its block."""

    def edit(place: Place) -> None:
        place.siblings.remove(place.node)
        place.siblings.insert(0, place.node)

    return _of_syntax(edit)


def follow_by(code: str) -> Mutation:
    """After the statement comes another one."""

    def edit(place: Place) -> None:
        place.siblings.insert(place.siblings.index(place.node) + 1, ast.parse(code).body[0])

    return _of_syntax(edit)


def _of_syntax(edit: Callable[[Place], None]) -> Mutation:
    def mutated(source: str, line: int) -> str:
        tree = ast.parse(source)
        edit(_marked(tree, line))
        return ast.unparse(ast.fix_missing_locations(tree)) + "\n"

    return mutated


def _marked(tree: ast.Module, line: int) -> Place:
    """The outermost node that begins on the line; parents come before their children."""
    found = [place for place in _places(tree) if getattr(place.node, "lineno", 0) == line]
    if not found:
        raise NotApplicable(f"nothing begins on line {line}")
    return min(found, key=lambda place: place.node.col_offset)


def _places(root: ast.AST) -> Iterator[Place]:
    for parent in ast.walk(root):
        for field, content in ast.iter_fields(parent):
            if isinstance(content, ast.AST):
                yield Place(content, parent, field, None)
            elif isinstance(content, list):
                for index, node in enumerate(content):
                    if isinstance(node, ast.AST):
                        yield Place(node, parent, field, index)


def _walk(place: Place) -> list[Any]:
    """The node and all within it, as they stand in the source; of two that begin together, the outer one first."""
    nodes = [node for node in ast.walk(place.node) if hasattr(node, "lineno")]
    return sorted(nodes, key=lambda node: (node.lineno, node.col_offset))


def _first(place: Place, kind: type[Node] | tuple[type[Node], ...]) -> Any:
    for node in _walk(place):
        if isinstance(node, kind):
            return node
    raise NotApplicable("it has no such syntax")


def _call(place: Place, name: str) -> Place:
    """Where the first call of a function or method of that name is."""
    for node in _walk(place):
        if isinstance(node, ast.Call) and name in (getattr(node.func, "attr", None), getattr(node.func, "id", None)):
            return _place_of(node, place)
    raise NotApplicable(f"{name} is not called")


def _place_of(node: ast.AST, within: Place) -> Place:
    if node is within.node:
        return within
    return next(place for place in _places(within.node) if place.node is node)
