import { expect, test } from 'vitest';
import { Client, RequestError } from './client.ts';
import { decodeInput, encodeInput, encodeOutput, PROTOCOL_VERSION } from './frame.ts';

const HELLO = {
  type: 'hello',
  protocol: PROTOCOL_VERSION,
  version: '1',
  shell: 'browser',
  platform: 'linux',
};

/** A client whose messages are collected, and who is told things by hand. */
function rig() {
  const sent: Array<string | Uint8Array> = [];
  let closed = false;
  const client = new Client({ send: (message) => sent.push(message), close: () => (closed = true) });
  const tell = (frame: unknown) => client.receive(JSON.stringify(frame));
  tell(HELLO);
  return { client, sent, tell, isClosed: () => closed };
}

test('a call is a request, and its answer is checked', async () => {
  const { client, sent, tell } = rig();
  const listed = client.call('machine.list', {});
  expect(JSON.parse(String(sent[0]))).toEqual({ type: 'request', id: 1, method: 'machine.list', params: {} });
  tell({ type: 'result', id: 1, result: { machines: [] } });
  await expect(listed).resolves.toEqual({ machines: [] });

  const malformed = client.call('machine.list', {});
  tell({ type: 'result', id: 2, result: { machines: 'none' } });
  await expect(malformed).rejects.toThrow('malformed answer to machine.list');
});

test('a failure says what is wrong', async () => {
  const { client, tell } = rig();
  const started = client.call('machine.start', { id: 'a' });
  tell({ type: 'failure', id: 1, error: { code: 'state', message: 'no', hint: 'wait' } });
  const error = await started.catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(RequestError);
  expect(error).toMatchObject({ failure: { code: 'state', hint: 'wait' } });
});

test('an event reaches its listeners until they end it, and a malformed one ends the connection', () => {
  const { client, tell, isClosed } = rig();
  const gone: string[] = [];
  const end = client.on('machine.removed', ({ id }) => gone.push(id));
  tell({ type: 'event', event: 'machine.removed', data: { id: 'a' } });
  end();
  tell({ type: 'event', event: 'machine.removed', data: { id: 'b' } });
  // One of a newer program, that this one does not know, is passed over.
  tell({ type: 'event', event: 'moon.risen', data: {} });
  expect(gone).toEqual(['a']);
  expect(isClosed()).toBe(false);
  tell({ type: 'event', event: 'machine.removed', data: { id: '../a' } });
  expect(isClosed()).toBe(true);
});

test('console output that comes before the attachment is known is not lost', async () => {
  const { client, tell } = rig();
  const output: string[] = [];
  let ended = false;
  const attaching = client.attach('a', {
    output: (bytes, position) => output.push(`${position}:${Buffer.from(bytes).toString()}`),
    closed: () => (ended = true),
  });
  tell({ type: 'result', id: 1, result: { stream: 1, position: 5, started: 9 } });
  client.receive(encodeOutput(1, 5, Buffer.from('early')));
  const console = await attaching;
  client.receive(encodeOutput(1, 10, Buffer.from('late')));
  expect(output).toEqual(['5:early', '10:late']);
  expect(console.started).toBe(9);
  tell({ type: 'event', event: 'console.closed', data: { stream: 1, error: null } });
  expect(ended).toBe(true);
});

test('what comes for a console that was detached is dropped', async () => {
  const { client, tell } = rig();
  const output: number[] = [];
  const attaching = client.attach('a', { output: (_, position) => output.push(position), closed: () => {} });
  tell({ type: 'result', id: 1, result: { stream: 1, position: 0, started: 9 } });
  const console = await attaching;
  const closing = console.close();
  client.receive(encodeOutput(1, 0, Buffer.from('x')));
  tell({ type: 'result', id: 2, result: {} });
  await closing;
  expect(output).toEqual([]);
});

test('the end of the connection reaches everybody', async () => {
  const { client } = rig();
  const listed = client.call('machine.list', {});
  const told: string[] = [];
  client.onClosed((error) => told.push(error.message));
  client.closed(new Error('lost'));
  await expect(listed).rejects.toThrow('lost');
  await expect(client.call('machine.list', {})).rejects.toThrow('lost');
  expect(told).toEqual(['lost']);
});

test('a main of another version is refused', async () => {
  const client = new Client({ send: () => {}, close: () => {} });
  client.receive(JSON.stringify({ ...HELLO, protocol: PROTOCOL_VERSION + 1 }));
  await expect(client.ready).rejects.toThrow('reload');
});

test('input keeps its stream', () => {
  expect(decodeInput(encodeInput(7, Buffer.from('ls\n')))).toEqual({
    stream: 7,
    bytes: new Uint8Array(Buffer.from('ls\n')),
  });
  expect(decodeInput(new Uint8Array(3))).toBeUndefined();
});
