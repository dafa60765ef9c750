// The ticket: what a client keeps of a job, to come back for its answer from another process, or tomorrow.
//
// It can open the answer, so it is a secret: a file that only its owner reads, and that is never written over.

import { readFileSync, writeFileSync } from "node:fs";
import type { AnswerKeys, Expected } from "./answer.js";
import { base64 } from "./bytes.js";
import { Members } from "./json.js";
import { circuit, digest, job, tenant } from "./names.js";

export interface Ticket extends Expected, AnswerKeys {
  /** The deadline, and the moment of submission, in Unix seconds: they say what no answer means. */
  expires: number;
  submitted: number;
}

export function writeTicket(path: string, ticket: Ticket): void {
  const { info, enc, answerSecret, ...rest } = ticket;
  const secret = { info: base64(info), enc: base64(enc), answerSecret: base64(answerSecret) };
  writeFileSync(path, `${JSON.stringify({ ...rest, ...secret })}\n`, { mode: 0o600, flag: "wx" });
}

export function readTicket(path: string): Ticket {
  const ticket = Members.parse("ticket", readFileSync(path));
  const keys = ticket.any("proofKeys");
  return {
    tenant: tenant(ticket.text("tenant")),
    circuit: circuit(ticket.text("circuit")),
    job: job(ticket.text("job")),
    proofKeys: Array.isArray(keys) ? keys.map((key) => digest(String(key))) : [],
    info: ticket.bytes("info"),
    enc: ticket.bytes("enc"),
    answerSecret: ticket.bytes("answerSecret"),
    expires: ticket.whole("expires"),
    submitted: ticket.whole("submitted"),
  };
}
