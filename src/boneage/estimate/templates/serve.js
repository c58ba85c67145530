"use strict";

const form = document.querySelector("form");
const drop = document.querySelector(".drop");
const chooser = document.getElementById("radiograph");
const button = document.querySelector("button");
const state = document.getElementById("state");
const error = document.getElementById("error");
const hands = document.getElementById("hands");

const SECONDS = 180;

function say(words) { state.textContent = words; }

function fail(words) {
  error.textContent = words;
  error.hidden = false;
  error.scrollIntoView({ block: "nearest" });
}

function busy(value) {
  form.setAttribute("aria-busy", value);
  button.setAttribute("aria-disabled", value);
}

function unsay() {
  error.hidden = true;
  say("");
}

// The chronological age in years; empty if it is not given, NaN for what is no number.
function age() {
  const parts = [["years", 1], ["months", 12]].map(([id, share]) => {
    const field = document.getElementById(id);
    return field.validity.badInput ? NaN : field.value === "" ? null : Number(field.value) / share;
  });
  return parts.every(one => one === null) ? "" : parts[0] + parts[1];
}

async function bytesOf(file) {
  try {
    return await file.arrayBuffer();
  } catch {
    throw new Error(`${file.name}: cannot be read; it may be a folder, or have changed: choose it again`);
  }
}

async function ask(file) {
  if (!file) throw new Error("No radiograph yet: choose a file or drop one");
  const largest = Number(form.dataset.largest);
  if (file.size > largest) throw new Error(`${file.name}: larger than ${largest / 2 ** 20} MiB; reduce it`);
  const headers = { "Content-Type": "application/octet-stream", "X-File-Name": encodeURIComponent(file.name) };
  headers["X-Sex"] = form.elements.sex.value;
  headers["X-Age"] = age();
  const body = await bytesOf(file);
  let answer;
  try {
    const signal = AbortSignal.timeout(1000 * SECONDS);
    answer = await (await fetch("estimate", { method: "POST", headers, body, signal })).json();
  } catch {
    throw new Error("No answer: is the program that serves this page still running? Then try again");
  }
  if (answer.error) throw new Error(answer.error);
  return answer.hands;
}

// A hand's page without its title and its notice, which stand on this page already.
function shown({ title, file, page }) {
  const article = document.createElement("article");
  const heading = document.createElement("h2");
  heading.textContent = title;
  heading.tabIndex = -1;
  const parsed = new DOMParser().parseFromString(page.slice(page.indexOf("<main>")), "text/html");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([page], { type: "text/html" }));
  link.download = file;
  link.textContent = "Download this page";
  article.append(heading, ...parsed.querySelector("main").children, link);
  return article;
}

function replace(articles) {
  for (const link of hands.querySelectorAll("a[download]")) URL.revokeObjectURL(link.href);
  hands.replaceChildren(...articles);
}

form.addEventListener("submit", async event => {
  event.preventDefault();
  if (form.getAttribute("aria-busy") === "true") return;
  const [file] = chooser.files;
  unsay();
  // Nobody is to take the last one's age for this one's.
  replace([]);
  busy(true);
  if (file) say(`Reading ${file.name} …`);
  try {
    const answered = await ask(file);
    replace(answered.map(shown));
    say(answered.length > 1 ? `${answered.length} hands: the results are below.` : "The result is below.");
    const heading = hands.querySelector("h2");
    heading.scrollIntoView();
    heading.focus({ preventScroll: true });
  } catch (problem) {
    say("");
    fail(problem.message);
  } finally {
    busy(false);
  }
});

form.addEventListener("change", unsay);

// Anywhere on the page, as a browser would leave it for a file that misses.
let over = 0;
document.addEventListener("dragenter", () => { over += 1; drop.classList.add("over"); });
document.addEventListener("dragleave", () => { over -= 1; if (!over) drop.classList.remove("over"); });
document.addEventListener("dragover", event => event.preventDefault());
document.addEventListener("drop", event => {
  event.preventDefault();
  over = 0;
  drop.classList.remove("over");
  const { files } = event.dataTransfer;
  unsay();
  if (files.length !== 1) {
    fail("One radiograph at a time: drop one file");
    return;
  }
  chooser.files = files;
  button.focus();
});
