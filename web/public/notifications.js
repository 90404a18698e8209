// Browsers of phones show only notifications of a service worker. This one shows none by itself and caches nothing.
self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(openAt(event.notification.data));
});

/** Addresses of this origin that are not the page: a shared job, the API and its documentation. */
const OTHER_PATHS = /^\/(shared|api)\//;

/** Opens the path in the window of the page that was used last, or in a new window if there is none. */
async function openAt(path) {
  const windows = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  const page = windows.find(({ url }) => !OTHER_PATHS.test(new URL(url).pathname));
  if (page === undefined) return self.clients.openWindow(path);
  // Each window of the page listens for this message from its start.
  page.postMessage({ path });
  // A browser may refuse the focus. The window shows the path in any case.
  return page.focus().catch(() => undefined);
}
