// Whether the page must load again, so that the service worker isolates it.

/** Registers it where the host does not send the headers. True where the page loads again now. */
export async function isolate(about) {
  if (self.crossOriginIsolated || about.served || self !== self.top || !navigator.serviceWorker) return false;
  if (navigator.serviceWorker.controller) return false; // it is there already, and this browser does not heed it
  try {
    await navigator.serviceWorker.register("isolation.js");
    await navigator.serviceWorker.ready;
    if (!navigator.serviceWorker.controller) {
      await new Promise((resolve) => navigator.serviceWorker.addEventListener("controllerchange", resolve, { once: true }));
    }
  } catch {
    return false; // one thread, then
  }
  location.reload();
  return true;
}
