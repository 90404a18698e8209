/** A model's name may hold anything but this; a host never does. */
const SEPARATOR = "|";

/** The name of the lane object of an upstream host and a model: two deployments of one region share nothing else. */
export function laneName(config: { readonly upstreamHost: string }, model: string): string {
  return `${config.upstreamHost}${SEPARATOR}${model}`;
}

/** The model of a lane's name; `null` when the name is not one of `laneName`'s. */
export function laneModel(name: string): string | null {
  const at = name.indexOf(SEPARATOR);
  return at <= 0 || at === name.length - 1 ? null : name.slice(at + 1);
}
