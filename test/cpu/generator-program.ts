/**
 * Seeded programs: loops over random instructions, with memory operands, branches, a subroutine and its calls,
 * and now and then a fault in their midst. They are for what single instructions do not show: what flags,
 * registers and memory are after thousands of instructions, however a translator has cut and joined them. Some
 * change their own code in each turn: an instruction elsewhere in the loop, or the very next.
 *
 * Everything in them is defined by the manuals, so that nothing need be masked. They end at the HLT behind them, or at
 * their first fault.
 */
import { CODE, DATA, MAX_CODE, MIXED, OWN_CODE, PAGE, STACK, type Case } from './case.ts';
import { Draft } from './generator-draft.ts';
import { encode } from './generator-encode.ts';
import { sequential, TEMPLATES } from './generator.ts';
import type { Template } from './generator-template.ts';
import { Random } from './generator-values.ts';

/** Opcodes with a modrm operand in memory whose effects are all defined: add, adc, sbb, sub, cmp and mov both ways. */
const MEMORY = [
  0x01, 0x03, 0x11, 0x13, 0x19, 0x1b, 0x29, 0x2b, 0x39, 0x3b, 0x89, 0x8b, 0x00, 0x02, 0x28, 0x38, 0x88, 0x8a,
];
/** The same behind 0F: movzx, movsx, cmpxchg, xadd; cmov by condition; set by condition. */
const MEMORY_0F = [0xb6, 0xb7, 0xbe, 0xbf, 0xb1, 0xc1, 0x42, 0x44, 0x4c, 0x4f, 0x92, 0x95, 0x9e];
/** Those that may be locked. */
const LOCKABLE = new Set([0x01, 0x11, 0x19, 0x29, 0x00, 0x28]);

const MOST_TURNS = 60;

/** Length of an instruction that changes another. */
const CHANGE_BYTES = 8;

const RSP = 4;
const REGISTERS = [0, 1, 2, 3, 5, 6, 7];

export class ProgramGenerator {
  readonly #random: Random;
  readonly #templates: readonly Template[];

  /** @param features beyond x86-64-v2, as {@link Generator} has them */
  constructor(seed: number, features: readonly string[]) {
    this.#random = new Random(seed);
    this.#templates = TEMPLATES.filter(
      (template) =>
        (template.feature === undefined || features.includes(template.feature)) &&
        template.mode !== 32 &&
        (template.group === 'integer' || template.group === 'sse') &&
        sequential(template),
    );
  }

  batch(count: number): Case[] {
    return Array.from({ length: count }, () => this.next());
  }

  next(): Case {
    const random = this.#random;
    const draft = new Draft(random, 64, random.pick(this.#templates));
    draft.fillVectors('int');
    // Alignment checks would end most programs at their first operand.
    draft.state.rflags &= ~0x4_0000n;
    draft.pinned.add(4);
    // Where no operand and no push gets, or a program might go on for ever.
    const counter = DATA + PAGE - 256;
    const turns = 1 + random.below(MOST_TURNS);
    const head = [0xc7, 0x04, 0x25, ...word(counter), ...word(turns)];
    const near = random.chance(25);
    const changing = random.chance(35);
    const base = changing ? OWN_CODE : CODE;
    const rip = base + (near ? PAGE - 1 - random.below(MAX_CODE) : 0x400 + random.below(0x800));
    const first = this.#body(draft, 1 + random.below(4));
    const skipped = this.#body(draft, random.below(3));
    const last = this.#body(draft, random.below(3));
    if (changing) {
      const changed = rip + head.length + first.length;
      first.push(...this.#changeable());
      const [here, there] = random.chance(50) ? [skipped, last] : [last, skipped];
      here.push(...this.#change(changed));
      there.push(...(random.chance(30) ? this.#change(changed) : []));
      if (random.chance(50)) {
        // It comes to its own successor.
        const at = rip + head.length + first.length + 2 + skipped.length + last.length;
        last.push(...this.#change(at + CHANGE_BYTES), ...this.#changeable());
      }
    }
    const subroutine = [...this.#body(draft, 1 + random.below(2)), 0xc3];
    const calls = random.chance(60);
    // sub dword [counter], 1
    const step = [0x83, 0x2c, 0x25, ...word(counter), 1];
    const tail: number[] = [];
    const turn = [...first, 0x70 + random.below(16), skipped.length, ...skipped, ...last];
    if (calls) turn.push(0xe8, ...word(step.length + 6 + 5));
    const back = -(turn.length + step.length + 6);
    // jnz turn; jmp over the subroutine
    tail.push(...step, 0x0f, 0x85, ...word(back), 0xe9, ...word(subroutine.length), ...subroutine);
    const code = [...head, ...turn, ...tail];
    draft.state.rip = BigInt(rip);
    return {
      name: `program${changing ? ' that changes itself' : ''}${calls ? ' with calls' : ''}`,
      mode: 64,
      code: Uint8Array.from(code.slice(0, MAX_CODE)),
      state: draft.state,
      memory: draft.memory,
      operandSize: 8,
    };
  }

  /** An instruction that {@link #change} may change: add, adc, sub or cmp of EAX and an immediate. */
  #changeable(): number[] {
    return [this.#random.pick([0x05, 0x15, 0x2d, 0x3d]), ...word(this.#random.below(2 ** 32))];
  }

  /** Changes the opcode or the immediate of such an instruction. */
  #change(at: number): number[] {
    const random = this.#random;
    // add dword [at + 1], imm8; xor byte [at + 1 + n], imm8; xor byte [at], imm8: makes one of the four another
    if (random.chance(40)) return [0x83, 0x04, 0x25, ...word(at + 1), random.below(128)];
    if (random.chance(50)) return [0x80, 0x34, 0x25, ...word(at + 1 + random.below(4)), random.below(256)];
    return [0x80, 0x34, 0x25, ...word(at), random.pick([0x10, 0x28, 0x38])];
  }

  #body(draft: Draft, count: number): number[] {
    return Array.from({ length: count }, () =>
      this.#random.chance(45) ? this.#memory() : this.#register(draft),
    ).flat();
  }

  /** A register form, of any registers but the stack pointer: a wild one leads into the host kernel's half, where
   * what is mapped is not the test's. */
  #register(draft: Draft): number[] {
    for (;;) {
      const template = this.#random.pick(this.#templates);
      draft.template = { ...template, form: template.modrm === undefined ? template.form : 'reg' };
      const { bytes } = encode(draft);
      if (draft.reg !== RSP && draft.rm !== RSP && template.name !== 'leave') return bytes;
    }
  }

  /** An instruction with an operand at a fixed place: mostly where it can be, seldom where it faults. */
  #memory(): number[] {
    const random = this.#random;
    const place = random.below(100);
    const at =
      place < 60
        ? DATA + PAGE - 200 + random.below(190)
        : place < 80
          ? DATA + PAGE - 8 + random.below(16)
          : place < 98
            ? // Not the stack itself: a damaged return address leads into the host kernel's half as well.
              STACK + 2048 + 128 + random.below(100)
            : MIXED + PAGE - 4 + random.below(8);
    const operand = [0x04 | (random.pick(REGISTERS) << 3), 0x25, ...word(at)];
    const rex = random.chance(70) ? [0x48 | (random.chance(40) ? 4 : 0)] : [];
    const kind = random.below(100);
    // inc, dec; not, neg; push, pop
    if (kind < 10) return [...rex, 0xff, (random.below(2) << 3) | 0x04, 0x25, ...word(at)];
    if (kind < 16) return [...rex, 0xf7, ((2 + random.below(2)) << 3) | 0x04, 0x25, ...word(at)];
    if (kind < 22) return [0xff, 0x34, 0x25, ...word(at)];
    if (kind < 34) return [0x0f, random.pick([0x10, 0x11]), ...operand];
    if (kind < 55) return [...rex, 0x0f, random.pick(MEMORY_0F), ...operand];
    const opcode = random.pick(MEMORY);
    const lock = LOCKABLE.has(opcode) && random.chance(20) ? [0xf0] : [];
    return [...lock, ...rex, opcode, ...operand];
  }
}

/** Little-endian bytes of a 32-bit number. */
const word = (value: number): number[] => [
  value & 255,
  (value >> 8) & 255,
  (value >> 16) & 255,
  (value >> 24) & 255,
];
