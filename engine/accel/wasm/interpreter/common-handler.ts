/**
 * The handler of all common forms (common-forms.ts): a loop that looks which form the record has, does it, and goes round
 * with the record that follows. One function is left to enter the next no more than for what is rare, and all that they
 * share stays in the host's registers.
 *
 * To the rest of tier 0 it is one handler among others: each of its forms has it as its handler, and where a record has
 * another handler (a rarer form, a region, code that is gone) it goes on with that.
 */
import type { Code, Func, Label } from '../emit/code.ts';
import { i32, type I32 } from '../emit/expr.ts';
import type { ModuleBuilder } from '../emit/module.ts';
import { REC, REC_BYTES } from '../private.ts';
import type { Env } from '../semantics/env.ts';
import { meaning } from '../semantics/index.ts';
import type { Runtime } from '../semantics/runtime.ts';
import { FIXED_HANDLERS, type Form, type FormTable } from './forms.ts';
import { enterHandler, HANDLER_PARAMS, RecordEnv } from './record-env.ts';

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
    const [cpu, record, budget] = [c.param('i32', 0).get, c.param('i32', 1).get, c.param('i32', 2).get];
    c.loop((again) => {
      c.block((other) => {
        const number = i32.sub(i32.load(record, REC.handler), FIXED_HANDLERS);
        choose(c, number, other, forms, (form) => {
          const e = new CommonEnv(c, form, runtime, type, again);
          meaningOf(form)(e);
          if (form.end) c.unreachable();
          else e.next();
        });
      });
      enterHandler(c, type, i32.load(record, REC.handler), cpu, record, budget);
    });
    c.unreachable();
  });
}

/** Goes on with a record by going round. */
class CommonEnv extends RecordEnv {
  readonly #again: Label;

  /** @param again goes round with whatever the handler's parameters are then */
  constructor(c: Code, form: Form, runtime: Runtime, type: number, again: Label) {
    super(c, form, runtime, type);
    this.#again = again;
  }

  override enter(record: I32, budget: I32): void {
    this.c.set(this.c.param('i32', 2), budget);
    this.c.set(this.c.param('i32', 1), record);
    this.c.br(this.#again);
  }

  override next(): void {
    this.c.set(this.c.param('i32', 1), i32.add(this.record(), REC_BYTES));
    this.c.br(this.#again);
  }
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
