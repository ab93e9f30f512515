// Light and dark: what the system asks for, unless the reader chose.
import { useEffect, useState } from 'preact/hooks';

export type Theme = 'system' | 'light' | 'dark';
const dark = matchMedia('(prefers-color-scheme: dark)');
const watchers = new Set<() => void>();

function stored(): Theme {
  try {
    const said = localStorage.getItem('theme');
    return said === 'light' || said === 'dark' ? said : 'system';
  } catch {
    return 'system';
  }
}

let theme = stored();
let version = 0;

function apply(): void {
  const is = theme === 'system' ? (dark.matches ? 'dark' : 'light') : theme;
  document.documentElement.dataset['theme'] = is;
  version++;
  for (const tell of watchers) tell();
}

export function setTheme(next: Theme): void {
  theme = next;
  try {
    localStorage.setItem('theme', next);
  } catch {
    // Not remembered, then.
  }
  apply();
}

dark.addEventListener('change', apply);
apply();

// useTheme gives the choice, and a number that changes when colours do: pictures on a canvas are drawn again.
export function useTheme(): { theme: Theme; version: number } {
  const [, set] = useState(0);
  useEffect(() => {
    const tell = () => set(version);
    watchers.add(tell);
    return () => void watchers.delete(tell);
  }, []);
  return { theme, version };
}

// colour reads one of the page's colours as red, green, blue.
export function colour(name: string): [number, number, number] {
  const hex = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const n = parseInt(hex.slice(1), 16);
  return [n >> 16, (n >> 8) & 255, n & 255];
}

export const calm = (): boolean => matchMedia('(prefers-reduced-motion: reduce)').matches;
