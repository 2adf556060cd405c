// The gallery: choose images over all pages, call them something, move, remove, undo.

const tools = document.getElementById("tools");
const gallery = document.getElementById("gallery");
if (gallery) begin();

function begin() {
  const address = gallery.dataset.address;
  const chosen = new Map(); // id: what the image was called where it was chosen
  let last = null; // the place of the image that was chosen last, for ranges
  const kept = `lfvpipe undo ${tools?.dataset.undo}`; // what this tab did, also before it was loaded again
  let undos = JSON.parse(sessionStorage.getItem(kept) ?? "[]");
  let looks = 0;
  let isUnheard = false; // other images are asked for: how many there are is read aloud
  let isExamining = false;
  let here = location.href; // what is looked at, or about to be
  let queue = Promise.resolve(); // one request after another: nothing that is typed is lost

  const boxes = () => [...gallery.querySelectorAll(".tile input")];
  const say = (text) => { document.getElementById("said").textContent = text; };

  function remember(steps) {
    undos = steps.slice(-100);
    sessionStorage.setItem(kept, JSON.stringify(undos));
  }

  function count() {
    if (!tools) return;
    const total = Number(document.getElementById("shown").dataset.total);
    const text = chosen.size === 1 ? tools.dataset.one : tools.dataset.many;
    document.getElementById("chosen").textContent = text.replace("{count}", chosen.size.toLocaleString());
    const all = tools.querySelector("[data-do=all]");
    all.textContent = document.getElementById("shown").dataset.choose;
    all.disabled = total === 0;
    for (const box of boxes()) box.checked = chosen.has(box.value);
    tools.querySelector("[data-do=undo]").disabled = !undos.length;
  }

  // The counts alone: who chooses images meanwhile is not disturbed.
  async function tellChecks() {
    const part = new URL(here);
    if (part.searchParams.has("check")) { await load(here, { keep: true }); return; }
    part.searchParams.set("part", "gallery");
    const answer = await fetch(part);
    if (!answer.ok || answer.redirected) return;
    const told = new DOMParser().parseFromString(await answer.text(), "text/html");
    gallery.querySelector(".checks").replaceWith(told.querySelector(".checks"));
  }

  // Until all images were looked at: the server does so while somebody asks.
  async function examine({ asked = false } = {}) {
    if (isExamining || (!asked && document.getElementById("examine"))) return; // from elsewhere, nothing is fetched unasked
    isExamining = true;
    try {
      for (let known = -1; document.getElementById("examining");) {
        document.getElementById("examine")?.remove();
        const answer = await fetch(gallery.dataset.examination, { headers: { accept: "application/json" } });
        if (!answer.ok) break;
        const told = await answer.json();
        const line = document.getElementById("examining");
        if (line) line.textContent = told.text;
        if (told.failed) break;
        if (told.whole) await tellChecks();
        await new Promise((done) => setTimeout(done, told.known === known ? 2000 : 100)); // another page asks, too
        known = told.known;
      }
    } catch {
      // The page is being left, or the server ended: the next page goes on.
    } finally {
      isExamining = false;
    }
  }

  function wake() {
    last = null;
    examine();
    if (!tools) return;
    for (const box of boxes()) box.disabled = false;
    count();
  }

  // The types that images have now; the one that is looked at stays, whether or not there is one.
  function offerTypes() {
    const kinds = document.querySelector("#look select[name=kind]");
    const now = kinds.value;
    const types = [...document.querySelectorAll("#types option")];
    const offered = types.map((type) => new Option(type.label, type.value));
    if (now && !types.some((type) => type.value === now)) offered.push(new Option(now, now));
    kinds.replaceChildren(kinds.options[0], ...offered);
    kinds.value = now;
  }

  function choose(box, wanted) {
    if (wanted) chosen.set(box.value, box.dataset.call);
    else chosen.delete(box.value);
  }

  async function load(url, { keep = false } = {}) {
    const mine = ++looks; // what was asked for last is shown, whichever answer comes last
    if (!keep) isUnheard = true;
    here = new URL(url, location.href).href;
    const part = new URL(here);
    part.searchParams.set("part", "gallery");
    const answer = await fetch(part);
    if (!answer.ok || answer.redirected) { location.assign(url); return; }
    const text = await answer.text();
    if (mine !== looks) return;
    const focused = boxes().indexOf(document.activeElement); // now: an earlier answer may have set it
    gallery.innerHTML = text; // made and escaped by our own server
    part.searchParams.delete("part");
    if (keep || part.href === location.href) history.replaceState(null, "", part);
    else history.pushState(null, "", part);
    offerTypes();
    wake();
    if (focused >= 0) boxes()[Math.min(focused, boxes().length - 1)]?.focus();
    if (isUnheard) document.getElementById("heard").textContent = document.getElementById("shown").textContent;
    isUnheard = false;
  }

  async function ask(path, facts) {
    document.body.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(path, {
        method: "POST",
        headers: {
          "accept": "application/json",
          "content-type": "application/json",
          "x-lfvpipe-csrf": tools.elements.csrf.value,
        },
        body: JSON.stringify(facts),
      });
      const told = await answer.json();
      if (!answer.ok) { say(told.error); return null; }
      return told;
    } catch {
      say(tools.dataset.lost);
      return undefined; // nobody knows whether it was done
    } finally {
      document.body.removeAttribute("aria-busy");
    }
  }

  function enqueue(work) {
    queue = queue.then(work).catch(() => say(tools.dataset.lost));
  }

  function act(path, facts = {}) {
    const focused = boxes().find((box) => box === document.activeElement);
    const images = chosen.size ? [...chosen] : focused ? [[focused.value, focused.dataset.call]] : [];
    if (!images.length) { say(tools.dataset.none); return; }
    chosen.clear();
    enqueue(async () => {
      const told = await ask(`${address}/${path}`, { images, ...facts });
      if (!told) { for (const [id, call] of images) chosen.set(id, call); count(); return; }
      if (told.undo) remember([...undos, told.undo]);
      say(told.text);
      await load(here, { keep: true });
    });
  }

  function takeBack() {
    enqueue(async () => {
      if (!undos.length) return;
      const told = await ask(tools.dataset.undo, { undo: undos.at(-1) });
      if (told !== undefined) remember(undos.slice(0, -1));
      if (told) say(told.text);
      await load(here, { keep: true });
    });
  }

  function label(call) {
    const type = document.getElementById("type").value.trim();
    return act("label", { call: call === "anomaly" && type ? `anomaly:${type}` : call });
  }

  async function chooseAll() {
    const asked = new URL(here);
    const answer = await fetch(`${address}/choice${asked.search}`, { headers: { accept: "application/json" } });
    if (!answer.ok) { say(tools.dataset.lost); return; }
    for (const [id, call] of (await answer.json()).images) chosen.set(id, call);
    count();
  }

  const deeds = {
    page: () => { for (const box of boxes()) choose(box, true); count(); },
    all: chooseAll,
    none: () => { chosen.clear(); count(); },
    move: () => act("move"),
    remove: () => act("remove"),
    undo: takeBack,
  };

  gallery.addEventListener("click", (event) => {
    if (event.target.id === "examine") { examine({ asked: true }); return; }
    const link = event.target.closest(".pager a");
    if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      event.preventDefault();
      load(link.href).then(() => {
        gallery.scrollIntoView({ block: "start" });
        (boxes()[0] ?? gallery.querySelector(".tile a"))?.focus({ preventScroll: true }); // the link is gone
      });
      return;
    }
    const box = event.target.closest(".tile input");
    if (!box) return;
    const now = boxes().indexOf(box);
    const range = event.shiftKey && last !== null ? [Math.min(last, now), Math.max(last, now)] : [now, now];
    for (const each of boxes().slice(range[0], range[1] + 1)) choose(each, box.checked);
    last = now;
    count();
  });

  // Shift and a click on a label would mark text, and some browsers leave Shift out of what follows.
  gallery.addEventListener("mousedown", (event) => {
    if (event.shiftKey && event.target.closest(".tile")) event.preventDefault();
  });
  gallery.addEventListener("click", (event) => {
    const label = event.target.closest(".tile label");
    if (!label || !event.shiftKey || event.target.matches("input")) return;
    event.preventDefault();
    const box = label.querySelector("input");
    box.dispatchEvent(new MouseEvent("click", { bubbles: true, shiftKey: true }));
    box.focus();
  }, true);

  document.getElementById("look").addEventListener("submit", (event) => {
    event.preventDefault();
    const asked = new FormData(event.target);
    const url = new URL(address, location.href);
    for (const [name, value] of asked) if (value) url.searchParams.set(name, value);
    if (url.href !== here) chosen.clear(); // nothing is done to images that are not looked at any more
    load(url);
  });
  for (const each of document.querySelectorAll("#look select")) {
    each.addEventListener("change", () => document.getElementById("look").requestSubmit());
  }
  window.addEventListener("popstate", () => location.reload());

  if (tools) {
    tools.hidden = false;
    tools.addEventListener("submit", (event) => event.preventDefault());
    tools.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      if (button.dataset.call !== undefined) label(button.dataset.call);
      else deeds[button.dataset.do]();
    });
    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.target.closest("input:not([type=checkbox]), select, textarea")) return;
      const key = event.key.toLowerCase();
      const calls = { n: "normal", a: "anomaly", u: "" };
      if (key in calls) { event.preventDefault(); label(calls[key]); }
      else if (key === "z") { event.preventDefault(); takeBack(); }
      else if (key.startsWith("arrow")) step(event, key);
    });
  }

  function step(event, key) {
    const all = boxes();
    const now = all.indexOf(document.activeElement);
    if (now < 0) return;
    const top = all[0].closest("li").offsetTop;
    const columns = all.filter((box) => box.closest("li").offsetTop === top).length;
    const by = { arrowleft: -1, arrowright: 1, arrowup: -columns, arrowdown: columns }[key];
    const next = all[now + by];
    if (!next) return;
    event.preventDefault();
    if (event.shiftKey) { choose(all[now], true); choose(next, true); count(); }
    next.focus();
  }

  window.addEventListener("lfvpipe-added", () => load(here, { keep: true }));
  wake();
}
