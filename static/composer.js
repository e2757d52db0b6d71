// The composer while somebody types: faults that the server names in its panel stand beside their
// field as well, and what is not saved yet says so. preview.js and cards.js follow.
(() => {
  const form = document.getElementById("composer");
  if (!form || !document.getElementById("preview")) return;
  const mark = document.getElementById("save-mark");
  const heading = document.getElementById("composer-name");
  const crumb = document.getElementById("composer-crumb");
  const status = document.getElementById("composer-status");
  const SECONDS_TO_RETRY = 5;
  let unsaved = 0; // changes since the last answer that saved
  let retry;

  const contents = () => document.getElementById("contents");

  function follow() {
    const name = form.elements.name.value.trim() || "Campaign without a name";
    if (heading.textContent !== name) document.title = document.title.replace(heading.textContent, () => name);
    heading.textContent = name;
    crumb.textContent = name;
    for (const each of contents().querySelectorAll("[data-panel]")) {
      const target = each.querySelector("input[name$=target]").closest(".field");
      const chosen = each.querySelector("input[name$=on_tap]:checked");
      if (target) target.hidden = !chosen || chosen.value === "app";
      const style = each.querySelector("input[name$=in_app_style]:checked")?.value || "";
      each.querySelector("[data-in-app]").hidden = !style;
      for (const button of each.querySelectorAll("[data-in-app-buttons]")) button.hidden = style !== "MODAL";
    }
    summarise();
    form.dispatchEvent(new Event("composer:follow")); // preview.js and cards.js
  }

  // --------------------------------------------------------------- languages and variants

  function show(language, variant) {
    const box = contents();
    Object.assign(box.dataset, { language, variant });
    for (const panel of box.querySelectorAll("[data-panel]")) {
      panel.hidden = panel.dataset.language !== language || panel.dataset.variant !== variant;
    }
    for (const button of box.querySelectorAll("[data-show-language]")) {
      button.setAttribute("aria-pressed", button.dataset.showLanguage === language);
    }
    for (const button of box.querySelectorAll("[data-show-variant]")) {
      button.setAttribute("aria-pressed", button.dataset.showVariant === variant);
    }
    follow();
  }

  form.addEventListener("click", ({ target }) => {
    const box = contents();
    const language = target.closest("[data-show-language]");
    const variant = target.closest("[data-show-variant]");
    if (language) show(language.dataset.showLanguage, box.dataset.variant);
    if (variant) show(box.dataset.language, variant.dataset.showVariant);
    // A fault leads to its field, also behind another language.
    const fault = target.closest("[data-fault] a");
    const panel = fault && document.querySelector(`${fault.getAttribute("href")}_field`)?.closest("[data-panel]");
    if (panel) show(panel.dataset.language, panel.dataset.variant);
  });
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.target.id !== "id_add_language") return;
    event.preventDefault();
    event.target.closest(".menu-panel").querySelector(".button").click();
  });

  function countDevices() {
    for (const place of contents().querySelectorAll("[data-devices-in]")) {
      const count = status.querySelector(`[data-devices-of="${CSS.escape(place.dataset.devicesIn)}"]`);
      place.textContent = count ? count.textContent : "";
    }
  }

  // What was in front stays there, as far as it is still there.
  document.addEventListener("htmx:configRequest", ({ detail }) => { // also of dialogs
    if (detail.target !== contents()) return;
    const { language, variant } = contents().dataset;
    Object.assign(detail.parameters, { shown_language: language, shown_variant: variant });
  });

  // What is typed while contents are added or removed is not lost: it is put back, and saved.
  const typedNow = () => new Map([...new FormData(form)].filter(([name]) => name !== "draft_version"));
  document.addEventListener("htmx:beforeRequest", ({ detail }) => { // also of dialogs
    if (detail.target !== contents()) return;
    Object.assign(detail.xhr, { sent: typedNow(), asked: detail.requestConfig.parameters.do });
  });
  form.addEventListener("htmx:beforeSwap", ({ detail }) => {
    if (!detail.xhr.sent) return;
    const now = typedNow();
    detail.xhr.newer = [...now].filter(([name, value]) => detail.xhr.sent.get(name) !== value);
  });
  form.addEventListener("htmx:afterSettle", ({ detail }) => {
    if (detail.target.id !== "contents") return;
    for (const [name, value] of detail.xhr?.newer || []) {
      const field = form.elements[name];
      if (field && field.value !== value) {
        field.value = value;
        form.dispatchEvent(new Event("input", { bubbles: true }));
      }
    }
    delete detail.xhr?.newer;
    if (detail.xhr?.asked) goOn(detail.xhr.asked);
    follow();
    countDevices();
    showFaults();
  });

  // The button that was pressed is gone: the words of what was added come next. Whoever went on
  // meanwhile stays there.
  function goOn(asked) {
    const focused = document.activeElement;
    if (focused && focused !== document.body) return;
    const box = contents();
    const next = asked.startsWith("add-") ? "[data-panel]:not([hidden]) input[name$=title]" : "[data-show-language][aria-pressed=true]";
    box.querySelector(next).focus();
  }

  // ------------------------------------------------------------- what a folded section says

  const trimmed = (text) => text.replace(/\s+/g, " ").trim();
  const LINES = {
    content() {
      const panel = contents().querySelector("[data-panel]");
      const said = (name) => panel.querySelector(`[name="${panel.dataset.prefix}${name}"]`).value.trim();
      const many = [["language", "languages"], ["variant", "variants"]].map(([one, several]) => {
        const count = new Set([...contents().querySelectorAll("[data-panel]")].map((each) => each.dataset[one])).size;
        return count > 1 ? `${count} ${several}` : "";
      });
      return [[said("title"), said("text")].filter(Boolean).join(": ") || "Nothing is written yet", ...many].filter(Boolean).join(" · ");
    },
    audience() {
      const number = form.querySelector("#audience-size .audience-number")?.cloneNode(true);
      number?.querySelector(".faint")?.remove();
      const words = trimmed(form.querySelector("#audience-size [data-in-words]")?.textContent || "");
      return number ? `${trimmed(number.textContent).replace(" would get it now", "")} · ${words}` : "";
    },
    delivery: () => trimmed(status.querySelector("#goes-out dd")?.textContent || ""),
  };
  function summarise() {
    for (const line of form.querySelectorAll("[data-line]")) line.textContent = LINES[line.dataset.line]();
  }

  // ------------------------------------------------------------------ faults beside fields

  function showFaults() {
    const said = new Map();
    for (const item of form.querySelectorAll("[data-fault]")) {
      const texts = said.get(item.dataset.fault) || new Set();
      said.set(item.dataset.fault, texts.add(item.dataset.text || item.textContent.trim()));
    }
    for (const field of form.querySelectorAll(".field[id$=_field]")) {
      const id = field.id.replace(/_field$/, "");
      const texts = said.get(id);
      const controls = field.querySelectorAll("input, select, textarea");
      let list = document.getElementById(`${id}_error`);
      if (!texts) {
        list?.remove();
        for (const control of controls) control.removeAttribute("aria-invalid");
        continue;
      }
      if (!list) {
        list = Object.assign(document.createElement("ul"), { id: `${id}_error`, className: "errorlist" });
        field.append(list);
      }
      for (let fold = field.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
      list.replaceChildren(...[...texts].map((text) => Object.assign(document.createElement("li"), { textContent: text })));
      for (const control of controls) {
        control.setAttribute("aria-invalid", "true");
        control.setAttribute("aria-errormessage", list.id);
      }
    }
  }

  // ------------------------------------------------------------------------------- saving

  const ofStatus = (detail) => detail.target === status;

  function changed() {
    unsaved += 1;
    mark.textContent = "Saving…";
    follow();
  }

  // What is no part of the draft, such as a note to who wrote it, is not saved with it.
  for (const type of ["input", "change"]) {
    status.addEventListener(type, (event) => { if ("apart" in event.target.dataset) event.stopPropagation(); });
  }
  form.addEventListener("input", changed);
  form.addEventListener("change", changed);
  // Enter in a field does not send anything: the buttons do.
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("htmx:beforeRequest", ({ detail }) => {
    if (ofStatus(detail)) detail.xhr.changes = unsaved;
  });
  form.addEventListener("htmx:afterSwap", ({ detail }) => {
    showFaults();
    summarise();
    countDevices();
    if (!ofStatus(detail)) return;
    const answer = status.querySelector("#save-status");
    const saved = "saved" in answer.dataset;
    if (saved && detail.xhr.changes === unsaved) unsaved = 0;
    if (!unsaved || !saved) mark.replaceChildren(...answer.querySelector("span").cloneNode(true).childNodes);
  });
  for (const type of ["htmx:sendError", "htmx:timeout", "htmx:responseError"]) {
    form.addEventListener(type, ({ detail }) => {
      if (!ofStatus(detail)) return;
      mark.textContent = "Not saved yet: trying again";
      clearTimeout(retry);
      retry = setTimeout(() => form.dispatchEvent(new Event("save")), SECONDS_TO_RETRY * 1000);
    });
  }
  addEventListener("beforeunload", (event) => { if (unsaved) event.preventDefault(); });
  form.addEventListener("click", (event) => { if (event.target.closest("[data-leave]")) unsaved = 0; });
  form.addEventListener("htmx:beforeOnLoad", ({ detail }) => {
    if (detail.xhr.getResponseHeader("HX-Redirect")) unsaved = 0; // launched: everything is stored
  });

  follow();
  showFaults();
  countDevices();
  const isTouched = (field) => {
    if (field.type === "checkbox" || field.type === "radio") return field.checked !== field.defaultChecked;
    return field.type !== "hidden" && "defaultValue" in field && field.value !== field.defaultValue;
  };
  // What was typed while the page still loaded is saved as well.
  window.addEventListener("load", () => {
    const early = [...form.elements].some(isTouched);
    if (early) form.dispatchEvent(new Event("input", { bubbles: true }));
  });
})();
