/** Every instruction's meaning: importing this fills the registry. */
import './avx.ts';
import './bits.ts';
import './flow.ts';
import './integer.ts';
import './shift.ts';
import './sse.ts';
import './string.ts';
import './syscall.ts';
import './system.ts';
import './x87.ts';
import { semantics, type Semantic } from './registry.ts';
import type { FormContext } from './form.ts';
import { settleLanes } from './sse-float.ts';
import { onLanes } from './vex.ts';

/** What the instruction of a form does; undefined where nothing of that name is defined. */
export function meaning(form: FormContext & { readonly name: string }): Semantic | undefined {
  const { name, vex } = form;
  const semantic = semantics.get(name);
  if (semantic === undefined || vex === undefined) return semantic;
  return (e) => onLanes(e, vex, name, semantic, settleLanes);
}
