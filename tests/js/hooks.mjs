// chat/NAME → static/chat/js/NAME.js, as an ES module, whatever Node makes of the ending by itself.

const SOURCES = new URL("../../static/chat/js/", import.meta.url).href;
const LIBRARIES = { "markdown-it": new URL("../../node_modules/markdown-it/dist/markdown-it.mjs", import.meta.url).href };

export async function resolve(name, context, next) {
  if (name.startsWith("chat/")) {
    return { url: `${SOURCES}${name.slice("chat/".length)}.js`, format: "module", shortCircuit: true };
  }
  return next(LIBRARIES[name] ?? name, context);
}
