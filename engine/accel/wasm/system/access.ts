/**
 * Accesses that emitted code cannot make by itself: TLB misses, operands on two pages, devices, ports.
 *
 * A device or port access ends the run with an exit; when the data is there the instruction is run again
 * from its start, and finds the result in a log. The log holds what the present instruction has already
 * accessed, in order, and is dropped when the instruction has ended. An instruction that makes several
 * accesses thus leaves several times and does each of them once.
 */
import { highHalf, lowHalf, ofHalves } from '../../../base/halves.ts';
import type { IoBlock, IoExit } from '../../contract.ts';
import { type Coherence, Writing } from '../../../vcpu/coherence.ts';
import type { VcpuState } from '../../../vcpu/state.ts';
import { P, type privateLayout, SlowInfo } from '../private.ts';
import {
  AccessPending, GuestFault, InterpretInstead, MOST_BLOCK, Vector, type LinearMemory, type Ports,
} from './cpu.ts'; // prettier-ignore
import { Access, type CodeWatch, type Mmu } from './mmu.ts';
import { checksAlignment, requireAlignment } from './operands.ts';
import { isCanonical } from './registers.ts';

interface LoggedAccess {
  readonly port: boolean;
  readonly address: number;
  readonly size: number;
  readonly write: boolean;
  data: bigint;
  /** Elements of a block that were transferred; 0 where it is no block. */
  done: number;
}

/** Bytes of the bounce buffer that carry part of a longer access. */
const BOUNCE = 32;

const NO_BLOCK = new Uint8Array(0);

/** What an access holds from where it is found to be possible to where it is written. */
const Held = {
  None: 0,
  /** The lock of the operand's page, for an atomic instruction of the host, or for several elements at once. */
  Page: 1,
  /** The same, for 16 bytes in the bounce buffer. */
  Pair: 3,
  /** The whole machine: no other vCPU is in the guest. */
  Machine: 2,
} as const;
type Held = (typeof Held)[keyof typeof Held];

export interface AccessParts {
  readonly memory: WebAssembly.Memory;
  readonly state: VcpuState;
  readonly stateAddress: number;
  readonly mmu: Mmu;
  readonly code: CodeWatch;
  readonly coherence: Coherence;
  readonly private: ReturnType<typeof privateLayout.bind>;
  /** Copies 16 bytes between aligned addresses of the memory, in one piece. */
  readonly copy16: (to: number, from: number) => void;
  /** The vCPU may have been outside the guest: its requests are to be looked at. */
  readonly reentered: () => void;
  /** Compares an access with the data breakpoints, while {@link GuestAccess.watching}. */
  readonly watch: (linear: bigint, bytes: number, write: boolean) => void;
}

export class GuestAccess implements LinearMemory, Ports {
  readonly #state: VcpuState;
  readonly #mmu: Mmu;
  readonly #code: CodeWatch;
  readonly #coherence: Coherence;
  readonly #vcpu: number;
  readonly #parts: AccessParts;
  readonly #watch: AccessParts['watch'];
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #bounce: number;
  readonly #slowWord: number;
  readonly #extentWord: number;
  readonly #log: LoggedAccess[] = [];
  #cursor = 0;
  /** The access that waits for the run loop. */
  #waiting: LoggedAccess | undefined;
  /** Where the bounce buffer's contents go: linear address and length. */
  #storeLow = 0;
  #storeHigh = 0;
  #storeBytes = 0;
  #held: Held = Held.None;
  /** In a page that is held: where the operand is. It is not looked up again, since a page walk may have to set a bit in
   * a page with the same lock. */
  #heldAt = 0;
  #heldBytes = 0;
  /** Data breakpoints are set: every access is compared with them. */
  watching = false;
  /** Filled in for the run loop when an access waits. */
  readonly io: IoExit = { address: 0, size: 0, write: false, data: 0n };
  readonly block: IoBlock = { bytes: NO_BLOCK, done: 0 };
  /** Of {@link block}: an instruction has one. */
  readonly #blockBytes = new Uint8Array(MOST_BLOCK);

  constructor(parts: AccessParts) {
    this.#state = parts.state;
    this.#mmu = parts.mmu;
    this.#code = parts.code;
    this.#parts = parts;
    this.#coherence = parts.coherence;
    this.#vcpu = parts.state.index;
    this.#watch = parts.watch;
    this.#bytes = new Uint8Array(parts.memory.buffer);
    this.#view = new DataView(parts.memory.buffer);
    this.#bounce = parts.stateAddress + P.bounce;
    this.#slowWord = (parts.stateAddress + P.slowAddress) >> 2;
    this.#extentWord = (parts.stateAddress + P.slowExtent) >> 2;
  }

  // The log of the present instruction.

  /** True while an instruction is being run again for its accesses. */
  get replaying(): boolean {
    return this.#log.length > 0;
  }

  /** True while an access waits for the run loop. */
  get pending(): boolean {
    return this.#waiting !== undefined;
  }

  /** True where the waiting access is to a port. */
  get waitingForPort(): boolean {
    return this.#waiting?.port === true;
  }

  /** Takes the run loop's answer over, before the instruction is run again. */
  resume(): void {
    const waiting = this.#waiting;
    this.#cursor = 0;
    if (waiting === undefined) return;
    if (!waiting.write) waiting.data = this.io.data;
    waiting.done = this.block.done;
    this.#log.push(waiting);
    this.#waiting = undefined;
  }

  /** The instruction has ended, or was abandoned for an exception or interrupt. */
  finish(): void {
    this.#log.length = 0;
    this.#cursor = 0;
    this.#waiting = undefined;
  }

  /** Makes a device or port access, from the log or by leaving.
   * @throws AccessPending */
  #device(port: boolean, address: number, size: number, write: boolean, data: bigint): bigint {
    return this.#made()?.data ?? this.#wait({ port, address, size, write, data, done: 0 }, NO_BLOCK);
  }

  /** The next access of the present instruction, where it has been made. */
  #made(): LoggedAccess | undefined {
    const logged = this.#log[this.#cursor];
    if (logged !== undefined) this.#cursor++;
    return logged;
  }

  #wait(access: LoggedAccess, block: Uint8Array): never {
    this.#waiting = access;
    const { io } = this;
    io.address = access.address;
    io.size = access.size;
    io.write = access.write;
    io.data = access.data;
    this.block.bytes = block;
    this.block.done = 0;
    throw new AccessPending();
  }

  in(port: number, bytes: 1 | 2 | 4): number {
    return Number(this.#device(true, port, bytes, false, 0n));
  }
  out(port: number, bytes: 1 | 2 | 4, value: number): void {
    this.#device(true, port, bytes, true, BigInt(value >>> 0));
  }
  inBlock(port: number, bytes: 1 | 2 | 4, count: number): Uint8Array {
    const block = this.#blockBytes;
    const made = this.#made();
    if (made === undefined) {
      const access = { port: true, address: port, size: bytes, write: false, data: 0n, done: 0 };
      return this.#wait(access, count > 1 ? block.subarray(0, count * bytes) : NO_BLOCK);
    }
    if (made.done > 0) return block.subarray(0, made.done * bytes);
    for (let i = 0; i < bytes; i++) block[i] = Number((made.data >> BigInt(8 * i)) & 0xffn);
    return block.subarray(0, bytes);
  }
  outBlock(port: number, bytes: 1 | 2 | 4, elements: Uint8Array): number {
    const made = this.#made();
    if (made !== undefined) return Math.max(made.done, 1);
    let data = 0n;
    for (let i = bytes - 1; i >= 0; i--) data = (data << 8n) | BigInt(elements[i]!);
    const access = { port: true, address: port, size: bytes, write: true, data, done: 0 };
    return this.#wait(access, elements.length > bytes ? elements : NO_BLOCK);
  }

  // Physical pieces: `bytes` within one page, at a host address or a device.

  /**
   * Host address for a write that is made at once, with this vCPU's own code told; -1 where it must be made by
   * {@link #store}, since other vCPUs have to know of it.
   */
  #toWrite(host: number, bytes: number): number {
    if (this.#mmu.writing === Writing.Watched) return -1;
    if (this.#mmu.writing === Writing.Once) this.#code.written(host, bytes);
    return host;
  }

  /** Writes within a page, from an address in the shared memory, and tells whoever must know. */
  #store(host: number, from: number, bytes: number): void {
    switch (this.#mmu.writing) {
      case Writing.Free:
        this.#copy(host, from, bytes);
        return;
      case Writing.Once:
        this.#code.written(host, bytes);
        this.#copy(host, from, bytes);
        return;
      case Writing.Watched:
        this.#coherence.locked(host >>> 12, () => this.#copy(host, from, bytes));
        this.#code.written(host, bytes);
        this.#coherence.written(this.#vcpu, host, bytes);
    }
  }

  /** Copies in one piece what a processor would: 2, 4, 8 or 16 aligned bytes. */
  #copy(to: number, from: number, bytes: number): void {
    const view = this.#view;
    if ((to & (bytes - 1)) !== 0) this.#bytes.copyWithin(to, from, from + bytes);
    else if (bytes === 8) view.setBigUint64(to, view.getBigUint64(from, true), true);
    else if (bytes === 4) view.setUint32(to, view.getUint32(from, true), true);
    else if (bytes === 2) view.setUint16(to, view.getUint16(from, true), true);
    else if (bytes === 16) this.#parts.copy16(to, from);
    else this.#bytes.copyWithin(to, from, from + bytes);
  }

  /** Splits a device access into naturally sized ones, and copies between them and `to`. */
  #deviceRead(physical: number, to: number, bytes: number): void {
    for (let done = 0; done < bytes;) {
      const size = pieceSize(physical + done, bytes - done);
      let data = this.#device(false, physical + done, size, false, 0n);
      for (let i = 0; i < size; i++, data >>= 8n) this.#bytes[to + done + i] = Number(data & 0xffn);
      done += size;
    }
  }
  #deviceWrite(physical: number, from: number, bytes: number): void {
    for (let done = 0; done < bytes;) {
      const size = pieceSize(physical + done, bytes - done);
      let data = 0n;
      for (let i = size - 1; i >= 0; i--) data = (data << 8n) | BigInt(this.#bytes[from + done + i]!);
      this.#device(false, physical + done, size, true, data);
      done += size;
    }
  }

  // The slow path of emitted code.

  /**
   * Finds where an access can be made: guest memory itself, or the bounce buffer.
   * @param info {@link SlowInfo}; the linear address is in `slowAddress`
   * @param region asked by a region, which must not go on over changed code
   * @throws GuestFault, AccessPending, InterpretInstead
   */
  slow(info: number, region: boolean): number {
    const low = this.#mmu.words[this.#slowWord]!;
    const high = this.#mmu.words[this.#slowWord + 1]!;
    const bytes = info & SlowInfo.bytes;
    const write = (info & SlowInfo.write) !== 0;
    this.#checkCanonical(low, high, bytes, (info & SlowInfo.stack) !== 0 ? Vector.SS : Vector.GP);
    const user = this.#state.cpl === 3;
    // Ten-byte numbers are aligned as eight bytes (SDM 3A, table 6-7).
    const unit = bytes === 10 ? 8 : bytes;
    if (checksAlignment(this.#state) && unit <= 32 && (low & (unit - 1)) !== 0)
      throw new GuestFault(Vector.AC, 0);
    const extent = this.#takeExtent(bytes);
    if (this.watching) this.#watch(ofHalves(low, high), bytes, write);
    // By way of the bounce buffer string instructions do one element at a time.
    const single = this.watching && extent > bytes;
    const lock = (info & SlowInfo.lock) !== 0 && this.#coherence.shared;
    if ((low & 0xfff) + bytes <= 4096 && !single) {
      const host = this.#mmu.translate(low, high, write ? Access.Write : Access.Read, user);
      if (host >= 0) {
        if (!write) return host;
        const watched = this.#mmu.writing === Writing.Watched;
        const held = lock && (watched || bytes === 16 || (host & (bytes - 1)) !== 0);
        if (region && (held || watched || this.#code.overlaps(host, bytes))) throw new InterpretInstead();
        if (held) this.#hold(host, bytes);
        else if (watched && extent > bytes) this.#holdPage(host, extent);
        if (this.#held === Held.Page) return host;
        if (this.#held === Held.Pair) {
          this.#copy(this.#bounce, host, bytes);
          return this.#bounce;
        }
        const direct = this.#held === Held.None ? this.#toWrite(host, extent) : -1;
        if (direct >= 0) return direct;
      }
      if (!write) this.#deviceRead(this.#mmu.page * 4096 + (low & 0xfff), this.#bounce, bytes);
    } else if (write) {
      if (region) throw new InterpretInstead();
      this.#probe(low, high, bytes, user);
      if (lock) this.#holdMachine();
    } else this.#copyIn(low, high, this.#bounce, bytes, user);
    if (write) {
      if (region) throw new InterpretInstead();
      this.#storeLow = low;
      this.#storeHigh = high;
      this.#storeBytes = bytes;
      // What is read before it is written must be there.
      if ((info & SlowInfo.modify) !== 0) this.#copyInHeld(low, high, bytes, user);
    }
    return this.#bounce;
  }

  /** Bytes that the present access announces others to follow it with at once: see `slowExtent`. */
  #takeExtent(bytes: number): number {
    const words = this.#mmu.words;
    const extent = words[this.#extentWord]!;
    words[this.#extentWord] = 0;
    return Math.max(extent, bytes);
  }

  /**
   * Makes a locked access to memory within a page atomic where an atomic instruction of the host is not enough.
   * On a page whose writes are watched it keeps out 16-byte atomics, which hold the page's lock. For 16 bytes it
   * holds that lock as well, and has all other writes to the page take it. And it stops everybody for an operand
   * that is not aligned, of which a plain access might else see a part.
   */
  #hold(host: number, bytes: number): void {
    if ((host & (bytes - 1)) !== 0) this.#holdMachine();
    else if (bytes === 16) {
      this.#coherence.lockPair(this.#vcpu, host >>> 12, () => this.#mmu.protectHostPage(host & ~0xfff));
      this.#held = Held.Pair;
      this.#parts.reentered();
    }
    this.#holdPage(host, bytes);
  }

  /** Takes the lock of a page whose writes are watched, for one that is made in place, unless there is no need. */
  #holdPage(host: number, bytes: number): void {
    this.#heldAt = host;
    this.#heldBytes = bytes;
    while (this.#held === Held.None && this.#mmu.writing === Writing.Watched) {
      // Others may still write to it straight: an atomic instruction is atomic against these.
      if (this.#coherence.lockWatched(this.#vcpu, host >>> 12)) {
        this.#held = Held.Page;
        this.#parts.private.held = 1;
      } else this.#mmu.writing = this.#coherence.admit(this.#vcpu, host >>> 12);
    }
  }

  #holdMachine(): void {
    this.#coherence.beAlone(this.#vcpu);
    this.#held = Held.Machine;
    this.#parts.reentered();
  }

  #release(): void {
    if (this.#held === Held.Page || this.#held === Held.Pair) this.#coherence.unlock(this.#heldAt >>> 12);
    else if (this.#held === Held.Machine) this.#coherence.gate.beTogether();
    this.#held = Held.None;
  }

  /** {@link #copyIn} to the bounce buffer, giving up what is held where it does not come to its end. */
  #copyInHeld(low: number, high: number, bytes: number, user: boolean): void {
    let done = false;
    try {
      this.#copyIn(low, high, this.#bounce, bytes, user);
      done = true;
    } finally {
      if (!done) this.#release();
    }
  }

  /** Carries the bounce buffer to where `slow` found the access to go, or ends a locked access that was made in
   * place. @throws AccessPending */
  commit(): void {
    if (this.#held === Held.Page || this.#held === Held.Pair) {
      if (this.#held === Held.Pair) this.#copy(this.#heldAt, this.#bounce, this.#heldBytes);
      this.#parts.private.held = 0;
      this.#release();
      this.#code.written(this.#heldAt, this.#heldBytes);
      this.#coherence.written(this.#vcpu, this.#heldAt, this.#heldBytes);
      return;
    }
    try {
      this.#copyOut(this.#storeLow, this.#storeHigh, this.#bounce, this.#storeBytes, this.#state.cpl === 3);
    } finally {
      this.#release();
    }
  }

  #checkCanonical(low: number, high: number, bytes: number, vector: number): void {
    // The common 48-bit case without BigInt: bits 63 … 47 all alike.
    const top = high >> 15;
    if ((top === 0 || top === -1) && (low >>> 0) + bytes <= 0x1_0000_0000) return;
    const first = ofHalves(low, high);
    const last = BigInt.asUintN(64, first + BigInt(bytes - 1));
    if (!isCanonical(this.#state, first) || !isCanonical(this.#state, last)) throw new GuestFault(vector, 0);
  }

  /** Writes a doubleword of memory at an aligned host address. */
  storePhysical(host: number, value: number): void {
    this.#mmu.writing = this.#coherence.admit(this.#vcpu, host >>> 12);
    this.#view.setUint32(this.#bounce, value, true);
    this.#store(host, this.#bounce, 4);
  }

  /** Translates both pages of an access for writing, so that it faults before anything is written. */
  #probe(low: number, high: number, bytes: number, user: boolean): void {
    this.#mmu.translate(low, high, Access.Write, user);
    const [nextLow, nextHigh] = nextPage(low, high, this.#wide);
    if ((low & 0xfff) + bytes > 4096) this.#mmu.translate(nextLow, nextHigh, Access.Write, user);
  }

  /** Addresses wrap at 4 GiB outside long mode. */
  get #wide(): boolean {
    return (Number(this.#state.efer) & 0x400) !== 0;
  }

  /** Copies guest memory at a linear address into the shared memory at `to`. */
  #copyIn(low: number, high: number, to: number, bytes: number, user: boolean): void {
    while (bytes > 0) {
      const part = Math.min(bytes, 4096 - (low & 0xfff));
      const host = this.#mmu.translate(low, high, Access.Read, user);
      if (host >= 0) this.#copy(to, host, part);
      else this.#deviceRead(this.#mmu.page * 4096 + (low & 0xfff), to, part);
      bytes -= part;
      to += part;
      [low, high] = nextPage(low, high, this.#wide);
    }
  }

  #copyOut(low: number, high: number, from: number, bytes: number, user: boolean): void {
    while (bytes > 0) {
      const part = Math.min(bytes, 4096 - (low & 0xfff));
      const host = this.#mmu.translate(low, high, Access.Write, user);
      if (host >= 0) this.#store(host, from, part);
      else this.#deviceWrite(this.#mmu.page * 4096 + (low & 0xfff), from, part);
      bytes -= part;
      from += part;
      [low, high] = nextPage(low, high, this.#wide);
    }
  }

  // LinearMemory, for instructions done in TypeScript.

  /** Host address of an access within one page that goes to memory, else -1. */
  #direct(linear: bigint, bytes: number, access: Access, user: boolean): number {
    const low = lowHalf(linear);
    const high = highHalf(linear);
    this.#checkCanonical(low, high, bytes, Vector.GP);
    if (this.watching) this.#watch(linear, bytes, access === Access.Write);
    if ((low & 0xfff) + bytes > 4096) return -1;
    const host = this.#mmu.translate(low, high, access, user);
    return host >= 0 && access === Access.Write ? this.#toWrite(host, bytes) : host;
  }

  /** Address of the operand's bytes: in guest memory, or copied into the bounce buffer. */
  #readable(linear: bigint, bytes: number, user: boolean): number {
    const host = this.#direct(linear, bytes, Access.Read, user);
    if (host >= 0) return host;
    this.#copyIn(lowHalf(linear), highHalf(linear), this.#bounce, bytes, user);
    return this.#bounce;
  }

  /** Writes from the bounce buffer. */
  #writeBounce(linear: bigint, bytes: number, user: boolean): void {
    const low = lowHalf(linear);
    const high = highHalf(linear);
    this.#probe(low, high, bytes, user);
    this.#copyOut(low, high, this.#bounce, bytes, user);
  }

  /** #AC for a user's operand that is not aligned to its size, where that is checked (SDM 3A, 6.15). */
  #requireAlignment(linear: bigint, bytes: number, user: boolean): void {
    if (user) requireAlignment(this.#state, linear, bytes);
  }

  read(linear: bigint, bytes: 1 | 2 | 4, user: boolean): number {
    this.#requireAlignment(linear, bytes, user);
    const at = this.#readable(linear, bytes, user);
    if (bytes === 1) return this.#view.getUint8(at);
    return bytes === 2 ? this.#view.getUint16(at, true) : this.#view.getUint32(at, true);
  }

  read64(linear: bigint, user: boolean): bigint {
    this.#requireAlignment(linear, 8, user);
    return this.#view.getBigUint64(this.#readable(linear, 8, user), true);
  }

  write(linear: bigint, bytes: 1 | 2 | 4, value: number, user: boolean): void {
    this.#requireAlignment(linear, bytes, user);
    const host = this.#direct(linear, bytes, Access.Write, user);
    const at = host >= 0 ? host : this.#bounce;
    if (bytes === 1) this.#view.setUint8(at, value);
    else if (bytes === 2) this.#view.setUint16(at, value, true);
    else this.#view.setUint32(at, value, true);
    if (host < 0) this.#writeBounce(linear, bytes, user);
  }

  write64(linear: bigint, value: bigint, user: boolean): void {
    this.#requireAlignment(linear, 8, user);
    const host = this.#direct(linear, 8, Access.Write, user);
    this.#view.setBigUint64(host >= 0 ? host : this.#bounce, value, true);
    if (host < 0) this.#writeBounce(linear, 8, user);
  }

  readBytes(
    linear: bigint,
    length: number,
    user: boolean,
    bytes: Uint8Array = new Uint8Array(length),
  ): Uint8Array {
    for (let done = 0, part = 0; done < length; done += part) {
      const at = done === 0 ? linear : BigInt.asUintN(64, linear + BigInt(done));
      part = Math.min(length - done, 4096 - (lowHalf(at) & 0xfff));
      let host = this.#direct(at, part, Access.Read, user);
      if (host < 0) {
        part = Math.min(part, BOUNCE);
        host = this.#readable(at, part, user);
      }
      bytes.set(this.#bytes.subarray(host, host + part), done);
    }
    return bytes;
  }

  writeBytes(linear: bigint, bytes: Uint8Array, user: boolean): void {
    this.probeWrite(linear, bytes.length, user);
    for (let done = 0, part = 0; done < bytes.length; done += part) {
      const at = done === 0 ? linear : BigInt.asUintN(64, linear + BigInt(done));
      part = Math.min(bytes.length - done, 4096 - (lowHalf(at) & 0xfff));
      const host = this.#direct(at, part, Access.Write, user);
      if (host < 0) part = Math.min(part, BOUNCE);
      this.#bytes.set(bytes.subarray(done, done + part), host >= 0 ? host : this.#bounce);
      if (host < 0) this.#writeBounce(at, part, user);
    }
  }

  isMemory(linear: bigint, write: boolean, user: boolean): boolean {
    const low = lowHalf(linear);
    const high = highHalf(linear);
    return this.#mmu.translate(low, high, write ? Access.Write : Access.Read, user) >= 0;
  }

  probeWrite(linear: bigint, length: number, user: boolean): void {
    let low = lowHalf(linear);
    let high = highHalf(linear);
    this.#checkCanonical(low, high, length, Vector.GP);
    for (let left = length; left > 0;) {
      this.#mmu.translate(low, high, Access.Write, user);
      left -= 4096 - (low & 0xfff);
      [low, high] = nextPage(low, high, this.#wide);
    }
  }
}

/** Largest naturally aligned piece of an access of `bytes` at `address`. */
function pieceSize(address: number, bytes: number): number {
  for (const size of [8, 4, 2]) if (bytes >= size && address % size === 0) return size;
  return 1;
}

function nextPage(low: number, high: number, wide: boolean): [low: number, high: number] {
  const next = ((low & ~0xfff) + 0x1000) | 0;
  return [next, next === 0 && wide ? (high + 1) | 0 : high];
}
