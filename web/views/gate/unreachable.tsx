import { Button } from "../../components/button.tsx";
import { checkAccess } from "../../data/access.ts";
import { useGateAgain } from "./again.ts";
import { GateCard } from "./gate.tsx";

export function Unreachable() {
  useGateAgain();
  return (
    <GateCard title="The server cannot be reached">
      <p>
        The page is here, but its server does not answer. It is asked again every few seconds; jobs lose nothing
        meanwhile.
      </p>
      <Button onClick={() => void checkAccess()}>Ask now</Button>
    </GateCard>
  );
}
