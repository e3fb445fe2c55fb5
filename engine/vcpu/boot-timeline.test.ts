import { expect, test } from 'vitest';
import { Arena } from '../memory/layout.ts';
import { BootTimeline, Milestone } from './boot-timeline.ts';

function setUp() {
  const clock = { at: 0, now: () => clock.at };
  const timeline = new BootTimeline(new Arena(new SharedArrayBuffer(4096), 0, 4096), clock);
  return { clock, timeline };
}

test('milestones in order of time since the reset, each the first time, but for processors', () => {
  const { clock, timeline } = setUp();
  clock.at = 5e9;
  timeline.reset();
  clock.at = 6e9;
  timeline.mark(Milestone.Smp);
  clock.at = 7e9;
  timeline.mark(Milestone.ProtectedMode);
  timeline.mark(Milestone.Smp);
  clock.at = 8e9;
  timeline.mark(Milestone.ProtectedMode);
  timeline.mark(Milestone.Smp);
  expect(timeline.events()).toEqual([
    { event: 'Reset', seconds: 0 },
    { event: 'ProtectedMode', seconds: 2 },
    { event: 'Smp', seconds: 3 },
  ]);
  timeline.reset();
  expect(timeline.events()).toEqual([{ event: 'Reset', seconds: 0 }]);
});

test('what happens at once is there; POST codes are kept as long as there is room, repeated ones once', () => {
  const { clock, timeline } = setUp();
  timeline.reset();
  timeline.mark(Milestone.Kernel);
  clock.at = 1e9;
  for (let code = 0; code < 300; code++) {
    timeline.postCode(code & 0xff);
    timeline.postCode(code & 0xff);
  }
  const [, kernel, ...codes] = timeline.events();
  expect(kernel).toEqual({ event: 'Kernel', seconds: 0 });
  expect(codes.map(({ code }) => code)).toEqual(Array.from({ length: 32 }, (_, i) => i));
});
