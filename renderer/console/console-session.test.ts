import { expect, test, vi } from 'vitest';
import { Client } from '../../main/contract/index.ts';
import { FakeMain } from '../fake/main.ts';
import { type ConsoleScreen, ConsoleSession, type ConsoleStatus } from './console-session.ts';

class Screen implements ConsoleScreen {
  text = '';
  readonly notes: string[] = [];

  write(bytes: Uint8Array, drawn: () => void): void {
    this.text += new TextDecoder().decode(bytes);
    drawn();
  }
  newRun(): void {
    this.notes.push('new run');
  }
  dropped(bytes: number): void {
    this.notes.push(`dropped ${bytes}`);
  }
  replaying(replaying: boolean): void {
    this.notes.push(replaying ? 'replay' : 'live');
  }
}

async function connect(main: FakeMain): Promise<Client> {
  const link: { client?: Client } = {};
  const transport = main.open({
    message: (message) => link.client?.receive(message),
    closed: (error) => link.client?.closed(error),
  });
  link.client = new Client(transport);
  await link.client.ready;
  return link.client;
}

async function running(): Promise<{ main: FakeMain; client: Client; started: number }> {
  const main = new FakeMain(1e6);
  main.populate(3);
  return { main, client: await connect(main), started: main.machines.get('m3')?.summary.started ?? 0 };
}

test('what is typed comes back, and what was written earlier is replayed first', async () => {
  const { client, started } = await running();
  const screen = new Screen();
  const statuses: ConsoleStatus[] = [];
  const session = new ConsoleSession('m3', screen, (status) => statuses.push(status));
  await session.attach(client, started);
  await vi.waitFor(() => expect(screen.text).toBe('Welcome.\r\n~ # '));
  expect(screen.notes).toEqual(['replay']);
  await vi.waitFor(() => expect(screen.notes).toEqual(['replay', 'live']));
  session.type(new TextEncoder().encode('ls'));
  await vi.waitFor(() => expect(screen.text).toMatch(/# ls$/));
  expect(statuses).toEqual(['connecting', 'open']);
});

test('a lost connection is said, and a new one does not show things twice', async () => {
  const { main, client, started } = await running();
  const screen = new Screen();
  const statuses: ConsoleStatus[] = [];
  const session = new ConsoleSession('m3', screen, (status) => statuses.push(status));
  await session.attach(client, started);
  await vi.waitFor(() => expect(screen.text).toContain('# '));
  main.disconnect();
  expect(statuses.at(-1)).toBe('failed');
  await session.attach(await connect(main), started);
  await vi.waitFor(() => expect(screen.notes.at(-1)).toBe('live'));
  expect(screen.text).toBe('Welcome.\r\n~ # ');
  expect(screen.notes).not.toContain('new run');
});

test('the next run of the machine is told from the one before', async () => {
  const { client, started } = await running();
  const screen = new Screen();
  const statuses: ConsoleStatus[] = [];
  const session = new ConsoleSession('m3', screen, (status) => statuses.push(status));
  await session.attach(client, started);
  await client.call('machine.destroy', { id: 'm3' });
  await vi.waitFor(() => expect(statuses.at(-1)).toBe('off'));
  await new Promise((resolve) => setTimeout(resolve, 5));
  const { machine } = await client.call('machine.start', { id: 'm3' });
  await session.attach(client, machine.started ?? 0);
  expect(screen.notes).toContain('new run');
});

test('a machine that is off cannot be attached to', async () => {
  const { client } = await running();
  const statuses: ConsoleStatus[] = [];
  const session = new ConsoleSession('m1', new Screen(), (status) => statuses.push(status));
  await session.attach(client, 1);
  expect(statuses).toEqual(['connecting', 'failed']);
});
