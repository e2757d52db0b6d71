// Lets a site's visitors subscribe to this installation's pushes.
//
//   <script src="https://push.example.com/static/sdk/pushadmin.js"
//           data-application="the application code" data-worker="/pushadmin-worker.js"></script>
//
//   button.onclick = () => pushadmin.subscribe({ customAttributes: { plan: "gold" } });
//
// pushadmin.state()        "unsupported", "blocked", "subscribed" or "possible"
// pushadmin.subscribe({…}) asks for permission, from a click; gives the registration id, or throws
//                          an Error whose message says why not. Members: docs/web-push.md
// pushadmin.unsubscribe()  takes the subscription away
//
// Whoever is subscribed is registered again once a day, so that language and time zone are fresh.
(() => {
  "use strict";

  const { src, dataset } = document.currentScript;
  const url = src.replace(/\/static\/sdk\/.*$/, "");
  const { application, worker } = dataset;
  const KEPT = `pushadmin ${application}`; // the cache that page and worker share
  const DAY = 86_400_000; // milliseconds
  const SUPPORTED = "serviceWorker" in navigator && "PushManager" in window && "Notification" in window;

  const BROWSERS = [["Edg", "Edge"], ["OPR", "Opera"], ["Firefox"], ["Chrome"], ["Safari"]];
  const SYSTEMS = [["Android"], ["iPhone", "iOS"], ["iPad", "iPadOS"], ["Windows"], ["Mac OS X", "macOS"],
    ["CrOS", "ChromeOS"], ["Linux"]];

  function named(table) {
    const [word, name = word] = table.find(([word]) => navigator.userAgent.includes(word)) || [""];
    return name;
  }

  function about() {
    return {
      language: navigator.language,
      timezoneOffset: -new Date().getTimezoneOffset(),
      browser: named(BROWSERS),
      os: named(SYSTEMS),
    };
  }

  async function call(body, registrationId) {
    const headers = { authorization: `App ${application}`, "content-type": "application/json" };
    if (registrationId) headers.pushregistrationid = registrationId;
    const method = body ? "POST" : "GET";
    const answer = await fetch(`${url}/sdk/1/subscriptions`, {
      method, headers, body: body && JSON.stringify(body),
    });
    const told = await answer.json();
    if (!answer.ok) throw new Error(told.error.message);
    return told;
  }

  async function known() {
    const kept = await (await caches.open(KEPT)).match("/registration");
    if (!kept) return { id: "", at: 0 };
    return { id: await kept.text(), at: Number(kept.headers.get("x-registered-at")) };
  }

  async function subscription() {
    const registration = await navigator.serviceWorker.getRegistration(worker);
    return registration ? registration.pushManager.getSubscription() : null;
  }

  async function register(subscribed, said) {
    const { id } = await known();
    const body = { ...about(), ...said, subscription: subscribed.toJSON() };
    const { registrationId } = await call(body, id);
    const headers = { "x-registered-at": String(Date.now()) };
    const store = await caches.open(KEPT);
    await store.put("/registration", new Response(registrationId, { headers }));
    return registrationId;
  }

  const packed = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer)))
      .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

  async function subscribe(said = {}) {
    if (!SUPPORTED) throw new Error("This browser cannot receive pushes.");
    const permission = await Notification.requestPermission();
    if (permission !== "granted") throw new Error("Notifications are not allowed for this site.");
    const { publicKey } = await call();
    await navigator.serviceWorker.register(worker);
    const { pushManager } = await navigator.serviceWorker.ready;
    let found = await pushManager.getSubscription();
    // A subscription belongs to its key for life: one that was made with another is of no use.
    if (found && packed(found.options.applicationServerKey) !== publicKey) {
      await found.unsubscribe();
      found = null;
    }
    const options = { userVisibleOnly: true, applicationServerKey: publicKey };
    return register(found || (await pushManager.subscribe(options)), said);
  }

  async function unsubscribe() {
    const found = SUPPORTED && (await subscription());
    if (found) await found.unsubscribe();
    const { id } = await known();
    if (id) await call({ subscription: null }, id);
    await caches.delete(KEPT);
  }

  async function state() {
    if (!SUPPORTED) return "unsupported";
    if (Notification.permission === "denied") return "blocked";
    return (await subscription()) ? "subscribed" : "possible";
  }

  async function refresh() {
    if (!SUPPORTED || Notification.permission !== "granted") return;
    const found = await subscription();
    if (found && Date.now() - (await known()).at > DAY) await register(found, {});
  }

  window.pushadmin = { subscribe, unsubscribe, state };
  refresh().catch(() => {}); // tomorrow, then
})();
