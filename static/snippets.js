// Snippets: from the menu beside a title or a text they go to where its cursor stands.
(() => {
  const form = document.getElementById("composer");
  const choices = document.getElementById("snippet-choices");
  if (!form || !choices) return;
  const visited = new WeakSet(); // fields that have a cursor somebody placed

  const menuOf = (target) => target.closest?.("[data-snippets-for]");

  // A menu is filled when it is about to be opened: there may be hundreds of fields.
  for (const type of ["focusin", "pointerover"]) {
    form.addEventListener(type, ({ target }) => {
      const panel = menuOf(target)?.querySelector(".menu-panel");
      if (panel && !panel.childElementCount) panel.append(choices.content.cloneNode(true));
      if (type === "focusin" && target.matches("input, textarea")) visited.add(target);
    });
  }

  form.addEventListener("click", ({ target }) => {
    const choice = target.closest("[data-snippet]");
    if (!choice) return;
    const menu = menuOf(choice);
    menu.open = false;
    insert(document.getElementById(menu.dataset.snippetsFor), choice.dataset.snippet);
  });

  function insert(field, text) {
    const said = field.tagName === "TEXTAREA" ? text : text.replace(/\s*\n\s*/g, " ");
    const end = field.value.length;
    const [from, to] = visited.has(field) ? [field.selectionStart, field.selectionEnd] : [end, end];
    field.focus();
    field.setSelectionRange(from, to);
    if (field.maxLength > 0 && end - (to - from) + said.length > field.maxLength) {
      window.pushadmin.toast(`It does not fit: at most ${field.maxLength} characters stand here.`, "warning");
      return;
    }
    // As if somebody typed it, so that the browser's own undo takes it back.
    if (document.execCommand("insertText", false, said)) return;
    field.setRangeText(said, from, to, "end");
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }
})();
