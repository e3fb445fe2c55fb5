/** What the host is, and what it offers to machines. */
import { accessSync, constants, readdirSync, rmSync, statSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { MEMORY_MIB, MOST_VCPUS } from '../../engine/api/config.ts';
import type { AcceleratorInfo } from '../../engine/api/statistics.ts';
import { GuesthouseError } from '../../engine/base/errors.ts';
import { filesOf, type MachineDocument } from '../contract/document.ts';
import type { Capabilities, Folder, HostInfo } from '../contract/host.ts';
import type { Issue } from '../contract/methods.ts';
import { runtimeDirectory } from '../store/paths.ts';
import { EngineClient } from './engine-client.ts';
import { type EngineLauncher, exitLine } from './launcher.ts';

/** Entries of a folder that are listed. */
const MOST_ENTRIES = 2000;

/** Milliseconds after which accelerators that were found are looked for again: permissions change. */
const FRESH = 60_000;

/** How long that may take, in milliseconds. */
const PROBE_PATIENCE = 60_000;

const MIB = 2 ** 20;

export class Host {
  readonly #launcher: EngineLauncher;
  readonly #library: string;
  #found: readonly AcceleratorInfo[] | undefined;
  /** When they were found, as of performance.now(). */
  #foundAt = 0;
  #probing: Promise<readonly AcceleratorInfo[]> | undefined;

  constructor(launcher: EngineLauncher, library: string) {
    this.#launcher = launcher;
    this.#library = library;
  }

  info(): HostInfo {
    const memory = Math.floor(os.totalmem() / MIB);
    const most = Math.min(MEMORY_MIB.most, memory);
    return {
      hostname: os.hostname(),
      system: `${os.type()} ${os.release()} ${os.arch()}`,
      cpus: os.availableParallelism(),
      cpuModel: os.cpus()[0]?.model.trim() ?? 'unknown',
      memory: os.totalmem(),
      freeMemory: os.freemem(),
      machineMemory: {
        // An eighth of the host's, in steps of 256 MiB, from 512 MiB to 2 GiB.
        usual: Math.min(most, Math.max(512, Math.min(2048, Math.floor(memory / 8 / 256) * 256))),
        most,
      },
      library: this.#library,
    };
  }

  /** @throws GuesthouseError where no engine comes up to say */
  async capabilities(): Promise<Capabilities> {
    const accelerators = await this.#accelerators();
    const offered = accelerators.filter(({ available }) => available).map((each) => each.mostVcpus);
    const most = Math.min(MOST_VCPUS, Math.max(1, ...offered));
    return {
      accelerators: [...accelerators],
      // What every accelerator can give: which one a machine gets is known only when it starts.
      machineVcpus: { usual: Math.min(most, os.availableParallelism(), 2, ...offered), most },
    };
  }

  /** All accelerators. Those that were found before are what there is until it is known better. */
  async #accelerators(): Promise<readonly AcceleratorInfo[]> {
    if (this.#found === undefined || performance.now() - this.#foundAt > FRESH) {
      this.#probing ??= this.#probe()
        .then((found) => {
          this.#foundAt = performance.now();
          return (this.#found = found);
        })
        .finally(() => (this.#probing = undefined));
      // Where nobody waits for it, a failure is found again by the next who asks.
      this.#probing.catch(() => undefined);
    }
    return this.#found ?? (await this.#probing) ?? [];
  }

  /** In a process of its own: what speaks to kernels may fail badly. */
  async #probe(): Promise<AcceleratorInfo[]> {
    const directory = runtimeDirectory();
    const name = `probe-${process.pid}-${Date.now()}`;
    const socket =
      process.platform === 'win32' ? `\\\\.\\pipe\\guesthouse-${name}` : path.join(directory, name);
    const log = path.join(directory, `${name}.log`);
    const engine = this.#launcher.launch(['--socket', socket], log);
    let ended: string | undefined;
    void engine.exited.then((exit) => (ended = exitLine(exit)));
    const deadline = performance.now() + PROBE_PATIENCE;
    try {
      for (;;) {
        const connected = await EngineClient.connect(socket);
        if (connected !== undefined) {
          const found = await connected.client.request({ kind: 'probe' });
          // It may be gone before it has answered.
          await connected.client.request({ kind: 'stop' }).catch(() => null);
          connected.client.close();
          return found;
        }
        if (ended !== undefined)
          throw new GuesthouseError('internal', `the engine ${ended} when it was started`);
        if (performance.now() > deadline)
          throw new GuesthouseError('resources', 'the engine does not come up', 'the host may be too busy');
        await sleep(20);
      }
    } catch (error) {
      engine.kill();
      throw error;
    } finally {
      rmSync(log, { force: true });
    }
  }
}

/** What is wrong with the files a document names: missing, no files, or not readable. */
export function fileIssues(document: MachineDocument): Issue[] {
  return filesOf(document).flatMap(({ file, path: where }) => {
    try {
      if (!statSync(file).isFile()) return [{ path: where, message: 'is not a file' }];
      accessSync(file, constants.R_OK);
      return [];
    } catch (error) {
      const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
      return [{ path: where, message: missing ? 'does not exist' : 'cannot be read' }];
    }
  });
}

/**
 * Lists a folder, to choose a file in.
 *
 * @param directory the user's own where undefined
 * @throws GuesthouseError `file` where it can't be read
 */
export function listFolder(directory: string = os.homedir()): Folder {
  if (!path.isAbsolute(directory) || directory.includes('\0')) {
    throw new GuesthouseError('usage', 'a folder is named by an absolute path');
  }
  const folder = path.resolve(directory);
  try {
    const names = readdirSync(folder).filter((name) => !name.startsWith('.'));
    const entries = names.slice(0, MOST_ENTRIES).flatMap((name) => {
      const file = path.join(folder, name);
      // A link that leads nowhere is nothing to choose.
      const status = statSync(file, { throwIfNoEntry: false });
      if (status === undefined || !(status.isFile() || status.isDirectory())) return [];
      return [{ name, path: file, folder: status.isDirectory(), size: status.size }];
    });
    entries.sort((a, b) => Number(b.folder) - Number(a.folder) || a.name.localeCompare(b.name));
    const parent = path.dirname(folder);
    return {
      path: folder,
      parent: parent === folder ? null : parent,
      entries,
      truncated: names.length > MOST_ENTRIES,
    };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new GuesthouseError('file', `cannot list ${folder}: ${reason}`, undefined, { cause: error });
  }
}
