// The steps of a scenario: moved by dragging their grip, by their buttons, or by Alt with an
// arrow; what was done is said to screen readers, and what is not saved is not left by mistake.
(() => {
  const form = document.getElementById("scenario-form");
  if (!form) return;
  const list = document.getElementById("scenario-steps");
  const said = document.getElementById("scenario-said");
  const most = Number(form.dataset.most);
  const NAMES = { PUSH: "Push", SMS: "Text message" };
  let unsaved = false;
  let made = 0; // steps that were added here
  let dragged = null;

  const steps = () => [...list.querySelectorAll("[data-step]")];
  const placeOf = (step) => steps().indexOf(step) + 1;

  function number() {
    const all = steps();
    all.forEach((step, index) => {
      const place = index + 1;
      step.querySelector("[data-place]").textContent = place;
      step.setAttribute("aria-label", `Step ${place}: ${NAMES[step.dataset.channel]}`);
      for (const button of step.querySelectorAll("[data-move], [data-remove]")) {
        const what = button.dataset.move ? `Move step ${place} ${button.dataset.move}` : `Remove step ${place}`;
        button.querySelector("[data-said]").textContent = what;
        button.disabled = button.dataset.move === "up" ? !index : button.dataset.move === "down" ? place === all.length : false;
      }
    });
    const full = all.length >= most;
    for (const button of form.querySelectorAll("[data-add]")) button.disabled = full;
    document.getElementById("scenario-full").hidden = !full;
  }

  function tell(text) {
    said.textContent = text;
    unsaved = true;
    number();
  }

  function move(step, way) {
    const other = way === "up" ? step.previousElementSibling : step.nextElementSibling;
    if (!other) return;
    if (way === "up") other.before(step);
    else other.after(step);
    tell(`${NAMES[step.dataset.channel]} is step ${placeOf(step)} of ${steps().length} now.`);
  }

  function add(channel) {
    const blank = form.querySelector(`template[data-blank="${channel}"]`);
    made += 1;
    const holder = document.createElement("ol");
    holder.innerHTML = blank.innerHTML.replaceAll("-new", `-new${made}`).replace('value="new"', `value="new${made}"`);
    const step = holder.firstElementChild;
    list.append(step);
    tell(`${NAMES[channel]} is step ${placeOf(step)} now.`);
    step.querySelector("input:not([type=hidden])").focus();
  }

  function remove(step) {
    const next = step.nextElementSibling || step.previousElementSibling;
    const place = placeOf(step);
    step.remove();
    tell(`Step ${place} is removed.`);
    (next?.querySelector("[data-remove]") || form.querySelector("[data-add]")).focus();
  }

  form.addEventListener("click", ({ target }) => {
    const button = target.closest("button");
    const step = button?.closest("[data-step]");
    if (button?.dataset.add) add(button.dataset.add);
    else if (step && button.dataset.remove !== undefined) remove(step);
    else if (step && button.dataset.move) {
      move(step, button.dataset.move);
      // at an end of the list its button is switched off: the keyboard goes on at the other
      (button.disabled ? step.querySelector("[data-move]:not(:disabled)") : button)?.focus();
    }
  });
  form.addEventListener("keydown", (event) => {
    const step = event.target.closest("[data-step]");
    if (!step || !event.altKey || (event.key !== "ArrowUp" && event.key !== "ArrowDown")) return;
    event.preventDefault();
    const focused = event.target;
    move(step, event.key === "ArrowUp" ? "up" : "down");
    (focused.disabled ? step.querySelector("[data-move]:not(:disabled)") : focused)?.focus();
  });

  // With the mouse, a finger or a pen: the step follows the pointer from place to place.
  list.addEventListener("pointerdown", (event) => {
    const grip = event.target.closest("[data-grip]");
    if (!grip || event.button) return;
    event.preventDefault();
    dragged = grip.closest("[data-step]");
    dragged.classList.add("is-dragged");
    list.setPointerCapture(event.pointerId);
  });
  list.addEventListener("pointermove", (event) => {
    if (!dragged) return;
    const over = steps().find((step) => {
      const box = step.getBoundingClientRect();
      return step !== dragged && event.clientY > box.top && event.clientY < box.bottom;
    });
    if (!over) return;
    const box = over.getBoundingClientRect();
    const below = event.clientY > box.top + box.height / 2;
    const after = placeOf(over) > placeOf(dragged);
    if (after && below) over.after(dragged);
    else if (!after && !below) over.before(dragged);
  });
  function drop() {
    if (!dragged) return;
    dragged.classList.remove("is-dragged");
    tell(`${NAMES[dragged.dataset.channel]} is step ${placeOf(dragged)} of ${steps().length} now.`);
    dragged = null;
  }
  list.addEventListener("pointerup", drop);
  list.addEventListener("pointercancel", drop);

  form.addEventListener("input", () => { unsaved = true; });
  form.addEventListener("submit", () => { unsaved = false; });
  addEventListener("beforeunload", (event) => { if (unsaved) event.preventDefault(); });
  number();
  form.dataset.ready = "";
})();
