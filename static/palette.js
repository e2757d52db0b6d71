// The command palette: ⌘K, Ctrl+K or [data-palette] opens it. What a page offers without the
// server stands in <template id="palette-template"> and in the head of the page itself; htmx asks
// the server for the rest while somebody types. The focus stays in the field, as ARIA wants it of
// a combobox; arrows move the marked option.
(() => {
  const template = document.getElementById("palette-template");
  if (!template) return;
  const PAGE = 6; // options that Page Up and Page Down pass
  let dialog, input, known, found, said;
  let marked = null;
  let numbered = 0;
  const pressed = new WeakMap(); // option → the control of the page that it stands for

  const byId = (id) => document.getElementById(id);
  const fold = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase().trim();
  const each = (root, selector) => [...root.querySelectorAll(selector)];
  const visible = () => each(dialog, "[role=option]").filter((one) => !one.closest("[hidden], [data-stale]"));

  function make() {
    document.body.append(template.content.cloneNode(true));
    [dialog, input, known, found, said] = ["palette", "palette-input", "palette-known", "palette-found", "palette-said"].map(byId);
    input.addEventListener("input", () => {
      if (asks()) found.dataset.stale = ""; // it answers older letters
      else found.replaceChildren();
      refresh();
    });
    input.addEventListener("keydown", move);
    dialog.addEventListener("click", choose, true);
    dialog.addEventListener("pointermove", ({ target }) => {
      const option = target.closest("[role=option]");
      if (option && option !== marked && !option.closest("[data-stale]")) mark(option, false);
    });
    dialog.addEventListener("close", () => window.htmx.trigger(input, "htmx:abort"));
    dialog.addEventListener("htmx:beforeSwap", ({ detail }) => {
      if (fold(detail.requestConfig.parameters.q || "") !== fold(input.value)) detail.shouldSwap = false;
    });
    dialog.addEventListener("htmx:afterSwap", answered);
    for (const type of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) dialog.addEventListener(type, failed);
    window.htmx.process(dialog);
  }

  function open() {
    if (document.querySelector("dialog:modal")) return;
    for (const menu of each(document, "details.menu[open]")) menu.open = false;
    if (!dialog) make();
    input.value = "";
    found.replaceChildren();
    delete found.dataset.stale;
    listPage();
    refresh();
    dialog.showModal();
    byId("palette-list").scrollTop = 0;
    input.focus();
  }

  // What the head of this page offers: choosing it presses the very control, so it asks, counts
  // and refuses as it would there.
  function listPage() {
    const group = byId("palette-page");
    each(group, "[role=option]").forEach((one) => one.remove());
    for (const control of each(document, ".page-head :is(a, button)")) {
      const label = (control.getAttribute("aria-label") || control.textContent).replace(/\s+/g, " ").trim();
      if (!label || control.disabled || !control.checkVisibility()) continue;
      const option = document.createElement("button");
      Object.assign(option, { type: "button", tabIndex: -1 });
      option.setAttribute("role", "option");
      const drawing = control.querySelector(".icon")?.cloneNode(true) || byId("palette").querySelector(".icon").cloneNode(true);
      option.append(drawing, Object.assign(document.createElement("span"), { className: "palette-label", textContent: label }));
      pressed.set(option, control);
      group.append(option);
    }
  }

  // ------------------------------------------------------------------------- matching

  // 3: its name begins like this; 2: each word begins one of its name; 1: of what else it is called.
  function rank(option, typed) {
    const name = fold(option.querySelector(".palette-label").textContent);
    if (name.startsWith(typed)) return 3;
    const words = typed.split(/\s+/);
    const begin = (text) => words.every((word) => ` ${text}`.includes(` ${word}`));
    return begin(name) ? 2 : begin(`${name} ${fold(option.dataset.words || "")}`) ? 1 : 0;
  }

  function refresh() {
    const typed = fold(input.value);
    const groups = each(known, "[role=group]");
    const best = new Map();
    for (const group of groups) {
      const options = each(group, "[role=option]");
      for (const [place, option] of options.entries()) {
        option.dataset.place ??= place;
        best.set(option, typed ? rank(option, typed) : 1);
        option.hidden = !best.get(option);
      }
      options.sort((a, b) => best.get(b) - best.get(a) || a.dataset.place - b.dataset.place);
      group.append(...options);
      best.set(group, options.length ? best.get(options[0]) : 0);
      group.hidden = !best.get(group);
    }
    groups.forEach((group, place) => { group.dataset.place ??= place; });
    known.append(...groups.sort((a, b) => best.get(b) - best.get(a) || a.dataset.place - b.dataset.place));
    settle();
  }

  function settle() {
    const options = visible();
    for (const option of options) option.id ||= `palette-option-${++numbered}`;
    mark(options[0] || null);
    tell(options.length);
  }

  const asks = () => input.hasAttribute("hx-get") && input.value.trim().length > 1;

  function tell(count) {
    if ("stale" in found.dataset) say(count ? `${count} here, searching for more` : "Searching");
    else if (count) say(input.value.trim() ? `${count} found` : "");
    else say("Nothing found. A name, an id, a phone number or an e-mail address finds what begins like it.");
  }
  function say(text) { if (said.textContent !== text) said.textContent = text; }

  function answered() {
    delete found.dataset.stale;
    const before = marked;
    settle();
    if (before?.isConnected && !before.closest("[hidden]")) mark(before);
  }

  function failed({ detail }) {
    found.replaceChildren();
    delete found.dataset.stale;
    settle();
    const status = detail.xhr?.status;
    say(status === 403 ? "Your role may not search here. What is listed works."
      : status ? "The server could not search. What is listed works; type on to try again."
      : "The server does not answer. What is listed stays; it is searched again once you are online.");
  }
  addEventListener("online", () => { if (dialog?.open && asks()) window.htmx.trigger(input, "input"); });

  // -------------------------------------------------------------------------- choosing

  function mark(option, scroll = true) {
    marked?.setAttribute("aria-selected", "false");
    marked = option;
    if (!option) return input.removeAttribute("aria-activedescendant");
    option.setAttribute("aria-selected", "true");
    input.setAttribute("aria-activedescendant", option.id);
    if (scroll) option.scrollIntoView({ block: "nearest" });
  }

  function move(event) {
    if (event.isComposing) return;
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: PAGE, PageUp: -PAGE }[event.key];
    if (step) {
      event.preventDefault();
      const options = visible();
      if (!options.length) return;
      const next = options.indexOf(marked) + step;
      const last = options.length - 1;
      if (Math.abs(step) === 1) mark(options[(next + options.length) % options.length]);
      else mark(options[Math.min(Math.max(next, 0), last)]);
    } else if (event.key === "Enter") {
      event.preventDefault();
      marked?.click();
    }
  }

  function choose(event) {
    const option = event.target.closest("[role=option]");
    if (!option) return;
    if (option.closest("[data-stale]")) return event.preventDefault();
    if (event.ctrlKey || event.metaKey || event.shiftKey) return; // beside this page
    dialog.close(); // a link is followed and a form is posted all the same
    const control = pressed.get(option) || (option.dataset.press && document.querySelector(option.dataset.press));
    if (!control) return;
    event.preventDefault();
    event.stopPropagation();
    control.focus({ preventScroll: true });
    control.click();
  }

  document.addEventListener("keydown", (event) => {
    if (!(event.metaKey || event.ctrlKey) || event.altKey || event.shiftKey || event.key.toLowerCase() !== "k") return;
    event.preventDefault();
    if (dialog?.open) dialog.close();
    else open();
  });
  document.addEventListener("click", (event) => { if (event.target.closest?.("[data-palette]")) open(); });
})();
