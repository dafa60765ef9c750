// Runs the project's test vectors against this client's own code, and says how many of each kind it covered.
//
//   testkit FOLDER      schemas/vectors, with testkit/ in it
//
// It fails where a verdict differs from what the vector expects, and where a folder held no vector at all.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { AnswerRefused, type AnswerKeys, checkDocument, type Message, openAnswer } from "./answer.js";
import { BundleRefused, chooseKey, Identity, verifyBundle } from "./bundle.js";
import { type Bytes, base64, fromBase64, fromHex, hex, textOf, utf8 } from "./bytes.js";
import { Malformed, Members } from "./json.js";
import { circuit, deployment, digest, job, keyId, parseJobSubject, prefix, tenant } from "./names.js";
import { judge, openSeal, publicKeyOf, type Recipient } from "./recipient.js";
import { idOfKey, infoOf, type JobHeader, SCHEME_NAMES, type Scheme } from "./seal.js";

/** The lines of one file of the testkit. */
class Vector {
  private readonly lines: [string, string][];

  constructor(readonly path: string) {
    this.lines = readFileSync(path, "utf8").split("\n").slice(0, -1).map(split);
  }

  all(name: string): string[] {
    return this.lines.filter(([other]) => other === name).map(([, value]) => value);
  }

  has(name: string): boolean {
    return this.all(name).length > 0;
  }

  one(name: string): string {
    const [value] = this.all(name);
    if (value === undefined) throw new Error(`${this.path}: no ${name}`);
    return value;
  }

  bytes(name: string): Bytes {
    const bytes = fromBase64(this.one(name));
    if (bytes === undefined) throw new Error(`${this.path}: ${name} is not base64`);
    return bytes;
  }

  headers(): [string, string][] {
    return this.all("header").map(split);
  }
}

function split(line: string): [string, string] {
  const at = line.indexOf(": ");
  if (at < 0) throw new Error(`not a line of a vector: ${line.slice(0, 40)}`);
  return [line.slice(0, at), line.slice(at + 2)];
}

function scheme(name: string): Scheme {
  const known = SCHEME_NAMES.find((one) => one === name);
  if (known === undefined) throw new Error(`no such scheme: ${name}`);
  return known;
}

/** The verdict of this client's own code, or in other words what it gets wrong. */
type Judge = (vector: Vector) => Promise<string>;

async function judgeJob(vector: Vector): Promise<string> {
  const keys: Recipient["keys"] = new Map();
  for (const [name, secret] of vector.all("key").map((key) => key.split(" "))) {
    const which = scheme(name ?? "");
    const privateKey = fromHex(secret ?? "");
    keys.set(idOfKey(which, await publicKeyOf(which, privateKey)), { scheme: which, privateKey });
  }
  const circuits = vector.all("circuit").map((line) => {
    const [id, key, most] = line.split(" ");
    return { id: circuit(id ?? ""), verifyingKey: digest(key ?? ""), witnessBytesMax: Number(most) };
  });
  const recipient: Recipient = {
    prefix: prefix(vector.one("prefix")),
    deployment: deployment(vector.one("deployment")),
    keys,
    destroyed: vector.all("destroyed").map(keyId),
    circuits,
    now: Number(vector.one("now")),
  };
  const judged = await judge(recipient, {
    storedAt: Number(vector.one("stored-at")),
    subject: vector.one("subject"),
    headers: vector.headers(),
    payload: vector.bytes("payload"),
  });
  if (!("witness" in judged)) return judged.verdict;
  const same =
    base64(judged.witness) === vector.one("witness") &&
    base64(judged.info) === vector.one("info") &&
    hex(judged.answerSecret) === vector.one("answer-secret");
  if (!same) return "opens to something else";
  return vector.one("expect") === "invalid-witness" ? "invalid-witness" : "proved"; // which of them, the circuit says
}

async function judgeAnswer(vector: Vector): Promise<string> {
  const headers = vector.headers();
  const header = (name: string): string | undefined => headers.find(([one]) => one === name)?.[1].trim();
  const message: Message = { header, payload: vector.bytes("payload") };
  const answerSecret = fromHex(vector.one("answer-secret"));
  const keys: AnswerKeys = { info: vector.bytes("info"), enc: vector.bytes("enc"), answerSecret };
  const opened = openAnswer(keys, message);
  if (opened.kind === "hint") return "hint";
  const expected = {
    tenant: tenant(vector.one("tenant")),
    circuit: circuit(vector.one("circuit")),
    job: job(vector.one("job")),
    proofKeys: keyNamedIn(opened.document),
  };
  try {
    checkDocument(expected, opened.code, opened.document);
  } catch (error) {
    if (error instanceof AnswerRefused) return "hint";
    throw error;
  }
  // A document that is there to be refused is not given: `answer` is then the wrong verdict, whatever it says.
  const same = !vector.has("document") || base64(opened.document) === vector.one("document");
  return same ? "answer" : "opens to something else";
}

/** The vectors name no bundle, so whatever verifying key an answer has is one of the bundle's. */
function keyNamedIn(document: Uint8Array) {
  try {
    return [digest(Members.parse("answer", document).text("verifying_key"))];
  } catch {
    return [];
  }
}

async function judgeBundle(vector: Vector): Promise<string> {
  const now = Number(vector.one("now"));
  try {
    const identity = Identity.parse(vector.one("identity"));
    const bundle = verifyBundle(vector.bytes("signed"), identity, now, Number(vector.one("seen")));
    if (!vector.has("chosen")) return "accepted";
    if (String(bundle.serial) !== vector.one("serial")) return "another serial";
    let chosen = "none";
    try {
      chosen = chooseKey(bundle, now, Number(vector.one("expires")), SCHEME_NAMES).id;
    } catch {
      // There is none.
    }
    return chosen === vector.one("chosen") ? "accepted" : `accepted, but seals to ${chosen}`;
  } catch (error) {
    if (error instanceof BundleRefused) return `refused-${error.reason}`;
    throw error;
  }
}

/** Counts what was covered, and keeps what differed. */
class Tally {
  private readonly verdicts = new Map<string, number>();
  private readonly pairs = new Set<string>();
  readonly wrong: string[] = [];
  covered = 0;

  constructor(private readonly name: string) {}

  add(what: string, pair: string, expected: string, judged: string): void {
    this.covered += 1;
    this.pairs.add(pair);
    this.verdicts.set(expected, (this.verdicts.get(expected) ?? 0) + 1);
    if (judged !== expected) this.wrong.push(`${what}: expected ${expected}, judged ${judged}`);
  }

  /** Prints the counts; false where something differed, or nothing was there. */
  print(): boolean {
    const verdicts = [...this.verdicts].sort().map(([verdict, count]) => `${verdict} ${count}`);
    console.log(`${this.name}: ${this.covered} vectors, ${this.pairs.size} pairs of field and mutation`);
    console.log(`    ${verdicts.join(", ")}`);
    for (const line of this.wrong) console.log(`    WRONG ${line}`);
    return this.covered > 0 && this.wrong.length === 0;
  }
}

async function runFolder(folder: string, name: string, judgeOne: Judge): Promise<boolean> {
  const tally = new Tally(`testkit/${name}`);
  const path = join(folder, "testkit", name);
  for (const file of existsSync(path) ? readdirSync(path).sort() : []) {
    if (!file.endsWith(".txt")) continue;
    const vector = new Vector(join(path, file));
    const pair = `${vector.one("scheme")} ${vector.one("field")} ${vector.one("mutation")} ${vector.one("expect")}`;
    tally.add(file, pair, vector.one("expect"), await judgeOne(vector));
  }
  return tally.print();
}

/** The older vectors: arrays of objects, whose verdict is the first words of `expect`. */
async function runArray(
  folder: string,
  name: string,
  judgeOne: (vector: Members) => Promise<boolean>,
): Promise<boolean> {
  const tally = new Tally(`${name}.json`);
  const vectors: unknown = JSON.parse(readFileSync(join(folder, `${name}.json`), "utf8"));
  if (!Array.isArray(vectors)) throw new Error(`${name}.json is not an array`);
  for (const value of vectors) {
    const vector = Members.of("vector", value);
    const expect = vector.text("expect");
    const succeeds = /^(opens|an answer|accepted)/.test(expect);
    tally.add(expect, expect, succeeds ? "succeeds" : "fails", (await judgeOne(vector)) ? "succeeds" : "fails");
  }
  return tally.print();
}

async function sealOpens(vector: Members): Promise<boolean> {
  const headers = vector.inner("headers");
  const subject = parseJobSubject(prefix("prove.v1"), vector.text("subject"));
  const info = infoOf({
    ...subject,
    deployment: deployment(vector.text("deployment")),
    key: headers.text("Sealprove-Key"),
    expires: Number(headers.text("Sealprove-Expires")),
    answer: headers.text("Sealprove-Answer"),
    verifyingKey: headers.text("Sealprove-Verifying-Key"),
  } as JobHeader);
  const which = scheme(vector.has("scheme") ? vector.text("scheme") : "x25519");
  const opened = await openSeal(which, fromHex(vector.text("private_key")), info, fromHex(vector.text("payload")));
  if (opened === undefined || !vector.has("witness")) return opened !== undefined;
  return hex(opened.witness) === vector.text("witness") && hex(opened.answerSecret) === vector.text("answer_secret");
}

async function answerOpens(vector: Members): Promise<boolean> {
  const headers = vector.inner("headers");
  const keys = {
    info: utf8(vector.text("info")),
    enc: fromHex(vector.text("enc")),
    answerSecret: fromHex(vector.text("answer_secret")),
  };
  const header = (name: string): string | undefined => (headers.has(name) ? headers.text(name) : undefined);
  const opened = openAnswer(keys, { header, payload: fromHex(vector.text("payload")) });
  if (opened.kind === "hint") return false;
  return !vector.has("document") || textOf(opened.document) === vector.text("document");
}

async function bundleAccepted(vector: Members): Promise<boolean> {
  const signed = vector.any("signed");
  const bytes = utf8(typeof signed === "string" ? signed : JSON.stringify(signed));
  try {
    const seen = vector.has("seen") ? vector.whole("seen") : 0;
    verifyBundle(bytes, Identity.parse(vector.text("identity")), vector.whole("now"), seen);
    return true;
  } catch (error) {
    if (error instanceof BundleRefused || error instanceof Malformed) return false;
    throw error;
  }
}

async function main(): Promise<void> {
  const folder = process.argv[2];
  if (folder === undefined) throw new Error("usage: testkit FOLDER, which is schemas/vectors");
  const held = [
    await runArray(folder, "seal", sealOpens),
    await runArray(folder, "answer", answerOpens),
    await runArray(folder, "bundle", bundleAccepted),
    await runFolder(folder, "job", judgeJob),
    await runFolder(folder, "answer", judgeAnswer),
    await runFolder(folder, "bundle", judgeBundle),
  ];
  if (held.includes(false)) process.exitCode = 1;
}

await main();
