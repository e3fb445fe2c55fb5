/** The answering side of the contract: each method and what carries it out. */
import type { z } from 'zod';
import { GuesthouseError } from '../../engine/base/errors.ts';
import { type CheckedParams, METHODS, type MethodName, type Result } from '../contract/methods.ts';
import { listFolder } from '../vm/host.ts';
import { identifyMedium } from '../vm/os-catalogue.ts';
import type { ConsoleRelay } from './console-relay.ts';
import type { Services } from './services.ts';

/** Checks a method's parameters and carries it out. */
export type Handler = (params: unknown) => Promise<unknown>;

/**
 * The methods for one client.
 *
 * @param consoles those that this client has attached
 */
export function handlersFor(
  services: Services,
  consoles: ConsoleRelay,
): Readonly<Record<MethodName, Handler>> {
  const { manager, host, storage } = services;
  return {
    'host.info': handler('host.info', () => host.info()),
    'host.capabilities': handler('host.capabilities', () => host.capabilities()),
    'machine.list': handler('machine.list', async () => ({ machines: await manager.list() })),
    'machine.get': handler('machine.get', ({ id }) => manager.get(id)),
    'machine.validate': handler('machine.validate', ({ document, files, id }) => ({
      issues: manager.validate(document, files, id),
    })),
    'machine.define': handler('machine.define', async ({ document, newDisk }) => ({
      machine:
        newDisk?.pool === undefined
          ? await manager.define(document, newDisk)
          : await storage.define(document, newDisk.pool, newDisk),
    })),
    'machine.configure': handler('machine.configure', ({ id, revision, document }) =>
      manager.configure(id, revision, document),
    ),
    'machine.rename': handler('machine.rename', async ({ id, name }) => ({
      machine: await manager.amend(id, { name }),
    })),
    'machine.label': handler('machine.label', async ({ id, group, tags, description }) => ({
      machine: await manager.amend(id, {
        ...(group === undefined ? {} : { group }),
        ...(tags === undefined ? {} : { tags }),
        ...(description === undefined ? {} : { description }),
      }),
    })),
    'machine.clone': handler('machine.clone', async ({ id, name }) => ({
      machine: await manager.clone(id, name),
    })),
    'machine.deletion': handler('machine.deletion', ({ id }) => manager.deletion(id)),
    'machine.undefine': handler('machine.undefine', ({ id }) => nothing(manager.undefine(id))),
    'machine.start': handler('machine.start', async ({ id, paused }) => ({
      machine: await manager.start(id, paused),
    })),
    'machine.shutdown': handler('machine.shutdown', ({ id }) => nothing(manager.shutdown(id))),
    'machine.destroy': handler('machine.destroy', ({ id }) => nothing(manager.destroy(id))),
    'machine.suspend': handler('machine.suspend', ({ id }) => nothing(manager.suspend(id))),
    'machine.resume': handler('machine.resume', ({ id }) => nothing(manager.resume(id))),
    'machine.reset': handler('machine.reset', ({ id }) => nothing(manager.reset(id))),
    'machine.changeMedium': handler('machine.changeMedium', ({ id, target, ...change }) =>
      nothing(manager.disks.changeMedium(id, target, change)),
    ),
    'machine.dismiss': handler('machine.dismiss', ({ id }) => nothing(manager.dismiss(id))),
    'machine.exits': handler('machine.exits', async ({ id }) => ({ statistics: await manager.exits(id) })),
    'machine.series': handler('machine.series', ({ id }) => ({ samples: [...manager.samples(id)] })),
    'log.list': handler('log.list', ({ id }) => ({ records: manager.journal.list(id) })),
    'console.attach': handler('console.attach', ({ id, from }) => consoles.attach(id, from)),
    'display.attach': handler('display.attach', ({ id }) => consoles.attachDisplay(id)),
    'console.detach': handler('console.detach', ({ stream }) => nothing(consoles.detach(stream))),
    'operation.list': handler('operation.list', () => ({ operations: manager.operations.list() })),
    'operation.cancel': handler('operation.cancel', ({ id }) => nothing(manager.operations.cancel(id))),
    'settings.get': handler('settings.get', () => ({ settings: services.settings })),
    'settings.set': handler('settings.set', ({ settings }) => ({ settings: services.setSettings(settings) })),
    'storage.list': handler('storage.list', () => storage.list()),
    'storage.create': handler('storage.create', ({ pool, ...image }) => ({
      path: storage.create(pool, image),
    })),
    'storage.resize': handler('storage.resize', async ({ path, capacity }) =>
      nothing(storage.resize(await storage.find(path), capacity)),
    ),
    'storage.delete': handler('storage.delete', async ({ pool, name }) =>
      nothing(storage.delete(await storage.find(name, pool))),
    ),
    'storage.addPool': handler('storage.addPool', ({ name, path }) => nothing(storage.pools.add(name, path))),
    'storage.removePool': handler('storage.removePool', ({ name }) => nothing(storage.pools.remove(name))),
    'medium.identify': handler('medium.identify', ({ path }) => identifyMedium(path)),
    'file.list': handler('file.list', ({ path }) => listFolder(path)),
    'file.choose': handler('file.choose', async ({ title, directory }) => {
      if (services.chooser === undefined) {
        throw new GuesthouseError('unsupported', 'there is no file dialog here', 'use the list of files');
      }
      return { path: await services.chooser(title, directory) };
    }),
  };
}

function handler<M extends MethodName>(
  method: M,
  run: (params: CheckedParams<M>) => Result<M> | Promise<Result<M>>,
): Handler {
  const schema: z.ZodType<CheckedParams<M>> = METHODS[method].params;
  return async (raw) => {
    const params = schema.safeParse(raw);
    if (params.success) return run(params.data);
    const [{ path, message }] = params.error.issues;
    const where = path.map(String).join('.');
    throw new GuesthouseError('usage', `${method}: ${where === '' ? 'parameters' : where}: ${message}`);
  };
}

async function nothing(done: void | Promise<void>): Promise<Record<string, never>> {
  await done;
  return {};
}
