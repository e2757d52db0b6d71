// Pictures: beside each address stands what it is, and what would keep a device from showing it.
// The server loads them, one after the other; what is typed over meanwhile is not waited for.
(() => {
  const form = document.getElementById("composer");
  const address = form?.dataset.pictureCheck;
  if (!address) return;
  const QUIET = 600; // milliseconds without typing
  const BUSY = 2500;
  let timer;
  let running = null; // {input, url, stop}

  const typed = (input) => input.value.trim();
  const inputs = () => [...form.querySelectorAll("[data-panel]:not([hidden]) [name$=image_url]")].filter((input) => !input.closest("[hidden]"));

  function place(input) {
    const field = input.closest(".field");
    const known = field.querySelector(".picture-check");
    if (known) return known;
    const made = Object.assign(document.createElement("div"), { className: "picture-check" });
    made.setAttribute("role", "status");
    input.after(made);
    return made;
  }

  function look() {
    clearTimeout(timer);
    for (const input of inputs()) {
      const box = place(input);
      if (box.dataset.of !== undefined && box.dataset.of !== typed(input)) {
        box.replaceChildren(); // it was of another address
        delete box.dataset.of;
      }
    }
    if (running && (typed(running.input) !== running.url || !running.input.isConnected)) running.stop.abort();
    timer = setTimeout(next, QUIET);
  }

  function next() {
    if (running) return;
    const input = inputs().find((each) => /^https?:\/\/\S+$/.test(typed(each)) && place(each).dataset.of === undefined);
    if (input) check(input);
  }

  async function check(input, again = false) {
    const [box, url, stop] = [place(input), typed(input), new AbortController()];
    running = { input, url, stop };
    box.dataset.of = url;
    box.innerHTML = '<p class="picture-facts"><span>Looking at the picture…</span></p>';
    const asked = new URLSearchParams({ url });
    if (input.closest("[data-card]")) asked.set("card", "1");
    if (again) asked.set("again", "1");
    let wait = 0;
    try {
      const headers = { "X-CSRFToken": form.elements.csrfmiddlewaretoken.value };
      const answer = await fetch(address, { method: "POST", headers, body: asked, signal: stop.signal });
      const html = await answer.text();
      if (answer.status === 503) wait = BUSY;
      if (typed(input) === url) box.innerHTML = answer.ok && !answer.redirected ? html : "";
    } catch {
      box.replaceChildren(); // typed over, or the server is away: it is asked again with the next change
    }
    running = null;
    if (wait || stop.signal.aborted || typed(input) !== url) delete box.dataset.of;
    timer = setTimeout(next, wait || (stop.signal.aborted ? QUIET : 0));
  }

  form.addEventListener("click", ({ target }) => {
    const button = target.closest("[data-check-again]");
    if (!button || running) return;
    const input = button.closest(".field").querySelector("input");
    input.focus(); // the button goes
    check(input, true);
  });
  form.addEventListener("composer:follow", look);
})();
