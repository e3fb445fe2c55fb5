import { expect, test } from 'vitest';
import { parseDraft } from './draft-text.ts';

test('an object is a draft', () => {
  expect(parseDraft('{"name": "vm", "tags": ["a"]}')).toEqual({
    ok: true,
    draft: { name: 'vm', tags: ['a'] },
  });
});

test.each(['[]', '7', 'null', '"text"'])('%s is no draft', (text) => {
  expect(parseDraft(text)).toMatchObject({
    ok: false,
    message: expect.stringContaining('braces') as unknown,
  });
});

test('a mistake is said in one line, with its place', () => {
  const missing = parseDraft('{\n  "name": "vm"\n  "memory": 1\n}');
  expect(missing).toMatchObject({ ok: false, message: expect.stringMatching(/line 3, column 3/) as unknown });
  const cut = parseDraft('{\n  "name":');
  expect(cut).toMatchObject({ ok: false, message: expect.stringMatching(/line 2, column 10/) as unknown });
  for (const text of ['', '{', '{"a":}', 'x', '{"a":1,}', '{"\u0000":1}']) {
    const parsed = parseDraft(text);
    expect(parsed.ok, text).toBe(false);
    if (!parsed.ok) expect(parsed.message).not.toContain('\n');
  }
});
