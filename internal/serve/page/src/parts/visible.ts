// What is not on the screen asks nothing of the device.
import { useEffect, useRef, useState } from 'preact/hooks';

// useSeen tells whether the element has come near the screen. Once seen it stays so: its answers are kept.
export function useSeen<E extends Element>() {
  const ref = useRef<E>(null);
  const [near, set] = useState(false);
  useEffect(() => {
    if (!ref.current) return;
    const watch = new IntersectionObserver((entries) => set(entries[entries.length - 1]!.isIntersecting), { rootMargin: '240px 0px' });
    watch.observe(ref.current);
    return () => watch.disconnect();
  }, []);
  return { ref, near };
}

// useCurrent tells which of the chapters is being read: the last one whose top is above the middle of the screen.
export function useCurrent(ids: string[]): string {
  const [current, set] = useState(ids[0] ?? '');
  useEffect(() => {
    let asked = 0;
    const look = () => {
      asked = 0;
      let found = ids[0] ?? '';
      for (const id of ids) {
        const top = document.getElementById(id)?.getBoundingClientRect().top;
        if (top !== undefined && top < innerHeight / 2) found = id;
      }
      set(found);
    };
    const ask = () => {
      asked ||= requestAnimationFrame(look);
    };
    addEventListener('scroll', ask, { passive: true });
    look();
    return () => {
      removeEventListener('scroll', ask);
      cancelAnimationFrame(asked);
    };
  }, [ids]);
  return current;
}
