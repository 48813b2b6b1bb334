"use strict";
// Small comforts. Every page works without this file.

// Parts marked data-live are asked for again when the server says that
// something changed, and swapped in if they did.
const live = () => [...document.querySelectorAll("[data-live]")];

let asking = false, again = false, pressed = false;

async function refresh() {
  if (asking) { again = true; return; }
  asking = true;
  try {
    const answer = await fetch(location.href, { headers: { "X-Live": "1" }, redirect: "error" });
    if (answer.status === 404) return location.reload(); // gone meanwhile
    if (!answer.ok) return;
    if (pressed) { again = true; return; }
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const old of live()) {
      const now = page.getElementById(old.id);
      if (now && now.innerHTML !== old.innerHTML) swap(old, now);
    }
  } catch {
    // The server is gone for a moment: the stream tells when it is back.
  } finally {
    asking = false;
    if (again && !pressed) { again = false; refresh(); }
  }
}

// While a button is held down nothing is swapped: it would be gone before its
// click.
addEventListener("pointerdown", () => { pressed = true; });
for (const end of ["pointerup", "pointercancel", "blur"])
  addEventListener(end, () => {
    pressed = false;
    if (again) setTimeout(() => { if (again && !asking) { again = false; refresh(); } });
  });

// nameOf tells a control from the others of its part.
const nameOf = (e) => e.id || e.getAttribute("href") || [e.form?.action, e.name, e.value, e.textContent].join("\n");

// swap replaces a part, and leaves focus, typed text and opened details as
// they are.
function swap(old, now) {
  const focused = document.activeElement;
  if (old.contains(focused) && focused.matches("input:not([type=checkbox], [type=radio]), select, textarea")) return;
  const open = new Set([...old.querySelectorAll("details[open][id]")].map((d) => d.id));
  const ticked = new Set([...old.querySelectorAll("input:checked[name]")].map((i) => i.name));
  const name = old.contains(focused) ? nameOf(focused) : "";
  old.replaceChildren(...now.childNodes);
  for (const d of old.querySelectorAll("details[id]")) if (open.has(d.id)) d.open = true;
  for (const i of old.querySelectorAll("input[type=checkbox]")) if (ticked.has(i.name)) i.checked = true;
  if (name) [...old.querySelectorAll("a, button, summary, input")].find((e) => nameOf(e) === name)?.focus({ preventScroll: true });
}

// A page listens while it is seen: a browser keeps six connections to a host,
// and the tabs behind would take them all.
let stream = null;

function listen(wanted) {
  if (!wanted) {
    stream?.close();
    stream = null;
  } else if (!stream && live().length > 0) {
    stream = new EventSource("/events");
    stream.onmessage = refresh;
    stream.onopen = refresh; // what happened before the stream was there
  }
}

listen(!document.hidden);
document.addEventListener("visibilitychange", () => listen(!document.hidden));
addEventListener("pagehide", () => listen(false));
addEventListener("pageshow", () => listen(!document.hidden));

// On a narrow screen the tabs scroll: the current one is to be seen.
document.querySelector(".tabs [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

// A button that takes a while says so, and is not pressed twice.
addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post" || form.hasAttribute("data-download")) return; // a download leaves the page as it is
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
