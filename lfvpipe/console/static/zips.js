// Zip archives, read here and member by member: a server is sent images, never an archive.

import { isImage } from "./files.js";

const END = 0x06054b50;
const END_64 = 0x06064b50;
const LOCATOR_64 = 0x07064b50;
const ENTRY = 0x02014b50;
const LOCAL = 0x04034b50;
const METHODS = [0, 8]; // stored, Deflate
// As in lfvpipe/archives/members.py; what unpacks to less than the floor does no harm.
const MOST = { members: 1_000_000, directory: 2 ** 28, total: 512 * 2 ** 30, ratio: 200, floor: 64 * 2 ** 20 };
const FOLDERS_OF_JUNK = new Set([
  "__macosx", "$recycle.bin", "system volume information",
  "@eadir", "#recycle", "@recycle", "#snapshot", "@recently-snapshot",
]);
const CP437 = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0";

/** Says why an archive or a member cannot be used: "damaged", "encrypted", "method", "bomb", "hidden" or "outside". */
export class ZipError extends Error {
  constructor(why) {
    super(why);
    this.why = why;
  }
}

/** Returns the files of an archive, without what systems leave in them: {path, size, open}. To open one fails with why. */
export async function openZip(zip) {
  const members = await readDirectory(zip);
  return members
    .filter(({ path }) => !path.endsWith("/") && !isJunk(path))
    .map((member) => ({ path: member.path.replace(/(^|\/)(\.\/)+/g, "$1"), size: member.size, open: () => unpack(zip, member) }));
}

async function view(zip, from, to) {
  if (from < 0 || to > zip.size) throw new ZipError("damaged");
  return new DataView(await zip.slice(from, to).arrayBuffer());
}

// Where the directory lies. A program before the archive, which unpacks it, moves all that it says.
async function findDirectory(zip) {
  const start = Math.max(0, zip.size - 22 - 0xffff);
  const tail = await view(zip, start, zip.size);
  let at = tail.byteLength - 22;
  while (at >= 0 && !(tail.getUint32(at, true) === END && at + 22 + tail.getUint16(at + 20, true) <= tail.byteLength)) at -= 1;
  if (at < 0) throw new ZipError("damaged");
  let count = tail.getUint16(at + 10, true);
  let size = tail.getUint32(at + 12, true);
  let offset = tail.getUint32(at + 16, true);
  let end = start + at;
  if (at >= 20 && tail.getUint32(at - 20, true) === LOCATOR_64) {
    end += -20 - 56; // right before; where else it is said to be tells nothing if it was moved
    const record = await view(zip, end, end + 56);
    if (record.getUint32(0, true) !== END_64) throw new ZipError("damaged");
    [count, size, offset] = [32, 40, 48].map((place) => Number(record.getBigUint64(place, true)));
  }
  const moved = end - size - offset;
  if (moved < 0) throw new ZipError("damaged");
  if (count > MOST.members || size > MOST.directory) throw new ZipError("bomb");
  return { size, from: offset + moved, moved };
}

async function readDirectory(zip) {
  const { size, from, moved } = await findDirectory(zip);
  const directory = await view(zip, from, from + size);
  const members = [];
  let at = 0;
  while (at < size) { // the number of entries is cut off where an old program wrote many
    if (at + 46 > size || directory.getUint32(at, true) !== ENTRY) throw new ZipError("damaged");
    const [name, extra, comment] = [28, 30, 32].map((place) => directory.getUint16(at + place, true));
    const next = at + 46 + name + extra + comment;
    if (next > size) throw new ZipError("damaged");
    members.push(readEntry(directory, at, name, extra, moved));
    at = next;
  }
  refuseBombs(zip, members, from);
  return members;
}

function readEntry(directory, at, name, extra, moved) {
  const bytes = (from, length) => new Uint8Array(directory.buffer, directory.byteOffset + from, length);
  const fields = new Map();
  for (let place = at + 46 + name, end = place + extra; place + 4 <= end;) {
    const length = Math.min(directory.getUint16(place + 2, true), end - place - 4);
    fields.set(directory.getUint16(place, true), new DataView(directory.buffer, directory.byteOffset + place + 4, length));
    place += 4 + length;
  }
  const large = fields.get(1);
  let used = 0;
  const number = (place) => {
    const told = directory.getUint32(at + place, true);
    if (told !== 0xffffffff || !large) return told;
    if (used + 8 > large.byteLength) throw new ZipError("damaged");
    used += 8;
    return Number(large.getBigUint64(used - 8, true));
  };
  const flags = directory.getUint16(at + 8, true);
  const member = {
    path: readName(bytes(at + 46, name), flags & 0x800, fields.get(0x7075)),
    isEncrypted: Boolean(flags & 1),
    method: directory.getUint16(at + 10, true),
    crc: directory.getUint32(at + 16, true),
    size: number(24), // in this order, for the field of large numbers
    packed: 0,
    at: 0,
  };
  member.packed = number(20);
  member.at = number(42) + moved;
  return member;
}

function readName(bytes, isMarked, unicode) {
  const utf8 = new TextDecoder("utf-8", { fatal: !isMarked });
  let name;
  try {
    const better = unicode && unicode.byteLength > 5 && unicode.getUint32(1, true) === crcOf([bytes]);
    name = utf8.decode(better ? new Uint8Array(unicode.buffer, unicode.byteOffset + 5, unicode.byteLength - 5) : bytes);
  } catch {
    name = [...bytes].map((each) => (each < 128 ? String.fromCharCode(each) : CP437[each - 128])).join("");
  }
  return name.includes("/") ? name : name.replaceAll("\\", "/"); // as some of Windows write
}

const isOutside = (path) => path.split("/").includes("..");
const isHidden = (path) => path.split("/").some((part) => part.startsWith(".") && part !== "." && part !== "..");

function isJunk(path) {
  const parts = path.toLowerCase().split("/");
  return (
    (isHidden(path) && !isImage({ path })) || // photographs are told, whatever hides them
    parts.at(-1).startsWith("._") || // what macOS keeps beside a file
    parts.slice(0, -1).some((part) => FOLDERS_OF_JUNK.has(part)) ||
    /\..*\.heat\.png$/.test(parts.at(-1)) // what `lfvpipe detect` writes beside an image
  );
}

// Also entries that share bytes (D. Fifield, "A better zip bomb", WOOT 2019).
function refuseBombs(zip, members, directory) {
  const total = members.reduce((sum, member) => sum + member.size, 0);
  if (total > MOST.total || (total > MOST.floor && total > MOST.ratio * zip.size)) throw new ZipError("bomb");
  const ordered = [...members].sort((a, b) => a.at - b.at);
  ordered.forEach((member, place) => {
    const following = ordered[place + 1]?.at ?? directory;
    if (member.at + 30 + member.packed > following) throw new ZipError("bomb");
  });
}

// No more is unpacked than the directory says that there is.
async function unpack(zip, member) {
  if (isOutside(member.path)) throw new ZipError("outside");
  if (isHidden(member.path)) throw new ZipError("hidden");
  if (member.isEncrypted) throw new ZipError("encrypted");
  if (!METHODS.includes(member.method)) throw new ZipError("method");
  const header = await view(zip, member.at, member.at + 30);
  if (header.getUint32(0, true) !== LOCAL) throw new ZipError("damaged");
  const from = member.at + 30 + header.getUint16(26, true) + header.getUint16(28, true);
  const packed = zip.slice(from, from + member.packed).stream();
  const reader = (member.method ? packed.pipeThrough(new DecompressionStream("deflate-raw")) : packed).getReader();
  const parts = [];
  let size = 0;
  try {
    for (let read; !(read = await reader.read()).done;) {
      size += read.value.length;
      if (size > member.size) throw new ZipError("damaged");
      parts.push(read.value);
    }
  } catch {
    reader.cancel().catch(() => {});
    throw new ZipError("damaged");
  }
  if (size !== member.size || crcOf(parts) !== member.crc) throw new ZipError("damaged");
  return new Blob(parts);
}

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let code = byte;
  for (let bit = 0; bit < 8; bit += 1) code = code & 1 ? (code >>> 1) ^ 0xedb88320 : code >>> 1;
  return code;
});

function crcOf(parts) {
  let code = 0xffffffff;
  for (const part of parts) for (const byte of part) code = TABLE[(code ^ byte) & 255] ^ (code >>> 8);
  return ~code >>> 0;
}
