"""Commands that nobody should send, each with what may be answered: malformed, mistyped, oversized, somebody else's.

Written from docs/protocol.md, not from the code that reads them.
"""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

JSON, COMMAND, FOREIGN = "error invalid_json", "error invalid_command", "error not_found"
NOT_FOUND = "refused not_found"
FRAME_BYTES, TEXT_BYTES = 1024 * 1024, 256 * 1024


@dataclass(frozen=True)
class Known:
    """What the attacker may have heard of: ids of somebody else, and keys that are used up."""

    conversation: str
    message: str
    generation: str
    own_key: str


@dataclass(frozen=True)
class Hostile:
    """One frame. `answers`: of these exactly one comes."""

    payload: str | bytes
    answers: frozenset[str]


def one(payload: str | bytes, *answers: str) -> Hostile:
    """A frame and what may be answered."""
    return Hostile(payload, frozenset(answers))


def command(**fields: Any) -> str:
    """A command as the page would send it."""
    return json.dumps(fields)


class Attacker:
    """Makes them, by the dice."""

    def __init__(self, known: Known, dice: random.Random) -> None:
        self.known = known
        self.dice = dice
        self._unreadable: list[Callable[[], Hostile]] = [
            self.garbage,
            self.cut,
            self.nested,
            self.no_object,
            self.unknown_type,
            self.missing_field,
            self.more_fields,
            self.wrong_type,
            self.wrong_option,
            self.half_a_surrogate,
        ]

    def next(self) -> Hostile:
        """Any one; few of those that take a transaction."""
        chance = self.dice.random()
        if chance < 0.04:
            return self.dice.choice([self.foreign, self.refused])()
        return self.flipped() if chance < 0.1 else self.unreadable()

    def unreadable(self) -> Hostile:
        """One of those of which 20 close the door."""
        return self.dice.choice(self._unreadable)()

    def regular(self) -> dict[str, Any]:
        """A command in its right form that could do nothing: its ids are nobody's, its prompt is blank."""
        nobody = str(uuid.UUID(int=self.dice.getrandbits(128)))
        forms: list[dict[str, Any]] = [
            {"type": "send", "key": nobody, "conversation": nobody, "text": " ", "options": {"temperature": 0.5}},
            {"type": "regenerate", "key": nobody, "message": nobody, "model": None},
            {"type": "follow", "generation": nobody, "after": 3, "epoch": "stored"},
            {"type": "stop", "generation": nobody},
        ]
        return self.dice.choice(forms)

    # Not JSON ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def garbage(self) -> Hostile:
        """No JSON at all."""
        dice = self.dice
        texts = [
            "", " ", "\x00", "\ufeff" + command(type="hb"), "{'type': 'hb'}", '{"type": "hb",}', '{"type": "hb"} {}',
            '{"type": "hb"}//', "[" * dice.randint(500, 50_000), '{"a":' * dice.randint(500, 5_000), "<svg onload=x>",
            command(type="follow", generation=str(uuid.uuid4()))[:-1] + ', "after": NaN}',
            '{"type": "follow", "after": Infinity}', '{"type": "follow", "after": ' + "9" * 5000 + "}", "'; drop table",
            "".join(chr(dice.randrange(0x20, 0xD7FF)) for _ in range(dice.randrange(1, 60))) + "{",
        ]  # fmt: skip
        return one(dice.randbytes(dice.randrange(200)), JSON) if dice.random() < 0.2 else one(dice.choice(texts), JSON)

    def cut(self) -> Hostile:
        """A command that stops in the middle."""
        text = json.dumps(self.regular())
        return one(text[: self.dice.randrange(1, len(text))], JSON)

    def flipped(self) -> Hostile:
        """A command with a few characters changed; it may still be one, of nobody's."""
        text = list(json.dumps(self.regular()))
        for _ in range(self.dice.randint(1, 5)):
            text[self.dice.randrange(len(text))] = chr(self.dice.randrange(0x20, 0x7F))
        return one("".join(text), JSON, COMMAND, FOREIGN, "refused empty", NOT_FOUND)

    # JSON, but no command ─────────────────────────────────────────────────────────────────────────────────────────

    def nested(self) -> Hostile:
        """More than 8 levels, in a field that exists."""
        value: Any = {}
        for _ in range(self.dice.randint(8, 60)):
            value = [value] if self.dice.random() < 0.5 else {"__proto__": value}
        fields = self.regular()
        return one(json.dumps({**fields, self.dice.choice(list(fields)): value}), COMMAND)

    def no_object(self) -> Hostile:
        """Another value."""
        values: list[Any] = [None, True, 0, -1, 1e308, "hb", "", [], [{"type": "hb"}], [[[[]]]], {}, {"": ""}]
        return one(json.dumps(self.dice.choice(values)), COMMAND)

    def unknown_type(self) -> Hostile:
        """A type that is none, with the fields of one that is."""
        types = [
            "", "Send", "SEND", "send ", "hello", "delta", "accepted", "execute", "__proto__", "constructor", "parse",
            "edit", "continue", "websocket.close", None, True, 0, ["send"], {"type": "send"}, "send\x00", "ｓｅｎｄ",
        ]  # fmt: skip
        return one(json.dumps({**self.regular(), "type": self.dice.choice(types)}), COMMAND)

    def missing_field(self) -> Hostile:
        """One of the needed fields is not there."""
        fields = self.regular()
        needed = [name for name in fields if name not in ("options", "model", "epoch")]
        del fields[self.dice.choice(needed)]
        return one(json.dumps(fields), COMMAND)

    def more_fields(self) -> Hostile:
        """A field that no command has."""
        names = [
            "user",
            "user_id",
            "owner",
            "owner_id",
            "state",
            "is_superuser",
            "__class__",
            "__proto__",
            "id",
            "",
            "a",
        ]
        return one(
            json.dumps({**self.regular(), self.dice.choice(names): self.dice.choice([1, None, "1", {}])}), COMMAND
        )

    def wrong_type(self) -> Hostile:
        """A value that the field cannot have."""
        fields = self.regular()
        name = self.dice.choice([name for name in fields if name not in ("type", "options")])
        return one(json.dumps({**fields, name: self.dice.choice(self._not_a(name, fields))}), COMMAND)

    def _not_a(self, name: str, fields: Mapping[str, Any]) -> list[Any]:
        other = [True, 1.5, [], {}, [fields[name]], {"$ne": None}]
        if name == "after":
            return [*other, None, -1, 2**53, 10**30, "3", 3.0]
        if name in ("text", "model", "epoch"):
            return [*other, 7, *([None] if name == "text" else [])]
        good = str(uuid.UUID(int=self.dice.getrandbits(128) | 0xA << 124))
        forms = [good.upper(), "{" + good + "}", "urn:uuid:" + good, good.replace("-", ""), good + " ", " " * 36, "",
                 good[:-1] + "٣", good + "\x00", "../" * 12, "' or 1=1 --", good * 1000, 7]  # fmt: skip
        return [*other, *forms, *([] if name == "conversation" else [None])]

    def wrong_option(self) -> Hostile:
        """An option that does not exist, or beyond what it may be."""
        wrong: list[tuple[str, Any]] = [
            ("temperature", -0.01), ("temperature", 2.01), ("temperature", "1"), ("temperature", True), ("top_p", 1.01),
            ("top_p", None), ("max_tokens", 0), ("max_tokens", 10**7 + 1), ("max_tokens", 1.0), ("stop", []),
            ("stop", ["a"] * 5), ("stop", [""]), ("stop", "x" * 201), ("stop", [1]), ("seed", 2**53 + 1),
            ("seed", 0.5), ("frequency_penalty", -2.1), ("presence_penalty", 3), ("n", 2), ("stream", False),
            ("messages", []), ("base_url", "http://127.0.0.1/"), ("api_key", "x"), ("", 0), ("__proto__", {}),
        ]  # fmt: skip
        options: dict[str, Any] = dict([self.dice.choice(wrong)])
        nobody = str(uuid.UUID(int=self.dice.getrandbits(128)))
        return one(command(type="send", key=nobody, conversation=None, text="Hi", options=options), COMMAND)

    def half_a_surrogate(self) -> Hostile:
        """A text that can neither be stored nor sent."""
        nobody = str(uuid.UUID(int=self.dice.getrandbits(128)))
        text = f"half {chr(self.dice.randrange(0xD800, 0xE000))} a pair"
        where: dict[str, Any] = self.dice.choice(
            [{"text": text}, {"text": "Hi", "model": text}, {"text": "Hi", "options": {"stop": text}}]
        )
        return one(command(type="send", key=nobody, conversation=None, **where), COMMAND)

    # Commands, but of somebody else's, or beyond what may be ──────────────────────────────────────────────────────

    def foreign(self) -> Hostile:
        """Ids of another person, or of nobody."""
        known, nobody = self.known, str(uuid.UUID(int=self.dice.getrandbits(128)))
        generation = self.dice.choice([known.generation, known.message, known.conversation, nobody])
        conversation = self.dice.choice([known.conversation, known.generation, nobody])
        message = self.dice.choice([known.message, known.generation, nobody])
        return self.dice.choice(
            [
                one(command(type="stop", generation=generation), FOREIGN),
                one(command(type="follow", generation=generation, after=0), FOREIGN),
                one(command(type="follow", generation=generation, after=1, epoch="stored"), FOREIGN),
                one(command(type="watch", conversation=conversation), FOREIGN),
                one(command(type="send", key=nobody, conversation=conversation, text="Hi"), "refused not_found"),
                one(
                    command(type="send", key=nobody, conversation=None, parent=message, text="Hi"), "refused not_found"
                ),
                one(command(type="regenerate", key=nobody, message=message), "refused not_found"),
            ]
        )

    def refused(self) -> Hostile:
        """Prompts that may not be."""
        nobody = str(uuid.UUID(int=self.dice.getrandbits(128)))
        blank = self.dice.choice(["", " ", "\n\t\r", "\u2003\u2028\u00a0", " " * 5000])
        model = self.dice.choice(["0", "-1", "999999", "fake", "1 or 1=1", "../1", "١", "1.0", "x" * 5000])
        texts: list[tuple[dict[str, Any], str]] = [
            ({"text": blank}, "empty"),
            ({"model": model}, "unknown_model"),
            ({"key": self.known.own_key}, "idempotency_mismatch"),
        ]
        fields, code = self.dice.choice(texts)
        if self.dice.random() < 0.05:
            fields, code = {"text": "é" * (TEXT_BYTES // 2 + 1)}, "too_long"
        whole: dict[str, Any] = {"type": "send", "key": nobody, "conversation": None, "text": "Hi", **fields}
        return one(json.dumps(whole, ensure_ascii=False), f"refused {code}")


def wire(dice: random.Random) -> tuple[bytes, set[int]]:
    """Bytes on an open socket that are no WebSocket frame of a browser, and the codes it may be closed with."""

    def frame(first: int, payload: bytes, masked: bool = True, length: int | None = None) -> bytes:
        size = len(payload) if length is None else length
        head = bytes([first])
        head += bytes([masked << 7 | size]) if size < 126 else bytes([masked << 7 | 126]) + size.to_bytes(2, "big")
        key = dice.randbytes(4) if masked else b""
        return head + key + bytes(b ^ key[n % 4] for n, b in enumerate(payload)) if masked else head + payload

    hb = command(type="hb").encode()
    huge = bytes([0x81, 0xFF]) + (2**63 - 1).to_bytes(8, "big") + b"mask"
    return dice.choice(
        [
            (frame(0x81, b'{"type": "\xff\xfe"}'), {1007}),  # no UTF-8
            (frame(0x81, b"\xed\xa0\x80"), {1007}),  # a surrogate in UTF-8
            (frame(0x81, hb, masked=False), {1002}),
            (frame(0xC1, hb), {1002}),  # a reserved bit
            (frame(0x83, hb), {1002}),  # a reserved kind
            (frame(0x8B, b""), {1002}),
            (frame(0x80, hb), {1002}),  # goes on with nothing
            (frame(0x01, hb) + frame(0x81, hb), {1002}),  # a new one within one
            (frame(0x09, b"x"), {1002}),  # a ping in pieces
            (frame(0x89, b"x" * 126), {1002}),  # a ping too long
            (frame(0x88, b"\x03"), {1002, 1006}),  # half a code, by one who leaves
            (frame(0x88, (1005).to_bytes(2, "big")), {1002, 1006}),
            (huge, {1002, 1009}),
            (frame(0x01, b"x" * 60_000) + frame(0x00, b"x" * 60_000) * 18, {1009}),  # too large in pieces
        ]
    )
