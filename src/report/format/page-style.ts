/** The style sheet of a report: one measure of text, wide tables and charts scroll inside their own box, with a shadow where there is more, dark on demand, plain on paper. */
export const PAGE_STYLE = `
:root {
  color-scheme: light dark;
  --page: #ffffff; --ink: #24292f; --muted: #5f6771; --line: #d9dde2; --soft: #f5f6f8; --accent: #0072b2; --shade: rgb(0 0 0 / 0.22);
}
@media screen and (prefers-color-scheme: dark) {
  :root { --page: #14171b; --ink: #e6e8eb; --muted: #a3abb5; --line: #30363d; --soft: #1c2026; --accent: #56b4e9; --shade: rgb(255 255 255 / 0.28); }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.6 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
main { max-width: 68rem; margin: 0 auto; padding: 3rem 1.25rem 4rem; }
h1 { margin: 0 0 1.25rem; font-size: 1.9rem; line-height: 1.2; letter-spacing: -0.015em; text-wrap: balance; }
h2 { margin: 3rem 0 0.75rem; font-size: 1.25rem; line-height: 1.3; letter-spacing: -0.005em; text-wrap: balance; }
p { margin: 0 0 0.9rem; text-wrap: pretty; }
p, figcaption, footer { max-width: 48rem; }
h1, h2, p, li, dd, dt { overflow-wrap: anywhere; }
.summary { margin: 0; padding: 0.2rem 0 0.2rem 1.1rem; border-left: 3px solid var(--accent); font-size: 1.06rem; }
.summary p:last-child { margin-bottom: 0; }
.scroll {
  overflow-x: auto; margin: 1.1rem 0 0.6rem;
  background:
    linear-gradient(to right, var(--page) 30%, transparent) left / 3rem 100%,
    linear-gradient(to left, var(--page) 30%, transparent) right / 3rem 100%,
    linear-gradient(to right, var(--shade), transparent) left / 0.9rem 100%,
    linear-gradient(to left, var(--shade), transparent) right / 0.9rem 100%;
  background-repeat: no-repeat; background-attachment: local, local, scroll, scroll;
}
.scroll:focus-visible, summary:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
table { border-collapse: collapse; min-width: 100%; font-size: 0.925rem; font-variant-numeric: tabular-nums; }
caption { padding: 0 0 0.5rem; text-align: left; font-weight: 600; }
th, td { padding: 0.42rem 1.1rem 0.42rem 0; text-align: left; vertical-align: baseline; white-space: nowrap; }
th:last-child, td:last-child { padding-right: 0; }
.long { min-width: 15rem; white-space: normal; }
thead th { border-bottom: 1px solid var(--muted); color: var(--muted); font-weight: 600; vertical-align: bottom; }
tbody th { font-weight: 400; }
tbody tr + tr > * { border-top: 1px solid var(--line); }
tbody tr:last-child > * { border-bottom: 1px solid var(--line); }
.right { text-align: right; }
.note, figcaption, footer { color: var(--muted); font-size: 0.875rem; line-height: 1.5; }
.note { margin: 0 0 0.3rem; }
figure { margin: 1.25rem 0 0.6rem; }
figure .scroll { margin: 0 0 0.4rem; }
figure svg { display: block; max-width: 100%; min-width: 35rem; height: auto; }
.if-narrow { display: none; }
details { margin: 0.6rem 0 0; font-size: 0.925rem; }
summary { width: fit-content; cursor: pointer; color: var(--accent); }
dl { display: grid; grid-template-columns: minmax(7rem, max-content) 1fr; gap: 0.3rem 1.5rem; margin: 1rem 0 0; font-size: 0.925rem; }
dt { color: var(--muted); }
dd { margin: 0; }
pre {
  margin: 0.75rem 0 0; padding: 0.9rem 1rem; overflow-x: auto; border-radius: 6px; background: var(--soft);
  font: 0.825rem/1.55 ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; tab-size: 2;
}
footer { margin-top: 3.5rem; padding-top: 0.9rem; border-top: 1px solid var(--line); }
@media (max-width: 34rem) {
  main { padding: 1.75rem 1rem 3rem; }
  h1 { font-size: 1.55rem; }
  h2 { margin-top: 2.25rem; }
  dl { grid-template-columns: 1fr; gap: 0; }
  dd { margin-bottom: 0.55rem; }
  th:first-child { position: sticky; left: 0; background: var(--page); }
}
@media screen and (max-width: 42rem) {
  .if-wide { display: none; }
  .if-narrow { display: block; }
  .if-narrow svg { min-width: 0; }
}
@media print {
  @page { margin: 18mm; }
  html { font-size: 10.5pt; }
  body { font-size: 1rem; }
  th, td { white-space: normal; }
  main { max-width: none; padding: 0; }
  h2 { break-after: avoid; }
  figure, table, dl { break-inside: avoid; }
  .scroll, pre { overflow: visible; }
  pre { white-space: pre-wrap; }
  figure svg { min-width: 0; }
  .scroll { background: none; }
}
`;
