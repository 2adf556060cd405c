// Outlines of masks over pictures: asked for where somebody looks, one after the other, on and off.

const left = [];
let busy = false;

async function go() {
  if (busy) return;
  busy = true;
  for (let each; (each = left.shift());) {
    try {
      const answer = await fetch(each.dataset.outlines);
      // Of the server's own template; an image that cannot be judged has none.
      if (answer.ok && !answer.redirected) each.insertAdjacentHTML("beforeend", await answer.text());
    } catch {
      break; // the page is being left, or the server ended
    }
  }
  busy = false;
}

const seen = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (!isIntersecting) continue;
    seen.unobserve(target);
    left.push(target);
  }
  go();
});
for (const each of document.querySelectorAll("[data-outlines]")) seen.observe(each);

document.addEventListener("change", ({ target }) => {
  const layer = target.dataset.layer;
  if (!layer) return;
  document.body.classList.toggle(`without-${layer}`, !target.checked);
  for (const each of document.querySelectorAll(`[data-layer=${layer}]`)) each.checked = target.checked;
});
