"use strict";
document.documentElement.classList.add("scripted");

const PAGE = 100; // images
const ratio = (part, whole) => (whole ? part / whole : null);
const figure = (value) => (value === null ? "–" : value.toFixed(3));

function countAt(data, threshold) {
  const cells = { tp: 0, fp: 0, fn: 0, tn: 0 };
  data.scores.forEach((score, i) => {
    const called = score >= threshold;
    cells[data.anomaly[i] ? (called ? "tp" : "fn") : called ? "fp" : "tn"] += 1;
  });
  const [accept, reject] = data.costs;
  return {
    ...cells,
    cost: cells.fn * accept + cells.fp * reject,
    f1: ratio(2 * cells.tp, 2 * cells.tp + cells.fp + cells.fn),
    precision: ratio(cells.tp, cells.tp + cells.fp),
    recall: ratio(cells.tp, cells.tp + cells.fn),
  };
}

function best(data, worth) {
  let found = 0.5;
  for (let step = 0; step <= 100; step += 1) {
    const value = worth(countAt(data, step / 100));
    const now = worth(countAt(data, found));
    if (value > now || (value === now && Math.abs(step / 100 - 0.5) < Math.abs(found - 0.5))) found = step / 100;
  }
  return found;
}

function put(dot, x, y) {
  dot.toggleAttribute("hidden", x === null || y === null);
  const { left, bottom, width, height } = dot.dataset;
  dot.setAttribute("cx", Number(left) + width * x);
  dot.setAttribute("cy", Number(bottom) - height * y);
}

function explore(box) {
  const data = JSON.parse(box.dataset.explore);
  const slider = box.querySelector("input[type=range]");
  const lines = box.querySelectorAll(".chart .threshold");
  const roc = box.querySelector(".chart .here.roc");
  const pr = box.querySelector(".chart .here.pr");
  const say = (name, text) => box.querySelectorAll(`[data-out="${name}"]`).forEach((spot) => (spot.textContent = text));
  const show = () => {
    const threshold = Number(slider.value);
    const counts = countAt(data, threshold);
    for (const name of ["tp", "fp", "fn", "tn"]) say(name, counts[name]);
    for (const name of ["f1", "precision", "recall"]) say(name, figure(counts[name]));
    say("cost", Number(counts.cost.toFixed(4)));
    say("threshold", threshold.toFixed(2));
    say("at", `at threshold ${threshold.toFixed(2)}`);
    for (const name of ["fp", "fn"]) box.querySelector(`[data-out="${name}"]`).className = counts[name] ? "wrong" : "zero";
    lines.forEach((line) => line.setAttribute("transform", `translate(${(threshold - 0.5) * line.dataset.width})`));
    put(roc, ratio(counts.fp, counts.fp + counts.tn), counts.recall);
    put(pr, counts.recall, counts.precision);
  };
  const targets = {
    f1: () => best(data, (counts) => counts.f1 ?? 0),
    cost: () => best(data, (counts) => -counts.cost),
  };
  box.querySelectorAll("[data-go]").forEach((button) =>
    button.addEventListener("click", () => {
      const target = targets[button.dataset.go];
      slider.value = target ? target() : button.dataset.go;
      show();
    }),
  );
  slider.addEventListener("input", show);
  slider.value = "0.5";
  show();
}

function browse(form) {
  const list = document.querySelector(".gallery");
  const empty = document.querySelector("#images .empty");
  const more = document.querySelector("#images .more");
  let most = PAGE; // more at a time would push what follows out of reach
  const enabled = document.querySelector("input[name=keys]");
  const cards = [...list.children].map((card, place) => {
    const { set, label } = card.dataset;
    const anomalous = card.dataset.anomalous === "1";
    const score = Number(card.dataset.score);
    const wrong = label !== "" && anomalous !== (label === "anomaly");
    const name = card.querySelector(".name").textContent;
    return { card, place, set, anomalous, score, wrong, name, review: "review" in card.dataset };
  });
  const shown = {
    wrong: (c) => c.wrong,
    missed: (c) => c.wrong && !c.anomalous,
    alarm: (c) => c.wrong && c.anomalous,
    review: (c) => c.review,
    anomaly: (c) => c.anomalous,
    normal: (c) => !c.anomalous,
  };
  const orders = {
    doubt: (a, b) => Math.abs(a.score - 0.5) - Math.abs(b.score - 0.5),
    score: (a, b) => b.score - a.score,
    name: (a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }),
  };
  const field = (name) => form.elements.namedItem(name);
  let order = "";
  const update = () => {
    const text = field("name").value.toLowerCase();
    const set = field("set").value;
    const fits = shown[field("show").value] ?? (() => true);
    if (field("sort").value !== order) {
      order = field("sort").value;
      const compare = orders[order] ?? (() => 0);
      cards.sort((a, b) => compare(a, b) || a.place - b.place);
      list.append(...cards.map((one) => one.card));
    }
    let count = 0;
    for (const one of cards) {
      const fitting = fits(one) && (!set || one.set === set) && one.name.toLowerCase().includes(text);
      count += fitting;
      one.card.hidden = !fitting || count > most;
    }
    more.hidden = count <= most;
    more.querySelector("span").textContent = `${Math.min(most, count)} of ${count} images are shown.`;
    field("count").textContent = count === 1 ? "1 image" : `${count} images`;
    empty.hidden = count > 0;
  };
  const choose = (name, value) => {
    field(name).value = value;
    update();
  };
  const showAll = () => {
    field("set").value = field("name").value = "";
    choose("show", "");
  };
  const next = (menu) => menu.options[(menu.selectedIndex + 1) % menu.options.length].value;
  const toggle = (layer) => {
    const button = form.querySelector(`[data-layer="${layer}"]`);
    if (button) button.setAttribute("aria-pressed", list.classList.toggle(layer));
  };
  const keys = {
    h: () => toggle("heat"),
    m: () => toggle("masks"),
    w: () => choose("show", "wrong"),
    r: () => choose("show", "review"),
    a: showAll,
    s: () => choose("sort", next(field("sort"))),
    "/": () => field("name").focus(),
  };
  document.addEventListener("keydown", (event) => {
    const typing = event.target.matches("select, input[type=search]");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || !enabled.checked) return;
    const act = keys[event.key.toLowerCase()];
    if (!act) return;
    event.preventDefault();
    act();
  });
  form.querySelectorAll("[data-layer]").forEach((button) => button.addEventListener("click", () => toggle(button.dataset.layer)));
  empty.querySelector("[data-all]").addEventListener("click", () => {
    showAll();
    field("show").focus();
  });
  more.querySelector("button").addEventListener("click", () => {
    most += PAGE;
    update();
  });
  form.addEventListener("input", update);
  form.addEventListener("submit", (event) => event.preventDefault());
  update();
}

document.querySelectorAll("[data-explore]").forEach(explore);
document.querySelectorAll("form.controls").forEach(browse);

// Paper has nothing to open or to scroll to.
let closed = [];
addEventListener("beforeprint", () => {
  closed = [...document.querySelectorAll("main details:not([open], .keys)")];
  closed.forEach((part) => (part.open = true));
  document.querySelectorAll("img[loading]").forEach((image) => (image.loading = "eager"));
});
addEventListener("afterprint", () => closed.forEach((part) => (part.open = false)));
