/**
 * Tier 0 as an earlier process has built it, kept in a file: machines wait for it when they start.
 *
 * It lies where Node keeps what it has compiled of the engine (node:module, enableCompileCache), by a digest of all of the
 * engine's files, so that whatever is changed, what was built before is not used. Where nothing is to be kept, or
 * cannot be, each machine builds its own.
 */
import { createHash } from 'node:crypto';
import {
  globSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import type { CompiledTier0 } from './tier0.ts';

const ENGINE = path.resolve(import.meta.dirname, '../../..');
/** Also of what a process that was killed has left unfinished. */
const NAME = /^tier0-[0-9a-f]{64}(?:\.\d+)?$/;
/** Files at most: this engine's, and those of other checkouts. */
const MOST_KEPT = 4;

/** What stands in a file before the module, as a line of JSON. */
interface Head {
  readonly handlers: number;
  readonly complex: readonly string[];
  /** Digest of the module, as files may be damaged. */
  readonly sha256: string;
}

/** Tier 0 with what its module is compiled from. */
export interface EncodedTier0 extends Omit<CompiledTier0, 'module'> {
  readonly bytes: Uint8Array<ArrayBuffer>;
}

const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Of the engine as it is, and with it of all that decides what is built; undefined where its files cannot be read. */
function engineDigest(): string | undefined {
  try {
    const hash = createHash('sha256');
    const files = globSync('**/*.{ts,js}', { cwd: ENGINE, exclude: (name) => name.includes('.test.') });
    // A package may hide what is in it, and the digest of nothing says nothing.
    if (!files.includes(path.relative(ENGINE, import.meta.filename))) return undefined;
    for (const file of files.toSorted()) {
      const text = readFileSync(path.join(ENGINE, file));
      hash.update(`${file} ${text.length}\n`).update(text);
    }
    return hash.digest('hex');
  } catch {
    return undefined;
  }
}

/** Where tier 0 is kept in a process. */
export class KeptTier0 {
  /** Undefined where nothing is kept. */
  readonly #file: string | undefined;

  /** @param folder undefined where nothing is to be kept */
  constructor(folder: string | undefined) {
    const name = folder === undefined ? undefined : engineDigest();
    this.#file = folder === undefined || name === undefined ? undefined : path.join(folder, `tier0-${name}`);
  }

  /** What is kept; undefined where that is nothing, or damaged. */
  load(): CompiledTier0 | undefined {
    if (this.#file === undefined) return undefined;
    try {
      const file = readFileSync(this.#file);
      const end = file.indexOf('\n');
      const { handlers, complex, sha256 } = JSON.parse(file.toString('utf8', 0, end)) as Head;
      const bytes = file.subarray(end + 1);
      return digest(bytes) === sha256
        ? { module: new WebAssembly.Module(bytes), handlers, complex }
        : undefined;
    } catch {
      return undefined;
    }
  }

  /** Keeps it for others. Where that cannot be done, they build their own. */
  save({ bytes, handlers, complex }: EncodedTier0): void {
    if (this.#file === undefined) return;
    const folder = path.dirname(this.#file);
    const head: Head = { handlers, complex, sha256: digest(bytes) };
    const temporary = `${this.#file}.${process.pid}`;
    try {
      mkdirSync(folder, { recursive: true });
    } catch {
      return;
    }
    try {
      writeFileSync(temporary, Buffer.concat([Buffer.from(`${JSON.stringify(head)}\n`), bytes]), {
        mode: 0o600,
      });
      renameSync(temporary, this.#file);
      this.#tidy(folder);
    } catch {
      rmSync(temporary, { force: true });
    }
  }

  /** Removes what is oldest. */
  #tidy(folder: string): void {
    const age = (file: string) => statSync(file).mtimeMs;
    const kept = readdirSync(folder)
      .filter((name) => NAME.test(name))
      .map((name) => path.join(folder, name));
    const oldest = kept.toSorted((a, b) => age(a) - age(b)).slice(0, -MOST_KEPT);
    for (const file of oldest) rmSync(file, { force: true });
  }
}
