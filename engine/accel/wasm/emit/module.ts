/** WebAssembly modules: types, imports, functions, exports and table elements, encoded at the end. */
import { ByteWriter } from './bytes.ts';
import { Code, typeCode, type BranchHint, type Func } from './code.ts';
import { globalGet, type Expr, type Type } from './expr.ts';

export interface Signature {
  readonly params: readonly Type[];
  readonly results: readonly Type[];
}

export class ModuleBuilder {
  readonly #types: Signature[];
  readonly #imports: Array<(out: ByteWriter) => void> = [];
  readonly #functions: Array<{
    type: number;
    /** Where its body lies among all. */
    body: readonly [start: number, end: number] | undefined;
    hints: readonly BranchHint[];
  }> = [];
  /** In the order in which they were defined. */
  readonly #bodies = new ByteWriter();
  readonly #exports: Array<[name: string, index: number]> = [];
  readonly #tables: Array<{ name: string; functions: number[]; signature: number | undefined }> = [];
  #imported = 0;

  /** @param types signatures that have the indices they have in another module */
  constructor(types: readonly Signature[] = []) {
    this.#types = [...types];
  }

  /** The signatures so far, for modules that are to agree on their indices. */
  get types(): readonly Signature[] {
    return this.#types;
  }

  #globals = 0;

  /** Index of a signature. */
  type(params: readonly Type[], results: readonly Type[]): number {
    const keyOf = (t: Signature): string => `${t.params.join()}>${t.results.join()}`;
    const key = keyOf({ params, results });
    const found = this.#types.findIndex((t) => keyOf(t) === key);
    if (found >= 0) return found;
    this.#types.push({ params, results });
    return this.#types.length - 1;
  }

  /** Imports the shared memory. Limits are in 64 KiB pages and must admit the memory given. */
  importMemory(module: string, name: string, initial: number, maximum: number): void {
    this.#imports.push((out) => {
      out.name(module);
      out.name(name);
      out.byte(2);
      out.byte(3); // shared, with a maximum
      out.u32(initial);
      out.u32(maximum);
    });
  }

  /**
   * Imports the next table: functions of one signature, none of them null, which a call of one need not find out;
   * or without a signature functions of any.
   */
  importTable(module: string, name: string, initial: number, signature?: number): void {
    this.#imports.push((out) => {
      out.name(module);
      out.name(name);
      out.byte(1);
      referenceType(out, signature);
      out.byte(0);
      out.u32(initial);
    });
  }

  /** Makes the next table, of the same kinds, that holds some functions, at least one, and exports it. */
  table(name: string, functions: readonly Func[], signature?: number): void {
    this.#tables.push({ name, functions: functions.map((f) => f.index), signature });
  }

  importGlobal<T extends Type>(module: string, name: string, type: T): Expr<T> {
    this.#imports.push((out) => {
      out.name(module);
      out.name(name);
      out.byte(3);
      out.byte(typeCode(type));
      out.byte(0);
    });
    return globalGet(type, this.#globals++);
  }

  /** Imports a function. All imports come before the first function. */
  importFunction(module: string, name: string, params: readonly Type[], results: readonly Type[]): Func {
    if (this.#functions.length > 0) throw new Error('imports come before functions');
    const type = this.type(params, results);
    this.#imports.push((out) => {
      out.name(module);
      out.name(name);
      out.byte(0);
      out.u32(type);
    });
    return { index: this.#imported++, params, results };
  }

  /** Declares a function to be defined later, so that others can call it. */
  declare(params: readonly Type[], results: readonly Type[]): Func {
    this.#functions.push({ type: this.type(params, results), body: undefined, hints: [] });
    return { index: this.#imported + this.#functions.length - 1, params, results };
  }

  /** Gives a declared function its body. */
  define(func: Func, emit: (code: Code) => void): void {
    const code = new Code(func.params);
    emit(code);
    const start = this.#bodies.length;
    const hints = code.finish(this.#bodies);
    const body = [start, this.#bodies.length];
    Object.assign(this.#functions[func.index - this.#imported]!, { body, hints });
  }

  /** Declares and defines. */
  function(params: readonly Type[], results: readonly Type[], emit: (code: Code) => void): Func {
    const func = this.declare(params, results);
    this.define(func, emit);
    return func;
  }

  export(name: string, func: Func): void {
    this.#exports.push([name, func.index]);
  }

  /** The module's bytes. */
  encode(): Uint8Array<ArrayBuffer> {
    const out = new ByteWriter();
    out.append([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
    const section = (id: number, count: number, fill: (to: ByteWriter) => void) => {
      if (count === 0) return;
      const body = new ByteWriter();
      body.u32(count);
      fill(body);
      out.byte(id);
      out.u32(body.length);
      out.appendWriter(body);
    };
    section(1, this.#types.length, (to) => {
      for (const { params, results } of this.#types) {
        to.byte(0x60);
        to.u32(params.length);
        for (const type of params) to.byte(typeCode(type));
        to.u32(results.length);
        for (const type of results) to.byte(typeCode(type));
      }
    });
    section(2, this.#imports.length, (to) => {
      for (const write of this.#imports) write(to);
    });
    section(3, this.#functions.length, (to) => {
      for (const { type } of this.#functions) to.u32(type);
    });
    section(4, this.#tables.length, (to) => {
      for (const { functions, signature } of this.#tables) {
        // What its places hold before their elements are there.
        to.append([0x40, 0]);
        referenceType(to, signature);
        to.byte(0);
        to.u32(functions.length);
        functionReference(to, functions[0]!);
      }
    });
    section(7, this.#exports.length + this.#tables.length, (to) => {
      for (const [name, index] of this.#exports) {
        to.name(name);
        to.byte(0);
        to.u32(index);
      }
      for (const [index, { name }] of this.#tables.entries()) {
        to.name(name);
        to.byte(1);
        to.u32(index);
      }
    });
    section(9, this.#tables.length, (to) => {
      for (const [index, { functions, signature }] of this.#tables.entries()) {
        to.byte(6);
        to.u32(index);
        to.append([0x41, 0, 0x0b]);
        referenceType(to, signature);
        to.u32(functions.length);
        for (const func of functions) functionReference(to, func);
      }
    });
    this.#branchHints(out);
    section(10, this.#functions.length, (to) => {
      for (const [i, { body }] of this.#functions.entries()) {
        if (!body) throw new Error(`function ${i + this.#imported} was declared but never defined`);
        const [start, end] = body;
        to.u32(end - start);
        to.appendWriter(this.#bodies, start, end);
      }
    });
    return out.take();
  }

  /** The custom section that says which way branches mostly go (branch hinting proposal, "Binary Format"). */
  #branchHints(out: ByteWriter): void {
    const hinted = [...this.#functions.entries()].filter(([, { hints }]) => hints.length > 0);
    if (hinted.length === 0) return;
    const body = new ByteWriter();
    body.name('metadata.code.branch_hint');
    body.u32(hinted.length);
    for (const [i, { hints }] of hinted) {
      body.u32(this.#imported + i);
      body.u32(hints.length);
      for (const { offset, hint } of hints) {
        body.u32(offset);
        body.u32(1);
        body.byte(hint === 'likely' ? 1 : 0);
      }
    }
    out.byte(0);
    out.u32(body.length);
    out.appendWriter(body);
  }
}

function referenceType(out: ByteWriter, signature: number | undefined): void {
  if (signature === undefined) out.byte(0x70);
  else {
    out.byte(0x64);
    out.i32(signature);
  }
}

/** A constant expression. */
function functionReference(out: ByteWriter, func: number): void {
  out.byte(0xd2);
  out.u32(func);
  out.byte(0x0b);
}
