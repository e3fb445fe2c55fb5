/**
 * One channel's bus-master registers, and the list of memory regions (PRD table) that it transfers to and from.
 *
 * Programming Interface for Bus Master IDE Controller, revision 1.0.
 */
import type { Buffers } from '../../../backend/image/buffers.ts';
import { type Arena, layout, type View } from '../../../memory/layout.ts';
import type { Segment } from '../../../memory/physical-memory.ts';
import type { AccessSize, Device, PortDevice } from '../../device.ts';
import { readBytes, writeBytes } from '../../byte-access.ts';
import type { DmaMemory } from '../../dma.ts';

const Register = { Command: 0, Status: 2, Table: 4 } as const;

/** Ports of a channel. */
export const BUS_MASTER_PORTS = 8;

/** Command: bit 3 says that memory is written. */
const Command = { Start: 1 << 0, ToMemory: 1 << 3 } as const;

/** Status: error and interrupt are cleared by writing ones; bits 5 and 6 are the drivers' own. */
const Status = { Active: 1 << 0, Error: 1 << 1, Interrupt: 1 << 2, Scratch: 0x60 } as const;

/** An entry: address, byte count (0 is 64 KiB), end of table in the last bit. */
const ENTRY = 8;
const END = 0x8000;

/** Bytes of a transfer at most, so that a table of nonsense takes no memory without end. */
const MOST_BYTES = 64 * 2 ** 20;

/** A table does not cross 64 KiB. */
const MOST_ENTRIES = 0x1_0000 / ENTRY;

const busMasterLayout = layout('ide-bus-master', 1, { table: 'u32', command: 'u8', status: 'u8' });

export class BusMaster implements Device, PortDevice {
  readonly name: string;
  readonly #at: View<typeof busMasterLayout.fields>;
  /** The guest has set, or taken away, the start bit. */
  onStart: () => void = () => {};
  onStop: () => void = () => {};

  constructor(name: string, arena: Arena) {
    this.name = name;
    this.#at = arena.place(busMasterLayout);
  }

  reset(): void {
    this.#at.table = 0;
    this.#at.command = 0;
    this.#at.status = 0;
  }

  get started(): boolean {
    return (this.#at.command & Command.Start) !== 0;
  }

  /** The drive's interrupt is seen here too. */
  interrupted(): void {
    this.#at.status |= Status.Interrupt;
  }

  /** The drive was reset: nothing is being transferred. */
  abort(): void {
    this.#at.status &= ~Status.Active;
  }

  /** The transfer is over. */
  finish(success: boolean): void {
    this.#at.status &= ~Status.Active;
    if (!success) this.#at.status |= Status.Error;
  }

  portRead(offset: number, size: AccessSize): number {
    return readBytes(offset, size, (at) => this.#readByte(at));
  }

  portWrite(offset: number, size: AccessSize, value: number): void {
    writeBytes(offset, size, value, (at, byte) => this.#writeByte(at, byte));
  }

  #readByte(at: number): number {
    const { command, status, table } = this.#at;
    if (at === Register.Command) return command;
    if (at === Register.Status) return status;
    return at >= Register.Table ? (table >>> (8 * (at - Register.Table))) & 0xff : 0xff;
  }

  #writeByte(at: number, byte: number): void {
    const state = this.#at;
    if (at === Register.Status) {
      const kept = state.status & (Status.Active | Status.Error | Status.Interrupt);
      state.status = (kept & ~(byte & (Status.Error | Status.Interrupt))) | (byte & Status.Scratch);
    } else if (at >= Register.Table && at < BUS_MASTER_PORTS) {
      const shift = 8 * (at - Register.Table);
      state.table = ((state.table & ~(0xff << shift)) | (byte << shift)) & ~3;
    } else if (at === Register.Command) {
      const before = state.command;
      state.command = byte & (Command.Start | Command.ToMemory);
      if ((byte & Command.Start) !== 0 && (before & Command.Start) === 0) {
        state.status |= Status.Active;
        this.onStart();
      } else if ((byte & Command.Start) === 0 && (before & Command.Start) !== 0) {
        this.onStop();
        state.status &= ~Status.Active;
      }
    }
  }

  /**
   * Transfers between memory, as the table describes it, and a drive. In the I/O thread.
   *
   * @param length bytes the drive transfers
   * @param access what is done to memory
   * @param body moves the bytes of the pieces, which are as many as `length`
   * @returns false where the table describes less than that, or the drive fails
   */
  transfer(
    length: number,
    access: 'read' | 'write',
    memory: DmaMemory,
    body: (pieces: Buffers) => boolean,
  ): boolean {
    const regions = this.#regions(length, memory);
    if (regions === undefined) return false;
    const pieces = memory.pieces(regions, access);
    const success = body(pieces);
    if (access === 'write') memory.wrote(regions, pieces);
    return success;
  }

  #regions(length: number, memory: DmaMemory): Segment[] | undefined {
    if (length > MOST_BYTES) return undefined;
    const regions: Segment[] = [];
    let left = length;
    for (let index = 0; index < MOST_ENTRIES && left > 0; index++) {
      const entry = memory.read(this.#at.table + index * ENTRY, ENTRY);
      const view = new DataView(entry.buffer, entry.byteOffset, ENTRY);
      const count = view.getUint16(4, true) & ~1;
      const bytes = Math.min(left, count === 0 ? 0x1_0000 : count);
      regions.push({ address: (view.getUint32(0, true) & ~1) >>> 0, length: bytes });
      left -= bytes;
      if ((view.getUint16(6, true) & END) !== 0) break;
    }
    return left === 0 ? regions : undefined;
  }
}
