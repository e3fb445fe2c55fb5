/**
 * The handler of all common forms (common-forms.ts): a loop that looks which form the record has, does it, and goes round
 * with the record that follows. One function is left to enter the next no more than for what is rare, and all that they
 * share stays in the host's registers.
 *
 * To the rest of tier 0 it is a handler as any other: each of its forms has it as its handler, and where a record has
 * another handler (a rarer form, a region, code that is gone) it goes on with that.
 */
import type { Code, Func, Label } from '../emit/code.ts';
import { i32, type I32 } from '../emit/expr.ts';
import type { ModuleBuilder } from '../emit/module.ts';
import { P, REC } from '../private.ts';
import type { Env } from '../semantics/env.ts';
import { meaning } from '../semantics/index.ts';
import { firstEntry } from '../semantics/jump-entry.ts';
import type { Runtime } from '../semantics/runtime.ts';
import { FIXED_HANDLERS, type Form, type FormTable } from './forms.ts';
import { enterBy, linearOf } from './jump-lookup.ts';
import { HANDLER_PARAMS, RecordEnv, type Ways } from './record-env.ts';

/** What an instruction does. @throws Error where nobody has said it */
export function meaningOf(form: Form): (e: Env) => void {
  const semantic = meaning(form);
  if (!semantic) throw new Error(`instruction ${form.name} is in the table but has no meaning`);
  return semantic;
}

/** Emits it. @param type index of the handlers' signature */
export function addCommonHandler(m: ModuleBuilder, table: FormTable, runtime: Runtime, type: number): Func {
  const forms = table.forms.slice(0, table.common);
  return m.function(HANDLER_PARAMS, ['i32'], (c) => {
    const cpu = c.param('i32', 0).get;
    const [record, budget] = [c.param('i32', 1), c.param('i32', 2)];
    const rip = c.local('i64');
    c.loop((again) => {
      c.block((other) => {
        c.block((jumped) => {
          const number = i32.sub(i32.load(record.get, REC.handler), FIXED_HANDLERS);
          const ways: Ways = { again, jumped, rip };
          choose(c, number, other, forms, (form) => {
            const e = new RecordEnv(c, form, runtime, type, ways);
            meaningOf(form)(e);
            if (form.end) c.unreachable();
            else e.next();
          });
        });
        const [to, left] = [rip.get, budget.get];
        const linear = linearOf(c, cpu, to);
        const first = firstEntry(c.let(i32.wrap(linear)));
        const entry = c.let(i32.add(i32.load(cpu, P.jumpCache), first));
        c.if(i32.ge_s(left, 0), () =>
          enterBy(c, { cpu, rip: to, linear, budget: left }, entry, type, (where) => {
            c.set(record, where);
            c.br(again);
          }),
        );
        c.returnCall(runtime.lookup, cpu, to, left);
      });
      c.returnCallIndirect(type, i32.load(record.get, REC.handler), cpu, record.get, budget.get);
    });
    c.unreachable();
  });
}

/** Emits a body for each of several choices, of which the number says one; `other` is where all other numbers go. No
 * body comes to its end. */
function choose<T>(
  c: Code,
  number: I32,
  other: Label,
  choices: readonly T[],
  emit: (choice: T) => void,
): void {
  const labels: Label[] = [];
  /** The bodies up to one, inside the blocks of those behind it. */
  const upTo = (last: number): void => {
    if (last < 0) {
      c.brTable(number, labels.toReversed(), other);
      return;
    }
    c.block((here) => {
      labels.push(here);
      upTo(last - 1);
    });
    c.scope(() => emit(choices[last]!));
  };
  upTo(choices.length - 1);
}
