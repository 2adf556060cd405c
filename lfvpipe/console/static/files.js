// Files that people choose or drag into a page, as {path, size, open}; of folders all that is in them.

export const nameOf = (item) => item.path.split("/").at(-1);
export const isImage = (item) => /\.(png|jpe?g)$/i.test(item.path);

const asItem = (file, path) => ({ path, size: file.size, open: async () => file });

/** Calls `take` with the files that are dragged onto the page; `stage` shows that they may be. */
export function onDrop(stage, take) {
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
    const files = [...event.dataTransfer.files].map((file) => asItem(file, file.name));
    if (!entries.length) { take(files); return; }
    const found = [];
    for (const entry of entries) found.push(...await walk(entry, ""));
    take(found);
  });
}

/** Calls `take` with the files that are chosen in a field; the same ones can be chosen again. */
export function onChoose(field, take) {
  field.addEventListener("change", () => {
    take([...field.files].map((file) => asItem(file, file.webkitRelativePath || file.name)));
    field.value = "";
  });
}

async function walk(entry, path) {
  if (entry.isFile) {
    const file = await new Promise((done, fail) => entry.file(done, fail));
    return [asItem(file, path + entry.name)];
  }
  const reader = entry.createReader();
  const found = [];
  for (;;) { // a hundred entries at a time
    const some = await new Promise((done, fail) => reader.readEntries(done, fail));
    if (!some.length) return found;
    for (const each of some) found.push(...await walk(each, `${path}${entry.name}/`));
  }
}

/** Lists what is wrong with a file, below what is said of all. */
export function list(where, text) {
  const line = document.createElement("li");
  line.textContent = text;
  where.append(line);
}

/** Loads the page anew; what is said on it, and the lines of a list, outlive that. */
export function reload(key, said, where) {
  const why = [...where.querySelectorAll("li")].map((line) => line.textContent);
  sessionStorage.setItem(key, JSON.stringify({ said: said.textContent, why }));
  location.reload();
}

/** Says again what was said before `reload`; returns how many lines were listed. */
export function sayAgain(key, said, where) {
  const left = JSON.parse(sessionStorage.getItem(key) ?? "null");
  sessionStorage.removeItem(key);
  if (!left) return 0;
  said.textContent = left.said;
  for (const text of left.why) list(where, text);
  return left.why.length;
}
