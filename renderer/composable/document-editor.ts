/**
 * A machine's document being edited in a window: the stored one, the draft, what differs and what is wrong, and
 * applying it. Forms and the text editor work on the same draft.
 */
import {
  computed,
  type ComputedRef,
  onBeforeUnmount,
  type Ref,
  ref,
  shallowRef,
  type WritableComputedRef,
} from 'vue';
import { type Issue, issueLine, type Problem, RequestError } from '../../main/contract/index.ts';
import { problemOfError, useConnection } from '../store/connection.ts';
import { differences, type Draft, draftOf, type Json, merged, same } from '../store/draft.ts';
import { TEXT } from '../text.ts';
import { useValidation } from './validation.ts';

/** What a form field is given. */
export interface FieldState {
  readonly id: string;
  readonly label: string;
  readonly error: string | undefined;
  readonly changed: boolean;
  readonly hint: string | undefined;
}

export interface DocumentEditor {
  /** Undefined while it is not known, or cannot be read. */
  readonly draft: Ref<Draft | undefined>;
  readonly stored: Readonly<Ref<Draft | undefined>>;
  /** What the machine was started with, where it runs. */
  readonly running: Readonly<Ref<Draft | undefined>>;
  /** The stored text of a damaged configuration. */
  readonly damagedText: Readonly<Ref<string | undefined>>;
  /** The draft as text, while it is edited as such and is not JSON. */
  readonly badText: Ref<{ text: string; message: string } | undefined>;
  /** Names of the fields that differ from what is stored. */
  readonly changed: ComputedRef<readonly string[]>;
  readonly issues: ComputedRef<readonly Issue[]>;
  /** All that is wrong, one line each. */
  readonly complaints: ComputedRef<readonly string[]>;
  readonly dirty: ComputedRef<boolean>;
  readonly canApply: ComputedRef<boolean>;
  /** It was changed elsewhere while it was edited here. */
  readonly conflict: Readonly<Ref<boolean>>;
  readonly problem: Ref<Problem | undefined>;
  readonly applying: Readonly<Ref<boolean>>;
  apply(): Promise<void>;
  /** Back to what is stored. */
  revert(): void;
  /** Goes on with this draft over what was stored elsewhere. */
  keepMine(): void;
  /** @param unit of the value, for what the running machine has */
  field(
    label: string,
    path: readonly [string, ...ReadonlyArray<string | number>],
    hint?: string,
    unit?: string,
  ): FieldState;
  /** A field that holds a text; empty is absent. */
  text(name: string): WritableComputedRef<string>;
  number(name: string): WritableComputedRef<number>;
  flag(name: string): WritableComputedRef<boolean>;
  set(name: string, value: Json | undefined): void;
}

export function useDocumentEditor(id: string): DocumentEditor {
  const connection = useConnection();
  /** Never changed in place: what was sent or stored stays as it was. */
  const draft = shallowRef<Draft>();
  const stored = shallowRef<Draft>();
  const running = shallowRef<Draft>();
  const damagedText = shallowRef<string>();
  const badText = shallowRef<{ text: string; message: string }>();
  const conflict = ref(false);
  const problem = shallowRef<Problem>();
  const applying = ref(false);
  let revision = '';
  /** What is stored now, where that is not what the draft began with. */
  let theirs: { draft: Draft; revision: string } | undefined;

  const validation = useValidation(() => draft.value, id);
  const changed = computed(() =>
    draft.value === undefined || stored.value === undefined ? [] : differences(draft.value, stored.value),
  );
  const dirty = computed(() => changed.value.length > 0 || badText.value !== undefined);
  const complaints = computed(() => [
    ...(badText.value === undefined ? [] : [badText.value.message]),
    ...validation.issues.value.map(issueLine),
  ]);
  const canApply = computed(
    () => dirty.value && complaints.value.length === 0 && !applying.value && !conflict.value,
  );

  function adopt(next: Draft, nextRevision: string): void {
    stored.value = next;
    draft.value = next;
    revision = nextRevision;
    theirs = undefined;
    badText.value = undefined;
    conflict.value = false;
  }

  async function load(): Promise<void> {
    let answer;
    try {
      answer = await connection.call('machine.get', { id });
    } catch {
      // It was deleted, which the window shows, or the connection is lost, after which it is loaded again.
      return;
    }
    running.value = answer.running === null ? undefined : draftOf(answer.running);
    damagedText.value = answer.text ?? undefined;
    if (answer.document === null) return;
    const next = draftOf(answer.document);
    if (answer.revision === revision) return;
    if (!dirty.value || draft.value === undefined || same(next, draft.value)) adopt(next, answer.revision);
    else if (applying.value || same(next, stored.value)) revision = answer.revision;
    else mergeOrAsk(next, answer.revision);
  }

  /** What was stored elsewhere goes into the draft, unless both have changed the same. */
  function mergeOrAsk(next: Draft, nextRevision: string): void {
    const both =
      stored.value === undefined || draft.value === undefined || badText.value !== undefined || conflict.value
        ? undefined
        : merged(stored.value, draft.value, next);
    if (both === undefined) {
      theirs = { draft: next, revision: nextRevision };
      conflict.value = true;
      return;
    }
    stored.value = next;
    draft.value = both;
    revision = nextRevision;
  }

  async function apply(): Promise<void> {
    const document = draft.value;
    if (!canApply.value || document === undefined) return;
    applying.value = true;
    problem.value = undefined;
    try {
      const answer = await connection.call('machine.configure', { id, revision, document });
      revision = answer.revision;
      stored.value = document;
    } catch (error) {
      problem.value = problemOfError(error);
      if (error instanceof RequestError && error.failure.issues !== undefined) {
        const lines = error.failure.issues.map(issueLine).join('\n');
        problem.value = { ...problem.value, details: lines };
      }
    } finally {
      applying.value = false;
    }
    // What was left out is filled in by main.
    await load();
  }

  function revert(): void {
    problem.value = undefined;
    if (theirs !== undefined) adopt(theirs.draft, theirs.revision);
    else if (stored.value !== undefined) adopt(stored.value, revision);
  }

  function keepMine(): void {
    if (theirs === undefined) return;
    stored.value = theirs.draft;
    revision = theirs.revision;
    theirs = undefined;
    conflict.value = false;
  }

  const ends = [
    connection.whenOpen(() => void load()),
    connection.on('machine.changed', ({ machine }) => {
      if (machine.id === id) void load();
    }),
  ];
  const warn = (event: BeforeUnloadEvent): void => {
    if (dirty.value) event.preventDefault();
  };
  window.addEventListener('beforeunload', warn);
  onBeforeUnmount(() => {
    window.removeEventListener('beforeunload', warn);
    for (const end of ends) end();
  });

  function set(name: string, value: Json | undefined): void {
    if (draft.value === undefined) return;
    const { [name]: _, ...others } = draft.value;
    // In its place, so that the text does not jump about.
    draft.value = value === undefined ? others : { ...draft.value, [name]: value };
  }

  function at(root: Draft | undefined, path: ReadonlyArray<string | number>): Json | undefined {
    let value: Json | undefined = root;
    for (const key of path) {
      if (typeof value !== 'object' || value === null) return undefined;
      value = new Map<string, Json | undefined>(Object.entries(value)).get(String(key));
    }
    return value;
  }

  /** A value as the machine that runs has it, for a person. */
  function shown(value: Json | undefined): string {
    if (value === undefined || value === null || value === '') return TEXT.none;
    return typeof value === 'object' ? JSON.stringify(value) : String(value);
  }

  return {
    draft,
    stored,
    running,
    damagedText,
    badText,
    changed,
    issues: validation.issues,
    complaints,
    dirty,
    canApply,
    conflict,
    problem,
    applying,
    apply,
    revert,
    keepMine,
    field(label, path, hint, unit) {
      const waits = running.value !== undefined && !same(at(running.value, path), at(stored.value, path));
      const now = waits ? TEXT.details.runningWith(shown(at(running.value, path)), unit) : undefined;
      return {
        id: `field-${path.join('-')}`,
        label,
        error: validation.of(...path),
        changed: !same(at(draft.value, path), at(stored.value, path)),
        hint: [hint, now].filter((part) => part !== undefined).join(' ') || undefined,
      };
    },
    text: (name) =>
      computed({
        get: () => {
          const value = draft.value?.[name];
          return typeof value === 'string' ? value : '';
        },
        set: (value) => set(name, value === '' ? undefined : value),
      }),
    number: (name) =>
      computed({
        get: () => {
          const value = draft.value?.[name];
          return typeof value === 'number' ? value : NaN;
        },
        set: (value) => set(name, value),
      }),
    flag: (name) => computed({ get: () => draft.value?.[name] === true, set: (value) => set(name, value) }),
    set,
  };
}
