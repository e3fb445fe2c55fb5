import { expect, test } from 'vitest';
import { Random } from '../base/random.ts';
import {
  ControlDecoder,
  LONGEST_CONTROL_MESSAGE,
  packInput,
  packJson,
  packOutput,
  unpackOutput,
} from './control.ts';

test('messages are found again however the stream is cut', () => {
  const stream = Buffer.concat([packJson({ a: 'ä' }), packInput(Buffer.from('ls\n')), packJson([1, 2])]);
  for (let cut = 0; cut <= stream.length; cut++) {
    const decoder = new ControlDecoder();
    const packets = [...decoder.feed(stream.subarray(0, cut)), ...decoder.feed(stream.subarray(cut))];
    expect(packets).toEqual([
      { kind: 'json', value: { a: 'ä' } },
      { kind: 'console', bytes: new Uint8Array(Buffer.from('ls\n')) },
      { kind: 'json', value: [1, 2] },
    ]);
  }
});

test('output keeps its position, beyond 32 bits', () => {
  const [packet] = new ControlDecoder().feed(packOutput(2 ** 40 + 3, Buffer.from('x')));
  if (packet.kind !== 'console') throw new Error('no output');
  expect(unpackOutput(packet.bytes)).toEqual({ position: 2 ** 40 + 3, bytes: new Uint8Array([0x78]) });
  expect(unpackOutput(new Uint8Array(7))).toBeUndefined();
  expect(unpackOutput(new Uint8Array(8).fill(0xff))).toBeUndefined();
});

test('an absurd length is refused before anything is kept for it', () => {
  const head = new Uint8Array(4);
  new DataView(head.buffer).setUint32(0, LONGEST_CONTROL_MESSAGE + 1, true);
  expect(() => new ControlDecoder().feed(head)).toThrow('a message of');
  expect(() => new ControlDecoder().feed(new Uint8Array(4))).toThrow('a message of 0 bytes');
});

test('bytes at random give messages or an error, never anything else', () => {
  const random = new Random(11);
  for (let i = 0; i < 2000; i++) {
    const bytes = Uint8Array.from({ length: random.below(40) }, () =>
      random.below(random.oneIn(2) ? 256 : 6),
    );
    try {
      for (const packet of new ControlDecoder().feed(bytes))
        expect(['json', 'console']).toContain(packet.kind);
    } catch (error) {
      expect(error).toBeInstanceOf(Error);
    }
  }
});
