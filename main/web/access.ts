/**
 * Who may come in: the browser of the user who started the shell. A token in the address, good for one use,
 * becomes a cookie that scripts and other sites can't use; requests must be addressed to this computer by a
 * name of its own (against rebinding of names) and come from our own page.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

const secret = (): string => randomBytes(32).toString('base64url');

/** Compares without telling, by the time it takes, how much is right. */
function equal(a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}

export class Access {
  readonly #tokens = new Set<string>();
  readonly #sessions = new Set<string>();
  /** The listening port; part of the cookie's name, since cookies do not tell ports apart. */
  readonly #port: number;

  constructor(port: number) {
    this.#port = port;
  }

  /** A new token, for one use. */
  token(): string {
    const token = secret();
    this.#tokens.add(token);
    return token;
  }

  /** Takes a token.
   * @returns the header `Set-Cookie` for whoever brought it; undefined where it is none, or was used before */
  redeem(token: string): string | undefined {
    for (const each of this.#tokens) {
      if (!equal(each, token)) continue;
      this.#tokens.delete(each);
      const session = secret();
      this.#sessions.add(session);
      return `${this.#cookie}=${session}; HttpOnly; SameSite=Strict; Path=/`;
    }
    return undefined;
  }

  /** Whether a request brings the cookie. */
  isKnown({ headers }: IncomingMessage): boolean {
    for (const part of (headers.cookie ?? '').split(';')) {
      const [name, value] = part.trim().split('=', 2);
      if (name !== this.#cookie || value === undefined) continue;
      for (const session of this.#sessions) if (equal(session, value)) return true;
    }
    return false;
  }

  /** Whether a request is addressed to us. */
  isOurs({ headers }: IncomingMessage): boolean {
    return headers.host === `127.0.0.1:${this.#port}` || headers.host === `localhost:${this.#port}`;
  }

  /** Whether a request comes from our own page: browsers say so with every WebSocket. */
  isFromUs({ headers }: IncomingMessage): boolean {
    return headers.origin === `http://${headers.host}`;
  }

  get #cookie(): string {
    return `guesthouse-${this.#port}`;
  }
}
