/** What a record says of an instruction that is done in TypeScript. */
import { P, REC } from './private.ts';
import type { Instruction } from './system/cpu.ts';

type MutableInstruction = { -readonly [K in keyof Instruction]: Instruction[K] };

export class ComplexOperands {
  readonly #words: Int32Array;
  readonly #halves: Uint16Array;
  readonly #bytes: Uint8Array;
  readonly #quads: BigUint64Array;
  /** Index in quadwords of the operand's offset. */
  readonly #offset: number;
  /** One for all: there is one instruction at a time. */
  readonly #instruction: MutableInstruction = {
    size: 4, a: 0, b: 0, imm: 0, memory: false, segment: 3, offset: 0n, rip: 0n, next: 0n, length: 0, addressSize: 8, rep: 0, selector: 0,
  }; // prettier-ignore

  /** @param buffer the shared memory; the vCPU's state is at `stateAddress` */
  constructor(buffer: ArrayBufferLike, stateAddress: number) {
    this.#words = new Int32Array(buffer);
    this.#halves = new Uint16Array(buffer);
    this.#bytes = new Uint8Array(buffer);
    this.#quads = new BigUint64Array(buffer);
    this.#offset = (stateAddress + P.eaOffset) >> 3;
  }

  /**
   * The instruction of a record, until this is next called. The address record before it has been run.
   *
   * @param rip of the instruction
   * @param long in 64-bit mode
   */
  read(record: number, rip: bigint, long: boolean): Instruction {
    const insn = this.#instruction;
    const info = this.#bytes[record + REC.scale]!;
    insn.size = (1 << (info & 3)) as 2 | 4 | 8;
    insn.addressSize = (1 << ((info >> 2) & 3)) as 2 | 4 | 8;
    insn.rep = ((info >> 4) & 3) as 0 | 1 | 2;
    insn.memory = (info & 0x40) !== 0;
    insn.a = this.#halves[(record + REC.a) >> 1]!;
    insn.b = this.#halves[(record + REC.b) >> 1]!;
    insn.imm = this.#words[(record + REC.imm) >> 2]!;
    insn.selector = this.#words[(record + REC.disp) >> 2]! & 0xffff;
    insn.segment = this.#bytes[record + REC.segment]!;
    insn.offset = insn.memory ? this.#quads[this.#offset]! : 0n;
    insn.length = this.#bytes[record + REC.length]!;
    insn.rip = rip;
    insn.next = BigInt.asUintN(long ? 64 : 32, rip + BigInt(insn.length));
    return insn;
  }
}
