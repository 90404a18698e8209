import { type ComponentProps, useEffect } from "react";
import { paths } from "../schemas/paths.ts";
import { useLateView } from "./components/late-dialog.ts";
import { LiveRegion, NoticeBoard } from "./components/notice-board.tsx";
import { access, checkAccess } from "./data/access.ts";
import { useStore } from "./data/store.ts";
import { Broken } from "./views/broken.tsx";
import type Shut from "./views/gate.tsx";
import { Unreachable } from "./views/gate-card.tsx";
import { Room } from "./views/room.tsx";

/** The page: the reason why it cannot be used, else the room with all views. */
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

/** A job shown by its share link, without a session. */
function LateShared() {
  const Shared = useLateView(loadShared);
  return Shared === null ? null : <Shared />;
}

const loadShut = () => import("./views/gate.tsx");

/** The code of a shut gate is loaded when the gate is shut. */
function LateShut(props: ComponentProps<typeof Shut>) {
  const View = useLateView(loadShut);
  return View === null ? null : <View {...props} />;
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
    case "signed_out":
      return <LateShut kind={gate.kind} health={gate.health} />;
    case "open":
      return <Room withSession={gate.health.authMode === "token"} />;
  }
}
