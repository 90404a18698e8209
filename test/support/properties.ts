/** The long form multiplies the number of cases of a property's usual run by this. */
const LONG = 100;

// Tests of every project import this, also those without Node's types.
const { process } = globalThis as { process?: { readonly env: Readonly<Record<string, string | undefined>> } };

/**
 * Parameters of `fc.assert`: a property is tried with `usual` cases, and with a hundred times as many when the environment has
 * `PROPERTIES=long`.
 */
export function cases(usual = 100): { readonly numRuns: number } {
  return { numRuns: process?.env.PROPERTIES === "long" ? usual * LONG : usual };
}
