/** Whether the window is drawn light or dark: for what is not styled by CSS. */
import { computed, type ComputedRef, onBeforeUnmount, ref } from 'vue';
import { useSettings } from '../store/settings.ts';

export function useColourScheme(): ComputedRef<'light' | 'dark'> {
  const settings = useSettings();
  const query = matchMedia('(prefers-color-scheme: dark)');
  const dark = ref(query.matches);
  const change = (): void => {
    dark.value = query.matches;
  };
  query.addEventListener('change', change);
  onBeforeUnmount(() => query.removeEventListener('change', change));
  return computed(() => {
    const { theme } = settings.settings;
    if (theme !== 'system') return theme;
    return dark.value ? 'dark' : 'light';
  });
}
