/**
 * Seeded random numbers, and operand values that find defects: the edges of integers and of the
 * floating-point formats (SDM 1, 4.2.2 and 8.2) far more often than chance would have them.
 */

/** A small fast generator of period about 2^128 (xoshiro128**), so that a seed names a run for good. */
export class Random {
  readonly #s: Uint32Array;

  constructor(seed: number) {
    // SplitMix32 spreads the seed over the state.
    let z = seed >>> 0;
    this.#s = Uint32Array.from({ length: 4 }, () => {
      z = (z + 0x9e37_79b9) >>> 0;
      let x = Math.imul(z ^ (z >>> 16), 0x21f0_aaad);
      x = Math.imul(x ^ (x >>> 15), 0x735a_2d97);
      return (x ^ (x >>> 15)) >>> 0;
    });
  }

  u32(): number {
    const s = this.#s;
    const x = Math.imul(s[1], 5);
    const result = Math.imul((x << 7) | (x >>> 25), 9) >>> 0;
    const t = s[1] << 9;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = (s[3] << 11) | (s[3] >>> 21);
    return result;
  }

  /** 0 … n - 1. */
  below(n: number): number {
    return this.u32() % n;
  }

  /** True with probability `percent` / 100. */
  chance(percent: number): boolean {
    return this.below(100) < percent;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)];
  }

  u64(): bigint {
    return (BigInt(this.u32()) << 32n) | BigInt(this.u32());
  }
}

const EDGE = [
  0n, 1n, 2n, -1n, -2n, 0x7fn, 0x80n, 0x81n, 0xffn, 0x100n, 0x7fffn, 0x8000n, 0x8001n, 0xffffn, 0x1_0000n,
  0x7fff_ffffn, 0x8000_0000n, 0x8000_0001n, 0xffff_ffffn, 0x1_0000_0000n, 0x7fff_ffff_ffff_ffffn,
  -0x8000_0000_0000_0000n, -0x7fff_ffff_ffff_ffffn, -128n, -129n, -32768n, -0x8000_0000n, 0x5555_5555_5555_5555n,
  -0x5555_5555_5555_5556n, 9n, 10n, 0x99n,
].map((value) => BigInt.asUintN(64, value)); // prettier-ignore

/** An integer whose low 8, 16, 32 and 64 bits are each likely to be at an edge. */
export function interestingInteger(random: Random): bigint {
  switch (random.below(8)) {
    case 0:
    case 1:
    case 2:
      return random.pick(EDGE);
    case 3: // 2^n + { -1, 0, 1 }
      return BigInt.asUintN(64, (1n << BigInt(random.below(64))) + BigInt(random.below(3) - 1));
    case 4: // small
      return BigInt(random.below(64));
    case 5: // a run of ones
      return BigInt.asUintN(64, random.u64() >> BigInt(random.below(64)));
    default:
      return random.u64();
  }
}

function pack(
  sign: number,
  exponent: bigint,
  fraction: bigint,
  exponentBits: number,
  fractionBits: number,
): bigint {
  return (
    (BigInt(sign) << BigInt(exponentBits + fractionBits)) | (exponent << BigInt(fractionBits)) | fraction
  );
}

function interestingFraction(random: Random, bits: number): bigint {
  const all = (1n << BigInt(bits)) - 1n;
  switch (random.below(7)) {
    case 0:
      return 0n;
    case 1:
      return 1n;
    case 2:
      return all;
    case 3:
      return 1n << BigInt(random.below(bits));
    case 4: // few significant bits: products and roots come out exact
      return BigInt(random.below(256)) << BigInt(bits - 8);
    default:
      return random.u64() & all;
  }
}

function interestingIeee(random: Random, exponentBits: number, fractionBits: number): bigint {
  const top = (1n << BigInt(exponentBits)) - 1n;
  const bias = top >> 1n;
  const fraction = interestingFraction(random, fractionBits);
  const sign = random.below(2);
  const make = (exponent: bigint, bits: bigint): bigint =>
    pack(sign, exponent, bits, exponentBits, fractionBits);
  switch (random.below(16)) {
    case 0:
      return make(0n, 0n); // zero
    case 1:
      return make(0n, fraction); // denormal, mostly
    case 2:
      return make(top, 0n); // infinity
    case 3:
      return make(top, fraction | (1n << BigInt(fractionBits - 1))); // quiet NaN
    case 4:
      return make(top, (fraction & ((1n << BigInt(fractionBits - 1)) - 1n)) | 1n); // signalling NaN
    case 5:
      return make(1n + BigInt(random.below(3)), fraction); // close to underflow
    case 6:
      return make(top - 1n - BigInt(random.below(3)), fraction); // close to overflow
    case 7: // integers and halves around the limits of the integer formats
      return make(bias + BigInt(random.below(66)) - 1n, fraction);
    case 8:
      return make(bias, 0n); // one
    case 9:
      return make(BigInt.asUintN(64, random.u64()) & top, fraction);
    default: // near one another, so that sums cancel and products stay in range
      return make(bias + BigInt(random.below(8)) - 4n, fraction);
  }
}

export function interestingSingle(random: Random): number {
  return Number(interestingIeee(random, 8, 23));
}

export function interestingDouble(random: Random): bigint {
  return interestingIeee(random, 11, 52);
}

/** Writes a double extended-precision value, 10 bytes, any encoding: also pseudo-denormals, unnormals,
 * pseudo-infinities and pseudo-NaNs (SDM 1, table 8-3). */
export function putInterestingExtended(random: Random, view: DataView, at: number): void {
  let exponent: number;
  let significand = (1n << 63n) | interestingFraction(random, 63);
  switch (random.below(20)) {
    case 0:
      [exponent, significand] = [0, 0n]; // zero
      break;
    case 1:
      [exponent, significand] = [0, significand & ~(1n << 63n)]; // denormal
      break;
    case 2:
      exponent = 0; // pseudo-denormal
      break;
    case 3:
      [exponent, significand] = [0x7fff, 1n << 63n]; // infinity
      break;
    case 4:
      [exponent, significand] = [0x7fff, significand | (3n << 62n)]; // quiet NaN
      break;
    case 5:
      [exponent, significand] = [0x7fff, (significand & ~(1n << 62n)) | 1n]; // signalling NaN
      break;
    case 6: // unnormal, pseudo-NaN, pseudo-infinity
      exponent = random.pick([1, 0x3fff, 0x4000 + random.below(64), 0x7fff, 0x7ffe]);
      significand &= ~(1n << 63n);
      break;
    case 7:
      exponent = 1 + random.below(70); // close to underflow
      break;
    case 8:
      exponent = 0x7ffe - random.below(70); // close to overflow
      break;
    case 9:
      [exponent, significand] = [0x3fff, 1n << 63n]; // one
      break;
    case 10: // around the limits of single and double precision
      exponent =
        0x3fff + random.pick([-1075, -1074, -1023, -1022, -150, -149, -127, -126, 127, 128, 1023, 1024]);
      break;
    case 11:
    case 12:
      exponent = 0x3fff - 2 + random.below(70); // integers of every size
      break;
    case 13:
      exponent = random.below(0x8000);
      break;
    default:
      exponent = 0x3fff - 4 + random.below(8);
  }
  view.setBigUint64(at, significand, true);
  view.setUint16(at + 8, exponent | (random.below(2) << 15), true);
}

/** What the bytes of an operand mean. */
export type Kind = 'int' | 'f32' | 'f64' | 'f80' | 'bcd' | 'bytes';

/** Fills `bytes` with operands of a kind, the last one cut off where they do not fit. */
export function fillOperand(random: Random, bytes: Uint8Array, kind: Kind): void {
  const whole = new DataView(new ArrayBuffer(Math.ceil(bytes.length / 16) * 16 + 16));
  const fill = (step: number, put: (at: number) => void): void => {
    for (let at = 0; at < bytes.length; at += step) put(at);
  };
  switch (kind) {
    case 'int':
      if (bytes.length >= 16) {
        const step = random.pick([1, 2, 4, 8] as const);
        fill(step, (at) => whole.setBigUint64(at, interestingInteger(random), true));
      } else {
        fill(8, (at) => whole.setBigUint64(at, interestingInteger(random), true));
      }
      break;
    case 'f32':
      fill(4, (at) => whole.setUint32(at, interestingSingle(random), true));
      break;
    case 'f64':
      fill(8, (at) => whole.setBigUint64(at, interestingDouble(random), true));
      break;
    case 'f80':
      fill(10, (at) => putInterestingExtended(random, whole, at));
      break;
    case 'bcd':
      fill(1, (at) =>
        whole.setUint8(at, random.chance(90) ? random.below(10) * 16 + random.below(10) : random.u32()),
      );
      break;
    case 'bytes': // short alphabets, so that string comparisons find something
      fill(1, (at) => whole.setUint8(at, random.pick([0, 1, 2, 0x41, 0x42, 0x80, 0xff])));
      break;
  }
  bytes.set(new Uint8Array(whole.buffer, 0, bytes.length));
}
