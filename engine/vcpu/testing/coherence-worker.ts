/**
 * A thread that does with pages what a vCPU does, in an order that its seed says: takes them in for writing, adds to
 * them straight or as a watched page wants it, adds by an exchange as for 16-byte atomics, decodes "code" of the
 * last page and lets it go, and between two of these sees to its requests.
 *
 * What it has of a page's code is the page's value: who writes to the page must say so.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { Arena } from '../../memory/layout.ts';
import { Coherence, coherenceBytes, Writing } from '../coherence.ts';
import { VcpuEvent } from '../state.ts';

/** Pages from this one on are those whose values count. */
const FIRST = 1;
/** Milliseconds within which a vCPU learns of a write to its code. */
const PATIENCE = 5000;

/** What all threads of a test share. */
export interface StressParts {
  readonly buffer: SharedArrayBuffer;
  readonly vcpus: number;
  readonly pages: number;
}

export interface StressTask extends StressParts {
  readonly vcpu: number;
  readonly operations: number;
  readonly seed: number;
}

/** What a thread ends with: how often it has added to each page, and what it has not been told. */
export interface StressResult {
  readonly added: readonly number[];
  readonly missed: string | null;
}

/** Bytes of the buffer. */
export const stressBytes = (pages: number, vcpus: number): number =>
  (FIRST + pages) * 4096 + coherenceBytes(FIRST + pages, vcpus) + vcpus * 64;

/** The objects that every thread builds over the buffer: as the pages of a machine, its own come first. */
export function attach({ buffer, vcpus, pages }: StressParts) {
  const all = FIRST + pages;
  const arena = new Arena(buffer, all * 4096, buffer.byteLength);
  const events = new Int32Array(buffer, arena.reserve(vcpus * 64, 64), vcpus * 16);
  const coherence = new Coherence(arena, all, vcpus, {
    post: (vcpu, bits) => Atomics.or(events, vcpu * 16, bits),
  });
  const values = new Int32Array(buffer, FIRST * 4096, pages * 1024);
  return { events, coherence, values };
}

class StressVcpu {
  readonly #task: StressTask;
  readonly #parts: ReturnType<typeof attach>;
  /** Pages that are written straight. */
  readonly #writable: Uint8Array;
  /** Of pages whose code this vCPU has: the value it was decoded from. */
  readonly #code = new Map<number, number>();
  readonly #added: number[];
  #random: number;
  #codeWrites: number;

  constructor(task: StressTask) {
    this.#task = task;
    this.#parts = attach(task);
    this.#writable = new Uint8Array(task.pages);
    this.#added = Array.from({ length: task.pages }, () => 0);
    this.#random = task.seed;
    this.#codeWrites = this.#parts.coherence.codeWrites.position();
  }

  run(): StressResult {
    const { gate } = this.#parts.coherence;
    const { vcpu, operations, pages } = this.#task;
    gate.enter(vcpu);
    let missed: string | null = null;
    for (let i = 0; i < operations && missed === null; i++) {
      this.#attend();
      const page = this.#below(pages);
      const choice = this.#below(10_000);
      // Exchanges are so rare that pages become ordinary between two of them.
      if (choice < 4) this.#exchange(page);
      else if (choice < 5) this.#dropWrites();
      else if (choice < 12 && page === pages - 1) missed = this.#useCode(page);
      else this.#add(page);
    }
    gate.leave(vcpu);
    return { added: this.#added, missed };
  }

  /** A linear congruential generator (Knuth, TAOCP volume 2, 3.3.4). */
  #below(limit: number): number {
    this.#random = (Math.imul(this.#random, 1_664_525) + 1_013_904_223) | 0;
    return (this.#random >>> 8) % limit;
  }

  #events(): number {
    return Atomics.load(this.#parts.events, this.#task.vcpu * 16);
  }

  #attend(): void {
    const { events, coherence } = this.#parts;
    const pending = this.#events();
    if (pending === 0) return;
    Atomics.and(events, this.#task.vcpu * 16, ~pending);
    if ((pending & VcpuEvent.DropWrites) !== 0) this.#dropWrites();
    if ((pending & VcpuEvent.CodeWritten) === 0) return;
    this.#codeWrites = coherence.codeWrites.read(
      this.#codeWrites,
      (address) => this.#dropCode(Math.floor(address / 4096) - FIRST),
      () => Array.from(this.#code.keys(), (page) => FIRST + page),
    );
  }

  #dropWrites(): void {
    this.#writable.fill(0);
    this.#parts.coherence.gate.advance(this.#task.vcpu);
  }

  #dropCode(page: number): void {
    if (this.#code.delete(page)) this.#parts.coherence.removeCode(this.#task.vcpu, FIRST + page);
  }

  #add(page: number): void {
    const { coherence, values } = this.#parts;
    const { vcpu } = this.#task;
    let writing: Writing = Writing.Free;
    let locked = false;
    if (this.#writable[page] === 0) {
      writing = coherence.admit(vcpu, FIRST + page);
      while (writing === Writing.Watched && !locked) {
        locked = coherence.lockWatched(vcpu, FIRST + page);
        if (!locked) writing = coherence.admit(vcpu, FIRST + page);
      }
      if (writing === Writing.Free) this.#writable[page] = 1;
    }
    Atomics.add(values, page * 1024, 1);
    if (locked) coherence.unlock(FIRST + page);
    this.#wrote(page, writing);
  }

  /** Adds one in two steps, which nobody may come between. */
  #exchange(page: number): void {
    const { coherence, values } = this.#parts;
    coherence.lockPair(this.#task.vcpu, FIRST + page, () => (this.#writable[page] = 0));
    this.#attend();
    const value = Atomics.load(values, page * 1024);
    for (let i = this.#below(60); i > 0; i--) Atomics.pause();
    Atomics.store(values, page * 1024, value + 1);
    coherence.unlock(FIRST + page);
    this.#wrote(page, Writing.Watched);
  }

  #wrote(page: number, writing: Writing): void {
    this.#added[page]++;
    if (writing === Writing.Free) return;
    this.#dropCode(page);
    if (writing === Writing.Watched) {
      this.#parts.coherence.written(this.#task.vcpu, (FIRST + page) * 4096, 4);
    }
  }

  #decode(page: number): void {
    this.#writable[page] = 0;
    this.#parts.coherence.addCode(this.#task.vcpu, FIRST + page);
    this.#code.set(page, Atomics.load(this.#parts.values, page * 1024));
    this.#attend();
  }

  /** Decodes, or lets go, or looks at what it has. @returns what it has not been told */
  #useCode(page: number): string | null {
    if (!this.#code.has(page)) this.#decode(page);
    else if (this.#below(4) > 0) return this.#compare(page);
    else this.#dropCode(page);
    return null;
  }

  /** What this vCPU has of a page's code is what is there, or it has been told, or is about to be. */
  #compare(page: number): string | null {
    const { values } = this.#parts;
    const until = performance.now() + PATIENCE;
    for (;;) {
      const code = this.#code.get(page);
      const value = Atomics.load(values, page * 1024);
      if (code === undefined || code === value) return null;
      if (performance.now() > until) return `page ${page}: its code is of ${code}, it has ${value}`;
      this.#attend();
    }
  }
}

function main(port: NonNullable<typeof parentPort>, task: StressTask): void {
  port.postMessage(new StressVcpu(task).run());
}

if (parentPort !== null) main(parentPort, workerData as StressTask);
