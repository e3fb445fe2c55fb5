import { expect, test } from 'vitest';
import { Quit, type QuitChoice } from './quit.ts';

interface World {
  /** The machines that run; those of them that heed their power button. */
  running: readonly string[];
  heed?: readonly string[];
  onQuit?: 'ask' | 'tray' | 'shutdown' | 'destroy';
  answer?: QuitChoice;
  windows?: number;
}

/** A desktop with machines, and what was done with it. */
function desktop({ running, heed = running, onQuit = 'ask', answer = 'cancel', windows = 1 }: World) {
  const world = { running: [...running], windows, ended: false, done: [] as string[] };
  const end = (ids: readonly string[]): void => {
    world.running = world.running.filter((id) => !ids.includes(id));
  };
  const services = {
    manager: {
      list: async () => [
        { id: 'off', name: 'off', pid: null },
        ...world.running.map((id) => ({ id, name: id, pid: 1 })),
      ],
      shutdown: async (id: string) => {
        world.done.push(`shutdown ${id}`);
        if (heed.includes(id)) end([id]);
      },
      destroy: async (id: string) => {
        world.done.push(`destroy ${id}`);
        end([id]);
      },
    },
    settings: { onQuit },
  };
  const shell = {
    ask: async (names: readonly string[]) => {
      world.done.push(`ask ${names.join(', ')}`);
      return answer;
    },
    showWindow: () => {
      world.windows ||= 1;
      world.done.push('show');
    },
    closeWindows: () => {
      const had = world.windows > 0;
      world.windows = 0;
      // As the shell tells it, later.
      if (had) queueMicrotask(() => void quit.windowsClosed());
      return had;
    },
    quit: () => {
      world.ended = quit.mayEnd();
    },
  };
  const quit: Quit = new Quit(services, shell, 300);
  const settled = () => new Promise((resolve) => setTimeout(resolve, 10));
  return {
    world,
    /** Closes the last window. */
    async close() {
      world.windows = 0;
      await quit.windowsClosed();
      await settled();
    },
    /** Tells the program to end. */
    async tell() {
      if (quit.mayEnd()) world.ended = true;
      await settled();
    },
  };
}

test('without machines that run it ends, unasked', async () => {
  for (const how of ['close', 'tell'] as const) {
    for (const onQuit of ['ask', 'tray', 'shutdown', 'destroy'] as const) {
      const { world, ...act } = desktop({ running: [], onQuit });
      await act[how]();
      expect(world).toMatchObject({ ended: true, done: [] });
    }
  }
});

test('who closes the last window and takes that back has a window again', async () => {
  const { world, close } = desktop({ running: ['a', 'b'] });
  await close();
  expect(world).toMatchObject({ ended: false, windows: 1, running: ['a', 'b'], done: ['ask a, b', 'show'] });
});

test('machines are shut down or forced off before it ends', async () => {
  for (const answer of ['shutdown', 'destroy'] as const) {
    const asked = desktop({ running: ['a', 'b'], answer });
    await asked.tell();
    expect(asked.world).toMatchObject({
      ended: true,
      running: [],
      done: ['ask a, b', `${answer} a`, `${answer} b`],
    });
    const chosen = desktop({ running: ['a'], onQuit: answer });
    await chosen.close();
    expect(chosen.world).toMatchObject({ ended: true, done: [`${answer} a`] });
  }
});

test('a guest that does not listen keeps it, and the window shows why', async () => {
  const { world, close } = desktop({ running: ['a', 'deaf'], heed: ['a'], answer: 'shutdown' });
  await close();
  expect(world).toMatchObject({ ended: false, running: ['deaf'], windows: 1 });
  expect(world.done.at(-1)).toBe('show');
});

test('in the tray machines go on, and the tray leads out', async () => {
  const closed = desktop({ running: ['a'], onQuit: 'tray' });
  await closed.close();
  expect(closed.world).toMatchObject({ ended: false, windows: 0, done: [] });
  // The tray's own way to end is no window that closes.
  await closed.tell();
  expect(closed.world.done).toEqual(['ask a']);

  const told = desktop({ running: ['a'], answer: 'tray' });
  await told.tell();
  expect(told.world).toMatchObject({ ended: false, windows: 0, running: ['a'], done: ['ask a'] });
  await told.tell();
  expect(told.world.done).toEqual(['ask a', 'ask a']);
});

test('it asks once at a time, and each time anew', async () => {
  const { world, tell, close } = desktop({ running: ['a'] });
  await Promise.all([tell(), tell(), close()]);
  expect(world.done).toEqual(['ask a']);
  await tell();
  expect(world.done).toEqual(['ask a', 'ask a']);
});

test('a manager that fails keeps it', async () => {
  let shown = 0;
  const broken = async (): Promise<never> => Promise.reject(new Error('broken'));
  const quit = new Quit(
    { manager: { list: broken, shutdown: broken, destroy: broken }, settings: { onQuit: 'ask' } },
    { ask: broken, showWindow: () => shown++, closeWindows: () => false, quit: () => {} },
  );
  await quit.windowsClosed();
  expect(shown).toBe(1);
});
