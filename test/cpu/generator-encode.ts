/**
 * Encodes one template of a draft: prefixes, opcode, operands. Memory operands are aimed at the address the draft
 * chose, by any addressing form, and the registers of the form are set so that it works out.
 * SDM 2, chapter 2.
 */
import { CODE, PAGE } from './case.ts';
import { Draft } from './generator-draft.ts';
import { SETUPS } from './generator-setup.ts';
import { fillOperand, interestingInteger } from './generator-values.ts';

const SEGMENT_PREFIX = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65];

/** Second opcode bytes whose instruction is another one with REX.W: LSS, LFS, LGS, CMPXCHG8B. */
const REX_W_DIFFERS = new Set([0xb2, 0xb4, 0xb5, 0xc7]);

interface Address {
  mod: number;
  rm: number;
  /** SIB and displacement. */
  readonly rest: number[];
  x: number;
  b: number;
  /** The displacement counts from the end of the instruction, to this effective address. */
  ripTarget?: bigint;
}

/** Bytes, with the displacement that depends on where the instruction ends. */
export interface Encoded {
  readonly bytes: number[];
  readonly ripRelative: { readonly at: number; readonly target: bigint } | undefined;
}

function int32(value: bigint): boolean {
  return value >= -0x8000_0000n && value < 0x8000_0000n;
}

function push32(into: number[], value: bigint): void {
  into.push(...Draft.bytes(BigInt.asUintN(32, value), 4));
}

/** A 16-bit addressing form. The address comes out below 64 KiB, where nothing is mapped. */
function address16(draft: Draft): Address {
  const mod = draft.random.below(3);
  const rm = draft.random.below(8);
  const count = mod === 1 ? 1 : mod === 2 || rm === 6 ? 2 : 0;
  return { mod, rm, rest: Array.from({ length: count }, () => draft.random.below(256)), x: 0, b: 0 };
}

function address32(draft: Draft, effective: bigint): Address {
  const { random, mode } = draft;
  const bits = 8 * draft.addressSize;
  const wrap = (value: bigint): bigint => BigInt.asIntN(bits, value);
  const absolute = wrap(effective);
  const form = random.below(100);

  if (form < 12 && mode === 64) {
    const ripTarget = BigInt.asUintN(bits, effective);
    if (int32(ripTarget - BigInt(CODE)) && int32(ripTarget))
      return { mod: 0, rm: 5, rest: [0, 0, 0, 0], x: 0, b: 0, ripTarget };
  }
  if (form < 18 && int32(absolute)) {
    const rest: number[] = [];
    const sib = mode === 64 || random.chance(30);
    if (sib) rest.push(0x25 | (random.below(4) << 6));
    push32(rest, absolute);
    return { mod: 0, rm: sib ? 4 : 5, rest, x: 0, b: 0 };
  }

  const hasIndex = form >= 60;
  const scale = random.below(4);
  let index = random.below(draft.registers);
  if (index === 4) index = 1;
  const noBase = hasIndex && form >= 92;
  let base = random.below(draft.registers);
  const setRegister = (register: number, value: bigint): void => {
    const garbage = mode === 64 && bits === 32 ? BigInt(random.u32()) << 32n : 0n;
    draft.setGpr(register, garbage | BigInt.asUintN(bits, value));
  };
  const current = (register: number): bigint => wrap(draft.state.gpr(register));

  if (hasIndex && !draft.pinned.has(index)) {
    // With no base, or when the index is the base, a displacement must reach the address.
    const small = noBase || index === base || draft.pinned.has(base) || random.chance(50);
    setRegister(index, small ? BigInt(random.below(0x1_0000)) : interestingInteger(random));
  }
  const indexed = hasIndex ? current(index) << BigInt(scale) : 0n;

  let displacement: bigint;
  let mod: number;
  if (noBase || draft.pinned.has(base) || (hasIndex && index === base)) {
    displacement = wrap(effective - indexed - (noBase ? 0n : current(base)));
    mod = noBase ? 0 : 2;
    if (!int32(displacement)) {
      // Out of reach: a plain base register that is free.
      base =
        Array.from({ length: draft.registers }, (_, i) => i).find((i) => i !== 4 && !draft.pinned.has(i)) ??
        3;
      setRegister(base, effective);
      const plain: Address = { mod: 0, rm: base & 7, rest: [], x: 0, b: base >> 3 };
      if ((base & 7) === 5) [plain.mod, plain.rest[0]] = [1, 0];
      if ((base & 7) === 4) plain.rest.unshift(0x24);
      return plain;
    }
  } else {
    mod = (base & 7) === 5 ? 1 + random.below(2) : random.below(3);
    displacement = mod === 0 ? 0n : mod === 1 ? BigInt(random.below(256) - 128) : BigInt(random.u32() | 0);
    if (mod === 2 && random.chance(50)) displacement = BigInt(random.below(0x2000) - 0x1000);
    setRegister(base, effective - indexed - displacement);
  }
  // Neither register may be changed by what follows, nor by a second operand of a sequence.
  draft.pinned.add(base);
  if (hasIndex) draft.pinned.add(index);

  const rest: number[] = [];
  const sib = hasIndex || (base & 7) === 4 || random.chance(5);
  if (sib) {
    const indexBits = hasIndex ? index & 7 : 4;
    rest.push((scale << 6) | (indexBits << 3) | (noBase ? 5 : base & 7));
  }
  if (mod === 1) rest.push(Number(BigInt.asUintN(8, displacement)));
  else if (mod === 2 || noBase) push32(rest, displacement);
  return { mod, rm: sib ? 4 : base & 7, rest, x: hasIndex ? index >> 3 : 0, b: noBase ? 0 : base >> 3 };
}

/** The base that a segment override adds in this mode; prefixes of the other segments add nothing. */
function segmentBase(draft: Draft, prefix: number | undefined): bigint {
  if (draft.mode === 32 || (prefix !== 0x64 && prefix !== 0x65)) return 0n;
  const { random } = draft;
  const base = random.pick([0n, 0x1000n, BigInt(random.u32()), random.u64() >> 18n]);
  draft.state.view.setBigUint64(prefix === 0x64 ? 160 : 168, base, true);
  return base;
}

function displacement8(draft: Draft): number {
  // Beyond the instruction's own bytes on either side, so that no jump meets itself.
  return draft.random.chance(65) ? draft.random.below(128) : 128 + draft.random.below(100);
}

function displacementZ(draft: Draft): bigint {
  const { random } = draft;
  const kind = random.below(100);
  if (kind < 55) return BigInt(random.below(0x400));
  if (kind < 85) return BigInt(-32 - random.below(0x380));
  if (kind < 93) return BigInt(3 * PAGE + random.below(PAGE));
  return BigInt(0x400_0000 + random.below(0x100_0000)); // far from everything, on the host too
}

/** Encodes `draft.template`; registers, memory and operand of the draft are filled in. */
export function encode(draft: Draft): Encoded {
  const { random, mode, template } = draft;
  const long = mode === 64;
  const usesMemory = template.modrm !== undefined || template.tail.includes('moffs');

  // Operand size.
  let w = template.rexW ? 1 : 0;
  let operandPrefix = false;
  const sized = random.below(100);
  switch (template.size) {
    case 'v':
      operandPrefix = sized < 22;
      if (long && sized >= 16 && sized < 55 && template.setup !== 'environment') w = 1;
      break;
    case 'y':
      if (long && sized < 45) w = 1;
      break;
    case 'd64':
      operandPrefix = sized < 12 && !template.noPrefix;
      if (long && sized > 95 && !template.noPrefix) w = 1;
      break;
    default:
      if (
        long &&
        sized < 4 &&
        !template.noPrefix &&
        template.vex === undefined &&
        !REX_W_DIFFERS.has(template.opcode[1])
      )
        w = 1;
  }
  draft.operandSize = w === 1 ? 8 : operandPrefix ? 2 : template.size === 'd64' && long ? 8 : 4;

  // Operands.
  draft.isMemory =
    template.tail.includes('moffs') ||
    (template.modrm !== undefined &&
      template.form !== 'reg' &&
      (template.form === 'mem' || random.chance(55)));
  draft.reg = template.modrm?.kind === 'digit' ? template.modrm.digit : random.below(draft.registers);
  draft.rm = random.below(draft.registers);
  draft.vvvv = random.chance(30) ? 0 : random.below(draft.registers);
  if (template.registerInOpcode) draft.rm = random.below(draft.registers);
  const overrideable = usesMemory && draft.isMemory && !template.noPrefix && template.vex === undefined;
  const segment = overrideable && random.chance(8) ? random.pick(SEGMENT_PREFIX) : undefined;
  const addressPrefix =
    (usesMemory || template.setup === 'string') && !template.noPrefix && random.chance(long ? 6 : 2);
  draft.addressSize = long ? (addressPrefix ? 4 : 8) : addressPrefix ? 2 : 4;
  draft.begin();
  if (template.setup !== undefined) SETUPS[template.setup](draft);

  const operandBytes =
    template.memory ?? (template.size === 'b' ? 1 : template.size === undefined ? 4 : draft.operandSize);
  let address: Address | undefined;
  let moffs: bigint | undefined;
  if (draft.isMemory) {
    const target = draft.target(draft.content?.length ?? operandBytes, template.align);
    const bits = 8 * draft.addressSize;
    const base = segmentBase(draft, segment);
    const effective = BigInt.asUintN(bits, target - base);
    const linear = BigInt.asUintN(64, effective + base);
    if (template.tail.includes('moffs')) moffs = effective;
    else address = draft.addressSize === 2 ? address16(draft) : address32(draft, effective);
    if (draft.addressSize !== 2) {
      draft.operand = { address: linear, bytes: operandBytes };
      // An XSAVE area is written, not read.
      if (operandBytes > 0 && operandBytes <= 512 && linear < 0x1_0000_0000n) {
        const content = draft.content ?? new Uint8Array(operandBytes);
        if (draft.content === undefined) fillOperand(random, content, template.kind);
        draft.poke(Number(linear), content);
      }
    }
  }

  // Prefixes.
  const legacy: number[] = [];
  if (operandPrefix) legacy.push(0x66);
  if (addressPrefix) legacy.push(0x67);
  if (segment !== undefined) legacy.push(segment);
  const lock =
    template.lock && draft.isMemory
      ? random.chance(30)
      : !template.noPrefix && template.group !== 'segment' && random.chance(1);
  if (lock && template.vex === undefined) legacy.push(0xf0);
  if (template.rep && random.chance(65)) legacy.push(random.pick([0xf2, 0xf3]));
  const repeatIsIdle =
    !template.rep && !template.noPrefix && template.opcode.length === 1 && template.mandatory === 0 &&
    template.vex === undefined && template.file === undefined && !legacy.includes(0xf0) && template.opcode[0] !== 0x90; // prettier-ignore
  if (repeatIsIdle && random.chance(2)) legacy.push(random.pick([0xf2, 0xf3]));
  for (let i = legacy.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [legacy[i], legacy[j]] = [legacy[j], legacy[i]];
  }

  const bytes: number[] = [];
  if (template.mandatory !== 0) legacy.push(template.mandatory);
  // A REX prefix that is not the last prefix has no effect.
  if (long && legacy.length > 0 && template.vex === undefined && random.chance(1))
    bytes.push(0x40 | random.below(16));
  bytes.push(...legacy);

  const r = template.modrm !== undefined && template.modrm.kind === 'r' ? draft.reg >> 3 : 0;
  const b = address?.b ?? (template.modrm !== undefined || template.registerInOpcode ? draft.rm >> 3 : 0);
  const x = address?.x ?? 0;
  if (template.vex !== undefined) {
    const { l, pp, map, w: vexW } = template.vex;
    const wide = vexW ?? w;
    const vvvv = (~draft.vvvv & 15) << 3;
    if (map === 1 && wide === 0 && x === 0 && b === 0 && random.chance(50)) {
      bytes.push(0xc5, ((r ^ 1) << 7) | vvvv | (l << 2) | pp);
    } else {
      bytes.push(
        0xc4,
        ((r ^ 1) << 7) | ((x ^ 1) << 6) | ((b ^ 1) << 5) | map,
        (wide << 7) | vvvv | (l << 2) | pp,
      );
    }
  } else if (long) {
    const rex = (w << 3) | (r << 2) | (x << 1) | b;
    const idle = template.noPrefix ? false : random.chance(template.size === 'b' ? 40 : 5);
    if (rex !== 0 || idle) bytes.push(0x40 | rex);
  }

  const opcode = [...template.opcode];
  if (template.registerInOpcode) opcode[opcode.length - 1] |= draft.rm & 7;
  bytes.push(...opcode);

  let ripAt = -1;
  if (template.modrm !== undefined) {
    const mod = address?.mod ?? 3;
    bytes.push((mod << 6) | ((draft.reg & 7) << 3) | (address?.rm ?? draft.rm & 7));
    if (address?.ripTarget !== undefined) ripAt = bytes.length;
    bytes.push(...(address?.rest ?? []));
  }

  for (const part of template.tail) {
    const wanted = draft.immediates.shift();
    const value = wanted === undefined ? interestingInteger(random) : BigInt(wanted);
    const z = draft.operandSize === 2 ? 2 : 4;
    switch (part) {
      case 'ib':
        bytes.push(...Draft.bytes(value, 1));
        break;
      case 'iw':
        bytes.push(...Draft.bytes(value, 2));
        break;
      case 'iz':
        bytes.push(...Draft.bytes(value, z));
        break;
      case 'iv':
        bytes.push(...Draft.bytes(value, draft.operandSize));
        break;
      case 'rel8':
        bytes.push(displacement8(draft));
        break;
      case 'relz':
        push32(bytes, displacementZ(draft));
        break;
      case 'moffs':
        bytes.push(...Draft.bytes(moffs ?? 0n, draft.addressSize));
        break;
      case 'far':
        bytes.push(...Draft.bytes(draft.codeTarget(), 4), random.pick([0x23, 0x33, 0x2b, 0x10, 0]), 0);
        break;
    }
  }
  const target = address?.ripTarget;
  return { bytes, ripRelative: target === undefined ? undefined : { at: ripAt, target } };
}
