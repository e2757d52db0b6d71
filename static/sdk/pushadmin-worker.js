// The service worker that shows this installation's pushes and reports what became of them.
//
// A worker must come from the site itself, so the site keeps a file of its own, for example
// /pushadmin-worker.js:
//
//   self.pushadmin = {
//     url: "https://push.example.com",    // this installation
//     application: "…",                   // the application code
//     icon: "/icon-192.png",              // the rest is optional
//     badge: "/badge-72.png",
//     categories: { review: [{ action: "rate", title: "Rate it", url: "/rate" }] },
//   };
//   importScripts("https://push.example.com/static/sdk/pushadmin-worker.js");
//
// A page that is open when somebody touches a notification gets a message
// { pushadmin: { action, data } }. What `data` holds: docs/web-push.md.
(() => {
  "use strict";

  const { url, application, icon, badge, categories = {} } = self.pushadmin;
  const KEPT = `pushadmin ${application}`; // the cache that page and worker share
  const MOST_EVENTS = 100; // of one call
  const AGAIN = [408, 429]; // of the answers below 500, those worth another try

  // ------------------------------------------------------------------- showing

  // A browser takes the permission away from sites that show nothing, so everything is shown.
  function read(data) {
    const text = data ? data.text() : "";
    try {
      const said = JSON.parse(text);
      return said && typeof said === "object" ? said : { body: text };
    } catch {
      return { body: text };
    }
  }

  async function show(said) {
    const { title, ...options } = said;
    const data = options.data || {};
    const buttons = options.actions || categories[data.category] || [];
    await self.registration.showNotification(title || self.location.hostname, {
      ...(icon && { icon }),
      ...(badge && { badge }),
      ...options,
      data,
      actions: buttons.map(({ action, title, icon }) => ({ action, title, ...(icon && { icon }) })),
    });
    await Promise.allSettled([mark(data.badge), report(data.messageId, "delivered")]);
  }

  async function mark(number) {
    if (typeof number !== "number" || !navigator.setAppBadge) return;
    await (number > 0 ? navigator.setAppBadge(number) : navigator.clearAppBadge());
  }

  // ------------------------------------------------------------------- opening

  // Where a touch leads: deep links of apps mean nothing to a browser, so they lead to the site.
  function address(given) {
    const site = self.registration.scope;
    try {
      const found = new URL(given || site, site);
      return /^https?:$/.test(found.protocol) ? found.href : site;
    } catch {
      return site;
    }
  }

  async function open(notification, action) {
    const data = notification.data || {};
    const button = (categories[data.category] || []).find((one) => one.action === action);
    const target = address((button && button.url) || data.url);
    const windows = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
    const there = windows.find((one) => one.url === target);
    const page = there ? await there.focus() : await self.clients.openWindow(target);
    if (page) page.postMessage({ pushadmin: { action, data } });
  }

  // ------------------------------------------------------------------- reporting

  async function call(path, body) {
    const store = await caches.open(KEPT);
    const registration = await store.match("/registration");
    const headers = { authorization: `App ${application}`, "content-type": "application/json" };
    if (registration) headers.pushregistrationid = await registration.text();
    const method = body ? "POST" : "GET";
    return fetch(`${url}/sdk/1/${path}`, { method, headers, body: body && JSON.stringify(body) });
  }

  // Keep it first: without a network it is told with the next one.
  async function report(id, kind) {
    if (!id) return;
    const store = await caches.open(KEPT);
    const event = { id, kind, at: Date.now() };
    await store.put(`/receipts/${kind}/${id}`, new Response(JSON.stringify(event)));
    await tell(store);
  }

  async function tell(store) {
    const isReceipt = (key) => new URL(key.url).pathname.startsWith("/receipts/");
    const keys = (await store.keys()).filter(isReceipt);
    const forgotten = keys.splice(0, Math.max(0, keys.length - MOST_EVENTS));
    const kept = await Promise.all(keys.map(async (key) => (await store.match(key))?.json()));
    const now = Date.now();
    const events = kept
      .filter(Boolean)
      .map(({ id, kind, at }) => ({ id, kind, ago_ms: Math.max(0, now - at) }));
    const { ok, status } = await call("receipts", { events });
    const isDone = ok || (status < 500 && !AGAIN.includes(status));
    await Promise.all([...forgotten, ...(isDone ? keys : [])].map((key) => store.delete(key)));
  }

  // ------------------------------------------------------------------- subscribing anew

  async function renew({ oldSubscription, newSubscription }) {
    let subscription = newSubscription;
    if (!subscription) {
      const { publicKey } = await (await call("subscriptions")).json();
      const applicationServerKey = oldSubscription?.options.applicationServerKey || publicKey;
      const options = { userVisibleOnly: true, applicationServerKey };
      subscription = await self.registration.pushManager.subscribe(options);
    }
    await call("subscriptions", { subscription: subscription.toJSON() });
  }

  self.addEventListener("push", (event) => event.waitUntil(show(read(event.data))));
  self.addEventListener("notificationclick", (event) => {
    const { notification, action } = event;
    notification.close();
    const id = notification.data && notification.data.messageId;
    event.waitUntil(Promise.allSettled([open(notification, action), report(id, "opened")]));
  });
  self.addEventListener("notificationclose", (event) => {
    const { data } = event.notification;
    event.waitUntil(Promise.allSettled([report(data && data.messageId, "dismissed")]));
  });
  self.addEventListener("pushsubscriptionchange", (event) => event.waitUntil(renew(event)));
})();
