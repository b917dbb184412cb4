// The texts of the page, in the reader's language; they come from the server (chat/texts/page.py).

let texts = {};
let plural = new Intl.PluralRules("en");

export function use(given, language) {
  texts = given;
  plural = new Intl.PluralRules(language);
}

// The text called `name`, with %(parameters)s filled in. A text with plural forms takes the one for `number`.
export function text(name, parameters = {}, number = null) {
  const found = number === null ? texts[name] : (texts[name]?.[plural.select(number)] ?? texts[name]?.other);
  return fill(found ?? name, parameters);
}

export function group(name) {
  return texts[name] ?? {};
}

function fill(template, parameters) {
  return template.replace(/%\((\w+)\)[sd]|%%/g, (_, name) => (name ? String(parameters[name] ?? "") : "%"));
}
