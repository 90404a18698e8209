import { useEffect } from "react";
import { LiveRegion, NoticeBoard } from "./components/notice-board.tsx";
import { access, checkAccess } from "./data/access.ts";
import { useStore } from "./data/store.ts";
import { Broken } from "./views/broken.tsx";
import { Misconfigured, SignIn, Unreachable } from "./views/gate.tsx";
import { Room } from "./views/room.tsx";

/** The page: a gate when something stands in the way, else the room. */
export function App() {
  useEffect(() => void checkAccess(), []);
  return (
    <Broken>
      <Gate />
      <NoticeBoard />
      <LiveRegion />
    </Broken>
  );
}

function Gate() {
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
