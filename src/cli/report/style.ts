/** How a page looks, by day and by night, and the charts in it. */

const DAY: Readonly<Record<string, string>> = {
  text: "#1c2430",
  soft: "#5b6675",
  back: "#fff",
  card: "#f4f6f9",
  line: "#d8dee6",
  row: "#eceff3",
  busy: "#2f6fb7",
  waiting: "#d9822b",
  starved: "#a9b3c0",
  tail: "#8458b3",
  bad: "#c62f2f",
};
const NIGHT: Readonly<Record<string, string>> = {
  text: "#e4e8ee",
  soft: "#9aa6b5",
  back: "#14181e",
  card: "#1d232b",
  line: "#333c47",
  row: "#232a33",
  busy: "#5a9be0",
  waiting: "#e59a4c",
  starved: "#5d6875",
  tail: "#a987d4",
  bad: "#ef6a6a",
};

function variablesOf(colours: Readonly<Record<string, string>>): string {
  return Object.entries(colours)
    .map(([name, colour]) => `--${name}: ${colour};`)
    .join("\n");
}

/** Of what the charts are made. */
const CHARTS = `
text {
  font-size: 11px;
  fill: var(--soft);
}
.grid {
  stroke: var(--line);
  fill: none;
  stroke-width: 0.7;
}
.area,
.bar,
.busy {
  fill: var(--busy);
}
.row {
  fill: var(--row);
}
.waiting {
  fill: var(--waiting);
}
.starved {
  fill: var(--starved);
}
.tail {
  fill: var(--tail);
}
.s1,
.s2,
.s3,
.s4 {
  fill: var(--busy);
}
.s1 {
  opacity: 0.2;
}
.s2 {
  opacity: 0.4;
}
.s3 {
  opacity: 0.6;
}
.s4 {
  opacity: 0.85;
}
.c0 {
  fill: #2f6fb7;
}
.c1 {
  fill: #3c9d6d;
}
.c2 {
  fill: #b98b1d;
}
.c3 {
  fill: #8458b3;
}
.c4 {
  fill: #1f98a6;
}
.c5 {
  fill: #b35a8b;
}
.c6 {
  fill: #77823a;
}
.c7 {
  fill: #7b8794;
}
rect.lost {
  fill: var(--text);
}
rect.failed {
  fill: var(--bad);
}
rect.retried {
  fill: var(--bad);
  opacity: 0.6;
}
rect.suspended,
rect.cancelled {
  opacity: 0.5;
}
`;

/** What a page's boxes are, in a picture. */
const BOXES = `
text {
  font-family: "DejaVu Sans";
}
.ground {
  fill: var(--back);
}
.card {
  fill: var(--card);
}
.edge {
  fill: var(--waiting);
}
.edge.balanced {
  fill: var(--busy);
}
.edge.trouble {
  fill: var(--bad);
}
.heading,
.number,
.plain {
  fill: var(--text);
}
.heading,
.number {
  font-weight: bold;
}
.number {
  font-size: 19px;
}
.plain {
  font-size: 15px;
}
.small {
  font-size: 13px;
}
.failed {
  fill: var(--bad);
}
.lost {
  fill: var(--text);
}
`;

/** All for a program that draws pictures, and knows of no variables: by day. */
export const PICTURE_STYLE = (CHARTS + BOXES).replaceAll(
  /var\(--(\w+)\)/g,
  (_, name) => DAY[name as string]!,
);

export const STYLE = `
:root {
  color-scheme: light dark;
  ${variablesOf(DAY)}
}
@media (prefers-color-scheme: dark) {
  :root {
    ${variablesOf(NIGHT)}
  }
}
${CHARTS}
* {
  box-sizing: border-box;
}
body {
  font:
    15px/1.5 system-ui,
    sans-serif;
  color: var(--text);
  background: var(--back);
  margin: 0 auto;
  padding: 24px;
  max-width: 1240px;
}
h1 {
  font-size: 22px;
  margin: 0;
}
h2 {
  font-size: 17px;
  margin: 32px 0 8px;
}
p {
  margin: 4px 0;
}
.soft,
figcaption {
  color: var(--soft);
  font-size: 13px;
}
.numbers {
  display: grid;
  grid-template-columns: repeat(auto-fit, minmax(118px, 1fr));
  gap: 8px;
  margin: 16px 0;
  padding: 0;
}
.numbers li {
  list-style: none;
  background: var(--card);
  border-radius: 6px;
  padding: 8px 12px;
  font-size: 13px;
  line-height: 1.35;
  color: var(--soft);
}
.numbers b {
  color: var(--text);
  line-height: 1.5;
  font-variant-numeric: tabular-nums;
  white-space: nowrap;
  display: block;
  font-size: 19px;
  font-weight: 600;
}
.verdict {
  background: var(--card);
  border-left: 5px solid var(--waiting);
  border-radius: 4px;
  padding: 8px 14px;
  margin: 8px 0;
}
.verdict h3 {
  font-size: 15px;
  margin: 0;
}
.verdict.balanced {
  border-color: var(--busy);
}
.verdict.trouble {
  border-color: var(--bad);
}
figure {
  margin: 8px 0;
  overflow-x: auto;
}
svg {
  width: 100%;
  height: auto;
  display: block;
}
/* Smaller than that nothing of it can be read: the figure is moved instead. */
svg.detailed {
  min-width: 760px;
}
svg.strip {
  height: 26px;
  border-radius: 4px;
}
.two {
  display: grid;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 440px), 1fr));
  gap: 0 32px;
}
.two > div {
  min-width: 0;
}
.key {
  display: inline-block;
  width: 11px;
  height: 11px;
  border-radius: 2px;
  margin-right: 5px;
}
figcaption {
  display: flex;
  flex-wrap: wrap;
  gap: 2px 14px;
  margin-top: 4px;
}
i.busy {
  background: var(--busy);
}
i.waiting {
  background: var(--waiting);
}
i.starved {
  background: var(--starved);
}
i.tail {
  background: var(--tail);
}
i.lost {
  background: var(--text);
}
i.failed {
  background: var(--bad);
}
i.c0 {
  background: #2f6fb7;
}
i.c1 {
  background: #3c9d6d;
}
i.c2 {
  background: #b98b1d;
}
i.c3 {
  background: #8458b3;
}
i.c4 {
  background: #1f98a6;
}
i.c5 {
  background: #b35a8b;
}
i.c6 {
  background: #77823a;
}
i.c7 {
  background: #7b8794;
}
.wide {
  overflow-x: auto;
}
table {
  border-collapse: collapse;
  font-size: 13px;
}
th,
td {
  text-align: right;
  padding: 3px 12px 3px 0;
  border-bottom: 1px solid var(--line);
  font-variant-numeric: tabular-nums;
  white-space: nowrap;
}
th {
  color: var(--soft);
  font-weight: 500;
}
.text,
.message {
  text-align: left;
}
td.message {
  white-space: normal;
  overflow-wrap: anywhere;
  min-width: 260px;
}
@media (max-width: 640px) {
  body {
    padding: 12px;
  }
}
`;
