/** All machines as main knows them, kept up to date by its events. */
import { defineStore } from 'pinia';
import { computed, shallowReactive, shallowRef, triggerRef } from 'vue';
import type { MachineSummary, Operation, Problem, Sample } from '../../main/contract/index.ts';
import { problemOfError, useConnection } from './connection.ts';

/** Samples kept of each machine, one a second: what the list's graphs show. */
export const GRAPH_SAMPLES = 60;

/** A request about a machine that failed, kept until somebody has read it. */
export interface Complaint {
  /** What was wanted, as `start`. */
  readonly wanted: string;
  readonly problem: Problem;
  /** Milliseconds since 1970. */
  readonly time: number;
}

/** Bytes a second that a machine's disks move; undefined where it has none. */
export function diskRate({ diskRead, diskWrite }: Sample): number | undefined {
  return diskRead === null || diskWrite === null ? undefined : diskRead + diskWrite;
}

const NAMES = new Intl.ListFormat('en');

const NONE: readonly Sample[] = [];

export const useMachines = defineStore('machines', () => {
  const connection = useConnection();
  const byId = shallowReactive(new Map<string, MachineSummary>());
  const loaded = shallowRef(false);
  const operations = shallowReactive(new Map<number, Operation>());
  const complaints = shallowReactive(new Map<string, Complaint>());
  /** The machine that was made here last, for the list to show. */
  const made = shallowRef<string>();
  /** Machines whose last operation was cancelled, until what asked for it has heard so. */
  const cancelled = new Set<string>();
  /** Replaced as a whole once a second, so what shows graphs is drawn once. */
  const samples = shallowRef(new Map<string, readonly Sample[]>());

  const all = computed(() => [...byId.values()]);

  function put(machine: MachineSummary): void {
    byId.set(machine.id, machine);
    if (machine.started === null && samples.value.delete(machine.id)) triggerRef(samples);
  }

  /** Has the list select a machine. */
  function point(id: string): void {
    made.value = id;
  }

  function remove(id: string): void {
    byId.delete(id);
    complaints.delete(id);
    samples.value.delete(id);
  }

  async function load(): Promise<void> {
    const [{ machines }, { operations: listed }] = await Promise.all([
      connection.call('machine.list', {}),
      connection.call('operation.list', {}),
    ]);
    const present = new Set(machines.map(({ id }) => id));
    for (const id of byId.keys()) if (!present.has(id)) remove(id);
    for (const machine of machines) put(machine);
    operations.clear();
    for (const operation of listed) track(operation);
    loaded.value = true;
    await Promise.all(machines.filter(({ started }) => started !== null).map(({ id }) => loadSeries(id)));
  }

  async function loadSeries(id: string): Promise<void> {
    const series = await connection.call('machine.series', { id });
    samples.value.set(id, series.samples.slice(-GRAPH_SAMPLES));
    triggerRef(samples);
  }

  function track(operation: Operation): void {
    if (operation.state === 'running') operations.set(operation.id, operation);
    else operations.delete(operation.id);
    if (operation.state === 'cancelled' && operation.machine !== null) cancelled.add(operation.machine);
  }

  connection.on('machine.changed', ({ machine }) => put(machine));
  connection.on('machine.removed', ({ id }) => remove(id));
  connection.on('operation', ({ operation }) => track(operation));
  connection.on('statistics', ({ samples: news }) => {
    for (const { id, sample } of news) {
      const before = samples.value.get(id) ?? NONE;
      samples.value.set(id, [...before.slice(1 - GRAPH_SAMPLES), sample]);
    }
    triggerRef(samples);
  });
  connection.whenOpen(() => {
    // A connection that ends meanwhile is made again, and then this is.
    load().catch((error: unknown) => console.warn('the list of machines was not loaded:', error));
  });

  const samplesOf = (id: string): readonly Sample[] => samples.value.get(id) ?? NONE;

  const operationOf = (id: string): Operation | undefined =>
    [...operations.values()].find(({ machine }) => machine === id);

  /** Runs a request about a machine; what fails is kept as a complaint about it, unless it was cancelled.
   * @returns whether it was done */
  async function attempt(id: string, wanted: string, request: () => Promise<unknown>): Promise<boolean> {
    complaints.delete(id);
    cancelled.delete(id);
    try {
      await request();
      return true;
    } catch (error) {
      if (cancelled.delete(id)) return false;
      const problem = problemOfError(error);
      // What a start fails by is the machine's last error as well: one of the two is enough.
      if (byId.get(id)?.lastError?.message !== problem.message) {
        complaints.set(id, { wanted, problem, time: Date.now() });
      }
      return false;
    }
  }

  /** Names of machines, for a sentence. */
  const namesOf = (ids: readonly string[]): string => NAMES.format(ids.map((id) => byId.get(id)?.name ?? id));

  return {
    byId,
    all,
    namesOf,
    loaded,
    operations,
    complaints,
    made,
    point,
    put,
    samplesOf,
    operationOf,
    attempt,
  };
});
