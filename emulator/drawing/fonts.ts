import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { inflateSync } from "node:zlib";

const WOFF_HEAD_BYTES = 44;
const WOFF_ENTRY_BYTES = 20;
const SFNT_HEAD_BYTES = 12;
const SFNT_ENTRY_BYTES = 16;

/** The TrueType font inside a WOFF file: the text renderer accepts no compressed fonts. Throws for other files. */
export function unpackWoff(woff: Buffer): Buffer {
  if (woff.toString("latin1", 0, 4) !== "wOFF") throw new Error("unpackWoff: not a WOFF file");
  const count = woff.readUInt16BE(12);
  const power = 2 ** Math.floor(Math.log2(count));
  const head = Buffer.alloc(SFNT_HEAD_BYTES + SFNT_ENTRY_BYTES * count);
  woff.copy(head, 0, 4, 8);
  head.writeUInt16BE(count, 4);
  head.writeUInt16BE(power * 16, 6);
  head.writeUInt16BE(Math.log2(power), 8);
  head.writeUInt16BE((count - power) * 16, 10);
  const tables: Buffer[] = [];
  let offset = head.length;
  for (let index = 0; index < count; index++) {
    const from = WOFF_HEAD_BYTES + WOFF_ENTRY_BYTES * index;
    const to = SFNT_HEAD_BYTES + SFNT_ENTRY_BYTES * index;
    const start = woff.readUInt32BE(from + 4);
    const packedBytes = woff.readUInt32BE(from + 8);
    const bytes = woff.readUInt32BE(from + 12);
    const packed = woff.subarray(start, start + packedBytes);
    const table = packedBytes < bytes ? inflateSync(packed) : packed;
    woff.copy(head, to, from, from + 4);
    head.writeUInt32BE(woff.readUInt32BE(from + 16), to + 4);
    head.writeUInt32BE(offset, to + 8);
    head.writeUInt32BE(bytes, to + 12);
    const padded = Buffer.alloc(Math.ceil(bytes / 4) * 4);
    table.copy(padded);
    tables.push(padded);
    offset += padded.length;
  }
  return Buffer.concat([head, ...tables]);
}

function configXml(folder: string): string {
  // On Windows fontconfig itself resolves this name.
  const windows = process.platform === "win32" ? ["WINDOWSFONTDIR"] : [];
  const system = ["/usr/share/fonts", "/usr/local/share/fonts", "/System/Library/Fonts", "/Library/Fonts", ...windows];
  return `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
${system.map((dir) => `<dir>${dir}</dir>`).join("\n")}
<dir prefix="xdg">fonts</dir>
<dir>${folder}</dir>
<cachedir>${join(folder, "cache")}</cachedir>
</fontconfig>
`;
}

/** Another process may write the same file at the same time. Each writes its own file, and the last rename wins. */
function writeWhole(file: string, content: Buffer | string): void {
  const own = `${file}.${process.pid}`;
  writeFileSync(own, content);
  renameSync(own, file);
}

/**
 * Gives the text renderer a font for every script, after the machine's own fonts, so that a prompt is readable where no fonts
 * are installed. Call it before anything is drawn. When the folder cannot be written, only the machine's fonts are used.
 */
export function installFonts(): void {
  if (process.env.FONTCONFIG_FILE !== undefined) return;
  try {
    const source = createRequire(import.meta.url).resolve(
      "@fontsource/unifontex/files/unifontex-latin-400-normal.woff",
    );
    const folder = join(dirname(fileURLToPath(import.meta.url)), "../../node_modules/.cache/darkroom-fonts");
    mkdirSync(join(folder, "cache"), { recursive: true });
    const font = join(folder, "unifontex.ttf");
    if (!existsSync(font)) writeWhole(font, unpackWoff(readFileSync(source)));
    const config = join(folder, "fonts.conf");
    writeWhole(config, configXml(folder));
    process.env.FONTCONFIG_FILE = config;
  } catch (error) {
    console.error(`emulator: only the machine's own fonts: ${error instanceof Error ? error.message : String(error)}`);
  }
}
