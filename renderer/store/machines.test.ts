import { createPinia, setActivePinia } from 'pinia';
import { beforeEach, expect, test, vi } from 'vitest';
import { FakeMain } from '../fake/main.ts';
import { useConnection } from './connection.ts';
import { GRAPH_SAMPLES, useMachines } from './machines.ts';
import { useSettings } from './settings.ts';

beforeEach(() => {
  vi.useFakeTimers();
  setActivePinia(createPinia());
  return () => vi.useRealTimers();
});

async function open(main: FakeMain): Promise<ReturnType<typeof useMachines>> {
  const machines = useMachines();
  useConnection().connect(main.open);
  await vi.advanceTimersByTimeAsync(0);
  return machines;
}

test('the list follows main', async () => {
  const main = new FakeMain();
  main.populate(4);
  const machines = await open(main);
  expect(machines.all.map(({ name }) => name)).toEqual(['machine-1', 'machine-2', 'machine-3', 'machine-4']);
  await useConnection().call('machine.rename', { id: 'm1', name: 'renamed' });
  expect(machines.all.map(({ name }) => name)).toContain('renamed');
  const [first] = machines.all;
  await useConnection().call('machine.undefine', { id: first!.id });
  expect(machines.byId.has(first!.id)).toBe(false);
  expect(machines.all).toHaveLength(3);
});

test('samples come for machines that run, as many as the graphs show, and go with them', async () => {
  const main = new FakeMain();
  main.populate(3);
  const machines = await open(main);
  const running = machines.all.find(({ state }) => state === 'running')!;
  await vi.advanceTimersByTimeAsync((GRAPH_SAMPLES + 5) * 1000);
  expect(machines.samplesOf(running.id)).toHaveLength(GRAPH_SAMPLES);
  await useConnection().call('machine.destroy', { id: running.id });
  expect(machines.samplesOf(running.id)).toHaveLength(0);
});

test('a request that fails stays with its machine until the next one', async () => {
  const main = new FakeMain();
  main.populate(1);
  const machines = await open(main);
  const { id } = machines.all[0]!;
  const attach = () => useConnection().call('console.attach', { id });
  expect(await machines.attempt(id, 'start', attach)).toBe(false);
  expect(machines.complaints.get(id)).toMatchObject({
    wanted: 'start',
    problem: { message: 'the machine is off' },
  });
  expect(await machines.attempt(id, 'start', () => useConnection().call('machine.start', { id }))).toBe(true);
  expect(machines.complaints.has(id)).toBe(false);
});

test('a connection that is lost is made again, and the list is read anew', async () => {
  const main = new FakeMain();
  main.populate(2);
  const machines = await open(main);
  main.disconnect();
  expect(useConnection().status).toBe('lost');
  main.machines.delete(machines.all[0]!.id);
  await vi.advanceTimersByTimeAsync(1000);
  expect(useConnection().status).toBe('open');
  expect(machines.all).toHaveLength(1);
});

test('choices are remembered, and one of another shape is not used', async () => {
  await open(new FakeMain());
  const settings = useSettings();
  const columns = settings.choice('columns');
  columns.value = ['cpu'];
  await vi.advanceTimersByTimeAsync(0);
  const stored = await useConnection().call('settings.get', {});
  expect(stored.settings.view).toEqual({ columns: ['cpu'] });
  settings.change({ view: { columns: 7, sort: { by: 'name' } } });
  expect(columns.value).toEqual(['cpu', 'memory', 'disk']);
  expect(settings.choice('sort').value).toEqual({ by: 'name', descending: false });
});
