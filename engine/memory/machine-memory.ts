/**
 * The one shared memory of a machine.
 *
 * ```
 * 0          the null page, 64 KiB, never used: address 0 means "no address" to emitted code
 * 64 KiB     the machine area: device and vCPU states, streams, accelerator areas, ROM images
 * ramBase    guest RAM, 64 KiB aligned
 * videoBase  video memory, up to the end of the memory; its pages count on from the RAM's in the dirty log
 * ```
 *
 * Pages that nobody touches cost nothing: the memory is reserved, not filled.
 */
import { freemem } from 'node:os';
import { GuesthouseError } from '../base/errors.ts';
import { Arena } from './layout.ts';

/** Bytes of a WebAssembly page. */
export const WASM_PAGE = 0x10000;

/** Bytes at the start that hold nothing. */
export const NULL_PAGE = 0x10000;

/** Bytes of a guest page. */
export const PAGE_SIZE = 4096;

const MIB = 0x100000;

/** Most guest RAM a 32-bit memory can hold, in bytes: the rest is left to the machine area. */
export const MAX_RAM = 3584 * MIB;

/** Bytes of a 32-bit WebAssembly memory at most. */
const MAX_MEMORY = 0x1_0000_0000;

/** Where everything is; a plain object that another thread can be handed. Addresses and sizes in bytes. */
export interface MemoryDescription {
  readonly memory: WebAssembly.Memory;
  readonly machineStart: number;
  readonly machineEnd: number;
  readonly ramBase: number;
  readonly ramBytes: number;
  readonly videoBytes: number;
}

export class MachineMemory {
  readonly description: MemoryDescription;
  readonly memory: WebAssembly.Memory;
  readonly buffer: SharedArrayBuffer;
  readonly bytes: Uint8Array<SharedArrayBuffer>;
  readonly view: DataView<SharedArrayBuffer>;
  /** Address of guest RAM byte 0. */
  readonly ramBase: number;
  /** Bytes of guest RAM. */
  readonly ramBytes: number;
  /** Address of the video memory, which follows guest RAM. */
  readonly videoBase: number;
  readonly videoBytes: number;

  /** Attaches to a memory made by {@link create}, in any thread. */
  constructor(description: MemoryDescription) {
    const buffer: unknown = description.memory.buffer;
    if (!(buffer instanceof SharedArrayBuffer)) throw new TypeError('the memory of a machine is shared');
    this.description = description;
    this.memory = description.memory;
    this.buffer = buffer;
    this.bytes = new Uint8Array(buffer);
    this.view = new DataView(buffer);
    this.ramBase = description.ramBase;
    this.ramBytes = description.ramBytes;
    this.videoBase = description.ramBase + description.ramBytes;
    this.videoBytes = description.videoBytes;
  }

  /**
   * Makes the memory of a new machine, all zero.
   *
   * @param ramBytes guest RAM, a multiple of 64 KiB, at most {@link MAX_RAM}
   * @param areaBytes what the machine area must hold
   * @param availableBytes what the host has to give
   * @param videoBytes video memory, a multiple of 64 KiB
   * @throws GuesthouseError `config` where the RAM is of an impossible size, `resources` where the host
   *   cannot provide it
   */
  static create(
    ramBytes: number,
    areaBytes: number,
    availableBytes = hostMemoryAvailable(),
    videoBytes = 0,
  ): MachineMemory {
    if (!Number.isInteger(ramBytes) || ramBytes <= 0 || ramBytes % WASM_PAGE !== 0) {
      throw new GuesthouseError('config', `guest memory of ${ramBytes} bytes is not a multiple of 64 KiB`);
    }
    const ramBase = Math.ceil((NULL_PAGE + areaBytes) / WASM_PAGE) * WASM_PAGE;
    const total = ramBase + ramBytes + videoBytes;
    if (ramBytes > MAX_RAM || total > MAX_MEMORY) {
      throw new GuesthouseError(
        'config',
        `${mebibytes(ramBytes)} MiB of guest memory is more than this accelerator can address`,
        `at most ${mebibytes(Math.min(MAX_RAM, MAX_MEMORY - ramBase - videoBytes))} MiB`,
      );
    }
    if (total > availableBytes) {
      throw new GuesthouseError(
        'resources',
        `the host has ${mebibytes(availableBytes)} MiB of memory to spare, the machine needs ${mebibytes(total)} MiB`,
        'give the machine less memory, or close other programs',
      );
    }
    const pages = total / WASM_PAGE;
    let memory: WebAssembly.Memory;
    try {
      memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    } catch (error) {
      throw new GuesthouseError(
        'resources',
        `the host refused to reserve ${mebibytes(total)} MiB of memory`,
        'give the machine less memory',
        { cause: error },
      );
    }
    const place = { machineStart: NULL_PAGE, machineEnd: ramBase, ramBase, ramBytes, videoBytes };
    return new MachineMemory({ memory, ...place });
  }

  /** A fresh arena over the machine area. Placing the same things in the same order gives the same
   * addresses in every thread. */
  arena(): Arena {
    return new Arena(this.buffer, this.description.machineStart, this.description.machineEnd);
  }
}

/** Bytes this process may still take: what the system has free or can free, within the process's limits. */
export function hostMemoryAvailable(): number {
  return Math.min(freemem(), process.availableMemory());
}

function mebibytes(bytes: number): number {
  return Math.floor(bytes / MIB);
}
