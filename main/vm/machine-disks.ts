/**
 * The disks of the library's machines: what is on which target, changing what is in a CD-ROM drive while the machine
 * runs, and attaching and detaching disks, which takes effect at the next start.
 */
import path from 'node:path';
import type { MachineConfigInput } from '../../engine/api/config.ts';
import { busOf, diskTargets, type PlacedDisk } from '../../engine/api/disk-targets.ts';
import type { DiskStatistics } from '../../engine/api/statistics.ts';
import { GuesthouseError } from '../../engine/base/errors.ts';
import { imageInfo } from '../../engine/host/image-tools.ts';
import type { MachineDocument } from '../contract/document.ts';
import { damagedError } from '../store/library.ts';
import type { Manager } from './manager.ts';

type Disk = MachineDocument['disks'][number];
type DiskInput = NonNullable<MachineConfigInput['disks']>[number];

/** A disk where it is. */
export interface TargetDisk {
  /** As `vda`. */
  readonly target: string;
  readonly device: Disk['device'];
  readonly bus: string;
  /** Null for an empty CD-ROM drive. */
  readonly file: string | null;
  readonly format: Disk['format'] | null;
  readonly readOnly: boolean;
  /** Of a CD-ROM drive of a machine that runs: the guest has ejected what is in it. */
  readonly trayOpen: boolean;
}

/** What is to be changed: the machine that runs, what it is started with, or both. */
export interface MediumChange {
  /** Absolute; null for none. */
  readonly file: string | null;
  readonly live: boolean;
  readonly config: boolean;
  /** Though the guest has locked the disc in. */
  readonly force: boolean;
}

export class MachineDisks {
  readonly #manager: Manager;

  constructor(manager: Manager) {
    this.#manager = manager;
  }

  /** A machine's disks: of the machine that runs, else, or where `stored`, as configured. */
  async list(id: string, stored = false): Promise<TargetDisk[]> {
    const { machine, document, running } = await this.#manager.get(id);
    const shown = stored ? document : (running ?? document);
    if (shown === null) throw damagedError(this.#manager.library.get(id));
    const targets = diskTargets(shown.disks);
    return shown.disks.map((disk, i) => ({
      target: targets[i],
      device: disk.device,
      bus: busOf(disk),
      file: disk.file ?? null,
      format: disk.format ?? null,
      readOnly: disk.readOnly || disk.device === 'cdrom',
      trayOpen: !stored && machine.drives.some(({ target, trayOpen }) => target === targets[i] && trayOpen),
    }));
  }

  /** What the disks of a machine that runs have moved, by target. */
  async statistics(
    id: string,
  ): Promise<Array<{ readonly disk: TargetDisk; readonly moved: DiskStatistics }>> {
    const moved = await this.#manager.ask(id, { kind: 'disk-statistics' });
    const disks = await this.list(id);
    return disks.flatMap((disk, i) => (moved[i] === undefined ? [] : [{ disk, moved: moved[i] }]));
  }

  /**
   * Puts a disc into a drive, or takes it out.
   *
   * @throws GuesthouseError `config` where there is no such drive, `file` for what is wrong with the file, `state`
   *   where the guest has locked the disc in or the machine is off
   */
  async changeMedium(id: string, target: string, { file, live, config, force }: MediumChange): Promise<void> {
    if (file !== null && !path.isAbsolute(file)) {
      throw new GuesthouseError('usage', 'a disc is named by an absolute path');
    }
    // What cannot be done to the configuration is found before anything is done to the machine.
    const stored = config ? this.#stored(id) : undefined;
    const at = stored === undefined ? -1 : driveAt(stored, target);
    if (live) {
      const { running } = await this.#manager.get(id);
      if (running === null) throw new GuesthouseError('state', 'the machine is not running');
      const disk = driveAt(running, target);
      await this.#manager.ask(id, { kind: 'change-medium', disk, file, force });
      this.#manager.note(id, file === null ? `${target} ejected` : `${file} inserted into ${target}`);
    } else if (file !== null) imageInfo(file);
    if (stored === undefined) return;
    const disks = stored.disks.map((disk, i) => {
      if (i !== at) return disk;
      // A format that was given is that of what was there.
      const { file: _, format: _format, ...drive } = disk;
      return file === null ? drive : { ...drive, file };
    });
    await this.#manager.amend(id, { disks });
  }

  /**
   * Adds a disk to a machine's configuration.
   *
   * @param wanted the target that it must become
   * @returns its target
   * @throws GuesthouseError `config` where it does not go with the others, `file` where its image can't be read
   */
  async attach(id: string, disk: DiskInput, wanted?: string): Promise<string> {
    const { document, revision } = await this.#manager.get(id);
    if (document === null) throw damagedError(this.#manager.library.get(id));
    if (disk.file !== undefined) imageInfo(disk.file, disk.format);
    const target = newTarget([...document.disks, { bus: disk.bus, device: disk.device ?? 'disk' }]);
    if (wanted !== undefined && target !== undefined && wanted !== target) {
      const isTaken = diskTargets(document.disks).includes(wanted);
      throw new GuesthouseError(
        'config',
        isTaken ? `${wanted} is taken` : `the disk would be ${target}, not ${wanted}`,
        'leave TARGET out: disks are named in order',
      );
    }
    // Checks it with the others, and fills in what was left out.
    await this.#manager.configure(id, revision, { ...document, disks: [...document.disks, disk] });
    return target ?? '';
  }

  /**
   * Takes a disk out of a machine's configuration. Its image stays.
   *
   * @param word its target, or its file
   * @throws GuesthouseError `config` where there is none
   */
  async detach(id: string, word: string): Promise<TargetDisk> {
    const disks = await this.list(id, true);
    const at = disks.findIndex(({ target, file }) => target === word || file === word);
    const found = disks[at];
    if (found === undefined)
      throw noTarget(
        word,
        disks.map(({ target }) => target),
      );
    await this.#manager.amend(id, { disks: this.#stored(id).disks.toSpliced(at, 1) });
    return found;
  }

  #stored(id: string): MachineDocument {
    const stored = this.#manager.library.get(id);
    if (stored.document === null) throw damagedError(stored);
    return stored.document;
  }
}

/** The target of the last disk; undefined where there are too many of them, which checking the document finds. */
function newTarget(disks: readonly PlacedDisk[]): string | undefined {
  try {
    return diskTargets(disks).at(-1);
  } catch {
    return undefined;
  }
}

/** Where a drive is among the disks. @throws GuesthouseError `config` where there is none */
function driveAt({ disks }: MachineDocument, target: string): number {
  const targets = diskTargets(disks);
  const at = targets.indexOf(target);
  if (at < 0) throw noTarget(target, targets);
  if (disks[at]?.device !== 'cdrom') {
    throw new GuesthouseError('config', `${target} is a hard disk, whose image cannot be changed`);
  }
  return at;
}

function noTarget(word: string, targets: readonly string[]): GuesthouseError {
  const hint = targets.length === 0 ? 'it has no disks' : `it has ${targets.join(', ')}`;
  return new GuesthouseError('config', `the machine has no disk '${word}'`, hint);
}
