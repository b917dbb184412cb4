import assert from "node:assert/strict";
import test from "node:test";

import "./resolve.mjs";

const { Sentences } = await import("chat/sentences");

const ANSWER = `# Rivers

They carry *stones*. Do they? Yes… **always!** See [the book](https://example.org/?a=1&b=2), e.g. its end.

- One item
- [x] Another \`item\`. With two sentences
1. A number

> Quoted words. And
> more of them

\`\`\`python
print("No. Never.")
\`\`\`

| River | Length |
|---|--:|
| Rhine | 1,233 km |

Dr. Smith came. \\*Not a mark\\* and snake_case stay.
`;

const READ = [
  "Rivers",
  "They carry stones.",
  "Do they?",
  "Yes…",
  "always!",
  "See the book, e.g. its end.",
  "One item",
  "Another item.",
  "With two sentences",
  "1. A number",
  "Quoted words.",
  "And more of them",
  "code",
  "River, Length",
  "Rhine, 1,233 km",
  "Dr. Smith came.",
  "*Not a mark* and snake_case stay.",
];

const reader = () => new Sentences("en", "code");

function read(source, step = 1) {
  const sentences = reader();
  const found = [];
  for (let at = 0; at < source.length; at += step) {
    sentences.append(source.slice(at, at + step));
    found.push(...sentences.take());
  }
  return [...found, ...sentences.take(true)];
}

test("an answer is read without its marks, a block of code as a word", () => {
  assert.deepEqual(read(ANSWER, ANSWER.length), READ);
});

for (const step of [1, 2, 3, 7, 50]) {
  test(`in pieces of ${step} it is read the same, every sentence once`, () => {
    assert.deepEqual(read(ANSWER, step), READ);
  });
}

test("only what is finished is read", () => {
  const sentences = reader();
  sentences.append("One. Two");
  assert.deepEqual(sentences.take(), ["One."]);
  assert.deepEqual(sentences.take(), []);
  sentences.append(" and a half.");
  assert.deepEqual(sentences.take(), [], "it may go on: 2.5");
  sentences.append("\n");
  assert.deepEqual(sentences.take(), ["Two and a half."]);
  sentences.append("Rest");
  assert.deepEqual(sentences.take(true), ["Rest"]);
});

test("Chinese, Japanese, Arabic, Persian and Hindi end their sentences too", () => {
  assert.deepEqual(read("你好。世界！好吗？好"), ["你好。", "世界！", "好吗？", "好"]);
  assert.deepEqual(read("「はい。」そう。次"), ["「はい。」", "そう。", "次"]);
  assert.deepEqual(read("سلام. خوبی؟ بله! ها"), ["سلام.", "خوبی؟", "بله!", "ها"]);
  assert.deepEqual(read("नमस्ते। कैसे हैं"), ["नमस्ते।", "कैसे हैं"]);
});

test("abbreviations, initials, numbers and addresses end nothing", () => {
  const one = "Prof. J. R. Miller of St. Louis measured 3.5 km on 1. May, z. B. at example.org/a?b=C, i.e. there.";
  assert.deepEqual(read(`${one} Then he left.`), [one, "Then he left."]);
});

test("what was here when the page was loaded isn't read, but the sentence that was just being written", () => {
  const sentences = reader();
  sentences.append("Old one. Half of");
  sentences.skip();
  assert.deepEqual(sentences.take(), []);
  sentences.append(" it. New. ");
  assert.deepEqual(sentences.take(), ["Half of it.", "New."]);
});

test("loaded within a block of code it knows that", () => {
  const sentences = reader();
  sentences.append("Text.\n\n```\nprint. This. ");
  sentences.skip();
  sentences.append("And. This.\n```\nText.\n");
  assert.deepEqual(sentences.take(true), ["Text."]);
});

test("a text that came anew goes on where it was, unless it is another one", () => {
  const sentences = reader();
  sentences.append("One. Tw");
  assert.deepEqual(sentences.take(), ["One."]);
  sentences.replace("One. Two. Three. F");
  assert.deepEqual(sentences.take(), ["Two.", "Three."]);
  sentences.replace("Something else. Entirely. And");
  assert.deepEqual(sentences.take(), []);
  sentences.append(" more.\n");
  assert.deepEqual(sentences.take(), ["And more."]);
});

test("no text takes minutes", () => {
  for (const piece of ["[", "[a](", "*", "_", "` ", " ", ". ", "| ", "a.", "…", '."', "> ", "- ", "~", "![", "\\"]) {
    const sentences = reader();
    sentences.append(piece.repeat(100_000 / piece.length));
    assert.ok(sentences.take().length >= 0);
    assert.ok(sentences.take(true).length >= 0);
  }
});
