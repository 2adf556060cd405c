// The slider beside the charts: what another threshold would do.
"use strict";
document.documentElement.classList.add("scripted");

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
  let found = data.decided;
  for (let step = 1; step < 100; step += 1) {
    const value = worth(countAt(data, step / 100));
    const now = worth(countAt(data, found));
    if (value > now || (value === now && Math.abs(step / 100 - data.decided) < Math.abs(found - data.decided))) found = step / 100;
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
  const show = (threshold) => {
    slider.value = threshold;
    const counts = countAt(data, threshold);
    for (const name of ["tp", "fp", "fn", "tn"]) say(name, counts[name]);
    for (const name of ["f1", "precision", "recall"]) say(name, figure(counts[name]));
    say("cost", Number(counts.cost.toFixed(4)));
    say("threshold", threshold.toFixed(2));
    say("at", `at threshold ${threshold.toFixed(2)}`);
    say("line", `evaluate: {decide: {threshold: ${Number(threshold.toFixed(4))}}}`);
    for (const field of box.querySelectorAll("input[data-threshold]")) field.value = Number(threshold.toFixed(4));
    for (const name of ["fp", "fn"]) box.querySelector(`[data-out="${name}"]`).className = counts[name] ? "wrong" : "zero";
    lines.forEach((line) => line.setAttribute("transform", `translate(${(threshold - line.dataset.at) * line.dataset.width})`));
    put(roc, ratio(counts.fp, counts.fp + counts.tn), counts.recall);
    put(pr, counts.recall, counts.precision);
  };
  const targets = {
    decided: () => data.decided,
    f1: () => best(data, (counts) => counts.f1 ?? 0),
    cost: () => best(data, (counts) => -counts.cost),
  };
  box.querySelectorAll("[data-go]").forEach((button) =>
    button.addEventListener("click", () => {
      show(targets[button.dataset.go]());
    }),
  );
  slider.addEventListener("input", () => show(Number(slider.value)));
  show(data.decided);
}

document.querySelectorAll("[data-explore]").forEach(explore);
