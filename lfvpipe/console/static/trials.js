// Brings images into a trial detection, shows verdicts as they come, and verifies by keys.

import { isImage, list, nameOf, onChoose, onDrop, reload, sayAgain } from "./files.js";

for (const each of document.querySelectorAll(".scripted")) each.hidden = false;

const tiles = document.getElementById("tiles");
const chosen = document.getElementById("chosen");
const boxes = () => [...tiles.querySelectorAll("input[name=place]:not(:disabled)")];

document.getElementById("choose-page")?.addEventListener("change", (event) => {
  for (const box of boxes()) box.checked = event.target.checked;
});

document.addEventListener("keydown", (event) => {
  const field = event.target.closest("input:not([type=checkbox]), select, textarea");
  if (!chosen || field || event.ctrlKey || event.metaKey || event.altKey) return;
  const value = { c: "correct", i: "incorrect" }[event.key.toLowerCase()];
  if (!value) return;
  const focused = event.target.closest(".tile")?.querySelector("input[name=place]:not(:disabled)");
  const some = boxes().some((box) => box.checked) || chosen.elements.all.checked;
  if (!some && !focused) return;
  if (!some) focused.checked = true;
  event.preventDefault();
  chosen.requestSubmit(chosen.querySelector(`button[name=verified][value=${value}]`));
});

chosen?.addEventListener("submit", (event) => {
  if (!event.submitter) return;
  event.preventDefault();
  if (event.submitter.name === "verified") verify(event.submitter);
  else if (!adding) add(event.submitter);
});

async function send(button, form) {
  const address = button.getAttribute("formaction") ?? chosen.getAttribute("action");
  const answer = await fetch(address, { method: "POST", headers: { accept: "application/json" }, body: form });
  const told = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(told.error), { status: answer.status });
  return told;
}

// In place: whoever goes through the images by keys stays where they are.
let verifying = Promise.resolve();
function verify(button) {
  const form = new URLSearchParams(new FormData(chosen, button));
  const said = document.getElementById("verified-said");
  verifying = verifying.then(async () => {
    try {
      const { text } = await send(button, form);
      await refresh();
      said.textContent = text;
    } catch (error) {
      said.textContent = error.status ? error.message : chosen.dataset.lost;
    }
  });
  chooseNone(); // the next key is for the image that has the focus
}

function chooseNone() {
  for (const box of boxes()) box.checked = false;
  chosen.elements.all.checked = false;
  document.getElementById("choose-page").checked = false;
}

// Images join a data set in parts: what is added stays, whenever this page is closed.
let adding = null;
async function add(button) {
  const box = document.getElementById("adding");
  const refused = document.getElementById("adding-refused");
  const bar = document.getElementById("adding-bar");
  const say = (text) => { document.getElementById("adding-said").textContent = text; };
  const counted = (name, count) =>
    box.dataset[count === 1 ? name : `${name}_many`].replace("{count}", count.toLocaleString());
  adding = { stopped: false };
  await verifying; // else the page would not know yet what it verified itself
  const form = new URLSearchParams(new FormData(chosen, button));
  chooseNone();
  const sum = { added: 0, had: 0, left: 0 };
  const remarks = new Set();
  refused.hidden = true;
  refused.querySelector("ul").textContent = "";
  document.getElementById("adding-going").hidden = false;
  bar.removeAttribute("value");
  say("");
  let end = "";
  try {
    for (let of = 0, after = 0; ;) {
      form.set("after", after);
      const told = await send(button, form);
      sum.added += told.added;
      sum.had += told.had;
      if (!after) sum.left = told.left;
      for (const each of told.remarks) remarks.add(each);
      for (const [name, why] of told.refused) {
        const line = document.createElement("li");
        line.textContent = `${name}: ${why}`;
        refused.querySelector("ul").append(line);
        refused.hidden = false;
      }
      after = told.after;
      const done = sum.added + sum.had + refused.querySelectorAll("li").length;
      of = done + told.remaining;
      bar.max = of;
      bar.value = done;
      document.getElementById("adding-state").textContent = box.dataset.going
        .replace("{done}", done.toLocaleString()).replace("{of}", of.toLocaleString());
      if (!told.remaining) break;
      if (adding.stopped) { end = box.dataset.stopped; break; }
    }
  } catch (error) {
    end = error.status ? error.message : box.dataset.lost;
  }
  adding = null;
  document.getElementById("adding-going").hidden = true;
  await refresh();
  const sentences = [];
  if (sum.added + sum.had) sentences.push(counted(`added_${button.value}`, sum.added));
  if (sum.had) sentences.push(counted("had", sum.had));
  if (sum.added + sum.had && sum.left) sentences.push(counted("left", sum.left));
  say([...sentences, ...remarks, end].filter(Boolean).join(" "));
}

// The images of this page as they are now; what has the focus keeps it, and what was chosen meanwhile stays so.
async function refresh() {
  const text = await fetch(location.href).then((answer) => (answer.ok ? answer.text() : "")).catch(() => "");
  if (!text) return; // the next page shows them
  const focused = document.activeElement;
  const tile = focused.closest("#tiles .tile");
  const at = [...tiles.children].indexOf(tile);
  const ticked = new Set(boxes().filter((box) => box.checked).map((box) => box.value));
  const now = new DOMParser().parseFromString(text, "text/html");
  for (const name of ["tiles", "counts", "sight", "all-shown", "none-shown", "pager"]) {
    const [here, there] = [document.getElementById(name), now.getElementById(name)];
    if (there) here.replaceChildren(...document.importNode(there, true).childNodes);
  }
  for (const box of boxes()) box.checked = ticked.has(box.value);
  if (!tile) return;
  const same = tiles.querySelector(`[data-place="${tile.dataset.place}"]`) ?? tiles.children[Math.min(at, tiles.children.length - 1)];
  same?.querySelector(focused.matches("input") ? "input:not(:disabled)" : `a.${focused.className}`)?.focus();
}

document.getElementById("adding-stop")?.addEventListener("click", () => { adding.stopped = true; });
window.addEventListener("beforeunload", (event) => { if (adding) event.preventDefault(); });

const section = document.getElementById("bring");
if (section) begin();

function begin() {
  const NAMED = 5; // files that are no images
  const AT_ONCE = 2; // one is judged while the other is on its way
  const LARGEST = 64 * 2 ** 20; // bytes of a file that the server reads
  const address = section.dataset.address;
  const stage = section.querySelector(".drop");
  const refused = document.getElementById("bring-refused");
  const bar = document.getElementById("bring-bar");
  const waiting = Number(section.dataset.waiting);
  let going = null;

  section.hidden = false;
  const words = document.getElementById("bring-said");
  const say = (text) => { words.textContent = text; };
  // What is said outlives the page, which is loaded anew where its first images have come.
  const LEFT = `lfvpipe ${address}`;
  if (sayAgain(LEFT, words, refused)) refused.hidden = false;
  const progress = (done, of) => {
    bar.max = of;
    bar.value = done;
    const values = { done, of };
    const line = document.getElementById("bring-state");
    line.textContent = section.dataset.going.replace(/\{(\w+)\}/g, (_, name) => values[name].toLocaleString());
  };

  async function ask(path, body) {
    const answer = await fetch(`${address}/${path}`, {
      method: "POST",
      headers: {
        "accept": "application/json",
        "content-type": "application/octet-stream",
        "x-lfvpipe-csrf": document.querySelector(".who input[name=csrf]").value,
      },
      body,
      signal: going.signal,
    });
    const told = await answer.json();
    if (!answer.ok) throw Object.assign(new Error(told.error), { status: answer.status });
    document.getElementById("counts").innerHTML = told.counts; // of the server's own template
    if (told.tile) show(told.tile);
    return told;
  }

  function show(html) {
    const tile = document.createRange().createContextualFragment(html).querySelector("li");
    const there = tiles.querySelector(`[data-place="${tile.dataset.place}"]`);
    if (there?.contains(document.activeElement)) return; // judged again: somebody is at it
    if (there) there.replaceWith(tile);
    else tiles.append(tile);
  }

  async function work(run) {
    going = new AbortController();
    refused.hidden = true;
    refused.textContent = "";
    say("");
    document.getElementById("bring-state").textContent = "";
    document.getElementById("bring-going").hidden = false;
    try {
      const others = await run();
      const end = refused.childElementCount ? section.dataset.refused : section.dataset.finished; // before its list
      say([others, end].filter(Boolean).join(" "));
      refused.hidden = !refused.childElementCount;
    } catch (error) {
      if (error.name === "AbortError") say(waiting ? section.dataset.stopped : "");
      else say(error.status ? error.message : section.dataset.lost);
    } finally {
      going = null;
      document.getElementById("bring-going").hidden = true;
      if (chosen) await refresh(); // what "all" means and counts, in the order that was asked for
      else if (tiles.childElementCount) reload(LEFT, words, refused); // for the tools to verify
    }
  }

  // What is no image by its name is not sent; it is counted, and the first are named.
  function tellOthers(files) {
    if (!files.length) return "";
    const names = files.slice(0, NAMED).map(nameOf).join(", ");
    const told = section.dataset[files.length === 1 ? "others" : files.length > NAMED ? "others_more" : "others_many"];
    return told.replace("{names}", () => names).replace("{count}", files.length.toLocaleString());
  }

  function bring(files, others) {
    const left = [...files];
    let done = 0;
    const hand = async () => {
      while (left.length) {
        const file = left.shift();
        try {
          if (file.size > LARGEST) throw Object.assign(new Error(section.dataset.large), { status: 413 });
          await ask(`images?name=${encodeURIComponent(nameOf(file))}`, await file.open());
        } catch (error) {
          if (error.status !== 400 && error.status !== 413) throw error; // these are of this image alone
          list(refused, `${nameOf(file)}: ${error.message}`);
        }
        done += 1;
        progress(done, files.length);
      }
    };
    progress(0, files.length);
    return work(async () => {
      await Promise.all(Array.from({ length: AT_ONCE }, hand));
      return tellOthers(others);
    });
  }

  function take(files) {
    if (going || !files.length) return;
    const [images, others] = [files.filter(isImage), files.filter((file) => !isImage(file))];
    if (images.length) bring(images, others);
    else say(`${section.dataset.none} ${tellOthers(others)}`);
  }

  onDrop(stage, take);
  for (const field of section.querySelectorAll("input[type=file]")) onChoose(field, take);
  document.getElementById("bring-stop").addEventListener("click", () => going?.abort());
  window.addEventListener("beforeunload", (event) => { if (going) event.preventDefault(); });

  if (waiting) {
    work(async () => {
      for (;;) {
        const told = await ask("next");
        progress(Math.max(0, waiting - told.waiting), waiting);
        if (!told.waiting) return;
      }
    });
  }
}
