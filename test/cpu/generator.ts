/**
 * Seeded cases over the instructions that user code can execute, and the faults of those it cannot.
 *
 * Every form of the tables gets its turn before any gets a second one, so that coverage does not depend on luck;
 * operands, addressing, prefixes and state are random. A share of the cases are short sequences of register
 * forms, for what one instruction leaves to the next (flags above all).
 */
import { CODE, MAX_CODE, PAGE, type Case } from './case.ts';
import { Draft } from './generator-draft.ts';
import { encode, type Encoded } from './generator-encode.ts';
import { INTEGER } from './generator-integer.ts';
import { codeAddress } from './generator-setup.ts';
import { SIMD } from './generator-simd.ts';
import { SYSTEM } from './generator-system.ts';
import type { Template } from './generator-template.ts';
import { Random } from './generator-values.ts';
import { X87 } from './generator-x87.ts';
import { leavesUndefined } from './masks.ts';

export const TEMPLATES: readonly Template[] = [...INTEGER, ...SYSTEM, ...X87, ...SIMD];

/** What a processor of level x86-64-v2 has not, and the default of the generator: what our models may offer. */
export const DEFAULT_FEATURES = ['aes', 'pclmulqdq', 'movbe', 'bmi1', 'bmi2', 'lzcnt', 'adx', 'sha'] as const;

export interface GeneratorOptions {
  readonly seed: number;
  /** Features beyond x86-64-v2 (see `feat=` in the tables). */
  readonly features?: readonly string[];
  /** Only forms whose name, or group, matches. */
  readonly only?: RegExp;
  /** Only this mode. */
  readonly mode?: 32 | 64;
}

/** Forms that may stand in a sequence: registers only, nothing set up, no transfer of control, and nothing left
 * undefined that the next instruction might use. */
export function sequential(template: Template): boolean {
  const group = /^(integer|x87|mmx|sse)$/.test(template.group);
  const plain = template.setup === undefined || template.setup === 'shift' || template.setup === 'comparison';
  return (
    !leavesUndefined(template.name) &&
    group &&
    plain &&
    template.form !== 'mem' &&
    !template.tail.includes('moffs') &&
    template.vex === undefined
  );
}

export class Generator {
  readonly templates: readonly Template[];
  readonly #random: Random;
  readonly #mode: 32 | 64 | undefined;
  readonly #sequential: ReadonlyMap<string, readonly Template[]>;
  #queue: Template[] = [];

  /** @throws RangeError where no form is left */
  constructor(options: GeneratorOptions) {
    const features: readonly string[] = options.features ?? DEFAULT_FEATURES;
    this.#random = new Random(options.seed);
    this.#mode = options.mode;
    this.templates = TEMPLATES.filter(
      (template) =>
        (template.feature === undefined || features.includes(template.feature)) &&
        (options.mode === undefined || template.mode === undefined || template.mode === options.mode) &&
        (options.only === undefined || options.only.test(template.name) || options.only.test(template.group)),
    );
    if (this.templates.length === 0) throw new RangeError('no instruction form matches');
    const groups = new Map<string, Template[]>();
    for (const template of this.templates.filter(sequential)) {
      const group = groups.get(template.group);
      if (group === undefined) groups.set(template.group, [template]);
      else group.push(template);
    }
    this.#sequential = groups;
  }

  next(): Case {
    const template = this.#nextTemplate();
    const companions = this.#sequential.get(template.group);
    if (companions !== undefined && sequential(template) && this.#random.chance(20)) {
      return this.#sequence(template, companions);
    }
    return this.#single(template);
  }

  batch(count: number): Case[] {
    return Array.from({ length: count }, () => this.next());
  }

  /** The next form; each once, in random order, before any again. */
  #nextTemplate(): Template {
    if (this.#queue.length === 0) this.#queue = [...this.templates];
    const at = this.#random.below(this.#queue.length);
    const template = this.#queue[at];
    this.#queue[at] = this.#queue[this.#queue.length - 1];
    this.#queue.pop();
    return template;
  }

  #draft(template: Template): Draft {
    const mode = template.mode ?? this.#mode ?? (this.#random.chance(72) ? 64 : 32);
    const draft = new Draft(this.#random, mode, template);
    if (template.file === 'x87') draft.fillX87('f80');
    else if (template.file === 'mmx') draft.fillX87(this.#random.chance(90) ? 'int' : 'f80');
    if (template.file === 'sse') draft.fillVectors(template.kind);
    if (template.vex !== undefined && template.file === 'sse') draft.fillUpperVectors(template.kind);
    return draft;
  }

  #single(template: Template): Case {
    const draft = this.#draft(template);
    const encoded = encode(draft);
    // Unmasked x87 exceptions wait for the next instruction that looks.
    if (template.file === 'x87' && this.#random.chance(35)) encoded.bytes.push(0x9b);
    return this.#finish(draft, template.name, [encoded]);
  }

  #sequence(first: Template, companions: readonly Template[]): Case {
    const draft = this.#draft(first);
    const parts = [encode(draft)];
    const count = 1 + this.#random.below(3);
    for (let i = 0; i < count; i++) {
      const template = this.#random.pick(companions);
      if (template.mode !== undefined && template.mode !== draft.mode) continue;
      // Memory forms only once, first: a later one would find its registers changed.
      draft.template = { ...template, form: template.modrm === undefined ? template.form : 'reg' };
      parts.push(encode(draft));
    }
    return this.#finish(draft, `sequence ${first.group}: ${first.name}`, parts);
  }

  /** Places the code, and resolves what depends on where instructions end. */
  #finish(draft: Draft, name: string, parts: readonly Encoded[]): Case {
    const random = this.#random;
    const length = parts.reduce((sum, part) => sum + part.bytes.length, 0);
    let rip = codeAddress(random);
    let keep = Math.min(length, MAX_CODE);
    const placement = random.below(100);
    // VEX forms may have a vvvv field that makes them undefined.
    const undefinedOpcode = name.startsWith('ud') || draft.template.vex !== undefined;
    if (placement < 3)
      rip = CODE + PAGE - 1 - random.below(length); // over the boundary of two pages
    else if (placement < 5 && !undefinedOpcode)
      rip = CODE + 2 * PAGE - length; // up to the last byte
    else if (placement < 7 && !undefinedOpcode) {
      // the page ends within an instruction
      keep = random.below(length);
      rip = CODE + 2 * PAGE - keep;
      if (keep === 0) rip = CODE + 2 * PAGE - 1; // only HLT
    }
    const code: number[] = [];
    for (const { bytes, ripRelative } of parts) {
      if (ripRelative !== undefined) {
        const end = BigInt(rip + code.length + this.#length(bytes, draft));
        Draft.bytes(BigInt.asUintN(32, ripRelative.target - end), 4).forEach(
          (byte, i) => (bytes[ripRelative.at + i] = byte),
        );
      }
      code.push(...bytes);
    }
    draft.state.rip = BigInt(rip);
    return {
      name,
      mode: draft.mode,
      code: Uint8Array.from(code.slice(0, keep)),
      state: draft.state,
      memory: draft.memory,
      operandSize: draft.template.size === 'b' ? 1 : draft.operandSize,
      ...(draft.operand === undefined ? {} : { operand: draft.operand }),
    };
  }

  /** Length of the first instruction of a part: without the FWAIT that may follow it. */
  #length(bytes: readonly number[], draft: Draft): number {
    const wait = draft.template.file === 'x87' && draft.template.modrm !== undefined && bytes.at(-1) === 0x9b;
    return bytes.length - (wait ? 1 : 0);
  }
}
