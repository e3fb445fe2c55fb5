/** What is selected and searched in the list of machines, for as long as the window: also while it shows another page. */
import { defineStore } from 'pinia';
import { shallowRef, watch } from 'vue';
import { useMachines } from './machines.ts';
import { EMPTY, type Selection, selectOnly } from './selection.ts';

export const useMachineList = defineStore('machine-list', () => {
  const machines = useMachines();
  const query = shallowRef('');
  const selection = shallowRef<Selection>(EMPTY);

  // A machine that was made here is what one goes on with.
  watch(
    () => machines.made,
    (id) => {
      if (id !== undefined) selection.value = selectOnly(id);
    },
  );

  return { query, selection };
});
