// The builder of rules: faults that the server names stand beside their condition, the keyboard
// goes on where an action says, Alt with an arrow moves a condition, and what is not saved is
// not left behind by mistake. Everything else is the server's.
(() => {
  const form = document.getElementById("segment-form");
  if (!form) return;
  let unsaved = false;
  const edited = new Map(); // id of a field → number of its last edit
  let edits = 0;
  let newer = []; // what was typed after the request whose answer comes now

  const isTree = (detail) => detail.target?.id === "segment-builder";

  function note({ target }) {
    unsaved = true;
    if (target.id) edited.set(target.id, ++edits);
  }

  function showFaults() {
    const said = new Map([...form.querySelectorAll("[data-for]")].map((item) => [item.dataset.for, item.textContent]));
    for (const fault of form.querySelectorAll("[data-fault]")) {
      const text = said.get(fault.id.replace("fault-", "")) || "";
      if (fault.textContent !== text) fault.textContent = text;
      fault.hidden = !text;
      for (const input of form.querySelectorAll(`[aria-describedby="${fault.id}"]`)) {
        if (text) input.setAttribute("aria-invalid", "true");
        else input.removeAttribute("aria-invalid");
      }
    }
  }

  function focus() {
    const mark = document.getElementById("builder-focus");
    const target = mark?.dataset.focus && document.getElementById(mark.dataset.focus);
    if (mark) mark.dataset.focus = "";
    if (target && target !== document.activeElement) target.focus();
  }

  form.addEventListener("input", note);
  form.addEventListener("change", note);
  // An answer knows nothing of what was typed while it was under way: that stays.
  form.addEventListener("htmx:beforeRequest", ({ detail }) => { detail.xhr.edits = edits; });
  form.addEventListener("htmx:beforeSwap", ({ detail }) => {
    if (!isTree(detail)) return;
    newer = [...edited].filter(([, number]) => number > detail.xhr.edits).map(([id]) => document.getElementById(id)).filter(Boolean)
      .map(({ id, value, checked }) => ({ id, value, checked }));
  });
  form.addEventListener("htmx:afterSwap", ({ detail }) => {
    if (!isTree(detail)) return;
    for (const { id, value, checked } of newer) {
      const field = document.getElementById(id);
      if (field) Object.assign(field, field.type === "checkbox" ? { checked } : { value });
    }
    newer = [];
  });
  form.addEventListener("click", (event) => { if (event.target.closest("[name=do]")) unsaved = true; });
  form.addEventListener("keydown", (event) => {
    if (!event.altKey || (event.key !== "ArrowUp" && event.key !== "ArrowDown")) return;
    const node = event.target.closest("[data-node]");
    const button = node?.querySelector(`:scope > div [data-move="${event.key === "ArrowUp" ? "up" : "down"}"]`);
    if (!button) return;
    event.preventDefault();
    button.click();
  });
  form.addEventListener("htmx:afterSettle", () => {
    showFaults();
    focus();
  });
  form.addEventListener("htmx:beforeOnLoad", ({ detail }) => {
    if (detail.xhr.getResponseHeader("HX-Redirect")) unsaved = false; // saved
  });
  addEventListener("beforeunload", (event) => { if (unsaved) event.preventDefault(); });
  showFaults();
})();
