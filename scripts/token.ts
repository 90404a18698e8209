/** `npm run token -- NAME`: prints a new token for a client, and where to put it. Nothing is stored. */
import { createHash, randomBytes } from "node:crypto";

const [name, ...rest] = process.argv.slice(2);
if (name === undefined || rest.length > 0 || !/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name)) {
  console.error(
    "usage: npm run token -- NAME\nNAME is 1 to 64 letters, digits, dots, dashes or underscores; `admin` makes the operator's token.",
  );
  process.exit(2);
}

/** 256 random bits cannot be guessed, so storing one plain SHA-256 is safe. */
const token = `dr_${randomBytes(32).toString("base64url")}`;
const hash = createHash("sha256").update(token).digest("hex");
const secret = name === "admin" ? "ADMIN_TOKEN_SHA256" : "CLIENT_TOKENS";
const value = name === "admin" ? hash : JSON.stringify({ [name]: hash });

console.log(`The token, shown this once; give it to ${name === "admin" ? "the operator" : name}:

  ${token}

Its hash, for the Worker; put it with  npx wrangler secret put ${secret}  or into .dev.vars:

  ${secret}=${value}
`);
if (secret === "CLIENT_TOKENS") {
  console.log(`Other clients are kept by merging the objects. To rotate, list both hashes while clients change over:

  CLIENT_TOKENS={"${name}":["<old hash>","${hash}"]}
`);
}
