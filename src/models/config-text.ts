/**
 * A JSON object's text with other values under some of its keys; keys that it does not have come last. All else stays to the
 * byte: reading and writing would turn 1.0 into 1, which transformers' strict configurations refuse.
 *
 * @param text - Valid JSON of an object.
 */
export function withJsonKeys(text: string, keys: Readonly<Record<string, unknown>>): string {
  const spans = valueSpans(text);
  const present = Object.keys(keys).filter((key) => spans.has(key));
  // From the last to the first, so that what is replaced does not move what is still to be.
  const ordered = present
    .map((key) => ({ text: JSON.stringify(keys[key], null, 2), ...(spans.get(key) ?? { start: 0, end: 0 }) }))
    .toSorted((a, b) => b.start - a.start);
  const replaced = ordered.reduce((all, { text: value, start, end }) => {
    return all.slice(0, start) + value.replaceAll('\n', '\n  ') + all.slice(end);
  }, text);
  const added = Object.fromEntries(Object.entries(keys).filter(([key]) => !spans.has(key)));
  if (Object.keys(added).length === 0) return replaced;
  const body = replaced.trimEnd().slice(0, -1).trimEnd();
  const inserted = JSON.stringify(added, null, 2).slice(1).trimEnd();
  return `${body}${spans.size > 0 ? ',' : ''}${inserted}\n`;
}

/** Where the value of each key of an object lies in its text. */
function valueSpans(text: string): Map<string, { start: number; end: number }> {
  const spans = new Map<string, { start: number; end: number }>();
  let depth = 0;
  let key: string | undefined;
  let start = 0;
  let at = 0;
  const close = () => {
    if (key !== undefined) spans.set(key, { start, end: start + text.slice(start, at).trimEnd().length });
    key = undefined;
  };
  for (; at < text.length; at++) {
    const character = text[at];
    if (character === '"') {
      const begin = at;
      for (at++; text[at] !== '"'; at++) if (text[at] === '\\') at++;
      if (depth === 1 && key === undefined) {
        key = JSON.parse(text.slice(begin, at + 1)) as string;
        at = text.indexOf(':', at);
        start = at + 1 + (/^\s*/.exec(text.slice(at + 1))?.[0].length ?? 0);
        at = start - 1;
      }
    } else if (character === '{' || character === '[') depth++;
    else if (character === '}' || character === ']') {
      if (depth === 1) close();
      depth--;
    } else if (character === ',' && depth === 1) close();
  }
  return spans;
}
