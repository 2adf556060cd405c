import { Painter } from "./painter.js";

// The page keeps nothing that matters: what was decided is on the server's disk before it is shown.

const $ = (id) => document.getElementById(id);
const KEYS = { n: "normal", a: "anomaly", u: "unsure", x: "exclude" };
const BADGES = { wrong: "against its label", doubtful: "doubtful", person: "for a person", unlike: "like no training image" };
const EFFECTS = {
  train: "The next run learns from it as you decide.",
  test: "It goes on testing, as you decide.",
  evaluate: "It goes on being evaluated, against your decision, and is never learnt from.",
  unused: "The next run learns from it if you say normal or anomaly.",
  detected: "The next run has it where you send it, if you say normal or anomaly.",
};
const SPLITS = { train: "training", test: "test", evaluate: "evaluation", unused: "evaluation (unused so far)", detected: "nothing so far" };
const PAGE = 120;       // tiles of the grid that are made at once
const LARGEST = 16;
let state = {};
let list = [];        // numbers of the images that the filter leaves
let at = 0;           // where in the list we are
let item = null;
let line = Promise.resolve();
let waiting = 0;
let overlay = "";     // "", "heat" or "mask"
let tiles = [];       // what the grid shows of each of the list
let grid = false;
let picked = new Set();  // numbers of the images that are selected in the grid
let anchor = 0;       // where in the list a range of them begins
let scale = 0;        // of the image; 0 fits it in
let reference = -1;   // which normal image stands beside; -1 for none
let painter = null;

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
  $("beside").hidden = !state.references;
  $("goes-to").hidden = !state.of_detected || !state.tests;
  $("types").replaceChildren(...[...new Set([...state.types, ...(state.paints ? Object.keys(state.classes) : [])])].map((name) => new Option(name)));
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
  if (item.said && !item.said.to_person && item.said.confidence < state.review_below) said.append(badge("doubtful"));
  if (item.said && item.said.to_person) said.append(badge("person"));
  if (item.said && item.said.unlike) said.append(badge("unlike"));
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
    const more = [each.type, each.comment].filter(Boolean).map((text) => `: ${text}`).join("");
    li.textContent = `${article(each.label)}, by ${each.who || "somebody"}${when}${more}`;
    ul.append(li);
  }
  if (item.made.length) made.append(ul);
  $("conflict").hidden = !item.conflict;
  if (item.conflict) {
    const last = item.made[item.made.length - 1];
    $("conflict").textContent = `People differ about this image. The latest decision counts: ${article(last.label)}, by ${last.who || "somebody"}.`;
  }
  $("type").value = item.decision?.type ?? "";
  $("comment").value = item.made.find((each) => each.who === $("who").value.trim())?.comment ?? "";
  if (item.decision && item.split === "detected") $("goes").value = item.goes;
  const chosen = item.decision && item.decision.label;
  for (const button of document.querySelectorAll("[data-label]")) {
    button.setAttribute("aria-pressed", String(button.dataset.label === chosen));
  }
  $("previous").disabled = at === 0;
  $("next").disabled = at >= list.length - 1;
}

function fit() {
  if (!item) return;
  const now = scale || fitting();
  $("sheet").style.width = `${Math.max(1, Math.floor(item.width * now))}px`;
  $("sheet").style.height = `${Math.max(1, Math.floor(item.height * now))}px`;
  $("image").classList.toggle("coarse", now >= 2);
  $("view").classList.toggle("moves", Boolean(scale));
}

function fitting() {
  const view = $("view").getBoundingClientRect();
  return Math.min((view.width - 2) / item.width, (view.height - 2) / item.height);
}

// The point under the pointer, or in the middle, stays where it is.
function zoomBy(factor, event) {
  if (!item) return;
  const least = fitting();
  const wanted = (scale || least) * factor;
  const view = $("view");
  const box = view.getBoundingClientRect();
  const sheet = $("sheet").getBoundingClientRect();
  const x = event ? event.clientX : box.left + box.width / 2;
  const y = event ? event.clientY : box.top + box.height / 2;
  const [right, down] = [(x - sheet.left) / sheet.width, (y - sheet.top) / sheet.height];
  setScale(wanted <= least * 1.01 ? 0 : Math.min(wanted, Math.max(LARGEST, least)));
  const after = $("sheet").getBoundingClientRect();
  view.scrollLeft += after.left + right * after.width - x;
  view.scrollTop += after.top + down * after.height - y;
}

function setScale(value) {
  scale = value;
  const there = [...$("zoom").options].find((option) => Number(option.value) === value);
  $("between").textContent = `${value.toFixed(1)}`;
  $("zoom").value = there ? there.value : "-1";
  fit();
}

function dragWith(view) {
  let from = null;
  view.addEventListener("pointerdown", (event) => {
    if (event.button || event.pointerType !== "mouse" || !scale || event.target === $("canvas")) return;
    from = [event.clientX + view.scrollLeft, event.clientY + view.scrollTop];
    view.setPointerCapture(event.pointerId);
    event.preventDefault();
    view.focus({ preventScroll: true });
  });
  view.addEventListener("pointermove", (event) => {
    if (!from) return;
    view.scrollLeft = from[0] - event.clientX;
    view.scrollTop = from[1] - event.clientY;
  });
  for (const end of ["pointerup", "pointercancel"]) view.addEventListener(end, () => { from = null; });
  view.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoomBy(1.0015 ** -(event.deltaY * (event.deltaMode ? 33 : 1)), event);
  }, { passive: false });
}

// A normal image beside

function showReference() {
  $("beside").setAttribute("aria-pressed", String(reference >= 0));
  $("reference").hidden = reference < 0;
  $("views").classList.toggle("two", reference >= 0);
  if (reference >= 0) $("normal").src = `pictures/reference/${reference}`;
  fit();
}

function toggleReference() {
  if (!state.references) return;
  reference = reference < 0 ? 0 : -1;
  showReference();
}

// The grid

function tile(position) {
  const [n, facts] = [list[position], tiles[position]];
  const option = document.createElement("div");
  option.setAttribute("role", "option");
  option.setAttribute("aria-selected", String(picked.has(n)));
  option.className = "tile";
  option.dataset.at = String(position);
  option.tabIndex = position === at ? 0 : -1;
  const picture = new Image();
  picture.loading = "lazy";
  picture.alt = "";
  picture.src = `pictures/small/${n}`;
  const name = document.createElement("span");
  name.className = "label";
  name.textContent = facts.name.split("/").pop();
  option.title = facts.name;
  option.append(picture, name);
  const said = [];
  if (facts.said) said.push(`model: ${facts.said.label} ${percent(facts.said.confidence)}`);
  if (facts.decision) said.push(facts.conflict ? "in conflict" : article(facts.decision));
  const about = document.createElement("span");
  about.className = facts.decision ? "quiet decided" : "quiet";
  about.textContent = said.join(" · ");
  option.append(about);
  return option;
}

function showGrid() {
  const shown = Math.max(PAGE, $("grid").children.length, Math.ceil((at + 1) / PAGE) * PAGE);
  $("grid").replaceChildren(...list.slice(0, shown).map((_, position) => tile(position)));
  $("more").hidden = list.length <= shown;
  showPicked();
}

function showMore() {
  const from = $("grid").children.length;
  $("grid").append(...list.slice(from, from + PAGE).map((_, n) => tile(from + n)));
  $("more").hidden = list.length <= from + PAGE;
  $("grid").children[from].focus();
  rove(from);
}

function showPicked() {
  for (const option of $("grid").children) {
    option.setAttribute("aria-selected", String(picked.has(list[Number(option.dataset.at)])));
  }
  $("chosen").textContent = picked.size ? `${picked.size} of ${list.length} selected` : `None of ${list.length} selected`;
  if (grid) for (const button of document.querySelectorAll("[data-label]")) button.disabled = !picked.size;
}

function rove(position) {
  $("grid").querySelector("[tabindex='0']")?.setAttribute("tabindex", "-1");
  at = position;
  $("grid").children[position].tabIndex = 0;
}

function pick(position, range) {
  if (range) {
    const [first, last] = [Math.min(anchor, position), Math.max(anchor, position)];
    for (const n of list.slice(first, last + 1)) picked.add(n);
  } else {
    if (!picked.delete(list[position])) picked.add(list[position]);
    anchor = position;
  }
  rove(position);
  showPicked();
}

function pickAll(all) {
  picked = new Set(all ? list : []);
  showPicked();
  say($("chosen").textContent);
}

async function setGrid(on) {
  grid = on;
  picked.clear();
  $("many").setAttribute("aria-pressed", String(on));
  $("overview").hidden = !on;
  $("stage").hidden = on;
  for (const id of ["facts", "effect", "previous", "next"]) $(id).hidden = on;
  $("question").textContent = on ? "What are they?" : "What is it?";
  if (on) for (const id of ["alike", "conflict"]) $(id).hidden = true;
  if (on) for (const id of ["type", "comment"]) $(id).value = "";
  for (const button of document.querySelectorAll("[data-label]")) {
    button.disabled = on;
    if (on) button.setAttribute("aria-pressed", "false");
  }
  await refilter(list[at]);
  if (on) $("grid").children[at]?.focus();
}

function pressedInGrid(event) {
  const option = event.target.closest(".tile");
  if (!option) return false;
  const position = Number(option.dataset.at);
  const columns = getComputedStyle($("grid")).gridTemplateColumns.split(" ").length;
  const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
  if (by) {
    const next = $("grid").children[position + by];
    if (next) { rove(position + by); next.focus(); if (event.shiftKey) pick(position + by, true); }
  } else if (event.key === " ") pick(position, event.shiftKey);
  else if (event.key === "Enter") guarded(async () => { at = position; await setGrid(false); $("name").focus({ preventScroll: true }); });
  else if (event.key.toLowerCase() === "a" && (event.ctrlKey || event.metaKey)) pickAll(true);
  else return false;
  event.preventDefault();
  return true;
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
  if (grid && list.length) { showGrid(); return; }
  if (!list.length) {
    item = null;
    const all = state.decided === state.total;
    $("empty").textContent = state.total === 0
      ? state.of_detected ? "None of the images that were detected is there any more." : state.of_training
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
  const queue = await ask(`api/queue?filter=${$("filter").value}`);
  [list, tiles] = [queue.items, queue.tiles];
  picked = new Set(list.filter((n) => picked.has(n)));
  const found = keep === undefined ? 0 : list.indexOf(keep);
  await show(found < 0 ? 0 : found);
}

async function decide(label) {
  const who = $("who").value.trim();
  if (!who) { $("who").focus(); throw new Error("Please enter your name first: it is saved with each decision."); }
  const body = { label, who, comment: $("comment").value, type: $("type").value };
  if (state.of_detected) body.split = $("goes").value;
  if (grid) return decideMany({ ...body, ns: [...picked] });
  body.n = item.n;
  painter.closePolygon();  // that somebody forgot to
  if (label === "anomaly" && painter.painted) body.mask = painter.png();
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

async function decideMany(body) {
  const reply = await ask("api/decisions", body);
  state = reply.state;
  showState();
  const count = picked.size;
  picked.clear();
  $("comment").value = "";
  const place = at;
  await refilter(list[at]);
  if (list.length) {
    rove(Math.min(place, $("grid").children.length - 1));
    $("grid").children[at].focus();
  }
  say(`Saved: ${count === 1 ? "1 image is" : `${count} images are`} ${article(body.label)}.`);
}

async function undo() {
  const reply = await ask("api/undo", {});
  state = reply.state;
  showState();
  if (reply.n === null) return say("There is nothing to undo.");
  if (grid) { await refilter(reply.n); $("grid").children[at]?.focus(); return say(`Undone: ${reply.count === 1 ? "1 image" : `${reply.count} images`}.`); }
  let place = list.indexOf(reply.n);
  if (place < 0) {
    const queue = await ask(`api/queue?filter=${$("filter").value}`);
    [list, tiles] = [queue.items, queue.tiles];
    place = Math.max(0, list.indexOf(reply.n));
  }
  await show(place);
  say(`Undone: ${item.name}.`);
}

// Painting

function stopPainting() {
  $("canvas").hidden = true;
  $("brushes").hidden = true;
  $("paint").setAttribute("aria-pressed", "false");
  painter.start(1, 1);
}

async function startPainting() {
  $("canvas").hidden = false;
  painter.start(item.width, item.height);
  $("brushes").hidden = false;
  $("paint").setAttribute("aria-pressed", "true");
  overlay = "";
  showOverlay();
  if (!item.mask) return;
  const known = new Image();
  known.src = `pictures/mask/${item.n}?${item.made.length}`;
  await known.decode().then(() => painter.lay(known)).catch(() => {});
}

function setTool(tool) {
  painter.choose(painter.tool === tool ? "brush" : tool);
  for (const each of ["eraser", "polygon"]) {
    $(each).setAttribute("aria-pressed", String(painter.tool === each));
  }
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
  if (!waiting && (grid ? picked.size : item)) guarded(() => decide(label));
}

function pressed(event) {
  if (grid && pressedInGrid(event)) return;
  if (!$("keys").checked || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const field = event.target.closest("input:not([type=checkbox]), select, textarea");
  const scrolls = event.target.id === "view" && scale;
  if (field || (scrolls && event.key.startsWith("Arrow"))) return;
  const key = event.key.toLowerCase();
  if (painter.corners.length && ["enter", "escape"].includes(key)) {
    if (key === "enter") painter.closePolygon();
    else painter.dropPolygon();
    event.preventDefault();
    return;
  }
  const ofOne = {
    arrowleft: () => move(-1), arrowright: () => move(1),
    h: () => toggle("heat"), m: () => toggle("mask"), p: togglePainting, r: toggleReference,
    "+": () => zoomBy(1.5), "-": () => zoomBy(1 / 1.5), 0: () => setScale(0),
  };
  const does = { z: () => guarded(undo), g: () => guarded(() => setGrid(!grid)), ...(grid ? {} : ofOne) };
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
  $("eraser").addEventListener("click", () => setTool("eraser"));
  $("polygon").addEventListener("click", () => setTool("polygon"));
  $("unstroke").addEventListener("click", () => painter.undo());
  $("clear").addEventListener("click", () => painter.clear());
  $("zoom").addEventListener("change", () => setScale(Number($("zoom").value)));
  $("many").addEventListener("click", () => guarded(() => setGrid(!grid)));
  $("every").addEventListener("click", () => pickAll(true));
  $("none").addEventListener("click", () => pickAll(false));
  $("more").addEventListener("click", showMore);
  $("beside").addEventListener("click", toggleReference);
  $("another").addEventListener("click", () => { reference = (reference + 1) % state.references; showReference(); });
  $("grid").addEventListener("click", (event) => {
    const option = event.target.closest(".tile");
    if (option) pick(Number(option.dataset.at), event.shiftKey);
  });
  $("grid").addEventListener("dblclick", (event) => {
    const option = event.target.closest(".tile");
    if (option) guarded(() => { at = Number(option.dataset.at); return setGrid(false); });
  });
  dragWith($("view"));
  $("filter").addEventListener("change", () => guarded(() => refilter(item ? item.n : undefined)));
  $("who").addEventListener("input", () => fail(null));  // on change it would move what is being clicked
  document.addEventListener("keydown", pressed);
  new ResizeObserver(fit).observe($("view"));
}

async function begin() {
  painter = new Painter($("canvas"), {
    colour: () => state.classes[$("class").value],
    width: () => Number($("size").value),
  });
  state = await ask("api/state");
  $("who").value = state.who;
  for (const name of Object.keys(state.classes)) $("class").add(new Option(name));
  showState();
  wire();
  await refilter();
}

guarded(begin);
