/**
 * Shows a notification by way of the service worker, for browsers that refuse a page's own; a press on it leads to `path`.
 * Rejects where the browser shows none at all.
 */
export async function notifyByWorker(title: string, options: NotificationOptions, path: string): Promise<void> {
  const { serviceWorker } = navigator;
  await serviceWorker.register("/notifications.js");
  const registration = await serviceWorker.ready;
  await registration.showNotification(title, { ...options, data: path });
}
