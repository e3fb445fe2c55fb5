/**
 * The records that the oracle's two processes exchange, and that its machine code walks over.
 *
 * The child starts with an empty reply, to say that it is ready.
 * Request: u32 count, u32 0, then `count` case records of {@link CASE_BYTES}.
 * Reply: u32 bytes that follow, u32 1 where memory outside the windows was written (the results are then
 * worthless unless the batch was a single case), then for each case: state, i32 vector, u32 error code,
 * u64 CR2, u32 number of patches, u32 0, and each patch as u32 address, u32 length, bytes (a multiple of 8).
 */
import {
  CpuState, MAX_CODE, MAX_PATCH, MAX_PATCHES, STATE_BYTES, type Case, type Patch, type Result,
} from './case.ts'; // prettier-ignore

/** Offsets in a case record; the state comes first. The size is a multiple of 64, as XRSTOR needs. */
export const CaseRecord = {
  code: STATE_BYTES,
  codeLength: STATE_BYTES + MAX_CODE,
  patchCount: STATE_BYTES + MAX_CODE + 8,
  patches: STATE_BYTES + MAX_CODE + 16,
} as const;

/** Within a patch: u64 address, u64 length, bytes. */
export const PATCH_BYTES = 16 + MAX_PATCH;
export const CASE_BYTES = Math.ceil((CaseRecord.patches + MAX_PATCHES * PATCH_BYTES) / 64) * 64;

/** Cases in one request at most. */
export const MAX_BATCH = 1024;

const RESULT_HEADER = STATE_BYTES + 24;

/** @throws RangeError where the case has too much code or too many patches */
export function encodeCase(of: Case, into: Uint8Array, at: number): void {
  if (of.code.length > MAX_CODE) throw new RangeError(`${of.name}: more than ${MAX_CODE} bytes of code`);
  if (of.memory.length > MAX_PATCHES) throw new RangeError(`${of.name}: more than ${MAX_PATCHES} patches`);
  into.set(of.state.bytes, at);
  into.set(of.code, at + CaseRecord.code);
  const view = new DataView(into.buffer, into.byteOffset + at, CASE_BYTES);
  view.setUint32(CaseRecord.codeLength, of.code.length, true);
  view.setUint32(CaseRecord.patchCount, of.memory.length, true);
  let patchAt: number = CaseRecord.patches;
  for (const patch of of.memory) {
    if (patch.bytes.length > MAX_PATCH) throw new RangeError(`${of.name}: a patch over ${MAX_PATCH} bytes`);
    view.setUint32(patchAt, patch.address, true);
    view.setUint32(patchAt + 8, patch.bytes.length, true);
    into.set(patch.bytes, at + patchAt + 16);
    patchAt += PATCH_BYTES;
  }
}

/** The patches of an encoded case. */
export function decodePatches(record: DataView): Patch[] {
  const count = record.getUint32(CaseRecord.patchCount, true);
  return Array.from({ length: count }, (_, i) => {
    const at = CaseRecord.patches + i * PATCH_BYTES;
    const length = record.getUint32(at + 8, true);
    return {
      address: record.getUint32(at, true),
      bytes: new Uint8Array(record.buffer, record.byteOffset + at + 16, length),
    };
  });
}

/** Bytes of {@link encodeResult}. */
export function resultBytes(patches: readonly Patch[]): number {
  return patches.reduce((sum, patch) => sum + 8 + patch.bytes.length, RESULT_HEADER);
}

export function encodeResult(result: Result, into: Uint8Array, at: number): number {
  const view = new DataView(into.buffer, into.byteOffset);
  into.set(result.state.bytes, at);
  at += STATE_BYTES;
  view.setInt32(at, result.vector, true);
  view.setUint32(at + 4, result.errorCode, true);
  view.setBigUint64(at + 8, result.cr2, true);
  view.setUint32(at + 16, result.memory.length, true);
  at += 24;
  for (const patch of result.memory) {
    view.setUint32(at, patch.address, true);
    view.setUint32(at + 4, patch.bytes.length, true);
    into.set(patch.bytes, at + 8);
    at += 8 + patch.bytes.length;
  }
  return at;
}

/** Decodes `count` results from the body of a reply. The results share its memory. */
export function decodeResults(body: Uint8Array, count: number): Result[] {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  let at = 0;
  return Array.from({ length: count }, () => {
    const state = new CpuState(body.subarray(at, at + STATE_BYTES));
    at += STATE_BYTES;
    const patches = view.getUint32(at + 16, true);
    const memory: Patch[] = [];
    const result = {
      state,
      vector: view.getInt32(at, true),
      errorCode: view.getUint32(at + 4, true),
      cr2: view.getBigUint64(at + 8, true),
      memory,
    };
    at += 24;
    for (let i = 0; i < patches; i++) {
      const length = view.getUint32(at + 4, true);
      memory.push({ address: view.getUint32(at, true), bytes: body.subarray(at + 8, at + 8 + length) });
      at += 8 + length;
    }
    return result;
  });
}
