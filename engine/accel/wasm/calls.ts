/**
 * What emitted code calls: memory accesses it cannot make by itself, instructions done in TypeScript, code it has to
 * have found. What is thrown becomes the reason for which it leaves.
 */
import { Seg } from '../../vcpu/state.ts';
import type { CodeFinder } from './code-finder.ts';
import type { CodeModes } from './code-modes.ts';
import { ComplexOperands } from './complex-operands.ts';
import { ComplexResult } from './interpreter/tier0.ts';
import { Leave, type privateLayout, REC, SlowInfo } from './private.ts';
import { type Requests, SERIALIZED, WANTED } from './requests.ts';
import { complexNames } from './semantics/registry.ts';
import type { GuestAccess } from './system/access.ts';
import {
  AccessPending, type ComplexInstruction, complexInstructions, type Cpu, GuestFault, InterpretInstead, Outcome,
} from './system/cpu.ts'; // prettier-ignore
import './system/complex.ts';

/** Calls, after entering the guest, that are not given up for whoever wants the vCPU: it must come forward however often
 * that is. */
const UNDISTURBED = 16;

/** Thrown where emitted code is to be left before the present instruction, which is run when the guest is entered again. */
class LeaveFirst {}

export interface CallParts {
  readonly memory: WebAssembly.Memory;
  /** Byte address of the vCPU's state in the memory. */
  readonly stateAddress: number;
  readonly ownState: ReturnType<typeof privateLayout.bind>;
  readonly cpu: Cpu;
  readonly access: GuestAccess;
  readonly modes: CodeModes;
  readonly finder: CodeFinder;
  readonly requests: Requests;
}

export class Calls {
  readonly #parts: CallParts;
  readonly #bytes: Uint8Array;
  readonly #words: Int32Array;
  readonly #complex: readonly ComplexInstruction[] = complexNames().map(complexInstruction);
  readonly #operands: ComplexOperands;
  /** Since the guest was entered. */
  #count = 0;
  /** One instruction is run by itself. */
  stepping = false;

  constructor(parts: CallParts) {
    this.#parts = parts;
    this.#bytes = new Uint8Array(parts.memory.buffer);
    this.#words = new Int32Array(parts.memory.buffer);
    this.#operands = new ComplexOperands(parts.memory.buffer, parts.stateAddress);
  }

  /** The guest is entered. */
  begin(): void {
    this.#count = 0;
  }

  /** What the module of handlers imports; see `interpreter/handlers.ts` for what each is given and returns. */
  imports(): Record<string, (first: number, second: number) => number> {
    const { finder, access, cpu } = this.#parts;
    const find = () => {
      this.#heed();
      return finder.findComputed();
    };
    const commit = () => {
      access.commit();
      return 1;
    };
    return {
      slow: (record: number, info: number) => this.#slow(record, info),
      commit: () => this.#guard(commit),
      complex: (record: number, number: number) => this.#runComplex(record, number),
      find: () => this.#guard(find),
      findDirect: (record: number) =>
        this.#guard(() => {
          this.#heed();
          return finder.findDirect(record);
        }),
      ticks: () => Number(cpu.readTsc()),
      revalidate: (record: number, id: number) => (finder.revalidate(record, id) ? 1 : 0),
    };
  }

  /** Turns what was thrown into an exit code. */
  note(reason: unknown): number {
    const { ownState } = this.#parts;
    let code: number;
    if (reason instanceof GuestFault) {
      ownState.vector = reason.vector;
      ownState.errorCode = reason.errorCode ?? 0;
      code = Leave.Exception;
    } else if (reason instanceof AccessPending) code = Leave.Access;
    else if (reason instanceof InterpretInstead) code = Leave.Interpret;
    else if (reason instanceof LeaveFirst) code = Leave.Changed;
    else throw reason;
    ownState.exitCode = code;
    return code;
  }

  /** RIP of the instruction of a record that is run now. */
  placed(record: number): bigint {
    return BigInt.asUintN(
      64,
      BigInt(this.#words[(record + REC.rip) >> 2]! >>> 0) + this.#parts.ownState.codePage,
    );
  }

  /** Runs what may fault or have to wait; 0 with the exit code set where it does. */
  #guard(body: () => number): number {
    try {
      return body();
    } catch (reason) {
      this.note(reason);
      return 0;
    }
  }

  /**
   * Leaves before an instruction where somebody wants this vCPU. What is done in TypeScript takes a thousand times as
   * long as other instructions, so that a budget full of it would keep whoever waits for far too long.
   *
   * @throws LeaveFirst
   */
  #heed(): void {
    if (++this.#count > UNDISTURBED && !this.stepping && this.#parts.requests.isWanted)
      throw new LeaveFirst();
  }

  /** Where an access can be made, or 0. A record whose operand is addressed through SS says so. */
  #slow(record: number, info: number): number {
    const segment = this.#bytes[record + REC.segment]!;
    try {
      this.#heed();
      const stack = segment === Seg.SS || segment === Seg.NoneStack ? SlowInfo.stack : 0;
      // Regions have no record.
      return this.#parts.access.slow(info | stack, record === 0);
    } catch (reason) {
      this.note(reason);
      return 0;
    }
  }

  #runComplex(record: number, number: number): number {
    const { cpu, modes, ownState, requests } = this.#parts;
    const rip = this.placed(record);
    const insn = this.#operands.read(record, rip, modes.current.code === 64);
    cpu.state.rip = insn.next;
    let outcome: Outcome;
    try {
      outcome = this.#complex[number]!(cpu, insn);
    } catch (reason) {
      cpu.state.rip = rip;
      // The record is left as it is: it says where the instruction is.
      this.note(reason);
      return ComplexResult.Leave;
    }
    switch (outcome) {
      case Outcome.Next:
        if ((requests.fence() & (SERIALIZED | WANTED)) === 0) return ComplexResult.Next;
        ownState.exitCode = Leave.Changed;
        break;
      case Outcome.Changed:
        requests.fence();
        ownState.exitCode = Leave.Changed;
        break;
      case Outcome.Halt:
        ownState.exitCode = Leave.Halt;
        break;
      default:
        ownState.exitCode = Leave.Shutdown;
    }
    return ComplexResult.LeaveBehind;
  }
}

function complexInstruction(name: string): ComplexInstruction {
  const run = complexInstructions.get(name);
  if (run !== undefined) return run;
  return () => {
    throw new Error(`instruction ${name} is to be done in TypeScript but is not there`);
  };
}
