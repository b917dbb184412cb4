// Lets Node load the page's modules by the bare names of the import map. Import this first, the modules after it with
// `await import("chat/…")`.

import { register } from "node:module";

register("./hooks.mjs", import.meta.url);
