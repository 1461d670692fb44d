"use strict";
// Keeps the decisions of a review sheet in the browser, where it may, and exports them as CSV.
const list = document.getElementById("cards");
const cards = Array.from(list.children);
const key = "histoclf-review-" + list.dataset.review;
let kept = true; // whether the browser keeps what was decided
let exported = true; // whether all that was decided is in a file

function decisionOf(card) {
  const ticked = card.querySelector("input:checked");
  return ticked ? ticked.value : "";
}

function rowOf(card) {
  const decision = decisionOf(card);
  const label = decision === "relabel" ? card.querySelector("select").value : "";
  return [card.dataset.item, card.dataset.given, decision, label];
}

function decide(card, decision, label) {
  for (const radio of card.querySelectorAll("input")) radio.checked = radio.value === decision;
  if (label) card.querySelector("select").value = label;
}

function show() {
  let decided = 0;
  for (const card of cards) {
    const done = decisionOf(card) !== "";
    card.classList.toggle("decided", done);
    if (done) decided += 1;
  }
  const where = kept ? "kept in this browser" : "NOT kept by this browser: export before you close the page";
  document.getElementById("status").textContent = `${decided} of ${cards.length} decided; ${where}.`;
}

function store() {
  try {
    localStorage.setItem(key, JSON.stringify(cards.map((card) => rowOf(card).slice(2))));
  } catch (error) {
    kept = false;
  }
}

function restore() {
  try {
    const rows = JSON.parse(localStorage.getItem(key) || "[]");
    cards.forEach((card, number) => { if (rows[number]) decide(card, rows[number][0], rows[number][1]); });
  } catch (error) {
    kept = false;
  }
}

function changed() {
  exported = false;
  store();
  show();
}

// A spreadsheet would compute what begins like a formula; LabelCorrections.from_csv takes the quote off again.
function protect(text) {
  return /^'*[=+\-@\t\r]/.test(text) ? "'" + text : text;
}

function quote(text) {
  return /[",\r\n]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
}

function exportRows() {
  const rows = [list.dataset.columns.split(","), ...cards.map(rowOf)];
  const text = rows.map((row) => row.map(protect).map(quote).join(",") + "\n").join("");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  link.download = "label_review.csv";
  link.click();
  exported = true;
}

list.addEventListener("change", (event) => {
  if (event.target.matches("select")) decide(event.target.closest(".card"), "relabel", event.target.value);
  changed();
});

list.addEventListener("click", (event) => {
  if (!event.target.matches(".undo")) return;
  decide(event.target.closest(".card"), "");
  changed();
});

list.addEventListener("keydown", (event) => {
  const choice = { k: "keep", r: "relabel", d: "drop", u: "" }[event.key.toLowerCase()];
  if (choice === undefined || event.ctrlKey || event.metaKey || event.altKey || event.target.matches("select")) return;
  decide(event.target.closest(".card"), choice);
  changed();
});

document.getElementById("export").addEventListener("click", exportRows);
window.addEventListener("beforeunload", (event) => { if (!kept && !exported) event.preventDefault(); });
restore();
show();
