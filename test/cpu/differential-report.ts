/** Prints a failure: what ran, from which state, and what came out on either side. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CpuState, LOST, ranToHalt, type Case, type Result } from './case.ts';
import { flagNames, gprName, little } from './differential-compare.ts';
import { sortedPatches, type Failure, type Summary } from './differential.ts';

/** The code as objdump reads it, or nothing where there is no objdump. */
export function disassemble(of: Case): string[] {
  const directory = mkdtempSync(join(tmpdir(), 'cpu-case-'));
  try {
    const file = join(directory, 'code');
    writeFileSync(file, of.code);
    const machine = of.mode === 64 ? 'i386:x86-64' : 'i386';
    const run = spawnSync(
      'objdump',
      [
        '-D',
        '-b',
        'binary',
        '-m',
        machine,
        '-M',
        'intel',
        `--adjust-vma=0x${of.state.rip.toString(16)}`,
        file,
      ],
      { encoding: 'utf8', timeout: 10_000 },
    );
    if (run.status !== 0) return [];
    return run.stdout.split('\n').filter((line) => /^\s*[0-9a-f]+:\t/.test(line));
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function describeState(of: Case): string[] {
  const initial = CpuState.initial(of.mode);
  const { state } = of;
  const lines: string[] = [];
  const registers: string[] = [];
  for (let i = 0; i < 16; i++)
    if (state.gpr(i) !== 0n) registers.push(`${gprName(i)}=${state.gpr(i).toString(16)}`);
  lines.push(registers.join(' '), `rip=${state.rip.toString(16)} flags: ${flagNames(state.rflags)}`);
  if (state.fcw !== initial.fcw || state.fsw !== 0 || state.ftw !== 0) {
    lines.push(`fcw=${state.fcw.toString(16)} fsw=${state.fsw.toString(16)} ftw=${state.ftw.toString(16)}`);
  }
  if (state.mxcsr !== initial.mxcsr) lines.push(`mxcsr=${state.mxcsr.toString(16)}`);
  for (let i = 0; i < 8; i++)
    if (state.st(i).some((byte) => byte !== 0)) lines.push(`st${i}=${little(state.st(i))}`);
  for (let i = 0; i < 16; i++)
    if (state.xmm(i).some((byte) => byte !== 0)) lines.push(`xmm${i}=${little(state.xmm(i))}`);
  for (const patch of sortedPatches(of.memory)) {
    lines.push(`[${patch.address.toString(16)}] ${Buffer.from(patch.bytes).toString('hex')}`);
  }
  return lines;
}

function outcome(of: Case, result: Result): string {
  if (result.vector === LOST) return `does not come back: ${result.note ?? 'no reason known'}`;
  if (ranToHalt(of, result)) return `runs to ${result.state.rip.toString(16)}`;
  const fault = `exception ${result.vector}, error code ${result.errorCode.toString(16)}`;
  return `${fault}, rip ${result.state.rip.toString(16)}${result.vector === 14 ? `, cr2 ${result.cr2.toString(16)}` : ''}`;
}

/** A failure, several lines. */
export function reportFailure(failure: Failure, count: number): string {
  const { of, oracle, subject, differences } = failure;
  const bytes = Buffer.from(of.code).toString('hex').replace(/../g, '$& ').trim();
  return [
    `${of.name} (${of.mode}-bit), ${count} case${count === 1 ? '' : 's'} differ`,
    `  ${bytes}`,
    ...disassemble(of).map((line) => `  ${line.trim()}`),
    ...describeState(of).map((line) => `    ${line}`),
    `  oracle:  ${outcome(of, oracle)}`,
    `  subject: ${outcome(of, subject)}`,
    ...differences.map(({ field, oracle: a, subject: b }) => `    ${field}: ${a} | ${b}`),
  ].join('\n');
}

/** Totals, one line. */
export function reportTotals(summary: Summary): string {
  const differing = [...summary.failures.values()].reduce((sum, each) => sum + each.count, 0);
  const lost = summary.lost === 0 ? '' : `, ${summary.lost} lost by the oracle`;
  return `${summary.cases} cases of ${summary.forms.size} forms, ${differing} differences in ${summary.failures.size} forms${lost}`;
}
