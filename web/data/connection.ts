import type { ConnectionState } from "../../client/follow.ts";
import { worstConnection } from "../state/connection.ts";
import { feedState } from "./live-feed.ts";
import { createStore } from "./store.ts";

/** How the connection of the job that is looked at fares; live when none is. */
export const watchedState = createStore<ConnectionState>("live");

/** What the lamp tells: the page is only as fresh as the worse of its connections. */
export const connection = createStore<ConnectionState>("connecting");

function update(): void {
  connection.set(worstConnection([feedState.get(), watchedState.get()]));
}
feedState.subscribe(update);
watchedState.subscribe(update);
