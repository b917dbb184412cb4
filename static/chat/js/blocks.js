// Where finished Markdown ends and the open part begins. Pure.

// The last top-level block whose first line is complete can't become a part of what stands before it any more, so
// everything before it is finished. → {token, offset}: its place in the tokens and in the source; 0 = nothing is finished.
export function finishedPart(tokens, source) {
  const lines = lineStarts(source);
  for (let index = tokens.length - 1; index > 0; index -= 1) {
    const token = tokens[index];
    if (token.level !== 0 || token.nesting < 0 || token.map === null) continue;
    const line = token.map[0];
    if (line > 0 && line < lines.length - 1) return { token: index, offset: lines[line] };
  }
  return { token: 0, offset: 0 };
}

// Offsets at which lines start, counted as Markdown does; the last one may be unfinished or empty.
function lineStarts(source) {
  const starts = [0];
  for (const end of source.matchAll(/\r\n?|\n/g)) starts.push(end.index + end[0].length);
  return starts;
}
