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

  const waiting = []; // what was asked for while an answer was under way: {what, url, from}
  let busy = false;
  let trees = 0; // how many trees were asked for: a count asked before is about an older one

  const isTree = (detail) => detail.target?.id === "segment-builder";

  function note({ target }) {
    if (target.name === "q") return; // asks, and changes nothing
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

  // The keyboard goes on where the answer says, unless its user went elsewhere meanwhile.
  function focus(from) {
    const mark = document.getElementById("builder-focus");
    const target = mark?.dataset.focus && document.getElementById(mark.dataset.focus);
    if (mark) mark.dataset.focus = "";
    const now = document.activeElement;
    if (target && target !== now && (now === from || now === document.body)) target.focus();
  }

  // One action after the other, each on the form as the one before left it: a click while an
  // answer is under way is neither lost nor done on an old tree.
  async function ask(what, url = form.action) {
    // a list walked through with the arrow keys asks once more, for where it stopped
    if (/^(field|op):/.test(what) && waiting.some((one) => one.what === what)) return;
    waiting.push({ what, url, from: document.activeElement });
    if (busy) return;
    busy = true;
    while (waiting.length) {
      const { what: action, url: to, from: started } = waiting.shift();
      trees += 1;
      try {
        await htmx.ajax("POST", to, {
          source: form, target: "#segment-builder", swap: "morph:innerHTML", values: action ? { do: action } : {},
        });
        focus(started);
      } catch {
        // ui.js says that the server did not answer; what was asked for next is still asked
      }
    }
    busy = false;
  }

  form.addEventListener("input", note);
  form.addEventListener("change", note);
  // An answer knows nothing of what was typed while it was under way: that stays.
  form.addEventListener("htmx:beforeRequest", ({ detail }) => Object.assign(detail.xhr, { edits, trees }));
  form.addEventListener("htmx:beforeSwap", ({ detail }) => {
    if (!isTree(detail)) {
      if (detail.xhr.trees !== trees) detail.shouldSwap = false;
      return;
    }
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
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    unsaved = true;
    ask(event.submitter?.value);
  });
  form.addEventListener("change", ({ target }) => {
    if (target.dataset.do !== undefined) ask(target.dataset.do);
  });
  form.addEventListener("click", ({ target }) => {
    const save = target.closest("[data-save]");
    if (save) ask("", save.dataset.save);
  });
  form.addEventListener("keydown", (event) => {
    if (!event.altKey || (event.key !== "ArrowUp" && event.key !== "ArrowDown")) return;
    const node = event.target.closest("[data-node]");
    const button = node?.querySelector(`:scope > div [data-move="${event.key === "ArrowUp" ? "up" : "down"}"]`);
    if (!button) return;
    event.preventDefault();
    button.click();
  });
  // What else is told of the rule is asked again once it is another, not with each estimate.
  let counted = form.querySelector("[data-rule]")?.dataset.rule;
  form.addEventListener("htmx:afterSettle", () => {
    showFaults();
    const now = form.querySelector("[data-rule]")?.dataset.rule;
    if (now === counted) return;
    counted = now;
    htmx.trigger(form, "rule-changed");
  });
  form.addEventListener("htmx:beforeOnLoad", ({ detail }) => {
    if (!detail.xhr.getResponseHeader("HX-Redirect")) return;
    unsaved = false; // saved, and the page goes: a second click on "Save" is not sent
    waiting.length = 0;
  });
  addEventListener("beforeunload", (event) => { if (unsaved) event.preventDefault(); });
  showFaults();
  // On a slow line somebody chooses and types before this script and htmx are there.
  addEventListener("DOMContentLoaded", () => {
    for (const field of form.querySelectorAll("input, select")) {
      const asServed = field.options
        ? field.selectedIndex === Math.max([...field.options].findIndex((option) => option.defaultSelected), 0)
        : field.value === field.defaultValue && field.checked === field.defaultChecked;
      if (!asServed) field.dispatchEvent(new Event("change", { bubbles: true }));
    }
  });
})();
