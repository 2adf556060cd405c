// What every page has: times in the zone of whoever looks, which is named, forms that are sent once, and the focus.

for (const each of document.querySelectorAll("time[datetime]")) {
  const moment = new Date(each.dateTime);
  if (Number.isNaN(moment.getTime())) continue;
  each.title = each.textContent;
  each.textContent = moment.toLocaleString(undefined, {
    year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", timeZoneName: "short",
  });
}

for (const form of document.querySelectorAll("form[method=post]")) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
  });
}
// What became of a form stands on top of the next page: a screen reader says it, Tab goes on below.
const notice = document.querySelector("main > .notice[role]");
if (notice) {
  notice.tabIndex = -1;
  notice.focus();
}

window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});
