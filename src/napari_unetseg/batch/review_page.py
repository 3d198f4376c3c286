"""How the page of a review looks, and what can be done on it: it needs nothing but itself."""

STYLE = """
:root { color-scheme: light dark; --back: #ffffff; --text: #1c1f23; --faint: #5d6670; --line: #dde1e6;
  --raised: #f5f7f9; --accepted: #2e7d4f; --fixed: #2b6cb8; --rejected: #b3372f; --waiting: #98a1ab; }
@media (prefers-color-scheme: dark) { :root { --back: #17191c; --text: #e8eaed; --faint: #9aa3ad; --line: #33383e;
  --raised: #202327; --accepted: #58b981; --fixed: #6aa9ee; --rejected: #ea7a70; --waiting: #69717a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 28px 24px 60px; max-width: 1180px; background: var(--back); color: var(--text);
  font: 15px/1.45 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 25px; line-height: 1.2; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 18px; margin: 36px 0 8px; }
p { margin: 4px 0; }
.faint { color: var(--faint); }
.numbers { display: flex; flex-wrap: wrap; gap: 10px; margin: 20px 0 12px; padding: 0; list-style: none; }
.numbers li { background: var(--raised); border-radius: 8px; padding: 10px 16px; min-width: 112px; }
.numbers strong { display: block; font-size: 23px; line-height: 1.2; font-variant-numeric: tabular-nums; }
.bar { display: flex; height: 10px; border-radius: 5px; overflow: hidden; background: var(--line);
  margin-bottom: 16px; }
.bar span { height: 100%; }
.accepted { --own: var(--accepted); } .fixed { --own: var(--fixed); }
.rejected { --own: var(--rejected); } .waiting { --own: var(--waiting); }
.bar span, .dot { background: var(--own); }
.dot { display: inline-block; width: 10px; height: 10px; border-radius: 50%; margin-right: 7px; }
.choices { display: flex; flex-wrap: wrap; gap: 8px; margin: 16px 0 12px; }
button { font: inherit; color: inherit; background: none; border: 0; cursor: pointer; }
.choices button { border: 1px solid var(--line); border-radius: 16px; padding: 3px 13px; }
.choices button[aria-pressed=true] { background: var(--text); color: var(--back); border-color: var(--text); }
button:focus-visible, img:focus-visible { outline: 2px solid var(--fixed); outline-offset: 2px; }
table { width: 100%; border-collapse: collapse; }
th, td { text-align: left; vertical-align: top; padding: 10px 12px 10px 0; border-bottom: 1px solid var(--line); }
th { font-weight: 600; white-space: nowrap; position: sticky; top: 0; background: var(--back); z-index: 1; }
th button { padding: 0; font-weight: 600; }
th[aria-sort=ascending] button::after { content: " \\2191"; }
th[aria-sort=descending] button::after { content: " \\2193"; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.name { overflow-wrap: anywhere; min-width: 195px; max-width: 260px; }
td:first-child { width: 1px; }
td ul { margin: 0; padding-left: 17px; }
figure { margin: 0 8px 6px 0; }
figcaption { color: var(--faint); font-size: 13px; }
img { display: block; width: 200px; height: auto; border-radius: 4px; cursor: zoom-in; image-rendering: auto; }
img.large { position: fixed; inset: 0; z-index: 2; width: 100%; height: 100%; padding: 3vh 3vw; object-fit: contain;
  border-radius: 0; background: #000000e0; cursor: zoom-out; }
[hidden] { display: none; }
@media (max-width: 760px) { thead { display: none; } tr { display: block; padding: 12px 0; border-bottom: 1px solid
  var(--line); } td { display: block; border: 0; padding: 2px 0; } td.number { text-align: left; } }
@media print { .choices { display: none; } tr { break-inside: avoid; } body { max-width: none; padding: 0; } }
"""

SCRIPT = """
"use strict";
const body = document.querySelector("tbody");
const rows = () => Array.from(body.rows);
for (const head of document.querySelectorAll("th[data-key]")) {
  head.firstElementChild.addEventListener("click", () => {
    const key = head.dataset.key, isNumber = head.classList.contains("number");
    const was = head.getAttribute("aria-sort");
    const up = was ? was === "descending" : !isNumber;
    for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const compare = isNumber
      ? (a, b) => a.dataset[key] - b.dataset[key]
      : (a, b) => a.dataset[key].localeCompare(b.dataset[key], undefined, { numeric: true });
    body.append(...rows().sort((a, b) => (up ? 1 : -1) * compare(a, b)));
  });
}
for (const choice of document.querySelectorAll(".choices button")) {
  choice.addEventListener("click", () => {
    for (const other of choice.parentElement.children) other.setAttribute("aria-pressed", other === choice);
    for (const row of rows()) row.hidden = choice.value !== "all" && row.dataset.decision !== choice.value;
  });
}
const enlarge = (event) => {
  if (event.target.tagName !== "IMG" || (event.key && event.key !== "Enter")) return;
  event.target.classList.toggle("large");
};
body.addEventListener("click", enlarge);
body.addEventListener("keydown", enlarge);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") document.querySelector("img.large")?.classList.remove("large");
});
"""
