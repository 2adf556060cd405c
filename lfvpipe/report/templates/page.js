const PAGE = 100; // images

// A larger view of the images that `fitting` lists; `reached(one)` is told where its user left.
function viewing(dialog, fitting, reached) {
  const part = (selector) => dialog.querySelector(selector);
  const stage = part(".stage");
  let now = null;

  // Beside the page lies the image itself, of which no pixel is lost; a page that was sent lacks it.
  const root = /\/runs\/[^/]*$/.test(location.pathname) ? "../" : "";
  const bringWhole = (one, layers) => {
    part(".whole").hidden = part(".absent").hidden = true;
    if (!one.card.dataset.path) return;
    const whole = new Image();
    whole.addEventListener("load", () => {
      if (now !== one) return;
      layers.querySelector("img").src = whole.src;
      layers.style.setProperty("--pixels", whole.naturalWidth);
      part(".coarse").hidden = true;
      part(".whole").href = whole.src;
      part(".whole").hidden = false;
    });
    whole.addEventListener("error", () => {
      if (now === one) part(".absent").hidden = false;
    });
    whole.src = root + one.card.dataset.path.split("/").map(encodeURIComponent).join("/");
  };
  const near = part("[data-near]");
  // The middle of what a mask marks, as parts of the picture: what one wants to see nearer.
  const middle = () => {
    const path = [...stage.querySelectorAll(".outlines path")].find((each) => each.checkVisibility());
    if (!path) return [0.5, 0.5];
    const { x, y, width, height } = path.getBBox();
    const whole = path.ownerSVGElement.viewBox.baseVal;
    return [(x + width / 2) / whole.width, (y + height / 2) / whole.height];
  };
  const magnify = (on, [across, down] = middle()) => {
    stage.classList.toggle("near", on);
    near.setAttribute("aria-pressed", on);
    stage.toggleAttribute("tabindex", on); // what can be scrolled can be reached
    if (on) stage.tabIndex = 0;
    stage.scrollTo(stage.scrollWidth * across - stage.clientWidth / 2, stage.scrollHeight * down - stage.clientHeight / 2);
  };
  near.addEventListener("click", () => magnify(!stage.classList.contains("near")));
  stage.addEventListener("click", (event) => {
    const { left, top, width, height } = stage.firstElementChild.getBoundingClientRect();
    magnify(!stage.classList.contains("near"), [(event.clientX - left) / width, (event.clientY - top) / height]);
  });
  const picture = (one) => {
    const layers = one.card.querySelector(".layers").cloneNode(true);
    const block = document.getElementById(`larger-${one.place}`);
    const small = layers.querySelector("img");
    layers.style.setProperty("--ratio", small.width / small.height);
    part(".coarse").hidden = Boolean(block) || !("reduced" in one.card.dataset);
    if (block) {
      const { uri, width, height } = JSON.parse(block.textContent);
      small.src = uri;
      layers.style.setProperty("--ratio", width / height);
    }
    layers.querySelectorAll("img").forEach((image) => image.removeAttribute("loading"));
    return layers;
  };
  const show = (one) => {
    const all = fitting();
    const place = all.indexOf(one);
    now = one;
    const layers = picture(one);
    stage.replaceChildren(layers);
    bringWhole(one, layers);
    part("h3").textContent = one.name;
    part(".facts").replaceChildren(...one.card.querySelector("figcaption").cloneNode(true).children);
    part(".facts .name").remove();
    part(".place").textContent = `${place + 1} of ${all.length}`;
    for (const button of dialog.querySelectorAll("[data-step]")) {
      button.setAttribute("aria-disabled", !all[place + Number(button.dataset.step)]);
    }
    for (const button of dialog.querySelectorAll("[data-layer]")) {
      const layer = { heat: ".heat", masks: ".predicted", truth: ".truth" }[button.dataset.layer];
      button.setAttribute("aria-disabled", !stage.querySelector(layer));
    }
  };
  const step = (by) => {
    const all = fitting();
    const next = all[all.indexOf(now) + by];
    if (next) show(next);
  };
  dialog.querySelectorAll("[data-step]").forEach((button) => button.addEventListener("click", () => step(Number(button.dataset.step))));
  part("[data-close]").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const scrolls = event.target === stage && stage.classList.contains("near");
    if (!by || scrolls || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    step(by);
  });
  dialog.addEventListener("close", () => {
    magnify(false);
    stage.replaceChildren();
    reached(now);
  });
  return (one) => {
    show(one);
    dialog.showModal();
  };
}

function browse(form) {
  const list = document.querySelector(".gallery");
  const pictures = document.querySelector(".pictures");
  const dialog = document.querySelector(".viewer");
  const empty = document.querySelector("#images .empty");
  const more = document.querySelector("#images .more");
  let most = PAGE; // more at a time would push what follows out of reach
  const enabled = document.querySelector("input[name=keys]");
  const cards = [...list.children].map((card, place) => {
    const { set, label } = card.dataset;
    const anomalous = card.dataset.anomalous === "1";
    const score = Number(card.dataset.score);
    const person = "person" in card.dataset;
    const wrong = label !== "" && !person && anomalous !== (label === "anomaly");
    const name = card.querySelector(".name").textContent;
    return { card, place, set, anomalous, score, wrong, name, person, review: "review" in card.dataset };
  });
  const shown = {
    wrong: (c) => c.wrong,
    missed: (c) => c.wrong && !c.anomalous,
    alarm: (c) => c.wrong && c.anomalous,
    review: (c) => c.review,
    person: (c) => c.person,
    anomaly: (c) => !c.person && c.anomalous,
    normal: (c) => !c.person && !c.anomalous,
  };
  const orders = {
    doubt: (a, b) => Math.abs(a.score - 0.5) - Math.abs(b.score - 0.5),
    score: (a, b) => b.score - a.score,
    name: (a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }),
  };
  const field = (name) => form.elements.namedItem(name);
  let order = "";
  let fitting = [];
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
    fitting = cards.filter((one) => fits(one) && (!set || one.set === set) && one.name.toLowerCase().includes(text));
    const seen = new Set(fitting.slice(0, most));
    for (const one of cards) one.card.hidden = !seen.has(one);
    const count = fitting.length;
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
    const buttons = [...document.querySelectorAll(`[data-layer="${layer}"]`)];
    if (dialog.open && buttons.some((button) => button.ariaDisabled === "true")) return;
    const on = buttons.length > 0 && pictures.classList.toggle(layer);
    buttons.forEach((button) => button.setAttribute("aria-pressed", on));
  };
  const open = viewing(
    dialog,
    () => fitting.filter((one) => one.open),
    (one) => {
      most = Math.max(most, Math.ceil((fitting.indexOf(one) + 1) / PAGE) * PAGE);
      update();
      one.open.focus();
    },
  );
  for (const one of cards) {
    const layers = one.card.querySelector(".layers");
    if (!layers) continue;
    one.open = document.createElement("button");
    one.open.type = "button";
    one.open.className = "open";
    one.open.setAttribute("aria-haspopup", "dialog");
    layers.replaceWith(one.open);
    one.open.append(layers);
    one.open.addEventListener("click", () => open(one));
  }
  const keys = {
    h: () => toggle("heat"),
    m: () => toggle("masks"),
    t: () => toggle("truth"),
    w: () => choose("show", "wrong"),
    r: () => choose("show", "review"),
    a: showAll,
    s: () => choose("sort", next(field("sort"))),
    "/": () => field("name").focus(),
    z: () => dialog.open && dialog.querySelector("[data-near]").click(),
  };
  document.addEventListener("keydown", (event) => {
    const typing = event.target.matches("select, input[type=search]");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || !enabled.checked) return;
    const key = event.key.toLowerCase();
    const act = keys[key];
    if (!act || (dialog.open && !"hmtz".includes(key))) return;
    event.preventDefault();
    act();
  });
  document.querySelectorAll("[data-layer]").forEach((button) => button.addEventListener("click", () => toggle(button.dataset.layer)));
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

document.querySelectorAll("form.controls").forEach(browse);

// Paper has nothing to open or to scroll to.
let closed = [];
addEventListener("beforeprint", () => {
  closed = [...document.querySelectorAll("main details:not([open], .keys)")];
  closed.forEach((part) => (part.open = true));
  document.querySelectorAll("img[loading]").forEach((image) => (image.loading = "eager"));
});
addEventListener("afterprint", () => closed.forEach((part) => (part.open = false)));
