// The command: a witness in, a proof out.
//
//   prove CIRCUIT WITNESS [--out FILE]          seal, submit, wait, open, check
//   prove submit CIRCUIT WITNESS --ticket FILE  seal, keep the ticket, submit
//   prove answer TICKET [--out FILE]            wait, open, check
//   prove cancel TICKET                         take the job back
//   prove bundle                                fetch and verify the bundle
//
// It ends with 0 when it has what was asked for, with 3 on an authenticated answer without a proof, with 4 where
// nothing authenticated came, with 1 on an error, and prints one line of JSON.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hex } from "./bytes.js";
import type { Bundle } from "./bundle.js";
import { Client, type Collected, type Prepared } from "./client.js";
import { circuit } from "./names.js";
import { configOf, connectionOf, parse, submitOptions, type Values } from "./settings.js";
import { readTicket, writeTicket } from "./ticket.js";

async function prepare(client: Client, values: Values, name: string, file: string): Promise<Prepared> {
  return client.prepare(await client.bundle(), circuit(name), readFileSync(file), submitOptions(values));
}

async function submit(client: Client, values: Values, name: string, file: string, ticket: string): Promise<void> {
  const job = await prepare(client, values, name, file);
  writeTicket(ticket, job.ticket); // before the job is published: from then on, somebody may prove it
  await client.publish(job);
}

async function prove(client: Client, values: Values, name: string, file: string): Promise<Collected> {
  const folder = mkdtempSync(join(tmpdir(), "sealprove-"));
  try {
    const ticket = values.ticket ?? join(folder, "ticket.json");
    await submit(client, values, name, file, ticket);
    return await client.wait(readTicket(ticket));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Prints what came, keeps the document of an answer where `--out` says, and says how the program is to end. */
function report(collected: Collected, out: string | undefined): number {
  if (collected.kind !== "answer") {
    console.log(JSON.stringify({ result: collected.kind, ...collected }));
    return 4;
  }
  if (out !== undefined) writeFileSync(out, collected.document);
  const { result } = collected;
  if (result.kind === "error") {
    console.log(JSON.stringify({ result: "refused", code: result.code, message: result.message }));
    return 3;
  }
  const { verifyingKey, proof, publicInputs } = result.proof;
  const said = { verifyingKey, proofBytes: proof.length, publicInputs: hex(publicInputs) };
  console.log(JSON.stringify({ result: "proved", ...said }));
  return 0;
}

function reportBundle(bundle: Bundle): number {
  const circuits = bundle.circuits.map((listed) => listed.id);
  const keys = bundle.keys.map((key) => `${key.scheme} ${key.id}`);
  const { deployment, serial } = bundle;
  console.log(JSON.stringify({ result: "accepted", deployment, serial, circuits, keys }));
  return 0;
}

async function run(client: Client, values: Values, words: string[]): Promise<number> {
  const [command, first, second] = words;
  if (command === "bundle" && words.length === 1) return reportBundle(await client.bundle());
  if (command === "answer" && first !== undefined && words.length === 2) {
    return report(await client.wait(readTicket(first)), values.out);
  }
  if (command === "cancel" && first !== undefined && words.length === 2) {
    const result = await client.cancel(readTicket(first));
    console.log(JSON.stringify({ result }));
    return result === "cancelled" ? 0 : 4;
  }
  if (command === "submit" && first !== undefined && second !== undefined && values.ticket !== undefined) {
    await submit(client, values, first, second, values.ticket);
    console.log(JSON.stringify({ result: "submitted", ticket: values.ticket }));
    return 0;
  }
  if (command !== undefined && first !== undefined && words.length === 2) {
    return report(await prove(client, values, command, first), values.out);
  }
  throw new Error("no such command; the head of src/prove.ts lists them");
}

async function main(): Promise<number> {
  const { values, positionals } = parse(process.argv.slice(2));
  const client = await Client.connect(configOf(values), connectionOf(values));
  try {
    return await run(client, values, positionals);
  } finally {
    await client.close();
  }
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    console.error(error instanceof Error ? error.message : "failed");
    process.exitCode = 1;
  },
);
