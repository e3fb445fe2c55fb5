/**
 * Builds tier 0: one WebAssembly module with a handler for every form, and the runtime functions that
 * handlers share. It depends on nothing but the opcode table, so all vCPUs of a process use one.
 */
import { Seg } from '../../../vcpu/state.ts';
import type { Code, Func } from '../emit/code.ts';
import { i32, i64, v128, type I32, type I64 } from '../emit/expr.ts';
import { ModuleBuilder } from '../emit/module.ts';
import { rows } from '../decode/tables.ts';
import { addFloatLibrary } from '../float/library.ts';
import { FIRST_LINK, JUMP_ENTRY, Leave, Mem, OTHER_JUMPS, P, REC, S, SlowInfo } from '../private.ts';
import { firstEntry, isRecord, isTagInUse, tagOf } from '../semantics/jump-entry.ts';
import { settleFlags } from '../semantics/late-flags.ts';
import { addSseLibrary } from '../semantics/sse.ts';
import { addX87Library } from '../semantics/x87-library.ts';
import { look, refill, refillFetch } from '../semantics/tlb-entry.ts';
import { complexNames, complexNumber } from '../semantics/registry.ts';
import type { AddressMode, FormContext } from '../semantics/form.ts';
import type { Runtime } from '../semantics/runtime.ts';
import { findByPlace } from './code-place.ts';
import { ADDRESS_MODES, buildForms, CHECKS, FIXED_HANDLERS, type Check } from './forms.ts';
import type { EncodedTier0 } from './kept-tier0.ts';
import { enterHandler, HANDLER_PARAMS, RecordEnv, ripOf } from './record-env.ts';
import { addCommonHandler, meaningOf } from './common-handler.ts';
import { addRamPlace, FETCH, walkPages } from './page-walk.ts';
import { readAcross } from './crossing.ts';
import { addDivide128 } from './divide.ts';
import { countEntry } from './entry-count.ts';
import { ComplexResult, HANDLERS, HELPERS, IMPORTS, type Tier0, EXPORTED } from './tier0.ts';

const NO_FORM: FormContext = {
  size: 8, operands: [], mem: Mem.Record, lock: false, address: '64', stack: 8, rep: 0, chained: false,
}; // prettier-ignore

/** Code-memory limits, in 64 KiB pages: the imported memory may have any size below 4 GiB. */
const MAX_PAGES = 65536;

/** Leaves by way of the exit code already set, or setting it. */
function addRuntime(m: ModuleBuilder, handlerType: number, handlers: number): Runtime {
  const walk = m.importFunction(IMPORTS, 'slow', ['i32', 'i32'], ['i32']);
  const commit = m.importFunction(IMPORTS, 'commit', [], ['i32']);
  const complex = m.importFunction(IMPORTS, 'complex', ['i32', 'i32'], ['i32']);
  const ticks = m.importFunction(IMPORTS, 'ticks', [], ['f64']);
  // () → record for `rip`, or 0 with the exit code set.
  const find = m.importFunction(IMPORTS, 'find', [], ['i32']);
  // (record) → record of its direct target, or 0 with the exit code set.
  const findDirect = m.importFunction(IMPORTS, 'findDirect', ['i32'], ['i32']);
  // (record, id) → 1 where the region there may run, 0 where it is gone.
  const revalidate = m.importFunction(IMPORTS, 'revalidate', ['i32', 'i32'], ['i32']);
  const ramPlace = addRamPlace(m);
  const slow = m.function(['i32', 'i32', 'i32'], ['i32'], (c) => {
    const [cpu, record, access] = [c.param('i32', 0).get, c.param('i32', 1).get, c.param('i32', 2).get];
    // A locked one may be here though the TLB has it: no atomic instruction of the host does it.
    c.if(i32.eqz(i32.and(access, SlowInfo.lock)), () => {
      const linear = c.let(i64.load(cpu, P.slowAddress));
      refill(c, cpu, linear, access, (host) => c.return(host));
      walkPages(c, cpu, ramPlace, linear, access, (host) => c.return(host));
      readAcross(c, cpu, linear, access, (host) => c.return(host));
    });
    c.returnCall(walk, record, access);
  });
  // (cpu, rip) → 1 where the TLB in use has come to have the page of code there.
  const fetchPage = m.function(['i32', 'i64'], ['i32'], (c) => {
    const [cpu, rip] = [c.param('i32', 0).get, c.param('i64', 1).get];
    refillFetch(c, cpu, rip, () => c.return(i32.const(1)));
    walkPages(c, cpu, ramPlace, rip, FETCH, () => c.return(i32.const(1)));
    c.return(i32.const(0));
  });
  const lookUp = m.function(['i32', 'i64', 'i32'], ['i32'], (c) =>
    c.return(look(c, c.param('i32', 0).get, c.param('i64', 1).get, c.param('i32', 2).get)),
  );
  const handler = (c: Code): [cpu: I32, record: I32, budget: I32] => [
    c.param('i32', 0).get,
    c.param('i32', 1).get,
    c.param('i32', 2).get,
  ];
  const leave = m.function(HANDLER_PARAMS, ['i32'], (c) => {
    const [cpu, record, budget] = handler(c);
    c.store('i32', cpu, record, P.exitRecord);
    c.store('i32', cpu, budget, P.budget);
    c.return(i32.load(cpu, P.exitCode));
  });
  const raise = m.function(['i32', 'i32', 'i32', 'i32', 'i32'], ['i32'], (c) => {
    const [cpu, record, budget] = handler(c);
    c.store('i32', cpu, c.param('i32', 3).get, P.vector);
    c.store('i32', cpu, c.param('i32', 4).get, P.errorCode);
    c.store('i32', cpu, Leave.Exception, P.exitCode);
    c.returnCall(leave, cpu, record, budget);
  });
  const leaveNext = m.function(HANDLER_PARAMS, ['i32'], (c) => {
    const [cpu, record, budget] = handler(c);
    const next = i64.add(ripOf(cpu, record), i64.load8_u(record, REC.length));
    c.store('i64', cpu, next, S.rip);
    c.store('i32', cpu, Leave.Changed, P.exitCode);
    c.returnCall(leave, cpu, 0, i32.sub(budget, i32.load8_u(record, REC.ordinal)));
  });
  const leaveComplex = m.function(['i32', 'i32', 'i32', 'i32'], ['i32'], (c) => {
    const [cpu, record, budget] = handler(c);
    c.if(i32.eq(c.param('i32', 3).get, ComplexResult.LeaveBehind), () =>
      c.returnCall(leave, cpu, 0, i32.sub(budget, i32.load8_u(record, REC.ordinal))),
    );
    c.returnCall(leave, cpu, record, budget);
  });
  const enter = (c: Code, cpu: I32, record: I32, budget: I32) =>
    enterHandler(c, handlerType, i32.load(record, REC.handler), cpu, record, budget);
  const hot = m.function(HANDLER_PARAMS, ['i32'], (c) => {
    const [cpu, record, budget] = handler(c);
    c.store('i64', cpu, ripOf(cpu, record), S.rip);
    c.store('i32', cpu, Leave.Hot, P.exitCode);
    c.returnCall(leave, cpu, 0, budget);
  });
  const enterCounted = (c: Code, cpu: I32, record: I32, budget: I32) => {
    countEntry(c, record, () => c.returnCall(hot, cpu, record, budget));
    enter(c, cpu, record, budget);
  };
  /** Enters code that may be on another page. */
  const enterPage = (c: Code, cpu: I32, rip: I64, record: I32, budget: I32) => {
    c.store('i64', cpu, i64.and(rip, i64.load(cpu, P.codeMask)), P.codePage);
    enter(c, cpu, record, budget);
  };
  const stop = (c: Code, cpu: I32, rip: I64, budget: I32) => {
    c.store('i64', cpu, rip, S.rip);
    c.store('i32', cpu, Leave.Budget, P.exitCode);
    c.returnCall(leave, cpu, 0, budget);
  };
  /** Whether a jump-cache entry is that of a linear address, and valid. */
  const isEntryOf = (c: Code, cpu: I32, entry: I32, linear: I64): I32 => {
    const tag = c.let(tagOf(entry));
    return i32.and(isTagInUse(cpu, tag), i64.eq(linear, i64.load(entry, JUMP_ENTRY.linear)));
  };
  /** Enters code by a jump-cache entry that is its own.
   * @param region told of an entry that leads to a region */
  const enterBy = (c: Code, cpu: I32, rip: I64, entry: I32, budget: I32, region = (): void => {}) => {
    const where = c.let(i32.load(entry, JUMP_ENTRY.where));
    c.store('i64', cpu, i64.and(rip, i64.load(cpu, P.codeMask)), P.codePage);
    c.if(i32.eqz(isRecord(entry)), () => {
      region();
      // For whoever finds the region gone: see `run`.
      c.store('i64', cpu, rip, S.rip);
      enterHandler(c, handlerType, where, cpu, i32.const(0), budget);
    });
    enterCounted(c, cpu, where, budget);
  };
  /** Looks for the jump-cache entry of a linear address in some of its line, and comes to the end where there is none.
   * @param first the address of that where it is looked for first
   * @param others which, by the bits in which their addresses differ from it
   * @param found emits what is done then, which does not come to its end */
  const lookIn = (
    c: Code,
    cpu: I32,
    linear: I64,
    first: I32,
    others: readonly number[],
    found: (entry: I32) => void,
  ) => {
    const at = c.local('i32');
    c.block((missing) => {
      c.block((here) => {
        for (const bits of others) {
          c.set(at, i32.xor(first, bits));
          c.brIf(here, isEntryOf(c, cpu, at.get, linear));
        }
        c.br(missing);
      });
      found(at.get);
    });
  };
  const firstOf = (c: Code, cpu: I32, linear: I64): I32 =>
    c.let(i32.add(i32.load(cpu, P.jumpCache), firstEntry(c.let(i32.wrap(linear)))));
  const linearOf = (c: Code, cpu: I32, rip: I64): I64 =>
    c.let(i64.add(rip, i64.load(cpu, S.segBase + 8 * Seg.CS)));
  const refind = m.function(['i32', 'i64', 'i32'], ['i32'], (c) => {
    const cpu = c.param('i32', 0).get;
    const budget = c.param('i32', 2).get;
    c.unlikely(i32.lt_s(budget, 0), () => stop(c, cpu, c.param('i64', 1).get, budget));
    const rip = c.param('i64', 1).get;
    findByPlace(c, cpu, rip, { handlers, fetchPage }, (record) => enterPage(c, cpu, rip, record, budget));
    c.store('i64', cpu, rip, S.rip);
    const record = c.let(c.call('i32', find));
    c.if(record, () => enterPage(c, cpu, rip, record, budget));
    c.returnCall(leave, cpu, 0, budget);
  });
  const lookupOthers = m.function(['i32', 'i64', 'i32'], ['i32'], (c) => {
    const cpu = c.param('i32', 0).get;
    const rip = c.param('i64', 1).get;
    const budget = c.param('i32', 2).get;
    const linear = linearOf(c, cpu, rip);
    lookIn(c, cpu, linear, firstOf(c, cpu, linear), OTHER_JUMPS, (entry) =>
      enterBy(c, cpu, rip, entry, budget),
    );
    c.returnCall(refind, cpu, rip, budget);
  });
  const lookup = m.function(['i32', 'i64', 'i32'], ['i32'], (c) => {
    const cpu = c.param('i32', 0).get;
    const rip = c.param('i64', 1).get;
    const budget = c.param('i32', 2).get;
    c.unlikely(i32.lt_s(budget, 0), () => stop(c, cpu, rip, budget));
    const linear = linearOf(c, cpu, rip);
    const first = firstOf(c, cpu, linear);
    const found = isEntryOf(c, cpu, first, linear);
    c.if(found, () => enterBy(c, cpu, rip, first, budget), undefined, 'likely');
    c.returnCall(lookupOthers, cpu, rip, budget);
  });
  /** Where a region is left in its midst: what it has kept goes where others look for it. */
  const endRegion = (c: Code): [cpu: I32, rip: I64, budget: I32] => {
    const cpu = c.param('i32', 0).get;
    const budget = c.param('i32', 2).get;
    settleFlags(c, cpu);
    const page = i64.and(i64.load(cpu, P.codePage), -4096n);
    const placed = c.let(i64.add(page, c.param('i64', 1).get));
    c.store('i64', cpu, placed, S.rip);
    countRegions(c, cpu, budget);
    return [cpu, placed, budget];
  };
  const leaveRegion = m.function(['i32', 'i64', 'i32'], ['i32'], (c) => {
    const [cpu, , budget] = endRegion(c);
    c.returnCall(leave, cpu, 0, budget);
  });
  const interpret = m.function(['i32', 'i64', 'i32'], ['i32'], (c) => {
    const [cpu, rip, budget] = endRegion(c);
    lookIn(c, cpu, rip, firstOf(c, cpu, rip), [0, ...OTHER_JUMPS], (entry) => {
      const where = c.let(i32.load(entry, JUMP_ENTRY.where));
      c.if(isRecord(entry), () =>
        // The record may be where a region begins.
        c.if(i32.lt_u(i32.load(where, REC.handler), handlers), () => enterPage(c, cpu, rip, where, budget)),
      );
    });
    c.store('i32', cpu, Leave.Interpret, P.exitCode);
    c.returnCall(leave, cpu, 0, budget);
  });
  const lookupFrom = m.function(['i32', 'i64', 'i32', 'i32'], ['i32'], (c) => {
    const cpu = c.param('i32', 0).get;
    const rip = c.param('i64', 1).get;
    const budget = c.param('i32', 2).get;
    const offset = c.param('i32', 3).get;
    settleFlags(c, cpu);
    countRegions(c, cpu, budget);
    c.unlikely(i32.lt_s(budget, 0), () => stop(c, cpu, rip, budget));
    // Regions are 64-bit code, which has no base.
    lookIn(c, cpu, rip, firstOf(c, cpu, rip), [0, ...OTHER_JUMPS], (entry) =>
      enterBy(c, cpu, rip, entry, budget, () =>
        c.if(i32.ge_u(offset, FIRST_LINK), () =>
          c.store('v128', i32.add(i32.load(cpu, P.jumpCache), offset), v128.load(entry)),
        ),
      ),
    );
    c.returnCall(refind, cpu, rip, budget);
  });
  const link = m.function(HANDLER_PARAMS, ['i32'], (c) => {
    const [cpu, record, budget] = handler(c);
    // Only a jump within its page has a link.
    const rip = c.let(i64.add(i64.load(record, REC.imm64), i64.load(cpu, P.codePage)));
    c.unlikely(i32.lt_s(budget, 0), () => stop(c, cpu, rip, budget));
    c.store('i64', cpu, rip, S.rip);
    const target = c.let(c.call('i32', findDirect, record));
    c.if(target, () => enter(c, cpu, target, budget));
    c.returnCall(leave, cpu, 0, budget);
  });
  const extra = new Map<string, Func>();
  extra.set('divide128', addDivide128(m));
  const float = addFloatLibrary(m);
  for (const [name, func] of addSseLibrary(m, float)) extra.set(name, func);
  for (const [name, func] of addX87Library(m, float)) extra.set(name, func);
  return {
    slow,
    look: lookUp,
    commit,
    revalidate,
    leave,
    hot,
    raise,
    lookup,
    lookupFrom,
    leaveRegion,
    interpret,
    refind,
    link,
    leaveNext,
    leaveComplex,
    complex,
    ticks,
    float,
    extra,
  };
}

/** Counts what has been run in regions, which are left for tier 0. */
function countRegions(c: Code, cpu: I32, budget: I32): void {
  const run = i64.extend_s(i32.sub(i32.load(cpu, P.regionsSince), budget));
  c.store('i64', cpu, i64.add(i64.load(cpu, P.regionInstructions), run), P.regionInstructions);
}

/** The handler of an address record. */
function emitAddress(e: RecordEnv, mode: AddressMode, check: Check): void {
  const c = e.c;
  const whole = e.fullOffset();
  const offset = c.let(mode === '64' ? whole : i64.and(whole, mode === '16' ? 0xffff : 0xffff_ffffn));
  c.store('i64', e.cpu, offset, P.eaOffset);
  if (mode === '64' || mode === '32in64') {
    c.store('i64', e.cpu, i64.add(offset, e.segmentBase()), P.ea);
  } else if (check === 'none') {
    c.store('i64', e.cpu, i64.and(i64.add(offset, e.segmentBase()), 0xffff_ffffn), P.ea);
  } else {
    // The number of bytes comes from the record, so the check is written out here.
    const write = check === 'write';
    const bounds = c.let(i32.add(e.cpu, i32.shl(e.segment(), 2)));
    const lo = i64.load32_u(bounds, write ? S.segWriteLo : S.segReadLo);
    const hi = i64.load32_u(bounds, write ? S.segWriteHi : S.segReadHi);
    const last = i64.add(offset, i64.sub(i64.extend_u(e.imm()), 1));
    c.if(i32.or(i64.lt_u(offset, lo), i64.gt_u(last, hi)), () =>
      e.raiseDynamic(i32.select(i32.eq(e.segment(), Seg.SS), 12, 13)),
    );
    c.store('i64', e.cpu, i64.and(i64.add(offset, e.segmentBase()), 0xffff_ffffn), P.ea);
  }
}

/** Puts the runtime's functions into a table, for other modules to call. */
function shareRuntime(m: ModuleBuilder, runtime: Runtime, table: Func[]): Runtime {
  const share = (func: Func): Func => {
    table.push(func);
    const slot = table.length - 1;
    return { ...func, table: { slot, type: m.type(func.params, func.results) } };
  };
  const shareAll = <T extends object>(of: T): T =>
    Object.fromEntries(
      Object.entries<object>(of as Record<string, object>).map(([name, value]) => [
        name,
        isFunc(value) ? share(value) : shareAll(value),
      ]),
    ) as T;
  const { extra, float, ...rest } = runtime;
  return {
    ...shareAll(rest),
    float: shareAll(float),
    extra: new Map([...extra].map(([name, func]) => [name, share(func)])),
  };
}

const isFunc = (value: object): value is Func => 'params' in value && 'results' in value;

/**
 * Builds the module. Takes some tenths of a second; share the result.
 *
 * @param compiled the module, where there is one already, and only the rest is wanted
 * @param encoded given what the module is compiled from, when it is first asked for
 */
export function buildTier0(
  compiled?: WebAssembly.Module,
  encoded: (tier0: EncodedTier0) => void = () => {},
): Tier0 {
  const forms = buildForms(rows);
  for (const row of rows) if (row.attributes.ts) complexNumber(row.name);
  const m = new ModuleBuilder();
  m.importMemory(IMPORTS, 'memory', 1, MAX_PAGES);
  const type = m.type(HANDLER_PARAMS, ['i32']);
  const runtime = addRuntime(m, type, FIXED_HANDLERS + forms.forms.length);
  const functions: Func[] = [];
  const add = (form: FormContext, end: boolean, emit: (e: RecordEnv) => void) => {
    functions.push(
      m.function(HANDLER_PARAMS, ['i32'], (c) => {
        const e = new RecordEnv(c, form, runtime, type);
        emit(e);
        if (end) c.unreachable();
        else e.next();
      }),
    );
  };

  add(NO_FORM, true, (e) => {
    // What led here was true once; `find` is asked, since the jump cache may lead here as well.
    e.c.returnCall(runtime.refind, e.cpu, e.rip(), i32.add(e.spent(), 1));
  });
  add(NO_FORM, true, (e) => e.jump(e.target()));
  add(NO_FORM, true, (e) => e.c.returnCall(runtime.raise, e.cpu, e.record(), e.budget(), e.imm(), 0));
  add(NO_FORM, false, (e) => e.complexNumbered(i32.load16_u(e.record(), REC.complex)));
  add(NO_FORM, true, (e) => {
    e.complexNumbered(i32.load16_u(e.record(), REC.complex));
    e.jump(e.field64('rip'));
  });
  for (const mode of ADDRESS_MODES)
    for (const check of CHECKS) add(NO_FORM, false, (e) => emitAddress(e, mode, check));
  add(NO_FORM, false, (e) => {
    e.c.store('i64', e.cpu, e.imm64(), P.eaOffset);
    e.c.store('i64', e.cpu, i64.add(e.imm64(), e.segmentBase()), P.ea);
  });
  add(NO_FORM, false, (e) => {
    const { c } = e;
    const cut = i64.select(i32.load8_u(e.record(), REC.scale), 0xffff_ffffn, -1n);
    const offset = c.let(i64.and(e.target(), cut));
    c.store('i64', e.cpu, offset, P.eaOffset);
    c.store('i64', e.cpu, i64.add(offset, e.segmentBase()), P.ea);
  });

  const common = addCommonHandler(m, forms, runtime, type);
  for (const [n, form] of forms.forms.entries()) {
    if (n < forms.common) functions.push(common);
    else add(form, form.end, meaningOf(form));
  }
  m.table(HANDLERS, functions, type);
  const helpers: Func[] = [];
  const shared = shareRuntime(m, runtime, helpers);
  m.table(HELPERS, helpers);
  const run = m.function(HANDLER_PARAMS, ['i32'], (c) => {
    const [cpu, record, budget] = [c.param('i32', 0).get, c.param('i32', 1).get, c.param('i32', 2).get];
    // A region that is gone was come to by the jump cache, which has no record of it, or from another region: HANDLER_PARAMS.
    c.unlikely(i32.eqz(record), () => c.returnCall(runtime.refind, cpu, i64.load(cpu, S.rip), budget));
    c.unlikely(i32.eq(record, cpu), () => {
      settleFlags(c, cpu);
      countRegions(c, cpu, budget);
      c.returnCall(runtime.refind, cpu, i64.load(cpu, P.codePage), budget);
    });
    enterHandler(c, type, i32.load(record, REC.handler), cpu, record, budget);
  });
  m.export('run', run);
  for (const name of EXPORTED) m.export(name, runtime[name]);
  const copy16 = m.function(['i32', 'i32'], [], (c) => {
    c.store('v128', c.param('i32', 0).get, v128.load(c.param('i32', 1).get));
  });
  m.export('copy16', copy16);
  // What it is built from is let go of as soon as it is there.
  let builder = compiled === undefined ? m : undefined;
  let module = compiled;
  const [complex, handlers] = [complexNames(), functions.length];
  return {
    get module() {
      if (builder !== undefined) {
        const bytes = builder.encode();
        module = new WebAssembly.Module(bytes);
        encoded({ bytes, handlers, complex });
      }
      builder = undefined;
      return module!;
    },
    forms,
    complex,
    handlers,
    helpers: helpers.length,
    runtime: shared,
    types: m.types,
  };
}
