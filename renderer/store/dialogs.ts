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

/** Where the keyboard is to go on after a dialog that is opened now. What a menu's items lead to comes back to what
 * the menu belongs to, since the menu is gone by then. */
function keyboardOwner(): HTMLElement | undefined {
  const active = document.activeElement;
  const menu = active?.closest('[role="menu"]') ?? undefined;
  const owner =
    menu === undefined ? active : document.getElementById(menu.getAttribute('aria-labelledby') ?? '');
  return owner instanceof HTMLElement ? owner : undefined;
}

export const useDialogs = defineStore('dialogs', () => {
  const current = shallowRef<Dialog>();
  const opener = shallowRef<HTMLElement>();

  function open(dialog: Dialog): void {
    opener.value = keyboardOwner();
    current.value = dialog;
  }

  function close(): void {
    current.value = undefined;
    opener.value = undefined;
  }

  return { current, opener, open, close };
});
