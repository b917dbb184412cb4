import assert from "node:assert/strict";
import test from "node:test";

import "./resolve.mjs";

const { Requests } = await import("chat/requests");

const page = { querySelector: () => ({ value: "the token" }) };

// Requests whose server answers with `answer`, and what it was asked.
function asked(context, answer) {
  const seen = [];
  context.mock.method(globalThis, "fetch", async (address, options) => {
    seen.push({ address, ...options });
    if (answer instanceof Error) throw answer;
    return answer;
  });
  const requests = new Requests(page);
  let logins = 0;
  requests.addEventListener("login", () => (logins += 1));
  return { requests, seen, logins: () => logins };
}

test("a post carries the token and its fields, and gives back what was answered", async (context) => {
  const { requests, seen } = asked(context, Response.json({ errors: { title: "No." } }, { status: 400 }));
  const answer = await requests.post("/chat/1/details/", { title: "a & b" });
  assert.deepEqual(answer, { status: 400, json: { errors: { title: "No." } } });
  assert.equal(seen[0].headers["X-CSRFToken"], "the token");
  assert.equal(String(seen[0].body), "title=a+%26+b");
});

test("an answer that is no JSON has none", async (context) => {
  const { requests } = asked(context, new Response(null, { status: 204 }));
  assert.deepEqual(await requests.post("/chat/1/delete/"), { status: 204, json: null });
});

test("JSON that breaks off is none", async (context) => {
  const headers = { "Content-Type": "application/json" };
  const { requests } = asked(context, new Response('{"title": ', { headers }));
  assert.deepEqual(await requests.get("/chat/1/details/"), { status: 200, json: null });
});

test("without a connection the status is 0", async (context) => {
  const { requests, logins } = asked(context, new TypeError("Failed to fetch"));
  assert.deepEqual(await requests.get("/chat/1/details/"), { status: 0, json: null });
  assert.equal(logins(), 0);
});

test("being led elsewhere, or a token that is refused, means: log in", async (context) => {
  const elsewhere = asked(context, { type: "opaqueredirect", status: 0 });
  assert.equal((await elsewhere.requests.get("/chat/1/details/")).json, null);
  assert.equal(elsewhere.logins(), 1);
  const refused = asked(context, new Response("", { status: 403 }));
  await refused.requests.post("/chat/1/delete/");
  assert.equal(refused.logins(), 1);
});
