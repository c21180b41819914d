"use strict";
// Checks a certificate: the same steps, names and codes as verify_certificate.py. Nothing here asks the network.
const LARGEST = 20 * 2 ** 20;
const OIDS = {
  signed_data: "2a864886f70d010702", data: "2a864886f70d010701", sha256: "608648016503040201",
  ecdsa: "2a8648ce3d040302", digest: "2a864886f70d010904", certificate: "2a864886f70d010910022f",
};
const HALF_ORDER = "7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a8";
class Refused extends Error {
  constructor(code, check, reason) { super(reason); this.code = code; this.check = check; }
}
const refuse = (code, check, reason) => { throw new Refused(code, check, reason); };
const bad = (reason) => { throw new RangeError(reason); };

// ── bytes ──
const latin = (bytes) => {
  let out = "";
  for (let at = 0; at < bytes.length; at += 32768) out += String.fromCharCode(...bytes.subarray(at, at + 32768));
  return out;
};
const bytesOf = (text) => Uint8Array.from(text, (c) => c.charCodeAt(0));
const utf8 = (bytes) => new TextDecoder("utf-8", { fatal: true }).decode(bytes);
const toUtf8 = (text) => new TextEncoder().encode(text);
const joined = (...parts) => {
  const out = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const part of parts) { out.set(part, at); at += part.length; }
  return out;
};
const hex = (bytes) => [...bytes].map((b) => b.toString(16).padStart(2, "0")).join("");
const unhex = (text) => {
  if (text.length % 2 || !/^[0-9a-fA-F]*$/.test(text)) bad("not hexadecimal");
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
};
const equal = (a, b) => a.length === b.length && a.every((byte, at) => byte === b[at]);
const within = (whole, part) => latin(whole).includes(latin(part));
const sha256 = async (bytes) => new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
const base64 = (text) => {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text) || text.length % 4) bad("not base64");
  const raw = bytesOf(atob(text));
  if (btoa(latin(raw)) !== text) bad("base64 in another spelling");
  return raw;
};

// ── DER: just enough of it ──
const der = (tag, ...parts) => {
  const body = joined(...parts);
  if (body.length < 128) return joined(Uint8Array.of(tag, body.length), body);
  const length = unhex(body.length.toString(16).padStart(body.length > 0xffff ? 6 : body.length > 0xff ? 4 : 2, "0"));
  return joined(Uint8Array.of(tag, 128 + length.length), length, body);
};
const children = (raw) => {
  const found = [];
  for (let at = 0; at < raw.length;) {
    let size = raw[at + 1];
    let start = at + 2;
    if (size >= 128) {
      const count = size - 128;
      size = 0;
      for (const byte of raw.subarray(start, start + count)) size = size * 256 + byte;
      start += count;
    }
    const end = start + size;
    if (!(end <= raw.length) || !equal(der(raw[at], raw.subarray(start, end)), raw.subarray(at, end))) bad("not DER");
    found.push({ tag: raw[at], content: raw.subarray(start, end), whole: raw.subarray(at, end) });
    at = end;
  }
  return found;
};
const oid = (name) => der(0x06, unhex(OIDS[name]));

// ── the signature ──
const located = (data, text) => {
  if (data.length > LARGEST) refuse("too_large", "file", `${data.length} bytes, ${LARGEST} at most`);
  if (!text.startsWith("%PDF-")) refuse("not_a_pdf", "file", "does not start as a PDF");
  const found = [...text.matchAll(/\/ByteRange \[0 (\d{1,9}) (\d{1,9}) (\d{1,9})\]/g)];
  if (!found.length) refuse("unsigned", "signature", "no signature in the file");
  if (found.length > 1) refuse("modified", "whole_file", "more than one signature");
  const [until, after, length] = found[0].slice(1).map(Number);
  if (!(until < after) || after + length !== data.length) refuse("modified", "whole_file", "bytes were added or cut after the signature");
  const hole = /^<([0-9A-F]*)>$/.exec(text.slice(until, after));
  if (!hole || hole[0].length !== after - until || found[0].index !== after + 1 || hole[1].length % 2)
    refuse("modified", "whole_file", "the place of the signature holds something else");
  const raw = unhex(hole[1]);
  if (raw[0] !== 0x30 || raw[1] !== 0x82) refuse("modified", "signature", "not a signature of this kind");
  const size = 4 + raw[2] * 256 + raw[3];
  if (raw.subarray(size).some(Boolean)) refuse("modified", "whole_file", "the place of the signature holds something else");
  return { covered: joined(data.subarray(0, until), data.subarray(after)), cms: raw.subarray(0, size) };
};
const parts = (certificate) => children(children(children(certificate)[0].content)[0].content);
const canonical = (certificate, attributes, signature) => {
  const [, serial, , issuer] = parts(certificate);
  const algorithm = der(0x30, oid("sha256"), der(0x05));
  const info = der(0x30, der(0x02, Uint8Array.of(1)), der(0x30, issuer.whole, serial.whole), algorithm, der(0xa0, attributes),
    der(0x30, oid("ecdsa")), der(0x04, signature));
  const signed = der(0x30, der(0x02, Uint8Array.of(1)), der(0x31, algorithm), der(0x30, oid("data")), der(0xa0, certificate), der(0x31, info));
  return der(0x30, oid("signed_data"), der(0xa0, signed));
};
const attribute = (attributes, name) => {
  for (const one of children(attributes)) {
    const both = children(one.content);
    if (both.length === 2 && equal(both[0].whole, oid(name))) return both[1].content;
  }
  return null;
};
// An ECDSA signature as Web Crypto wants it: two numbers of 32 bytes.
const plain = (signature) => joined(...children(children(signature)[0].content).map(({ content }) => {
  const digits = content[0] === 0 ? content.subarray(1) : content;
  if (digits.length > 32) bad("a number too large");
  return joined(new Uint8Array(32 - digits.length), digits);
}));
const when = ({ tag, content }) => {
  const text = latin(content);
  const whole = tag === 0x17 ? (Number(text.slice(0, 2)) < 50 ? "20" : "19") + text : text;
  return Date.parse(whole.replace(/^(....)(..)(..)(..)(..)(..)Z$/, "$1-$2-$3T$4:$5:$6Z"));
};
const checkSignature = async (data, text, trust, checks) => {
  const { covered, cms } = located(data, text);
  let certificate, attributes, signature;
  try {
    const signed = children(children(children(children(cms)[0].content)[1].content)[0].content);
    const info = children(children(signed[4].content)[0].content);
    [certificate, attributes, signature] = [children(signed[3].content)[0].whole, info[3].content, info[5].content];
  } catch {
    refuse("modified", "signature", "the signature cannot be read");
  }
  const ours = trust.certificate;
  if (!equal(certificate, ours))
    refuse(within(cms, trust.spki) ? "modified" : "unknown_signer", "signer", "signed with another certificate");
  let digest, bound, two;
  try {
    if (!equal(canonical(certificate, attributes, signature), cms)) refuse("modified", "signature", "the signature is not in its canonical form");
    digest = attribute(attributes, "digest");
    bound = attribute(attributes, "certificate");
    two = plain(signature);
    // Where (r, s) is a signature, (r, order - s) is one too, which anybody can make: only the smaller s is taken.
    if (hex(two.subarray(32)) > HALF_ORDER) refuse("modified", "signature", "the signature is not in its canonical form");
  } catch (error) {
    if (error instanceof Refused) throw error;
    refuse("modified", "signature", "the signature cannot be read");
  }
  if (!digest || !equal(digest, der(0x04, await sha256(covered)))) refuse("modified", "signature", "the content is not what was signed");
  const key = await crypto.subtle.importKey("spki", trust.spki, { name: "ECDSA", namedCurve: "P-256" }, false, ["verify"]);
  if (!(await crypto.subtle.verify({ name: "ECDSA", hash: "SHA-256" }, key, two, der(0x31, attributes))))
    refuse("modified", "signature", "the signature is wrong");
  if (!bound || !within(bound, der(0x04, await sha256(ours)))) refuse("modified", "signature", "the signature is not bound to its certificate");
  checks.push({ name: "whole_file", ok: true, detail: `${data.length} bytes` }, { name: "signature", ok: true, detail: "ECDSA P-256, SHA-256" },
    { name: "signer", ok: true, detail: trust.name });
};

// ── the content and the public log ──
const unpacked = async (bytes) => {
  const reader = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate")).getReader();
  const chunks = [];
  for (let size = 0; ;) {
    const { done, value } = await reader.read();
    if (done) return joined(...chunks);
    size += value.length;
    if (size > LARGEST) bad("too much");
    chunks.push(value);
  }
};
const attached = async (data, text) => {
  const found = [];
  for (const match of text.matchAll(/<<(?:(?!endobj|stream)[^])*?\/Type ?\/EmbeddedFile\b(?:(?!endobj)[^])*?>>\s*stream\r?\n/g)) {
    const size = [...match[0].matchAll(/\/Length (\d{1,8})\b/g)].at(-1);
    const start = match.index + match[0].length;
    if (size && match[0].includes("/FlateDecode")) found.push(await unpacked(data.subarray(start, start + Number(size[1]))));
  }
  return found;
};
// JSON as it is written down to be hashed: names in order, no blanks. Numbers here are whole.
const asCanonical = (value) => {
  if (Array.isArray(value)) return `[${value.map(asCanonical).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  return `{${Object.keys(value).sort().map((name) => `${JSON.stringify(name)}:${asCanonical(value[name])}`).join(",")}}`;
};
const checkContent = async (data, text, log, checks) => {
  let extra, raw, rawExtra, statement, index, path, note, length, number;
  try {
    const proof = utf8((await attached(data, text)).at(-1));
    const cut = proof.indexOf("\n\n");
    const lines = proof.slice(0, cut).split("\n");
    note = proof.slice(cut + 2);
    if (cut < 0 || lines[0] !== "c2sp.org/tlog-proof@v1" || !lines[1].startsWith("extra ") || !/^index \d{1,15}$/.test(lines[2])) bad("not a proof");
    rawExtra = base64(lines[1].slice(6));
    index = Number(lines[2].slice(6));
    path = lines.slice(3).map(base64);
    extra = JSON.parse(utf8(rawExtra));
    length = extra.bytes;
    if (!Number.isInteger(length) || length < 0) bad("no length");
    raw = (await attached(data.subarray(0, length), text.slice(0, length))).at(-1);
    statement = JSON.parse(utf8(raw));
    number = String(statement.number);
  } catch {
    refuse("not_a_certificate", "content", "signed, but not a certificate");
  }
  const document_ = data.subarray(0, length);
  if (hex(await sha256(document_)) !== extra.sha256 || extra.number !== number || asCanonical(extra) !== utf8(rawExtra))
    refuse("not_logged", "log_inclusion", "the proof is about another document");
  const size = await checkInclusion(rawExtra, index, path, note, log);
  checks.push({ name: "log_inclusion", ok: true, detail: `${index} / ${size}` });
  checkUpdate(text.slice(0, length), text.slice(length));
  if (asCanonical(statement) !== utf8(raw)) refuse("modified", "document", "the attached data are not in their canonical form");
  return statement;
};
const checkInclusion = async (extra, index, path, note, log) => {
  try {
    const { size, root } = await signedState(note, log);
    let [at, last, leaf] = [index, size - 1, await sha256(joined(Uint8Array.of(0), await sha256(extra)))];
    if (!(at >= 0 && at < size)) bad("not in a log of this size");
    for (const node of path) {
      if (node.length !== 32) bad("a hash is not 32 bytes");
      if (last === 0) bad("the path is too long");
      if (at % 2 || at === last) {
        leaf = await sha256(joined(Uint8Array.of(1), node, leaf));
        while (at % 2 === 0 && at) [at, last] = [at / 2, Math.floor(last / 2)];
      } else leaf = await sha256(joined(Uint8Array.of(1), leaf, node));
      [at, last] = [Math.floor(at / 2), Math.floor(last / 2)];
    }
    if (last || !equal(leaf, root)) bad("the entry is not under the root of the log");
    return size;
  } catch (error) {
    if (error.name === "NotSupportedError") refuse("not_checked", "log_inclusion", "this browser knows no Ed25519: use a newer one");
    return refuse("not_logged", "log_inclusion", error.message);
  }
};
const signedState = async (note, log) => {
  const cut = note.lastIndexOf("\n\n");
  if (cut < 0 || !note.endsWith("\n")) bad("the checkpoint is cut short");
  const body = note.slice(0, cut);
  const id = (await sha256(joined(toUtf8(`${log.name}\n`), Uint8Array.of(1), log.key))).subarray(0, 4);
  let signed = false;
  for (const line of note.slice(cut + 2, -1).split("\n")) {
    const [dash, who, encoded, ...more] = line.split(" ");
    const raw = base64(encoded ?? "!");
    if (dash !== "\u2014" || who !== log.name || more.length || !equal(raw.subarray(0, 4), id)) continue;
    const key = await crypto.subtle.importKey("raw", log.key, { name: "Ed25519" }, false, ["verify"]);
    signed = await crypto.subtle.verify({ name: "Ed25519" }, key, raw.subarray(4), toUtf8(`${body}\n`));
    if (!signed) bad("the signature of the log is wrong");
    break;
  }
  if (!signed) bad("not signed by this log");
  const [origin, size, root] = body.split("\n");
  if (origin !== log.name || !/^(0|[1-9]\d{0,14})$/.test(size)) bad("not a checkpoint of this log");
  return { size: Number(size), root: base64(root) };
};

// ── the update that brought proof and signature ──
// PDF values come as text in which two spellings of the same are the same.
const TOKEN = /\s*(?:(?<ref>\d+ \d+ R\b)|(?<number>[+-]?\d*\.?\d+)|\/(?<name>[^\s()<>[\]{}/%]*)|(?<open><<|\[)|(?<close>>>|\])|<(?<hex>[0-9A-Fa-f\s]*)>|(?<text>\()|(?<word>[a-z]+))/y;
const token = (raw, at) => { TOKEN.lastIndex = at; return TOKEN.exec(raw); };
const ESCAPES = { n: "\n", r: "\r", t: "\t", b: "\b", f: "\f" };
const literal = (raw, at) => {
  let out = "";
  const piece = /\\([0-7]{1,3}|[^])|[()]|[^\\()]+/y;
  for (let depth = 1; ;) {
    piece.lastIndex = at;
    const match = piece.exec(raw);
    if (!match) bad("a string without an end");
    at += match[0].length;
    if (match[1] !== undefined) {
      out += /^[0-7]/.test(match[1]) ? String.fromCharCode(parseInt(match[1], 8) & 255) : ESCAPES[match[1]] ?? match[1];
      continue;
    }
    depth += (match[0] === "(") - (match[0] === ")");
    if (!depth) return [out, at];
    out += match[0];
  }
};
const pdfValue = (raw, start) => {
  const found = token(raw, start);
  if (!found || found.groups.close !== undefined) bad("not a PDF value");
  let at = start + found[0].length;
  const { ref, number, name, open, hex: digits, text, word } = found.groups;
  if (text !== undefined) { const [out, end] = literal(raw, at); return [{ text: out }, end]; }
  if (ref !== undefined) return [{ ref }, at];
  if (number !== undefined) return [Number(number), at];
  if (name !== undefined) return ["/" + name.replace(/#(..)/g, (_, pair) => String.fromCharCode(parseInt(pair, 16))), at];
  if (digits !== undefined) return [{ text: latin(unhex(digits.replace(/\s/g, ""))) }, at];
  if (word !== undefined) return [{ word }, at];
  const items = [];
  let end;
  while (!(end = token(raw, at)) || end.groups.close === undefined) { const [item, after] = pdfValue(raw, at); items.push(item); at = after; }
  at += end[0].length;
  if (open === "[") return [items, at];
  const map = new Map();
  for (let n = 0; n < items.length; n += 2) {
    if (typeof items[n] !== "string" || map.has(items[n]) || n + 1 === items.length) bad("not a dictionary");
    map.set(items[n], items[n + 1]);
  }
  return [map, at];
};
const spelled = (value, without = []) => value instanceof Map
  ? `<<${[...value].filter(([k]) => !without.includes(k)).map(([k, v]) => `${k} ${spelled(v)}`).sort().join(" ")}>>`
  : Array.isArray(value) ? `[${value.map((v) => spelled(v)).join(" ")}]` : JSON.stringify(value);
const objects = (raw) => {
  const found = new Map();
  for (const match of raw.matchAll(/(?:^|\n)(\d{1,7}) 0 obj\s/g)) {
    let [content, at] = pdfValue(raw, match.index + match[0].length);
    const stream = /\s*stream\r?\n/y;
    stream.lastIndex = at;
    const rest = stream.exec(raw);
    if (rest && content instanceof Map) content = [content, { text: raw.substr(at + rest[0].length, content.get("/Length")) }];
    if (found.has(Number(match[1]))) bad("an object twice");
    found.set(Number(match[1]), content);
  }
  return found;
};
const checkUpdate = (before_, update) => {
  try {
    const [before, after] = [objects(before_), objects(update)];
    const root = Number([...before_.slice(before_.lastIndexOf("trailer")).matchAll(/\/Root (\d+) 0 R/g)].at(-1)[1]);
    const of = (tie) => Number(tie.ref.split(" ")[0]);
    const catalog = before.get(root);
    const names = catalog.get("/Names") instanceof Map ? catalog.get("/Names") : before.get(of(catalog.get("/Names")));
    const lists = [catalog.get("/Names"), names.get("/EmbeddedFiles"), catalog.get("/AF")].filter((tie) => tie?.ref).map(of);
    const added = [];
    for (const [number, fresh] of after) {
      const old = before.get(number);
      if (old === undefined || lists.includes(number)) continue;
      let may = number === root ? ["/AcroForm", "/Perms", "/AF", "/Names"] : [];
      if (old instanceof Map && old.get("/Type") === "/Page") {
        may = ["/Annots"];
        const had = old.get("/Annots") ?? [];
        const has = fresh.get("/Annots");
        if (spelled(has.slice(0, had.length)) !== spelled(had)) bad("what hangs on a page was changed");
        added.push(...has.slice(had.length));
      }
      if (spelled(old, may) !== spelled(fresh, may)) bad(`object ${number} was changed after the document was made`);
    }
    for (const tie of added) {
      const field = after.get(of(tie));
      if (field.get("/FT") !== "/Sig" || spelled(field.get("/Rect")) !== "[0 0 0 0]" || field.has("/AP")) bad("something visible was hung on a page");
    }
  } catch (error) {
    refuse("modified", "document", error.message);
  }
};

// ── all of it ──
const keysOf = async (text) => {
  const line = text.split("\n").find((one) => one.startsWith("log: ")) ?? bad("no key of a log");
  const [name, id, encoded] = line.slice(5).trim().split(/\+(.*?)\+(.*)/);
  const raw = base64(encoded);
  const known = hex((await sha256(joined(toUtf8(`${name}\n`), raw))).subarray(0, 4));
  if (raw.length !== 33 || raw[0] !== 1 || known !== id) bad("the log's key cannot be read");
  const certificate = base64(text.slice(text.indexOf("-----BEGIN CERTIFICATE-----") + 27, text.indexOf("-----END")).replace(/\s/g, ""));
  const fields = parts(certificate);
  const [from, to] = children(fields[4].content).map(when);
  const named = children(children(children(fields[5].content)[0].content)[0].content)[1].content;
  return { certificate, spki: fields[6].whole, from, to, name: utf8(named), log: { name, key: raw.subarray(1) } };
};
const verify = async (data, pem) => {
  const checks = [];
  const verdict = { ok: false, code: "valid", reason: "", checks, statement: null };
  try {
    const trust = await keysOf(pem);
    const text = latin(data);
    await checkSignature(data, text, trust, checks);
    const statement = await checkContent(data, text, trust.log, checks);
    const at = Date.parse(statement.issued_at);
    if (!(trust.from <= at && at <= trust.to)) refuse("modified", "time", "signed when the issuer's certificate was not valid");
    checks.push({ name: "time", ok: true, detail: statement.issued_at }, { name: "document", ok: null, detail: "" }, { name: "superseded", ok: null, detail: "" });
    return { ...verdict, ok: true, statement };
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    checks.push({ name: error.check, ok: false, detail: error.message });
    return { ...verdict, code: error.code, reason: error.message };
  }
};

// ── the page ──
const TITLES = {
  valid: "Valide : ce certificat est vrai, et le fichier n’a pas changé", modified: "Modifié : ne vous fiez pas à ce fichier",
  unknown_signer: "Inconnu : cet émetteur n’a pas signé ce document", unsigned: "Inconnu : ce PDF n’est pas signé", not_a_pdf: "Ce fichier n’est pas un PDF",
  too_large: "Ce fichier est trop gros pour un certificat", not_a_certificate: "Inconnu : ce document est signé, mais ce n’est pas un certificat",
  not_logged: "Suspect : ce document n’est pas inscrit au registre public", not_checked: "Ce navigateur ne sait pas tout vérifier. Prenez-en un plus récent",
};
const NAMES = {
  file: "Fichier lisible", whole_file: "La signature couvre tout le fichier", signature: "Signature intacte", signer: "Signataire reconnu",
  time: "Signé pendant la vie du certificat de l’émetteur", log_inclusion: "Inscrit au registre public", content: "Contenu d’un certificat",
  document: "Les pages disent ce que disent les données", superseded: "Aucun certificat plus récent",
};
const make = (tag, text = "", ...inside) => {
  const made = document.createElement(tag);
  made.textContent = text;
  made.append(...inside);
  return made;
};
const shown = (verdict) => {
  const title = make("h2", TITLES[verdict.code]);
  title.className = verdict.ok ? "ok" : "bad";
  const list = make("ul", "", ...verdict.checks.map(({ name, ok }) => make("li", `${ok ? "✓ Vérifié" : ok === null ? "? Non vérifié ici" : "✗ En défaut"} : ${NAMES[name]}`)));
  const out = [title, list];
  const said = verdict.statement;
  if (said) {
    const facts = make("dl");
    const day = new Date(said.issued_at).toLocaleDateString("fr-FR", { dateStyle: "long" });
    const counts = said.counts ?? {};
    for (const [term, value] of [["Numéro", said.number], ["Remplace", said.supersedes?.number], ["Établi le", day], ["Par", said.issuer], ["Envoi", said.consignment_reference], ["Donateur", said.donor?.name],
      ["Appareils", counts.devices], ["Données effacées", counts.erased], ["Effacement non attesté", counts.not_erased]])
      if (value !== undefined && value !== null) facts.append(make("dt", term), make("dd", String(value)));
    out.push(facts);
  }
  return out;
};
let pem = JSON.parse(document.getElementById("trust").textContent || "null");
const ready = async () => {
  document.getElementById("pem").hidden = pem !== null;
  if (pem === null) return;
  document.getElementById("print").textContent = hex(await sha256((await keysOf(pem)).certificate)).match(/..../g).join(" ");
};
const look = async (file) => {
  const result = document.getElementById("result");
  result.replaceChildren(make("p", `Lecture de ${file.name}…`));
  try {
    if (pem === null) throw new Error("choisissez d’abord le fichier issuer.pem");
    const bytes = file.size > LARGEST ? new Uint8Array(LARGEST + 1) : new Uint8Array(await file.arrayBuffer());
    result.replaceChildren(...shown(await verify(bytes, pem)));
  } catch (error) {
    result.replaceChildren(make("p", `La vérification n’a pas pu se faire : ${error.message}`));
  }
};
const field = document.getElementById("file");
const zone = document.getElementById("zone");
field.addEventListener("change", () => field.files[0] && look(field.files[0]));
document.getElementById("keys").addEventListener("change", async (event) => {
  pem = await event.target.files[0].text();
  await ready().catch(() => { pem = null; });
  if (field.files[0]) look(field.files[0]);
});
for (const kind of ["dragover", "dragleave", "drop"]) zone.addEventListener(kind, (event) => {
  event.preventDefault();
  zone.classList.toggle("over", kind === "dragover");
  if (kind === "drop" && event.dataTransfer.files[0]) look(event.dataTransfer.files[0]);
});
ready().catch(() => { pem = null; document.getElementById("pem").hidden = false; });
