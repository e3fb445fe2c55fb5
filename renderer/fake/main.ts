/**
 * A manager in memory that keeps to the contract: for working on the interface with `npm run dev` (open
 * /?fake=12 for twelve machines) and for tests. Its machines do nothing but say so.
 */
import {
  type Capabilities,
  type CheckedParams,
  checkDocument,
  type ClientFrame,
  clientFrameSchema,
  decodeInput,
  encodeOutput,
  EVENTS,
  type EventData,
  type EventName,
  type Failure,
  type HostInfo,
  isMethodName,
  type LogRecord,
  type MachineDocument,
  type MachineSummary,
  type MethodName,
  METHODS,
  parseJson,
  PROTOCOL_VERSION,
  RequestError,
  type Result,
  type Sample,
  type Settings,
} from '../../main/contract/index.ts';
import type { OpenTransport, TransportEvents } from '../transport/transport.ts';
import { fakeMachine, fakeSample } from './machine.ts';

const HOST: HostInfo = {
  hostname: 'host',
  system: 'Linux x64',
  cpus: 4,
  cpuModel: 'Processor',
  memory: 16 * 2 ** 30,
  freeMemory: 9 * 2 ** 30,
  machineMemory: { usual: 512, most: 3584 },
  library: '/library',
};

const CAPABILITIES: Capabilities = {
  accelerators: [
    {
      name: 'kvm',
      available: false,
      reason: '/dev/kvm is missing',
      features: [],
      cpuModels: [],
      mostVcpus: 1,
    },
    { name: 'wasm', available: true, reason: null, features: [], cpuModels: ['x86-64-v2'], mostVcpus: 64 },
  ],
  machineVcpus: { usual: 2, most: 64 },
};

interface Stored {
  summary: MachineSummary;
  document: MachineDocument;
  revision: number;
  samples: Sample[];
  log: LogRecord[];
  console: string;
}

type Handlers = { readonly [M in MethodName]: (params: CheckedParams<M>) => Result<M> };

function refuse(code: Failure['code'], message: string, more: Partial<Failure> = {}): never {
  throw new RequestError({ code, message, ...more });
}

export class FakeMain {
  readonly machines = new Map<string, Stored>();
  readonly #clients = new Set<TransportEvents>();
  readonly #consoles = new Map<number, Stored>();
  #settings: Settings = { theme: 'system', onQuit: 'ask', confirm: true, window: null, view: {} };
  #next = 1;
  #nextMachine = 1;

  /** @param pace milliseconds between statistics */
  constructor(pace = 1000) {
    setInterval(() => this.#measure(), pace);
  }

  /** Makes machines, a third of which run. */
  populate(count: number): void {
    for (let i = 1; i <= count; i++) {
      const group = i % 5 === 0 ? 'Build' : i % 7 === 0 ? 'Lab' : null;
      const stored = this.#define({
        name: `machine-${i}`,
        sample: true,
        group,
        tags: i % 4 === 0 ? ['nightly'] : [],
      });
      if (i % 3 === 0) this.#run(stored);
    }
  }

  readonly open: OpenTransport = (events) => {
    this.#clients.add(events);
    queueMicrotask(() => {
      const hello = {
        type: 'hello',
        protocol: PROTOCOL_VERSION,
        version: '0',
        shell: 'browser',
        platform: 'linux',
      };
      events.message(JSON.stringify(hello));
    });
    return {
      send: (message) => queueMicrotask(() => this.#receive(events, message)),
      close: () => this.#clients.delete(events),
    };
  };

  /** Ends every connection, as a manager that is ended does. */
  disconnect(): void {
    for (const client of this.#clients) client.closed(new Error('the manager was ended'));
    this.#clients.clear();
  }

  #receive(events: TransportEvents, message: string | Uint8Array): void {
    if (typeof message !== 'string') {
      const input = decodeInput(message);
      const stored = input === undefined ? undefined : this.#consoles.get(input.stream);
      if (input !== undefined && stored !== undefined)
        this.#print(stored, new TextDecoder().decode(input.bytes));
      return;
    }
    const frame: ClientFrame = clientFrameSchema.parse(parseJson(message));
    if (frame.type !== 'request' || !isMethodName(frame.method)) return;
    const { id } = frame;
    try {
      events.message(JSON.stringify({ type: 'result', id, result: this.#call(frame.method, frame.params) }));
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      events.message(JSON.stringify({ type: 'failure', id, error: error.failure }));
    }
  }

  #call<M extends MethodName>(method: M, params: unknown): Result<M> {
    const checked = METHODS[method].params.safeParse(params);
    if (!checked.success) return refuse('usage', checked.error.message);
    return this.#handlers[method](checked.data);
  }

  #tell<E extends EventName>(event: E, data: EventData<E>): void {
    const text = JSON.stringify({ type: 'event', event, data: EVENTS[event].parse(data) });
    for (const client of this.#clients) client.message(text);
  }

  #stored({ id }: { id: string }): Stored {
    return this.machines.get(id) ?? refuse('state', `no machine has the id ${id}`);
  }

  #change(stored: Stored, change: Partial<MachineSummary>): { machine: MachineSummary } {
    stored.summary = { ...stored.summary, ...change };
    this.#tell('machine.changed', { machine: stored.summary });
    return { machine: stored.summary };
  }

  #checked(input: unknown, self?: string): MachineDocument {
    const checked = checkDocument(input);
    if (!checked.ok) {
      const issues = checked.issues.map(({ path, message }) => ({ path: [...path], message }));
      return refuse('config', issues[0]?.message ?? '', { issues });
    }
    const { name } = checked.document;
    if ([...this.machines.values()].some(({ summary }) => summary.name === name && summary.id !== self)) {
      refuse('state', `there is a machine called ${name} already`);
    }
    return checked.document;
  }

  #define(input: unknown): Stored {
    const document = this.#checked(input);
    const id = `m${this.#nextMachine++}`;
    const stored: Stored = {
      summary: fakeMachine(id),
      document,
      revision: 1,
      samples: [],
      log: [],
      console: '',
    };
    this.machines.set(id, stored);
    this.#describe(stored);
    this.#note(stored, `defined ${document.name}`);
    return stored;
  }

  #describe(stored: Stored): { machine: MachineSummary } {
    const { name, description, group, tags, memory, vcpus, sample, kernel, firmware } = stored.document;
    const boots = sample
      ? 'sample guest'
      : kernel === undefined
        ? `firmware ${firmware}`
        : `kernel ${kernel}`;
    return this.#change(stored, {
      name,
      description,
      group,
      tags,
      memory,
      vcpus,
      boots,
      graphical: !sample && kernel === undefined,
    });
  }

  #note(stored: Stored, text: string): void {
    const record: LogRecord = {
      sequence: this.#next++,
      time: Date.now(),
      machine: stored.summary.id,
      level: 'info',
      scope: 'manager',
      text,
    };
    stored.log.push(record);
    this.#tell('log', { record });
  }

  #run(stored: Stored): { machine: MachineSummary } {
    stored.console = '';
    this.#note(stored, 'started');
    const started = this.#change(stored, {
      state: 'running',
      started: Date.now(),
      pid: 4242,
      lastError: null,
    });
    this.#print(stored, 'Welcome.\r\n~ # ');
    return started;
  }

  #halt(stored: Stored): Record<string, never> {
    for (const [stream, of] of this.#consoles) {
      if (of !== stored) continue;
      this.#consoles.delete(stream);
      this.#tell('console.closed', { stream, error: null });
    }
    stored.samples = [];
    this.#note(stored, 'off');
    this.#change(stored, { state: 'shut off', started: null, pid: null, pending: false });
    return {};
  }

  #print(stored: Stored, text: string): void {
    const bytes = new TextEncoder().encode(text.replace('\r', '\r\n~ # '));
    const position = stored.console.length;
    stored.console += text;
    for (const [stream, of] of this.#consoles) {
      if (of !== stored) continue;
      for (const client of this.#clients) client.message(encodeOutput(stream, position, bytes));
    }
  }

  #measure(): void {
    const samples = [];
    for (const stored of this.machines.values()) {
      if (stored.summary.state !== 'running') continue;
      const sample = fakeSample(Date.now(), Number(stored.summary.id.slice(1)));
      stored.samples = [...stored.samples.slice(-599), sample];
      samples.push({ id: stored.summary.id, sample });
    }
    this.#tell('statistics', { samples });
  }

  readonly #handlers: Handlers = {
    'host.info': () => HOST,
    'host.capabilities': () => CAPABILITIES,
    'machine.list': () => ({ machines: [...this.machines.values()].map(({ summary }) => summary) }),
    'machine.get': (params) => {
      const { summary, document, revision } = this.#stored(params);
      const running = summary.started === null ? null : document;
      return { machine: summary, document, revision: String(revision), running, text: null };
    },
    'machine.validate': ({ document }) => {
      const checked = checkDocument(document);
      return {
        issues: checked.ok ? [] : checked.issues.map(({ path, message }) => ({ path: [...path], message })),
      };
    },
    'machine.define': ({ document }) => ({ machine: this.#define(document).summary }),
    'machine.configure': ({ id, revision, document }) => {
      const stored = this.#stored({ id });
      if (revision !== String(stored.revision))
        refuse('state', 'the configuration has been changed meanwhile');
      stored.document = this.#checked(document, id);
      stored.revision++;
      this.#change(stored, { pending: stored.summary.started !== null });
      return { ...this.#describe(stored), revision: String(stored.revision) };
    },
    'machine.rename': ({ id, name }) => {
      const stored = this.#stored({ id });
      stored.document = this.#checked({ ...stored.document, name }, id);
      return this.#describe(stored);
    },
    'machine.label': ({ id, ...labels }) => {
      const stored = this.#stored({ id });
      stored.document = this.#checked({ ...stored.document, ...labels }, id);
      return this.#describe(stored);
    },
    'machine.clone': ({ id, name }) => ({
      machine: this.#define({ ...this.#stored({ id }).document, name }).summary,
    }),
    'machine.deletion': ({ id }) => ({
      folder: `/library/${id}`,
      files: [{ name: 'machine.json', bytes: 312 }],
    }),
    'machine.undefine': ({ id }) => {
      this.machines.delete(id);
      this.#tell('machine.removed', { id });
      return {};
    },
    'machine.start': (params) => this.#run(this.#stored(params)),
    'machine.shutdown': (params) => this.#halt(this.#stored(params)),
    'machine.destroy': (params) => this.#halt(this.#stored(params)),
    'machine.suspend': (params) => {
      this.#change(this.#stored(params), { state: 'paused' });
      return {};
    },
    'machine.resume': (params) => {
      this.#change(this.#stored(params), { state: 'running' });
      return {};
    },
    'machine.reset': (params) => {
      this.#note(this.#stored(params), 'reset');
      return {};
    },
    'machine.changeMedium': ({ id, target, file }) => {
      const stored = this.#stored({ id });
      const drives = stored.summary.drives.map((drive) =>
        drive.target === target ? { ...drive, file, trayOpen: false } : drive,
      );
      this.#change(stored, { drives });
      return {};
    },
    'machine.dismiss': (params) => {
      this.#change(this.#stored(params), { lastError: null });
      return {};
    },
    'machine.exits': () => ({ statistics: null }),
    'machine.series': (params) => ({ samples: this.#stored(params).samples }),
    'log.list': ({ id }) => ({
      records:
        id === undefined ? [...this.machines.values()].flatMap(({ log }) => log) : this.#stored({ id }).log,
    }),
    'console.attach': ({ id, from }) => {
      const stored = this.#stored({ id });
      if (stored.summary.started === null) refuse('state', 'the machine is off');
      const stream = this.#next++;
      queueMicrotask(() => {
        this.#consoles.set(stream, stored);
        const bytes = new TextEncoder().encode(stored.console).subarray(from);
        for (const client of this.#clients) client.message(encodeOutput(stream, from, bytes));
      });
      return { stream, position: from, started: stored.summary.started ?? 0 };
    },
    'display.attach': () => refuse('state', 'the machine has no display'),
    'console.detach': ({ stream }) => {
      this.#consoles.delete(stream);
      return {};
    },
    'operation.list': () => ({ operations: [] }),
    'operation.cancel': () => ({}),
    'settings.get': () => ({ settings: this.#settings }),
    'settings.set': ({ settings: { theme, onQuit, confirm, window, view } }) => {
      const old = this.#settings;
      this.#settings = {
        theme: theme ?? old.theme,
        onQuit: onQuit ?? old.onQuit,
        confirm: confirm ?? old.confirm,
        window: window ?? old.window,
        view: { ...old.view, ...view },
      };
      this.#tell('settings', { settings: this.#settings });
      return { settings: this.#settings };
    },
    'storage.list': () => ({ pools: [], others: [] }),
    'storage.create': ({ name }) => ({ path: `/library/${name}` }),
    'storage.resize': () => ({}),
    'storage.delete': () => ({}),
    'storage.addPool': () => ({}),
    'storage.removePool': () => ({}),
    'medium.identify': () => ({ label: null, system: null }),
    'file.list': () => ({ path: '/', parent: null, entries: [], truncated: false }),
    'file.choose': () => ({ path: null }),
  };
}
