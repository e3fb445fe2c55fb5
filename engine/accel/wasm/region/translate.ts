/** Tier 1: a region becomes one WebAssembly function. */
import { i32, i64 } from '../emit/expr.ts';
import { ModuleBuilder } from '../emit/module.ts';
import { HANDLER_PARAMS } from '../interpreter/record-env.ts';
import { IMPORTS, type Tier0 } from '../interpreter/handlers.ts';
import { P, S } from '../private.ts';
import { semantics } from '../semantics/env.ts';
import { flagNeeds } from './flag-needs.ts';
import type { RecordReader, Region, RegionNode } from './graph.ts';
import { RegionEnv, RegionState, Untranslatable, Way } from './region-env.ts';
import type { FlagsAt } from './region-flags.ts';
import { structure } from './structure.ts';

/**
 * Translates.
 *
 * @returns the module's bytes, exporting `region` with a handler's signature; undefined where the region
 *   holds something that cannot be translated
 */
export function translateRegion(
  tier0: Tier0,
  reader: RecordReader,
  region: Region,
): Uint8Array<ArrayBuffer> | undefined {
  const m = new ModuleBuilder(tier0.types);
  m.importMemory(IMPORTS, 'memory', 1, 65536);
  m.importTable(IMPORTS, 'table', tier0.handlers);
  try {
    const func = m.function(HANDLER_PARAMS, ['i32'], (c) => {
      const state = new RegionState(c);
      const e = new RegionEnv(state, tier0.runtime, reader, region.entry.instructions[0]!);
      const shape = structure(region.entry);
      const needs = flagNeeds(shape.order, shape.isInside);
      const flagsAt = (to: RegionNode): FlagsAt => (shape.isInline(to) ? 'inherited' : needs.get(to)!);
      c.block((exit) => {
        state.exit = exit;
        shape.emit(c, (node, go) => {
          /** Continues at `rip`, inside where there is a node for it. */
          const follow = (to: RegionNode | undefined, rip: bigint): void => {
            if (to === undefined || !shape.isInside(node, to)) {
              e.goOutside(rip);
              return;
            }
            // Once round a loop is where interrupts are taken.
            if (shape.isBack(node, to)) c.if(i32.lt_s(state.budget.get, 0), () => e.goOutside(rip));
            state.flags.handOn(flagsAt(to));
            go(to);
          };
          state.flags.start(flagsAt(node));
          const last = node.instructions.length - 1;
          for (const [i, instruction] of node.instructions.entries()) {
            e.move(instruction, i);
            if (i === last && isDirect(instruction.form.name)) {
              const target = BigInt.asUintN(64, BigInt(e.target().imm));
              e.onTaken = () =>
                e.aside(() => {
                  e.charge(node.instructions.length);
                  follow(node.taken, target);
                });
            }
            semantics.get(instruction.form.name)!(e);
            if (ALIGNMENT_CHECK.has(instruction.form.name)) state.loadTlb();
          }
          if (node.nextRip !== undefined) {
            e.charge(node.instructions.length);
            follow(node.next, node.nextRip);
          } else c.unreachable();
        });
        c.unreachable();
      });
      state.store();
      c.if(i32.eq(state.way.get, Way.Leave), () => {
        c.store('i64', state.cpu, state.rip.get, S.rip);
        c.store('i32', state.cpu, 0, P.exitRecord);
        c.store('i32', state.cpu, state.budget.get, P.budget);
        c.return(i32.load(state.cpu, P.exitCode));
      });
      c.returnCall(tier0.runtime.lookup, state.cpu, i64.add(state.rip.get, 0), state.budget.get);
    });
    m.export('region', func);
    return m.encode();
  } catch (reason) {
    if (reason instanceof Untranslatable) return undefined;
    throw reason;
  }
}

/** The only instructions in a region that change which TLB is in use. */
const ALIGNMENT_CHECK = new Set(['stac', 'clac']);

const isDirect = (name: string): boolean => /^(j(n?[obzspl]|n?be|n?le|mp|cxz)|call|loop(n?e)?)$/.test(name);
