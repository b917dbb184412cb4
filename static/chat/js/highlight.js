// @ts-check
// Colours finished code. The highlighter and each language are loaded when an answer first needs them.

import { languageOf, sanitiseCode } from "chat/markdown";

const LONGEST = 20_000;

/** @type {Record<string, string>} */
const ALIASES = {
  "c#": "csharp",
  "c++": "cpp",
  cs: "csharp",
  console: "shell",
  docker: "dockerfile",
  golang: "go",
  html: "xml",
  js: "javascript",
  jsx: "javascript",
  kt: "kotlin",
  md: "markdown",
  ps1: "powershell",
  py: "python",
  py3: "python",
  python3: "python",
  rb: "ruby",
  rs: "rust",
  sh: "bash",
  svg: "xml",
  toml: "ini",
  ts: "typescript",
  tsx: "typescript",
  yml: "yaml",
  zsh: "bash",
};

/**
 * Colours all code below `root` that isn't coloured yet. Code stays readable when anything of this fails.
 * @param {ParentNode} root
 */
export async function highlight(root) {
  const selector = "pre > code:not([data-coloured])";
  for (const code of /** @type {NodeListOf<HTMLElement>} */ (root.querySelectorAll(selector))) {
    code.dataset.coloured = "";
    const named = languageOf(code).toLowerCase();
    const language = ALIASES[named] ?? named;
    if (language !== "" && code.textContent.length <= LONGEST) await colour(code, language).catch(() => {});
  }
}

/**
 * A language that the import map doesn't have ends it here.
 * @param {HTMLElement} code
 * @param {string} language
 */
async function colour(code, language) {
  const { default: grammar } = await import(`highlight/${language}`);
  const { default: highlighter } = await import("highlight");
  if (!highlighter.getLanguage(language)) highlighter.registerLanguage(language, grammar);
  const source = code.textContent;
  const coloured = sanitiseCode(highlighter.highlight(source, { language, ignoreIllegals: true }).value);
  if (coloured.textContent === source) code.replaceChildren(coloured);
}
