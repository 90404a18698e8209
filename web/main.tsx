import { createRoot } from "react-dom/client";
import { navigate } from "wouter/use-browser-location";
import { config } from "zod";
import { App } from "./app.tsx";
import "./styles/tokens.css";
import "./styles/base.css";

// The content security policy forbids evaluating text, which zod would otherwise try for speed.
config({ jitless: true });

// Views bring back their own place: when the browser does so, they are not drawn yet.
history.scrollRestoration = "manual";

// A press on a notification, which may be older than this page (`public/notifications.js`).
navigator.serviceWorker?.addEventListener("message", ({ data }: MessageEvent<{ readonly path: string }>) =>
  navigate(data.path),
);

const root = document.getElementById("page");
if (root === null) throw new Error("index.html has no #page");
createRoot(root).render(<App />);
