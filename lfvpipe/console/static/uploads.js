// Images from the computer: in parts, none twice; the same files dragged again go on where it broke.

import { isImage, list, nameOf, onChoose, onDrop, reload, sayAgain } from "./files.js";
import { openZip, ZipError } from "./zips.js";

const form = document.getElementById("upload");
if (form && window.crypto?.subtle) begin();

function begin() {
  const PART = 100; // files that are brought into the data set at once
  const AT_ONCE = 4;
  const LARGEST = 64 * 2 ** 20; // bytes of a file that the server reads; of an image it takes fewer
  const address = form.dataset.address;
  const stage = form.querySelector(".drop");
  const refused = document.getElementById("upload-refused");
  let going = null;

  form.hidden = false;
  const write = (id) => (text, values = {}) => {
    const shown = text.replace(/\{(\w+)\}/g, (_, name) => (values[name] ?? 0).toLocaleString());
    document.getElementById(id).textContent = shown;
  };
  const say = write("upload-said"); // is read aloud
  const state = write("upload-count"); // is not: it changes with each file

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
  // What is said outlives the page, which is loaded anew where its first images have come.
  const LEFT = `lfvpipe ${address}`;
  const words = document.getElementById("upload-said");
  const lines = refused.querySelector("ul");
  if (sayAgain(LEFT, words, lines)) refused.hidden = false;

  const order = (path, facts) => ask(path, JSON.stringify(facts), "application/json");

  async function digestOf(item) {
    const bytes = await crypto.subtle.digest("SHA-256", await (await item.open()).arrayBuffer());
    return [...new Uint8Array(bytes)].map((each) => each.toString(16).padStart(2, "0")).join("");
  }

  async function store(found, count) {
    const path = `files?name=${encodeURIComponent(nameOf(found))}`;
    const told = await ask(path, await found.open(), "application/octet-stream");
    if (!told.refused) return told;
    refuse(found.path, told.refused, count);
    return null;
  }

  function tell(path, why) {
    list(lines, `${path}: ${why}`);
    refused.hidden = false;
  }

  function refuse(path, why, count) {
    tell(path, why);
    count.refused += 1;
  }

  // Files that are there under another label than their folders say: what they are called stays.
  function note(otherwise, count) {
    for (const [path, why] of otherwise) tell(path, why);
    count.otherwise += otherwise.length;
  }

  // The digests of those that can be read; of an archive's members not all may.
  async function digest(part, count) {
    await each(part, async (item) => {
      if (item.size > LARGEST) { refuse(item.path, form.dataset.large, count); return; }
      try {
        item.digest = await digestOf(item);
      } catch (error) {
        refuse(item.path, error instanceof ZipError ? form.dataset[`zip_${error.why}`] : form.dataset.unread, count);
      }
    });
    return part.filter((item) => item.digest);
  }

  // Work on the items of a part, a few at a time.
  async function each(items, work) {
    const left = [...items];
    const hand = async () => { while (left.length) await work(left.shift()); };
    await Promise.all(Array.from({ length: AT_ONCE }, hand));
  }

  async function bring(found, count) {
    Object.assign(count, { added: 0, known: 0, done: 0, count: found.length });
    const by_folder = form.elements.by_folder.checked;
    const seen = new Set();
    const remarks = [];   // of the parts, on what becomes of the images beyond
    const bar = document.getElementById("upload-bar");
    bar.max = found.length;
    document.getElementById("upload-state").hidden = false;
    say(form.dataset.looking, count);
    try {
      // The first one alone: the server holds all others against its size.
      for (let at = 0, part; at < found.length; at += part.length) {
        part = found.slice(at, at === 0 ? 1 : at + PART);
        const read = await digest(part, count);
        going.signal.throwIfAborted();
        const { known, otherwise } = await order("known", { files: read.map(({ digest, path }) => ({ digest, path })), by_folder });
        note(otherwise, count);
        const fresh = read.filter((item) => !(item.digest in known) && !seen.has(item.digest) && seen.add(item.digest));
        count.known += read.length - fresh.length;
        const stored = [];
        await each(fresh, async (item) => {
          const told = await store(item, count);
          if (told) stored.push({ item, file: { digest: told.digest, name: told.name, path: item.path } });
          count.done += 1;
          bar.value = count.done;
          state(form.dataset.going, count);
        });
        count.done = at + part.length;
        bar.value = count.done;
        const files = stored.sort((a, b) => fresh.indexOf(a.item) - fresh.indexOf(b.item)).map((one) => one.file);
        if (!files.length) continue;
        const { added, remark, otherwise: had } = await order("add", { files, by_folder });
        note(had, count);
        count.added += added;
        count.known += files.length - added;   // such as images of a bucket, which have no digest there
        if (remark) remarks.push(remark);
      }
      say(form.dataset.done, count);
      if (count.otherwise) remarks.push(form.dataset.otherwise.replace("{otherwise}", count.otherwise.toLocaleString()));
      for (const remark of remarks) words.append(` ${remark}`);
      sayOthers(count);
    } catch (error) {
      if (error.name === "AbortError") say(form.dataset.stopped, count);
      else say(error.status ? error.message : form.dataset.lost);
    } finally {
      going = null;
      document.getElementById("upload-state").hidden = true;
      window.dispatchEvent(new Event("lfvpipe-added"));
      if (!document.getElementById("gallery") && count.added) reload(LEFT, words, lines);
    }
  }

  async function take(found) {
    if (going || !found.length) return;
    going = new AbortController();
    refused.hidden = true;
    lines.textContent = "";
    const count = { refused: 0, others: 0, otherwise: 0 };
    const unpacked = await unpack(found, count);
    const images = unpacked.filter(isImage);
    count.others += unpacked.length - images.length;
    if (images.length) { await bring(images.sort((a, b) => (a.path < b.path ? -1 : 1)), count); return; }
    going = null;
    say(count.refused ? form.dataset.done : form.dataset.none, count);
    sayOthers(count);
  }

  function sayOthers({ others }) {
    if (others) words.append(` ${form.dataset.others.replace("{others}", others.toLocaleString())}`);
  }

  // The files, with those in archives in place of these. What lies in folders in an archive is
  // called something by them alone: the name of the archive stands for what lies beside them.
  async function unpack(found, count) {
    const files = [];
    for (const item of found) {
      if (!/\.zip$/i.test(item.path)) { files.push(item); continue; }
      const [folder, name] = [item.path.slice(0, -nameOf(item).length), nameOf(item).slice(0, -4)];
      try {
        const members = await openZip(await item.open());
        for (const each of members) {
          const path = folder + (each.path.includes("/") ? "" : `${name}/`) + each.path;
          if (/\.zip$/i.test(path)) refuse(path, form.dataset.zip_nested, count);
          else files.push({ ...each, path });
        }
      } catch (error) {
        refuse(item.path, form.dataset[`zip_${error instanceof ZipError ? error.why : "damaged"}`], count);
      }
    }
    return files;
  }

  onDrop(stage, take);
  for (const name of ["upload-files", "upload-folder"]) onChoose(document.getElementById(name), take);
  form.addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("upload-stop").addEventListener("click", () => going?.abort());
  window.addEventListener("beforeunload", (event) => { if (going) event.preventDefault(); });
}
