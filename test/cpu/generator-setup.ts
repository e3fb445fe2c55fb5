/**
 * What single instructions want of a case beyond random operands: dividends that mostly do not overflow, stacks
 * with addresses to return to, counts that end soon. Named by the `use=` attribute of the templates.
 */
import { CODE, DATA, MIXED, PAGE, STACK, StateOffset } from './case.ts';
import { Draft } from './generator-draft.ts';
import { fillOperand, interestingInteger, type Random } from './generator-values.ts';

type Setup = (draft: Draft) => void;

const SELECTORS = [0, 1, 3, 0x23, 0x2b, 0x33, 0x2b, 0x23, 0x10, 0x18, 0x2a, 0x1000, 0xfff8, 0x2f];

/** Gives the r/m operand a value, wherever it is. */
function setOperand(draft: Draft, value: bigint, bytes: number): void {
  if (draft.isMemory) draft.content = Draft.bytes(value, bytes);
  else draft.setGpr(draft.rm, value);
}

/** Puts RSP somewhere: mostly in the stack window, sometimes at the edges of what can be reached.
 * @param canonical for far transfers: whether they reach the stack by the old or the new mode's address size
 *   differs between processors */
function placeStack(draft: Draft, canonical = false): number {
  const { random } = draft;
  const kind = random.below(100);
  let rsp = BigInt(STACK + 2048 + (random.below(17) - 8) * 8);
  if (kind < 6) rsp += BigInt(random.below(8));
  else if (kind < 9) rsp = BigInt(STACK + random.below(8));
  else if (kind < 12) rsp = BigInt(DATA + 2 * PAGE - random.below(12));
  else if (kind < 14) rsp = BigInt(MIXED + PAGE + 8 + random.below(32));
  else if (kind < 15 && draft.mode === 64 && !canonical) rsp = draft.nonCanonical();
  draft.pin(4, rsp);
  return Number(BigInt.asUintN(32, rsp));
}

function stackSlot(draft: Draft): number {
  return draft.mode === 64 ? 8 : 4;
}

function pokeWords(draft: Draft, at: number, size: number, words: readonly bigint[]): void {
  words.forEach((word, i) => draft.poke(at + i * size, Draft.bytes(word, size)));
}

function randomFlags(random: Random): bigint {
  const trap = random.chance(4) ? 0x100 : 0;
  return BigInt((random.u32() & 0x2f_7ed5) | trap) & (random.chance(90) ? ~0x4_4000n : ~0n);
}

const codeSelector = (draft: Draft): bigint =>
  BigInt(draft.random.chance(85) ? draft.random.pick([0x23, 0x33]) : draft.random.pick(SELECTORS));
const dataSelector = (draft: Draft): bigint =>
  BigInt(draft.random.chance(70) ? 0x2b : draft.random.pick(SELECTORS));

function central(draft: Draft): bigint {
  return BigInt(DATA + PAGE - 128 + draft.random.below(256));
}

/** A pointer for a string instruction: mostly central, sometimes anywhere. */
function stringPointer(draft: Draft): bigint {
  const pointer = draft.random.chance(80) ? central(draft) : draft.target(8, 1);
  const bytes = new Uint8Array(48);
  fillOperand(draft.random, bytes, 'bytes');
  draft.poke(Number(BigInt.asUintN(31, pointer)) - 8, bytes);
  return pointer;
}

function farPointer(draft: Draft, selector: bigint): void {
  const size = draft.operandSize === 2 ? 2 : 4;
  const content = new Uint8Array(size + 2);
  content.set(Draft.bytes(draft.codeTarget(), size));
  content.set(Draft.bytes(selector, 2), size);
  draft.content = content;
}

export const SETUPS: Readonly<Record<string, Setup>> = {
  shift(draft) {
    const count = draft.random.chance(70) ? draft.random.below(70) : draft.random.below(256);
    draft.immediates.push(count);
    draft.pin(1, (draft.state.gpr(1) & ~0xffn) | BigInt(count));
  },

  doubleShift(draft) {
    // 16-bit operands shifted by more than 16 leave an undefined destination (SDM 2, SHLD): not generated.
    const count = draft.operandSize === 2 ? draft.random.below(17) : draft.random.below(70);
    const unused = draft.random.below(8) << (draft.operandSize === 8 ? 6 : 5); // masked off
    draft.immediates.push((count | unused) & 0xff);
    draft.pin(1, (draft.state.gpr(1) & ~0xffn) | BigInt((count | unused) & 0xff));
  },

  noVvvv(draft) {
    if (draft.random.chance(90)) draft.vvvv = 0;
  },

  bitOffset(draft) {
    // The offset is signed and reaches beyond the operand in memory.
    if (!draft.isMemory) return;
    draft.central = true;
    const offset = draft.random.below(1024) - 512;
    const garbage = draft.operandSize < 8 ? BigInt(draft.random.u32()) << BigInt(8 * draft.operandSize) : 0n;
    draft.pin(draft.reg, BigInt.asUintN(8 * draft.operandSize, BigInt(offset)) | garbage);
  },

  ascii(draft) {
    draft.immediates.push(draft.random.chance(60) ? 10 : draft.random.below(12));
  },

  divide(draft) {
    const { random } = draft;
    const size = draft.template.size === 'b' ? 1 : draft.operandSize;
    const bits = 8 * size;
    let divisor = BigInt.asUintN(bits, interestingInteger(random));
    if (divisor === 0n && random.chance(80)) divisor = 3n;
    const low = BigInt.asUintN(bits, interestingInteger(random));
    const high =
      random.chance(40) || divisor === 0n
        ? 0n
        : random.chance(40)
          ? BigInt.asUintN(bits, BigInt.asIntN(bits, low) >> 63n)
          : random.chance(80)
            ? random.u64() % divisor
            : BigInt.asUintN(bits, interestingInteger(random));
    if (size === 1) draft.pin(0, (draft.state.gpr(0) & ~0xffffn) | (high << 8n) | low);
    else {
      draft.pin(0, low);
      draft.pin(2, high);
    }
    if (draft.isMemory) draft.content = Draft.bytes(divisor, size);
    else if (draft.rm !== 0 && draft.rm !== 2 && !(size === 1 && draft.rm === 4))
      draft.setGpr(draft.rm, divisor);
  },

  xlat(draft) {
    draft.pin(3, draft.target(1, 1) - (draft.state.gpr(0) & 0xffn));
  },

  string(draft) {
    draft.pin(6, stringPointer(draft));
    draft.pin(7, stringPointer(draft));
    draft.pin(1, BigInt(draft.random.chance(90) ? draft.random.below(7) : draft.random.below(40)));
  },

  compare(draft) {
    if (draft.random.chance(50)) return;
    const size = draft.template.size === 'b' ? 1 : draft.operandSize;
    if (draft.isMemory) {
      draft.content = Draft.bytes(draft.state.gpr(0), size);
      draft.pinned.add(0);
    } else if (draft.rm !== 4) draft.setGpr(0, draft.state.gpr(draft.rm));
  },

  compare8(draft) {
    draft.pinned.add(0).add(2);
    if (draft.random.chance(60)) {
      const low = Draft.bytes(draft.state.gpr(0), 4);
      draft.content = Uint8Array.from([...low, ...Draft.bytes(draft.state.gpr(2), 4)]);
    }
  },

  compare16(draft) {
    draft.pinned.add(0).add(2);
    if (draft.random.chance(60)) {
      const low = Draft.bytes(draft.state.gpr(0), 8);
      draft.content = Uint8Array.from([...low, ...Draft.bytes(draft.state.gpr(2), 8)]);
    }
  },

  bextr(draft) {
    if (draft.random.chance(80)) {
      draft.pin(draft.vvvv, BigInt(draft.random.below(80) | (draft.random.below(80) << 8)));
    }
  },

  stack(draft) {
    placeStack(draft);
  },

  callTarget(draft) {
    placeStack(draft);
    setOperand(draft, draft.codeTarget(), stackSlot(draft));
  },

  jumpTarget(draft) {
    setOperand(draft, draft.codeTarget(), stackSlot(draft));
  },

  returnAddress(draft) {
    const rsp = placeStack(draft);
    pokeWords(draft, rsp, stackSlot(draft), [draft.codeTarget()]);
    draft.immediates.push(draft.random.chance(80) ? draft.random.below(64) : draft.random.below(0x1_0000));
  },

  loop(draft) {
    draft.pin(1, draft.random.chance(70) ? BigInt(draft.random.below(3)) : draft.state.gpr(1));
  },

  farReturn(draft) {
    const rsp = placeStack(draft, true);
    pokeWords(draft, rsp, draft.operandSize, [draft.codeTarget(), codeSelector(draft)]);
    draft.immediates.push(draft.random.below(64));
  },

  interruptReturn(draft) {
    const rsp = placeStack(draft, true);
    const stack = BigInt(STACK + 2048 + draft.random.below(64));
    const frame = [
      draft.codeTarget(),
      codeSelector(draft),
      randomFlags(draft.random),
      stack,
      dataSelector(draft),
    ];
    pokeWords(draft, rsp, draft.operandSize, frame);
  },

  farPointer(draft) {
    const toCode = draft.template.name.startsWith('jmp');
    farPointer(draft, toCode ? codeSelector(draft) : dataSelector(draft));
  },

  farPointerCall(draft) {
    placeStack(draft, true);
    farPointer(draft, codeSelector(draft));
  },

  softwareInterrupt(draft) {
    const vector = draft.random.below(256);
    draft.immediates.push(
      draft.random.chance(20) ? draft.random.pick([3, 4]) : vector === 0x80 ? 0x81 : vector,
    );
  },

  bound(draft) {
    const size = draft.operandSize;
    const bits = 8 * size;
    const index = BigInt.asIntN(bits, draft.state.gpr(draft.reg));
    draft.pinned.add(draft.reg);
    const lower = index - BigInt(draft.random.below(4) - 1);
    const upper = index + BigInt(draft.random.below(4) - 1);
    draft.content = Uint8Array.from([...Draft.bytes(lower, size), ...Draft.bytes(upper, size)]);
  },

  popFlags(draft) {
    const rsp = placeStack(draft);
    pokeWords(draft, rsp, stackSlot(draft), [randomFlags(draft.random)]);
  },

  enter(draft) {
    placeStack(draft);
    draft.pin(5, central(draft));
    draft.immediates.push(
      draft.random.below(64),
      draft.random.chance(85) ? draft.random.below(4) : draft.random.below(256),
    );
  },

  leave(draft) {
    const rsp = placeStack(draft);
    draft.pin(5, draft.random.chance(90) ? BigInt(rsp) : draft.target(8, 8));
  },

  popSelector(draft) {
    const rsp = placeStack(draft);
    pokeWords(draft, rsp, stackSlot(draft), [dataSelector(draft)]);
  },

  segmentRegister(draft) {
    draft.reg = draft.random.chance(95) ? draft.random.below(6) : 6 + draft.random.below(2);
  },

  loadSelector(draft) {
    draft.reg = draft.random.pick([0, 2, 3, 4, 5, 1]);
    setOperand(draft, dataSelector(draft), 2);
  },

  selectorOperand(draft) {
    setOperand(draft, BigInt(draft.random.pick(SELECTORS)), 2);
  },

  baseValue(draft) {
    draft.setGpr(draft.rm, draft.random.chance(90) ? draft.random.u64() >> 18n : draft.nonCanonical());
  },

  port(draft) {
    draft.pin(6, central(draft));
    draft.pin(7, central(draft));
  },

  controlRegister(draft) {
    draft.reg = draft.random.pick([0, 2, 3, 4]);
  },

  environment(draft) {
    const image = new Draft(draft.random, draft.mode, draft.template);
    image.fillX87('f80');
    const tags = image.random.below(0x1_0000);
    const size = draft.operandSize === 2 ? 2 : 4;
    const content = new Uint8Array(draft.template.memory ?? 28);
    fillOperand(draft.random, content.subarray(7 * size), 'f80');
    [image.state.fcw, image.state.fsw, tags].forEach((word, i) =>
      content.set(Draft.bytes(BigInt(word), 2), i * size),
    );
    draft.content = content;
  },

  controlWord(draft) {
    const precision = draft.random.pick([0, 2, 3]) << 8;
    draft.content = Draft.bytes(BigInt((draft.random.u32() & 0xfc7f) | precision), 2);
  },

  fxImage(draft) {
    const image = new Draft(draft.random, 64, draft.template);
    image.fillX87('f80');
    image.fillVectors('int');
    if (draft.random.chance(5)) image.state.mxcsr |= 0x1_0000 << draft.random.pick([0, 2, 9, 15]);
    draft.content = image.state.bytes.slice(StateOffset.xsave, StateOffset.xsave + 512);
    draft.fillVectors('int');
  },

  mxcsr(draft) {
    const reserved = draft.random.chance(10) ? 0x1_0000 << draft.random.pick([0, 2, 9, 15]) : 0;
    draft.content = Draft.bytes(BigInt((draft.randomMxcsr() | reserved) >>> 0), 4);
  },

  xsaveMask(draft) {
    draft.pin(0, BigInt(draft.random.below(8)));
    draft.pin(2, 0n);
  },

  comparison(draft) {
    draft.immediates.push(draft.random.below(draft.template.vex === undefined ? 8 : 32));
  },

  sseToo(draft) {
    draft.fillVectors(draft.template.kind);
  },

  maskedStore(draft) {
    draft.pin(7, draft.random.chance(90) ? central(draft) : draft.target(16, 1));
  },

  stringLengths(draft) {
    for (const register of [0, 2]) {
      const length = draft.random.chance(85)
        ? BigInt(draft.random.below(37) - 18)
        : interestingInteger(draft.random);
      draft.pin(register, length);
    }
  },
};

/** Where cases begin: far enough from both ends of the code pages for every short jump. */
export function codeAddress(random: Random): number {
  return CODE + 0x400 + random.below(0x1000);
}
