// Brings images into a trial detection, shows verdicts as they come, and verifies by keys.

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

const section = document.getElementById("bring");
if (section) begin();

function begin() {
  const AT_ONCE = 2; // one is judged while the other is on its way
  const address = section.dataset.address;
  const stage = section.querySelector(".drop");
  const refused = document.getElementById("bring-refused");
  const bar = document.getElementById("bring-bar");
  let going = null;

  section.hidden = false;
  const say = (text) => { document.getElementById("bring-said").textContent = text; };
  const progress = (done, of) => {
    bar.max = of;
    bar.value = done;
    const values = { done, of };
    say(section.dataset.going.replace(/\{(\w+)\}/g, (_, name) => values[name].toLocaleString()));
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
    if (there) there.replaceWith(tile);
    else tiles.prepend(tile);
  }

  async function work(run) {
    going = new AbortController();
    refused.hidden = true;
    refused.textContent = "";
    document.getElementById("bring-going").hidden = false;
    try {
      await run();
      say(refused.childElementCount ? section.dataset.refused : section.dataset.finished);
      refused.hidden = !refused.childElementCount;
    } catch (error) {
      if (error.name === "AbortError") say("");
      else say(error.status ? error.message : section.dataset.lost);
    } finally {
      going = null;
      document.getElementById("bring-going").hidden = true;
      if (!chosen && tiles.childElementCount) location.reload(); // for the tools to verify
    }
  }

  function refuse(name, why) {
    const line = document.createElement("li");
    line.textContent = `${name}: ${why}`;
    refused.append(line);
  }

  function bring(files) {
    const left = [...files];
    let done = 0;
    const hand = async () => {
      while (left.length) {
        const file = left.shift();
        try {
          await ask(`images?name=${encodeURIComponent(file.name)}`, file);
        } catch (error) {
          if (error.status !== 400) throw error; // 400: this image cannot be judged
          refuse(file.name, error.message);
        }
        done += 1;
        progress(done, files.length);
      }
    };
    progress(0, files.length);
    return work(() => Promise.all(Array.from({ length: AT_ONCE }, hand)));
  }

  function take(files) {
    const images = files.filter((file) => /\.(png|jpe?g)$/i.test(file.name));
    if (!going && images.length) bring(images);
  }

  async function walk(entry) {
    if (entry.isFile) return [await new Promise((done, fail) => entry.file(done, fail))];
    const reader = entry.createReader();
    const found = [];
    for (;;) { // a hundred entries at a time
      const some = await new Promise((done, fail) => reader.readEntries(done, fail));
      if (!some.length) return found;
      for (const each of some) found.push(...await walk(each));
    }
  }

  for (const name of ["dragenter", "dragover"]) {
    document.addEventListener(name, (event) => { event.preventDefault(); stage.classList.add("over"); });
  }
  for (const name of ["dragleave", "drop"]) document.addEventListener(name, () => stage.classList.remove("over"));
  document.addEventListener("drop", async (event) => {
    event.preventDefault();
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
    if (!entries.length) { take([...event.dataTransfer.files]); return; }
    const found = [];
    for (const entry of entries) found.push(...await walk(entry));
    take(found);
  });
  section.querySelector("input[type=file]").addEventListener("change", (event) => {
    take([...event.target.files]);
    event.target.value = "";
  });
  document.getElementById("bring-stop").addEventListener("click", () => going?.abort());
  window.addEventListener("beforeunload", (event) => { if (going) event.preventDefault(); });

  const waiting = Number(section.dataset.waiting);
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
