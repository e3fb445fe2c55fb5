/**
 * The library: the machines of a user, one folder each. The folder's name is the machine's id, and in it lie
 *
 * ```
 * machine.json  the configuration (stored-machine.ts)
 * run.json      what the engine left of the last run (engine/api/control.ts)
 * error.json    what went wrong last, and what of that was dismissed (notes.ts)
 * engine.log    the last words of the engine's process
 * ```
 *
 * Several programs may use a library at a time. Nothing is kept open or locked: a configuration is replaced
 * whole, and only where nobody else has done so since it was read.
 */
import { randomUUID } from 'node:crypto';
import { lstatSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import type { Problem } from '../../engine/api/problem.ts';
import { problem } from '../../engine/api/problem.ts';
import { GuesthouseError } from '../../engine/base/errors.ts';
import type { MachineDocument } from '../contract/document.ts';
import { machineIdSchema } from '../contract/machine.ts';
import { writeAtomically } from './atomic-write.ts';
import { copyFolder } from './copy-folder.ts';
import { type Content, formatDocument, LARGEST_DOCUMENT, parseStored, revisionOf } from './stored-machine.ts';

export const FILES = {
  document: 'machine.json',
  run: 'run.json',
  notes: 'error.json',
  log: 'engine.log',
} as const;

/** What of a machine's folder belongs to one run and is not copied with it. */
const OF_A_RUN: readonly string[] = [FILES.run, FILES.notes, FILES.log];

/** Puts files into the folder of a new machine, `work` by now and `folder` when it is there.
 * @returns what the machine is */
export type Furnish = (document: MachineDocument, work: string, folder: string) => MachineDocument;

/** A disk whose file went from one folder to another, where it lies in the former. */
function moved<D extends MachineDocument['disks'][number]>(disk: D, from: string, to: string): D {
  if (disk.file === undefined) return disk;
  const place = path.relative(from, disk.file);
  const isInside = place !== '' && !place.startsWith('..') && !path.isAbsolute(place);
  return isInside ? { ...disk, file: path.join(to, place) } : disk;
}

/** A machine as it is stored. */
export interface StoredMachine {
  readonly id: string;
  /** Absolute. */
  readonly folder: string;
  readonly revision: string;
  readonly text: string;
  /** Null where the text is damaged or newer than this program; then `problem` says so. */
  readonly document: MachineDocument | null;
  readonly problem: Problem | null;
}

/** Tells which text a file held when it was read last. */
interface Cached {
  readonly stamp: string;
  readonly machine: StoredMachine;
}

export class Library {
  /** Absolute. */
  readonly directory: string;
  readonly #cache = new Map<string, Cached>();

  /** @param directory made when the first machine is */
  constructor(directory: string) {
    this.directory = path.resolve(directory);
  }

  /** Every machine, in no particular order. A library that is not there yet has none.
   * @throws GuesthouseError `resources` where the folder can't be read */
  list(): StoredMachine[] {
    const machines = this.#ids().flatMap((id) => this.find(id) ?? []);
    const known = new Set(machines.map(({ id }) => id));
    for (const id of this.#cache.keys()) if (!known.has(id)) this.#cache.delete(id);
    return machines;
  }

  /** A machine by id; undefined where there is none. */
  find(id: string): StoredMachine | undefined {
    const folder = this.folder(id);
    const status = statSync(folder, { throwIfNoEntry: false });
    if (status?.isDirectory() !== true) return undefined;
    const file = path.join(folder, FILES.document);
    try {
      const { ino, size, mtimeNs } = statSync(file, { bigint: true });
      const stamp = `${ino} ${size} ${mtimeNs}`;
      const cached = this.#cache.get(id);
      if (cached?.stamp === stamp) return cached.machine;
      if (size > LARGEST_DOCUMENT) {
        return this.#unreadable(id, folder, `${FILES.document} is larger than any configuration`);
      }
      const text = readFileSync(file, 'utf8');
      const machine = { id, folder, revision: revisionOf(text), text, ...parseStored(text) };
      this.#cache.set(id, { stamp, machine });
      return machine;
    } catch (error) {
      return this.#unreadable(id, folder, error instanceof Error ? error.message : String(error));
    }
  }

  /** As {@link find}.
   * @throws GuesthouseError `state` where there is none */
  get(id: string): StoredMachine {
    const found = this.find(id);
    if (found === undefined)
      throw new GuesthouseError('state', 'there is no such machine', 'it may have been deleted');
    return found;
  }

  /** A machine's folder, there or not.
   * @throws GuesthouseError `usage` for what is no id */
  folder(id: string): string {
    // The one place where an id becomes a path.
    if (!machineIdSchema.safeParse(id).success)
      throw new GuesthouseError('usage', `'${id}' is no machine's id`);
    return path.join(this.directory, id);
  }

  /**
   * Adds a machine.
   *
   * @throws GuesthouseError `state` where its name is taken, `resources` where it can't be written
   */
  define(document: MachineDocument, furnish: Furnish = (wanted) => wanted): StoredMachine {
    this.#requireFreeName(document.name);
    return this.#make((work, folder) => {
      mkdirSync(work);
      return furnish(document, work, folder);
    });
  }

  /**
   * Replaces a machine's document.
   *
   * @param revision of what the caller has seen
   * @throws GuesthouseError `state` where it is another now, or the name is taken
   */
  replace(id: string, revision: string, document: MachineDocument): StoredMachine {
    const stored = this.get(id);
    if (stored.revision !== revision) {
      throw new GuesthouseError(
        'state',
        'the configuration was changed elsewhere meanwhile',
        'look at it again',
      );
    }
    if (stored.document === null) throw damagedError(stored);
    if (stored.document.name !== document.name) this.#requireFreeName(document.name, id);
    writeAtomically(path.join(stored.folder, FILES.document), formatDocument(document));
    return this.get(id);
  }

  /**
   * Copies a machine with the files in its folder, under another name.
   *
   * @param progress told how much has been copied, 0 to 1; what it throws ends the copying, and nothing is left
   * @param check whether the copy is good, once it is there; what it throws has it thrown away
   * @param signal ends the copying, and nothing is left
   */
  async clone(
    original: string,
    name: string,
    progress: (share: number) => void = () => {},
    check: () => Promise<void> = async () => {},
    signal?: AbortSignal,
  ): Promise<StoredMachine> {
    const stored = this.get(original);
    const { document, folder: source } = stored;
    if (document === null) throw damagedError(stored);
    this.#requireFreeName(name);
    const { id, folder, work } = this.#place();
    try {
      await copyFolder(source, work, { without: OF_A_RUN, progress, signal });
      await check();
      this.#requireFreeName(name);
      const disks = document.disks.map((disk) => moved(disk, source, folder));
      this.#appear(work, folder, { ...document, name, disks });
    } catch (error) {
      throw this.#undone(work, folder, error);
    }
    return this.get(id);
  }

  /** Every file in a machine's folder, by its path there, with its size in bytes. */
  files(id: string): Array<{ name: string; bytes: number }> {
    const { folder } = this.get(id);
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => !entry.isDirectory())
      .map((entry) => {
        const file = path.join(entry.parentPath, entry.name);
        return {
          name: path.relative(folder, file),
          bytes: lstatSync(file, { throwIfNoEntry: false })?.size ?? 0,
        };
      })
      .sort((a, b) => a.name.localeCompare(b.name));
  }

  /** Deletes a machine's folder with all that is in it. It is out of the list at once, whatever becomes of its
   * files. Links are deleted, not followed. */
  async remove(id: string): Promise<void> {
    const { folder } = this.get(id);
    const doomed = path.join(this.directory, `.deleted-${randomUUID()}`);
    try {
      renameSync(folder, doomed);
      this.#cache.delete(id);
      await rm(doomed, { recursive: true, force: true });
    } catch (error) {
      throw this.#failed('delete', folder, error);
    }
  }

  /** @param fill makes and fills a folder that becomes another, and says what the machine is */
  #make(fill: (work: string, folder: string) => MachineDocument): StoredMachine {
    const { id, folder, work } = this.#place();
    try {
      this.#appear(work, folder, fill(work, folder));
    } catch (error) {
      throw this.#undone(work, folder, error);
    }
    return this.get(id);
  }

  /** Where a new machine is to be, and the folder in which it is made ready. */
  #place(): { id: string; folder: string; work: string } {
    const id = randomUUID();
    const [folder, work] = [this.folder(id), path.join(this.directory, `.new-${id}`)];
    try {
      mkdirSync(this.directory, { recursive: true, mode: 0o700 });
    } catch (error) {
      throw this.#failed('make', folder, error);
    }
    return { id, folder, work };
  }

  /** Has a machine appear whole, or not at all. */
  #appear(work: string, folder: string, document: MachineDocument): void {
    writeAtomically(path.join(work, FILES.document), formatDocument(document));
    renameSync(work, folder);
  }

  #undone(work: string, folder: string, error: unknown): GuesthouseError {
    rmSync(work, { recursive: true, force: true });
    return error instanceof GuesthouseError ? error : this.#failed('make', folder, error);
  }

  #requireFreeName(name: string, except?: string): void {
    const taken = this.list().some(({ id, document }) => id !== except && document?.name === name);
    if (taken)
      throw new GuesthouseError(
        'state',
        `there is a machine called '${name}' already`,
        'choose another name',
      );
  }

  #ids(): string[] {
    try {
      return readdirSync(this.directory).filter((name) => machineIdSchema.safeParse(name).success);
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
      throw this.#failed('read', this.directory, error);
    }
  }

  #unreadable(id: string, folder: string, reason: string): StoredMachine {
    const content: Content = {
      document: null,
      problem: problem(
        'file',
        `its configuration cannot be read: ${reason}`,
        'mend machine.json in its folder, or delete the machine',
      ),
    };
    return { id, folder, revision: '', text: '', ...content };
  }

  #failed(what: string, where: string, cause: unknown): GuesthouseError {
    const reason = cause instanceof Error ? cause.message : String(cause);
    return new GuesthouseError('resources', `cannot ${what} ${where}: ${reason}`, undefined, { cause });
  }
}

/** What is said to whoever wants more of a damaged machine than to look at it or delete it. */
export function damagedError({ problem: found }: StoredMachine): GuesthouseError {
  return new GuesthouseError(
    found?.code ?? 'config',
    found?.message ?? 'its configuration is damaged',
    found?.hint,
  );
}
