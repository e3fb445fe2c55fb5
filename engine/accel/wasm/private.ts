/**
 * What the processor keeps beside the architectural state: addresses of its translation tables, the
 * scratch through which emitted code and TypeScript hand each other values, and the shapes of the tables.
 * All of it can be thrown away whenever the vCPU is outside the guest.
 */
import { layout } from '../../memory/layout.ts';
import { vcpuLayout } from '../../vcpu/state.ts';

/** Bound where the vCPU's state begins: some lies in `often`, before the architectural state, the rest in `accel` behind it
 * (private.test.ts holds it). */
export const privateLayout = layout('wasm-vcpu', 2, {
  /** Address of the TLB in use: by privilege, SMAP and alignment checking. */
  tlb: 'u32',
  jumpCache: 'u32',
  /** Address of the return sites, a part of it. */
  returnSites: 'u32',
  /** What a jump-cache entry must carry to be valid: for pages that survive a CR3 load, and the rest. */
  tagGlobal: 'u32',
  tagLocal: 'u32',
  /** With `flagsKind`: see `semantics/late-flags.ts`. */
  flagsFirst: 'u64',
  /** What the RIPs in the records being run are relative to: the first byte of their page in 64-bit mode, so that
   * code is the same for all who have it somewhere; else 0. While regions are run, any address on their page. */
  codePage: 'u64',
  /** The budget when the first region was entered of those that have led to the present one, one to the next. */
  regionsSince: 'i32',
  /** Why emitted code returned: {@link Leave}. */
  exitCode: 'u32',
  /** From what the arithmetic flags are still to be computed, 0 where they are in the state: see `semantics/late-flags.ts`.
   * Only while regions are run. Regions store it in one word with `flagsAux`, which follows. */
  flagsKind: 'u32',
  /** The architectural state's place, but for the flags. */
  architectural: ['u64', (vcpuLayout.offset.accel - vcpuLayout.offset.gpr) / 8],
  /** Bytes of an access that touches two pages or a device; emitted code uses it in place of guest memory. */
  bounce: ['u8', 64],
  /** Linear address of the operand, left by the address record before an instruction. */
  ea: 'u64',
  /** The same within its segment, before the base was added. */
  eaOffset: 'u64',
  /** Linear address handed to the slow path. */
  slowAddress: 'u64',
  /** The record that was left, 0 where `rip` is already right. */
  exitRecord: 'u32',
  /** Instructions left of the budget when the guest was left. */
  budget: 'i32',
  vector: 'u32',
  errorCode: 'u32',
  /** TLB address for the supervisor with RFLAGS.AC set and clear (they differ under SMAP), for the user. */
  tlbSupervisorAc: 'u32',
  tlbSupervisor: 'u32',
  tlbUser: 'u32',
  /** A near jump's target is legal where (target + ripBias) <= ripLimit: canonical, or within CS. */
  ripBias: 'u64',
  ripLimit: 'u64',
  /** 1 while an instruction or a delivery has left for an access and is to be taken up again. A reset clears
   * it with all the rest, and what was begun is forgotten. */
  underway: 'u64',
  /** Address of the {@link JUMP_TARGETS}. */
  jumpTargets: 'u32',
  /** Address of the {@link REGION_TAG}s of the machine's regions, by their numbers, in the address space in use. */
  regionTags: 'u32',
  /** What of RIP makes `codePage`: the mask of a page's address in 64-bit mode, else 0. */
  codeMask: 'u64',
  /** RIP of the instruction that the last STI's interrupt shadow covers. */
  shadowRip: 'u64',
  /** Instructions that regions have run, until the first of those was entered that have led to the present one, one to the
   * next. */
  regionInstructions: 'u64',
  /** 1 where other vCPUs share the memory. */
  shared: 'u32',
  /** 1 while a locked access at an address of guest memory is to be ended by a call of `commit`. */
  held: 'u32',
  /** Scratch results of TypeScript helpers that return more than one value. */
  result: ['u64', 4],
  /** Bytes that a string instruction is about to read or write from `slowAddress` on, all on one page, where it does several
   * elements at once; else 0. */
  slowExtent: 'u32',
  /** Address of the {@link CODE_PLACE}s. */
  codePlaces: 'u32',
  /** Addresses of the `PageFilter`s of pages that code has been looked up on: those of the address space in use, and
   * global ones. */
  localPages: 'u32',
  globalPages: 'u32',
  /** 1 while SYSCALL and SYSRET of 64-bit mode may be done by emitted code. */
  systemCalls: 'u32',
  /** Address of {@link PAGE_WALK} while emitted code may walk the page tables, else 0. */
  pageWalk: 'u32',
});

/** Stretches of RAM that emitted code may find page tables and pages in. */
export const RAM_WINDOWS = 2;

/** What emitted code walks the page tables with (`interpreter/page-walk.ts`); kept by `system/walk-terms.ts`. */
export const pageWalkLayout = layout('page-walk', 1, {
  /** 1 where a walk may end in an access that writes. */
  writes: 'u32',
  /** 1 with 5-level paging, 0 with 4-level. */
  wide: 'u32',
  /** The bit of an entry that makes a page global, 0 where none does. */
  global: 'u32',
  /** Two words for each page of the shared memory: which vCPUs have decoded code there. */
  code: 'u32',
  /** A bit for each page whose writes are logged, the first of them by its number in the shared memory. */
  logged: 'u32',
  firstLogged: 'u32',
  /** `PageFilter`s of the pages of 2 MiB and 1 GiB that are cached in pieces. */
  largePages: 'u32',
  hugePages: 'u32',
  /** Address of {@link TLB_FILLS}. */
  fills: 'u32',
  /** First page, pages and address in the shared memory of some RAM, in turns. */
  windows: ['u32', 3 * RAM_WINDOWS],
});
export const PAGE_WALK = pageWalkLayout.offset;

/** Entries of TLBs that emitted code has filled, for whoever keeps account of them: their count, then from {@link TLB_FILL}
 * on their addresses, plus 1 for those of global pages. */
export const TLB_FILLS = 1024;
export const TLB_FILL = 4;
export const TLB_FILLS_BYTES = TLB_FILL + 4 * TLB_FILLS;

/** Byte offset of each private field from the vCPU's state. */
export const P = privateLayout.offset;
/** Byte offset of each architectural field from the vCPU's state. */
export const S = vcpuLayout.offset;
/** State-relative offset of XMM n. */
export const xmmOffset = (n: number): number => S.ymm + 32 * n;

/** Why emitted code returned to TypeScript. */
export const Leave = {
  /** The budget ran out; `rip` is set. */
  Budget: 0,
  /** An exception: `vector`, `errorCode`; for #PF also CR2. */
  Exception: 1,
  /** A port or device access waits to be made; the instruction is run again afterwards. */
  Access: 2,
  /** HLT has been executed; `rip` is behind it. */
  Halt: 3,
  /** `rip`, mode or mappings changed: look the next block up anew. */
  Changed: 4,
  /** Triple fault. */
  Shutdown: 5,
  /** A region came to what tier 0 must do: `rip` is the instruction's. */
  Interpret: 6,
  /** The code at `rip` has been gone to in tier 0 as often as its record's count says. */
  Hot: 7,
} as const;

/** What the slow way of an access is told of it: its bytes, and a bit for each of these. */
export const SlowInfo = { bytes: 0xff, write: 0x100, stack: 0x200, modify: 0x400, lock: 0x800 } as const;

/**
 * A TLB entry: 32 bytes. A tag is a page's linear address; it is of no page where that page has its entry elsewhere, as any
 * other would be some page's. The entry of linear address A is at (A >> 12) & (TLB_ENTRIES - 1).
 */
export const TLB_ENTRIES = 16384;
export const TLB_ENTRY = { read: 0, write: 8, addend: 16, flags: 20, fetch: 24 } as const;
export const TLB_ENTRY_BYTES = 32;
/** The tag of no page in an entry, by its byte address: page 1 in entries of even numbers and page 0 in odd ones, of both
 * levels. TLBs begin at multiples of two entries. */
export const noPage = (entry: number): number => ((entry & TLB_ENTRY_BYTES) ^ TLB_ENTRY_BYTES) << 7;
/** Of an entry's flags: its page is global. */
export const TLB_GLOBAL = 1;
/**
 * Behind these entries lie those of the second level, which has what was last put into the first, by a hash of all of the
 * page's address: pages that share an entry of the first rarely share one here, and so need not be walked for
 * again and again where they are used in turns.
 */
export const STLB_ENTRIES = 4096;
export const STLB_AT = TLB_ENTRIES * TLB_ENTRY_BYTES;
export const TLB_BYTES = STLB_AT + STLB_ENTRIES * TLB_ENTRY_BYTES;
/** Of the address's bits, those above the first level's index are folded into the hash: those of its low half by a shift,
 * those of its high half by a multiplier that spreads them. */
export const STLB_FOLD = 26;
export const STLB_FACTOR = 0x9e37_79b1 | 0;
export const STLB_SPREAD = 20;

/** The place in the second level of a linear address, given by its halves. */
export const stlbPlace = (low: number, high: number): number =>
  ((low >>> 12) ^ (low >>> STLB_FOLD) ^ (Math.imul(high, STLB_FACTOR) >>> STLB_SPREAD)) & (STLB_ENTRIES - 1);

/**
 * A jump-cache entry: linear address, where to go on, and tag. That is the address of a record, where the tag says so
 * ({@link TAG_RECORD}), or the handler of a region that may be entered without further checks. The entry of a linear address
 * is one of the four in a cache line of the host: that of {@link firstJump}, where it is looked for first, or another.
 */
const JUMP_ENTRIES = 65536;
export const JUMP_ENTRY = { linear: 0, where: 8, tag: 12 } as const;
export const JUMP_ENTRY_BYTES = 16;
/**
 * What is looked for together mostly lies together, so a line is that of 32 bytes of the guest's code; a multiplier spreads
 * the lines.
 */
export const JUMP_CODE_SHIFT = 5;
export const JUMP_FACTOR = 0x9e37_79b1 | 0;
export const JUMP_LINE_SHIFT = 6;
export const JUMP_LINE_BITS = Math.log2(JUMP_ENTRIES * JUMP_ENTRY_BYTES) - JUMP_LINE_SHIFT;
/** Of an offset: which entry of its line. */
export const JUMP_IN_LINE = 0x30;
/** The other entries of a line, in the order in which they are looked at and what is there gives way to the new: bits of the
 * offset in which they differ from the first. */
export const OTHER_JUMPS = [0x10, 0x20, 0x30] as const;

/** Byte offset in the jump cache of the entry in which a linear address, given by its low half, is looked for first. */
export const firstJump = (low: number): number =>
  ((Math.imul(low >>> JUMP_CODE_SHIFT, JUMP_FACTOR) >>> (32 - JUMP_LINE_BITS)) << JUMP_LINE_SHIFT) |
  ((low << (JUMP_LINE_SHIFT - JUMP_CODE_SHIFT)) & JUMP_IN_LINE);

/**
 * Behind those lie the entries of the places where regions are left, or come back to from a call: each way
 * out and each call has one, which others may have as well, and finds there where it led last. It names a region, or
 * nothing valid.
 */
export const LINKS = 65536;
const LINKS_AT = JUMP_ENTRIES * JUMP_ENTRY_BYTES;
/** Byte offset in the jump cache of a link's entry, by any number. */
export const linkAt = (number: number): number => LINKS_AT + (number & (LINKS - 1)) * JUMP_ENTRY_BYTES;
/** Offsets from here on are links'. */
export const FIRST_LINK = LINKS_AT;
/**
 * And behind them the return sites: offsets in the jump cache of the entry of what a call comes back to, by where on the
 * stack its return address lies.
 */
export const RETURN_SITES = 1024;
export const RETURN_SITES_AT = LINKS_AT + LINKS * JUMP_ENTRY_BYTES;
export const JUMP_CACHE_BYTES = RETURN_SITES_AT + 4 * RETURN_SITES;

/** Where computed jumps and calls of tier 0 have led last: RIPs, by a hash of their records' addresses. */
export const JUMP_TARGETS = 16384;
export const JUMP_TARGETS_BYTES = 8 * JUMP_TARGETS;

/** Byte offset in the jump targets of the one that a record at an address has, which others may have as well. */
export const jumpTargetOf = (record: number): number => (record >>> 2) & ((JUMP_TARGETS - 1) << 3);

/**
 * Where code was found lately, by where its bytes lie: the host address of the first, the mode as it stands in a
 * jump-cache entry's tag, and the record. Then, where a region on several pages has taken the record's place, its number
 * and above it the handler that enters it without a look at its pages; else 0. Of 64-bit code that is on one page alone.
 * An entry is the four words in this order; what is there may have been dropped since, which the record's handler says.
 */
export const CODE_PLACES = 131072;
export const CODE_PLACE = { host: 0, mode: 4, record: 8, region: 12 } as const;
export const CODE_PLACE_BYTES = 16;
export const CODE_PLACES_BYTES = CODE_PLACES * CODE_PLACE_BYTES;
/** An entry is in any of the four of a cache line of the host; code has two such lines, which are found by multipliers: the
 * first by where 64 bytes of it lie, the second, where what the first have no room for is kept, by all of its address. */
export const PLACE_LINE_BYTES = 64;
const PLACE_LINE_SHIFT = Math.log2(PLACE_LINE_BYTES);
export const PLACE_LINE_BITS = Math.log2(CODE_PLACES_BYTES) - PLACE_LINE_SHIFT;
/** Of a jump-cache tag: whether the user may run what is there, the bits that are the mode, and that it is a record, not a
 * region. */
export const TAG_USER = 2;
export const TAG_MODE = 0x3ffc;
export const TAG_RECORD = 0x4000;
/** Above a region's number, its handler. */
export const PLACE_HANDLER_SHIFT = 16;

/** Byte offsets among the places of the lines of code at a host address. */
const placeLine = (of: number): number =>
  (Math.imul(of, JUMP_FACTOR) >>> (32 - PLACE_LINE_BITS)) << PLACE_LINE_SHIFT;
export const firstPlaces = (host: number): number => placeLine(host >>> PLACE_LINE_SHIFT);
export const secondPlaces = (host: number): number => placeLine(host);

/** When the mappings of a region that lies on several pages were last seen to be what they were: the page it was
 * entered at, and the tag that a jump-cache entry had to carry then. */
export const REGION_TAG = { codePage: 0, tag: 8 } as const;
export const REGION_TAG_BYTES = 16;

/**
 * A decoded instruction: 32 bytes. Register operands are byte offsets within the vCPU's state, so AH, XMM3
 * and R9 are all just offsets.
 */
export const REC = {
  /** u32: index of the handler in the table. */
  handler: 0,
  /** u16 each: register operands by slot. */
  a: 4,
  b: 6,
  /** u32 in direct jumps: record of the target once it is known, else 0. Overlays a and b. */
  chain: 4,
  /** u16: base and index registers of the memory operand (the zero register where there is none). Where
   * the address has a record of its own, the instruction's own record holds a third register in `c`. */
  base: 8,
  index: 10,
  c: 8,
  /** u16, in instructions done in TypeScript: which. Overlays index. */
  complex: 10,
  /** u8: index shift; in instructions done in TypeScript, the operand size in bytes. */
  scale: 12,
  /** u8: segment register of the memory operand. */
  segment: 13,
  /** u8: length of the instruction in bytes. */
  length: 14,
  /** u8: ordinal of the instruction in its block, from 1. */
  ordinal: 15,
  /** i32: displacement, and i32: immediate; or one i64. */
  disp: 16,
  imm: 20,
  imm64: 16,
  /** u32: RIP of the instruction, relative to P.codePage, as are the targets of direct jumps. */
  rip: 24,
  /** i32: how often the record was gone to in tier 0, from a negative number up; at 0 TypeScript is told. */
  count: 28,
} as const;
export const REC_BYTES = 32;

/** How a handler finds the address of its memory operand. */
export const Mem = {
  /** base + displacement; 64-bit mode, no segment base. */
  BaseDisp: 0,
  /** base + index × scale + displacement + segment base; 64-bit mode. */
  Full: 1,
  /** RIP of the instruction + displacement (the decoder added the length). */
  RipRelative: 2,
  /** left in `ea` by the address record before. */
  Record: 3,
} as const;
export type Mem = (typeof Mem)[keyof typeof Mem];
