// chat/NAME → static/chat/js/NAME.js, as an ES module, whatever Node makes of the ending by itself.

const SOURCES = new URL("../../static/chat/js/", import.meta.url).href;
const PACKAGES = new URL("../../node_modules/", import.meta.url).href;
const LIBRARIES = {
  "markdown-it": `${PACKAGES}markdown-it/dist/markdown-it.mjs`,
  dompurify: `${PACKAGES}dompurify/dist/purify.es.mjs`,
};

export async function resolve(name, context, next) {
  if (name.startsWith("chat/")) {
    return { url: `${SOURCES}${name.slice("chat/".length)}.js`, format: "module", shortCircuit: true };
  }
  return next(LIBRARIES[name] ?? name, context);
}
