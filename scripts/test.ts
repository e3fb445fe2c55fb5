/**
 * `npm test`: everything that says whether this tree is good, one step after another, whether or not an
 * earlier one failed, then what failed and one closing line `N passed, N failed` for all of it. A check such as
 * the type check counts as one; a step that broke off counts as a failure of its own.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { commandLine } from './command-line.ts';

/** What came of a step. */
export interface Outcome {
  readonly passed: number;
  /** A line for each failure. */
  readonly failures: readonly string[];
  readonly skipped: readonly string[];
}

/** The part of vitest's JSON report that is used here. */
const reportSchema = z.object({
  testResults: z.array(
    z.object({
      name: z.string(),
      status: z.string(),
      message: z.string().optional(),
      assertionResults: z.array(z.object({ fullName: z.string(), status: z.string() })),
    }),
  ),
});
export type Report = z.infer<typeof reportSchema>;

/**
 * Sums up a vitest run. A file that failed without a failing test, because it can't be loaded or a hook
 * failed, counts as one failure, as does a run that failed otherwise.
 *
 * @param report undefined where the run left none
 * @param status the exit status of the run
 * @param root what file names are shortened by
 */
export function summarize(report: Report | undefined, status: number, root: string): Outcome {
  let passed = 0;
  const failures: string[] = [];
  const skipped: string[] = [];
  for (const { name, status: fileStatus, message, assertionResults } of report?.testResults ?? []) {
    const file = path.relative(root, name);
    const failed = assertionResults.filter((result) => result.status === 'failed');
    passed += assertionResults.filter((result) => result.status === 'passed').length;
    failures.push(...failed.map(({ fullName }) => `${file}: ${fullName}`));
    if (fileStatus === 'failed' && failed.length === 0) {
      failures.push(`${file}: ${message?.split('\n', 1)[0] ?? 'could not be run'}`);
    }
    const others = assertionResults.filter(
      (result) => result.status !== 'failed' && result.status !== 'passed',
    );
    skipped.push(...others.map(({ fullName }) => `${file}: ${fullName}`));
  }
  if (status !== 0 && failures.length === 0) failures.push(`vitest ended with status ${status}`);
  if (status === 0 && report === undefined) failures.push('vitest left no report');
  return { passed, failures, skipped };
}

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

/** What each step may take, in milliseconds: together less than the 40 minutes that CI has. A step that hangs
 * is ended and counts as failed, and the closing line still comes. */
const LIMIT = {
  check: 2 * 60_000,
  unit: 8 * 60_000,
  machine: 15 * 60_000,
  interface: 8 * 60_000,
} as const;

/** Runs a program in the checkout for at most `timeout` milliseconds and returns its exit status. */
async function run(title: string, timeout: number, program: string, ...args: string[]): Promise<number> {
  console.log(`\n== ${title}`);
  const child = spawn(program, args, { cwd: root, stdio: 'inherit', timeout });
  return new Promise((resolve) => {
    child.once('error', (error) => {
      console.error(error.message);
      resolve(1);
    });
    child.once('close', (code) => resolve(code ?? 1));
  });
}

/** Runs a script of package.json that passes or fails as a whole. */
async function check(title: string, script: string): Promise<Outcome> {
  const status = await run(title, LIMIT.check, 'npm', 'run', '--silent', script);
  return status === 0
    ? { passed: 1, failures: [], skipped: [] }
    : { passed: 0, failures: [title], skipped: [] };
}

async function vitest(
  title: string,
  project: 'unit' | 'machine' | 'interface',
  folder: string,
): Promise<Outcome> {
  const file = path.join(folder, `${project}.json`);
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`];
  // Not through npm, which would leave it running when it is ended itself.
  const entry = path.join(root, 'node_modules', 'vitest', 'vitest.mjs');
  const args = [entry, 'run', '--project', project, ...reporters];
  const status = await run(title, LIMIT[project], process.execPath, ...args);
  return summarize(readReport(file), status, root);
}

function readReport(file: string): Report | undefined {
  try {
    return reportSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch {
    return undefined;
  }
}

async function main(): Promise<void> {
  const folder = mkdtempSync(path.join(tmpdir(), 'guesthouse-test-'));
  const outcomes: Outcome[] = [];
  try {
    outcomes.push(await check('Types', 'typecheck'));
    outcomes.push(await check('Lint', 'lint'));
    outcomes.push(await check('Format', 'format:check'));
    outcomes.push(await vitest('Unit tests', 'unit', folder));
    outcomes.push(await vitest('Whole machines', 'machine', folder));
    // The browser loads what was built, so that must be of this tree.
    outcomes.push(await check('Interface: build', 'build'));
    outcomes.push(await vitest('Interface', 'interface', folder));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const passed = outcomes.reduce((sum, outcome) => sum + outcome.passed, 0);
  const failures = outcomes.flatMap((outcome) => outcome.failures);
  const skipped = outcomes.flatMap((outcome) => outcome.skipped);
  console.log('\n== Summary');
  for (const line of skipped) console.log(`skipped  ${line}`);
  for (const line of failures) console.log(`FAILED   ${line}`);
  console.log(`${passed} passed, ${failures.length} failed`);
  process.exitCode = failures.length === 0 ? 0 : 1;
}

if (import.meta.main) {
  commandLine(
    'npm test: types, lint, format, unit tests, whole machines, and the interface in a browser',
    {},
  );
  await main();
}
