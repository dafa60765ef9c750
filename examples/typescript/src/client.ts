// The client: everything that is said to the broker. It trusts none of what the broker says but that a job is
// queued; what it believes of bundles and answers is in `bundle.ts` and `answer.ts`.

import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { connect, headers as natsHeaders, RequestError, TimeoutError } from "@nats-io/transport-node";
import type { Msg, MsgHdrs, NatsConnection, NodeConnectionOptions } from "@nats-io/transport-node";
import { AnswerRefused, checkDocument, type Message, openAnswer, type Result } from "./answer.js";
import { type Bundle, chooseKey, type Identity, readSigned, verifyBundle } from "./bundle.js";
import type { Bytes } from "./bytes.js";
import { Members } from "./json.js";
import { type AnswerMode, type Circuit, type Lane, newJob, type Prefix, subjects, type Tenant } from "./names.js";
import { headersOf, infoOf, type JobHeader, SCHEME_NAMES, type Scheme, seal } from "./seal.js";
import type { Ticket } from "./ticket.js";

export interface Config {
  prefix: Prefix;
  tenant: Tenant;
  identity: Identity;
  /** The folder in which the accepted bundle is kept: its serial is the one below which nothing is accepted. */
  state: string;
}

export interface SubmitOptions {
  lane?: Lane;
  answer?: AnswerMode;
  /** How long the answer is wanted, in seconds: at most a day. */
  lifetime?: number;
  /** The schemes that may be sealed with, the most wanted one first. */
  schemes?: readonly Scheme[];
}

/** A sealed job that is not published yet, and its ticket, which is to be kept before it is. */
export interface Prepared {
  subject: string;
  headers: Record<string, string>;
  payload: Bytes;
  ticket: Ticket;
}

/** How waiting ends. `hint`, `lost` and `gone` are no answers: nobody has authenticated them. */
export type Collected =
  | { kind: "answer"; result: Result; document: Bytes }
  | { kind: "hint"; code?: string; retryable: boolean; why: string }
  | { kind: "lost" }
  | { kind: "gone" };

/** What the broker's reply to a job means. */
export type Ack =
  { kind: "queued" } | { kind: "here-already" } | { kind: "full"; why: string } | { kind: "refused"; why: string };

const ANSWER_AFTER_DEADLINE = 600;
const ANSWERS_KEPT = 48 * 3600;
const REQUEST_TIMEOUT_MS = 5_000;

export const now = (): number => Math.floor(Date.now() / 1000);

export class Client {
  /** How long a job is offered to a broker that does not answer, or has no leader. */
  publishForMs = 30_000;

  private constructor(
    private readonly nats: NatsConnection,
    private readonly config: Config,
  ) {}

  static async connect(config: Config, options: NodeConnectionOptions): Promise<Client> {
    return new Client(await connect({ name: "sealprove-client", ...options }), config);
  }

  async close(): Promise<void> {
    await this.nats.drain();
  }

  /** The deployment's bundle: from a service that runs, else the one that was accepted last. */
  async bundle(): Promise<Bundle> {
    const path = join(this.config.state, this.config.identity.fileName());
    const kept = readIfThere(path);
    const seen = kept === undefined ? 0 : readSigned(kept, this.config.identity).serial;
    const fetched = await this.fetchBundle();
    if (fetched === undefined) {
      if (kept === undefined) throw new Error("no service answers, and no bundle was kept: ask again later");
      return verifyBundle(kept, this.config.identity, now(), seen);
    }
    const bundle = verifyBundle(fetched, this.config.identity, now(), seen);
    mkdirSync(this.config.state, { recursive: true, mode: 0o700 });
    writeFileSync(`${path}.new`, fetched);
    renameSync(`${path}.new`, path);
    return bundle;
  }

  private async fetchBundle(): Promise<Uint8Array | undefined> {
    try {
      return (await this.nats.request(subjects.bundle(this.config.prefix), "", { timeout: REQUEST_TIMEOUT_MS })).data;
    } catch (error) {
      if (isNoResponders(error) || error instanceof TimeoutError) return undefined;
      throw error;
    }
  }

  /** Seals `witness` as a new job. Subject, headers and `info` are made of one value, so they cannot disagree. */
  async prepare(bundle: Bundle, name: Circuit, witness: Uint8Array, options: SubmitOptions = {}): Promise<Prepared> {
    const circuit = bundle.circuits.find((listed) => listed.id === name);
    if (circuit === undefined) throw new Error(`the bundle does not list ${name}`);
    if (witness.length > circuit.witnessBytesMax) throw new Error(`a witness of ${name} is smaller than this`);
    const submitted = now();
    const expires = submitted + (options.lifetime ?? 3600);
    const key = chooseKey(bundle, submitted, expires, options.schemes ?? SCHEME_NAMES);
    const header: JobHeader = {
      deployment: bundle.deployment,
      tenant: this.config.tenant,
      lane: options.lane ?? "standard",
      circuit: name,
      job: newJob(),
      key: key.id,
      expires,
      answer: options.answer ?? "sealed",
      verifyingKey: circuit.verifyingKey,
    };
    const info = infoOf(header);
    const { payload, enc, answerSecret } = await seal(key.scheme, key.publicKey, info, witness);
    const { tenant, job } = header;
    const proofKeys = circuit.proofKeys;
    const ticket: Ticket = { tenant, circuit: name, job, proofKeys, info, enc, answerSecret, expires, submitted };
    return { subject: subjects.job(this.config.prefix, header), headers: headersOf(header), payload, ticket };
  }

  /** Offers a prepared job until the broker has said what became of it. Keep its ticket first. */
  async publish(job: Prepared): Promise<void> {
    const limit = this.nats.info?.max_payload ?? 0;
    if (job.payload.length > limit) throw new Error(`the sealed job is larger than the broker takes: ${limit} bytes`);
    const until = Date.now() + this.publishForMs;
    for (let first = true; ; first = false) {
      const ack = await this.offer(job);
      if (ack?.kind === "queued" || (ack?.kind === "here-already" && !first)) return;
      if (ack?.kind === "here-already") throw new Error("somebody has taken this job's subject: submit a new job");
      if (ack !== undefined) throw new Error(ack.why);
      if (Date.now() >= until) throw new Error("no stream takes this subject: check prefix, tenant and lane");
      await sleep(Math.min(1_000, this.publishForMs));
    }
  }

  /** One offer. `undefined` is not known: the same bytes may be offered again, on the same subject. */
  private async offer(job: Prepared): Promise<Ack | undefined> {
    const headers = natsHeaders();
    for (const [name, value] of Object.entries(job.headers)) headers.set(name, value);
    try {
      const reply = await this.nats.request(job.subject, job.payload, { headers, timeout: REQUEST_TIMEOUT_MS });
      return readAck(reply.data);
    } catch (error) {
      if (isNoResponders(error) || error instanceof TimeoutError) return undefined;
      throw error;
    }
  }

  /** Waits until the job has its answer. `live` only wakes: the answer is always read from the stream. */
  async wait(ticket: Ticket): Promise<Collected> {
    const live = this.nats.subscribe(subjects.live(this.config.prefix, ticket.tenant, ticket.job), { max: 1 });
    const woken = nextMessage(live);
    try {
      for (let pause = 1_000; ; pause = Math.min(pause * 1.5, 15_000)) {
        const message = await this.readAnswer(ticket);
        if (message !== undefined) return collect(ticket, message);
        if (now() > ticket.submitted + ANSWERS_KEPT) return { kind: "gone" };
        if (now() > ticket.expires + ANSWER_AFTER_DEADLINE) return { kind: "lost" };
        await Promise.race([woken, sleep(pause, undefined, { ref: false })]);
      }
    } finally {
      live.unsubscribe();
    }
  }

  /** A direct get by subject. `undefined` is "not yet", never "never": a replica may lag. */
  private async readAnswer(ticket: Ticket): Promise<Message | undefined> {
    const stream = `$JS.API.DIRECT.GET.PROVE_ANSWERS_${ticket.tenant}`;
    const subject = subjects.answer(this.config.prefix, ticket.tenant, ticket.job);
    try {
      return asMessage(subject, await this.nats.request(`${stream}.${subject}`, "", { timeout: REQUEST_TIMEOUT_MS }));
    } catch (error) {
      if (isNoResponders(error) || error instanceof TimeoutError) return undefined;
      throw error;
    }
  }

  /** Takes the job back. `result` is `cancelled`, `answered`, `not-found` or `unavailable`. */
  async cancel(ticket: Ticket): Promise<string> {
    const subject = subjects.cancel(this.config.prefix, ticket.tenant, ticket.job);
    const reply = await this.nats.request(subject, "", { timeout: 30_000 });
    const cancelled = Members.parse("cancel reply", reply.data);
    if (cancelled.text("job") !== ticket.job) throw new Error("a reply about another job: ask again");
    return cancelled.text("result");
  }
}

/** The broker has one number for "you have been here" and for "I am full": only the words tell them apart. */
export function readAck(data: Uint8Array): Ack {
  const ack = Members.parse("acknowledgement", data);
  if (ack.has("error")) {
    const error = ack.inner("error");
    const code = error.has("err_code") ? error.whole("err_code") : 0;
    const why = error.has("description") ? error.text("description") : "no reason given";
    if (code === 10077 && why === "maximum messages per subject exceeded") return { kind: "here-already" };
    if (code === 10077) return { kind: "full", why: `the queue is full, submit later: ${why}` };
    return { kind: "refused", why: `the broker refused the job: ${why} (${code})` };
  }
  if (ack.has("duplicate") && ack.flag("duplicate")) {
    return { kind: "refused", why: "the broker dropped the job as a duplicate: nobody may set Nats-Msg-Id" };
  }
  ack.text("stream");
  ack.whole("seq");
  return { kind: "queued" };
}

/** What an answer's message is to the holder of this ticket. The subject takes no second one, so this is final. */
export function collect(ticket: Ticket, message: Message): Collected {
  const opened = openAnswer(ticket, message);
  if (opened.kind === "hint") return opened;
  try {
    return { kind: "answer", result: checkDocument(ticket, opened.code, opened.document), document: opened.document };
  } catch (error) {
    if (!(error instanceof AnswerRefused)) throw error;
    return { kind: "hint", code: opened.code, retryable: false, why: error.message };
  }
}

/** The stored message that a direct get has brought: the broker says which one. 404 and its like name none. */
function asMessage(subject: string, reply: Msg): Message | undefined {
  const headers: MsgHdrs | undefined = reply.headers;
  if (headers?.get("Nats-Subject") !== subject) return undefined;
  const header = (name: string): string | undefined => (headers.has(name) ? headers.get(name).trim() : undefined);
  return { header, payload: reply.data };
}

async function nextMessage(live: AsyncIterable<Msg>): Promise<void> {
  for await (const _ of live) return;
  await new Promise<never>(() => {}); // the subscription has ended: from now on pauses alone wake
}

function isNoResponders(error: unknown): boolean {
  return error instanceof RequestError && error.isNoResponders();
}

function readIfThere(path: string): Uint8Array | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
