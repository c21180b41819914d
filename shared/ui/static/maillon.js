// The manners of the pages. Everything works without this file; it only saves steps.
(() => {
  "use strict";
  const all = (selector, root = document) => root.querySelectorAll(selector);

  // After a failed post the summary of errors takes focus: it is read out, and its links lead to the fields.
  document.querySelector(".errors")?.focus();

  // A form on its way shows so, and is not sent twice by a second click.
  document.addEventListener("submit", (event) => {
    const button = event.submitter;
    if (event.defaultPrevented || !button || event.target.hasAttribute("hx-post")) return;
    if (button.getAttribute("aria-busy") === "true") event.preventDefault();
    else button.setAttribute("aria-busy", "true");
  });
  // Coming back with the browser's button shows the page as it was left.
  addEventListener("pageshow", (event) => {
    if (event.persisted) for (const busy of all("[aria-busy=true]")) busy.removeAttribute("aria-busy");
  });

  document.addEventListener("click", (event) => {
    const target = event.target.closest("[data-dialog],[data-close],[data-print]");
    if (!target) return;
    if (target.hasAttribute("data-print")) print();
    if (target.hasAttribute("data-close")) target.closest("dialog").close();
    const dialog = document.getElementById(target.dataset.dialog);
    if (dialog) {
      event.preventDefault();
      dialog.showModal();
      // The safe choice has the focus.
      dialog.querySelector("[data-close]")?.focus();
      dialog.addEventListener("close", () => scanAgain(), { once: true });
    }
  });

  // The scanner types into its field: after each scan and each dialog the field is ready again.
  const scanAgain = () => document.querySelector(".scan input")?.focus();

  // A toast leaves after 12 s, not while it is pointed at or holds the focus.
  for (const toast of all(".toast:not(.static)")) {
    const leave = () => (toast.matches(":hover,:focus-within") ? setTimeout(leave, 4000) : (toast.hidden = true));
    setTimeout(leave, 12000);
  }

  // htmx: the button that asked is busy; a new heading takes focus; figures that could not be renewed are dimmed.
  document.addEventListener("htmx:beforeRequest", (event) => {
    const button = event.detail.requestConfig.triggeringEvent?.submitter;
    if (button) button.setAttribute("aria-busy", "true");
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    for (const busy of all("button[aria-busy=true]", event.detail.elt)) busy.removeAttribute("aria-busy");
    event.detail.target?.toggleAttribute("data-stale", !event.detail.successful);
  });
  document.addEventListener("htmx:afterSettle", (event) => {
    const fresh = event.detail.target;
    const next = fresh.querySelector(".errors,h1[tabindex],h2[tabindex]");
    if (next) next.focus();
    else if (fresh.querySelector(".scan")) scanAgain();
  });
})();
