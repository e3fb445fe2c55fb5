/** What axe-core finds wrong with a screen for people who cannot see it, or not well. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Page } from 'playwright-core';
import { z } from 'zod';
import { settle } from './harness.ts';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

const reportSchema = z.object({
  violations: z.array(
    z.object({
      id: z.string(),
      impact: z.string().nullable(),
      help: z.string(),
      nodes: z.array(z.object({ html: z.string(), failureSummary: z.string().optional() })),
    }),
  ),
  passes: z.array(z.unknown()),
});

/** Impacts that a screen may not have. */
const SERIOUS = new Set(['serious', 'critical']);

/** The rules of WCAG 2.2 A and AA, and those of them that a colour scheme has to do with. */
const RULES = {
  all: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
  colours: { type: 'rule', values: ['color-contrast', 'link-in-text-block'] },
} as const;

/**
 * Looks at a screen.
 *
 * @param rules `colours` for a screen that was looked at by all of them in another colour scheme
 * @returns a text for each serious violation
 * @throws Error where no rule found anything to look at: then it was not looked at
 */
export async function violations(page: Page, rules: keyof typeof RULES = 'all'): Promise<string[]> {
  // What fades in has no colour of its own yet.
  await settle(page);
  // Evaluated, not added as a script element, which the security policy refuses.
  await page.evaluate(AXE);
  const options = { runOnly: RULES[rules], resultTypes: ['violations'] };
  const raw: unknown = await page.evaluate(`axe.run(document, ${JSON.stringify(options)})`);
  const report = reportSchema.parse(raw);
  if (report.passes.length === 0) throw new Error('axe-core looked at nothing');
  return report.violations
    .filter(({ impact }) => impact !== null && SERIOUS.has(impact))
    .map(({ id, help, nodes }) => {
      const places = nodes
        .slice(0, 3)
        .map(({ html, failureSummary = '' }) => `  ${html.slice(0, 200)}\n  ${failureSummary}`);
      return `${id}: ${help}\n${places.join('\n')}`;
    });
}
