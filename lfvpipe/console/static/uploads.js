// Images from the computer: in parts, none twice; the same files dragged again go on where it broke.

const form = document.getElementById("upload");
if (form && window.crypto?.subtle) begin();

function begin() {
  const PART = 100; // files that are brought into the data set at once
  const AT_ONCE = 4;
  const address = form.dataset.address;
  const stage = form.querySelector(".drop");
  const refused = document.getElementById("upload-refused");
  let going = null;

  form.hidden = false;
  const say = (text, values = {}) => {
    const shown = text.replace(/\{(\w+)\}/g, (_, name) => (values[name] ?? 0).toLocaleString());
    document.getElementById("upload-said").textContent = shown;
  };

  // A line that breaks is tried again for half a minute, a server that refuses is not.
  async function ask(path, body, type) {
    for (let pause = 1000; ; pause *= 2) {
      try {
        const answer = await fetch(`${address}/${path}`, {
          method: "POST",
          headers: { "accept": "application/json", "content-type": type, "x-lfvpipe-csrf": form.elements.csrf.value },
          body,
          signal: going.signal,
        });
        const told = await answer.json();
        if (!answer.ok) throw Object.assign(new Error(told.error), { status: answer.status });
        return told;
      } catch (error) {
        if (error.status || error.name === "AbortError" || pause > 16000) throw error;
        await new Promise((done) => setTimeout(done, pause));
      }
    }
  }
  const order = (path, facts) => ask(path, JSON.stringify(facts), "application/json");

  async function digestOf(file) {
    const bytes = await crypto.subtle.digest("SHA-256", await file.arrayBuffer());
    return [...new Uint8Array(bytes)].map((each) => each.toString(16).padStart(2, "0")).join("");
  }

  async function store(found, count) {
    const path = `files?name=${encodeURIComponent(found.file.name)}`;
    const told = await ask(path, found.file, "application/octet-stream");
    if (!told.refused) return told;
    const line = document.createElement("li");
    line.textContent = `${found.path}: ${told.refused}`;
    refused.querySelector("ul").append(line);
    refused.hidden = false;
    count.refused += 1;
    return null;
  }

  // Work on the items of a part, a few at a time.
  async function each(items, work) {
    const left = [...items];
    const hand = async () => { while (left.length) await work(left.shift()); };
    await Promise.all(Array.from({ length: AT_ONCE }, hand));
  }

  async function bring(found) {
    const count = { added: 0, known: 0, refused: 0, done: 0, count: found.length };
    const by_folder = form.elements.by_folder.checked;
    const seen = new Set();
    const remarks = [];   // of the parts, on what becomes of the images beyond
    const bar = document.getElementById("upload-bar");
    going = new AbortController();
    refused.hidden = true;
    refused.querySelector("ul").textContent = "";
    bar.max = found.length;
    document.getElementById("upload-state").hidden = false;
    say(form.dataset.looking, count);
    try {
      // The first one alone: the server holds all others against its size.
      for (let at = 0, part; at < found.length; at += part.length) {
        part = found.slice(at, at === 0 ? 1 : at + PART);
        await each(part, async (item) => { item.digest = await digestOf(item.file); });
        const { known } = await order("known", { digests: part.map((item) => item.digest) });
        const fresh = part.filter((item) => !(item.digest in known) && !seen.has(item.digest) && seen.add(item.digest));
        count.known += part.length - fresh.length;
        const stored = [];
        await each(fresh, async (item) => {
          const told = await store(item, count);
          if (told) stored.push({ item, file: { digest: told.digest, name: told.name, path: item.path } });
          count.done += 1;
          bar.value = count.done;
          say(form.dataset.going, count);
        });
        count.done = at + part.length;
        bar.value = count.done;
        const files = stored.sort((a, b) => fresh.indexOf(a.item) - fresh.indexOf(b.item)).map((one) => one.file);
        if (!files.length) continue;
        const { added, remark } = await order("add", { files, by_folder });
        count.added += added;
        if (remark) remarks.push(remark);
      }
      say(form.dataset.done, count);
      for (const remark of remarks) document.getElementById("upload-said").append(` ${remark}`);
    } catch (error) {
      if (error.name === "AbortError") say(form.dataset.stopped, count);
      else say(error.status ? error.message : form.dataset.lost);
    } finally {
      going = null;
      document.getElementById("upload-state").hidden = true;
      window.dispatchEvent(new Event("lfvpipe-added"));
      if (!document.getElementById("gallery") && count.added) location.reload();
    }
  }

  function take(found) {
    if (going) return;
    const images = found.filter((item) => /\.(png|jpe?g)$/i.test(item.file.name));
    if (images.length) bring(images.sort((a, b) => (a.path < b.path ? -1 : 1)));
    else say(form.dataset.none);
  }

  async function walk(entry, path) {
    if (entry.isFile) {
      const file = await new Promise((done, fail) => entry.file(done, fail));
      return [{ file, path: path + entry.name }];
    }
    const reader = entry.createReader();
    const found = [];
    for (;;) { // a hundred entries at a time
      const some = await new Promise((done, fail) => reader.readEntries(done, fail));
      if (!some.length) return found;
      for (const each of some) found.push(...await walk(each, `${path}${entry.name}/`));
    }
  }

  for (const name of ["dragenter", "dragover"]) {
    document.addEventListener(name, (event) => {
      if (!event.dataTransfer.types.includes("Files")) return; // a text, into a field
      event.preventDefault();
      stage.classList.add("over");
    });
  }
  for (const name of ["dragleave", "drop"]) document.addEventListener(name, () => stage.classList.remove("over"));
  document.addEventListener("drop", async (event) => {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
    const files = [...event.dataTransfer.files].map((file) => ({ file, path: file.name }));
    if (!entries.length) { take(files); return; }
    const found = [];
    for (const entry of entries) found.push(...await walk(entry, ""));
    take(found);
  });
  for (const name of ["upload-files", "upload-folder"]) {
    document.getElementById(name).addEventListener("change", (event) => {
      take([...event.target.files].map((file) => ({ file, path: file.webkitRelativePath || file.name })));
      event.target.value = "";
    });
  }
  form.addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("upload-stop").addEventListener("click", () => going?.abort());
  window.addEventListener("beforeunload", (event) => { if (going) event.preventDefault(); });
}
