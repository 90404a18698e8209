import { createRoot } from "react-dom/client";
import { navigate } from "wouter/use-browser-location";
import { config } from "zod";
import { App } from "./app.tsx";
import "./styles/tokens.css";
import "./styles/base.css";

// The content security policy forbids `eval`, which zod would otherwise use for speed.
config({ jitless: true });

// Views restore their own scroll position: when the browser would restore it, they are not drawn yet.
history.scrollRestoration = "manual";

// A press on a notification (`public/notifications.js`), which may be older than this page.
navigator.serviceWorker?.addEventListener("message", ({ data }: MessageEvent<{ readonly path: string }>) =>
  navigate(data.path),
);

const root = document.getElementById("page");
if (root === null) throw new Error("index.html has no #page");
createRoot(root).render(<App />);
