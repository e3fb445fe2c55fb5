/**
 * The storage pools that a user has named: a file beside the library, `pools.json`, with a name and a folder for
 * each. One, `default`, is always there: the folder `images` beside the library.
 */
import { mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { GuesthouseError } from '../../engine/base/errors.ts';
import { parseJson } from '../contract/client.ts';
import { DEFAULT_POOL, poolNameSchema } from '../contract/storage.ts';
import { writeAtomically } from './atomic-write.ts';

const fileSchema = z.strictObject({
  version: z.literal(1),
  pools: z.array(z.strictObject({ name: poolNameSchema, path: z.string().min(1) })),
});

/** A pool as it is named. */
export interface NamedPool {
  readonly name: string;
  /** Absolute. */
  readonly path: string;
  readonly builtIn: boolean;
}

export class PoolStore {
  readonly #file: string;
  readonly #images: string;

  /** @param directory the library's parent */
  constructor(directory: string) {
    this.#file = path.join(directory, 'pools.json');
    this.#images = path.join(directory, 'images');
  }

  /** All pools, the built-in one first. @throws GuesthouseError `config` where their file is damaged */
  list(): NamedPool[] {
    return [
      { name: DEFAULT_POOL, path: this.#images, builtIn: true },
      ...this.#read().map((pool) => ({ ...pool, builtIn: false })),
    ];
  }

  /** @throws GuesthouseError `config` where there is none of that name */
  get(name: string): NamedPool {
    const pools = this.list();
    const found = pools.find((pool) => pool.name === name);
    if (found !== undefined) return found;
    const names = pools.map((pool) => pool.name).join(', ');
    throw new GuesthouseError('config', `there is no pool called '${name}'`, `there are ${names}`);
  }

  /** Names a folder.
   * @throws GuesthouseError `config` for what is no name or no absolute path, `state` where either is taken */
  add(name: string, folder: string): void {
    const checked = poolNameSchema.safeParse(name);
    if (!checked.success) throw new GuesthouseError('config', `NAME ${checked.error.issues[0].message}`);
    if (!path.isAbsolute(folder) || folder.includes('\0')) {
      throw new GuesthouseError('config', 'a pool’s folder is named by an absolute path');
    }
    const pools = this.list();
    const place = path.resolve(folder);
    const twin = pools.find((pool) => pool.name === name || pool.path === place);
    if (twin !== undefined) {
      const what = twin.name === name ? `a pool called '${name}'` : `a pool at ${place}, '${twin.name}'`;
      throw new GuesthouseError('state', `there is ${what} already`);
    }
    this.#write([...this.#read(), { name, path: place }]);
  }

  /** Forgets a pool; its folder stays as it is.
   * @throws GuesthouseError `state` for the built-in one */
  remove(name: string): void {
    if (this.get(name).builtIn) throw new GuesthouseError('state', `the pool '${name}' is always there`);
    this.#write(this.#read().filter((pool) => pool.name !== name));
  }

  #read(): Array<{ name: string; path: string }> {
    let text: string;
    try {
      text = readFileSync(this.#file, 'utf8');
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
      const reason = error instanceof Error ? error.message : String(error);
      throw new GuesthouseError('file', `cannot read ${this.#file}: ${reason}`, undefined, { cause: error });
    }
    const parsed = fileSchema.safeParse(parseJson(text));
    if (parsed.success) return parsed.data.pools;
    throw new GuesthouseError(
      'config',
      `${this.#file} is damaged`,
      'mend it, or delete it and name the pools anew',
    );
  }

  #write(pools: ReadonlyArray<{ readonly name: string; readonly path: string }>): void {
    mkdirSync(path.dirname(this.#file), { recursive: true, mode: 0o700 });
    writeAtomically(this.#file, `${JSON.stringify({ version: 1, pools }, undefined, 2)}\n`);
  }
}
