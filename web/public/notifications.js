// Shows nothing by itself and caches nothing: browsers of phones show only the notifications of a service worker.
self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(openAt(event.notification.data));
});

/** Addresses of this origin that are not the page: a shared job, the API and its documentation. */
const OTHER_PATHS = /^\/(shared|api)\//;

/** Leads the page's window that was used last to the path; opens one where there is none. */
async function openAt(path) {
  const windows = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  const page = windows.find(({ url }) => !OTHER_PATHS.test(new URL(url).pathname));
  if (page === undefined) return self.clients.openWindow(path);
  // Each window of the page listens from its start.
  page.postMessage({ path });
  // A browser may refuse it; the window is at the path all the same.
  return page.focus().catch(() => undefined);
}
