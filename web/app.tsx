import { useEffect } from "react";
import { paths } from "../schemas/paths.ts";
import { useLateView } from "./components/late-dialog.ts";
import { LiveRegion, NoticeBoard } from "./components/notice-board.tsx";
import { access, checkAccess } from "./data/access.ts";
import { useStore } from "./data/store.ts";
import { Broken } from "./views/broken.tsx";
import { Misconfigured, SignIn, Unreachable } from "./views/gate.tsx";
import { Room } from "./views/room.tsx";

/** The page: what is in the way of using it, else the room with all views. */
export function App() {
  const isShared = location.pathname.startsWith(SHARED_PATH);
  return (
    <Broken>
      {isShared ? <LateShared /> : <Gate />}
      <NoticeBoard />
      <LiveRegion />
    </Broken>
  );
}

const SHARED_PATH = paths.sharedPage("");

const loadShared = () => import("./views/shared.tsx");

/** A job shown by its share link: no session is needed. */
function LateShared() {
  const Shared = useLateView(loadShared);
  return Shared === null ? null : <Shared />;
}

function Gate() {
  useEffect(() => void checkAccess(), []);
  const gate = useStore(access);
  switch (gate.kind) {
    case "asking":
      return null;
    case "unreachable":
      return <Unreachable />;
    case "misconfigured":
      return <Misconfigured health={gate.health} />;
    case "signed_out":
      return <SignIn />;
    case "open":
      return <Room withSession={gate.health.authMode === "token"} />;
  }
}
