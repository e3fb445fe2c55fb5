/** Tests only: operands that floating point is likely to get wrong, from a seeded generator. */

/** A generator of 64-bit words (splitmix64: Steele, Lea and Flood, OOPSLA 2014). */
export class Random {
  #state: bigint;
  constructor(seed: number) {
    this.#state = BigInt(seed);
  }
  word(): bigint {
    this.#state = BigInt.asUintN(64, this.#state + 0x9e37_79b9_7f4a_7c15n);
    let z = this.#state;
    z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58_476d_1ce4_e5b9n);
    z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d0_49bb_1331_11ebn);
    return z ^ (z >> 31n);
  }
  /** 0 … n - 1 */
  below(n: number): number {
    return Number((this.word() >> 11n) % BigInt(n));
  }
  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!;
  }
  /** `bits` bits: random, sparse, all ones, or runs. */
  fraction(bits: number): bigint {
    const mask = (1n << BigInt(bits)) - 1n;
    const at = () => 1n << BigInt(this.below(bits));
    switch (this.below(8)) {
      case 0:
        return 0n;
      case 1:
        return mask;
      case 2:
        return at() | at();
      case 3:
        return mask ^ at();
      case 4:
        return (at() - 1n) & mask;
      case 5:
        return mask & ~(at() - 1n);
      default:
        return this.word() & mask;
    }
  }
  /** An exponent field of `bits` bits: extremes, around the bias, near `other`, anything. */
  exponent(bits: number, other: number | undefined): number {
    const largest = 2 ** bits - 1;
    const bias = 2 ** (bits - 1) - 1;
    const near = (e: number, by: number) => Math.min(largest, Math.max(0, e + this.below(2 * by + 1) - by));
    switch (this.below(8)) {
      case 0:
        return this.pick([0, 0, 1, 2, 3, largest, largest, largest - 1, largest - 2]);
      case 1:
      case 2:
        return near(bias, 70);
      case 3:
        return near(bias, 3);
      case 4:
      case 5:
        return near(other ?? bias, 70);
      case 6:
        return near(this.pick([0, largest, Math.trunc(bias / 2), Math.trunc((3 * bias) / 2)]), 66);
      default:
        return this.below(largest + 1);
    }
  }
}

/** The negative of a number, or one a few units away from that, across powers of two as well: a sum with it
 * cancels. `bits` is the width, the sign its highest bit, with no integer bit between exponent and fraction. */
function opposite(r: Random, other: bigint, bits: number): bigint {
  const magnitude = (1n << BigInt(bits - 1)) - 1n;
  const near = BigInt.asUintN(bits - 1, (other & magnitude) + BigInt(r.below(7) - 3));
  return ((other ^ (BigInt(r.below(4) !== 0) << BigInt(bits - 1))) & ~magnitude) | near;
}

/** The bits of an f32 or f64. */
export function binaryOperand(r: Random, width: 32 | 64, other?: bigint): bigint {
  const [exponentBits, fractionBits] = width === 32 ? [8, 23] : [11, 52];
  if (other !== undefined && r.below(12) === 0) return opposite(r, other, width);
  const field =
    other === undefined ? undefined : Number(other >> BigInt(fractionBits)) & (2 ** exponentBits - 1);
  const exponent = BigInt(r.exponent(exponentBits, field));
  const sign = BigInt(r.below(2));
  return (sign << BigInt(width - 1)) | (exponent << BigInt(fractionBits)) | r.fraction(fractionBits);
}

const FRACTION = (1n << 63n) - 1n;

/** An 80-bit number as 80 bits, now and then not a supported encoding. */
export function extendedOperand(r: Random, other?: bigint): bigint {
  if (other !== undefined && r.below(12) === 0) {
    const near = opposite(r, ((other >> 64n) << 63n) | (other & FRACTION), 79);
    const integer = (near >> 63n) & 0x7fffn ? 1n << 63n : 0n;
    return ((near >> 63n) << 64n) | integer | (near & FRACTION);
  }
  const field = other === undefined ? undefined : Number(other >> 64n) & 0x7fff;
  const exponent = r.exponent(15, field);
  const integer = exponent === 0 ? r.below(4) === 0 : r.below(24) !== 0;
  const sign = BigInt(r.below(2));
  return (sign << 79n) | (BigInt(exponent) << 64n) | (BigInt(integer) << 63n) | r.fraction(63);
}
