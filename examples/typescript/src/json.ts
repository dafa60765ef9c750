// Reading JSON that somebody else wrote: each member is asked for with its type, members that are not asked for
// are passed over, and `null` is as good as absent.

import { type Bytes, fromBase64, textOf } from "./bytes.js";

export class Malformed extends Error {}

/** One JSON object, read member by member. */
export class Members {
  private constructor(
    private readonly name: string,
    private readonly members: Record<string, unknown>,
  ) {}

  static parse(name: string, bytes: Uint8Array): Members {
    const text = textOf(bytes);
    if (text === undefined) throw new Malformed(`${name} is not UTF-8`);
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      throw new Malformed(`${name} is not JSON`); // without its cause, which would quote the text
    }
    return Members.of(name, value);
  }

  static of(name: string, value: unknown): Members {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw new Malformed(`${name} is not a JSON object`);
    }
    return new Members(name, value as Record<string, unknown>);
  }

  names(): string[] {
    return Object.keys(this.members);
  }

  has(member: string): boolean {
    return Object.hasOwn(this.members, member) && this.members[member] !== null;
  }

  any(member: string): unknown {
    return Object.hasOwn(this.members, member) ? this.members[member] : undefined;
  }

  text(member: string, shape = /^[^]*$/): string {
    const value = this.any(member);
    if (typeof value !== "string" || !shape.test(value)) throw this.wrong(member);
    return value;
  }

  /** A whole number from 0 to `most`; the default is what JavaScript holds exactly. */
  whole(member: string, most = Number.MAX_SAFE_INTEGER): number {
    const value = this.any(member);
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0 || value > most)
      throw this.wrong(member);
    return value;
  }

  flag(member: string): boolean {
    const value = this.any(member);
    if (typeof value !== "boolean") throw this.wrong(member);
    return value;
  }

  bytes(member: string): Bytes {
    const bytes = fromBase64(this.text(member));
    if (bytes === undefined) throw this.wrong(member);
    return bytes;
  }

  inner(member: string): Members {
    return Members.of(`${this.name}.${member}`, this.any(member));
  }

  list(member: string): Members[] {
    const value = this.any(member);
    if (!Array.isArray(value)) throw this.wrong(member);
    return value.map((item, at) => Members.of(`${this.name}.${member}[${at}]`, item));
  }

  private wrong(member: string): Malformed {
    return new Malformed(`${this.name}.${member} is missing or malformed`);
  }
}
