/**
 * Shows a notification by the service worker, for browsers that refuse the page's own notifications; a press on it opens `path`.
 * Rejects where the browser shows none at all.
 */
export async function notifyByWorker(title: string, options: NotificationOptions, path: string): Promise<void> {
  const { serviceWorker } = navigator;
  await serviceWorker.register("/notifications.js");
  const registration = await serviceWorker.ready;
  await registration.showNotification(title, { ...options, data: path });
}
