// The page on which masks are painted. What is painted is kept by Save alone.

import { Painter } from "./painter.js";

const $ = (id) => document.getElementById(id);
const work = $("work");
const facts = work.dataset;
const [width, height] = [Number(facts.width), Number(facts.height)];
// Names are people's, "constructor" among them: no object's own names may come between.
const classes = new Map(Object.entries(JSON.parse(facts.classes)));
const LARGEST = 16;
let scale = 0;        // pixels of the screen for one of the image; 0 fits it in
let stand = facts.stand;
let isChanged = false;

const painter = new Painter($("canvas"), {
  colour: () => classes.get($("class").value),
  width: () => Number($("width").value),
  changed: () => { isChanged = true; },
});

function say(text) { $("said").textContent = text; }

async function ask(path, body) {
  const reply = await fetch(`${facts.one}/${path}`, {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/json", "x-lfvpipe-csrf": $("csrf").value },
    body: JSON.stringify(body),
  });
  const said = await reply.json().catch(() => ({ error: facts.lost }));
  if (!reply.ok) throw new Error(said.error);
  return said;
}

async function guarded(work) {
  try {
    await work();
  } catch (error) {
    say(error.message || facts.lost);
  }
}

async function lay(address, isStep) {
  const picture = new Image();
  picture.src = address;
  await picture.decode();
  painter.lay(picture, isStep);
}

function fitting() {
  const box = $("view").getBoundingClientRect();
  return Math.min((box.width - 4) / width, (box.height - 4) / height);
}

function draw() {
  const now = scale || fitting();
  $("sheet").style.width = `${Math.max(1, Math.floor(width * now))}px`;
  $("sheet").style.height = `${Math.max(1, Math.floor(height * now))}px`;
  $("image").classList.toggle("coarse", now >= 2);
}

// The point under the pointer, or in the middle, stays where it is.
function zoomBy(factor, event) {
  const least = fitting();
  const view = $("view");
  const box = view.getBoundingClientRect();
  const sheet = $("sheet").getBoundingClientRect();
  const x = event ? event.clientX : box.left + box.width / 2;
  const y = event ? event.clientY : box.top + box.height / 2;
  const [right, down] = [(x - sheet.left) / sheet.width, (y - sheet.top) / sheet.height];
  const wanted = (scale || least) * factor;
  scale = wanted <= least * 1.01 ? 0 : Math.min(wanted, Math.max(LARGEST, least));
  draw();
  const after = $("sheet").getBoundingClientRect();
  view.scrollLeft += after.left + right * after.width - x;
  view.scrollTop += after.top + down * after.height - y;
}

function chooseTool(tool) {
  painter.choose(tool);
  for (const each of document.querySelectorAll("[data-tool]")) {
    each.setAttribute("aria-pressed", String(each.dataset.tool === tool));
  }
}

function addType() {
  const name = $("new-type").value.trim().replace(/\s+/g, " ");
  if (!name) return $("new-type").focus();
  if (JSON.parse(facts.reserved).includes(name.toLowerCase())) return say(facts.noType.replace("{name}", () => name));
  if (!classes.has(name)) {
    const used = new Set(classes.values());
    classes.set(name, JSON.parse(facts.palette).find((each) => !used.has(each))
      ?? `#${(classes.size * 0x3b7f15 % 0xfffffe).toString(16).padStart(6, "0").toUpperCase()}`);
    $("class").add(new Option(name));
    const key = $("legend").firstElementChild.cloneNode(true);
    key.querySelector("rect").setAttribute("fill", classes.get(name));
    key.querySelector("span").textContent = name;
    $("legend").append(key);
  }
  $("class").value = name;
  $("new-type").value = "";
}

let saving = false; // a second click would be somebody else's change
async function save() {
  if (saving) return;
  saving = true;
  try {
    await keep();
  } finally {
    saving = false;
  }
}

async function keep() {
  const said = await ask("mask", { mask: painter.png(), classes: Object.fromEntries(classes), stand });
  isChanged = false;
  stand = said.stand;
  say(said.text);
}

async function propose() {
  const said = await ask("proposal", { colour: classes.get($("class").value), version: facts.version });
  if (said.mask) await lay(said.mask, true);
  say(said.text);
  return Boolean(said.mask);
}

function pressed(event) {
  if (event.target.closest("input, select, textarea") || event.altKey) return;
  const key = event.key.toLowerCase();
  if (key === "enter" && painter.corners.length) painter.closePolygon();
  else if (key === "escape" && painter.corners.length) painter.dropPolygon();
  else if (facts.paints && key === "z" && (event.ctrlKey || event.metaKey)) painter.undo();
  else if (event.ctrlKey || event.metaKey) return;
  else if (key === "+") zoomBy(1.5);
  else if (key === "-") zoomBy(1 / 1.5);
  else if (key === "0") { scale = 0; draw(); }
  else return;
  event.preventDefault();
}

if (facts.paints) { // who may only look has no tools, and the canvas hears nothing
  for (const name of classes.keys()) $("class").add(new Option(name));
  for (const each of document.querySelectorAll("[data-tool]")) {
    each.addEventListener("click", () => chooseTool(each.dataset.tool));
  }
  $("add-type").addEventListener("click", addType);
  $("new-type").addEventListener("keydown", (event) => { if (event.key === "Enter") addType(); });
  $("undo").addEventListener("click", () => painter.undo());
  $("clear").addEventListener("click", () => painter.clear());
  $("save").addEventListener("click", () => guarded(save));
}
$("propose")?.addEventListener("click", () => guarded(async () => { if (await propose()) isChanged = true; }));
$("view").addEventListener("wheel", (event) => {
  event.preventDefault();
  zoomBy(1.0015 ** -(event.deltaY * (event.deltaMode ? 33 : 1)), event);
}, { passive: false });
document.addEventListener("keydown", pressed);
$("opacity").addEventListener("input", () => { $("canvas").style.opacity = String($("opacity").value / 100); });
$("larger").addEventListener("click", () => zoomBy(1.5));
$("smaller").addEventListener("click", () => zoomBy(1 / 1.5));
$("fit").addEventListener("click", () => { scale = 0; draw(); });
window.addEventListener("beforeunload", (event) => { if (isChanged) event.preventDefault(); });
new ResizeObserver(draw).observe($("view"));
painter.start(width, height);
draw();
guarded(async () => {
  if (facts.masked) await lay(`${facts.one}/mask`, false);
  if (facts.proposes) await propose(); // nobody's work yet: it may be left without a question
  work.dataset.ready = "yes";
});
