// What is not on the screen asks nothing of the device.
import { useEffect, useRef, useState } from 'preact/hooks';

const pause = 100; // milliseconds; what only passes while the page scrolls is not looked at

// useSeen tells whether the element is near the screen.
export function useSeen<E extends Element>() {
  const ref = useRef<E>(null);
  const [near, set] = useState(false);
  useEffect(() => {
    if (!ref.current) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const watch = new IntersectionObserver((entries) => {
      clearTimeout(timer);
      if (entries[entries.length - 1]!.isIntersecting) timer = setTimeout(() => set(true), pause);
      else set(false);
    }, { rootMargin: '240px 0px' });
    watch.observe(ref.current);
    return () => {
      clearTimeout(timer);
      watch.disconnect();
    };
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
