/**
 * `npm run bench -- --only desktop`: how quick the interface is and what it takes, against what is asked of it.
 * The machines are stand-ins without guests, so that it is the interface that is measured.
 */
import {
  flood,
  keyTimes,
  load,
  openWatched,
  putMachines,
  runStandIns,
  serverMemory,
  timeToList,
} from './measure.ts';
import { row, Shell } from './harness.ts';
import { LINE } from './stand-in.ts';

const MACHINES = 200;
const RUNNING = 8;
const RUNS = 5;
const LINES = Math.ceil((20 * 2 ** 20) / LINE);

function say(what: string, figure: string, wanted: string): void {
  console.log(`${what.padEnd(56)}${figure.padStart(24)}   ${wanted}`);
}

await using shell = await Shell.start();
const idle = await shell.open();
await idle.getByRole('heading', { name: 'No machines yet' }).waitFor();
// What was started to look at the host has ended by then.
await idle.waitForTimeout(10_000);
say('memory of the manager, no machine', `${serverMemory(shell).toFixed(0)} MiB`, '< 150 MiB');
await idle.close();

await shell.endServer();
putMachines(shell, MACHINES);
const starts = [];
for (let run = 0; run < RUNS; run++) starts.push(await timeToList(shell));
const start = starts.toSorted((a, b) => a.time - b.time)[RUNS >> 1];
if (start === undefined) throw new Error('nothing was measured');
say(`serve to a list of ${MACHINES} machines, median of ${RUNS}`, `${start.time.toFixed(0)} ms`, '< 1500 ms');
say('  processor time of it, manager + page', `${start.server.toFixed(0)} + ${start.page.toFixed(0)} ms`, '');
say(`memory of the manager, ${MACHINES} machines`, `${serverMemory(shell).toFixed(0)} MiB`, '< 150 MiB');

await shell.endServer();
const standIns = await runStandIns(shell, RUNNING);
await shell.serve();
const list = await shell.open();
await row(list, 'machine-000').getByText(/%$/).waitFor();
await row(list, 'machine-000').click();
const { server, pages } = await load(shell, list, 10);
say(
  `${RUNNING} machines with statistics: manager + page`,
  `${server.toFixed(1)} + ${pages.toFixed(1)} % of a core`,
  '< 10 %',
);
const keys = await keyTimes(list, ['ArrowDown', 'ArrowUp', 'End', 'Home'], 15);
say(
  `${RUNNING} machines with statistics: key to frame`,
  `median ${keys[keys.length >> 1]?.toFixed(0)}, longest ${keys.at(-1)?.toFixed(0)} ms`,
  '< 50 ms',
);

const [first] = standIns;
if (first === undefined) throw new Error('no machine');
const window = await openWatched(list);
const once = await flood(shell, window, first, LINES);
const twice = await flood(shell, window, first, LINES);
const kept = [once, twice].every(({ whole, shown }) => whole && shown);
say('20 MiB of console output, twice', kept ? 'all came, in order' : 'LOST', 'without loss');
say('  speed', `${(twice.bytes / 2 ** 20 / twice.seconds).toFixed(1)} MiB/s`, '');
const { median, longest } = twice.frame;
say('  frames', `median ${median.toFixed(0)}, longest ${longest.toFixed(0)} ms`, 'no freezing');
const growth = (key: 'heap' | 'server') => `${once[key].toFixed(1)} → ${twice[key].toFixed(1)} MiB`;
say('  heap of the page after once and twice', growth('heap'), 'no growth');
say('  memory of the manager', growth('server'), 'no growth');
await Promise.all(standIns.map((each) => each[Symbol.asyncDispose]()));
if (!kept) process.exitCode = 1;
