/** Tier 1: regions become WebAssembly functions, several to a module. */
import type { Code, Func } from '../emit/code.ts';
import { i32, i64 } from '../emit/expr.ts';
import { ModuleBuilder } from '../emit/module.ts';
import { HANDLERS, HELPERS, IMPORTS, type Tier0, EXPORTED } from '../interpreter/tier0.ts';
import { HANDLER_PARAMS } from '../interpreter/record-env.ts';
import { JUMP_ENTRY, linkAt, P, REGION_TAG, REGION_TAG_BYTES } from '../private.ts';
import { meaning } from '../semantics/index.ts';
import { checkedName, exportName } from './exports.ts';
import { flagNeeds, mayChangeFlags, untouchedNodes } from './flag-needs.ts';
import { buildGraph, uppersIn, type RegionNode } from './graph.ts';
import { BEFORE_BITS, RegionEnv, RegionState } from './region-env.ts';
import { FlagsMissing, type FlagsAt } from './region-flags.ts';
import { RegionTemporaries } from './region-temporaries.ts';
import { residence } from './residence.ts';
import { isDirect, type RegionSource } from './source.ts';
import { structure } from './structure.ts';
import { Untranslatable } from './untranslatable.ts';

/** A region to translate, under a number that no other region of the machine has. */
export interface NumberedSource {
  readonly source: RegionSource;
  readonly id: number;
}

/** Entries of the jump cache that ways out of regions, and calls, have been given: {@link linkAt}. */
export interface Links {
  count: number;
}

/** Tier 0 as a module of regions sees it. */
interface Beside extends Tier0 {
  /** Index of a handler's signature. */
  readonly handlerType: number;
}

/**
 * Translates regions into one module.
 *
 * @param links how many link entries the regions before have
 * @param plain its table of handlers is of functions of any signature, for readers that know no other
 * @returns its bytes, and the numbers of those regions that hold something that cannot be translated
 */
export function translateRegions(
  tier0: Tier0,
  regions: readonly NumberedSource[],
  links: Links,
  plain = false,
): { bytes: Uint8Array<ArrayBuffer>; refused: ReadonlySet<number> } {
  const m = new ModuleBuilder(tier0.types);
  m.importMemory(IMPORTS, 'memory', 1, 65536);
  const handlerType = m.type(HANDLER_PARAMS, ['i32']);
  m.importTable(IMPORTS, HANDLERS, tier0.handlers, plain ? undefined : handlerType);
  m.importTable(IMPORTS, HELPERS, tier0.helpers);
  const runtime = { ...tier0.runtime };
  for (const name of EXPORTED)
    runtime[name] = m.importFunction(IMPORTS, name, runtime[name].params, runtime[name].results);
  const beside: Beside = { ...tier0, runtime, handlerType };
  const refused = new Set<number>();
  for (const region of regions) {
    const func = m.declare(HANDLER_PARAMS, ['i32']);
    try {
      m.define(func, (c) => emitRegion(c, beside, region, () => linkAt(links.count++)));
      m.export(exportName(region.id), func);
      if (region.source.spread) {
        const checked = m.function(HANDLER_PARAMS, ['i32'], (c) => emitCheck(c, beside, region, func));
        m.export(checkedName(region.id), checked);
      }
    } catch (reason) {
      if (!(reason instanceof Untranslatable || reason instanceof FlagsMissing)) throw reason;
      refused.add(region.id);
      m.define(func, (c) => c.unreachable());
    }
  }
  return { bytes: m.encode(), refused };
}

/** Code on other pages was found by way of mappings that may have changed since. */
function emitCheck(c: Code, { runtime }: Tier0, { source, id }: NumberedSource, region: Func): void {
  const [cpu, record, budget] = [c.param('i32', 0).get, c.param('i32', 1).get, c.param('i32', 2).get];
  const seen = c.let(i32.add(i32.load(cpu, P.regionTags), REGION_TAG_BYTES * id));
  const valid = i32.load(cpu, source.global ? P.tagGlobal : P.tagLocal);
  const page = c.let(i64.load(cpu, P.codePage));
  const moved = i64.ne(i64.load(seen, REGION_TAG.codePage), page);
  c.unlikely(i32.or(i32.ne(i32.load(seen, REGION_TAG.tag), valid), moved), () =>
    c.unlikely(i32.eqz(c.call('i32', runtime.revalidate, record, id)), () =>
      c.returnCall(runtime.lookup, cpu, i64.add(page, source.entry), budget),
    ),
  );
  c.returnCall(region, cpu, record, budget);
}

function emitRegion(c: Code, tier0: Beside, { source }: NumberedSource, link: () => number): void {
  const { runtime } = tier0;
  const { entry, reader } = buildGraph(source, tier0.forms.forms);
  const shape = structure(entry);
  const uppers = uppersIn(shape.order, reader);
  const changesFlags = shape.order.some(({ instructions }) =>
    instructions.some(({ form }) => mayChangeFlags(form)),
  );
  const state = new RegionState(c, uppers, changesFlags, source.windows, link);
  const e = new RegionEnv(state, runtime, reader, entry.instructions[0]!);
  const untouched = untouchedNodes(shape);
  const needs = flagNeeds(shape, untouched);
  const flagsAt = (to: RegionNode): FlagsAt => (shape.isInline(to) ? 'inherited' : needs.get(to)!);
  /** Emits all nodes; each way out branches to an exit. */
  const emitBody = (): void => {
    shape.emit(c, (node, go) => {
      state.begin(node, shape.isInline(node));
      /** Continues at `rip`, inside where there is a node for it. */
      const follow = (to: RegionNode | undefined, rip: bigint): void => {
        if (to === undefined || !shape.isInside(node, to)) {
          e.goOutside(rip);
          return;
        }
        // Once round a loop is where interrupts are taken.
        if (shape.isBack(node, to)) c.unlikely(i32.lt_s(state.budget.get, 0), () => e.goOutside(rip));
        state.flags.handOn(flagsAt(to));
        go(to);
        state.registers.resume(node);
      };
      state.flags.start(flagsAt(node), untouched.has(node));
      const temporaries = new RegionTemporaries(c, state.flags);
      const last = node.instructions.length - 1;
      for (const [i, instruction] of node.instructions.entries()) {
        e.move(instruction, i);
        const { name } = instruction.form;
        if (i === last && isDirect(name)) {
          const target = e.relativeTarget();
          e.staysInside = node.taken !== undefined && shape.isInside(node, node.taken);
          e.onTaken = () =>
            e.aside(() => {
              e.charge(node.instructions.length);
              follow(node.taken, target);
            });
        }
        if (i === last) {
          e.onJump = (target) => {
            for (const site of node.guess === undefined ? node.returns : [...node.returns, node.guess]) {
              if (!shape.isInside(node, site)) continue;
              c.if(i64.eq(target, e.placed(site.rip)), () => e.aside(() => follow(site, site.rip)));
            }
          };
        }
        temporaries.within(() => meaning(instruction.form)!(e));
        if (ALIGNMENT_CHECK.has(name)) state.changeTlb();
      }
      if (node.nextRip !== undefined) {
        e.charge(node.instructions.length);
        follow(node.next, node.nextRip);
      } else c.unreachable();
      temporaries.end();
    });
    c.unreachable();
  };
  c.block((rareUntouched) => {
    c.block((rare) => {
      c.block((exitUntouched) => {
        c.block((exit) => {
          state.out = { exit, exitUntouched, rare, rareUntouched };
          emitBody();
        });
        state.flags.store(state.cpu);
      });
      goOn(c, tier0, state, source.global);
    });
    state.flags.store(state.cpu);
  });
  const before = i32.and(i32.wrap(state.rareAt.get), 2 ** BEFORE_BITS - 1);
  const rareAt = i64.shr_s(state.rareAt.get, BEFORE_BITS);
  c.returnCall(tier0.runtime.interpret, state.cpu, rareAt, i32.sub(state.budget.get, before));
  state.registers.reside(residence(shape, state.registers.touched));
  state.flags.load(state.cpu, needs.get(entry)!);
}

/** Ends a region: goes on in the next where the jump cache has it, else whichever way there is. */
function goOn(c: Code, { runtime, handlerType }: Beside, state: RegionState, global: boolean): void {
  const { cpu } = state;
  const [rip, entry, budget] = [state.rip.get, state.entry.get, state.budget.get];
  const at = c.let(i32.add(i32.load(cpu, P.jumpCache), entry));
  const where = c.let(i32.load(at, JUMP_ENTRY.where));
  // The entry's tag is one of two, and no record's; the others are found by whoever looks it up.
  // Loads of 32 bits in comparisons of 64, as V8 makes a load that it can fold into the operation by itself as well.
  const tags = i64.xor(
    i64.load32_u(at, JUMP_ENTRY.tag),
    i64.load32_u(cpu, global ? P.tagGlobal : P.tagLocal),
  );
  const differs = i64.or(i64.xor(i64.load(at, JUMP_ENTRY.linear), rip), tags);
  c.block((elsewhere) => {
    c.brIf(elsewhere, i64.ne(differs, 0), 'unlikely');
    c.brIf(elsewhere, i32.lt_s(budget, 0), 'unlikely');
    // Who finds the region gone knows by this where it was, and by what stands for a record that it is to look there.
    c.store('i64', cpu, rip, P.codePage);
    c.returnCallIndirect(handlerType, where, cpu, cpu, budget);
  });
  c.returnCall(runtime.lookupFrom, cpu, rip, budget, entry);
}

/** The only instructions in a region that change which TLB is in use. */
const ALIGNMENT_CHECK = new Set(['stac', 'clac']);
