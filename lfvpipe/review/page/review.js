"use strict";
// The page keeps nothing that matters: what was decided is on the server's disk before it is shown.

const $ = (id) => document.getElementById(id);
const KEYS = { n: "normal", a: "anomaly", u: "unsure", x: "exclude" };
const BADGES = { wrong: "against its label", doubtful: "doubtful" };
const EFFECTS = {
  train: "The next run learns from it as you decide.",
  test: "It goes on testing, as you decide.",
  evaluate: "It goes on being evaluated, against your decision, and is never learnt from.",
  unused: "The next run learns from it if you say normal or anomaly.",
};
const SPLITS = { train: "training", test: "test", evaluate: "evaluation", unused: "evaluation (unused so far)" };
let state = {};
let list = [];        // numbers of the images that the filter leaves
let at = 0;           // where in the list we are
let item = null;
let line = Promise.resolve();
let waiting = 0;
let overlay = "";     // "", "heat" or "mask"
let erasing = false;
let strokes = [];     // pictures of the canvas before each stroke
let painted = false;

async function ask(path, body) {
  const options = body === undefined ? {} : {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  };
  let reply;
  try {
    reply = await fetch(path, options);
  } catch {
    throw new Error("lfvpipe review does not answer. Is it still running?");
  }
  const data = await reply.json().catch(() => ({ error: reply.statusText }));
  if (!reply.ok) throw new Error(data.error);
  return data;
}

function fail(error) {
  $("error").textContent = error ? error.message : "";
  $("error").hidden = !error;
}

// One thing after the other; errors end here.
function guarded(work) {
  waiting += 1;
  line = line.then(() => { fail(null); return work(); }).catch(fail).finally(() => { waiting -= 1; });
  return line;
}

function say(text) { $("live").textContent = text; }

function showState() {
  document.title = `Review · ${state.title}`;
  $("title").textContent = state.title;
  const conflicts = state.conflicts ? `, ${state.conflicts} in conflict` : "";
  $("progress").textContent = `${state.decided} of ${state.total} decided${conflicts}`;
  $("bar").max = Math.max(1, state.total);
  $("bar").value = state.decided;
  $("file").textContent = state.file;
  $("advice").textContent = state.advice;
  $("advice").hidden = !state.advice;
  $("undo").disabled = !state.can_undo;
  $("heat").hidden = !state.heat;
  $("ramp").style.backgroundImage = `linear-gradient(90deg, ${state.ramp})`;
  $("paint").hidden = !state.paints;
}

function article(label) { return label === "unsure" ? "unsure" : label === "exclude" ? "excluded" : label; }

function percent(value) { return `${(100 * value).toFixed(value > 0.995 && value < 1 ? 1 : 0)}\u00a0%`; }

function badge(kind) {
  const span = document.createElement("span");
  span.className = `badge ${kind}`;
  span.textContent = BADGES[kind];
  return span;
}

function showFacts() {
  $("name").textContent = item.name;
  $("place").textContent = `image ${at + 1} of ${list.length} · ${item.width} × ${item.height} pixels`;
  const said = $("said");
  said.textContent = item.said ? `${item.said.label}, confidence ${percent(item.said.confidence)}` : "nothing: it was not asked";
  if (item.said && state.of_training && item.split === "train") said.append(", without having learnt from it");
  if (item.said && item.said.wrong) said.append(badge("wrong"));
  if (item.said && item.said.confidence < state.review_below) said.append(badge("doubtful"));
  const types = item.types.length ? `: ${item.types.join(", ")}` : "";
  $("label").textContent = item.label ? item.label + types : "not known";
  $("alike").textContent = item.alike.map((each) => `Looks nearly the same as ${each.name}, which is labelled ${each.label}.`).join(" ");
  $("alike").hidden = !item.alike.length;
  $("split").textContent = SPLITS[item.split] || item.split;
  $("effect").textContent = EFFECTS[item.split] || "";
  const made = $("made");
  made.textContent = item.made.length ? "" : "not yet";
  const ul = document.createElement("ul");
  for (const each of item.made) {
    const li = document.createElement("li");
    const when = each.when ? ` on ${each.when.replace("T", " ").replace("Z", " UTC")}` : "";
    li.textContent = `${article(each.label)}, by ${each.who || "somebody"}${when}`;
    ul.append(li);
  }
  if (item.made.length) made.append(ul);
  $("conflict").hidden = !item.conflict;
  if (item.conflict) {
    const last = item.made[item.made.length - 1];
    $("conflict").textContent = `People differ about this image. The latest decision counts: ${article(last.label)}, by ${last.who || "somebody"}.`;
  }
  const chosen = item.decision && item.decision.label;
  for (const button of document.querySelectorAll("[data-label]")) {
    button.setAttribute("aria-pressed", String(button.dataset.label === chosen));
  }
  $("previous").disabled = at === 0;
  $("next").disabled = at >= list.length - 1;
}

function fit() {
  if (!item) return;
  const view = $("view").getBoundingClientRect();
  const zoom = Number($("zoom").value);
  const scale = zoom || Math.min((view.width - 2) / item.width, (view.height - 2) / item.height);
  $("sheet").style.width = `${Math.max(1, Math.floor(item.width * scale))}px`;
  $("sheet").style.height = `${Math.max(1, Math.floor(item.height * scale))}px`;
  $("image").classList.toggle("coarse", scale >= 2);
}

function showOverlay() {
  const kind = overlay === "mask" ? (item.mask ? "mask" : state.paints && state.heat ? "found" : "") : overlay;
  $("heat").setAttribute("aria-pressed", String(overlay === "heat"));
  $("mask").setAttribute("aria-pressed", String(overlay === "mask"));
  $("mask").hidden = !(item.mask || (state.paints && state.heat));
  const picture = $("overlay");
  picture.classList.toggle("mask", overlay === "mask");
  $("legend").hidden = kind !== "heat" || !$("canvas").hidden;
  if (!kind || !$("canvas").hidden) { picture.hidden = true; picture.removeAttribute("src"); return; }
  picture.alt = { heat: "Heat map: where the model sees an anomaly", mask: "Known mask", found: "Mask that the model predicts" }[kind];
  const source = `pictures/${kind}/${item.n}?${item.made.length}`;
  picture.hidden = true;
  picture.onload = () => { picture.hidden = !overlay; };
  picture.onerror = () => { picture.hidden = true; say(`There is no ${overlay === "heat" ? "heat map" : "mask"} of this image.`); };
  picture.src = source;
}

function showImage() {
  $("image").src = `pictures/image/${item.n}`;
  $("image").alt = `${item.name}${item.said ? `; the model says ${item.said.label}` : ""}`;
  stopPainting();
  fit();
  showOverlay();
}

function outlook() {
  const when = state.advice ? "Once the pipeline file names them, lfvpipe run" : "The next lfvpipe run";
  return `${when} ${state.outlook}.`;
}

async function show(position, focus) {
  at = Math.max(0, Math.min(position, list.length - 1));
  $("work").hidden = !list.length;
  $("empty").hidden = Boolean(list.length);
  if (!list.length) {
    item = null;
    const all = state.decided === state.total;
    $("empty").textContent = state.total === 0
      ? state.of_training
        ? "No label of a training image is contradicted. `lfvpipe review --of training --all` shows every one."
        : "There are no doubtful or wrong images. `lfvpipe review --all` shows every image."
      : $("filter").value === "todo" && all
        ? `All ${state.total} images are decided. ${outlook()}`
        : "No image is like that.";
    say($("empty").textContent);
    return;
  }
  item = await ask(`api/items/${list[at]}`);
  showFacts();
  showImage();
  if (focus) $("name").focus({ preventScroll: true });
  if (at + 1 < list.length) new Image().src = `pictures/image/${list[at + 1]}`;
}

async function refilter(keep) {
  list = (await ask(`api/queue?filter=${$("filter").value}`)).items;
  const found = keep === undefined ? 0 : list.indexOf(keep);
  await show(found < 0 ? 0 : found);
}

async function decide(label) {
  const who = $("who").value.trim();
  if (!who) { $("who").focus(); throw new Error("Please enter your name first: it is saved with each decision."); }
  const body = { n: item.n, label, who };
  if (label === "anomaly" && painted) body.mask = $("canvas").toDataURL("image/png").split(",")[1];
  const name = item.name;
  const reply = await ask("api/decisions", body);
  state = reply.state;
  showState();
  const saved = `Saved: ${name} is ${article(label)}.`;
  if (at < list.length - 1) {
    await show(at + 1);
    say(`${saved} Next: ${item.name}, image ${at + 1} of ${list.length}.`);
  } else if ($("filter").value === "todo") {
    await refilter();
    say(list.length ? `${saved} ${list.length} images are left.` : `${saved} ${$("empty").textContent}`);
  } else {
    item = reply.item;
    showFacts();
    stopPainting();
    showOverlay();
    say(saved);
  }
}

async function undo() {
  const reply = await ask("api/undo", {});
  state = reply.state;
  showState();
  if (reply.n === null) return say("There is nothing to undo.");
  let place = list.indexOf(reply.n);
  if (place < 0) {
    list = (await ask(`api/queue?filter=${$("filter").value}`)).items;
    place = Math.max(0, list.indexOf(reply.n));
  }
  await show(place);
  say(`Undone: ${item.name}.`);
}

// Painting

function context() { return $("canvas").getContext("2d", { willReadFrequently: true }); }

function stopPainting() {
  $("canvas").hidden = true;
  $("brushes").hidden = true;
  $("paint").setAttribute("aria-pressed", "false");
  strokes = [];
  painted = false;
}

async function startPainting() {
  const canvas = $("canvas");
  canvas.width = item.width;
  canvas.height = item.height;
  canvas.hidden = false;
  $("brushes").hidden = false;
  $("paint").setAttribute("aria-pressed", "true");
  overlay = "";
  showOverlay();
  if (!item.mask) return;
  const known = new Image();
  known.src = `pictures/mask/${item.n}?${item.made.length}`;
  await known.decode().then(() => context().drawImage(known, 0, 0)).catch(() => {});
}

function brush(from, to) {
  const pen = context();
  pen.globalCompositeOperation = erasing ? "destination-out" : "source-over";
  pen.strokeStyle = state.classes[$("class").value];
  pen.lineWidth = Number($("size").value) * item.width / 512 + 1;
  pen.lineCap = pen.lineJoin = "round";
  pen.beginPath();
  pen.moveTo(...from);
  pen.lineTo(to[0] + 0.01, to[1]);
  pen.stroke();
}

function spot(event) {
  const box = $("canvas").getBoundingClientRect();
  return [(event.clientX - box.left) * item.width / box.width, (event.clientY - box.top) * item.height / box.height];
}

function paintWith(canvas) {
  let last = null;
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    canvas.setPointerCapture(event.pointerId);
    strokes.push(context().getImageData(0, 0, canvas.width, canvas.height));
    if (strokes.length > 20) strokes.shift();
    painted = true;
    last = spot(event);
    brush(last, last);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!last) return;
    for (const each of event.getCoalescedEvents?.() ?? [event]) {
      const here = spot(each);
      brush(last, here);
      last = here;
    }
  });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { last = null; });
}

function setEraser(on) {
  erasing = on;
  $("eraser").setAttribute("aria-pressed", String(on));
}

function unstroke() {
  const before = strokes.pop();
  if (before) context().putImageData(before, 0, 0);
}

function clearMask() {
  strokes.push(context().getImageData(0, 0, item.width, item.height));
  context().clearRect(0, 0, item.width, item.height);
  painted = true;
}

// Wiring

function toggle(kind) {
  if (!item || $(kind).hidden) return;
  stopPainting();
  overlay = overlay === kind ? "" : kind;
  showOverlay();
}

function togglePainting() {
  if (!item || $("paint").hidden) return;
  if ($("canvas").hidden) return guarded(startPainting);
  stopPainting();
  showOverlay();
}

function move(by) {
  guarded(async () => {
    if (!item || at + by < 0 || at + by >= list.length) return;
    await show(at + by);
    say(`${item.name}, image ${at + 1} of ${list.length}.`);
  });
}

// A decision is about the image that is seen: a key pressed while the next one loads is not one.
function choose(label) {
  if (item && !waiting) guarded(() => decide(label));
}

function pressed(event) {
  if (!$("keys").checked || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const field = event.target.closest("input:not([type=checkbox]), select, textarea");
  const scrolls = event.target.id === "view" && Number($("zoom").value);
  if (field || (scrolls && event.key.startsWith("Arrow"))) return;
  const key = event.key.toLowerCase();
  const does = {
    arrowleft: () => move(-1), arrowright: () => move(1),
    z: () => guarded(undo), h: () => toggle("heat"), m: () => toggle("mask"), p: togglePainting,
  };
  if (KEYS[key]) choose(KEYS[key]);
  else if (does[key]) does[key]();
  else return;
  event.preventDefault();
}

function wire() {
  for (const button of document.querySelectorAll("[data-label]")) {
    button.addEventListener("click", () => choose(button.dataset.label));
  }
  $("previous").addEventListener("click", () => move(-1));
  $("next").addEventListener("click", () => move(1));
  $("undo").addEventListener("click", () => guarded(undo));
  $("heat").addEventListener("click", () => toggle("heat"));
  $("mask").addEventListener("click", () => toggle("mask"));
  $("paint").addEventListener("click", togglePainting);
  $("eraser").addEventListener("click", () => setEraser(!erasing));
  $("unstroke").addEventListener("click", unstroke);
  $("clear").addEventListener("click", clearMask);
  $("zoom").addEventListener("change", fit);
  $("filter").addEventListener("change", () => guarded(() => refilter(item ? item.n : undefined)));
  $("who").addEventListener("input", () => fail(null));  // on change it would move what is being clicked
  document.addEventListener("keydown", pressed);
  new ResizeObserver(fit).observe($("view"));
  paintWith($("canvas"));
}

async function begin() {
  state = await ask("api/state");
  $("who").value = state.who;
  for (const name of Object.keys(state.classes)) $("class").add(new Option(name));
  showState();
  wire();
  await refilter();
}

guarded(begin);
