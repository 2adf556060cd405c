// Copies programs, and has one image judged.

for (const each of document.querySelectorAll(".scripted")) each.hidden = false;

for (const button of document.querySelectorAll("button[data-copy]")) {
  const said = button.parentElement.querySelector("[role=status]");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
      said.textContent = button.dataset.copied;
    } catch {
      said.textContent = button.dataset.notCopied;
    }
    setTimeout(() => (said.textContent = ""), 4000);
  });
}

const LARGEST = 64 * 2 ** 20; // bytes of a file that the server reads
const section = document.querySelector("[data-try]");
if (section) {
  const find = (selector) => section.querySelector(selector);
  const drop = find(".drop");
  const input = find("input[type=file]");
  const photograph = find(".photograph");
  const heat = find(".stage .heat");
  const choice = find(".heat-choice input");
  let latest = 0;

  const listed = (list, texts) =>
    find(list).replaceChildren(
      ...texts.map(({ said, colour }) => {
        const item = document.createElement("li");
        if (colour) {
          const swatch = document.createElement("span");
          swatch.className = "swatch";
          swatch.style.background = colour;
          item.append(swatch);
        }
        item.append(said);
        return item;
      }),
    );

  const show = (answer) => {
    find(".said").textContent = answer.said;
    find(".said").className = `said ${answer.kind}`;
    listed(".types", answer.types ?? []);
    listed(".notes", (answer.notes ?? []).map((said) => ({ said })));
    find(".heat-choice").hidden = !answer.heat;
    heat.hidden = !answer.heat || !choice.checked;
    if (answer.heat) heat.src = answer.heat;
  };

  const judge = async (file) => {
    const mine = ++latest; // of two images, the one that was chosen last is shown
    URL.revokeObjectURL(photograph.src);
    photograph.src = URL.createObjectURL(file);
    photograph.alt = section.dataset.alt.replace("%s", () => file.name);
    find(".tried").hidden = false;
    if (file.size > LARGEST) return show({ said: section.dataset.large, kind: "anomalous" });
    show({ said: section.dataset.busy, kind: "" });
    let answer;
    try {
      const sent = await fetch(section.dataset.try, {
        method: "POST",
        body: file,
        headers: {
          accept: "application/json",
          "content-type": "application/octet-stream",
          "x-lfvpipe-csrf": document.querySelector(".who input[name=csrf]").value,
        },
      });
      const said = await sent.json();
      answer = sent.ok
        ? { ...said, kind: said.anomalous ? "anomalous" : "normal" }
        : { said: said.error, kind: "anomalous" };
    } catch {
      answer = { said: section.dataset.failed, kind: "anomalous" };
    }
    if (mine === latest) show(answer);
  };

  input.addEventListener("change", () => input.files.length && judge(input.files[0]));
  choice.addEventListener("change", () => (heat.hidden = !choice.checked));
  drop.addEventListener("dragover", (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    if (event.dataTransfer.files.length) judge(event.dataTransfer.files[0]);
  });
}
