// The manners of the pages. Everything works without this file; it only saves steps.
(() => {
  "use strict";
  const all = (selector, root = document) => root.querySelectorAll(selector);

  // After a failed post the summary of errors takes focus: it is read out, and its links lead to the fields. Where a scanner
  // types, the page names the field for the next scan: what is wrong is read out with it, and the scan replaces what stands there.
  const wrong = document.querySelector("[autofocus][aria-invalid=true]");
  (wrong ?? document.querySelector(".errors"))?.focus();
  wrong?.select();

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

  // What is to be passed on is copied by its button, which says so.
  for (const button of all("[data-copy]")) button.hidden = false;
  const copy = async (button) => {
    const text = document.getElementById(button.dataset.copy);
    text.select();
    if (navigator.clipboard) await navigator.clipboard.writeText(text.value);
    else document.execCommand("copy"); // the clipboard is for secure addresses alone
    button.textContent = "Copié";
  };

  document.addEventListener("click", (event) => {
    const target = event.target.closest("[data-dialog],[data-close],[data-print],[data-copy]");
    if (!target) return;
    if (target.hasAttribute("data-copy")) copy(target);
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

  // Several files go one after the other, and what is said of each stands there while the next is on its way. Where the
  // connection breaks, the rest stays chosen, the first under the id it had: sent again it counts once.
  document.addEventListener("submit", async (event) => {
    const form = event.target;
    const field = form.querySelector("input[type=file][multiple]");
    const list = document.getElementById(form.dataset.each);
    if (!list || field.files.length < 2) return;
    event.preventDefault();
    const waiting = [...field.files];
    const line = list.appendChild(document.createElement("p"));
    try {
      while (waiting.length) {
        line.textContent = `Envoi de ${waiting[0].name}…`;
        const body = new FormData(form);
        body.set(field.name, waiting[0]);
        const answer = await fetch(form.action, { method: "POST", body });
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        line.before(...page.getElementById(list.id).children);
        form.elements.id.value = page.querySelector("[name=id]").value;
        waiting.shift();
      }
      line.remove();
    } catch {
      line.textContent = `La connexion s’est coupée à ${waiting[0].name}. Rien n’est perdu : envoyez encore.`;
    }
    const left = new DataTransfer();
    for (const file of waiting) left.items.add(file);
    field.files = left.files;
    for (const busy of all("[aria-busy=true]", form)) busy.removeAttribute("aria-busy");
  });

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
