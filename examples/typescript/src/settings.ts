// What the programs are told: flags, and the environment for those that one sets once.

import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { credsAuthenticator, type NodeConnectionOptions } from "@nats-io/transport-node";
import { Identity } from "./bundle.js";
import type { Config, SubmitOptions } from "./client.js";
import { lane, prefix, tenant } from "./names.js";
import { SCHEME_NAMES } from "./seal.js";

const OPTIONS = {
  url: { type: "string", default: process.env["SEALPROVE_URL"] ?? "127.0.0.1:4222" },
  identity: { type: "string", default: process.env["SEALPROVE_IDENTITY"] ?? "" },
  tenant: { type: "string", default: process.env["SEALPROVE_TENANT"] ?? "default" },
  prefix: { type: "string", default: process.env["SEALPROVE_PREFIX"] ?? "prove.v1" },
  state: { type: "string", default: process.env["SEALPROVE_STATE"] ?? "sealprove-state" },
  creds: { type: "string", default: process.env["SEALPROVE_CREDS"] ?? "" },
  scheme: { type: "string", multiple: true },
  open: { type: "boolean", default: false },
  lane: { type: "string", default: "standard" },
  lifetime: { type: "string", default: "3600" },
  ticket: { type: "string" },
  out: { type: "string" },
} as const;

export type Values = ReturnType<typeof parse>["values"];

export function parse(args: string[]) {
  return parseArgs({ args, options: OPTIONS, allowPositionals: true });
}

export function configOf(values: Values): Config {
  return {
    prefix: prefix(values.prefix),
    tenant: tenant(values.tenant),
    identity: Identity.parse(values.identity),
    state: values.state,
  };
}

export function connectionOf(values: Values): NodeConnectionOptions {
  return {
    servers: values.url,
    ...(values.url.startsWith("tls://") ? { tls: {} } : {}),
    ...(values.creds === "" ? {} : { authenticator: credsAuthenticator(readFileSync(values.creds)) }),
  };
}

export function submitOptions(values: Values): SubmitOptions {
  const schemes = (values.scheme ?? SCHEME_NAMES).map((wanted) => {
    const scheme = SCHEME_NAMES.find((name) => name === wanted);
    if (scheme === undefined) throw new Error(`no such scheme: ${wanted}; there are ${SCHEME_NAMES.join(" and ")}`);
    return scheme;
  });
  const lifetime = Number(values.lifetime);
  return { schemes, lane: lane(values.lane), lifetime, answer: values.open ? "open" : "sealed" };
}
