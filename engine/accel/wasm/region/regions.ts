/** The regions of a vCPU: which code is hot, its translation, and its place among the handlers. */
import type { CodeCache, CodeMode, InstalledRegion } from '../interpreter/code-cache.ts';
import { IMPORTS, type Tier0 } from '../interpreter/handlers.ts';
import { collectRegion, RecordReader } from './graph.ts';
import { translateRegion } from './translate.ts';

/** Times a block is found at the end of a budget before it is translated. */
const HOT = 2;
/** A region smaller than this is not worth its entry and exit. */
const LEAST_INSTRUCTIONS = 4;

export interface RegionCounts {
  regions: number;
  instructions: number;
  bytes: number;
  milliseconds: number;
  dropped: number;
  refused: number;
}

export class Regions {
  readonly #tier0: Tier0;
  readonly #code: CodeCache;
  readonly #memory: WebAssembly.Memory;
  readonly #table: WebAssembly.Table;
  readonly #reader: RecordReader;
  readonly #free: number[] = [];
  readonly counts: RegionCounts = {
    regions: 0,
    instructions: 0,
    bytes: 0,
    milliseconds: 0,
    dropped: 0,
    refused: 0,
  };

  /** @param table the vCPU's handlers; regions are put behind them */
  constructor(tier0: Tier0, code: CodeCache, memory: WebAssembly.Memory, table: WebAssembly.Table) {
    this.#tier0 = tier0;
    this.#code = code;
    this.#memory = memory;
    this.#table = table;
    this.#reader = new RecordReader(memory);
    code.onRegionDropped = (region) => {
      this.counts.dropped++;
      this.#table.set(region.handler, null);
      this.#free.push(region.handler);
    };
  }

  /** The guest was found at the block last looked up. */
  sampled(mode: CodeMode): void {
    const block = this.#code.found;
    if (block === undefined || mode.code !== 64 || block.to2 !== 0) return;
    if (++block.samples !== HOT) return;
    const started = performance.now();
    const { record } = block;
    const forms = this.#tier0.forms.forms;
    const region = collectRegion(this.#reader, record, forms, (at) => this.#code.originalHandler(at));
    if (region === undefined || region.instructions < LEAST_INSTRUCTIONS) return;
    const bytes = translateRegion(this.#tier0, this.#reader, region);
    if (bytes === undefined) {
      this.counts.refused++;
      return;
    }
    const module = new WebAssembly.Module(bytes);
    const instance = new WebAssembly.Instance(module, {
      [IMPORTS]: { memory: this.#memory, table: this.#table },
    });
    const handler = this.#free.pop() ?? this.#table.grow(1);
    this.#table.set(handler, instance.exports.region);
    const at = (rip: bigint): number => block.from + Number(rip - region.entry.rip);
    const installed: InstalledRegion = {
      record,
      original: this.#reader.words[record >> 2]!,
      handler,
      from: at(region.first),
      to: at(region.end),
    };
    this.#code.install(installed);
    this.counts.regions++;
    this.counts.instructions += region.instructions;
    this.counts.bytes += bytes.length;
    this.counts.milliseconds += performance.now() - started;
  }
}
