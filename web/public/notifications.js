// Shows nothing by itself and caches nothing: browsers of phones show only the notifications of a service worker.
self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(openAt(event.notification.data));
});

/** Leads a window of the page to the path; opens one where there is none. */
async function openAt(path) {
  const [page] = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  if (page === undefined) return self.clients.openWindow(path);
  page.postMessage({ path });
  // A browser may refuse it; the window is at the path all the same.
  return page.focus().catch(() => undefined);
}
