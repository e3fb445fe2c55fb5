/**
 * Declared memory layouts.
 *
 * Everything a machine is lives in one shared memory, so what would elsewhere be an object's fields is
 * here a declared layout: a name, a version, and an ordered list of fields. A layout gives each field its
 * byte offset (for emitted code), and binds to an address to give typed accessors (for TypeScript). The
 * name, version and fields are also what a saved machine is written and checked with.
 *
 * Fields are little-endian, naturally aligned (arrays of 16 bytes and more to 16), in declaration order; the
 * size is a multiple of 16 bytes.
 */

/** Scalar field types. `i64`/`u64` are BigInt in TypeScript; `f64` is a Number. */
export type Scalar = 'u8' | 'u16' | 'u32' | 'i32' | 'u64' | 'i64' | 'f64';

/** A field: a scalar, or `[scalar, count]` for an array. */
export type Field = Scalar | readonly [Scalar, number];

export type Fields = Readonly<Record<string, Field>>;

type ScalarValue<S extends Scalar> = S extends 'u64' | 'i64' ? bigint : number;

type ArrayValue<S extends Scalar> = S extends 'u8'
  ? Uint8Array<SharedArrayBuffer>
  : S extends 'u16'
    ? Uint16Array<SharedArrayBuffer>
    : S extends 'u32'
      ? Uint32Array<SharedArrayBuffer>
      : S extends 'i32'
        ? Int32Array<SharedArrayBuffer>
        : S extends 'u64'
          ? BigUint64Array<SharedArrayBuffer>
          : S extends 'i64'
            ? BigInt64Array<SharedArrayBuffer>
            : Float64Array<SharedArrayBuffer>;

/** A layout bound to an address: scalars read and write like properties, arrays are typed arrays. */
export type View<F extends Fields> = {
  -readonly [K in keyof F as F[K] extends Scalar ? K : never]: F[K] extends Scalar
    ? ScalarValue<F[K]>
    : never;
} & {
  readonly [K in keyof F as F[K] extends Scalar ? never : K]: F[K] extends readonly [
    infer S extends Scalar,
    number,
  ]
    ? ArrayValue<S>
    : never;
};

const SIZE: Record<Scalar, number> = { u8: 1, u16: 2, u32: 4, i32: 4, u64: 8, i64: 8, f64: 8 };

const ARRAY = {
  u8: Uint8Array,
  u16: Uint16Array,
  u32: Uint32Array,
  i32: Int32Array,
  u64: BigUint64Array,
  i64: BigInt64Array,
  f64: Float64Array,
} as unknown as Record<Scalar, new (buffer: SharedArrayBuffer, at: number, count: number) => object>;

/** Views of a bound layout's bytes, one of each type. */
interface Slots {
  readonly $u8: Uint8Array;
  readonly $u16: Uint16Array;
  readonly $u32: Uint32Array;
  readonly $i32: Int32Array;
  readonly $u64: BigUint64Array;
  readonly $i64: BigInt64Array;
  readonly $f64: Float64Array;
}

/**
 * What reads and writes the element `at` of a slot. Each type has functions of its own: V8 keeps what it learns about
 * a property access with the place in the source, and one place for all types would never be fast.
 */
const ACCESSOR: Record<Scalar, (at: number) => PropertyDescriptor & ThisType<Slots>> = {
  u8: (at) => ({
    get() {
      return this.$u8[at];
    },
    set(value: number) {
      this.$u8[at] = value;
    },
  }),
  u16: (at) => ({
    get() {
      return this.$u16[at];
    },
    set(value: number) {
      this.$u16[at] = value;
    },
  }),
  u32: (at) => ({
    get() {
      return this.$u32[at];
    },
    set(value: number) {
      this.$u32[at] = value;
    },
  }),
  i32: (at) => ({
    get() {
      return this.$i32[at];
    },
    set(value: number) {
      this.$i32[at] = value;
    },
  }),
  u64: (at) => ({
    get() {
      return this.$u64[at];
    },
    set(value: bigint) {
      this.$u64[at] = value;
    },
  }),
  i64: (at) => ({
    get() {
      return this.$i64[at];
    },
    set(value: bigint) {
      this.$i64[at] = value;
    },
  }),
  f64: (at) => ({
    get() {
      return this.$f64[at];
    },
    set(value: number) {
      this.$f64[at] = value;
    },
  }),
};

const SCALARS = Object.keys(ACCESSOR) as Scalar[];

export interface Layout<F extends Fields> {
  readonly name: string;
  /** Raised whenever a field is added, removed, reordered or changes meaning. */
  readonly version: number;
  readonly fields: F;
  /** Byte offset of each field from the start of the layout. */
  readonly offset: { readonly [K in keyof F]: number };
  /** Bytes, a multiple of 16. */
  readonly size: number;
  /** What reads the lower 32 bits of a field of 64, unsigned, without making a BigInt. */
  lowHalf(field: keyof F): (view: View<F>) => number;
  /** Accessors over `buffer` with the layout starting at byte `base` (16-byte aligned). */
  bind(buffer: SharedArrayBuffer, base: number): View<F>;
}

/**
 * Declares a layout.
 *
 * @param name unique in the machine, as written into saved states
 * @param version see {@link Layout.version}
 * @param fields in order; natural alignment is inserted
 */
export function layout<const F extends Fields>(name: string, version: number, fields: F): Layout<F> {
  const offset: Record<string, number> = {};
  let at = 0;
  for (const [key, field] of Object.entries<Field>(fields)) {
    const [type, count] = typeof field === 'string' ? [field, 1] : field;
    const size = SIZE[type];
    const align = size * count >= 16 ? 16 : size;
    at = Math.ceil(at / align) * align;
    offset[key] = at;
    at += size * count;
  }
  const size = Math.ceil(at / 16) * 16;

  // One class per layout, so every bound view has the same hidden class and its accessors inline.
  class Bound {}
  const arrays: Array<[key: string, type: Scalar, count: number]> = [];
  for (const [key, field] of Object.entries<Field>(fields)) {
    if (typeof field !== 'string') {
      arrays.push([key, field[0], field[1]]);
      continue;
    }
    const accessor = ACCESSOR[field](offset[key]! / SIZE[field]);
    Object.defineProperty(Bound.prototype, key, { enumerable: true, ...accessor });
  }

  return {
    name,
    version,
    fields,
    offset: offset as { [K in keyof F]: number },
    size,
    lowHalf(field) {
      const index = offset[field as string]! / SIZE.u32;
      return (view) => (view as unknown as Slots).$u32[index]!;
    },
    bind(buffer, base) {
      if (base % 16 !== 0) throw new RangeError(`layout ${name} bound at unaligned address ${base}`);
      const bound = new Bound() as Record<string, unknown>;
      for (const type of SCALARS) {
        Object.defineProperty(bound, `$${type}`, { value: new ARRAY[type](buffer, base, size / SIZE[type]) });
      }
      for (const [key, type, count] of arrays) {
        Object.defineProperty(bound, key, {
          value: new ARRAY[type](buffer, base + offset[key]!, count),
          enumerable: true,
        });
      }
      return bound as View<F>;
    },
  };
}

/** Hands out space for layouts in a region of the shared memory, first to last; the same calls in every
 * thread give the same addresses. */
export class Arena {
  readonly buffer: SharedArrayBuffer;
  #next: number;
  readonly #end: number;

  /** @param start first byte, @param end one past the last byte of the region */
  constructor(buffer: SharedArrayBuffer, start: number, end: number) {
    this.buffer = buffer;
    this.#next = start;
    this.#end = end;
  }

  /** Reserves `bytes`, aligned to `align` (a power of two), and returns its address.
   * @throws RangeError when the region is full */
  reserve(bytes: number, align = 16): number {
    const at = Math.ceil(this.#next / align) * align;
    if (at + bytes > this.#end) throw new RangeError(`no room for ${bytes} bytes in the machine area`);
    this.#next = at + bytes;
    return at;
  }

  /** Reserves a layout and binds it. */
  place<F extends Fields>(of: Layout<F>): View<F> {
    return of.bind(this.buffer, this.reserve(of.size));
  }
}
