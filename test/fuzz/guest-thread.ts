/** The thread of the guest fuzzer: one case after the other on one machine, each made of its own seed. */
import { parentPort, workerData } from 'node:worker_threads';
import { ExitReason } from '../../engine/accel/contract.ts';
import { acceleratorOf } from '../../engine/machine/accelerator.ts';
import { FuzzedMachine, type Finding, type Totals } from './guest-machine.ts';
import { beat, ENOUGH, type FuzzOrder, type FuzzResult, reportTo } from './watchdog.ts';

function describe({ seed, setting, what }: Finding): string {
  const { mode, paging, privilege, smm } = setting;
  return `case ${seed} (${mode}, paging ${paging}, CPL ${privilege}${smm ? ', SMM' : ''}): ${what}`;
}

function summarize(totals: Totals): string {
  const names = new Map<number, string>(Object.entries(ExitReason).map(([name, number]) => [number, name]));
  const exits = totals.exits.map((count, number) => `${names.get(number)} ${count}`).filter(() => true);
  return (
    `${totals.cases} cases, ${totals.entries} entries, ${totals.instructions} instructions, ` +
    `longest entry ${totals.longest.toFixed(1)} ms; exits: ${exits.join(', ')}`
  );
}

function run(order: FuzzOrder): FuzzResult {
  const accelerator = acceleratorOf('wasm');
  const machine = new FuzzedMachine(accelerator, accelerator.cpuModels()[0]);
  const findings: string[] = [];
  const end = performance.now() + order.seconds * 1000;
  for (let i = 0; i < order.cases && performance.now() < end && findings.length < ENOUGH; i++) {
    const seed = (order.seed + i) >>> 0;
    beat(order, seed);
    const finding = machine.runCase(seed);
    if (finding !== null) findings.push(describe(finding));
  }
  return { findings, summary: summarize(machine.totals), cases: machine.totals.cases };
}

reportTo(parentPort, run(workerData as FuzzOrder));
