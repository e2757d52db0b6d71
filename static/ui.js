// What pages do in the browser besides htmx. Everything hangs on data- attributes and one
// listener per event on the document, so parts that htmx swaps in need no wiring.
//
//   data-dialog="id"            opens <dialog id>; data-close closes the one it stands in
//   data-fill='{"id": "value"}'  of such an opener: what fields of the dialog say first
//   data-while="id"             of a dialog: it closes when <id> leaves the page, and says data-over
//   data-typed="Friday sale"    an input that enables its form's submit when it says just this
//   data-copy="text"            copies; .copy shows that it did
//   data-keys="g c"             shortcut of a link or button; `?` lists them, data-keys-label names it
//   data-search                 the input `/` goes to
//   data-moment                 a <time>, shown in the reader's own zone
//   data-countdown="ISO time"   counts the seconds down in its text
//   data-explains               shows itself what became of a request of its own that failed
//   data-guard                  a form that asks before unsaved changes are left behind
//
// A server may answer with HX-Trigger {"toast": {"text": "…", "level": "success"}}.
(() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
  const on = (type, listener, options) => document.addEventListener(type, listener, options);
  const closest = (event, selector) => event.target.closest?.(selector);

  // ------------------------------------------------------------------------- toasts

  const SECONDS_SHOWN = { success: 5, info: 6, warning: 10, error: 14 };
  const SECONDS_TO_UNDO = 20;
  const region = $("#toasts"); // kept: it may stand in a dialog that goes

  function toast(text, level = "info", seconds = SECONDS_SHOWN[level]) {
    const template = $(`#toast-${level}`) || $("#toast-info");
    if (!region || !template || !text) return;
    const element = template.content.firstElementChild.cloneNode(true);
    $(".toast-text", element).textContent = text;
    beInFront();
    region.append(element);
    expire(element, seconds);
    return element;
  }

  // Behind a dialog a message could be neither read nor closed: it stands in the dialog meanwhile.
  function beInFront() {
    const host = $$("dialog:modal").at(-1) || document.body;
    if (region.parentElement !== host) host.append(region);
  }
  on("close", ({ target }) => {
    if (region && target.contains(region)) document.body.append(region);
  }, true);

  function expire(element, shown = SECONDS_SHOWN[element.dataset.level] || SECONDS_SHOWN.info) {
    const seconds = $("form", element) ? SECONDS_TO_UNDO : shown;
    element.dataset.expires = "";
    if (seconds === Infinity) return;
    let timer;
    const start = () => { timer = setTimeout(() => element.remove(), seconds * 1000); };
    for (const type of ["mouseenter", "focusin"]) element.addEventListener(type, () => clearTimeout(timer));
    for (const type of ["mouseleave", "focusout"]) element.addEventListener(type, () => { clearTimeout(timer); start(); });
    start();
  }

  on("toast", (event) => toast(event.detail.text, event.detail.level));
  on("click", (event) => closest(event, ".toast-close")?.closest(".toast").remove());
  on("htmx:oobAfterSwap", ({ detail }) => {
    if (detail.target?.id !== "toasts") return;
    for (const element of $$("#toasts .toast:not([data-expires])")) expire(element);
  });

  // ------------------------------------------------------------------ actions in place
  // An action closes its dialog, which gives the focus back to what opened it. Where the pressed
  // button goes (an Undo, an entry of a timeline), the focus goes to what it stood in.

  let home = null;
  on("htmx:beforeRequest", ({ detail }) => {
    const pressed = document.activeElement;
    if (!pressed || !detail.elt.contains(pressed)) return;
    home = pressed.closest("[tabindex='-1'][id]:not(dialog)")?.id || "content";
  });
  on("changed", () => {
    for (const dialog of $$("dialog[open]")) dialog.close();
    const older = $$(".toast:has(form)"); // what they tell of was done before this
    setTimeout(() => { for (const element of older) element.remove(); comeHome(); }); // behind htmx's swap
  });
  on("htmx:afterSettle", comeHome);
  function comeHome() {
    const focused = document.activeElement;
    if (home && (!focused || focused === document.body)) document.getElementById(home)?.focus({ preventScroll: true });
  }

  // -------------------------------------------------------------------- htmx's errors

  function explain(status) {
    if (status === 403) return "Your role may not do this. Nothing was changed.";
    if (status === 404) return "This no longer exists. Reload the page.";
    if (status === 409) return "Somebody else changed this meanwhile. Reload the page to see it.";
    if (status === 429) return "Too many requests. Wait a minute, then try again.";
    return "The server could not do this. Nothing was changed; try again in a moment.";
  }
  let offlineSince = 0;
  const isPoll = (detail) => /\bevery\b/.test(detail.elt?.getAttribute?.("hx-trigger") || "");

  const explains = (detail) => detail.elt?.closest?.("[data-explains]"); // says itself what failed

  on("htmx:responseError", ({ detail }) => {
    if (!isPoll(detail) && !explains(detail)) toast(explain(detail.xhr.status), "error");
  });
  for (const type of ["htmx:sendError", "htmx:timeout"]) {
    on(type, ({ detail }) => {
      if (explains(detail)) return;
      // Polls fail every two seconds while the server is away: say it once a minute.
      if (Date.now() - offlineSince < 60_000) return;
      offlineSince = Date.now();
      toast("The server does not answer. What you typed is kept; we go on trying.", "warning");
    });
  }
  on("htmx:afterRequest", ({ detail }) => { if (detail.successful) offlineSince = 0; });

  // ----------------------------------------------------------------- a session that ended
  // It answers with the login page, which is no part of this one. Where nothing was typed it is
  // opened; else somebody signs in beside this page, and goes on with what they typed.

  const LOGIN = "/login";
  let typed = false;
  on("input", ({ target }) => {
    if (target.form && !target.closest("[role=search], [type=search]")) typed = true;
  });
  const leadsToLogin = ({ xhr }) =>
    xhr?.responseURL && new URL(xhr.responseURL).pathname.startsWith(LOGIN) && !location.pathname.startsWith(LOGIN);
  on("htmx:beforeSwap", ({ detail }) => {
    if (!leadsToLogin(detail)) return;
    detail.shouldSwap = false;
    if (typed) askToSignIn();
    else location.reload();
  });
  on("htmx:afterRequest", ({ detail }) => {
    if (detail.successful && !leadsToLogin(detail)) $("#signed-out")?.remove();
  });
  function askToSignIn() {
    if ($("#signed-out")) return;
    const element = toast("Your session has ended. What you typed is kept: sign in beside this page, then go on here.", "warning", Infinity);
    const link = Object.assign(document.createElement("a"), {
      className: "button is-small", textContent: "Sign in", target: "_blank", rel: "noopener",
      href: `${LOGIN}/?next=${encodeURIComponent(location.pathname)}`,
    });
    element.id = "signed-out";
    $(".toast-text", element).after(link);
  }

  // Signing in gives the browser another token against forged requests, which the page must send.
  function token() {
    const known = new Map(document.cookie.split("; ").map((each) => each.split("=")));
    return known.get(document.body.dataset.tokenCookie);
  }
  on("htmx:configRequest", ({ detail }) => {
    if (!token()) return;
    detail.headers["X-CSRFToken"] = token();
    if (detail.parameters.csrfmiddlewaretoken) detail.parameters.csrfmiddlewaretoken = token(); // it is looked at first
  });
  on("submit", (event) => {
    const form = event.target;
    if (form.csrfmiddlewaretoken && token()) form.csrfmiddlewaretoken.value = token();
    if (navigator.onLine || event.defaultPrevented || form.method === "dialog") return;
    event.preventDefault(); // the browser's own page about it would take the place of this one
    toast("You are offline, so this was not sent. What you typed is kept; send it once you are online.", "warning");
  });

  // --------------------------------------------------------------------- menus, dialogs

  function closeMenus(except) {
    for (const menu of $$("details.menu[open]")) if (!menu.contains(except)) menu.open = false;
  }

  on("click", (event) => {
    closeMenus(event.target);
    const opener = closest(event, "[data-dialog]");
    if (opener) {
      event.preventDefault();
      fill(opener);
      openDialog(document.getElementById(opener.dataset.dialog));
    }
    const closer = closest(event, "[data-close]");
    if (closer) closer.closest("dialog, details.menu, .banner")?.dispatchEvent(new Event("dismiss"));
    if (event.target instanceof HTMLDialogElement && event.target.open) {
      const box = event.target.getBoundingClientRect(); // the backdrop belongs to the dialog
      const { clientX: x, clientY: y } = event;
      const keyboard = x === 0 && y === 0;
      if (!keyboard && (x < box.left || x > box.right || y < box.top || y > box.bottom)) event.target.close();
    }
  });
  on("dismiss", ({ target }) => {
    if (target instanceof HTMLDialogElement) target.close();
    else if (target instanceof HTMLDetailsElement) target.open = false;
    else target.remove();
  }, true);

  function openDialog(dialog) {
    if (!dialog || dialog.matches(":modal")) return;
    closeMenus();
    dialog.close(); // one that stands open in the page, for browsers without scripts
    dialog.showModal();
  }
  function fill(opener) {
    for (const [id, value] of Object.entries(JSON.parse(opener.dataset.fill || "{}"))) {
      const field = document.getElementById(id);
      if (field) field.value = value;
    }
  }

  on("input", (event) => {
    const input = closest(event, "[data-typed]");
    if (!input) return;
    const submit = $("[type=submit]", input.form);
    if (submit) submit.disabled = input.value.trim() !== input.dataset.typed;
  });

  // -------------------------------------------------------------------------- copying

  on("click", async (event) => {
    const button = closest(event, "[data-copy]");
    if (!button) return;
    event.preventDefault();
    if (await copy(button.dataset.copy)) {
      button.dataset.copied = "";
      setTimeout(() => delete button.dataset.copied, 1600);
      say("Copied");
    } else {
      toast("The browser did not let us copy. Select the text and copy it yourself.", "warning");
    }
  });

  async function copy(text) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      const area = Object.assign(document.createElement("textarea"), { value: text, className: "visually-hidden" });
      document.body.append(area);
      area.select();
      const done = document.execCommand("copy"); // plain http has no clipboard object
      area.remove();
      return done;
    }
  }

  function say(text) {
    const region = $("#said");
    if (region) region.textContent = text;
  }

  // ------------------------------------------------------------------------ shortcuts

  const typing = (element) => element.closest("input, textarea, select, [contenteditable]");
  let pending = "";
  let pendingTimer;

  on("keydown", (event) => {
    if (event.key === "Escape") {
      const menu = closest(event, "details.menu[open]") || $("details.menu[open]");
      if (menu) {
        menu.open = false;
        $("summary", menu).focus();
        event.preventDefault();
      }
      for (const term of $$(".define")) term.dataset.quiet = "";
      return;
    }
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      if (moveInMenu(event)) return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (typing(event.target) || $("dialog[open]")) return;
    if (event.key === "?") return openHelp();
    if (event.key === "/") {
      const search = $("[data-search]");
      if (search) {
        event.preventDefault();
        search.focus();
        search.select();
      }
      return;
    }
    const keys = pending ? `${pending} ${event.key}` : event.key;
    const target = $$("[data-keys]").find((element) => element.dataset.keys === keys);
    clearTimeout(pendingTimer);
    pending = "";
    if (target) {
      event.preventDefault();
      target.click();
    } else if ($$("[data-keys]").some((element) => element.dataset.keys.startsWith(`${event.key} `))) {
      pending = event.key;
      pendingTimer = setTimeout(() => { pending = ""; }, 1200);
    }
  });
  for (const type of ["pointerover", "focusin"]) {
    on(type, (event) => {
      const term = closest(event, ".define");
      for (const other of $$(".define[data-quiet]")) if (other !== term) delete other.dataset.quiet;
    });
  }

  function moveInMenu(event) {
    const menu = closest(event, "details.menu");
    if (!menu) return false;
    const onSummary = event.target.closest("summary") !== null;
    if (onSummary && !menu.open) menu.open = true;
    const items = $$(".menu-panel :is(a, button, input)", menu).filter((item) => item.offsetParent);
    if (!items.length) return false;
    const step = event.key === "ArrowDown" ? 1 : -1;
    const index = items.indexOf(document.activeElement);
    items[index < 0 ? (step > 0 ? 0 : items.length - 1) : (index + step + items.length) % items.length].focus();
    event.preventDefault();
    return true;
  }

  function openHelp() {
    const list = $("#shortcuts");
    if (!list) return;
    const known = new Map([["?", "Show this list"]]);
    if ($("[data-search]")) known.set("/", "Search on this page");
    for (const element of $$("[data-keys]")) {
      if (!known.has(element.dataset.keys)) {
        known.set(element.dataset.keys, element.dataset.keysLabel || element.textContent.trim());
      }
    }
    known.set("Esc", "Close what is open");
    list.replaceChildren(...[...known].flatMap(([keys, label]) => {
      const term = document.createElement("dt");
      term.append(...keys.split(" ").map((key) => Object.assign(document.createElement("kbd"), { textContent: key })));
      return [term, Object.assign(document.createElement("dd"), { textContent: label })];
    }));
    openDialog($("#help"));
  }
  on("click", (event) => { if (closest(event, "[data-help]")) openHelp(); });

  // ---------------------------------------------------------------------------- times

  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
  const format = (at, timeZone, seconds) => {
    const parts = Object.fromEntries(new Intl.DateTimeFormat("en-GB", {
      timeZone, weekday: "short", day: "numeric", month: "short", year: "numeric",
      hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
    }).formatToParts(at).map(({ type, value }) => [type, value]));
    const clock = `${parts.hour}:${parts.minute}${seconds ? `:${parts.second}` : ""}`;
    return `${parts.weekday} ${parts.day} ${parts.month} ${parts.year}, ${clock}`;
  };
  function ago(at) {
    const seconds = (Date.now() - at) / 1000;
    if (seconds < 45) return seconds < -1 ? null : "just now";
    for (const [unit, length] of [["d", 86400], ["h", 3600], ["min", 60]]) {
      if (seconds >= length) return `${Math.floor(seconds / length)} ${unit} ago`;
    }
    return "1 min ago";
  }
  function localise(root) {
    for (const element of $$("time[data-moment]", root)) {
      const at = new Date(element.dateTime);
      if (Number.isNaN(at.getTime())) continue;
      element.title = zone === "UTC"
        ? `${format(at, "UTC", true)} (UTC)`
        : `${format(at, zone, true)} (${zone})\n${format(at, "UTC", true)} (UTC)`;
      const relative = element.dataset.moment === "ago" ? ago(at) : null;
      const named = zone === "UTC" ? " UTC" : element.dataset.moment === "zone" ? ` (${zone})` : "";
      element.textContent = relative || format(at, zone, false) + named;
    }
  }
  function countDown() {
    for (const element of $$("[data-countdown]")) {
      const left = Math.max(0, Math.ceil((new Date(element.dataset.countdown) - Date.now()) / 1000));
      const text = String(left);
      if (element.textContent !== text) element.textContent = text;
    }
  }
  setInterval(countDown, 250);
  setInterval(() => localise(document), 30_000);

  // A dialog about something that is over by now says so instead of offering it.
  on("htmx:afterSettle", () => {
    for (const dialog of $$("dialog[open][data-while]")) {
      if (document.getElementById(dialog.dataset.while)) continue;
      dialog.close();
      toast(dialog.dataset.over, "info");
    }
  });

  // ------------------------------------------------------------------------- unsaved

  const changed = new Set();
  on("input", (event) => { const form = closest(event, "form[data-guard]"); if (form) changed.add(form); });
  on("submit", (event) => { if (!event.defaultPrevented) changed.delete(event.target); });
  addEventListener("beforeunload", (event) => {
    if ([...changed].some((form) => form.isConnected)) event.preventDefault();
  });

  // --------------------------------------------------------------------------- start

  function ready(root) {
    localise(root);
    countDown();
  }
  on("DOMContentLoaded", () => {
    ready(document);
    for (const element of $$("#toasts .toast")) expire(element);
    for (const dialog of $$("dialog[data-open]")) openDialog(dialog);
    $("[aria-invalid=true]")?.focus();
  });
  on("htmx:load", (event) => ready(event.detail.elt));
  window.pushadmin = { toast };
})();
