/**
 * Accesses that need no look into the TLB of their own, since one before them, at an address that differs by a constant
 * known here, has found their page: the fields of a structure, or what a function pushes.
 *
 * The first of them looks whether all that is accessed lies on one page that the TLB has, and says in a local, the
 * _window_'s base, where that is. Where it does not (the page has no entry for writing, or the window lies across two
 * pages) the base is zero, and each access looks for itself (`look`). Nothing between the first and the last takes an entry
 * from the TLB that is right: that is done where a region has been left, or by the instructions after which
 * {@link PageWindows.close} is called.
 */
import type { Code, Local } from '../emit/code.ts';
import { i32, i64, type I32, type I64 } from '../emit/expr.ts';
import { TLB_ENTRY } from '../private.ts';
import { tlbEntry } from '../semantics/tlb-entry.ts';
import { LinearValues } from './linear-values.ts';

/** Bytes before the first access that a window can have, and that it can have in all. */
const BEFORE = 64;
const MOST_BYTES = 512;
/** Windows of straight code, each with a local. */
const MOST_WINDOWS = 64;

interface Window {
  /** Host address of what lies {@link BEFORE} bytes before the first access, or zero. */
  readonly base: Local<'i32'>;
  /** Where that is from the origin. */
  readonly start: bigint;
  /** What is accessed, from the origin; and whether it is written to. */
  low: bigint;
  high: bigint;
  write: boolean;
  /** Some other access is made through it. */
  used: boolean;
  /** The straight code it was opened in. */
  readonly opened: object;
}

export class PageWindows {
  readonly #c: Code;
  readonly #values: LinearValues;
  readonly #tlb: () => I32;
  #open = new Map<number, Window>();
  /** Bases, of which so many are in use. */
  readonly #bases: Local<'i32'>[] = [];
  #inUse = 0;
  #node = {};

  /** @param tlb address of the TLB in use */
  constructor(c: Code, tlb: () => I32) {
    this.#c = c;
    this.#values = new LinearValues(c);
    this.#tlb = tlb;
  }

  /** Straight code begins here. @param inherits all of it is run behind what has been emitted last */
  begin(inherits: boolean): void {
    this.#node = {};
    this.#values.begin(inherits);
    if (inherits) return;
    this.close();
    this.#inUse = 0;
  }

  /** What comes next may find the TLB without the entries that it had. */
  close(): void {
    this.#open.clear();
  }

  /** Emits what branches off to elsewhere; what follows then finds the windows as they are now. */
  aside(emit: () => void): void {
    const [open, inUse, node] = [this.#open, this.#inUse, this.#node];
    this.#open = new Map(open);
    this.#values.aside(emit);
    this.#open = open;
    this.#inUse = inUse;
    this.#node = node;
  }

  /** The window that an access (at a bound linear address) can be made through: its base, and how far from it. */
  find(linear: I64, bytes: number, write: boolean): { base: I32; offset: number } | undefined {
    if (!this.#values.straight) return undefined;
    const { origin, offset } = this.#values.of(linear);
    const window = this.#open.get(origin);
    if (window === undefined || offset < window.start) return undefined;
    const end = offset + BigInt(bytes);
    const low = offset < window.low ? offset : window.low;
    const high = end > window.high ? end : window.high;
    if (high - low > MOST_BYTES) return undefined;
    // Code that is not always run behind the first access is no reason to ask for a page to write to.
    if (write && !window.write && window.opened !== this.#node) return undefined;
    window.low = low;
    window.high = high;
    window.write ||= write;
    window.used = true;
    return { base: window.base.get, offset: Number(offset - window.start) };
  }

  /**
   * Emits the look of an access (at a bound linear address) that no window is there for, into the TLB.
   *
   * @returns whether the TLB has it; where it leads then; and what is emitted, where it has not, before what is done about
   * that: it goes to the end of the structure that is being written if the access can be made, with its host address
   */
  look(
    linear: I64,
    bytes: number,
    write: boolean,
    alone: () => I32,
  ): { hit: I32; host: I32; retry: () => void } {
    const c = this.#c;
    const [entry, within, host, hit] = [c.local('i32'), c.local('i64'), c.local('i32'), c.local('i32')];
    const tlb = this.#tlb();
    const window = this.#opened(linear, bytes, write);
    const offset = window === undefined ? 0n : window.start + BigInt(BEFORE);
    c.later(() => {
      const { low, high } = window ?? { low: offset, high: offset + BigInt(bytes) };
      const first = i64.add(linear, low - offset);
      c.set(entry, i32.add(tlb, tlbEntry(i32.wrap(first))));
      // As `Env.fastHost` has it, which says why in this order.
      const tag = i64.load(entry.get, (window?.write ?? write) ? TLB_ENTRY.write : TLB_ENTRY.read);
      c.set(within, i64.xor(tag, first));
      c.set(host, i32.add(i32.wrap(linear), i32.load(entry.get, TLB_ENTRY.addend)));
      c.set(hit, i64.le_u(within.get, 4096n - (high - low)));
      if (window?.used === true) c.set(window.base, i32.sub(host.get, BEFORE));
    });
    const retry = (): void => {
      const found = { depth: c.depth };
      c.later(() => {
        if (window?.used !== true) return;
        c.set(window.base, 0);
        c.set(host, alone());
        c.brIf(found, host.get);
      });
    };
    return { hit: hit.get, host: host.get, retry };
  }

  /** Opens a window for an access and what may follow it. */
  #opened(linear: I64, bytes: number, write: boolean): Window | undefined {
    if (!this.#values.straight || this.#inUse === MOST_WINDOWS) return undefined;
    const { origin, offset } = this.#values.of(linear);
    const base = (this.#bases[this.#inUse++] ??= this.#c.lasting('i32'));
    const window = {
      base, start: offset - BigInt(BEFORE), low: offset, high: offset + BigInt(bytes), write, used: false, opened: this.#node,
    }; // prettier-ignore
    this.#open.set(origin, window);
    return window;
  }
}
