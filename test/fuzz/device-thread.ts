/** The thread of the device fuzzer: one case after the other on one board, each made of its own seed. */
import { parentPort, workerData } from 'node:worker_threads';
import { FuzzedBoard, type VirtualTime } from './device-board.ts';
import { beat, ENOUGH, type FuzzOrder, type FuzzResult, reportTo } from './watchdog.ts';

function run(order: FuzzOrder): FuzzResult {
  const realNow = performance.now.bind(performance);
  const time: VirtualTime = { now: 1000 };
  performance.now = () => time.now;
  // What a case runs on follows from its seed.
  const boards = [new FuzzedBoard(time, 'virtio'), new FuzzedBoard(time, 'usb')] as const;
  const findings: string[] = [];
  const end = realNow() + order.seconds * 1000;
  let cases = 0;
  for (; cases < order.cases && realNow() < end && findings.length < ENOUGH; cases++) {
    const seed = (order.seed + cases) >>> 0;
    beat(order, seed);
    const finding = boards[seed % 2].runCase(seed);
    if (finding !== null) findings.push(`case ${finding.seed}: ${finding.what}`);
  }
  const names = new Set(boards.flatMap(({ counts }) => [...counts.keys()]));
  const sum = (name: string) => boards.reduce((total, { counts }) => total + (counts.get(name) ?? 0), 0);
  const counts = [...names].map((name) => `${name} ${sum(name)}`);
  return { findings, summary: `${cases} cases; ${counts.join(', ')}`, cases };
}

reportTo(parentPort, run(workerData as FuzzOrder));
