import { expect, test } from 'vitest';
import { Arena } from '../memory/layout.ts';
import { Coherence, coherenceBytes, Writing } from './coherence.ts';
import { VcpuEvent } from './state.ts';

const PAGES = 8;
const PAGE = 3;
const ADDRESS = PAGE * 4096 + 0x10;

/**
 * So many vCPUs, all inside the guest. One that is asked to drop its translations does so at once.
 *
 * @param asked told then
 */
function setUp(vcpus = 3, asked: (vcpu: number) => void = () => {}) {
  const bytes = coherenceBytes(PAGES, vcpus);
  const posted: Array<readonly [vcpu: number, events: number]> = [];
  const coherence: Coherence = new Coherence(
    new Arena(new SharedArrayBuffer(bytes), 0, bytes),
    PAGES,
    vcpus,
    {
      post: (vcpu, events) => {
        posted.push([vcpu, events]);
        if ((events & VcpuEvent.DropWrites) !== 0) {
          coherence.gate.advance(vcpu);
          asked(vcpu);
        }
        if ((events & VcpuEvent.StandStill) !== 0) coherence.gate.leave(vcpu);
      },
    },
  );
  for (let vcpu = 0; vcpu < vcpus; vcpu++) coherence.gate.enter(vcpu);
  /** What has been posted since this was last asked. */
  const events = () => posted.splice(0).map(([vcpu, bits]) => [vcpu, bits]);
  return { coherence, events };
}

test('pages are written straight, until somebody else has code of them', () => {
  const { coherence } = setUp();
  expect(coherence.admit(0, PAGE)).toBe(Writing.Free);
  coherence.addCode(0, PAGE);
  expect(coherence.admit(0, PAGE)).toBe(Writing.Once);
  expect(coherence.admit(1, PAGE)).toBe(Writing.Watched);
  expect(coherence.admit(1, PAGE + 1)).toBe(Writing.Free);
  coherence.removeCode(0, PAGE);
  expect([0, 1].map((vcpu) => coherence.admit(vcpu, PAGE))).toEqual([Writing.Free, Writing.Free]);
});

test('vCPUs from 32 on have bits of their own', () => {
  const { coherence, events } = setUp(40);
  coherence.addCode(35, PAGE);
  // vCPU 3 has the same bit in the other word.
  expect([3, 34, 35].map((vcpu) => coherence.admit(vcpu, PAGE))).toEqual([
    Writing.Watched,
    Writing.Watched,
    Writing.Once,
  ]);
  events();
  coherence.written(0, ADDRESS, 4);
  expect(events()).toEqual([[35, VcpuEvent.CodeWritten]]);
});

test('who decodes code has the one that may write to its page drop its translations', () => {
  const { coherence, events } = setUp();
  coherence.admit(1, PAGE);
  coherence.addCode(0, PAGE);
  expect(events()).toEqual([[1, VcpuEvent.DropWrites]]);
  expect(coherence.gate.epoch(1)).toBe(1);
});

test('nobody is bothered who has dropped its translations since, never had one, or decodes itself', () => {
  const { coherence, events } = setUp();
  coherence.admit(1, PAGE);
  coherence.gate.advance(1);
  coherence.addCode(0, PAGE);
  coherence.addCode(2, PAGE + 1);
  coherence.admit(2, PAGE + 2);
  coherence.addCode(2, PAGE + 2);
  expect(events()).toEqual([]);
});

test('of a page that several have written, all others drop their translations', () => {
  const { coherence, events } = setUp(4);
  coherence.admit(1, PAGE);
  coherence.admit(2, PAGE);
  coherence.addCode(0, PAGE);
  expect(events()).toEqual([1, 2, 3].map((vcpu) => [vcpu, VcpuEvent.DropWrites]));
  // The page's mark is gone with that.
  coherence.addCode(1, PAGE);
  expect(events()).toEqual([]);
});

test('a write to code is told to those who have it, but not to the one who writes', () => {
  const { coherence, events } = setUp();
  coherence.addCode(0, PAGE);
  coherence.addCode(2, PAGE);
  const from = coherence.codeWrites.position();
  coherence.written(0, ADDRESS, 8);
  expect(events()).toEqual([[2, VcpuEvent.CodeWritten]]);
  coherence.written(-1, ADDRESS + 8, 2);
  expect(events()).toEqual([0, 2].map((vcpu) => [vcpu, VcpuEvent.CodeWritten]));
  coherence.written(1, ADDRESS + 4096, 2);
  expect(events()).toEqual([]);
  const found: number[][] = [];
  coherence.codeWrites.read(
    from,
    (address, bytes) => found.push([address, bytes]),
    () => [],
  );
  expect(found).toEqual([
    [ADDRESS, 8],
    [ADDRESS + 8, 2],
  ]);
});

test('a page with a 16-byte atomic is watched by all, until no such atomic has come for long', () => {
  const { coherence, events } = setUp();
  coherence.admit(1, PAGE);
  let dropped = 0;
  coherence.lockPair(0, PAGE, () => dropped++);
  expect(dropped).toBe(1);
  expect(events()).toEqual([[1, VcpuEvent.DropWrites]]);
  coherence.unlock(PAGE);
  expect([0, 1].map((vcpu) => coherence.admit(vcpu, PAGE))).toEqual([Writing.Watched, Writing.Watched]);
  // Once more costs nothing: nobody has come in since.
  coherence.lockPair(1, PAGE, () => dropped++);
  coherence.unlock(PAGE);
  expect([dropped, events()]).toEqual([1, []]);
  let writes = 0;
  while (coherence.lockWatched(0, PAGE)) {
    coherence.unlock(PAGE);
    expect(++writes).toBeLessThan(2000);
  }
  expect(writes).toBeGreaterThan(500);
  expect(coherence.admit(1, PAGE)).toBe(Writing.Free);
  coherence.lockPair(0, PAGE, () => dropped++);
  expect(dropped).toBe(2);
  expect(events()).toEqual([[1, VcpuEvent.DropWrites]]);
  coherence.unlock(PAGE);
});

test('while a write to a watched page is made, its lock is held', () => {
  const { coherence } = setUp();
  expect(coherence.lockWatched(0, PAGE)).toBe(false);
  coherence.addCode(1, PAGE);
  expect(coherence.lockWatched(0, PAGE)).toBe(true);
  coherence.unlock(PAGE);
  let stored = 0;
  coherence.locked(PAGE, () => stored++);
  // And given up: it would not be had again otherwise.
  coherence.locked(PAGE, () => stored++);
  expect(stored).toBe(2);
});

test('who wants to be alone asks all others', () => {
  const { coherence, events } = setUp();
  coherence.beAlone(1);
  expect(events()).toEqual([0, 2].map((vcpu) => [vcpu, VcpuEvent.StandStill]));
  coherence.gate.beTogether();
});

test('a vCPU that shares its memory with nobody notices its own code alone', () => {
  const coherence = Coherence.alone(PAGES);
  expect(coherence.shared).toBe(false);
  expect(coherence.admit(0, PAGE)).toBe(Writing.Free);
  coherence.addCode(0, PAGE);
  expect(coherence.admit(0, PAGE)).toBe(Writing.Once);
});

test('who comes in while two vCPUs make a page special is seen by the slower one', () => {
  let first = true;
  const { coherence } = setUp(4, (vcpu) => {
    if (vcpu !== 1 || !first) return;
    first = false;
    // vCPU 0 still has others to wait for, and 2 is quicker; then patience with the page's atomics ends.
    coherence.lockPair(2, PAGE, () => {});
    coherence.unlock(PAGE);
    while (coherence.lockWatched(2, PAGE)) coherence.unlock(PAGE);
    expect([1, 3].map((other) => coherence.admit(other, PAGE))).toEqual([Writing.Free, Writing.Free]);
    epoch = coherence.gate.epoch(1);
  });
  let epoch = -1;
  for (const vcpu of [1, 3]) coherence.admit(vcpu, PAGE);
  coherence.lockPair(0, PAGE, () => {});
  expect(coherence.gate.epoch(1)).toBe(epoch + 1);
  coherence.unlock(PAGE);
});
