/**
 * C structures of the kernel's interface as declared tables: a name, and fields in order with their types.
 *
 * Offsets follow the System V x86-64 ABI, 3.1.2: each field at a multiple of its own size, the whole padded
 * to its most demanding field. All structures lie in the machine's shared memory, so that their address is
 * a number and their fields are read in place.
 */

/** Scalars, by what C's fixed-width types are called in the kernel. */
export type Scalar = 'u8' | 'u16' | 'u32' | 'u64';

/** A scalar, `[scalar, count]`, or another structure, or several of it. */
export type Field = Scalar | readonly [Scalar, number] | Struct<Fields> | readonly [Struct<Fields>, number];

export type Fields = Readonly<Record<string, Field>>;

export interface Struct<F extends Fields> {
  readonly fields: F;
  /** Byte offset of each field. */
  readonly offset: { readonly [K in keyof F]: number };
  /** Bytes. */
  readonly size: number;
  /** The alignment of its most demanding field. */
  readonly align: number;
}

const SIZE: Readonly<Record<Scalar, number>> = { u8: 1, u16: 2, u32: 4, u64: 8 };

/** Declares a structure. */
export function struct<const F extends Fields>(fields: F): Struct<F> {
  const offset: Record<string, number> = {};
  let at = 0;
  let most = 1;
  for (const [name, field] of Object.entries<Field>(fields)) {
    const [element, count] = isArray(field) ? field : [field, 1];
    const size = typeof element === 'string' ? SIZE[element] : element.size;
    const align = typeof element === 'string' ? size : element.align;
    at = Math.ceil(at / align) * align;
    offset[name] = at;
    at += size * count;
    most = Math.max(most, align);
  }
  // Every key of F has been given its offset.
  const offsets = offset as { readonly [K in keyof F]: number };
  return { fields, offset: offsets, size: Math.ceil(at / most) * most, align: most };
}

function isArray(field: Field): field is readonly [Scalar, number] | readonly [Struct<Fields>, number] {
  return Array.isArray(field);
}
