// The cards of a carousel or a slider: added, removed, moved by dragging their grip, by their
// buttons, or by Alt with an arrow. Their order is kept in one field, so it is saved like any.
(() => {
  const form = document.getElementById("composer");
  if (!form) return;
  let dragged = null;

  const editorOf = (element) => element.closest("[data-cards]");
  const cardsOf = (editor) => [...editor.querySelectorAll("[data-card]")];
  const nameOf = (card) => card.querySelector("[name$=-headline]").value.trim() || "The card";

  function number(editor) {
    const cards = cardsOf(editor);
    const most = Number(editor.dataset.most);
    cards.forEach((card, index) => {
      const place = index + 1;
      card.querySelector("[data-place]").textContent = place;
      card.querySelector("[data-card-title]").textContent = card.querySelector("[name$=-headline]").value.trim();
      card.setAttribute("aria-label", `Card ${place}`);
      for (const button of card.querySelectorAll("[data-move-card], [data-remove-card]")) {
        const way = button.dataset.moveCard;
        button.querySelector("[data-said]").textContent = way ? `Move card ${place} ${way}` : `Remove card ${place}`;
        button.disabled = way === "up" ? index === 0 : way === "down" ? place === cards.length : false;
      }
    });
    editor.querySelector("[data-add-card]").disabled = cards.length >= most;
    editor.querySelector("[data-card-count]").textContent = cards.length < most ? `${cards.length} of at most ${most}` : `${most} cards: there can be no more`;
  }

  function changed(editor, text) {
    const order = editor.querySelector("[data-order]");
    order.value = cardsOf(editor).map((card) => card.dataset.card).join(",");
    editor.querySelector("[data-card-said]").textContent = text;
    number(editor);
    order.dispatchEvent(new Event("input", { bubbles: true }));
  }

  const placed = (card) => `${nameOf(card)} is number ${cardsOf(editorOf(card)).indexOf(card) + 1} of ${cardsOf(editorOf(card)).length} now.`;

  function move(card, way) {
    const other = way === "up" ? card.previousElementSibling : card.nextElementSibling;
    if (!other) return;
    if (way === "up") other.before(card);
    else other.after(card);
    changed(editorOf(card), placed(card));
    card.dispatchEvent(new Event("composer:card", { bubbles: true }));
  }

  function add(editor) {
    const keys = cardsOf(editor).map((card) => Number(card.dataset.card));
    const used = Number(editor.dataset.highest || 0); // a removed card's key is not taken again
    const key = Math.max(used, 0, ...keys) + 1;
    editor.dataset.highest = key;
    const holder = document.createElement("ol");
    holder.innerHTML = editor.querySelector("[data-blank-card]").innerHTML.replaceAll("__key__", key);
    const card = holder.firstElementChild;
    editor.querySelector("[data-card-list]").append(card);
    changed(editor, `Card ${cardsOf(editor).length} is added.`);
    card.querySelector("input").focus();
  }

  function remove(card) {
    const editor = editorOf(card);
    const place = cardsOf(editor).indexOf(card) + 1;
    editor.dataset.highest = Math.max(Number(editor.dataset.highest || 0), Number(card.dataset.card));
    const next = card.nextElementSibling || card.previousElementSibling;
    card.remove();
    changed(editor, `Card ${place} is removed.`);
    (next?.querySelector("[data-remove-card]") || editor.querySelector("[data-add-card]")).focus();
  }

  form.addEventListener("click", ({ target }) => {
    const button = target.closest("button");
    const card = button?.closest("[data-card]");
    if (button?.dataset.addCard !== undefined) add(editorOf(button));
    else if (card && button.dataset.removeCard !== undefined) remove(card);
    else if (card && button.dataset.moveCard) {
      move(card, button.dataset.moveCard);
      // at an end of the list its button is switched off: the keyboard goes on at the other
      (button.disabled ? card.querySelector("[data-move-card]:not(:disabled)") : button)?.focus();
    }
  });
  form.addEventListener("keydown", (event) => {
    const card = event.target.closest("[data-card]");
    if (!card || !event.altKey || (event.key !== "ArrowUp" && event.key !== "ArrowDown")) return;
    event.preventDefault();
    const focused = event.target;
    move(card, event.key === "ArrowUp" ? "up" : "down");
    (focused.disabled ? card.querySelector("[data-move-card]:not(:disabled)") : focused)?.focus();
  });

  // With the mouse, a finger or a pen: the card follows the pointer from place to place.
  form.addEventListener("pointerdown", (event) => {
    const grip = event.target.closest("[data-card] [data-grip]");
    if (!grip || event.button) return;
    event.preventDefault();
    dragged = grip.closest("[data-card]");
    dragged.classList.add("is-dragged");
    form.setPointerCapture(event.pointerId);
  });
  form.addEventListener("pointermove", (event) => {
    if (!dragged) return;
    const cards = cardsOf(editorOf(dragged));
    const over = cards.find((card) => {
      const box = card.getBoundingClientRect();
      return card !== dragged && event.clientY > box.top && event.clientY < box.bottom;
    });
    if (!over) return;
    const box = over.getBoundingClientRect();
    const below = event.clientY > box.top + box.height / 2;
    const after = cards.indexOf(over) > cards.indexOf(dragged);
    if (after && below) over.after(dragged);
    else if (!after && !below) over.before(dragged);
  });
  function drop() {
    if (!dragged) return;
    const card = dragged;
    dragged = null;
    card.classList.remove("is-dragged");
    changed(editorOf(card), placed(card));
    card.dispatchEvent(new Event("composer:card", { bubbles: true }));
  }
  form.addEventListener("pointerup", drop);
  form.addEventListener("pointercancel", drop);

  function look() {
    for (const editor of form.querySelectorAll("[data-cards]")) {
      const kind = editor.closest("[data-panel]").querySelector("[name$=pictures]:checked");
      editor.hidden = !kind?.value;
      number(editor);
    }
  }
  form.addEventListener("composer:follow", look);
})();
