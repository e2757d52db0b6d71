// The theme somebody chose, else the system's (pushadmin.css). A cookie tells the server, which
// writes it into the page: nothing has to run before the first paint, and no page flashes.
(() => {
  const chosen = () => localStorage.getItem("theme") || "system";
  const apply = () => {
    const theme = chosen();
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    const kept = theme === "system" ? "theme=; max-age=0" : `theme=${theme}; max-age=31536000`;
    document.cookie = `${kept}; path=/; samesite=lax`;
  };
  apply();

  const mark = () => {
    for (const button of document.querySelectorAll("[data-choose-theme]")) {
      button.setAttribute("aria-pressed", String(button.dataset.chooseTheme === chosen()));
    }
  };
  const announce = () => document.dispatchEvent(new CustomEvent("theme"));
  mark();
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-choose-theme]");
    if (!button) return;
    localStorage.setItem("theme", button.dataset.chooseTheme);
    apply();
    mark();
    announce();
  });
  addEventListener("storage", () => { apply(); mark(); announce(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", announce);
})();
