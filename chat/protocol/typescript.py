"""TypeScript types of the commands and frames, for the type check of the page's scripts."""

from __future__ import annotations

import types
import uuid
from enum import Enum
from typing import Annotated, Any, NotRequired, Union, get_args, get_origin, get_type_hints, is_typeddict

from msgspec import NODEFAULT, Struct, UnsetType, structs

from chat.protocol.commands import COMMANDS
from chat.protocol.frames import FRAMES

HEAD = "// Made by `manage.py protocol_types` from the Structs of chat/protocol/: change those.\n"
SCALARS: dict[Any, str] = {
    str: "string",
    int: "number",
    float: "number",
    bool: "boolean",
    uuid.UUID: "string",
    type(None): "null",
    Any: "unknown",
}


def declarations() -> str:
    """Return all types as one module: `SendCommand`, `HelloFrame`, …, the unions `Command` and `Frame`, the objects."""
    objects: dict[str, str] = {}
    parts = []
    for suffix, structs_by_tag in (("Command", COMMANDS), ("Frame", FRAMES)):
        names = []
        for tag, struct in structs_by_tag.items():
            names.append(struct.__name__ + suffix)
            lines = [f'type: "{tag}"', *_fields(struct, suffix == "Command", objects)]
            parts.append(_interface(names[-1], lines))
        parts.append(f"export type {suffix} =\n" + "\n".join(f"  | {name}" for name in names) + ";\n")
    return "\n".join([HEAD, *parts, *objects.values()])


def _fields(struct: type[Struct], is_command: bool, objects: dict[str, str]) -> list[str]:
    """Return the fields. A command's field is optional if it has a default, a frame's if it may be UNSET."""
    hints = get_type_hints(struct, include_extras=True)
    lines = []
    for field in structs.fields(struct):
        hint = hints[field.name]
        may_lack = field.default is not NODEFAULT if is_command else UnsetType in get_args(hint)
        lines.append(f"{field.name}{'?' if may_lack else ''}: {_type(hint, objects)}")
    return lines


def _interface(name: str, lines: list[str]) -> str:
    return f"export interface {name} {{\n" + "".join(f"  {line};\n" for line in lines) + "}\n"


def _type(hint: Any, objects: dict[str, str]) -> str:
    """Return the TypeScript for a Python type. Adds the interfaces of TypedDicts to `objects`. Raises TypeError."""
    if hint in SCALARS:
        return SCALARS[hint]
    if is_typeddict(hint):
        return _object(hint, objects)
    if isinstance(hint, type) and issubclass(hint, Enum):
        objects.setdefault(hint.__name__, f"export type {hint.__name__} =\n" + _literals(hint))
        return hint.__name__
    arguments = get_args(hint)
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return " | ".join(_type(one, objects) for one in arguments if one is not UnsetType)
    if origin is Annotated:
        return _type(arguments[0], objects)
    if origin is list:
        return f"{_type(arguments[0], objects)}[]"
    if origin is dict:
        return f"Record<string, {_type(arguments[1], objects)}>"
    raise TypeError(f"no TypeScript for {hint}")


def _object(shape: Any, objects: dict[str, str]) -> str:
    name: str = shape.__name__
    if name not in objects:
        objects[name] = ""  # reserves its place before the objects inside
        lines = []
        for field, hint in get_type_hints(shape, include_extras=True).items():
            may_lack = get_origin(hint) is NotRequired
            kind = _type(get_args(hint)[0] if may_lack else hint, objects)
            lines.append(f"{field}{'?' if may_lack else ''}: {kind}")
        objects[name] = _interface(name, lines)
    return name


def _literals(choices: type[Enum]) -> str:
    return "\n".join(f'  | "{one.value}"' for one in choices) + ";\n"
