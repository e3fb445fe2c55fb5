/**
 * A machine's disks as the control thread sees them: opened once before anything starts, to find what is wrong and
 * how large they are, and locked as long as the machine lives.
 */
import { statSync } from 'node:fs';
import type { DiskConfig } from '../api/config.ts';
import { busOf } from '../api/disk-targets.ts';
import { ImageLocks, openImage } from '../backend/image/open.ts';
import { GuesthouseError } from '../base/errors.ts';
import type { DiskPlan } from '../machine/storage.ts';

export class Disks {
  readonly plans: readonly DiskPlan[];
  readonly #configs: DiskConfig[];
  readonly #locks: Array<ImageLocks | undefined> = [];

  /**
   * Opens and locks every image, and closes them again.
   *
   * @throws GuesthouseError for the first that can't be used: `file`, `unsupported` or `state`
   */
  constructor(configs: readonly DiskConfig[]) {
    this.#configs = [...configs];
    try {
      this.plans = configs.map((config, i) => {
        const locks = new ImageLocks();
        this.#locks.push(locks);
        return {
          bus: busOf(config),
          device: config.device,
          bytes: bytesOf(config, locks),
          writable: config.device === 'disk' && !config.readOnly,
          serial: config.serial ?? `GH${String(i + 1).padStart(8, '0')}`,
        };
      });
    } catch (error) {
      this.release();
      throw error;
    }
  }

  /** The disks with the files that they hold now. */
  get configs(): readonly DiskConfig[] {
    return this.#configs;
  }

  /** What drive `disk` is to hold from now on: locks its file, and gives back what makes that so or not.
   * @throws GuesthouseError as the constructor */
  exchange(
    disk: number,
    file: string | undefined,
    format: DiskConfig['format'],
  ): { commit(): void; abandon(): void } {
    const config = { ...this.#configs[disk], file, format };
    const locks = new ImageLocks();
    try {
      bytesOf(config, locks);
    } catch (error) {
      locks.release();
      throw error;
    }
    return {
      commit: () => {
        this.#locks[disk]?.release();
        this.#locks[disk] = locks;
        this.#configs[disk] = config;
      },
      abandon: () => locks.release(),
    };
  }

  release(): void {
    for (const locks of this.#locks.splice(0)) locks?.release();
  }
}

/** The size of a disk's image, locked and found to be in order. */
function bytesOf({ file, format, device, readOnly }: DiskConfig, locks: ImageLocks): number {
  if (file === undefined) return 0;
  const image = openImage(file, { format, writable: device === 'disk' && !readOnly, locks });
  const { size } = image;
  image.close();
  if (size === 0) {
    const what = statSync(file).size === 0 ? 'is empty' : 'holds a disk of no bytes';
    throw new GuesthouseError('file', `${file} ${what}`, 'guesthouse image create makes a disk');
  }
  return size;
}
