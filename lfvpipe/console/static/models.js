// Follows versions whose status changes by itself: the progress in place, a new status by a reload.

const PAUSE = 2000; // ms between two looks
const followed = document.querySelector("[data-follow]");
let failures = 0;

async function look() {
  if (document.hidden) return schedule();
  try {
    const answer = await fetch(followed.dataset.follow, { headers: { accept: "application/json" } });
    if (!answer.ok) throw new Error(answer.statusText);
    show((await answer.json()).versions);
    failures = 0;
  } catch {
    failures += 1; // the server is being restarted, or nobody is signed in any more
  }
  if (failures < 30) schedule();
}

function schedule() {
  setTimeout(look, PAUSE * (1 + failures));
}

function show(versions) {
  for (const state of followed.querySelectorAll("[data-version]")) {
    const now = versions[state.dataset.version];
    if (now?.status !== state.dataset.status) {
      if (!isTyping()) return reload();
      if (now) state.textContent = now.said;
      continue;
    }
    const bar = state.parentElement.querySelector("progress");
    if (!bar) continue;
    if (now.percent === null) bar.removeAttribute("value");
    else bar.value = now.percent;
    if (now.phrase) state.parentElement.querySelector(".phrase").textContent = now.phrase;
  }
}

/** Whether a reload would take away what somebody has entered. */
function isTyping() {
  return [...document.querySelectorAll("main form input:not([type=hidden])")].some((each) => each.value !== each.defaultValue);
}

const KEPT = "lfvpipe focus";

/** Load the page again; what has the focus has it afterwards, if it is still there. */
function reload() {
  const focused = document.activeElement;
  const alike = [...document.querySelectorAll("main *")].filter((each) => nameOf(each) === nameOf(focused));
  if (alike.includes(focused)) sessionStorage.setItem(KEPT, JSON.stringify([nameOf(focused), alike.indexOf(focused)]));
  location.reload();
}

function nameOf(element) {
  return [element.tagName, element.id, element.getAttribute("name"), element.getAttribute("href"),
    element.closest("form")?.getAttribute("action"), element.getAttribute("aria-label")].join("|");
}

const [name, place] = JSON.parse(sessionStorage.getItem(KEPT) ?? "[]");
sessionStorage.removeItem(KEPT);
if (name) [...document.querySelectorAll("main *")].filter((each) => nameOf(each) === name)[place]?.focus();

if (followed) schedule();
