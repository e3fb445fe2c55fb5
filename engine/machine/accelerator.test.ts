import { expect, test } from 'vitest';
import { GuesthouseError } from '../base/errors.ts';
import {
  acceleratorNames,
  acceleratorOf,
  chooseAccelerator,
  chooseCpuModel,
  requireVcpus,
} from './accelerator.ts';

test('auto takes the first accelerator that can run here and has nothing against it, and says why', () => {
  const { name, why } = chooseAccelerator('auto');
  const before = acceleratorNames().slice(0, acceleratorNames().indexOf(name));
  const found = acceleratorOf(name).probe();
  expect(found).toMatchObject({ ok: true });
  expect(found).not.toHaveProperty('caveat');
  for (const other of before) {
    const probed = acceleratorOf(other).probe();
    const reason = probed.ok ? probed.caveat : probed.reason;
    expect(reason).toBeDefined();
    expect(why).toContain(`not ${other}: ${reason}`);
  }
  expect(why).not.toContain('\n');
});

test('an accelerator that is asked for is taken where it can run, with what speaks against it', () => {
  for (const name of acceleratorNames()) {
    const found = acceleratorOf(name).probe();
    if (found.ok)
      expect(chooseAccelerator(name)).toMatchObject({ name, ...(found.caveat === undefined ? {} : { caveat: found.caveat }) }); // prettier-ignore
    else expect(() => chooseAccelerator(name)).toThrow(found.reason);
  }
});

test('a probe takes well under a second', () => {
  // The least of some: the host may keep any of them waiting.
  const took = Array.from({ length: 5 }, () => {
    const started = performance.now();
    for (const name of acceleratorNames()) acceleratorOf(name).probe();
    return performance.now() - started;
  });
  expect(Math.min(...took)).toBeLessThan(1000);
});

test('more vCPUs than an accelerator has, and models that it does not know, are refused in one line', () => {
  for (const name of acceleratorNames()) {
    const most = acceleratorOf(name).maxVcpus?.() ?? 1;
    requireVcpus(name, most);
    expect(() => requireVcpus(name, most + 1)).toThrow(GuesthouseError);
    expect(() => chooseCpuModel(acceleratorOf(name), 'i8088')).toThrow("unknown CPU model 'i8088'");
    expect(chooseCpuModel(acceleratorOf(name), undefined)).toBe(acceleratorOf(name).cpuModels()[0]);
  }
});
