/** What other threads ask of a vCPU that runs guest code: translations and code to be dropped, a moment's standstill. */
import type { Coherence } from '../../vcpu/coherence.ts';
import { VcpuEvent } from '../../vcpu/state.ts';
import type { CodeCache } from './interpreter/code-cache.ts';
import type { Mmu } from './system/mmu.ts';

/** Events that are the run loop's to see to. */
export const WANTED = VcpuEvent.Kick | VcpuEvent.Init | VcpuEvent.Sipi;

/** What has to be seen to after an instruction that serialises, before the next (SDM 3A, 9.3). */
export const SERIALIZED = VcpuEvent.FlushTlb | VcpuEvent.FlushCode | VcpuEvent.CodeWritten;

export interface RequestParts {
  /** The vCPU's event word. */
  readonly events: Int32Array<SharedArrayBuffer>;
  readonly vcpu: number;
  readonly coherence: Coherence;
  readonly mmu: Mmu;
  readonly code: CodeCache;
}

export class Requests {
  readonly #parts: RequestParts;
  readonly #events: Int32Array<SharedArrayBuffer>;
  /** How far the log of writes to code has been read. */
  #codeWrites: number;

  constructor(parts: RequestParts) {
    this.#parts = parts;
    this.#events = parts.events;
    this.#codeWrites = parts.coherence.codeWrites.position();
  }

  /** Somebody outside the guest wants this vCPU. */
  get isWanted(): boolean {
    return (Atomics.load(this.#events, 0) & WANTED) !== 0;
  }

  /** Drains the store buffer, as instructions that serialise do, and says what is requested. */
  fence(): number {
    return Atomics.or(this.#events, 0, 0);
  }

  /** Drops translations for writing, where another vCPU waits for that. */
  dropWrites(): void {
    if ((Atomics.load(this.#events, 0) & VcpuEvent.DropWrites) === 0) return;
    this.#done(VcpuEvent.DropWrites);
    this.#parts.mmu.dropWrites();
  }

  /** Does what has been asked, between two instructions; translations for reading are the caller's to drop. */
  heed(events: number): void {
    const { code, coherence, vcpu } = this.#parts;
    if ((events & VcpuEvent.FlushCode) !== 0) {
      this.#done(VcpuEvent.FlushCode);
      code.flush();
    }
    if ((events & VcpuEvent.CodeWritten) !== 0) this.#dropWritten();
    if ((events & VcpuEvent.StandStill) !== 0) {
      this.#done(VcpuEvent.StandStill);
      coherence.gate.leave(vcpu);
      coherence.gate.enter(vcpu);
    }
    this.dropWrites();
  }

  /** Drops decoded code that others have overwritten. */
  #dropWritten(): void {
    this.#done(VcpuEvent.CodeWritten);
    const { code, coherence } = this.#parts;
    this.#codeWrites = coherence.codeWrites.read(
      this.#codeWrites,
      (host, bytes) => code.written(host, bytes),
      () => code.pages(),
    );
  }

  #done(event: number): void {
    Atomics.and(this.#events, 0, ~event);
  }
}
