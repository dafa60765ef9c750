// What a client must live through and no user does on purpose: a job changed on its way, an answer that somebody
// forged, a broker that refuses, a job taken back. `make interop` runs these against a private broker and service.
//
//   interop tampered|forged|acks|cancel CIRCUIT WITNESS
//
// Each prints a line of JSON with what came of it, and fails where it was not what the protocol says.

import { readFileSync } from "node:fs";
import { connect, headers as natsHeaders, type NatsConnection } from "@nats-io/transport-node";
import { base64, utf8 } from "./bytes.js";
import { Client, type Collected, type Config, type Prepared } from "./client.js";
import { circuit, newJob, prefix, subjects } from "./names.js";
import { configOf, connectionOf, parse, submitOptions, type Values } from "./settings.js";

interface Stage {
  nats: NatsConnection;
  config: Config;
  client: Client;
  values: Values;
  /** A fresh job on the given witness, sealed and not yet published. */
  prepare(): Promise<Prepared>;
}

function demand(held: boolean, what: string): void {
  if (!held) throw new Error(`not as the protocol says: ${what}`);
}

/** A header that was changed after the witness was sealed: the seal does not open, and only a hint can say so. */
async function tampered(stage: Stage): Promise<unknown> {
  const job = await stage.prepare();
  const expires = String(job.ticket.expires + 1);
  await stage.client.publish({ ...job, headers: { ...job.headers, "Sealprove-Expires": expires } });
  return hint(await stage.client.wait(job.ticket), "UNSEAL_FAILED");
}

function hint(collected: Collected, code: string): unknown {
  demand(collected.kind === "hint" && collected.code === code, `expected a hint ${code}: ${JSON.stringify(collected)}`);
  return collected;
}

/** Somebody is first on the answer's subject, with a proof that nobody has made. */
async function forged(stage: Stage): Promise<unknown> {
  const job = await stage.prepare();
  const { tenant, circuit, job: id, proofKeys } = job.ticket;
  const forgery = natsHeaders();
  const headers = { Version: "1", Outcome: "proved", Code: "OK", Answer: stage.values.open ? "open" : "sealed" };
  for (const [name, value] of Object.entries(headers)) forgery.set(`Sealprove-${name}`, value);
  forgery.set("Content-Type", "application/json");
  forgery.set("Sealprove-Tag", base64(new Uint8Array(48)));
  forgery.set("Status", "404");
  const proof = { verifying_key: proofKeys[0], proof: "AAAA", public_inputs: "AAAA" };
  const document = { version: "1", job: id, tenant, circuit, attempt: 1, timings_ms: {}, ...proof };
  const subject = subjects.answer(stage.config.prefix, tenant, id);
  const payload = utf8(JSON.stringify(document));
  const stored = await stage.nats.request(subject, payload, { headers: forgery, timeout: 5_000 });
  demand("seq" in (stored.json() as object), "the forged answer was not stored");
  await stage.client.publish(job);
  return hint(await stage.client.wait(job.ticket), "OK");
}

/** Every reply of the broker that is not "queued". */
async function acks(stage: Stage): Promise<unknown> {
  const said: Record<string, string> = {};
  const refuses = async (name: string, expected: RegExp, publish: Promise<void>): Promise<void> => {
    const error = await publish.then(
      () => "queued",
      (raised: unknown) => String(raised),
    );
    demand(expected.test(error), `${name}: ${error}`);
    said[name] = error;
  };
  const twice = await stage.prepare();
  await stage.client.publish(twice);
  await refuses("taken", /has taken this job's subject/, stage.client.publish(twice));

  const [first, second] = [await stage.prepare(), await stage.prepare()];
  const id = { "Nats-Msg-Id": newJob() };
  await stage.client.publish({ ...first, headers: { ...first.headers, ...id } });
  await refuses("duplicate", /duplicate/, stage.client.publish({ ...second, headers: { ...second.headers, ...id } }));

  const small = { name: "SMALL", subjects: ["small.job.>"], max_msgs: 1, discard: "new", storage: "memory" };
  await stage.nats.request("$JS.API.STREAM.CREATE.SMALL", JSON.stringify(small), { timeout: 5_000 });
  await stage.client.publish(elsewhere(await stage.prepare(), "small"));
  await refuses("full", /queue is full/, stage.client.publish(elsewhere(await stage.prepare(), "small")));
  await stage.nats.request("$JS.API.STREAM.DELETE.SMALL", "", { timeout: 5_000 });

  stage.client.publishForMs = 1_500;
  const lost = elsewhere(await stage.prepare(), "nowhere");
  await refuses("nobody", /no stream takes this subject/, stage.client.publish(lost));
  return said;
}

function elsewhere(job: Prepared, under: string): Prepared {
  return { ...job, subject: job.subject.replace(prefix("prove.v1"), under) };
}

/** The last of a few jobs, taken back while the others are being proved. */
async function cancel(stage: Stage): Promise<unknown> {
  const jobs = await Promise.all(Array.from({ length: 6 }, () => stage.prepare()));
  for (const job of jobs) await stage.client.publish(job);
  const last = jobs.at(-1)?.ticket;
  if (last === undefined) throw new Error("no job");
  demand((await stage.client.cancel(last)) === "cancelled", "the job was not taken back");
  const collected = hint(await stage.client.wait(last), "CANCELLED");
  demand((await stage.client.cancel({ ...last, job: newJob() })) === "not-found", "a job that never was");
  return collected;
}

const CASES = { tampered, forged, acks, cancel };

async function main(): Promise<void> {
  const { values, positionals } = parse(process.argv.slice(2));
  const [name, circuitName, witness] = positionals;
  const run = Object.entries(CASES).find(([known]) => known === name)?.[1];
  if (run === undefined || circuitName === undefined || witness === undefined)
    throw new Error("usage: interop CASE CIRCUIT WITNESS");
  const config = configOf(values);
  const nats = await connect(connectionOf(values));
  const client = await Client.connect(config, connectionOf(values));
  const prepare = async (): Promise<Prepared> =>
    client.prepare(await client.bundle(), circuit(circuitName), readFileSync(witness), submitOptions(values));
  try {
    console.log(JSON.stringify(await run({ nats, config, client, values, prepare })));
  } finally {
    await client.close();
    await nats.close();
  }
}

await main();
