"use strict";

// Tables that sort, values under the pointer, texts to copy. Explorations are in a script of their own.

/** Orders values: numbers by size, texts by letters, what is unknown last in either direction. */
function compareKeys(a, b, sign) {
  const known = (key) => key !== null && key !== undefined && key !== "–";
  if (!known(a) || !known(b)) return known(b) - known(a);
  if (typeof a === "number" && typeof b === "number") return sign * (a - b);
  return sign * String(a).localeCompare(String(b), "en", { numeric: true });
}

/** Marks a heading as the one that its table is sorted by; returns 1 for ascending, -1 for descending. */
function nextDirection(heading) {
  const numeric = heading.classList.contains("number");
  const now = heading.getAttribute("aria-sort");
  const next = now ? (now === "ascending" ? "descending" : "ascending") : numeric ? "descending" : "ascending";
  for (const other of heading.parentElement.cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", next);
  return next === "ascending" ? 1 : -1;
}

for (const table of document.querySelectorAll("table.sortable")) {
  table.tHead.addEventListener("click", (event) => {
    const heading = event.target.closest("button")?.closest("th");
    if (!heading) return;
    const sign = nextDirection(heading);
    const key = (row) => {
      const cell = row.cells[heading.cellIndex];
      return "key" in cell.dataset ? Number(cell.dataset.key) : cell.textContent;
    };
    const rows = Array.from(table.tBodies[0].rows, (row) => [key(row), row]);
    rows.sort((a, b) => compareKeys(a[0], b[0], sign));
    table.tBodies[0].append(...rows.map(([, row]) => row));
  });
}

const tip = document.getElementById("tip");

/** Shows a text beside a place of the window; hides it where there is none. */
function showTip(text, x, y) {
  tip.hidden = !text;
  if (!text) return;
  tip.textContent = text;
  const { width, height } = tip.getBoundingClientRect();
  const left = Math.min(Math.max(x + 14, 4), innerWidth - width - 4);
  const above = y - height - 12;
  tip.style.left = `${Math.max(left, 4)}px`;
  tip.style.top = `${above > 4 ? above : y + 18}px`;
}

/** What stands under the pointer in the outline of a unit. */
function outlineTip(outline, x) {
  const box = outline.getBoundingClientRect();
  const shares = outline.dataset.shares.split(" ");
  const bin = Math.min(Math.max(Math.floor(((x - box.left) / box.width) * shares.length), 0), shares.length - 1);
  const { cycles } = outline.closest("table").dataset;
  const cycle = (place) => Math.round((cycles * place) / shares.length).toLocaleString("en");
  return `${outline.dataset.unit}: occupied ${(shares[bin] / 10).toFixed(1)} %, cycles ${cycle(bin)} to ${cycle(bin + 1)}`;
}

document.addEventListener("pointermove", (event) => {
  const target = event.target instanceof Element ? event.target : null;
  if (target?.closest(".plot")) return;
  const outline = target?.closest("[data-shares]");
  const text = outline ? outlineTip(outline, event.clientX) : target?.closest("[data-tip]")?.dataset.tip;
  showTip(text, event.clientX, event.clientY);
});
document.addEventListener("keydown", (event) => event.key === "Escape" && showTip(""));
document.addEventListener("scroll", () => showTip(""), { passive: true });

/** Puts the text on the clipboard, or selects it where the browser does not allow that. */
async function copy(button) {
  const code = button.parentElement.querySelector("code");
  try {
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(code);
    button.textContent = "Selected";
  }
}

for (const button of document.querySelectorAll(".copy")) button.hidden = false;
document.addEventListener("click", (event) => {
  const button = event.target instanceof Element && event.target.closest(".copy");
  if (button) copy(button);
});
