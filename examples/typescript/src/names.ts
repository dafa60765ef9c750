// Names and subjects. A name is checked once, here; after that it can stand in a subject and in the seal.

import { randomBytes } from "node:crypto";

declare const kind: unique symbol;
type Named<Kind extends string> = string & { readonly [kind]: Kind };

export type Tenant = Named<"tenant">;
export type Circuit = Named<"circuit">;
export type Job = Named<"job">;
export type Deployment = Named<"deployment">;
export type KeyId = Named<"key id">;
export type Digest = Named<"digest">;
export type Prefix = Named<"prefix">;
export type Lane = "express" | "standard";
export type AnswerMode = "sealed" | "open";

export const SHAPES = {
  tenant: /^[A-Za-z0-9_-]{1,64}$/,
  circuit: /^[a-z0-9-]{1,64}$/,
  job: /^[0-9a-f]{32}$/,
  deployment: /^[A-Za-z0-9_.-]{1,64}$/,
  keyId: /^[0-9a-f]{32}$/,
  digest: /^sha256:[0-9a-f]{64}$/,
  prefix: /^(?=.{1,64}$)[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/,
} as const;

function named<Kind extends string>(what: string, shape: RegExp, text: string): Named<Kind> {
  if (!shape.test(text)) throw new Error(`not a ${what}: ${JSON.stringify(text.slice(0, 80))}`);
  return text as Named<Kind>;
}

export const tenant = (text: string): Tenant => named("tenant", SHAPES.tenant, text);
export const circuit = (text: string): Circuit => named("circuit", SHAPES.circuit, text);
export const job = (text: string): Job => named("job id", SHAPES.job, text);
export const deployment = (text: string): Deployment => named("deployment", SHAPES.deployment, text);
export const keyId = (text: string): KeyId => named("key id", SHAPES.keyId, text);
export const digest = (text: string): Digest => named("verifying key's digest", SHAPES.digest, text);
export const prefix = (text: string): Prefix => named("subject prefix", SHAPES.prefix, text);

export function lane(text: string): Lane {
  if (text !== "express" && text !== "standard") throw new Error("not a lane");
  return text;
}

/** 128 random bits: a new attempt is a new job. */
export function newJob(): Job {
  return job(randomBytes(16).toString("hex"));
}

/** What a job's subject says. */
export interface JobSubject {
  tenant: Tenant;
  lane: Lane;
  circuit: Circuit;
  job: Job;
}

export const subjects = {
  job: (p: Prefix, s: JobSubject) => `${p}.job.${s.tenant}.${s.lane}.${s.circuit}.${s.job}`,
  answer: (p: Prefix, t: Tenant, j: Job) => `${p}.answer.${t}.${j}`,
  live: (p: Prefix, t: Tenant, j: Job) => `${p}.live.${t}.${j}`,
  status: (p: Prefix, t: Tenant, j: Job) => `${p}.status.${t}.${j}`,
  cancel: (p: Prefix, t: Tenant, j: Job) => `${p}.cancel.${t}.${j}`,
  bundle: (p: Prefix) => `${p}.bundle`,
};

/** The other way round: what the tokens of a job's subject are. */
export function parseJobSubject(p: Prefix, subject: string): JobSubject {
  const head = `${p}.job.`;
  const tokens = subject.startsWith(head) ? subject.slice(head.length).split(".") : [];
  const [t, l, c, j] = tokens;
  if (tokens.length !== 4 || t === undefined || l === undefined || c === undefined || j === undefined) {
    throw new Error("not the subject of a job");
  }
  return { tenant: tenant(t), lane: lane(l), circuit: circuit(c), job: job(j) };
}
