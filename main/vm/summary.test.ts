import { expect, test } from 'vitest';
import type { EngineState } from '../../engine/api/control.ts';
import { checkDocument, type MachineDocument } from '../contract/document.ts';
import type { StoredMachine } from '../store/library.ts';
import { presentDocument, type RunningMachine, summaryOf } from './summary.ts';

function documentOf(input: Record<string, unknown>): MachineDocument {
  const checked = checkDocument({ name: 'vm', ...input });
  if (!checked.ok) throw new Error(checked.issues[0].message);
  return checked.document;
}

const document = documentOf({
  disks: [{ file: '/disk.qcow2' }, { device: 'cdrom', file: '/first.iso', format: 'raw' }],
});
const stored = (of: MachineDocument): StoredMachine => ({
  id: 'vm',
  folder: '/no/such/folder',
  revision: '1',
  text: '{}',
  document: of,
  problem: null,
});
const running = (state: Partial<EngineState>): RunningMachine => ({
  pid: 1,
  state: { phase: 'running', shuttingDown: false, started: 1, media: [], ioError: null, ...state },
  document,
});
const drive = { disk: 1, trayOpen: false, locked: false };

test('a disc that was changed while the machine runs is what it has, and no pending change', () => {
  const now = running({ media: [{ ...drive, file: '/second.iso' }] });
  expect(presentDocument(now)?.disks[1]).toMatchObject({ device: 'cdrom', file: '/second.iso' });
  expect(presentDocument(now)?.disks[1]).not.toHaveProperty('format');
  const [disk] = document.disks;
  const second = documentOf({ disks: [disk, { device: 'cdrom', file: '/second.iso' }] });
  expect(summaryOf(stored(second), now, null)).toMatchObject({
    pending: false,
    drives: [{ target: 'hdc', file: '/second.iso', trayOpen: false }],
  });
  expect(summaryOf(stored(document), now, null).pending).toBe(true);
  const empty = running({ media: [{ ...drive, file: null }] });
  expect(presentDocument(empty)?.disks[1]).not.toHaveProperty('file');
});

test('what firmware tries is said in its order', () => {
  const boots = (input: Record<string, unknown>): string =>
    summaryOf(stored(documentOf(input)), undefined, null).boots;
  const { disks } = document;
  expect(boots({ disks })).toBe('disk disk.qcow2, then CD-ROM first.iso');
  expect(boots({ disks, boot: { order: ['cdrom', 'network', 'disk'] } })).toBe(
    'CD-ROM first.iso, then network, then disk disk.qcow2',
  );
  expect(boots({ disks: [{ device: 'cdrom' }] })).toBe('SeaBIOS');
});

test('why the host has paused a machine is said, with what to do', () => {
  const held = running({ phase: 'paused', ioError: 'cannot write /disk.qcow2: no space left on device' });
  expect(summaryOf(stored(document), held, null)).toMatchObject({
    state: 'paused',
    ioError: {
      code: 'resources',
      message: 'cannot write /disk.qcow2: no space left on device',
      hint: expect.stringContaining('resume') as unknown,
    },
  });
  expect(summaryOf(stored(document), running({}), null).ioError).toBeNull();
  expect(summaryOf(stored(document), undefined, null)).toMatchObject({ drives: [], ioError: null });
});
