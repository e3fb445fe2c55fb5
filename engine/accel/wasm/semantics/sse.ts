/** The MMX and SSE instruction groups: what they do, and the functions their code calls. */
import type { Func } from '../emit/code.ts';
import type { ModuleBuilder } from '../emit/module.ts';
import type { FloatLibrary } from '../float/library.ts';
import { addAesLibrary } from './aes.ts';
import { addPclmulLibrary } from './pclmul.ts';
import { addShaLibrary } from './sha.ts';
import './sse-arithmetic.ts';
import './sse-compare.ts';
import './sse-convert.ts';
import './sse-integer.ts';
import { addFloatHelpers } from './sse-library.ts';
import './sse-move.ts';
import './sse-shuffle.ts';
import { addStringLibrary } from './sse-string.ts';

/** Adds the functions that SIMD instructions call to a module; they belong in {@link Runtime.extra}. */
export function addSseLibrary(m: ModuleBuilder, float: FloatLibrary): Map<string, Func> {
  return new Map([
    ...addFloatHelpers(m, float),
    ...addStringLibrary(m),
    ...addAesLibrary(m),
    ...addPclmulLibrary(m),
    ...addShaLibrary(m),
  ]);
}
