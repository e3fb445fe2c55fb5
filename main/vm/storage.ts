/**
 * Storage: the images in the pools' folders and those that machines have elsewhere, which machine uses which, and
 * making, growing and deleting them. What a machine or another image needs is not deleted.
 */
import { existsSync, mkdirSync, readdirSync, realpathSync, statfsSync, statSync } from 'node:fs';
import path from 'node:path';
import { diskTargets } from '../../engine/api/disk-targets.ts';
import { problemOf } from '../../engine/api/problem.ts';
import { GuesthouseError } from '../../engine/base/errors.ts';
import {
  createImage,
  deleteImage,
  type ImageFormat,
  imageInfo,
  resizeImage,
} from '../../engine/host/image-tools.ts';
import type { MachineSummary } from '../contract/machine.ts';
import { imageName, type NewDisk, type Pool, type Volume, volumeNameSchema } from '../contract/storage.ts';
import type { NamedPool, PoolStore } from '../store/pools.ts';
import { type Manager, requireDocument, withDisk } from './manager.ts';

/** Files of a folder that are looked at. */
const MOST_VOLUMES = 1000;

/** What a new image is to be. */
export interface NewVolume {
  readonly name: string;
  readonly format: ImageFormat;
  /** Bytes; that of the image behind it where absent. */
  readonly capacity?: number | undefined;
  /** The image behind it: absolute. */
  readonly backing?: { readonly file: string; readonly format?: ImageFormat | undefined } | undefined;
}

export class Storage {
  readonly pools: PoolStore;
  readonly #manager: Manager;

  constructor(manager: Manager, pools: PoolStore) {
    this.#manager = manager;
    this.pools = pools;
  }

  /** Everything: the pools with their images, and the images of machines that are in none. */
  async list(): Promise<{ pools: Pool[]; others: Volume[] }> {
    const users = await this.#users();
    const pools = this.pools.list().map((pool) => listPool(pool, users));
    const inPools = new Set(pools.flatMap(({ volumes }) => volumes.map((volume) => real(volume.path))));
    const others = [...users.keys()]
      .filter((file) => !inPools.has(file))
      .map((file) => describe(path.basename(file), file, null, users))
      .sort((a, b) => a.path.localeCompare(b.path));
    const all = [...pools.flatMap(({ volumes }) => volumes), ...others];
    const overlays = Map.groupBy(
      all.filter(({ backing }) => backing !== null),
      ({ backing }) => real(backing ?? ''),
    );
    const withOverlays = (volume: Volume): Volume => ({
      ...volume,
      overlays: (overlays.get(real(volume.path)) ?? []).map((overlay) => overlay.path),
    });
    return {
      pools: pools.map((pool) => ({ ...pool, volumes: pool.volumes.map(withOverlays) })),
      others: others.map(withOverlays),
    };
  }

  /**
   * An image that is known, by its path, or by its name in a pool.
   *
   * @param pool where it is; any where absent
   * @throws GuesthouseError `config` where there is none, or several
   */
  async find(word: string, pool?: string): Promise<Volume> {
    if (pool !== undefined) this.pools.get(pool);
    const { pools, others } = await this.list();
    const known = [...pools.flatMap(({ volumes }) => volumes), ...others];
    const found = known.filter(
      (volume) =>
        (pool === undefined || volume.pool === pool) &&
        (volume.path === word || (volume.name === word && (volume.pool !== null || pool === undefined))),
    );
    const [first] = found;
    if (found.length > 1) {
      const paths = found.map((volume) => volume.path).join(', ');
      throw new GuesthouseError(
        'config',
        `there are ${found.length} images called '${word}'`,
        `name its path: ${paths}`,
      );
    }
    if (first !== undefined) return first;
    const where = pool === undefined ? 'no pool has' : `the pool '${pool}' has no`;
    throw new GuesthouseError('config', `${where} image '${word}'`, 'see guesthouse vol-list');
  }

  /** Makes an image in a pool. @returns its path */
  create(pool: string, { name, format, capacity, backing }: NewVolume): string {
    const { path: folder } = this.pools.get(pool);
    const checked = volumeNameSchema.safeParse(name);
    if (!checked.success) throw new GuesthouseError('config', `NAME ${checked.error.issues[0].message}`);
    mkdirSync(folder, { recursive: true });
    const file = path.join(folder, name);
    createImage(file, { format, size: capacity, backing });
    return file;
  }

  /**
   * Makes a machine with a new disk in a pool, called as the machine is.
   *
   * @throws as {@link Manager.define}; the disk is not left then
   */
  async define(input: unknown, pool: string, { gibibytes, bus, format }: NewDisk): Promise<MachineSummary> {
    const document = requireDocument(input);
    const { path: folder } = this.pools.get(pool);
    const base = document.name.replaceAll(/[^\p{L}\p{N}._-]+/gu, '-').replace(/^[.-]+/, '') || 'disk';
    let name = imageName(base, format);
    for (let i = 2; existsSync(path.join(folder, name)); i++) name = imageName(`${base}-${i}`, format);
    const machine = withDisk(document, { file: path.join(folder, name), bus });
    const file = this.create(pool, { name, format, capacity: gibibytes * 2 ** 30 });
    try {
      return await this.#manager.define(machine);
    } catch (error) {
      deleteImage(file);
      throw error;
    }
  }

  /** Makes an image larger; a raw one also smaller, where `shrink`.
   * @param capacity bytes */
  async resize(volume: Volume, capacity: number, shrink = false): Promise<void> {
    requireReadable(volume);
    const user = volume.users.find(({ running }) => running);
    if (user !== undefined) {
      throw new GuesthouseError(
        'state',
        `${volume.path} is in use by '${user.name}'`,
        'shut that machine down first',
      );
    }
    if (volume.overlays.length > 0) throw behind(volume);
    resizeImage(volume.path, capacity, { format: volume.format ?? undefined, shrink });
  }

  /** Deletes an image that nobody needs.
   * @throws GuesthouseError `state` where it is used, or in no pool */
  async delete(volume: Volume): Promise<void> {
    const [user] = volume.users;
    if (user !== undefined) {
      throw new GuesthouseError(
        'state',
        `${volume.path} is ${user.target} of '${user.name}'`,
        'detach it there first, or delete that machine',
      );
    }
    if (volume.overlays.length > 0) throw behind(volume);
    if (volume.pool === null) throw new GuesthouseError('state', `${volume.path} is in no pool`);
    deleteImage(volume.path);
  }

  /** Which machines have which files, by real path. */
  async #users(): Promise<Map<string, Volume['users']>> {
    const users = new Map<string, Volume['users']>();
    for (const { id, name, pid } of await this.#manager.list()) {
      const { document, running } = await this.#manager.get(id);
      for (const each of new Set([document, running])) {
        if (each === null) continue;
        const targets = diskTargets(each.disks);
        for (const [i, { file }] of each.disks.entries()) {
          if (file === undefined) continue;
          const key = real(file);
          const before = users.get(key) ?? [];
          const isKnown = before.some((user) => user.id === id);
          // A running machine has what it runs with; what it is to have next time is used too.
          const user = { id, name, target: targets[i], running: pid !== null && each === running };
          if (!isKnown) users.set(key, [...before, user]);
          else if (user.running) users.set(key, [...before.filter((other) => other.id !== id), user]);
        }
      }
    }
    return users;
  }
}

/** A file's one path, whatever links lead to it; as it is where there is none. */
function real(file: string): string {
  try {
    return realpathSync(file);
  } catch {
    return path.resolve(file);
  }
}

function listPool(pool: NamedPool, users: ReadonlyMap<string, Volume['users']>): Pool {
  const space = spaceOf(pool.path);
  const listed = { ...pool, ...space };
  try {
    const names = readdirSync(pool.path)
      .filter((name) => !name.startsWith('.') && !/\.new-\d+$/.test(name))
      .slice(0, MOST_VOLUMES)
      .sort((a, b) => a.localeCompare(b, undefined, { numeric: true }));
    const volumes = names.flatMap((name) => {
      const file = path.join(pool.path, name);
      const isFile = statSync(file, { throwIfNoEntry: false })?.isFile() === true;
      return isFile ? [describe(name, file, pool.name, users)] : [];
    });
    return { ...listed, volumes, problem: null };
  } catch (error) {
    // The built-in folder is made when something is to be put into it.
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    if (pool.builtIn && isMissing) return { ...listed, volumes: [], problem: null };
    const reason = isMissing ? 'it does not exist' : error instanceof Error ? error.message : String(error);
    const wrong = new GuesthouseError('file', `cannot list ${pool.path}: ${reason}`);
    return { ...listed, volumes: [], problem: problemOf(wrong) };
  }
}

/** Of the file system on which a folder is, or would be. */
function spaceOf(folder: string): Pick<Pool, 'capacity' | 'available'> {
  try {
    const { bsize, blocks, bavail } = statfsSync(folder);
    return { capacity: bsize * blocks, available: bsize * bavail };
  } catch {
    const parent = path.dirname(folder);
    return parent === folder ? { capacity: null, available: null } : spaceOf(parent);
  }
}

function describe(
  name: string,
  file: string,
  pool: string | null,
  users: ReadonlyMap<string, Volume['users']>,
): Volume {
  const volume = { name, path: file, pool, users: users.get(real(file)) ?? [], overlays: [] };
  try {
    const { format, size, allocated, backingFile } = imageInfo(file);
    const backing = backingFile === null ? null : path.resolve(path.dirname(file), backingFile);
    return { ...volume, format, capacity: size, allocation: allocated, backing, problem: null };
  } catch (error) {
    return { ...volume, format: null, capacity: 0, allocation: 0, backing: null, problem: problemOf(error) };
  }
}

function requireReadable({ problem, path: file }: Volume): void {
  if (problem !== null)
    throw new GuesthouseError(problem.code, problem.message, problem.hint ?? `see ${file}`);
}

function behind({ path: file, overlays }: Volume): GuesthouseError {
  return new GuesthouseError(
    'state',
    `${file} is the backing file of ${overlays[0]}`,
    'that would be destroyed with it',
  );
}
