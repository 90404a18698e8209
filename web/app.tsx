import { useEffect } from "react";
import { LiveRegion, NoticeBoard } from "./components/notice-board.tsx";
import { access, checkAccess } from "./data/access.ts";
import { useStore } from "./data/store.ts";
import { Broken } from "./views/broken.tsx";
import { Misconfigured, SignIn, Unreachable } from "./views/gate.tsx";
import { Room } from "./views/room.tsx";

/** The page: what is in the way of using it, else the room with all views. */
export function App() {
  return (
    <Broken>
      <Gate />
      <NoticeBoard />
      <LiveRegion />
    </Broken>
  );
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
