/** The regions of a vCPU: which code is hot, and the place of its translation among the handlers. */
import { receiveMessageOnPort } from 'node:worker_threads';
import type { CodeWatch } from '../../../machine/accelerator.ts';
import type { TranslatorEnd } from '../../../machine/translator-link.ts';
import type { Block } from '../interpreter/block-index.ts';
import type { CodeCache, CodeMode } from '../interpreter/code-cache.ts';
import { HOT, NEVER } from '../interpreter/entry-count.ts';
import { HANDLERS, IMPORTS, type RunnableTier0 } from '../interpreter/tier0.ts';
import { collectRegion, type CodePlaces, type Collected, SIZES } from './collect.ts';
import { checkedName, exportName } from './exports.ts';
import { hotCodeAt } from './hot-code.ts';
import type { InstalledRegion } from './installed-region.ts';
import { RecordReader } from './source.ts';
import type { TranslationBatch, TranslationRequest, Translator, TranslatorMessage } from './translator.ts';

/** At which finds at a budget's end a block is translated by a processor that is to translate everything it enters. */
const AGAIN = new Set([1, 3, 9]);
/** How often a region is found before its share of all is looked at, which says how large it is to be. */
const ENOUGH = 100;
/** The place among sizes of the largest that one is at first. */
const MOST_AT_FIRST = 1;
/** By how much it must be larger then to take the old one's place, unless its accesses share looks now. */
const WORTH_GROWING = 1.25;
/** A region smaller than this is not worth its entry and exit, and the memory that V8 takes for it, unless it goes
 * round or is gone to so often again. */
const LEAST_INSTRUCTIONS = 4;
const HOT_THOUGH_SMALL = 16 * HOT;
/** What has been asked for and is gone to so often until it comes is asked for in a hurry. */
const HURRY = 4 * HOT;
/** Regions asked for at most; what else is hot is asked for when it has been gone to as often again, so that the hottest
 * comes first. */
const MOST_WAITING = 64;
/** Of the most regions that are installed, so many are dropped where there is no room for another. */
const CROWDED = 1 / 4;
/** Handlers of regions that are gone before they are used again: until then the jump cache may lead to them. */
const MOST_RETIRED = 512;

export interface RegionCounts {
  regions: number;
  instructions: number;
  bytes: number;
  milliseconds: number;
  /** Dropped because their code was written, was mapped elsewhere, all code was dropped, others were to have room, or a
   * larger one is there. */
  written: number;
  remapped: number;
  flushed: number;
  crowded: number;
  grown: number;
  /** Came too late: the code had changed meanwhile. */
  late: number;
  refused: number;
}

/** It translates here and now, not in a thread. */
const isOwn = (translator: TranslatorEnd | Translator): translator is Translator => 'translate' in translator;

/** How regions are found and translated. */
export interface RegionOptions {
  readonly tier0: RunnableTier0;
  readonly code: CodeCache;
  readonly memory: WebAssembly.Memory;
  /** What the vCPU's instance of tier 0 exports: its handlers, behind which regions are put, and what else regions
   * import. */
  readonly exports: WebAssembly.Instance['exports'];
  readonly places: CodePlaces;
  /** A handler that goes on with whatever its record's handler is now. */
  readonly run: (cpu: number, record: number, budget: number) => number;
  readonly watch?: CodeWatch | undefined;
  /** Installed at most. */
  readonly most: number;
  /** Everything is translated on first sight, however small. */
  readonly eager?: boolean;
  /** To the translator's thread, or one that translates here and now. */
  readonly translator: TranslatorEnd | Translator;
}

/** A region that has been asked for. */
interface Wanted extends Collected {
  readonly block: Block;
  readonly record: number;
  /** RIP of the first byte of the page of its entry, where it was found to be hot. */
  readonly page: bigint;
  readonly generation: number;
  /** The region whose place it is to take. */
  readonly present: InstalledRegion | undefined;
  /** Its place among the sizes. */
  readonly size: number;
}

export class Regions {
  readonly #tier0: RunnableTier0;
  readonly #code: CodeCache;
  readonly #table: WebAssembly.Table;
  readonly #imports: Record<string, Record<string, unknown>>;
  readonly #places: CodePlaces;
  readonly #eager: boolean;
  readonly #most: number;
  readonly #translator: TranslatorEnd | Translator;
  /** What the translator's word was when all it had sent was taken. */
  #taken = 0;
  readonly #reader: RecordReader;
  readonly #watch: CodeWatch | undefined;
  readonly #free: number[] = [];
  readonly #retired: number[] = [];
  /** Asked for and not there yet, by number. */
  readonly #waiting = new Map<number, Wanted>();
  #requests = 0;
  /** Blocks that would make small regions, and have been hot once. */
  readonly #little = new WeakSet<Block>();
  /** The number among all that a region's module was made with, by its number in the machine, which others had before. */
  readonly #made = new Map<number, number>();
  /** A region has gone to which links may lead still. */
  #broken = false;
  /** How often the guest has been found so far. */
  #finds = 0;
  /** Above the numbers of all regions that have been installed. */
  ids = 0;
  /** Modules instantiated for this vCPU. */
  readonly #instances = new WeakMap<WebAssembly.Module, WebAssembly.Instance>();
  readonly counts: RegionCounts = {
    regions: 0, instructions: 0, bytes: 0, milliseconds: 0, written: 0, remapped: 0, flushed: 0, crowded: 0, grown: 0, late: 0, refused: 0,
  }; // prettier-ignore

  constructor(options: RegionOptions) {
    this.#tier0 = options.tier0;
    this.#code = options.code;
    const { memory, exports } = options;
    this.#table = exports[HANDLERS] as WebAssembly.Table;
    this.#imports = { [IMPORTS]: { ...exports, memory } };
    this.#places = options.places;
    this.#eager = options.eager === true;
    this.#most = options.most;
    this.#translator = options.translator;
    this.#reader = new RecordReader(options.memory.buffer);
    this.#watch = options.watch;
    this.#code.onRegionDropped = (region, why) => {
      this.counts[why]++;
      this.#broken = true;
      for (const handler of new Set([region.handler, region.direct])) {
        this.#table.set(handler, options.run);
        this.#retired.push(handler);
      }
    };
  }

  /** The guest was found at the block last looked up.
   * @param page RIP of the first byte of the page it is on
   * @param weight how many of the least budgets it stands for: as many finds
   * @returns true where it has been translated already */
  sampled(mode: CodeMode, page: bigint, weight: number): boolean {
    this.#collectAnswers();
    const block = this.#code.found;
    if (block === undefined || mode.code !== 64) return false;
    if (block.finds === 0) block.since = this.#finds;
    this.#finds += weight;
    block.finds += weight;
    const region = this.#code.regionAt(block.record);
    if (this.#eager) {
      // Again when it has links, which lead further.
      if (!AGAIN.has(block.finds)) return false;
      if (region !== undefined) this.#code.dropRegion(region, 'grown');
      // With and without page windows, in turns.
      this.#ask(block, page, MOST_AT_FIRST + (this.#requests % 2));
    } else if (region !== undefined && block.finds >= ENOUGH) {
      const size = this.#sizeFor(block);
      block.finds = 0;
      if (size > region.size) this.#ask(block, page, size, region);
    }
    return region !== undefined;
  }

  /** Tier 0 has often gone to the block last looked up. @param page RIP of the first byte of the page it is on */
  hot(page: bigint): void {
    this.#collectAnswers();
    const block = this.#code.found;
    if (this.#eager || block?.mode.code !== 64 || this.#code.regionAt(block.record) !== undefined) return;
    if (this.#hurry(block)) return;
    if (this.#waiting.size >= MOST_WAITING) this.#code.count(block.record, HOT);
    else this.#ask(block, page, Math.min(this.#sizeFor(block), MOST_AT_FIRST));
  }

  /** The size for the share that a block has in what has been run since it was first counted. */
  #sizeFor(block: Block): number {
    if (block.finds === 0) return 0;
    const share = block.finds / (this.#finds - block.since);
    return SIZES.findLastIndex((bounds) => share >= bounds.share);
  }

  /** Asks for the region of a block. @param present the one it has, which a larger one may take the place of */
  #ask(block: Block, page: bigint, size: number, present?: InstalledRegion): void {
    const { record } = block;
    if (!this.#eager) block.finds = 0;
    const larger = present === undefined ? 0 : WORTH_GROWING * present.instructions;
    const same = present !== undefined && SIZES[present.size]!.windows === SIZES[size]!.windows;
    if (present !== undefined) present.size = size;
    const collected = collectRegion(
      this.#reader,
      record,
      page,
      this.#tier0.forms.forms,
      this.#places,
      SIZES[size]!,
    );
    if (collected === undefined) {
      this.#code.count(record, NEVER);
      return;
    }
    if (same && collected.instructions < larger) return;
    const little = collected.instructions < LEAST_INSTRUCTIONS && !collected.loops;
    if (little && !this.#little.has(block) && !this.#eager) {
      this.#little.add(block);
      this.#code.count(record, HOT_THOUGH_SMALL);
      return;
    }
    const watched = this.#watch && hotCodeAt(this.#watch.address, collected, this.#reader, page);
    if (watched !== undefined) this.#watch?.found(watched);
    const request: TranslationRequest = { request: this.#requests++, source: collected.source };
    this.#waiting.set(request.request, {
      ...collected,
      block,
      record,
      page,
      generation: this.#code.generation,
      size,
      present,
    });
    this.#code.count(record, HURRY);
    if (isOwn(this.#translator)) this.#take(this.#translator.translate([request]));
    else {
      const { records, links } = request.source;
      this.#translator.port.postMessage(request, [records.buffer, links.buffer]);
    }
  }

  /** Asks in a hurry for the region of a block that has been asked for. @returns whether it has */
  #hurry(block: Block): boolean {
    for (const [hurry, wanted] of this.#waiting) {
      if (wanted.block !== block) continue;
      if (!isOwn(this.#translator))
        this.#translator.port.postMessage({ hurry } satisfies TranslatorMessage, []);
      return true;
    }
    return false;
  }

  /** Takes what the translator has sent, without waiting. */
  #collectAnswers(): void {
    if (isOwn(this.#translator)) return;
    const { port, word } = this.#translator;
    const sent = Atomics.load(word, 0);
    if (sent === this.#taken) return;
    this.#taken = sent;
    while (this.#waiting.size > 0) {
      const answer = receiveMessageOnPort(port) as { message: TranslationBatch } | undefined;
      if (answer === undefined) return;
      this.#take(answer.message);
    }
  }

  #take({ translations, bytes, milliseconds }: TranslationBatch): void {
    this.counts.bytes += bytes;
    this.counts.milliseconds += milliseconds;
    for (const { request, id, made, module } of translations) {
      const wanted = this.#waiting.get(request)!;
      this.#waiting.delete(request);
      if (module === undefined) {
        if (wanted.generation === this.#code.generation) this.#code.count(wanted.record, NEVER);
        this.counts.refused++;
        continue;
      }
      if (!this.#isTrue(wanted)) {
        // It is asked for again when it is hot once more.
        if (wanted.generation === this.#code.generation) this.#code.count(wanted.record, HOT);
        this.counts.late++;
        continue;
      }
      this.#makeRoom(id, made);
      this.#install(wanted, id, module);
    }
    // Who comes to a region that is gone finds what is there now, but by asking TypeScript.
    if (this.#broken) this.#forgetRetired();
  }

  /** Whether the records that a region was made from are still what they were, and so is what it is to take the place of. */
  #isTrue({ witness, generation, record: entry, present }: Wanted): boolean {
    if (generation !== this.#code.generation || this.#code.regionAt(entry) !== present) return false;
    for (let i = 0; i < witness.length; i += 2) {
      const record = witness[i]!;
      const handler = this.#code.originalHandler(record) ?? this.#reader.words[record >> 2];
      if (handler !== witness[i + 1]) return false;
    }
    return true;
  }

  #install(wanted: Wanted, id: number, module: WebAssembly.Module): void {
    const { record, ranges, instructions, source, size } = wanted;
    const present = this.#code.regionAt(record);
    if (present !== undefined) this.#code.dropRegion(present, 'grown');
    let instance = this.#instances.get(module);
    if (instance === undefined) {
      instance = new WebAssembly.Instance(module, this.#imports);
      this.#instances.set(module, instance);
    }
    const direct = this.#handler(instance.exports[exportName(id)]);
    const installed: InstalledRegion = {
      record,
      original: this.#reader.words[record >> 2]!,
      handler: source.spread ? this.#handler(instance.exports[checkedName(id)]) : direct,
      direct,
      id,
      ranges,
      global: source.global,
      instructions,
      size,
    };
    this.#code.install(installed);
    this.ids = Math.max(this.ids, id + 1);
    this.#places.forget(wanted.page + source.entry, wanted.block);
    this.counts.regions++;
    this.counts.instructions += instructions;
  }

  /** Drops what a region that is about to be installed cannot be there with: another of its number, and old ones where
   * there are too many. */
  #makeRoom(id: number, made: number): void {
    const before = this.#made.get(id);
    this.#made.set(id, made);
    if (before !== undefined && before !== made) {
      this.#code.dropNumbered(id);
      this.#places.forgetTags(id);
    }
    if (this.#code.regionCount >= this.#most) this.#code.dropOldest(Math.ceil(this.#most * CROWDED));
  }

  /** Puts an exported function among the handlers. */
  #handler(region: unknown): number {
    if (this.#free.length === 0 && this.#retired.length >= MOST_RETIRED) this.#forgetRetired();
    const handler = this.#free.pop() ?? this.#table.grow(1, region);
    this.#table.set(handler, region);
    return handler;
  }

  /** Drops what leads to regions that are gone, whose handlers can be used again. */
  #forgetRetired(): void {
    this.#places.forgetRegions(this.#retired);
    this.#free.push(...this.#retired.splice(0));
    this.#broken = false;
  }
}
