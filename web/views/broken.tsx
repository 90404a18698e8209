import { Component, type ReactNode } from "react";
import { Button } from "../components/button.tsx";
import message from "./message.module.css";
import room from "./room.module.css";

interface BrokenProps {
  readonly children: ReactNode;
}

/** Around the whole page: when a part of it cannot be drawn, shows a message and a button instead of an empty window. */
export class Broken extends Component<BrokenProps, { readonly isBroken: boolean }> {
  override state = { isBroken: false };

  static getDerivedStateFromError() {
    return { isBroken: true };
  }

  override render() {
    if (!this.state.isBroken) return this.props.children;
    return (
      <main className={room.content}>
        <div className={message.message} role="alert">
          <h1>The page is broken</h1>
          <p>Something on it could not be drawn. Jobs go on without it; load the page again to see them.</p>
          <Button look="main" onClick={() => location.reload()}>
            Load the page again
          </Button>
        </div>
      </main>
    );
  }
}
