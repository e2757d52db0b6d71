// The preview of the composer follows what is typed, at once and without asking the server.
(() => {
  const form = document.getElementById("composer");
  const preview = document.getElementById("preview");
  if (!form || !preview) return;
  const app = preview.dataset.app;

  function follow() {
    const title = form.elements.title.value.trim();
    const text = form.elements.text.value.trim();
    for (const phone of preview.querySelectorAll(".phone")) {
      const ios = phone.classList.contains("is-ios");
      phone.querySelector(".push-title").textContent = title || (ios ? app : "");
      phone.querySelector(".push-text").textContent = text || "What you write appears here.";
      const picture = phone.querySelector(".push-picture");
      if (picture) picture.hidden = !form.elements.image_url.value.trim();
      const kind = ios ? "iOS lock screen" : "Android notification shade";
      phone.setAttribute("aria-label", `${kind} with the push: ${title || app}. ${text}`);
    }
    const target = form.elements.target.closest(".field");
    const chosen = form.querySelector("input[name=on_tap]:checked");
    if (target) target.hidden = !chosen || chosen.value === "app";
  }

  form.addEventListener("input", follow);
  form.addEventListener("change", follow);
  // Enter in a field does not send anything: the buttons do.
  form.addEventListener("submit", (event) => event.preventDefault());
  follow();
  // What was typed while the page still loaded is saved as well.
  window.addEventListener("load", () => {
    const early = [...form.elements].some((field) => field.type !== "hidden" && "defaultValue" in field && field.value !== field.defaultValue);
    if (early) form.dispatchEvent(new Event("input", { bubbles: true }));
  });
})();
