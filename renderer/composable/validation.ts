/** Says what is wrong with a draft while it is typed: at once what the schema says, a little later what main finds
 * in the files it names. */
import { computed, type ComputedRef, onBeforeUnmount, shallowRef, watch } from 'vue';
import type { Issue } from '../../main/contract/index.ts';
import { useConnection } from '../store/connection.ts';
import { type Draft, issuesOf, mergeIssues } from '../store/draft.ts';

/** Milliseconds without a key before main is asked. */
const PAUSE = 300;

export interface Validation {
  readonly issues: ComputedRef<readonly Issue[]>;
  /** The first issue of a field, to be read after its name. */
  of(...path: ReadonlyArray<string | number>): string | undefined;
}

/**
 * @param draft undefined while there is nothing to check
 * @param id the machine it belongs to, where it has one
 */
export function useValidation(draft: () => Draft | undefined, id?: string): Validation {
  const connection = useConnection();
  const asked = shallowRef<{ text: string; issues: readonly Issue[] }>();
  const text = computed(() => JSON.stringify(draft() ?? null));
  let timer: ReturnType<typeof setTimeout> | undefined;

  async function ask(of: string): Promise<void> {
    const document = draft();
    if (document === undefined) return;
    try {
      const named = id === undefined ? {} : { id };
      const { issues } = await connection.call('machine.validate', { document, files: true, ...named });
      if (text.value === of) asked.value = { text: of, issues };
    } catch {
      // Without a connection the schema's word stands; main checks again when the draft is applied.
    }
  }
  watch(
    text,
    (now) => {
      clearTimeout(timer);
      timer = setTimeout(() => void ask(now), PAUSE);
    },
    { immediate: true },
  );
  onBeforeUnmount(() => clearTimeout(timer));

  const issues = computed((): readonly Issue[] => {
    const document = draft();
    if (document === undefined) return [];
    const known = asked.value?.text === text.value ? asked.value.issues : [];
    return mergeIssues(issuesOf(document), known);
  });
  return {
    issues,
    of: (...path) =>
      issues.value.find(
        (issue) => path.every((part, i) => issue.path[i] === part) && path.length <= issue.path.length,
      )?.message,
  };
}
