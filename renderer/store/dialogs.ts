/** The dialog that is open in this window: one at a time. */
import { defineStore } from 'pinia';
import { shallowRef } from 'vue';

export type Dialog =
  | { readonly kind: 'wizard' }
  | { readonly kind: 'confirm'; readonly command: 'reset' | 'destroy'; readonly ids: readonly string[] }
  | { readonly kind: 'delete'; readonly ids: readonly string[] }
  | { readonly kind: 'clone'; readonly id: string }
  | { readonly kind: 'rename'; readonly id: string }
  | { readonly kind: 'label'; readonly ids: readonly string[] }
  | { readonly kind: 'preferences' }
  | { readonly kind: 'shortcuts' };

export const useDialogs = defineStore('dialogs', () => {
  const current = shallowRef<Dialog>();
  return {
    current,
    open: (dialog: Dialog) => (current.value = dialog),
    close: () => (current.value = undefined),
  };
});
