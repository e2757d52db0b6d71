// What is typed, on a phone: the one that is chosen, closed or opened, light or dark. It follows
// every letter, and the card somebody writes.
(() => {
  const form = document.getElementById("composer");
  const preview = document.getElementById("preview");
  if (!form || !preview) return;
  const app = preview.dataset.app;
  const as = document.getElementById("preview-as");
  const bar = document.getElementById("preview-bar");
  const dark = document.getElementById("preview-scheme");
  const turn = document.getElementById("preview-turn");
  const NAMES = { ios: "iOS lock screen", android: "Android notification shade", huawei: "Huawei notification shade", app: "Inside the app" };
  const chosen = { phone: "ios", view: "closed", card: 0 };

  const phones = () => [...preview.querySelectorAll(".phone")];
  const panel = () => document.querySelector("#contents [data-panel]:not([hidden])");
  const field = (name) => panel().querySelector(`[name="${panel().dataset.prefix}${name}"]`);
  const said = (name) => (field(name)?.value || "").trim();
  const checked = (name) => panel().querySelector(`[name="${panel().dataset.prefix}${name}"]:checked`)?.value || "";

  // ------------------------------------------------------------------------ what it says

  const typedCards = () => (checked("pictures") ? [...panel().querySelectorAll("[data-card]")] : []);

  function fill(phone) {
    const [title, text, cards] = [said("title"), said("text"), typedCards()];
    phone.querySelector(".push-title").textContent = title || (["ios", "app"].includes(phone.dataset.platform) ? app : "");
    phone.querySelector(".push-text").textContent = text || "What you write appears here.";
    phone.querySelector(".push-picture").hidden = !said("image_url") && !cards.length;
    const strip = phone.querySelector(".push-cards");
    if (!strip) {
      phone.querySelector(".push").dataset.style = checked("in_app_style");
      phone.querySelector("[data-open-title]").textContent = said("in_app_open_title") || "Open";
      phone.querySelector("[data-dismiss-title]").textContent = said("in_app_dismiss_title") || "Cancel";
      phone.setAttribute("aria-label", `${NAMES.app}: ${title || app}. ${text}`);
      return;
    }
    strip.dataset.kind = checked("pictures");
    strip.replaceChildren(...cards.map((card) => {
      const made = document.getElementById("preview-card").content.cloneNode(true).firstElementChild;
      made.querySelector("b").textContent = card.querySelector("[name$=-headline]").value.trim();
      made.lastElementChild.textContent = card.querySelector("[name$=-description]").value.trim();
      return made;
    }));
    const words = cards.length ? ` Cards: ${cards.map((card) => card.querySelector("[name$=-headline]").value.trim()).join(", ")}.` : "";
    phone.setAttribute("aria-label", `${NAMES[phone.dataset.platform]} with the push: ${title || app}. ${text}${words}`);
  }

  // ------------------------------------------------------------------------ how it is seen

  function arrange() {
    const count = preview.querySelector(".push-cards")?.childElementCount || 0;
    chosen.card = Math.max(0, Math.min(chosen.card, count - 1));
    const inApp = bar.querySelector("[data-view=app]");
    inApp.hidden = !checked("in_app_style");
    if (inApp.hidden && chosen.view === "app") chosen.view = "closed";
    const open = chosen.view === "open";
    const seen = chosen.view === "app" ? "app" : chosen.phone;
    for (const phone of phones()) {
      phone.hidden = phone.dataset.platform !== seen;
      phone.dataset.scheme = dark.getAttribute("aria-pressed") === "true" ? "dark" : "light";
      phone.querySelector(".push").classList.toggle("is-expanded", open);
      const strip = phone.querySelector(".push-cards");
      if (!strip) continue;
      strip.hidden = !count || !open;
      [...strip.children].forEach((card, place) => {
        card.hidden = strip.dataset.kind === "slider" ? place !== chosen.card : place < chosen.card;
      });
      if (count && open) phone.querySelector(".push-picture").hidden = true;
    }
    for (const button of bar.querySelectorAll("[data-phone]")) button.setAttribute("aria-pressed", button.dataset.phone === chosen.phone);
    for (const button of bar.querySelectorAll("[data-view]")) button.setAttribute("aria-pressed", button.dataset.view === chosen.view);
    turn.hidden = !count || !open;
    turn.querySelector("[role=status]").textContent = count ? `Card ${chosen.card + 1} of ${count}` : "";
    turn.querySelector("[data-turn='-1']").disabled = chosen.card === 0;
    turn.querySelector("[data-turn='1']").disabled = chosen.card >= count - 1;
  }

  function follow() {
    if (as.value) as.dispatchEvent(new Event("preview"));
    else phones().forEach(fill);
    arrange();
  }

  bar.addEventListener("click", ({ target }) => {
    const button = target.closest("button");
    if (button?.dataset.phone) Object.assign(chosen, { phone: button.dataset.phone, view: chosen.view === "app" ? "closed" : chosen.view });
    if (button?.dataset.view) chosen.view = button.dataset.view;
    if (button === dark) dark.setAttribute("aria-pressed", dark.getAttribute("aria-pressed") !== "true");
    follow();
  });
  turn.addEventListener("click", ({ target }) => {
    const button = target.closest("[data-turn]");
    if (!button) return;
    chosen.card += Number(button.dataset.turn);
    arrange();
    if (button.disabled) turn.querySelector("[data-turn]:not(:disabled)")?.focus();
  });
  // The card that is written, or was moved, is the one that is seen.
  for (const type of ["focusin", "composer:card"]) {
    form.addEventListener(type, ({ target }) => {
      const card = target.closest("[data-card]");
      if (!card) return;
      Object.assign(chosen, { view: "open", card: typedCards().indexOf(card) });
      arrange();
    });
  }

  // What is shown inside the app is seen as soon as it is chosen.
  form.addEventListener("change", ({ target }) => {
    if (!target.name?.endsWith("in_app_style")) return;
    chosen.view = target.value ? "app" : "closed";
    arrange();
  });

  // As whom it is seen: the choice is not part of the draft.
  for (const type of ["input", "change"]) as.addEventListener(type, (event) => event.stopPropagation());
  form.addEventListener("htmx:afterSettle", ({ detail }) => {
    if (detail.target !== preview) return;
    if (!as.value) phones().forEach(fill);
    arrange();
  });
  form.addEventListener("composer:follow", follow);
})();
