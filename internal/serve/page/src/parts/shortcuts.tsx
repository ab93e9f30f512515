// Keys for the whole page. They can be switched off, as people need who speak to their computer.
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { Switch } from './field';

export interface Shortcut {
  key: string;
  does: string;
  run: () => void;
}

function allowed(): boolean {
  try {
    return localStorage.getItem('shortcuts') !== 'off';
  } catch {
    return true;
  }
}

const takesText = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));

export function Shortcuts({ list }: { list: Shortcut[] }) {
  const [on, setOn] = useState(allowed);
  const dialog = useRef<HTMLDialogElement>(null);
  const open = () => dialog.current?.open || dialog.current?.showModal();
  // Not useEffect: that waits for the next frame, and until then a key would meet what the page was before.
  useLayoutEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || takesText(event.target)) return;
      if (!on || dialog.current?.open) return;
      if (event.key === '?') open();
      const found = list.find((s) => s.key === event.key);
      if (found || event.key === '?') event.preventDefault();
      found?.run();
    };
    addEventListener('keydown', press);
    return () => removeEventListener('keydown', press);
  }, [list, on]);
  const set = (value: boolean) => {
    setOn(value);
    try {
      localStorage.setItem('shortcuts', value ? 'on' : 'off');
    } catch {
      // Not remembered, then.
    }
  };
  return (
    <>
      <button type="button" class="keys" onClick={open} aria-haspopup="dialog">Keys</button>
      <dialog ref={dialog} aria-labelledby="keys-title">
        <h3 id="keys-title">Keys</h3>
        <dl class="keys">
          {list.map((s) => [<dt key={s.key}><kbd>{s.key}</kbd></dt>, <dd key={s.key + '!'}>{s.does}</dd>])}
          <dt><kbd>?</kbd></dt><dd>this list</dd>
          <dt><kbd>←</kbd> <kbd>→</kbd> <kbd>↑</kbd> <kbd>↓</kbd></dt><dd>in tokens and pictures: the next one</dd>
        </dl>
        <Switch label="Keys without Ctrl or Alt do something" on={on} onValue={set} />
        <form method="dialog"><p><button class="main">Close</button></p></form>
      </dialog>
    </>
  );
}
