"use strict";
// Small comforts. Every page works without this file.

// Parts marked data-live are asked for again when the server says that
// something changed, and swapped in if they did.
const live = () => [...document.querySelectorAll("[data-live]")];

let asking = false, again = false;

async function refresh() {
  if (asking) { again = true; return; }
  asking = true;
  try {
    const answer = await fetch(location.href, { headers: { "X-Live": "1" }, redirect: "error" });
    if (answer.status === 404) return location.reload(); // gone meanwhile
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const old of live()) {
      const now = page.getElementById(old.id);
      if (now && now.innerHTML !== old.innerHTML) swap(old, now);
    }
  } catch {
    // The server is gone for a moment: the stream tells when it is back.
  } finally {
    asking = false;
    if (again) { again = false; refresh(); }
  }
}

// swap replaces a part, and leaves focus, typed text and opened details as
// they are.
function swap(old, now) {
  const focused = document.activeElement;
  if (old.contains(focused) && focused.matches("input, select, textarea")) return;
  const open = new Set([...old.querySelectorAll("details[open][id]")].map((d) => d.id));
  const ticked = new Set([...old.querySelectorAll("input:checked[name]")].map((i) => i.name));
  const id = old.contains(focused) ? focused.id : "";
  old.replaceChildren(...now.childNodes);
  for (const d of old.querySelectorAll("details[id]")) if (open.has(d.id)) d.open = true;
  for (const i of old.querySelectorAll("input[type=checkbox]")) if (ticked.has(i.name)) i.checked = true;
  if (id) document.getElementById(id)?.focus();
}

if (live().length > 0) {
  const stream = new EventSource("/events");
  stream.onmessage = refresh;
  stream.onopen = refresh; // what happened before the stream was there
  addEventListener("pagehide", () => stream.close());
}

// On a narrow screen the tabs scroll: the current one is to be seen.
document.querySelector(".tabs [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

// A button that takes a while says so, and is not pressed twice.
addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post") return;
  if (form.dataset.sent) { event.preventDefault(); return; }
  form.dataset.sent = "1";
  const button = event.submitter;
  if (!button) return;
  setTimeout(() => { // after the form was read: a disabled button would not be sent
    button.setAttribute("aria-busy", "true");
    if (form.dataset.busy) button.textContent = form.dataset.busy;
  });
});
addEventListener("pageshow", (event) => { // back to a page that was kept
  if (!event.persisted) return;
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
  for (const button of document.querySelectorAll("[aria-busy]")) button.removeAttribute("aria-busy");
});
