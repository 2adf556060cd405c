// The larger view of test images: the photograph, and what the model sees in it.

const dialog = document.querySelector("dialog.larger");
const links = [...document.querySelectorAll("[data-sight]")];
const [photo, heat] = dialog.querySelectorAll("img");
const drawn = dialog.querySelector(".drawn");
const outcome = dialog.querySelector(".outcome");
const wanted = dialog.querySelector("input.heat");
const decide = document.querySelector("form[data-decide]");
let now = 0;
let asked = 0;

async function show(place) {
  now = (place + links.length) % links.length;
  const link = links[now];
  const question = (asked += 1);
  dialog.querySelector("h2").textContent = link.querySelector(".file").textContent;
  photo.src = link.href;
  photo.alt = link.querySelector(".file").textContent;
  drawn.replaceChildren();
  heat.hidden = true;
  heat.removeAttribute("src");
  outcome.textContent = outcome.dataset.waiting;
  if (!dialog.open) dialog.showModal();
  let told = outcome.dataset.failed;
  try {
    const answer = await fetch(link.dataset.sight, { headers: { accept: "application/json" } });
    const sight = await answer.json();
    told = answer.ok ? [sight.said, ...sight.notes, ...sight.types.map((type) => type.said)].join("; ") : sight.error;
    if (question !== asked) return;
    if (answer.ok) drawn.innerHTML = sight.outlines; // of the server's own template
    if (answer.ok && sight.heat) heat.src = sight.heat;
    else if (answer.ok) told += `. ${outcome.dataset.none}`;
  } catch {
    if (question !== asked) return;
  }
  outcome.textContent = told;
  layer();
}

function layer() {
  heat.hidden = !wanted.checked || !heat.hasAttribute("src");
}

links.forEach((link, place) =>
  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    show(place);
  }),
);
wanted.addEventListener("change", layer);
dialog.addEventListener("click", (event) => {
  const step = event.target.dataset?.step;
  if (step) show(now + Number(step));
  if ("close" in event.target.dataset) dialog.close();
});
dialog.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (step) show(now + step);
});
dialog.addEventListener("close", () => {
  asked += 1;
  links[now]?.focus();
});

// What the slider tries is what the form beside it would decide by.
const slider = document.querySelector("[data-explore] input[type=range]");
if (decide && slider) {
  const follow = () => (decide.elements.threshold.value = slider.value);
  slider.addEventListener("input", follow);
  document.querySelectorAll("[data-explore] [data-go]").forEach((button) => button.addEventListener("click", () => setTimeout(follow)));
}
