import assert from "node:assert/strict";
import test from "node:test";

import "./resolve.mjs";

const { finishedPart } = await import("chat/markdown");
const { default: MarkdownIt } = await import("markdown-it");

const markdown = new MarkdownIt();

const TEXTS = {
  paragraphs: "One line\nand its second.\n\nAnother one.\n\nA third\n",
  "headings and rules": "# One\ntext\n## Two\n***\n---\nSetext\n===\nlast\n",
  "what looks like a heading first": "text\n#hashtag goes on\n\nmore\n***bold*** goes on\n",
  lists: "- a\n- b\n\n  in b\n\n- c\n\n1. one\n\n2. two\n\n3. three\n\nend\n",
  "nested lists": "1. one\n   - deep\n     more\n\n   back\n2. two\n\ntext\n- x\n* y\n",
  quotes: "> one\nlazy\n\n> two\n> - list\n\nafter\n",
  fences: "before\n```python\nprint(1)\n\n# no heading\n```\nafter\n~~~\nopen to the end\n\n- no list\n",
  tables: "text\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n| 3 | 4 |\n\nafter\n",
  "indented code": "text\n\n    code\n\n    more code\n\ntext again\n",
  "other line ends": "one\r\n\r\n- two\r\n- three\r\rfour\r\n",
  "no end": "# Title\n\nfirst\n\nlast without an end",
};

for (const [name, source] of Object.entries(TEXTS)) {
  test(`${name}: rendered piece by piece, at every letter, it is what it is as a whole`, () => {
    const whole = markdown.render(source);
    let finished = "";
    let open = "";
    for (const letter of source) {
      open += letter;
      const tokens = markdown.parse(open, {});
      const { token, offset } = finishedPart(tokens, open);
      if (offset > 0) {
        finished += markdown.renderer.render(tokens.slice(0, token), markdown.options, {});
        open = open.slice(offset);
      }
      assert.ok(whole.startsWith(finished), `finished too early at ${JSON.stringify(open)}`);
    }
    assert.equal(finished + markdown.render(open), whole);
  });
}

test("most of a long text is finished while it grows", () => {
  const source = "A paragraph.\n\n".repeat(50);
  const { offset } = finishedPart(markdown.parse(source, {}), source);
  assert.equal(offset, source.length - "A paragraph.\n\n".length);
});
